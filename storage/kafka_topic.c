/* storage/kafka_topic.c - topics: administration, what is known of them, and appending outside of any query. */
#include "storage/kafka.h"

#include "core/hash.h"
#include "core/thread.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define KNOWN_MS 60000          /* how long partition counts and limits are believed */
#define SPREAD_BYTES 16384      /* of null-key records go to one partition, then to the next */
#define RECORD_OVERHEAD_BYTES 256 /* a record's share of its batch's frame: limits count it */

static bool is_internal_name(const kafka_storage *s, slice name)
{
    slice prefix = s->base.internal_prefix;

    return (name.len >= 2 && memcmp(name.data, "__", 2) == 0) ||
           (name.len > prefix.len && memcmp(name.data, prefix.data, prefix.len) == 0);
}

static weir_rc fail_unknown(slice name, weir_error *err)
{
    return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "unknown topic %.*s; create it, or SHOW TOPICS lists those there are",
                     SLICE_ARG(name));
}

/* ---- administration ---- */

weir_rc kafka_admin_wait(kafka_storage *s, rd_kafka_queue_t *queue, const char *doing, rd_kafka_event_t **event,
                         weir_error *err)
{
    *event = rd_kafka_queue_poll(queue, KAFKA_RPC_MS + 5000);
    if (*event == NULL) return kafka_fail(s, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL, doing, err);
    rd_kafka_resp_err_t code = rd_kafka_event_error(*event);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return WEIR_OK;
    weir_rc rc = kafka_fail(s, code, rd_kafka_event_error_string(*event), doing, err);
    rd_kafka_event_destroy(*event);
    *event = NULL;
    return rc;
}

static rd_kafka_AdminOptions_t *admin_options(rd_kafka_t *rk, rd_kafka_admin_op_t operation)
{
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, operation);
    char why[128];

    (void)rd_kafka_AdminOptions_set_request_timeout(options, KAFKA_RPC_MS, why, sizeof why);
    if (operation == RD_KAFKA_ADMIN_OP_CREATETOPICS || operation == RD_KAFKA_ADMIN_OP_DELETETOPICS) {
        (void)rd_kafka_AdminOptions_set_operation_timeout(options, KAFKA_RPC_MS, why, sizeof why);
    }
    return options;
}

typedef struct topic_answer {
    bool exists;
    bool is_ready; /* each partition has a leader */
    int32_t partitions;
    int32_t replicas;
} topic_answer;

static topic_answer answer_of(const struct rd_kafka_metadata_topic *t)
{
    topic_answer answer = { .exists = t->err != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART &&
                                      t->err != RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION,
                            .partitions = t->partition_cnt };

    answer.is_ready = answer.exists && t->partition_cnt > 0;
    for (int i = 0; i < t->partition_cnt; i++) {
        if (t->partitions[i].leader < 0) answer.is_ready = false;
        if (i == 0) answer.replicas = t->partitions[i].replica_cnt;
    }
    return answer;
}

static weir_rc ask(kafka_storage *s, slice name, topic_answer *answer, weir_error *err)
{
    const struct rd_kafka_metadata *metadata;
    char c_name[KAFKA_TOPIC_NAME_MAX], doing[KAFKA_TOPIC_NAME_MAX + 32];
    rd_kafka_t *rk;

    *answer = (topic_answer){ 0 };
    if (name.len == 0 || name.len >= sizeof c_name) return WEIR_OK;
    snprintf(c_name, sizeof c_name, "%.*s", SLICE_ARG(name));
    WEIR_TRY(kafka_shared(s, &rk, err));
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, c_name, NULL);
    if (topic == NULL) return WEIR_OK;
    rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 0, topic, &metadata, KAFKA_RPC_MS);
    rd_kafka_topic_destroy(topic);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        snprintf(doing, sizeof doing, "look up topic %s", c_name);
        return kafka_fail(s, code, NULL, doing, err);
    }
    rd_kafka_resp_err_t refused = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (metadata->topic_cnt > 0) {
        *answer = answer_of(&metadata->topics[0]);
        if (metadata->topics[0].err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) refused = metadata->topics[0].err;
    }
    rd_kafka_metadata_destroy(metadata);
    if (refused == RD_KAFKA_RESP_ERR_NO_ERROR) return WEIR_OK;
    snprintf(doing, sizeof doing, "look up topic %s", c_name);
    return kafka_fail(s, refused, NULL, doing, err);
}

