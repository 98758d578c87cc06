/* tests/unit/check_executor.c - what SQL cannot reach: key bytes, state tables, event time, exchange blocks. */
#include "core/hash.h"
#include "executor/block.h"
#include "executor/event_time.h"
#include "executor/key.h"
#include "executor/task.h"
#include "tests/unit/run_tests.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static arena *memory;
static storage *store;
static client *writer;
static task_state *state;
static weir_error err;

static void setup(void)
{
    static weir_clock virtual_clock = { .is_virtual = true };
    const local_options options = { .durability = DURABLE_NONE, .is_temporary = true, .clock = &virtual_clock };
    const client_spec spec = { .name = SLICE("q"), .instances = 1 };
    const state_spec kept = { .name = SLICE("q/0"), .partitions = 1, .layout = SLICE("x") };

    memory = arena_new(0);
    ck_assert_int_eq(storage_open_local(&store, SLICE(""), &options, &err), WEIR_OK);
    ck_assert_int_eq(client_open(&writer, store, &spec, &err), WEIR_OK);
    ck_assert_int_eq(task_state_open(&state, writer, &kept, &err), WEIR_OK);
}

static void teardown(void)
{
    task_state_close(state);
    client_close(writer);
    storage_close(store);
    arena_free(memory);
}

/* ---- keys ---- */

static const type *const KEY_TYPES[] = { &type_boolean, &type_integer, &type_bigint, &type_double, &type_string };
enum { KEY_COLUMNS = 5 };

static value random_value(const type *t)
{
    static const char *const texts[] = { "", "a", "ab", "b", "a\0b", "zzz" };
    static const size_t lengths[] = { 0, 1, 2, 1, 3, 3 };
    value v = { .is_null = rand() % 5 == 0 };
    int pick = rand() % 6;

    switch (t->kind) {
    case TYPE_BOOLEAN: v.boolean = pick % 2; break;
    case TYPE_INTEGER: v.i32 = pick == 0 ? INT32_MIN : pick == 1 ? INT32_MAX : pick - 3; break;
    case TYPE_BIGINT: v.i64 = pick == 0 ? INT64_MIN : pick == 1 ? INT64_MAX : pick - 3; break;
    case TYPE_DOUBLE: v.f64 = pick == 0 ? -1e300 : pick == 1 ? 1e300 : pick == 2 ? -0.5 : pick - 3; break;
    default: v.str = (slice){ texts[pick], lengths[pick] };
    }
    return v;
}

START_TEST(keys_sort_as_their_columns)
{
    enum { ROWS = 300 };
    column columns[KEY_COLUMNS];
    slice keys[ROWS];

    srand(7);
    for (uint32_t i = 0; i < KEY_COLUMNS; i++) {
        columns[i] = column_new(memory, KEY_TYPES[i], ROWS);
        for (uint32_t r = 0; r < ROWS; r++) {
            value v = random_value(KEY_TYPES[i]);
            column_set(&columns[i], r, &v);
        }
    }
    keys_encode(columns, KEY_COLUMNS, (row_set){ NULL, ROWS }, ROWS, memory, keys);
    for (uint32_t x = 0; x < ROWS; x++) {
        for (uint32_t y = 0; y < ROWS; y++) {
            int order = 0;
            for (uint32_t i = 0; i < KEY_COLUMNS && order == 0; i++) {
                value a = column_get(&columns[i], x), b = column_get(&columns[i], y);
                order = value_compare(KEY_TYPES[i], &a, &b);
            }
            if (keys[x].data == NULL || keys[y].data == NULL) continue;
            int found = slice_compare(keys[x], keys[y]);
            ck_assert_int_eq((found > 0) - (found < 0), (order > 0) - (order < 0));
        }
    }
}
END_TEST

START_TEST(keys_read_back)
{
    for (uint32_t width = 1; width <= KEY_COLUMNS; width++) {
        column in[KEY_COLUMNS], out[KEY_COLUMNS];
        slice key;
        for (int round = 0; round < 100; round++) {
            for (uint32_t i = 0; i < width; i++) {
                const type *t = KEY_TYPES[KEY_COLUMNS - 1 - i];
                value v = random_value(t);
                in[i] = column_new(memory, t, 1);
                out[i] = column_new(memory, t, 1);
                column_set(&in[i], 0, &v);
            }
            keys_encode(in, width, (row_set){ NULL, 1 }, 1, memory, &key);
            ck_assert(key_decode(key, out, width, 0, memory));
            for (uint32_t i = 0; i < width; i++) {
                value a = column_get(&in[i], 0), b = column_get(&out[i], 0);
                ck_assert(value_equal(in[i].type, &a, &b));
            }
            if (key.data != NULL && width > 1) ck_assert(!key_decode((slice){ key.data, key.len - 1 }, out, width, 0, memory));
        }
    }
}
END_TEST

