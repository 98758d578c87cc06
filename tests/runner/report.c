/* tests/runner/report.c - see report.h. */
#include "tests/runner/report.h"

#include "core/json.h"
#include "core/number.h"
#include "storage/storage.h"
#include "tests/runner/schemas.h"

static void print_member(text *out, const char *name)
{
    char last = out->len == 0 ? '{' : out->data[out->len - 1];

    if (last != '{') text_add_c(out, ", ");
    text_printf(out, "\"%s\": ", name);
}

static void print_text_member(text *out, const char *name, slice value)
{
    print_member(out, name);
    if (value.data == NULL) text_add_c(out, "null");
    else print_json_string(out, value);
}

static void print_number_member(text *out, const char *name, int64_t number)
{
    print_member(out, name);
    print_i64(out, number);
}

static void separate(text *out)
{
    if (out->data[out->len - 1] != '[') text_add_c(out, ", ");
}

/* ---- the error ---- */

/* A test line knows five classes: what is wrong with the machine or with weir is internal. */
static const char *class_of(weir_rc rc)
{
    switch (rc) {
    case WEIR_SYNTAX:
    case WEIR_SEMANTIC:
    case WEIR_UNSUPPORTED:
    case WEIR_RUNTIME: return weir_rc_name(rc);
    default: return "internal";
    }
}

static void print_error(text *out, const run *r)
{
    print_member(out, "error");
    if (!r->has_failed) {
        text_add_c(out, "null");
        return;
    }
    text_add_char(out, '{');
    print_text_member(out, "class", slice_of(class_of(r->error.rc)));
    print_text_member(out, "message", slice_of(r->error.message));
    if (r->error.at.line > 0) {
        print_number_member(out, "line", r->error.at.line);
        print_number_member(out, "column", r->error.at.column);
    }
    if (r->failed_statement >= 0) print_number_member(out, "statement", r->failed_statement);
    text_add_char(out, '}');
}

/* ---- records ---- */

static void print_window(text *out, const side *key, int64_t start_ms, int64_t end_ms)
{
    print_member(out, "window");
    text_add_char(out, '{');
    print_number_member(out, "start", start_ms);
    print_number_member(out, "end", end_ms);
    print_text_member(out, "type", key->windowed == WINDOW_SESSION ? SLICE("session") : SLICE("time"));
    text_add_char(out, '}');
}

static void print_headers(text *out, const header_list *list)
{
    print_member(out, "headers");
    text_add_char(out, '[');
    for (uint32_t i = 0; i < list->count; i++) {
        separate(out);
        text_add_char(out, '{');
        print_text_member(out, "KEY", list->items[i].key);
        print_member(out, "VALUE");
        if (list->items[i].value.data == NULL) text_add_c(out, "null");
        else print_base64(out, list->items[i].value);
        text_add_char(out, '}');
    }
    text_add_char(out, ']');
}

static void print_record(text *out, run *r, const topic_note *t, const weir_record *one)
{
    const side *key = t != NULL && t->has_sides ? &t->key : NULL, *value = key == NULL ? NULL : &t->value;
    slice bytes = one->key;
    int64_t start_ms, end_ms;

    separate(out);
    text_add_char(out, '{');
    print_text_member(out, "topic", t == NULL ? NO_SLICE : t->name);
    if (key != NULL && key->windowed != WINDOW_NONE &&
        windowed_key_decode(one->key, key->windowed, key->window_size_ms, &bytes, &start_ms, &end_ms)) {
        print_window(out, key, start_ms, end_ms);
    }
    print_member(out, "key");
    side_print(key, bytes, r->arena, out);
    print_member(out, "value");
    side_print(value, one->value, r->arena, out);
    print_number_member(out, "timestamp", one->timestamp_ms);
    print_headers(out, &one->headers);
    text_add_char(out, '}');
}

static bool was_fed(const topic_note *t, const weir_record *one)
{
    for (uint32_t i = 0; t != NULL && i < t->fed_count; i++) {
        if (t->fed[i].partition == one->partition && t->fed[i].offset == one->offset) return true;
    }
    return false;
}

