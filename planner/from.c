/* planner/from.c - FROM and WHERE: the source that is read, and the predicate directly above it. */
#include "planner/build.h"

weir_rc fail_unsupported(weir_error *err, sql_pos at, const char *construct, const char *instead)
{
    return weir_fail(err, WEIR_UNSUPPORTED, at, "%s is not supported yet; %s", construct, instead);
}

weir_rc find_source(builder *b, const identifier *name, const source **out)
{
    *out = catalog_source(b->env->catalog, name->name);
    if (*out != NULL) return WEIR_OK;
    return catalog_fail_source(b->env->catalog, "stream or table", name->name, name->at, b->err);
}

weir_rc plan_source(builder *b, const source *from, slice alias, bool materialised, rel *out)
{
    step *s = add_step(b, STEP_SOURCE, UINT32_MAX);

    s->schema = schema_copy(b->arena, &from->schema);
    s->is_table = from->is_table;
    s->windowed = from->windowed;
    s->window_size_ms = from->window_size_ms;
    s->source.name = arena_copy(b->arena, from->name);
    s->source.topic = arena_copy(b->arena, from->topic);
    s->source.key = from->key;
    s->source.value = from->value;
    s->source.key.name = arena_copy(b->arena, from->key.name);
    s->source.value.name = arena_copy(b->arena, from->value.name);
    s->source.key.delimiter = arena_copy(b->arena, from->key.delimiter);
    s->source.value.delimiter = arena_copy(b->arena, from->value.delimiter);
    if (from->schema.key_count == 0) s->source.key.name = SLICE("NONE");
    s->source.timestamp_column = from->timestamp_column;
    s->source.timestamp_format = arena_copy(b->arena, from->timestamp_format);
    if (b->leftmost == NULL) b->leftmost = from;
    if (from->is_table && materialised) add_step(b, STEP_TABLE, last_step(b));
    const step *top = &b->steps[last_step(b)];
    *out = (rel){ .step = last_step(b), .scope = scope_of(b->arena, &top->schema, alias, top->windowed != WINDOW_NONE) };
    return WEIR_OK;
}

weir_rc plan_from(builder *b, const select_query *q, rel *out)
{
    const relation *from = q->from;
    const source *named;

    if (from->kind == RELATION_QUERY) return plan_derived(b, from, out);
    if (from->kind == RELATION_JOIN) return plan_joins(b, q, out);
    WEIR_TRY(find_source(b, &from->source, &named));
    slice alias = identifier_present(&from->alias) ? from->alias.name : named->name;
    return plan_source(b, named, alias, true, out);
}

weir_rc plan_where(builder *b, const expr *where, rel *r)
{
    bound *predicate;

    if (where == NULL) return WEIR_OK;
    binder over = binder_over(b, &r->scope, "WHERE");
    WEIR_TRY(bind_condition(&over, where, &predicate));
    want_old(b, r->step);
    step *s = add_step(b, STEP_FILTER, r->step);
    s->filter.predicate = predicate;
    r->step = last_step(b);
    return WEIR_OK;
}
