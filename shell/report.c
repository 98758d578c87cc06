/* shell/report.c - errors as people read them. */
#include "shell/report.h"

#include <errno.h>
#include <stdio.h>

#include "shell/style.h"

/* The line of that number (from 1), without its end; absent: the text has fewer. */
static slice line_of(slice script, uint32_t number)
{
    const char *at = script.data, *end = script.data + script.len;

    for (uint32_t line = 1; at != NULL && at <= end; line++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (stop == NULL) stop = end;
        if (line == number) {
            if (stop > at && stop[-1] == '\r') stop--;
            return (slice){ at, (size_t)(stop - at) };
        }
        at = stop + 1;
    }
    return NO_SLICE;
}

/* What stands before the place keeps its tabs, so that the caret is under it however wide they are shown. Columns count
 * characters: a continuation byte of UTF-8 is none. */
static void print_caret(slice line, uint32_t place)
{
    uint32_t at = 1;

    for (size_t i = 0; at < place; i++) {
        if (i < line.len && ((unsigned char)line.data[i] & 0xC0) == 0x80) continue;
        fputc(i < line.len && line.data[i] == '\t' ? '\t' : ' ', stderr);
        at++;
    }
    fprintf(stderr, "%s^%s\n", style_of(stderr, STYLE_ERROR), style_of(stderr, STYLE_END));
}

void report_error(const char *file, slice script, uint32_t first_line, const weir_error *err)
{
    const char *red = style_of(stderr, STYLE_ERROR), *plain = style_of(stderr, STYLE_END);
    slice line;

    if (err->at.line == 0) {
        fprintf(stderr, "%s: %s%s%s: %s\n", file == NULL ? "weir" : file, red, weir_rc_name(err->rc), plain, err->message);
        return;
    }
    fprintf(stderr, "%s%s%u:%u: %s%s%s: %s\n", file == NULL ? "" : file, file == NULL ? "" : ":",
            first_line + err->at.line - 1, err->at.column, red, weir_rc_name(err->rc), plain, err->message);
    line = line_of(script, err->at.line);
    if (line.data == NULL || line.len > 500) return;
    fprintf(stderr, "%.*s\n", SLICE_ARG(line));
    print_caret(line, err->at.column);
}

void report_notice(void *self, slice query_id, const weir_error *err)
{
    const char *red = style_of(stderr, STYLE_ERROR), *plain = style_of(stderr, STYLE_END);

    (void)self;
    if (err == NULL) {
        fprintf(stderr, "weir: query %.*s goes on\n", SLICE_ARG(query_id));
    } else {
        fprintf(stderr, "weir: query %.*s %s: %s%s%s: %s\n", SLICE_ARG(query_id),
                err->act == WEIR_ACT_STOP ? "has stopped" : "waits and tries again", red, weir_rc_name(err->rc), plain, err->message);
    }
}

bool read_file(const char *path, text *into)
{
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "rb");
    char chunk[65536];
    size_t got;
    bool ok;

    if (file == NULL) {
        fprintf(stderr, "weir: cannot open %s: %s\n", path, strerror(errno));
        return false;
    }
    while ((got = fread(chunk, 1, sizeof chunk, file)) > 0) text_add(into, (slice){ chunk, got });
    ok = !ferror(file);
    if (!ok) fprintf(stderr, "weir: cannot read %s: %s\n", path, strerror(errno));
    if (!is_stdin) fclose(file);
    return ok;
}
