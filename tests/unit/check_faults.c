/* Queries whose storage fails: at every place in turn a write fails once, and the results are those of a run without. */
#include "check_storage.h"
#include "core/thread.h"
#include "executor/weir.h"
#include "storage/local.h"

#include <errno.h>

#define CLOCK_MS 1700000000000

static const char *const STATEMENTS =
    "CREATE STREAM clicks (usr STRING KEY, page STRING, n INT) WITH (kafka_topic='clicks', value_format='JSON', partitions=2);"
    "CREATE TABLE pages AS SELECT page, COUNT(*) AS c, SUM(n) AS s, MAX(usr) AS who FROM clicks GROUP BY page;"
    "CREATE TABLE frequent AS SELECT page, COUNT(*) AS c FROM clicks GROUP BY page HAVING COUNT(*) > 3;"
    "CREATE TABLE tens AS SELECT page, COUNT(*) AS c, MAX(usr) AS last FROM clicks GROUP BY page, TUMBLING(5s, GRACE 15s) EMIT FINAL;"
    "CREATE TABLE visits AS SELECT page, SUM(n) AS s FROM clicks GROUP BY page, SESSION(3s, GRACE 15s) EMIT FINAL;"
    "CREATE TABLE sizes AS SELECT c, COUNT(*) AS pages FROM pages GROUP BY c;";
static const char *const RESULTS[] = { "PAGES", "FREQUENT", "TENS", "VISITS", "SIZES" };

typedef struct fault_plan {
    int64_t count, at, failed; /* the one at `at` fails; -1: none does */
} fault_plan;

static int fail_at(void *self, const char *operation)
{
    fault_plan *plan = self;

    (void)operation;
    if (plan->count++ != plan->at) return 0;
    plan->failed++;
    return ENOSPC;
}

static void run_sql(weir *w, const char *sql)
{
    weir_session *s;
    weir_result *r;

    MUST(weir_session_open(&s, w));
    weir_script *script = weir_script_open(s, slice_of(sql));
    for (;;) {
        MUST(weir_script_next(script, &r, &test_error));
        if (r == NULL) break;
        weir_result_close(r);
    }
    weir_script_close(script);
    weir_session_close(s);
}

static void feed(weir *w, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        char key[16], content[64];
        snprintf(key, sizeof key, "u%u", i % 7);
        snprintf(content, sizeof content, "{\"page\":\"p%u\",\"n\":%u}", i * 7 % 5, i);
        MUST(weir_feed(w, SLICE("CLICKS"), 1000 + i * 700 + i % 3 * 100, slice_of(key), slice_of(content), (header_list){ 0 },
                       &test_error));
    }
}

static void settle(weir *w)
{
    for (int tries = 0; weir_settle(w, &test_error) != WEIR_OK; tries++) {
        ck_assert_msg(test_error.act != WEIR_ACT_STOP && tries < 10, "%s", test_error.message);
    }
}

/* What the query wrote in the end: each key's last value, keys in order of their first record. */
static slice last_values(weir *w, const char *table, arena *a)
{
    weir_row_text *rows;
    uint32_t count;
    text all = TEXT_EMPTY;

    MUST(weir_read_source(w, slice_of(table), a, &rows, &count, &test_error));
    bool is_final = strcmp(table, "TENS") == 0 || strcmp(table, "VISITS") == 0; /* there, each record counts */
    for (uint32_t i = 0; i < count; i++) {
        bool is_last = true;
        for (uint32_t k = 0; k < count && !is_final; k++) {
            bool is_same = slice_equal(rows[i].key, rows[k].key);
            if (is_same && k > i) is_last = false;
        }
        bool is_nothing = strcmp(table, "SIZES") == 0 && slice_equal(rows[i].value, SLICE("{\"PAGES\":0}")); /* passed by, or not */
        if (!is_last || is_nothing) continue;
        text_printf(&all, "%.*s [%lld,%lld) %.*s\n", SLICE_ARG(rows[i].key), (long long)rows[i].window_start_ms,
                    (long long)rows[i].window_end_ms, SLICE_ARG(rows[i].value));
    }
    slice copy = arena_copy(a, text_slice(&all));
    text_free(&all);
    return copy;
}

