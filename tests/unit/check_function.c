/* The function table: overloads, kernels over parts of a batch, casts, aggregates through their whole life. */
#include "core/bytes.h"
#include "functions/function.h"
#include "tests/unit/run_tests.h"

#include <check.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static arena *a;
static uint32_t failures;

static void count_failure(void *self, uint32_t row, const char *reason)
{
    (void)self, (void)row;
    ck_assert_ptr_nonnull(reason);
    failures++;
}

static eval_context context(void)
{
    static const weir_clock clock = { .is_virtual = true, .now_ms = 0 };

    return (eval_context){ .arena = a, .clock = &clock, .report = count_failure };
}

static void open_arena(void)
{
    a = arena_new(0);
    failures = 0;
}

static void close_arena(void)
{
    arena_free(a);
}

/* ---- columns from literals ---- */

#define NULL_INT INT64_MIN

static column ints(const type *t, uint32_t count, ...)
{
    column c = column_new(a, t, count);
    va_list list;

    va_start(list, count);
    for (uint32_t i = 0; i < count; i++) {
        long long n = va_arg(list, long long);
        c.null[i] = n == NULL_INT;
        switch (t->kind) {
        case TYPE_BOOLEAN: c.boolean[i] = n == 1; break;
        case TYPE_INTEGER:
        case TYPE_DATE:
        case TYPE_TIME: c.i32[i] = (int32_t)n; break;
        case TYPE_DECIMAL: c.dec[i] = n; break;
        default: c.i64[i] = n;
        }
    }
    va_end(list);
    return c;
}

#define N(n) ((long long)(n))

static column doubles(uint32_t count, ...)
{
    column c = column_new(a, &type_double, count);
    va_list list;

    va_start(list, count);
    for (uint32_t i = 0; i < count; i++) c.f64[i] = va_arg(list, double);
    va_end(list);
    return c;
}

static column texts(uint32_t count, ...)
{
    column c = column_new(a, &type_string, count);
    va_list list;

    va_start(list, count);
    for (uint32_t i = 0; i < count; i++) {
        const char *s = va_arg(list, const char *);
        c.null[i] = s == NULL;
        if (s != NULL) c.str[i] = slice_of(s);
    }
    va_end(list);
    return c;
}

/* ---- calling ---- */

#define ALL(count_) ((row_set){ NULL, count_ })

/* Resolves, casts the arguments, prepares with the constants given, runs. */
static column run_with(const char *name, const column *args, uint32_t count, const value *const *constants, row_set rows,
                       uint32_t capacity)
{
    const type *types[16];
    column casted[16];
    resolved r;
    weir_error err;
    eval_context x = context();
    column out;

    for (uint32_t i = 0; i < count; i++) types[i] = args[i].type;
    weir_rc rc = function_resolve(slice_of(name), types, count, NULL, NOWHERE, a, &r, &err);
    ck_assert_msg(rc == WEIR_OK, "%s", err.message);
    for (uint32_t i = 0; i < count; i++) {
        casted[i] = args[i];
        if (type_equal(args[i].type, r.params[i])) continue;
        const function *cast = cast_function(args[i].type, r.params[i], true);
        ck_assert_ptr_nonnull(cast);
        call c = { .fn = cast, .result = r.params[i], .arg_types = &types[i], .arg_count = 1 };
        call_run(&c, &x, &args[i], rows, capacity, &casted[i]);
    }
    call c = { .fn = r.fn, .result = r.result, .arg_types = r.params, .arg_count = count, .constants = constants };
    if (r.fn->prepare != NULL) {
        rc = r.fn->prepare(&c, a, &err);
        ck_assert_msg(rc == WEIR_OK, "%s", err.message);
    }
    call_run(&c, &x, casted, rows, capacity, &out);
    if (r.fn->release != NULL) r.fn->release(&c);
    return out;
}

static column run(const char *name, const column *args, uint32_t count, uint32_t rows)
{
    return run_with(name, args, count, NULL, ALL(rows), rows);
}

static column run1(const char *name, column x, uint32_t rows)
{
    return run(name, &x, 1, rows);
}

static column run2(const char *name, column x, column y, uint32_t rows)
{
    column args[] = { x, y };

    return run(name, args, 2, rows);
}

static column run3(const char *name, column x, column y, column z, uint32_t rows)
{
    column args[] = { x, y, z };

    return run(name, args, 3, rows);
}

static column cast_to(column from, const type *to, uint32_t rows)
{
    const function *fn = cast_function(from.type, to, false);
    eval_context x = context();
    column out;

    ck_assert_ptr_nonnull(fn);
    call c = { .fn = fn, .result = to, .arg_types = &from.type, .arg_count = 1 };
    call_run(&c, &x, &from, ALL(rows), rows, &out);
    return out;
}

#define ck_text(c, row, expected)                                                                              \
    do {                                                                                                       \
        ck_assert_msg(!(c).null[row], "row %d is null, not %s", row, expected);                                \
        ck_assert_msg(slice_is((c).str[row], expected), "'%.*s' != '%s'", SLICE_ARG((c).str[row]), expected);  \
    } while (0)

/* ---- resolution ---- */

static const struct {
    const char *name;
    const char *args;   /* separated by spaces */
    const char *result; /* NULL: no overload */
    const char *params;
} RESOLUTIONS[] = {
    { "+", "INTEGER INTEGER", "INTEGER", "INTEGER INTEGER" },
    { "+", "INTEGER BIGINT", "BIGINT", "BIGINT BIGINT" },
    { "+", "BIGINT DOUBLE", "DOUBLE", "DOUBLE DOUBLE" },
    { "+", "D(4,2) INTEGER", "DECIMAL(13, 2)", "DECIMAL(4, 2) DECIMAL(10, 0)" },
    { "+", "D(4,2) D(5,3)", "DECIMAL(6, 3)", "DECIMAL(4, 2) DECIMAL(5, 3)" },
    { "*", "D(4,2) D(5,3)", "DECIMAL(10, 5)", "DECIMAL(4, 2) DECIMAL(5, 3)" },
    { "/", "D(4,2) D(4,2)", "DECIMAL(11, 7)", "DECIMAL(4, 2) DECIMAL(4, 2)" },
    { "%", "D(4,2) D(5,3)", "DECIMAL(5, 3)", "DECIMAL(4, 2) DECIMAL(5, 3)" },
    { "*", "D(38,10) D(38,10)", "DECIMAL(38, 6)", "DECIMAL(38, 10) DECIMAL(38, 10)" },
    { "+", "D(4,2) DOUBLE", "DOUBLE", "DOUBLE DOUBLE" },
    { "+", "STRING STRING", "STRING", "STRING STRING" },
    { "+", "STRING INTEGER", NULL, NULL },
    { "+", "BOOLEAN DOUBLE", NULL, NULL },
    { "=", "INTEGER STRING", NULL, NULL },
    { "=", "DATE STRING", "BOOLEAN", "DATE DATE" },
    { "=", "STRING TIMESTAMP", "BOOLEAN", "TIMESTAMP TIMESTAMP" },
    { "=", "NULL INTEGER", "BOOLEAN", "INTEGER INTEGER" },
    { "<", "BOOLEAN BOOLEAN", NULL, NULL },
    { "=", "BOOLEAN BOOLEAN", "BOOLEAN", "BOOLEAN BOOLEAN" },
    { "SUM", "INTEGER", "INTEGER", "INTEGER" },
    { "SUM", "D(4,1)", "DECIMAL(4, 1)", "DECIMAL(4, 1)" },
    { "AVG", "BIGINT", "DOUBLE", "BIGINT" },
    { "COUNT", "", "BIGINT", "" },
    { "COUNT", "STRING", "BIGINT", "STRING" },
    { "MAX", "STRING", "STRING", "STRING" },
    { "COALESCE", "NULL INTEGER BIGINT", "BIGINT", "BIGINT BIGINT BIGINT" },
    { "CONCAT", "STRING STRING STRING", "STRING", "STRING STRING STRING" },
    { "ARRAY", "INTEGER DOUBLE", "ARRAY<DOUBLE>", "DOUBLE DOUBLE" },
    { "MAP", "STRING INTEGER STRING BIGINT", "MAP<STRING, BIGINT>", "STRING BIGINT STRING BIGINT" },
    { "MAP", "STRING INTEGER STRING", NULL, NULL },
    { "UCASE", "INTEGER", NULL, NULL },
    { "sqrt", "INTEGER", "DOUBLE", "DOUBLE" },
    { "GREATEST", "INTEGER BIGINT", NULL, NULL }, /* ambiguous, as in ksqlDB */
    { "GREATEST", "NULL NULL", NULL, NULL },
    { "GREATEST", "INTEGER DOUBLE", "DOUBLE", "DOUBLE DOUBLE" },
    { "LEAST", "DATE STRING", "DATE", "DATE DATE" },
    { "LEAST", "D(9,2) D(7,6)", "DECIMAL(13, 6)", "DECIMAL(13, 6) DECIMAL(13, 6)" },
    { "ROUND", "D(33,16)", "DECIMAL(17, 0)", "DECIMAL(33, 16)" },
};

static const type *type_named(const char *word)
{
    static const type *const all[] = { &type_null,   &type_boolean, &type_integer, &type_bigint,    &type_double,
                                       &type_string, &type_bytes,   &type_date,    &type_timestamp, &type_time };
    unsigned precision, scale;

    if (sscanf(word, "D(%u,%u)", &precision, &scale) == 2) return type_decimal(a, precision, scale);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (slice_is(type_text(a, all[i]), word)) return all[i];
    }
    ck_abort_msg("no type %s", word);
}

START_TEST(overload)
{
    char words[128], *word, *rest;
    const type *types[8];
    uint32_t count = 0;
    resolved r;
    weir_error err;
    text params = TEXT_EMPTY;

    strcpy(words, RESOLUTIONS[_i].args);
    for (word = strtok_r(words, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        types[count++] = type_named(word);
    }
    weir_rc rc = function_resolve(slice_of(RESOLUTIONS[_i].name), types, count, NULL, (sql_pos){ 1, 8 }, a, &r, &err);
    if (RESOLUTIONS[_i].result == NULL) {
        ck_assert_int_eq(rc, WEIR_SEMANTIC);
        ck_assert_uint_eq(err.at.column, 8);
        return;
    }
    ck_assert_msg(rc == WEIR_OK, "%s", err.message);
    ck_assert_str_eq(arena_c_string(a, type_text(a, r.result)), RESOLUTIONS[_i].result);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) text_add_char(&params, ' ');
        type_print(&params, r.params[i]);
    }
    ck_assert_str_eq(params.data == NULL ? "" : params.data, RESOLUTIONS[_i].params);
    text_free(&params);
}
END_TEST

