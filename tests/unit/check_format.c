/* The record formats: what they read, what they write, and what they say of what they cannot read. */
#include "storage/formats/format.h"

#include "core/bytes.h"
#include "core/json.h"
#include "tests/unit/run_tests.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define COLUMNS_MAX 32
#define ROWS_MAX 64

/* One format over a handful of rows, and what came of them. */
typedef struct bench {
    arena *home, *batch;
    format *f;
    const schema_column *schema;
    uint32_t count;
    column columns[COLUMNS_MAX];
    slice in[ROWS_MAX], out[ROWS_MAX];
    row_set rows, good;
    char reason[ROWS_MAX][256]; /* "" where the row is fine */
} bench;

static void note_bad_row(void *self, uint32_t row, const char *reason)
{
    snprintf(((bench *)self)->reason[row], 256, "%s", reason);
}

static void open_spec(bench *b, format_spec spec, const schema_column *schema, uint32_t count, const bool *wanted)
{
    weir_error err;

    *b = (bench){ .home = arena_new(0), .batch = arena_new(0), .schema = schema, .count = count };
    ck_assert_msg(format_open(&b->f, &spec, schema, count, wanted, b->home, &err) == WEIR_OK, "%s", err.message);
}

static void open_format(bench *b, const char *name, const schema_column *schema, uint32_t count)
{
    open_spec(b, (format_spec){ .name = slice_of(name) }, schema, count, NULL);
}

static void close_format(bench *b)
{
    format_close(b->f);
    arena_free(b->home);
    arena_free(b->batch);
}

/* A copy with exactly the room behind it that format_decode() asks for, so that a sanitizer sees one byte more. */
static slice received(bench *b, slice bytes)
{
    (void)b;
    if (bytes.data == NULL) return bytes;
    char *copy = malloc(bytes.len + 64);
    memcpy(copy, bytes.data, bytes.len);
    memset(copy + bytes.len, '}', 64); /* what a careless reader would take for the end */
    return (slice){ copy, bytes.len };
}

static void decode_slices(bench *b, const slice *in, uint32_t count)
{
    row_report report = { note_bad_row, b };

    arena_reset(b->batch);
    for (uint32_t i = 0; i < b->count; i++) b->columns[i] = column_new(b->batch, b->schema[i].type, count);
    for (uint32_t i = 0; i < count; i++) {
        b->in[i] = received(b, in[i]);
        b->reason[i][0] = '\0';
    }
    b->rows = (row_set){ NULL, count };
    b->good = format_decode(b->f, b->in, b->rows, b->batch, b->columns, &report);
}

static void decode(bench *b, const char *const *in, uint32_t count)
{
    slice slices[ROWS_MAX];

    for (uint32_t i = 0; i < count; i++) slices[i] = slice_of(in[i]);
    decode_slices(b, slices, count);
}

static void forget(bench *b)
{
    for (uint32_t i = 0; i < b->rows.count; i++) free((char *)b->in[i].data);
    b->rows.count = 0;
}

/* A row as text: its values as the JSON format writes them, by " | ". */
static const char *shown(bench *b, uint32_t row)
{
    static text out;

    text_clear(&out);
    for (uint32_t i = 0; i < b->count; i++) {
        value v = column_get(&b->columns[i], row);
        if (i > 0) text_add_c(&out, " | ");
        print_json_value(&out, b->schema[i].type, &v);
    }
    return out.len == 0 ? "" : out.data;
}

/* One record in, its row as text or "bad: " and the reason out. */
static const char *read_one_slice(bench *b, slice in)
{
    static char result[600];

    decode_slices(b, &in, 1);
    if (b->good.count == 1) {
        snprintf(result, sizeof result, "%s", shown(b, 0));
    } else {
        snprintf(result, sizeof result, "bad: %s", b->reason[0]);
    }
    forget(b);
    return result;
}

static const char *read_one(bench *b, const char *in)
{
    return read_one_slice(b, slice_of(in));
}

#define NAMED(n, t) { .name = { n, sizeof(n) - 1 }, .type = t }
#define COUNT_OF(array) ((uint32_t)(sizeof(array) / sizeof *(array)))

static const type DEC_4_2 = { .kind = TYPE_DECIMAL, .precision = 4, .scale = 2 };
static const type DEC_38_10 = { .kind = TYPE_DECIMAL, .precision = 38, .scale = 10 };
static const type ARRAY_INT = { .kind = TYPE_ARRAY, .element = &type_integer };
static const type ARRAY_STRING = { .kind = TYPE_ARRAY, .element = &type_string };
static const type MAP_INT = { .kind = TYPE_MAP, .key = &type_string, .element = &type_integer };
static const type MAP_BY_INT = { .kind = TYPE_MAP, .key = &type_integer, .element = &type_integer };
static const type_field POINT_FIELDS[] = { { { "X", 1 }, &type_integer }, { { "y", 1 }, &type_string }, { { "Y", 1 }, &type_string } };
static const type POINT = { .kind = TYPE_STRUCT, .fields = POINT_FIELDS, .field_count = 3 };
static const type ARRAY_POINT = { .kind = TYPE_ARRAY, .element = &POINT };

static const schema_column EVERYTHING[] = {
    NAMED("B", &type_boolean), NAMED("I", &type_integer),  NAMED("L", &type_bigint),  NAMED("D", &type_double),
    NAMED("N", &DEC_4_2),      NAMED("S", &type_string),   NAMED("Y", &type_bytes),   NAMED("DA", &type_date),
    NAMED("TI", &type_time),   NAMED("TS", &type_timestamp), NAMED("AR", &ARRAY_INT), NAMED("MA", &MAP_INT),
    NAMED("ST", &POINT),       NAMED("AP", &ARRAY_POINT),
};

/* --- JSON --- */