static int by_line(const void *x, const void *y)
{
    return slice_compare(*(const slice *)x, *(const slice *)y);
}

/* Lines in order: partitions may be told in another sequence. */
static slice sorted(slice lines, arena *a)
{
    slice *all = ARENA_ARRAY(a, slice, lines.len + 1);
    uint32_t count = 0;
    text out = TEXT_EMPTY;

    for (const char *at = lines.data, *end = lines.data + lines.len; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        all[count++] = (slice){ at, (size_t)(stop + 1 - at) };
        at = stop + 1;
    }
    qsort(all, count, sizeof *all, by_line);
    for (uint32_t i = 0; i < count; i++) text_add(&out, all[i]);
    slice copy = arena_copy(a, text_slice(&out));
    text_free(&out);
    return copy;
}

/* One run of the job; the fault's place is counted from when the data is there. */
static void run_job(fault_plan *plan, uint32_t batch_rows, bool reopens, slice *results, arena *a)
{
    weir_options options = { .data_dir = slice_of(test_dir), .is_deterministic = true, .batch_rows = batch_rows, .threads = 1,
                             .clock = { .is_virtual = true, .now_ms = CLOCK_MS } };
    weir *w;
    int64_t owner;

    make_test_dir();
    options.data_dir = slice_of(test_dir);
    MUST(weir_open(&w, &options, &test_error));
    MUST(weir_start(w, &owner, &test_error));
    run_sql(w, STATEMENTS);
    for (uint32_t part = 0; part < 3; part++) {
        feed(w, part * 20, part * 20 + 20);
        local_of(w->storage)->options.fault = fail_at;
        local_of(w->storage)->options.fault_self = plan;
        settle(w);
        local_of(w->storage)->options.fault = NULL;
        if (!reopens) continue;
        weir_close(w);
        MUST(weir_open(&w, &options, &test_error));
        MUST(weir_start(w, &owner, &test_error));
    }
    for (uint32_t i = 0; i < sizeof RESULTS / sizeof *RESULTS; i++) results[i] = sorted(last_values(w, RESULTS[i], a), a);
    weir_close(w);
    remove_test_dir();
}

static void compare(const slice *results, const slice *expected, const char *what, int64_t at)
{
    for (uint32_t i = 0; i < sizeof RESULTS / sizeof *RESULTS; i++) {
        ck_assert_msg(slice_equal(results[i], expected[i]), "%s %lld: %s has\n%.*sinstead of\n%.*s", what, (long long)at,
                      RESULTS[i], SLICE_ARG(results[i]), SLICE_ARG(expected[i]));
    }
}

START_TEST(a_fault_at_any_place_changes_nothing)
{
    slice expected[5], results[5];
    arena *a = arena_new(0);
    fault_plan none = { 0, -1, 0 };

    run_job(&none, 5, false, expected, a);
    ck_assert_int_gt(none.count, 50);
    ck_assert_uint_gt(expected[2].len, 0);
    int64_t stride = none.count / 20 + 1;
    for (int64_t n = 0; n < none.count; n += stride) {
        fault_plan plan = { 0, n, 0 };
        run_job(&plan, 5, false, results, a);
        ck_assert_int_eq(plan.failed, 1);
        compare(results, expected, "fault", n);
    }
    arena_free(a);
}
END_TEST

START_TEST(restarts_change_nothing)
{
    slice expected[5], results[5];
    arena *a = arena_new(0);
    fault_plan none = { 0, -1, 0 };

    run_job(&none, 5, false, expected, a);
    run_job(&none, 5, true, results, a);
    compare(results, expected, "restart", 0);
    arena_free(a);
}
END_TEST

