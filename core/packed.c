/* core/packed.c - see packed.h. */
#include "core/packed.h"

#include <endian.h>

#define HIGH 8 /* and so many high bytes */

static inline uint64_t load_little(const char *at)
{
    uint64_t n;

    memcpy(&n, at, 8);
    return le64toh(n);
}

static inline unsigned low_bytes(uint64_t n) { return n == 0 ? 0 : 8 - (unsigned)__builtin_clzll(n) / 8; }
static inline unsigned high_bytes(uint64_t n) { return n == 0 ? 0 : 8 - (unsigned)__builtin_ctzll(n) / 8; }

void text_add_packed(text *out, const uint64_t *words, uint32_t count)
{
    text_reserve(out, (count + 1) / 2 + 8 * (size_t)count);
    char *forms = out->data + out->len, *at = forms + (count + 1) / 2;

    memset(forms, 0, (count + 1) / 2);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t bytes = zigzag((int64_t)words[i]);
        unsigned form = low_bytes(bytes), len = form, high = high_bytes(words[i]);
        if (high < len) {
            bytes = words[i] >> (64 - 8 * high);
            form = HIGH + high;
            len = high;
        }
        bytes = htole64(bytes);
        memcpy(at, &bytes, 8); /* there is room for all */
        at += len;
        forms[i / 2] = (char)(forms[i / 2] | form << (i % 2 * 4));
    }
    out->len = (size_t)(at - out->data);
    *at = '\0';
}

bool read_packed(reader_bytes *in, uint64_t *words, uint32_t count)
{
    const char *forms = read_bytes(in, (count + 1) / 2);

    for (uint32_t i = 0; i < count && !in->bad; i++) {
        unsigned form = (uint8_t)forms[i / 2] >> (i % 2 * 4) & 15, len = form > HIGH ? form - HIGH : form;
        uint64_t bytes = 0;
        if (in->end - in->at >= 8) {
            bytes = len == 0 ? 0 : load_little(in->at) & UINT64_MAX >> (64 - 8 * len);
            in->at += len;
        } else {
            char rest[8] = { 0 };
            const char *from = read_bytes(in, len);
            if (from != NULL) memcpy(rest, from, len);
            bytes = load_little(rest);
        }
        words[i] = form > HIGH ? bytes << (64 - 8 * len) : (uint64_t)unzigzag(bytes);
    }
    return !in->bad;
}
