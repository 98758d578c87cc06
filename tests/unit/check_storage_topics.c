/* tests/unit/check_storage_topics.c - topics of the embedded log: made, appended to, read back, kept within bounds. */
#include "check_storage.h"

#include "storage/lmdb_env.h"

#include <errno.h>
#include <sys/resource.h>
#include <signal.h>

/* Bytes that do not compress. */
static void fill_randomly(char *bytes, size_t len)
{
    uint64_t x = 88172645463325252u;

    for (size_t i = 0; i < len; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        bytes[i] = (char)x;
    }
}

START_TEST(topics_are_made_listed_and_deleted)
{
    storage *s = open_here();
    arena *a = arena_new(0);
    topic_info info, *all;
    uint32_t count;
    bool found;

    make_topic(s, "beta", 3);
    make_topic(s, "alpha", 1);
    MUST(topic_find(s, SLICE("beta"), &info, &found, &test_error));
    ck_assert(found && info.partitions == 3 && info.replicas == 1 && !info.is_internal);
    MUST(topic_find(s, SLICE("gamma"), &info, &found, &test_error));
    ck_assert(!found);
    MUST(topic_list(s, a, &all, &count, &test_error));
    ck_assert_uint_eq(count, 2);
    ck_assert(slice_is(all[0].name, "alpha") && slice_is(all[1].name, "beta"));

    topic_spec again = { .name = SLICE("beta"), .partitions = 1 };
    MUST_FAIL(topic_create(s, &again, &test_error), WEIR_SEMANTIC, "topic beta exists already");
    topic_spec odd = { .name = SLICE("a b"), .partitions = 1 }, none = { .name = SLICE("none"), .partitions = 0 };
    MUST_FAIL(topic_create(s, &odd, &test_error), WEIR_SEMANTIC, "a b cannot be a topic's name");
    MUST_FAIL(topic_create(s, &none, &test_error), WEIR_SEMANTIC, "cannot have 0 partitions");
    MUST_FAIL(topic_delete(s, SLICE("gamma"), &test_error), WEIR_SEMANTIC, "there is no topic gamma");

    append_one(s, "beta", "k", "old", 1);
    MUST(topic_delete(s, SLICE("beta"), &test_error));
    make_topic(s, "beta", 2);
    ck_assert_int_eq(end_of(s, "beta", 0) + end_of(s, "beta", 1), 0);
    storage_close(s);

    s = open_with((local_options){ .is_read_only = true });
    MUST(topic_list(s, a, &all, &count, &test_error));
    ck_assert_uint_eq(count, 2);
    MUST_FAIL(topic_create(s, &none, &test_error), WEIR_SEMANTIC, "0 partitions");
    none.partitions = 1;
    MUST_FAIL(topic_create(s, &none, &test_error), WEIR_STORAGE, "cannot create a topic");
    storage_close(s);
    arena_free(a);
}
END_TEST

START_TEST(a_missing_directory_is_made_or_named)
{
    storage *s;
    char dir[128];
    local_options reading = { .is_read_only = true, .clock = &test_clock }, writing = { .clock = &test_clock };

    snprintf(dir, sizeof dir, "%s/a/b", test_dir);
    MUST_FAIL(storage_open_local(&s, slice_of(dir), &reading, &test_error), WEIR_STORAGE, "there is no data directory");
    MUST(storage_open_local(&s, slice_of(dir), &writing, &test_error));
    storage_close(s);
    MUST(storage_open_local(&s, slice_of(dir), &reading, &test_error));
    storage_close(s);
    writing.durability = DURABLE_NONE;
    MUST_FAIL(storage_open_local(&s, slice_of(dir), &writing, &test_error), WEIR_STORAGE, "without durability");
    MUST_FAIL(storage_open_local(&s, SLICE("/dev/null/x"), &reading, &test_error), WEIR_STORAGE, "/dev/null/x");
}
END_TEST

