/* planner/scope.c - finding names: columns, qualified or not, pseudo columns; and what to say when there is none. */
#include "planner/bind.h"
#include "parser/parser.h"

#include "core/nearest.h"
#include "core/utf8.h"

static const struct {
    const char *name;
    bound_kind kind;
} PSEUDO_COLUMNS[] = {
    { "ROWTIME", BOUND_ROWTIME },         { "ROWPARTITION", BOUND_ROWPARTITION }, { "ROWOFFSET", BOUND_ROWOFFSET },
    { "WINDOWSTART", BOUND_WINDOWSTART }, { "WINDOWEND", BOUND_WINDOWEND },
};

bool pseudo_column_of(slice name, bound_kind *kind)
{
    for (size_t i = 0; i < sizeof PSEUDO_COLUMNS / sizeof PSEUDO_COLUMNS[0]; i++) {
        if (!slice_is(name, PSEUDO_COLUMNS[i].name)) continue;
        *kind = PSEUDO_COLUMNS[i].kind;
        return true;
    }
    return false;
}

bool is_reserved_name(slice name)
{
    bound_kind kind;

    return pseudo_column_of(name, &kind);
}

scope scope_of(arena *a, const schema *s, slice alias, bool is_windowed)
{
    scope_column *columns = ARENA_ZEROS(a, scope_column, s->count);
    slice *sources = ARENA_NEW(a, slice);

    for (uint32_t i = 0; i < s->count; i++) {
        columns[i] = (scope_column){ .source = alias, .name = s->columns[i].name, .column = i, .type = s->columns[i].type,
                                     .is_key = i < s->key_count };
    }
    *sources = alias;
    return (scope){ columns, s->count, sources, alias.data == NULL ? 0 : 1, true, is_windowed };
}

static bool has_source(const scope *s, slice name)
{
    for (uint32_t i = 0; i < s->source_count; i++) {
        if (slice_equal(s->sources[i], name)) return true;
    }
    return false;
}

static void fail_unknown_source(binder *b, const identifier *from)
{
    nearest n = nearest_to(from->name);

    for (uint32_t i = 0; i < b->scope.source_count; i++) nearest_offer(&n, b->scope.sources[i]);
    (void)weir_fail(b->err, WEIR_SEMANTIC, from->at, "%.*s is no stream, table or alias of this query%s",
                    SLICE_ARG(from->name), nearest_or_all(&n));
}

/* No column is called ROWKEY: says which the key columns are, of the source by that alias or, where it is absent, of each. */
static void fail_rowkey(binder *b, slice where, sql_pos at)
{
    text keys = TEXT_EMPTY;
    uint32_t count = 0;

    for (uint32_t i = 0; i < b->scope.count; i++) {
        const scope_column *c = &b->scope.columns[i];
        if (!c->is_key || (where.data != NULL && c->source.data != NULL && !slice_equal(c->source, where))) continue;
        text_add_c(&keys, count++ > 0 ? ", " : "");
        if (where.data == NULL && c->source.data != NULL) text_printf(&keys, "%.*s.", SLICE_ARG(c->source));
        text_add(&keys, c->name);
    }
    if (where.data == NULL) {
        (void)weir_fail(b->err, WEIR_SEMANTIC, at, "there is no column ROWKEY%s%.*s", count == 0 ? "" : count == 1 ? ": the key column is " : ": key columns are ",
                        SLICE_ARG(text_slice(&keys)));
    } else {
        (void)weir_fail(b->err, WEIR_SEMANTIC, at, "%.*s has no column ROWKEY: %s%.*s", SLICE_ARG(where),
                        count == 0 ? "it has no key column; PARTITION BY gives it one" : count == 1 ? "its key column is " : "its key columns are ",
                        SLICE_ARG(text_slice(&keys)));
    }
    text_free(&keys);
}

/* The names that only the SELECT list gives, in clauses that do not know them: the first from the item on, or NULL. */
static const select_item *next_alias(const binder *b, const identifier *from, uint32_t item)
{
    if (b->query == NULL || (from != NULL && identifier_present(from)) || strcmp(b->clause, "SELECT") == 0) return NULL;
    while (item < b->query->item_count) {
        const select_item *at = &b->query->items[item++];
        if (at->kind == SELECT_EXPR && identifier_present(&at->alias)) return at;
    }
    return NULL;
}

