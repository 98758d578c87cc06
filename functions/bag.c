/* functions/bag.c - see bag.h. A record is its length and null bit (4 bytes), its number (8 bytes), the value's bytes. */
#include "functions/bag.h"

#define HEAD_BYTES 12
#define BAG_BYTES_MAX ((size_t)256 << 20)
#define NULL_BIT 0x80000000u

bool bag_next(const bag *b, bag_item *item)
{
    uint32_t head;

    item->at += item->size;
    if (item->at >= b->len) return false;
    memcpy(&head, b->data + item->at, 4);
    memcpy(&item->number, b->data + item->at + 4, 8);
    item->size = HEAD_BYTES + (head & ~NULL_BIT);
    item->bytes = head & NULL_BIT ? NO_SLICE : (slice){ b->data + item->at + HEAD_BYTES, head };
    return true;
}

bool bag_insert(slab *s, bag *b, uint32_t at, uint64_t number, slice bytes)
{
    size_t size = HEAD_BYTES + (bytes.data == NULL ? 0 : bytes.len), need = b->len + size;
    uint32_t head = bytes.data == NULL ? NULL_BIT : (uint32_t)bytes.len;

    if (need > BAG_BYTES_MAX) return false;
    if (need > b->held) {
        size_t held = slab_usable(need + need / 2);
        char *grown = slab_alloc(s, held);
        if (b->len > 0) memcpy(grown, b->data, b->len);
        slab_free(s, b->data, b->held);
        b->data = grown;
        b->held = (uint32_t)held;
    }
    memmove(b->data + at + size, b->data + at, b->len - at);
    memcpy(b->data + at, &head, 4);
    memcpy(b->data + at + 4, &number, 8);
    if (bytes.data != NULL) memcpy(b->data + at + HEAD_BYTES, bytes.data, bytes.len);
    b->len = (uint32_t)need;
    b->count++;
    return true;
}

void bag_remove(bag *b, const bag_item *item)
{
    memmove(b->data + item->at, b->data + item->at + item->size, b->len - item->at - item->size);
    b->len -= item->size;
    b->count--;
}

void bag_set_number(bag *b, const bag_item *item, uint64_t number)
{
    memcpy(b->data + item->at + 4, &number, 8);
}

static bool same_bytes(slice a, slice b)
{
    if (a.data == NULL || b.data == NULL) return a.data == b.data;
    return slice_equal(a, b);
}

bool bag_find(const bag *b, slice bytes, bag_item *item)
{
    *item = BAG_START;
    while (bag_next(b, item)) {
        if (same_bytes(item->bytes, bytes)) return true;
    }
    return false;
}

void bag_drop(slab *s, bag *b)
{
    slab_free(s, b->data, b->held);
    *b = (bag){ 0 };
}

void bag_encode(const bag *b, text *out)
{
    bag_item item = BAG_START;

    text_add_varint(out, b->count);
    while (bag_next(b, &item)) {
        text_add_varint(out, item.number);
        text_add_varint(out, item.bytes.data == NULL ? 0 : item.bytes.len + 1);
        if (item.bytes.data != NULL) text_add(out, item.bytes);
    }
}

bool bag_decode(slab *s, reader_bytes *in, bag *b)
{
    uint64_t count = read_varint(in);

    *b = (bag){ 0 };
    for (uint64_t i = 0; i < count && !in->bad; i++) {
        uint64_t number = read_varint(in), length = read_varint(in);
        const char *bytes = length == 0 || in->bad ? NULL : read_bytes(in, (size_t)length - 1);
        if (in->bad) break;
        if (!bag_insert(s, b, b->len, number, (slice){ bytes, length == 0 ? 0 : (size_t)length - 1 })) in->bad = true;
    }
    if (in->bad) bag_drop(s, b);
    return !in->bad;
}

/* ---- values ---- */

slice kept_bytes(arena *a, const column *c, uint32_t row)
{
    if (c->null[row]) return NO_SLICE;
    if (type_is_nested(c->type)) {
        text packed = TEXT_EMPTY;
        value_encode(&packed, c->type, &c->nested[row]);
        slice copy = arena_copy(a, text_slice(&packed));
        text_free(&packed);
        return copy;
    }
    if (c->type->kind == TYPE_STRING || c->type->kind == TYPE_BYTES) return c->str[row];
    size_t bytes = column_element_bytes(c->type);
    return (slice){ (const char *)c->any + row * bytes, bytes };
}

value kept_borrow(arena *a, const type *t, slice bytes)
{
    value v = { 0 };

    if (bytes.data == NULL) return NULL_VALUE;
    switch (t->kind) {
    case TYPE_BOOLEAN: v.boolean = bytes.data[0] != 0; break;
    case TYPE_INTEGER:
    case TYPE_DATE:
    case TYPE_TIME: memcpy(&v.i32, bytes.data, 4); break;
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP: memcpy(&v.i64, bytes.data, 8); break;
    case TYPE_DOUBLE: memcpy(&v.f64, bytes.data, 8); break;
    case TYPE_DECIMAL: memcpy(&v.dec, bytes.data, 16); break;
    case TYPE_STRING:
    case TYPE_BYTES: v.str = bytes; break;
    default: {
        reader_bytes in = read_from(bytes);
        if (!value_decode(&in, t, a, &v)) v = NULL_VALUE;
    }
    }
    return v;
}

value kept_value(arena *a, const type *t, slice bytes)
{
    bool owns = bytes.data != NULL && (type_is_nested(t) || t->kind == TYPE_STRING || t->kind == TYPE_BYTES);

    return kept_borrow(a, t, owns ? arena_copy(a, bytes) : bytes);
}

value bag_list(arena *a, const type *element, const bag *b)
{
    value *items = ARENA_ARRAY(a, value, b->count);
    bag_item item = BAG_START;

    for (uint32_t i = 0; bag_next(b, &item); i++) items[i] = kept_value(a, element, item.bytes);
    return (value){ .list = { items, b->count } };
}

/* ---- as an accumulator ---- */

void bag_agg_encode(const call *c, const void *acc, text *out)
{
    (void)c;
    bag_encode(acc, out);
}

bool bag_agg_decode(const call *c, slab *s, reader_bytes *in, void *acc)
{
    (void)c;
    return bag_decode(s, in, acc);
}

void bag_agg_drop(const call *c, slab *s, void *acc)
{
    (void)c;
    bag_drop(s, acc);
}

uint32_t bag_agg_tail_bytes(const call *c, const void *acc)
{
    (void)c;
    return ((const bag *)acc)->held;
}
