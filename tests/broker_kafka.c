/* tests/broker_kafka.c - the Kafka storage against a real broker, whose address WEIR_TEST_BROKER gives (host:port).
 *
 *   broker_kafka [TEST]     all tests, or one by name; topics are named after this run, and deleted at the end
 *   broker_kafka rate TOPIC [MICROSECONDS] [NAME=VALUE ...]
 *                           how fast a topic is read, with that much work on each record and these properties */
#include "storage/storage.h"

#include "core/bytes.h"
#include "core/text.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *brokers;
static char run_id[64], home[256];
static const weir_clock wall = { 0 };
static weir_error ok_err;

#define CHECK(condition)                                                             \
    do {                                                                             \
        if (!(condition)) {                                                          \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                                 \
        }                                                                            \
    } while (0)

#define OK(call)                                                                          \
    do {                                                                                  \
        if ((call) != WEIR_OK) {                                                          \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, ok_err.message); \
            exit(1);                                                                    \
        }                                                                               \
    } while (0)

static double now_s(void)
{
    return (double)clock_monotonic_ns() / 1e9;
}

static double cpu_s(void)
{
    struct rusage used;

    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static long peak_rss_mib(void)
{
    struct rusage used;

    getrusage(RUSAGE_SELF, &used);
    return used.ru_maxrss / 1024;
}

static storage *open_in(const char *dir, const property *properties, uint32_t count)
{
    kafka_options options = { .brokers = slice_of(brokers),
                              .service = slice_of(run_id),
                              .properties = properties,
                              .property_count = count,
                              .clock = &wall };
    storage *s;

    OK(storage_open_kafka(&s, slice_of(dir), &options, &ok_err));
    return s;
}

/* WEIR_TEST_PROPERTIES: librdkafka's, NAME=VALUE,NAME=VALUE... */
static storage *open_at_home(void)
{
    static property properties[16];
    uint32_t count = 0;

    for (const char *at = getenv("WEIR_TEST_PROPERTIES"); at != NULL && *at != '\0' && count < 16;) {
        size_t len = strcspn(at, ","), name = strcspn(at, "=");
        properties[count].name = (slice){ at, name };
        properties[count++].value = (slice){ at + name + 1, len > name ? len - name - 1 : 0 };
        at += len + (at[len] == ',');
    }
    return open_in(home, properties, count);
}

static slice topic_name(const char *name)
{
    static char names[8][160];
    static int next;
    char *to = names[next++ % 8];

    snprintf(to, 160, "%s.%s", run_id, name);
    return slice_of(to);
}

static slice make_topic(storage *s, const char *name, int32_t partitions)
{
    slice full = topic_name(name);
    topic_spec spec = { .name = full, .partitions = partitions, .replicas = 1, .retention_ms = -1 };

    OK(topic_create(s, &spec, &ok_err));
    return full;
}

/* Numbers as text, keyed by themselves modulo `keys`. */
static void append_numbers(storage *s, slice topic, int from, int to, int keys)
{
    for (int first = from; first < to; first += 1000) {
        record records[1000];
        static char key[1000][16], value[1000][16];
        uint32_t count = 0;
        for (int n = first; n < to && n < first + 1000; n++, count++) {
            snprintf(key[count], 16, "k%d", n % keys);
            snprintf(value[count], 16, "%d", n);
            records[count] = (record){ slice_of(key[count]), slice_of(value[count]), 1000 + n, { NULL, 0 } };
        }
        OK(topic_append(s, topic, records, NULL, count, NULL, &ok_err));
    }
}

static client *open_client(storage *s, const char *query, slice source, slice sink, uint32_t instance,
                           uint32_t instances, bool at_least_once)
{
    client_source from = { source, START_EARLIEST, true };
    client_spec spec = { .name = slice_of(query),
                         .is_transient = query == NULL,
                         .sources = &from,
                         .source_count = 1,
                         .sinks = &sink,
                         .sink_count = sink.data == NULL ? 0 : 1,
                         .instance = instance,
                         .instances = instances,
                         .at_least_once = at_least_once };
    client *c;

    OK(client_open(&c, s, &spec, &ok_err));
    return c;
}

/* All values of a topic as a read-committed reader sees them, per partition up to the end. */
typedef struct seen {
    int rows;
    long long sum;
    int of[100000]; /* how often each number */
} seen;

static void read_all(storage *s, slice topic, seen *out)
{
    client *c = open_client(s, NULL, topic, NO_SLICE, 0, 1, false);
    const fetch *events;
    uint32_t count, ends = 0, partitions = 1;

    memset(out, 0, sizeof *out);
    for (double until = now_s() + 30; ends < partitions;) {
        CHECK(now_s() < until);
        OK(client_poll(c, 100, 4096, &events, &count, &ok_err));
        for (uint32_t i = 0; i < count; i++) {
            if (events[i].kind == FETCH_ASSIGNED) partitions = events[i].partition_count;
            if (events[i].kind == FETCH_END) ends++;
            for (uint32_t r = 0; events[i].kind == FETCH_RECORDS && r < events[i].rows; r++) {
                char number[32];
                snprintf(number, sizeof number, "%.*s", SLICE_ARG(events[i].value[r]));
                int n = atoi(number);
                out->rows++;
                out->sum += n;
                if (n >= 0 && n < 100000) out->of[n]++;
            }
        }
    }
    client_close(c);
}

/* ---- topics ---- */

static void test_topics(void)
{
    storage *s = open_at_home();
    slice name = make_topic(s, "crud", 3);
    topic_spec again = { .name = name, .partitions = 1 };
    topic_info info, *list;
    weir_error err;
    bool found;
    uint32_t count, at;
    int64_t begin, end, offsets[3];
    uint64_t bytes_max;
    arena *a = arena_new(0);

    CHECK(topic_create(s, &again, &err) == WEIR_SEMANTIC && strstr(err.message, "exists already") != NULL);
    OK(topic_find(s, name, &info, &found, &ok_err));
    CHECK(found && info.partitions == 3 && info.replicas == 1);
    OK(topic_find(s, topic_name("absent"), &info, &found, &ok_err));
    CHECK(!found);
    OK(topic_list(s, a, &list, &count, &ok_err));
    for (at = 0; at < count && !slice_equal(list[at].name, name); at++) continue;
    CHECK(at < count && list[at].partitions == 3);

    OK(topic_record_bytes_max(s, name, &bytes_max, &ok_err));
    CHECK(bytes_max > 1000000 && bytes_max < 1100000);
    header items[2] = { { SLICE("h"), SLICE("1") }, { SLICE("n"), NO_SLICE } };
    record records[3] = { { SLICE("a"), SLICE("1"), 5, { items, 2 } },
                          { NO_SLICE, SLICE("2"), 6, { NULL, 0 } },
                          { SLICE(""), NO_SLICE, 7, { NULL, 0 } } };
    int32_t partition[3] = { 2, 2, 2 };
    OK(topic_append(s, name, records, partition, 3, offsets, &ok_err));
    CHECK(offsets[0] == 0 && offsets[1] == 1 && offsets[2] == 2);
    OK(topic_offsets(s, name, 2, &begin, &end, &ok_err));
    CHECK(begin == 0 && end == 3);
    OK(topic_offsets(s, name, 0, &begin, &end, &ok_err));
    CHECK(begin == 0 && end == 0);
    record keyed = { SLICE("a"), SLICE("x"), 5, { NULL, 0 } };
    OK(topic_append(s, name, &keyed, NULL, 1, NULL, &ok_err));

    char *large = malloc(2000000);
    memset(large, 'x', 2000000);
    record too_large = { NO_SLICE, { large, 2000000 }, 5, { NULL, 0 } };
    CHECK(topic_append(s, name, &too_large, NULL, 1, NULL, &err) == WEIR_SEMANTIC);
    CHECK(strstr(err.message, "too large") != NULL);
    free(large);
    CHECK(topic_append(s, topic_name("absent"), &keyed, NULL, 1, NULL, &err) == WEIR_SEMANTIC);
    CHECK(strstr(err.message, "unknown topic") != NULL);

    client *c = open_client(s, NULL, name, NO_SLICE, 0, 1, false);
    const fetch *events;
    uint32_t rows = 0;
    for (double until = now_s() + 10; rows < 4 && now_s() < until;) {
        OK(client_poll(c, 100, 100, &events, &count, &ok_err));
        for (uint32_t i = 0; i < count; i++) {
            const fetch *f = &events[i];
            if (f->kind != FETCH_RECORDS) continue;
            rows += f->rows;
            if (f->partition != 2 || f->offset[0] != 0 || f->rows < 3) continue;
            CHECK(slice_is(f->key[0], "a") && slice_is(f->value[0], "1") && f->timestamp_ms[0] == 5);
            CHECK(f->headers != NULL && f->headers[0].count == 2 && slice_is(f->headers[0].items[0].value, "1"));
            CHECK(f->headers[0].items[1].value.data == NULL && f->headers[1].count == 0);
            CHECK(f->key[1].data == NULL && slice_is(f->value[1], "2"));
            CHECK(f->key[2].data != NULL && f->key[2].len == 0 && f->value[2].data == NULL);
            CHECK(f->next_offset >= 3);
        }
    }
    CHECK(rows == 4);
    client_close(c);
    OK(topic_delete(s, name, &ok_err));
    OK(topic_find(s, name, &info, &found, &ok_err));
    CHECK(!found);
    CHECK(topic_delete(s, name, &err) == WEIR_SEMANTIC);
    arena_free(a);
    storage_close(s);
}

/* ---- a query that counts, as the executor would run it ---- */

typedef struct job {
    storage *s;
    client *c;
    task_state *tasks[8]; /* by partition */
    int64_t position[8];
    bool at_end[8];
    bool has_moved[8];
    uint32_t consumed, fetched;
    int assignments;
    const char *query;
} job;

static void open_task(job *j, int32_t p)
{
    char name[64];

    snprintf(name, sizeof name, "%s/0", j->query);
    state_spec spec = { .name = slice_of(name), .partition = p, .partitions = 4, .layout = SLICE("l1"),
                        .has_changelog = true };
    OK(task_state_open(&j->tasks[p], j->c, &spec, &ok_err));
}

static void close_tasks(job *j)
{
    for (int p = 0; p < 8; p++) {
        task_state_close(j->tasks[p]);
        j->tasks[p] = NULL;
    }
}

static int compare_changes(const void *a, const void *b)
{
    return slice_compare(((const state_change *)a)->key, ((const state_change *)b)->key);
}

/* Counts each key in state, and writes each number on to the sink. Commits each fetch of records. */
static weir_rc process(job *j, const fetch *f, weir_error *err)
{
    static state_change changes[4096];
    static char counts[4096][16];
    uint32_t change_count = 0;
    output out = { .sink = 0, .rows = f->rows, .key = f->key, .value = f->value, .timestamp_ms = f->timestamp_ms };

    for (uint32_t r = 0; r < f->rows; r++) {
        uint32_t at = 0;
        slice old;
        bool found;
        while (at < change_count && !slice_equal(changes[at].key, f->key[r])) at++;
        if (at == change_count) {
            OK(task_state_get(j->tasks[f->partition], 1, f->key[r], &old, &found, &ok_err));
            snprintf(counts[at], 16, "%.*s", found ? (int)old.len : 1, found ? old.data : "0");
            changes[change_count++] = (state_change){ 1, f->key[r], NO_SLICE };
        }
        snprintf(counts[at], 16, "%d", atoi(counts[at]) + 1);
        changes[at].value = slice_of(counts[at]);
    }
    qsort(changes, change_count, sizeof *changes, compare_changes);
    epoch e = { j->tasks[f->partition], changes, change_count };
    position at = { 0, f->partition, f->next_offset };
    WEIR_TRY(client_produce(j->c, &out, err));
    WEIR_TRY(client_commit(j->c, &e, 1, &at, 1, err));
    j->position[f->partition] = f->next_offset;
    j->consumed += f->rows;
    return WEIR_OK;
}

static void step(job *j, int timeout_ms, uint32_t rows_max)
{
    const fetch *events;
    uint32_t count;
    weir_error err;

    if (client_poll(j->c, timeout_ms, rows_max, &events, &count, &err) != WEIR_OK) {
        printf("  poll: %s\n", err.message);
        CHECK(err.act == WEIR_ACT_RETRY);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const fetch *f = &events[i];
        if (f->kind == FETCH_ASSIGNED) {
            j->assignments++;
            for (uint32_t p = 0; p < f->partition_count; p++) open_task(j, f->partitions[p]);
        } else if (f->kind == FETCH_REVOKED) {
            close_tasks(j);
        } else if (f->kind == FETCH_END) {
            j->at_end[f->partition] = true;
            if (f->next_offset > j->position[f->partition]) { /* behind control records */
                position at = { 0, f->partition, f->next_offset };
                if (client_commit(j->c, NULL, 0, &at, 1, &err) != WEIR_OK) OK(client_abort(j->c, &ok_err));
            }
        } else {
            j->at_end[f->partition] = false;
            j->fetched += f->rows;
            if (process(j, f, &err) != WEIR_OK) {
                printf("  commit: %s\n", err.message);
                CHECK(err.act == WEIR_ACT_ABORT);
                while (client_abort(j->c, &err) != WEIR_OK) {
                    printf("  abort: %s\n", err.message);
                    CHECK(err.act == WEIR_ACT_RETRY);
                }
                return;
            }
        }
    }
}

static bool is_done(const job *j)
{
    return j->assignments > 0 && j->at_end[0] && j->at_end[1] && j->at_end[2] && j->at_end[3];
}

static void run_to_end(job *j, double seconds)
{
    for (double until = now_s() + seconds; !is_done(j);) {
        CHECK(now_s() < until);
        step(j, 50, 500);
    }
}

static void start_job(job *j, storage *s, const char *query, slice source, slice sink, bool at_least_once)
{
    memset(j, 0, sizeof *j);
    j->s = s;
    j->query = query;
    j->c = open_client(s, query, source, sink, 0, 1, at_least_once);
}

static void end_job(job *j)
{
    close_tasks(j);
    client_close(j->c);
}

static long long count_of(job *j, int32_t partition, const char *key)
{
    slice value;
    bool found;

    OK(task_state_get(j->tasks[partition], 1, slice_of(key), &value, &found, &ok_err));
    char number[32] = "0";
    if (found) snprintf(number, sizeof number, "%.*s", SLICE_ARG(value));
    return atoll(number);
}

static long long count_all(job *j)
{
    long long sum = 0;

    for (int p = 0; p < 8; p++) {
        state_cursor *cursor;
        slice key, value;
        bool more;
        if (j->tasks[p] == NULL) continue;
        OK(task_state_scan(j->tasks[p], 1, NO_SLICE, NO_SLICE, &cursor, &ok_err));
        for (;;) {
            OK(state_cursor_next(cursor, &key, &value, &more, &ok_err));
            if (!more) break;
            char number[32];
            snprintf(number, sizeof number, "%.*s", SLICE_ARG(value));
            sum += atoll(number);
        }
        state_cursor_close(cursor);
    }
    return sum;
}

static seen *new_seen(void)
{
    return malloc(sizeof(seen));
}

static void check_each_once(storage *s, slice topic, int count)
{
    seen *out = new_seen();

    read_all(s, topic, out);
    if (out->rows != count) fprintf(stderr, "%d rows, %d expected\n", out->rows, count);
    CHECK(out->rows == count);
    for (int n = 0; n < count; n++) CHECK(out->of[n] == 1);
    free(out);
}

/* One query's life on the broker, step by step; what every step finds is what the ones before it left. */
typedef struct life {
    storage *s;
    const char *query;
    slice source, sink;
    bool at_least_once;
    job j;
} life;

static void run_again(life *l)
{
    start_job(&l->j, l->s, l->query, l->source, l->sink, l->at_least_once);
    run_to_end(&l->j, 30);
}

static void first_run(life *l)
{
    append_numbers(l->s, l->source, 0, 5000, 100);
    run_again(l);
    CHECK(l->j.consumed == 5000 && count_all(&l->j) == 5000);
    end_job(&l->j);
    check_each_once(l->s, l->sink, 5000);
}

/* Restarted, it goes on, and quickly. */
static void goes_on(life *l)
{
    double t0 = now_s();
    uint64_t bytes, entries;

    run_again(l);
    printf("  restart to the end of all partitions: %.3f s\n", now_s() - t0);
    CHECK(l->j.consumed == 0 && count_all(&l->j) == 5000);
    append_numbers(l->s, l->source, 5000, 6000, 100);
    for (double until = now_s() + 20; l->j.consumed < 1000;) {
        CHECK(now_s() < until);
        step(&l->j, 50, 500);
    }
    CHECK(count_all(&l->j) == 6000);
    OK(task_state_size(l->j.tasks[0], &bytes, &entries, &ok_err));
    CHECK(entries > 0 && bytes > entries);
    end_job(&l->j);
    check_each_once(l->s, l->sink, 6000);
}

/* The values of a partition added up; each entry must be found by its key, too. */
static long long sum_of_partition(snapshot *snap, int32_t partition)
{
    state_cursor *cursor;
    slice key, value, found_value;
    long long sum = 0;
    bool more, found;

    OK(snapshot_scan(snap, partition, 1, NO_SLICE, NO_SLICE, &cursor, &ok_err));
    for (;;) {
        OK(state_cursor_next(cursor, &key, &value, &more, &ok_err));
        if (!more) break;
        OK(snapshot_get(snap, partition, 1, key, &found_value, &found, &ok_err));
        CHECK(found && slice_equal(value, found_value));
        char number[32];
        snprintf(number, sizeof number, "%.*s", SLICE_ARG(value));
        sum += atoll(number);
    }
    state_cursor_close(cursor);
    return sum;
}

/* Without its state directory it restores the state from the changelog; a snapshot beside it sees all of that. */
static void restores(life *l)
{
    double t0;
    char name[192], command[512];
    snapshot *snap;
    const int32_t *partitions;
    uint32_t count;
    long long sum = 0;

    snprintf(command, sizeof command, "rm -r %s/tasks/%s~0", home, l->query);
    CHECK(system(command) == 0);
    t0 = now_s();
    run_again(l);
    printf("  restore of 100 keys in 4 tasks: %.3f s\n", now_s() - t0);
    CHECK(l->j.consumed == 0 && count_all(&l->j) == 6000);
    snprintf(name, sizeof name, "%s/0", l->query);
    OK(snapshot_open(&snap, l->s, slice_of(name), &ok_err));
    OK(snapshot_partitions(snap, &partitions, &count, &ok_err));
    CHECK(count == 4 && partitions[3] == 3);
    for (uint32_t i = 0; i < count; i++) sum += sum_of_partition(snap, partitions[i]);
    snapshot_close(snap);
    CHECK(sum == 6000);
    end_job(&l->j);
}

static void refuses_another_layout(life *l)
{
    client *c = open_client(l->s, l->query, l->source, l->sink, 0, 1, l->at_least_once);
    char name[192];
    task_state *t;
    weir_error err;

    snprintf(name, sizeof name, "%s/0", l->query);
    const state_spec other = { .name = slice_of(name), .partition = 0, .partitions = 4, .layout = SLICE("l2"), .has_changelog = true };
    CHECK(task_state_open(&t, c, &other, &err) == WEIR_STORAGE && strstr(err.message, "another plan") != NULL);
    client_close(c);
}

/* Dropped, it begins anew. */
static void is_dropped(life *l)
{
    topic_info info;
    char name[192];
    bool found;

    OK(storage_drop_query(l->s, slice_of(l->query), &ok_err));
    snprintf(name, sizeof name, "%s-%s-0-changelog", run_id, l->query);
    OK(topic_find(l->s, slice_of(name), &info, &found, &ok_err));
    CHECK(!found);
    run_again(l);
    if (l->j.consumed != 6000) fprintf(stderr, "consumed %u after a drop\n", l->j.consumed);
    CHECK(l->j.consumed == 6000 && count_all(&l->j) == 6000);
    end_job(&l->j);
    OK(storage_drop_query(l->s, slice_of(l->query), &ok_err));
}

static void query_round(const char *query, bool at_least_once)
{
    life l = { .s = open_at_home(), .query = query, .at_least_once = at_least_once };
    char in[64], out[64];

    snprintf(in, sizeof in, "%s-in", query);
    snprintf(out, sizeof out, "%s-out", query);
    l.source = make_topic(l.s, in, 4);
    l.sink = make_topic(l.s, out, 4);
    first_run(&l);
    goes_on(&l);
    restores(&l);
    refuses_another_layout(&l);
    is_dropped(&l);
    OK(topic_delete(l.s, l.source, &ok_err));
    OK(topic_delete(l.s, l.sink, &ok_err));
    storage_close(l.s);
}

static void test_exactly_once(void) { query_round("eos", false); }
static void test_at_least_once(void) { query_round("alo", true); }

/* What is not committed is not seen; an abort drops it and reads again. */
static void test_abort(void)
{
    storage *s = open_at_home();
    slice source = make_topic(s, "abort-in", 4), sink = make_topic(s, "abort-out", 4);
    seen *out = new_seen();
    job j;
    const fetch *events;
    uint32_t count;
    int64_t begin, end;

    append_numbers(s, source, 0, 2000, 50);
    start_job(&j, s, "abort", source, sink, false);
    for (uint32_t produced = 0; produced < 500;) {
        OK(client_poll(j.c, 100, 500, &events, &count, &ok_err));
        for (uint32_t i = 0; i < count; i++) {
            if (events[i].kind == FETCH_ASSIGNED) {
                j.assignments++;
                for (uint32_t p = 0; p < events[i].partition_count; p++) open_task(&j, events[i].partitions[p]);
            }
            if (events[i].kind != FETCH_RECORDS) continue;
            output o = { 0, events[i].rows, events[i].key, events[i].value, events[i].timestamp_ms, NULL, NULL };
            OK(client_produce(j.c, &o, &ok_err));
            produced += events[i].rows;
        }
    }
    sleep(1); /* they are in the topic by now, uncommitted */
    read_all(s, sink, out);
    CHECK(out->rows == 0);
    for (int p = 0; p < 4; p++) {
        OK(topic_offsets(s, sink, p, &begin, &end, &ok_err));
        CHECK(end == 0); /* the last stable offset */
    }
    double t0 = now_s();
    OK(client_abort(j.c, &ok_err));
    printf("  abort: %.3f s\n", now_s() - t0);
    run_to_end(&j, 30);
    CHECK(j.consumed == 2000 && count_all(&j) == 2000);
    CHECK(count_of(&j, 0, "no such key") == 0);

    /* aborted right after a commit: nothing changes */
    OK(client_abort(j.c, &ok_err));
    for (int i = 0; i < 10; i++) step(&j, 20, 500);
    CHECK(j.fetched == 2000);
    end_job(&j);
    check_each_once(s, sink, 2000);
    OK(storage_drop_query(s, SLICE("abort"), &ok_err));
    OK(topic_delete(s, source, &ok_err));
    OK(topic_delete(s, sink, &ok_err));
    storage_close(s);
    free(out);
}

/* Killed at random moments and started again, each number arrives once and each count is right. */
static void test_crash(void)
{
    storage *s = open_at_home();
    slice source = make_topic(s, "crash-in", 4), sink = make_topic(s, "crash-out", 4);
    const char *text = getenv("WEIR_TEST_ROUNDS");
    int rounds = text != NULL ? atoi(text) : 6;
    int total = 4000 * rounds < 90000 ? 4000 * rounds : 90000;
    job j;

    append_numbers(s, source, 0, total, 300);
    storage_close(s);
    for (int round = 0; round < rounds; round++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            s = open_at_home();
            start_job(&j, s, "crash", source, sink, false);
            for (;;) step(&j, 50, 50);
        }
        usleep(600000 + (useconds_t)(rand() % 700) * 1000);
        kill(child, SIGKILL);
        CHECK(waitpid(child, NULL, 0) == child);
    }
    s = open_at_home();
    double t0 = now_s();
    start_job(&j, s, "crash", source, sink, false);
    run_to_end(&j, 60);
    printf("  after the last of %d kills: %u of %d left, %.3f s\n", rounds, j.consumed, total, now_s() - t0);
    CHECK(count_all(&j) == total);
    end_job(&j);
    check_each_once(s, sink, total);
    OK(storage_drop_query(s, SLICE("crash"), &ok_err));
    OK(topic_delete(s, source, &ok_err));
    OK(topic_delete(s, sink, &ok_err));
    storage_close(s);
}

