/* parser/build.c - nodes of the tree, from tokens and from smaller nodes. */
#include "grammar.h"
#include "parser/build.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

void *list_room(arena *a, void *items, uint32_t count, size_t item_bytes)
{
    if (count != 0 && (count < 4 || (count & (count - 1)) != 0)) return items;

    size_t room = count == 0 ? 4 : (size_t)count * 2;
    void *more = arena_alloc(a, room * item_bytes);
    if (count > 0) memcpy(more, items, count * item_bytes);
    return more;
}

/* ---- tokens ---- */

slice build_upper(parse_context *c, slice from)
{
    size_t i = 0;

    while (i < from.len && !(from.data[i] >= 'a' && from.data[i] <= 'z')) i++;
    if (i == from.len) return from;
    slice upper = arena_copy(c->arena, from);
    char *at = (char *)upper.data;
    for (; i < upper.len; i++)
        if (at[i] >= 'a' && at[i] <= 'z') at[i] = (char)(at[i] - 'a' + 'A');
    return upper;
}

static slice without_quotes(parse_context *c, slice quoted)
{
    char quote = quoted.data[0];
    slice inner = { quoted.data + 1, quoted.len - 2 };
    const char *end = inner.data + inner.len;
    const char *from = memchr(inner.data, quote, inner.len);

    assert(quoted.len >= 2 && quoted.data[quoted.len - 1] == quote);
    if (from == NULL) return inner;
    slice plain = arena_copy(c->arena, inner);
    char *to = (char *)plain.data + (from - inner.data);
    for (; from < end; from++) {
        *to++ = *from;
        if (*from == quote) from++;
    }
    plain.len = (size_t)(to - plain.data);
    return plain;
}

identifier build_name(parse_context *c, token t)
{
    return (identifier){ build_upper(c, t.text), false, t.at };
}

identifier build_quoted_name(parse_context *c, token t)
{
    identifier name = { without_quotes(c, t.text), true, t.at };

    if (name.name.len == 0) parse_fail(c, WEIR_SYNTAX, t.at, "a name cannot be empty");
    return name;
}

slice build_string(parse_context *c, token t) { return without_quotes(c, t.text); }

/* False: more than 64 bits hold. */
static bool read_integer(slice digits, bool negative, int64_t *out)
{
    uint64_t most = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    uint64_t number = 0;

    for (size_t i = 0; i < digits.len; i++) {
        uint64_t digit = (uint64_t)(digits.data[i] - '0');
        if (number > (most - digit) / 10) return false;
        number = number * 10 + digit;
    }
    *out = negative ? (int64_t)(0 - number) : (int64_t)number;
    return true;
}

int64_t build_integer(parse_context *c, token t)
{
    int64_t number = 0;

    if (!read_integer(t.text, t.negative, &number)) {
        parse_fail(c, WEIR_SYNTAX, t.at, "number %s%.*s does not fit BIGINT", t.negative ? "-" : "",
                   (int)(t.text.len < 60 ? t.text.len : 60), t.text.data);
    }
    return number;
}

int64_t build_count(parse_context *c, token t, const char *of)
{
    int64_t number = build_integer(c, t);

    if (number < 0) parse_fail(c, WEIR_SYNTAX, t.at, "%s takes a number that is not negative", of);
    return number;
}

int64_t build_amount(parse_context *c, token t, time_unit unit)
{
    int64_t amount = build_count(c, t, "a duration");
    int64_t ms;

    if (__builtin_mul_overflow(amount, time_unit_ms(unit), &ms)) {
        parse_fail(c, WEIR_SYNTAX, t.at, "duration is too long");
        return 0;
    }
    return ms;
}

int64_t build_duration(parse_context *c, token t)
{
    token digits = t;
    time_unit unit;

    switch (t.text.data[t.text.len - 1] | 0x20) {
    case 'm': unit = UNIT_MINUTES; break;
    case 'h': unit = UNIT_HOURS; break;
    case 'd': unit = UNIT_DAYS; break;
    default:  unit = UNIT_SECONDS; break;
    }
    digits.text.len--;
    if (unit == UNIT_SECONDS && (digits.text.data[digits.text.len - 1] | 0x20) == 'm') {
        unit = UNIT_MILLISECONDS;
        digits.text.len--;
    }
    return build_amount(c, digits, unit);
}

/* ---- expressions ---- */

