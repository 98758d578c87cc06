/* executor/op_join_stream.c - two streams joined within a time of each other.
 *
 * Each side keeps its rows for as long as a row of the other may still meet them: before + after + grace, by that side's own
 * time. A key's rows of one stretch of time stand in one entry, a list by time, so that a key with many rows rewrites only
 * the stretch that changes, and what is too old goes by the range.
 *
 * A row of a side that is kept (LEFT, RIGHT, FULL) and has no match comes out padded with nulls: at once, unless the join
 * has a GRACE; then when its window has closed, in order of time, before the row that closed it. */
#include "core/date.h"
#include "core/must.h"
#include "executor/event_time.h"
#include "executor/key.h"
#include "executor/op_join.h"

#include <stdlib.h>

typedef struct kept_row {
    int64_t event_ms;
    char *bytes; /* packed, in the slab */
    uint32_t len;
    bool waits; /* had no match yet: comes out padded when its window closes */
} kept_row;

typedef struct row_list { /* the payload */
    kept_row *items;      /* in the slab; by time, then arrival */
    uint32_t count, room;
} __attribute__((aligned(16))) row_list;

typedef struct waiting { /* a key's rows of one time that may have to come out padded */
    int64_t event_ms;
    uint8_t side;
    slice key; /* in state, without side and stretch; on the heap */
} waiting;

typedef struct emission { /* one row to be given on */
    uint32_t row;         /* of the batch; UINT32_MAX: none, the row is one that waited */
    uint8_t side;         /* of `kept` */
    slice kept;           /* packed; absent: the other side is null */
    slice key;            /* where there is no row of the batch */
    int64_t event_ms;
} emission;

typedef struct stream_join_op {
    op base;
    join_side sides[2];
    state_table *rows;
    event_time time[2];
    int64_t before_ms[2], after_ms[2]; /* how far back and ahead of a row of this side the other's may be */
    int64_t grace_ms;                  /* -1: pad at once */
    int64_t retention_ms, stretch_ms;
    int64_t expired_to_ms[2];
    text expired_to[2]; /* the next look begins at this key, not at what is gone */
    waiting *heap;
    uint32_t heap_count, heap_room;
    int64_t closed_to_ms;              /* the time up to which windows have been closed */
    emission *emissions;
    uint32_t emission_count, emission_room;
    change_list expired;               /* deletions of entries that are not in memory */
    arena *expired_keys;
} stream_join_op;

#define STRETCH_MS_MIN 1000
#define EXPIRE_KEYS_MAX 20000 /* in one epoch: the rest follows in the next */
#define EMISSIONS_MAX 4096    /* gathered before they are given on */

/* ---- the payload ---- */

static void list_insert(slab *memory, row_list *l, kept_row row)
{
    uint32_t at = l->count;

    if (l->count == l->room) {
        uint32_t room = l->room == 0 ? 1 : l->room * 2;
        kept_row *items = slab_alloc(memory, room * sizeof *items);
        if (l->count > 0) memcpy(items, l->items, l->count * sizeof *items);
        slab_free(memory, l->items, l->room * sizeof *items);
        l->items = items;
        l->room = room;
    }
    while (at > 0 && l->items[at - 1].event_ms > row.event_ms) at--;
    memmove(l->items + at + 1, l->items + at, (l->count - at) * sizeof *l->items);
    l->items[at] = row;
    l->count++;
}

static char *copy_bytes(slab *memory, slice bytes)
{
    char *copy = slab_alloc(memory, bytes.len);

    memcpy(copy, bytes.data, bytes.len);
    return copy;
}

static void list_encode(void *self, const void *payload, text *out)
{
    const row_list *l = payload;

    (void)self;
    text_add_varint(out, l->count);
    for (uint32_t i = 0; i < l->count; i++) {
        text_add_u64(out, (uint64_t)l->items[i].event_ms);
        text_add_char(out, l->items[i].waits);
        text_add_varint(out, l->items[i].len);
        text_add(out, (slice){ l->items[i].bytes, l->items[i].len });
    }
}

static void list_drop(void *self, void *payload)
{
    slab *memory = ((stream_join_op *)self)->base.task->memory;
    row_list *l = payload;

    for (uint32_t i = 0; i < l->count; i++) slab_free(memory, l->items[i].bytes, l->items[i].len);
    slab_free(memory, l->items, l->room * sizeof *l->items);
    *l = (row_list){ 0 };
}

