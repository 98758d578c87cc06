/* shell/closing.h - the end of a process whose Kafka broker may be dead: librdkafka can take minutes to give up what is under way,
 * and nothing but the process's end stops it before. */
#ifndef WEIR_SHELL_CLOSING_H
#define WEIR_SHELL_CLOSING_H

#include "shell/options.h"

/* From here on only what closes the engine follows. On Kafka, where that takes long, standard error tells what is waited for; after
 * ten seconds the process ends as if it were killed, with EXIT_FAILED. That is safe: an epoch that is not committed is computed
 * again, and state on disk follows what was. */
void closing_begin(const options *o);
/* It is closed. */
void closing_end(void);

#endif