/* A second member takes over half of the partitions, and its part comes back when its session ends. */
static void test_rebalance(void)
{
    property quick[2] = { { SLICE("session.timeout.ms"), SLICE("6000") }, { SLICE("heartbeat.interval.ms"), SLICE("500") } };
    storage *s = open_in(home, quick, 2);
    slice source = make_topic(s, "rebalance-in", 4), sink = make_topic(s, "rebalance-out", 4);
    job a, b;

    append_numbers(s, source, 0, 4000, 100);
    start_job(&a, s, "rebalance", source, sink, false);
    run_to_end(&a, 30);
    memset(&b, 0, sizeof b);
    b.query = "rebalance";
    b.c = open_client(s, "rebalance", source, sink, 1, 2, false);
    double t0 = now_s();
    while (b.assignments == 0 || a.assignments < 2) {
        CHECK(now_s() < t0 + 30);
        step(&a, 10, 500);
        step(&b, 10, 500);
    }
    printf("  a second member after %.3f s\n", now_s() - t0);
    append_numbers(s, source, 4000, 8000, 100);
    while (a.consumed + b.consumed < 8000) {
        CHECK(now_s() < t0 + 60);
        step(&a, 10, 500);
        step(&b, 10, 500);
    }
    CHECK(b.consumed > 0);
    int tasks = 0;
    for (int p = 0; p < 4; p++) tasks += (a.tasks[p] != NULL) + (b.tasks[p] != NULL);
    CHECK(tasks == 4 && count_all(&a) + count_all(&b) == 8000);
    end_job(&b);
    t0 = now_s();
    append_numbers(s, source, 8000, 9000, 100);
    while (a.consumed + b.consumed < 9000) {
        CHECK(now_s() < t0 + 30);
        step(&a, 100, 500);
    }
    printf("  and alone again after %.3f s\n", now_s() - t0);
    CHECK(count_all(&a) == 9000);
    end_job(&a);
    check_each_once(s, sink, 9000);
    OK(storage_drop_query(s, SLICE("rebalance"), &ok_err));
    OK(topic_delete(s, source, &ok_err));
    OK(topic_delete(s, sink, &ok_err));
    storage_close(s);
}

