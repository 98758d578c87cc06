/* planner/joins.c - FROM with JOINs: left-deep, one STEP_JOIN each. Before a join each side gets a PROJECT that makes the
 * join expression its key and keeps only the columns used above, and an EXCHANGE where the key was another before.
 * The result's key stands for all expressions that were made equal; the first of their columns that the SELECT list has gives
 * it its name, and where there is none (FULL joins, expressions) it is called ROWKEY. */
#include "planner/build.h"

/* ---- which columns are used above ---- */

typedef struct use_list {
    arena *arena;
    const select_query *q;
    const expr **columns; /* EXPR_COLUMN */
    uint32_t count, room;
} use_list;

static bool note_column(void *self, const expr *e)
{
    use_list *u = self;

    if (e->kind == EXPR_CALL) { /* the bodies of lambdas too: expr_walk() leaves them out */
        for (uint32_t i = 0; i < e->call.args.count; i++) {
            if (e->call.args.items[i]->kind == EXPR_LAMBDA) expr_walk(e->call.args.items[i]->lambda.body, note_column, u);
        }
    }
    if (e->kind != EXPR_COLUMN) return true;
    if (u->count == u->room) {
        uint32_t room = u->room == 0 ? 32 : u->room * 2;
        const expr **more = ARENA_ZEROS(u->arena, const expr *, room);
        if (u->count > 0) memcpy(more, u->columns, sizeof *more * u->count);
        u->columns = more;
        u->room = room;
    }
    u->columns[u->count++] = e;
    return true;
}

static void note_list(use_list *u, const expr_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) expr_walk(list->items[i], note_column, u);
}

static void note_query(use_list *u)
{
    const select_query *q = u->q;

    for (uint32_t i = 0; i < q->item_count; i++) {
        if (q->items[i].value != NULL && (q->items[i].kind == SELECT_EXPR || q->items[i].kind == SELECT_STRUCT_ALL)) {
            expr_walk(q->items[i].value, note_column, u);
        }
    }
    if (q->where != NULL) expr_walk(q->where, note_column, u);
    if (q->having != NULL) expr_walk(q->having, note_column, u);
    note_list(u, &q->group_by);
    note_list(u, &q->partition_by);
    for (uint32_t i = 0; i < q->order_by.count; i++) expr_walk(q->order_by.items[i].by, note_column, u);
}

static bool selects_all_of(const select_query *q, slice alias)
{
    for (uint32_t i = 0; i < q->item_count; i++) {
        if (q->items[i].kind == SELECT_ALL) return true;
        if (q->items[i].kind == SELECT_SOURCE_ALL && alias.data != NULL && slice_equal(q->items[i].source.name, alias)) return true;
    }
    return false;
}

/* By name, or as the struct before a dot. */
static bool is_used(const use_list *u, const scope_column *c)
{
    if (!c->is_hidden && selects_all_of(u->q, c->source)) return true;
    if (c->is_hidden && u->q->has_partition_by && selects_all_of(u->q, NO_SLICE)) return true; /* see add_partitioned_star() */
    for (uint32_t i = 0; i < u->count; i++) {
        const identifier *from = &u->columns[i]->column.source;
        bool is_it = slice_equal(u->columns[i]->column.name.name, c->name);
        if (is_it && (!identifier_present(from) || slice_equal(from->name, c->source))) return true;
        if (identifier_present(from) && slice_equal(from->name, c->name)) return true;
    }
    return false;
}

/* ---- one side of a join ---- */

typedef struct side {
    uint32_t step;
    scope_column *columns; /* of all its sources, in order; those not carried along have column UINT32_MAX */
    uint32_t count;
    const slice *aliases;
    const source *const *sources;
    uint32_t source_count;
    const expr **equals; /* expressions that its key is equal to */
    uint32_t equal_count;
    bool is_table;
    int32_t partitions;
    format_spec spread_by;   /* its rows stand in the partitions that keys in this format go to; name absent: by an
                                exchange that asked for none */
    bool is_exchanged;
    const source *key_from; /* whose key it still has; NULL: it was given another */
    bool has_named_key;     /* its columns name its key: of a foreign-key join, which keeps the left's */
    bool has_foreign;       /* a foreign-key join is in it: not all primary keys of its tables are its key */
    bool has_computed_key;  /* a stream, keyed for this join by an expression that is no column */
} side;

static scope scope_of_side(const side *s)
{
    return (scope){ s->columns, s->count, s->aliases, s->source_count, false, false };
}

static const struct {
    const char *name;
    bound_kind kind;
} RECORD_COLUMNS[] = { { "ROWTIME", BOUND_ROWTIME },         { "ROWPARTITION", BOUND_ROWPARTITION },
                       { "ROWOFFSET", BOUND_ROWOFFSET },     { "WINDOWSTART", BOUND_WINDOWSTART },
                       { "WINDOWEND", BOUND_WINDOWEND } };
enum { RECORD_COLUMN_COUNT = 3, WINDOW_BOUND_COUNT = 2 };

static scope_column record_column(slice alias, uint32_t own, uint32_t which, bool is_hidden)
{
    bool is_partition = RECORD_COLUMNS[which].kind == BOUND_ROWPARTITION;

    return (scope_column){ .source = alias, .name = slice_of(RECORD_COLUMNS[which].name), .column = own + which,
                           .type = is_partition ? &type_integer : &type_bigint, .is_hidden = is_hidden };
}

