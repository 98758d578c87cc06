/* tests/unit/check_storage_state.c - state in the embedded log: keys long and short, ranges, snapshots, dropping. */
#include "check_storage.h"

#include "core/hash.h"
#include "storage/local.h"
#include "storage/state_lmdb.h"
#include "storage/run_block.h"
#include "storage/state_runs.h"

#include <errno.h>

static const char *letters(arena *a, char c, size_t count)
{
    char *at = arena_alloc(a, count + 1);

    memset(at, c, count);
    at[count] = '\0';
    return at;
}

START_TEST(values_are_put_found_and_deleted)
{
    storage *s = open_here();
    client *c = open_client(s, "q", NULL, NULL);
    task_state *t = open_state(c, "q/0", 0), *other = open_state(c, "q/0", 1);
    slice content;
    uint64_t bytes, entries;

    put_state(c, t, 1, SLICE("a"), SLICE("one"));
    put_state(c, t, 1, SLICE("b"), SLICE(""));
    put_state(c, t, 2, SLICE("a"), SLICE("two"));
    put_state(c, t, 1, SLICE(""), SLICE("empty key"));
    put_state(c, other, 1, SLICE("a"), SLICE("other"));
    ck_assert(get_state(t, 1, SLICE("a"), &content) && slice_is(content, "one"));
    ck_assert(get_state(t, 1, SLICE("b"), &content) && slice_is(content, ""));
    ck_assert(get_state(t, 1, SLICE(""), &content) && slice_is(content, "empty key"));
    ck_assert(get_state(t, 2, SLICE("a"), &content) && slice_is(content, "two"));
    ck_assert(!get_state(t, 2, SLICE("b"), &content));
    MUST(task_state_size(t, &bytes, &entries, &test_error));
    ck_assert_uint_eq(entries, 4);
    ck_assert_uint_eq(bytes, 1 + 3 + 1 + 1 + 3 + 9);
    put_state(c, t, 1, SLICE("a"), SLICE("eleven"));
    put_state(c, t, 1, SLICE("b"), NO_SLICE);
    put_state(c, t, 1, SLICE("never there"), NO_SLICE);
    ck_assert(get_state(t, 1, SLICE("a"), &content) && slice_is(content, "eleven"));
    ck_assert(!get_state(t, 1, SLICE("b"), &content));
    MUST(task_state_size(t, &bytes, &entries, &test_error));
    ck_assert_uint_eq(entries, 3);
    ck_assert_uint_eq(bytes, 1 + 6 + 1 + 3 + 9);
    task_state_close(t);
    task_state_close(other);
    client_close(c);
    storage_close(s);
}
END_TEST

static void expect_next(state_cursor *cursor, const char *key)
{
    slice at, content;
    bool more;

    MUST(state_cursor_next(cursor, &at, &content, &more, &test_error));
    if (key == NULL) {
        ck_assert_msg(!more, "%.*s instead of the end", SLICE_ARG(at));
    } else {
        ck_assert_msg(more && slice_is(at, key), "%.*s instead of %s", more ? (int)at.len : 3, more ? at.data : "end", key);
        ck_assert(slice_equal(content, at)); /* as these tests store it */
    }
}

START_TEST(ranges_are_in_key_order)
{
    storage *s = open_here();
    client *c = open_client(s, "q", NULL, NULL);
    task_state *t = open_state(c, "q/0", 2), *after = open_state(c, "q/0", 3);
    state_cursor *cursor;
    static const char *const keys[] = { "a", "ab", "b", "ba", "c", "d" };

    for (int i = 0; i < 6; i++) {
        put_state(c, t, 7, slice_of(keys[i]), slice_of(keys[i]));
        put_state(c, t, 6, slice_of(keys[i]), SLICE("before"));
        put_state(c, t, 8, slice_of(keys[i]), SLICE("behind"));
        put_state(c, after, 7, slice_of(keys[i]), SLICE("behind"));
    }
    MUST(task_state_scan(t, 7, NO_SLICE, NO_SLICE, &cursor, &test_error));
    for (int i = 0; i < 6; i++) expect_next(cursor, keys[i]);
    expect_next(cursor, NULL);
    expect_next(cursor, NULL);
    state_cursor_close(cursor);
    MUST(task_state_scan(t, 7, SLICE("ab"), SLICE("c"), &cursor, &test_error));
    expect_next(cursor, "ab");
    MUST(state_cursor_seek(cursor, SLICE("b1"), &test_error));
    expect_next(cursor, "ba");
    expect_next(cursor, NULL);
    MUST(state_cursor_seek(cursor, SLICE("a"), &test_error)); /* not before the range */
    expect_next(cursor, "ab");
    MUST(state_cursor_seek(cursor, SLICE("x"), &test_error));
    expect_next(cursor, NULL);
    state_cursor_close(cursor);
    MUST(task_state_scan(t, 9, NO_SLICE, NO_SLICE, &cursor, &test_error));
    expect_next(cursor, NULL);
    state_cursor_close(cursor);
    task_state_close(t);
    task_state_close(after);
    client_close(c);
    storage_close(s);
}
END_TEST