static uint64_t state_entries(weir *w)
{
    local_storage *s = local_of(w->storage);
    MDB_txn *txn;
    MDB_stat stat;

    ck_assert_int_eq(lmdb_begin_read(s->env, &txn), 0);
    ck_assert_int_eq(mdb_stat(txn, s->env->dbi[DB_STATE], &stat), 0);
    lmdb_abort(s->env, txn);
    return stat.ms_entries;
}

static weir *open_engine(bool starts)
{
    weir_options options = { .data_dir = slice_of(test_dir), .is_deterministic = true, .batch_rows = 5, .threads = 1,
                             .clock = { .is_virtual = true, .now_ms = CLOCK_MS } };
    weir *w;
    int64_t owner;

    MUST(weir_open(&w, &options, &test_error));
    if (starts) MUST(weir_start(w, &owner, &test_error));
    return w;
}

/* Nobody was there to delete it when it was dropped. */
START_TEST(what_is_dropped_without_an_engine_goes_when_one_starts)
{
    make_test_dir();
    weir *w = open_engine(true);
    run_sql(w, STATEMENTS);
    feed(w, 0, 20);
    settle(w);
    uint64_t all = state_entries(w);
    weir_close(w);
    w = open_engine(false);
    run_sql(w, "DROP TABLE sizes; DROP TABLE visits;");
    ck_assert_uint_eq(state_entries(w), all);
    weir_close(w);
    w = open_engine(true);
    uint64_t left = state_entries(w);
    ck_assert_uint_lt(left, all);
    ck_assert_uint_gt(left, 0);
    run_sql(w, "TERMINATE ALL;");
    ck_assert_uint_eq(state_entries(w), 0);
    weir_close(w);
    remove_test_dir();
}
END_TEST

enum { COUNTED = 40 };

/* A row for each key, with a number to tell when. */
static void feed_counted(weir *w, int number)
{
    char key[16], content[32];

    for (int i = 0; i < COUNTED; i++) {
        snprintf(key, sizeof key, "k%02d", i);
        snprintf(content, sizeof content, "{\"v\":%d}", number);
        MUST(weir_feed(w, SLICE("E"), 1000, slice_of(key), slice_of(content), (header_list){ 0 }, &test_error));
    }
    settle(w);
}

/* A reader that takes its time: the table changes as it has taken some of the rows. How many it then gets as they were. */
static int read_slowly(weir *w, const char *sql, int64_t pause_ms)
{
    bool seen[COUNTED] = { false };
    int count = 0, old = 0;
    const batch *rows;
    weir_session *s;
    weir_result *r;

    feed_counted(w, 1);
    MUST(weir_session_open(&s, w));
    weir_script *script = weir_script_open(s, slice_of(sql));
    MUST(weir_script_next(script, &r, &test_error));
    for (;;) {
        MUST(weir_result_next(r, -1, &rows, &test_error));
        if (rows == NULL) break;
        if (count == 0) {
            feed_counted(w, 2);
            weir_advance(w, pause_ms);
            MUST(weir_result_hold(r, &test_error));
        }
        EACH_ROW(i, rows->live) {
            int key = atoi(rows->columns[0].str[i].data + 1);
            ck_assert(!seen[key]);
            seen[key] = true;
            old += rows->columns[1].i32[i] == 1;
            count++;
        }
    }
    ck_assert_int_eq(count, COUNTED);
    weir_result_close(r);
    weir_script_close(script);
    weir_session_close(s);
    return old;
}

