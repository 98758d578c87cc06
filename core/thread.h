/* core/thread.h - threads that leave signals to the program's first one, and how threads wait. */
#ifndef WEIR_CORE_THREAD_H
#define WEIR_CORE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Starts run(argument) in a thread in which every signal is blocked: the threads of a library are no place for the handlers
 * of the program around it. False: there is no thread, and nothing to join. */
bool thread_start(pthread_t *thread, void *(*run)(void *), void *argument);

void thread_sleep_ms(int64_t ms);

/* A condition that is waited for by the monotonic clock: pthread_cond_timedwait(condition, lock, &deadline). */
void thread_cond_init(pthread_cond_t *condition);
struct timespec thread_deadline(int64_t in_ms);

#endif
