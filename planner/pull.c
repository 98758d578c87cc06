/* planner/pull.c - queries on tables as they stand: the state of the persistent query that keeps the table is read, and
 * what that query does above its state is done again on the rows read. */
#include "planner/bound.h"
#include "planner/build.h"

/* The last step that keeps the table's rows: an AGGREGATE or TABLE with nothing stateful between it and the sink. */
static const step *keeper_of(const plan *p)
{
    uint32_t i = p->step_count - 1;

    while (p->steps[i].kind == STEP_SINK || p->steps[i].kind == STEP_PROJECT || p->steps[i].kind == STEP_FILTER ||
           p->steps[i].kind == STEP_FINAL) {
        if (p->steps[i].input_count == 0) return NULL;
        i = p->steps[i].inputs[0];
    }
    return p->steps[i].kind == STEP_AGGREGATE || p->steps[i].kind == STEP_TABLE ? &p->steps[i] : NULL;
}

static weir_rc copy_filter(builder *b, const step *of)
{
    bound *predicate;

    WEIR_TRY(copy_bound(b, of->filter.predicate, &b->steps[last_step(b)].schema, &predicate));
    step *s = add_step(b, STEP_FILTER, last_step(b));
    s->filter.predicate = predicate;
    return WEIR_OK;
}

static weir_rc copy_project(builder *b, const step *of)
{
    const schema *below = &b->steps[last_step(b)].schema;
    bound **exprs = ARENA_ZEROS(b->arena, bound *, of->schema.count);

    for (uint32_t i = 0; i < of->schema.count; i++) WEIR_TRY(copy_bound(b, of->project.exprs[i], below, &exprs[i]));
    step *s = add_step(b, STEP_PROJECT, last_step(b));
    s->schema = schema_copy(b->arena, &of->schema);
    s->project.exprs = exprs;
    return WEIR_OK;
}

/* The steps between the keeper and the sink, lowest first. */
static weir_rc copy_above(builder *b, const plan *p, const step *keeper)
{
    const step **path = ARENA_ZEROS(b->arena, const step *, p->step_count);
    uint32_t count = 0;

    for (const step *s = &p->steps[p->step_count - 1]; s != keeper; s = &p->steps[s->inputs[0]]) path[count++] = s;
    while (count-- > 0) {
        if (path[count]->kind == STEP_FILTER) WEIR_TRY(copy_filter(b, path[count]));
        if (path[count]->kind == STEP_PROJECT) WEIR_TRY(copy_project(b, path[count]));
    }
    return WEIR_OK;
}

/* What a null of the type reads back as from a format that cannot write it; false: it can. */
static bool has_default(const type *t)
{
    switch (t->kind) {
    case TYPE_BOOLEAN:
    case TYPE_INTEGER:
    case TYPE_BIGINT:
    case TYPE_DOUBLE:
    case TYPE_STRING:
    case TYPE_BYTES:
    case TYPE_ARRAY:
    case TYPE_MAP: return true;
    default: return false;
    }
}

/* The table's topic has no nulls where its format has none: its rows read the same either way. */
static weir_rc add_defaults(builder *b, const source *from)
{
    const schema *below = &b->steps[last_step(b)].schema;
    bool is_protobuf = slice_is(from->value.name, "PROTOBUF") || slice_is(from->value.name, "PROTOBUF_NOSR");
    bound **exprs = ARENA_ZEROS(b->arena, bound *, below->count);
    binder over = { .arena = b->arena, .err = b->err, .held = &b->held };

    if (!is_protobuf || from->value.nulls != NULLS_DEFAULT) return WEIR_OK;
    for (uint32_t i = 0; i < below->count; i++) {
        const type *t = below->columns[i].type;
        value nothing = { .map = { NULL, NULL, 0 } };
        if (t->kind == TYPE_STRING || t->kind == TYPE_BYTES) nothing.str = SLICE("");
        exprs[i] = bound_column(b->arena, i, t, NOWHERE);
        if (i < below->key_count || !has_default(t)) continue;
        bound *both[] = { exprs[i], bound_literal(b->arena, t, nothing, NOWHERE) };
        WEIR_TRY(bind_call(&over, SLICE("COALESCE"), both, NULL, 2, NOWHERE, &exprs[i]));
    }
    schema same = schema_copy(b->arena, below);
    step *s = add_step(b, STEP_PROJECT, last_step(b));
    s->schema = same;
    s->project.exprs = exprs;
    return WEIR_OK;
}

