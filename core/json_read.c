/* core/json_read.c - see json_read.h. */
#include "core/json_read.h"

#include "core/hash.h"
#include "core/json.h"
#include "core/utf8.h"

#include <stdio.h>

/* --- what is wrong --- */

static bool fail_at_byte(json_doc *doc, size_t byte, const char *why)
{
    doc->is_malformed = true;
    snprintf(doc->reason, sizeof doc->reason, "not JSON at byte %zu: %s", byte + doc->skipped, why);
    return false;
}

bool json_fail_at(json_doc *doc, uint32_t i, const char *why)
{
    if (i >= doc->count) return fail_at_byte(doc, doc->len, "it ends in the middle");
    return fail_at_byte(doc, doc->at[i], why);
}

static void type_name(char *at, size_t bytes, const type *t)
{
    text name = TEXT_EMPTY;

    type_print(&name, t);
    snprintf(at, bytes, "%s", name.data);
    text_free(&name);
}

#define TOKEN_BYTES_SHOWN 40

/* What was found is shown if it is a scalar. */
static bool fail_wanted(json_doc *doc, uint32_t i, const char *wanted, const char *what)
{
    slice token = json_token(doc, i), shown = utf8_beginning(token, TOKEN_BYTES_SHOWN);
    bool is_scalar = token.data[0] != '{' && token.data[0] != '[';

    doc->is_malformed = false;
    snprintf(doc->reason, sizeof doc->reason, "%s expected, here is %s%s%.*s%s", wanted, what, is_scalar ? ": " : "",
             is_scalar ? (int)shown.len : 0, shown.data, is_scalar && shown.len < token.len ? "..." : "");
    return false;
}

static bool fail(json_doc *doc, uint32_t i, const type *t, const char *what)
{
    char name[REASON_BYTES / 2];

    type_name(name, sizeof name, t);
    return fail_wanted(doc, i, name, what);
}

/* What was wrong was so within an item, an entry or a field; where the bytes are no JSON, their number tells more. */
static bool fail_in_item(json_doc *doc, uint32_t index)
{
    if (!doc->is_malformed) reason_in_item(doc->reason, index);
    return false;
}

static bool fail_in_key(json_doc *doc, slice key)
{
    if (!doc->is_malformed) reason_in_key(doc->reason, key);
    return false;
}

static bool fail_in_field(json_doc *doc, slice name)
{
    if (!doc->is_malformed) reason_in_field(doc->reason, name);
    return false;
}

/* "an array": what the value at i is; NULL: none. */
static const char *kind_at(const json_doc *doc, uint32_t i)
{
    switch (json_char(doc, i)) {
    case '{': return "an object";
    case '[': return "an array";
    case '"': return "a string";
    case 't':
    case 'f': return "a boolean";
    case '-':
    case '0' ... '9': return "a number";
    default: return NULL;
    }
}

bool json_fail_object(json_doc *doc, uint32_t i)
{
    const char *kind = kind_at(doc, i);

    return kind == NULL ? json_fail_at(doc, i, "an object expected") : fail_wanted(doc, i, "a JSON object", kind);
}

bool json_fail_type(json_doc *doc, uint32_t i, const type *t)
{
    const char *kind = kind_at(doc, i);

    return kind == NULL ? json_fail_at(doc, i, "a value is missing") : fail(doc, i, t, kind);
}

bool json_fail_number(json_doc *doc, uint32_t i, number_fit fit, const type *t)
{
    return fail(doc, i, t,
                fit == NUMBER_TOO_LARGE     ? "a number that is too large"
                : fit == NUMBER_TOO_PRECISE ? "a number with more decimal places"
                                            : "a string that is no such number");
}

