/* planner/bind_parts.h - what bind.c and bind_call.c share. */
#ifndef WEIR_PLANNER_BIND_PARTS_H
#define WEIR_PLANNER_BIND_PARTS_H

#include "planner/bind.h"

/* The parameters of one lambda, while its body is bound. */
typedef struct lambda_frame lambda_frame;
struct lambda_frame {
    const lambda_frame *outer;
    const identifier *names;
    const type *const *types;
    uint32_t count;
    uint32_t first_param;
};

/* The arguments of a call that are no lambdas; args[i] stays NULL where one is. */
weir_rc bind_call_args(binder *b, const expr *e, bound **args) WEIR_CHECKED;
/* The function that a call names: F(DISTINCT x) is F_DISTINCT(x), where there is one. */
weir_rc called_name(binder *b, const expr *e, slice *name) WEIR_CHECKED;
/* Does the expression name a parameter of a lambda around it? */
bool uses_parameter(const binder *b, const expr *e);
/* A call with OVER, which there is not yet. */
weir_rc fail_over(weir_error *err, const expr *e) WEIR_CHECKED;

#endif
