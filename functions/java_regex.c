/* functions/java_regex.c - see java_regex.h. A class of simple parts stays a class; a union with others becomes an
 * alternation, an intersection a chain of lookaheads, the complement of those a negative lookahead. */
#include "functions/java_regex.h"

typedef struct scanner {
    const char *at, *end;
    uint32_t depth;
} scanner;

#define DEPTH_MAX 50

static bool begins(const scanner *s, const char *with)
{
    size_t length = strlen(with);

    return (size_t)(s->end - s->at) >= length && memcmp(s->at, with, length) == 0;
}

/* The POSIX class of a property that Java means so: ASCII only. NULL: it is none. */
static const char *posix_class(slice name)
{
    static const char *const names[][2] = {
        { "Lower", "lower" }, { "Upper", "upper" }, { "Alpha", "alpha" }, { "Digit", "digit" }, { "Alnum", "alnum" },
        { "Punct", "punct" }, { "Graph", "graph" }, { "Print", "print" }, { "Blank", "blank" }, { "Cntrl", "cntrl" },
        { "XDigit", "xdigit" }, { "Space", "space" }, { "ASCII", "ascii" },
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (slice_is(name, names[i][0])) return names[i][1];
    }
    return NULL;
}

/* At a backslash: the escape it begins, as it stands within a class or outside. */
static void print_escape(scanner *s, text *out, bool in_class)
{
    const char *close = NULL;

    if (begins(s, "\\p{") || begins(s, "\\P{")) close = memchr(s->at, '}', (size_t)(s->end - s->at));
    if (close != NULL) {
        bool is_not = s->at[1] == 'P';
        slice name = { s->at + 3, (size_t)(close - s->at - 3) };
        const char *posix = posix_class(name);
        if (name.len > 2 && memcmp(name.data, "Is", 2) == 0) name = (slice){ name.data + 2, name.len - 2 };
        if (posix != NULL) text_printf(out, "%s[:%s%s:]%s", in_class ? "" : "[", is_not ? "^" : "", posix, in_class ? "" : "]");
        else text_printf(out, "\\%c{%.*s}", is_not ? 'P' : 'p', SLICE_ARG(name));
        s->at = close + 1;
        return;
    }
    text_add_char(out, *s->at++);
    if (s->at < s->end) text_add_char(out, *s->at++);
}

/* At \Q: the text up to \E, each special character escaped. */
static void print_quoted(scanner *s, text *out)
{
    for (s->at += 2; s->at < s->end && !begins(s, "\\E"); s->at++) {
        if (strchr("\\^$.|?*+()[]{}-&#", *s->at) != NULL && *s->at != '\0') text_add_char(out, '\\');
        text_add_char(out, *s->at);
    }
    if (s->at < s->end) s->at += 2;
}

static bool print_class(scanner *s, text *out);

/* One operand of &&: plain parts, gathered between brackets, and classes within. False: it does not close. */
static bool print_union(scanner *s, text *out, bool *is_plain)
{
    text plain = TEXT_EMPTY, others = TEXT_EMPTY;
    bool is_closed = false;

    while (s->at < s->end) {
        bool is_first = plain.len == 0 && others.len == 0;
        if (begins(s, "&&") || (*s->at == ']' && !is_first)) {
            is_closed = true;
            break;
        }
        if (*s->at == '[') {
            if (others.len > 0) text_add_char(&others, '|');
            if (!print_class(s, &others)) break;
        } else if (begins(s, "\\Q")) {
            print_quoted(s, &plain);
        } else if (*s->at == '\\') {
            print_escape(s, &plain, true);
        } else {
            if (plain.len == 0 && strchr(":.=", *s->at) != NULL) text_add_char(&plain, '\\'); /* no [:name:] */
            text_add_char(&plain, *s->at++);
        }
    }
    *is_plain = others.len == 0;
    if (*is_plain) {
        text_add(out, text_slice(&plain));
    } else if (plain.len == 0) {
        text_printf(out, "(?:%.*s)", (int)others.len, others.data);
    } else {
        text_printf(out, "(?:[%.*s]|%.*s)", (int)plain.len, plain.data, (int)others.len, others.data);
    }
    text_free(&plain);
    text_free(&others);
    return is_closed;
}

/* At [: the class, as something that matches one character. */
static bool print_class(scanner *s, text *out)
{
    text last = TEXT_EMPTY, before = TEXT_EMPTY;
    bool is_not, is_plain = false, is_closed = false;

    if (s->depth == DEPTH_MAX) return false;
    s->depth++;
    s->at++;
    is_not = begins(s, "^");
    s->at += is_not;
    while (print_union(s, &last, &is_plain)) {
        if (*s->at == ']') {
            is_closed = true;
            s->at++;
            break;
        }
        s->at += 2;
        if (last.len > 0) text_printf(&before, is_plain ? "(?=[%.*s])" : "(?=%.*s)", (int)last.len, last.data);
        text_clear(&last);
    }
    if (is_closed && is_plain && before.len == 0) {
        text_printf(out, "[%s%.*s]", is_not ? "^" : "", (int)last.len, last.data);
    } else if (is_closed) {
        const char *around = is_not ? "(?:(?!" : "(?:", *behind = is_not ? ")(?s:.))" : ")";
        text_printf(out, "%s%.*s%s%.*s%s%s", around, (int)before.len, before.len > 0 ? before.data : "", is_plain ? "[" : "",
                    (int)last.len, last.len > 0 ? last.data : "", is_plain ? "]" : "", behind);
    }
    s->depth--;
    text_free(&last);
    text_free(&before);
    return is_closed;
}

void java_regex_print(text *out, slice pattern)
{
    scanner s = { pattern.data, pattern.data + pattern.len, 0 };

    while (s.at < s.end) {
        const char *from = s.at;
        if (begins(&s, "\\Q")) {
            print_quoted(&s, out);
        } else if (*s.at == '\\') {
            print_escape(&s, out, false);
        } else if (*s.at == '[') {
            if (print_class(&s, out)) continue;
            text_add(out, (slice){ from, (size_t)(s.end - from) });
            return;
        } else {
            text_add_char(out, *s.at++);
        }
    }
}
