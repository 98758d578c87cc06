/* executor/op_table.c - keeps the last row of each key: a table that no other state stands for. It also knows each row's
 * former value. */
#include "executor/key.h"
#include "executor/row_store.h"

typedef struct table_op {
    op base;
    row_store rows;
} table_op;

static weir_rc table_open(op *self, weir_error *err)
{
    return row_store_open(&((table_op *)self)->rows, self->task, (uint16_t)self->step->id, &self->step->schema, err);
}

static weir_rc table_batch(op *self, batch *in, weir_error *err)
{
    table_op *t = (table_op *)self;
    const schema *s = &self->step->schema;
    arena *a = in->arena;
    slice *keys = ARENA_ARRAY(a, slice, in->rows);
    uint32_t *index = ARENA_ARRAY(a, uint32_t, in->live.count), count = 0;
    batch *old = batch_new(a, s, in->rows, in->window_start != NULL);

    keys_encode(in->columns, s->key_count, in->live, in->rows, a, keys);
    for (uint32_t i = 0; i < s->key_count; i++) old->columns[i] = in->columns[i];
    old->window_start = in->window_start;
    if (in->window_start != NULL) old->window_end = in->window_end;
    EACH_ROW (r, in->live) {
        /* Of sessions the end is in the row: a session that grew was deleted under its former bounds. */
        slice key = state_key(in, r, keys[r], WINDOW_TUMBLING), last;
        if (key.data == NULL) continue; /* a table's row must have a key */
        WEIR_TRY(row_store_find(&t->rows, key, &last, err));
        old->kind[r] = last.data != NULL && row_unpack_copy(last, s, old, r) ? ROW_NORMAL : ROW_TOMBSTONE;
        WEIR_TRY(row_store_write(&t->rows, key, in, r, err));
        index[count++] = r;
    }
    in->live = (row_set){ index, count };
    in->old = old;
    return op_emit(self, in, err);
}

static void table_seal(op *self, arena *a, change_list *changes)
{
    state_table_seal(((table_op *)self)->rows.table, a, changes);
}

static void table_committed(op *self)
{
    state_table_committed(((table_op *)self)->rows.table);
}

static weir_rc table_forget(op *self, weir_error *err)
{
    return row_store_forget(&((table_op *)self)->rows, err);
}

static size_t table_dirty_bytes(const op *self)
{
    return state_table_dirty_bytes(((const table_op *)self)->rows.table);
}

static size_t table_state_bytes(const op *self)
{
    return state_table_bytes(((const table_op *)self)->rows.table);
}

static void table_close(op *self)
{
    row_store_close(&((table_op *)self)->rows);
}

const op_class op_table = { .name = "Table", .open = table_open, .batch = table_batch, .seal = table_seal,
                            .committed = table_committed, .forget = table_forget, .dirty_bytes = table_dirty_bytes,
                            .state_bytes = table_state_bytes, .close = table_close };
