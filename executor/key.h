/* executor/key.h - key columns as bytes whose order is the columns' order: for hash tables, state and partitions.
 * A lone column stands bare; of several, each begins with a byte that says null (0) or not (1), and texts are ended so
 * that no key is another's prefix. */
#ifndef WEIR_EXECUTOR_KEY_H
#define WEIR_EXECUTOR_KEY_H

#include "core/batch.h"
#include "core/bytes.h"

/* keys[r] for each row, in the arena or lent from the columns, which have `capacity` rows; a row of which all key columns are
 * null has an absent key. A null within several is kept. */
void keys_encode(const column *columns, uint32_t count, row_set rows, uint32_t capacity, arena *a, slice *keys);
/* Reads one key back into row r of the columns; texts stand in the arena. False: not such a key. */
bool key_decode(slice key, column *columns, uint32_t count, uint32_t row, arena *a);

/* A key behind its window's start, so that windows sort by time. */
static inline void put_window_start(char *at, int64_t start_ms)
{
    put_u64(at, sortable_i64(start_ms));
}

static inline int64_t get_window_start(const char *at)
{
    return unsortable_i64(get_u64(at));
}

#endif
