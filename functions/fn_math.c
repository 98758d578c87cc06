/* functions/fn_math.c - numbers. Rounding is Java's Math.round: halves go up, towards the positive. */
#include "functions/family.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define FAMILY "math"

#define MAP_KERNEL(name, field, expression)                                                              \
    static void name(const call *c, eval_context *x, const column *args, row_set rows, column *out)      \
    {                                                                                                    \
        (void)c, (void)x, (void)args;                                                                    \
        EACH_ROW(r, rows) out->field[r] = (expression);                                                  \
    }

#define A_I32 args[0].i32[r]
#define A_I64 args[0].i64[r]
#define A_F64 args[0].f64[r]
#define A_DEC args[0].dec[r]

MAP_KERNEL(abs_i32, i32, A_I32 < 0 ? (int32_t)(0 - (uint32_t)A_I32) : A_I32)
MAP_KERNEL(abs_i64, i64, A_I64 < 0 ? (int64_t)(0 - (uint64_t)A_I64) : A_I64)
MAP_KERNEL(abs_f64, f64, fabs(A_F64))
MAP_KERNEL(abs_dec, dec, A_DEC < 0 ? -A_DEC : A_DEC)
MAP_KERNEL(same_i32, i32, A_I32)
MAP_KERNEL(same_i64, i64, A_I64)
MAP_KERNEL(widen_i32, i64, A_I32)
MAP_KERNEL(ceil_f64, f64, ceil(A_F64))
MAP_KERNEL(floor_f64, f64, floor(A_F64))
MAP_KERNEL(sign_i32, i32, (A_I32 > 0) - (A_I32 < 0))
MAP_KERNEL(sign_i64, i32, (A_I64 > 0) - (A_I64 < 0))
MAP_KERNEL(sign_f64, i32, (A_F64 > 0) - (A_F64 < 0))
MAP_KERNEL(sign_dec, i32, (A_DEC > 0) - (A_DEC < 0))
MAP_KERNEL(sqrt_f64, f64, sqrt(A_F64))
MAP_KERNEL(cbrt_f64, f64, (double)cbrtl(A_F64)) /* so that the root of 27 is 3 */
MAP_KERNEL(exp_f64, f64, exp(A_F64))
MAP_KERNEL(ln_f64, f64, log(A_F64))
MAP_KERNEL(log10_f64, f64, log10(A_F64))
MAP_KERNEL(power_f64, f64, pow(A_F64, args[1].f64[r]))
MAP_KERNEL(acos_f64, f64, acos(A_F64))
MAP_KERNEL(asin_f64, f64, asin(A_F64))
MAP_KERNEL(atan_f64, f64, atan(A_F64))
MAP_KERNEL(atan2_f64, f64, atan2(A_F64, args[1].f64[r]))
MAP_KERNEL(cos_f64, f64, cos(A_F64))
MAP_KERNEL(cosh_f64, f64, cosh(A_F64))
MAP_KERNEL(sin_f64, f64, sin(A_F64))
MAP_KERNEL(sinh_f64, f64, sinh(A_F64))
MAP_KERNEL(tan_f64, f64, tan(A_F64))
MAP_KERNEL(tanh_f64, f64, tanh(A_F64))
MAP_KERNEL(degrees_f64, f64, A_F64 * (180.0 / M_PI))
MAP_KERNEL(radians_f64, f64, A_F64 * (M_PI / 180.0))
MAP_KERNEL(pi_f64, f64, M_PI)

static double cot(double v)
{
    return v == 0 ? copysign(INFINITY, v) : 1.0 / tan(v);
}

/* The logarithm of 0 is -infinity to every base; of a negative number, or to a base that is none, it is no number. */
static double log_to_base(double base, double v)
{
    if (v < 0 || base <= 0 || base == 1) return NAN;
    return v == 0 ? -INFINITY : log(v) / log(base);
}

MAP_KERNEL(cot_f64, f64, cot(A_F64))
MAP_KERNEL(log_f64, f64, log_to_base(A_F64, args[1].f64[r]))

