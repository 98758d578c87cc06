/* executor/worker.c - a worker: polls its client, hands what comes to its tasks, commits them together. See worker.h. */
#include "executor/worker.h"

#include "core/thread.h"
#include "executor/commit.h"
#include "executor/merge.h"

#define WAITING_BYTES_MAX ((size_t)8 << 20) /* of outputs that the commit will write */
#define STRETCHED_INTERVAL_MS 1000 /* of an epoch while behind */
#define KAFKA_IDLE_COMMIT_MS 10    /* a transaction is not worth less */
#define IDLE_POLL_MS 200
#define CATCH_UP_POLL_MS 10 /* while it waits for another query */
#define UNTIL_END_POLL_MS 20 /* an end may become known without an event */
#define HELD_SLEEP_MS 20
#define RETRY_MS_MIN 10
#define RETRY_MS_MAX 1000
#define LOOK_MS 1000 /* between looks for exchanges that could be in memory */

/* ---- an epoch ---- */

bool worker_is_dirty(const worker *w, size_t *bytes)
{
    bool dirty = false;

    *bytes = 0;
    for (uint32_t i = 0; i < w->task_count; i++) {
        dirty |= task_has_work(w->tasks[i]);
        *bytes += task_dirty_bytes(w->tasks[i]);
    }
    return dirty;
}

/* Whether what comes is taken as it comes: most polls of the epoch found little. */
static bool keeps_up(const worker *w)
{
    return w->polled_rows < w->polls * w->query->env.batch_rows / 8;
}

/* How long the epoch lasts while rows come: the longer the further behind, and no shorter than commits take when none is. */
static int64_t epoch_ms(const worker *w)
{
    const query_env *env = &w->query->env;
    int64_t most = env->commit_interval_ms;

    if (w->is_behind) return most < STRETCHED_INTERVAL_MS ? STRETCHED_INTERVAL_MS : most;
    if (env->at_least_once || !keeps_up(w)) return most; /* at least once nobody waits for the commit */
    int64_t least = w->commit_took_ms > KAFKA_IDLE_COMMIT_MS ? w->commit_took_ms : KAFKA_IDLE_COMMIT_MS;
    return least < most ? least : most;
}

/* Whether the epoch ends now. */
static bool is_due(worker *w, bool got_rows, bool dirty, size_t dirty_bytes)
{
    const query_env *env = &w->query->env;
    int64_t now = clock_monotonic_ms(env->clock);

    if (!dirty) return false;
    if (env->is_deterministic) return true;
    if (w->epoch_began_ms == 0) w->epoch_began_ms = now;
    if (dirty_bytes > env->state_budget_bytes / 4) return true; /* the commit needs several times as much */
    if (client_waiting_bytes(w->client) > WAITING_BYTES_MAX) return true;
    if (!got_rows) return !storage_is_kafka(env->storage) || now - w->committed_ms >= KAFKA_IDLE_COMMIT_MS;
    return now - w->epoch_began_ms >= epoch_ms(w);
}

/* Once they have all been at their ends, readers of what they write may take an end for an end. */
static weir_rc note_caught_up(worker *w, weir_error *err)
{
    bool all = w->is_ready;

    for (uint32_t i = 0; i < w->task_count; i++) all = all && w->tasks[i]->has_caught_up;
    if (all && !atomic_load(&w->has_caught_up)) WEIR_TRY(client_settle(w->client, err));
    atomic_store(&w->has_caught_up, all);
    return WEIR_OK;
}

static weir_rc commit_worker(worker *w, weir_error *err)
{
    int64_t began_ms = clock_monotonic_ms(w->query->env.clock);

    atomic_store(&w->commits_since_ms, began_ms);
    weir_rc rc = commit_tasks(w->client, w->tasks, w->task_count, w->log, err);
    atomic_store(&w->commits_since_ms, 0);
    if (rc != WEIR_OK) return rc;
    WEIR_TRY(note_caught_up(w, err));
    w->committed_ms = clock_monotonic_ms(w->query->env.clock);
    w->commit_took_ms = w->committed_ms - began_ms;
    w->epoch_began_ms = 0;
    w->is_behind = true;
    w->polls = w->polled_rows = 0;
    w->epochs++;
    worker_publish(w);
    return WEIR_OK;
}

