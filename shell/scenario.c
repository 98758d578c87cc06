/* shell/scenario.c - scenario files: lines into sections, expected rows into one canonical form, which actual rows are
 * brought into as well: comparing them is then comparing text. */
#include "shell/scenario.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "shell/json.h"

typedef struct reader {
    arena *a;
    const char *at, *end;
    uint32_t line; /* number of the line last taken */
    uint32_t error_line;
    slice error;
} reader;

static bool fail(reader *r, uint32_t line, const char *format, ...) __attribute__((format(printf, 3, 4)));

static bool fail(reader *r, uint32_t line, const char *format, ...)
{
    char message[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    r->error_line = line;
    r->error = arena_copy(r->a, slice_of(message));
    return false;
}

static slice trim(slice s)
{
    while (s.len > 0 && isspace((unsigned char)s.data[0])) s = (slice){ s.data + 1, s.len - 1 };
    while (s.len > 0 && isspace((unsigned char)s.data[s.len - 1])) s.len--;
    return s;
}

static bool next_line(reader *r, slice *out)
{
    const char *stop;

    if (r->at == r->end) return false;
    stop = memchr(r->at, '\n', (size_t)(r->end - r->at));
    if (stop == NULL) stop = r->end;
    *out = (slice){ r->at, (size_t)(stop - r->at) };
    if (out->len > 0 && out->data[out->len - 1] == '\r') out->len--;
    r->at = stop == r->end ? stop : stop + 1;
    r->line++;
    return true;
}

/* The line without its comment: a # at its front or behind white space, outside of double quotes. */
static slice without_comment(slice line)
{
    bool in_quotes = false;

    for (size_t i = 0; i < line.len; i++) {
        char c = line.data[i];
        if (in_quotes && c == '\\') i++;
        else if (c == '"') in_quotes = !in_quotes;
        else if (c == '#' && !in_quotes && (i == 0 || isspace((unsigned char)line.data[i - 1])))
            return trim((slice){ line.data, i });
    }
    return trim(line);
}

/* Takes a word off the front of the line. */
static slice take_word(slice *line)
{
    slice word;
    size_t n = 0;

    *line = trim(*line);
    while (n < line->len && !isspace((unsigned char)line->data[n])) n++;
    word = (slice){ line->data, n };
    *line = trim((slice){ line->data + n, line->len - n });
    return word;
}

/* The bytes of the JSON value at the front of the line, strings and brackets seen as such. */
static size_t json_length(slice line)
{
    int depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < line.len; i++) {
        char c = line.data[i];
        if (in_string) {
            if (c == '\\') i++;
            else if (c == '"') in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            depth--;
        } else {
            continue;
        }
        if (depth == 0 && !in_string) return i + 1;
    }
    return line.len;
}

/* Takes the key: -, a word, "text in quotes" or JSON. A quoted text is lent as what it stands for. */
static slice take_key(reader *r, slice *line)
{
    size_t length;
    slice key;

    *line = trim(*line);
    if (line->len == 0 || strchr("{[\"", line->data[0]) == NULL) {
        key = take_word(line);
        return slice_is(key, "-") ? NO_SLICE : key;
    }
    length = json_length(*line);
    key = (slice){ line->data, length };
    *line = trim((slice){ line->data + length, line->len - length });
    if (key.data[0] == '"') {
        text plain = TEXT_EMPTY;
        json_take_string(&plain, (slice){ key.data + 1, key.len - 1 });
        key = text_keep(&plain, r->a);
    }
    return key;
}

static bool is_json(slice s)
{
    return s.len > 0 && (s.data[0] == '{' || s.data[0] == '[');
}

/* A key as it stands in an expect section. */
static void add_key(text *out, slice key)
{
    bool is_plain = key.len > 0 && !slice_is(key, "-") && strchr("@#\"", key.data[0]) == NULL;

    for (size_t i = 0; i < key.len && is_plain; i++) is_plain = (unsigned char)key.data[i] > ' ';
    if (key.data == NULL) text_add_char(out, '-');
    else if (is_json(key)) json_add_compact(out, key);
    else if (is_plain) text_add(out, key);
    else json_add_string(out, key);
}

static void add_value(text *out, slice v)
{
    if (v.data == NULL) text_add_c(out, "null");
    else if (is_json(v)) json_add_compact(out, v);
    else text_add(out, trim(v));
}

static slice text_to_arena(arena *a, text *t)
{
    slice copy = arena_copy(a, text_slice(t));

    text_free(t);
    return copy;
}

slice scenario_row(arena *a, const weir_row_text *row, bool with_time)
{
    text out = TEXT_EMPTY;

    if (with_time) text_printf(&out, "@%" PRId64 "  ", row->timestamp_ms);
    add_key(&out, row->key);
    if (row->windowed != WINDOW_NONE) {
        text_printf(&out, "  [%" PRId64 ",%" PRId64 "%c", row->window_start_ms, row->window_end_ms,
                    row->windowed == WINDOW_SESSION ? ']' : ')');
    }
    text_add_c(&out, "  ");
    add_value(&out, row->value);
    return text_to_arena(a, &out);
}