START_TEST(json_round_trips)
{
    static const char *const RECORDS[] = {
        "{\"B\":true,\"I\":-7,\"L\":9223372036854775807,\"D\":1.5E-7,\"N\":-12.30,\"S\":\"a\\\"b\",\"Y\":\"AQID\",\"DA\":18000,"
        "\"TI\":86399999,\"TS\":1620000000000,\"AR\":[1,null,3],\"MA\":{\"k\":1,\"l\":null},"
        "\"ST\":{\"X\":1,\"y\":\"low\",\"Y\":null},\"AP\":[{\"X\":2,\"y\":null,\"Y\":\"up\"},null]}",
        "{\"B\":false,\"I\":0,\"L\":-9223372036854775808,\"D\":-0.0,\"N\":0.00,\"S\":\"\",\"Y\":\"\",\"DA\":-1,\"TI\":0,\"TS\":-1,"
        "\"AR\":[],\"MA\":{},\"ST\":{\"X\":null,\"y\":null,\"Y\":null},\"AP\":[]}",
        "{\"B\":null,\"I\":null,\"L\":null,\"D\":null,\"N\":null,\"S\":null,\"Y\":null,\"DA\":null,\"TI\":null,\"TS\":null,"
        "\"AR\":null,\"MA\":null,\"ST\":null,\"AP\":null}",
        "{\"B\":true,\"I\":2147483647,\"L\":1,\"D\":\"NaN\",\"N\":99.99,\"S\":\"\\u0001\\n\\t\\\\/\xC3\xA9\xF0\x9F\x98\x80\",\"Y\":\"/+8=\","
        "\"DA\":0,\"TI\":1,\"TS\":0,\"AR\":[-1],\"MA\":{\"\":0},\"ST\":null,\"AP\":[null]}",
    };
    bench b;

    open_format(&b, "json", EVERYTHING, COUNT_OF(EVERYTHING));
    decode(&b, RECORDS, COUNT_OF(RECORDS));
    for (uint32_t i = 0; i < COUNT_OF(RECORDS); i++) ck_assert_str_eq(b.reason[i], "");
    ck_assert_uint_eq(b.good.count, COUNT_OF(RECORDS));
    ck_assert_ptr_null(b.good.index);
    row_report report = { note_bad_row, &b };
    row_set written = format_encode(b.f, b.columns, b.rows, b.batch, b.out, &report);
    ck_assert_uint_eq(written.count, COUNT_OF(RECORDS));
    for (uint32_t i = 0; i < COUNT_OF(RECORDS); i++) {
        ck_assert_msg(slice_is(b.out[i], RECORDS[i]), "%.*s", SLICE_ARG(b.out[i]));
    }
    forget(&b);
    close_format(&b);
}
END_TEST

typedef struct coercion {
    const type *type;
    const char *json;
    const char *expected; /* as JSON is written, or "bad: " and the reason */
} coercion;

static const coercion COERCIONS[] = {
    { &type_boolean, "true", "true" },
    { &type_boolean, "\"true\"", "bad: column `C`: BOOLEAN expected, here is a string: \"true\"" },
    { &type_boolean, "1", "bad: column `C`: BOOLEAN expected, here is a number: 1" },
    { &type_boolean, "trux", "bad: not JSON at byte 5: neither true nor false" },
    { &type_integer, "12", "12" },
    { &type_integer, "-0", "0" },
    { &type_integer, "3.99", "3" },
    { &type_integer, "-3.99", "-3" },
    { &type_integer, "1.2e3", "1200" },
    { &type_integer, "1e-3", "0" },
    { &type_integer, "\"-12\"", "-12" },
    { &type_integer, "\"\\u0031\"", "1" },
    { &type_integer, "\"12.5\"", "bad: column `C`: INTEGER expected, here is a string that is no such number: \"12.5\"" },
    { &type_integer, "\"\"", "bad: column `C`: INTEGER expected, here is a string that is no such number: \"\"" },
    { &type_integer, "2147483648", "bad: column `C`: INTEGER expected, here is a number that is too large: 2147483648" },
    { &type_integer, "1e400", "bad: column `C`: INTEGER expected, here is a number that is too large: 1e400" },
    { &type_integer, "true", "bad: column `C`: INTEGER expected, here is a boolean: true" },
    { &type_integer, "[1]", "bad: column `C`: INTEGER expected, here is an array" },
    { &type_integer, "{}", "bad: column `C`: INTEGER expected, here is an object" },
    { &type_integer, "01", "bad: not JSON at byte 5: a number is malformed" },
    { &type_integer, "-", "bad: not JSON at byte 5: a number is malformed" },
    { &type_integer, "1.", "bad: not JSON at byte 5: a number is malformed" },
    { &type_integer, "+1", "bad: not JSON at byte 5: a value is missing" },
    { &type_integer, "NaN", "bad: not JSON at byte 5: a value is missing" },
    { &type_integer, "nul", "bad: not JSON at byte 5: a value is missing" },
    { &type_bigint, "9223372036854775807", "9223372036854775807" },
    { &type_bigint, "-9223372036854775808", "-9223372036854775808" },
    { &type_bigint, "9223372036854775808", "bad: column `C`: BIGINT expected, here is a number that is too large: 9223372036854775808" },
    { &type_bigint, "\"9223372036854775807\"", "9223372036854775807" },
    { &type_double, "1", "1.0" },
    { &type_double, "1.25", "1.25" },
    { &type_double, "1e400", "\"Infinity\"" },
    { &type_double, "-1e400", "\"-Infinity\"" },
    { &type_double, "1e-400", "0.0" },
    { &type_double, "\" 2.5 \"", "2.5" },
    { &type_double, "\"NaN\"", "\"NaN\"" },
    { &type_double, "\"x\"", "bad: column `C`: DOUBLE expected, here is a string that is no such number: \"x\"" },
    { &type_double, "1.5.5", "bad: not JSON at byte 5: a number is malformed" },
    { &DEC_4_2, "1", "1.00" },
    { &DEC_4_2, "1.1", "1.10" },
    { &DEC_4_2, "\"1.1\"", "1.10" },
    { &DEC_4_2, "110e-2", "1.10" },
    { &DEC_4_2, "0.1000", "0.10" },
    { &DEC_4_2, "1.005", "bad: column `C`: DECIMAL(4, 2) expected, here is a number with more decimal places: 1.005" },
    { &DEC_4_2, "123", "bad: column `C`: DECIMAL(4, 2) expected, here is a number that is too large: 123" },
    { &DEC_4_2, "\"x\"", "bad: column `C`: DECIMAL(4, 2) expected, here is a string that is no such number: \"x\"" },
    { &DEC_4_2, "true", "bad: column `C`: DECIMAL(4, 2) expected, here is a boolean: true" },
    { &DEC_38_10, "1234567890123456789012345678.0123456789", "1234567890123456789012345678.0123456789" },
    { &type_string, "\"a\"", "\"a\"" },
    { &type_string, "12", "\"12\"" },
    { &type_string, "-0", "\"0\"" },
    { &type_string, "1.10", "\"1.10\"" },
    { &type_string, "-0.0", "\"0.0\"" },
    { &type_string, "1e5", "\"1E+5\"" },
    { &type_string, "12.5e3", "\"1.25E+4\"" },
    { &type_string, "1.5e-3", "\"0.0015\"" },
    { &type_string, "0.0000001", "\"1E-7\"" },
    { &type_string, "0.00000012", "\"1.2E-7\"" },
    { &type_string, "100e-2", "\"1.00\"" },
    { &type_string, "0e0", "\"0\"" },
    { &type_string, "0.00", "\"0.00\"" },
    { &type_string, "-123.456e-1", "\"-12.3456\"" },
    { &type_string, "1e99999999999", "bad: not JSON at byte 5: the exponent of a number is too large" },
    { &type_string, "true", "\"true\"" },
    { &type_string, "{ \"a\" : [1, \"x\", {}], \"b\" : 1.0 }", "\"{\\\"a\\\":[1,\\\"x\\\",{}],\\\"b\\\":1.0}\"" },
    { &type_string, "[1, \"x\",null, [ true ], {\"a\":\"b\"}]", "\"[1, x, null, [true], {\\\"a\\\":\\\"b\\\"}]\"" },
    { &type_string, "[]", "\"[]\"" },
    { &type_string, "[1 2]", "bad: not JSON at byte 8: ',' or ']' is missing" },
    { &type_string, "{\"a\" 1}", "bad: not JSON at byte 10: ':' is missing" },
    { &type_string, "nil", "bad: not JSON at byte 5: a value is missing" },
    { &type_bytes, "\"AQID\"", "\"AQID\"" },
    { &type_bytes, "\"A!\"", "bad: column `C`: BYTES expected, here is a string that is not base64: \"A!\"" },
    { &type_bytes, "1", "bad: column `C`: BYTES expected, here is a number: 1" },
    { &type_date, "18000", "18000" },
    { &type_date, "\"18000\"", "18000" },
    { &type_time, "1000", "1000" },
    { &type_time, "-1", "bad: column `C`: TIME expected, here is a number that is no millisecond of a day: -1" },
    { &type_time, "86400001", "bad: column `C`: TIME expected, here is a number that is no millisecond of a day: 86400001" },
    { &type_timestamp, "1620000000000", "1620000000000" },
    { &type_timestamp, "\"1620000000000\"", "1620000000000" },
    { &type_timestamp, "\"2021-05-03\"", "bad: column `C`: TIMESTAMP expected, here is a string that is no such number: \"2021-05-03\"" },
    { &ARRAY_INT, "[1,\"2\",3.5]", "[1,2,3]" },
    { &ARRAY_INT, " [ ] ", "[]" },
    { &ARRAY_INT, "[1,\"x\"]", "bad: column `C`[2]: INTEGER expected, here is a string that is no such number: \"x\"" },
    { &ARRAY_INT, "{}", "bad: column `C`: ARRAY<INTEGER> expected, here is an object" },
    { &ARRAY_INT, "\"1\"", "bad: column `C`: ARRAY<INTEGER> expected, here is a string: \"1\"" },
    { &ARRAY_INT, "[1,]", "bad: not JSON at byte 8: a value is missing" },
    { &ARRAY_INT, "[,1]", "bad: not JSON at byte 6: a value is missing" },
    { &ARRAY_INT, "[1 2]", "bad: not JSON at byte 8: ',' or ']' is missing" },
    { &ARRAY_INT, "[}", "bad: not JSON at byte 6: ',' or ']' is missing" },
    { &ARRAY_STRING, "[1,[2],\"3\"]", "[\"1\",\"[2]\",\"3\"]" },
    { &MAP_INT, "{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}" },
    { &MAP_INT, "{\"\\u0061\":1}", "{\"a\":1}" },
    { &MAP_INT, "[]", "bad: column `C`: MAP<STRING, INTEGER> expected, here is an array" },
    { &MAP_INT, "{\"a\"}", "bad: not JSON at byte 9: ':' is missing" },
    { &MAP_INT, "{1:2}", "bad: not JSON at byte 6: a field's name is missing" },
    { &POINT, "{\"x\":1,\"y\":\"low\",\"Y\":\"up\"}", "{\"X\":1,\"y\":\"low\",\"Y\":\"up\"}" },
    { &POINT, "{\"y\":\"both\",\"other\":[{}]}", "{\"X\":null,\"y\":\"both\",\"Y\":\"both\"}" },
    { &POINT, "{\"X\":1,\"x\":2}", "{\"X\":1,\"y\":null,\"Y\":null}" },
    { &POINT, "{}", "{\"X\":null,\"y\":null,\"Y\":null}" },
    { &POINT, "[]", "bad: column `C`: STRUCT<`X` INTEGER, `y` STRING, `Y` STRING> expected, here is an array" },
    { &POINT, "{\"x\":true}", "bad: column `C`->`X`: INTEGER expected, here is a boolean: true" },
};

