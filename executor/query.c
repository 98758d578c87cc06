/* executor/query.c - the life of a persistent query: opened from its plan, started, held, driven, stopped. See query.h. */
#include "executor/worker.h"

#include "core/number.h"

#include <stdlib.h>

#define STATE_BUDGET_BYTES_MIN ((size_t)1 << 20)

/* ---- opening ---- */

/* The query's own copy of its plan: through its text, which is what a restart would read as well. */
static weir_rc copy_entry(query *q, const query_entry *of, weir_error *err)
{
    text printed = TEXT_EMPTY;

    plan_print(&printed, &of->plan);
    slice kept = text_keep(&printed, q->arena);
    q->entry.id = arena_copy(q->arena, of->id);
    q->entry.sink = arena_copy(q->arena, of->sink);
    q->entry.status = of->status;
    WEIR_TRY(plan_parse(kept, q->arena, &q->entry.plan, err));
    plan_use_registry(&q->entry.plan, q->env.registry);
    plan_prepare(&q->entry.plan);
    return WEIR_OK;
}

/* 0 is about what is emitted, not about memory. */
static void take_state_budget(query *q, slice value)
{
    int64_t bytes;

    if (parse_i64(value, &bytes) != NUMBER_FITS || bytes == 0) return;
    q->env.state_budget_bytes = bytes < (int64_t)STATE_BUDGET_BYTES_MIN ? STATE_BUDGET_BYTES_MIN : (size_t)bytes;
}

/* They were checked when they were SET. */
static void take_properties(query *q)
{
    const plan *p = &q->entry.plan;
    int64_t ms;

    if (parse_i64(plan_property(p, "commit.interval.ms"), &ms) == NUMBER_FITS) q->env.commit_interval_ms = ms;
    take_state_budget(q, plan_property(p, "cache.max.bytes.buffering"));
    take_state_budget(q, plan_property(p, "statestore.cache.max.bytes"));
    q->regroups_in_memory = !slice_equal_nocase(plan_property(p, "repartition.in.memory"), SLICE("false"));
    if (parse_i64(plan_property(p, "max.task.idle.ms"), &ms) == NUMBER_FITS) q->max_idle_ms = ms;
    q->env.at_least_once |= slice_equal_nocase(plan_property(p, "processing.guarantee"), SLICE("at_least_once"));
}

static weir_rc open_workers(query *q, weir_error *err)
{
    int32_t most = 1;

    for (uint32_t i = 0; i < q->source_count; i++) {
        if (q->source_partitions[i] > most) most = q->source_partitions[i];
    }
    /* On Kafka one client: a second member of the group costs a rebalance at start, and librdkafka's own threads already
     * work beside the worker. */
    bool is_lone = q->env.is_deterministic || q->env.threads == 0 || storage_is_kafka(q->env.storage);
    q->worker_count = is_lone ? 1 : q->env.threads;
    if (q->worker_count > (uint32_t)most) q->worker_count = (uint32_t)most;
    q->shared.state_budget_bytes = q->env.state_budget_bytes / (uint32_t)most;
    q->workers = calloc(q->worker_count, sizeof *q->workers);
    if (q->workers == NULL) return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory for workers");
    for (uint32_t i = 0; i < q->worker_count; i++) { /* all of them, before any may fail: query_stop() closes each */
        worker *w = &q->workers[i];
        w->query = q;
        w->is_behind = true;
        w->space = workspace_new(q->entry.plan.subtopology_count);
        w->readers = ARENA_ZEROS(q->arena, task *const *, q->entry.plan.step_count);
        w->op_published = ARENA_ZEROS(q->arena, op_stats, q->entry.plan.step_count);
        w->log = bad_log_new(q->entry.id, q->env.log_topic.data == NULL ? UINT32_MAX : q->sink_count - 1, q->env.clock);
    }
    for (uint32_t i = 0; i < q->worker_count; i++) {
        const client_spec spec = { .name = plan_state_name(&q->entry.plan), .sources = q->sources, .source_count = q->source_count,
                                   .sinks = q->sinks, .sink_count = q->sink_count, .instance = i,
                                   .instances = q->worker_count, .at_least_once = q->env.at_least_once };
        WEIR_TRY(client_open(&q->workers[i].client, q->env.storage, &spec, err));
    }
    return WEIR_OK;
}