static uint32_t raised(parse_context *c, sql_pos at, uint32_t height, uint32_t child)
{
    if (child < height) return height;
    if (child >= TREE_HEIGHT_MAX) {
        parse_fail(c, WEIR_SYNTAX, at, "nested too deeply: more than %d levels", TREE_HEIGHT_MAX);
        return height;
    }
    return child + 1;
}

expr *build_simple(parse_context *c, expr_kind kind, sql_pos at)
{
    expr *e = ARENA_NEW(c->arena, expr);

    e->kind = kind;
    e->height = 1;
    e->at = at;
    return e;
}

void build_above(parse_context *c, expr *e, const expr *child)
{
    if (child != NULL) e->height = raised(c, e->at, e->height, child->height);
}

void build_above_all(parse_context *c, expr *e, expr_list children)
{
    for (uint32_t i = 0; i < children.count; i++) build_above(c, e, children.items[i]);
}

expr *build_literal(parse_context *c, token t)
{
    expr *e = build_simple(c, EXPR_NULL, t.at);

    switch (t.kind) {
    case TK_NULL:
        break;
    case TK_TRUE:
    case TK_FALSE:
        e->kind = EXPR_BOOLEAN;
        e->boolean = t.kind == TK_TRUE;
        break;
    case TK_INTEGER:
        e->integer = build_integer(c, t);
        e->kind = e->integer >= INT32_MIN && e->integer <= INT32_MAX ? EXPR_INTEGER : EXPR_BIGINT;
        break;
    case TK_DECIMAL:
    case TK_DOUBLE:
        e->kind = t.kind == TK_DECIMAL ? EXPR_DECIMAL : EXPR_DOUBLE;
        e->string = t.negative ? arena_printf(c->arena, "-%.*s", SLICE_ARG(t.text)) : t.text;
        e->number = strtod(arena_c_string(c->arena, e->string), NULL);
        if (t.kind == TK_DOUBLE && isinf(e->number)) {
            parse_fail(c, WEIR_SYNTAX, t.at, "number %.*s does not fit DOUBLE", SLICE_ARG(t.text));
        }
        break;
    case TK_STRING:
        e->kind = EXPR_STRING;
        e->string = build_string(c, t);
        break;
    default:
        assert(t.kind == TK_DURATION);
        e->kind = EXPR_DURATION;
        e->duration_ms = build_duration(c, t);
        break;
    }
    return e;
}

expr *build_unary(parse_context *c, expr_kind kind, sql_pos at, expr *operand)
{
    expr *e = build_simple(c, kind, at);

    e->operand = operand;
    build_above(c, e, operand);
    return e;
}

expr *build_binary(parse_context *c, expr_kind kind, expr *left, expr *right)
{
    expr *e = build_simple(c, kind, left->at);

    e->binary.left = left;
    e->binary.right = right;
    build_above(c, e, left);
    build_above(c, e, right);
    return e;
}

expr *build_chain(parse_context *c, expr_kind kind, expr *left, expr *right)
{
    expr *e = left;

    if (left->kind != kind) {
        e = build_simple(c, kind, left->at);
        LIST_ADD(c, e->list.items, e->list.count, left);
        build_above(c, e, left);
    }
    LIST_ADD(c, e->list.items, e->list.count, right);
    build_above(c, e, right);
    return e;
}

/* EXPR_DURATION with this as its height is a GRACE argument, which only a window's call may have. It never stays in a tree. */
#define GRACE_HEIGHT 0

static bool is_window_name(const identifier *name)
{
    return !name->quoted &&
           (slice_is(name->name, "TUMBLING") || slice_is(name->name, "HOPPING") || slice_is(name->name, "SESSION"));
}

static bool is_grace(const expr *e) { return e->kind == EXPR_DURATION && e->height == GRACE_HEIGHT; }

expr *build_call(parse_context *c, identifier name, expr_list args)
{
    expr *e = build_simple(c, EXPR_CALL, name.at);

    e->call.name = name;
    e->call.args = args;
    for (uint32_t i = 0; i < args.count; i++) {
        if (!is_grace(args.items[i])) continue;
        c->open_graces++;
        c->grace_at = args.items[i]->at;
        if (!is_window_name(&name)) {
            parse_fail(c, WEIR_SYNTAX, c->grace_at, "GRACE belongs to a window: TUMBLING, HOPPING or SESSION in GROUP BY");
        }
    }
    build_above_all(c, e, args);
    return e;
}

