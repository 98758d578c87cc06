/* executor/transient.c - see transient.h. */
#include "executor/transient.h"

#include "executor/bad_log.h"
#include "executor/feed.h"
#include "executor/store_reader.h"

typedef struct ready { /* rows that wait to be taken: copies, side by side */
    struct ready *next;
    batch *rows;
} ready;

struct transient {
    transient_env env;
    const plan *plan;
    arena *arena;
    task_shared shared;
    workspace *space;
    task *task;
    client *client;          /* reads the sources; NULL: a snapshot, or a feed */
    feed_cursor *cursor;     /* NULL until the first rows are asked for */
    void (*wake)(void *self);
    void *wake_self;
    storage *scratch;        /* for state */
    client *scratch_client;
    bad_log *log;
    client_source *sources;
    uint32_t source_count;
    int32_t *source_partitions;
    int64_t **target, **position; /* bounded: per source and partition */
    store_reader *reader;
    arena *result_arena;     /* of the rows ready or lent */
    ready *first, *last;
    bool is_complete;        /* no more input */
    bool has_ended;
    int64_t flushed_ms;
    bool is_quiet;           /* the last poll brought nothing */
};

#define FED_PAGES_A_CALL 16 /* that gave no row: then others have their turn */
#define PUSH_FLUSH_MS 100 /* how long a push query gathers changes while input keeps coming */

/* ---- collecting ---- */

static const step *end_of(const transient *t)
{
    return &t->plan->steps[t->plan->step_count - 1];
}

static void enqueue(transient *t, batch *rows)
{
    ready *one = ARENA_NEW(t->result_arena, ready);

    one->rows = rows;
    if (t->last == NULL) {
        t->first = one;
    } else {
        t->last->next = one;
    }
    t->last = one;
}

static void take_result(void *self, batch *in)
{
    transient *t = self;
    const bool *kept = end_of(t)->result.kept;
    uint32_t count = in->live.count, at = 0;
    batch *out = batch_new(t->result_arena, &end_of(t)->schema, count, in->window_start != NULL);

    EACH_ROW (r, in->live) {
        for (uint32_t i = 0; i < in->column_count; i++) {
            bool is_known = in->kind[r] != ROW_TOMBSTONE || i < end_of(t)->schema.key_count || (kept != NULL && kept[i]);
            value v = is_known ? column_get(&in->columns[i], r) : NULL_VALUE;
            v = value_copy(t->result_arena, in->columns[i].type, &v);
            column_set(&out->columns[i], at, &v);
        }
        out->event_ms[at] = in->event_ms[r];
        out->kind[at] = in->kind[r];
        if (in->window_start != NULL) {
            out->window_start[at] = in->window_start[r];
            out->window_end[at] = in->window_end[r];
        }
        at++;
    }
    if (count > 0) enqueue(t, out);
}

/* ---- sources ---- */

static weir_rc find_sources(transient *t, weir_error *err)
{
    const plan *p = t->plan;
    uint32_t *source_of = ARENA_ARRAY(t->arena, uint32_t, p->step_count);

    t->sources = ARENA_ARRAY(t->arena, client_source, p->step_count);
    t->source_partitions = ARENA_ARRAY(t->arena, int32_t, p->step_count);
    t->target = ARENA_ZEROS(t->arena, int64_t *, p->step_count);
    t->position = ARENA_ZEROS(t->arena, int64_t *, p->step_count);
    for (uint32_t i = 0; i < p->step_count; i++) {
        const step *s = &p->steps[i];
        source_of[i] = UINT32_MAX;
        if (s->kind != STEP_SOURCE) continue;
        uint32_t at = 0;
        while (at < t->source_count && !slice_equal(t->sources[at].topic, s->source.topic)) at++;
        source_of[i] = at;
        if (at < t->source_count) {
            t->sources[at].wants_headers |= s->source.reads_headers;
            continue;
        }
        topic_info info;
        bool found;
        WEIR_TRY(topic_find(t->env.storage, s->source.topic, &info, &found, err));
        if (!found) {
            return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "the topic %.*s of %.*s does not exist", SLICE_ARG(s->source.topic),
                             SLICE_ARG(s->source.name));
        }
        bool is_latest = p->mode == PLAN_PUSH && p->latest;
        t->sources[at] = (client_source){ s->source.topic, is_latest ? START_LATEST : START_EARLIEST, s->source.reads_headers };
        t->source_partitions[at] = info.partitions;
        if (info.partitions > t->shared.source_partitions) t->shared.source_partitions = info.partitions;
        t->target[at] = ARENA_ZEROS(t->arena, int64_t, info.partitions);
        t->position[at] = ARENA_ZEROS(t->arena, int64_t, info.partitions);
        for (int32_t k = 0; p->mode == PLAN_BOUNDED && k < info.partitions; k++) {
            WEIR_TRY(topic_offsets(t->env.storage, s->source.topic, k, &t->position[at][k], &t->target[at][k], err));
        }
        t->source_count++;
    }
    t->shared.source_of_step = source_of;
    return WEIR_OK;
}

