/* tests/fuzz/fuzz_plan.c - any text as a statement, all the way to its plan, against a catalog of several sources; or, where
 * the first byte says so, as the stored text of a plan or of a command. What is planned or read prints, reads back and
 * prints alike. */
#include "parser/parser.h"
#include "planner/planner.h"
#include "storage/registry.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const SOURCES =
    "CREATE TYPE place AS STRUCT<town STRING, pos STRUCT<x DOUBLE, y DOUBLE>>;"
    "CREATE STREAM s (k STRING KEY, i INT, l BIGINT, d DOUBLE, n DECIMAL(12, 3), t STRING, b BOOLEAN, y BYTES, ts TIMESTAMP, da DATE, ti TIME,"
    " a ARRAY<INT>, m MAP<STRING, DOUBLE>, p PLACE, h ARRAY<STRUCT<key STRING, value BYTES>> HEADERS) "
    "WITH (kafka_topic='there', value_format='JSON');"
    "CREATE STREAM r (k STRING KEY, i INT, t STRING, at_ms BIGINT) WITH (kafka_topic='r', value_format='AVRO', timestamp='at_ms', partitions=4);"
    "CREATE STREAM w (k STRING KEY, i INT) WITH (kafka_topic='w', format='JSON', window_type='TUMBLING', window_size='5 SECONDS', partitions=4);"
    "CREATE STREAM nk (i INT, t STRING) WITH (kafka_topic='nk', value_format='DELIMITED', partitions=4);"
    "CREATE TABLE u (id STRING PRIMARY KEY, name STRING, age INT, other STRING) WITH (kafka_topic='u', format='PROTOBUF', partitions=4);"
    "CREATE TABLE v (id STRING PRIMARY KEY, a INT, b INT) WITH (kafka_topic='v', value_format='JSON_SR', partitions=4);"
    "CREATE TABLE pairs (x INT PRIMARY KEY, y STRING PRIMARY KEY, z INT) WITH (kafka_topic='pairs', format='JSON', partitions=4);"
    "CREATE SOURCE TABLE st (id STRING PRIMARY KEY, n INT) WITH (kafka_topic='st', value_format='JSON', partitions=4);"
    "CREATE TABLE hits AS SELECT k, COUNT(*) AS c, SUM(i) AS total FROM s GROUP BY k;"
    "CREATE TABLE windows AS SELECT k, COUNT(*) AS c FROM s WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY k;"
    "CREATE TABLE sessions AS SELECT k, COUNT(*) AS c FROM s WINDOW SESSION (10 SECONDS) GROUP BY k;"
    "CREATE STREAM copy AS SELECT k, i, t FROM s PARTITION BY k;";

static catalog *all;
static registry *schemas;
static planner_env env;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static weir_rc topic_partitions(void *self, slice topic, int32_t *partitions, int32_t *replicas, weir_error *err)
{
    (void)self;
    (void)err;
    *partitions = slice_is(topic, "there") ? 4 : 0;
    *replicas = 1;
    return WEIR_OK;
}

static slice setting(void *self, const char *name)
{
    (void)self;
    (void)name;
    return NO_SLICE;
}

static void fail(const char *what, slice first, slice second)
{
    fprintf(stderr, "%s\n%.*s\n%.*s\n", what, SLICE_ARG(first), SLICE_ARG(second));
    abort();
}

static bool begins(slice s, const char *with)
{
    return s.len >= strlen(with) && memcmp(s.data, with, strlen(with)) == 0;
}

static void make_sources(void)
{
    variables *none = variables_new();
    parser *p = parser_open(slice_of(SOURCES));
    statement *s;
    weir_error err;

    all = catalog_new();
    schemas = registry_open_local(NULL);
    env = (planner_env){ .catalog = all, .registry = schemas, .topic_partitions = topic_partitions, .setting = setting, .now_ms = 77 };
    for (;;) {
        arena *a = arena_new(0);
        planned planned;
        if (parser_next(p, a, none, &s, &err) != WEIR_OK) fail("a source does not parse", slice_of(err.message), NO_SLICE);
        if (s != NULL && (plan_statement(&env, s, a, &planned, &err) != WEIR_OK || catalog_apply(all, &planned.command, &err) != WEIR_OK))
            fail("a source is refused", s->text, slice_of(err.message));
        if (s != NULL) command_release(&planned.command);
        arena_free(a);
        if (s == NULL) break;
    }
    parser_close(p);
    variables_free(none);
}

/* Frees both. */
static void must_be_alike(text *once, text *twice)
{
    if (!slice_equal(text_slice(once), text_slice(twice))) fail("prints otherwise", text_slice(once), text_slice(twice));
    text_free(once);
    text_free(twice);
}

static void there_and_back(const plan *p)
{
    text once = TEXT_EMPTY, twice = TEXT_EMPTY;
    arena *a = arena_new(0);
    weir_error err;
    plan read;

    plan_explain(&once, p);
    text_clear(&once);
    plan_print(&once, p);
    if (plan_parse(text_slice(&once), a, &read, &err) != WEIR_OK) fail("does not read back", text_slice(&once), slice_of(err.message));
    plan_print(&twice, &read);
    must_be_alike(&once, &twice);
    plan_release(&read);
    arena_free(a);
}

static void command_there_and_back(const command *c)
{
    text once = TEXT_EMPTY, twice = TEXT_EMPTY;
    arena *a = arena_new(0);
    weir_error err;
    command read;

    command_print(&once, c);
    if (command_parse(text_slice(&once), a, &read, &err) != WEIR_OK) fail("does not read back", text_slice(&once), slice_of(err.message));
    command_print(&twice, &read);
    must_be_alike(&once, &twice);
    command_release(&read);
    arena_free(a);
}

static void plan_one(const statement *s, arena *a)
{
    planned planned = { 0 };
    weir_error err = { 0 };

    if (plan_statement(&env, s, a, &planned, &err) != WEIR_OK) {
        if (err.rc == WEIR_INTERNAL || err.message[0] == '\0') fail("an error without a cause", s->text, slice_of(err.message));
        return;
    }
    if (planned.kind == PLANNED_COMMAND) {
        command_there_and_back(&planned.command);
        (void)!catalog_check(all, &planned.command, s->at, &err);
        command_release(&planned.command);
    } else if (planned.kind == PLANNED_QUERY) {
        if (planned.plan.mode != PLAN_SNAPSHOT) there_and_back(&planned.plan);
        plan_release(&planned.plan);
    }
}

static void plan_statements(slice sql, arena *a)
{
    variables *none = variables_new();
    parser *p = parser_open(sql);
    weir_error err;
    statement *s;

    while (parser_next(p, a, none, &s, &err) == WEIR_OK && s != NULL) {
        if (s->kind <= STATEMENT_DROP_TYPE) plan_one(s, a);
    }
    parser_close(p);
    variables_free(none);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (all == NULL) make_sources();
    slice in = { (const char *)data, bytes };
    arena *a = arena_new(0);
    weir_error err;
    command c;
    plan p;

    if (begins(in, "weir-plan ")) {
        if (plan_parse(in, a, &p, &err) == WEIR_OK) {
            there_and_back(&p);
            plan_release(&p);
        }
    } else if (begins(in, "weir-command ")) {
        if (command_parse(in, a, &c, &err) == WEIR_OK) {
            command_there_and_back(&c);
            command_release(&c);
        }
    } else {
        plan_statements(in, a);
    }
    arena_free(a);
    return 0;
}
