/* storage/local_block.c - see local_block.h. */
#include "storage/local_block.h"

#include "core/bytes.h"

#include <assert.h>
#include <lz4.h>
#include <xxhash.h>

#define VERSION 1
#define VERSION_GAPS 2
#define FLAG_LZ4 1
#define FLAG_HEADERS 2
#define CHECKED_BYTES 40 /* of the header: all but the checksum */
#define COMPRESS_BYTES_MIN 256
#define LZ4_ACCELERATION 2
#define OFFSET_MAX (INT64_MAX - UINT32_MAX) /* of a row, so that sums do not overflow */

void block_builder_free(block_builder *b)
{
    text_free(&b->gaps);
    text_free(&b->times);
    text_free(&b->lengths);
    text_free(&b->headers);
    text_free(&b->bytes);
}

static inline void copy_bytes(text *to, slice from)
{
    copy_short(to->data + to->len, from.data, from.len);
    to->len += from.len;
}

static void add_headers(block_builder *b, const header_list *list)
{
    if (!b->has_headers) {
        b->has_headers = true;
        for (uint32_t i = 0; i < b->rows; i++) text_add_char(&b->headers, 0);
    }
    text_add_varint(&b->headers, list == NULL ? 0 : list->count);
    for (uint32_t i = 0; list != NULL && i < list->count; i++) {
        const header *h = &list->items[i];
        text_add_varint(&b->headers, h->key.len);
        text_add(&b->headers, h->key);
        text_add_varint(&b->headers, h->value.data == NULL ? 0 : (uint64_t)h->value.len + 1);
        if (h->value.data != NULL) text_add(&b->headers, h->value);
    }
}

void block_add(block_builder *b, slice key, slice content, int64_t timestamp_ms, const header_list *headers)
{
    uint64_t step = (uint64_t)timestamp_ms - (uint64_t)b->last_ms; /* from 0 for the first */

    text_reserve(&b->times, VARINT_BYTES_MAX);
    text_reserve(&b->lengths, 2 * VARINT_BYTES_MAX);
    text_reserve(&b->bytes, key.len + content.len);
    b->times.len = (size_t)(write_varint(b->times.data + b->times.len, zigzag((int64_t)step)) - b->times.data);
    char *at = write_varint(b->lengths.data + b->lengths.len, key.data == NULL ? 0 : (uint64_t)key.len + 1);
    at = write_varint(at, content.data == NULL ? 0 : (uint64_t)content.len + 1);
    b->lengths.len = (size_t)(at - b->lengths.data);
    if (key.data != NULL) copy_bytes(&b->bytes, key);
    if (content.data != NULL) copy_bytes(&b->bytes, content);
    if (b->has_headers || (headers != NULL && headers->count > 0)) add_headers(b, headers);
    b->max_ms = b->rows == 0 || timestamp_ms > b->max_ms ? timestamp_ms : b->max_ms;
    b->last_ms = timestamp_ms;
    b->rows++;
}

void block_add_at(block_builder *b, int64_t offset, slice key, slice content, int64_t timestamp_ms, const header_list *headers)
{
    if (b->rows == 0) b->first_offset = b->next_offset = offset;
    assert(offset >= b->next_offset);
    text_add_varint(&b->gaps, (uint64_t)(offset - b->next_offset));
    b->has_gaps = b->has_gaps || offset > b->next_offset;
    b->next_offset = offset + 1;
    block_add(b, key, content, timestamp_ms, headers);
}

void block_builder_clear(block_builder *b)
{
    text *parts[] = { &b->gaps, &b->times, &b->lengths, &b->headers, &b->bytes };

    for (int i = 0; i < 5; i++) {
        if (parts[i]->held_bytes > 8 * BLOCK_BYTES) text_free(parts[i]); /* a huge record is no reason to keep so much */
        text_clear(parts[i]);
    }
    b->rows = 0;
    b->has_headers = b->has_gaps = false;
    b->last_ms = b->max_ms = 0;
}

/* Replaces the body behind the header by its compressed form, if that pays. */
static bool compress_body(text *out)
{
    size_t body = out->len - BLOCK_HEADER_BYTES;

    if (body < COMPRESS_BYTES_MIN || body > LZ4_MAX_INPUT_SIZE) return false;
    size_t most = body - body / 10;
    text packed = TEXT_EMPTY;
    text_reserve(&packed, BLOCK_HEADER_BYTES + most);
    int bytes = LZ4_compress_fast(out->data + BLOCK_HEADER_BYTES, packed.data + BLOCK_HEADER_BYTES, (int)body, (int)most,
                                  LZ4_ACCELERATION);
    if (bytes <= 0) {
        text_free(&packed);
        return false;
    }
    memcpy(packed.data, out->data, BLOCK_HEADER_BYTES);
    packed.len = BLOCK_HEADER_BYTES + (size_t)bytes;
    text_trim(&packed);
    text_free(out);
    *out = packed;
    return true;
}