/* ---- rounding ---- */

static int64_t round_half_up(double v)
{
    double rounded = floor(v);

    if (v != v) return 0;
    if (v - rounded >= 0.5) rounded += 1;
    if (rounded >= 9223372036854775808.0) return INT64_MAX;
    return rounded < -9223372036854775808.0 ? INT64_MIN : (int64_t)rounded;
}

static int64_t truncate_f64(double v)
{
    if (v != v) return 0;
    if (v >= 9223372036854775808.0) return INT64_MAX;
    return v < -9223372036854775808.0 ? INT64_MIN : (int64_t)v;
}

MAP_KERNEL(round_f64, i64, round_half_up(A_F64))
MAP_KERNEL(trunc_f64, i64, truncate_f64(A_F64))

typedef enum rounding { ROUND_HALF_POSITIVE, ROUND_DOWN, ROUND_FLOOR, ROUND_CEILING } rounding;

/* v of `scale` places, brought to `places` of them (maybe negative) and back. False: more than 38 digits. */
static bool round_places(decimal v, int scale, int64_t places, rounding mode, decimal *out)
{
    if (places >= scale) {
        *out = v;
        return true;
    }
    if (scale - places > DECIMAL_DIGITS_MAX) {
        *out = 0;
        return true;
    }
    decimal unit = POWER_OF_TEN[scale - places];
    decimal below = v / unit, rest = v % unit; /* towards zero; rest has v's sign */
    switch (mode) {
    case ROUND_DOWN: break;
    case ROUND_FLOOR: below -= rest < 0; break;
    case ROUND_CEILING: below += rest > 0; break;
    case ROUND_HALF_POSITIVE:
        if (rest > 0 && rest >= unit - rest) below++;
        else if (rest < 0 && -rest > unit + rest) below--;
        break;
    }
    return !__builtin_mul_overflow(below, unit, out);
}

/* The type has no digit for what rounding up may carry over (99.5 of DECIMAL(3, 1) gives a DECIMAL(2, 0)); the value has it,
 * as in ksqlDB. */
static void round_column(const call *c, eval_context *x, const column *args, row_set rows, column *out, rounding mode)
{
    int scale = c->arg_types[0]->scale;

    EACH_ROW(r, rows)
    {
        int64_t places = c->arg_count > 1 ? args[1].i32[r] : 0;
        decimal v;
        if (!round_places(args[0].dec[r], scale, places, mode, &v) ||
            !decimal_rescale(v, scale, c->result->scale, &v) || !decimal_fits(v, DECIMAL_DIGITS_MAX)) {
            out->null[r] = 1;
            eval_fail(x, r, "the result has more than %d digits", DECIMAL_DIGITS_MAX);
        } else {
            out->dec[r] = v;
        }
    }
}

#define ROUND_KERNEL(name, mode)                                                                         \
    static void name(const call *c, eval_context *x, const column *args, row_set rows, column *out)      \
    {                                                                                                    \
        round_column(c, x, args, rows, out, mode);                                                       \
    }
ROUND_KERNEL(round_dec, ROUND_HALF_POSITIVE)
ROUND_KERNEL(trunc_dec, ROUND_DOWN)
ROUND_KERNEL(floor_dec, ROUND_FLOOR)
ROUND_KERNEL(ceil_dec, ROUND_CEILING)

/* Rounds the shortest decimal text of a double, as people read it: 2.675 to two places is 2.68. */
static double round_double(double v, int64_t places, rounding mode)
{
    char digits[40];
    int exponent = 0, precision;

    if (!isfinite(v) || v == 0 || places > 330) return v;
    for (precision = 1; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*e", precision - 1, v);
        if (strtod(digits, NULL) == v) break;
    }
    decimal unscaled = 0;
    bool is_negative = digits[0] == '-';
    const char *at = digits + is_negative;
    for (; *at != 'e'; at++) {
        if (*at != '.') unscaled = unscaled * 10 + (*at - '0');
    }
    exponent = atoi(at + 1);
    if (precision > 17) precision = 17;
    int scale = precision - 1 - exponent; /* v = unscaled / 10^scale */
    decimal rounded;
    if (places >= scale) return v;
    round_places(is_negative ? -unscaled : unscaled, scale, places, mode, &rounded);
    char text[64];
    bool below_zero = rounded < 0;
    unsigned long long low = (unsigned long long)(below_zero ? -rounded : rounded); /* at most 18 digits */
    snprintf(text, sizeof text, "%s%llue%d", below_zero ? "-" : "", low, -scale);
    return strtod(text, NULL);
}