/* The columns of a source and its records' pseudo columns, which a join must carry along as columns: they are numbered behind
 * the source's own. The bounds of a window follow the key, as SELECT * has them. */
static scope_column *leaf_columns(builder *b, const source *named, slice alias, const scope *of, uint32_t *count)
{
    uint32_t keys = named->schema.key_count, n = 0;
    scope_column *columns = ARENA_ZEROS(b->arena, scope_column, of->count + RECORD_COLUMN_COUNT + WINDOW_BOUND_COUNT);

    for (uint32_t i = 0; i <= of->count; i++) {
        for (uint32_t k = 0; i == keys && of->is_windowed && k < WINDOW_BOUND_COUNT; k++) {
            columns[n++] = record_column(alias, of->count, RECORD_COLUMN_COUNT + k, false);
        }
        if (i == of->count) break;
        columns[n] = of->columns[i];
        columns[n++].is_key = i < keys;
    }
    for (uint32_t k = 0; k < RECORD_COLUMN_COUNT; k++) columns[n++] = record_column(alias, of->count, k, true);
    *count = n;
    return columns;
}

static weir_rc plan_leaf(builder *b, const relation *from, side *out)
{
    const source *named;
    rel r;

    if (from->kind == RELATION_QUERY) return fail_unsupported(b->err, from->at, "a query in FROM",
                                                             "CREATE STREAM or CREATE TABLE ... AS makes its result something to read from");
    WEIR_TRY(find_source(b, &from->source, &named));
    slice alias = identifier_present(&from->alias) ? from->alias.name : named->name;
    WEIR_TRY(plan_source(b, named, alias, false, &r));
    uint32_t count;
    scope_column *columns = leaf_columns(b, named, alias, &r.scope, &count);
    slice *aliases = ARENA_NEW(b->arena, slice);
    const source **sources = ARENA_NEW(b->arena, const source *);
    *aliases = alias;
    *sources = named;
    *out = (side){ .step = r.step, .columns = columns, .count = count, .aliases = aliases, .sources = sources, .source_count = 1,
                   .is_table = named->is_table, .partitions = named->partitions, .spread_by = named->key, .key_from = named };
    return WEIR_OK;
}

static bool is_leaf(const side *s)
{
    return s->source_count == 1;
}

/* ---- ON ---- */

typedef struct join_condition {
    const expr *left, *right; /* over each side */
    bool is_flipped;
} join_condition;

typedef struct reach {
    const side *s;
    uint32_t named;   /* columns that are of this side */
    uint32_t unnamed; /* columns that are of none of its */
} reach;

static bool side_has(const side *s, const expr *e)
{
    const identifier *from = &e->column.source;

    for (uint32_t i = 0; i < s->count; i++) {
        const scope_column *c = &s->columns[i];
        if (slice_equal(c->name, e->column.name.name) && (!identifier_present(from) || slice_equal(from->name, c->source))) {
            return true;
        }
        if (identifier_present(from) && slice_equal(from->name, c->name) && c->type->kind == TYPE_STRUCT) return true;
    }
    return false;
}

static bool count_reach(void *self, const expr *e)
{
    reach *r = self;

    if (e->kind != EXPR_COLUMN) return true;
    if (side_has(r->s, e)) r->named++;
    else r->unnamed++;
    return true;
}

/* Uses this side's columns, and no others. */
static bool is_over(const side *s, const expr *e)
{
    reach r = { s, 0, 0 };

    expr_walk(e, count_reach, &r);
    return r.named > 0 && r.unnamed == 0;
}

static scope scope_of_both(builder *b, const side *left, const side *right)
{
    scope_column *columns = ARENA_ZEROS(b->arena, scope_column, left->count + right->count);
    slice *aliases = ARENA_ZEROS(b->arena, slice, left->source_count + right->source_count);

    memcpy(columns, left->columns, sizeof *columns * left->count);
    memcpy(columns + left->count, right->columns, sizeof *columns * right->count);
    memcpy(aliases, left->aliases, sizeof *aliases * left->source_count);
    memcpy(aliases + left->source_count, right->aliases, sizeof *aliases * right->source_count);
    return (scope){ columns, left->count + right->count, aliases, left->source_count + right->source_count, false, false };
}

/* Names must be known and not ambiguous before the sides are told apart. */
static weir_rc check_names(builder *b, const side *left, const side *right, const expr *e)
{
    scope both = scope_of_both(b, left, right);
    binder over = binder_over(b, &both, "JOIN");
    bound *ignored;

    return bind_expr(&over, e, &ignored);
}

static weir_rc split_condition(builder *b, const relation *join, const side *left, const side *right, join_condition *out)
{
    const expr *on = join->join.on;

    if (on == NULL) return weir_fail(b->err, WEIR_SEMANTIC, join->at, "JOIN needs ON left = right");
    if (on->kind == EXPR_AND || on->kind == EXPR_OR) {
        return weir_fail(b->err, WEIR_SEMANTIC, on->at, "a join is by one equality; the other conditions go to WHERE");
    }
    if (on->kind != EXPR_EQUAL) return weir_fail(b->err, WEIR_SEMANTIC, on->at, "a join is by equality: ON left = right");
    WEIR_TRY(check_names(b, left, right, on->binary.left));
    WEIR_TRY(check_names(b, left, right, on->binary.right));
    *out = (join_condition){ on->binary.left, on->binary.right, false };
    if (is_over(left, on->binary.left) && is_over(right, on->binary.right)) return WEIR_OK;
    *out = (join_condition){ on->binary.right, on->binary.left, true };
    if (is_over(right, on->binary.left) && is_over(left, on->binary.right)) return WEIR_OK;
    slice shown = expr_text(b->arena, on);
    return weir_fail(b->err, WEIR_SEMANTIC, on->at, "in %.*s one side must be of %.*s alone, the other of what stands before it",
                     SLICE_ARG(shown), SLICE_ARG(right->aliases[0]));
}

