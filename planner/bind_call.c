/* planner/bind_call.c - calls, casts and lambdas: overloads from the function table, implicit casts made explicit,
 * constants computed once. */
#include "planner/bind_parts.h"

#include "core/date.h"

/* ---- folding ---- */

/* Can the text of a stored plan say it? */
static bool is_printable(const type *t, const value *v)
{
    if (v->is_null) return t->kind != TYPE_LAMBDA;
    switch (t->kind) {
    case TYPE_ARRAY:
        for (uint32_t i = 0; i < v->list.count; i++) {
            if (!is_printable(t->element, &v->list.items[i])) return false;
        }
        return v->list.count > 0;
    case TYPE_MAP:
        for (uint32_t i = 0; i < v->map.count; i++) {
            if (!is_printable(t->key, &v->map.keys[i]) || !is_printable(t->element, &v->map.values[i])) return false;
        }
        return v->map.count > 0;
    case TYPE_STRUCT:
        for (uint32_t i = 0; i < v->list.count; i++) {
            if (!is_printable(t->fields[i].type, &v->list.items[i])) return false;
        }
        return true;
    case TYPE_BYTES: return false;
    default: return true;
    }
}

static void note_failure(void *self, uint32_t row, const char *reason)
{
    (void)row;
    (void)reason;
    *(bool *)self = true;
}

/* A call of constants is computed here, unless it fails: then each row shall say so. */
static bound *fold(binder *b, bound *node)
{
    const call *c = node->call;
    static const weir_clock clock = { 0 };
    bool failed = false;

    if (c->fn->kind != FUNCTION_SCALAR || (c->fn->is_volatile && !b->folds_volatile)) return node;
    if (c->fn->kernel == NULL && c->fn->row == NULL) return node;
    for (uint32_t i = 0; i < c->arg_count; i++) {
        if (node->args[i] == NULL || node->args[i]->kind != BOUND_LITERAL) return node;
    }
    eval_context x = { .arena = b->arena, .clock = &clock, .report = note_failure, .report_self = &failed };
    column *args = ARENA_ARRAY(b->arena, column, c->arg_count);
    for (uint32_t i = 0; i < c->arg_count; i++) {
        args[i] = column_new(b->arena, node->args[i]->type, 1);
        column_set(&args[i], 0, &node->args[i]->literal);
    }
    column result;
    call_run(c, &x, args, (row_set){ NULL, 1 }, 1, &result);
    value v = column_get(&result, 0);
    if (failed || (!b->folds_volatile && !is_printable(node->type, &v))) return node;
    if (c->fn->release != NULL) c->fn->release(node->call);
    return bound_literal(b->arena, node->type, v, node->at);
}

/* ---- casts ---- */

static weir_rc fail_cast(binder *b, const type *from, const type *to, sql_pos at)
{
    slice from_text = type_text(b->arena, from), to_text = type_text(b->arena, to);

    return weir_fail(b->err, WEIR_SEMANTIC, at, "%.*s does not become %.*s by itself; CAST() may bring it there",
                     SLICE_ARG(from_text), SLICE_ARG(to_text));
}

static weir_rc finish_call(binder *b, call *c, bound **args, sql_pos at, bound **out);

weir_rc bind_cast(binder *b, bound *of, const type *to, bool is_explicit, sql_pos at, bound **out)
{
    if (type_equal(of->type, to)) {
        *out = of;
        return WEIR_OK;
    }
    if (of->kind == BOUND_LITERAL && of->literal.is_null) {
        *out = bound_literal(b->arena, to, NULL_VALUE, of->at);
        return WEIR_OK;
    }
    const function *fn = cast_function(of->type, to, !is_explicit);
    if (fn == NULL) return fail_cast(b, of->type, to, at);
    const type **arg_types = ARENA_ARRAY(b->arena, const type *, 1);
    arg_types[0] = of->type;
    call *c = ARENA_NEW(b->arena, call);
    *c = (call){ .fn = fn, .result = to, .arg_types = arg_types, .arg_count = 1 };
    return finish_call(b, c, &of, at, out);
}

