/* functions/time_pattern.c - see time_pattern.h. A pattern becomes an array of elements; formatting and parsing walk it. */
#include "functions/time_pattern.h"

#include "core/text.h"
#include "functions/calendar.h"

#include <ctype.h>

typedef struct element {
    char letter;     /* 0: literal text; '[' and ']' an optional section */
    uint8_t count;   /* how often the letter stands */
    uint8_t reserve; /* digits of the fixed-width numbers right behind: a number of varying width leaves them */
    uint32_t end;    /* of '[': the index of its ']' */
    slice literal;
} element;

struct time_pattern {
    element *elements;
    uint32_t count;
    bool names_zone; /* it has a V or z */
    size_t fixed_bytes; /* of every text that follows it, where it has only numbers of fixed width and plain text; else 0 */
};

static const char *const MONTHS[] = { "January", "February", "March",     "April",   "May",      "June",
                                      "July",    "August",   "September", "October", "November", "December" };
static const char *const DAYS[] = { "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday" };

/* ---- compiling ---- */

static bool is_number(const element *e)
{
    if (e->letter == 0) return false;
    if (strchr("yudDHhKkmsSnA", e->letter) != NULL) return true;
    return (e->letter == 'M' || e->letter == 'L' || e->letter == 'Q' || e->letter == 'q') && e->count <= 2;
}

/* The number's width where it is fixed, else 0. */
static uint8_t fixed_width(const element *e)
{
    if (e->letter == 'S') return e->count;
    if (e->letter == 'y' || e->letter == 'u') return e->count == 2 ? 2 : 0;
    if (e->letter == 'D') return e->count == 3 ? 3 : 0;
    return e->count == 2 ? 2 : 0;
}

/* A year of weeks says no day without its week: nothing could ever be read by it. */
static bool lacks_week(const time_pattern *p)
{
    bool has_week_year = false, has_week = false;

    for (uint32_t i = 0; i < p->count; i++) {
        has_week_year |= p->elements[i].letter == 'Y';
        has_week |= p->elements[i].letter == 'w';
    }
    return has_week_year && !has_week;
}

static const char *check_letter(arena *a, char letter, uint32_t count, uint32_t allowed)
{
    uint32_t part = strchr("GyuYMLwWdDEecQq", letter) != NULL ? PATTERN_DATE
                    : strchr("aHhKkmsSnNA", letter) != NULL ? PATTERN_TIME
                    : strchr("XxZzVO", letter) != NULL ? PATTERN_ZONE : 0;

    if (part == 0) return arena_printf(a, "its letter %c means nothing; text stands in single quotes", letter).data;
    if (!(part & allowed)) {
        return part == PATTERN_DATE ? "it has a letter of a date" : part == PATTERN_TIME ? "it has a letter of a time of day"
                                                                                          : "it has a letter of a time zone";
    }
    uint32_t most = letter == 'S' ? 9 : strchr("yuYnNA", letter) != NULL ? 19 : strchr("GMLEecQqXxZ", letter) != NULL ? 5
                    : letter == 'D' ? 3 : strchr("zO", letter) != NULL ? 4 : strchr("aW", letter) != NULL ? 1 : 2;
    return count > most ? "it repeats a letter too often" : NULL;
}

/* yyyy-MM-dd HH:mm:ss.SSS and its like: each part once, in its place. */
static size_t fixed_length(const time_pattern *p)
{
    size_t length = 0;

    for (uint32_t i = 0; i < p->count; i++) {
        const element *e = &p->elements[i];
        bool is_part = (e->letter == 'y' && e->count == 4) || (e->letter == 'S' && e->count <= 9) ||
                       (e->letter != 0 && strchr("MdHms", e->letter) != NULL && e->count == 2);
        if (e->letter != 0 && !is_part) return 0;
        for (uint32_t k = 0; k < i && is_part; k++) {
            if (p->elements[k].letter == e->letter) return 0;
        }
        length += is_part ? e->count : e->literal.len;
    }
    return length;
}

