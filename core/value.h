/* core/value.h - one SQL value on its own: literals, elements of arrays, arguments of row functions. */
#ifndef WEIR_CORE_VALUE_H
#define WEIR_CORE_VALUE_H

#include "core/type.h"

typedef __int128 decimal; /* unscaled; the scale is the type's */

typedef struct value value;

typedef struct value_list { /* ARRAY: the elements; STRUCT: the fields in the type's order */
    value *items;
    uint32_t count;
} value_list;

typedef struct value_map { /* in insertion order, keys distinct; one may be null */
    value *keys;
    value *values;
    uint32_t count;
} value_map;

struct value {
    union {
        bool boolean;
        int32_t i32; /* INTEGER, DATE, TIME */
        int64_t i64; /* BIGINT, TIMESTAMP */
        double f64;
        decimal dec;
        slice str; /* STRING, BYTES; INTERVAL_UNIT */
        value_list list;
        value_map map;
    };
    bool is_null;
};

#define NULL_VALUE ((value){ .is_null = true })

/* Equality and order of two non-null or null values of one type; null sorts first. Doubles order as Java's
 * Double.compare does (NaN greatest). Structs and arrays compare element by element. Maps are equal when their entries
 * are, in any order; they have no other order than an arbitrary stable one. */
bool value_equal(const type *t, const value *a, const value *b);
int value_compare(const type *t, const value *a, const value *b);

value value_copy(arena *a, const type *t, const value *from); /* deep */

/* A self-contained binary form for state and exchange blocks: no type in it, the reader knows it. Not ordered. */
void value_encode(text *out, const type *t, const value *v);
/* Strings are lent from the input; lists live in the arena. False: the bytes are not of that type. */
struct reader_bytes;
bool value_decode(struct reader_bytes *in, const type *t, arena *a, value *out);

#endif
