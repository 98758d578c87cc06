/* storage/kafka_client.c - a worker's consumer: which partitions are its own, what is fetched from them, and where it is.
 *
 * A change of assignment goes through three polls' eyes: librdkafka's callback notes it (SEEN) and ends the drain, that
 * poll reports it, and the next one tells librdkafka; between the two the caller commits, or restores its tasks. */
#include "storage/kafka.h"

#include "core/thread.h"

#include <stdio.h>
#include <stdlib.h>

#define SEEK_MS 5000
#define DESTROY_MS_MAX 5000
#define FENCED_AGAIN_MS 60000
#define WAKE_BELOW 18000 /* fetched records left: time to fetch more */

static kafka_client *kafka_of(client *c)
{
    return (kafka_client *)c;
}

kafka_slot *kafka_slot_of(kafka_client *c, uint32_t source, int32_t partition)
{
    if (source >= c->source_count || partition < 0 || partition >= c->sources[source].partitions) return NULL;
    return &c->sources[source].slots[partition];
}

static kafka_slot *slot_named(kafka_client *c, const char *topic, int32_t partition)
{
    for (uint32_t i = 0; i < c->source_count; i++) {
        if (strcmp(c->sources[i].topic, topic) == 0) return kafka_slot_of(c, i, partition);
    }
    return NULL;
}

/* ---- opening ---- */

/* Called inside rd_kafka_consumer_poll. */
static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *partitions,
                         void *opaque)
{
    kafka_client *c = ((kafka_handle *)opaque)->client;

    if (c->is_closing) {
        (void)rd_kafka_assign(rk, NULL);
        return;
    }
    if (c->rebalanced != NULL) rd_kafka_topic_partition_list_destroy(c->rebalanced);
    c->rebalanced = rd_kafka_topic_partition_list_copy(partitions);
    c->is_lost = rd_kafka_assignment_lost(rk) != 0;
    c->step = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS ? ASSIGN_SEEN : REVOKE_SEEN;
    rd_kafka_yield(rk); /* what was fetched before this is in the drain already */
}

static void conf_member(rd_kafka_conf_t *conf)
{
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
}

static weir_rc open_consumer(kafka_client *c, weir_error *err)
{
    const char *const member[] = { "group.id", c->group, "group.instance.id", c->member, "enable.auto.commit", "false",
                                   "isolation.level", "read_committed", "enable.partition.eof", "true",
                                   "partition.assignment.strategy", "range", NULL };
    const char *const alone[] = { "group.id", c->group, "enable.auto.commit", "false", "isolation.level",
                                  "read_committed", "enable.partition.eof", "true", NULL };
    char value[32];
    size_t bytes = sizeof value;

    WEIR_TRY(kafka_handle_new(&c->consumer, c->home, KAFKA_CONSUMER, c->is_transient ? alone : member, &c->handle,
                              c->is_transient ? NULL : conf_member, err));
    (void)rd_kafka_poll_set_consumer(c->consumer);
    pthread_mutex_lock(&c->home->lock);
    c->queue = rd_kafka_queue_get_consumer(c->consumer);
    pthread_mutex_unlock(&c->home->lock);
    c->wakes_fetchers = rd_kafka_conf_get(rd_kafka_conf(c->consumer), "fetch.queue.backoff.ms", value, &bytes) !=
                        RD_KAFKA_CONF_OK;
    return WEIR_OK;
}

static weir_rc subscribe(kafka_client *c, weir_error *err)
{
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new((int)c->source_count);

    for (uint32_t i = 0; i < c->source_count; i++) {
        rd_kafka_topic_partition_list_add(topics, c->sources[i].topic, RD_KAFKA_PARTITION_UA);
    }
    rd_kafka_resp_err_t code = rd_kafka_subscribe(c->consumer, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return WEIR_OK;
    return kafka_fail(c->home, code, NULL, "join the query's consumer group", err);
}

/* A handle that does not know a topic yet takes half a second to its first record. */
static weir_rc fetch_metadata(kafka_client *c, const char *name, weir_error *err)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(c->consumer, name, NULL);

    if (topic == NULL) return kafka_fail(c->home, rd_kafka_last_error(), NULL, "read a topic", err);
    rd_kafka_resp_err_t code = rd_kafka_metadata(c->consumer, 0, topic, &metadata, KAFKA_RPC_MS);
    rd_kafka_topic_destroy(topic);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return kafka_fail(c->home, code, NULL, "read a topic", err);
    rd_kafka_metadata_destroy(metadata);
    return WEIR_OK;
}

