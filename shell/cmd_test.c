/* shell/cmd_test.c - weir test: scenario files against a deterministic engine of their own, once for each batch size:
 * batching must never show in results. */
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "shell/command.h"
#include "shell/diff.h"
#include "shell/output.h"
#include "shell/report.h"
#include "shell/scenario.h"

enum { OPTION_BATCH_ROWS = OPTION_OWN };
enum { QUIET_MAX = 3 }; /* so often in a row a push query may have nothing before it counts as at rest */

static const uint32_t BATCH_SIZES[] = { 1, 2, 7, BATCH_ROWS_MAX };
enum { BATCH_SIZE_COUNT = sizeof BATCH_SIZES / sizeof BATCH_SIZES[0] };

/* How far a source has been looked at: an expect section shows what came since the one before. */
typedef struct seen_source {
    slice name;
    uint32_t rows;
} seen_source;

typedef struct runner {
    const char *path;
    options *options;
    uint32_t batch_rows;
    weir *w;
    weir_session *session;
    arena *a;
    text *report;          /* empty: nothing has failed */
    seen_source *seen;
    uint32_t seen_count;
    int64_t now_ms;        /* of the virtual clock, kept over a restart */
    char data_dir[64];     /* empty: the engine's is temporary */
} runner;

/* ---- the engine of a scenario ---- */

static bool report_failure(runner *t, uint32_t line, const char *what, const weir_error *err)
{
    text_printf(t->report, "%s:%u: %s", t->path, line, what);
    if (err != NULL) {
        text_printf(t->report, ": %s: ", weir_rc_name(err->rc));
        if (err->at.line != 0) text_printf(t->report, "%u:%u: ", err->at.line, err->at.column);
        text_add_c(t->report, err->message);
    }
    text_add_char(t->report, '\n');
    return false;
}

static bool engine_open(runner *t, uint32_t line)
{
    weir_options o = { .is_temporary = t->data_dir[0] == '\0', .data_dir = slice_of(t->data_dir[0] == '\0' ? NULL : t->data_dir),
                       .batch_rows = t->batch_rows, .is_deterministic = true,
                       .clock = { .is_virtual = true, .now_ms = t->now_ms } };
    weir_error err;
    int64_t owner;

    if (weir_open(&t->w, &o, &err) != WEIR_OK) return report_failure(t, line, "cannot open an engine", &err);
    if (weir_start(t->w, &owner, &err) != WEIR_OK) return report_failure(t, line, "cannot start the engine", &err);
    if (weir_session_open(&t->session, t->w) != WEIR_OK) return report_failure(t, line, "no memory for a session", NULL);
    for (uint32_t i = 0; i < t->options->defines.count; i++)
        weir_session_define(t->session, t->options->defines.items[i].name, t->options->defines.items[i].value);
    if (weir_session_set(t->session, SLICE("auto.offset.reset"), SLICE("earliest"), &err) != WEIR_OK ||
        weir_session_set(t->session, SLICE("emit"), SLICE("every-change"), &err) != WEIR_OK)
        return report_failure(t, line, "cannot set", &err);
    for (uint32_t i = 0; i < t->options->settings.count; i++) {
        const weir_setting *setting = &t->options->settings.items[i];
        if (weir_session_set(t->session, setting->name, setting->value, &err) != WEIR_OK)
            return report_failure(t, line, "cannot set", &err);
    }
    return true;
}

static void engine_close(runner *t)
{
    weir_session_close(t->session);
    weir_close(t->w);
    t->session = NULL;
    t->w = NULL;
}

static bool settle(runner *t, const section *s)
{
    weir_error err;

    return weir_settle(t->w, &err) == WEIR_OK || report_failure(t, s->line, "a query has stopped", &err);
}

/* ---- rows compared ---- */

static int compare_rows(const void *a, const void *b)
{
    return slice_compare(*(const slice *)a, *(const slice *)b);
}

static slice *sorted(arena *a, const slice *rows, uint32_t count)
{
    slice *copy = ARENA_ARRAY(a, slice, count + 1);

    if (count > 0) memcpy(copy, rows, sizeof *copy * count);
    qsort(copy, count, sizeof *copy, compare_rows);
    return copy;
}

/* A difference is told, and the scenario goes on: what comes after may say more. */
static void compare(runner *t, const section *s, const char *what, const slice *rows, uint32_t count)
{
    const slice *expected = s->rows;
    bool equal = s->count == count;

    if (s->is_unordered) {
        expected = sorted(t->a, s->rows, s->count);
        rows = sorted(t->a, rows, count);
    }
    for (uint32_t i = 0; i < count && equal; i++) equal = slice_equal(expected[i], rows[i]);
    if (equal) return;
    text_printf(t->report, "%s:%u: %s differs (-: expected, +: what came)\n", t->path, s->line, what);
    diff_add(t->report, expected, s->count, rows, count);
}

