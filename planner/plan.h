/* planner/plan.h - a physical plan: an array of steps in topological order, cut into sub-topologies at exchanges.
 * Immutable, printable, and stored as text with the query that runs it: a start loads it and never plans again.
 *
 * A row flows as a batch whose columns are the step's schema: key columns first, then value columns. A step of a table
 * (is_table) carries changes: a row is the key's new value, a tombstone its deletion; with wants_old the step above also
 * sees the former row (batch.old). All memory is in one arena, which the holder of the plan owns. */
#ifndef WEIR_PLANNER_PLAN_H
#define WEIR_PLANNER_PLAN_H

#include "planner/expr.h"
#include "storage/formats/format.h"

#define PLAN_VERSION 1

typedef struct window_spec {
    window_kind kind;     /* WINDOW_NONE: no window, the rest is 0 */
    int64_t size_ms;      /* TUMBLING, HOPPING; SESSION: the gap of inactivity */
    int64_t advance_ms;   /* HOPPING; TUMBLING: = size */
    int64_t grace_ms;     /* -1: not given: 24 h - size, at least 0 */
    int64_t retention_ms; /* -1: not given; at least size + grace */
} window_spec;

typedef enum step_kind {
    STEP_SOURCE,     /* reads and decodes a topic */
    STEP_FILTER,     /* keeps rows whose predicate is true; on a table: a row that no longer passes becomes a tombstone, if
                        its former row passed */
    STEP_PROJECT,    /* exprs[i] makes column i, keys too; the key's values must not change here unless rekeys is set */
    STEP_FLAT_MAP,   /* PROJECT with table functions: exprs whose call is FUNCTION_TABLE give many rows, zipped */
    STEP_EXCHANGE,   /* through a repartition topic, by the input's key columns: the end of a sub-topology, and the source
                        of another */
    STEP_AGGREGATE,  /* groups by the input's key columns (and window); out: keys, then a column an aggregate */
    STEP_TABLE,      /* keeps the last row of each key: materialises a table that has no other state */
    STEP_JOIN,       /* of inputs[0] (left) and inputs[1] (right) by equal keys, both partitioned alike; out: the key, the left's
                        value columns, the right's value columns. It keeps itself what it needs: a stream's rows within the
                        window, a table's last row of each key (of a stream-table join, the table's alone) */
    STEP_FINAL,      /* EMIT FINAL: holds a window's row back until the window is closed */
    STEP_LIMIT,
    STEP_SORT,       /* of a query that ends: collects all (of a table: the last row of each key), then sorts; without
                        sort keys: in order of arrival */
    STEP_SINK,       /* encodes and writes to a topic */
    STEP_RESULT,     /* gives rows to the caller: the end of a transient query */
    STEP_SNAPSHOT,   /* source of a pull query: reads the committed state of a persistent query's step */
    STEP_SUBSCRIBE   /* a foreign-key join's left table (its key, the foreign key, the rest) becomes messages to where the right
                        table's rows are; join.kind is the join's */
} step_kind;

typedef struct agg_call {
    call *call;        /* call->fn->agg */
    bound **args;      /* over the input */
    slice sql;         /* "SUM(`PRICE`)": as printed and stored */
} agg_call;

typedef enum join_kind { JOIN_INNER, JOIN_LEFT, JOIN_RIGHT, JOIN_FULL } join_kind;
typedef enum join_form { JOIN_STREAM_STREAM, JOIN_STREAM_TABLE, JOIN_TABLE_TABLE, JOIN_FOREIGN_KEY } join_form;

typedef struct sort_key {
    bound *by;
    bool is_descending;
    bool nulls_first;
} sort_key;

/* Equality or IN on all key columns, bounds on a lone key column, and on WINDOWSTART, that a predicate implies: what a pull
 * query looks up instead of scanning. The predicate itself is still applied above, unless the look-up is exact. */
typedef struct lookup {
    const value *key_values; /* key_count times the step's key columns; NULL: scan */
    uint32_t key_count;
    const value *key_min, *key_max; /* of a lone key column without windows; NULL: open */
    bool key_min_excluded, key_max_excluded;
    int64_t window_start_min, window_start_max; /* inclusive; INT64_MIN, INT64_MAX: open */
    bool is_exact;           /* it is all the predicate says: a lone key column equals a literal */
    sql_pos literal_at;      /* where that stands */
} lookup;

typedef struct step step;

