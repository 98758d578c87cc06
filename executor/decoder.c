/* executor/decoder.c - see decoder.h. */
#include "executor/decoder.h"

#include "executor/bad_log.h"
#include "executor/timestamp.h"

#include <stdio.h>

struct decoder {
    task *task;
    const step *source;
    format *key, *value;
    timestamp_reader timestamp;
    uint32_t *value_columns; /* the value format's columns: those that are not headers */
    uint32_t value_count;
    const bool *wanted;
    const fetch *records;    /* being read */
    int64_t stopped_at;      /* offset of the first record that ends the query; -1: none */
    char stopped_by[256];
};

static bool is_header(const schema_column *c)
{
    return c->is_headers || c->header_key.data != NULL;
}

weir_rc decoder_open(decoder **out, task *t, const step *source, weir_error *err)
{
    arena *a = t->plan_arena;
    const schema *s = &source->schema;
    decoder *d = ARENA_NEW(a, decoder);
    schema_column *columns = ARENA_ARRAY(a, schema_column, s->count);
    bool *wanted = ARENA_ZEROS(a, bool, s->count + 1), *all = ARENA_ZEROS(a, bool, s->count + 1);

    d->task = t;
    d->source = source;
    d->value_columns = ARENA_ARRAY(a, uint32_t, s->count);
    for (uint32_t i = 0; i < s->count; i++) {
        all[i] = source->source.wanted == NULL || source->source.wanted[i] || (int32_t)i == source->source.timestamp_column;
    }
    for (uint32_t i = s->key_count; i < s->count; i++) {
        if (is_header(&s->columns[i])) continue;
        columns[d->value_count] = s->columns[i];
        wanted[d->value_count] = all[i];
        d->value_columns[d->value_count++] = i;
    }
    d->wanted = all;
    *out = d;
    if (s->key_count > 0) WEIR_TRY(format_open(&d->key, &source->source.key, s->columns, s->key_count, NULL, a, err));
    WEIR_TRY(format_open(&d->value, &source->source.value, columns, d->value_count, wanted, a, err));
    return timestamp_reader_open(&d->timestamp, s, source->source.timestamp_column, source->source.timestamp_format, a, err);
}

void decoder_close(decoder *d)
{
    if (d == NULL) return;
    format_close(d->key);
    format_close(d->value);
    timestamp_reader_close(&d->timestamp);
}

static void count_bad(decoder *d, uint32_t row, const char *reason, bool stops)
{
    d->task->counts.bad_rows++;
    bad_log_add(d->task->log, d->task, BAD_RECORD, d->records->offset, row, reason);
    if (!stops || d->stopped_at >= 0) return;
    d->stopped_at = d->records->offset[row];
    snprintf(d->stopped_by, sizeof d->stopped_by, "%s", reason);
}

static void report_bad(void *self, uint32_t row, const char *reason)
{
    decoder *d = self;

    count_bad(d, row, reason, d->task->shared->plan->stops_at == STOPS_AT_BAD_RECORD);
}

static void report_bad_time(void *self, uint32_t row, const char *reason)
{
    decoder *d = self;

    count_bad(d, row, reason, d->task->shared->plan->stops_at != STOPS_AT_NONE);
}

static void report_bad_key(void *self, uint32_t row, const char *reason)
{
    char whole[sizeof ((decoder *)self)->stopped_by];

    snprintf(whole, sizeof whole, "in the key, %s", reason);
    report_bad(self, row, whole);
}

/* The query's plan says that a bad record ends it: it goes on from that record once the cause is gone. */
static weir_rc stop_at_bad_record(const decoder *d, weir_error *err)
{
    bool at_any = d->task->shared->plan->stops_at == STOPS_AT_BAD_RECORD;

    if (d->stopped_at < 0) return WEIR_OK;
    return weir_fail(err, WEIR_RUNTIME, NOWHERE, "a record cannot be read and %s: topic %.*s, partition %d, offset %lld: %s",
                     at_any ? "on.bad.record is 'stop'" : "ksql.timestamp.throw.on.invalid is 'true'",
                     SLICE_ARG(d->source->source.topic), d->records->partition, (long long)d->stopped_at, d->stopped_by);
}

/* Takes the window off the keys. */
static row_set read_windows(decoder *d, batch *b, row_set rows, const slice *keys, slice *bare, const row_report *report)
{
    uint32_t *index = ARENA_ARRAY(b->arena, uint32_t, rows.count), count = 0;

    EACH_ROW (r, rows) {
        bare[r] = keys[r];
        if (keys[r].data == NULL) {
            b->window_start[r] = b->window_end[r] = 0;
        } else if (!windowed_key_decode(keys[r], d->source->windowed, d->source->window_size_ms, &bare[r],
                                        &b->window_start[r], &b->window_end[r])) {
            char reason[100];
            snprintf(reason, sizeof reason, "the key has %zu bytes, too few to hold a window, which takes %d", keys[r].len,
                     d->source->windowed == WINDOW_SESSION ? 16 : 8);
            report->bad_row(report->self, r, reason);
            continue;
        }
        index[count++] = r;
    }
    return (row_set){ index, count };
}

