/* Expressions and what they give, a line each: `check_expressions SETUP FILE...`. SETUP is SQL that makes a stream `one` with
 * one row; a line of a FILE is
 *
 *     expression ==> value as JSON             or
 *     expression ==> value as JSON :: type     or
 *     expression ==> ! part of the message of a semantic error
 *
 * # begins a comment line. Every line that gives something else is told; the status is then 1. */
#include "executor/engine.h"

#include <stdio.h>
#include <stdlib.h>

#define LINE_BYTES_MAX 4096

typedef struct outcome {
    text shown, type;
    bool is_error;
} outcome;

static void give_up(const char *what, const char *why)
{
    fprintf(stderr, "check_expressions: %s: %s\n", what, why);
    exit(2);
}

static weir_rc run_result(weir_result *result, outcome *out, weir_error *err)
{
    const schema *s = weir_result_schema(result);

    while (weir_result_kind_of(result) == WEIR_RESULT_ROWS && !weir_result_ended(result)) {
        const batch *rows;
        weir_rc rc = weir_result_next(result, -1, &rows, err);
        if (rc != WEIR_OK) return rc;
        if (rows == NULL) break;
        EACH_ROW(r, rows->live)
        {
            const column *last = &rows->columns[s->count - 1];
            value v = column_get(last, r);
            weir_print_value(&out->shown, last->type, &v, WEIR_PRINT_JSON);
            type_print(&out->type, last->type);
        }
    }
    return WEIR_OK;
}

static void run(weir_session *session, slice sql, outcome *out)
{
    weir_script *script = weir_script_open(session, sql);
    weir_result *result;
    weir_error err;
    weir_rc rc;

    while ((rc = weir_script_next(script, &result, &err)) == WEIR_OK && result != NULL) {
        rc = run_result(result, out, &err);
        weir_result_close(result);
        if (rc != WEIR_OK) break;
    }
    if (rc != WEIR_OK) {
        text_printf(&out->shown, "%s", err.message);
        out->is_error = true;
        if (rc != WEIR_SEMANTIC) text_printf(&out->type, "(not a semantic error)");
    }
    weir_script_close(script);
}

static void trim_end(char *line)
{
    size_t length = strlen(line);

    while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == ' ')) line[--length] = '\0';
}

/* False: the line gives something else, which is told. */
static bool check(weir_session *session, const char *file, int number, char *line)
{
    char *wanted = strstr(line, " ==> "), *type = NULL;
    outcome got = { TEXT_EMPTY, TEXT_EMPTY, false };
    text sql = TEXT_EMPTY;

    if (wanted == NULL) give_up(file, "a line without ==>");
    *wanted = '\0';
    wanted += 5;
    bool is_error = wanted[0] == '!' && wanted[1] == ' ';
    if (is_error) wanted += 2;
    else if ((type = strstr(wanted, " :: ")) != NULL) *type = '\0', type += 4;
    text_printf(&sql, "SELECT %s AS x FROM one;", line);
    run(session, text_slice(&sql), &got);
    const char *shown = got.shown.len > 0 ? got.shown.data : "", *of = got.type.len > 0 ? got.type.data : "";
    bool is_right = is_error ? got.is_error && *of == '\0' && strstr(shown, wanted) != NULL
                             : !got.is_error && strcmp(shown, wanted) == 0 && (type == NULL || strcmp(of, type) == 0);
    if (!is_right) {
        printf("%s:%d: %s\n    wanted %s%s%s%s\n    got    %s%s%s%s\n", file, number, line, is_error ? "! " : "", wanted,
               type != NULL ? " :: " : "", type != NULL ? type : "", got.is_error ? "! " : "", shown, *of != '\0' ? " :: " : "", of);
    }
    text_free(&sql);
    text_free(&got.shown);
    text_free(&got.type);
    return is_right;
}

static int check_file(weir_session *session, const char *name)
{
    char line[LINE_BYTES_MAX];
    int wrong = 0, number = 0;
    FILE *in = fopen(name, "r");

    if (in == NULL) give_up(name, "cannot be opened");
    while (fgets(line, sizeof line, in) != NULL) {
        number++;
        if (strchr(line, '\n') == NULL && !feof(in)) give_up(name, "a line is too long");
        trim_end(line);
        if (line[0] != '\0' && line[0] != '#') wrong += !check(session, name, number, line);
    }
    fclose(in);
    return wrong;
}

static void run_setup(weir_session *session, const char *name)
{
    char bytes[16 << 10];
    outcome out = { TEXT_EMPTY, TEXT_EMPTY, false };
    FILE *in = fopen(name, "r");

    if (in == NULL) give_up(name, "cannot be opened");
    size_t length = fread(bytes, 1, sizeof bytes, in);
    fclose(in);
    run(session, (slice){ bytes, length }, &out);
    if (out.is_error) give_up(name, out.shown.data);
    text_free(&out.shown);
    text_free(&out.type);
}

int main(int count, char **arguments)
{
    const weir_options options = { .is_temporary = true, .is_deterministic = true, .clock = { .is_virtual = true } };
    weir *engine;
    weir_session *session;
    weir_error err;
    int wrong = 0;

    if (count < 3) give_up("usage", "check_expressions SETUP FILE...");
    if (weir_open(&engine, &options, &err) != WEIR_OK) give_up("the engine", err.message);
    if (weir_session_open(&session, engine) != WEIR_OK) give_up("the engine", "no session");
    run_setup(session, arguments[1]);
    for (int i = 2; i < count; i++) wrong += check_file(session, arguments[i]);
    weir_session_close(session);
    weir_close(engine);
    if (wrong > 0) printf("%d lines give something else\n", wrong);
    return wrong > 0;
}
