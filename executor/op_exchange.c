/* executor/op_exchange.c - the sending end of an exchange: rows go to the repartition topic's partition that their key
 * belongs to, gathered in blocks. A mark tells every partition how far this upstream has come, and when it is idle. */
#include "core/hash.h"
#include "executor/bad_log.h"
#include "executor/block.h"
#include "executor/key.h"
#include "executor/op_join.h"
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
    format *key; /* rows go where a topic with such keys has them; NULL: by the hash of the key's own bytes */
    int32_t partitions;
    uint32_t sink;
    uint32_t instruction; /* of subscriptions: the column that says what each is; UINT32_MAX: they are none */
    const event_time *behind; /* of the exchange that this one's rows come from; NULL: from none, or from a join that hides it */
    int64_t time_ms;          /* the greatest event time that came here, where it is behind none */
    bool is_idle;             /* likewise */
} exchange_op;

static bool asks_for_origin(const bound *b)
{
    if (b->kind == BOUND_ROWPARTITION || b->kind == BOUND_ROWOFFSET) return true;
    for (uint32_t i = 0; i < b->arg_count; i++) {
        const bound *arg = b->args[i] != NULL ? b->args[i] : ((const bound_lambda *)b->call->lambdas[i])->body;
        if (asks_for_origin(arg)) return true;
    }
    return false;
}

/* Whether an expression of the step reads the partition or offset of the rows' source. */
static bool step_asks_for_origin(const step *s)
{
    bool asks = false;

    switch (s->kind) {
    case STEP_FILTER: return asks_for_origin(s->filter.predicate);
    case STEP_PROJECT:
    case STEP_FLAT_MAP:
        for (uint32_t i = 0; i < s->schema.count; i++) asks |= asks_for_origin(s->project.exprs[i]);
        return asks;
    case STEP_AGGREGATE:
        for (uint32_t i = 0; i < s->aggregate.call_count; i++) {
            const agg_call *one = &s->aggregate.calls[i];
            for (uint32_t k = 0; k < one->call->arg_count; k++) asks |= asks_for_origin(one->args[k]);
        }
        return asks;
    case STEP_JOIN: return true;
    case STEP_TABLE: return s->table.is_versioned;
    default: return false;
    }
}

static bool needs_origin(const plan *p, const step *exchange)
{
    for (const step *s = exchange + 1; s < p->steps + p->step_count; s++) {
        if (step_asks_for_origin(s)) return true;
    }
    return false;
}

/* Keys as the topic has them that the rows are to meet. */
static weir_rc open_key(exchange_op *x, weir_error *err)
{
    const step *s = x->base.step;
    arena *a = x->base.task->plan_arena;
    uint32_t count = s->schema.key_count;
    schema_column *columns = ARENA_ARRAY(a, schema_column, count);
    format_spec spec = s->exchange.key;

    memcpy(columns, s->schema.columns, count * sizeof *columns);
    WEIR_TRY(format_use_latest(&spec, columns, count, a, err));
    WEIR_TRY(format_open(&x->key, &spec, columns, count, NULL, a, err));
    return format_start_writing(x->key, a, err);
}

static weir_rc exchange_open(op *self, weir_error *err)
{
    exchange_op *x = (exchange_op *)self;
    const task_shared *shared = self->task->shared;
    const block_shape shape = { &self->step->schema, self->step->windowed != WINDOW_NONE, self->step->wants_old };
    bool has_origin = needs_origin(shared->plan, self->step);

    x->sink = shared->sink_of_step[self->step - shared->plan->steps];
    x->partitions = shared->sink_partitions[x->sink];
    x->lanes = ARENA_ZEROS(self->task->plan_arena, lane, x->partitions);
    x->time_ms = INT64_MIN;
    x->behind = task_time_behind(self);
    const step *from = &shared->plan->steps[self->step->inputs[0]];
    x->instruction = from->kind == STEP_SUBSCRIBE ? 1 + shared->plan->steps[from->inputs[0]].schema.key_count : UINT32_MAX;
    for (int32_t p = 0; p < x->partitions; p++) {
        x->lanes[p].writer = block_writer_new(&shape, has_origin);
        x->lanes[p].told_ms = INT64_MIN;
    }
    if (self->step->exchange.key.name.data == NULL) return WEIR_OK;
    return open_key(x, err);
}

typedef struct keyed_rows {
    task *task;
    const batch *in;
} keyed_rows;

static void report_key(void *self, uint32_t row, const char *reason)
{
    const keyed_rows *of = self;

    of->task->counts.bad_rows++;
    bad_log_add(of->task->log, of->task, BAD_EXPRESSION, of->in->row_offset, row, reason);
}

