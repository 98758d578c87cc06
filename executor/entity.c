/* executor/entity.c - results as ksqlDB's REST API describes them: the members of each statement's entity, as JSON text.
 * Only sessions that describe pay for it. What ksqlDB tells about its own machinery (topologies, offsets of consumer
 * groups) is there with an empty value, since clients expect the member. */
#include "executor/weir.h"

#include "core/json.h"

#include <stdlib.h>

static void member(text *out, const char *name)
{
    if (out->len > 0 && out->data[out->len - 1] != '{' && out->data[out->len - 1] != '[') text_add_char(out, ',');
    text_printf(out, "\"%s\":", name);
}

static void string_member(text *out, const char *name, slice string)
{
    member(out, name);
    if (string.data == NULL) text_add_c(out, "null");
    else print_json_string(out, string);
}

static void next_item(text *out)
{
    if (out->data[out->len - 1] != '[') text_add_char(out, ',');
}

/* ---- types and columns ---- */

static void print_type_schema(text *out, const type *t)
{
    static const char *const names[] = { "STRING", "BOOLEAN", "INTEGER", "BIGINT", "DECIMAL", "DOUBLE", "STRING", "BYTES",
                                         "DATE", "TIME", "TIMESTAMP", "ARRAY", "MAP", "STRUCT", "LAMBDA", "INTERVALUNIT" };

    text_printf(out, "{\"type\":\"%s\",\"fields\":", names[t->kind]);
    if (t->kind == TYPE_STRUCT) {
        text_add_char(out, '[');
        for (uint32_t i = 0; i < t->field_count; i++) {
            next_item(out);
            text_add_char(out, '{');
            string_member(out, "name", t->fields[i].name);
            member(out, "schema");
            print_type_schema(out, t->fields[i].type);
            text_add_char(out, '}');
        }
        text_add_char(out, ']');
    } else {
        text_add_c(out, "null");
    }
    text_add_c(out, ",\"memberSchema\":");
    if (t->kind == TYPE_ARRAY || t->kind == TYPE_MAP) print_type_schema(out, t->element);
    else text_add_c(out, "null");
    if (t->kind == TYPE_DECIMAL) {
        text_printf(out, ",\"parameters\":{\"precision\":%u,\"scale\":%u}", (unsigned)t->precision, (unsigned)t->scale);
    }
    text_add_char(out, '}');
}

static void print_fields(text *out, const schema *s, bool marks_keys)
{
    text_add_char(out, '[');
    for (uint32_t i = 0; i < s->count; i++) {
        const schema_column *c = &s->columns[i];
        next_item(out);
        text_add_char(out, '{');
        string_member(out, "name", c->name);
        member(out, "schema");
        print_type_schema(out, c->type);
        if (marks_keys && i < s->key_count) string_member(out, "type", SLICE("KEY"));
        if (c->header_key.data != NULL) string_member(out, "headerKey", c->header_key);
        if (c->is_headers || c->header_key.data != NULL) string_member(out, "type", SLICE("HEADER"));
        text_add_char(out, '}');
    }
    text_add_char(out, ']');
}

/* ---- queries ---- */

static bool reads(const plan *p, slice name)
{
    for (uint32_t i = 0; i < p->step_count; i++) {
        if (p->steps[i].kind == STEP_SOURCE && slice_equal(p->steps[i].source.name, name)) return true;
    }
    return false;
}

static slice sink_topic(const plan *p)
{
    for (uint32_t i = 0; i < p->step_count; i++) {
        if (p->steps[i].kind == STEP_SINK) return p->steps[i].sink.topic;
    }
    return NO_SLICE;
}

/* A query is RUNNING where it is not paused, failed or without an engine, as ksqlDB has no word for its first moments. */
static const char *state_of(weir *w, const query_entry *e)
{
    const char *word = query_word(w, e);

    bool is_running = strcmp(word, "STARTING") == 0 || strcmp(word, "WAITING") == 0 || strcmp(word, "IN ANOTHER PROCESS") == 0;
    return is_running ? "RUNNING" : word;
}

static void print_query_item(weir *w, text *out, const query_entry *e)
{
    const char *state = state_of(w, e);

    text_add_char(out, '{');
    string_member(out, "queryString", e->plan.sql);
    text_add_c(out, ",\"sinks\":[");
    print_json_string(out, e->sink);
    text_add_c(out, "],\"sinkKafkaTopics\":[");
    print_json_string(out, sink_topic(&e->plan));
    text_add_char(out, ']');
    string_member(out, "id", e->id);
    text_printf(out, ",\"statusCount\":{\"%s\":1},\"queryType\":\"PERSISTENT\",\"state\":\"%s\"}", state, state);
}

