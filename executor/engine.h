/* executor/engine.h - the library's face: open an engine, run SQL, read results. All front doors stand on this alone.
 *
 *     weir *w;  weir_session *s;  weir_result *r;  const batch *rows;
 *     weir_open(&w, &options, &err);  weir_session_open(&s, w);
 *     weir_script *script = weir_script_open(s, sql);
 *     while (weir_script_next(script, &r, &err) == WEIR_OK && r != NULL) {
 *         while (weir_result_next(r, -1, &rows, &err) == WEIR_OK && rows != NULL) ... rows->columns[i] at rows->live ...
 *         weir_result_close(r);
 *     }
 *
 * Threads: a weir may be used by all; a session, script or result by one at a time, except weir_cancel(). */
#ifndef WEIR_EXECUTOR_ENGINE_H
#define WEIR_EXECUTOR_ENGINE_H

#include "core/batch.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/schema.h"

typedef struct weir weir;
typedef struct weir_session weir_session;
typedef struct weir_script weir_script;
typedef struct weir_result weir_result;

typedef struct weir_setting {
    slice name;
    slice value;
} weir_setting;

typedef struct weir_options {
    slice data_dir;       /* "./weir-data" where absent */
    bool is_temporary;    /* the embedded log in an unlinked directory, gone at close: tests */
    bool is_read_only;    /* the embedded log, opened without writing anything */
    slice kafka_brokers;  /* absent: the embedded log */
    slice service;        /* "weir" where absent */
    slice schema_registry_url; /* absent: on the embedded log a registry of weir's own; on Kafka none */
    const weir_setting *client_properties; /* -X: librdkafka's own; schema.registry.*: the registry's client */
    uint32_t client_property_count;
    uint64_t quota_bytes; /* the embedded log: what the data directory may take; reached, appends fail and queries wait; 0: no quota */
    /* Told when a query cannot go on for now (err says why; it tries again by itself), when it has stopped for good (err->act
     * is WEIR_ACT_STOP), and, with err NULL, when it goes on again. From any thread, and not for every try. NULL: nobody. */
    void (*notice)(void *self, slice query_id, const weir_error *err);
    void *notice_self;
    uint32_t threads;     /* workers a query may use; 0: one for each core, at most 2 on Kafka */
    uint32_t batch_rows;  /* 0: BATCH_ROWS_MAX; tests: 1, 2, 7 */
    bool is_deterministic; /* no threads, a virtual clock: queries advance in weir_settle() only */
    weir_clock clock;      /* where it starts when deterministic */
    bool single_partition; /* deterministic: topics are made with one partition, whatever they declare, as in Kafka Streams'
                              own test driver; what is declared is what plans and listings see */
} weir_options;

weir_rc weir_open(weir **out, const weir_options *options, weir_error *err) WEIR_CHECKED;
/* Commits what is complete, stops all queries, closes. NULL is fine. */
void weir_close(weir *w);

/* Takes the engine lock and runs the persistent queries, now and as statements add more. *owner: 0, it is ours; else the
 * process that has it: its queries go on there, and statements of this process reach them through the command log. */
weir_rc weir_start(weir *w, int64_t *owner, weir_error *err) WEIR_CHECKED;

typedef enum weir_wait { WEIR_WAIT_READY, WEIR_WAIT_END } weir_wait;
/* Blocks until the persistent queries are about to read their first record (READY), or, for queries started with
 * weir_run_until_end(), until all have reached their ends. Returns early with WEIR_CANCELLED after weir_interrupt(). A query
 * that stops for good stops no other: END goes on waiting for those, then returns the error of the first that stopped. */
weir_rc weir_wait_for(weir *w, weir_wait what, weir_error *err) WEIR_CHECKED;
void weir_interrupt(weir *w); /* from any thread or a signal handler */
/* To be called before statements run: queries start with weir_wait_for(), when all statements have run, and end at the end
 * offsets their sources have then, stage after stage. No window is flushed. */
void weir_run_until_end(weir *w);
/* Deterministic engines: every query, in order of creation, consumes all its input to the end, then the next. */
weir_rc weir_settle(weir *w, weir_error *err) WEIR_CHECKED;
/* Deterministic engines: moves the virtual clock. */
void weir_advance(weir *w, int64_t by_ms);

