/* executor/session.c - sessions and scripts: each statement is parsed, planned and done before the next is read. */
#include "executor/weir.h"

#include <stdlib.h>

struct weir_script {
    weir_session *session;
    parser *parser;
    bool resumes;
    weir_allow allow;
    bool was_refused;
    weir_allow sort; /* of the last statement */
    bool has_statement, changed_session;
    text statement; /* of the last one, with its ';' */
};

weir_rc weir_session_open(weir_session **out, weir *w)
{
    weir_session *s = calloc(1, sizeof *s);

    if (s == NULL) return WEIR_NOMEM;
    s->weir = w;
    s->variables = variables_new();
    *out = s;
    return WEIR_OK;
}

void weir_session_close(weir_session *s)
{
    if (s == NULL) return;
    variables_free(s->variables);
    while (s->setting_count > 0) setting_put(s, s->settings[0].name, NO_SLICE);
    free(s->settings);
    free(s);
}

weir_rc weir_has_executed(weir *w, uint64_t number, bool *out, weir_error *err)
{
    pthread_mutex_lock(&w->lock);
    weir_rc rc = catalog_refresh(w, err);
    *out = rc == WEIR_OK && catalog_version(w->catalog) >= number;
    pthread_mutex_unlock(&w->lock);
    return rc;
}

weir_rc weir_session_set(weir_session *s, slice name, slice new_value, weir_error *err)
{
    slice canonical;

    WEIR_TRY(setting_check(name, new_value, &canonical, err));
    if (canonical.data != NULL) setting_put(s, canonical, new_value);
    return WEIR_OK;
}

void weir_session_define(weir_session *s, slice name, slice new_value)
{
    variables_set(s->variables, name, new_value);
}

void weir_cancel(weir_session *s)
{
    atomic_store(&s->cancelled, true);
}

bool weir_is_complete(slice sql)
{
    return parse_is_complete(sql);
}

weir_script *weir_script_open(weir_session *s, slice sql)
{
    weir_script *script = calloc(1, sizeof *script);

    if (script == NULL) abort();
    script->session = s;
    if (s->script_depth == 0) atomic_store(&s->cancelled, false); /* what is cancelled from now on is meant for this one */
    script->allow = WEIR_ALLOW_ALL;
    script->parser = parser_open(sql);
    return script;
}

void weir_script_close(weir_script *script)
{
    if (script == NULL) return;
    parser_close(script->parser);
    text_free(&script->statement);
    free(script);
}

void weir_script_resumes(weir_script *script, bool resumes)
{
    script->resumes = resumes;
}

void weir_script_allows(weir_script *script, weir_allow what)
{
    script->allow = what;
}

bool weir_script_was_refused(const weir_script *script)
{
    return script->was_refused;
}

weir_allow weir_script_sort(const weir_script *script)
{
    return script->sort;
}

slice weir_script_statement(const weir_script *script)
{
    return script->has_statement ? text_slice(&script->statement) : NO_SLICE;
}

bool weir_script_changed_session(const weir_script *script)
{
    return script->changed_session;
}

void weir_session_describes(weir_session *s, bool describes)
{
    s->describes = describes;
}

void weir_session_is_remote(weir_session *s)
{
    s->is_remote = true;
}

void weir_session_shares_readers(weir_session *s)
{
    s->shares_readers = !s->weir->clock.is_virtual;
}

void weir_session_ends(weir_session *s, bool (*ends)(void *self, slice id), void *self)
{
    s->ends = ends;
    s->ends_self = self;
}

bool weir_knows_setting(slice name)
{
    return setting_canonical(name).data != NULL || setting_is_idle(name);
}

/* ---- what the planner asks ---- */

static weir_rc ask_partitions(void *self, slice topic, int32_t *partitions, int32_t *replicas, weir_error *err)
{
    weir *w = ((weir_session *)self)->weir;
    topic_info info;
    bool found;

    WEIR_TRY(topic_find(w->storage, topic, &info, &found, err));
    *partitions = found ? info.partitions : 0;
    *replicas = found ? info.replicas : 1;
    for (uint32_t i = 0; found && i < w->declared_count; i++) {
        if (!slice_equal(w->declared[i].name, topic)) continue;
        *partitions = w->declared[i].partitions;
        *replicas = w->declared[i].replicas;
    }
    return WEIR_OK;
}

