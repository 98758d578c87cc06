/* storage/kafka_commit.c - a worker's producer: outputs and changelogs, the transaction that ties them to positions, and
 * what happens when one fails.
 *
 * Exactly once: outputs, changelog records and positions are one Kafka transaction; when it is committed, LMDB follows.
 * At least once: everything is flushed, then positions are committed, then LMDB. */
#include "storage/kafka.h"

#include "core/bytes.h"
#include "core/hash.h"
#include "core/thread.h"

#include <stdio.h>

#define INIT_MS 30000
#define FLUSH_MS 60000
#define RETRY_MS 60000 /* of one step, when Kafka says that trying again may help */

/* ---- the producer ---- */

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    kafka_client *c = ((kafka_handle *)opaque)->client;

    (void)rk;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) c->failed_deliveries++;
}

/* Only errors are reported; in a transaction they come with it, and nothing is. */
static void conf_producer(rd_kafka_conf_t *conf)
{
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
}

static weir_rc init_transactions(kafka_client *c, weir_error *err)
{
    int64_t until_ms = kafka_now_ms() + INIT_MS;

    for (;;) {
        rd_kafka_error_t *error = rd_kafka_init_transactions(c->producer, INIT_MS);
        if (error == NULL) return WEIR_OK;
        rd_kafka_resp_err_t code = rd_kafka_error_code(error);
        bool again = rd_kafka_error_is_retriable(error) && kafka_now_ms() < until_ms;
        weir_rc rc = kafka_fail(c->home, code, rd_kafka_error_string(error), "begin to write to Kafka", err);
        if (rd_kafka_error_is_retriable(error)) err->act = WEIR_ACT_RETRY;
        rd_kafka_error_destroy(error);
        if (!again) return rc;
        thread_sleep_ms(50);
    }
}

weir_rc kafka_producer_open(kafka_client *c, weir_error *err)
{
    /* isolation.level only decides what its offset look-ups mean: the high watermark, for restores */
    const char *const exactly[] = { "transactional.id", c->member, "isolation.level", "read_uncommitted", NULL };
    const char *const at_least[] = { "linger.ms", "0.5", "delivery.report.only.error", "true", "isolation.level", "read_uncommitted", NULL };

    c->in_transaction = false;
    c->failed_deliveries = 0;
    c->is_broken = true;
    WEIR_TRY(kafka_handle_new(&c->producer, c->home, KAFKA_PRODUCER, c->at_least_once ? at_least : exactly, &c->handle,
                              c->at_least_once ? conf_producer : NULL, err));
    if (!c->at_least_once) WEIR_TRY(init_transactions(c, err));
    c->is_broken = false;
    return WEIR_OK;
}

static void producer_destroy(kafka_client *c)
{
    for (produced_topic *at = c->produced; at != NULL; at = at->next) {
        if (at->topic != NULL) rd_kafka_topic_destroy(at->topic);
        at->topic = NULL;
    }
    if (c->producer == NULL) return;
    (void)rd_kafka_purge(c->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
    rd_kafka_destroy(c->producer);
    c->producer = NULL;
    c->in_transaction = false;
}

void kafka_producer_close(kafka_client *c)
{
    if (c->producer != NULL && c->in_transaction && !c->is_broken) {
        rd_kafka_error_t *error = rd_kafka_abort_transaction(c->producer, KAFKA_RPC_MS);
        if (error != NULL) rd_kafka_error_destroy(error); /* it times out on the broker */
    }
    producer_destroy(c);
}

weir_rc kafka_producer_topic(kafka_client *c, const char *name, rd_kafka_topic_t **out, weir_error *err)
{
    produced_topic *at = c->produced;

    while (at != NULL && at->name != name && strcmp(at->name, name) != 0) at = at->next;
    if (at == NULL) {
        at = ARENA_NEW(c->memory, produced_topic);
        at->name = arena_c_string(c->memory, slice_of(name));
        at->next = c->produced;
        c->produced = at;
    }
    if (at->topic == NULL) at->topic = rd_kafka_topic_new(c->producer, name, NULL);
    *out = at->topic;
    if (*out == NULL) return kafka_fail(c->home, rd_kafka_last_error(), NULL, "write to a topic", err);
    return WEIR_OK;
}

/* ---- errors ---- */

/* Too large a record would be too large again. Results are measured before; this is a key's state, or a row on its way. */
static weir_rc abort_with(kafka_client *c, rd_kafka_resp_err_t code, const char *why, const char *doing, weir_error *err)
{
    if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || code == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE) {
        return weir_fail_act(err, WEIR_RUNTIME, WEIR_ACT_STOP, "cannot %s: a record is larger than its topic takes (%s). Raise "
                             "max.message.bytes of the query's changelog and repartition topics, or keep less for each key",
                             doing, why == NULL ? rd_kafka_err2str(code) : why);
    }
    weir_rc rc = kafka_fail(c->home, code, why, doing, err);

    err->act = WEIR_ACT_ABORT;
    return rc;
}

