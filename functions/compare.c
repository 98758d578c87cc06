/* functions/compare.c - comparisons, NOT, IS NULL. A comparison with a null is false, never null, so these bodies see
 * nulls and write the answer of every row; what stands under a null byte is read too, and means nothing. */
#include "functions/family.h"

#include "core/date.h"

#define NEITHER_NULL(r) (uint8_t)(~(args[0].null[r] | args[1].null[r]) & 1)

/* One loop for the whole column and one for some of its rows: no branch on type or operator inside. The columns are copied
 * to locals, or every byte written could have changed where they point, and nothing would be vectorised. */
#define COMPARE_LOOP(name, expression)                                                                        \
    static void name(const call *c, eval_context *x, const column *all, row_set rows, column *out)            \
    {                                                                                                         \
        const column args[2] = { all[0], all[c->arg_count - 1] };                                             \
        uint8_t *restrict to = out->boolean;                                                                  \
        (void)x;                                                                                              \
        if (rows.index == NULL) {                                                                             \
            for (uint32_t r = 0; r < rows.count; r++) to[r] = (uint8_t)(expression);                          \
            return;                                                                                           \
        }                                                                                                     \
        for (uint32_t i = 0; i < rows.count; i++) {                                                           \
            uint32_t r = rows.index[i];                                                                       \
            to[r] = (uint8_t)(expression);                                                                    \
        }                                                                                                     \
    }

