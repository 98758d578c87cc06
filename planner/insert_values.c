/* planner/insert_values.c - INSERT INTO ... VALUES: one record, its values computed here. */
#include "planner/build.h"

#include "core/number.h"

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
static bool is_same_number(arena *a, const type *from, const value *given, const type *to, const value *brought)
{
    const char *reason;
    value back;

    if (!type_is_number(from) || !type_is_number(to)) return true;
    if (to->kind == TYPE_DOUBLE) return true; /* the nearest one */
    return cast_value(a, to, from, brought, &back, &reason) && value_equal(from, given, &back);
}

static const char *what_is_lost(arena *a, const type *from, const value *given, const type *to, const value *brought);

/* Of several values of one type: what is lost of the first of which something is. */
static const char *lost_in_list(arena *a, const type *from, const value_list *given, const type *to, const value *brought, const char *what)
{
    for (uint32_t i = 0; i < given->count; i++) {
        const char *lost = what_is_lost(a, from, &given->items[i], to, &brought[i]);
        if (lost != NULL) return arena_printf(a, "%s %u: %s", what, i + 1, lost).data;
    }
    return NULL;
}

/* Fields that the column has not are left out, as in ksqlDB. */
static const char *lost_in_fields(arena *a, const type *from, const value *given, const type *to, const value *brought)
{
    for (uint32_t i = 0; i < from->field_count; i++) {
        slice name = from->fields[i].name;
        uint32_t at = 0;
        while (at < to->field_count && !slice_equal(to->fields[at].name, name)) at++;
        if (at == to->field_count) continue;
        const char *lost = what_is_lost(a, from->fields[i].type, &given->list.items[i], to->fields[at].type, &brought->list.items[at]);
        if (lost != NULL) return arena_printf(a, "field %.*s: %s", SLICE_ARG(name), lost).data;
    }
    return NULL;
}

/* What was written and did not come through the cast to a column's type: where it stood, and what it was. NULL: nothing. */
static const char *what_is_lost(arena *a, const type *from, const value *given, const type *to, const value *brought)
{
    const char *ignored;
    value shown;

    if (given->is_null || type_equal(from, to)) return NULL;
    if (from->kind == to->kind) {
        switch (from->kind) {
        case TYPE_STRUCT: return lost_in_fields(a, from, given, to, brought);
        case TYPE_ARRAY: return lost_in_list(a, from->element, &given->list, to->element, brought->list.items, "element");
        case TYPE_MAP: {
            const value_list values = { given->map.values, given->map.count };
            if (given->map.count != brought->map.count) return "keys that become the same";
            return lost_in_list(a, from->element, &values, to->element, brought->map.values, "value");
        }
        default: break;
        }
    }
    if (is_same_number(a, from, given, to, brought)) return NULL;
    if (!cast_value(a, from, &type_string, given, &shown, &ignored)) return ignored;
    slice wanted = type_text(a, to);
    return arena_printf(a, "%.*s is no %.*s", SLICE_ARG(shown.str), SLICE_ARG(wanted)).data;
}

static weir_rc check_kept(insertion *in, const expr *e, slice column, const bound *given, const bound *brought)
{
    const char *lost = what_is_lost(in->arena, given->type, &given->literal, brought->type, &brought->literal);

    if (lost == NULL) return WEIR_OK;
    slice what = expr_text(in->arena, e), wanted = type_text(in->arena, brought->type);
    return weir_fail(in->err, WEIR_SEMANTIC, e->at, "%.*s does not fit column %.*s, which is %.*s%s%s", SLICE_ARG(what),
                     SLICE_ARG(column), SLICE_ARG(wanted), type_is_nested(given->type) ? ": " : "",
                     type_is_nested(given->type) ? lost : "");
}

/* Of types between which there is no cast: the first part that is why, and its place. */
static const char *obstacle(arena *a, const type *from, const type *to)
{
    if (from->kind == TYPE_ARRAY && to->kind == TYPE_ARRAY) {
        return arena_printf(a, "elements: %s", obstacle(a, from->element, to->element)).data;
    }
    if (from->kind == TYPE_MAP && to->kind == TYPE_MAP) {
        bool is_key = cast_function(from->key, to->key, false) == NULL;
        return arena_printf(a, is_key ? "keys: %s" : "values: %s",
                            is_key ? obstacle(a, from->key, to->key) : obstacle(a, from->element, to->element)).data;
    }
    if (from->kind == TYPE_STRUCT && to->kind == TYPE_STRUCT) {
        for (uint32_t i = 0; i < from->field_count; i++) {
            for (uint32_t k = 0; k < to->field_count; k++) {
                const type_field *x = &from->fields[i], *y = &to->fields[k];
                if (!slice_equal(x->name, y->name) || cast_function(x->type, y->type, false) != NULL) continue;
                return arena_printf(a, "field %.*s: %s", SLICE_ARG(x->name), obstacle(a, x->type, y->type)).data;
            }
        }
    }
    slice found = type_text(a, from), wanted = type_text(a, to);
    return arena_printf(a, "%.*s is no %.*s", SLICE_ARG(found), SLICE_ARG(wanted)).data;
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
    if (done && node->kind == BOUND_LITERAL) {
        WEIR_TRY(check_kept(in, e, column, given, node));
        *out = node->literal;
        return WEIR_OK;
    }
    if (node->kind == BOUND_LITERAL) {
        if (node->type->kind == to->kind) {
            return weir_fail(in->err, WEIR_SEMANTIC, e->at, "column %.*s: %s", SLICE_ARG(column), obstacle(in->arena, node->type, to));
        }
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

/* Milliseconds, or a time: a literal of one, or a text as WHERE takes it beside ROWTIME. */
static weir_rc set_rowtime(insertion *in, const expr *e)
{
    const type *as = e->kind == EXPR_TYPED_STRING ? &type_timestamp : &type_bigint;
    value ms = NULL_VALUE;

    if (e->kind == EXPR_STRING && parse_i64(e->string, &ms.i64) != NUMBER_FITS) {
        ms.is_null = !parse_partial_timestamp(e->string, &ms.i64);
    } else {
        WEIR_TRY(compute(in, e, SLICE("ROWTIME"), as, &ms));
    }
    in->out->timestamp_ms = ms.i64;
    if (!ms.is_null) return WEIR_OK;
    slice shown = expr_text(in->arena, e);
    return weir_fail(in->err, WEIR_SEMANTIC, e->at, "ROWTIME is milliseconds since 1970 or a time such as '2021-05-01T14:30:00.000' or "
                     "a part of that, not %.*s", SLICE_ARG(shown));
}

static weir_rc set_named(insertion *in, const identifier *name, const expr *e)
{
    if (slice_is(name->name, "ROWTIME")) return set_rowtime(in, e);
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