START_TEST(what_a_newer_weir_wrote_is_left_alone)
{
    static const char *const databases[] = { "meta", NULL };
    const lmdb_options newer = { .databases = databases, .map_bytes = (uint64_t)1 << 30, .format = 99 };
    local_options options = { .clock = &test_clock };
    char dir[128];
    lmdb_env *e;
    storage *s;

    snprintf(dir, sizeof dir, "%s/log", test_dir);
    MUST(lmdb_env_open(&e, slice_of(dir), &newer, &test_error));
    lmdb_env_close(e);
    MUST_FAIL(storage_open_local(&s, slice_of(test_dir), &options, &test_error), WEIR_STORAGE,
              "was written by a newer weir (format 99; this one knows formats up to 3)");
}
END_TEST

START_TEST(a_damaged_block_is_noticed)
{
    storage *s = open_here();
    char path[128], *file = NULL, value[] = "this value is looked for in the file";
    const fetch *e;
    uint32_t count;
    size_t len;

    make_topic(s, "t", 1);
    append_one(s, "t", NULL, "first", 0);
    append_one(s, "t", NULL, value, 0);
    append_one(s, "t", NULL, "third", 0);
    storage_close(s);
    snprintf(path, sizeof path, "%s/log/data.mdb", test_dir);
    FILE *data = fopen(path, "r+");
    file = malloc(10 << 20);
    len = fread(file, 1, 10 << 20, data);
    for (char *at = file; (at = memmem(at, len - (size_t)(at - file), value, strlen(value))) != NULL; at++) {
        fseek(data, at - file, SEEK_SET); /* in every version of the page */
        fputc('T', data);
    }
    fclose(data);
    free(file);
    s = open_here();
    client *c = open_reader(s, NULL, "t", NULL);
    MUST_FAIL(client_poll(c, 0, 10, &e, &count, &test_error), WEIR_STORAGE,
              "the block of topic t, partition 0, that holds offset 1 is damaged");
    MUST(client_seek(c, 0, 0, 2, &test_error));
    ck_assert_uint_eq(poll_client(c, 0, 10, &e), 2);
    ck_assert(slice_is(e->value[0], "third"));
    client_close(c);
    storage_close(s);
}
END_TEST

START_TEST(records_go_where_kafka_would_put_them)
{
    storage *s = open_here();
    record r[6];
    int32_t where[6] = { -1, -1, -1, -1, 2, 3 };
    int64_t offsets[6];

    make_topic(s, "t", 4);
    for (int i = 0; i < 6; i++) r[i] = (record){ .value = SLICE("v") };
    r[0].key = r[1].key = SLICE("foobar"); /* murmur2 -790332482: positive 1357151166, % 4 = 2 */
    MUST(topic_append(s, SLICE("t"), r, where, 6, offsets, &test_error));
    ck_assert_int_eq(offsets[0], 0);
    ck_assert_int_eq(offsets[1], 1);
    ck_assert_int_eq(offsets[4], 2);
    ck_assert_int_eq(end_of(s, "t", 2), 3);
    ck_assert_int_eq(end_of(s, "t", 0), 1); /* the two without key went round, from 0 */
    ck_assert_int_eq(end_of(s, "t", 1), 1);
    ck_assert_int_eq(end_of(s, "t", 3), 1);

    where[5] = 4;
    MUST_FAIL(topic_append(s, SLICE("t"), r, where, 6, NULL, &test_error), WEIR_SEMANTIC, "topic t has no partition 4");
    r[5].value.len = (size_t)200 << 20; /* never read */
    MUST_FAIL(topic_append(s, SLICE("t"), r, NULL, 6, NULL, &test_error), WEIR_SEMANTIC, "134217728");
    MUST_FAIL(topic_append(s, SLICE("u"), r, NULL, 1, NULL, &test_error), WEIR_SEMANTIC, "there is no topic u");
    ck_assert_int_eq(end_of(s, "t", 2), 3);
    storage_close(s);
}
END_TEST

