/* shell/editor.c - see editor.h. A statement is one buffer of the line editor, line feeds included, so that all of its lines
 * can be edited until it is sent, and come back as they were from the history. */
#include "shell/editor.h"

#include <ctype.h>
#include <errno.h>
#include <histedit.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <wchar.h>

#include "shell/interrupt.h"
#include "shell/table.h"

enum { HISTORY_STATEMENTS = 5000, LISTED_MAX = 120, CTRL_C = 3 };

struct editor {
    EditLine *line;
    History *history;
    door *door; /* asked for names */
    bool (*is_whole)(slice typed);
    char history_file[4096]; /* empty: there is no home */
    bool is_abandoned;       /* Ctrl-C while typing */
    int back;                /* how many statements back in the history */
};

static const char *prompt(EditLine *line)
{
    (void)line;
    return "weir> ";
}

static editor *editor_of(EditLine *line)
{
    editor *e;

    el_get(line, EL_CLIENTDATA, &e);
    return e;
}

static slice before_cursor(const LineInfo *at)
{
    return (slice){ at->buffer, (size_t)(at->cursor - at->buffer) };
}

static slice behind_cursor(const LineInfo *at)
{
    return (slice){ at->cursor, (size_t)(at->lastchar - at->cursor) };
}

static int characters(slice s)
{
    int count = 0;

    for (size_t i = 0; i < s.len; i++) count += ((unsigned char)s.data[i] & 0xC0) != 0x80;
    return count;
}

/* ---- keys ---- */

/* Ctrl-C while typing: the line ends here, and what was typed is forgotten. */
static unsigned char abandon(EditLine *line, int key)
{
    (void)key;
    editor_of(line)->is_abandoned = true;
    fputs("^C\n", stdout);
    return CC_NEWLINE;
}

/* What libedit's own commands do is reached through keys they are bound to: ^X and a letter. */
#define KEY_SEND "\030\r"
#define KEY_OLDER "\030p"
#define KEY_NEWER "\030n"

static unsigned char enter(EditLine *line, int key)
{
    const LineInfo *at = el_line(line);

    (void)key;
    if (editor_of(line)->is_whole((slice){ at->buffer, (size_t)(at->lastchar - at->buffer) })) {
        el_push(line, KEY_SEND);
        return CC_NORM;
    }
    return el_insertstr(line, "\n") == 0 ? CC_REFRESH : CC_ERROR;
}

/* A line up within the statement, from its first line to the statement before it. */
static unsigned char go_up(EditLine *line, int key)
{
    const LineInfo *at = el_line(line);
    slice before = before_cursor(at);
    const char *begin = memrchr(before.data, '\n', before.len), *above;
    int column, width;

    (void)key;
    if (begin == NULL) {
        editor *e = editor_of(line);
        HistEvent size;
        if (history(e->history, &size, H_GETSIZE) < 0 || e->back >= size.num) return CC_REFRESH_BEEP;
        e->back++;
        el_push(line, KEY_OLDER);
        return CC_NORM;
    }
    column = characters((slice){ begin + 1, (size_t)(at->cursor - begin - 1) });
    above = memrchr(before.data, '\n', (size_t)(begin - before.data));
    above = above == NULL ? before.data : above + 1;
    width = characters((slice){ above, (size_t)(begin - above) });
    el_cursor(line, -(column + 1 + (width > column ? width - column : 0)));
    return CC_CURSOR;
}

static unsigned char go_down(EditLine *line, int key)
{
    const LineInfo *at = el_line(line);
    slice before = before_cursor(at), behind = behind_cursor(at);
    const char *begin = memrchr(before.data, '\n', before.len), *end = memchr(behind.data, '\n', behind.len), *stop;
    int column, width;

    (void)key;
    if (end == NULL) {
        editor *e = editor_of(line);
        if (e->back == 0) return CC_REFRESH_BEEP; /* libedit would clear the line */
        e->back--;
        el_push(line, KEY_NEWER);
        return CC_NORM;
    }
    begin = begin == NULL ? before.data : begin + 1;
    column = characters((slice){ begin, (size_t)(at->cursor - begin) });
    stop = memchr(end + 1, '\n', (size_t)(at->lastchar - end - 1));
    if (stop == NULL) stop = at->lastchar;
    width = characters((slice){ end + 1, (size_t)(stop - end - 1) });
    el_cursor(line, characters((slice){ at->cursor, (size_t)(end - at->cursor) }) + 1 + (width < column ? width : column));
    return CC_CURSOR;
}

