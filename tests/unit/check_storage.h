/* tests/unit/check_storage.h - what the storage tests share: a data directory of their own, and short forms of calls that
 * must succeed. */
#ifndef WEIR_TESTS_CHECK_STORAGE_H
#define WEIR_TESTS_CHECK_STORAGE_H

#include "storage/local.h"
#include "storage/storage.h"

#include "tests/unit/run_tests.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char test_dir[64];
static weir_error test_error;
static const weir_clock test_clock = { 0 };

/* Not ck_assert_msg(): that tells the runner of each check that holds, and some of these hold a million times. */
#define MUST(call) ((call) == WEIR_OK ? (void)0 : ck_abort_msg("%s: %s", #call, test_error.message))
/* Fails with this class and a message that has this in it. */
#define MUST_FAIL(call, class, part)                                                                        \
    do {                                                                                                    \
        memset(&test_error, 0, sizeof test_error);                                                          \
        ck_assert_msg((call) == (class), "%s: %s %s", #call, weir_rc_name(test_error.rc), test_error.message); \
        ck_assert_msg(strstr(test_error.message, part) != NULL, "%s: %s", #call, test_error.message);       \
    } while (0)

static inline void make_test_dir(void)
{
    snprintf(test_dir, sizeof test_dir, "/tmp/check_storage.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(test_dir));
}

static inline int remove_entry(const char *path, const struct stat *entry, int kind, struct FTW *walk)
{
    (void)entry, (void)kind, (void)walk;
    return remove(path);
}

static inline void remove_test_dir(void)
{
    nftw(test_dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static inline storage *open_with(local_options options)
{
    storage *s = NULL;

    if (options.clock == NULL) options.clock = &test_clock;
    MUST(storage_open_local(&s, slice_of(test_dir), &options, &test_error));
    return s;
}

/* Not synced to the platter at every commit where that does not matter to the test. */
static inline storage *open_here(void)
{
    return open_with((local_options){ .durability = DURABLE_META });
}

static inline void make_topic(storage *s, const char *name, int32_t partitions)
{
    topic_spec spec = { .name = slice_of(name), .partitions = partitions, .replicas = 1 };

    MUST(topic_create(s, &spec, &test_error));
}

static inline void append_one(storage *s, const char *topic, const char *key, const char *content, int64_t ms)
{
    record r = { .key = slice_of(key), .value = slice_of(content), .timestamp_ms = ms };

    MUST(topic_append(s, slice_of(topic), &r, NULL, 1, NULL, &test_error));
}

/* A client of one source and one sink; either may be NULL. */
static inline client *open_client(storage *s, const char *name, const char *from, const char *to)
{
    client *c = NULL;
    client_source source = { slice_of(from), START_EARLIEST, false };
    slice sink = slice_of(to);
    client_spec spec = { .name = slice_of(name),
                         .is_transient = name == NULL,
                         .sources = &source,
                         .source_count = from != NULL,
                         .sinks = &sink,
                         .sink_count = to != NULL,
                         .instances = 1 };

    MUST(client_open(&c, s, &spec, &test_error));
    return c;
}

static inline uint32_t poll_client(client *c, int timeout_ms, uint32_t rows_max, const fetch **events)
{
    uint32_t count;

    MUST(client_poll(c, timeout_ms, rows_max, events, &count, &test_error));
    return count;
}

/* As open_client, past the report of the assignment. */
static inline client *open_reader(storage *s, const char *name, const char *from, const char *to)
{
    client *c = open_client(s, name, from, to);
    const fetch *e;

    ck_assert_uint_eq(poll_client(c, 0, 1, &e), 1);
    ck_assert_int_eq(e->kind, FETCH_ASSIGNED);
    return c;
}

static inline int64_t end_of(storage *s, const char *topic, int32_t partition)
{
    int64_t begin, end;

    MUST(topic_offsets(s, slice_of(topic), partition, &begin, &end, &test_error));
    return end;
}

static inline int64_t begin_of(storage *s, const char *topic, int32_t partition)
{
    int64_t begin, end;

    MUST(topic_offsets(s, slice_of(topic), partition, &begin, &end, &test_error));
    return begin;
}

static inline void produce_one(client *c, slice key, slice content, int32_t partition)
{
    int64_t ms = 7;
    output out = { .rows = 1, .key = &key, .value = &content, .timestamp_ms = &ms, .partition = &partition };

    MUST(client_produce(c, &out, &test_error));
}

static inline task_state *open_state(client *c, const char *name, int32_t partition)
{
    task_state *t = NULL;
    state_spec spec = { .name = slice_of(name), .partition = partition, .partitions = 4, .layout = SLICE("v1") };

    MUST(task_state_open(&t, c, &spec, &test_error));
    return t;
}

static inline void put_state(client *c, task_state *t, uint16_t store, slice key, slice content)
{
    state_change change = { store, key, content };
    epoch e = { t, &change, 1 };

    MUST(client_commit(c, &e, 1, NULL, 0, &test_error));
}

static inline bool get_state(task_state *t, uint16_t store, slice key, slice *content)
{
    bool found;

    MUST(task_state_get(t, store, key, content, &found, &test_error));
    return found;
}

/* ---- the number of the format that a data directory has ---- */

static inline int put_format(local_storage *s, MDB_txn *txn, void *number)
{
    MDB_val key = { 6, "format" }, data = { 4, number };

    return mdb_put(txn, s->env->dbi[DB_META], &key, &data, 0);
}

static inline void set_format(storage *s, uint32_t format)
{
    char number[4];

    put_u32(number, format);
    MUST(local_update(local_of(s), "pretend", put_format, number, &test_error));
}

static inline uint32_t stored_format(storage *s)
{
    MDB_val key = { 6, "format" }, data;
    MDB_txn *txn;

    ck_assert_int_eq(lmdb_begin_read(local_of(s)->env, &txn), 0);
    ck_assert_int_eq(mdb_get(txn, local_of(s)->env->dbi[DB_META], &key, &data), 0);
    uint32_t format = get_u32(data.mv_data);
    lmdb_abort(local_of(s)->env, txn);
    return format;
}

#endif
