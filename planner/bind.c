/* planner/bind.c - see bind.h. One function a kind of node; calls and casts are in bind_call.c. */
#include "planner/bind.h"
#include "planner/bind_parts.h"
#include "planner/planner.h"

#include "core/nearest.h"

/* ---- literals ---- */

static const value ABSENT = NULL_VALUE;

/* -1.50 is DECIMAL(3, 2): all digits count, but the zero before the point of 0.5 makes DECIMAL(2, 1). */
static weir_rc bind_decimal(binder *b, const expr *e, bound **out)
{
    decimal number = 0;
    uint32_t digits = 0, scale = 0;
    bool behind_point = false, is_negative = false, is_zero_before = true;

    for (size_t i = 0; i < e->string.len; i++) {
        char c = e->string.data[i];
        if (c == '-') is_negative = true;
        if (c == '.') behind_point = true;
        if (c < '0' || c > '9') continue;
        if (!behind_point && c != '0') is_zero_before = false;
        if (!behind_point && is_zero_before) continue; /* leading zeros */
        if (++digits > 38) return weir_fail(b->err, WEIR_SEMANTIC, e->at, "a decimal number has at most 38 digits");
        number = number * 10 + (c - '0');
        scale += behind_point;
    }
    uint32_t precision = is_zero_before ? scale + 1 : digits;
    if (precision > 38) return weir_fail(b->err, WEIR_SEMANTIC, e->at, "a decimal number has at most 38 digits");
    *out = bound_literal(b->arena, type_decimal(b->arena, precision, scale),
                         (value){ .dec = is_negative ? -number : number }, e->at);
    return WEIR_OK;
}

static weir_rc bind_typed_string(binder *b, const expr *e, bound **out)
{
    slice name = e->typed_string.type.name;
    const type *to = slice_equal_nocase(name, SLICE("DATE"))        ? &type_date
                     : slice_equal_nocase(name, SLICE("TIME"))      ? &type_time
                     : slice_equal_nocase(name, SLICE("TIMESTAMP")) ? &type_timestamp
                                                                    : NULL;
    if (to == NULL) {
        bool is_interval = slice_equal_nocase(name, SLICE("INTERVAL"));
        return weir_fail(b->err, WEIR_SEMANTIC, e->at, is_interval ? "there are no intervals; TIMESTAMPADD(DAYS, 1, time) gives a later time"
                         : "a literal is written DATE '...', TIME '...' or TIMESTAMP '...', and a name given by AS has no quotes");
    }
    bound *typed = bound_literal(b->arena, &type_string, (value){ .str = e->typed_string.string }, e->at);
    bool done;
    return bind_literal_as(b, typed, to, &done, out);
}

static bound *unit_literal(binder *b, slice name, sql_pos at)
{
    return bound_literal(b->arena, &type_interval_unit, (value){ .str = name }, at);
}

static weir_rc bind_simple(binder *b, const expr *e, bound **out)
{
    switch (e->kind) {
    case EXPR_NULL: *out = bound_literal(b->arena, &type_null, ABSENT, e->at); return WEIR_OK;
    case EXPR_BOOLEAN:
        *out = bound_literal(b->arena, &type_boolean, (value){ .boolean = e->boolean }, e->at);
        return WEIR_OK;
    case EXPR_INTEGER:
        *out = bound_literal(b->arena, &type_integer, (value){ .i32 = (int32_t)e->integer }, e->at);
        return WEIR_OK;
    case EXPR_BIGINT:
        *out = bound_literal(b->arena, &type_bigint, (value){ .i64 = e->integer }, e->at);
        return WEIR_OK;
    case EXPR_DOUBLE:
        *out = bound_literal(b->arena, &type_double, (value){ .f64 = e->number }, e->at);
        return WEIR_OK;
    case EXPR_STRING:
        *out = bound_literal(b->arena, &type_string, (value){ .str = e->string }, e->at);
        return WEIR_OK;
    case EXPR_DURATION:
        *out = bound_literal(b->arena, &type_bigint, (value){ .i64 = e->duration_ms }, e->at);
        return WEIR_OK;
    case EXPR_UNIT:
        *out = unit_literal(b, slice_of(time_unit_name(e->unit)), e->at);
        return WEIR_OK;
    default: return weir_fail(b->err, WEIR_INTERNAL, e->at, "not a literal");
    }
}

/* ---- names ---- */

static const lambda_frame *find_parameter(const lambda_frame *innermost, const expr *e, uint32_t *nth)
{
    if (identifier_present(&e->column.source)) return NULL;
    for (const lambda_frame *f = innermost; f != NULL; f = f->outer) {
        for (*nth = 0; *nth < f->count; (*nth)++) {
            if (slice_equal(f->names[*nth].name, e->column.name.name)) return f;
        }
    }
    return NULL;
}

static bool bind_parameter(binder *b, const expr *e, bound **out)
{
    uint32_t nth;
    const lambda_frame *f = find_parameter(b->frames, e, &nth);

    if (f == NULL) return false;
    *out = bound_new(b->arena, BOUND_PARAM, f->types[nth], e->at, 0);
    (*out)->param = f->first_param + nth;
    return true;
}

