/* storage/state_runs.c - see state_runs.h. */
#include "storage/state_runs.h"

#include "core/bytes.h"
#include "core/hash.h"
#include "core/must.h"
#include "core/text.h"
#include "storage/run_block.h"

#include <errno.h>
#include <stdlib.h>

#define FAN_IN 8 /* runs of one tier that are merged */
#define BOOK_HEAD_BYTES 32
#define RUN_BYTES 32
#define PIECE_BYTES ((size_t)1 << 20) /* of a merge, in memory at once */
#define HASHES_AHEAD 8
#define BLOCKS_A_PAGE 32 /* about so many of a run's blocks are listed in one page of the tree that LMDB keeps */

/* A block that fills a page of overflow but for LMDB's header. */
run_limits state_run_limits = { .tree_bytes = (size_t)4 << 20, .epoch_bytes = (size_t)256 << 10, .block_bytes = 4096 - 16,
                                .tier_bytes = (size_t)1 << 20, .least_bytes = (size_t)64 << 10 };

/* ---- keys ---- */

static state_lmdb_key key_of_kind(const state_space *space, char kind)
{
    state_lmdb_key k; /* not cleared: it is long */

    k.len = space->prefix_len + 3;
    memcpy(k.bytes, space->prefix, space->prefix_len);
    put_u16(k.bytes + space->prefix_len, RUNS_STORE);
    k.bytes[space->prefix_len + 2] = kind;
    return k;
}

static void key_add_place(state_lmdb_key *k, uint16_t store, slice key)
{
    size_t whole = state_key_is_long(key) ? STATE_KEY_WHOLE_MAX : key.len;

    put_u16(k->bytes + k->len, store);
    if (whole > 0) memcpy(k->bytes + k->len + 2, key.data, whole);
    k->len += 2 + whole;
}

static state_lmdb_key run_start(const state_space *space, uint64_t id)
{
    state_lmdb_key k = key_of_kind(space, 'r');

    put_u64(k.bytes + k.len, id);
    k.len += 8;
    return k;
}

static bool begins_with(MDB_val at, const char *bytes, size_t len)
{
    return at.mv_size >= len && memcmp(at.mv_data, bytes, len) == 0;
}

/* ---- the book ---- */

static run read_run(const char *at)
{
    return (run){ get_u64(at), get_u64(at + 8), get_u64(at + 16), get_u64(at + 24) };
}

static void add_run(text *t, const run *r)
{
    text_add_u64(t, r->id);
    text_add_u64(t, r->entries);
    text_add_u64(t, r->bytes);
    text_add_u64(t, r->into);
}

static int find_book(MDB_txn *txn, const state_space *space, slice *book, uint32_t *runs)
{
    state_lmdb_key k = key_of_kind(space, 'b');
    MDB_val data;
    int code = mdb_get(txn, space->dbi, &(MDB_val){ k.len, k.bytes }, &data);

    *runs = 0;
    *book = NO_SLICE;
    if (code != 0) return code == MDB_NOTFOUND ? 0 : code;
    *book = lmdb_slice(data);
    if (book->len < BOOK_HEAD_BYTES) return MDB_CORRUPTED;
    *runs = get_u32(book->data + 24);
    return book->len - BOOK_HEAD_BYTES < (size_t)*runs * RUN_BYTES ? MDB_CORRUPTED : 0;
}

static run run_in_book(slice book, uint32_t i)
{
    return read_run(book.data + BOOK_HEAD_BYTES + (size_t)i * RUN_BYTES);
}

int runs_load(MDB_txn *txn, const state_space *space, run_book *out)
{
    slice stored;
    uint32_t count;
    int code = find_book(txn, space, &stored, &count);

    *out = (run_book){ 0 };
    if (code != 0 || stored.data == NULL) return code;
    reader_bytes in = read_from(stored);
    out->last_id = read_u64(&in);
    out->tree_bytes = read_u64(&in);
    out->erased = read_u64(&in);
    out->run_count = read_u32(&in);
    out->merge_count = read_u32(&in);
    out->runs = must(calloc(1, (count + 2) * sizeof *out->runs)); /* room for one that is added, see runs_add() */
    for (uint32_t i = 0; i < count; i++) out->runs[i] = read_run(read_bytes(&in, RUN_BYTES));
    if ((size_t)(in.end - in.at) / (RUN_BYTES + 4) < out->merge_count) return MDB_CORRUPTED;
    out->merges = must(calloc(1, (out->merge_count + count + 1) * sizeof *out->merges));
    for (uint32_t i = 0; i < out->merge_count; i++) {
        run_merge *m = &out->merges[i];
        const char *at = read_bytes(&in, RUN_BYTES);
        if (at != NULL) m->output = read_run(at);
        m->place = read_u32(&in);
        if (m->place > sizeof m->at || (at = read_bytes(&in, m->place)) == NULL) return MDB_CORRUPTED;
        memcpy(m->at, at, m->place);
    }
    return in.bad ? MDB_CORRUPTED : 0;
}

int runs_store(MDB_txn *txn, const state_space *space, const run_book *book)
{
    state_lmdb_key k = key_of_kind(space, 'b');
    text t = TEXT_EMPTY;

    text_add_u64(&t, book->last_id);
    text_add_u64(&t, book->tree_bytes);
    text_add_u64(&t, book->erased);
    text_add_u32(&t, book->run_count);
    text_add_u32(&t, book->merge_count);
    for (uint32_t i = 0; i < book->run_count; i++) add_run(&t, &book->runs[i]);
    for (uint32_t i = 0; i < book->merge_count; i++) {
        add_run(&t, &book->merges[i].output);
        text_add_u32(&t, book->merges[i].place);
        text_add(&t, (slice){ book->merges[i].at, book->merges[i].place });
    }
    MDB_val data = lmdb_val(text_slice(&t));
    int code = mdb_put(txn, space->dbi, &(MDB_val){ k.len, k.bytes }, &data, 0);
    text_free(&t);
    return code;
}

void runs_free(run_book *book)
{
    free(book->runs);
    free(book->merges);
    *book = (run_book){ 0 };
}

