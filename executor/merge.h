/* executor/merge.h - the inputs of a task that has several, in order of time: what is fetched is decoded and waits until no
 * input that may still bring an earlier row is behind. Of rows of one time the input that comes first in the plan goes first.
 *
 * An input that is empty holds the others back until it has come to its present end; behind an exchange, to rows later than
 * what all its upstreams have passed on, until all of them are idle. A repartition block may be half consumed at a commit:
 * how far is part of the task's state, since its offset cannot say it. */
#ifndef WEIR_EXECUTOR_MERGE_H
#define WEIR_EXECUTOR_MERGE_H

#include "executor/task.h"

typedef struct merge merge;

/* partitions[i]: how many the topic of input i has; a persistent task reads one of them, of which it has none where its own
 * number is beyond. is_direct[i]: the input's rows do not wait here (NULL: all do). idle_ms: how long an input that is at its end
 * still holds the others back. */
weir_rc merge_open(merge **out, task *t, const int32_t *partitions, const bool *is_direct, int64_t idle_ms,
                   weir_error *err) WEIR_CHECKED;
void merge_close(merge *m); /* NULL is fine */
/* Whether the input's rows wait here; m may be NULL. */
bool merge_takes(const merge *m, const task_input *input);
/* Copies what it keeps. */
weir_rc merge_add(merge *m, const task_input *input, const fetch *records, weir_error *err) WEIR_CHECKED;
/* The partition has come to its present end. */
void merge_end(merge *m, const task_input *input, int32_t partition, int64_t next_offset);
void merge_end_all(merge *m); /* nothing more comes of any input */
/* Pushes on every row whose turn it is. */
weir_rc merge_run(merge *m, weir_error *err) WEIR_CHECKED;
/* How long an input at its end is still waited for, as far as max.task.idle.ms says; -1: none is. */
int64_t merge_wait_ms(const merge *m);
/* Pauses inputs of which more than enough waits, and lets them go on again. */
weir_rc merge_throttle(merge *m, client *c, weir_error *err) WEIR_CHECKED;
/* How far blocks are consumed that are half consumed: part of the task's epoch. After an abort merge_forget() reads it again, and
 * lets go of all that waits. */
void merge_seal(merge *m, arena *a, change_list *changes);
weir_rc merge_forget(merge *m, weir_error *err) WEIR_CHECKED;

#endif
