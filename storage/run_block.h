/* storage/run_block.h - a block of a sorted run (state_runs.h): entries of one store in key order, as bytes. Private to storage/.
 *
 * Close together, as most are; the keys have a prefix in common, and the rest of each mostly has one length:
 *     [CLOSE | items u32][length of a key's rest u16][prefix length u16][end of each item u16, ERASED]
 *     the prefix, and the items: [rest of the key][value]
 * where RESTS_DIFFER stands for the length, each item begins with its own u16. One of more than 32 KiB, and every one that was
 * written before there were close ones:
 *     [items u32][end of each item u32]
 *     the items: [key length u16, ERASED][key][value] */
#ifndef WEIR_STORAGE_RUN_BLOCK_H
#define WEIR_STORAGE_RUN_BLOCK_H

#include "core/text.h"

/* One that is there; lent by its bytes. */
typedef struct run_block {
    uint32_t items;
    bool is_close;
    uint16_t rest_len; /* or RESTS_DIFFER */
    slice prefix;
    const char *ends, *at; /* of the items, and the items */
    size_t len;            /* of these */
} run_block;

/* All of these: false where it is damaged. */
bool run_block_see(slice bytes, run_block *out);
/* What an item's key has behind the prefix, and its value; .data NULL: it is erased. */
bool run_block_item(const run_block *b, uint32_t item, slice *rest, slice *value);
/* The first item at or after the key; *out = items: none is. */
bool run_block_find(const run_block *b, slice key, uint32_t *out);
/* What it knows of a key. */
bool run_block_get(const run_block *b, slice key, slice *value, bool *known);

/* One that is being made; all zeros at first. */
typedef struct run_block_maker {
    text items; /* as they stand in a block that is not close */
    text ends;  /* likewise */
    size_t key_bytes, value_bytes;
    slice prefix; /* lies in the items */
    uint16_t first_len; /* of the first key */
    bool rests_differ;
    uint32_t count;
} run_block_maker;

/* Behind all others. False: it would be larger than this, and was not added; the first one always is. */
bool run_block_add(run_block_maker *m, slice key, slice value, size_t bytes_max);
size_t run_block_bytes(const run_block_maker *m);
/* So many bytes; the next one begins. */
void run_block_write(run_block_maker *m, char *to);
void run_block_maker_free(run_block_maker *m);

#endif
