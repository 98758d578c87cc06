/* executor/task.c - see task.h. */
#include "executor/task.h"

#include "core/bytes.h"
#include "core/reason.h"
#include "executor/bad_log.h"
#include "executor/block.h"
#include "executor/decoder.h"
#include "executor/merge.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- batches ---- */

batch *batch_new(arena *a, const schema *s, uint32_t rows, bool is_windowed)
{
    batch *b = ARENA_NEW(a, batch);

    *b = (batch){ .arena = a, .rows = rows, .live = { NULL, rows }, .column_count = s->count,
                  .columns = ARENA_ARRAY(a, column, s->count), .event_ms = ARENA_ARRAY(a, int64_t, rows),
                  .kind = ARENA_ZEROS(a, uint8_t, rows), .upstream = -1 };
    for (uint32_t i = 0; i < s->count; i++) b->columns[i] = column_new(a, s->columns[i].type, rows);
    if (is_windowed) {
        b->window_start = ARENA_ARRAY(a, int64_t, rows);
        b->window_end = ARENA_ARRAY(a, int64_t, rows);
    }
    return b;
}

batch *batch_with_columns(const batch *in, column *columns, uint32_t count)
{
    batch *b = ARENA_NEW(in->arena, batch);

    *b = *in;
    b->columns = columns;
    b->column_count = count;
    return b;
}

row_set rows_with_value(const batch *in, row_set rows)
{
    uint32_t *index = ARENA_ARRAY(in->arena, uint32_t, rows.count);
    uint32_t count = 0;

    EACH_ROW (r, rows) {
        index[count] = r;
        count += in->kind[r] == ROW_NORMAL;
    }
    return (row_set){ index, count };
}

row_set rows_with_whole_key(const batch *in, uint32_t key_count)
{
    uint32_t *index = ARENA_ARRAY(in->arena, uint32_t, in->live.count);
    uint32_t count = 0;

    EACH_ROW (r, in->live) {
        bool fits = in->kind[r] == ROW_NORMAL;
        for (uint32_t k = 0; k < key_count; k++) fits = fits && !in->columns[k].null[r];
        index[count] = r;
        count += fits;
    }
    return (row_set){ index, count };
}

/* ---- operators ---- */

/* Times a call of an operator: two readings of the clock a batch. */
typedef struct timer {
    int64_t began_ns, outer_ns;
} timer;

static timer timer_start(task *t)
{
    timer started = { clock_monotonic_ns(), t->inner_ns };

    t->inner_ns = 0;
    return started;
}

static void timer_stop(timer started, task *t, int64_t *busy_ns)
{
    int64_t took_ns = clock_monotonic_ns() - started.began_ns;

    *busy_ns += took_ns - t->inner_ns;
    t->inner_ns = started.outer_ns + took_ns;
}

static weir_rc op_take(op *self, batch *in, weir_error *err)
{
    timer started = timer_start(self->task);
    weir_rc rc = self->class->batch(self, in, err);

    timer_stop(started, self->task, &self->busy_ns);
    return rc;
}

weir_rc op_emit(op *self, batch *out, weir_error *err)
{
    self->rows_out += out->live.count;
    if (out->live.count == 0 || self->next == NULL) return WEIR_OK;
    self->next->rows_in += out->live.count;
    out->side = self->side;
    return op_take(self->next, out, err);
}

static weir_rc op_take_watermark(op *self, int32_t upstream, int64_t event_ms, bool is_idle, weir_error *err)
{
    timer started;
    weir_rc rc;

    if (self->class->watermark == NULL) return op_pass_watermark(self, upstream, event_ms, is_idle, err);
    started = timer_start(self->task);
    rc = self->class->watermark(self, upstream, event_ms, is_idle, err);
    timer_stop(started, self->task, &self->busy_ns);
    return rc;
}