/* ---- what a task remembers ---- */

static uint64_t hash_in_store(uint16_t store, uint64_t hash)
{
    return hash ^ store * UINT64_C(0x9E3779B97F4A7C15);
}

static uint64_t place_hash(uint16_t store, slice key)
{
    return hash_in_store(store, hash_bytes(key));
}

/* NULL: a reader, or a run that was written before this process came to it. */
static run_guide *guide_of(const state_space *space, uint64_t run)
{
    return space->memory == NULL ? NULL : guides_find(&space->memory->guides, run);
}

static run_guide *guide_make(const state_space *space, uint64_t run, uint64_t keys)
{
    return space->memory == NULL ? NULL : guides_make(&space->memory->guides, run, keys);
}

static void guide_drop(const state_space *space, uint64_t run)
{
    if (space->memory != NULL) guides_drop(&space->memory->guides, run);
}

/* What the tree's guide knows is too little for a book from before the tree was emptied: that was aborted. */
static void check_tree_guide(const state_space *space, const run_book *book)
{
    run_memory *m = space->memory;

    if (m == NULL || book->last_id >= m->emptied_at) return;
    guide_drop(space, GUIDE_OF_TREE);
    m->emptied_at = 0;
}

void runs_note_key(const state_space *space, uint16_t store, slice key)
{
    run_guide *g = guide_of(space, GUIDE_OF_TREE);

    if (g == NULL || state_key_is_long(key)) return;
    guide_add_key(g, place_hash(store, key));
    if (guide_is_full(g)) guide_drop(space, GUIDE_OF_TREE);
}

static void note_emptied(const state_space *space, const run_book *book)
{
    run_guide *g = guide_of(space, GUIDE_OF_TREE);

    if (g != NULL) guide_forget_keys(g);
    if (space->memory != NULL) space->memory->emptied_at = book->last_id;
}

void run_memory_free(run_memory *m)
{
    guides_free(&m->guides);
    runs_free(&m->book);
    free(m->in_order);
    text_free(&m->fetched);
    *m = (run_memory){ 0 };
}

/* ---- writing a run ---- */

/* Makes a run's blocks. */
typedef struct run_writer {
    MDB_txn *txn;
    const state_space *space;
    run *output;
    run_guide *guide; /* NULL: none is kept */
    run_block_maker block;
    uint32_t block_count;
    state_lmdb_key first;
    uint16_t store;
    uint64_t hashes[HASHES_AHEAD]; /* of keys that the guide gets */
    uint32_t hash_count;           /* so far */
} run_writer;

/* Its line of the filter is asked for now, and written to some keys later. */
static void writer_note_key(run_writer *w, uint64_t hash)
{
    uint64_t *slot = &w->hashes[w->hash_count % HASHES_AHEAD];

    __builtin_prefetch(guide_bed_of(w->guide, hash), 1);
    if (w->hash_count++ >= HASHES_AHEAD) guide_add_key(w->guide, *slot);
    *slot = hash;
}

static void writer_note_rest(run_writer *w)
{
    uint32_t count = w->hash_count < HASHES_AHEAD ? w->hash_count : HASHES_AHEAD;

    for (uint32_t i = 0; i < count; i++) guide_add_key(w->guide, w->hashes[i]);
    w->hash_count = 0;
}

static int writer_end_block(run_writer *w)
{
    MDB_val key = { w->first.len, w->first.bytes }, data = { run_block_bytes(&w->block), NULL };

    if (w->block.count == 0) return 0;
    int code = w->block_count == 0 ? lmdb_raise_format(w->space->env, w->txn) : 0; /* 2 knows no close blocks */
    if (code == 0) code = mdb_put(w->txn, w->space->dbi, &key, &data, MDB_RESERVE);
    if (code != 0) return code;
    run_block_write(&w->block, data.mv_data);
    w->block_count++;
    return 0;
}

static int writer_add(run_writer *w, const state_change *entry)
{
    const size_t most = state_run_limits.block_bytes;

    if (entry->store != w->store || !run_block_add(&w->block, entry->key, entry->value, most)) {
        int code = writer_end_block(w);
        if (code != 0) return code;
        (void)run_block_add(&w->block, entry->key, entry->value, most);
    }
    if (w->block.count == 1) {
        w->store = entry->store;
        w->first = run_start(w->space, w->output->id);
        size_t start = w->first.len;
        key_add_place(&w->first, entry->store, entry->key);
        if (w->guide != NULL) guide_add_block(w->guide, (slice){ w->first.bytes + start, w->first.len - start });
    }
    if (w->guide != NULL) writer_note_key(w, place_hash(entry->store, entry->key));
    if (entry->value.data == NULL) return 0;
    w->output->entries++;
    w->output->bytes += entry->key.len + entry->value.len;
    return 0;
}

/* The rest of it. */
static int writer_finish(run_writer *w)
{
    writer_note_rest(w);
    return writer_end_block(w);
}

static void writer_free(run_writer *w)
{
    run_block_maker_free(&w->block);
}

/* ---- layers ---- */

typedef enum layer_kind { LAYER_CHANGES, LAYER_TREE, LAYER_ERASED, LAYER_RUN } layer_kind;

struct layer {
    layer_kind kind;
    bool is_over;
    state_change at;
    uint64_t head; /* its key's first bytes, as a number */
    const state_change *changes; /* the next one */
    uint32_t left;
    lmdb_env *env;
    MDB_cursor *cursor;
    state_lmdb_key start; /* what its LMDB keys begin with */
    run_block block;
    text fetched; /* what the block lies in: others may be written while it is read */
    uint32_t item;
    char key[STATE_KEY_WHOLE_MAX]; /* of the item */
};

static int compare_places(const layer *a, const layer *b)
{
    if (a->at.store != b->at.store) return a->at.store < b->at.store ? -1 : 1;
    if (a->head != b->head) return a->head < b->head ? -1 : 1;
    return slice_compare(a->at.key, b->at.key);
}

static void layer_stand(layer *l, state_change at)
{
    l->at = at;
    l->head = bytes_head(at.key);
}

