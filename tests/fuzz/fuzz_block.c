/* tests/fuzz/fuzz_block.c - any bytes as a stored block of the embedded log (its checksums made right, so that what is
 * behind them is reached) or as a repartition block. The first byte chooses. What was read is looked at to the last byte,
 * written again, and must be the same. */
#include "executor/block.h"
#include "storage/local_block.h"
#include "tests/fuzz/same.h"

#include <stdlib.h>
#include <xxhash.h>

#define NAMED(n, t) { .name = { n, sizeof(n) - 1 }, .type = t }
#define COUNT_OF(array) ((uint32_t)(sizeof(array) / sizeof *(array)))

static const type DEC = { .kind = TYPE_DECIMAL, .precision = 38, .scale = 5 };
static const type LIST = { .kind = TYPE_ARRAY, .element = &type_double };
static const type MAP = { .kind = TYPE_MAP, .key = &type_string, .element = &LIST };
static const type_field FIELDS[] = { { { "X", 1 }, &MAP }, { { "Y", 1 }, &type_bigint } };
static const type STRUCT = { .kind = TYPE_STRUCT, .fields = FIELDS, .field_count = 2 };

static const schema_column COLUMNS[] = {
    NAMED("S", &type_string), NAMED("I", &type_integer), NAMED("B", &type_boolean),    NAMED("L", &type_bigint),
    NAMED("D", &type_double), NAMED("N", &DEC),          NAMED("Y", &type_bytes),      NAMED("T", &type_timestamp),
    NAMED("A", &LIST),        NAMED("M", &MAP),          NAMED("R", &STRUCT),
};

static volatile unsigned looked_at;

static void look_at(slice bytes)
{
    unsigned sum = 0;

    for (size_t i = 0; i < bytes.len; i++) sum += (unsigned char)bytes.data[i];
    looked_at += sum;
}

/* What was read from a block and written again is read as the same. */
static void same_rows(slice block, block_builder *written, char *body, arena *a)
{
    text packed = TEXT_EMPTY;
    block_info info;
    block_reader r[2];
    slice key[2], content[2];
    int64_t ms[2], offset[2], first = written->first_offset;
    header_list headers[2];

    uint64_t body_checksum = block_pack(written, true, &packed);
    block_place(&packed, body_checksum, first);
    if (!block_peek(text_slice(&packed), &info)) abort();
    char *body_again = malloc(info.body_bytes + BLOCK_TAIL_BYTES);
    if (!block_open(&r[0], block, body) || !block_open(&r[1], text_slice(&packed), body_again)) abort();
    if (r[0].rows_left != r[1].rows_left) abort();
    while (r[0].rows_left > 0) {
        for (int i = 0; i < 2; i++) {
            headers[i] = (header_list){ NULL, 0 };
            if (!block_take(&r[i], 1, &key[i], &content[i], &ms[i], &offset[i], &headers[i], a)) abort();
        }
        if (ms[0] != ms[1] || offset[0] != offset[1] || headers[0].count != headers[1].count) abort();
        if (!slice_equal(key[0], key[1]) || (key[0].data == NULL) != (key[1].data == NULL)) abort();
        if (!slice_equal(content[0], content[1]) || (content[0].data == NULL) != (content[1].data == NULL)) abort();
    }
    free(body_again);
    text_free(&packed);
}

/* Made from parts: a header of the fuzzer's numbers over the fuzzer's body, in its place with the right checksum. */
static void stored_block(slice bytes, arena *a)
{
    enum { ROWS = 64 };
    text block = TEXT_EMPTY;
    block_info info;
    block_reader r;
    block_builder again = { 0 };
    slice key[ROWS], content[ROWS];
    int64_t ms[ROWS], offset[ROWS];
    header_list headers[ROWS];

    if (bytes.len < BLOCK_HEADER_BYTES) return;
    text_add(&block, bytes);
    block_place(&block, XXH3_64bits(block.data + BLOCK_HEADER_BYTES, block.len - BLOCK_HEADER_BYTES), 5);
    if (block_peek(text_slice(&block), &info) && info.body_bytes < 1 << 20) {
        char *body = malloc(info.body_bytes + BLOCK_TAIL_BYTES);
        uint32_t left = info.rows;
        int64_t last = -1;
        if (block_open(&r, text_slice(&block), body)) {
            while (left > 0) {
                uint32_t some = left < ROWS ? left : ROWS;
                if (!block_take(&r, some, key, content, ms, offset, headers, a)) break;
                for (uint32_t i = 0; i < some; i++) {
                    if (offset[i] <= last) abort();
                    last = offset[i];
                    look_at(key[i]);
                    look_at(content[i]);
                    block_add_at(&again, offset[i], key[i], content[i], ms[i], r.has_headers ? &headers[i] : NULL);
                    for (uint32_t h = 0; r.has_headers && h < headers[i].count; h++) {
                        look_at(headers[i].items[h].key);
                        look_at(headers[i].items[h].value);
                    }
                }
                left -= some;
            }
            for (int64_t to = 0; to < 64; to += 7) { /* to the first row there or after, if any */
                if (!block_open(&r, text_slice(&block), body) || !block_seek(&r, to)) continue;
                if (block_take(&r, 1, key, content, ms, offset, headers, a) && offset[0] < to) abort();
            }
            if (left == 0) same_rows(text_slice(&block), &again, body, a);
        }
        free(body);
        block_builder_free(&again);
    }
    text_free(&block);
}

static void repartition_block(slice bytes, uint8_t choice, arena *a)
{
    const schema s = { COLUMNS, 1, COUNT_OF(COLUMNS) };
    const block_shape shape = { &s, choice & 1, choice & 2 };
    block_mark mark, again;
    batch *rows, *second;

    if (!block_read(bytes, &shape, a, &mark, &rows) || rows == NULL) return;
    block_writer *w = block_writer_new(&shape, rows->row_partition != NULL);
    int64_t *passed_ms = rows->passed_ms, running_ms = INT64_MIN;
    if (passed_ms == NULL) passed_ms = ARENA_ARRAY(a, int64_t, rows->rows + 1);
    for (uint32_t r = 0; rows->passed_ms == NULL && r < rows->rows; r++) {
        if (rows->event_ms[r] > running_ms) running_ms = rows->event_ms[r];
        passed_ms[r] = running_ms;
    }
    block_writer_add(w, rows, (row_set){ NULL, rows->rows }, passed_ms, INT64_MIN);
    slice written = arena_copy(a, block_writer_finish(w, &mark));
    if (!block_read(written, &shape, a, &again, &second) || second == NULL || second->rows != rows->rows) abort();
    for (uint32_t r = 0; r < rows->rows; r++) {
        for (uint32_t i = 0; i < (rows->kind[r] == ROW_NORMAL ? s.count : 1); i++) {
            value before = column_get(&rows->columns[i], r), after = column_get(&second->columns[i], r);
            if (!same(COLUMNS[i].type, &before, &after)) abort();
        }
    }
    block_writer_free(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    arena *a = arena_new(0);
    char *exact = malloc(size - 1 + (size == 1)); /* a reader that goes past the end is seen */
    memcpy(exact, data + 1, size - 1);
    slice bytes = { exact, size - 1 };

    if (data[0] & 4) {
        stored_block(bytes, a);
    } else {
        repartition_block(bytes, data[0], a);
    }
    free(exact);
    arena_free(a);
    return 0;
}