static slice ask_setting(void *self, const char *name)
{
    return setting_value(self, name);
}

void planner_env_of(weir_session *s, planner_env *env)
{
    *env = (planner_env){ .catalog = s->weir->catalog, .registry = s->weir->registry, .topic_partitions = ask_partitions, .self = s,
                          .setting = ask_setting, .now_ms = clock_now_ms(&s->weir->clock) };
}

/* ---- doing what was planned ---- */

static void note_declared(weir *w, slice name, int32_t partitions, int32_t replicas)
{
    uint32_t at = 0;

    while (at < w->declared_count && !slice_equal(w->declared[at].name, name)) at++;
    if (at == w->declared_room) {
        w->declared_room = w->declared_room == 0 ? 8 : w->declared_room * 2;
        w->declared = realloc(w->declared, w->declared_room * sizeof *w->declared);
        if (w->declared == NULL) abort();
    }
    if (at == w->declared_count) w->declared[w->declared_count++].name = arena_copy(w->arena, name);
    w->declared[at].partitions = partitions;
    w->declared[at].replicas = replicas;
}

static weir_rc make_topic(weir *w, slice name, int32_t partitions, int32_t replicas, int64_t retention_ms, cleanup_policy cleanup,
                          weir_error *err)
{
    if (partitions < 1) partitions = 1;
    if (replicas < 1) replicas = 1;
    const topic_spec spec = { .name = name, .partitions = w->options.single_partition ? 1 : partitions, .replicas = replicas,
                              .retention_ms = retention_ms < 0 ? 0 : retention_ms, .is_compacted = cleanup != CLEANUP_DELETE,
                              .is_also_deleted = cleanup == CLEANUP_COMPACT_DELETE };
    topic_info info;
    bool found;

    WEIR_TRY(topic_find(w->storage, name, &info, &found, err));
    if (found) return WEIR_OK;
    if (w->options.single_partition) note_declared(w, name, partitions, replicas);
    return topic_create(w->storage, &spec, err);
}

weir_rc weir_declare_topic(weir *w, slice name, int32_t partitions, int32_t replicas, weir_error *err)
{
    return make_topic(w, name, partitions, replicas, -1, CLEANUP_DELETE, err);
}

static weir_rc make_topics(weir *w, const planned *p, weir_error *err)
{
    const command *what = &p->command;

    if (what->kind != COMMAND_CREATE_SOURCE || !(p->makes_topic || what->plan != NULL)) return WEIR_OK;
    return make_topic(w, what->source->topic, what->source->partitions, what->source->replicas, what->source->retention_ms, p->cleanup,
                      err);
}

/* What is declared is written down where others look, unless they have done so; what a query writes is what counts. */
static weir_rc register_schemas(const command *what, arena *a, weir_error *err)
{
    const source *s = what->source;
    bool unless_there = what->plan == NULL;
    uint32_t count = 0;

    if (what->kind != COMMAND_CREATE_SOURCE) return WEIR_OK;
    schema_column *values = ARENA_ARRAY(a, schema_column, s->schema.count);
    for (uint32_t i = s->schema.key_count; i < s->schema.count; i++) {
        if (!s->schema.columns[i].is_headers && s->schema.columns[i].header_key.data == NULL) values[count++] = s->schema.columns[i];
    }
    WEIR_TRY(format_register(&s->key, s->schema.columns, s->schema.key_count, unless_there, err));
    return format_register(&s->value, values, count, unless_there, err);
}

static weir_result *control_done(const command *what, const char *done)
{
    if (what->name.data == NULL) return result_message("currentStatus", "All queries %s", done);
    return result_message("currentStatus", "Query %.*s %s", SLICE_ARG(what->name), done);
}