const time_pattern *time_pattern_compile(arena *a, slice pattern, uint32_t allowed, const char **reason)
{
    time_pattern *p = ARENA_NEW(a, time_pattern);
    const char *at = pattern.data, *end = pattern.data + pattern.len;
    uint32_t open[8], depth = 0;

    p->elements = ARENA_ARRAY(a, element, pattern.len);
    while (at < end) {
        element *e = &p->elements[p->count];
        *e = (element){ 0 };
        if (isalpha((unsigned char)*at)) {
            uint32_t count = 0;
            e->letter = *at;
            while (at < end && *at == e->letter) at++, count++;
            if ((*reason = check_letter(a, e->letter, count, allowed)) != NULL) return NULL;
            e->count = (uint8_t)count;
            if (e->letter == 'V' || e->letter == 'z') p->names_zone = true;
        } else if (*at == '\'') {
            const char *from = ++at;
            char *literal = arena_alloc(a, (size_t)(end - from) + 1), *write = literal;
            if (at < end && *at == '\'') {
                *write++ = *at++; /* '' outside quotes */
            } else {
                for (;; at++) {
                    if (at == end) {
                        *reason = "a quote in it does not close";
                        return NULL;
                    }
                    if (*at == '\'' && (at + 1 == end || at[1] != '\'')) break;
                    if (*at == '\'') at++;
                    *write++ = *at;
                }
                at++;
            }
            e->literal = (slice){ literal, (size_t)(write - literal) };
        } else if (*at == '[' || *at == ']') {
            e->letter = *at++;
            if (e->letter == '[' && depth == 8) {
                *reason = "it nests too many optional parts";
                return NULL;
            }
            if (e->letter == '[') open[depth++] = p->count;
            else if (depth > 0) p->elements[open[--depth]].end = p->count;
            else {
                *reason = "a ] in it has no [";
                return NULL;
            }
        } else if (*at == '{' || *at == '}' || *at == '#') {
            *reason = "it has a reserved character: { } #";
            return NULL;
        } else {
            e->literal = arena_copy(a, (slice){ at++, 1 });
        }
        p->count++;
    }
    while (depth > 0) p->elements[open[--depth]].end = p->count;
    for (uint32_t i = 0; i < p->count; i++) {
        if (!is_number(&p->elements[i])) continue;
        for (uint32_t k = i + 1; k < p->count && is_number(&p->elements[k]) && fixed_width(&p->elements[k]) > 0; k++) {
            p->elements[i].reserve += fixed_width(&p->elements[k]);
        }
    }
    if ((allowed & PATTERN_READ) && lacks_week(p)) {
        *reason = "Y is the year that a week belongs to; the year of a date is yyyy, its month MM, and its day dd";
        return NULL;
    }
    p->fixed_bytes = fixed_length(p);
    *reason = NULL;
    return p;
}

/* ---- formatting ---- */

typedef struct moment {
    civil_date date;
    int64_t days;
    int32_t ms_of_day;
    int64_t utc_ms;
    int64_t offset_ms;
    zone *zone;
} moment;

typedef struct writer {
    arena *arena;
    char *data;
    size_t len, room;
} writer;

static char *make_room(writer *w, size_t more)
{
    if (w->len + more > w->room) {
        w->room = (w->len + more) * 2;
        char *grown = arena_alloc(w->arena, w->room);
        memcpy(grown, w->data, w->len);
        w->data = grown;
    }
    return w->data + w->len;
}

static void put_text(writer *w, slice s)
{
    memcpy(make_room(w, s.len), s.data, s.len);
    w->len += s.len;
}

static void put_number(writer *w, int64_t number, uint32_t width)
{
    char digits[24], *at = digits + sizeof digits;
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;

    do *--at = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    while (digits + sizeof digits - at < (ptrdiff_t)width && at > digits + 1) *--at = '0';
    if (number < 0) *--at = '-';
    put_text(w, (slice){ at, (size_t)(digits + sizeof digits - at) });
}

static void put_year(writer *w, int64_t year, uint32_t count)
{
    if (count == 2) {
        put_number(w, floor_rest(year, 100), 2);
        return;
    }
    if (count >= 4 && year > 9999 && count < 5) put_text(w, SLICE("+"));
    put_number(w, year, count == 1 ? 1 : count);
}