/* [0,10000) or [0,5000] at the front with something behind it: a window. Adds it without its white space. */
static bool take_window(slice *line, text *out)
{
    size_t i = 0, from = out->len;

    if (line->len == 0 || line->data[0] != '[') return false;
    while (i < line->len && strchr(")]", line->data[i]) == NULL) {
        char c = line->data[i++];
        if (c == ' ') continue;
        if (!isdigit((unsigned char)c) && strchr("[,-", c) == NULL) goto none;
        text_add_char(out, c);
    }
    if (i + 1 >= line->len || !isspace((unsigned char)line->data[i + 1])) goto none;
    text_add_char(out, line->data[i]);
    *line = trim((slice){ line->data + i + 1, line->len - i - 1 });
    return true;
none:
    out->len = from;
    return false;
}

static slice canonical_row(reader *r, slice line)
{
    text out = TEXT_EMPTY;
    slice key;

    if (line.len > 0 && line.data[0] == '@') {
        text_add(&out, take_word(&line));
        text_add_c(&out, "  ");
    }
    key = take_key(r, &line);
    add_key(&out, key);
    text_add_c(&out, "  ");
    if (take_window(&line, &out)) text_add_c(&out, "  ");
    add_value(&out, line);
    return text_to_arena(r->a, &out);
}

/* Cells between |, each trimmed. */
slice scenario_cells(arena *a, slice line)
{
    text out = TEXT_EMPTY;
    size_t from = 0;

    for (size_t i = 0; i <= line.len; i++) {
        if (i < line.len && (line.data[i] != '|' || (i > 0 && line.data[i - 1] == '\\'))) continue;
        if (from > 0) text_add_c(&out, " | ");
        text_add(&out, trim((slice){ line.data + from, i - from }));
        from = i + 1;
    }
    return text_to_arena(a, &out);
}

static slice canonical_cells(reader *r, slice line)
{
    return scenario_cells(r->a, line);
}

/* Unquoted names are upper case, as in SQL. */
static slice source_name(reader *r, slice name)
{
    slice copy;

    if (name.len > 2 && (name.data[0] == '`' || name.data[0] == '"'))
        return (slice){ name.data + 1, name.len - 2 };
    copy = arena_copy(r->a, name);
    for (size_t i = 0; i < copy.len; i++) ((char *)copy.data)[i] = (char)toupper((unsigned char)copy.data[i]);
    return copy;
}

/* The lines up to a blank one, or up to the line given: its number of lines, and their text. */
static slice take_body(reader *r, const char *stop_at, bool *stopped)
{
    const char *from = r->at, *to = r->at;
    slice line;

    *stopped = false;
    while (r->at < r->end) {
        const char *before = r->at;
        next_line(r, &line);
        if (stop_at != NULL && slice_is(trim(line), stop_at)) {
            *stopped = true;
            to = before;
            break;
        }
        if (trim(line).len == 0) break;
        to = r->at;
    }
    return (slice){ from, (size_t)(to - from) };
}

typedef slice row_form(reader *r, slice line);

static bool take_rows(reader *r, section *s, row_form *canonical)
{
    uint32_t room = 0;
    slice line;

    while (next_line(r, &line)) {
        if (trim(line).len == 0) break;
        line = without_comment(line);
        if (line.len == 0) continue;
        if (s->count == room) {
            slice *more = ARENA_ARRAY(r->a, slice, room = room == 0 ? 16 : room * 2);
            if (s->count > 0) memcpy(more, s->rows, sizeof *more * s->count);
            s->rows = more;
        }
        s->rows[s->count++] = canonical(r, line);
    }
    return true;
}

static bool parse_whole(slice word, int64_t *out)
{
    char digits[32], *end;

    if (word.len == 0 || word.len >= sizeof digits) return false;
    memcpy(digits, word.data, word.len);
    digits[word.len] = '\0';
    *out = strtoll(digits, &end, 10);
    return *end == '\0';
}

static bool take_feed(reader *r, section *s)
{
    uint32_t room = 0;
    slice line;

    while (next_line(r, &line)) {
        record_line *record;
        slice time;
        if (trim(line).len == 0) break;
        line = without_comment(line);
        if (line.len == 0) continue;
        if (s->count == room) {
            record_line *more = ARENA_ARRAY(r->a, record_line, room = room == 0 ? 16 : room * 2);
            if (s->count > 0) memcpy(more, s->records, sizeof *more * s->count);
            s->records = more;
        }
        record = &s->records[s->count++];
        record->line = r->line;
        time = take_word(&line);
        if (time.data[0] != '@' || !parse_whole((slice){ time.data + 1, time.len - 1 }, &record->timestamp_ms))
            return fail(r, r->line, "a record is: @TIME KEY VALUE");
        record->key = take_key(r, &line);
        record->value = slice_is(line, "null") || line.len == 0 ? NO_SLICE : line;
    }
    return true;
}

