/* executor/show.c - SHOW, DESCRIBE, EXPLAIN, PRINT: what there is, as listings. */
#include "executor/weir.h"

#include <stdio.h>
#include <stdlib.h>

#define ROW(r, ...) result_row((r), (const slice[]){ __VA_ARGS__ })

static slice number(arena *a, long long n)
{
    return arena_printf(a, "%lld", n);
}

static weir_result *show_sources(const weir *w, bool tables, arena *a)
{
    const char *const stream_columns[] = { "Stream Name", "Kafka Topic", "Key Format", "Value Format", "Windowed" };
    const char *const table_columns[] = { "Table Name", "Kafka Topic", "Key Format", "Value Format", "Windowed" };
    weir_result *r = result_listing(tables ? "tables" : "streams", tables ? table_columns : stream_columns, 5);
    uint32_t count;
    const source *const *all = catalog_sources(w->catalog, &count);

    (void)a;
    for (uint32_t i = 0; i < count; i++) {
        if (all[i]->is_table != tables) continue;
        ROW(r, all[i]->name, all[i]->topic, all[i]->key.name, all[i]->value.name,
            all[i]->windowed == WINDOW_NONE ? SLICE("false") : SLICE("true"));
    }
    return r;
}

static weir_rc show_topics(weir *w, bool all, arena *a, weir_result **out, weir_error *err)
{
    const char *const columns[] = { "Topic Name", "Partitions", "Replicas" };
    topic_info *topics;
    uint32_t count;

    WEIR_TRY(topic_list(w->storage, a, &topics, &count, err));
    *out = result_listing("kafka_topics", columns, 3);
    for (uint32_t i = 0; i < count; i++) {
        if (topics[i].is_internal && !all) continue;
        ROW(*out, topics[i].name, number(a, topics[i].partitions), number(a, topics[i].replicas));
    }
    return WEIR_OK;
}

static const char *query_word(weir *w, const query_entry *e)
{
    static const char *const words[] = { "STARTING", "RUNNING", "PAUSED", "ENDED", "ERROR" };
    query *q = find_query(w, e->id);

    if (q == NULL && e->status == QUERY_PAUSED) return "PAUSED";
    if (q == NULL) return storage_engine_owner(w->storage) != 0 ? "IN ANOTHER PROCESS" : "NOT STARTED";
    return words[query_state_of(q, NULL)];
}

static weir_result *show_queries(weir *w, bool extended, arena *a)
{
    const char *const columns[] = { "Query ID", "Sink Name", "Status", "Query String", "Rows In", "Rows Out", "Bad", "Late",
                                    "Epochs", "State Bytes", "Last Error" };
    weir_result *r = result_listing("queries", columns, extended ? 11 : 4);
    uint32_t count;
    const query_entry *const *all = catalog_queries(w->catalog, &count);

    for (uint32_t i = 0; i < count; i++) {
        query_stats stats = { .epochs = 0 };
        query *q = find_query(w, all[i]->id);
        if (q != NULL) query_stats_of(q, &stats);
        ROW(r, all[i]->id, all[i]->sink, slice_of(query_word(w, all[i])), all[i]->plan.sql,
            number(a, (long long)stats.counts.rows_in), number(a, (long long)stats.counts.rows_out),
            number(a, (long long)stats.counts.bad_rows), number(a, (long long)stats.counts.late_rows),
            number(a, (long long)stats.epochs), number(a, (long long)stats.state_bytes),
            stats.last_error[0] == '\0' ? NO_SLICE : arena_copy(a, slice_of(stats.last_error)));
    }
    return r;
}

static slice kind_word(function_kind kind)
{
    return kind == FUNCTION_SCALAR ? SLICE("SCALAR") : kind == FUNCTION_AGGREGATE ? SLICE("AGGREGATE") : SLICE("TABLE");
}

static weir_result *show_functions(void)
{
    const char *const columns[] = { "Function Name", "Category", "Kind" };
    weir_result *r = result_listing("function_names", columns, 3);
    uint32_t count;
    const function *const *all = function_list(&count);

    for (uint32_t i = 0; i < count; i++) {
        if (all[i]->is_hidden || (i > 0 && strcmp(all[i]->name, all[i - 1]->name) == 0)) continue;
        ROW(r, slice_of(all[i]->name), slice_of(all[i]->family), kind_word(all[i]->kind));
    }
    return r;
}