static int open_layer(layer *l, layer_kind kind, MDB_txn *txn, const state_space *space, uint64_t run_id)
{
    *l = (layer){ .kind = kind, .is_over = true, .env = space->env };
    switch (kind) {
    case LAYER_RUN: l->start = run_start(space, run_id); break;
    case LAYER_ERASED: l->start = key_of_kind(space, 'e'); break;
    default:
        memcpy(l->start.bytes, space->prefix, space->prefix_len);
        l->start.len = space->prefix_len;
        break;
    }
    return mdb_cursor_open(txn, space->dbi, &l->cursor);
}

static void close_layer(layer *l)
{
    if (l->cursor != NULL) mdb_cursor_close(l->cursor);
    text_free(&l->fetched);
}

static void next_change(layer *l)
{
    while (l->left > 0 && state_key_is_long(l->changes->key)) l->changes++, l->left--;
    l->is_over = l->left == 0;
    if (l->is_over) return;
    if (l->left > CHANGES_AHEAD) {
        __builtin_prefetch(l->changes[CHANGES_AHEAD].key.data);
        __builtin_prefetch(l->changes[CHANGES_AHEAD].value.data);
    }
    layer_stand(l, *l->changes++);
    l->left--;
}

/* Of the tree or of what is erased: code is what LMDB said of the cursor's move. */
static int take_tree_entry(layer *l, int code, MDB_val key, MDB_val data)
{
    l->is_over = code != 0 || !begins_with(key, l->start.bytes, l->start.len) || key.mv_size < l->start.len + 2;
    if (l->is_over) return code == MDB_NOTFOUND ? 0 : code;
    const char *at = (char *)key.mv_data + l->start.len;
    uint16_t store = get_u16(at);
    slice value = l->kind == LAYER_TREE ? lmdb_slice(data) : NO_SLICE;
    l->is_over = l->kind == LAYER_TREE && store == RUNS_STORE;
    layer_stand(l, (state_change){ store, { at + 2, key.mv_size - l->start.len - 2 }, value });
    return 0;
}

static int take_item(layer *l)
{
    const size_t prefix_len = l->block.prefix.len;
    slice rest, value;

    if (!run_block_item(&l->block, l->item, &rest, &value) || prefix_len + rest.len > sizeof l->key) return MDB_CORRUPTED;
    copy_short(l->key + prefix_len, rest.data, rest.len);
    layer_stand(l, (state_change){ l->at.store, { l->key, prefix_len + rest.len }, value });
    return 0;
}

/* The cursor has come to a block, if it has. */
static int take_block(layer *l, int code, MDB_val key, MDB_val data)
{
    l->is_over = code != 0 || !begins_with(key, l->start.bytes, l->start.len) || key.mv_size < l->start.len + 2;
    if (l->is_over) return code == MDB_NOTFOUND ? 0 : code;
    slice bytes;
    if ((code = lmdb_fetch(l->env, data, &l->fetched, &bytes)) != 0) return code;
    if (bytes.data != l->fetched.data) {
        text_clear(&l->fetched);
        text_add(&l->fetched, bytes);
    }
    if (!run_block_see(text_slice(&l->fetched), &l->block) || l->block.prefix.len > sizeof l->key) return MDB_CORRUPTED;
    copy_short(l->key, l->block.prefix.data, l->block.prefix.len);
    l->at.store = get_u16((char *)key.mv_data + l->start.len);
    l->item = 0;
    return 0;
}

static int layer_next(layer *l)
{
    MDB_val key, data;

    if (l->kind == LAYER_CHANGES) {
        next_change(l);
        return 0;
    }
    if (l->kind != LAYER_RUN) {
        int code = mdb_cursor_get(l->cursor, &key, &data, MDB_NEXT);
        return take_tree_entry(l, code, key, data);
    }
    if (++l->item >= l->block.items) {
        int code = mdb_cursor_get(l->cursor, &key, &data, MDB_NEXT);
        if ((code = take_block(l, code, key, data)) != 0 || l->is_over) return code;
    }
    return take_item(l);
}

/* Moves the cursor to the block that may hold the place: the last one that begins at or before it. Its key and bytes; or what
 * comes behind all that begin before. */
static int find_block(MDB_cursor *cursor, const state_lmdb_key *start, const state_lmdb_key *place, MDB_val *key, MDB_val *data)
{
    *key = (MDB_val){ place->len, (void *)place->bytes };
    int code = mdb_cursor_get(cursor, key, data, MDB_SET_RANGE);

    if (code == 0 && key->mv_size == place->len && memcmp(key->mv_data, place->bytes, place->len) == 0) return 0;
    if (code != 0 && code != MDB_NOTFOUND) return code;
    code = mdb_cursor_get(cursor, key, data, code == 0 ? MDB_PREV : MDB_LAST);
    if (code == MDB_NOTFOUND) return mdb_cursor_get(cursor, key, data, MDB_FIRST);
    if (code != 0 || begins_with(*key, start->bytes, start->len)) return code;
    return mdb_cursor_get(cursor, key, data, MDB_NEXT);
}

static int layer_seek(layer *l, uint16_t store, slice key)
{
    state_lmdb_key place = l->start;
    MDB_val at, data;
    int code;

    if (l->kind == LAYER_CHANGES) return EINVAL; /* is read once, from its beginning */
    key_add_place(&place, store, key);
    if (l->kind != LAYER_RUN) {
        at = (MDB_val){ place.len, place.bytes };
        code = mdb_cursor_get(l->cursor, &at, &data, MDB_SET_RANGE);
        return take_tree_entry(l, code, at, data);
    }
    code = find_block(l->cursor, &l->start, &place, &at, &data);
    if ((code = take_block(l, code, at, data)) != 0 || l->is_over) return code;
    if (l->at.store == store) {
        if (!run_block_find(&l->block, key, &l->item)) return MDB_CORRUPTED;
    } else if (l->at.store < store) {
        l->item = l->block.items;
    }
    if (l->item < l->block.items) return take_item(l);
    l->item--;
    return layer_next(l);
}