/* ---- what may be joined ---- */

/* In KAFKA format a column that is null and a row without a value are the same bytes, none: such a row would join nothing. */
static weir_rc fail_kafka(builder *b, const relation *from, const source *s)
{
    return weir_fail(b->err, WEIR_SEMANTIC, from->at,
                     "%.*s has the value format KAFKA, which cannot tell a null column from a missing row, and so cannot be joined; "
                     "make a copy WITH (VALUE_FORMAT = 'JSON') first", SLICE_ARG(s->name));
}

static const char *window_word(window_kind kind)
{
    static const char *const words[] = { [WINDOW_NONE] = "no", [WINDOW_TUMBLING] = "TUMBLING", [WINDOW_HOPPING] = "HOPPING",
                                         [WINDOW_SESSION] = "SESSION" };

    return words[kind];
}

static weir_rc fail_windows(builder *b, const relation *join, const source *l, const source *r)
{
    bool is_one_plain = l->windowed == WINDOW_NONE || r->windowed == WINDOW_NONE;

    return weir_fail(b->err, WEIR_SEMANTIC, join->at, "the key of %.*s has %s windows, that of %.*s has %s windows: they never meet; %s",
                     SLICE_ARG(l->name), window_word(l->windowed), SLICE_ARG(r->name), window_word(r->windowed),
                     is_one_plain ? "join sources whose keys both have windows, or neither"
                                  : "sessions can be joined with sessions only, TUMBLING and HOPPING windows with each other");
}

static weir_rc check_sources(builder *b, const relation *join, const side *left, const side *right)
{
    const source *r = right->sources[0];

    for (uint32_t i = 0; i < left->source_count; i++) {
        const source *l = left->sources[i];
        if (slice_equal(l->name, r->name)) {
            return weir_fail(b->err, WEIR_SEMANTIC, join->join.right->at,
                             "%.*s cannot be joined with itself; make a copy first: CREATE %s ... AS SELECT * FROM %.*s",
                             SLICE_ARG(r->name), r->is_table ? "TABLE" : "STREAM", SLICE_ARG(r->name));
        }
        if (slice_equal(left->aliases[i], right->aliases[0])) {
            return weir_fail(b->err, WEIR_SEMANTIC, join->join.right->at, "two sources are called %.*s; give one another alias",
                             SLICE_ARG(right->aliases[0]));
        }
        if (left->source_count == 1 && slice_equal_nocase(l->value.name, SLICE("KAFKA"))) WEIR_TRY(fail_kafka(b, join->join.left, l));
        if (slice_equal_nocase(r->value.name, SLICE("KAFKA"))) WEIR_TRY(fail_kafka(b, join->join.right, r));
        if ((l->windowed == WINDOW_NONE) != (r->windowed == WINDOW_NONE) ||
            (l->windowed == WINDOW_SESSION) != (r->windowed == WINDOW_SESSION)) {
            return fail_windows(b, join, l, r);
        }
    }
    return WEIR_OK;
}

static weir_rc check_kinds(builder *b, const relation *join, const side *left, const side *right)
{
    bool is_stream_stream = !left->is_table && !right->is_table;

    if (left->is_table && !right->is_table) {
        return weir_fail(b->err, WEIR_SEMANTIC, join->at,
                         "a stream can be joined with a table, not a table with a stream: begin with %.*s, and join %.*s",
                         SLICE_ARG(right->aliases[0]), SLICE_ARG(left->aliases[0]));
    }
    if (!left->is_table && right->is_table && join->join.type != INNER_JOIN && join->join.type != LEFT_JOIN) {
        return weir_fail(b->err, WEIR_SEMANTIC, join->at,
                         "%.*s is a stream and %.*s a table: they join as INNER or LEFT only, not %s, since a row of the table starts "
                         "nothing", SLICE_ARG(left->aliases[0]), SLICE_ARG(right->aliases[0]),
                         join->join.type == FULL_JOIN ? "FULL" : "RIGHT");
    }
    if (is_stream_stream && !join->join.has_within) {
        return weir_fail(b->err, WEIR_SEMANTIC, join->at, "%.*s and %.*s are streams, which are joined within a time: add WITHIN, such as WITHIN 1 HOUR",
                         SLICE_ARG(left->aliases[0]), SLICE_ARG(right->aliases[0]));
    }
    if (!is_stream_stream && join->join.has_within) {
        return weir_fail(b->err, WEIR_SEMANTIC, join->join.within_at, "WITHIN is for joins of two streams, and %.*s is a table; leave it out",
                         SLICE_ARG(right->aliases[0]));
    }
    return WEIR_OK;
}

/* ---- keys ---- */

