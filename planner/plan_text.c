/* planner/plan_text.c - the stored form of a plan. Expressions are SQL over their input's columns, bound again when read:
 * what was inferred once stays written down as casts and types, so reading never decides anything anew. */
#include "parser/parser.h"
#include "planner/build.h"
#include "planner/lines.h"
#include "planner/planner.h"

static const char *const STEP_NAMES[] = { "SOURCE", "FILTER", "PROJECT", "FLAT_MAP", "EXCHANGE", "AGGREGATE", "TABLE", "JOIN",
                                          "FINAL",  "LIMIT",  "SORT",    "SINK",     "RESULT",   "SNAPSHOT", "SUBSCRIBE" };
#define STEP_KINDS (sizeof STEP_NAMES / sizeof STEP_NAMES[0])
#define STEPS_MAX 4096
#define ITEMS_MAX 100000

/* ---- printing ---- */

static void line_bound(text *out, const char *name, const bound *b, const schema *over)
{
    text printed = TEXT_EMPTY;

    if (b != NULL) bound_print(&printed, b, over);
    line_text(out, name, b == NULL ? NO_SLICE : text_slice(&printed));
    text_free(&printed);
}

static void print_source(text *out, const step *s)
{
    text wanted = TEXT_EMPTY;

    line_text(out, "name", s->source.name);
    line_text(out, "topic", s->source.topic);
    line_format(out, "key-format", &s->source.key);
    line_format(out, "value-format", &s->source.value);
    for (uint32_t i = 0; i < s->schema.count; i++) text_add_char(&wanted, s->source.wanted[i] ? '1' : '0');
    line_text(out, "wanted", text_slice(&wanted));
    line_number(out, "timestamp-column", s->source.timestamp_column);
    line_text(out, "timestamp-format", s->source.timestamp_format);
    line_number(out, "reads-headers", s->source.reads_headers);
    text_free(&wanted);
}

static void print_sink(text *out, const step *s)
{
    line_text(out, "name", s->sink.name);
    line_text(out, "topic", s->sink.topic);
    line_format(out, "key-format", &s->sink.key);
    line_format(out, "value-format", &s->sink.value);
    line_number(out, "partitions", s->sink.partitions);
    line_number(out, "timestamp-column", s->sink.timestamp_column);
    line_text(out, "timestamp-format", s->sink.timestamp_format);
}

static void print_aggregate(text *out, const step *s, const schema *below)
{
    const window_spec *w = &s->aggregate.window;

    line_number(out, "window", w->kind);
    line_number(out, "size-ms", w->size_ms);
    line_number(out, "advance-ms", w->advance_ms);
    line_number(out, "grace-ms", w->grace_ms);
    line_number(out, "retention-ms", w->retention_ms);
    line_number(out, "calls", s->aggregate.call_count);
    for (uint32_t i = 0; i < s->aggregate.call_count; i++) line_text(out, "call", s->aggregate.calls[i].sql);
    (void)below;
}

static void print_join(text *out, const step *s, const schema *left)
{
    line_number(out, "join-kind", s->join.kind);
    line_number(out, "join-form", s->join.form);
    line_number(out, "before-ms", s->join.before_ms);
    line_number(out, "after-ms", s->join.after_ms);
    line_number(out, "grace-ms", s->join.grace_ms);
    line_bound(out, "foreign-key", s->join.foreign_key, left);
}

static void print_sort(text *out, const step *s, const schema *below)
{
    line_number(out, "sort-keys", s->sort.key_count);
    for (uint32_t i = 0; i < s->sort.key_count; i++) {
        line_bound(out, "by", s->sort.keys[i].by, below);
        line_number(out, "descending", s->sort.keys[i].is_descending);
        line_number(out, "nulls-first", s->sort.keys[i].nulls_first);
    }
}

static void print_exprs(text *out, const step *s, const schema *below)
{
    line_number(out, "rekeys", s->project.rekeys);
    for (uint32_t i = 0; i < s->schema.count; i++) line_bound(out, "column", s->project.exprs[i], below);
}

static void print_snapshot(text *out, const step *s)
{
    line_text(out, "query", s->snapshot.query);
    line_number(out, "of-subtopology", s->snapshot.subtopology);
    line_number(out, "of-step", s->snapshot.step);
}

