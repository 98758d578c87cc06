/* executor/event_time.c - see event_time.h. */
#include "executor/event_time.h"

void event_time_open(event_time *t, uint32_t upstreams, arena *a)
{
    if (upstreams == 0) upstreams = 1;
    *t = (event_time){ .max_ms = ARENA_ARRAY(a, int64_t, upstreams), .is_idle = ARENA_ZEROS(a, bool, upstreams),
                       .upstreams = upstreams, .now_ms = TIME_UNKNOWN };
    for (uint32_t i = 0; i < upstreams; i++) t->max_ms[i] = TIME_UNKNOWN;
}

static uint32_t slot_of(const event_time *t, int32_t upstream)
{
    return upstream >= 0 && (uint32_t)upstream < t->upstreams ? (uint32_t)upstream : 0;
}

/* The least maximum of the upstreams that are waited for; when all are idle, the greatest there is. */
static void settle(event_time *t)
{
    int64_t least = INT64_MAX, greatest = TIME_UNKNOWN;

    for (uint32_t i = 0; i < t->upstreams; i++) {
        if (t->max_ms[i] > greatest) greatest = t->max_ms[i];
        if (!t->is_idle[i] && t->max_ms[i] < least) least = t->max_ms[i];
    }
    if (least == INT64_MAX) least = greatest;
    if (least > t->now_ms) t->now_ms = least;
}

void event_time_advance(event_time *t, const batch *in, row_set rows, int64_t *own_ms, int64_t *now_ms)
{
    const int64_t *passed_ms = in->passed_ms != NULL ? in->passed_ms : in->event_ms;
    uint32_t mine = slot_of(t, in->upstream);
    int64_t others = INT64_MAX; /* the least of the other upstreams: fixed while this batch passes */

    for (uint32_t i = 0; i < t->upstreams; i++) {
        if (i != mine && !t->is_idle[i] && t->max_ms[i] < others) others = t->max_ms[i];
    }
    int64_t mine_max = t->max_ms[mine], now = t->now_ms;
    bool was_idle = t->is_idle[mine];
    t->is_idle[mine] = false;
    EACH_ROW (r, rows) {
        if (passed_ms[r] > mine_max && !in->is_mixed) mine_max = passed_ms[r]; /* otherwise marks alone tell it */
        int64_t least = mine_max < others ? mine_max : others;
        if (least > now) now = least;
        int64_t own = in->is_mixed ? passed_ms[r] : mine_max;
        own_ms[r] = own > now ? own : now;
        if (now_ms != NULL) now_ms[r] = now;
    }
    t->is_changed |= was_idle || mine_max != t->max_ms[mine] || now != t->now_ms;
    t->max_ms[mine] = mine_max;
    t->now_ms = now;
}

void event_time_pass(const event_time *t, batch *in)
{
    int64_t passed = t->max_ms[slot_of(t, in->upstream)];

    if (in->passed_ms != NULL) return;
    in->passed_ms = ARENA_ARRAY(in->arena, int64_t, in->rows);
    for (uint32_t r = 0; r < in->rows; r++) {
        if (in->event_ms[r] > passed) passed = in->event_ms[r];
        in->passed_ms[r] = passed;
    }
}

int64_t event_time_least(const event_time *t)
{
    int64_t least = INT64_MAX;

    for (uint32_t i = 0; i < t->upstreams; i++) {
        if (!t->is_idle[i] && t->max_ms[i] < least) least = t->max_ms[i];
    }
    return least;
}

void event_time_mark(event_time *t, int32_t upstream, int64_t event_ms, bool is_idle)
{
    uint32_t mine = slot_of(t, upstream);

    if (upstream < 0 && t->upstreams > 1) return; /* of this task's own input: says nothing of one upstream */
    t->is_changed |= event_ms > t->max_ms[mine] || is_idle != t->is_idle[mine];
    if (event_ms > t->max_ms[mine]) t->max_ms[mine] = event_ms;
    t->is_idle[mine] = is_idle;
    settle(t);
}

/* Stored: the time, then, behind an exchange, each upstream's maximum and whether it is idle. An upstream that was told of
 * as idle may have nothing more to say for ever: what is read again must not wait for it. */
weir_rc event_time_load(event_time *t, task_state *state, uint16_t store, weir_error *err)
{
    slice value;
    bool found;

    for (uint32_t i = 0; i < t->upstreams; i++) {
        t->max_ms[i] = TIME_UNKNOWN;
        t->is_idle[i] = false;
    }
    t->now_ms = TIME_UNKNOWN;
    t->is_changed = false;
    WEIR_TRY(task_state_get(state, TIME_STORE(store), SLICE("now"), &value, &found, err));
    if (!found) return WEIR_OK;
    reader_bytes in = read_from(value);
    t->now_ms = unsortable_i64(read_u64(&in));
    if (in.bad) t->now_ms = TIME_UNKNOWN;
    for (uint32_t i = 0; i < t->upstreams && in.at < in.end; i++) {
        int64_t max_ms = unsortable_i64(read_u64(&in));
        bool is_idle = read_u8(&in);
        if (in.bad) break;
        t->max_ms[i] = max_ms;
        t->is_idle[i] = is_idle;
    }
    return WEIR_OK;
}

void event_time_seal(event_time *t, uint16_t store, arena *a, change_list *changes)
{
    if (!t->is_changed) return;
    uint32_t upstreams = t->upstreams > 1 ? t->upstreams : 0;
    char *bytes = arena_alloc(a, 8 + upstreams * 9), *at = bytes;
    put_u64(at, sortable_i64(t->now_ms));
    at += 8;
    for (uint32_t i = 0; i < upstreams; i++) {
        put_u64(at, sortable_i64(t->max_ms[i]));
        at[8] = (char)t->is_idle[i];
        at += 9;
    }
    change_list_add(changes, (state_change){ TIME_STORE(store), SLICE("now"), { bytes, (size_t)(at - bytes) } });
    t->is_changed = false;
}
