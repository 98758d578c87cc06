/* storage/local_topic.c - topics of the embedded log: made, listed, deleted, and appended to outside of queries. */
#include "storage/local.h"

#include "core/bytes.h"
#include "core/hash.h"

#include <ctype.h>
#include <stdlib.h>

#define PARTITIONS_MAX 10000
#define TOPIC_BYTES 29 /* a topic in meta: id u32, partitions u32, retention ms i64, bytes i64, flags u8 */
#define FLAG_COMPACTED 1
#define FLAG_INTERNAL 2

static bool ends_with(slice name, slice end)
{
    return name.len > end.len && slice_equal((slice){ name.data + name.len - end.len, end.len }, end);
}

static bool read_topic(slice name, MDB_val data, local_topic *out)
{
    const char *at = data.mv_data;

    if (data.mv_size != TOPIC_BYTES || name.len >= sizeof out->name) return false;
    *out = (local_topic){ .id = get_u32(at),
                          .partitions = (int32_t)get_u32(at + 4),
                          .retention_ms = (int64_t)get_u64(at + 8),
                          .retention_bytes = (int64_t)get_u64(at + 16),
                          .is_compacted = (at[24 + 4] & FLAG_COMPACTED) != 0,
                          .is_internal = (at[24 + 4] & FLAG_INTERNAL) != 0 };
    memcpy(out->name, name.data, name.len);
    out->name[name.len] = '\0';
    out->is_repartition = out->is_internal && (ends_with(name, SLICE("-repartition")) || ends_with(name, SLICE("-subscription")));
    return true;
}

int local_find_topic(local_storage *s, MDB_txn *txn, slice name, local_topic *out)
{
    MDB_val data;

    if (name.len >= sizeof out->name) return MDB_NOTFOUND;
    int code = local_get_name(s, txn, 't', name, &data);
    return code == 0 && !read_topic(name, data, out) ? MDB_CORRUPTED : code;
}

int local_get_ends(local_storage *s, MDB_txn *txn, uint32_t topic, int32_t partition, partition_ends *out)
{
    char bytes[ENDS_KEY_BYTES];
    MDB_val key = { sizeof bytes, bytes }, data;

    ends_key(bytes, topic, partition);
    int code = mdb_get(txn, s->env->dbi[DB_OFFSETS], &key, &data);
    if (code != 0) return code;
    if (data.mv_size != 24) return MDB_CORRUPTED;
    const char *at = data.mv_data;
    *out = (partition_ends){ (int64_t)get_u64(at), (int64_t)get_u64(at + 8), get_u64(at + 16) };
    return 0;
}

int local_put_ends(local_storage *s, MDB_txn *txn, uint32_t topic, int32_t partition, const partition_ends *ends)
{
    char bytes[ENDS_KEY_BYTES], numbers[24];
    MDB_val key = { sizeof bytes, bytes }, data = { sizeof numbers, numbers };

    ends_key(bytes, topic, partition);
    put_u64(numbers, (uint64_t)ends->begin);
    put_u64(numbers + 8, (uint64_t)ends->end);
    put_u64(numbers + 16, ends->bytes);
    return mdb_put(txn, s->env->dbi[DB_OFFSETS], &key, &data, 0);
}

static weir_rc no_such_topic(slice name, weir_error *err)
{
    return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "there is no topic %.*s", SLICE_ARG(name));
}

weir_rc local_topic_or_fail(local_storage *s, slice name, local_topic *out, weir_error *err)
{
    MDB_txn *txn;
    int code = lmdb_begin_read(s->env, &txn);

    if (code == 0) {
        code = local_find_topic(s, txn, name, out);
        lmdb_abort(s->env, txn);
    }
    if (code == MDB_NOTFOUND) return no_such_topic(name, err);
    return code == 0 ? WEIR_OK : lmdb_fail(s->env, code, "read a topic", err);
}