uint64_t block_pack(block_builder *b, bool compress, text *out)
{
    text gaps = TEXT_EMPTY;
    if (b->has_gaps) {
        text_add_varint(&gaps, b->gaps.len);
        text_add(&gaps, text_slice(&b->gaps));
    }
    size_t times = gaps.len + b->times.len;
    size_t body = times + b->lengths.len + b->headers.len + b->bytes.len;

    assert(b->rows > 0 && body <= UINT32_MAX);
    text_clear(out);
    text_reserve(out, BLOCK_HEADER_BYTES + body);
    memset(out->data, 0, BLOCK_HEADER_BYTES);
    put_u32(out->data + 4, b->rows);
    put_u64(out->data + 16, sortable_i64(b->max_ms));
    put_u32(out->data + 24, (uint32_t)body);
    put_u32(out->data + 28, (uint32_t)times);
    put_u32(out->data + 32, (uint32_t)b->lengths.len);
    put_u32(out->data + 36, (uint32_t)b->headers.len);
    out->len = BLOCK_HEADER_BYTES;
    copy_bytes(out, text_slice(&gaps));
    text_free(&gaps);
    copy_bytes(out, text_slice(&b->times));
    copy_bytes(out, text_slice(&b->lengths));
    copy_bytes(out, text_slice(&b->headers));
    copy_bytes(out, text_slice(&b->bytes));
    bool has_headers = b->has_headers, has_gaps = b->has_gaps;
    block_builder_clear(b);
    bool packed = compress && compress_body(out);
    out->data[0] = has_gaps ? VERSION_GAPS : VERSION;
    out->data[1] = (char)((packed ? FLAG_LZ4 : 0) | (has_headers ? FLAG_HEADERS : 0));
    return XXH3_64bits(out->data + BLOCK_HEADER_BYTES, out->len - BLOCK_HEADER_BYTES);
}

void block_place(text *block, uint64_t body_checksum, int64_t first_offset)
{
    put_u64(block->data + 8, (uint64_t)first_offset);
    put_u64(block->data + CHECKED_BYTES, XXH3_64bits_withSeed(block->data, CHECKED_BYTES, body_checksum));
}

bool block_peek(slice block, block_info *info)
{
    if (block.len < BLOCK_HEADER_BYTES || (block.data[0] != VERSION && block.data[0] != VERSION_GAPS)) return false;
    *info = (block_info){ .rows = get_u32(block.data + 4),
                          .first_offset = (int64_t)get_u64(block.data + 8),
                          .max_ms = unsortable_i64(get_u64(block.data + 16)),
                          .body_bytes = get_u32(block.data + 24) };
    return info->rows > 0 && info->first_offset >= 0 && info->first_offset <= OFFSET_MAX;
}

static slice cut(slice *from, size_t bytes)
{
    slice front = { from->data, bytes };

    from->data += bytes;
    from->len -= bytes;
    return front;
}

bool block_open(block_reader *r, slice block, char *body)
{
    block_info info;

    if (!block_peek(block, &info)) return false;
    slice stored = { block.data + BLOCK_HEADER_BYTES, block.len - BLOCK_HEADER_BYTES };
    uint64_t check = XXH3_64bits_withSeed(block.data, CHECKED_BYTES, XXH3_64bits(stored.data, stored.len));
    if (check != get_u64(block.data + CHECKED_BYTES)) return false;
    if (block.data[1] & FLAG_LZ4) {
        if (LZ4_decompress_safe(stored.data, body, (int)stored.len, (int)info.body_bytes) != (int)info.body_bytes) {
            return false;
        }
    } else if (stored.len == info.body_bytes) {
        memcpy(body, stored.data, stored.len);
    } else {
        return false;
    }
    memset(body + info.body_bytes, 0, BLOCK_TAIL_BYTES);
    uint64_t times = get_u32(block.data + 28), lengths = get_u32(block.data + 32), headers = get_u32(block.data + 36);
    if (times + lengths + headers > info.body_bytes) return false;
    *r = (block_reader){ .rows_left = info.rows,
                         .next_offset = info.first_offset,
                         .has_headers = (block.data[1] & FLAG_HEADERS) != 0,
                         .has_gaps = block.data[0] == VERSION_GAPS,
                         .bytes = { body, info.body_bytes } };
    r->times = cut(&r->bytes, times);
    r->lengths = cut(&r->bytes, lengths);
    r->headers = cut(&r->bytes, headers);
    if (!r->has_gaps) return true;
    reader_bytes in = read_from(r->times);
    r->gaps = read_slice(&in);
    r->times = (slice){ in.at, (size_t)(in.end - in.at) };
    return !in.bad;
}