static bool needs_state(const transient *t)
{
    const plan *p = t->plan;

    for (uint32_t i = 0; i < p->step_count; i++) {
        if (&p->steps[i] == t->shared.fed) continue;
        if (p->steps[i].kind == STEP_AGGREGATE || p->steps[i].kind == STEP_TABLE || p->steps[i].kind == STEP_JOIN) return true;
    }
    return false;
}

static weir_rc open_scratch(transient *t, weir_error *err)
{
    const local_options options = { .durability = DURABLE_NONE, .is_temporary = true, .clock = t->env.clock };
    const client_spec spec = { .name = SLICE("transient"), .instances = 1 };

    WEIR_TRY(storage_open_local(&t->scratch, SLICE(""), &options, err));
    return client_open(&t->scratch_client, t->scratch, &spec, err);
}

static const step *snapshot_step(const plan *p)
{
    for (uint32_t i = 0; i < p->step_count; i++) {
        if (p->steps[i].kind == STEP_SNAPSHOT) return &p->steps[i];
    }
    return NULL;
}

bool transient_passes_rows_on(const plan *p)
{
    for (uint32_t i = 1; i < p->step_count; i++) {
        step_kind kind = p->steps[i].kind;
        if (kind != STEP_FILTER && kind != STEP_PROJECT && kind != STEP_RESULT) return false;
    }
    return true;
}

static weir_rc open_inputs(transient *t, weir_error *err)
{
    const plan *p = t->plan;

    t->shared.source_partitions = 1;
    WEIR_TRY(find_sources(t, err));
    if (needs_state(t)) WEIR_TRY(open_scratch(t, err));
    t->space = workspace_new(1);
    WEIR_TRY(task_open(&t->task, &t->shared, 0, 0, 1, t->space, NULL, t->scratch_client, t->log, err));
    if (t->shared.fed != NULL) return WEIR_OK;
    if (t->source_count > 0) {
        const client_spec spec = { .name = SLICE("transient"), .is_transient = true, .sources = t->sources,
                                   .source_count = t->source_count, .instances = 1 };
        return client_open(&t->client, t->env.storage, &spec, err);
    }
    const step *from = snapshot_step(p);
    if (from == NULL) {
        t->is_complete = true;
        return WEIR_OK;
    }
    WEIR_TRY(store_reader_open(&t->reader, t->env.storage, from, from->snapshot.of[1].kind == STEP_FINAL, t->task, err));
    if (transient_passes_rows_on(p)) store_reader_may_renew(t->reader);
    return WEIR_OK;
}

weir_rc transient_open(transient **out, const transient_env *env, const plan *p, weir_error *err)
{
    arena *a = arena_new(0);
    transient *t = ARENA_NEW(a, transient);

    t->arena = a;
    t->env = *env;
    t->plan = p;
    t->result_arena = arena_new(0);
    t->log = bad_log_new(SLICE("transient"), UINT32_MAX, env->clock);
    t->shared = (task_shared){ .plan = p, .state_name = SLICE("transient"), .clock = env->clock, .batch_rows = env->batch_rows,
                               .state_budget_bytes = (size_t)64 << 20, .every_change = p->mode == PLAN_PUSH && p->every_change,
                               .forced_partition = -1, .is_transient = true, .result = take_result, .result_self = t,
                               .fed = env->feeds == NULL ? NULL : feed_step_of(p) };
    weir_rc rc = open_inputs(t, err);
    if (rc != WEIR_OK) {
        transient_close(t);
        return rc;
    }
    *out = t;
    return WEIR_OK;
}

void transient_close(transient *t)
{
    if (t == NULL) return;
    feed_leave(t->cursor);
    store_reader_close(t->reader);
    task_close(t->task);
    workspace_free(t->space);
    client_close(t->client);
    client_close(t->scratch_client);
    storage_close(t->scratch);
    bad_log_free(t->log);
    arena_free(t->result_arena);
    arena_free(t->arena);
}

