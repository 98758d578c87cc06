/* functions/bag.h - a list of values an accumulator keeps in the slab: one block of records, each with a number (a
 * sequence, a count) and the value's bytes. Numbers are kept as they stand in a column, text as its bytes, nested values
 * packed. Private to functions/. */
#ifndef WEIR_FUNCTIONS_BAG_H
#define WEIR_FUNCTIONS_BAG_H

#include "functions/aggregate.h"

typedef struct bag {
    char *data;
    uint32_t len;
    uint32_t held;
    uint32_t count;
    uint32_t *table;     /* of many records, once one was looked for: open addressing by value, 1 + where the record is */
    uint32_t table_room; /* a power of two; 0: none */
    bool is_table_stale; /* records were moved */
} bag;

typedef struct bag_item {
    uint32_t at; /* of the record in the block */
    uint32_t size;
    uint64_t number;
    slice bytes; /* absent: null. Lent until the bag changes. */
} bag_item;

/* for (bag_item item; ...) over all records in order. */
bool bag_next(const bag *b, bag_item *item); /* start with item.at = item.size = 0 */
#define BAG_START ((bag_item){ 0 })

/* Adds before the record at `at`; b->len: at the end. False: it would pass 256 MiB. */
bool bag_insert(slab *s, bag *b, uint32_t at, uint64_t number, slice bytes);
void bag_remove(bag *b, const bag_item *item);
void bag_set_number(bag *b, const bag_item *item, uint64_t number);
bool bag_find(slab *s, bag *b, slice bytes, bag_item *item);
void bag_drop(slab *s, bag *b);

void bag_encode(const bag *b, text *out);
bool bag_decode(slab *s, reader_bytes *in, bag *b);

/* The value of a column's row as bytes to keep, lent from the column or the arena; absent where it is null. */
slice kept_bytes(arena *a, const column *c, uint32_t row);
/* The same, but equal maps have equal bytes: their keys sorted. */
slice kept_equal_bytes(arena *a, const column *c, uint32_t row);
/* Back from there. Borrowing: text points into `bytes`; nested values live in the arena in any case. */
value kept_borrow(arena *a, const type *t, slice bytes);
value kept_value(arena *a, const type *t, slice bytes);
/* All values as an ARRAY. */
value bag_list(arena *a, const type *element, const bag *b);

/* For `struct aggregate`s whose accumulator is one bag. */
void bag_agg_encode(const call *c, const void *acc, text *out);
bool bag_agg_decode(const call *c, slab *s, reader_bytes *in, void *acc);
void bag_agg_drop(const call *c, slab *s, void *acc);
uint32_t bag_agg_tail_bytes(const call *c, const void *acc);
#define BAG_AGGREGATE                                                                                     \
    .bytes = sizeof(bag), .encode = bag_agg_encode, .decode = bag_agg_decode, .drop = bag_agg_drop,       \
    .tail_bytes = bag_agg_tail_bytes

#endif