/* The first stage only says that something is wrong; this finds the place. */
static bool explain(json_doc *doc, json_fault fault)
{
    size_t begin = 0;
    bool in_string = false;

    switch (fault) {
    case JSON_EMPTY: return fail_at_byte(doc, 0, "there is nothing");
    case JSON_NOT_UTF8: {
        int64_t byte = utf8_fault((slice){ doc->bytes, doc->len });
        return fail_at_byte(doc, byte < 0 ? 0 : (size_t)byte, "not UTF-8");
    }
    case JSON_TOO_LARGE: return fail_at_byte(doc, 0, "a record of 4 GB or more");
    case JSON_NO_MEMORY: return fail_at_byte(doc, 0, "no memory to read a record as large as this");
    default: break;
    }
    for (size_t i = 0; i < doc->len; i++) {
        unsigned char c = (unsigned char)doc->bytes[i];
        if (c == '"') {
            in_string = !in_string;
            begin = i;
        } else if (in_string && c == '\\') {
            i++;
        } else if (in_string && c < ' ') {
            return fail_at_byte(doc, i, "a control character in a string");
        }
    }
    return fail_at_byte(doc, begin, "a string is opened and not closed");
}

bool json_doc_open(json_doc *doc, json_index *index, slice bytes)
{
    bool has_mark = bytes.len >= 3 && memcmp(bytes.data, "\xEF\xBB\xBF", 3) == 0;

    doc->skipped = has_mark ? 3 : 0;
    doc->bytes = bytes.data + doc->skipped;
    doc->len = bytes.len - doc->skipped;
    json_fault fault = json_index_find(index, doc->bytes, doc->len);
    if (fault != JSON_FINE) return explain(doc, fault);
    doc->at = index->at;
    doc->count = index->count;
    return true;
}

bool json_skip_nested(json_doc *doc, uint32_t *i)
{
    uint32_t depth = 0;

    for (uint32_t at = *i; at < doc->count; at++) {
        switch (doc->bytes[doc->at[at]]) {
        case '{':
        case '[': depth++; break;
        case '}':
        case ']':
            if (--depth == 0) {
                *i = at + 1;
                return true;
            }
            break;
        default: break;
        }
    }
    return json_fail_at(doc, doc->count, "");
}

/* --- numbers --- */

static const char *skip_digits(const char *at, const char *end)
{
    while (at < end && *at >= '0' && *at <= '9') at++;
    return at;
}

/* JSON's grammar, which is narrower than what the parsers of core/number.h take. */
static bool is_json_number(slice token, bool *is_whole)
{
    const char *at = token.data, *end = at + token.len, *digits;

    *is_whole = true;
    if (at < end && *at == '-') at++;
    digits = at;
    at = skip_digits(at, end);
    if (at == digits || (*digits == '0' && at - digits > 1)) return false;
    if (at < end && *at == '.') {
        *is_whole = false;
        digits = ++at;
        at = skip_digits(at, end);
        if (at == digits) return false;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        *is_whole = false;
        at++;
        if (at < end && (*at == '-' || *at == '+')) at++;
        digits = at;
        at = skip_digits(at, end);
        if (at == digits) return false;
    }
    return at == end;
}

static inline bool is_number_start(char c)
{
    return c == '-' || (c >= '0' && c <= '9');
}

/* Up to 18 digits and nothing else: what all but a few numbers are. */
static inline bool read_plain_integer(slice token, int64_t *out)
{
    const char *at = token.data, *end = at + token.len;
    bool is_negative = *at == '-';
    uint64_t number = 0;

    at += is_negative;
    if (at == end || end - at > 18 || (*at == '0' && end - at > 1)) return false;
    for (; at < end; at++) {
        unsigned digit = (unsigned char)*at - '0';
        if (digit > 9) return false;
        number = number * 10 + digit;
    }
    *out = is_negative ? -(int64_t)number : (int64_t)number;
    return true;
}

