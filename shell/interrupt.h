/* shell/interrupt.h - SIGINT and SIGTERM: what they stop. */
#ifndef WEIR_SHELL_INTERRUPT_H
#define WEIR_SHELL_INTERRUPT_H

#include "executor/engine.h"

/* From now on a signal interrupts the engine and cancels what the session runs (each NULL: not that), instead of ending
 * the process. is_once: the second signal does end it. */
void interrupt_install(weir *w, weir_session *s, bool is_once);
/* Forgets both, for before they are closed; signals are still only noted. */
void interrupt_release(void);
bool interrupt_seen(void);
void interrupt_clear(void);

#endif