/* +hh, +hhmm, +hh:mm as the count says; with_z: Z where the offset is none. */
static void put_offset(writer *w, int64_t offset_ms, uint32_t count, bool with_z)
{
    uint32_t minutes = (uint32_t)((offset_ms < 0 ? -offset_ms : offset_ms) / MS_PER_MINUTE);

    if (with_z && offset_ms == 0) {
        put_text(w, SLICE("Z"));
        return;
    }
    put_text(w, offset_ms < 0 ? SLICE("-") : SLICE("+"));
    put_number(w, minutes / 60, 2);
    if (count == 1 && minutes % 60 == 0) return;
    if (count == 3 || count == 5) put_text(w, SLICE(":"));
    put_number(w, minutes % 60, 2);
}

static void put_gmt(writer *w, int64_t offset_ms, bool is_long)
{
    uint32_t minutes = (uint32_t)((offset_ms < 0 ? -offset_ms : offset_ms) / MS_PER_MINUTE);

    put_text(w, SLICE("GMT"));
    if (offset_ms == 0) return;
    put_text(w, offset_ms < 0 ? SLICE("-") : SLICE("+"));
    put_number(w, minutes / 60, is_long ? 2 : 1);
    if (!is_long && minutes % 60 == 0) return;
    put_text(w, SLICE(":"));
    put_number(w, minutes % 60, 2);
}

static slice name_of(const char *name, uint32_t count)
{
    slice s = slice_of(name);

    if (count < 4 && s.len > 3) s.len = 3;
    if (count == 5) s.len = 1;
    return s;
}

/* Weeks as the United States count them: from Sunday on, and the one with January 1 is the first. */
static int64_t sunday_before(int64_t days)
{
    return days - floor_rest(days + 4, 7);
}

static void put_of_week(writer *w, const element *e, const moment *m)
{
    int64_t sunday = sunday_before(m->days);
    int32_t year = date_of(sunday + 6).year;

    switch (e->letter) {
    case 'Y': put_year(w, year, e->count); break;
    case 'w': put_number(w, (sunday - sunday_before(days_of((civil_date){ year, 1, 1 }))) / 7 + 1, e->count); break;
    case 'W': put_number(w, (sunday - sunday_before(m->days - m->date.day + 1)) / 7 + 1, e->count); break;
    default: put_number(w, m->days - sunday + 1, e->count); break;
    }
}

static void put_element(writer *w, const element *e, const moment *m)
{
    int32_t hour = m->ms_of_day / MS_PER_HOUR;
    uint32_t ms = (uint32_t)(m->ms_of_day % MS_PER_SECOND);

    switch (e->letter) {
    case 0: put_text(w, e->literal); break;
    case 'G': put_text(w, e->count == 4 ? (m->date.year > 0 ? SLICE("Anno Domini") : SLICE("Before Christ"))
                          : e->count == 5 ? (m->date.year > 0 ? SLICE("A") : SLICE("B"))
                                          : (m->date.year > 0 ? SLICE("AD") : SLICE("BC"))); break;
    case 'y': put_year(w, m->date.year > 0 ? m->date.year : 1 - m->date.year, e->count); break;
    case 'u': put_year(w, m->date.year, e->count); break;
    case 'M':
    case 'L':
        if (e->count <= 2) put_number(w, m->date.month, e->count);
        else put_text(w, name_of(MONTHS[m->date.month - 1], e->count));
        break;
    case 'Q':
    case 'q': {
        uint32_t quarter = (m->date.month + 2) / 3;
        static const char *const ordinals[] = { "1st quarter", "2nd quarter", "3rd quarter", "4th quarter" };
        if (e->count == 3) put_text(w, SLICE("Q"));
        if (e->count == 4) put_text(w, slice_of(ordinals[quarter - 1]));
        else put_number(w, quarter, e->count == 2 ? 2 : 1);
        break;
    }
    case 'd': put_number(w, m->date.day, e->count); break;
    case 'D': put_number(w, m->days - days_of((civil_date){ m->date.year, 1, 1 }) + 1, e->count); break;
    case 'Y':
    case 'w':
    case 'W': put_of_week(w, e, m); break;
    case 'e':
    case 'c':
        if (e->count <= 2) {
            put_of_week(w, e, m);
            break;
        } /* fall through */
    case 'E': put_text(w, name_of(DAYS[floor_rest(m->days + 3, 7)], e->count)); break;
    case 'a': put_text(w, hour < 12 ? SLICE("AM") : SLICE("PM")); break;
    case 'H': put_number(w, hour, e->count); break;
    case 'k': put_number(w, hour == 0 ? 24 : hour, e->count); break;
    case 'K': put_number(w, hour % 12, e->count); break;
    case 'h': put_number(w, hour % 12 == 0 ? 12 : hour % 12, e->count); break;
    case 'm': put_number(w, m->ms_of_day / MS_PER_MINUTE % 60, e->count); break;
    case 's': put_number(w, m->ms_of_day / MS_PER_SECOND % 60, e->count); break;
    case 'S': {
        char fraction[9] = { (char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10), '0', '0', '0', '0',
                             '0', '0' };
        put_text(w, (slice){ fraction, e->count });
        break;
    }
    case 'n': put_number(w, (int64_t)ms * 1000000, e->count); break;
    case 'N': put_number(w, (int64_t)m->ms_of_day * 1000000, e->count); break;
    case 'A': put_number(w, m->ms_of_day, e->count); break;
    case 'X': put_offset(w, m->offset_ms, e->count, true); break;
    case 'x': put_offset(w, m->offset_ms, e->count, false); break;
    case 'Z':
        if (e->count == 4) put_gmt(w, m->offset_ms, true);
        else put_offset(w, m->offset_ms, e->count == 5 ? 3 : 2, e->count == 5);
        break;
    case 'O': put_gmt(w, m->offset_ms, e->count == 4); break;
    case 'V': put_text(w, zone_id(m->zone)); break;
    case 'z': w->len += zone_name(m->zone, m->utc_ms, e->count == 4, make_room(w, 128), 128); break;
    default: break; /* brackets: what is optional is always there to be written */
    }
}

