/* shell/interrupt.h - SIGINT and SIGTERM: what they stop. They are waited for by a thread of their own, so that what they do
 * need not be fit for a signal handler. */
#ifndef WEIR_SHELL_INTERRUPT_H
#define WEIR_SHELL_INTERRUPT_H

#include <sys/types.h>

#include "executor/engine.h"

/* From now on a signal interrupts the engine and cancels what the session runs (each NULL: not that), instead of ending
 * the process. is_once: the second signal does end it. To be called by the program's first thread. */
void interrupt_install(weir *w, weir_session *s, bool is_once);
/* Calls react(argument, number) for SIGINT, SIGTERM and SIGHUP, from the thread that waits for them. */
void interrupt_install_for(void (*react)(void *argument, int number), void *argument);
/* Forgets what is to be stopped, for before it is closed; signals are still only noted. */
void interrupt_release(void);
bool interrupt_seen(void);
/* A SIGTERM was among those seen; interrupt_clear() does not forget it. */
bool interrupt_terminates(void);
void interrupt_clear(void);
/* read(), which a signal ends, or has ended already: -1 with EINTR. */
ssize_t interrupt_read(int file, char *into, size_t room);

#endif