START_TEST(json_coerces_as_ksqldb_does)
{
    for (size_t i = 0; i < COUNT_OF(COERCIONS); i++) {
        const coercion *c = &COERCIONS[i];
        schema_column column = NAMED("C", NULL);
        char record[200];
        bench b;
        column.type = c->type;
        open_format(&b, "JSON", &column, 1);
        snprintf(record, sizeof record, "{\"c\":%s}", c->json);
        const char *got = read_one(&b, record);
        ck_assert_msg(strcmp(got, c->expected) == 0, "%s: %s", c->json, got);
        snprintf(record, sizeof record, "{ \"other\" : [ {\"c\":0} ] , \"C\" : %s , \"z\":\"\"}", c->json);
        got = read_one(&b, record);
        ck_assert_msg(strcmp(got, c->expected) == 0 || strncmp(c->expected, "bad: not", 8) == 0, "%s: %s", c->json, got);
        close_format(&b);

        open_spec(&b, (format_spec){ .name = SLICE("JSON"), .is_unwrapped = true }, &column, 1, NULL);
        got = read_one(&b, c->json);
        ck_assert_msg(strcmp(got, c->expected) == 0 || strncmp(c->expected, "bad: not", 8) == 0, "%s: %s", c->json, got);
        close_format(&b);
    }
}
END_TEST

static const schema_column ABC[] = { NAMED("A", &type_integer), NAMED("B", &type_string), NAMED("C", &type_double) };

START_TEST(json_bad_records_say_where)
{
    static const char *const CASES[][2] = {
        { "", "bad: not JSON at byte 0: there is nothing" },
        { "  ", "bad: not JSON at byte 0: there is nothing" },
        { "hello", "bad: not JSON at byte 0: an object expected" },
        { "1", "bad: a JSON object expected, here is a number: 1" },
        { "[]", "bad: a JSON object expected, here is an array" },
        { "\"a\"", "bad: a JSON object expected, here is a string: \"a\"" },
        { "null", "null | null | null" },
        { " null ", "null | null | null" },
        { "null null", "bad: not JSON at byte 5: there is more behind the value" },
        { "{}", "null | null | null" },
        { " {\n} ", "null | null | null" },
        { "{", "bad: not JSON at byte 1: it ends in the middle" },
        { "}", "bad: not JSON at byte 0: an object expected" },
        { "{\"a\"", "bad: not JSON at byte 4: it ends in the middle" },
        { "{\"a\":", "bad: not JSON at byte 5: it ends in the middle" },
        { "{\"a\":1", "bad: not JSON at byte 6: it ends in the middle" },
        { "{\"a\":1,", "bad: not JSON at byte 7: it ends in the middle" },
        { "{\"z\":{\"a\":1}", "bad: not JSON at byte 12: it ends in the middle" },
        { "{\"z\":[[[", "bad: not JSON at byte 8: it ends in the middle" },
        { "{\"a\":1}}", "bad: not JSON at byte 7: there is more behind the object" },
        { "{\"a\":1} x", "bad: not JSON at byte 8: there is more behind the object" },
        { "{\"a\":1,}", "bad: not JSON at byte 7: a field's name is missing" },
        { "{\"a\" 1}", "bad: not JSON at byte 5: ':' is missing" },
        { "{\"a\":1 \"b\":2}", "bad: not JSON at byte 7: ',' or '}' is missing" },
        { "{\"a\":}", "bad: not JSON at byte 5: a value is missing" },
        { "{\"z\":}", "bad: not JSON at byte 5: a value is missing" },
        { "{a:1}", "bad: not JSON at byte 1: a field's name is missing" },
        { "{'a':1}", "bad: not JSON at byte 1: a field's name is missing" },
        { "{\"a\":1,\"b\":\"open}", "bad: not JSON at byte 11: a string is opened and not closed" },
        { "{\"b\":\"a\nb\"}", "bad: not JSON at byte 7: a control character in a string" },
        { "{\"b\":\"\\x\"}", "bad: not JSON at byte 5: an unknown escape in a string" },
        { "{\"b\":\"\\u12\"}", "bad: not JSON at byte 5: an escape \\u without four hexadecimal digits" },
        { "{\"b\":\"a\xFF\"}", "bad: not JSON at byte 7: not UTF-8" },
        { "{\"b\":\"\xC3\"}", "bad: not JSON at byte 6: not UTF-8" },
        { "{\"z\":\"\xED\xA0\x80\"}", "bad: not JSON at byte 6: not UTF-8" },
        { "\xEF\xBB\xBF{\"a\":1}", "1 | null | null" },
        { "\xEF\xBB\xBF{\"a\" 1}", "bad: not JSON at byte 8: ':' is missing" },
        { "{\"z\":xyz,\"a\":1}", "1 | null | null" }, /* nobody reads z */
        { "{\"\\u0061\":1}", "1 | null | null" },
        { "{\"a\":1,\"z\":\"\\x\"}", "1 | null | null" },
    };
    bench b;

    open_format(&b, "JSON", ABC, 3);
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        const char *got = read_one(&b, CASES[i][0]);
        ck_assert_msg(strcmp(got, CASES[i][1]) == 0, "%s: %s", CASES[i][0], got);
    }
    ck_assert_str_eq(read_one_slice(&b, NO_SLICE), "null | null | null");
    close_format(&b);
}
END_TEST

