/* core/slice.h - borrowed text or bytes: where it is and how long. Never owns, never NUL-terminated by contract.
 * data == NULL means "absent" (a null key, a tombstone); data != NULL with len 0 is present and empty. */
#ifndef WEIR_CORE_SLICE_H
#define WEIR_CORE_SLICE_H

#include "core/big_endian.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

typedef struct slice {
    const char *data;
    size_t len;
} slice;

#define SLICE(literal) ((slice){ "" literal, sizeof(literal) - 1 })
#define NO_SLICE ((slice){ NULL, 0 })
/* For printf's "%.*s". */
#define SLICE_ARG(s) (int)(s).len, (s).data

static inline slice slice_of(const char *c_string)
{
    return c_string == NULL ? NO_SLICE : (slice){ c_string, strlen(c_string) };
}

#define SHORT_BYTES_MAX 32 /* so many are compared and copied in place, by words, rather than by a call: most keys are short */

/* As memcmp, which takes no NULL for nothing. */
static inline int slice_compare_bytes(const char *a, const char *b, size_t count)
{
    if (count < 8 || count > SHORT_BYTES_MAX) return count == 0 ? 0 : memcmp(a, b, count);
    for (size_t i = 0;; i += 8) {
        if (count - i < 8) i = count - 8; /* the last word has some bytes again */
        uint64_t x = get_u64(a + i), y = get_u64(b + i);
        if (x != y) return x < y ? -1 : 1;
        if (count - i == 8) return 0;
    }
}

/* As memcpy, which takes no NULL for nothing either. */
static inline void copy_short(char *to, const char *from, size_t count)
{
    if (count < 8 || count > 2 * SHORT_BYTES_MAX) {
        if (count > 0) memcpy(to, from, count);
        return;
    }
    for (size_t i = 0; i + 8 < count; i += 8) memcpy(to + i, from + i, 8);
    memcpy(to + count - 8, from + count - 8, 8); /* has some bytes again */
}

static inline bool slice_equal(slice a, slice b)
{
    return a.len == b.len && slice_compare_bytes(a.data, b.data, a.len) == 0;
}

static inline bool slice_is(slice a, const char *c_string)
{
    return slice_equal(a, slice_of(c_string));
}

/* Equal ignoring the case of ASCII letters. */
static inline bool slice_equal_nocase(slice a, slice b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.data, b.data, a.len) == 0);
}

/* A letter of ASCII or _, then those and digits: a name to every language there is. */
static inline bool slice_is_identifier(slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!is_letter && !(i > 0 && c >= '0' && c <= '9')) return false;
    }
    return name.len > 0;
}

/* Byte order, as memcmp; a prefix sorts before what it begins. */
static inline int slice_compare(slice a, slice b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = slice_compare_bytes(a.data, b.data, shorter);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

#endif