/* ---- sections ---- */

typedef struct row_list {
    slice *items;
    uint32_t count, room;
} row_list;

static void add_row(runner *t, row_list *list, slice row)
{
    if (list->count == list->room) {
        slice *more = ARENA_ARRAY(t->a, slice, list->room = list->room == 0 ? 64 : list->room * 2);
        if (list->count > 0) memcpy(more, list->items, sizeof *more * list->count);
        list->items = more;
    }
    list->items[list->count++] = row;
}

static void add_batch(runner *t, row_list *list, const schema *columns, const batch *rows)
{
    text line = TEXT_EMPTY, cell = TEXT_EMPTY;

    EACH_ROW(r, rows->live)
    {
        text_clear(&line);
        for (uint32_t i = 0; i < columns->count; i++) {
            if (i > 0) text_add_c(&line, " | ");
            text_clear(&cell);
            value v = column_get(&rows->columns[i], r);
            if (rows->columns[i].null[r]) text_add_c(&cell, "null");
            else weir_print_value(&cell, rows->columns[i].type, &v, WEIR_PRINT_TEXT);
            for (size_t at = 0; at < cell.len; at++) {
                if (cell.data[at] == '|') text_add_char(&line, '\\');
                if (cell.data[at] == '\n') text_add_c(&line, "\\n");
                else text_add_char(&line, cell.data[at]);
            }
        }
        add_row(t, list, scenario_cells(t->a, text_slice(&line)));
    }
    text_free(&line);
    text_free(&cell);
}

static void add_message(runner *t, row_list *list, slice message)
{
    while (message.len > 0) {
        const char *stop = memchr(message.data, '\n', message.len);
        size_t length = stop == NULL ? message.len : (size_t)(stop - message.data);
        slice line = scenario_cells(t->a, (slice){ message.data, length });
        if (line.len > 0) add_row(t, list, line);
        message = stop == NULL ? NO_SLICE : (slice){ stop + 1, message.len - length - 1 };
    }
}

/* All rows of a result; list NULL: only their errors matter. A push query gives what is there. */
static weir_rc drain(runner *t, weir_result *r, row_list *list, weir_error *err)
{
    weir_result_kind kind = weir_result_kind_of(r);
    const schema *columns = kind == WEIR_RESULT_MESSAGE ? NULL : weir_result_schema(r);

    if (kind == WEIR_RESULT_MESSAGE) {
        if (list != NULL) add_message(t, list, weir_result_message(r));
        return WEIR_OK;
    }
    if (list != NULL && kind != WEIR_RESULT_LINES) {
        text names = TEXT_EMPTY;
        for (uint32_t i = 0; i < columns->count; i++)
            text_printf(&names, "%s%.*s", i == 0 ? "" : " | ", SLICE_ARG(columns->columns[i].name));
        add_row(t, list, scenario_cells(t->a, text_slice(&names)));
        text_free(&names);
    }
    for (uint32_t quiet = 0; quiet < QUIET_MAX && !weir_result_ended(r); quiet++) {
        const batch *rows;
        WEIR_TRY(weir_result_next(r, kind == WEIR_RESULT_ROWS ? -1 : 0, &rows, err));
        if (rows != NULL || kind == WEIR_RESULT_ROWS) quiet = 0;
        if (rows != NULL && list != NULL) add_batch(t, list, columns, rows);
    }
    return WEIR_OK;
}

/* Executes all statements of the section; list, where given, is for the rows of the last. */
static weir_rc execute(runner *t, const section *s, row_list *list, weir_error *err)
{
    weir_script *script = weir_script_open(t->session, s->sql);
    weir_result *r = NULL;
    weir_rc rc;

    if (script == NULL) return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory for a script");
    while ((rc = weir_script_next(script, &r, err)) == WEIR_OK && r != NULL) {
        if (list != NULL) list->count = 0;
        rc = drain(t, r, list, err);
        weir_result_close(r);
        if (rc != WEIR_OK) break;
    }
    weir_script_close(script);
    return rc;
}

static bool run_ok(runner *t, const section *s)
{
    weir_error err = { 0 };

    return execute(t, s, NULL, &err) == WEIR_OK || report_failure(t, s->line, "the statement failed", &err);
}

