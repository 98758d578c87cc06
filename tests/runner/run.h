/* tests/runner/run.h - one case through the engine: topics, statements, inputs, then query after query to its end.
 * What happened stays in the run, until run_close(), for the report. */
#ifndef WEIR_TESTS_RUNNER_RUN_H
#define WEIR_TESTS_RUNNER_RUN_H

#include "executor/weir.h"
#include "tests/runner/codec.h"

typedef struct place {
    int32_t partition;
    int64_t offset;
} place;

/* What is known of a topic. The formats are those of the source over it that was made first. */
typedef struct topic_note {
    slice name;
    int32_t partitions, replicas; /* as declared */
    bool has_sides;
    side key, value;
    place *fed;            /* of the inputs in it, in file order */
    uint32_t fed_count;
} topic_note;

typedef struct input {
    slice topic;
    int64_t offset;
} input;

typedef struct query_origin {
    slice query;
    int64_t statement;
} query_origin;

typedef struct run {
    arena *arena;
    const node *data;       /* the case */
    slice sql;              /* its statements, joined; of a REST case those before the first query */
    uint32_t *first_line;   /* of each statement in sql */
    uint32_t statement_count;
    weir *weir;
    weir_session *session;
    topic_note *topics;
    uint32_t topic_count, topic_room;
    input *inputs;          /* in file order */
    uint32_t input_count;
    query_origin *origins;
    uint32_t origin_count;
    bool has_failed;
    weir_error error;
    int64_t failed_statement; /* -1: not known */
    bool is_rest;
    text responses;         /* REST: what the server sent, as the report has it: {"admin": ...}, {"query": [...]} */
} run;

run *run_case(const node *data);
void run_close(run *r);

/* ---- parts of it, for rest.c ---- */

/* An empty engine with the case's topics; the first `count` statements are joined. REST cases come from several threads of
 * a broker's clients: their topics have the partitions they declare, and records lie where their keys put them. */
run *run_open(const node *data, uint32_t count, bool is_rest);
void run_fail(run *r, const weir_error *err, int64_t statement); /* the first one counts */
int64_t run_statement_at(const run *r, uint32_t line);
/* What the catalog says now of the topics. */
void run_note_sources(run *r);
void run_feed(run *r);
/* Every query in turn takes what there is. */
void run_queries(run *r);

topic_note *find_topic(const run *r, slice name); /* or NULL */

#endif