static bool spells_boolean(slice text, bool *out)
{
    static const char *const words[] = { "true", "yes", "false", "no" };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        slice word = slice_of(words[i]);
        if (text.len == 0 || text.len > word.len) continue;
        if (!slice_equal_nocase(text, (slice){ word.data, text.len })) continue;
        *out = i < 2;
        return true;
    }
    return false;
}

static bool spell_booleans(arena *a, const type *from, const type *to, value *v, const char **reason);

static bool spell_list(arena *a, const type *from, const type *to, value **items, uint32_t count, const char *what, const char **reason)
{
    value *spelt = ARENA_ARRAY(a, value, count);

    for (uint32_t i = 0; i < count; i++) {
        spelt[i] = (*items)[i];
        if (spell_booleans(a, from, to, &spelt[i], reason)) continue;
        *reason = arena_printf(a, "%s %u: %s", what, i + 1, *reason).data;
        return false;
    }
    *items = spelt;
    return true;
}

static bool spell_fields(arena *a, const type *from, const type *to, value *v, const char **reason)
{
    value *spelt = ARENA_ARRAY(a, value, from->field_count);

    for (uint32_t i = 0; i < from->field_count; i++) {
        slice name = from->fields[i].name;
        spelt[i] = v->list.items[i];
        for (uint32_t k = 0; k < to->field_count; k++) {
            if (!slice_equal(to->fields[k].name, name)) continue;
            if (spell_booleans(a, from->fields[i].type, to->fields[k].type, &spelt[i], reason)) continue;
            *reason = arena_printf(a, "field %.*s: %s", SLICE_ARG(name), *reason).data;
            return false;
        }
    }
    v->list.items = spelt;
    return true;
}

/* A cast takes any text for a BOOLEAN, and most for false. What a literal has in such a place must spell one, however deep it
 * stands: true, false, yes, no or a beginning of them. It is written out here so that the cast gives what was spelt. */
static bool spell_booleans(arena *a, const type *from, const type *to, value *v, const char **reason)
{
    bool spelt;

    if (v->is_null) return true;
    if (from->kind == TYPE_STRING && to->kind == TYPE_BOOLEAN) {
        *reason = "it must be true, false, yes, no or a beginning of one of them";
        if (!spells_boolean(v->str, &spelt)) return false;
        v->str = spelt ? SLICE("true") : SLICE("false");
        return true;
    }
    if (from->kind != to->kind) return true;
    switch (from->kind) {
    case TYPE_ARRAY: return spell_list(a, from->element, to->element, &v->list.items, v->list.count, "element", reason);
    case TYPE_MAP:
        return spell_list(a, from->key, to->key, &v->map.keys, v->map.count, "key", reason) &&
               spell_list(a, from->element, to->element, &v->map.values, v->map.count, "value", reason);
    case TYPE_STRUCT: return spell_fields(a, from, to, v, reason);
    default: return true;
    }
}

static bool literal_value(binder *b, const bound *of, const type *to, value *out, const char **reason)
{
    value spelt = of->literal;

    return spell_booleans(b->arena, of->type, to, &spelt, reason) && cast_value(b->arena, of->type, to, &spelt, out, reason);
}

weir_rc bind_literal_as(binder *b, bound *of, const type *to, bool *done, bound **out)
{
    const char *reason = NULL;
    value v;

    *done = false;
    *out = of;
    if (of->kind != BOUND_LITERAL) return WEIR_OK;
    *done = true;
    if (type_equal(of->type, to)) return WEIR_OK;
    if (of->literal.is_null) {
        *out = bound_literal(b->arena, to, NULL_VALUE, of->at);
        return WEIR_OK;
    }
    if (cast_function(of->type, to, false) == NULL) {
        *done = false;
        return WEIR_OK;
    }
    if (!literal_value(b, of, to, &v, &reason)) {
        text shown = TEXT_EMPTY;
        value plain;
        const char *ignored;
        if (type_is_number(of->type) && cast_value(b->arena, of->type, &type_string, &of->literal, &plain, &ignored)) {
            text_add(&shown, plain.str); /* a decimal as it is written, not as a stored plan has it */
        } else {
            literal_print(&shown, of->type, &of->literal);
        }
        slice to_text = type_text(b->arena, to);
        (void)weir_fail(b->err, WEIR_SEMANTIC, of->at, "%.*s is no %.*s%s%s", SLICE_ARG(text_slice(&shown)),
                        SLICE_ARG(to_text), reason == NULL ? "" : ": ", reason == NULL ? "" : reason);
        text_free(&shown);
        return b->err->rc;
    }
    *out = bound_literal(b->arena, to, v, of->at);
    return WEIR_OK;
}