static bool list_decode(void *self, reader_bytes *in, void *payload)
{
    slab *memory = ((stream_join_op *)self)->base.task->memory;
    uint64_t count = read_varint(in);

    for (uint64_t i = 0; i < count && !in->bad; i++) {
        kept_row row = { .event_ms = (int64_t)read_u64(in) };
        row.waits = read_u8(in);
        slice bytes = read_slice(in);
        if (in->bad) break;
        row.bytes = copy_bytes(memory, bytes);
        row.len = (uint32_t)bytes.len;
        list_insert(memory, payload, row);
    }
    if (in->bad) list_drop(self, payload);
    return !in->bad;
}

/* ---- keys: side, start of the stretch, the row's key ---- */

#define KEY_PREFIX 9

static int64_t stretch_of(const stream_join_op *j, int64_t event_ms)
{
    int64_t rest = event_ms % j->stretch_ms;

    return event_ms - (rest < 0 ? rest + j->stretch_ms : rest);
}

static slice stretch_key(arena *a, uint32_t side, int64_t start_ms, slice key)
{
    char *bytes = arena_alloc(a, KEY_PREFIX + key.len);

    bytes[0] = (char)side;
    put_window_start(bytes + 1, start_ms);
    if (key.len > 0) memcpy(bytes + KEY_PREFIX, key.data, key.len);
    return (slice){ bytes, KEY_PREFIX + key.len };
}

/* ---- rows that wait: the one whose time is least on top; of one time the right side's first, as Kafka Streams sorts them ---- */

static bool comes_before(const waiting *x, const waiting *y)
{
    if (x->event_ms != y->event_ms) return x->event_ms < y->event_ms;
    if (x->side != y->side) return x->side > y->side;
    return slice_compare(x->key, y->key) < 0;
}

static void heap_push(stream_join_op *j, int64_t event_ms, uint8_t side, slice key)
{
    char *copy = must(malloc(key.len + 1));
    waiting w = { event_ms, side, { copy, key.len } };
    uint32_t at = j->heap_count++;

    memcpy(copy, key.data, key.len);
    if (j->heap_count > j->heap_room) {
        j->heap_room = j->heap_room == 0 ? 64 : j->heap_room * 2;
        j->heap = must(realloc(j->heap, j->heap_room * sizeof *j->heap));
    }
    for (; at > 0 && comes_before(&w, &j->heap[(at - 1) / 2]); at = (at - 1) / 2) j->heap[at] = j->heap[(at - 1) / 2];
    j->heap[at] = w;
}

static void heap_pop(stream_join_op *j)
{
    free((char *)j->heap[0].key.data);
    waiting last = j->heap[--j->heap_count];
    uint32_t at = 0;

    for (;;) {
        uint32_t next = 2 * at + 1;
        if (next >= j->heap_count) break;
        if (next + 1 < j->heap_count && comes_before(&j->heap[next + 1], &j->heap[next])) next++;
        if (!comes_before(&j->heap[next], &last)) break;
        j->heap[at] = j->heap[next];
        at = next;
    }
    if (j->heap_count > 0) j->heap[at] = last;
}

static void heap_clear(stream_join_op *j)
{
    for (uint32_t i = 0; i < j->heap_count; i++) free((char *)j->heap[i].key.data);
    j->heap_count = 0;
}

/* ---- life ---- */

static bool pads_later(const stream_join_op *j)
{
    return j->grace_ms >= 0 && (j->sides[LEFT_SIDE].is_kept || j->sides[RIGHT_SIDE].is_kept);
}

static weir_rc load_waiting(stream_join_op *j, weir_error *err)
{
    state_cursor *cursor;
    slice key, value;
    bool more;
    weir_rc rc;

    heap_clear(j);
    if (!pads_later(j)) return WEIR_OK;
    WEIR_TRY(task_state_scan(j->base.task->state, (uint16_t)j->base.step->id, NO_SLICE, NO_SLICE, &cursor, err));
    while ((rc = state_cursor_next(cursor, &key, &value, &more, err)) == WEIR_OK && more) {
        reader_bytes in = read_from(value);
        for (uint64_t count = read_varint(&in); count > 0 && !in.bad && key.len >= KEY_PREFIX; count--) {
            int64_t event_ms = (int64_t)read_u64(&in);
            bool waits = read_u8(&in);
            (void)read_slice(&in);
            if (waits) heap_push(j, event_ms, (uint8_t)key.data[0], (slice){ key.data + KEY_PREFIX, key.len - KEY_PREFIX });
        }
    }
    state_cursor_close(cursor);
    return rc;
}