/* Ends of partitions, positions behind transaction markers, pause, seek, wake. */
static void *wake_later(void *c)
{
    usleep(200000);
    client_wake(c);
    return NULL;
}

static void test_events(void)
{
    storage *s = open_at_home();
    slice source = make_topic(s, "events", 1);
    const fetch *events;
    uint32_t count, rows = 0;
    int64_t end_at = -1, position;
    job j;

    /* a transactional writer: its marker is an offset, too */
    slice feed = make_topic(s, "events-feed", 4);
    append_numbers(s, feed, 0, 40, 7);
    start_job(&j, s, "events", feed, source, false);
    run_to_end(&j, 30);
    end_job(&j);

    double t0 = now_s();
    client *c = open_client(s, NULL, source, NO_SLICE, 0, 1, false);
    double first = 0;
    for (double until = now_s() + 10; end_at < 0;) {
        CHECK(now_s() < until);
        OK(client_poll(c, 100, 10, &events, &count, &ok_err));
        for (uint32_t i = 0; i < count; i++) {
            if (events[i].kind == FETCH_RECORDS && first == 0) first = now_s() - t0;
            if (events[i].kind == FETCH_RECORDS) rows += events[i].rows;
            if (events[i].kind == FETCH_RECORDS) CHECK(events[i].rows <= 10);
            if (events[i].kind == FETCH_END) end_at = events[i].next_offset;
        }
    }
    printf("  a transient reader's first record after %.3f s\n", first);
    CHECK(rows == 40 && end_at > 40);
    OK(client_seek(c, 0, 0, 0, &ok_err));
    rows = 0;
    for (double until = now_s() + 10; rows < 40;) {
        CHECK(now_s() < until);
        OK(client_poll(c, 100, 7, &events, &count, &ok_err));
        for (uint32_t i = 0; i < count; i++) rows += events[i].kind == FETCH_RECORDS ? events[i].rows : 0;
    }
    OK(client_position(c, 0, 0, &position, &ok_err));
    CHECK(position == 0);
    OK(client_pause(c, 0, 0, true, &ok_err));
    append_numbers(s, source, 100, 110, 3);
    for (int i = 0; i < 10; i++) {
        OK(client_poll(c, 30, 100, &events, &count, &ok_err));
        for (uint32_t e = 0; e < count; e++) CHECK(events[e].kind != FETCH_RECORDS);
    }
    OK(client_pause(c, 0, 0, false, &ok_err));
    rows = 0;
    for (double until = now_s() + 10; rows < 10;) {
        CHECK(now_s() < until);
        OK(client_poll(c, 100, 100, &events, &count, &ok_err));
        for (uint32_t i = 0; i < count; i++) {
            if (events[i].kind != FETCH_RECORDS) continue;
            CHECK(rows > 0 || events[i].offset[0] == end_at);
            rows += events[i].rows;
        }
    }
    for (int quiet = 0; quiet < 5; quiet = count == 0 ? quiet + 1 : 0) OK(client_poll(c, 30, 100, &events, &count, &ok_err));
    pthread_t waker;
    CHECK(pthread_create(&waker, NULL, wake_later, c) == 0);
    t0 = now_s();
    do {
        OK(client_poll(c, 5000, 100, &events, &count, &ok_err));
    } while (count > 0); /* the end of a partition may still be told */
    CHECK(now_s() - t0 < 2);
    pthread_join(waker, NULL);

    /* a record that is appended while the reader waits */
    double waits = 0;
    for (int n = 0; n < 20; n++) {
        append_numbers(s, source, 200 + n, 201 + n, 1000);
        t0 = now_s();
        for (bool got = false; !got;) {
            CHECK(now_s() < t0 + 5);
            OK(client_poll(c, 1000, 100, &events, &count, &ok_err));
            for (uint32_t i = 0; i < count; i++) got |= events[i].kind == FETCH_RECORDS;
        }
        waits += now_s() - t0;
    }
    printf("  from appended to polled: %.1f ms\n", waits / 20 * 1000);
    client_close(c);
    OK(storage_drop_query(s, SLICE("events"), &ok_err));
    OK(topic_delete(s, source, &ok_err));
    OK(topic_delete(s, feed, &ok_err));
    storage_close(s);
}

