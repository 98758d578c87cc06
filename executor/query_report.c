/* executor/query_report.c - what is told of a persistent query: its state, its numbers as of the last commits, its troubles. */
#include "executor/worker.h"

#include <stdio.h>

#define RATE_MS 1000
#define NOTICE_MS 10000 /* the same trouble is told again after so long */
#define WAITING_MS 3000  /* a commit takes so long: that is trouble */
#define RECOVERY_MS 2000 /* without trouble, where there is nothing to commit that would show that it is over */

/* ---- numbers ---- */

/* A rate is measured over a second at least; and goes down while nothing is published. */
static double rate_now(const worker *w, int64_t now_ms)
{
    int64_t passed_ms = now_ms - w->marked_ms;

    if (passed_ms <= 0 || (passed_ms < 2 * RATE_MS && w->published.rows_per_s > 0)) return w->published.rows_per_s;
    return (double)(w->published.counts.rows_in - w->marked_rows) * 1000.0 / (double)passed_ms;
}

void worker_publish(worker *w)
{
    query *q = w->query;
    query_stats all = { .epochs = w->epochs };
    int64_t now_ms = clock_monotonic_ms(q->env.clock);

    for (uint32_t i = 0; i < w->task_count; i++) {
        const task *t = w->tasks[i];
        if (t->inputs[0].step->kind == STEP_SOURCE) all.counts.rows_in += t->counts.rows_in;
        all.counts.rows_out += t->counts.rows_out;
        all.counts.bad_rows += t->counts.bad_rows;
        all.counts.late_rows += t->counts.late_rows;
        all.state_bytes += task_state_bytes(t);
    }
    snprintf(all.last_bad, sizeof all.last_bad, "%s", bad_log_last(w->log));
    pthread_mutex_lock(&q->lock);
    all.rows_per_s = w->published.rows_per_s;
    if (all.counts.rows_in < w->marked_rows) w->marked_ms = 0; /* tasks went elsewhere */
    if (w->marked_ms == 0 || now_ms - w->marked_ms >= RATE_MS) {
        if (w->marked_ms != 0) all.rows_per_s = (double)(all.counts.rows_in - w->marked_rows) * 1000.0 / (double)(now_ms - w->marked_ms);
        w->marked_ms = now_ms;
        w->marked_rows = all.counts.rows_in;
    }
    w->published = all;
    memset(w->op_published, 0, sizeof *w->op_published * q->entry.plan.step_count);
    for (uint32_t i = 0; i < w->task_count; i++) {
        const task *t = w->tasks[i];
        task_add_stats(t, w->op_published);
        for (uint32_t k = 0; k < t->input_count; k++) {
            uint32_t source = t->inputs[k].source;
            if (t->partition < q->source_partitions[source]) q->position[source][t->partition] = t->inputs[k].position;
        }
    }
    pthread_mutex_unlock(&q->lock);
}

void query_stats_of(query *q, query_stats *out)
{
    *out = (query_stats){ 0 };
    pthread_mutex_lock(&q->lock);
    for (uint32_t i = 0; i < q->worker_count; i++) {
        const query_stats *w = &q->workers[i].published;
        out->counts.rows_in += w->counts.rows_in;
        out->counts.rows_out += w->counts.rows_out;
        out->counts.bad_rows += w->counts.bad_rows;
        out->counts.late_rows += w->counts.late_rows;
        out->epochs += w->epochs;
        out->state_bytes += w->state_bytes;
        out->rows_per_s += rate_now(&q->workers[i], clock_monotonic_ms(q->env.clock));
        if (w->last_bad[0] != '\0') memcpy(out->last_bad, w->last_bad, sizeof out->last_bad);
    }
    if (q->error.rc != WEIR_OK) snprintf(out->last_error, sizeof out->last_error, "%.255s", q->error.message);
    pthread_mutex_unlock(&q->lock);
}

void query_op_stats(query *q, op_stats *by_step)
{
    uint32_t steps = q->entry.plan.step_count;

    memset(by_step, 0, sizeof *by_step * steps);
    pthread_mutex_lock(&q->lock);
    for (uint32_t i = 0; i < q->worker_count; i++) {
        for (uint32_t k = 0; k < steps; k++) {
            const op_stats *of = &q->workers[i].op_published[k];
            by_step[k].rows_in += of->rows_in;
            by_step[k].rows_out += of->rows_out;
            by_step[k].late_rows += of->late_rows;
            by_step[k].busy_ns += of->busy_ns;
            by_step[k].state_bytes += of->state_bytes;
        }
    }
    pthread_mutex_unlock(&q->lock);
}