/* Metadata travels: what was created or deleted shows a little later. */
static weir_rc await(kafka_storage *s, slice name, bool existence, weir_error *err)
{
    int64_t until_ms = kafka_now_ms() + KAFKA_RPC_MS;
    topic_answer answer;

    for (int pause_ms = 2;; pause_ms = pause_ms < 100 ? pause_ms * 2 : 100) {
        WEIR_TRY(ask(s, name, &answer, err));
        if (existence ? answer.is_ready : !answer.exists) return WEIR_OK;
        if (kafka_now_ms() > until_ms) {
            return weir_fail_act(err, WEIR_BROKER, WEIR_ACT_RETRY, "topic %.*s was %s, but the brokers do not show it yet",
                                 SLICE_ARG(name), existence ? "created" : "deleted");
        }
        thread_sleep_ms(pause_ms);
    }
}

static void set_number(rd_kafka_NewTopic_t *topic, const char *name, int64_t number)
{
    char text[32];

    snprintf(text, sizeof text, "%lld", (long long)number);
    (void)rd_kafka_NewTopic_set_config(topic, name, text);
}

static weir_rc create(kafka_storage *s, rd_kafka_t *rk, rd_kafka_NewTopic_t *topic, slice name, weir_error *err)
{
    rd_kafka_AdminOptions_t *options = admin_options(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_event_t *event;
    char doing[KAFKA_TOPIC_NAME_MAX + 32];
    size_t count;

    snprintf(doing, sizeof doing, "create topic %.*s", SLICE_ARG(name));
    rd_kafka_CreateTopics(rk, &topic, 1, options, queue);
    weir_rc rc = kafka_admin_wait(s, queue, doing, &event, err);
    if (rc == WEIR_OK) {
        const rd_kafka_topic_result_t **results =
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
        rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[0]);
        if (code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
            rc = weir_fail(err, WEIR_SEMANTIC, NOWHERE, "topic %.*s exists already", SLICE_ARG(name));
        } else if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
            rc = kafka_fail(s, code, rd_kafka_topic_result_error_string(results[0]), doing, err);
        }
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    return rc;
}

weir_rc kafka_topic_create(storage *base, const topic_spec *spec, weir_error *err)
{
    kafka_storage *s = (kafka_storage *)base;
    char name[KAFKA_TOPIC_NAME_MAX], why[256];
    rd_kafka_t *rk;

    if (spec->name.len == 0 || spec->name.len >= 250) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "a topic's name has 1 to 249 characters");
    }
    snprintf(name, sizeof name, "%.*s", SLICE_ARG(spec->name));
    WEIR_TRY(kafka_shared(s, &rk, err));
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(name, spec->partitions, spec->replicas > 0 ? spec->replicas : -1, why, sizeof why);
    if (topic == NULL) return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "cannot create topic %s: %s", name, why);
    if (spec->is_compacted) {
        (void)rd_kafka_NewTopic_set_config(topic, "cleanup.policy", spec->is_also_deleted ? "compact,delete" : "compact");
    }
    if (spec->retention_ms != 0) set_number(topic, "retention.ms", spec->retention_ms);
    if (spec->retention_bytes != 0) set_number(topic, "retention.bytes", spec->retention_bytes);
    if (spec->is_internal) { /* blocks and accumulators may be large, event times old */
        (void)rd_kafka_NewTopic_set_config(topic, "max.message.bytes", "33554432");
        (void)rd_kafka_NewTopic_set_config(topic, "message.timestamp.type", "CreateTime");
    }
    weir_rc rc = create(s, rk, topic, spec->name, err);
    rd_kafka_NewTopic_destroy(topic);
    kafka_topics_forget(s, spec->name);
    return rc == WEIR_OK ? await(s, spec->name, true, err) : rc;
}

static weir_rc delete_results(kafka_storage *s, rd_kafka_event_t *event, weir_error *err)
{
    size_t count;
    char doing[KAFKA_TOPIC_NAME_MAX + 32];
    const rd_kafka_topic_result_t **results =
        rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);

    for (size_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[i]);
        slice name = slice_of(rd_kafka_topic_result_name(results[i]));
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) continue;
        if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) return fail_unknown(name, err);
        snprintf(doing, sizeof doing, "delete topic %.*s", SLICE_ARG(name));
        return kafka_fail(s, code, rd_kafka_topic_result_error_string(results[i]), doing, err);
    }
    return WEIR_OK;
}

