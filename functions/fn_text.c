/* functions/fn_text.c - text. Positions and lengths count characters (code points), from 1. */
#include "functions/family.h"
#include "core/utf8.h"

#include <pthread.h>
#include <unicode/ucasemap.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#define FAMILY "text"
#define TEXT_BYTES_MAX ((size_t)64 << 20) /* what a function may make of one row */

/* ---- case ---- */

static UCaseMap *case_map;
static pthread_once_t case_map_once = PTHREAD_ONCE_INIT;

static void open_case_map(void)
{
    UErrorCode status = U_ZERO_ERROR;

    case_map = ucasemap_open("", 0, &status);
}

typedef int32_t (*case_changer)(const UCaseMap *map, char *to, int32_t to_bytes, const char *from, int32_t from_bytes,
                                UErrorCode *status);

static bool change_case_unicode(eval_context *x, case_changer change, slice from, slice *out)
{
    pthread_once(&case_map_once, open_case_map);
    if (case_map == NULL || from.len > TEXT_BYTES_MAX) return false;
    int32_t room = (int32_t)(from.len * 3 + 8); /* the most that case mapping makes of one byte */
    char *to = arena_alloc(x->arena, (size_t)room);
    UErrorCode status = U_ZERO_ERROR;
    int32_t length = change(case_map, to, room, from.data, (int32_t)from.len, &status);
    if (U_FAILURE(status)) return false;
    *out = (slice){ to, (size_t)length };
    return true;
}

#define CASE_KERNEL(name, first, last, flip, change)                                                     \
    static void name(const call *c, eval_context *x, const column *args, row_set rows, column *out)      \
    {                                                                                                    \
        (void)c;                                                                                         \
        EACH_ROW(r, rows)                                                                                \
        {                                                                                                \
            slice from = args[0].str[r];                                                                 \
            if (is_ascii(from)) {                                                                        \
                char *to = arena_alloc(x->arena, from.len);                                              \
                for (size_t i = 0; i < from.len; i++) {                                                  \
                    unsigned char letter = (unsigned char)from.data[i];                                  \
                    to[i] = (char)(letter ^ ((letter >= first && letter <= last) ? flip : 0));           \
                }                                                                                        \
                out->str[r] = (slice){ to, from.len };                                                   \
            } else if (!change_case_unicode(x, change, from, &out->str[r])) {                            \
                out->null[r] = 1;                                                                        \
                eval_fail(x, r, "the text's case cannot be changed");                                    \
            }                                                                                            \
        }                                                                                                \
    }

CASE_KERNEL(ucase, 'a', 'z', 0x20, ucasemap_utf8ToUpper)
CASE_KERNEL(lcase, 'A', 'Z', 0x20, ucasemap_utf8ToLower)

/* The first letter of each word, words being divided by white space, in upper case, the others in lower case. */
static bool initcap(const call *c, eval_context *x, const value *args, value *out)
{
    slice from = args[0].str;
    char *to = arena_alloc(x->arena, from.len * 3 + 8);
    size_t length = 0;
    bool starts = true;
    int32_t at = 0;

    (void)c;
    while (at < (int32_t)from.len) {
        UChar32 letter;
        U8_NEXT_OR_FFFD(from.data, at, (int32_t)from.len, letter);
        bool is_space = letter <= ' ' || u_isWhitespace(letter);
        length += utf8_put(to + length, (uint32_t)(is_space ? letter : starts ? u_toupper(letter) : u_tolower(letter)));
        starts = is_space;
    }
    *out = (value){ .str = { to, length } };
    return true;
}

/* ---- measuring and cutting ---- */

static void len_text(const call *c, eval_context *x, const column *args, row_set rows, column *out)
{
    (void)c, (void)x;
    EACH_ROW(r, rows) out->i32[r] = (int32_t)utf8_count(args[0].str[r]);
}

static void len_bytes(const call *c, eval_context *x, const column *args, row_set rows, column *out)
{
    (void)c, (void)x;
    EACH_ROW(r, rows) out->i32[r] = (int32_t)args[0].str[r].len;
}

