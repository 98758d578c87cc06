/* executor/eval.h - runs bound expressions over batches: a tree of kernels, one call a node and batch.
 * Conditional nodes evaluate each branch only on the rows that reach it. An evaluator belongs to one task. */
#ifndef WEIR_EXECUTOR_EVAL_H
#define WEIR_EXECUTOR_EVAL_H

#include "planner/expr.h"

typedef struct evaluator {
    eval_context context; /* first: lambdas find the evaluator from it */
    value *params;        /* of the lambdas being applied, by bound->param */
    uint32_t params_room;
    int64_t pinned_row;   /* the row lambdas mean while a call runs on a single row; -1: context.row */
} evaluator;

void evaluator_init(evaluator *e, const weir_clock *clock); /* the clock: of NOW() and the like; lent */
void evaluator_free(evaluator *e);

/* Makes the expression fit to run: gives its lambdas their evaluator. Once, after binding; then shared by all tasks. */
void expression_prepare(bound *b);

/* *out: the value of each row of rows, made in the batch's arena or lent from the batch. */
void eval_column(evaluator *e, const bound *b, const batch *in, row_set rows, column *out);
/* The rows for which the predicate is true (not false, not null). */
row_set eval_rows(evaluator *e, const bound *predicate, const batch *in, row_set rows);
/* One row's value. */
value eval_value(evaluator *e, const bound *b, const batch *in, uint32_t row);

#endif
