/* storage/local.c - opening the embedded log, names and ids in it, and deleting what was dropped. */
#include "storage/local.h"

#include "core/bytes.h"
#include "core/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define MAP_BYTES ((uint64_t)1 << 40)
#define TEMPORARY_MAP_BYTES ((uint64_t)1 << 37)
#define DELETE_ENTRIES_MAX 8192 /* in one transaction, of what was dropped */

static const char *const DATABASES[] = { "meta", "log", "offsets", "state", NULL };

/* ---- opening ---- */

static weir_rc open_env(local_storage *s, slice dir, weir_error *err)
{
    const local_options *o = &s->options;
    const char *temporary = getenv("TMPDIR");
    lmdb_options options = { .databases = DATABASES,
                             .map_bytes = o->is_temporary ? TEMPORARY_MAP_BYTES : MAP_BYTES,
                             .format = LOCAL_FORMAT,
                             .is_read_only = o->is_read_only && !o->is_temporary,
                             .is_temporary = o->is_temporary };
    text path = TEXT_EMPTY;

    if (o->is_temporary) {
        /* No copy but this one is ever needed again, so nothing is synced. A log that is to last must be: after a power
         * loss a fifth of unsynced ones were damaged. */
        options.flags = o->durability == DURABLE_NONE ? MDB_NOSYNC : 0;
        text_add_c(&path, temporary != NULL && temporary[0] != '\0' ? temporary : "/tmp");
    } else {
        if (o->durability == DURABLE_META) options.flags = MDB_NOMETASYNC;
        text_add(&path, dir);
        text_add_c(&path, "/log");
    }
    weir_rc rc = lmdb_env_open(&s->env, text_slice(&path), &options, err);
    text_free(&path);
    return rc;
}

static weir_rc check_options(slice dir, const local_options *o, weir_error *err)
{
    if (o->is_temporary) return WEIR_OK;
    if (o->durability == DURABLE_NONE) {
        return weir_fail(err, WEIR_STORAGE, NOWHERE,
                         "data directory %.*s cannot be opened without durability: only temporary storages can",
                         SLICE_ARG(dir));
    }
    text path = TEXT_EMPTY;
    text_add(&path, dir);
    bool is_missing = dir.len == 0 || (o->is_read_only && access(text_slice(&path).data, F_OK) != 0);
    text_free(&path);
    if (!is_missing) return WEIR_OK;
    return weir_fail(err, WEIR_STORAGE, NOWHERE, "there is no data directory %.*s; check its name, or let weir make it by "
                     "writing first", SLICE_ARG(dir));
}

weir_rc storage_open_local(storage **out, slice dir, const local_options *options, weir_error *err)
{
    WEIR_TRY(check_options(dir, options, err));
    local_storage *s = calloc(1, sizeof *s);
    if (s == NULL) return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory to open %.*s", SLICE_ARG(dir));
    weir_rc rc = storage_init(&s->base, &local_storage_class, options->is_temporary ? NO_SLICE : dir, NO_SLICE, err);
    if (rc != WEIR_OK) {
        free(s);
        return rc;
    }
    s->options = *options;
    if (s->options.clock == NULL) s->options.clock = &s->wall;
    s->waiting_end = &s->waiting;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->done, NULL);
    thread_cond_init(&s->news);
    rc = open_env(s, s->base.dir, err);
    if (rc != WEIR_OK) {
        storage_close(&s->base);
        return rc;
    }
    *out = &s->base;
    return WEIR_OK;
}

static void local_close(storage *base)
{
    local_storage *s = local_of(base);

    local_compact_close(s);
    lmdb_env_close(s->env);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->done);
    pthread_cond_destroy(&s->news);
}

/* ---- keys, names, ids ---- */

void log_key(char *at, uint32_t topic, int32_t partition, int64_t last_offset)
{
    put_u32(at, topic);
    put_u32(at + 4, (uint32_t)partition);
    put_u64(at + 8, (uint64_t)last_offset);
}