/* Position 1 is the first character, -1 the last, 0 the same as 1; what lies outside is empty. */
static slice cut(slice from, bool by_character, int32_t position, int64_t count)
{
    uint64_t total = by_character && !is_ascii(from) ? utf8_count(from) : from.len;
    uint64_t start = position > 0 ? (uint64_t)position - 1 : position == 0 ? 0 : (uint64_t)-(int64_t)position;

    if (position < 0) start = start > total ? 0 : total - start;
    if (start > total) start = total;
    uint64_t most = total - start;
    uint64_t taken = count < 0 ? 0 : (uint64_t)count < most ? (uint64_t)count : most;
    if (total == from.len) return (slice){ from.data + start, taken };
    const char *begin = utf8_at(from, start);
    slice rest = { begin, (size_t)(from.data + from.len - begin) };
    return (slice){ begin, (size_t)(utf8_at(rest, taken) - begin) };
}

#define SUBSTRING_KERNEL(name, by_character, count)                                                      \
    static void name(const call *c, eval_context *x, const column *args, row_set rows, column *out)      \
    {                                                                                                    \
        (void)c, (void)x;                                                                                \
        EACH_ROW(r, rows) out->str[r] = cut(args[0].str[r], by_character, args[1].i32[r], count);        \
    }

SUBSTRING_KERNEL(substring_from, true, INT64_MAX)
SUBSTRING_KERNEL(substring_of, true, args[2].i32[r])
SUBSTRING_KERNEL(substring_from_bytes, false, INT64_MAX)
SUBSTRING_KERNEL(substring_of_bytes, false, args[2].i32[r])

static void trim(const call *c, eval_context *x, const column *args, row_set rows, column *out)
{
    (void)c, (void)x;
    EACH_ROW(r, rows)
    {
        slice s = args[0].str[r];
        while (s.len > 0 && (unsigned char)s.data[0] <= ' ') s.data++, s.len--;
        while (s.len > 0 && (unsigned char)s.data[s.len - 1] <= ' ') s.len--;
        out->str[r] = s;
    }
}

/* ---- joining ---- */

/* All arguments from `first` on, nulls left out, `between` them. */
static bool join_args(const call *c, eval_context *x, const value *args, uint32_t first, slice between, value *out)
{
    size_t total = 0;

    for (uint32_t i = first; i < c->arg_count; i++) {
        if (!args[i].is_null) total += args[i].str.len + between.len;
    }
    char *to = arena_alloc(x->arena, total), *at = to;
    bool is_first = true;
    for (uint32_t i = first; i < c->arg_count; i++) {
        if (args[i].is_null) continue;
        if (!is_first) at = mempcpy(at, between.data, between.len);
        is_first = false;
        at = mempcpy(at, args[i].str.data, args[i].str.len);
    }
    *out = (value){ .str = { to, (size_t)(at - to) } };
    return true;
}

static bool concat(const call *c, eval_context *x, const value *args, value *out)
{
    return join_args(c, x, args, 0, (slice){ "", 0 }, out);
}

static bool concat_ws(const call *c, eval_context *x, const value *args, value *out)
{
    if (args[0].is_null) return true;
    return join_args(c, x, args, 1, args[0].str, out);
}

/* ---- replacing and splitting ---- */

static bool replace(const call *c, eval_context *x, const value *args, value *out)
{
    slice from = args[0].str, old = args[1].str, new = args[2].str;
    const char *at = from.data, *end = from.data + from.len, *hit;
    size_t hits = 0;

    (void)c;
    if (old.len == 0) hits = utf8_count(from) + 1; /* between all characters, and around them */
    else while ((hit = memmem(at, (size_t)(end - at), old.data, old.len)) != NULL) hits++, at = hit + old.len;
    if (hits == 0) {
        *out = args[0];
        return true;
    }
    if (new.len > 0 && hits > TEXT_BYTES_MAX / new.len) return FAIL_ROW(x, "REPLACE would make more than 64 MiB");
    char *to = arena_alloc(x->arena, from.len + hits * new.len), *write = to;
    at = from.data;
    if (old.len == 0) {
        while (at < end) {
            const char *next = utf8_next(at, end);
            write = mempcpy(write, new.data, new.len);
            write = mempcpy(write, at, (size_t)(next - at));
            at = next;
        }
        write = mempcpy(write, new.data, new.len);
    } else {
        while ((hit = memmem(at, (size_t)(end - at), old.data, old.len)) != NULL) {
            write = mempcpy(write, at, (size_t)(hit - at));
            write = mempcpy(write, new.data, new.len);
            at = hit + old.len;
        }
        write = mempcpy(write, at, (size_t)(end - at));
    }
    *out = (value){ .str = { to, (size_t)(write - to) } };
    return true;
}

