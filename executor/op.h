/* executor/op.h - an operator: a step of the plan at work in one task. Batches are pushed from operator to operator; each
 * is done with a batch before the next comes. Committing is no operator's business (executor/commit.c).
 *
 * In an epoch: batch() and watermark() many times, and release() at any time between, in order from the sources down, when
 * what was held back for coalescing is emitted. At its end release() and flush(), which closes and forgets what is over, of
 * each operator before those of the next; then seal(), which lists the changes of state; then, once the commit is durable,
 * committed(), or after an abort forget(). */
#ifndef WEIR_EXECUTOR_OP_H
#define WEIR_EXECUTOR_OP_H

#include "executor/state_table.h"
#include "planner/plan.h"

typedef struct op op;
typedef struct task task;

typedef struct op_class {
    const char *name; /* as EXPLAIN prints it */
    weir_rc (*open)(op *self, weir_error *err);
    weir_rc (*batch)(op *self, batch *in, weir_error *err);
    /* Behind an exchange: upstream partition `upstream` has passed on all rows up to that time; is_idle: it has no input
     * now and is not to be waited for until its next block. Of a step with two inputs task->watermark_side says which it
     * is about. NULL: passes it on. */
    weir_rc (*watermark)(op *self, int32_t upstream, int64_t event_ms, bool is_idle, weir_error *err);
    weir_rc (*release)(op *self, weir_error *err); /* NULL, like the others below: nothing to do */
    weir_rc (*flush)(op *self, weir_error *err);
    void (*seal)(op *self, arena *a, change_list *changes);
    void (*committed)(op *self);
    weir_rc (*forget)(op *self, weir_error *err); /* also reads again what open() read */
    size_t (*dirty_bytes)(const op *self);
    size_t (*state_bytes)(const op *self);
    void (*close)(op *self);
} op_class;

struct op { /* first in every operator's struct */
    const op_class *class;
    const step *step;
    op *next; /* NULL: the last */
    uint8_t side; /* of next's inputs, which it feeds */
    task *task;
    uint64_t rows_in, rows_out, late_rows;
    int64_t busy_ns; /* in its functions, without what it pushed on to others */
};

/* What a step has done, in one task or all together. */
typedef struct op_stats {
    uint64_t rows_in, rows_out, late_rows;
    int64_t busy_ns;
    size_t state_bytes; /* in memory */
} op_stats;

/* Pushes on to the next operator; does nothing with no live rows. */
weir_rc op_emit(op *self, batch *out, weir_error *err);
/* Tells the next operator what watermark() was told. */
weir_rc op_pass_watermark(op *self, int32_t upstream, int64_t event_ms, bool is_idle, weir_error *err);

/* PASS: steps that need no work: FINAL, which the aggregation below does, and an exchange where one task has all partitions. */
extern const op_class op_filter, op_project, op_flat_map, op_exchange, op_aggregate, op_session, op_table,
    op_join_stream_stream, op_join_stream_table, op_join_table_table,
    op_join_foreign, op_subscribe, op_sort, op_limit,
    op_sink, op_result, op_pass;

#endif
