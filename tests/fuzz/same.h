/* tests/fuzz/same.h - whether what was read, written and read again has come back. */
#ifndef WEIR_TESTS_FUZZ_SAME_H
#define WEIR_TESTS_FUZZ_SAME_H

#include "core/text.h"
#include "core/value.h"

/* Byte by byte: a map with a key twice, as only broken bytes have, does not equal itself. */
static bool same(const type *t, const value *x, const value *y)
{
    text a = TEXT_EMPTY, b = TEXT_EMPTY;

    value_encode(&a, t, x);
    value_encode(&b, t, y);
    bool equal = slice_equal(text_slice(&a), text_slice(&b));
    text_free(&a);
    text_free(&b);
    return equal;
}

#endif
