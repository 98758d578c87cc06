/* executor/op_exchange.c - the sending end of an exchange: rows go to the repartition topic's partition that their key
 * belongs to, gathered in blocks. A mark tells every partition how far this upstream has come, and when it is idle. */
#include "core/hash.h"
#include "executor/block.h"
#include "executor/key.h"
#include "executor/task.h"

#define BLOCK_BYTES_MAX ((size_t)512 << 10)

typedef struct lane { /* to one partition */
    block_writer *writer;
    int64_t told_ms; /* the time it was last told */
    bool told_idle;
} lane;

typedef struct exchange_op {
    op base;
    lane *lanes;
    int32_t partitions;
    uint32_t sink;
    int64_t time_ms; /* the greatest event time that came here */
    bool is_idle;
} exchange_op;

static weir_rc exchange_open(op *self, weir_error *err)
{
    exchange_op *x = (exchange_op *)self;
    const task_shared *shared = self->task->shared;
    const block_shape shape = { &self->step->schema, self->step->windowed != WINDOW_NONE, self->step->wants_old };

    (void)err;
    x->sink = shared->sink_of_step[self->step - shared->plan->steps];
    x->partitions = shared->sink_partitions[x->sink];
    x->lanes = ARENA_ZEROS(self->task->plan_arena, lane, x->partitions);
    x->time_ms = INT64_MIN;
    for (int32_t p = 0; p < x->partitions; p++) {
        x->lanes[p].writer = block_writer_new(&shape);
        x->lanes[p].told_ms = INT64_MIN;
    }
    return WEIR_OK;
}

static weir_rc send_block(exchange_op *x, int32_t partition, weir_error *err)
{
    lane *l = &x->lanes[partition];
    const block_mark mark = { x->base.task->partition, x->time_ms, x->is_idle };
    slice bytes = block_writer_finish(l->writer, &mark), key = NO_SLICE;
    int64_t timestamp_ms = x->time_ms < 0 ? 0 : x->time_ms;
    const output out = { .sink = x->sink, .rows = 1, .key = &key, .value = &bytes, .timestamp_ms = &timestamp_ms,
                         .partition = &partition };

    l->told_ms = x->time_ms;
    l->told_idle = x->is_idle;
    return client_produce(x->base.task->client, &out, err);
}

/* Per partition, the rows that go there. */
static weir_rc exchange_batch(op *self, batch *in, weir_error *err)
{
    exchange_op *x = (exchange_op *)self;
    arena *a = in->arena;
    slice *keys = ARENA_ARRAY(a, slice, in->rows);
    uint32_t *counts = ARENA_ZEROS(a, uint32_t, x->partitions + 1);
    uint32_t *to = ARENA_ARRAY(a, uint32_t, in->rows), *index = ARENA_ARRAY(a, uint32_t, in->live.count);

    keys_encode(in->columns, self->step->schema.key_count, in->live, in->rows, a, keys);
    EACH_ROW (r, in->live) {
        if (in->event_ms[r] > x->time_ms) x->time_ms = in->event_ms[r];
        to[r] = keys[r].data == NULL || self->step->schema.key_count == 0
                    ? 0 : (uint32_t)(hash_bytes(keys[r]) % (uint64_t)x->partitions);
        counts[to[r] + 1]++;
    }
    x->is_idle = false;
    for (int32_t p = 0; p < x->partitions; p++) counts[p + 1] += counts[p];
    uint32_t *at = ARENA_ARRAY(a, uint32_t, x->partitions);
    memcpy(at, counts, sizeof *at * (size_t)x->partitions);
    EACH_ROW (r, in->live) index[at[to[r]]++] = r;
    for (int32_t p = 0; p < x->partitions; p++) {
        row_set rows = { index + counts[p], counts[p + 1] - counts[p] };
        if (rows.count == 0) continue;
        block_writer *w = x->lanes[p].writer;
        if (block_writer_rows(w) > 0 && (block_writer_rows(w) + rows.count > self->task->shared->batch_rows ||
                                         block_writer_bytes(w) > BLOCK_BYTES_MAX)) {
            WEIR_TRY(send_block(x, p, err));
        }
        block_writer_add(w, in, rows);
    }
    self->rows_out += in->live.count;
    return WEIR_OK;
}

static weir_rc exchange_watermark(op *self, int32_t upstream, int64_t event_ms, bool is_idle, weir_error *err)
{
    exchange_op *x = (exchange_op *)self;

    (void)err;
    if (upstream >= 0) return WEIR_OK; /* further up: what matters here is what this task passes on */
    if (event_ms > x->time_ms) x->time_ms = event_ms;
    x->is_idle = is_idle;
    return WEIR_OK;
}

/* What is gathered leaves; a partition that would not learn of the time otherwise gets a mark. */
static weir_rc exchange_flush(op *self, weir_error *err)
{
    exchange_op *x = (exchange_op *)self;

    for (int32_t p = 0; p < x->partitions; p++) {
        lane *l = &x->lanes[p];
        bool has_rows = block_writer_rows(l->writer) > 0;
        if (has_rows || l->told_ms != x->time_ms || l->told_idle != x->is_idle) WEIR_TRY(send_block(x, p, err));
    }
    return WEIR_OK;
}

static weir_rc exchange_forget(op *self, weir_error *err)
{
    exchange_op *x = (exchange_op *)self;

    for (int32_t p = 0; p < x->partitions; p++) {
        const block_mark none = { 0, 0, false };
        (void)block_writer_finish(x->lanes[p].writer, &none);
        x->lanes[p].told_ms = INT64_MIN;
        x->lanes[p].told_idle = false;
    }
    x->time_ms = INT64_MIN;
    (void)err;
    return WEIR_OK;
}

static void exchange_close(op *self)
{
    exchange_op *x = (exchange_op *)self;

    for (int32_t p = 0; p < x->partitions; p++) block_writer_free(x->lanes[p].writer);
}

const op_class op_exchange = { .name = "Exchange", .open = exchange_open, .batch = exchange_batch,
                               .watermark = exchange_watermark, .flush = exchange_flush, .forget = exchange_forget,
                               .close = exchange_close };