typedef struct parameter_search {
    const lambda_frame *innermost;
    bool is_found;
} parameter_search;

static bool see_parameter(void *self, const expr *e)
{
    parameter_search *p = self;
    uint32_t nth;

    if (e->kind == EXPR_LAMBDA) expr_walk(e->lambda.body, see_parameter, p);
    if (e->kind == EXPR_COLUMN && find_parameter(p->innermost, e, &nth) != NULL) p->is_found = true;
    return !p->is_found;
}

bool uses_parameter(const binder *b, const expr *e)
{
    parameter_search p = { b->frames, false };

    if (b->frames != NULL) expr_walk(e, see_parameter, &p);
    return p.is_found;
}

static bool names_own_source(const binder *b, const identifier *named)
{
    if (!identifier_present(named)) return true;
    for (uint32_t i = 0; i < b->scope.source_count; i++) {
        if (slice_equal(b->scope.sources[i], named->name)) return true;
    }
    return false;
}

/* ROWTIME and its like, where the scope has them and no column of that name stands before them. */
static weir_rc bind_pseudo_column(binder *b, const expr *e, bound **out)
{
    bound_kind kind;
    slice name = e->column.name.name;

    if (!pseudo_column_of(name, &kind) || (b->is_stored && e->column.name.quoted)) return WEIR_OK;
    if (!names_own_source(b, &e->column.source)) return WEIR_OK;
    for (uint32_t i = 0; i < b->scope.count && !b->is_stored; i++) {
        if (slice_equal(b->scope.columns[i].name, name)) return WEIR_OK;
    }
    bool is_bound = kind == BOUND_WINDOWSTART || kind == BOUND_WINDOWEND;
    if (is_bound && b->refuses_window_bounds) {
        return weir_fail(b->err, WEIR_SEMANTIC, e->at,
                         "%.*s of a windowed aggregation can be used in the SELECT list only, not in %s", SLICE_ARG(name),
                         b->clause);
    }
    if (is_bound ? !b->scope.is_windowed : !b->scope.has_row) return WEIR_OK;
    *out = bound_new(b->arena, kind, kind == BOUND_ROWPARTITION ? &type_integer : &type_bigint, e->at, 0);
    return WEIR_OK;
}

static weir_rc bind_field_of(binder *b, const expr *of, bound *base, const identifier *name, bound **out)
{
    const type *t = base->type;

    if (t->kind != TYPE_STRUCT) {
        slice shown = operand_text(b->arena, of, t);
        return weir_fail(b->err, WEIR_SEMANTIC, name->at, "-> reads a field of a STRUCT, not of %.*s", SLICE_ARG(shown));
    }
    nearest n = nearest_to(name->name);
    for (uint32_t i = 0; i < t->field_count; i++) {
        nearest_offer(&n, t->fields[i].name);
        if (!slice_equal(t->fields[i].name, name->name)) continue;
        *out = bound_new(b->arena, BOUND_FIELD, t->fields[i].type, name->at, 1);
        (*out)->args[0] = base;
        (*out)->field = i;
        return WEIR_OK;
    }
    slice found = type_text(b->arena, t);
    return weir_fail(b->err, WEIR_SEMANTIC, name->at, "no field %.*s in %.*s%s", SLICE_ARG(name->name), SLICE_ARG(found),
                     nearest_hint(&n));
}

/* a.b where a is no source but a column that holds a struct reads its field, as a->b does. */
static weir_rc bind_dotted_field(binder *b, const expr *e, bound **out)
{
    const identifier *base = &e->column.source;

    for (uint32_t i = 0; i < b->scope.count; i++) {
        const scope_column *c = &b->scope.columns[i];
        if (!slice_equal(c->name, base->name) || c->type->kind != TYPE_STRUCT) continue;
        return bind_field_of(b, NULL, bound_column(b->arena, c->column, c->type, base->at), &e->column.name, out);
    }
    return WEIR_OK;
}

static weir_rc bind_name(binder *b, const expr *e, bound **out)
{
    uint32_t nth;

    if (bind_parameter(b, e, out)) return WEIR_OK;
    if (find_parameter(b->hidden, e, &nth) != NULL) {
        return weir_fail(b->err, WEIR_SEMANTIC, e->at,
                         "%s cannot use %.*s, a parameter of a lambda: it is computed before the lambda is called", b->clause,
                         SLICE_ARG(e->column.name.name));
    }
    WEIR_TRY(bind_pseudo_column(b, e, out));
    if (*out != NULL) return WEIR_OK;
    if (!names_own_source(b, &e->column.source)) {
        WEIR_TRY(bind_dotted_field(b, e, out));
        if (*out != NULL) return WEIR_OK;
    }
    int32_t found = find_column(b, &e->column.source, &e->column.name);
    if (found < 0) return b->err->rc;
    if (b->scope.columns[found].column == UINT32_MAX) {
        return weir_fail(b->err, WEIR_INTERNAL, e->at, "column %.*s was not carried along", SLICE_ARG(e->column.name.name));
    }
    *out = bound_column(b->arena, b->scope.columns[found].column, b->scope.columns[found].type, e->at);
    return WEIR_OK;
}

/* ---- calls ---- */