/* The broker goes away and comes back. By name only: WEIR_TEST_STOP and WEIR_TEST_START are the commands. */
static void test_outage(void)
{
    const char *stop = getenv("WEIR_TEST_STOP"), *start = getenv("WEIR_TEST_START");
    job j;

    CHECK(stop != NULL && start != NULL);
    storage *s = open_at_home();
    slice source = make_topic(s, "outage-in", 4), sink = make_topic(s, "outage-out", 4);
    append_numbers(s, source, 0, 20000, 100);
    start_job(&j, s, "outage", source, sink, false);
    while (j.consumed < 5000) step(&j, 50, 50);
    pid_t child = fork();
    if (child == 0) {
        CHECK(system(stop) == 0);
        sleep(3);
        CHECK(system(start) == 0);
        _exit(0);
    }
    run_to_end(&j, 120);
    CHECK(waitpid(child, NULL, 0) == child);
    CHECK(count_all(&j) == 20000);
    end_job(&j);
    check_each_once(s, sink, 20000);
    OK(storage_drop_query(s, SLICE("outage"), &ok_err));
    storage_close(s);
}

static void test_absent_broker(void)
{
    kafka_options options = { .brokers = SLICE("127.0.0.1:1"), .service = slice_of(run_id), .clock = &wall };
    property bad = { SLICE("no.such.property"), SLICE("1") }, ours = { SLICE("group.id"), SLICE("x") };
    weir_error err;
    storage *s;
    double t0 = now_s();

    CHECK(storage_open_kafka(&s, slice_of(home), &options, &err) == WEIR_BROKER);
    printf("  %.1f s: %s\n", now_s() - t0, err.message);
    CHECK(now_s() - t0 < 15);
    CHECK(strstr(err.message, "no broker answers at 127.0.0.1:1: ") != NULL && strstr(err.message, "refused") != NULL);
    options.properties = &bad;
    options.property_count = 1;
    CHECK(storage_open_kafka(&s, slice_of(home), &options, &err) == WEIR_SEMANTIC);
    CHECK(strstr(err.message, "No such configuration property") != NULL);
    options.properties = &ours;
    CHECK(storage_open_kafka(&s, slice_of(home), &options, &err) == WEIR_SEMANTIC);
}

