/* core/schema.h - the columns of a source or of a step of a plan: key columns first, then value columns. */
#ifndef WEIR_CORE_SCHEMA_H
#define WEIR_CORE_SCHEMA_H

#include "core/type.h"

typedef struct schema_column {
    slice name;
    const type *type;
    bool is_headers;  /* HEADERS: ARRAY<STRUCT<KEY STRING, VALUE BYTES>> */
    slice header_key; /* HEADER('key'): BYTES of the last header so named; absent otherwise */
} schema_column;

typedef struct schema {
    const schema_column *columns;
    uint32_t key_count; /* columns[0 .. key_count) are the key */
    uint32_t count;
} schema;

typedef enum window_kind { WINDOW_NONE, WINDOW_TUMBLING, WINDOW_HOPPING, WINDOW_SESSION } window_kind;

/* The index of the column of that exact name, or -1. */
int32_t schema_find(const schema *s, slice name);
bool schema_equal(const schema *a, const schema *b);
schema schema_copy(arena *a, const schema *s);
/* "`ID` BIGINT KEY, `SUM` INTEGER": for a table the word is PRIMARY KEY. */
void schema_print(text *out, const schema *s, bool is_table);
/* The first column that is not as wanted: "column V is INTEGER, not BIGINT". False: all are. */
bool schema_print_difference(text *out, const schema *wanted, const schema *found);

#endif
