/* core/arena.c - chunks in a list; a reset keeps the largest one. */
#include "core/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct arena_chunk {
    struct arena_chunk *older;
    size_t bytes; /* after this header */
} arena_chunk;

#define CHUNK_BYTES_FIRST ((size_t)8 << 10)
#define CHUNK_BYTES_MAX ((size_t)1 << 20)

_Static_assert(sizeof(arena_chunk) % 16 == 0, "what follows the header is 16-byte aligned");

static void *must_alloc(size_t bytes)
{
    void *memory = malloc(bytes);

    if (memory == NULL) {
        fprintf(stderr, "weir: out of memory (%zu bytes asked for)\n", bytes);
        abort();
    }
    return memory;
}

static void use_chunk(arena *a, arena_chunk *chunk)
{
    a->at = (char *)(chunk + 1);
    a->end = a->at + chunk->bytes;
}

arena *arena_new(size_t first_chunk_bytes)
{
    arena *a = must_alloc(sizeof *a);

    *a = (arena){ .next_chunk_bytes = first_chunk_bytes == 0 ? CHUNK_BYTES_FIRST : (first_chunk_bytes + 15) & ~(size_t)15 };
    return a;
}

void *arena_alloc_slow(arena *a, size_t bytes)
{
    size_t chunk_bytes = bytes > a->next_chunk_bytes ? bytes : a->next_chunk_bytes;
    arena_chunk *chunk = must_alloc(sizeof *chunk + chunk_bytes);

    chunk->bytes = chunk_bytes;
    chunk->older = a->chunks;
    a->chunks = chunk;
    a->held_bytes += chunk_bytes;
    if (a->next_chunk_bytes < CHUNK_BYTES_MAX) a->next_chunk_bytes *= 2;
    use_chunk(a, chunk);
    void *lent = a->at;
    a->at += bytes;
    return lent;
}

void *arena_zero(arena *a, size_t bytes)
{
    return memset(arena_alloc(a, bytes), 0, bytes);
}

void arena_reset(arena *a)
{
    arena_chunk *largest = a->chunks;

    if (largest == NULL) return;
    for (arena_chunk *chunk = a->chunks; chunk != NULL; chunk = chunk->older) {
        if (chunk->bytes > largest->bytes) largest = chunk;
    }
    for (arena_chunk *chunk = a->chunks, *older; chunk != NULL; chunk = older) {
        older = chunk->older;
        if (chunk != largest) free(chunk);
    }
    largest->older = NULL;
    a->chunks = largest;
    a->held_bytes = largest->bytes;
    use_chunk(a, largest);
}

void arena_give_back(arena *a)
{
    for (arena_chunk *chunk = a->chunks, *older; chunk != NULL; chunk = older) {
        older = chunk->older;
        free(chunk);
    }
    *a = (arena){ .next_chunk_bytes = CHUNK_BYTES_FIRST };
}

void arena_free(arena *a)
{
    if (a == NULL) return;
    arena_give_back(a);
    free(a);
}

size_t arena_bytes(const arena *a)
{
    return a->held_bytes;
}

slice arena_copy(arena *a, slice from)
{
    if (from.data == NULL) return from;
    char *copy = arena_alloc(a, from.len + 1);
    if (from.len > 0) memcpy(copy, from.data, from.len);
    copy[from.len] = '\0';
    return (slice){ copy, from.len };
}

const char *arena_c_string(arena *a, slice from)
{
    return from.data == NULL ? NULL : arena_copy(a, from).data;
}

slice arena_printf(arena *a, const char *format, ...)
{
    va_list arguments;
    char small[256];

    va_start(arguments, format);
    int length = vsnprintf(small, sizeof small, format, arguments);
    va_end(arguments);
    if (length < (int)sizeof small) return arena_copy(a, (slice){ small, (size_t)length });

    char *large = arena_alloc(a, (size_t)length + 1);
    va_start(arguments, format);
    vsnprintf(large, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return (slice){ large, (size_t)length };
}
