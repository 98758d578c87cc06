/* planner/build.h - a plan being put together: steps are added from the sources down; relations name their columns. */
#ifndef WEIR_PLANNER_BUILD_H
#define WEIR_PLANNER_BUILD_H

#include "planner/bind.h"
#include "planner/planner.h"

typedef enum query_use {
    USE_PERSISTENT, /* CREATE ... AS, INSERT INTO */
    USE_PUSH,
    USE_BOUNDED,
    USE_SNAPSHOT
} query_use;

/* A column whose name was made up, KSQL_COL_n: for messages. */
typedef struct generated_column generated_column;
struct generated_column {
    const generated_column *next;
    slice name;
    const expr *of;
};

typedef struct builder {
    arena *arena;
    const planner_env *env;
    weir_error *err;
    query_use use;
    slice sink_name; /* USE_PERSISTENT: for messages */
    const select_query *query; /* that is planned: for messages */
    bool makes_table; /* CREATE TABLE AS */
    step *steps;
    uint32_t count, room;
    uint32_t subtopologies;
    held_call *held;
    const generated_column *generated;
    const source *leftmost; /* whose formats and partitions the sink inherits */
    const source *key_from; /* of a join: whose key format it inherits; NULL: the leftmost's */
} builder;

/* What a FROM clause, or a part of the plan above it, gives: the step that makes the rows, and names for its columns. */
typedef struct rel {
    uint32_t step;
    scope scope;
    bool is_join;
    slice key_names; /* of a join: the columns of which each names its key, for messages; absent: none does */
    bool may_lose_key; /* its key was computed to look a table up: a SELECT list without it gives a stream without a key */
} rel;

/* A new step at the end. The pointer is good until the next one is added. Its schema, table-ness, windowing and
 * sub-topology start as those of its input (UINT32_MAX: none). */
step *add_step(builder *b, step_kind kind, uint32_t input);
static inline uint32_t last_step(const builder *b) { return b->count - 1; }
/* A name of its own for a column between steps, whose names nobody sees. */
slice free_name(builder *b, const schema_column *columns, uint32_t count, slice wanted);
/* Binds in the plan's arena over that scope, which is lent. clause: as bind.h has it. */
binder binder_over(builder *b, const scope *s, const char *clause);

/* The step's reader needs former rows: so does this step of its own input, down to a step that keeps them. */
void want_old(builder *b, uint32_t index);
/* Marks what each source need decode; fills in layouts. When all steps stand. */
void finish_steps(builder *b);
/* A text of all that the form of a step's state depends on; absent where it keeps none. */
slice step_layout(arena *a, const plan *p, const step *s);

/* ---- FROM, WHERE (from.c), joins (joins.c) ---- */

/* What FROM names: a source, joins, or a SELECT in parentheses. */
weir_rc plan_from(builder *b, const select_query *q, rel *out) WEIR_CHECKED;
/* A SOURCE; materialised: with a TABLE above it where it is a table's. The first of a plan is its leftmost. */
weir_rc plan_source(builder *b, const source *s, slice alias, bool materialised, rel *out) WEIR_CHECKED;
weir_rc plan_joins(builder *b, const select_query *q, rel *out) WEIR_CHECKED;
/* Semantic error: no stream or table has that name. */
weir_rc find_source(builder *b, const identifier *name, const source **out) WEIR_CHECKED;
/* A FILTER above r, whose top it becomes; where NULL: nothing. */
weir_rc plan_where(builder *b, const expr *where, rel *r) WEIR_CHECKED;

/* ---- the SELECT list (select_list.c) ---- */

typedef struct select_entry {
    const expr *e;
    slice name;
    sql_pos at;
    bool is_star;
    uint32_t group_key; /* 1 + the index of the key of GROUP BY that it names; 0: none */
    bound *bound; /* over what stands below the last projection */
} select_entry;

typedef struct select_list {
    select_entry *items;
    uint32_t count;
} select_list;

/* Stars expanded, every entry named. keys: of PARTITION BY or GROUP BY, to which SELECT * of a stream adapts. */
weir_rc expand_select(builder *b, const select_query *q, const rel *r, select_list *out) WEIR_CHECKED;
/* A name like KSQL_COL_0 that no column of the scope has; *next counts on. */
slice generated_name(builder *b, const scope *s, uint32_t *next);
/* Not NULL, nor made of it: a column can have it. */
bool is_known_type(const type *t);
/* Semantic error: the entry is a NULL of no type. */
weir_rc check_entry_type(builder *b, const select_entry *entry) WEIR_CHECKED;
/* The same of all entries; and no two may have one name. */
weir_rc check_value_names(builder *b, const select_list *list) WEIR_CHECKED;