/* Numbers with a fraction or exponent are cut to their whole part. */
static bool read_other_integer(json_doc *doc, uint32_t i, const type *t, int64_t *out)
{
    slice token = json_token(doc, i);
    bool is_whole;
    decimal wide;

    if (token.data[0] == '"') {
        slice string;
        if (!json_unescape(doc, i, json_raw_string(doc, i), &string)) return false;
        number_fit fit = parse_i64(string, out);
        return fit == NUMBER_FITS || json_fail_number(doc, i, fit, t);
    }
    if (!is_number_start(token.data[0])) return json_fail_type(doc, i, t);
    if (!is_json_number(token, &is_whole)) return json_fail_at(doc, i, "a number is malformed");
    if (parse_decimal(token, DECIMAL_DIGITS_MAX, 0, ROUND_DOWN, &wide) != NUMBER_FITS || wide < INT64_MIN ||
        wide > INT64_MAX) {
        return json_fail_number(doc, i, NUMBER_TOO_LARGE, t);
    }
    *out = (int64_t)wide;
    return true;
}

bool json_read_i64(json_doc *doc, uint32_t *i, const type *t, int64_t *out)
{
    if (*i >= doc->count) return json_fail_at(doc, *i, "");
    if (!read_plain_integer(json_token(doc, *i), out) && !read_other_integer(doc, *i, t, out)) return false;
    ++*i;
    return true;
}

bool json_read_i32(json_doc *doc, uint32_t *i, const type *t, int32_t *out)
{
    int64_t wide;

    if (!json_read_i64(doc, i, t, &wide)) return false;
    if (wide < INT32_MIN || wide > INT32_MAX) return json_fail_number(doc, *i - 1, NUMBER_TOO_LARGE, t);
    if (t->kind == TYPE_TIME && (wide < 0 || wide > 86400000)) {
        return fail(doc, *i - 1, t, "a number that is no millisecond of a day");
    }
    *out = (int32_t)wide;
    return true;
}

/* The text of a number, or of a string in place of one. */
static inline bool read_number_text(json_doc *doc, uint32_t i, const type *t, slice *out)
{
    bool is_whole;

    if (i >= doc->count) return json_fail_at(doc, i, "");
    *out = json_token(doc, i);
    if (is_number_start(out->data[0])) return is_json_number(*out, &is_whole) || json_fail_at(doc, i, "a number is malformed");
    if (out->data[0] == '"') return json_unescape(doc, i, json_raw_string(doc, i), out);
    return json_fail_type(doc, i, t);
}

bool json_read_f64(json_doc *doc, uint32_t *i, const type *t, double *out)
{
    slice token;

    if (!read_number_text(doc, *i, t, &token)) return false;
    if (!parse_double(token, out)) return json_fail_number(doc, *i, NUMBER_MALFORMED, t);
    ++*i;
    return true;
}

bool json_read_decimal(json_doc *doc, uint32_t *i, const type *t, decimal *out)
{
    slice token;

    if (!read_number_text(doc, *i, t, &token)) return false;
    number_fit fit = parse_decimal(token, t->precision, t->scale, ROUND_NEVER, out);
    if (fit != NUMBER_FITS) return json_fail_number(doc, *i, fit, t);
    ++*i;
    return true;
}

/* --- literals --- */

bool json_is_null(const json_doc *doc, uint32_t i)
{
    return json_char(doc, i) == 'n' && slice_is(json_token(doc, i), "null");
}

bool json_read_boolean(json_doc *doc, uint32_t *i, const type *t, uint8_t *out)
{
    char first = json_char(doc, *i);

    if (first != 't' && first != 'f') return json_fail_type(doc, *i, t);
    if (!slice_is(json_token(doc, *i), first == 't' ? "true" : "false")) {
        return json_fail_at(doc, *i, "neither true nor false");
    }
    *out = first == 't';
    ++*i;
    return true;
}

/* --- strings --- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits behind \u, or -1. */
static int32_t read_code_unit(const char *at, const char *end)
{
    int32_t unit = 0;

    if (end - at < 4) return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0) return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

