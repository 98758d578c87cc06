/* functions/cast.c - CAST and the conversions the language applies by itself. A cast of one value is one small function in
 * the matrix below; between numbers there are kernels too, since arithmetic on mixed types runs through them. Nested types
 * cast element by element. */
#include "core/number.h"
#include "core/utf8.h"
#include "functions/calendar.h"
#include "functions/family.h"
#include "functions/map_order.h"

#include <math.h>
#include <stdio.h>

/* What a cast may need besides its value; a failure is a sentence in `reason`. */
typedef struct caster {
    arena *arena;
    const char *reason;
} caster;

static bool cast_one(caster *k, const type *from, const type *to, const value *v, value *out);

static bool fail(caster *k, const char *reason)
{
    k->reason = reason;
    return false;
}

#define NO_FIT "the number does not fit the type it is cast to"
#define NO_NUMBER "the text is not a number"

/* ---- numbers ---- */

/* Java's narrowing of a double: cut towards zero, stopped at the type's ends, 0 for what is no number. */
static int32_t double_to_i32(double v)
{
    if (v != v) return 0;
    return v >= 2147483647.0 ? INT32_MAX : v <= -2147483648.0 ? INT32_MIN : (int32_t)v;
}

static int64_t double_to_i64(double v)
{
    if (v != v) return 0;
    return v >= 9223372036854775808.0 ? INT64_MAX : v <= -9223372036854775808.0 ? INT64_MIN : (int64_t)v;
}

static bool integer_to_decimal(int64_t v, const type *to, decimal *out)
{
    return decimal_rescale(v, 0, to->scale, out) && decimal_fits(*out, to->precision);
}

static bool decimal_to_decimal(decimal v, const type *from, const type *to, decimal *out)
{
    return decimal_rescale(v, from->scale, to->scale, out) && decimal_fits(*out, to->precision);
}

/* As many digits of the double's exact value as the type has, then its places. */
static bool double_to_decimal(double v, const type *to, decimal *out)
{
    char digits[64];

    if (!isfinite(v)) return false;
    int count = to->precision < DECIMAL_DIGITS_MAX ? to->precision : DECIMAL_DIGITS_MAX;
    int length = snprintf(digits, sizeof digits, "%.*e", count - 1, v);
    return parse_decimal((slice){ digits, (size_t)length }, to->precision, to->scale, ROUND_HALF_UP, out) == NUMBER_FITS;
}

static decimal whole_part(decimal v, const type *from)
{
    return v / POWER_OF_TEN[from->scale];
}

/* ---- text to numbers ---- */

static slice trimmed(slice s)
{
    while (s.len > 0 && (unsigned char)s.data[0] <= ' ') s.data++, s.len--;
    while (s.len > 0 && (unsigned char)s.data[s.len - 1] <= ' ') s.len--;
    return s;
}

static const char *why_not(number_fit fit)
{
    return fit == NUMBER_MALFORMED ? NO_NUMBER : NO_FIT;
}

/* ---- values to text, as Java prints them ---- */

