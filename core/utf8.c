/* core/utf8.c - is it UTF-8, and making text of bytes that may be none. */
#include "core/utf8.h"

#include "core/json_index.h"

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

int64_t utf8_fault(slice bytes)
{
    if (bytes.len == 0) return -1; /* absent, too */
    const unsigned char *at = (const unsigned char *)bytes.data, *end = at + bytes.len;

    if (json_utf8_valid(bytes.data, bytes.len)) return -1;
    while (at < end) { /* the slow way, to say where */
        size_t more = *at < 0x80 ? 0 : *at < 0xE0 ? 1 : *at < 0xF0 ? 2 : 3;
        if ((*at >= 0x80 && *at < 0xC2) || *at > 0xF4 || (size_t)(end - at) <= more) break;
        bool is_good = more == 0 || !((*at == 0xE0 && at[1] < 0xA0) || (*at == 0xED && at[1] > 0x9F) ||
                                      (*at == 0xF0 && at[1] < 0x90) || (*at == 0xF4 && at[1] > 0x8F));
        for (size_t i = 1; i <= more; i++) is_good = is_good && (at[i] & 0xC0) == 0x80;
        if (!is_good) break;
        at += more + 1;
    }
    return (const char *)at - bytes.data;
}
