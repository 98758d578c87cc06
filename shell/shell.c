/* shell/shell.c - weir without a command: SQL typed at a terminal, or read from a pipe. The shell is the engine unless
 * another process is; then its statements go there. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/version.h"
#include "shell/closing.h"
#include "shell/command.h"
#include "shell/editor.h"
#include "shell/interrupt.h"
#include "shell/report.h"
#include "shell/spool.h"
#include "shell/statements.h"

static const char HELP[] =
    "Statements end with ';' and may have several lines. Some to begin with:\n"
    "  CREATE STREAM s (k VARCHAR KEY, v BIGINT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1);\n"
    "  INSERT INTO s (k, v) VALUES ('a', 1);\n"
    "  SELECT * FROM s;                      what is there now\n"
    "  SELECT * FROM s EMIT CHANGES;         that, and all that comes, until Ctrl-C\n"
    "  CREATE TABLE t AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;\n"
    "  EXPLAIN ...;  EXPLAIN ANALYZE SELECT ...;  EXPLAIN ANALYZE query;\n"
    "  DROP TABLE t;  TERMINATE query;  SET 'auto.offset.reset'='earliest';\n"
    "  SPOOL 'file';  SPOOL OFF;             what is typed and answered, to a file as well\n"
    "In short:\n"
    "  \\d          streams and tables          \\d NAME     one of them\n"
    "  \\dq         queries and what they do    \\dt         topics\n"
    "  \\df         functions                   \\df NAME    one of them\n"
    "  \\ds         settings                    \\p TOPIC    the records of a topic, as they come\n"
    "  \\?          this                        \\q          leave (or exit, quit, Ctrl-D)\n"
    "Keys: Tab completes, up and down go through the statement and then the history, Ctrl-R searches it,\n"
    "Ctrl-C forgets what is typed or ends what runs.\n";

/* Backslash commands: each stands for a statement, with the word behind it where it takes one. */
static const struct {
    const char *typed, *statement, *with_name;
} SHORT[] = {
    { "\\d", "SHOW STREAMS; SHOW TABLES;", "DESCRIBE %.*s EXTENDED;" },
    { "\\dq", "SHOW QUERIES EXTENDED;", "EXPLAIN %.*s;" },
    { "\\dt", "SHOW TOPICS;", NULL },
    { "\\df", "SHOW FUNCTIONS;", "DESCRIBE FUNCTION %.*s;" },
    { "\\ds", "SHOW PROPERTIES;", NULL },
    { "\\p", NULL, "PRINT '%.*s' FROM BEGINNING;" },
};

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
    if (o->server.url.data != NULL) {
        printf("weir %s, server at ", weir_version());
        print_address(stdout, o->server.url);
        puts(". \\? for help, Ctrl-D to leave.");
        return;
    }

    slice where = o->engine.kafka_brokers.data != NULL ? o->engine.kafka_brokers
                : o->engine.data_dir.data != NULL      ? o->engine.data_dir
                                                       : SLICE("./weir-data");

    printf("weir %s, %s %.*s. \\? for help, Ctrl-D to leave.\n", weir_version(),
           o->engine.kafka_brokers.data != NULL ? "Kafka at" : "data in", SLICE_ARG(where));
    if (owner != 0) printf("Persistent queries run in process %lld; statements go there.\n", (long long)owner);
}

/* The statement a backslash command stands for, in `out`; false: there is no such command. */
static bool expand(slice typed, text *out)
{
    size_t end = 0;
    slice word, name;

    while (end < typed.len && !isspace((unsigned char)typed.data[end])) end++;
    word = (slice){ typed.data, end };
    name = trim((slice){ typed.data + end, typed.len - end });
    for (size_t i = 0; i < sizeof SHORT / sizeof SHORT[0]; i++) {
        const char *found;
        if (!slice_is(word, SHORT[i].typed)) continue;
        if (name.len == 0) {
            if (SHORT[i].statement != NULL) text_add_c(out, SHORT[i].statement);
        } else if (SHORT[i].with_name != NULL) {
            found = strstr(SHORT[i].with_name, "%.*s");
            text_add(out, (slice){ SHORT[i].with_name, (size_t)(found - SHORT[i].with_name) });
            text_add(out, name);
            text_add_c(out, found + 4);
        }
        break;
    }
    return out->len > 0;
}