/* A type with the places of its texts left open. */
static const type *without_text(arena *a, const type *t)
{
    switch (t->kind) {
    case TYPE_STRING: return &type_null;
    case TYPE_ARRAY: return type_array(a, without_text(a, t->element));
    case TYPE_MAP: return type_map(a, without_text(a, t->key), without_text(a, t->element));
    case TYPE_STRUCT: {
        type_field *fields = ARENA_ARRAY(a, type_field, t->field_count);
        for (uint32_t i = 0; i < t->field_count; i++) {
            fields[i] = (type_field){ t->fields[i].name, without_text(a, t->fields[i].type) };
        }
        return type_struct(a, fields, t->field_count);
    }
    default: return t;
    }
}

/* The type a text would have as a number: '10' an INTEGER, '1.5' a DECIMAL(2, 1), '2e1' a DECIMAL(2, 0). NULL: it is none. */
static const type *number_type_of(arena *a, slice in)
{
    int64_t digits = 0, scale = 0, exponent = 0;
    bool behind_point = false, is_plain = true;
    size_t i = in.len > 0 && (in.data[0] == '-' || in.data[0] == '+');

    for (; i < in.len && (in.data[i] == '.' || (in.data[i] >= '0' && in.data[i] <= '9')); i++) {
        if (in.data[i] == '.') {
            if (behind_point) return NULL;
            behind_point = true;
            is_plain = false;
            continue;
        }
        digits += digits > 0 || in.data[i] != '0' || behind_point;
        scale += behind_point;
    }
    if (i < in.len && (in.data[i] == 'e' || in.data[i] == 'E')) {
        is_plain = false;
        bool is_negative = ++i < in.len && in.data[i] == '-';
        for (i += is_negative; i < in.len && in.data[i] >= '0' && in.data[i] <= '9' && exponent < 100; i++) {
            exponent = exponent * 10 + (in.data[i] - '0');
        }
        if (is_negative) exponent = -exponent;
    }
    if (i != in.len || in.len == 0) return NULL;
    if (is_plain) return digits <= 9 ? &type_integer : &type_bigint;
    scale -= exponent;
    digits = scale < 0 ? digits - scale : digits > scale ? digits : scale + 1;
    scale = scale < 0 ? 0 : scale;
    return digits < 1 || digits > 38 ? NULL : type_decimal(a, (uint32_t)digits, (uint32_t)scale);
}

/* What a type becomes by a literal (absent: by its type alone): where it has left a text's place open, text; beside a
 * number, wide enough for the number that the text spells. */
