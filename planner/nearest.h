/* planner/nearest.h - "did you mean": the known name closest to one that is not known. */
#ifndef WEIR_PLANNER_NEAREST_H
#define WEIR_PLANNER_NEAREST_H

#include "core/slice.h"

/* Names are offered one by one; case is ignored. The best one is kept if it is close enough to be meant. */
typedef struct nearest {
    slice wanted;
    slice best; /* absent: nothing is close */
    uint32_t distance;
} nearest;

nearest nearest_to(slice wanted);
void nearest_offer(nearest *n, slice name);
/* "; did you mean IP?", or "": for the end of a message. Lent until the next call of the thread. */
const char *nearest_hint(const nearest *n);

#endif
