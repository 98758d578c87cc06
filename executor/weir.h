/* executor/weir.h - inside of the library: the engine and its sessions, as engine.h's functions see them. */
#ifndef WEIR_EXECUTOR_WEIR_H
#define WEIR_EXECUTOR_WEIR_H

#include "executor/engine.h"
#include "executor/query.h"
#include "executor/transient.h"
#include "parser/parser.h"
#include "planner/planner.h"

#include <pthread.h>
#include <stdatomic.h>

/* Of an engine with single_partition: what a topic says it has where plans and listings ask. */
typedef struct declared_topic {
    slice name;
    int32_t partitions, replicas;
} declared_topic;

/* A query that the catalog has and that could not be started, or that is gone and whose state could not be dropped. It is tried
 * again. */
typedef struct unsettled {
    char *id, *state_name; /* each is there once, by the latter */
    weir_error why;
    bool is_gone;
    int64_t told_ms;
} unsettled;

struct weir {
    arena *arena;
    weir_options options;
    weir_clock clock;
    storage *storage;
    struct registry *registry;  /* of schemas; NULL: on Kafka, without an address */
    pthread_mutex_t lock;       /* of the catalog and the list of queries */
    catalog *catalog;
    slice command_topic, log_topic;
    int64_t folded_to;          /* offset of the command log: all before is in the catalog */
    pthread_rwlock_t queries_lock; /* of the array below, for workers that look at other queries; written with `lock` held */
    query **queries;            /* at work in this process, in order of creation */
    uint32_t query_count, query_room;
    uint64_t synced_version;    /* of the catalog, that sync_queries() has seen */
    unsettled *unsettled;
    uint32_t unsettled_count;
    int64_t settled_ms;         /* when they were tried last */
    bool is_tidy;               /* nothing is left of queries that were dropped before this engine started */
    struct feeds *feeds;        /* for push queries of sessions that share readers */
    declared_topic *declared;
    uint32_t declared_count, declared_room;
    bool is_engine;             /* has the lock: runs the persistent queries */
    bool until_end;
    bool defers_queries;        /* until_end: none starts before all statements have run */
    pthread_t watcher;          /* folds what other processes append to the command log */
    bool has_watcher;
    pthread_t attendant;        /* Kafka: looks after workers that wait for the broker, and waits for nothing itself */
    bool has_attendant;
    atomic_bool closing, interrupted;
};

typedef struct setting {
    slice name, value;
} setting;

struct weir_session {
    weir *weir;
    variables *variables;
    setting *settings; /* names without "ksql.streams."; malloc'd texts */
    uint32_t setting_count, setting_room;
    bool describes; /* results carry their REST entities */
    bool shares_readers;   /* push queries that begin at the end of a topic read it together */
    bool is_remote;        /* what it is given comes from elsewhere: no files of this machine are read for it */
    uint32_t script_depth; /* of RUN SCRIPT: 0, what the caller gave */
    bool (*ends)(void *self, slice id); /* a query that only the caller knows; NULL: it has none */
    void *ends_self;
    atomic_bool cancelled;
};

/* ---- the schema registry (schema_log.c) ---- */

/* As the options say: a server; on the embedded log one of our own, whose schemas are kept in a topic. */
weir_rc open_registry(weir *w, weir_error *err) WEIR_CHECKED;
bool is_registry_property(slice name); /* of -X: the registry's, not librdkafka's */

/* ---- the command log (command_log.c); all with the lock held, but for the first ---- */

/* Asks the storage; 0: there is none yet. */
weir_rc command_log_end(weir *w, int64_t *end, weir_error *err) WEIR_CHECKED;

/* Folds what was appended since. Starts and stops queries accordingly where this process is the engine: what fails there is no
 * failure of the refresh, but told as the queries' own, and tried again. */
weir_rc catalog_refresh(weir *w, weir_error *err) WEIR_CHECKED;
/* Appends the command, planned against the catalog as it stood at `version`. *accepted false: another was first; refresh has
 * been done, plan again. Fails also where it counts, and its query is one that cannot be started as things are. */
weir_rc command_append(weir *w, const command *what, uint64_t version, bool *accepted, weir_error *err) WEIR_CHECKED;
/* Makes the running queries those of the catalog, as far as they can be started and stopped; the others are `unsettled`. */
void sync_queries(weir *w);
query *find_query(weir *w, slice id); /* at work in this process; NULL: none is */
/* Why a query of the catalog could not be started yet. NULL: it was, or is not to be. */
const weir_error *why_not_started(const weir *w, slice id);
static inline query_state state_of_unsettled(const weir_error *why)
{
    return why->act == WEIR_ACT_STOP ? QUERY_FAILED : QUERY_STARTING;
}

/* ---- numbers of queries, in whatever process they run (published.c) ---- */

typedef struct query_numbers {
    query_state state;
    query_stats stats;
    int64_t lag_records;
    bool has_lag; /* the storage could tell */
} query_numbers;

/* False: it does not run, or its process does not tell. */
bool numbers_of(weir *w, slice id, query_numbers *out);
/* For other processes. Takes the lock, but not while it asks the storage. */
void numbers_publish(weir *w);

/* ---- settings (settings.c) ---- */

