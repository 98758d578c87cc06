/* planner/catalog.c - the catalog: a fold of commands. An entity is copied in through its stored text, so what a process
 * holds is what another one reads from the log. */
#include "planner/bound.h"
#include "planner/catalog.h"

#include "core/nearest.h"

#include <stdatomic.h>
#include <stdlib.h>

typedef struct source_entity {
    source source; /* first: lent as a source * */
    arena *arena;
} source_entity;

typedef struct query_entity {
    query_entry entry; /* first */
    arena *arena;
    atomic_uint holders; /* the catalog, and plans that point into its plan */
} query_entity;

typedef struct type_entity {
    custom_type type; /* first */
    arena *arena;
} type_entity;

typedef struct setting_entity {
    system_setting setting; /* first */
    arena *arena;
} setting_entity;

/* Pointers in order of creation. */
typedef struct entity_list {
    void **items;
    uint32_t count, room;
} entity_list;

struct catalog {
    entity_list sources, queries, types, settings;
    dropped_query *dropped; /* their names in an arena of their own */
    uint32_t dropped_count, dropped_room;
    arena *dropped_names;
    atomic_uint_fast64_t version;
    struct registry *registry;
};

/* ---- lists ---- */

static void list_add(entity_list *l, void *item)
{
    if (l->count == l->room) {
        l->room = l->room == 0 ? 16 : l->room * 2;
        l->items = realloc(l->items, l->room * sizeof *l->items);
        if (l->items == NULL) abort();
    }
    l->items[l->count++] = item;
}

static void list_remove(entity_list *l, uint32_t index)
{
    l->count--;
    memmove(l->items + index, l->items + index + 1, (l->count - index) * sizeof *l->items);
}

static void free_source(source_entity *e)
{
    arena_free(e->arena);
}

static void free_query(query_entity *e)
{
    if (atomic_fetch_sub(&e->holders, 1) > 1) return;
    plan_release(&e->entry.plan);
    arena_free(e->arena);
}

static void free_type(type_entity *e)
{
    arena_free(e->arena);
}

static void free_setting(setting_entity *e)
{
    arena_free(e->arena);
}

catalog *catalog_new(void)
{
    catalog *c = calloc(1, sizeof *c);

    if (c == NULL) abort();
    c->dropped_names = arena_new(0);
    return c;
}

void catalog_free(catalog *c)
{
    if (c == NULL) return;
    for (uint32_t i = 0; i < c->sources.count; i++) free_source(c->sources.items[i]);
    for (uint32_t i = 0; i < c->queries.count; i++) free_query(c->queries.items[i]);
    for (uint32_t i = 0; i < c->types.count; i++) free_type(c->types.items[i]);
    for (uint32_t i = 0; i < c->settings.count; i++) free_setting(c->settings.items[i]);
    arena_free(c->dropped_names);
    free(c->dropped);
    free(c->settings.items);
    free(c->sources.items);
    free(c->queries.items);
    free(c->types.items);
    free(c);
}

/* ---- looking up ---- */

static int64_t find_source_index(const catalog *c, slice name)
{
    for (uint32_t i = 0; i < c->sources.count; i++) {
        if (slice_equal(((source *)c->sources.items[i])->name, name)) return i;
    }
    return -1;
}

static int64_t find_query_index(const catalog *c, slice id)
{
    for (uint32_t i = 0; i < c->queries.count; i++) {
        if (slice_equal_nocase(((query_entry *)c->queries.items[i])->id, id)) return i;
    }
    return -1;
}

static int64_t find_type_index(const catalog *c, slice name)
{
    for (uint32_t i = 0; i < c->types.count; i++) {
        if (slice_equal(((custom_type *)c->types.items[i])->name, name)) return i;
    }
    return -1;
}

const source *catalog_source(const catalog *c, slice name)
{
    int64_t i = find_source_index(c, name);

    return i < 0 ? NULL : c->sources.items[i];
}

const query_entry *catalog_query(const catalog *c, slice id)
{
    int64_t i = find_query_index(c, id);

    return i < 0 ? NULL : c->queries.items[i];
}

const type *catalog_type(const catalog *c, slice name)
{
    int64_t i = find_type_index(c, name);

    return i < 0 ? NULL : ((custom_type *)c->types.items[i])->type;
}

