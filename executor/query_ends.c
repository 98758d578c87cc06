/* executor/query_ends.c - --until-end: where the inputs of a query end, which of its tasks have come there, and with the last of
 * them the end of the query. */
#include "executor/worker.h"

#include <stdlib.h>

/* Asked without the query's lock: those who go through the list of queries take each one's while they hold the list's. */
static void note_settled(query *q)
{
    for (uint32_t i = 0; i < q->source_count; i++) {
        if (q->source_is_internal[i] || atomic_load(&q->targets[i].is_settled)) continue;
        if (!q->env.topic_grows(q->env.self, q->entry.id, q->sources[i].topic)) atomic_store(&q->targets[i].is_settled, true);
    }
}

/* Can the source's ends be known, and are not yet? A repartition topic's can once all tasks of the stage that writes it are done. */
static bool is_to_be_learnt(query *q, uint32_t source)
{
    const plan *p = &q->entry.plan;
    bool is_complete = !q->source_is_internal[source] && atomic_load(&q->targets[source].is_settled);

    pthread_mutex_lock(&q->lock);
    for (uint32_t k = 0; k < p->step_count && q->source_is_internal[source]; k++) {
        if (q->shared.sink_of_step[k] == UINT32_MAX || q->shared.source_of_step[k] != source) continue;
        uint32_t stage = p->steps[k].subtopology;
        is_complete |= q->stage_done[stage] == (uint32_t)q->stage_partitions[stage];
    }
    bool is_known = q->targets[source].is_known;
    pthread_mutex_unlock(&q->lock);
    return is_complete && !is_known;
}

/* Without the lock while the storage is asked, whose answer may be long in coming. Of several workers that ask at once one is
 * heeded: nobody writes there any more. */
static weir_rc learn_target(query *q, uint32_t source, weir_error *err)
{
    source_target *t = &q->targets[source];
    int32_t partitions = q->source_partitions[source];
    int64_t *ends = calloc((size_t)partitions, sizeof *ends), begin;
    weir_rc rc = WEIR_OK;

    if (ends == NULL) abort();
    for (int32_t p = 0; rc == WEIR_OK && p < partitions; p++) {
        rc = topic_offsets(q->env.storage, q->sources[source].topic, p, &begin, &ends[p], err);
    }
    pthread_mutex_lock(&q->lock);
    if (rc == WEIR_OK && !t->is_known) {
        memcpy(t->offset, ends, (size_t)partitions * sizeof *ends);
        t->is_known = true;
    }
    pthread_mutex_unlock(&q->lock);
    free(ends);
    return rc;
}

static weir_rc learn_targets(query *q, weir_error *err)
{
    for (uint32_t i = 0; i < q->source_count; i++) {
        if (is_to_be_learnt(q, i)) WEIR_TRY(learn_target(q, i, err));
    }
    return WEIR_OK;
}

weir_rc query_open_targets(query *q, weir_error *err)
{
    q->targets = ARENA_ZEROS(q->arena, source_target, q->source_count);
    for (uint32_t i = 0; i < q->source_count; i++) {
        q->targets[i].offset = ARENA_ZEROS(q->arena, int64_t, q->source_partitions[i]);
    }
    q->stage_done = ARENA_ZEROS(q->arena, uint32_t, q->entry.plan.subtopology_count + 1);
    if (!q->env.until_end) return WEIR_OK;
    note_settled(q);
    return learn_targets(q, err);
}

static bool reached(query *q, const task *t)
{
    for (uint32_t i = 0; i < t->input_count; i++) {
        const task_input *input = &t->inputs[i];
        const source_target *target = &q->targets[input->source];
        if (t->partition >= q->source_partitions[input->source]) continue;
        if (!target->is_known) return false;
        if (input->position < target->offset[t->partition]) return false;
    }
    return true;
}

weir_rc worker_check_ends(worker *w, weir_error *err)
{
    query *q = w->query;
    bool some_end = false, is_told = false;

    note_settled(q);
    WEIR_TRY(learn_targets(q, err));
    weir_rc rc = WEIR_OK;
    pthread_mutex_lock(&q->lock);
    for (uint32_t i = 0; rc == WEIR_OK && i < w->task_count; i++) {
        task *t = w->tasks[i];
        t->is_ending = !t->is_done && reached(q, t);
        if (!t->is_ending) continue;
        some_end = true;
        /* Told of, and committed, before it counts: those downstream read up to there, and must not wait for it. */
        for (uint32_t k = 0; rc == WEIR_OK && k < t->input_count; k++) rc = task_idle(t, &t->inputs[k], err);
        is_told |= task_has_work(t);
    }
    pthread_mutex_unlock(&q->lock);
    if (rc != WEIR_OK || is_told) return rc;
    if (some_end) WEIR_TRY(client_settle(w->client, err)); /* what comes after reads up to the ends as they are then */

    bool all = true;
    pthread_mutex_lock(&q->lock);
    for (uint32_t i = 0; i < w->task_count; i++) {
        task *t = w->tasks[i];
        if (!t->is_ending) continue;
        t->is_done = true;
        q->stage_done[t->subtopology]++;
    }
    for (uint32_t s = 0; s < q->entry.plan.subtopology_count; s++) {
        all = all && q->stage_done[s] == (uint32_t)q->stage_partitions[s];
    }
    if (all && q->state == QUERY_AT_WORK) {
        q->state = QUERY_ENDED;
        atomic_store(&q->ended, true);
    }
    pthread_mutex_unlock(&q->lock);
    return WEIR_OK;
}