static weir_rc open_sources(kafka_client *c, const client_spec *spec, weir_error *err)
{
    c->source_count = spec->source_count;
    c->sources = ARENA_ZEROS(c->memory, kafka_source, spec->source_count);
    for (uint32_t i = 0; i < spec->source_count; i++) {
        kafka_source *source = &c->sources[i];
        source->topic = arena_c_string(c->memory, spec->sources[i].topic);
        source->start = spec->sources[i].start;
        source->wants_headers = spec->sources[i].wants_headers;
        WEIR_TRY(kafka_partition_count(c->home, spec->sources[i].topic, &source->partitions, err));
        source->slots = ARENA_ZEROS(c->memory, kafka_slot, source->partitions);
    }
    c->sink_count = spec->sink_count;
    c->sinks = ARENA_ZEROS(c->memory, kafka_sink, spec->sink_count);
    for (uint32_t i = 0; i < spec->sink_count; i++) {
        c->sinks[i].topic = arena_c_string(c->memory, spec->sinks[i]);
        WEIR_TRY(kafka_partition_count(c->home, spec->sinks[i], &c->sinks[i].partitions, err));
    }
    return WEIR_OK;
}

static weir_rc open_parts(kafka_client *c, const client_spec *spec, weir_error *err)
{
    WEIR_TRY(open_sources(c, spec, err));
    if (c->source_count > 0) {
        WEIR_TRY(open_consumer(c, err));
        if (!c->is_transient) WEIR_TRY(subscribe(c, err)); /* joining goes on beside what follows */
        for (uint32_t i = 0; i < c->source_count; i++) WEIR_TRY(fetch_metadata(c, c->sources[i].topic, err));
    }
    if (!c->is_transient) WEIR_TRY(kafka_producer_open(c, err));
    if (c->is_transient && c->source_count > 0) c->step = ASSIGN_SEEN;
    return WEIR_OK;
}

weir_rc kafka_client_open(client **out, storage *base, const client_spec *spec, weir_error *err)
{
    kafka_storage *s = (kafka_storage *)base;
    kafka_client *c = calloc(1, sizeof *c);

    if (c == NULL) return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory to read from Kafka");
    c->base.class = &kafka_storage_class;
    c->home = s;
    c->handle = (kafka_handle){ s, c };
    c->memory = arena_new(0);
    c->lent = arena_new(1 << 20);
    c->is_transient = spec->is_transient;
    c->at_least_once = spec->at_least_once;
    if (c->is_transient) {
        c->group = arena_printf(c->memory, "%s-transient", s->service).data;
    } else {
        c->group = arena_printf(c->memory, "%s-%.*s", s->service, SLICE_ARG(spec->name)).data;
        c->member = arena_printf(c->memory, "%s-%s-%u", c->group, s->instance, spec->instance).data;
    }
    weir_rc rc = open_parts(c, spec, err);
    if (rc != WEIR_OK) {
        kafka_client_close(&c->base);
        return rc;
    }
    *out = &c->base;
    return WEIR_OK;
}

static void let_go(kafka_client *c)
{
    for (uint32_t i = 0; i < c->held_count; i++) rd_kafka_message_destroy(c->held[i]);
    c->held_count = 0;
}

