/* core/arena.h - memory with one lifetime: allocate freely, free all at once.
 * The arena is an argument, never a global: a signature shows how long its result lives.
 * An arena belongs to one thread at a time. Out of memory ends the process with a message (allocations here are small and
 * the alternative, a check at every node, hides the code); big buffers are the business of those who bound them. */
#ifndef WEIR_CORE_ARENA_H
#define WEIR_CORE_ARENA_H

#include "core/slice.h"

typedef struct arena arena;

arena *arena_new(size_t first_chunk_bytes); /* 0: a default of 8 KiB */
void arena_free(arena *a);                  /* NULL is fine */
void arena_reset(arena *a);                 /* all it lent is gone; keeps memory for the next round */
void arena_give_back(arena *a);             /* all it lent is gone, and so is its memory */
size_t arena_bytes(const arena *a);         /* what it holds, free or lent */

void *arena_alloc_slow(arena *a, size_t bytes);

/* The current chunk stands in the open so that the common path inlines. */
struct arena {
    char *at;
    char *end;
    struct arena_chunk *chunks; /* newest first */
    size_t held_bytes;
    size_t next_chunk_bytes;
};

/* 16-byte aligned (decimals are __int128), not cleared. */
static inline void *arena_alloc(arena *a, size_t bytes)
{
    bytes = (bytes + 15) & ~(size_t)15;
    if ((size_t)(a->end - a->at) < bytes) return arena_alloc_slow(a, bytes);
    void *lent = a->at;
    if (bytes > 0) a->at += bytes; /* a new arena has no chunk, and no bytes of it are NULL */
    return lent;
}

void *arena_zero(arena *a, size_t bytes); /* as arena_alloc, cleared */

#define ARENA_NEW(a, type) ((type *)arena_zero((a), sizeof(type)))
#define ARENA_ARRAY(a, type, count) ((type *)arena_alloc((a), sizeof(type) * (size_t)(count)))
#define ARENA_ZEROS(a, type, count) ((type *)arena_zero((a), sizeof(type) * (size_t)(count)))

/* Room for a text of at most so many bytes; what it did not need goes back. Nothing else may be allocated between. */
static inline char *arena_text_begin(arena *a, size_t bytes_max)
{
    return (char *)arena_alloc(a, bytes_max == 0 ? 1 : bytes_max);
}

static inline slice arena_text_end(arena *a, const char *begin, const char *end)
{
    a->at = (char *)begin + (((size_t)(end - begin) + 15) & ~(size_t)15);
    return (slice){ begin, (size_t)(end - begin) };
}

slice arena_copy(arena *a, slice from);               /* a NUL follows what is copied; absent stays absent */
slice arena_printf(arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *arena_c_string(arena *a, slice from);

#endif