/* Keys around the longest that stand whole in LMDB, some equal in all that does; _i: with real hashes, or all colliding. */
START_TEST(long_keys_are_told_apart)
{
    storage *s = open_here();
    client *c = open_client(s, "q", NULL, NULL);
    task_state *t = open_state(c, "q/0", 0);
    arena *a = arena_new(0);
    enum { KEYS = 60 };
    slice keys[KEYS], content;
    uint64_t bytes, entries, total = 0;

    if (_i == 1) state_lmdb_hash_mask = 0;
    for (int i = 0; i < KEYS; i++) {
        size_t len = 470 + (size_t)i % 20;
        char *key = (char *)letters(a, (char)('a' + i / 20 * 2), i % 4 == 0 ? len + 300 : len);
        key[len - 1] = (char)('A' + i % 20);
        keys[i] = slice_of(key);
        total += keys[i].len * 2;
        put_state(c, t, 3, keys[i], keys[i]);
    }
    for (int i = 0; i < KEYS; i++) ck_assert(get_state(t, 3, keys[i], &content) && slice_equal(content, keys[i]));
    ck_assert(!get_state(t, 3, slice_of(letters(a, 'a', 485)), &content));
    slice asked[2 * KEYS], values[2 * KEYS]; /* every second one is not there, long or not */
    uint64_t hashes[2 * KEYS];
    for (int i = 0; i < 2 * KEYS; i++) {
        asked[i] = i % 2 == 0 ? keys[i / 2] : slice_of(letters(a, 'z', 440 + (size_t)i));
        hashes[i] = hash_bytes(asked[i]);
    }
    MUST(task_state_get_all(t, 3, asked, hashes, 2 * KEYS, a, values, &test_error));
    for (int i = 0; i < 2 * KEYS; i++) {
        ck_assert(i % 2 == 0 ? slice_equal(values[i], keys[i / 2]) : values[i].data == NULL);
    }
    MUST(task_state_size(t, &bytes, &entries, &test_error));
    ck_assert_uint_eq(entries, KEYS);
    ck_assert_uint_eq(bytes, total);

    state_cursor *cursor; /* every range holds what it should, and in the order of the first 480 bytes */
    for (int from = 0; from < KEYS; from += 7) {
        for (int to = 3; to < KEYS; to += 11) {
            slice key, last = SLICE("");
            bool more;
            int seen = 0, wanted = 0;
            for (int i = 0; i < KEYS; i++) {
                wanted += slice_compare(keys[i], keys[from]) >= 0 && slice_compare(keys[i], keys[to]) < 0;
            }
            MUST(task_state_scan(t, 3, keys[from], keys[to], &cursor, &test_error));
            for (;; seen++) {
                MUST(state_cursor_next(cursor, &key, &content, &more, &test_error));
                if (!more) break;
                ck_assert(slice_equal(key, content));
                ck_assert_int_ge(slice_compare(key, keys[from]), 0);
                ck_assert_int_lt(slice_compare(key, keys[to]), 0);
                slice head = { key.data, key.len < 480 ? key.len : 480 };
                ck_assert_int_ge(slice_compare(head, last), 0);
                last = arena_copy(a, head);
            }
            ck_assert_int_eq(seen, wanted);
            state_cursor_close(cursor);
        }
    }
    for (int i = 0; i < KEYS; i += 2) put_state(c, t, 3, keys[i], NO_SLICE);
    for (int i = 0; i < KEYS; i++) ck_assert(get_state(t, 3, keys[i], &content) == (i % 2 == 1));
    for (int i = 1; i < KEYS; i += 2) put_state(c, t, 3, keys[i], SLICE("short"));
    for (int i = 1; i < KEYS; i += 2) ck_assert(get_state(t, 3, keys[i], &content) && slice_is(content, "short"));
    for (int i = 1; i < KEYS; i += 2) put_state(c, t, 3, keys[i], NO_SLICE);
    MUST(task_state_size(t, &bytes, &entries, &test_error));
    ck_assert_uint_eq(entries, 0);
    ck_assert_uint_eq(bytes, 0);
    state_lmdb_hash_mask = UINT64_MAX;
    arena_free(a);
    task_state_close(t);
    client_close(c);
    storage_close(s);
}
END_TEST

