/* shell/interrupt.c - SIGINT and SIGTERM. Only weir_interrupt() and weir_cancel() are called, both safe in a handler. */
#include "shell/interrupt.h"

#include <signal.h>
#include <stdatomic.h>

static _Atomic(weir *) running_engine;
static _Atomic(weir_session *) running_session;
static volatile sig_atomic_t seen;

static void on_signal(int number)
{
    weir *w = atomic_load(&running_engine);
    weir_session *s = atomic_load(&running_session);

    (void)number;
    seen = 1;
    if (w != NULL) weir_interrupt(w);
    if (s != NULL) weir_cancel(s);
}

void interrupt_install(weir *w, weir_session *s, bool is_once)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = is_once ? (int)SA_RESETHAND : 0 };

    atomic_store(&running_engine, w);
    atomic_store(&running_session, s);
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

void interrupt_release(void)
{
    atomic_store(&running_engine, NULL);
    atomic_store(&running_session, NULL);
}

bool interrupt_seen(void)
{
    return seen != 0;
}

void interrupt_clear(void)
{
    seen = 0;
}