/* Or it would keep all that is written over meanwhile. Rows that are put in order are of one moment all the same. */
START_TEST(a_slow_reader_goes_on_in_a_new_snapshot)
{
    make_test_dir();
    weir *w = open_engine(true);
    run_sql(w, "CREATE STREAM e (k STRING KEY, v INT) WITH (kafka_topic='e', value_format='JSON', partitions=3);"
               "CREATE TABLE last AS SELECT k, LATEST_BY_OFFSET(v) AS v FROM e GROUP BY k;");
    ck_assert_int_eq(read_slowly(w, "SELECT k, v FROM last;", 100), COUNTED);
    ck_assert_int_eq(read_slowly(w, "SELECT k, v FROM last;", 10000), 5);
    ck_assert_int_eq(read_slowly(w, "SELECT k, v FROM last ORDER BY k;", 10000), COUNTED);
    weir_close(w);
    remove_test_dir();
}
END_TEST

/* A block that leaves in the middle of a batch must not tell its reader of the times of rows that come after it. */
START_TEST(rows_in_order_are_never_late)
{
    enum { ROWS = 20000 };
    weir_options options = { .is_temporary = true, .batch_rows = 64, .threads = 1 };
    weir *w;
    int64_t owner;
    arena *a = arena_new(0);
    weir_record *records = ARENA_ZEROS(a, weir_record, ROWS);
    weir_query_stats *stats;
    uint32_t count;

    MUST(weir_open(&w, &options, &test_error));
    MUST(weir_start(w, &owner, &test_error));
    weir_run_until_end(w);
    for (int i = 0; i < ROWS; i++) {
        records[i] = (weir_record){ .value = arena_printf(a, "{\"page\":\"p%d\"}", i % 5), .timestamp_ms = i, .partition = 0 };
    }
    MUST(weir_produce(w, SLICE("clicks"), 1, records, ROWS, &test_error));
    run_sql(w, "CREATE STREAM clicks (page STRING) WITH (kafka_topic='clicks', value_format='JSON');"
               "CREATE TABLE pages AS SELECT page, COUNT(*) AS c FROM clicks GROUP BY page, TUMBLING(10ms, GRACE 0s);");
    MUST(weir_wait_for(w, WEIR_WAIT_END, &test_error));
    MUST(weir_query_stats_list(w, a, &stats, &count));
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_eq(stats[0].rows_in, ROWS);
    ck_assert_uint_eq(stats[0].late_rows, 0);
    weir_close(w);
    arena_free(a);
}
END_TEST

/* ---- answers about the ends of a topic that are long in coming ---- */

#define RELEASE_MS 5000
#define PROMPT_MS 2500

static storage_class slow_class;
static const storage_class *real_class;
static _Thread_local bool is_kept_waiting, is_answered_at_once;
static atomic_bool all_wait; /* or those alone that are kept waiting */
static atomic_int asked, answered;

static weir_rc slow_offsets(storage *s, slice name, int32_t partition, int64_t *begin, int64_t *end, weir_error *err)
{
    bool waits = !is_answered_at_once && (is_kept_waiting || atomic_load(&all_wait));

    if (waits && slice_is(name, "mid")) {
        int number = atomic_fetch_add(&asked, 1) + 1;
        for (int i = 0; i < RELEASE_MS && atomic_load(&answered) < number; i++) thread_sleep_ms(1);
    }
    return real_class->topic_offsets(s, name, partition, begin, end, err);
}

/* An engine whose threads have to wait for what they ask about the topic `mid`. */
static weir *open_slow(bool until_end)
{
    const weir_options options = { .is_temporary = true, .threads = 1 };
    int64_t owner;
    weir *w;

    MUST(weir_open(&w, &options, &test_error));
    real_class = w->storage->class;
    slow_class = *real_class;
    slow_class.topic_offsets = slow_offsets;
    w->storage->class = &slow_class;
    is_answered_at_once = true;
    atomic_store(&all_wait, until_end);
    atomic_store(&asked, 0);
    atomic_store(&answered, 0);
    MUST(weir_start(w, &owner, &test_error));
    if (until_end) weir_run_until_end(w);
    run_sql(w, "CREATE STREAM first (k STRING KEY, v INT) WITH (kafka_topic='first', value_format='JSON', partitions=1);"
               "CREATE STREAM mid WITH (kafka_topic='mid') AS SELECT * FROM first;"
               "CREATE STREAM last AS SELECT * FROM mid;"
               "INSERT INTO first VALUES ('a', 1);");
    return w;
}

