/* functions/fn_time.c - dates, times and timestamps. Without a time zone everything is UTC. */
#include "functions/calendar.h"
#include "core/nearest.h"
#include "functions/family.h"
#include "functions/time_pattern.h"

#define FAMILY "time"

/* ---- with patterns ---- */

static uint32_t letters_of(const type *t)
{
    return t->kind == TYPE_DATE ? PATTERN_DATE
           : t->kind == TYPE_TIME ? PATTERN_TIME : PATTERN_DATE | PATTERN_TIME | PATTERN_ZONE;
}

/* What the pattern may speak of: what the value has, where it is written; where it is read, a time of day has no date. */
static uint32_t letters_of_call(const call *c)
{
    const type *t = c->arg_types[0];

    if (c->result->kind == TYPE_STRING) return t->kind == TYPE_INTEGER ? PATTERN_DATE : letters_of(t);
    return PATTERN_READ | PATTERN_TIME | PATTERN_ZONE | (c->result->kind == TYPE_TIME ? 0 : PATTERN_DATE);
}

/* A literal zone that there is not would fail in each row. */
static weir_rc check_zone(const call *c, uint32_t argument, weir_error *err)
{
    const value *zone_text = call_constant(c, argument);

    if (zone_text == NULL || zone_text->is_null || zone_find(zone_text->str) != NULL) return WEIR_OK;
    return weir_fail(err, WEIR_SEMANTIC, err->at, "%s: there is no time zone '%.*s'; one is written 'Europe/Berlin', 'UTC' or '+02:00'",
                     c->fn->name, SLICE_ARG(zone_text->str));
}

static weir_rc prepare_zones(call *c, arena *a, weir_error *err)
{
    (void)a;
    WEIR_TRY(check_zone(c, 1, err));
    return check_zone(c, 2, err);
}

static weir_rc prepare_pattern(call *c, arena *a, weir_error *err)
{
    const value *pattern = call_constant(c, 1);
    const char *reason;

    WEIR_TRY(check_zone(c, 2, err));
    if (pattern == NULL || pattern->is_null) return WEIR_OK;
    c->state = (void *)(uintptr_t)time_pattern_compile(a, pattern->str, letters_of_call(c), &reason);
    if (c->state != NULL) {
        slice doubt = time_pattern_doubt(a, pattern->str);
        if (doubt.data != NULL) c->doubt = arena_printf(a, "%s: %.*s", c->fn->name, SLICE_ARG(doubt));
        return WEIR_OK;
    }
    return weir_fail(err, WEIR_SEMANTIC, err->at, "%s: the pattern '%.*s' is wrong: %s", c->fn->name,
                     SLICE_ARG(pattern->str), reason);
}

/* The row's pattern and zone. False: one of them is wrong, reported. */
static bool pattern_of(const call *c, eval_context *x, const column *args, uint32_t r, const time_pattern **p, zone **z)
{
    slice id = c->arg_count > 2 ? args[2].str[r] : SLICE("UTC");
    const char *reason;

    *p = c->state != NULL ? c->state : time_pattern_compile(x->arena, args[1].str[r], letters_of_call(c), &reason);
    if (*p == NULL) {
        eval_fail(x, r, "the pattern '%.*s' is wrong: %s", SLICE_ARG(args[1].str[r]), reason);
        return false;
    }
    *z = zone_find(id);
    if (*z == NULL) eval_fail(x, r, "there is no time zone '%.*s'", SLICE_ARG(id));
    return *z != NULL;
}

#define FORMAT_KERNEL(name, ms)                                                                           \
    static void name(const call *c, eval_context *x, const column *args, row_set rows, column *out)       \
    {                                                                                                     \
        EACH_ROW(r, rows)                                                                                 \
        {                                                                                                 \
            const time_pattern *p;                                                                        \
            zone *z;                                                                                      \
            if (pattern_of(c, x, args, r, &p, &z)) out->str[r] = time_pattern_format(p, x->arena, ms, z); \
            else out->null[r] = 1;                                                                        \
        }                                                                                                 \
    }

