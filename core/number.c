/* core/number.c - see number.h. */
#include "core/number.h"

#include "core/bytes.h"
#include "core/number_digits.h"

#include <math.h>

typedef unsigned __int128 u128;

#define TEN_19 ((u128)10000000000000000000u)

static const char DIGIT_PAIRS[201] =
    "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
    "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

/* Writes right to left, ending at `end`; returns where it began. */
static char *write_u64_before(char *end, uint64_t number)
{
    while (number >= 100) {
        end -= 2;
        memcpy(end, DIGIT_PAIRS + 2 * (number % 100), 2);
        number /= 100;
    }
    if (number >= 10) {
        end -= 2;
        memcpy(end, DIGIT_PAIRS + 2 * number, 2);
    } else {
        *--end = (char)('0' + number);
    }
    return end;
}

static unsigned count_digits(uint64_t number)
{
    static const uint64_t least[] = { /* with so many digits and one */
        0, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000, 10000000000, 100000000000, 1000000000000,
        10000000000000, 100000000000000, 1000000000000000, 10000000000000000, 100000000000000000, 1000000000000000000,
        10000000000000000000u,
    };
    unsigned bits = 64 - (unsigned)__builtin_clzll(number | 1);
    unsigned digits = bits * 1233 >> 12; /* by log10(2): right, or one too few */

    return digits + (number >= least[digits]);
}

static char *write_u64(char *at, uint64_t number)
{
    char *end = at + count_digits(number);

    (void)write_u64_before(end, number);
    return end;
}

