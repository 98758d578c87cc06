/* tests/unit/check_storage_compact.c - compaction of the embedded log's topics against a plain list of all that was ever appended:
 * what is left of it is as it was, in its place, and the newest of each key is left. */
#include "check_storage.h"

#include "core/bytes.h"
#include "storage/local.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#define DAY_MS ((int64_t)24 * 60 * 60 * 1000)

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 20) % bound;
}

static void make_compacted(storage *s, const char *name, int32_t partitions, int64_t retention_ms)
{
    topic_spec spec = { .name = slice_of(name), .partitions = partitions, .retention_ms = retention_ms, .is_compacted = true,
                        .is_also_deleted = retention_ms > 0 };

    MUST(topic_create(s, &spec, &test_error));
}

static void compact_all(storage *s)
{
    for (bool more = true; more;) MUST(storage_compact(s, &more, &test_error));
}

/* ---- what the storage keeps of a partition ---- */

typedef struct stored {
    int64_t begin, end;
    uint64_t bytes, real_bytes; /* as noted; of the blocks */
    uint32_t blocks;
    size_t newest_bytes; /* of the newest block */
    int64_t cleaned_to;
    uint64_t cleaned_bytes;
} stored;

static stored look_at(storage *base, const char *topic, int32_t partition)
{
    local_storage *s = local_of(base);
    local_topic t;
    partition_ends ends;
    stored out = { 0 };
    MDB_txn *txn;
    MDB_cursor *cursor;
    char bytes[LOG_KEY_BYTES];
    MDB_val key = { sizeof bytes, bytes }, data;

    ck_assert_int_eq(lmdb_begin_read(s->env, &txn), 0);
    ck_assert_int_eq(local_find_topic(s, txn, slice_of(topic), &t), 0);
    ck_assert_int_eq(local_get_ends(s, txn, t.id, partition, &ends), 0);
    out.begin = ends.begin;
    out.end = ends.end;
    out.bytes = ends.bytes;
    log_key(bytes, t.id, partition, 0);
    ck_assert_int_eq(mdb_cursor_open(txn, s->env->dbi[DB_LOG], &cursor), 0);
    int code = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
    for (; code == 0 && memcmp(key.mv_data, bytes, 8) == 0; code = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) {
        out.real_bytes += out.newest_bytes = data.mv_size;
        out.blocks++;
    }
    mdb_cursor_close(cursor);
    cleaned_key(bytes, t.id, partition);
    key = (MDB_val){ CLEANED_KEY_BYTES, bytes };
    if (mdb_get(txn, s->env->dbi[DB_OFFSETS], &key, &data) == 0) {
        out.cleaned_to = (int64_t)get_u64(data.mv_data);
        out.cleaned_bytes = get_u64((char *)data.mv_data + 8);
    }
    lmdb_abort(s->env, txn);
    return out;
}

/* The partition's offsets from one on, with the contents as numbers. */
static uint32_t read_numbers(storage *s, const char *topic, int64_t from, int64_t *offset, int64_t *number, uint32_t room)
{
    client *c = open_reader(s, NULL, topic, NULL);
    const fetch *e;
    uint32_t count = 0;

    MUST(client_seek(c, 0, 0, from, &test_error));
    while (poll_client(c, 0, 100, &e) > 0 && e->kind == FETCH_RECORDS) {
        for (uint32_t i = 0; i < e->rows; i++) {
            ck_assert_uint_lt(count, room);
            offset[count] = e->offset[i];
            char digits[16];
            snprintf(digits, sizeof digits, "%.*s", SLICE_ARG(e->value[i]));
            number[count++] = e->value[i].data == NULL ? -1 : atoll(digits);
        }
    }
    client_close(c);
    return count;
}

/* ---- a model ---- */

enum { PARTITIONS = 3, KEYS = 40, NO_KEY = KEYS, RECORDS_MAX = 6000 };

typedef struct entry {
    int key; /* NO_KEY: null */
    bool is_deletion, has_header;
    uint32_t len;
    uint8_t seed;
    int64_t ms, appended_ms;
} entry;