weir_rc kafka_topics_delete(kafka_storage *s, const char **names, size_t count, weir_error *err)
{
    rd_kafka_event_t *event;
    rd_kafka_t *rk;

    if (count == 0) return WEIR_OK;
    WEIR_TRY(kafka_shared(s, &rk, err));
    rd_kafka_DeleteTopic_t **topics = calloc(count, sizeof *topics);
    if (topics == NULL) return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory to delete topics");
    rd_kafka_AdminOptions_t *options = admin_options(rk, RD_KAFKA_ADMIN_OP_DELETETOPICS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    for (size_t i = 0; i < count; i++) topics[i] = rd_kafka_DeleteTopic_new(names[i]);
    rd_kafka_DeleteTopics(rk, topics, count, options, queue);
    weir_rc rc = kafka_admin_wait(s, queue, "delete topics", &event, err);
    if (rc == WEIR_OK) {
        rc = delete_results(s, event, err);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_DeleteTopic_destroy_array(topics, count);
    free(topics);
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    for (size_t i = 0; i < count; i++) kafka_topics_forget(s, slice_of(names[i]));
    for (size_t i = 0; i < count && rc == WEIR_OK; i++) rc = await(s, slice_of(names[i]), false, err);
    return rc;
}

weir_rc kafka_topic_delete(storage *base, slice name, weir_error *err)
{
    char c_name[KAFKA_TOPIC_NAME_MAX];

    if (name.len == 0 || name.len >= sizeof c_name) return fail_unknown(name, err);
    snprintf(c_name, sizeof c_name, "%.*s", SLICE_ARG(name));
    return kafka_topics_delete((kafka_storage *)base, (const char *[]){ c_name }, 1, err);
}

weir_rc kafka_topic_find(storage *base, slice name, topic_info *out, bool *found, weir_error *err)
{
    kafka_storage *s = (kafka_storage *)base;
    topic_answer answer;

    WEIR_TRY(ask(s, name, &answer, err));
    *found = answer.exists;
    *out = (topic_info){ name, answer.partitions, answer.replicas, is_internal_name(s, name) };
    return WEIR_OK;
}

static int by_name(const void *a, const void *b)
{
    return slice_compare(((const topic_info *)a)->name, ((const topic_info *)b)->name);
}

weir_rc kafka_topic_list(storage *base, arena *a, topic_info **out, uint32_t *count, weir_error *err)
{
    kafka_storage *s = (kafka_storage *)base;
    const struct rd_kafka_metadata *metadata;
    rd_kafka_t *rk;

    WEIR_TRY(kafka_shared(s, &rk, err));
    rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 1, NULL, &metadata, KAFKA_RPC_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return kafka_fail(s, code, NULL, "list topics", err);
    *out = ARENA_ARRAY(a, topic_info, metadata->topic_cnt);
    *count = 0;
    for (int i = 0; i < metadata->topic_cnt; i++) {
        topic_answer answer = answer_of(&metadata->topics[i]);
        slice name = slice_of(metadata->topics[i].topic);
        if (!answer.exists) continue;
        (*out)[(*count)++] =
            (topic_info){ arena_copy(a, name), answer.partitions, answer.replicas, is_internal_name(s, name) };
    }
    rd_kafka_metadata_destroy(metadata);
    qsort(*out, *count, sizeof **out, by_name);
    return WEIR_OK;
}

/* ---- what is known of topics ---- */

void kafka_topics_forget(kafka_storage *s, slice name)
{
    pthread_mutex_lock(&s->lock);
    for (kafka_topic **at = &s->topics; *at != NULL;) {
        kafka_topic *topic = *at;
        if (name.data != NULL && !slice_is(name, topic->name)) {
            at = &topic->next;
            continue;
        }
        *at = topic->next;
        free(topic->name);
        free(topic);
    }
    pthread_mutex_unlock(&s->lock);
}

static kafka_topic *find_known(kafka_storage *s, slice name)
{
    for (kafka_topic *topic = s->topics; topic != NULL; topic = topic->next) {
        if (slice_is(name, topic->name)) return topic;
    }
    return NULL;
}

static void remember(kafka_storage *s, slice name, int32_t partitions)
{
    pthread_mutex_lock(&s->lock);
    kafka_topic *topic = find_known(s, name);
    if (topic == NULL && (topic = calloc(1, sizeof *topic)) != NULL) {
        if ((topic->name = strndup(name.data, name.len)) == NULL) {
            free(topic);
            topic = NULL;
        } else {
            topic->next = s->topics;
            s->topics = topic;
        }
    }
    if (topic != NULL) {
        topic->partitions = partitions;
        topic->known_ms = kafka_now_ms();
        topic->record_bytes_max = 0;
    }
    pthread_mutex_unlock(&s->lock);
}

weir_rc kafka_partition_count(kafka_storage *s, slice name, int32_t *partitions, weir_error *err)
{
    topic_answer answer;

    pthread_mutex_lock(&s->lock);
    kafka_topic *known = find_known(s, name);
    bool is_fresh = known != NULL && kafka_now_ms() - known->known_ms < KNOWN_MS;
    if (is_fresh) *partitions = known->partitions;
    pthread_mutex_unlock(&s->lock);
    if (is_fresh) return WEIR_OK;
    WEIR_TRY(ask(s, name, &answer, err));
    if (!answer.exists) return fail_unknown(name, err);
    if (answer.partitions == 0) WEIR_TRY(await(s, name, true, err));
    if (answer.partitions == 0) WEIR_TRY(ask(s, name, &answer, err));
    *partitions = answer.partitions;
    remember(s, name, answer.partitions);
    return WEIR_OK;
}

/* The topic's max.message.bytes; 0 when the broker does not say. */
static weir_rc ask_limit(kafka_storage *s, slice name, uint64_t *limit, weir_error *err)
{
    char c_name[KAFKA_TOPIC_NAME_MAX], doing[KAFKA_TOPIC_NAME_MAX + 64];
    rd_kafka_event_t *event;
    rd_kafka_t *rk;
    size_t count, entries;

    *limit = 0;
    snprintf(c_name, sizeof c_name, "%.*s", SLICE_ARG(name));
    snprintf(doing, sizeof doing, "read the configuration of topic %s", c_name);
    WEIR_TRY(kafka_shared(s, &rk, err));
    rd_kafka_ConfigResource_t *asked = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, c_name);
    rd_kafka_AdminOptions_t *options = admin_options(rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_DescribeConfigs(rk, &asked, 1, options, queue);
    weir_rc rc = kafka_admin_wait(s, queue, doing, &event, err);
    if (rc == WEIR_OK) {
        const rd_kafka_ConfigResource_t **resources =
            rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &count);
        const rd_kafka_ConfigEntry_t **entry = rd_kafka_ConfigResource_configs(resources[0], &entries);
        for (size_t i = 0; i < entries; i++) {
            const char *number = rd_kafka_ConfigEntry_value(entry[i]);
            if (strcmp(rd_kafka_ConfigEntry_name(entry[i]), "max.message.bytes") != 0 || number == NULL) continue;
            *limit = strtoull(number, NULL, 10);
        }
        rd_kafka_event_destroy(event);
    } else if (err->act != WEIR_ACT_RETRY) {
        rc = WEIR_OK; /* not everyone may read configurations: the broker then has the last word */
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ConfigResource_destroy(asked);
    return rc;
}

static uint64_t own_limit(rd_kafka_t *rk)
{
    char number[32] = "";
    size_t bytes = sizeof number;

    if (rd_kafka_conf_get(rd_kafka_conf(rk), "message.max.bytes", number, &bytes) != RD_KAFKA_CONF_OK) return 1000000;
    return strtoull(number, NULL, 10);
}

weir_rc kafka_topic_record_bytes_max(storage *base, slice name, uint64_t *bytes, weir_error *err)
{
    kafka_storage *s = (kafka_storage *)base;
    int32_t partitions;
    uint64_t limit;
    rd_kafka_t *rk;

    WEIR_TRY(kafka_partition_count(s, name, &partitions, err));
    pthread_mutex_lock(&s->lock);
    kafka_topic *known = find_known(s, name);
    *bytes = known != NULL ? known->record_bytes_max : 0;
    pthread_mutex_unlock(&s->lock);
    if (*bytes != 0) return WEIR_OK;
    WEIR_TRY(ask_limit(s, name, &limit, err));
    WEIR_TRY(kafka_shared(s, &rk, err));
    *bytes = own_limit(rk);
    if (limit != 0 && limit < *bytes) *bytes = limit;
    *bytes = *bytes > 2 * RECORD_OVERHEAD_BYTES ? *bytes - RECORD_OVERHEAD_BYTES : *bytes;
    pthread_mutex_lock(&s->lock);
    if ((known = find_known(s, name)) != NULL) known->record_bytes_max = *bytes;
    pthread_mutex_unlock(&s->lock);
    return WEIR_OK;
}

/* ---- offsets ---- */

weir_rc kafka_look_up_offsets(kafka_storage *s, rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list, weir_error *err)
{
    char doing[KAFKA_TOPIC_NAME_MAX + 64];
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    int64_t until_ms = kafka_now_ms() + KAFKA_RPC_MS;
    rd_kafka_topic_partition_list_t *asked = NULL;

    if (list->cnt == 0) return WEIR_OK;
    for (;;) { /* asked for as times, which in the protocol they are: -2 the earliest, -1 the latest */
        asked = rd_kafka_topic_partition_list_copy(list);
        code = rd_kafka_offsets_for_times(rk, asked, KAFKA_RPC_MS);
        for (int i = 0; i < asked->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++) code = asked->elems[i].err;
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) break;
        /* the topic is there: after an outage librdkafka may not know its partitions for a moment */
        bool may_pass = kafka_is_transient_error(code) || code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
        bool is_over = !may_pass || kafka_now_ms() > until_ms;
        rd_kafka_topic_partition_list_destroy(asked);
        if (is_over) {
            snprintf(doing, sizeof doing, "look up the offsets of topic %s", list->elems[0].topic);
            return kafka_fail(s, code, NULL, doing, err);
        }
        thread_sleep_ms(20);
    }
    atomic_store(&s->base.is_cut_off, false);
    for (int i = 0; i < list->cnt; i++) {
        rd_kafka_topic_partition_t *answer =
            rd_kafka_topic_partition_list_find(asked, list->elems[i].topic, list->elems[i].partition);
        list->elems[i].offset = answer != NULL && answer->offset >= 0 ? answer->offset : 0;
    }
    rd_kafka_topic_partition_list_destroy(asked);
    return WEIR_OK;
}

static weir_rc offset_of(kafka_storage *s, const char *name, int32_t partition, int64_t which, int64_t *offset,
                         weir_error *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_t *rk = NULL;

    rd_kafka_topic_partition_list_add(list, name, partition)->offset = which;
    weir_rc rc = kafka_shared(s, &rk, err);
    if (rc == WEIR_OK) rc = kafka_look_up_offsets(s, rk, list, err);
    *offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    return rc;
}

/* All partitions of a sink: the last stable offsets, which the shared handle sees, against the high watermarks, which a
 * producer's handle does. */
static weir_rc is_sink_settled(kafka_client *c, uint32_t sink, bool *settled, weir_error *err)
{
    slice name = slice_of(c->sinks[sink].topic);
    char c_name[KAFKA_TOPIC_NAME_MAX];
    int32_t partitions;
    rd_kafka_t *shared;

    *settled = true;
    snprintf(c_name, sizeof c_name, "%.*s", SLICE_ARG(name));
    WEIR_TRY(kafka_shared(c->home, &shared, err));
    WEIR_TRY(kafka_partition_count(c->home, name, &partitions, err));
    rd_kafka_topic_partition_list_t *written = rd_kafka_topic_partition_list_new(partitions);
    for (int32_t p = 0; p < partitions; p++) {
        rd_kafka_topic_partition_list_add(written, c_name, p)->offset = RD_KAFKA_OFFSET_END;
    }
    rd_kafka_topic_partition_list_t *readable = rd_kafka_topic_partition_list_copy(written);
    weir_rc rc = kafka_look_up_offsets(c->home, c->producer, written, err);
    if (rc == WEIR_OK) rc = kafka_look_up_offsets(c->home, shared, readable, err);
    for (int i = 0; rc == WEIR_OK && i < partitions; i++) {
        *settled = *settled && readable->elems[i].offset >= written->elems[i].offset;
    }
    rd_kafka_topic_partition_list_destroy(written);
    rd_kafka_topic_partition_list_destroy(readable);
    return rc;
}

#define SETTLE_MS_MAX 5000

weir_rc kafka_client_settle(client *base, weir_error *err)
{
    kafka_client *c = (kafka_client *)base;
    int64_t until_ms = kafka_now_ms() + SETTLE_MS_MAX;

    if (c->producer == NULL) return WEIR_OK;
    for (uint32_t i = 0; i < c->sink_count; i++) {
        for (;;) {
            bool settled;
            WEIR_TRY(is_sink_settled(c, i, &settled, err));
            if (settled || kafka_now_ms() > until_ms) break;
            thread_sleep_ms(2);
        }
    }
    return WEIR_OK;
}

weir_rc kafka_topic_offsets(storage *base, slice name, int32_t partition, int64_t *begin, int64_t *end, weir_error *err)
{
    kafka_storage *s = (kafka_storage *)base;
    char c_name[KAFKA_TOPIC_NAME_MAX];
    int32_t partitions;

    WEIR_TRY(kafka_partition_count(s, name, &partitions, err));
    if (partition < 0 || partition >= partitions) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "topic %.*s has partitions 0 to %d, not %d", SLICE_ARG(name),
                         (int)partitions - 1, (int)partition);
    }
    snprintf(c_name, sizeof c_name, "%.*s", SLICE_ARG(name));
    WEIR_TRY(offset_of(s, c_name, partition, RD_KAFKA_OFFSET_BEGINNING, begin, err));
    return offset_of(s, c_name, partition, RD_KAFKA_OFFSET_END, end, err);
}

