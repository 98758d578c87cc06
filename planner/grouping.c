/* planner/grouping.c - GROUP BY: the key is computed and what the aggregates need is kept (PROJECT), rows go where their
 * key lives (EXCHANGE, unless they are there already), are aggregated, and HAVING filters.
 * Above the aggregation an expression may use whatever was grouped by, recognised as a whole, and the aggregates. */
#include "planner/bind_parts.h"
#include "planner/build.h"

#include "core/number.h"

typedef struct grouping {
    builder *b;
    const select_query *q;
    const rel *input;
    const expr **keys;
    bound **key_bounds;
    slice *key_names;
    uint32_t key_count;
    agg_call *calls;
    bound **call_bounds; /* as bound over the input: for comparing */
    uint32_t call_count, call_room;
    bool is_in_call;
} grouping;

bool is_aggregation(const select_query *q)
{
    return q->has_group_by;
}

/* ---- the keys ---- */

static bool holds_map(const type *t)
{
    if (t->kind == TYPE_ARRAY) return holds_map(t->element);
    for (uint32_t i = 0; t->kind == TYPE_STRUCT && i < t->field_count; i++) {
        if (holds_map(t->fields[i].type)) return true;
    }
    return t->kind == TYPE_MAP;
}

weir_rc check_key_type(builder *b, const type *t, slice name, sql_pos at)
{
    switch (t->kind) {
    case TYPE_NULL:
        return weir_fail(b->err, WEIR_SEMANTIC, at, "the type of key column %.*s is not known; write CAST(NULL AS ...)",
                         SLICE_ARG(name));
    case TYPE_MAP:
    case TYPE_ARRAY:
    case TYPE_STRUCT: {
        if (!holds_map(t)) return WEIR_OK;
        slice shown = type_text(b->arena, t);
        return weir_fail(b->err, WEIR_SEMANTIC, at,
                         "key column %.*s is %.*s: a key cannot hold a MAP, whose entries have no order to be written in; let one "
                         "of its entries be the key", SLICE_ARG(name), SLICE_ARG(shown));
    }
    default: return WEIR_OK;
    }
}

static binder input_binder(const grouping *g, const char *clause)
{
    binder over = binder_over(g->b, &g->input->scope, clause);

    over.refuses_window_bounds = g->q->window != NULL;
    return over;
}

/* A name for a key that the SELECT list does not name: its column's, or a generated one. */
static slice own_name(grouping *g, const expr *e, uint32_t *next)
{
    if (e->kind == EXPR_COLUMN) return e->column.name.name;
    if (e->kind == EXPR_FIELD) return e->field.name.name;
    return generated_name(g->b, &g->input->scope, next);
}

static weir_rc fail_key_missing(grouping *g, const expr *e)
{
    slice key = expr_text(g->b->arena, e);

    return weir_fail(g->b->err, WEIR_SEMANTIC, e->at, "%.*s needs its key: add the grouping expression %.*s to the SELECT list",
                     SLICE_ARG(g->b->sink_name), SLICE_ARG(key));
}

static weir_rc name_key(grouping *g, uint32_t i, const select_list *list, uint32_t *next)
{
    binder over = input_binder(g, "GROUP BY");
    select_entry *found = NULL;

    for (uint32_t k = 0; k < list->count; k++) {
        select_entry *entry = &list->items[k];
        if (!expr_same(&over, entry->e, g->keys[i])) continue;
        if (found != NULL && g->b->use == USE_PERSISTENT) {
            return weir_fail(g->b->err, WEIR_SEMANTIC, entry->at,
                             "the key column %.*s is selected again as %.*s; AS_VALUE() copies a key into the value",
                             SLICE_ARG(found->name), SLICE_ARG(entry->name));
        }
        if (found == NULL) found = entry;
    }
    if (found == NULL && g->b->use == USE_PERSISTENT) return fail_key_missing(g, g->keys[i]);
    if (found != NULL) found->group_key = i + 1;
    g->key_names[i] = found != NULL ? found->name : own_name(g, g->keys[i], next);
    return WEIR_OK;
}