START_TEST(messages_name_the_way_out)
{
    const type *types[] = { &type_integer };
    resolved r;
    weir_error err;

    ck_assert_int_eq(function_resolve(SLICE("UCAES"), types, 1, NULL, NOWHERE, a, &r, &err), WEIR_SEMANTIC);
    ck_assert_ptr_nonnull(strstr(err.message, "did you mean UCASE?"));
    ck_assert_int_eq(function_resolve(SLICE("ucase"), types, 1, NULL, NOWHERE, a, &r, &err), WEIR_SEMANTIC);
    ck_assert_str_eq(err.message, "UCASE does not accept (INTEGER); there is UCASE(STRING)");
    ck_assert(!function_exists(SLICE("+"), NULL));
    function_kind kind;
    ck_assert(function_exists(SLICE("sum"), &kind) && kind == FUNCTION_AGGREGATE);
}
END_TEST

START_TEST(table_is_whole)
{
    uint32_t count;
    const function *const *rows = function_list(&count);

    for (uint32_t i = 0; i < count; i++) {
        ck_assert_msg(rows[i]->result != NULL || rows[i]->resolve != NULL, "%s has no result", rows[i]->name);
        ck_assert_ptr_nonnull(rows[i]->description);
        if (rows[i]->kind == FUNCTION_AGGREGATE) ck_assert_ptr_nonnull(rows[i]->agg);
        else ck_assert_msg((rows[i]->kernel != NULL) != (rows[i]->row != NULL), "%s has no body", rows[i]->name);
        if (i > 0) ck_assert_int_le(strcmp(rows[i - 1]->name, rows[i]->name), 0);
    }
}
END_TEST

/* ---- operators ---- */

START_TEST(integers_wrap)
{
    column c = run2("+", ints(&type_integer, 2, N(INT32_MAX), N(1)), ints(&type_integer, 2, N(1), N(2)), 2);
    ck_assert_int_eq(c.i32[0], INT32_MIN);
    ck_assert_int_eq(c.i32[1], 3);
    c = run2("*", ints(&type_bigint, 1, N(INT64_MAX)), ints(&type_bigint, 1, N(2)), 1);
    ck_assert_int_eq(c.i64[0], -2);
    c = run2("/", ints(&type_integer, 3, N(INT32_MIN), N(7), N(1)), ints(&type_integer, 3, N(-1), N(-2), N(0)), 3);
    ck_assert_int_eq(c.i32[0], INT32_MIN);
    ck_assert_int_eq(c.i32[1], -3);
    ck_assert_int_eq(c.null[2], 1);
    ck_assert_uint_eq(failures, 1);
    c = run2("%", ints(&type_integer, 2, N(INT32_MIN), N(-7)), ints(&type_integer, 2, N(-1), N(3)), 2);
    ck_assert_int_eq(c.i32[0], 0);
    ck_assert_int_eq(c.i32[1], -1);
    c = run2("/", doubles(1, 1.0), doubles(1, 0.0), 1);
    ck_assert(isinf(c.f64[0]));
}
END_TEST

START_TEST(only_the_rows_asked_for)
{
    static const uint32_t some[] = { 4, 1, 2 };
    column args[] = { ints(&type_integer, 5, N(1), N(2), N(NULL_INT), N(4), N(5)),
                      ints(&type_integer, 5, N(0), N(10), N(10), N(0), N(10)) };
    column c = run_with("/", args, 2, NULL, (row_set){ some, 3 }, 5);

    ck_assert_int_eq(c.i32[1], 0);
    ck_assert_int_eq(c.i32[4], 0);
    ck_assert_int_eq(c.null[2], 1);
    ck_assert_int_eq(c.null[1] | c.null[4], 0);
    ck_assert_uint_eq(failures, 0);
}
END_TEST

START_TEST(decimals)
{
    const type *d42 = type_decimal(a, 4, 2), *d53 = type_decimal(a, 5, 3), *d38 = type_decimal(a, 38, 0);
    column c = run2("+", ints(d42, 1, N(1001)), ints(d53, 1, N(-5123)), 1);
    ck_assert(c.dec[0] == 4887 && c.type->scale == 3);
    c = run2("*", ints(d42, 1, N(1010)), ints(d42, 1, N(-200)), 1);
    ck_assert(c.dec[0] == -202000 && c.type->scale == 4);
    c = run2("/", ints(d42, 3, N(1010), N(100), N(1)), ints(d42, 3, N(200), N(300), N(0)), 3);
    ck_assert(c.dec[0] == 50500000 && c.type->scale == 7);
    ck_assert(c.dec[1] == 3333333);
    ck_assert_int_eq(c.null[2], 1);
    column big = ints(d38, 1, N(0));
    big.dec[0] = (decimal)INT64_MAX * INT64_MAX; /* 8.5e37 */
    failures = 0;
    c = run2("+", big, big, 1);
    ck_assert_int_eq(c.null[0], 1);
    ck_assert_uint_eq(failures, 1);
    c = run2("-", big, big, 1);
    ck_assert(c.dec[0] == 0);
    c = run2("/", big, big, 1);
    ck_assert(c.null[0] == 0);
    c = run2("<", ints(d42, 2, N(1001), N(1001)), ints(d53, 2, N(10010), N(10012)), 2);
    ck_assert_int_eq(c.boolean[0], 0);
    ck_assert_int_eq(c.boolean[1], 1);
    c = run1("NEG", ints(d42, 1, N(1)), 1);
    ck_assert(c.dec[0] == -1);
}
END_TEST

START_TEST(comparing_with_null_is_false)
{
    column x = ints(&type_integer, 4, N(1), N(2), N(NULL_INT), N(NULL_INT));
    column y = ints(&type_integer, 4, N(1), N(3), N(1), N(NULL_INT));
    static const struct {
        const char *name;
        uint8_t expected[4];
    } cases[] = {
        { "=", { 1, 0, 0, 0 } },  { "<>", { 0, 1, 0, 0 } }, { "<", { 0, 1, 0, 0 } },  { "<=", { 1, 1, 0, 0 } },
        { ">", { 0, 0, 0, 0 } },  { ">=", { 1, 0, 0, 0 } }, { "IS DISTINCT FROM", { 0, 1, 1, 0 } },
        { "IS NOT DISTINCT FROM", { 1, 0, 0, 1 } },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        column c = run2(cases[i].name, x, y, 4);
        column t = run2(cases[i].name, cast_to(x, &type_string, 4), cast_to(y, &type_string, 4), 4);
        column d = run2(cases[i].name, cast_to(x, &type_double, 4), y, 4);
        for (uint32_t r = 0; r < 4; r++) {
            ck_assert_msg(c.boolean[r] == cases[i].expected[r] && !c.null[r], "%s, row %u", cases[i].name, r);
            ck_assert_msg(t.boolean[r] == cases[i].expected[r] && !t.null[r], "%s of text, row %u", cases[i].name, r);
            ck_assert_msg(d.boolean[r] == cases[i].expected[r] && !d.null[r], "%s of doubles, row %u", cases[i].name, r);
        }
    }
    ck_assert_int_eq(run1("IS NULL", x, 4).boolean[2], 1);
    ck_assert_int_eq(run1("IS NOT NULL", x, 4).boolean[2], 0);
    ck_assert_int_eq(run1("NOT", ints(&type_boolean, 1, N(1)), 1).boolean[0], 0);
    ck_assert_int_eq(run2("<", ints(&type_date, 1, N(1)), ints(&type_timestamp, 1, N(86400001)), 1).boolean[0], 1);
    ck_assert_int_eq(run2("=", ints(&type_date, 1, N(10)), texts(1, "1970-01-11"), 1).boolean[0], 1);
}
END_TEST

static const struct {
    const char *subject, *pattern, *escape;
    int matches;
} LIKES[] = {
    { "abc", "abc", NULL, 1 },  { "abc", "ab", NULL, 0 },      { "abc", "ab%", NULL, 1 },     { "abc", "%bc", NULL, 1 },
    { "abc", "%b%", NULL, 1 },  { "abc", "%", NULL, 1 },       { "", "%", NULL, 1 },          { "", "", NULL, 1 },
    { "abc", "a_c", NULL, 1 },  { "a\xC3\xA9" "c", "a_c", NULL, 1 }, { "abc", "_", NULL, 0 },       { "abc", "a%c", NULL, 1 },
    { "abcbc", "a%bc", NULL, 1 }, { "abcbd", "a%bc", NULL, 0 }, { "a%c", "a!%c", "!", 1 },    { "abc", "a!%c", "!", 0 },
    { "a.c", "a.c", NULL, 1 },  { "abc", "a.c", NULL, 0 },     { "abc", "%%c", NULL, 1 },     { "aXbXc", "a%X%c", NULL, 1 },
    { "100%", "100!%", "!", 1 }, { "x!", "x!!", "!", 1 },      { "aaab", "%a_b", NULL, 1 },
};

START_TEST(like)
{
    value pattern = { .str = slice_of(LIKES[_i].pattern) }, escape = NULL_VALUE;
    column args[] = { texts(2, LIKES[_i].subject, NULL), texts(2, LIKES[_i].pattern, LIKES[_i].pattern),
                      texts(2, LIKES[_i].escape, LIKES[_i].escape) };
    if (LIKES[_i].escape != NULL) escape = (value){ .str = slice_of(LIKES[_i].escape) };
    const value *constants[] = { NULL, &pattern, &escape };
    column varying = run_with("LIKE", args, 3, NULL, ALL(2), 2);
    column constant = run_with("LIKE", args, 3, constants, ALL(2), 2);

    ck_assert_int_eq(varying.boolean[0], LIKES[_i].matches);
    ck_assert_int_eq(constant.boolean[0], LIKES[_i].matches);
    ck_assert_int_eq(constant.null[1], 1);
}
END_TEST

START_TEST(subscripts)
{
    column elements[] = { ints(&type_integer, 2, N(7), N(8)), ints(&type_integer, 2, N(NULL_INT), N(9)) };
    column list = run("ARRAY", elements, 2, 2);
    column c = run2("[]", list, ints(&type_integer, 2, N(1), N(-1)), 2);
    ck_assert_int_eq(c.i32[0], 7);
    ck_assert_int_eq(c.i32[1], 9);
    c = run2("[]", list, ints(&type_integer, 2, N(2), N(3)), 2);
    ck_assert_int_eq(c.null[0] & c.null[1], 1);
    c = run2("[]", list, ints(&type_integer, 2, N(0), N(-3)), 2);
    ck_assert_int_eq(c.null[0] & c.null[1], 1);

    column pairs[] = { texts(1, "a"), ints(&type_integer, 1, N(1)), texts(1, "b"), ints(&type_bigint, 1, N(2)) };
    column map = run("MAP", pairs, 4, 1);
    ck_assert_int_eq(run2("[]", map, texts(1, "b"), 1).i64[0], 2);
    ck_assert_int_eq(run2("[]", map, texts(1, "c"), 1).null[0], 1);
    ck_text(cast_to(map, &type_string, 1), 0, "{a=1, b=2}");
    ck_text(cast_to(list, &type_string, 2), 0, "[7, null]");
    ck_assert_int_eq(run2("=", list, list, 2).boolean[0], 1);
}
END_TEST

