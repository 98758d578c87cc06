/* shell/shell.c - weir without a command: SQL typed at a terminal, or read from a pipe. The shell is the engine unless
 * another process is; then its statements go there. */
#include <ctype.h>
#include <histedit.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/version.h"
#include "shell/command.h"
#include "shell/interrupt.h"
#include "shell/report.h"
#include "shell/statements.h"

enum { HISTORY_LINES = 5000 };

typedef struct terminal {
    EditLine *editor;
    History *history;
    char history_file[4096]; /* empty: there is no home */
    bool in_statement;       /* the prompt says so */
    bool is_abandoned;       /* Ctrl-C while typing */
} terminal;

static const char HELP[] =
    "Statements end with ';' and may span lines. Some to begin with:\n"
    "  CREATE STREAM s (k VARCHAR KEY, v BIGINT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1);\n"
    "  INSERT INTO s (k, v) VALUES ('a', 1);\n"
    "  SELECT * FROM s;                      what is there now\n"
    "  SELECT * FROM s EMIT CHANGES;         that, and all that comes, until Ctrl-C\n"
    "  CREATE TABLE t AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;\n"
    "  SHOW STREAMS;  SHOW TABLES;  SHOW QUERIES;  SHOW TOPICS;  DESCRIBE s;  EXPLAIN ...;\n"
    "  DROP TABLE t;  TERMINATE query;  SET 'auto.offset.reset'='earliest';\n"
    "Also: help or \\? (this), exit or quit or \\q (or Ctrl-D).\n";

static const char *prompt(EditLine *editor)
{
    terminal *t;

    el_get(editor, EL_CLIENTDATA, &t);
    return t->in_statement ? "  ...> " : "weir> ";
}

/* Ctrl-C while typing: the line ends here, and what was typed is forgotten. */
static unsigned char abandon(EditLine *editor, int key)
{
    terminal *t;

    (void)key;
    el_get(editor, EL_CLIENTDATA, &t);
    t->is_abandoned = true;
    fputs("^C\n", stdout);
    return CC_NEWLINE;
}

