/* executor/merge.c - see merge.h. */
#include "executor/merge.h"

#include "executor/block.h"
#include "executor/decoder.h"

#include <stdlib.h>

#define MERGE_STORE ((uint16_t)0x3FFF)
#define LANE_BYTES_MAX ((size_t)8 << 20)

typedef struct parcel { /* the rows of one fetch, or of one block */
    struct parcel *next;
    arena *arena;       /* all of it, this struct too */
    size_t bytes;       /* as counted when it came */
    batch *rows;        /* NULL: there are none */
    uint32_t at;        /* of the live ones: passed on so far */
    int64_t offset;     /* of a block */
    int64_t next_offset;
    const int64_t *offsets; /* of records, by physical row */
    block_mark mark;
} parcel;

typedef struct lane { /* one partition of one input */
    task_input *input;
    int32_t partition;
    parcel *first, *last;
    size_t bytes;
    int64_t end_offset, ended_ms;
    bool has_ended, is_told; /* at its present end; and the task knows it */
    bool is_absent, is_paused;
    int64_t done_offset;     /* of a block half consumed, as stored; -1: none */
    uint32_t done_rows;
} lane;

struct merge {
    task *task;
    lane *lanes; /* by input */
    uint32_t count;
    int64_t idle_ms;
};

/* ---- life ---- */

static slice lane_key(const merge *m, const lane *l, char *bytes)
{
    bytes[0] = (char)(l->input - m->task->inputs);
    return (slice){ bytes, 1 };
}

static weir_rc load_done(merge *m, lane *l, weir_error *err)
{
    char key[1];
    slice value;
    bool found;

    l->done_offset = -1;
    l->done_rows = 0;
    if (l->input->from == NULL) return WEIR_OK;
    WEIR_TRY(task_state_get(m->task->state, MERGE_STORE, lane_key(m, l, key), &value, &found, err));
    if (!found || value.len != 12) return WEIR_OK;
    l->done_offset = (int64_t)get_u64(value.data);
    l->done_rows = get_u32(value.data + 8);
    return WEIR_OK;
}

static weir_rc add_lane(merge *m, task_input *input, int32_t partition, bool is_absent, weir_error *err)
{
    lane *l = &m->lanes[m->count++];

    *l = (lane){ .input = input, .partition = partition, .is_absent = is_absent };
    return load_done(m, l, err);
}

weir_rc merge_open(merge **out, task *t, const int32_t *partitions, const bool *is_direct, int64_t idle_ms, weir_error *err)
{
    merge *m = ARENA_NEW(t->plan_arena, merge);
    bool is_transient = t->shared->is_transient;
    uint32_t room = 0;

    *out = m;
    m->task = t;
    m->idle_ms = idle_ms;
    for (uint32_t i = 0; i < t->input_count; i++) room += is_transient ? (uint32_t)partitions[i] : 1;
    m->lanes = ARENA_ZEROS(t->plan_arena, lane, room + 1);
    for (uint32_t i = 0; i < t->input_count; i++) {
        if (is_direct != NULL && is_direct[i]) continue;
        for (int32_t p = 0; is_transient && p < partitions[i]; p++) WEIR_TRY(add_lane(m, &t->inputs[i], p, false, err));
        if (!is_transient) WEIR_TRY(add_lane(m, &t->inputs[i], t->partition, t->partition >= partitions[i], err));
    }
    return WEIR_OK;
}

static void drop_first(lane *l)
{
    parcel *p = l->first;

    l->first = p->next;
    if (l->first == NULL) l->last = NULL;
    l->bytes -= p->bytes;
    arena_free(p->arena);
}

void merge_close(merge *m)
{
    for (uint32_t i = 0; m != NULL && i < m->count; i++) {
        while (m->lanes[i].first != NULL) drop_first(&m->lanes[i]);
    }
}

static lane *find_lane(const merge *m, const task_input *input, int32_t partition)
{
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->lanes[i].input == input && m->lanes[i].partition == partition) return &m->lanes[i];
    }
    return NULL;
}

bool merge_takes(const merge *m, const task_input *input)
{
    for (uint32_t i = 0; m != NULL && i < m->count; i++) {
        if (m->lanes[i].input == input) return true;
    }
    return false;
}

/* ---- taking in ---- */

static void append(lane *l, parcel *p)
{
    if (l->last == NULL) {
        l->first = p;
    } else {
        l->last->next = p;
    }
    l->last = p;
    p->bytes = arena_bytes(p->arena);
    l->bytes += p->bytes;
    l->has_ended = l->is_told = false;
    l->input->is_idle = false;
}

