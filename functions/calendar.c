/* functions/calendar.c - see calendar.h. */
#include "functions/calendar.h"

#include <stdio.h>

static char *put_digits(char *at, uint32_t n, int digits)
{
    for (int i = digits - 1; i >= 0; i--) {
        at[i] = (char)('0' + n % 10);
        n /= 10;
    }
    return at + digits;
}

size_t print_date(char *out, int64_t days)
{
    civil_date date = date_of(days);
    char *at = out;

    if (date.year >= 0 && date.year <= 9999) at = put_digits(at, (uint32_t)date.year, 4);
    else at += snprintf(at, 16, "%+05d", date.year);
    *at++ = '-';
    at = put_digits(at, date.month, 2);
    *at++ = '-';
    return (size_t)(put_digits(at, date.day, 2) - out);
}

static char *put_clock(char *at, int32_t ms_of_day, bool seconds, bool fraction)
{
    uint32_t ms = (uint32_t)ms_of_day;

    at = put_digits(at, ms / MS_PER_HOUR, 2);
    *at++ = ':';
    at = put_digits(at, ms / MS_PER_MINUTE % 60, 2);
    if (seconds) {
        *at++ = ':';
        at = put_digits(at, ms / MS_PER_SECOND % 60, 2);
    }
    if (fraction) {
        *at++ = '.';
        at = put_digits(at, ms % MS_PER_SECOND, 3);
    }
    return at;
}

size_t print_time(char *out, int32_t ms_of_day)
{
    bool fraction = ms_of_day % MS_PER_SECOND != 0;

    return (size_t)(put_clock(out, ms_of_day, fraction || ms_of_day % MS_PER_MINUTE != 0, fraction) - out);
}

size_t print_timestamp(char *out, int64_t ms)
{
    size_t length = print_date(out, floor_divide(ms, MS_PER_DAY));

    out[length++] = 'T';
    return (size_t)(put_clock(out + length, (int32_t)floor_rest(ms, MS_PER_DAY), true, true) - out);
}

/* ---- reading ---- */

typedef struct cursor {
    const char *at, *end;
} cursor;

static bool take_char(cursor *c, char what)
{
    if (c->at == c->end || *c->at != what) return false;
    c->at++;
    return true;
}

static bool take_number(cursor *c, int least, int most, uint32_t *number)
{
    int digits = 0;

    *number = 0;
    while (digits < most && c->at < c->end && *c->at >= '0' && *c->at <= '9') {
        *number = *number * 10 + (uint32_t)(*c->at++ - '0');
        digits++;
    }
    return digits >= least;
}

static bool take_date(cursor *c, int64_t *days)
{
    uint32_t year, month = 1, day = 1;
    bool is_negative = take_char(c, '-');

    if (!take_number(c, 4, 6, &year)) return false;
    if (take_char(c, '-')) {
        if (!take_number(c, 2, 2, &month)) return false;
        if (take_char(c, '-') && !take_number(c, 2, 2, &day)) return false;
    }
    int32_t signed_year = is_negative ? -(int32_t)year : (int32_t)year;
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(signed_year, month)) return false;
    *days = days_of((civil_date){ signed_year, month, day });
    return true;
}

static bool take_clock(cursor *c, int32_t *ms_of_day)
{
    uint32_t hour, minute = 0, second = 0, ms = 0;

    if (!take_number(c, 2, 2, &hour)) return false;
    if (take_char(c, ':')) {
        if (!take_number(c, 2, 2, &minute)) return false;
        if (take_char(c, ':')) {
            if (!take_number(c, 2, 2, &second)) return false;
            if (take_char(c, '.')) {
                uint32_t unit = 100, digit;
                if (c->at == c->end || !take_number(c, 1, 1, &digit)) return false;
                do {
                    ms += digit * unit;
                    unit /= 10;
                } while (take_number(c, 1, 1, &digit)); /* finer than milliseconds is cut off */
            }
        }
    }
    if (hour > 23 || minute > 59 || second > 59) return false;
    *ms_of_day = (int32_t)(hour * MS_PER_HOUR + minute * MS_PER_MINUTE + second * MS_PER_SECOND + ms);
    return true;
}

bool parse_date(slice text, int32_t *days)
{
    cursor c = { text.data, text.data + text.len };
    int64_t wide;

    if (!take_date(&c, &wide) || c.at != c.end) return false;
    *days = (int32_t)wide;
    return true;
}

bool parse_time(slice text, int32_t *ms_of_day)
{
    cursor c = { text.data, text.data + text.len };
    bool has_minutes = text.len >= 5;

    return has_minutes && take_clock(&c, ms_of_day) && c.at == c.end;
}

static bool take_zone(cursor *c, int64_t *offset_ms)
{
    uint32_t hours, minutes = 0;
    bool is_west;

    *offset_ms = 0;
    if (c->at == c->end || take_char(c, 'Z')) return true;
    is_west = *c->at == '-';
    if (!take_char(c, '-') && !take_char(c, '+')) return false;
    if (!take_number(c, 2, 2, &hours)) return false;
    take_char(c, ':');
    if (c->at != c->end && !take_number(c, 2, 2, &minutes)) return false;
    if (hours > 18 || minutes > 59) return false;
    *offset_ms = (int64_t)hours * MS_PER_HOUR + (int64_t)minutes * MS_PER_MINUTE;
    if (is_west) *offset_ms = -*offset_ms;
    return true;
}

bool parse_timestamp(slice text, int64_t *ms)
{
    cursor c = { text.data, text.data + text.len };
    int64_t days, offset_ms = 0;
    int32_t ms_of_day = 0;

    if (!take_date(&c, &days)) return false;
    if (take_char(&c, 'T') && c.at != c.end && (!take_clock(&c, &ms_of_day) || !take_zone(&c, &offset_ms))) return false;
    if (c.at != c.end) return false;
    *ms = days * MS_PER_DAY + ms_of_day - offset_ms;
    return true;
}