static void terminal_open(terminal *t)
{
    const char *home = getenv("HOME");
    HistEvent event;

    memset(t, 0, sizeof *t);
    t->editor = el_init("weir", stdin, stdout, stderr);
    t->history = history_init();
    if (t->editor == NULL || t->history == NULL) {
        fputs("weir: no memory for the line editor\n", stderr);
        exit(EXIT_FAILED);
    }
    history(t->history, &event, H_SETSIZE, HISTORY_LINES);
    history(t->history, &event, H_SETUNIQUE, 1);
    if (home != NULL) {
        snprintf(t->history_file, sizeof t->history_file, "%s/.weir_history", home);
        history(t->history, &event, H_LOAD, t->history_file);
    }
    el_set(t->editor, EL_CLIENTDATA, t);
    el_set(t->editor, EL_PROMPT, prompt);
    el_set(t->editor, EL_EDITOR, "emacs");
    el_set(t->editor, EL_SIGNAL, 0);
    el_set(t->editor, EL_HIST, history, t->history);
    /* While a line is typed Ctrl-C is a key; while a statement runs it is a signal. */
    el_set(t->editor, EL_SETTY, "-d", "-isig", NULL);
    el_set(t->editor, EL_ADDFN, "abandon-statement", "Forget what was typed", abandon);
    el_set(t->editor, EL_BIND, "^C", "abandon-statement", NULL);
    el_set(t->editor, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(t->editor, NULL); /* ~/.editrc */
}

static void terminal_close(terminal *t)
{
    HistEvent event;

    if (t->history_file[0] != '\0') history(t->history, &event, H_SAVE, t->history_file);
    history_end(t->history);
    el_end(t->editor);
}

/* One entry a statement, on one line where that keeps its meaning. */
static void remember(terminal *t, slice statement)
{
    text entry = TEXT_EMPTY;
    HistEvent event;

    text_add(&entry, statement);
    while (entry.len > 0 && isspace((unsigned char)entry.data[entry.len - 1])) entry.data[--entry.len] = '\0';
    if (entry.len > 0) {
        if (strstr(entry.data, "--") == NULL)
            for (size_t i = 0; i < entry.len; i++)
                if (entry.data[i] == '\n') entry.data[i] = ' ';
        history(t->history, &event, H_ENTER, entry.data);
        if (t->history_file[0] != '\0') history(t->history, &event, H_SAVE, t->history_file);
    }
    text_free(&entry);
}

static slice trim(slice s)
{
    while (s.len > 0 && isspace((unsigned char)s.data[0])) s = (slice){ s.data + 1, s.len - 1 };
    while (s.len > 0 && (isspace((unsigned char)s.data[s.len - 1]) || s.data[s.len - 1] == ';')) s.len--;
    return s;
}

static bool is_exit(slice line)
{
    return slice_equal_nocase(line, SLICE("exit")) || slice_equal_nocase(line, SLICE("quit")) || slice_is(line, "\\q");
}

static bool is_help(slice line)
{
    return slice_equal_nocase(line, SLICE("help")) || slice_is(line, "\\?") || slice_is(line, "\\h") || slice_is(line, "?");
}

static void greet(const options *o, int64_t owner)
{
    slice where = o->engine.kafka_brokers.data != NULL ? o->engine.kafka_brokers
                : o->engine.data_dir.data != NULL      ? o->engine.data_dir
                                                       : SLICE("./weir-data");

    printf("weir %s, %s %.*s. \\? for help, Ctrl-D to leave.\n", weir_version(),
           o->engine.kafka_brokers.data != NULL ? "Kafka at" : "data in", SLICE_ARG(where));
    if (owner != 0) printf("Persistent queries run in process %lld; statements go there.\n", (long long)owner);
}

static void type_statements(weir_session *session, options *o, int64_t owner)
{
    statements s = { .session = session, .first_line = 1, .messages = stdout };
    text typed = TEXT_EMPTY;
    terminal t;
    bool goes_on = true;

    greet(o, owner);
    terminal_open(&t);
    while (goes_on) {
        int count = 0;
        const char *line;
        slice word;

        t.in_statement = typed.len > 0;
        fflush(stdout);
        line = el_gets(t.editor, &count);
        if (t.is_abandoned) {
            t.is_abandoned = false;
            text_clear(&typed);
            continue;
        }
        if (line == NULL || count <= 0) { /* Ctrl-D */
            putchar('\n');
            break;
        }
        word = trim((slice){ line, (size_t)count });
        if (typed.len == 0) {
            if (word.len == 0) continue;
            if (is_exit(word)) break;
            if (is_help(word)) {
                fputs(HELP, stdout);
                continue;
            }
        }
        text_add(&typed, (slice){ line, (size_t)count });
        if (!weir_is_complete(text_slice(&typed))) continue;
        remember(&t, text_slice(&typed));
        interrupt_clear();
        (void)!statements_run(&s, text_slice(&typed));
        if (interrupt_seen()) putchar('\n');
        clearerr(stdout);
        text_clear(&typed);
    }
    terminal_close(&t);
    text_free(&typed);
}

/* A pipe: statement by statement as they come; the first error ends it. */
static weir_rc read_statements(weir_session *session)
{
    statements s = { .session = session, .file = "stdin", .first_line = 1, .messages = stdout };
    text sql = TEXT_EMPTY;
    char *line = NULL;
    size_t line_room = 0;
    uint32_t lines = 0;
    ssize_t got;
    weir_rc rc = WEIR_OK;

    while (rc == WEIR_OK && (got = getline(&line, &line_room, stdin)) > 0) {
        slice word = trim((slice){ line, (size_t)got });
        lines++;
        if (sql.len == 0 && is_exit(word)) break;
        if (sql.len == 0 && word.len == 0) {
            s.first_line = lines + 1;
            continue;
        }
        text_add(&sql, (slice){ line, (size_t)got });
        if (memchr(line, ';', (size_t)got) == NULL || !weir_is_complete(text_slice(&sql))) continue;
        rc = statements_run(&s, text_slice(&sql));
        s.first_line = lines + 1;
        text_clear(&sql);
    }
    if (rc == WEIR_OK && sql.len > 0) rc = statements_run(&s, text_slice(&sql));
    free(line);
    text_free(&sql);
    return rc;
}

int cmd_shell(options *o, int argc, char **argv)
{
    weir *w;
    weir_session *session;
    weir_error err;
    int64_t owner = 0;
    weir_rc rc;
    int found;

    while ((found = options_next(o, argc, argv, NULL, false)) != -1)
        return found == OPTION_NEXT_HELP ? EXIT_OK : EXIT_USAGE;
    if (optind < argc) return usage_error(argv, "no operand is wanted, but there is '%s'", argv[optind]);
    if (!options_open(o, &w, &session)) return EXIT_FAILED;

    rc = weir_start(w, &owner, &err);
    if (rc != WEIR_OK) {
        report_error(NULL, NO_SLICE, 1, &err);
    } else if (isatty(STDIN_FILENO)) {
        interrupt_install(NULL, session, false);
        type_statements(session, o, owner);
    } else {
        interrupt_install(NULL, session, true);
        rc = read_statements(session);
    }
    interrupt_release();
    weir_session_close(session);
    weir_close(w);
    return rc == WEIR_OK || rc == WEIR_CANCELLED ? EXIT_OK : EXIT_FAILED;
}