#define EACH_ALIAS(alias, b, from) \
    for (const select_item *alias = next_alias(b, from, 0); alias != NULL; \
         alias = next_alias(b, from, (uint32_t)(alias - (b)->query->items) + 1))

/* Says what the name stands for; begin: what comes before that. */
static void fail_alias(binder *b, slice begin, const select_item *alias, sql_pos at)
{
    slice meant = expr_text(b->arena, alias->value), name = alias->alias.name;

    if (strcmp(b->clause, "WHERE") == 0 && expr_aggregate(alias->value) != NULL) {
        (void)weir_fail(b->err, WEIR_SEMANTIC, at, "%.*s%.*s is %.*s, which WHERE cannot use, as it comes before the groups: say HAVING %.*s",
                        SLICE_ARG(begin), SLICE_ARG(name), SLICE_ARG(meant), SLICE_ARG(meant));
    } else {
        (void)weir_fail(b->err, WEIR_SEMANTIC, at, "%.*s%.*s is a name that the SELECT list gives: in %s say %.*s",
                        SLICE_ARG(begin), SLICE_ARG(name), b->clause, SLICE_ARG(meant));
    }
}

static void fail_unknown_column(binder *b, const identifier *from, const identifier *name)
{
    EACH_ALIAS (alias, b, from) {
        if (slice_equal(alias->alias.name, name->name)) {
            fail_alias(b, SLICE(""), alias, name->at);
            return;
        }
    }
    nearest n = nearest_to(name->name);
    slice where = from != NULL && identifier_present(from) ? from->name
                  : b->scope.source_count == 1                 ? b->scope.sources[0]
                                                               : NO_SLICE;

    for (uint32_t i = 0; i < b->scope.count; i++) {
        if (where.data != NULL && b->scope.columns[i].source.data != NULL &&
            !slice_equal(b->scope.columns[i].source, where)) {
            continue;
        }
        if (!b->scope.columns[i].is_hidden) nearest_offer(&n, b->scope.columns[i].name);
    }
    nearest_offer_other(&n, "CURRENT_TIMESTAMP", "UNIX_TIMESTAMP()");
    nearest_offer_other(&n, "CURRENT_DATE", "UNIX_DATE()");
    const select_item *meant = NULL;
    nearest nearer = n;
    EACH_ALIAS (alias, b, from) {
        nearest_offer(&nearer, alias->alias.name);
        if (nearer.best.data == alias->alias.name.data) meant = alias;
    }
    if (meant != NULL) {
        slice begin = arena_printf(b->arena, "unknown column %.*s; did you mean %.*s? ", SLICE_ARG(name->name), SLICE_ARG(meant->alias.name));
        fail_alias(b, begin, meant, name->at);
    } else if (b->scope.count == 0) {
        (void)weir_fail(b->err, WEIR_SEMANTIC, name->at, "%s cannot use columns, and %.*s would be one; a text is written in single "
                        "quotes%s%.*s%s", b->clause, SLICE_ARG(name->name), name->quoted ? ", '" : "",
                        name->quoted ? (int)name->name.len : 0, name->name.data, name->quoted ? "'" : "");
    } else if (name->quoted && n.best.data == NULL) {
        (void)weir_fail(b->err, WEIR_SEMANTIC, name->at, "unknown column %.*s; a text is written in single quotes, '%.*s'",
                        SLICE_ARG(name->name), SLICE_ARG(name->name));
    } else if (slice_is(name->name, "ROWKEY")) {
        fail_rowkey(b, where, name->at);
    } else if (is_reserved_name(name->name) && n.distance > 0 && slice_is((slice){ name->name.data, name->name.len < 6 ? name->name.len : 6 }, "WINDOW")) {
        (void)weir_fail(b->err, WEIR_SEMANTIC, name->at,
                        "there is no %.*s here: it is known of a source whose key is windowed, and in the SELECT list of a GROUP BY "
                        "with a WINDOW", SLICE_ARG(name->name));
    } else if (!name->quoted && n.best.data == NULL && function_exists(name->name, NULL)) {
        (void)weir_fail(b->err, WEIR_SEMANTIC, name->at, "unknown column %.*s; the function of that name is called with parentheses, %.*s(...)",
                        SLICE_ARG(name->name), SLICE_ARG(name->name));
    } else if (where.data != NULL) {
        (void)weir_fail(b->err, WEIR_SEMANTIC, name->at, "unknown column %.*s in %.*s%s", SLICE_ARG(name->name),
                        SLICE_ARG(where), nearest_or_all(&n));
    } else {
        (void)weir_fail(b->err, WEIR_SEMANTIC, name->at, "unknown column %.*s%s", SLICE_ARG(name->name),
                        nearest_or_all(&n));
    }
}