const source *const *catalog_sources(const catalog *c, uint32_t *count)
{
    *count = c->sources.count;
    return (const source *const *)c->sources.items;
}

const query_entry *const *catalog_queries(const catalog *c, uint32_t *count)
{
    *count = c->queries.count;
    return (const query_entry *const *)c->queries.items;
}

const dropped_query *catalog_dropped_queries(const catalog *c, uint32_t *count)
{
    *count = c->dropped_count;
    return c->dropped;
}

slice catalog_state_name(const catalog *c, slice id, arena *a)
{
    const query_entry *there = catalog_query(c, id);
    uint32_t earlier = 0;

    if (there != NULL) return there->plan.state_name.data == NULL ? NO_SLICE : arena_copy(a, there->plan.state_name);
    for (uint32_t i = 0; i < c->dropped_count; i++) earlier += slice_equal_nocase(c->dropped[i].id, id);
    /* A QUERY_ID has no small letters, and an id that was made ends with _ and digits: none is another with a v and a number behind it. */
    return earlier == 0 ? NO_SLICE : arena_printf(a, "%.*sv%u", SLICE_ARG(id), earlier + 1);
}

bool catalog_uses_state(const catalog *c, slice state_name)
{
    for (uint32_t i = 0; i < c->queries.count; i++) {
        const query_entry *q = c->queries.items[i];
        if (slice_equal(plan_state_name(&q->plan), state_name)) return true;
    }
    return false;
}

const custom_type *const *catalog_types(const catalog *c, uint32_t *count)
{
    *count = c->types.count;
    return (const custom_type *const *)c->types.items;
}

const system_setting *const *catalog_settings(const catalog *c, uint32_t *count)
{
    *count = c->settings.count;
    return (const system_setting *const *)c->settings.items;
}

weir_rc catalog_fail_source(const catalog *c, const char *kind, slice name, sql_pos at, weir_error *err)
{
    nearest n = nearest_to(name);

    for (uint32_t i = 0; i < c->sources.count; i++) nearest_offer(&n, ((source *)c->sources.items[i])->name);
    return weir_fail(err, WEIR_SEMANTIC, at, "there is no %s %.*s%s", kind, SLICE_ARG(name),
                     n.best.data != NULL ? nearest_hint(&n) : "; SHOW STREAMS and SHOW TABLES list those there are");
}

weir_rc catalog_fail_column(const source *of, slice name, sql_pos at, weir_error *err)
{
    nearest n = nearest_to(name);

    for (uint32_t i = 0; i < of->schema.count; i++) nearest_offer(&n, of->schema.columns[i].name);
    return weir_fail(err, WEIR_SEMANTIC, at, "unknown column %.*s in %.*s%s", SLICE_ARG(name), SLICE_ARG(of->name), nearest_or_all(&n));
}

weir_rc catalog_fail_read_only(const source *s, sql_pos at, weir_error *err)
{
    return weir_fail(err, WEIR_SEMANTIC, at, "%.*s is read-only, being made by CREATE SOURCE; a %s declared over its topic %.*s without "
                     "SOURCE can be written to", SLICE_ARG(s->name), s->is_table ? "table" : "stream", SLICE_ARG(s->topic));
}

weir_rc catalog_fail_query(const catalog *c, slice id, sql_pos at, weir_error *err)
{
    nearest n = nearest_to(id);

    for (uint32_t i = 0; i < c->queries.count; i++) nearest_offer(&n, ((query_entry *)c->queries.items[i])->id);
    return weir_fail(err, WEIR_SEMANTIC, at, "there is no query %.*s%s", SLICE_ARG(id),
                     n.best.data != NULL ? nearest_hint(&n) : "; SHOW QUERIES lists those there are");
}

uint64_t catalog_version(const catalog *c)
{
    return atomic_load(&c->version);
}

/* ---- what stands against a command ---- */

static bool reads_source(const plan *p, slice name)
{
    for (uint32_t i = 0; i < p->step_count; i++) {
        if (p->steps[i].kind == STEP_SOURCE && slice_equal(p->steps[i].source.name, name)) return true;
    }
    return false;
}