static void *destroy(void *consumer)
{
    /* A static member keeps its place in the group: it comes back soon, or its session ends. */
    rd_kafka_destroy_flags(consumer, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return NULL;
}

/* librdkafka 2.0 may never come back from it where a topic was deleted that the consumer reads. Then the handle is left to itself: it
 * calls nobody back, as nobody polls it and it logs nothing. */
static void destroy_within(rd_kafka_t *consumer, int64_t most_ms)
{
    struct timespec until;
    pthread_t thread;

    rd_kafka_set_log_level(consumer, 0);
    if (!thread_start(&thread, destroy, consumer)) {
        destroy(consumer);
        return;
    }
    clock_gettime(CLOCK_REALTIME, &until); /* that is what this join counts in */
    until.tv_sec += most_ms / 1000;
    if (pthread_timedjoin_np(thread, NULL, &until) != 0) pthread_detach(thread);
}

static void consumer_destroy(kafka_client *c)
{
    let_go(c);
    pthread_mutex_lock(&c->home->lock); /* whoever wakes it is another thread */
    if (c->queue != NULL) rd_kafka_queue_destroy(c->queue);
    c->queue = NULL;
    pthread_mutex_unlock(&c->home->lock);
    if (c->consumer != NULL) destroy_within(c->consumer, DESTROY_MS_MAX);
    c->consumer = NULL;
    c->last_topic = NULL;
}

void kafka_client_close(client *base)
{
    kafka_client *c = kafka_of(base);

    c->is_closing = true;
    kafka_producer_close(c);
    consumer_destroy(c);
    if (c->rebalanced != NULL) rd_kafka_topic_partition_list_destroy(c->rebalanced);
    free(c->held);
    free(c->events);
    arena_free(c->lent);
    arena_free(c->memory);
    free(c);
}

/* ---- positions ---- */

static bool is_dropped(const rd_kafka_topic_partition_t *at)
{
    return at->metadata_size == sizeof KAFKA_DROPPED - 1 &&
           memcmp(at->metadata, KAFKA_DROPPED, sizeof KAFKA_DROPPED - 1) == 0;
}

static rd_kafka_topic_partition_list_t *owned_partitions(kafka_client *c)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);

    for (uint32_t i = 0; i < c->source_count; i++) {
        for (int32_t p = 0; p < c->sources[i].partitions; p++) {
            if (c->sources[i].slots[p].is_owned) rd_kafka_topic_partition_list_add(list, c->sources[i].topic, p);
        }
    }
    return list;
}

static rd_kafka_resp_err_t ask_group(kafka_client *c, rd_kafka_topic_partition_list_t *list)
{
    int64_t until_ms = kafka_now_ms() + KAFKA_RPC_MS;

    for (;;) {
        rd_kafka_resp_err_t code = rd_kafka_committed(c->consumer, list, KAFKA_RPC_MS);
        for (int i = 0; i < list->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++) code = list->elems[i].err;
        if (!kafka_is_transient_error(code) || kafka_now_ms() > until_ms) return code;
        thread_sleep_ms(20);
    }
}