static weir_rc abort_epoch(worker *w, weir_error *err)
{
    WEIR_TRY(client_abort(w->client, err));
    bad_log_forget(w->log);
    for (uint32_t i = 0; i < w->task_count; i++) {
        WEIR_TRY(task_forget(w->tasks[i], err));
        WEIR_TRY(worker_place_inputs(w, w->tasks[i], err));
    }
    w->epoch_began_ms = 0;
    w->must_abort = false;
    atomic_store(&w->has_caught_up, false);
    return WEIR_OK;
}

/* ---- a step ---- */

/* Whatever comes of the commit, the tasks are another's from here on. */
static weir_rc take_revocation(worker *w, const fetch *f, weir_error *err)
{
    weir_rc rc = f->lost == NULL ? commit_worker(w, err) : f->lost->rc;

    for (uint32_t i = 0; i < f->partition_count; i++) worker_drop_tasks(w, f->partitions[i]);
    w->assigned_count = 0;
    if (f->lost != NULL) *err = *f->lost;
    return rc;
}

static weir_rc take_event(worker *w, const fetch *f, weir_error *err)
{
    switch (f->kind) {
    case FETCH_RECORDS: return worker_take_records(w, f, err);
    case FETCH_END: return worker_take_end(w, f, err);
    case FETCH_ASSIGNED:
        WEIR_TRY(worker_take_assignment(w, f, err));
        worker_publish(w); /* its positions */
        return WEIR_OK;
    case FETCH_REVOKED: return take_revocation(w, f, err);
    }
    return WEIR_OK;
}

/* Deterministic: a source whose limit is reached waits. */
static weir_rc apply_limits(worker *w, weir_error *err)
{
    query *q = w->query;

    for (uint32_t i = 0; i < w->task_count; i++) {
        for (uint32_t k = 0; k < w->tasks[i]->input_count; k++) {
            const task_input *input = &w->tasks[i]->inputs[k];
            if (w->tasks[i]->partition >= q->source_partitions[input->source]) continue;
            bool is_paused = input->position >= q->limits[input->source];
            WEIR_TRY(client_pause(w->client, input->source, w->tasks[i]->partition, is_paused, err));
        }
    }
    return WEIR_OK;
}

static weir_rc run_merges(worker *w, weir_error *err)
{
    for (uint32_t i = 0; i < w->task_count; i++) {
        if (w->tasks[i]->merge == NULL) continue;
        WEIR_TRY(merge_run(w->tasks[i]->merge, err));
        WEIR_TRY(merge_throttle(w->tasks[i]->merge, w->client, err));
    }
    return WEIR_OK;
}

/* How long a poll may wait for records. waits: for another query to come to its end. */
static int poll_ms(const worker *w, bool dirty, bool waits)
{
    const query_env *env = &w->query->env;
    int most_ms = IDLE_POLL_MS;

    if (env->is_deterministic) return 0;
    if (dirty) most_ms = storage_is_kafka(env->storage) ? KAFKA_IDLE_COMMIT_MS : 0;
    for (uint32_t i = 0; i < w->task_count; i++) {
        int64_t wait_ms = w->tasks[i]->merge == NULL ? -1 : merge_wait_ms(w->tasks[i]->merge);
        if (wait_ms > 0 && wait_ms < most_ms) most_ms = (int)wait_ms;
    }
    if (waits && most_ms > CATCH_UP_POLL_MS) most_ms = CATCH_UP_POLL_MS;
    if (env->until_end && most_ms > UNTIL_END_POLL_MS) most_ms = UNTIL_END_POLL_MS;
    return most_ms;
}