static void print_queries_of(weir *w, text *out, const char *name, const source *s, bool writers)
{
    uint32_t count;
    const query_entry *const *all = catalog_queries(w->catalog, &count);

    member(out, name);
    text_add_char(out, '[');
    for (uint32_t i = 0; i < count; i++) {
        if (writers ? !slice_equal(all[i]->sink, s->name) : !reads(&all[i]->plan, s->name)) continue;
        next_item(out);
        print_query_item(w, out, all[i]);
    }
    text_add_char(out, ']');
}

static void print_query_description(weir *w, text *out, const plan *p, const query_entry *e)
{
    const step *end = &p->steps[p->step_count - 1];
    text lines = TEXT_EMPTY;
    query_numbers numbers = { .lag_records = 0 };

    if (e != NULL) (void)numbers_of(w, e->id, &numbers);
    const query_stats stats = numbers.stats;
    text_add_char(out, '{');
    string_member(out, "id", e == NULL ? SLICE("") : e->id);
    string_member(out, "statementText", p->sql.data == NULL ? SLICE("") : p->sql);
    string_member(out, "windowType", NO_SLICE);
    member(out, "fields");
    print_fields(out, &end->schema, true);
    text_add_c(out, ",\"sources\":[");
    for (uint32_t i = 0; i < p->step_count; i++) {
        if (p->steps[i].kind != STEP_SOURCE) continue;
        next_item(out);
        print_json_string(out, p->steps[i].source.name);
    }
    text_add_c(out, "],\"sinks\":[");
    if (e != NULL) print_json_string(out, e->sink);
    text_add_char(out, ']');
    plan_explain(&lines, p);
    string_member(out, "topology", SLICE(""));
    string_member(out, "executionPlan", text_slice(&lines));
    text_free(&lines);
    text_add_c(out, ",\"overriddenProperties\":{");
    for (uint32_t i = 0; i < p->property_count; i++) {
        if (i > 0) text_add_char(out, ',');
        print_json_string(out, p->properties[i * 2]);
        text_add_char(out, ':');
        print_json_string(out, p->properties[i * 2 + 1]);
    }
    text_add_c(out, "},\"ksqlHostQueryStatus\":{},\"queryErrors\":[");
    if (stats.last_error[0] != '\0') {
        text_add_c(out, "{\"timestamp\":0,\"type\":\"UNKNOWN\",\"errorMessage\":");
        print_json_string(out, slice_of(stats.last_error));
        text_add_char(out, '}');
    }
    text_add_c(out, "],\"tasksMetadata\":[]");
    string_member(out, "queryType", e != NULL ? SLICE("PERSISTENT") : p->mode == PLAN_PUSH ? SLICE("PUSH") : SLICE("PULL"));
    string_member(out, "state", e == NULL ? NO_SLICE : slice_of(state_of(w, e)));
    text_add_char(out, '}');
}

static void queries_members(weir *w, text *out, bool extended)
{
    uint32_t count;
    const query_entry *const *all = catalog_queries(w->catalog, &count);

    member(out, extended ? "queryDescriptions" : "queries");
    text_add_char(out, '[');
    for (uint32_t i = 0; i < count; i++) {
        next_item(out);
        if (extended) print_query_description(w, out, &all[i]->plan, all[i]);
        else print_query_item(w, out, all[i]);
    }
    text_add_char(out, ']');
}

/* ---- sources ---- */

static slice window_word(window_kind kind)
{
    static const char *const words[] = { NULL, "TUMBLING", "HOPPING", "SESSION" };
    return slice_of(words[kind]);
}

