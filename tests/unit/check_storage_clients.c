/* tests/unit/check_storage_clients.c - clients of the embedded log: assignment, reading, and the one commit. */
#include "check_storage.h"

#include <pthread.h>
#include <sys/wait.h>
#include <time.h>

START_TEST(partitions_are_assigned_by_instance)
{
    storage *s = open_here();
    client_source sources[2] = { { SLICE("four"), START_EARLIEST, false }, { SLICE("three"), START_EARLIEST, false } };
    client_spec spec = { .name = SLICE("q"), .sources = sources, .source_count = 2, .instances = 2, .instance = 1 };
    client *c;
    const fetch *e;
    int64_t next;

    make_topic(s, "four", 4);
    make_topic(s, "three", 3);
    append_one(s, "four", NULL, "v", 0); /* to partition 0 */
    MUST(client_open(&c, s, &spec, &test_error));
    ck_assert_uint_eq(poll_client(c, 0, 10, &e), 1);
    ck_assert_int_eq(e->kind, FETCH_ASSIGNED);
    ck_assert_uint_eq(e->partition_count, 2);
    ck_assert_int_eq(e->partitions[0], 1);
    ck_assert_int_eq(e->partitions[1], 3);
    ck_assert_uint_eq(poll_client(c, 0, 10, &e), 3); /* four/1, four/3, three/1: all at their end */
    for (int i = 0; i < 3; i++) ck_assert_int_eq(e[i].kind, FETCH_END);
    MUST(client_position(c, 0, 3, &next, &test_error));
    ck_assert_int_eq(next, 0);
    MUST_FAIL(client_position(c, 1, 3, &next, &test_error), WEIR_INTERNAL, "partition 3 of source 1");
    MUST_FAIL(client_position(c, 0, 0, &next, &test_error), WEIR_INTERNAL, "partition 0 of source 0");
    client_close(c);
    spec.instance = 7;
    spec.instances = 8;
    MUST(client_open(&c, s, &spec, &test_error));
    ck_assert_uint_eq(poll_client(c, 0, 10, &e), 1);
    ck_assert_uint_eq(e->partition_count, 0);
    ck_assert_uint_eq(poll_client(c, 0, 10, &e), 0);
    client_close(c);
    sources[0].topic = SLICE("five");
    MUST_FAIL(client_open(&c, s, &spec, &test_error), WEIR_SEMANTIC, "there is no topic five");
    storage_close(s);
}
END_TEST

START_TEST(the_end_is_told_each_time_it_is_reached)
{
    storage *s = open_here();
    const fetch *e;

    make_topic(s, "t", 1);
    client *c = open_reader(s, NULL, "t", NULL);
    ck_assert_uint_eq(poll_client(c, 0, 10, &e), 1);
    ck_assert_int_eq(e->kind, FETCH_END);
    ck_assert_int_eq(e->next_offset, 0);
    ck_assert_uint_eq(poll_client(c, 0, 10, &e), 0);
    append_one(s, "t", "k", "v", 5);
    append_one(s, "t", "k", "w", 6);
    ck_assert_uint_eq(poll_client(c, 0, 1, &e), 1);
    ck_assert_int_eq(e[0].kind, FETCH_RECORDS);
    ck_assert_uint_eq(poll_client(c, 0, 10, &e), 2);
    ck_assert_int_eq(e[0].timestamp_ms[0], 6);
    ck_assert(slice_is(e[0].value[0], "w"));
    ck_assert_int_eq(e[1].kind, FETCH_END);
    ck_assert_int_eq(e[1].next_offset, 2);
    ck_assert_uint_eq(poll_client(c, 0, 10, &e), 0);
    client_close(c);
    storage_close(s);
}
END_TEST

START_TEST(a_client_may_start_at_the_end)
{
    storage *s = open_here();
    client_source source = { SLICE("t"), START_LATEST, false };
    client_spec spec = { .name = SLICE("q"), .sources = &source, .source_count = 1, .instances = 1 };
    client *c;
    const fetch *e;

    make_topic(s, "t", 1);
    append_one(s, "t", NULL, "old", 0);
    MUST(client_open(&c, s, &spec, &test_error));
    poll_client(c, 0, 10, &e);
    append_one(s, "t", NULL, "new", 0);
    ck_assert_uint_eq(poll_client(c, 0, 10, &e), 2);
    ck_assert(slice_is(e[0].value[0], "new"));
    client_close(c);
    storage_close(s);
}
END_TEST

