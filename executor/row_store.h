/* executor/row_store.h - one row a key: a table's last rows, packed, in a state table. Whoever holds one opens, seals and
 * closes it along with itself. What is lent from it is good until that key is written again, or the commit. */
#ifndef WEIR_EXECUTOR_ROW_STORE_H
#define WEIR_EXECUTOR_ROW_STORE_H

#include "executor/task.h"

typedef struct row_store {
    state_table *table;
    slab *memory;
    const schema *schema; /* of the rows: its value columns are kept */
    text scratch;
} row_store;

/* The struct must stay where it is. */
weir_rc row_store_open(row_store *s, const task *t, uint16_t store, const schema *schema, weir_error *err) WEIR_CHECKED;
void row_store_close(row_store *s);
/* *packed absent: there is none. */
weir_rc row_store_find(row_store *s, slice key, slice *packed, weir_error *err) WEIR_CHECKED;
/* Puts row r in; a tombstone deletes. */
weir_rc row_store_write(row_store *s, slice key, const batch *in, uint32_t r, weir_error *err) WEIR_CHECKED;
weir_rc row_store_forget(row_store *s, weir_error *err) WEIR_CHECKED;

/* A row's time, window end and value columns as bytes; values[i] belongs to column key_count + i. Texts are lent from the
 * bytes. False: not such bytes. */
void row_pack(text *out, const batch *in, uint32_t r, const schema *s);
bool row_unpack(slice packed, const schema *s, column *values, uint32_t r, arena *a, int64_t *event_ms, int64_t *window_end);
int64_t row_event_ms(slice packed);
/* Into row r of a batch: its time, window end and value columns; nothing of it is lent. */
bool row_unpack_copy(slice packed, const schema *s, batch *out, uint32_t r);

/* The key under which a row is kept: that of its columns, behind its window where it has one. Absent stays absent. */
slice state_key(const batch *in, uint32_t r, slice key, window_kind windowed);

#endif