/* ---- advancing ---- */

static weir_rc flush(transient *t, weir_error *err)
{
    t->flushed_ms = clock_monotonic_ms(t->env.clock);
    WEIR_TRY(task_flush(t->task, err));
    if (t->scratch_client == NULL) return WEIR_OK;
    epoch e = task_seal(t->task);
    WEIR_TRY(client_commit(t->scratch_client, &e, 1, NULL, 0, err));
    task_committed(t->task);
    return WEIR_OK;
}

static weir_rc finish(transient *t, weir_error *err)
{
    WEIR_TRY(flush(t, err));
    t->is_complete = true;
    return WEIR_OK;
}

static bool all_reached(const transient *t)
{
    for (uint32_t i = 0; i < t->source_count; i++) {
        for (int32_t p = 0; p < t->source_partitions[i]; p++) {
            if (t->position[i][p] < t->target[i][p]) return false;
        }
    }
    return true;
}

static weir_rc take_fetch(transient *t, const fetch *f, weir_error *err)
{
    bool is_bounded = t->plan->mode == PLAN_BOUNDED;

    if (f->kind == FETCH_END) {
        if (f->next_offset > t->position[f->source][f->partition]) t->position[f->source][f->partition] = f->next_offset;
        return WEIR_OK;
    }
    if (f->kind != FETCH_RECORDS) return WEIR_OK;
    fetch within = *f;
    while (is_bounded && within.rows > 0 && f->offset[within.rows - 1] >= t->target[f->source][f->partition]) within.rows--;
    t->position[f->source][f->partition] = f->next_offset;
    for (uint32_t i = 0; i < t->task->input_count && within.rows > 0; i++) {
        if (t->task->inputs[i].source == f->source) WEIR_TRY(task_push(t->task, &t->task->inputs[i], &within, err));
    }
    return WEIR_OK;
}

static weir_rc advance_sources(transient *t, int timeout_ms, weir_error *err)
{
    bool is_bounded = t->plan->mode == PLAN_BOUNDED;
    const fetch *events;
    uint32_t count, rows = 0;

    if (is_bounded && all_reached(t)) return finish(t, err);
    WEIR_TRY(client_poll(t->client, timeout_ms, t->env.batch_rows, &events, &count, err));
    t->is_quiet = count == 0;
    for (uint32_t i = 0; i < count && !t->task->is_limited; i++) {
        if (events[i].kind == FETCH_RECORDS) rows += events[i].rows;
        WEIR_TRY(take_fetch(t, &events[i], err));
    }
    if (is_bounded && all_reached(t)) return finish(t, err);
    bool is_late = clock_monotonic_ms(t->env.clock) - t->flushed_ms >= PUSH_FLUSH_MS;
    if (!is_bounded && task_has_work(t->task) && (rows == 0 || is_late)) return flush(t, err);
    return WEIR_OK; /* a bounded query's changes are given out once, at its end */
}

static void no_wake(void *self)
{
    (void)self;
}

static weir_rc advance_fed(transient *t, weir_error *err)
{
    batch *rows;

    if (t->cursor == NULL) {
        WEIR_TRY(feed_join(&t->cursor, t->env.feeds, t->plan, t->source_partitions[0], t->wake == NULL ? no_wake : t->wake,
                           t->wake_self, err));
    }
    arena_reset(t->task->batch_arena);
    WEIR_TRY(feed_next(t->cursor, t->task->batch_arena, &rows, err));
    t->is_quiet = rows == NULL;
    if (rows != NULL && rows->live.count > 0) {
        t->task->is_dirty = t->scratch_client != NULL;
        WEIR_TRY(task_enter(t->task, &t->task->inputs[0], rows, err));
    }
    bool is_late = clock_monotonic_ms(t->env.clock) - t->flushed_ms >= PUSH_FLUSH_MS;
    if (task_has_work(t->task) && (rows == NULL || is_late)) WEIR_TRY(flush(t, err));
    if (t->is_quiet && t->first == NULL) { /* there may be very many that sleep */
        arena_give_back(t->task->batch_arena);
        arena_give_back(t->result_arena);
    }
    return WEIR_OK;
}

static weir_rc advance(transient *t, int timeout_ms, weir_error *err)
{
    if (t->shared.fed != NULL) return advance_fed(t, err);
    if (t->client != NULL) return advance_sources(t, timeout_ms, err);
    batch *rows;
    WEIR_TRY(store_reader_next(t->reader, t->env.batch_rows, &rows, err));
    if (rows == NULL) return finish(t, err);
    return task_enter(t->task, &t->task->inputs[0], rows, err);
}