static int layers_add(layers *m, layer_kind kind, MDB_txn *txn, const state_space *space, uint64_t run_id)
{
    return open_layer(&m->items[m->count++], kind, txn, space, run_id);
}

static void layers_add_changes(layers *m, const state_change *changes, uint32_t count)
{
    layer *l = &m->items[m->count++];

    *l = (layer){ .kind = LAYER_CHANGES, .changes = changes, .left = count };
    next_change(l);
}

static void layers_make(layers *m, uint32_t room)
{
    *m = (layers){ .items = must(calloc(1, room * sizeof *m->items)), .order = must(calloc(1, room * sizeof *m->order)) };
}

int layers_open(layers *m, MDB_txn *txn, const state_space *space)
{
    slice book;
    uint32_t runs;
    int code = find_book(txn, space, &book, &runs);

    layers_make(m, runs + 2);
    if (code == 0) code = layers_add(m, LAYER_TREE, txn, space, 0);
    if (code == 0 && runs > 0) code = layers_add(m, LAYER_ERASED, txn, space, 0);
    for (uint32_t i = 0; i < runs && code == 0; i++) {
        code = layers_add(m, LAYER_RUN, txn, space, run_in_book(book, i).id);
    }
    return code;
}

void layers_close(layers *m)
{
    for (uint32_t i = 0; i < m->count; i++) close_layer(&m->items[i]);
    free(m->items);
    free(m->order);
    *m = (layers){ 0 };
}

int layers_seek(layers *m, uint16_t store, slice key)
{
    m->is_ordered = m->is_given = false;
    for (uint32_t i = 0; i < m->count; i++) {
        int code = layer_seek(&m->items[i], store, key);
        if (code != 0) return code;
    }
    return 0;
}

static bool comes_before(const layer *a, const layer *b)
{
    int order = compare_places(a, b);

    return order < 0 || (order == 0 && a < b);
}

/* The first in the order has gone on. */
static void put_first_in_order(layers *m)
{
    layer *l = m->order[0];
    uint32_t at = 0;

    for (; at + 1 < m->standing && (l->is_over || comes_before(m->order[at + 1], l)); at++) m->order[at] = m->order[at + 1];
    m->order[at] = l;
    m->standing -= l->is_over;
}

static void put_all_in_order(layers *m)
{
    m->standing = 0;
    for (uint32_t i = m->count; i-- > 0;) {
        if (m->items[i].is_over) continue;
        memmove(m->order + 1, m->order, m->standing++ * sizeof *m->order);
        m->order[0] = &m->items[i];
        put_first_in_order(m);
    }
    m->is_ordered = true;
}

/* All that stand at the key that was given go on. */
static int pass_given(layers *m)
{
    uint32_t same = 1;
    int code = 0;

    while (same < m->standing && compare_places(m->order[same], m->order[0]) == 0) same++;
    for (; same > 0 && code == 0; same--) {
        code = layer_next(m->order[0]);
        put_first_in_order(m);
    }
    return code;
}

int layers_next(layers *m, const state_change **out)
{
    int code = m->is_given ? pass_given(m) : 0;

    *out = NULL;
    if (code != 0) return code;
    if (!m->is_ordered) put_all_in_order(m);
    m->is_given = m->standing > 0;
    if (m->is_given) *out = &m->order[0]->at;
    return 0;
}

/* ---- looking up ---- */

static int find_in_block(slice bytes, slice key, slice *value, bool *known)
{
    run_block block;

    return run_block_see(bytes, &block) && run_block_get(&block, key, value, known) ? 0 : MDB_CORRUPTED;
}

static int get_in_run(MDB_txn *txn, const state_space *space, uint64_t id, uint16_t store, slice key, slice *value, bool *known)
{
    state_lmdb_key start = run_start(space, id), place = start;
    MDB_cursor *cursor;
    MDB_val at, data;
    int code = mdb_cursor_open(txn, space->dbi, &cursor);

    *known = false;
    if (code != 0) return code;
    key_add_place(&place, store, key);
    code = find_block(cursor, &start, &place, &at, &data);
    if (code == 0 && begins_with(at, place.bytes, start.len + 2)) code = find_in_block(lmdb_slice(data), key, value, known);
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? 0 : code;
}

/* In the tree, or erased there, which is known as well: without a value. */
static int get_in_tree(MDB_txn *txn, const state_space *space, bool has_erased, uint16_t store, slice key, slice *value, bool *known)
{
    state_lmdb_key k = { .len = space->prefix_len }, erased = key_of_kind(space, 'e');
    MDB_val data;

    memcpy(k.bytes, space->prefix, space->prefix_len);
    key_add_place(&k, store, key);
    lmdb_touched(space->env);
    int code = mdb_get(txn, space->dbi, &(MDB_val){ k.len, k.bytes }, &data);
    *known = code == 0;
    *value = code == 0 ? lmdb_slice(data) : NO_SLICE;
    if (code != MDB_NOTFOUND || !has_erased) return code == MDB_NOTFOUND ? 0 : code;
    key_add_place(&erased, store, key);
    code = mdb_get(txn, space->dbi, &(MDB_val){ erased.len, erased.bytes }, &data);
    *known = code == 0;
    return code == MDB_NOTFOUND ? 0 : code;
}

/* ---- looking up with guides ---- */

/* Of a run that was written before this process came to it. */
static int read_guide(MDB_txn *txn, const state_space *space, const run *r)
{
    run_guide *g = guide_make(space, r->id, r->entries);
    layer l;
    int code = open_layer(&l, LAYER_RUN, txn, space, r->id);

    if (code == 0) code = layer_seek(&l, 0, NO_SLICE);
    while (code == 0 && !l.is_over) {
        if (l.item == 0) {
            state_lmdb_key first = { 0 };
            key_add_place(&first, l.at.store, l.at.key);
            guide_add_block(g, (slice){ first.bytes, first.len });
        }
        guide_add_key(g, place_hash(l.at.store, l.at.key));
        code = layer_next(&l);
    }
    close_layer(&l);
    guide_end_blocks(g);
    if (code != 0) guide_drop(space, r->id);
    return code;
}