weir_rc plan_table_as_of_now(builder *b, const source *from, slice alias, rel *out)
{
    const query_entry *keeps = catalog_query(b->env->catalog, from->query_id);
    const step *keeper = keeps == NULL ? NULL : keeper_of(&keeps->plan);

    b->leftmost = from;
    if (keeper == NULL) { /* nothing keeps its rows: its topic is read instead */
        b->use = USE_BOUNDED;
        return plan_source(b, from, alias, true, out);
    }
    step *s = add_step(b, STEP_SNAPSHOT, UINT32_MAX);
    s->schema = schema_copy(b->arena, &keeper->schema);
    s->windowed = keeper->windowed;
    s->window_size_ms = keeper->window_size_ms;
    s->snapshot.query = from->query_id;
    s->snapshot.state_name = plan_state_name(&keeps->plan);
    s->snapshot.subtopology = keeper->subtopology;
    s->snapshot.step = keeper->id;
    s->snapshot.lookup = (lookup){ .window_start_min = INT64_MIN, .window_start_max = INT64_MAX };
    s->snapshot.of = keeper;
    WEIR_TRY(copy_above(b, &keeps->plan, keeper));
    WEIR_TRY(add_defaults(b, from));
    const step *top = &b->steps[last_step(b)];
    *out = (rel){ .step = last_step(b), .scope = scope_of(b->arena, &top->schema, alias, top->windowed != WINDOW_NONE) };
    return WEIR_OK;
}

/* ---- what the predicate says about keys and windows ---- */

typedef struct key_values {
    const value **items;
    uint32_t count;
} key_values;

typedef struct lookup_maker {
    builder *b;
    const schema *keys;   /* of the snapshot */
    key_values *of_key;   /* per key column: the values it may have; items NULL: any */
    const value *key_min, *key_max;
    bool key_min_excluded, key_max_excluded;
    int64_t start_min, start_max;
    int64_t size_ms;
} lookup_maker;

static bool is_call_named(const bound *e, const char *name)
{
    return e->kind == BOUND_CALL && strcmp(e->call->fn->name, name) == 0;
}

/* A key column and a literal of its type, in that order from `side` on. */
static bool compares_key(const lookup_maker *m, const bound *e, uint32_t *side, uint32_t *key, const value **v)
{
    for (*side = 0; *side < 2; ++*side) {
        const bound *column_side = e->args[*side], *literal = e->args[1 - *side];
        if (column_side->kind != BOUND_COLUMN || literal->kind != BOUND_LITERAL) continue;
        if (column_side->column >= m->keys->key_count || literal->literal.is_null) continue;
        if (!type_equal(literal->type, m->keys->columns[column_side->column].type)) continue;
        *key = column_side->column;
        *v = &literal->literal;
        return true;
    }
    return false;
}

/* column = literal, either way round. */
static bool is_key_equality(const lookup_maker *m, const bound *e, uint32_t *key, const value **v)
{
    uint32_t side;

    return is_call_named(e, "=") && compares_key(m, e, &side, key, v);
}

static void bound_below(lookup_maker *m, const value *v, bool excluded)
{
    int order = m->key_min == NULL ? 1 : value_compare(m->keys->columns[0].type, v, m->key_min);

    if (order > 0) m->key_min_excluded = excluded;
    else if (order == 0) m->key_min_excluded |= excluded;
    if (order > 0) m->key_min = v;
}

static void bound_above(lookup_maker *m, const value *v, bool excluded)
{
    int order = m->key_max == NULL ? -1 : value_compare(m->keys->columns[0].type, v, m->key_max);

    if (order < 0) m->key_max_excluded = excluded;
    else if (order == 0) m->key_max_excluded |= excluded;
    if (order < 0) m->key_max = v;
}

/* key < literal and its like. Not of doubles: -0 and 0 are equal, but not as keys. */
static void take_range(lookup_maker *m, const bound *e)
{
    static const struct {
        const char *name;
        bool is_less, excluded;
    } orders[] = { { "<", true, true }, { "<=", true, false }, { ">", false, true }, { ">=", false, false } };
    uint32_t side, key;
    const value *v;

    if (m->keys->key_count != 1 || m->keys->columns[0].type->kind == TYPE_DOUBLE) return;
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        if (!is_call_named(e, orders[i].name) || !compares_key(m, e, &side, &key, &v)) continue;
        if (orders[i].is_less == (side == 0)) bound_above(m, v, orders[i].excluded);
        else bound_below(m, v, orders[i].excluded);
    }
}

static void take_equality(lookup_maker *m, const bound *e)
{
    uint32_t key;
    const value *v;

    if (!is_key_equality(m, e, &key, &v) || m->of_key[key].items != NULL) return;
    m->of_key[key].items = ARENA_ARRAY(m->b->arena, const value *, 1);
    m->of_key[key].items[0] = v;
    m->of_key[key].count = 1;
}

/* k = 1 OR k = 2 OR ... */
static void take_choice(lookup_maker *m, const bound *e)
{
    uint32_t first, key;
    const value *v;

    if (!is_key_equality(m, e->args[0], &first, &v) || m->of_key[first].items != NULL) return;
    const value **items = ARENA_ARRAY(m->b->arena, const value *, e->arg_count);
    uint32_t count = 0;
    for (uint32_t i = 0; i < e->arg_count; i++) {
        if (!is_key_equality(m, e->args[i], &key, &v) || key != first) return;
        bool is_new = true;
        for (uint32_t k = 0; k < count; k++) is_new &= !value_equal(m->keys->columns[key].type, items[k], v);
        if (is_new) items[count++] = v;
    }
    m->of_key[first] = (key_values){ items, count };
}