static weir_rc check_drop(const catalog *c, const command *what, sql_pos at, weir_error *err)
{
    const source *s = catalog_source(c, what->name);
    text users = TEXT_EMPTY;
    bool reads = false;

    if (s == NULL) return catalog_fail_source(c, "stream or table", what->name, at, err);
    for (uint32_t i = 0; i < c->queries.count; i++) {
        const query_entry *q = c->queries.items[i];
        bool is_reader = reads_source(&q->plan, what->name);
        bool is_other_writer = slice_equal(q->sink, what->name) && !slice_equal(q->id, s->query_id);
        if (!is_reader && !is_other_writer) continue;
        reads |= is_reader;
        text_printf(&users, "%s%.*s", users.len > 0 ? ", " : "", SLICE_ARG(q->id));
    }
    weir_rc rc = WEIR_OK;
    if (users.len > 0) {
        rc = weir_fail(err, WEIR_SEMANTIC, at, "%.*s is %s by %s: TERMINATE %s first", SLICE_ARG(what->name),
                       reads ? "used" : "written", users.data, memchr(users.data, ',', users.len) != NULL ? "them" : "that");
    }
    text_free(&users);
    return rc;
}

/* differs is freed. */
static weir_rc fail_replace(const command *what, sql_pos at, weir_error *err, text *differs)
{
    weir_rc rc = weir_fail(err, WEIR_SEMANTIC, at, "%.*s cannot be replaced by this: %.*s", SLICE_ARG(what->name),
                           SLICE_ARG(text_slice(differs)));

    text_free(differs);
    return rc;
}

static weir_rc fail_changed(const command *what, sql_pos at, weir_error *err, const char *which, slice was, slice now)
{
    text differs = TEXT_EMPTY;

    text_printf(&differs, "its %s is %.*s and would be %.*s; keep it, or drop %.*s and create it again", which, SLICE_ARG(was),
                SLICE_ARG(now), SLICE_ARG(what->name));
    return fail_replace(what, at, err, &differs);
}

static void print_keys(text *out, const schema *s)
{
    const schema keys = { s->columns, s->key_count, s->key_count };

    if (s->key_count == 0) text_add_c(out, "no column");
    else schema_print(out, &keys, false);
}

/* Key columns stay, and the others too; new ones may follow. */
static weir_rc check_columns(const source *old, const command *what, sql_pos at, weir_error *err)
{
    const schema *before = &old->schema, *now = &what->source->schema;
    text differs = TEXT_EMPTY;

    if (before->key_count != now->key_count) {
        text_add_c(&differs, "its key is ");
        print_keys(&differs, before);
        text_add_c(&differs, " and would be ");
        print_keys(&differs, now);
    }
    for (uint32_t i = 0; i < before->count && differs.len == 0; i++) {
        const schema_column *was = &before->columns[i];
        if (schema_find(now, was->name) < 0) {
            text_printf(&differs, "column %.*s ", SLICE_ARG(was->name));
            type_print(&differs, was->type);
            text_add_c(&differs, " would be missing");
        } else if (!slice_equal(was->name, now->columns[i].name)) {
            text_printf(&differs, "column %.*s would stand elsewhere, %.*s in its place", SLICE_ARG(was->name),
                        SLICE_ARG(now->columns[i].name));
        } else if (!type_equal(was->type, now->columns[i].type)) {
            text_printf(&differs, "column %.*s is ", SLICE_ARG(was->name));
            type_print(&differs, was->type);
            text_add_c(&differs, " and would be ");
            type_print(&differs, now->columns[i].type);
        }
    }
    if (differs.len == 0) return WEIR_OK;
    text_printf(&differs, "; keep the columns there are and add new ones behind them, or drop %.*s and create it again",
                SLICE_ARG(what->name));
    return fail_replace(what, at, err, &differs);
}

static slice windows_text(const source *s, text *out)
{
    static const char *const words[] = { [WINDOW_NONE] = "none", [WINDOW_TUMBLING] = "TUMBLING", [WINDOW_HOPPING] = "HOPPING",
                                         [WINDOW_SESSION] = "SESSION" };

    text_add_c(out, words[s->windowed]);
    if (s->window_size_ms > 0) text_printf(out, " of %lld ms", (long long)s->window_size_ms);
    return text_slice(out);
}

