/* executor/event_time.h - an operator's time: the running maximum of event times over the rows that reached it. Behind an
 * exchange there is one maximum for each upstream partition, and the time is the least of those that are not idle: rows of
 * fast and slow upstreams interleave, and the fast ones must not make the others late. It is kept in state and never moves
 * back. */
#ifndef WEIR_EXECUTOR_EVENT_TIME_H
#define WEIR_EXECUTOR_EVENT_TIME_H

#include "executor/state_table.h"

#define TIME_UNKNOWN INT64_MIN /* before the first row: nothing is late, nothing is closed */

typedef struct event_time {
    int64_t *max_ms;   /* per upstream */
    bool *is_idle;
    uint32_t upstreams; /* 1 where there is no exchange */
    int64_t now_ms;
    bool is_changed; /* since it was stored */
} event_time;

void event_time_open(event_time *t, uint32_t upstreams, arena *a);
/* time_ms[r]: the operator's time when row r is judged, that row included. */
void event_time_advance(event_time *t, int32_t upstream, const int64_t *event_ms, row_set rows, int64_t *time_ms);
void event_time_mark(event_time *t, int32_t upstream, int64_t event_ms, bool is_idle);
weir_rc event_time_load(event_time *t, task_state *state, uint16_t store, weir_error *err) WEIR_CHECKED;
void event_time_seal(event_time *t, uint16_t store, arena *a, change_list *changes);

/* The store that holds the time of the operator whose entries are in `store`. */
#define TIME_STORE(store) ((uint16_t)((store) | 0x8000))

#endif
