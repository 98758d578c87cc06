/* core/slab.c - size classes are 16 bytes apart up to 512, then powers of two and the three quarters between; pieces over 64 KiB go
 * to malloc. What is given back is noted beside, not in the pieces: they are long out of the cache when they are lent again, and
 * several can be asked for ahead. */
#include "core/slab.h"

#include "core/must.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CHUNK_BYTES ((size_t)256 << 10)
#define SMALL_BYTES_MAX ((size_t)64 << 10)
#define FINE_CLASSES 32 /* of 16, 32, 48 ... 512 bytes */
#define CLASSES 48

#define PIECES_AHEAD 8 /* so far before it is lent is a piece asked for */

/* Pieces of a class that were given back. */
typedef struct pile {
    void **pieces;
    uint32_t count, room;
} pile;

typedef struct chunk {
    struct chunk *next, *previous;
} chunk;

typedef struct heap {
    pile spare[CLASSES];
    chunk chunks; /* a ring; also holds the large pieces */
    char *at, *end;
    uint32_t slabs; /* that lend of it */
} heap;

struct slab {
    heap *of;
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

static chunk *add_chunk(heap *h, size_t bytes)
{
    chunk *c = malloc(sizeof *c + bytes);

    if (c == NULL) {
        fprintf(stderr, "weir: out of memory (%zu bytes of state asked for)\n", bytes);
        abort();
    }
    c->next = h->chunks.next;
    c->previous = &h->chunks;
    c->next->previous = c;
    h->chunks.next = c;
    return c;
}

static heap *heap_new(void)
{
    heap *h = must(calloc(1, sizeof *h));

    h->chunks.next = h->chunks.previous = &h->chunks;
    return h;
}

slab *slab_new(const slab *beside)
{
    slab *s = must(calloc(1, sizeof *s));

    s->of = beside == NULL ? heap_new() : beside->of;
    s->of->slabs++;
    return s;
}

static void put_by(heap *h, unsigned class, void *piece)
{
    pile *p = &h->spare[class];

    if (p->count == p->room) {
        p->room = p->room == 0 ? 16 : p->room + p->room / 2;
        p->pieces = must(realloc(p->pieces, p->room * sizeof *p->pieces));
    }
    p->pieces[p->count++] = piece;
}

static void heap_free(heap *h)
{
    for (unsigned i = 0; i < CLASSES; i++) free(h->spare[i].pieces);
    for (chunk *c = h->chunks.next, *next; c != &h->chunks; c = next) {
        next = c->next;
        free(c);
    }
    free(h);
}

void slab_drop(slab *s)
{
    if (s == NULL) return;
    if (--s->of->slabs == 0) heap_free(s->of);
    free(s);
}

/* What is left of the chunk becomes spare pieces, and another one follows. */
static void next_chunk(heap *h)
{
    while (h->end - h->at >= 16) {
        unsigned fit = class_of((size_t)(h->end - h->at));
        if (class_bytes(fit) > (size_t)(h->end - h->at)) fit--;
        put_by(h, fit, h->at);
        h->at += class_bytes(fit);
    }
    h->at = (char *)(add_chunk(h, CHUNK_BYTES) + 1);
    h->end = h->at + CHUNK_BYTES;
}

void *slab_alloc(slab *s, size_t bytes)
{
    heap *h = s->of;

    if (bytes > SMALL_BYTES_MAX) {
        s->lent_bytes += bytes;
        return add_chunk(h, bytes) + 1;
    }
    unsigned class = class_of(bytes);
    size_t size = class_bytes(class);
    pile *spare = &h->spare[class];
    s->lent_bytes += size;
    if (spare->count > 0) {
        if (spare->count > PIECES_AHEAD) {
            const char *soon = spare->pieces[spare->count - 1 - PIECES_AHEAD];
            for (size_t at = 0; at < size && at < 256; at += 64) __builtin_prefetch(soon + at, 1);
        }
        return spare->pieces[--spare->count];
    }
    if ((size_t)(h->end - h->at) < size) next_chunk(h);
    void *fresh = h->at;
    h->at += size;
    return fresh;
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
    put_by(s->of, class, lent);
    s->lent_bytes -= class_bytes(class);
}

size_t slab_bytes_lent(const slab *s)
{
    return s->lent_bytes;
}