static weir_rc check_windows(const source *old, const command *what, sql_pos at, weir_error *err)
{
    text was = TEXT_EMPTY, now = TEXT_EMPTY;
    weir_rc rc = WEIR_OK;

    if (old->windowed != what->source->windowed || old->window_size_ms != what->source->window_size_ms) {
        slice was_text = windows_text(old, &was), now_text = windows_text(what->source, &now);
        rc = fail_changed(what, at, err, "window", was_text, now_text);
    }
    text_free(&was);
    text_free(&now);
    return rc;
}

/* A replacement goes on where the old query stood, in what that has read. */
static weir_rc check_sources(const plan *before, const command *what, sql_pos at, weir_error *err)
{
    const plan *plans[2] = { before, what->plan };

    for (uint32_t p = 0; p < 2; p++) {
        for (uint32_t i = 0; i < plans[p]->step_count; i++) {
            const step *s = &plans[p]->steps[i];
            if (s->kind != STEP_SOURCE || reads_source(plans[1 - p], s->source.name)) continue;
            return weir_fail(err, WEIR_SEMANTIC, at, "%.*s cannot be replaced by this: its query goes on where it stood, and %.*s is %s; "
                             "drop it and create it again to start over", SLICE_ARG(what->name), SLICE_ARG(s->source.name),
                             p == 0 ? "read no longer" : "new to it");
        }
    }
    return WEIR_OK;
}

/* What a step's input is made of, below an exchange; NULL: no projection stands there. */
static const step *projection_below(const plan *p, uint32_t input)
{
    const step *below = &p->steps[input];

    while (below->kind == STEP_EXCHANGE) below = &p->steps[below->inputs[0]];
    return below->kind == STEP_PROJECT ? below : NULL;
}

/* A column of a step's input, as what it is computed of. */
static void print_origin(text *out, const plan *p, const step *projection, const bound *column)
{
    bound_print(out, projection->project.exprs[column->column], &p->steps[projection->inputs[0]].schema);
}

static void print_calls(text *out, const plan *p, const step *s)
{
    const step *projection = projection_below(p, s->inputs[0]);

    for (uint32_t i = 0; i < s->aggregate.call_count; i++) {
        const agg_call *c = &s->aggregate.calls[i];
        if (i > 0) text_add_c(out, ", ");
        if (projection == NULL || c->call->arg_count == 0) {
            text_add(out, c->sql);
            continue;
        }
        text_printf(out, "%s(", c->call->fn->name);
        for (uint32_t k = 0; k < c->call->arg_count; k++) {
            if (k > 0) text_add_c(out, ", ");
            if (c->args[k]->kind == BOUND_COLUMN) print_origin(out, p, projection, c->args[k]);
            else bound_print(out, c->args[k], &p->steps[s->inputs[0]].schema);
        }
        text_add_char(out, ')');
    }
    for (uint32_t i = 0; i < s->schema.key_count; i++) {
        text_add_c(out, i == 0 ? " by " : ", ");
        if (projection != NULL) bound_print(out, projection->project.exprs[i], &p->steps[projection->inputs[0]].schema);
        else print_quoted_name(out, s->schema.columns[i].name);
    }
    if (s->aggregate.window.kind == WINDOW_NONE) return;
    window_spec form = s->aggregate.window;
    form.grace_ms = form.retention_ms = -1; /* they may change */
    text_add_char(out, ' ');
    window_spec_print(out, &form);
}

/* What a step keeps: two plans that differ in it would take each other's state for something else. */
static void print_kept(text *out, const plan *p, const step *s)
{
    switch (s->kind) {
    case STEP_AGGREGATE: print_calls(out, p, s); return;
    case STEP_FINAL: text_add_c(out, "rows until their windows close"); break;
    case STEP_EXCHANGE: text_add_c(out, "rows on their way to another partition"); break;
    case STEP_JOIN:
        text_add_c(out, "rows to join");
        if (s->join.form != JOIN_STREAM_STREAM) break;
        text_printf(out, " within %lld ms before and %lld ms after", (long long)s->join.before_ms, (long long)s->join.after_ms);
        break;
    default: text_add_c(out, "the last row of each key"); break;
    }
    for (uint32_t i = 0; i < s->input_count; i++) {
        const step *projection = projection_below(p, s->inputs[i]);
        for (uint32_t c = 0; projection != NULL && c < projection->schema.count; c++) {
            text_add_c(out, c > 0 ? ", " : i > 0 ? " and " : " of ");
            bound_print(out, projection->project.exprs[c], &p->steps[projection->inputs[0]].schema);
        }
    }
}