#define REPLACEMENT 0xFFFD

/* At the first digit; half of a surrogate pair alone becomes U+FFFD. */
static const char *read_unicode_escape(const char *at, const char *end, uint32_t *c)
{
    int32_t high = read_code_unit(at, end);

    if (high < 0) return NULL;
    at += 4;
    *c = (uint32_t)high;
    if (high < 0xD800 || high > 0xDFFF) return at;
    *c = REPLACEMENT;
    if (high > 0xDBFF || end - at < 6 || at[0] != '\\' || at[1] != 'u') return at;
    int32_t low = read_code_unit(at + 2, end);
    if (low < 0xDC00 || low > 0xDFFF) return at; /* what follows is read for itself */
    *c = 0x10000 + ((uint32_t)(high - 0xD800) << 10) + (uint32_t)(low - 0xDC00);
    return at + 6;
}

bool json_unescape(json_doc *doc, uint32_t i, slice raw, slice *out)
{
    const char *at = raw.data, *end = at + raw.len;
    const char *escape = raw.len == 0 ? NULL : memchr(at, '\\', raw.len);

    *out = raw;
    if (escape == NULL) return true;
    char *begin = arena_text_begin(doc->arena, raw.len), *to = begin; /* an escape is never shorter than what it means */
    for (; escape != NULL; escape = at == end ? NULL : memchr(at, '\\', (size_t)(end - at))) {
        memcpy(to, at, (size_t)(escape - at));
        to += escape - at;
        at = escape + 1;
        uint32_t c = 0;
        switch (at < end ? *at++ : '\0') {
        case '"': *to++ = '"'; continue;
        case '\\': *to++ = '\\'; continue;
        case '/': *to++ = '/'; continue;
        case 'b': *to++ = '\b'; continue;
        case 'f': *to++ = '\f'; continue;
        case 'n': *to++ = '\n'; continue;
        case 'r': *to++ = '\r'; continue;
        case 't': *to++ = '\t'; continue;
        case 'u':
            at = read_unicode_escape(at, end, &c);
            if (at == NULL) return json_fail_at(doc, i, "an escape \\u without four hexadecimal digits");
            to += utf8_put(to, c);
            continue;
        default: return json_fail_at(doc, i, "an unknown escape in a string");
        }
    }
    memcpy(to, at, (size_t)(end - at));
    to += end - at;
    *out = arena_text_end(doc->arena, begin, to);
    return true;
}

/* A number as BigDecimal.toString and Integer.toString give it: 1.10 stays, 1e5 is 1E+5. */
static bool print_number(json_doc *doc, text *out, uint32_t i)
{
    slice token = json_token(doc, i);
    bool is_whole;

    if (!is_json_number(token, &is_whole)) return json_fail_at(doc, i, "a number is malformed");
    if (is_whole) {
        text_add(out, slice_is(token, "-0") ? SLICE("0") : token);
        return true;
    }

    const char *at = token.data, *end = at + token.len;
    bool is_negative = *at == '-', after_point = false;
    int64_t scale = 0, exponent = 0;
    text_reserve(out, token.len + 32);
    if (is_negative) text_add_char(out, '-');
    size_t begin = out->len;
    for (at += is_negative; at < end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            after_point = true;
            continue;
        }
        scale += after_point;
        if (out->len > begin || *at != '0') text_add_char(out, *at);
    }
    if (at < end) {
        at++;
        bool is_small = *at == '-';
        for (at += is_small || *at == '+'; at < end; at++) {
            exponent = exponent * 10 + (*at - '0');
            if (exponent > INT32_MAX) return json_fail_at(doc, i, "the exponent of a number is too large");
        }
        scale -= is_small ? -exponent : exponent;
    }
    if (out->len == begin) { /* zero has no sign */
        if (is_negative) out->len = --begin;
        text_add_char(out, '0');
    }

    int64_t digits = (int64_t)(out->len - begin), adjusted = digits - 1 - scale;
    if (scale == 0) return true;
    if (scale > 0 && adjusted >= -6) {
        int64_t zeros = scale - digits + 1;
        if (zeros < 0) zeros = 0;
        text_reserve(out, (size_t)zeros + 1);
        memmove(out->data + begin + zeros, out->data + begin, (size_t)digits);
        memset(out->data + begin, '0', (size_t)zeros);
        digits += zeros;
        char *point = out->data + begin + digits - scale;
        memmove(point + 1, point, (size_t)scale);
        *point = '.';
        out->len = begin + (size_t)digits + 1;
        out->data[out->len] = '\0';
        return true;
    }
    if (digits > 1) {
        text_reserve(out, 1);
        memmove(out->data + begin + 2, out->data + begin + 1, (size_t)digits - 1);
        out->data[begin + 1] = '.';
        out->len++;
    }
    text_add_c(out, adjusted < 0 ? "E-" : "E+");
    print_i64(out, adjusted < 0 ? -adjusted : adjusted);
    return true;
}

