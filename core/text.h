/* core/text.h - text being built: grows, knows its length, reused across rounds with text_clear(). */
#ifndef WEIR_CORE_TEXT_H
#define WEIR_CORE_TEXT_H

#include "core/arena.h"

typedef struct text {
    char *data; /* a NUL always follows data[len] once anything was added; NULL while empty and never used */
    size_t len;
    size_t held_bytes;
} text;

#define TEXT_EMPTY ((text){ NULL, 0, 0 })

void text_free(text *t); /* leaves it empty, fit for use */
void text_reserve(text *t, size_t more_bytes);
void text_trim(text *t); /* gives back the room behind what it holds */
void text_add(text *t, slice more);
void text_add_c(text *t, const char *more);
void text_printf(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline void text_clear(text *t)
{
    t->len = 0;
    if (t->data != NULL) t->data[0] = '\0';
}

static inline void text_add_char(text *t, char c)
{
    if (t->held_bytes - t->len < 2) text_reserve(t, 1);
    t->data[t->len++] = c;
    t->data[t->len] = '\0';
}

/* Borrowed until the text changes. */
static inline slice text_slice(const text *t)
{
    return (slice){ t->data == NULL ? "" : t->data, t->len };
}

/* A copy that lives as long as the arena; the text is freed. */
slice text_keep(text *t, arena *a);

/* Big-endian integers, whose bytes sort as the numbers do (signed ones with the sign bit flipped by the caller). */
void text_add_u16(text *t, uint16_t number);
void text_add_u32(text *t, uint32_t number);
void text_add_u64(text *t, uint64_t number);
/* As write_varint() of core/bytes.h. */
void text_add_varint(text *t, uint64_t number);

#endif