static uint16_t time_store(const stream_join_op *j, uint32_t side)
{
    uint16_t store = (uint16_t)j->base.step->id;

    return side == LEFT_SIDE ? store : RIGHT_STORE(store);
}

static weir_rc load_state(stream_join_op *j, weir_error *err)
{
    j->closed_to_ms = INT64_MIN;
    WEIR_TRY(state_table_open(j->rows, err));
    for (uint32_t i = 0; i < 2; i++) {
        j->expired_to_ms[i] = INT64_MIN;
        text_clear(&j->expired_to[i]);
        WEIR_TRY(event_time_load(&j->time[i], j->base.task->state, time_store(j, i), err));
    }
    return load_waiting(j, err);
}

static weir_rc join_open(op *self, weir_error *err)
{
    stream_join_op *j = (stream_join_op *)self;
    const step *s = self->step;
    task *t = self->task;
    const payload_class class = { j, sizeof(row_list), NULL, list_encode, list_decode, list_drop };
    int64_t within = s->join.before_ms + s->join.after_ms;

    join_sides_of(self, j->sides);
    j->before_ms[LEFT_SIDE] = j->after_ms[RIGHT_SIDE] = s->join.before_ms;
    j->after_ms[LEFT_SIDE] = j->before_ms[RIGHT_SIDE] = s->join.after_ms;
    j->grace_ms = s->join.grace_ms;
    j->retention_ms = j->grace_ms >= 0 ? within + j->grace_ms : within > MS_PER_DAY ? within : MS_PER_DAY;
    j->stretch_ms = within + 1 > STRETCH_MS_MIN ? within + 1 : STRETCH_MS_MIN;
    j->rows = state_table_new(t->state, (uint16_t)s->id, &class, t->memory, t->shared->state_budget_bytes);
    for (uint32_t i = 0; i < 2; i++) event_time_open(&j->time[i], task_upstreams_of(t, s->inputs[i]), t->plan_arena);
    j->expired_keys = arena_new(0);
    return load_state(j, err);
}

/* ---- output ---- */

static void add_emission(stream_join_op *j, emission e)
{
    if (j->emission_count == j->emission_room) {
        j->emission_room = j->emission_room == 0 ? 256 : j->emission_room * 2;
        j->emissions = must(realloc(j->emissions, j->emission_room * sizeof *j->emissions));
    }
    j->emissions[j->emission_count++] = e;
}

static void put_key(stream_join_op *j, batch *out, uint32_t to, slice key)
{
    if (out->window_start != NULL) {
        size_t bounds = j->base.step->windowed == WINDOW_SESSION ? 16 : 8;
        out->window_start[to] = get_window_start(key.data);
        key = (slice){ key.data + bounds, key.len - bounds };
    }
    key_decode(key, out->columns, j->base.step->schema.key_count, to, out->arena);
}

static weir_rc put_emission(stream_join_op *j, const batch *in, const emission *e, batch *out, uint32_t to, weir_error *err)
{
    uint32_t key_count = j->base.step->schema.key_count;
    int64_t kept_ms, window_end = 0;

    out->event_ms[to] = e->event_ms;
    if (out->headers != NULL && e->row != UINT32_MAX) out->headers[to] = in->headers[e->row];
    if (e->row == UINT32_MAX) {
        put_key(j, out, to, e->key);
    } else {
        const join_side *mine = &j->sides[in->side];
        for (uint32_t i = 0; i < key_count; i++) column_copy_row(&out->columns[i], to, &in->columns[i], e->row);
        for (uint32_t i = 0; i < mine->count; i++) {
            column_copy_row(&out->columns[mine->first + i], to, &in->columns[key_count + i], e->row);
        }
        if (out->window_start != NULL) {
            out->window_start[to] = in->window_start[e->row];
            out->window_end[to] = in->window_end[e->row];
        }
    }
    for (uint32_t side = 0; side < 2; side++) {
        const join_side *s = &j->sides[side];
        bool is_kept = e->kept.data != NULL && e->side == side, is_row = e->row != UINT32_MAX && in->side == side;
        if (is_row) continue;
        for (uint32_t i = 0; !is_kept && i < s->count; i++) out->columns[s->first + i].null[to] = 1;
        if (!is_kept) continue;
        if (!row_unpack(e->kept, &s->step->schema, out->columns + s->first, to, out->arena, &kept_ms, &window_end)) {
            return weir_fail(err, WEIR_STORAGE, NOWHERE, "stored rows of step %u cannot be read: they were written by another "
                             "version or are damaged; drop the query and create it again to rebuild them", j->base.step->id);
        }
        /* The window is the left side's, whose kind the result has. */
        if (out->window_end != NULL && (side == LEFT_SIDE || e->row == UINT32_MAX)) out->window_end[to] = window_end;
    }
    return WEIR_OK;
}

