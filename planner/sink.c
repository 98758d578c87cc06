/* planner/sink.c - persistent queries: CREATE ... AS SELECT and INSERT INTO ... SELECT, a query and what it writes to. */
#include "planner/build.h"

#include <ctype.h>

static const char *kind_word(bool is_table)
{
    return is_table ? "table" : "stream";
}

static void add_sink(builder *b, const source *into, int32_t timestamp_column, slice timestamp_format)
{
    step *s = add_step(b, STEP_SINK, last_step(b));

    s->sink.name = into->name;
    s->sink.topic = into->topic;
    s->sink.key = into->key;
    s->sink.value = into->value;
    if (s->schema.key_count == 0) s->sink.key.name = SLICE("NONE");
    s->sink.partitions = into->partitions;
    s->sink.timestamp_column = timestamp_column;
    s->sink.timestamp_format = timestamp_format;
}

/* Where nothing leaves rows out (a WHERE, a HAVING, an inner join, a table function), each row written would be read and
 * written again, for ever. Where something does, the query may come to rest, and is let go. */
static weir_rc check_feeds_not_itself(builder *b, slice topic, sql_pos at)
{
    const step *from = NULL;

    for (uint32_t i = 0; i < b->count; i++) {
        const step *s = &b->steps[i];
        if (s->kind == STEP_FILTER || s->kind == STEP_FLAT_MAP) return WEIR_OK;
        if (s->kind == STEP_JOIN && s->join.kind == JOIN_INNER) return WEIR_OK;
        if (s->kind == STEP_SOURCE && slice_equal(s->source.topic, topic)) from = s;
    }
    if (from == NULL) return WEIR_OK;
    return weir_fail(b->err, WEIR_SEMANTIC, at,
                     "%.*s is read from the topic %.*s, which this query writes to: it would read its own rows and write them "
                     "again, for ever; write to another topic, or leave rows out with WHERE",
                     SLICE_ARG(from->source.name), SLICE_ARG(topic));
}

/* An error that names a column whose name was made up says what stands there, and where. */
static weir_rc tell_generated(builder *b, weir_rc rc)
{
    weir_error told = *b->err;

    for (const generated_column *g = b->generated; rc != WEIR_OK && g != NULL; g = g->next) {
        const char *named = strstr(told.message, arena_c_string(b->arena, g->name));
        if (named == NULL || isdigit((unsigned char)named[g->name.len])) continue;
        slice what = expr_text(b->arena, g->of);
        return weir_fail(b->err, told.rc, g->of->at, "%s; %.*s is %.*s, to which AS gives a name", told.message, SLICE_ARG(g->name),
                         SLICE_ARG(what));
    }
    return rc;
}

/* ---- CREATE ... AS ---- */

static weir_rc check_result_kind(builder *b, const statement *s)
{
    bool is_table = b->steps[last_step(b)].is_table;

    if (is_table == (s->create.kind == SOURCE_TABLE)) return WEIR_OK;
    return weir_fail(b->err, WEIR_SEMANTIC, s->at, "this SELECT gives a %s: use CREATE %s %.*s AS%s", kind_word(is_table),
                     is_table ? "TABLE" : "STREAM", SLICE_ARG(s->create.name.name),
                     is_table ? "" : ", or make a table of its rows with GROUP BY");
}

