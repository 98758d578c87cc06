/* functions/fn_bytes.c - bytes and their encodings, digests, identifiers. */
#include "core/number.h"
#include "core/utf8.h"
#include "functions/family.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#define FAMILY "bytes"

#define ROW(name) static bool name(const call *c, eval_context *x, const value *args, value *out)

typedef enum encoding { ENCODING_HEX, ENCODING_UTF8, ENCODING_ASCII, ENCODING_BASE64, ENCODING_UNKNOWN } encoding;

static encoding encoding_named(slice name)
{
    static const char *const names[] = { "hex", "utf8", "ascii", "base64" };

    for (int i = 0; i < ENCODING_UNKNOWN; i++) {
        if (slice_equal_nocase(name, slice_of(names[i]))) return (encoding)i;
    }
    return ENCODING_UNKNOWN;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* 4578, 0x4578, X'4578'; after 0x an odd first digit stands for a byte of its own. */
static bool hex_to_bytes(arena *a, slice s, slice *out)
{
    if (s.len >= 2 && s.data[0] == '0' && (s.data[1] | 0x20) == 'x') {
        s = (slice){ s.data + 2, s.len - 2 };
        if (s.len % 2 != 0) {
            char *padded = arena_alloc(a, s.len + 1);
            padded[0] = '0';
            memcpy(padded + 1, s.data, s.len);
            s = (slice){ padded, s.len + 1 };
        }
    } else if (s.len >= 1 && (s.data[0] | 0x20) == 'x') {
        if (s.len < 3 || s.data[1] != '\'' || s.data[s.len - 1] != '\'') return false;
        s = (slice){ s.data + 2, s.len - 3 };
    }
    if (s.len % 2 != 0) return false;
    char *bytes = arena_alloc(a, s.len / 2);
    for (size_t i = 0; i < s.len / 2; i++) {
        int high = hex_digit(s.data[2 * i]), low = hex_digit(s.data[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        bytes[i] = (char)(high << 4 | low);
    }
    *out = (slice){ bytes, s.len / 2 };
    return true;
}

static slice bytes_to_hex(arena *a, slice s, bool is_upper)
{
    const char *digits = is_upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char *hex = arena_alloc(a, s.len * 2);

    for (size_t i = 0; i < s.len; i++) {
        hex[2 * i] = digits[(unsigned char)s.data[i] >> 4];
        hex[2 * i + 1] = digits[s.data[i] & 15];
    }
    return (slice){ hex, s.len * 2 };
}

/* Bytes of 128 and more, which ASCII has not, become the replacement character. */
static slice bytes_to_ascii(arena *a, slice s)
{
    char *ascii = arena_alloc(a, s.len * 3);
    size_t length = 0;

    for (size_t i = 0; i < s.len; i++) length += utf8_put(ascii + length, s.data[i] & 0x80 ? 0xFFFD : (uint32_t)s.data[i]);
    return (slice){ ascii, length };
}

/* A question mark for each character ASCII has not. */
static slice text_to_ascii(arena *a, slice s)
{
    char *ascii = arena_alloc(a, s.len);
    size_t length = 0;

    for (const char *at = s.data, *end = s.data + s.len; at < end; at = utf8_next(at, end)) {
        ascii[length++] = *at & 0x80 ? '?' : *at;
    }
    return (slice){ ascii, length };
}

static bool fail_text(eval_context *x, slice s, const char *what)
{
    slice shown = utf8_beginning(s, 40);

    return FAIL_ROW(x, "'%.*s%s' is not %s", SLICE_ARG(shown), shown.len < s.len ? "..." : "", what);
}

static bool text_to_bytes(eval_context *x, slice s, encoding from, slice *out)
{
    switch (from) {
    case ENCODING_HEX: return hex_to_bytes(x->arena, s, out) || fail_text(x, s, "hexadecimal");
    case ENCODING_BASE64: {
        char *bytes = arena_alloc(x->arena, base64_decoded_max(s.len));
        *out = (slice){ bytes, 0 };
        return base64_decode(s, bytes, &out->len) || fail_text(x, s, "base64");
    }
    case ENCODING_ASCII: *out = is_ascii(s) ? s : text_to_ascii(x->arena, s); return true;
    default: *out = s; return true;
    }
}

static slice bytes_to_text(eval_context *x, slice s, encoding to)
{
    switch (to) {
    case ENCODING_HEX: return bytes_to_hex(x->arena, s, true);
    case ENCODING_ASCII: return bytes_to_ascii(x->arena, s);
    case ENCODING_BASE64: {
        char *encoded = arena_alloc(x->arena, base64_encoded_bytes(s.len));
        return (slice){ encoded, (size_t)(base64_encode(encoded, s) - encoded) };
    }
    default: return utf8_repaired(x->arena, s);
    }
}

#define KNOWN_ENCODING(variable, text_) \
    encoding variable = encoding_named(text_); \
    if (variable == ENCODING_UNKNOWN) return FAIL_ROW(x, "there is no encoding '%.*s'; there are hex, utf8, ascii, base64", \
                                                      SLICE_ARG(text_))

ROW(to_bytes)
{
    KNOWN_ENCODING(from, args[1].str);
    (void)c;
    out->is_null = false;
    return text_to_bytes(x, args[0].str, from, &out->str);
}

ROW(from_bytes)
{
    KNOWN_ENCODING(to, args[1].str);
    (void)c;
    *out = (value){ .str = bytes_to_text(x, args[0].str, to) };
    return true;
}

ROW(encode)
{
    KNOWN_ENCODING(from, args[1].str);
    KNOWN_ENCODING(to, args[2].str);
    slice bytes;
    (void)c;
    if (!text_to_bytes(x, args[0].str, from, &bytes)) return false;
    *out = (value){ .str = bytes_to_text(x, bytes, to) };
    return true;
}

/* ---- numbers in bytes ---- */

/* 1: the bytes as they count up from the most significant; 0: reversed; -1: no such order. */
static int byte_order(const call *c, const value *args)
{
    if (c->arg_count < 2 || slice_equal_nocase(args[1].str, SLICE("BIG_ENDIAN"))) return 1;
    return slice_equal_nocase(args[1].str, SLICE("LITTLE_ENDIAN")) ? 0 : -1;
}

static bool read_number(const call *c, eval_context *x, const value *args, size_t bytes, uint64_t *out)
{
    int is_big = byte_order(c, args);

    if (is_big < 0) return FAIL_ROW(x, "the byte order must be BIG_ENDIAN or LITTLE_ENDIAN");
    if (args[0].str.len != bytes) return FAIL_ROW(x, "%s needs %zu bytes, not %zu", c->fn->name, bytes, args[0].str.len);
    *out = 0;
    for (size_t i = 0; i < bytes; i++) {
        *out = *out << 8 | (unsigned char)args[0].str.data[is_big ? i : bytes - 1 - i];
    }
    return true;
}

ROW(int_from_bytes)
{
    uint64_t n;

    if (!read_number(c, x, args, 4, &n)) return false;
    *out = (value){ .i32 = (int32_t)(uint32_t)n };
    return true;
}

ROW(bigint_from_bytes)
{
    uint64_t n;

    if (!read_number(c, x, args, 8, &n)) return false;
    *out = (value){ .i64 = (int64_t)n };
    return true;
}

ROW(double_from_bytes)
{
    uint64_t n;

    if (!read_number(c, x, args, 8, &n)) return false;
    *out = (value){ 0 };
    memcpy(&out->f64, &n, 8);
    return true;
}

/* ---- digests and identifiers ---- */

static bool digest(eval_context *x, slice bytes, const EVP_MD *kind, value *out)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned int length = 0;

    if (EVP_Digest(bytes.data, bytes.len, sum, &length, kind, NULL) != 1) return FAIL_ROW(x, "the digest cannot be computed");
    *out = (value){ .str = bytes_to_hex(x->arena, (slice){ (const char *)sum, length }, false) };
    return true;
}

ROW(md5)
{
    (void)c;
    return digest(x, args[0].str, EVP_md5(), out);
}

ROW(sha256)
{
    (void)c;
    return digest(x, args[0].str, EVP_sha256(), out);
}

static bool print_uuid(eval_context *x, const unsigned char *bytes, value *out)
{
    static const uint8_t group_ends[] = { 4, 6, 8, 10 };
    slice hex = bytes_to_hex(x->arena, (slice){ (const char *)bytes, 16 }, false);
    char *printed = arena_alloc(x->arena, 36), *at = printed;

    for (uint32_t i = 0, group = 0; i < 16; i++) {
        if (group < 4 && i == group_ends[group]) {
            *at++ = '-';
            group++;
        }
        *at++ = hex.data[2 * i];
        *at++ = hex.data[2 * i + 1];
    }
    *out = (value){ .str = { printed, 36 } };
    return true;
}

ROW(uuid)
{
    unsigned char bytes[16];

    (void)c, (void)args;
    if (RAND_bytes(bytes, sizeof bytes) != 1) return FAIL_ROW(x, "no random numbers are to be had");
    bytes[6] = (unsigned char)((bytes[6] & 0x0F) | 0x40);
    bytes[8] = (unsigned char)((bytes[8] & 0x3F) | 0x80);
    return print_uuid(x, bytes, out);
}

ROW(uuid_of_bytes)
{
    (void)c;
    if (args[0].str.len != 16) return FAIL_ROW(x, "UUID needs 16 bytes, not %zu", args[0].str.len);
    return print_uuid(x, (const unsigned char *)args[0].str.data, out);
}

#define NUMBER_ROWS(name, result_, body, sentence, example_)                           \
    SCALAR(name, "BYTES", result_, NULL_IN_OUT, body, sentence, .example = example_),  \
        SCALAR(name, "BYTES, STRING", result_, NULL_IN_OUT, body, sentence)

static const function ROWS[] = {
    SCALAR("TO_BYTES", "STRING, STRING", "BYTES", NULL_IN_OUT, to_bytes, "The bytes a text stands for: hex, utf8, ascii or base64.",
           .example = "TO_BYTES('776569', 'hex')"),
    SCALAR("FROM_BYTES", "BYTES, STRING", "STRING", NULL_IN_OUT, from_bytes, "Bytes as text: hex, utf8, ascii or base64.",
           .example = "FROM_BYTES(TO_BYTES('weir', 'utf8'), 'hex')"),
    SCALAR("ENCODE", "STRING, STRING, STRING", "STRING", NULL_IN_OUT, encode,
           "A text from one encoding in another: hex, utf8, ascii or base64.", .example = "ENCODE('weir', 'utf8', 'hex')"),
    NUMBER_ROWS("INT_FROM_BYTES", "INTEGER", int_from_bytes, "The INTEGER in 4 bytes, BIG_ENDIAN or LITTLE_ENDIAN.",
                "INT_FROM_BYTES(TO_BYTES('000007E5', 'hex'))"),
    NUMBER_ROWS("BIGINT_FROM_BYTES", "BIGINT", bigint_from_bytes, "The BIGINT in 8 bytes, BIG_ENDIAN or LITTLE_ENDIAN.",
                "BIGINT_FROM_BYTES(TO_BYTES('E507000000000000', 'hex'), 'LITTLE_ENDIAN')"),
    NUMBER_ROWS("DOUBLE_FROM_BYTES", "DOUBLE", double_from_bytes, "The DOUBLE in 8 bytes, BIG_ENDIAN or LITTLE_ENDIAN.",
                "DOUBLE_FROM_BYTES(TO_BYTES('3FF8000000000000', 'hex'))"),
    SCALAR("MD5", "STRING", "STRING", NULL_IN_OUT, md5, "The MD5 digest in hexadecimal.", .example = "MD5('weir')"),
    SCALAR("SHA256", "STRING", "STRING", NULL_IN_OUT, sha256, "The SHA-256 digest in hexadecimal.", .example = "SHA256('weir')"),
    SCALAR("UUID", "", "STRING", NULL_IN_OUT, uuid, "A random identifier (version 4), or that of 16 bytes.", .is_volatile = true,
           .example = "UUID()"),
    SCALAR("UUID", "BYTES", "STRING", NULL_IN_OUT, uuid_of_bytes, "A random identifier (version 4), or that of 16 bytes.",
           .example = "UUID(TO_BYTES('237e9877e79b42d4a765321741963000', 'hex'))"),
};
const function_family bytes_family = FAMILY_ROWS(ROWS);
