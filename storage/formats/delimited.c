/* storage/formats/delimited.c - DELIMITED: one line of fields between delimiters, as Apache Commons CSV reads and writes it for
 * ksqlDB. An empty field is a null, quoted or not. Only the first line of a record counts; empty lines before it are
 * passed over. When written, a field is quoted where it must be and, as there, where its first or last character might
 * mislead a reader: "-5" at the start of a line is. A lone column of a key that is null makes no key, not an empty one. */
#include "storage/formats/format_class.h"

#include "core/utf8.h"

#include <stdio.h>

typedef struct delimited {
    format base;
    slice delimiter; /* one character: 1 to 4 bytes */
} delimited;

/* Bytes of the UTF-8 character that begins so; 1 where none does. */
static size_t character_bytes(char first)
{
    unsigned char c = (unsigned char)first;
    return c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
}

static weir_rc read_delimiter(const format_spec *spec, slice *delimiter, weir_error *err)
{
    slice named = spec->delimiter;

    if (named.data == NULL) {
        *delimiter = SLICE(",");
    } else if (slice_equal_nocase(named, SLICE("SPACE"))) {
        *delimiter = SLICE(" ");
    } else if (slice_equal_nocase(named, SLICE("TAB"))) {
        *delimiter = SLICE("\t");
    } else if (named.len == 0 || slice_is(named, " ") || slice_is(named, "\t")) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "the delimiter is blank; write SPACE or TAB for these characters");
    } else if (named.len != character_bytes(named.data[0])) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "the delimiter is one character, or SPACE or TAB, not '%.*s'",
                         SLICE_ARG(named));
    } else if (named.len == 1 && strchr("\"\r\n", named.data[0]) != NULL) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "a quote or a line break cannot be the delimiter");
    } else {
        *delimiter = named;
    }
    return WEIR_OK;
}

static weir_rc delimited_check(const format_spec *spec, const schema_column *columns, uint32_t count, weir_error *err)
{
    slice delimiter;

    for (uint32_t i = 0; i < count; i++) {
        if (!type_is_nested(columns[i].type)) continue;
        type_kind kind = columns[i].type->kind;
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE,
                         "format DELIMITED has no %s, the type of column `%.*s`; %s = 'JSON' can hold it",
                         kind == TYPE_ARRAY ? "ARRAY"
                         : kind == TYPE_MAP ? "MAP"
                                            : "STRUCT",
                         SLICE_ARG(columns[i].name), format_property(spec));
    }
    return read_delimiter(spec, &delimiter, err);
}

static weir_rc delimited_open(format *self, arena *a, weir_error *err)
{
    (void)a;
    return read_delimiter(&self->spec, &((delimited *)self)->delimiter, err);
}

/* --- reading --- */

typedef struct line {
    const char *at, *end;
    slice delimiter;
} line;

static inline bool is_delimiter(const line *l, const char *at)
{
    return *at == l->delimiter.data[0] &&
           (l->delimiter.len == 1 || ((size_t)(l->end - at) >= l->delimiter.len &&
                                      memcmp(at, l->delimiter.data, l->delimiter.len) == 0));
}

static inline bool is_line_end(const line *l, const char *at)
{
    return at == l->end || *at == '\n' || *at == '\r';
}

/* Between quotes; at the opening one. A field with doubled quotes is put together in the arena. NULL: fine. */
static const char *read_quoted(line *l, arena *a, slice *field)
{
    const char *begin = ++l->at;
    bool has_quotes = false;

    for (;; l->at++) {
        l->at = memchr(l->at, '"', (size_t)(l->end - l->at));
        if (l->at == NULL) return "a quote is opened and not closed";
        if (l->at + 1 == l->end || l->at[1] != '"') break;
        has_quotes = true;
        l->at++;
    }
    *field = (slice){ begin, (size_t)(l->at - begin) };
    if (has_quotes && a != NULL) {
        char *copy = arena_alloc(a, field->len), *to = copy;
        for (const char *from = begin; from < l->at; from++) {
            *to++ = *from;
            if (*from == '"') from++;
        }
        *field = (slice){ copy, (size_t)(to - copy) };
    }
    for (l->at++; !is_line_end(l, l->at) && !is_delimiter(l, l->at); l->at++) {
        if (*l->at != ' ' && *l->at != '\t') return "something stands between a closing quote and the delimiter";
    }
    return NULL;
}

static inline const char *read_field(line *l, arena *a, slice *field)
{
    if (l->at < l->end && *l->at == '"') return read_quoted(l, a, field);
    const char *begin = l->at;
    while (!is_line_end(l, l->at) && !is_delimiter(l, l->at)) l->at++;
    *field = (slice){ begin, (size_t)(l->at - begin) };
    return NULL;
}

