/* executor/op_table.c - keeps the last row of each key: a table that no other state stands for. It also knows each row's
 * former value, and drops changes that change nothing: a deletion of what is not there. */
#include "executor/key.h"
#include "executor/task.h"

typedef struct kept_row { /* the payload: the value columns and the time, packed, in the slab */
    char *bytes;
    uint32_t len;
    bool is_empty; /* just added */
} __attribute__((aligned(16))) kept_row;

typedef struct table_op {
    op base;
    state_table *rows;
} table_op;

static void row_init(void *self, void *payload)
{
    (void)self;
    ((kept_row *)payload)->is_empty = true;
}

static void row_encode(void *self, const void *payload, text *out)
{
    const kept_row *row = payload;

    (void)self;
    text_add(out, (slice){ row->bytes, row->len });
}

static void keep(slab *memory, kept_row *row, slice bytes)
{
    if (slab_usable(row->len) != slab_usable(bytes.len) || row->bytes == NULL) {
        slab_free(memory, row->bytes, row->len);
        row->bytes = slab_alloc(memory, bytes.len);
    }
    memcpy(row->bytes, bytes.data, bytes.len);
    row->len = (uint32_t)bytes.len;
    row->is_empty = false;
}

static bool row_decode(void *self, reader_bytes *in, void *payload)
{
    slice rest = { in->at, (size_t)(in->end - in->at) };

    keep(((table_op *)self)->base.task->memory, payload, rest);
    in->at = in->end;
    return true;
}

static void row_drop(void *self, void *payload)
{
    kept_row *row = payload;

    slab_free(((table_op *)self)->base.task->memory, row->bytes, row->len);
    row->bytes = NULL;
}

static weir_rc table_open(op *self, weir_error *err)
{
    table_op *t = (table_op *)self;
    const payload_class class = { t, sizeof(kept_row), row_init, row_encode, row_decode, row_drop };

    t->rows = state_table_new(self->task->state, (uint16_t)self->step->id, &class, self->task->memory,
                              self->task->shared->state_budget_bytes);
    return state_table_open(t->rows, err);
}

/* Time, window end (of sessions), then the value columns. */
static void pack_row(const op *self, const batch *in, uint32_t r, text *out)
{
    text_clear(out);
    text_add_u64(out, (uint64_t)in->event_ms[r]);
    text_add_u64(out, in->window_end == NULL ? 0 : (uint64_t)in->window_end[r]);
    for (uint32_t i = self->step->schema.key_count; i < self->step->schema.count; i++) {
        value v = in->columns[i].null == NULL ? NULL_VALUE : column_get(&in->columns[i], r);
        value_encode(out, self->step->schema.columns[i].type, &v);
    }
}

bool table_row_unpack(slice packed, const schema *s, batch *out, uint32_t r)
{
    reader_bytes in = read_from(arena_copy(out->arena, packed));

    out->event_ms[r] = (int64_t)read_u64(&in);
    int64_t window_end = (int64_t)read_u64(&in);
    if (out->window_end != NULL) out->window_end[r] = window_end;
    for (uint32_t i = s->key_count; i < s->count; i++) {
        value v;
        if (!value_decode(&in, s->columns[i].type, out->arena, &v)) return false;
        column_set(&out->columns[i], r, &v);
    }
    return !in.bad;
}

static weir_rc table_batch(op *self, batch *in, weir_error *err)
{
    table_op *t = (table_op *)self;
    arena *a = in->arena;
    slice *keys = ARENA_ARRAY(a, slice, in->rows);
    uint32_t *index = ARENA_ARRAY(a, uint32_t, in->live.count), count = 0;
    batch *old = batch_new(a, &self->step->schema, in->rows, in->window_start != NULL);
    text packed = TEXT_EMPTY;
    weir_rc rc = WEIR_OK;

    keys_encode(in->columns, self->step->schema.key_count, in->live, in->rows, a, keys);
    for (uint32_t i = 0; i < self->step->schema.key_count; i++) old->columns[i] = in->columns[i];
    old->window_start = in->window_start;
    if (in->window_start != NULL) old->window_end = in->window_end;
    EACH_ROW (r, in->live) {
        slice key = keys[r];
        entry *e;
        if (key.data == NULL) continue; /* a table's row must have a key */
        if (in->window_start != NULL) {
            char *bytes = arena_alloc(a, key.len + 8);
            put_window_start(bytes, in->window_start[r]);
            memcpy(bytes + 8, key.data, key.len);
            key = (slice){ bytes, key.len + 8 };
        }
        bool is_delete = in->kind[r] == ROW_TOMBSTONE;
        if ((rc = state_table_find(t->rows, key, !is_delete, &e, err)) != WEIR_OK) break;
        kept_row *row = e == NULL ? NULL : entry_payload(e);
        bool had_row = row != NULL && !row->is_empty;
        old->kind[r] = had_row && table_row_unpack((slice){ row->bytes, row->len }, &self->step->schema, old, r)
                           ? ROW_NORMAL : ROW_TOMBSTONE;
        if (is_delete && e != NULL) {
            state_table_delete(t->rows, e);
        } else if (!is_delete) {
            pack_row(self, in, r, &packed);
            keep(self->task->memory, row, text_slice(&packed));
            state_table_touch(t->rows, e);
        }
        index[count++] = r;
    }
    text_free(&packed);
    if (rc != WEIR_OK) return rc;
    in->live = (row_set){ index, count };
    in->old = old;
    return op_emit(self, in, err);
}

static void table_seal(op *self, arena *a, change_list *changes)
{
    state_table_seal(((table_op *)self)->rows, a, changes);
}

static void table_committed(op *self)
{
    state_table_committed(((table_op *)self)->rows);
}

static weir_rc table_forget(op *self, weir_error *err)
{
    state_table_forget(((table_op *)self)->rows);
    return state_table_open(((table_op *)self)->rows, err);
}

static size_t table_dirty_bytes(const op *self)
{
    return state_table_dirty_bytes(((const table_op *)self)->rows);
}

static size_t table_state_bytes(const op *self)
{
    return state_table_bytes(((const table_op *)self)->rows);
}

static void table_close(op *self)
{
    state_table_free(((table_op *)self)->rows);
}

const op_class op_table = { .name = "Table", .open = table_open, .batch = table_batch, .seal = table_seal,
                            .committed = table_committed, .forget = table_forget, .dirty_bytes = table_dirty_bytes,
                            .state_bytes = table_state_bytes, .close = table_close };