static slice format_fixed(const time_pattern *p, arena *a, const moment *m)
{
    char *out = arena_alloc(a, p->fixed_bytes), *at = out;
    uint32_t ms = (uint32_t)m->ms_of_day;

    for (uint32_t i = 0; i < p->count; i++) {
        const element *e = &p->elements[i];
        uint32_t number = 0, width = e->count;
        switch (e->letter) {
        case 0: at = mempcpy(at, e->literal.data, e->literal.len); continue;
        case 'y': number = (uint32_t)m->date.year; break;
        case 'M': number = m->date.month; break;
        case 'd': number = m->date.day; break;
        case 'H': number = ms / MS_PER_HOUR; break;
        case 'm': number = ms / MS_PER_MINUTE % 60; break;
        case 's': number = ms / MS_PER_SECOND % 60; break;
        default: /* S: what is finer than milliseconds is 0 */
            number = ms % MS_PER_SECOND;
            if (width < 3) number /= width == 2 ? 10 : 100;
            else if (width > 3) memset(at + 3, '0', width - 3);
            if (width > 3) width = 3;
        }
        for (uint32_t k = width; k-- > 0; number /= 10) at[k] = (char)('0' + number % 10);
        at += e->count;
    }
    return (slice){ out, p->fixed_bytes };
}

slice time_pattern_format(const time_pattern *p, arena *a, int64_t utc_ms, zone *z)
{
    moment m = { .utc_ms = utc_ms, .offset_ms = zone_offset_ms(z, utc_ms), .zone = z };
    int64_t local = utc_ms + m.offset_ms;
    writer w = { .arena = a, .room = 48, .data = arena_alloc(a, 48) };

    m.days = floor_divide(local, MS_PER_DAY);
    m.date = date_of(m.days);
    m.ms_of_day = (int32_t)floor_rest(local, MS_PER_DAY);
    if (p->fixed_bytes > 0 && m.date.year >= 0 && m.date.year <= 9999) return format_fixed(p, a, &m);
    for (uint32_t i = 0; i < p->count; i++) put_element(&w, &p->elements[i], &m);
    return (slice){ w.data, w.len };
}

/* ---- parsing ---- */

typedef enum field {
    FIELD_YEAR,
    FIELD_ERA, /* 0: before Christ */
    FIELD_QUARTER,
    FIELD_MONTH,
    FIELD_DAY,
    FIELD_DAY_OF_YEAR,
    FIELD_HALF, /* 1: PM */
    FIELD_HOUR,
    FIELD_HOUR_OF_HALF,
    FIELD_MINUTE,
    FIELD_SECOND,
    FIELD_NANO,
    FIELD_MS_OF_DAY,
    FIELD_OFFSET,
    FIELD_WEEKDAY,
    FIELDS
} field;

