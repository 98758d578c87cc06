/* functions/decimal.c - see decimal.h. */
#include "functions/decimal.h"


#include <stdio.h>
#include <stdlib.h>

typedef unsigned __int128 u128;

#define TEN_18 ((decimal)1000000000000000000)
#define P(n) ((decimal)n)

const decimal POWER_OF_TEN[DECIMAL_DIGITS_MAX + 1] = {
    P(1), P(10), P(100), P(1000), P(10000), P(100000), P(1000000), P(10000000), P(100000000), P(1000000000),
    P(10000000000), P(100000000000), P(1000000000000), P(10000000000000), P(100000000000000), P(1000000000000000),
    P(10000000000000000), P(100000000000000000), TEN_18,
    TEN_18 * 10, TEN_18 * 100, TEN_18 * 1000, TEN_18 * 10000, TEN_18 * 100000, TEN_18 * 1000000, TEN_18 * 10000000,
    TEN_18 * 100000000, TEN_18 * 1000000000, TEN_18 * 10000000000, TEN_18 * 100000000000, TEN_18 * 1000000000000,
    TEN_18 * 10000000000000, TEN_18 * 100000000000000, TEN_18 * 1000000000000000, TEN_18 * 10000000000000000,
    TEN_18 * 100000000000000000, TEN_18 * TEN_18, TEN_18 * TEN_18 * 10, TEN_18 * TEN_18 * 100,
};

typedef struct u256 {
    u128 high, low;
} u256;

static u128 magnitude(decimal v)
{
    return v < 0 ? -(u128)v : (u128)v;
}

static u256 multiply_wide(u128 a, u128 b)
{
    u128 a_low = (uint64_t)a, a_high = a >> 64, b_low = (uint64_t)b, b_high = b >> 64;
    u128 low = a_low * b_low;
    u128 middle = a_high * b_low + (low >> 64);
    u128 middle_low = (u128)(uint64_t)middle + a_low * b_high;

    return (u256){ a_high * b_high + (middle >> 64) + (middle_low >> 64), middle_low << 64 | (uint64_t)low };
}

/* n / d rounded half up. False: the quotient needs more than 128 bits. */
static bool divide_wide(u256 n, u128 d, u128 *quotient)
{
    u128 rest = n.high, q = 0;

    if (n.high >= d) return false;
    if (n.high == 0) {
        q = n.low / d;
        rest = n.low % d;
    } else {
        for (int bit = 127; bit >= 0; bit--) {
            bool carry = rest >> 127;
            rest = rest << 1 | (n.low >> bit & 1);
            q <<= 1;
            if (carry || rest >= d) {
                rest -= d;
                q |= 1;
            }
        }
    }
    *quotient = q + (rest >= d - rest); /* rest < d, so d - rest is at least 1 */
    return true;
}

static bool put_sign(u128 v, bool is_negative, decimal *out)
{
    if (v >= (u128)POWER_OF_TEN[DECIMAL_DIGITS_MAX]) return false;
    *out = is_negative ? -(decimal)v : (decimal)v;
    return true;
}

bool decimal_rescale(decimal v, int from_scale, int to_scale, decimal *out)
{
    int up = to_scale - from_scale;

    if (up == 0) {
        *out = v;
        return true;
    }
    if (up > 0) {
        if (v == 0) return put_sign(0, false, out);
        return up <= DECIMAL_DIGITS_MAX && !__builtin_mul_overflow(v, POWER_OF_TEN[up], out) &&
               decimal_fits(*out, DECIMAL_DIGITS_MAX);
    }
    u128 rounded = 0;
    if (-up <= DECIMAL_DIGITS_MAX) divide_wide((u256){ 0, magnitude(v) }, (u128)POWER_OF_TEN[-up], &rounded);
    return put_sign(rounded, v < 0, out);
}

bool decimal_multiply(decimal a, decimal b, int from_scale, int to_scale, decimal *out)
{
    decimal product;

    if (!__builtin_mul_overflow(a, b, &product)) return decimal_rescale(product, from_scale, to_scale, out);
    u256 wide = multiply_wide(magnitude(a), magnitude(b));
    int down = from_scale - to_scale;
    u128 rounded;
    if (down <= 0 || down > DECIMAL_DIGITS_MAX) return false;
    return divide_wide(wide, (u128)POWER_OF_TEN[down], &rounded) && put_sign(rounded, (a < 0) != (b < 0), out);
}

bool decimal_divide(decimal a, decimal b, int shift, decimal *out)
{
    bool is_negative = (a < 0) != (b < 0);
    u128 quotient;

    if (shift < 0) { /* dividing by 10^-shift more */
        decimal divisor;
        if (-shift > DECIMAL_DIGITS_MAX || __builtin_mul_overflow(b, POWER_OF_TEN[-shift], &divisor)) {
            *out = 0;
            return true;
        }
        return divide_wide((u256){ 0, magnitude(a) }, magnitude(divisor), &quotient) &&
               put_sign(quotient, is_negative, out);
    }
    if (a == 0) return put_sign(0, false, out);
    while (shift > DECIMAL_DIGITS_MAX) { /* 10^38 is the most one factor holds */
        decimal wider;
        if (__builtin_mul_overflow(a, (decimal)10, &wider)) return false;
        a = wider;
        shift--;
    }
    u256 numerator = multiply_wide(magnitude(a), (u128)POWER_OF_TEN[shift]);
    return divide_wide(numerator, magnitude(b), &quotient) && put_sign(quotient, is_negative, out);
}

int decimal_compare(decimal a, int scale_a, decimal b, int scale_b)
{
    if (scale_a == scale_b) return (a > b) - (a < b);
    if ((a < 0) != (b < 0)) return a < 0 ? -1 : 1;
    int sign = a < 0 ? -1 : 1;
    u256 x = scale_a < scale_b ? multiply_wide(magnitude(a), (u128)POWER_OF_TEN[scale_b - scale_a])
                               : (u256){ 0, magnitude(a) };
    u256 y = scale_b < scale_a ? multiply_wide(magnitude(b), (u128)POWER_OF_TEN[scale_a - scale_b])
                               : (u256){ 0, magnitude(b) };
    if (x.high != y.high) return x.high > y.high ? sign : -sign;
    return x.low == y.low ? 0 : x.low > y.low ? sign : -sign;
}

double decimal_to_double(decimal v, int scale)
{
    u128 rest = magnitude(v);

    /* Exact when both parts are: numerator below 2^53, 10^scale at most 10^22; one correctly rounded division then. */
    if (rest < (u128)1 << 53 && scale <= 22) return (double)v / (double)POWER_OF_TEN[scale];
    char digits[64];
    int at = sizeof digits - 8;
    snprintf(digits + at, 8, "e-%d", scale);
    while (rest > 0) {
        digits[--at] = (char)('0' + (int)(rest % 10));
        rest /= 10;
    }
    double magnitude_of = strtod(digits + at, NULL);
    return v < 0 ? -magnitude_of : magnitude_of;
}
