/* executor/op_join_table.c - joins with a table. Of a stream: each of its rows looks up the table's row of its key, as the
 * table stands when the stream's row comes. Of two tables: a change of either side makes the joined row anew. */
#include "executor/op_join.h"

typedef struct table_join_op {
    op base;
    join_side sides[2];
    row_store rows[2]; /* of a stream-table join the right one alone */
} table_join_op;

static bool has_store(const op *self, uint32_t side)
{
    return side == RIGHT_SIDE || self->step->join.form != JOIN_STREAM_TABLE;
}

static weir_rc join_open(op *self, weir_error *err)
{
    table_join_op *j = (table_join_op *)self;
    uint16_t store = (uint16_t)self->step->id;

    join_sides_of(self, j->sides);
    if (has_store(self, LEFT_SIDE)) {
        WEIR_TRY(row_store_open(&j->rows[LEFT_SIDE], self->task, store, &j->sides[LEFT_SIDE].step->schema, err));
    }
    return row_store_open(&j->rows[RIGHT_SIDE], self->task, RIGHT_STORE(store), &j->sides[RIGHT_SIDE].step->schema, err);
}

/* ---- rows out ---- */

/* The rows of `in`, with room for the other side's columns. */
static batch *joined_batch(table_join_op *j, const batch *in)
{
    const schema *s = &j->base.step->schema;
    column *columns = ARENA_ARRAY(in->arena, column, s->count);
    const join_side *mine = &j->sides[in->side], *other = &j->sides[1 - in->side];

    memcpy(columns, in->columns, s->key_count * sizeof *columns);
    memcpy(columns + mine->first, in->columns + s->key_count, mine->count * sizeof *columns);
    for (uint32_t i = 0; i < other->count; i++) {
        columns[other->first + i] = column_new(in->arena, s->columns[other->first + i].type, in->rows);
    }
    batch *out = batch_with_columns(in, columns, s->count);
    out->old = NULL;
    out->row_partition = NULL; /* but the record it comes from, for the processing log, is known by its offset */
    return out;
}

static void nullify(const batch *out, const join_side *side, uint32_t r)
{
    for (uint32_t i = 0; i < side->count; i++) out->columns[side->first + i].null[r] = 1;
}

/* The other side's row into the joined one; *event_ms: its time. */
static weir_rc fill_in(table_join_op *j, const batch *out, uint32_t side, uint32_t r, slice packed, int64_t *event_ms, weir_error *err)
{
    const join_side *other = &j->sides[side];
    int64_t window_end;

    if (row_unpack(packed, &other->step->schema, out->columns + other->first, r, out->arena, event_ms, &window_end)) return WEIR_OK;
    return weir_fail(err, WEIR_STORAGE, NOWHERE, "stored rows of step %u cannot be read: they were written by another version or "
                     "are damaged; drop the query and create it again to rebuild them", j->base.step->id);
}

/* ---- a stream and a table ---- */

static weir_rc keep_rows(table_join_op *j, const batch *in, weir_error *err)
{
    slice *keys = join_keys(&j->base, in);

    EACH_ROW (r, in->live) {
        if (keys[r].data != NULL) WEIR_TRY(row_store_write(&j->rows[in->side], keys[r], in, r, err));
    }
    return WEIR_OK;
}

static weir_rc look_up(table_join_op *j, const batch *in, weir_error *err)
{
    slice *keys = join_keys(&j->base, in), packed;
    batch *out = joined_batch(j, in);
    uint32_t *index = ARENA_ARRAY(in->arena, uint32_t, in->live.count), count = 0;
    int64_t ignored;

    EACH_ROW (r, in->live) {
        if (in->kind[r] != ROW_NORMAL) continue; /* there is nothing to join */
        packed = NO_SLICE;
        if (keys[r].data != NULL) WEIR_TRY(row_store_find(&j->rows[RIGHT_SIDE], keys[r], &packed, err));
        if (packed.data != NULL) {
            WEIR_TRY(fill_in(j, out, RIGHT_SIDE, r, packed, &ignored, err));
        } else if (j->sides[LEFT_SIDE].is_kept) {
            nullify(out, &j->sides[RIGHT_SIDE], r);
        } else {
            continue;
        }
        index[count++] = r;
    }
    out->live = (row_set){ index, count };
    return op_emit(&j->base, out, err);
}

static weir_rc stream_table_batch(op *self, batch *in, weir_error *err)
{
    table_join_op *j = (table_join_op *)self;

    return in->side == LEFT_SIDE ? look_up(j, in, err) : keep_rows(j, in, err);
}

/* ---- two tables ---- */