static bool print_scalar(json_doc *doc, text *out, uint32_t *i, bool is_quoted)
{
    slice token = json_token(doc, *i), string;

    switch (token.data[0]) {
    case '"':
        if (!json_unescape(doc, *i, json_raw_string(doc, *i), &string)) return false;
        if (is_quoted) {
            print_json_string(out, string);
        } else {
            text_add(out, string);
        }
        break;
    case '-':
    case '0' ... '9':
        if (!print_number(doc, out, *i)) return false;
        break;
    default:
        if (!slice_is(token, "true") && !slice_is(token, "false") && !slice_is(token, "null")) {
            return json_fail_at(doc, *i, "a value is missing");
        }
        text_add(out, token);
        break;
    }
    ++*i;
    return true;
}

/* A value as text: an object as JSON without white space; an array, unless within an object, as "[a, b]", its strings bare. */
static bool print_any(json_doc *doc, text *out, uint32_t *i, bool is_json, uint32_t depth)
{
    char open = json_char(doc, *i), close = open == '{' ? '}' : ']';

    if (open == '\0') return json_fail_at(doc, *i, "");
    if (open != '{' && open != '[') return print_scalar(doc, out, i, is_json);
    if (depth >= JSON_DEPTH_MAX) return json_fail_at(doc, *i, "nested deeper than 1000");
    is_json = is_json || open == '{';
    text_add_char(out, open);
    ++*i;
    if (json_char(doc, *i) == close) {
        ++*i;
        text_add_char(out, close);
        return true;
    }
    for (;; ++*i) {
        if (open == '{') {
            if (json_char(doc, *i) != '"') return json_fail_at(doc, *i, "a field's name is missing");
            if (!print_scalar(doc, out, i, true)) return false;
            if (json_char(doc, *i) != ':') return json_fail_at(doc, *i, "':' is missing");
            ++*i;
            text_add_char(out, ':');
        }
        if (!print_any(doc, out, i, is_json, depth + 1)) return false;
        char next = json_char(doc, *i);
        if (next == close) break;
        if (next != ',') return json_fail_at(doc, *i, close == '}' ? "',' or '}' is missing" : "',' or ']' is missing");
        text_add_c(out, is_json ? "," : ", ");
    }
    ++*i;
    text_add_char(out, close);
    return true;
}

bool json_print(json_doc *doc, text *out, uint32_t *i)
{
    return print_any(doc, out, i, true, 0);
}

bool json_read_string(json_doc *doc, uint32_t *i, const type *t, slice *out)
{
    (void)t;
    if (json_char(doc, *i) == '"') {
        if (!json_unescape(doc, *i, json_raw_string(doc, *i), out)) return false;
        ++*i;
        return true;
    }
    text_clear(doc->scratch);
    if (!print_any(doc, doc->scratch, i, false, 0)) return false;
    *out = arena_copy(doc->arena, text_slice(doc->scratch));
    return true;
}

