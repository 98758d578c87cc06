/* core/date.h - days since 1970-01-01 as dates, and back: the proleptic Gregorian calendar. */
#ifndef WEIR_CORE_DATE_H
#define WEIR_CORE_DATE_H

#include <stdbool.h>
#include <stdint.h>

#define MS_PER_SECOND 1000
#define MS_PER_MINUTE 60000
#define MS_PER_HOUR 3600000
#define MS_PER_DAY 86400000

typedef struct civil_date {
    int32_t year;
    uint32_t month; /* 1 .. 12 */
    uint32_t day;   /* 1 .. 31 */
} civil_date;

int64_t days_of(civil_date date); /* a day behind the month's end counts on into the next month */
civil_date date_of(int64_t days);
bool is_leap_year(int64_t year);
uint32_t days_in_month(int64_t year, uint32_t month);

/* Division that rounds down, and what it leaves: a moment before 1970 is on the day that holds it. */
static inline int64_t floor_divide(int64_t n, int64_t by) { return n / by - (n % by < 0); }
static inline int64_t floor_rest(int64_t n, int64_t by) { return n - floor_divide(n, by) * by; }

#endif