START_TEST(another_layout_is_refused)
{
    storage *s = open_here();
    client *c = open_client(s, "visits", NULL, NULL);
    task_state *t = open_state(c, "visits/0", 0);
    state_spec spec = { .name = SLICE("visits/0"), .partition = 0, .partitions = 4, .layout = SLICE("v2") };

    task_state_close(t);
    MUST_FAIL(task_state_open(&t, c, &spec, &test_error), WEIR_STORAGE, "drop and create query visits again");
    client_close(c);
    MUST(storage_drop_query(s, SLICE("visits"), &test_error));
    c = open_client(s, "visits", NULL, NULL);
    MUST(task_state_open(&t, c, &spec, &test_error));
    task_state_close(t);
    client_close(c);
    storage_close(s);
}
END_TEST

/* Between its uses a state may come to be that was not there at first. */
START_TEST(a_snapshot_that_rests_finds_what_came)
{
    storage *s = open_here();
    client *c = open_client(s, "visits", NULL, NULL);
    snapshot *snap;
    const int32_t *partitions;
    uint32_t count;
    slice content;
    bool found;

    MUST(snapshot_open(&snap, s, SLICE("visits/0"), &test_error));
    MUST(snapshot_partitions(snap, &partitions, &count, &test_error));
    ck_assert_uint_eq(count, 0);
    ck_assert(snapshot_pause(snap));
    task_state *t = open_state(c, "visits/0", 3);
    put_state(c, t, 1, SLICE("k"), SLICE("v"));
    MUST(snapshot_resume(snap, &test_error));
    MUST(snapshot_partitions(snap, &partitions, &count, &test_error));
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(partitions[0], 3);
    MUST(snapshot_get(snap, 3, 1, SLICE("k"), &content, &found, &test_error));
    ck_assert(found && slice_is(content, "v"));
    snapshot_close(snap);
    task_state_close(t);
    client_close(c);
    storage_close(s);
}
END_TEST

START_TEST(a_dropped_query_leaves_nothing)
{
    storage *s = open_here();
    const fetch *e;
    slice content;
    char key[24];

    make_topic(s, "in", 1);
    append_one(s, "in", NULL, "v", 0);
    static const struct {
        const char *query, *state, *other;
    } QUERIES[] = { { "q", "q/0", "q/1" }, { "q2", "q2/0", "q2/1" }, { "q/b_2", "q/b_2/0", "q/b_2/1" } };
    for (int i = 0; i < 3; i++) {
        client *c = open_reader(s, QUERIES[i].query, "in", NULL);
        task_state *t = open_state(c, QUERIES[i].state, 1), *u = open_state(c, QUERIES[i].other, 0);
        state_change *changes = calloc(20000, sizeof *changes); /* more than is deleted in one transaction */
        arena *a = arena_new(0);
        for (int j = 0; j < 20000; j++) {
            snprintf(key, sizeof key, "%05d", j);
            changes[j] = (state_change){ 0, arena_copy(a, slice_of(key)), SLICE("x") };
        }
        epoch epochs[2] = { { t, changes, 20000 }, { u, changes, 3 } };
        position p = { 0, 0, 1 };
        MUST(client_commit(c, epochs, 2, &p, 1, &test_error));
        free(changes);
        arena_free(a);
        task_state_close(t);
        task_state_close(u);
        client_close(c);
    }
    const slice names[] = { SLICE("q2"), SLICE("never there"), SLICE("q"), SLICE("q/b_2") };
    bool is_left[4];
    MUST(storage_tidy(s, names, 4, is_left, &test_error));
    ck_assert(is_left[0] && !is_left[1] && is_left[2] && is_left[3]);
    MUST(storage_drop_query(s, SLICE("q"), &test_error));
    MUST(storage_drop_query(s, SLICE("never there"), &test_error));
    MUST(storage_tidy(s, names, 4, is_left, &test_error));
    ck_assert(is_left[0] && !is_left[1] && !is_left[2] && is_left[3]); /* whose id only begins so */
    client *c = open_reader(s, "q", "in", NULL);
    task_state *t = open_state(c, "q/0", 1);
    ck_assert(!get_state(t, 0, SLICE("00001"), &content));
    ck_assert_uint_eq(poll_client(c, 0, 1, &e), 2); /* from the start, and its end */
    task_state_close(t);
    client_close(c);
    c = open_reader(s, "q2", "in", NULL);
    t = open_state(c, "q2/0", 1);
    ck_assert(get_state(t, 0, SLICE("19999"), &content));
    ck_assert_uint_eq(poll_client(c, 0, 1, &e), 1);
    ck_assert_int_eq(e->kind, FETCH_END);
    task_state_close(t);
    client_close(c);
    storage_close(s);
}
END_TEST