weir_rc op_pass_watermark(op *self, int32_t upstream, int64_t event_ms, bool is_idle, weir_error *err)
{
    if (self->next == NULL) return WEIR_OK;
    self->task->watermark_side = self->side;
    return op_take_watermark(self->next, upstream, event_ms, is_idle, err);
}

static weir_rc pass_batch(op *self, batch *in, weir_error *err)
{
    return op_emit(self, in, err);
}

const op_class op_pass = { .name = "Pass", .batch = pass_batch };

static weir_rc result_batch(op *self, batch *in, weir_error *err)
{
    (void)err;
    self->task->shared->result(self->task->shared->result_self, in);
    return WEIR_OK;
}

const op_class op_result = { .name = "Result", .batch = result_batch };

static const op_class *join_class_of(const step *s)
{
    switch (s->join.form) {
    case JOIN_STREAM_STREAM: return &op_join_stream_stream;
    case JOIN_STREAM_TABLE: return &op_join_stream_table;
    case JOIN_TABLE_TABLE: return &op_join_table_table;
    case JOIN_FOREIGN_KEY: return &op_join_foreign;
    }
    return NULL;
}

static const op_class *class_of(const task *t, const step *s)
{
    switch (s->kind) {
    case STEP_FILTER: return &op_filter;
    case STEP_PROJECT: return &op_project;
    case STEP_FLAT_MAP: return &op_flat_map;
    case STEP_EXCHANGE: return t->shared->is_transient ? &op_pass : &op_exchange;
    case STEP_AGGREGATE: return s->aggregate.window.kind == WINDOW_SESSION ? &op_session : &op_aggregate;
    case STEP_TABLE: return &op_table;
    case STEP_JOIN: return join_class_of(s);
    case STEP_SUBSCRIBE: return &op_subscribe;
    case STEP_SINK: return &op_sink;
    case STEP_RESULT: return &op_result;
    case STEP_FINAL: return &op_pass;
    case STEP_LIMIT: return &op_limit;
    case STEP_SORT: return &op_sort;
    default: return NULL; /* sources have no operator */
    }
}

/* The largest operator struct is far below this; each class keeps its own beyond the base. */
#define OP_BYTES_MAX 1024

/* A join of streams, or of tables, makes rows that come from no one upstream. */
static bool hides_upstreams(const step *s)
{
    return s->kind == STEP_JOIN && s->join.form != JOIN_STREAM_TABLE;
}

/* The exchange that a step is, or that its rows come through; NULL: none. */
static const step *exchange_behind(const plan *p, const step *s)
{
    while (s->kind != STEP_EXCHANGE && s->input_count > 0 && !hides_upstreams(s)) s = &p->steps[s->inputs[0]];
    return s->kind == STEP_EXCHANGE ? s : NULL;
}

uint32_t task_upstreams_of(const task *t, uint32_t index)
{
    const task_shared *shared = t->shared;
    const step *s = &shared->plan->steps[index];

    while (s->kind != STEP_EXCHANGE && s->input_count > 0 && !hides_upstreams(s)) s = &shared->plan->steps[s->inputs[0]];
    if (hides_upstreams(s)) return 1;
    if (shared->is_transient) return (uint32_t)shared->source_partitions;
    return s->kind == STEP_EXCHANGE ? (uint32_t)shared->upstreams[s - shared->plan->steps] : 1;
}

uint32_t task_upstreams(const op *self)
{
    return task_upstreams_of(self->task, self->step->inputs[0]);
}

const event_time *task_time_behind(const op *self)
{
    const task *t = self->task;
    const plan *p = t->shared->plan;
    const step *s = exchange_behind(p, &p->steps[self->step->inputs[0]]);

    for (uint32_t i = 0; s != NULL && i < t->input_count; i++) {
        if (t->inputs[i].step == s) return t->inputs[i].from;
    }
    return NULL;
}

