/* executor/op_session.c - GROUP BY with session windows: a row joins the sessions of its key that it lies within a gap of,
 * and merges them into one.
 *
 * The state of a key is the list of its sessions that are still kept, by start. Rows find their session one after another,
 * since each may change the sessions of the next; they are stepped together, up to the next merge. */
#include "core/must.h"
#include "executor/agg_list.h"
#include "executor/event_time.h"
#include "executor/key.h"

#include <stdlib.h>

typedef struct session {
    int64_t start_ms, end_ms; /* both inclusive */
    int64_t emitted_start_ms, emitted_end_ms; /* the bounds under which it was last emitted, if it was */
    char *group; /* in the slab; a struct group with its accumulators */
    bool is_changed; /* since the last flush */
} session;

typedef struct session_list { /* the payload */
    session *items; /* in the slab */
    uint32_t count, room;
} __attribute__((aligned(16))) session_list;

typedef struct emission { /* one row to be given on */
    const entry *of;
    int64_t start_ms, end_ms, event_ms;
    uint32_t row;  /* of the running results; coalesced: unused */
    char *group;   /* coalesced: whose results; NULL: a tombstone */
    slice last;    /* packed former results, where someone wants them */
    const header_list *headers; /* of the row that caused it; NULL: none */
} emission;

typedef struct due { /* a session of the key may be closed by then: it may have grown, or be gone */
    int64_t end_ms;
    char *key; /* malloc'd */
    uint32_t key_len;
} due;

#define EXPIRE_KEYS_MAX 20000 /* looked at in one epoch: the rest follows in the next */

typedef struct session_op {
    op base;
    agg_list aggs;
    int64_t gap_ms, grace_ms, retention_ms;
    state_table *keys;
    event_time time;
    bool is_final, every_change;
    due *heap; /* EMIT FINAL: least end first; at least one for each session that is not closed */
    uint32_t heap_count, heap_room;
    int64_t swept_ms;       /* when what is past its retention was last looked for */
    int64_t sweep_to_ms;    /* sessions that ended before this go, while the stored ones are gone through: */
    text sweep_key;         /* from here on */
    bool is_sweeping;
    emission *emissions;
    uint32_t emission_count, emission_room;
    const header_list *headers; /* every-change: of the row at hand; NULL: none */
} session_op;

/* ---- the payload ---- */

static session *list_insert(slab *memory, session_list *l, uint32_t at)
{
    if (l->count == l->room) {
        uint32_t room = l->room == 0 ? 1 : l->room * 2;
        session *items = slab_alloc(memory, room * sizeof *items);
        if (l->count > 0) memcpy(items, l->items, l->count * sizeof *items);
        slab_free(memory, l->items, l->room * sizeof *items);
        l->items = items;
        l->room = room;
    }
    memmove(l->items + at + 1, l->items + at, (l->count - at) * sizeof *l->items);
    l->count++;
    l->items[at] = (session){ 0 };
    return &l->items[at];
}

static void free_group(session_op *s, char *group)
{
    group_drop(&s->aggs, group);
    slab_free(s->aggs.context.slab, group, s->aggs.bytes);
}

static char *new_group(session_op *s)
{
    char *group = slab_alloc(s->aggs.context.slab, s->aggs.bytes);

    memset(group, 0, s->aggs.bytes);
    return group;
}

/* Takes sessions [from, to) out of the list; their groups are the caller's. */
static void list_remove(session_list *l, uint32_t from, uint32_t to)
{
    memmove(l->items + from, l->items + to, (l->count - to) * sizeof *l->items);
    l->count -= to - from;
}

static void sessions_encode(void *self, const void *payload, text *out)
{
    session_op *s = self;
    const session_list *l = payload;

    text_add_varint(out, l->count);
    for (uint32_t i = 0; i < l->count; i++) {
        const session *one = &l->items[i];
        text_add_u64(out, (uint64_t)one->start_ms);
        text_add_u64(out, (uint64_t)one->end_ms);
        text_add_u64(out, (uint64_t)one->emitted_start_ms);
        text_add_u64(out, (uint64_t)one->emitted_end_ms);
        group_encode(&s->aggs, one->group, out);
    }
}