static const type *with_text(arena *a, const type *found, const type *t, const value *v)
{
    bool is_absent = v == NULL || v->is_null;

    if (t->kind == TYPE_STRING) {
        const type *spelt = is_absent || !type_is_number(found) ? NULL : number_type_of(a, v->str);
        return found->kind == TYPE_NULL ? t : spelt == NULL ? found : common_type(a, found, spelt);
    }
    if (t->kind != found->kind) return found;
    switch (t->kind) {
    case TYPE_ARRAY: {
        const type *element = with_text(a, found->element, t->element, NULL);
        for (uint32_t i = 0; !is_absent && i < v->list.count; i++) element = with_text(a, element, t->element, &v->list.items[i]);
        return type_array(a, element);
    }
    case TYPE_MAP: {
        const type *key = with_text(a, found->key, t->key, NULL), *element = with_text(a, found->element, t->element, NULL);
        for (uint32_t i = 0; !is_absent && i < v->map.count; i++) {
            key = with_text(a, key, t->key, &v->map.keys[i]);
            element = with_text(a, element, t->element, &v->map.values[i]);
        }
        return type_map(a, key, element);
    }
    case TYPE_STRUCT: {
        type_field *fields = ARENA_ARRAY(a, type_field, found->field_count);
        for (uint32_t i = 0; i < found->field_count; i++) {
            uint32_t at = 0;
            fields[i] = found->fields[i];
            while (at < t->field_count && !slice_equal(t->fields[at].name, fields[i].name)) at++;
            if (at == t->field_count) continue;
            fields[i].type = with_text(a, fields[i].type, t->fields[at].type, is_absent ? NULL : &v->list.items[at]);
        }
        return type_struct(a, fields, found->field_count);
    }
    default: return found;
    }
}

/* Text where one is text that is no literal, or where a text comes first and only literals stand beside it. */
static bool become_text(bound *const *items, uint32_t count)
{
    const bound *first = NULL;
    bool can = true;

    for (uint32_t i = 0; i < count; i++) {
        bool is_text = items[i]->type->kind == TYPE_STRING;
        if (is_text && items[i]->kind != BOUND_LITERAL) return true;
        if (first == NULL && items[i]->type->kind != TYPE_NULL) first = items[i];
        can &= is_text || (items[i]->kind == BOUND_LITERAL && !type_is_nested(items[i]->type));
    }
    return can && first != NULL && first->type->kind == TYPE_STRING;
}

/* The type that all can be brought to. A text in a literal is text only where nothing else stands in its place; beside
 * numbers it counts as the number it spells. */
static weir_rc common_of(binder *b, const expr *const *typed, bound **items, uint32_t count, const char *what, const type **common)
{
    const type *found = &type_null;
    bool has_text = become_text(items, count);
    uint32_t told = 0; /* the item that the type so far is told by */

    for (uint32_t i = 0; i < count && !has_text; i++) {
        bool is_literal = items[i]->kind == BOUND_LITERAL;
        const type *both = common_type(b->arena, found, is_literal ? without_text(b->arena, items[i]->type) : items[i]->type);
        if (both == NULL) return fail_mixed(b, what, typed[told], items[told], typed[i], items[i]);
        if (!type_equal(both, found)) told = i;
        found = both;
    }
    for (uint32_t i = 0; i < count && !has_text; i++) {
        if (items[i]->kind == BOUND_LITERAL) found = with_text(b->arena, found, items[i]->type, &items[i]->literal);
    }
    if (has_text) found = &type_string;
    *common = found;
    return WEIR_OK;
}

weir_rc fail_mixed(binder *b, const char *what, const expr *x, const bound *one, const expr *y, const bound *other)
{
    slice x_text = operand_text(b->arena, x, one->type), y_text = operand_text(b->arena, y, other->type);

    return weir_fail(b->err, WEIR_SEMANTIC, other->at, "%s mixes %.*s and %.*s; CAST() brings them to one type", what,
                     SLICE_ARG(x_text), SLICE_ARG(y_text));
}

/* The first item that is not brought to the common type by being a literal: what the others are told against. */
static uint32_t item_of_type(bound *const *items, uint32_t count, const type *t)
{
    for (uint32_t i = 0; i < count; i++) {
        if (type_equal(items[i]->type, t)) return i;
    }
    return 0;
}

weir_rc bind_common(binder *b, const expr *const *typed, bound **items, uint32_t count, const char *what, const type **common)
{
    WEIR_TRY(common_of(b, typed, items, count, what, common));
    for (uint32_t i = 0; i < count; i++) {
        bool done;
        if (type_equal(items[i]->type, *common)) continue;
        WEIR_TRY(bind_literal_as(b, items[i], *common, &done, &items[i]));
        if (done) continue;
        if (cast_function(items[i]->type, *common, true) == NULL) {
            uint32_t other = item_of_type(items, count, *common);
            return fail_mixed(b, what, typed[other], items[other], typed[i], items[i]);
        }
        WEIR_TRY(bind_cast(b, items[i], *common, false, items[i]->at, &items[i]));
    }
    return WEIR_OK;
}