/* ---- speed ---- */

/* As a committed consumer with transactions: what an empty epoch costs. */
static void test_speed(void)
{
    double t0 = now_s();
    storage *s = open_at_home();
    printf("  storage open: %.3f s\n", now_s() - t0);
    slice source = make_topic(s, "speed-in", 4), sink = make_topic(s, "speed-out", 4);
    job j;
    const fetch *events;
    uint32_t count;

    append_numbers(s, source, 0, 100, 100);
    t0 = now_s();
    start_job(&j, s, "speed", source, sink, false);
    printf("  member open: %.3f s\n", now_s() - t0);
    for (bool got = false; !got;) {
        OK(client_poll(j.c, 100, 500, &events, &count, &ok_err));
        for (uint32_t i = 0; i < count; i++) got |= events[i].kind == FETCH_RECORDS;
    }
    printf("  first record of a new group: %.3f s\n", now_s() - t0);
    double committing = 0;
    int commits = 50;
    for (int i = 0; i < commits; i++) {
        usleep(20000);
        t0 = now_s();
        position at = { 0, 0, 1 };
        slice key = SLICE("k"), value = SLICE("v");
        int64_t timestamp_ms = 1;
        int32_t to = i % 4;
        output o = { 0, 1, &key, &value, &timestamp_ms, NULL, &to };
        OK(client_produce(j.c, &o, &ok_err));
        OK(client_commit(j.c, NULL, 0, &at, 1, &ok_err));
        committing += now_s() - t0;
    }
    printf("  a commit of one record: %.2f ms\n", committing / commits * 1000);

    enum { ROWS = 1000, ROUNDS = 1000 };
    static slice key[ROWS], value[ROWS];
    static int64_t timestamp_ms[ROWS];
    static char payload[247];
    memset(payload, 'x', sizeof payload);
    for (int i = 0; i < ROWS; i++) {
        key[i] = (slice){ payload, (size_t)(i % 8 + 1) };
        value[i] = (slice){ payload, sizeof payload };
        timestamp_ms[i] = i + 1;
    }
    double c0 = cpu_s();
    t0 = now_s();
    for (int round = 0; round < ROUNDS; round++) {
        output o = { 0, ROWS, key, value, timestamp_ms, NULL, NULL };
        OK(client_produce(j.c, &o, &ok_err));
        if (round % 50 == 49) {
            position at = { 0, 0, 1 };
            OK(client_commit(j.c, NULL, 0, &at, 1, &ok_err));
        }
    }
    printf("  produce of 247-byte records: %.2f M/s, %.2f us CPU each\n", ROWS * ROUNDS / (now_s() - t0) / 1e6,
           (cpu_s() - c0) * 1e6 / (ROWS * ROUNDS));
    t0 = now_s();
    end_job(&j);
    printf("  member close: %.3f s\n", now_s() - t0);
    OK(storage_drop_query(s, SLICE("speed"), &ok_err));
    OK(topic_delete(s, source, &ok_err));
    OK(topic_delete(s, sink, &ok_err));
    t0 = now_s();
    storage_close(s);
    printf("  storage close: %.3f s\n", now_s() - t0);
}