/* The column of the side that an expression is, or -1. */
static int64_t column_of(const side *s, const expr *e)
{
    if (e->kind != EXPR_COLUMN) return -1;
    for (uint32_t i = 0; i < s->count; i++) {
        const scope_column *c = &s->columns[i];
        const identifier *from = &e->column.source;
        if (slice_equal(c->name, e->column.name.name) && (!identifier_present(from) || slice_equal(from->name, c->source))) return i;
    }
    return -1;
}

/* The expression that a side is to be keyed by, and whether it is so already. */
typedef struct side_key {
    bound *bound;
    bool is_own;
} side_key;

/* A source's column, or a pseudo column of its records. */
static bound *leaf_column(builder *b, const side *s, uint32_t index)
{
    uint32_t own = b->steps[s->step].schema.count, c = s->columns[index].column;
    const type *t = s->columns[index].type;

    return c < own ? bound_column(b->arena, c, t, NOWHERE) : bound_new(b->arena, RECORD_COLUMNS[c - own].kind, t, NOWHERE, 0);
}

static bound *with_record_columns(builder *b, const side *s, const bound *e)
{
    bound **columns = ARENA_ZEROS(b->arena, bound *, s->count);

    for (uint32_t i = 0; i < s->count; i++) columns[s->columns[i].column] = leaf_column(b, s, i);
    return bound_replace_columns(b->arena, e, columns);
}

/* Tables meet by their primary keys: each of these is the joined row's key, even where a FULL join left it null. */
static bool is_primary_key(const side *s, const expr *e)
{
    int64_t index = column_of(s, e);

    if (!s->is_table || s->has_foreign || index < 0 || !s->columns[index].is_key) return false;
    for (uint32_t i = 0; i < s->source_count; i++) {
        if (slice_equal(s->aliases[i], s->columns[index].source)) return s->sources[i]->schema.key_count == 1;
    }
    return false;
}

static weir_rc find_key(builder *b, const side *s, const expr *e, side_key *out)
{
    scope over = scope_of_side(s);
    binder binds = binder_over(b, &over, "JOIN");
    const step *below = &b->steps[s->step];

    WEIR_TRY(bind_expr(&binds, e, &out->bound));
    if (is_leaf(s)) out->bound = with_record_columns(b, s, out->bound);
    out->is_own = out->bound->kind == BOUND_COLUMN && out->bound->column == 0 && below->schema.key_count == 1;
    bool is_equal = is_primary_key(s, e);
    for (uint32_t i = 0; i < s->equal_count; i++) is_equal |= expr_same(&binds, s->equals[i], e);
    if (is_equal && !is_leaf(s)) {
        out->bound = bound_column(b->arena, 0, below->schema.columns[0].type, e->at);
        out->is_own = true;
    }
    return WEIR_OK;
}

/* A window stays with its key. */
static weir_rc check_windowed_key(builder *b, const relation *join, const side *s, const side_key *key)
{
    const source *of = s->sources[0];

    if (key->is_own || b->steps[s->step].windowed == WINDOW_NONE) return WEIR_OK;
    return weir_fail(b->err, WEIR_SEMANTIC, join->join.on->at,
                     "the key of %.*s is windowed, and its rows cannot be given another: join by %.*s.%.*s", SLICE_ARG(of->name),
                     SLICE_ARG(s->aliases[0]), SLICE_ARG(of->schema.columns[0].name));
}

static weir_rc check_keys(builder *b, const relation *join, const join_condition *on, const side *left, const side *right,
                          side_key *left_key, side_key *right_key, bool *is_foreign)
{
    WEIR_TRY(check_windowed_key(b, join, left, left_key));
    WEIR_TRY(check_windowed_key(b, join, right, right_key));
    *is_foreign = left->is_table && !left_key->is_own;
    slice shown = expr_text(b->arena, join->join.on);
    const schema *of_right = &right->sources[0]->schema;

    if (right->is_table && !right_key->is_own) {
        return weir_fail(b->err, WEIR_SEMANTIC, on->right->at, "in %.*s, %.*s must be met by its primary key%s%.*s%s",
                         SLICE_ARG(shown), SLICE_ARG(right->aliases[0]), of_right->key_count > 1 ? ", of which " : " ",
                         SLICE_ARG(of_right->columns[0].name),
                         of_right->key_count > 1 ? " is but a part: only a key of a single column can be joined by" : "");
    }
    if (!type_equal(left_key->bound->type, right_key->bound->type)) {
        slice l = type_text(b->arena, left_key->bound->type), r = type_text(b->arena, right_key->bound->type);
        return weir_fail(b->err, WEIR_SEMANTIC, join->join.on->at, "in %.*s the types differ, %.*s and %.*s; CAST() one of them",
                         SLICE_ARG(shown), SLICE_ARG(on->is_flipped ? r : l), SLICE_ARG(on->is_flipped ? l : r));
    }
    WEIR_TRY(check_key_type(b, left_key->bound->type, SLICE("of the join"), on->left->at));
    if (!left->is_table || left_key->is_own) return WEIR_OK;
    if (!is_leaf(left)) {
        slice key = expr_text(b->arena, on->left);
        return weir_fail(b->err, WEIR_SEMANTIC, on->left->at,
                         "%.*s is not the key of what stands before it: a foreign-key join can only be the first of several; make a table of "
                         "the joins before it, and join that", SLICE_ARG(key));
    }
    if (join->join.type != INNER_JOIN && join->join.type != LEFT_JOIN) {
        slice key = expr_text(b->arena, on->left);
        return weir_fail(b->err, WEIR_SEMANTIC, join->at,
                         "%.*s is not the key of %.*s: a join by a foreign key is INNER or LEFT, not %s", SLICE_ARG(key),
                         SLICE_ARG(left->aliases[0]), join->join.type == FULL_JOIN ? "FULL" : "RIGHT");
    }
    return WEIR_OK;
}