static void print_step(text *out, const plan *p, const step *s)
{
    const schema *below = s->input_count == 0 ? NULL : &p->steps[s->inputs[0]].schema;

    line_text(out, "step", slice_of(STEP_NAMES[s->kind]));
    line_number(out, "id", s->id);
    line_number(out, "subtopology", s->subtopology);
    line_number(out, "inputs", s->input_count);
    for (uint32_t i = 0; i < s->input_count; i++) line_number(out, "input", s->inputs[i]);
    line_schema(out, "columns", &s->schema);
    line_number(out, "table", s->is_table);
    line_number(out, "wants-old", s->wants_old);
    line_number(out, "windowed", s->windowed);
    line_number(out, "window-size-ms", s->window_size_ms);
    line_text(out, "layout", s->layout);
    switch (s->kind) {
    case STEP_SOURCE: print_source(out, s); break;
    case STEP_FILTER: line_bound(out, "where", s->filter.predicate, below); break;
    case STEP_PROJECT:
    case STEP_FLAT_MAP: print_exprs(out, s, below); break;
    case STEP_EXCHANGE:
        line_text(out, "name", s->exchange.name);
        line_number(out, "partitions", s->exchange.partitions);
        line_number(out, "subscription", s->exchange.is_subscription);
        line_format(out, "key-format", &s->exchange.key);
        break;
    case STEP_AGGREGATE: print_aggregate(out, s, below); break;
    case STEP_JOIN: print_join(out, s, below); break;
    case STEP_LIMIT: line_number(out, "rows", (int64_t)s->limit.rows); break;
    case STEP_SORT: print_sort(out, s, below); break;
    case STEP_SINK: print_sink(out, s); break;
    case STEP_SNAPSHOT: print_snapshot(out, s); break;
    case STEP_SUBSCRIBE: line_number(out, "join-kind", s->join.kind); break;
    case STEP_TABLE: line_number(out, "versioned", s->table.is_versioned); break;
    case STEP_FINAL:
    case STEP_RESULT: break;
    }
}

void plan_print(text *out, const plan *p)
{
    line_number(out, "weir-plan", PLAN_VERSION);
    line_text(out, "query", p->query_id);
    if (p->state_name.data != NULL) line_text(out, "state-name", p->state_name);
    line_text(out, "sql", p->sql);
    line_number(out, "mode", p->mode);
    line_number(out, "every-change", p->every_change);
    line_number(out, "latest", p->latest);
    line_number(out, "stop-on-bad-record", p->stops_at);
    line_number(out, "properties", p->property_count);
    for (uint32_t i = 0; i < 2 * p->property_count; i++) line_text(out, "property", p->properties[i]);
    line_number(out, "subtopologies", p->subtopology_count);
    line_number(out, "steps", p->step_count);
    for (uint32_t i = 0; i < p->step_count; i++) print_step(out, p, &p->steps[i]);
}

/* ---- parsing ---- */

static weir_rc read_u32(line_reader *r, const char *name, uint32_t most, uint32_t *out)
{
    int64_t number;

    WEIR_TRY(read_number_line(r, name, 0, most, &number));
    *out = (uint32_t)number;
    return WEIR_OK;
}

static weir_rc read_i32(line_reader *r, const char *name, int32_t least, int32_t *out)
{
    int64_t number;

    WEIR_TRY(read_number_line(r, name, least, INT32_MAX, &number));
    *out = (int32_t)number;
    return WEIR_OK;
}

static binder stored_binder(line_reader *r, const schema *over)
{
    return (binder){ .arena = r->arena, .scope = scope_of(r->arena, over, NO_SLICE, true), .clause = "a stored plan",
                     .err = r->err, .is_stored = true, .allows_aggregates = true, .allows_table_functions = true, .held = r->held };
}

static weir_rc bind_stored(line_reader *r, slice sql, const schema *over, bound **out)
{
    binder b = stored_binder(r, over);
    expr *tree;

    WEIR_TRY(parse_expression(r->arena, sql, &tree, r->err));
    return bind_expr(&b, tree, out);
}

weir_rc copy_bound(builder *b, const bound *from, const schema *over, bound **out)
{
    line_reader r = { .arena = b->arena, .err = b->err, .what = "expression", .held = &b->held };
    text printed = TEXT_EMPTY;

    bound_print(&printed, from, over);
    slice sql = text_keep(&printed, b->arena);
    return bind_stored(&r, sql, over, out);
}