weir_rc kafka_load_committed(kafka_client *c, weir_error *err)
{
    rd_kafka_topic_partition_list_t *list = owned_partitions(c), *fresh = rd_kafka_topic_partition_list_new(16);
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    weir_rc rc = WEIR_OK;

    if (!c->is_transient && list->cnt > 0) code = ask_group(c, list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) rc = kafka_fail(c->home, code, NULL, "read the query's positions", err);
    for (int i = 0; i < list->cnt && rc == WEIR_OK; i++) {
        rd_kafka_topic_partition_t *at = &list->elems[i];
        kafka_slot *slot = slot_named(c, at->topic, at->partition);
        if (!c->is_transient && at->offset >= 0 && !is_dropped(at)) {
            slot->committed = at->offset;
            slot->is_known = true;
            continue;
        }
        if (slot->is_known) continue; /* nothing committed yet: it stays where it began */
        bool is_latest = false;
        for (uint32_t n = 0; n < c->source_count; n++) {
            if (strcmp(c->sources[n].topic, at->topic) == 0) is_latest = c->sources[n].start == START_LATEST;
        }
        rd_kafka_topic_partition_list_add(fresh, at->topic, at->partition)->offset =
            is_latest ? RD_KAFKA_OFFSET_END : RD_KAFKA_OFFSET_BEGINNING;
    }
    if (rc == WEIR_OK) rc = kafka_look_up_offsets(c->home, c->consumer, fresh, err);
    for (int i = 0; i < fresh->cnt && rc == WEIR_OK; i++) {
        kafka_slot *slot = slot_named(c, fresh->elems[i].topic, fresh->elems[i].partition);
        slot->committed = fresh->elems[i].offset;
        slot->is_known = true;
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_topic_partition_list_destroy(fresh);
    return rc;
}

/* Seeks; a fetcher that is just starting refuses, and is asked again. */
static weir_rc seek_all(kafka_client *c, rd_kafka_topic_partition_list_t *list, weir_error *err)
{
    int64_t until_ms = kafka_now_ms() + SEEK_MS;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;

    while (list->cnt > 0) {
        /* librdkafka 2.0 waits a thousandth of the time it is given */
        rd_kafka_error_t *error = rd_kafka_seek_partitions(c->consumer, list, SEEK_MS * 1000);
        if (error != NULL) code = rd_kafka_error_code(error);
        if (error != NULL) rd_kafka_error_destroy(error);
        for (int i = list->cnt - 1; i >= 0; i--) {
            rd_kafka_resp_err_t of_one = list->elems[i].err;
            if (of_one == RD_KAFKA_RESP_ERR_NO_ERROR || of_one == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION) {
                rd_kafka_topic_partition_list_del_by_idx(list, i);
            } else if (of_one != RD_KAFKA_RESP_ERR__IN_PROGRESS) {
                code = of_one;
            }
        }
        if (list->cnt == 0) return WEIR_OK;
        if (kafka_now_ms() > until_ms) return kafka_fail(c->home, code, NULL, "go to a position", err);
        thread_sleep_ms(2);
    }
    return WEIR_OK;
}

weir_rc kafka_rewind(kafka_client *c, weir_error *err)
{
    rd_kafka_topic_partition_list_t *list = owned_partitions(c);
    weir_rc rc = WEIR_OK;

    for (int i = 0; i < list->cnt; i++) {
        kafka_slot *slot = slot_named(c, list->elems[i].topic, list->elems[i].partition);
        slot->next = list->elems[i].offset = slot->committed;
    }
    if (c->is_assigned) rc = seek_all(c, list, err); /* otherwise the assignment starts there */
    rd_kafka_topic_partition_list_destroy(list);
    return rc;
}

static weir_rc seek_one(kafka_client *c, uint32_t source, int32_t partition, weir_error *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(list, c->sources[source].topic, partition)->offset =
        c->sources[source].slots[partition].next;
    weir_rc rc = seek_all(c, list, err);
    rd_kafka_topic_partition_list_destroy(list);
    return rc;
}

static weir_rc check_owned(kafka_client *c, uint32_t source, int32_t partition, kafka_slot **slot, weir_error *err)
{
    *slot = kafka_slot_of(c, source, partition);
    if (*slot != NULL && (*slot)->is_owned) return WEIR_OK;
    return weir_fail(err, WEIR_INTERNAL, NOWHERE, "partition %d of source %u is not this client's", (int)partition, source);
}

weir_rc kafka_client_seek(client *base, uint32_t source, int32_t partition, int64_t offset, weir_error *err)
{
    kafka_client *c = kafka_of(base);
    kafka_slot *slot;

    WEIR_TRY(check_owned(c, source, partition, &slot, err));
    slot->next = offset;
    if (c->is_transient) slot->committed = offset;
    return c->is_assigned ? seek_one(c, source, partition, err) : WEIR_OK;
}

weir_rc kafka_client_position(client *base, uint32_t source, int32_t partition, int64_t *next_offset, weir_error *err)
{
    kafka_slot *slot;

    WEIR_TRY(check_owned(kafka_of(base), source, partition, &slot, err));
    *next_offset = slot->committed;
    return WEIR_OK;
}

weir_rc kafka_client_pause(client *base, uint32_t source, int32_t partition, bool paused, weir_error *err)
{
    kafka_client *c = kafka_of(base);
    kafka_slot *slot;

    WEIR_TRY(check_owned(c, source, partition, &slot, err));
    if (slot->is_paused == paused) return WEIR_OK;
    slot->is_paused = paused;
    if (!c->is_assigned) return WEIR_OK; /* the assignment will pause it */
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, c->sources[source].topic, partition);
    rd_kafka_resp_err_t code = paused ? rd_kafka_pause_partitions(c->consumer, list)
                                      : rd_kafka_resume_partitions(c->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return kafka_fail(c->home, code, NULL, "pause a partition", err);
    return paused ? WEIR_OK : seek_one(c, source, partition, err); /* librdkafka may have lost where it was */
}

/* ---- assignment ---- */

static weir_rc pause_paused(kafka_client *c, weir_error *err)
{
    rd_kafka_topic_partition_list_t *paused = rd_kafka_topic_partition_list_new(4);
    rd_kafka_topic_partition_list_t *running = owned_partitions(c);
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;

    for (int i = running->cnt - 1; i >= 0; i--) {
        if (!slot_named(c, running->elems[i].topic, running->elems[i].partition)->is_paused) continue;
        rd_kafka_topic_partition_list_add(paused, running->elems[i].topic, running->elems[i].partition);
        rd_kafka_topic_partition_list_del_by_idx(running, i);
    }
    /* before they are assigned: a pause just after may lose where to start. A pause outlives a former assignment, too. */
    if (running->cnt > 0) code = rd_kafka_resume_partitions(c->consumer, running);
    if (paused->cnt > 0 && code == RD_KAFKA_RESP_ERR_NO_ERROR) code = rd_kafka_pause_partitions(c->consumer, paused);
    rd_kafka_topic_partition_list_destroy(paused);
    rd_kafka_topic_partition_list_destroy(running);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ? WEIR_OK : kafka_fail(c->home, code, NULL, "pause a partition", err);
}

static weir_rc apply_assign(kafka_client *c, weir_error *err)
{
    rd_kafka_topic_partition_list_t *list = owned_partitions(c);

    weir_rc rc = pause_paused(c, err);
    for (int i = 0; i < list->cnt; i++) {
        list->elems[i].offset = slot_named(c, list->elems[i].topic, list->elems[i].partition)->next;
    }
    if (rc == WEIR_OK) {
        rd_kafka_resp_err_t code = rd_kafka_assign(c->consumer, list);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) rc = kafka_fail(c->home, code, NULL, "take over partitions", err);
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (rc != WEIR_OK) return rc;
    c->is_assigned = true;
    c->step = REBALANCE_NONE;
    return WEIR_OK;
}

static void disown_all(kafka_client *c)
{
    for (uint32_t i = 0; i < c->source_count; i++) {
        for (int32_t p = 0; p < c->sources[i].partitions; p++) c->sources[i].slots[p].is_owned = false;
    }
    c->is_assigned = false;
}

weir_rc kafka_check_fenced(kafka_client *c, weir_error *err)
{
    char why[256];

    if (c->consumer == NULL || c->is_transient || c->is_fenced) return WEIR_OK;
    if (rd_kafka_fatal_error(c->consumer, why, sizeof why) == RD_KAFKA_RESP_ERR_NO_ERROR) return WEIR_OK;
    if (c->rejoined_ms != 0 && kafka_now_ms() - c->rejoined_ms < FENCED_AGAIN_MS) {
        return weir_fail(err, WEIR_BROKER, NOWHERE,
                         "another process takes this one's place in group %s again and again (is its data directory a copy of "
                         "this one's?): %s",
                         c->group, why);
    }
    c->is_fenced = c->is_lost = true;
    if (c->step != REVOKE_REPORTED) c->step = REVOKE_SEEN;
    return WEIR_OK;
}

static weir_rc join_again(kafka_client *c, weir_error *err)
{
    consumer_destroy(c);
    WEIR_TRY(open_consumer(c, err));
    weir_rc rc = subscribe(c, err);
    if (rc != WEIR_OK) {
        consumer_destroy(c);
        err->act = WEIR_ACT_RETRY;
        return rc;
    }
    c->is_fenced = false;
    c->rejoined_ms = kafka_now_ms();
    return WEIR_OK;
}

static weir_rc apply_reported(kafka_client *c, weir_error *err)
{
    if (c->step == ASSIGN_REPORTED) return apply_assign(c, err);
    if (c->step == REVOKE_REPORTED) {
        disown_all(c);
        c->step = REBALANCE_NONE;
    } else if (c->step != REBALANCE_NONE || c->consumer != NULL) {
        return WEIR_OK;
    }
    if (c->is_fenced) return join_again(c, err);
    rd_kafka_resp_err_t code = rd_kafka_assign(c->consumer, NULL);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ? WEIR_OK : kafka_fail(c->home, code, NULL, "give partitions back", err);
}

static fetch *add_event(kafka_client *c, fetch_kind kind)
{
    if (c->event_count == c->event_max) {
        uint32_t max = c->event_max == 0 ? 16 : c->event_max * 2;
        fetch *more = realloc(c->events, max * sizeof *more);
        if (more == NULL) abort();
        c->events = more;
        c->event_max = max;
    }
    fetch *event = &c->events[c->event_count++];
    *event = (fetch){ .kind = kind };
    return event;
}

/* Some source's partition p is owned: so is task p. */
static void list_tasks(kafka_client *c, fetch *event)
{
    int32_t most = 0;

    for (uint32_t i = 0; i < c->source_count; i++) {
        if (c->sources[i].partitions > most) most = c->sources[i].partitions;
    }
    int32_t *tasks = ARENA_ARRAY(c->lent, int32_t, most);
    for (int32_t p = 0; p < most; p++) {
        bool is_owned = false;
        for (uint32_t i = 0; i < c->source_count && !is_owned; i++) {
            is_owned = p < c->sources[i].partitions && c->sources[i].slots[p].is_owned;
        }
        if (is_owned) tasks[event->partition_count++] = p;
    }
    event->partitions = tasks;
}

/* A topic that has got more partitions since the client opened. */
static void grow_source(kafka_client *c, const char *topic, int32_t partition)
{
    for (uint32_t i = 0; i < c->source_count; i++) {
        kafka_source *source = &c->sources[i];
        if (strcmp(source->topic, topic) != 0 || partition < source->partitions) continue;
        kafka_slot *slots = ARENA_ZEROS(c->memory, kafka_slot, partition + 1);
        if (source->partitions > 0) memcpy(slots, source->slots, sizeof *slots * (size_t)source->partitions);
        source->slots = slots;
        source->partitions = partition + 1;
    }
}

static void own(kafka_client *c)
{
    if (c->is_transient) {
        for (uint32_t i = 0; i < c->source_count; i++) {
            for (int32_t p = 0; p < c->sources[i].partitions; p++) c->sources[i].slots[p].is_owned = true;
        }
        return;
    }
    disown_all(c);
    c->last_topic = NULL;
    for (int i = 0; i < c->rebalanced->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &c->rebalanced->elems[i];
        grow_source(c, at->topic, at->partition);
        kafka_slot *slot = slot_named(c, at->topic, at->partition);
        if (slot != NULL) *slot = (kafka_slot){ .is_owned = true };
    }
}

static weir_rc report_rebalance(kafka_client *c, weir_error *err)
{
    if (c->step == ASSIGN_SEEN) {
        own(c);
        WEIR_TRY(kafka_load_committed(c, err)); /* when this fails, the next poll is here again */
        c->is_assigned = false;
        WEIR_TRY(kafka_rewind(c, err));
        list_tasks(c, add_event(c, FETCH_ASSIGNED));
        c->step = ASSIGN_REPORTED;
    } else if (c->step == REVOKE_SEEN) {
        fetch *event = add_event(c, FETCH_REVOKED);
        list_tasks(c, event);
        if (c->is_lost) {
            (void)!kafka_fail_lost(c, &c->lost);
            event->lost = &c->lost;
        }
        c->step = REVOKE_REPORTED;
    }
    return WEIR_OK;
}

/* ---- fetching ---- */

static uint32_t source_of(kafka_client *c, const rd_kafka_topic_t *topic)
{
    if (topic == c->last_topic) return c->last_source;
    const char *name = rd_kafka_topic_name(topic);
    uint32_t source = 0;
    while (source < c->source_count && strcmp(c->sources[source].topic, name) != 0) source++;
    c->last_topic = topic;
    c->last_source = source;
    return source;
}

static char *put(char *at, slice *to, const void *data, size_t len)
{
    if (data == NULL) {
        *to = NO_SLICE;
        return at;
    }
    memcpy(at, data, len);
    *to = (slice){ at, len };
    return at + len;
}

static header_list copy_headers(kafka_client *c, rd_kafka_message_t *m)
{
    rd_kafka_headers_t *list;
    const char *name;
    const void *value;
    size_t len;

    if (rd_kafka_message_headers(m, &list) != RD_KAFKA_RESP_ERR_NO_ERROR) return (header_list){ NULL, 0 };
    size_t count = rd_kafka_header_cnt(list);
    header *items = ARENA_ARRAY(c->lent, header, count);
    for (size_t i = 0; i < count; i++) {
        if (rd_kafka_header_get_all(list, i, &name, &value, &len) != RD_KAFKA_RESP_ERR_NO_ERROR) len = 0, value = NULL;
        items[i].key = arena_copy(c->lent, slice_of(name));
        items[i].value = value == NULL ? NO_SLICE : arena_copy(c->lent, (slice){ value, len });
    }
    return (header_list){ items, (uint32_t)count };
}

static void copy_all_headers(kafka_client *c, fetch *event, rd_kafka_message_t **from)
{
    rd_kafka_headers_t *list;
    uint32_t first = 0;

    while (first < event->rows && rd_kafka_message_headers(from[first], &list) != RD_KAFKA_RESP_ERR_NO_ERROR) first++;
    if (first == event->rows) return;
    header_list *headers = ARENA_ZEROS(c->lent, header_list, event->rows);
    for (uint32_t i = first; i < event->rows; i++) headers[i] = copy_headers(c, from[i]);
    event->headers = headers;
}

/* Records of one partition, copied side by side: librdkafka's buffers are free to go, and whoever reads past the end of
 * a value reads the next one. */
static void add_records(kafka_client *c, rd_kafka_message_t **from, uint32_t rows, uint32_t source)
{
    fetch *event = add_event(c, FETCH_RECORDS);
    slice *key = ARENA_ARRAY(c->lent, slice, rows), *value = ARENA_ARRAY(c->lent, slice, rows);
    int64_t *timestamp_ms = ARENA_ARRAY(c->lent, int64_t, rows), *offset = ARENA_ARRAY(c->lent, int64_t, rows);
    size_t bytes = KAFKA_PADDING;

    for (uint32_t i = 0; i < rows; i++) bytes += from[i]->len + from[i]->key_len;
    char *at = arena_alloc(c->lent, bytes);
    for (uint32_t i = 0; i < rows; i++) {
        at = put(at, &key[i], from[i]->key, from[i]->key_len);
        at = put(at, &value[i], from[i]->payload, from[i]->len);
        timestamp_ms[i] = rd_kafka_message_timestamp(from[i], NULL);
        offset[i] = from[i]->offset;
    }
    memset(at, 0, KAFKA_PADDING);
    event->source = source;
    event->partition = from[0]->partition;
    event->rows = rows;
    event->key = key;
    event->value = value;
    event->timestamp_ms = timestamp_ms;
    event->offset = offset;
    event->next_offset = offset[rows - 1] + 1;
    if (c->sources[source].wants_headers) copy_all_headers(c, event, from);
}

static void add_end(kafka_client *c, const rd_kafka_message_t *m, uint32_t source)
{
    fetch *event = add_event(c, FETCH_END);

    event->source = source;
    event->partition = m->partition;
    event->next_offset = m->offset;
}

/* What cannot pass by itself. Lost connections and such are librdkafka's business: it goes on trying. */
static weir_rc check_message(kafka_client *c, const rd_kafka_message_t *m, weir_error *err)
{
    char doing[KAFKA_TOPIC_NAME_MAX + 64];

    switch ((int)m->err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
    case RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED: /* the loss of the assignment follows */
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET: return WEIR_OK;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
        return weir_fail(err, WEIR_BROKER, NOWHERE, "topic %s is gone: %s",
                         m->rkt != NULL ? rd_kafka_topic_name(m->rkt) : "", rd_kafka_message_errstr(m));
    case RD_KAFKA_RESP_ERR__FATAL:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID: return kafka_check_fenced(c, err);
    }
    if (kafka_is_transient_error(m->err)) return WEIR_OK;
    snprintf(doing, sizeof doing, "read from topic %s", m->rkt != NULL ? rd_kafka_topic_name(m->rkt) : "");
    return kafka_fail(c->home, m->err, rd_kafka_message_errstr(m), doing, err);
}

static void hold(kafka_client *c, rd_kafka_message_t *m)
{
    if (c->held_count == c->held_max) {
        uint32_t max = c->held_max == 0 ? 4096 : c->held_max * 2;
        rd_kafka_message_t **more = realloc(c->held, max * sizeof *more);
        if (more == NULL) abort();
        c->held = more;
        c->held_max = max;
    }
    c->held[c->held_count++] = m;
}

/* rd_kafka_consumer_poll, a record at a time: in librdkafka 2.0 the calls that take many at once lose records around
 * seeks, pauses and rebalances. */
static weir_rc drain(kafka_client *c, int timeout_ms, uint32_t rows_max, weir_error *err)
{
    uint32_t rows = 0;
    weir_rc rc = WEIR_OK;

    while (rows < rows_max && c->step == REBALANCE_NONE) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(c->consumer, timeout_ms);
        if (m == NULL) break;
        timeout_ms = 0;
        hold(c, m);
        if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            rows++;
        } else if ((rc = check_message(c, m, err)) != WEIR_OK) {
            break;
        }
    }
    if (c->wakes_fetchers && rows > 0 && rd_kafka_queue_length(c->queue) < WAKE_BELOW) kafka_wake_fetchers(c->consumer);
    return rc;
}

