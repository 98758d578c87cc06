/* shell/json.c - the little JSON that the command line writes and reads itself. */
#include "shell/json.h"

#include <stdlib.h>

/* Bytes of the well-formed UTF-8 character at the front, 0: there is none. */
static size_t utf8_length(const unsigned char *at, size_t left)
{
    size_t length = at[0] < 0x80 ? 1 : at[0] < 0xC2 ? 0 : at[0] < 0xE0 ? 2 : at[0] < 0xF0 ? 3 : at[0] < 0xF5 ? 4 : 0;

    if (length == 0 || length > left) return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xC0) != 0x80) return 0;
    if (at[0] == 0xE0 && at[1] < 0xA0) return 0; /* overlong */
    if (at[0] == 0xED && at[1] > 0x9F) return 0; /* a surrogate */
    if (at[0] == 0xF0 && at[1] < 0x90) return 0;
    if (at[0] == 0xF4 && at[1] > 0x8F) return 0;
    return length;
}

bool is_utf8(slice bytes)
{
    const unsigned char *at = (const unsigned char *)bytes.data;

    for (size_t i = 0; i < bytes.len;) {
        size_t length = utf8_length(at + i, bytes.len - i);
        if (length == 0) return false;
        i += length;
    }
    return true;
}

void json_add_string(text *out, slice s)
{
    size_t clean = 0; /* what stands from here on needs no escape */

    text_add_char(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        text_add(out, (slice){ s.data + clean, i - clean });
        clean = i + 1;
        switch (c) {
        case '"': text_add_c(out, "\\\""); break;
        case '\\': text_add_c(out, "\\\\"); break;
        case '\n': text_add_c(out, "\\n"); break;
        case '\r': text_add_c(out, "\\r"); break;
        case '\t': text_add_c(out, "\\t"); break;
        default: text_printf(out, "\\u%04x", c);
        }
    }
    text_add(out, (slice){ s.data + clean, s.len - clean });
    text_add_char(out, '"');
}

static void add_base64(text *out, slice bytes)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *at = (const unsigned char *)bytes.data;

    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t three = (uint32_t)at[i] << 16 | (left > 1 ? (uint32_t)at[i + 1] << 8 : 0) | (left > 2 ? at[i + 2] : 0);
        text_add_char(out, DIGITS[three >> 18]);
        text_add_char(out, DIGITS[three >> 12 & 63]);
        text_add_char(out, left > 1 ? DIGITS[three >> 6 & 63] : '=');
        text_add_char(out, left > 2 ? DIGITS[three & 63] : '=');
    }
}

void json_add_bytes(text *out, slice bytes)
{
    if (bytes.data == NULL) {
        text_add_c(out, "null");
    } else if (is_utf8(bytes)) {
        json_add_string(out, bytes);
    } else {
        text_add_c(out, "{\"$base64\":\"");
        add_base64(out, bytes);
        text_add_c(out, "\"}");
    }
}

void json_add_compact(text *out, slice json)
{
    bool in_string = false;

    for (size_t i = 0; i < json.len; i++) {
        char c = json.data[i];
        if (in_string && c == '\\' && i + 1 < json.len) {
            text_add_char(out, c);
            c = json.data[++i];
        } else if (c == '"') {
            in_string = !in_string;
        } else if (!in_string && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) {
            continue;
        }
        text_add_char(out, c);
    }
}

static void add_utf8(text *out, uint32_t c)
{
    if (c < 0x80) {
        text_add_char(out, (char)c);
    } else if (c < 0x800) {
        text_add_char(out, (char)(0xC0 | c >> 6));
        text_add_char(out, (char)(0x80 | (c & 63)));
    } else if (c < 0x10000) {
        text_add_char(out, (char)(0xE0 | c >> 12));
        text_add_char(out, (char)(0x80 | (c >> 6 & 63)));
        text_add_char(out, (char)(0x80 | (c & 63)));
    } else {
        text_add_char(out, (char)(0xF0 | c >> 18));
        text_add_char(out, (char)(0x80 | (c >> 12 & 63)));
        text_add_char(out, (char)(0x80 | (c >> 6 & 63)));
        text_add_char(out, (char)(0x80 | (c & 63)));
    }
}

static uint32_t read_hex4(const char *at)
{
    char digits[5] = { at[0], at[1], at[2], at[3], '\0' };
    return (uint32_t)strtoul(digits, NULL, 16);
}

size_t json_take_string(text *out, slice in)
{
    for (size_t i = 0; i < in.len; i++) {
        char c = in.data[i];
        if (c == '"') return i + 1;
        if (c != '\\') {
            text_add_char(out, c);
            continue;
        }
        if (++i >= in.len) return 0;
        switch (in.data[i]) {
        case 'n': text_add_char(out, '\n'); break;
        case 't': text_add_char(out, '\t'); break;
        case 'r': text_add_char(out, '\r'); break;
        case 'b': text_add_char(out, '\b'); break;
        case 'f': text_add_char(out, '\f'); break;
        case 'u': {
            uint32_t c32;
            if (i + 4 >= in.len) return 0;
            c32 = read_hex4(in.data + i + 1);
            i += 4;
            if (c32 >= 0xD800 && c32 < 0xDC00 && i + 6 < in.len && in.data[i + 1] == '\\' && in.data[i + 2] == 'u') {
                c32 = 0x10000 + ((c32 - 0xD800) << 10) + (read_hex4(in.data + i + 3) - 0xDC00);
                i += 6;
            }
            add_utf8(out, c32);
            break;
        }
        default: text_add_char(out, in.data[i]);
        }
    }
    return 0;
}
