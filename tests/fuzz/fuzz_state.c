/* tests/fuzz/fuzz_state.c - any bytes as what state on disk has: a key, a row's values, or an accumulator of each aggregate.
 * The first byte chooses. What was read gives a result, is written and read again, and must be the same. */
#include "core/text.h"
#include "executor/key.h"
#include "functions/function.h"
#include "tests/fuzz/same.h"

#include <stdlib.h>

#define COUNT_OF(array) ((uint32_t)(sizeof(array) / sizeof *(array)))

static const type DEC = { .kind = TYPE_DECIMAL, .precision = 38, .scale = 5 };
static const type LIST = { .kind = TYPE_ARRAY, .element = &type_double };
static const type MAP = { .kind = TYPE_MAP, .key = &type_string, .element = &LIST };
static const type_field FIELDS[] = { { { "X", 1 }, &MAP }, { { "Y", 1 }, &type_bigint } };
static const type STRUCT = { .kind = TYPE_STRUCT, .fields = FIELDS, .field_count = 2 };
static const type *const TYPES[] = { &type_boolean, &type_integer, &type_bigint, &type_double, &type_string, &type_bytes,
                                     &DEC, &type_date, &type_time, &type_timestamp, &LIST, &MAP, &STRUCT };

static const struct { const char *name; const type *of; bool has_count; } AGGREGATES[] = {
    { "COUNT", &type_string, false },          { "SUM", &type_integer, false },
    { "SUM", &DEC, false },                    { "AVG", &type_double, false },
    { "MIN", &type_string, false },            { "MAX", &DEC, false },
    { "COUNT_DISTINCT", &type_string, false }, { "COUNT_DISTINCT", &type_double, false },
    { "COLLECT_LIST", &type_string, false },   { "COLLECT_LIST", &type_bigint, false },
    { "COLLECT_SET", &type_string, false },    { "COLLECT_SET", &type_double, false },
    { "TOPK", &type_string, true },            { "TOPK", &type_double, true },
    { "TOPKDISTINCT", &type_string, true },    { "TOPKDISTINCT", &type_integer, true },
    { "HISTOGRAM", &type_string, false },      { "STDDEV_SAMP", &type_double, false },
    { "EARLIEST_BY_OFFSET", &type_string, false }, { "LATEST_BY_OFFSET", &STRUCT, false },
    { "EARLIEST_BY_OFFSET", &type_string, true },  { "LATEST_BY_OFFSET", &type_bigint, true },
    { "LATEST_BY_OFFSET", &DEC, false },       { "EARLIEST_BY_OFFSET", &type_boolean, false },
};

static void key(slice bytes, uint8_t choice, arena *a)
{
    column columns[3];
    uint32_t count = choice % 3 + 1;

    for (uint32_t i = 0; i < count; i++) columns[i] = column_new(a, TYPES[(choice / 3 + i * 5) % COUNT_OF(TYPES)], 1);
    if (!key_decode(bytes, columns, count, 0, a)) return;
    slice written, twice;
    column again[3];
    keys_encode(columns, count, (row_set){ NULL, 1 }, 1, a, &written);
    if (written.data == NULL) return;
    for (uint32_t i = 0; i < count; i++) again[i] = column_new(a, columns[i].type, 1);
    if (!key_decode(written, again, count, 0, a)) abort();
    keys_encode(again, count, (row_set){ NULL, 1 }, 1, a, &twice); /* not the values: of all NaNs one is written */
    if (!slice_equal(written, twice)) abort();
}

static void values(slice bytes, uint8_t choice, arena *a)
{
    reader_bytes in = read_from(bytes);

    for (uint32_t i = choice; in.at < in.end; i++) {
        const type *t = TYPES[i % COUNT_OF(TYPES)];
        value v, again;
        text out = TEXT_EMPTY;
        if (!value_decode(&in, t, a, &v)) return;
        value_encode(&out, t, &v);
        reader_bytes second = read_from(text_slice(&out));
        if (!value_decode(&second, t, a, &again) || second.at != second.end) abort();
        if (!same(t, &v, &again)) abort();
        text_free(&out);
    }
}

static value result_of(const call *c, agg_context *x, char *group, arena *a)
{
    column out = column_new(a, c->result, 1);

    c->fn->agg->result(c, x, &group, 0, (row_set){ NULL, 1 }, &out);
    return column_get(&out, 0);
}

static void accumulator(slice bytes, uint8_t choice, arena *a)
{
    static const value three = { .i32 = 3 };
    static const weir_clock clock = { .is_virtual = true };
    uint32_t which = choice % COUNT_OF(AGGREGATES);
    const type *types[] = { AGGREGATES[which].of, &type_integer };
    const value *constants[] = { NULL, &three };
    uint32_t count = AGGREGATES[which].has_count ? 2 : 1;
    resolved r;
    weir_error err;

    if (function_resolve(slice_of(AGGREGATES[which].name), types, count, NULL, NOWHERE, a, &r, &err) != WEIR_OK) abort();
    call c = { .fn = r.fn, .result = r.result, .arg_types = r.params, .arg_count = count, .constants = constants };
    if (r.fn->prepare != NULL && r.fn->prepare(&c, a, &err) != WEIR_OK) abort();
    const aggregate *agg = r.fn->agg;
    eval_context eval = { .arena = a, .clock = &clock };
    agg_context x = { .eval = &eval, .slab = slab_new(NULL) };
    size_t room = agg->bytes_of != NULL ? agg->bytes_of(&c) : agg->bytes;
    char *one = arena_zero(a, room), *two = arena_zero(a, room);
    reader_bytes in = read_from(bytes);

    if (agg->init != NULL) {
        agg->init(&c, one);
        agg->init(&c, two);
    }
    if (agg->decode != NULL && agg->decode(&c, x.slab, &in, one) && !in.bad) {
        text out = TEXT_EMPTY;
        value before = result_of(&c, &x, one, a);
        agg->encode(&c, one, &out);
        reader_bytes second = read_from(text_slice(&out));
        if (!agg->decode(&c, x.slab, &second, two) || second.bad || second.at != second.end) abort();
        value after = result_of(&c, &x, two, a);
        if (!same(c.result, &before, &after)) abort();
        if (agg->merge != NULL) {
            agg->merge(&c, &x, two, one);
            (void)result_of(&c, &x, two, a);
        }
        text_free(&out);
    }
    if (agg->drop != NULL) {
        agg->drop(&c, x.slab, one);
        agg->drop(&c, x.slab, two);
    }
    if (slab_bytes_lent(x.slab) != 0) abort();
    slab_drop(x.slab);
    if (r.fn->release != NULL) r.fn->release(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    arena *a = arena_new(0);
    char *exact = malloc(size - 2 + (size == 2)); /* a reader that goes past the end is seen */
    memcpy(exact, data + 2, size - 2);
    slice bytes = { exact, size - 2 };

    switch (data[0] % 4) {
    case 0: key(bytes, data[1], a); break;
    case 1: values(bytes, data[1], a); break;
    default: accumulator(bytes, data[1], a);
    }
    free(exact);
    arena_free(a);
    return 0;
}