static weir_rc make_sink_source(builder *b, const statement *s, const with_values *with, source *made, bool *makes_topic)
{
    const step *top = &b->steps[last_step(b)];
    slice prefix = setting_of(b->env, "ksql.output.topic.name.prefix");
    slice topic = with->topic;

    if (topic.data == NULL) topic = arena_printf(b->arena, "%.*s%.*s", SLICE_ARG(prefix), SLICE_ARG(s->create.name.name));
    WEIR_TRY(check_topic_name(topic, with->topic.data != NULL ? with->topic_at : s->create.name.at, b->err));
    made->name = arena_copy(b->arena, s->create.name.name);
    made->is_table = top->is_table;
    made->schema = schema_copy(b->arena, &top->schema);
    made->windowed = top->windowed;
    made->window_size_ms = top->window_size_ms;
    made->sql = arena_copy(b->arena, s->text);
    source inherit = *b->leftmost;
    if (b->key_from != NULL) inherit.key = b->key_from->key;
    if (top->schema.key_count == 0 && b->leftmost->schema.key_count > 0) inherit.key = (format_spec){ .name = SLICE("NONE") };
    WEIR_TRY(make_formats(b->env, with, &inherit, made->name, topic, &made->schema, b->arena, &made->key, &made->value, s->create.name.at, b->err));
    WEIR_TRY(find_timestamp(with, &made->schema, b->arena, &made->timestamp_column, &made->timestamp_format, b->err));
    return settle_topic(b->env, with, arena_copy(b->arena, topic), b->leftmost->partitions, b->leftmost->replicas, made,
                        makes_topic, b->err);
}

static slice query_id_of(builder *b, const statement *s, const source *replaced)
{
    if (replaced != NULL && replaced->query_id.data != NULL) return arena_copy(b->arena, replaced->query_id);
    return arena_printf(b->arena, "%s_%.*s_%llu", s->create.kind == SOURCE_TABLE ? "CTAS" : "CSAS",
                        SLICE_ARG(s->create.name.name), (unsigned long long)catalog_version(b->env->catalog));
}

static weir_rc check_name(const planner_env *env, const statement *s, arena *a, planned *out, bool *is_done, weir_error *err)
{
    const source *there = catalog_source(env->catalog, s->create.name.name);

    *is_done = there != NULL && s->create.if_not_exists;
    if (*is_done) {
        out->kind = PLANNED_NOTHING;
        out->message = arena_printf(a, "There is a %s %.*s already.", kind_word(there->is_table), SLICE_ARG(there->name));
        return WEIR_OK;
    }
    if (there == NULL || s->create.or_replace) return WEIR_OK;
    return weir_fail(err, WEIR_SEMANTIC, s->create.name.at, "there is a %s %.*s already; CREATE OR REPLACE changes it",
                     kind_word(there->is_table), SLICE_ARG(there->name));
}

static weir_rc make_create_as(builder *b, const statement *s, planned *out)
{
    const planner_env *env = b->env;
    source *made = ARENA_NEW(b->arena, source);
    plan *made_plan = ARENA_NEW(b->arena, plan);
    const source *there = catalog_source(env->catalog, s->create.name.name);
    with_values with;
    bool is_done;
    rel r;

    if (s->create.read_only) {
        return weir_fail(b->err, WEIR_SEMANTIC, s->at, "a SOURCE reads a topic that others write; it cannot be made AS SELECT");
    }
    WEIR_TRY(check_name(env, s, b->arena, out, &is_done, b->err));
    if (is_done) return WEIR_OK;
    WEIR_TRY(read_with(&s->create.with, WITH_CREATE_AS, b->arena, &with, b->err));
    WEIR_TRY(plan_query(b, s->create.query, &r));
    WEIR_TRY(check_result_kind(b, s));
    WEIR_TRY(make_sink_source(b, s, &with, made, &out->makes_topic));
    WEIR_TRY(check_retention(&with, made, b->err));
    out->cleanup = cleanup_of(&with, made);
    made->query_id = query_id_of(b, s, there);
    WEIR_TRY(check_feeds_not_itself(b, made->topic, s->create.name.at));
    add_sink(b, made, made->timestamp_column, made->timestamp_format);
    WEIR_TRY(finish_plan(b, s->text, made_plan));
    made_plan->query_id = made->query_id;
    made_plan->state_name = catalog_state_name(env->catalog, made->query_id, b->arena);
    out->kind = PLANNED_COMMAND;
    out->command = (command){ .kind = COMMAND_CREATE_SOURCE, .replaces = there != NULL, .name = made->name, .source = made,
                              .plan = made_plan, .sql = made->sql };
    return catalog_check(env->catalog, &out->command, s->create.name.at, b->err);
}