weir_rc fail_over(weir_error *err, const expr *e)
{
    return weir_fail(err, WEIR_UNSUPPORTED, e->call.over->at, "OVER (...) is not supported yet; GROUP BY, with a WINDOW where need be, aggregates rows");
}

static weir_rc check_call_allowed(binder *b, const expr *e)
{
    function_kind kind;
    slice name = e->call.name.name;

    if (e->call.over != NULL) return fail_over(b->err, e);
    if (!function_exists(name, &kind)) return function_fail_unknown(name, e->at, b->err); /* before what its arguments lack */
    if (kind == FUNCTION_AGGREGATE && !b->allows_aggregates) {
        bool is_argument = strncmp(b->clause, "the argument", strlen("the argument")) == 0;
        return weir_fail(b->err, WEIR_SEMANTIC, e->at, "%s cannot use %.*s, which is an aggregate function%s", b->clause,
                         SLICE_ARG(name),
                         strcmp(b->clause, "WHERE") == 0 ? "; HAVING can"
                         : is_argument ? "; make a table of that first, and aggregate its rows" : "");
    }
    if (kind == FUNCTION_TABLE && !b->allows_table_functions) {
        return weir_fail(b->err, WEIR_SEMANTIC, e->at,
                         "%.*s is a table function, which can stand in the SELECT list of a stream only, not in %s",
                         SLICE_ARG(name), b->clause);
    }
    return WEIR_OK;
}

/* A bare word, where a function takes a time unit. */
static weir_rc bind_unit(binder *b, const expr *call, const expr *e, bound **out)
{
    bool is_word = e->kind == EXPR_COLUMN && !identifier_present(&e->column.source) && !e->column.name.quoted;

    if (e->kind == EXPR_UNIT || e->kind == EXPR_NULL) return bind_expr(b, e, out);
    if (!is_word) {
        slice shown = expr_text(b->arena, e);
        return weir_fail(b->err, WEIR_SEMANTIC, e->at, "%.*s takes a time unit here, a word such as DAYS without quotes, not %.*s",
                         SLICE_ARG(call->call.name.name), SLICE_ARG(shown));
    }
    WEIR_TRY(time_unit_check(e->column.name.name, e->at, b->err));
    *out = unit_literal(b, e->column.name.name, e->at);
    return WEIR_OK;
}

weir_rc bind_call_args(binder *b, const expr *e, bound **args)
{
    for (uint32_t i = 0; i < e->call.args.count; i++) {
        const expr *arg = e->call.args.items[i];
        if (arg->kind == EXPR_LAMBDA) continue;
        if (function_takes_unit(e->call.name.name, i)) WEIR_TRY(bind_unit(b, e, arg, &args[i]));
        else WEIR_TRY(bind_expr(b, arg, &args[i]));
    }
    return WEIR_OK;
}

weir_rc called_name(binder *b, const expr *e, slice *name)
{
    *name = e->call.name.name;
    if (!e->call.distinct) return WEIR_OK;
    *name = arena_printf(b->arena, "%.*s_DISTINCT", SLICE_ARG(e->call.name.name));
    if (function_exists(*name, NULL)) return WEIR_OK;
    return weir_fail(b->err, WEIR_SEMANTIC, e->at, "%.*s has no DISTINCT; COUNT(DISTINCT ...) counts, COLLECT_SET collects different values",
                     SLICE_ARG(e->call.name.name));
}

static weir_rc bind_named_call(binder *b, const expr *e, bound **out)
{
    slice name = e->call.name.name;
    uint32_t count = e->call.args.count;
    bound **args = ARENA_ZEROS(b->arena, bound *, count);

    WEIR_TRY(check_call_allowed(b, e));
    WEIR_TRY(bind_call_args(b, e, args));
    if (slice_equal_nocase(name, SLICE("AS_VALUE")) && count == 1 && args[0] != NULL) {
        *out = args[0]; /* its meaning, a copy of a key among the values, is in where it stands */
        return WEIR_OK;
    }
    WEIR_TRY(called_name(b, e, &name));
    return bind_call(b, name, args, e->call.args.items, count, e->at, out);
}

/* ---- operators ---- */

static const char *operator_name(expr_kind kind)
{
    switch (kind) {
    case EXPR_ADD: return "+";
    case EXPR_SUBTRACT: return "-";
    case EXPR_MULTIPLY: return "*";
    case EXPR_DIVIDE: return "/";
    case EXPR_MODULO: return "%";
    case EXPR_CONCAT: return "||";
    case EXPR_EQUAL: return "=";
    case EXPR_NOT_EQUAL: return "<>";
    case EXPR_LESS: return "<";
    case EXPR_LESS_EQUAL: return "<=";
    case EXPR_GREATER: return ">";
    case EXPR_GREATER_EQUAL: return ">=";
    case EXPR_IS_DISTINCT: return "IS DISTINCT FROM";
    case EXPR_IS_NOT_DISTINCT: return "IS NOT DISTINCT FROM";
    default: return NULL;
    }
}

static weir_rc bind_operator(binder *b, const char *name, bound *left, bound *right, sql_pos at, bound **out)
{
    bound *args[] = { left, right };

    return bind_call(b, slice_of(name), args, NULL, 2, at, out);
}