/* Do equal keys stand in equal partitions? */
static bool is_spread_alike(const side *x, const side *y)
{
    if ((x->spread_by.name.data == NULL) != (y->spread_by.name.data == NULL)) return false;
    return x->spread_by.name.data == NULL || (slice_equal_nocase(x->spread_by.name, y->spread_by.name) &&
                                              x->spread_by.is_unwrapped == y->spread_by.is_unwrapped);
}

/* Rows stay where they are on the side that has the key already, the left one first; the other's come to it. */
typedef struct meeting {
    bool moves_left, moves_right;
    int32_t partitions;
    format_spec spread_by;
} meeting;

static weir_rc choose_meeting(builder *b, const relation *join, const side *left, const side *right, const side_key *left_key,
                              const side_key *right_key, meeting *out)
{
    *out = (meeting){ .moves_left = !left_key->is_own, .moves_right = !right_key->is_own };
    if (left_key->is_own && right_key->is_own) {
        bool counts_differ = left->partitions != right->partitions;
        out->moves_right = !is_spread_alike(left, right) || (counts_differ && left->is_exchanged);
        if (counts_differ && !out->moves_right) {
            return weir_fail(b->err, WEIR_SEMANTIC, join->at,
                             "%.*s has %d partition%s and %.*s %d: rows of one key would not meet; copy one of them WITH (PARTITIONS = %d)",
                             SLICE_ARG(left->aliases[0]), left->partitions, left->partitions == 1 ? "" : "s",
                             SLICE_ARG(right->aliases[0]), right->partitions, left->partitions);
        }
    }
    const side *stays = !out->moves_left ? left : !out->moves_right ? right : NULL;
    out->partitions = stays != NULL ? stays->partitions
                      : left->partitions > right->partitions ? left->partitions : right->partitions;
    if (stays != NULL) out->spread_by = stays->spread_by;
    return WEIR_OK;
}

/* ---- the steps ---- */

/* Key first, then the columns used above; an EXCHANGE where its rows have to move. */
static void key_side(builder *b, side *s, const use_list *used, const side_key *key, bool moves, const meeting *at, const char *name)
{
    schema_column *columns = ARENA_ZEROS(b->arena, schema_column, s->count + 1);
    bound **exprs = ARENA_ZEROS(b->arena, bound *, s->count + 1);
    scope_column *scope_columns = ARENA_ZEROS(b->arena, scope_column, s->count);
    uint32_t count = 1;

    columns[0] = (schema_column){ .name = SLICE("ROWKEY"), .type = key->bound->type };
    exprs[0] = key->bound;
    for (uint32_t i = 0; i < s->count; i++) {
        const scope_column *c = &s->columns[i];
        scope_columns[i] = *c;
        scope_columns[i].column = UINT32_MAX;
        if (c->column == UINT32_MAX || !is_used(used, c)) continue;
        slice wanted = arena_printf(b->arena, "%.*s_%.*s", SLICE_ARG(c->source), SLICE_ARG(c->name));
        columns[count] = (schema_column){ .name = free_name(b, columns, count, wanted), .type = c->type };
        exprs[count] = is_leaf(s) ? leaf_column(b, s, i) : bound_column(b->arena, c->column, c->type, NOWHERE);
        scope_columns[i].column = count++;
    }
    step *project = add_step(b, STEP_PROJECT, s->step);
    project->schema = (schema){ columns, 1, count };
    project->project.exprs = exprs;
    project->project.rekeys = !key->is_own;
    if (!key->is_own) s->key_from = NULL;
    if (moves) {
        step *exchange = add_step(b, STEP_EXCHANGE, last_step(b));
        exchange->exchange.name = arena_printf(b->arena, "%s-%u", name, exchange->id % 100);
        exchange->exchange.partitions = at->partitions;
        exchange->exchange.key = at->spread_by;
        exchange->exchange.key.is_key = true;
        exchange->exchange.key.name = arena_copy(b->arena, at->spread_by.name);
        exchange->exchange.key.delimiter = arena_copy(b->arena, at->spread_by.delimiter);
        s->partitions = at->partitions;
        s->spread_by = exchange->exchange.key;
        s->is_exchanged = true;
    }
    s->step = last_step(b);
    s->columns = scope_columns;
}

static join_form form_of(const side *left, const side *right)
{
    if (left->is_table) return JOIN_TABLE_TABLE;
    return right->is_table ? JOIN_STREAM_TABLE : JOIN_STREAM_STREAM;
}