/* Of the tree and what is erased there: how many these are is not known before. */
static int read_tree_guide(MDB_txn *txn, const state_space *space)
{
    text hashes = TEXT_EMPTY;
    int code = 0;

    for (layer_kind kind = LAYER_TREE; kind <= LAYER_ERASED && code == 0; kind++) {
        layer l;
        code = open_layer(&l, kind, txn, space, 0);
        if (code == 0) code = layer_seek(&l, 0, NO_SLICE);
        for (; code == 0 && !l.is_over; code = layer_next(&l)) text_add_u64(&hashes, place_hash(l.at.store, l.at.key));
        close_layer(&l);
    }
    if (code == 0) {
        run_guide *g = guide_make(space, GUIDE_OF_TREE, 2 * (hashes.len / 8));
        for (size_t i = 0; i < hashes.len; i += 8) guide_add_key(g, get_u64(hashes.data + i));
    }
    text_free(&hashes);
    return code;
}

/* The book, read once a transaction, and a guide for each of what it has, made where there is none. */
static int remember(MDB_txn *txn, const state_space *space)
{
    run_memory *m = space->memory;
    size_t number = mdb_txn_id(txn);
    int code = 0;

    if (m->book_txn == number && m->in_order != NULL && m->in_order_changes == m->guides.changes) return 0;
    free(m->in_order);
    m->in_order = NULL; /* until all of it is there */
    runs_free(&m->book);
    if ((code = runs_load(txn, space, &m->book)) != 0) return code;
    check_tree_guide(space, &m->book);
    if (guide_of(space, GUIDE_OF_TREE) == NULL && (code = read_tree_guide(txn, space)) != 0) return code;
    for (uint32_t i = 0; i < m->book.run_count; i++) {
        const run *r = &m->book.runs[i];
        if (guide_of(space, r->id) == NULL && (code = read_guide(txn, space, r)) != 0) return code;
    }
    run_guide **at = m->in_order = must(calloc(1, (1 + m->book.run_count + m->book.merge_count) * sizeof *m->in_order));
    *at++ = guide_of(space, GUIDE_OF_TREE);
    for (uint32_t i = 0; i < m->book.run_count; i++) *at++ = guide_of(space, m->book.runs[i].id);
    for (uint32_t i = 0; i < m->book.merge_count; i++) *at++ = guide_of(space, m->book.merges[i].output.id);
    m->book_txn = number;
    m->in_order_changes = m->guides.changes;
    return 0;
}

/* Where the blocks of a run lie, without a touch of them: those that the guide knows, and no others. Of a merge's output (NULL: it
 * is none) only those up to where it has come. */
static int find_places(MDB_txn *txn, const state_space *space, run_guide *g, const run_merge *m)
{
    state_lmdb_key place = run_start(space, g->run);
    const size_t start = place.len;
    MDB_val key, data;
    MDB_cursor *cursor;
    int code = mdb_cursor_open(txn, space->dbi, &cursor);

    if (code != 0) return code;
    for (bool is_first = true; g->placed < g->block_count && code == 0; is_first = false) {
        slice first = guide_first(g, g->placed);
        if (m != NULL && slice_compare(first, (slice){ m->at, m->place }) > 0) break;
        if (is_first || g->placed % BLOCKS_A_PAGE == 0) lmdb_touched(space->env);
        if (is_first) {
            memcpy(place.bytes + start, first.data, first.len);
            key = (MDB_val){ start + first.len, place.bytes };
        }
        code = mdb_cursor_get(cursor, &key, &data, is_first ? MDB_SET_KEY : MDB_NEXT);
        if (code != 0 || key.mv_size != start + first.len || memcmp((char *)key.mv_data + start, first.data, first.len) != 0) {
            if (code == 0 || code == MDB_NOTFOUND) code = MDB_CORRUPTED;
            break;
        }
        g->blocks[g->placed].bytes = (uint32_t)data.mv_size;
        g->blocks[g->placed++].place = lmdb_place(space->env, data);
    }
    mdb_cursor_close(cursor);
    return code;
}

static int get_in_block(MDB_txn *txn, const state_space *space, const run_guide *g, const guide_block *block, slice first, slice key,
                        slice *value, bool *known)
{
    text *buffer = &space->memory->fetched;
    slice bytes;
    MDB_val data;
    int code;

    if (block->place != 0) {
        code = lmdb_fetch_from(space->env, block->place, block->bytes, buffer, &bytes);
    } else {
        state_lmdb_key k = run_start(space, g->run);
        memcpy(k.bytes + k.len, first.data, first.len);
        lmdb_touched(space->env);
        code = mdb_get(txn, space->dbi, &(MDB_val){ k.len + first.len, k.bytes }, &data);
        if (code == 0) bytes = lmdb_slice(data);
    }
    if (code != 0) return code == MDB_NOTFOUND ? MDB_CORRUPTED : code;
    return find_in_block(bytes, key, value, known);
}

#define LOOKS_MAX 4096 /* at a time: so many that most find a run's filter in the cache */
#define LOOKS_AHEAD 16 /* so far before a key is looked for, its bed in the filter is asked for */

typedef struct look {
    guide_key asked;
    uint32_t key;
} look;

typedef struct look_up {
    MDB_txn *txn;
    const state_space *space;
    uint16_t store;
    const slice *keys;
    arena *memory; /* NULL: there is one key, whose value is lent */
    slice *values;
} look_up;

/* In a run that may have it. */
static int look_into_run(const look_up *l, run_guide *g, const run_merge *merge, slice key, slice *value, bool *known)
{
    state_lmdb_key place;
    slice first;
    int code = 0;

    *known = false;
    place.len = 0;
    key_add_place(&place, l->store, key);
    const guide_block *block = guide_block_of(g, (slice){ place.bytes, place.len }, &first);
    if (block == NULL || get_u16(first.data) != l->store) return 0;
    if (block >= g->blocks + g->placed && (code = find_places(l->txn, l->space, g, merge)) != 0) return code;
    return get_in_block(l->txn, l->space, g, block, first, key, value, known);
}

