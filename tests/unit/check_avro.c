/* tests/unit/check_avro.c - the formats with schemas: bytes as their specifications have them, schemas as ksqlDB writes
 * them, rows there and back, and bytes that are wrong. */
#include "storage/formats/format.h"
#include "storage/formats/json_schema.h"
#include "storage/registry.h"
#include "tests/unit/run_tests.h"

#include <check.h>
#include <stdio.h>

#define NAMED(n, t) { .name = { n, sizeof(n) - 1 }, .type = t }

static const type DEC = { .kind = TYPE_DECIMAL, .precision = 6, .scale = 2 };
static const type LIST = { .kind = TYPE_ARRAY, .element = &type_bigint };
static const type MAP = { .kind = TYPE_MAP, .key = &type_string, .element = &type_double };
static const type_field FIELDS[] = { { { "X", 1 }, &type_integer }, { { "Y", 1 }, &type_string } };
static const type STRUCT = { .kind = TYPE_STRUCT, .fields = FIELDS, .field_count = 2 };

static const schema_column ALL[] = {
    NAMED("B", &type_boolean), NAMED("I", &type_integer), NAMED("L", &type_bigint),    NAMED("D", &type_double),
    NAMED("S", &type_string),  NAMED("Y", &type_bytes),   NAMED("N", &DEC),            NAMED("DA", &type_date),
    NAMED("TI", &type_time),   NAMED("TS", &type_timestamp), NAMED("A", &LIST),        NAMED("M", &MAP),
    NAMED("R", &STRUCT),
};
#define COLUMNS ((uint32_t)(sizeof ALL / sizeof *ALL))

typedef struct bench {
    arena *home;
    registry *registry;
    format *f;
    char reason[300];
} bench;

static void note(void *self, uint32_t row, const char *reason)
{
    bench *b = self;

    (void)row;
    snprintf(b->reason, sizeof b->reason, "%s", reason);
}

static bench bench_open(void)
{
    return (bench){ .home = arena_new(0), .registry = registry_open_local(NULL) };
}

static void bench_close(bench *b)
{
    format_close(b->f);
    registry_close(b->registry);
    arena_free(b->home);
}

static void open_format(bench *b, const char *name, const schema_column *columns, uint32_t count, bool is_unwrapped, bool writes)
{
    const format_spec spec = { .name = slice_of(name), .registry = b->registry, .subject = SLICE("t-value"), .is_unwrapped = is_unwrapped };
    weir_error err;

    format_close(b->f);
    ck_assert_msg(format_open(&b->f, &spec, columns, count, NULL, b->home, &err) == WEIR_OK, "%s", err.message);
    if (writes) ck_assert_msg(format_start_writing(b->f, b->home, &err) == WEIR_OK, "%s", err.message);
}

static void register_avro(bench *b, const char *schema)
{
    registry_put(b->registry, SLICE("t-value"), &(schema_text){ .language = SCHEMA_AVRO, .text = slice_of(schema) }, 0);
}

static bool decode(bench *b, slice bytes, const schema_column *columns, uint32_t count, column *out)
{
    weir_error err;
    const row_report report = { note, b };
    char *padded = arena_zero(b->home, bytes.len + 64);

    memcpy(padded, bytes.data, bytes.len);
    bytes.data = padded;
    for (uint32_t i = 0; i < count; i++) out[i] = column_new(b->home, columns[i].type, 1);
    row_set read = format_decode(b->f, &bytes, (row_set){ NULL, 1 }, b->home, out, &report);
    ck_assert_int_eq(format_failure(b->f, &err), WEIR_OK);
    return read.count == 1;
}

#define BYTES(literal) ((slice){ literal, sizeof(literal) - 1 })

static void row_of_all(bench *b, column *row, bool is_null)
{
    static value list[] = { { .i64 = 1 }, { .i64 = -1000000000000 } }, keys[] = { { .str = { "k", 1 } } }, doubles[] = { { .f64 = 1.5 } };
    static value fields[] = { { .i32 = -7 }, { .str = { "y", 1 } } };
    const value values[] = {
        { .boolean = true }, { .i32 = -5 }, { .i64 = 1234567890123 }, { .f64 = -0.25 }, { .str = SLICE("h\xC3\xA9") }, { .str = BYTES("\0\xFF") },
        { .dec = -12345 }, { .i32 = 18628 }, { .i32 = 3723004 }, { .i64 = 1600000000123 }, { .list = { list, 2 } }, { .map = { keys, doubles, 1 } },
        { .list = { fields, 2 } },
    };

    for (uint32_t i = 0; i < COLUMNS; i++) {
        value v = is_null ? NULL_VALUE : values[i];
        row[i] = column_new(b->home, ALL[i].type, 1);
        column_set(&row[i], 0, &v);
    }
}

