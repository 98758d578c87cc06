/* planner/pull_rules.c - what pull queries may not have: by settings of ksqlDB's names, and, with 'pull.dialect' = 'ksqldb',
 * all that ksqlDB's pull queries refuse, so that what passes here runs there. */
#include "planner/bound.h"
#include "planner/build.h"

static bool is_ksqldb(const builder *b)
{
    return setting_is(b->env, "pull.dialect", "ksqldb");
}

static weir_rc refuse(builder *b, sql_pos at, const char *what)
{
    return weir_fail(b->err, WEIR_SEMANTIC, at, "pull queries of ksqlDB do not take %s; it needs 'pull.dialect' = 'weir', or "
                     "EMIT CHANGES", what);
}

static weir_rc check_dialect(builder *b, const select_query *q)
{
    const source *s = q->from->kind == RELATION_SOURCE ? catalog_source(b->env->catalog, q->from->source.name) : NULL;

    if (q->from->kind == RELATION_JOIN) return refuse(b, q->from->at, "JOIN");
    if (q->from->kind == RELATION_QUERY) return refuse(b, q->from->at, "a query in FROM");
    if (q->window != NULL) return refuse(b, q->window->at, "WINDOW");
    if (q->group_by.count > 0) return refuse(b, q->group_by_at, "GROUP BY");
    if (q->has_partition_by) return refuse(b, q->partition_by_at, "PARTITION BY");
    if (q->having != NULL) return refuse(b, q->having_at, "HAVING");
    if (q->order_by.count > 0) return refuse(b, q->order_by_at, "ORDER BY");
    if (s != NULL && s->is_table && !s->is_source && b->use == USE_BOUNDED) {
        return weir_fail(b->err, WEIR_SEMANTIC, q->from->at, "no query keeps the table %.*s; CREATE TABLE ... AS SELECT * FROM "
                         "%.*s makes one that pull queries of ksqlDB can read", SLICE_ARG(s->name), SLICE_ARG(s->name));
    }
    return WEIR_OK;
}

weir_rc check_pull(builder *b, const select_query *q)
{
    const source *s = q->from->kind == RELATION_SOURCE ? catalog_source(b->env->catalog, q->from->source.name) : NULL;

    if (q->limit >= 0 && setting_is(b->env, "ksql.query.pull.limit.clause.enabled", "false")) {
        return weir_fail(b->err, WEIR_SEMANTIC, q->limit_at, "LIMIT in pull queries is switched off by "
                         "'ksql.query.pull.limit.clause.enabled' = 'false'; set it to 'true', or leave LIMIT out");
    }
    if (s != NULL && !s->is_table && setting_is(b->env, "ksql.query.pull.stream.enabled", "false")) {
        return weir_fail(b->err, WEIR_SEMANTIC, q->from->at, "pull queries on streams are switched off by "
                         "'ksql.query.pull.stream.enabled'; EMIT CHANGES makes it a push query");
    }
    return is_ksqldb(b) ? check_dialect(b, q) : WEIR_OK;
}

/* ---- records' places ---- */

/* A row of a table's state stands nowhere in a topic. */
static weir_rc check_places(builder *b, const bound *e, const char *clause)
{
    bool has_partition = bound_holds(e, BOUND_ROWPARTITION);

    if (!has_partition && !bound_holds(e, BOUND_ROWOFFSET)) return WEIR_OK;
    if (b->use != USE_SNAPSHOT && !is_ksqldb(b)) return WEIR_OK;
    return weir_fail(b->err, WEIR_SEMANTIC, e->at, "pull queries do not know %s in %s; %s",
                     has_partition ? "ROWPARTITION" : "ROWOFFSET", clause,
                     b->use == USE_SNAPSHOT ? "a row of a table's state stands nowhere in a topic: leave it out"
                                            : "it needs 'pull.dialect' = 'weir', or EMIT CHANGES");
}

weir_rc check_pull_list(builder *b, const select_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) WEIR_TRY(check_places(b, list->items[i].bound, "the SELECT list"));
    return is_ksqldb(b) ? check_value_names(b, list) : WEIR_OK;
}

/* ---- scans ---- */

typedef struct key_uses {
    const schema *of;
    uint32_t *equal, *range; /* per key column: how many comparisons */
} key_uses;

static bool is_order(const bound *e)
{
    static const char *const names[] = { "<", "<=", ">", ">=" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(e->call->fn->name, names[i]) == 0) return true;
    }
    return false;
}

/* A key column compared with a constant. */
static bool compares_key(const schema *of, const bound *e, uint32_t *key, bool *is_equal)
{
    if (e->kind != BOUND_CALL || e->arg_count != 2) return false;
    *is_equal = strcmp(e->call->fn->name, "=") == 0;
    if (!*is_equal && !is_order(e)) return false;
    for (uint32_t side = 0; side < 2; side++) {
        if (e->args[side]->kind != BOUND_COLUMN || e->args[1 - side]->kind != BOUND_LITERAL) continue;
        *key = e->args[side]->column;
        return *key < of->key_count;
    }
    return false;
}