START_TEST(pausing_and_seeking)
{
    storage *s = open_here();
    const fetch *e;

    make_topic(s, "t", 2);
    for (int i = 0; i < 8; i++) append_one(s, "t", NULL, "v", i); /* four in each, each a block */
    client *c = open_reader(s, NULL, "t", NULL);
    MUST(client_pause(c, 0, 0, true, &test_error));
    ck_assert_uint_eq(poll_client(c, 0, 100, &e), 2);
    ck_assert(e[0].partition == 1 && e[0].rows == 4 && e[1].kind == FETCH_END && e[1].partition == 1);
    ck_assert_uint_eq(poll_client(c, 0, 100, &e), 0);
    MUST(client_pause(c, 0, 0, false, &test_error));
    MUST(client_seek(c, 0, 0, 3, &test_error));
    ck_assert_uint_eq(poll_client(c, 0, 100, &e), 2);
    ck_assert(e[0].partition == 0 && e[0].rows == 1 && e[0].offset[0] == 3);
    MUST(client_seek(c, 0, 1, 9, &test_error)); /* beyond the end */
    ck_assert_uint_eq(poll_client(c, 0, 100, &e), 1);
    ck_assert_int_eq(e[0].kind, FETCH_END);
    client_close(c);
    storage_close(s);
}
END_TEST

START_TEST(partitions_take_turns)
{
    storage *s = open_here();
    int served[4] = { 0 };
    const fetch *e;

    make_topic(s, "t", 4);
    for (int i = 0; i < 400; i++) append_one(s, "t", NULL, "v", i);
    client *c = open_reader(s, NULL, "t", NULL);
    for (int i = 0; i < 8; i++) {
        ck_assert_uint_eq(poll_client(c, 0, 10, &e), 1);
        ck_assert_uint_eq(e->rows, 10);
        served[e->partition]++;
    }
    for (int p = 0; p < 4; p++) ck_assert_int_eq(served[p], 2);
    client_close(c);
    storage_close(s);
}
END_TEST

START_TEST(a_commit_is_all_or_nothing)
{
    storage *s = open_here();
    const fetch *e;
    slice content;
    int64_t next;

    make_topic(s, "in", 1);
    make_topic(s, "out", 3);
    for (int i = 0; i < 5; i++) append_one(s, "in", NULL, "v", i);
    client *c = open_reader(s, "q", "in", "out");
    task_state *t = open_state(c, "q/0", 0);
    ck_assert_uint_eq(poll_client(c, 0, 3, &e), 1);
    ck_assert_int_eq(e->next_offset, 3);

    for (int32_t p = 0; p < 3; p++) produce_one(c, SLICE("k"), SLICE("lost"), p);
    ck_assert_uint_eq(client_waiting_bytes(c), 3 * strlen("klost"));
    MUST(client_abort(c, &test_error));
    ck_assert_uint_eq(client_waiting_bytes(c), 0);
    for (int32_t p = 0; p < 3; p++) ck_assert_int_eq(end_of(s, "out", p), 0);
    ck_assert_uint_eq(poll_client(c, 0, 3, &e), 1);
    ck_assert_int_eq(e->offset[0], 0); /* from the start again */

    for (int32_t i = 0; i < 9; i++) produce_one(c, SLICE("k"), (slice){ "012345678" + i, 1 }, i % 3);
    state_change change = { 1, SLICE("count"), SLICE("3") };
    epoch epoch_of_t = { t, &change, 1 };
    position done = { 0, 0, e->next_offset };
    ck_assert_int_eq(end_of(s, "out", 0), 0);
    ck_assert(!get_state(t, 1, SLICE("count"), &content));
    MUST(client_commit(c, &epoch_of_t, 1, &done, 1, &test_error));
    ck_assert_uint_eq(client_waiting_bytes(c), 0);
    ck_assert(get_state(t, 1, SLICE("count"), &content) && slice_is(content, "3"));
    for (int32_t p = 0; p < 3; p++) ck_assert_int_eq(end_of(s, "out", p), 3);
    MUST(client_position(c, 0, 0, &next, &test_error));
    ck_assert_int_eq(next, 3);
    task_state_close(t);
    client_close(c);

    client *reader = open_reader(s, NULL, "out", NULL);
    ck_assert_uint_eq(poll_client(reader, 0, 100, &e), 6);
    ck_assert(slice_is(e[0].value[0], "0") && slice_is(e[0].value[1], "3") && slice_is(e[0].value[2], "6"));
    client_close(reader);
    storage_close(s);

    s = open_here(); /* and after opening again */
    c = open_reader(s, "q", "in", "out");
    ck_assert_uint_eq(poll_client(c, 0, 3, &e), 2);
    ck_assert_int_eq(e->offset[0], 3);
    client_close(c);
    storage_close(s);
}
END_TEST