weir_rc plan_create_as(const planner_env *env, const statement *s, arena *a, planned *out, weir_error *err)
{
    builder b = { .arena = a, .env = env, .err = err, .use = USE_PERSISTENT, .sink_name = s->create.name.name,
                  .makes_table = s->create.kind == SOURCE_TABLE };
    weir_rc rc = tell_generated(&b, make_create_as(&b, s, out));

    release_unused(b.held, rc == WEIR_OK ? out->command.plan : NULL);
    return rc;
}

/* ---- INSERT INTO ... SELECT ---- */

static weir_rc find_target(builder *b, const identifier *name, const source **out)
{
    WEIR_TRY(find_source(b, name, out));
    if ((*out)->is_table) {
        return weir_fail(b->err, WEIR_SEMANTIC, name->at, "INSERT INTO ... SELECT writes to a stream; %.*s is a table: CREATE TABLE ... AS SELECT makes one "
                         "of a query's own", SLICE_ARG(name->name));
    }
    if ((*out)->is_source) return catalog_fail_read_only(*out, name->at, b->err);
    for (uint32_t i = 0; i < (*out)->schema.count; i++) {
        const schema_column *c = &(*out)->schema.columns[i];
        if (!c->is_headers && c->header_key.data == NULL) continue;
        return weir_fail(b->err, WEIR_SEMANTIC, name->at,
                         "column %.*s of %.*s holds headers, which a query cannot write; insert into a stream over the same topic "
                         "without it", SLICE_ARG(c->name), SLICE_ARG(name->name));
    }
    return WEIR_OK;
}

/* cast: as found, but what the language casts by itself is as the target has it. */
static weir_rc fail_schema(builder *b, const source *target, const schema *found, const schema *cast, sql_pos at)
{
    text shown = TEXT_EMPTY;

    (void)schema_print_difference(&shown, &target->schema, cast);
    text_add_c(&shown, ": the columns of the SELECT are ");
    schema_print(&shown, found, false);
    text_printf(&shown, "; %.*s has ", SLICE_ARG(target->name));
    schema_print(&shown, &target->schema, false);
    weir_rc rc = weir_fail(b->err, WEIR_SEMANTIC, at, "%.*s", SLICE_ARG(text_slice(&shown)));
    text_free(&shown);
    return rc;
}

/* The last projection, brought to the target's types where the language casts by itself. */
static weir_rc fit_to_target(builder *b, const source *target, sql_pos at)
{
    step *top = &b->steps[last_step(b)];
    const schema *wanted = &target->schema;
    schema found = top->schema;

    schema_column *columns = ARENA_ZEROS(b->arena, schema_column, found.count);
    const schema cast = { columns, found.key_count, found.count };
    memcpy(columns, found.columns, sizeof *columns * found.count);
    if (found.count != wanted->count || found.key_count != wanted->key_count) return fail_schema(b, target, &found, &cast, at);
    binder casts = binder_over(b, &(scope){ 0 }, "SELECT");
    for (uint32_t i = 0; i < found.count; i++) {
        if (!slice_equal(columns[i].name, wanted->columns[i].name)) return fail_schema(b, target, &found, &cast, at);
        if (type_equal(columns[i].type, wanted->columns[i].type)) continue;
        if (i < found.key_count || cast_function(columns[i].type, wanted->columns[i].type, true) == NULL) {
            return fail_schema(b, target, &found, &cast, at);
        }
        WEIR_TRY(bind_cast(&casts, top->project.exprs[i], wanted->columns[i].type, false, at, &top->project.exprs[i]));
        columns[i].type = wanted->columns[i].type;
    }
    top->schema = cast;
    return WEIR_OK;
}

