/* functions/decimal.h - arithmetic on unscaled decimals of up to 38 digits. Products and dividends that pass 128 bits go
 * through 256 bits; what then does not fit 38 digits is refused, never wrapped. */
#ifndef WEIR_FUNCTIONS_DECIMAL_H
#define WEIR_FUNCTIONS_DECIMAL_H

#include "core/value.h"

extern const decimal POWER_OF_TEN[DECIMAL_DIGITS_MAX + 1];

static inline bool decimal_fits(decimal v, uint32_t precision)
{
    decimal bound = POWER_OF_TEN[precision < DECIMAL_DIGITS_MAX ? precision : DECIMAL_DIGITS_MAX];

    return v < bound && v > -bound;
}

/* v * 10^(to - from), rounded half away from zero. False: more than 38 digits. */
bool decimal_rescale(decimal v, int from_scale, int to_scale, decimal *out);
/* a * b of natural scale `from`, brought to scale `to`. */
bool decimal_multiply(decimal a, decimal b, int from_scale, int to_scale, decimal *out);
/* (a * 10^shift) / b, rounded half away from zero; shift may be negative; b is not 0. */
bool decimal_divide(decimal a, decimal b, int shift, decimal *out);
/* a of scale_a against b of scale_b, exactly. */
int decimal_compare(decimal a, int scale_a, decimal b, int scale_b);
double decimal_to_double(decimal v, int scale);

#endif
