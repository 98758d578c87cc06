/* executor/store_reader.h - what a persistent query keeps, as rows: for pull queries, over a snapshot of its committed state. */
#ifndef WEIR_EXECUTOR_STORE_READER_H
#define WEIR_EXECUTOR_STORE_READER_H

#include "executor/task.h"

typedef struct store_reader store_reader;

/* snapshot_step: the STEP_SNAPSHOT, which names the store and says what is looked up; closed_only: EMIT FINAL stands above it.
 * t: whose arenas are used, the reader's own memory too. After an error it is to be closed all the same. */
weir_rc store_reader_open(store_reader **out, storage *s, const step *snapshot_step, bool closed_only, task *t,
                          weir_error *err) WEIR_CHECKED;
/* A snapshot keeps what it sees from being written over, so a scan that takes long, for its size or its reader, goes on in another:
 * for rows that need not all be of one moment. Each key comes once. */
void store_reader_may_renew(store_reader *r);
/* No rows are asked for at the moment: lets go of a snapshot that is old. */
void store_reader_hold(store_reader *r);
/* For one that looks up a lone key and has been read to its end: at rest it holds nothing back (false: this storage cannot do
 * that), until it looks up another key, in what is committed by then. */
bool store_reader_rest(store_reader *r);
weir_rc store_reader_look_up(store_reader *r, const value *key, weir_error *err) WEIR_CHECKED;
void store_reader_close(store_reader *r); /* NULL is fine */
/* The next rows, at most about rows_max, in the task's batch arena; *rows NULL: that was all. */
weir_rc store_reader_next(store_reader *r, uint32_t rows_max, batch **rows, weir_error *err) WEIR_CHECKED;

#endif