/* ---- state tables ---- */

typedef struct counter { /* a payload of one number */
    int64_t count;
    int64_t unused;
} counter;

static void counter_encode(void *self, const void *payload, text *out)
{
    (void)self;
    text_add_u64(out, (uint64_t)((const counter *)payload)->count);
}

static bool counter_decode(void *self, reader_bytes *in, void *payload)
{
    (void)self;
    ((counter *)payload)->count = (int64_t)read_u64(in);
    return !in->bad;
}

static const payload_class COUNTER = { .bytes = sizeof(counter), .encode = counter_encode, .decode = counter_decode };

static int by_key(const void *x, const void *y)
{
    return slice_compare(((const state_change *)x)->key, ((const state_change *)y)->key);
}

static void commit_table(state_table *t)
{
    change_list changes = { 0 };

    state_table_seal(t, memory, &changes);
    if (changes.count > 0) qsort(changes.items, changes.count, sizeof *changes.items, by_key);
    const epoch e = { state, changes.items, changes.count };
    ck_assert_int_eq(client_commit(writer, &e, 1, NULL, 0, &err), WEIR_OK);
    state_table_committed(t);
    change_list_free(&changes);
}

/* Random counting, deleting, committing and aborting, against an array; with so small a budget that entries are evicted. */
START_TEST(state_table_is_an_array)
{
    enum { KEYS = 500 };
    static int64_t now[KEYS], committed[KEYS];
    slab *pieces = slab_new(NULL);
    state_table *t = state_table_new(state, 3, &COUNTER, pieces, 8192);

    srand(11);
    memset(now, 0, sizeof now);
    memset(committed, 0, sizeof committed);
    ck_assert_int_eq(state_table_open(t, &err), WEIR_OK);
    for (int step_at = 0; step_at < 20000; step_at++) {
        char name[64];
        int at = rand() % KEYS;
        slice key = { name, (size_t)snprintf(name, sizeof name, "key-%d-of-some-length", at) };
        entry *e;
        int what = rand() % 100;
        if (what < 80) {
            ck_assert_int_eq(state_table_find(t, key, true, &e, &err), WEIR_OK);
            ck_assert_int_eq(((counter *)entry_payload(e))->count, now[at]);
            now[at] = ++((counter *)entry_payload(e))->count;
            state_table_touch(t, e);
        } else if (what < 95) {
            ck_assert_int_eq(state_table_find(t, key, false, &e, &err), WEIR_OK);
            ck_assert_int_eq(e != NULL, now[at] != 0);
            if (e != NULL) state_table_delete(t, e);
            now[at] = 0;
        } else if (what < 99) {
            commit_table(t);
            memcpy(committed, now, sizeof now);
        } else {
            state_table_forget(t);
            ck_assert_int_eq(client_abort(writer, &err), WEIR_OK);
            memcpy(now, committed, sizeof now);
        }
    }
    commit_table(t);
    ck_assert_uint_lt(state_table_entries(t), KEYS); /* something was evicted */
    state_table_free(t);
    slab_drop(pieces);
}
END_TEST

START_TEST(updates_come_by_last_touch)
{
    slab *pieces = slab_new(NULL);
    state_table *t = state_table_new(state, 4, &COUNTER, pieces, 1 << 20);
    static const char order[] = "abcabdbe";
    uint32_t count;
    char found[16] = "";

    ck_assert_int_eq(state_table_open(t, &err), WEIR_OK);
    for (const char *c = order; *c != '\0'; c++) {
        entry *e;
        ck_assert_int_eq(state_table_find(t, (slice){ c, 1 }, true, &e, &err), WEIR_OK);
        state_table_touch(t, e);
    }
    entry *const *updates = state_table_updates(t, &count);
    for (uint32_t i = 0; i < count; i++) found[i] = entry_key(t, updates[i]).data[0];
    ck_assert_str_eq(found, "cadbe");
    state_table_free(t);
    slab_drop(pieces);
}
END_TEST

/* ---- changes ---- */

/* Keys that begin alike, that are the beginning of others, and that are empty, in stores whose numbers differ in either byte. */
START_TEST(changes_are_sorted_by_store_and_key)
{
    static const uint16_t stores[] = { 1, 2, 255, 256, 257, 65000 };
    change_list list = { 0 };
    uint32_t count = (uint32_t)(_i * _i * 40), at = 0;
    bool *is_met = calloc(count + 1, sizeof *is_met);
    char bytes[24];

    for (uint32_t i = 0; i < count; i++) {
        size_t len = (size_t)(rand() % 20);
        memset(bytes, 'k', sizeof bytes);
        for (size_t k = (size_t)(rand() % 12); k < len; k++) bytes[k] = (char)(rand() % 3 * 127);
        memcpy(bytes + len, &i, 4); /* each is told apart by what the sort does not look at: its value */
        change_list_add(&list, (state_change){ stores[rand() % 6], arena_copy(memory, (slice){ bytes, len }),
                                               arena_copy(memory, (slice){ bytes + len, 4 }) });
    }
    change_list_sort(&list);
    ck_assert_uint_eq(list.count, count);
    for (uint32_t i = 0; i < count; i++) {
        const state_change *c = &list.items[i], *before = c - 1;
        memcpy(&at, c->value.data, 4);
        ck_assert(!is_met[at]);
        is_met[at] = true;
        if (i == 0) continue;
        ck_assert(before->store < c->store || (before->store == c->store && slice_compare(before->key, c->key) <= 0));
    }
    change_list_free(&list);
    free(is_met);
}
END_TEST