static bool run_error(runner *t, const section *s)
{
    weir_error err = { 0 };
    char place[32];

    if (execute(t, s, NULL, &err) == WEIR_OK && (s->error != WEIR_RUNTIME || weir_settle(t->w, &err) == WEIR_OK))
        return report_failure(t, s->line, "the statement was to fail, and did not", NULL);
    snprintf(place, sizeof place, "%u:%u", s->at.line, s->at.column);
    if (s->error != WEIR_OK && s->error != err.rc)
        report_failure(t, s->line, "the error is of another class", &err);
    else if (s->at.line != 0 && (s->at.line != err.at.line || s->at.column != err.at.column))
        report_failure(t, s->line, "the error is at another place", &err);
    else if (s->message.len > 0 &&
             memmem(err.message, strlen(err.message), s->message.data, s->message.len) == NULL)
        report_failure(t, s->line, "the error says something else", &err);
    return true;
}

static bool run_feed(runner *t, const section *s)
{
    weir_error err;

    for (uint32_t i = 0; i < s->count; i++) {
        const record_line *record = &s->records[i];
        header_list none = { NULL, 0 };
        if (weir_feed(t->w, s->source, record->timestamp_ms, record->key, record->value, none, &err) != WEIR_OK)
            return report_failure(t, record->line, "the record was refused", &err);
    }
    return settle(t, s);
}

static seen_source *seen_of(runner *t, slice source)
{
    for (uint32_t i = 0; i < t->seen_count; i++)
        if (slice_equal(t->seen[i].name, source)) return &t->seen[i];
    t->seen = realloc(t->seen, sizeof *t->seen * (t->seen_count + 1));
    if (t->seen == NULL) abort();
    t->seen[t->seen_count] = (seen_source){ source, 0 };
    return &t->seen[t->seen_count++];
}

static bool run_expect(runner *t, const section *s)
{
    seen_source *seen = seen_of(t, s->source);
    bool with_time = s->count > 0 && s->rows[0].data[0] == '@';
    weir_row_text *rows;
    uint32_t count;
    row_list list = { 0 };
    weir_error err;
    text what = TEXT_EMPTY;

    if (!settle(t, s)) return false;
    if (weir_read_source(t->w, s->source, t->a, &rows, &count, &err) != WEIR_OK)
        return report_failure(t, s->line, "cannot read the rows", &err);
    for (uint32_t i = seen->rows; i < count; i++) add_row(t, &list, scenario_row(t->a, &rows[i], with_time));
    seen->rows = count;
    text_printf(&what, "expect %.*s", SLICE_ARG(s->source));
    compare(t, s, what.data, list.items, list.count);
    text_free(&what);
    return true;
}

static bool run_query(runner *t, const section *s)
{
    row_list list = { 0 };
    weir_error err = { 0 };

    if (!settle(t, s)) return false;
    if (execute(t, s, &list, &err) != WEIR_OK) return report_failure(t, s->line, "the query failed", &err);
    compare(t, s, "query", list.items, list.count);
    return true;
}

static bool run_counted(runner *t, const section *s)
{
    weir_query_stats *stats;
    uint32_t count;
    uint64_t late = 0, bad = 0;

    if (!settle(t, s)) return false;
    if (weir_query_stats_list(t->w, t->a, &stats, &count) != WEIR_OK)
        return report_failure(t, s->line, "no statistics", NULL);
    for (uint32_t i = 0; i < count; i++) {
        late += stats[i].late_rows;
        bad += stats[i].bad_rows;
    }
    if ((s->number >= 0 && late != (uint64_t)s->number) || (s->bad >= 0 && bad != (uint64_t)s->bad))
        text_printf(t->report, "%s:%u: counted: late %" PRIu64 ", bad %" PRIu64 "\n", t->path, s->line, late, bad);
    return true;
}

static bool run_set(runner *t, const section *s)
{
    weir_error err;

    return weir_session_set(t->session, s->name, s->value, &err) == WEIR_OK ||
           report_failure(t, s->line, "cannot set", &err);
}

/* False: what follows would make no sense any more. */
static bool run_section(runner *t, const section *s)
{
    switch (s->kind) {
    case SECTION_OK: return run_ok(t, s);
    case SECTION_ERROR: return run_error(t, s);
    case SECTION_FEED: return run_feed(t, s);
    case SECTION_EXPECT: return run_expect(t, s);
    case SECTION_QUERY: return run_query(t, s);
    case SECTION_SET: return run_set(t, s);
    case SECTION_COUNTED: return run_counted(t, s);
    case SECTION_ADVANCE:
        t->now_ms += s->number;
        weir_advance(t->w, s->number);
        return settle(t, s);
    case SECTION_RESTART:
        engine_close(t);
        return engine_open(t, s->line);
    }
    return false;
}

