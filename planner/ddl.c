/* planner/ddl.c - CREATE STREAM and TABLE over topics, ALTER, and the statements that take things away. */
#include "planner/build.h"

#include "core/nearest.h"

static const char *kind_word(bool is_table)
{
    return is_table ? "table" : "stream";
}

/* ---- columns ---- */

static weir_rc check_header_type(const column_def *c, const type *t, weir_error *err)
{
    bool is_all = c->role == COLUMN_HEADERS;
    bool fits = is_all ? t->kind == TYPE_ARRAY && t->element->kind == TYPE_STRUCT && t->element->field_count == 2 &&
                             slice_is(t->element->fields[0].name, "KEY") &&
                             t->element->fields[0].type->kind == TYPE_STRING &&
                             slice_is(t->element->fields[1].name, "VALUE") &&
                             t->element->fields[1].type->kind == TYPE_BYTES
                       : t->kind == TYPE_BYTES;

    if (fits) return WEIR_OK;
    text given = TEXT_EMPTY;
    type_print(&given, t);
    weir_rc rc = weir_fail(err, WEIR_SEMANTIC, c->role_at, "column %.*s must be %s to hold %s, not %s%s", SLICE_ARG(c->name.name),
                           is_all ? "ARRAY<STRUCT<KEY STRING, VALUE BYTES>>" : "BYTES", is_all ? "headers" : "a header", given.data,
                           is_all && t->kind == TYPE_BYTES ? "; HEADER('name') holds a single one" : "");
    text_free(&given);
    return rc;
}

static weir_rc check_role(const column_def *c, bool is_table, weir_error *err)
{
    if (c->role == COLUMN_KEY && is_table) {
        return weir_fail(err, WEIR_SEMANTIC, c->role_at, "column %.*s: the key of a table is a PRIMARY KEY, not a KEY",
                         SLICE_ARG(c->name.name));
    }
    if (c->role == COLUMN_PRIMARY_KEY && !is_table) {
        return weir_fail(err, WEIR_SEMANTIC, c->role_at, "column %.*s: the key of a stream is a KEY, not a PRIMARY KEY",
                         SLICE_ARG(c->name.name));
    }
    return WEIR_OK;
}

static weir_rc check_column_name(const column_def_list *list, uint32_t i, weir_error *err)
{
    const identifier *name = &list->items[i].name;

    if (is_reserved_name(name->name)) {
        return weir_fail(err, WEIR_SEMANTIC, name->at, "%.*s is a reserved name; choose another for the column",
                         SLICE_ARG(name->name));
    }
    for (uint32_t k = 0; k < i; k++) {
        if (!slice_equal(list->items[k].name.name, name->name)) continue;
        return weir_fail(err, WEIR_SEMANTIC, name->at, "two columns are named %.*s; give one of them another name", SLICE_ARG(name->name));
    }
    return WEIR_OK;
}

static bool is_header_column(const schema_column *c)
{
    return c->is_headers || c->header_key.data != NULL;
}

/* HEADERS has all of them, so nothing stands beside it; each HEADER('key') once. */
static weir_rc check_headers(const schema_column *columns, uint32_t count, sql_pos at, weir_error *err)
{
    const schema_column *added = &columns[count - 1];

    for (uint32_t i = 0; i + 1 < count && is_header_column(added); i++) {
        const schema_column *c = &columns[i];
        if (!is_header_column(c)) continue;
        if (c->is_headers || added->is_headers) {
            return weir_fail(err, WEIR_SEMANTIC, at, "columns %.*s and %.*s: HEADERS has all headers, and stands alone",
                             SLICE_ARG(c->name), SLICE_ARG(added->name));
        }
        if (slice_equal(c->header_key, added->header_key)) {
            return weir_fail(err, WEIR_SEMANTIC, at, "columns %.*s and %.*s hold the same HEADER('%.*s')", SLICE_ARG(c->name),
                             SLICE_ARG(added->name), SLICE_ARG(added->header_key));
        }
    }
    return WEIR_OK;
}