static int64_t now_ms(void)
{
    const weir_clock wall = { 0 };
    return clock_monotonic_ms(&wall);
}

static void *list_stats(void *argument)
{
    weir_query_stats *stats;
    uint32_t count;
    arena *a = arena_new(0);

    is_kept_waiting = true;
    MUST(weir_query_stats_list(argument, a, &stats, &count));
    ck_assert_uint_eq(count, 2);
    arena_free(a);
    return NULL;
}

/* Statements go on, and even the query that is asked about may go. */
START_TEST(a_lag_that_is_asked_for_keeps_no_statement_waiting)
{
    weir *w = open_slow(false);
    pthread_t asks;

    ck_assert_int_eq(pthread_create(&asks, NULL, list_stats, w), 0);
    for (int i = 0; i < 20000 && atomic_load(&asked) == 0; i++) thread_sleep_ms(1);
    ck_assert_int_eq(atomic_load(&asked), 1);
    int64_t began_ms = now_ms();
    run_sql(w, "SHOW STREAMS; DROP STREAM last;");
    ck_assert_int_lt(now_ms() - began_ms, PROMPT_MS);
    atomic_store(&answered, 1);
    pthread_join(asks, NULL);
    weir_close(w);
}
END_TEST

static atomic_bool has_run;

static void *run_to_end(void *argument)
{
    weir_error err;

    is_answered_at_once = true;
    if (weir_wait_for(argument, WEIR_WAIT_END, &err) != WEIR_OK) abort();
    atomic_store(&has_run, true);
    return NULL;
}

/* Whatever its worker asks, what is told of the query is told meanwhile. */
START_TEST(an_end_that_is_asked_for_keeps_nobody_waiting)
{
    weir *w = open_slow(true);
    pthread_t runs;
    weir_query_stats *stats;
    uint32_t count;
    arena *a = arena_new(0);

    atomic_store(&has_run, false);
    ck_assert_int_eq(pthread_create(&runs, NULL, run_to_end, w), 0);
    while (!atomic_load(&has_run)) {
        if (atomic_load(&asked) == atomic_load(&answered)) {
            thread_sleep_ms(1);
            continue;
        }
        int64_t began_ms = now_ms();
        MUST(weir_query_stats_list(w, a, &stats, &count));
        ck_assert_int_lt(now_ms() - began_ms, PROMPT_MS);
        atomic_fetch_add(&answered, 1);
    }
    pthread_join(runs, NULL);
    ck_assert_int_gt(atomic_load(&asked), 0);
    MUST(weir_query_stats_list(w, a, &stats, &count));
    ck_assert_uint_eq(count, 2);
    ck_assert_str_eq(stats[1].state, "ENDED");
    ck_assert_uint_eq(stats[1].rows_in, 1);
    weir_close(w);
    arena_free(a);
}
END_TEST

static void add(TCase *all)
{
    tcase_set_timeout(all, 120);
    tcase_add_test(all, a_fault_at_any_place_changes_nothing);
    tcase_add_test(all, restarts_change_nothing);
    tcase_add_test(all, a_slow_reader_goes_on_in_a_new_snapshot);
    tcase_add_test(all, what_is_dropped_without_an_engine_goes_when_one_starts);
    tcase_add_test(all, rows_in_order_are_never_late);
    tcase_add_test(all, a_lag_that_is_asked_for_keeps_no_statement_waiting);
    tcase_add_test(all, an_end_that_is_asked_for_keeps_nobody_waiting);
}

int main(void)
{
    return run_tests("faults", add, make_test_dir, remove_test_dir);
}
