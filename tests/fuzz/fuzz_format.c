/* tests/fuzz/fuzz_format.c - any bytes as records of each format: the first byte chooses format and columns, the rest is cut
 * into records at bytes 0xFE. What was read is written and read again, and must be the same. */
#include "storage/formats/format.h"

#include <stdlib.h>

#define ROWS_MAX 16
#define NAMED(n, t) { .name = { n, sizeof(n) - 1 }, .type = t }
#define COUNT_OF(array) ((uint32_t)(sizeof(array) / sizeof *(array)))

static const type DEC = { .kind = TYPE_DECIMAL, .precision = 20, .scale = 5 };
static const type LIST = { .kind = TYPE_ARRAY, .element = &type_double };
static const type MAP = { .kind = TYPE_MAP, .key = &type_string, .element = &LIST };
static const type_field FIELDS[] = { { { "X", 1 }, &MAP }, { { "y", 1 }, &type_string }, { { "Y", 1 }, &type_bigint } };
static const type STRUCT = { .kind = TYPE_STRUCT, .fields = FIELDS, .field_count = 3 };

static const schema_column COLUMNS[] = {
    NAMED("A", &type_string),  NAMED("a", &type_integer), NAMED("B", &type_boolean), NAMED("L", &type_bigint),
    NAMED("D", &type_double),  NAMED("N", &DEC),          NAMED("Y", &type_bytes),   NAMED("TI", &type_time),
    NAMED("TS", &type_timestamp), NAMED("LI", &LIST),     NAMED("M", &MAP),          NAMED("S", &STRUCT),
};
#define SCALARS 9

static row_set decode(format *f, const slice *bytes, uint32_t count, uint32_t rows, const schema_column *schema, arena *a, column *columns)
{
    for (uint32_t i = 0; i < count; i++) columns[i] = column_new(a, schema[i].type, rows);
    return format_decode(f, bytes, (row_set){ NULL, rows }, a, columns, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    arena *a = arena_new(0);
    format_spec spec = { .name = SLICE("JSON") };
    const schema_column *schema = COLUMNS;
    uint32_t count = COUNT_OF(COLUMNS), rows = 0;
    bool is_json = data[0] % 4 < 2;
    slice in[ROWS_MAX], out[ROWS_MAX];
    column first[COUNT_OF(COLUMNS)], second[COUNT_OF(COLUMNS)];
    weir_error err;
    format *f;

    if (data[0] % 4 == 1) {
        spec.is_unwrapped = true;
        schema = &COLUMNS[data[0] / 4 % COUNT_OF(COLUMNS)];
        count = 1;
    } else if (data[0] % 4 == 2) {
        spec.name = SLICE("DELIMITED");
        count = data[0] / 4 % SCALARS + 1;
        if (data[0] >= 128) spec.delimiter = SLICE("SPACE");
    } else if (data[0] % 4 == 3) {
        static const uint32_t FOR_KAFKA[] = { 0, 1, 3, 4, 6 };
        uint32_t which = data[0] / 4 % (COUNT_OF(FOR_KAFKA) + 1);
        count = which < COUNT_OF(FOR_KAFKA);
        spec.name = count == 1 ? SLICE("KAFKA") : SLICE("NONE");
        schema = &COLUMNS[FOR_KAFKA[which * count]];
    }
    if (format_open(&f, &spec, schema, count, NULL, a, &err) != WEIR_OK) abort();

    const char *at = (const char *)data + 1, *end = (const char *)data + size;
    while (at <= end && rows < ROWS_MAX) {
        const char *next = at == end ? NULL : memchr(at, 0xFE, (size_t)(end - at));
        size_t len = (size_t)((next == NULL ? end : next) - at);
        char *copy = malloc(len + 64);
        if (len > 0) memcpy(copy, at, len);
        memset(copy + len, '"', 64);
        in[rows++] = (slice){ copy, len };
        at = next == NULL ? end + 1 : next + 1;
    }

    row_set good = decode(f, in, count, rows, schema, a, first);
    row_set written = format_encode(f, first, good, a, out, NULL);
    if (written.count != good.count) abort();
    if (good.count > 0) {
        slice again[ROWS_MAX];
        uint32_t n = 0;
        EACH_ROW(r, good) {
            char *copy = arena_zero(a, out[r].len + 64);
            if (out[r].len > 0) memcpy(copy, out[r].data, out[r].len);
            again[n++] = out[r].data == NULL ? NO_SLICE : (slice){ copy, out[r].len };
        }
        if (decode(f, again, count, n, schema, a, second).count != n) abort();
        n = 0;
        EACH_ROW(r, good) {
            for (uint32_t i = 0; i < count; i++) {
                value before = column_get(&first[i], r), after = column_get(&second[i], n);
                /* DELIMITED does not tell "" from null. */
                if (!is_json && before.is_null != after.is_null && !before.is_null && before.str.len == 0) continue;
                if (!value_equal(schema[i].type, &before, &after)) abort();
            }
            n++;
        }
    }
    for (uint32_t i = 0; i < rows; i++) free((char *)in[i].data);
    format_close(f);
    arena_free(a);
    return 0;
}