/* A varint that most often is one byte. False: the section ended. */
static inline bool next_varint(const char **at, const char *end, uint64_t *number)
{
    uint64_t sum = 0;

    for (int shift = 0; shift < 64 && *at < end; shift += 7) {
        uint8_t byte = (uint8_t)*(*at)++;
        sum |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *number = sum;
            return true;
        }
    }
    return false;
}

static bool take_headers(block_reader *r, uint32_t rows, header_list *headers, arena *a)
{
    reader_bytes in = read_from(r->headers);

    for (uint32_t row = 0; row < rows; row++) {
        uint64_t count = read_varint(&in);
        if (in.bad || count > (uint64_t)(in.end - in.at)) return false;
        header *items = ARENA_ARRAY(a, header, count);
        for (uint64_t i = 0; i < count; i++) {
            items[i].key = read_slice(&in);
            uint64_t length = read_varint(&in);
            const char *at = length == 0 ? NULL : read_bytes(&in, length - 1);
            items[i].value = (slice){ at, at == NULL ? 0 : length - 1 };
        }
        if (in.bad) return false;
        if (headers != NULL) headers[row] = (header_list){ items, (uint32_t)count };
    }
    r->headers = (slice){ in.at, (size_t)(in.end - in.at) };
    return true;
}

/* The offsets of the next rows. */
static bool take_gaps(block_reader *r, uint32_t rows, int64_t *offset)
{
    const char *at = r->gaps.data, *end = at + r->gaps.len;
    int64_t next = r->next_offset;
    uint64_t gap;

    for (uint32_t row = 0; row < rows; row++) {
        if (!next_varint(&at, end, &gap) || next > OFFSET_MAX || gap > (uint64_t)(OFFSET_MAX - next)) return false;
        next += (int64_t)gap;
        offset[row] = next++;
    }
    r->gaps = (slice){ at, (size_t)(end - at) };
    r->next_offset = next;
    return true;
}

bool block_take(block_reader *r, uint32_t rows, slice *key, slice *content, int64_t *timestamp_ms, int64_t *offset,
                header_list *headers, arena *a)
{
    const char *time = r->times.data, *times_end = time + r->times.len;
    const char *length = r->lengths.data, *lengths_end = length + r->lengths.len;
    const char *bytes = r->bytes.data, *bytes_end = bytes + r->bytes.len;
    uint64_t ms = (uint64_t)r->last_ms;

    assert(rows <= r->rows_left);
    for (uint32_t row = 0; row < rows; row++) {
        uint64_t step, key_len, content_len;
        if (!next_varint(&time, times_end, &step) || !next_varint(&length, lengths_end, &key_len) ||
            !next_varint(&length, lengths_end, &content_len)) {
            return false;
        }
        ms += (uint64_t)unzigzag(step);
        timestamp_ms[row] = (int64_t)ms;
        offset[row] = r->next_offset + row;
        key[row] = key_len == 0 ? NO_SLICE : (slice){ bytes, key_len - 1 };
        key_len -= key_len != 0;
        if (key_len > (uint64_t)(bytes_end - bytes)) return false;
        bytes += key_len;
        content[row] = content_len == 0 ? NO_SLICE : (slice){ bytes, content_len - 1 };
        content_len -= content_len != 0;
        if (content_len > (uint64_t)(bytes_end - bytes)) return false;
        bytes += content_len;
    }
    r->times = (slice){ time, (size_t)(times_end - time) };
    r->lengths = (slice){ length, (size_t)(lengths_end - length) };
    r->bytes = (slice){ bytes, (size_t)(bytes_end - bytes) };
    r->last_ms = (int64_t)ms;
    r->rows_left -= rows;
    if (!r->has_gaps) r->next_offset += rows;
    else if (!take_gaps(r, rows, offset)) return false;
    return !r->has_headers || take_headers(r, rows, headers, a);
}

/* Of the rows that are left, how many lie before that offset. */
static uint32_t rows_before(const block_reader *r, int64_t offset)
{
    uint64_t before = offset > r->next_offset ? (uint64_t)(offset - r->next_offset) : 0, gap;
    uint32_t rows = 0;

    if (!r->has_gaps) return before < r->rows_left ? (uint32_t)before : r->rows_left;
    const char *at = r->gaps.data, *end = at + r->gaps.len;
    while (rows < r->rows_left && next_varint(&at, end, &gap) && gap < before) {
        before -= gap + 1;
        rows++;
    }
    return rows;
}

bool block_seek(block_reader *r, int64_t offset)
{
    enum { STEP = 64 };
    slice key[STEP], content[STEP];
    int64_t ms[STEP], passed[STEP];
    arena *a = NULL;
    bool good = true;

    for (uint32_t rows = rows_before(r, offset); rows > 0 && good;) {
        uint32_t some = rows < STEP ? rows : STEP;
        if (r->has_headers && a == NULL) a = arena_new(0);
        good = block_take(r, some, key, content, ms, passed, NULL, a);
        rows -= some;
    }
    arena_free(a);
    return good && r->rows_left > 0;
}