typedef struct model {
    const char *topic;
    int64_t retention_ms;
    entry *entries[PARTITIONS];
    int64_t ends[PARTITIONS];
    client *slow; /* reads a bit now and then, into a table */
    int64_t table[PARTITIONS][KEYS]; /* what it has of each key: an offset, -1: nothing */
} model;

static weir_clock model_clock = { .is_virtual = true };
static int faults_in; /* calls until one fails; negative: none does */
static storage *store;

static int fail_at(void *self, const char *operation)
{
    (void)self, (void)operation;
    return faults_in >= 0 && faults_in-- == 0 ? ENOSPC : 0;
}

static slice entry_key(const entry *e, int32_t partition, char *room)
{
    if (e->key == NO_KEY) return NO_SLICE;
    return (slice){ room, (size_t)snprintf(room, 100, "%.*sk%d-%d", e->key % 5 * 10, "........................................",
                                          (int)partition, e->key) };
}

static slice entry_content(const entry *e, char *room)
{
    if (e->is_deletion) return NO_SLICE;
    for (uint32_t i = 0; i < e->len; i++) room[i] = (char)(e->seed % 3 == 0 ? 'x' : (i * 2654435761u + e->seed) >> 13);
    return (slice){ room, e->len };
}

static const header HEADER = { { "source", 6 }, { "a test", 6 } };

static entry random_entry(const model *m)
{
    static const uint32_t sizes[] = { 0, 1, 20, 100, 100, 200, 3000, 40000, 300000 };
    uint32_t size = random_below(200) == 0 ? 8 : random_below(20) == 0 ? 7 : random_below(7);
    entry e = { .key = random_below(30) == 0 ? NO_KEY : (int)random_below(random_below(2) == 0 ? 4 : KEYS),
                .is_deletion = random_below(8) == 0, .has_header = random_below(12) == 0, .len = sizes[size],
                .seed = (uint8_t)random_below(256), .ms = model_clock.now_ms - random_below(2000), .appended_ms = model_clock.now_ms };

    if (m->retention_ms == 0 && random_below(10) == 0) e.ms = -1000000 + random_below(100); /* event times are as they are */
    return e;
}

static void append_some(model *m)
{
    static char keys[40][100];
    record r[40];
    int32_t where[40];
    entry made[40];
    uint32_t count = 1 + random_below(random_below(4) == 0 ? 40 : 5);
    char *bytes[40];

    for (uint32_t i = 0; i < count; i++) {
        where[i] = (int32_t)random_below(PARTITIONS);
        made[i] = random_entry(m);
        bytes[i] = malloc(made[i].len + 1);
        r[i] = (record){ .key = entry_key(&made[i], where[i], keys[i]), .value = entry_content(&made[i], bytes[i]),
                         .timestamp_ms = made[i].ms };
        if (made[i].has_header) r[i].headers = (header_list){ (header *)&HEADER, 1 };
    }
    if (topic_append(store, slice_of(m->topic), r, where, count, NULL, &test_error) == WEIR_OK) {
        for (uint32_t i = 0; i < count; i++) {
            ck_assert_int_lt(m->ends[where[i]], RECORDS_MAX);
            m->entries[where[i]][m->ends[where[i]]++] = made[i];
        }
    } else {
        ck_assert_int_eq(test_error.act, WEIR_ACT_RETRY);
    }
    for (uint32_t i = 0; i < count; i++) free(bytes[i]);
}

static void check_row(const model *m, const fetch *f, uint32_t i)
{
    static char key[100], content[300001];
    const entry *e = &m->entries[f->partition][f->offset[i]];
    slice k = entry_key(e, f->partition, key), v = entry_content(e, content);

    ck_assert_int_lt(f->offset[i], m->ends[f->partition]);
    ck_assert((k.data == NULL) == (f->key[i].data == NULL) && slice_equal(k, f->key[i]));
    ck_assert((v.data == NULL) == (f->value[i].data == NULL) && slice_equal(v, f->value[i]));
    ck_assert_int_eq(f->timestamp_ms[i], e->ms);
    const header_list *h = f->headers == NULL ? NULL : &f->headers[i];
    ck_assert_int_eq(h == NULL ? 0 : h->count, e->has_header);
    ck_assert(!e->has_header || (slice_equal(h->items[0].key, HEADER.key) && slice_equal(h->items[0].value, HEADER.value)));
}

