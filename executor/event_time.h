/* executor/event_time.h - an operator's time: the running maximum of event times over the rows that reached it. Behind an
 * exchange there is one maximum for each upstream partition, and the time is the least of those that are not idle: rows of
 * fast and slow upstreams interleave, and the fast ones must not make the others late. A row is late by its own upstream's
 * maximum, as it was when the row passed the exchange: which rows are late is then a matter of the input alone. The time is
 * kept in state and never moves back. */
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

/* TIME_UNKNOWN until rows come, or event_time_load() finds what was stored. */
void event_time_open(event_time *t, uint32_t upstreams, arena *a);
/* own_ms[r]: the time by which row r is late or not: of its own upstream, that row included, and never behind the operator's.
 * So it does not depend on how the upstreams interleave. now_ms[r] (may be NULL): the operator's time with that row. */
void event_time_advance(event_time *t, const batch *in, row_set rows, int64_t *own_ms, int64_t *now_ms);
/* Fills the passed_ms of a batch that an upstream has sent without: its rows' running maximum. Changes no time. */
void event_time_pass(const event_time *t, batch *in);
/* The least maximum of the upstreams that are not idle; INT64_MAX: all are. */
int64_t event_time_least(const event_time *t);
/* The upstream has passed on all rows up to that time; is_idle: it is not waited for until it has more. */
void event_time_mark(event_time *t, int32_t upstream, int64_t event_ms, bool is_idle);
/* What the state holds, in the store TIME_STORE(of the operator); without an entry the time is unknown. */
weir_rc event_time_load(event_time *t, task_state *state, uint16_t store, weir_error *err) WEIR_CHECKED;
/* The time as an entry of that store, where it has changed. */
void event_time_seal(event_time *t, uint16_t store, arena *a, change_list *changes);

/* The store that holds the time of the operator whose entries are in `store`. */
#define TIME_STORE(store) ((uint16_t)((store) | 0x8000))

#endif