static void print_value(arena *a, text *out, const type *t, const value *v)
{
    char buffer[64];

    if (v->is_null) {
        text_add_c(out, "null");
        return;
    }
    switch (t->kind) {
    case TYPE_BOOLEAN: text_add_c(out, v->boolean ? "true" : "false"); break;
    case TYPE_INTEGER: print_i64(out, v->i32); break;
    case TYPE_BIGINT: print_i64(out, v->i64); break;
    case TYPE_DOUBLE: print_double(out, v->f64); break;
    case TYPE_DECIMAL: print_decimal(out, v->dec, t->scale); break;
    case TYPE_STRING:
    case TYPE_INTERVAL_UNIT: text_add(out, v->str); break;
    case TYPE_DATE: text_add(out, (slice){ buffer, print_date(buffer, v->i32) }); break;
    case TYPE_TIME: text_add(out, (slice){ buffer, print_time(buffer, v->i32) }); break;
    case TYPE_TIMESTAMP: text_add(out, (slice){ buffer, print_timestamp(buffer, v->i64) }); break;
    case TYPE_BYTES:
        text_reserve(out, base64_encoded_bytes(v->str.len));
        out->len = (size_t)(base64_encode(out->data + out->len, v->str) - out->data);
        out->data[out->len] = '\0';
        break;
    case TYPE_ARRAY:
        text_add_char(out, '[');
        for (uint32_t i = 0; i < v->list.count; i++) {
            if (i > 0) text_add_c(out, ", ");
            print_value(a, out, t->element, &v->list.items[i]);
        }
        text_add_char(out, ']');
        break;
    case TYPE_MAP: {
        value_map map = map_ordered(a, t, &v->map);
        text_add_char(out, '{');
        for (uint32_t i = 0; i < map.count; i++) {
            if (i > 0) text_add_c(out, ", ");
            print_value(a, out, t->key, &map.keys[i]);
            text_add_char(out, '=');
            print_value(a, out, t->element, &map.values[i]);
        }
        text_add_char(out, '}');
        break;
    }
    case TYPE_STRUCT: { /* fields that are null are left out */
        bool is_first = true;
        text_add_c(out, "Struct{");
        for (uint32_t i = 0; i < t->field_count; i++) {
            if (v->list.items[i].is_null) continue;
            if (!is_first) text_add_char(out, ',');
            is_first = false;
            text_add(out, t->fields[i].name);
            text_add_char(out, '=');
            print_value(a, out, t->fields[i].type, &v->list.items[i]);
        }
        text_add_char(out, '}');
        break;
    }
    case TYPE_NULL:
    case TYPE_LAMBDA: break;
    }
}

static bool to_text(caster *k, const type *from, const type *to, const value *v, value *out)
{
    text printed = TEXT_EMPTY;

    (void)to;
    print_value(k->arena, &printed, from, v);
    out->str = text_keep(&printed, k->arena);
    return true;
}

/* ---- the matrix ---- */

#define CAST(name) static bool name(caster *k, const type *from, const type *to, const value *v, value *out)
#define UNUSED (void)k, (void)from, (void)to

CAST(keep) { UNUSED; *out = *v; return true; }
CAST(i32_i64) { UNUSED; out->i64 = v->i32; return true; }
CAST(i32_f64) { UNUSED; out->f64 = v->i32; return true; }
CAST(i64_i32) { UNUSED; out->i32 = (int32_t)v->i64; return true; }
CAST(i64_f64) { UNUSED; out->f64 = (double)v->i64; return true; }
CAST(f64_i32) { UNUSED; out->i32 = double_to_i32(v->f64); return true; }
CAST(f64_i64) { UNUSED; out->i64 = double_to_i64(v->f64); return true; }
CAST(dec_i32) { UNUSED; out->i32 = (int32_t)whole_part(v->dec, from); return true; }
CAST(dec_i64) { UNUSED; out->i64 = (int64_t)whole_part(v->dec, from); return true; }
CAST(dec_f64) { UNUSED; out->f64 = decimal_to_double(v->dec, from->scale); return true; }
CAST(i32_dec) { UNUSED; return integer_to_decimal(v->i32, to, &out->dec) || fail(k, NO_FIT); }
CAST(i64_dec) { UNUSED; return integer_to_decimal(v->i64, to, &out->dec) || fail(k, NO_FIT); }
CAST(dec_dec) { UNUSED; return decimal_to_decimal(v->dec, from, to, &out->dec) || fail(k, NO_FIT); }
CAST(f64_dec) { UNUSED; return double_to_decimal(v->f64, to, &out->dec) || fail(k, NO_FIT); }

CAST(str_bool)
{
    slice s = trimmed(v->str);

    UNUSED;
    out->boolean = slice_equal_nocase(s, SLICE("true")) || slice_equal_nocase(s, SLICE("t")) ||
                   slice_equal_nocase(s, SLICE("yes")) || slice_equal_nocase(s, SLICE("y"));
    return true;
}