/* The eight comparisons of one pair of operands. `distinct` is what differs where neither is null. */
#define SIX(suffix, a, b)                                                                                     \
    COMPARE_LOOP(eq_##suffix, NEITHER_NULL(r) & ((a) == (b)))                                                 \
    COMPARE_LOOP(ne_##suffix, NEITHER_NULL(r) & (((a) < (b)) | ((a) > (b))))                                  \
    COMPARE_LOOP(lt_##suffix, NEITHER_NULL(r) & ((a) < (b)))                                                  \
    COMPARE_LOOP(le_##suffix, NEITHER_NULL(r) & ((a) <= (b)))                                                 \
    COMPARE_LOOP(gt_##suffix, NEITHER_NULL(r) & ((a) > (b)))                                                  \
    COMPARE_LOOP(ge_##suffix, NEITHER_NULL(r) & ((a) >= (b)))                                                 \
    COMPARE_LOOP(distinct_##suffix, (args[0].null[r] ^ args[1].null[r]) |                                     \
                                        (NEITHER_NULL(r) & (((a) < (b)) | ((a) > (b)))))                      \
    COMPARE_LOOP(same_##suffix, (args[0].null[r] & args[1].null[r]) | (NEITHER_NULL(r) & ((a) == (b))))

SIX(i32, args[0].i32[r], args[1].i32[r])
SIX(i64, args[0].i64[r], args[1].i64[r])
SIX(f64, args[0].f64[r], args[1].f64[r])
SIX(date_timestamp, (int64_t)args[0].i32[r] * MS_PER_DAY, args[1].i64[r])
SIX(timestamp_date, args[0].i64[r], (int64_t)args[1].i32[r] * MS_PER_DAY)

/* These read what must not be undefined (addresses, bytes of 0 and 1): the null bytes are asked first. */
#define ORDER_OF(compare) (NEITHER_NULL(r) ? (compare) : 0)

#define SIX_ORDERED(suffix, compare)                                                                          \
    COMPARE_LOOP(eq_##suffix, NEITHER_NULL(r) && (compare) == 0)                                              \
    COMPARE_LOOP(ne_##suffix, NEITHER_NULL(r) && (compare) != 0)                                              \
    COMPARE_LOOP(lt_##suffix, NEITHER_NULL(r) && (compare) < 0)                                               \
    COMPARE_LOOP(le_##suffix, NEITHER_NULL(r) && (compare) <= 0)                                              \
    COMPARE_LOOP(gt_##suffix, NEITHER_NULL(r) && (compare) > 0)                                               \
    COMPARE_LOOP(ge_##suffix, NEITHER_NULL(r) && (compare) >= 0)                                              \
    COMPARE_LOOP(distinct_##suffix, (args[0].null[r] ^ args[1].null[r]) || ORDER_OF(compare) != 0)            \
    COMPARE_LOOP(same_##suffix, (args[0].null[r] & args[1].null[r]) || (NEITHER_NULL(r) && (compare) == 0))

SIX_ORDERED(dec, decimal_compare(args[0].dec[r], args[0].type->scale, args[1].dec[r], args[1].type->scale))

/* Text orders by its UTF-8 bytes, which is the order of code points. */
#define STRINGS_DIFFER \
    (args[0].str[r].len != args[1].str[r].len || memcmp(args[0].str[r].data, args[1].str[r].data, args[0].str[r].len) != 0)
COMPARE_LOOP(eq_str, NEITHER_NULL(r) && !STRINGS_DIFFER)
COMPARE_LOOP(ne_str, NEITHER_NULL(r) && STRINGS_DIFFER)
COMPARE_LOOP(lt_str, NEITHER_NULL(r) && slice_compare(args[0].str[r], args[1].str[r]) < 0)
COMPARE_LOOP(le_str, NEITHER_NULL(r) && slice_compare(args[0].str[r], args[1].str[r]) <= 0)
COMPARE_LOOP(gt_str, NEITHER_NULL(r) && slice_compare(args[0].str[r], args[1].str[r]) > 0)
COMPARE_LOOP(ge_str, NEITHER_NULL(r) && slice_compare(args[0].str[r], args[1].str[r]) >= 0)
COMPARE_LOOP(distinct_str, (args[0].null[r] ^ args[1].null[r]) || (NEITHER_NULL(r) && STRINGS_DIFFER))
COMPARE_LOOP(same_str, (args[0].null[r] & args[1].null[r]) || (NEITHER_NULL(r) && !STRINGS_DIFFER))

#define BOOLEANS_DIFFER ((args[0].boolean[r] != 0) != (args[1].boolean[r] != 0))
COMPARE_LOOP(eq_bool, NEITHER_NULL(r) & !BOOLEANS_DIFFER)
COMPARE_LOOP(ne_bool, NEITHER_NULL(r) & BOOLEANS_DIFFER)
COMPARE_LOOP(distinct_bool, (args[0].null[r] ^ args[1].null[r]) | (NEITHER_NULL(r) & BOOLEANS_DIFFER))
COMPARE_LOOP(same_bool, (args[0].null[r] & args[1].null[r]) | (NEITHER_NULL(r) & !BOOLEANS_DIFFER))

/* Arrays, maps, structs; and a bare NULL against anything, whose column is all null. */
static bool nested_equal(const column *args, uint32_t r)
{
    value a = column_get(&args[0], r), b = column_get(&args[1], r);

    return value_equal(args[0].type, &a, &b);
}

COMPARE_LOOP(eq_nested, NEITHER_NULL(r) && nested_equal(args, r))
COMPARE_LOOP(ne_nested, NEITHER_NULL(r) && !nested_equal(args, r))
COMPARE_LOOP(distinct_nested, !nested_equal(args, r))
COMPARE_LOOP(same_nested, nested_equal(args, r))

COMPARE_LOOP(is_null, args[0].null[r] & 1)
COMPARE_LOOP(is_not_null, ~args[0].null[r] & 1)
COMPARE_LOOP(not_bool, args[0].boolean[r] == 0)

#define EQUALITY_ROWS(params, suffix)                                                    \
    OPERATOR("=", params, "BOOLEAN", NULL_SEEN, eq_##suffix),                            \
        OPERATOR("<>", params, "BOOLEAN", NULL_SEEN, ne_##suffix),                       \
        OPERATOR("IS DISTINCT FROM", params, "BOOLEAN", NULL_SEEN, distinct_##suffix),   \
        OPERATOR("IS NOT DISTINCT FROM", params, "BOOLEAN", NULL_SEEN, same_##suffix)
#define ORDER_ROWS(params, suffix)                                                       \
    EQUALITY_ROWS(params, suffix), OPERATOR("<", params, "BOOLEAN", NULL_SEEN, lt_##suffix), \
        OPERATOR("<=", params, "BOOLEAN", NULL_SEEN, le_##suffix),                       \
        OPERATOR(">", params, "BOOLEAN", NULL_SEEN, gt_##suffix),                        \
        OPERATOR(">=", params, "BOOLEAN", NULL_SEEN, ge_##suffix)

static const function ROWS[] = {
    ORDER_ROWS("INTEGER, INTEGER", i32),
    ORDER_ROWS("BIGINT, BIGINT", i64),
    ORDER_ROWS("DECIMAL, DECIMAL", dec),
    ORDER_ROWS("DOUBLE, DOUBLE", f64),
    ORDER_ROWS("STRING, STRING", str),
    ORDER_ROWS("BYTES, BYTES", str),
    ORDER_ROWS("DATE, DATE", i32),
    ORDER_ROWS("TIME, TIME", i32),
    ORDER_ROWS("TIMESTAMP, TIMESTAMP", i64),
    ORDER_ROWS("DATE, TIMESTAMP", date_timestamp),
    ORDER_ROWS("TIMESTAMP, DATE", timestamp_date),
    EQUALITY_ROWS("BOOLEAN, BOOLEAN", bool),
    EQUALITY_ROWS("T, T", nested),
    OPERATOR("NOT", "BOOLEAN", "BOOLEAN", NULL_IN_OUT, not_bool),
    OPERATOR("IS NULL", "ANY", "BOOLEAN", NULL_SEEN, is_null),
    OPERATOR("IS NOT NULL", "ANY", "BOOLEAN", NULL_SEEN, is_not_null),
};
const function_family compare_family = FAMILY_ROWS(ROWS);