bool task_find_record(const task *t, const int64_t *row_offset, uint32_t row, uint32_t *record)
{
    const fetch *from = t->current;
    uint32_t low = 0, high = from == NULL ? 0 : from->rows;

    if (from == NULL || row_offset == NULL) return false;
    while (low < high) { /* a batch has its rows in their order, but may have fewer, or several of one */
        uint32_t middle = low + (high - low) / 2;
        if (from->offset[middle] < row_offset[row]) low = middle + 1;
        else high = middle;
    }
    *record = low;
    return low < from->rows && from->offset[low] == row_offset[row];
}

static void report_expression(void *self, uint32_t row, const char *reason)
{
    task *t = self;
    char whole[REASON_BYTES];

    snprintf(whole, sizeof whole, "%s", reason);
    if (t->judges) reason_begin(whole, "in a condition: ");
    else if (t->computed.data != NULL) reason_in_column(whole, t->computed);
    t->counts.bad_rows++;
    bad_log_add(t->log, t, BAD_EXPRESSION, t->eval.context.batch->row_offset, row, whole);
}

void task_report_late(op *self, const batch *in, uint32_t row, int64_t start_ms, int64_t end_ms, int64_t closed_to_ms)
{
    char reason[256];

    self->late_rows++;
    self->task->counts.late_rows++;
    snprintf(reason, sizeof reason, "late: its time %lld is in window [%lld, %lld), and windows ending up to %lld are closed",
             (long long)in->event_ms[row], (long long)start_ms, (long long)end_ms, (long long)closed_to_ms);
    bad_log_add(self->task->log, self->task, BAD_LATE, in->row_offset, row, reason);
}

/* ---- building ---- */

void plan_prepare(plan *p)
{
    for (uint32_t i = 0; i < p->step_count; i++) {
        step *s = &p->steps[i];
        if (s->kind == STEP_FILTER) expression_prepare(s->filter.predicate);
        if (s->kind == STEP_PROJECT || s->kind == STEP_FLAT_MAP) {
            for (uint32_t k = 0; k < s->schema.count; k++) expression_prepare(s->project.exprs[k]);
        }
        for (uint32_t k = 0; s->kind == STEP_SORT && k < s->sort.key_count; k++) expression_prepare(s->sort.keys[k].by);
        for (uint32_t k = 0; s->kind == STEP_AGGREGATE && k < s->aggregate.call_count; k++) {
            const agg_call *one = &s->aggregate.calls[k];
            for (uint32_t a = 0; a < one->call->arg_count; a++) expression_prepare(one->args[a]);
        }
    }
}

static bool is_mine(const task *t, const step *s)
{
    return t->shared->is_transient || s->subtopology == t->subtopology;
}

/* A step that other tasks, or topics, feed this one from. */
static bool is_input(const task *t, const step *s)
{
    return s == t->shared->fed || s->kind == STEP_SOURCE || s->kind == STEP_SNAPSHOT || (s->kind == STEP_EXCHANGE && !is_mine(t, s));
}

/* A feed does the work of its step and of those below, which stand before it: it has one source. */
static bool is_done_by_feed(const task *t, const step *s)
{
    return t->shared->fed != NULL && s <= t->shared->fed;
}

/* The marks of an exchange that is itself behind one are those of its input, which must outlive a restart. */
static bool needs_times(const task *t)
{
    bool has_exchange = false, is_behind = false;

    for (uint32_t i = 0; i < t->op_count; i++) has_exchange |= t->ops[i]->step->kind == STEP_EXCHANGE;
    for (uint32_t i = 0; i < t->input_count; i++) is_behind |= t->inputs[i].from != NULL;
    return has_exchange && is_behind;
}

static bool is_stateful(const step *s)
{
    return s->kind == STEP_AGGREGATE || s->kind == STEP_TABLE || s->kind == STEP_JOIN;
}