static weir_result *command_done(weir *w, const command *what)
{
    const char *kind = what->source == NULL ? "" : what->source->is_table ? "Table" : "Stream";
    const weir_error *waits = what->plan == NULL ? NULL : why_not_started(w, what->plan->query_id);
    const char *but = waits == NULL ? "" : "; it waits and tries again: ", *why = waits == NULL ? "" : waits->message;

    switch (what->kind) {
    case COMMAND_CREATE_SOURCE:
        if (what->plan != NULL) {
            return result_message("currentStatus", "%s %.*s created, filled by query %.*s%s%s", kind, SLICE_ARG(what->source->name),
                                  SLICE_ARG(what->plan->query_id), but, why);
        }
        return result_message("currentStatus", "%s %.*s %s", kind, SLICE_ARG(what->source->name),
                              what->replaces ? "replaced" : "created");
    case COMMAND_INSERT_INTO:
        return result_message("currentStatus", "Query %.*s created%s%s", SLICE_ARG(what->plan->query_id), but, why);
    case COMMAND_DROP_SOURCE: return result_message("currentStatus", "%.*s dropped", SLICE_ARG(what->name));
    case COMMAND_TERMINATE: return control_done(what, "terminated");
    case COMMAND_PAUSE: return control_done(what, "paused");
    case COMMAND_RESUME: return control_done(what, "resumed");
    case COMMAND_CREATE_TYPE: return result_message("currentStatus", "Type %.*s registered", SLICE_ARG(what->name));
    case COMMAND_DROP_TYPE: return result_message("currentStatus", "Type %.*s dropped", SLICE_ARG(what->name));
    case COMMAND_ALTER_SYSTEM: return result_message("currentStatus", "%.*s set", SLICE_ARG(what->name));
    }
    return result_message("currentStatus", "done");
}

/* What DROP ... DELETE TOPIC is to delete, which is known as long as the source is: the topic and its schemas. */
typedef struct doomed {
    slice topic; /* absent: nothing */
    format_spec key, value;
} doomed;

static format_spec kept_spec(const format_spec *spec, arena *a)
{
    format_spec kept = *spec;

    kept.name = arena_copy(a, spec->name);
    kept.subject = arena_copy(a, spec->subject);
    return kept;
}

static doomed doomed_by(weir *w, const command *what, arena *a)
{
    const source *s = what->kind == COMMAND_DROP_SOURCE && what->deletes_topic ? catalog_source(w->catalog, what->name) : NULL;

    if (s == NULL) return (doomed){ .topic = NO_SLICE };
    return (doomed){ arena_copy(a, s->topic), kept_spec(&s->key, a), kept_spec(&s->value, a) };
}

static weir_rc delete_doomed(weir *w, const doomed *d, weir_error *err)
{
    char reason[sizeof err->message];

    if (d->topic.data == NULL) return WEIR_OK;
    WEIR_TRY(topic_delete(w->storage, d->topic, err));
    weir_rc rc = format_unregister(&d->key, err);
    if (rc == WEIR_OK) rc = format_unregister(&d->value, err);
    if (rc == WEIR_OK) return WEIR_OK;
    memcpy(reason, err->message, sizeof reason);
    return weir_fail_act(err, rc, err->act, "dropped, with its topic %.*s, but the schemas of that stay in the registry: %s", SLICE_ARG(d->topic),
                         reason);
}

/* What a stored statement of the same text made, in words; absent: there is none. */
static const char *stored_as(weir *w, const statement *what, weir_error *err)
{
    bool is_create = what->kind == STATEMENT_CREATE_SOURCE || what->kind == STATEMENT_CREATE_AS;
    slice stored = NO_SLICE;
    uint32_t count;

    err->rc = WEIR_OK;
    if (is_create) {
        const source *s = catalog_source(w->catalog, what->create.name.name);
        if (s == NULL || what->create.or_replace) return NULL;
        stored = s->sql;
    } else if (what->kind == STATEMENT_INSERT_QUERY) {
        const query_entry *const *all = catalog_queries(w->catalog, &count);
        for (uint32_t i = 0; i < count; i++) {
            if (slice_equal(all[i]->plan.sql, what->text)) return "continued";
        }
        return NULL;
    } else if (what->kind == STATEMENT_CREATE_TYPE) {
        return catalog_type(w->catalog, what->create_type.name.name) != NULL ? "continued" : NULL;
    } else {
        return NULL;
    }
    if (slice_equal(stored, what->text)) return "continued";
    if (what->create.if_not_exists) return NULL;
    weir_fail(err, WEIR_SEMANTIC, what->create.name.at,
              "%.*s exists already, made by another statement: %.*s; use CREATE OR REPLACE to change it, or DROP it first",
              SLICE_ARG(what->create.name.name), SLICE_ARG(stored));
    return NULL;
}

