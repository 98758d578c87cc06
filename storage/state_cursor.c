/* storage/state_cursor.c - keyed state over LMDB: encoding of keys, look-up, changes, and the one cursor. */
#include "storage/state_lmdb.h"

#include "core/bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#define HASH_BYTES 16

_Static_assert(STATE_PREFIX_MAX + 2 + STATE_KEY_WHOLE_MAX + HASH_BYTES <= STATE_LMDB_KEY_MAX, "fits LMDB's bound");

uint64_t state_lmdb_hash_mask = UINT64_MAX;

typedef struct lmdb_key {
    size_t len;
    char bytes[STATE_LMDB_KEY_MAX + 1];
} lmdb_key;

static bool is_long(slice key)
{
    return key.len > STATE_KEY_WHOLE_MAX;
}

static void key_start(lmdb_key *k, const state_space *space, uint16_t store)
{
    memcpy(k->bytes, space->prefix, space->prefix_len);
    put_u16(k->bytes + space->prefix_len, store);
    k->len = space->prefix_len + 2;
}

/* without_hash: the place before all keys with the same beginning, for a range's start. */
static void key_finish(lmdb_key *k, slice key, bool without_hash)
{
    size_t whole = is_long(key) ? STATE_KEY_WHOLE_MAX : key.len;

    if (whole > 0) memcpy(k->bytes + k->len, key.data, whole);
    k->len += whole;
    if (is_long(key) && !without_hash) {
        XXH128_hash_t hash = XXH3_128bits(key.data, key.len);
        put_u64(k->bytes + k->len, hash.high64 & state_lmdb_hash_mask);
        put_u64(k->bytes + k->len + 8, hash.low64 & state_lmdb_hash_mask);
        k->len += HASH_BYTES;
    }
}

/* Takes the next item off the list that a long key's entry is. */
static bool list_next(slice *list, slice *key, slice *content)
{
    if (list->len < 8) return false;
    uint64_t key_len = get_u32(list->data), value_len = get_u32(list->data + 4);
    if (8 + key_len + value_len > list->len) return false;
    *key = (slice){ list->data + 8, key_len };
    *content = (slice){ key->data + key_len, value_len };
    list->data += 8 + key_len + value_len;
    list->len -= 8 + key_len + value_len;
    return true;
}

static void list_add(text *list, slice key, slice content)
{
    text_add_u32(list, (uint32_t)key.len);
    text_add_u32(list, (uint32_t)content.len);
    text_add(list, key);
    text_add(list, content);
}

int state_lmdb_get(MDB_txn *txn, const state_space *space, uint16_t store, slice key, slice *content, bool *found)
{
    lmdb_key k;
    MDB_val data;

    *found = false;
    key_start(&k, space, store);
    key_finish(&k, key, false);
    int code = mdb_get(txn, space->dbi, &(MDB_val){ k.len, k.bytes }, &data);
    if (code == MDB_NOTFOUND) return 0;
    if (code != 0) return code;
    if (!is_long(key)) {
        *content = lmdb_slice(data);
        *found = true;
        return 0;
    }
    slice list = lmdb_slice(data), other;
    while (list.len > 0) {
        if (!list_next(&list, &other, content)) return MDB_CORRUPTED;
        *found = slice_equal(other, key);
        if (*found) return 0;
    }
    return 0;
}

/* Adds up the items of a long key's list, and copies all but the one of `key` to `rest`. */
static int list_without(slice list, slice key, text *rest, state_growth *before)
{
    slice other, content;

    while (list.len > 0) {
        if (!list_next(&list, &other, &content)) return MDB_CORRUPTED;
        if (!slice_equal(other, key)) {
            list_add(rest, other, content);
            continue;
        }
        before->entries = 1;
        before->bytes = (int64_t)(key.len + content.len);
    }
    return 0;
}

static int apply_one(MDB_cursor *cursor, const state_space *space, const state_change *change, text *list,
                     state_growth *growth)
{
    lmdb_key k;
    MDB_val data = { 0, NULL };
    state_growth before = { 0, 0 };
    slice stored = change->value;

    key_start(&k, space, change->store);
    key_finish(&k, change->key, false);
    MDB_val at = { k.len, k.bytes };
    int code = mdb_cursor_get(cursor, &at, &data, MDB_SET);
    if (code != 0 && code != MDB_NOTFOUND) return code;
    bool exists = code == 0;
    if (is_long(change->key)) {
        text_clear(list);
        if (exists && (code = list_without(lmdb_slice(data), change->key, list, &before)) != 0) return code;
        if (stored.data != NULL) list_add(list, change->key, change->value);
        stored = list->len > 0 ? text_slice(list) : NO_SLICE;
    } else if (exists) {
        before = (state_growth){ 1, (int64_t)(change->key.len + data.mv_size) };
    }
    growth->entries += (change->value.data != NULL) - before.entries;
    growth->bytes -= before.bytes;
    if (change->value.data != NULL) growth->bytes += (int64_t)(change->key.len + change->value.len);

    if (stored.data == NULL) return exists ? mdb_cursor_del(cursor, 0) : 0;
    data = lmdb_val(stored);
    at = (MDB_val){ k.len, k.bytes };
    return mdb_cursor_put(cursor, &at, &data, exists ? MDB_CURRENT : 0);
}