/* think: microseconds spent on each record, as a query would. */
static void rate(const char *topic, double think_us, const property *properties, uint32_t property_count)
{
    storage *s = open_in("", properties, property_count);
    double t0 = now_s(), c0 = cpu_s(), first = 0, thought = 0;
    client *c = open_client(s, NULL, slice_of(topic), NO_SLICE, 0, 1, false);
    const fetch *events;
    uint32_t count, ends = 0, partitions = 1;
    uint64_t rows = 0, polls = 0;

    while (ends < partitions) {
        uint32_t here = 0;
        OK(client_poll(c, 100, 4096, &events, &count, &ok_err));
        polls++;
        for (uint32_t i = 0; i < count; i++) {
            if (events[i].kind == FETCH_ASSIGNED) partitions = events[i].partition_count;
            if (events[i].kind == FETCH_END) ends++;
            if (events[i].kind == FETCH_RECORDS) here += events[i].rows;
        }
        if (here > 0 && first == 0) first = now_s();
        rows += here;
        for (double until = now_s() + here * think_us / 1e6; think_us > 0 && now_s() < until;) continue;
        thought += here * think_us / 1e6;
    }
    double took = now_s() - first;
    printf("%s: %llu records, %.2f M/s, %.2f us CPU each beside %.2f, first after %.3f s, %llu polls, peak RSS %ld MiB\n", topic,
           (unsigned long long)rows, (double)rows / took / 1e6, (cpu_s() - c0 - thought) * 1e6 / (double)rows, think_us,
           first - t0, (unsigned long long)polls, peak_rss_mib());
    client_close(c);
    storage_close(s);
}

