/* core/text.c - a growing buffer. */
#include "core/text.h"

#include "core/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void text_free(text *t)
{
    free(t->data);
    *t = TEXT_EMPTY;
}

void text_reserve(text *t, size_t more_bytes)
{
    size_t need = t->len + more_bytes + 1;

    if (need <= t->held_bytes) return;
    size_t held = t->held_bytes < 64 ? 64 : t->held_bytes;
    while (held < need) held *= 2;
    char *grown = realloc(t->data, held);
    if (grown == NULL) {
        fprintf(stderr, "weir: out of memory (%zu bytes asked for)\n", held);
        abort();
    }
    t->data = grown;
    t->held_bytes = held;
}

void text_trim(text *t)
{
    char *trimmed = t->data == NULL ? NULL : realloc(t->data, t->len + 1);

    if (trimmed == NULL) return;
    t->data = trimmed;
    t->held_bytes = t->len + 1;
}

/* So many more bytes were written, which there is room for. */
static void grow_by(text *t, size_t bytes)
{
    t->len += bytes;
    t->data[t->len] = '\0';
}

void text_add(text *t, slice more)
{
    text_reserve(t, more.len);
    copy_short(t->data + t->len, more.data, more.len);
    grow_by(t, more.len);
}

void text_add_c(text *t, const char *more)
{
    text_add(t, slice_of(more));
}

void text_printf(text *t, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    text_reserve(t, (size_t)length);
    va_start(arguments, format);
    vsnprintf(t->data + t->len, (size_t)length + 1, format, arguments);
    va_end(arguments);
    t->len += (size_t)length;
}

void text_add_u16(text *t, uint16_t number)
{
    text_reserve(t, 2);
    put_u16(t->data + t->len, number);
    grow_by(t, 2);
}

void text_add_u32(text *t, uint32_t number)
{
    text_reserve(t, 4);
    put_u32(t->data + t->len, number);
    grow_by(t, 4);
}

void text_add_u64(text *t, uint64_t number)
{
    text_reserve(t, 8);
    put_u64(t->data + t->len, number);
    grow_by(t, 8);
}

slice text_keep(text *t, arena *a)
{
    slice kept = arena_copy(a, text_slice(t));

    text_free(t);
    return kept;
}

void text_add_varint(text *t, uint64_t number)
{
    text_reserve(t, VARINT_BYTES_MAX);
    char *at = t->data + t->len;
    grow_by(t, (size_t)(write_varint(at, number) - at));
}