static bool is_whole(slice typed)
{
    slice word = trim(typed);

    return word.len == 0 || word.data[0] == '\\' || word.data[0] == '.' || is_exit(word) || is_help(word) || weir_is_complete(typed);
}

/* False: to leave. */
static bool do_typed(editor *e, statements *s, spool *to, slice typed)
{
    slice word = trim(typed);
    text sql = TEXT_EMPTY;

    if (word.len == 0) return true;
    editor_remember(e, typed);
    if (is_exit(word)) return false;
    if (is_help(word)) {
        fputs(HELP, stdout);
        return true;
    }
    if (spool_command(to, word)) return true;
    if (word.data[0] != '\\') {
        text_add(&sql, typed);
    } else if (!expand(word, &sql)) {
        printf("There is no %.*s; \\? tells what there is.\n", SLICE_ARG(word));
        return true;
    }
    (void)!spool_run(to, s, text_slice(&sql));
    if (interrupt_seen()) {
        putchar('\n');
        interrupt_clear(); /* from here on a Ctrl-C is meant for what is typed next */
    }
    clearerr(stdout);
    text_free(&sql);
    return true;
}

static void type_statements(door *d, options *o, int64_t owner)
{
    statements s = { .door = d, .first_line = 1, .messages = stdout };
    spool to = { 0 };
    editor *e = editor_open(d, is_whole);
    editor_got got;
    slice typed;

    greet(o, owner);
    while ((got = editor_read(e, &typed)) != EDITOR_END && (got == EDITOR_ABANDONED || do_typed(e, &s, &to, typed))) continue;
    if (got == EDITOR_END) putchar('\n');
    spool_close(&to);
    editor_close(e);
}

static ssize_t read_input(void *unused, char *into, size_t room)
{
    (void)unused;
    return interrupt_read(STDIN_FILENO, into, room);
}

/* A pipe: statement by statement as they come; the first error ends it, and so does a signal. */
static weir_rc read_statements(door *d)
{
    FILE *input = fopencookie(NULL, "r", (cookie_io_functions_t){ .read = read_input });
    statements s = { .door = d, .file = "stdin", .first_line = 1, .messages = stdout };
    spool to = { 0 };
    text sql = TEXT_EMPTY;
    char *line = NULL;
    size_t line_room = 0;
    uint32_t lines = 0;
    ssize_t got;
    weir_rc rc = WEIR_OK;

    if (input == NULL) abort();
    while (rc == WEIR_OK && (got = getline(&line, &line_room, input)) > 0) {
        slice word = trim((slice){ line, (size_t)got });
        lines++;
        if (sql.len == 0 && is_exit(word)) break;
        if (sql.len == 0 && (word.len == 0 || spool_command(&to, word))) {
            s.first_line = lines + 1;
            continue;
        }
        text_add(&sql, (slice){ line, (size_t)got });
        if (memchr(line, ';', (size_t)got) == NULL || !weir_is_complete(text_slice(&sql))) continue;
        rc = spool_run(&to, &s, text_slice(&sql));
        s.first_line = lines + 1;
        text_clear(&sql);
    }
    if (rc == WEIR_OK && sql.len > 0) rc = spool_run(&to, &s, text_slice(&sql));
    spool_close(&to);
    fclose(input);
    free(line);
    text_free(&sql);
    return rc;
}

int cmd_shell(options *o, int argc, char **argv)
{
    opened place;
    weir_error err;
    int64_t owner = 0;
    weir_rc rc = WEIR_OK;
    int found;

    while ((found = options_next(o, argc, argv, NULL, false)) != -1)
        return found == OPTION_NEXT_HELP ? EXIT_OK : EXIT_USAGE;
    if (optind < argc) return usage_error(argv, "no operand is wanted, but there is '%s'", argv[optind]);
    if (!options_open_door(o, &place)) return EXIT_FAILED;

    if (place.engine != NULL) rc = weir_start(place.engine, &owner, &err);
    if (rc != WEIR_OK) {
        report_error(NULL, NO_SLICE, 1, &err);
    } else if (isatty(STDIN_FILENO)) {
        interrupt_install(NULL, place.session, false);
        type_statements(place.door, o, owner);
    } else {
        interrupt_install(NULL, place.session, true);
        rc = read_statements(place.door);
    }
    interrupt_release();
    closing_begin(o);
    opened_close(&place);
    closing_end();
    return rc == WEIR_OK || rc == WEIR_CANCELLED ? EXIT_OK : EXIT_FAILED;
}