/* Which offsets of a partition are there. */
static void read_there(const model *m, int32_t partition, int64_t from, bool *there)
{
    client *c = open_reader(store, NULL, m->topic, NULL);
    const fetch *e;
    int64_t last = -1, next = -1;

    for (int32_t p = 0; p < PARTITIONS; p++) MUST(client_pause(c, 0, p, p != partition, &test_error));
    MUST(client_seek(c, 0, partition, from, &test_error));
    memset(there, 0, RECORDS_MAX);
    uint32_t rows_max = 1 + random_below(300);
    while (poll_client(c, 0, rows_max, &e) > 0) {
        next = e->next_offset;
        if (e->kind == FETCH_END) continue;
        ck_assert_int_ge(e->offset[0], from);
        for (uint32_t i = 0; i < e->rows; i++) {
            ck_assert_int_gt(e->offset[i], last);
            last = e->offset[i];
            check_row(m, e, i);
            there[last] = true;
        }
        ck_assert_int_gt(e->next_offset, last);
    }
    ck_assert_int_eq(next, m->ends[partition]);
    client_close(c);
}

/* Whether a record that was the newest of its key must still be there. */
static bool must_stay(const model *m, const entry *e)
{
    if (m->retention_ms > 0 && e->ms < model_clock.now_ms - m->retention_ms) return false;
    return !e->is_deletion || e->key == NO_KEY || model_clock.now_ms - e->appended_ms < DAY_MS;
}

static void check_partition(model *m, int32_t p)
{
    static bool there[RECORDS_MAX], suffix[RECORDS_MAX];
    bool seen[KEYS + 1] = { false };
    stored info = look_at(store, m->topic, p);
    int64_t end = m->ends[p], from = random_below((uint32_t)end + 1);
    int in_cleaned[KEYS + 1] = { 0 };

    ck_assert_int_eq(info.end, end);
    ck_assert_uint_eq(info.bytes, info.real_bytes);
    read_there(m, p, 0, there);
    ck_assert(end == 0 || there[end - 1]);
    for (int64_t at = end - 1; at >= 0; at--) {
        const entry *e = &m->entries[p][at];
        ck_assert(!there[at] || at >= info.begin);
        if (e->key == NO_KEY || !seen[e->key]) ck_assert_msg(there[at] || !must_stay(m, e), "lost: offset %lld", (long long)at);
        seen[e->key] = true;
        if (there[at] && at < info.cleaned_to && e->key != NO_KEY) ck_assert_int_eq(++in_cleaned[e->key], 1);
    }
    read_there(m, p, from, suffix);
    for (int64_t at = 0; at < end; at++) ck_assert(suffix[at] == (there[at] && at >= from));
}

static void read_slowly(model *m, bool to_the_end)
{
    const fetch *e;
    uint32_t count;

    do {
        count = poll_client(m->slow, 0, 1 + random_below(50), &e);
        for (uint32_t i = 0; i < count; i++) {
            for (uint32_t row = 0; e[i].kind == FETCH_RECORDS && row < e[i].rows; row++) {
                check_row(m, &e[i], row);
                const entry *made = &m->entries[e[i].partition][e[i].offset[row]];
                if (made->key != NO_KEY) m->table[e[i].partition][made->key] = made->is_deletion ? -1 : e[i].offset[row];
            }
        }
    } while (to_the_end && count > 0);
}

/* A reader that came to the end has the table that all records make, however it got there. */
static void check_table(model *m)
{
    read_slowly(m, true);
    for (int32_t p = 0; p < PARTITIONS && m->retention_ms == 0; p++) {
        int64_t table[KEYS + 1];
        memset(table, 0xFF, sizeof table);
        for (int64_t at = 0; at < m->ends[p]; at++) {
            const entry *e = &m->entries[p][at];
            table[e->key] = e->is_deletion ? -1 : at;
        }
        for (int k = 0; k < KEYS; k++) ck_assert_int_eq(m->table[p][k], table[k]);
    }
}