static int count_all(snapshot *snap, int32_t partition)
{
    state_cursor *cursor;
    slice key, content;
    bool more = true;
    int count = 0;

    MUST(snapshot_scan(snap, partition, 0, NO_SLICE, NO_SLICE, &cursor, &test_error));
    while (MUST(state_cursor_next(cursor, &key, &content, &more, &test_error)), more) count++;
    state_cursor_close(cursor);
    return count;
}

START_TEST(a_snapshot_stands_still)
{
    storage *s = open_here(), *reader = open_with((local_options){ .is_read_only = true });
    client *c = open_client(s, "q", NULL, NULL);
    task_state *t = open_state(c, "q/0", 1), *u = open_state(c, "q/0", 3);
    snapshot *before, *after, *none;
    const int32_t *partitions;
    uint32_t count;
    slice content;
    bool found;

    put_state(c, t, 0, SLICE("a"), SLICE("1"));
    put_state(c, u, 0, SLICE("a"), SLICE("9"));
    MUST(snapshot_open(&before, reader, SLICE("q/0"), &test_error));
    put_state(c, t, 0, SLICE("a"), SLICE("2"));
    put_state(c, t, 0, SLICE("b"), SLICE("2"));
    MUST(snapshot_open(&after, reader, SLICE("q/0"), &test_error));
    MUST(snapshot_get(before, 1, 0, SLICE("a"), &content, &found, &test_error));
    ck_assert(found && slice_is(content, "1"));
    MUST(snapshot_get(after, 1, 0, SLICE("a"), &content, &found, &test_error));
    ck_assert(found && slice_is(content, "2"));
    MUST(snapshot_get(before, 1, 0, SLICE("b"), &content, &found, &test_error));
    ck_assert(!found);
    ck_assert_int_eq(count_all(before, 1), 1);
    ck_assert_int_eq(count_all(after, 1), 2);
    MUST(snapshot_partitions(after, &partitions, &count, &test_error));
    ck_assert(count == 2 && partitions[0] == 1 && partitions[1] == 3);
    MUST(snapshot_open(&none, reader, SLICE("q/9"), &test_error));
    MUST(snapshot_partitions(none, &partitions, &count, &test_error));
    ck_assert_uint_eq(count, 0);
    ck_assert_int_eq(count_all(none, 0), 0);
    snapshot_close(before);
    snapshot_close(after);
    snapshot_close(none);
    task_state_close(t);
    task_state_close(u);
    client_close(c);
    storage_close(s);
    storage_close(reader);
}
END_TEST

/* Random changes, in batches, against a plain table; sizes go from nothing to several pages. */
START_TEST(state_follows_a_plain_table)
{
    enum { KEYS = 300 };
    storage *s = open_here();
    client *c = open_client(s, "q", NULL, NULL);
    task_state *t = open_state(c, "q/0", 0);
    int size[KEYS]; /* -1: not there */
    char *bytes = malloc(20000);
    uint64_t random = 42, have_bytes, have_entries, want_bytes = 0, want_entries = 0;
    slice content;

    memset(bytes, 'v', 20000);
    for (int i = 0; i < KEYS; i++) size[i] = -1;
    for (int round = 0; round < 100; round++) {
        state_change changes[KEYS];
        char keys[KEYS][16];
        uint32_t count = 0;
        for (int i = 0; i < KEYS; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            if ((random >> 33) % 8 != 0) continue;
            size[i] = (random >> 40) % 3 == 0 ? -1 : (int)((random >> 45) % ((random >> 50) % 9 == 0 ? 20000 : 60));
            int len = snprintf(keys[count], sizeof keys[count], "%05d", i);
            changes[count] = (state_change){ 5, { keys[count], (size_t)len },
                                             size[i] < 0 ? NO_SLICE : (slice){ bytes, (size_t)size[i] } };
            count++;
        }
        epoch e = { t, changes, count };
        MUST(client_commit(c, &e, 1, NULL, 0, &test_error));
    }
    for (int i = 0; i < KEYS; i++) {
        char key[16];
        snprintf(key, sizeof key, "%05d", i);
        ck_assert(get_state(t, 5, slice_of(key), &content) == (size[i] >= 0));
        if (size[i] >= 0) ck_assert_uint_eq(content.len, (size_t)size[i]);
        want_entries += size[i] >= 0;
        want_bytes += size[i] >= 0 ? 5 + (uint64_t)size[i] : 0;
    }
    MUST(task_state_size(t, &have_bytes, &have_entries, &test_error));
    ck_assert_uint_eq(have_entries, want_entries);
    ck_assert_uint_eq(have_bytes, want_bytes);
    free(bytes);
    task_state_close(t);
    client_close(c);
    storage_close(s);
}
END_TEST