/* A key of several columns can be there and be all nulls, which is not the same as no key. */
static uint8_t *find_keyless(arena *a, const slice *keys, uint32_t rows)
{
    uint8_t *keyless = ARENA_ARRAY(a, uint8_t, rows), any = 0;

    for (uint32_t r = 0; r < rows; r++) any |= keyless[r] = keys[r].data == NULL;
    return any ? keyless : NULL;
}

static void fill_headers(const decoder *d, batch *b, const fetch *records)
{
    const schema *s = &d->source->schema;

    for (uint32_t i = s->key_count; i < s->count; i++) {
        const schema_column *c = &s->columns[i];
        if (!is_header(c) || !d->wanted[i]) continue;
        for (uint32_t r = 0; r < records->rows; r++) {
            const header_list none = { NULL, 0 };
            const header_list *list = records->headers == NULL ? &none : &records->headers[r];
            if (c->header_key.data == NULL) {
                value *items = ARENA_ARRAY(b->arena, value, list->count);
                for (uint32_t k = 0; k < list->count; k++) {
                    value *fields = ARENA_ARRAY(b->arena, value, 2);
                    fields[0] = (value){ .str = list->items[k].key };
                    fields[1] = (value){ .str = list->items[k].value, .is_null = list->items[k].value.data == NULL };
                    items[k] = (value){ .list = { fields, 2 } };
                }
                b->columns[i].nested[r] = (value){ .list = { items, list->count } };
                continue;
            }
            b->columns[i].null[r] = 1;
            for (uint32_t k = 0; k < list->count; k++) { /* the last of that name counts */
                if (!slice_equal(list->items[k].key, c->header_key)) continue;
                b->columns[i].null[r] = list->items[k].value.data == NULL;
                b->columns[i].str[r] = list->items[k].value;
            }
        }
    }
}

weir_rc decoder_read(decoder *d, const fetch *records, batch **out, weir_error *err)
{
    arena *a = d->task->batch_arena;
    const schema *s = &d->source->schema;
    const row_report report = { report_bad, d };
    uint32_t rows = records->rows;
    batch *b = ARENA_NEW(a, batch);
    row_set live = { NULL, rows };
    const slice *keys = records->key;

    d->records = records;
    d->stopped_at = -1;
    *b = (batch){ .arena = a, .rows = rows, .column_count = s->count, .columns = ARENA_ZEROS(a, column, s->count),
                  .event_ms = ARENA_ARRAY(a, int64_t, rows), .kind = ARENA_ARRAY(a, uint8_t, rows), .upstream = -1,
                  .row_offset = (int64_t *)records->offset, .row_partition = ARENA_ARRAY(a, int32_t, rows),
                  .headers = d->source->source.reads_headers ? (header_list *)records->headers : NULL };
    for (uint32_t i = 0; i < s->count; i++) {
        b->columns[i].type = s->columns[i].type;
        if (d->wanted[i]) b->columns[i] = column_new(a, s->columns[i].type, rows);
    }
    memcpy(b->event_ms, records->timestamp_ms, sizeof *b->event_ms * rows);
    for (uint32_t r = 0; r < rows; r++) {
        b->kind[r] = records->value[r].data == NULL ? ROW_TOMBSTONE : ROW_NORMAL;
        b->row_partition[r] = records->partition;
    }
    if (d->source->windowed != WINDOW_NONE) {
        slice *bare = ARENA_ARRAY(a, slice, rows);
        b->window_start = ARENA_ARRAY(a, int64_t, rows);
        b->window_end = ARENA_ARRAY(a, int64_t, rows);
        live = read_windows(d, b, live, keys, bare, &report);
        keys = bare;
    }
    if (s->key_count > 1) b->keyless = find_keyless(a, keys, rows);
    if (d->key != NULL) {
        for (uint32_t i = 0; i < s->key_count; i++) {
            if (b->columns[i].null == NULL) b->columns[i] = column_new(a, s->columns[i].type, rows);
        }
        live = format_decode(d->key, keys, live, a, b->columns, &(row_report){ report_bad_key, d });
        WEIR_TRY(format_failure(d->key, err));
    }
    column *values = ARENA_ARRAY(a, column, d->value_count);
    for (uint32_t i = 0; i < d->value_count; i++) values[i] = b->columns[d->value_columns[i]];
    live = format_decode(d->value, records->value, live, a, values, &report);
    WEIR_TRY(format_failure(d->value, err));
    for (uint32_t i = 0; i < d->value_count; i++) b->columns[d->value_columns[i]] = values[i];
    fill_headers(d, b, records);
    if (d->source->is_table && s->key_count > 0) { /* a table's row must have a key */
        uint32_t *index = ARENA_ARRAY(a, uint32_t, live.count), count = 0;
        EACH_ROW (r, live) {
            index[count] = r;
            count += keys[r].data != NULL;
        }
        live = (row_set){ index, count };
    }
    b->live = timestamp_read(&d->timestamp, &d->task->eval, b, live, b->event_ms, &(row_report){ report_bad_time, d });
    *out = b->live.count == 0 ? NULL : b;
    return stop_at_bad_record(d, err);
}
