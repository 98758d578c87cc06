/* functions/map_order.c - see map_order.h. */
#include "functions/map_order.h"

#include <unicode/utf16.h>
#include <unicode/utf8.h>

/* String.hashCode(), over UTF-16; then its halves mixed. */
static uint32_t bucket_hash(slice key)
{
    uint32_t hash = 0;

    for (int32_t at = 0, length = (int32_t)key.len; at < length;) {
        UChar32 c;
        U8_NEXT_OR_FFFD(key.data, at, length, c);
        if (c > 0xFFFF) {
            hash = 31 * hash + U16_LEAD(c);
            c = U16_TRAIL(c);
        }
        hash = 31 * hash + (uint32_t)c;
    }
    return hash ^ hash >> 16;
}

value_map map_ordered(arena *a, const type *t, const value_map *map)
{
    uint32_t count = map->count, buckets = 1;

    if (count < 2 || t->key->kind != TYPE_STRING) return *map;
    while (3 * (uint64_t)buckets < 4 * (uint64_t)count) buckets *= 2; /* three quarters full at most */
    uint32_t *bucket = ARENA_ARRAY(a, uint32_t, count);
    uint32_t *first = ARENA_ZEROS(a, uint32_t, buckets + 1);
    for (uint32_t i = 0; i < count; i++) {
        bucket[i] = map->keys[i].is_null ? 0 : bucket_hash(map->keys[i].str) & (buckets - 1);
        first[bucket[i] + 1]++;
    }
    for (uint32_t b = 0; b < buckets; b++) first[b + 1] += first[b];
    value_map ordered = { ARENA_ARRAY(a, value, count), ARENA_ARRAY(a, value, count), count };
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = first[bucket[i]]++;
        ordered.keys[at] = map->keys[i];
        ordered.values[at] = map->values[i];
    }
    return ordered;
}