/* Deleted rows have no values in their columns, yet the joined row may live on: then they are nulls. */
static void own_nulls(const table_join_op *j, batch *out, const join_side *mine)
{
    bool any = false;

    EACH_ROW (r, out->live) any |= out->kind[r] != ROW_NORMAL;
    for (uint32_t i = 0; any && i < mine->count; i++) {
        column *c = &out->columns[mine->first + i];
        uint8_t *null = arena_zero(out->arena, out->rows);
        EACH_ROW (r, out->live) null[r] = out->kind[r] != ROW_NORMAL || c->null[r];
        c->null = null;
    }
    (void)j;
}

/* As Kafka Streams: a change is passed on where the other side has a row, and on a kept side always; it is a deletion where no
 * joined row is left, even if there was none before. */
static weir_rc table_table_batch(op *self, batch *in, weir_error *err)
{
    table_join_op *j = (table_join_op *)self;
    const join_side *mine = &j->sides[in->side], *other = &j->sides[1 - in->side];
    slice *keys = join_keys(self, in);
    batch *out = joined_batch(j, in);
    uint32_t *index = ARENA_ARRAY(in->arena, uint32_t, in->live.count), count = 0;

    own_nulls(j, out, mine);
    out->passed_ms = NULL; /* the joined rows have times of their own */
    out->kind = ARENA_ARRAY(in->arena, uint8_t, in->rows);
    out->event_ms = ARENA_ARRAY(in->arena, int64_t, in->rows);
    EACH_ROW (r, in->live) {
        slice before, met;
        int64_t met_ms = INT64_MIN;
        if (keys[r].data == NULL) continue;
        WEIR_TRY(row_store_find(&j->rows[in->side], keys[r], &before, err));
        bool had_row = before.data != NULL, has_row = in->kind[r] == ROW_NORMAL;
        WEIR_TRY(row_store_write(&j->rows[in->side], keys[r], in, r, err));
        WEIR_TRY(row_store_find(&j->rows[1 - in->side], keys[r], &met, err));
        if (met.data == NULL && !(mine->is_kept && (has_row || had_row))) continue;
        if (met.data != NULL) {
            WEIR_TRY(fill_in(j, out, 1 - in->side, r, met, &met_ms, err));
        } else {
            nullify(out, other, r);
        }
        bool is_there = (has_row && (met.data != NULL || mine->is_kept)) || (met.data != NULL && other->is_kept);
        out->kind[r] = is_there ? ROW_NORMAL : ROW_TOMBSTONE;
        out->event_ms[r] = met_ms > in->event_ms[r] ? met_ms : in->event_ms[r];
        index[count++] = r;
    }
    out->live = (row_set){ index, count };
    return op_emit(self, out, err);
}

/* ---- life ---- */

static void join_seal(op *self, arena *a, change_list *changes)
{
    for (uint32_t i = 0; i < 2; i++) {
        if (has_store(self, i)) state_table_seal(((table_join_op *)self)->rows[i].table, a, changes);
    }
}

static void join_committed(op *self)
{
    for (uint32_t i = 0; i < 2; i++) {
        if (has_store(self, i)) state_table_committed(((table_join_op *)self)->rows[i].table);
    }
}

static weir_rc join_forget(op *self, weir_error *err)
{
    for (uint32_t i = 0; i < 2; i++) {
        if (has_store(self, i)) WEIR_TRY(row_store_forget(&((table_join_op *)self)->rows[i], err));
    }
    return WEIR_OK;
}

static size_t join_dirty_bytes(const op *self)
{
    size_t bytes = 0;

    for (uint32_t i = 0; i < 2; i++) {
        if (has_store(self, i)) bytes += state_table_dirty_bytes(((const table_join_op *)self)->rows[i].table);
    }
    return bytes;
}

static size_t join_state_bytes(const op *self)
{
    return state_table_bytes(((const table_join_op *)self)->rows[RIGHT_SIDE].table);
}

static void join_close(op *self)
{
    for (uint32_t i = 0; i < 2; i++) row_store_close(&((table_join_op *)self)->rows[i]);
}

const op_class op_join_stream_table = { .name = "StreamTableJoin", .open = join_open, .batch = stream_table_batch,
                                        .watermark = join_pass_watermark,
                                        .seal = join_seal, .committed = join_committed, .forget = join_forget,
                                        .dirty_bytes = join_dirty_bytes, .state_bytes = join_state_bytes, .close = join_close };
const op_class op_join_table_table = { .name = "TableTableJoin", .open = join_open, .batch = table_table_batch,
                                       .watermark = join_pass_watermark,
                                       .seal = join_seal, .committed = join_committed, .forget = join_forget,
                                       .dirty_bytes = join_dirty_bytes, .state_bytes = join_state_bytes, .close = join_close };