/* ---- appending ---- */

/* One topic_append under way, on its caller's stack; each record is answered, at the latest when it times out. */
typedef struct append {
    _Atomic uint32_t pending;
    _Atomic int failure; /* the first rd_kafka_resp_err_t */
    int64_t *offsets;
} append;

typedef struct append_row {
    append *whole;
    uint32_t row;
} append_row;

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    append_row *row = message->_private;
    int none = RD_KAFKA_RESP_ERR_NO_ERROR;

    (void)rk;
    (void)opaque;
    if (row == NULL) return;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        atomic_compare_exchange_strong(&row->whole->failure, &none, message->err);
    } else if (row->whole->offsets != NULL) {
        row->whole->offsets[row->row] = message->offset;
    }
    atomic_fetch_sub(&row->whole->pending, 1); /* the last touch: the caller may return now */
}

void kafka_conf_appender(rd_kafka_conf_t *conf)
{
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
}

static rd_kafka_headers_t *headers_of(const header_list *list)
{
    if (list->count == 0) return NULL;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(list->count);
    for (uint32_t i = 0; i < list->count; i++) {
        const header *h = &list->items[i];
        (void)rd_kafka_header_add(headers, h->key.data, (ssize_t)h->key.len, h->value.data, (ssize_t)h->value.len);
    }
    return headers;
}