typedef struct reading {
    const char *at, *end;
    int64_t fields[FIELDS];
    uint32_t has; /* bits of fields */
    bool is_lenient;
    slice zone;
} reading;

#define LENIENT_MOST 999999

static bool set_field(reading *r, field f, int64_t v, int64_t least, int64_t most)
{
    if (r->is_lenient && f != FIELD_ERA && f != FIELD_HALF && f != FIELD_OFFSET) least = -LENIENT_MOST, most = LENIENT_MOST;
    if (v < least || v > most || ((r->has >> f & 1) && r->fields[f] != v)) return false;
    r->fields[f] = v;
    r->has |= 1u << f;
    return true;
}

/* Digits: exactly the fixed width, or at least `least`, leaving what is reserved. */
static bool read_number(reading *r, const element *e, uint32_t least, uint32_t most, int64_t *number)
{
    uint32_t run = 0, fixed = fixed_width(e), taken;

    while (r->at + run < r->end && r->at[run] >= '0' && r->at[run] <= '9') run++;
    if (r->is_lenient) {
        taken = e->reserve > 0 && run > e->count ? e->count : run < 9 ? run : 9;
        if (taken == 0) return false;
    } else if (fixed > 0) {
        if (run < fixed) return false;
        taken = fixed;
    } else {
        taken = run > e->reserve ? run - e->reserve : 0;
        if (taken > most) taken = most;
        if (taken < least || taken == 0) return false;
    }
    *number = 0;
    for (uint32_t i = 0; i < taken; i++) *number = *number * 10 + (*r->at++ - '0');
    return true;
}

static bool read_year(reading *r, const element *e)
{
    int64_t year;
    bool has_sign = r->at < r->end && (*r->at == '+' || *r->at == '-');
    bool is_negative = has_sign && *r->at == '-';
    const char *from;

    if (e->count == 2) {
        from = r->at;
        if (!read_number(r, e, 2, 2, &year)) return false;
        return set_field(r, FIELD_YEAR, r->at - from == 2 ? 2000 + year : year, 2000, 2099);
    }
    r->at += has_sign;
    from = r->at;
    if (!read_number(r, e, e->count, 9, &year)) return false;
    if (e->count >= 4 && r->at - from > e->count && !has_sign && !r->is_lenient) return false; /* more digits than letters need a + */
    return set_field(r, FIELD_YEAR, is_negative ? -year : year, -999999, 999999);
}

static bool read_name(reading *r, const char *const *names, uint32_t count, uint32_t letters, int64_t *index)
{
    for (uint32_t i = 0; i < count; i++) {
        slice name = name_of(names[i], letters);
        if ((size_t)(r->end - r->at) < name.len || strncasecmp(r->at, name.data, name.len) != 0) continue;
        r->at += name.len;
        *index = i;
        return true;
    }
    return false;
}

static bool read_literal(reading *r, slice literal)
{
    if ((size_t)(r->end - r->at) < literal.len || strncasecmp(r->at, literal.data, literal.len) != 0) return false;
    r->at += literal.len;
    return true;
}

static bool read_zone(reading *r, bool by_name)
{
    const char *from = r->at;
    int64_t offset_ms;
    size_t offset_len = read_offset((slice){ r->at, (size_t)(r->end - r->at) }, &offset_ms);

    if (offset_len > 0 && (offset_len > 1 || r->at + 1 == r->end || !isalpha((unsigned char)r->at[1]))) {
        r->at += offset_len;
        return set_field(r, FIELD_OFFSET, offset_ms, -MS_PER_DAY, MS_PER_DAY);
    }
    while (r->at < r->end && (isalnum((unsigned char)*r->at) || strchr("/_+-:", *r->at) != NULL)) r->at++;
    for (; r->at > from; r->at--) { /* the longest that is a zone */
        r->zone = (slice){ from, (size_t)(r->at - from) };
        if (by_name) r->zone = zone_abbreviated(r->zone);
        if (zone_find(r->zone) != NULL) return true;
    }
    return false;
}

