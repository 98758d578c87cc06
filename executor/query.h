/* executor/query.h - a persistent query at work: its workers, each with a client and the tasks of the partitions it was
 * given. What one query does, or suffers, stops no other. */
#ifndef WEIR_EXECUTOR_QUERY_H
#define WEIR_EXECUTOR_QUERY_H

#include "executor/bad_log.h"

typedef struct query query;

typedef struct query_env {
    storage *storage;
    struct registry *registry;
    const weir_clock *clock;
    uint32_t threads;
    uint32_t batch_rows;
    size_t state_budget_bytes; /* of all its tasks together */
    int64_t commit_interval_ms;
    bool is_deterministic;     /* no threads: query_advance() drives it */
    bool until_end;
    bool single_partition;     /* exchanges have one, too */
    bool at_least_once;
    slice log_topic;           /* of the processing log; absent: only counted */
    /* until_end: whether a topic is still being written by another query that ends. */
    bool (*topic_grows)(void *self, slice reader, slice topic);
    /* Another query here writes the topic and is still working through what was there when it began. */
    bool (*topic_catches_up)(void *self, slice reader, slice topic);
    void *self;
    void (*notice)(void *self, slice query_id, const weir_error *err); /* as weir_options has it */
    void *notice_self;
} query_env;

typedef enum query_state { QUERY_STARTING, QUERY_AT_WORK, QUERY_HELD, QUERY_ENDED, QUERY_FAILED,
                           QUERY_WAITING /* what it does fails, and is tried again */ } query_state;

/* Makes its repartition topics, opens its clients, starts its threads. The entry is copied. */
weir_rc query_start(query **out, const query_env *env, const query_entry *of, weir_error *err) WEIR_CHECKED;
/* Commits what is complete, ends the threads, frees. NULL is fine. */
void query_stop(query *q);
bool query_has_ended(const query *q); /* at its ends, or failed; from any thread, without waiting */
/* Has come to the end of all its inputs since it began (or was resumed, or failed an epoch); or does nothing for now. From any
 * thread, without waiting. */
bool query_has_caught_up(const query *q);
void query_hold(query *q, bool held); /* PAUSE and RESUME */
/* Kafka: tells of workers whose commit has been waiting for some seconds. From any thread. */
void query_tell_waiting(query *q);

slice query_id(const query *q);
const plan *query_plan(const query *q);
/* The error where it is QUERY_FAILED, or the last one that was retried (rc WEIR_OK: none); may be NULL. */
query_state query_state_of(query *q, weir_error *err);

typedef struct query_stats {
    task_counts counts;
    uint64_t epochs;
    size_t state_bytes;
    double rows_per_s;     /* taken in, of late */
    char last_bad[BAD_LAST_BYTES];
    char last_error[256];
} query_stats;

void query_stats_of(query *q, query_stats *out);
/* What each step of query_plan() has done up to the last commit, over all tasks. */
void query_op_stats(query *q, op_stats *by_step);
/* Where it stands in a partition of one of its sources; of those it makes itself nothing is told. */
typedef struct source_place {
    slice topic;
    int32_t partition;
    int64_t offset; /* as committed; -1: not known */
} source_place;

/* In the arena: the query may be gone when they are asked about. */
void query_places(query *q, arena *a, source_place **out, uint32_t *count);
/* Records between there and the present ends. Asks the storage, whose answer may be long in coming. */
weir_rc places_lag(storage *s, const source_place *places, uint32_t count, int64_t *records, weir_error *err) WEIR_CHECKED;
/* Deterministic: polls once (one batch at most), commits; *progressed: something was there. */
weir_rc query_advance(query *q, bool *progressed, weir_error *err) WEIR_CHECKED;
/* Deterministic: from the first call on, records come one by one, and of each topic only up to its limit: 0 until it is set
 * here, INT64_MAX for all. */
void query_limit_source(query *q, slice topic, int64_t offset);

/* The name of the repartition topic of an exchange. */
slice exchange_topic(arena *a, const storage *s, slice state_name, const step *exchange);

#endif
