/* executor/feed_plan.c - which push queries a feed can serve, and the plan of the view they read through. */
#include "executor/feed_parts.h"

#include "planner/bound.h"

const step *feed_step_of(const plan *p)
{
    const step *source = NULL, *reader = NULL;

    if (p->mode != PLAN_PUSH || !p->latest) return NULL;
    for (uint32_t i = 0; i < p->step_count; i++) {
        const step *s = &p->steps[i];
        if (s->kind == STEP_SNAPSHOT || (s->kind == STEP_SOURCE && source != NULL)) return NULL;
        if (s->kind == STEP_SOURCE) source = s;
        for (uint32_t k = 0; k < s->input_count; k++) {
            if (p->steps[s->inputs[k]].kind != STEP_SOURCE) continue;
            if (reader != NULL) return NULL;
            reader = s;
        }
    }
    if (source == NULL || reader == NULL) return NULL;
    return reader->kind == STEP_TABLE && !reader->table.is_versioned ? reader : source;
}

/* With a table's rows goes where each came from: of a former row a cursor must know whether it was there before it joined. */
static void add_project(plan *p, arena *a, const step *source)
{
    step *s = &p->steps[p->step_count++];
    uint32_t count = source->schema.count;
    schema_column *columns = ARENA_ZEROS(a, schema_column, count + 2);
    bound **exprs = ARENA_ARRAY(a, bound *, count + 2);

    memcpy(columns, source->schema.columns, sizeof *columns * count);
    for (uint32_t i = 0; i < count; i++) exprs[i] = bound_column(a, i, columns[i].type, NOWHERE);
    columns[count] = (schema_column){ .name = SLICE("ROWPARTITION"), .type = &type_integer };
    columns[count + 1] = (schema_column){ .name = SLICE("ROWOFFSET"), .type = &type_bigint };
    exprs[count] = bound_new(a, BOUND_ROWPARTITION, &type_integer, NOWHERE, 0);
    exprs[count + 1] = bound_new(a, BOUND_ROWOFFSET, &type_bigint, NOWHERE, 0);
    *s = *source;
    s->kind = STEP_PROJECT;
    s->id = 2;
    s->input_count = 1;
    s->inputs[0] = 0;
    s->schema = (schema){ columns, source->schema.key_count, count + 2 };
    s->project.exprs = exprs;
    s->project.rekeys = false;
    s->project.kept = NULL;
}

static void add_on_top(plan *p, step_kind kind)
{
    step *s = &p->steps[p->step_count++];
    const step *below = s - 1;

    *s = *below;
    s->kind = kind;
    s->id = p->step_count;
    s->input_count = 1;
    s->inputs[0] = p->step_count - 2;
    if (kind == STEP_TABLE) s->table.is_versioned = false;
}

slice feed_view_text(const plan *of, arena *a)
{
    const step *top = feed_step_of(of);
    const step *source = top->kind == STEP_TABLE ? &of->steps[top->inputs[0]] : top;
    plan p = { .mode = PLAN_PUSH, .latest = true, .stops_at = of->stops_at, .subtopology_count = 1,
               .steps = ARENA_ZEROS(a, step, 4) };
    text printed = TEXT_EMPTY;

    p.steps[p.step_count++] = *source;
    p.steps[0].id = 1;
    p.steps[0].subtopology = 0;
    if (top->kind == STEP_TABLE && top->wants_old) {
        add_project(&p, a, &p.steps[0]);
        add_on_top(&p, STEP_TABLE);
        p.steps[2].wants_old = true;
        p.steps[2].layout = top->layout;
    }
    add_on_top(&p, STEP_RESULT);
    plan_print(&printed, &p);
    return text_keep(&printed, a);
}
