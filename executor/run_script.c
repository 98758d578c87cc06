/* executor/run_script.c - RUN SCRIPT: the statements of a file, in the session that asks for them. */
#include "executor/weir.h"

#include <errno.h>
#include <stdio.h>

#define SCRIPT_DEPTH_MAX 16

static bool read_whole(const char *path, text *into)
{
    FILE *file = fopen(path, "rb");
    char part[4096];
    size_t got;

    if (file == NULL) return false;
    while ((got = fread(part, 1, sizeof part, file)) > 0) text_add(into, (slice){ part, got });
    bool ok = ferror(file) == 0;
    fclose(file);
    return ok;
}

/* What stands in the file belongs to it, not to the statement that named it. */
static weir_rc fail_in_file(const char *path, sql_pos at, weir_error *err)
{
    const weir_error inner = *err;

    if (inner.at.line == 0) return weir_fail(err, inner.rc, at, "%s: %s", path, inner.message);
    return weir_fail(err, inner.rc, at, "%s:%u:%u: %s", path, (unsigned)inner.at.line, (unsigned)inner.at.column, inner.message);
}

/* Its statements are those of the session, but for what gives rows: nobody would see them. */
static weir_rc run_statements(weir_script *inner, uint32_t *count, weir_error *err)
{
    for (;;) {
        weir_result *one;
        WEIR_TRY(weir_script_next(inner, &one, err));
        if (one == NULL) return WEIR_OK;
        weir_result_close(one);
        (*count)++;
    }
}

weir_rc run_script_statement(weir_session *s, const statement *what, bool resumes, weir_result **out, weir_error *err)
{
    char path[4096];
    text sql = TEXT_EMPTY;
    uint32_t count = 0;

    if (s->is_remote) {
        return weir_fail(err, WEIR_SEMANTIC, what->at, "RUN SCRIPT reads a file beside the engine, which a client of a server cannot ask "
                         "for: send its statements");
    }
    if (s->script_depth == SCRIPT_DEPTH_MAX) {
        return weir_fail(err, WEIR_SEMANTIC, what->at, "scripts that run scripts are %d deep here: one of them runs itself",
                         SCRIPT_DEPTH_MAX);
    }
    if (what->script.file.len >= sizeof path) return weir_fail(err, WEIR_SEMANTIC, what->script.file_at, "the path is too long");
    snprintf(path, sizeof path, "%.*s", SLICE_ARG(what->script.file));
    if (!read_whole(path, &sql)) {
        int reason = errno;
        text_free(&sql);
        return weir_fail(err, WEIR_SEMANTIC, what->script.file_at, "cannot read %s: %s", path, strerror(reason));
    }
    weir_script *inner = weir_script_open(s, text_slice(&sql));
    weir_script_resumes(inner, resumes);
    weir_script_allows(inner, WEIR_ALLOW_STATEMENTS);
    s->script_depth++;
    weir_rc rc = run_statements(inner, &count, err);
    s->script_depth--;
    if (rc != WEIR_OK) rc = fail_in_file(path, what->script.file_at, err);
    weir_script_close(inner);
    text_free(&sql);
    if (rc == WEIR_OK) *out = result_message("currentStatus", "%s: %u statement%s", path, count, count == 1 ? "" : "s");
    return rc;
}
