/* The functions' manual, docs/functions.md, on standard output: from the table of functions, with what each example gives,
 * run by the engine. A function without an example, or an example that fails, ends it with a message and status 1. */
#include "executor/engine.h"
#include "functions/function.h"

#include <stdio.h>
#include <stdlib.h>

static const char SETUP[] =
    "CREATE STREAM visits (site STRING KEY, usr STRING, name STRING, url STRING, country STRING, price DOUBLE, n INT,"
    " prices ARRAY<INT>, height DOUBLE, weight DOUBLE) WITH (kafka_topic='visits', value_format='JSON', partitions=1);"
    "CREATE STREAM once (k STRING KEY) WITH (kafka_topic='once', key_format='JSON', value_format='JSON', partitions=1);"
    "INSERT INTO once (k) VALUES ('k');"
    "INSERT INTO visits VALUES ('weir', 'ann', 'a', '/a', 'DE', 2.5, 1, ARRAY[1, 2], 1.6, 60.0);"
    "INSERT INTO visits VALUES ('weir', 'bob', 'a', '/b', 'FR', 4.0, 2, ARRAY[3], 1.8, 80.0);"
    "INSERT INTO visits VALUES ('weir', 'ann', 'a', '/a', 'DE', 1.5, 3, ARRAY[4], 1.7, 75.0);"
    "INSERT INTO visits VALUES ('weir', 'cem', NULL, NULL, 'DE', 3.0, 4, NULL, NULL, NULL);";

static const char INTRODUCTION[] =
    "# Functions\n"
    "\n"
    "Every function weir has, as `DESCRIBE FUNCTION name` shows it. This page is made by `tests/print_functions.c`, which\n"
    "runs the examples; a test compares it.\n"
    "\n"
    "`T`, `K`, `V` stand for any type, the same wherever the letter stands; `...` for any number of arguments; `UNIT` for\n"
    "`YEARS`, `MONTHS`, `WEEKS`, `DAYS`, `HOURS`, `MINUTES`, `SECONDS` or `MILLISECONDS`. Numbers widen by themselves\n"
    "(`INTEGER`, `BIGINT`, `DECIMAL`, `DOUBLE`). Unless it is said, a null argument gives null, and aggregates leave nulls\n"
    "out. Where a function cannot give a result its column is null, and the reason is written to the processing log.\n"
    "Positions count from 1, and characters are Unicode's. Results stand here as JSON: dates as days since 1970, times and\n"
    "timestamps as milliseconds, `BYTES` in base64.\n";

static const char DATA[] =
    "The examples of aggregates are over these rows:\n"
    "\n"
    "| usr | name | url | country | price | n | prices | height | weight |\n"
    "|---|---|---|---|---|---|---|---|---|\n"
    "| ann | a | /a | DE | 2.5 | 1 | [1, 2] | 1.6 | 60.0 |\n"
    "| bob | a | /b | FR | 4.0 | 2 | [3] | 1.8 | 80.0 |\n"
    "| ann | a | /a | DE | 1.5 | 3 | [4] | 1.7 | 75.0 |\n"
    "| cem | null | null | DE | 3.0 | 4 | null | null | null |\n";

static const struct {
    const char *family, *title;
} FAMILIES[] = {
    { "text", "Text" },         { "regex", "Regular expressions" }, { "json", "JSON" },     { "url", "URLs" },
    { "math", "Numbers" },      { "time", "Dates and times" },      { "null", "Nulls, greatest and least" },
    { "array", "Arrays" },      { "map", "Maps" },                  { "lambda", "Lambdas" },
    { "bytes", "Bytes and identifiers" },                           { "aggregate", "Aggregates" },
};
#define FAMILY_COUNT (sizeof FAMILIES / sizeof *FAMILIES)

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "print_functions: %s: %s\n", what, why);
    exit(1);
}

