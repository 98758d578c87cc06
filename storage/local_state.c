/* storage/local_state.c - tasks' state in the embedded log, and readers' snapshots of it. */
#include "storage/local.h"
#include "storage/state_runs.h"

#include "core/bytes.h"

#include <errno.h>
#include <stdlib.h>

#define SIZE_KEY_BYTES 9

typedef struct local_state {
    task_state base;
    client *client;
    uint32_t id;
    int32_t partition;
    state_space space;
    run_memory memory;
} local_state;

static local_state *state_of(task_state *t) { return (local_state *)t; }

static state_space space_of(local_storage *s, uint32_t id, int32_t partition)
{
    state_space space = { .dbi = s->env->dbi[DB_STATE], .env = s->env, .prefix_len = 8 };

    put_u32(space.prefix, id);
    put_u32(space.prefix + 4, (uint32_t)partition);
    return space;
}

/* ---- opening ---- */

typedef struct naming {
    slice name, layout;
    uint32_t id;
    bool is_other_layout;
} naming;

/* MDB_NOTFOUND: no state of that name. */
static int find_name(local_storage *s, MDB_txn *txn, naming *n)
{
    MDB_val data;
    int code = local_get_name(s, txn, 's', n->name, &data);

    if (code != 0) return code;
    slice stored = lmdb_slice(data);
    if (stored.len < 4) return MDB_CORRUPTED;
    n->id = get_u32(stored.data);
    n->is_other_layout = !slice_equal((slice){ stored.data + 4, stored.len - 4 }, n->layout);
    return 0;
}

static int find_or_put_name(local_storage *s, MDB_txn *txn, void *argument)
{
    naming *n = argument;
    text content = TEXT_EMPTY;
    int code = find_name(s, txn, n);

    if (code != MDB_NOTFOUND || (code = local_next_id(s, txn, &n->id)) != 0) return code;
    text_add_u32(&content, n->id);
    text_add(&content, n->layout);
    code = local_put_name(s, txn, 's', n->name, text_slice(&content));
    text_free(&content);
    return code;
}

static weir_rc find_state_id(local_storage *s, const state_spec *spec, uint32_t *id, weir_error *err)
{
    naming n = { .name = spec->name, .layout = spec->layout };
    MDB_txn *txn;

    if (spec->name.len == 0 || spec->name.len > 500) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "a state's name has from 1 to 500 bytes, not %zu", spec->name.len);
    }
    int code = lmdb_begin_read(s->env, &txn);
    if (code == 0) {
        code = find_name(s, txn, &n);
        lmdb_abort(s->env, txn);
    }
    if (code == MDB_NOTFOUND) {
        WEIR_TRY(local_update(s, "make a query's state", find_or_put_name, &n, err));
    } else if (code != 0) {
        return lmdb_fail(s->env, code, "open a query's state", err);
    }
    *id = n.id;
    if (!n.is_other_layout) return WEIR_OK;
    slice query = spec->name;
    const char *slash = memchr(query.data, '/', query.len);
    if (slash != NULL) query.len = (size_t)(slash - query.data);
    return weir_fail(err, WEIR_STORAGE, NOWHERE,
                     "the state of %.*s in %s has another layout than this query needs: drop and create query %.*s again, "
                     "which rebuilds it from its sources, or go back to the version that wrote it",
                     SLICE_ARG(spec->name), s->env->dir, SLICE_ARG(query));
}

weir_rc local_task_state_open(task_state **out, client *c, const state_spec *spec, weir_error *err)
{
    local_storage *s = local_client_storage(c);
    uint32_t id = 0;

    WEIR_TRY(find_state_id(s, spec, &id, err));
    local_state *t = calloc(1, sizeof *t);
    if (t == NULL) return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory to open state %.*s", SLICE_ARG(spec->name));
    *t = (local_state){ .base.class = &local_storage_class,
                        .client = c,
                        .id = id,
                        .partition = spec->partition,
                        .space = space_of(s, id, spec->partition) };
    t->space.memory = &t->memory;
    *out = &t->base;
    return WEIR_OK;
}

void local_task_state_close(task_state *t)
{
    run_memory_free(&state_of(t)->memory);
    free(t);
}

/* ---- reading ---- */