/* ---- casts ---- */

START_TEST(casts_between_numbers)
{
    column c = cast_to(ints(&type_bigint, 2, N(2147483648), N(NULL_INT)), &type_integer, 2);
    ck_assert_int_eq(c.i32[0], INT32_MIN);
    ck_assert_int_eq(c.null[1], 1);
    c = cast_to(doubles(4, 1.9999, -1.9, NAN, 1e30), &type_integer, 4);
    ck_assert_int_eq(c.i32[0], 1);
    ck_assert_int_eq(c.i32[1], -1);
    ck_assert_int_eq(c.i32[2], 0);
    ck_assert_int_eq(c.i32[3], INT32_MAX);
    const type *d21 = type_decimal(a, 2, 1);
    c = cast_to(ints(&type_integer, 3, N(1), N(-1), N(10)), d21, 3);
    ck_assert(c.dec[0] == 10 && c.dec[1] == -10);
    ck_assert_int_eq(c.null[2], 1);
    ck_assert_uint_eq(failures, 1);
    c = cast_to(doubles(5, 0.1, 1.1, 0.99, 0.01, 99.0), d21, 5);
    ck_assert(c.dec[0] == 1 && c.dec[1] == 11 && c.dec[2] == 10 && c.dec[3] == 0);
    ck_assert_int_eq(c.null[4], 1);
    const type *d42 = type_decimal(a, 4, 2);
    column d = ints(d42, 2, N(1001), N(-995));
    ck_assert_int_eq(cast_to(d, &type_integer, 2).i32[1], -9);
    ck_assert_double_eq(cast_to(d, &type_double, 2).f64[0], 10.01);
    ck_assert(cast_to(d, type_decimal(a, 4, 1), 2).dec[1] == -100);
    ck_text(cast_to(d, &type_string, 2), 0, "10.01");
}
END_TEST

START_TEST(casts_of_text)
{
    column c = cast_to(texts(4, " 12 ", "x", "2147483648", "-7"), &type_integer, 4);
    ck_assert_int_eq(c.i32[0], 12);
    ck_assert_int_eq(c.null[1] & c.null[2], 1);
    ck_assert_int_eq(c.i32[3], -7);
    c = cast_to(texts(2, "1e3", "ten"), &type_double, 2);
    ck_assert_double_eq(c.f64[0], 1000.0);
    ck_assert_int_eq(c.null[1], 1);
    c = cast_to(texts(3, "TRUE", "false", "x"), &type_boolean, 3);
    ck_assert_int_eq(c.boolean[0], 1);
    ck_assert_int_eq(c.boolean[1] | c.boolean[2] | c.null[2], 0);
    c = cast_to(texts(5, "foo", "00:00:00.010", "00:00:01", "00:01", "24:00"), &type_time, 5);
    ck_assert_int_eq(c.null[0] & c.null[4], 1);
    ck_assert_int_eq(c.i32[1], 10);
    ck_assert_int_eq(c.i32[2], 1000);
    ck_assert_int_eq(c.i32[3], 60000);
    c = cast_to(texts(4, "1970-01-11", "2020-02-29", "2021-02-29", "2020"), &type_date, 4);
    ck_assert_int_eq(c.i32[0], 10);
    ck_assert_int_eq(c.i32[1], 18321);
    ck_assert_int_eq(c.null[2], 1);
    ck_assert_int_eq(c.i32[3], 18262);
    c = cast_to(texts(4, "2020-05-26T23:59:58.120", "2020-05-26T23:59:58+0200", "2020-05-26T23:59:58Z", "2020-05-26"),
                &type_timestamp, 4);
    ck_assert_int_eq(c.i64[0], 1590537598120);
    ck_assert_int_eq(c.i64[1], 1590537598000 - 7200000);
    ck_assert_int_eq(c.i64[2], 1590537598000);
    ck_assert_int_eq(c.i64[3], 1590451200000);
}
END_TEST

START_TEST(casts_of_time)
{
    column t = ints(&type_timestamp, 3, N(10), N(-2000), N(86400100));
    ck_text(cast_to(t, &type_string, 3), 0, "1970-01-01T00:00:00.010");
    ck_text(cast_to(t, &type_string, 3), 1, "1969-12-31T23:59:58.000");
    ck_assert_int_eq(cast_to(t, &type_date, 3).i32[1], -1);
    ck_assert_int_eq(cast_to(t, &type_time, 3).i32[1], 86398000);
    ck_text(cast_to(ints(&type_date, 1, N(-1)), &type_string, 1), 0, "1969-12-31");
    ck_text(cast_to(ints(&type_time, 2, N(5000), N(60000)), &type_string, 2), 0, "00:00:05");
    ck_text(cast_to(ints(&type_time, 2, N(5000), N(60000)), &type_string, 2), 1, "00:01");
}
END_TEST

START_TEST(casts_of_nested_values)
{
    type_field fields[] = { { SLICE("F0"), &type_integer }, { SLICE("f1"), &type_integer } };
    type_field others[] = { { SLICE("f1"), &type_string }, { SLICE("G"), &type_double } };
    const type *from = type_struct(a, fields, 2), *to = type_struct(a, others, 2);
    value items[] = { { .i32 = 1 }, { .i32 = 3 } };
    value v = { .list = { items, 2 } }, out;
    const char *reason;

    ck_assert(cast_value(a, from, &type_string, &v, &out, &reason));
    ck_assert(slice_is(out.str, "Struct{F0=1,f1=3}"));
    ck_assert(cast_value(a, from, to, &v, &out, &reason));
    ck_assert(slice_is(out.list.items[0].str, "3"));
    ck_assert(out.list.items[1].is_null);
    ck_assert(!cast_value(a, &type_string, type_array(a, &type_integer), &v, &out, &reason));
    ck_assert_str_eq(reason, "there is no cast of STRING to ARRAY<INTEGER>");
    ck_assert_ptr_null(cast_function(&type_integer, &type_date, false));
    ck_assert_ptr_null(cast_function(&type_double, &type_bigint, true));
    ck_assert_ptr_nonnull(cast_function(type_array(a, &type_integer), type_array(a, &type_double), true));
    ck_assert_ptr_nonnull(cast_function(&type_null, from, true));
}
END_TEST

/* ---- aggregates ---- */

/* One accumulator a group; rows go to the groups named, results are read back as they stand. */
typedef struct aggregation {
    call c;
    agg_context x;
    eval_context eval;
    char *groups[8];
    char *memory[8];
} aggregation;

static uint32_t acc_bytes(const call *c)
{
    return c->fn->agg->bytes_of != NULL ? c->fn->agg->bytes_of(c) : c->fn->agg->bytes;
}

static void aggregation_open(aggregation *g, const char *name, const type *const *types, uint32_t count,
                             const value *const *constants)
{
    resolved r;
    weir_error err;
    weir_rc rc = function_resolve(slice_of(name), types, count, NULL, NOWHERE, a, &r, &err);

    ck_assert_msg(rc == WEIR_OK, "%s", err.message);
    *g = (aggregation){ .c = { .fn = r.fn, .result = r.result, .arg_types = r.params, .arg_count = count,
                               .constants = constants } };
    g->eval = context();
    g->x = (agg_context){ .eval = &g->eval, .slab = slab_new(NULL) };
    if (r.fn->prepare != NULL) ck_assert_int_eq(r.fn->prepare(&g->c, a, &err), WEIR_OK);
    for (int i = 0; i < 8; i++) {
        g->memory[i] = arena_zero(a, acc_bytes(&g->c) + 16);
        if (r.fn->agg->init != NULL) r.fn->agg->init(&g->c, g->memory[i] + 16);
    }
}

static void aggregation_close(aggregation *g)
{
    for (int i = 0; i < 8; i++) {
        if (g->c.fn->agg->drop != NULL) g->c.fn->agg->drop(&g->c, g->x.slab, g->memory[i] + 16);
    }
    ck_assert_uint_eq(slab_bytes_lent(g->x.slab), 0);
    slab_drop(g->x.slab);
}

static void to_groups(aggregation *g, const int *groups, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) g->groups[i] = g->memory[groups[i]];
}

static column results(aggregation *g, uint32_t count)
{
    column out = column_new(a, g->c.result, count);

    g->c.fn->agg->result(&g->c, &g->x, g->groups, 16, ALL(count), &out);
    return out;
}

/* To bytes and back into another accumulator. */
static void through_disk(aggregation *g, int from, int to)
{
    const aggregate *agg = g->c.fn->agg;
    text bytes = TEXT_EMPTY;
    char *into = g->memory[to] + 16;

    if (agg->encode == NULL) {
        memcpy(into, g->memory[from] + 16, acc_bytes(&g->c));
        return;
    }
    agg->encode(&g->c, g->memory[from] + 16, &bytes);
    if (agg->drop != NULL) agg->drop(&g->c, g->x.slab, into);
    reader_bytes in = read_from(text_slice(&bytes));
    ck_assert(agg->decode(&g->c, g->x.slab, &in, into));
    ck_assert(in.at == in.end);
    for (size_t cut = 0; cut + 1 < bytes.len; cut++) { /* no prefix may crash */
        char *scrap = arena_zero(a, acc_bytes(&g->c));
        in = read_from((slice){ bytes.data, cut });
        agg->decode(&g->c, g->x.slab, &in, scrap);
        if (agg->drop != NULL) agg->drop(&g->c, g->x.slab, scrap);
    }
    text_free(&bytes);
}

START_TEST(count_and_sum)
{
    static const int groups[] = { 0, 1, 0, 0, 1 };
    static const uint32_t some[] = { 0, 2, 3 };
    const type *types[] = { &type_integer };
    column in = ints(&type_integer, 5, N(INT32_MAX), N(5), N(NULL_INT), N(1), N(7));
    aggregation g;

    aggregation_open(&g, "SUM", types, 1, NULL);
    to_groups(&g, groups, 5);
    column running = column_new(a, &type_integer, 5);
    g.c.fn->agg->step(&g.c, &g.x, g.groups, 16, &in, ALL(5), &running);
    ck_assert_int_eq(running.i32[0], INT32_MAX);
    ck_assert_int_eq(running.i32[1], 5);
    ck_assert_int_eq(running.i32[2], INT32_MAX);
    ck_assert_int_eq(running.i32[3], INT32_MIN);
    ck_assert_int_eq(running.i32[4], 12);
    g.c.fn->agg->undo(&g.c, &g.x, g.groups, 16, &in, (row_set){ some, 3 }, NULL);
    ck_assert_int_eq(results(&g, 2).i32[0], 0);
    ck_assert_int_eq(results(&g, 2).i32[1], 12);
    g.c.fn->agg->merge(&g.c, &g.x, g.memory[0] + 16, g.memory[1] + 16);
    through_disk(&g, 0, 1);
    ck_assert_int_eq(results(&g, 2).i32[1], 12);
    aggregation_close(&g);

    aggregation_open(&g, "COUNT", types, 1, NULL);
    to_groups(&g, groups, 5);
    g.c.fn->agg->step(&g.c, &g.x, g.groups, 16, &in, ALL(5), NULL);
    ck_assert_int_eq(results(&g, 2).i64[0], 2);
    aggregation_close(&g);
    aggregation_open(&g, "COUNT", types, 0, NULL);
    to_groups(&g, groups, 5);
    running = column_new(a, &type_bigint, 5);
    g.c.fn->agg->step(&g.c, &g.x, g.groups, 16, NULL, ALL(5), &running);
    ck_assert_int_eq(running.i64[3], 3);
    g.c.fn->agg->undo(&g.c, &g.x, g.groups, 16, NULL, ALL(1), NULL);
    ck_assert_int_eq(results(&g, 2).i64[0], 2);
    aggregation_close(&g);
}
END_TEST

