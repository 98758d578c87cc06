/* planner/assert.c - what ASSERT STREAM, TABLE and TOPIC say, held against what is there. */
#include "planner/build.h"

static weir_rc fail_differs(weir_error *err, sql_pos at, slice owner, const char *what, slice found, slice asserted)
{
    return weir_fail(err, WEIR_SEMANTIC, at, "%.*s has %s %.*s, not %.*s", SLICE_ARG(owner), what, SLICE_ARG(found),
                     SLICE_ARG(asserted));
}

static weir_rc check_number(weir_error *err, sql_pos at, slice owner, const char *what, int64_t found, int64_t asserted)
{
    if (asserted < 0 || found == asserted) return WEIR_OK;
    return weir_fail(err, WEIR_SEMANTIC, at, "%.*s has %lld %s, not %lld", SLICE_ARG(owner), (long long)found, what,
                     (long long)asserted);
}

static weir_rc check_columns(const planner_env *env, const statement *s, const source *there, arena *a, weir_error *err)
{
    schema asserted;
    text shown = TEXT_EMPTY;

    if (!s->create.has_columns) return WEIR_OK;
    WEIR_TRY(declared_schema(env, &s->create.columns, there->is_table, a, &asserted, err));
    if (!schema_print_difference(&shown, &asserted, &there->schema)) return WEIR_OK;
    text_printf(&shown, "; %.*s has ", SLICE_ARG(there->name));
    schema_print(&shown, &there->schema, there->is_table);
    weir_rc rc = weir_fail(err, WEIR_SEMANTIC, s->create.name.at, "%s", shown.data);
    text_free(&shown);
    return rc;
}

static weir_rc check_text(weir_error *err, sql_pos at, const source *there, const char *what, slice found, slice asserted,
                          bool tells_case)
{
    if (asserted.data == NULL) return WEIR_OK;
    if (tells_case ? slice_equal(found, asserted) : slice_equal_nocase(found, asserted)) return WEIR_OK;
    return fail_differs(err, at, there->name, what, found.data == NULL ? SLICE("none") : found, asserted);
}

static weir_rc check_properties(const statement *s, const source *there, arena *a, weir_error *err)
{
    with_values with;
    sql_pos at = s->create.name.at;
    slice time_column = there->timestamp_column < 0 ? NO_SLICE : there->schema.columns[there->timestamp_column].name;

    WEIR_TRY(read_with(&s->create.with, WITH_CREATE, a, &with, err));
    WEIR_TRY(check_text(err, with.topic_at, there, "the topic", there->topic, with.topic, true));
    WEIR_TRY(check_text(err, with.key_format_at, there, "the key format", there->key.name, with.key_format, false));
    WEIR_TRY(check_text(err, with.value_format_at, there, "the value format", there->value.name, with.value_format, false));
    WEIR_TRY(check_text(err, at, there, "the key delimiter", there->key.delimiter, with.key_delimiter, true));
    WEIR_TRY(check_text(err, at, there, "the value delimiter", there->value.delimiter, with.value_delimiter, true));
    WEIR_TRY(check_text(err, with.timestamp_at, there, "the TIMESTAMP column", time_column, with.timestamp, true));
    WEIR_TRY(check_text(err, with.timestamp_format_at, there, "the TIMESTAMP_FORMAT", there->timestamp_format, with.timestamp_format,
                        true));
    WEIR_TRY(check_number(err, with.partitions_at, there->name, "partitions", there->partitions, with.partitions));
    WEIR_TRY(check_number(err, at, there->name, "replicas", there->replicas, with.replicas));
    WEIR_TRY(check_number(err, with.retention_at, there->name, "ms of retention", there->retention_ms, with.retention_ms));
    if (with.wrap >= 0 && (with.wrap != 0) == there->value.is_unwrapped) {
        return weir_fail(err, WEIR_SEMANTIC, with.wrap_at, "the value of %.*s %s wrapped", SLICE_ARG(there->name),
                         with.wrap ? "is not" : "is");
    }
    if (with.windowed != WINDOW_NONE && (with.windowed != there->windowed || (with.window_size_ms >= 0 && with.window_size_ms != there->window_size_ms))) {
        return weir_fail(err, WEIR_SEMANTIC, with.windowed_at, "the windows of the key of %.*s are others", SLICE_ARG(there->name));
    }
    return WEIR_OK;
}

weir_rc check_asserted_source(const planner_env *env, const statement *s, arena *a, weir_error *err)
{
    builder b = { .arena = a, .env = env, .err = err };
    const source *there;
    bool is_table = s->create.kind == SOURCE_TABLE;

    WEIR_TRY(find_source(&b, &s->create.name, &there));
    if (there->is_table != is_table) {
        return weir_fail(err, WEIR_SEMANTIC, s->create.name.at, "%.*s is a %s, not a %s", SLICE_ARG(there->name),
                         there->is_table ? "table" : "stream", is_table ? "table" : "stream");
    }
    WEIR_TRY(check_columns(env, s, there, a, err));
    return check_properties(s, there, a, err);
}

weir_rc check_asserted_topic(const statement *s, int32_t partitions, int32_t replicas, arena *a, weir_error *err)
{
    with_values with;
    slice topic = s->assert_topic.topic;

    WEIR_TRY(read_with(&s->assert_topic.with, WITH_ASSERT_TOPIC, a, &with, err));
    if (s->assert_topic.not_exists) {
        if (partitions == 0) return WEIR_OK;
        return weir_fail(err, WEIR_SEMANTIC, s->assert_topic.topic_at, "topic %.*s exists", SLICE_ARG(topic));
    }
    if (partitions == 0) {
        return weir_fail(err, WEIR_SEMANTIC, s->assert_topic.topic_at, "topic %.*s does not exist", SLICE_ARG(topic));
    }
    WEIR_TRY(check_number(err, with.partitions_at, topic, "partitions", partitions, with.partitions));
    return check_number(err, s->assert_topic.topic_at, topic, "replicas", replicas, with.replicas);
}
