/* core/nearest.h - "did you mean": the known name closest to one that is not known. */
#ifndef WEIR_CORE_NEAREST_H
#define WEIR_CORE_NEAREST_H

#include "core/slice.h"

#define NEAREST_LISTED_MAX 8

/* Names are offered one by one; case is ignored. The best one is kept if it is close enough to be meant, or begins with
 * what is wanted. */
typedef struct nearest {
    slice wanted;
    slice best; /* absent: nothing is close */
    uint32_t distance;
    slice first[NEAREST_LISTED_MAX]; /* of the names offered */
    uint32_t offered;
} nearest;

nearest nearest_to(slice wanted);
void nearest_offer(nearest *n, slice name);
/* A name that others have for what is called `here`: meant, and no other, where just that is wanted. */
void nearest_offer_other(nearest *n, const char *elsewhere, const char *here);
/* "; did you mean IP?", or "": for the end of a message. Lent until the next call of the thread. */
const char *nearest_hint(const nearest *n);
/* The same; where nothing is close, the names there are: "; there are IP, URL". */
const char *nearest_or_all(const nearest *n);

#endif