/* now: the step of that id in the new plan; NULL: there is none. */
static weir_rc check_kept(const plan *before, const step *was, const command *what, const step *now, sql_pos at, weir_error *err)
{
    text old = TEXT_EMPTY, new = TEXT_EMPTY, differs = TEXT_EMPTY;
    bool has_form = now != NULL && slice_equal(now->layout, was->layout);
    weir_rc rc = WEIR_OK;

    print_kept(&old, before, was);
    if (now != NULL) print_kept(&new, what->plan, now);
    bool is_same = slice_equal(text_slice(&old), text_slice(&new));
    if (!is_same || !has_form) {
        text_printf(&differs, "its query has kept %s, ", old.data);
        if (now == NULL) text_add_c(&differs, "which the new one does not keep");
        else if (is_same) text_add_c(&differs, "which the new one would keep in another form");
        else text_printf(&differs, "and the new one would keep %s", new.data);
        text_printf(&differs, "; drop %.*s and create it again to start over", SLICE_ARG(what->name));
        rc = fail_replace(what, at, err, &differs);
    }
    text_free(&old);
    text_free(&new);
    return rc;
}

/* Every step that keeps state must be in the new plan and keep the same, or what it has kept would be lost or misread. */
static weir_rc check_state(const plan *before, const command *what, sql_pos at, weir_error *err)
{
    for (uint32_t i = 0; i < before->step_count; i++) {
        const step *was = &before->steps[i], *now = NULL;
        if (was->layout.data == NULL) continue;
        for (uint32_t k = 0; k < what->plan->step_count; k++) {
            if (what->plan->steps[k].id == was->id) now = &what->plan->steps[k];
        }
        WEIR_TRY(check_kept(before, was, what, now, at, err));
    }
    return WEIR_OK;
}

static weir_rc check_create(const catalog *c, const command *what, sql_pos at, weir_error *err)
{
    const source *old = catalog_source(c, what->name);

    if (old == NULL) return WEIR_OK;
    if (!what->replaces) {
        return weir_fail(err, WEIR_SEMANTIC, at, "there is a %s %.*s already", old->is_table ? "table" : "stream",
                         SLICE_ARG(what->name));
    }
    const source *new = what->source;
    text differs = TEXT_EMPTY;
    if (old->is_source) {
        text_printf(&differs, "it is read-only (SOURCE); drop it and create it again");
        return fail_replace(what, at, err, &differs);
    }
    if (old->is_table != new->is_table) {
        text_printf(&differs, "it is a %s and would be a %s; drop it first, or choose another name", old->is_table ? "table" : "stream",
                    new->is_table ? "table" : "stream");
        return fail_replace(what, at, err, &differs);
    }
    WEIR_TRY(check_columns(old, what, at, err));
    WEIR_TRY(check_windows(old, what, at, err));
    if (!slice_equal(old->topic, new->topic)) return fail_changed(what, at, err, "topic", old->topic, new->topic);
    if (!slice_equal_nocase(old->key.name, new->key.name)) {
        return fail_changed(what, at, err, "key format", old->key.name, new->key.name);
    }
    if (!slice_equal_nocase(old->value.name, new->value.name)) {
        return fail_changed(what, at, err, "value format", old->value.name, new->value.name);
    }
    if (old->query_id.data != NULL && what->plan == NULL) {
        text_printf(&differs, "it is made by the query %.*s, and would be by none; replace it AS SELECT ..., or drop it first",
                    SLICE_ARG(old->query_id));
        return fail_replace(what, at, err, &differs);
    }
    const query_entry *q = old->query_id.data == NULL ? NULL : catalog_query(c, old->query_id);
    if (q == NULL) return WEIR_OK;
    WEIR_TRY(check_sources(&q->plan, what, at, err));
    return check_state(&q->plan, what, at, err);
}

static weir_rc check_query(const catalog *c, const command *what, sql_pos at, weir_error *err)
{
    if (what->name.data == NULL || catalog_query(c, what->name) != NULL) return WEIR_OK; /* absent: ALL */
    return catalog_fail_query(c, what->name, at, err);
}