static weir_rc step_worker(worker *w, bool *progressed, weir_error *err)
{
    query *q = w->query;
    const fetch *events;
    uint32_t count, rows = 0;
    size_t dirty_bytes;
    bool waits, dirty = worker_is_dirty(w, &dirty_bytes);

    *progressed = false;
    if (w->assigned_count > 0) WEIR_TRY(worker_open_assigned(w, err));
    WEIR_TRY(worker_end_waiting(w, &waits, err));
    if (q->limits != NULL) WEIR_TRY(apply_limits(w, err));
    WEIR_TRY(client_poll(w->client, poll_ms(w, dirty, waits), q->limits != NULL ? 1 : q->env.batch_rows, &events, &count, err));
    for (uint32_t i = 0; i < count; i++) {
        if (events[i].kind == FETCH_RECORDS) rows += events[i].rows;
        *progressed |= events[i].kind != FETCH_END;
        WEIR_TRY(take_event(w, &events[i], err));
    }
    WEIR_TRY(run_merges(w, err));
    if (rows < q->env.batch_rows / 2) w->is_behind = false;
    w->polls++;
    w->polled_rows += rows;
    if (q->env.at_least_once && rows > 0 && keeps_up(w)) WEIR_TRY(release_tasks(w->tasks, w->task_count, err));
    dirty = worker_is_dirty(w, &dirty_bytes);
    if (is_due(w, rows > 0, dirty, dirty_bytes)) {
        WEIR_TRY(commit_worker(w, err));
        *progressed = true;
        dirty = false;
    }
    if (q->env.until_end && !dirty) WEIR_TRY(worker_check_ends(w, err));
    if (rows == 0 && !dirty && w->task_count > 0 && clock_monotonic_ms(q->env.clock) - w->looked_ms >= LOOK_MS) {
        WEIR_TRY(worker_find_readers(w, err));
    }
    return WEIR_OK;
}

weir_rc worker_advance(worker *w, bool *progressed, weir_error *err)
{
    *progressed = false;
    if (w->must_abort) WEIR_TRY(abort_epoch(w, err));
    weir_rc rc = step_worker(w, progressed, err);
    if (rc == WEIR_OK && !*progressed) rc = worker_check_topics(w, err);
    w->must_abort = rc != WEIR_OK;
    return rc;
}

/* ---- its thread ---- */

/* Of a query that is held or stopped: commits what is complete. */
static weir_rc rest_worker(worker *w, weir_error *err)
{
    size_t bytes;

    if (w->must_abort) return abort_epoch(w, err);
    if (!worker_is_dirty(w, &bytes)) return WEIR_OK;
    weir_rc rc = commit_worker(w, err);
    w->must_abort = rc != WEIR_OK;
    return rc;
}

/* A query goes on after a pause: what came meanwhile is a backlog. */
static weir_rc resume_worker(worker *w, weir_error *err)
{
    const query *q = w->query;
    int64_t begin, end;

    w->was_held = false;
    for (uint32_t i = 0; i < w->task_count; i++) {
        task *t = w->tasks[i];
        for (uint32_t k = 0; k < t->input_count; k++) {
            const task_input *input = &t->inputs[k];
            if (t->partition >= q->source_partitions[input->source]) continue;
            WEIR_TRY(topic_offsets(q->env.storage, q->sources[input->source].topic, t->partition, &begin, &end, err));
            if (end > input->position) t->has_caught_up = false;
        }
        if (!t->has_caught_up) atomic_store(&w->has_caught_up, false);
    }
    return WEIR_OK;
}

static void *run_worker(void *argument)
{
    worker *w = argument;
    query *q = w->query;
    int64_t retry_ms = RETRY_MS_MIN;

    while (!atomic_load(&q->stopping) && !query_has_ended(q)) {
        weir_error err = { .rc = WEIR_OK };
        bool progressed, is_held = atomic_load(&q->held);
        weir_rc rc = WEIR_OK;
        if (is_held) {
            rc = rest_worker(w, &err);
            w->was_held = true;
        } else {
            if (w->was_held) rc = resume_worker(w, &err);
            if (rc == WEIR_OK) rc = worker_advance(w, &progressed, &err);
        }
        if (rc == WEIR_OK) {
            retry_ms = RETRY_MS_MIN;
            if (worker_has_recovered(w)) worker_tell(w, NULL);
            if (is_held) thread_sleep_ms(HELD_SLEEP_MS);
            continue;
        }
        worker_tell(w, &err);
        if (err.act == WEIR_ACT_STOP) {
            query_note_error(q, &err, true);
            break;
        }
        /* Whatever was at fault gets time to recover. */
        query_note_error(q, &err, false);
        thread_sleep_ms(retry_ms);
        retry_ms = retry_ms * 2 > RETRY_MS_MAX ? RETRY_MS_MAX : retry_ms * 2;
    }
    weir_error err = { .rc = WEIR_OK };
    if (atomic_load(&q->stopping) && !query_has_ended(q) && rest_worker(w, &err) != WEIR_OK) query_note_error(q, &err, false);
    worker_publish(w);
    return NULL;
}

bool worker_start(worker *w)
{
    w->has_thread = thread_start(&w->thread, run_worker, w);
    return w->has_thread;
}
