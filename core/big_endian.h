/* core/big_endian.h - integers as bytes, the high ones first, so that they sort as the numbers do. */
#ifndef WEIR_CORE_BIG_ENDIAN_H
#define WEIR_CORE_BIG_ENDIAN_H

#include <stdint.h>
#include <string.h>

static inline void put_u16(char *at, uint16_t n) { n = __builtin_bswap16(n); memcpy(at, &n, 2); }
static inline void put_u32(char *at, uint32_t n) { n = __builtin_bswap32(n); memcpy(at, &n, 4); }
static inline void put_u64(char *at, uint64_t n) { n = __builtin_bswap64(n); memcpy(at, &n, 8); }
static inline uint16_t get_u16(const char *at) { uint16_t n; memcpy(&n, at, 2); return __builtin_bswap16(n); }
static inline uint32_t get_u32(const char *at) { uint32_t n; memcpy(&n, at, 4); return __builtin_bswap32(n); }
static inline uint64_t get_u64(const char *at) { uint64_t n; memcpy(&n, at, 8); return __builtin_bswap64(n); }

#endif
