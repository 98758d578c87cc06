/* executor/op_join.h - what the joins share. A join's row: the key, the left input's value columns, the right's. */
#ifndef WEIR_EXECUTOR_OP_JOIN_H
#define WEIR_EXECUTOR_OP_JOIN_H

#include "executor/row_store.h"

enum { LEFT_SIDE, RIGHT_SIDE };

/* What a foreign-key join's left side says of a row. */
enum {
    SUBSCRIPTION_ANSWER,        /* it has this foreign key now: give its joined row, or that there is none */
    SUBSCRIPTION_ANSWER_IF_MET, /* the same, but there was none before: nothing is to be said where there is none */
    SUBSCRIPTION_MOVED,         /* it has another foreign key now */
    SUBSCRIPTION_DELETE         /* it is gone: so is its joined row. Goes to all partitions */
};
/* What an answer to that has for a partition: no answer to an older version of the left row follows from the same task. */
#define ANSWER_LAST 1

/* Of an input: what a step's schema says, and where its value columns stand in the join's. */
typedef struct join_side {
    const step *step;
    uint32_t first, count; /* its value columns: the join's columns first .. first + count - 1 */
    bool is_kept;          /* its rows come out without a match, too */
} join_side;

void join_sides_of(const op *self, join_side sides[2]);
/* The second store of a join. */
#define RIGHT_STORE(store) ((uint16_t)((store) | 0x4000))
/* A join's rows come of two inputs: only what the task says of itself goes on, and to a table's lookups what is of the stream. */
weir_rc join_pass_watermark(op *self, int32_t upstream, int64_t event_ms, bool is_idle, weir_error *err);
/* The rows' keys in state, windows included; absent where a column of the key is null. */
slice *join_keys(const op *self, const batch *in);

#endif