START_TEST(json_fields_by_name)
{
    static const schema_column NAMES[] = { NAMED("A", &type_integer), NAMED("a", &type_integer), NAMED("long name, with a comma \"and quotes\" that no guess can hold", &type_integer) };
    static const char *const CASES[][2] = {
        { "{\"A\":1,\"a\":2}", "1 | 2 | null" },
        { "{\"a\":2,\"A\":1}", "1 | 2 | null" },
        { "{\"a\":2}", "2 | 2 | null" },
        { "{\"A\":1}", "1 | null | null" },
        { "{\"A\":1,\"A\":2}", "2 | null | null" },
        { "{\"A\":1,\"a\":2,\"a\":3}", "1 | 3 | null" },
        { "{\"A\":1,\"A\":null}", "null | null | null" },
        { "{\"A\":null,\"a\":1}", "null | 1 | null" },
        { "{\"A\":\"x\",\"A\":2}", "2 | null | null" },
        { "{\"a\":true,\"A\":2,\"a\":3}", "2 | 3 | null" },
        { "{\"A\":\"x\",\"a\":2}", "bad: column `A`: INTEGER expected, here is a string that is no such number: \"x\"" },
        { "{\"A\":1,\"A\":\"x\"}", "bad: column `A`: INTEGER expected, here is a string that is no such number: \"x\"" },
        { "{\"A\":[1,2],\"z\":0,\"A\":5}", "5 | null | null" },
        { "{\"long name, with a comma \\\"and quotes\\\" that no guess can hold\":7}", "null | null | 7" },
        { "{\"a\" :1 , \"A\"\n:\t2}", "2 | 1 | null" },
    };
    bench b;

    open_format(&b, "JSON", NAMES, COUNT_OF(NAMES));
    for (int round = 0; round < 2; round++) { /* once learning, once knowing something else */
        for (size_t i = 0; i < COUNT_OF(CASES); i++) {
            for (int again = 0; again < 2; again++) {
                const char *got = read_one(&b, CASES[i][0]);
                ck_assert_msg(strcmp(got, CASES[i][1]) == 0, "%s: %s", CASES[i][0], got);
            }
        }
    }
    close_format(&b);
}
END_TEST

START_TEST(json_order_of_fields_may_change)
{
    static const char *const RECORDS[] = {
        "{\"a\":1,\"b\":\"x\",\"c\":1.5}", "{\"c\":2.5,\"a\":2,\"b\":\"y\"}", "{\"b\":\"z\",\"a\":3}",
        "{\"extra\":0,\"a\":4,\"more\":{\"a\":9},\"b\":\"w\"}", "{\"A\":5,\"B\":\"v\",\"C\":5.5}", "{\"a\":6,\"bb\":\"no\"}",
        "{\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\":0,\"a\":7}",
    };
    static const char *const EXPECTED[] = { "1 | \"x\" | 1.5", "2 | \"y\" | 2.5", "3 | \"z\" | null", "4 | \"w\" | null",
                                            "5 | \"v\" | 5.5", "6 | null | null", "7 | null | null" };
    bench b;

    open_format(&b, "JSON", ABC, 3);
    uint32_t seed = 1;
    for (int round = 0; round < 50; round++) {
        const char *records[ROWS_MAX];
        uint32_t which[ROWS_MAX];
        for (int i = 0; i < ROWS_MAX; i++) {
            seed = seed * 1103515245 + 12345;
            which[i] = seed >> 16 & 0xFF;
            which[i] %= COUNT_OF(RECORDS);
            records[i] = RECORDS[which[i]];
        }
        decode(&b, records, ROWS_MAX);
        ck_assert_uint_eq(b.good.count, ROWS_MAX);
        for (uint32_t i = 0; i < ROWS_MAX; i++) ck_assert_str_eq(shown(&b, i), EXPECTED[which[i]]);
        forget(&b);
    }

    text many = TEXT_EMPTY; /* more fields than there are guesses */
    text_add_char(&many, '{');
    for (int i = 0; i < 300; i++) text_printf(&many, "\"f%d\":[%d],", i, i);
    text_add_c(&many, "\"a\":8}");
    ck_assert_str_eq(read_one(&b, many.data), "8 | null | null");
    ck_assert_str_eq(read_one(&b, many.data), "8 | null | null");
    text_free(&many);
    close_format(&b);
}
END_TEST

