/* planner/expr.h - a bound expression: names are columns, every node has its type, casts are explicit.
 * Immutable once bound, and shared by all tasks of a query; the evaluator (executor/eval.h) runs it over batches. */
#ifndef WEIR_PLANNER_EXPR_H
#define WEIR_PLANNER_EXPR_H

#include "core/schema.h"
#include "functions/function.h"

typedef enum bound_kind {
    BOUND_COLUMN,       /* column `column` of the input batch */
    BOUND_LITERAL,
    BOUND_CALL,         /* call->fn over args; args[i] is NULL where call->lambdas[i] stands */
    BOUND_AND,          /* args[0], args[1], ...: the next only for rows the one before left open */
    BOUND_OR,
    BOUND_CASE,         /* args: condition, result, condition, result, ... and the else, which is always there */
    BOUND_FIELD,        /* field `field` of the struct args[0]; null of null */
    BOUND_STRUCT,       /* args are the fields in the type's order */
    BOUND_PARAM,        /* parameter `param` of a lambda around it: numbered from the outermost lambda inwards */
    BOUND_ROWTIME,      /* the row's event time, BIGINT */
    BOUND_ROWPARTITION, /* INTEGER */
    BOUND_ROWOFFSET,    /* BIGINT */
    BOUND_WINDOWSTART,  /* BIGINT; null where the key is not windowed */
    BOUND_WINDOWEND
} bound_kind;

typedef struct bound bound;

struct bound {
    bound_kind kind;
    const type *type;
    sql_pos at;
    bound **args;
    uint32_t arg_count;
    union {
        uint32_t column;
        uint32_t field;
        uint32_t param;
        value literal;
        call *call;
    };
};

/* What call->lambdas[i] points to. The evaluator fills base.apply. */
typedef struct bound_lambda {
    lambda base;
    bound *body;
    uint32_t first_param; /* its parameters are first_param .. first_param + base.param_count - 1 */
} bound_lambda;

#endif