/* ---- scenarios ---- */

static int remove_entry(const char *path, const struct stat *entry, int kind, struct FTW *walk)
{
    (void)entry, (void)kind, (void)walk;
    return remove(path);
}

/* One run with one batch size; what fails is in the report. */
static void run_once(const char *path, options *o, const scenario *sc, uint32_t batch_rows, text *report)
{
    runner t = { .path = path, .options = o, .batch_rows = batch_rows, .a = arena_new(0), .report = report };
    const char *temporary = getenv("TMPDIR");

    if (sc->restarts) { /* a temporary engine would forget all */
        snprintf(t.data_dir, sizeof t.data_dir, "%.40s/weir-test-XXXXXX", temporary == NULL ? "/tmp" : temporary);
        if (mkdtemp(t.data_dir) == NULL) {
            text_printf(report, "%s: cannot make %s\n", path, t.data_dir);
            goto done;
        }
    }
    if (engine_open(&t, 1))
        for (uint32_t i = 0; i < sc->count && run_section(&t, &sc->sections[i]); i++) continue;
    engine_close(&t);
    if (sc->restarts) nftw(t.data_dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
done:
    free(t.seen);
    arena_free(t.a);
}

/* True: it passed. The report of a failure is told once, with the batch sizes that gave it. */
static bool run_file(const char *path, options *o, uint32_t only_batch_rows)
{
    text file = TEXT_EMPTY, reports[BATCH_SIZE_COUNT] = { 0 };
    arena *a = arena_new(0);
    scenario sc;
    slice message;
    uint32_t line, sizes = only_batch_rows > 0 ? 1 : BATCH_SIZE_COUNT;
    bool passed = false;

    if (!read_file(path, &file)) goto done;
    if (!scenario_parse(a, text_slice(&file), &sc, &line, &message)) {
        printf("%s:%u: %.*s\n", path, line, SLICE_ARG(message));
        goto done;
    }
    passed = true;
    for (uint32_t i = 0; i < sizes; i++) {
        run_once(path, o, &sc, only_batch_rows > 0 ? only_batch_rows : BATCH_SIZES[i], &reports[i]);
        passed &= reports[i].len == 0;
    }
    for (uint32_t i = 0; i < sizes; i++) {
        if (reports[i].len == 0) continue;
        fwrite(reports[i].data, 1, reports[i].len, stdout);
        printf("  with batches of %u", only_batch_rows > 0 ? only_batch_rows : BATCH_SIZES[i]);
        for (uint32_t j = i + 1; j < sizes; j++) {
            if (!slice_equal(text_slice(&reports[i]), text_slice(&reports[j]))) continue;
            printf(", %u", BATCH_SIZES[j]);
            text_clear(&reports[j]);
        }
        puts(" rows\n");
    }
done:
    for (uint32_t i = 0; i < BATCH_SIZE_COUNT; i++) text_free(&reports[i]);
    text_free(&file);
    arena_free(a);
    return passed;
}

int cmd_test(options *o, int argc, char **argv)
{
    static const struct option OWN[] = {
        { "batch-rows", required_argument, NULL, OPTION_BATCH_ROWS },
        { "verbose", no_argument, NULL, 'v' },
        { 0 },
    };
    int64_t batch_rows = 0;
    uint32_t passed = 0, failed = 0;
    bool is_verbose = false;
    int found;

    while ((found = options_next(o, argc, argv, OWN, false)) != -1) {
        switch (found) {
        case OPTION_NEXT_USAGE: return EXIT_USAGE;
        case OPTION_NEXT_HELP: return EXIT_OK;
        case 'v': is_verbose = true; break;
        default:
            if (!parse_number(optarg, 1, BATCH_ROWS_MAX, &batch_rows))
                return usage_error(argv, "--batch-rows takes a number from 1 to %d, not '%s'", BATCH_ROWS_MAX, optarg);
        }
    }
    if (argc == optind) return usage_error(argv, "which scenarios?");
    for (int i = optind; i < argc; i++) {
        bool ok = run_file(argv[i], o, (uint32_t)batch_rows);
        if (ok) passed++;
        else failed++;
        if (is_verbose) printf("%s: %s\n", argv[i], ok ? "passed" : "failed");
        fflush(stdout);
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 ? EXIT_OK : EXIT_FAILED;
}