/* The canonical name of a known setting ("ksql.streams." taken off), or an absent slice. */
slice setting_canonical(slice name);
/* Whether it is one of ksqlDB's settings that have no effect here. */
bool setting_is_idle(slice name);
/* Whether there is such a setting and it may have the value (absent: it is unset). *canonical is absent if it is idle. */
weir_rc setting_check(slice name, slice value, slice *canonical, weir_error *err) WEIR_CHECKED;
/* The session's value, else the system's, else the default; absent: none. Lock held. */
slice setting_value(const weir_session *s, const char *name);
void setting_put(weir_session *s, slice name, slice value); /* absent value: unset */
/* Each known setting with its default, for SHOW PROPERTIES. */
uint32_t setting_count(void);
void setting_at(uint32_t index, const char **name, const char **value, const char **meaning);

/* ---- results (result.c) ---- */

/* What a stream or table over a topic tells of its records that the bytes do not. */
typedef struct topic_hints {
    window_kind windowed; /* the keys */
    int64_t window_size_ms;
    type_kind key, value; /* of a lone column in KAFKA format; else TYPE_NULL */
} topic_hints;

struct weir_result {
    weir_result_kind kind;
    const char *entity;
    arena *arena;
    slice message;
    slice warning;         /* of a statement that did what it says, which hardly is what was meant */
    slice members;         /* of the REST entity, where the session describes */
    schema schema;
    batch *rows;           /* of a listing; NULL once lent */
    transient *transient;  /* of a query */
    plan *plan;
    const query_entry *keeper; /* whose state it reads: the plan points into it */
    uint64_t catalog_version;  /* that it was planned with */
    weir_reader *reader;   /* of PRINT */
    topic_hints hints;
    text line;
    uint64_t lines_left;
    bool has_ended;
    uint64_t print_interval, print_seen; /* PRINT: the first of so many records */
    const weir_session *session;
};

weir_result *result_message(const char *entity, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A listing: names of STRING columns; rows are added with result_row(), one text a column (absent: null). */
weir_result *result_listing(const char *entity, const char *const *columns, uint32_t count);
void result_row(weir_result *r, const slice *cells);
weir_result *result_query(arena *a, plan *p, transient *t, const weir_session *s);

/* For formats at work on single values: the reason of the last bad one. */
typedef struct bad_value {
    char reason[256];
} bad_value;
void note_bad_value(void *why, uint32_t row, const char *reason);

/* One record from one format to another. An absent result: it does not fit, why says it. */
weir_rc record_convert(const format_spec *from, const format_spec *to, const schema_column *columns, uint32_t count, slice bytes,
                       arena *a, slice *out, bad_value *why, weir_error *err) WEIR_CHECKED;

/* ---- PRINT (print_topic.c) ---- */

/* Of the first stream or table over the topic; there may be none. */
void topic_hints_take(topic_hints *hints, const catalog *c, slice topic);
/* A line: text as it stands; what has a schema in the registry as JSON; numbers; other bytes in hexadecimal. */
void record_print_line(const weir *w, const topic_hints *hints, const weir_record *one, arena *a, text *out);

/* ---- statements ---- */

/* Makes the topic, where it is not there, as a CREATE that declares it would. */
weir_rc weir_declare_topic(weir *w, slice name, int32_t partitions, int32_t replicas, weir_error *err) WEIR_CHECKED;

/* SHOW, DESCRIBE, EXPLAIN, PRINT (show.c). */
weir_rc show_statement(weir_session *s, const statement *what, arena *a, weir_result **out, weir_error *err) WEIR_CHECKED;
/* EXPLAIN ANALYZE SELECT (show.c): called without the lock, as it runs the query. */
weir_rc analyze_statement(weir_session *s, const statement *what, arena **kept, weir_result **out, weir_error *err) WEIR_CHECKED;
/* Plans and opens a SELECT, with the lock held. *kept is the result's afterwards, and NULL. */
weir_rc open_select(weir_session *s, const statement *what, arena **kept, weir_result **out, weir_error *err) WEIR_CHECKED;
/* RUN SCRIPT (run_script.c); resumes: as the script that asks. */
weir_rc run_script_statement(weir_session *s, const statement *what, bool resumes, weir_result **out, weir_error *err) WEIR_CHECKED;
/* ASSERT (assert.c): called without the lock, as it waits. */
weir_rc assert_statement(weir_session *s, const statement *what, arena *a, weir_result **out, weir_error *err) WEIR_CHECKED;
/* Gives the result of a statement that has just been done the members of its REST entity (entity.c). Lock held. */
void describe_result(weir_session *s, const statement *what, weir_result *r);
/* "RUNNING", "PAUSED" ...: what a persistent query does, as listings say it. */
const char *query_word(weir *w, const query_entry *e);
/* A row on its way into a stream or table. */
typedef struct insertion {
    const value *row; /* one value a column */
    int64_t timestamp_ms;
    weir_error err;   /* rc: what became of it; one that has failed is left alone by what follows */
} insertion;

/* As INSERT VALUES writes them; into `made`, one for each row, in the arena. Lock held. */
void insert_encode(const source *into, insertion *rows, uint32_t count, record *made, arena *a);
/* In one commit. A row that its topic does not take fails alone. */
void insert_append(weir *w, slice topic, insertion *rows, const record *made, uint32_t count, arena *a);
void planner_env_of(weir_session *s, planner_env *env); /* of a session's statements, as of now; it lends the session */

#endif
