/* executor/state_table.c - open addressing with linear probing; slots carry the hash, so that a probe touches an entry only
 * when it is most likely the one. */
#include "executor/state_table.h"

#include "core/hash.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct slot {
    uint64_t hash;
    entry *entry; /* NULL: free */
} slot;

struct state_table {
    task_state *state;
    payload_class class;
    slab *memory;
    size_t budget_bytes;
    slot *slots;
    uint32_t mask, used;
    uint32_t sweep_at;     /* where the search for entries to evict goes on */
    entry **updates;       /* the epoch's update log: every touch in order */
    uint32_t update_count, update_room;
    size_t dirty_bytes;    /* fixed parts of dirty entries: tails come on top */
    uint16_t store;
    bool stored_elsewhere; /* the committed state may hold keys that memory does not */
    uint64_t *evicted;     /* a Bloom filter of the keys evicted, where all others are in memory; NULL: no such knowledge */
    uint32_t update_limit; /* the update log is shortened when it reaches this */
};

#define FIRST_SLOTS 64
#define UPDATES_FIRST 65536
#define FILTER_WORDS ((uint32_t)1 << 18) /* 2 MiB: about 1 in 100 wrong at a million keys */

static void *must(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "weir: out of memory for state\n");
        abort();
    }
    return memory;
}

void change_list_add(change_list *list, state_change change)
{
    if (list->count == list->room) {
        list->room = list->room == 0 ? 64 : list->room * 2;
        list->items = must(realloc(list->items, list->room * sizeof *list->items));
    }
    list->items[list->count++] = change;
}

void change_list_free(change_list *list)
{
    free(list->items);
    *list = (change_list){ 0 };
}

static size_t entry_bytes(const state_table *t, uint32_t key_len)
{
    return sizeof(entry) + t->class.bytes + key_len;
}

slice entry_key(const state_table *t, const entry *e)
{
    return (slice){ (const char *)(e + 1) + t->class.bytes, e->key_len };
}

state_table *state_table_new(task_state *state, uint16_t store, const payload_class *class, slab *memory,
                             size_t budget_bytes)
{
    state_table *t = must(calloc(1, sizeof *t));

    t->state = state;
    t->store = store;
    t->class = *class;
    t->memory = memory;
    t->budget_bytes = budget_bytes;
    t->slots = must(calloc(FIRST_SLOTS, sizeof *t->slots));
    t->mask = FIRST_SLOTS - 1;
    t->update_limit = UPDATES_FIRST;
    return t;
}

static void drop_entry(state_table *t, entry *e)
{
    if (!e->is_deleted && t->class.drop != NULL) t->class.drop(t->class.self, entry_payload(e));
    slab_free(t->memory, e, entry_bytes(t, e->key_len));
}

static void drop_all(state_table *t)
{
    for (uint32_t i = 0; i <= t->mask; i++) {
        if (t->slots[i].entry != NULL) drop_entry(t, t->slots[i].entry);
    }
}

void state_table_free(state_table *t)
{
    if (t == NULL) return;
    drop_all(t);
    free(t->slots);
    free(t->updates);
    free(t->evicted);
    free(t);
}

weir_rc state_table_open(state_table *t, weir_error *err)
{
    state_cursor *cursor;
    slice key, value;

    WEIR_TRY(task_state_scan(t->state, t->store, NO_SLICE, NO_SLICE, &cursor, err));
    weir_rc rc = state_cursor_next(cursor, &key, &value, &t->stored_elsewhere, err);
    state_cursor_close(cursor);
    return rc;
}

static void grow(state_table *t)
{
    uint32_t mask = t->mask * 2 + 1;
    slot *slots = must(calloc((size_t)mask + 1, sizeof *slots));

    for (uint32_t i = 0; i <= t->mask; i++) {
        if (t->slots[i].entry == NULL) continue;
        uint32_t at = (uint32_t)t->slots[i].hash & mask;
        while (slots[at].entry != NULL) at = (at + 1) & mask;
        slots[at] = t->slots[i];
    }
    free(t->slots);
    t->slots = slots;
    t->mask = mask;
}

static entry *probe(const state_table *t, uint64_t hash, slice key)
{
    for (uint32_t at = (uint32_t)hash & t->mask; t->slots[at].entry != NULL; at = (at + 1) & t->mask) {
        if (t->slots[at].hash != hash) continue;
        if (slice_equal(entry_key(t, t->slots[at].entry), key)) return t->slots[at].entry;
    }
    return NULL;
}

static entry *insert(state_table *t, uint64_t hash, slice key)
{
    if ((t->used + 1) * 10ull > (t->mask + 1ull) * 7) grow(t);
    entry *e = slab_alloc(t->memory, entry_bytes(t, (uint32_t)key.len));
    *e = (entry){ .hash = hash, .key_len = (uint32_t)key.len };
    if (key.len > 0) memcpy((char *)(e + 1) + t->class.bytes, key.data, key.len);
    uint32_t at = (uint32_t)hash & t->mask;
    while (t->slots[at].entry != NULL) at = (at + 1) & t->mask;
    t->slots[at] = (slot){ hash, e };
    t->used++;
    return e;
}

