/* Numbers and their text. */
#include "core/number.h"
#include "tests/unit/run_tests.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void assert_double(double number, const char *expected)
{
    char at[DOUBLE_TEXT_MAX + 1];

    *write_double(at, number) = '\0';
    ck_assert_str_eq(at, expected);
}

START_TEST(doubles_print_as_java_prints_them)
{
    assert_double(0, "0.0");
    assert_double(-0.0, "-0.0");
    assert_double(1, "1.0");
    assert_double(-1.5, "-1.5");
    assert_double(100, "100.0");
    assert_double(0.1, "0.1");
    assert_double(0.001, "0.001");
    assert_double(0.00123, "0.00123");
    assert_double(0.000999, "9.99E-4");
    assert_double(1e-5, "1.0E-5");
    assert_double(9999999, "9999999.0");
    assert_double(9999999.5, "9999999.5");
    assert_double(1e7, "1.0E7");
    assert_double(12345678.9, "1.23456789E7");
    assert_double(123456.789, "123456.789");
    assert_double(1e10, "1.0E10");
    assert_double(1e22, "1.0E22");
    assert_double(1e23, "1.0E23");
    assert_double(2e23, "2.0E23"); /* 1.9999999999999998E23 before Java 19 */
    assert_double(8.41e21, "8.41E21");
    assert_double(4.9e-324, "4.9E-324");
    assert_double(1e-323, "9.9E-324");
    assert_double(2e-323, "2.0E-323");
    assert_double(2.2250738585072014e-308, "2.2250738585072014E-308");
    assert_double(1.7976931348623157e308, "1.7976931348623157E308");
    assert_double(-1.7976931348623157e308, "-1.7976931348623157E308");
    assert_double(-2.2250738585072014e-308, "-2.2250738585072014E-308");
    assert_double(9007199254740993.0, "9.007199254740992E15");
    assert_double(0.3, "0.3");
    assert_double(0.1 + 0.2, "0.30000000000000004");
    assert_double(4294967296.0, "4.294967296E9");
    assert_double(NAN, "NaN");
    assert_double(INFINITY, "Infinity");
    assert_double(-INFINITY, "-Infinity");
}
END_TEST

START_TEST(doubles_read_back_the_same)
{
    uint64_t bits = 88172645463325252u;

    for (int i = 0; i < 200000; i++) {
        double number, back;
        char at[DOUBLE_TEXT_MAX];
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        memcpy(&number, &bits, 8);
        if (isnan(number)) continue;
        char *end = write_double(at, number);
        ck_assert(end - at <= DOUBLE_TEXT_MAX);
        ck_assert(parse_double((slice){ at, (size_t)(end - at) }, &back));
        ck_assert(memcmp(&back, &number, 8) == 0);
    }
}
END_TEST

static double read_double(const char *from)
{
    double out;
    ck_assert_msg(parse_double(slice_of(from), &out), "%s", from);
    return out;
}

START_TEST(doubles_are_read_as_java_reads_them)
{
    ck_assert(read_double("1") == 1);
    ck_assert(read_double(" +1.5 ") == 1.5);
    ck_assert(read_double("-.5") == -0.5);
    ck_assert(read_double("5.") == 5);
    ck_assert(read_double("1e+5") == 1e5);
    ck_assert(read_double("1E-5d") == 1e-5);
    ck_assert(read_double("2f") == 2);
    ck_assert(isnan(read_double("NaN")));
    ck_assert(read_double("-Infinity") == -INFINITY);
    ck_assert(read_double("1e400") == INFINITY);
    ck_assert(read_double("-1e400") == -INFINITY);
    ck_assert(read_double("1e-400") == 0);
    ck_assert(read_double("0.0000001e310") == 1e303);
    ck_assert(read_double("0.1e-400") == 0);
    ck_assert(read_double("1000e99999999999999999999") == INFINITY);
    ck_assert(read_double("0e99999999999999999999") == 0);
    const char *const bad[] = { "", " ", "-", ".", "e5", "1e", "inf", "nan", "infinity", "0x10", "1 2", "--1", "d", "1dd", "1,5" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double out;
        ck_assert_msg(!parse_double(slice_of(bad[i]), &out), "%s", bad[i]);
    }
}
END_TEST

