/* executor/op_aggregate.c - GROUP BY, with tumbling or hopping windows or none: one running row for each key and window.
 *
 * A row of hopping windows is taken once for each of its windows, so that a batch is one look-up of all groups and one loop
 * an aggregate, in row order. Groups of windows are kept by window start, then key, which makes closing and expiring them
 * range operations. Between commits a changed group is emitted once, at the flush, by last update; with
 * every-change each row emits right away. */
#include "executor/agg_list.h"
#include "executor/event_time.h"
#include "executor/key.h"

#include <stdlib.h>

typedef struct aggregate_op {
    op base;
    agg_list aggs;
    window_spec window;
    int64_t grace_ms, retention_ms;
    state_table *groups;
    event_time time;
    bool is_final;          /* EMIT FINAL stands above: rows leave as their window closes */
    bool every_change;
    int64_t closed_to_ms;   /* windows that start up to here have been closed, as far as this run knows */
    int64_t expired_to_ms;  /* windows that start before have been deleted */
    text expired_to;        /* and the keys before this one; the next look begins here, not at what is gone */
    change_list expired;    /* deletions of groups that are not in memory */
    arena *expired_keys;
} aggregate_op;

#define EXPIRE_KEYS_MAX 20000 /* in one epoch: the rest follows in the next */

static bool is_windowed(const aggregate_op *a)
{
    return a->window.kind != WINDOW_NONE;
}

static int64_t floor_to(int64_t number, int64_t unit)
{
    int64_t rest = number % unit;
    return number - (rest < 0 ? rest + unit : rest);
}

/* Windows that start up to here are closed as of the operator's time. */
static int64_t closing_start_ms(const aggregate_op *a)
{
    return floor_to(a->time.now_ms - a->grace_ms - a->window.size_ms, a->window.advance_ms);
}

static weir_rc load_state(aggregate_op *a, weir_error *err)
{
    a->closed_to_ms = a->expired_to_ms = INT64_MIN;
    text_clear(&a->expired_to);
    WEIR_TRY(state_table_open(a->groups, err));
    WEIR_TRY(event_time_load(&a->time, a->base.task->state, (uint16_t)a->base.step->id, err));
    /* The flush before that time was stored has closed what there was to close: no need to look at all of it again. */
    if (a->is_final && a->time.now_ms != TIME_UNKNOWN) a->closed_to_ms = closing_start_ms(a);
    return WEIR_OK;
}

static weir_rc aggregate_open(op *self, weir_error *err)
{
    aggregate_op *a = (aggregate_op *)self;
    task *t = self->task;

    a->window = self->step->aggregate.window;
    if (is_windowed(a)) {
        a->grace_ms = window_grace_ms(&a->window);
        a->retention_ms = window_retention_ms(&a->window);
        if (a->window.kind == WINDOW_TUMBLING) a->window.advance_ms = a->window.size_ms;
    }
    a->is_final = self->next != NULL && self->next->step->kind == STEP_FINAL;
    a->every_change = t->shared->every_change && !a->is_final;
    agg_list_open(&a->aggs, t, self->step, self->step->wants_old, t->plan_arena);
    const payload_class class = group_class(&a->aggs);
    a->groups = state_table_new(t->state, (uint16_t)self->step->id, &class, t->memory, t->shared->state_budget_bytes);
    event_time_open(&a->time, task_upstreams(self), t->plan_arena);
    a->expired_keys = arena_new(0);
    return load_state(a, err);
}

/* ---- output ---- */

/* Room for rows of the step's schema. */
static batch *output_batch(aggregate_op *a, arena *memory, uint32_t rows)
{
    batch *out = batch_new(memory, &a->base.step->schema, rows, is_windowed(a));

    if (a->aggs.keeps_last) {
        out->old = batch_new(memory, &a->base.step->schema, rows, is_windowed(a));
        out->old->event_ms = out->event_ms;
        out->old->window_start = out->window_start;
        out->old->window_end = out->window_end;
        memcpy(out->old->columns, out->columns, out->column_count * sizeof *out->columns);
        for (uint32_t i = a->aggs.key_count; i < out->column_count; i++) {
            out->old->columns[i] = column_new(memory, out->columns[i].type, rows);
        }
    }
    return out;
}

