/* core/reason.h - why a value is bad, and where in it: steps are put before a reason as the readers of what is nested return,
 * innermost first. "INTEGER expected" in the second item of field B of column A becomes "`A`->`B`[2]: INTEGER expected". */
#ifndef WEIR_CORE_REASON_H
#define WEIR_CORE_REASON_H

#include "core/slice.h"

#include <stdint.h>

#define REASON_BYTES 256

/* The reason is text of at most REASON_BYTES with its NUL; what has no room is cut off its end, long names in their middle. */
void reason_in_field(char *reason, slice name);
void reason_in_item(char *reason, uint32_t index); /* from 0; shown from 1, as SQL counts */
void reason_in_key(char *reason, slice key);
/* Ends the way: "column `A`->`B`: ...". */
void reason_in_column(char *reason, slice column);
/* Puts words before it. */
void reason_begin(char *reason, const char *words);

#endif
