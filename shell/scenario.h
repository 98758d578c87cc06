/* shell/scenario.h - a scenario file as sections (tests/README.md has the format).
 * Ownership: everything lies in the arena and borrows from the text of the file. */
#ifndef WEIR_SHELL_SCENARIO_H
#define WEIR_SHELL_SCENARIO_H

#include "executor/engine.h"

typedef enum section_kind {
    SECTION_OK,      /* statement ok */
    SECTION_ERROR,   /* statement error [class] [line:column] [text] */
    SECTION_FEED,    /* feed SOURCE */
    SECTION_EXPECT,  /* expect [unordered] SOURCE */
    SECTION_QUERY,   /* query [unordered], the SQL, ----, the rows */
    SECTION_SET,     /* set NAME VALUE */
    SECTION_COUNTED, /* counted late N bad N */
    SECTION_ADVANCE, /* advance 5s */
    SECTION_RESTART  /* restart */
} section_kind;

typedef struct record_line {
    uint32_t line;
    int64_t timestamp_ms;
    slice key, value; /* absent: null, tombstone */
} record_line;

typedef struct section {
    section_kind kind;
    uint32_t line;      /* of its first line in the file; the body begins in the next */
    slice sql;          /* OK, ERROR, QUERY */
    bool is_unordered;
    slice source;       /* FEED, EXPECT: as the catalog names it */
    weir_rc error;      /* ERROR: WEIR_OK where any class will do */
    sql_pos at;
    slice message;
    slice name, value;  /* SET */
    int64_t number;     /* ADVANCE: ms; COUNTED: late, -1: not asked */
    int64_t bad;
    record_line *records; /* FEED */
    slice *rows;        /* EXPECT, QUERY: the expected rows in their canonical form */
    uint32_t count;
} section;

typedef struct scenario {
    section *sections;
    uint32_t count;
    bool restarts;
} scenario;

/* False: *line and *message say what is not understood. */
bool scenario_parse(arena *a, slice file, scenario *out, uint32_t *line, slice *message);

/* A row of a topic as an expect section writes it; the time is told where wanted. */
slice scenario_row(arena *a, const weir_row_text *row, bool with_time);
/* A row of a query, its cells between |, as a query section writes it. */
slice scenario_cells(arena *a, slice line);

#endif