static void add_join(builder *b, const relation *join, const side *left, const side *right)
{
    static const join_kind kinds[] = { [INNER_JOIN] = JOIN_INNER, [LEFT_JOIN] = JOIN_LEFT, [RIGHT_JOIN] = JOIN_RIGHT,
                                       [FULL_JOIN] = JOIN_FULL };
    const schema *l = &b->steps[left->step].schema, *r = &b->steps[right->step].schema;
    uint32_t count = l->count + r->count - 1;
    schema_column *columns = ARENA_ZEROS(b->arena, schema_column, count);

    memcpy(columns, l->columns, sizeof *columns * l->count);
    for (uint32_t i = 1; i < r->count; i++) {
        columns[l->count + i - 1] = r->columns[i];
        columns[l->count + i - 1].name = free_name(b, columns, l->count + i - 1, r->columns[i].name);
    }
    uint32_t left_step = left->step, right_step = right->step;
    step *s = add_step(b, STEP_JOIN, left_step);
    s->inputs[1] = right_step;
    s->input_count = 2;
    s->schema = (schema){ columns, 1, count };
    s->is_table = left->is_table;
    s->join.kind = kinds[join->join.type];
    s->join.form = form_of(left, right);
    s->join.before_ms = join->join.has_within ? join->join.before_ms : 0;
    s->join.after_ms = join->join.has_within ? join->join.after_ms : 0;
    s->join.grace_ms = join->join.has_within ? join->join.grace_ms : -1;
}

/* Both inputs of a join, and what is above it, are one sub-topology. */
static void merge_subtopologies(builder *b, uint32_t right)
{
    step *join = &b->steps[last_step(b)];
    uint32_t keep = join->subtopology;
    const step *r = &b->steps[right];

    if (r->kind == STEP_EXCHANGE) return; /* the join itself reads it */
    uint32_t gone = r->subtopology;
    if (gone == keep) return;
    for (uint32_t i = 0; i < b->count; i++) {
        uint32_t *of = &b->steps[i].subtopology;
        if (*of == gone) *of = keep;
        if (*of > gone) (*of)--; /* none is left out */
    }
    b->subtopologies--;
}

static void append_equal(builder *b, side *s, const expr *e)
{
    const expr **more = ARENA_ZEROS(b->arena, const expr *, s->equal_count + 1);

    if (s->equal_count > 0) memcpy(more, s->equals, sizeof *more * s->equal_count);
    more[s->equal_count] = e;
    s->equals = more;
    s->equal_count++;
}

static void join_sides(builder *b, const relation *join, const join_condition *on, const side *left, const side *right,
                       const side_key *left_key, side *out)
{
    uint32_t left_columns = b->steps[left->step].schema.count;
    scope both = scope_of_both(b, left, right);
    scope_column *columns = (scope_column *)both.columns;
    const source **sources = ARENA_ZEROS(b->arena, const source *, both.source_count);

    for (uint32_t i = left->count; i < both.count; i++) {
        if (columns[i].column != UINT32_MAX) columns[i].column += left_columns - 1;
    }
    memcpy(sources, left->sources, sizeof *sources * left->source_count);
    sources[left->source_count] = right->sources[0];
    *out = (side){ .step = last_step(b), .columns = columns, .count = both.count, .aliases = both.sources, .sources = sources,
                   .source_count = both.source_count, .is_table = left->is_table, .partitions = left->partitions,
                   .spread_by = left->spread_by, .is_exchanged = left->is_exchanged || right->is_exchanged,
                   .key_from = left->key_from != NULL ? left->key_from : right->key_from,
                   .has_foreign = left->has_foreign };
    out->has_computed_key = !left->is_table && right->is_table && on->left->kind != EXPR_COLUMN;
    if (join->join.type == FULL_JOIN) return; /* either expression may be null where the key is not */
    for (uint32_t i = 0; left_key->is_own && i < left->equal_count; i++) append_equal(b, out, left->equals[i]);
    bool has_left = left_key->is_own && left->equal_count > 0;
    if (!has_left) append_equal(b, out, on->left);
    append_equal(b, out, on->right);
}

/* ---- the key's name ---- */

static bool is_selected(const select_query *q, const side *s, uint32_t index)
{
    if (selects_all_of(q, s->columns[index].source)) return true;
    for (uint32_t i = 0; i < q->item_count; i++) {
        if (q->items[i].kind == SELECT_EXPR && column_of(s, q->items[i].value) == (int64_t)index) return true;
    }
    return false;
}

/* The column that gives the key its name: of those equal to it the first that is selected, else the first. */
static int64_t key_column_of(const side *s, const select_query *q)
{
    int64_t first = -1;

    for (uint32_t i = 0; i < s->equal_count; i++) {
        int64_t index = column_of(s, s->equals[i]);
        if (index < 0) continue;
        if (is_selected(q, s, (uint32_t)index)) return index;
        if (first < 0) first = index;
    }
    return first;
}

/* The column that names the result's key is the key: of this last join it need not be carried along as a value too. */
static void leave_out_key_column(side *left, side *right, const side *joined, const select_query *q)
{
    int64_t key = key_column_of(joined, q);

    if (key < 0) return;
    if (key >= left->count) right->columns[key - left->count].column = UINT32_MAX;
    else if (is_leaf(left)) left->columns[key].column = UINT32_MAX;
}

/* ---- a foreign-key join ---- */

static void exchange_for(builder *b, const char *name, const side *to)
{
    step *s = add_step(b, STEP_EXCHANGE, last_step(b));

    s->exchange.name = arena_printf(b->arena, "%s-%u", name, s->id % 100);
    s->exchange.partitions = to->partitions;
    s->exchange.is_subscription = true;
    s->exchange.key = to->spread_by;
    s->exchange.key.is_key = true;
    s->exchange.key.name = arena_copy(b->arena, to->spread_by.name);
    s->exchange.key.delimiter = arena_copy(b->arena, to->spread_by.delimiter);
}