static bool parse_place(slice word, sql_pos *at)
{
    const char *colon = memchr(word.data, ':', word.len);
    int64_t line, place;

    if (colon == NULL) return false;
    if (!parse_whole((slice){ word.data, (size_t)(colon - word.data) }, &line)) return false;
    if (!parse_whole((slice){ colon + 1, word.len - (size_t)(colon - word.data) - 1 }, &place)) return false;
    *at = (sql_pos){ (uint32_t)line, (uint32_t)place };
    return true;
}

static bool parse_error_line(section *s, slice rest)
{
    slice before = rest, word = take_word(&rest);

    for (int rc = WEIR_SYNTAX; rc <= WEIR_CANCELLED; rc++) {
        if (!slice_is(word, weir_rc_name((weir_rc)rc))) continue;
        s->error = (weir_rc)rc;
        before = rest;
        word = take_word(&rest);
        break;
    }
    if (word.len > 0 && parse_place(word, &s->at)) before = rest;
    s->message = before;
    return true;
}

static bool parse_duration(slice word, int64_t *ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } UNITS[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 } };
    size_t digits = 0;

    while (digits < word.len && isdigit((unsigned char)word.data[digits])) digits++;
    if (!parse_whole((slice){ word.data, digits }, ms)) return false;
    for (size_t i = 0; i < sizeof UNITS / sizeof UNITS[0]; i++) {
        if (slice_is((slice){ word.data + digits, word.len - digits }, UNITS[i].unit)) {
            *ms *= UNITS[i].ms;
            return true;
        }
    }
    return false;
}

static bool parse_counted(reader *r, section *s, slice rest)
{
    s->number = s->bad = -1;
    while (rest.len > 0) {
        slice what = take_word(&rest), number = take_word(&rest);
        int64_t *to = slice_is(what, "late") ? &s->number : slice_is(what, "bad") ? &s->bad : NULL;
        if (to == NULL || !parse_whole(number, to)) return fail(r, r->line, "counted takes: late N, bad N");
    }
    return true;
}

static bool parse_section(reader *r, slice line, section *s)
{
    slice word = take_word(&line);
    bool stopped;

    s->line = r->line;
    if (slice_is(word, "statement")) {
        slice outcome = take_word(&line);
        s->kind = slice_is(outcome, "error") ? SECTION_ERROR : SECTION_OK;
        if (s->kind == SECTION_OK && !slice_is(outcome, "ok"))
            return fail(r, r->line, "a statement is expected to be: ok, or error");
        if (s->kind == SECTION_ERROR) parse_error_line(s, line);
        s->sql = take_body(r, NULL, &stopped);
        return s->sql.len > 0 || fail(r, s->line, "the statement is missing");
    }
    if (slice_is(word, "query")) {
        s->kind = SECTION_QUERY;
        s->is_unordered = slice_is(line, "unordered");
        s->sql = take_body(r, "----", &stopped);
        if (!stopped) return fail(r, s->line, "a line ---- and the expected rows are missing");
        return take_rows(r, s, canonical_cells);
    }
    if (slice_is(word, "expect") || slice_is(word, "feed")) {
        slice name = take_word(&line);
        s->kind = slice_is(word, "feed") ? SECTION_FEED : SECTION_EXPECT;
        if (s->kind == SECTION_EXPECT && slice_is(name, "unordered")) {
            s->is_unordered = true;
            name = take_word(&line);
        }
        if (name.len == 0 || line.len > 0) return fail(r, r->line, "%.*s takes a stream or table", SLICE_ARG(word));
        s->source = source_name(r, name);
        return s->kind == SECTION_FEED ? take_feed(r, s) : take_rows(r, s, canonical_row);
    }
    if (slice_is(word, "set")) {
        s->kind = SECTION_SET;
        s->name = take_word(&line);
        s->value = line;
        return s->name.len > 0 || fail(r, r->line, "set takes a name and a value");
    }
    if (slice_is(word, "counted")) {
        s->kind = SECTION_COUNTED;
        return parse_counted(r, s, line);
    }
    if (slice_is(word, "advance")) {
        s->kind = SECTION_ADVANCE;
        return parse_duration(line, &s->number) || fail(r, r->line, "advance takes a duration: 500ms, 5s, 1h");
    }
    if (slice_is(word, "restart")) {
        s->kind = SECTION_RESTART;
        return true;
    }
    return fail(r, r->line, "'%.*s' begins no section", SLICE_ARG(word));
}

bool scenario_parse(arena *a, slice file, scenario *out, uint32_t *line, slice *message)
{
    reader r = { .a = a, .at = file.data, .end = file.data + file.len };
    uint32_t room = 0;
    slice next;

    *out = (scenario){ 0 };
    while (next_line(&r, &next)) {
        next = without_comment(next);
        if (next.len == 0) continue;
        if (out->count == room) {
            section *more = ARENA_ZEROS(a, section, room = room == 0 ? 16 : room * 2);
            if (out->count > 0) memcpy(more, out->sections, sizeof *more * out->count);
            out->sections = more;
        }
        if (!parse_section(&r, next, &out->sections[out->count])) {
            *line = r.error_line;
            *message = r.error;
            return false;
        }
        out->restarts |= out->sections[out->count++].kind == SECTION_RESTART;
    }
    return true;
}