static weir_rc add_input(task *t, const step *from, op *entry, uint8_t side, weir_error *err)
{
    const plan *p = t->shared->plan;
    task_input *input = &t->inputs[t->input_count++];

    *input = (task_input){ .step = from, .entry = entry, .side = side, .next_offset = -1,
                           .source = t->shared->source_of_step == NULL ? 0 : t->shared->source_of_step[from - p->steps] };
    if (from->kind == STEP_EXCHANGE && !t->shared->is_transient) {
        input->from = ARENA_NEW(t->plan_arena, event_time);
        input->is_mixed = exchange_behind(p, &p->steps[from->inputs[0]]) != NULL;
        event_time_open(input->from, task_upstreams_of(t, (uint32_t)(from - p->steps)), t->plan_arena);
    }
    bool decodes = from->kind == STEP_SOURCE && from != t->shared->fed;
    return decodes ? decoder_open(&input->decoder, t, from, err) : WEIR_OK;
}

static weir_rc build(task *t, weir_error *err)
{
    const plan *p = t->shared->plan;
    op **op_of = ARENA_ZEROS(t->plan_arena, op *, p->step_count);

    t->ops = ARENA_ZEROS(t->plan_arena, op *, p->step_count);
    t->inputs = ARENA_ZEROS(t->plan_arena, task_input, p->step_count * 2);
    for (uint32_t i = 0; i < p->step_count; i++) {
        const step *s = &p->steps[i];
        if (!is_mine(t, s) || is_done_by_feed(t, s) || s->kind == STEP_SOURCE || s->kind == STEP_SNAPSHOT) continue;
        const op_class *class = class_of(t, s);
        if (class == NULL) return weir_fail(err, WEIR_UNSUPPORTED, NOWHERE, "this kind of step cannot run yet");
        op_of[i] = arena_zero(t->plan_arena, OP_BYTES_MAX);
        *op_of[i] = (op){ .class = class, .step = s, .task = t };
        t->ops[t->op_count++] = op_of[i];
        for (uint8_t k = 0; k < s->input_count; k++) {
            const step *from = &p->steps[s->inputs[k]];
            if (is_input(t, from)) {
                WEIR_TRY(add_input(t, from, op_of[i], k, err));
            } else {
                op_of[s->inputs[k]]->next = op_of[i];
                op_of[s->inputs[k]]->side = k;
            }
        }
    }
    return WEIR_OK;
}

#define FROM_STORE 0x3E00 /* and up: the time of each input, out of the way of the steps' stores */

static weir_rc load_times(task *t, weir_error *err)
{
    for (uint32_t i = 0; i < t->input_count && t->state != NULL; i++) {
        if (t->inputs[i].from != NULL) WEIR_TRY(event_time_load(t->inputs[i].from, t->state, (uint16_t)(FROM_STORE + i), err));
    }
    return WEIR_OK;
}

static void seal_times(task *t)
{
    for (uint32_t i = 0; i < t->input_count && t->state != NULL; i++) {
        if (t->inputs[i].from == NULL) continue;
        event_time_seal(t->inputs[i].from, (uint16_t)(FROM_STORE + i), t->epoch_arena, &t->changes);
    }
}

static weir_rc open_state(task *t, int32_t partitions, weir_error *err)
{
    const plan *p = t->shared->plan;
    text layout = TEXT_EMPTY;
    bool any = needs_times(t);

    for (uint32_t i = 0; i < t->input_count; i++) {
        if (t->inputs[i].from != NULL) text_printf(&layout, "times:%u;", t->inputs[i].step->id);
    }
    for (uint32_t i = 0; i < p->step_count; i++) {
        if (!is_mine(t, &p->steps[i]) || is_done_by_feed(t, &p->steps[i]) || !is_stateful(&p->steps[i])) continue;
        any = true;
        if (p->steps[i].kind == STEP_TABLE && p->steps[i].table.is_versioned) text_add(&layout, SLICE("last answers;"));
        text_printf(&layout, "%u:%.*s;", p->steps[i].id, SLICE_ARG(p->steps[i].layout));
    }
    if (!any) {
        text_free(&layout);
        return WEIR_OK;
    }
    const state_spec spec = { .name = arena_printf(t->plan_arena, "%.*s/%u", SLICE_ARG(t->shared->state_name), t->subtopology),
                              .partition = t->partition, .partitions = partitions,
                              .layout = text_keep(&layout, t->plan_arena), .has_changelog = !t->shared->is_transient };
    WEIR_TRY(task_state_open(&t->state, t->state_client, &spec, err));
    return load_times(t, err);
}