START_TEST(json_strings)
{
    static const schema_column S[] = { NAMED("S", &type_string) };
    static const char *const CASES[][2] = {
        { "\"\"", "" },
        { "\"plain\"", "plain" },
        { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t" },
        { "\"\\u00e9\\u20AC\"", "\xC3\xA9\xE2\x82\xAC" },
        { "\"x\\ud83d\\ude00y\"", "x\xF0\x9F\x98\x80y" },
        { "\"\\ud83d\"", "\xEF\xBF\xBD" },
        { "\"\\ude00a\"", "\xEF\xBF\xBD" "a" },
        { "\"\\ud83d\\n\"", "\xEF\xBF\xBD\n" },
        { "\"\\ud83d\\ud83d\\ude00\"", "\xEF\xBF\xBD\xF0\x9F\x98\x80" },
        { "\"\xC3\xA9\xF0\x9F\x98\x80\"", "\xC3\xA9\xF0\x9F\x98\x80" },
        { "\"{\\\"a\\\":[1]}\"", "{\"a\":[1]}" },
    };
    bench b;

    open_format(&b, "JSON", S, 1);
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        char record[100];
        snprintf(record, sizeof record, "{\"s\":%s}", CASES[i][0]);
        slice in = slice_of(record);
        decode_slices(&b, &in, 1);
        ck_assert_msg(b.good.count == 1, "%s: %s", record, b.reason[0]);
        ck_assert_msg(slice_is(b.columns[0].str[0], CASES[i][1]), "%s: %.*s", record, SLICE_ARG(b.columns[0].str[0]));
        forget(&b);
    }
    /* A NUL is a character like others, and one without escapes is lent. */
    slice in = SLICE("{\"S\":\"a\\u0000b\"}");
    decode_slices(&b, &in, 1);
    ck_assert(slice_equal(b.columns[0].str[0], SLICE("a\0b")));
    forget(&b);
    in = SLICE("{\"S\":\"lent\"}");
    decode_slices(&b, &in, 1);
    ck_assert_ptr_eq(b.columns[0].str[0].data, b.in[0].data + 6);
    forget(&b);
    close_format(&b);
}
END_TEST

static text repeated(const char *before, const char *what, size_t times, const char *after)
{
    text t = TEXT_EMPTY;

    text_add_c(&t, before);
    for (size_t i = 0; i < times; i++) text_add_c(&t, what);
    text_add_c(&t, after);
    return t;
}

START_TEST(json_large_and_deep)
{
    static const schema_column AS[] = { NAMED("A", &type_integer), NAMED("S", &type_string) };
    bench b;

    open_format(&b, "JSON", AS, 2);
    text t = repeated("{\"s\":\"", "0123456789", 1000000, "\",\"a\":1}");
    slice in = text_slice(&t);
    decode_slices(&b, &in, 1);
    ck_assert_uint_eq(b.good.count, 1);
    ck_assert_uint_eq(b.columns[1].str[0].len, 10000000);
    row_report report = { note_bad_row, &b };
    format_encode(b.f, b.columns, b.rows, b.batch, b.out, &report);
    ck_assert_uint_eq(b.out[0].len, in.len);
    forget(&b);
    text_free(&t);

    t = repeated("{\"s\":\"", "\\n", 5000000, "\",\"a\":1}");
    in = text_slice(&t);
    decode_slices(&b, &in, 1);
    ck_assert_uint_eq(b.columns[1].str[0].len, 5000000);
    forget(&b);
    text_free(&t);

    t = repeated("{\"z\":", "[", 100000, "");
    ck_assert_str_eq(read_one_slice(&b, text_slice(&t)), "bad: not JSON at byte 100005: it ends in the middle");
    for (int i = 0; i < 100000; i++) text_add_char(&t, ']');
    text_add_c(&t, ",\"a\":1}");
    ck_assert_str_eq(read_one_slice(&b, text_slice(&t)), "1 | null"); /* nobody reads z */
    text_free(&t);

    t = repeated("{\"s\":", "[", 100000, "");
    ck_assert_str_eq(read_one_slice(&b, text_slice(&t)), "bad: not JSON at byte 1005: nested deeper than 1000");
    text_free(&t);
    t = repeated("{\"s\":", "{\"a\":", 100000, "");
    ck_assert_str_eq(read_one_slice(&b, text_slice(&t)), "bad: not JSON at byte 5005: nested deeper than 1000");
    text_free(&t);

    t = repeated("{\"a\":1", "0", 100000, "}");
    ck_assert_str_eq(read_one_slice(&b, text_slice(&t)),
                     "bad: column `A`: INTEGER expected, here is a number that is too large: 1000000000000000000000000000000000000000...");
    text_free(&t);
    close_format(&b);

    static const schema_column NESTED[] = { NAMED("L", &ARRAY_INT), NAMED("M", &MAP_INT) };
    open_format(&b, "JSON", NESTED, 2);
    t = TEXT_EMPTY;
    text_add_c(&t, "{\"M\":{");
    for (int i = 0; i < 50000; i++) text_printf(&t, "%s\"k%d\":%d", i == 0 ? "" : ",", i % 40000, i);
    text_add_c(&t, "},\"L\":[");
    for (int i = 0; i < 50000; i++) text_printf(&t, "%s%d", i == 0 ? "" : ",", i);
    text_add_c(&t, "]}");
    in = text_slice(&t);
    decode_slices(&b, &in, 1);
    ck_assert_str_eq(b.reason[0], "");
    ck_assert_uint_eq(b.columns[0].nested[0].list.count, 50000);
    ck_assert_int_eq(b.columns[0].nested[0].list.items[49999].i32, 49999);
    ck_assert_uint_eq(b.columns[1].nested[0].map.count, 40000);
    ck_assert_int_eq(b.columns[1].nested[0].map.values[9999].i32, 49999);
    ck_assert_int_eq(b.columns[1].nested[0].map.values[10000].i32, 10000);
    forget(&b);
    text_free(&t);
    t = repeated("{\"L\":[", ",", 8000000, "]}");
    ck_assert_str_eq(read_one_slice(&b, text_slice(&t)), "bad: column `L`: ARRAY<INTEGER> expected, here is one of more than 8000000 items");
    text_free(&t);
    close_format(&b);
}
END_TEST

START_TEST(only_rows_and_columns_asked_for_are_touched)
{
    static const char *const RECORDS[] = { "{\"a\":1}", "{\"a\":2,\"b\":\"\\x\"}", "{\"a\":x}", "not even JSON", "{\"a\":5}", "{\"a\":" };
    static const char *const LINES[] = { "1,x,1.5", "2,\"x\",", "x,x,x", "\"", "5,,no", "6" };
    const bool wanted[] = { true, false, false };
    const uint32_t index[] = { 0, 1, 2, 4, 5 };

    for (int which = 0; which < 2; which++) {
        bench b;
        open_spec(&b, (format_spec){ .name = which == 0 ? SLICE("JSON") : SLICE("DELIMITED") }, ABC, 3, wanted);
        row_report report = { note_bad_row, &b };
        for (uint32_t i = 0; i < 6; i++) b.in[i] = received(&b, slice_of(which == 0 ? RECORDS[i] : LINES[i]));
        b.columns[0] = column_new(b.batch, &type_integer, 6); /* the others are not there at all */
        memset(b.columns[0].null, 7, 6);
        row_set good = format_decode(b.f, b.in, (row_set){ index, 5 }, b.batch, b.columns, &report);
        ck_assert_uint_eq(good.count, 3);
        ck_assert_uint_eq(good.index[0], 0);
        ck_assert_uint_eq(good.index[1], 1);
        ck_assert_uint_eq(good.index[2], 4);
        ck_assert_int_eq(b.columns[0].i32[0], 1);
        ck_assert_int_eq(b.columns[0].i32[1], 2);
        ck_assert_int_eq(b.columns[0].i32[4], 5);
        ck_assert_int_eq(b.columns[0].null[4], 0);
        ck_assert_int_eq(b.columns[0].null[3], 7);
        ck_assert_str_eq(b.reason[3], "");
        ck_assert_str_ne(b.reason[2], "");
        ck_assert_str_ne(b.reason[5], "");
        for (uint32_t i = 0; i < 6; i++) free((char *)b.in[i].data);
        close_format(&b);
    }
}
END_TEST

