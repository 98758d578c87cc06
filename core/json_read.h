/* core/json_read.h - from JSON to SQL values, coerced as ksqlDB does.
 * A document is walked over the places its index holds: `i` counts them. A reader is given the place of a value, and leaves
 * *i behind it; where it fails it has noted why, and *i means nothing. Nothing looks at bytes beyond the document. */
#ifndef WEIR_CORE_JSON_READ_H
#define WEIR_CORE_JSON_READ_H

#include "core/json_index.h"
#include "core/number.h"
#include "core/reason.h"

#define JSON_ITEMS_MAX 8000000 /* in one array or map */
#define JSON_DEPTH_MAX 1000    /* of what is turned to text; else the column's type is the bound */

typedef struct json_doc {
    const char *bytes;
    size_t len;
    size_t skipped;       /* a byte order mark before it */
    const uint32_t *at;
    uint32_t count;
    arena *arena;         /* values live here, or in the bytes */
    text *scratch;
    bool is_malformed;    /* of a failure: it is no JSON, else it is of another type */
    char reason[REASON_BYTES];
} json_doc;

/* False: no JSON, doc->reason says why. The arena and the scratch text are the caller's to set before. */
bool json_doc_open(json_doc *doc, json_index *index, slice bytes);

/* The first byte of the token at i; '\0', which begins none, behind the last. */
static inline char json_char(const json_doc *doc, uint32_t i)
{
    return i < doc->count ? doc->bytes[doc->at[i]] : '\0';
}

static inline bool json_is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* The whole token at i, which is there: up to the next, less white space. */
static inline slice json_token(const json_doc *doc, uint32_t i)
{
    const char *from = doc->bytes + doc->at[i], *end = doc->bytes + doc->at[i + 1];

    while (end > from + 1 && json_is_blank(end[-1])) end--;
    return (slice){ from, (size_t)(end - from) };
}

/* What stands between the quotes of the string at i, escapes and all. */
static inline slice json_raw_string(const json_doc *doc, uint32_t i)
{
    slice token = json_token(doc, i);
    return (slice){ token.data + 1, token.len < 2 ? 0 : token.len - 2 };
}

bool json_fail_at(json_doc *doc, uint32_t i, const char *why);   /* no JSON; returns false */
bool json_fail_object(json_doc *doc, uint32_t i); /* "a JSON object expected, here is a number: 5" */
bool json_fail_type(json_doc *doc, uint32_t i, const type *t);   /* "INTEGER expected, here is a string: "x"" */
bool json_fail_number(json_doc *doc, uint32_t i, number_fit fit, const type *t);

bool json_skip_nested(json_doc *doc, uint32_t *i);
/* Past a value nobody reads: brackets are counted, the rest is not looked at. */
static inline bool json_skip(json_doc *doc, uint32_t *i)
{
    switch (json_char(doc, *i)) {
    case '{':
    case '[': return json_skip_nested(doc, i);
    case '}':
    case ']':
    case ',':
    case ':':
    case '\0': return json_fail_at(doc, *i, "a value is missing");
    default: ++*i; return true;
    }
}

/* Past a value, and all of it is JSON: for what is taken as it stands. */
bool json_validate(json_doc *doc, uint32_t *i);

bool json_is_null(const json_doc *doc, uint32_t i);

/* Values that are not null, of the type (BIGINT and TIMESTAMP for i64; INTEGER, DATE and TIME for i32). */
bool json_read_boolean(json_doc *doc, uint32_t *i, const type *t, uint8_t *out);
bool json_read_i32(json_doc *doc, uint32_t *i, const type *t, int32_t *out);
bool json_read_i64(json_doc *doc, uint32_t *i, const type *t, int64_t *out);
bool json_read_f64(json_doc *doc, uint32_t *i, const type *t, double *out);
bool json_read_decimal(json_doc *doc, uint32_t *i, const type *t, decimal *out);
bool json_read_string(json_doc *doc, uint32_t *i, const type *t, slice *out);
bool json_read_bytes(json_doc *doc, uint32_t *i, const type *t, slice *out);
/* Any type, nulls too. */
bool json_read_value(json_doc *doc, uint32_t *i, const type *t, value *out);

/* Any value as JSON without white space, numbers as BigDecimal prints them (1.10 stays, 1e5 is 1E+5), added to out. */
bool json_print(json_doc *doc, text *out, uint32_t *i);

/* At a member's name: past it and the colon. */
bool json_read_name(json_doc *doc, uint32_t *i, slice *name);
/* Behind an item or member: at the next, or behind the `close` that ends them. */
bool json_next_item(json_doc *doc, uint32_t *i, char close, bool *is_end);

/* Escapes undone, in the arena where there are any. */
bool json_unescape(json_doc *doc, uint32_t i, slice raw, slice *out);

#endif
