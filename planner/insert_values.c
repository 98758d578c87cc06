/* planner/insert_values.c - INSERT INTO ... VALUES: one record, its values computed here. */
#include "planner/build.h"

typedef struct insertion {
    const planner_env *env;
    const statement *s;
    const source *into;
    arena *arena;
    weir_error *err;
    value *row;
    bool *given;
    planned *out;
} insertion;

/* A number that was brought to a column's type must still be the one that was written. */
static bool is_same_number(arena *a, const bound *given, const bound *brought)
{
    const char *reason;
    value back;

    if (!type_is_number(given->type) || !type_is_number(brought->type) || given->literal.is_null) return true;
    if (brought->type->kind == TYPE_DOUBLE) return true; /* the nearest one */
    if (!cast_value(a, brought->type, given->type, &brought->literal, &back, &reason)) return false;
    return value_equal(given->type, &given->literal, &back);
}

/* The error there is, of the value of a column. */
static weir_rc fail_value(insertion *in, slice column)
{
    char why[WEIR_MESSAGE_BYTES];

    memcpy(why, in->err->message, sizeof why);
    return weir_fail(in->err, in->err->rc, in->err->at, "column %.*s: %s", SLICE_ARG(column), why);
}

/* Constants only, but NOW() and its like may be asked. column: for messages. */
static weir_rc compute(insertion *in, const expr *e, slice column, const type *to, value *out)
{
    held_call *held = NULL;
    binder b = { .arena = in->arena, .catalog = in->env->catalog, .clause = "VALUES", .err = in->err, .folds_volatile = true, .held = &held };
    bound *node, *given;
    bool done = false;
    weir_rc rc = bind_expr(&b, e, &node);

    given = node;
    if (rc == WEIR_OK) rc = bind_literal_as(&b, node, to, &done, &node);
    release_unused(held, NULL);
    if (rc != WEIR_OK) return fail_value(in, column);
    if (done && node->kind == BOUND_LITERAL && !is_same_number(in->arena, given, node)) {
        slice what = expr_text(in->arena, e), wanted = type_text(in->arena, to);
        return weir_fail(in->err, WEIR_SEMANTIC, e->at, "%.*s does not fit column %.*s, which is %.*s", SLICE_ARG(what),
                         SLICE_ARG(column), SLICE_ARG(wanted));
    }
    if (done && node->kind == BOUND_LITERAL) {
        *out = node->literal;
        return WEIR_OK;
    }
    if (node->kind == BOUND_LITERAL) {
        slice found = type_text(in->arena, node->type), wanted = type_text(in->arena, to);
        return weir_fail(in->err, WEIR_SEMANTIC, e->at, "column %.*s is %.*s, this is %.*s", SLICE_ARG(column), SLICE_ARG(wanted),
                         SLICE_ARG(found));
    }
    slice what = expr_text(in->arena, e);
    return weir_fail(in->err, WEIR_SEMANTIC, e->at, "VALUES are constants; %.*s has no value of its own", SLICE_ARG(what));
}

static bool is_header(const schema_column *c)
{
    return c->is_headers || c->header_key.data != NULL;
}

static weir_rc set_column(insertion *in, uint32_t i, const expr *e, sql_pos at)
{
    const schema_column *c = &in->into->schema.columns[i];

    if (is_header(c)) {
        return weir_fail(in->err, WEIR_SEMANTIC, at, "column %.*s holds headers and cannot be inserted; leave it out", SLICE_ARG(c->name));
    }
    if (in->given[i]) return weir_fail(in->err, WEIR_SEMANTIC, at, "column %.*s is given twice", SLICE_ARG(c->name));
    in->given[i] = true;
    return compute(in, e, c->name, c->type, &in->row[i]);
}