CAST(str_i32)
{
    number_fit fit = parse_i32(trimmed(v->str), &out->i32);

    UNUSED;
    return fit == NUMBER_FITS || fail(k, why_not(fit));
}

CAST(str_i64)
{
    number_fit fit = parse_i64(trimmed(v->str), &out->i64);

    UNUSED;
    return fit == NUMBER_FITS || fail(k, why_not(fit));
}

CAST(str_f64) { UNUSED; return parse_double(v->str, &out->f64) || fail(k, NO_NUMBER); }

CAST(str_dec)
{
    number_fit fit = parse_decimal(trimmed(v->str), to->precision, to->scale, ROUND_HALF_UP, &out->dec);

    UNUSED;
    return fit == NUMBER_FITS || fail(k, why_not(fit));
}

CAST(str_date) { UNUSED; return parse_date(trimmed(v->str), &out->i32) || fail(k, "the text is not a date yyyy-MM-dd"); }
CAST(str_time) { UNUSED; return parse_time(trimmed(v->str), &out->i32) || fail(k, "the text is not a time HH:mm:ss"); }
CAST(str_timestamp)
{
    UNUSED;
    return parse_timestamp(trimmed(v->str), &out->i64) || fail(k, "the text is not a timestamp yyyy-MM-ddTHH:mm:ss.SSS");
}
CAST(timestamp_date) { UNUSED; out->i32 = (int32_t)floor_divide(v->i64, MS_PER_DAY); return true; }
CAST(timestamp_time) { UNUSED; out->i32 = (int32_t)floor_rest(v->i64, MS_PER_DAY); return true; }
CAST(date_timestamp) { UNUSED; out->i64 = (int64_t)v->i32 * MS_PER_DAY; return true; }

/* Within a nested value the reason says where. */
#define FAIL_AT(...) fail(k, arena_printf(k->arena, __VA_ARGS__, k->reason).data)

CAST(array_array)
{
    uint32_t count = v->list.count;
    value *items = ARENA_ARRAY(k->arena, value, count);

    for (uint32_t i = 0; i < count; i++) {
        if (!cast_one(k, from->element, to->element, &v->list.items[i], &items[i])) return FAIL_AT("element %u: %s", i + 1);
    }
    out->list = (value_list){ items, count };
    return true;
}

/* Keys that become equal keep the later value. */
CAST(map_map)
{
    value_map map = { ARENA_ARRAY(k->arena, value, v->map.count), ARENA_ARRAY(k->arena, value, v->map.count), 0 };
    bool keys_change = !type_equal(from->key, to->key);

    for (uint32_t i = 0; i < v->map.count; i++) {
        uint32_t at = keys_change ? 0 : map.count;
        value key;
        if (!cast_one(k, from->key, to->key, &v->map.keys[i], &key)) return FAIL_AT("key %u: %s", i + 1);
        while (at < map.count && !value_equal(to->key, &map.keys[at], &key)) at++;
        map.keys[at] = key;
        if (!cast_one(k, from->element, to->element, &v->map.values[i], &map.values[at])) return FAIL_AT("value %u: %s", i + 1);
        if (at == map.count) map.count++;
    }
    out->map = map;
    return true;
}

static const type_field *find_field(const type *t, slice name, uint32_t *at)
{
    for (*at = 0; *at < t->field_count; (*at)++) {
        if (slice_equal(t->fields[*at].name, name)) return &t->fields[*at];
    }
    return NULL;
}