/* ---- event time ---- */

START_TEST(time_is_a_running_maximum)
{
    int64_t event_ms[] = { 5, 3, 9, 7, 12 };
    const int64_t expected[] = { 5, 5, 9, 9, 12 };
    int64_t time_ms[5];
    event_time t;

    event_time_open(&t, 1, memory);
    event_time_advance(&t, &(batch){ .event_ms = event_ms, .upstream = -1 }, (row_set){ NULL, 5 }, time_ms, NULL);
    for (int i = 0; i < 5; i++) ck_assert_int_eq(time_ms[i], expected[i]);
}
END_TEST

START_TEST(time_is_the_least_of_the_upstreams)
{
    int64_t fast[] = { 100, 200 }, slow[] = { 10, 150 }, later[] = { 20, 30 };
    int64_t own_ms[2], now_ms[2];
    row_set both = { NULL, 2 };
    event_time t;

    event_time_open(&t, 3, memory);
    event_time_advance(&t, &(batch){ .event_ms = fast, .upstream = 0 }, both, own_ms, now_ms);
    ck_assert_int_eq(now_ms[1], TIME_UNKNOWN); /* the others have not been heard of */
    ck_assert_int_eq(own_ms[1], 200);
    event_time_advance(&t, &(batch){ .event_ms = slow, .upstream = 1 }, both, own_ms, now_ms);
    ck_assert_int_eq(now_ms[1], TIME_UNKNOWN);
    ck_assert_int_eq(own_ms[0], 10); /* not late, however far the other is */
    event_time_mark(&t, 2, INT64_MIN, true); /* has no input: not waited for */
    ck_assert_int_eq(t.now_ms, 150);
    event_time_mark(&t, 1, 180, false);
    ck_assert_int_eq(t.now_ms, 180);
    event_time_mark(&t, 1, 180, true);
    ck_assert_int_eq(t.now_ms, 200);
    event_time_advance(&t, &(batch){ .event_ms = later, .upstream = 2 }, both, own_ms, now_ms);
    ck_assert_int_eq(now_ms[1], 200); /* back from idleness with old rows: time does not move back */
    ck_assert_int_eq(own_ms[1], 200); /* and they are late */
    ck_assert_int_eq(event_time_least(&t), 30);
    int64_t passed[] = { 250, 260 };
    event_time_advance(&t, &(batch){ .event_ms = fast, .passed_ms = passed, .upstream = 0 }, both, own_ms, now_ms);
    ck_assert_int_eq(own_ms[0], 250); /* rows that went elsewhere had come before it */
    batch given = { .arena = memory, .event_ms = later, .rows = 2, .upstream = 2 };
    t.max_ms[2] = 25;
    event_time_pass(&t, &given);
    ck_assert_int_eq(given.passed_ms[0], 25);
    ck_assert_int_eq(given.passed_ms[1], 30);
}
END_TEST

START_TEST(time_survives_a_restart)
{
    event_time t;
    change_list changes = { 0 };

    event_time_open(&t, 2, memory);
    event_time_mark(&t, 0, -70, false);
    event_time_mark(&t, 1, -50, false);
    event_time_seal(&t, 9, memory, &changes);
    const epoch e = { state, changes.items, changes.count };
    ck_assert_int_eq(client_commit(writer, &e, 1, NULL, 0, &err), WEIR_OK);
    change_list_free(&changes);
    event_time_open(&t, 2, memory);
    ck_assert_int_eq(event_time_load(&t, state, 9, &err), WEIR_OK);
    ck_assert_int_eq(t.now_ms, -70);
}
END_TEST

/* ---- blocks ---- */

