/* executor/state_table.c - open addressing with linear probing. A slot is the entry's address with 16 bits of its hash above
 * it, so that a probe touches an entry only when it is most likely the one. */
#include "executor/state_table.h"

#include "core/hash.h"
#include "core/must.h"

#include <stdlib.h>

typedef uint64_t slot; /* 0: free */

struct state_table {
    task_state *state;
    payload_class class;
    slab *memory;
    size_t budget_bytes;
    slot *slots;
    uint32_t mask, used;
    entry **order;         /* all entries as they came, which is about how they lie in memory: slots are in no order */
    uint32_t order_room;
    uint32_t sweep_at;     /* where in it the search for entries to evict goes on */
    entry **updates;       /* the epoch's update log: every touch in order */
    uint32_t told_count;   /* of them, handed out by state_table_news() */
    uint32_t update_count, update_room;
    uint32_t deleted_count; /* at most so many of the entries were deleted by a commit */
    bool has_repeats;       /* the log may have several touches of an entry */
    size_t dirty_bytes;    /* fixed parts of dirty entries: tails come on top */
    arena *stored;         /* what was looked for last */
    uint16_t store;
    bool stored_elsewhere; /* the committed state may hold keys that memory does not */
    uint32_t update_limit; /* the update log is shortened when it reaches this */
};

#define FIRST_SLOTS 64
#define ROUNDS_MAX 3 /* of commits that an entry is not used between, until it may go */
#define UPDATES_FIRST 65536
#define ADDRESS_BITS 48 /* of user space, on every 64-bit system weir is built for */

static slot slot_of(entry *e)
{
    return (uint64_t)(uintptr_t)e | e->hash >> ADDRESS_BITS << ADDRESS_BITS;
}

static entry *slot_entry(slot s)
{
    return (entry *)(uintptr_t)(s & (((uint64_t)1 << ADDRESS_BITS) - 1));
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
    t->stored = arena_new(0);
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
    for (uint32_t i = 0; i < t->used; i++) drop_entry(t, t->order[i]);
}