static weir_rc read_bound(line_reader *r, const char *name, const schema *over, const type *wanted, bound **out)
{
    slice sql;

    *out = NULL;
    WEIR_TRY(read_text(r, name, &sql));
    if (sql.data == NULL) return WEIR_OK;
    WEIR_TRY(bind_stored(r, sql, over, out));
    return wanted == NULL || type_equal((*out)->type, wanted) ? WEIR_OK : fail_line(r, "has an expression of another type");
}

static weir_rc read_wanted(line_reader *r, step *s)
{
    bool *wanted = ARENA_ZEROS(r->arena, bool, s->schema.count);
    slice flags;

    WEIR_TRY(read_text(r, "wanted", &flags));
    if (flags.len != s->schema.count) return fail_line(r, "has not a mark for each column");
    for (uint32_t i = 0; i < s->schema.count; i++) wanted[i] = flags.data[i] == '1';
    s->source.wanted = wanted;
    return WEIR_OK;
}

static weir_rc read_source(line_reader *r, step *s)
{
    WEIR_TRY(read_text(r, "name", &s->source.name));
    WEIR_TRY(read_text(r, "topic", &s->source.topic));
    WEIR_TRY(read_format_line(r, "key-format", &s->source.key));
    WEIR_TRY(read_format_line(r, "value-format", &s->source.value));
    s->source.key.is_key = true;
    WEIR_TRY(read_wanted(r, s));
    WEIR_TRY(read_i32(r, "timestamp-column", -1, &s->source.timestamp_column));
    if (s->source.timestamp_column >= (int64_t)s->schema.count) return fail_line(r, "names no column");
    WEIR_TRY(read_text(r, "timestamp-format", &s->source.timestamp_format));
    return read_flag(r, "reads-headers", &s->source.reads_headers);
}

static weir_rc read_sink(line_reader *r, step *s)
{
    WEIR_TRY(read_text(r, "name", &s->sink.name));
    WEIR_TRY(read_text(r, "topic", &s->sink.topic));
    WEIR_TRY(read_format_line(r, "key-format", &s->sink.key));
    WEIR_TRY(read_format_line(r, "value-format", &s->sink.value));
    s->sink.key.is_key = true;
    WEIR_TRY(read_i32(r, "partitions", 1, &s->sink.partitions));
    WEIR_TRY(read_i32(r, "timestamp-column", -1, &s->sink.timestamp_column));
    if (s->sink.timestamp_column >= (int64_t)s->schema.count) return fail_line(r, "names no column");
    return read_text(r, "timestamp-format", &s->sink.timestamp_format);
}

static weir_rc read_call(line_reader *r, const schema *below, const type *wanted, agg_call *out)
{
    bound *node;

    WEIR_TRY(read_text(r, "call", &out->sql));
    if (out->sql.data == NULL) return fail_line(r, "has no call");
    WEIR_TRY(bind_stored(r, out->sql, below, &node));
    if (node->kind != BOUND_CALL || node->call->fn->kind != FUNCTION_AGGREGATE) return fail_line(r, "is no aggregate");
    if (!type_equal(node->type, wanted)) return fail_line(r, "has an aggregate of another type");
    out->call = node->call;
    out->args = node->args;
    return WEIR_OK;
}

static weir_rc read_aggregate(line_reader *r, step *s, const schema *below)
{
    window_spec *w = &s->aggregate.window;
    uint32_t kind;

    WEIR_TRY(read_u32(r, "window", WINDOW_SESSION, &kind));
    w->kind = (window_kind)kind;
    WEIR_TRY(read_number_line(r, "size-ms", 0, INT64_MAX, &w->size_ms));
    WEIR_TRY(read_number_line(r, "advance-ms", 0, INT64_MAX, &w->advance_ms));
    WEIR_TRY(read_number_line(r, "grace-ms", -1, INT64_MAX, &w->grace_ms));
    WEIR_TRY(read_number_line(r, "retention-ms", -1, INT64_MAX, &w->retention_ms));
    if (w->kind != WINDOW_NONE && (w->size_ms == 0 || (w->kind != WINDOW_SESSION && w->advance_ms == 0))) {
        return fail_line(r, "ends a window without a size");
    }
    WEIR_TRY(read_u32(r, "calls", ITEMS_MAX, &s->aggregate.call_count));
    if (s->schema.key_count > below->key_count || s->schema.count != s->schema.key_count + s->aggregate.call_count) {
        return fail_line(r, "does not fit the columns");
    }
    s->aggregate.calls = ARENA_ZEROS(r->arena, agg_call, s->aggregate.call_count);
    for (uint32_t i = 0; i < s->aggregate.call_count; i++) {
        WEIR_TRY(read_call(r, below, s->schema.columns[s->schema.key_count + i].type, &s->aggregate.calls[i]));
    }
    return WEIR_OK;
}