weir_rc task_open(task **out, const task_shared *shared, uint32_t subtopology, int32_t partition, int32_t partitions,
                  workspace *space, client *c, client *state_client, bad_log *log, weir_error *err)
{
    arena *plan_arena = arena_new(0);
    task *t = ARENA_NEW(plan_arena, task);
    weir_rc rc;

    *t = (task){ .shared = shared, .subtopology = subtopology, .partition = partition, .client = c,
                 .state_client = state_client, .log = log, .plan_arena = plan_arena,
                 .batch_arena = space->batch_arenas[subtopology], .epoch_arena = space->epoch_arena,
                 .memory = slab_new(space->pieces) };
    evaluator_init(&t->eval, shared->clock);
    t->eval.context.arena = t->batch_arena;
    t->eval.context.report = report_expression;
    t->eval.context.report_self = t;
    if ((rc = build(t, err)) != WEIR_OK) goto fail;
    if ((rc = open_state(t, partitions, err)) != WEIR_OK) goto fail;
    for (uint32_t i = 0; i < t->op_count; i++) {
        if (t->ops[i]->class->open != NULL && (rc = t->ops[i]->class->open(t->ops[i], err)) != WEIR_OK) {
            t->op_count = i + 1; /* those beyond were not opened */
            goto fail;
        }
    }
    *out = t;
    return WEIR_OK;
fail:
    *out = NULL;
    task_close(t);
    return rc;
}

void task_close(task *t)
{
    if (t == NULL) return;
    for (uint32_t i = 0; i < t->op_count; i++) {
        if (t->ops[i]->class->close != NULL) t->ops[i]->class->close(t->ops[i]);
    }
    merge_close(t->merge);
    for (uint32_t i = 0; i < t->input_count; i++) decoder_close(t->inputs[i].decoder);
    task_state_close(t->state);
    change_list_free(&t->changes);
    evaluator_free(&t->eval);
    slab_drop(t->memory);
    arena_free(t->plan_arena);
}

task_input *task_input_of(task *t, uint32_t source)
{
    for (uint32_t i = 0; i < t->input_count; i++) {
        if (t->inputs[i].source == source) return &t->inputs[i];
    }
    return NULL;
}

/* ---- an epoch ---- */

weir_rc task_enter(task *t, task_input *input, batch *b, weir_error *err)
{
    b->side = input->side;
    input->entry->rows_in += b->live.count;
    t->counts.rows_in += b->live.count;
    input->rows += b->live.count;
    return op_take(input->entry, b, err);
}

weir_rc task_fail_block(const task *t, int32_t partition, int64_t offset, weir_error *err)
{
    return weir_fail(err, WEIR_STORAGE, NOWHERE,
                     "the repartition topic of %.*s has a record that is not a block (partition %d, offset %lld): "
                     "something else wrote there, or an incompatible version; drop the query and create it again",
                     SLICE_ARG(t->shared->plan->query_id), partition, (long long)offset);
}

static weir_rc watermark(task *t, const task_input *input, int32_t upstream, int64_t event_ms, bool is_idle, weir_error *err)
{
    t->watermark_side = input->side;
    return op_take_watermark(input->entry, upstream, event_ms, is_idle, err);
}

void task_place_rows(const task_input *input, batch *rows)
{
    event_time_pass(input->from, rows);
    rows->is_mixed = input->is_mixed;
}