weir_rc catalog_check(const catalog *c, const command *what, sql_pos at, weir_error *err)
{
    switch (what->kind) {
    case COMMAND_CREATE_SOURCE: return check_create(c, what, at, err);
    case COMMAND_INSERT_INTO:
        if (catalog_source(c, what->name) != NULL) return WEIR_OK;
        return catalog_fail_source(c, "stream", what->name, at, err);
    case COMMAND_DROP_SOURCE: return check_drop(c, what, at, err);
    case COMMAND_TERMINATE:
    case COMMAND_PAUSE:
    case COMMAND_RESUME: return check_query(c, what, at, err);
    case COMMAND_CREATE_TYPE:
        if (catalog_type(c, what->name) == NULL) return WEIR_OK;
        return weir_fail(err, WEIR_SEMANTIC, at, "there is a type %.*s already", SLICE_ARG(what->name));
    case COMMAND_DROP_TYPE:
        if (catalog_type(c, what->name) != NULL) return WEIR_OK;
        return weir_fail(err, WEIR_SEMANTIC, at, "there is no type %.*s", SLICE_ARG(what->name));
    case COMMAND_ALTER_SYSTEM: return WEIR_OK;
    }
    return weir_fail(err, WEIR_INTERNAL, at, "a command of unknown kind");
}

/* ---- applying ---- */

/* A deep copy of a command, by way of its text. */
static weir_rc copy_command(const command *what, arena *a, command *out, weir_error *err)
{
    text printed = TEXT_EMPTY;

    command_print(&printed, what);
    weir_rc rc = command_parse(text_keep(&printed, a), a, out, err);
    return rc;
}

void catalog_use_registry(catalog *c, struct registry *registry)
{
    c->registry = registry;
}

static weir_rc make_query(const catalog *c, const command *what, query_entity **out, weir_error *err)
{
    arena *a = arena_new(0);
    text printed = TEXT_EMPTY;
    query_entity *e = ARENA_NEW(a, query_entity);

    plan_print(&printed, what->plan);
    weir_rc rc = plan_parse(text_keep(&printed, a), a, &e->entry.plan, err);
    if (rc != WEIR_OK) {
        plan_release(&e->entry.plan);
        arena_free(a);
        return rc;
    }
    e->arena = a;
    plan_use_registry(&e->entry.plan, c->registry);
    e->entry.id = e->entry.plan.query_id;
    e->entry.sink = arena_copy(a, what->name);
    e->entry.status = QUERY_RUNNING;
    atomic_init(&e->holders, 1);
    *out = e;
    return WEIR_OK;
}

void catalog_query_hold(const query_entry *e)
{
    atomic_fetch_add(&((query_entity *)e)->holders, 1);
}

void catalog_query_drop(const query_entry *e)
{
    if (e != NULL) free_query((query_entity *)e);
}

static weir_rc make_source(const catalog *c, const command *what, source_entity **out, weir_error *err)
{
    arena *a = arena_new(0);
    source_entity *e = ARENA_NEW(a, source_entity);
    command alone = *what, copy;

    alone.plan = NULL;
    weir_rc rc = copy_command(&alone, a, &copy, err);
    if (rc != WEIR_OK) {
        arena_free(a);
        return rc;
    }
    e->arena = a;
    e->source = *copy.source;
    e->source.key.registry = e->source.value.registry = c->registry;
    *out = e;
    return WEIR_OK;
}

static void remove_query(catalog *c, uint32_t index)
{
    query_entity *q = c->queries.items[index];

    if (c->dropped_count == c->dropped_room) {
        c->dropped_room = c->dropped_room == 0 ? 16 : c->dropped_room * 2;
        c->dropped = realloc(c->dropped, c->dropped_room * sizeof *c->dropped);
        if (c->dropped == NULL) abort();
    }
    c->dropped[c->dropped_count++] = (dropped_query){ arena_copy(c->dropped_names, q->entry.id),
                                                      arena_copy(c->dropped_names, plan_state_name(&q->entry.plan)) };
    free_query(q);
    list_remove(&c->queries, index);
}

