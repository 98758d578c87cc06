/* server/pool.h - workers that take turns with jobs. A job advances by steps that never block for long, so that a few threads
 * serve many queries; a step that had nothing to do is taken again a little later, or when the job is woken: one that is asleep
 * only then, so that very many of them cost nothing. */
#ifndef WEIR_SERVER_POOL_H
#define WEIR_SERVER_POOL_H

#include <stdbool.h>
#include <stdint.h>

typedef struct pool pool;

typedef enum job_turn { JOB_AGAIN, JOB_IDLE, JOB_ASLEEP, JOB_DONE } job_turn;
typedef enum job_place { PLACE_READY, PLACE_IDLE, PLACE_ASLEEP, PLACE_COUNT, PLACE_AT_WORK = PLACE_COUNT } job_place;

typedef struct job {
    job_turn (*step)(struct job *self);
    void (*close)(struct job *self); /* frees it: after JOB_DONE, or when the pool stops */
    /* the pool's own */
    pool *pool;
    struct job *next, *previous;
    job_place place;
    int64_t due_ms;
    uint32_t idle_turns; /* in a row */
    bool is_woken;       /* while it is at work */
} job;

pool *pool_open(uint32_t threads, uint32_t jobs_max);
/* False: there are too many; the job is the caller's still. */
bool pool_add(pool *p, job *j);
void pool_wake(job *j); /* its next turn comes at once */
/* Ends threads; jobs that are left are closed. */
void pool_close(pool *p);

#endif