static void partition_key(char *at, char kind, uint32_t topic, int32_t partition)
{
    at[0] = kind;
    put_u32(at + 1, topic);
    put_u32(at + 5, (uint32_t)partition);
}

void ends_key(char *at, uint32_t topic, int32_t partition)
{
    partition_key(at, 'e', topic, partition);
}

void cleaned_key(char *at, uint32_t topic, int32_t partition)
{
    partition_key(at, 'c', topic, partition);
}

typedef struct name_key {
    MDB_val val;
    char bytes[512];
} name_key;

/* LMDB itself refuses keys that are too long (MDB_BAD_VALSIZE). */
static void make_name_key(name_key *k, char kind, slice name)
{
    size_t len = name.len < sizeof k->bytes - 1 ? name.len : sizeof k->bytes - 1;

    k->bytes[0] = kind;
    if (len > 0) memcpy(k->bytes + 1, name.data, len);
    k->val = (MDB_val){ len + 1, k->bytes };
}

int local_get_name(local_storage *s, MDB_txn *txn, char kind, slice name, MDB_val *data)
{
    name_key k;

    make_name_key(&k, kind, name);
    return mdb_get(txn, s->env->dbi[DB_META], &k.val, data);
}

int local_put_name(local_storage *s, MDB_txn *txn, char kind, slice name, slice content)
{
    name_key k;
    MDB_val data = lmdb_val(content);

    make_name_key(&k, kind, name);
    return mdb_put(txn, s->env->dbi[DB_META], &k.val, &data, 0);
}

int local_del_name(local_storage *s, MDB_txn *txn, char kind, slice name)
{
    name_key k;

    make_name_key(&k, kind, name);
    return mdb_del(txn, s->env->dbi[DB_META], &k.val, NULL);
}

int local_next_id(local_storage *s, MDB_txn *txn, uint32_t *id)
{
    MDB_val key = { 7, "next id" }, data;
    char number[4];
    int code = mdb_get(txn, s->env->dbi[DB_META], &key, &data);

    if (code != 0 && code != MDB_NOTFOUND) return code;
    *id = code == 0 && data.mv_size == 4 ? get_u32(data.mv_data) : 1;
    put_u32(number, *id + 1);
    data = (MDB_val){ 4, number };
    return mdb_put(txn, s->env->dbi[DB_META], &key, &data, 0);
}

weir_rc local_update(local_storage *s, const char *doing, int (*change)(local_storage *s, MDB_txn *txn, void *argument),
                     void *argument, weir_error *err)
{
    MDB_txn *txn;
    int code = s->env->is_read_only ? EROFS : lmdb_begin_write(s->env, &txn);

    if (code != 0) return lmdb_fail(s->env, code, doing, err);
    code = change(s, txn, argument);
    if (code == 0 && s->options.fault != NULL) code = s->options.fault(s->options.fault_self, "commit");
    if (code == 0) {
        code = lmdb_commit(s->env, txn);
    } else {
        lmdb_abort(s->env, txn);
    }
    if (code != 0) return lmdb_fail(s->env, code, doing, err);
    local_tell_news(s);
    return WEIR_OK;
}

void local_tell_news(local_storage *s)
{
    pthread_mutex_lock(&s->lock);
    pthread_cond_broadcast(&s->news);
    pthread_mutex_unlock(&s->lock);
}

/* ---- deleting what was dropped ---- */

int local_discard(local_storage *s, MDB_txn *txn, char kind, uint32_t id)
{
    char what[5] = { kind };

    put_u32(what + 1, id);
    return local_put_name(s, txn, 'x', (slice){ what, sizeof what }, SLICE(""));
}