START_TEST(a_repartition_topic_keeps_only_what_was_not_read)
{
    storage *s = open_here();
    topic_spec spec = { .name = SLICE("q-repartition"), .partitions = 1, .retention_ms = -1, .is_internal = true };
    const fetch *e;

    MUST(topic_create(s, &spec, &test_error));
    for (int i = 0; i < 10; i++) append_one(s, "q-repartition", NULL, "v", i);
    client *c = open_reader(s, "q", "q-repartition", NULL);
    poll_client(c, 0, 100, &e);
    ck_assert_int_eq(begin_of(s, "q-repartition", 0), 0);
    position done = { 0, 0, 7 };
    MUST(client_commit(c, NULL, 0, &done, 1, &test_error));
    ck_assert_int_eq(begin_of(s, "q-repartition", 0), 7);
    done.next_offset = 10;
    MUST(client_commit(c, NULL, 0, &done, 1, &test_error));
    ck_assert_int_eq(begin_of(s, "q-repartition", 0), 10);
    append_one(s, "q-repartition", NULL, "next", 0);
    ck_assert_uint_eq(poll_client(c, 0, 100, &e), 2);
    ck_assert_int_eq(e->offset[0], 10);
    client_close(c);
    storage_close(s);
}
END_TEST

START_TEST(a_deleted_topic_ends_its_readers_and_writers)
{
    storage *s = open_here();
    const fetch *e;
    uint32_t count;

    make_topic(s, "in", 1);
    make_topic(s, "out", 1);
    client *c = open_reader(s, "q", "in", "out");
    poll_client(c, 0, 1, &e);
    produce_one(c, NO_SLICE, SLICE("v"), 0);
    MUST(topic_delete(s, SLICE("out"), &test_error));
    MUST_FAIL(client_commit(c, NULL, 0, NULL, 0, &test_error), WEIR_STORAGE, "topic out was deleted");
    MUST(topic_delete(s, SLICE("in"), &test_error));
    MUST_FAIL(client_poll(c, 0, 1, &e, &count, &test_error), WEIR_STORAGE, "topic in was deleted");
    client_close(c);
    storage_close(s);
}
END_TEST

/* ---- waiting ---- */

static double now_s(void)
{
    return (double)clock_monotonic_ns() / 1e9;
}

