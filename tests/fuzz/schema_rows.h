/* tests/fuzz/schema_rows.h - what the fuzz targets of the formats with schemas share: any bytes as one record of columns of
 * all types; what was read is written with weir's own schema and read again, and must be the same. */
#ifndef WEIR_TESTS_FUZZ_SCHEMA_ROWS_H
#define WEIR_TESTS_FUZZ_SCHEMA_ROWS_H

#include "storage/formats/format.h"
#include "storage/registry.h"

#include <stdlib.h>

#define NAMED(n, t) { .name = { n, sizeof(n) - 1 }, .type = t }

static const type DEC = { .kind = TYPE_DECIMAL, .precision = 20, .scale = 5 };
static const type LIST = { .kind = TYPE_ARRAY, .element = &type_double };
static const type_field FIELDS[] = { { { "X", 1 }, &LIST }, { { "Y", 1 }, &type_string }, { { "Z", 1 }, &type_bigint } };
static const type STRUCT = { .kind = TYPE_STRUCT, .fields = FIELDS, .field_count = 3 };
static const type MAP = { .kind = TYPE_MAP, .key = &type_string, .element = &STRUCT };
static const type STRUCTS = { .kind = TYPE_ARRAY, .element = &STRUCT };

static const schema_column COLUMNS[] = {
    NAMED("A", &type_string), NAMED("B", &type_boolean), NAMED("C", &type_integer), NAMED("D", &type_double), NAMED("E", &DEC),
    NAMED("F", &type_bytes),  NAMED("G", &type_time),    NAMED("H", &type_timestamp), NAMED("I", &type_date), NAMED("J", &LIST),
    NAMED("K", &MAP),         NAMED("L", &STRUCT),       NAMED("M", &STRUCTS),      NAMED("N", &type_bigint),
};
#define COUNT ((uint32_t)(sizeof COLUMNS / sizeof *COLUMNS))

static bool read_one(format *f, slice bytes, arena *a, column *columns)
{
    char *padded = malloc(bytes.len + 64); /* of its own, so that reading beyond it shows */

    if (bytes.len > 0) memcpy(padded, bytes.data, bytes.len);
    memset(padded + bytes.len, 0x81, 64);
    bytes.data = padded;
    for (uint32_t i = 0; i < COUNT; i++) columns[i] = column_new(a, COLUMNS[i].type, 1);
    row_set read = format_decode(f, &bytes, (row_set){ NULL, 1 }, a, columns, NULL);
    for (uint32_t i = 0; read.count == 1 && i < COUNT; i++) { /* they may lend from the bytes */
        value v = column_get(&columns[i], 0);
        v = value_copy(a, COLUMNS[i].type, &v);
        column_set(&columns[i], 0, &v);
    }
    free(padded);
    return read.count == 1;
}

static void there_and_back(const format_spec *spec, slice bytes)
{
    arena *a = arena_new(0);
    column first[COUNT], second[COUNT];
    weir_error err;
    slice out;
    format *f;

    if (format_open(&f, spec, COLUMNS, COUNT, NULL, a, &err) != WEIR_OK) abort();
    if (read_one(f, bytes, a, first)) {
        if (format_start_writing(f, a, &err) != WEIR_OK) abort();
        if (format_encode(f, first, (row_set){ NULL, 1 }, a, &out, NULL).count == 1) {
            if (!read_one(f, out, a, second)) abort();
            for (uint32_t i = 0; i < COUNT; i++) {
                value before = column_get(&first[i], 0), after = column_get(&second[i], 0);
                if (!value_equal(COLUMNS[i].type, &before, &after)) abort();
            }
        }
    }
    format_close(f);
    arena_free(a);
}

#endif