static bool read_fraction(reading *r, const element *e)
{
    int64_t digits, unit = 1;

    if (r->is_lenient) return read_number(r, e, 1, 9, &digits) && set_field(r, FIELD_NANO, digits, 0, 0); /* milliseconds */
    for (int i = e->count; i < 9; i++) unit *= 10;
    return read_number(r, e, e->count, e->count, &digits) && set_field(r, FIELD_NANO, digits * unit, 0, 999999999);
}

static bool read_element(reading *r, const element *e)
{
    static const char *const halves[] = { "AM", "PM" }, *const eras[] = { "BC", "AD" };
    int64_t n, offset_ms;
    size_t length;

    switch (e->letter) {
    case 0: return read_literal(r, e->literal);
    case 'G': return read_name(r, eras, 2, 4, &n) && set_field(r, FIELD_ERA, n, 0, 1);
    case 'y':
    case 'u': return read_year(r, e);
    case 'M':
    case 'L':
        if (e->count <= 2) return read_number(r, e, 1, 19, &n) && set_field(r, FIELD_MONTH, n, 1, 12);
        return read_name(r, MONTHS, 12, e->count, &n) && set_field(r, FIELD_MONTH, n + 1, 1, 12);
    case 'Q':
    case 'q':
        if (e->count == 3 && !read_literal(r, SLICE("Q"))) return false;
        return e->count < 4 && read_number(r, &(element){ .letter = 'd', .count = e->count == 2 ? 2 : 1 }, 1, 2, &n) &&
               set_field(r, FIELD_QUARTER, n, 1, 4);
    case 'd': return read_number(r, e, 1, 19, &n) && set_field(r, FIELD_DAY, n, 1, 31);
    case 'D': return read_number(r, e, e->count, 3, &n) && set_field(r, FIELD_DAY_OF_YEAR, n, 1, 366);
    case 'E': return read_name(r, DAYS, 7, e->count, &n) && set_field(r, FIELD_WEEKDAY, n, 0, 6);
    case 'a': return read_name(r, halves, 2, 4, &n) && set_field(r, FIELD_HALF, n, 0, 1);
    case 'H': return read_number(r, e, 1, 19, &n) && set_field(r, FIELD_HOUR, n, 0, 24);
    case 'k': return read_number(r, e, 1, 19, &n) && set_field(r, FIELD_HOUR, n == 24 ? 0 : n, 0, 23);
    case 'K': return read_number(r, e, 1, 19, &n) && set_field(r, FIELD_HOUR_OF_HALF, n, 0, 11);
    case 'h':
        return read_number(r, e, 1, 19, &n) && n >= 1 && set_field(r, FIELD_HOUR_OF_HALF, n == 12 ? 0 : n, 0, 11);
    case 'm': return read_number(r, e, 1, 19, &n) && set_field(r, FIELD_MINUTE, n, 0, 59);
    case 's': return read_number(r, e, 1, 19, &n) && set_field(r, FIELD_SECOND, n, 0, 59);
    case 'S': return read_fraction(r, e);
    case 'n': return read_number(r, e, 1, 9, &n) && set_field(r, FIELD_NANO, n, 0, 999999999);
    case 'Y':
    case 'w':
    case 'W':
    case 'e':
    case 'c':
    case 'N': return false; /* for writing only */
    case 'A': return read_number(r, e, 1, 9, &n) && set_field(r, FIELD_MS_OF_DAY, n, 0, MS_PER_DAY - 1);
    case 'O':
        if (!read_literal(r, SLICE("GMT"))) return false;
        if (r->at == r->end || (*r->at != '+' && *r->at != '-')) return set_field(r, FIELD_OFFSET, 0, 0, 0);
        return read_zone(r, false);
    case 'V':
    case 'z': return read_zone(r, e->letter == 'z');
    case 'X':
    case 'x':
    case 'Z':
        if (e->letter == 'Z' && e->count == 4 && !read_literal(r, SLICE("GMT"))) return false;
        length = read_offset((slice){ r->at, (size_t)(r->end - r->at) }, &offset_ms);
        if (length == 0 || (length == 1 && (e->letter == 'x' || (e->letter == 'Z' && e->count < 5)))) return false;
        r->at += length;
        return set_field(r, FIELD_OFFSET, offset_ms, -MS_PER_DAY, MS_PER_DAY);
    default: return true;
    }
}