/* Record i of the odd ones: everything about it follows from i. */
static record odd_record(uint32_t i, arena *a)
{
    static const size_t sizes[] = { 0, 1, 63, 64, 65, 127, 128, 1000, 16383, 16384, 70000, 600000 };
    record r = { .timestamp_ms = (int64_t)i * 977 % 5000 - 2500 };
    size_t len = sizes[i * 7 % (i % 50 == 0 ? 12 : 9)];

    if (i % 5 == 4) r.timestamp_ms = i % 2 ? INT64_MIN + i : INT64_MAX - i;
    if (i % 3 != 0) r.key = arena_printf(a, "%.*u", (int)(i % 40), i);
    if (i % 7 != 0) {
        char *bytes = arena_alloc(a, len + 1);
        for (size_t j = 0; j < len; j++) bytes[j] = (char)(i % 2 ? (i + j * j * 31 + j / 7) : 'a' + j % 3);
        r.value = (slice){ bytes, len };
    }
    if (i % 11 == 10) {
        header *h = ARENA_ARRAY(a, header, 3);
        h[0] = (header){ SLICE("one"), arena_printf(a, "%u", i) };
        h[1] = (header){ SLICE(""), NO_SLICE };
        h[2] = (header){ SLICE("three"), SLICE("") };
        r.headers = (header_list){ h, 1 + i % 3 };
    }
    return r;
}

static void check_slice(slice a, slice b)
{
    ck_assert((a.data == NULL) == (b.data == NULL));
    ck_assert(slice_equal(a, b));
    if (a.data != NULL) { /* 64 readable bytes behind it: the sanitizer looks */
        volatile char sum = 0;
        for (int i = 0; i < 64; i++) sum = (char)(sum + a.data[a.len + (size_t)i]);
    }
}

static void check_rows(const fetch *e, int64_t first, arena *a)
{
    for (uint32_t i = 0; i < e->rows; i++) {
        record want = odd_record((uint32_t)(first + i), a);
        ck_assert_int_eq(e->offset[i], first + i);
        ck_assert_int_eq(e->timestamp_ms[i], want.timestamp_ms);
        check_slice(e->key[i], want.key);
        check_slice(e->value[i], want.value);
        uint32_t headers = e->headers == NULL ? 0 : e->headers[i].count;
        ck_assert_uint_eq(headers, want.headers.count);
        for (uint32_t j = 0; j < headers; j++) {
            ck_assert(slice_equal(e->headers[i].items[j].key, want.headers.items[j].key));
            slice is = e->headers[i].items[j].value, should = want.headers.items[j].value;
            ck_assert((is.data == NULL) == (should.data == NULL) && slice_equal(is, should));
        }
    }
    ck_assert_int_eq(e->next_offset, first + e->rows);
}

START_TEST(what_was_appended_is_read_whatever_the_batch)
{
    static const uint32_t rows_max[] = { 1, 2, 7, 4096 };
    enum { ROWS = 400 };
    storage *s = open_here();
    arena *a = arena_new(0);
    const fetch *e;

    make_topic(s, "odd", 1);
    for (uint32_t at = 0, some = 1; at < ROWS; at += some, some = some * 2 % 97 + 1) { /* blocks of many sizes */
        record r[100];
        uint32_t n = some < ROWS - at ? some : ROWS - at;
        for (uint32_t i = 0; i < n; i++) r[i] = odd_record(at + i, a);
        MUST(topic_append(s, SLICE("odd"), r, NULL, n, NULL, &test_error));
    }
    ck_assert_int_eq(end_of(s, "odd", 0), ROWS);
    client *c = open_reader(s, NULL, "odd", NULL);
    int64_t next = 0;
    bool ended = false;
    for (uint32_t max = rows_max[_i]; !ended;) {
        uint32_t count = poll_client(c, 0, max, &e);
        ck_assert_uint_ge(count, 1);
        for (uint32_t i = 0; i < count; i++) {
            if (e[i].kind == FETCH_END) {
                ended = true;
                ck_assert_int_eq(e[i].next_offset, ROWS);
                continue;
            }
            ck_assert_uint_le(e[i].rows, max);
            check_rows(&e[i], next, a);
            next += e[i].rows;
        }
        arena_reset(a);
    }
    ck_assert_int_eq(next, ROWS);
    ck_assert_uint_eq(poll_client(c, 0, 1, &e), 0);
    for (int64_t to = 0; to < ROWS; to += 37) {
        MUST(client_seek(c, 0, 0, to, &test_error));
        ck_assert_uint_ge(poll_client(c, 0, 5, &e), 1);
        check_rows(e, to, a);
    }
    client_close(c);
    storage_close(s);
    arena_free(a);
}
END_TEST