static unsigned char go_to_begin(EditLine *line, int key)
{
    slice before = before_cursor(el_line(line));
    const char *begin = memrchr(before.data, '\n', before.len);

    (void)key;
    begin = begin == NULL ? before.data : begin + 1;
    el_cursor(line, -characters((slice){ begin, (size_t)(before.data + before.len - begin) }));
    return CC_CURSOR;
}

static unsigned char go_to_end(EditLine *line, int key)
{
    slice behind = behind_cursor(el_line(line));
    const char *end = memchr(behind.data, '\n', behind.len);

    (void)key;
    el_cursor(line, characters((slice){ behind.data, end == NULL ? behind.len : (size_t)(end - behind.data) }));
    return CC_CURSOR;
}

/* ---- completion ---- */

static bool is_in_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || ((unsigned char)c & 0x80) != 0;
}

static slice last_word(slice s)
{
    size_t begin, end = s.len;

    while (end > 0 && !is_in_word(s.data[end - 1])) {
        if (!isspace((unsigned char)s.data[end - 1])) return NO_SLICE; /* a comma, a bracket: a new thing begins */
        end--;
    }
    begin = end;
    while (begin > 0 && is_in_word(s.data[begin - 1])) begin--;
    return (slice){ s.data + begin, end - begin };
}

static bool is_one_of(slice word, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (slice_equal_nocase(word, slice_of(*words))) return true;
    }
    return false;
}

/* What can stand at the cursor; before: the typed text up to the word that is being completed. */
static uint32_t kinds_after(slice before)
{
    static const char *const BEFORE_SOURCE[] = { "FROM", "JOIN", "INTO", "DESCRIBE", "STREAM", "TABLE", NULL };
    static const char *const BEFORE_QUERY[] = { "TERMINATE", "PAUSE", "RESUME", NULL };
    static const char *const BEFORE_ANY[] = { "EXPLAIN", "ANALYZE", NULL };
    slice word = last_word(before);

    if (before.len > 0 && before.data[before.len - 1] == '.') return WEIR_NAME_COLUMN;
    if (before.len > 0 && before.data[before.len - 1] == '\'') {
        word = last_word((slice){ before.data, before.len - 1 });
        return slice_equal_nocase(word, SLICE("SET")) || slice_equal_nocase(word, SLICE("UNSET")) ? WEIR_NAME_SETTING : 0;
    }
    if (is_one_of(word, BEFORE_SOURCE)) return WEIR_NAME_SOURCE;
    if (is_one_of(word, BEFORE_QUERY)) return WEIR_NAME_QUERY;
    if (is_one_of(word, BEFORE_ANY)) return WEIR_NAME_QUERY | WEIR_NAME_KEYWORD;
    return WEIR_NAME_KEYWORD | WEIR_NAME_SOURCE | WEIR_NAME_COLUMN | WEIR_NAME_FUNCTION;
}

static void list_names(const weir_name *names, uint32_t count, slice behind)
{
    uint32_t listed = count > LISTED_MAX ? LISTED_MAX : count, width = 0, a_line, terminal = terminal_width(stdout);

    for (uint32_t i = 0; i < listed; i++) width = names[i].name.len > width ? (uint32_t)names[i].name.len : width;
    a_line = terminal / (width + 2) == 0 ? 1 : terminal / (width + 2);
    for (size_t i = 0; i < behind.len; i++) {
        if (behind.data[i] == '\n') putchar('\n'); /* below the statement */
    }
    for (uint32_t i = 0; i < listed; i++) {
        fputs(i % a_line == 0 ? "\n" : "  ", stdout);
        printf("%.*s", SLICE_ARG(names[i].name));
        for (size_t k = names[i].name.len; k < width && i % a_line != a_line - 1; k++) putchar(' ');
    }
    if (count > listed) printf("\n... and %u more", count - listed);
    putchar('\n');
    fflush(stdout);
}

/* How far the names agree, case ignored. */
static size_t common_prefix(const weir_name *names, uint32_t count)
{
    size_t common = names[0].name.len;

    for (uint32_t i = 1; i < count; i++) {
        size_t k = 0;
        while (k < common && k < names[i].name.len &&
               tolower((unsigned char)names[i].name.data[k]) == tolower((unsigned char)names[0].name.data[k]))
            k++;
        common = k;
    }
    return common;
}

