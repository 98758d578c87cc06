/* core/value.c - comparing, copying and packing single values. */
#include "core/value.h"

#include "core/bytes.h"

static int order_of(bool less, bool greater)
{
    return (int)greater - (int)less;
}

static int double_compare(double a, double b) /* as Java's Double.compare: -0.0 < 0.0, NaN above all */
{
    if (a < b) return -1;
    if (a > b) return 1;
    int64_t bits_a, bits_b;
    if (a != a) a = __builtin_nan("");
    if (b != b) b = __builtin_nan("");
    memcpy(&bits_a, &a, 8);
    memcpy(&bits_b, &b, 8);
    return order_of(bits_a < bits_b, bits_a > bits_b);
}

static int list_compare(const type *t, const value_list *a, const value_list *b)
{
    uint32_t shorter = a->count < b->count ? a->count : b->count;

    for (uint32_t i = 0; i < shorter; i++) {
        const type *item = t->kind == TYPE_STRUCT ? t->fields[i].type : t->element;
        int order = value_compare(item, &a->items[i], &b->items[i]);
        if (order != 0) return order;
    }
    return order_of(a->count < b->count, a->count > b->count);
}

static const value *map_find(const type *t, const value_map *map, const value *key)
{
    for (uint32_t i = 0; i < map->count; i++) {
        if (value_equal(t->key, &map->keys[i], key)) return &map->values[i];
    }
    return NULL;
}

static bool map_equal(const type *t, const value_map *a, const value_map *b)
{
    if (a->count != b->count) return false;
    for (uint32_t i = 0; i < a->count; i++) {
        const value *other = map_find(t, b, &a->keys[i]);
        if (other == NULL || !value_equal(t->element, &a->values[i], other)) return false;
    }
    return true;
}

static int map_compare(const type *t, const value_map *a, const value_map *b)
{
    if (map_equal(t, a, b)) return 0;
    uint32_t shorter = a->count < b->count ? a->count : b->count;
    for (uint32_t i = 0; i < shorter; i++) {
        int order = value_compare(t->key, &a->keys[i], &b->keys[i]);
        if (order == 0) order = value_compare(t->element, &a->values[i], &b->values[i]);
        if (order != 0) return order;
    }
    return order_of(a->count < b->count, a->count >= b->count);
}

int value_compare(const type *t, const value *a, const value *b)
{
    if (a->is_null || b->is_null) return order_of(a->is_null && !b->is_null, !a->is_null && b->is_null);
    switch (t->kind) {
    case TYPE_BOOLEAN: return (int)a->boolean - (int)b->boolean;
    case TYPE_INTEGER:
    case TYPE_DATE:
    case TYPE_TIME: return order_of(a->i32 < b->i32, a->i32 > b->i32);
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP: return order_of(a->i64 < b->i64, a->i64 > b->i64);
    case TYPE_DOUBLE: return double_compare(a->f64, b->f64);
    case TYPE_DECIMAL: return order_of(a->dec < b->dec, a->dec > b->dec);
    case TYPE_STRING:
    case TYPE_BYTES:
    case TYPE_INTERVAL_UNIT: return slice_compare(a->str, b->str);
    case TYPE_ARRAY:
    case TYPE_STRUCT: return list_compare(t, &a->list, &b->list);
    case TYPE_MAP: return map_compare(t, &a->map, &b->map);
    case TYPE_NULL:
    case TYPE_LAMBDA: return 0;
    }
    return 0;
}

bool value_equal(const type *t, const value *a, const value *b)
{
    if (a->is_null || b->is_null) return a->is_null && b->is_null;
    if (t->kind == TYPE_MAP) return map_equal(t, &a->map, &b->map);
    return value_compare(t, a, b) == 0;
}

static value *copy_items(arena *a, const type *t, const value *items, uint32_t count)
{
    value *copies = ARENA_ARRAY(a, value, count);

    for (uint32_t i = 0; i < count; i++) {
        copies[i] = value_copy(a, t->kind == TYPE_STRUCT ? t->fields[i].type : t->element, &items[i]);
    }
    return copies;
}

value value_copy(arena *a, const type *t, const value *from)
{
    value copy = *from;

    if (from->is_null) return copy;
    switch (t->kind) {
    case TYPE_STRING:
    case TYPE_BYTES:
    case TYPE_INTERVAL_UNIT: copy.str = arena_copy(a, from->str); break;
    case TYPE_ARRAY:
    case TYPE_STRUCT: copy.list.items = copy_items(a, t, from->list.items, from->list.count); break;
    case TYPE_MAP: {
        const type keys = { .kind = TYPE_ARRAY, .element = t->key };
        copy.map.keys = copy_items(a, &keys, from->map.keys, from->map.count);
        copy.map.values = copy_items(a, t, from->map.values, from->map.count);
        break;
    }
    default: break;
    }
    return copy;
}

