/* planner/catalog.h - what is known: streams, tables, types, persistent queries. The fold of the command log.
 * A catalog owns an arena an entity; entities it lends stay valid until they are dropped or replaced. One thread at a time. */
#ifndef WEIR_PLANNER_CATALOG_H
#define WEIR_PLANNER_CATALOG_H

#include "planner/plan.h"

typedef struct source {
    slice name;
    bool is_table;
    bool is_source;       /* CREATE SOURCE: read-only */
    schema schema;
    slice topic;
    int32_t partitions, replicas;
    int64_t retention_ms; /* of the topic, when it is made for this; -1: as the storage has it */
    format_spec key, value;
    window_kind windowed; /* of its key */
    int64_t window_size_ms;
    int32_t timestamp_column; /* -1 */
    slice timestamp_format;
    slice sql;            /* the statement that made it */
    slice query_id;       /* the persistent query that made it; absent: declared over a topic */
} source;

typedef enum query_status { QUERY_RUNNING, QUERY_PAUSED } query_status;

typedef struct query_entry {
    slice id;
    slice sink;           /* name of the stream or table it writes */
    plan plan;
    query_status status;
} query_entry;

typedef struct custom_type {
    slice name;
    const type *type;
} custom_type;

/* Of ALTER SYSTEM: names as typed. */
typedef struct system_setting {
    slice name, value;
} system_setting;

typedef struct catalog catalog;

catalog *catalog_new(void);
void catalog_free(catalog *c);
/* Where the formats of its sources and queries find their schemas, from now on; NULL: nowhere. */
void catalog_use_registry(catalog *c, struct registry *registry);
/* Names are exact: the parser has put unquoted ones in upper case. NULL: not there. */
const source *catalog_source(const catalog *c, slice name);
const query_entry *catalog_query(const catalog *c, slice id);
/* Keeps an entry, also when the catalog forgets it. Dropping is for any thread; NULL is fine. */
void catalog_query_hold(const query_entry *e);
void catalog_query_drop(const query_entry *e);
const type *catalog_type(const catalog *c, slice name);
/* Arrays in order of creation; lent until the next command. */
const source *const *catalog_sources(const catalog *c, uint32_t *count);
const query_entry *const *catalog_queries(const catalog *c, uint32_t *count);
typedef struct dropped_query {
    slice id, state_name;
} dropped_query;

/* All queries that ever left it, in that order; the id of one may be there again. */
const dropped_query *catalog_dropped_queries(const catalog *c, uint32_t *count);
/* What plan.state_name is to be of a query of that id that is created now, or takes the place of the one of that id. */
slice catalog_state_name(const catalog *c, slice id, arena *a);
/* Is it that of a query that is there? */
bool catalog_uses_state(const catalog *c, slice state_name);
const system_setting *const *catalog_settings(const catalog *c, uint32_t *count);
const custom_type *const *catalog_types(const catalog *c, uint32_t *count);

/* A change of the catalog: what one accepted statement does. Self-contained: applying it plans nothing. */
typedef enum command_kind {
    COMMAND_CREATE_SOURCE, /* source; and, with CREATE ... AS, the query that fills it */
    COMMAND_INSERT_INTO,   /* query alone */
    COMMAND_DROP_SOURCE,   /* name; with the queries that write it, as listed */
    COMMAND_TERMINATE,     /* name: a query's id */
    COMMAND_PAUSE,
    COMMAND_RESUME,
    COMMAND_CREATE_TYPE,
    COMMAND_DROP_TYPE,
    COMMAND_ALTER_SYSTEM   /* name, value */
} command_kind;

typedef struct command {
    command_kind kind;
    bool replaces;          /* OR REPLACE, ALTER: an entity of that name goes */
    bool deletes_topic;
    slice name;
    slice value;
    const source *source;   /* CREATE_SOURCE */
    const plan *plan;       /* CREATE ... AS, INSERT_INTO */
    const type *type;
    slice sql;              /* the statement as typed */
} command;

/* The next number a query id takes ("CSAS_S_<n>"): counts commands, so that all folders of the log agree. */
uint64_t catalog_version(const catalog *c);
/* No stream or table, no query is so named: says which is near, or where they are listed. kind: "stream", "table" or
 * "stream or table", as the statement asks for. */
weir_rc catalog_fail_source(const catalog *c, const char *kind, slice name, sql_pos at, weir_error *err);
weir_rc catalog_fail_query(const catalog *c, slice id, sql_pos at, weir_error *err);
/* A SOURCE is for reading. */
weir_rc catalog_fail_read_only(const source *s, sql_pos at, weir_error *err);
/* The same for a column of a source. */
weir_rc catalog_fail_column(const source *of, slice name, sql_pos at, weir_error *err);
/* What stands against a command: dependent queries, a name that is taken, a replacement that does not fit. at: where
 * the statement names its object. */
weir_rc catalog_check(const catalog *c, const command *what, sql_pos at, weir_error *err) WEIR_CHECKED;
/* catalog_check(), then the change; the command is copied. */
weir_rc catalog_apply(catalog *c, const command *what, weir_error *err) WEIR_CHECKED;
/* As kept in the command log: text, with a format version; parse reads it back into the arena. */
void command_print(text *out, const command *what);
weir_rc command_parse(slice in, arena *a, command *out, weir_error *err) WEIR_CHECKED;
/* plan_release() of the plan it may have. */
void command_release(const command *what);

#endif
