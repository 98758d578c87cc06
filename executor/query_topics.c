/* executor/query_topics.c - the topics of a persistent query: those it reads and writes, those it makes for its exchanges, and how
 * many partitions each has, which says how many tasks each sub-topology needs. */
#include "executor/worker.h"

#define TOPICS_MS 5000 /* between looks whether the topics that are read are still there */

slice exchange_topic(arena *a, const storage *s, slice state_name, const step *exchange)
{
    slice prefix = storage_internal_prefix(s);

    return arena_printf(a, "%.*s%.*s-%.*s-%s", SLICE_ARG(prefix), SLICE_ARG(state_name), SLICE_ARG(exchange->exchange.name),
                        exchange->exchange.is_subscription ? "subscription" : "repartition");
}

static uint32_t add_source(query *q, slice topic, start_at start, bool is_internal, bool wants_headers)
{
    for (uint32_t i = 0; i < q->source_count; i++) {
        if (!slice_equal(q->sources[i].topic, topic)) continue;
        q->sources[i].wants_headers |= wants_headers;
        return i;
    }
    q->sources[q->source_count] = (client_source){ topic, start, wants_headers };
    q->source_is_internal[q->source_count] = is_internal;
    return q->source_count++;
}

static uint32_t add_sink(query *q, slice topic)
{
    for (uint32_t i = 0; i < q->sink_count; i++) {
        if (slice_equal(q->sinks[i], topic)) return i;
    }
    q->sinks[q->sink_count] = topic;
    return q->sink_count++;
}

uint32_t exchange_reader(const plan *p, uint32_t exchange)
{
    for (uint32_t i = exchange + 1; i < p->step_count; i++) {
        for (uint32_t k = 0; k < p->steps[i].input_count; k++) {
            if (p->steps[i].inputs[k] == exchange) return p->steps[i].subtopology;
        }
    }
    return 0;
}

static void find_topics(query *q)
{
    const plan *p = &q->entry.plan;
    uint32_t n = p->step_count;
    uint32_t *source_of = ARENA_ARRAY(q->arena, uint32_t, n), *sink_of = ARENA_ARRAY(q->arena, uint32_t, n);

    q->sources = ARENA_ARRAY(q->arena, client_source, n);
    q->source_is_internal = ARENA_ARRAY(q->arena, bool, n);
    q->sinks = ARENA_ARRAY(q->arena, slice, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        const step *s = &p->steps[i];
        source_of[i] = sink_of[i] = UINT32_MAX;
        if (s->kind == STEP_SOURCE) {
            source_of[i] = add_source(q, s->source.topic, p->latest ? START_LATEST : START_EARLIEST, false,
                                      s->source.reads_headers);
        } else if (s->kind == STEP_EXCHANGE) {
            slice topic = exchange_topic(q->arena, q->env.storage, plan_state_name(p), s);
            source_of[i] = add_source(q, topic, START_EARLIEST, true, false);
            sink_of[i] = add_sink(q, topic);
        } else if (s->kind == STEP_SINK) {
            sink_of[i] = add_sink(q, s->sink.topic);
        }
    }
    if (q->env.log_topic.data != NULL) add_sink(q, q->env.log_topic);
    q->shared.source_of_step = source_of;
    q->shared.sink_of_step = sink_of;
}

static weir_rc need_topic(query *q, slice name, topic_info *info, weir_error *err)
{
    bool found;

    WEIR_TRY(topic_find(q->env.storage, name, info, &found, err));
    if (found) return WEIR_OK;
    return weir_fail(err, WEIR_RUNTIME, NOWHERE, "query %.*s needs the topic %.*s, which does not exist: create it, or drop "
                     "the query", SLICE_ARG(q->entry.id), SLICE_ARG(name));
}

static weir_rc make_exchanges(query *q, weir_error *err)
{
    const plan *p = &q->entry.plan;

    for (uint32_t i = 0; i < p->step_count; i++) {
        const step *s = &p->steps[i];
        if (s->kind != STEP_EXCHANGE) continue;
        topic_info info;
        bool found;
        slice topic = q->sources[q->shared.source_of_step[i]].topic;
        WEIR_TRY(topic_find(q->env.storage, topic, &info, &found, err));
        if (found) continue;
        const topic_spec spec = { .name = topic, .partitions = q->env.single_partition ? 1 : s->exchange.partitions, .replicas = 1, .retention_ms = -1,
                                  .retention_bytes = -1, .is_internal = true };
        WEIR_TRY(topic_create(q->env.storage, &spec, err));
    }
    return WEIR_OK;
}