static void print_source_description(weir *w, text *out, const source *s, bool extended)
{
    uint32_t count;
    const query_entry *const *all = catalog_queries(w->catalog, &count);
    text statistics = TEXT_EMPTY, errors = TEXT_EMPTY;

    text_add_char(out, '{');
    string_member(out, "name", s->name);
    string_member(out, "windowType", window_word(s->windowed));
    print_queries_of(w, out, "readQueries", s, false);
    print_queries_of(w, out, "writeQueries", s, true);
    member(out, "fields");
    print_fields(out, &s->schema, true);
    string_member(out, "type", s->is_table ? SLICE("TABLE") : SLICE("STREAM"));
    string_member(out, "timestamp", s->timestamp_column < 0 ? SLICE("") : s->schema.columns[s->timestamp_column].name);
    for (uint32_t i = 0; extended && i < count; i++) {
        query_numbers numbers;
        if (!slice_equal(all[i]->sink, s->name) || !numbers_of(w, all[i]->id, &numbers)) continue;
        const query_stats stats = numbers.stats;
        text_printf(&statistics, "%.*s: rows in %llu, rows out %llu, bad %llu, late %llu\n", SLICE_ARG(all[i]->id),
                    (unsigned long long)stats.counts.rows_in, (unsigned long long)stats.counts.rows_out,
                    (unsigned long long)stats.counts.bad_rows, (unsigned long long)stats.counts.late_rows);
        if (stats.last_error[0] != '\0') text_printf(&errors, "%.*s: %s\n", SLICE_ARG(all[i]->id), stats.last_error);
    }
    string_member(out, "statistics", text_slice(&statistics));
    string_member(out, "errorStats", text_slice(&errors));
    text_free(&statistics);
    text_free(&errors);
    text_printf(out, ",\"extended\":%s", extended ? "true" : "false");
    string_member(out, "keyFormat", s->key.name);
    string_member(out, "valueFormat", s->value.name);
    string_member(out, "topic", s->topic);
    text_printf(out, ",\"partitions\":%d,\"replication\":%d", extended ? s->partitions : 0, extended ? s->replicas : 0);
    string_member(out, "statement", s->sql);
    text_add_c(out, ",\"queryOffsetSummaries\":[],\"sourceConstraints\":[],\"clusterStatistics\":[],\"clusterErrorStats\":[]}");
}

static void sources_members(weir *w, text *out, bool tables, bool extended)
{
    uint32_t count;
    const source *const *all = catalog_sources(w->catalog, &count);

    member(out, extended ? "sourceDescriptions" : tables ? "tables" : "streams");
    text_add_char(out, '[');
    for (uint32_t i = 0; i < count; i++) {
        const source *s = all[i];
        if (s->is_table != tables) continue;
        next_item(out);
        if (extended) {
            print_source_description(w, out, s, true);
            continue;
        }
        text_add_char(out, '{');
        string_member(out, "type", tables ? SLICE("TABLE") : SLICE("STREAM"));
        string_member(out, "name", s->name);
        string_member(out, "topic", s->topic);
        string_member(out, "keyFormat", s->key.name);
        string_member(out, "valueFormat", s->value.name);
        text_printf(out, ",\"isWindowed\":%s}", s->windowed == WINDOW_NONE ? "false" : "true");
    }
    text_add_char(out, ']');
}

/* ---- listings whose rows hold all there is to tell ---- */

static slice cell(const weir_result *r, uint32_t row, uint32_t at)
{
    const column *c = &r->rows->columns[at];
    return c->null[row] ? NO_SLICE : c->str[row];
}

static void topics_members(text *out, const weir_result *r)
{
    member(out, "topics");
    text_add_char(out, '[');
    for (uint32_t i = 0; i < r->rows->live.count; i++) {
        next_item(out);
        text_add_char(out, '{');
        string_member(out, "name", cell(r, i, 0));
        text_add_c(out, ",\"replicaInfo\":[");
        for (int k = 0, partitions = atoi(cell(r, i, 1).data); k < partitions; k++) {
            next_item(out);
            text_add(out, cell(r, i, 2));
        }
        text_add_c(out, "]}");
    }
    text_add_char(out, ']');
}

/* One object a row, with these members from these columns. */
static void rows_members(text *out, const weir_result *r, const char *name, const char *const *members, uint32_t count)
{
    member(out, name);
    text_add_char(out, '[');
    for (uint32_t i = 0; i < r->rows->live.count; i++) {
        next_item(out);
        text_add_char(out, '{');
        for (uint32_t k = 0; k < count; k++) {
            if (members[k] != NULL) string_member(out, members[k], cell(r, i, k));
        }
        text_add_char(out, '}');
    }
    text_add_char(out, ']');
}

static void properties_members(text *out, const weir_result *r)
{
    member(out, "properties");
    text_add_char(out, '[');
    for (uint32_t i = 0; i < r->rows->live.count; i++) {
        bool is_ksql = cell(r, i, 0).len > 5 && memcmp(cell(r, i, 0).data, "ksql.", 5) == 0;
        next_item(out);
        text_add_char(out, '{');
        string_member(out, "name", cell(r, i, 0));
        string_member(out, "scope", is_ksql ? SLICE("KSQL") : SLICE("KAFKA STREAMS"));
        string_member(out, "value", cell(r, i, 1));
        text_add_c(out, ",\"editable\":true,\"level\":\"QUERY\"}");
    }
    text_add_c(out, "],\"overwrittenProperties\":[],\"defaultProperties\":[]");
}