int32_t find_column(binder *b, const identifier *from, const identifier *name)
{
    bool is_qualified = from != NULL && identifier_present(from);
    int32_t found = -1;

    if (is_qualified && !has_source(&b->scope, from->name)) {
        fail_unknown_source(b, from);
        return -1;
    }
    for (uint32_t i = 0; i < b->scope.count; i++) {
        const scope_column *c = &b->scope.columns[i];
        if (!slice_equal(c->name, name->name)) continue;
        if (is_qualified && !slice_equal(c->source, from->name)) continue;
        if (found >= 0) {
            const scope_column *other = &b->scope.columns[found];
            (void)weir_fail(b->err, WEIR_SEMANTIC, name->at, "column %.*s is ambiguous; say %.*s.%.*s or %.*s.%.*s",
                            SLICE_ARG(name->name), SLICE_ARG(other->source), SLICE_ARG(name->name),
                            SLICE_ARG(c->source), SLICE_ARG(name->name));
            return -1;
        }
        found = (int32_t)i;
    }
    if (found < 0) fail_unknown_column(b, from, name);
    return found;
}

slice expr_text(arena *a, const expr *e)
{
    text out = TEXT_EMPTY;

    print_expr(&out, e);
    return text_keep(&out, a);
}

#define OPERAND_BYTES_SHOWN 60

slice operand_text(arena *a, const expr *e, const type *t)
{
    slice whole = e == NULL ? NO_SLICE : expr_text(a, e), of = type_text(a, t);
    slice shown = utf8_beginning(whole, OPERAND_BYTES_SHOWN);

    if (e == NULL) return of;
    return arena_printf(a, "%.*s%s (%.*s)", SLICE_ARG(shown), shown.len < whole.len ? "..." : "", SLICE_ARG(of));
}

/* ---- comparing and walking trees ---- */

static bool find_aggregate(void *self, const expr *e)
{
    const expr **found = self;

    if (*found == NULL && expr_is_call_of(e, FUNCTION_AGGREGATE)) *found = e;
    return *found == NULL;
}

const expr *expr_aggregate(const expr *e)
{
    const expr *found = NULL;

    expr_walk(e, find_aggregate, &found);
    return found;
}

bool expr_is_call_of(const expr *e, function_kind kind)
{
    function_kind found;

    return e->kind == EXPR_CALL && function_exists(e->call.name.name, &found) && found == kind;
}

/* The operands of a node, whatever its kind, one after the other. */
typedef void (*operand_visitor)(void *self, const expr *operand);

