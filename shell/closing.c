/* shell/closing.c - see closing.h. */
#include "shell/closing.h"

#include <stdio.h>
#include <unistd.h>

#include "core/thread.h"
#include "shell/command.h"

enum { TOLD_AFTER_MS = 1500, CLOSING_MS_MAX = 10000 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool is_over, has_thread;
    pthread_t thread;
    slice brokers;
} closing = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool is_over_within(int64_t ms)
{
    const struct timespec until = thread_deadline(ms);
    int code = 0;

    pthread_mutex_lock(&closing.lock);
    while (!closing.is_over && code == 0) code = pthread_cond_timedwait(&closing.ended, &closing.lock, &until);
    bool is_over = closing.is_over;
    pthread_mutex_unlock(&closing.lock);
    return is_over;
}

static void *watch(void *unused)
{
    if (is_over_within(TOLD_AFTER_MS)) return unused;
    fprintf(stderr, "weir: stopping: the queries have not ended yet, which takes Kafka at %.*s; after %d s the process ends all the same\n",
            SLICE_ARG(closing.brokers), CLOSING_MS_MAX / 1000);
    if (is_over_within(CLOSING_MS_MAX - TOLD_AFTER_MS)) return unused;
    fprintf(stderr, "weir: stopped, though the queries have not ended, which takes Kafka at %.*s. What was not committed is computed "
            "again at the next start: nothing is lost, nothing is there twice\n", SLICE_ARG(closing.brokers));
    _exit(EXIT_FAILED);
}

void closing_begin(const options *o)
{
    if (o->engine.kafka_brokers.data == NULL) return;
    fflush(stdout); /* the end may come without it */
    closing.brokers = o->engine.kafka_brokers;
    thread_cond_init(&closing.ended);
    closing.has_thread = thread_start(&closing.thread, watch, NULL);
}

void closing_end(void)
{
    if (!closing.has_thread) return;
    pthread_mutex_lock(&closing.lock);
    closing.is_over = true;
    pthread_cond_broadcast(&closing.ended);
    pthread_mutex_unlock(&closing.lock);
    pthread_join(closing.thread, NULL);
    closing.has_thread = false;
}