START_TEST(a_record_of_100_mb_goes_through)
{
    storage *s = open_here();
    size_t len = (size_t)100 << 20;
    char *bytes = malloc(len);
    const fetch *e;

    make_topic(s, "big", 1);
    fill_randomly(bytes, len);
    record r[3] = { { .value = SLICE("before") }, { .value = { bytes, len } }, { .value = SLICE("after") } };
    MUST(topic_append(s, SLICE("big"), r, NULL, 3, NULL, &test_error));
    client *c = open_reader(s, NULL, "big", NULL);
    uint32_t seen = 0;
    for (bool ended = false; !ended;) {
        uint32_t count = poll_client(c, 0, 1, &e);
        for (uint32_t i = 0; i < count; i++) {
            ended = ended || e[i].kind == FETCH_END;
            for (uint32_t j = 0; j < e[i].rows; j++, seen++) ck_assert(slice_equal(e[i].value[j], r[seen].value));
        }
    }
    ck_assert_uint_eq(seen, 3);
    client_close(c);
    storage_close(s);
    free(bytes);
}
END_TEST

static int64_t mapped_mib(void)
{
    long long size, resident, shared;
    FILE *f = fopen("/proc/self/statm", "re");

    ck_assert_int_eq(fscanf(f, "%lld %lld %lld", &size, &resident, &shared), 3);
    fclose(f);
    return shared * sysconf(_SC_PAGESIZE) >> 20;
}

START_TEST(what_is_read_does_not_stay_mapped)
{
    storage *s = open_here();
    size_t len = (size_t)256 << 10;
    char *bytes = malloc(len);
    record r = { .value = { bytes, len } };
    const fetch *e;
    int64_t most = 0;

    make_topic(s, "t", 1);
    for (int i = 0; i < 384; i++) {
        fill_randomly(bytes, len);
        MUST(topic_append(s, SLICE("t"), &r, NULL, 1, NULL, &test_error));
    }
    client *c = open_reader(s, NULL, "t", NULL);
    int64_t before = mapped_mib();
    for (bool ended = false; !ended;) {
        uint32_t count = poll_client(c, 0, 1, &e);
        for (uint32_t i = 0; i < count; i++) ended = ended || e[i].kind == FETCH_END;
        if (mapped_mib() > most) most = mapped_mib();
    }
    ck_assert_int_lt(most - before, 32); /* of 96 */
    client_close(c);
    storage_close(s);
    free(bytes);
}
END_TEST

static int64_t first_kept(storage *s, const char *topic)
{
    const fetch *e;
    client *c = open_reader(s, NULL, topic, NULL);

    ck_assert_uint_ge(poll_client(c, 0, 1, &e), 1);
    int64_t offset = e->rows > 0 ? e->offset[0] : -1;
    client_close(c);
    return offset;
}