/* Four bits of one word: a look-up is one cache line. */
static uint64_t filter_bits(uint64_t hash)
{
    uint64_t bits = hash >> 18;

    return (uint64_t)1 << (bits & 63) | (uint64_t)1 << (bits >> 6 & 63) | (uint64_t)1 << (bits >> 12 & 63) |
           (uint64_t)1 << (bits >> 18 & 63);
}

static uint64_t *filter_word(uint64_t *filter, uint64_t hash)
{
    return &filter[hash & (FILTER_WORDS - 1)];
}

/* Whether a key that is not in memory may be in the committed state. */
static bool may_be_stored(const state_table *t, uint64_t hash)
{
    if (!t->stored_elsewhere) return false;
    return t->evicted == NULL || (*filter_word(t->evicted, hash) & filter_bits(hash)) == filter_bits(hash);
}

/* Takes the entry's slot out and closes the gap in its probe run. */
static void remove_slot(state_table *t, entry *e)
{
    uint32_t gap = (uint32_t)e->hash & t->mask;

    while (t->slots[gap].entry != e) gap = (gap + 1) & t->mask;
    for (uint32_t at = (gap + 1) & t->mask; t->slots[at].entry != NULL; at = (at + 1) & t->mask) {
        uint32_t home = (uint32_t)t->slots[at].hash & t->mask;
        if (((at - home) & t->mask) >= ((at - gap) & t->mask)) {
            t->slots[gap] = t->slots[at];
            gap = at;
        }
    }
    t->slots[gap].entry = NULL;
    t->used--;
}

static weir_rc load(state_table *t, slice key, uint64_t hash, entry **found, weir_error *err)
{
    slice stored;
    bool is_there;

    *found = NULL;
    WEIR_TRY(task_state_get(t->state, t->store, key, &stored, &is_there, err));
    if (!is_there) return WEIR_OK;
    entry *e = insert(t, hash, key);
    reader_bytes in = read_from(stored);
    memset(entry_payload(e), 0, t->class.bytes);
    e->is_stored = true;
    if (!t->class.decode(t->class.self, &in, entry_payload(e)) || in.at != in.end) {
        e->is_deleted = true; /* its payload is not to be dropped */
        return weir_fail(err, WEIR_STORAGE, NOWHERE,
                         "stored state cannot be read (store %u, %zu bytes): it was written by another version or is "
                         "damaged; drop the query and create it again to rebuild it", t->store, stored.len);
    }
    *found = e;
    return WEIR_OK;
}

static weir_rc find_hashed(state_table *t, slice key, uint64_t hash, bool add, entry **found, weir_error *err)
{
    entry *e = probe(t, hash, key);

    if (e == NULL && may_be_stored(t, hash)) WEIR_TRY(load(t, key, hash, &e, err));
    if (e != NULL && e->is_deleted && !add) e = NULL;
    if (add && (e == NULL || e->is_deleted)) {
        if (e == NULL) e = insert(t, hash, key);
        e->is_deleted = false;
        memset(entry_payload(e), 0, t->class.bytes);
        if (t->class.init != NULL) t->class.init(t->class.self, entry_payload(e));
    }
    if (e != NULL) e->is_recent = true;
    *found = e;
    return WEIR_OK;
}

weir_rc state_table_find(state_table *t, slice key, bool add, entry **found, weir_error *err)
{
    return find_hashed(t, key, hash_bytes(key), add, found, err);
}

weir_rc state_table_find_or_add(state_table *t, const slice *keys, row_set rows, entry **found, weir_error *err)
{
    uint64_t hashes[64];
    uint32_t members[64];

    /* By the block: hash all and ask for their slots' cache lines, then probe. */
    for (uint32_t base = 0; base < rows.count; base += 64) {
        uint32_t count = rows.count - base < 64 ? rows.count - base : 64;
        for (uint32_t i = 0; i < count; i++) {
            uint32_t r = rows.index == NULL ? base + i : rows.index[base + i];
            members[i] = r;
            hashes[i] = keys[r].data == NULL ? 0 : hash_bytes(keys[r]);
            __builtin_prefetch(&t->slots[(uint32_t)hashes[i] & t->mask]);
        }
        for (uint32_t i = 0; i < count; i++) {
            entry *first = t->slots[(uint32_t)hashes[i] & t->mask].entry;
            if (first != NULL) __builtin_prefetch(first);
        }
        for (uint32_t i = 0; i < count; i++) {
            uint32_t r = members[i];
            found[r] = NULL;
            if (keys[r].data == NULL) continue;
            WEIR_TRY(find_hashed(t, keys[r], hashes[i], true, &found[r], err));
        }
    }
    return WEIR_OK;
}