FORMAT_KERNEL(format_ms, args[0].i64[r])
FORMAT_KERNEL(format_days, (int64_t)args[0].i32[r] * MS_PER_DAY)
FORMAT_KERNEL(format_time, args[0].i32[r])

#define PARSE_KERNEL(name, is_lenient, in_zone, store)                                                    \
    static void name(const call *c, eval_context *x, const column *args, row_set rows, column *out)       \
    {                                                                                                     \
        EACH_ROW(r, rows)                                                                                 \
        {                                                                                                 \
            const time_pattern *p;                                                                        \
            zone *z;                                                                                      \
            int64_t ms;                                                                                   \
            out->null[r] = 1;                                                                             \
            if (!pattern_of(c, x, args, r, &p, &z)) continue;                                             \
            if (!time_pattern_parse(p, args[0].str[r], is_lenient, in_zone, &ms)) {                       \
                eval_fail(x, r, "'%.*s' does not follow the pattern '%.*s'", SLICE_ARG(args[0].str[r]),   \
                          SLICE_ARG(args[1].str[r]));                                                     \
                continue;                                                                                 \
            }                                                                                             \
            out->null[r] = 0;                                                                             \
            store;                                                                                        \
        }                                                                                                 \
    }

PARSE_KERNEL(parse_ms, false, z, out->i64[r] = ms)
PARSE_KERNEL(parse_days, false, NULL, out->i32[r] = (int32_t)floor_divide(ms, MS_PER_DAY))
PARSE_KERNEL(parse_time_of_day, false, NULL, out->i32[r] = (int32_t)floor_rest(ms, MS_PER_DAY))

static void set_whole_day(eval_context *x, uint32_t r, int64_t ms, column *out)
{
    out->i32[r] = (int32_t)floor_divide(ms, MS_PER_DAY);
    out->null[r] = floor_rest(ms, MS_PER_DAY) != 0;
    if (out->null[r]) eval_fail(x, r, "the text states a time of day too, which a date has not");
}
PARSE_KERNEL(parse_date_before, true, z, set_whole_day(x, r, ms, out))

static void convert_tz(const call *c, eval_context *x, const column *args, row_set rows, column *out)
{
    (void)c;
    EACH_ROW(r, rows)
    {
        zone *from = zone_find(args[1].str[r]);
        int64_t utc = from != NULL ? zone_to_utc(from, args[0].i64[r]) : 0;
        zone *to = from != NULL ? zone_find(args[2].str[r]) : NULL;
        if (to != NULL) {
            out->i64[r] = utc + zone_offset_ms(to, utc);
        } else {
            out->null[r] = 1;
            eval_fail(x, r, "there is no time zone '%.*s'", SLICE_ARG(args[from == NULL ? 1 : 2].str[r]));
        }
    }
}

/* ---- conversions and now ---- */

#define MAP_KERNEL(name, expression)                                                                     \
    static void name(const call *c, eval_context *x, const column *args, row_set rows, column *out)      \
    {                                                                                                    \
        (void)c, (void)x, (void)args;                                                                    \
        EACH_ROW(r, rows) expression;                                                                    \
    }

MAP_KERNEL(same_i64, out->i64[r] = args[0].i64[r])
MAP_KERNEL(same_i32, out->i32[r] = args[0].i32[r])
MAP_KERNEL(now_ms, out->i64[r] = clock_now_ms(x->clock))
MAP_KERNEL(today, out->i32[r] = (int32_t)floor_divide(clock_now_ms(x->clock), MS_PER_DAY))

/* ---- adding intervals ---- */

typedef struct unit {
    const char *name; /* singular */
    int64_t ms;       /* 0: counted in months */
    int32_t months;
} unit;

static const unit UNITS[] = {
    { "MILLISECOND", 1, 0 },          { "SECOND", MS_PER_SECOND, 0 }, { "MINUTE", MS_PER_MINUTE, 0 },
    { "HOUR", MS_PER_HOUR, 0 },       { "DAY", MS_PER_DAY, 0 },       { "WEEK", 7LL * MS_PER_DAY, 0 },
    { "MONTH", 0, 1 },                { "YEAR", 0, 12 },              { "DECADE", 0, 120 },
    { "CENTURY", 0, 1200 },           { "MILLENNIUM", 0, 12000 },
};