static void each_operand(const expr *e, operand_visitor visit, void *self)
{
    switch (e->kind) {
    case EXPR_NEGATE:
    case EXPR_PLUS:
    case EXPR_NOT: visit(self, e->operand); break;
    case EXPR_FIELD: visit(self, e->field.base); break;
    case EXPR_SUBSCRIPT:
        visit(self, e->subscript.base);
        visit(self, e->subscript.index);
        break;
    case EXPR_CALL:
        for (uint32_t i = 0; i < e->call.args.count; i++) visit(self, e->call.args.items[i]);
        break;
    case EXPR_ADD:
    case EXPR_SUBTRACT:
    case EXPR_MULTIPLY:
    case EXPR_DIVIDE:
    case EXPR_MODULO:
    case EXPR_CONCAT:
    case EXPR_EQUAL:
    case EXPR_NOT_EQUAL:
    case EXPR_LESS:
    case EXPR_LESS_EQUAL:
    case EXPR_GREATER:
    case EXPR_GREATER_EQUAL:
    case EXPR_IS_DISTINCT:
    case EXPR_IS_NOT_DISTINCT:
        visit(self, e->binary.left);
        visit(self, e->binary.right);
        break;
    case EXPR_AND:
    case EXPR_OR:
    case EXPR_ARRAY:
        for (uint32_t i = 0; i < e->list.count; i++) visit(self, e->list.items[i]);
        break;
    case EXPR_BETWEEN:
        visit(self, e->between.value);
        visit(self, e->between.low);
        visit(self, e->between.high);
        break;
    case EXPR_IN:
        visit(self, e->in.value);
        for (uint32_t i = 0; i < e->in.list.count; i++) visit(self, e->in.list.items[i]);
        break;
    case EXPR_LIKE:
        visit(self, e->like.value);
        visit(self, e->like.pattern);
        break;
    case EXPR_IS_NULL: visit(self, e->is_null.value); break;
    case EXPR_CASE:
        if (e->switch_case.value != NULL) visit(self, e->switch_case.value);
        for (uint32_t i = 0; i < e->switch_case.branch_count; i++) {
            visit(self, e->switch_case.branches[i].when);
            visit(self, e->switch_case.branches[i].then);
        }
        if (e->switch_case.otherwise != NULL) visit(self, e->switch_case.otherwise);
        break;
    case EXPR_CAST: visit(self, e->cast.value); break;
    case EXPR_MAP:
        for (uint32_t i = 0; i < e->map.count; i++) {
            visit(self, e->map.entries[i].key);
            visit(self, e->map.entries[i].value);
        }
        break;
    case EXPR_STRUCT:
        for (uint32_t i = 0; i < e->structure.count; i++) visit(self, e->structure.entries[i].value);
        break;
    case EXPR_AT_TIME_ZONE: visit(self, e->at_time_zone.value); break;
    case EXPR_LAMBDA:
    default: break;
    }
}

typedef struct walk {
    bool (*see)(void *self, const expr *e);
    void *self;
} walk;

static void walk_operand(void *self, const expr *operand)
{
    const walk *w = self;

    expr_walk(operand, w->see, w->self);
}

void expr_walk(const expr *e, bool (*see)(void *self, const expr *e), void *self)
{
    walk w = { see, self };

    if (see(self, e)) each_operand(e, walk_operand, &w);
}

/* Operands gathered in an array that grows in the arena. */
typedef struct operands {
    arena *arena;
    const expr **items;
    uint32_t count, room;
} operands;

static void gather(void *self, const expr *operand)
{
    operands *o = self;

    if (o->count == o->room) {
        uint32_t room = o->room == 0 ? 4 : o->room * 2;
        const expr **more = ARENA_ARRAY(o->arena, const expr *, room);
        if (o->count > 0) memcpy(more, o->items, sizeof *more * o->count);
        o->items = more;
        o->room = room;
    }
    o->items[o->count++] = operand;
}

/* The scope's column that a reference means, without complaint; -1: none, or several. */
static int32_t quiet_column(const scope *s, const expr *e)
{
    int32_t found = -1;

    for (uint32_t i = 0; i < s->count; i++) {
        const scope_column *c = &s->columns[i];
        if (!slice_equal(c->name, e->column.name.name)) continue;
        if (identifier_present(&e->column.source) && !slice_equal(c->source, e->column.source.name)) continue;
        if (found >= 0) return -1;
        found = (int32_t)i;
    }
    return found;
}

static bool same_column(binder *b, const expr *x, const expr *y)
{
    int32_t cx = quiet_column(&b->scope, x), cy = quiet_column(&b->scope, y);

    if (cx >= 0 || cy >= 0) return cx == cy;
    return slice_equal(x->column.name.name, y->column.name.name);
}

