/* executor/op_project.c - SELECT's expressions: makes the columns of the step's schema, keys too. */
#include "executor/task.h"

static bool is_of_key(const bound *b, uint32_t key_count)
{
    switch (b->kind) {
    case BOUND_COLUMN: return b->column < key_count;
    case BOUND_ROWTIME:
    case BOUND_ROWPARTITION:
    case BOUND_ROWOFFSET: return false;
    default: break;
    }
    for (uint32_t i = 0; i < b->arg_count; i++) {
        bool is_lambda = b->args[i] == NULL;
        const bound *arg = is_lambda ? ((const bound_lambda *)b->call->lambdas[i])->body : b->args[i];
        if (!is_of_key(arg, key_count)) return false;
    }
    return true;
}

/* A stream's record without a value: a new key that is made of more than the old one is null. */
static void eval_key(op *self, const bound *b, batch *in, row_set live, row_set with_value, column *out)
{
    const step *input = &self->task->shared->plan->steps[self->step->inputs[0]];
    column known;

    if (live.count == with_value.count || self->step->is_table || is_of_key(b, input->schema.key_count)) {
        eval_column(&self->task->eval, b, in, live, out);
        return;
    }
    eval_column(&self->task->eval, b, in, with_value, &known);
    *out = column_new(in->arena, b->type, in->rows);
    memset(out->null, 1, in->rows);
    EACH_ROW (r, with_value) column_copy_row(out, r, &known, r);
}

/* A new key must be known for tombstones as well: they keep what the key expressions give. Value expressions are not run
 * on them: they would only fail on nulls. A former row that was not there has no key either: its columns are undefined. */
static batch *project(op *self, batch *in, row_set live, bool is_former)
{
    const step *s = self->step;
    column *columns = ARENA_ARRAY(in->arena, column, s->schema.count);
    uint32_t *index = ARENA_ARRAY(in->arena, uint32_t, live.count);
    uint32_t count = 0;

    EACH_ROW (r, live) {
        index[count] = r;
        count += in->kind[r] == ROW_NORMAL;
    }
    row_set with_value = count == live.count ? live : (row_set){ index, count };
    for (uint32_t i = 0; i < s->schema.count; i++) {
        self->task->computed = s->schema.columns[i].name;
        bool is_key = !is_former && (i < s->schema.key_count || (s->project.kept != NULL && s->project.kept[i]));
        if (is_key) eval_key(self, s->project.exprs[i], in, live, with_value, &columns[i]);
        else eval_column(&self->task->eval, s->project.exprs[i], in, with_value, &columns[i]);
    }
    self->task->computed = NO_SLICE;
    batch *out = batch_with_columns(in, columns, s->schema.count);
    out->live = live;
    if (s->project.rekeys) out->keyless = NULL;
    return out;
}

static weir_rc project_batch(op *self, batch *in, weir_error *err)
{
    batch *out = project(self, in, in->live, false);

    out->old = in->old == NULL ? NULL : project(self, in->old, in->live, true);
    return op_emit(self, out, err);
}

const op_class op_project = { .name = "Project", .batch = project_batch };

/* ---- with table functions: a row in, as many rows out as the longest list has elements ---- */

static bool is_table_function(const bound *b)
{
    return b->kind == BOUND_CALL && b->call->fn->kind == FUNCTION_TABLE;
}

/* The lists that column i's table function makes of the rows, or the plain column. */
static void eval_lists(op *self, const bound *b, const batch *in, row_set rows, column *out)
{
    if (!is_table_function(b)) {
        eval_column(&self->task->eval, b, in, rows, out);
        return;
    }
    column *args = ARENA_ARRAY(in->arena, column, b->arg_count);
    for (uint32_t i = 0; i < b->arg_count; i++) eval_column(&self->task->eval, b->args[i], in, rows, &args[i]);
    call as_list = *b->call;
    as_list.result = type_array(in->arena, b->type);
    self->task->eval.context.arena = in->arena;
    self->task->eval.context.batch = in;
    call_run(&as_list, &self->task->eval.context, args, rows, in->rows, out);
}

static weir_rc flat_map_batch(op *self, batch *in, weir_error *err)
{
    const step *s = self->step;
    uint32_t width = s->schema.count, total = 0, at = 0;
    column *made = ARENA_ARRAY(in->arena, column, width);
    uint32_t *lengths = ARENA_ZEROS(in->arena, uint32_t, in->rows);

    uint32_t *index = ARENA_ARRAY(in->arena, uint32_t, in->live.count), count = 0;
    EACH_ROW (r, in->live) {
        index[count] = r;
        count += in->kind[r] == ROW_NORMAL;
    }
    row_set rows = { index, count };
    for (uint32_t i = 0; i < width; i++) {
        self->task->computed = s->schema.columns[i].name;
        eval_lists(self, s->project.exprs[i], in, rows, &made[i]);
        if (!is_table_function(s->project.exprs[i])) continue;
        EACH_ROW (r, rows) {
            if (!made[i].null[r] && made[i].nested[r].list.count > lengths[r]) lengths[r] = made[i].nested[r].list.count;
        }
    }
    self->task->computed = NO_SLICE;
    EACH_ROW (r, rows) total += lengths[r];
    if (total == 0) return WEIR_OK;

    batch *out = batch_new(in->arena, &s->schema, total, in->window_start != NULL);
    out->upstream = in->upstream;
    out->is_mixed = in->is_mixed;
    if (in->keyless != NULL) out->keyless = ARENA_ARRAY(in->arena, uint8_t, total);
    if (in->headers != NULL) out->headers = ARENA_ZEROS(in->arena, header_list, total);
    if (in->row_partition != NULL) out->row_partition = ARENA_ARRAY(in->arena, int32_t, total);
    if (in->row_offset != NULL) out->row_offset = ARENA_ARRAY(in->arena, int64_t, total);
    if (in->passed_ms != NULL) out->passed_ms = ARENA_ARRAY(in->arena, int64_t, total);
    EACH_ROW (r, rows) {
        for (uint32_t k = 0; k < lengths[r]; k++, at++) {
            out->event_ms[at] = in->event_ms[r];
            if (in->passed_ms != NULL) out->passed_ms[at] = in->passed_ms[r];
            if (in->window_start != NULL) {
                out->window_start[at] = in->window_start[r];
                out->window_end[at] = in->window_end[r];
            }
            if (in->keyless != NULL) out->keyless[at] = in->keyless[r];
            if (in->headers != NULL) out->headers[at] = in->headers[r];
            if (in->row_partition != NULL) out->row_partition[at] = in->row_partition[r];
            if (in->row_offset != NULL) out->row_offset[at] = in->row_offset[r];
            for (uint32_t i = 0; i < width; i++) {
                if (!is_table_function(s->project.exprs[i])) {
                    column_copy_row(&out->columns[i], at, &made[i], r);
                } else if (made[i].null[r] || k >= made[i].nested[r].list.count) {
                    out->columns[i].null[at] = 1;
                } else {
                    column_set(&out->columns[i], at, &made[i].nested[r].list.items[k]);
                }
            }
        }
    }
    return op_emit(self, out, err);
}

const op_class op_flat_map = { .name = "FlatMap", .batch = flat_map_batch };
