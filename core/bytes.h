/* core/bytes.h - integers in byte strings (big-endian, varints), and a bounds-checked reader over received bytes. */
#ifndef WEIR_CORE_BYTES_H
#define WEIR_CORE_BYTES_H

#include "core/big_endian.h"
#include "core/slice.h"

/* The first eight bytes as a number, zeros behind a shorter one: where two differ, so do the bytes, and in the same order. */
static inline uint64_t bytes_head(slice bytes)
{
    char head[8] = { 0 };

    if (bytes.len >= sizeof head) return get_u64(bytes.data);
    if (bytes.len > 0) memcpy(head, bytes.data, bytes.len);
    return get_u64(head);
}

/* A signed number as bytes that sort in its order. */
static inline uint64_t sortable_i64(int64_t n) { return (uint64_t)n ^ ((uint64_t)1 << 63); }
static inline int64_t unsortable_i64(uint64_t n) { return (int64_t)(n ^ ((uint64_t)1 << 63)); }

/* A signed number as one that is small where it is near zero (0, -1, 1, -2 ...), so that its varint is short. */
static inline uint64_t zigzag(int64_t n) { return (uint64_t)n << 1 ^ (uint64_t)(n >> 63); }
static inline int64_t unzigzag(uint64_t n) { return (int64_t)(n >> 1) ^ -(int64_t)(n & 1); }

#define VARINT_BYTES_MAX 10

/* LEB128: seven bits a byte, low ones first. Returns where it ends. */
static inline char *write_varint(char *at, uint64_t number)
{
    for (; number >= 0x80; number >>= 7) *at++ = (char)(number | 0x80);
    *at++ = (char)number;
    return at;
}

/* Reads forward over bytes that may be wrong: once something does not fit, `bad` stays set and all reads give 0. */
typedef struct reader_bytes {
    const char *at;
    const char *end;
    bool bad;
} reader_bytes;

static inline reader_bytes read_from(slice bytes)
{
    return (reader_bytes){ bytes.data, bytes.data + bytes.len, false };
}

static inline const char *read_bytes(reader_bytes *r, size_t count)
{
    if (r->bad || (size_t)(r->end - r->at) < count) {
        r->bad = true;
        return NULL;
    }
    const char *from = r->at;
    r->at += count;
    return from;
}

static inline uint8_t read_u8(reader_bytes *r) { const char *at = read_bytes(r, 1); return at ? (uint8_t)*at : 0; }
static inline uint16_t read_u16(reader_bytes *r) { const char *at = read_bytes(r, 2); return at ? get_u16(at) : 0; }
static inline uint32_t read_u32(reader_bytes *r) { const char *at = read_bytes(r, 4); return at ? get_u32(at) : 0; }
static inline uint64_t read_u64(reader_bytes *r) { const char *at = read_bytes(r, 8); return at ? get_u64(at) : 0; }

static inline uint64_t read_varint(reader_bytes *r)
{
    uint64_t number = 0;

    for (int shift = 0; shift < 64; shift += 7) {
        uint8_t byte = read_u8(r);
        number |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) return number;
    }
    r->bad = true;
    return 0;
}

static inline int64_t read_zigzag(reader_bytes *r) { return unzigzag(read_varint(r)); }

/* A varint length, then that many bytes: lent from the input. */
static inline slice read_slice(reader_bytes *r)
{
    uint64_t length = read_varint(r);
    const char *at = length <= (uint64_t)(r->end - r->at) ? read_bytes(r, (size_t)length) : NULL;

    if (at == NULL) r->bad = true;
    return at == NULL ? (slice){ "", 0 } : (slice){ at, (size_t)length };
}

#endif
