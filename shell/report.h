/* shell/report.h - errors as people read them, and files as text. */
#ifndef WEIR_SHELL_REPORT_H
#define WEIR_SHELL_REPORT_H

#include "executor/engine.h"

/* "FILE:LINE:COLUMN: semantic: message" on stderr, then the line of the script and a caret under the place.
 * script is the text err->at counts in, and first_line what its first line is called. file NULL: no file, as typed. */
void report_error(const char *file, slice script, uint32_t first_line, const weir_error *err);

/* For weir_options.notice: a line on stderr, what keeps a query from going on, and when it goes on. */
void report_notice(void *self, slice query_id, const weir_error *err);

/* The whole file ("-": standard input) appended to the text; false, and reported, when it cannot be read. */
bool read_file(const char *path, text *into);

#endif
