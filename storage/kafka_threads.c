/* storage/kafka_threads.c - for builds with ThreadSanitizer only: C11's threads in terms of POSIX's.
 *
 * librdkafka starts and locks by <threads.h>, which this sanitizer does not see: a thread it has not seen start crashes it,
 * and what a mutex orders looks like a race. glibc's C11 types are its POSIX ones under another name, so that these
 * stand in for its functions. */
#include "storage/kafka.h"

#ifdef __SANITIZE_THREAD__

#include <errno.h>
#include <stdlib.h>
#include <threads.h>

typedef struct starting {
    thrd_start_t run;
    void *argument;
} starting;

static void *start(void *given)
{
    starting s = *(starting *)given;

    free(given);
    return (void *)(intptr_t)s.run(s.argument);
}

int thrd_create(thrd_t *thread, thrd_start_t run, void *argument)
{
    starting *s = malloc(sizeof *s);

    if (s == NULL) return thrd_nomem;
    *s = (starting){ run, argument };
    if (pthread_create(thread, NULL, start, s) == 0) return thrd_success;
    free(s);
    return thrd_error;
}

int thrd_join(thrd_t thread, int *result)
{
    void *given;

    if (pthread_join(thread, &given) != 0) return thrd_error;
    if (result != NULL) *result = (int)(intptr_t)given;
    return thrd_success;
}

int thrd_detach(thrd_t thread) { return pthread_detach(thread) == 0 ? thrd_success : thrd_error; }

int mtx_init(mtx_t *mutex, int kind)
{
    pthread_mutexattr_t attributes;

    pthread_mutexattr_init(&attributes);
    if ((kind & mtx_recursive) != 0) pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    int code = pthread_mutex_init((pthread_mutex_t *)mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return code == 0 ? thrd_success : thrd_error;
}

int mtx_lock(mtx_t *mutex) { return pthread_mutex_lock((pthread_mutex_t *)mutex) == 0 ? thrd_success : thrd_error; }
int mtx_unlock(mtx_t *mutex) { return pthread_mutex_unlock((pthread_mutex_t *)mutex) == 0 ? thrd_success : thrd_error; }
void mtx_destroy(mtx_t *mutex) { pthread_mutex_destroy((pthread_mutex_t *)mutex); }

int mtx_trylock(mtx_t *mutex)
{
    int code = pthread_mutex_trylock((pthread_mutex_t *)mutex);

    return code == 0 ? thrd_success : code == EBUSY ? thrd_busy : thrd_error;
}

int cnd_init(cnd_t *condition) { return pthread_cond_init((pthread_cond_t *)condition, NULL) == 0 ? thrd_success : thrd_error; }
int cnd_signal(cnd_t *condition) { return pthread_cond_signal((pthread_cond_t *)condition) == 0 ? thrd_success : thrd_error; }
int cnd_broadcast(cnd_t *condition) { return pthread_cond_broadcast((pthread_cond_t *)condition) == 0 ? thrd_success : thrd_error; }
void cnd_destroy(cnd_t *condition) { pthread_cond_destroy((pthread_cond_t *)condition); }

int cnd_wait(cnd_t *condition, mtx_t *mutex)
{
    return pthread_cond_wait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex) == 0 ? thrd_success : thrd_error;
}

int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *until)
{
    int code = pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, until);

    return code == 0 ? thrd_success : code == ETIMEDOUT ? thrd_timedout : thrd_error;
}

#endif

void kafka_link_threads(void) {} /* what makes the linker take this file */