static weir_rc refuse_broken(kafka_client *c, weir_error *err)
{
    if (!c->is_broken && c->producer != NULL) return WEIR_OK;
    return weir_fail_act(err, WEIR_BROKER, WEIR_ACT_ABORT, "the connection for writing to Kafka is lost; it is made anew");
}

typedef enum verdict { DONE, AGAIN, FAILED } verdict;

/* What an answer of the transactional calls means. */
static verdict judge(kafka_client *c, rd_kafka_error_t *error, const char *doing, int64_t until_ms, weir_rc *rc,
                     weir_error *err)
{
    if (error == NULL) return DONE;
    bool again = rd_kafka_error_is_retriable(error) && !rd_kafka_error_is_fatal(error) && kafka_now_ms() < until_ms;
    if (!again) {
        /* neither abortable nor known to be over: only a new producer tells */
        if (rd_kafka_error_is_fatal(error) || !rd_kafka_error_txn_requires_abort(error)) c->is_broken = true;
        *rc = abort_with(c, rd_kafka_error_code(error), rd_kafka_error_string(error), doing, err);
    }
    rd_kafka_error_destroy(error);
    if (again) thread_sleep_ms(20);
    return again ? AGAIN : FAILED;
}

/* ---- producing ---- */

static weir_rc begin(kafka_client *c, weir_error *err)
{
    weir_rc rc = WEIR_OK;

    WEIR_TRY(refuse_broken(c, err));
    if (c->in_transaction || c->at_least_once) return WEIR_OK;
    if (judge(c, rd_kafka_begin_transaction(c->producer), "begin a transaction", 0, &rc, err) != DONE) return rc;
    c->in_transaction = true;
    return WEIR_OK;
}

static weir_rc enqueue(kafka_client *c, rd_kafka_topic_t *topic, int32_t partition, const record *r, weir_error *err)
{
    char doing[KAFKA_TOPIC_NAME_MAX + 32], why[256];
    rd_kafka_resp_err_t code = kafka_enqueue(c->producer, topic, partition, r, NULL);

    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return WEIR_OK;
    if (rd_kafka_fatal_error(c->producer, why, sizeof why) != RD_KAFKA_RESP_ERR_NO_ERROR) c->is_broken = true;
    snprintf(doing, sizeof doing, "write to topic %s", rd_kafka_topic_name(topic));
    return abort_with(c, code, NULL, doing, err);
}

weir_rc kafka_client_produce(client *base, const output *out, weir_error *err)
{
    kafka_client *c = (kafka_client *)base;
    kafka_sink *sink = &c->sinks[out->sink];
    rd_kafka_topic_t *topic;

    if (out->rows == 0) return WEIR_OK;
    WEIR_TRY(begin(c, err));
    WEIR_TRY(kafka_producer_topic(c, sink->topic, &topic, err));
    for (uint32_t i = 0; i < out->rows; i++) {
        record r = { .key = out->key[i], .value = out->value[i], .timestamp_ms = out->timestamp_ms[i] };
        int32_t to = out->partition != NULL ? out->partition[i] : -1;
        if (out->headers != NULL) r.headers = out->headers[i];
        if (to < 0 && r.key.data != NULL) to = partition_for_key(r.key, sink->partitions);
        if (to < 0) to = kafka_spread(&sink->spread, r.value.len, sink->partitions);
        WEIR_TRY(enqueue(c, topic, to, &r, err));
    }
    rd_kafka_poll(c->producer, 0);
    return WEIR_OK;
}

static weir_rc produce_changes(kafka_client *c, const epoch *e, weir_error *err)
{
    kafka_task *task = (kafka_task *)e->state;
    int64_t now_ms = clock_now_ms(c->home->clock);
    rd_kafka_topic_t *topic;
    text key = TEXT_EMPTY;
    weir_rc rc = WEIR_OK;

    if (task == NULL || task->changelog == NULL || e->change_count == 0) return WEIR_OK;
    WEIR_TRY(kafka_producer_topic(c, task->changelog, &topic, err));
    for (uint32_t i = 0; i < e->change_count && rc == WEIR_OK; i++) {
        text_clear(&key);
        text_add_u16(&key, e->changes[i].store);
        text_add(&key, e->changes[i].key);
        record r = { .key = text_slice(&key), .value = e->changes[i].value, .timestamp_ms = now_ms };
        rc = enqueue(c, topic, task->partition, &r, err);
    }
    text_free(&key);
    return rc;
}