/* ---- INSERT VALUES ---- */

/* Headers are no part of a record's value. */
static uint32_t value_columns(const source *into, const column *columns, arena *a, schema_column **specs, column **values)
{
    uint32_t count = 0;

    *specs = ARENA_ARRAY(a, schema_column, into->schema.count);
    *values = ARENA_ARRAY(a, column, into->schema.count);
    for (uint32_t i = into->schema.key_count; i < into->schema.count; i++) {
        const schema_column *c = &into->schema.columns[i];
        if (c->is_headers || c->header_key.data != NULL) continue;
        (*specs)[count] = *c;
        (*values)[count++] = columns[i];
    }
    return count;
}

typedef struct misfits {
    const source *into;
    insertion *rows;
} misfits;

static void note_misfit(void *self, uint32_t row, const char *reason)
{
    const misfits *m = self;

    (void)!weir_fail(&m->rows[row].err, WEIR_SEMANTIC, NOWHERE, "the values do not fit the formats of %.*s: %s",
                     SLICE_ARG(m->into->name), reason);
}

/* Those that have not failed, and, if asked for, have a value in a column of the key. */
static row_set rows_alive(const insertion *rows, uint32_t count, uint32_t key_count, bool keyed_only, arena *a)
{
    uint32_t *index = ARENA_ARRAY(a, uint32_t, count);
    row_set alive = { index, 0 };

    for (uint32_t i = 0; i < count; i++) {
        bool has_key = !keyed_only;
        for (uint32_t k = 0; k < key_count && !has_key; k++) has_key = !rows[i].row[k].is_null;
        if (rows[i].err.rc == WEIR_OK && has_key) index[alive.count++] = i;
    }
    return alive;
}

static weir_rc encode_side(const format_spec *spec, const schema_column *specs, const column *columns, uint32_t count, row_set rows,
                           slice *out, const row_report *report, arena *a, weir_error *err)
{
    format *f = NULL;
    weir_rc rc = format_open(&f, spec, specs, count, NULL, a, err);

    if (rc == WEIR_OK && rows.count > 0) rc = format_start_writing(f, a, err);
    if (rc == WEIR_OK && rows.count > 0) (void)format_encode(f, columns, rows, a, out, report);
    format_close(f);
    return rc;
}

void insert_encode(const source *into, insertion *rows, uint32_t count, record *made, arena *a)
{
    uint32_t key_count = into->schema.key_count;
    column *columns = ARENA_ARRAY(a, column, into->schema.count), *values;
    schema_column *specs;
    slice *keys = ARENA_ZEROS(a, slice, count), *bodies = ARENA_ZEROS(a, slice, count);
    misfits m = { into, rows };
    const row_report report = { note_misfit, &m };
    row_set alive = rows_alive(rows, count, key_count, false, a);
    weir_error err = { .rc = WEIR_OK };
    weir_rc rc = WEIR_OK;

    for (uint32_t i = 0; i < into->schema.count; i++) {
        columns[i] = column_new(a, into->schema.columns[i].type, count);
        EACH_ROW(r, alive) column_set(&columns[i], r, &rows[r].row[i]);
    }
    if (key_count > 0) {
        row_set keyed = rows_alive(rows, count, key_count, true, a);
        rc = encode_side(&into->key, into->schema.columns, columns, key_count, keyed, keys, &report, a, &err);
    }
    uint32_t value_count = value_columns(into, columns, a, &specs, &values);
    alive = rows_alive(rows, count, key_count, false, a);
    if (rc == WEIR_OK) rc = encode_side(&into->value, specs, values, value_count, alive, bodies, &report, a, &err);
    EACH_ROW(r, alive) {
        if (rc != WEIR_OK) rows[r].err = err;
        made[r] = (record){ .key = keys[r], .value = bodies[r], .timestamp_ms = rows[r].timestamp_ms };
    }
}