expr *build_grace(parse_context *c, sql_pos at, int64_t ms)
{
    expr *e = build_simple(c, EXPR_DURATION, at);

    e->duration_ms = ms;
    e->height = GRACE_HEIGHT;
    return e;
}

expr *build_unit(parse_context *c, sql_pos at, time_unit unit)
{
    expr *e = build_simple(c, EXPR_UNIT, at);

    e->unit = unit;
    return e;
}

expr *build_lambda(parse_context *c, sql_pos at, identifier_list parameters, expr *body)
{
    expr *e = build_simple(c, EXPR_LAMBDA, at);

    e->lambda.parameters = parameters.items;
    e->lambda.parameter_count = parameters.count;
    e->lambda.body = body;
    build_above(c, e, body);
    return e;
}

/* ---- types ---- */

type_name *build_type(parse_context *c, type_name_kind kind, sql_pos at)
{
    type_name *made = ARENA_NEW(c->arena, type_name);

    made->kind = kind;
    made->height = 1;
    made->at = at;
    return made;
}

void build_type_above(parse_context *c, type_name *made, const type_name *child)
{
    made->height = raised(c, made->at, made->height, child->height);
}

int64_t build_named_parameter(parse_context *c, token t)
{
    if (!slice_equal_nocase(t.text, SLICE("STRING"))) {
        parse_fail(c, WEIR_SYNTAX, t.at, "unexpected '%.*s'; a type takes whole numbers", SLICE_ARG(t.text));
    }
    return TYPE_PARAMETER_STRING;
}

/* ---- queries ---- */

relation *build_relation(parse_context *c, relation_kind kind, sql_pos at)
{
    relation *r = ARENA_NEW(c->arena, relation);

    r->kind = kind;
    r->height = 1;
    r->at = at;
    return r;
}

relation *build_join(parse_context *c, join_type how, sql_pos at, relation *left, relation *right, within_clause within,
                     expr *on)
{
    relation *r = build_relation(c, RELATION_JOIN, at);

    r->join.type = how;
    r->join.left = left;
    r->join.right = right;
    r->join.has_within = within.present;
    r->join.within_at = within.at;
    r->join.before_ms = within.before_ms;
    r->join.after_ms = within.after_ms;
    r->join.grace_ms = within.present ? within.grace_ms : NO_DURATION;
    r->join.on = on;
    r->height = raised(c, at, r->height, left->height);
    r->height = raised(c, at, r->height, right->height);
    return r;
}

static void group_window(parse_context *c, group_list *group, const expr *call, int64_t grace_after_ms)
{
    window_clause *w = ARENA_NEW(c->arena, window_clause);
    expr_list args = call->call.args;
    uint32_t durations = 0;

    w->at = call->at;
    w->in_group_by = true;
    w->group_by_index = group->list.count;
    w->retention_ms = NO_DURATION;
    w->grace_ms = NO_DURATION;
    w->kind = slice_is(call->call.name.name, "TUMBLING")  ? WINDOW_TUMBLING
              : slice_is(call->call.name.name, "HOPPING") ? WINDOW_HOPPING
                                                          : WINDOW_SESSION;
    while (durations < args.count && args.items[durations]->kind == EXPR_DURATION && !is_grace(args.items[durations]))
        durations++;
    if (durations > 0) w->size_ms = args.items[0]->duration_ms;
    if (durations > 1) w->advance_ms = args.items[1]->duration_ms;
    uint32_t used = durations;
    if (used < args.count && is_grace(args.items[used])) {
        w->grace_ms = args.items[used++]->duration_ms;
        c->open_graces--;
    }
    if (used != args.count || durations != (w->kind == WINDOW_HOPPING ? 2 : 1)) {
        static const char *const FORM[] = { "", "TUMBLING(10s, GRACE 5s)", "HOPPING(10s, 2s, GRACE 5s)",
                                            "SESSION(30s, GRACE 5s)" };
        parse_fail(c, WEIR_SYNTAX, call->at, "a window in GROUP BY is written %s, GRACE being optional", FORM[w->kind]);
    }
    if (grace_after_ms != NO_DURATION && w->grace_ms != NO_DURATION) {
        parse_fail(c, WEIR_SYNTAX, call->at, "GRACE is given twice");
    }
    if (grace_after_ms != NO_DURATION) w->grace_ms = grace_after_ms;
    if (group->window != NULL) parse_fail(c, WEIR_SYNTAX, call->at, "a query has one window, here is a second");
    group->window = w;
}