/* ---- blocks of runs ---- */

enum { BLOCK_KEYS = 200 };

typedef struct block_model {
    slice keys[BLOCK_KEYS], values[BLOCK_KEYS]; /* keys in order, each once */
    uint32_t count;
} block_model;

static uint32_t any(uint32_t below)
{
    return (uint32_t)rand() % below;
}

static int by_bytes(const void *a, const void *b)
{
    return slice_compare(*(const slice *)a, *(const slice *)b);
}

/* Keys of a few letters, with a prefix or without, of one length or of several; some values erased, and seldom a large one. */
static void block_model_make(block_model *m, arena *a, unsigned seed)
{
    static const char *const PREFIXES[] = { "", "k", "a longer prefix than eight bytes/" };
    const slice prefix = slice_of(PREFIXES[seed % 3]);
    const bool has_one_length = seed / 3 % 2 == 0;
    slice keys[BLOCK_KEYS];

    srand(seed);
    for (int i = 0; i < BLOCK_KEYS; i++) {
        size_t more = has_one_length ? 4 : any(6);
        char *key = arena_alloc(a, prefix.len + more + 1);
        copy_short(key, prefix.data, prefix.len);
        for (size_t k = 0; k < more; k++) key[prefix.len + k] = "\0a\377z"[any(4)];
        keys[i] = (slice){ key, prefix.len + more };
    }
    qsort(keys, BLOCK_KEYS, sizeof *keys, by_bytes);
    m->count = 0;
    for (int i = 0; i < BLOCK_KEYS; i++) {
        if (i > 0 && slice_equal(keys[i], keys[i - 1])) continue;
        const bool is_large = seed % 4 == 3 && any(50) == 0;
        slice value = slice_of(letters(a, (char)('a' + i % 26), is_large ? 40000 : any(60)));
        m->keys[m->count] = keys[i];
        m->values[m->count++] = any(5) == 0 ? NO_SLICE : value;
    }
}

static void expect_block(const block_model *m, uint32_t from, uint32_t to, slice bytes)
{
    run_block b;
    slice rest, value;
    bool known;

    ck_assert(run_block_see(bytes, &b));
    ck_assert_uint_eq(b.items, to - from);
    for (uint32_t i = from; i < to; i++) {
        uint32_t at;
        ck_assert(run_block_item(&b, i - from, &rest, &value));
        ck_assert_uint_eq(b.prefix.len + rest.len, m->keys[i].len);
        ck_assert_int_eq(slice_compare_bytes(m->keys[i].data, b.prefix.data, b.prefix.len), 0);
        ck_assert_int_eq(slice_compare_bytes(m->keys[i].data + b.prefix.len, rest.data, rest.len), 0);
        ck_assert(slice_equal(value, m->values[i]) && (value.data == NULL) == (m->values[i].data == NULL));
        ck_assert(run_block_find(&b, m->keys[i], &at) && at == i - from);
    }
    for (uint32_t i = 0; i < m->count; i++) {
        ck_assert(run_block_get(&b, m->keys[i], &value, &known));
        ck_assert(known == (i >= from && i < to));
        if (known) ck_assert(slice_equal(value, m->values[i]) && (value.data == NULL) == (m->values[i].data == NULL));
        slice shorter = { m->keys[i].data, m->keys[i].len > 0 ? m->keys[i].len - 1 : 0 };
        bool is_there = false;
        for (uint32_t k = from; k < to; k++) is_there = is_there || slice_equal(m->keys[k], shorter);
        ck_assert(run_block_get(&b, shorter, &value, &known) && known == is_there);
    }
}