void insert_append(weir *w, slice topic, insertion *rows, const record *made, uint32_t count, arena *a)
{
    record *all = ARENA_ARRAY(a, record, count);
    uint32_t *from = ARENA_ARRAY(a, uint32_t, count), taken = 0;
    int64_t *offsets = ARENA_ARRAY(a, int64_t, count);
    uint64_t bytes_max = 0;
    weir_error err;
    weir_rc rc = topic_record_bytes_max(w->storage, topic, &bytes_max, &err);

    for (uint32_t i = 0; i < count; i++) {
        if (rows[i].err.rc != WEIR_OK) continue;
        if (rc == WEIR_OK && made[i].key.len + made[i].value.len > bytes_max) {
            (void)!topic_append(w->storage, topic, &made[i], NULL, 1, NULL, &rows[i].err); /* says so */
            continue;
        }
        from[taken] = i;
        offsets[taken] = -1;
        all[taken++] = made[i];
    }
    if (rc == WEIR_OK) rc = topic_append(w->storage, topic, all, NULL, taken, offsets, &err);
    for (uint32_t i = 0; rc != WEIR_OK && i < taken; i++) { /* Kafka may have taken some */
        if (offsets[i] < 0) rows[from[i]].err = err;
    }
}

static weir_rc insert_row(weir *w, const planned *p, weir_error *err)
{
    insertion one = { .row = p->row, .timestamp_ms = p->timestamp_ms };
    arena *a = arena_new(0);
    record made;

    insert_encode(p->into, &one, 1, &made, a);
    insert_append(w, p->into->topic, &one, &made, 1, a);
    arena_free(a);
    if (one.err.rc != WEIR_OK) *err = one.err;
    return one.err.rc;
}

static weir_rc open_query(weir_session *s, const planned *p, arena **kept, weir_result **out, weir_error *err)
{
    weir *w = s->weir;
    plan *own = ARENA_NEW(*kept, plan);
    const transient_env env = { .storage = w->storage, .clock = &w->clock, .batch_rows = w->options.batch_rows,
                                .cancelled = &s->cancelled, .feeds = s->shares_readers ? w->feeds : NULL };
    const step *first = &p->plan.steps[0];
    const query_entry *keeper = first->kind == STEP_SNAPSHOT ? catalog_query(w->catalog, first->snapshot.query) : NULL;
    transient *t;

    *own = p->plan;
    plan_prepare(own);
    weir_rc rc = transient_open(&t, &env, own, err);
    if (rc != WEIR_OK) {
        plan_release(own);
        return rc;
    }
    *out = result_query(*kept, own, t, s);
    if (keeper != NULL) catalog_query_hold(keeper);
    (*out)->keeper = keeper;
    (*out)->catalog_version = catalog_version(w->catalog);
    (*out)->warning = plan_doubts(own, *kept);
    *kept = NULL; /* the result's now */
    return WEIR_OK;
}

weir_rc open_select(weir_session *s, const statement *what, arena **kept, weir_result **out, weir_error *err)
{
    planner_env env;
    planned p = { 0 };

    WEIR_TRY(catalog_refresh(s->weir, err));
    planner_env_of(s, &env);
    WEIR_TRY(plan_statement(&env, what, *kept, &p, err));
    if (p.kind != PLANNED_QUERY) return weir_fail(err, WEIR_SEMANTIC, what->at, "this SELECT runs no query");
    return open_query(s, &p, kept, out, err);
}

static bool ends_elsewhere(weir_session *s, const statement *what, weir_result **out)
{
    slice id = what->kind == STATEMENT_TERMINATE && !what->control.all ? what->control.query_id.name : NO_SLICE;

    if (id.data == NULL || s->ends == NULL || catalog_query(s->weir->catalog, id) != NULL || !s->ends(s->ends_self, id)) return false;
    *out = result_message("terminate_query", "Query %.*s terminated", SLICE_ARG(id));
    return true;
}

