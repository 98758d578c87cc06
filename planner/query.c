/* planner/query.c - a SELECT, from FROM up to its last projection; and SELECTs that stand alone. */
#include "planner/bound.h"
#include "planner/build.h"

/* ---- what is not there yet ---- */

static weir_rc check_supported(builder *b, const select_query *q)
{
    if (q->common_table_count > 0) return fail_unsupported(b->err, q->common_tables[0].name.at, "WITH name AS (...)", "CREATE STREAM name AS ... makes what can be read by that name");
    if (q->union_count > 0) return fail_unsupported(b->err, q->union_all[0]->at, "UNION ALL", "INSERT INTO one stream from each SELECT brings their rows together");
    if (q->distinct) return fail_unsupported(b->err, q->at, "SELECT DISTINCT", "GROUP BY gives each value once");
    if (q->has_partition_by && is_aggregation(q)) {
        return weir_fail(b->err, WEIR_SEMANTIC, q->partition_by_at,
                         "GROUP BY gives the result its key; PARTITION BY cannot give it another: leave it out");
    }
    if (b->use == USE_PERSISTENT || b->use == USE_PUSH) {
        if (q->order_by.count > 0) {
            return weir_fail(b->err, WEIR_SEMANTIC, q->order_by_at, "ORDER BY needs a query that ends: %s",
                             b->use == USE_PUSH ? "one without EMIT" : "leave it out here, and order what is read of the result");
        }
    }
    if (b->use == USE_PERSISTENT && q->limit >= 0) {
        return weir_fail(b->err, WEIR_SEMANTIC, q->limit_at,
                         "LIMIT ends a query, and a persistent one goes on until it is terminated: leave it out");
    }
    return WEIR_OK;
}

static const expr *aggregate_in(const select_query *q)
{
    const expr *found = NULL;

    for (uint32_t i = 0; i < q->item_count && found == NULL; i++) {
        if (q->items[i].kind == SELECT_EXPR) found = expr_aggregate(q->items[i].value);
    }
    return found != NULL || q->having == NULL ? found : expr_aggregate(q->having);
}

/* Whether it groups; without GROUP BY an aggregate makes one group of all. */
static weir_rc check_grouping(builder *b, const select_query *q, bool *groups)
{
    const expr *found = aggregate_in(q);

    bool may_be_whole = b->use == USE_PUSH || (b->use != USE_PERSISTENT && !setting_is(b->env, "pull.dialect", "ksqldb"));

    *groups = is_aggregation(q) || found != NULL;
    if (found != NULL && !is_aggregation(q) && !may_be_whole) {
        return weir_fail(b->err, WEIR_SEMANTIC, found->at, "the aggregate function %.*s needs a GROUP BY here",
                         SLICE_ARG(found->call.name.name));
    }
    if (b->use == USE_PERSISTENT && *groups && q->group_by.count == 0) {
        return weir_fail(b->err, WEIR_SEMANTIC, q->group_by_at, "a table needs a key: GROUP BY at least one expression");
    }
    if (*groups) return WEIR_OK;
    if (q->window != NULL) return weir_fail(b->err, WEIR_SEMANTIC, q->window->at, "WINDOW needs a GROUP BY");
    if (q->having != NULL) return weir_fail(b->err, WEIR_SEMANTIC, q->having_at, "HAVING needs a GROUP BY");
    if (q->emit == EMIT_FINAL) {
        return weir_fail(b->err, WEIR_SEMANTIC, q->emit_at, "EMIT FINAL gives one result a window: it needs GROUP BY and a window");
    }
    return WEIR_OK;
}

/* ---- ORDER BY, LIMIT: below the projection, where an expression may use any column ---- */

static const select_entry *entry_named(const select_list *list, const expr *e)
{
    if (e->kind != EXPR_COLUMN || identifier_present(&e->column.source)) return NULL;
    for (uint32_t i = 0; i < list->count; i++) {
        if (slice_equal(list->items[i].name, e->column.name.name)) return &list->items[i];
    }
    return NULL;
}

/* ORDER BY 2 means the second column. */
static weir_rc entry_numbered(builder *b, const select_list *list, const expr *e, const select_entry **out)
{
    *out = NULL;
    if (e->kind != EXPR_INTEGER) return WEIR_OK;
    if (e->integer < 1 || e->integer > list->count) {
        return weir_fail(b->err, WEIR_SEMANTIC, e->at, "ORDER BY %lld: the SELECT list has %u columns", (long long)e->integer,
                         list->count);
    }
    *out = &list->items[e->integer - 1];
    return WEIR_OK;
}