weir_rc local_topic_written(local_storage *s, const local_topic *t, uint64_t *records, weir_error *err)
{
    MDB_txn *txn;
    partition_ends ends;
    int code = lmdb_begin_read(s->env, &txn);

    *records = 0;
    if (code != 0) return lmdb_fail(s->env, code, "read a topic", err);
    for (int32_t p = 0; p < t->partitions && code == 0; p++) {
        code = local_get_ends(s, txn, t->id, p, &ends);
        if (code == 0) *records += (uint64_t)ends.end;
    }
    lmdb_abort(s->env, txn);
    return code == 0 || code == MDB_NOTFOUND ? WEIR_OK : lmdb_fail(s->env, code, "read a topic", err);
}

/* ---- making and deleting ---- */

static weir_rc check_spec(const topic_spec *spec, weir_error *err)
{
    bool is_named = spec->name.len > 0 && spec->name.len <= 249 && !slice_is(spec->name, ".") && !slice_is(spec->name, "..");

    for (size_t i = 0; i < spec->name.len && is_named; i++) {
        char c = spec->name.data[i];
        is_named = isalnum((unsigned char)c) || c == '.' || c == '_' || c == '-';
    }
    if (!is_named) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE,
                         "%.*s cannot be a topic's name: 1 to 249 of the characters a-z A-Z 0-9 . _ - are needed",
                         SLICE_ARG(spec->name));
    }
    if (spec->partitions < 1 || spec->partitions > PARTITIONS_MAX) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "topic %.*s cannot have %d partitions: from 1 to %d are possible",
                         SLICE_ARG(spec->name), (int)spec->partitions, PARTITIONS_MAX);
    }
    return WEIR_OK;
}

static int put_new_topic(local_storage *s, MDB_txn *txn, void *argument)
{
    const topic_spec *spec = argument;
    char bytes[TOPIC_BYTES];
    uint32_t id;
    MDB_val data;
    partition_ends none = { 0, 0, 0 };
    bool keeps_last = spec->is_compacted && !spec->is_also_deleted;
    int code = local_get_name(s, txn, 't', spec->name, &data);

    if (code == 0) return MDB_KEYEXIST;
    if (code != MDB_NOTFOUND || (code = local_next_id(s, txn, &id)) != 0) return code;
    put_u32(bytes, id);
    put_u32(bytes + 4, (uint32_t)spec->partitions);
    put_u64(bytes + 8, keeps_last ? 0 : (uint64_t)spec->retention_ms);
    put_u64(bytes + 16, keeps_last ? 0 : (uint64_t)spec->retention_bytes);
    put_u32(bytes + 24, 0);
    bytes[28] = (char)((spec->is_compacted ? FLAG_COMPACTED : 0) | (spec->is_internal ? FLAG_INTERNAL : 0));
    code = local_put_name(s, txn, 't', spec->name, (slice){ bytes, sizeof bytes });
    for (int32_t p = 0; p < spec->partitions && code == 0; p++) code = local_put_ends(s, txn, id, p, &none);
    return code;
}

weir_rc local_topic_create(storage *base, const topic_spec *spec, weir_error *err)
{
    local_topic already;

    WEIR_TRY(check_spec(spec, err));
    weir_rc rc = local_topic_or_fail(local_of(base), spec->name, &already, err);
    if (rc == WEIR_SEMANTIC) {
        rc = local_update(local_of(base), "create a topic", put_new_topic, (void *)spec, err);
        if (rc == WEIR_OK) return WEIR_OK;
        weir_error second;
        if (local_topic_or_fail(local_of(base), spec->name, &already, &second) != WEIR_OK) return rc;
    } else if (rc != WEIR_OK) {
        return rc;
    }
    return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "topic %.*s exists already", SLICE_ARG(spec->name));
}

/* Its name and its ends go at once, so that nobody can read or append any more; its blocks follow. */
static int forget_topic(local_storage *s, MDB_txn *txn, void *argument)
{
    const local_topic *t = argument;
    local_topic now;
    char bytes[ENDS_KEY_BYTES];
    int code = local_find_topic(s, txn, slice_of(t->name), &now);

    if (code != 0 || now.id != t->id) return code == MDB_NOTFOUND ? 0 : code; /* another was faster */
    code = local_del_name(s, txn, 't', slice_of(t->name));
    for (int32_t p = 0; p < t->partitions && code == 0; p++) {
        ends_key(bytes, t->id, p);
        code = mdb_del(txn, s->env->dbi[DB_OFFSETS], &(MDB_val){ sizeof bytes, bytes }, NULL);
        cleaned_key(bytes, t->id, p);
        if (code == 0) code = mdb_del(txn, s->env->dbi[DB_OFFSETS], &(MDB_val){ sizeof bytes, bytes }, NULL);
        if (code == MDB_NOTFOUND) code = 0; /* never compacted */
    }
    return code != 0 ? code : local_discard(s, txn, 't', t->id);
}

