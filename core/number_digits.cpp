/* core/number_digits.cpp - see number_digits.h. */
#include "core/number_digits.h"

#include <charconv>
#include <cstring>
#include <limits>

size_t double_digits(char *at, double number, int places)
{
    std::to_chars_result result =
        places < 0 ? std::to_chars(at, at + DIGITS_TEXT_MAX, number, std::chars_format::scientific)
                   : std::to_chars(at, at + DIGITS_TEXT_MAX, number, std::chars_format::scientific, places);
    return static_cast<size_t>(result.ptr - at);
}

/* from_chars does not say on which side a number is out of range: that of its first digit's weight is. */
static bool is_huge(const char *at, const char *end)
{
    const char *e = at;
    long weight = 0, exponent = 0;
    bool is_after_point = false, is_counting = false;

    for (; e < end && *e != 'e' && *e != 'E'; e++) {
        if (*e == '.') {
            is_after_point = true;
        } else if (*e != '-') {
            if (is_after_point && !is_counting) weight--;
            if (*e != '0') is_counting = true;
            if (is_counting && !is_after_point) weight++;
        }
    }
    if (e < end) {
        bool is_negative = e + 1 < end && e[1] == '-';
        for (e += 1; e < end; e++) {
            if (*e >= '0' && *e <= '9' && exponent < 100000000) exponent = exponent * 10 + (*e - '0');
        }
        if (is_negative) exponent = -exponent;
    }
    return weight + exponent > 0;
}

bool double_from_digits(const char *at, const char *end, double *out)
{
    std::from_chars_result result = std::from_chars(at, end, *out, std::chars_format::general);

    if (result.ptr != end) return false;
    if (result.ec == std::errc::result_out_of_range) {
        double nearest = is_huge(at, end) ? std::numeric_limits<double>::infinity() : 0.0;
        *out = *at == '-' ? -nearest : nearest;
        return true;
    }
    return result.ec == std::errc();
}