/* Deletes entries whose key begins so, at most *left of them, and counts *left down. */
static int delete_prefix(MDB_txn *txn, MDB_dbi dbi, slice prefix, uint32_t *left)
{
    MDB_cursor *cursor;
    MDB_val key = lmdb_val(prefix), data;
    int code = mdb_cursor_open(txn, dbi, &cursor);

    if (code != 0) return code;
    code = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
    while (code == 0 && *left > 0 && key.mv_size >= prefix.len && memcmp(key.mv_data, prefix.data, prefix.len) == 0) {
        if ((code = mdb_cursor_del(cursor, 0)) != 0) break;
        --*left;
        code = mdb_cursor_get(cursor, &key, &data, MDB_NEXT); /* the one after: del() made the cursor stand before it */
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? 0 : code;
}

/* Some of the first thing dropped. *argument: is there more to do? */
static int collect_some(local_storage *s, MDB_txn *txn, void *argument)
{
    bool *more = argument;
    MDB_cursor *cursor;
    MDB_val key = { 1, "x" }, data;
    char what[6], marked[6];
    uint32_t left = DELETE_ENTRIES_MAX;
    int code = mdb_cursor_open(txn, s->env->dbi[DB_META], &cursor);

    *more = false;
    if (code != 0) return code;
    code = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
    bool found = code == 0 && key.mv_size == sizeof what && *(char *)key.mv_data == 'x';
    if (found) memcpy(what, key.mv_data, sizeof what);
    mdb_cursor_close(cursor);
    if (!found) return code == MDB_NOTFOUND ? 0 : code;

    slice id = { what + 2, 4 };
    MDB_dbi offsets = s->env->dbi[DB_OFFSETS];
    memcpy(marked, what + 1, sizeof what - 1);
    switch (what[1]) {
    case 't': code = delete_prefix(txn, s->env->dbi[DB_LOG], id, &left); break;
    case 's':
        code = delete_prefix(txn, s->env->dbi[DB_STATE], id, &left);
        marked[0] = 'z';
        if (code == 0) code = delete_prefix(txn, offsets, (slice){ marked, 5 }, &left);
        break;
    case 'q':
        marked[0] = 'p';
        code = delete_prefix(txn, offsets, (slice){ marked, 5 }, &left);
        break;
    }
    if (code == 0 && left > 0) code = local_del_name(s, txn, 'x', (slice){ what + 1, 5 });
    *more = true;
    return code;
}

weir_rc local_collect(local_storage *s, weir_error *err)
{
    for (bool more = true; more;) {
        WEIR_TRY(local_update(s, "delete what was dropped", collect_some, &more, err));
    }
    return WEIR_OK;
}

const storage_class local_storage_class = {
    .name = "local",
    .close = local_close,
    .topic_create = local_topic_create,
    .topic_delete = local_topic_delete,
    .topic_find = local_topic_find,
    .topic_list = local_topic_list,
    .topic_offsets = local_topic_offsets,
    .topic_append = local_topic_append,
    .topic_record_bytes_max = local_topic_record_bytes_max,
    .compact = local_compact,
    .drop_query = local_drop_query,
    .tidy = local_tidy,
    .client_open = local_client_open,
    .client_close = local_client_close,
    .client_poll = local_client_poll,
    .client_wake = local_client_wake,
    .client_pause = local_client_pause,
    .client_seek = local_client_seek,
    .client_position = local_client_position,
    .client_produce = local_client_produce,
    .client_commit = local_client_commit,
    .client_abort = local_client_abort,
    .task_state_open = local_task_state_open,
    .task_state_close = local_task_state_close,
    .task_state_get = local_task_state_get,
    .task_state_get_all = local_task_state_get_all,
    .task_state_size = local_task_state_size,
    .task_state_scan = local_task_state_scan,
    .snapshot_open = local_snapshot_open,
    .snapshot_close = local_snapshot_close,
    .snapshot_partitions = local_snapshot_partitions,
    .snapshot_get = local_snapshot_get,
    .snapshot_scan = local_snapshot_scan,
    .snapshot_pause = local_snapshot_pause,
    .snapshot_resume = local_snapshot_resume,
};
