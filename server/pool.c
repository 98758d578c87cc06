/* server/pool.c - see pool.h. */
#include "server/pool.h"

#include "core/clock.h"
#include "core/thread.h"

#include <pthread.h>
#include <stdlib.h>

enum { THREADS_MAX = 64, IDLE_FIRST_MS = 1, IDLE_LONGEST_MS = 25 };

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t news;
    job lists[PLACE_COUNT]; /* rings; those ready in order, those idle until they are due */
    uint32_t count, count_max;
    bool is_closing;
    pthread_t threads[THREADS_MAX];
    uint32_t thread_count;
};

static const weir_clock WALL = { 0 };

static void put(pool *p, job *j, job_place place)
{
    job *ring = &p->lists[place];

    j->place = place;
    j->next = ring;
    j->previous = ring->previous;
    j->previous->next = ring->previous = j;
}

static void take_out(job *j)
{
    j->previous->next = j->next;
    j->next->previous = j->previous;
    j->place = PLACE_AT_WORK;
}

/* Moves what is due to the ready ones; returns how long until the next is. */
static int64_t wake_due(pool *p)
{
    int64_t now_ms = clock_monotonic_ms(&WALL), nearest = 1000;

    for (job *j = p->lists[PLACE_IDLE].next, *next; j != &p->lists[PLACE_IDLE]; j = next) {
        next = j->next;
        if (j->due_ms > now_ms) {
            if (j->due_ms - now_ms < nearest) nearest = j->due_ms - now_ms;
            continue;
        }
        take_out(j);
        put(p, j, PLACE_READY);
    }
    return nearest;
}

static void wait_for(pool *p, int64_t ms)
{
    const struct timespec until = thread_deadline(ms);

    pthread_cond_timedwait(&p->news, &p->lock, &until);
}

static job *take(pool *p)
{
    while (!p->is_closing) {
        int64_t nearest = wake_due(p);
        job *j = p->lists[PLACE_READY].next;
        if (j != &p->lists[PLACE_READY]) {
            take_out(j);
            if (p->lists[PLACE_READY].next != &p->lists[PLACE_READY]) pthread_cond_signal(&p->news);
            j->is_woken = false;
            return j;
        }
        wait_for(p, nearest);
    }
    return NULL;
}

static void put_back(pool *p, job *j, job_turn turn)
{
    if (turn == JOB_AGAIN || j->is_woken) {
        j->idle_turns = 0;
        put(p, j, PLACE_READY);
        return;
    }
    if (turn == JOB_ASLEEP) {
        put(p, j, PLACE_ASLEEP);
        return;
    }
    int64_t pause_ms = IDLE_FIRST_MS << (j->idle_turns > 5 ? 5 : j->idle_turns);
    j->idle_turns++;
    j->due_ms = clock_monotonic_ms(&WALL) + (pause_ms > IDLE_LONGEST_MS ? IDLE_LONGEST_MS : pause_ms);
    put(p, j, PLACE_IDLE);
}

static void *work(void *argument)
{
    pool *p = argument;

    pthread_mutex_lock(&p->lock);
    for (job *j; (j = take(p)) != NULL;) {
        pthread_mutex_unlock(&p->lock);
        job_turn turn = j->step(j);
        if (turn == JOB_DONE) j->close(j);
        pthread_mutex_lock(&p->lock);
        if (turn == JOB_DONE) p->count--;
        else put_back(p, j, turn);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

pool *pool_open(uint32_t threads, uint32_t jobs_max)
{
    pool *p = calloc(1, sizeof *p);

    if (p == NULL) abort();
    p->count_max = jobs_max;
    for (int i = 0; i < PLACE_COUNT; i++) p->lists[i].next = p->lists[i].previous = &p->lists[i];
    pthread_mutex_init(&p->lock, NULL);
    thread_cond_init(&p->news);
    while (p->thread_count < threads && p->thread_count < THREADS_MAX &&
           thread_start(&p->threads[p->thread_count], work, p)) {
        p->thread_count++;
    }
    if (p->thread_count > 0) return p;
    pool_close(p);
    return NULL;
}

bool pool_add(pool *p, job *j)
{
    pthread_mutex_lock(&p->lock);
    bool fits = p->count < p->count_max && !p->is_closing;
    if (fits) {
        j->pool = p;
        p->count++;
        put(p, j, PLACE_READY);
        pthread_cond_signal(&p->news);
    }
    pthread_mutex_unlock(&p->lock);
    return fits;
}

void pool_wake(job *j)
{
    pool *p = j->pool;

    pthread_mutex_lock(&p->lock);
    if (j->place == PLACE_AT_WORK) {
        j->is_woken = true;
    } else if (j->place != PLACE_READY) {
        take_out(j);
        put(p, j, PLACE_READY);
        pthread_cond_signal(&p->news);
    }
    pthread_mutex_unlock(&p->lock);
}

void pool_close(pool *p)
{
    if (p == NULL) return;
    pthread_mutex_lock(&p->lock);
    p->is_closing = true;
    pthread_cond_broadcast(&p->news);
    pthread_mutex_unlock(&p->lock);
    for (uint32_t i = 0; i < p->thread_count; i++) pthread_join(p->threads[i], NULL);
    for (int i = 0; i < PLACE_COUNT; i++) {
        for (job *j = p->lists[i].next, *next; j != &p->lists[i]; j = next) {
            next = j->next;
            j->close(j);
        }
    }
    pthread_cond_destroy(&p->news);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
