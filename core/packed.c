/* core/packed.c - see packed.h. */
#include "core/packed.h"

#define HIGH 8 /* and so many high bytes */

static inline unsigned low_bytes(uint64_t n) { return n == 0 ? 0 : 8 - (unsigned)__builtin_clzll(n) / 8; }
static inline unsigned high_bytes(uint64_t n) { return n == 0 ? 0 : 8 - (unsigned)__builtin_ctzll(n) / 8; }

/* Writes a word's bytes, eight of them whatever there are; the form is how many, and which. */
static inline char *write_word(char *at, const void *from, unsigned *form)
{
    uint64_t word;

    memcpy(&word, from, 8);
    uint64_t bytes = zigzag((int64_t)word);
    unsigned len = *form = low_bytes(bytes), high = high_bytes(word);
    if (high < len) {
        bytes = word >> (64 - 8 * high);
        *form = HIGH + high;
        len = high;
    }
    memcpy(at, &bytes, 8);
    return at + len;
}

void text_add_packed(text *out, const void *words, uint32_t count)
{
    const char *from = words;

    text_reserve(out, (count + 1) / 2 + 8 * (size_t)count);
    char *forms = out->data + out->len, *at = forms + (count + 1) / 2;
    for (uint32_t i = 0; i < count; i += 2, from += 16) {
        unsigned first, second = 0;
        at = write_word(at, from, &first);
        if (i + 1 < count) at = write_word(at, from + 8, &second);
        *forms++ = (char)(first | second << 4);
    }
    out->len = (size_t)(at - out->data);
    *at = '\0';
}

void read_packed(reader_bytes *in, void *words, uint32_t count)
{
    const char *forms = read_bytes(in, (count + 1) / 2);

    for (uint32_t i = 0; i < count && !in->bad; i++) {
        unsigned form = (uint8_t)forms[i / 2] >> (i % 2 * 4) & 15, len = form > HIGH ? form - HIGH : form;
        size_t left = (size_t)(in->end - in->at);
        uint64_t bytes = 0;
        if (left >= 8) memcpy(&bytes, in->at, 8);
        else memcpy(&bytes, in->at, left);
        (void)read_bytes(in, len);
        bytes = len == 0 ? 0 : bytes & UINT64_MAX >> (64 - 8 * len);
        uint64_t word = form > HIGH ? bytes << (64 - 8 * len) : (uint64_t)unzigzag(bytes);
        memcpy((char *)words + 8 * (size_t)i, &word, 8);
    }
}