static const char *misfit(number_fit fit)
{
    switch (fit) {
    case NUMBER_FITS: return NULL;
    case NUMBER_MALFORMED: return "is no number";
    case NUMBER_TOO_LARGE: return "is too large";
    case NUMBER_TOO_PRECISE: return "has more decimal places";
    }
    return NULL;
}

/* NULL, or why the field is not of the column's type. */
static const char *store_field(column *c, uint32_t r, slice field, arena *a)
{
    const type *t = c->type;

    c->null[r] = field.len == 0;
    if (field.len == 0) return NULL;
    switch (t->kind) {
    case TYPE_BOOLEAN: c->boolean[r] = slice_equal_nocase(field, SLICE("true")); return NULL;
    case TYPE_INTEGER:
    case TYPE_DATE: return misfit(parse_i32(field, &c->i32[r]));
    case TYPE_TIME: {
        number_fit fit = parse_i32(field, &c->i32[r]);
        if (fit == NUMBER_FITS && (c->i32[r] < 0 || c->i32[r] > 86400000)) return "is not within a day";
        return misfit(fit);
    }
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP: return misfit(parse_i64(field, &c->i64[r]));
    case TYPE_DOUBLE: return parse_double(field, &c->f64[r]) ? NULL : "is no number";
    case TYPE_DECIMAL: return misfit(parse_decimal(field, t->precision, t->scale, ROUND_NEVER, &c->dec[r]));
    case TYPE_STRING: c->str[r] = field; return NULL;
    case TYPE_BYTES: {
        char *bytes = arena_alloc(a, base64_decoded_max(field.len));
        c->str[r].data = bytes;
        return base64_decode(field, bytes, &c->str[r].len) ? NULL : "is not base64";
    }
    default: c->null[r] = 1; return NULL;
    }
}

#define FIELD_BYTES_SHOWN 40

static bool read_line(delimited *d, slice bytes, arena *a, column *columns, uint32_t r, char *reason)
{
    const format *f = &d->base;
    line l = { bytes.data, bytes.data + bytes.len, d->delimiter };
    uint32_t fields = 0;

    while (l.at < l.end && (*l.at == '\n' || *l.at == '\r')) l.at++;
    if (l.at == l.end && f->count != 1) {
        snprintf(reason, REASON_BYTES, "an empty line where %u columns are declared", f->count);
        return false;
    }
    for (;; l.at += l.delimiter.len) {
        bool is_wanted = fields < f->count && f->is_wanted[fields];
        slice field;
        const char *why = read_field(&l, is_wanted ? a : NULL, &field);
        if (why != NULL) {
            snprintf(reason, REASON_BYTES, "field %u: %s", fields + 1, why);
            return false;
        }
        if (is_wanted && (why = store_field(&columns[fields], r, field, a)) != NULL) {
            text name = TEXT_EMPTY;
            type_print(&name, columns[fields].type);
            slice shown = utf8_beginning(field, FIELD_BYTES_SHOWN);
            snprintf(reason, REASON_BYTES, "%s expected, here is a text that %s: %.*s%s", name.data, why, SLICE_ARG(shown),
                     shown.len < field.len ? "..." : "");
            text_free(&name);
            reason_in_column(reason, f->columns[fields].name);
            return false;
        }
        fields++;
        if (is_line_end(&l, l.at)) break;
    }
    if (fields != f->count) {
        snprintf(reason, REASON_BYTES, "%u field%s where %u column%s declared", fields, fields == 1 ? "" : "s", f->count,
                 f->count == 1 ? " is" : "s are");
        if (fields < f->count) {
            size_t end = strlen(reason);
            slice name = utf8_beginning(f->columns[fields].name, FIELD_BYTES_SHOWN);
            snprintf(reason + end, REASON_BYTES - end, ": `%.*s` is missing", SLICE_ARG(name));
        }
        return false;
    }
    return true;
}

static row_set delimited_decode(format *self, const slice *bytes, row_set rows, arena *a, column *columns,
                                const row_report *report)
{
    survivors alive = { .in = rows };
    char reason[REASON_BYTES];

    EACH_ROW(r, rows) {
        if (bytes[r].data == NULL) {
            for (uint32_t i = 0; i < self->wanted_count; i++) columns[self->wanted[i]].null[r] = 1;
            row_survives(&alive, r);
            continue;
        }
        int64_t fault = utf8_fault(bytes[r]);
        if (fault >= 0) {
            snprintf(reason, sizeof reason, "not UTF-8 at byte %lld", (long long)fault);
            row_is_lost(&alive, a, r, reason, report);
        } else if (!read_line((delimited *)self, bytes[r], a, columns, r, reason)) {
            row_is_lost(&alive, a, r, reason, report);
        } else {
            row_survives(&alive, r);
        }
    }
    return survivors_rows(&alive);
}