#define ENQUEUE_MS 60000 /* that the producer's queue may stay full */

rd_kafka_resp_err_t kafka_enqueue(rd_kafka_t *rk, rd_kafka_topic_t *topic, int32_t partition, const record *r,
                                  void *opaque)
{
    rd_kafka_headers_t *headers = headers_of(&r->headers);
    /* librdkafka takes 0 for now, and brokers refuse times before 1970 */
    int64_t timestamp_ms = r->timestamp_ms > 0 ? r->timestamp_ms : 1;
    int64_t until_ms = 0;
    rd_kafka_resp_err_t code;

    for (;;) {
        if (headers == NULL) {
            code = rd_kafka_producev(rk, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(partition),
                                     RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(r->key.data, r->key.len),
                                     RD_KAFKA_V_VALUE((void *)r->value.data, r->value.len),
                                     RD_KAFKA_V_TIMESTAMP(timestamp_ms), RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END);
        } else {
            code = rd_kafka_producev(rk, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(partition),
                                     RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(r->key.data, r->key.len),
                                     RD_KAFKA_V_VALUE((void *)r->value.data, r->value.len),
                                     RD_KAFKA_V_TIMESTAMP(timestamp_ms), RD_KAFKA_V_OPAQUE(opaque),
                                     RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
        }
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) break;
        if (until_ms == 0) until_ms = kafka_now_ms() + ENQUEUE_MS;
        if (kafka_now_ms() > until_ms) break;
        if (rd_kafka_outq_len(rk) == 0) { /* nothing is before it: it will never fit */
            code = RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
            break;
        }
        if (rd_kafka_fatal_error(rk, NULL, 0) != RD_KAFKA_RESP_ERR_NO_ERROR) break;
        rd_kafka_poll(rk, 5);
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR && headers != NULL) rd_kafka_headers_destroy(headers);
    return code;
}