START_TEST(json_unwrapped)
{
    static const schema_column K[] = { NAMED("K", &type_string) };
    const format_spec lone = { .name = SLICE("JSON"), .is_key = true, .is_unwrapped = true };
    bench b;

    open_spec(&b, lone, K, 1, NULL);
    static const char *const CASES[][2] = {
        { "\"a\"", "\"a\"" }, { " 10 ", "\"10\"" }, { "null", "null" }, { "a", "bad: not JSON at byte 0: a value is missing" },
        { "\"a\" 1", "bad: not JSON at byte 4: there is more behind the value" }, { "", "bad: not JSON at byte 0: there is nothing" },
    };
    for (size_t i = 0; i < COUNT_OF(CASES); i++) ck_assert_str_eq(read_one(&b, CASES[i][0]), CASES[i][1]);
    const char *const in[] = { "\"a b\"", "null" };
    decode(&b, in, 2);
    row_report report = { note_bad_row, &b };
    format_encode(b.f, b.columns, b.rows, b.batch, b.out, &report);
    ck_assert(slice_is(b.out[0], "\"a b\""));
    ck_assert_ptr_null(b.out[1].data);
    forget(&b);
    close_format(&b);
}
END_TEST

START_TEST(json_documents)
{
    arena *a = arena_new(0);
    value v;
    const char *reason;

    ck_assert(parse_json_value(SLICE("[1, null]"), &ARRAY_INT, a, &v, &reason));
    ck_assert_uint_eq(v.list.count, 2);
    ck_assert(parse_json_value(SLICE("null"), &ARRAY_INT, a, &v, &reason) && v.is_null);
    ck_assert(!parse_json_value(SLICE("[1"), &ARRAY_INT, a, &v, &reason));
    ck_assert_str_eq(reason, "not JSON at byte 2: it ends in the middle");
    ck_assert(!parse_json_value(SLICE("{}"), &ARRAY_INT, a, &v, &reason));
    ck_assert_str_eq(reason, "ARRAY<INTEGER> expected, here is an object");
    ck_assert(!parse_json_value(SLICE("[] 1"), &ARRAY_INT, a, &v, &reason));
    ck_assert(!parse_json_value(SLICE(""), &ARRAY_INT, a, &v, NULL));
    text out = TEXT_EMPTY;
    print_json_string(&out, SLICE("\x1F/\x7F\"0123456789\\abcdefgh\n"));
    ck_assert_str_eq(out.data, "\"\\u001F/\x7F\\\"0123456789\\\\abcdefgh\\n\"");
    text_free(&out);
    arena_free(a);
}
END_TEST

/* --- DELIMITED --- */

static const schema_column SCALARS[] = {
    NAMED("S", &type_string), NAMED("B", &type_boolean), NAMED("I", &type_integer), NAMED("L", &type_bigint), NAMED("D", &type_double),
    NAMED("N", &DEC_4_2), NAMED("Y", &type_bytes), NAMED("DA", &type_date), NAMED("TI", &type_time), NAMED("TS", &type_timestamp),
};

static const char *round_trip(bench *b, const char *in)
{
    static char result[600];
    slice one = slice_of(in);

    decode_slices(b, &one, 1);
    snprintf(result, sizeof result, "bad: %s", b->reason[0]);
    if (b->good.count == 1) {
        row_report report = { note_bad_row, b };
        format_encode(b->f, b->columns, b->rows, b->batch, b->out, &report);
        snprintf(result, sizeof result, "%.*s", SLICE_ARG(b->out[0]));
    }
    forget(b);
    return result;
}

START_TEST(delimited_round_trips)
{
    static const char *const LINES[] = {
        "text,true,-1,9223372036854775807,1.0E10,-1.50,AQID,18000,1000,1620000000000",
        ",,,,,,,,,",
        "\"a,b\",false,0,0,0.5,0.00,\"+/8=\",-1,0,-1",
    };
    bench b;

    open_format(&b, "delimited", SCALARS, COUNT_OF(SCALARS));
    ck_assert_str_eq(round_trip(&b, LINES[0]), LINES[0]);
    ck_assert_str_eq(round_trip(&b, LINES[1]), LINES[1]);
    ck_assert_str_eq(round_trip(&b, LINES[2]), "\"a,b\",false,0,0,0.5,0.00,+/8=,-1,0,-1");
    close_format(&b);
}
END_TEST

START_TEST(delimited_quotes_as_commons_csv_does)
{
    static const schema_column TWO[] = { NAMED("A", &type_string), NAMED("B", &type_string) };
    static const char *const CASES[][2] = {
        { "a,b", "a,b" },
        { "\"a\",\"b\"", "a,b" },
        { "\"a\"\"b\",\"\"\"\"", "\"a\"\"b\",\"\"\"\"" },
        { "\"a,b\",c", "\"a,b\",c" },
        { "\"line\nbreak\",\"\r\"", "\"line\nbreak\",\"\r\"" },
        { "-5,-5", "\"-5\",-5" },
        { " a, a", "\" a\",\" a\"" },
        { "a ,b\t", "\"a \",\"b\t\"" },
        { "#a,#b", "\"#a\",\"#b\"" },
        { "!,$", "\"!\",$" },
        { "\xC3\xA9,\xC3\xA9", "\"\xC3\xA9\",\xC3\xA9" },
        { "a\"b,c\"\"d", "\"a\"\"b\",\"c\"\"\"\"d\"" },
        { "\"a\" ,b", "a,b" },
        { "\"\",\"\"", "," }, /* empty is null */
        { "a,", "a," },
        { "\r\n\na,b\r\nsecond line,\"", "a,b" },
        { "a", "bad: 1 field where 2 columns are declared: `B` is missing" },
        { "a,b,c", "bad: 3 fields where 2 columns are declared" },
        { "a,b,", "bad: 3 fields where 2 columns are declared" },
        { "", "bad: an empty line where 2 columns are declared" },
        { "\n\n", "bad: an empty line where 2 columns are declared" },
        { "\"a,b", "bad: field 1: a quote is opened and not closed" },
        { "a,\"b\"c", "bad: field 2: something stands between a closing quote and the delimiter" },
        { "a,\xFF", "bad: not UTF-8 at byte 2" },
    };
    bench b;

    open_format(&b, "DELIMITED", TWO, 2);
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        const char *got = round_trip(&b, CASES[i][0]);
        ck_assert_msg(strcmp(got, CASES[i][1]) == 0, "%s: %s", CASES[i][0], got);
    }
    /* An empty string, unlike a null, is written in quotes where the line begins with it. */
    b.columns[0] = column_new(b.batch, &type_string, 1);
    b.columns[1] = column_new(b.batch, &type_string, 1);
    b.columns[0].str[0] = b.columns[1].str[0] = SLICE("");
    format_encode(b.f, b.columns, (row_set){ NULL, 1 }, b.batch, b.out, NULL);
    ck_assert(slice_is(b.out[0], "\"\","));
    close_format(&b);
}
END_TEST