/* A replacement keeps the place of what it replaces: queries run in the order of creation. */
static void put_query(catalog *c, query_entity *q)
{
    int64_t i = find_query_index(c, q->entry.id);

    if (i < 0) {
        list_add(&c->queries, q);
        return;
    }
    q->entry.status = ((query_entity *)c->queries.items[i])->entry.status;
    free_query(c->queries.items[i]);
    c->queries.items[i] = q;
}

static weir_rc apply_create(catalog *c, const command *what, weir_error *err)
{
    source_entity *s = NULL;
    query_entity *q = NULL;
    int64_t i = find_source_index(c, what->name);

    if (what->plan != NULL) WEIR_TRY(make_query(c, what, &q, err));
    weir_rc rc = make_source(c, what, &s, err);
    if (rc != WEIR_OK) {
        if (q != NULL) free_query(q);
        return rc;
    }
    if (i < 0) {
        list_add(&c->sources, s);
    } else {
        free_source(c->sources.items[i]);
        c->sources.items[i] = s;
    }
    if (q != NULL) put_query(c, q);
    return WEIR_OK;
}

static void apply_drop(catalog *c, slice name)
{
    int64_t i = find_source_index(c, name);

    for (uint32_t k = c->queries.count; k-- > 0;) {
        const query_entity *q = c->queries.items[k];
        if (slice_equal(q->entry.sink, name)) remove_query(c, k);
    }
    free_source(c->sources.items[i]);
    list_remove(&c->sources, (uint32_t)i);
}

/* One query, or all. */
static void set_status(catalog *c, slice id, query_status status)
{
    for (uint32_t i = 0; i < c->queries.count; i++) {
        query_entity *q = c->queries.items[i];
        if (id.data == NULL || slice_equal_nocase(q->entry.id, id)) q->entry.status = status;
    }
}

static void apply_terminate(catalog *c, slice id)
{
    int64_t i = id.data == NULL ? -1 : find_query_index(c, id);

    if (i >= 0) remove_query(c, (uint32_t)i);
    while (id.data == NULL && c->queries.count > 0) remove_query(c, c->queries.count - 1);
}

static void apply_create_type(catalog *c, const command *what)
{
    arena *a = arena_new(0);
    type_entity *e = ARENA_NEW(a, type_entity);

    *e = (type_entity){ { arena_copy(a, what->name), type_copy(a, what->type) }, a };
    list_add(&c->types, e);
}

static void apply_drop_type(catalog *c, slice name)
{
    int64_t i = find_type_index(c, name);

    free_type(c->types.items[i]);
    list_remove(&c->types, (uint32_t)i);
}

static void apply_alter_system(catalog *c, const command *what)
{
    arena *a = arena_new(0);
    setting_entity *e = ARENA_NEW(a, setting_entity);

    *e = (setting_entity){ { arena_copy(a, what->name), arena_copy(a, what->value) }, a };
    for (uint32_t i = 0; i < c->settings.count; i++) {
        setting_entity *there = c->settings.items[i];
        if (!slice_equal_nocase(there->setting.name, e->setting.name)) continue;
        free_setting(there);
        c->settings.items[i] = e;
        return;
    }
    list_add(&c->settings, e);
}

weir_rc catalog_apply(catalog *c, const command *what, weir_error *err)
{
    WEIR_TRY(catalog_check(c, what, NOWHERE, err));
    switch (what->kind) {
    case COMMAND_CREATE_SOURCE: WEIR_TRY(apply_create(c, what, err)); break;
    case COMMAND_INSERT_INTO: {
        query_entity *q;
        WEIR_TRY(make_query(c, what, &q, err));
        put_query(c, q);
        break;
    }
    case COMMAND_DROP_SOURCE: apply_drop(c, what->name); break;
    case COMMAND_TERMINATE: apply_terminate(c, what->name); break;
    case COMMAND_PAUSE: set_status(c, what->name, QUERY_PAUSED); break;
    case COMMAND_RESUME: set_status(c, what->name, QUERY_RUNNING); break;
    case COMMAND_CREATE_TYPE: apply_create_type(c, what); break;
    case COMMAND_DROP_TYPE: apply_drop_type(c, what->name); break;
    case COMMAND_ALTER_SYSTEM: apply_alter_system(c, what); break;
    }
    atomic_fetch_add(&c->version, 1);
    return WEIR_OK;
}