/* Limits so small that a pass takes many steps, and several passes are needed for all keys. */
static void open_store(void)
{
    static const uint64_t least[] = { 1, 500, 20000 }, keys[] = { 1, 5, 1000 }, step[] = { 1, 2000, 400000 };

    faults_in = -1;
    store = open_with((local_options){ .durability = DURABLE_META, .clock = &model_clock, .fault = fail_at,
                                       .compact_bytes_min = least[random_below(3)], .compact_keys_max = keys[random_below(3)],
                                       .compact_step_bytes = step[random_below(3)] });
}

static void open_slow(model *m)
{
    m->slow = open_reader(store, NULL, m->topic, NULL);
    memset(m->table, 0xFF, sizeof m->table);
}

static void compact_some(void)
{
    uint32_t steps = random_below(3) == 0 ? 100000 : random_below(40);
    bool more = true;

    if (random_below(3) == 0) faults_in = (int)random_below(20);
    for (uint32_t i = 0; i < steps && more; i++) {
        if (storage_compact(store, &more, &test_error) != WEIR_OK) ck_assert_int_eq(test_error.act, WEIR_ACT_RETRY);
    }
    faults_in = -1;
}

static void one_step(model *models, uint32_t count)
{
    model *m = &models[random_below(count)];

    model_clock.now_ms += random_below(3000);
    switch (random_below(16)) {
    case 0: case 1: case 2: case 3: case 4: case 5:
        for (uint32_t i = 1 + random_below(10); i > 0; i--) append_some(m);
        break;
    case 6:
        faults_in = (int)random_below(4);
        append_some(m);
        faults_in = -1;
        break;
    case 7: case 8: case 9: compact_some(); break;
    case 10: case 11: read_slowly(m, false); break;
    case 12: check_partition(m, (int32_t)random_below(PARTITIONS)); break;
    case 13: check_table(m); break;
    case 14: /* a day later: whoever is to learn of deletions has */
        for (uint32_t i = 0; i < count; i++) check_table(&models[i]);
        model_clock.now_ms += DAY_MS;
        break;
    case 15:
        for (uint32_t i = 0; i < count; i++) client_close(models[i].slow);
        storage_close(store);
        open_store();
        for (uint32_t i = 0; i < count; i++) open_slow(&models[i]);
        break;
    }
}

START_TEST(what_is_left_is_what_a_table_needs)
{
    model models[] = { { .topic = "kept" }, { .topic = "retained", .retention_ms = 20000 } };

    random_state = 88172645463325252u + (uint64_t)_i * 7919;
    model_clock.now_ms = 1700000000000;
    open_store();
    for (uint32_t i = 0; i < 2; i++) {
        make_compacted(store, models[i].topic, PARTITIONS, models[i].retention_ms);
        for (int32_t p = 0; p < PARTITIONS; p++) models[i].entries[p] = malloc(RECORDS_MAX * sizeof(entry));
        open_slow(&models[i]);
    }
    for (int step = 0; step < 300; step++) one_step(models, 2);
    compact_all(store);
    for (uint32_t i = 0; i < 2; i++) {
        for (int32_t p = 0; p < PARTITIONS; p++) check_partition(&models[i], p);
        check_table(&models[i]);
        client_close(models[i].slow);
        for (int32_t p = 0; p < PARTITIONS; p++) free(models[i].entries[p]);
    }
    storage_close(store);
}
END_TEST

/* ---- single rules ---- */

static storage *open_unsynced(local_options options)
{
    options.is_temporary = true;
    options.durability = DURABLE_NONE;
    return open_with(options);
}

static storage *open_small(const weir_clock *clock)
{
    return open_unsynced((local_options){ .compact_bytes_min = 1, .clock = clock });
}

static void append_number(storage *s, const char *topic, const char *key, int number)
{
    char content[16];

    snprintf(content, sizeof content, "%d", number);
    append_one(s, topic, key, content, number);
}