void state_table_free(state_table *t)
{
    if (t == NULL) return;
    drop_all(t);
    arena_free(t->stored);
    free(t->slots);
    free(t->order);
    free(t->updates);
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

static void fill_slot(state_table *t, entry *e)
{
    uint32_t at = hash_home(e->hash) & t->mask;

    while (t->slots[at] != 0) at = (at + 1) & t->mask;
    t->slots[at] = slot_of(e);
}

/* On a way over all entries: those to come are asked for. NULL: it was dropped. */
static entry *entry_at(const state_table *t, uint32_t place)
{
    if (t->used - place > ENTRIES_AHEAD) __builtin_prefetch(t->order[place + ENTRIES_AHEAD]);
    return t->order[place];
}

/* All of them, which are free. */
static void fill_slots(state_table *t)
{
    for (uint32_t i = 0; i < t->used; i++) fill_slot(t, entry_at(t, i));
}

static void grow(state_table *t)
{
    t->mask = t->mask * 2 + 1;
    free(t->slots);
    t->slots = must(calloc((size_t)t->mask + 1, sizeof *t->slots));
    fill_slots(t);
}

static entry *probe(const state_table *t, uint64_t hash, slice key)
{
    for (uint32_t at = hash_home(hash) & t->mask; t->slots[at] != 0; at = (at + 1) & t->mask) {
        if ((t->slots[at] ^ hash) >> ADDRESS_BITS != 0) continue;
        entry *e = slot_entry(t->slots[at]);
        if (e->hash == hash && slice_equal(entry_key(t, e), key)) return e;
    }
    return NULL;
}

static entry *insert(state_table *t, uint64_t hash, slice key)
{
    /* half full at most: between two sweeps some stretches are much fuller than others */
    if ((t->used + 1) * 2ull > t->mask + 1ull) grow(t);
    entry *e = slab_alloc(t->memory, entry_bytes(t, (uint32_t)key.len));
    *e = (entry){ .hash = hash, .key_len = (uint32_t)key.len };
    copy_short((char *)(e + 1) + t->class.bytes, key.data, key.len);
    if (t->used == t->order_room) {
        t->order_room = t->order_room == 0 ? FIRST_SLOTS : t->order_room + t->order_room / 2;
        t->order = must(realloc(t->order, t->order_room * sizeof *t->order));
    }
    fill_slot(t, e);
    t->order[t->used++] = e;
    return e;
}

/* Brings what is stored into memory. */
static weir_rc take_in(state_table *t, slice key, uint64_t hash, slice stored, entry **found, weir_error *err)
{
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

/* e: what there is for the key; NULL: nothing. */
static entry *use(state_table *t, slice key, uint64_t hash, entry *e, bool add)
{
    if (e != NULL && e->is_deleted && !add) return NULL;
    if (e != NULL) e->rounds = ROUNDS_MAX; /* one that is new has yet to show that it is used again */
    if (add && (e == NULL || e->is_deleted)) {
        if (e == NULL) e = insert(t, hash, key);
        e->is_deleted = false;
        memset(entry_payload(e), 0, t->class.bytes);
        if (t->class.init != NULL) t->class.init(t->class.self, entry_payload(e));
    }
    return e;
}

weir_rc state_table_find(state_table *t, slice key, bool add, entry **found, weir_error *err)
{
    uint64_t hash = hash_bytes(key);
    entry *e = probe(t, hash, key);

    *found = NULL;
    if (e == NULL && t->stored_elsewhere) {
        slice stored;
        bool is_there;
        WEIR_TRY(task_state_get(t->state, t->store, key, &stored, &is_there, err));
        if (is_there) WEIR_TRY(take_in(t, key, hash, stored, &e, err));
    }
    *found = use(t, key, hash, e, add);
    return WEIR_OK;
}

#define ROWS_AT_A_TIME 64

/* Rows whose keys are not in memory, in order. */
typedef struct missing {
    uint32_t *row;
    uint64_t *hash;
    slice *key, *stored;
    uint32_t count;
} missing;

/* By the block: hashes all and asks for their slots' cache lines, then probes. */
static void find_in_memory(state_table *t, const slice *keys, row_set rows, entry **found, missing *m)
{
    uint64_t hashes[ROWS_AT_A_TIME];

    for (uint32_t base = 0; base < rows.count; base += ROWS_AT_A_TIME) {
        uint32_t count = rows.count - base < ROWS_AT_A_TIME ? rows.count - base : ROWS_AT_A_TIME;
        for (uint32_t i = 0; i < count; i++) {
            uint32_t r = rows.index == NULL ? base + i : rows.index[base + i];
            hashes[i] = keys[r].data == NULL ? 0 : hash_bytes(keys[r]);
            __builtin_prefetch(&t->slots[hash_home(hashes[i]) & t->mask]);
        }
        for (uint32_t i = 0; i < count; i++) {
            entry *first = slot_entry(t->slots[hash_home(hashes[i]) & t->mask]);
            if (first != NULL) __builtin_prefetch(first);
        }
        for (uint32_t i = 0; i < count; i++) {
            uint32_t r = rows.index == NULL ? base + i : rows.index[base + i];
            entry *e = keys[r].data == NULL ? NULL : probe(t, hashes[i], keys[r]);
            found[r] = e == NULL ? NULL : use(t, keys[r], hashes[i], e, true);
            m->row[m->count] = r;
            m->hash[m->count] = hashes[i];
            m->key[m->count] = keys[r];
            m->stored[m->count] = NO_SLICE;
            m->count += found[r] == NULL && keys[r].data != NULL;
        }
    }
}

weir_rc state_table_find_or_add(state_table *t, const slice *keys, row_set rows, entry **found, weir_error *err)
{
    arena_reset(t->stored);
    missing m = { .row = ARENA_ARRAY(t->stored, uint32_t, rows.count + 1), .hash = ARENA_ARRAY(t->stored, uint64_t, rows.count + 1),
                  .key = ARENA_ARRAY(t->stored, slice, rows.count + 1), .stored = ARENA_ARRAY(t->stored, slice, rows.count + 1) };
    find_in_memory(t, keys, rows, found, &m);
    if (t->stored_elsewhere && m.count > 0) {
        WEIR_TRY(task_state_get_all(t->state, t->store, m.key, m.hash, m.count, t->stored, m.stored, err));
    }
    for (uint32_t i = 0; i < m.count; i++) {
        if (i + ENTRIES_AHEAD < m.count) __builtin_prefetch(&t->slots[hash_home(m.hash[i + ENTRIES_AHEAD]) & t->mask], 1);
        entry *e = probe(t, m.hash[i], m.key[i]); /* a row before may have brought it */
        if (e == NULL && m.stored[i].data != NULL) WEIR_TRY(take_in(t, m.key[i], m.hash[i], m.stored[i], &e, err));
        found[m.row[i]] = use(t, m.key[i], m.hash[i], e, true);
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
    if (e->is_dirty) t->has_repeats = true;
    else t->dirty_bytes += entry_bytes(t, e->key_len);
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

/* Leaves the last touch of each entry, of the touches from the given one on. */
static void compact_updates(state_table *t, uint32_t from)
{
    uint32_t kept = from, told = t->told_count;

    if (!t->has_repeats) return;
    for (uint32_t i = from; i < t->update_count; i++) {
        entry *e = t->updates[i];
        if (i + ENTRIES_AHEAD < t->update_count) __builtin_prefetch(t->updates[i + ENTRIES_AHEAD]);
        if (i == told) t->told_count = kept;
        if (e->update != i) continue; /* touched again later */
        e->update = kept;
        t->updates[kept++] = e;
    }
    if (told == t->update_count) t->told_count = kept;
    t->update_count = kept;
    t->has_repeats = from > 0;
}

entry *const *state_table_updates(state_table *t, uint32_t *count)
{
    compact_updates(t, 0);
    *count = t->update_count;
    return t->updates;
}

entry *const *state_table_news(state_table *t, uint32_t *count)
{
    uint32_t from = t->told_count;

    compact_updates(t, from);
    *count = t->update_count - from;
    t->told_count = t->update_count;
    return t->updates + from;
}

void state_table_each(state_table *t, void (*visit)(void *self, entry *e), void *self)
{
    for (uint32_t i = 0; i <= t->mask; i++) {
        entry *e = slot_entry(t->slots[i]);
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

#define SEALED_TOGETHER 256

/* Entries as bytes, key and value behind each other, on the way to the arena. */
typedef struct sealing {
    state_table *of;
    arena *memory;
    change_list *out;
    text bytes;
    uint32_t count;
    struct {
        uint32_t key_len, end; /* in bytes; they begin where those before end */
        bool has_value;
    } parts[SEALED_TOGETHER];
} sealing;

static void sealing_hand_on(sealing *s)
{
    const char *at = arena_copy(s->memory, text_slice(&s->bytes)).data;
    uint32_t from = 0;

    for (uint32_t i = 0; i < s->count; i++) {
        state_change change = { .store = s->of->store, .key = { at + from, s->parts[i].key_len } };
        if (s->parts[i].has_value) change.value = (slice){ change.key.data + change.key.len, s->parts[i].end - from - change.key.len };
        change_list_add(s->out, change);
        from = s->parts[i].end;
    }
    text_clear(&s->bytes);
    s->count = 0;
}

/* Entries count as clean and stored from here on: should the commit fail, all of them are forgotten. */
void state_table_seal(state_table *t, arena *a, change_list *out)
{
    sealing s = { .of = t, .memory = a, .out = out, .bytes = TEXT_EMPTY };
    uint32_t count;
    entry *const *updates = state_table_updates(t, &count);

    if (count == 0) return;
    text_reserve(&s.bytes, 64); /* an empty key has an address too */
    change_list_reserve(out, count);
    for (uint32_t i = 0; i < count; i++) {
        entry *e = updates[i];
        if (i + ENTRIES_AHEAD < count) entry_ask_for(updates[i + ENTRIES_AHEAD]);
        e->is_dirty = false;
        t->deleted_count += e->is_deleted;
        if (e->is_deleted && !e->is_stored) continue; /* born and gone within the epoch */
        e->is_stored = !e->is_deleted;
        text_add(&s.bytes, entry_key(t, e));
        if (!e->is_deleted) t->class.encode(t->class.self, entry_payload(e), &s.bytes);
        s.parts[s.count].key_len = e->key_len;
        s.parts[s.count].has_value = !e->is_deleted;
        s.parts[s.count++].end = (uint32_t)s.bytes.len;
        if (s.count == SEALED_TOGETHER) sealing_hand_on(&s);
    }
    if (s.count > 0) sealing_hand_on(&s);
    text_free(&s.bytes);
}

size_t state_table_bytes(const state_table *t)
{
    return slab_bytes_lent(t->memory) + ((size_t)t->mask + 1) * sizeof *t->slots + t->update_room * sizeof *t->updates +
           t->order_room * sizeof *t->order;
}

/* Half is enough for what is used once: the rest is lent to the epoch of whichever task has one. */
static bool is_over_half(const state_table *t)
{
    return state_table_bytes(t) > t->budget_bytes / 2;
}

/* Of keys that the committed state does not have either: no harm until there are many. */
static bool are_many_gone(const state_table *t)
{
    return t->deleted_count > t->used / 8;
}

static void drop_at(state_table *t, uint32_t place)
{
    drop_entry(t, t->order[place]);
    t->order[place] = NULL;
}

static void drop_deleted(state_table *t)
{
    for (uint32_t i = 0; i < t->used; i++) {
        if (entry_at(t, i)->is_deleted) drop_at(t, i);
    }
    t->deleted_count = 0;
}

/* What was not used for some rounds goes in the first: most of the budget is for what is used again and again. Where that is more
 * than the budget, others follow until there is room for some more. */
static void evict(state_table *t)
{
    const size_t few = t->budget_bytes / 4, enough = t->budget_bytes - t->budget_bytes / 16;

    for (uint32_t round = 0; round <= ROUNDS_MAX; round++) {
        const size_t wanted = round == 0 ? few : enough;
        for (uint32_t steps = t->used; steps > 0 && state_table_bytes(t) > wanted; steps--, t->sweep_at++) {
            if (t->sweep_at >= t->used) t->sweep_at = 0;
            entry *e = entry_at(t, t->sweep_at);
            if (e == NULL) continue;
            if (e->is_deleted || (e->is_stored && e->rounds == 0)) {
                t->stored_elsewhere |= e->is_stored;
                drop_at(t, t->sweep_at);
            } else if (e->rounds > 0) {
                e->rounds--;
            }
        }
    }
}

/* After entries were dropped: the others close up, and get their slots anew. */
static void close_up(state_table *t)
{
    uint32_t kept = 0, before = 0;

    for (uint32_t i = 0; i < t->used; i++) {
        if (i == t->sweep_at) before = kept;
        if (t->order[i] != NULL) t->order[kept++] = t->order[i];
    }
    t->sweep_at = t->sweep_at < t->used ? before : kept;
    t->used = kept;
    memset(t->slots, 0, ((size_t)t->mask + 1) * sizeof *t->slots);
    fill_slots(t);
}

void state_table_committed(state_table *t)
{
    free(t->updates); /* of the epochs to come many are another task's */
    t->updates = NULL;
    t->update_count = t->update_room = t->told_count = 0;
    t->has_repeats = false;
    t->update_limit = UPDATES_FIRST;
    t->dirty_bytes = 0;
    const bool many_gone = are_many_gone(t);
    if (!many_gone && !is_over_half(t)) return;
    if (many_gone) drop_deleted(t);
    if (is_over_half(t)) evict(t);
    close_up(t);
}

void state_table_forget(state_table *t)
{
    drop_all(t);
    memset(t->slots, 0, ((size_t)t->mask + 1) * sizeof *t->slots);
    t->used = t->sweep_at = 0;
    t->update_count = t->told_count = t->deleted_count = 0;
    t->has_repeats = false;
    t->dirty_bytes = 0;
    t->stored_elsewhere = true;
}

size_t state_table_dirty_bytes(const state_table *t)
{
    return t->dirty_bytes;
}

uint64_t state_table_entries(const state_table *t)
{
    return t->used;
}