START_TEST(a_block_has_what_was_put_into_it)
{
    arena *a = arena_new(0);
    block_model m;
    run_block_maker made = { 0 };

    block_model_make(&m, a, (unsigned)_i);
    const size_t most = _i % 5 == 0 ? 100 : 4080;
    for (uint32_t from = 0, at = 0; at <= m.count; at++) {
        if (at < m.count && run_block_add(&made, m.keys[at], m.values[at], most)) continue;
        size_t len = run_block_bytes(&made);
        char *bytes = malloc(len);
        ck_assert(len <= most || at - from == 1);
        run_block_write(&made, bytes);
        expect_block(&m, from, at, (slice){ bytes, len });
        free(bytes);
        if (at == m.count) break;
        ck_assert(run_block_add(&made, m.keys[at], m.values[at], most)); /* the first of the next */
        from = at;
    }
    run_block_maker_free(&made);
    arena_free(a);
}
END_TEST

/* As weir wrote them before they were close: "ab" erased, "ac" = "x". */
START_TEST(a_block_that_is_not_close_is_read)
{
    const slice bytes = SLICE("\0\0\0\2" "\0\0\0\4" "\0\0\0\11" "\200\2" "ab" "\0\2" "ac" "x");
    block_model m = { .keys = { SLICE("ab"), SLICE("ac") }, .values = { NO_SLICE, SLICE("x") }, .count = 2 };

    expect_block(&m, 0, 2, bytes);
}
END_TEST

/* Whatever is wrong with it, it is read within its bounds: cut off anywhere, and each byte another one. */
START_TEST(a_damaged_block_is_read_within_its_bounds)
{
    arena *a = arena_new(0);
    block_model m;
    run_block_maker made = { 0 };

    block_model_make(&m, a, (unsigned)_i);
    for (uint32_t i = 0; i < 20; i++) ck_assert(run_block_add(&made, m.keys[i], m.values[i], SIZE_MAX));
    const size_t len = run_block_bytes(&made);
    char *bytes = malloc(len);
    run_block_write(&made, bytes);
    for (size_t at = 0; at < 2 * len; at++) {
        size_t kept = at < len ? at : len;
        char *some = malloc(kept + 1); /* with nothing behind what it has */
        memcpy(some, bytes, kept);
        if (at >= len) some[at - len] = (char)~some[at - len];
        char *exact = realloc(some, kept == 0 ? 1 : kept);
        run_block b;
        slice rest, value;
        bool known;
        bool is_seen = run_block_see((slice){ exact, kept }, &b);
        ck_assert(!is_seen || at >= len);
        for (uint32_t i = 0; is_seen && i < b.items; i++) {
            if (!run_block_item(&b, i, &rest, &value)) continue;
            ck_assert(rest.data >= exact && rest.data + rest.len <= exact + kept);
            ck_assert(value.data == NULL || (value.data >= exact && value.data + value.len <= exact + kept));
        }
        for (uint32_t i = 0; is_seen && i < m.count; i++) (void)run_block_get(&b, m.keys[i], &value, &known);
        free(exact);
    }
    free(bytes);
    run_block_maker_free(&made);
    arena_free(a);
}
END_TEST

/* ---- runs ---- */

enum { MODEL_KEYS = 240, MODEL_STORES = 3 };

/* What a state must hold: by store and key, the length of its value, all of one letter; -1: nothing. */
typedef struct model {
    char keys[MODEL_KEYS][640]; /* in order */
    size_t key_len[MODEL_KEYS];
    int value_len[MODEL_STORES][MODEL_KEYS];
    char letter[MODEL_STORES][MODEL_KEYS];
    uint64_t random;
} model;

static uint32_t draw(model *m, uint32_t below)
{
    m->random = m->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(m->random >> 33) % below;
}

/* The first key is empty; some are long, each with another beginning, so that their order is that of their bytes. */
static void model_make(model *m)
{
    for (int i = 0; i < MODEL_KEYS; i++) {
        m->key_len[i] = i == 0 ? 0 : (size_t)snprintf(m->keys[i], 16, "%05d", i * 7);
        if (i % 40 == 39) m->key_len[i] = 600, memset(m->keys[i] + 5, 'x', 595);
        for (int s = 0; s < MODEL_STORES; s++) m->value_len[s][i] = -1;
    }
}

static slice model_key(const model *m, int i)
{
    return (slice){ m->keys[i], m->key_len[i] };
}

static int refuse_commit(void *self, const char *what)
{
    (void)self;
    return strcmp(what, "commit") == 0 ? ENOSPC : 0;
}