/* ---- GROUP BY (grouping.c) ---- */

bool is_aggregation(const select_query *q); /* it has a GROUP BY */
/* Adds the steps down to HAVING; binds the list's entries over them. */
weir_rc plan_grouping(builder *b, const select_query *q, rel *r, select_list *list) WEIR_CHECKED;

/* ---- the last projection (projection.c) ---- */

/* Binds the SELECT list over a relation that is not grouped, table functions included (FLAT_MAP). */
weir_rc bind_select_list(builder *b, rel *r, select_list *list) WEIR_CHECKED;
/* The SELECT list as columns: of a sink, its key and value columns; of a result, as they stand in the list. */
weir_rc plan_projection(builder *b, const select_query *q, rel *r, select_list *list) WEIR_CHECKED;

/* A type a key column may have: no maps in it. */
weir_rc check_key_type(builder *b, const type *t, slice name, sql_pos at) WEIR_CHECKED;

/* ---- statements ---- */

/* All of a SELECT but its sink; a result's end is there. */
weir_rc plan_query(builder *b, const select_query *q, rel *out) WEIR_CHECKED;
/* The rows of a table as they stand: a snapshot of the state of the query that keeps it, or its topic read and folded. */
weir_rc plan_table_as_of_now(builder *b, const source *from, slice alias, rel *out) WEIR_CHECKED;
/* What a snapshot's predicate lets it look up; true: nothing is left of the predicate. */
bool plan_lookup(builder *b, uint32_t snapshot, const bound *predicate);
/* What pull queries may not have, by the settings or by what they are: of the text, the WHERE over step `below` (predicate
 * NULL: there is none), and the SELECT list. */
weir_rc check_pull(builder *b, const select_query *q) WEIR_CHECKED;
weir_rc check_pull_where(builder *b, const select_query *q, uint32_t below, const bound *predicate) WEIR_CHECKED;
weir_rc check_pull_list(builder *b, const select_list *list) WEIR_CHECKED;
/* A stored expression made anew in this plan, with calls of its own. */
weir_rc copy_bound(builder *b, const bound *from, const schema *over, bound **out) WEIR_CHECKED;
/* (SELECT ...) in FROM, of a query that ends (derived.c). */
weir_rc plan_derived(builder *b, const relation *from, rel *out) WEIR_CHECKED;
/* All of a SELECT below its last projection, whose entries are bound then. */
weir_rc plan_body(builder *b, const select_query *q, rel *out, select_list *list) WEIR_CHECKED;
/* Gives back what calls hold that are not in the plan; NULL: all of them, after an error. */
void release_unused(held_call *held, const plan *p);
/* The steps as a plan, with the settings that it goes by. sql is copied; query_id is for the caller to set. */
weir_rc finish_plan(builder *b, slice sql, plan *out) WEIR_CHECKED;
/* One each for statements of these kinds, as plan_statement() has it. */
weir_rc plan_create_as(const planner_env *env, const statement *s, arena *a, planned *out, weir_error *err) WEIR_CHECKED;
weir_rc plan_insert_query(const planner_env *env, const statement *s, arena *a, planned *out,
                          weir_error *err) WEIR_CHECKED;
weir_rc plan_transient(const planner_env *env, const statement *s, arena *a, planned *out, weir_error *err) WEIR_CHECKED;
weir_rc plan_create_source(const planner_env *env, const statement *s, arena *a, planned *out,
                           weir_error *err) WEIR_CHECKED;
/* Columns as declared: key columns first, then the others, each in the order written. */
weir_rc declared_schema(const planner_env *env, const column_def_list *list, bool is_table, arena *a, schema *out,
                        weir_error *err) WEIR_CHECKED;
weir_rc plan_alter(const planner_env *env, const statement *s, arena *a, planned *out, weir_error *err) WEIR_CHECKED;
weir_rc plan_insert_values(const planner_env *env, const statement *s, arena *a, planned *out,
                           weir_error *err) WEIR_CHECKED;