static bool is_key_role(column_role role)
{
    return role == COLUMN_KEY || role == COLUMN_PRIMARY_KEY;
}

weir_rc declared_schema(const planner_env *env, const column_def_list *list, bool is_table, arena *a, schema *out, weir_error *err)
{
    schema_column *columns = ARENA_ZEROS(a, schema_column, list->count);
    builder b = { .arena = a, .env = env, .err = err };
    uint32_t count = 0, keys = 0;

    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < list->count; i++) {
            const column_def *c = &list->items[i];
            const type *t;
            if (is_key_role(c->role) != (pass == 0)) continue;
            WEIR_TRY(check_role(c, is_table, err));
            WEIR_TRY(check_column_name(list, i, err));
            WEIR_TRY(bind_type(c->type, env->catalog, a, &t, err));
            if (c->role == COLUMN_HEADERS || c->role == COLUMN_HEADER) WEIR_TRY(check_header_type(c, t, err));
            if (pass == 0) WEIR_TRY(check_key_type(&b, t, c->name.name, c->name.at));
            columns[count++] = (schema_column){ arena_copy(a, c->name.name), t, c->role == COLUMN_HEADERS,
                                                c->role == COLUMN_HEADER ? arena_copy(a, c->header) : NO_SLICE };
            keys += pass == 0;
            WEIR_TRY(check_headers(columns, count, c->role_at, err));
        }
    }
    *out = (schema){ columns, keys, count };
    return WEIR_OK;
}

/* ---- CREATE STREAM, CREATE TABLE ---- */

/* True where the statement has nothing to do; an error where the name is taken. */
static weir_rc check_free(const planner_env *env, const statement *s, planned *out, bool *is_done, arena *a, weir_error *err)
{
    const source *there = catalog_source(env->catalog, s->create.name.name);

    *is_done = false;
    if (there == NULL || s->create.or_replace) return WEIR_OK;
    if (s->create.if_not_exists) {
        out->kind = PLANNED_NOTHING;
        out->message = arena_printf(a, "There is a %s %.*s already.", kind_word(there->is_table), SLICE_ARG(there->name));
        *is_done = true;
        return WEIR_OK;
    }
    return weir_fail(err, WEIR_SEMANTIC, s->create.name.at, "there is a %s %.*s already; CREATE OR REPLACE changes it",
                     kind_word(there->is_table), SLICE_ARG(there->name));
}

static weir_rc check_key_columns(const statement *s, const with_values *with, const source *made, weir_error *err)
{
    if (made->is_table && made->schema.key_count == 0) {
        return weir_fail(err, WEIR_SEMANTIC, s->create.name.at, "a table needs a key: add PRIMARY KEY to a column of %.*s",
                         SLICE_ARG(made->name));
    }
    if (made->windowed != WINDOW_NONE && made->schema.key_count == 0) {
        return weir_fail(err, WEIR_SEMANTIC, with->windowed_at, "windows belong to the key: WINDOW_TYPE needs a KEY column in %.*s",
                         SLICE_ARG(made->name));
    }
    return WEIR_OK;
}