weir_rc local_task_state_get(task_state *base, uint16_t store, slice key, slice *content, bool *found, weir_error *err)
{
    local_state *t = state_of(base);
    MDB_txn *txn;

    WEIR_TRY(local_client_state_txn(t->client, &txn, err));
    int code = state_lmdb_get(txn, &t->space, store, key, content, found);
    return code == 0 ? WEIR_OK : lmdb_fail(local_client_storage(t->client)->env, code, "read state", err);
}

weir_rc local_task_state_get_all(task_state *base, uint16_t store, const slice *keys, const uint64_t *hashes, uint32_t count,
                                 arena *memory, slice *values, weir_error *err)
{
    local_state *t = state_of(base);
    MDB_txn *txn;

    WEIR_TRY(local_client_state_txn(t->client, &txn, err));
    int code = state_lmdb_get_all(txn, &t->space, store, keys, hashes, count, memory, values);
    return code == 0 ? WEIR_OK : lmdb_fail(local_client_storage(t->client)->env, code, "read state", err);
}

weir_rc local_task_state_scan(task_state *base, uint16_t store, slice from, slice to, state_cursor **out, weir_error *err)
{
    local_state *t = state_of(base);
    MDB_txn *txn;

    WEIR_TRY(local_client_state_txn(t->client, &txn, err));
    return state_lmdb_scan(out, local_client_storage(t->client)->env, txn, &t->space, store, from, to, NULL, NULL, err);
}

/* ---- size ---- */

static int get_size(local_storage *s, MDB_txn *txn, const local_state *t, uint64_t size[2])
{
    char bytes[SIZE_KEY_BYTES] = { 'z' };
    MDB_val key = { sizeof bytes, bytes }, data;

    memcpy(bytes + 1, t->space.prefix, 8);
    int code = mdb_get(txn, s->env->dbi[DB_OFFSETS], &key, &data);
    if (code == 0 && data.mv_size != 16) return MDB_CORRUPTED;
    size[0] = code == 0 ? get_u64(data.mv_data) : 0;
    size[1] = code == 0 ? get_u64((char *)data.mv_data + 8) : 0;
    return code == MDB_NOTFOUND ? 0 : code;
}

weir_rc local_task_state_size(task_state *base, uint64_t *bytes, uint64_t *entries, weir_error *err)
{
    local_state *t = state_of(base);
    local_storage *s = local_client_storage(t->client);
    uint64_t size[2];
    MDB_txn *txn;

    WEIR_TRY(local_client_state_txn(t->client, &txn, err));
    int code = get_size(s, txn, t, size);
    *entries = size[0];
    *bytes = size[1];
    return code == 0 ? WEIR_OK : lmdb_fail(s->env, code, "read state", err);
}

int local_task_state_apply(local_storage *s, MDB_txn *txn, const epoch *e)
{
    const local_state *t = (const local_state *)e->state;
    state_growth growth = { 0, 0 };
    uint64_t size[2];
    char bytes[SIZE_KEY_BYTES] = { 'z' }, numbers[16];
    MDB_val key = { sizeof bytes, bytes }, data = { sizeof numbers, numbers };

    if (t == NULL || e->change_count == 0) return 0;
    int code = state_lmdb_apply(txn, &t->space, e->changes, e->change_count, &growth);
    if (code != 0 || (growth.entries == 0 && growth.bytes == 0)) return code;
    if ((code = get_size(s, txn, t, size)) != 0) return code;
    put_u64(numbers, size[0] + (uint64_t)growth.entries);
    put_u64(numbers + 8, size[1] + (uint64_t)growth.bytes);
    memcpy(bytes + 1, t->space.prefix, 8);
    return mdb_put(txn, s->env->dbi[DB_OFFSETS], &key, &data, 0);
}

/* ---- dropping ---- */

/* The first of the query's states, as meta names them; MDB_NOTFOUND: there is none. */
static int find_state(MDB_cursor *cursor, slice query, MDB_val *data)
{
    text start = TEXT_EMPTY;

    text_add_char(&start, 's');
    text_add(&start, query);
    text_add_char(&start, '/');
    MDB_val key = lmdb_val(text_slice(&start));
    int code = mdb_cursor_get(cursor, &key, data, MDB_SET_RANGE);
    while (code == 0 && !storage_is_state_of((slice){ (char *)key.mv_data + 1, key.mv_size - 1 }, query, '/')) {
        bool begins_so = key.mv_size > start.len && memcmp(key.mv_data, start.data, start.len) == 0;
        code = begins_so ? mdb_cursor_get(cursor, &key, data, MDB_NEXT) : MDB_NOTFOUND;
    }
    text_free(&start);
    return code;
}