static bool split_at(eval_context *x, slice from, slice delimiter, bool by_character, value *out)
{
    const char *at = from.data, *end = from.data + from.len, *hit;
    uint32_t count = 1;

    if (delimiter.len == 0) {
        count = by_character ? utf8_count(from) : (uint32_t)from.len;
        if (count == 0) count = 1;
    } else {
        while ((hit = memmem(at, (size_t)(end - at), delimiter.data, delimiter.len)) != NULL) {
            count++;
            at = hit + delimiter.len;
        }
    }
    value *items = ARENA_ZEROS(x->arena, value, count);
    at = from.data;
    for (uint32_t i = 0; i < count; i++) {
        const char *next = end;
        if (delimiter.len == 0) {
            if (at < end) next = by_character ? utf8_next(at, end) : at + 1;
        } else if (i + 1 < count) {
            next = memmem(at, (size_t)(end - at), delimiter.data, delimiter.len);
        }
        items[i].str = (slice){ at, (size_t)(next - at) };
        at = delimiter.len == 0 || i + 1 == count ? next : next + delimiter.len;
    }
    *out = (value){ .list = { items, count } };
    return true;
}

static bool split_text(const call *c, eval_context *x, const value *args, value *out)
{
    (void)c;
    return split_at(x, args[0].str, args[1].str, true, out);
}

static bool split_bytes(const call *c, eval_context *x, const value *args, value *out)
{
    (void)c;
    return split_at(x, args[0].str, args[1].str, false, out);
}

/* ---- padding ---- */

static bool pad(eval_context *x, const value *args, bool is_left, bool by_character, value *out)
{
    slice from = args[0].str, padding = args[2].str;
    int32_t wanted = args[1].i32;

    if (wanted < 0 || padding.len == 0) return true; /* null */
    uint32_t has = by_character ? utf8_count(from) : (uint32_t)from.len;
    if ((uint32_t)wanted <= has) {
        out->is_null = false;
        out->str = cut(from, by_character, 1, wanted);
        return true;
    }
    uint32_t missing = (uint32_t)wanted - has;
    uint32_t each = by_character ? utf8_count(padding) : (uint32_t)padding.len;
    if (each == 0) each = 1;
    size_t whole = missing / each;
    slice part = cut(padding, by_character, 1, missing % each);
    if (whole > TEXT_BYTES_MAX / padding.len) return FAIL_ROW(x, "padding to %d characters is more than 64 MiB", wanted);
    size_t length = from.len + whole * padding.len + part.len;
    char *to = arena_alloc(x->arena, length), *at = to;
    if (!is_left) at = mempcpy(at, from.data, from.len);
    for (size_t i = 0; i < whole; i++) at = mempcpy(at, padding.data, padding.len);
    at = mempcpy(at, part.data, part.len);
    if (is_left) mempcpy(at, from.data, from.len);
    *out = (value){ .str = { to, length } };
    return true;
}

#define PAD(name, is_left, by_character)                                                         \
    static bool name(const call *c, eval_context *x, const value *args, value *out)              \
    {                                                                                            \
        (void)c;                                                                                 \
        return pad(x, args, is_left, by_character, out);                                         \
    }
PAD(lpad_text, true, true)
PAD(rpad_text, false, true)
PAD(lpad_bytes, true, false)
PAD(rpad_bytes, false, false)

/* ---- finding ---- */

/* Where `find` begins for the occurrence-th time, at or after `position`; a negative position counts from the end and
 * searches towards the start. 0: nowhere. */