START_TEST(decimal_sum_stops)
{
    static const int groups[] = { 0, 0, 0 };
    const type *types[] = { type_decimal(a, 4, 1) };
    column in = ints(types[0], 3, N(5009), N(3008), N(4008));
    aggregation g;

    aggregation_open(&g, "SUM", types, 1, NULL);
    to_groups(&g, groups, 3);
    g.c.fn->agg->step(&g.c, &g.x, g.groups, 16, &in, ALL(2), NULL);
    ck_assert(!g.x.stop);
    ck_assert(results(&g, 1).dec[0] == 8017);
    g.c.fn->agg->step(&g.c, &g.x, g.groups, 16, &in, ALL(3), NULL);
    ck_assert(g.x.stop);
    ck_assert_ptr_nonnull(strstr(g.x.reason, "DECIMAL(4, 1)"));
    aggregation_close(&g);
}
END_TEST

START_TEST(average)
{
    static const int groups[] = { 0, 1, 0, 0 };
    const type *types[] = { &type_integer };
    column in = ints(&type_integer, 4, N(1), N(NULL_INT), N(2), N(2));
    aggregation g;

    aggregation_open(&g, "AVG", types, 1, NULL);
    to_groups(&g, groups, 4);
    column running = column_new(a, &type_double, 4);
    g.c.fn->agg->step(&g.c, &g.x, g.groups, 16, &in, ALL(4), &running);
    ck_assert_double_eq(running.f64[0], 1.0);
    ck_assert_double_eq(running.f64[1], 0.0);
    ck_assert_double_eq(running.f64[2], 1.5);
    ck_assert_double_eq(running.f64[3], 1.6666666666666667);
    g.c.fn->agg->undo(&g.c, &g.x, g.groups, 16, &in, ALL(1), NULL);
    ck_assert_double_eq(results(&g, 1).f64[0], 2.0);
    aggregation_close(&g);
}
END_TEST

START_TEST(least_and_greatest)
{
    static const int groups[] = { 0, 0, 0, 0 };
    const type *types[] = { &type_string };
    column in = texts(4, NULL, "B", "A much longer text than sixteen bytes", "");
    aggregation g;

    aggregation_open(&g, "MIN", types, 1, NULL);
    ck_assert_ptr_null(g.c.fn->agg->undo);
    to_groups(&g, groups, 4);
    column running = column_new(a, &type_string, 4);
    g.c.fn->agg->step(&g.c, &g.x, g.groups, 16, &in, ALL(4), &running);
    ck_assert_int_eq(running.null[0], 1);
    ck_text(running, 1, "B");
    ck_text(running, 2, "A much longer text than sixteen bytes");
    ck_text(running, 3, "");
    aggregation_close(&g);

    aggregation_open(&g, "MAX", types, 1, NULL);
    to_groups(&g, groups, 4);
    g.c.fn->agg->step(&g.c, &g.x, g.groups, 16, &in, ALL(4), NULL);
    ck_text(results(&g, 1), 0, "B");
    through_disk(&g, 0, 1);
    through_disk(&g, 2, 3);
    g.c.fn->agg->merge(&g.c, &g.x, g.memory[3] + 16, g.memory[1] + 16);
    static const int third[] = { 3 };
    to_groups(&g, third, 1);
    ck_text(results(&g, 1), 0, "B");
    aggregation_close(&g);

    types[0] = &type_double;
    column numbers = doubles(4, -1.5, NAN, 3.0, -7.0);
    aggregation_open(&g, "MIN", types, 1, NULL);
    to_groups(&g, groups, 4);
    g.c.fn->agg->step(&g.c, &g.x, g.groups, 16, &numbers, ALL(4), NULL);
    ck_assert_double_eq(results(&g, 1).f64[0], -7.0);
    aggregation_close(&g);
    aggregation_open(&g, "MAX", types, 1, NULL);
    to_groups(&g, groups, 4);
    g.c.fn->agg->step(&g.c, &g.x, g.groups, 16, &numbers, ALL(4), NULL);
    ck_assert(isnan(results(&g, 1).f64[0]));
    aggregation_close(&g);
}
END_TEST

/* State says itself how a value is held; where that does not go with the type, it is damaged. */
START_TEST(damaged_offset_state)
{
    static const char fixed[18] = { 2, 1 }, in_slab[] = { 3, 1, 3, 'a', 'b' };
    const type *of[] = { &type_string, &type_bytes, type_array(a, &type_integer), &type_bigint, &type_boolean };

    for (int i = 0; i < 5; i++) {
        aggregation g;
        aggregation_open(&g, i % 2 ? "LATEST_BY_OFFSET" : "EARLIEST_BY_OFFSET", &of[i], 1, NULL);
        char *acc = g.memory[0] + 16;
        reader_bytes in = read_from(i < 3 ? (slice){ fixed, sizeof fixed } : (slice){ in_slab, sizeof in_slab });
        ck_assert(!g.c.fn->agg->decode(&g.c, g.x.slab, &in, acc));
        in = read_from(i < 3 ? (slice){ in_slab, sizeof in_slab } : (slice){ fixed, sizeof fixed });
        ck_assert(g.c.fn->agg->decode(&g.c, g.x.slab, &in, acc));
        aggregation_close(&g);
    }
}
END_TEST

/* Steps all rows into group 0 and gives the last running value as text; then the same through bytes, through a merge of
 * two halves, and, if it can, with the first row undone and stepped again. */
static const char *aggregate_text(const char *name, const column *args, uint32_t count, const value *const *constants,
                                  uint32_t rows)
{
    static const int zeros[8] = { 0 }, ones[8] = { 1, 1, 1, 1, 1, 1, 1, 1 }, third[] = { 2 };
    static const uint32_t tail_rows[] = { 2, 3, 4, 5, 6, 7 };
    const type *types[4] = { NULL };
    aggregation g;

    for (uint32_t i = 0; i < count; i++) types[i] = args[i].type;
    aggregation_open(&g, name, types, count, constants);
    column casted[4];
    for (uint32_t i = 0; i < count; i++) {
        casted[i] = type_equal(types[i], g.c.arg_types[i]) ? args[i] : cast_to(args[i], g.c.arg_types[i], rows);
    }
    const aggregate *agg = g.c.fn->agg;
    column running = column_new(a, g.c.result, rows);
    to_groups(&g, zeros, rows);
    agg->step(&g.c, &g.x, g.groups, 16, casted, ALL(rows), &running);
    column last = column_new(a, g.c.result, 1);
    column_copy_row(&last, 0, &running, rows - 1);
    const char *expected = arena_c_string(a, cast_to(last, &type_string, 1).null[0] ? SLICE("null")
                                                                                  : cast_to(last, &type_string, 1).str[0]);
    through_disk(&g, 0, 2);
    to_groups(&g, third, 1);
    column again = cast_to(results(&g, 1), &type_string, 1);
    ck_assert_str_eq(again.null[0] ? "null" : arena_c_string(a, again.str[0]), expected);

    if (agg->undo != NULL) {
        to_groups(&g, zeros, rows);
        agg->undo(&g.c, &g.x, g.groups, 16, casted, ALL(rows), NULL);
        agg->step(&g.c, &g.x, g.groups, 16, casted, ALL(rows), NULL);
        again = cast_to(results(&g, 1), &type_string, 1);
        ck_assert_str_eq(again.null[0] ? "null" : arena_c_string(a, again.str[0]), expected);
    }
    aggregation_close(&g);

    if (agg->merge != NULL && rows > 2) { /* the later half first: order must come from the rows' numbers */
        aggregation_open(&g, name, types, count, constants);
        to_groups(&g, zeros, 2);
        agg->step(&g.c, &g.x, g.groups, 16, casted, ALL(2), NULL);
        to_groups(&g, ones, rows);
        agg->step(&g.c, &g.x, g.groups, 16, casted, (row_set){ tail_rows, rows - 2 }, NULL);
        agg->merge(&g.c, &g.x, g.memory[0] + 16, g.memory[1] + 16);
        to_groups(&g, zeros, 1);
        again = cast_to(results(&g, 1), &type_string, 1);
        ck_assert_str_eq(again.null[0] ? "null" : arena_c_string(a, again.str[0]), expected);
        aggregation_close(&g);
    }
    return expected;
}

static const char *aggregate_text1(const char *name, column arg, uint32_t rows)
{
    return aggregate_text(name, &arg, 1, NULL, rows);
}

static const char *aggregate_text2(const char *name, column arg, column constant, uint32_t rows)
{
    column args[] = { arg, constant };
    value v = column_get(&constant, 0);
    const value *constants[] = { NULL, &v };

    return aggregate_text(name, args, 2, constants, rows);
}

START_TEST(by_offset)
{
    column n = ints(&type_integer, 4, N(12), N(NULL_INT), N(13), N(NULL_INT));
    column s = texts(4, NULL, "first", "a text longer than an accumulator", NULL);
    column no = ints(&type_boolean, 1, N(0)), two = ints(&type_integer, 1, N(2));

    ck_assert_str_eq(aggregate_text1("LATEST_BY_OFFSET", n, 4), "13");
    ck_assert_str_eq(aggregate_text1("EARLIEST_BY_OFFSET", n, 4), "12");
    ck_assert_str_eq(aggregate_text2("LATEST_BY_OFFSET", n, no, 4), "null");
    ck_assert_str_eq(aggregate_text1("LATEST_BY_OFFSET", s, 4), "a text longer than an accumulator");
    ck_assert_str_eq(aggregate_text1("EARLIEST_BY_OFFSET", s, 4), "first");
    ck_assert_str_eq(aggregate_text2("EARLIEST_BY_OFFSET", s, no, 4), "null");
    ck_assert_str_eq(aggregate_text2("LATEST_BY_OFFSET", n, two, 4), "[12, 13]");
    ck_assert_str_eq(aggregate_text2("EARLIEST_BY_OFFSET", s, two, 4), "[first, a text longer than an accumulator]");
    column args[] = { n, two, no };
    value k = { .i32 = 2 }, keep = { .boolean = false };
    const value *constants[] = { NULL, &k, &keep };
    ck_assert_str_eq(aggregate_text("LATEST_BY_OFFSET", args, 3, constants, 4), "[13, null]");
    ck_assert_str_eq(aggregate_text("EARLIEST_BY_OFFSET", args, 3, constants, 4), "[12, null]");
}
END_TEST

