/* storage/state_lmdb.h - keyed state in an LMDB database, the same for both backends. Private to storage/.
 *
 * An entry's LMDB key is [prefix][store u16][key]; the prefix says which task ("" where an environment holds one task,
 * state id and partition in the embedded log). LMDB keys have at most 511 bytes: a key over STATE_KEY_WHOLE_MAX is cut
 * there and a 128-bit hash follows; its entry then is a list of { key length u32, value length u32, key, value }, of more
 * than one item only when hashes collide. So keys sort as their bytes do, but for keys equal in their first
 * STATE_KEY_WHOLE_MAX bytes, which stand together in no particular order. */
#ifndef WEIR_STORAGE_STATE_LMDB_H
#define WEIR_STORAGE_STATE_LMDB_H

#include "storage/lmdb_env.h"
#include "storage/storage.h"

#define STATE_PREFIX_MAX 8
#define STATE_KEY_WHOLE_MAX 480
#define STATE_LMDB_KEY_MAX 511

typedef struct state_lmdb_key {
    size_t len;
    char bytes[STATE_LMDB_KEY_MAX + 1];
} state_lmdb_key;

static inline bool state_key_is_long(slice key) { return key.len > STATE_KEY_WHOLE_MAX; }

struct run_memory;

typedef struct state_space {
    MDB_dbi dbi;
    lmdb_env *env;
    struct run_memory *memory; /* of the task that writes here, see state_runs.h; readers have none */
    uint32_t prefix_len;
    char prefix[STATE_PREFIX_MAX];
} state_space;

/* What changes did to the size of a task's state. */
typedef struct state_growth {
    int64_t entries;
    int64_t bytes; /* keys and values */
} state_growth;

/* LMDB's codes. The value is lent while the transaction lasts (and, in a write transaction, until its next write). */
int state_lmdb_get(MDB_txn *txn, const state_space *space, uint16_t store, slice key, slice *value, bool *found);
/* Several keys, with their hashes by hash_bytes(): the values are copied into memory, .data NULL where there is none. By a task. */
int state_lmdb_get_all(MDB_txn *txn, const state_space *space, uint16_t store, const slice *keys, const uint64_t *hashes,
                       uint32_t count, arena *memory, slice *values);
/* Changes sorted by store and key, as of an epoch. Adds to *growth. */
int state_lmdb_apply(MDB_txn *txn, const state_space *space, const state_change *changes, uint32_t count,
                     state_growth *growth);

/* A cursor over one store, from <= key < to (absent: open); bounds are copied. The transaction stays open until the
 * cursor is closed; then release(holder) is called, if given, also when this fails. */
weir_rc state_lmdb_scan(state_cursor **out, const lmdb_env *e, MDB_txn *txn, const state_space *space, uint16_t store,
                        slice from, slice to, void (*release)(void *holder), void *holder,
                        weir_error *err) WEIR_CHECKED;

/* Tests only: ANDed to each half of the hash of a long key, so that collisions can be had. */
extern uint64_t state_lmdb_hash_mask;

#endif