/* Plans and carries out; another process's command may come between, then it is planned again. */
static weir_rc plan_and_do(weir_session *s, const statement *what, arena **kept, weir_result **out, weir_error *err)
{
    weir *w = s->weir;
    planner_env env;
    planned p;

    for (;;) {
        WEIR_TRY(catalog_refresh(w, err));
        if (ends_elsewhere(s, what, out)) return WEIR_OK;
        uint64_t version = catalog_version(w->catalog);
        planner_env_of(s, &env);
        p = (planned){ 0 };
        WEIR_TRY(plan_statement(&env, what, *kept, &p, err));
        switch (p.kind) {
        case PLANNED_NOTHING: *out = result_message("currentStatus", "%.*s", SLICE_ARG(p.message)); return WEIR_OK;
        case PLANNED_INSERT_VALUES:
            WEIR_TRY(insert_row(w, &p, err));
            *out = result_message("insertValues", "1 row inserted");
            return WEIR_OK;
        case PLANNED_QUERY: return open_query(s, &p, kept, out, err);
        case PLANNED_COMMAND: break;
        }
        bool accepted = false;
        doomed doomed = doomed_by(w, &p.command, *kept);
        weir_rc rc = make_topics(w, &p, err);
        if (rc == WEIR_OK) rc = register_schemas(&p.command, *kept, err);
        if (rc == WEIR_OK) rc = command_append(w, &p.command, version, &accepted, err);
        if (rc == WEIR_OK && accepted) rc = delete_doomed(w, &doomed, err);
        slice doubts = p.command.plan == NULL ? NO_SLICE : plan_doubts(p.command.plan, *kept);
        command_release(&p.command); /* the catalog has its own */
        if (rc != WEIR_OK) return rc;
        if (!accepted) continue;
        *out = command_done(w, &p.command);
        (*out)->warning = arena_copy((*out)->arena, doubts);
        return WEIR_OK;
    }
}

static weir_rc do_statement(weir_script *script, const statement *what, arena **kept, weir_result **out, weir_error *err)
{
    weir_session *s = script->session;
    weir *w = s->weir;
    weir_rc rc;

    switch (what->kind) {
    case STATEMENT_SET:
    case STATEMENT_UNSET:
        if ((rc = weir_session_set(s, what->setting.name, what->setting.value, err)) != WEIR_OK) {
            err->at = what->setting.name_at;
            return rc;
        }
        *out = result_message("properties", "%.*s %s%s", SLICE_ARG(what->setting.name),
                              what->kind == STATEMENT_SET ? "set" : "unset",
                              setting_is_idle(what->setting.name) ? ", which has no effect here" : "");
        return WEIR_OK;
    case STATEMENT_DEFINE:
        variables_set(s->variables, what->setting.name, what->setting.value);
        *out = result_message("variables", "Variable %.*s defined", SLICE_ARG(what->setting.name));
        return WEIR_OK;
    case STATEMENT_UNDEFINE:
        if (!variables_unset(s->variables, what->setting.name)) {
            return weir_fail(err, WEIR_SEMANTIC, what->setting.name_at, "variable %.*s is not defined%s",
                             SLICE_ARG(what->setting.name), variables_hint(s->variables, what->setting.name));
        }
        *out = result_message("variables", "Variable %.*s undefined", SLICE_ARG(what->setting.name));
        return WEIR_OK;
    case STATEMENT_SHOW:
    case STATEMENT_DESCRIBE:
    case STATEMENT_EXPLAIN:
    case STATEMENT_PRINT:
        if (what->kind == STATEMENT_EXPLAIN && what->explain.analyze && what->explain.inner != NULL) {
            return analyze_statement(s, what, kept, out, err);
        }
        pthread_mutex_lock(&w->lock);
        rc = w->has_watcher && storage_is_cut_off(w->storage) ? WEIR_OK : catalog_refresh(w, err);
        if (rc == WEIR_BROKER) rc = WEIR_OK; /* what is known already will do: it may be the trouble that is asked for */
        if (rc == WEIR_OK) rc = show_statement(s, what, *kept, out, err);
        if (rc == WEIR_OK && s->describes) describe_result(s, what, *out);
        pthread_mutex_unlock(&w->lock);
        return rc;
    case STATEMENT_ASSERT_TOPIC:
    case STATEMENT_ASSERT_SCHEMA:
    case STATEMENT_ASSERT_SOURCE:
    case STATEMENT_ASSERT_VALUES:
    case STATEMENT_ASSERT_TOMBSTONE:
        WEIR_TRY(assert_statement(s, what, *kept, out, err));
        if (s->describes) describe_result(s, what, *out);
        return WEIR_OK;
    case STATEMENT_ALTER_SYSTEM: {
        slice ignored;
        if ((rc = setting_check(what->setting.name, what->setting.value, &ignored, err)) == WEIR_OK) break;
        err->at = what->setting.name_at;
        return rc;
    }
    case STATEMENT_RUN_SCRIPT: return run_script_statement(s, what, script->resumes, out, err);
    case STATEMENT_CREATE_CONNECTOR:
    case STATEMENT_DROP_CONNECTOR:
        return weir_fail(err, WEIR_UNSUPPORTED, what->at, "connectors are not supported: weir reads and writes topics");
    default: break;
    }
    pthread_mutex_lock(&w->lock);
    rc = WEIR_OK;
    const char *stored = NULL;
    if (script->resumes) {
        rc = catalog_refresh(w, err);
        if (rc == WEIR_OK) {
            stored = stored_as(w, what, err);
            rc = err->rc;
        }
    }
    if (rc == WEIR_OK && stored != NULL) {
        *out = result_message("currentStatus", "Already there: %s", stored);
    } else if (rc == WEIR_OK) {
        rc = plan_and_do(s, what, kept, out, err);
    }
    if (rc == WEIR_OK && s->describes) describe_result(s, what, *out);
    pthread_mutex_unlock(&w->lock);
    return rc;
}