/* The left table as it is kept: its key, the foreign key, the columns used above. */
static void keep_left(builder *b, side *s, const use_list *used, const side_key *foreign)
{
    const schema *own = &b->steps[s->step].schema;
    uint32_t count = own->key_count;
    schema_column *columns = ARENA_ZEROS(b->arena, schema_column, own->key_count + s->count + 1);
    bound **exprs = ARENA_ZEROS(b->arena, bound *, own->key_count + s->count + 1);
    scope_column *scope_columns = ARENA_ZEROS(b->arena, scope_column, s->count);

    for (uint32_t i = 0; i < own->key_count; i++) {
        columns[i] = own->columns[i];
        exprs[i] = bound_column(b->arena, i, own->columns[i].type, NOWHERE);
    }
    columns[count] = (schema_column){ .name = free_name(b, columns, count, SLICE("FOREIGN_KEY")), .type = foreign->bound->type };
    exprs[count++] = foreign->bound;
    for (uint32_t i = 0; i < s->count; i++) {
        const scope_column *c = &s->columns[i];
        scope_columns[i] = *c;
        if (i < own->key_count) continue;
        scope_columns[i].column = UINT32_MAX;
        if (!is_used(used, c)) continue;
        slice wanted = arena_printf(b->arena, "%.*s_%.*s", SLICE_ARG(c->source), SLICE_ARG(c->name));
        columns[count] = (schema_column){ .name = free_name(b, columns, count, wanted), .type = c->type };
        exprs[count] = leaf_column(b, s, i);
        scope_columns[i].column = count++ - 1; /* as the joined row has it, without the foreign key */
    }
    uint32_t key_count = own->key_count;
    step *project = add_step(b, STEP_PROJECT, s->step);
    project->schema = (schema){ columns, key_count, count };
    project->project.exprs = exprs;
    s->columns = scope_columns;
    add_step(b, STEP_TABLE, last_step(b));
    want_old(b, last_step(b));
}

static void subscribe(builder *b, join_kind kind)
{
    schema below = b->steps[last_step(b)].schema;
    schema_column *columns = ARENA_ZEROS(b->arena, schema_column, below.count + 1);
    uint32_t keys = below.key_count;

    columns[0] = below.columns[keys];
    memcpy(columns + 1, below.columns, sizeof *columns * keys);
    columns[1 + keys] = (schema_column){ .name = free_name(b, below.columns, below.count, SLICE("INSTRUCTION")), .type = &type_integer };
    memcpy(columns + keys + 2, below.columns + keys + 1, sizeof *columns * (below.count - keys - 1));
    step *s = add_step(b, STEP_SUBSCRIBE, last_step(b));
    s->schema = (schema){ columns, 1, below.count + 1 };
    s->is_table = false;
    s->join.kind = kind;
}

/* Left rows go to where the right row of their foreign key is, are joined there, and the joined rows come back to where the
 * left key is. */
static void plan_foreign_join(builder *b, const relation *join, const use_list *used, side *left, side *right,
                              const side_key *left_key, const side_key *right_key, side *out)
{
    join_kind kind = join->join.type == LEFT_JOIN ? JOIN_LEFT : JOIN_INNER;
    const meeting stays = { 0 };
    const step *own = &b->steps[left->step];
    uint32_t keys = own->schema.key_count;
    const schema_column *key_columns = own->schema.columns;

    keep_left(b, left, used, left_key);
    uint32_t kept = b->steps[last_step(b)].schema.count - keys - 1;
    const schema_column *kept_columns = b->steps[last_step(b)].schema.columns + keys + 1;
    subscribe(b, kind);
    exchange_for(b, "join-foreign", right);
    uint32_t subscriptions = last_step(b);
    key_side(b, right, used, right_key, false, &stays, "");
    schema r = b->steps[right->step].schema;
    uint32_t count = keys + kept;
    schema_column *columns = ARENA_ZEROS(b->arena, schema_column, count + r.count);
    memcpy(columns, key_columns, sizeof *columns * keys);
    memcpy(columns + keys, kept_columns, sizeof *columns * kept);
    for (uint32_t i = 1; i < r.count; i++, count++) {
        columns[count] = r.columns[i];
        columns[count].name = free_name(b, columns, count, r.columns[i].name);
    }
    step *s = add_step(b, STEP_JOIN, subscriptions);
    s->inputs[1] = right->step;
    s->input_count = 2;
    s->schema = (schema){ columns, keys, count };
    s->is_table = true;
    s->join.kind = kind;
    s->join.form = JOIN_FOREIGN_KEY;
    s->join.grace_ms = -1;
    merge_subtopologies(b, right->step);
    exchange_for(b, "join-answers", left);
    add_step(b, STEP_TABLE, last_step(b))->table.is_versioned = true;

    scope both = scope_of_both(b, left, right);
    scope_column *all = (scope_column *)both.columns;
    for (uint32_t i = left->count; i < both.count; i++) {
        if (all[i].column != UINT32_MAX) all[i].column += keys + kept - 1;
    }
    const source **sources = ARENA_ZEROS(b->arena, const source *, 2);
    sources[0] = left->sources[0];
    sources[1] = right->sources[0];
    *out = (side){ .step = last_step(b), .columns = all, .count = both.count, .aliases = both.sources, .sources = sources,
                   .source_count = 2, .is_table = true, .partitions = left->partitions, .spread_by = left->spread_by,
                   .is_exchanged = true, .key_from = left->sources[0], .has_named_key = true, .has_foreign = true };
    if (keys == 1) {
        expr *key = ARENA_NEW(b->arena, expr);
        *key = (expr){ .kind = EXPR_COLUMN, .height = 1 };
        key->column.source = (identifier){ left->aliases[0], true, NOWHERE };
        key->column.name = (identifier){ left->columns[0].name, true, NOWHERE };
        append_equal(b, out, key);
    }
}