/* ---- sessions and scripts ---- */

weir_rc weir_session_open(weir_session **out, weir *w) WEIR_CHECKED; /* WEIR_NOMEM alone */
void weir_session_close(weir_session *s); /* NULL is fine; its scripts and results are closed before */
/* Whether the command of that number (commandSequenceNumber of an entity) has been executed as far as this process knows,
 * after reading the command log to its end. */
weir_rc weir_has_executed(weir *w, uint64_t command, bool *out, weir_error *err) WEIR_CHECKED;
/* As SET 'name'='value' and DEFINE name = 'value' do. An unknown setting is a semantic error. */
weir_rc weir_session_set(weir_session *s, slice name, slice value, weir_error *err) WEIR_CHECKED;
void weir_session_define(weir_session *s, slice name, slice value);
/* Its results carry what weir_result_members() gives. */
void weir_session_describes(weir_session *s, bool describes);
/* Its statements come from another machine: those that read files here are refused. */
void weir_session_is_remote(weir_session *s);
/* Its push queries that begin at the end of a topic share one reader of it, and are cut when they fall too far behind. */
void weir_session_shares_readers(weir_session *s);
/* For TERMINATE of an id that no persistent query has: true where it is one of the caller's own, which ends then. It is called
 * with the engine's lock held, and must call nothing of this header. */
void weir_session_ends(weir_session *s, bool (*ends)(void *self, slice id), void *self);
/* Whether there is a setting of that name ("ksql.streams." may stand before it), be it one without effect here. */
bool weir_knows_setting(slice name);
/* From any thread or a signal handler: the script that is open ends, at the result or statement under way that can wait, with
 * WEIR_CANCELLED. */
void weir_cancel(weir_session *s);

/* True when the text ends with a complete statement (a ';' outside of quotes and comments): the shell's question. */
bool weir_is_complete(slice sql);

/* The text must live as long as the script. A last statement without its ';' is fine. */
weir_script *weir_script_open(weir_session *s, slice sql);
/* Executes the next statement. *out: its result, to be closed; NULL: the script is at its end. On an error the script
 * stands behind the failed statement, and may be gone on with unless the error is a syntax error. */
weir_rc weir_script_next(weir_script *script, weir_result **out, weir_error *err) WEIR_CHECKED;
void weir_script_close(weir_script *script);
/* A script whose statements equal those stored continues them: a CREATE or INSERT INTO ... SELECT that is stored with the
 * same text does nothing; a different one under the same name is an error that names OR REPLACE. (weir run) */
void weir_script_resumes(weir_script *script, bool resumes);

/* What a front door takes: a statement of another sort fails with a semantic error before it is executed, and
 * weir_script_was_refused() is true until the next. */
typedef enum weir_allow {
    WEIR_ALLOW_NONE = 0,
    WEIR_ALLOW_QUERIES = 1, /* SELECT, PRINT */
    WEIR_ALLOW_READING = 2, /* SHOW, DESCRIBE, EXPLAIN, and what concerns the session alone: SET, DEFINE ... */
    WEIR_ALLOW_ROWS = 4,    /* INSERT INTO ... VALUES */
    WEIR_ALLOW_CHANGES = 8, /* what changes streams, tables, types, queries, settings of all */
    WEIR_ALLOW_STATEMENTS = WEIR_ALLOW_READING | WEIR_ALLOW_ROWS | WEIR_ALLOW_CHANGES,
    WEIR_ALLOW_ALL = WEIR_ALLOW_STATEMENTS | WEIR_ALLOW_QUERIES
} weir_allow;
void weir_script_allows(weir_script *script, weir_allow what);
bool weir_script_was_refused(const weir_script *script);
weir_allow weir_script_sort(const weir_script *script); /* of the statement last read */
/* The statement last executed, or that failed, with its ';'; absent: the text could not be read as one. Until the next. */
slice weir_script_statement(const weir_script *script);
/* Whether that statement changed the session, and nothing else: SET, UNSET, DEFINE or UNDEFINE. */
bool weir_script_changed_session(const weir_script *script);

/* ---- results ---- */