static void sleep_ms(int ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

static void *append_later(void *argument)
{
    sleep_ms(50);
    append_one(argument, "t", NULL, "here", 0);
    return NULL;
}

static void *wake_later(void *argument)
{
    sleep_ms(50);
    client_wake(argument);
    return NULL;
}

START_TEST(a_waiting_client_hears_of_news)
{
    storage *s = open_here();
    const fetch *e;
    pthread_t thread;

    make_topic(s, "t", 1);
    client *c = open_reader(s, NULL, "t", NULL);
    poll_client(c, 0, 1, &e);
    double start = now_s();
    ck_assert_uint_eq(poll_client(c, 60, 1, &e), 0);
    ck_assert(now_s() - start >= 0.059);

    pthread_create(&thread, NULL, append_later, s);
    ck_assert_uint_eq(poll_client(c, 30000, 10, &e), 2);
    ck_assert(slice_is(e->value[0], "here"));
    pthread_join(thread, NULL);
    pthread_create(&thread, NULL, wake_later, c);
    ck_assert_uint_eq(poll_client(c, 30000, 10, &e), 0);
    pthread_join(thread, NULL);
    client_close(c);
    storage_close(s);
}
END_TEST

START_TEST(a_waiting_client_hears_of_another_process)
{
    pid_t child = fork();
    if (child == 0) {
        sleep_ms(200); /* by then the parent waits; if not, it finds the record at once */
        storage *s = open_here();
        append_one(s, "t", NULL, "from the child", 0);
        storage_close(s);
        _exit(0);
    }
    storage *s = open_here();
    const fetch *e;
    make_topic(s, "t", 1);
    client *c = open_reader(s, NULL, "t", NULL);
    poll_client(c, 0, 1, &e);
    ck_assert_uint_eq(poll_client(c, 30000, 10, &e), 2);
    ck_assert(slice_is(e->value[0], "from the child"));
    waitpid(child, NULL, 0);
    client_close(c);
    storage_close(s);
}
END_TEST

START_TEST(virtual_time_is_never_slept_through)
{
    weir_clock virtual = { .is_virtual = true };
    storage *s = open_with((local_options){ .durability = DURABLE_META, .clock = &virtual });
    const fetch *e;

    make_topic(s, "t", 1);
    client *c = open_reader(s, NULL, "t", NULL);
    double start = now_s();
    poll_client(c, 60000, 1, &e);
    ck_assert_uint_eq(poll_client(c, 60000, 1, &e), 0);
    ck_assert(now_s() - start < 30);
    client_close(c);
    storage_close(s);
}
END_TEST

/* ---- many at once ---- */

enum { WORKERS = 4, EPOCHS = 40 };

typedef struct worker {
    storage *storage;
    uint32_t instance;
    uint64_t read;
} worker;

/* Copies its partitions of "in" to "out", a few records an epoch, counting in its state. */
static void *copy(void *argument)
{
    worker *w = argument;
    client_source source = { SLICE("in"), START_EARLIEST, false };
    slice sink = SLICE("out");
    client_spec spec = { .name = SLICE("copy"), .sources = &source, .source_count = 1, .sinks = &sink, .sink_count = 1,
                         .instance = w->instance, .instances = WORKERS };
    client *c;
    weir_error err;
    const fetch *e;
    uint32_t count;

    ck_assert_int_eq(client_open(&c, w->storage, &spec, &err), WEIR_OK);
    state_spec state = { .name = SLICE("copy/0"), .partition = (int32_t)w->instance, .partitions = WORKERS };
    task_state *t;
    ck_assert_int_eq(task_state_open(&t, c, &state, &err), WEIR_OK);
    while (w->read < EPOCHS * 3) {
        ck_assert_int_eq(client_poll(c, 1000, 3, &e, &count, &err), WEIR_OK);
        if (count == 0 || e->kind != FETCH_RECORDS) continue;
        output out = { .rows = e->rows, .key = e->key, .value = e->value, .timestamp_ms = e->timestamp_ms };
        ck_assert_int_eq(client_produce(c, &out, &err), WEIR_OK);
        w->read += e->rows;
        char number[24];
        int digits = snprintf(number, sizeof number, "%llu", (unsigned long long)w->read);
        state_change change = { 0, SLICE("count"), { number, (size_t)digits } };
        epoch done = { t, &change, 1 };
        position p = { 0, e->partition, e->next_offset };
        ck_assert_int_eq(client_commit(c, &done, 1, &p, 1, &err), WEIR_OK);
        slice content;
        bool found;
        ck_assert_int_eq(task_state_get(t, 0, SLICE("count"), &content, &found, &err), WEIR_OK);
        ck_assert(found && slice_equal(content, change.value));
    }
    task_state_close(t);
    client_close(c);
    return NULL;
}

START_TEST(threads_share_commits)
{
    storage *s = open_with((local_options){ .durability = DURABLE_FULL });
    pthread_t thread[WORKERS];
    worker w[WORKERS];
    int64_t out = 0;

    make_topic(s, "in", WORKERS);
    make_topic(s, "out", 2);
    for (uint32_t i = 0; i < WORKERS; i++) {
        w[i] = (worker){ s, i, 0 };
        pthread_create(&thread[i], NULL, copy, &w[i]);
    }
    for (int i = 0; i < EPOCHS; i++) {
        record r[WORKERS * 3];
        for (int j = 0; j < WORKERS * 3; j++) r[j] = (record){ .value = SLICE("v"), .timestamp_ms = i };
        MUST(topic_append(s, SLICE("in"), r, NULL, WORKERS * 3, NULL, &test_error));
    }
    for (int i = 0; i < WORKERS; i++) pthread_join(thread[i], NULL);
    for (int32_t p = 0; p < 2; p++) out += end_of(s, "out", p);
    ck_assert_int_eq(out, WORKERS * EPOCHS * 3);
    storage_close(s);
}
END_TEST

static void add(TCase *all)
{
    tcase_add_test(all, partitions_are_assigned_by_instance);
    tcase_add_test(all, the_end_is_told_each_time_it_is_reached);
    tcase_add_test(all, a_client_may_start_at_the_end);
    tcase_add_test(all, pausing_and_seeking);
    tcase_add_test(all, partitions_take_turns);
    tcase_add_test(all, a_commit_is_all_or_nothing);
    tcase_add_test(all, a_repartition_topic_keeps_only_what_was_not_read);
    tcase_add_test(all, a_deleted_topic_ends_its_readers_and_writers);
    tcase_add_test(all, a_waiting_client_hears_of_news);
    tcase_add_test(all, a_waiting_client_hears_of_another_process);
    tcase_add_test(all, virtual_time_is_never_slept_through);
    tcase_add_test(all, threads_share_commits);
}

int main(void)
{
    return run_tests("storage clients", add, make_test_dir, remove_test_dir);
}