/* Elements from .. to; an optional section that does not fit is passed over. */
static bool read_elements(const time_pattern *p, uint32_t from, uint32_t to, reading *r)
{
    for (uint32_t i = from; i < to; i++) {
        const element *e = &p->elements[i];
        if (e->letter == '[') {
            reading before = *r;
            if (!read_elements(p, i + 1, e->end, r)) *r = before;
            i = e->end;
        } else if (!read_element(r, e)) {
            return false;
        }
    }
    return true;
}

static int64_t field_or(const reading *r, field f, int64_t otherwise)
{
    return r->has >> f & 1 ? r->fields[f] : otherwise;
}

/* Every field is added to the one above it. */
static void resolve_leniently(const reading *r, int64_t *days, int64_t *ms_of_day)
{
    int64_t year = field_or(r, FIELD_YEAR, 1970), month = field_or(r, FIELD_MONTH, 1) - 1;

    if (field_or(r, FIELD_ERA, 1) == 0) year = 1 - year;
    if (r->has >> FIELD_DAY_OF_YEAR & 1) month = 0;
    year += floor_divide(month, 12);
    *days = days_of((civil_date){ (int32_t)year, (uint32_t)floor_rest(month, 12) + 1, 1 }) +
            field_or(r, FIELD_DAY_OF_YEAR, field_or(r, FIELD_DAY, 1)) - 1;
    int64_t hour = field_or(r, FIELD_HOUR, field_or(r, FIELD_HOUR_OF_HALF, 0) + 12 * field_or(r, FIELD_HALF, 0));
    *ms_of_day = hour * MS_PER_HOUR + field_or(r, FIELD_MINUTE, 0) * MS_PER_MINUTE +
                 field_or(r, FIELD_SECOND, 0) * MS_PER_SECOND + field_or(r, FIELD_NANO, 0);
}

/* What was read as days and milliseconds; a day beyond its month's end is that end. False: the fields disagree. */
static bool resolve_fields(const reading *r, int64_t *days, int64_t *ms_of_day)
{
    int64_t year = field_or(r, FIELD_YEAR, 1970), month, day, hour;

    if (r->is_lenient) {
        resolve_leniently(r, days, ms_of_day);
        return true;
    }
    if (field_or(r, FIELD_ERA, 1) == 0) year = 1 - year;
    month = field_or(r, FIELD_MONTH, field_or(r, FIELD_QUARTER, 1) * 3 - 2);
    day = field_or(r, FIELD_DAY, 1);
    if (day > days_in_month(year, (uint32_t)month)) day = days_in_month(year, (uint32_t)month);
    *days = days_of((civil_date){ (int32_t)year, (uint32_t)month, (uint32_t)day });
    if (r->has >> FIELD_DAY_OF_YEAR & 1) {
        if (r->fields[FIELD_DAY_OF_YEAR] > 365 + is_leap_year(year)) return false;
        *days = days_of((civil_date){ (int32_t)year, 1, 1 }) + r->fields[FIELD_DAY_OF_YEAR] - 1;
    }
    if ((r->has >> FIELD_WEEKDAY & 1) && (r->has >> FIELD_DAY & 1) && floor_rest(*days + 3, 7) != r->fields[FIELD_WEEKDAY]) {
        return false;
    }
    hour = field_or(r, FIELD_HOUR, field_or(r, FIELD_HOUR_OF_HALF, 0) + 12 * field_or(r, FIELD_HALF, 0));
    *ms_of_day = hour * MS_PER_HOUR + field_or(r, FIELD_MINUTE, 0) * MS_PER_MINUTE +
                 field_or(r, FIELD_SECOND, 0) * MS_PER_SECOND + field_or(r, FIELD_NANO, 0) / 1000000;
    if (hour == 24 && *ms_of_day != MS_PER_DAY) return false;
    if (r->has >> FIELD_MS_OF_DAY & 1) *ms_of_day = r->fields[FIELD_MS_OF_DAY];
    return true;
}

