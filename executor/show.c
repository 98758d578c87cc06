/* executor/show.c - SHOW, DESCRIBE, EXPLAIN, PRINT: what there is, as listings. */
#include "executor/weir.h"

#include "core/nearest.h"

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

const char *query_word(weir *w, const query_entry *e)
{
    static const char *const words[] = { "STARTING", "RUNNING", "PAUSED", "ENDED", "ERROR", "WAITING" };
    query *q = find_query(w, e->id);
    query_numbers numbers;

    if (q != NULL) return words[query_state_of(q, NULL)];
    if (e->status == QUERY_PAUSED) return "PAUSED";
    if (numbers_of(w, e->id, &numbers)) return words[numbers.state];
    return storage_engine_owner(w->storage) != 0 ? "IN ANOTHER PROCESS" : "NOT STARTED";
}

static slice rate_of(const query_stats *stats, arena *a)
{
    return arena_printf(a, stats->rows_per_s < 10 ? "%.1f" : "%.0f", stats->rows_per_s);
}

/* Null where the storage cannot tell. */
static slice lag_of(const query_numbers *numbers, arena *a)
{
    return numbers->has_lag ? number(a, (long long)numbers->lag_records) : NO_SLICE;
}

static weir_result *show_queries(weir *w, bool extended, arena *a)
{
    const char *const columns[] = { "Query ID", "Sink Name", "Status", "Query String", "Rows In", "Rows Out", "Rows/s",
                                    "Lag", "Bad", "Late", "Epochs", "State Bytes", "Last Error" };
    weir_result *r = result_listing("queries", columns, extended ? 13 : 4);
    uint32_t count;
    const query_entry *const *all = catalog_queries(w->catalog, &count);

    for (uint32_t i = 0; i < count; i++) {
        slice word = slice_of(query_word(w, all[i]));
        query_numbers numbers;
        if (!extended || !numbers_of(w, all[i]->id, &numbers)) {
            ROW(r, all[i]->id, all[i]->sink, word, all[i]->plan.sql, NO_SLICE, NO_SLICE, NO_SLICE, NO_SLICE, NO_SLICE, NO_SLICE,
                NO_SLICE, NO_SLICE, NO_SLICE);
            continue;
        }
        const query_stats stats = numbers.stats;
        ROW(r, all[i]->id, all[i]->sink, word, all[i]->plan.sql, number(a, (long long)stats.counts.rows_in),
            number(a, (long long)stats.counts.rows_out), rate_of(&stats, a), lag_of(&numbers, a),
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

static void describe_query(weir *w, const query_entry *e, const char *role, arena *a, weir_result *r)
{
    query_numbers numbers;

    ROW(r, slice_of(role), arena_printf(a, "%.*s: %s", SLICE_ARG(e->id), query_word(w, e)));
    if (!numbers_of(w, e->id, &numbers)) return;
    const query_stats stats = numbers.stats;
    ROW(r, SLICE("--   rows in, out"), arena_printf(a, "%llu, %llu", (unsigned long long)stats.counts.rows_in,
                                                    (unsigned long long)stats.counts.rows_out));
    ROW(r, SLICE("--   rows/s"), rate_of(&stats, a));
    ROW(r, SLICE("--   lag"), lag_of(&numbers, a));
    ROW(r, SLICE("--   bad, late"), arena_printf(a, "%llu, %llu", (unsigned long long)stats.counts.bad_rows,
                                                 (unsigned long long)stats.counts.late_rows));
    ROW(r, SLICE("--   state bytes"), number(a, (long long)stats.state_bytes));
    if (stats.last_bad[0] != '\0') ROW(r, SLICE("--   last bad row"), arena_copy(a, slice_of(stats.last_bad)));
    if (stats.last_error[0] != '\0') ROW(r, SLICE("--   last error"), arena_copy(a, slice_of(stats.last_error)));
}

static bool reads_topic(const plan *p, slice topic)
{
    for (uint32_t i = 0; i < p->step_count; i++) {
        if (p->steps[i].kind == STEP_SOURCE && slice_equal(p->steps[i].source.topic, topic)) return true;
    }
    return false;
}

static void add_description(weir *w, const source *s, bool extended, arena *a, weir_result *r)
{
    uint32_t count;

    for (uint32_t i = 0; i < s->schema.count; i++) {
        const schema_column *c = &s->schema.columns[i];
        const char *role = i >= s->schema.key_count ? "" : s->is_table ? " (primary key)" : " (key)";
        ROW(r, c->name, arena_printf(a, "%.*s%s%s", SLICE_ARG(type_text(a, c->type)), role,
                                     c->is_headers || c->header_key.data != NULL ? " (headers)" : ""));
    }
    if (!extended) return;
    ROW(r, SLICE("-- kind"), s->is_table ? SLICE("TABLE") : SLICE("STREAM"));
    ROW(r, SLICE("-- topic"), arena_printf(a, "%.*s (%d partitions)", SLICE_ARG(s->topic), s->partitions));
    ROW(r, SLICE("-- key format"), s->key.name);
    ROW(r, SLICE("-- value format"), s->value.name);
    ROW(r, SLICE("-- statement"), s->sql);
    const query_entry *const *all = catalog_queries(w->catalog, &count);
    for (uint32_t i = 0; i < count; i++) {
        if (slice_equal(all[i]->sink, s->name)) describe_query(w, all[i], "-- written by", a, r);
        else if (reads_topic(&all[i]->plan, s->topic)) describe_query(w, all[i], "-- read by", a, r);
    }
}

static weir_result *describe_source(weir *w, const source *s, bool extended, arena *a)
{
    const char *const columns[] = { "Field", "Type" };
    weir_result *r = result_listing("sourceDescription", columns, 2);

    add_description(w, s, extended, a, r);
    return r;
}

/* All streams, or all tables, one below the other. */
static weir_result *describe_sources(weir *w, bool tables, bool extended, arena *a)
{
    const char *const columns[] = { "Field", "Type" };
    weir_result *r = result_listing("sourceDescriptions", columns, 2);
    uint32_t count;
    const source *const *all = catalog_sources(w->catalog, &count);

    for (uint32_t i = 0; i < count; i++) {
        if (all[i]->is_table != tables) continue;
        ROW(r, SLICE("-- name"), all[i]->name);
        add_description(w, all[i], extended, a, r);
    }
    return r;
}

static weir_rc describe(weir_session *s, const statement *what, arena *a, weir_result **out, weir_error *err)
{
    weir *w = s->weir;

    switch (what->describe.what) {
    case DESCRIBE_STREAMS: *out = describe_sources(w, false, what->describe.extended, a); return WEIR_OK;
    case DESCRIBE_TABLES: *out = describe_sources(w, true, what->describe.extended, a); return WEIR_OK;
    case DESCRIBE_FUNCTION: return describe_function(what->describe.name.name, what->describe.name.at, a, out, err);
    case DESCRIBE_SOURCE: {
        const source *found = catalog_source(w->catalog, what->describe.name.name);
        if (found == NULL) {
            return catalog_fail_source(w->catalog, "stream or table", what->describe.name.name, what->describe.name.at, err);
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

/* ---- EXPLAIN ANALYZE ---- */

typedef struct analysis {
    const plan *plan;
    const op_stats *by_step;
} analysis;

static void add_size(text *out, size_t bytes)
{
    if (bytes < 10240) text_printf(out, "%zu bytes", bytes);
    else if (bytes < (size_t)10 << 20) text_printf(out, "%.1f KiB", (double)bytes / 1024);
    else text_printf(out, "%.1f MiB", (double)bytes / (1 << 20));
}

static void note_step(void *self, const step *s, text *out)
{
    const analysis *x = self;
    const op_stats *did = &x->by_step[s - x->plan->steps];

    text_add_c(out, "-> rows");
    if (s->input_count > 0) text_printf(out, " in %llu", (unsigned long long)did->rows_in);
    if (s->kind != STEP_RESULT) {
        text_printf(out, "%s out %llu", s->input_count > 0 ? "," : "", (unsigned long long)did->rows_out);
    }
    if (s->kind == STEP_AGGREGATE || s->kind == STEP_JOIN) text_printf(out, ", late %llu", (unsigned long long)did->late_rows);
    text_printf(out, "; time %.3f ms", (double)did->busy_ns / 1e6);
    if (did->state_bytes > 0) {
        text_add_c(out, "; state ");
        add_size(out, did->state_bytes);
    }
    text_add_char(out, '\n');
}

static weir_result *analyzed(const plan *p, const op_stats *by_step)
{
    analysis x = { p, by_step };
    text lines = TEXT_EMPTY;
    weir_result *r;

    plan_explain_noted(&lines, p, note_step, &x);
    r = lines_of("queryDescription", "Plan", text_slice(&lines));
    text_free(&lines);
    return r;
}

static weir_rc analyze_running(weir *w, const query_entry *e, const statement *what, arena *a, weir_result **out, weir_error *err)
{
    query *q = find_query(w, e->id);
    op_stats *by_step;

    if (q == NULL) {
        int64_t owner = storage_engine_owner(w->storage);
        if (owner != 0) {
            return weir_fail(err, WEIR_SEMANTIC, what->explain.query_id.at, "query %.*s runs in process %lld, and only there is "
                             "known what its steps do", SLICE_ARG(e->id), (long long)owner);
        }
        return weir_fail(err, WEIR_SEMANTIC, what->explain.query_id.at, "query %.*s does not run", SLICE_ARG(e->id));
    }
    by_step = ARENA_ARRAY(a, op_stats, query_plan(q)->step_count);
    query_op_stats(q, by_step);
    *out = analyzed(query_plan(q), by_step);
    return WEIR_OK;
}

/* A SELECT that ends: runs it, and tells of its steps instead of its rows. */
weir_rc analyze_statement(weir_session *s, const statement *what, arena **kept, weir_result **out, weir_error *err)
{
    weir *w = s->weir;
    weir_result *run = NULL;
    const batch *rows;
    weir_rc rc;

    if (what->explain.inner->kind != STATEMENT_QUERY) {
        return weir_fail(err, WEIR_SEMANTIC, what->at, "EXPLAIN ANALYZE takes a SELECT, or the id of a running query");
    }
    pthread_mutex_lock(&w->lock);
    rc = open_select(s, what->explain.inner, kept, &run, err);
    pthread_mutex_unlock(&w->lock);
    if (rc != WEIR_OK) return rc;
    if (run->plan->mode == PLAN_PUSH) {
        rc = weir_fail(err, WEIR_SEMANTIC, what->at, "EXPLAIN ANALYZE takes a SELECT that ends, without EMIT; or create the "
                       "query, and then EXPLAIN ANALYZE its id");
    }
    while (rc == WEIR_OK && !weir_result_ended(run)) rc = weir_result_next(run, -1, &rows, err);
    if (rc == WEIR_OK) {
        op_stats *by_step = ARENA_ARRAY(run->arena, op_stats, run->plan->step_count);
        transient_op_stats(run->transient, by_step);
        *out = analyzed(run->plan, by_step);
    }
    weir_result_close(run);
    return rc;
}

static weir_rc explain(weir_session *s, const statement *what, arena *a, weir_result **out, weir_error *err)
{
    const plan *p = NULL;
    planned planned_statement = { 0 };

    if (what->explain.inner == NULL) {
        const query_entry *e = catalog_query(s->weir->catalog, what->explain.query_id.name);
        if (e == NULL) {
            return catalog_fail_query(s->weir->catalog, what->explain.query_id.name, what->explain.query_id.at, err);
        }
        if (what->explain.analyze) return analyze_running(s->weir, e, what, a, out, err);
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

static weir_rc fail_topic(weir_session *s, slice topic, sql_pos at, arena *a, weir_error *err)
{
    nearest n = nearest_to(topic);
    topic_info *topics;
    uint32_t count;

    WEIR_TRY(topic_list(s->weir->storage, a, &topics, &count, err));
    for (uint32_t i = 0; i < count; i++) nearest_offer(&n, topics[i].name);
    return weir_fail(err, WEIR_SEMANTIC, at, "there is no topic %.*s%s", SLICE_ARG(topic),
                     n.best.data != NULL ? nearest_hint(&n) : "; SHOW TOPICS lists those there are");
}

static weir_rc print_topic(weir_session *s, const statement *what, arena *a, weir_result **out, weir_error *err)
{
    static const char *const columns[] = { "Record" };
    slice topic = what->print.topic;
    topic_info info;
    bool found;

    WEIR_TRY(topic_find(s->weir->storage, topic, &info, &found, err));
    if (!found) return fail_topic(s, topic, what->print.topic_at, a, err);
    *out = result_listing("print", columns, 1);
    (*out)->kind = WEIR_RESULT_LINES;
    (*out)->rows = NULL;
    (*out)->session = s;
    topic_hints_take(&(*out)->hints, s->weir->catalog, topic);
    (*out)->print_interval = what->print.interval > 1 ? (uint64_t)what->print.interval : 1;
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
    case SHOW_STREAMS:
    case SHOW_TABLES: {
        bool tables = what->show.what == SHOW_TABLES;
        *out = what->show.extended ? describe_sources(w, tables, true, a) : show_sources(w, tables, a);
        return WEIR_OK;
    }
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