static weir_rc describe_function(slice name, sql_pos at, arena *a, weir_result **out, weir_error *err)
{
    const char *const columns[] = { "Signature", "Kind", "Category", "Description", "Example" };
    uint32_t count, found = 0;
    const function *const *all = function_list(&count);
    text signature = TEXT_EMPTY;

    *out = result_listing("describe_function", columns, 5);
    for (uint32_t i = 0; i < count; i++) {
        if (all[i]->is_hidden || !slice_equal_nocase(name, slice_of(all[i]->name))) continue;
        found++;
        text_clear(&signature);
        function_print(&signature, all[i]);
        ROW(*out, arena_copy(a, text_slice(&signature)), kind_word(all[i]->kind), slice_of(all[i]->family),
            slice_of(all[i]->description), slice_of(all[i]->example == NULL ? "" : all[i]->example));
    }
    text_free(&signature);
    if (found > 0) return WEIR_OK;
    weir_result_close(*out);
    *out = NULL;
    resolved none;
    return function_resolve(name, NULL, 0, NULL, at, a, &none, err); /* which says what may be meant */
}

static weir_result *show_properties(const weir_session *s)
{
    const char *const columns[] = { "Property", "Value", "Default", "Meaning" };
    weir_result *r = result_listing("properties", columns, 4);

    for (uint32_t i = 0; i < setting_count(); i++) {
        const char *name, *value_default, *meaning;
        setting_at(i, &name, &value_default, &meaning);
        ROW(r, slice_of(name), setting_value(s, name), slice_of(value_default), slice_of(meaning));
    }
    return r;
}

static weir_result *show_types(const weir *w, arena *a)
{
    const char *const columns[] = { "Type Name", "Schema" };
    weir_result *r = result_listing("type_list", columns, 2);
    uint32_t count;
    const custom_type *const *all = catalog_types(w->catalog, &count);

    for (uint32_t i = 0; i < count; i++) ROW(r, all[i]->name, type_text(a, all[i]->type));
    return r;
}

static weir_result *show_variables(const weir_session *s)
{
    const char *const columns[] = { "Variable Name", "Value" };
    weir_result *r = result_listing("variables", columns, 2);

    for (uint32_t i = 0; i < variables_count(s->variables); i++) {
        slice name, defined;
        variables_at(s->variables, i, &name, &defined);
        ROW(r, name, defined);
    }
    return r;
}

static weir_result *describe_source(weir *w, const source *s, bool extended, arena *a)
{
    const char *const columns[] = { "Field", "Type" };
    weir_result *r = result_listing("sourceDescription", columns, 2);
    uint32_t count;

    for (uint32_t i = 0; i < s->schema.count; i++) {
        const schema_column *c = &s->schema.columns[i];
        const char *role = i >= s->schema.key_count ? "" : s->is_table ? " (primary key)" : " (key)";
        ROW(r, c->name, arena_printf(a, "%.*s%s%s", SLICE_ARG(type_text(a, c->type)), role,
                                     c->is_headers || c->header_key.data != NULL ? " (headers)" : ""));
    }
    if (!extended) return r;
    ROW(r, SLICE("-- kind"), s->is_table ? SLICE("TABLE") : SLICE("STREAM"));
    ROW(r, SLICE("-- topic"), arena_printf(a, "%.*s (%d partitions)", SLICE_ARG(s->topic), s->partitions));
    ROW(r, SLICE("-- key format"), s->key.name);
    ROW(r, SLICE("-- value format"), s->value.name);
    ROW(r, SLICE("-- statement"), s->sql);
    const query_entry *const *all = catalog_queries(w->catalog, &count);
    for (uint32_t i = 0; i < count; i++) {
        query *q = find_query(w, all[i]->id);
        if (!slice_equal(all[i]->sink, s->name)) continue;
        query_stats stats = { .epochs = 0 };
        if (q != NULL) query_stats_of(q, &stats);
        ROW(r, SLICE("-- written by"), arena_printf(a, "%.*s: %s, in %llu, out %llu, bad %llu, late %llu, state %zu bytes%s%s",
            SLICE_ARG(all[i]->id), query_word(w, all[i]), (unsigned long long)stats.counts.rows_in,
            (unsigned long long)stats.counts.rows_out, (unsigned long long)stats.counts.bad_rows,
            (unsigned long long)stats.counts.late_rows, stats.state_bytes, stats.last_bad[0] == '\0' ? "" : "; last bad row: ", stats.last_bad));
    }
    return r;
}

static weir_rc describe(weir_session *s, const statement *what, arena *a, weir_result **out, weir_error *err)
{
    weir *w = s->weir;

    switch (what->describe.what) {
    case DESCRIBE_STREAMS: *out = show_sources(w, false, a); return WEIR_OK;
    case DESCRIBE_TABLES: *out = show_sources(w, true, a); return WEIR_OK;
    case DESCRIBE_FUNCTION: return describe_function(what->describe.name.name, what->describe.name.at, a, out, err);
    case DESCRIBE_SOURCE: {
        const source *found = catalog_source(w->catalog, what->describe.name.name);
        if (found == NULL) {
            return weir_fail(err, WEIR_SEMANTIC, what->describe.name.at, "there is no stream or table %.*s",
                             SLICE_ARG(what->describe.name.name));
        }
        *out = describe_source(w, found, what->describe.extended, a);
        return WEIR_OK;
    }
    case DESCRIBE_CONNECTOR: break;
    }
    return weir_fail(err, WEIR_UNSUPPORTED, what->at, "connectors are not supported: weir reads and writes topics");
}