/* Fills in what the row was when last emitted, and makes it what it is now. */
static void exchange_last(aggregate_op *a, batch *out, uint32_t row, group *g)
{
    column *old = out->old->columns + a->aggs.key_count;

    out->old->kind[row] = group_recall(&a->aggs, group_last(&a->aggs, g), old, row, out->arena) ? ROW_NORMAL : ROW_TOMBSTONE;
    group_remember(&a->aggs, g, out->columns + a->aggs.key_count, row);
}

/* The key columns, and the window, of an entry. */
static void output_key(aggregate_op *a, batch *out, uint32_t row, const entry *e)
{
    slice key = entry_key(a->groups, e);

    if (is_windowed(a)) {
        out->window_start[row] = get_window_start(key.data);
        out->window_end[row] = out->window_start[row] + a->window.size_ms;
        key = (slice){ key.data + 8, key.len - 8 };
    }
    key_decode(key, out->columns, a->aggs.key_count, row, out->arena);
}

static weir_rc emit_groups(aggregate_op *a, entry *const *entries, uint32_t count, weir_error *err)
{
    task *t = a->base.task;

    for (uint32_t from = 0; from < count; from += t->shared->batch_rows) {
        uint32_t rows = count - from < t->shared->batch_rows ? count - from : t->shared->batch_rows;
        arena_reset(t->batch_arena);
        batch *out = output_batch(a, t->batch_arena, rows);
        char **groups = ARENA_ARRAY(t->batch_arena, char *, rows);
        for (uint32_t r = 0; r < rows; r++) {
            if (from + r + ENTRIES_AHEAD < count) entry_ask_for(entries[from + r + ENTRIES_AHEAD]);
            group *g = entry_payload(entries[from + r]);
            groups[r] = (char *)g;
            out->event_ms[r] = g->event_ms;
            g->is_emitted = true;
            output_key(a, out, r, entries[from + r]);
        }
        agg_list_results(&a->aggs, groups, out->live, out->columns + a->aggs.key_count);
        for (uint32_t r = 0; a->aggs.keeps_last && r < rows; r++) exchange_last(a, out, r, (group *)groups[r]);
        WEIR_TRY(op_emit(&a->base, out, err));
    }
    return WEIR_OK;
}

/* ---- input ---- */

/* The rows as they are grouped: each once for every window it belongs to, in row order. What is per row here (entries,
 * arguments, running results) stands at the grouped row's place; rows of hopping windows get places of their own. */
typedef struct grouped {
    row_set rows;
    uint32_t capacity;       /* places */
    agg_input from;
    const int64_t *event_ms; /* by place, like all below */
    const slice *keys;
    int64_t *start_ms;       /* of windows */
    column **args;
    entry **entries;
    int64_t *group_event_ms; /* every-change: of the group, right after the row */
    column *running;
} grouped;

static int64_t first_window(const window_spec *w, int64_t event_ms)
{
    int64_t first = floor_to(event_ms - w->size_ms + w->advance_ms, w->advance_ms);
    return first < 0 && event_ms >= 0 ? 0 : first;
}

static bool is_late(const aggregate_op *a, int64_t start_ms, int64_t time_ms)
{
    return time_ms != TIME_UNKNOWN && start_ms + a->window.size_ms <= time_ms - a->grace_ms;
}

static slice window_key(arena *memory, int64_t start_ms, slice key)
{
    char *bytes = arena_alloc(memory, key.len + 8);

    put_window_start(bytes, start_ms);
    if (key.len > 0) memcpy(bytes + 8, key.data, key.len);
    return (slice){ bytes, key.len + 8 };
}