START_TEST(collections)
{
    column s = texts(5, "b", "a", "b", NULL, "c");
    column n = ints(&type_integer, 5, N(0), N(100), N(99), N(7), N(100));
    column lists[] = { s, s };

    ck_assert_str_eq(aggregate_text1("COLLECT_LIST", s, 5), "[b, a, b, null, c]");
    ck_assert_str_eq(aggregate_text1("COLLECT_SET", s, 5), "[b, a, null, c]");
    ck_assert_str_eq(aggregate_text1("COLLECT_LIST", run("ARRAY", lists, 2, 5), 3), "[[b, b], [a, a], [b, b]]");
    ck_assert_str_eq(aggregate_text1("HISTOGRAM", s, 5), "{a=1, b=2, c=1}");
    ck_assert_str_eq(aggregate_text1("COUNT_DISTINCT", s, 5), "3");
    ck_assert_str_eq(aggregate_text1("ATTR", s, 1), "b");
    ck_assert_str_eq(aggregate_text1("ATTR", s, 2), "null");
    ck_assert_str_eq(aggregate_text2("TOPK", n, ints(&type_integer, 1, N(3)), 5), "[100, 100, 99]");
    ck_assert_str_eq(aggregate_text2("TOPKDISTINCT", n, ints(&type_integer, 1, N(3)), 5), "[100, 99, 7]");
    ck_assert_str_eq(aggregate_text2("TOPK", s, ints(&type_integer, 1, N(3)), 5), "[c, b, b]");
    column args[] = { n, s, ints(&type_integer, 1, N(3)) };
    value k = { .i32 = 3 };
    const value *constants[] = { NULL, NULL, &k };
    ck_assert_str_eq(aggregate_text("TOPK", args, 3, constants, 5),
                     "[Struct{sort_col=100,col0=a}, Struct{sort_col=100,col0=c}, Struct{sort_col=99,col0=b}]");
    ck_assert_str_eq(aggregate_text1("SUM_LIST", run("ARRAY", (column[]){ n, n }, 2, 5), 5), "612");
}
END_TEST

START_TEST(statistics)
{
    column v = doubles(3, 1.0, 3.0, 5.0);
    ck_assert_str_eq(aggregate_text1("STDDEV_SAMP", v, 3), "4.0");
    ck_assert_str_eq(aggregate_text1("STDDEV_SAMP", ints(&type_bigint, 2, N(500), N(100)), 2), "80000.0");
    ck_assert_str_eq(aggregate_text1("STDDEV_SAMPLE", ints(&type_bigint, 2, N(500), N(100)), 2), "282.842712474619");
    column xy[] = { ints(&type_integer, 5, N(1), N(-1), N(-4), N(3), N(NULL_INT)),
                    ints(&type_integer, 5, N(8), N(-2), N(-1), N(NULL_INT), N(-6)) };
    ck_assert_str_eq(aggregate_text("CORRELATION", xy, 2, NULL, 5), "0.7455284088780169");
}
END_TEST

START_TEST(many_distinct)
{
    static const int zeros[8] = { 0 };
    const type *types[] = { &type_bigint };
    aggregation g;

    aggregation_open(&g, "COUNT_DISTINCT", types, 1, NULL);
    to_groups(&g, zeros, 8);
    for (int64_t i = 0; i < 100000; i += 4) {
        column in = ints(&type_bigint, 8, N(i), N(i + 1), N(i + 2), N(i + 3), N(i), N(i + 1), N(i + 2), N(i + 3));
        g.c.fn->agg->step(&g.c, &g.x, g.groups, 16, &in, ALL(8), NULL);
        if (i == 1000) ck_assert_int_eq(results(&g, 1).i64[0], 1004);
    }
    ck_assert_double_eq_tol((double)results(&g, 1).i64[0], 100000.0, 5000.0);
    through_disk(&g, 0, 1);
    g.c.fn->agg->merge(&g.c, &g.x, g.memory[2] + 16, g.memory[1] + 16);
    static const int third[] = { 2 };
    int64_t before = results(&g, 1).i64[0];
    to_groups(&g, third, 1);
    ck_assert_int_eq(results(&g, 1).i64[0], before);
    aggregation_close(&g);
}
END_TEST

/* Beyond what is found by looking at each: values are found by their hash, and taken back out. */
START_TEST(many_values)
{
    static const int zeros[8] = { 0 };
    const type *types[] = { &type_bigint };
    aggregation g;

    aggregation_open(&g, "COLLECT_SET", types, 1, NULL);
    to_groups(&g, zeros, 8);
    for (int64_t round = 0; round < 2; round++) {
        for (int64_t i = 0; i < 4000; i += 4) {
            column in = ints(&type_bigint, 8, N(i), N(i + 1), N(i + 2), N(i + 3), N(i), N(i + 1), N(i + 2), N(NULL_INT));
            g.c.fn->agg->step(&g.c, &g.x, g.groups, 16, &in, ALL(8), NULL);
        }
        column set = results(&g, 1);
        ck_assert_uint_eq(set.nested[0].list.count, 4001);
        ck_assert(set.nested[0].list.items[4].is_null && set.nested[0].list.items[4000].i64 == 3999);
    }
    aggregation_close(&g);

    const type *text_types[] = { &type_string };
    aggregation_open(&g, "HISTOGRAM", text_types, 1, NULL);
    to_groups(&g, zeros, 8);
    for (int i = 0; i < 1200; i++) {
        column in = texts(1, arena_printf(a, "v%d", i % 600).data);
        g.c.fn->agg->step(&g.c, &g.x, g.groups, 16, &in, ALL(1), NULL);
    }
    for (int i = 0; i < 600; i += 2) {
        column in = texts(1, arena_printf(a, "v%d", i).data);
        for (int k = 0; k < 2; k++) g.c.fn->agg->undo(&g.c, &g.x, g.groups, 16, &in, ALL(1), NULL);
    }
    through_disk(&g, 0, 1);
    for (int of = 0; of < 2; of++) {
        static const int both[] = { 0, 1 };
        to_groups(&g, &both[of], 1);
        column counted = results(&g, 1);
        ck_assert_uint_eq(counted.nested[0].map.count, 300);
        ck_assert(slice_is(counted.nested[0].map.keys[299].str, "v599") && counted.nested[0].map.values[299].i64 == 2);
    }
    aggregation_close(&g);
}
END_TEST

/* ---- scalars ---- */

START_TEST(text_functions)
{
    ck_text(run1("UCASE", texts(2, "weir", "stra\xC3\x9F" "e"), 2), 0, "WEIR");
    ck_text(run1("UCASE", texts(2, "weir", "stra\xC3\x9F" "e"), 2), 1, "STRASSE");
    ck_text(run1("LCASE", texts(1, "WEIR [1]"), 1), 0, "weir [1]");
    ck_text(run1("INITCAP", texts(1, "the QUICK  brown"), 1), 0, "The Quick  Brown");
    ck_assert_int_eq(run1("LEN", texts(1, "h\xC3\xA9llo"), 1).i32[0], 5);
    ck_text(run2("SUBSTRING", texts(1, "some_string"), ints(&type_integer, 1, N(6)), 1), 0, "string");
    ck_text(run2("SUBSTRING", texts(1, "some_string"), ints(&type_integer, 1, N(-3)), 1), 0, "ing");
    ck_text(run2("SUBSTRING", texts(1, "short"), ints(&type_integer, 1, N(6)), 1), 0, "");
    ck_text(run3("SUBSTRING", texts(1, "h\xC3\xA9llo"), ints(&type_integer, 1, N(2)), ints(&type_integer, 1, N(2)), 1), 0,
            "\xC3\xA9l");
    ck_text(run3("SUBSTRING", texts(1, "some"), ints(&type_integer, 1, N(0)), ints(&type_integer, 1, N(2)), 1), 0, "so");
    ck_text(run1("TRIM", texts(1, " \t a b \n"), 1), 0, "a b");
    ck_text(run3("CONCAT", texts(1, "a"), texts(1, (char *)NULL), texts(1, "c"), 1), 0, "ac");
    ck_text(run3("CONCAT_WS", texts(1, "-"), texts(1, ""), texts(1, "c"), 1), 0, "-c");
    ck_text(run3("REPLACE", texts(1, "aXbX"), texts(1, "X"), texts(1, "--"), 1), 0, "a--b--");
    ck_text(run3("REPLACE", texts(1, "ab"), texts(1, ""), texts(1, "."), 1), 0, ".a.b.");
    ck_text(cast_to(run2("SPLIT", texts(1, ",a,,b,"), texts(1, ","), 1), &type_string, 1), 0, "[, a, , b, ]");
    ck_text(cast_to(run2("SPLIT", texts(1, "a\xC3\xA9"), texts(1, ""), 1), &type_string, 1), 0, "[a, \xC3\xA9]");
    ck_text(run3("LPAD", texts(1, "foo"), ints(&type_integer, 1, N(7)), texts(1, "Bar"), 1), 0, "BarBfoo");
    ck_text(run3("RPAD", texts(1, "foo"), ints(&type_integer, 1, N(2)), texts(1, "Bar"), 1), 0, "fo");
    ck_assert_int_eq(run3("RPAD", texts(1, "foo"), ints(&type_integer, 1, N(7)), texts(1, ""), 1).null[0], 1);
    ck_assert_int_eq(run3("RPAD", texts(1, "foo"), ints(&type_integer, 1, N(INT32_MAX)), texts(1, "abc"), 1).null[0], 1);
    ck_text(run1("CHR", ints(&type_integer, 1, N(22909)), 1), 0, "\xE5\xA5\xBD");
    ck_text(run1("CHR", texts(1, "\\u004b"), 1), 0, "K");
    ck_text(run1("MASK", texts(1, "My Test $123"), 1), 0, "Xx-Xxxx--nnn");
    ck_text(run2("MASK_KEEP_LEFT", texts(1, "My Test $123"), ints(&type_integer, 1, N(4)), 1), 0, "My Txxx--nnn");
    ck_text(run2("MASK_KEEP_RIGHT", texts(1, "My Test $123"), ints(&type_integer, 1, N(4)), 1), 0, "Xx-Xxxx-$123");
    ck_text(run2("MASK_LEFT", texts(1, "My Test $123"), ints(&type_integer, 1, N(4)), 1), 0, "Xx-Xest $123");
    ck_text(run2("MASK_RIGHT", texts(1, "My Test $123"), ints(&type_integer, 1, N(4)), 1), 0, "My Test -nnn");
}
END_TEST