void state_table_touch(state_table *t, entry *e)
{
    if (t->update_count >= t->update_limit) { /* mostly keys touched again and again: keep the last touch of each */
        uint32_t count;
        state_table_updates(t, &count);
        t->update_limit = count < UPDATES_FIRST / 2 ? UPDATES_FIRST : count * 2;
    }
    if (t->update_count == t->update_room) {
        t->update_room = t->update_room == 0 ? 256 : t->update_room * 2;
        t->updates = must(realloc(t->updates, t->update_room * sizeof *t->updates));
    }
    if (!e->is_dirty) t->dirty_bytes += entry_bytes(t, e->key_len);
    e->is_dirty = true;
    e->update = t->update_count;
    t->updates[t->update_count++] = e;
}

void state_table_delete(state_table *t, entry *e)
{
    state_table_touch(t, e);
    if (!e->is_deleted && t->class.drop != NULL) t->class.drop(t->class.self, entry_payload(e));
    e->is_deleted = true;
}

entry *const *state_table_updates(state_table *t, uint32_t *count)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < t->update_count; i++) {
        entry *e = t->updates[i];
        if (e->update != i) continue; /* touched again later */
        e->update = kept;
        t->updates[kept++] = e;
    }
    t->update_count = kept;
    *count = kept;
    return t->updates;
}

void state_table_each(state_table *t, void (*visit)(void *self, entry *e), void *self)
{
    for (uint32_t i = 0; i <= t->mask; i++) {
        entry *e = t->slots[i].entry;
        if (e != NULL && !e->is_deleted) visit(self, e);
    }
}

bool state_table_holds(const state_table *t, slice key)
{
    return probe(t, hash_bytes(key), key) != NULL;
}

bool state_table_all_in_memory(const state_table *t)
{
    return !t->stored_elsewhere;
}

void state_table_seal(state_table *t, arena *a, change_list *out)
{
    text scratch = TEXT_EMPTY;
    uint32_t count;
    entry *const *updates = state_table_updates(t, &count);

    for (uint32_t i = 0; i < count; i++) {
        entry *e = updates[i];
        state_change change = { .store = t->store, .key = entry_key(t, e) };
        if (!e->is_deleted) {
            text_clear(&scratch);
            t->class.encode(t->class.self, entry_payload(e), &scratch);
            change.value = arena_copy(a, text_slice(&scratch));
        } else if (!e->is_stored) {
            continue; /* born and gone within the epoch */
        }
        change_list_add(out, change);
    }
    text_free(&scratch);
}

/* Goes round the slots once at most: what was used since the last visit gets another round. */
static void evict(state_table *t)
{
    for (uint64_t steps = 2 * ((uint64_t)t->mask + 1); steps > 0 && slab_bytes_lent(t->memory) > t->budget_bytes; steps--) {
        entry *e = t->slots[t->sweep_at].entry;
        if (e != NULL && !e->is_recent && e->is_stored && !e->is_dirty) {
            if (!t->stored_elsewhere) t->evicted = must(calloc(FILTER_WORDS, sizeof *t->evicted));
            if (t->evicted != NULL) *filter_word(t->evicted, e->hash) |= filter_bits(e->hash);
            t->stored_elsewhere = true;
            remove_slot(t, e); /* another may have moved into this slot: look at it again */
            drop_entry(t, e);
            continue;
        }
        if (e != NULL) e->is_recent = false;
        t->sweep_at = (t->sweep_at + 1) & t->mask;
    }
}

void state_table_committed(state_table *t)
{
    for (uint32_t i = 0; i < t->update_count; i++) {
        entry *e = t->updates[i];
        if (e->update != i) continue;
        e->is_dirty = false;
        if (e->is_deleted) {
            remove_slot(t, e);
            drop_entry(t, e);
        } else {
            e->is_stored = true;
        }
    }
    t->update_count = 0;
    t->update_limit = UPDATES_FIRST;
    t->dirty_bytes = 0;
    if (slab_bytes_lent(t->memory) > t->budget_bytes) evict(t);
}

void state_table_forget(state_table *t)
{
    drop_all(t);
    memset(t->slots, 0, ((size_t)t->mask + 1) * sizeof *t->slots);
    t->used = 0;
    t->update_count = 0;
    t->dirty_bytes = 0;
    t->stored_elsewhere = true;
    free(t->evicted);
    t->evicted = NULL;
}

size_t state_table_dirty_bytes(const state_table *t)
{
    return t->dirty_bytes;
}

size_t state_table_bytes(const state_table *t)
{
    return slab_bytes_lent(t->memory) + ((size_t)t->mask + 1) * sizeof *t->slots;
}

uint64_t state_table_entries(const state_table *t)
{
    return t->used;
}