/* Where each of the rows goes; one without a key to the first. Those whose key the format cannot write are left out. */
static row_set choose_lanes(exchange_op *x, const batch *in, row_set rows, uint32_t *to)
{
    keyed_rows keyed = { x->base.task, in };
    const row_report report = { report_key, &keyed };
    uint32_t key_count = x->base.step->schema.key_count;
    slice *keys = ARENA_ZEROS(in->arena, slice, in->rows), *written = keys;

    keys_encode(in->columns, key_count, rows, in->rows, in->arena, keys);
    if (x->key != NULL) {
        written = ARENA_ZEROS(in->arena, slice, in->rows);
        rows = format_encode(x->key, in->columns, rows, in->arena, written, &report);
    }
    EACH_ROW (r, rows) {
        bool has_key = keys[r].data != NULL && key_count > 0;
        if (!has_key) {
            to[r] = 0;
        } else if (x->key != NULL) {
            to[r] = (uint32_t)partition_for_key(written[r], x->partitions);
        } else {
            to[r] = (uint32_t)(hash_bytes(keys[r]) % (uint64_t)x->partitions);
        }
    }
    return rows;
}

static int64_t time_of(const exchange_op *x)
{
    return x->behind == NULL ? x->time_ms : x->behind->now_ms;
}

static bool is_idle(const exchange_op *x)
{
    return x->behind == NULL ? x->is_idle : event_time_least(x->behind) == INT64_MAX;
}

static weir_rc send_block(exchange_op *x, int32_t partition, weir_error *err)
{
    lane *l = &x->lanes[partition];
    const block_mark mark = { x->base.task->partition, time_of(x), is_idle(x) };
    slice bytes = block_writer_finish(l->writer, &mark), key = NO_SLICE;
    int64_t timestamp_ms = mark.event_ms < 0 ? 0 : mark.event_ms;
    const output out = { .sink = x->sink, .rows = 1, .key = &key, .value = &bytes, .timestamp_ms = &timestamp_ms,
                         .partition = &partition };

    task *from = x->base.task;
    task *const *readers = from->readers == NULL ? NULL : from->readers[x->base.step - from->shared->plan->steps];

    l->told_ms = mark.event_ms;
    l->told_idle = mark.is_idle;
    if (readers != NULL) return task_hand_over(from, readers[partition], x->base.step, bytes, err);
    return client_produce(from->client, &out, err);
}

static weir_rc add_rows(exchange_op *x, uint32_t partition, const batch *from, row_set rows, weir_error *err)
{
    block_writer *w = x->lanes[partition].writer;
    uint32_t held = block_writer_rows(w);

    if (held > 0 && (held + rows.count > x->base.task->shared->batch_rows || block_writer_bytes(w) > BLOCK_BYTES_MAX)) {
        WEIR_TRY(send_block(x, (int32_t)partition, err));
    }
    block_writer_add(w, from, rows, from->passed_ms, x->lanes[partition].told_ms);
    return WEIR_OK;
}

/* Per partition, the rows that go there. */
static weir_rc send_rows(exchange_op *x, const batch *in, const uint32_t *to, weir_error *err)
{
    arena *a = in->arena;
    uint32_t *counts = ARENA_ZEROS(a, uint32_t, x->partitions + 1), *at = ARENA_ARRAY(a, uint32_t, x->partitions);
    uint32_t *index = ARENA_ARRAY(a, uint32_t, in->live.count);

    EACH_ROW (r, in->live) counts[to[r] + 1]++;
    for (int32_t p = 0; p < x->partitions; p++) counts[p + 1] += counts[p];
    memcpy(at, counts, sizeof *at * (size_t)x->partitions);
    EACH_ROW (r, in->live) index[at[to[r]]++] = r;
    for (int32_t p = 0; p < x->partitions; p++) {
        row_set rows = { index + counts[p], counts[p + 1] - counts[p] };
        if (rows.count > 0) WEIR_TRY(add_rows(x, (uint32_t)p, in, rows, err));
    }
    return WEIR_OK;
}

/* A table's rows of which some move: to the partition of its former key such a row goes as a deletion, and to that of its
 * new key as one that was not there. */
static weir_rc send_moving_rows(exchange_op *x, const batch *in, const uint32_t *from, const uint32_t *to, weir_error *err)
{
    batch leaving = *in, entering = *in;

    leaving.columns = in->old->columns;
    leaving.kind = memset(arena_alloc(in->arena, in->rows), ROW_TOMBSTONE, in->rows);
    entering.old = NULL;
    EACH_ROW (r, in->live) {
        const row_set one = { &r, 1 };
        if (from[r] == to[r]) {
            WEIR_TRY(add_rows(x, to[r], in, one, err));
            continue;
        }
        WEIR_TRY(add_rows(x, from[r], &leaving, one, err));
        if (in->kind[r] == ROW_NORMAL) WEIR_TRY(add_rows(x, to[r], &entering, one, err));
    }
    return WEIR_OK;
}

