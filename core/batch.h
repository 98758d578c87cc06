/* core/batch.h - rows in columns, in arrival order: what operators push to each other.
 * Everything a batch points to lives until the batch has passed the last operator: in its arena or in the received
 * buffers. A column's data is one typed array; its null bytes (1: null) stand beside it and are always there. */
#ifndef WEIR_CORE_BATCH_H
#define WEIR_CORE_BATCH_H

#include "core/value.h"

#define BATCH_ROWS_MAX 4096 /* the most rows a batch may have; tests run with 1, 2 and 7 as well */

/* Which physical rows of a batch are meant, in order. index == NULL: rows 0 .. count-1. */
typedef struct row_set {
    const uint32_t *index;
    uint32_t count;
} row_set;

/* for (each physical row r of rows): the compiler makes two loops of it. */
#define EACH_ROW(r, rows)                                                                             \
    for (uint32_t r##_at = 0, r = 0;                                                                  \
         r##_at < (rows).count && ((r = (rows).index == NULL ? r##_at : (rows).index[r##_at]), true); \
         r##_at++)

typedef struct column {
    const type *type;
    uint8_t *null; /* 1: the row is null here, and its data undefined */
    union {
        void *any;
        uint8_t *boolean;
        int32_t *i32; /* INTEGER, DATE, TIME */
        int64_t *i64; /* BIGINT, TIMESTAMP */
        double *f64;
        decimal *dec;
        slice *str;    /* STRING, BYTES; never with data == NULL where not null */
        value *nested; /* ARRAY, MAP, STRUCT */
    };
} column;

/* Bytes of one element of a type's array. */
size_t column_element_bytes(const type *t);
/* Room for rows 0 .. rows-1, null bytes cleared. */
column column_new(arena *a, const type *t, uint32_t rows);
value column_get(const column *c, uint32_t row);
void column_set(column *c, uint32_t row, const value *v);
/* Copies one row's value between columns of equal type; strings and lists are shared, not copied. */
void column_copy_row(column *to, uint32_t to_row, const column *from, uint32_t from_row);

/* What a row says about its key. */
typedef enum row_kind {
    ROW_NORMAL = 0,
    ROW_TOMBSTONE = 1, /* its value is null: a table forgets the key; a stream carries it along as nulls */
} row_kind;

typedef struct header {
    slice key;
    slice value; /* absent: null */
} header;

typedef struct header_list {
    const header *items;
    uint32_t count;
} header_list;

typedef struct batch {
    arena *arena;
    uint32_t rows;   /* physical rows of all arrays here */
    row_set live;    /* those still in: filters shorten it */
    column *columns; /* key columns first, then value columns, as the schema says */
    uint32_t column_count;
    int64_t *event_ms;
    uint8_t *kind;          /* row_kind */
    uint8_t *keyless;       /* 1: the record had no key, not even one of nulls; NULL: not known, or none of the rows */
    int64_t *window_start;  /* NULL unless the key is windowed */
    int64_t *window_end;
    int32_t *row_partition; /* ROWPARTITION and ROWOFFSET of the source record; NULL behind an aggregation */
    int64_t *row_offset;
    header_list *headers;   /* NULL: none of the rows has headers */
    int32_t upstream;       /* partition its rows came from before the exchange; -1: there was none */
    int64_t *passed_ms;     /* how far that partition had come with each row, itself included; NULL: not behind an exchange */
    bool is_mixed;          /* behind two exchanges: passed_ms is that of several partitions, and upstream is the last one's */
    uint8_t side;           /* of a task with several inputs: which of them; the whole batch is of one side */
    struct batch *old;      /* the rows' former values, where an operator above asked for them: same rows, same order;
                               kind ROW_TOMBSTONE there: there was no former row */
} batch;

#endif
