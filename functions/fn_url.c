/* functions/fn_url.c - parts of URLs, by RFC 3986. A text that is no URL has none. */
#include "functions/family.h"
#include "core/utf8.h"

#include <ctype.h>

#define FAMILY "url"

#define ROW(name) static bool name(const call *c, eval_context *x, const value *args, value *out)

typedef struct url {
    slice protocol, host, port, path, query, fragment; /* absent: not there */
} url;

/* Printable ASCII but for what must be escaped; a % with two hexadecimal digits; and anything beyond ASCII. */
static bool has_bad_character(slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char b = (unsigned char)s.data[i];
        if (b <= ' ' || b == 0x7F || strchr("\"<>\\^`{|}", b) != NULL) return true;
        if (b == '%' && (i + 2 >= s.len || !isxdigit((unsigned char)s.data[i + 1]) || !isxdigit((unsigned char)s.data[i + 2]))) {
            return true;
        }
    }
    return false;
}

/* Cuts `whole` at the first of the characters: what stands behind it, absent if there is none. */
static slice cut_at(slice *whole, const char *stops)
{
    for (size_t i = 0; i < whole->len; i++) {
        if (strchr(stops, whole->data[i]) == NULL) continue;
        slice behind = { whole->data + i + 1, whole->len - i - 1 };
        whole->len = i;
        return behind;
    }
    return NO_SLICE;
}

static bool has_any(slice s, const char *characters)
{
    for (size_t i = 0; i < s.len; i++) {
        if (strchr(characters, s.data[i]) != NULL) return true;
    }
    return false;
}

static bool is_scheme(slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (!isalpha(c) && (i == 0 || (!isdigit(c) && strchr("+-.", c) == NULL))) return false;
    }
    return s.len > 0;
}

/* False: the text is no URL. A colon before the first slash ends a scheme, and something must follow it, as after //. */
static bool parse(slice s, url *out)
{
    *out = (url){ 0 };
    if (has_bad_character(s)) return false;
    out->fragment = cut_at(&s, "#");
    if (has_any(out->fragment, "#")) return false;
    out->query = cut_at(&s, "?");
    size_t colon = 0;
    while (colon < s.len && s.data[colon] != ':' && s.data[colon] != '/') colon++;
    if (colon < s.len && s.data[colon] == ':') {
        if (!is_scheme((slice){ s.data, colon }) || colon + 1 == s.len) return false;
        out->protocol = (slice){ s.data, colon };
        s = (slice){ s.data + colon + 1, s.len - colon - 1 };
    }
    if (s.len >= 2 && s.data[0] == '/' && s.data[1] == '/') {
        slice authority = { s.data + 2, s.len - 2 };
        size_t end = 0;
        while (end < authority.len && authority.data[end] != '/') end++;
        s = (slice){ authority.data + end, authority.len - end };
        authority.len = end;
        if (end == 0 && s.len == 0 && out->query.data == NULL && out->fragment.data == NULL) return false;
        for (size_t i = authority.len; i-- > 0;) {
            if (authority.data[i] != '@') continue;
            authority = (slice){ authority.data + i + 1, authority.len - i - 1 };
            break;
        }
        size_t port = authority.len;
        while (port > 0 && isdigit((unsigned char)authority.data[port - 1])) port--;
        if (port > 0 && authority.data[port - 1] == ':') {
            if (port < authority.len) out->port = (slice){ authority.data + port, authority.len - port };
            authority.len = port - 1;
        }
        if (authority.len > 0) out->host = authority;
    }
    out->path = s;
    return !has_any(s, "[]");
}

static int hex_digit(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* %xx as bytes, and + as a blank where a form is read. False: a % without its digits. */
static bool unescape(arena *a, slice s, bool is_form, slice *out)
{
    char *to = arena_alloc(a, s.len);
    size_t length = 0;

    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        if (c == '%') {
            if (i + 2 >= s.len || !isxdigit((unsigned char)s.data[i + 1]) || !isxdigit((unsigned char)s.data[i + 2])) return false;
            c = (char)(hex_digit(s.data[i + 1]) << 4 | hex_digit(s.data[i + 2]));
            i += 2;
        } else if (c == '+' && is_form) {
            c = ' ';
        }
        to[length++] = c;
    }
    *out = utf8_repaired(a, (slice){ to, length });
    return true;
}

static bool show(eval_context *x, slice part, bool is_escaped, value *out)
{
    if (part.data == NULL) return true;
    out->is_null = false;
    out->str = part;
    if (is_escaped && !unescape(x->arena, part, false, &out->str)) out->is_null = true;
    return true;
}

