/* planner/command_text.c - commands as the log keeps them. */
#include "planner/lines.h"
#include "planner/planner.h"

#define COMMAND_VERSION 1

static const char *const COMMAND_NAMES[] = { "CREATE_SOURCE", "INSERT_INTO", "DROP_SOURCE", "TERMINATE", "PAUSE",
                                             "RESUME",        "CREATE_TYPE", "DROP_TYPE",   "ALTER_SYSTEM" };
#define COMMAND_KINDS (sizeof COMMAND_NAMES / sizeof COMMAND_NAMES[0])

static void print_source(text *out, const source *s)
{
    line_text(out, "source", s->name);
    line_number(out, "table", s->is_table);
    line_number(out, "read-only", s->is_source);
    line_schema(out, "columns", &s->schema);
    line_text(out, "topic", s->topic);
    line_number(out, "partitions", s->partitions);
    line_number(out, "replicas", s->replicas);
    line_number(out, "retention-ms", s->retention_ms);
    line_format(out, "key-format", &s->key);
    line_format(out, "value-format", &s->value);
    line_number(out, "windowed", s->windowed);
    line_number(out, "window-size-ms", s->window_size_ms);
    line_number(out, "timestamp-column", s->timestamp_column);
    line_text(out, "timestamp-format", s->timestamp_format);
    line_text(out, "source-sql", s->sql);
    line_text(out, "made-by", s->query_id);
}

void command_print(text *out, const command *what)
{
    line_number(out, "weir-command", COMMAND_VERSION);
    line_text(out, "kind", slice_of(COMMAND_NAMES[what->kind]));
    line_number(out, "replaces", what->replaces);
    line_number(out, "deletes-topic", what->deletes_topic);
    line_text(out, "name", what->name);
    line_text(out, "value", what->value);
    line_text(out, "sql", what->sql);
    line_type(out, "type", what->type);
    line_number(out, "has-source", what->source != NULL);
    if (what->source != NULL) print_source(out, what->source);
    line_number(out, "has-plan", what->plan != NULL);
    if (what->plan != NULL) plan_print(out, what->plan);
}

void command_release(const command *what)
{
    if (what->plan != NULL) plan_release(what->plan);
}

static weir_rc read_i32(line_reader *r, const char *name, int32_t least, int32_t *out)
{
    int64_t number;

    WEIR_TRY(read_number_line(r, name, least, INT32_MAX, &number));
    *out = (int32_t)number;
    return WEIR_OK;
}

static weir_rc read_source(line_reader *r, source *s)
{
    int64_t windowed;

    WEIR_TRY(read_text(r, "source", &s->name));
    WEIR_TRY(read_flag(r, "table", &s->is_table));
    WEIR_TRY(read_flag(r, "read-only", &s->is_source));
    WEIR_TRY(read_schema(r, "columns", &s->schema));
    WEIR_TRY(read_text(r, "topic", &s->topic));
    WEIR_TRY(read_i32(r, "partitions", 1, &s->partitions));
    WEIR_TRY(read_i32(r, "replicas", 0, &s->replicas));
    WEIR_TRY(read_number_line(r, "retention-ms", -1, INT64_MAX, &s->retention_ms));
    WEIR_TRY(read_format_line(r, "key-format", &s->key));
    s->key.is_key = true;
    WEIR_TRY(read_format_line(r, "value-format", &s->value));
    WEIR_TRY(read_number_line(r, "windowed", 0, WINDOW_SESSION, &windowed));
    s->windowed = (window_kind)windowed;
    WEIR_TRY(read_number_line(r, "window-size-ms", 0, INT64_MAX, &s->window_size_ms));
    WEIR_TRY(read_i32(r, "timestamp-column", -1, &s->timestamp_column));
    if (s->timestamp_column >= (int64_t)s->schema.count) return fail_line(r, "names no column");
    WEIR_TRY(read_text(r, "timestamp-format", &s->timestamp_format));
    WEIR_TRY(read_text(r, "source-sql", &s->sql));
    return read_text(r, "made-by", &s->query_id);
}

static weir_rc read_command(line_reader *r, command *out)
{
    slice name;
    size_t kind = 0;
    int64_t version;
    bool has_source, has_plan;

    WEIR_TRY(read_number_line(r, "weir-command", 0, INT32_MAX, &version));
    if (version != COMMAND_VERSION) {
        return weir_fail(r->err, WEIR_STORAGE, NOWHERE, "a stored command has format %lld; this weir reads %d",
                         (long long)version, COMMAND_VERSION);
    }
    WEIR_TRY(read_text(r, "kind", &name));
    while (kind < COMMAND_KINDS && !slice_is(name, COMMAND_NAMES[kind])) kind++;
    if (kind == COMMAND_KINDS) return fail_line(r, "is a command of unknown kind");
    out->kind = (command_kind)kind;
    WEIR_TRY(read_flag(r, "replaces", &out->replaces));
    WEIR_TRY(read_flag(r, "deletes-topic", &out->deletes_topic));
    WEIR_TRY(read_text(r, "name", &out->name));
    WEIR_TRY(read_text(r, "value", &out->value));
    WEIR_TRY(read_text(r, "sql", &out->sql));
    WEIR_TRY(read_type(r, "type", &out->type));
    WEIR_TRY(read_flag(r, "has-source", &has_source));
    if (has_source) {
        source *s = ARENA_NEW(r->arena, source);
        WEIR_TRY(read_source(r, s));
        out->source = s;
    }
    WEIR_TRY(read_flag(r, "has-plan", &has_plan));
    if (!has_plan) return WEIR_OK;
    plan *p = ARENA_NEW(r->arena, plan);
    out->plan = p;
    return plan_parse(r->rest, r->arena, p, r->err);
}

weir_rc command_parse(slice in, arena *a, command *out, weir_error *err)
{
    line_reader r = { .rest = in, .arena = a, .err = err, .what = "command" };

    *out = (command){ 0 };
    weir_rc rc = read_command(&r, out);
    if (rc == WEIR_OK || rc == WEIR_STORAGE) return rc;
    char why[WEIR_MESSAGE_BYTES];
    memcpy(why, err->message, sizeof why);
    return weir_fail(err, WEIR_STORAGE, NOWHERE, "a stored command cannot be read: line %u: %.900s", r.line, why);
}
