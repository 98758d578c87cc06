/* executor/eval.c - see eval.h. */
#include "executor/eval.h"

#include <stdlib.h>

void evaluator_init(evaluator *e, const weir_clock *clock)
{
    *e = (evaluator){ .context = { .clock = clock }, .pinned_row = -1 };
}

void evaluator_free(evaluator *e)
{
    free(e->params);
    *e = (evaluator){ 0 };
}

/* ---- one row ---- */

static void set_params(evaluator *e, uint32_t first, const value *params, uint32_t count)
{
    if (first + count > e->params_room) {
        uint32_t room = first + count + 8;
        value *grown = realloc(e->params, room * sizeof *grown);
        if (grown == NULL) abort();
        e->params = grown;
        e->params_room = room;
    }
    memcpy(e->params + first, params, count * sizeof *params);
}

static bool lambda_apply(const lambda *base, eval_context *x, const value *params, value *out)
{
    const bound_lambda *l = (const bound_lambda *)base;
    evaluator *e = (evaluator *)x;

    set_params(e, l->first_param, params, base->param_count);
    *out = eval_value(e, l->body, x->batch, e->pinned_row >= 0 ? (uint32_t)e->pinned_row : x->row);
    return true;
}

static value call_value(evaluator *e, const bound *b, const batch *in, uint32_t row)
{
    const call *c = b->call;
    arena *a = in->arena;
    column *args = ARENA_ARRAY(a, column, b->arg_count);
    column out;

    for (uint32_t i = 0; i < b->arg_count; i++) {
        if (b->args[i] == NULL) {
            args[i] = (column){ .type = c->arg_types[i] };
            continue;
        }
        value v = eval_value(e, b->args[i], in, row);
        args[i] = column_new(a, c->arg_types[i], 1);
        column_set(&args[i], 0, &v);
    }
    /* The body runs over a batch of one row; lambdas inside still see the real one. */
    const batch *seen = e->context.batch;
    uint32_t seen_row = e->context.row;
    int64_t pinned_row = e->pinned_row;
    static const uint32_t zero = 0;
    e->context.arena = a;
    e->context.batch = in;
    e->pinned_row = row;
    call_run(c, &e->context, args, (row_set){ &zero, 1 }, 1, &out);
    e->context.batch = seen;
    e->context.row = seen_row;
    e->pinned_row = pinned_row;
    return column_get(&out, 0);
}

static bool is_true(const value *v)
{
    return !v->is_null && v->boolean;
}

value eval_value(evaluator *e, const bound *b, const batch *in, uint32_t row)
{
    value v = NULL_VALUE;

    switch (b->kind) {
    case BOUND_COLUMN: return column_get(&in->columns[b->column], row);
    case BOUND_LITERAL: return b->literal;
    case BOUND_CALL: return call_value(e, b, in, row);
    case BOUND_AND:
    case BOUND_OR:
        v = (value){ .boolean = b->kind == BOUND_AND };
        for (uint32_t i = 0; i < b->arg_count; i++) {
            value arg = eval_value(e, b->args[i], in, row);
            if (is_true(&arg) != (b->kind == BOUND_AND)) return (value){ .boolean = b->kind == BOUND_OR };
        }
        return v;
    case BOUND_CASE:
        for (uint32_t i = 0; i + 1 < b->arg_count; i += 2) {
            value condition = eval_value(e, b->args[i], in, row);
            if (is_true(&condition)) return eval_value(e, b->args[i + 1], in, row);
        }
        return eval_value(e, b->args[b->arg_count - 1], in, row);
    case BOUND_FIELD:
        v = eval_value(e, b->args[0], in, row);
        return v.is_null ? v : v.list.items[b->field];
    case BOUND_STRUCT:
        v = (value){ .list = { ARENA_ARRAY(in->arena, value, b->arg_count), b->arg_count } };
        for (uint32_t i = 0; i < b->arg_count; i++) v.list.items[i] = eval_value(e, b->args[i], in, row);
        return v;
    case BOUND_PARAM: return e->params[b->param];
    case BOUND_ROWTIME: v = (value){ .i64 = in->event_ms[row] }; break;
    case BOUND_ROWPARTITION:
        if (in->row_partition != NULL) v = (value){ .i32 = in->row_partition[row] };
        break;
    case BOUND_ROWOFFSET:
        if (in->row_offset != NULL) v = (value){ .i64 = in->row_offset[row] };
        break;
    case BOUND_WINDOWSTART:
        if (in->window_start != NULL) v = (value){ .i64 = in->window_start[row] };
        break;
    case BOUND_WINDOWEND:
        if (in->window_end != NULL) v = (value){ .i64 = in->window_end[row] };
        break;
    }
    return v;
}

