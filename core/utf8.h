/* core/utf8.h - stepping over text by characters (code points). Bytes that are no UTF-8 count one each, or together
 * with the character before them: never out of bounds. */
#ifndef WEIR_CORE_UTF8_H
#define WEIR_CORE_UTF8_H

#include "core/arena.h"

static inline bool utf8_is_inner(char c) { return ((unsigned char)c & 0xC0) == 0x80; }

/* The next character's first byte, or end. */
static inline const char *utf8_next(const char *at, const char *end)
{
    at++;
    while (at < end && utf8_is_inner(*at)) at++;
    return at;
}

static inline const char *utf8_previous(const char *at, const char *start)
{
    at--;
    while (at > start && utf8_is_inner(*at)) at--;
    return at;
}

/* At most so many bytes of the front, ending at a character's edge. */
static inline slice utf8_beginning(slice s, size_t most)
{
    size_t end = s.len < most ? s.len : most;

    while (end > 0 && end < s.len && utf8_is_inner(s.data[end])) end--;
    return (slice){ s.data, end };
}

static inline uint32_t utf8_count(slice s)
{
    uint32_t count = 0;

    for (size_t i = 0; i < s.len; i++) count += !utf8_is_inner(s.data[i]);
    return count;
}

static inline bool is_ascii(slice s)
{
    unsigned char any = 0;

    for (size_t i = 0; i < s.len; i++) any |= (unsigned char)s.data[i];
    return any < 0x80;
}

/* Where character `index` begins; the end if there are fewer. */
static inline const char *utf8_at(slice s, uint64_t index)
{
    const char *at = s.data, *end = s.data + s.len;

    while (index-- > 0 && at < end) at = utf8_next(at, end);
    return at;
}

/* The text itself, or a copy with what is no UTF-8 replaced by U+FFFD. */
slice utf8_repaired(arena *a, slice s);

/* Where the first byte is that is not UTF-8, or -1. */
int64_t utf8_fault(slice bytes);

/* Writes a code point, up to 4 bytes; returns how many. */
static inline size_t utf8_put(char *at, uint32_t c)
{
    if (c < 0x80) {
        at[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        at[0] = (char)(0xC0 | c >> 6);
        at[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        at[0] = (char)(0xE0 | c >> 12);
        at[1] = (char)(0x80 | (c >> 6 & 0x3F));
        at[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    at[0] = (char)(0xF0 | c >> 18);
    at[1] = (char)(0x80 | (c >> 12 & 0x3F));
    at[2] = (char)(0x80 | (c >> 6 & 0x3F));
    at[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

#endif
