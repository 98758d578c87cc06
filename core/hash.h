/* core/hash.h - hashing: XXH3 for everything inside, murmur2 in the Java client's form for choosing partitions. */
#ifndef WEIR_CORE_HASH_H
#define WEIR_CORE_HASH_H

#include "core/slice.h"

uint64_t hash_bytes(slice bytes);

/* Where the search for a hash begins in a table, or its bed in a filter: not at the lowest bits, by which keys are sent to a
 * partition and which all of a task's keys then share. */
static inline uint32_t hash_home(uint64_t hash)
{
    return (uint32_t)(hash >> 8);
}

/* A 64-bit mix of one number, with a seed to chain columns. */
static inline uint64_t hash_u64(uint64_t number, uint64_t seed)
{
    unsigned __int128 wide = (unsigned __int128)(number ^ 0x9E3779B97F4A7C15u ^ seed) * 0xE7037ED1A0B428DBu;
    uint64_t mixed = (uint64_t)wide ^ (uint64_t)(wide >> 64);
    return mixed ^ (mixed >> 29);
}

/* The partition that Kafka's default (Java) partitioner gives a key: toPositive(murmur2(key)) % partitions. */
int32_t partition_for_key(slice key, int32_t partitions);

#endif