/* ---- a batch ---- */

static void fill_literal(const bound *b, const batch *in, row_set rows, column *out)
{
    *out = column_new(in->arena, b->type, in->rows);
    if (b->literal.is_null) {
        memset(out->null, 1, in->rows);
        return;
    }
    EACH_ROW (r, rows) column_set(out, r, &b->literal);
}

static void eval_call(evaluator *e, const bound *b, const batch *in, row_set rows, column *out)
{
    column *args = ARENA_ARRAY(in->arena, column, b->arg_count);

    for (uint32_t i = 0; i < b->arg_count; i++) {
        if (b->args[i] == NULL) {
            args[i] = (column){ .type = b->call->arg_types[i] };
        } else {
            eval_column(e, b->args[i], in, rows, &args[i]);
        }
    }
    e->context.arena = in->arena;
    e->context.batch = in;
    call_run(b->call, &e->context, args, rows, in->rows, out);
}

/* Splits rows by a condition column; the parts' indexes stand in the arena. */
static void split_rows(const batch *in, const column *condition, row_set rows, row_set *yes, row_set *no)
{
    uint32_t *index = ARENA_ARRAY(in->arena, uint32_t, rows.count);
    uint32_t *rest = ARENA_ARRAY(in->arena, uint32_t, rows.count);
    uint32_t yes_count = 0, no_count = 0;

    EACH_ROW (r, rows) {
        bool is_yes = !condition->null[r] && condition->boolean[r];
        index[yes_count] = r;
        rest[no_count] = r;
        yes_count += is_yes;
        no_count += !is_yes;
    }
    *yes = (row_set){ index, yes_count };
    *no = (row_set){ rest, no_count };
}

static void eval_logic(evaluator *e, const bound *b, const batch *in, row_set rows, column *out)
{
    bool is_and = b->kind == BOUND_AND;
    row_set open = rows;

    *out = column_new(in->arena, b->type, in->rows);
    EACH_ROW (r, rows) out->boolean[r] = is_and;
    for (uint32_t i = 0; i < b->arg_count && open.count > 0; i++) {
        column condition;
        row_set yes, no;
        eval_column(e, b->args[i], in, open, &condition);
        split_rows(in, &condition, open, &yes, &no);
        row_set decided = is_and ? no : yes;
        EACH_ROW (r, decided) out->boolean[r] = !is_and;
        open = is_and ? yes : no;
    }
}

static void eval_case(evaluator *e, const bound *b, const batch *in, row_set rows, column *out)
{
    row_set open = rows;

    *out = column_new(in->arena, b->type, in->rows);
    for (uint32_t i = 0; i < b->arg_count && open.count > 0; i += 2) {
        bool is_else = i + 1 == b->arg_count;
        row_set yes = open, no = { NULL, 0 };
        column result;
        if (!is_else) {
            column condition;
            eval_column(e, b->args[i], in, open, &condition);
            split_rows(in, &condition, open, &yes, &no);
        }
        eval_column(e, b->args[is_else ? i : i + 1], in, yes, &result);
        EACH_ROW (r, yes) column_copy_row(out, r, &result, r);
        open = no;
    }
}