START_TEST(retention_drops_old_blocks)
{
    weir_clock virtual = { .is_virtual = true, .now_ms = 0 };
    storage *s = open_with((local_options){ .durability = DURABLE_META, .clock = &virtual });
    topic_spec by_time = { .name = SLICE("time"), .partitions = 1, .retention_ms = 1000 };
    topic_spec by_bytes = { .name = SLICE("bytes"), .partitions = 1, .retention_bytes = 1500 };
    char bytes[200];

    MUST(topic_create(s, &by_time, &test_error));
    MUST(topic_create(s, &by_bytes, &test_error));
    memset(bytes, 'x', sizeof bytes - 1);
    bytes[sizeof bytes - 1] = '\0';
    for (int i = 0; i < 20; i++) {
        virtual.now_ms = i * 100;
        append_one(s, "time", "k", "v", virtual.now_ms);
        append_one(s, "bytes", "k", bytes, 0);
    }
    ck_assert_int_eq(end_of(s, "time", 0), 20);
    ck_assert_int_eq(begin_of(s, "time", 0), 9); /* now 1900: 900 and later are kept */
    ck_assert_int_eq(first_kept(s, "time"), 9);
    ck_assert_int_eq(end_of(s, "bytes", 0), 20);
    ck_assert_int_eq(begin_of(s, "bytes", 0), 15); /* five blocks of 252 bytes */
    ck_assert_int_eq(first_kept(s, "bytes"), 15);
    virtual.now_ms = 100000;
    append_one(s, "time", "k", "v", 5); /* old itself, but the newest */
    ck_assert_int_eq(begin_of(s, "time", 0), 20);
    storage_close(s);
}
END_TEST

START_TEST(a_reader_behind_retention_goes_on_at_the_first_kept)
{
    storage *s = open_here();
    topic_spec spec = { .name = SLICE("t"), .partitions = 1, .retention_bytes = 1 };
    const fetch *e;

    MUST(topic_create(s, &spec, &test_error));
    client *c = open_reader(s, NULL, "t", NULL);
    for (int i = 0; i < 5; i++) append_one(s, "t", NULL, "v", 0);
    uint32_t count = poll_client(c, 0, 10, &e);
    ck_assert_uint_eq(count, 2);
    ck_assert_uint_eq(e[0].rows, 1);
    ck_assert_int_eq(e[0].offset[0], 4);
    ck_assert_int_eq(e[1].kind, FETCH_END);
    client_close(c);
    storage_close(s);
}
END_TEST

START_TEST(a_quota_stops_appending_but_not_deleting)
{
    storage *s = open_with((local_options){ .durability = DURABLE_META, .quota_bytes = 4 << 20 });
    char *bytes = malloc(100000);
    record r = { .value = { bytes, 100000 } };
    weir_rc rc = WEIR_OK;
    int appended = 0;

    fill_randomly(bytes, 100000);
    make_topic(s, "t", 1);
    make_topic(s, "u", 1);
    for (; rc == WEIR_OK && appended < 100; appended++) {
        rc = topic_append(s, SLICE("t"), &r, NULL, 1, NULL, &test_error);
    }
    ck_assert_int_eq(rc, WEIR_STORAGE);
    ck_assert_int_eq(test_error.act, WEIR_ACT_RETRY);
    ck_assert_ptr_nonnull(strstr(test_error.message, "has reached its quota"));
    ck_assert_ptr_nonnull(strstr(test_error.message, test_dir));
    ck_assert_int_gt(appended, 30);
    ck_assert_int_lt(appended, 43);
    MUST(topic_delete(s, SLICE("t"), &test_error));
    MUST(topic_append(s, SLICE("u"), &r, NULL, 1, NULL, &test_error));
    storage_close(s);
    free(bytes);
}
END_TEST