static weir_rc bind_keys(grouping *g)
{
    const expr_list *by = &g->q->group_by;
    binder over = input_binder(g, "GROUP BY");

    g->key_count = by->count;
    g->keys = ARENA_ZEROS(g->b->arena, const expr *, by->count);
    g->key_bounds = ARENA_ZEROS(g->b->arena, bound *, by->count);
    g->key_names = ARENA_ZEROS(g->b->arena, slice, by->count);
    for (uint32_t i = 0; i < by->count; i++) {
        g->keys[i] = by->items[i];
        WEIR_TRY(bind_expr(&over, g->keys[i], &g->key_bounds[i]));
        for (uint32_t k = 0; k < i; k++) {
            if (!expr_same(&over, g->keys[k], g->keys[i])) continue;
            slice twice = expr_text(g->b->arena, g->keys[i]);
            return weir_fail(g->b->err, WEIR_SEMANTIC, g->keys[i]->at, "%.*s stands twice in GROUP BY", SLICE_ARG(twice));
        }
    }
    return WEIR_OK;
}

static weir_rc name_keys(grouping *g, const select_list *list)
{
    uint32_t next = 0;

    for (uint32_t i = 0; i < g->key_count; i++) {
        WEIR_TRY(name_key(g, i, list, &next));
        WEIR_TRY(check_key_type(g->b, g->key_bounds[i]->type, g->key_names[i], g->keys[i]->at));
    }
    return WEIR_OK;
}

/* ---- the aggregates ---- */

/* ksqlDB keeps the state of an aggregation in its source's value format, and so refuses what that cannot hold. */
static bool source_holds_nested(const grouping *g)
{
    const schema_column list = { .name = SLICE("LIST"), .type = type_array(g->b->arena, &type_integer) };
    weir_error ignored;

    return format_check(&g->b->leftmost->value, &list, 1, &ignored) == WEIR_OK;
}

static weir_rc check_aggregate(grouping *g, const bound *node, sql_pos at)
{
    const function *fn = node->call->fn;

    if (fn->has_nested_state && g->b->use == USE_PERSISTENT && !source_holds_nested(g)) {
        slice format = g->b->leftmost->value.name, source = g->b->leftmost->name;
        return weir_fail(g->b->err, WEIR_SEMANTIC, at,
                         "%s keeps a structure, which the value format %.*s of %.*s cannot hold; CREATE STREAM ... WITH "
                         "(value_format='JSON') AS SELECT * FROM %.*s makes a source that can",
                         fn->name, SLICE_ARG(format), SLICE_ARG(source), SLICE_ARG(source));
    }

    for (uint32_t i = 0; i < node->arg_count; i++) {
        if (node->args[i] == NULL || is_known_type(node->args[i]->type)) continue;
        return weir_fail(g->b->err, WEIR_SEMANTIC, node->args[i]->at, "the type of an argument of %s is not known; write CAST(NULL AS ...)",
                         fn->name);
    }
    if (g->b->steps[g->input->step].is_table && fn->agg->undo == NULL) {
        return weir_fail(g->b->err, WEIR_SEMANTIC, at,
                         "%s cannot aggregate the table %.*s, whose rows change, as it cannot take a row back; COUNT, SUM, AVG and COLLECT_LIST can",
                         fn->name, SLICE_ARG(g->b->leftmost->name));
    }
    if (g->q->window != NULL && g->q->window->kind == WINDOW_SESSION && fn->agg->merge == NULL) {
        return weir_fail(g->b->err, WEIR_SEMANTIC, at, "%s cannot be used in session windows, which merge", fn->name);
    }
    return WEIR_OK;
}

static void add_call(grouping *g, bound *node)
{
    if (g->call_count == g->call_room) {
        uint32_t room = g->call_room == 0 ? 8 : g->call_room * 2;
        agg_call *calls = ARENA_ZEROS(g->b->arena, agg_call, room);
        bound **bounds = ARENA_ZEROS(g->b->arena, bound *, room);
        for (uint32_t i = 0; i < g->call_count; i++) {
            calls[i] = g->calls[i];
            bounds[i] = g->call_bounds[i];
        }
        g->calls = calls;
        g->call_bounds = bounds;
        g->call_room = room;
    }
    g->calls[g->call_count] = (agg_call){ .call = node->call, .args = node->args };
    g->call_bounds[g->call_count++] = node;
}