/* in: NULL where none of them is of a batch. */
static weir_rc give_on(stream_join_op *j, const batch *in, arena *a, weir_error *err)
{
    uint32_t rows = j->emission_count;

    if (rows == 0) return WEIR_OK;
    batch *out = batch_new(a, &j->base.step->schema, rows, j->base.step->windowed != WINDOW_NONE);
    if (in != NULL && in->headers != NULL) out->headers = ARENA_ZEROS(a, header_list, rows);
    for (uint32_t i = 0; i < rows; i++) WEIR_TRY(put_emission(j, in, &j->emissions[i], out, i, err));
    j->emission_count = 0;
    return op_emit(&j->base, out, err);
}

/* ---- windows that close ---- */

static weir_rc pad_waiting(stream_join_op *j, const waiting *w, arena *a, weir_error *err)
{
    entry *e;
    bool changed = false;

    WEIR_TRY(state_table_find(j->rows, stretch_key(a, w->side, stretch_of(j, w->event_ms), w->key), false, &e, err));
    row_list *l = e == NULL ? NULL : entry_payload(e);
    for (uint32_t i = 0; l != NULL && i < l->count; i++) {
        kept_row *row = &l->items[i];
        if (row->event_ms != w->event_ms || !row->waits) continue;
        row->waits = false;
        changed = true;
        add_emission(j, (emission){ .row = UINT32_MAX, .side = w->side, .kept = arena_copy(a, (slice){ row->bytes, row->len }),
                                    .key = arena_copy(a, w->key), .event_ms = row->event_ms });
    }
    if (changed) state_table_touch(j->rows, e);
    return WEIR_OK;
}

/* Rows of the two sides may close at different distances: those that are still open are put back. */
static weir_rc close_windows(stream_join_op *j, int64_t now_ms, arena *a, weir_error *err)
{
    int64_t least = j->after_ms[LEFT_SIDE] < j->after_ms[RIGHT_SIDE] ? j->after_ms[LEFT_SIDE] : j->after_ms[RIGHT_SIDE];
    waiting *open = NULL;
    uint32_t open_count = 0;
    weir_rc rc = WEIR_OK;

    if (now_ms == TIME_UNKNOWN || now_ms <= j->closed_to_ms) return WEIR_OK;
    j->closed_to_ms = now_ms;
    while (rc == WEIR_OK && j->heap_count > 0 && j->heap[0].event_ms + least + j->grace_ms < now_ms) {
        waiting w = j->heap[0];
        w.key = arena_copy(a, w.key);
        heap_pop(j);
        if (w.event_ms + j->after_ms[w.side] + j->grace_ms >= now_ms) {
            open = must(realloc(open, (open_count + 1) * sizeof *open));
            open[open_count++] = w;
            continue;
        }
        rc = pad_waiting(j, &w, a, err);
    }
    for (uint32_t i = 0; i < open_count; i++) heap_push(j, open[i].event_ms, open[i].side, open[i].key);
    free(open);
    return rc;
}

/* ---- input ---- */

/* Gives on a match for each row of the other side that is near enough. */
static weir_rc meet(stream_join_op *j, const batch *in, uint32_t r, slice key, bool *met, weir_error *err)
{
    uint32_t side = in->side, other = 1 - side;
    int64_t from = in->event_ms[r] - j->before_ms[side], to = in->event_ms[r] + j->after_ms[side];
    int64_t oldest = j->time[other].now_ms == TIME_UNKNOWN ? INT64_MIN : j->time[other].now_ms - j->retention_ms + 1;

    *met = false;
    if (from < oldest) from = oldest;
    for (int64_t start = stretch_of(j, from); start <= to; start += j->stretch_ms) {
        entry *e;
        bool changed = false;
        WEIR_TRY(state_table_find(j->rows, stretch_key(in->arena, other, start, key), false, &e, err));
        if (e == NULL) continue;
        row_list *l = entry_payload(e);
        for (uint32_t i = 0; i < l->count && l->items[i].event_ms <= to; i++) {
            kept_row *row = &l->items[i];
            if (row->event_ms < from) continue;
            *met = true;
            changed |= row->waits;
            row->waits = false;
            add_emission(j, (emission){ .row = r, .side = (uint8_t)other, .kept = { row->bytes, row->len },
                                        .event_ms = row->event_ms > in->event_ms[r] ? row->event_ms : in->event_ms[r] });
        }
        if (changed) state_table_touch(j->rows, e);
    }
    return WEIR_OK;
}

