/* The Kafka storage over librdkafka's mock cluster: what brokers rarely do on demand, that is failing. (The mock keeps no
 * transaction markers, shows uncommitted records and knows no configuration: tests/broker_kafka.c checks those things on a real broker.) */
#include "storage/kafka.h"
#include "tests/unit/run_tests.h"

#include "core/thread.h"

#include <check.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FETCH_API = 1, END_TXN_API = 26, TXN_OFFSET_COMMIT_API = 28, INIT_PRODUCER_ID_API = 22 };

static rd_kafka_t *host, *writer;
static rd_kafka_mock_cluster_t *cluster;
static char home[] = "/tmp/check_kafka.XXXXXX";
static char dir[64];
static const weir_clock wall = { 0 };
static storage *s;
static weir_error err;

#define OK(call) ck_assert_msg((call) == WEIR_OK, "%s: %s", #call, err.message)

static void ignore_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    (void)level;
    (void)facility;
    (void)text;
}

static void open_storage(void)
{
    kafka_options options = { .brokers = slice_of(rd_kafka_mock_cluster_bootstraps(cluster)),
                              .service = SLICE("test"),
                              .clock = &wall };

    OK(storage_open_kafka(&s, slice_of(dir), &options, &err));
}

static void setup(void)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    rd_kafka_conf_set_log_cb(conf, ignore_log);
    host = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    cluster = rd_kafka_mock_cluster_new(host, 1);
    ck_assert_ptr_nonnull(cluster);
    conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, ignore_log);
    rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster), why, sizeof why);
    writer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    snprintf(dir, sizeof dir, "%s", home);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(rd_kafka_mock_topic_create(cluster, "in", 2, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    ck_assert_int_eq(rd_kafka_mock_topic_create(cluster, "out", 2, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    ck_assert_int_eq(rd_kafka_mock_topic_create(cluster, "test-q-0-changelog", 2, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    open_storage();
}

static void teardown(void)
{
    char command[128];

    storage_close(s);
    rd_kafka_destroy(writer);
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(host);
    snprintf(command, sizeof command, "rm -r %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static void append(const char *value, int32_t partition)
{
    ck_assert_int_eq(rd_kafka_producev(writer, RD_KAFKA_V_TOPIC("in"), RD_KAFKA_V_PARTITION(partition),
                                       RD_KAFKA_V_KEY("k", 1), RD_KAFKA_V_VALUE((void *)value, strlen(value)),
                                       RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    ck_assert_int_eq(rd_kafka_flush(writer, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
}

static client *member(bool at_least_once)
{
    static const client_source source = { { "in", 2 }, START_EARLIEST, false };
    static const slice sink = { "out", 3 };
    client_spec spec = { .name = SLICE("q"), .sources = &source, .source_count = 1, .sinks = &sink, .sink_count = 1,
                         .instances = 1, .at_least_once = at_least_once };
    client *c;

    OK(client_open(&c, s, &spec, &err));
    return c;
}

/* Polls until a record of partition 0 comes; its offset. */
static int64_t next_record(client *c)
{
    const fetch *events;
    uint32_t count;

    for (int i = 0; i < 300; i++) {
        OK(client_poll(c, 100, 1, &events, &count, &err));
        for (uint32_t e = 0; e < count; e++) {
            if (events[e].kind != FETCH_RECORDS) continue;
            ck_assert_int_eq(events[e].partition, 0);
            ck_assert_uint_eq(events[e].rows, 1);
            return events[e].offset[0];
        }
    }
    ck_abort_msg("no record came");
}

static void produce_one(client *c)
{
    slice key = SLICE("k"), value = SLICE("v");
    int64_t timestamp_ms = 5;
    output out = { 0, 1, &key, &value, &timestamp_ms, NULL, NULL };

    OK(client_produce(c, &out, &err));
}

static task_state *open_state(client *c)
{
    state_spec spec = { .name = SLICE("q/0"), .partition = 0, .partitions = 2, .layout = SLICE("1"), .has_changelog = true };
    task_state *t;

    OK(task_state_open(&t, c, &spec, &err));
    return t;
}

static weir_rc commit(client *c, task_state *t, int64_t offset)
{
    state_change change = { 7, SLICE("key"), SLICE("value") };
    epoch e = { t, &change, 1 };
    position at = { 0, 0, offset + 1 };

    produce_one(c);
    return client_commit(c, &e, 1, &at, 1, &err);
}

static bool has_state(task_state *t)
{
    slice value;
    bool found;

    OK(task_state_get(t, 7, SLICE("key"), &value, &found, &err));
    return found;
}

START_TEST(topics_are_found)
{
    topic_info info, *list;
    bool found;
    uint32_t count;
    int64_t begin, end;
    arena *a = arena_new(0);

    OK(topic_find(s, SLICE("in"), &info, &found, &err));
    ck_assert(found && info.partitions == 2);
    OK(topic_list(s, a, &list, &count, &err));
    ck_assert_uint_eq(count, 3);
    ck_assert(slice_is(list[0].name, "in") && list[2].is_internal);
    append("1", 0);
    append("2", 0);
    OK(topic_offsets(s, SLICE("in"), 0, &begin, &end, &err));
    ck_assert_int_eq(begin, 0);
    ck_assert_int_eq(end, 2);
    ck_assert_int_eq(topic_offsets(s, SLICE("in"), 2, &begin, &end, &err), WEIR_SEMANTIC);
    ck_assert_str_eq(err.message, "topic in has partitions 0 to 1, not 2");
    arena_free(a);
}
END_TEST

START_TEST(a_refused_commit_is_aborted_and_done_again)
{
    client *c = member(false);

    append("1", 0);
    int64_t offset = next_record(c);
    task_state *t = open_state(c);
    rd_kafka_mock_push_request_errors(cluster, TXN_OFFSET_COMMIT_API, 1, RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION);
    ck_assert_int_eq(commit(c, t, offset), WEIR_BROKER);
    ck_assert_int_eq(err.act, WEIR_ACT_ABORT);
    ck_assert(!has_state(t));
    OK(client_abort(c, &err));
    ck_assert_int_eq(next_record(c), offset);
    OK(commit(c, t, offset));
    ck_assert(has_state(t));
    int64_t committed;
    OK(client_position(c, 0, 0, &committed, &err));
    ck_assert_int_eq(committed, offset + 1);
    task_state_close(t);
    client_close(c);
}
END_TEST

START_TEST(what_may_pass_is_tried_again_within_the_commit)
{
    client *c = member(false);

    append("1", 0);
    int64_t offset = next_record(c);
    task_state *t = open_state(c);
    rd_kafka_mock_push_request_errors(cluster, END_TXN_API, 2, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
                                      RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE);
    rd_kafka_mock_push_request_errors(cluster, TXN_OFFSET_COMMIT_API, 1, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
    OK(commit(c, t, offset));
    ck_assert(has_state(t));
    task_state_close(t);
    client_close(c);
}
END_TEST

START_TEST(a_producer_that_is_fenced_is_made_anew)
{
    client *c = member(false);

    append("1", 0);
    int64_t offset = next_record(c);
    task_state *t = open_state(c);
    rd_kafka_mock_push_request_errors(cluster, END_TXN_API, 1, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH);
    ck_assert_int_eq(commit(c, t, offset), WEIR_BROKER);
    ck_assert_int_eq(err.act, WEIR_ACT_ABORT);
    slice key = SLICE("k");
    int64_t timestamp_ms = 5;
    output out = { 0, 1, &key, &key, &timestamp_ms, NULL, NULL };
    ck_assert_int_eq(client_produce(c, &out, &err), WEIR_BROKER); /* not before the abort */
    ck_assert_int_eq(err.act, WEIR_ACT_ABORT);
    OK(client_abort(c, &err));
    /* the mock has the changelog record of the commit whose end it refused: whoever asks sees it carried out */
    ck_assert(has_state(t));
    OK(commit(c, t, offset));
    task_state_close(t);
    client_close(c);
}
END_TEST

START_TEST(at_least_once_commits_positions_after_results)
{
    client *c = member(true);
    int64_t committed;

    append("1", 0);
    int64_t offset = next_record(c);
    task_state *t = open_state(c);
    OK(commit(c, t, offset));
    ck_assert(has_state(t));
    OK(client_abort(c, &err)); /* nothing is read again */
    OK(client_position(c, 0, 0, &committed, &err));
    ck_assert_int_eq(committed, offset + 1);
    append("2", 0);
    ck_assert_int_eq(next_record(c), offset + 1);
    task_state_close(t);
    client_close(c);
}
END_TEST

START_TEST(state_survives_a_marker_of_this_run_and_not_one_of_another)
{
    client *c = member(false);
    char path[128];
    uint64_t bytes, entries;

    append("1", 0);
    int64_t offset = next_record(c);
    task_state *t = open_state(c);
    OK(commit(c, t, offset));
    snprintf(path, sizeof path, "%s/tasks/q~0/0.boot", dir);
    ck_assert_int_eq(access(path, F_OK), 0);
    task_state_close(t);
    ck_assert_int_ne(access(path, F_OK), 0); /* closed cleanly */

    FILE *marker = fopen(path, "w");
    fputs("another run", marker);
    fclose(marker);
    snapshot *snap;
    const int32_t *partitions;
    uint32_t count;
    OK(snapshot_open(&snap, s, SLICE("q/0"), &err));
    OK(snapshot_partitions(snap, &partitions, &count, &err));
    ck_assert_uint_eq(count, 0); /* not to be trusted */
    snapshot_close(snap);
    t = open_state(c); /* wiped, and restored from the changelog */
    ck_assert(has_state(t));
    OK(task_state_size(t, &bytes, &entries, &err));
    ck_assert_uint_eq(entries, 1);
    ck_assert_uint_eq(bytes, 8);
    task_state_close(t);
    client_close(c);
}
END_TEST

/* librdkafka tells of it from a thread of its own, which holds locks that looking a topic up takes as well: they must not wait for
 * each other. (TSan sees that they might; else only a hang does.) */
START_TEST(who_may_not_write_can_look_topics_up)
{
    enum { DENIED = RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED };
    topic_info info;
    bool found;

    storage_close(s);
    rd_kafka_mock_push_request_errors(cluster, INIT_PRODUCER_ID_API, 8, DENIED, DENIED, DENIED, DENIED, DENIED, DENIED, DENIED, DENIED);
    open_storage();
    for (int i = 0; i < 200; i++) {
        OK(topic_find(s, SLICE("in"), &info, &found, &err));
        ck_assert(found);
        thread_sleep_ms(1);
    }
}
END_TEST

START_TEST(a_topic_is_of_one_query)
{
    static const struct {
        const char *topic, *name;
        bool is_of;
    } CASES[] = {
        { "weir-CTAS_A_3-0-changelog", "weir-CTAS_A_3", true },
        { "weir-CTAS_A_3-12-changelog", "weir-CTAS_A_3", true },
        { "weir-CTAS_A_3-group-by-repartition", "weir-CTAS_A_3", true },
        { "weir-CTAS_A_3-join-left-7-repartition", "weir-CTAS_A_3", true },
        { "weir-CTAS_A_3-join-foreign-7-subscription", "weir-CTAS_A_3", true },
        { "weir-CTAS_A_3v2-0-changelog", "weir-CTAS_A_3v2", true },
        { "weir-CTAS_A_3-b_7-0-changelog", "weir-CTAS_A_3-b_7", true }, /* of a table `A_3-b` */
        { "weir-CTAS_A_3-b_7-0-changelog", "weir-CTAS_A_3", false },
        { "weir-CTAS_A_3-5_7-0-changelog", "weir-CTAS_A_3", false },
        { "weir-CTAS_A_3-b_7-group-by-repartition", "weir-CTAS_A_3", false },
        { "weir-CTAS_A_3-group-by_7v2-join-answers-4-subscription", "weir-CTAS_A_3", false },
        { "weir-CTAS_A_3v2-0-changelog", "weir-CTAS_A_3", false },
        { "weir-CTAS_A_33-0-changelog", "weir-CTAS_A_3", false },
        { "weir-CTAS_A_3-orders", "weir-CTAS_A_3", false },
        { "weir-CTAS_A_3-changelog", "weir-CTAS_A_3", false },
        { "weir-CTAS_A_3-repartition", "weir-CTAS_A_3", false },
        { "-changelog", "weir-CTAS_A_3", false },
    };

    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        ck_assert_msg(kafka_topic_is_of(slice_of(CASES[i].topic), slice_of(CASES[i].name)) == CASES[i].is_of, "%s of %s",
                      CASES[i].topic, CASES[i].name);
    }
}
END_TEST

START_TEST(nothing_to_do_is_no_commit)
{
    client *c = member(false);

    rd_kafka_mock_push_request_errors(cluster, END_TXN_API, 1, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH);
    OK(client_commit(c, NULL, 0, NULL, 0, &err));
    client_close(c);
}
END_TEST

static void add_tests(TCase *mock)
{
    tcase_add_test(mock, topics_are_found);
    tcase_add_test(mock, a_refused_commit_is_aborted_and_done_again);
    tcase_add_test(mock, what_may_pass_is_tried_again_within_the_commit);
    tcase_add_test(mock, a_producer_that_is_fenced_is_made_anew);
    tcase_add_test(mock, at_least_once_commits_positions_after_results);
    tcase_add_test(mock, state_survives_a_marker_of_this_run_and_not_one_of_another);
    tcase_add_test(mock, who_may_not_write_can_look_topics_up);
    tcase_add_test(mock, nothing_to_do_is_no_commit);
    tcase_add_test(mock, a_topic_is_of_one_query);
}

int main(void)
{
    return run_tests("kafka", add_tests, setup, teardown);
}