struct step {
    step_kind kind;
    uint32_t id;           /* stable within the query, also across CREATE OR REPLACE where the step matches */
    uint32_t subtopology;  /* EXCHANGE: that of its input; what reads it has another */
    uint32_t inputs[2];    /* indexes of earlier steps */
    uint32_t input_count;
    schema schema;         /* of what it emits */
    bool is_table;
    bool wants_old;        /* whoever reads this step needs batch.old */
    window_kind windowed;  /* of the key of what it emits */
    int64_t window_size_ms; /* of time windows; 0 for sessions */
    slice layout;          /* stateful steps: a text of all that the form of its state depends on */
    union {
        struct {
            slice name;             /* the stream's or table's */
            slice topic;
            format_spec key, value; /* key.name "NONE": the topic has no key */
            const bool *wanted;     /* per column of the schema: some expression reads it */
            int32_t timestamp_column;  /* -1: the record's timestamp */
            slice timestamp_format;    /* of a STRING timestamp column; absent: it is BIGINT or TIMESTAMP */
            bool reads_headers;        /* some column or the sink needs them */
        } source;
        struct { bound *predicate; } filter;
        struct {
            bound **exprs;
            bool rekeys;
            const bool *kept; /* of a result's columns: keeps its value on a tombstone, as a key does; NULL: none */
        } project; /* FLAT_MAP too */
        struct {
            slice name;        /* "<name>-repartition", behind the query's id */
            int32_t partitions;
            bool is_subscription; /* of a foreign-key join: "<name>-subscription" */
            format_spec key;   /* rows go to the partition where a topic of such keys has them, so that they meet its rows;
                                  name absent: nothing is read beside it */
        } exchange;
        struct {
            window_spec window;
            agg_call *calls;
            uint32_t call_count;
        } aggregate;
        struct {
            join_kind kind;
            join_form form;
            int64_t before_ms, after_ms, grace_ms; /* stream-stream; grace -1: none given, pad at once */
            bound *foreign_key;                    /* over the left input */
        } join;
        struct { bool is_versioned; } table; /* a row whose ROWOFFSET is less than its key's greatest so far was overtaken */
        struct { uint64_t rows; } limit;
        struct { sort_key *keys; uint32_t key_count; } sort;
        struct {
            slice name;  /* the sink stream or table */
            slice topic;
            format_spec key, value;
            int32_t partitions;
            int32_t timestamp_column; /* index into schema, or -1: the row's event time */
            slice timestamp_format;
        } sink;
        struct {
            const bool *is_key; /* per column: shown as a key column (pull queries over tables); NULL: none is */
            const bool *kept;   /* as the projection's below */
            bool of_table;      /* the rows were a table's */
            bool of_query;      /* what is read is kept or written by a persistent query */
        } result;
        struct {
            slice query;          /* whose state */
            slice state_name;     /* of that query */
            uint32_t subtopology; /* of that query's plan */
            uint32_t step;        /* id of its AGGREGATE or TABLE step: the store's number too */
            lookup lookup;
            const step *of;       /* that step itself, from the catalog's plan: types, aggregates, window */
        } snapshot;
    };
};

typedef enum plan_mode {
    PLAN_PERSISTENT, /* ends in SINK */
    PLAN_PUSH,       /* goes on for ever: ends in RESULT */
    PLAN_BOUNDED,    /* sources up to their present end, then done: ends in RESULT */
    PLAN_SNAPSHOT    /* pull query: STEP_SNAPSHOT to RESULT */
} plan_mode;

/* Which records end the query that meets them; the others that cannot be read are passed over. */
typedef enum stop_rule { STOPS_AT_NONE, STOPS_AT_BAD_RECORD, STOPS_AT_BAD_TIME } stop_rule;

typedef struct plan {
    slice query_id;    /* "CTAS_HITS_3"; absent for transient ones */
    slice state_name;  /* see plan_state_name(); absent: the id */
    slice sql;
    plan_mode mode;
    step *steps;       /* the last one is the end */
    uint32_t step_count;
    uint32_t subtopology_count;
    bool every_change; /* SET 'emit'='every-change', as it stood when the query was made */
    bool latest;       /* auto.offset.reset was latest */
    stop_rule stops_at;
    const slice *properties; /* name, value, name, value ...: what was SET that its threads go by */
    uint32_t property_count; /* pairs */
} plan;

/* What a persistent query's state, positions and internal topics are called. No two queries ever have the same: an id that is used
 * again has a number behind it, so that the query finds nothing that is left of an earlier one. */
slice plan_state_name(const plan *p);
/* What in its calls can be meant, but hardly is; in the arena. Absent: nothing. */
slice plan_doubts(const plan *p, arena *a);
/* What was SET when the query was made; absent: the default. */
slice plan_property(const plan *p, const char *name);
/* The plan as text that plan_parse() reads back to an equal plan; expressions are SQL over the input's columns. */
void plan_print(text *out, const plan *p);
weir_rc plan_parse(slice in, arena *a, plan *out, weir_error *err) WEIR_CHECKED;
/* Where its formats find their schemas: no part of the text, so that it is to be set after plan_parse(). */
void plan_use_registry(plan *p, struct registry *registry);
/* Gives back what the plan's calls hold beside its arena; to be called before the arena goes. */
void plan_release(const plan *p);
/* For people: the tree, sub-topologies, what is decoded, how many epochs of latency. */
void plan_explain(text *out, const plan *p);
/* The same, with what note() says of a step on a line of its own below it. */
void plan_explain_noted(text *out, const plan *p, void (*note)(void *self, const step *s, text *out), void *self);
void window_spec_print(text *out, const window_spec *w);
/* The grace that counts: as given, else 24 h - size, at least 0. */
int64_t window_grace_ms(const window_spec *w);
/* How long a window's row is kept after its start, as ksqlDB: the greater of retention and size + grace. */
int64_t window_retention_ms(const window_spec *w);

#endif