static weir_allow sort_of(statement_kind kind)
{
    switch (kind) {
    case STATEMENT_QUERY:
    case STATEMENT_PRINT: return WEIR_ALLOW_QUERIES;
    case STATEMENT_SHOW:
    case STATEMENT_DESCRIBE:
    case STATEMENT_EXPLAIN:
    case STATEMENT_SET:
    case STATEMENT_UNSET:
    case STATEMENT_DEFINE:
    case STATEMENT_UNDEFINE:
    case STATEMENT_ASSERT_TOPIC:
    case STATEMENT_ASSERT_SCHEMA: return WEIR_ALLOW_READING;
    case STATEMENT_INSERT_VALUES: return WEIR_ALLOW_ROWS;
    default: return WEIR_ALLOW_CHANGES;
    }
}

static weir_rc check_allowed(weir_script *script, const statement *what, weir_error *err)
{
    script->sort = sort_of(what->kind);
    script->was_refused = (script->allow & script->sort) == 0;
    if (!script->was_refused) return WEIR_OK;
    return weir_fail(err, WEIR_SEMANTIC, what->at, "%s is not taken here", statement_kind_name(what->kind));
}

/* Those that stand for something in the next statement. */
static const variables *variables_now(const weir_session *s)
{
    pthread_mutex_lock(&s->weir->lock);
    bool is_off = slice_equal_nocase(setting_value(s, "ksql.variable.substitution.enable"), SLICE("false"));
    pthread_mutex_unlock(&s->weir->lock);
    return is_off ? NULL : s->variables;
}

weir_rc weir_script_next(weir_script *script, weir_result **out, weir_error *err)
{
    arena *kept = arena_new(0);
    statement *what;

    *out = NULL;
    err->rc = WEIR_OK;
    script->was_refused = script->has_statement = script->changed_session = false;
    weir_rc rc = parser_next(script->parser, kept, variables_now(script->session), &what, err);
    if (rc == WEIR_OK && what != NULL) {
        text_clear(&script->statement);
        text_add(&script->statement, what->text);
        text_add_char(&script->statement, ';');
        script->has_statement = true;
        rc = check_allowed(script, what, err);
        script->changed_session = what->kind == STATEMENT_SET || what->kind == STATEMENT_UNSET || what->kind == STATEMENT_DEFINE ||
                                  what->kind == STATEMENT_UNDEFINE;
        if (rc == WEIR_OK) rc = do_statement(script, what, &kept, out, err);
    }
    arena_free(kept);
    return rc;
}