static void lend(kafka_client *c)
{
    for (uint32_t i = 0, run; i < c->held_count; i += run) {
        rd_kafka_message_t *first = c->held[i];
        uint32_t source = first->rkt == NULL ? c->source_count : source_of(c, first->rkt);
        kafka_slot *slot = kafka_slot_of(c, source, first->partition);

        run = 1;
        if (first->err == RD_KAFKA_RESP_ERR__PARTITION_EOF && slot != NULL) {
            add_end(c, first, source);
        } else if (first->err == RD_KAFKA_RESP_ERR_NO_ERROR && slot != NULL) {
            while (i + run < c->held_count && c->held[i + run]->err == RD_KAFKA_RESP_ERR_NO_ERROR &&
                   c->held[i + run]->rkt == first->rkt && c->held[i + run]->partition == first->partition) {
                run++;
            }
            add_records(c, &c->held[i], run, source);
        } else {
            continue;
        }
        slot->next = c->events[c->event_count - 1].next_offset;
    }
    let_go(c);
}

static weir_rc note_lost_brokers(kafka_client *c, weir_error *err)
{
    if (!c->lost_brokers) return WEIR_OK;
    c->lost_brokers = false;
    return kafka_fail(c->home, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, NULL, "read from Kafka", err);
}

weir_rc kafka_client_poll(client *base, int timeout_ms, uint32_t rows_max, const fetch **events, uint32_t *count,
                          weir_error *err)
{
    kafka_client *c = kafka_of(base);

    arena_reset(c->lent);
    c->event_count = 0;
    *count = 0;
    if (c->producer != NULL) rd_kafka_poll(c->producer, 0);
    if (c->consumer == NULL && !c->is_fenced) return WEIR_OK;
    WEIR_TRY(apply_reported(c, err));
    weir_rc rc = drain(c, timeout_ms, rows_max, err);
    if (rc != WEIR_OK) {
        let_go(c); /* the caller stops; or aborts, and these come again */
        return rc;
    }
    lend(c);
    rc = report_rebalance(c, err);
    if (rc != WEIR_OK && c->event_count == 0) return rc; /* with records to give, it waits for the next poll */
    *events = c->events;
    *count = c->event_count;
    return c->event_count > 0 ? WEIR_OK : note_lost_brokers(c, err);
}

void kafka_client_wake(client *base)
{
    kafka_client *c = kafka_of(base);

    pthread_mutex_lock(&c->home->lock);
    if (c->queue != NULL) rd_kafka_queue_yield(c->queue);
    pthread_mutex_unlock(&c->home->lock);
}