int state_lmdb_apply(MDB_txn *txn, const state_space *space, const state_change *changes, uint32_t count,
                     state_growth *growth)
{
    MDB_cursor *cursor;
    text list = TEXT_EMPTY;
    int code = mdb_cursor_open(txn, space->dbi, &cursor);

    if (code != 0) return code;
    for (uint32_t i = 0; i < count && code == 0; i++) code = apply_one(cursor, space, &changes[i], &list, growth);
    mdb_cursor_close(cursor);
    text_free(&list);
    return code;
}

/* ---- the cursor ---- */

struct state_cursor {
    const lmdb_env *env;
    MDB_cursor *cursor;
    lmdb_key start; /* prefix and store: what every key here begins with */
    text lowest, to; /* the range */
    text from;       /* where to start, or go on after a seek: never below lowest */
    bool has_to;
    bool is_positioned; /* false: the next entry is the first one >= from */
    bool is_over;
    slice list; /* what is left of a long key's entry */
    void (*release)(void *holder);
    void *holder;
};

weir_rc state_lmdb_scan(state_cursor **out, const lmdb_env *e, MDB_txn *txn, const state_space *space, uint16_t store,
                        slice from, slice to, void (*release)(void *holder), void *holder, weir_error *err)
{
    state_cursor *c = calloc(1, sizeof *c);
    int code = c == NULL ? ENOMEM : mdb_cursor_open(txn, space->dbi, &c->cursor);

    if (code != 0) {
        free(c);
        if (release != NULL) release(holder);
        return lmdb_fail(e, code, "read state", err);
    }
    c->env = e;
    key_start(&c->start, space, store);
    if (from.data != NULL) text_add(&c->lowest, from);
    text_add(&c->from, text_slice(&c->lowest));
    if (to.data != NULL) text_add(&c->to, to);
    c->has_to = to.data != NULL;
    c->release = release;
    c->holder = holder;
    *out = c;
    return WEIR_OK;
}

void state_cursor_close(state_cursor *c)
{
    if (c == NULL) return;
    mdb_cursor_close(c->cursor);
    if (c->release != NULL) c->release(c->holder);
    text_free(&c->lowest);
    text_free(&c->from);
    text_free(&c->to);
    free(c);
}

weir_rc state_cursor_seek(state_cursor *c, slice key, weir_error *err)
{
    slice lowest = text_slice(&c->lowest);

    (void)err;
    text_clear(&c->from);
    text_add(&c->from, slice_compare(key, lowest) > 0 ? key : lowest);
    c->is_positioned = false;
    c->is_over = false;
    c->list.len = 0;
    return WEIR_OK;
}

/* The next LMDB entry: 0, MDB_NOTFOUND at the end of the store, or what went wrong. */
static int next_entry(state_cursor *c, slice *rest_of_key, MDB_val *data)
{
    lmdb_key first = c->start;
    MDB_val at;
    int code;

    if (c->is_positioned) {
        code = mdb_cursor_get(c->cursor, &at, data, MDB_NEXT);
    } else {
        key_finish(&first, text_slice(&c->from), true);
        at = (MDB_val){ first.len, first.bytes };
        code = mdb_cursor_get(c->cursor, &at, data, MDB_SET_RANGE);
        c->is_positioned = true;
    }
    if (code != 0) return code;
    if (at.mv_size < c->start.len || memcmp(at.mv_data, c->start.bytes, c->start.len) != 0) return MDB_NOTFOUND;
    *rest_of_key = (slice){ (char *)at.mv_data + c->start.len, at.mv_size - c->start.len };
    return 0;
}

/* A key past the end of the range: do only such follow? Not among long keys that begin alike. */
static bool ends_range(slice key, slice to)
{
    return !is_long(key) || !is_long(to) || memcmp(key.data, to.data, STATE_KEY_WHOLE_MAX) != 0;
}

weir_rc state_cursor_next(state_cursor *c, slice *key, slice *content, bool *more, weir_error *err)
{
    MDB_val data;

    *more = false;
    while (!c->is_over) {
        if (c->list.len > 0) {
            if (!list_next(&c->list, key, content)) return lmdb_fail(c->env, MDB_CORRUPTED, "read state", err);
        } else {
            int code = next_entry(c, key, &data);
            if (code == MDB_NOTFOUND) break;
            if (code != 0) return lmdb_fail(c->env, code, "read state", err);
            *content = lmdb_slice(data);
            if (is_long(*key)) {
                c->list = *content;
                continue;
            }
        }
        if (slice_compare(*key, text_slice(&c->from)) < 0) continue;
        if (c->has_to && slice_compare(*key, text_slice(&c->to)) >= 0) {
            if (ends_range(*key, text_slice(&c->to))) break;
            continue;
        }
        *more = true;
        return WEIR_OK;
    }
    c->is_over = true;
    return WEIR_OK;
}
