/* core/slab.h - memory for things that come, grow and go one by one, counted: the groups of an aggregation.
 * Size classes with free lists, carved from large chunks: no malloc a piece. One thread at a time. */
#ifndef WEIR_CORE_SLAB_H
#define WEIR_CORE_SLAB_H

#include <stddef.h>

typedef struct slab slab;

/* beside: another one of the same thread, with which it shares its chunks, and what either is given back; NULL: it has its own. */
slab *slab_new(const slab *beside);
/* With the last of those that share chunks goes all that they lent, and was not given back; NULL is fine. */
void slab_drop(slab *s);
/* 16-byte aligned, not cleared. */
void *slab_alloc(slab *s, size_t bytes);
/* Give back with the size asked for; NULL is fine. */
void slab_free(slab *s, void *piece, size_t bytes);
/* The bytes of a piece of that size: what a holder may grow into without asking again. */
size_t slab_usable(size_t bytes);
size_t slab_bytes_lent(const slab *s); /* by usable size */

#endif
