/* planner/steps.c - the array of steps while a plan is built: adding, asking for former rows, decoded columns, layouts. */
#include "planner/build.h"

step *add_step(builder *b, step_kind kind, uint32_t input)
{
    if (b->count == b->room) {
        uint32_t room = b->room == 0 ? 16 : b->room * 2;
        step *more = ARENA_ZEROS(b->arena, step, room);
        if (b->count > 0) memcpy(more, b->steps, sizeof *more * b->count);
        b->steps = more;
        b->room = room;
    }
    uint32_t nth = 0;
    for (uint32_t i = 0; i < b->count; i++) nth += b->steps[i].kind == kind;
    step *s = &b->steps[b->count++];
    /* By kind, then in order of planning: adding a WHERE to a query changes no id of a step that keeps state. */
    *s = (step){ .kind = kind, .id = (uint32_t)kind * 100 + nth };
    if (input == UINT32_MAX) {
        s->subtopology = b->subtopologies++;
        return s;
    }
    const step *below = &b->steps[input];
    s->inputs[0] = input;
    s->input_count = 1;
    s->schema = below->schema;
    s->is_table = below->is_table;
    s->windowed = below->windowed;
    s->window_size_ms = below->window_size_ms;
    s->subtopology = below->kind == STEP_EXCHANGE ? b->subtopologies++ : below->subtopology;
    return s;
}

static bool has_name(const schema_column *columns, uint32_t count, slice name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (slice_equal(columns[i].name, name)) return true;
    }
    return false;
}

slice free_name(builder *b, const schema_column *columns, uint32_t count, slice wanted)
{
    slice name = wanted;

    for (uint32_t n = 1; has_name(columns, count, name); n++) {
        name = arena_printf(b->arena, "%.*s_%u", SLICE_ARG(wanted), n);
    }
    return name;
}

binder binder_over(builder *b, const scope *s, const char *clause)
{
    return (binder){ .arena = b->arena, .catalog = b->env->catalog, .scope = *s, .clause = clause, .query = b->query, .err = b->err,
                     .held = &b->held };
}

void want_old(builder *b, uint32_t index)
{
    step *s = &b->steps[index];

    if (!s->is_table || s->wants_old) return;
    s->wants_old = true;
    if (s->kind == STEP_FILTER || s->kind == STEP_PROJECT || s->kind == STEP_EXCHANGE || s->kind == STEP_FINAL) {
        want_old(b, s->inputs[0]);
    }
}

/* ---- decoded columns ---- */

static void mark_all(const step *s, bool *wanted)
{
    for (uint32_t i = 0; i < s->schema.count; i++) wanted[i] = true;
}

/* The columns of its input (of its first, where it has two) that a step reads, given those read of itself. */
static void mark_read(const step *s, const bool *of_it, bool *below)
{
    switch (s->kind) {
    case STEP_FILTER:
        for (uint32_t i = 0; i < s->schema.count; i++) below[i] |= of_it[i];
        bound_mark_columns(s->filter.predicate, below);
        break;
    case STEP_PROJECT:
        for (uint32_t i = 0; i < s->schema.count; i++) {
            if (of_it[i] || i < s->schema.key_count) bound_mark_columns(s->project.exprs[i], below);
        }
        break;
    case STEP_FLAT_MAP:
        for (uint32_t i = 0; i < s->schema.count; i++) bound_mark_columns(s->project.exprs[i], below);
        break;
    case STEP_AGGREGATE:
        for (uint32_t i = 0; i < s->schema.key_count; i++) below[i] = true;
        for (uint32_t i = 0; i < s->aggregate.call_count; i++) {
            for (uint32_t k = 0; k < s->aggregate.calls[i].call->arg_count; k++) {
                bound_mark_columns(s->aggregate.calls[i].args[k], below);
            }
        }
        break;
    case STEP_SORT:
        for (uint32_t i = 0; i < s->schema.key_count; i++) below[i] = true; /* of a table it keeps each key's last row */
        for (uint32_t i = 0; i < s->sort.key_count; i++) bound_mark_columns(s->sort.keys[i].by, below);
        for (uint32_t i = 0; i < s->schema.count; i++) below[i] |= of_it[i];
        break;
    case STEP_LIMIT:
        for (uint32_t i = 0; i < s->schema.count; i++) below[i] |= of_it[i];
        break;
    default: break; /* the others read all: see mark_step() */
    }
}

static bool reads_all(const step *s)
{
    switch (s->kind) {
    case STEP_FILTER:
    case STEP_PROJECT:
    case STEP_FLAT_MAP:
    case STEP_AGGREGATE:
    case STEP_SORT:
    case STEP_LIMIT: return false;
    default: return true;
    }
}

static void mark_step(builder *b, bool **read, uint32_t index)
{
    const step *s = &b->steps[index];

    for (uint32_t i = 0; i < s->input_count; i++) {
        uint32_t below = s->inputs[i];
        if (reads_all(s)) mark_all(&b->steps[below], read[below]);
        else mark_read(s, read[index], read[below]);
    }
    if (s->kind == STEP_JOIN && s->join.foreign_key != NULL) bound_mark_columns(s->join.foreign_key, read[s->inputs[0]]);
}