START_TEST(integers)
{
    const int64_t numbers[] = { 0, 7, -7, 10, 99, 100, 12345, -987654321, INT32_MAX, INT64_MAX, INT64_MIN };

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char at[I64_TEXT_MAX + 1];
        int64_t back;
        *write_i64(at, numbers[i]) = '\0';
        ck_assert_int_eq(strtoll(at, NULL, 10), numbers[i]);
        ck_assert_int_eq(parse_i64(slice_of(at), &back), NUMBER_FITS);
        ck_assert_int_eq(back, numbers[i]);
    }
    for (uint64_t power = 1; power <= 1000000000000000000u; power *= 10) {
        for (int64_t beside = -1; beside <= 1; beside++) {
            char ours[I64_TEXT_MAX + 1], theirs[I64_TEXT_MAX + 1];
            *write_i64(ours, -(int64_t)power + beside) = '\0';
            snprintf(theirs, sizeof theirs, "%lld", -(long long)power + (long long)beside);
            ck_assert_str_eq(ours, theirs);
        }
    }
    int64_t wide;
    int32_t narrow;
    ck_assert_int_eq(parse_i64(SLICE("+12"), &wide), NUMBER_FITS);
    ck_assert_int_eq(wide, 12);
    ck_assert_int_eq(parse_i64(SLICE("9223372036854775808"), &wide), NUMBER_TOO_LARGE);
    ck_assert_int_eq(parse_i64(SLICE("-9223372036854775809"), &wide), NUMBER_TOO_LARGE);
    ck_assert_int_eq(parse_i64(SLICE("99999999999999999999999"), &wide), NUMBER_TOO_LARGE);
    ck_assert_int_eq(parse_i64(SLICE(""), &wide), NUMBER_MALFORMED);
    ck_assert_int_eq(parse_i64(SLICE("-"), &wide), NUMBER_MALFORMED);
    ck_assert_int_eq(parse_i64(SLICE(" 1"), &wide), NUMBER_MALFORMED);
    ck_assert_int_eq(parse_i64(SLICE("1.0"), &wide), NUMBER_MALFORMED);
    ck_assert_int_eq(parse_i32(SLICE("-2147483648"), &narrow), NUMBER_FITS);
    ck_assert_int_eq(parse_i32(SLICE("2147483648"), &narrow), NUMBER_TOO_LARGE);
}
END_TEST

/* Reads, prints: expected NULL stands for a misfit. */
static void assert_decimal(const char *from, uint32_t precision, uint32_t scale, decimal_rounding rounding,
                           number_fit fit, const char *expected)
{
    decimal number;
    char at[DECIMAL_TEXT_MAX + 1];
    number_fit got = parse_decimal(slice_of(from), precision, scale, rounding, &number);

    ck_assert_msg(got == fit, "%s: %d", from, got);
    if (fit != NUMBER_FITS) return;
    *write_decimal(at, number, scale) = '\0';
    ck_assert_str_eq(at, expected);
}

