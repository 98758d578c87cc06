/* tests/runner/codec.c - see codec.h. */
#include "tests/runner/codec.h"
#include "tests/runner/typed.h"

#include "core/bytes.h"
#include "core/json.h"
#include "core/json_index.h"
#include "core/number.h"

typedef struct codec {
    const char *format;
    /* The value is not null. */
    slice (*encode)(const side *s, const node *from, arena *a);
    /* Bytes are there. False: the format cannot decode them, and nothing was added. */
    bool (*print)(const side *s, slice bytes, arena *a, text *out);
} codec;

/* ---- JSON: as it stands ---- */

static slice json_encode(const side *s, const node *from, arena *a)
{
    (void)s;
    (void)a;
    return from->raw;
}

static bool json_print(const side *s, slice bytes, arena *a, text *out)
{
    node whole;
    size_t at;

    (void)s;
    if (!node_parse(bytes, a, &whole, &at)) return false;
    for (size_t i = 0; i < whole.raw.len; i++) {
        char c = whole.raw.data[i];
        text_add_char(out, c == '\n' || c == '\r' ? ' ' : c); /* in strings there are none */
    }
    return true;
}

/* ---- DELIMITED: a line ---- */

static slice line_encode(const side *s, const node *from, arena *a)
{
    (void)s;
    (void)a;
    return node_text(from);
}

static bool line_print(const side *s, slice bytes, arena *a, text *out)
{
    (void)s;
    (void)a;
    if (!json_utf8_valid(bytes.data, bytes.len)) return false;
    print_json_string(out, bytes);
    return true;
}

/* ---- KAFKA: one value ---- */

/* A number that does not fit is fed as its text, which no decoder takes for it. */
static slice kafka_encode(const side *s, const node *from, arena *a)
{
    slice typed = node_text(from);
    char *at = arena_alloc(a, 8);
    int64_t whole;
    int32_t small;
    double fraction;

    switch (s->count == 0 ? TYPE_STRING : s->columns[0].type->kind) {
    case TYPE_INTEGER:
        if (parse_i32(typed, &small) != NUMBER_FITS) return typed;
        put_u32(at, (uint32_t)small);
        return (slice){ at, 4 };
    case TYPE_BIGINT:
        if (parse_i64(typed, &whole) != NUMBER_FITS) return typed;
        put_u64(at, (uint64_t)whole);
        return (slice){ at, 8 };
    case TYPE_DOUBLE:
        if (!parse_double(typed, &fraction)) return typed;
        memcpy(&whole, &fraction, 8);
        put_u64(at, (uint64_t)whole);
        return (slice){ at, 8 };
    default: return typed;
    }
}

static void print_json_double(text *out, double number)
{
    bool is_finite = number - number == 0;

    if (!is_finite) text_add_char(out, '"');
    print_double(out, number);
    if (!is_finite) text_add_char(out, '"');
}

static bool kafka_print(const side *s, slice bytes, arena *a, text *out)
{
    type_kind kind = s->count == 0 ? TYPE_STRING : s->columns[0].type->kind;
    uint64_t bits;
    double fraction;

    if (kind == TYPE_INTEGER) {
        if (bytes.len != 4) return false;
        print_i64(out, (int32_t)get_u32(bytes.data));
        return true;
    }
    if (kind == TYPE_BIGINT || kind == TYPE_DOUBLE) {
        if (bytes.len != 8) return false;
        bits = get_u64(bytes.data);
        memcpy(&fraction, &bits, 8);
        if (kind == TYPE_BIGINT) print_i64(out, (int64_t)bits);
        else print_json_double(out, fraction);
        return true;
    }
    return line_print(s, bytes, a, out);
}

/* ---- NONE ---- */

static slice none_encode(const side *s, const node *from, arena *a)
{
    (void)s;
    (void)from;
    (void)a;
    return NO_SLICE;
}

static bool none_print(const side *s, slice bytes, arena *a, text *out)
{
    (void)s;
    (void)bytes;
    (void)a;
    text_add_c(out, "null");
    return true;
}

static const codec CODECS[] = {
    { "JSON", json_encode, json_print },
    { "DELIMITED", line_encode, line_print },
    { "KAFKA", kafka_encode, kafka_print },
    { "NONE", none_encode, none_print },
    { "AVRO", typed_encode, typed_print },
    { "JSON_SR", typed_encode, typed_print },
    { "PROTOBUF", typed_encode, typed_print },
    { "PROTOBUF_NOSR", typed_encode, typed_print },
};

static const codec *codec_of(const side *s)
{
    for (size_t i = 0; i < sizeof CODECS / sizeof *CODECS; i++) {
        if (slice_equal_nocase(s->spec.name, slice_of(CODECS[i].format))) return &CODECS[i];
    }
    return NULL;
}

void sides_of(const source *from, arena *a, side *key, side *value)
{
    schema all = schema_copy(a, &from->schema);
    schema_column *columns = ARENA_ARRAY(a, schema_column, all.count);
    uint32_t count = 0;

    for (uint32_t i = all.key_count; i < all.count; i++) { /* headers are no part of a value */
        if (!all.columns[i].is_headers && all.columns[i].header_key.data == NULL) columns[count++] = all.columns[i];
    }
    *key = (side){ .is_key = true, .spec = from->key, .columns = all.columns, .count = all.key_count,
                   .windowed = from->windowed, .window_size_ms = from->window_size_ms };
    *value = (side){ .spec = from->value, .columns = columns, .count = count };
    key->spec.name = arena_copy(a, from->key.name);
    value->spec.name = arena_copy(a, from->value.name);
    key->spec.delimiter = arena_copy(a, from->key.delimiter);
    value->spec.delimiter = arena_copy(a, from->value.delimiter);
    key->spec.subject = arena_copy(a, from->key.subject);
    value->spec.subject = arena_copy(a, from->value.subject);
    key->spec.schema_name = arena_copy(a, from->key.schema_name);
    value->spec.schema_name = arena_copy(a, from->value.schema_name);
}

bool side_encode(const side *s, const node *from, arena *a, slice *out)
{
    const codec *c = codec_of(s);

    *out = NO_SLICE;
    if (from == NULL || from->kind == NODE_NULL) return true;
    if (c != NULL) *out = c->encode(s, from, a);
    return c != NULL;
}

void print_base64(text *out, slice bytes)
{
    size_t len = base64_encoded_bytes(bytes.len);

    text_add_char(out, '"');
    text_reserve(out, len + 1);
    base64_encode(out->data + out->len, bytes);
    out->len += len;
    text_add_char(out, '"');
}

void side_print(const side *s, slice bytes, arena *a, text *out)
{
    const codec *c = s == NULL ? NULL : codec_of(s);

    if (bytes.data == NULL) {
        text_add_c(out, "null");
        return;
    }
    if (c != NULL && c->print(s, bytes, a, out)) return;
    text_add_c(out, "{\"$undecodable\": ");
    print_base64(out, bytes);
    text_add_char(out, '}');
}