static bool is_time_column(const bound *x)
{
    return x->kind == BOUND_ROWTIME || x->kind == BOUND_WINDOWSTART || x->kind == BOUND_WINDOWEND;
}

/* ROWTIME > '2021-05-01T14:30': the text is a time, and becomes the milliseconds it stands for. */
static weir_rc read_time_text(binder *b, const bound *beside, bound **typed)
{
    int64_t ms;

    if (!is_time_column(beside) || (*typed)->kind != BOUND_LITERAL || (*typed)->type->kind != TYPE_STRING) return WEIR_OK;
    if (!parse_partial_timestamp((*typed)->literal.str, &ms)) {
        return weir_fail(b->err, WEIR_SEMANTIC, (*typed)->at,
                         "'%.*s' is no time; write it as '2021-05-01T14:30:00.000' or a part of that",
                         SLICE_ARG((*typed)->literal.str));
    }
    *typed = bound_literal(b->arena, &type_bigint, (value){ .i64 = ms }, (*typed)->at);
    return WEIR_OK;
}

static bool has_order(const type *t)
{
    return !type_is_nested(t) && t->kind != TYPE_BOOLEAN;
}

static bool yields_text(const bound *x)
{
    return x->kind == BOUND_LITERAL && x->type->kind == TYPE_STRING;
}

/* No operator takes operands of these types: says which operands they are, and what helps. */
static weir_rc fail_operands(binder *b, const char *name, const expr *x, const bound *left, const expr *y, const bound *right, sql_pos at)
{
    slice x_text = operand_text(b->arena, x, left->type), y_text = operand_text(b->arena, y, right->type);
    bool is_orderless = left->type->kind == right->type->kind && !has_order(left->type);
    bool is_quoted_number = (yields_text(left) && type_is_number(right->type)) || (yields_text(right) && type_is_number(left->type));

    return weir_fail(b->err, WEIR_SEMANTIC, at, "%.*s %s %.*s: no %s takes these types; %s", SLICE_ARG(x_text), name,
                     SLICE_ARG(y_text), name,
                     is_orderless       ? "such values are equal or not, they have no order"
                     : is_quoted_number ? "a number is written without quotes"
                                        : "CAST() brings them to one type");
}

static bool has_operator(binder *b, const char *name, const bound *left, const bound *right, sql_pos at)
{
    const type *types[] = { left->type, right->type };
    resolved found;
    weir_error none;

    return function_resolve(slice_of(name), types, 2, NULL, at, b->arena, &found, &none) == WEIR_OK;
}

/* at: of y, which is what is compared with. */
static weir_rc bind_comparison(binder *b, const char *name, const expr *x, bound *left, const expr *y, bound *right, bound **out)
{
    WEIR_TRY(read_time_text(b, left, &right));
    WEIR_TRY(read_time_text(b, right, &left));
    if (!has_operator(b, name, left, right, y->at)) return fail_operands(b, name, x, left, y, right, y->at);
    return bind_operator(b, name, left, right, y->at, out);
}

static weir_rc bind_binary(binder *b, const expr *e, bound **out)
{
    bound *left = NULL, *right = NULL;

    WEIR_TRY(bind_expr(b, e->binary.left, &left));
    WEIR_TRY(bind_expr(b, e->binary.right, &right));
    if (e->kind >= EXPR_EQUAL && e->kind <= EXPR_GREATER_EQUAL) {
        if (left->type->kind == TYPE_NULL || right->type->kind == TYPE_NULL) {
            slice shown = expr_text(b->arena, e);
            return weir_fail(b->err, WEIR_SEMANTIC, e->at, "%.*s: a comparison with NULL is never true; use IS [NOT] NULL", SLICE_ARG(shown));
        }
        WEIR_TRY(read_time_text(b, left, &right));
        WEIR_TRY(read_time_text(b, right, &left));
    }
    bool has_null = left->type->kind == TYPE_NULL || right->type->kind == TYPE_NULL;
    if (has_null && e->kind != EXPR_IS_DISTINCT && e->kind != EXPR_IS_NOT_DISTINCT) {
        slice shown = expr_text(b->arena, e);
        return weir_fail(b->err, WEIR_SEMANTIC, e->at, "%.*s: operator %s cannot be applied to NULL; write CAST(NULL AS ...)",
                         SLICE_ARG(shown), operator_name(e->kind));
    }
    const char *name = operator_name(e->kind);
    if (!has_operator(b, name, left, right, e->at)) return fail_operands(b, name, e->binary.left, left, e->binary.right, right, e->at);
    return bind_operator(b, name, left, right, e->at, out);
}

static weir_rc bind_unary(binder *b, const char *name, const expr *of, sql_pos at, bound **out)
{
    bound *arg = NULL;

    WEIR_TRY(bind_expr(b, of, &arg));
    return bind_call(b, slice_of(name), &arg, NULL, 1, at, out);
}

static weir_rc require_number(binder *b, const char *sign, const expr *e, const bound *of)
{
    if (type_is_number(of->type) || of->type->kind == TYPE_NULL) return WEIR_OK;
    slice shown = operand_text(b->arena, e, of->type);
    return weir_fail(b->err, WEIR_SEMANTIC, e->at, "the sign %s needs a number, not %.*s; CAST() may bring it to one", sign, SLICE_ARG(shown));
}