static slice copy_padded(arena *a, slice from)
{
    if (from.data == NULL) return from;
    char *bytes = arena_alloc(a, from.len + 64);
    memcpy(bytes, from.data, from.len);
    memset(bytes + from.len, 0, 64);
    return (slice){ bytes, from.len };
}

static const header_list *copy_headers(arena *a, const header_list *from, uint32_t rows)
{
    header_list *lists = ARENA_ARRAY(a, header_list, rows);

    for (uint32_t r = 0; r < rows; r++) {
        header *items = ARENA_ARRAY(a, header, from[r].count);
        for (uint32_t i = 0; i < from[r].count; i++) {
            items[i] = (header){ arena_copy(a, from[r].items[i].key), arena_copy(a, from[r].items[i].value) };
        }
        lists[r] = (header_list){ items, from[r].count };
    }
    return lists;
}

static fetch *copy_fetch(arena *a, const fetch *from, bool with_headers)
{
    fetch *f = ARENA_NEW(a, fetch);
    slice *keys = ARENA_ARRAY(a, slice, from->rows), *values = ARENA_ARRAY(a, slice, from->rows);
    int64_t *timestamps = ARENA_ARRAY(a, int64_t, from->rows), *offsets = ARENA_ARRAY(a, int64_t, from->rows);

    *f = *from;
    for (uint32_t r = 0; r < from->rows; r++) {
        keys[r] = copy_padded(a, from->key[r]);
        values[r] = copy_padded(a, from->value[r]);
        timestamps[r] = from->timestamp_ms[r];
        offsets[r] = from->offset[r];
    }
    f->key = keys;
    f->value = values;
    f->timestamp_ms = timestamps;
    f->offset = offsets;
    f->headers = from->headers == NULL || !with_headers ? NULL : copy_headers(a, from->headers, from->rows);
    return f;
}

static weir_rc add_records(merge *m, lane *l, const fetch *records, weir_error *err)
{
    task *t = m->task;
    arena *a = arena_new(1 << 14), *batch_arena = t->batch_arena;
    parcel *p = ARENA_NEW(a, parcel);
    const step *s = l->input->step;
    fetch *kept = copy_fetch(a, records, s->source.reads_headers);

    p->arena = a;
    p->next_offset = kept->next_offset;
    p->offsets = kept->offset;
    t->batch_arena = a;
    t->current = kept;
    t->current_topic = s->source.topic;
    int64_t began_ns = clock_monotonic_ns();
    weir_rc rc = decoder_read(l->input->decoder, kept, &p->rows, err);
    l->input->busy_ns += clock_monotonic_ns() - began_ns;
    t->current = NULL;
    t->batch_arena = batch_arena;
    if (rc != WEIR_OK) {
        arena_free(a);
        return rc;
    }
    if (p->rows != NULL && t->shared->is_transient) p->rows->upstream = records->partition;
    append(l, p);
    return WEIR_OK;
}

static weir_rc add_block(merge *m, lane *l, slice bytes, int64_t offset, int64_t next_offset, weir_error *err)
{
    arena *a = arena_new(bytes.len + 4096);
    parcel *p = ARENA_NEW(a, parcel);
    const step *s = l->input->step;
    const block_shape shape = { &s->schema, s->windowed != WINDOW_NONE, s->wants_old };

    p->arena = a;
    p->offset = offset;
    p->next_offset = next_offset;
    if (!block_read(copy_padded(a, bytes), &shape, a, &p->mark, &p->rows)) {
        arena_free(a);
        return task_fail_block(m->task, l->partition, offset, err);
    }
    if (offset == l->done_offset) p->at = l->done_rows;
    append(l, p);
    return WEIR_OK;
}

weir_rc merge_add(merge *m, const task_input *input, const fetch *records, weir_error *err)
{
    lane *l = find_lane(m, input, records->partition);

    if (records->rows == 0) {
        merge_end(m, input, records->partition, records->next_offset);
        l->has_ended = false;
        return WEIR_OK;
    }
    if (l->input->from == NULL) return add_records(m, l, records, err);
    for (uint32_t i = 0; i < records->rows; i++) {
        int64_t next = i + 1 < records->rows ? records->offset[i + 1] : records->next_offset;
        WEIR_TRY(add_block(m, l, records->value[i], records->offset[i], next, err));
    }
    return WEIR_OK;
}

void merge_end(merge *m, const task_input *input, int32_t partition, int64_t next_offset)
{
    lane *l = find_lane(m, input, partition);

    if (!l->has_ended) l->ended_ms = clock_monotonic_ms(m->task->shared->clock);
    l->has_ended = true;
    l->is_told = false;
    l->end_offset = next_offset;
}

void merge_end_all(merge *m)
{
    for (uint32_t i = 0; i < m->count; i++) m->lanes[i].has_ended = true;
}