char *write_i64(char *at, int64_t number)
{
    if (number < 0) *at++ = '-';
    return write_u64(at, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
}

static char *write_text(char *at, const char *c_string)
{
    size_t len = strlen(c_string);

    memcpy(at, c_string, len);
    return at + len;
}

/* Lays out 0.d1d2d3... * 10^point as Java does: plain from 1e-3 up to 1e7, else d.dddE<n>. */
static char *write_digits(char *at, const char *digits, int count, int point)
{
    if (point > 7 || point < -2) {
        *at++ = digits[0];
        *at++ = '.';
        if (count == 1) *at++ = '0';
        memcpy(at, digits + 1, (size_t)count - 1);
        at += count - 1;
        *at++ = 'E';
        return write_i64(at, point - 1);
    }
    if (point <= 0) {
        *at++ = '0';
        *at++ = '.';
        memset(at, '0', (size_t)-point);
        memcpy(at - point, digits, (size_t)count);
        return at - point + count;
    }
    int whole = count < point ? count : point;
    memcpy(at, digits, (size_t)whole);
    memset(at + whole, '0', (size_t)(point - whole));
    at += point;
    *at++ = '.';
    if (count <= point) {
        *at++ = '0';
        return at;
    }
    memcpy(at, digits + point, (size_t)(count - point));
    return at + count - point;
}

char *write_double(char *at, double number)
{
    if (isnan(number)) return write_text(at, "NaN");
    if (signbit(number)) {
        *at++ = '-';
        number = -number;
    }
    if (isinf(number)) return write_text(at, "Infinity");
    if (number < 1e7 && number == (double)(uint32_t)number) {
        at = write_u64(at, (uint32_t)number);
        *at++ = '.';
        *at++ = '0';
        return at;
    }

    char scientific[DIGITS_TEXT_MAX], digits[DIGITS_TEXT_MAX];
    size_t len = double_digits(scientific, number, -1);
    if (scientific[1] == 'e') {
        /* Java compares one digit with two, and takes what is nearer: 4.9E-324, not 5.0E-324. */
        char two[DIGITS_TEXT_MAX];
        size_t two_len = double_digits(two, number, 1);
        double back;
        if (two[2] != '0' && double_from_digits(two, two + two_len, &back) && back == number) {
            memcpy(scientific, two, len = two_len);
        }
    }
    int count = 0, exponent = 0;
    size_t i = 0;
    for (; scientific[i] != 'e'; i++) {
        if (scientific[i] != '.') digits[count++] = scientific[i];
    }
    bool is_small = scientific[i + 1] == '-';
    for (i += 2; i < len; i++) exponent = exponent * 10 + (scientific[i] - '0');
    return write_digits(at, digits, count, (is_small ? -exponent : exponent) + 1);
}

char *write_decimal(char *at, decimal number, uint32_t scale)
{
    char digits[DECIMAL_TEXT_MAX];
    char *end = digits + sizeof digits, *from = end;
    u128 rest = number < 0 ? 0 - (u128)number : (u128)number;

    if (number < 0) *at++ = '-';
    while (rest >= TEN_19) {
        char *piece = end - 19 * (1 + (end - from) / 19);
        from = write_u64_before(from, (uint64_t)(rest % TEN_19));
        while (from > piece) *--from = '0';
        rest /= TEN_19;
    }
    from = write_u64_before(from, (uint64_t)rest);
    while (end - from <= (ptrdiff_t)scale) *--from = '0';

    size_t whole = (size_t)(end - from) - scale;
    memcpy(at, from, whole);
    at += whole;
    if (scale > 0) {
        *at++ = '.';
        memcpy(at, from + whole, scale);
        at += scale;
    }
    return at;
}

void print_i64(text *out, int64_t number)
{
    char at[I64_TEXT_MAX];
    text_add(out, (slice){ at, (size_t)(write_i64(at, number) - at) });
}

void print_double(text *out, double number)
{
    char at[DOUBLE_TEXT_MAX];
    text_add(out, (slice){ at, (size_t)(write_double(at, number) - at) });
}

void print_decimal(text *out, decimal number, uint32_t scale)
{
    char at[DECIMAL_TEXT_MAX];
    text_add(out, (slice){ at, (size_t)(write_decimal(at, number, scale) - at) });
}

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

number_fit parse_i64(slice from, int64_t *out)
{
    const char *at = from.data, *end = from.data + from.len;
    bool is_negative = at < end && *at == '-';
    int64_t number = 0;
    bool too_large = false;

    if (at < end && (*at == '-' || *at == '+')) at++;
    if (at == end) return NUMBER_MALFORMED;
    for (; at < end; at++) { /* downwards, since the least number has no positive */
        if (!is_digit(*at)) return NUMBER_MALFORMED;
        too_large |= __builtin_mul_overflow(number, 10, &number) || __builtin_sub_overflow(number, *at - '0', &number);
    }
    if (too_large || (!is_negative && number == INT64_MIN)) return NUMBER_TOO_LARGE;
    *out = is_negative ? number : -number;
    return NUMBER_FITS;
}

number_fit parse_i32(slice from, int32_t *out)
{
    int64_t wide;
    number_fit fit = parse_i64(from, &wide);

    if (fit != NUMBER_FITS) return fit;
    if (wide < INT32_MIN || wide > INT32_MAX) return NUMBER_TOO_LARGE;
    *out = (int32_t)wide;
    return NUMBER_FITS;
}

bool parse_double(slice from, double *out)
{
    const char *at = from.data, *end = from.data + from.len;

    while (at < end && (unsigned char)*at <= ' ') at++;
    while (at < end && (unsigned char)end[-1] <= ' ') end--;
    bool is_negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+')) at++;
    if (slice_is((slice){ at, (size_t)(end - at) }, "NaN")) {
        *out = NAN;
        return true;
    }
    if (slice_is((slice){ at, (size_t)(end - at) }, "Infinity")) {
        *out = is_negative ? -INFINITY : INFINITY;
        return true;
    }
    if (at == end || !(is_digit(*at) || *at == '.')) return false; /* from_chars would take "inf", too */
    if (strchr("dDfF", end[-1]) != NULL) end--;
    if (at == end) return false;
    if (!double_from_digits(at, end, out)) return false;
    if (is_negative) *out = -*out;
    return true;
}

#define EXPONENT_MAX 1000000000

number_fit parse_decimal(slice from, uint32_t precision, uint32_t scale, decimal_rounding rounding, decimal *out)
{
    const char *at = from.data, *end = from.data + from.len;
    const char *digits, *digits_end, *point = NULL;
    bool is_negative = at < end && *at == '-';
    int64_t weight = 0; /* of the digit at hand: it stands for d * 10^weight */
    uint32_t count = 0;

    if (at < end && (*at == '-' || *at == '+')) at++;
    for (digits = at; at < end && (is_digit(*at) || (*at == '.' && point == NULL)); at++) {
        if (*at == '.') {
            point = at;
        } else {
            count++;
            if (point == NULL) weight++;
        }
    }
    digits_end = at;
    if (count == 0) return NUMBER_MALFORMED;
    if (at < end) {
        if (*at != 'e' && *at != 'E') return NUMBER_MALFORMED;
        at++;
        bool is_small = at < end && *at == '-';
        int64_t exponent = 0;
        if (at < end && (*at == '-' || *at == '+')) at++;
        if (at == end) return NUMBER_MALFORMED;
        for (; at < end; at++) {
            if (!is_digit(*at)) return NUMBER_MALFORMED;
            if (exponent < EXPONENT_MAX) exponent = exponent * 10 + (*at - '0');
        }
        weight += is_small ? -exponent : exponent;
    }

    u128 number = 0, limit = 1;
    bool is_exact = true, half_or_more = false;
    for (uint32_t i = 0; i < precision && i < DECIMAL_DIGITS_MAX; i++) limit *= 10;
    int64_t least = -(int64_t)scale;
    for (at = digits; at < digits_end; at++) {
        if (*at == '.') continue;
        weight--;
        uint32_t digit = (uint32_t)(*at - '0');
        if (weight >= least) {
            number = number * 10 + digit;
            if (number >= limit) return NUMBER_TOO_LARGE;
        } else if (digit != 0) {
            is_exact = false;
            if (weight == least - 1 && digit >= 5) half_or_more = true;
        }
    }
    if (number > 0) {
        for (; weight > least; weight--) {
            number *= 10;
            if (number >= limit) return NUMBER_TOO_LARGE;
        }
    }
    if (!is_exact && rounding == ROUND_NEVER) return NUMBER_TOO_PRECISE;
    if (rounding == ROUND_HALF_UP) number += half_or_more;
    if (number >= limit) return NUMBER_TOO_LARGE;
    *out = is_negative ? -(decimal)number : (decimal)number;
    return NUMBER_FITS;
}

bool decimal_from_bytes(slice bytes, decimal *out)
{
    bool is_negative = bytes.len > 0 && (bytes.data[0] & 0x80) != 0;
    u128 number = is_negative ? ~(u128)0 : 0;

    while (bytes.len > DECIMAL_BYTES_MAX && bytes.data[0] == (is_negative ? (char)0xFF : 0)) { /* more sign than needed */
        bytes.data++;
        bytes.len--;
    }
    if (bytes.len > DECIMAL_BYTES_MAX || (bytes.len > 0 && ((bytes.data[0] & 0x80) != 0) != is_negative)) return false;
    for (size_t i = 0; i < bytes.len; i++) number = number << 8 | (unsigned char)bytes.data[i];
    *out = (decimal)number;
    return true;
}

slice decimal_to_bytes(char *at, decimal number)
{
    size_t len = 1;

    put_u64(at, (uint64_t)((u128)number >> 64));
    put_u64(at + 8, (uint64_t)number);
    while (len < DECIMAL_BYTES_MAX && (number >> (8 * len - 1)) != 0 && (number >> (8 * len - 1)) != -1) len++;
    return (slice){ at + DECIMAL_BYTES_MAX - len, len };
}

static const char BASE64[65] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(char *at, slice from)
{
    const unsigned char *in = (const unsigned char *)from.data;
    size_t i = 0;

    for (; i + 2 < from.len; i += 3) {
        uint32_t three = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | in[i + 2];
        *at++ = BASE64[three >> 18];
        *at++ = BASE64[three >> 12 & 63];
        *at++ = BASE64[three >> 6 & 63];
        *at++ = BASE64[three & 63];
    }
    if (i < from.len) {
        bool has_two = i + 1 < from.len;
        uint32_t three = (uint32_t)in[i] << 16 | (has_two ? (uint32_t)in[i + 1] << 8 : 0);
        *at++ = BASE64[three >> 18];
        *at++ = BASE64[three >> 12 & 63];
        *at++ = has_two ? BASE64[three >> 6 & 63] : '=';
        *at++ = '=';
    }
    return at;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(slice from, char *at, size_t *len)
{
    char *start = at;
    uint32_t bits = 0;
    size_t digits = from.len;

    if (digits > 0 && digits % 4 == 0 && from.data[digits - 1] == '=') digits--;
    if (digits > 0 && digits % 4 == 3 && from.len % 4 == 0 && from.data[digits - 1] == '=') digits--;
    if (digits % 4 == 1) return false;
    for (size_t i = 0; i < digits; i++) {
        int digit = base64_digit(from.data[i]);
        if (digit < 0) return false;
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4 == 3) {
            *at++ = (char)(bits >> 16);
            *at++ = (char)(bits >> 8);
            *at++ = (char)bits;
        }
    }
    if (digits % 4 == 2) *at++ = (char)(bits >> 4);
    if (digits % 4 == 3) {
        *at++ = (char)(bits >> 10);
        *at++ = (char)(bits >> 2);
    }
    *len = (size_t)(at - start);
    return true;
}