/* ---- main ---- */

static const struct {
    const char *name;
    void (*run)(void);
} TESTS[] = {
    { "topics", test_topics },       { "events", test_events }, { "exactly_once", test_exactly_once },
    { "at_least_once", test_at_least_once }, { "abort", test_abort },   { "crash", test_crash },
    { "rebalance", test_rebalance }, { "absent_broker", test_absent_broker }, { "speed", test_speed },
    { "outage", test_outage },
};

static int main_rate(int argc, char **argv)
{
    property properties[16];
    uint32_t count = 0;
    double think_us = 0;

    for (int i = 3; i < argc && count < 16; i++) {
        char *equals = strchr(argv[i], '=');
        if (equals == NULL) {
            think_us = atof(argv[i]);
            continue;
        }
        properties[count].name = (slice){ argv[i], (size_t)(equals - argv[i]) };
        properties[count++].value = slice_of(equals + 1);
    }
    rate(argv[2], think_us, properties, count);
    return 0;
}

int main(int argc, char **argv)
{
    int failures = 0, run = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    brokers = getenv("WEIR_TEST_BROKER");
    if (brokers == NULL) {
        fprintf(stderr, "WEIR_TEST_BROKER is not set: these tests need a broker, host:port\n");
        return 1;
    }
    snprintf(run_id, sizeof run_id, "weirtest%lld%d", (long long)clock_now_ms(&wall) % 100000000, (int)getpid());
    snprintf(home, sizeof home, "/tmp/%s", run_id);
    if (argc > 2 && strcmp(argv[1], "rate") == 0) return main_rate(argc, argv);
    for (size_t i = 0; i < sizeof TESTS / sizeof *TESTS; i++) {
        int status;
        if (argc > 1 ? strcmp(argv[1], TESTS[i].name) != 0 : TESTS[i].run == test_outage) continue;
        double t0 = now_s();
        printf("%s\n", TESTS[i].name);
        pid_t child = fork(); /* each in a process of its own: a failure ends only its test */
        if (child == 0) {
            alarm(300);
            srand((unsigned)getpid());
            TESTS[i].run();
            exit(0);
        }
        if (waitpid(child, &status, 0) != child) return 1;
        bool passed = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        printf("%s %s, %.1f s\n", passed ? "ok    " : "FAILED", TESTS[i].name, now_s() - t0);
        run++;
        failures += !passed;
    }
    char command[512];
    snprintf(command, sizeof command, "rm -rf %s", home);
    if (system(command) != 0) return 1;
    printf("%d tests, %d failures\n", run, failures);
    return failures > 0 || run == 0;
}
