/* core/json_write.c - see json_write.h. */
#include "core/json_write.h"

#include "core/json.h"
#include "core/number.h"

#include <math.h>

#define SHORT_BYTES 128

static inline bool is_escaped(char c)
{
    return (unsigned char)c < ' ' || c == '"' || c == '\\';
}

/* Short strings are taken to be the worst; long ones are looked at, as six times their length would be much. */
size_t json_string_bytes_max(slice string)
{
    if (string.len <= SHORT_BYTES) return 6 * string.len + 2;
    size_t escaped = 0;
    for (size_t i = 0; i < string.len; i++) escaped += is_escaped(string.data[i]);
    return string.len + 5 * escaped + 2;
}

static char *write_escape(char *at, char c)
{
    static const char HEX[] = "0123456789ABCDEF";

    *at++ = '\\';
    switch (c) {
    case '"':
    case '\\': *at++ = c; return at;
    case '\b': *at++ = 'b'; return at;
    case '\t': *at++ = 't'; return at;
    case '\n': *at++ = 'n'; return at;
    case '\f': *at++ = 'f'; return at;
    case '\r': *at++ = 'r'; return at;
    default: break;
    }
    memcpy(at, "u00", 3);
    at[3] = HEX[c >> 4];
    at[4] = HEX[c & 15];
    return at + 5;
}

#define EACH_BYTE(b) (0x0101010101010101u * (b))

/* Has one of the eight bytes to be escaped? Exact for bytes up to 0x7F; those above never set their bit. */
static inline bool has_escaped(uint64_t eight)
{
    uint64_t quote = eight ^ EACH_BYTE('"'), backslash = eight ^ EACH_BYTE('\\');

    uint64_t found = ((eight - EACH_BYTE(0x20)) & ~eight) | ((quote - EACH_BYTE(1)) & ~quote) |
                     ((backslash - EACH_BYTE(1)) & ~backslash);
    return (found & EACH_BYTE(0x80)) != 0;
}

char *json_write_string(char *at, slice string)
{
    const char *from = string.data, *end = from + string.len;

    *at++ = '"';
    while (end - from >= 8) {
        uint64_t eight;
        memcpy(&eight, from, 8);
        if (has_escaped(eight)) {
            for (int i = 0; i < 8; i++, from++) {
                if (is_escaped(*from)) {
                    at = write_escape(at, *from);
                } else {
                    *at++ = *from;
                }
            }
        } else {
            memcpy(at, &eight, 8);
            at += 8;
            from += 8;
        }
    }
    for (; from < end; from++) {
        if (is_escaped(*from)) {
            at = write_escape(at, *from);
        } else {
            *at++ = *from;
        }
    }
    *at++ = '"';
    return at;
}

char *json_write_f64(char *at, double number)
{
    bool is_number = isfinite(number);

    if (!is_number) *at++ = '"';
    at = write_double(at, number);
    if (!is_number) *at++ = '"';
    return at;
}

char *json_write_bytes(char *at, slice bytes)
{
    *at++ = '"';
    at = base64_encode(at, bytes);
    *at++ = '"';
    return at;
}

size_t json_value_bytes_max(const type *t, const value *v)
{
    size_t bytes = 2;

    if (v->is_null) return 4;
    switch (t->kind) {
    case TYPE_STRING:
    case TYPE_INTERVAL_UNIT: return json_string_bytes_max(v->str);
    case TYPE_BYTES: return base64_encoded_bytes(v->str.len) + 2;
    case TYPE_ARRAY:
        for (uint32_t i = 0; i < v->list.count; i++) bytes += json_value_bytes_max(t->element, &v->list.items[i]) + 1;
        return bytes;
    case TYPE_MAP:
        for (uint32_t i = 0; i < v->map.count; i++) {
            bytes += json_value_bytes_max(t->key, &v->map.keys[i]) + json_value_bytes_max(t->element, &v->map.values[i]) + 4;
        }
        return bytes;
    case TYPE_STRUCT:
        for (uint32_t i = 0; i < v->list.count; i++) {
            bytes += json_string_bytes_max(t->fields[i].name) + json_value_bytes_max(t->fields[i].type, &v->list.items[i]) + 2;
        }
        return bytes;
    default: return JSON_SCALAR_MAX;
    }
}

static char *write_plain(char *at, slice plain)
{
    memcpy(at, plain.data, plain.len);
    return at + plain.len;
}

char *json_write_value(char *at, const type *t, const value *v)
{
    if (v->is_null) return write_plain(at, SLICE("null"));
    switch (t->kind) {
    case TYPE_BOOLEAN: return write_plain(at, v->boolean ? SLICE("true") : SLICE("false"));
    case TYPE_INTEGER:
    case TYPE_DATE:
    case TYPE_TIME: return write_i64(at, v->i32);
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP: return write_i64(at, v->i64);
    case TYPE_DOUBLE: return json_write_f64(at, v->f64);
    case TYPE_DECIMAL: return write_decimal(at, v->dec, t->scale);
    case TYPE_STRING:
    case TYPE_INTERVAL_UNIT: return json_write_string(at, v->str);
    case TYPE_BYTES: return json_write_bytes(at, v->str);
    case TYPE_ARRAY:
        *at++ = '[';
        for (uint32_t i = 0; i < v->list.count; i++) {
            if (i > 0) *at++ = ',';
            at = json_write_value(at, t->element, &v->list.items[i]);
        }
        *at++ = ']';
        return at;
    case TYPE_MAP:
        *at++ = '{';
        for (uint32_t i = 0; i < v->map.count; i++) {
            bool is_text = t->key->kind == TYPE_STRING && !v->map.keys[i].is_null; /* a null key reads "null" */
            if (i > 0) *at++ = ',';
            if (!is_text) *at++ = '"'; /* no format has such keys; the shell prints them */
            at = json_write_value(at, t->key, &v->map.keys[i]);
            if (!is_text) *at++ = '"';
            *at++ = ':';
            at = json_write_value(at, t->element, &v->map.values[i]);
        }
        *at++ = '}';
        return at;
    case TYPE_STRUCT:
        *at++ = '{';
        for (uint32_t i = 0; i < v->list.count; i++) {
            if (i > 0) *at++ = ',';
            at = json_write_string(at, t->fields[i].name);
            *at++ = ':';
            at = json_write_value(at, t->fields[i].type, &v->list.items[i]);
        }
        *at++ = '}';
        return at;
    case TYPE_NULL:
    case TYPE_LAMBDA: break;
    }
    return write_plain(at, SLICE("null"));
}

void print_json_string(text *out, slice string)
{
    text_reserve(out, json_string_bytes_max(string));
    out->len = (size_t)(json_write_string(out->data + out->len, string) - out->data);
    out->data[out->len] = '\0';
}

void print_json_value(text *out, const type *t, const value *v)
{
    text_reserve(out, json_value_bytes_max(t, v));
    out->len = (size_t)(json_write_value(out->data + out->len, t, v) - out->data);
    out->data[out->len] = '\0';
}
