/* storage/state_runs.h - a state's sorted runs: where most of it is once it is large. Private to storage/.
 *
 * A tree is written by the page: where an epoch changes thousands of keys among millions, each costs a page of 4 KiB, read and
 * written. So a state's tree (state_lmdb.h) has bounds. What would go beyond them becomes a run, together with all that is in
 * the tree: entries in key order, in blocks. A key is looked for in the tree, then in the runs from the newest on; the first
 * that knows it is right. Where runs may still have a key that is deleted, the deletion is an entry too.
 *
 * Runs of about one size are merged, four and more into one, so that an entry is written once again each time the state grows
 * fourfold (a log-structured merge tree, O'Neil et al. 1996, in tiers of sizes). No thread does that: each epoch carries all
 * merges on by about twice its own bytes, in its own transaction. Until a merge is done only its task looks into its output: for
 * keys that it has passed, instead of looking into all it is made of.
 *
 * All of it stands beside the tree's entries, under [prefix][RUNS_STORE]:
 *     b                              the book: what runs there are, and how far merges have come
 *     e [store u16][key]             deleted, though runs may have it; no key is in the tree and here
 *     r [run u64][store u16][key]    a block, by its first key
 * Keys over STATE_KEY_WHOLE_MAX stay in the tree. */
#ifndef WEIR_STORAGE_STATE_RUNS_H
#define WEIR_STORAGE_STATE_RUNS_H

#include "storage/run_guide.h"
#include "storage/state_lmdb.h"

#define RUNS_STORE ((uint16_t)0xFFFF)

typedef struct run {
    uint64_t id;
    uint64_t entries, bytes; /* deletions left out */
    uint64_t into;           /* the run that a merge makes of it; 0: none */
} run;

typedef struct run_merge {
    run output;     /* as far as it is written */
    uint32_t place; /* of the last key written: its store and bytes */
    char at[2 + STATE_KEY_WHOLE_MAX];
} run_merge;

typedef struct run_book {
    uint64_t last_id;
    uint64_t tree_bytes; /* about */
    uint64_t erased;     /* entries under "e" */
    run *runs;           /* newest first */
    uint32_t run_count;
    run_merge *merges;
    uint32_t merge_count;
} run_book;

/* What a task knows of its own state besides; all zeros at first. The transactions that write may be aborted: what is here then
 * is checked against the book that is stored. */
typedef struct run_memory {
    run_guides guides;
    run_book book; /* as of the read transaction of this number */
    size_t book_txn;
    run_guide **in_order; /* the tree's, those of the book's runs, and those of its merges' outputs, as of these changes */
    uint64_t in_order_changes;
    uint64_t emptied_at; /* the book's last_id when the tree was emptied: the tree's guide is not of a book before that */
    text fetched;        /* the block that was looked into last */
} run_memory;

void run_memory_free(run_memory *m); /* what it holds */

/* LMDB's codes in all of these. An absent book is an empty one. */
int runs_load(MDB_txn *txn, const state_space *space, run_book *out);
int runs_store(MDB_txn *txn, const state_space *space, const run_book *book);
void runs_free(run_book *book);

/* Of a key that is not long. Readers look into the tree, then into each run; a task, whose space has a memory, only where its
 * guides say. */
int runs_get(MDB_txn *txn, const state_space *space, uint16_t store, slice key, slice *value, bool *found);
/* By a task, for several together; a value that is there is copied. */
int runs_get_all(MDB_txn *txn, const state_space *space, uint16_t store, const slice *keys, const uint64_t *hashes, uint32_t count,
                 arena *memory, slice *values);
/* The tree takes this key in; forgets it; has it again. */
void runs_note_key(const state_space *space, uint16_t store, slice key);
int runs_erase(MDB_txn *txn, const state_space *space, run_book *book, uint16_t store, slice key);
int runs_restore(MDB_txn *txn, const state_space *space, run_book *book, uint16_t store, slice key);
/* A run of the tree and of changes, sorted, each key once; those of long keys are not for it. */
int runs_add(MDB_txn *txn, const state_space *space, run_book *book, const state_change *changes, uint32_t count,
             state_growth *growth);
/* Begins the merges that are due, and carries all on by so many bytes. */
int runs_merge(MDB_txn *txn, const state_space *space, run_book *book, size_t bytes, state_growth *growth);

/* ---- what is there, in order ---- */

/* One sorted sequence: changes, the tree, what is erased, or a run. */
typedef struct layer layer;

/* Layers laid over each other, the newest first. */
typedef struct layers {
    layer *items;
    uint32_t count;
    layer **order;     /* those that are not over, by where they stand, the newer one first */
    uint32_t standing; /* so many */
    bool is_ordered, is_given; /* by layers_next(): what stands at that key goes on with the next call */
} layers;

/* All of a space. */
int layers_open(layers *m, MDB_txn *txn, const state_space *space);
void layers_close(layers *m);
/* The next one is the first at or after this. */
int layers_seek(layers *m, uint16_t store, slice key);
/* The newest entry of the next key, lent until the next call; value.data NULL: it is erased. *out NULL: there is none. A key of
 * the tree over STATE_KEY_WHOLE_MAX is given as it stands there, with its list. */
int layers_next(layers *m, const state_change **out);

#define CHANGES_AHEAD 8 /* so far before one is looked at its bytes are asked for, which lie anywhere in memory */

typedef struct run_limits {
    size_t tree_bytes;  /* of a space, in its tree */
    size_t epoch_bytes; /* of changes that go to the tree */
    size_t block_bytes;
    size_t tier_bytes;  /* the largest run of the first tier; eight times that in each that follows */
    size_t least_bytes; /* a merge is carried on by, at least */
} run_limits;

extern run_limits state_run_limits; /* changed by tests only */

#endif