/* The short way for such patterns. False: the long way decides. */
static bool parse_fixed(const time_pattern *p, const char *at, int64_t *local_ms)
{
    uint32_t year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0, ms = 0;

    for (uint32_t i = 0; i < p->count; i++) {
        const element *e = &p->elements[i];
        uint32_t number = 0, wrong = 0;
        if (e->letter == 0) {
            if (memcmp(at, e->literal.data, e->literal.len) != 0) return false;
            at += e->literal.len;
            continue;
        }
        for (uint32_t k = 0; k < e->count; k++) {
            uint32_t digit = (uint32_t)(unsigned char)*at++ - '0';
            wrong |= digit > 9;
            if (e->letter != 'S' || k < 3) number = number * 10 + digit;
        }
        if (wrong) return false;
        switch (e->letter) {
        case 'y': year = number; break;
        case 'M': month = number; break;
        case 'd': day = number; break;
        case 'H': hour = number; break;
        case 'm': minute = number; break;
        case 's': second = number; break;
        default: ms = e->count == 1 ? number * 100 : e->count == 2 ? number * 10 : number;
        }
    }
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 || minute > 59 || second > 59) {
        return false;
    }
    *local_ms = days_of((civil_date){ (int32_t)year, month, day }) * MS_PER_DAY + (int64_t)hour * MS_PER_HOUR +
                (int64_t)minute * MS_PER_MINUTE + (int64_t)second * MS_PER_SECOND + ms;
    return true;
}

bool time_pattern_parse(const time_pattern *p, slice from, bool is_lenient, zone *z, int64_t *utc_ms)
{
    int64_t local_ms;

    if (p->fixed_bytes > 0 && from.len == p->fixed_bytes && parse_fixed(p, from.data, &local_ms)) {
        *utc_ms = z != NULL ? zone_to_utc(z, local_ms) : local_ms;
        return true;
    }
    reading r = { .at = from.data, .end = from.data + from.len, .is_lenient = is_lenient };
    int64_t days, ms_of_day;
    char id[64];
    size_t id_len = z != NULL ? zone_id(z).len : 0;

    if (p->names_zone && z != NULL) memcpy(id, zone_id(z).data, id_len); /* looking for others may make this thread forget it */
    if (!read_elements(p, 0, p->count, &r) || (r.at != r.end && !is_lenient) || !resolve_fields(&r, &days, &ms_of_day)) return false;
    int64_t local = days * MS_PER_DAY + ms_of_day;
    if (z == NULL) *utc_ms = local;
    else if (r.has >> FIELD_OFFSET & 1) *utc_ms = local - r.fields[FIELD_OFFSET];
    else if (!p->names_zone) *utc_ms = zone_to_utc(z, local);
    else *utc_ms = zone_to_utc(zone_find(r.zone.len > 0 ? r.zone : (slice){ id, id_len }), local);
    return true;
}

/* ---- doubts ---- */

/* Which letters the pattern has outside of quotes. */
static void find_letters(slice pattern, bool *has)
{
    bool is_quoted = false;

    for (size_t i = 0; i < pattern.len; i++) {
        unsigned char c = (unsigned char)pattern.data[i];
        if (c == '\'') is_quoted = !is_quoted;
        else if (!is_quoted && c < 128) has[c] = true;
    }
}

slice time_pattern_doubt(arena *a, slice pattern)
{
    bool has[128] = { false };
    text out = TEXT_EMPTY;

    find_letters(pattern, has);
    bool has_hour = has['H'] || has['h'] || has['K'] || has['k'], has_day = has['y'] || has['u'] || has['Y'] || has['d'];
    const struct {
        bool is_doubtful;
        const char *says;
    } DOUBTS[] = {
        { has['Y'] && !has['w'] && !has['W'] && !has['e'] && !has['c'], "Y is the year that the week is counted to, and y that of the calendar" },
        { has['D'] && has['M'], "D is the day of the year, and d that of the month" },
        { has['m'] && has_day && !has_hour, "m is the minute, and M the month" },
        { has['h'] && !has['a'] && !has['B'], "h is an hour from 1 to 12, and H one from 0 to 23" },
    };
    for (size_t i = 0; i < sizeof DOUBTS / sizeof *DOUBTS; i++) {
        if (!DOUBTS[i].is_doubtful) continue;
        if (out.len == 0) text_printf(&out, "in the pattern '%.*s' ", SLICE_ARG(pattern));
        else text_add_c(&out, "; ");
        text_add_c(&out, DOUBTS[i].says);
    }
    if (out.len == 0) return NO_SLICE;
    return text_keep(&out, a);
}