START_TEST(few_keys_become_few_records)
{
    static const uint64_t step_bytes[] = { 0, 1000, 50000 };
    storage *s = open_unsynced((local_options){ .compact_bytes_min = 1, .compact_step_bytes = step_bytes[_i] });
    int64_t offset[16], number[16];

    make_compacted(s, "t", 1, 0);
    make_topic(s, "whole", 1);
    for (int i = 0; i < 3000; i++) {
        append_number(s, "t", i % 3 == 0 ? "a" : i % 3 == 1 ? "b" : "c", i);
        if (i < 10) append_number(s, "whole", "a", i);
    }
    stored before = look_at(s, "t", 0);
    ck_assert_uint_eq(before.blocks, 3000);
    compact_all(s);
    stored after = look_at(s, "t", 0);
    ck_assert_uint_eq(after.blocks, 2); /* the newest, and one of what is left of the others */
    ck_assert_uint_eq(after.bytes, after.real_bytes);
    ck_assert_uint_eq(after.cleaned_bytes, after.bytes - after.newest_bytes);
    ck_assert_uint_lt(after.bytes, 400);
    ck_assert_int_eq(after.begin, 0);
    ck_assert_int_eq(after.end, 3000);
    ck_assert_int_eq(after.cleaned_to, 2999);
    /* Of c there are two: the newest block was not looked at. */
    static const int64_t wanted[] = { 2996, 2997, 2998, 2999 };
    for (int64_t from = 0; from < 3000; from += from < 2990 ? 100 : 1) {
        uint32_t count = read_numbers(s, "t", from, offset, number, 16), first = 0;
        while (wanted[first] < from) first++;
        ck_assert_uint_eq(count, 4 - first);
        for (uint32_t i = 0; i < count; i++) ck_assert(offset[i] == wanted[first + i] && number[i] == wanted[first + i]);
    }
    ck_assert_uint_eq(look_at(s, "whole", 0).blocks, 10);
    storage_close(s);
}
END_TEST

START_TEST(a_deletion_stays_a_day_after_it_was_passed)
{
    weir_clock clock = { .is_virtual = true, .now_ms = 100 * DAY_MS };
    storage *s = open_small(&clock);
    int64_t offset[16], number[16];

    make_compacted(s, "t", 1, 0);
    append_one(s, "t", "a", "1", 1); /* times of 1970: they do not count */
    append_one(s, "t", "b", "2", 2);
    append_one(s, "t", "a", NULL, 3);
    for (int i = 3; i < 20; i++) append_number(s, "t", "b", i);
    clock.now_ms += 5 * DAY_MS; /* nobody passed it yet */
    compact_all(s);
    ck_assert_uint_eq(read_numbers(s, "t", 0, offset, number, 16), 3);
    ck_assert(offset[0] == 2 && number[0] == -1);
    for (int i = 20; i < 40; i++) append_number(s, "t", "b", i);
    clock.now_ms += DAY_MS - 1;
    compact_all(s);
    ck_assert_uint_eq(read_numbers(s, "t", 0, offset, number, 16), 3);
    ck_assert(offset[0] == 2 && offset[1] == 38 && offset[2] == 39);
    for (int i = 40; i < 60; i++) append_number(s, "t", "b", i);
    clock.now_ms += 1;
    compact_all(s);
    ck_assert_uint_eq(read_numbers(s, "t", 0, offset, number, 16), 2);
    ck_assert(offset[0] == 58 && offset[1] == 59);
    storage_close(s);
}
END_TEST

START_TEST(only_what_is_also_deleted_has_a_retention)
{
    weir_clock clock = { .is_virtual = true, .now_ms = 0 };
    storage *s = open_small(&clock);
    topic_spec spec = { .name = SLICE("t"), .partitions = 1, .retention_ms = 10, .retention_bytes = 10, .is_compacted = true };

    MUST(topic_create(s, &spec, &test_error));
    make_compacted(s, "d", 1, 10);
    for (int i = 0; i < 5; i++) {
        append_number(s, "t", "k", i);
        append_number(s, "d", "k", i);
        clock.now_ms += 1000;
    }
    ck_assert_uint_eq(look_at(s, "t", 0).blocks, 5);
    ck_assert_uint_eq(look_at(s, "d", 0).blocks, 1);
    storage_close(s);
}
END_TEST

