/* storage/kafka.h - the Kafka backend's parts, over librdkafka. Private to storage/kafka*.c.
 *
 *   kafka.c         opening, configuration, errors, the handle all share
 *   kafka_topic.c   topics and appending to them
 *   kafka_client.c  a worker's consumer: assignment, fetching, positions
 *   kafka_commit.c  its producer: outputs, the transaction, abort
 *   kafka_state.c   tasks' state in LMDB behind changelogs, dropping a query
 *   kafka_snapshot.c  what of that state is committed, for readers
 *
 * The order of a commit is what keeps state right: first Kafka's transaction, then LMDB. LMDB may lag the changelog, never
 * lead it; what it lags is replayed from there. */
#ifndef WEIR_STORAGE_KAFKA_H
#define WEIR_STORAGE_KAFKA_H

#include "storage/backend.h"
#include "storage/state_runs.h"

#include "core/text.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>

#define KAFKA_RPC_MS 10000     /* how long one request may take */
#define KAFKA_RETIRED_MAX 16   /* shared handles that failed for good and wait for the close */
#define KAFKA_PADDING 64       /* readable bytes behind what a fetch lends */
#define KAFKA_TOPIC_NAME_MAX 256

typedef struct kafka_storage kafka_storage;
typedef struct kafka_client kafka_client;
typedef struct kafka_task kafka_task;

/* What a librdkafka handle's callbacks are given. */
typedef struct kafka_handle {
    kafka_storage *home;
    kafka_client *client; /* NULL: the shared handle, or one for a restore */
} kafka_handle;

/* What is known of a topic for a while. */
typedef struct kafka_topic {
    struct kafka_topic *next;
    char *name;
    int32_t partitions;
    uint64_t record_bytes_max; /* 0: not asked yet */
    int64_t known_ms;
    uint32_t spread; /* where null keys go next */
} kafka_topic;

struct kafka_storage {
    storage base;
    arena *memory; /* of the strings here */
    const char *brokers, *service;
    const property *properties;
    uint32_t property_count;
    const weir_clock *clock;
    char instance[17]; /* kept in the data directory: who this engine is to the consumer groups */
    kafka_handle handle;
    /* Of the problem alone, and nothing of librdkafka is called under it: its threads come to note one with locks of theirs held,
     * which those who hold `lock` may wait for. */
    pthread_mutex_t problem_lock;
    char problem[512]; /* librdkafka's last word of trouble, for messages */
    pthread_mutex_t lock; /* of all below */
    rd_kafka_t *shared;   /* administration, metadata, topic_append; made when first needed */
    rd_kafka_t *retired[KAFKA_RETIRED_MAX];
    uint32_t retired_count;
    kafka_topic *topics;
};

typedef enum kafka_role { KAFKA_SHARED, KAFKA_CONSUMER, KAFKA_PRODUCER } kafka_role;

/* ---- kafka.c ---- */

/* A handle: weir's defaults for its role, then the user's properties, then settings (name, value, ..., NULL), which weir
 * depends on. configure(conf) may be NULL: sets callbacks. */
weir_rc kafka_handle_new(rd_kafka_t **out, kafka_storage *s, kafka_role role, const char *const *settings,
                         kafka_handle *handle, void (*configure)(rd_kafka_conf_t *), weir_error *err) WEIR_CHECKED;
void kafka_waits(storage *s, const char *doing, weir_error *err);
/* The shared handle, made on demand; valid until the storage closes. */
weir_rc kafka_shared(kafka_storage *s, rd_kafka_t **out, weir_error *err) WEIR_CHECKED;
/* "cannot <doing>: <why>", with the act that fits the code. */
weir_rc kafka_fail(kafka_storage *s, rd_kafka_resp_err_t code, const char *why, const char *doing,
                   weir_error *err) WEIR_CHECKED;
bool kafka_is_transient_error(rd_kafka_resp_err_t code);
/* librdkafka 2.0 sleeps up to a second once its queue of fetched records was full; this gets it going. */
void kafka_wake_fetchers(rd_kafka_t *rk);
int64_t kafka_now_ms(void); /* monotonic */

