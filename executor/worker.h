/* executor/worker.h - a persistent query inside: what its workers share, and a worker. For query*.c and worker*.c only.
 *
 * A worker is a thread, a client and the tasks of the partitions that the client was given. Workers share nothing but the
 * query's progress, under its lock; the rest of a query does not change once it is open, the rest of a worker is its own
 * thread's. The deterministic driver calls worker_advance() in place of a thread. */
#ifndef WEIR_EXECUTOR_WORKER_H
#define WEIR_EXECUTOR_WORKER_H

#include "executor/query.h"

#include <pthread.h>
#include <stdatomic.h>

/* What was told last of a worker's troubles. */
typedef struct told {
    weir_rc trouble; /* WEIR_OK: none */
    int64_t told_ms, met_ms;
    uint64_t epochs; /* of the worker, when it was met */
} told;

typedef struct worker {
    query *query;
    client *client;
    bad_log *log;
    pthread_t thread;
    bool has_thread;

    workspace *space;
    task **tasks;
    uint32_t task_count, task_room;
    task *const **readers;  /* per step: see task.h */
    int32_t *assigned;      /* partitions whose tasks are still to be opened */
    uint32_t assigned_count;
    bool is_ready;          /* the tasks of its first assignment are open */

    bool was_held;
    bool must_abort;        /* the last step failed: its epoch is abandoned before anything else */
    uint64_t epochs;
    uint64_t polls, polled_rows; /* of this epoch */
    bool is_behind;         /* every poll of this epoch came back full */
    int64_t epoch_began_ms, committed_ms;
    int64_t commit_took_ms; /* the last */
    int64_t looked_ms;      /* for exchanges that could be in memory */
    int64_t topics_seen_ms;
    bool lacks_topic;

    atomic_bool has_caught_up; /* all its tasks have, and what they did is committed */
    _Atomic int64_t commits_since_ms; /* 0: it is not committing */

    /* Under the query's lock, to the end. */
    query_stats published;
    op_stats *op_published; /* per step */
    uint64_t marked_rows;   /* rows_in at marked_ms, from which its rate counts */
    int64_t marked_ms;
    told told;
} worker;

/* What --until-end knows of one source. */
typedef struct source_target {
    int64_t *offset; /* per partition */
    bool is_known;
    atomic_bool is_settled; /* nothing here writes the topic any more */
} source_target;

struct query {
    query_env env;
    arena *arena;
    query_entry entry;
    task_shared shared;
    client_source *sources;
    uint32_t source_count;
    bool *source_is_internal;
    int32_t *source_partitions;
    slice *sinks;
    uint32_t sink_count;
    int32_t *stage_partitions;  /* per sub-topology */
    bool regroups_in_memory;
    int64_t max_idle_ms;        /* of an input before its task goes on with the others */
    int64_t *limits;            /* deterministic: per source; NULL: none */
    worker *workers;
    uint32_t worker_count;
    atomic_bool stopping, held, ended;

    pthread_mutex_t lock;       /* of all that follows */
    query_state state;
    weir_error error;           /* of QUERY_FAILED, or the last retried */
    int64_t **position;         /* per source and partition, as committed; -1: not known */
    uint32_t ready_workers;
    uint32_t waiting_workers;   /* what they do fails, and is tried again */
    source_target *targets;     /* until_end */
    uint32_t *stage_done;       /* until_end: tasks of the sub-topology that reached their targets */
};

/* ---- what a query reads and writes (query_topics.c) ---- */

/* From its plan: sources, sinks, their partitions; makes the topics of its exchanges. All of it stands in the query's arena. */
weir_rc query_open_topics(query *q, weir_error *err) WEIR_CHECKED;
/* The sub-topology that reads an exchange, a step of the plan. */
uint32_t exchange_reader(const plan *p, uint32_t exchange);
/* Kafka, every few seconds: fails, to be retried, while a topic that the query reads is gone. */
weir_rc worker_check_topics(worker *w, weir_error *err) WEIR_CHECKED;

/* ---- until the end (query_ends.c) ---- */

/* Ends that are known at once are learnt here; the others as whoever fills the topic comes to its own. */
weir_rc query_open_targets(query *q, weir_error *err) WEIR_CHECKED;
/* With everything committed: counts tasks that have come to their end; ends the query with the last. */
weir_rc worker_check_ends(worker *w, weir_error *err) WEIR_CHECKED;

/* ---- what is told of it (query_report.c) ---- */

/* What the worker's tasks have done so far, as of a commit. */
void worker_publish(worker *w);
/* is_fatal: the query has failed, and its workers end. */
void query_note_error(query *q, const weir_error *err, bool is_fatal);
/* Tells whom query_env names; err NULL: it goes on. Also from the thread that looks after workers that wait. */
void worker_tell(worker *w, const weir_error *err);
/* Whether the last trouble is over, after a step that went well. */
bool worker_has_recovered(worker *w);

/* ---- a worker's tasks (worker_tasks.c) ---- */

/* The tasks of the partitions that the client was given, which replace those that were still to be opened. */
weir_rc worker_take_assignment(worker *w, const fetch *f, weir_error *err) WEIR_CHECKED;
/* Opens what is still to be opened; what fails is tried again in the next step. */
weir_rc worker_open_assigned(worker *w, weir_error *err) WEIR_CHECKED;
/* Joins exchanges in memory where that has become possible. Between epochs only. */
weir_rc worker_find_readers(worker *w, weir_error *err) WEIR_CHECKED;
/* Sets the inputs of a task to where the client stands: after the task was opened, or its epoch abandoned. */
weir_rc worker_place_inputs(worker *w, task *t, weir_error *err) WEIR_CHECKED;
/* Closes the partition's tasks, with what they have not committed; -1: all. */
void worker_drop_tasks(worker *w, int32_t partition);

/* ---- what its client fetched (worker_input.c) ---- */

weir_rc worker_take_records(worker *w, const fetch *f, weir_error *err) WEIR_CHECKED;
/* A partition has come to its present end. It is not taken for one while another query fills the topic from a backlog. */
weir_rc worker_take_end(worker *w, const fetch *f, weir_error *err) WEIR_CHECKED;
/* Ends that were not taken for such, and are by now. *any: some still are not. */
weir_rc worker_end_waiting(worker *w, bool *any, weir_error *err) WEIR_CHECKED;

/* ---- its work (worker.c) ---- */

bool worker_start(worker *w); /* false: there is no thread to be had */
/* A step: polls once, and commits where the epoch is to end. When one fails, its epoch is computed again from the committed
 * positions, and never gone on with: an abort that fails half way is begun again as well. */
weir_rc worker_advance(worker *w, bool *progressed, weir_error *err) WEIR_CHECKED;
/* Whether there is something to commit, and about how much. */
bool worker_is_dirty(const worker *w, size_t *bytes);

#endif
