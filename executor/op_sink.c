/* executor/op_sink.c - writes rows to the sink's topic: keys and values encoded by their formats, a tombstone without a
 * value. A row too large for the topic, or one its format cannot hold, is a bad row and not written. */
#include "executor/bad_log.h"
#include "executor/timestamp.h"

typedef struct sink_op {
    op base;
    format *key, *value;
    bool has_default_keys;
    timestamp_reader timestamp;
    uint32_t sink;
    uint64_t record_bytes_max;
} sink_op;

static void report_bad(void *self, uint32_t row, const char *reason)
{
    sink_op *s = self;
    task *t = s->base.task;

    bad_log_add(t->log, t, BAD_OUTPUT, NULL, row, reason); /* an output row is no longer one input record */
}

/* Where a key that is there reads as defaults rather than nulls, one of nulls alone is that of a record without. */
static void drop_null_keys(const batch *in, row_set rows, uint32_t key_count, slice *keys)
{
    EACH_ROW (r, rows) {
        bool is_null = true;
        for (uint32_t i = 0; is_null && i < key_count; i++) is_null = in->columns[i].null[r];
        if (is_null) keys[r] = NO_SLICE;
    }
}

static weir_rc sink_open(op *self, weir_error *err)
{
    sink_op *s = (sink_op *)self;
    const step *st = self->step;
    arena *a = self->task->plan_arena;
    uint32_t keys = st->schema.key_count;

    s->sink = self->task->shared->sink_of_step[st - self->task->shared->plan->steps];
    s->record_bytes_max = self->task->shared->sink_record_bytes_max[s->sink];
    WEIR_TRY(format_open(&s->key, &st->sink.key, st->schema.columns, keys, NULL, a, err));
    WEIR_TRY(format_open(&s->value, &st->sink.value, st->schema.columns + keys, st->schema.count - keys, NULL, a, err));
    bool found;
    s->has_default_keys = keys > 0 && (format_traits_of(st->sink.key.name, &found) & FORMAT_NULLS) && st->sink.key.nulls == NULLS_DEFAULT;
    if (keys > 0) WEIR_TRY(format_start_writing(s->key, a, err));
    WEIR_TRY(format_start_writing(s->value, a, err));
    return timestamp_reader_open(&s->timestamp, &st->schema, st->sink.timestamp_column, st->sink.timestamp_format, a, err);
}

/* The encoded rows stand at their physical places; the output wants them side by side. */
typedef struct packed {
    slice *key, *value;
    int64_t *timestamp_ms;
    header_list *headers;
    int32_t *partition;
    uint32_t rows;
} packed;

static packed pack(sink_op *s, const batch *in, row_set rows, const slice *keys, const slice *values)
{
    arena *a = in->arena;
    int32_t forced = s->base.task->shared->forced_partition;
    packed out = { ARENA_ARRAY(a, slice, rows.count), ARENA_ARRAY(a, slice, rows.count), ARENA_ARRAY(a, int64_t, rows.count),
                   in->headers == NULL ? NULL : ARENA_ARRAY(a, header_list, rows.count),
                   forced < 0 ? NULL : ARENA_ARRAY(a, int32_t, rows.count), 0 };

    EACH_ROW (r, rows) {
        bool is_tombstone = in->kind[r] == ROW_TOMBSTONE;
        if (keys[r].len + values[r].len > s->record_bytes_max) {
            report_bad(s, r, "the output record is larger than its topic takes (max.message.bytes)");
            continue;
        }
        uint32_t at = out.rows++;
        out.key[at] = keys[r];
        out.value[at] = is_tombstone ? NO_SLICE : values[r];
        out.timestamp_ms[at] = in->event_ms[r];
        if (out.headers != NULL) out.headers[at] = in->headers[r];
        if (out.partition != NULL) out.partition[at] = forced;
    }
    return out;
}

static weir_rc sink_batch(op *self, batch *in, weir_error *err)
{
    sink_op *s = (sink_op *)self;
    const step *st = self->step;
    arena *a = in->arena;
    const row_report report = { report_bad, s };
    slice *keys = ARENA_ZEROS(a, slice, in->rows), *values = ARENA_ZEROS(a, slice, in->rows);
    uint32_t key_count = st->schema.key_count;
    row_set rows = in->live;

    if (key_count > 0) rows = format_encode(s->key, in->columns, rows, a, keys, &report);
    if (s->has_default_keys) drop_null_keys(in, rows, key_count, keys);
    if (key_count > 1 && in->keyless != NULL) {
        EACH_ROW (r, rows) {
            if (in->keyless[r]) keys[r] = NO_SLICE;
        }
    }
    if (st->windowed != WINDOW_NONE && in->window_start != NULL) {
        EACH_ROW (r, rows) {
            keys[r] = windowed_key_encode(a, keys[r], st->windowed, in->window_start[r], in->window_end[r]);
        }
    }
    uint32_t *index = ARENA_ARRAY(a, uint32_t, rows.count), *tombs = ARENA_ARRAY(a, uint32_t, rows.count);
    uint32_t count = 0, tomb_count = 0;
    EACH_ROW (r, rows) {
        index[count] = tombs[tomb_count] = r;
        count += in->kind[r] == ROW_NORMAL;
        tomb_count += in->kind[r] != ROW_NORMAL;
    }
    row_set with_value = { index, count };
    with_value = format_encode(s->value, in->columns + key_count, with_value, a, values, &report);
    if (st->sink.timestamp_column >= 0) {
        with_value = timestamp_read(&s->timestamp, &self->task->eval, in, with_value, in->event_ms, &report);
    }
    if (tomb_count > 0) { /* merge back, in row order */
        uint32_t *all = ARENA_ARRAY(a, uint32_t, with_value.count + tomb_count), i = 0, k = 0, n = 0;
        while (i < with_value.count || k < tomb_count) {
            uint32_t next = i == with_value.count ? UINT32_MAX : with_value.index == NULL ? i : with_value.index[i];
            bool take_tomb = k < tomb_count && tombs[k] < next;
            all[n++] = take_tomb ? tombs[k++] : next;
            i += !take_tomb;
        }
        with_value = (row_set){ all, n };
    }
    packed out = pack(s, in, with_value, keys, values);
    self->rows_out += out.rows;
    self->task->counts.rows_out += out.rows;
    if (out.rows == 0) return WEIR_OK;
    const output o = { s->sink, out.rows, out.key, out.value, out.timestamp_ms, out.headers, out.partition };
    return client_produce(self->task->client, &o, err);
}

static void sink_close(op *self)
{
    sink_op *s = (sink_op *)self;

    format_close(s->key);
    format_close(s->value);
    timestamp_reader_close(&s->timestamp);
}

const op_class op_sink = { .name = "Sink", .open = sink_open, .batch = sink_batch, .close = sink_close };