typedef enum weir_result_kind {
    WEIR_RESULT_MESSAGE, /* text: "Stream ACCESS created." */
    WEIR_RESULT_ROWS,    /* ends by itself */
    WEIR_RESULT_CHANGES, /* a push query: ends by LIMIT or weir_cancel() */
    WEIR_RESULT_LINES    /* PRINT: text lines in one STRING column; ends by LIMIT or weir_cancel() */
} weir_result_kind;

weir_result_kind weir_result_kind_of(const weir_result *r);
slice weir_result_message(const weir_result *r);
/* What in the statement can be meant, but hardly is; absent: nothing. */
slice weir_result_warning(const weir_result *r);
/* "@type" of ksqlDB's REST entity for the statement: "currentStatus", "streams", "queries" ...; for tests and the server. */
const char *weir_result_entity(const weir_result *r);
/* The members of that entity as JSON text, between its braces, for sessions that asked by weir_session_describes(): commandId
 * and commandStatus, sourceDescription, queries ... Else absent. */
slice weir_result_members(const weir_result *r);
/* Of a query: a pull query over a table, which answers without a final message in ksqlDB. */
bool weir_result_is_snapshot(const weir_result *r);
/* Of a push query: it follows the result of one persistent query from now on, row by row ("scalable" in ksqlDB). */
bool weir_result_follows_query(const weir_result *r);
/* "`ID` BIGINT KEY, `N` INTEGER": the columns of a query as the header of a REST response has them. */
void weir_result_print_schema(const weir_result *r, text *out);
/* The same as [{"name":"ID","schema":{"type":"BIGINT",...}}]: as a WebSocket's first message has them. */
void weir_result_print_fields(const weir_result *r, text *out);
const schema *weir_result_schema(const weir_result *r); /* key_count: key columns of pull and push queries */
/* Waits up to timeout_ms (-1: as long as it takes) and lends rows until the next call. *rows NULL: none came in time, or
 * it has ended: see weir_result_ended(). A row of kind ROW_TOMBSTONE is a deletion (tables' changes). */
weir_rc weir_result_next(weir_result *r, int timeout_ms, const batch **rows, weir_error *err) WEIR_CHECKED;
/* For a caller with many results, before the first weir_result_next(). True: that never waits, and wake() is called once after
 * each that gave no rows, when it may give some now, or an error; from another thread, with locks held. False: it is to be asked
 * again and again. */
bool weir_result_sleeps(weir_result *r, void (*wake)(void *self), void *self);
/* The caller cannot take more rows until it next asks for some. Fails where a query that is behind was cut for that, of which
 * wake() tells. */
weir_rc weir_result_hold(weir_result *r, weir_error *err) WEIR_CHECKED;
bool weir_result_ended(const weir_result *r);
void weir_result_close(weir_result *r); /* NULL is fine */

typedef struct weir_progress {
    uint64_t rows;     /* taken from the sources so far */
    int64_t rows_left; /* until the result ends; -1: that cannot be told */
} weir_progress;

/* False: it is no query's. */
bool weir_result_progress(const weir_result *r, weir_progress *out);
/* What a query could not use so far, and where to read why, in words; lent until the next call. Absent: it used all. */
slice weir_result_left_out(weir_result *r);

typedef enum weir_print { WEIR_PRINT_TEXT, WEIR_PRINT_JSON } weir_print;
/* A value as the shell's table shows it, or as JSON. */
void weir_print_value(text *out, const type *t, const value *v, weir_print how);

/* ---- look-ups of one key, asked again and again ---- */

typedef struct weir_lookup weir_lookup;

/* Keeps a result that has ended, and was the look-up of a lone key, for statements that differ from its own in the key alone.
 * The result is the look-up's then. NULL: it is not of that kind, and stays the caller's. sql: the statement as the session had
 * it, without variables in it; nothing else of the session counts but its settings. One thread at a time. */
weir_lookup *weir_lookup_keep(weir_result *r, slice sql);
/* Whether it answers the statement; *key: the key asked for, lent from the text. */
bool weir_lookup_takes(const weir_lookup *l, slice sql, value *key);
/* False: statements have been executed since that may have changed what it means: to be freed. */
bool weir_lookup_is_current(const weir_lookup *l, weir *w);
/* *rows: lent until the next run; NULL: there are none. */
weir_rc weir_lookup_run(weir_lookup *l, const value *key, const batch **rows, weir_error *err) WEIR_CHECKED;
const weir_result *weir_lookup_result(const weir_lookup *l); /* for its schema */
void weir_lookup_free(weir_lookup *l); /* NULL is fine */