static const unit *unit_named(slice name)
{
    for (size_t i = 0; i < sizeof UNITS / sizeof UNITS[0]; i++) {
        slice singular = slice_of(UNITS[i].name), cut = name;
        if (cut.len == singular.len + 1 && (cut.data[cut.len - 1] | 0x20) == 's') cut.len--;
        if (slice_equal_nocase(cut, singular)) return &UNITS[i];
    }
    return NULL;
}

weir_rc time_unit_check(slice name, sql_pos at, weir_error *err)
{
    nearest n = nearest_to(name);
    text message = TEXT_EMPTY;

    if (unit_named(name) != NULL) return WEIR_OK;
    for (size_t i = 0; i < sizeof UNITS / sizeof UNITS[0]; i++) nearest_offer(&n, slice_of(UNITS[i].name));
    text_printf(&message, "%.*s is no time unit%s; there are ", SLICE_ARG(name), nearest_hint(&n));
    for (size_t i = 0; i < sizeof UNITS / sizeof UNITS[0]; i++) text_printf(&message, "%s%s", i == 0 ? "" : ", ", UNITS[i].name);
    weir_rc rc = weir_fail(err, WEIR_SEMANTIC, at, "%s, with or without an S", message.data);
    text_free(&message);
    return rc;
}

/* A number of months later, on the same day or the last there is. */
static int64_t add_months(int64_t days, int64_t months)
{
    civil_date date = date_of(days);
    int64_t month = (int64_t)date.year * 12 + date.month - 1 + months;
    int32_t year = (int32_t)floor_divide(month, 12);
    uint32_t month_of_year = (uint32_t)floor_rest(month, 12) + 1;
    uint32_t last = days_in_month(year, month_of_year);

    return days_of((civil_date){ year, month_of_year, date.day < last ? date.day : last });
}

/* False: reported. */
static bool add_interval(eval_context *x, uint32_t r, slice unit_name, int64_t number, int64_t ms, int64_t *out)
{
    const unit *u = unit_named(unit_name);
    int64_t step;

    if (u == NULL) {
        eval_fail(x, r, "there is no interval unit %.*s", SLICE_ARG(unit_name));
        return false;
    }
    if (u->ms == 0) {
        int64_t days = floor_divide(ms, MS_PER_DAY), months = number * u->months;
        if (months > 12LL * 999999 || months < -12LL * 999999 || days > 400000000 || days < -400000000) {
            eval_fail(x, r, "the result is out of range");
            return false;
        }
        *out = add_months(days, months) * MS_PER_DAY + floor_rest(ms, MS_PER_DAY);
        return true;
    }
    if (__builtin_mul_overflow(number, u->ms, &step) || __builtin_add_overflow(ms, step, out)) {
        eval_fail(x, r, "the result is out of range");
        return false;
    }
    return true;
}

#define ADD_KERNEL(name, sign, read, store)                                                               \
    static void name(const call *c, eval_context *x, const column *args, row_set rows, column *out)       \
    {                                                                                                     \
        (void)c;                                                                                          \
        EACH_ROW(r, rows)                                                                                 \
        {                                                                                                 \
            int64_t sum;                                                                                  \
            if (!add_interval(x, r, args[0].str[r], sign(int64_t) args[1].i32[r], read, &sum)) {          \
                out->null[r] = 1;                                                                         \
            } else {                                                                                      \
                store;                                                                                    \
            }                                                                                             \
        }                                                                                                 \
    }

ADD_KERNEL(add_to_timestamp, +, args[2].i64[r], out->i64[r] = sum)
ADD_KERNEL(take_from_timestamp, -, args[2].i64[r], out->i64[r] = sum)
/* False, and reported: no DATE has so many days. */
static bool fit_days(eval_context *x, uint32_t r, int64_t ms, int32_t *out)
{
    int64_t days = floor_divide(ms, MS_PER_DAY);

    *out = (int32_t)days;
    if (days >= INT32_MIN && days <= INT32_MAX) return true;
    eval_fail(x, r, "the result is out of range");
    return false;
}