static weir_rc plan_join(builder *b, const relation *from, bool is_last, use_list *used, side *out)
{
    side left, right, joined;
    join_condition on;
    side_key left_key, right_key;
    meeting at;
    bool is_foreign;
    uint32_t used_above = used->count;

    if (from->kind != RELATION_JOIN) return plan_leaf(b, from, out);
    if (from->join.right->kind == RELATION_JOIN) return fail_unsupported(b->err, from->join.right->at, "a JOIN on the right of a JOIN",
                                "join one source after the other");
    if (from->join.on != NULL) expr_walk(from->join.on, note_column, used); /* for joins below */
    WEIR_TRY(plan_join(b, from->join.left, false, used, &left));
    used->count = used_above;
    WEIR_TRY(plan_leaf(b, from->join.right, &right));
    WEIR_TRY(check_sources(b, from, &left, &right));
    WEIR_TRY(split_condition(b, from, &left, &right, &on));
    WEIR_TRY(check_kinds(b, from, &left, &right));
    WEIR_TRY(find_key(b, &left, on.left, &left_key));
    WEIR_TRY(find_key(b, &right, on.right, &right_key));
    WEIR_TRY(check_keys(b, from, &on, &left, &right, &left_key, &right_key, &is_foreign));
    if (is_foreign) {
        plan_foreign_join(b, from, used, &left, &right, &left_key, &right_key, out);
        return WEIR_OK;
    }
    WEIR_TRY(choose_meeting(b, from, &left, &right, &left_key, &right_key, &at));
    join_sides(b, from, &on, &left, &right, &left_key, &joined);
    if (is_last) leave_out_key_column(&left, &right, &joined, used->q);
    key_side(b, &left, used, &left_key, at.moves_left, &at, "join-left");
    key_side(b, &right, used, &right_key, at.moves_right, &at, "join-right");
    add_join(b, from, &left, &right);
    merge_subtopologies(b, right.step);
    join_sides(b, from, &on, &left, &right, &left_key, out);
    return WEIR_OK;
}

/* ---- the whole ---- */

static slice synthetic_name(builder *b, const side *s)
{
    slice name = SLICE("ROWKEY");

    for (uint32_t n = 1;; n++) {
        bool is_taken = false;
        for (uint32_t i = 0; i < s->count; i++) is_taken |= slice_equal(s->columns[i].name, name);
        if (!is_taken) return name;
        name = arena_printf(b->arena, "ROWKEY_%u", n);
    }
}

/* The key stands for its column, or first and by a name of its own. Columns that are not carried along are there too:
 * nothing names them, but names of several sources are told apart by them. */
static scope scope_of_result(builder *b, side *s, const select_query *q)
{
    int64_t key = s->has_named_key ? -1 : key_column_of(s, q);
    scope_column *columns = ARENA_ZEROS(b->arena, scope_column, s->count + 1);
    uint32_t count = 0;

    if (key < 0 && !s->has_named_key) {
        columns[count++] = (scope_column){ .name = synthetic_name(b, s), .type = b->steps[s->step].schema.columns[0].type };
    }
    for (uint32_t i = 0; i < s->count; i++) {
        if ((int64_t)i == key) s->columns[i].column = 0;
        columns[count] = s->columns[i];
        columns[count++].is_hidden |= s->columns[i].column == UINT32_MAX;
    }
    return (scope){ columns, count, s->aliases, s->source_count, false, false };
}

/* "L.A or R.X" */
static slice key_names_of(builder *b, const side *s)
{
    text out = TEXT_EMPTY;

    for (uint32_t i = 0; i < s->equal_count; i++) {
        int64_t index = column_of(s, s->equals[i]);
        if (index < 0) continue;
        const scope_column *c = &s->columns[index];
        text_printf(&out, "%s%.*s.%.*s", out.len > 0 ? " or " : "", SLICE_ARG(c->source), SLICE_ARG(c->name));
    }
    slice names = out.len > 0 ? arena_copy(b->arena, text_slice(&out)) : NO_SLICE;
    text_free(&out);
    return names;
}

weir_rc plan_joins(builder *b, const select_query *q, rel *out)
{
    use_list used = { .arena = b->arena, .q = q };
    side all;

    note_query(&used);
    WEIR_TRY(plan_join(b, q->from, true, &used, &all));
    b->key_from = all.key_from != NULL ? all.key_from : b->leftmost;
    if (all.is_table && b->steps[all.step].kind != STEP_TABLE) {
        add_step(b, STEP_TABLE, all.step);
        all.step = last_step(b);
    }
    *out = (rel){ .step = all.step, .scope = scope_of_result(b, &all, q), .is_join = true,
                  .key_names = all.has_named_key ? NO_SLICE : key_names_of(b, &all),
                  .may_lose_key = all.has_computed_key };
    return WEIR_OK;
}