static batch *sample_rows(const schema *s, uint32_t rows, bool windowed)
{
    batch *b = batch_new(memory, s, rows, windowed);

    for (uint32_t r = 0; r < rows; r++) {
        b->event_ms[r] = r * 10 - 5;
        b->kind[r] = r % 4 == 3;
        if (windowed) {
            b->window_start[r] = r;
            b->window_end[r] = r + 7;
        }
        for (uint32_t i = 0; i < s->count; i++) {
            value v = NULL_VALUE;
            if (s->columns[i].type->kind == TYPE_ARRAY) {
                value *items = ARENA_ARRAY(memory, value, 2);
                items[0] = (value){ .i64 = r };
                items[1] = NULL_VALUE;
                v = (value){ .list = { items, 2 } };
            } else if (r % 3 != 0) {
                v = random_value(s->columns[i].type);
            }
            column_set(&b->columns[i], r, &v);
        }
    }
    return b;
}

static void assert_same_rows(const schema *s, const batch *a, row_set rows, const batch *b)
{
    uint32_t at = 0;

    ck_assert_uint_eq(b->rows, rows.count);
    EACH_ROW (r, rows) {
        ck_assert_int_eq(a->event_ms[r], b->event_ms[at]);
        ck_assert_int_eq(a->kind[r], b->kind[at]);
        for (uint32_t i = 0; i < s->count; i++) {
            value x = column_get(&a->columns[i], r), y = column_get(&b->columns[i], at);
            if (i >= s->key_count && a->kind[r] == ROW_TOMBSTONE) x = NULL_VALUE; /* a deletion carries no values */
            ck_assert(value_equal(s->columns[i].type, &x, &y));
        }
        at++;
    }
}

START_TEST(blocks_read_back)
{
    const schema_column columns[] = { { .name = SLICE("K"), .type = &type_string },
                                      { .name = SLICE("N"), .type = &type_bigint },
                                      { .name = SLICE("A"), .type = type_array(memory, &type_bigint) },
                                      { .name = SLICE("D"), .type = &type_double } };
    const schema s = { columns, 1, 4 };

    for (int shape_at = 0; shape_at < 4; shape_at++) {
        const block_shape shape = { &s, shape_at & 1, shape_at & 2 };
        block_writer *w = block_writer_new(&shape, true);
        batch *rows = sample_rows(&s, 50, shape.is_windowed), *read;
        const uint32_t index[] = { 3, 4, 20, 49 };
        const row_set picked = { index, 4 };
        const block_mark mark = { 2, 777, true };
        block_mark found;
        if (shape.has_old) rows->old = sample_rows(&s, 50, shape.is_windowed);
        int64_t passed[50];
        for (int i = 0; i < 50; i++) passed[i] = 100000 + i; /* more than any of their times: must be told */
        block_writer_add(w, rows, (row_set){ index, 1 }, rows->event_ms, INT64_MIN);
        block_writer_add(w, rows, (row_set){ index + 1, 3 }, passed, INT64_MIN);
        slice bytes = block_writer_finish(w, &mark);
        ck_assert(block_read(bytes, &shape, memory, &found, &read));
        ck_assert_int_eq(found.upstream, 2);
        ck_assert_int_eq(found.event_ms, 777);
        ck_assert(found.is_idle);
        ck_assert_int_eq(read->upstream, 2);
        ck_assert_int_eq(read->passed_ms[0], rows->event_ms[3]);
        for (int i = 1; i < 4; i++) ck_assert_int_eq(read->passed_ms[i], passed[index[i]]);
        assert_same_rows(&s, rows, picked, read);
        if (shape.has_old) assert_same_rows(&s, rows->old, picked, &(batch){ .rows = 4, .event_ms = read->event_ms, .kind = read->old->kind, .columns = read->old->columns });
        for (size_t len = 0; len < bytes.len; len++) { /* a cut block is never taken for a whole one */
            ck_assert(!block_read((slice){ bytes.data, len }, &shape, memory, &found, &read));
        }
        block_writer_add(w, rows, (row_set){ index, 1 }, rows->event_ms, rows->event_ms[3]);
        ck_assert(block_read(block_writer_finish(w, &mark), &shape, memory, &found, &read));
        ck_assert_ptr_null(read->passed_ms); /* the running maximum says it */
        slice alone = block_writer_finish(w, &mark); /* nothing was added: a mark */
        ck_assert(block_read(alone, &shape, memory, &found, &read));
        ck_assert_ptr_null(read);
        block_writer_free(w);
    }
}
END_TEST

static void add_tests(TCase *all)
{
    tcase_add_test(all, keys_sort_as_their_columns);
    tcase_add_test(all, keys_read_back);
    tcase_add_test(all, state_table_is_an_array);
    tcase_add_test(all, updates_come_by_last_touch);
    tcase_add_loop_test(all, changes_are_sorted_by_store_and_key, 0, 8);
    tcase_add_test(all, time_is_a_running_maximum);
    tcase_add_test(all, time_is_the_least_of_the_upstreams);
    tcase_add_test(all, time_survives_a_restart);
    tcase_add_test(all, blocks_read_back);
}

int main(void)
{
    return run_tests("executor", add_tests, setup, teardown);
}
