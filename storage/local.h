/* storage/local.h - the embedded log inside: one LMDB environment, <data directory>/log, shared by local*.c only.
 *
 * Databases and their keys (numbers big-endian; ids are given once and never again):
 *   meta     "format", "next id"; "t" name -> topic; "s" name -> state id, layout; "q" name -> client id;
 *            "x" kind id -> what was dropped and is being deleted in small transactions
 *   log      topic u32, partition u32, offset u64 of the block's last record -> block (local_block.h)
 *   offsets  "e" topic, partition -> begin i64, end i64, bytes u64; "c" topic, partition -> what compaction has done
 *            (local_compact.c); "p" client, topic, partition -> next offset i64; "z" state, partition -> entries u64, bytes u64
 *   state    state u32, partition u32, store u16, key -> value (state_lmdb.h)
 *
 * All writing of records, state and positions goes through local_submit(): threads that commit at once share one write
 * transaction. Whatever takes time (encoding, compression, checksums) is done before. */
#ifndef WEIR_STORAGE_LOCAL_H
#define WEIR_STORAGE_LOCAL_H

#include "storage/backend.h"
#include "storage/lmdb_env.h"
#include "storage/local_block.h"
#include "storage/state_lmdb.h"

#include <pthread.h>

enum { DB_META, DB_LOG, DB_OFFSETS, DB_STATE };

#define LOCAL_FORMAT 3 /* 3: a run's blocks may be close; 2: the log's may have gaps */
#define RECORD_BYTES_MAX ((uint64_t)128 << 20)

typedef struct local_storage {
    storage base;
    lmdb_env *env;
    local_options options;
    weir_clock wall; /* where the options name no clock */
    pthread_mutex_t lock;
    pthread_cond_t done; /* a shared commit ended */
    pthread_cond_t news; /* something was committed here, or a client was woken; waits by the monotonic clock */
    struct submission *waiting, **waiting_end;
    bool has_leader;
    struct compaction *compaction; /* the pass under way; only local_compact() looks at it */
} local_storage;

static inline local_storage *local_of(storage *s) { return (local_storage *)s; }

/* ---- keys ---- */

#define LOG_KEY_BYTES 16
#define ENDS_KEY_BYTES 9
#define CLEANED_KEY_BYTES 9
#define PLACE_KEY_BYTES 13

void log_key(char *at, uint32_t topic, int32_t partition, int64_t last_offset);
void ends_key(char *at, uint32_t topic, int32_t partition);
void cleaned_key(char *at, uint32_t topic, int32_t partition);

/* ---- topics ---- */

typedef struct local_topic {
    char name[256];
    uint32_t id;
    int32_t partitions;
    int64_t retention_ms, retention_bytes; /* as asked for; 0 is the default, for ever; so is what is compacted and not deleted */
    bool is_compacted, is_internal;
    bool is_repartition; /* internal, and named "...-repartition" or "...-subscription": its blocks go once its reader's committed position is
                            behind them, whatever its retention */
} local_topic;

typedef struct partition_ends {
    int64_t begin, end;
    uint64_t bytes; /* of the blocks kept */
} partition_ends;

/* LMDB's codes; MDB_NOTFOUND: no such topic. */
int local_find_topic(local_storage *s, MDB_txn *txn, slice name, local_topic *out);
int local_get_ends(local_storage *s, MDB_txn *txn, uint32_t topic, int32_t partition, partition_ends *out);
int local_put_ends(local_storage *s, MDB_txn *txn, uint32_t topic, int32_t partition, const partition_ends *ends);
/* The same in a read transaction of its own, as an error: "there is no topic X". */
weir_rc local_topic_or_fail(local_storage *s, slice name, local_topic *out, weir_error *err) WEIR_CHECKED;
/* How many records it ever got: where to start spreading records without key. */
weir_rc local_topic_written(local_storage *s, const local_topic *t, uint64_t *records, weir_error *err) WEIR_CHECKED;

weir_rc local_topic_create(storage *s, const topic_spec *spec, weir_error *err) WEIR_CHECKED;
weir_rc local_topic_delete(storage *s, slice name, weir_error *err) WEIR_CHECKED;
weir_rc local_topic_find(storage *s, slice name, topic_info *out, bool *found, weir_error *err) WEIR_CHECKED;
weir_rc local_topic_list(storage *s, arena *a, topic_info **out, uint32_t *count, weir_error *err) WEIR_CHECKED;
weir_rc local_topic_offsets(storage *s, slice name, int32_t partition, int64_t *begin, int64_t *end,
                            weir_error *err) WEIR_CHECKED;
weir_rc local_topic_append(storage *s, slice name, const record *records, const int32_t *partition, uint32_t count,
                           int64_t *offsets, weir_error *err) WEIR_CHECKED;
weir_rc local_topic_record_bytes_max(storage *s, slice name, uint64_t *bytes, weir_error *err) WEIR_CHECKED;
weir_rc local_too_large(const local_topic *t, uint64_t bytes, weir_error *err) WEIR_CHECKED;

/* ---- what one commit writes ---- */

typedef struct packed_block {
    struct packed_block *next;
    text bytes;
    uint64_t body_checksum;
    uint32_t rows;
} packed_block;

/* The records on their way to one partition. */
typedef struct block_run {
    const local_topic *topic;
    int32_t partition;
    block_builder builder;
    packed_block *blocks, *last;
    int64_t first_offset; /* where the committed records begin */
} block_run;

void block_run_add(block_run *r, slice key, slice content, int64_t timestamp_ms, const header_list *headers);
void block_run_pack(block_run *r);  /* nothing is left in the builder */
void block_run_clear(block_run *r); /* drops all records; memory stays */
void block_run_free(block_run *r);