/* Tumbling: one window a row, so that rows keep their places. */
static void tumble(aggregate_op *a, const batch *in, row_set rows, const int64_t *time_ms, const slice *keys, grouped *g)
{
    uint32_t *index = ARENA_ARRAY(in->arena, uint32_t, rows.count), count = 0;
    slice *window_keys = ARENA_ARRAY(in->arena, slice, in->rows);

    g->start_ms = ARENA_ARRAY(in->arena, int64_t, in->rows);
    EACH_ROW (r, rows) {
        int64_t start = first_window(&a->window, in->event_ms[r]);
        if (is_late(a, start, time_ms[r])) {
            task_report_late(&a->base, in, r, start, start + a->window.size_ms, time_ms[r] - a->grace_ms);
            continue;
        }
        g->start_ms[r] = start;
        window_keys[r] = window_key(in->arena, start, keys[r]);
        index[count++] = r;
    }
    g->rows = (row_set){ index, count };
    g->keys = window_keys;
}

static column gather(arena *memory, const column *from, const uint32_t *source, uint32_t count)
{
    column to = column_new(memory, from->type, count);
    size_t bytes = column_element_bytes(from->type);

    for (uint32_t i = 0; i < count; i++) {
        to.null[i] = from->null[source[i]];
        memcpy((char *)to.any + i * bytes, (const char *)from->any + source[i] * bytes, bytes);
    }
    return to;
}

#define PLACES_MAX 65536 /* of hopping windows, at a time */

/* How many rows' windows are taken at a time. */
static uint32_t rows_at_a_time(const window_spec *w)
{
    int64_t windows = (w->size_ms + w->advance_ms - 1) / w->advance_ms;

    return windows < PLACES_MAX ? (uint32_t)(PLACES_MAX / windows) : 1;
}

/* Hopping: a row has a place for each of its windows that is still open. */
static void hop(aggregate_op *a, const batch *in, row_set rows, const int64_t *time_ms, const slice *keys, grouped *g)
{
    const window_spec *w = &a->window;
    arena *memory = in->arena;
    uint32_t room = rows.count * (uint32_t)((w->size_ms + w->advance_ms - 1) / w->advance_ms), count = 0;
    uint32_t *source = ARENA_ARRAY(memory, uint32_t, room);
    int64_t *event_ms = ARENA_ARRAY(memory, int64_t, room);
    slice *window_keys = ARENA_ARRAY(memory, slice, room);

    g->start_ms = ARENA_ARRAY(memory, int64_t, room);
    EACH_ROW (r, rows) {
        for (int64_t start = first_window(w, in->event_ms[r]); start <= in->event_ms[r]; start += w->advance_ms) {
            if (is_late(a, start, time_ms[r])) {
                task_report_late(&a->base, in, r, start, start + w->size_ms, time_ms[r] - a->grace_ms);
                continue;
            }
            source[count] = r;
            event_ms[count] = in->event_ms[r];
            g->start_ms[count] = start;
            window_keys[count++] = window_key(memory, start, keys[r]);
        }
    }
    column **args = ARENA_ARRAY(memory, column *, a->aggs.count);
    for (uint32_t i = 0; i < a->aggs.count; i++) {
        args[i] = ARENA_ARRAY(memory, column, a->aggs.calls[i].call->arg_count);
        for (uint32_t k = 0; k < a->aggs.calls[i].call->arg_count; k++) {
            args[i][k] = gather(memory, &g->args[i][k], source, count);
        }
    }
    g->args = args;
    g->rows = (row_set){ NULL, count };
    g->capacity = count;
    g->from.source = source;
    g->event_ms = event_ms;
    g->keys = window_keys;
}