/* The limit that was SET for COLLECT_LIST or COLLECT_SET, as their second argument; NULL: none. */
static bound *collect_limit(grouping *g, const expr *e)
{
    slice name = e->call.name.name, limit = NO_SLICE;
    int32_t most;

    if (e->call.args.count != 1) return NULL;
    if (slice_equal_nocase(name, SLICE("COLLECT_LIST"))) limit = setting_of(g->b->env, "ksql.functions.collect_list.limit");
    if (slice_equal_nocase(name, SLICE("COLLECT_SET"))) limit = setting_of(g->b->env, "ksql.functions.collect_set.limit");
    if (limit.data == NULL || parse_i32(limit, &most) != NUMBER_FITS || most < 0) return NULL;
    return bound_literal(g->b->arena, &type_integer, (value){ .i32 = most }, e->at);
}

static weir_rc bind_aggregate(grouping *g, const binder *outer, const expr *e, bound **out)
{
    uint32_t count = e->call.args.count;
    bound **args = ARENA_ZEROS(g->b->arena, bound *, count + 2);
    const char *clause = arena_c_string(g->b->arena, arena_printf(g->b->arena, "the argument of %.*s",
                                                                  SLICE_ARG(e->call.name.name)));
    binder over = input_binder(g, clause);
    bound *node;
    slice name;

    if (e->call.over != NULL) return fail_over(g->b->err, e);
    over.hidden = outer->frames;
    WEIR_TRY(bind_call_args(&over, e, args));
    WEIR_TRY(called_name(&over, e, &name));
    /* Without an argument, or of *, all but COUNT are about the time of the row. */
    if (count == 0 && !slice_equal_nocase(name, SLICE("COUNT"))) {
        args[count++] = bound_new(g->b->arena, BOUND_ROWTIME, &type_bigint, e->at, 0);
    }
    if ((args[count] = collect_limit(g, e)) != NULL) count++;
    WEIR_TRY(bind_call(&over, name, args, e->call.args.items, count, e->at, &node));
    if (node->kind != BOUND_CALL || node->call->fn->kind != FUNCTION_AGGREGATE) {
        return weir_fail(g->b->err, WEIR_SEMANTIC, e->at, "%.*s is no aggregate function", SLICE_ARG(name));
    }
    WEIR_TRY(check_aggregate(g, node, e->at));
    uint32_t i = 0;
    while (i < g->call_count && !bound_equal(g->call_bounds[i], node)) i++;
    if (i == g->call_count) add_call(g, node);
    *out = bound_column(g->b->arena, g->key_count + i, node->type, e->at);
    return WEIR_OK;
}

/* ---- expressions above the aggregation ---- */

static weir_rc bind_window_bound(grouping *g, binder *over, const expr *e, bound **out)
{
    bound_kind kind;

    if (!pseudo_column_of(e->column.name.name, &kind)) return WEIR_OK;
    if (kind != BOUND_WINDOWSTART && kind != BOUND_WINDOWEND) return WEIR_OK;
    if (g->q->window == NULL) return WEIR_OK;
    if (strcmp(over->clause, "SELECT") != 0) {
        return weir_fail(g->b->err, WEIR_SEMANTIC, e->at,
                         "%.*s of a windowed aggregation can be used in the SELECT list only, not in %s",
                         SLICE_ARG(e->column.name.name), over->clause);
    }
    *out = bound_new(g->b->arena, kind, &type_bigint, e->at, 0);
    return WEIR_OK;
}

static weir_rc fail_not_grouped(grouping *g, binder *over, const expr *e)
{
    slice what = expr_text(g->b->arena, e);
    binder below = input_binder(g, over->clause);
    bound *ignored;

    WEIR_TRY(bind_expr(&below, e, &ignored)); /* an unknown name is the better message */
    for (uint32_t i = 0; i < g->q->group_by.count; i++) {
        const expr *key = g->q->group_by.items[i];
        if (key->kind != EXPR_INTEGER) continue;
        return weir_fail(g->b->err, WEIR_SEMANTIC, key->at, "GROUP BY %lld groups by that number, not by a column of the SELECT list; say which "
                         "by its name", (long long)key->integer);
    }
    const char *aggregate = g->b->steps[g->input->step].is_table ? "COLLECT_LIST" : "LATEST_BY_OFFSET";
    return weir_fail(g->b->err, WEIR_SEMANTIC, e->at,
                     "%s uses %.*s, which is neither in GROUP BY nor in an aggregate function; group by it too, or take one "
                     "such as %s(%.*s)", over->clause, SLICE_ARG(what), aggregate, SLICE_ARG(what));
}

