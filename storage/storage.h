/* storage/storage.h - where topics and state live: the embedded log (LMDB) or Kafka, behind one face.
 *
 * Three things stand on a storage:
 *   topics       created, listed, appended to outside of any query (INSERT VALUES, weir produce);
 *   a client     one worker's connection: the partitions it reads, the records it writes, and the commit that ties them;
 *   task_state   the committed state of one task (sub-topology x partition): read through here, written by client_commit().
 *
 * A task's epoch is the unit of exactly-once: the input positions consumed, the state changes made and the records
 * produced become visible together in client_commit(), or not at all.
 *
 * Threads: a storage may be used by all threads; a client and its task_states belong to one thread at a time.
 * Errors: act RETRY means the same call may succeed later, ABORT that the client's epoch is lost: call client_abort(),
 * drop what was computed since the last commit, and read again from the committed positions; STOP ends the query. */
#ifndef WEIR_STORAGE_STORAGE_H
#define WEIR_STORAGE_STORAGE_H

#include "core/batch.h"
#include "core/clock.h"
#include "core/error.h"

typedef struct storage storage;

typedef enum durability {
    DURABLE_FULL, /* what was acknowledged survives power loss */
    DURABLE_META, /* at most the last commit is lost to it (MDB_NOMETASYNC) */
    DURABLE_NONE  /* temporary storages only: nothing is synced */
} durability;

typedef struct property {
    slice name;
    slice value;
} property;

typedef struct local_options {
    durability durability;
    bool is_temporary;   /* dir is ignored: an unlinked environment of its own, gone at close */
    bool is_read_only;
    uint64_t quota_bytes; /* 0: none; reached: appends fail with class storage, deleting still works */
    const weir_clock *clock;
    /* Tests only, 0 as it is otherwise: so many new bytes in a partition are worth a compaction; keys noted in one pass of it;
     * bytes read in one step. */
    uint64_t compact_bytes_min, compact_keys_max, compact_step_bytes;
    /* Tests only: called before each write transaction's commit and each block write; a non-zero errno makes it fail. */
    int (*fault)(void *self, const char *operation);
    void *fault_self;
} local_options;

typedef struct kafka_options {
    slice brokers;
    slice service;              /* prefix of group ids, transactional ids, internal topics */
    const property *properties; /* librdkafka's own, as given with -X; applied to every client */
    uint32_t property_count;
    const weir_clock *clock;
} kafka_options;

/* dir is the data directory: made when missing; topics and state (local), or state environments (Kafka). */
weir_rc storage_open_local(storage **out, slice dir, const local_options *options, weir_error *err) WEIR_CHECKED;
weir_rc storage_open_kafka(storage **out, slice dir, const kafka_options *options, weir_error *err) WEIR_CHECKED;
void storage_close(storage *s); /* NULL is fine; all clients, states and snapshots must be closed before */
bool storage_is_kafka(const storage *s);
/* Kafka: a request was left without an answer, and none has had one since. From any thread. */
bool storage_is_cut_off(const storage *s);
/* Kafka: of a call that has not come back for some seconds, the error that it is likely to come back with; from then on the storage
 * is taken to be cut off. From any thread. */
void storage_waits(storage *s, const char *doing, weir_error *err);
/* The data directory; absent: a temporary storage has none. */
slice storage_directory(const storage *s);
/* Put before the names of weir's own topics: "" on the local log, "<service>-" on Kafka. Lives as long as the storage. */
slice storage_internal_prefix(const storage *s);
/* Takes the data directory's engine lock (an OFD lock on engine.lock) and keeps it until close. *got: false, another
 * process has it; its process id, as far as known, in *owner. */
weir_rc storage_lock_engine(storage *s, bool *got, int64_t *owner, weir_error *err) WEIR_CHECKED;
/* The process id of another process that has the engine lock; 0: none has. */
int64_t storage_engine_owner(const storage *s);

/* ---- topics ---- */