/* Finds the groups, notes times and changes, steps all aggregates. */
static weir_rc step_groups(aggregate_op *a, arena *memory, grouped *g, weir_error *err)
{
    char **groups = ARENA_ARRAY(memory, char *, g->capacity);

    g->entries = ARENA_ARRAY(memory, entry *, g->capacity);
    WEIR_TRY(state_table_find_or_add(a->groups, g->keys, g->rows, g->entries, err));
    if (a->every_change) g->group_event_ms = ARENA_ARRAY(memory, int64_t, g->capacity);
    EACH_ROW (r, g->rows) {
        group *mine = entry_payload(g->entries[r]);
        groups[r] = (char *)mine;
        if (g->event_ms[r] > mine->event_ms) mine->event_ms = g->event_ms[r];
        if (a->every_change) g->group_event_ms[r] = mine->event_ms;
        state_table_touch(a->groups, g->entries[r]);
    }
    if (a->every_change) {
        g->running = ARENA_ARRAY(memory, column, a->aggs.count);
        for (uint32_t i = 0; i < a->aggs.count; i++) {
            g->running[i] = column_new(memory, a->base.step->schema.columns[a->aggs.key_count + i].type, g->capacity);
        }
    }
    return agg_list_step(&a->aggs, &g->from, groups, g->args, g->rows, g->running, err);
}

/* every-change: the value after each row. */
static weir_rc emit_running(aggregate_op *a, const batch *in, const grouped *g, weir_error *err)
{
    uint32_t at = 0;

    if (g->rows.count == 0) return WEIR_OK;
    batch *out = output_batch(a, in->arena, g->rows.count);
    if (in->headers != NULL) out->headers = ARENA_ARRAY(in->arena, header_list, g->rows.count);
    EACH_ROW (r, g->rows) {
        uint32_t from = g->from.source == NULL ? r : g->from.source[r];
        group *mine = entry_payload(g->entries[r]);
        for (uint32_t k = 0; k < a->aggs.key_count; k++) column_copy_row(&out->columns[k], at, &in->columns[k], from);
        for (uint32_t k = 0; k < a->aggs.count; k++) {
            column_copy_row(&out->columns[a->aggs.key_count + k], at, &g->running[k], r);
        }
        out->event_ms[at] = g->group_event_ms[r];
        if (in->headers != NULL) out->headers[at] = in->headers[from];
        if (is_windowed(a)) {
            out->window_start[at] = g->start_ms[r];
            out->window_end[at] = g->start_ms[r] + a->window.size_ms;
        }
        mine->is_emitted = true;
        if (a->aggs.keeps_last) exchange_last(a, out, at, mine);
        at++;
    }
    return op_emit(&a->base, out, err);
}

/* Steps the rows that were grouped, and emits them where every change is. */
static weir_rc take_grouped(aggregate_op *a, const batch *in, grouped *g, weir_error *err)
{
    WEIR_TRY(step_groups(a, in->arena, g, err));
    return a->every_change ? emit_running(a, in, g, err) : WEIR_OK;
}

static weir_rc hop_rows(aggregate_op *a, const batch *in, const int64_t *time_ms, const grouped *all, weir_error *err)
{
    uint32_t some = rows_at_a_time(&a->window);

    for (uint32_t from = 0; from < all->rows.count; from += some) {
        uint32_t left = all->rows.count - from;
        const row_set rows = { all->rows.index + from, left < some ? left : some };
        grouped g = *all;
        hop(a, in, rows, time_ms, all->keys, &g);
        WEIR_TRY(take_grouped(a, in, &g, err));
    }
    return WEIR_OK;
}