/* Partition counts: of sources, of sinks, of each sub-topology (the most of its sources). */
static weir_rc measure_topics(query *q, weir_error *err)
{
    const plan *p = &q->entry.plan;
    int32_t *sink_partitions = ARENA_ARRAY(q->arena, int32_t, q->sink_count);
    uint64_t *record_max = ARENA_ARRAY(q->arena, uint64_t, q->sink_count);
    int32_t *upstreams = ARENA_ZEROS(q->arena, int32_t, p->step_count);
    topic_info info;

    q->source_partitions = ARENA_ARRAY(q->arena, int32_t, q->source_count);
    q->stage_partitions = ARENA_ZEROS(q->arena, int32_t, p->subtopology_count + 1);
    for (uint32_t i = 0; i < q->source_count; i++) {
        WEIR_TRY(need_topic(q, q->sources[i].topic, &info, err));
        q->source_partitions[i] = info.partitions;
    }
    for (uint32_t i = 0; i < p->step_count; i++) {
        const step *s = &p->steps[i];
        if (s->kind != STEP_SOURCE && s->kind != STEP_EXCHANGE) continue;
        int32_t *most = &q->stage_partitions[s->kind == STEP_SOURCE ? s->subtopology : exchange_reader(p, i)];
        int32_t partitions = q->source_partitions[q->shared.source_of_step[i]];
        if (partitions > *most) *most = partitions;
    }
    for (uint32_t i = 0; i < q->sink_count; i++) {
        WEIR_TRY(need_topic(q, q->sinks[i], &info, err));
        sink_partitions[i] = info.partitions;
        WEIR_TRY(topic_record_bytes_max(q->env.storage, q->sinks[i], &record_max[i], err));
    }
    for (uint32_t i = 0; i < p->step_count; i++) {
        if (p->steps[i].kind == STEP_EXCHANGE) upstreams[i] = q->stage_partitions[p->steps[i].subtopology];
    }
    q->shared.sink_partitions = sink_partitions;
    q->shared.sink_record_bytes_max = record_max;
    q->shared.upstreams = upstreams;
    return WEIR_OK;
}

weir_rc query_open_topics(query *q, weir_error *err)
{
    find_topics(q);
    WEIR_TRY(make_exchanges(q, err));
    WEIR_TRY(measure_topics(q, err));
    q->position = ARENA_ARRAY(q->arena, int64_t *, q->source_count);
    for (uint32_t i = 0; i < q->source_count; i++) {
        q->position[i] = ARENA_ARRAY(q->arena, int64_t, q->source_partitions[i]);
        for (int32_t p = 0; p < q->source_partitions[i]; p++) q->position[i][p] = -1;
    }
    return WEIR_OK;
}

/* A topic of Kafka's that is deleted just has no more records, as far as its readers see. */
weir_rc worker_check_topics(worker *w, weir_error *err)
{
    const query *q = w->query;
    int64_t now_ms = clock_monotonic_ms(q->env.clock);
    topic_info info;
    bool found;

    if (!storage_is_kafka(q->env.storage) || storage_is_cut_off(q->env.storage)) return WEIR_OK;
    if (!w->lacks_topic && now_ms - w->topics_seen_ms < TOPICS_MS) return WEIR_OK;
    w->topics_seen_ms = now_ms;
    for (uint32_t i = 0; i < q->source_count; i++) {
        WEIR_TRY(topic_find(q->env.storage, q->sources[i].topic, &info, &found, err));
        if (found) continue;
        w->lacks_topic = true;
        return weir_fail_act(err, WEIR_BROKER, WEIR_ACT_RETRY, "topic %.*s, which query %.*s reads, is gone: create it again, or drop the "
                             "query", SLICE_ARG(q->sources[i].topic), SLICE_ARG(q->entry.id));
    }
    w->lacks_topic = false;
    return WEIR_OK;
}