START_TEST(finding_text)
{
    column args[] = { texts(1, "corporate floor"), texts(1, "or"), ints(&type_integer, 1, N(4)),
                      ints(&type_integer, 1, N(2)) };
    ck_assert_int_eq(run("INSTR", args, 2, 1).i32[0], 2);
    ck_assert_int_eq(run("INSTR", args, 3, 1).i32[0], 5);
    ck_assert_int_eq(run("INSTR", args, 4, 1).i32[0], 14);
    args[2] = ints(&type_integer, 1, N(-4));
    ck_assert_int_eq(run("INSTR", args, 4, 1).i32[0], 2);
    args[0] = texts(1, "short");
    ck_assert_int_eq(run("INSTR", args, 4, 1).i32[0], 0);
}
END_TEST

START_TEST(regular_expressions)
{
    value pattern = { .str = SLICE("User: (\\w+)") };
    const value *constants[] = { &pattern, NULL, NULL };
    column args[] = { texts(3, "User: (\\w+)", "User: (\\w+)", "User: (\\w+)"),
                      texts(3, "IP: ::1, User: Alice, Action", "nobody", NULL),
                      ints(&type_integer, 3, N(1), N(1), N(1)) };
    column c = run_with("REGEXP_EXTRACT", args, 3, constants, ALL(3), 3);
    ck_text(c, 0, "Alice");
    ck_assert_int_eq(c.null[1] & c.null[2], 1);
    ck_text(run_with("REGEXP_EXTRACT", args, 2, constants, ALL(3), 3), 0, "User: Alice");
    ck_text(run("REGEXP_EXTRACT", args, 3, 3), 0, "Alice");
    args[2] = ints(&type_integer, 3, N(2), N(1), N(1));
    ck_assert_int_eq(run("REGEXP_EXTRACT", args, 3, 3).null[0], 1);

    column all[] = { texts(1, "(\\w+) (\\w*)"), texts(1, "apurva mehta agavra "), ints(&type_integer, 1, N(2)) };
    ck_text(cast_to(run("REGEXP_EXTRACT_ALL", all, 3, 1), &type_string, 1), 0, "[mehta, ]");
    ck_text(run3("REGEXP_REPLACE", texts(1, "2021-05-01"), texts(1, "(\\d+)-(\\d+)"), texts(1, "$2/$1\\$"), 1), 0,
            "05/2021$-01");
    ck_assert_int_eq(run3("REGEXP_REPLACE", texts(1, "x"), texts(1, "x"), texts(1, "$1"), 1).null[0], 1);
    ck_text(cast_to(run2("REGEXP_SPLIT_TO_ARRAY", texts(1, "1a22b3"), texts(1, "\\d+"), 1), &type_string, 1), 0,
            "[, a, b, ]");
    ck_text(cast_to(run2("REGEXP_SPLIT_TO_ARRAY", texts(1, "abc"), texts(1, ""), 1), &type_string, 1), 0, "[a, b, c]");

    failures = 0;
    ck_assert_int_eq(run2("REGEXP_EXTRACT", texts(1, "(a+)+$"), texts(1, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"), 1)
                         .null[0], 1);
    ck_assert_int_eq(run2("REGEXP_EXTRACT", texts(1, "("), texts(1, "x"), 1).null[0], 1);
    ck_assert_uint_ge(failures, 1);
}
END_TEST

/* What Java's patterns have beyond PCRE2's. */
static const struct {
    const char *pattern, *in, *found;
} JAVA_PATTERNS[] = {
    { "[a-z&&[^aeiou]]+", "aeibcdf", "bcdf" },
    { "[a-z&&def]+", "abcdefg", "def" },
    { "[a-c[x-z]]+", "mnaxbzq", "axbz" },
    { "[^a-c[x-z]]+", "axmnb", "mn" },
    { "[^a-z&&[^m]]+", "abmAB", "mAB" },
    { "[\\w&&[^\\d_]]+", "12ab_3", "ab" },
    { "[a-z&&[^b-y]&&[^z]]", "bza", "a" },
    { "\\p{Lower}+", "ABcdé", "cd" },
    { "[\\p{Upper}\\d]+", "abC1d", "C1" },
    { "\\P{Alpha}+", "ab12c", "12" },
    { "\\p{IsLatin}+", "αβabé", "abé" },
    { "\\Q[a]\\E+", "x[a]]]", "[a]]]" },
    { "[\\Q^-]\\E]+", "ab^-]c", "^-]" },
    { "[]a]+", "xa]b", "a]" },
    { "[[:x]]+", "ab:x:", ":x:" },
    { "a[bc]\\[d\\]", "ab[d]", "ab[d]" },
};

START_TEST(java_patterns)
{
    column c = run2("REGEXP_EXTRACT", texts(1, JAVA_PATTERNS[_i].pattern), texts(1, JAVA_PATTERNS[_i].in), 1);

    ck_assert_int_eq(c.null[0], 0);
    ck_text(c, 0, JAVA_PATTERNS[_i].found);
}
END_TEST

START_TEST(patterns_that_do_not_close)
{
    static const char *const patterns[] = { "[", "[a&&", "[a[b]", "[[[[", "[a&&[b", "\\", "[\\", "\\p{", "[\\Qa", "&&]" };
    column c = texts(1, "x");

    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) run2("REGEXP_EXTRACT", texts(1, patterns[i]), c, 1);
    ck_assert_uint_ge(failures, 7);
}
END_TEST

START_TEST(wrong_constant_pattern)
{
    const type *types[] = { &type_string, &type_string };
    value pattern = { .str = SLICE("a(b") };
    const value *constants[] = { &pattern, NULL };
    resolved r;
    weir_error err = { .at = { 3, 4 } };

    ck_assert_int_eq(function_resolve(SLICE("REGEXP_EXTRACT"), types, 2, NULL, NOWHERE, a, &r, &err), WEIR_OK);
    call c = { .fn = r.fn, .result = r.result, .arg_types = r.params, .arg_count = 2, .constants = constants };
    ck_assert_int_eq(r.fn->prepare(&c, a, &err), WEIR_SEMANTIC);
    ck_assert_ptr_nonnull(strstr(err.message, "'a(b'"));
}
END_TEST

START_TEST(math)
{
    column v = doubles(5, 1.5, -1.5, 1.7, -1.7, 12345.678);
    column c = run1("ROUND", v, 5);
    ck_assert_int_eq(c.i64[0], 2);
    ck_assert_int_eq(c.i64[1], -1);
    ck_assert_int_eq(c.i64[2], 2);
    ck_assert_int_eq(c.i64[3], -2);
    c = run2("ROUND", v, ints(&type_integer, 5, N(0), N(0), N(1), N(-1), N(-2)), 5);
    ck_assert_double_eq(c.f64[0], 2.0);
    ck_assert_double_eq(c.f64[1], -1.0);
    ck_assert_double_eq(c.f64[2], 1.7);
    ck_assert_double_eq(c.f64[3], 0.0);
    ck_assert_double_eq(c.f64[4], 12300.0);
    const type *d = type_decimal(a, 12, 7);
    c = run2("ROUND", ints(d, 2, N(-15000000), N(12345678)), ints(&type_integer, 2, N(0), N(2)), 2);
    ck_assert(c.dec[0] == -10000000 && c.dec[1] == 12300000);
    c = run1("TRUNC", ints(d, 1, N(-17000000)), 1);
    ck_assert(c.dec[0] == -1 && c.type->scale == 0);
    c = run1("FLOOR", ints(type_decimal(a, 2, 1), 2, N(-11), N(17)), 2);
    ck_assert(c.dec[0] == -20 && c.dec[1] == 10);
    c = run1("CEIL", ints(type_decimal(a, 2, 1), 2, N(-11), N(11)), 2);
    ck_assert(c.dec[0] == -10 && c.dec[1] == 20);
    ck_assert_int_eq(run1("ABS", ints(&type_integer, 1, N(INT32_MIN)), 1).i32[0], INT32_MIN);
    ck_assert(isnan(run1("LN", ints(&type_integer, 1, N(-1)), 1).f64[0]));
    ck_assert_double_eq_tol(run1("COT", doubles(1, -7.0), 1).f64[0], -1.1475154224051, 1e-12);
    column places[] = { doubles(1, 37.4439), doubles(1, -122.1663), doubles(1, 51.0), doubles(1, 0.0) };
    ck_assert_double_eq_tol(run("GEO_DISTANCE", places, 4, 1).f64[0], 8682.459061368269, 1e-6);
}
END_TEST

static column list(const char *name, column x, column y, uint32_t rows)
{
    return cast_to(run2(name, x, y, rows), &type_string, rows);
}

START_TEST(arrays)
{
    column ones[] = { ints(&type_integer, 1, N(1)), ints(&type_integer, 1, N(NULL_INT)), ints(&type_integer, 1, N(2)),
                      ints(&type_integer, 1, N(1)) };
    column some = run("ARRAY", ones, 4, 1), two = run("ARRAY", ones + 2, 1, 1);
    column none = some;

    none.null = arena_zero(a, 1);
    none.null[0] = 1;
    ck_text(cast_to(run1("ARRAY_DISTINCT", some, 1), &type_string, 1), 0, "[1, null, 2]");
    ck_text(list("ARRAY_EXCEPT", some, two, 1), 0, "[1, null]");
    ck_text(list("ARRAY_INTERSECT", some, two, 1), 0, "[2]");
    ck_text(list("ARRAY_UNION", two, some, 1), 0, "[2, 1, null]");
    ck_text(list("ARRAY_CONCAT", none, two, 1), 0, "[2]");
    ck_text(list("ARRAY_REMOVE", some, ints(&type_integer, 1, N(1)), 1), 0, "[null, 2]");
    ck_text(list("ARRAY_REMOVE", some, ints(&type_integer, 1, N(NULL_INT)), 1), 0, "[1, 2, 1]");
    ck_text(cast_to(run1("ARRAY_SORT", some, 1), &type_string, 1), 0, "[1, 1, 2, null]");
    ck_text(list("ARRAY_SORT", some, texts(1, "desc"), 1), 0, "[2, 1, 1, null]");
    ck_assert_int_eq(run1("ARRAY_MAX", some, 1).i32[0], 2);
    ck_assert_int_eq(run1("ARRAY_MIN", some, 1).i32[0], 1);
    ck_assert_int_eq(run1("ARRAY_LENGTH", some, 1).i32[0], 4);
    ck_assert_int_eq(run2("ARRAY_CONTAINS", some, ints(&type_integer, 1, N(2)), 1).boolean[0], 1);
    ck_text(run1("ARRAY_JOIN", some, 1), 0, "1,null,2,1");
    ck_text(run2("ARRAY_JOIN", some, texts(1, (char *)NULL), 1), 0, "1null21");
    ck_text(cast_to(run3("SLICE", some, ints(&type_integer, 1, N(2)), ints(&type_integer, 1, N(9)), 1), &type_string, 1), 0,
            "[null, 2, 1]");
    ck_text(list("GENERATE_SERIES", ints(&type_integer, 1, N(4)), ints(&type_integer, 1, N(2)), 1), 0, "[4, 3, 2]");
    ck_text(cast_to(run3("GENERATE_SERIES", ints(&type_bigint, 1, N(-2)), ints(&type_bigint, 1, N(1)),
                         ints(&type_integer, 1, N(2)), 1), &type_string, 1), 0, "[-2, 0]");
    ck_assert_int_eq(run2("GENERATE_SERIES", ints(&type_bigint, 1, N(-INT64_MAX)), ints(&type_bigint, 1, N(INT64_MAX)), 1)
                         .null[0], 1);
    ck_text(run3("ELT", ints(&type_integer, 1, N(2)), texts(1, "a"), texts(1, "b"), 1), 0, "b");
    ck_assert_int_eq(run3("FIELD", texts(1, "b"), texts(1, (char *)NULL), texts(1, "b"), 1).i32[0], 2);
    column words[] = { texts(1, "x"), texts(1, "y") };
    const function *cube;
    uint32_t rows;
    const function *const *all = function_list(&rows);
    for (cube = *all; strcmp(cube->name, "CUBE_EXPLODE") != 0; cube = *++all) {
    }
    column cubed = run("ARRAY", words, 2, 1);
    value combinations = NULL_VALUE;
    eval_context x = context();
    call c = { .fn = cube, .result = cubed.type, .arg_types = &cubed.type, .arg_count = 1 };
    ck_assert(cube->row(&c, &x, &cubed.nested[0], &combinations));
    column shown = column_new(a, type_array(a, cubed.type), 1);
    column_set(&shown, 0, &combinations);
    ck_text(cast_to(shown, &type_string, 1), 0, "[[null, null], [null, y], [x, null], [x, y]]");
}
END_TEST

START_TEST(maps)
{
    column pairs[] = { texts(1, "b"), ints(&type_integer, 1, N(1)), texts(1, "a"), ints(&type_integer, 1, N(2)) };
    column other[] = { texts(1, "b"), ints(&type_integer, 1, N(NULL_INT)) };
    column map = run("MAP", pairs, 4, 1);

    ck_text(cast_to(run1("MAP_KEYS", map, 1), &type_string, 1), 0, "[a, b]");
    ck_text(cast_to(run1("MAP_VALUES", map, 1), &type_string, 1), 0, "[2, 1]");
    ck_text(list("MAP_UNION", map, run("MAP", other, 2, 1), 1), 0, "{a=2, b=null}");
    ck_text(list("ENTRIES", map, ints(&type_boolean, 1, N(1)), 1), 0, "[Struct{K=a,V=2}, Struct{K=b,V=1}]");
    ck_text(list("AS_MAP", run1("MAP_KEYS", map, 1), run1("MAP_VALUES", map, 1), 1), 0, "{a=2, b=1}");
    ck_text(cast_to(run3("SPLIT_TO_MAP", texts(1, "a:=1/b/c:="), texts(1, "/"), texts(1, ":="), 1), &type_string, 1), 0,
            "{a=1, c=}");
}
END_TEST

START_TEST(bytes_and_urls)
{
    ck_text(run3("ENCODE", texts(1, "0x578616d706C6521"), texts(1, "hex"), texts(1, "base64"), 1), 0, "BXhhbXBsZSE=");
    ck_text(run3("ENCODE", texts(1, "x'4578616d706C6521'"), texts(1, "hex"), texts(1, "ascii"), 1), 0, "Example!");
    ck_text(run3("ENCODE", texts(1, "X''"), texts(1, "hex"), texts(1, "utf8"), 1), 0, "");
    ck_assert_int_eq(run3("ENCODE", texts(1, "578616d706C6521"), texts(1, "hex"), texts(1, "utf8"), 1).null[0], 1);
    ck_assert_int_eq(run3("ENCODE", texts(1, "x'"), texts(1, "hex"), texts(1, "utf8"), 1).null[0], 1);
    ck_assert_int_eq(run3("ENCODE", texts(1, "a"), texts(1, "null"), texts(1, "utf8"), 1).null[0], 1);
    ck_text(run3("ENCODE", texts(1, "c39c62"), texts(1, "hex"), texts(1, "ascii"), 1), 0, "\xEF\xBF\xBD\xEF\xBF\xBD" "b");
    ck_text(run3("ENCODE", texts(1, "ff62"), texts(1, "hex"), texts(1, "utf8"), 1), 0, "\xEF\xBF\xBD" "b");
    column bytes = run2("TO_BYTES", texts(1, "1aB2"), texts(1, "hex"), 1);
    ck_text(run2("FROM_BYTES", bytes, texts(1, "hex"), 1), 0, "1AB2");
    column four = run2("TO_BYTES", texts(1, "5QcAAA=="), texts(1, "base64"), 1);
    ck_assert_int_eq(run2("INT_FROM_BYTES", four, texts(1, "LITTLE_ENDIAN"), 1).i32[0], 2021);
    ck_assert_int_eq(run1("BIGINT_FROM_BYTES", four, 1).null[0], 1);
    ck_text(run1("MD5", texts(1, "r1"), 1), 0, "7c92cf1eee8d99cc85f8355a3d6e4b86");
    ck_assert_uint_eq(run("UUID", NULL, 0, 1).str[0].len, 36);

    column site = texts(1, "http://test@confluent.io:8080/nested/path?one=a&two=b%20c&three#top");
    ck_text(run1("URL_EXTRACT_PROTOCOL", site, 1), 0, "http");
    ck_text(run1("URL_EXTRACT_HOST", site, 1), 0, "confluent.io");
    ck_assert_int_eq(run1("URL_EXTRACT_PORT", site, 1).i32[0], 8080);
    ck_text(run1("URL_EXTRACT_PATH", site, 1), 0, "/nested/path");
    ck_text(run1("URL_EXTRACT_QUERY", site, 1), 0, "one=a&two=b c&three");
    ck_text(run1("URL_EXTRACT_FRAGMENT", site, 1), 0, "top");
    ck_text(run2("URL_EXTRACT_PARAMETER", site, texts(1, "two"), 1), 0, "b c");
    ck_assert_int_eq(run2("URL_EXTRACT_PARAMETER", site, texts(1, "three"), 1).null[0], 1);
    ck_text(run1("URL_EXTRACT_PATH", texts(1, "http://www.test.com?query#fragment"), 1), 0, "");
    ck_assert_int_eq(run1("URL_EXTRACT_PORT", texts(1, "http://a.org"), 1).null[0], 1);
    ck_assert_int_eq(run1("URL_EXTRACT_HOST", texts(1, "not a url"), 1).null[0], 1);
    ck_text(run1("URL_ENCODE_PARAM", texts(1, "?foo $bar"), 1), 0, "%3Ffoo+%24bar");
    ck_text(run1("URL_DECODE_PARAM", texts(1, "%3Ffoo+%24bar"), 1), 0, "?foo $bar");
}
END_TEST

/* A lambda as the evaluator would bind it: x => x + step, (s, x) => s + x, x => x > step. */
typedef struct test_lambda {
    lambda base;
    int kind;
    int64_t step;
} test_lambda;

static bool test_apply(const lambda *base, eval_context *x, const value *params, value *out)
{
    const test_lambda *l = (const test_lambda *)base;
    column left = column_new(x->arena, &type_bigint, 1), right = column_new(x->arena, &type_bigint, 1), result;
    value step = { .i64 = l->step };
    const type *types[] = { &type_bigint, &type_bigint };
    resolved r;
    weir_error err;

    column_set(&left, 0, &params[0]);
    column_set(&right, 0, l->kind == 1 ? &params[1] : &step);
    if (function_resolve(l->kind == 2 ? SLICE(">") : SLICE("+"), types, 2, NULL, NOWHERE, x->arena, &r, &err) != WEIR_OK) {
        return false;
    }
    call c = { .fn = r.fn, .result = r.result, .arg_types = r.params, .arg_count = 2 };
    column args[] = { left, right };
    call_run(&c, x, args, ALL(1), 1, &result);
    *out = column_get(&result, 0);
    return true;
}

static const type *lambda_result(void *self, uint32_t arg, const type *const *params, uint32_t count, weir_error *err)
{
    (void)arg, (void)err;
    ck_assert_uint_ge(count, 1);
    return *(int *)self == 2 ? &type_boolean : params[0]->kind == TYPE_INTEGER && count > 1 ? params[1] : params[0];
}

static column run_lambda(const char *name, int kind, int64_t step, column list, column *state)
{
    static const type lambda_type = { .kind = TYPE_LAMBDA };
    const type *types[3] = { list.type, state != NULL ? state->type : &lambda_type, &lambda_type };
    uint32_t count = state != NULL ? 3 : 2;
    lambda_binder binder = { lambda_result, &kind };
    resolved r;
    weir_error err;
    weir_rc rc = function_resolve(slice_of(name), types, count, &binder, NOWHERE, a, &r, &err);
    ck_assert_msg(rc == WEIR_OK, "%s", err.message);
    test_lambda l = { .base = { .apply = test_apply }, .kind = kind, .step = step };
    const lambda *lambdas[3] = { NULL, state == NULL ? &l.base : NULL, &l.base };
    column args[3] = { list, { 0 }, { 0 } }, out;
    if (state != NULL) args[1] = type_equal(state->type, r.params[1]) ? *state : cast_to(*state, r.params[1], 1);
    eval_context x = context();
    call c = { .fn = r.fn, .result = r.result, .arg_types = r.params, .arg_count = count, .lambdas = lambdas };
    call_run(&c, &x, args, ALL(1), 1, &out);
    return cast_to(out, &type_string, 1);
}

START_TEST(lambdas)
{
    column n[] = { ints(&type_bigint, 1, N(3)), ints(&type_bigint, 1, N(6)), ints(&type_bigint, 1, N(NULL_INT)) };
    column whole = run("ARRAY", n, 2, 1), holed = run("ARRAY", n, 3, 1), zero = ints(&type_integer, 1, N(0));

    ck_text(run_lambda("TRANSFORM", 0, 5, whole, NULL), 0, "[8, 11]");
    ck_assert_int_eq(run_lambda("TRANSFORM", 0, 5, holed, NULL).null[0], 1);
    ck_assert_uint_eq(failures, 1);
    ck_text(run_lambda("FILTER", 2, 5, holed, NULL), 0, "[6]");
    ck_text(run_lambda("REDUCE", 1, 0, whole, &zero), 0, "9"); /* the INTEGER state widens to BIGINT */
    ck_assert_int_eq(run_lambda("REDUCE", 1, 0, holed, &zero).null[0], 1);
}
END_TEST

static const struct {
    const char *pattern, *written; /* of 2018-05-11T21:58:33.250Z */
    const char *zone;
} FORMATS[] = {
    { "yyyy-MM-dd HH:mm:ss", "2018-05-11 21:58:33", NULL },
    { "yyyy-MM-dd'T'HH:mm:ss.SSSX", "2018-05-11T21:58:33.250Z", NULL },
    { "yyyy-MM-dd HH:mm:ss zzz", "2018-05-11 14:58:33 PDT", "America/Los_Angeles" },
    { "yyyy-MM-dd HH:mm:ss zzz", "2018-05-11 22:58:33 BST", "Europe/London" },
    { "dd-MMM-yyyy", "11-May-2018", NULL },
    { "d/M/yy h:mm a", "11/5/18 9:58 PM", NULL },
    { "EEEE, MMMM d", "Friday, May 11", NULL },
    { "D 'o''clock' k A", "131 o'clock 21 79113250", NULL },
    { "HH:mm:ssXXX VV", "03:28:33+05:30 Asia/Kolkata", "Asia/Kolkata" },
    { "yyyyMMddHHmmssSSS Z", "20180511235833250 +0200", "+02:00" },
    { "G uuuu QQQ", "AD 2018 Q2", NULL },
    { "YYYY w W e c EEE N", "2018 19 2 6 6 Fri 79113250000000", NULL },
    { "'['yyyy/MM/dd']' HH:mm:ss.SSSSSS", "[2018/05/11] 21:58:33.250000", NULL },
    { "ss.S", "33.2", NULL },
};

START_TEST(formatting_time)
{
    column args[] = { ints(&type_timestamp, 1, N(1526075913250)), texts(1, FORMATS[_i].pattern),
                      texts(1, FORMATS[_i].zone == NULL ? "UTC" : FORMATS[_i].zone) };
    value pattern = { .str = slice_of(FORMATS[_i].pattern) };
    const value *constants[] = { NULL, &pattern, NULL };
    ck_text(run("FORMAT_TIMESTAMP", args, 3, 1), 0, FORMATS[_i].written);
    ck_text(run_with("FORMAT_TIMESTAMP", args, 3, constants, ALL(1), 1), 0, FORMATS[_i].written);
}
END_TEST

static const struct {
    const char *from, *pattern;
    int64_t ms; /* NULL_INT: it does not follow the pattern */
    const char *zone;
} PARSES[] = {
    { "2018-05-11T21:58:33Z", "yyyy-MM-dd'T'HH:mm:ssX", 1526075913000, NULL },
    { "2020-05-11T21:58:33z", "yyyy-MM-dd'T'HH:mm:ssX", 1589234313000, NULL },
    { "2018-05-11 23:58:33+0200", "yyyy-MM-dd HH:mm:ssXX", 1526075913000, NULL },
    { "2018-05-11 14:58:33", "yyyy-MM-dd HH:mm:ss", 1526075913000, "America/Los_Angeles" },
    { "2018-05-11 22:58:33 Europe/London", "yyyy-MM-dd HH:mm:ss VV", 1526075913000, NULL },
    { "20180511215833250", "yyyyMMddHHmmssSSS", 1526075913250, NULL },
    { "11/5/18 9:58 pm", "d/M/yy h:mm a", 1526075880000, NULL },
    { "01-JAN-2022", "dd-MMM-yyyy", 1640995200000, NULL },
    { "JAN-2022", "MMM-yyyy", 1640995200000, NULL },
    { "2021-06-31", "yyyy-MM-dd", 1625011200000, NULL },
    { "2021-13-01", "yyyy-MM-dd", NULL_INT, NULL },
    { "2021-5-01", "yyyy-MM-dd", NULL_INT, NULL },
    { "12021-05-01", "yyyy-MM-dd", NULL_INT, NULL },
    { "2021-05-01x", "yyyy-MM-dd", NULL_INT, NULL },
    { "[2021-05-01 14:30:00]", "'['yyyy-MM-dd HH:mm:ss']'", 1619879400000, NULL },
    { "2021-05-01", "yyyy-MM-dd[ HH:mm]", 1619827200000, NULL },
    { "2021-05-01 14:30", "yyyy-MM-dd[ HH:mm]", 1619879400000, NULL },
    { "2021-03-28 01:30", "yyyy-MM-dd HH:mm", 1616895000000, "Europe/London" }, /* skipped: becomes 02:30 BST */
    { "2021-10-31 01:30", "yyyy-MM-dd HH:mm", 1635640200000, "Europe/London" }, /* twice: the earlier */
    { "nothing", "yyyy", NULL_INT, NULL },
    { "2018-05-11 21:58:33.2", "yyyy-MM-dd HH:mm:ss.S", 1526075913200, NULL },
    { "2018-05-11 24:00:00", "yyyy-MM-dd HH:mm:ss", 1526083200000, NULL },
    { "2018-05-11 25:00:00", "yyyy-MM-dd HH:mm:ss", NULL_INT, NULL },
    { "2018-0x-11", "yyyy-MM-dd", NULL_INT, NULL },
};

START_TEST(parsing_time)
{
    column args[] = { texts(1, PARSES[_i].from), texts(1, PARSES[_i].pattern),
                      texts(1, PARSES[_i].zone == NULL ? "UTC" : PARSES[_i].zone) };
    column c = run("PARSE_TIMESTAMP", args, 3, 1);

    ck_assert_int_eq(c.null[0], PARSES[_i].ms == NULL_INT);
    if (!c.null[0]) ck_assert_int_eq(c.i64[0], PARSES[_i].ms);
    ck_assert_uint_eq(failures, c.null[0]);
}
END_TEST

static column interval(const char *name, const char *unit, int number, column of)
{
    static const type interval_unit = { .kind = TYPE_INTERVAL_UNIT };
    column args[] = { texts(1, unit), ints(&type_integer, 1, N(number)), of };

    args[0].type = &interval_unit;
    return run(name, args, 3, 1);
}

START_TEST(time_arithmetic)
{
    ck_assert_int_eq(interval("DATEADD", "DAYS", 10, ints(&type_date, 1, N(10))).i32[0], 20);
    ck_assert_int_eq(interval("DATESUB", "DAY", 10, ints(&type_date, 1, N(5))).i32[0], -5);
    ck_assert_int_eq(interval("DATEADD", "MONTHS", 1, ints(&type_date, 1, N(30))).i32[0], 58); /* 31 January */
    ck_assert_int_eq(interval("DATEADD", "YEARS", -1, ints(&type_date, 1, N(0))).i32[0], -365);
    ck_assert_int_eq(interval("TIMEADD", "MILLISECONDS", -5, ints(&type_time, 1, N(2))).i32[0], 86399997);
    ck_assert_int_eq(interval("TIMESUB", "MILLISECONDS", -5, ints(&type_time, 1, N(86399997))).i32[0], 2);
    ck_assert_int_eq(interval("TIMESTAMPADD", "HOURS", 2, ints(&type_timestamp, 1, N(0))).i64[0], 7200000);
    ck_assert_int_eq(interval("TIMESTAMPADD", "YEARS", INT32_MAX, ints(&type_timestamp, 1, N(0))).null[0], 1);
    column tz = run3("CONVERT_TZ", ints(&type_timestamp, 1, N(1589234313000)), texts(1, "America/Los_Angeles"),
                     texts(1, "America/New_York"), 1);
    ck_assert_int_eq(tz.i64[0], 1589245113000);
    ck_assert_int_eq(run3("CONVERT_TZ", ints(&type_timestamp, 1, N(0)), texts(1, "Mars"), texts(1, "UTC"), 1).null[0], 1);
    ck_assert_int_eq(run2("STRINGTODATE", texts(1, "2018-05-11Lit"), texts(1, "yyyy-MM-dd'Lit'"), 1).i32[0], 17662);
    ck_text(run2("FORMAT_DATE", ints(&type_date, 1, N(-1)), texts(1, "dd-MM-yyyy'Sophia'"), 1), 0, "31-12-1969Sophia");
    ck_assert_int_eq(run2("FORMAT_DATE", ints(&type_date, 1, N(-1)), texts(1, "HH"), 1).null[0], 1);
    ck_assert_int_eq(run2("PARSE_TIME", texts(1, "14:30"), texts(1, "HH:mm"), 1).i32[0], 52200000);
}
END_TEST

START_TEST(null_functions)
{
    column x = ints(&type_integer, 3, N(NULL_INT), N(2), N(3)), y = ints(&type_bigint, 3, N(7), N(2), N(NULL_INT));
    ck_assert_int_eq(run2("COALESCE", x, y, 3).i64[0], 7);
    ck_assert_int_eq(run2("COALESCE", x, y, 3).i64[2], 3);
    ck_assert_int_eq(run2("NULLIF", x, y, 3).null[1], 1);
    ck_assert_int_eq(run2("NULLIF", x, y, 3).i64[2], 3);
    column wide = cast_to(x, &type_bigint, 3);
    ck_assert_int_eq(run2("GREATEST", wide, y, 3).i64[0], 7);
    ck_assert_int_eq(run2("LEAST", wide, y, 3).i64[2], 3);
    column d = run2("GREATEST", ints(type_decimal(a, 4, 2), 1, N(150)), ints(type_decimal(a, 5, 3), 1, N(1499)), 1);
    ck_assert(d.dec[0] == 1500 && d.type->scale == 3);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_loop_test(tests, overload, 0, sizeof RESOLUTIONS / sizeof RESOLUTIONS[0]);
    tcase_add_test(tests, messages_name_the_way_out);
    tcase_add_test(tests, table_is_whole);
    tcase_add_test(tests, integers_wrap);
    tcase_add_test(tests, only_the_rows_asked_for);
    tcase_add_test(tests, decimals);
    tcase_add_test(tests, comparing_with_null_is_false);
    tcase_add_loop_test(tests, like, 0, sizeof LIKES / sizeof LIKES[0]);
    tcase_add_test(tests, subscripts);
    tcase_add_test(tests, casts_between_numbers);
    tcase_add_test(tests, casts_of_text);
    tcase_add_test(tests, casts_of_time);
    tcase_add_test(tests, casts_of_nested_values);
    tcase_add_test(tests, count_and_sum);
    tcase_add_test(tests, decimal_sum_stops);
    tcase_add_test(tests, average);
    tcase_add_test(tests, least_and_greatest);
    tcase_add_test(tests, by_offset);
    tcase_add_test(tests, damaged_offset_state);
    tcase_add_test(tests, collections);
    tcase_add_test(tests, statistics);
    tcase_add_test(tests, many_distinct);
    tcase_add_test(tests, many_values);
    tcase_add_test(tests, text_functions);
    tcase_add_test(tests, finding_text);
    tcase_add_test(tests, regular_expressions);
    tcase_add_loop_test(tests, java_patterns, 0, sizeof JAVA_PATTERNS / sizeof JAVA_PATTERNS[0]);
    tcase_add_test(tests, patterns_that_do_not_close);
    tcase_add_test(tests, wrong_constant_pattern);
    tcase_add_test(tests, math);
    tcase_add_test(tests, null_functions);
    tcase_add_test(tests, arrays);
    tcase_add_test(tests, maps);
    tcase_add_test(tests, bytes_and_urls);
    tcase_add_test(tests, lambdas);
    tcase_add_loop_test(tests, formatting_time, 0, sizeof FORMATS / sizeof FORMATS[0]);
    tcase_add_loop_test(tests, parsing_time, 0, sizeof PARSES / sizeof PARSES[0]);
    tcase_add_test(tests, time_arithmetic);
}

int main(void)
{
    return run_tests("function", add_tests, open_arena, close_arena);
}