ADD_KERNEL(add_to_date, +, (int64_t)args[2].i32[r] * MS_PER_DAY, out->null[r] = !fit_days(x, r, sum, &out->i32[r]))
ADD_KERNEL(take_from_date, -, (int64_t)args[2].i32[r] * MS_PER_DAY, out->null[r] = !fit_days(x, r, sum, &out->i32[r]))
ADD_KERNEL(add_to_time, +, args[2].i32[r], out->i32[r] = (int32_t)floor_rest(sum, MS_PER_DAY))
ADD_KERNEL(take_from_time, -, args[2].i32[r], out->i32[r] = (int32_t)floor_rest(sum, MS_PER_DAY))

static weir_rc prepare_unit(call *c, arena *a, weir_error *err)
{
    const value *name = call_constant(c, 0);

    (void)a;
    if (name == NULL || name->is_null) return WEIR_OK;
    return time_unit_check(name->str, err->at, err);
}

#define WITH_PATTERN .prepare = prepare_pattern
#define BY_PATTERN(name, from, to, body, sentence, example_)                                                       \
    KERNEL(name, from ", STRING", to, NULL_IN_OUT, body, sentence, WITH_PATTERN, .example = example_)
#define BY_PATTERN_AND_ZONE(name, from, to, body, sentence, example_, zone_example)                                \
    BY_PATTERN(name, from, to, body, sentence, example_),                                                          \
        KERNEL(name, from ", STRING, STRING", to, NULL_IN_OUT, body, sentence, WITH_PATTERN, .example = zone_example)
#define INTERVAL(name, of, body, sentence, example_)                                                               \
    KERNEL(name, "INTERVALUNIT, INTEGER, " of, of, NULL_IN_OUT, body, sentence, .prepare = prepare_unit,           \
           .example = example_)