/* ---- commit ---- */

static rd_kafka_topic_partition_list_t *offsets_of(kafka_client *c, const position *positions, uint32_t count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);

    for (uint32_t i = 0; i < count; i++) {
        const position *at = &positions[i];
        rd_kafka_topic_partition_list_add(list, c->sources[at->source].topic, at->partition)->offset = at->next_offset;
    }
    rd_kafka_topic_partition_list_sort(list, NULL, NULL); /* topics together, as the request wants them */
    return list;
}

static weir_rc send_offsets(kafka_client *c, rd_kafka_topic_partition_list_t *offsets, weir_error *err)
{
    int64_t until_ms = kafka_now_ms() + RETRY_MS;
    rd_kafka_consumer_group_metadata_t *member;
    weir_rc rc = WEIR_OK;
    verdict v = DONE;

    if (offsets->cnt == 0) return WEIR_OK;
    member = rd_kafka_consumer_group_metadata(c->consumer);
    do {
        v = judge(c, rd_kafka_send_offsets_to_transaction(c->producer, offsets, member, KAFKA_RPC_MS), "commit positions",
                  until_ms, &rc, err);
    } while (v == AGAIN);
    rd_kafka_consumer_group_metadata_destroy(member);
    return rc;
}

/* In short steps: where no delivery is reported, librdkafka looks every 10 ms only, or when the time is over. */
static rd_kafka_resp_err_t flush(kafka_client *c, int64_t most_ms)
{
    int64_t until_ms = kafka_now_ms() + most_ms;
    rd_kafka_resp_err_t code;

    do code = rd_kafka_flush(c->producer, 1);
    while (code == RD_KAFKA_RESP_ERR__TIMED_OUT && kafka_now_ms() < until_ms);
    return code;
}

static weir_rc commit_transaction(kafka_client *c, weir_error *err)
{
    int64_t until_ms = kafka_now_ms() + RETRY_MS;
    weir_rc rc = WEIR_OK;
    verdict v;

    (void)flush(c, 1000); /* before the commit's own */
    do {
        v = judge(c, rd_kafka_commit_transaction(c->producer, -1), "commit", until_ms, &rc, err);
    } while (v == AGAIN);
    if (v == DONE) c->in_transaction = false;
    if (v == FAILED && c->is_broken) c->is_outcome_unknown = true;
    return rc;
}

static weir_rc commit_exactly_once(kafka_client *c, const epoch *epochs, uint32_t epoch_count,
                                   rd_kafka_topic_partition_list_t *offsets, weir_error *err)
{
    WEIR_TRY(begin(c, err));
    for (uint32_t i = 0; i < epoch_count; i++) WEIR_TRY(produce_changes(c, &epochs[i], err));
    WEIR_TRY(send_offsets(c, offsets, err));
    return commit_transaction(c, err);
}

static weir_rc commit_positions(kafka_client *c, rd_kafka_topic_partition_list_t *offsets, weir_error *err)
{
    int64_t until_ms = kafka_now_ms() + RETRY_MS;

    for (;;) {
        rd_kafka_resp_err_t code = rd_kafka_commit(c->consumer, offsets, 0);
        for (int i = 0; i < offsets->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++) code = offsets->elems[i].err;
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return WEIR_OK;
        if (!kafka_is_transient_error(code) || kafka_now_ms() > until_ms) {
            return abort_with(c, code, NULL, "commit positions", err);
        }
        thread_sleep_ms(20);
    }
}

static weir_rc commit_at_least_once(kafka_client *c, const epoch *epochs, uint32_t epoch_count,
                                    rd_kafka_topic_partition_list_t *offsets, weir_error *err)
{
    WEIR_TRY(begin(c, err));
    for (uint32_t i = 0; i < epoch_count; i++) WEIR_TRY(produce_changes(c, &epochs[i], err));
    rd_kafka_resp_err_t code = flush(c, FLUSH_MS);
    if (c->failed_deliveries > 0) code = RD_KAFKA_RESP_ERR__MSG_TIMED_OUT;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return abort_with(c, code, NULL, "write results", err);
    return offsets->cnt > 0 ? commit_positions(c, offsets, err) : WEIR_OK;
}

/* What the broker has, the environments get. One that fails is behind: it takes the rest from the changelog on abort. */
static weir_rc commit_states(kafka_client *c, const epoch *epochs, uint32_t epoch_count, weir_error *err)
{
    weir_rc rc = WEIR_OK;
    weir_error another;

    (void)c;
    for (uint32_t i = 0; i < epoch_count; i++) {
        kafka_task *task = (kafka_task *)epochs[i].state;
        if (task == NULL || epochs[i].change_count == 0) continue;
        weir_rc of_one = kafka_task_commit(task, epochs[i].changes, epochs[i].change_count, rc == WEIR_OK ? err : &another);
        if (rc == WEIR_OK) rc = of_one;
    }
    if (rc != WEIR_OK) err->act = WEIR_ACT_ABORT;
    return rc;
}