static weir_rc keep_row(stream_join_op *j, const batch *in, uint32_t r, slice key, bool waits, text *scratch, weir_error *err)
{
    slab *memory = j->base.task->memory;
    entry *e;

    text_clear(scratch);
    row_pack(scratch, in, r, &j->sides[in->side].step->schema);
    slice bytes = text_slice(scratch);
    WEIR_TRY(state_table_find(j->rows, stretch_key(in->arena, in->side, stretch_of(j, in->event_ms[r]), key), true, &e, err));
    list_insert(memory, entry_payload(e),
                (kept_row){ in->event_ms[r], copy_bytes(memory, bytes), (uint32_t)bytes.len, waits });
    state_table_touch(j->rows, e);
    if (waits) heap_push(j, in->event_ms[r], in->side, key);
    return WEIR_OK;
}

static weir_rc join_row(stream_join_op *j, const batch *in, uint32_t r, slice key, int64_t own_ms, text *scratch, weir_error *err)
{
    uint32_t side = in->side;
    int64_t event_ms = in->event_ms[r], now_ms = own_ms;
    bool met, waits = false;

    if (j->time[1 - side].now_ms > now_ms) now_ms = j->time[1 - side].now_ms;
    if (pads_later(j)) WEIR_TRY(close_windows(j, now_ms, in->arena, err));
    WEIR_TRY(meet(j, in, r, key, &met, err));
    if (!met && j->sides[side].is_kept) {
        waits = j->grace_ms >= 0 && event_ms + j->after_ms[side] + j->grace_ms >= now_ms;
        if (!waits) add_emission(j, (emission){ .row = r, .event_ms = event_ms });
    }
    bool is_expired = own_ms != TIME_UNKNOWN && event_ms <= own_ms - j->retention_ms;
    if (!is_expired) WEIR_TRY(keep_row(j, in, r, key, waits, scratch, err));
    return j->emission_count < EMISSIONS_MAX ? WEIR_OK : give_on(j, in, in->arena, err);
}

static weir_rc join_rows(stream_join_op *j, const batch *in, weir_error *err)
{
    slice *keys = join_keys(&j->base, in);
    int64_t *own_ms = ARENA_ARRAY(in->arena, int64_t, in->rows), *now_ms = ARENA_ARRAY(in->arena, int64_t, in->rows);
    uint32_t *index = ARENA_ARRAY(in->arena, uint32_t, in->live.count), count = 0;
    text scratch = TEXT_EMPTY;
    weir_rc rc = WEIR_OK;

    EACH_ROW (r, in->live) {
        index[count] = r;
        count += in->kind[r] == ROW_NORMAL && keys[r].data != NULL;
    }
    event_time_advance(&j->time[in->side], in, (row_set){ index, count }, own_ms, now_ms);
    EACH_ROW (r, in->live) {
        if (in->kind[r] != ROW_NORMAL) continue; /* there is nothing to join */
        if (keys[r].data != NULL) {
            rc = join_row(j, in, r, keys[r], now_ms[r], &scratch, err);
        } else if (j->sides[in->side].is_kept) {
            add_emission(j, (emission){ .row = r, .event_ms = in->event_ms[r] });
        }
        if (rc != WEIR_OK) break;
    }
    text_free(&scratch);
    return rc == WEIR_OK ? give_on(j, in, in->arena, err) : rc;
}

static weir_rc join_batch(op *self, batch *in, weir_error *err)
{
    stream_join_op *j = (stream_join_op *)self;

    j->emission_count = 0; /* of a batch that failed */
    return join_rows(j, in, err);
}

/* ---- expiring ---- */

typedef struct expiry {
    stream_join_op *of;
    uint32_t side;
    int64_t before_ms;
} expiry;

static void delete_expired(void *self, entry *e)
{
    expiry *x = self;
    slice key = entry_key(x->of->rows, e);

    if ((uint32_t)key.data[0] == x->side && get_window_start(key.data + 1) < x->before_ms) state_table_delete(x->of->rows, e);
}