static weir_rc bind_plus(binder *b, const expr *e, bound **out)
{
    WEIR_TRY(bind_expr(b, e->operand, out));
    return require_number(b, "+", e->operand, *out);
}

static weir_rc bind_negation(binder *b, const expr *e, bound **out)
{
    bound *arg = NULL;

    WEIR_TRY(bind_expr(b, e->operand, &arg));
    WEIR_TRY(require_number(b, "-", e->operand, arg));
    return bind_call(b, SLICE("NEG"), &arg, NULL, 1, e->at, out);
}

static weir_rc require_boolean(binder *b, const expr *e, bound **of, const char *what)
{
    if ((*of)->type->kind == TYPE_BOOLEAN) return WEIR_OK;
    if ((*of)->type->kind == TYPE_NULL) return bind_cast(b, *of, &type_boolean, false, e->at, of);
    slice shown = operand_text(b->arena, e, (*of)->type);
    return weir_fail(b->err, WEIR_SEMANTIC, e->at, "%s needs a BOOLEAN, not %.*s; compare it with a value", what, SLICE_ARG(shown));
}

static weir_rc bind_not(binder *b, const expr *e, bound **out)
{
    bound *arg = NULL;

    WEIR_TRY(bind_expr(b, e->operand, &arg));
    WEIR_TRY(require_boolean(b, e->operand, &arg, "NOT"));
    return bind_call(b, SLICE("NOT"), &arg, NULL, 1, e->at, out);
}

/* (a AND b) AND c is a AND b AND c: one list. */
static bound *flatten(binder *b, const bound *nested)
{
    uint32_t count = 0, at = 0;

    for (uint32_t i = 0; i < nested->arg_count; i++) {
        count += nested->args[i]->kind == nested->kind ? nested->args[i]->arg_count : 1;
    }
    bound *flat = bound_new(b->arena, nested->kind, &type_boolean, nested->at, count);
    for (uint32_t i = 0; i < nested->arg_count; i++) {
        bound *arg = nested->args[i];
        if (arg->kind != nested->kind) flat->args[at++] = arg;
        for (uint32_t k = 0; arg->kind == nested->kind && k < arg->arg_count; k++) flat->args[at++] = arg->args[k];
    }
    return flat;
}

static weir_rc bind_logic(binder *b, const expr *e, bound **out)
{
    bool is_and = e->kind == EXPR_AND;
    bound *node = bound_new(b->arena, is_and ? BOUND_AND : BOUND_OR, &type_boolean, e->at, e->list.count);

    for (uint32_t i = 0; i < e->list.count; i++) {
        WEIR_TRY(bind_expr(b, e->list.items[i], &node->args[i]));
        WEIR_TRY(require_boolean(b, e->list.items[i], &node->args[i], is_and ? "AND" : "OR"));
    }
    *out = flatten(b, node);
    return WEIR_OK;
}

static weir_rc negate_if(binder *b, bool negated, sql_pos at, bound **of)
{
    if (!negated) return WEIR_OK;
    bound *arg = *of;
    return bind_call(b, SLICE("NOT"), &arg, NULL, 1, at, of);
}

static weir_rc bind_between(binder *b, const expr *e, bound **out)
{
    bound *of = NULL, *low = NULL, *high = NULL;
    bound *both = bound_new(b->arena, BOUND_AND, &type_boolean, e->at, 2);

    WEIR_TRY(bind_expr(b, e->between.value, &of));
    WEIR_TRY(bind_expr(b, e->between.low, &low));
    WEIR_TRY(bind_expr(b, e->between.high, &high));
    WEIR_TRY(bind_comparison(b, ">=", e->between.value, of, e->between.low, low, &both->args[0]));
    WEIR_TRY(bind_comparison(b, "<=", e->between.value, of, e->between.high, high, &both->args[1]));
    *out = both;
    return negate_if(b, e->between.negated, e->at, out);
}

/* x IN (a, b) is x = a OR x = b, once all have one type. */
static weir_rc bind_in(binder *b, const expr *e, bound **out)
{
    uint32_t count = e->in.list.count;
    bound **items = ARENA_ZEROS(b->arena, bound *, count + 1);
    const expr **typed = ARENA_ZEROS(b->arena, const expr *, count + 1);
    const type *common;

    WEIR_TRY(bind_expr(b, e->in.value, &items[0]));
    typed[0] = e->in.value;
    for (uint32_t i = 0; i < count; i++) {
        WEIR_TRY(bind_expr(b, e->in.list.items[i], &items[i + 1]));
        WEIR_TRY(read_time_text(b, items[0], &items[i + 1]));
        typed[i + 1] = e->in.list.items[i];
    }
    WEIR_TRY(bind_common(b, typed, items, count + 1, "IN", &common));
    bound *any = bound_new(b->arena, BOUND_OR, &type_boolean, e->at, count);
    for (uint32_t i = 0; i < count; i++) {
        WEIR_TRY(bind_operator(b, "=", items[0], items[i + 1], items[i + 1]->at, &any->args[i]));
    }
    *out = count == 1 ? any->args[0] : any;
    return negate_if(b, e->in.negated, e->at, out);
}

