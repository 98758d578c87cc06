/* executor/decoder.h - a source's records to a batch: key and value decoded by their formats, only the columns that are
 * wanted; event time from the record or a column; header columns. Rows that cannot be read are reported and left out. */
#ifndef WEIR_EXECUTOR_DECODER_H
#define WEIR_EXECUTOR_DECODER_H

#include "executor/task.h"

typedef struct decoder decoder;

/* source: a STEP_SOURCE. It lives in the task's plan arena, and holds formats until it is closed, which it is to
 * be after an error too. */
weir_rc decoder_open(decoder **out, task *t, const step *source, weir_error *err) WEIR_CHECKED;
void decoder_close(decoder *d); /* NULL is fine */
/* All in the task's batch arena. *out NULL: no row was left. */
weir_rc decoder_read(decoder *d, const fetch *records, batch **out, weir_error *err) WEIR_CHECKED;

#endif