static weir_rc read_join(line_reader *r, step *s, const schema *left)
{
    uint32_t kind, form;

    WEIR_TRY(read_u32(r, "join-kind", JOIN_FULL, &kind));
    WEIR_TRY(read_u32(r, "join-form", JOIN_FOREIGN_KEY, &form));
    s->join.kind = (join_kind)kind;
    s->join.form = (join_form)form;
    WEIR_TRY(read_number_line(r, "before-ms", 0, INT64_MAX, &s->join.before_ms));
    WEIR_TRY(read_number_line(r, "after-ms", 0, INT64_MAX, &s->join.after_ms));
    WEIR_TRY(read_number_line(r, "grace-ms", -1, INT64_MAX, &s->join.grace_ms));
    return read_bound(r, "foreign-key", left, NULL, &s->join.foreign_key);
}

static weir_rc read_sort(line_reader *r, step *s, const schema *below)
{
    WEIR_TRY(read_u32(r, "sort-keys", ITEMS_MAX, &s->sort.key_count));
    s->sort.keys = ARENA_ZEROS(r->arena, sort_key, s->sort.key_count);
    for (uint32_t i = 0; i < s->sort.key_count; i++) {
        WEIR_TRY(read_bound(r, "by", below, NULL, &s->sort.keys[i].by));
        if (s->sort.keys[i].by == NULL) return fail_line(r, "has no expression");
        WEIR_TRY(read_flag(r, "descending", &s->sort.keys[i].is_descending));
        WEIR_TRY(read_flag(r, "nulls-first", &s->sort.keys[i].nulls_first));
    }
    return WEIR_OK;
}

static weir_rc read_exprs(line_reader *r, step *s, const schema *below)
{
    WEIR_TRY(read_flag(r, "rekeys", &s->project.rekeys));
    s->project.exprs = ARENA_ZEROS(r->arena, bound *, s->schema.count);
    for (uint32_t i = 0; i < s->schema.count; i++) {
        WEIR_TRY(read_bound(r, "column", below, s->schema.columns[i].type, &s->project.exprs[i]));
        if (s->project.exprs[i] == NULL) return fail_line(r, "has no expression");
    }
    return WEIR_OK;
}

static weir_rc read_step_body(line_reader *r, step *s, const schema *below)
{
    int64_t rows;
    uint32_t kind;

    switch (s->kind) {
    case STEP_SOURCE: return read_source(r, s);
    case STEP_FILTER:
        WEIR_TRY(read_bound(r, "where", below, &type_boolean, &s->filter.predicate));
        return s->filter.predicate == NULL ? fail_line(r, "has no condition") : WEIR_OK;
    case STEP_PROJECT:
    case STEP_FLAT_MAP: return read_exprs(r, s, below);
    case STEP_EXCHANGE:
        WEIR_TRY(read_text(r, "name", &s->exchange.name));
        WEIR_TRY(read_i32(r, "partitions", 1, &s->exchange.partitions));
        WEIR_TRY(read_flag(r, "subscription", &s->exchange.is_subscription));
        s->exchange.key.is_key = true;
        return read_format_line(r, "key-format", &s->exchange.key);
    case STEP_AGGREGATE: return read_aggregate(r, s, below);
    case STEP_JOIN: return read_join(r, s, below);
    case STEP_LIMIT:
        WEIR_TRY(read_number_line(r, "rows", 0, INT64_MAX, &rows));
        s->limit.rows = (uint64_t)rows;
        return WEIR_OK;
    case STEP_SORT: return read_sort(r, s, below);
    case STEP_SINK: return read_sink(r, s);
    case STEP_SUBSCRIBE:
        WEIR_TRY(read_u32(r, "join-kind", JOIN_FULL, &kind));
        s->join.kind = (join_kind)kind;
        return WEIR_OK;
    case STEP_TABLE: return read_flag(r, "versioned", &s->table.is_versioned);
    case STEP_FINAL:
    case STEP_RESULT: return WEIR_OK;
    case STEP_SNAPSHOT: return fail_line(r, "begins a snapshot, which is never stored");
    }
    return fail_line(r, "begins a step of unknown kind");
}