/* ---- lambdas ---- */

typedef struct lambda_job {
    binder *binder;
    expr *const *args;
    bound_lambda **bound; /* an argument's; the last binding counts */
} lambda_job;

static const type *bind_lambda(void *self, uint32_t arg, const type *const *params, uint32_t count, weir_error *err)
{
    lambda_job *job = self;
    binder *b = job->binder;
    const expr *e = job->args[arg];

    if (e->lambda.parameter_count != count) {
        (void)weir_fail(err, WEIR_SEMANTIC, e->at, "this lambda needs %u parameter%s, and has %u", count,
                        count == 1 ? "" : "s", e->lambda.parameter_count);
        return NULL;
    }
    /* By depth, so that the same expression has the same numbers wherever it stands. */
    uint32_t first_param = b->frames == NULL ? 0 : b->frames->first_param + b->frames->count;
    lambda_frame frame = { b->frames, e->lambda.parameters, params, count, first_param };
    b->frames = &frame;
    bound *body = NULL;
    weir_rc rc = bind_expr(b, e->lambda.body, &body);
    b->frames = frame.outer;
    if (rc != WEIR_OK) return NULL;
    bound_lambda *l = ARENA_NEW(b->arena, bound_lambda);
    const type **types = ARENA_ARRAY(b->arena, const type *, count);
    memcpy(types, params, sizeof *types * count);
    *l = (bound_lambda){ { count, types, body->type, NULL }, body, frame.first_param };
    job->bound[arg] = l;
    return body->type;
}

/* ---- calls ---- */

static void hold_call(binder *b, call *c)
{
    if (b->held == NULL || c->fn->release == NULL) return;
    held_call *held = ARENA_NEW(b->arena, held_call);
    *held = (held_call){ *b->held, c };
    *b->held = held;
}

/* Literals as constants, prepare(), folding. */
static weir_rc finish_call(binder *b, call *c, bound **args, sql_pos at, bound **out)
{
    bound *node = bound_new(b->arena, BOUND_CALL, c->result, at, c->arg_count);
    const value **constants = ARENA_ZEROS(b->arena, const value *, c->arg_count);

    for (uint32_t i = 0; i < c->arg_count; i++) {
        node->args[i] = args[i];
        if (args[i] != NULL && args[i]->kind == BOUND_LITERAL) constants[i] = &args[i]->literal;
    }
    c->constants = constants;
    node->call = c;
    if (c->fn->prepare != NULL) {
        b->err->at = at;
        weir_rc rc = c->fn->prepare(c, b->arena, b->err);
        if (rc != WEIR_OK) {
            if (b->err->at.line == 0) b->err->at = at;
            return rc;
        }
    }
    hold_call(b, c);
    *out = fold(b, node);
    return WEIR_OK;
}

/* A literal where another type is wanted: at once, so that a text that does not fit is an error of the statement. */
static weir_rc cast_argument(binder *b, bound *arg, const type *to, bound **out)
{
    bool done = false;

    if (type_equal(arg->type, to)) {
        *out = arg;
        return WEIR_OK;
    }
    WEIR_TRY(bind_literal_as(b, arg, to, &done, out));
    if (done) return WEIR_OK;
    return bind_cast(b, arg, to, false, arg->at, out);
}

