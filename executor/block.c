/* executor/block.c - see block.h. A block is:
 *   version, flags, upstream (4), event_ms (8), rows (4);
 *   event_ms of each row; how far its upstream had come, where that is not the running maximum; its kind; window start and end; partition and offset of the source row, where there are any;
 *   headers, where there are any; then each column; then, with has_old, kind and columns of the former rows. */
#include "executor/block.h"

#include "core/bytes.h"
#include "executor/task.h"

#include <stdlib.h>

enum { BLOCK_VERSION = 2 };
enum { BLOCK_IDLE = 1, BLOCK_ORIGIN = 2, BLOCK_HEADERS = 4, BLOCK_PASSED = 8 };

typedef struct column_writer {
    text null;
    text data; /* fixed-size: the array; texts: lengths; nested: lengths */
    text bytes; /* of texts and nested values */
} column_writer;

struct block_writer {
    block_shape shape;
    uint32_t rows;
    bool wants_origin, has_origin, has_headers, has_passed;
    int64_t running_ms; /* what a reader takes the upstream's time for after the last row, without has_passed */
    int64_t first_ms;   /* and before the first */
    uint32_t unheaded; /* rows so far for which no headers stand in `headers`: they have none */
    text event_ms, passed_ms, kind, window, origin, headers;
    column_writer *columns, *old_columns;
    text old_kind;
    text out;
};

static bool is_fixed(const type *t)
{
    return !type_is_nested(t) && t->kind != TYPE_STRING && t->kind != TYPE_BYTES;
}

block_writer *block_writer_new(const block_shape *shape, bool has_origin)
{
    block_writer *w = calloc(1, sizeof *w);

    if (w == NULL) abort();
    w->shape = *shape;
    w->wants_origin = has_origin;
    w->columns = calloc(shape->schema->count + 1, sizeof *w->columns);
    w->old_columns = calloc(shape->schema->count + 1, sizeof *w->old_columns);
    if (w->columns == NULL || w->old_columns == NULL) abort();
    return w;
}

static void column_writer_free(column_writer *c)
{
    text_free(&c->null);
    text_free(&c->data);
    text_free(&c->bytes);
}

void block_writer_give_back(block_writer *w)
{
    for (uint32_t i = 0; i < w->shape.schema->count; i++) {
        column_writer_free(&w->columns[i]);
        column_writer_free(&w->old_columns[i]);
    }
    text *const all[] = { &w->event_ms, &w->passed_ms, &w->kind, &w->window, &w->origin, &w->headers, &w->old_kind, &w->out };
    for (uint32_t i = 0; i < sizeof all / sizeof *all; i++) text_free(all[i]);
}

void block_writer_free(block_writer *w)
{
    if (w == NULL) return;
    block_writer_give_back(w);
    free(w->columns);
    free(w->old_columns);
    free(w);
}

static void add_raw(text *t, const void *from, size_t bytes)
{
    text_add(t, (slice){ from, bytes });
}

static bool is_absent(const column *c, uint32_t r, const uint8_t *gone)
{
    return (gone != NULL && gone[r] != ROW_NORMAL) || c->null[r];
}

/* gone[r] != ROW_NORMAL: the row has no values, and what stands in the column is undefined; NULL: it is a key's. */
static void add_column(column_writer *w, const column *c, row_set rows, const uint8_t *gone)
{
    size_t size = column_element_bytes(c->type);

    text_reserve(&w->null, rows.count);
    EACH_ROW (r, rows) text_add_char(&w->null, (char)is_absent(c, r, gone));
    if (is_fixed(c->type)) {
        text_reserve(&w->data, rows.count * size);
        EACH_ROW (r, rows) {
            if (is_absent(c, r, gone)) {
                memset(w->data.data + w->data.len, 0, size);
            } else {
                memcpy(w->data.data + w->data.len, (char *)c->any + r * size, size);
            }
            w->data.len += size;
        }
        return;
    }
    EACH_ROW (r, rows) {
        size_t before = w->bytes.len;
        if (is_absent(c, r, gone)) {
            /* no bytes */
        } else if (type_is_nested(c->type)) {
            value_encode(&w->bytes, c->type, &c->nested[r]);
        } else {
            text_add(&w->bytes, c->str[r]);
        }
        uint32_t length = (uint32_t)(w->bytes.len - before);
        add_raw(&w->data, &length, sizeof length);
    }
}