START_TEST(delimited_types)
{
    static const struct {
        const type *type;
        const char *field, *expected;
    } CASES[] = {
        { &type_boolean, "TRUE", "true" },
        { &type_boolean, "yes", "false" },
        { &type_integer, "+5", "5" },
        { &type_integer, " 5", "bad: column `C`: INTEGER expected, here is a text that is no number:  5" },
        { &type_integer, "5.0", "bad: column `C`: INTEGER expected, here is a text that is no number: 5.0" },
        { &type_integer, "2147483648", "bad: column `C`: INTEGER expected, here is a text that is too large: 2147483648" },
        { &type_bigint, "1e3", "bad: column `C`: BIGINT expected, here is a text that is no number: 1e3" },
        { &type_double, "1", "1.0" },
        { &type_double, "x", "bad: column `C`: DOUBLE expected, here is a text that is no number: x" },
        { &type_double, "NaN", "\"NaN\"" },
        { &DEC_4_2, "1.5", "1.50" },
        { &DEC_4_2, "1.555", "bad: column `C`: DECIMAL(4, 2) expected, here is a text that has more decimal places: 1.555" },
        { &DEC_4_2, "100", "bad: column `C`: DECIMAL(4, 2) expected, here is a text that is too large: 100" },
        { &type_bytes, "!", "bad: column `C`: BYTES expected, here is a text that is not base64: !" },
        { &type_time, "86400001", "bad: column `C`: TIME expected, here is a text that is not within a day: 86400001" },
        { &type_string, "", "null" },
        { &type_string, "\"\"", "null" },
    };

    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        schema_column column = NAMED("C", NULL);
        bench b;
        column.type = CASES[i].type;
        open_spec(&b, (format_spec){ .name = SLICE("DELIMITED"), .is_key = true, .is_unwrapped = true }, &column, 1, NULL);
        const char *got = read_one(&b, CASES[i].field);
        ck_assert_msg(strcmp(got, CASES[i].expected) == 0, "%s: %s", CASES[i].field, got);
        close_format(&b);
    }
}
END_TEST

START_TEST(delimiters)
{
    static const char *const CASES[][2] = {
        { "|", "a|1|" }, { "SPACE", "a 1 " }, { "tab", "a\t1\t" }, { "$", "a$1$" }, { "\xC2\xA7", "a\xC2\xA7" "1\xC2\xA7" },
    };

    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        static const schema_column THREE[] = { NAMED("A", &type_string), NAMED("B", &type_integer), NAMED("C", &type_string) };
        bench b;
        open_spec(&b, (format_spec){ .name = SLICE("DELIMITED"), .delimiter = slice_of(CASES[i][0]) }, THREE, 3, NULL);
        ck_assert_str_eq(round_trip(&b, CASES[i][1]), CASES[i][1]);
        close_format(&b);
    }
    static const char *const BAD[] = { "", " ", "<~>", "\"", "\n" };
    for (size_t i = 0; i < COUNT_OF(BAD); i++) {
        weir_error err;
        format_spec spec = { .name = SLICE("DELIMITED"), .delimiter = slice_of(BAD[i]) };
        ck_assert_int_eq(format_check(&spec, ABC, 3, &err), WEIR_SEMANTIC);
    }
}
END_TEST

/* --- KAFKA, NONE --- */

START_TEST(kafka_round_trips)
{
    static const struct {
        const type *type;
        slice bytes;
        const char *shown;
    } CASES[] = {
        { &type_integer, { "\0\0\1\2", 4 }, "258" },
        { &type_integer, { "\xFF\xFF\xFF\xFF", 4 }, "-1" },
        { &type_bigint, { "\0\0\0\0\0\0\1\2", 8 }, "258" },
        { &type_double, { "\x3F\xF8\0\0\0\0\0\0", 8 }, "1.5" },
        { &type_string, { "h\xC3\xA9", 3 }, "\"h\xC3\xA9\"" },
        { &type_string, { "", 0 }, "\"\"" },
        { &type_bytes, { "\xFF\0", 2 }, "\"/wA=\"" },
        { &type_integer, { NULL, 0 }, "null" },
        { &type_string, { NULL, 0 }, "null" },
        { &type_integer, { "\0\0\1", 3 }, "bad: column `K`: INTEGER takes 4 bytes in format KAFKA, not 3" },
        { &type_bigint, { "\0\0\0\1", 4 }, "bad: column `K`: BIGINT takes 8 bytes in format KAFKA, not 4" },
        { &type_double, { "", 0 }, "bad: column `K`: DOUBLE takes 8 bytes in format KAFKA, not 0" },
        { &type_string, { "a\xFF", 2 }, "bad: column `K`: STRING expected, here is no UTF-8 at byte 1" },
    };

    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        schema_column column = NAMED("K", NULL);
        bench b;
        column.type = CASES[i].type;
        open_format(&b, "Kafka", &column, 1);
        ck_assert_str_eq(read_one_slice(&b, CASES[i].bytes), CASES[i].shown);
        if (strncmp(CASES[i].shown, "bad", 3) != 0) {
            decode_slices(&b, &CASES[i].bytes, 1);
            format_encode(b.f, b.columns, b.rows, b.batch, b.out, NULL);
            ck_assert((b.out[0].data == NULL) == (CASES[i].bytes.data == NULL) && slice_equal(b.out[0], CASES[i].bytes));
            forget(&b);
        }
        close_format(&b);
    }
}
END_TEST

START_TEST(nothing_is_read_where_there_are_no_columns)
{
    static const char *const NAMES[] = { "KAFKA", "NONE", "JSON" };

    for (size_t i = 0; i < COUNT_OF(NAMES); i++) {
        bench b;
        open_format(&b, NAMES[i], NULL, 0);
        ck_assert_str_eq(read_one(&b, "{}"), "");
        format_encode(b.f, NULL, (row_set){ NULL, 2 }, b.batch, b.out, NULL);
        ck_assert(i == 2 ? slice_is(b.out[1], "{}") : b.out[1].data == NULL);
        close_format(&b);
    }
}
END_TEST

/* --- what can be had --- */

static void assert_refused(const char *name, const schema_column *columns, uint32_t count, bool is_unwrapped, weir_rc rc, const char *part)
{
    weir_error err = { 0 };
    format_spec spec = { .name = slice_of(name), .is_unwrapped = is_unwrapped };
    arena *a = arena_new(0);
    format *f;

    ck_assert_int_eq(format_open(&f, &spec, columns, count, NULL, a, &err), rc);
    ck_assert_msg(strstr(err.message, part) != NULL, "%s", err.message);
    arena_free(a);
}