/* INSERTQUERY_ and a number, or what WITH says: of one case, as unquoted names are. */
static weir_rc id_of_insert(builder *b, const with_values *with, slice *id)
{
    static const char *const made_prefixes[] = { "INSERTQUERY_", "CSAS_", "CTAS_" };
    const catalog *c = b->env->catalog;

    if (with->query_id.len == 0) {
        *id = arena_printf(b->arena, "INSERTQUERY_%llu", (unsigned long long)catalog_version(c));
        return WEIR_OK;
    }
    char *upper = arena_text_begin(b->arena, with->query_id.len);
    for (size_t i = 0; i < with->query_id.len; i++) {
        unsigned char at = (unsigned char)with->query_id.data[i];
        if (!isalnum(at) && at != '_') {
            return weir_fail(b->err, WEIR_SEMANTIC, with->query_id_at, "%.*s cannot be a query's id, which has letters, digits and _ only",
                             SLICE_ARG(with->query_id));
        }
        upper[i] = (char)toupper(at);
    }
    *id = arena_text_end(b->arena, upper, upper + with->query_id.len);
    for (size_t i = 0; i < sizeof made_prefixes / sizeof *made_prefixes; i++) {
        size_t len = strlen(made_prefixes[i]);
        if (id->len < len || memcmp(id->data, made_prefixes[i], len) != 0) continue;
        return weir_fail(b->err, WEIR_SEMANTIC, with->query_id_at, "ids that begin with %s are made for queries without a QUERY_ID",
                         made_prefixes[i]);
    }
    if (catalog_query(c, *id) == NULL) return WEIR_OK;
    return weir_fail(b->err, WEIR_SEMANTIC, with->query_id_at, "there is a query %.*s already", SLICE_ARG(*id));
}

static weir_rc make_insert_query(builder *b, const statement *s, planned *out)
{
    plan *made = ARENA_NEW(b->arena, plan);
    const source *target;
    with_values with;
    rel r;

    WEIR_TRY(read_with(&s->insert_query.with, WITH_INSERT, b->arena, &with, b->err));
    WEIR_TRY(find_target(b, &s->insert_query.target, &target));
    WEIR_TRY(plan_query(b, s->insert_query.query, &r));
    const step *top = &b->steps[last_step(b)];
    if (top->is_table) {
        return weir_fail(b->err, WEIR_SEMANTIC, s->insert_query.query->at,
                         "this SELECT gives a table; only a stream can be inserted");
    }
    if (top->windowed != target->windowed) {
        return weir_fail(b->err, WEIR_SEMANTIC, s->insert_query.target.at, "the windows of the key differ from those of %.*s",
                         SLICE_ARG(target->name));
    }
    WEIR_TRY(fit_to_target(b, target, s->insert_query.query->at));
    WEIR_TRY(check_feeds_not_itself(b, target->topic, s->insert_query.target.at));
    add_sink(b, target, -1, NO_SLICE);
    WEIR_TRY(finish_plan(b, s->text, made));
    WEIR_TRY(id_of_insert(b, &with, &made->query_id));
    made->state_name = catalog_state_name(b->env->catalog, made->query_id, b->arena);
    out->kind = PLANNED_COMMAND;
    out->command = (command){ .kind = COMMAND_INSERT_INTO, .name = arena_copy(b->arena, target->name), .plan = made,
                              .sql = arena_copy(b->arena, s->text) };
    return WEIR_OK;
}

weir_rc plan_insert_query(const planner_env *env, const statement *s, arena *a, planned *out, weir_error *err)
{
    builder b = { .arena = a, .env = env, .err = err, .use = USE_PERSISTENT, .sink_name = s->insert_query.target.name };
    weir_rc rc = tell_generated(&b, make_insert_query(&b, s, out));

    release_unused(b.held, rc == WEIR_OK ? out->command.plan : NULL);
    return rc;
}