static weir_rc stream_batch(aggregate_op *a, batch *in, weir_error *err)
{
    arena *memory = in->arena;
    row_set rows = rows_with_whole_key(in, a->aggs.key_count);
    slice *keys = ARENA_ARRAY(memory, slice, in->rows);
    grouped g = { .rows = rows, .capacity = in->rows, .from = { .in = in }, .event_ms = in->event_ms, .keys = keys };

    keys_encode(in->columns, a->aggs.key_count, rows, in->rows, memory, keys);
    g.args = agg_list_args(&a->aggs, a->base.task, in, rows);
    if (is_windowed(a)) {
        int64_t *time_ms = ARENA_ARRAY(memory, int64_t, in->rows);
        event_time_advance(&a->time, in, rows, time_ms, NULL);
        if (a->window.kind == WINDOW_HOPPING) return hop_rows(a, in, time_ms, &g, err);
        tumble(a, in, rows, time_ms, keys, &g);
    }
    return take_grouped(a, in, &g, err);
}

/* ---- a table's changes: take the former row out of its group, put the new one into its own ---- */

static weir_rc change_group(aggregate_op *a, const batch *in, slice key, char **groups, column **args, uint32_t r,
                            bool is_undo, int64_t event_ms, weir_error *err)
{
    const agg_input from = { .in = in };
    entry *e;
    const row_set one = { &r, 1 };

    WEIR_TRY(state_table_find(a->groups, key, true, &e, err));
    group *g = entry_payload(e);
    groups[r] = (char *)g;
    if (event_ms > g->event_ms) g->event_ms = event_ms;
    state_table_touch(a->groups, e);
    return is_undo ? agg_list_undo(&a->aggs, &from, groups, args, one, NULL, err)
                   : agg_list_step(&a->aggs, &from, groups, args, one, NULL, err);
}

/* r: the row of `in` that changed the group. */
static weir_rc emit_group_of(aggregate_op *a, slice key, const batch *in, uint32_t r, weir_error *err)
{
    entry *e;

    WEIR_TRY(state_table_find(a->groups, key, false, &e, err));
    group *g = entry_payload(e);
    batch *out = output_batch(a, in->arena, 1);
    char *groups[1] = { (char *)g };
    out->event_ms[0] = g->event_ms;
    out->headers = in->headers == NULL ? NULL : &in->headers[r];
    g->is_emitted = true;
    output_key(a, out, 0, e);
    agg_list_results(&a->aggs, groups, out->live, out->columns + a->aggs.key_count);
    if (a->aggs.keeps_last) exchange_last(a, out, 0, g);
    return op_emit(&a->base, out, err);
}

static weir_rc table_batch(aggregate_op *a, batch *in, weir_error *err)
{
    arena *memory = in->arena;
    row_set rows = rows_with_whole_key(in, a->aggs.key_count), old_rows = { NULL, 0 };
    slice *keys = ARENA_ZEROS(memory, slice, in->rows), *old_keys = ARENA_ZEROS(memory, slice, in->rows);
    column **args, **old_args = NULL;
    char **groups = ARENA_ARRAY(memory, char *, in->rows);

    keys_encode(in->columns, a->aggs.key_count, rows, in->rows, memory, keys);
    args = agg_list_args(&a->aggs, a->base.task, in, rows);
    if (in->old != NULL) {
        in->old->live = in->live;
        old_rows = rows_with_whole_key(in->old, a->aggs.key_count);
        keys_encode(in->old->columns, a->aggs.key_count, old_rows, in->rows, memory, old_keys);
        old_args = agg_list_args(&a->aggs, a->base.task, in->old, old_rows);
    }
    EACH_ROW (r, in->live) {
        bool has_old = old_keys[r].data != NULL, has_new = keys[r].data != NULL;
        bool is_same = has_old && has_new && slice_equal(keys[r], old_keys[r]);
        if (has_old) {
            WEIR_TRY(change_group(a, in->old, old_keys[r], groups, old_args, r, true, in->event_ms[r], err));
            if (a->every_change && !is_same) WEIR_TRY(emit_group_of(a, old_keys[r], in, r, err));
        }
        if (has_new) {
            WEIR_TRY(change_group(a, in, keys[r], groups, args, r, false, in->event_ms[r], err));
            if (a->every_change) WEIR_TRY(emit_group_of(a, keys[r], in, r, err));
        }
    }
    return WEIR_OK;
}

