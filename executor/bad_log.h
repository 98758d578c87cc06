/* executor/bad_log.h - rows that could not be used: counted, and written to the processing log with topic, partition,
 * offset, reason and bytes, as part of the epoch that met them. One a client. */
#ifndef WEIR_EXECUTOR_BAD_LOG_H
#define WEIR_EXECUTOR_BAD_LOG_H

#include "executor/task.h"
#include "planner/catalog.h"

#define BAD_LAST_BYTES 640 /* a topic's name and a reason, with what is said between them */

/* sink: the processing log's index among the client's sinks; UINT32_MAX: only count. */
bad_log *bad_log_new(slice query_id, uint32_t sink, const weir_clock *clock);
void bad_log_free(bad_log *l); /* NULL is fine */
/* row_offset: of the batch the row is in; NULL, or an offset that is none of the records being read: which record it came from is
 * not known. */
void bad_log_add(bad_log *l, task *t, bad_kind kind, const int64_t *row_offset, uint32_t row, const char *reason);
/* Writes what was added since the last flush; at most so many a flush, the rest are counted in a summary. */
weir_rc bad_log_flush(bad_log *l, client *c, int32_t partition, weir_error *err) WEIR_CHECKED;
void bad_log_forget(bad_log *l); /* an abort */
/* The last one, or an empty text: its record, where it comes straight from one, and the reason. */
const char *bad_log_last(const bad_log *l);
/* Says how many there were of each kind, and the last; nothing where there were none. */
void bad_log_tell(const bad_log *l, text *out);

/* The processing log as a stream, for the catalog. */
void processing_log_source(source *out, slice topic, arena *a);

#define PROCESSING_LOG_TOPIC "weir_processing_log"

#endif
