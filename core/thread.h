/* core/thread.h - threads that leave signals to the program's first one. */
#ifndef WEIR_CORE_THREAD_H
#define WEIR_CORE_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* Starts run(argument) in a thread in which every signal is blocked: the threads of a library are no place for the handlers
 * of the program around it. False: there is no thread, and nothing to join. */
bool thread_start(pthread_t *thread, void *(*run)(void *), void *argument);

#endif