static weir_result *lines_of(const char *entity, const char *title, slice lines)
{
    const char *const columns[] = { title };
    weir_result *r = result_listing(entity, columns, 1);

    while (lines.len > 0) {
        const char *end = memchr(lines.data, '\n', lines.len);
        size_t len = end == NULL ? lines.len : (size_t)(end - lines.data);
        ROW(r, ((slice){ lines.data, len }));
        len += end != NULL;
        lines = (slice){ lines.data + len, lines.len - len };
    }
    return r;
}

static weir_rc explain(weir_session *s, const statement *what, arena *a, weir_result **out, weir_error *err)
{
    const plan *p = NULL;
    planned planned_statement = { 0 };

    if (what->explain.analyze) return weir_fail(err, WEIR_UNSUPPORTED, what->at, "EXPLAIN ANALYZE is not supported yet");
    if (what->explain.inner == NULL) {
        const query_entry *e = catalog_query(s->weir->catalog, what->explain.query_id.name);
        if (e == NULL) {
            return weir_fail(err, WEIR_SEMANTIC, what->explain.query_id.at, "there is no query %.*s; SHOW QUERIES lists them",
                             SLICE_ARG(what->explain.query_id.name));
        }
        p = &e->plan;
    } else {
        planner_env env;
        planner_env_of(s, &env);
        WEIR_TRY(plan_statement(&env, what->explain.inner, a, &planned_statement, err));
        p = planned_statement.kind == PLANNED_QUERY ? &planned_statement.plan : planned_statement.command.plan;
        if (p == NULL) return weir_fail(err, WEIR_SEMANTIC, what->at, "EXPLAIN takes a query: this statement runs none");
    }
    text lines = TEXT_EMPTY;
    plan_explain(&lines, p);
    if (what->explain.inner != NULL) plan_release(p);
    *out = lines_of("queryDescription", "Plan", text_slice(&lines));
    text_free(&lines);
    return WEIR_OK;
}

static weir_rc print_topic(weir_session *s, const statement *what, arena *a, weir_result **out, weir_error *err)
{
    static const char *const columns[] = { "Record" };
    slice topic = what->print.topic;
    topic_info info;
    bool found;

    WEIR_TRY(topic_find(s->weir->storage, topic, &info, &found, err));
    if (!found) {
        return weir_fail(err, WEIR_SEMANTIC, what->print.topic_at, "there is no topic %.*s; SHOW TOPICS lists them", SLICE_ARG(topic));
    }
    if (what->print.interval > 1) {
        return weir_fail(err, WEIR_UNSUPPORTED, what->at, "PRINT ... INTERVAL is not supported yet");
    }
    (void)a;
    *out = result_listing("print", columns, 1);
    (*out)->kind = WEIR_RESULT_LINES;
    (*out)->rows = NULL;
    (*out)->session = s;
    (*out)->lines_left = what->print.limit < 0 ? UINT64_MAX : (uint64_t)what->print.limit;
    weir_rc rc = weir_reader_open(&(*out)->reader, s->weir, topic, what->print.from_beginning, false, err);
    if (rc == WEIR_OK) return WEIR_OK;
    weir_result_close(*out);
    *out = NULL;
    return rc;
}

weir_rc show_statement(weir_session *s, const statement *what, arena *a, weir_result **out, weir_error *err)
{
    weir *w = s->weir;

    if (what->kind == STATEMENT_DESCRIBE) return describe(s, what, a, out, err);
    if (what->kind == STATEMENT_EXPLAIN) return explain(s, what, a, out, err);
    if (what->kind == STATEMENT_PRINT) return print_topic(s, what, a, out, err);
    switch (what->show.what) {
    case SHOW_STREAMS: *out = show_sources(w, false, a); return WEIR_OK;
    case SHOW_TABLES: *out = show_sources(w, true, a); return WEIR_OK;
    case SHOW_TOPICS: return show_topics(w, what->show.all, a, out, err);
    case SHOW_QUERIES: *out = show_queries(w, what->show.extended, a); return WEIR_OK;
    case SHOW_FUNCTIONS: *out = show_functions(); return WEIR_OK;
    case SHOW_PROPERTIES: *out = show_properties(s); return WEIR_OK;
    case SHOW_TYPES: *out = show_types(w, a); return WEIR_OK;
    case SHOW_VARIABLES: *out = show_variables(s); return WEIR_OK;
    default: break;
    }
    return weir_fail(err, WEIR_UNSUPPORTED, what->at, "connectors are not supported: weir reads and writes topics");
}