static void sessions_drop(void *self, void *payload)
{
    session_op *s = self;
    session_list *l = payload;

    for (uint32_t i = 0; i < l->count; i++) free_group(s, l->items[i].group);
    slab_free(s->aggs.context.slab, l->items, l->room * sizeof *l->items);
    *l = (session_list){ 0 };
}

static bool sessions_decode(void *self, reader_bytes *in, void *payload)
{
    session_op *s = self;
    session_list *l = payload;
    uint64_t count = read_varint(in);

    for (uint64_t i = 0; i < count && !in->bad; i++) {
        session one = { .start_ms = (int64_t)read_u64(in) };
        one.end_ms = (int64_t)read_u64(in);
        one.emitted_start_ms = (int64_t)read_u64(in);
        one.emitted_end_ms = (int64_t)read_u64(in);
        one.group = new_group(s);
        if (in->bad || !group_decode(&s->aggs, in, one.group)) {
            slab_free(s->aggs.context.slab, one.group, s->aggs.bytes);
            in->bad = true;
            break;
        }
        *list_insert(s->aggs.context.slab, l, l->count) = one;
    }
    if (in->bad) sessions_drop(self, payload);
    return !in->bad;
}

/* ---- sessions that will close ---- */

static void heap_push(session_op *s, int64_t end_ms, slice key)
{
    due one = { end_ms, must(malloc(key.len + 1)), (uint32_t)key.len };
    uint32_t at = s->heap_count++;

    memcpy(one.key, key.data, key.len);
    if (s->heap_count > s->heap_room) {
        s->heap_room = s->heap_room == 0 ? 64 : s->heap_room * 2;
        s->heap = must(realloc(s->heap, s->heap_room * sizeof *s->heap));
    }
    for (; at > 0 && end_ms < s->heap[(at - 1) / 2].end_ms; at = (at - 1) / 2) s->heap[at] = s->heap[(at - 1) / 2];
    s->heap[at] = one;
}

/* The caller frees its key. */
static due heap_pop(session_op *s)
{
    due first = s->heap[0], last = s->heap[--s->heap_count];
    uint32_t at = 0;

    for (;;) {
        uint32_t next = 2 * at + 1;
        if (next >= s->heap_count) break;
        if (next + 1 < s->heap_count && s->heap[next + 1].end_ms < s->heap[next].end_ms) next++;
        if (s->heap[next].end_ms >= last.end_ms) break;
        s->heap[at] = s->heap[next];
        at = next;
    }
    if (s->heap_count > 0) s->heap[at] = last;
    return first;
}

static void heap_clear(session_op *s)
{
    for (uint32_t i = 0; i < s->heap_count; i++) free(s->heap[i].key);
    s->heap_count = 0;
}

/* When the first of the key's open sessions ended. */
static void push_open(session_op *s, const session_list *l, slice key)
{
    int64_t least = INT64_MAX;

    for (uint32_t i = 0; i < l->count; i++) {
        if (!((group *)l->items[i].group)->is_final && l->items[i].end_ms < least) least = l->items[i].end_ms;
    }
    if (least != INT64_MAX) heap_push(s, least, key);
}

static weir_rc load_open(session_op *s, weir_error *err)
{
    state_cursor *cursor;
    slice key, value;
    bool more;
    weir_rc rc;

    heap_clear(s);
    if (!s->is_final) return WEIR_OK;
    WEIR_TRY(task_state_scan(s->base.task->state, (uint16_t)s->base.step->id, NO_SLICE, NO_SLICE, &cursor, err));
    while ((rc = state_cursor_next(cursor, &key, &value, &more, err)) == WEIR_OK && more) {
        session_list l = { 0 };
        reader_bytes in = read_from(value);
        if (!sessions_decode(s, &in, &l)) continue; /* whoever asks for the key says what is wrong */
        push_open(s, &l, key);
        sessions_drop(s, &l);
    }
    state_cursor_close(cursor);
    return rc;
}