static weir_rc bind_like(binder *b, const expr *e, bound **out)
{
    bound *args[3] = { NULL, NULL, NULL };

    WEIR_TRY(bind_expr(b, e->like.value, &args[0]));
    WEIR_TRY(bind_expr(b, e->like.pattern, &args[1]));
    for (uint32_t i = 0; i < 2; i++) {
        const expr *of = i == 0 ? e->like.value : e->like.pattern;
        if (args[i]->type->kind == TYPE_STRING || args[i]->type->kind == TYPE_NULL) continue;
        slice shown = operand_text(b->arena, of, args[i]->type);
        return weir_fail(b->err, WEIR_SEMANTIC, of->at, "LIKE compares texts, not %.*s; CAST(... AS STRING) makes it one", SLICE_ARG(shown));
    }
    value escape = e->like.escape.data == NULL ? ABSENT : (value){ .str = e->like.escape };
    args[2] = bound_literal(b->arena, &type_string, escape, e->at);
    WEIR_TRY(bind_call(b, SLICE("LIKE"), args, NULL, 3, e->at, out));
    return negate_if(b, e->like.negated, e->at, out);
}

/* A text stands beside texts; where times are wanted it may spell one. */
static weir_rc refuse_mixed_text(binder *b, const expr *const *typed, bound *const *results, uint32_t count)
{
    uint32_t text = count, other = count;

    for (uint32_t i = 0; i < count; i++) {
        const type *t = results[i]->type;
        if (t->kind == TYPE_STRING) text = i;
        else if (t->kind != TYPE_NULL && t->kind != TYPE_DATE && t->kind != TYPE_TIME && t->kind != TYPE_TIMESTAMP) other = i;
    }
    if (text == count || other == count) return WEIR_OK;
    return fail_mixed(b, "CASE", typed[text], results[text], typed[other], results[other]);
}

static weir_rc bind_case(binder *b, const expr *e, bound **out)
{
    uint32_t branches = e->switch_case.branch_count;
    bound *node = bound_new(b->arena, BOUND_CASE, NULL, e->at, 2 * branches + 1);
    bound **results = ARENA_ZEROS(b->arena, bound *, branches + 1);
    const expr **typed = ARENA_ZEROS(b->arena, const expr *, branches + 1);
    bound *of = NULL;

    if (e->switch_case.value != NULL) WEIR_TRY(bind_expr(b, e->switch_case.value, &of));
    for (uint32_t i = 0; i < branches; i++) {
        const case_branch *branch = &e->switch_case.branches[i];
        bound **when = &node->args[2 * i];
        WEIR_TRY(bind_expr(b, branch->when, when));
        if (of != NULL) WEIR_TRY(bind_comparison(b, "=", e->switch_case.value, of, branch->when, *when, when));
        else WEIR_TRY(require_boolean(b, branch->when, when, "WHEN"));
        WEIR_TRY(bind_expr(b, branch->then, &results[i]));
        typed[i] = branch->then;
    }
    typed[branches] = e->switch_case.otherwise;
    if (e->switch_case.otherwise != NULL) WEIR_TRY(bind_expr(b, e->switch_case.otherwise, &results[branches]));
    else results[branches] = bound_literal(b->arena, &type_null, ABSENT, e->at);
    WEIR_TRY(refuse_mixed_text(b, typed, results, branches + 1));
    WEIR_TRY(bind_common(b, typed, results, branches + 1, "CASE", &node->type));
    if (node->type->kind == TYPE_NULL) {
        return weir_fail(b->err, WEIR_SEMANTIC, e->at, "all results of this CASE are NULL; CAST() one to the type it has");
    }
    for (uint32_t i = 0; i < branches; i++) node->args[2 * i + 1] = results[i];
    node->args[2 * branches] = results[branches];
    *out = node;
    return WEIR_OK;
}

/* ---- constructors ---- */

static weir_rc bind_array(binder *b, const expr *e, bound **out)
{
    bound **items = ARENA_ZEROS(b->arena, bound *, e->list.count);
    const type *common;

    if (e->list.count == 0) {
        return weir_fail(b->err, WEIR_SEMANTIC, e->at, "ARRAY[] needs an element, or its type is not known");
    }
    for (uint32_t i = 0; i < e->list.count; i++) WEIR_TRY(bind_expr(b, e->list.items[i], &items[i]));
    WEIR_TRY(bind_common(b, (const expr *const *)e->list.items, items, e->list.count, "ARRAY", &common));
    if (common->kind == TYPE_NULL) {
        return weir_fail(b->err, WEIR_SEMANTIC, e->at, "all elements of this ARRAY are NULL; CAST() one to the type it has");
    }
    return bind_call(b, SLICE("ARRAY"), items, NULL, e->list.count, e->at, out);
}

