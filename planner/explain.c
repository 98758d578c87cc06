/* planner/explain.c - a plan for people: its sub-topologies as trees, the last step first. */
#include "parser/parser.h"
#include "planner/bound.h"
#include "planner/plan.h"

typedef struct explainer {
    text *out;
    const plan *p;
    void (*note)(void *self, const step *s, text *out); /* NULL: none */
    void *self;
} explainer;

static void indent(explainer *x, uint32_t depth)
{
    for (uint32_t i = 0; i < depth; i++) text_add_c(x->out, "  ");
}

static void print_schema(explainer *x, const step *s)
{
    text_add_char(x->out, '(');
    schema_print(x->out, &s->schema, s->is_table);
    text_add_char(x->out, ')');
}

static void print_formats(explainer *x, const format_spec *key, const format_spec *value)
{
    text_printf(x->out, " key %.*s, value %.*s", SLICE_ARG(key->name), SLICE_ARG(value->name));
}

static void print_source(explainer *x, const step *s)
{
    bool any = false;

    text_printf(x->out, "Source %.*s: topic %.*s,", SLICE_ARG(s->source.name), SLICE_ARG(s->source.topic));
    print_formats(x, &s->source.key, &s->source.value);
    text_add_c(x->out, ", decodes");
    for (uint32_t i = 0; i < s->schema.count; i++) {
        if (!s->source.wanted[i]) continue;
        text_add_c(x->out, any ? ", " : " ");
        print_identifier(x->out, s->schema.columns[i].name);
        any = true;
    }
    if (!any) text_add_c(x->out, " nothing");
    if (s->source.timestamp_column >= 0) {
        text_add_c(x->out, ", event time from ");
        print_identifier(x->out, s->schema.columns[s->source.timestamp_column].name);
    }
}

static void print_key(explainer *x, const schema *s)
{
    for (uint32_t i = 0; i < s->key_count; i++) {
        if (i > 0) text_add_c(x->out, ", ");
        print_identifier(x->out, s->columns[i].name);
    }
    if (s->key_count == 0) text_add_c(x->out, "nothing");
}

static void print_exprs(explainer *x, const step *s, const schema *below)
{
    for (uint32_t i = 0; i < s->schema.count; i++) {
        if (i > 0) text_add_c(x->out, ", ");
        if (s->project.exprs[i]->kind == BOUND_COLUMN &&
            slice_equal(below->columns[s->project.exprs[i]->column].name, s->schema.columns[i].name)) {
            print_identifier(x->out, s->schema.columns[i].name);
            continue;
        }
        bound_print(x->out, s->project.exprs[i], below);
        text_add_c(x->out, " AS ");
        print_identifier(x->out, s->schema.columns[i].name);
    }
}

static void print_aggregate(explainer *x, const step *s)
{
    text_add_c(x->out, "Aggregate by ");
    print_key(x, &s->schema);
    if (s->aggregate.window.kind != WINDOW_NONE) {
        text_add_c(x->out, ", ");
        window_spec_print(x->out, &s->aggregate.window);
    }
    text_add_c(x->out, ": ");
    for (uint32_t i = 0; i < s->aggregate.call_count; i++) {
        text_printf(x->out, i == 0 ? "%.*s" : ", %.*s", SLICE_ARG(s->aggregate.calls[i].sql));
    }
}

static void print_join(explainer *x, const step *s)
{
    static const char *const kinds[] = { "Inner", "Left", "Right", "Full" };
    static const char *const forms[] = { "stream-stream", "stream-table", "table-table", "foreign-key" };

    text_printf(x->out, "%s %s join by ", kinds[s->join.kind], forms[s->join.form]);
    print_key(x, &s->schema);
    if (s->join.form != JOIN_STREAM_STREAM) return;
    text_add_c(x->out, " within (");
    print_duration(x->out, s->join.before_ms);
    text_add_c(x->out, ", ");
    print_duration(x->out, s->join.after_ms);
    text_add_char(x->out, ')');
}

static void print_sort(explainer *x, const step *s, const schema *below)
{
    text_add_c(x->out, s->sort.key_count == 0 ? "Collect" : "Sort by ");
    for (uint32_t i = 0; i < s->sort.key_count; i++) {
        if (i > 0) text_add_c(x->out, ", ");
        bound_print(x->out, s->sort.keys[i].by, below);
        if (s->sort.keys[i].is_descending) text_add_c(x->out, " DESC");
    }
}

static void print_key_range(explainer *x, const step *s)
{
    const lookup *l = &s->snapshot.lookup;
    const schema_column *key = &s->schema.columns[0];

    text_add_c(x->out, "range scan, ");
    if (l->key_min != NULL) {
        literal_print(x->out, key->type, l->key_min);
        text_add_c(x->out, l->key_min_excluded ? " < " : " <= ");
    }
    print_quoted_name(x->out, key->name);
    if (l->key_max == NULL) return;
    text_add_c(x->out, l->key_max_excluded ? " < " : " <= ");
    literal_print(x->out, key->type, l->key_max);
}

