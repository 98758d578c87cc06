/* shell/output.c - a result, printed to its end. */
#include "shell/output.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "shell/json.h"
#include "shell/style.h"
#include "shell/table.h"

bool output_form_of(const char *name, output_form *out)
{
    static const char *const NAMES[] = { "table", "json", "csv" };

    for (uint32_t i = 0; i < 3; i++) {
        if (strcmp(name, NAMES[i]) == 0) {
            *out = (output_form)i;
            return true;
        }
    }
    return false;
}

static void add_csv(text *out, slice cell)
{
    bool is_quoted = cell.len == 0; /* to tell it from null, which is nothing at all */

    for (size_t i = 0; i < cell.len && !is_quoted; i++) is_quoted = strchr(",\"\r\n", cell.data[i]) != NULL;
    if (!is_quoted) {
        text_add(out, cell);
        return;
    }
    text_add_char(out, '"');
    for (size_t i = 0; i < cell.len; i++) {
        if (cell.data[i] == '"') text_add_char(out, '"');
        text_add_char(out, cell.data[i]);
    }
    text_add_char(out, '"');
}

/* One cell as the form shows it, appended. */
static void add_cell(text *out, slice cell, output_form form)
{
    if (form == OUTPUT_CSV) {
        if (cell.data != NULL) add_csv(out, cell);
    } else {
        text_add(out, cell.data == NULL ? SLICE("null") : cell);
    }
}

static void print_json_rows(FILE *to, const answer *a, const answer_rows *rows, text *line)
{
    const slice *cell = rows->cells;

    for (uint32_t r = 0; r < rows->count; r++) {
        text_clear(line);
        text_add_char(line, '{');
        if (rows->is_deletion[r]) text_add_c(line, "\"@tombstone\":true,");
        for (uint32_t i = 0; i < a->column_count; i++) {
            if (i > 0) text_add_char(line, ',');
            json_add_string(line, a->columns[i].name);
            text_add_char(line, ':');
            add_cell(line, *cell++, OUTPUT_JSON);
        }
        text_add_c(line, "}\n");
        fwrite(line->data, 1, line->len, to);
    }
}

static void print_csv_header(FILE *to, const answer *a, text *line)
{
    text_clear(line);
    for (uint32_t i = 0; i < a->column_count; i++) {
        if (i > 0) text_add_char(line, ',');
        add_csv(line, a->columns[i].name);
    }
    text_add_char(line, '\n');
    fwrite(line->data, 1, line->len, to);
}

static void print_csv_rows(FILE *to, const answer *a, const answer_rows *rows, text *line)
{
    const slice *cell = rows->cells;

    for (uint32_t r = 0; r < rows->count; r++) {
        text_clear(line);
        for (uint32_t i = 0; i < a->column_count; i++) {
            if (i > 0) text_add_char(line, ',');
            add_cell(line, *cell++, OUTPUT_CSV);
        }
        text_add_char(line, '\n');
        fwrite(line->data, 1, line->len, to);
    }
}

static void add_table_rows(table *t, const answer *a, const answer_rows *rows)
{
    for (uint64_t i = 0; i < (uint64_t)rows->count * a->column_count; i++) {
        table_cell(t, rows->cells[i].data == NULL ? SLICE("null") : rows->cells[i]);
    }
}

static void print_lines(FILE *to, const answer_rows *rows)
{
    for (uint32_t r = 0; r < rows->count; r++) fprintf(to, "%.*s\n", SLICE_ARG(rows->cells[r]));
}

static table *open_table(FILE *to, const answer *a)
{
    table *t = table_new(to, a->column_count, terminal_width(to));

    for (uint32_t i = 0; i < a->column_count; i++) table_header(t, i, a->columns[i].name, a->columns[i].is_number);
    return t;
}

/* ---- a line that tells how far a query is, on stderr where that is a terminal ---- */

enum { PROGRESS_FIRST_MS = 1000, PROGRESS_EVERY_MS = 250 };

typedef struct progress_line {
    bool is_wanted, is_shown;
    int64_t began_ms, shown_ms;
} progress_line;

static progress_line progress_begin(door *d, const answer *a)
{
    const weir_clock wall = { 0 };
    weir_progress at;

    return (progress_line){ .is_wanted = a->kind == WEIR_RESULT_ROWS && door_progress(d, &at) && style_moves(stderr),
                            .began_ms = clock_monotonic_ms(&wall) };
}