/* ---- whose turn it is ---- */

static uint32_t head_row(const parcel *p)
{
    return p->rows->live.index == NULL ? p->at : p->rows->live.index[p->at];
}

static int64_t head_ms(const lane *l)
{
    return l->first->rows->event_ms[head_row(l->first)];
}

/* How much longer a lane at its end is waited for. */
static int64_t waits(const merge *m, const lane *l)
{
    return m->idle_ms == 0 ? 0 : l->ended_ms + m->idle_ms - clock_monotonic_ms(m->task->shared->clock);
}

int64_t merge_wait_ms(const merge *m)
{
    int64_t most = -1;

    for (uint32_t i = 0; i < m->count && m->idle_ms > 0; i++) {
        const lane *l = &m->lanes[i];
        if (l->has_ended && l->first == NULL && !l->is_absent && waits(m, l) > most) most = waits(m, l);
    }
    return most;
}

/* An empty lane's rows to come are not earlier than this. */
static int64_t bound_ms(const merge *m, const lane *l)
{
    const event_time *from = l->input->from;

    if (l->is_absent) return INT64_MAX;
    int64_t least = from == NULL ? INT64_MAX : event_time_least(from);
    return least == INT64_MAX && (!l->has_ended || waits(m, l) > 0) ? INT64_MIN : least;
}

/* The lane whose row is next, and up to what time its rows may go; NULL: none may. */
static lane *next_lane(const merge *m, int64_t *until_ms)
{
    lane *best = NULL;

    for (uint32_t i = 0; i < m->count; i++) {
        lane *l = &m->lanes[i];
        if (l->first != NULL && (best == NULL || head_ms(l) < head_ms(best))) best = l;
    }
    if (best == NULL) return NULL;
    *until_ms = INT64_MAX;
    for (uint32_t i = 0; i < m->count; i++) {
        const lane *l = &m->lanes[i];
        if (l == best) continue;
        int64_t most = l->first == NULL ? bound_ms(m, l) : l < best ? head_ms(l) - 1 : head_ms(l);
        if (most < *until_ms) *until_ms = most;
    }
    return head_ms(best) <= *until_ms ? best : NULL;
}

/* ---- passing on ---- */

static column gather_column(arena *a, const column *from, row_set rows)
{
    size_t size = column_element_bytes(from->type);
    uint32_t at = 0;

    if (from->null == NULL) return *from; /* nobody reads it */
    column to = column_new(a, from->type, rows.count);
    EACH_ROW (r, rows) {
        to.null[at] = from->null[r];
        memcpy((char *)to.any + at++ * size, (const char *)from->any + r * size, size);
    }
    return to;
}

#define GATHER(a, type, from, rows) (from == NULL ? NULL : gather_array(a, from, sizeof(type), rows))

static void *gather_array(arena *a, const void *from, size_t size, row_set rows)
{
    char *to = arena_alloc(a, size * rows.count);
    uint32_t at = 0;

    EACH_ROW (r, rows) memcpy(to + at++ * size, (const char *)from + r * size, size);
    return to;
}

/* Some rows of a batch, side by side: what works on it costs as much as there are rows. */
static batch *gather_rows(arena *a, const batch *from, row_set rows)
{
    batch *to = ARENA_NEW(a, batch);

    *to = *from;
    to->arena = a;
    to->rows = rows.count;
    to->live = (row_set){ NULL, rows.count };
    to->columns = ARENA_ARRAY(a, column, from->column_count);
    for (uint32_t i = 0; i < from->column_count; i++) to->columns[i] = gather_column(a, &from->columns[i], rows);
    to->event_ms = GATHER(a, int64_t, from->event_ms, rows);
    to->passed_ms = GATHER(a, int64_t, from->passed_ms, rows);
    to->kind = GATHER(a, uint8_t, from->kind, rows);
    to->keyless = GATHER(a, uint8_t, from->keyless, rows);
    to->window_start = GATHER(a, int64_t, from->window_start, rows);
    to->window_end = GATHER(a, int64_t, from->window_end, rows);
    to->row_partition = GATHER(a, int32_t, from->row_partition, rows);
    to->row_offset = GATHER(a, int64_t, from->row_offset, rows);
    to->headers = GATHER(a, header_list, from->headers, rows);
    to->old = from->old == NULL ? NULL : gather_rows(a, from->old, rows);
    return to;
}

