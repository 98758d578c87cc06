/* executor/key.c - see key.h. */
#include "executor/key.h"

/* The bits of a double, arranged to sort as Double.compare does. */
static uint64_t sortable_f64(double number)
{
    uint64_t bits;

    if (number != number) number = __builtin_nan("");
    memcpy(&bits, &number, 8);
    return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

static double unsortable_f64(uint64_t bits)
{
    double number;

    bits = bits >> 63 ? bits & ~((uint64_t)1 << 63) : ~bits;
    memcpy(&number, &bits, 8);
    return number;
}

static uint32_t sortable_i32(int32_t number)
{
    return (uint32_t)number ^ 0x80000000u;
}

/* Within several columns a text's zero bytes become 00 FF, and 00 01 ends it. */
static void add_ended(text *out, slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        text_add_char(out, s.data[i]);
        if (s.data[i] == '\0') text_add_char(out, (char)0xFF);
    }
    text_add(out, (slice){ "\0\1", 2 });
}

static bool read_ended(reader_bytes *in, arena *a, slice *out)
{
    char *copy = arena_alloc(a, (size_t)(in->end - in->at) + 1);
    size_t len = 0;

    for (;;) {
        char c = (char)read_u8(in);
        if (in->bad) return false;
        if (c == '\0') {
            uint8_t next = read_u8(in);
            if (next == 1) break;
            if (next != 0xFF) return false;
        }
        copy[len++] = c;
    }
    copy[len] = '\0';
    *out = (slice){ copy, len };
    return true;
}

static void add_value(text *out, const column *c, uint32_t r, bool is_lone)
{
    if (!is_lone) {
        text_add_char(out, c->null[r] ? 0 : 1);
        if (c->null[r]) return;
    }
    switch (c->type->kind) {
    case TYPE_BOOLEAN: text_add_char(out, (char)c->boolean[r]); break;
    case TYPE_INTEGER:
    case TYPE_DATE:
    case TYPE_TIME: text_add_u32(out, sortable_i32(c->i32[r])); break;
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP: text_add_u64(out, sortable_i64(c->i64[r])); break;
    case TYPE_DOUBLE: text_add_u64(out, sortable_f64(c->f64[r])); break;
    case TYPE_DECIMAL:
        text_add_u64(out, (uint64_t)((unsigned __int128)c->dec[r] >> 64) ^ (uint64_t)1 << 63);
        text_add_u64(out, (uint64_t)c->dec[r]);
        break;
    case TYPE_STRING:
    case TYPE_BYTES:
        if (is_lone) {
            text_add(out, c->str[r]);
        } else {
            add_ended(out, c->str[r]);
        }
        break;
    default: { /* nested: equal values have equal bytes; their order is arbitrary */
        text packed = TEXT_EMPTY;
        value v = column_get(c, r);
        value_encode(&packed, c->type, &v);
        if (is_lone) {
            text_add(out, text_slice(&packed));
        } else {
            add_ended(out, text_slice(&packed));
        }
        text_free(&packed);
    }
    }
}

static void encode_general(const column *columns, uint32_t count, row_set rows, arena *a, slice *keys)
{
    text scratch = TEXT_EMPTY;

    EACH_ROW (r, rows) {
        uint32_t nulls = 0;
        for (uint32_t i = 0; i < count; i++) nulls += columns[i].null[r];
        if (nulls == count && count > 0) {
            keys[r] = NO_SLICE;
            continue;
        }
        text_clear(&scratch);
        for (uint32_t i = 0; i < count; i++) add_value(&scratch, &columns[i], r, count == 1);
        keys[r] = arena_copy(a, text_slice(&scratch));
    }
    text_free(&scratch);
}

void keys_encode(const column *columns, uint32_t count, row_set rows, uint32_t capacity, arena *a, slice *keys)
{
    if (count == 1 && (columns->type->kind == TYPE_STRING || columns->type->kind == TYPE_BYTES)) {
        EACH_ROW (r, rows) keys[r] = columns->null[r] ? NO_SLICE : columns->str[r];
        return;
    }
    if (count == 1 && (columns->type->kind == TYPE_BIGINT || columns->type->kind == TYPE_TIMESTAMP)) {
        char *bytes = arena_alloc(a, (size_t)capacity * 8);
        EACH_ROW (r, rows) {
            put_u64(bytes + (size_t)r * 8, sortable_i64(columns->i64[r]));
            keys[r] = columns->null[r] ? NO_SLICE : (slice){ bytes + (size_t)r * 8, 8 };
        }
        return;
    }
    encode_general(columns, count, rows, a, keys);
}

static bool read_value(reader_bytes *in, column *c, uint32_t r, bool is_lone, arena *a)
{
    c->null[r] = 0;
    if (!is_lone && read_u8(in) == 0) {
        c->null[r] = 1;
        return !in->bad;
    }
    switch (c->type->kind) {
    case TYPE_BOOLEAN: c->boolean[r] = read_u8(in); break;
    case TYPE_INTEGER:
    case TYPE_DATE:
    case TYPE_TIME: c->i32[r] = (int32_t)(read_u32(in) ^ 0x80000000u); break;
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP: c->i64[r] = unsortable_i64(read_u64(in)); break;
    case TYPE_DOUBLE: c->f64[r] = unsortable_f64(read_u64(in)); break;
    case TYPE_DECIMAL: {
        uint64_t high = read_u64(in) ^ (uint64_t)1 << 63;
        c->dec[r] = (decimal)((unsigned __int128)high << 64 | read_u64(in));
        break;
    }
    default: {
        slice bytes;
        if (is_lone) {
            bytes = arena_copy(a, (slice){ in->at, (size_t)(in->end - in->at) });
            in->at = in->end;
        } else if (!read_ended(in, a, &bytes)) {
            return false;
        }
        if (!type_is_nested(c->type)) {
            c->str[r] = bytes;
        } else {
            reader_bytes nested = read_from(bytes);
            return value_decode(&nested, c->type, a, &c->nested[r]);
        }
    }
    }
    return !in->bad;
}

bool key_decode(slice key, column *columns, uint32_t count, uint32_t row, arena *a)
{
    if (key.data == NULL) {
        for (uint32_t i = 0; i < count; i++) columns[i].null[row] = 1;
        return true;
    }
    reader_bytes in = read_from(key);
    for (uint32_t i = 0; i < count; i++) {
        if (!read_value(&in, &columns[i], row, count == 1, a)) return false;
    }
    return in.at == in.end;
}