/* Sources have no inputs, joins two, all others one; and inputs come first. */
static weir_rc check_inputs(line_reader *r, const step *s, uint32_t index)
{
    uint32_t wanted = s->kind == STEP_SOURCE ? 0 : s->kind == STEP_JOIN ? 2 : 1;

    if (s->input_count != wanted) return fail_line(r, "ends a step with a wrong number of inputs");
    for (uint32_t i = 0; i < s->input_count; i++) {
        if (s->inputs[i] >= index) return fail_line(r, "ends a step that reads a later one");
    }
    return WEIR_OK;
}

static weir_rc read_step(line_reader *r, plan *p, uint32_t index)
{
    step *s = &p->steps[index];
    slice name;
    uint32_t windowed;
    size_t kind = 0;

    WEIR_TRY(read_text(r, "step", &name));
    while (kind < STEP_KINDS && !slice_is(name, STEP_NAMES[kind])) kind++;
    if (kind == STEP_KINDS) return fail_line(r, "begins a step of unknown kind");
    s->kind = (step_kind)kind;
    WEIR_TRY(read_u32(r, "id", UINT16_MAX, &s->id));
    WEIR_TRY(read_u32(r, "subtopology", STEPS_MAX, &s->subtopology));
    if (s->subtopology >= p->subtopology_count) return fail_line(r, "names no sub-topology");
    WEIR_TRY(read_u32(r, "inputs", 2, &s->input_count));
    for (uint32_t i = 0; i < s->input_count; i++) WEIR_TRY(read_u32(r, "input", STEPS_MAX, &s->inputs[i]));
    WEIR_TRY(check_inputs(r, s, index));
    WEIR_TRY(read_schema(r, "columns", &s->schema));
    WEIR_TRY(read_flag(r, "table", &s->is_table));
    WEIR_TRY(read_flag(r, "wants-old", &s->wants_old));
    WEIR_TRY(read_u32(r, "windowed", WINDOW_SESSION, &windowed));
    s->windowed = (window_kind)windowed;
    WEIR_TRY(read_number_line(r, "window-size-ms", 0, INT64_MAX, &s->window_size_ms));
    WEIR_TRY(read_text(r, "layout", &s->layout));
    return read_step_body(r, s, s->input_count == 0 ? NULL : &p->steps[s->inputs[0]].schema);
}

static weir_rc read_plan(line_reader *r, plan *out)
{
    uint32_t mode, stops_at;
    int64_t version;

    WEIR_TRY(read_number_line(r, "weir-plan", 0, INT32_MAX, &version));
    if (version != PLAN_VERSION) {
        return weir_fail(r->err, WEIR_STORAGE, NOWHERE, "a stored plan has format %lld; this weir reads %d", (long long)version,
                         PLAN_VERSION);
    }
    WEIR_TRY(read_text(r, "query", &out->query_id));
    if (next_is(r, "state-name")) WEIR_TRY(read_text(r, "state-name", &out->state_name));
    WEIR_TRY(read_text(r, "sql", &out->sql));
    WEIR_TRY(read_u32(r, "mode", PLAN_SNAPSHOT, &mode));
    out->mode = (plan_mode)mode;
    WEIR_TRY(read_flag(r, "every-change", &out->every_change));
    WEIR_TRY(read_flag(r, "latest", &out->latest));
    WEIR_TRY(read_u32(r, "stop-on-bad-record", STOPS_AT_BAD_TIME, &stops_at));
    out->stops_at = (stop_rule)stops_at;
    WEIR_TRY(read_u32(r, "properties", ITEMS_MAX, &out->property_count));
    slice *properties = ARENA_ZEROS(r->arena, slice, 2 * (size_t)out->property_count);
    for (uint32_t i = 0; i < 2 * out->property_count; i++) WEIR_TRY(read_text(r, "property", &properties[i]));
    out->properties = properties;
    WEIR_TRY(read_u32(r, "subtopologies", STEPS_MAX, &out->subtopology_count));
    WEIR_TRY(read_u32(r, "steps", STEPS_MAX, &out->step_count));
    if (out->step_count == 0) return fail_line(r, "says there are no steps");
    out->steps = ARENA_ZEROS(r->arena, step, out->step_count);
    for (uint32_t i = 0; i < out->step_count; i++) WEIR_TRY(read_step(r, out, i));
    return WEIR_OK;
}

