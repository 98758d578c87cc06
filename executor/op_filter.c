/* executor/op_filter.c - WHERE and HAVING: keeps the rows whose predicate is true.
 * Of a table's changes, one that no longer passes becomes a tombstone if its former row had passed, and nothing otherwise. */
#include "executor/task.h"

typedef struct filter_op {
    op base;
} filter_op;

static row_set judge(op *self, const batch *in, row_set rows)
{
    self->task->judges = true;
    row_set yes = eval_rows(&self->task->eval, self->step->filter.predicate, in, rows);
    self->task->judges = false;
    return yes;
}

static weir_rc filter_stream(op *self, batch *in, weir_error *err)
{
    row_set judged = rows_with_value(in, in->live); /* a null value has no columns to judge by */

    in->live = judge(self, in, judged);
    return op_emit(self, in, err);
}

/* The rows of one version (new or old) that exist and pass, as flags. */
static uint8_t *passing(op *self, batch *version, row_set live)
{
    uint8_t *passes = arena_zero(version->arena, version->rows);
    row_set yes = judge(self, version, rows_with_value(version, live));

    EACH_ROW (r, yes) passes[r] = 1;
    return passes;
}

static weir_rc filter_table(op *self, batch *in, weir_error *err)
{
    uint8_t *now = passing(self, in, in->live);
    uint8_t *before = in->old == NULL ? NULL : passing(self, in->old, in->live);
    uint32_t *index = ARENA_ARRAY(in->arena, uint32_t, in->live.count);
    uint32_t count = 0;

    EACH_ROW (r, in->live) {
        bool was_there = before == NULL || before[r];
        if (!now[r] && !was_there) continue;
        if (!now[r]) in->kind[r] = ROW_TOMBSTONE;
        if (before != NULL && !before[r]) in->old->kind[r] = ROW_TOMBSTONE;
        index[count++] = r;
    }
    in->live = (row_set){ index, count };
    return op_emit(self, in, err);
}

static weir_rc filter_batch(op *self, batch *in, weir_error *err)
{
    return self->step->is_table ? filter_table(self, in, err) : filter_stream(self, in, err);
}

const op_class op_filter = { .name = "Filter", .batch = filter_batch };