void kafka_link_threads(void); /* kafka_threads.c */

/* ---- kafka_topic.c ---- */

weir_rc kafka_topic_create(storage *s, const topic_spec *spec, weir_error *err) WEIR_CHECKED;
weir_rc kafka_topic_delete(storage *s, slice name, weir_error *err) WEIR_CHECKED;
weir_rc kafka_topic_find(storage *s, slice name, topic_info *out, bool *found, weir_error *err) WEIR_CHECKED;
weir_rc kafka_topic_list(storage *s, arena *a, topic_info **out, uint32_t *count, weir_error *err) WEIR_CHECKED;
weir_rc kafka_topic_offsets(storage *s, slice name, int32_t partition, int64_t *begin, int64_t *end,
                            weir_error *err) WEIR_CHECKED;
weir_rc kafka_topic_append(storage *s, slice name, const record *records, const int32_t *partition, uint32_t count,
                           int64_t *offsets, weir_error *err) WEIR_CHECKED;
weir_rc kafka_topic_record_bytes_max(storage *s, slice name, uint64_t *bytes, weir_error *err) WEIR_CHECKED;
void kafka_topics_forget(kafka_storage *s, slice name); /* NO_SLICE: all; the lock is not held */
/* Of a topic that must exist. */
weir_rc kafka_partition_count(kafka_storage *s, slice name, int32_t *partitions, weir_error *err) WEIR_CHECKED;
/* Looks offsets up for a whole list at once: each entry's offset is RD_KAFKA_OFFSET_BEGINNING or _END before, a number
 * after. The end is the last stable offset, or the high watermark when rk reads uncommitted records. */
weir_rc kafka_look_up_offsets(kafka_storage *s, rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list,
                              weir_error *err) WEIR_CHECKED;
/* For the shared handle: answers to what topic_append() sends. */
void kafka_conf_appender(rd_kafka_conf_t *conf);
/* One record into librdkafka's queue, copied; waits while the queue is full. */
rd_kafka_resp_err_t kafka_enqueue(rd_kafka_t *rk, rd_kafka_topic_t *topic, int32_t partition, const record *r,
                                  void *opaque);
/* Where a null key goes: a partition is kept for a while, so that batches fill. */
int32_t kafka_spread(uint32_t *spread, size_t bytes, int32_t partitions);
/* The answer to a request of administration, which the caller destroys; *event NULL after an error. */
weir_rc kafka_admin_wait(kafka_storage *s, rd_kafka_queue_t *queue, const char *doing, rd_kafka_event_t **event,
                         weir_error *err) WEIR_CHECKED;
/* Returns when the broker says that they are gone. */
weir_rc kafka_topics_delete(kafka_storage *s, const char **names, size_t count, weir_error *err) WEIR_CHECKED;

/* ---- kafka_client.c ---- */

/* One partition of one source. */
typedef struct kafka_slot {
    bool is_owned;
    bool is_paused;
    bool is_known;     /* committed is */
    int64_t committed; /* or where reading starts */
    int64_t next;      /* the position after what the caller got */
} kafka_slot;

typedef struct kafka_source {
    const char *topic;
    start_at start;
    bool wants_headers;
    int32_t partitions;
    kafka_slot *slots;
} kafka_source;

typedef struct kafka_sink {
    const char *topic;
    int32_t partitions;
    uint32_t spread;
} kafka_sink;

/* Where a change of assignment stands: librdkafka told us (SEEN), the caller knows (REPORTED), the next poll applies it. */
typedef enum rebalance_step { REBALANCE_NONE, ASSIGN_SEEN, ASSIGN_REPORTED, REVOKE_SEEN, REVOKE_REPORTED } rebalance_step;

/* A topic as the client's producer knows it; made anew with the producer. */
typedef struct produced_topic {
    struct produced_topic *next;
    const char *name;
    rd_kafka_topic_t *topic;
} produced_topic;

