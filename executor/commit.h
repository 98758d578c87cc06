/* executor/commit.h - the only place that ends an epoch. */
#ifndef WEIR_EXECUTOR_COMMIT_H
#define WEIR_EXECUTOR_COMMIT_H

#include "executor/bad_log.h"

/* Flushes the tasks, seals what they changed, and commits it with their positions and outputs: all of it or none. After an
 * error with act ABORT or RETRY the caller aborts the client, forgets the tasks, and computes the epoch again. */
weir_rc commit_tasks(client *c, task *const *tasks, uint32_t count, bad_log *log, weir_error *err) WEIR_CHECKED;
/* Sends out what the tasks hold back for coalescing, before the epoch ends: at least once only. */
weir_rc release_tasks(task *const *tasks, uint32_t count, weir_error *err) WEIR_CHECKED;

#endif