/* The first byte says null (0) or not (1); numbers are fixed big-endian, strings have a varint length. */
void value_encode(text *out, const type *t, const value *v)
{
    text_add_char(out, v->is_null ? 0 : 1);
    if (v->is_null) return;
    switch (t->kind) {
    case TYPE_BOOLEAN: text_add_char(out, v->boolean); break;
    case TYPE_INTEGER:
    case TYPE_DATE:
    case TYPE_TIME: text_add_u32(out, (uint32_t)v->i32); break;
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP: text_add_u64(out, (uint64_t)v->i64); break;
    case TYPE_DOUBLE: {
        uint64_t bits;
        memcpy(&bits, &v->f64, 8);
        text_add_u64(out, bits);
        break;
    }
    case TYPE_DECIMAL:
        text_add_u64(out, (uint64_t)((unsigned __int128)v->dec >> 64));
        text_add_u64(out, (uint64_t)v->dec);
        break;
    case TYPE_STRING:
    case TYPE_BYTES:
    case TYPE_INTERVAL_UNIT:
        text_add_varint(out, v->str.len);
        text_add(out, v->str);
        break;
    case TYPE_ARRAY:
    case TYPE_STRUCT:
        text_add_varint(out, v->list.count);
        for (uint32_t i = 0; i < v->list.count; i++) {
            value_encode(out, t->kind == TYPE_STRUCT ? t->fields[i].type : t->element, &v->list.items[i]);
        }
        break;
    case TYPE_MAP:
        text_add_varint(out, v->map.count);
        for (uint32_t i = 0; i < v->map.count; i++) {
            value_encode(out, t->key, &v->map.keys[i]);
            value_encode(out, t->element, &v->map.values[i]);
        }
        break;
    case TYPE_NULL:
    case TYPE_LAMBDA: break;
    }
}

/* A count of items of at least a byte each, or 0 with in->bad when so many cannot follow. */
static uint32_t read_count(reader_bytes *in)
{
    uint64_t count = read_varint(in);

    if (count > (uint64_t)(in->end - in->at)) in->bad = true;
    return in->bad ? 0 : (uint32_t)count;
}

bool value_decode(reader_bytes *in, const type *t, arena *a, value *out)
{
    *out = (value){ .is_null = read_u8(in) == 0 };
    if (out->is_null || in->bad) return !in->bad;
    switch (t->kind) {
    case TYPE_BOOLEAN: out->boolean = read_u8(in) != 0; break;
    case TYPE_INTEGER:
    case TYPE_DATE:
    case TYPE_TIME: out->i32 = (int32_t)read_u32(in); break;
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP: out->i64 = (int64_t)read_u64(in); break;
    case TYPE_DOUBLE: {
        uint64_t bits = read_u64(in);
        memcpy(&out->f64, &bits, 8);
        break;
    }
    case TYPE_DECIMAL: {
        uint64_t high = read_u64(in);
        out->dec = (decimal)((unsigned __int128)high << 64 | read_u64(in));
        break;
    }
    case TYPE_STRING:
    case TYPE_BYTES:
    case TYPE_INTERVAL_UNIT: out->str = read_slice(in); break;
    case TYPE_ARRAY:
    case TYPE_STRUCT:
        out->list.count = read_count(in);
        if (t->kind == TYPE_STRUCT && out->list.count != t->field_count) in->bad = true;
        if (in->bad) break;
        out->list.items = ARENA_ARRAY(a, value, out->list.count);
        for (uint32_t i = 0; i < out->list.count && !in->bad; i++) {
            value_decode(in, t->kind == TYPE_STRUCT ? t->fields[i].type : t->element, a, &out->list.items[i]);
        }
        break;
    case TYPE_MAP:
        out->map.count = read_count(in);
        out->map.keys = ARENA_ARRAY(a, value, out->map.count);
        out->map.values = ARENA_ARRAY(a, value, out->map.count);
        for (uint32_t i = 0; i < out->map.count && !in->bad; i++) {
            value_decode(in, t->key, a, &out->map.keys[i]);
            value_decode(in, t->element, a, &out->map.values[i]);
        }
        break;
    case TYPE_NULL:
    case TYPE_LAMBDA: out->is_null = true; break;
    }
    return !in->bad;
}