START_TEST(decimals)
{
    assert_decimal("1.1", 4, 2, ROUND_NEVER, NUMBER_FITS, "1.10");
    assert_decimal("-0.05", 4, 2, ROUND_NEVER, NUMBER_FITS, "-0.05");
    assert_decimal("0", 4, 2, ROUND_NEVER, NUMBER_FITS, "0.00");
    assert_decimal("5", 1, 0, ROUND_NEVER, NUMBER_FITS, "5");
    assert_decimal("+.5", 2, 1, ROUND_NEVER, NUMBER_FITS, "0.5");
    assert_decimal("5.", 2, 1, ROUND_NEVER, NUMBER_FITS, "5.0");
    assert_decimal("1.5e1", 4, 2, ROUND_NEVER, NUMBER_FITS, "15.00");
    assert_decimal("1500E-2", 4, 2, ROUND_NEVER, NUMBER_FITS, "15.00");
    assert_decimal("1.500", 2, 1, ROUND_NEVER, NUMBER_FITS, "1.5");
    assert_decimal("0e99999999999999999999", 2, 1, ROUND_NEVER, NUMBER_FITS, "0.0");
    assert_decimal("99.99", 4, 2, ROUND_NEVER, NUMBER_FITS, "99.99");
    assert_decimal("100", 4, 2, ROUND_NEVER, NUMBER_TOO_LARGE, NULL);
    assert_decimal("1e400", 4, 2, ROUND_NEVER, NUMBER_TOO_LARGE, NULL);
    assert_decimal("1e99999999999", 38, 2, ROUND_NEVER, NUMBER_TOO_LARGE, NULL);
    assert_decimal("1e-400", 4, 2, ROUND_NEVER, NUMBER_TOO_PRECISE, NULL);
    assert_decimal("1.005", 4, 2, ROUND_NEVER, NUMBER_TOO_PRECISE, NULL);
    assert_decimal("1.005", 4, 2, ROUND_HALF_UP, NUMBER_FITS, "1.01");
    assert_decimal("-1.005", 4, 2, ROUND_HALF_UP, NUMBER_FITS, "-1.01");
    assert_decimal("1.0049999", 4, 2, ROUND_HALF_UP, NUMBER_FITS, "1.00");
    assert_decimal("0.0009", 4, 2, ROUND_HALF_UP, NUMBER_FITS, "0.00");
    assert_decimal("99.995", 4, 2, ROUND_HALF_UP, NUMBER_TOO_LARGE, NULL);
    assert_decimal("12345678901234567890123456789012345678", 38, 0, ROUND_NEVER, NUMBER_FITS,
                   "12345678901234567890123456789012345678");
    assert_decimal("-1234567890123456789012345678.9012345678", 38, 10, ROUND_NEVER, NUMBER_FITS,
                   "-1234567890123456789012345678.9012345678");
    assert_decimal("0.00000000000000000000000000000000000001", 38, 38, ROUND_NEVER, NUMBER_FITS,
                   "0.00000000000000000000000000000000000001");
    assert_decimal("100000000000000000000000000000000000000", 38, 0, ROUND_NEVER, NUMBER_TOO_LARGE, NULL);
    assert_decimal("100000000000000000000", 38, 0, ROUND_NEVER, NUMBER_FITS, "100000000000000000000");
    const char *const bad[] = { "", "-", ".", "1e", "e1", "1.2.3", "1 ", " 1", "x", "1e+", "NaN", "1_000" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_decimal(bad[i], 38, 10, ROUND_NEVER, NUMBER_MALFORMED, NULL);
}
END_TEST

START_TEST(base64)
{
    const char *const pairs[][2] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" },
                                     { "\xff\xfe\xfd", "//79" } };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char at[32];
        size_t len;
        char *end = base64_encode(at, slice_of(pairs[i][0]));
        ck_assert((size_t)(end - at) == base64_encoded_bytes(strlen(pairs[i][0])));
        ck_assert(slice_is((slice){ at, (size_t)(end - at) }, pairs[i][1]));
        ck_assert(base64_decode(slice_of(pairs[i][1]), at, &len));
        ck_assert(slice_is((slice){ at, len }, pairs[i][0]));
    }
    char at[32];
    size_t len;
    ck_assert(base64_decode(SLICE("Zg"), at, &len) && len == 1);
    ck_assert(!base64_decode(SLICE("Z"), at, &len));
    ck_assert(!base64_decode(SLICE("Zg=g"), at, &len));
    ck_assert(!base64_decode(SLICE("===="), at, &len));
    ck_assert(!base64_decode(SLICE("Zm9v===="), at, &len));
    ck_assert(!base64_decode(SLICE("Zm 9"), at, &len));
}
END_TEST

static void add_tests(TCase *all)
{
    tcase_add_test(all, doubles_print_as_java_prints_them);
    tcase_add_test(all, doubles_read_back_the_same);
    tcase_add_test(all, doubles_are_read_as_java_reads_them);
    tcase_add_test(all, integers);
    tcase_add_test(all, decimals);
    tcase_add_test(all, base64);
}

int main(void)
{
    return run_tests("number", add_tests, NULL, NULL);
}