START_TEST(a_topic_deleted_in_the_midst_is_let_go)
{
    for (int steps = 1; steps < 8; steps++) {
        storage *s = open_unsynced((local_options){ .compact_bytes_min = 1, .compact_step_bytes = 300 });
        char name[16];
        bool more = true;
        snprintf(name, sizeof name, "t%d", steps);
        make_compacted(s, name, 2, 0);
        make_compacted(s, "z", 1, 0);
        for (int i = 0; i < 20; i++) append_number(s, name, "k", i);
        for (int i = 0; i < 20; i++) append_number(s, "z", "k", i);
        for (int i = 0; i < steps && more; i++) MUST(storage_compact(s, &more, &test_error));
        MUST(topic_delete(s, slice_of(name), &test_error));
        make_compacted(s, name, 2, 0);
        for (int i = 0; i < 20; i++) append_number(s, name, "k", i);
        compact_all(s);
        ck_assert_uint_eq(look_at(s, "z", 0).blocks, 2);
        MUST(topic_delete(s, SLICE("z"), &test_error));
        storage_close(s);
    }
}
END_TEST

enum { LARGE = 100000, MUCH = 1000 };

/* Two large records in a block: one whose key comes once, and one that the next block replaces. */
static void *append_much(void *argument)
{
    static char content[2][LARGE];
    char key[16];

    for (int n = 0; n < MUCH; n += 2) {
        for (int i = 0; i < 2; i++) {
            for (size_t at = 0; at < LARGE; at++) content[i][at] = (char)('a' + random_below(26));
            content[i][snprintf(content[i], 16, "%d", n + i)] = ' ';
        }
        record r[2] = { { .key = SLICE("same"), .value = { content[0], LARGE } },
                        { .key = { key, (size_t)snprintf(key, sizeof key, "%d", n) }, .value = { content[1], LARGE } } };
        MUST(topic_append(argument, SLICE("t"), r, NULL, 2, NULL, &test_error));
    }
    return NULL;
}

/* Blocks are dropped at the front while they are being rewritten. */
START_TEST(retention_meanwhile_does_no_harm)
{
    storage *s = open_unsynced((local_options){ .compact_bytes_min = 1000 });
    topic_spec spec = { .name = SLICE("t"), .partitions = 1, .retention_bytes = 30 * LARGE, .is_compacted = true,
                        .is_also_deleted = true };
    static int64_t offset[MUCH], number[MUCH];
    pthread_t other;

    MUST(topic_create(s, &spec, &test_error));
    ck_assert_int_eq(pthread_create(&other, NULL, append_much, s), 0);
    while (end_of(s, "t", 0) < MUCH) compact_all(s);
    pthread_join(other, NULL);
    compact_all(s);
    stored info = look_at(s, "t", 0);
    ck_assert_uint_eq(info.bytes, info.real_bytes);
    uint32_t count = read_numbers(s, "t", 0, offset, number, MUCH);
    ck_assert_uint_ge(count, 10);
    for (uint32_t i = 0; i < count; i++) ck_assert(offset[i] == number[i] && offset[i] >= info.begin);
    for (uint32_t i = 1; i <= 10; i++) ck_assert(offset[count - i] >= MUCH - 20); /* not only the last ones */
    ck_assert(offset[count - 1] == MUCH - 1 && offset[count - 2] == MUCH - 2);
    storage_close(s);
}
END_TEST

START_TEST(an_older_weir_is_kept_from_blocks_with_gaps)
{
    storage *s = open_small(NULL);

    set_format(s, 1);
    make_compacted(s, "t", 1, 0);
    for (int i = 0; i < 20; i++) append_number(s, "t", "k", i);
    compact_all(s);
    ck_assert_uint_eq(stored_format(s), LOCAL_FORMAT);
    storage_close(s);
}
END_TEST

/* ---- what fails and what is killed ---- */

/* In one block: records whose numbers are their offsets, of ten keys, later of one. */
static void append_six(storage *s, int first)
{
    record r[6];
    char keys[6][8], numbers[6][8];

    for (int i = 0, n = first; i < 6; i++, n++) {
        int key_len = snprintf(keys[i], sizeof keys[i], "%d", n % 10 * (n < 200));
        int len = snprintf(numbers[i], sizeof numbers[i], "%d", n);
        r[i] = (record){ .key = { keys[i], (size_t)key_len }, .value = { numbers[i], (size_t)len } };
    }
    MUST(topic_append(s, SLICE("t"), r, NULL, 6, NULL, &test_error));
}