static weir_rc bind_sort_key(builder *b, const rel *r, const select_list *list, bool is_grouped, const expr *e, bound **out)
{
    binder over = binder_over(b, &r->scope, "ORDER BY");
    const select_entry *entry;

    WEIR_TRY(entry_numbered(b, list, e, &entry));
    if (entry == NULL) entry = entry_named(list, e);
    for (uint32_t i = 0; i < list->count && entry == NULL && is_grouped; i++) {
        if (expr_same(&over, list->items[i].e, e)) entry = &list->items[i];
    }
    if (entry != NULL) {
        *out = entry->bound;
        return WEIR_OK;
    }
    return bind_expr(&over, e, out);
}

static weir_rc plan_order(builder *b, const select_query *q, rel *r, const select_list *list, bool is_grouped)
{
    uint32_t count = q->order_by.count;
    sort_key *keys = ARENA_ZEROS(b->arena, sort_key, count);
    bool folds = b->steps[r->step].is_table && (b->use == USE_BOUNDED || b->use == USE_SNAPSHOT);

    for (uint32_t i = 0; i < count; i++) {
        const order_item *item = &q->order_by.items[i];
        WEIR_TRY(bind_sort_key(b, r, list, is_grouped, item->by, &keys[i].by));
        keys[i].is_descending = item->descending;
        keys[i].nulls_first = item->has_nulls ? item->nulls_first : !item->descending; /* null is the least */
    }
    if (count == 0 && folds && q->limit >= 0) { /* the first rows of a table: those whose keys come first */
        count = b->steps[r->step].schema.key_count;
        keys = ARENA_ZEROS(b->arena, sort_key, count);
        for (uint32_t i = 0; i < count; i++) {
            keys[i].by = bound_column(b->arena, i, b->steps[r->step].schema.columns[i].type, q->limit_at);
        }
    }
    if (count > 0 || folds) {
        step *s = add_step(b, STEP_SORT, r->step);
        s->sort.keys = keys;
        s->sort.key_count = count;
        s->is_table = false;
        r->step = last_step(b);
    }
    if (q->limit >= 0) {
        step *s = add_step(b, STEP_LIMIT, r->step);
        s->limit.rows = (uint64_t)q->limit;
        r->step = last_step(b);
    }
    return WEIR_OK;
}

/* ---- the whole ---- */

static weir_rc plan_input(builder *b, const select_query *q, rel *out)
{
    const source *named;

    if (b->use != USE_SNAPSHOT || q->from->kind != RELATION_SOURCE) return plan_from(b, q, out);
    WEIR_TRY(find_source(b, &q->from->source, &named));
    return plan_table_as_of_now(b, named, identifier_present(&q->from->alias) ? q->from->alias.name : named->name, out);
}

weir_rc plan_body(builder *b, const select_query *q, rel *out, select_list *list)
{
    bool groups;

    bool is_pull = b->use == USE_BOUNDED || b->use == USE_SNAPSHOT;

    b->query = q;
    WEIR_TRY(check_supported(b, q));
    if (is_pull) WEIR_TRY(check_pull(b, q));
    WEIR_TRY(check_grouping(b, q, &groups));
    WEIR_TRY(plan_input(b, q, out));
    if (b->use == USE_PERSISTENT && b->steps[out->step].is_table && b->steps[out->step].windowed != WINDOW_NONE) {
        return weir_fail(b->err, WEIR_SEMANTIC, q->from->at, "a persistent query cannot read the windowed table %.*s; it can read a stream declared over "
                         "its topic, with KAFKA_TOPIC = '%.*s', WINDOW_TYPE and WINDOW_SIZE", SLICE_ARG(b->leftmost->name),
                         SLICE_ARG(b->leftmost->topic));
    }
    uint32_t before = last_step(b);
    WEIR_TRY(plan_where(b, q->where, out));
    const bound *where = q->where == NULL ? NULL : b->steps[out->step].filter.predicate;
    if (is_pull) WEIR_TRY(check_pull_where(b, q, before, where));
    if (b->use == USE_SNAPSHOT && where != NULL && plan_lookup(b, before, where)) {
        b->count--;
        out->step = before;
    }
    WEIR_TRY(expand_select(b, q, out, list));
    if (groups) WEIR_TRY(plan_grouping(b, q, out, list));
    else WEIR_TRY(bind_select_list(b, out, list));
    if (is_pull) WEIR_TRY(check_pull_list(b, list));
    if (b->use != USE_PERSISTENT) WEIR_TRY(plan_order(b, q, out, list, groups));
    return WEIR_OK;
}

weir_rc plan_query(builder *b, const select_query *q, rel *out)
{
    select_list list;

    WEIR_TRY(plan_body(b, q, out, &list));
    return plan_projection(b, q, out, &list);
}

