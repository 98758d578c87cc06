/* executor/state_table.h - one store of a task: a hash table in memory in front of the task's committed state.
 * An entry is a key and a payload of fixed bytes (accumulators, a row, a list of sessions), whose tails stand in the
 * table's slab; nothing is serialised until the epoch is sealed. A look-up goes to memory, then to the committed state.
 * Only clean entries are evicted, and only after a commit: an entry found stays valid until then.
 * Threads: a table belongs to one task, and so to one thread at a time. */
#ifndef WEIR_EXECUTOR_STATE_TABLE_H
#define WEIR_EXECUTOR_STATE_TABLE_H

#include "core/bytes.h"
#include "core/slab.h"
#include "core/text.h"
#include "executor/change_list.h"

typedef struct entry {
    uint64_t hash;
    uint32_t update;      /* where in the epoch's update log it was touched last */
    uint32_t key_len : 27;
    bool is_dirty : 1;
    bool is_stored : 1;   /* the committed state has it */
    bool is_deleted : 1;  /* as of this epoch; a look-up does not see it */
    uint32_t rounds : 2;  /* of the search for something to evict that it will stay for */
} __attribute__((aligned(16))) entry; /* then the payload, then the key */

typedef struct payload_class {
    void *self;     /* handed to each of the functions */
    uint32_t bytes; /* a multiple of 16 */
    void (*init)(void *self, void *payload);
    void (*encode)(void *self, const void *payload, text *out);
    bool (*decode)(void *self, reader_bytes *in, void *payload); /* false: these are not bytes of it */
    void (*drop)(void *self, void *payload);                     /* gives its tails back; NULL: has none */
} payload_class;

typedef struct state_table state_table;

state_table *state_table_new(task_state *state, uint16_t store, const payload_class *class, slab *memory,
                             size_t budget_bytes);
void state_table_free(state_table *t); /* NULL is fine; what was not sealed is dropped */

/* Before the first look-up, and after an abort: asks whether the store has anything. */
weir_rc state_table_open(state_table *t, weir_error *err) WEIR_CHECKED;
/* One key: *found NULL when it is not there and add is false. */
weir_rc state_table_find(state_table *t, slice key, bool add, entry **found, weir_error *err) WEIR_CHECKED;
/* found[r] for each row with a key: added where missing; NULL where the key is absent. */
weir_rc state_table_find_or_add(state_table *t, const slice *keys, row_set rows, entry **found, weir_error *err) WEIR_CHECKED;
void state_table_touch(state_table *t, entry *e); /* it changes in this epoch */
void state_table_delete(state_table *t, entry *e); /* gone from here on; its payload is dropped */

static inline void *entry_payload(const entry *e) { return (void *)(e + 1); }
slice entry_key(const state_table *t, const entry *e);

#define ENTRIES_AHEAD 8 /* so far before it is looked at is an entry asked for: they lie anywhere in memory */

/* Asks for its cache lines, or the first three of many. */
static inline void entry_ask_for(const entry *e)
{
    for (int line = 0; line < 3; line++) __builtin_prefetch((const char *)e + 64 * line);
}

/* The entries touched in this epoch, by their last touch, deleted ones too. Lent until the next touch. */
entry *const *state_table_updates(state_table *t, uint32_t *count);
/* Those of them touched since this was last called. */
entry *const *state_table_news(state_table *t, uint32_t *count);
/* Every entry in memory that is not deleted. */
void state_table_each(state_table *t, void (*visit)(void *self, entry *e), void *self);
bool state_table_all_in_memory(const state_table *t);
/* Whether memory has an entry for the key, a deleted one too. */
bool state_table_holds(const state_table *t, slice key);

void state_table_seal(state_table *t, arena *a, change_list *out);
void state_table_committed(state_table *t); /* what was sealed is durable: entries are clean, some may be evicted */
void state_table_forget(state_table *t);    /* an abort: memory is dropped, and read again from the committed state */
size_t state_table_dirty_bytes(const state_table *t);
size_t state_table_bytes(const state_table *t);
uint64_t state_table_entries(const state_table *t); /* in memory */

#endif
