/* functions/bag.c - see bag.h. A record is its length and null bit (4 bytes), its number (8 bytes), the value's bytes. */
#include "functions/bag.h"

#include "core/hash.h"

#include <stdlib.h>

#define HEAD_BYTES 12
#define BAG_BYTES_MAX ((size_t)256 << 20)
#define NULL_BIT 0x80000000u

static bool read_item(const bag *b, uint32_t at, bag_item *item)
{
    uint32_t head;

    item->at = at;
    if (at >= b->len) return false;
    memcpy(&head, b->data + at, 4);
    memcpy(&item->number, b->data + at + 4, 8);
    item->size = HEAD_BYTES + (head & ~NULL_BIT);
    item->bytes = head & NULL_BIT ? NO_SLICE : (slice){ b->data + at + HEAD_BYTES, head };
    return true;
}

bool bag_next(const bag *b, bag_item *item)
{
    return read_item(b, item->at + item->size, item);
}

/* ---- the table ---- */

#define TABLE_FROM 16 /* records; fewer are found by looking at each */

static bool same_bytes(slice a, slice b)
{
    if (a.data == NULL || b.data == NULL) return a.data == b.data;
    return slice_equal(a, b);
}

static uint32_t table_place(const bag *b, slice bytes)
{
    return (uint32_t)(bytes.data == NULL ? 0 : hash_bytes(bytes)) & (b->table_room - 1);
}

static void table_add(bag *b, slice bytes, uint32_t at)
{
    uint32_t place = table_place(b, bytes);

    while (b->table[place] != 0) place = (place + 1) & (b->table_room - 1);
    b->table[place] = at + 1;
}

static void table_drop(slab *s, bag *b)
{
    slab_free(s, b->table, b->table_room * sizeof *b->table);
    b->table = NULL;
    b->table_room = 0;
}

static void table_build(slab *s, bag *b)
{
    if (b->table_room < 2 * b->count || b->table_room > 16 * b->count) {
        table_drop(s, b);
        b->table_room = 4 * TABLE_FROM;
        while (b->table_room < 4 * b->count) b->table_room *= 2;
        b->table = slab_alloc(s, b->table_room * sizeof *b->table);
    }
    memset(b->table, 0, b->table_room * sizeof *b->table);
    b->is_table_stale = false;
    for (bag_item item = BAG_START; bag_next(b, &item);) table_add(b, item.bytes, item.at);
}

bool bag_find(slab *s, bag *b, slice bytes, bag_item *item)
{
    *item = BAG_START;
    if (b->count < TABLE_FROM) {
        while (bag_next(b, item)) {
            if (same_bytes(item->bytes, bytes)) return true;
        }
        return false;
    }
    if (b->table_room == 0 || b->is_table_stale) table_build(s, b);
    for (uint32_t place = table_place(b, bytes); b->table[place] != 0; place = (place + 1) & (b->table_room - 1)) {
        if (read_item(b, b->table[place] - 1, item) && same_bytes(item->bytes, bytes)) return true;
    }
    return false;
}

/* ---- changing ---- */

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
    if (at != b->len || 2 * (b->count + 1) > b->table_room) b->is_table_stale = true;
    else if (!b->is_table_stale) table_add(b, bytes, at);
    b->len = (uint32_t)need;
    b->count++;
    return true;
}

void bag_remove(bag *b, const bag_item *item)
{
    memmove(b->data + item->at, b->data + item->at + item->size, b->len - item->at - item->size);
    b->len -= item->size;
    b->count--;
    b->is_table_stale = true;
}

void bag_set_number(bag *b, const bag_item *item, uint64_t number)
{
    memcpy(b->data + item->at + 4, &number, 8);
}

void bag_drop(slab *s, bag *b)
{
    slab_free(s, b->data, b->held);
    table_drop(s, b);
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

static slice pack(arena *a, const type *t, const value *v)
{
    text packed = TEXT_EMPTY;

    value_encode(&packed, t, v);
    return text_keep(&packed, a);
}

slice kept_bytes(arena *a, const column *c, uint32_t row)
{
    if (c->null[row]) return NO_SLICE;
    if (type_is_nested(c->type)) return pack(a, c->type, &c->nested[row]);
    if (c->type->kind == TYPE_STRING || c->type->kind == TYPE_BYTES) return c->str[row];
    size_t bytes = column_element_bytes(c->type);
    return (slice){ (const char *)c->any + row * bytes, bytes };
}

static bool has_map(const type *t)
{
    if (t->kind == TYPE_ARRAY) return has_map(t->element);
    for (uint32_t i = 0; t->kind == TYPE_STRUCT && i < t->field_count; i++) {
        if (has_map(t->fields[i].type)) return true;
    }
    return t->kind == TYPE_MAP;
}

typedef struct entry {
    value key, value;
} entry;

static int compare_entries(const void *x, const void *y, void *key_type)
{
    return value_compare(key_type, &((const entry *)x)->key, &((const entry *)y)->key);
}

/* Within a copy: the entries of all maps by their keys. */
static void sort_maps(const type *t, value *v)
{
    if (v->is_null || !has_map(t)) return;
    if (t->kind != TYPE_MAP) {
        for (uint32_t i = 0; i < v->list.count; i++) {
            sort_maps(t->kind == TYPE_STRUCT ? t->fields[i].type : t->element, &v->list.items[i]);
        }
        return;
    }
    entry *entries = malloc(v->map.count * sizeof *entries + 1);
    if (entries == NULL) abort();
    for (uint32_t i = 0; i < v->map.count; i++) {
        sort_maps(t->element, &v->map.values[i]);
        entries[i] = (entry){ v->map.keys[i], v->map.values[i] };
    }
    qsort_r(entries, v->map.count, sizeof *entries, compare_entries, (void *)(uintptr_t)t->key);
    for (uint32_t i = 0; i < v->map.count; i++) {
        v->map.keys[i] = entries[i].key;
        v->map.values[i] = entries[i].value;
    }
    free(entries);
}

slice kept_equal_bytes(arena *a, const column *c, uint32_t row)
{
    if (c->null[row] || !has_map(c->type)) return kept_bytes(a, c, row);
    value sorted = value_copy(a, c->type, &c->nested[row]);
    sort_maps(c->type, &sorted);
    return pack(a, c->type, &sorted);
}

value kept_borrow(arena *a, const type *t, slice bytes)
{
    bool is_fixed = !type_is_nested(t) && t->kind != TYPE_STRING && t->kind != TYPE_BYTES;
    value v = { 0 };

    if (bytes.data == NULL || (is_fixed && bytes.len < column_element_bytes(t))) return NULL_VALUE; /* too few: damaged state */
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
    const bag *b = acc;

    (void)c;
    return b->held + b->table_room * (uint32_t)sizeof *b->table;
}