/* Those of the looks that a filter does not rule out. In a loop of its own, which waits for no look's outcome. */
static uint32_t ask_filter(const run_guide *g, const look *looks, uint32_t count, uint16_t *maybe)
{
    uint32_t found = 0;

    for (uint32_t j = 0; j < count; j++) {
        if (j + LOOKS_AHEAD < count) __builtin_prefetch(guide_bed_of(g, looks[j + LOOKS_AHEAD].asked.hash));
        maybe[found] = (uint16_t)j;
        found += guide_may_have(g, &looks[j].asked);
    }
    return found;
}

/* For all of these into the tree, a run, or a merge's output as far as it has come; those that it does not know stay. */
static int look_into(const look_up *l, run_guide *g, const run_merge *merge, look *looks, uint32_t *count)
{
    const run_memory *m = l->space->memory;
    uint16_t maybe[LOOKS_MAX + 1];
    const uint32_t maybe_count = ask_filter(g, looks, *count, maybe);
    uint32_t known_count = 0;
    int code = 0;

    for (uint32_t j = 0; j < maybe_count && code == 0; j++) {
        const uint32_t k = looks[maybe[j]].key;
        bool known = false;
        slice value;
        code = g->run == GUIDE_OF_TREE ? get_in_tree(l->txn, l->space, m->book.erased > 0, l->store, l->keys[k], &value, &known)
                                       : look_into_run(l, g, merge, l->keys[k], &value, &known);
        if (known) l->values[k] = l->memory == NULL ? value : arena_copy(l->memory, value);
        maybe[known_count] = maybe[j];
        known_count += known;
    }
    for (uint32_t j = known_count; j-- > 0;) looks[maybe[j]] = looks[--*count]; /* from the last on, whose place no later one takes */
    return code;
}

/* Those that the merge has passed come first: so many. */
static uint32_t part_passed(const look_up *l, const run_merge *m, look *looks, uint32_t count)
{
    const slice last = { m->at + 2, m->place - 2 };
    const uint16_t store = get_u16(m->at);
    const uint64_t head = bytes_head(last);
    uint32_t passed = 0;

    for (uint32_t j = 0; j < count; j++) {
        const look at = looks[j];
        const slice key = l->keys[at.key];
        const uint64_t key_head = bytes_head(key);
        bool is_passed = key_head < head || (key_head == head && slice_compare(key, last) <= 0);
        if (l->store != store) is_passed = l->store < store;
        looks[j] = looks[passed];
        looks[passed] = at;
        passed += is_passed;
    }
    return passed;
}

/* For those that the merge has passed into its output, for the others into all it is made of. */
static int look_into_merge(const look_up *l, const run_merge *m, run_guide *output, run_guide *const *inputs, uint32_t input_count,
                           look *looks, uint32_t *count)
{
    const uint32_t passed = part_passed(l, m, looks, *count);
    uint32_t kept = passed, left = *count - passed;
    int code = look_into(l, output, m, looks, &kept);

    for (uint32_t i = 0; i < input_count && code == 0; i++) code = look_into(l, inputs[i], NULL, looks + passed, &left);
    memmove(looks + kept, looks + passed, left * sizeof *looks);
    *count = kept + left;
    return code;
}

/* The merge of which a run is the first input, and how many follow; NULL: it is in none that can be looked into. */
static const run_merge *merge_at(const run_memory *m, uint32_t first, run_guide **output, uint32_t *inputs)
{
    const uint64_t into = m->book.runs[first].into;

    for (uint32_t i = 0; i < m->book.merge_count && into != 0; i++) {
        const run_merge *merge = &m->book.merges[i];
        *output = m->in_order[1 + m->book.run_count + i];
        if (merge->output.id != into) continue;
        if (*output == NULL || merge->place == 0) return NULL;
        for (*inputs = 0; first + *inputs < m->book.run_count && m->book.runs[first + *inputs].into == into;) ++*inputs;
        return merge;
    }
    return NULL;
}

/* Run by run, and all keys in each. */
static int get_guided(const look_up *l, const uint64_t *hashes, uint32_t count)
{
    const run_memory *m = l->space->memory;
    look looks[LOOKS_MAX]; /* those not known yet */
    int code = remember(l->txn, l->space);

    for (uint32_t k = 0; k < count; k++) {
        looks[k] = (look){ guide_key_of(hash_in_store(l->store, hashes[k])), k };
        l->values[k] = NO_SLICE;
    }
    if (code == 0) code = look_into(l, m->in_order[0], NULL, looks, &count);
    for (uint32_t i = 0, inputs; i < m->book.run_count && code == 0; i += inputs) {
        run_guide *const *g = m->in_order + 1 + i, *output;
        const run_merge *merge = merge_at(m, i, &output, &inputs);
        if (merge != NULL) {
            code = look_into_merge(l, merge, output, g, inputs, looks, &count);
        } else {
            inputs = 1;
            code = look_into(l, *g, NULL, looks, &count);
        }
    }
    return code;
}

int runs_get_all(MDB_txn *txn, const state_space *space, uint16_t store, const slice *keys, const uint64_t *hashes, uint32_t count,
                 arena *memory, slice *values)
{
    int code = 0;

    for (uint32_t from = 0; from < count && code == 0; from += LOOKS_MAX) {
        uint32_t some = count - from < LOOKS_MAX ? count - from : LOOKS_MAX;
        code = get_guided(&(look_up){ txn, space, store, keys + from, memory, values + from }, hashes + from, some);
    }
    return code;
}

int runs_get(MDB_txn *txn, const state_space *space, uint16_t store, slice key, slice *value, bool *found)
{
    bool known = false;
    slice book;
    uint32_t runs;
    int code;

    if (space->memory != NULL) {
        const uint64_t hash = hash_bytes(key);
        code = get_guided(&(look_up){ txn, space, store, &key, NULL, value }, &hash, 1);
        known = value->data != NULL;
    } else {
        code = find_book(txn, space, &book, &runs);
        if (code == 0) code = get_in_tree(txn, space, runs > 0 && get_u64(book.data + 16) > 0, store, key, value, &known);
        for (uint32_t i = 0; i < runs && code == 0 && !known; i++) {
            code = get_in_run(txn, space, run_in_book(book, i).id, store, key, value, &known);
        }
    }
    *found = code == 0 && known && value->data != NULL;
    return code;
}