static void narrow(lookup_maker *m, int64_t min, int64_t max)
{
    if (min > m->start_min) m->start_min = min;
    if (max < m->start_max) m->start_max = max;
}

static int64_t add_clamped(int64_t x, int64_t y)
{
    int64_t sum;

    if (__builtin_add_overflow(x, y, &sum)) return y < 0 ? INT64_MIN : INT64_MAX;
    return sum;
}

/* WINDOWSTART >= ms and its like; a bound on WINDOWEND is one on the start of windows of known size. */
static void take_bound(lookup_maker *m, const bound *e)
{
    static const struct {
        const char *name, *flipped;
    } orders[] = { { "=", "=" }, { "<", ">" }, { "<=", ">=" }, { ">", "<" }, { ">=", "<=" } };

    if (e->kind != BOUND_CALL || e->arg_count != 2) return;
    for (uint32_t side = 0; side < 2; side++) {
        const bound *of = e->args[side], *literal = e->args[1 - side];
        bool is_end = of->kind == BOUND_WINDOWEND && m->size_ms > 0;
        if (of->kind != BOUND_WINDOWSTART && !is_end) continue;
        if (literal->kind != BOUND_LITERAL || literal->type->kind != TYPE_BIGINT || literal->literal.is_null) continue;
        int64_t ms = is_end ? add_clamped(literal->literal.i64, -m->size_ms) : literal->literal.i64;
        for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
            if (!is_call_named(e, side == 0 ? orders[i].name : orders[i].flipped)) continue;
            if (i == 0) narrow(m, ms, ms);
            if (i == 1) narrow(m, INT64_MIN, add_clamped(ms, -1));
            if (i == 2) narrow(m, INT64_MIN, ms);
            if (i == 3) narrow(m, add_clamped(ms, 1), INT64_MAX);
            if (i == 4) narrow(m, ms, INT64_MAX);
            return;
        }
    }
}

static void take_conjunct(lookup_maker *m, const bound *e)
{
    if (e->kind == BOUND_AND) {
        for (uint32_t i = 0; i < e->arg_count; i++) take_conjunct(m, e->args[i]);
    } else if (e->kind == BOUND_OR) {
        take_choice(m, e);
    } else {
        take_equality(m, e);
        take_range(m, e);
        take_bound(m, e);
    }
}

#define LOOKUP_KEYS_MAX 10000

/* Every combination of the values of the key's columns; none when a column may have any. */
static void combine_keys(lookup_maker *m, lookup *out)
{
    uint64_t total = 1;
    uint32_t keys = m->keys->key_count;

    for (uint32_t k = 0; k < keys; k++) {
        if (m->of_key[k].items == NULL) return;
        total *= m->of_key[k].count;
        if (total > LOOKUP_KEYS_MAX) return;
    }
    value *values = ARENA_ARRAY(m->b->arena, value, total * keys);
    for (uint64_t row = 0; row < total; row++) {
        uint64_t rest = row;
        for (uint32_t k = keys; k-- > 0;) {
            values[row * keys + k] = *m->of_key[k].items[rest % m->of_key[k].count];
            rest /= m->of_key[k].count;
        }
    }
    out->key_values = values;
    out->key_count = (uint32_t)total;
}

/* Not of doubles: 0 equals -0, which is another key. */
static void take_exact(const lookup_maker *m, const bound *e, lookup *out)
{
    uint32_t key;
    const value *v;

    if (m->keys->key_count != 1 || !is_key_equality(m, e, &key, &v) || m->keys->columns[0].type->kind == TYPE_DOUBLE) return;
    out->is_exact = true;
    out->literal_at = (v == &e->args[0]->literal ? e->args[0] : e->args[1])->at;
}

/* The predicate stands above projections that leave key column i what it is. */
bool plan_lookup(builder *b, uint32_t below, const bound *predicate)
{
    step *snapshot = &b->steps[0];
    const step *top = &b->steps[below];

    if (snapshot->kind != STEP_SNAPSHOT || snapshot->schema.key_count != top->schema.key_count) return false;
    lookup_maker m = { .b = b, .keys = &snapshot->schema, .start_min = INT64_MIN, .start_max = INT64_MAX,
                       .of_key = ARENA_ZEROS(b->arena, key_values, snapshot->schema.key_count),
                       .size_ms = snapshot->windowed == WINDOW_SESSION ? 0 : snapshot->window_size_ms };
    take_conjunct(&m, predicate);
    if (snapshot->schema.key_count > 0) combine_keys(&m, &snapshot->snapshot.lookup);
    lookup *made = &snapshot->snapshot.lookup;
    take_exact(&m, predicate, made);
    if (made->key_values == NULL && (snapshot->windowed == WINDOW_NONE || snapshot->windowed == WINDOW_SESSION)) {
        made->key_min = m.key_min;
        made->key_max = m.key_max;
        made->key_min_excluded = m.key_min_excluded;
        made->key_max_excluded = m.key_max_excluded;
    }
    made->window_start_min = m.start_min;
    made->window_start_max = m.start_max;
    return made->is_exact;
}