static void progress_clear(progress_line *line)
{
    if (line->is_shown) fputs(STYLE_CLEAR_LINE, stderr);
    line->is_shown = false;
}

static void progress_show(progress_line *line, door *d)
{
    const weir_clock wall = { 0 };
    int64_t now_ms = clock_monotonic_ms(&wall), passed_ms = now_ms - line->began_ms;
    weir_progress at;

    if (!line->is_wanted || passed_ms < PROGRESS_FIRST_MS || now_ms - line->shown_ms < PROGRESS_EVERY_MS) return;
    if (!door_progress(d, &at)) return;
    fprintf(stderr, STYLE_CLEAR_LINE "%s%" PRIu64 " rows, %.0f rows/s", style_of(stderr, STYLE_DIM), at.rows,
            (double)at.rows * 1000.0 / (double)passed_ms);
    if (at.rows_left >= 0) fprintf(stderr, ", %" PRId64 " to go", at.rows_left);
    fputs(style_of(stderr, STYLE_END), stderr);
    line->is_shown = true;
    line->shown_ms = now_ms;
}

static weir_rc print_rows(FILE *to, door *d, const answer *a, output_form form, weir_error *err)
{
    bool is_lines = a->kind == WEIR_RESULT_LINES;
    bool goes_on = a->kind != WEIR_RESULT_ROWS; /* rows must be seen as they come */
    table *t = form == OUTPUT_TABLE && !is_lines && a->column_count > 0 ? open_table(to, a) : NULL;
    text line = TEXT_EMPTY;
    progress_line progress = progress_begin(d, a);
    uint64_t count = 0;
    weir_rc rc = WEIR_OK;

    if (goes_on && isatty(fileno(to)) && style_moves(stderr)) {
        fprintf(stderr, "%sCtrl-C ends the query.%s\n", style_of(stderr, STYLE_DIM), style_of(stderr, STYLE_END));
    }
    if (form == OUTPUT_CSV && !is_lines) print_csv_header(to, a, &line);
    while (!a->has_ended) {
        const answer_rows *rows;
        if ((rc = door_rows(d, progress.is_wanted ? PROGRESS_EVERY_MS : -1, &rows, err)) != WEIR_OK) break;
        if (rows == NULL) {
            progress_show(&progress, d);
            continue;
        }
        progress_clear(&progress);
        count += rows->count;
        if (form == OUTPUT_JSON) print_json_rows(to, a, rows, &line);
        else if (is_lines) print_lines(to, rows);
        else if (form == OUTPUT_CSV) print_csv_rows(to, a, rows, &line);
        else if (t != NULL) add_table_rows(t, a, rows);
        if (goes_on && t != NULL) table_flush(t);
        if (goes_on) fflush(to);
        if (ferror(to)) {
            rc = weir_fail(err, errno == EPIPE ? WEIR_CANCELLED : WEIR_RUNTIME, NOWHERE, "cannot write the rows: %s",
                           strerror(errno));
            break;
        }
    }
    progress_clear(&progress);
    slice left_out = door_left_out(d);
    if (t != NULL) {
        table_flush(t); /* also what came before an error, and the header of an empty table */
        fprintf(to, "(%" PRIu64 " row%s)\n", count, count == 1 ? "" : "s");
    }
    fflush(to);
    if (left_out.data != NULL) fprintf(stderr, "weir: %.*s\n", SLICE_ARG(left_out));
    table_free(t);
    text_free(&line);
    return rc;
}

weir_rc output_answer(FILE *rows, FILE *messages, door *d, const answer *a, output_form form, weir_error *err)
{
    slice message = a->message;

    if (a->kind != WEIR_RESULT_MESSAGE) return print_rows(rows, d, a, form, err);
    while (message.len > 0 && message.data[message.len - 1] == '\n') message.len--;
    if (message.len == 0) return WEIR_OK;
    if (form == OUTPUT_JSON) {
        text line = TEXT_EMPTY;
        text_add_c(&line, "{\"message\":");
        json_add_string(&line, message);
        text_add_c(&line, "}\n");
        fwrite(line.data, 1, line.len, messages);
        text_free(&line);
    } else {
        fprintf(messages, "%.*s\n", SLICE_ARG(message));
    }
    fflush(messages);
    return WEIR_OK;
}
