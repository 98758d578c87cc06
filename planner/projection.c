/* planner/projection.c - the SELECT list over rows that are not grouped, table functions included, and the last PROJECT:
 * which entries become the key of a sink, which its value. */
#include "planner/bind_parts.h"
#include "planner/build.h"

/* ---- table functions ---- */

typedef struct flattening {
    builder *b;
    const rel *input;
    bound **calls;
    uint32_t count, room;
} flattening;

static void add_table_call(flattening *f, bound *node)
{
    if (f->count == f->room) {
        uint32_t room = f->room == 0 ? 4 : f->room * 2;
        bound **more = ARENA_ZEROS(f->b->arena, bound *, room);
        for (uint32_t i = 0; i < f->count; i++) more[i] = f->calls[i];
        f->calls = more;
        f->room = room;
    }
    f->calls[f->count++] = node;
}

/* A table function's call becomes a column behind those of the input. */
static weir_rc intercept_table_call(binder *over, const expr *e, bound **out)
{
    flattening *f = over->intercept_self;
    builder *b = f->b;

    if (!expr_is_call_of(e, FUNCTION_TABLE)) return WEIR_OK;
    if (b->steps[f->input->step].is_table) {
        return weir_fail(b->err, WEIR_SEMANTIC, e->at, "the table function %.*s needs a stream; %.*s is a table",
                         SLICE_ARG(e->call.name.name), SLICE_ARG(b->leftmost->name));
    }
    binder args_over = binder_over(b, &f->input->scope, "the argument of a table function");
    args_over.hidden = over->frames;
    bound **args = ARENA_ZEROS(b->arena, bound *, e->call.args.count);
    bound *node;
    WEIR_TRY(bind_call_args(&args_over, e, args));
    WEIR_TRY(bind_call(&args_over, e->call.name.name, args, e->call.args.items, e->call.args.count, e->at, &node));
    *out = bound_column(b->arena, b->steps[f->input->step].schema.count + f->count, node->type, e->at);
    add_table_call(f, node);
    return WEIR_OK;
}

/* Passes its input on, with a column for each table function behind. */
static void add_flat_map(flattening *f, rel *r)
{
    builder *b = f->b;
    const schema *below = &b->steps[r->step].schema;
    uint32_t room = below->count + f->count, count = 0;
    schema_column *columns = ARENA_ZEROS(b->arena, schema_column, room);
    bound **exprs = ARENA_ZEROS(b->arena, bound *, room);

    for (uint32_t i = 0; i < below->count; i++, count++) {
        columns[count] = below->columns[i];
        exprs[count] = bound_column(b->arena, i, below->columns[i].type, NOWHERE);
    }
    for (uint32_t i = 0; i < f->count; i++, count++) {
        columns[count] = (schema_column){ .name = free_name(b, columns, count, arena_printf(b->arena, "TABLE_FUNCTION_%u", i)), .type = f->calls[i]->type };
        exprs[count] = f->calls[i];
    }
    step *s = add_step(b, STEP_FLAT_MAP, r->step);
    s->schema = (schema){ columns, below->key_count, count };
    s->project.exprs = exprs;
    r->step = last_step(b);
}

weir_rc bind_select_list(builder *b, rel *r, select_list *list)
{
    flattening f = { .b = b, .input = r };
    binder over = binder_over(b, &r->scope, "SELECT");

    over.intercept = intercept_table_call;
    over.intercept_self = &f;
    for (uint32_t i = 0; i < list->count; i++) WEIR_TRY(bind_expr(&over, list->items[i].e, &list->items[i].bound));
    if (f.count > 0) add_flat_map(&f, r);
    return WEIR_OK;
}

/* ---- which entries are the key ---- */

typedef struct projection {
    builder *b;
    const select_query *q;
    rel *r;
    select_list *list;
    bound **keys;      /* over the relation */
    const expr **key_exprs; /* of PARTITION BY; NULL where the key is the relation's own */
    uint32_t key_count;
    uint32_t *entries; /* of the key columns; UINT32_MAX: none selects it */
    bool rekeys;
    bool is_grouped;
} projection;

static bool is_as_value(const expr *e)
{
    return e->kind == EXPR_CALL && slice_equal_nocase(e->call.name.name, SLICE("AS_VALUE"));
}

