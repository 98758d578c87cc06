/* core/slab.c - size classes are 16 bytes apart up to 512, then powers of two and the three quarters between; pieces over 64 KiB go
 * to malloc. */
#include "core/slab.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CHUNK_BYTES ((size_t)256 << 10)
#define SMALL_BYTES_MAX ((size_t)64 << 10)
#define FINE_CLASSES 32 /* of 16, 32, 48 ... 512 bytes */
#define CLASSES 48

typedef struct piece {
    struct piece *next;
} piece;

typedef struct chunk {
    struct chunk *next, *previous;
} chunk;

struct slab {
    piece *spare[CLASSES];
    chunk chunks; /* a ring; also holds the large pieces */
    char *at, *end;
    size_t lent_bytes;
};

/* Behind the fine ones: 768, 1024, 1536 ... */
static unsigned class_of(size_t bytes)
{
    if (bytes <= 16 * FINE_CLASSES) return bytes <= 16 ? 0 : (unsigned)((bytes - 1) / 16);
    unsigned k = 63 - (unsigned)__builtin_clzll(bytes - 1) - 9; /* 512<<k < bytes <= 1024<<k */
    return FINE_CLASSES + 2 * k + (bytes > ((size_t)768 << k));
}

static size_t class_bytes(unsigned class)
{
    if (class < FINE_CLASSES) return 16 * ((size_t)class + 1);
    class -= FINE_CLASSES;
    return (class & 1 ? (size_t)1024 : (size_t)768) << (class / 2);
}

size_t slab_usable(size_t bytes)
{
    return bytes > SMALL_BYTES_MAX ? bytes : class_bytes(class_of(bytes));
}

static chunk *add_chunk(slab *s, size_t bytes)
{
    chunk *c = malloc(sizeof *c + bytes);

    if (c == NULL) {
        fprintf(stderr, "weir: out of memory (%zu bytes of state asked for)\n", bytes);
        abort();
    }
    c->next = s->chunks.next;
    c->previous = &s->chunks;
    c->next->previous = c;
    s->chunks.next = c;
    return c;
}

slab *slab_new(void)
{
    slab *s = calloc(1, sizeof *s);

    if (s == NULL) abort();
    s->chunks.next = s->chunks.previous = &s->chunks;
    return s;
}

void slab_drop(slab *s)
{
    if (s == NULL) return;
    for (chunk *c = s->chunks.next, *next; c != &s->chunks; c = next) {
        next = c->next;
        free(c);
    }
    free(s);
}

void *slab_alloc(slab *s, size_t bytes)
{
    if (bytes > SMALL_BYTES_MAX) {
        s->lent_bytes += bytes;
        return add_chunk(s, bytes) + 1;
    }
    unsigned class = class_of(bytes);
    size_t size = class_bytes(class);
    piece *p = s->spare[class];
    s->lent_bytes += size;
    if (p != NULL) {
        s->spare[class] = p->next;
        __builtin_prefetch(p->next); /* it is most likely next, and long out of the cache */
        return p;
    }
    if ((size_t)(s->end - s->at) < size) { /* what is left of the old chunk becomes spare pieces */
        while (s->end - s->at >= 16) {
            unsigned fit = class_of((size_t)(s->end - s->at));
            if (class_bytes(fit) > (size_t)(s->end - s->at)) fit--;
            piece *rest = (piece *)s->at;
            rest->next = s->spare[fit];
            s->spare[fit] = rest;
            s->at += class_bytes(fit);
        }
        s->at = (char *)(add_chunk(s, CHUNK_BYTES) + 1);
        s->end = s->at + CHUNK_BYTES;
    }
    p = (piece *)s->at;
    s->at += size;
    return p;
}

void slab_free(slab *s, void *lent, size_t bytes)
{
    if (lent == NULL) return;
    if (bytes > SMALL_BYTES_MAX) {
        chunk *c = (chunk *)lent - 1;
        c->previous->next = c->next;
        c->next->previous = c->previous;
        s->lent_bytes -= bytes;
        free(c);
        return;
    }
    unsigned class = class_of(bytes);
    piece *p = lent;
    p->next = s->spare[class];
    s->spare[class] = p;
    s->lent_bytes -= class_bytes(class);
}

size_t slab_bytes_lent(const slab *s)
{
    return s->lent_bytes;
}