struct kafka_client {
    client base;
    kafka_storage *home;
    kafka_handle handle;
    arena *memory; /* as long as the client */
    const char *group, *member;
    bool is_transient, at_least_once;
    kafka_source *sources;
    uint32_t source_count;
    kafka_sink *sinks;
    uint32_t sink_count;

    rd_kafka_t *consumer;
    rd_kafka_queue_t *queue; /* the consumer's, for waking */
    bool is_assigned;        /* librdkafka fetches what is owned */
    bool is_closing;
    bool wakes_fetchers;     /* this librdkafka has no fetch.queue.backoff.ms */
    rebalance_step step;
    bool is_lost;
    weir_error lost; /* lent by the event that says so */
    bool is_fenced;          /* the consumer is of no more use: it joins anew once the caller has given everything back */
    int64_t rejoined_ms;     /* monotonic; 0: never */
    rd_kafka_topic_partition_list_t *rebalanced;
    bool lost_brokers; /* all of them, since the last poll */
    rd_kafka_message_t **held; /* what a poll took, until it is copied */
    uint32_t held_count, held_max;
    arena *lent; /* until the next poll */
    fetch *events;
    uint32_t event_count, event_max;
    const rd_kafka_topic_t *last_topic; /* of the last message seen, and its source */
    uint32_t last_source;

    rd_kafka_t *producer;
    produced_topic *produced;
    bool in_transaction;
    bool is_broken;          /* the producer: it is made anew by the next abort */
    bool is_outcome_unknown; /* of the last commit */
    uint32_t failed_deliveries; /* at least once only */
    kafka_task *tasks;
};

weir_rc kafka_client_open(client **out, storage *s, const client_spec *spec, weir_error *err) WEIR_CHECKED;
void kafka_client_close(client *c);
weir_rc kafka_client_poll(client *c, int timeout_ms, uint32_t rows_max, const fetch **events, uint32_t *count,
                          weir_error *err) WEIR_CHECKED;
void kafka_client_wake(client *c);
weir_rc kafka_client_pause(client *c, uint32_t source, int32_t partition, bool paused, weir_error *err) WEIR_CHECKED;
weir_rc kafka_client_seek(client *c, uint32_t source, int32_t partition, int64_t offset, weir_error *err) WEIR_CHECKED;
weir_rc kafka_client_position(client *c, uint32_t source, int32_t partition, int64_t *next_offset,
                              weir_error *err) WEIR_CHECKED;
kafka_slot *kafka_slot_of(kafka_client *c, uint32_t source, int32_t partition);
/* Looks whether another member has taken the consumer's place. A broker that crashed may take the client's own earlier request
 * for another's, so it joins again; the second time within a minute it is an error that stops. */
weir_rc kafka_check_fenced(kafka_client *c, weir_error *err) WEIR_CHECKED;
/* Asks the group for committed positions of what is owned; where there is none, where reading starts. */
weir_rc kafka_load_committed(kafka_client *c, weir_error *err) WEIR_CHECKED;
/* Every partition that is fetched goes back to its committed position. */
weir_rc kafka_rewind(kafka_client *c, weir_error *err) WEIR_CHECKED;
/* What a dropped query's positions say, where they cannot be deleted at once. */
#define KAFKA_DROPPED "weir:dropped"

/* ---- kafka_commit.c ---- */

/* A new producer; is_broken stays set where it fails. */
weir_rc kafka_producer_open(kafka_client *c, weir_error *err) WEIR_CHECKED;
void kafka_producer_close(kafka_client *c);
/* Lent until the producer closes. */
weir_rc kafka_producer_topic(kafka_client *c, const char *name, rd_kafka_topic_t **out, weir_error *err) WEIR_CHECKED;
weir_rc kafka_client_produce(client *c, const output *out, weir_error *err) WEIR_CHECKED;
/* That the partitions are gone. */
weir_rc kafka_fail_lost(const kafka_client *c, weir_error *err) WEIR_CHECKED;
weir_rc kafka_client_commit(client *c, const epoch *epochs, uint32_t epoch_count, const position *positions,
                            uint32_t position_count, weir_error *err) WEIR_CHECKED;
