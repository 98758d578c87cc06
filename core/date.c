/* core/date.c - see date.h. */
#include "core/date.h"

/* Counting from the first of March puts the leap day at a year's end; eras of 400 years repeat. */
int64_t days_of(civil_date date)
{
    int64_t year = (int64_t)date.year - (date.month <= 2);
    int64_t era = floor_divide(year, 400);
    int64_t year_of_era = year - era * 400;
    int64_t month_from_march = (date.month + 9) % 12;
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + date.day - 1;

    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

civil_date date_of(int64_t days)
{
    int64_t shifted = days + 719468;
    int64_t era = floor_divide(shifted, 146097);
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    uint32_t month = (uint32_t)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);

    return (civil_date){ .year = (int32_t)(year_of_era + era * 400 + (month <= 2)),
                         .month = month,
                         .day = (uint32_t)(day_of_year - (153 * month_from_march + 2) / 5 + 1) };
}

bool is_leap_year(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

uint32_t days_in_month(int64_t year, uint32_t month)
{
    static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

    return month == 2 && is_leap_year(year) ? 29 : days[month - 1];
}