static weir_rc print_topic_records(text *out, run *r, slice topic, weir_error *err)
{
    const topic_note *t = find_topic(r, topic);
    weir_reader *reader;
    bool has_ended = false;

    WEIR_TRY(weir_reader_open(&reader, r->weir, topic, true, true, err));
    weir_rc rc = WEIR_OK;
    while (rc == WEIR_OK && !has_ended) {
        const weir_record *records;
        uint32_t count;
        rc = weir_reader_next(reader, 100, &records, &count, &has_ended, err);
        for (uint32_t i = 0; rc == WEIR_OK && i < count; i++) {
            if (!was_fed(t, &records[i])) print_record(out, r, t, &records[i]);
        }
    }
    weir_reader_close(reader);
    return rc;
}

/* ---- formats ---- */

static const char *window_name(window_kind kind)
{
    return kind == WINDOW_TUMBLING ? "TUMBLING" : kind == WINDOW_HOPPING ? "HOPPING" : "SESSION";
}

/* Only where the format leaves a choice is it a feature of the topic: of keys always, of values where it was chosen. */
static void print_features(text *out, const char *name, const side *s)
{
    bool found;
    uint32_t traits = format_traits_of(s->spec.name, &found);
    bool has_choice = (traits & FORMAT_WRAPS) && (traits & FORMAT_UNWRAPS);

    print_member(out, name);
    text_add_c(out, has_choice && s->spec.is_unwrapped ? "[\"UNWRAP_SINGLES\"]" : "[]");
}

static void print_properties(text *out, const side *s)
{
    static const char *const nulls[] = { "", "OPTIONAL", "WRAPPER" };
    bool found;
    bool has_nulls = (format_traits_of(s->spec.name, &found) & (FORMAT_NULLS | FORMAT_SCHEMAS)) == (FORMAT_NULLS | FORMAT_SCHEMAS);

    if (s->spec.schema_name.data == NULL && !has_nulls) return;
    print_member(out, "properties");
    text_add_char(out, '{');
    if (s->spec.schema_name.data != NULL) print_text_member(out, "fullSchemaName", s->spec.schema_name);
    if (has_nulls && s->spec.nulls == NULLS_DEFAULT) print_text_member(out, "unwrapPrimitives", SLICE("true"));
    if (has_nulls && s->spec.nulls != NULLS_DEFAULT) print_text_member(out, "nullableRepresentation", slice_of(nulls[s->spec.nulls]));
    text_add_char(out, '}');
}

static void print_schema_members(text *out, const side *s)
{
    text schema = TEXT_EMPTY;

    if (s->spec.schema_id > 0) print_number_member(out, s->is_key ? "keySchemaId" : "valueSchemaId", s->spec.schema_id);
    if (print_schema_of(&schema, &s->spec)) {
        print_member(out, s->is_key ? "keySchema" : "valueSchema");
        text_add(out, text_slice(&schema));
    }
    text_free(&schema);
}

static void print_topic_format(text *out, const char *name, const side *s)
{
    print_member(out, name);
    text_add_char(out, '{');
    print_text_member(out, "format", s->spec.name);
    print_features(out, "features", s);
    print_properties(out, s);
    if (s->windowed != WINDOW_NONE) {
        print_member(out, "windowInfo");
        text_add_char(out, '{');
        print_text_member(out, "type", slice_of(window_name(s->windowed)));
        if (s->windowed != WINDOW_SESSION) print_number_member(out, "size", s->window_size_ms);
        text_add_char(out, '}');
    }
    text_add_char(out, '}');
}

static bool is_repartition(const topic_info *t)
{
    static const char tail[] = "-repartition";
    size_t len = sizeof tail - 1;

    return t->is_internal && t->name.len > len && memcmp(t->name.data + t->name.len - len, tail, len) == 0;
}