weir_rc transient_next(transient *t, int timeout_ms, const batch **rows, weir_error *err)
{
    int64_t began_ms = clock_monotonic_ms(t->env.clock);
    uint32_t pages = 0;

    *rows = NULL;
    if (t->first == NULL) { /* nothing lent is in use any more */
        t->last = NULL;
        arena_reset(t->result_arena);
    }
    while (t->first == NULL && !t->has_ended) {
        if (atomic_load(t->env.cancelled)) return weir_fail(err, WEIR_CANCELLED, NOWHERE, "cancelled");
        if (!t->is_complete && t->task->is_limited) { /* what stands above the LIMIT may still hold rows */
            WEIR_TRY(finish(t, err));
            continue;
        }
        if (t->is_complete) {
            t->has_ended = true;
            break;
        }
        int64_t left = timeout_ms < 0 ? 50 : timeout_ms - (clock_monotonic_ms(t->env.clock) - began_ms);
        if (left < 0 && t->shared.fed == NULL) return WEIR_OK; /* a feed wakes only those it has told that there is nothing */
        WEIR_TRY(advance(t, left > 50 ? 50 : (int)left, err));
        bool never_waits = t->env.clock->is_virtual || t->shared.fed != NULL; /* time stands still, or the caller sleeps */
        if (never_waits && t->is_quiet && t->first == NULL && timeout_ms >= 0) return WEIR_OK;
        if (t->cursor != NULL && t->first == NULL && ++pages == FED_PAGES_A_CALL) {
            if (t->wake != NULL) t->wake(t->wake_self);
            return WEIR_OK;
        }
    }
    if (t->first != NULL) {
        /* With the LIMIT's last rows it is known that they are the last. */
        if (t->first->next == NULL && !t->is_complete && t->task->is_limited) WEIR_TRY(finish(t, err));
        *rows = t->first->rows;
        t->first = t->first->next;
        if (t->first == NULL) t->last = NULL;
    }
    return WEIR_OK;
}

bool transient_sleeps(transient *t, void (*wake)(void *self), void *self)
{
    t->wake = wake;
    t->wake_self = self;
    return t->shared.fed != NULL;
}

weir_rc transient_hold(transient *t, weir_error *err)
{
    if (t->reader != NULL) store_reader_hold(t->reader);
    if (t->cursor == NULL) return WEIR_OK;
    arena_give_back(t->task->batch_arena); /* the rows it lends are copies */
    return feed_hold(t->cursor, err);
}

bool transient_rest(transient *t)
{
    return t->reader != NULL && t->first == NULL && store_reader_rest(t->reader);
}

weir_rc transient_look_up(transient *t, const value *key, const batch **rows, weir_error *err)
{
    batch *found;

    *rows = NULL;
    arena_reset(t->result_arena);
    t->first = t->last = NULL;
    WEIR_TRY(store_reader_look_up(t->reader, key, err));
    weir_rc rc = store_reader_next(t->reader, UINT32_MAX, &found, err);
    if (rc == WEIR_OK && found != NULL) rc = task_enter(t->task, &t->task->inputs[0], found, err);
    if (rc == WEIR_OK && t->first != NULL) *rows = t->first->rows;
    t->first = NULL;
    return rc;
}

bool transient_ended(const transient *t)
{
    return t->has_ended || (t->first == NULL && t->is_complete);
}

void transient_progress(const transient *t, uint64_t *rows, int64_t *rows_left)
{
    *rows = t->task->counts.rows_in;
    *rows_left = t->plan->mode == PLAN_BOUNDED && t->client != NULL ? 0 : -1;
    for (uint32_t i = 0; *rows_left >= 0 && i < t->source_count; i++) {
        for (int32_t p = 0; p < t->source_partitions[i]; p++) {
            if (t->target[i][p] > t->position[i][p]) *rows_left += t->target[i][p] - t->position[i][p];
        }
    }
}

void transient_left_out(const transient *t, text *out)
{
    size_t before = out->len;

    bad_log_tell(t->log, out);
    if (out->len == before) return;
    text_add_c(out, "; a persistent query (CREATE STREAM ... AS SELECT) writes each of them to WEIR_PROCESSING_LOG");
}

void transient_op_stats(const transient *t, op_stats *by_step)
{
    memset(by_step, 0, sizeof *by_step * t->plan->step_count);
    task_add_stats(t->task, by_step);
}