static void function_members(text *out, slice name, const weir_result *r)
{
    string_member(out, "name", name);
    string_member(out, "description", cell(r, 0, 3));
    text_add_c(out, ",\"author\":\"weir\",\"version\":\"\",\"path\":\"internal\",\"functions\":[");
    for (uint32_t i = 0; i < r->rows->live.count; i++) {
        next_item(out);
        text_add_c(out, "{\"arguments\":[]");
        string_member(out, "signature", cell(r, i, 0));
        string_member(out, "returnType", cell(r, i, 1));
        string_member(out, "description", cell(r, i, 3));
        text_add_char(out, '}');
    }
    text_add_char(out, ']');
    string_member(out, "type", cell(r, 0, 2));
}

static void types_members(weir *w, text *out)
{
    uint32_t count;
    const custom_type *const *all = catalog_types(w->catalog, &count);

    member(out, "types");
    text_add_char(out, '{');
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) text_add_char(out, ',');
        print_json_string(out, all[i]->name);
        text_add_char(out, ':');
        print_type_schema(out, all[i]->type);
    }
    text_add_char(out, '}');
}

/* ---- what commands did ---- */

/* "stream/`S`/create" */
static void command_members(weir *w, text *out, const char *kind, slice name, const char *action, const weir_result *r)
{
    uint32_t count;
    const query_entry *const *all = catalog_queries(w->catalog, &count);
    const query_entry *last = count == 0 ? NULL : all[count - 1];
    bool made_query = last != NULL && strcmp(action, "create") == 0 && slice_equal(last->sink, name) &&
                      strstr(r->message.data, "uery ") != NULL;
    text id = TEXT_EMPTY;

    text_printf(&id, "%s/`%.*s`/%s", kind, SLICE_ARG(name), action);
    string_member(out, "commandId", text_slice(&id));
    text_free(&id);
    text_add_c(out, ",\"commandStatus\":{\"status\":\"SUCCESS\"");
    string_member(out, "message", r->message);
    string_member(out, "queryId", made_query ? last->id : NO_SLICE);
    text_printf(out, "},\"commandSequenceNumber\":%llu", (unsigned long long)catalog_version(w->catalog));
}

static const char *source_word(const weir *w, slice name, bool is_table)
{
    const source *s = catalog_source(w->catalog, name);
    return (s == NULL ? is_table : s->is_table) ? "table" : "stream";
}

static void explain_members(weir_session *s, const statement *what, text *out)
{
    member(out, "queryDescription");
    if (what->explain.inner == NULL) {
        const query_entry *e = catalog_query(s->weir->catalog, what->explain.query_id.name);
        print_query_description(s->weir, out, &e->plan, e);
        return;
    }
    arena *a = arena_new(0);
    planner_env env;
    planned p = { 0 };
    weir_error err;
    planner_env_of(s, &env);
    const plan *of = NULL;
    if (plan_statement(&env, what->explain.inner, a, &p, &err) == WEIR_OK) {
        of = p.kind == PLANNED_QUERY ? &p.plan : p.command.plan;
    }
    if (of == NULL) {
        text_add_c(out, "null");
    } else {
        print_query_description(s->weir, out, of, NULL);
        plan_release(of);
    }
    arena_free(a);
}

static void show_members(weir_session *s, const statement *what, const weir_result *r, text *out)
{
    static const char *const functions[] = { "name", "category", "type" }, *const variables[] = { "name", "value" };
    weir *w = s->weir;

    switch (what->show.what) {
    case SHOW_STREAMS: sources_members(w, out, false, what->show.extended); break;
    case SHOW_TABLES: sources_members(w, out, true, what->show.extended); break;
    case SHOW_TOPICS: topics_members(out, r); break;
    case SHOW_QUERIES: queries_members(w, out, what->show.extended); break;
    case SHOW_FUNCTIONS: rows_members(out, r, "functions", functions, 3); break;
    case SHOW_PROPERTIES: properties_members(out, r); break;
    case SHOW_TYPES: types_members(w, out); break;
    case SHOW_VARIABLES: rows_members(out, r, "variables", variables, 2); break;
    default: break;
    }
}