void query_places(query *q, arena *a, source_place **out, uint32_t *count)
{
    uint32_t most = 0;

    *count = 0;
    for (uint32_t i = 0; i < q->source_count; i++) most += (uint32_t)q->source_partitions[i];
    *out = ARENA_ARRAY(a, source_place, most);
    pthread_mutex_lock(&q->lock);
    for (uint32_t i = 0; i < q->source_count; i++) {
        if (q->source_is_internal[i]) continue;
        slice topic = arena_copy(a, q->sources[i].topic);
        for (int32_t p = 0; p < q->source_partitions[i]; p++) (*out)[(*count)++] = (source_place){ topic, p, q->position[i][p] };
    }
    pthread_mutex_unlock(&q->lock);
}

weir_rc places_lag(storage *s, const source_place *places, uint32_t count, int64_t *records, weir_error *err)
{
    *records = 0;
    for (uint32_t i = 0; i < count; i++) {
        int64_t begin, end, at = places[i].offset;
        WEIR_TRY(topic_offsets(s, places[i].topic, places[i].partition, &begin, &end, err));
        if (at < begin) at = begin;
        if (end > at) *records += end - at;
    }
    return WEIR_OK;
}

/* ---- state and troubles ---- */

query_state query_state_of(query *q, weir_error *err)
{
    pthread_mutex_lock(&q->lock);
    query_state state = q->state;
    if (state == QUERY_AT_WORK && q->waiting_workers > 0) state = QUERY_WAITING;
    if (state == QUERY_AT_WORK && atomic_load(&q->held)) state = QUERY_HELD;
    if (err != NULL) *err = q->error;
    pthread_mutex_unlock(&q->lock);
    return state;
}

void query_note_error(query *q, const weir_error *err, bool is_fatal)
{
    pthread_mutex_lock(&q->lock);
    q->error = *err;
    if (is_fatal) {
        q->state = QUERY_FAILED;
        atomic_store(&q->ended, true);
    }
    pthread_mutex_unlock(&q->lock);
}

void worker_tell(worker *w, const weir_error *err)
{
    query *q = w->query;
    told *t = &w->told;
    int64_t now_ms = clock_monotonic_ms(q->env.clock);

    pthread_mutex_lock(&q->lock);
    bool is_news = err == NULL || err->act == WEIR_ACT_STOP || t->trouble != err->rc || now_ms - t->told_ms >= NOTICE_MS;
    q->waiting_workers += (err != NULL) - (t->trouble != WEIR_OK);
    t->trouble = err == NULL ? WEIR_OK : err->rc;
    t->met_ms = now_ms;
    t->epochs = w->published.epochs; /* as of its last commit */
    if (is_news) t->told_ms = now_ms;
    pthread_mutex_unlock(&q->lock);
    if (is_news && q->env.notice != NULL) q->env.notice(q->env.notice_self, q->entry.id, err);
}

void query_tell_waiting(query *q)
{
    weir_error why;

    for (uint32_t i = 0; i < q->worker_count; i++) {
        worker *w = &q->workers[i];
        int64_t since_ms = atomic_load(&w->commits_since_ms);
        if (since_ms == 0 || clock_monotonic_ms(q->env.clock) - since_ms < WAITING_MS) continue;
        storage_waits(q->env.storage, "commit", &why);
        worker_tell(w, &why);
        query_note_error(q, &why, false);
    }
}

/* A step that did nothing shows nothing: what failed was a commit. Where nothing is left to commit, the broker's answers
 * to others show it. */
bool worker_has_recovered(worker *w)
{
    query *q = w->query;
    size_t bytes;

    pthread_mutex_lock(&q->lock);
    const told last = w->told;
    pthread_mutex_unlock(&q->lock);
    if (last.trouble == WEIR_OK || w->epochs > last.epochs) return last.trouble != WEIR_OK;
    return last.trouble == WEIR_BROKER && !w->must_abort && !storage_is_cut_off(q->env.storage) && !worker_is_dirty(w, &bytes) &&
           clock_monotonic_ms(q->env.clock) - last.met_ms >= RECOVERY_MS;
}