static weir_rc intercept(binder *over, const expr *e, bound **out)
{
    grouping *g = over->intercept_self;

    if (expr_is_call_of(e, FUNCTION_AGGREGATE)) return bind_aggregate(g, over, e, out);
    if (expr_is_call_of(e, FUNCTION_TABLE)) {
        return weir_fail(g->b->err, WEIR_SEMANTIC, e->at,
                         "the table function %.*s cannot be used with GROUP BY; make a stream of its rows first, and group that",
                         SLICE_ARG(e->call.name.name));
    }
    if (uses_parameter(over, e)) return WEIR_OK; /* however alike it looks, a lambda's x is no column of the rows */
    binder below = input_binder(g, over->clause);
    for (uint32_t i = 0; i < g->key_count; i++) {
        if (!expr_same(&below, g->keys[i], e)) continue;
        *out = bound_column(g->b->arena, i, g->key_bounds[i]->type, e->at);
        return WEIR_OK;
    }
    if (e->kind != EXPR_COLUMN) return WEIR_OK;
    WEIR_TRY(bind_window_bound(g, over, e, out));
    if (*out != NULL) return WEIR_OK;
    return fail_not_grouped(g, over, e);
}

/* Every name goes through intercept(), so the scope never answers. */
static binder above_binder(grouping *g, const char *clause)
{
    binder over = binder_over(g->b, &g->input->scope, clause);

    over.intercept = intercept;
    over.intercept_self = g;
    return over;
}

/* ---- the steps ---- */

static bool is_bound_to_record(const bound *b)
{
    return bound_holds(b, BOUND_ROWPARTITION) || bound_holds(b, BOUND_ROWOFFSET) || bound_holds(b, BOUND_WINDOWSTART) ||
           bound_holds(b, BOUND_WINDOWEND);
}

/* Key columns, then what the aggregates read: columns as they are, and what only the source's record knows, computed. */
static void add_key_projection(grouping *g, bool rekeys)
{
    const schema *below = &g->b->steps[g->input->step].schema;
    arena *a = g->b->arena;
    uint32_t room = g->key_count + below->count, count = g->key_count;
    bool *wanted = ARENA_ZEROS(a, bool, below->count);
    bound **moved = ARENA_ZEROS(a, bound *, below->count);

    for (uint32_t i = 0; i < g->call_count; i++) room += g->calls[i].call->arg_count;
    schema_column *columns = ARENA_ZEROS(a, schema_column, room);
    bound **exprs = ARENA_ZEROS(a, bound *, room);
    for (uint32_t i = 0; i < g->key_count; i++) {
        columns[i] = (schema_column){ .name = free_name(g->b, columns, i, g->key_names[i]), .type = g->key_bounds[i]->type };
        exprs[i] = g->key_bounds[i];
        if (exprs[i]->kind == BOUND_COLUMN && moved[exprs[i]->column] == NULL) {
            moved[exprs[i]->column] = bound_column(a, i, columns[i].type, exprs[i]->at);
        }
    }
    for (uint32_t i = 0; i < g->call_count; i++) {
        for (uint32_t k = 0; k < g->calls[i].call->arg_count; k++) {
            if (!is_bound_to_record(g->calls[i].args[k])) bound_mark_columns(g->calls[i].args[k], wanted);
        }
    }
    for (uint32_t c = 0; c < below->count; c++) {
        if (!wanted[c] || moved[c] != NULL) continue;
        slice name = free_name(g->b, columns, count, below->columns[c].name);
        columns[count] = (schema_column){ .name = name, .type = below->columns[c].type };
        exprs[count] = bound_column(a, c, below->columns[c].type, NOWHERE);
        moved[c] = bound_column(a, count++, below->columns[c].type, NOWHERE);
    }
    for (uint32_t i = 0; i < g->call_count; i++) {
        agg_call *c = &g->calls[i];
        bound **args = ARENA_ZEROS(a, bound *, c->call->arg_count);
        for (uint32_t k = 0; k < c->call->arg_count; k++) {
            if (!is_bound_to_record(c->args[k])) {
                args[k] = bound_replace_columns(a, c->args[k], moved);
                continue;
            }
            columns[count] = (schema_column){ .name = free_name(g->b, columns, count, SLICE("ARGUMENT")), .type = c->args[k]->type };
            exprs[count] = c->args[k];
            args[k] = bound_column(a, count++, c->args[k]->type, c->args[k]->at);
        }
        c->args = args;
    }
    step *s = add_step(g->b, STEP_PROJECT, g->input->step);
    s->schema = (schema){ columns, g->key_count, count };
    s->project.exprs = exprs;
    s->project.rekeys = rekeys;
    if (rekeys) s->windowed = WINDOW_NONE, s->window_size_ms = 0;
}

