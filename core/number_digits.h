/* core/number_digits.h - what number.c takes from the C++ library: its conversions between doubles and shortest digits. */
#ifndef WEIR_CORE_NUMBER_DIGITS_H
#define WEIR_CORE_NUMBER_DIGITS_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DIGITS_TEXT_MAX 32

/* A finite number in scientific notation, "1.25e-07": the fewest digits that read back the same, or, with places >= 0,
 * the nearest with so many digits after the point. Returns the length. */
size_t double_digits(char *at, double number, int places);
/* Reads "1.25e-7" whole, correctly rounded; an infinity or 0 where that is nearest. False: not such a text. */
bool double_from_digits(const char *at, const char *end, double *out);

#ifdef __cplusplus
}
#endif

#endif