typedef struct place {
    const local_topic *topic;
    int32_t partition;
    int64_t next_offset;
} place;

typedef struct submission {
    struct submission *next;
    block_run *const *runs;
    uint32_t run_count;
    const epoch *epochs;
    uint32_t epoch_count;
    uint32_t client_id;
    const place *places;
    uint32_t place_count;
    bool is_done;
    bool is_refused; /* by itself: it is no reason for the others to fail */
    weir_rc rc;
    weir_error *err;
} submission;

/* Writes it with whatever other threads submit at the same time, all or nothing. RETRY: it may be submitted again. */
weir_rc local_submit(local_storage *s, submission *sub, weir_error *err) WEIR_CHECKED;

/* ---- other writing ---- */

/* One write transaction for names and the like; change() gives LMDB's code. */
weir_rc local_update(local_storage *s, const char *doing, int (*change)(local_storage *s, MDB_txn *txn, void *argument),
                     void *argument, weir_error *err) WEIR_CHECKED;
int local_next_id(local_storage *s, MDB_txn *txn, uint32_t *id);
/* What a name with a one-letter kind before it says in meta. */
int local_get_name(local_storage *s, MDB_txn *txn, char kind, slice name, MDB_val *data);
int local_put_name(local_storage *s, MDB_txn *txn, char kind, slice name, slice content);
int local_del_name(local_storage *s, MDB_txn *txn, char kind, slice name);
/* Notes that everything of a topic 't', state 's' or client 'q' is garbage; local_collect() deletes it, in transactions of
 * bounded size. */
int local_discard(local_storage *s, MDB_txn *txn, char kind, uint32_t id);
weir_rc local_collect(local_storage *s, weir_error *err) WEIR_CHECKED;
void local_tell_news(local_storage *s);

weir_rc local_compact(storage *s, bool *more, weir_error *err) WEIR_CHECKED;
void local_compact_close(local_storage *s);

/* ---- clients and state ---- */

weir_rc local_client_open(client **out, storage *s, const client_spec *spec, weir_error *err) WEIR_CHECKED;
void local_client_close(client *c);
weir_rc local_client_poll(client *c, int timeout_ms, uint32_t rows_max, const fetch **events, uint32_t *count,
                          weir_error *err) WEIR_CHECKED;
void local_client_wake(client *c);
weir_rc local_client_pause(client *c, uint32_t source, int32_t partition, bool paused, weir_error *err) WEIR_CHECKED;
weir_rc local_client_seek(client *c, uint32_t source, int32_t partition, int64_t offset, weir_error *err) WEIR_CHECKED;
weir_rc local_client_position(client *c, uint32_t source, int32_t partition, int64_t *next_offset,
                              weir_error *err) WEIR_CHECKED;
weir_rc local_client_produce(client *c, const output *out, weir_error *err) WEIR_CHECKED;
weir_rc local_client_commit(client *c, const epoch *epochs, uint32_t epoch_count, const position *positions,
                            uint32_t position_count, weir_error *err) WEIR_CHECKED;
weir_rc local_client_abort(client *c, weir_error *err) WEIR_CHECKED;

/* The transaction through which the client's tasks read their committed state: opened at the first read after a commit or
 * abort, and ended by the next, so that an idle client pins nothing. */
weir_rc local_client_state_txn(client *c, MDB_txn **txn, weir_error *err) WEIR_CHECKED;
local_storage *local_client_storage(client *c);

weir_rc local_task_state_open(task_state **out, client *c, const state_spec *spec, weir_error *err) WEIR_CHECKED;
void local_task_state_close(task_state *t);
weir_rc local_task_state_get_all(task_state *t, uint16_t store, const slice *keys, const uint64_t *hashes, uint32_t count,
                                 arena *memory, slice *values, weir_error *err);
weir_rc local_task_state_get(task_state *t, uint16_t store, slice key, slice *content, bool *found,
                             weir_error *err) WEIR_CHECKED;
weir_rc local_task_state_size(task_state *t, uint64_t *bytes, uint64_t *entries, weir_error *err) WEIR_CHECKED;
weir_rc local_task_state_scan(task_state *t, uint16_t store, slice from, slice to, state_cursor **out,
                              weir_error *err) WEIR_CHECKED;
/* Applies an epoch's changes in the commit's transaction. */
int local_task_state_apply(local_storage *s, MDB_txn *txn, const epoch *e);
weir_rc local_drop_query(storage *s, slice query, weir_error *err) WEIR_CHECKED;
weir_rc local_tidy(storage *s, const slice *queries, uint32_t count, bool *is_left, weir_error *err) WEIR_CHECKED;

weir_rc local_snapshot_open(snapshot **out, storage *s, slice state_name, weir_error *err) WEIR_CHECKED;
void local_snapshot_close(snapshot *snap);
void local_snapshot_pause(snapshot *snap);
weir_rc local_snapshot_resume(snapshot *snap, weir_error *err) WEIR_CHECKED;
weir_rc local_snapshot_partitions(snapshot *snap, const int32_t **partitions, uint32_t *count,
                                  weir_error *err) WEIR_CHECKED;
weir_rc local_snapshot_get(snapshot *snap, int32_t partition, uint16_t store, slice key, slice *content, bool *found,
                           weir_error *err) WEIR_CHECKED;
weir_rc local_snapshot_scan(snapshot *snap, int32_t partition, uint16_t store, slice from, slice to,
                            state_cursor **out, weir_error *err) WEIR_CHECKED;

#endif