/* Where the former rows are; true: some are elsewhere than the new ones. */
static bool find_former(exchange_op *x, const batch *in, const uint32_t *to, uint32_t *from)
{
    uint32_t *index = ARENA_ARRAY(in->arena, uint32_t, in->live.count), count = 0;
    bool moves = false;

    EACH_ROW (r, in->live) {
        from[r] = to[r];
        index[count] = r;
        count += in->old->kind[r] == ROW_NORMAL;
    }
    const row_set former = choose_lanes(x, in->old, (row_set){ index, count }, from);
    EACH_ROW (r, former) moves |= from[r] != to[r];
    return moves;
}

/* That a left row is gone is told to all, wherever its foreign key was before: each answers that nothing older will come. */
static weir_rc send_subscriptions(exchange_op *x, const batch *in, const uint32_t *to, weir_error *err)
{
    const int32_t *instruction = in->columns[x->instruction].i32;
    bool any = false;

    EACH_ROW (r, in->live) any |= instruction[r] == SUBSCRIPTION_DELETE;
    if (!any) return send_rows(x, in, to, err);
    EACH_ROW (r, in->live) {
        const row_set one = { &r, 1 };
        bool is_for_all = instruction[r] == SUBSCRIPTION_DELETE;
        for (int32_t p = 0; p < x->partitions; p++) {
            if (is_for_all || to[r] == (uint32_t)p) WEIR_TRY(add_rows(x, (uint32_t)p, in, one, err));
        }
    }
    return WEIR_OK;
}

static weir_rc exchange_batch(op *self, batch *in, weir_error *err)
{
    exchange_op *x = (exchange_op *)self;
    arena *a = in->arena;
    uint32_t *to = ARENA_ARRAY(a, uint32_t, in->rows), *from = ARENA_ARRAY(a, uint32_t, in->rows);
    int64_t time_ms = x->time_ms;

    in->live = choose_lanes(x, in, in->live, to);
    if (x->behind == NULL) {
        in->passed_ms = ARENA_ARRAY(a, int64_t, in->rows);
        EACH_ROW (r, in->live) in->passed_ms[r] = time_ms = in->event_ms[r] > time_ms ? in->event_ms[r] : time_ms;
    } else {
        event_time_pass(x->behind, in);
    }
    x->is_idle = false;
    self->rows_out += in->live.count;
    bool moves = self->step->wants_old && in->old != NULL && find_former(x, in, to, from);
    if (x->instruction != UINT32_MAX) {
        WEIR_TRY(send_subscriptions(x, in, to, err));
    } else WEIR_TRY(moves ? send_moving_rows(x, in, from, to, err) : send_rows(x, in, to, err));
    x->time_ms = time_ms; /* only now: a block that left meanwhile must not tell of rows that come after it */
    return WEIR_OK;
}

/* Of the task's own input. What upstreams further up tell is in `behind`. */
static weir_rc exchange_watermark(op *self, int32_t upstream, int64_t event_ms, bool is_idle, weir_error *err)
{
    exchange_op *x = (exchange_op *)self;

    (void)err;
    if (upstream >= 0) return WEIR_OK;
    if (event_ms > x->time_ms) x->time_ms = event_ms;
    x->is_idle = is_idle;
    return WEIR_OK;
}

/* What is gathered leaves; a partition that would not learn of the time otherwise gets a mark. */
static weir_rc exchange_release(op *self, weir_error *err)
{
    exchange_op *x = (exchange_op *)self;

    for (int32_t p = 0; p < x->partitions; p++) {
        lane *l = &x->lanes[p];
        bool has_rows = block_writer_rows(l->writer) > 0;
        if (has_rows || l->told_ms != time_of(x) || l->told_idle != is_idle(x)) WEIR_TRY(send_block(x, p, err));
        if (has_rows) block_writer_give_back(l->writer); /* some epochs are for what reads the blocks */
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
    x->is_idle = false;
    (void)err;
    return WEIR_OK;
}

static void exchange_close(op *self)
{
    exchange_op *x = (exchange_op *)self;

    format_close(x->key);
    for (int32_t p = 0; p < x->partitions; p++) block_writer_free(x->lanes[p].writer);
}

const op_class op_exchange = { .name = "Exchange", .open = exchange_open, .batch = exchange_batch,
                               .watermark = exchange_watermark, .release = exchange_release, .forget = exchange_forget,
                               .close = exchange_close };
