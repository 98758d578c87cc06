/* core/hash.c - see hash.h. murmur2 by Austin Appleby (public domain), seed and sign handling as in Kafka's Java client. */
#include "core/hash.h"

#include <xxhash.h>

uint64_t hash_bytes(slice bytes)
{
    return XXH3_64bits(bytes.data, bytes.len);
}

static uint32_t murmur2(slice key)
{
    const uint32_t m = 0x5bd1e995;
    uint32_t hash = 0x9747b28c ^ (uint32_t)key.len;
    const unsigned char *at = (const unsigned char *)key.data;
    size_t left = key.len;

    for (; left >= 4; at += 4, left -= 4) {
        uint32_t k = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        k *= m;
        k ^= k >> 24;
        k *= m;
        hash = (hash * m) ^ k;
    }
    switch (left) {
    case 3: hash ^= (uint32_t)at[2] << 16; /* fall through */
    case 2: hash ^= (uint32_t)at[1] << 8;  /* fall through */
    case 1: hash = (hash ^ at[0]) * m;
    }
    hash ^= hash >> 13;
    hash *= m;
    return hash ^ (hash >> 15);
}

int32_t partition_for_key(slice key, int32_t partitions)
{
    return (int32_t)((murmur2(key) & 0x7fffffff) % (uint32_t)partitions);
}