/* Fields go by name; one that the source has not is null. */
CAST(struct_struct)
{
    value *items = ARENA_ARRAY(k->arena, value, to->field_count);

    for (uint32_t i = 0; i < to->field_count; i++) {
        uint32_t at;
        const type_field *field = find_field(from, to->fields[i].name, &at);
        items[i] = NULL_VALUE;
        if (field != NULL && !cast_one(k, field->type, to->fields[i].type, &v->list.items[at], &items[i])) {
            return FAIL_AT("field %.*s: %s", SLICE_ARG(field->name));
        }
    }
    out->list = (value_list){ items, to->field_count };
    return true;
}

typedef bool (*cast_body)(caster *k, const type *from, const type *to, const value *v, value *out);

static const cast_body CASTS[TYPE_STRUCT + 1][TYPE_STRUCT + 1] = {
    [TYPE_BOOLEAN] = { [TYPE_BOOLEAN] = keep, [TYPE_STRING] = to_text },
    [TYPE_INTEGER] = { [TYPE_INTEGER] = keep, [TYPE_BIGINT] = i32_i64, [TYPE_DECIMAL] = i32_dec, [TYPE_DOUBLE] = i32_f64,
                       [TYPE_STRING] = to_text },
    [TYPE_BIGINT] = { [TYPE_INTEGER] = i64_i32, [TYPE_BIGINT] = keep, [TYPE_DECIMAL] = i64_dec, [TYPE_DOUBLE] = i64_f64,
                      [TYPE_STRING] = to_text },
    [TYPE_DECIMAL] = { [TYPE_INTEGER] = dec_i32, [TYPE_BIGINT] = dec_i64, [TYPE_DECIMAL] = dec_dec,
                       [TYPE_DOUBLE] = dec_f64, [TYPE_STRING] = to_text },
    [TYPE_DOUBLE] = { [TYPE_INTEGER] = f64_i32, [TYPE_BIGINT] = f64_i64, [TYPE_DECIMAL] = f64_dec, [TYPE_DOUBLE] = keep,
                      [TYPE_STRING] = to_text },
    [TYPE_STRING] = { [TYPE_BOOLEAN] = str_bool, [TYPE_INTEGER] = str_i32, [TYPE_BIGINT] = str_i64,
                      [TYPE_DECIMAL] = str_dec, [TYPE_DOUBLE] = str_f64, [TYPE_STRING] = keep, [TYPE_DATE] = str_date,
                      [TYPE_TIME] = str_time, [TYPE_TIMESTAMP] = str_timestamp },
    [TYPE_BYTES] = { [TYPE_BYTES] = keep },
    [TYPE_DATE] = { [TYPE_STRING] = to_text, [TYPE_DATE] = keep, [TYPE_TIMESTAMP] = date_timestamp },
    [TYPE_TIME] = { [TYPE_STRING] = to_text, [TYPE_TIME] = keep },
    [TYPE_TIMESTAMP] = { [TYPE_STRING] = to_text, [TYPE_DATE] = timestamp_date, [TYPE_TIME] = timestamp_time,
                         [TYPE_TIMESTAMP] = keep },
    [TYPE_ARRAY] = { [TYPE_STRING] = to_text, [TYPE_ARRAY] = array_array },
    [TYPE_MAP] = { [TYPE_STRING] = to_text, [TYPE_MAP] = map_map },
    [TYPE_STRUCT] = { [TYPE_STRING] = to_text, [TYPE_STRUCT] = struct_struct },
};

static bool cast_one(caster *k, const type *from, const type *to, const value *v, value *out)
{
    if (v->is_null || from->kind == TYPE_NULL) {
        *out = NULL_VALUE;
        return true;
    }
    if (type_equal(from, to)) {
        *out = *v;
        return true;
    }
    *out = (value){ 0 };
    return CASTS[from->kind][to->kind](k, from, to, v, out);
}

/* ---- which casts there are ---- */