static void add_i64s(text *out, const int64_t *from, row_set rows)
{
    text_reserve(out, rows.count * sizeof *from);
    EACH_ROW (r, rows) {
        memcpy(out->data + out->len, &from[r], sizeof *from);
        out->len += sizeof *from;
    }
}

static void add_headers(text *out, const header_list *list)
{
    text_add_varint(out, list->count);
    for (uint32_t i = 0; i < list->count; i++) {
        text_add_varint(out, list->items[i].key.len);
        text_add(out, list->items[i].key);
        text_add_char(out, list->items[i].value.data != NULL);
        if (list->items[i].value.data == NULL) continue;
        text_add_varint(out, list->items[i].value.len);
        text_add(out, list->items[i].value);
    }
}

/* Windows, and where the rows come from. */
static void add_places(block_writer *w, const batch *from, row_set rows)
{
    EACH_ROW (r, rows) {
        if (w->shape.is_windowed) {
            add_raw(&w->window, &from->window_start[r], 8);
            add_raw(&w->window, &from->window_end[r], 8);
        }
        if (w->has_origin) {
            int64_t partition = from->row_partition == NULL ? 0 : from->row_partition[r];
            int64_t offset = from->row_offset == NULL ? 0 : from->row_offset[r];
            add_raw(&w->origin, &partition, 8);
            add_raw(&w->origin, &offset, 8);
        }
    }
}

static void add_all_headers(block_writer *w, const batch *from, row_set rows)
{
    if (from->headers == NULL) {
        w->unheaded += rows.count;
        return;
    }
    const header_list none = { NULL, 0 };
    for (; w->unheaded > 0; w->unheaded--) add_headers(&w->headers, &none);
    EACH_ROW (r, rows) {
        w->has_headers |= from->headers[r].count > 0;
        add_headers(&w->headers, &from->headers[r]);
    }
}

static int64_t later(int64_t x, int64_t y)
{
    return x > y ? x : y;
}

/* Rows in order need no second time: a reader's running maximum is theirs. */
static void add_passed(block_writer *w, const int64_t *event_ms, row_set rows, const int64_t *passed_ms)
{
    bool had_passed = w->has_passed;

    EACH_ROW (r, rows) {
        w->running_ms = later(w->running_ms, event_ms[r]);
        w->has_passed |= passed_ms[r] != w->running_ms;
    }
    if (!w->has_passed) return;
    int64_t running = w->first_ms;
    for (size_t at = 0; !had_passed && at < w->event_ms.len; at += sizeof running) { /* those before */
        int64_t event;
        memcpy(&event, w->event_ms.data + at, sizeof event);
        running = later(running, event);
        add_raw(&w->passed_ms, &running, sizeof running);
    }
    add_i64s(&w->passed_ms, passed_ms, rows);
}