#define PART(name, part, is_escaped)                                        \
    ROW(name)                                                               \
    {                                                                       \
        url u;                                                              \
        (void)c;                                                            \
        return !parse(args[0].str, &u) || show(x, u.part, is_escaped, out); \
    }
PART(url_protocol, protocol, false)
PART(url_host, host, false)
PART(url_path, path, true)
PART(url_query, query, true)
PART(url_fragment, fragment, true)

ROW(url_port)
{
    url u;
    int64_t port = 0;

    (void)c, (void)x;
    if (!parse(args[0].str, &u) || u.port.data == NULL || u.port.len > 9) return true;
    for (size_t i = 0; i < u.port.len; i++) port = port * 10 + (u.port.data[i] - '0');
    *out = (value){ .i32 = (int32_t)port };
    return true;
}

/* The value of the first parameter of that name; names are compared as they read unescaped. */
ROW(url_parameter)
{
    url u;

    (void)c;
    if (!parse(args[0].str, &u) || u.query.data == NULL) return true;
    for (slice rest = u.query; rest.data != NULL;) {
        slice pair = rest, behind = cut_at(&pair, "&"), name;
        slice v = cut_at(&pair, "=");
        rest = behind;
        if (!unescape(x->arena, pair, true, &name) || !slice_equal(name, args[1].str)) continue;
        if (v.data == NULL || !unescape(x->arena, v, true, &out->str)) return true;
        out->is_null = false;
        return true;
    }
    return true;
}

/* As forms are encoded: a blank is +, letters, digits and .-*_ stay. */
ROW(url_encode)
{
    static const char digits[] = "0123456789ABCDEF";
    slice s = args[0].str;
    char *to = arena_alloc(x->arena, s.len * 3);
    size_t length = 0;

    (void)c;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char b = (unsigned char)s.data[i];
        if (b < 0x80 && (isalnum(b) || strchr(".-*_", b) != NULL) && b != 0) {
            to[length++] = (char)b;
        } else if (b == ' ') {
            to[length++] = '+';
        } else {
            to[length++] = '%';
            to[length++] = digits[b >> 4];
            to[length++] = digits[b & 15];
        }
    }
    *out = (value){ .str = { to, length } };
    return true;
}

ROW(url_decode)
{
    (void)c;
    out->is_null = false;
    return unescape(x->arena, args[0].str, true, &out->str) || FAIL_ROW(x, "a %% in it has not two hexadecimal digits behind it");
}

#define URL_ROW(name, result_, body, sentence, example_) \
    SCALAR(name, "STRING", result_, NULL_IN_OUT, body, sentence, .example = example_)

static const function ROWS[] = {
    URL_ROW("URL_EXTRACT_PROTOCOL", "STRING", url_protocol, "The protocol of a URL.", "URL_EXTRACT_PROTOCOL('http://a.org/b')"),
    URL_ROW("URL_EXTRACT_HOST", "STRING", url_host, "The host of a URL.", "URL_EXTRACT_HOST('http://a.org:80/b')"),
    URL_ROW("URL_EXTRACT_PORT", "INTEGER", url_port, "The port of a URL, if it names one.", "URL_EXTRACT_PORT('http://a.org:80/b')"),
    URL_ROW("URL_EXTRACT_PATH", "STRING", url_path, "The path of a URL, unescaped.", "URL_EXTRACT_PATH('http://a.org/b?c=d')"),
    URL_ROW("URL_EXTRACT_QUERY", "STRING", url_query, "The query of a URL, unescaped.", "URL_EXTRACT_QUERY('http://a.org/b?c=d')"),
    URL_ROW("URL_EXTRACT_FRAGMENT", "STRING", url_fragment, "The fragment of a URL, unescaped.",
            "URL_EXTRACT_FRAGMENT('http://a.org/b#top')"),
    SCALAR("URL_EXTRACT_PARAMETER", "STRING, STRING", "STRING", NULL_IN_OUT, url_parameter,
           "The value of a parameter in the query of a URL, unescaped.", .example = "URL_EXTRACT_PARAMETER('http://a.org/b?c=d', 'c')"),
    URL_ROW("URL_ENCODE_PARAM", "STRING", url_encode, "Text escaped so that it can be a parameter of a URL.",
            "URL_ENCODE_PARAM('a b')"),
    URL_ROW("URL_DECODE_PARAM", "STRING", url_decode, "A parameter of a URL, unescaped.", "URL_DECODE_PARAM('a+b')"),
};
const function_family url_family = FAMILY_ROWS(ROWS);