static bool can_cast(const type *from, const type *to)
{
    if (from->kind == TYPE_NULL) return to->kind <= TYPE_STRUCT;
    if (from->kind > TYPE_STRUCT || to->kind > TYPE_STRUCT || CASTS[from->kind][to->kind] == NULL) return false;
    if (from->kind != to->kind) return true;
    switch (from->kind) {
    case TYPE_ARRAY: return can_cast(from->element, to->element);
    case TYPE_MAP: return can_cast(from->key, to->key) && can_cast(from->element, to->element);
    case TYPE_STRUCT:
        for (uint32_t i = 0; i < to->field_count; i++) {
            uint32_t at;
            const type_field *field = find_field(from, to->fields[i].name, &at);
            if (field != NULL && !can_cast(field->type, to->fields[i].type)) return false;
        }
        return true;
    default: return true;
    }
}

/* Numbers widen; NULL becomes anything; text becomes a date or time where one is wanted; nested types likewise. */
static bool can_cast_implicitly(const type *from, const type *to)
{
    if (from->kind == TYPE_NULL || type_equal(from, to)) return true;
    if (type_is_number(from) && type_is_number(to)) return from->kind <= to->kind;
    if (from->kind == TYPE_STRING) return to->kind == TYPE_DATE || to->kind == TYPE_TIME || to->kind == TYPE_TIMESTAMP;
    if (from->kind != to->kind) return false;
    switch (from->kind) {
    case TYPE_ARRAY: return can_cast_implicitly(from->element, to->element);
    case TYPE_MAP: return can_cast_implicitly(from->key, to->key) && can_cast_implicitly(from->element, to->element);
    case TYPE_STRUCT:
        for (uint32_t i = 0; i < from->field_count; i++) {
            uint32_t at;
            const type_field *field = find_field(to, from->fields[i].name, &at);
            if (field == NULL || !can_cast_implicitly(from->fields[i].type, field->type)) return false;
        }
        return true;
    default: return false;
    }
}

static const type *common_decimal(arena *a, const type *x, const type *y)
{
    int whole_x = x->kind == TYPE_INTEGER ? 10 : x->kind == TYPE_BIGINT ? 19 : x->precision - x->scale;
    int whole_y = y->kind == TYPE_INTEGER ? 10 : y->kind == TYPE_BIGINT ? 19 : y->precision - y->scale;
    int scale_x = x->kind == TYPE_DECIMAL ? x->scale : 0, scale_y = y->kind == TYPE_DECIMAL ? y->scale : 0;
    int whole = whole_x > whole_y ? whole_x : whole_y, scale = scale_x > scale_y ? scale_x : scale_y;

    return type_decimal(a, (uint32_t)(whole + scale < DECIMAL_PRECISION_MAX ? whole + scale : DECIMAL_PRECISION_MAX),
                        (uint32_t)scale);
}

static const type *common_struct(arena *a, const type *x, const type *y)
{
    type_field *fields = ARENA_ARRAY(a, type_field, x->field_count + y->field_count);
    uint32_t count = 0, at;

    for (uint32_t i = 0; i < x->field_count; i++) {
        const type_field *other = find_field(y, x->fields[i].name, &at);
        const type *t = other == NULL ? x->fields[i].type : common_type(a, x->fields[i].type, other->type);
        if (t == NULL) return NULL;
        fields[count++] = (type_field){ x->fields[i].name, t };
    }
    for (uint32_t i = 0; i < y->field_count; i++) {
        if (find_field(x, y->fields[i].name, &at) == NULL) fields[count++] = y->fields[i];
    }
    return type_struct(a, fields, count);
}

const type *common_type(arena *a, const type *x, const type *y)
{
    if (x->kind == TYPE_NULL || type_equal(x, y)) return y;
    if (y->kind == TYPE_NULL) return x;
    if (type_is_number(x) && type_is_number(y)) {
        const type *wider = x->kind >= y->kind ? x : y;
        return wider->kind == TYPE_DECIMAL ? common_decimal(a, x, y) : wider;
    }
    if (x->kind != y->kind) return NULL;
    switch (x->kind) {
    case TYPE_ARRAY: {
        const type *element = common_type(a, x->element, y->element);
        return element == NULL ? NULL : type_array(a, element);
    }
    case TYPE_MAP: {
        const type *key = common_type(a, x->key, y->key), *element = common_type(a, x->element, y->element);
        return key == NULL || element == NULL ? NULL : type_map(a, key, element);
    }
    case TYPE_STRUCT: return common_struct(a, x, y);
    default: return NULL;
    }
}