START_TEST(formats_refuse_what_they_cannot_hold)
{
    static const schema_column ARRAYS[] = { NAMED("X", &type_integer), NAMED("Y", &ARRAY_INT) };
    static const schema_column MAPS[] = { NAMED("M", &MAP_INT) };
    static const schema_column BAD_MAPS[] = { NAMED("M", &MAP_BY_INT) };
    static const schema_column STRUCTS[] = { NAMED("T", &POINT) };
    static const schema_column FLAGS[] = { NAMED("F", &type_boolean) };

    assert_refused("DELIMITED", ARRAYS, 2, false, WEIR_SEMANTIC, "no ARRAY, the type of column `Y`");
    assert_refused("DELIMITED", MAPS, 1, false, WEIR_SEMANTIC, "no MAP, the type of column `M`");
    assert_refused("DELIMITED", STRUCTS, 1, false, WEIR_SEMANTIC, "no STRUCT, the type of column `T`");
    assert_refused("KAFKA", FLAGS, 1, false, WEIR_SEMANTIC, "no BOOLEAN, the type of column `F`");
    assert_refused("KAFKA", ABC, 3, false, WEIR_SEMANTIC, "single column");
    assert_refused("NONE", ABC, 3, false, WEIR_SEMANTIC, "without columns");
    assert_refused("JSON", BAD_MAPS, 1, false, WEIR_SEMANTIC, "STRING keys");
    assert_refused("JSON", ABC, 3, true, WEIR_SEMANTIC, "single column");
    assert_refused("PROTOBUF", FLAGS, 1, true, WEIR_SEMANTIC, "unwrapped");
    assert_refused("AVRO", ABC, 3, false, WEIR_SEMANTIC, "AVRO");
    assert_refused("JSON_SR", ABC, 3, false, WEIR_SEMANTIC, "JSON_SR");
    assert_refused("PROTOBUF", ABC, 3, false, WEIR_SEMANTIC, "registry");
    assert_refused("XML", ABC, 3, false, WEIR_SEMANTIC, "unknown format XML");
    bool found;
    ck_assert_uint_eq(format_traits_of(SLICE("json"), &found), FORMAT_KEY | FORMAT_VALUE | FORMAT_WRAPS | FORMAT_UNWRAPS);
    ck_assert(found);
    ck_assert(!(format_traits_of(SLICE("DELIMITED"), &found) & FORMAT_WRAPS));
    ck_assert_uint_eq(format_traits_of(SLICE("XML"), &found), 0);
    ck_assert(!found);
}
END_TEST

START_TEST(windowed_keys)
{
    arena *a = arena_new(0);
    slice key;
    int64_t start, end;

    slice tumbling = windowed_key_encode(a, SLICE("key"), WINDOW_TUMBLING, 1000, 2000);
    ck_assert(slice_equal(tumbling, SLICE("key\0\0\0\0\0\0\x03\xE8")));
    ck_assert(windowed_key_decode(tumbling, WINDOW_HOPPING, 500, &key, &start, &end));
    ck_assert(slice_is(key, "key") && start == 1000 && end == 1500);
    ck_assert(windowed_key_decode(tumbling, WINDOW_TUMBLING, INT64_MAX, &key, &start, &end) && end == INT64_MAX);
    slice session = windowed_key_encode(a, NO_SLICE, WINDOW_SESSION, 1000, 2000);
    ck_assert(slice_equal(session, SLICE("\0\0\0\0\0\0\x07\xD0\0\0\0\0\0\0\x03\xE8")));
    ck_assert(windowed_key_decode(session, WINDOW_SESSION, 0, &key, &start, &end));
    ck_assert(key.data != NULL && key.len == 0 && start == 1000 && end == 2000);
    ck_assert(!windowed_key_decode(tumbling, WINDOW_SESSION, 0, &key, &start, &end));
    ck_assert(!windowed_key_decode(SLICE("1234567"), WINDOW_TUMBLING, 1, &key, &start, &end));
    ck_assert(!windowed_key_decode(NO_SLICE, WINDOW_TUMBLING, 1, &key, &start, &end));
    arena_free(a);
}
END_TEST

/* Damaged records of every kind: nothing but a row or a reason may come of them. */
START_TEST(damaged_records)
{
    static const char RECORD[] =
        "{\"B\":true,\"I\":-7,\"L\":\"12\",\"D\":1.5E-7,\"N\":-12.30,\"S\":{\"a\":[1,\"\\u00e9\"]},\"Y\":\"AQID\",\"DA\":18000,"
        "\"TI\":86399999,\"TS\":1620000000000,\"AR\":[1,null,3],\"MA\":{\"k\":1,\"l\":null},\"ST\":{\"x\":1,\"y\":\"low\"},\"AP\":[{}]}";
    bench b;
    uint32_t seed = 7;

    open_format(&b, "JSON", EVERYTHING, COUNT_OF(EVERYTHING));
    for (size_t cut = 0; cut < sizeof RECORD - 1; cut++) {
        ck_assert(strncmp(read_one_slice(&b, (slice){ RECORD, cut }), "bad: ", 5) == 0);
    }
    for (int round = 0; round < 20000; round++) {
        char copy[sizeof RECORD];
        memcpy(copy, RECORD, sizeof copy);
        for (int i = 0; i < 3; i++) {
            static const char STUFF[] = "{}[]:,\"\\ 0a\xFF\x01-.enu";
            seed = seed * 1103515245 + 12345;
            size_t at = (seed >> 8) % (sizeof copy - 1);
            seed = seed * 1103515245 + 12345;
            copy[at] = STUFF[(seed >> 8) % (sizeof STUFF - 1)];
        }
        slice in = { copy, sizeof copy - 1 };
        decode_slices(&b, &in, 1);
        ck_assert((b.good.count == 1) == (b.reason[0][0] == '\0'));
        if (b.good.count == 1) { /* what was read can be written, and read again */
            format_encode(b.f, b.columns, b.rows, b.batch, b.out, NULL);
            slice again = arena_copy(b.home, b.out[0]);
            forget(&b);
            decode_slices(&b, &again, 1);
            ck_assert_msg(b.good.count == 1, "%s: %.*s", b.reason[0], SLICE_ARG(again));
        }
        forget(&b);
    }
    close_format(&b);
}
END_TEST

static void add_tests(TCase *all)
{
    tcase_add_test(all, json_round_trips);
    tcase_add_test(all, json_coerces_as_ksqldb_does);
    tcase_add_test(all, json_bad_records_say_where);
    tcase_add_test(all, json_fields_by_name);
    tcase_add_test(all, json_order_of_fields_may_change);
    tcase_add_test(all, json_strings);
    tcase_add_test(all, json_large_and_deep);
    tcase_add_test(all, only_rows_and_columns_asked_for_are_touched);
    tcase_add_test(all, json_unwrapped);
    tcase_add_test(all, json_documents);
    tcase_add_test(all, delimited_round_trips);
    tcase_add_test(all, delimited_quotes_as_commons_csv_does);
    tcase_add_test(all, delimited_types);
    tcase_add_test(all, delimiters);
    tcase_add_test(all, kafka_round_trips);
    tcase_add_test(all, nothing_is_read_where_there_are_no_columns);
    tcase_add_test(all, formats_refuse_what_they_cannot_hold);
    tcase_add_test(all, windowed_keys);
    tcase_add_test(all, damaged_records);
}

int main(void)
{
    return run_tests("format", add_tests, NULL, NULL);
}