/* instead: what can be done. */
weir_rc fail_unsupported(weir_error *err, sql_pos at, const char *construct, const char *instead);

/* ---- WITH (with.c) ---- */

/* What WITH says of the schemas of one side. */
typedef struct schema_options {
    int32_t id;   /* 0: not given */
    slice name;
    int nulls;    /* a format_nulls; -1: not given */
    sql_pos id_at, name_at, nulls_at;
} schema_options;

/* What WITH says; absent and -1: not given. */
typedef struct with_values {
    slice topic, key_format, value_format, key_delimiter, value_delimiter;
    int32_t partitions, replicas;
    int64_t retention_ms, window_size_ms;
    slice timestamp, timestamp_format;
    slice query_id;
    schema_options key_schema, value_schema;
    window_kind windowed;
    int wrap; /* -1: not given */
    int cleanup; /* a cleanup_policy; -1: not given */
    sql_pos retention_at, timestamp_format_at, window_size_at;
    sql_pos topic_at, key_format_at, value_format_at, timestamp_at, windowed_at, wrap_at, partitions_at, query_id_at;
} with_values;

typedef enum with_use { WITH_CREATE, WITH_CREATE_AS, WITH_INSERT, WITH_ASSERT_TOPIC } with_use;

/* Semantic errors: a property that is unknown, given twice, not for this use, or of no such value; and those that do not go
 * together. Texts stand in the arena. */
weir_rc read_with(const property_list *list, with_use use, arena *a, with_values *out, weir_error *err) WEIR_CHECKED;
/* The specs of a topic's key and value: given ones, else defaults (inherit), checked against the columns. */
weir_rc make_formats(const planner_env *env, const with_values *with, const source *inherit, slice owner, slice topic,
                     const schema *columns, arena *a, format_spec *key, format_spec *value, sql_pos at, weir_error *err) WEIR_CHECKED;
/* ---- schemas of a registry (schemas.c) ---- */

/* What the options say of one side, in its spec, whose format is known. owner: the stream or table. */
weir_rc settle_schema(const planner_env *env, const with_values *with, slice owner, slice topic, arena *a, format_spec *spec,
                      sql_pos at, weir_error *err) WEIR_CHECKED;
/* CREATE: columns that are not declared, from the registry's schemas, where the formats have some. */
weir_rc infer_columns(const planner_env *env, const with_values *with, slice owner, slice topic, arena *a, schema *columns,
                      sql_pos at, weir_error *err) WEIR_CHECKED;
/* CREATE ... AS: the columns of a side must be those of the schema it names, in order; it may have more. */
weir_rc check_against_schema(const format_spec *spec, const schema_column *columns, uint32_t count, sql_pos at, arena *a,
                             weir_error *err) WEIR_CHECKED;
/* As WITH has it, else the setting's default, in upper case. */
slice key_format_name(const planner_env *env, const with_values *with, arena *a);
slice value_format_name(const planner_env *env, const with_values *with, arena *a);

/* ---- topics and event time (with.c) ---- */

/* Semantic error: it has other characters than a topic's name may have, or too many. */
weir_rc check_topic_name(slice topic, sql_pos at, weir_error *err) WEIR_CHECKED;
/* The topic as it is, or is to be: its partitions and replicas from WITH, else as given (partitions 0: 1). */
weir_rc settle_topic(const planner_env *env, const with_values *with, slice topic, int32_t partitions, int32_t replicas,
                     source *out, bool *makes_topic, weir_error *err) WEIR_CHECKED;
/* What becomes of old records of its topic: as given; else a table's are compacted. */
cleanup_policy cleanup_of(const with_values *with, const source *made);
/* A table without windows keeps the last row of each key for ever. */
weir_rc check_retention(const with_values *with, const source *made, weir_error *err) WEIR_CHECKED;
/* The TIMESTAMP column of WITH, or -1. */
weir_rc find_timestamp(const with_values *with, const schema *columns, arena *a, int32_t *column_index, slice *format,
                       weir_error *err) WEIR_CHECKED;
/* As planner_env answers; absent: it is not set. */
slice setting_of(const planner_env *env, const char *name);
/* Each update of a table is written, not only the last of an epoch. */
bool emits_every_change(const planner_env *env);
bool setting_is(const planner_env *env, const char *name, const char *wanted);

#endif