bool cast_value(arena *a, const type *from, const type *to, const value *v, value *out, const char **reason)
{
    caster k = { a, NULL };

    if (!can_cast(from, to)) {
        slice x = type_text(a, from), y = type_text(a, to);
        *reason = arena_printf(a, "there is no cast of %.*s to %.*s", SLICE_ARG(x), SLICE_ARG(y)).data;
        return false;
    }
    bool done = cast_one(&k, from, to, v, out);
    if (!done) *reason = k.reason;
    return done;
}

/* ---- over columns ---- */

#define VALUE_BYTES_SHOWN 40

/* Scalars are shown as they are cast to text. */
static void fail_row(const call *c, eval_context *x, const value *v, uint32_t row, const char *reason)
{
    const type *from = c->arg_types[0];
    slice what = type_text(x->arena, from), to = type_text(x->arena, c->result);
    caster k = { x->arena, NULL };
    value as_text;

    if (!type_is_nested(from) && from->kind != TYPE_BYTES && cast_one(&k, from, &type_string, v, &as_text)) {
        slice shown = utf8_beginning(as_text.str, VALUE_BYTES_SHOWN);
        what = arena_printf(x->arena, "'%.*s%s' (%.*s)", SLICE_ARG(shown), shown.len < as_text.str.len ? "..." : "", SLICE_ARG(what));
    }
    eval_fail(x, row, "CAST of %.*s to %.*s: %s", SLICE_ARG(what), SLICE_ARG(to), reason);
}

static void cast_rows(const call *c, eval_context *x, const column *args, row_set rows, column *out)
{
    caster k = { x->arena, NULL };

    EACH_ROW(r, rows)
    {
        value v = column_get(&args[0], r), result;
        if (cast_one(&k, args[0].type, c->result, &v, &result)) {
            column_set(out, r, &result);
        } else {
            out->null[r] = 1;
            fail_row(c, x, &v, r, k.reason);
        }
    }
}

static void cast_same(const call *c, eval_context *x, const column *args, row_set rows, column *out)
{
    (void)c, (void)x;
    EACH_ROW(r, rows) column_copy_row(out, r, &args[0], r);
}

static void cast_null(const call *c, eval_context *x, const column *args, row_set rows, column *out)
{
    (void)c, (void)x, (void)args;
    EACH_ROW(r, rows) out->null[r] = 1;
}

#define NUMBER_KERNEL(name, to_field, expression)                                                        \
    static void name(const call *c, eval_context *x, const column *args, row_set rows, column *out)      \
    {                                                                                                    \
        (void)c, (void)x;                                                                                \
        if (rows.index == NULL) {                                                                        \
            for (uint32_t r = 0; r < rows.count; r++) out->to_field[r] = (expression);                   \
            return;                                                                                      \
        }                                                                                                \
        for (uint32_t i = 0; i < rows.count; i++) {                                                      \
            uint32_t r = rows.index[i];                                                                  \
            out->to_field[r] = (expression);                                                             \
        }                                                                                                \
    }
NUMBER_KERNEL(column_i32_i64, i64, args[0].i32[r])
NUMBER_KERNEL(column_i32_f64, f64, args[0].i32[r])
NUMBER_KERNEL(column_i64_i32, i32, (int32_t)args[0].i64[r])
NUMBER_KERNEL(column_i64_f64, f64, (double)args[0].i64[r])
NUMBER_KERNEL(column_f64_i32, i32, double_to_i32(args[0].f64[r]))
NUMBER_KERNEL(column_f64_i64, i64, double_to_i64(args[0].f64[r]))
NUMBER_KERNEL(column_dec_f64, f64, decimal_to_double(args[0].dec[r], args[0].type->scale))
NUMBER_KERNEL(column_timestamp_date, i32, (int32_t)floor_divide(args[0].i64[r], MS_PER_DAY))
NUMBER_KERNEL(column_date_timestamp, i64, (int64_t)args[0].i32[r] * MS_PER_DAY)