/* --- writing --- */

#define PLAIN_TEXT_MAX 48 /* of any number or boolean */

static inline bool is_letter_or_digit(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool needs_quotes(slice field, bool is_first, slice delimiter)
{
    if (field.len == 0) return is_first; /* a line that begins with nothing would be an empty line */
    unsigned char first = (unsigned char)field.data[0], last = (unsigned char)field.data[field.len - 1];
    if (is_first ? !is_letter_or_digit((char)first) : first <= '#') return true;
    if (last <= ' ') return true;
    for (size_t i = 0; i < field.len; i++) {
        char c = field.data[i];
        if (c == '"' || c == '\n' || c == '\r') return true;
        if (c == delimiter.data[0] && field.len - i >= delimiter.len &&
            memcmp(field.data + i, delimiter.data, delimiter.len) == 0) {
            return true;
        }
    }
    return false;
}

static char *write_field(char *at, slice field, bool is_first, slice delimiter)
{
    if (!needs_quotes(field, is_first, delimiter)) {
        if (field.len > 0) memcpy(at, field.data, field.len);
        return at + field.len;
    }
    *at++ = '"';
    for (size_t i = 0; i < field.len; i++) {
        if (field.data[i] == '"') *at++ = '"';
        *at++ = field.data[i];
    }
    *at++ = '"';
    return at;
}

/* A scalar other than a string, as plain text at `at`. */
static slice plain_text(char *at, const column *c, uint32_t r)
{
    char *end = at;

    switch (c->type->kind) {
    case TYPE_BOOLEAN: return c->boolean[r] ? SLICE("true") : SLICE("false");
    case TYPE_INTEGER:
    case TYPE_DATE:
    case TYPE_TIME: end = write_i64(at, c->i32[r]); break;
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP: end = write_i64(at, c->i64[r]); break;
    case TYPE_DOUBLE: end = write_double(at, c->f64[r]); break;
    case TYPE_DECIMAL: end = write_decimal(at, c->dec[r], c->type->scale); break;
    default: break;
    }
    return (slice){ at, (size_t)(end - at) };
}

static size_t line_bytes_max(const delimited *d, const column *columns, uint32_t r)
{
    size_t bytes = 0;

    for (uint32_t i = 0; i < d->base.count; i++) {
        const column *c = &columns[i];
        bytes += d->delimiter.len + 2;
        if (c->null[r]) continue;
        switch (c->type->kind) {
        case TYPE_STRING: bytes += 2 * c->str[r].len; break;
        case TYPE_BYTES: bytes += 2 * base64_encoded_bytes(c->str[r].len) + 2; break;
        default: bytes += PLAIN_TEXT_MAX; break;
        }
    }
    return bytes;
}

static row_set delimited_encode(format *self, const column *columns, row_set rows, arena *a, slice *out,
                                const row_report *report)
{
    const delimited *d = (const delimited *)self;

    (void)report;
    EACH_ROW(r, rows) {
        if (self->spec.is_key && self->count == 1 && columns[0].null[r]) { /* no key, not an empty one */
            out[r] = NO_SLICE;
            continue;
        }
        char *begin = arena_text_begin(a, line_bytes_max(d, columns, r)), *at = begin;
        for (uint32_t i = 0; i < self->count; i++) {
            const column *c = &columns[i];
            if (i > 0) {
                memcpy(at, d->delimiter.data, d->delimiter.len);
                at += d->delimiter.len;
            }
            if (c->null[r]) continue;
            char plain[PLAIN_TEXT_MAX];
            switch (c->type->kind) {
            case TYPE_STRING: at = write_field(at, c->str[r], i == 0, d->delimiter); break;
            case TYPE_BYTES: { /* encoded beyond what write_field() can take */
                char *field = at + base64_encoded_bytes(c->str[r].len) + 2;
                char *end = base64_encode(field, c->str[r]);
                at = write_field(at, (slice){ field, (size_t)(end - field) }, i == 0, d->delimiter);
                break;
            }
            default: at = write_field(at, plain_text(plain, c, r), i == 0, d->delimiter); break;
            }
        }
        out[r] = arena_text_end(a, begin, at);
    }
    return rows;
}

const format_class format_delimited = {
    .name = "DELIMITED",
    .traits = FORMAT_KEY | FORMAT_VALUE | FORMAT_UNWRAPS,
    .bytes = sizeof(delimited),
    .check = delimited_check,
    .open = delimited_open,
    .decode = delimited_decode,
    .encode = delimited_encode,
};
