/* functions/calendar.h - days, times of day and timestamps as numbers and as ISO text. The proleptic Gregorian calendar, in
 * UTC, years -9999 to 9999 as text. Private to functions/. */
#ifndef WEIR_FUNCTIONS_CALENDAR_H
#define WEIR_FUNCTIONS_CALENDAR_H

#include "core/slice.h"

#define MS_PER_SECOND 1000
#define MS_PER_MINUTE 60000
#define MS_PER_HOUR 3600000
#define MS_PER_DAY 86400000

typedef struct civil_date {
    int32_t year;
    uint32_t month; /* 1 .. 12 */
    uint32_t day;   /* 1 .. 31 */
} civil_date;

int64_t days_of(civil_date date);
civil_date date_of(int64_t days);
bool is_leap_year(int64_t year);
uint32_t days_in_month(int64_t year, uint32_t month);

static inline int64_t floor_divide(int64_t n, int64_t by) { return n / by - (n % by < 0); }
static inline int64_t floor_rest(int64_t n, int64_t by) { return n - floor_divide(n, by) * by; }

#define CALENDAR_TEXT_BYTES 40
/* These write at most CALENDAR_TEXT_BYTES and return how many. */
size_t print_date(char *out, int64_t days);               /* 2021-05-01 */
size_t print_time(char *out, int32_t ms_of_day);          /* 14:30, 14:30:05, 14:30:05.250: no more than is needed */
size_t print_timestamp(char *out, int64_t ms);            /* 2021-05-01T14:30:05.250 */

bool parse_date(slice text, int32_t *days);               /* 2021-05-01; 2021-05 and 2021 mean the first day */
bool parse_time(slice text, int32_t *ms_of_day);          /* 14:30, 14:30:05, 14:30:05.25 */
bool parse_timestamp(slice text, int64_t *ms);            /* date, or date T time [zone: Z, +02:00, +0200, +02] */

#endif