typedef struct topic_spec {
    slice name;
    int32_t partitions;
    int32_t replicas;        /* 1 on the local log */
    int64_t retention_ms;    /* -1: for ever; 0: the storage's default */
    int64_t retention_bytes; /* per partition; -1: no bound; 0: the storage's default */
    bool is_compacted;       /* cleanup.policy=compact */
    bool is_also_deleted;    /* cleanup.policy=compact,delete */
    bool is_internal;        /* repartition, changelog, command log. Local log: records of an internal topic named
                                "...-repartition" or "...-subscription" are deleted once its one reader has committed past them */
} topic_spec;

typedef struct topic_info {
    slice name;
    int32_t partitions;
    int32_t replicas;
    bool is_internal;
} topic_info;

typedef struct record {
    slice key; /* absent: null */
    slice value;
    int64_t timestamp_ms;
    header_list headers;
} record;

/* Creating a topic that exists, or deleting one that does not, is a semantic error. */
weir_rc topic_create(storage *s, const topic_spec *spec, weir_error *err) WEIR_CHECKED;
weir_rc topic_delete(storage *s, slice name, weir_error *err) WEIR_CHECKED;
weir_rc topic_find(storage *s, slice name, topic_info *out, bool *found, weir_error *err) WEIR_CHECKED; /* out->name = name */
weir_rc topic_list(storage *s, arena *a, topic_info **out, uint32_t *count, weir_error *err) WEIR_CHECKED; /* by name */
/* begin: the oldest kept offset; end: the next to be written that a read-committed reader may reach (last stable offset). */
weir_rc topic_offsets(storage *s, slice name, int32_t partition, int64_t *begin, int64_t *end, weir_error *err) WEIR_CHECKED;
/* Appends in one commit; durable when it returns. partition[i] < 0: by the key's hash, or spread when it is null;
 * partition == NULL: so for all. offsets (may be NULL) receives each record's offset. A record over max.message.bytes is a
 * semantic error that names the limit. */
weir_rc topic_append(storage *s, slice name, const record *records, const int32_t *partition, uint32_t count,
                     int64_t *offsets, weir_error *err) WEIR_CHECKED;
/* The largest key + value that client_produce takes for a topic. */
weir_rc topic_record_bytes_max(storage *s, slice name, uint64_t *bytes, weir_error *err) WEIR_CHECKED;

/* The engine's housekeeping: of topics that are compacted, takes out some of what newer records of the same key have replaced;
 * never more than one write transaction of a few MiB. *more: call again soon, else in some seconds. By one thread at a time. What
 * fails is tried again by later calls. Kafka: nothing, brokers do it. */
weir_rc storage_compact(storage *s, bool *more, weir_error *err) WEIR_CHECKED;

/* ---- clients ---- */

typedef struct client client;

typedef enum start_at { START_EARLIEST, START_LATEST } start_at; /* where no position is committed */

typedef struct client_source {
    slice topic;
    start_at start;
    bool wants_headers; /* otherwise its records may come without theirs: looking for them costs, on Kafka */
} client_source;

typedef struct client_spec {
    slice name;           /* the query's id: positions are kept, and groups named, by it; unused when transient */
    bool is_transient;    /* reads only: no group, no positions kept, no commit; all partitions are assigned to it */
    const client_source *sources;
    uint32_t source_count;
    const slice *sinks;   /* topics it may produce to, repartition topics too; they exist */
    uint32_t sink_count;
    uint32_t instance, instances; /* local log: this client gets the partitions p with p % instances == instance;
                                     Kafka: member `instance` of the group in this process */
    bool at_least_once;   /* Kafka: an idempotent producer without transactions; flushed, then positions are committed */
} client_spec;

weir_rc client_open(client **out, storage *s, const client_spec *spec, weir_error *err) WEIR_CHECKED;
void client_close(client *c); /* NULL is fine; an open epoch is aborted */