static bool has_work(const kafka_client *c, const epoch *epochs, uint32_t epoch_count, uint32_t position_count)
{
    bool has = c->in_transaction || position_count > 0;

    for (uint32_t i = 0; i < epoch_count && !has; i++) has = epochs[i].change_count > 0;
    return has || (c->at_least_once && c->producer != NULL && rd_kafka_outq_len(c->producer) > 0);
}

weir_rc kafka_fail_lost(const kafka_client *c, weir_error *err)
{
    if (storage_is_cut_off(&c->home->base)) { /* nobody hears that we are here, and we do not hear who has them */
        kafka_waits(&c->home->base, "keep the partitions", err);
        err->act = WEIR_ACT_ABORT;
        return err->rc;
    }
    return weir_fail_act(err, WEIR_BROKER, WEIR_ACT_ABORT, "the partitions have gone to another member of group %s", c->group);
}

weir_rc kafka_client_commit(client *base, const epoch *epochs, uint32_t epoch_count, const position *positions,
                            uint32_t position_count, weir_error *err)
{
    kafka_client *c = (kafka_client *)base;

    if (c->is_transient || !has_work(c, epochs, epoch_count, position_count)) return WEIR_OK;
    if (c->is_lost && (c->step == REVOKE_SEEN || c->step == REVOKE_REPORTED)) {
        return kafka_fail_lost(c, err);
    }
    rd_kafka_topic_partition_list_t *offsets = offsets_of(c, positions, position_count);
    weir_rc rc = c->at_least_once ? commit_at_least_once(c, epochs, epoch_count, offsets, err)
                                  : commit_exactly_once(c, epochs, epoch_count, offsets, err);
    rd_kafka_topic_partition_list_destroy(offsets);
    if (rc != WEIR_OK) return rc;
    for (uint32_t i = 0; i < position_count; i++) {
        kafka_slot *slot = kafka_slot_of(c, positions[i].source, positions[i].partition);
        if (slot != NULL) slot->committed = positions[i].next_offset;
    }
    return commit_states(c, epochs, epoch_count, err);
}

/* ---- abort ---- */

static weir_rc abort_transaction(kafka_client *c, weir_error *err)
{
    int64_t until_ms = kafka_now_ms() + RETRY_MS;
    weir_rc rc = WEIR_OK;
    verdict v;

    do {
        v = judge(c, rd_kafka_abort_transaction(c->producer, -1), "abort a transaction", until_ms, &rc, err);
    } while (v == AGAIN);
    if (v == DONE) c->in_transaction = false;
    c->is_broken = v != DONE;
    return WEIR_OK; /* a new producer aborts what the old one left */
}

static weir_rc mend_producer(kafka_client *c, weir_error *err)
{
    if (!c->is_broken && c->in_transaction) WEIR_TRY(abort_transaction(c, err));
    if (!c->is_broken && c->at_least_once && c->failed_deliveries > 0) {
        (void)rd_kafka_flush(c->producer, FLUSH_MS);
        c->failed_deliveries = 0;
    }
    if (!c->is_broken) return WEIR_OK;
    producer_destroy(c);
    weir_rc rc = kafka_producer_open(c, err);
    if (rc != WEIR_OK && err->rc == WEIR_BROKER) err->act = WEIR_ACT_RETRY;
    return rc;
}

/* A commit whose answer got lost may have been carried out: then the group's positions and the changelogs tell. */
static weir_rc find_out(kafka_client *c, weir_error *err)
{
    for (kafka_task *task = c->tasks; task != NULL; task = task->next) {
        kafka_task_end_reading(task);
        if (c->is_outcome_unknown) task->is_behind = true;
        if (task->is_behind) WEIR_TRY(kafka_task_restore(task, err));
    }
    if (c->is_outcome_unknown && c->consumer != NULL) WEIR_TRY(kafka_load_committed(c, err));
    c->is_outcome_unknown = false;
    return WEIR_OK;
}

weir_rc kafka_client_abort(client *base, weir_error *err)
{
    kafka_client *c = (kafka_client *)base;

    if (!c->is_transient) {
        WEIR_TRY(mend_producer(c, err));
        WEIR_TRY(kafka_check_fenced(c, err));
        if (c->is_fenced) return WEIR_OK; /* all its tasks are about to go */
        WEIR_TRY(find_out(c, err));
    }
    return c->consumer == NULL ? WEIR_OK : kafka_rewind(c, err);
}
