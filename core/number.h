/* core/number.h - numbers and their text, as Java prints and reads them, because ksqlDB's users see Java's.
 * write_* put text at `at`, which has room for so many bytes, and return the end; nothing is NUL-terminated. */
#ifndef WEIR_CORE_NUMBER_H
#define WEIR_CORE_NUMBER_H

#include "core/value.h"

#define I64_TEXT_MAX 20
#define DOUBLE_TEXT_MAX 26
#define DECIMAL_TEXT_MAX 42

char *write_i64(char *at, int64_t number);
/* Double.toString as of Java 19: the shortest digits that read back as the same double, "1.0", "1.0E10", "NaN". */
char *write_double(char *at, double number);
/* Plain notation with all places of the scale: "1.10". */
char *write_decimal(char *at, decimal number, uint32_t scale);

void print_i64(text *out, int64_t number);
void print_double(text *out, double number);
void print_decimal(text *out, decimal number, uint32_t scale);

typedef enum number_fit {
    NUMBER_FITS,
    NUMBER_MALFORMED,  /* not a number at all */
    NUMBER_TOO_LARGE,  /* for the type */
    NUMBER_TOO_PRECISE /* has more places than the scale, and rounding was not asked for */
} number_fit;

/* Digits with an optional sign, nothing else: Long.parseLong, Integer.parseInt. */
number_fit parse_i64(slice from, int64_t *out);
number_fit parse_i32(slice from, int32_t *out);
/* Double.parseDouble but for hexadecimal: white space around is fine, so are "NaN", "Infinity" and a suffix d or f.
 * Too large a number is an infinity, too small a one is 0. */
bool parse_double(slice from, double *out);

typedef enum decimal_rounding { ROUND_NEVER, ROUND_HALF_UP, ROUND_DOWN } decimal_rounding;

/* What new BigDecimal(text) reads ("1.5", "-.5", "1E+3"), brought to the scale. */
number_fit parse_decimal(slice from, uint32_t precision, uint32_t scale, decimal_rounding rounding, decimal *out);

#define DECIMAL_BYTES_MAX 16
/* Two's complement, big-endian, as formats hold decimals: the fewest bytes that can, the last of the DECIMAL_BYTES_MAX at `at`. */
slice decimal_to_bytes(char *at, decimal number);
/* More of the sign than needed is fine; no bytes are 0. False: it does not fit. */
bool decimal_from_bytes(slice bytes, decimal *out);

/* The standard alphabet, padded with '='. */
static inline size_t base64_encoded_bytes(size_t len) { return (len + 2) / 3 * 4; }
char *base64_encode(char *at, slice from);
/* Room for base64_decoded_max() bytes. Padding may be missing. False: not base64. */
static inline size_t base64_decoded_max(size_t len) { return len / 4 * 3 + 3; }
bool base64_decode(slice from, char *at, size_t *len);

#endif