/* Is the record's own key, in its order, what is grouped by? Then its rows are where they belong. */
static bool is_record_key(const grouping *g)
{
    const step *below = &g->b->steps[g->input->step];

    if (below->windowed != WINDOW_NONE || g->key_count != below->schema.key_count || g->key_count == 0) return false;
    for (uint32_t i = 0; i < g->key_count; i++) {
        if (g->key_bounds[i]->kind != BOUND_COLUMN || g->key_bounds[i]->column != i) return false;
    }
    return true;
}

static int32_t partitions_of_exchange(const grouping *g)
{
    return g->key_count == 0 ? 1 : g->b->leftmost->partitions;
}

static window_spec window_of(const window_clause *w)
{
    if (w == NULL) return (window_spec){ .kind = WINDOW_NONE };
    return (window_spec){
        .kind = w->kind,
        .size_ms = w->size_ms,
        .advance_ms = w->kind == WINDOW_HOPPING ? w->advance_ms : w->kind == WINDOW_TUMBLING ? w->size_ms : 0,
        .grace_ms = w->grace_ms,
        .retention_ms = w->retention_ms,
    };
}

#define WINDOW_MS_MAX ((int64_t)36500 * 86400000)
#define WINDOWS_PER_ROW_MAX 100000

static weir_rc check_window(grouping *g)
{
    const window_clause *w = g->q->window;

    if (w == NULL) return WEIR_OK;
    if (w->size_ms <= 0) {
        return weir_fail(g->b->err, WEIR_SEMANTIC, w->at, "a window needs a size of more than 0");
    }
    if (w->kind == WINDOW_HOPPING && (w->advance_ms <= 0 || w->advance_ms > w->size_ms)) {
        return weir_fail(g->b->err, WEIR_SEMANTIC, w->at,
                         "a hopping window advances by more than 0 and at most its size; TUMBLING windows stand side by side");
    }
    if (w->size_ms > WINDOW_MS_MAX || w->grace_ms > WINDOW_MS_MAX || w->retention_ms > WINDOW_MS_MAX) {
        return weir_fail(g->b->err, WEIR_SEMANTIC, w->at, "a window's size, grace and retention are at most 36500 days each");
    }
    if (w->kind == WINDOW_HOPPING && w->size_ms / w->advance_ms > WINDOWS_PER_ROW_MAX) {
        return weir_fail(g->b->err, WEIR_SEMANTIC, w->at, "each row would belong to more than %d windows; let the window advance "
                         "by more", WINDOWS_PER_ROW_MAX);
    }
    window_spec spec = window_of(w);
    int64_t least = spec.size_ms + window_grace_ms(&spec);
    if (w->retention_ms >= 0 && w->grace_ms >= 0 && w->retention_ms < least) {
        return weir_fail(g->b->err, WEIR_SEMANTIC, w->at, "RETENTION must be at least the window's size plus its grace, %lld ms",
                         (long long)least);
    }
    if (g->b->steps[g->input->step].is_table) {
        return weir_fail(g->b->err, WEIR_SEMANTIC, w->at, "a window needs a stream; %.*s is a table",
                         SLICE_ARG(g->b->leftmost->name));
    }
    return WEIR_OK;
}