START_TEST(rows_go_there_and_back)
{
    static const char *const NAMES[] = { "AVRO", "JSON_SR", "PROTOBUF", "PROTOBUF_NOSR" };
    column row[COLUMNS], again[COLUMNS];
    slice bytes;

    for (int n = 0; n < 4; n++) {
        for (int is_null = 0; is_null < 2; is_null++) {
            bench b = bench_open();
            const row_report report = { note, &b };
            open_format(&b, NAMES[n], ALL, COLUMNS, false, true);
            row_of_all(&b, row, is_null);
            row_set one = format_encode(b.f, row, (row_set){ NULL, 1 }, b.home, &bytes, &report);
            ck_assert_msg(one.count == 1, "%s: %s", NAMES[n], b.reason);
            open_format(&b, NAMES[n], ALL, COLUMNS, false, false);
            ck_assert_msg(decode(&b, bytes, ALL, COLUMNS, again), "%s: %s", NAMES[n], b.reason);
            for (uint32_t i = 0; i < COLUMNS; i++) {
                value before = column_get(&row[i], 0), after = column_get(&again[i], 0);
                if (is_null && n >= 2) continue; /* the defaults of Protobuf */
                ck_assert_msg(value_equal(ALL[i].type, &before, &after), "%s: column %u", NAMES[n], i);
            }
            bench_close(&b);
        }
    }
}
END_TEST

START_TEST(avro_bytes_are_those_of_the_specification)
{
    bench b = bench_open();
    const schema_column columns[] = { NAMED("A", &type_bigint), NAMED("B", &type_string) };
    column row[2];
    slice bytes;

    open_format(&b, "AVRO", columns, 2, false, true);
    for (int i = 0; i < 2; i++) row[i] = column_new(b.home, columns[i].type, 1);
    row[0].i64[0] = 27;
    row[1].str[0] = SLICE("foo");
    format_encode(b.f, row, (row_set){ NULL, 1 }, b.home, &bytes, NULL);
    ck_assert(slice_equal(bytes, BYTES("\0\0\0\0\1\2\x36\2\6\x66\x6f\x6f")));
    bench_close(&b);
}
END_TEST

START_TEST(avro_schemas_are_resolved_by_name)
{
    bench b = bench_open();
    const schema_column columns[] = { NAMED("C", &type_bigint), NAMED("A", &type_string), NAMED("GONE", &type_integer) };
    column row[3];

    register_avro(&b, "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"skipped\",\"type\":{\"type\":\"map\",\"values\":[\"null\",\"int\",\"string\"]}},"
                      "{\"name\":\"a\",\"type\":{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"X\",\"Y\"]}},"
                      "{\"name\":\"f\",\"type\":{\"type\":\"fixed\",\"name\":\"x\",\"size\":2}},{\"name\":\"c\",\"type\":[\"int\",\"null\"]}]}");
    open_format(&b, "AVRO", columns, 3, false, false);
    /* a map of two in two blocks, one with its bytes given; Y; two bytes; 3 */
    ck_assert_msg(decode(&b, BYTES("\0\0\0\0\1" "\1\x0a\2k\2\6" "" "\2\2l\0\0" "\2" "zz" "\0\6"), columns, 3, row) == false, "a block of wrong length");
    ck_assert_msg(decode(&b, BYTES("\0\0\0\0\1" "\1\x08\2k\2\6" "\2\2l\0" "\0" "\2" "zz" "\0\6"), columns, 3, row), "%s", b.reason);
    ck_assert_int_eq(row[0].i64[0], 3);
    ck_assert(slice_is(row[1].str[0], "Y"));
    ck_assert_int_eq(row[2].null[0], 1);
    bench_close(&b);
}
END_TEST

