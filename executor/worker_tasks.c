/* executor/worker_tasks.c - the tasks of a worker: opened for the partitions it is given, dropped with those it loses, and joined
 * in memory where it has them all. */
#include "executor/worker.h"

#include "executor/merge.h"

#include <stdlib.h>

static task *find_task(worker *w, uint32_t stage, int32_t partition)
{
    for (uint32_t i = 0; i < w->task_count; i++) {
        if (w->tasks[i]->subtopology == stage && w->tasks[i]->partition == partition) return w->tasks[i];
    }
    return NULL;
}

/* A topic that several inputs read is handed out as it comes: its one position must do for all of them. */
static bool is_shared(const plan *p, const uint32_t *source_of_step, uint32_t source)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < p->step_count; i++) count += source_of_step[i] == source;
    return count > 1;
}

/* Several inputs are brought into order of time; the deterministic driver's order is that of arrival. */
static weir_rc open_merge(query *q, task *t, weir_error *err)
{
    int32_t *partitions = ARENA_ARRAY(t->plan_arena, int32_t, t->input_count);
    bool *is_direct = ARENA_ARRAY(t->plan_arena, bool, t->input_count);
    uint32_t waiting = 0;

    if (t->input_count < 2 || q->env.is_deterministic) return WEIR_OK;
    for (uint32_t i = 0; i < t->input_count; i++) {
        partitions[i] = q->source_partitions[t->inputs[i].source];
        is_direct[i] = is_shared(&q->entry.plan, q->shared.source_of_step, t->inputs[i].source);
        waiting += !is_direct[i];
    }
    return waiting < 2 ? WEIR_OK : merge_open(&t->merge, t, partitions, is_direct, q->max_idle_ms, err);
}

weir_rc worker_place_inputs(worker *w, task *t, weir_error *err)
{
    for (uint32_t i = 0; i < t->input_count; i++) {
        task_input *input = &t->inputs[i];
        if (t->partition >= w->query->source_partitions[input->source]) {
            input->is_idle = true;
            continue;
        }
        WEIR_TRY(client_position(w->client, input->source, t->partition, &input->position, err));
    }
    return WEIR_OK;
}

static weir_rc add_tasks(worker *w, int32_t partition, weir_error *err)
{
    query *q = w->query;

    for (uint32_t s = 0; s < q->entry.plan.subtopology_count; s++) {
        if (partition >= q->stage_partitions[s] || find_task(w, s, partition) != NULL) continue;
        if (w->task_count == w->task_room) {
            w->task_room = w->task_room == 0 ? 8 : w->task_room * 2;
            w->tasks = realloc(w->tasks, w->task_room * sizeof *w->tasks);
            if (w->tasks == NULL) abort();
        }
        task *t;
        WEIR_TRY(task_open(&t, &q->shared, s, partition, q->stage_partitions[s], w->space, w->client, w->client, w->log, err));
        weir_rc rc = open_merge(q, t, err);
        if (rc != WEIR_OK) {
            task_close(t);
            return rc;
        }
        t->readers = (task *const *const *)w->readers;
        w->tasks[w->task_count++] = t;
        WEIR_TRY(worker_place_inputs(w, t, err));
    }
    return WEIR_OK;
}

/* ---- exchanges within a worker ---- */

/* Whether all that is in a repartition topic has been read. */
static weir_rc is_drained(worker *w, uint32_t stage, uint32_t source, bool *drained, weir_error *err)
{
    query *q = w->query;

    *drained = true;
    for (int32_t p = 0; p < q->source_partitions[source] && *drained; p++) {
        int64_t begin, end;
        WEIR_TRY(topic_offsets(q->env.storage, q->sources[source].topic, p, &begin, &end, err));
        *drained = task_input_of(find_task(w, stage, p), source)->position >= end;
    }
    return WEIR_OK;
}

/* A worker that has all tasks of the query to itself commits them together, so that what they exchange need not be stored:
 * it goes from task to task in memory. Not to one that holds rows back for another input (see merge.h): its positions are
 * those of a topic. Called between epochs: what is in the topic is read before anything passes it by. */
weir_rc worker_find_readers(worker *w, weir_error *err)
{
    query *q = w->query;
    const plan *p = &q->entry.plan;
    uint32_t all = 0;

    for (uint32_t s = 0; s < p->subtopology_count; s++) all += (uint32_t)q->stage_partitions[s];
    w->looked_ms = clock_monotonic_ms(q->env.clock);
    if (!q->regroups_in_memory || q->env.is_deterministic || w->task_count != all) return WEIR_OK;
    for (uint32_t i = 0; i < p->step_count; i++) {
        uint32_t stage = exchange_reader(p, i), source = q->shared.source_of_step[i];
        bool drained;
        if (p->steps[i].kind != STEP_EXCHANGE || w->readers[i] != NULL || stage <= p->steps[i].subtopology) continue;
        if (find_task(w, stage, 0)->merge != NULL) continue;
        WEIR_TRY(is_drained(w, stage, source, &drained, err));
        if (!drained) continue;
        task **readers = ARENA_ARRAY(find_task(w, stage, 0)->plan_arena, task *, q->source_partitions[source]);
        for (int32_t partition = 0; partition < q->source_partitions[source]; partition++) {
            readers[partition] = find_task(w, stage, partition);
        }
        w->readers[i] = readers;
    }
    return WEIR_OK;
}

/* Not all tasks are this worker's any longer. */
static void forget_readers(worker *w)
{
    memset(w->readers, 0, sizeof *w->readers * w->query->entry.plan.step_count);
}

/* ---- partitions come and go ---- */

weir_rc worker_open_assigned(worker *w, weir_error *err)
{
    query *q = w->query;

    for (uint32_t i = 0; i < w->assigned_count; i++) WEIR_TRY(add_tasks(w, w->assigned[i], err));
    w->assigned_count = 0;
    WEIR_TRY(worker_find_readers(w, err));
    pthread_mutex_lock(&q->lock);
    if (!w->is_ready) q->ready_workers++;
    w->is_ready = true;
    if (q->ready_workers == q->worker_count && q->state == QUERY_STARTING) q->state = QUERY_AT_WORK;
    pthread_mutex_unlock(&q->lock);
    return WEIR_OK;
}

weir_rc worker_take_assignment(worker *w, const fetch *f, weir_error *err)
{
    w->assigned = realloc(w->assigned, (f->partition_count + 1) * sizeof *w->assigned);
    if (w->assigned == NULL) abort();
    if (f->partition_count > 0) memcpy(w->assigned, f->partitions, f->partition_count * sizeof *w->assigned);
    w->assigned_count = f->partition_count;
    return worker_open_assigned(w, err);
}

void worker_drop_tasks(worker *w, int32_t partition)
{
    query *q = w->query;
    uint32_t kept = 0;

    forget_readers(w);
    for (uint32_t i = 0; i < w->task_count; i++) {
        if (partition < 0 || w->tasks[i]->partition == partition) {
            pthread_mutex_lock(&q->lock);
            if (w->tasks[i]->is_done) q->stage_done[w->tasks[i]->subtopology]--; /* whoever gets it counts it again */
            pthread_mutex_unlock(&q->lock);
            task_close(w->tasks[i]);
        } else {
            w->tasks[kept++] = w->tasks[i];
        }
    }
    w->task_count = kept;
}
