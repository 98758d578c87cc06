/* planner/bound.h - what the planner does with bound expressions: making, comparing, renumbering, printing them. */
#ifndef WEIR_PLANNER_BOUND_H
#define WEIR_PLANNER_BOUND_H

#include "planner/expr.h"

extern const type type_lambda, type_interval_unit; /* of arguments only */

/* Nodes in the arena. What they are given is lent; args[0 .. arg_count) are NULL until they are set. */
bound *bound_new(arena *a, bound_kind kind, const type *t, sql_pos at, uint32_t arg_count);
bound *bound_column(arena *a, uint32_t column, const type *t, sql_pos at);
bound *bound_literal(arena *a, const type *t, value v, sql_pos at);

bool bound_equal(const bound *x, const bound *y);
/* Calls see() on the expression and everything in it, lambda bodies included, parents first. */
void bound_walk(const bound *b, void (*see)(void *self, const bound *b), void *self);
/* Sets wanted[c] for each column c that it reads. */
void bound_mark_columns(const bound *b, bool *wanted);
/* True when it is, or holds, a node of this kind. */
bool bound_holds(const bound *b, bound_kind kind);
/* A copy in which column c is columns[c]: an expression, or NULL where no c stands. */
bound *bound_replace_columns(arena *a, const bound *b, bound *const *columns);
/* Gives back what its calls hold beside their arena. */
void bound_release(const bound *b);

/* As SQL over a schema's columns: parsed and bound again, it is an equal expression. Columns stand in back quotes,
 * pseudo columns do not, so that a column named `ROWTIME` is no other. */
void bound_print(text *out, const bound *b, const schema *over);
/* A literal as SQL of exactly that type. */
void literal_print(text *out, const type *t, const value *v);

#endif