void block_writer_add(block_writer *w, const batch *from, row_set rows, const int64_t *passed_ms, int64_t told_ms)
{
    if (w->rows == 0) {
        w->has_passed = false;
        w->running_ms = w->first_ms = told_ms;
        w->has_origin = w->wants_origin && from->row_partition != NULL && from->row_offset != NULL;
        w->has_headers = false;
        w->unheaded = 0;
    }
    add_passed(w, from->event_ms, rows, passed_ms);
    add_i64s(&w->event_ms, from->event_ms, rows);
    text_reserve(&w->kind, rows.count);
    EACH_ROW (r, rows) w->kind.data[w->kind.len++] = (char)from->kind[r];
    if (w->shape.is_windowed || w->has_origin) add_places(w, from, rows);
    add_all_headers(w, from, rows);
    for (uint32_t i = 0; i < w->shape.schema->count; i++) {
        add_column(&w->columns[i], &from->columns[i], rows, i < w->shape.schema->key_count ? NULL : from->kind);
    }
    if (w->shape.has_old) {
        uint8_t *all_gone = memset(arena_alloc(from->arena, from->rows), ROW_TOMBSTONE, from->rows);
        EACH_ROW (r, rows) text_add_char(&w->old_kind, from->old == NULL ? ROW_TOMBSTONE : (char)from->old->kind[r]);
        for (uint32_t i = 0; i < w->shape.schema->count; i++) {
            const batch *old = from->old == NULL ? from : from->old; /* with no former rows all are absent */
            add_column(&w->old_columns[i], &old->columns[i], rows, from->old == NULL ? all_gone : old->kind);
        }
    }
    w->rows += rows.count;
}

uint32_t block_writer_rows(const block_writer *w)
{
    return w->rows;
}

size_t block_writer_bytes(const block_writer *w)
{
    size_t bytes = w->event_ms.len + w->passed_ms.len;

    for (uint32_t i = 0; i < w->shape.schema->count; i++) bytes += w->columns[i].data.len + w->columns[i].bytes.len;
    return bytes;
}

static void move(text *out, text *from)
{
    if (from->len > 0) text_add(out, text_slice(from));
    text_clear(from);
}

static void move_columns(text *out, column_writer *columns, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        move(out, &columns[i].null);
        move(out, &columns[i].data);
        move(out, &columns[i].bytes);
    }
}

slice block_writer_finish(block_writer *w, const block_mark *mark)
{
    text *out = &w->out;
    uint8_t flags = (mark->is_idle ? BLOCK_IDLE : 0) | (w->has_origin ? BLOCK_ORIGIN : 0) | (w->has_headers ? BLOCK_HEADERS : 0) |
                    (w->passed_ms.len > 0 ? BLOCK_PASSED : 0);

    text_clear(out);
    text_add_char(out, BLOCK_VERSION);
    text_add_char(out, (char)flags);
    text_add_u32(out, (uint32_t)mark->upstream);
    text_add_u64(out, (uint64_t)mark->event_ms);
    text_add_u32(out, w->rows);
    move(out, &w->event_ms);
    move(out, &w->passed_ms);
    move(out, &w->kind);
    move(out, &w->window);
    move(out, &w->origin);
    for (const header_list none = { NULL, 0 }; w->has_headers && w->unheaded > 0; w->unheaded--) add_headers(&w->headers, &none);
    if (w->has_headers) move(out, &w->headers);
    text_clear(&w->headers);
    move_columns(out, w->columns, w->shape.schema->count);
    if (w->shape.has_old) {
        move(out, &w->old_kind);
        move_columns(out, w->old_columns, w->shape.schema->count);
    }
    w->rows = 0;
    return text_slice(out);
}

/* ---- reading ---- */

static bool copy_array(reader_bytes *in, void *to, size_t bytes)
{
    const char *from = read_bytes(in, bytes);

    if (from != NULL && bytes > 0) memcpy(to, from, bytes);
    return from != NULL;
}

static bool read_column(reader_bytes *in, column *c, uint32_t rows, arena *a)
{
    if (!copy_array(in, c->null, rows)) return false;
    if (is_fixed(c->type)) return copy_array(in, c->any, rows * column_element_bytes(c->type));

    const char *lengths = read_bytes(in, (size_t)rows * 4);
    for (uint32_t r = 0; r < rows && !in->bad; r++) {
        uint32_t length;
        memcpy(&length, lengths + (size_t)r * 4, 4);
        const char *from = read_bytes(in, length);
        if (from == NULL) return false;
        if (c->null[r]) continue;
        if (!type_is_nested(c->type)) {
            c->str[r] = (slice){ from, length };
        } else {
            reader_bytes nested = read_from((slice){ from, length });
            if (!value_decode(&nested, c->type, a, &c->nested[r])) return false;
        }
    }
    return !in->bad;
}