/* An epoch: of how many keys is drawn, too. False: it was aborted, when all of it was written but not committed. */
static bool model_step(model *m, storage *of, client *c, task_state *t)
{
    local_options *options = &local_of(of)->options;
    const model before = *m;
    static char letters[26][5000];
    state_change changes[MODEL_STORES * MODEL_KEYS];
    uint32_t count = 0, one_in = 1 + draw(m, 60), mostly_deletes = draw(m, 4) == 0;

    for (int i = 0; i < 26; i++) memset(letters[i], 'a' + i, sizeof letters[i]);
    for (int s = 0; s < MODEL_STORES; s++) {
        for (int i = 0; i < MODEL_KEYS; i++) {
            if (draw(m, one_in) != 0) continue;
            bool is_deleted = draw(m, mostly_deletes ? 8 : 3) != (mostly_deletes ? 0u : 1u) && draw(m, 2) == 0;
            m->value_len[s][i] = is_deleted ? -1 : (int)draw(m, draw(m, 20) == 0 ? 5000 : 50);
            m->letter[s][i] = (char)('a' + draw(m, 26));
            changes[count++] = (state_change){ (uint16_t)(s + 1), model_key(m, i),
                                               is_deleted ? NO_SLICE : (slice){ letters[m->letter[s][i] - 'a'], (size_t)m->value_len[s][i] } };
        }
    }
    epoch e = { t, changes, count };
    if (count == 0 || draw(m, 4) != 0) {
        if (count > 0) MUST(client_commit(c, &e, 1, NULL, 0, &test_error));
        return true;
    }
    options->fault = refuse_commit;
    ck_assert_int_eq(client_commit(c, &e, 1, NULL, 0, &test_error), WEIR_STORAGE);
    options->fault = NULL;
    MUST(client_abort(c, &test_error));
    memcpy(m->value_len, before.value_len, sizeof m->value_len);
    memcpy(m->letter, before.letter, sizeof m->letter);
    return false;
}

static void expect_value(const model *m, int s, int i, slice content)
{
    bool is_same = (int)content.len == m->value_len[s][i];

    for (size_t k = 0; k < content.len && is_same; k++) is_same = content.data[k] == m->letter[s][i];
    if (!is_same) ck_abort_msg("store %d, key %d: %zu bytes instead of %d", s + 1, i, content.len, m->value_len[s][i]);
}

/* A range, and within it a place to begin anew. */
static void model_scan(model *m, task_state *t, int s)
{
    int from = (int)draw(m, MODEL_KEYS), to = from + (int)draw(m, (uint32_t)(MODEL_KEYS - from)), jump = from + (int)draw(m, 40);
    state_cursor *cursor;
    slice key, content;
    bool more;

    MUST(task_state_scan(t, (uint16_t)(s + 1), from == 0 ? NO_SLICE : model_key(m, from), model_key(m, to), &cursor, &test_error));
    for (int round = 0; round < 2; round++) {
        for (int i = round == 0 ? from : jump; i < to; i++) {
            if (m->value_len[s][i] < 0) continue;
            MUST(state_cursor_next(cursor, &key, &content, &more, &test_error));
            if (!more || !slice_equal(key, model_key(m, i))) ck_abort_msg("store %d: not key %d", s + 1, i);
            expect_value(m, s, i, content);
        }
        if (jump >= MODEL_KEYS) break;
        MUST(state_cursor_next(cursor, &key, &content, &more, &test_error));
        ck_assert(!more);
        MUST(state_cursor_seek(cursor, model_key(m, jump), &test_error));
    }
    state_cursor_close(cursor);
}

/* Any keys at once, some of them more than once, in any order. */
static void model_look(model *m, task_state *t, int s)
{
    slice keys[MODEL_KEYS], values[MODEL_KEYS];
    uint64_t hashes[MODEL_KEYS];
    int drawn[MODEL_KEYS];
    arena *a = arena_new(0);

    for (int i = 0; i < MODEL_KEYS; i++) {
        drawn[i] = (int)draw(m, MODEL_KEYS);
        keys[i] = model_key(m, drawn[i]);
        hashes[i] = hash_bytes(keys[i]);
    }
    MUST(task_state_get_all(t, (uint16_t)(s + 1), keys, hashes, MODEL_KEYS, a, values, &test_error));
    for (int i = 0; i < MODEL_KEYS; i++) {
        if ((values[i].data != NULL) != (m->value_len[s][drawn[i]] >= 0)) {
            ck_abort_msg("store %d, key %d is %s", s + 1, drawn[i], values[i].data != NULL ? "there" : "gone");
        }
        if (values[i].data != NULL) expect_value(m, s, drawn[i], values[i]);
    }
    arena_free(a);
}

