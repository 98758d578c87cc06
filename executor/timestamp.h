/* executor/timestamp.h - event time from a column: TIMESTAMP='col', with TIMESTAMP_FORMAT for text. */
#ifndef WEIR_EXECUTOR_TIMESTAMP_H
#define WEIR_EXECUTOR_TIMESTAMP_H

#include "executor/task.h"

/* No event time is greater: so that windows, grace and retention can be added and taken off without a thought. */
#define EVENT_MS_MAX (INT64_MAX / 4)

typedef struct timestamp_reader {
    int32_t column; /* -1: the record's own time */
    call *parse;    /* of a text column */
    slice format;
} timestamp_reader;

weir_rc timestamp_reader_open(timestamp_reader *out, const schema *s, int32_t col, slice format, arena *a,
                              weir_error *err) WEIR_CHECKED;
void timestamp_reader_close(timestamp_reader *t);
/* Writes each row's time into event_ms; returns the rows that have one: not null, not negative, readable. The others are
 * reported. A tombstone without the column keeps the record's own time. */
row_set timestamp_read(timestamp_reader *t, evaluator *e, const batch *in, row_set rows, int64_t *event_ms,
                       const row_report *report);

#endif
