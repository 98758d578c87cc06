/* executor/query_ends.c - --until-end: where the inputs of a query end, which of its tasks have come there, and with the last of
 * them the end of the query. */
#include "executor/worker.h"

static weir_rc learn_target(query *q, uint32_t source, weir_error *err)
{
    source_target *t = &q->targets[source];

    for (int32_t p = 0; p < q->source_partitions[source]; p++) {
        int64_t begin;
        WEIR_TRY(topic_offsets(q->env.storage, q->sources[source].topic, p, &begin, &t->offset[p], err));
    }
    t->is_known = true;
    return WEIR_OK;
}

/* Asked without the query's lock: those who go through the list of queries take each one's while they hold the list's. */
static void note_settled(query *q)
{
    for (uint32_t i = 0; i < q->source_count; i++) {
        if (q->source_is_internal[i] || atomic_load(&q->targets[i].is_settled)) continue;
        if (!q->env.topic_grows(q->env.self, q->entry.id, q->sources[i].topic)) atomic_store(&q->targets[i].is_settled, true);
    }
}

/* The stage that writes a repartition topic is complete when all its tasks are; then the topic's end is known. */
static weir_rc learn_targets(query *q, weir_error *err)
{
    const plan *p = &q->entry.plan;

    for (uint32_t i = 0; i < q->source_count; i++) {
        if (q->targets[i].is_known) continue;
        if (!q->source_is_internal[i]) {
            if (atomic_load(&q->targets[i].is_settled)) WEIR_TRY(learn_target(q, i, err));
            continue;
        }
        for (uint32_t k = 0; k < p->step_count; k++) {
            if (q->shared.sink_of_step[k] == UINT32_MAX || q->shared.source_of_step[k] != i) continue;
            uint32_t stage = p->steps[k].subtopology;
            if (q->stage_done[stage] == (uint32_t)q->stage_partitions[stage]) WEIR_TRY(learn_target(q, i, err));
        }
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
    pthread_mutex_lock(&q->lock);
    weir_rc rc = learn_targets(q, err);
    for (uint32_t i = 0; rc == WEIR_OK && i < w->task_count; i++) {
        task *t = w->tasks[i];
        if (t->is_done || !reached(q, t)) continue;
        some_end = true;
        /* Told of, and committed, before it counts: those downstream read up to there, and must not wait for it. */
        for (uint32_t k = 0; rc == WEIR_OK && k < t->input_count; k++) rc = task_idle(t, &t->inputs[k], err);
        is_told |= task_has_work(t);
    }
    pthread_mutex_unlock(&q->lock);
    if (rc != WEIR_OK || is_told) return rc;
    if (some_end) WEIR_TRY(client_settle(w->client, err)); /* what comes after reads up to the ends as they are then */

    pthread_mutex_lock(&q->lock);
    for (uint32_t i = 0; rc == WEIR_OK && i < w->task_count; i++) {
        task *t = w->tasks[i];
        if (t->is_done || !reached(q, t)) continue;
        t->is_done = true;
        q->stage_done[t->subtopology]++;
        rc = learn_targets(q, err);
    }
    bool all = rc == WEIR_OK;
    for (uint32_t s = 0; s < q->entry.plan.subtopology_count; s++) {
        all = all && q->stage_done[s] == (uint32_t)q->stage_partitions[s];
    }
    if (all && q->state == QUERY_AT_WORK) {
        q->state = QUERY_ENDED;
        atomic_store(&q->ended, true);
    }
    pthread_mutex_unlock(&q->lock);
    return rc;
}