static weir_rc partition_keys(projection *p)
{
    const expr_list *by = &p->q->partition_by;
    binder over = binder_over(p->b, &p->r->scope, "PARTITION BY");

    if (p->b->steps[p->r->step].is_table) {
        return weir_fail(p->b->err, WEIR_SEMANTIC, p->q->partition_by_at,
                         "PARTITION BY gives a stream another key; a table keeps its own");
    }
    p->rekeys = true;
    p->keys = ARENA_ZEROS(p->b->arena, bound *, by->count);
    p->key_exprs = ARENA_ZEROS(p->b->arena, const expr *, by->count);
    for (uint32_t i = 0; i < by->count; i++) {
        if (by->items[i]->kind == EXPR_NULL) {
            if (by->count == 1) return WEIR_OK; /* PARTITION BY NULL: no key */
            return weir_fail(p->b->err, WEIR_SEMANTIC, by->items[i]->at, "PARTITION BY NULL takes the key away; it stands alone");
        }
        WEIR_TRY(bind_expr(&over, by->items[i], &p->keys[i]));
        p->key_exprs[i] = by->items[i];
        for (uint32_t k = 0; k < i; k++) {
            if (!expr_same(&over, by->items[k], by->items[i])) continue;
            slice twice = expr_text(p->b->arena, by->items[i]);
            return weir_fail(p->b->err, WEIR_SEMANTIC, by->items[i]->at, "%.*s stands twice in PARTITION BY", SLICE_ARG(twice));
        }
    }
    p->key_count = by->count;
    return WEIR_OK;
}

static weir_rc own_keys(projection *p)
{
    const schema *s = &p->b->steps[p->r->step].schema;

    p->key_count = s->key_count;
    p->keys = ARENA_ZEROS(p->b->arena, bound *, s->key_count);
    for (uint32_t i = 0; i < s->key_count; i++) p->keys[i] = bound_column(p->b->arena, i, s->columns[i].type, NOWHERE);
    return WEIR_OK;
}

static bool selects_key(const projection *p, uint32_t entry, uint32_t key)
{
    if (p->is_grouped) return p->list->items[entry].group_key == key + 1;
    return !is_as_value(p->list->items[entry].e) && bound_equal(p->list->items[entry].bound, p->keys[key]);
}

static slice key_text(const projection *p, uint32_t key)
{
    if (p->key_exprs != NULL) return expr_text(p->b->arena, p->key_exprs[key]);
    return p->b->steps[p->r->step].schema.columns[key].name;
}

static bool has_star(const select_query *q)
{
    for (uint32_t i = 0; i < q->item_count; i++) {
        if (q->items[i].kind == SELECT_ALL) return true;
    }
    return false;
}

static bool is_selected(const projection *p, uint32_t key)
{
    for (uint32_t i = 0; i < p->list->count; i++) {
        if (selects_key(p, i, key)) return true;
    }
    return false;
}

/* All that is missing, from the first key column that is. */
static weir_rc fail_missing_key(const projection *p, uint32_t first)
{
    const char *what = p->key_exprs != NULL ? "partitioning expression" : "key column";
    text names = TEXT_EMPTY;
    bool are_several = false;

    for (uint32_t key = first; key < p->key_count; key++) {
        if (is_selected(p, key)) continue;
        slice name = key_text(p, key);
        are_several |= names.len > 0;
        text_printf(&names, "%s%.*s", names.len > 0 ? ", " : "", SLICE_ARG(name));
    }
    weir_rc rc;
    if (p->r->is_join && p->key_exprs == NULL && p->r->key_names.data != NULL) {
        rc = weir_fail(p->b->err, WEIR_SEMANTIC, p->q->at, "%.*s needs its key, which the join made: add %.*s to the SELECT list",
                       SLICE_ARG(p->b->sink_name), SLICE_ARG(p->r->key_names));
    } else {
        rc = weir_fail(p->b->err, WEIR_SEMANTIC, p->q->at, "%.*s needs its key: add the %s%s %s to the SELECT list",
                       SLICE_ARG(p->b->sink_name), what, are_several ? "s" : "", names.data);
    }
    text_free(&names);
    return rc;
}