typedef enum fetch_kind {
    FETCH_RECORDS,
    FETCH_END,      /* the partition's present end is reached: `next_offset` is the position, nothing more is there now */
    FETCH_ASSIGNED, /* partitions[] now belong to this client: the task for partition p reads p of every source that has
                       it; nothing of them is fetched before the client is polled again */
    FETCH_REVOKED,  /* partitions[] are going away: commit or abort before the next poll; lost: only abort */
} fetch_kind;

typedef struct fetch {
    fetch_kind kind;
    uint32_t source; /* index into the spec's sources */
    int32_t partition;
    uint32_t rows;   /* of one partition, in offset order */
    const slice *key;            /* each is followed by 64 readable bytes */
    const slice *value;          /* likewise */
    const int64_t *timestamp_ms;
    const int64_t *offset;
    const header_list *headers;  /* NULL: no record here has any */
    int64_t next_offset;         /* the position after these records, control records included */
    const int32_t *partitions;   /* ASSIGNED, REVOKED */
    uint32_t partition_count;
    const weir_error *lost;      /* REVOKED: why they are gone already; NULL: they are not */
} fetch;

/* Waits up to timeout_ms for something, then takes what is there: at most rows_max records in all. What it lends stays
 * until the next poll. A first poll reports the assignment. Wakes early on client_wake(). */
weir_rc client_poll(client *c, int timeout_ms, uint32_t rows_max, const fetch **events, uint32_t *count,
                    weir_error *err) WEIR_CHECKED;
void client_wake(client *c); /* from any thread: the poll under way returns, possibly with nothing */
weir_rc client_pause(client *c, uint32_t source, int32_t partition, bool paused, weir_error *err) WEIR_CHECKED;
/* The next record fetched from the partition is this one, or the first after it. A transient client's way to start. */
weir_rc client_seek(client *c, uint32_t source, int32_t partition, int64_t offset, weir_error *err) WEIR_CHECKED;
/* The committed position (or where reading starts without one), as known since assignment. */
weir_rc client_position(client *c, uint32_t source, int32_t partition, int64_t *next_offset, weir_error *err) WEIR_CHECKED;

typedef struct output {
    uint32_t sink; /* index into the spec's sinks */
    uint32_t rows;
    const slice *key; /* absent: null */
    const slice *value;
    const int64_t *timestamp_ms;
    const header_list *headers; /* or NULL */
    const int32_t *partition;   /* or NULL: by key, spread when it is null */
} output;

/* Adds records to the open epoch, opening one if need be. Everything is copied. The order of rows is kept per partition. */
weir_rc client_produce(client *c, const output *out, weir_error *err) WEIR_CHECKED;
/* Keys and values that were produced and wait in memory for the commit; none where they are on their way already. */
size_t client_waiting_bytes(const client *c);

typedef struct task_state task_state;

typedef struct state_change {
    uint16_t store;
    slice key;
    slice value; /* absent: delete */
} state_change;

/* What one task did since the last commit. */
typedef struct epoch {
    task_state *state; /* NULL: a task without state */
    const state_change *changes; /* sorted by store, then key; each key once */
    uint32_t change_count;
} epoch;

typedef struct position {
    uint32_t source;
    int32_t partition;
    int64_t next_offset;
} position;

/* The one commit: positions, state changes and what was produced since the last commit, together. On an error with act
 * ABORT nothing of it has happened (or, after a lost connection, it is found out at the next assignment). */
weir_rc client_commit(client *c, const epoch *epochs, uint32_t epoch_count, const position *positions,
                      uint32_t position_count, weir_error *err) WEIR_CHECKED;
/* Drops the open epoch and rewinds every partition kept to its committed position. */
weir_rc client_abort(client *c, weir_error *err) WEIR_CHECKED;
/* Waits until what this client has committed to its sinks can be read: on Kafka a commit is answered a moment before its
 * markers are in the topics. Gives up after some seconds: another writer's transaction may be open there. */
weir_rc client_settle(client *c, weir_error *err) WEIR_CHECKED;

/* ---- state ---- */