static weir_rc fill_source(const planner_env *env, const statement *s, const with_values *with, arena *a, source *made,
                           bool *makes_topic, weir_error *err)
{
    made->name = arena_copy(a, s->create.name.name);
    made->is_table = s->create.kind == SOURCE_TABLE;
    made->is_source = s->create.read_only;
    made->sql = arena_copy(a, s->text);
    made->windowed = with->windowed;
    made->window_size_ms = with->windowed == WINDOW_SESSION || with->windowed == WINDOW_NONE ? 0 : with->window_size_ms;
    WEIR_TRY(declared_schema(env, &s->create.columns, made->is_table, a, &made->schema, err));
    slice topic = with->topic;
    if (topic.data == NULL) {
        return weir_fail(err, WEIR_SEMANTIC, s->create.name.at, "WITH needs a KAFKA_TOPIC, the topic that %.*s reads",
                         SLICE_ARG(made->name));
    }
    WEIR_TRY(check_topic_name(topic, with->topic_at, err));
    WEIR_TRY(infer_columns(env, with, made->name, topic, a, &made->schema, s->create.name.at, err));
    WEIR_TRY(make_formats(env, with, NULL, made->name, topic, &made->schema, a, &made->key, &made->value, s->create.name.at, err));
    WEIR_TRY(check_retention(with, made, err));
    WEIR_TRY(check_key_columns(s, with, made, err));
    if (made->schema.count == 0) {
        return weir_fail(err, WEIR_SEMANTIC, s->create.name.at, "%.*s needs columns, (name type, ...) behind its name: format %.*s does not tell them",
                         SLICE_ARG(made->name), SLICE_ARG(made->value.name));
    }
    WEIR_TRY(find_timestamp(with, &made->schema, a, &made->timestamp_column, &made->timestamp_format, err));
    return settle_topic(env, with, arena_copy(a, topic), 0, 0, made, makes_topic, err);
}

weir_rc plan_create_source(const planner_env *env, const statement *s, arena *a, planned *out, weir_error *err)
{
    source *made = ARENA_NEW(a, source);
    with_values with;
    bool is_done;

    if (s->create.or_replace && s->create.read_only) {
        return weir_fail(err, WEIR_SEMANTIC, s->at, "CREATE OR REPLACE cannot be used with SOURCE: drop %.*s and create it",
                         SLICE_ARG(s->create.name.name));
    }
    WEIR_TRY(check_free(env, s, out, &is_done, a, err));
    if (is_done) return WEIR_OK;
    WEIR_TRY(read_with(&s->create.with, WITH_CREATE, a, &with, err));
    WEIR_TRY(fill_source(env, s, &with, a, made, &out->makes_topic, err));
    out->kind = PLANNED_COMMAND;
    out->cleanup = cleanup_of(&with, made);
    out->command = (command){ .kind = COMMAND_CREATE_SOURCE, .name = made->name, .source = made, .sql = made->sql,
                              .replaces = s->create.or_replace && catalog_source(env->catalog, made->name) != NULL };
    return catalog_check(env->catalog, &out->command, s->create.name.at, err);
}

/* ---- ALTER ... ADD COLUMN ---- */

static weir_rc find_of_kind(const planner_env *env, const identifier *name, source_kind kind, bool if_exists, const source **out,
                            weir_error *err)
{
    *out = catalog_source(env->catalog, name->name);
    if (*out == NULL && if_exists) return WEIR_OK;
    if (*out == NULL) return catalog_fail_source(env->catalog, kind_word(kind == SOURCE_TABLE), name->name, name->at, err);
    if ((*out)->is_table == (kind == SOURCE_TABLE)) return WEIR_OK;
    return weir_fail(err, WEIR_SEMANTIC, name->at, "%.*s is a %s, not a %s; say %s", SLICE_ARG(name->name),
                     kind_word((*out)->is_table), kind_word(kind == SOURCE_TABLE), (*out)->is_table ? "TABLE" : "STREAM");
}