/* Runs a script; the last column of all rows of the last statement, joined, goes to out. */
static void run(weir_session *session, slice sql, text *out)
{
    weir_script *script = weir_script_open(session, sql);
    weir_result *result;
    weir_error err;

    for (;;) {
        if (weir_script_next(script, &result, &err) != WEIR_OK) fail(sql.data, err.message);
        if (result == NULL) break;
        const schema *s = weir_result_schema(result);
        while (weir_result_kind_of(result) == WEIR_RESULT_ROWS && !weir_result_ended(result)) {
            const batch *rows;
            if (weir_result_next(result, -1, &rows, &err) != WEIR_OK) fail(sql.data, err.message);
            if (rows == NULL) break;
            EACH_ROW(r, rows->live)
            {
                const column *last = &rows->columns[s->count - 1];
                value v = column_get(last, r);
                if (out->len > 0) text_add_c(out, ", then ");
                weir_print_value(out, last->type, &v, WEIR_PRINT_JSON);
            }
        }
        weir_result_close(result);
    }
    weir_script_close(script);
}

static void print_example(weir_session *session, const function *fn)
{
    const char *from = fn->kind == FUNCTION_AGGREGATE ? "visits GROUP BY site" : "once";
    const char *before = fn->kind == FUNCTION_AGGREGATE ? "site, " : "";
    text sql = TEXT_EMPTY, gives = TEXT_EMPTY;

    text_printf(&sql, "SELECT %s%s AS x FROM %s;", before, fn->example, from);
    run(session, text_slice(&sql), &gives);
    if (gives.len == 0) fail(fn->example, "it gave no row");
    if (fn->is_volatile) printf("    %s\n", fn->example);
    else printf("    %s -- %s\n", fn->example, gives.data);
    text_free(&sql);
    text_free(&gives);
}

/* The rows of one name. */
static void print_function(weir_session *session, const function *const *rows, uint32_t count)
{
    bool has_example = false;
    text signature = TEXT_EMPTY;

    printf("\n### %s\n\n", rows[0]->name);
    for (uint32_t i = 0; i < count; i++) {
        bool said = false;
        for (uint32_t k = 0; k < i; k++) said = said || strcmp(rows[k]->description, rows[i]->description) == 0;
        if (!said) printf("%s%s", i > 0 ? " " : "", rows[i]->description);
        if (rows[i]->example != NULL) has_example = true;
    }
    printf("\n\n");
    if (!has_example) fail(rows[0]->name, "it has no example");
    for (uint32_t i = 0; i < count; i++) {
        text_clear(&signature);
        function_print(&signature, rows[i]);
        printf("- `%s`\n", signature.data);
    }
    printf("\n");
    for (uint32_t i = 0; i < count; i++) {
        if (rows[i]->example != NULL) print_example(session, rows[i]);
    }
    text_free(&signature);
}

int main(void)
{
    const weir_options options = { .is_temporary = true, .is_deterministic = true, .clock = { .is_virtual = true } };
    weir *engine;
    weir_session *session;
    weir_error err;
    text none = TEXT_EMPTY;
    uint32_t count, shown = 0, of_families = 0;
    const function *const *all = function_list(&count);

    if (weir_open(&engine, &options, &err) != WEIR_OK) fail("the engine", err.message);
    if (weir_session_open(&session, engine) != WEIR_OK) fail("the engine", "no session");
    run(session, slice_of(SETUP), &none);
    printf("%s", INTRODUCTION);
    for (size_t f = 0; f < FAMILY_COUNT; f++) {
        printf("\n## %s\n", FAMILIES[f].title);
        if (strcmp(FAMILIES[f].family, "aggregate") == 0) printf("\n%s", DATA);
        for (uint32_t i = 0, next; i < count; i = next) {
            for (next = i + 1; next < count && strcmp(all[next]->name, all[i]->name) == 0;) next++;
            if (all[i]->is_hidden) continue;
            shown += f == 0;
            if (strcmp(all[i]->family, FAMILIES[f].family) != 0) continue;
            of_families++;
            print_function(session, &all[i], next - i);
        }
    }
    if (shown != of_families) fail("the table", "a family has no place in the manual");
    text_free(&none);
    weir_session_close(session);
    weir_close(engine);
    return 0;
}