static bool type_name_same(const type_name *x, const type_name *y)
{
    if (x == NULL || y == NULL) return x == y;
    if (x->kind != y->kind || x->parameter_count != y->parameter_count || x->field_count != y->field_count) return false;
    if (x->kind == TYPE_NAME_PLAIN && !slice_equal_nocase(x->name.name, y->name.name)) return false;
    for (uint32_t i = 0; i < x->parameter_count; i++) {
        if (x->parameters[i] != y->parameters[i]) return false;
    }
    for (uint32_t i = 0; i < x->field_count; i++) {
        if (!slice_equal(x->fields[i].name.name, y->fields[i].name.name)) return false;
        if (!type_name_same(x->fields[i].type, y->fields[i].type)) return false;
    }
    if (x->kind == TYPE_NAME_MAP && !type_name_same(x->key, y->key)) return false;
    return x->kind == TYPE_NAME_PLAIN || x->kind == TYPE_NAME_STRUCT || type_name_same(x->element, y->element);
}

/* What is in the nodes themselves, their operands aside. */
static bool same_node(binder *b, const expr *x, const expr *y)
{
    switch (x->kind) {
    case EXPR_BOOLEAN: return x->boolean == y->boolean;
    case EXPR_INTEGER:
    case EXPR_BIGINT: return x->integer == y->integer;
    case EXPR_DECIMAL:
    case EXPR_DOUBLE:
    case EXPR_STRING: return slice_equal(x->string, y->string);
    case EXPR_DURATION: return x->duration_ms == y->duration_ms;
    case EXPR_TYPED_STRING:
        return slice_equal(x->typed_string.type.name, y->typed_string.type.name) &&
               slice_equal(x->typed_string.string, y->typed_string.string);
    case EXPR_UNIT: return x->unit == y->unit;
    case EXPR_COLUMN: return same_column(b, x, y);
    case EXPR_FIELD: return slice_equal(x->field.name.name, y->field.name.name);
    case EXPR_CALL:
        return slice_equal_nocase(x->call.name.name, y->call.name.name) && x->call.star == y->call.star &&
               x->call.distinct == y->call.distinct && x->call.over == NULL && y->call.over == NULL;
    case EXPR_LAMBDA: return false;
    case EXPR_BETWEEN: return x->between.negated == y->between.negated;
    case EXPR_IN: return x->in.negated == y->in.negated;
    case EXPR_LIKE:
        return x->like.negated == y->like.negated && slice_equal(x->like.escape, y->like.escape);
    case EXPR_IS_NULL: return x->is_null.negated == y->is_null.negated;
    case EXPR_CASE:
        return (x->switch_case.value == NULL) == (y->switch_case.value == NULL) &&
               (x->switch_case.otherwise == NULL) == (y->switch_case.otherwise == NULL) &&
               x->switch_case.branch_count == y->switch_case.branch_count;
    case EXPR_CAST: return type_name_same(x->cast.type, y->cast.type);
    case EXPR_STRUCT:
        if (x->structure.count != y->structure.count) return false;
        for (uint32_t i = 0; i < x->structure.count; i++) {
            if (!slice_equal(x->structure.entries[i].name.name, y->structure.entries[i].name.name)) return false;
        }
        return true;
    case EXPR_AT_TIME_ZONE: return slice_equal(x->at_time_zone.zone, y->at_time_zone.zone);
    default: return true;
    }
}

/* Lambdas are the same as texts; their parameters are their own. */
static bool same_lambda(binder *b, const expr *x, const expr *y)
{
    return slice_equal(expr_text(b->arena, x), expr_text(b->arena, y));
}

bool expr_same(binder *b, const expr *x, const expr *y)
{
    if (x == y) return true;
    if (x->kind != y->kind) return false;
    if (x->kind == EXPR_LAMBDA) return same_lambda(b, x, y);
    if (!same_node(b, x, y)) return false;
    operands of_x = { .arena = b->arena }, of_y = { .arena = b->arena };
    each_operand(x, gather, &of_x);
    each_operand(y, gather, &of_y);
    if (of_x.count != of_y.count) return false;
    for (uint32_t i = 0; i < of_x.count; i++) {
        if (!expr_same(b, of_x.items[i], of_y.items[i])) return false;
    }
    return true;
}