int32_t kafka_spread(uint32_t *spread, size_t bytes, int32_t partitions)
{
    int32_t partition = (int32_t)(*spread / SPREAD_BYTES % (uint32_t)partitions);

    *spread += (uint32_t)(bytes + 64);
    return partition;
}

static weir_rc check_rows(slice name, const record *records, const int32_t *partition, uint32_t count,
                          int32_t partitions, uint64_t bytes_max, weir_error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        if (records[i].key.len + records[i].value.len > bytes_max) {
            return weir_fail(err, WEIR_SEMANTIC, NOWHERE,
                             "a record of %zu bytes is too large for topic %.*s, which takes up to %llu "
                             "(max.message.bytes)",
                             records[i].key.len + records[i].value.len, SLICE_ARG(name), (unsigned long long)bytes_max);
        }
        if (partition != NULL && partition[i] >= partitions) {
            return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "topic %.*s has partitions 0 to %d, not %d", SLICE_ARG(name),
                             (int)partitions - 1, (int)partition[i]);
        }
    }
    return WEIR_OK;
}

static weir_rc append_fail(kafka_storage *s, slice name, rd_kafka_resp_err_t code, weir_error *err)
{
    char doing[KAFKA_TOPIC_NAME_MAX + 32];

    kafka_topics_forget(s, name); /* it may be another topic by now */
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC) {
        return fail_unknown(name, err);
    }
    if (code == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT) code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    snprintf(doing, sizeof doing, "append to topic %.*s", SLICE_ARG(name));
    return kafka_fail(s, code, NULL, doing, err);
}