weir_rc task_mark(task *t, task_input *input, const block_mark *mark, weir_error *err)
{
    event_time_mark(input->from, mark->upstream, mark->event_ms, mark->is_idle);
    return watermark(t, input, mark->upstream, mark->event_ms, mark->is_idle, err);
}

static weir_rc push_blocks(task *t, task_input *input, const fetch *records, weir_error *err)
{
    const step *s = input->step;
    const block_shape shape = { &s->schema, s->windowed != WINDOW_NONE, s->wants_old };

    for (uint32_t i = 0; i < records->rows; i++) {
        block_mark mark;
        batch *rows;
        arena_reset(t->batch_arena);
        if (!block_read(records->value[i], &shape, t->batch_arena, &mark, &rows)) {
            return task_fail_block(t, records->partition, records->offset[i], err);
        }
        if (rows != NULL) {
            task_place_rows(input, rows);
            WEIR_TRY(task_enter(t, input, rows, err));
        }
        WEIR_TRY(task_mark(t, input, &mark, err));
    }
    return WEIR_OK;
}

weir_rc task_push(task *t, task_input *input, const fetch *records, weir_error *err)
{
    weir_rc rc = WEIR_OK;

    t->is_dirty = true;
    input->next_offset = records->next_offset;
    input->is_idle = false;
    if (records->rows == 0) return WEIR_OK;
    if (input->step->kind == STEP_EXCHANGE) {
        rc = push_blocks(t, input, records, err);
    } else {
        batch *rows;
        arena_reset(t->batch_arena);
        t->current = records;
        t->current_topic = input->step->source.topic;
        timer started = timer_start(t);
        rc = decoder_read(input->decoder, records, &rows, err);
        timer_stop(started, t, &input->busy_ns);
        if (rc != WEIR_OK) return rc;
        if (rows != NULL && t->shared->is_transient) rows->upstream = records->partition;
        if (rows != NULL) rc = task_enter(t, input, rows, err);
        t->current = NULL;
    }
    return rc;
}

weir_rc task_idle(task *t, task_input *input, weir_error *err)
{
    if (input->is_idle) return WEIR_OK;
    input->is_idle = true;
    for (uint32_t i = 0; i < t->input_count; i++) {
        const event_time *from = t->inputs[i].from;
        if (!t->inputs[i].is_idle) return WEIR_OK;
        if (from != NULL && event_time_least(from) != INT64_MAX) return WEIR_OK; /* more is to come */
    }
    t->is_dirty = t->has_caught_up = true;
    for (uint32_t i = 0; i < t->input_count; i++) {
        WEIR_TRY(watermark(t, &t->inputs[i], -1, INT64_MIN, true, err));
    }
    return WEIR_OK;
}

weir_rc task_hand_over(task *from, task *to, const step *exchange, slice block, weir_error *err)
{
    const int64_t no_offset = -1;
    task_input *input = to->inputs;
    int64_t began_ns = clock_monotonic_ns();

    while (input->step != exchange) input++;
    const fetch f = { .kind = FETCH_RECORDS, .source = input->source, .partition = to->partition, .rows = 1, .value = &block,
                      .offset = &no_offset, .next_offset = input->next_offset };
    weir_rc rc = task_push(to, input, &f, err);
    if (rc == WEIR_OK) rc = task_idle(to, input, err);
    from->inner_ns += clock_monotonic_ns() - began_ns;
    return rc;
}

static weir_rc run_phase(op *self, weir_rc (*function)(op *self, weir_error *err), weir_error *err)
{
    if (function == NULL) return WEIR_OK;
    timer started = timer_start(self->task);
    weir_rc rc = function(self, err);
    timer_stop(started, self->task, &self->busy_ns);
    return rc;
}

weir_rc task_release(task *t, weir_error *err)
{
    arena_reset(t->batch_arena);
    for (uint32_t i = 0; i < t->op_count; i++) WEIR_TRY(run_phase(t->ops[i], t->ops[i]->class->release, err));
    return WEIR_OK;
}

