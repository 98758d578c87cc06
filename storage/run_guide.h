/* storage/run_guide.h - what a task remembers of a sorted run, so that a look-up touches the file only where the key most likely is:
 * a Bloom filter of its keys, and where its blocks begin. In memory; made again by reading the run where it is missing. The
 * tree has one too, without blocks. Private to storage/. */
#ifndef WEIR_STORAGE_RUN_GUIDE_H
#define WEIR_STORAGE_RUN_GUIDE_H

#include "core/hash.h"
#include "core/text.h"

#define GUIDE_OF_TREE ((uint64_t)0) /* no run has this id */

typedef struct guide_block {
    uint64_t place; /* in the file; 0: not known */
    uint32_t bytes;
    uint32_t first_end; /* in `firsts` */
} guide_block;

/* Where a key's eight bits of a filter are, two in each word: a look is one line of the cache (a blocked Bloom filter, Putze et al.
 * 2007). */
typedef struct guide_bed {
    uint64_t words[4];
} __attribute__((aligned(32))) guide_bed;

typedef struct run_guide {
    uint64_t run;
    guide_bed *beds; /* of the filter */
    uint32_t bed_count;
    uint64_t keys; /* added to the filter */
    guide_block *blocks;
    uint32_t block_count, block_room;
    uint32_t placed; /* so many blocks' places were looked up, from the first on */
    text firsts; /* the first key of each block, as [store u16][key] */
} run_guide;

typedef struct run_guides {
    run_guide **items;
    uint32_t count, room;
    uint64_t changes; /* how often one was made or dropped */
} run_guides;

void guides_free(run_guides *g); /* what it holds */

/* NULL: there is none. */
run_guide *guides_find(const run_guides *g, uint64_t run);
/* An empty one, for so many keys; one that is there goes. */
run_guide *guides_make(run_guides *g, uint64_t run, uint64_t keys);
void guides_drop(run_guides *g, uint64_t run);

/* Its bed for a key's hash. */
static inline guide_bed *guide_bed_of(const run_guide *g, uint64_t hash)
{
    return &g->beds[(uint64_t)hash_home(hash) * g->bed_count >> 32];
}

/* The bits in a word of the bed; places: guide_places() of the hash. */
static inline uint64_t guide_bits(uint64_t places, int word)
{
    return (uint64_t)1 << (places >> (16 + 12 * word) & 63) | (uint64_t)1 << (places >> (22 + 12 * word) & 63);
}

/* Six bits for each of the eight, at the top, where a product depends on all bits of the hash. */
static inline uint64_t guide_places(uint64_t hash)
{
    return hash * UINT64_C(0xE7037ED1A0B428DB);
}

/* All bits of a key's hash. */
static inline guide_bed guide_bits_of(uint64_t hash)
{
    const uint64_t places = guide_places(hash);

    return (guide_bed){ { guide_bits(places, 0), guide_bits(places, 1), guide_bits(places, 2), guide_bits(places, 3) } };
}

/* A key that many filters are asked for: what they have in common is computed once. */
typedef struct guide_key {
    uint64_t hash;
    uint64_t first[2]; /* its bits in the first two words of a bed, which say no of nearly all that are not there */
} guide_key;

static inline guide_key guide_key_of(uint64_t hash)
{
    const uint64_t places = guide_places(hash);

    return (guide_key){ hash, { guide_bits(places, 0), guide_bits(places, 1) } };
}

static inline bool guide_may_have(const run_guide *g, const guide_key *k)
{
    const uint64_t *there = guide_bed_of(g, k->hash)->words;

    if (((k->first[0] & ~there[0]) | (k->first[1] & ~there[1])) != 0) return false;
    const uint64_t places = guide_places(k->hash);
    return ((guide_bits(places, 2) & ~there[2]) | (guide_bits(places, 3) & ~there[3])) == 0;
}

void guide_add_key(run_guide *g, uint64_t hash);
/* More keys than its filter is good for. */
bool guide_is_full(const run_guide *g);
void guide_forget_keys(run_guide *g);

/* Behind all others. */
void guide_add_block(run_guide *g, slice first);
/* It has all its blocks: room for more goes. */
void guide_end_blocks(run_guide *g);
/* Those that begin behind the place go: an aborted transaction has left them. */
void guide_cut(run_guide *g, slice place);
/* Where a block begins. */
slice guide_first(const run_guide *g, uint32_t block);
/* The last block that begins at or before the place; NULL: none does. */
const guide_block *guide_block_of(const run_guide *g, slice place, slice *first);

#endif
