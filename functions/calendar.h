/* functions/calendar.h - days, times of day and timestamps as ISO text, in UTC, years -9999 to 9999. Private to functions/. */
#ifndef WEIR_FUNCTIONS_CALENDAR_H
#define WEIR_FUNCTIONS_CALENDAR_H

#include "core/date.h"
#include "core/slice.h"

#define CALENDAR_TEXT_BYTES 40
/* These write at most CALENDAR_TEXT_BYTES and return how many. */
size_t print_date(char *out, int64_t days);               /* 2021-05-01 */
size_t print_time(char *out, int32_t ms_of_day);          /* 14:30, 14:30:05, 14:30:05.250: no more than is needed */
size_t print_timestamp(char *out, int64_t ms);            /* 2021-05-01T14:30:05.250 */

bool parse_date(slice text, int32_t *days);               /* 2021-05-01; 2021-05 and 2021 mean the first day */
bool parse_time(slice text, int32_t *ms_of_day);          /* 14:30, 14:30:05, 14:30:05.25 */
bool parse_timestamp(slice text, int64_t *ms);            /* date, or date T time [zone: Z, +02:00, +0200, +02] */

#endif
