/* planner/derived.c - a query in FROM: its rows are those it would answer alone, and stand for a source without a key. */
#include "planner/build.h"

weir_rc plan_derived(builder *b, const relation *from, rel *out)
{
    const select_query *q = from->query;
    slice alias = identifier_present(&from->alias) ? from->alias.name : NO_SLICE;
    select_list list;
    rel r;

    if (b->use != USE_BOUNDED && b->use != USE_SNAPSHOT) {
        return fail_unsupported(b->err, from->at, "a query in FROM of one that goes on for ever",
                                "CREATE STREAM or CREATE TABLE ... AS makes its result something to read from");
    }
    if (q->emit != EMIT_NONE) {
        return weir_fail(b->err, WEIR_SEMANTIC, q->emit_at, "a query in FROM answers as of now: it has no EMIT");
    }
    WEIR_TRY(plan_body(b, q, &r, &list));
    WEIR_TRY(check_value_names(b, &list));
    schema_column *columns = ARENA_ZEROS(b->arena, schema_column, list.count);
    bound **exprs = ARENA_ZEROS(b->arena, bound *, list.count);
    for (uint32_t i = 0; i < list.count; i++) {
        columns[i] = (schema_column){ .name = list.items[i].name, .type = list.items[i].bound->type };
        exprs[i] = list.items[i].bound;
    }
    step *s = add_step(b, STEP_PROJECT, r.step);
    s->schema = (schema){ columns, 0, list.count };
    s->project.exprs = exprs;
    s->project.rekeys = true;
    s->windowed = WINDOW_NONE;
    s->window_size_ms = 0;
    *out = (rel){ .step = last_step(b), .scope = scope_of(b->arena, &b->steps[last_step(b)].schema, alias, false) };
    return WEIR_OK;
}
