/* storage/state_cursor.c - keyed state over LMDB: the tree's keys, look-up, changes, and the one cursor over tree and runs. */
#include "storage/state_lmdb.h"

#include "core/bytes.h"
#include "core/text.h"
#include "storage/state_runs.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#define CHANGES_A_PAGE 32 /* of a state's tree, about */

#define HASH_BYTES 16

_Static_assert(STATE_PREFIX_MAX + 2 + STATE_KEY_WHOLE_MAX + HASH_BYTES <= STATE_LMDB_KEY_MAX, "fits LMDB's bound");

uint64_t state_lmdb_hash_mask = UINT64_MAX;

static void key_start(state_lmdb_key *k, const state_space *space, uint16_t store)
{
    memcpy(k->bytes, space->prefix, space->prefix_len);
    put_u16(k->bytes + space->prefix_len, store);
    k->len = space->prefix_len + 2;
}

/* without_hash: the place before all keys with the same beginning, for a range's start. */
static void key_finish(state_lmdb_key *k, slice key, bool without_hash)
{
    size_t whole = state_key_is_long(key) ? STATE_KEY_WHOLE_MAX : key.len;

    if (whole > 0) memcpy(k->bytes + k->len, key.data, whole);
    k->len += whole;
    if (state_key_is_long(key) && !without_hash) {
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
    state_lmdb_key k;
    MDB_val data;

    *found = false;
    if (!state_key_is_long(key)) return runs_get(txn, space, store, key, content, found);
    key_start(&k, space, store);
    key_finish(&k, key, false);
    lmdb_touched(space->env);
    int code = mdb_get(txn, space->dbi, &(MDB_val){ k.len, k.bytes }, &data);
    if (code != 0) return code == MDB_NOTFOUND ? 0 : code;
    slice list = lmdb_slice(data), other;
    while (list.len > 0) {
        if (!list_next(&list, &other, content)) return MDB_CORRUPTED;
        *found = slice_equal(other, key);
        if (*found) return 0;
    }
    return 0;
}

int state_lmdb_get_all(MDB_txn *txn, const state_space *space, uint16_t store, const slice *keys, const uint64_t *hashes,
                       uint32_t count, arena *memory, slice *values)
{
    int code = 0;

    for (uint32_t from = 0, to; from < count && code == 0; from = to) { /* long keys stand in the tree, each on its own */
        for (to = from; to < count && !state_key_is_long(keys[to]);) to++;
        if (to > from) {
            code = runs_get_all(txn, space, store, keys + from, hashes + from, to - from, memory, values + from);
            continue;
        }
        bool found;
        code = state_lmdb_get(txn, space, store, keys[from], &values[from], &found);
        values[from] = code == 0 && found ? arena_copy(memory, values[from]) : NO_SLICE;
        to++;
    }
    return code;
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

typedef struct tree_writer {
    MDB_cursor *cursor;
    const state_space *space;
    text list; /* of a long key */
    state_growth *growth;
} tree_writer;

static int put_in_tree(tree_writer *w, const state_change *change)
{
    state_lmdb_key k;
    MDB_val data = { 0, NULL };
    state_growth before = { 0, 0 };
    slice stored = change->value;

    key_start(&k, w->space, change->store);
    key_finish(&k, change->key, false);
    MDB_val at = { k.len, k.bytes };
    int code = mdb_cursor_get(w->cursor, &at, &data, MDB_SET);
    if (code != 0 && code != MDB_NOTFOUND) return code;
    bool exists = code == 0;
    if (state_key_is_long(change->key)) {
        text_clear(&w->list);
        if (exists && (code = list_without(lmdb_slice(data), change->key, &w->list, &before)) != 0) return code;
        if (stored.data != NULL) list_add(&w->list, change->key, change->value);
        stored = w->list.len > 0 ? text_slice(&w->list) : NO_SLICE;
    } else if (exists) {
        before = (state_growth){ 1, (int64_t)(change->key.len + data.mv_size) };
    }
    w->growth->entries += (change->value.data != NULL) - before.entries;
    w->growth->bytes -= before.bytes;
    if (change->value.data != NULL) w->growth->bytes += (int64_t)(change->key.len + change->value.len);

    if (stored.data == NULL) return exists ? mdb_cursor_del(w->cursor, 0) : 0;
    runs_note_key(w->space, change->store, change->key);
    data = lmdb_val(stored);
    at = (MDB_val){ k.len, k.bytes };
    return mdb_cursor_put(w->cursor, &at, &data, exists ? MDB_CURRENT : 0);
}

/* only_long: the others go to a run. */
static int put_all_in_tree(MDB_txn *txn, const state_space *space, run_book *book, const state_change *changes, uint32_t count,
                           bool only_long, state_growth *growth)
{
    tree_writer w = { .space = space, .list = TEXT_EMPTY, .growth = growth };
    int64_t bytes_before = growth->bytes;
    int code = mdb_cursor_open(txn, space->dbi, &w.cursor);

    if (code != 0) return code;
    for (uint32_t i = 0; i < count && code == 0; i++) {
        const state_change *change = &changes[i];
        if (only_long && !state_key_is_long(change->key)) continue;
        if ((code = put_in_tree(&w, change)) != 0) break;
        if (i % CHANGES_A_PAGE == 0) lmdb_touched(space->env);
        code = change->value.data == NULL ? runs_erase(txn, space, book, change->store, change->key)
                                          : runs_restore(txn, space, book, change->store, change->key);
    }
    mdb_cursor_close(w.cursor);
    text_free(&w.list);
    if (only_long) return code;
    int64_t bytes = (int64_t)book->tree_bytes + growth->bytes - bytes_before;
    book->tree_bytes = bytes < 0 ? 0 : (uint64_t)bytes;
    return code;
}

static int by_place(const void *a, const void *b)
{
    const state_change *x = *(const state_change *const *)a, *y = *(const state_change *const *)b;

    if (x->store != y->store) return x->store < y->store ? -1 : 1;
    int order = slice_compare(x->key, y->key);
    return order != 0 ? order : (x > y) - (x < y);
}

/* Changes as they came, some keys several times: in order, the last of each. To be freed. */
static state_change *sort_changes(const state_change *changes, uint32_t *count)
{
    const state_change **order = malloc(*count * sizeof *order);
    state_change *sorted = malloc(*count * sizeof *sorted);
    uint32_t kept = 0;

    if (order == NULL || sorted == NULL) abort();
    for (uint32_t i = 0; i < *count; i++) order[i] = &changes[i];
    qsort(order, *count, sizeof *order, by_place);
    for (uint32_t i = 0; i < *count; i++) {
        bool is_same = kept > 0 && sorted[kept - 1].store == order[i]->store && slice_equal(sorted[kept - 1].key, order[i]->key);
        sorted[is_same ? kept - 1 : kept++] = *order[i];
    }
    free(order);
    *count = kept;
    return sorted;
}

static int put_in_run(MDB_txn *txn, const state_space *space, run_book *book, const state_change *changes, uint32_t count,
                      bool is_sorted, state_growth *growth)
{
    int code = put_all_in_tree(txn, space, book, changes, count, true, growth);
    state_change *sorted = is_sorted || code != 0 ? NULL : sort_changes(changes, &count);

    if (code == 0) code = runs_add(txn, space, book, sorted == NULL ? changes : sorted, count, growth);
    free(sorted);
    return code;
}

/* A state that has no runs may change the same keys again and again: until it is large, its tree does not grow by that. */
static bool is_for_tree(const run_book *book, size_t bytes)
{
    const run_limits *limits = &state_run_limits;

    return bytes <= limits->epoch_bytes && book->tree_bytes + (book->run_count == 0 ? 0 : bytes) <= limits->tree_bytes;
}

int state_lmdb_apply(MDB_txn *txn, const state_space *space, const state_change *changes, uint32_t count,
                     state_growth *growth)
{
    size_t bytes = 0;
    bool is_sorted = true;
    run_book book;
    int code = runs_load(txn, space, &book);

    for (uint32_t i = 0; i < count; i++) {
        if (count - i > CHANGES_AHEAD) __builtin_prefetch(changes[i + CHANGES_AHEAD].key.data);
        bytes += changes[i].key.len + changes[i].value.len;
        if (i == 0 || changes[i].store > changes[i - 1].store) continue;
        is_sorted &= changes[i].store == changes[i - 1].store && slice_compare(changes[i - 1].key, changes[i].key) < 0;
    }
    if (code == 0) {
        code = is_for_tree(&book, bytes) ? put_all_in_tree(txn, space, &book, changes, count, false, growth)
                           : put_in_run(txn, space, &book, changes, count, is_sorted, growth);
    }
    if (code == 0) code = runs_merge(txn, space, &book, bytes, growth);
    if (code == 0) code = runs_store(txn, space, &book);
    runs_free(&book);
    return code;
}

/* ---- the cursor ---- */

struct state_cursor {
    const lmdb_env *env;
    layers layers;
    uint16_t store;
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
    int code = c == NULL ? ENOMEM : layers_open(&c->layers, txn, space);

    if (code != 0) {
        if (c != NULL) layers_close(&c->layers);
        free(c);
        if (release != NULL) release(holder);
        return lmdb_fail(e, code, "read state", err);
    }
    c->env = e;
    c->store = store;
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
    layers_close(&c->layers);
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

/* The next entry of the store that is not erased; a long key's is a list. MDB_NOTFOUND: there is none. */
static int next_entry(state_cursor *c, slice *key, slice *content)
{
    const state_change *entry;
    int code = c->is_positioned ? 0 : layers_seek(&c->layers, c->store, text_slice(&c->from));

    c->is_positioned = true;
    while (code == 0 && (code = layers_next(&c->layers, &entry)) == 0) {
        if (entry == NULL || entry->store != c->store) return MDB_NOTFOUND;
        *key = entry->key;
        *content = entry->value;
        if (content->data != NULL) return 0;
    }
    return code;
}

/* A key past the end of the range: do only such follow? Not among long keys that begin alike. */
static bool ends_range(slice key, slice to)
{
    return !state_key_is_long(key) || !state_key_is_long(to) || memcmp(key.data, to.data, STATE_KEY_WHOLE_MAX) != 0;
}

weir_rc state_cursor_next(state_cursor *c, slice *key, slice *content, bool *more, weir_error *err)
{
    *more = false;
    while (!c->is_over) {
        if (c->list.len > 0) {
            if (!list_next(&c->list, key, content)) return lmdb_fail(c->env, MDB_CORRUPTED, "read state", err);
        } else {
            int code = next_entry(c, key, content);
            if (code == MDB_NOTFOUND) break;
            if (code != 0) return lmdb_fail(c->env, code, "read state", err);
            if (state_key_is_long(*key)) {
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
