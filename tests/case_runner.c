/* case_runner [--rest] FILE... - runs conformance cases through the engine, each in an empty engine of its own, and
 * prints a line of JSON for each: what happened. It judges nothing. With --rest they go through the server, over HTTP. */
#include "tests/runner/report.h"
#include "tests/runner/rest.h"

#include <stdio.h>
#include <stdlib.h>

static bool read_file(const char *path, text *out)
{
    FILE *file = fopen(path, "rb");
    char block[65536];
    size_t got;

    if (file == NULL) return false;
    while ((got = fread(block, 1, sizeof block, file)) > 0) text_add(out, (slice){ block, got });
    bool is_good = !ferror(file);
    fclose(file);
    return is_good;
}

static void run_file(const char *path, bool is_rest)
{
    arena *a = arena_new(0);
    text content = TEXT_EMPTY, line = TEXT_EMPTY;
    node cases;
    size_t at = 0;

    if (!read_file(path, &content)) {
        fprintf(stderr, "case_runner: cannot read %s\n", path);
        exit(2);
    }
    if (!node_parse(text_slice(&content), a, &cases, &at) || cases.kind != NODE_ARRAY) {
        fprintf(stderr, "case_runner: %s is no array of cases: byte %zu\n", path, at);
        exit(2);
    }
    for (uint32_t i = 0; i < cases.count; i++) {
        run *r = is_rest ? run_rest_case(&cases.items[i]) : run_case(&cases.items[i]);
        text_clear(&line);
        report_case(&line, r);
        run_close(r);
        fwrite(line.data, 1, line.len, stdout);
        fflush(stdout);
    }
    text_free(&line);
    text_free(&content);
    arena_free(a);
}

int main(int argc, char **argv)
{
    bool is_rest = argc > 1 && strcmp(argv[1], "--rest") == 0;

    for (int i = is_rest ? 2 : 1; i < argc; i++) run_file(argv[i], is_rest);
    return 0;
}