static void print_lookup(explainer *x, const step *s)
{
    const lookup *l = &s->snapshot.lookup;

    text_printf(x->out, "Snapshot of %.*s, step %u: ", SLICE_ARG(s->snapshot.query), s->snapshot.step);
    if (l->key_values != NULL) {
        text_printf(x->out, "look-up of %u key%s", l->key_count, l->key_count == 1 ? "" : "s");
    } else if (l->key_min != NULL || l->key_max != NULL) {
        print_key_range(x, s);
    } else {
        text_add_c(x->out, "full scan");
    }
    if (l->window_start_min != INT64_MIN) text_printf(x->out, ", windows from %lld", (long long)l->window_start_min);
    if (l->window_start_max != INT64_MAX) text_printf(x->out, ", windows to %lld", (long long)l->window_start_max);
}

static void print_step(explainer *x, const step *s)
{
    const schema *below = s->input_count == 0 ? NULL : &x->p->steps[s->inputs[0]].schema;

    switch (s->kind) {
    case STEP_SOURCE: print_source(x, s); break;
    case STEP_FILTER:
        text_add_c(x->out, "Filter ");
        bound_print(x->out, s->filter.predicate, below);
        break;
    case STEP_PROJECT:
        text_add_c(x->out, "Project ");
        print_exprs(x, s, below);
        break;
    case STEP_FLAT_MAP:
        text_add_c(x->out, "Flat map ");
        print_exprs(x, s, below);
        break;
    case STEP_EXCHANGE:
        text_add_c(x->out, "Exchange by ");
        print_key(x, &s->schema);
        text_printf(x->out, " over %d partition%s", s->exchange.partitions, s->exchange.partitions == 1 ? "" : "s");
        if (s->exchange.key.name.data != NULL) text_printf(x->out, ", as keys in %.*s", SLICE_ARG(s->exchange.key.name));
        break;
    case STEP_AGGREGATE: print_aggregate(x, s); break;
    case STEP_TABLE:
        text_add_c(x->out, s->table.is_versioned ? "Latest by " : "Table by ");
        print_key(x, &s->schema);
        break;
    case STEP_SUBSCRIBE:
        text_add_c(x->out, "Subscribe to ");
        print_key(x, &s->schema);
        break;
    case STEP_JOIN: print_join(x, s); break;
    case STEP_FINAL: text_add_c(x->out, "Final: one row a window, once it is closed"); break;
    case STEP_LIMIT: text_printf(x->out, "Limit %llu", (unsigned long long)s->limit.rows); break;
    case STEP_SORT: print_sort(x, s, below); break;
    case STEP_SINK:
        text_printf(x->out, "Sink %.*s: topic %.*s (%d),", SLICE_ARG(s->sink.name), SLICE_ARG(s->sink.topic), s->sink.partitions);
        print_formats(x, &s->sink.key, &s->sink.value);
        text_add_char(x->out, ' ');
        print_schema(x, s);
        break;
    case STEP_RESULT:
        text_add_c(x->out, "Result ");
        print_schema(x, s);
        break;
    case STEP_SNAPSHOT: print_lookup(x, s); break;
    }
    if (s->layout.data != NULL && s->kind != STEP_EXCHANGE) text_printf(x->out, " [store %u]", s->id);
    if (s->wants_old) text_add_c(x->out, " +old");
    text_add_char(x->out, '\n');
}

/* A step and all below it, down to where its sub-topology begins. */
static void print_tree(explainer *x, uint32_t index, uint32_t depth)
{
    const step *s = &x->p->steps[index];

    indent(x, depth);
    print_step(x, s);
    if (x->note != NULL) {
        indent(x, depth);
        x->note(x->self, s, x->out);
    }
    for (uint32_t i = 0; i < s->input_count; i++) {
        const step *below = &x->p->steps[s->inputs[i]];
        if (below->kind == STEP_EXCHANGE) {
            indent(x, depth + 1);
            text_printf(x->out, "Rows of exchange %u\n", below->id);
        } else {
            print_tree(x, s->inputs[i], depth + 1);
        }
    }
}

/* The exchanges a row passes on its longest way to a step. */
static uint32_t exchanges_before(const plan *p, uint32_t index)
{
    const step *s = &p->steps[index];
    uint32_t most = 0;

    for (uint32_t i = 0; i < s->input_count; i++) {
        uint32_t on_the_way = exchanges_before(p, s->inputs[i]);
        if (on_the_way > most) most = on_the_way;
    }
    return most + (s->kind == STEP_EXCHANGE);
}

void plan_explain(text *out, const plan *p)
{
    plan_explain_noted(out, p, NULL, NULL);
}

void plan_explain_noted(text *out, const plan *p, void (*note)(void *self, const step *s, text *out), void *self)
{
    static const char *const modes[] = { "persistent", "push", "bounded", "snapshot" };
    explainer x = { out, p, note, self };
    uint32_t exchanges = exchanges_before(p, p->step_count - 1);

    text_printf(out, "%s query", modes[p->mode]);
    if (p->query_id.data != NULL) text_printf(out, " %.*s", SLICE_ARG(p->query_id));
    text_printf(out, ", %u sub-topolog%s", p->subtopology_count, p->subtopology_count == 1 ? "y" : "ies");
    if (exchanges > 0) text_printf(out, ", latency of %u epoch%s for exchange", exchanges, exchanges == 1 ? "" : "s");
    text_add_char(out, '\n');
    for (uint32_t i = 0; i < p->step_count; i++) {
        if (p->steps[i].kind != STEP_EXCHANGE && i != p->step_count - 1) continue;
        text_printf(out, "sub-topology %u\n", p->steps[i].subtopology);
        print_tree(&x, i, 1);
    }
}
