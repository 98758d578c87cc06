/* functions/aggregate.c - tails. */
#include "functions/aggregate.h"

void tail_set(slab *s, tail *t, slice bytes)
{
    if (t->data == NULL || bytes.len > t->held || bytes.len < t->held / 4) {
        slab_free(s, t->data, t->held);
        t->held = (uint32_t)slab_usable(bytes.len > 0 ? bytes.len : 1);
        t->data = slab_alloc(s, t->held);
    }
    memcpy(t->data, bytes.data, bytes.len);
    t->len = (uint32_t)bytes.len;
}

void tail_drop(slab *s, tail *t)
{
    slab_free(s, t->data, t->held);
    *t = (tail){ 0 };
}

/* 0: none; else the length plus one, then the bytes. */
void tail_encode(const tail *t, text *out)
{
    text_add_varint(out, t->data == NULL ? 0 : (uint64_t)t->len + 1);
    if (t->data != NULL) text_add(out, tail_slice(t));
}

bool tail_decode(slab *s, reader_bytes *in, tail *t)
{
    uint64_t length = read_varint(in);

    *t = (tail){ 0 };
    if (in->bad || length == 0) return !in->bad;
    if (length > UINT32_MAX) in->bad = true;
    const char *bytes = in->bad ? NULL : read_bytes(in, (size_t)length - 1);
    if (bytes == NULL) return false;
    tail_set(s, t, (slice){ bytes, (size_t)length - 1 });
    return true;
}