weir_rc kafka_topic_append(storage *base, slice name, const record *records, const int32_t *partition, uint32_t count,
                           int64_t *offsets, weir_error *err)
{
    kafka_storage *s = (kafka_storage *)base;
    append whole = { .offsets = offsets };
    char c_name[KAFKA_TOPIC_NAME_MAX];
    int32_t partitions;
    uint64_t bytes_max;
    rd_kafka_t *rk;

    if (name.len >= sizeof c_name) return fail_unknown(name, err);
    WEIR_TRY(kafka_partition_count(s, name, &partitions, err));
    WEIR_TRY(kafka_topic_record_bytes_max(base, name, &bytes_max, err));
    WEIR_TRY(check_rows(name, records, partition, count, partitions, bytes_max, err));
    WEIR_TRY(kafka_shared(s, &rk, err));
    append_row *rows = malloc(count * sizeof *rows);
    if (rows == NULL) return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory to append %u records", count);
    pthread_mutex_lock(&s->lock);
    kafka_topic *known = find_known(s, name);
    uint32_t spread = known != NULL ? (known->spread += SPREAD_BYTES) : 0;
    pthread_mutex_unlock(&s->lock);
    snprintf(c_name, sizeof c_name, "%.*s", SLICE_ARG(name));
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, c_name, NULL);

    rd_kafka_resp_err_t code = topic == NULL ? rd_kafka_last_error() : RD_KAFKA_RESP_ERR_NO_ERROR;
    for (uint32_t i = 0; i < count && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        const record *r = &records[i];
        int32_t to = partition != NULL ? partition[i] : -1;
        if (to < 0 && r->key.data != NULL) to = partition_for_key(r->key, partitions);
        if (to < 0) to = kafka_spread(&spread, r->value.len, partitions);
        rows[i] = (append_row){ &whole, i };
        atomic_fetch_add(&whole.pending, 1);
        code = kafka_enqueue(rk, topic, to, r, &rows[i]);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) atomic_fetch_sub(&whole.pending, 1);
        if (i % 1024 == 1023) rd_kafka_poll(rk, 0);
    }
    while (atomic_load(&whole.pending) > 0) rd_kafka_poll(rk, 1);
    if (topic != NULL) rd_kafka_topic_destroy(topic);
    free(rows);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) code = (rd_kafka_resp_err_t)atomic_load(&whole.failure);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ? WEIR_OK : append_fail(s, name, code, err);
}