void build_group_item(parse_context *c, group_list *group, expr *item, int64_t grace_ms)
{
    if (item->kind == EXPR_CALL && is_window_name(&item->call.name) && !item->call.star && !item->call.distinct &&
        item->call.over == NULL) {
        group_window(c, group, item, grace_ms);
        return;
    }
    if (grace_ms != NO_DURATION) {
        parse_fail(c, WEIR_SYNTAX, item->at, "GRACE belongs to a window: TUMBLING, HOPPING or SESSION in GROUP BY");
    }
    LIST_ADD(c, group->list.items, group->list.count, item);
}

void build_group_by(parse_context *c, select_query *q, group_list group)
{
    q->has_group_by = group.present;
    q->group_by = group.list;
    q->group_by_at = group.at;
    if (group.window == NULL) return;
    if (q->window != NULL) parse_fail(c, WEIR_SYNTAX, group.window->at, "a query has one window, here is a second");
    q->window = group.window;
}

expr_list build_tuple(parse_context *c, expr *first, expr_list rest)
{
    expr_list all = { ARENA_ARRAY(c->arena, expr *, rest.count + 1), rest.count + 1 };

    all.items[0] = first;
    memcpy(all.items + 1, rest.items, sizeof(expr *) * rest.count);
    return all;
}

window_clause *build_window(window_clause *options, window_kind kind, sql_pos at, int64_t size_ms, int64_t advance_ms)
{
    options->kind = kind;
    options->at = at;
    options->size_ms = size_ms;
    options->advance_ms = advance_ms;
    return options;
}

void build_query_tail(select_query *q, order_clause order, emit_word emit, limit_word limit)
{
    q->order_by = order.list;
    q->order_by_at = order.at;
    q->emit = emit.kind;
    q->emit_at = emit.at;
    q->limit = limit.count;
    q->limit_at = limit.at;
}

/* ---- statements ---- */

statement *build_statement(parse_context *c, statement_kind kind, token first)
{
    statement *s = ARENA_NEW(c->arena, statement);

    s->kind = kind;
    s->at = first.at;
    return s;
}

statement *build_create(parse_context *c, create_head head, column_def_list columns, property_list with, select_query *q)
{
    statement *s = build_statement(c, q == NULL ? STATEMENT_CREATE_SOURCE : STATEMENT_CREATE_AS, head.first);

    if (q != NULL && columns.count > 0) {
        parse_fail(c, WEIR_SYNTAX, columns.items[0].name.at, "columns are not declared where AS SELECT gives them");
    }
    if (q != NULL && head.read_only) {
        parse_fail(c, WEIR_SYNTAX, q->at, "CREATE SOURCE %s is read-only and takes no AS SELECT", source_kind_name(head.kind));
    }
    s->create.kind = head.kind;
    s->create.or_replace = head.or_replace;
    s->create.read_only = head.read_only;
    s->create.if_not_exists = head.if_not_exists;
    s->create.name = head.name;
    s->create.has_columns = columns.count > 0;
    s->create.columns = columns;
    s->create.with = with;
    s->create.query = q;
    return s;
}

statement *build_values(parse_context *c, statement_kind kind, token first, identifier target, identifier_list columns,
                        expr_list values)
{
    statement *s = build_statement(c, kind, first);

    s->values.target = target;
    s->values.has_columns = columns.count > 0;
    s->values.columns = columns;
    s->values.values = values;
    return s;
}

statement *build_show(parse_context *c, token first, show_what what, bool all, bool extended)
{
    statement *s = build_statement(c, STATEMENT_SHOW, first);

    s->show.what = what;
    s->show.all = all;
    s->show.extended = extended;
    return s;
}

statement *build_control(parse_context *c, token first, identifier query_id)
{
    statement_kind kind = first.kind == TK_TERMINATE ? STATEMENT_TERMINATE
                          : first.kind == TK_PAUSE   ? STATEMENT_PAUSE
                                                     : STATEMENT_RESUME;
    statement *s = build_statement(c, kind, first);

    s->control.all = !identifier_present(&query_id);
    s->control.query_id = query_id;
    return s;
}

statement *build_setting(parse_context *c, statement_kind kind, token first, token name, const token *value)
{
    statement *s = build_statement(c, kind, first);

    s->setting.name = name.kind == TK_STRING ? build_string(c, name) : name.text;
    s->setting.name_at = name.at;
    if (value != NULL) {
        s->setting.value = build_string(c, *value);
        s->setting.value_at = value->at;
    }
    return s;
}
