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

void output_cell(text *out, const column *c, uint32_t row, output_form form)
{
    value v = column_get(c, row);

    if (c->null[row]) {
        if (form != OUTPUT_CSV) text_add_c(out, "null");
    } else if (form == OUTPUT_CSV) {
        text cell = TEXT_EMPTY;
        weir_print_value(&cell, c->type, &v, WEIR_PRINT_TEXT);
        add_csv(out, text_slice(&cell));
        text_free(&cell);
    } else {
        weir_print_value(out, c->type, &v, form == OUTPUT_JSON ? WEIR_PRINT_JSON : WEIR_PRINT_TEXT);
    }
}

static void print_json_rows(FILE *to, const schema *s, const batch *rows, text *line)
{
    EACH_ROW(r, rows->live)
    {
        text_clear(line);
        text_add_char(line, '{');
        if (rows->kind != NULL && rows->kind[r] == ROW_TOMBSTONE) text_add_c(line, "\"@tombstone\":true,");
        for (uint32_t i = 0; i < s->count; i++) {
            if (i > 0) text_add_char(line, ',');
            json_add_string(line, s->columns[i].name);
            text_add_char(line, ':');
            output_cell(line, &rows->columns[i], r, OUTPUT_JSON);
        }
        text_add_c(line, "}\n");
        fwrite(line->data, 1, line->len, to);
    }
}

static void print_csv_header(FILE *to, const schema *s, text *line)
{
    text_clear(line);
    for (uint32_t i = 0; i < s->count; i++) {
        if (i > 0) text_add_char(line, ',');
        add_csv(line, s->columns[i].name);
    }
    text_add_char(line, '\n');
    fwrite(line->data, 1, line->len, to);
}

static void print_csv_rows(FILE *to, const schema *s, const batch *rows, text *line)
{
    EACH_ROW(r, rows->live)
    {
        text_clear(line);
        for (uint32_t i = 0; i < s->count; i++) {
            if (i > 0) text_add_char(line, ',');
            output_cell(line, &rows->columns[i], r, OUTPUT_CSV);
        }
        text_add_char(line, '\n');
        fwrite(line->data, 1, line->len, to);
    }
}

static void add_table_rows(table *t, const schema *s, const batch *rows, text *cell)
{
    EACH_ROW(r, rows->live)
    {
        for (uint32_t i = 0; i < s->count; i++) {
            text_clear(cell);
            output_cell(cell, &rows->columns[i], r, OUTPUT_TABLE);
            table_cell(t, text_slice(cell));
        }
    }
}

static void print_lines(FILE *to, const batch *rows)
{
    EACH_ROW(r, rows->live) fprintf(to, "%.*s\n", SLICE_ARG(rows->columns[0].str[r]));
}

static table *open_table(FILE *to, const schema *s)
{
    table *t = table_new(to, s->count, terminal_width(to));

    for (uint32_t i = 0; i < s->count; i++)
        table_header(t, i, s->columns[i].name, type_is_number(s->columns[i].type));
    return t;
}

/* ---- a line that tells how far a query is, on stderr where that is a terminal ---- */

enum { PROGRESS_FIRST_MS = 1000, PROGRESS_EVERY_MS = 250 };

typedef struct progress_line {
    bool is_wanted, is_shown;
    int64_t began_ms, shown_ms;
} progress_line;

static progress_line progress_begin(const weir_result *r)
{
    const weir_clock wall = { 0 };
    weir_progress at;

    return (progress_line){ .is_wanted = weir_result_kind_of(r) == WEIR_RESULT_ROWS && weir_result_progress(r, &at) &&
                                         style_moves(stderr),
                            .began_ms = clock_monotonic_ms(&wall) };
}

static void progress_clear(progress_line *line)
{
    if (line->is_shown) fputs(STYLE_CLEAR_LINE, stderr);
    line->is_shown = false;
}

static void progress_show(progress_line *line, const weir_result *r)
{
    const weir_clock wall = { 0 };
    int64_t now_ms = clock_monotonic_ms(&wall), passed_ms = now_ms - line->began_ms;
    weir_progress at;

    if (!line->is_wanted || passed_ms < PROGRESS_FIRST_MS || now_ms - line->shown_ms < PROGRESS_EVERY_MS) return;
    if (!weir_result_progress(r, &at)) return;
    fprintf(stderr, STYLE_CLEAR_LINE "%s%" PRIu64 " rows, %.0f rows/s", style_of(stderr, STYLE_DIM), at.rows,
            (double)at.rows * 1000.0 / (double)passed_ms);
    if (at.rows_left >= 0) fprintf(stderr, ", %" PRId64 " to go", at.rows_left);
    fputs(style_of(stderr, STYLE_END), stderr);
    line->is_shown = true;
    line->shown_ms = now_ms;
}

static weir_rc print_rows(FILE *to, weir_result *r, output_form form, weir_error *err)
{
    const schema *s = weir_result_schema(r);
    bool is_lines = weir_result_kind_of(r) == WEIR_RESULT_LINES;
    bool goes_on = weir_result_kind_of(r) != WEIR_RESULT_ROWS; /* rows must be seen as they come */
    table *t = form == OUTPUT_TABLE && !is_lines && s->count > 0 ? open_table(to, s) : NULL;
    text line = TEXT_EMPTY;
    progress_line progress = progress_begin(r);
    uint64_t count = 0;
    weir_rc rc = WEIR_OK;

    if (goes_on && isatty(fileno(to)) && style_moves(stderr)) {
        fprintf(stderr, "%sCtrl-C ends the query.%s\n", style_of(stderr, STYLE_DIM), style_of(stderr, STYLE_END));
    }
    if (form == OUTPUT_CSV && !is_lines) print_csv_header(to, s, &line);
    while (!weir_result_ended(r)) {
        const batch *rows;
        if ((rc = weir_result_next(r, progress.is_wanted ? PROGRESS_EVERY_MS : -1, &rows, err)) != WEIR_OK) break;
        if (rows == NULL) {
            progress_show(&progress, r);
            continue;
        }
        progress_clear(&progress);
        count += rows->live.count;
        if (form == OUTPUT_JSON) print_json_rows(to, s, rows, &line);
        else if (is_lines) print_lines(to, rows);
        else if (form == OUTPUT_CSV) print_csv_rows(to, s, rows, &line);
        else if (t != NULL) add_table_rows(t, s, rows, &line);
        if (goes_on && t != NULL) table_flush(t);
        if (goes_on) fflush(to);
        if (ferror(to)) {
            rc = weir_fail(err, errno == EPIPE ? WEIR_CANCELLED : WEIR_RUNTIME, NOWHERE, "cannot write the rows: %s",
                           strerror(errno));
            break;
        }
    }
    progress_clear(&progress);
    if (t != NULL) {
        table_flush(t); /* also what came before an error, and the header of an empty table */
        fprintf(to, "(%" PRIu64 " row%s)\n", count, count == 1 ? "" : "s");
    }
    fflush(to);
    table_free(t);
    text_free(&line);
    return rc;
}

weir_rc output_result(FILE *rows, FILE *messages, weir_result *r, output_form form, weir_error *err)
{
    slice message;

    if (weir_result_kind_of(r) != WEIR_RESULT_MESSAGE) return print_rows(rows, r, form, err);
    message = weir_result_message(r);
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