MAP_KERNEL(round_f64_places, f64, round_double(A_F64, args[1].i32[r], ROUND_HALF_POSITIVE))
MAP_KERNEL(trunc_f64_places, f64, round_double(A_F64, args[1].i32[r], ROUND_DOWN))

static const type *same_type(arena *a, const type *const *args, uint32_t count, weir_error *err)
{
    (void)a, (void)count, (void)err;
    return args[0];
}

static const type *whole_type(arena *a, const type *const *args, uint32_t count, weir_error *err)
{
    uint32_t digits = args[0]->precision - args[0]->scale;

    (void)count, (void)err;
    return type_decimal(a, digits == 0 ? 1 : digits, 0);
}

/* ---- random ---- */

/* splitmix64 on a shared counter: any thread may draw, none waits. */
static uint64_t draw(void)
{
    static atomic_uint_fast64_t state;
    uint64_t z = atomic_fetch_add_explicit(&state, 0x9E3779B97F4A7C15u, memory_order_relaxed);

    if (z == 0) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        z = (uint64_t)now.tv_nsec * 0xBF58476D1CE4E5B9u ^ (uint64_t)now.tv_sec;
        atomic_fetch_add_explicit(&state, z, memory_order_relaxed);
    }
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

MAP_KERNEL(random_f64, f64, (double)(draw() >> 11) * 0x1.0p-53)

/* ---- on the globe ---- */

static double geo_km(double lat1, double lon1, double lat2, double lon2)
{
    double to_radians = M_PI / 180.0;
    double a = sin((lat2 - lat1) * to_radians / 2), b = sin((lon2 - lon1) * to_radians / 2);
    double h = a * a + b * b * cos(lat1 * to_radians) * cos(lat2 * to_radians); /* in this order, for the last digit's sake */

    return 2 * asin(sqrt(h)) * 6371.0;
}

static bool geo_distance(const call *c, eval_context *x, const value *args, value *out)
{
    double limit[4] = { 90, 180, 90, 180 };
    bool is_miles = false;

    for (int i = 0; i < 4; i++) {
        if (args[i].f64 != args[i].f64 || fabs(args[i].f64) > limit[i]) {
            return FAIL_ROW(x, "GEO_DISTANCE needs latitudes within 90 and longitudes within 180 degrees");
        }
    }
    if (c->arg_count > 4) {
        slice unit = args[4].str;
        is_miles = slice_equal_nocase(unit, SLICE("MILES")) || slice_equal_nocase(unit, SLICE("MILE")) ||
                   slice_equal_nocase(unit, SLICE("MI"));
        if (!is_miles && !slice_equal_nocase(unit, SLICE("KM")) && !slice_equal_nocase(unit, SLICE("KILOMETER")) &&
            !slice_equal_nocase(unit, SLICE("KILOMETERS")) && !slice_equal_nocase(unit, SLICE("KILOMETRE")) &&
            !slice_equal_nocase(unit, SLICE("KILOMETRES")) && !slice_equal_nocase(unit, SLICE("KMS"))) {
            return FAIL_ROW(x, "GEO_DISTANCE knows the units KM and MILES");
        }
    }
    double km = geo_km(args[0].f64, args[1].f64, args[2].f64, args[3].f64);
    *out = (value){ .f64 = is_miles ? km * (3959.0 / 6371.0) : km };
    return true;
}