weir_rc plan_alter(const planner_env *env, const statement *s, arena *a, planned *out, weir_error *err)
{
    const source *old;
    source *made = ARENA_NEW(a, source);
    schema added;

    WEIR_TRY(find_of_kind(env, &s->alter.name, s->alter.kind, false, &old, err));
    if (old->is_source) {
        return weir_fail(err, WEIR_SEMANTIC, s->alter.name.at, "%.*s is read-only (SOURCE) and cannot be altered; drop it and create it again",
                         SLICE_ARG(old->name));
    }
    if (old->query_id.data != NULL) {
        return weir_fail(err, WEIR_SEMANTIC, s->alter.name.at,
                         "%.*s is made by the query %.*s: CREATE OR REPLACE it with a query that has the columns",
                         SLICE_ARG(old->name), SLICE_ARG(old->query_id));
    }
    WEIR_TRY(declared_schema(env, &s->alter.columns, false, a, &added, err));
    *made = *old;
    schema_column *columns = ARENA_ZEROS(a, schema_column, old->schema.count + added.count);
    memcpy(columns, old->schema.columns, sizeof *columns * old->schema.count);
    for (uint32_t i = 0; i < added.count; i++) {
        if (schema_find(&old->schema, added.columns[i].name) >= 0) {
            return weir_fail(err, WEIR_SEMANTIC, s->alter.columns.items[i].name.at, "%.*s has a column %.*s already",
                             SLICE_ARG(old->name), SLICE_ARG(added.columns[i].name));
        }
        columns[old->schema.count + i] = added.columns[i];
        WEIR_TRY(check_headers(columns, old->schema.count + i + 1, s->alter.columns.items[i].name.at, err));
    }
    made->schema = (schema){ columns, old->schema.key_count, old->schema.count + added.count };
    WEIR_TRY(format_check(&made->value, columns + made->schema.key_count, made->schema.count - made->schema.key_count, err));
    out->kind = PLANNED_COMMAND;
    out->command = (command){ .kind = COMMAND_CREATE_SOURCE, .name = made->name, .source = made, .replaces = true,
                              .sql = arena_copy(a, s->text) };
    return catalog_check(env->catalog, &out->command, s->alter.name.at, err);
}

/* ---- DROP, TERMINATE, PAUSE, RESUME, types, ALTER SYSTEM ---- */

static weir_rc plan_drop(const planner_env *env, const statement *s, arena *a, planned *out, weir_error *err)
{
    const source *there;

    WEIR_TRY(find_of_kind(env, &s->drop.name, s->drop.kind, s->drop.if_exists, &there, err));
    if (there == NULL) {
        out->kind = PLANNED_NOTHING;
        out->message = arena_printf(a, "There is no %s %.*s.", kind_word(s->drop.kind == SOURCE_TABLE),
                                    SLICE_ARG(s->drop.name.name));
        return WEIR_OK;
    }
    if (there->is_source && s->drop.delete_topic) {
        return weir_fail(err, WEIR_SEMANTIC, s->drop.name.at, "%.*s is read-only (SOURCE): its topic cannot be deleted here; leave out DELETE TOPIC",
                         SLICE_ARG(there->name));
    }
    out->kind = PLANNED_COMMAND;
    out->command = (command){ .kind = COMMAND_DROP_SOURCE, .name = arena_copy(a, there->name),
                              .deletes_topic = s->drop.delete_topic, .sql = arena_copy(a, s->text) };
    return catalog_check(env->catalog, &out->command, s->drop.name.at, err);
}

static weir_rc plan_control(const planner_env *env, const statement *s, command_kind kind, arena *a, planned *out,
                            weir_error *err)
{
    const identifier *id = &s->control.query_id;

    out->kind = PLANNED_COMMAND;
    out->command = (command){ .kind = kind, .name = s->control.all ? NO_SLICE : arena_copy(a, id->name),
                              .sql = arena_copy(a, s->text) };
    if (s->control.all || catalog_query(env->catalog, id->name) != NULL) return WEIR_OK;
    return catalog_fail_query(env->catalog, id->name, id->at, err);
}