weir_rc bind_call(binder *b, slice name, bound **args, expr *const *lambdas, uint32_t count, sql_pos at, bound **out)
{
    const type **types = ARENA_ARRAY(b->arena, const type *, count);
    lambda_job job = { b, lambdas, ARENA_ZEROS(b->arena, bound_lambda *, count) };
    const lambda_binder asks = { bind_lambda, &job };
    resolved r = { 0 };

    for (uint32_t i = 0; i < count; i++) types[i] = args[i] == NULL ? &type_lambda : args[i]->type;
    WEIR_TRY(function_resolve(name, types, count, &asks, at, b->arena, &r, b->err));
    call *c = ARENA_NEW(b->arena, call);
    bound **cast = ARENA_ZEROS(b->arena, bound *, count);
    const type **arg_types = ARENA_ARRAY(b->arena, const type *, count);
    const lambda **bound_lambdas = NULL;
    for (uint32_t i = 0; i < count; i++) {
        arg_types[i] = args[i] == NULL ? &type_lambda : r.params[i];
        if (args[i] != NULL) {
            WEIR_TRY(cast_argument(b, args[i], r.params[i], &cast[i]));
            continue;
        }
        if (bound_lambdas == NULL) bound_lambdas = ARENA_ZEROS(b->arena, const lambda *, count);
        if (job.bound[i] == NULL) {
            return weir_fail(b->err, WEIR_SEMANTIC, lambdas[i]->at, "%s takes no lambda here", r.fn->name);
        }
        bound_lambdas[i] = &job.bound[i]->base;
    }
    *c = (call){ .fn = r.fn, .result = r.result, .arg_types = arg_types, .arg_count = count, .lambdas = bound_lambdas };
    return finish_call(b, c, cast, at, out);
}

/* ---- times as text ---- */

static bool read_digits(slice *in, uint32_t count, int64_t *number)
{
    if (in->len < count) return false;
    *number = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (in->data[i] < '0' || in->data[i] > '9') return false;
        *number = *number * 10 + (in->data[i] - '0');
    }
    in->data += count;
    in->len -= count;
    return true;
}

static bool skip(slice *in, char c)
{
    if (in->len == 0 || in->data[0] != c) return false;
    in->data++;
    in->len--;
    return true;
}

static bool read_zone(slice *in, int64_t *offset_ms)
{
    int64_t sign = 1, hours, minutes = 0;

    *offset_ms = 0;
    if (in->len == 0 || skip(in, 'Z')) return in->len == 0;
    if (skip(in, '-')) sign = -1;
    else if (!skip(in, '+')) return false;
    if (!read_digits(in, 2, &hours)) return false;
    (void)skip(in, ':');
    if (in->len > 0 && !read_digits(in, 2, &minutes)) return false;
    *offset_ms = sign * (hours * 60 + minutes) * 60000;
    return in->len == 0;
}

bool parse_partial_timestamp(slice in, int64_t *ms)
{
    int64_t year, month = 1, day = 1, hour = 0, minute = 0, second = 0, fraction = 0, offset_ms;

    if (!read_digits(&in, 4, &year)) return false;
    if (skip(&in, '-')) {
        if (!read_digits(&in, 2, &month)) return false;
        if (skip(&in, '-') && !read_digits(&in, 2, &day)) return false;
    }
    if (month < 1 || month > 12 || day < 1 || day > 31) return false;
    if ((skip(&in, 'T') || skip(&in, ' ')) && in.len > 0) {
        if (!read_digits(&in, 2, &hour)) return false;
        if (skip(&in, ':') && !read_digits(&in, 2, &minute)) return false;
        if (skip(&in, ':') && !read_digits(&in, 2, &second)) return false;
        if (skip(&in, '.')) {
            for (int64_t unit = 100; in.len > 0 && in.data[0] >= '0' && in.data[0] <= '9'; unit /= 10) {
                fraction += (in.data[0] - '0') * unit;
                in.data++;
                in.len--;
            }
        }
    }
    if (hour > 24 || minute > 59 || second > 59 || !read_zone(&in, &offset_ms)) return false;
    *ms = days_of((civil_date){ (int32_t)year, (uint32_t)month, (uint32_t)day }) * MS_PER_DAY + hour * MS_PER_HOUR +
          minute * MS_PER_MINUTE + second * MS_PER_SECOND + fraction - offset_ms;
    return true;
}