static weir_rc bind_map(binder *b, const expr *e, bound **out)
{
    uint32_t count = e->map.count;
    bound **keys = ARENA_ZEROS(b->arena, bound *, count), **values = ARENA_ZEROS(b->arena, bound *, count);
    bound **pairs = ARENA_ZEROS(b->arena, bound *, 2 * count);
    const expr **key_exprs = ARENA_ZEROS(b->arena, const expr *, count), **value_exprs = ARENA_ZEROS(b->arena, const expr *, count);
    const type *key_type, *value_type;

    if (count == 0) return weir_fail(b->err, WEIR_SEMANTIC, e->at, "MAP() needs an entry, or its type is not known");
    for (uint32_t i = 0; i < count; i++) {
        WEIR_TRY(bind_expr(b, e->map.entries[i].key, &keys[i]));
        WEIR_TRY(bind_expr(b, e->map.entries[i].value, &values[i]));
        key_exprs[i] = e->map.entries[i].key;
        value_exprs[i] = e->map.entries[i].value;
    }
    WEIR_TRY(bind_common(b, key_exprs, keys, count, "MAP, in its keys,", &key_type));
    WEIR_TRY(bind_common(b, value_exprs, values, count, "MAP, in its values,", &value_type));
    if (key_type->kind == TYPE_NULL || value_type->kind == TYPE_NULL) {
        return weir_fail(b->err, WEIR_SEMANTIC, e->at, "all %s of this MAP are NULL; CAST() one to the type it has",
                         key_type->kind == TYPE_NULL ? "keys" : "values");
    }
    for (uint32_t i = 0; i < count; i++) {
        pairs[2 * i] = keys[i];
        pairs[2 * i + 1] = values[i];
    }
    return bind_call(b, SLICE("MAP"), pairs, NULL, 2 * count, e->at, out);
}

static bound *fold_struct(binder *b, bound *node)
{
    value *items = ARENA_ARRAY(b->arena, value, node->arg_count);

    for (uint32_t i = 0; i < node->arg_count; i++) {
        if (node->args[i]->kind != BOUND_LITERAL) return node;
        items[i] = node->args[i]->literal;
    }
    return bound_literal(b->arena, node->type, (value){ .list = { items, node->arg_count } }, node->at);
}

static weir_rc bind_struct(binder *b, const expr *e, bound **out)
{
    uint32_t count = e->structure.count;
    bound *node = bound_new(b->arena, BOUND_STRUCT, NULL, e->at, count);
    type_field *fields = ARENA_ZEROS(b->arena, type_field, count);

    if (count == 0) return weir_fail(b->err, WEIR_SEMANTIC, e->at, "STRUCT() needs a field");
    for (uint32_t i = 0; i < count; i++) {
        const struct_entry *entry = &e->structure.entries[i];
        for (uint32_t j = 0; j < i; j++) {
            if (!slice_equal(fields[j].name, entry->name.name)) continue;
            return weir_fail(b->err, WEIR_SEMANTIC, entry->name.at, "field %.*s stands twice in this STRUCT",
                             SLICE_ARG(entry->name.name));
        }
        WEIR_TRY(bind_expr(b, entry->value, &node->args[i]));
        if (node->args[i]->type->kind == TYPE_NULL) {
            return weir_fail(b->err, WEIR_SEMANTIC, entry->value->at,
                             "the type of field %.*s is not known; write CAST(NULL AS ...)", SLICE_ARG(entry->name.name));
        }
        fields[i] = (type_field){ entry->name.name, node->args[i]->type };
    }
    node->type = type_struct(b->arena, fields, count);
    *out = fold_struct(b, node);
    return WEIR_OK;
}

/* ---- all of it ---- */

static weir_rc bind_explicit_cast(binder *b, const expr *e, bound **out)
{
    const type *to;
    bound *of = NULL;

    WEIR_TRY(bind_type(e->cast.type, b->catalog, b->arena, &to, b->err));
    WEIR_TRY(bind_expr(b, e->cast.value, &of));
    if (of->type->kind != TYPE_NULL && !type_equal(of->type, to) && cast_function(of->type, to, false) == NULL) {
        slice shown = operand_text(b->arena, e->cast.value, of->type), to_text = type_text(b->arena, to);
        return weir_fail(b->err, WEIR_SEMANTIC, e->at, "%.*s cannot be cast to %.*s", SLICE_ARG(shown), SLICE_ARG(to_text));
    }
    return bind_cast(b, of, to, true, e->at, out);
}

static weir_rc bind_subscript(binder *b, const expr *e, bound **out)
{
    bound *args[2] = { NULL, NULL };

    WEIR_TRY(bind_expr(b, e->subscript.base, &args[0]));
    WEIR_TRY(bind_expr(b, e->subscript.index, &args[1]));
    const type *base = args[0]->type, *index = args[1]->type;
    if (base->kind == TYPE_ARRAY && index->kind != TYPE_INTEGER && index->kind != TYPE_BIGINT) {
        slice given = operand_text(b->arena, e->subscript.index, index);
        return weir_fail(b->err, WEIR_SEMANTIC, args[1]->at, "an element of an ARRAY is read by its number, the first by 1, not by %.*s",
                         SLICE_ARG(given));
    }
    bool may_yield = args[1]->kind == BOUND_LITERAL && cast_function(index, base->key == NULL ? index : base->key, true) != NULL;
    if (base->kind == TYPE_MAP && !type_equal(base->key, index) && index->kind != TYPE_NULL && !may_yield) {
        slice key = type_text(b->arena, base->key), given = operand_text(b->arena, e->subscript.index, index);
        return weir_fail(b->err, WEIR_SEMANTIC, args[1]->at, "the keys of this MAP are %.*s, not %.*s; CAST() may bring it there", SLICE_ARG(key),
                         SLICE_ARG(given));
    }
    if (base->kind != TYPE_ARRAY && base->kind != TYPE_MAP) {
        slice given = operand_text(b->arena, e->subscript.base, base);
        return weir_fail(b->err, WEIR_SEMANTIC, e->at, "[] reads an element of an ARRAY or a MAP, not of %.*s%s", SLICE_ARG(given),
                         base->kind == TYPE_STRUCT   ? "; -> reads a field"
                         : base->kind == TYPE_STRING ? "; SUBSTRING() takes a part of a text"
                                                     : "");
    }
    return bind_call(b, SLICE("[]"), args, NULL, 2, e->at, out);
}