weir_rc local_topic_delete(storage *base, slice name, weir_error *err)
{
    local_storage *s = local_of(base);
    local_topic t;

    WEIR_TRY(local_topic_or_fail(s, name, &t, err));
    WEIR_TRY(local_update(s, "delete a topic", forget_topic, &t, err));
    return local_collect(s, err);
}

/* ---- looking ---- */

static topic_info info_of(const local_topic *t, slice name)
{
    return (topic_info){ .name = name, .partitions = t->partitions, .replicas = 1, .is_internal = t->is_internal };
}

weir_rc local_topic_find(storage *base, slice name, topic_info *out, bool *found, weir_error *err)
{
    local_topic t;
    weir_rc rc = local_topic_or_fail(local_of(base), name, &t, err);

    *found = rc == WEIR_OK;
    if (rc == WEIR_OK) *out = info_of(&t, name);
    return rc == WEIR_SEMANTIC ? WEIR_OK : rc;
}

static int list_topics(local_storage *s, MDB_txn *txn, arena *a, topic_info **out, uint32_t *count)
{
    MDB_cursor *cursor;
    MDB_val key = { 1, "t" }, data;
    local_topic t;
    uint32_t room = 0;
    int code = mdb_cursor_open(txn, s->env->dbi[DB_META], &cursor);

    if (code != 0) return code;
    code = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
    while (code == 0 && *(char *)key.mv_data == 't') {
        slice name = { (char *)key.mv_data + 1, key.mv_size - 1 };
        if (!read_topic(name, data, &t)) {
            code = MDB_CORRUPTED;
            break;
        }
        if (*count == room) {
            topic_info *more = ARENA_ARRAY(a, topic_info, room = room == 0 ? 16 : 2 * room);
            if (*count > 0) memcpy(more, *out, *count * sizeof *more);
            *out = more;
        }
        (*out)[(*count)++] = info_of(&t, arena_copy(a, name));
        code = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? 0 : code;
}

weir_rc local_topic_list(storage *base, arena *a, topic_info **out, uint32_t *count, weir_error *err)
{
    local_storage *s = local_of(base);
    MDB_txn *txn;
    int code = lmdb_begin_read(s->env, &txn);

    *out = NULL;
    *count = 0;
    if (code == 0) {
        code = list_topics(s, txn, a, out, count);
        lmdb_abort(s->env, txn);
    }
    return code == 0 ? WEIR_OK : lmdb_fail(s->env, code, "list topics", err);
}

weir_rc local_topic_offsets(storage *base, slice name, int32_t partition, int64_t *begin, int64_t *end, weir_error *err)
{
    local_storage *s = local_of(base);
    local_topic t;
    MDB_txn *txn;
    partition_ends ends = { 0, 0, 0 };
    int code = lmdb_begin_read(s->env, &txn);

    if (code == 0) {
        code = local_find_topic(s, txn, name, &t);
        if (code == 0) code = local_get_ends(s, txn, t.id, partition, &ends);
        lmdb_abort(s->env, txn);
    }
    if (code == MDB_NOTFOUND) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "there is no partition %d of a topic %.*s", (int)partition,
                         SLICE_ARG(name));
    }
    if (code != 0) return lmdb_fail(s->env, code, "read a topic's offsets", err);
    *begin = ends.begin;
    *end = ends.end;
    return WEIR_OK;
}

weir_rc local_topic_record_bytes_max(storage *base, slice name, uint64_t *bytes, weir_error *err)
{
    local_topic t;

    *bytes = RECORD_BYTES_MAX;
    return local_topic_or_fail(local_of(base), name, &t, err);
}

