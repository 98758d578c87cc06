/* storage/local_block.h - the unit the embedded log stores: the records one commit appended to one partition, in columns; or
 * what compaction left of several.
 *
 *   header  48 bytes: version u8 (1; 2 where offsets are missing between the rows), flags u8, 0 u16, rows u32, first offset
 *           u64, greatest timestamp i64 (sortable), bytes of the body u32, of its times, lengths and headers sections u32 each,
 *           checksum u64 (XXH3 of what is stored behind the header, then of the 40 bytes before it)
 *   body    times (in version 2 first, as a varint length and so many bytes, the gaps: how many offsets before each row are
 *           missing, varints): each the difference to the one before, zigzag varints; lengths: of key and value, plus 1, 0 for null;
 *           headers (only if some record has any): a count a row, then key, value; keys and values, row by row.
 *           With LZ4 over all of it when that saves a tenth. */
#ifndef WEIR_STORAGE_LOCAL_BLOCK_H
#define WEIR_STORAGE_LOCAL_BLOCK_H

#include "core/batch.h"

/* A block this large is closed: LZ4 is best below 64 KiB, and each partition has buffers for one. */
#define BLOCK_BYTES ((size_t)56 << 10)
#define BLOCK_HEADER_BYTES 48
#define BLOCK_TAIL_BYTES 64 /* readable bytes behind an unpacked body */

typedef struct block_builder {
    text gaps, times, lengths, headers, bytes;
    uint32_t rows;
    bool has_headers, has_gaps;
    int64_t first_offset, next_offset; /* of records that have theirs already */
    int64_t last_ms, max_ms;
} block_builder;

void block_builder_free(block_builder *b);
void block_builder_clear(block_builder *b); /* drops all rows; memory stays */
/* A record, copied; an absent key or content is a null. */
void block_add(block_builder *b, slice key, slice content, int64_t timestamp_ms, const header_list *headers);
/* The same of a record that has its offset already, above all before; either all of a block's are added so, or none. */
void block_add_at(block_builder *b, int64_t offset, slice key, slice content, int64_t timestamp_ms, const header_list *headers);
static inline bool block_is_full(const block_builder *b) { return b->bytes.len >= BLOCK_BYTES; }
/* Writes the block over *out and empties the builder. Its place in the partition is known only inside the write
 * transaction; to have little to do there, the body's checksum is handed over. */
uint64_t block_pack(block_builder *b, bool compress, text *out);
void block_place(text *block, uint64_t body_checksum, int64_t first_offset);

typedef struct block_info {
    uint32_t rows;
    int64_t first_offset;
    int64_t max_ms;
    size_t body_bytes; /* unpacked */
} block_info;

/* False: not a block. Looks at the header only. */
bool block_peek(slice block, block_info *info);

/* Walks over an unpacked body, which must outlive it. */
typedef struct block_reader {
    uint32_t rows_left;
    int64_t next_offset; /* the next row's, or before it */
    int64_t last_ms;
    slice gaps, times, lengths, headers, bytes; /* what is left of each */
    bool has_headers, has_gaps;
} block_reader;

/* `body` has room for info.body_bytes + BLOCK_TAIL_BYTES. False: damaged. */
bool block_open(block_reader *r, slice block, char *body);
/* Takes the next rows (at most rows_left). headers (NULL when !has_headers): their items live in the arena. */
bool block_take(block_reader *r, uint32_t rows, slice *key, slice *content, int64_t *timestamp_ms, int64_t *offset,
                header_list *headers, arena *a);
/* Passes over the rows before that offset. False: damaged, as of block_take(), or no row is left. */
bool block_seek(block_reader *r, int64_t offset);

#endif