static weir_rc plan_create_type(const planner_env *env, const statement *s, arena *a, planned *out, weir_error *err)
{
    const identifier *name = &s->create_type.name;
    const type *t;

    if (!name->quoted && is_builtin_type(name->name)) {
        return weir_fail(err, WEIR_SEMANTIC, name->at, "%.*s is a type of the language; choose another name", SLICE_ARG(name->name));
    }
    if (catalog_type(env->catalog, name->name) != NULL) {
        if (!s->create_type.if_not_exists) {
            return weir_fail(err, WEIR_SEMANTIC, name->at, "there is a type %.*s already", SLICE_ARG(name->name));
        }
        out->kind = PLANNED_NOTHING;
        out->message = arena_printf(a, "There is a type %.*s already.", SLICE_ARG(name->name));
        return WEIR_OK;
    }
    WEIR_TRY(bind_type(s->create_type.type, env->catalog, a, &t, err));
    out->kind = PLANNED_COMMAND;
    out->command = (command){ .kind = COMMAND_CREATE_TYPE, .name = arena_copy(a, name->name), .type = t,
                              .sql = arena_copy(a, s->text) };
    return WEIR_OK;
}

static weir_rc plan_drop_type(const planner_env *env, const statement *s, arena *a, planned *out, weir_error *err)
{
    const identifier *name = &s->drop.name;
    uint32_t count;

    if (catalog_type(env->catalog, name->name) != NULL) {
        out->kind = PLANNED_COMMAND;
        out->command = (command){ .kind = COMMAND_DROP_TYPE, .name = arena_copy(a, name->name), .sql = arena_copy(a, s->text) };
        return WEIR_OK;
    }
    if (s->drop.if_exists) {
        out->kind = PLANNED_NOTHING;
        out->message = arena_printf(a, "There is no type %.*s.", SLICE_ARG(name->name));
        return WEIR_OK;
    }
    nearest n = nearest_to(name->name);
    const custom_type *const *all = catalog_types(env->catalog, &count);
    for (uint32_t i = 0; i < count; i++) nearest_offer(&n, all[i]->name);
    return weir_fail(err, WEIR_SEMANTIC, name->at, "there is no type %.*s%s", SLICE_ARG(name->name),
                     n.best.data != NULL ? nearest_hint(&n) : "; SHOW TYPES lists those there are");
}

weir_rc plan_statement(const planner_env *env, const statement *s, arena *a, planned *out, weir_error *err)
{
    *out = (planned){ .kind = PLANNED_NOTHING };
    switch (s->kind) {
    case STATEMENT_QUERY: return plan_transient(env, s, a, out, err);
    case STATEMENT_CREATE_SOURCE: return plan_create_source(env, s, a, out, err);
    case STATEMENT_CREATE_AS: return plan_create_as(env, s, a, out, err);
    case STATEMENT_INSERT_QUERY: return plan_insert_query(env, s, a, out, err);
    case STATEMENT_INSERT_VALUES: return plan_insert_values(env, s, a, out, err);
    case STATEMENT_DROP_SOURCE: return plan_drop(env, s, a, out, err);
    case STATEMENT_ALTER_SOURCE: return plan_alter(env, s, a, out, err);
    case STATEMENT_CREATE_TYPE: return plan_create_type(env, s, a, out, err);
    case STATEMENT_DROP_TYPE: return plan_drop_type(env, s, a, out, err);
    case STATEMENT_TERMINATE: return plan_control(env, s, COMMAND_TERMINATE, a, out, err);
    case STATEMENT_PAUSE: return plan_control(env, s, COMMAND_PAUSE, a, out, err);
    case STATEMENT_RESUME: return plan_control(env, s, COMMAND_RESUME, a, out, err);
    case STATEMENT_ALTER_SYSTEM:
        out->kind = PLANNED_COMMAND;
        out->command = (command){ .kind = COMMAND_ALTER_SYSTEM, .name = arena_copy(a, s->setting.name),
                                  .value = arena_copy(a, s->setting.value), .sql = arena_copy(a, s->text) };
        return WEIR_OK;
    default: return weir_fail(err, WEIR_UNSUPPORTED, s->at, "%s is not supported yet", statement_kind_name(s->kind));
    }
}