bool json_read_bytes(json_doc *doc, uint32_t *i, const type *t, slice *out)
{
    slice string;

    if (json_char(doc, *i) != '"') return json_fail_type(doc, *i, t);
    if (!json_unescape(doc, *i, json_raw_string(doc, *i), &string)) return false;
    char *bytes = arena_alloc(doc->arena, base64_decoded_max(string.len));
    if (!base64_decode(string, bytes, &out->len)) return fail(doc, *i, t, "a string that is not base64");
    out->data = bytes;
    ++*i;
    return true;
}

/* --- any value --- */

static bool check_string(json_doc *doc, uint32_t i)
{
    slice raw = json_raw_string(doc, i);
    const char *end = raw.data + raw.len;
    const char *at = raw.len == 0 ? NULL : memchr(raw.data, '\\', raw.len);

    for (; at != NULL; at = at == end ? NULL : memchr(at, '\\', (size_t)(end - at))) {
        char escape = at + 1 < end ? at[1] : '\0';
        if (escape == '\0' || strchr("\"\\/bfnrtu", escape) == NULL) return json_fail_at(doc, i, "an unknown escape in a string");
        at += 2;
        if (escape != 'u') continue;
        if (read_code_unit(at, end) < 0) return json_fail_at(doc, i, "an escape \\u without four hexadecimal digits");
        at += 4;
    }
    return true;
}

static bool check_scalar(json_doc *doc, uint32_t i)
{
    slice token = json_token(doc, i);
    bool is_whole;

    switch (token.data[0]) {
    case '"': return check_string(doc, i);
    case '-':
    case '0' ... '9': return is_json_number(token, &is_whole) || json_fail_at(doc, i, "a number is malformed");
    case 't': return slice_is(token, "true") || json_fail_at(doc, i, "neither true nor false");
    case 'f': return slice_is(token, "false") || json_fail_at(doc, i, "neither true nor false");
    case 'n': return slice_is(token, "null") || json_fail_at(doc, i, "a value is missing");
    default: return json_fail_at(doc, i, "a value is missing");
    }
}

static bool check_any(json_doc *doc, uint32_t *i, uint32_t depth)
{
    char open = json_char(doc, *i), close = open == '{' ? '}' : ']';
    bool is_end = false;

    if (open == '\0') return json_fail_at(doc, *i, "");
    if (open != '{' && open != '[') return check_scalar(doc, (*i)++);
    if (depth >= JSON_DEPTH_MAX) return json_fail_at(doc, *i, "nested deeper than 1000");
    ++*i;
    if (json_char(doc, *i) == close) {
        ++*i;
        return true;
    }
    while (!is_end) {
        if (open == '{') {
            if (json_char(doc, *i) != '"') return json_fail_at(doc, *i, "a field's name is missing");
            if (!check_string(doc, *i)) return false;
            if (json_char(doc, *i + 1) != ':') return json_fail_at(doc, *i + 1, "':' is missing");
            *i += 2;
        }
        if (!check_any(doc, i, depth + 1)) return false;
        if (!json_next_item(doc, i, close, &is_end)) return false;
    }
    return true;
}

bool json_validate(json_doc *doc, uint32_t *i)
{
    return check_any(doc, i, 0);
}

/* --- nested values --- */

/* How many items the array or object that begins at i may have, by its commas. */
static bool count_items(json_doc *doc, uint32_t i, const type *t, uint32_t *count)
{
    uint32_t depth = 0, from = i;

    *count = 0;
    if (json_char(doc, i + 1) == ']' || json_char(doc, i + 1) == '}') return true;
    *count = 1;
    for (; i < doc->count; i++) {
        char c = doc->bytes[doc->at[i]];
        if (c == '{' || c == '[') depth++;
        if ((c == '}' || c == ']') && --depth == 0) break;
        if (c == ',' && depth == 1) ++*count;
    }
    if (*count > JSON_ITEMS_MAX) return fail(doc, from, t, "one of more than 8000000 items");
    return true;
}