/* ---- settings ---- */

slice setting_of(const planner_env *env, const char *name)
{
    return env->setting == NULL ? NO_SLICE : env->setting(env->self, name);
}

bool setting_is(const planner_env *env, const char *name, const char *wanted)
{
    slice set = setting_of(env, name);

    return set.data != NULL && slice_equal_nocase(set, slice_of(wanted));
}

bool emits_every_change(const planner_env *env)
{
    return setting_is(env, "emit", "every-change") || setting_is(env, "cache.max.bytes.buffering", "0") ||
           setting_is(env, "statestore.cache.max.bytes", "0");
}

/* What the query's threads go by, where it is not the default. */
static void keep_properties(builder *b, plan *out)
{
    static const char *const names[][2] = { { "commit.interval.ms", "100" }, { "max.task.idle.ms", "0" },
                                            { "processing.guarantee", "exactly_once_v2" } };
    uint32_t most = sizeof names / sizeof *names;
    slice *pairs = ARENA_ARRAY(b->arena, slice, 2 * most);

    out->properties = pairs;
    for (uint32_t i = 0; i < most; i++) {
        slice set = setting_of(b->env, names[i][0]);
        if (set.data == NULL || slice_is(set, names[i][1])) continue;
        pairs[2 * out->property_count] = slice_of(names[i][0]);
        pairs[2 * out->property_count++ + 1] = arena_copy(b->arena, set);
    }
}

slice plan_state_name(const plan *p)
{
    return p->state_name.data != NULL ? p->state_name : p->query_id;
}

slice plan_property(const plan *p, const char *name)
{
    for (uint32_t i = 0; i < p->property_count; i++) {
        if (slice_is(p->properties[2 * i], name)) return p->properties[2 * i + 1];
    }
    return NO_SLICE;
}

static stop_rule stop_rule_of(const planner_env *env)
{
    if (setting_is(env, "on.bad.record", "stop") || setting_is(env, "ksql.fail.on.deserialization.error", "true")) {
        return STOPS_AT_BAD_RECORD;
    }
    return setting_is(env, "ksql.timestamp.throw.on.invalid", "true") ? STOPS_AT_BAD_TIME : STOPS_AT_NONE;
}

weir_rc finish_plan(builder *b, slice sql, plan *out)
{
    static const plan_mode modes[] = { [USE_PERSISTENT] = PLAN_PERSISTENT, [USE_PUSH] = PLAN_PUSH,
                                       [USE_BOUNDED] = PLAN_BOUNDED, [USE_SNAPSHOT] = PLAN_SNAPSHOT };

    finish_steps(b);
    *out = (plan){
        .sql = arena_copy(b->arena, sql),
        .mode = modes[b->use],
        .steps = b->steps,
        .step_count = b->count,
        .subtopology_count = b->subtopologies,
        .every_change = emits_every_change(b->env),
        .latest = setting_is(b->env, "auto.offset.reset", "latest"),
        .stops_at = stop_rule_of(b->env),
    };
    keep_properties(b, out);
    return WEIR_OK;
}

/* ---- SELECT on its own ---- */

/* Does some persistent query keep the table, so that a snapshot of its state answers? */
static bool is_kept(const planner_env *env, const source *s)
{
    return s->is_table && s->query_id.data != NULL && catalog_query(env->catalog, s->query_id) != NULL;
}

static query_use use_of(const planner_env *env, const select_query *q)
{
    if (q->emit != EMIT_NONE) return USE_PUSH;
    if (q->from->kind == RELATION_QUERY) return q->from->query->emit == EMIT_NONE ? use_of(env, q->from->query) : USE_BOUNDED;
    if (q->from->kind != RELATION_SOURCE) return USE_BOUNDED;
    const source *s = catalog_source(env->catalog, q->from->source.name);
    return s != NULL && is_kept(env, s) ? USE_SNAPSHOT : USE_BOUNDED;
}

static weir_rc make_transient(builder *b, const statement *s, planned *out)
{
    rel r;

    WEIR_TRY(plan_query(b, s->query, &r));
    out->kind = PLANNED_QUERY;
    WEIR_TRY(finish_plan(b, s->text, &out->plan));
    if (b->use == USE_BOUNDED) out->plan.latest = false; /* its answer is of all there is */
    return WEIR_OK;
}

weir_rc plan_transient(const planner_env *env, const statement *s, arena *a, planned *out, weir_error *err)
{
    builder b = { .arena = a, .env = env, .err = err, .use = use_of(env, s->query) };
    weir_rc rc = make_transient(&b, s, out);

    release_unused(b.held, rc == WEIR_OK ? &out->plan : NULL);
    return rc;
}
