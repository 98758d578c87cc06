/* executor/transient.h - a query that keeps nothing: push queries (go on until a LIMIT or a cancel), bounded ones (to the
 * present end of their sources) and pull queries (a snapshot of what a persistent query keeps). It runs in the caller's
 * thread: each next() advances it. One task takes all partitions; state is in memory and an unlinked environment. */
#ifndef WEIR_EXECUTOR_TRANSIENT_H
#define WEIR_EXECUTOR_TRANSIENT_H

#include "executor/task.h"

#include <stdatomic.h>

typedef struct transient transient;

typedef struct transient_env {
    storage *storage;
    const weir_clock *clock;
    uint32_t batch_rows;
    const atomic_bool *cancelled; /* by the session */
    struct feeds *feeds;          /* whose rows push queries take where they can; NULL: each reads for itself */
} transient_env;

/* The plan is borrowed, with all in it, until close. */
weir_rc transient_open(transient **out, const transient_env *env, const plan *p, weir_error *err) WEIR_CHECKED;
void transient_close(transient *t); /* NULL is fine */
/* Rows of the plan's last step; lent until the next call. *rows NULL: none came within timeout_ms (-1: no bound), or it has
 * ended. */
weir_rc transient_next(transient *t, int timeout_ms, const batch **rows, weir_error *err) WEIR_CHECKED;
/* True: it takes a feed's rows, transient_next() never waits, and wake() is called once after each that gave none and did not end
 * it, when it may do so now; from another thread, with locks held: it takes none of a transient. To be called once. */
bool transient_sleeps(transient *t, void (*wake)(void *self), void *self);
/* Behind its source nothing brings rows together: each is a result by itself. */
bool transient_passes_rows_on(const plan *p);
/* The caller takes no more rows until its next transient_next(). Fails where the query was cut for that. */
weir_rc transient_hold(transient *t, weir_error *err) WEIR_CHECKED;
/* Of a query that is a look-up of a lone key and has ended: its rows for another key, all at once, lent until the next call;
 * *rows NULL: there are none. transient_rest() comes first, and after each; false: it cannot be used again. */
bool transient_rest(transient *t);
weir_rc transient_look_up(transient *t, const value *key, const batch **rows, weir_error *err) WEIR_CHECKED;
bool transient_ended(const transient *t);
/* Rows it has read, and those still to be read: -1, that cannot be told. */
void transient_progress(const transient *t, uint64_t *rows, int64_t *rows_left);
/* Appends what it could not use so far, in words; nothing where there was nothing. */
void transient_left_out(const transient *t, text *out);
/* What each step has done so far. */
void transient_op_stats(const transient *t, op_stats *by_step);

#endif