weir_rc task_flush(task *t, weir_error *err)
{
    arena_reset(t->batch_arena);
    for (uint32_t i = 0; i < t->op_count; i++) {
        WEIR_TRY(run_phase(t->ops[i], t->ops[i]->class->release, err));
        WEIR_TRY(run_phase(t->ops[i], t->ops[i]->class->flush, err));
    }
    return WEIR_OK;
}

epoch task_seal(task *t)
{
    for (uint32_t i = 0; i < t->op_count; i++) {
        if (t->ops[i]->class->seal == NULL) continue;
        timer started = timer_start(t);
        t->ops[i]->class->seal(t->ops[i], t->epoch_arena, &t->changes);
        timer_stop(started, t, &t->ops[i]->busy_ns);
    }
    seal_times(t);
    if (t->merge != NULL) merge_seal(t->merge, t->epoch_arena, &t->changes);
    change_list_sort(&t->changes);
    return (epoch){ t->state, t->changes.items, t->changes.count };
}

bool task_has_work(const task *t)
{
    return t->is_dirty;
}

void task_committed(task *t)
{
    for (uint32_t i = 0; i < t->op_count; i++) {
        if (t->ops[i]->class->committed != NULL) t->ops[i]->class->committed(t->ops[i]);
    }
    for (uint32_t i = 0; i < t->input_count; i++) t->inputs[i].next_offset = -1;
    t->is_dirty = false;
    change_list_free(&t->changes);
    arena_reset(t->epoch_arena);
}

weir_rc task_forget(task *t, weir_error *err)
{
    for (uint32_t i = 0; i < t->op_count; i++) {
        if (t->ops[i]->class->forget != NULL) WEIR_TRY(t->ops[i]->class->forget(t->ops[i], err));
    }
    for (uint32_t i = 0; i < t->input_count; i++) {
        t->inputs[i].next_offset = -1;
        t->inputs[i].is_idle = t->inputs[i].is_waiting = t->inputs[i].is_filled = false;
    }
    t->is_dirty = t->has_caught_up = false;
    change_list_free(&t->changes);
    arena_reset(t->epoch_arena);
    WEIR_TRY(load_times(t, err));
    return t->merge == NULL ? WEIR_OK : merge_forget(t->merge, err);
}

size_t task_dirty_bytes(const task *t)
{
    size_t bytes = 0;

    for (uint32_t i = 0; i < t->op_count; i++) {
        if (t->ops[i]->class->dirty_bytes != NULL) bytes += t->ops[i]->class->dirty_bytes(t->ops[i]);
    }
    return bytes;
}

size_t task_state_bytes(const task *t)
{
    size_t bytes = 0;

    for (uint32_t i = 0; i < t->op_count; i++) {
        if (t->ops[i]->class->state_bytes != NULL) bytes += t->ops[i]->class->state_bytes(t->ops[i]);
    }
    return bytes;
}

void task_add_stats(const task *t, op_stats *by_step)
{
    const step *first = t->shared->plan->steps;

    for (uint32_t i = 0; i < t->input_count; i++) {
        op_stats *of = &by_step[t->inputs[i].step - first];
        if (t->inputs[i].step->kind == STEP_EXCHANGE) continue; /* counted where it is written */
        of->rows_out += t->inputs[i].rows;
        of->busy_ns += t->inputs[i].busy_ns;
    }
    for (uint32_t i = 0; i < t->op_count; i++) {
        const op *o = t->ops[i];
        op_stats *of = &by_step[o->step - first];
        of->rows_in += o->rows_in;
        of->rows_out += o->rows_out;
        of->late_rows += o->late_rows;
        of->busy_ns += o->busy_ns;
        if (o->class->state_bytes != NULL) of->state_bytes += o->class->state_bytes(o);
    }
}