weir_rc local_too_large(const local_topic *t, uint64_t bytes, weir_error *err)
{
    return weir_fail(err, WEIR_SEMANTIC, NOWHERE,
                     "a record of %llu bytes is too large for topic %s: key and value may have %llu together",
                     (unsigned long long)bytes, t->name, (unsigned long long)RECORD_BYTES_MAX);
}

/* ---- appending ---- */

static uint64_t record_bytes(const record *r)
{
    uint64_t bytes = r->key.len + r->value.len;

    for (uint32_t i = 0; i < r->headers.count; i++) {
        bytes += r->headers.items[i].key.len + r->headers.items[i].value.len;
    }
    return bytes;
}

/* Chooses each record's partition, into `chosen`. */
static weir_rc choose_partitions(local_storage *s, const local_topic *t, const record *records, const int32_t *partition,
                                 uint32_t count, int32_t *chosen, weir_error *err)
{
    uint64_t spread = 0;
    bool spread_known = false;

    for (uint32_t i = 0; i < count; i++) {
        chosen[i] = partition == NULL ? -1 : partition[i];
        if (chosen[i] >= t->partitions) {
            return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "topic %s has no partition %d: it has %d, counted from 0",
                             t->name, (int)chosen[i], (int)t->partitions);
        }
        if (record_bytes(&records[i]) > RECORD_BYTES_MAX) return local_too_large(t, record_bytes(&records[i]), err);
        if (chosen[i] >= 0) continue;
        if (records[i].key.data != NULL) {
            chosen[i] = partition_for_key(records[i].key, t->partitions);
            continue;
        }
        if (!spread_known) WEIR_TRY(local_topic_written(s, t, &spread, err));
        spread_known = true;
        chosen[i] = (int32_t)(spread++ % (uint64_t)t->partitions);
    }
    return WEIR_OK;
}

typedef struct append {
    block_run *runs;  /* one for each partition */
    block_run **used; /* those that got records */
    uint32_t used_count;
    int32_t *chosen;
} append;

static void append_free(append *a, int32_t partitions)
{
    for (int32_t p = 0; a->runs != NULL && p < partitions; p++) block_run_free(&a->runs[p]);
    free(a->runs);
    free(a->used);
    free(a->chosen);
}

static weir_rc append_records(local_storage *s, const local_topic *t, append *a, const record *records, uint32_t count,
                              int64_t *offsets, weir_error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        block_run *run = &a->runs[a->chosen[i]];
        const record *r = &records[i];
        if (run->topic == NULL) {
            run->topic = t;
            run->partition = a->chosen[i];
            a->used[a->used_count++] = run;
        }
        block_run_add(run, r->key, r->value, r->timestamp_ms, r->headers.count > 0 ? &r->headers : NULL);
    }
    for (uint32_t i = 0; i < a->used_count; i++) block_run_pack(a->used[i]);
    submission sub = { .runs = a->used, .run_count = a->used_count };
    WEIR_TRY(local_submit(s, &sub, err));
    for (uint32_t i = 0; offsets != NULL && i < count; i++) offsets[i] = a->runs[a->chosen[i]].first_offset++;
    return WEIR_OK;
}

weir_rc local_topic_append(storage *base, slice name, const record *records, const int32_t *partition, uint32_t count,
                           int64_t *offsets, weir_error *err)
{
    local_storage *s = local_of(base);
    local_topic t;

    WEIR_TRY(local_topic_or_fail(s, name, &t, err));
    append a = { .runs = calloc((size_t)t.partitions, sizeof *a.runs),
                 .used = calloc((size_t)t.partitions, sizeof *a.used),
                 .chosen = malloc(count * sizeof *a.chosen) };
    weir_rc rc = WEIR_OK;
    if (a.runs == NULL || a.used == NULL || a.chosen == NULL) {
        rc = weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory to append %u records to %s", count, t.name);
    }
    if (rc == WEIR_OK) rc = choose_partitions(s, &t, records, partition, count, a.chosen, err);
    if (rc == WEIR_OK) rc = append_records(s, &t, &a, records, count, offsets, err);
    append_free(&a, t.partitions);
    return rc;
}