START_TEST(a_write_that_fails_loses_nothing)
{
    static int64_t offset[300], number[300];
    bool failed = true;

    for (int at = 0; failed; at++) {
        remove_test_dir();
        make_test_dir();
        storage *s = open_with((local_options){ .durability = DURABLE_META, .compact_bytes_min = 1, .compact_keys_max = 3,
                                                .compact_step_bytes = 600, .fault = fail_at });
        faults_in = -1;
        make_compacted(s, "t", 1, 0);
        for (int i = 0; i < 300; i += 6) append_six(s, i);
        faults_in = at;
        failed = false;
        for (bool more = true; more && !failed;) failed = storage_compact(s, &more, &test_error) != WEIR_OK;
        faults_in = -1;
        if (at % 2 == 0) {
            storage_close(s);
            s = open_with((local_options){ .durability = DURABLE_META, .compact_bytes_min = 1 });
        }
        for (int again = 0; again < 2; again++) {
            int64_t newest[10] = { 0 };
            uint32_t count = read_numbers(s, "t", 0, offset, number, 300);
            for (uint32_t i = 0; i < count; i++) {
                ck_assert(offset[i] == number[i] && (i == 0 || offset[i] > offset[i - 1]));
                newest[number[i] % 10 * (number[i] < 200)] = number[i];
            }
            ck_assert_int_eq(newest[0], 299);
            for (int k = 1; k < 10; k++) ck_assert_int_eq(newest[k], 190 + k);
            stored info = look_at(s, "t", 0);
            ck_assert_uint_eq(info.bytes, info.real_bytes);
            compact_all(s);
        }
        ck_assert_uint_le(read_numbers(s, "t", 0, offset, number, 300), 10 + 6);
        storage_close(s);
        ck_assert(at < 1000 && (at > 10 || failed));
    }
}
END_TEST

/* Record i has offset i and the key i % 7. */
START_TEST(a_killed_process_loses_nothing)
{
    static int64_t offset[200000], number[200000];
    storage *s = open_here();
    int64_t gone = 0;

    make_compacted(s, "t", 1, 0);
    storage_close(s);
    for (int round = 0; round < 25; round++) {
        pid_t child = fork();
        if (child == 0) {
            s = open_with((local_options){ .durability = DURABLE_META, .compact_bytes_min = 2000, .compact_step_bytes = 3000 });
            for (int64_t at = end_of(s, "t", 0);; at++) {
                char key[2] = { (char)('a' + at % 7) };
                append_number(s, "t", key, (int)at);
                bool more;
                MUST(storage_compact(s, &more, &test_error));
            }
        }
        nanosleep(&(struct timespec){ 0, (10 + round * 7 % 40) * 1000000 }, NULL);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        s = open_here();
        int64_t end = end_of(s, "t", 0), newest[7] = { 0 };
        uint32_t count = read_numbers(s, "t", 0, offset, number, 200000);
        for (uint32_t i = 0; i < count; i++) {
            ck_assert(offset[i] == number[i] && (i == 0 || offset[i] > offset[i - 1]));
            newest[number[i] % 7] = number[i];
        }
        for (int64_t i = end < 7 ? 0 : end - 7; i < end; i++) ck_assert_int_eq(newest[i % 7], i);
        stored info = look_at(s, "t", 0);
        ck_assert_uint_eq(info.bytes, info.real_bytes);
        gone = end - count;
        storage_close(s);
    }
    ck_assert_int_gt(gone, 0);
}
END_TEST

static void add_tests(TCase *all)
{
    tcase_add_loop_test(all, what_is_left_is_what_a_table_needs, 0, 6);
    tcase_add_loop_test(all, few_keys_become_few_records, 0, 3);
    tcase_add_test(all, a_deletion_stays_a_day_after_it_was_passed);
    tcase_add_test(all, only_what_is_also_deleted_has_a_retention);
    tcase_add_test(all, a_topic_deleted_in_the_midst_is_let_go);
    tcase_add_test(all, retention_meanwhile_does_no_harm);
    tcase_add_test(all, an_older_weir_is_kept_from_blocks_with_gaps);
    tcase_add_test(all, a_write_that_fails_loses_nothing);
    tcase_add_test(all, a_killed_process_loses_nothing);
}

int main(void)
{
    return run_tests("storage_compact", add_tests, make_test_dir, remove_test_dir);
}