static void model_check(model *m, task_state *t)
{
    uint64_t bytes, entries, have = 0;
    slice content;

    for (int s = 0; s < MODEL_STORES; s++) {
        for (int i = 0; i < MODEL_KEYS; i++) {
            bool found = get_state(t, (uint16_t)(s + 1), model_key(m, i), &content);
            if (found != (m->value_len[s][i] >= 0)) ck_abort_msg("store %d, key %d is %s", s + 1, i, found ? "there" : "gone");
            if (m->value_len[s][i] >= 0) expect_value(m, s, i, content), have++;
        }
        model_look(m, t, s);
        for (int i = 0; i < 5; i++) model_scan(m, t, s);
    }
    MUST(task_state_size(t, &bytes, &entries, &test_error));
    ck_assert_uint_ge(entries, have); /* those that newer ones hide are counted until they are merged */
}

static const run_limits MODEL_LIMITS[] = {
    { .tree_bytes = 4 << 20, .epoch_bytes = 1 << 20, .block_bytes = 8176, .tier_bytes = 1 << 20, .least_bytes = 65536 },
    { .tree_bytes = 3000, .epoch_bytes = 1000, .block_bytes = 200, .tier_bytes = 500, .least_bytes = 100 },
    { .tree_bytes = 0, .epoch_bytes = 0, .block_bytes = 64, .tier_bytes = 100, .least_bytes = 1 },
    { .tree_bytes = 20000, .epoch_bytes = 20000, .block_bytes = 1000, .tier_bytes = 100, .least_bytes = 1 << 20 },
    { .tree_bytes = 6000, .epoch_bytes = 200, .block_bytes = 8176, .tier_bytes = 1 << 20, .least_bytes = 10 },
};

/* Random epochs, whatever part of the state is in the tree, in runs, and in merges under way; beside it another task's. */
START_TEST(runs_and_tree_are_one_state)
{
    model *m = calloc(1, sizeof *m), *beside = calloc(1, sizeof *beside);
    storage *s = open_here();
    client *c = open_client(s, "q", NULL, NULL);
    task_state *t = open_state(c, "q/0", 1), *u = open_state(c, "q/0", 2);

    state_run_limits = MODEL_LIMITS[_i % 5];
    m->random = (uint64_t)_i;
    beside->random = (uint64_t)_i + 1000;
    model_make(m);
    model_make(beside);
    for (int round = 0; round < 120; round++) {
        bool is_committed = model_step(m, s, c, t);
        if (round % 3 == 0) model_step(beside, s, c, u);
        if (round % 6 == 5 || !is_committed) model_check(m, t);
        if (round % 40 != 39) continue;
        model_check(beside, u);
        task_state_close(t);
        task_state_close(u);
        client_close(c);
        storage_close(s);
        s = open_here();
        c = open_client(s, "q", NULL, NULL);
        t = open_state(c, "q/0", 1);
        u = open_state(c, "q/0", 2);
        model_check(m, t);
    }
    task_state_close(t);
    task_state_close(u);
    client_close(c);
    storage_close(s);
    free(m);
    free(beside);
}
END_TEST

START_TEST(an_older_weir_is_kept_from_close_blocks)
{
    storage *s = open_here();
    client *c = open_client(s, "q", NULL, NULL);
    task_state *t = open_state(c, "q/0", 1);

    state_run_limits = MODEL_LIMITS[2]; /* all goes into runs */
    set_format(s, 2);
    put_state(c, t, 1, SLICE("k"), SLICE("v"));
    ck_assert_uint_eq(stored_format(s), LOCAL_FORMAT);
    task_state_close(t);
    client_close(c);
    storage_close(s);
}
END_TEST

static void add(TCase *all)
{
    tcase_add_loop_test(all, a_block_has_what_was_put_into_it, 0, 60);
    tcase_add_test(all, a_block_that_is_not_close_is_read);
    tcase_add_loop_test(all, a_damaged_block_is_read_within_its_bounds, 0, 6);
    tcase_add_loop_test(all, runs_and_tree_are_one_state, 0, 10);
    tcase_add_test(all, an_older_weir_is_kept_from_close_blocks);
    tcase_add_test(all, values_are_put_found_and_deleted);
    tcase_add_test(all, ranges_are_in_key_order);
    tcase_add_loop_test(all, long_keys_are_told_apart, 0, 2);
    tcase_add_test(all, another_layout_is_refused);
    tcase_add_test(all, a_snapshot_that_rests_finds_what_came);
    tcase_add_test(all, a_dropped_query_leaves_nothing);
    tcase_add_test(all, a_snapshot_stands_still);
    tcase_add_test(all, state_follows_a_plain_table);
}

int main(void)
{
    return run_tests("storage state", add, make_test_dir, remove_test_dir);
}