/* ---- topics, beside SQL ---- */

typedef struct weir_record {
    slice key; /* absent: null */
    slice value;
    int64_t timestamp_ms;
    int32_t partition; /* produce: -1, by key */
    int64_t offset;    /* produce: given back */
    header_list headers;
} weir_record;

/* Makes the topic when it is not there (partitions 0: the default of 1; Kafka: the broker's). */
weir_rc weir_produce(weir *w, slice topic, int32_t partitions, weir_record *records, uint32_t count,
                     weir_error *err) WEIR_CHECKED;

/* Rows into a stream or table, as INSERT VALUES, in one commit: each a JSON object by column names (case ignored unless in back
 * quotes), with ROWTIME if wanted; columns it leaves out are null. target: a name, folded to upper case unless in back quotes.
 * errors, one for each row: rc WEIR_OK, it is durable; a row that does not fit fails alone. */
void weir_insert_json(weir *w, slice target, const slice *objects, uint32_t count, weir_error *errors);
/* Whether there is such a target, that rows can be put in. */
weir_rc weir_can_insert(weir *w, slice target, weir_error *err) WEIR_CHECKED;

typedef struct weir_reader weir_reader;
/* Reads a topic's records as they are. until_end: up to its present end, else it goes on. The topic must exist. */
weir_rc weir_reader_open(weir_reader **out, weir *w, slice topic, bool from_beginning, bool until_end,
                         weir_error *err) WEIR_CHECKED;
/* count 0: nothing came in time, or *ended. Lent until the next call. */
weir_rc weir_reader_next(weir_reader *r, int timeout_ms, const weir_record **records, uint32_t *count, bool *ended,
                         weir_error *err) WEIR_CHECKED;
void weir_reader_close(weir_reader *r); /* NULL is fine */

/* ---- records as text, by the formats of a stream or table: for scenarios and tests ---- */

/* Appends to the source's topic: the key and value text are JSON, or bare text for strings and DELIMITED lines. */
weir_rc weir_feed(weir *w, slice source, int64_t timestamp_ms, slice key, slice value, header_list headers,
                  weir_error *err) WEIR_CHECKED;

typedef struct weir_row_text {
    slice key;   /* JSON; bare text for a lone string key; absent: null */
    slice value; /* JSON as the format wrote it, DELIMITED lines bare; absent: null (a tombstone) */
    int64_t timestamp_ms;
    window_kind windowed;
    int64_t window_start_ms, window_end_ms;
} weir_row_text;

/* All records of the source's topic from the offset on, partition 0 first, in the arena. */
weir_rc weir_read_source(weir *w, slice source, arena *a, weir_row_text **rows, uint32_t *count,
                         weir_error *err) WEIR_CHECKED;

/* ---- looking inside ---- */

typedef struct weir_query_stats {
    slice id;
    const char *state;      /* "STARTING", "RUNNING", "WAITING" (what it does fails and is tried again), "PAUSED", "ENDED", "ERROR" */
    uint64_t rows_in, rows_out, bad_rows, late_rows, epochs;
    int64_t lag_rows;       /* records of its sources it has not taken yet; -1: cannot be told */
    slice last_error;
} weir_query_stats;

/* The persistent queries of this process, in the arena; asks the storage for their lag. */
weir_rc weir_query_stats_list(weir *w, arena *a, weir_query_stats **out, uint32_t *count);

/* Names for completion. */
typedef enum weir_name_kind {
    WEIR_NAME_KEYWORD = 1,
    WEIR_NAME_SOURCE = 2,
    WEIR_NAME_COLUMN = 4,
    WEIR_NAME_FUNCTION = 8,
    WEIR_NAME_QUERY = 16,
    WEIR_NAME_SETTING = 32
} weir_name_kind;

typedef struct weir_name {
    slice name; /* as it is typed */
    weir_name_kind kind;
} weir_name;

/* The names of these kinds (a set) that begin with the prefix, case ignored: in order, each once. Columns are those of the
 * streams and tables that the statement names, of all where it names none. */
void weir_names(weir *w, uint32_t kinds, slice prefix, slice statement, arena *a, weir_name **out, uint32_t *count);

#endif
