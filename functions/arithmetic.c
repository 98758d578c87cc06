/* functions/arithmetic.c - + - * / % and negation. Integers wrap as Java's do; what divides by zero is a failed row, or
 * infinity for doubles; decimals widen by the SQL rules and fail where 38 digits are too few. */
#include "functions/family.h"

#include <math.h>

#define FAMILY "operator"

/* ---- integers and doubles: one loop each ---- */

#define LOOP(name, field, expression)                                                                   \
    static void name(const call *c, eval_context *x, const column *args, row_set rows, column *out)     \
    {                                                                                                   \
        (void)c, (void)x;                                                                               \
        if (rows.index == NULL) {                                                                       \
            for (uint32_t r = 0; r < rows.count; r++) out->field[r] = (expression);                     \
            return;                                                                                     \
        }                                                                                               \
        for (uint32_t i = 0; i < rows.count; i++) {                                                     \
            uint32_t r = rows.index[i];                                                                 \
            out->field[r] = (expression);                                                               \
        }                                                                                               \
    }

LOOP(add_i32, i32, (int32_t)((uint32_t)args[0].i32[r] + (uint32_t)args[1].i32[r]))
LOOP(sub_i32, i32, (int32_t)((uint32_t)args[0].i32[r] - (uint32_t)args[1].i32[r]))
LOOP(mul_i32, i32, (int32_t)((uint32_t)args[0].i32[r] * (uint32_t)args[1].i32[r]))
LOOP(neg_i32, i32, (int32_t)(0 - (uint32_t)args[0].i32[r]))
LOOP(add_i64, i64, (int64_t)((uint64_t)args[0].i64[r] + (uint64_t)args[1].i64[r]))
LOOP(sub_i64, i64, (int64_t)((uint64_t)args[0].i64[r] - (uint64_t)args[1].i64[r]))
LOOP(mul_i64, i64, (int64_t)((uint64_t)args[0].i64[r] * (uint64_t)args[1].i64[r]))
LOOP(neg_i64, i64, (int64_t)(0 - (uint64_t)args[0].i64[r]))
LOOP(add_f64, f64, args[0].f64[r] + args[1].f64[r])
LOOP(sub_f64, f64, args[0].f64[r] - args[1].f64[r])
LOOP(mul_f64, f64, args[0].f64[r] * args[1].f64[r])
LOOP(mod_f64, f64, fmod(args[0].f64[r], args[1].f64[r]))
LOOP(neg_f64, f64, -args[0].f64[r])
LOOP(neg_dec, dec, -args[0].dec[r])

__attribute__((no_sanitize("float-divide-by-zero")))
LOOP(div_f64, f64, args[0].f64[r] / args[1].f64[r])

/* Division by -1 is negation: the smallest number has no counterpart, and the processor would trap. */
#define DIVIDING_LOOP(name, field, by_minus_one, expression)                                            \
    static void name(const call *c, eval_context *x, const column *args, row_set rows, column *out)     \
    {                                                                                                   \
        (void)c;                                                                                        \
        EACH_ROW(r, rows)                                                                               \
        {                                                                                               \
            if (args[1].field[r] == 0) {                                                                \
                out->null[r] = 1;                                                                       \
                eval_fail(x, r, "division by zero");                                                    \
            } else {                                                                                    \
                out->field[r] = args[1].field[r] == -1 ? (by_minus_one) : (expression);                 \
            }                                                                                           \
        }                                                                                               \
    }

DIVIDING_LOOP(div_i32, i32, (int32_t)(0 - (uint32_t)args[0].i32[r]), args[0].i32[r] / args[1].i32[r])
DIVIDING_LOOP(mod_i32, i32, 0, args[0].i32[r] % args[1].i32[r])
DIVIDING_LOOP(div_i64, i64, (int64_t)(0 - (uint64_t)args[0].i64[r]), args[0].i64[r] / args[1].i64[r])
DIVIDING_LOOP(mod_i64, i64, 0, args[0].i64[r] % args[1].i64[r])

/* ---- decimals ---- */

static int max_of(int a, int b)
{
    return a > b ? a : b;
}

static int min_of(int a, int b)
{
    return a < b ? a : b;
}