static void print_topic(text *out, const run *r, const topic_info *info)
{
    const topic_note *t = find_topic(r, info->name);

    separate(out);
    text_add_char(out, '{');
    print_text_member(out, "name", info->name);
    print_number_member(out, "partitions", t == NULL ? info->partitions : t->partitions);
    print_number_member(out, "replicas", t == NULL ? info->replicas : t->replicas);
    if (t != NULL && t->has_sides) {
        print_topic_format(out, "keyFormat", &t->key);
        print_topic_format(out, "valueFormat", &t->value);
        print_schema_members(out, &t->key);
        print_schema_members(out, &t->value);
    }
    if (is_repartition(info)) print_text_member(out, "internal", SLICE("repartition"));
    text_add_char(out, '}');
}

static void print_source(text *out, run *r, const source *s)
{
    text columns = TEXT_EMPTY;
    side key, value;

    sides_of(s, r->arena, &key, &value);
    schema_print(&columns, &s->schema, s->is_table);
    separate(out);
    text_add_char(out, '{');
    print_text_member(out, "name", s->name);
    print_text_member(out, "type", s->is_table ? SLICE("table") : SLICE("stream"));
    print_text_member(out, "topic", s->topic);
    print_text_member(out, "schema", text_slice(&columns));
    print_member(out, "keyFormat");
    text_add_char(out, '{');
    print_text_member(out, "format", s->key.name);
    if (s->windowed != WINDOW_NONE) print_text_member(out, "windowType", slice_of(window_name(s->windowed)));
    if (s->windowed == WINDOW_TUMBLING || s->windowed == WINDOW_HOPPING) {
        print_number_member(out, "windowSize", s->window_size_ms);
    }
    text_add_char(out, '}');
    print_text_member(out, "valueFormat", s->value.name);
    print_features(out, "keyFeatures", &key);
    print_features(out, "valueFeatures", &value);
    print_member(out, "isSource");
    text_add_c(out, s->is_source ? "true" : "false");
    text_add_char(out, '}');
    text_free(&columns);
}

/* ---- the line ---- */

/* What weir keeps for itself (its command log, its processing log) is no part of a case. */
static bool is_own(const topic_info *topics, uint32_t count, slice name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (slice_equal(topics[i].name, name)) return topics[i].is_internal && !is_repartition(&topics[i]);
    }
    return false;
}

static void print_outcome(text *out, run *r)
{
    topic_info *topics;
    uint32_t count = 0, source_count;
    const source *const *sources = catalog_sources(r->weir->catalog, &source_count);
    weir_error err;

    weir_rc rc = topic_list(r->weir->storage, r->arena, &topics, &count, &err);
    print_member(out, "records");
    text_add_char(out, '[');
    for (uint32_t i = 0; rc == WEIR_OK && i < count; i++) {
        if (!topics[i].is_internal) rc = print_topic_records(out, r, topics[i].name, &err);
    }
    text_add_char(out, ']');
    print_member(out, "topics");
    text_add_char(out, '[');
    for (uint32_t i = 0; rc == WEIR_OK && i < count; i++) {
        if (!is_own(topics, count, topics[i].name)) print_topic(out, r, &topics[i]);
    }
    text_add_char(out, ']');
    print_member(out, "sources");
    text_add_char(out, '[');
    for (uint32_t i = 0; i < source_count; i++) {
        if (!is_own(topics, count, sources[i]->topic)) print_source(out, r, sources[i]);
    }
    text_add_char(out, ']');
    if (r->is_rest) {
        print_member(out, "responses");
        text_printf(out, "[%.*s]", SLICE_ARG(text_slice(&r->responses)));
    }
    if (rc != WEIR_OK && !r->has_failed) {
        r->has_failed = true;
        r->error = err;
    }
}

void report_case(text *out, run *r)
{
    text outcome = TEXT_EMPTY;

    text_add_char(&outcome, '{');
    if (r->weir != NULL) print_outcome(&outcome, r);
    text_add_char(out, '{');
    print_text_member(out, "id", node_member_text(r->data, "id"));
    print_error(out, r);
    if (outcome.len > 1) text_printf(out, ", %s", outcome.data + 1);
    text_add_c(out, "}\n");
    text_free(&outcome);
}