/* The names go first, so that a query made again at once starts empty. */
static int forget_query(local_storage *s, MDB_txn *txn, void *argument)
{
    slice query = *(slice *)argument;
    MDB_cursor *cursor;
    MDB_val data;
    int code = local_get_name(s, txn, 'q', query, &data);

    if (code == 0) {
        uint32_t id = get_u32(data.mv_data);
        code = local_del_name(s, txn, 'q', query);
        if (code == 0) code = local_discard(s, txn, 'q', id);
    }
    if (code != 0 && code != MDB_NOTFOUND) return code;
    if ((code = mdb_cursor_open(txn, s->env->dbi[DB_META], &cursor)) != 0) return code;
    while ((code = find_state(cursor, query, &data)) == 0) { /* from the start again after each: discarding writes to the same database */
        uint32_t id = get_u32(data.mv_data);
        if ((code = mdb_cursor_del(cursor, 0)) != 0 || (code = local_discard(s, txn, 's', id)) != 0) break;
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? 0 : code;
}

weir_rc local_drop_query(storage *base, slice query, weir_error *err)
{
    local_storage *s = local_of(base);

    WEIR_TRY(local_update(s, "drop a query's state", forget_query, &query, err));
    return local_collect(s, err);
}

/* Its positions' name, or one of a state. */
static int has_query(local_storage *s, MDB_txn *txn, slice query, bool *has)
{
    MDB_cursor *cursor;
    MDB_val data;
    int code = local_get_name(s, txn, 'q', query, &data);

    if (code == MDB_NOTFOUND && (code = mdb_cursor_open(txn, s->env->dbi[DB_META], &cursor)) == 0) {
        code = find_state(cursor, query, &data);
        mdb_cursor_close(cursor);
    }
    *has = code == 0;
    return code == MDB_NOTFOUND ? 0 : code;
}

/* Is anything dropped and not yet deleted? */
static int has_dropped(local_storage *s, MDB_txn *txn, bool *has)
{
    MDB_cursor *cursor;
    MDB_val key = { 1, "x" }, data;
    int code = mdb_cursor_open(txn, s->env->dbi[DB_META], &cursor);

    if (code != 0) return code;
    code = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
    *has = code == 0 && *(const char *)key.mv_data == 'x';
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? 0 : code;
}

weir_rc local_tidy(storage *base, const slice *queries, uint32_t count, bool *is_left, weir_error *err)
{
    local_storage *s = local_of(base);
    bool has_garbage = false;
    MDB_txn *txn;
    int code = lmdb_begin_read(s->env, &txn);

    if (code == 0) {
        for (uint32_t i = 0; code == 0 && i < count; i++) code = has_query(s, txn, queries[i], &is_left[i]);
        if (code == 0) code = has_dropped(s, txn, &has_garbage);
        lmdb_abort(s->env, txn);
    }
    if (code != 0) return lmdb_fail(s->env, code, "look for the state of dropped queries", err);
    return has_garbage ? local_collect(s, err) : WEIR_OK;
}

/* ---- snapshots ---- */

typedef struct local_snapshot {
    snapshot base;
    local_storage *storage;
    lmdb_reader reader;
    text name;   /* of the state, until it is found */
    uint32_t id; /* 0: no such state, up to now */
    int32_t *partitions;
    uint32_t partition_count, partition_room;
    bool was_resumed; /* since the partitions were found */
} local_snapshot;

static local_snapshot *snapshot_of(snapshot *snap) { return (local_snapshot *)snap; }

/* Skips from partition to partition. */
static int find_partitions(local_snapshot *snap)
{
    MDB_cursor *cursor;
    char bytes[8];

    if (snap->id == 0) return 0;
    int code = mdb_cursor_open(snap->reader.txn, snap->storage->env->dbi[DB_STATE], &cursor);
    if (code != 0) return code;
    for (uint32_t next = 0;; next++) {
        put_u32(bytes, snap->id);
        put_u32(bytes + 4, next);
        MDB_val key = { sizeof bytes, bytes }, data;
        code = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
        if (code != 0 || key.mv_size < 8 || memcmp(key.mv_data, bytes, 4) != 0) break;
        next = get_u32((char *)key.mv_data + 4);
        if (snap->partition_count == snap->partition_room) {
            uint32_t room = snap->partition_room == 0 ? 16 : 2 * snap->partition_room;
            int32_t *more = realloc(snap->partitions, room * sizeof *more);
            if (more == NULL) {
                code = ENOMEM;
                break;
            }
            snap->partitions = more;
            snap->partition_room = room;
        }
        snap->partitions[snap->partition_count++] = (int32_t)next;
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? 0 : code;
}

/* The state may come to be after the first look for it: with the query's first epoch. */
static int begin_snapshot(local_snapshot *snap)
{
    naming n = { .name = text_slice(&snap->name) };
    int code = lmdb_reader_begin(snap->storage->env, &snap->reader);

    if (code != 0 || snap->id != 0) return code;
    code = find_name(snap->storage, snap->reader.txn, &n);
    if (code == 0) snap->id = n.id;
    if (code != 0 && code != MDB_NOTFOUND) lmdb_reader_rest(snap->storage->env, &snap->reader);
    return code == MDB_NOTFOUND ? 0 : code;
}

weir_rc local_snapshot_open(snapshot **out, storage *base, slice state_name, weir_error *err)
{
    local_snapshot *snap = calloc(1, sizeof *snap);
    int code = ENOMEM;

    if (snap != NULL) {
        snap->base.class = &local_storage_class;
        snap->storage = local_of(base);
        text_add(&snap->name, state_name);
        code = begin_snapshot(snap);
    }
    if (code == 0) code = find_partitions(snap);
    if (code != 0) {
        if (snap != NULL) local_snapshot_close(&snap->base);
        return lmdb_fail(local_of(base)->env, code, "read a query's state", err);
    }
    *out = &snap->base;
    return WEIR_OK;
}

void local_snapshot_close(snapshot *base)
{
    local_snapshot *snap = snapshot_of(base);

    lmdb_reader_end(snap->storage->env, &snap->reader);
    text_free(&snap->name);
    free(snap->partitions);
    free(snap);
}

void local_snapshot_pause(snapshot *base)
{
    local_snapshot *snap = snapshot_of(base);

    lmdb_reader_rest(snap->storage->env, &snap->reader);
}

weir_rc local_snapshot_resume(snapshot *base, weir_error *err)
{
    local_snapshot *snap = snapshot_of(base);
    int code = begin_snapshot(snap);

    if (code != 0) return lmdb_fail(snap->storage->env, code, "read a query's state", err);
    snap->was_resumed = true;
    return WEIR_OK;
}

weir_rc local_snapshot_partitions(snapshot *base, const int32_t **partitions, uint32_t *count, weir_error *err)
{
    local_snapshot *snap = snapshot_of(base);
    int code = 0;

    if (snap->was_resumed) {
        snap->partition_count = 0;
        code = find_partitions(snap);
        snap->was_resumed = code != 0;
    }
    *partitions = snap->partitions;
    *count = snap->partition_count;
    return code == 0 ? WEIR_OK : lmdb_fail(snap->storage->env, code, "read a query's state", err);
}

weir_rc local_snapshot_get(snapshot *base, int32_t partition, uint16_t store, slice key, slice *content, bool *found,
                           weir_error *err)
{
    local_snapshot *snap = snapshot_of(base);
    state_space space = space_of(snap->storage, snap->id, partition);
    int code = state_lmdb_get(snap->reader.txn, &space, store, key, content, found);

    return code == 0 ? WEIR_OK : lmdb_fail(snap->storage->env, code, "read a query's state", err);
}

weir_rc local_snapshot_scan(snapshot *base, int32_t partition, uint16_t store, slice from, slice to, state_cursor **out,
                            weir_error *err)
{
    local_snapshot *snap = snapshot_of(base);
    state_space space = space_of(snap->storage, snap->id, partition);

    return state_lmdb_scan(out, snap->storage->env, snap->reader.txn, &space, store, from, to, NULL, NULL, err);
}