static weir_rc set_named(insertion *in, const identifier *name, const expr *e)
{
    value ms;

    if (slice_is(name->name, "ROWTIME")) {
        WEIR_TRY(compute(in, e, name->name, &type_bigint, &ms));
        in->out->timestamp_ms = ms.i64;
        return WEIR_OK;
    }
    if (is_reserved_name(name->name)) {
        return weir_fail(in->err, WEIR_SEMANTIC, name->at, "%.*s is the log's to give: of these, ROWTIME alone can be inserted",
                         SLICE_ARG(name->name));
    }
    int32_t i = schema_find(&in->into->schema, name->name);
    if (i >= 0) return set_column(in, (uint32_t)i, e, name->at);
    return catalog_fail_column(in->into, name->name, name->at, in->err);
}

static weir_rc set_all(insertion *in)
{
    const expr_list *values = &in->s->values.values;
    const schema *s = &in->into->schema;

    for (uint32_t i = 0; i < s->count; i++) {
        if (is_header(&s->columns[i])) {
            return weir_fail(in->err, WEIR_SEMANTIC, in->s->values.target.at,
                             "column %.*s holds headers and cannot be inserted; name the other columns",
                             SLICE_ARG(s->columns[i].name));
        }
    }
    if (values->count != s->count) {
        return weir_fail(in->err, WEIR_SEMANTIC, in->s->values.target.at, "%.*s has %u columns, and %u value%s given; to give some, name them: INSERT INTO %.*s (%.*s, ...) VALUES ...",
                         SLICE_ARG(in->into->name), s->count, values->count, values->count == 1 ? " is" : "s are", SLICE_ARG(in->into->name),
                         SLICE_ARG(s->columns[0].name));
    }
    for (uint32_t i = 0; i < s->count; i++) WEIR_TRY(set_column(in, i, values->items[i], values->items[i]->at));
    return WEIR_OK;
}

static weir_rc set_listed(insertion *in)
{
    const identifier_list *names = &in->s->values.columns;
    const expr_list *values = &in->s->values.values;

    if (values->count != names->count) {
        return weir_fail(in->err, WEIR_SEMANTIC, in->s->values.target.at, "%u column%s named, and %u value%s given: each named column takes one",
                         names->count, names->count == 1 ? " is" : "s are", values->count, values->count == 1 ? " is" : "s are");
    }
    for (uint32_t i = 0; i < names->count; i++) WEIR_TRY(set_named(in, &names->items[i], values->items[i]));
    return WEIR_OK;
}

static weir_rc check_target(insertion *in)
{
    const identifier *name = &in->s->values.target;
    builder b = { .arena = in->arena, .env = in->env, .err = in->err };

    WEIR_TRY(find_source(&b, name, &in->into));
    if (in->into->is_source) return catalog_fail_read_only(in->into, name->at, in->err);
    if (in->into->windowed != WINDOW_NONE) {
        return weir_fail(in->err, WEIR_SEMANTIC, name->at, "the key of %.*s is windowed: VALUES cannot give a window",
                         SLICE_ARG(name->name));
    }
    return WEIR_OK;
}

weir_rc plan_insert_values(const planner_env *env, const statement *s, arena *a, planned *out, weir_error *err)
{
    insertion in = { .env = env, .s = s, .arena = a, .err = err, .out = out };

    WEIR_TRY(check_target(&in));
    const schema *columns = &in.into->schema;
    in.row = ARENA_ZEROS(a, value, columns->count);
    in.given = ARENA_ZEROS(a, bool, columns->count);
    for (uint32_t i = 0; i < columns->count; i++) in.row[i] = NULL_VALUE;
    out->timestamp_ms = env->now_ms;
    if (s->values.has_columns) WEIR_TRY(set_listed(&in));
    else WEIR_TRY(set_all(&in));
    for (uint32_t i = 0; i < columns->key_count; i++) {
        if (in.into->is_table && in.row[i].is_null) {
            return weir_fail(err, WEIR_SEMANTIC, s->values.target.at, "the primary key column %.*s needs a value",
                             SLICE_ARG(columns->columns[i].name));
        }
    }
    out->kind = PLANNED_INSERT_VALUES;
    out->into = in.into;
    out->row = in.row;
    return WEIR_OK;
}