static const function ROWS[] = {
    BY_PATTERN_AND_ZONE("FORMAT_TIMESTAMP", "TIMESTAMP", "STRING", format_ms, "A timestamp as text, by a pattern, in a zone.",
                        "FORMAT_TIMESTAMP(FROM_UNIXTIME(0), 'yyyy-MM-dd HH:mm:ss')",
                        "FORMAT_TIMESTAMP(FROM_UNIXTIME(0), 'yyyy-MM-dd HH:mm', 'America/New_York')"),
    BY_PATTERN_AND_ZONE("PARSE_TIMESTAMP", "STRING", "TIMESTAMP", parse_ms,
                        "The timestamp a text states, by a pattern, in a zone unless the text names one.",
                        "PARSE_TIMESTAMP('2021-05-01 14:30:00', 'yyyy-MM-dd HH:mm:ss')",
                        "PARSE_TIMESTAMP('2021-05-01 14:30', 'yyyy-MM-dd HH:mm', 'Europe/Paris')"),
    BY_PATTERN("FORMAT_DATE", "DATE", "STRING", format_days, "A date as text, by a pattern.",
               "FORMAT_DATE(FROM_DAYS(0), 'dd/MM/yyyy')"),
    BY_PATTERN("PARSE_DATE", "STRING", "DATE", parse_date_before, "The date a text begins with, by a pattern.",
               "PARSE_DATE('01/05/2021', 'dd/MM/yyyy')"),
    BY_PATTERN("FORMAT_TIME", "TIME", "STRING", format_time, "A time of day as text, by a pattern.",
               "FORMAT_TIME(PARSE_TIME('14:30', 'HH:mm'), 'hh:mm a')"),
    BY_PATTERN("PARSE_TIME", "STRING", "TIME", parse_time_of_day, "The time of day a text states, by a pattern.",
               "PARSE_TIME('14:30', 'HH:mm')"),
    BY_PATTERN_AND_ZONE("TIMESTAMPTOSTRING", "BIGINT", "STRING", format_ms,
                        "Milliseconds since 1970 as text; FORMAT_TIMESTAMP is the newer form.",
                        "TIMESTAMPTOSTRING(0, 'yyyy-MM-dd HH:mm:ss')",
                        "TIMESTAMPTOSTRING(0, 'yyyy-MM-dd HH:mm', 'America/New_York')"),
    BY_PATTERN_AND_ZONE("STRINGTOTIMESTAMP", "STRING", "BIGINT", parse_ms,
                        "The milliseconds since 1970 that a text states; PARSE_TIMESTAMP is the newer form.",
                        "STRINGTOTIMESTAMP('2021-05-01', 'yyyy-MM-dd')",
                        "STRINGTOTIMESTAMP('2021-05-01', 'yyyy-MM-dd', 'Europe/Paris')"),
    BY_PATTERN("DATETOSTRING", "INTEGER", "STRING", format_days, "Days since 1970 as text; FORMAT_DATE is the newer form.",
               "DATETOSTRING(0, 'yyyy-MM-dd')"),
    BY_PATTERN("STRINGTODATE", "STRING", "INTEGER", parse_days,
               "The days since 1970 that a text states; PARSE_DATE is the newer form.",
               "STRINGTODATE('2021-05-01', 'yyyy-MM-dd')"),
    KERNEL("CONVERT_TZ", "TIMESTAMP, STRING, STRING", "TIMESTAMP", NULL_IN_OUT, convert_tz,
           "What the clocks of the second zone show when those of the first show the timestamp.", .prepare = prepare_zones,
           .example = "CONVERT_TZ(FROM_UNIXTIME(0), 'America/Los_Angeles', 'America/New_York')"),
    KERNEL("UNIX_TIMESTAMP", "", "BIGINT", NULL_IN_OUT, now_ms,
           "Milliseconds since 1970: of a timestamp, or of now.", .is_volatile = true,
           .example = "UNIX_TIMESTAMP()"),
    KERNEL("UNIX_TIMESTAMP", "TIMESTAMP", "BIGINT", NULL_IN_OUT, same_i64,
           "Milliseconds since 1970: of a timestamp, or of now.", .example = "UNIX_TIMESTAMP(FROM_UNIXTIME(5))"),
    KERNEL("UNIX_DATE", "", "INTEGER", NULL_IN_OUT, today, "Days since 1970: of a date, or of today.", .is_volatile = true,
           .example = "UNIX_DATE()"),
    KERNEL("UNIX_DATE", "DATE", "INTEGER", NULL_IN_OUT, same_i32, "Days since 1970: of a date, or of today.",
           .example = "UNIX_DATE(FROM_DAYS(5))"),
    KERNEL("FROM_UNIXTIME", "BIGINT", "TIMESTAMP", NULL_IN_OUT, same_i64, "The timestamp so many milliseconds after 1970.",
           .example = "FROM_UNIXTIME(0)"),
    KERNEL("FROM_DAYS", "INTEGER", "DATE", NULL_IN_OUT, same_i32, "The date so many days after 1970.",
           .example = "FROM_DAYS(0)"),
    INTERVAL("TIMESTAMPADD", "TIMESTAMP", add_to_timestamp, "A timestamp so many units later.",
             "TIMESTAMPADD(HOURS, 2, FROM_UNIXTIME(0))"),
    INTERVAL("TIMESTAMPSUB", "TIMESTAMP", take_from_timestamp, "A timestamp so many units earlier.",
             "TIMESTAMPSUB(HOURS, 2, FROM_UNIXTIME(0))"),
    INTERVAL("DATEADD", "DATE", add_to_date, "A date so many units later.", "DATEADD(MONTHS, 1, FROM_DAYS(30))"),
    INTERVAL("DATESUB", "DATE", take_from_date, "A date so many units earlier.", "DATESUB(DAYS, 1, FROM_DAYS(30))"),
    INTERVAL("TIMEADD", "TIME", add_to_time, "A time of day so many units later, around the clock.",
             "TIMEADD(MINUTES, 5, PARSE_TIME('14:30', 'HH:mm'))"),
    INTERVAL("TIMESUB", "TIME", take_from_time, "A time of day so many units earlier, around the clock.",
             "TIMESUB(MINUTES, 5, PARSE_TIME('14:30', 'HH:mm'))"),
};
const function_family time_family = FAMILY_ROWS(ROWS);