/* ---- writing ---- */

int runs_erase(MDB_txn *txn, const state_space *space, run_book *book, uint16_t store, slice key)
{
    state_lmdb_key k = key_of_kind(space, 'e');
    MDB_val data = { 0, NULL };

    if (book->run_count == 0 || state_key_is_long(key)) return 0;
    key_add_place(&k, store, key);
    runs_note_key(space, store, key);
    int code = mdb_put(txn, space->dbi, &(MDB_val){ k.len, k.bytes }, &data, MDB_NOOVERWRITE);
    if (code == 0) {
        book->erased++;
        book->tree_bytes += key.len;
    }
    return code == MDB_KEYEXIST ? 0 : code;
}

int runs_restore(MDB_txn *txn, const state_space *space, run_book *book, uint16_t store, slice key)
{
    state_lmdb_key k = key_of_kind(space, 'e');

    if (book->erased == 0 || state_key_is_long(key)) return 0;
    key_add_place(&k, store, key);
    int code = mdb_del(txn, space->dbi, &(MDB_val){ k.len, k.bytes }, NULL);
    if (code == 0) book->erased--;
    return code == MDB_NOTFOUND ? 0 : code;
}

/* Deletes what begins so; *left (may be NULL) loses what goes. Long keys of the tree stay, and what is no entry of it. */
static int delete_all(MDB_txn *txn, const state_space *space, const state_lmdb_key *start, bool is_tree, state_growth *left)
{
    MDB_cursor *cursor;
    state_lmdb_key first = *start;
    MDB_val key = { 0, first.bytes }, data;
    int code = mdb_cursor_open(txn, space->dbi, &cursor);

    if (code != 0) return code;
    if (is_tree) key_add_place(&first, 0, NO_SLICE); /* the prefix may be empty, and LMDB looks for no such key */
    key.mv_size = first.len;
    code = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
    while (code == 0 && begins_with(key, start->bytes, start->len)) {
        size_t len = key.mv_size - space->prefix_len - 2;
        if (is_tree && get_u16((char *)key.mv_data + space->prefix_len) == RUNS_STORE) break;
        if (!is_tree || len <= STATE_KEY_WHOLE_MAX) {
            if (left != NULL) {
                left->entries--;
                left->bytes -= (int64_t)(len + data.mv_size);
            }
            if ((code = mdb_cursor_del(cursor, 0)) != 0) break;
            if (!is_tree) lmdb_touched(space->env); /* to delete a block, LMDB looks into it */
        }
        code = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? 0 : code;
}

/* Everything the layers have, or so many bytes of it; *is_over: nothing is left. Deletions hide nothing where the run will be
 * the oldest, and are left out. */
static int write_layers(run_writer *w, layers *m, bool is_oldest, size_t bytes_max, const state_change **last, bool *is_over)
{
    const state_change *entry;
    size_t bytes = 0;
    int code;

    *last = NULL;
    while ((code = layers_next(m, &entry)) == 0 && entry != NULL) {
        if (state_key_is_long(entry->key)) continue;
        if ((entry->value.data != NULL || !is_oldest) && (code = writer_add(w, entry)) != 0) break;
        bytes += entry->key.len + entry->value.len + 8;
        if (bytes >= bytes_max) {
            *last = entry;
            break;
        }
    }
    *is_over = entry == NULL;
    return code;
}

/* Entries that were copied. */
typedef struct copied {
    arena *memory;
    state_change *items;
    uint32_t count, room;
} copied;

static void copy_entry(copied *to, const state_change *entry)
{
    if (to->count == to->room) {
        to->room = to->room == 0 ? 16 : 2 * to->room;
        to->items = must(realloc(to->items, to->room * sizeof *to->items));
    }
    to->items[to->count++] = (state_change){ entry->store, arena_copy(to->memory, entry->key), arena_copy(to->memory, entry->value) };
}

/* Of the tree or of what is erased, but for long keys: whatever is written moves its pages. */
static int copy_layer(copied *to, layer_kind kind, MDB_txn *txn, const state_space *space)
{
    layer l;
    int code = open_layer(&l, kind, txn, space, 0);

    if (code == 0) code = layer_seek(&l, 0, NO_SLICE);
    for (; code == 0 && !l.is_over; code = layer_next(&l)) {
        if (!state_key_is_long(l.at.key)) copy_entry(to, &l.at);
    }
    close_layer(&l);
    return code;
}

int runs_add(MDB_txn *txn, const state_space *space, run_book *book, const state_change *changes, uint32_t count,
             state_growth *growth)
{
    run made = { .id = ++book->last_id };
    run_writer w = { .txn = txn, .space = space, .output = &made,
                     .guide = guide_make(space, made.id, count + book->erased + book->tree_bytes / 64) };
    state_lmdb_key tree = { .len = space->prefix_len }, erased = key_of_kind(space, 'e');
    copied old = { .memory = arena_new(0) }, gone = { .memory = old.memory };
    const state_change *last;
    bool is_over;
    layers m;

    int code = copy_layer(&old, LAYER_TREE, txn, space);
    if (code == 0) code = copy_layer(&gone, LAYER_ERASED, txn, space);
    layers_make(&m, 3);
    layers_add_changes(&m, changes, count);
    layers_add_changes(&m, old.items, old.count);
    layers_add_changes(&m, gone.items, gone.count);
    if (code == 0) code = write_layers(&w, &m, book->run_count == 0, SIZE_MAX, &last, &is_over);
    layers_close(&m);
    free(old.items);
    free(gone.items);
    arena_free(old.memory);
    if (code == 0) code = writer_finish(&w);
    if (w.guide != NULL) guide_end_blocks(w.guide);
    writer_free(&w);
    memcpy(tree.bytes, space->prefix, space->prefix_len);
    if (code == 0) code = delete_all(txn, space, &tree, true, growth);
    if (code == 0 && book->erased > 0) code = delete_all(txn, space, &erased, false, NULL);
    if (code != 0) return code;
    book->tree_bytes = book->erased = 0;
    note_emptied(space, book);
    growth->entries += (int64_t)made.entries;
    growth->bytes += (int64_t)made.bytes;
    if (w.block_count == 0) return 0;
    if (book->runs == NULL) book->runs = must(calloc(1, 2 * sizeof *book->runs));
    memmove(book->runs + 1, book->runs, book->run_count++ * sizeof *book->runs);
    book->runs[0] = made;
    return 0;
}

/* ---- merging ---- */

static uint32_t tier_of(const run *r)
{
    uint64_t most = state_run_limits.tier_bytes;
    uint32_t tier = 0;

    for (; r->bytes > most && tier < 20; tier++) most *= FAN_IN;
    return tier;
}

/* Neighbours of one tier. A run is at least of the tier of those before it, so that none is left behind. */
static void plan_merges(const state_space *space, run_book *book)
{
    uint32_t tier = 0;

    if (book->merges == NULL) book->merges = must(calloc(1, (book->run_count + 1) * sizeof *book->merges));
    for (uint32_t from = 0, to; from < book->run_count; from = to) {
        to = from + 1;
        if (tier_of(&book->runs[from]) > tier) tier = tier_of(&book->runs[from]);
        if (book->runs[from].into != 0) continue;
        while (to < book->run_count && book->runs[to].into == 0 && tier_of(&book->runs[to]) <= tier) to++;
        if (to - from < FAN_IN) continue;
        run_merge *m = &book->merges[book->merge_count++];
        *m = (run_merge){ .output.id = ++book->last_id };
        uint64_t keys = 0;
        for (uint32_t i = from; i < to; i++) {
            book->runs[i].into = m->output.id;
            keys += book->runs[i].entries;
        }
        (void)guide_make(space, m->output.id, keys);
    }
}

static uint32_t first_input(const run_book *book, const run_merge *m, uint32_t *count)
{
    uint32_t first = 0;

    while (book->runs[first].into != m->output.id) first++;
    *count = 0;
    while (first + *count < book->run_count && book->runs[first + *count].into == m->output.id) (*count)++;
    return first;
}

/* The output takes the inputs' place. */
static int finish(MDB_txn *txn, const state_space *space, run_book *book, const run_merge *m, state_growth *growth)
{
    uint32_t count, first = first_input(book, m, &count);
    bool is_empty = m->output.entries == 0 && first + count == book->run_count;
    int code = 0;

    for (uint32_t i = first; i < first + count && code == 0; i++) {
        state_lmdb_key blocks = run_start(space, book->runs[i].id);
        growth->entries -= (int64_t)book->runs[i].entries;
        growth->bytes -= (int64_t)book->runs[i].bytes;
        code = delete_all(txn, space, &blocks, false, NULL);
        guide_drop(space, book->runs[i].id);
    }
    growth->entries += (int64_t)m->output.entries;
    growth->bytes += (int64_t)m->output.bytes;
    if (guide_of(space, m->output.id) != NULL) guide_end_blocks(guide_of(space, m->output.id));
    book->runs[first] = m->output;
    uint32_t kept = first + !is_empty;
    memmove(book->runs + kept, book->runs + first + count, (book->run_count - first - count) * sizeof *book->runs);
    book->run_count -= first + count - kept;
    return code;
}

/* By a piece. */
static int carry_on(MDB_txn *txn, const state_space *space, run_book *book, run_merge *m, size_t bytes, bool *is_over)
{
    uint32_t count, first = first_input(book, m, &count);
    run_writer w = { .txn = txn, .space = space, .output = &m->output, .guide = guide_of(space, m->output.id) };
    const state_change *last = NULL;
    layers in;
    int code = 0;

    if (w.guide != NULL) guide_cut(w.guide, (slice){ m->at, m->place });
    layers_make(&in, count);
    for (uint32_t i = first; i < first + count && code == 0; i++) code = layers_add(&in, LAYER_RUN, txn, space, book->runs[i].id);
    if (code == 0 && m->place == 0) code = layers_seek(&in, 0, NO_SLICE);
    if (code == 0 && m->place > 0) {
        const slice done = { m->at + 2, m->place - 2 };
        code = layers_seek(&in, get_u16(m->at), done);
        if (code == 0) code = layers_next(&in, &last); /* the one that was written last: passed over */
    }
    if (code == 0) code = write_layers(&w, &in, first + count == book->run_count, bytes, &last, is_over);
    if (code == 0 && last != NULL) {
        put_u16(m->at, last->store);
        if (last->key.len > 0) memcpy(m->at + 2, last->key.data, last->key.len);
        m->place = 2 + (uint32_t)last->key.len;
    }
    layers_close(&in);
    if (code == 0) code = writer_finish(&w);
    writer_free(&w);
    return code;
}

int runs_merge(MDB_txn *txn, const state_space *space, run_book *book, size_t bytes, state_growth *growth)
{
    size_t each = bytes + bytes / 4 < state_run_limits.least_bytes ? state_run_limits.least_bytes : bytes + bytes / 4;

    if (book->run_count == 0) return 0;
    plan_merges(space, book);
    for (uint32_t i = 0; i < book->merge_count;) {
        bool is_over = false;
        int code = 0;
        for (size_t left = each, piece; left > 0 && code == 0 && !is_over; left -= piece) {
            piece = left < PIECE_BYTES ? left : PIECE_BYTES;
            code = carry_on(txn, space, book, &book->merges[i], piece, &is_over);
        }
        if (code == 0 && is_over) {
            code = finish(txn, space, book, &book->merges[i], growth);
            memmove(book->merges + i, book->merges + i + 1, (--book->merge_count - i) * sizeof *book->merges);
        } else {
            i++;
        }
        if (code != 0) return code;
    }
    return 0;
}