/* ---- life ---- */

static weir_rc load_state(session_op *s, weir_error *err)
{
    s->swept_ms = INT64_MIN;
    s->is_sweeping = false;
    WEIR_TRY(state_table_open(s->keys, err));
    WEIR_TRY(load_open(s, err));
    return event_time_load(&s->time, s->base.task->state, (uint16_t)s->base.step->id, err);
}

static weir_rc session_open(op *self, weir_error *err)
{
    session_op *s = (session_op *)self;
    task *t = self->task;
    const window_spec *w = &self->step->aggregate.window;

    s->gap_ms = w->size_ms;
    s->grace_ms = window_grace_ms(w);
    s->retention_ms = window_retention_ms(w);
    s->is_final = self->next != NULL && self->next->step->kind == STEP_FINAL;
    s->every_change = t->shared->every_change && !s->is_final;
    agg_list_open(&s->aggs, t, self->step, self->step->wants_old, t->plan_arena);
    const payload_class class = { s, sizeof(session_list), NULL, sessions_encode, sessions_decode, sessions_drop };
    s->keys = state_table_new(t->state, (uint16_t)self->step->id, &class, t->memory, t->shared->state_budget_bytes);
    event_time_open(&s->time, task_upstreams(self), t->plan_arena);
    return load_state(s, err);
}

/* ---- output ---- */

static void add_emission(session_op *s, emission e)
{
    if (s->emission_count == s->emission_room) {
        s->emission_room = s->emission_room == 0 ? 256 : s->emission_room * 2;
        s->emissions = must(realloc(s->emissions, s->emission_room * sizeof *s->emissions));
    }
    e.headers = s->headers;
    s->emissions[s->emission_count++] = e;
}

/* The former row, kept for whoever reads batch.old; in the batch arena. */
static slice take_last(session_op *s, group *g)
{
    slice last = arena_copy(s->base.task->batch_arena, group_last(&s->aggs, g));

    group_forget_last(&s->aggs, g);
    return last;
}

static void recall(session_op *s, slice last, batch *old, uint32_t row)
{
    bool there = group_recall(&s->aggs, last, old->columns + s->aggs.key_count, row, old->arena);

    old->kind[row] = there ? ROW_NORMAL : ROW_TOMBSTONE;
}

/* Gives the collected rows on. running: the results by row (every-change); NULL: from the groups. */
static weir_rc emit_collected(session_op *s, arena *memory, const column *running, weir_error *err)
{
    uint32_t rows = s->emission_count, key_count = s->aggs.key_count;
    const schema *schema_out = &s->base.step->schema;
    uint32_t *with_group = ARENA_ARRAY(memory, uint32_t, rows);
    uint32_t with_group_count = 0;
    char **groups = ARENA_ARRAY(memory, char *, rows);

    if (rows == 0) return WEIR_OK;
    batch *out = batch_new(memory, schema_out, rows, true);
    if (s->aggs.keeps_last) out->old = batch_new(memory, schema_out, rows, true);
    for (uint32_t i = 0; i < rows; i++) {
        const emission *e = &s->emissions[i];
        key_decode(entry_key(s->keys, e->of), out->columns, key_count, i, memory);
        out->window_start[i] = e->start_ms;
        out->window_end[i] = e->end_ms;
        out->event_ms[i] = e->event_ms;
        if (e->headers != NULL && out->headers == NULL) out->headers = ARENA_ZEROS(memory, header_list, rows);
        if (e->headers != NULL) out->headers[i] = *e->headers;
        out->kind[i] = e->group == NULL ? ROW_TOMBSTONE : ROW_NORMAL;
        for (uint32_t k = 0; k < s->aggs.count; k++) {
            if (e->group == NULL) {
                out->columns[key_count + k].null[i] = 1;
            } else if (running != NULL) {
                column_copy_row(&out->columns[key_count + k], i, &running[k], e->row);
            }
        }
        groups[i] = e->group;
        with_group[with_group_count] = i;
        with_group_count += e->group != NULL;
        if (s->aggs.keeps_last) recall(s, e->last, out->old, i);
    }
    if (running == NULL) agg_list_results(&s->aggs, groups, (row_set){ with_group, with_group_count }, out->columns + key_count);
    for (uint32_t i = 0; s->aggs.keeps_last && i < rows; i++) {
        for (uint32_t k = 0; k < key_count; k++) column_copy_row(&out->old->columns[k], i, &out->columns[k], i);
        out->old->event_ms[i] = out->event_ms[i];
        out->old->window_start[i] = out->window_start[i];
        out->old->window_end[i] = out->window_end[i];
    }
    s->emission_count = 0;
    return op_emit(&s->base, out, err);
}