/* Where the rule asks for more than 38 digits, places are given up before whole digits, down to six of them. */
static const type *fit_decimal(arena *a, int precision, int scale)
{
    if (precision > DECIMAL_DIGITS_MAX) {
        int whole = precision - scale;
        scale = max_of(min_of(scale, 6), DECIMAL_DIGITS_MAX - whole);
        precision = DECIMAL_DIGITS_MAX;
    }
    return type_decimal(a, (uint32_t)precision, (uint32_t)scale);
}

#define DECIMAL_RULE(name, precision_, scale_)                                                               \
    static const type *name(arena *a, const type *const *args, uint32_t count, weir_error *err)              \
    {                                                                                                        \
        int p1 = args[0]->precision, s1 = args[0]->scale, p2 = args[1]->precision, s2 = args[1]->scale;      \
        (void)count, (void)err, (void)p1, (void)s1, (void)p2, (void)s2;                                      \
        return fit_decimal(a, (precision_), (scale_));                                                       \
    }

DECIMAL_RULE(add_type, max_of(s1, s2) + max_of(p1 - s1, p2 - s2) + 1, max_of(s1, s2))
DECIMAL_RULE(mul_type, p1 + p2 + 1, s1 + s2)
DECIMAL_RULE(div_type, p1 - s1 + s2 + max_of(6, s1 + p2 + 1), max_of(6, s1 + p2 + 1))
DECIMAL_RULE(mod_type, max_of(1, min_of(p1 - s1, p2 - s2) + max_of(s1, s2)), max_of(s1, s2))

static const type *neg_type(arena *a, const type *const *args, uint32_t count, weir_error *err)
{
    (void)a, (void)count, (void)err;
    return args[0];
}

static void fail_overflow(const call *c, eval_context *x, column *out, uint32_t row)
{
    out->null[row] = 1;
    eval_fail(x, row, "the result does not fit DECIMAL(%u, %u)", c->result->precision, c->result->scale);
}

/* `compute` gives the result in out->dec[r] and whether it could; s1, s2, s: the scales of arguments and result. */
#define DECIMAL_LOOP(name, compute)                                                                     \
    static void name(const call *c, eval_context *x, const column *args, row_set rows, column *out)     \
    {                                                                                                   \
        int s1 = c->arg_types[0]->scale, s2 = c->arg_types[1]->scale, s = c->result->scale;             \
        EACH_ROW(r, rows)                                                                               \
        {                                                                                               \
            decimal a = args[0].dec[r], b = args[1].dec[r], *to = &out->dec[r];                         \
            if (!(compute) || !decimal_fits(*to, c->result->precision)) fail_overflow(c, x, out, r);    \
        }                                                                                               \
    }

/* At the wider of both scales, then at the result's, which may be less where 38 digits were too few. */
static inline bool add_scaled(decimal a, int s1, decimal b, int s2, decimal *to, int s)
{
    int wide = max_of(s1, s2);

    if (s1 == s2 && s == s1) {
        *to = a + b; /* two numbers below 10^38 do not reach 2^127 */
        return true;
    }
    if (!decimal_rescale(a, s1, wide, &a) || !decimal_rescale(b, s2, wide, &b)) {
        return decimal_rescale(a, s1, s, &a) && decimal_rescale(b, s2, s, &b) && (*to = a + b, true);
    }
    return decimal_rescale(a + b, wide, s, to);
}

static inline bool mod_scaled(decimal a, int s1, decimal b, int s2, decimal *to, int s)
{
    int wide = max_of(s1, s2);

    if (!decimal_rescale(a, s1, wide, &a) || !decimal_rescale(b, s2, wide, &b)) return false;
    return decimal_rescale(a % b, wide, s, to);
}

DECIMAL_LOOP(add_dec, add_scaled(a, s1, b, s2, to, s))
DECIMAL_LOOP(sub_dec, add_scaled(a, s1, -b, s2, to, s))
DECIMAL_LOOP(mul_dec, decimal_multiply(a, b, s1 + s2, s, to))

#define DECIMAL_DIVIDING_LOOP(name, compute)                                                            \
    static void name(const call *c, eval_context *x, const column *args, row_set rows, column *out)     \
    {                                                                                                   \
        int s1 = c->arg_types[0]->scale, s2 = c->arg_types[1]->scale, s = c->result->scale;             \
        EACH_ROW(r, rows)                                                                               \
        {                                                                                               \
            decimal a = args[0].dec[r], b = args[1].dec[r], *to = &out->dec[r];                         \
            if (b == 0) {                                                                               \
                out->null[r] = 1;                                                                       \
                eval_fail(x, r, "division by zero");                                                    \
            } else if (!(compute) || !decimal_fits(*to, c->result->precision)) {                        \
                fail_overflow(c, x, out, r);                                                            \
            }                                                                                           \
        }                                                                                               \
    }