static weir_rc aggregate_batch(op *self, batch *in, weir_error *err)
{
    aggregate_op *a = (aggregate_op *)self;
    const step *input = &self->task->shared->plan->steps[self->step->inputs[0]];

    return input->is_table ? table_batch(a, in, err) : stream_batch(a, in, err);
}

static weir_rc aggregate_watermark(op *self, int32_t upstream, int64_t event_ms, bool is_idle, weir_error *err)
{
    aggregate_op *a = (aggregate_op *)self;

    event_time_mark(&a->time, upstream, event_ms, is_idle);
    return op_pass_watermark(self, upstream, event_ms, is_idle, err);
}

/* ---- closing and expiring windows ---- */

typedef struct entry_list {
    aggregate_op *of;
    int64_t start_max_ms;
    entry **items;
    uint32_t count, room;
} entry_list;

static void collect_unclosed(void *self, entry *e)
{
    entry_list *list = self;
    slice key = entry_key(list->of->groups, e);

    if (get_window_start(key.data) > list->start_max_ms || ((group *)entry_payload(e))->is_final) return;
    if (list->count == list->room) {
        list->room = list->room == 0 ? 256 : list->room * 2;
        list->items = realloc(list->items, list->room * sizeof *list->items);
        if (list->items == NULL) abort();
    }
    list->items[list->count++] = e;
}

static int by_key(const void *x, const void *y, void *groups)
{
    return slice_compare(entry_key(groups, *(entry *const *)x), entry_key(groups, *(entry *const *)y));
}

/* Brings the committed groups whose window starts in the range into memory, when some may not be there. */
static weir_rc load_windows(aggregate_op *a, int64_t from_ms, int64_t to_ms, weir_error *err)
{
    char from[8], to[8];
    state_cursor *cursor;
    slice key, value;
    bool more;
    weir_rc rc;

    if (state_table_all_in_memory(a->groups)) return WEIR_OK;
    put_window_start(from, from_ms);
    put_window_start(to, to_ms + 1);
    WEIR_TRY(task_state_scan(a->base.task->state, (uint16_t)a->base.step->id, (slice){ from, 8 }, (slice){ to, 8 }, &cursor, err));
    while ((rc = state_cursor_next(cursor, &key, &value, &more, err)) == WEIR_OK && more) {
        entry *e;
        if ((rc = state_table_find(a->groups, key, false, &e, err)) != WEIR_OK) break;
    }
    state_cursor_close(cursor);
    return rc;
}

static weir_rc close_windows(aggregate_op *a, weir_error *err)
{
    if (a->time.now_ms == TIME_UNKNOWN) return WEIR_OK;
    int64_t start_max = closing_start_ms(a);
    entry_list list = { .of = a, .start_max_ms = start_max };

    if (start_max <= a->closed_to_ms) return WEIR_OK;
    WEIR_TRY(load_windows(a, a->closed_to_ms, start_max, err));
    state_table_each(a->groups, collect_unclosed, &list);
    if (list.count > 0) qsort_r(list.items, list.count, sizeof *list.items, by_key, a->groups);
    weir_rc rc = emit_groups(a, list.items, list.count, err);
    for (uint32_t i = 0; i < list.count; i++) {
        ((group *)entry_payload(list.items[i]))->is_final = true;
        state_table_touch(a->groups, list.items[i]);
    }
    free(list.items);
    a->closed_to_ms = start_max;
    return rc;
}

typedef struct expiry {
    aggregate_op *of;
    int64_t before_ms;
} expiry;

static void delete_expired(void *self, entry *e)
{
    expiry *x = self;

    if (get_window_start(entry_key(x->of->groups, e).data) < x->before_ms) state_table_delete(x->of->groups, e);
}