static weir_rc pass_rows(merge *m, lane *l, uint32_t count, weir_error *err)
{
    task *t = m->task;
    parcel *p = l->first;
    const row_set live = p->rows->live;
    row_set rows = { live.index == NULL ? NULL : live.index + p->at, count };

    arena_reset(t->batch_arena);
    t->is_dirty = true;
    l->input->is_idle = false;
    if (l->input->from != NULL) task_place_rows(l->input, p->rows);
    if (live.index == NULL && p->at > 0) {
        uint32_t *index = ARENA_ARRAY(t->batch_arena, uint32_t, count);
        for (uint32_t i = 0; i < count; i++) index[i] = p->at + i;
        rows.index = index;
    }
    batch *out = count == p->rows->rows ? p->rows : gather_rows(t->batch_arena, p->rows, rows);
    p->at += count;
    return task_enter(t, l->input, out, err);
}

static void note_position(lane *l)
{
    const parcel *p = l->first;
    bool is_done = p->rows == NULL || p->at == p->rows->live.count;

    if (l->input->from == NULL) {
        l->input->next_offset = is_done ? p->next_offset : p->offsets[head_row(p)];
    } else {
        l->input->next_offset = is_done ? p->next_offset : p->offset;
    }
    l->input->position = l->input->next_offset;
}

static weir_rc finish_first(merge *m, lane *l, weir_error *err)
{
    task *t = m->task;
    const parcel *p = l->first;

    t->is_dirty = true;
    if (l->input->from != NULL) {
        arena_reset(t->batch_arena);
        WEIR_TRY(task_mark(t, l->input, &p->mark, err));
    }
    drop_first(l);
    return WEIR_OK;
}

/* Parcels without rows left go; a lane that is empty and at its end says so to the task. */
static weir_rc settle(merge *m, lane *l, weir_error *err)
{
    task_input *input = l->input;

    while (l->first != NULL && (l->first->rows == NULL || l->first->at >= l->first->rows->live.count)) {
        note_position(l);
        WEIR_TRY(finish_first(m, l, err));
    }
    if (l->first != NULL || !l->has_ended || l->is_told || m->task->shared->is_transient) return WEIR_OK;
    l->is_told = true;
    if (l->end_offset > input->position) input->position = l->end_offset;
    if (input->next_offset >= 0 && l->end_offset > input->next_offset) input->next_offset = l->end_offset;
    return task_idle(m->task, input, err);
}

weir_rc merge_run(merge *m, weir_error *err)
{
    int64_t until_ms;
    lane *l;

    for (uint32_t i = 0; i < m->count; i++) WEIR_TRY(settle(m, &m->lanes[i], err));
    while ((l = next_lane(m, &until_ms)) != NULL) {
        const parcel *p = l->first;
        uint32_t count = 1, left = p->rows->live.count - p->at;
        const uint32_t *index = p->rows->live.index;
        while (count < left && p->rows->event_ms[index == NULL ? p->at + count : index[p->at + count]] <= until_ms) count++;
        WEIR_TRY(pass_rows(m, l, count, err));
        note_position(l);
        WEIR_TRY(settle(m, l, err));
    }
    return WEIR_OK;
}

weir_rc merge_throttle(merge *m, client *c, weir_error *err)
{
    for (uint32_t i = 0; i < m->count; i++) {
        lane *l = &m->lanes[i];
        bool pauses = l->is_paused ? l->bytes > LANE_BYTES_MAX / 4 : l->bytes > LANE_BYTES_MAX;
        if (pauses == l->is_paused || l->is_absent) continue;
        WEIR_TRY(client_pause(c, l->input->source, l->partition, pauses, err));
        l->is_paused = pauses;
    }
    return WEIR_OK;
}

/* ---- epochs ---- */

void merge_seal(merge *m, arena *a, change_list *changes)
{
    for (uint32_t i = 0; i < m->count; i++) {
        lane *l = &m->lanes[i];
        bool is_half = l->input->from != NULL && l->first != NULL && l->first->at > 0;
        if (l->input->from == NULL || (!is_half && l->done_offset < 0)) continue;
        if (is_half && l->first->offset == l->done_offset && l->first->at == l->done_rows) continue;
        slice key = lane_key(m, l, arena_alloc(a, 1)), value = NO_SLICE;
        l->done_offset = is_half ? l->first->offset : -1;
        l->done_rows = is_half ? l->first->at : 0;
        if (is_half) {
            char *bytes = arena_alloc(a, 12);
            put_u64(bytes, (uint64_t)l->done_offset);
            put_u32(bytes + 8, l->done_rows);
            value = (slice){ bytes, 12 };
        }
        change_list_add(changes, (state_change){ MERGE_STORE, key, value });
    }
}

weir_rc merge_forget(merge *m, weir_error *err)
{
    for (uint32_t i = 0; i < m->count; i++) {
        lane *l = &m->lanes[i];
        while (l->first != NULL) drop_first(l);
        l->has_ended = l->is_told = false;
        WEIR_TRY(load_done(m, l, err));
    }
    return WEIR_OK;
}