static bool instr(const call *c, eval_context *x, const value *args, value *out)
{
    slice in = args[0].str, find = args[1].str;
    int64_t position = c->arg_count > 2 ? args[2].i32 : 1;
    int64_t wanted = c->arg_count > 3 ? args[3].i32 : 1;
    int64_t total, place = 0;

    (void)x;
    *out = (value){ .i32 = 0 };
    if (args[0].is_null || args[1].is_null) return true;
    if ((c->arg_count > 2 && args[2].is_null) || (c->arg_count > 3 && args[3].is_null)) {
        out->is_null = true;
        return true;
    }
    total = utf8_count(in);
    if (position == 0 || wanted < 1 || position > total || -position > total) return true;
    const char *end = in.data + in.len;
    if (position > 0) {
        const char *at = utf8_at(in, (uint64_t)position - 1);
        place = position;
        for (; at <= end; at = utf8_next(at, end), place++) {
            if ((size_t)(end - at) < find.len) return true;
            if (memcmp(at, find.data, find.len) == 0 && --wanted == 0) {
                out->i32 = (int32_t)place;
                return true;
            }
            if (at == end) break;
        }
        return true;
    }
    /* Backwards: the match ends where the search stands, -1 being the very end. */
    place = total + position + 1 - utf8_count(find) + 1;
    for (; place >= 1; place--) {
        const char *at = utf8_at(in, (uint64_t)place - 1);
        if ((size_t)(end - at) >= find.len && memcmp(at, find.data, find.len) == 0 && --wanted == 0) {
            out->i32 = (int32_t)place;
            return true;
        }
    }
    return true;
}

/* ---- characters and codes ---- */