bool json_next_item(json_doc *doc, uint32_t *i, char close, bool *is_end)
{
    char c = json_char(doc, *i);

    *is_end = c == close;
    if (c != ',' && c != close) {
        return json_fail_at(doc, *i, close == '}' ? "',' or '}' is missing" : "',' or ']' is missing");
    }
    ++*i;
    return true;
}

static bool read_array(json_doc *doc, uint32_t *i, const type *t, value *out)
{
    uint32_t count;
    bool is_end;

    if (json_char(doc, *i) != '[') return json_fail_type(doc, *i, t);
    if (!count_items(doc, *i, t, &count)) return false;
    out->list.items = ARENA_ARRAY(doc->arena, value, count);
    out->list.count = 0;
    ++*i;
    if (count == 0) return json_next_item(doc, i, ']', &is_end);
    do {
        if (out->list.count == count) return json_fail_at(doc, *i, "',' or ']' is missing");
        if (!json_read_value(doc, i, t->element, &out->list.items[out->list.count])) return fail_in_item(doc, out->list.count);
        out->list.count++;
        if (!json_next_item(doc, i, ']', &is_end)) return false;
    } while (!is_end);
    return true;
}

bool json_read_name(json_doc *doc, uint32_t *i, slice *name)
{
    if (json_char(doc, *i) != '"') return json_fail_at(doc, *i, "a field's name is missing");
    if (!json_unescape(doc, *i, json_raw_string(doc, *i), name)) return false;
    if (json_char(doc, *i + 1) != ':') return json_fail_at(doc, *i + 1, "':' is missing");
    *i += 2;
    return true;
}

#define FEW_KEYS 16

/* Where a map's key is among those so far, or count. Many keys are found through a table of 1-based positions. */
static uint32_t find_key(const value_map *map, uint32_t *table, uint32_t mask, slice key)
{
    if (table == NULL) {
        uint32_t k = 0;
        while (k < map->count && !slice_equal(map->keys[k].str, key)) k++;
        return k;
    }
    uint32_t at = (uint32_t)hash_bytes(key) & mask;
    for (; table[at] != 0; at = (at + 1) & mask) {
        if (slice_equal(map->keys[table[at] - 1].str, key)) return table[at] - 1;
    }
    table[at] = map->count + 1;
    return map->count;
}

static bool read_map(json_doc *doc, uint32_t *i, const type *t, value *out)
{
    uint32_t count, *table = NULL, mask = 0;
    bool is_end;

    if (json_char(doc, *i) != '{') return json_fail_type(doc, *i, t);
    if (!count_items(doc, *i, t, &count)) return false;
    if (count > FEW_KEYS) {
        for (mask = 64; mask < 2 * count; mask *= 2) continue;
        table = ARENA_ZEROS(doc->arena, uint32_t, mask--);
    }
    out->map = (value_map){ ARENA_ARRAY(doc->arena, value, count), ARENA_ARRAY(doc->arena, value, count), 0 };
    ++*i;
    if (count == 0) return json_next_item(doc, i, '}', &is_end);
    do {
        slice key;
        if (!json_read_name(doc, i, &key)) return false;
        if (out->map.count == count) return json_fail_at(doc, *i, "',' or '}' is missing");
        uint32_t k = find_key(&out->map, table, mask, key);
        if (k == out->map.count) {
            out->map.keys[k] = (value){ .str = key };
            out->map.count++;
        }
        if (!json_read_value(doc, i, t->element, &out->map.values[k])) return fail_in_key(doc, key);
        if (!json_next_item(doc, i, '}', &is_end)) return false;
    } while (!is_end);
    return true;
}