static void describe_members(weir *w, const statement *what, const weir_result *r, text *out)
{
    slice name = what->describe.name.name;

    switch (what->describe.what) {
    case DESCRIBE_SOURCE:
        member(out, "sourceDescription");
        print_source_description(w, out, catalog_source(w->catalog, name), what->describe.extended);
        break;
    case DESCRIBE_STREAMS: sources_members(w, out, false, true); break;
    case DESCRIBE_TABLES: sources_members(w, out, true, true); break;
    case DESCRIBE_FUNCTION: function_members(out, name, r); break;
    case DESCRIBE_CONNECTOR: break;
    }
}

static const char *entity_of(const statement *what, const char *entity)
{
    bool lists = what->kind == STATEMENT_SHOW && what->show.extended;
    bool describes = what->kind == STATEMENT_DESCRIBE &&
                     (what->describe.what == DESCRIBE_STREAMS || what->describe.what == DESCRIBE_TABLES);

    if (describes || (lists && (what->show.what == SHOW_STREAMS || what->show.what == SHOW_TABLES))) return "source_descriptions";
    return lists && what->show.what == SHOW_QUERIES ? "query_descriptions" : entity;
}

void describe_result(weir_session *s, const statement *what, weir_result *r)
{
    weir *w = s->weir;
    text out = TEXT_EMPTY;
    bool is_table = what->kind == STATEMENT_CREATE_SOURCE || what->kind == STATEMENT_CREATE_AS ? what->create.kind == SOURCE_TABLE
                    : what->kind == STATEMENT_DROP_SOURCE                                      ? what->drop.kind == SOURCE_TABLE
                                                                                               : false;

    switch (what->kind) {
    case STATEMENT_SHOW: show_members(s, what, r, &out); break;
    case STATEMENT_DESCRIBE: describe_members(w, what, r, &out); break;
    case STATEMENT_EXPLAIN: explain_members(s, what, &out); break;
    case STATEMENT_CREATE_SOURCE:
    case STATEMENT_CREATE_AS:
        command_members(w, &out, source_word(w, what->create.name.name, is_table), what->create.name.name, "create", r);
        break;
    case STATEMENT_INSERT_QUERY:
        command_members(w, &out, source_word(w, what->insert_query.target.name, false), what->insert_query.target.name, "create", r);
        break;
    case STATEMENT_ALTER_SOURCE:
        command_members(w, &out, source_word(w, what->alter.name.name, false), what->alter.name.name, "alter", r);
        break;
    case STATEMENT_DROP_SOURCE:
        command_members(w, &out, is_table ? "table" : "stream", what->drop.name.name, "drop", r);
        break;
    case STATEMENT_CREATE_TYPE: command_members(w, &out, "type", what->create_type.name.name, "create", r); break;
    case STATEMENT_DROP_TYPE: command_members(w, &out, "type", what->drop.name.name, "drop", r); break;
    case STATEMENT_TERMINATE:
    case STATEMENT_PAUSE:
    case STATEMENT_RESUME: {
        if (strcmp(r->entity, "terminate_query") == 0) {
            text_add_c(&out, "\"queryId\":");
            print_json_string(&out, what->control.query_id.name);
            text_add_c(&out, ",\"wasTerminated\":true");
            break;
        }
        const char *kind = what->kind == STATEMENT_TERMINATE ? "terminate" : what->kind == STATEMENT_PAUSE ? "pause" : "resume";
        command_members(w, &out, kind, what->control.all ? SLICE("ALL") : what->control.query_id.name, "execute", r);
        break;
    }
    case STATEMENT_ASSERT_TOPIC:
        string_member(&out, "topicName", what->assert_topic.topic);
        member(&out, "exists");
        text_add_c(&out, what->assert_topic.not_exists ? "false" : "true");
        break;
    case STATEMENT_ASSERT_SCHEMA:
        string_member(&out, "subject", what->assert_schema.subject);
        member(&out, "id");
        if (what->assert_schema.has_id) text_printf(&out, "%lld", (long long)what->assert_schema.id);
        else text_add_c(&out, "null");
        member(&out, "exists");
        text_add_c(&out, what->assert_schema.not_exists ? "false" : "true");
        break;
    case STATEMENT_ALTER_SYSTEM: command_members(w, &out, "system", what->setting.name, "alter", r); break;
    default: return; /* queries have rows; SET, DEFINE and INSERT VALUES no entity */
    }
    r->entity = entity_of(what, r->entity);
    r->members = text_keep(&out, r->arena);
}

void weir_result_print_fields(const weir_result *r, text *out)
{
    print_fields(out, &r->schema, false);
}
