/* executor/block.h - a repartition record: the rows of one task for one partition, column by column, with the upstream
 * partition they came from. Numbers are as the machine has them (little-endian), so that reading is mostly pointing. */
#ifndef WEIR_EXECUTOR_BLOCK_H
#define WEIR_EXECUTOR_BLOCK_H

#include "core/batch.h"
#include "core/schema.h"
#include "core/text.h"

typedef struct block_writer block_writer;

typedef struct block_shape {
    const schema *schema;
    bool is_windowed;
    bool has_old; /* rows carry what they were before */
} block_shape;

typedef struct block_mark {
    int32_t upstream;
    int64_t event_ms; /* all rows up to this time have been passed on; INT64_MIN: none yet */
    bool is_idle;
} block_mark;

/* has_origin: somebody asks for the partition and offset of the source rows. */
block_writer *block_writer_new(const block_shape *shape, bool has_origin);
void block_writer_free(block_writer *w); /* NULL is fine */
/* passed_ms[r]: how far the upstream had come with row r. told_ms: what the reader knows of that before these rows. */
void block_writer_add(block_writer *w, const batch *from, row_set rows, const int64_t *passed_ms, int64_t told_ms);
uint32_t block_writer_rows(const block_writer *w);
size_t block_writer_bytes(const block_writer *w);
/* The record, lent until the next add; the writer is empty again. Without rows it is a mark alone. */
slice block_writer_finish(block_writer *w, const block_mark *mark);
/* Of an empty one: its memory, and what it has lent. It may be used again. */
void block_writer_give_back(block_writer *w);

/* The rows as a batch in the arena, whose texts are lent from the bytes; passed_ms is NULL where it is their running
 * maximum. *rows NULL: a mark alone. False: not a block. */
bool block_read(slice bytes, const block_shape *shape, arena *a, block_mark *mark, batch **rows);

#endif