weir_rc kafka_client_abort(client *c, weir_error *err) WEIR_CHECKED;
weir_rc kafka_client_settle(client *c, weir_error *err) WEIR_CHECKED;

/* ---- kafka_state.c ---- */

enum { KAFKA_DB_META, KAFKA_DB_STATE }; /* of an environment */

struct kafka_task {
    task_state base;
    kafka_task *next; /* of the client's */
    kafka_client *client;
    lmdb_env *env;
    state_space space;
    run_memory memory;
    int32_t partition;
    const char *changelog; /* NULL: it has none */
    char *path;            /* of the environment; NULL: temporary */
    /* What the environment holds: all of the changelog before this offset. It is counted, not asked for: behind the truth
     * after an abort, never ahead. */
    int64_t changelog_offset;
    state_growth size;
    lmdb_reader reader;
    bool is_behind;  /* a commit's changes are in the changelog and not here */
};

weir_rc kafka_task_open(task_state **out, client *c, const state_spec *spec, weir_error *err) WEIR_CHECKED;
void kafka_task_close(task_state *t);
weir_rc kafka_task_get_all(task_state *base, uint16_t store, const slice *keys, const uint64_t *hashes, uint32_t count, arena *memory,
                           slice *values, weir_error *err);
weir_rc kafka_task_get(task_state *t, uint16_t store, slice key, slice *value, bool *found,
                       weir_error *err) WEIR_CHECKED;
weir_rc kafka_task_size(task_state *t, uint64_t *bytes, uint64_t *entries, weir_error *err) WEIR_CHECKED;
weir_rc kafka_task_scan(task_state *t, uint16_t store, slice from, slice to, state_cursor **out,
                        weir_error *err) WEIR_CHECKED;
void kafka_task_end_reading(kafka_task *t);
/* Writes an epoch's changes, already in the changelog, and the offset behind them. */
weir_rc kafka_task_commit(kafka_task *t, const state_change *changes, uint32_t count, weir_error *err) WEIR_CHECKED;
/* Reads what the changelog has beyond the environment. */
weir_rc kafka_task_restore(kafka_task *t, weir_error *err) WEIR_CHECKED;
/* Adds the path of a state's directory, in which each partition has an environment. */
void kafka_state_path(text *t, const kafka_storage *s, slice name);
/* A reader's transaction on a partition's environment. *env stays NULL where it is gone or not to be trusted; after an error it
 * may be open. */
weir_rc kafka_state_open_to_read(const char *path, lmdb_env **env, MDB_txn **txn, weir_error *err) WEIR_CHECKED;
/* Is the topic one that weir made for the query and for nobody else? The name is the service's and the query's. */
bool kafka_topic_is_of(slice topic, slice name);
weir_rc kafka_drop_query(storage *s, slice query, weir_error *err) WEIR_CHECKED;
weir_rc kafka_tidy(storage *s, const slice *queries, uint32_t count, bool *is_left, weir_error *err) WEIR_CHECKED;

/* ---- kafka_snapshot.c ---- */

weir_rc kafka_snapshot_open(snapshot **out, storage *s, slice state_name, weir_error *err) WEIR_CHECKED;
void kafka_snapshot_close(snapshot *snap);
weir_rc kafka_snapshot_partitions(snapshot *snap, const int32_t **partitions, uint32_t *count,
                                  weir_error *err) WEIR_CHECKED;
weir_rc kafka_snapshot_get(snapshot *snap, int32_t partition, uint16_t store, slice key, slice *value, bool *found,
                           weir_error *err) WEIR_CHECKED;
weir_rc kafka_snapshot_scan(snapshot *snap, int32_t partition, uint16_t store, slice from, slice to,
                            state_cursor **out, weir_error *err) WEIR_CHECKED;

#endif
