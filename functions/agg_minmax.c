/* functions/agg_minmax.c - MIN and MAX of whatever has an order. What a table takes back cannot be undone: the runner-up is
 * not known. */
#include "functions/aggregate.h"

#define FAMILY "aggregate"

typedef struct held_i32 {
    int32_t value;
    uint8_t has;
} held_i32;
typedef struct held_i64 {
    int64_t value;
    uint8_t has;
} held_i64;
typedef struct held_f64 {
    double value;
    uint8_t has;
} held_f64;
typedef struct held_dec {
    decimal value;
    uint8_t has;
} held_dec;
typedef struct held_bool {
    uint8_t value;
    uint8_t has;
} held_bool;

/* NaN is the greatest number, as everywhere in the language. */
#define NUMBER_LESS(a, b) ((a) < (b))
#define DOUBLE_LESS(a, b) ((a) < (b) || ((b) != (b) && (a) == (a)))

#define SHOW(field) (out->null[r] = !acc->has, out->field[r] = acc->value)
#define TAKE(acc, v, better) \
    if (!(acc)->has || better(v, (acc)->value)) (acc)->value = (v), (acc)->has = 1

#define EXTREME(name, acc_type, field, better)                                                                    \
    AGG_LOOP(name##_step, acc_type, TAKE(acc, args[0].field[r], better), SHOW(field))                             \
    AGG_MERGE(name##_merge, acc_type, if (from->has) { TAKE(into, from->value, better); })                        \
    AGG_RESULT(name##_result, acc_type, SHOW(field))                                                              \
    static const aggregate name = { .bytes = sizeof(acc_type), .step = name##_step, .merge = name##_merge,        \
                                    .result = name##_result };

#define LESS(a, b) NUMBER_LESS(a, b)
#define GREATER(a, b) NUMBER_LESS(b, a)
#define LESS_F64(a, b) DOUBLE_LESS(a, b)
#define GREATER_F64(a, b) DOUBLE_LESS(b, a)

EXTREME(min_i32, held_i32, i32, LESS)
EXTREME(max_i32, held_i32, i32, GREATER)
EXTREME(min_i64, held_i64, i64, LESS)
EXTREME(max_i64, held_i64, i64, GREATER)
EXTREME(min_f64, held_f64, f64, LESS_F64)
EXTREME(max_f64, held_f64, f64, GREATER_F64)
EXTREME(min_dec, held_dec, dec, LESS)
EXTREME(max_dec, held_dec, dec, GREATER)
EXTREME(min_bool, held_bool, boolean, LESS)
EXTREME(max_bool, held_bool, boolean, GREATER)

/* ---- text and bytes: the extreme stands in the slab ---- */

static inline void show_tail(agg_context *x, const tail *t, column *out, uint32_t r)
{
    out->null[r] = t->data == NULL;
    if (t->data != NULL) out->str[r] = arena_copy(x->eval->arena, tail_slice(t));
}

static inline void take_text(slab *s, tail *t, slice v, int sign)
{
    if (t->data == NULL || slice_compare(v, tail_slice(t)) * sign > 0) tail_set(s, t, v);
}

AGG_LOOP(min_str_step, tail, take_text(x->slab, acc, args[0].str[r], -1), show_tail(x, acc, out, r))
AGG_LOOP(max_str_step, tail, take_text(x->slab, acc, args[0].str[r], 1), show_tail(x, acc, out, r))
AGG_MERGE(min_str_merge, tail, if (from->data != NULL) take_text(x->slab, into, tail_slice(from), -1))
AGG_MERGE(max_str_merge, tail, if (from->data != NULL) take_text(x->slab, into, tail_slice(from), 1))
AGG_RESULT(str_result, tail, show_tail(x, acc, out, r))

static void str_encode(const call *c, const void *acc, text *out)
{
    (void)c;
    tail_encode(acc, out);
}

static bool str_decode(const call *c, slab *s, struct reader_bytes *in, void *acc)
{
    (void)c;
    return tail_decode(s, in, acc);
}

static void str_drop(const call *c, slab *s, void *acc)
{
    (void)c;
    tail_drop(s, acc);
}

static uint32_t str_tail_bytes(const call *c, const void *acc)
{
    (void)c;
    return ((const tail *)acc)->held;
}

#define EXTREME_TEXT(name)                                                                                    \
    static const aggregate name = { .bytes = sizeof(tail), .step = name##_step, .merge = name##_merge,        \
                                    .result = str_result, .encode = str_encode, .decode = str_decode,         \
                                    .drop = str_drop, .tail_bytes = str_tail_bytes };
EXTREME_TEXT(min_str)
EXTREME_TEXT(max_str)

#define EXTREME_ROWS(name, suffix, sentence)                                                  \
    AGGREGATE(name, "INTEGER", "INTEGER", NULL_SKIP, suffix##_i32, sentence, .example = name "(price)"), \
        AGGREGATE(name, "BIGINT", "BIGINT", NULL_SKIP, suffix##_i64, sentence),               \
        AGGREGATE(name, "DECIMAL", NULL, NULL_SKIP, suffix##_dec, sentence, .resolve = same_type), \
        AGGREGATE(name, "DOUBLE", "DOUBLE", NULL_SKIP, suffix##_f64, sentence),               \
        AGGREGATE(name, "BOOLEAN", "BOOLEAN", NULL_SKIP, suffix##_bool, sentence),            \
        AGGREGATE(name, "STRING", "STRING", NULL_SKIP, suffix##_str, sentence),               \
        AGGREGATE(name, "BYTES", "BYTES", NULL_SKIP, suffix##_str, sentence),                 \
        AGGREGATE(name, "DATE", "DATE", NULL_SKIP, suffix##_i32, sentence),                   \
        AGGREGATE(name, "TIME", "TIME", NULL_SKIP, suffix##_i32, sentence),                   \
        AGGREGATE(name, "TIMESTAMP", "TIMESTAMP", NULL_SKIP, suffix##_i64, sentence)

static const type *same_type(arena *a, const type *const *args, uint32_t count, weir_error *err)
{
    (void)a, (void)count, (void)err;
    return args[0];
}

static const function ROWS[] = {
    EXTREME_ROWS("MIN", min, "Least of the non-null values."),
    EXTREME_ROWS("MAX", max, "Greatest of the non-null values."),
};
const function_family minmax_family = FAMILY_ROWS(ROWS);