static slice layout_call_text(grouping *g, const agg_call *c, const schema *over)
{
    text out = TEXT_EMPTY;

    text_printf(&out, "%s(", c->call->fn->name);
    if (c->call->arg_count == 0) text_add_char(&out, '*');
    for (uint32_t k = 0; k < c->call->arg_count; k++) {
        if (k > 0) text_add_c(&out, ", ");
        bound_print(&out, c->args[k], over);
    }
    text_add_char(&out, ')');
    return text_keep(&out, g->b->arena);
}

static void add_aggregate(grouping *g)
{
    const step *below = &g->b->steps[last_step(g->b)];
    uint32_t count = g->key_count + g->call_count;
    schema_column *columns = ARENA_ZEROS(g->b->arena, schema_column, count);

    for (uint32_t i = 0; i < g->key_count; i++) columns[i] = below->schema.columns[i];
    for (uint32_t i = 0; i < g->call_count; i++) {
        slice wanted = arena_printf(g->b->arena, "AGGREGATE_%u", i);
        columns[g->key_count + i] =
            (schema_column){ .name = free_name(g->b, columns, g->key_count + i, wanted), .type = g->calls[i].call->result };
        g->calls[i].sql = layout_call_text(g, &g->calls[i], &below->schema);
    }
    want_old(g->b, last_step(g->b));
    step *s = add_step(g->b, STEP_AGGREGATE, last_step(g->b));
    s->schema = (schema){ columns, g->key_count, count };
    s->is_table = true;
    s->aggregate.window = window_of(g->q->window);
    s->aggregate.calls = g->calls;
    s->aggregate.call_count = g->call_count;
    if (g->q->window != NULL) {
        s->windowed = g->q->window->kind;
        s->window_size_ms = s->windowed == WINDOW_SESSION ? 0 : g->q->window->size_ms;
    }
}

static weir_rc check_final(grouping *g)
{
    if (g->q->emit != EMIT_FINAL || g->q->window != NULL) return WEIR_OK;
    return weir_fail(g->b->err, WEIR_SEMANTIC, g->q->emit_at, "EMIT FINAL gives one result a window: GROUP BY needs a window");
}

static weir_rc plan_having(grouping *g, bound *predicate)
{
    if (predicate == NULL) return WEIR_OK;
    want_old(g->b, last_step(g->b));
    step *s = add_step(g->b, STEP_FILTER, last_step(g->b));
    s->filter.predicate = predicate;
    return WEIR_OK;
}

weir_rc plan_grouping(builder *b, const select_query *q, rel *r, select_list *list)
{
    grouping g = { .b = b, .q = q, .input = r };
    binder above = above_binder(&g, "SELECT"), having = above_binder(&g, "HAVING");
    bound *predicate = NULL;

    WEIR_TRY(check_window(&g));
    WEIR_TRY(check_final(&g));
    WEIR_TRY(bind_keys(&g));
    for (uint32_t i = 0; i < list->count; i++) WEIR_TRY(bind_expr(&above, list->items[i].e, &list->items[i].bound));
    if (q->having != NULL) WEIR_TRY(bind_condition(&having, q->having, &predicate));
    WEIR_TRY(name_keys(&g, list)); /* once all names are known: what is not grouped by is the better message */
    if (g.call_count == 0) {
        return weir_fail(b->err, WEIR_SEMANTIC, q->group_by_at,
                         "GROUP BY needs an aggregate function, such as COUNT(*), in SELECT or HAVING");
    }
    bool stays = is_record_key(&g);
    add_key_projection(&g, !stays);
    if (!stays && b->use != USE_SNAPSHOT) {
        int32_t partitions = partitions_of_exchange(&g);
        step *s = add_step(b, STEP_EXCHANGE, last_step(b));
        s->exchange.name = SLICE("group-by");
        s->exchange.partitions = partitions;
    }
    add_aggregate(&g);
    if (q->emit == EMIT_FINAL) add_step(b, STEP_FINAL, last_step(b));
    WEIR_TRY(plan_having(&g, predicate));
    const step *top = &b->steps[last_step(b)];
    *r = (rel){ .step = last_step(b), .scope = scope_of(b->arena, &top->schema, NO_SLICE, top->windowed != WINDOW_NONE) };
    return WEIR_OK;
}