/* Stretches that ended longer ago than the retention go, a step of at least a sixteenth of it at a time. */
static weir_rc expire(stream_join_op *j, uint32_t side, weir_error *err)
{
    if (j->time[side].now_ms == TIME_UNKNOWN) return WEIR_OK;
    int64_t before = stretch_of(j, j->time[side].now_ms - j->retention_ms);
    int64_t step_ms = j->retention_ms / 16 > j->stretch_ms ? j->retention_ms / 16 : j->stretch_ms;
    if (j->expired_to_ms[side] != INT64_MIN && before - j->expired_to_ms[side] < step_ms) return WEIR_OK;

    const char from[1] = { (char)side };
    char to[KEY_PREFIX] = { (char)side };
    state_cursor *cursor;
    slice key, value;
    bool more;
    weir_rc rc;
    uint32_t deleted = 0;
    expiry all = { j, side, before };
    state_table_each(j->rows, delete_expired, &all);
    put_window_start(to + 1, before);
    slice first = j->expired_to[side].len == 0 ? (slice){ from, 1 } : text_slice(&j->expired_to[side]);
    WEIR_TRY(task_state_scan(j->base.task->state, (uint16_t)j->base.step->id, first, (slice){ to, KEY_PREFIX }, &cursor, err));
    while ((rc = state_cursor_next(cursor, &key, &value, &more, err)) == WEIR_OK && more && deleted < EXPIRE_KEYS_MAX) {
        if (state_table_holds(j->rows, key)) continue;
        change_list_add(&j->expired, (state_change){ (uint16_t)j->base.step->id, arena_copy(j->expired_keys, key), NO_SLICE });
        deleted++;
    }
    if (rc == WEIR_OK) {
        if (!more) j->expired_to_ms[side] = before;
        text_clear(&j->expired_to[side]);
        text_add(&j->expired_to[side], more ? key : (slice){ to, KEY_PREFIX });
    }
    state_cursor_close(cursor);
    return rc;
}

static weir_rc join_flush(op *self, weir_error *err)
{
    stream_join_op *j = (stream_join_op *)self;

    for (uint32_t side = 0; side < 2; side++) WEIR_TRY(expire(j, side, err));
    return WEIR_OK;
}

static weir_rc join_watermark(op *self, int32_t upstream, int64_t event_ms, bool is_idle, weir_error *err)
{
    stream_join_op *j = (stream_join_op *)self;
    uint32_t side = self->task->watermark_side;

    event_time_mark(&j->time[side], upstream, event_ms, is_idle);
    return join_pass_watermark(self, upstream, event_ms, is_idle, err);
}

static void join_seal(op *self, arena *memory, change_list *changes)
{
    stream_join_op *j = (stream_join_op *)self;

    state_table_seal(j->rows, memory, changes);
    for (uint32_t i = 0; i < j->expired.count; i++) change_list_add(changes, j->expired.items[i]);
    for (uint32_t i = 0; i < 2; i++) event_time_seal(&j->time[i], time_store(j, i), memory, changes);
}

static void join_committed(op *self)
{
    stream_join_op *j = (stream_join_op *)self;

    j->expired.count = 0;
    arena_reset(j->expired_keys);
    state_table_committed(j->rows);
}

static weir_rc join_forget(op *self, weir_error *err)
{
    stream_join_op *j = (stream_join_op *)self;

    j->expired.count = 0;
    arena_reset(j->expired_keys);
    j->emission_count = 0;
    state_table_forget(j->rows);
    return load_state(j, err);
}

static size_t join_dirty_bytes(const op *self)
{
    return state_table_dirty_bytes(((const stream_join_op *)self)->rows);
}

static size_t join_state_bytes(const op *self)
{
    return state_table_bytes(((const stream_join_op *)self)->rows);
}

static void join_close(op *self)
{
    stream_join_op *j = (stream_join_op *)self;

    heap_clear(j);
    free(j->heap);
    free(j->emissions);
    state_table_free(j->rows);
    change_list_free(&j->expired);
    arena_free(j->expired_keys);
    for (uint32_t i = 0; i < 2; i++) text_free(&j->expired_to[i]);
}

const op_class op_join_stream_stream = { .name = "StreamStreamJoin", .open = join_open, .batch = join_batch,
                                         .watermark = join_watermark, .flush = join_flush, .seal = join_seal,
                                         .committed = join_committed, .forget = join_forget, .dirty_bytes = join_dirty_bytes,
                                         .state_bytes = join_state_bytes, .close = join_close };