static void mark_sources(builder *b)
{
    bool **read = ARENA_ZEROS(b->arena, bool *, b->count);

    for (uint32_t i = 0; i < b->count; i++) read[i] = ARENA_ZEROS(b->arena, bool, b->steps[i].schema.count);
    for (uint32_t i = b->count; i-- > 0;) {
        if (b->steps[i].kind == STEP_SINK || b->steps[i].kind == STEP_RESULT) mark_all(&b->steps[i], read[i]);
        mark_step(b, read, i);
        step *s = &b->steps[i];
        if (s->kind != STEP_SOURCE) continue;
        s->source.wanted = read[i];
        if (s->source.timestamp_column >= 0) read[i][s->source.timestamp_column] = true;
        for (uint32_t c = 0; c < s->schema.count; c++) {
            const schema_column *from = &s->schema.columns[c];
            s->source.reads_headers |= (from->is_headers || from->header_key.data != NULL) && read[i][c];
        }
    }
}

/* Headers travel from a record to the rows that it causes: not through an aggregation whose results are of many records, nor from
 * a table that is looked up. */
static void carry_headers_below(builder *b, uint32_t index)
{
    step *s = &b->steps[index];
    bool is_joined = s->kind == STEP_JOIN && (s->join.form == JOIN_STREAM_STREAM || s->join.form == JOIN_TABLE_TABLE);

    if (s->kind == STEP_AGGREGATE && !emits_every_change(b->env)) return;
    if (s->kind == STEP_JOIN && s->join.form == JOIN_FOREIGN_KEY) return;
    if (s->kind == STEP_SOURCE) s->source.reads_headers = true;
    if (s->input_count > 0) carry_headers_below(b, s->inputs[0]);
    if (is_joined) carry_headers_below(b, s->inputs[1]);
}

static void carry_headers(builder *b)
{
    const step *end = &b->steps[b->count - 1];

    if (end->kind == STEP_SINK) carry_headers_below(b, end->inputs[0]);
}

/* ---- layouts ---- */

static void print_types(text *out, const schema *s, uint32_t from, uint32_t to)
{
    text_add_char(out, '(');
    for (uint32_t i = from; i < to; i++) {
        if (i > from) text_add_c(out, ", ");
        type_print(out, s->columns[i].type);
    }
    text_add_char(out, ')');
}

static void print_aggregate_layout(text *out, const step *s)
{
    text_add_c(out, "packed aggregate by ");
    print_types(out, &s->schema, 0, s->schema.key_count);
    if (s->aggregate.window.kind != WINDOW_NONE) {
        text_add_char(out, ' ');
        window_spec form = s->aggregate.window;
        form.grace_ms = form.retention_ms = -1; /* may change: they decide how long state is kept, not its form */
        window_spec_print(out, &form);
    }
    text_add_c(out, s->wants_old ? " keeping the row emitted:" : ":");
    for (uint32_t i = 0; i < s->aggregate.call_count; i++) {
        const call *c = s->aggregate.calls[i].call;
        text_printf(out, i == 0 ? " %s(" : ", %s(", c->fn->name);
        for (uint32_t k = 0; k < c->arg_count; k++) {
            if (k > 0) text_add_c(out, ", ");
            if (c->constants != NULL && c->constants[k] != NULL) literal_print(out, c->arg_types[k], c->constants[k]);
            else type_print(out, c->arg_types[k]);
        }
        text_add_c(out, ") ");
        type_print(out, c->result);
    }
}

static const char *join_form_name(join_form form)
{
    static const char *const names[] = { "stream-stream", "stream-table", "table-table", "foreign-key" };

    return names[form];
}

static void print_join_layout(text *out, const plan *p, const step *s)
{
    const schema *left = &p->steps[s->inputs[0]].schema, *right = &p->steps[s->inputs[1]].schema;

    text_printf(out, "%s join by ", join_form_name(s->join.form));
    print_types(out, &s->schema, 0, s->schema.key_count);
    text_add_c(out, " of ");
    print_types(out, left, left->key_count, left->count);
    text_add_c(out, " and ");
    print_types(out, right, right->key_count, right->count);
}

slice step_layout(arena *a, const plan *p, const step *s)
{
    text out = TEXT_EMPTY;

    switch (s->kind) {
    case STEP_AGGREGATE: print_aggregate_layout(&out, s); break;
    case STEP_TABLE:
        text_add_c(&out, "table by ");
        print_types(&out, &s->schema, 0, s->schema.key_count);
        text_add_c(&out, " of ");
        print_types(&out, &s->schema, s->schema.key_count, s->schema.count);
        break;
    case STEP_FINAL:
        text_add_c(&out, "rows held until their window closes: ");
        print_types(&out, &s->schema, 0, s->schema.count);
        break;
    case STEP_EXCHANGE:
        text_add_c(&out, s->wants_old ? "rows with former rows, by " : "rows by ");
        print_types(&out, &s->schema, 0, s->schema.key_count);
        text_add_c(&out, " of ");
        print_types(&out, &s->schema, s->schema.key_count, s->schema.count);
        break;
    case STEP_JOIN: print_join_layout(&out, p, s); break;
    default: return NO_SLICE;
    }
    return text_keep(&out, a);
}

void finish_steps(builder *b)
{
    plan p = { .steps = b->steps, .step_count = b->count };

    mark_sources(b);
    carry_headers(b);
    for (uint32_t i = 0; i < b->count; i++) b->steps[i].layout = step_layout(b->arena, &p, &b->steps[i]);
}