static weir_rc open_query(query *q, const query_entry *of, weir_error *err)
{
    WEIR_TRY(copy_entry(q, of, err));
    take_properties(q);
    WEIR_TRY(query_open_topics(q, err));
    q->shared.plan = &q->entry.plan;
    q->shared.state_name = plan_state_name(&q->entry.plan);
    q->shared.clock = q->env.clock;
    q->shared.batch_rows = q->env.batch_rows;
    q->shared.every_change = q->entry.plan.every_change;
    q->shared.forced_partition = -1;
    WEIR_TRY(query_open_targets(q, err));
    return open_workers(q, err);
}

weir_rc query_start(query **out, const query_env *env, const query_entry *of, weir_error *err)
{
    arena *a = arena_new(0);
    query *q = ARENA_NEW(a, query);

    q->arena = a;
    q->env = *env;
    q->state = QUERY_STARTING;
    atomic_store(&q->held, of->status == QUERY_PAUSED);
    pthread_mutex_init(&q->lock, NULL);
    weir_rc rc = open_query(q, of, err);
    for (uint32_t i = 0; rc == WEIR_OK && !env->is_deterministic && i < q->worker_count; i++) {
        if (worker_start(&q->workers[i])) continue;
        rc = weir_fail(err, WEIR_RUNTIME, NOWHERE, "cannot start a thread for query %.*s", SLICE_ARG(q->entry.id));
    }
    if (rc != WEIR_OK) {
        query_stop(q);
        return rc;
    }
    *out = q;
    return WEIR_OK;
}

void query_stop(query *q)
{
    if (q == NULL) return;
    atomic_store(&q->stopping, true);
    for (uint32_t i = 0; q->workers != NULL && i < q->worker_count; i++) {
        worker *w = &q->workers[i];
        if (w->client != NULL) client_wake(w->client);
    }
    for (uint32_t i = 0; q->workers != NULL && i < q->worker_count; i++) {
        worker *w = &q->workers[i];
        if (w->has_thread) pthread_join(w->thread, NULL);
        worker_drop_tasks(w, -1);
        workspace_free(w->space);
        free(w->tasks);
        free(w->assigned);
        client_close(w->client);
        bad_log_free(w->log);
    }
    free(q->workers);
    pthread_mutex_destroy(&q->lock);
    plan_release(&q->entry.plan);
    arena_free(q->arena);
}

/* ---- at work ---- */

void query_hold(query *q, bool held)
{
    atomic_store(&q->held, held);
}

slice query_id(const query *q)
{
    return q->entry.id;
}

const plan *query_plan(const query *q)
{
    return &q->entry.plan;
}

bool query_has_ended(const query *q)
{
    return atomic_load(&q->ended);
}

bool query_has_caught_up(const query *q)
{
    if (query_has_ended(q) || atomic_load(&q->held)) return true;
    for (uint32_t i = 0; i < q->worker_count; i++) {
        if (!atomic_load(&q->workers[i].has_caught_up)) return false;
    }
    return true;
}

/* ---- the deterministic driver ---- */

weir_rc query_advance(query *q, bool *progressed, weir_error *err)
{
    weir_error failed;
    *progressed = false;
    if (atomic_load(&q->held) || query_state_of(q, &failed) == QUERY_FAILED) return WEIR_OK;
    weir_rc rc = worker_advance(&q->workers[0], progressed, err);
    if (rc != WEIR_OK && err->act == WEIR_ACT_STOP) query_note_error(q, err, true);
    return rc;
}

void query_limit_source(query *q, slice topic, int64_t offset)
{
    if (q->limits == NULL) {
        q->limits = ARENA_ARRAY(q->arena, int64_t, q->source_count);
        for (uint32_t i = 0; i < q->source_count; i++) q->limits[i] = q->source_is_internal[i] ? INT64_MAX : 0;
    }
    for (uint32_t i = 0; i < q->source_count; i++) {
        if (slice_equal(q->sources[i].topic, topic)) q->limits[i] = offset;
    }
}