/* Numbers to text without the detour over a growing buffer. */
#define TEXT_KERNEL(name, most_bytes, write)                                                             \
    static void name(const call *c, eval_context *x, const column *args, row_set rows, column *out)      \
    {                                                                                                    \
        (void)c;                                                                                         \
        EACH_ROW(r, rows)                                                                                \
        {                                                                                                \
            char *at = arena_alloc(x->arena, most_bytes);                                                \
            out->str[r] = (slice){ at, (size_t)((write) - at) };                                         \
        }                                                                                                \
    }
TEXT_KERNEL(column_i32_str, I64_TEXT_MAX, write_i64(at, args[0].i32[r]))
TEXT_KERNEL(column_i64_str, I64_TEXT_MAX, write_i64(at, args[0].i64[r]))
TEXT_KERNEL(column_f64_str, DOUBLE_TEXT_MAX, write_double(at, args[0].f64[r]))
TEXT_KERNEL(column_dec_str, DECIMAL_TEXT_MAX, write_decimal(at, args[0].dec[r], args[0].type->scale))
TEXT_KERNEL(column_timestamp_str, CALENDAR_TEXT_BYTES, at + print_timestamp(at, args[0].i64[r]))

#define CAST_ROW(body) { .name = "CAST", .params = "ANY", .nulls = NULL_IN_OUT, .kernel = body, .family = "operator", \
                         .description = "", .is_hidden = true }
static const function GENERAL = CAST_ROW(cast_rows), SAME = CAST_ROW(cast_same), FROM_NULL = { .name = "CAST", .params = "ANY", .nulls = NULL_SEEN, .kernel = cast_null, .family = "operator", .description = "", .is_hidden = true };
static const function KERNELS[TYPE_STRUCT + 1][TYPE_STRUCT + 1] = {
    [TYPE_INTEGER] = { [TYPE_BIGINT] = CAST_ROW(column_i32_i64), [TYPE_DOUBLE] = CAST_ROW(column_i32_f64),
                       [TYPE_STRING] = CAST_ROW(column_i32_str) },
    [TYPE_BIGINT] = { [TYPE_INTEGER] = CAST_ROW(column_i64_i32), [TYPE_DOUBLE] = CAST_ROW(column_i64_f64),
                      [TYPE_STRING] = CAST_ROW(column_i64_str) },
    [TYPE_DOUBLE] = { [TYPE_INTEGER] = CAST_ROW(column_f64_i32), [TYPE_BIGINT] = CAST_ROW(column_f64_i64),
                      [TYPE_STRING] = CAST_ROW(column_f64_str) },
    [TYPE_DECIMAL] = { [TYPE_DOUBLE] = CAST_ROW(column_dec_f64), [TYPE_STRING] = CAST_ROW(column_dec_str) },
    [TYPE_TIMESTAMP] = { [TYPE_STRING] = CAST_ROW(column_timestamp_str), [TYPE_DATE] = CAST_ROW(column_timestamp_date) },
    [TYPE_DATE] = { [TYPE_TIMESTAMP] = CAST_ROW(column_date_timestamp) },
};

const function *cast_function(const type *from, const type *to, bool is_implicit)
{
    if (is_implicit ? !can_cast_implicitly(from, to) : !can_cast(from, to)) return NULL;
    if (from->kind == TYPE_NULL) return &FROM_NULL;
    if (type_equal(from, to)) return &SAME;
    const function *fast = &KERNELS[from->kind][to->kind];
    return fast->kernel != NULL ? fast : &GENERAL;
}