/* What the zone's clocks show at that moment, as CONVERT_TZ() from UTC. */
static weir_rc bind_at_time_zone(binder *b, const expr *e, bound **out)
{
    bound *args[3];

    WEIR_TRY(bind_expr(b, e->at_time_zone.value, &args[0]));
    if (args[0]->type->kind != TYPE_TIMESTAMP) {
        slice shown = operand_text(b->arena, e->at_time_zone.value, args[0]->type);
        return weir_fail(b->err, WEIR_SEMANTIC, args[0]->at, "AT TIME ZONE needs a TIMESTAMP, not %.*s%s", SLICE_ARG(shown),
                         args[0]->type->kind == TYPE_BIGINT ? "; FROM_UNIXTIME() makes one of milliseconds" : "");
    }
    args[1] = bound_literal(b->arena, &type_string, (value){ .str = SLICE("UTC") }, e->at);
    args[2] = bound_literal(b->arena, &type_string, (value){ .str = e->at_time_zone.zone }, e->at);
    return bind_call(b, SLICE("CONVERT_TZ"), args, NULL, 3, e->at, out);
}

static weir_rc bind_field(binder *b, const expr *e, bound **out)
{
    bound *base = NULL;

    WEIR_TRY(bind_expr(b, e->field.base, &base));
    return bind_field_of(b, e->field.base, base, &e->field.name, out);
}

weir_rc bind_expr(binder *b, const expr *e, bound **out)
{
    *out = NULL;
    if (b->intercept != NULL) {
        WEIR_TRY(b->intercept(b, e, out));
        if (*out != NULL) return WEIR_OK;
    }
    switch (e->kind) {
    case EXPR_NULL:
    case EXPR_BOOLEAN:
    case EXPR_INTEGER:
    case EXPR_BIGINT:
    case EXPR_DOUBLE:
    case EXPR_STRING:
    case EXPR_DURATION:
    case EXPR_UNIT: return bind_simple(b, e, out);
    case EXPR_DECIMAL: return bind_decimal(b, e, out);
    case EXPR_TYPED_STRING: return bind_typed_string(b, e, out);
    case EXPR_COLUMN: return bind_name(b, e, out);
    case EXPR_FIELD: return bind_field(b, e, out);
    case EXPR_SUBSCRIPT: return bind_subscript(b, e, out);
    case EXPR_CALL: return bind_named_call(b, e, out);
    case EXPR_LAMBDA:
        return weir_fail(b->err, WEIR_SEMANTIC, e->at, "a lambda can stand only as an argument of a function");
    case EXPR_NEGATE: return bind_negation(b, e, out);
    case EXPR_PLUS: return bind_plus(b, e, out);
    case EXPR_NOT: return bind_not(b, e, out);
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
    case EXPR_IS_NOT_DISTINCT: return bind_binary(b, e, out);
    case EXPR_AND:
    case EXPR_OR: return bind_logic(b, e, out);
    case EXPR_BETWEEN: return bind_between(b, e, out);
    case EXPR_IN: return bind_in(b, e, out);
    case EXPR_LIKE: return bind_like(b, e, out);
    case EXPR_IS_NULL:
        return bind_unary(b, e->is_null.negated ? "IS NOT NULL" : "IS NULL", e->is_null.value, e->at, out);
    case EXPR_CASE: return bind_case(b, e, out);
    case EXPR_CAST: return bind_explicit_cast(b, e, out);
    case EXPR_ARRAY: return bind_array(b, e, out);
    case EXPR_MAP: return bind_map(b, e, out);
    case EXPR_STRUCT: return bind_struct(b, e, out);
    case EXPR_AT_TIME_ZONE: return bind_at_time_zone(b, e, out);
    }
    return weir_fail(b->err, WEIR_INTERNAL, e->at, "an expression of unknown kind");
}

weir_rc bind_condition(binder *b, const expr *e, bound **out)
{
    WEIR_TRY(bind_expr(b, e, out));
    return require_boolean(b, e, out, b->clause);
}

weir_rc bind_expression(const schema *over, bool windowed, const expr *e, const catalog *types, arena *a, bound **out,
                        weir_error *err)
{
    binder b = { .arena = a, .catalog = types, .scope = scope_of(a, over, NO_SLICE, windowed), .clause = "an expression",
                 .err = err };

    return bind_expr(&b, e, out);
}
