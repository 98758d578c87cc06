/* planner/joins.c - FROM with JOINs. */
#include "planner/build.h"

weir_rc plan_joins(builder *b, const select_query *q, rel *out)
{
    (void)out;
    return fail_unsupported(b->err, q->from->at, "JOIN");
}