static bool read_headers(reader_bytes *in, header_list *list, arena *a)
{
    uint64_t count = read_varint(in);

    if (in->bad || count > (uint64_t)(in->end - in->at)) return false;
    header *items = ARENA_ARRAY(a, header, count);
    for (uint64_t i = 0; i < count; i++) {
        items[i].key = read_slice(in);
        items[i].value = read_u8(in) ? read_slice(in) : NO_SLICE;
    }
    *list = (header_list){ items, (uint32_t)count };
    return !in->bad;
}

static bool read_window(reader_bytes *in, batch *b)
{
    for (uint32_t r = 0; r < b->rows; r++) {
        if (!copy_array(in, &b->window_start[r], 8) || !copy_array(in, &b->window_end[r], 8)) return false;
    }
    return true;
}

static bool read_origin(reader_bytes *in, batch *b)
{
    b->row_partition = ARENA_ARRAY(b->arena, int32_t, b->rows);
    b->row_offset = ARENA_ARRAY(b->arena, int64_t, b->rows);
    for (uint32_t r = 0; r < b->rows; r++) {
        int64_t partition;
        if (!copy_array(in, &partition, 8) || !copy_array(in, &b->row_offset[r], 8)) return false;
        b->row_partition[r] = (int32_t)partition;
    }
    return true;
}

static bool read_old(reader_bytes *in, const block_shape *shape, batch *b)
{
    b->old = batch_new(b->arena, shape->schema, b->rows, shape->is_windowed);
    b->old->event_ms = b->event_ms;
    b->old->window_start = b->window_start;
    b->old->window_end = b->window_end;
    if (!copy_array(in, b->old->kind, b->rows)) return false;
    for (uint32_t i = 0; i < shape->schema->count; i++) {
        if (!read_column(in, &b->old->columns[i], b->rows, b->arena)) return false;
    }
    return true;
}

bool block_read(slice bytes, const block_shape *shape, arena *a, block_mark *mark, batch **rows)
{
    reader_bytes in = read_from(bytes);
    uint8_t version = read_u8(&in), flags = read_u8(&in);

    *rows = NULL;
    mark->upstream = (int32_t)read_u32(&in);
    mark->event_ms = (int64_t)read_u64(&in);
    mark->is_idle = flags & BLOCK_IDLE;
    uint32_t count = read_u32(&in);
    if (in.bad || version != BLOCK_VERSION || count > bytes.len / 8) return false;
    if (count == 0) return true;

    batch *b = batch_new(a, shape->schema, count, shape->is_windowed);
    b->upstream = mark->upstream;
    if (flags & BLOCK_PASSED) b->passed_ms = ARENA_ARRAY(a, int64_t, count);
    if (!copy_array(&in, b->event_ms, (size_t)count * 8)) return false;
    if (b->passed_ms != NULL && !copy_array(&in, b->passed_ms, (size_t)count * 8)) return false;
    if (!copy_array(&in, b->kind, count)) return false;
    if (shape->is_windowed && !read_window(&in, b)) return false;
    if ((flags & BLOCK_ORIGIN) && !read_origin(&in, b)) return false;
    if (flags & BLOCK_HEADERS) {
        b->headers = ARENA_ZEROS(a, header_list, count);
        for (uint32_t r = 0; r < count; r++) {
            if (!read_headers(&in, &b->headers[r], a)) return false;
        }
    }
    for (uint32_t i = 0; i < shape->schema->count; i++) {
        if (!read_column(&in, &b->columns[i], count, a)) return false;
    }
    if (shape->has_old && !read_old(&in, shape, b)) return false;
    *rows = b;
    return !in.bad;
}