START_TEST(wrong_bytes_are_bad_rows)
{
    bench b = bench_open();
    const schema_column columns[] = { NAMED("A", &type_bigint) };
    column row[1];

    register_avro(&b, "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"A\",\"type\":\"long\"}]}");
    register_avro(&b, "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"A\",\"type\":\"string\"}]}");
    register_avro(&b, "{\"type\":\"nonsense\"}");
    registry_put(b.registry, SLICE("p"), &(schema_text){ .language = SCHEMA_PROTOBUF, .text = SLICE("syntax = \"proto3\";") }, 4);
    static const struct {
        slice bytes;
        const char *reason;
    } CASES[] = {
        { { "\0\0\0\0\1\2", 6 }, NULL },
        { { "", 0 }, "no schema id stands before the record: its 0 bytes are fewer than the 5 of one" },
        { { "\1\0\0\0\1\2", 6 }, "no schema id stands before the record: it begins with the byte 0x01, not 0x00" },
        { { "\0\0\0\0\1", 5 }, "column `A`: the bytes are not of schema 1: by byte 0 of 0 they end too early" },
        { { "\0\0\0\0\1\2\2", 7 }, "the bytes are not of schema 1: by byte 1 of 2 they end too early" },
        { { "\0\0\0\0\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16 }, "end too early" },
        { { "\0\0\0\0\2\2a", 7 }, "column `A`: BIGINT expected, schema 2 has string" },
        { { "\0\0\0\0\3\2", 6 }, "of schema 3: the Avro schema is wrong: " },
        { { "\0\0\0\0\4\2", 6 }, "the record's schema 4 is a Protobuf schema, and the format is AVRO" },
        { { "\0\0\0\0\x63\2", 6 }, "no schema of id 99" },
    };

    open_format(&b, "AVRO", columns, 1, false, false);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        bool is_good = decode(&b, CASES[i].bytes, columns, 1, row);
        ck_assert_msg(is_good == (CASES[i].reason == NULL), "case %zu", i);
        ck_assert_msg(is_good || strstr(b.reason, CASES[i].reason) != NULL, "case %zu: %s", i, b.reason);
    }
    bench_close(&b);
}
END_TEST

/* A reason tells the way to the value, what was found there and what was expected. */
START_TEST(reasons_tell_the_way)
{
    static const type_field IN[] = { { { "L", 1 }, &LIST } };
    static const type OUTER = { .kind = TYPE_STRUCT, .fields = IN, .field_count = 1 };
    static const type INTS = { .kind = TYPE_MAP, .key = &type_string, .element = &type_integer };
    const schema_column columns[] = { NAMED("R", &OUTER), NAMED("M", &INTS) };
    bench b = bench_open();
    column row[2];

    register_avro(&b, "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"R\",\"type\":{\"type\":\"record\",\"name\":\"i\",\"fields\":"
                      "[{\"name\":\"L\",\"type\":{\"type\":\"array\",\"items\":\"string\"}}]}},"
                      "{\"name\":\"M\",\"type\":{\"type\":\"map\",\"values\":\"long\"}}]}");
    open_format(&b, "AVRO", columns, 2, false, false);
    ck_assert(!decode(&b, BYTES("\0\0\0\0\1" "\2\2x\0" "\0"), columns, 2, row));
    ck_assert_str_eq(b.reason, "column `R`->`L`[1]: BIGINT expected, schema 1 has string");
    ck_assert(!decode(&b, BYTES("\0\0\0\0\1" "\0" "\4" "\2k\2" "\2l\2" "\0"), columns, 2, row));
    ck_assert_str_eq(b.reason, "column `M`[1]: INTEGER expected, schema 1 has long");

    /* A count of more items than may be, in a field that nobody wants. */
    register_avro(&b, "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"x\",\"type\":{\"type\":\"map\",\"values\":\"null\"}}]}");
    ck_assert(!decode(&b, BYTES("\0\0\0\0\2" "\xfe\xff\xff\xff\x0f"), columns, 2, row));
    ck_assert_str_eq(b.reason, "`x`: an array or map of more than 8000000 items");

    registry_put(b.registry, SLICE("p"), &(schema_text){ .language = SCHEMA_PROTOBUF, .text = SLICE("syntax = \"proto3\"; message O { I r = 1;"
                 " map<string, string> m = 2; message I { repeated int64 l = 1; } } message P { I r = 1; message I { repeated string l = 1; } }") }, 0);
    open_format(&b, "PROTOBUF", columns, 2, false, false);
    ck_assert(!decode(&b, BYTES("\0\0\0\0\3" "\0"), columns, 2, row));
    ck_assert_str_eq(b.reason, "column `M`: MAP<STRING, INTEGER> expected, schema 3 has map<string, string>");
    ck_assert(!decode(&b, BYTES("\0\0\0\0\3" "\2\2"), columns, 2, row));
    ck_assert_str_eq(b.reason, "column `R`->`L`: ARRAY<BIGINT> expected, schema 3 has repeated string");
    ck_assert(!decode(&b, BYTES("\0\0\0\0\3" "\2\x7e"), columns, 2, row));
    ck_assert_str_eq(b.reason, "the record names a message that its schema 3 has not");
    open_format(&b, "PROTOBUF", columns, 1, false, false);
    ck_assert(!decode(&b, BYTES("\0\0\0\0\3" "\0" "\x0a\3\x0a\1\x80"), columns, 1, row));
    ck_assert_str_eq(b.reason, "column `R`->`L`[1]: the bytes are no Protobuf message of schema 3: they end too early, or hold what it does not allow");
    bench_close(&b);
}
END_TEST

/* Two lists whose names differ in case alone have one column, and each its own room while they are read. */
START_TEST(protobuf_fields_that_share_a_column)
{
    const schema_column columns[] = { NAMED("A", &LIST) };
    bench b = bench_open();
    column row[1];

    registry_put(b.registry, SLICE("p"), &(schema_text){ .language = SCHEMA_PROTOBUF,
                 .text = SLICE("syntax = \"proto2\"; message M { repeated int64 a = 1; repeated int64 A = 2; }") }, 0);
    open_format(&b, "PROTOBUF", columns, 1, false, false);
    ck_assert_msg(decode(&b, BYTES("\0\0\0\0\1" "\0" "\x08\1\x08\2\x08\3\x08\4" "\x10\5"), columns, 1, row), "%s", b.reason);
    ck_assert_uint_eq(row[0].nested[0].list.count, 1);
    ck_assert_int_eq(row[0].nested[0].list.items[0].i64, 5);
    ck_assert_msg(decode(&b, BYTES("\0\0\0\0\1" "\0" "\x08\7"), columns, 1, row), "%s", b.reason);
    ck_assert_uint_eq(row[0].nested[0].list.count, 1);
    bench_close(&b);
}
END_TEST

START_TEST(protobuf_bytes_are_those_of_the_specification)
{
    bench b = bench_open();
    const schema_column columns[] = { NAMED("A", &type_integer), NAMED("B", &type_string), NAMED("C", &LIST) };
    column row[3];
    slice bytes;

    open_format(&b, "PROTOBUF_NOSR", columns, 3, false, true);
    static value items[] = { { .i64 = 3 }, { .i64 = 270 }, { .i64 = 86942 } };
    for (int i = 0; i < 3; i++) row[i] = column_new(b.home, columns[i].type, 1);
    row[0].i32[0] = 150;
    row[1].str[0] = SLICE("testing");
    row[2].nested[0] = (value){ .list = { items, 3 } };
    format_encode(b.f, row, (row_set){ NULL, 1 }, b.home, &bytes, NULL);
    ck_assert(slice_equal(bytes, BYTES("\x08\x96\x01\x12\x07testing\x1a\x06\x03\x8e\x02\x9e\xa7\x05")));
    /* a later field counts; what is unknown is passed over; lists need not be packed */
    ck_assert_msg(decode(&b, BYTES("\x08\x01\x08\x02\x22\x01z\x18\x05\x18\x06"), columns, 3, row), "%s", b.reason);
    ck_assert_int_eq(row[0].i32[0], 2);
    ck_assert_int_eq(row[1].null[0], 0);
    ck_assert_uint_eq(row[2].nested[0].list.count, 2);
    ck_assert(!decode(&b, BYTES("\x12\x07test"), columns, 3, row));
    ck_assert_str_eq(b.reason, "column `B`: the bytes are no Protobuf message of the columns' schema: they end too early, or hold what it does "
                               "not allow");
    ck_assert(!decode(&b, BYTES("\x12\x02" "a\xff"), columns, 3, row));
    ck_assert_str_eq(b.reason, "column `B`: STRING expected, here is no UTF-8 at byte 1 of it");
    ck_assert(!decode(&b, BYTES("\x0b"), columns, 3, row));
    ck_assert_str_eq(b.reason, "column `A`: int32 expected by the columns' schema, here is a field of wire type 3");
    ck_assert(!decode(&b, BYTES("\x0d\1\2\3\4"), columns, 3, row));
    ck_assert_str_eq(b.reason, "column `A`: int32 expected by the columns' schema, here is a field of wire type 5");
    bench_close(&b);
}
END_TEST

static void assert_columns(const char *format, const char *schema, bool is_unwrapped, const char *expected)
{
    bench b = bench_open();
    schema_language language = format[0] == 'A' ? SCHEMA_AVRO : format[0] == 'J' ? SCHEMA_JSON : SCHEMA_PROTOBUF;
    const schema_column *columns;
    text shown = TEXT_EMPTY;
    weir_error err;
    uint32_t count;

    registry_put(b.registry, SLICE("s"), &(schema_text){ .language = language, .text = slice_of(schema) }, 0);
    const format_spec spec = { .name = slice_of(format), .registry = b.registry, .subject = SLICE("s"), .is_unwrapped = is_unwrapped };
    if (format_columns(&spec, b.home, &columns, &count, &err) == WEIR_OK) {
        schema_print(&shown, &(struct schema){ columns, 0, count }, false);
        ck_assert_str_eq(shown.data, expected);
    } else {
        ck_assert_int_eq(err.rc, WEIR_SEMANTIC);
        ck_assert_msg(strstr(err.message, expected) != NULL, "%s", err.message);
    }
    text_free(&shown);
    bench_close(&b);
}

START_TEST(schemas_tell_columns)
{
    assert_columns("AVRO", "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":[\"null\",\"int\"]},{\"name\":\"b\",\"type\":"
                           "{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"e\",\"connect.internal.type\":\"MapEntry\",\"fields\":"
                           "[{\"name\":\"key\",\"type\":\"string\"},{\"name\":\"value\",\"type\":\"double\"}]}}}]}", false,
                   "`A` INTEGER, `B` MAP<STRING, DOUBLE>");
    assert_columns("AVRO", "\"long\"", true, "`ROWVAL` BIGINT");
    assert_columns("AVRO", "\"long\"", false, "no record");
    assert_columns("AVRO", "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":[\"null\",\"r\"]}]}", false, "holds itself");
    assert_columns("AVRO", "{\"type\":\"record\",\"name\":\"r\"}", false, "no fields");
    assert_columns("JSON_SR", "{\"type\":\"object\",\"properties\":{\"b\":{\"type\":\"number\",\"connect.index\":1},\"a\":{\"oneOf\":[{\"type\":\"null\"},"
                              "{\"type\":\"integer\",\"connect.type\":\"int32\"}],\"connect.index\":0},\"c\":{\"$ref\":\"#/definitions/t\"}},"
                              "\"definitions\":{\"t\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}}}", false,
                   "`A` INTEGER, `B` DOUBLE, `C` ARRAY<STRING>");
    assert_columns("JSON_SR", "{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#\"}}}", false, "holds itself");
    assert_columns("JSON_SR", "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{\"type\":\"boolean\"},\"c\":{\"type\":[\"string\","
                              "\"integer\"]},\"d\":{\"type\":\"string\"}}}", false, "`B` BOOLEAN, `D` STRING");
    assert_columns("JSON_SR", "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"null\"}}}", false, "without properties that have a type");
    assert_columns("PROTOBUF", "syntax = \"proto3\"; import \"google/protobuf/timestamp.proto\"; message M { map<string, N> m = 1; repeated uint32 u = 2;"
                               " google.protobuf.Timestamp t = 3; message N { bool b = 1; } }", false,
                   "`M` MAP<STRING, STRUCT<`B` BOOLEAN>>, `U` ARRAY<BIGINT>, `T` TIMESTAMP");
    assert_columns("PROTOBUF", "syntax = \"proto3\"; message M { M m = 1; }", false, "holds itself");
    assert_columns("PROTOBUF", "message {", false, "line 1");
    /* message M { int32 a = 1; repeated string s = 2; } as a descriptor, as some clients register it */
    assert_columns("PROTOBUF", "CgdtLnByb3RvIh8KAU0SDAoBYRgBIAEoBVIBYRIMCgFzGAIgAygJUgFzYgZwcm90bzM=", false,
                   "`A` INTEGER, `S` ARRAY<STRING>");
}
END_TEST

static void add_tests(TCase *all)
{
    tcase_add_test(all, rows_go_there_and_back);
    tcase_add_test(all, avro_bytes_are_those_of_the_specification);
    tcase_add_test(all, avro_schemas_are_resolved_by_name);
    tcase_add_test(all, wrong_bytes_are_bad_rows);
    tcase_add_test(all, reasons_tell_the_way);
    tcase_add_test(all, protobuf_bytes_are_those_of_the_specification);
    tcase_add_test(all, protobuf_fields_that_share_a_column);
    tcase_add_test(all, schemas_tell_columns);
}

int main(void)
{
    return run_tests("formats with schemas", add_tests, NULL, NULL);
}