static bool put_character(eval_context *x, int64_t code, value *out)
{
    if (code < 0 || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return true; /* null: no such character */
    char *to = arena_alloc(x->arena, 4);
    *out = (value){ .str = { to, utf8_put(to, (uint32_t)code) } };
    return true;
}

static bool chr_code(const call *c, eval_context *x, const value *args, value *out)
{
    (void)c;
    return put_character(x, args[0].i32, out);
}

/* The character written as \u004b, or as a surrogate pair of two such. */
static bool chr_escape(const call *c, eval_context *x, const value *args, value *out)
{
    slice s = args[0].str;
    int64_t units[2] = { 0, 0 };

    (void)c;
    if ((s.len != 6 && s.len != 12)) return true;
    for (size_t u = 0; u < s.len / 6; u++) {
        if (s.data[6 * u] != '\\' || s.data[6 * u + 1] != 'u') return true;
        for (size_t i = 2; i < 6; i++) {
            char digit = s.data[6 * u + i];
            int n = digit >= '0' && digit <= '9' ? digit - '0' : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
                                                             : digit >= 'A' && digit <= 'F'   ? digit - 'A' + 10
                                                                                              : -1;
            if (n < 0) return true;
            units[u] = units[u] << 4 | n;
        }
    }
    if (s.len == 6) return put_character(x, units[0], out);
    if (units[0] < 0xD800 || units[0] > 0xDBFF || units[1] < 0xDC00 || units[1] > 0xDFFF) return true;
    return put_character(x, 0x10000 + ((units[0] - 0xD800) << 10 | (units[1] - 0xDC00)), out);
}

/* ---- masking ---- */

typedef struct masks {
    bool on[4]; /* upper, lower, digit, other */
    uint32_t with[4];
} masks;

static masks read_masks(const call *c, const value *args, uint32_t first)
{
    masks m = { { true, true, true, true }, { 'X', 'x', 'n', '-' } };

    if (c->arg_count <= first) return m;
    for (uint32_t i = 0; i < 4; i++) {
        const value *with = &args[first + i];
        m.on[i] = !with->is_null && with->str.len > 0;
        if (!m.on[i]) continue;
        int32_t at = 0;
        UChar32 letter;
        U8_NEXT_OR_FFFD(with->str.data, at, (int32_t)with->str.len, letter);
        m.with[i] = (uint32_t)letter;
    }
    return m;
}

/* Masks the characters [from, to) of the text. */
static bool mask_range(eval_context *x, slice text, const masks *m, int64_t from, int64_t to, value *out)
{
    char *write = arena_alloc(x->arena, text.len * 4 + 4);
    size_t length = 0;
    int32_t at = 0;

    for (int64_t i = 0; at < (int32_t)text.len; i++) {
        int32_t start = at;
        UChar32 letter;
        U8_NEXT_OR_FFFD(text.data, at, (int32_t)text.len, letter);
        int kind = u_isupper(letter) ? 0 : u_islower(letter) ? 1 : u_isdigit(letter) ? 2 : 3;
        if (i >= from && i < to && m->on[kind]) {
            length += utf8_put(write + length, m->with[kind]);
        } else {
            memcpy(write + length, text.data + start, (size_t)(at - start));
            length += (size_t)(at - start);
        }
    }
    *out = (value){ .str = { write, length } };
    return true;
}

static bool mask(const call *c, eval_context *x, const value *args, value *out)
{
    masks m = read_masks(c, args, 1);

    if (args[0].is_null) return true;
    return mask_range(x, args[0].str, &m, 0, INT64_MAX, out);
}

#define MASK_SIDE(body, from_, to_)                                                                 \
    static bool body(const call *c, eval_context *x, const value *args, value *out)                 \
    {                                                                                               \
        masks m = read_masks(c, args, 2);                                                           \
        if (args[0].is_null || args[1].is_null) return true;                                        \
        int64_t count = args[1].i32, total = utf8_count(args[0].str);                               \
        (void)total;                                                                                \
        if (count < 0) return FAIL_ROW(x, "%s needs a number of characters that is not negative", c->fn->name); \
        return mask_range(x, args[0].str, &m, from_, to_, out);                                     \
    }
MASK_SIDE(mask_left, 0, count)
MASK_SIDE(mask_right, total - count, INT64_MAX)
MASK_SIDE(mask_keep_left, count, INT64_MAX)
MASK_SIDE(mask_keep_right, 0, total - count)

#define MASK_ROWS(name, body, sentence, example_)                                                                \
    SCALAR(name, "STRING, INTEGER", "STRING", NULL_SEEN, body, sentence, .example = example_),                   \
        SCALAR(name, "STRING, INTEGER, STRING, STRING, STRING, STRING", "STRING", NULL_SEEN, body, sentence)

static const function ROWS[] = {
    KERNEL("UCASE", "STRING", "STRING", NULL_IN_OUT, ucase, "Text in upper case.", .example = "UCASE('weir')"),
    KERNEL("LCASE", "STRING", "STRING", NULL_IN_OUT, lcase, "Text in lower case.", .example = "LCASE('WEIR')"),
    SCALAR("INITCAP", "STRING", "STRING", NULL_IN_OUT, initcap,
           "The first letter of each word in upper case, the others in lower case.", .example = "INITCAP('the weir')"),
    KERNEL("LEN", "STRING", "INTEGER", NULL_IN_OUT, len_text, "Number of characters, or of bytes.",
           .example = "LEN('weir')"),
    KERNEL("LEN", "BYTES", "INTEGER", NULL_IN_OUT, len_bytes, "Number of characters, or of bytes."),
    KERNEL("SUBSTRING", "STRING, INTEGER", "STRING", NULL_IN_OUT, substring_from,
           "The part that begins at a position (1 the first, -1 the last), of a length if one is given.",
           .example = "SUBSTRING('stream', 3)"),
    KERNEL("SUBSTRING", "STRING, INTEGER, INTEGER", "STRING", NULL_IN_OUT, substring_of,
           "The part that begins at a position (1 the first, -1 the last), of a length if one is given.",
           .example = "SUBSTRING('stream', 1, 4)"),
    KERNEL("SUBSTRING", "BYTES, INTEGER", "BYTES", NULL_IN_OUT, substring_from_bytes,
           "The part that begins at a position (1 the first, -1 the last), of a length if one is given."),
    KERNEL("SUBSTRING", "BYTES, INTEGER, INTEGER", "BYTES", NULL_IN_OUT, substring_of_bytes,
           "The part that begins at a position (1 the first, -1 the last), of a length if one is given."),
    KERNEL("TRIM", "STRING", "STRING", NULL_IN_OUT, trim, "Text without the white space around it.",
           .example = "TRIM('  weir ')"),
    SCALAR("CONCAT", "STRING...", "STRING", NULL_SEEN, concat, "All arguments in a row; nulls are left out.",
           .example = "CONCAT('a', 'b', 'c')"),
    SCALAR("CONCAT", "BYTES...", "BYTES", NULL_SEEN, concat, "All arguments in a row; nulls are left out."),
    SCALAR("CONCAT_WS", "STRING, STRING...", "STRING", NULL_SEEN, concat_ws,
           "All arguments but the first in a row, with the first between them; nulls are left out.",
           .example = "CONCAT_WS(', ', 'a', 'b')"),
    SCALAR("CONCAT_WS", "BYTES, BYTES...", "BYTES", NULL_SEEN, concat_ws,
           "All arguments but the first in a row, with the first between them; nulls are left out."),
    SCALAR("REPLACE", "STRING, STRING, STRING", "STRING", NULL_IN_OUT, replace,
           "Text with every occurrence of one part replaced by another.", .example = "REPLACE('weir', 'e', 'a')"),
    SCALAR("SPLIT", "STRING, STRING", "ARRAY<STRING>", NULL_IN_OUT, split_text,
           "The parts between a delimiter; an empty delimiter divides all characters.", .example = "SPLIT('a,b', ',')"),
    SCALAR("SPLIT", "BYTES, BYTES", "ARRAY<BYTES>", NULL_IN_OUT, split_bytes,
           "The parts between a delimiter; an empty delimiter divides all characters."),
    SCALAR("LPAD", "STRING, INTEGER, STRING", "STRING", NULL_IN_OUT, lpad_text,
           "Text filled up at its start to a length, or cut to it.", .example = "LPAD('7', 3, '0')"),
    SCALAR("LPAD", "BYTES, INTEGER, BYTES", "BYTES", NULL_IN_OUT, lpad_bytes,
           "Text filled up at its start to a length, or cut to it."),
    SCALAR("RPAD", "STRING, INTEGER, STRING", "STRING", NULL_IN_OUT, rpad_text,
           "Text filled up at its end to a length, or cut to it.", .example = "RPAD('7', 3, '0')"),
    SCALAR("RPAD", "BYTES, INTEGER, BYTES", "BYTES", NULL_IN_OUT, rpad_bytes,
           "Text filled up at its end to a length, or cut to it."),
    SCALAR("INSTR", "STRING, STRING", "INTEGER", NULL_SEEN, instr,
           "Position of a part in a text, 0 if it is not there; from a position (a negative one searches from the end), "
           "of an occurrence.", .example = "INSTR('corporate', 'or')"),
    SCALAR("INSTR", "STRING, STRING, INTEGER", "INTEGER", NULL_SEEN, instr,
           "Position of a part in a text, 0 if it is not there; from a position (a negative one searches from the end), "
           "of an occurrence.",
           .example = "INSTR('corporate floor', 'or', -3)"),
    SCALAR("INSTR", "STRING, STRING, INTEGER, INTEGER", "INTEGER", NULL_SEEN, instr,
           "Position of a part in a text, 0 if it is not there; from a position (a negative one searches from the end), "
           "of an occurrence.",
           .example = "INSTR('corporate floor', 'or', 3, 2)"),
    SCALAR("CHR", "INTEGER", "STRING", NULL_IN_OUT, chr_code, "The character of a code point.", .example = "CHR(75)"),
    SCALAR("CHR", "STRING", "STRING", NULL_IN_OUT, chr_escape, "The character of a code point, or of an escape \\uXXXX.",
           .example = "CHR('\\u597d')"),
    SCALAR("MASK", "STRING", "STRING", NULL_SEEN, mask,
           "Text with its letters, digits and other characters masked: X, x, n and - unless others are given.",
           .example = "MASK('My Test $123')"),
    SCALAR("MASK", "STRING, STRING, STRING, STRING, STRING", "STRING", NULL_SEEN, mask,
           "Text with its letters, digits and other characters masked: X, x, n and - unless others are given.",
           .example = "MASK('My Test $123', '*', NULL, '1', NULL)"),
    MASK_ROWS("MASK_LEFT", mask_left, "As MASK, of the first characters only.", "MASK_LEFT('My Test $123', 4)"),
    MASK_ROWS("MASK_RIGHT", mask_right, "As MASK, of the last characters only.", "MASK_RIGHT('My Test $123', 4)"),
    MASK_ROWS("MASK_KEEP_LEFT", mask_keep_left, "As MASK, of all but the first characters.",
              "MASK_KEEP_LEFT('My Test $123', 4)"),
    MASK_ROWS("MASK_KEEP_RIGHT", mask_keep_right, "As MASK, of all but the last characters.",
              "MASK_KEEP_RIGHT('My Test $123', 4)"),
};
const function_family text_family = FAMILY_ROWS(ROWS);