static weir_rc choose_entries(projection *p)
{
    p->entries = ARENA_ARRAY(p->b->arena, uint32_t, p->key_count);
    for (uint32_t key = 0; key < p->key_count; key++) {
        p->entries[key] = UINT32_MAX;
        for (uint32_t i = 0; i < p->list->count; i++) {
            if (!selects_key(p, i, key)) continue;
            if (p->entries[key] != UINT32_MAX) {
                const select_entry *first = &p->list->items[p->entries[key]];
                return weir_fail(p->b->err, WEIR_SEMANTIC, p->list->items[i].at,
                                 "the key column %.*s is selected again as %.*s; AS_VALUE() copies a key into the value",
                                 SLICE_ARG(first->name), SLICE_ARG(p->list->items[i].name));
            }
            p->entries[key] = i;
        }
        if (p->entries[key] != UINT32_MAX || (p->key_exprs != NULL && has_star(p->q))) continue;
        if (p->r->may_lose_key && p->key_exprs == NULL) {
            p->key_count = 0;
            p->rekeys = true;
            return WEIR_OK;
        }
        WEIR_TRY(fail_missing_key(p, key));
    }
    return WEIR_OK;
}

/* ksqlDB's newer planner lets a stream's key columns be left out, and takes them in the order of the list. */
static void choose_entries_of_list(projection *p)
{
    uint32_t count = 0;
    bound **keys = ARENA_ZEROS(p->b->arena, bound *, p->key_count);

    p->entries = ARENA_ARRAY(p->b->arena, uint32_t, p->key_count);
    for (uint32_t i = 0; i < p->list->count; i++) {
        for (uint32_t key = 0; key < p->key_count; key++) {
            if (!selects_key(p, i, key) || count == p->key_count) continue;
            keys[count] = p->keys[key];
            p->entries[count++] = i;
        }
    }
    p->rekeys |= count != p->key_count;
    for (uint32_t i = 0; i < count; i++) p->rekeys |= keys[i]->kind != BOUND_COLUMN || keys[i]->column != i;
    p->keys = keys;
    p->key_count = count;
}

static bool keeps_keys(const projection *p)
{
    const step *below = &p->b->steps[p->r->step];

    if (p->key_count != below->schema.key_count) return false;
    for (uint32_t i = 0; i < p->key_count; i++) {
        if (p->keys[i]->kind != BOUND_COLUMN || p->keys[i]->column != i) return false;
    }
    return true;
}

static bool is_key_entry(const projection *p, uint32_t entry)
{
    for (uint32_t key = 0; key < p->key_count; key++) {
        if (p->entries[key] == entry) return true;
    }
    return false;
}

static slice implicit_key_name(projection *p, uint32_t key, uint32_t *next)
{
    const expr *e = p->key_exprs == NULL ? NULL : p->key_exprs[key];

    if (e == NULL) return p->b->steps[p->r->step].schema.columns[key].name;
    if (e->kind == EXPR_COLUMN) return e->column.name.name;
    if (e->kind == EXPR_FIELD) return e->field.name.name;
    return generated_name(p->b, &p->r->scope, next);
}

static weir_rc check_columns(projection *p, const schema *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (!slice_equal(s->columns[i].name, s->columns[k].name)) continue;
            return weir_fail(p->b->err, WEIR_SEMANTIC, p->q->at,
                             "two columns of the result are named %.*s; give one of them another alias",
                             SLICE_ARG(s->columns[i].name));
        }
    }
    if (s->count == s->key_count) {
        return weir_fail(p->b->err, WEIR_SEMANTIC, p->q->at,
                         "the SELECT list has key columns only; add another column, or a copy of one: AS_VALUE(%.*s) AS ...",
                         SLICE_ARG(s->columns[0].name));
    }
    return WEIR_OK;
}