/* IN, or its spelling with OR: all of one key column. */
static bool is_choice(const schema *of, const bound *e, uint32_t *key)
{
    uint32_t other;
    bool is_equal;

    for (uint32_t i = 0; i < e->arg_count; i++) {
        if (!compares_key(of, e->args[i], i == 0 ? key : &other, &is_equal) || !is_equal || (i > 0 && other != *key)) return false;
    }
    return true;
}

static void count_uses(key_uses *u, const bound *e)
{
    uint32_t key;
    bool is_equal;

    if (e->kind == BOUND_AND) {
        for (uint32_t i = 0; i < e->arg_count; i++) count_uses(u, e->args[i]);
    } else if (e->kind == BOUND_OR) {
        if (is_choice(u->of, e, &key)) u->equal[key]++;
    } else if (compares_key(u->of, e, &key, &is_equal)) {
        u->equal[key] += is_equal;
        u->range[key] += !is_equal;
    }
}

/* Whether each alternative names the whole key once, by values, or by one bound of a lone STRING key. */
static bool names_key(builder *b, const schema *of, const bound *e)
{
    uint32_t any;

    if (e->kind == BOUND_OR && !is_choice(of, e, &any)) {
        for (uint32_t i = 0; i < e->arg_count; i++) {
            if (!names_key(b, of, e->args[i])) return false;
        }
        return true;
    }
    key_uses u = { of, ARENA_ZEROS(b->arena, uint32_t, of->key_count), ARENA_ZEROS(b->arena, uint32_t, of->key_count) };
    count_uses(&u, e);
    if (of->key_count == 1 && of->columns[0].type->kind == TYPE_STRING && u.equal[0] == 0 && u.range[0] == 1) {
        return setting_is(b->env, "ksql.query.pull.range.scan.enabled", "true");
    }
    for (uint32_t k = 0; k < of->key_count; k++) {
        if (u.equal[k] != 1 || u.range[k] != 0) return false;
    }
    return of->key_count > 0;
}

/* ---- IN over a key, as ksqlDB takes it: of values of the key's own kind ---- */

typedef struct in_list {
    const schema *of;
    const expr *found;
    const schema_column *key; /* that it is compared with */
} in_list;

static bool is_of_kind(const expr *item, const type *t)
{
    if (item->kind == EXPR_NULL) return false;
    return item->kind != EXPR_STRING || !type_is_number(t);
}

static bool find_strange_item(void *self, const expr *e)
{
    in_list *in = self;

    if (in->found != NULL || e->kind != EXPR_IN || e->in.value->kind != EXPR_COLUMN) return in->found == NULL;
    for (uint32_t k = 0; k < in->of->key_count; k++) {
        if (!slice_equal(in->of->columns[k].name, e->in.value->column.name.name)) continue;
        for (uint32_t i = 0; i < e->in.list.count && in->found == NULL; i++) {
            if (!is_of_kind(e->in.list.items[i], in->of->columns[k].type)) in->found = e->in.list.items[i];
            in->key = &in->of->columns[k];
        }
    }
    return true;
}

static weir_rc fail_scan(builder *b, const select_query *q, const schema *of)
{
    text keys = TEXT_EMPTY;

    for (uint32_t k = 0; k < of->key_count; k++) text_printf(&keys, "%s%.*s", k > 0 ? " and " : "", SLICE_ARG(of->columns[k].name));
    weir_rc rc = weir_fail(b->err, WEIR_SEMANTIC, q->where == NULL ? q->from->at : q->where->at,
                           "%s leaves %.*s to be scanned, which 'ksql.query.pull.table.scan.enabled' = 'false' forbids; say by one = or IN "
                           "which %s", q->where == NULL ? "no WHERE" : "this WHERE", SLICE_ARG(b->leftmost->name),
                           keys.len > 0 ? keys.data : "key");
    text_free(&keys);
    return rc;
}

weir_rc check_pull_where(builder *b, const select_query *q, uint32_t below, const bound *predicate)
{
    const step *s = &b->steps[below];
    in_list in = { .of = &s->schema };

    if (predicate != NULL) WEIR_TRY(check_places(b, predicate, "WHERE"));
    if (!b->leftmost->is_table || q->from->kind != RELATION_SOURCE) return WEIR_OK;
    if (q->where != NULL && is_ksqldb(b)) expr_walk(q->where, find_strange_item, &in);
    if (in.found != NULL) {
        slice found = expr_text(b->arena, in.found), wanted = type_text(b->arena, in.key->type);
        return weir_fail(b->err, WEIR_SEMANTIC, in.found->at,
                         "the key column %.*s is looked up by values of its type, %.*s, that are not NULL; %.*s is none",
                         SLICE_ARG(in.key->name), SLICE_ARG(wanted), SLICE_ARG(found));
    }
    if (setting_is(b->env, "ksql.query.pull.table.scan.enabled", "false") && (predicate == NULL || !names_key(b, &s->schema, predicate))) {
        return fail_scan(b, q, &s->schema);
    }
    return WEIR_OK;
}
