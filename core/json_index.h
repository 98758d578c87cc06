/* core/json_index.h - where a JSON text's structure stands: simdjson's first stage behind a face for C.
 * It finds, many bytes at a time, each { } [ ] : , and the first byte of each string, number or literal, and checks UTF-8,
 * that strings end, and that they hold no bare control characters. The rest of the grammar is the reader's. */
#ifndef WEIR_CORE_JSON_INDEX_H
#define WEIR_CORE_JSON_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum json_fault {
    JSON_FINE,
    JSON_EMPTY,
    JSON_NOT_UTF8,
    JSON_OPEN_STRING,
    JSON_CONTROL_CHARACTER,
    JSON_TOO_LARGE, /* 4 GB and more */
    JSON_NO_MEMORY,
    JSON_OTHER
} json_fault;

typedef struct json_index {
    const uint32_t *at; /* offsets, rising; at[count] is the text's length */
    uint32_t count;
    size_t held_bytes;  /* the largest text there is room for */
    void *parser;
} json_index;

/* Starts empty and grows with the texts it sees. NULL: no memory. */
json_index *json_index_new(void);
void json_index_free(json_index *index);
/* Gives memory back that only a text larger than this wanted. */
void json_index_trim(json_index *index, size_t bytes_max);

/* Fills at and count, valid until the next call. */
json_fault json_index_find(json_index *index, const char *bytes, size_t len);

bool json_utf8_valid(const char *bytes, size_t len);

#ifdef __cplusplus
}
#endif

#endif