/* Is the name, in upper case, the field's? */
static bool is_upper_case_of(slice field, slice name)
{
    if (field.len != name.len) return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        if ((c >= 'a' && c <= 'z' ? c - 0x20 : c) != field.data[i]) return false;
    }
    return true;
}

static bool read_struct(json_doc *doc, uint32_t *i, const type *t, value *out)
{
    bool is_end = false;

    if (json_char(doc, *i) != '{') return json_fail_type(doc, *i, t);
    out->list.count = t->field_count;
    out->list.items = ARENA_ARRAY(doc->arena, value, t->field_count);
    bool *has_exact = ARENA_ZEROS(doc->arena, bool, t->field_count);
    uint32_t *at = ARENA_ZEROS(doc->arena, uint32_t, t->field_count); /* where the value of each stands; 0: nowhere */
    for (uint32_t k = 0; k < t->field_count; k++) out->list.items[k] = NULL_VALUE;
    ++*i;
    if (json_char(doc, *i) == '}') {
        ++*i;
        return true;
    }
    while (!is_end) {
        slice name;
        if (!json_read_name(doc, i, &name)) return false;
        uint32_t from = *i;
        if (!json_skip(doc, i)) return false;
        for (uint32_t k = 0; k < t->field_count; k++) {
            slice field = t->fields[k].name;
            bool is_exact = slice_equal(field, name);
            if (!is_exact && (has_exact[k] || !is_upper_case_of(field, name))) continue;
            at[k] = from;
            has_exact[k] = is_exact;
        }
        if (!json_next_item(doc, i, '}', &is_end)) return false;
    }
    for (uint32_t k = 0; k < t->field_count; k++) { /* not before: a field's very name may come behind another that is like it */
        if (at[k] != 0 && !json_read_value(doc, &at[k], t->fields[k].type, &out->list.items[k])) {
            return fail_in_field(doc, t->fields[k].name);
        }
    }
    return true;
}

bool json_read_value(json_doc *doc, uint32_t *i, const type *t, value *out)
{
    out->is_null = json_is_null(doc, *i);
    if (out->is_null) {
        ++*i;
        return true;
    }
    switch (t->kind) {
    case TYPE_BOOLEAN: {
        uint8_t boolean = 0;
        if (!json_read_boolean(doc, i, t, &boolean)) return false;
        out->boolean = boolean;
        return true;
    }
    case TYPE_INTEGER:
    case TYPE_DATE:
    case TYPE_TIME: return json_read_i32(doc, i, t, &out->i32);
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP: return json_read_i64(doc, i, t, &out->i64);
    case TYPE_DOUBLE: return json_read_f64(doc, i, t, &out->f64);
    case TYPE_DECIMAL: return json_read_decimal(doc, i, t, &out->dec);
    case TYPE_STRING: return json_read_string(doc, i, t, &out->str);
    case TYPE_BYTES: return json_read_bytes(doc, i, t, &out->str);
    case TYPE_ARRAY: return read_array(doc, i, t, out);
    case TYPE_MAP: return read_map(doc, i, t, out);
    case TYPE_STRUCT: return read_struct(doc, i, t, out);
    default: out->is_null = true; return json_skip(doc, i);
    }
}

bool parse_json_value(slice json, const type *t, arena *a, value *out, const char **reason)
{
    text scratch = TEXT_EMPTY;
    json_index *index = json_index_new();
    json_doc doc = { .arena = a, .scratch = &scratch, .reason = "no memory to read JSON" };
    uint32_t i = 0;

    bool ok = index != NULL && json_doc_open(&doc, index, json) && json_read_value(&doc, &i, t, out) &&
              (i == doc.count || json_fail_at(&doc, i, "there is more behind the value"));
    if (!ok && reason != NULL) *reason = arena_c_string(a, slice_of(doc.reason));
    text_free(&scratch);
    json_index_free(index);
    return ok;
}