/* Puts the first `bytes` of the name in place of the prefix; in lower case where that was. */
static void put_name(EditLine *line, slice prefix, slice name, size_t bytes, const char *suffix)
{
    text put = TEXT_EMPTY;
    bool is_lower = prefix.len > 0 && memchr(name.data, '`', name.len) == NULL;

    for (size_t i = 0; i < prefix.len; i++) is_lower = is_lower && !isupper((unsigned char)prefix.data[i]);
    for (size_t i = 0; i < bytes; i++) text_add_char(&put, is_lower ? (char)tolower((unsigned char)name.data[i]) : name.data[i]);
    text_add_c(&put, suffix);
    if (prefix.len > 0) el_deletestr(line, characters(prefix));
    el_insertstr(line, put.data);
    text_free(&put);
}

static unsigned char complete_with(EditLine *line, const LineInfo *at, slice prefix, uint32_t kinds, arena *a)
{
    slice statement = { at->buffer, (size_t)(at->lastchar - at->buffer) };
    weir_name *names;
    uint32_t count;
    size_t common;

    door_names(editor_of(line)->door, kinds, prefix, statement, a, &names, &count);
    if (count == 0) return CC_REFRESH_BEEP;
    common = common_prefix(names, count);
    if (count == 1) {
        const char *suffix = names[0].kind == WEIR_NAME_FUNCTION ? "(" : names[0].kind == WEIR_NAME_SETTING ? "'" : " ";
        put_name(line, prefix, names[0].name, common, suffix);
        return CC_REFRESH;
    }
    if (common > prefix.len) {
        put_name(line, prefix, names[0].name, common, "");
        return CC_REFRESH;
    }
    list_names(names, count, behind_cursor(at));
    el_set(line, EL_REFRESH);
    return CC_NORM;
}

/* A tab is completion; where there is nothing to complete, or in pasted text, it is space. */
static unsigned char complete(EditLine *line, int key)
{
    const LineInfo *at = el_line(line);
    struct pollfd more = { .fd = STDIN_FILENO, .events = POLLIN };
    slice before = before_cursor(at), typed, prefix;
    size_t begin = before.len;
    uint32_t kinds;
    arena *a;
    unsigned char done;

    (void)key;
    while (begin > 0 && (is_in_word(before.data[begin - 1]))) begin--;
    /* 'auto.off: the name of a setting has dots */
    typed = (slice){ before.data, begin };
    if (begin > 0 && before.data[begin - 1] == '.') {
        size_t quote = begin;
        while (quote > 0 && (is_in_word(before.data[quote - 1]) || before.data[quote - 1] == '.')) quote--;
        if (quote > 0 && before.data[quote - 1] == '\'') typed.len = begin = quote;
    }
    prefix = (slice){ before.data + begin, before.len - begin };
    kinds = kinds_after(typed);
    if (poll(&more, 1, 0) == 1 || (prefix.len == 0 && (kinds & WEIR_NAME_FUNCTION)))
        return el_insertstr(line, "    ") == 0 ? CC_REFRESH : CC_ERROR;
    a = arena_new(0);
    done = complete_with(line, at, prefix, kinds, a);
    arena_free(a);
    return done;
}

/* ---- life ---- */

/* libedit's source of characters. A Ctrl-C which came as a signal, typed before the terminal was told to make a key of it, is
 * that key all the same. */
static int read_character(EditLine *line, wchar_t *into)
{
    mbstate_t state = { 0 };
    char byte;

    (void)line;
    for (;;) {
        ssize_t got = interrupt_read(STDIN_FILENO, &byte, 1);
        if (got < 0 && errno == EINTR && !interrupt_terminates()) {
            interrupt_clear();
            *into = CTRL_C;
            return 1;
        }
        if (got <= 0) return 0;
        size_t used = mbrtowc(into, &byte, 1, &state);
        if (used == (size_t)-2) continue;
        if (used == (size_t)-1) *into = (unsigned char)byte;
        return 1;
    }
}