DECIMAL_DIVIDING_LOOP(div_dec, decimal_divide(a, b, s - s1 + s2, to))
DECIMAL_DIVIDING_LOOP(mod_dec, mod_scaled(a, s1, b, s2, to, s))

/* ---- text ---- */

static void concat_str(const call *c, eval_context *x, const column *args, row_set rows, column *out)
{
    (void)c;
    EACH_ROW(r, rows)
    {
        slice a = args[0].str[r], b = args[1].str[r];
        char *both = arena_alloc(x->arena, a.len + b.len);
        memcpy(both, a.data, a.len);
        memcpy(both + a.len, b.data, b.len);
        out->str[r] = (slice){ both, a.len + b.len };
    }
}

static const function ROWS[] = {
    OPERATOR("+", "INTEGER, INTEGER", "INTEGER", NULL_IN_OUT, add_i32),
    OPERATOR("+", "BIGINT, BIGINT", "BIGINT", NULL_IN_OUT, add_i64),
    OPERATOR("+", "DECIMAL, DECIMAL", NULL, NULL_IN_OUT, add_dec, .resolve = add_type),
    OPERATOR("+", "DOUBLE, DOUBLE", "DOUBLE", NULL_IN_OUT, add_f64),
    OPERATOR("+", "STRING, STRING", "STRING", NULL_IN_OUT, concat_str),
    OPERATOR("||", "STRING, STRING", "STRING", NULL_IN_OUT, concat_str),
    OPERATOR("-", "INTEGER, INTEGER", "INTEGER", NULL_IN_OUT, sub_i32),
    OPERATOR("-", "BIGINT, BIGINT", "BIGINT", NULL_IN_OUT, sub_i64),
    OPERATOR("-", "DECIMAL, DECIMAL", NULL, NULL_IN_OUT, sub_dec, .resolve = add_type),
    OPERATOR("-", "DOUBLE, DOUBLE", "DOUBLE", NULL_IN_OUT, sub_f64),
    OPERATOR("*", "INTEGER, INTEGER", "INTEGER", NULL_IN_OUT, mul_i32),
    OPERATOR("*", "BIGINT, BIGINT", "BIGINT", NULL_IN_OUT, mul_i64),
    OPERATOR("*", "DECIMAL, DECIMAL", NULL, NULL_IN_OUT, mul_dec, .resolve = mul_type),
    OPERATOR("*", "DOUBLE, DOUBLE", "DOUBLE", NULL_IN_OUT, mul_f64),
    OPERATOR("/", "INTEGER, INTEGER", "INTEGER", NULL_IN_OUT, div_i32),
    OPERATOR("/", "BIGINT, BIGINT", "BIGINT", NULL_IN_OUT, div_i64),
    OPERATOR("/", "DECIMAL, DECIMAL", NULL, NULL_IN_OUT, div_dec, .resolve = div_type),
    OPERATOR("/", "DOUBLE, DOUBLE", "DOUBLE", NULL_IN_OUT, div_f64),
    OPERATOR("%", "INTEGER, INTEGER", "INTEGER", NULL_IN_OUT, mod_i32),
    OPERATOR("%", "BIGINT, BIGINT", "BIGINT", NULL_IN_OUT, mod_i64),
    OPERATOR("%", "DECIMAL, DECIMAL", NULL, NULL_IN_OUT, mod_dec, .resolve = mod_type),
    OPERATOR("%", "DOUBLE, DOUBLE", "DOUBLE", NULL_IN_OUT, mod_f64),
    OPERATOR("NEG", "INTEGER", "INTEGER", NULL_IN_OUT, neg_i32),
    OPERATOR("NEG", "BIGINT", "BIGINT", NULL_IN_OUT, neg_i64),
    OPERATOR("NEG", "DECIMAL", NULL, NULL_IN_OUT, neg_dec, .resolve = neg_type),
    OPERATOR("NEG", "DOUBLE", "DOUBLE", NULL_IN_OUT, neg_f64),
};
const function_family arithmetic_family = FAMILY_ROWS(ROWS);
