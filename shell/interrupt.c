/* shell/interrupt.c - see interrupt.h. */
#include "shell/interrupt.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/thread.h"

static struct {
    pthread_mutex_t lock; /* over what is to be stopped: it lives while the lock is held */
    weir *engine;
    weir_session *session;
    void (*react)(void *argument, int number);
    void *argument;
    sigset_t waited_for;
    atomic_bool is_seen, is_once, terminates;
    int wake; /* readable while a signal has been seen; -1: nothing is installed */
} interrupt = { .lock = PTHREAD_MUTEX_INITIALIZER, .wake = -1 };

static void take(int number)
{
    const uint64_t one = 1;

    if (number == SIGTERM) atomic_store(&interrupt.terminates, true);
    atomic_store(&interrupt.is_seen, true);
    if (write(interrupt.wake, &one, sizeof one) < 0) return; /* full: it is readable */
    pthread_mutex_lock(&interrupt.lock);
    if (interrupt.engine != NULL) weir_interrupt(interrupt.engine);
    if (interrupt.session != NULL) weir_cancel(interrupt.session);
    if (interrupt.react != NULL) interrupt.react(interrupt.argument, number);
    pthread_mutex_unlock(&interrupt.lock);
}

static void *wait_for_signals(void *unused)
{
    int number;

    while (sigwait(&interrupt.waited_for, &number) == 0) {
        take(number);
        if (atomic_load(&interrupt.is_once)) break;
    }
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &interrupt.waited_for, NULL); /* the next one ends the process */
    for (;;) pause();
    return unused;
}

static void install(bool takes_hangup, bool is_once)
{
    pthread_t thread;

    atomic_store(&interrupt.is_once, is_once);
    if (interrupt.wake >= 0) return;
    interrupt.wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    sigemptyset(&interrupt.waited_for);
    sigaddset(&interrupt.waited_for, SIGINT);
    sigaddset(&interrupt.waited_for, SIGTERM);
    if (takes_hangup) sigaddset(&interrupt.waited_for, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &interrupt.waited_for, NULL);
    if (thread_start(&thread, wait_for_signals, NULL)) pthread_detach(thread);
    else pthread_sigmask(SIG_UNBLOCK, &interrupt.waited_for, NULL); /* they end the process, then */
}

void interrupt_install(weir *w, weir_session *s, bool is_once)
{
    pthread_mutex_lock(&interrupt.lock);
    interrupt.engine = w;
    interrupt.session = s;
    pthread_mutex_unlock(&interrupt.lock);
    install(false, is_once);
}

void interrupt_install_for(void (*react)(void *argument, int number), void *argument)
{
    pthread_mutex_lock(&interrupt.lock);
    interrupt.react = react;
    interrupt.argument = argument;
    pthread_mutex_unlock(&interrupt.lock);
    install(true, false);
}

void interrupt_release(void)
{
    pthread_mutex_lock(&interrupt.lock);
    interrupt.engine = NULL;
    interrupt.session = NULL;
    interrupt.react = NULL;
    pthread_mutex_unlock(&interrupt.lock);
}

bool interrupt_seen(void)
{
    return atomic_load(&interrupt.is_seen);
}

bool interrupt_terminates(void)
{
    return atomic_load(&interrupt.terminates);
}

void interrupt_clear(void)
{
    uint64_t count;

    if (interrupt_terminates()) return;
    if (read(interrupt.wake, &count, sizeof count) < 0) { /* there was none */
    }
    atomic_store(&interrupt.is_seen, false);
}

ssize_t interrupt_read(int file, char *into, size_t room)
{
    struct pollfd either[2] = { { .fd = file, .events = POLLIN }, { .fd = interrupt.wake, .events = POLLIN } };

    while (poll(either, 2, -1) < 0) {
        if (errno != EINTR) return -1;
    }
    if (either[1].revents == 0) return read(file, into, room);
    errno = EINTR;
    return -1;
}