void plan_use_registry(plan *p, struct registry *registry)
{
    for (uint32_t i = 0; i < p->step_count; i++) {
        step *s = &p->steps[i];
        if (s->kind == STEP_SOURCE) s->source.key.registry = s->source.value.registry = registry;
        if (s->kind == STEP_EXCHANGE) s->exchange.key.registry = registry;
        if (s->kind == STEP_SINK) s->sink.key.registry = s->sink.value.registry = registry;
    }
}

weir_rc plan_parse(slice in, arena *a, plan *out, weir_error *err)
{
    held_call *held = NULL;
    line_reader r = { .rest = in, .arena = a, .err = err, .what = "plan", .held = &held };

    *out = (plan){ 0 };
    weir_rc rc = read_plan(&r, out);
    release_unused(held, rc == WEIR_OK ? out : NULL);
    if (rc == WEIR_OK || rc == WEIR_STORAGE) return rc;
    char why[WEIR_MESSAGE_BYTES]; /* of the statement's text the position says nothing */
    memcpy(why, err->message, sizeof why);
    return weir_fail(err, WEIR_STORAGE, NOWHERE, "a stored plan cannot be read: line %u: %.900s", r.line, why);
}

/* Calls what is done for each call of a plan: a call may stand in several places. */
static void each_call(const plan *p, void (*see)(void *self, const bound *b), void *self)
{
    for (uint32_t i = 0; i < p->step_count; i++) {
        const step *s = &p->steps[i];
        bool has_exprs = (s->kind == STEP_PROJECT || s->kind == STEP_FLAT_MAP) && s->project.exprs != NULL;
        if (s->kind == STEP_FILTER && s->filter.predicate != NULL) bound_walk(s->filter.predicate, see, self);
        for (uint32_t k = 0; has_exprs && k < s->schema.count; k++) {
            if (s->project.exprs[k] != NULL) bound_walk(s->project.exprs[k], see, self);
        }
        for (uint32_t k = 0; s->kind == STEP_AGGREGATE && k < s->aggregate.call_count; k++) {
            const agg_call *c = &s->aggregate.calls[k];
            if (c->call == NULL) continue;
            const bound node = { .kind = BOUND_CALL, .call = c->call, .args = c->args, .arg_count = c->call->arg_count };
            bound_walk(&node, see, self);
        }
        for (uint32_t k = 0; s->kind == STEP_SORT && k < s->sort.key_count; k++) {
            if (s->sort.keys[k].by != NULL) bound_walk(s->sort.keys[k].by, see, self);
        }
        if (s->kind == STEP_JOIN && s->join.foreign_key != NULL) bound_walk(s->join.foreign_key, see, self);
    }
}

static void release_call(void *self, const bound *b)
{
    (void)self;
    if (b->kind == BOUND_CALL && b->call->fn->release != NULL) b->call->fn->release(b->call);
}

void plan_release(const plan *p)
{
    each_call(p, release_call, NULL);
}

static void add_doubt(void *self, const bound *b)
{
    text *out = self;

    if (b->kind != BOUND_CALL || b->call->doubt.data == NULL) return;
    if (out->len > 0) {
        if (memmem(out->data, out->len, b->call->doubt.data, b->call->doubt.len) != NULL) return; /* it may stand in several places */
        text_add_c(out, "; ");
    }
    text_add(out, b->call->doubt);
}

slice plan_doubts(const plan *p, arena *a)
{
    text out = TEXT_EMPTY;

    each_call(p, add_doubt, &out);
    return out.len == 0 ? NO_SLICE : text_keep(&out, a);
}

typedef struct use_search {
    const call *call;
    bool found;
} use_search;

static void compare_call(void *self, const bound *b)
{
    use_search *u = self;

    u->found |= b->kind == BOUND_CALL && (b->call == u->call || (u->call->state != NULL && b->call->state == u->call->state));
}

void release_unused(held_call *held, const plan *p)
{
    for (; held != NULL; held = held->next) {
        use_search u = { held->call, false };
        if (p != NULL) each_call(p, compare_call, &u);
        if (!u.found) held->call->fn->release(held->call);
    }
}