/* A session goes, or changes its bounds: whoever knows it under the old ones must forget it. */
static void emit_tombstone(session_op *s, const entry *of, const session *old)
{
    add_emission(s, (emission){ .of = of, .start_ms = old->emitted_start_ms, .end_ms = old->emitted_end_ms,
                                .event_ms = old->emitted_end_ms, .last = take_last(s, (group *)old->group) });
}

/* ---- input ---- */

typedef struct pending { /* rows that know their session and wait to be stepped */
    agg_input from;
    uint32_t *index;
    uint32_t count;
    char **groups;
    column **args;
    column *running;
} pending;

static weir_rc step_pending(session_op *s, pending *p, weir_error *err)
{
    row_set rows = { p->index, p->count };

    if (p->count == 0) return WEIR_OK;
    p->index += p->count;
    p->count = 0;
    return agg_list_step(&s->aggs, &p->from, p->groups, p->args, rows, p->running, err);
}

/* The sessions [from, to) that the row's time lies within a gap of; with EMIT FINAL, of those that are not closed: what
 * was given out stays as it is. Sessions stand in the order of their ends. */
static void find_touching(const session_op *s, const session_list *l, int64_t event_ms, int64_t closed_ms, uint32_t *from,
                          uint32_t *to)
{
    uint32_t low = 0, high = l->count;
    int64_t end_min_ms = event_ms - s->gap_ms;

    if (s->is_final && closed_ms > end_min_ms) end_min_ms = closed_ms;
    while (low < high) { /* the first whose end reaches up to the row */
        uint32_t middle = (low + high) / 2;
        if (l->items[middle].end_ms < end_min_ms) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *from = *to = low;
    while (*to < l->count && l->items[*to].start_ms <= event_ms + s->gap_ms) (*to)++;
}

/* Sessions that ended before this take no more rows. */
static int64_t closed_before(const session_op *s, int64_t time_ms)
{
    return time_ms == TIME_UNKNOWN ? INT64_MIN : time_ms - s->grace_ms - s->gap_ms;
}

static weir_rc add_row(session_op *s, const batch *in, uint32_t r, entry *e, int64_t own_ms, int64_t now_ms, pending *p,
                       weir_error *err)
{
    session_list *l = entry_payload(e);
    int64_t at = in->event_ms[r], start = at, end = at;
    uint32_t from, to;

    int64_t closed_ms = closed_before(s, own_ms);

    find_touching(s, l, at, closed_before(s, now_ms), &from, &to);
    if (from < to) {
        if (l->items[from].start_ms < start) start = l->items[from].start_ms;
        if (l->items[to - 1].end_ms > end) end = l->items[to - 1].end_ms;
    }
    if (end < closed_ms) {
        task_report_late(&s->base, in, r, start, end, closed_ms);
        return WEIR_OK;
    }
    session *mine;
    if (from == to) {
        mine = list_insert(s->aggs.context.slab, l, from);
        mine->group = new_group(s);
        group_init(&s->aggs, mine->group);
        if (s->is_final) heap_push(s, end, entry_key(s->keys, e));
    } else {
        bool is_point = start == at && end == at; /* as in Kafka Streams: then nothing is withdrawn */
        if (to - from > 1 || s->every_change) WEIR_TRY(step_pending(s, p, err));
        for (uint32_t i = from; i < to; i++) {
            session *old = &l->items[i];
            bool is_known = ((group *)old->group)->is_emitted;
            if (is_known && ((s->every_change && !is_point) || (!s->every_change && i > from))) emit_tombstone(s, e, old);
            if (i == from) continue;
            agg_list_merge(&s->aggs, l->items[from].group, old->group, r);
            free_group(s, old->group);
        }
        list_remove(l, from + 1, to);
        mine = &l->items[from];
    }
    mine->start_ms = start;
    mine->end_ms = end;
    mine->is_changed = true;
    group *g = (group *)mine->group;
    if (end > g->event_ms) g->event_ms = end;
    p->groups[r] = mine->group;
    p->index[p->count++] = r;
    state_table_touch(s->keys, e);
    if (s->every_change) {
        add_emission(s, (emission){ .of = e, .start_ms = start, .end_ms = end, .event_ms = end, .row = r, .group = mine->group,
                                    .last = take_last(s, g) });
        g->is_emitted = true;
        mine->emitted_start_ms = start;
        mine->emitted_end_ms = end;
        WEIR_TRY(step_pending(s, p, err));
        if (s->aggs.keeps_last) group_remember(&s->aggs, g, p->running, r);
    }
    return WEIR_OK;
}

static weir_rc session_batch(op *self, batch *in, weir_error *err)
{
    session_op *s = (session_op *)self;
    arena *memory = in->arena;
    slice *keys = ARENA_ARRAY(memory, slice, in->rows);
    int64_t *time_ms = ARENA_ARRAY(memory, int64_t, in->rows), *now_ms = ARENA_ARRAY(memory, int64_t, in->rows);
    entry **entries = ARENA_ARRAY(memory, entry *, in->rows);
    row_set rows = rows_with_whole_key(in, s->aggs.key_count);
    pending p = { .from = { .in = in }, .index = ARENA_ARRAY(memory, uint32_t, rows.count),
                  .groups = ARENA_ARRAY(memory, char *, in->rows) };

    keys_encode(in->columns, s->aggs.key_count, rows, in->rows, memory, keys);
    event_time_advance(&s->time, in, rows, time_ms, now_ms);
    p.args = agg_list_args(&s->aggs, self->task, in, rows);
    if (s->every_change) {
        p.running = ARENA_ARRAY(memory, column, s->aggs.count);
        for (uint32_t i = 0; i < s->aggs.count; i++) {
            p.running[i] = column_new(memory, self->step->schema.columns[s->aggs.key_count + i].type, in->rows);
        }
    }
    WEIR_TRY(state_table_find_or_add(s->keys, keys, rows, entries, err));
    EACH_ROW (r, rows) {
        s->headers = s->every_change && in->headers != NULL ? &in->headers[r] : NULL;
        WEIR_TRY(add_row(s, in, r, entries[r], time_ms[r], now_ms[r], &p, err));
    }
    s->headers = NULL;
    WEIR_TRY(step_pending(s, &p, err));
    return s->every_change ? emit_collected(s, memory, p.running, err) : emit_collected(s, memory, NULL, err);
}

static weir_rc session_watermark(op *self, int32_t upstream, int64_t event_ms, bool is_idle, weir_error *err)
{
    session_op *s = (session_op *)self;

    event_time_mark(&s->time, upstream, event_ms, is_idle);
    return op_pass_watermark(self, upstream, event_ms, is_idle, err);
}

/* ---- the end of an epoch ---- */

static void emit_changed(session_op *s, entry *e)
{
    session_list *l = entry_payload(e);

    for (uint32_t i = 0; i < l->count; i++) {
        session *one = &l->items[i];
        group *g = (group *)one->group;
        if (!one->is_changed) continue;
        bool moved = one->emitted_start_ms != one->start_ms || one->emitted_end_ms != one->end_ms;
        if (g->is_emitted && moved) emit_tombstone(s, e, one);
        add_emission(s, (emission){ .of = e, .start_ms = one->start_ms, .end_ms = one->end_ms, .event_ms = g->event_ms,
                                    .group = one->group, .last = take_last(s, g) });
        g->is_emitted = true;
        one->emitted_start_ms = one->start_ms;
        one->emitted_end_ms = one->end_ms;
        one->is_changed = false;
    }
}

/* What was given on is what the next emission replaces. */
static void remember_emitted(session_op *s, const batch *out, char *const *groups)
{
    for (uint32_t i = 0; i < out->rows; i++) {
        if (groups[i] != NULL) group_remember(&s->aggs, (group *)groups[i], out->columns + s->aggs.key_count, i);
    }
}

/* Emits in batches, so that an epoch that touched many keys takes no more memory than one batch. */
static weir_rc emit_some(session_op *s, bool all, weir_error *err)
{
    task *t = s->base.task;

    if (s->emission_count == 0 || (!all && s->emission_count < t->shared->batch_rows)) return WEIR_OK;
    if (s->aggs.keeps_last) {
        uint32_t rows = s->emission_count;
        char **groups = ARENA_ARRAY(t->batch_arena, char *, rows);
        batch *results = batch_new(t->batch_arena, &s->base.step->schema, rows, true);
        uint32_t *index = ARENA_ARRAY(t->batch_arena, uint32_t, rows), count = 0;
        for (uint32_t i = 0; i < rows; i++) {
            groups[i] = s->emissions[i].group;
            index[count] = i;
            count += groups[i] != NULL;
        }
        agg_list_results(&s->aggs, groups, (row_set){ index, count }, results->columns + s->aggs.key_count);
        remember_emitted(s, results, groups);
    }
    weir_rc rc = emit_collected(s, t->batch_arena, NULL, err);
    arena_reset(t->batch_arena);
    return rc;
}

static int by_end_then_key(const void *x, const void *y, void *self)
{
    const emission *a = x, *b = y;
    session_op *s = self;

    if (a->end_ms != b->end_ms) return a->end_ms < b->end_ms ? -1 : 1;
    return slice_compare(entry_key(s->keys, a->of), entry_key(s->keys, b->of));
}

/* EMIT FINAL: emits what has closed, by end and key. */
static weir_rc close_sessions(session_op *s, weir_error *err)
{
    int64_t closed_ms = closed_before(s, s->time.now_ms);

    while (s->heap_count > 0 && s->heap[0].end_ms < closed_ms) {
        due first = heap_pop(s);
        entry *e;
        weir_rc rc = state_table_find(s->keys, (slice){ first.key, first.key_len }, false, &e, err);
        session_list *l = rc != WEIR_OK || e == NULL ? NULL : entry_payload(e);
        free(first.key);
        WEIR_TRY(rc);
        for (uint32_t i = 0; l != NULL && i < l->count; i++) {
            session *one = &l->items[i];
            group *g = (group *)one->group;
            if (g->is_final || one->end_ms >= closed_ms) continue;
            g->is_final = g->is_emitted = true;
            state_table_touch(s->keys, e);
            add_emission(s, (emission){ .of = e, .start_ms = one->start_ms, .end_ms = one->end_ms,
                                        .event_ms = g->event_ms, .group = one->group });
        }
        if (l != NULL) push_open(s, l, entry_key(s->keys, e));
    }
    if (s->emission_count > 0) qsort_r(s->emissions, s->emission_count, sizeof *s->emissions, by_end_then_key, s);
    return emit_some(s, true, err);
}

static void drop_expired(void *self, entry *e)
{
    session_op *s = self;
    session_list *l = entry_payload(e);
    uint32_t gone = 0;

    while (gone < l->count && l->items[gone].end_ms < s->sweep_to_ms) free_group(s, l->items[gone++].group);
    if (gone == 0 && l->count > 0) return;
    list_remove(l, 0, gone);
    if (l->count == 0) {
        state_table_delete(s->keys, e);
    } else {
        state_table_touch(s->keys, e);
    }
}

/* The keys that are in memory have been gone through; of the others some in each epoch. */
static weir_rc sweep_stored(session_op *s, weir_error *err)
{
    state_cursor *cursor;
    slice key, value;
    bool more;
    weir_rc rc;
    uint32_t looked_at = 0;

    WEIR_TRY(task_state_scan(s->base.task->state, (uint16_t)s->base.step->id, text_slice(&s->sweep_key), NO_SLICE, &cursor, err));
    while ((rc = state_cursor_next(cursor, &key, &value, &more, err)) == WEIR_OK && more) {
        entry *e;
        if (looked_at++ == EXPIRE_KEYS_MAX) {
            text_clear(&s->sweep_key);
            text_add(&s->sweep_key, key);
            break;
        }
        if (state_table_holds(s->keys, key)) continue;
        if ((rc = state_table_find(s->keys, key, false, &e, err)) != WEIR_OK) break;
        if (e != NULL) drop_expired(s, e);
    }
    state_cursor_close(cursor);
    if (rc == WEIR_OK && !more) s->is_sweeping = false;
    return rc;
}

/* Drops what is past its retention, a step of at least a sixteenth of it at a time. */
static weir_rc expire_sessions(session_op *s, weir_error *err)
{
    int64_t now = s->time.now_ms, step_ms = s->retention_ms / 16 > s->gap_ms ? s->retention_ms / 16 : s->gap_ms;

    if (s->swept_ms == INT64_MIN && !s->is_final) s->swept_ms = now;
    if (!s->is_sweeping) {
        if (s->swept_ms != INT64_MIN && now - s->swept_ms < step_ms) return WEIR_OK;
        s->swept_ms = now;
        s->sweep_to_ms = now - s->retention_ms;
        s->is_sweeping = true;
        text_clear(&s->sweep_key);
        state_table_each(s->keys, drop_expired, s);
        if (state_table_all_in_memory(s->keys)) s->is_sweeping = false;
    }
    return s->is_sweeping ? sweep_stored(s, err) : WEIR_OK;
}

static weir_rc session_release(op *self, weir_error *err)
{
    session_op *s = (session_op *)self;
    uint32_t count;

    if (s->is_final || s->every_change) return WEIR_OK;
    arena_reset(self->task->batch_arena);
    entry *const *news = state_table_news(s->keys, &count);
    for (uint32_t i = 0; i < count; i++) {
        if (!news[i]->is_deleted) emit_changed(s, news[i]);
        WEIR_TRY(emit_some(s, false, err));
    }
    return emit_some(s, true, err);
}

static weir_rc session_flush(op *self, weir_error *err)
{
    session_op *s = (session_op *)self;

    arena_reset(self->task->batch_arena);
    if (s->time.now_ms == TIME_UNKNOWN) return WEIR_OK;
    if (s->is_final) WEIR_TRY(close_sessions(s, err));
    return expire_sessions(s, err);
}

static void session_seal(op *self, arena *memory, change_list *changes)
{
    session_op *s = (session_op *)self;

    state_table_seal(s->keys, memory, changes);
    event_time_seal(&s->time, (uint16_t)self->step->id, memory, changes);
}

static void session_committed(op *self)
{
    state_table_committed(((session_op *)self)->keys);
}

static weir_rc session_forget(op *self, weir_error *err)
{
    session_op *s = (session_op *)self;

    s->emission_count = 0;
    s->headers = NULL;
    state_table_forget(s->keys);
    return load_state(s, err);
}

static size_t session_dirty_bytes(const op *self)
{
    return state_table_dirty_bytes(((const session_op *)self)->keys);
}

static size_t session_state_bytes(const op *self)
{
    return state_table_bytes(((const session_op *)self)->keys);
}

static void session_close(op *self)
{
    session_op *s = (session_op *)self;

    state_table_free(s->keys);
    heap_clear(s);
    free(s->heap);
    text_free(&s->sweep_key);
    free(s->emissions);
}

const op_class op_session = { "SessionAggregate", session_open,   session_batch,       session_watermark,
                              session_release,    session_flush,  session_seal,        session_committed, session_forget,
                              session_dirty_bytes, session_state_bytes, session_close };