/* Windows that started longer ago than the retention go, a step of at least a sixteenth of it at a time. */
static weir_rc expire_windows(aggregate_op *a, weir_error *err)
{
    if (a->time.now_ms == TIME_UNKNOWN) return WEIR_OK;
    int64_t before = a->time.now_ms - a->retention_ms;
    int64_t step_ms = a->retention_ms / 16 > a->window.advance_ms ? a->retention_ms / 16 : a->window.advance_ms;
    if (a->expired_to_ms != INT64_MIN && before - a->expired_to_ms < step_ms) return WEIR_OK;

    char to[8];
    state_cursor *cursor;
    slice key, value;
    bool more;
    weir_rc rc;
    uint32_t deleted = 0;
    expiry all = { a, before };
    state_table_each(a->groups, delete_expired, &all);
    put_window_start(to, before);
    WEIR_TRY(task_state_scan(a->base.task->state, (uint16_t)a->base.step->id, text_slice(&a->expired_to), (slice){ to, 8 }, &cursor, err));
    while ((rc = state_cursor_next(cursor, &key, &value, &more, err)) == WEIR_OK && more && deleted < EXPIRE_KEYS_MAX) {
        if (state_table_holds(a->groups, key)) continue;
        change_list_add(&a->expired, (state_change){ (uint16_t)a->base.step->id, arena_copy(a->expired_keys, key), NO_SLICE });
        deleted++;
    }
    if (rc == WEIR_OK) {
        if (!more) a->expired_to_ms = before;
        text_clear(&a->expired_to);
        text_add(&a->expired_to, more ? key : (slice){ to, 8 });
    }
    state_cursor_close(cursor);
    return rc;
}

static weir_rc aggregate_release(op *self, weir_error *err)
{
    aggregate_op *a = (aggregate_op *)self;
    uint32_t count;

    if (a->is_final || a->every_change) return WEIR_OK;
    entry *const *news = state_table_news(a->groups, &count);
    return emit_groups(a, news, count, err);
}

static weir_rc aggregate_flush(op *self, weir_error *err)
{
    aggregate_op *a = (aggregate_op *)self;

    if (a->is_final) WEIR_TRY(close_windows(a, err));
    return is_windowed(a) ? expire_windows(a, err) : WEIR_OK;
}

static void aggregate_seal(op *self, arena *memory, change_list *changes)
{
    aggregate_op *a = (aggregate_op *)self;

    state_table_seal(a->groups, memory, changes);
    for (uint32_t i = 0; i < a->expired.count; i++) change_list_add(changes, a->expired.items[i]);
    event_time_seal(&a->time, (uint16_t)self->step->id, memory, changes);
}

static void aggregate_committed(op *self)
{
    aggregate_op *a = (aggregate_op *)self;

    a->expired.count = 0;
    arena_reset(a->expired_keys);
    state_table_committed(a->groups);
}

static weir_rc aggregate_forget(op *self, weir_error *err)
{
    aggregate_op *a = (aggregate_op *)self;

    a->expired.count = 0;
    arena_reset(a->expired_keys);
    state_table_forget(a->groups);
    return load_state(a, err);
}

static size_t aggregate_dirty_bytes(const op *self)
{
    return state_table_dirty_bytes(((const aggregate_op *)self)->groups);
}

static size_t aggregate_state_bytes(const op *self)
{
    return state_table_bytes(((const aggregate_op *)self)->groups);
}

static void aggregate_close(op *self)
{
    aggregate_op *a = (aggregate_op *)self;

    state_table_free(a->groups);
    change_list_free(&a->expired);
    arena_free(a->expired_keys);
    text_free(&a->expired_to);
}

const op_class op_aggregate = { "Aggregate",           aggregate_open,        aggregate_batch, aggregate_watermark,
                                aggregate_release,     aggregate_flush,       aggregate_seal,  aggregate_committed,
                                aggregate_forget,      aggregate_dirty_bytes, aggregate_state_bytes, aggregate_close };