static void bind_keys(EditLine *line)
{
    static const struct { const char *key, *command; } KEYS[] = {
        { "^X^M", "ed-newline" },      { "^Xp", "ed-prev-history" },      { "^Xn", "ed-next-history" },
        { "^M", "weir-enter" },        { "^J", "weir-enter" },            { "^I", "weir-complete" },
        { "^C", "weir-abandon" },      { "^R", "em-inc-search-prev" },    { "\\e[A", "weir-up" },
        { "\\eOA", "weir-up" },        { "\\e[B", "weir-down" },          { "\\eOB", "weir-down" },
        { "^P", "weir-up" },           { "^N", "weir-down" },
        { "^A", "weir-begin" },        { "\\e[H", "weir-begin" },       { "\\eOH", "weir-begin" },
        { "^E", "weir-end" },          { "\\e[F", "weir-end" },         { "\\eOF", "weir-end" },
        { "\\e[1~", "weir-begin" },    { "\\e[4~", "weir-end" },
    };

    el_set(line, EL_ADDFN, "weir-abandon", "Forget what was typed", abandon);
    el_set(line, EL_ADDFN, "weir-enter", "Send the statement, or begin another line of it", enter);
    el_set(line, EL_ADDFN, "weir-up", "A line up, or the statement before", go_up);
    el_set(line, EL_ADDFN, "weir-down", "A line down, or the statement after", go_down);
    el_set(line, EL_ADDFN, "weir-begin", "To where the line begins", go_to_begin);
    el_set(line, EL_ADDFN, "weir-end", "To where the line ends", go_to_end);
    el_set(line, EL_ADDFN, "weir-complete", "Complete the name", complete);
    for (size_t i = 0; i < sizeof KEYS / sizeof KEYS[0]; i++) el_set(line, EL_BIND, KEYS[i].key, KEYS[i].command, NULL);
}

editor *editor_open(door *d, bool (*is_whole)(slice typed))
{
    const char *home = getenv("HOME");
    editor *e = calloc(1, sizeof *e);
    HistEvent event;

    if (e == NULL) abort();
    e->door = d;
    e->is_whole = is_whole;
    e->line = el_init("weir", stdin, stdout, stderr);
    e->history = history_init();
    if (e->line == NULL || e->history == NULL) {
        fputs("weir: no memory for the line editor\n", stderr);
        exit(1);
    }
    history(e->history, &event, H_SETSIZE, HISTORY_STATEMENTS);
    history(e->history, &event, H_SETUNIQUE, 1);
    if (home != NULL) {
        snprintf(e->history_file, sizeof e->history_file, "%s/.weir_history", home);
        history(e->history, &event, H_LOAD, e->history_file);
    }
    el_set(e->line, EL_CLIENTDATA, e);
    el_set(e->line, EL_PROMPT, prompt);
    el_set(e->line, EL_EDITOR, "emacs");
    el_set(e->line, EL_SIGNAL, 0);
    el_set(e->line, EL_GETCFN, read_character);
    el_set(e->line, EL_HIST, history, e->history);
    /* While a statement is typed Ctrl-C is a key; while it runs it is a signal. */
    el_set(e->line, EL_SETTY, "-d", "-isig", NULL);
    bind_keys(e->line);
    el_source(e->line, NULL); /* ~/.editrc */
    return e;
}

void editor_close(editor *e)
{
    history_end(e->history);
    el_end(e->line);
    free(e);
}

editor_got editor_read(editor *e, slice *typed)
{
    int count = 0;
    const char *line;

    fflush(stdout);
    e->back = 0;
    el_set(e->line, EL_PREP_TERM, 1); /* before the prompt: what is typed right behind it is keys already */
    line = el_gets(e->line, &count);
    if (e->is_abandoned) {
        e->is_abandoned = false;
        return EDITOR_ABANDONED;
    }
    if (line == NULL || count <= 0) return EDITOR_END;
    *typed = (slice){ line, (size_t)count };
    return EDITOR_TYPED;
}

void editor_remember(editor *e, slice statement)
{
    text entry = TEXT_EMPTY;
    HistEvent event;

    while (statement.len > 0 && isspace((unsigned char)statement.data[statement.len - 1])) statement.len--;
    if (statement.len == 0) return;
    text_add(&entry, statement);
    history(e->history, &event, H_ENTER, entry.data);
    if (e->history_file[0] != '\0') history(e->history, &event, H_SAVE, e->history_file);
    text_free(&entry);
}