START_TEST(a_full_disk_is_an_error_and_no_damage)
{
    storage *s = open_here();
    struct rlimit limit;
    char *bytes = malloc(100000);
    record r = { .value = { bytes, 100000 } };
    weir_rc rc = WEIR_OK;
    int64_t appended = 0;

    fill_randomly(bytes, 100000);
    make_topic(s, "t", 1);
    make_topic(s, "u", 1);
    signal(SIGXFSZ, SIG_IGN); /* writing past the limit: EFBIG, or a short write, as on a full disk */
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = 3 << 20;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (; appended < 100; appended++) {
        rc = topic_append(s, SLICE("t"), &r, NULL, 1, NULL, &test_error);
        if (rc != WEIR_OK) break;
    }
    ck_assert_int_eq(rc, WEIR_STORAGE);
    ck_assert_int_eq(test_error.act, WEIR_ACT_RETRY);
    ck_assert_ptr_nonnull(strstr(test_error.message, "Free disk space there"));
    ck_assert_ptr_nonnull(strstr(test_error.message, test_dir));
    ck_assert_int_eq(end_of(s, "t", 0), appended);
    limit.rlim_cur = limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    MUST(topic_append(s, SLICE("t"), &r, NULL, 1, NULL, &test_error));
    ck_assert_int_eq(end_of(s, "t", 0), appended + 1);
    storage_close(s);
    s = open_here();
    ck_assert_int_eq(first_kept(s, "t"), 0);
    MUST(topic_delete(s, SLICE("t"), &test_error));
    storage_close(s);
    free(bytes);
}
END_TEST

START_TEST(one_process_holds_the_engine_lock)
{
    storage *s = open_here(), *second = open_here(); /* the same environment, another storage */
    bool got;
    int64_t owner;

    MUST(storage_lock_engine(s, &got, &owner, &test_error));
    ck_assert(got);
    MUST(storage_lock_engine(s, &got, &owner, &test_error));
    ck_assert(got);
    MUST(storage_lock_engine(second, &got, &owner, &test_error));
    ck_assert(!got);
    ck_assert_int_eq(owner, getpid());
    make_topic(s, "t", 1);
    append_one(second, "t", NULL, "v", 0);
    ck_assert_int_eq(end_of(s, "t", 0), 1);
    storage_close(s);
    MUST(storage_lock_engine(second, &got, &owner, &test_error));
    ck_assert(got);
    storage_close(second);
}
END_TEST

START_TEST(a_temporary_storage_leaves_nothing)
{
    local_options options = { .is_temporary = true, .durability = DURABLE_NONE, .clock = &test_clock };
    storage *s;

    setenv("TMPDIR", test_dir, 1);
    MUST(storage_open_local(&s, NO_SLICE, &options, &test_error));
    ck_assert_int_eq(rmdir(test_dir), 0); /* empty already */
    make_topic(s, "t", 2);
    append_one(s, "t", "k", "v", 0);
    storage_close(s);
}
END_TEST

static void add(TCase *all)
{
    tcase_add_test(all, topics_are_made_listed_and_deleted);
    tcase_add_test(all, a_missing_directory_is_made_or_named);
    tcase_add_test(all, what_a_newer_weir_wrote_is_left_alone);
    tcase_add_test(all, a_damaged_block_is_noticed);
    tcase_add_test(all, records_go_where_kafka_would_put_them);
    tcase_add_loop_test(all, what_was_appended_is_read_whatever_the_batch, 0, 4);
    tcase_add_test(all, a_record_of_100_mb_goes_through);
    tcase_add_test(all, what_is_read_does_not_stay_mapped);
    tcase_add_test(all, retention_drops_old_blocks);
    tcase_add_test(all, a_reader_behind_retention_goes_on_at_the_first_kept);
    tcase_add_test(all, a_quota_stops_appending_but_not_deleting);
    tcase_add_test(all, a_full_disk_is_an_error_and_no_damage);
    tcase_add_test(all, one_process_holds_the_engine_lock);
    tcase_add_test(all, a_temporary_storage_leaves_nothing);
}

int main(void)
{
    return run_tests("storage topics", add, make_test_dir, remove_test_dir);
}
