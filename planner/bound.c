/* planner/bound.c - see bound.h. */
#include "planner/bound.h"

const type type_lambda = { .kind = TYPE_LAMBDA };
const type type_interval_unit = { .kind = TYPE_INTERVAL_UNIT };

bound *bound_new(arena *a, bound_kind kind, const type *t, sql_pos at, uint32_t arg_count)
{
    bound *b = ARENA_NEW(a, bound);

    *b = (bound){ .kind = kind, .type = t, .at = at, .arg_count = arg_count };
    if (arg_count > 0) b->args = ARENA_ZEROS(a, bound *, arg_count);
    return b;
}

bound *bound_column(arena *a, uint32_t index, const type *t, sql_pos at)
{
    bound *b = bound_new(a, BOUND_COLUMN, t, at, 0);

    b->column = index;
    return b;
}

bound *bound_literal(arena *a, const type *t, value v, sql_pos at)
{
    bound *b = bound_new(a, BOUND_LITERAL, t, at, 0);

    b->literal = v;
    return b;
}

static const bound_lambda *lambda_of(const bound *b, uint32_t arg)
{
    if (b->kind != BOUND_CALL || b->call->lambdas == NULL) return NULL;
    return (const bound_lambda *)b->call->lambdas[arg];
}

bool bound_equal(const bound *x, const bound *y)
{
    if (x == y) return true;
    if (x == NULL || y == NULL) return false;
    if (x->kind != y->kind || x->arg_count != y->arg_count || !type_equal(x->type, y->type)) return false;
    switch (x->kind) {
    case BOUND_COLUMN:
        if (x->column != y->column) return false;
        break;
    case BOUND_FIELD:
        if (x->field != y->field) return false;
        break;
    case BOUND_PARAM:
        if (x->param != y->param) return false;
        break;
    case BOUND_LITERAL: return value_equal(x->type, &x->literal, &y->literal);
    case BOUND_CALL:
        if (x->call->fn != y->call->fn || x->call->fn->is_volatile) return false;
        break;
    default: break;
    }
    for (uint32_t i = 0; i < x->arg_count; i++) {
        const bound_lambda *lx = lambda_of(x, i), *ly = lambda_of(y, i);
        if ((lx == NULL) != (ly == NULL)) return false;
        if (lx != NULL ? lx->base.param_count != ly->base.param_count || lx->first_param != ly->first_param ||
                             !bound_equal(lx->body, ly->body)
                       : !bound_equal(x->args[i], y->args[i])) {
            return false;
        }
    }
    return true;
}

void bound_walk(const bound *b, void (*see)(void *self, const bound *b), void *self)
{
    see(self, b);
    for (uint32_t i = 0; i < b->arg_count; i++) {
        const bound_lambda *l = lambda_of(b, i);
        if (l != NULL) bound_walk(l->body, see, self);
        else bound_walk(b->args[i], see, self);
    }
}

static void mark_column(void *self, const bound *b)
{
    bool *wanted = self;

    if (b->kind == BOUND_COLUMN) wanted[b->column] = true;
}

void bound_mark_columns(const bound *b, bool *wanted)
{
    bound_walk(b, mark_column, wanted);
}

typedef struct search {
    bound_kind kind;
    bool found;
} search;

static void compare_kind(void *self, const bound *b)
{
    search *s = self;

    s->found |= b->kind == s->kind;
}

bool bound_holds(const bound *b, bound_kind kind)
{
    search s = { kind, false };

    bound_walk(b, compare_kind, &s);
    return s.found;
}

static void release_call(void *self, const bound *b)
{
    (void)self;
    if (b->kind == BOUND_CALL && b->call->fn->release != NULL) b->call->fn->release(b->call);
}

void bound_release(const bound *b)
{
    bound_walk(b, release_call, NULL);
}

static const lambda *replace_in_lambda(arena *a, const bound_lambda *l, bound *const *columns)
{
    bound_lambda *copy = ARENA_NEW(a, bound_lambda);

    *copy = *l;
    copy->body = bound_replace_columns(a, l->body, columns);
    return &copy->base;
}

bound *bound_replace_columns(arena *a, const bound *b, bound *const *columns)
{
    if (b->kind == BOUND_COLUMN) return columns[b->column];
    bound *copy = ARENA_NEW(a, bound);
    *copy = *b;
    if (b->arg_count == 0) return copy;
    copy->args = ARENA_ZEROS(a, bound *, b->arg_count);
    const lambda **lambdas = NULL;
    for (uint32_t i = 0; i < b->arg_count; i++) {
        const bound_lambda *l = lambda_of(b, i);
        if (l == NULL) {
            copy->args[i] = bound_replace_columns(a, b->args[i], columns);
            continue;
        }
        if (lambdas == NULL) lambdas = ARENA_ZEROS(a, const lambda *, b->arg_count);
        lambdas[i] = replace_in_lambda(a, l, columns);
    }
    if (lambdas != NULL) { /* else the call is shared: it names no columns */
        copy->call = ARENA_NEW(a, call);
        *copy->call = *b->call;
        copy->call->lambdas = lambdas;
    }
    return copy;
}