typedef struct state_spec {
    slice name;          /* "<query>/<sub-topology>": stable, part of the changelog's name */
    int32_t partition;
    int32_t partitions;  /* tasks of the sub-topology: the changelog's partition count */
    slice layout;        /* a text of all that the form of what the stores hold depends on: kept with the state; another one
                            there already is an error of class storage that says how to rebuild */
    bool has_changelog;  /* Kafka: false for transient state */
} state_spec;

/* Opens and, on Kafka, restores: may take long; prints nothing; `client_wake` does not interrupt it. */
weir_rc task_state_open(task_state **out, client *c, const state_spec *spec, weir_error *err) WEIR_CHECKED;
void task_state_close(task_state *t); /* NULL is fine */
/* The committed value; lent until the next look, commit or abort. *found false: none. */
weir_rc task_state_get(task_state *t, uint16_t store, slice key, slice *value, bool *found, weir_error *err) WEIR_CHECKED;
/* Several keys, with their hashes by hash_bytes(): together they wait for memory once, where each would wait many times. The values
 * are copied into memory; .data NULL: none. */
weir_rc task_state_get_all(task_state *t, uint16_t store, const slice *keys, const uint64_t *hashes, uint32_t count, arena *memory,
                           slice *values, weir_error *err) WEIR_CHECKED;
/* Removes all state, positions and changelogs of a query's sub-topologies (names that begin with "<query>/") and its
 * consumer group's positions. */
weir_rc storage_drop_query(storage *s, slice query, weir_error *err) WEIR_CHECKED;
/* As an engine starts, of queries that were dropped before: which still have something here (is_left[]), as where no engine ran
 * that would have dropped it. Deletes what earlier drops did not come to. */
weir_rc storage_tidy(storage *s, const slice *queries, uint32_t count, bool *is_left, weir_error *err) WEIR_CHECKED;
/* Bytes and entries the task's committed state holds, about. */
weir_rc task_state_size(task_state *t, uint64_t *bytes, uint64_t *entries, weir_error *err) WEIR_CHECKED;

typedef struct state_cursor state_cursor;

/* In key order, from <= key < to; an absent bound is open. What next() lends stays until its next call.
 * A task's cursor sees the committed state; close it before the client's next commit. */
weir_rc task_state_scan(task_state *t, uint16_t store, slice from, slice to, state_cursor **out, weir_error *err) WEIR_CHECKED;
weir_rc state_cursor_next(state_cursor *c, slice *key, slice *value, bool *more, weir_error *err) WEIR_CHECKED;
/* Goes on at the first key >= the given one. */
weir_rc state_cursor_seek(state_cursor *c, slice key, weir_error *err) WEIR_CHECKED;
void state_cursor_close(state_cursor *c); /* NULL is fine */

/* A reader's consistent view of a sub-topology's committed state, also while another process runs the query.
 * Local log: one snapshot of all partitions. Kafka: one for each task here. */
typedef struct snapshot snapshot;

/* A state that nobody has written yet is one of no partitions. */
weir_rc snapshot_open(snapshot **out, storage *s, slice state_name, weir_error *err) WEIR_CHECKED;
void snapshot_close(snapshot *snap); /* NULL is fine; its cursors are closed before */
/* For one that is used again and again: paused it holds nothing back and cannot be read; resumed it sees what is committed
 * by then; snapshot_partitions() is to be asked again where new ones matter. False: this storage's snapshots cannot be kept. */
bool snapshot_pause(snapshot *snap);
weir_rc snapshot_resume(snapshot *snap, weir_error *err) WEIR_CHECKED;
/* The partitions that have state here, in order; lent. */
weir_rc snapshot_partitions(snapshot *snap, const int32_t **partitions, uint32_t *count, weir_error *err) WEIR_CHECKED;
weir_rc snapshot_get(snapshot *snap, int32_t partition, uint16_t store, slice key, slice *value, bool *found,
                     weir_error *err) WEIR_CHECKED;
weir_rc snapshot_scan(snapshot *snap, int32_t partition, uint16_t store, slice from, slice to, state_cursor **out,
                      weir_error *err) WEIR_CHECKED;

#endif