#define DOUBLE_FUNCTION(name, body, sentence, example_) \
    KERNEL(name, "DOUBLE", "DOUBLE", NULL_IN_OUT, body, sentence, .example = example_)
#define FOUR_TYPES(name, i32, i64, dec, f64, sentence, example_)                                                \
    KERNEL(name, "INTEGER", "INTEGER", NULL_IN_OUT, i32, sentence, .example = example_),                        \
        KERNEL(name, "BIGINT", "BIGINT", NULL_IN_OUT, i64, sentence),                                           \
        KERNEL(name, "DECIMAL", NULL, NULL_IN_OUT, dec, sentence, .resolve = same_type),                        \
        KERNEL(name, "DOUBLE", "DOUBLE", NULL_IN_OUT, f64, sentence)

#define ROUND_SENTENCE "The nearest number of so many places, none unless given; halves go up."
#define TRUNC_SENTENCE "A number without its further places, none kept unless given."

static const function ROWS[] = {
    FOUR_TYPES("ABS", abs_i32, abs_i64, abs_dec, abs_f64, "The number without its sign.", "ABS(-1)"),
    FOUR_TYPES("CEIL", same_i32, same_i64, ceil_dec, ceil_f64, "The least whole number not below.", "CEIL(1.2)"),
    FOUR_TYPES("FLOOR", same_i32, same_i64, floor_dec, floor_f64, "The greatest whole number not above.", "FLOOR(1.8)"),
    KERNEL("SIGN", "INTEGER", "INTEGER", NULL_IN_OUT, sign_i32, "-1, 0 or 1.", .example = "SIGN(-7)"),
    KERNEL("SIGN", "BIGINT", "INTEGER", NULL_IN_OUT, sign_i64, "-1, 0 or 1."),
    KERNEL("SIGN", "DECIMAL", "INTEGER", NULL_IN_OUT, sign_dec, "-1, 0 or 1."),
    KERNEL("SIGN", "DOUBLE", "INTEGER", NULL_IN_OUT, sign_f64, "-1, 0 or 1."),
    KERNEL("ROUND", "INTEGER", "BIGINT", NULL_IN_OUT, widen_i32, ROUND_SENTENCE, .example = "ROUND(1.5)"),
    KERNEL("ROUND", "BIGINT", "BIGINT", NULL_IN_OUT, same_i64, ROUND_SENTENCE),
    KERNEL("ROUND", "DOUBLE", "BIGINT", NULL_IN_OUT, round_f64, ROUND_SENTENCE),
    KERNEL("ROUND", "DECIMAL", NULL, NULL_IN_OUT, round_dec, ROUND_SENTENCE, .resolve = whole_type),
    KERNEL("ROUND", "DOUBLE, INTEGER", "DOUBLE", NULL_IN_OUT, round_f64_places, ROUND_SENTENCE,
           .example = "ROUND(2.5e-1, 1)"),
    KERNEL("ROUND", "DECIMAL, INTEGER", NULL, NULL_IN_OUT, round_dec, ROUND_SENTENCE, .resolve = same_type,
           .example = "ROUND(12.345, -1)"),
    KERNEL("TRUNC", "INTEGER", "BIGINT", NULL_IN_OUT, widen_i32, TRUNC_SENTENCE, .example = "TRUNC(1.7)"),
    KERNEL("TRUNC", "BIGINT", "BIGINT", NULL_IN_OUT, same_i64, TRUNC_SENTENCE),
    KERNEL("TRUNC", "DOUBLE", "BIGINT", NULL_IN_OUT, trunc_f64, TRUNC_SENTENCE),
    KERNEL("TRUNC", "DECIMAL", NULL, NULL_IN_OUT, trunc_dec, TRUNC_SENTENCE, .resolve = whole_type),
    KERNEL("TRUNC", "DOUBLE, INTEGER", "DOUBLE", NULL_IN_OUT, trunc_f64_places, TRUNC_SENTENCE),
    KERNEL("TRUNC", "DECIMAL, INTEGER", NULL, NULL_IN_OUT, trunc_dec, TRUNC_SENTENCE, .resolve = same_type,
           .example = "TRUNC(12.345, 2)"),
    DOUBLE_FUNCTION("SQRT", sqrt_f64, "Square root.", "SQRT(2.0)"),
    DOUBLE_FUNCTION("CBRT", cbrt_f64, "Cube root.", "CBRT(27.0)"),
    DOUBLE_FUNCTION("EXP", exp_f64, "e to the power of the argument.", "EXP(1)"),
    DOUBLE_FUNCTION("LN", ln_f64, "Natural logarithm.", "LN(10)"),
    KERNEL("LOG", "DOUBLE", "DOUBLE", NULL_IN_OUT, log10_f64, "Logarithm to base 10, or to a base given first.",
           .example = "LOG(2, 8)"),
    KERNEL("LOG", "DOUBLE, DOUBLE", "DOUBLE", NULL_IN_OUT, log_f64, "Logarithm to base 10, or to a base given first."),
    KERNEL("POWER", "DOUBLE, DOUBLE", "DOUBLE", NULL_IN_OUT, power_f64, "The first argument to the power of the second.",
           .example = "POWER(2, 10)"),
    DOUBLE_FUNCTION("ACOS", acos_f64, "Arc cosine, in radians.", "ACOS(0.5)"),
    DOUBLE_FUNCTION("ASIN", asin_f64, "Arc sine, in radians.", "ASIN(0.5)"),
    DOUBLE_FUNCTION("ATAN", atan_f64, "Arc tangent, in radians.", "ATAN(1)"),
    KERNEL("ATAN2", "DOUBLE, DOUBLE", "DOUBLE", NULL_IN_OUT, atan2_f64, "Arc tangent of y / x, in radians.",
           .example = "ATAN2(1, 1)"),
    DOUBLE_FUNCTION("COS", cos_f64, "Cosine of radians.", "COS(0)"),
    DOUBLE_FUNCTION("COSH", cosh_f64, "Hyperbolic cosine.", "COSH(0)"),
    DOUBLE_FUNCTION("COT", cot_f64, "Cotangent of radians.", "COT(1)"),
    DOUBLE_FUNCTION("SIN", sin_f64, "Sine of radians.", "SIN(0)"),
    DOUBLE_FUNCTION("SINH", sinh_f64, "Hyperbolic sine.", "SINH(0)"),
    DOUBLE_FUNCTION("TAN", tan_f64, "Tangent of radians.", "TAN(0)"),
    DOUBLE_FUNCTION("TANH", tanh_f64, "Hyperbolic tangent.", "TANH(0)"),
    DOUBLE_FUNCTION("DEGREES", degrees_f64, "Radians in degrees.", "DEGREES(3.14)"),
    DOUBLE_FUNCTION("RADIANS", radians_f64, "Degrees in radians.", "RADIANS(180)"),
    KERNEL("PI", "", "DOUBLE", NULL_IN_OUT, pi_f64, "The number pi.", .example = "PI()"),
    KERNEL("RANDOM", "", "DOUBLE", NULL_IN_OUT, random_f64, "A random number, at least 0 and below 1.",
           .is_volatile = true, .example = "RANDOM()"),
    SCALAR("GEO_DISTANCE", "DOUBLE, DOUBLE, DOUBLE, DOUBLE", "DOUBLE", NULL_IN_OUT, geo_distance,
           "Great-circle distance of two places (latitude, longitude), in KM or MILES.",
           .example = "GEO_DISTANCE(37.4133, -122.1162, 51.5, -0.118)"),
    SCALAR("GEO_DISTANCE", "DOUBLE, DOUBLE, DOUBLE, DOUBLE, STRING", "DOUBLE", NULL_IN_OUT, geo_distance,
           "Great-circle distance of two places (latitude, longitude), in KM or MILES.",
           .example = "GEO_DISTANCE(37.4133, -122.1162, 51.5, -0.118, 'MILES')"),
};
const function_family math_family = FAMILY_ROWS(ROWS);
