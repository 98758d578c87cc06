/* planner/planner.h - from a statement's tree to what is to be done: a catalog command, or a plan to run. */
#ifndef WEIR_PLANNER_PLANNER_H
#define WEIR_PLANNER_PLANNER_H

#include "parser/ast.h"
#include "planner/catalog.h"

/* What the planner must ask of the world outside. */
typedef struct planner_env {
    const catalog *catalog;
    struct registry *registry; /* NULL: formats that keep schemas in one are an error */
    /* The number of partitions of a topic, 0 when there is none. */
    weir_rc (*topic_partitions)(void *self, slice topic, int32_t *partitions, int32_t *replicas, weir_error *err);
    void *self;
    /* A setting that was SET, or the default; absent: neither. Names as in ksqlDB, with or without "ksql.streams.". */
    slice (*setting)(void *self, const char *name);
    int64_t now_ms;
} planner_env;

/* What happens to old records of a topic that is made. */
typedef enum cleanup_policy {
    CLEANUP_DELETE,        /* they go after the retention */
    CLEANUP_COMPACT,       /* the last of each key stays */
    CLEANUP_COMPACT_DELETE /* the last of each key stays, until after the retention */
} cleanup_policy;

typedef enum planned_kind {
    PLANNED_COMMAND,       /* for the command log */
    PLANNED_QUERY,         /* a transient plan to run now */
    PLANNED_INSERT_VALUES, /* a record to append */
    PLANNED_NOTHING        /* IF NOT EXISTS, IF EXISTS: message says why */
} planned_kind;

typedef struct planned {
    planned_kind kind;
    command command;       /* topics it needs are in command.source / the plan's sink; the engine makes them */
    bool makes_topic;      /* the source's topic does not exist and is to be made, with source->partitions */
    cleanup_policy cleanup; /* of that topic */
    plan plan;             /* PLANNED_QUERY */
    const source *into;    /* INSERT_VALUES */
    const value *row;      /* one value a column of into->schema */
    int64_t timestamp_ms;  /* ROWTIME as given, or now */
    slice message;
} planned;

/* Plans CREATE STREAM/TABLE (AS), INSERT INTO/VALUES, SELECT, DROP, TERMINATE, PAUSE, RESUME, CREATE/DROP TYPE, ALTER.
 * Other statements are the engine's own. Results live in the arena (and borrow from the catalog until the next command). */
weir_rc plan_statement(const planner_env *env, const statement *s, arena *a, planned *out, weir_error *err) WEIR_CHECKED;

/* ASSERT STREAM and TABLE: an error of class semantic says what is not as asserted. */
weir_rc check_asserted_source(const planner_env *env, const statement *s, arena *a, weir_error *err) WEIR_CHECKED;
/* ASSERT TOPIC: the same, of the topic as it is; partitions 0: there is none. */
weir_rc check_asserted_topic(const statement *s, int32_t partitions, int32_t replicas, arena *a, weir_error *err) WEIR_CHECKED;

/* Binds one expression over a schema: for stored plans and tests. windowed: WINDOWSTART and WINDOWEND are known. */
weir_rc bind_expression(const schema *over, bool windowed, const expr *e, const catalog *types, arena *a, bound **out,
                        weir_error *err) WEIR_CHECKED;
/* A type as written, custom types looked up. */
weir_rc bind_type(const type_name *t, const catalog *types, arena *a, const type **out, weir_error *err) WEIR_CHECKED;

#endif
