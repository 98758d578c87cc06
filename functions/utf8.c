/* functions/utf8.c - making text of bytes that may be none. */
#include "functions/utf8.h"

#include <unicode/utf8.h>

slice utf8_repaired(arena *a, slice s)
{
    int32_t at = 0, length = (int32_t)s.len;
    bool is_right = true;

    while (at < length && is_right) {
        UChar32 c;
        U8_NEXT(s.data, at, length, c);
        is_right = c >= 0;
    }
    if (is_right) return s;
    char *to = arena_alloc(a, s.len * 3);
    size_t written = 0;
    for (at = 0; at < length;) {
        UChar32 c;
        U8_NEXT_OR_FFFD(s.data, at, length, c);
        written += utf8_put(to + written, (uint32_t)c);
    }
    return (slice){ to, written };
}