static void eval_field(evaluator *e, const bound *b, const batch *in, row_set rows, column *out)
{
    column whole;

    eval_column(e, b->args[0], in, rows, &whole);
    *out = column_new(in->arena, b->type, in->rows);
    EACH_ROW (r, rows) {
        if (whole.null[r]) {
            out->null[r] = 1;
        } else {
            column_set(out, r, &whole.nested[r].list.items[b->field]);
        }
    }
}

static void eval_struct(evaluator *e, const bound *b, const batch *in, row_set rows, column *out)
{
    column *fields = ARENA_ARRAY(in->arena, column, b->arg_count);

    for (uint32_t i = 0; i < b->arg_count; i++) eval_column(e, b->args[i], in, rows, &fields[i]);
    *out = column_new(in->arena, b->type, in->rows);
    EACH_ROW (r, rows) {
        value *items = ARENA_ARRAY(in->arena, value, b->arg_count);
        for (uint32_t i = 0; i < b->arg_count; i++) items[i] = column_get(&fields[i], r);
        out->nested[r] = (value){ .list = { items, b->arg_count } };
    }
}

/* A pseudo column is an array of the batch itself; all null where the batch has none. */
static column lend(const bound *b, const batch *in, void *data)
{
    column c = { .type = b->type, .any = data, .null = arena_zero(in->arena, in->rows) };

    if (data == NULL) {
        memset(c.null, 1, in->rows);
        c.any = arena_zero(in->arena, column_element_bytes(b->type) * in->rows);
    }
    return c;
}

void eval_column(evaluator *e, const bound *b, const batch *in, row_set rows, column *out)
{
    switch (b->kind) {
    case BOUND_COLUMN: *out = in->columns[b->column]; break;
    case BOUND_LITERAL: fill_literal(b, in, rows, out); break;
    case BOUND_CALL: eval_call(e, b, in, rows, out); break;
    case BOUND_AND:
    case BOUND_OR: eval_logic(e, b, in, rows, out); break;
    case BOUND_CASE: eval_case(e, b, in, rows, out); break;
    case BOUND_FIELD: eval_field(e, b, in, rows, out); break;
    case BOUND_STRUCT: eval_struct(e, b, in, rows, out); break;
    case BOUND_ROWTIME: *out = lend(b, in, in->event_ms); break;
    case BOUND_ROWPARTITION: *out = lend(b, in, in->row_partition); break;
    case BOUND_ROWOFFSET: *out = lend(b, in, in->row_offset); break;
    case BOUND_WINDOWSTART: *out = lend(b, in, in->window_start); break;
    case BOUND_WINDOWEND: *out = lend(b, in, in->window_end); break;
    case BOUND_PARAM:
        *out = column_new(in->arena, b->type, in->rows);
        EACH_ROW (r, rows) column_set(out, r, &e->params[b->param]);
        break;
    }
}

row_set eval_rows(evaluator *e, const bound *predicate, const batch *in, row_set rows)
{
    column condition;
    row_set yes, no;

    eval_column(e, predicate, in, rows, &condition);
    split_rows(in, &condition, rows, &yes, &no);
    return yes;
}

/* ---- life ---- */

static void walk(bound *b, void (*visit)(bound *b))
{
    for (uint32_t i = 0; i < b->arg_count; i++) {
        if (b->args[i] != NULL) {
            walk(b->args[i], visit);
        } else if (b->kind == BOUND_CALL && b->call->lambdas != NULL && b->call->lambdas[i] != NULL) {
            walk(((const bound_lambda *)b->call->lambdas[i])->body, visit);
        }
    }
    visit(b);
}

static void prepare_node(bound *b)
{
    if (b->kind != BOUND_CALL || b->call->lambdas == NULL) return;
    for (uint32_t i = 0; i < b->arg_count; i++) {
        if (b->call->lambdas[i] != NULL) ((lambda *)b->call->lambdas[i])->apply = lambda_apply;
    }
}

void expression_prepare(bound *b)
{
    walk(b, prepare_node);
}