static weir_rc project_to_sink(projection *p)
{
    arena *a = p->b->arena;
    uint32_t count = 0, next = 0;
    schema_column *columns = ARENA_ZEROS(a, schema_column, p->key_count + p->list->count);
    bound **exprs = ARENA_ZEROS(a, bound *, p->key_count + p->list->count);

    WEIR_TRY(check_value_names(p->b, p->list));
    for (uint32_t key = 0; key < p->key_count; key++) {
        uint32_t entry = p->entries[key];
        slice name = entry != UINT32_MAX ? p->list->items[entry].name : implicit_key_name(p, key, &next);
        slice shown = p->key_exprs != NULL ? key_text(p, key) : name;
        sql_pos at = p->key_exprs != NULL ? p->key_exprs[key]->at : entry != UINT32_MAX ? p->list->items[entry].at : p->q->at;
        WEIR_TRY(check_key_type(p->b, p->keys[key]->type, shown, at));
        columns[count] = (schema_column){ .name = name, .type = p->keys[key]->type };
        exprs[count++] = p->keys[key];
    }
    for (uint32_t i = 0; i < p->list->count; i++) {
        if (is_key_entry(p, i)) continue;
        columns[count] = (schema_column){ .name = p->list->items[i].name, .type = p->list->items[i].bound->type };
        exprs[count++] = p->list->items[i].bound;
    }
    schema made = { columns, p->key_count, count };
    WEIR_TRY(check_columns(p, &made));
    bool rekeys = p->rekeys && !keeps_keys(p);
    step *s = add_step(p->b, STEP_PROJECT, p->r->step);
    s->schema = made;
    s->project.exprs = exprs;
    s->project.rekeys = rekeys;
    if (rekeys) s->windowed = WINDOW_NONE, s->window_size_ms = 0;
    return WEIR_OK;
}

static weir_rc project_to_result(projection *p)
{
    arena *a = p->b->arena;
    schema_column *columns = ARENA_ZEROS(a, schema_column, p->list->count);
    bound **exprs = ARENA_ZEROS(a, bound *, p->list->count);
    const step *below = &p->b->steps[p->r->step];
    bool *is_key = ARENA_ZEROS(a, bool, p->list->count), *kept = ARENA_ZEROS(a, bool, p->list->count);
    bool is_pull = p->b->use != USE_PUSH && p->b->leftmost->is_table && !p->is_grouped;

    for (uint32_t i = 0; i < p->list->count; i++) {
        bound *e = p->list->items[i].bound;
        if (e->type->kind != TYPE_NULL) WEIR_TRY(check_entry_type(p->b, &p->list->items[i]));
        else e = bound_literal(a, &type_string, NULL_VALUE, e->at); /* a person sees null either way */
        columns[i] = (schema_column){ .name = p->list->items[i].name, .type = e->type };
        exprs[i] = e;
        kept[i] = (e->kind == BOUND_COLUMN && e->column < below->schema.key_count) || e->kind == BOUND_WINDOWSTART ||
                  e->kind == BOUND_WINDOWEND;
        is_key[i] = is_pull && kept[i] && !is_as_value(p->list->items[i].e);
    }
    uint32_t leading = 0;
    while (leading < p->list->count && is_key[leading]) leading++;
    step *s = add_step(p->b, STEP_PROJECT, p->r->step);
    s->schema = (schema){ columns, 0, p->list->count };
    s->project.exprs = exprs;
    s->project.rekeys = true;
    s->project.kept = kept;
    s = add_step(p->b, STEP_RESULT, last_step(p->b));
    s->schema.key_count = leading;
    s->result.is_key = is_pull ? is_key : NULL;
    s->result.kept = kept;
    s->result.of_table = p->b->leftmost->is_table;
    s->result.of_query = p->b->leftmost->query_id.data != NULL;
    return WEIR_OK;
}

weir_rc plan_projection(builder *b, const select_query *q, rel *r, select_list *list)
{
    projection p = { .b = b, .q = q, .r = r, .list = list, .is_grouped = is_aggregation(q) };

    if (b->use != USE_PERSISTENT) {
        WEIR_TRY(project_to_result(&p));
        r->step = last_step(b);
        return WEIR_OK;
    }
    if (q->has_partition_by) WEIR_TRY(partition_keys(&p));
    else WEIR_TRY(own_keys(&p));
    if (!q->has_partition_by && !b->steps[r->step].is_table &&
        setting_is(b->env, "ksql.new.query.planner.enabled", "true")) {
        choose_entries_of_list(&p);
    } else {
        WEIR_TRY(choose_entries(&p));
    }
    WEIR_TRY(project_to_sink(&p));
    r->step = last_step(b);
    return WEIR_OK;
}
