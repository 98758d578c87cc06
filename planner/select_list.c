/* planner/select_list.c - the SELECT list: stars become columns, and every entry gets its name. */
#include "planner/build.h"

#include "core/nearest.h"

#include <stdio.h>

/* ---- growing the list ---- */

typedef struct list_maker {
    builder *b;
    const rel *r;
    select_list list;
    uint32_t room;
    uint32_t next_generated;
    bool is_partitioned;
} list_maker;

static void add_entry(list_maker *m, const expr *e, slice name, sql_pos at, bool is_star)
{
    if (m->list.count == m->room) {
        uint32_t room = m->room == 0 ? 16 : m->room * 2;
        select_entry *more = ARENA_ZEROS(m->b->arena, select_entry, room);
        if (m->list.count > 0) memcpy(more, m->list.items, sizeof *more * m->list.count);
        m->list.items = more;
        m->room = room;
    }
    m->list.items[m->list.count++] = (select_entry){ .e = e, .name = name, .at = at, .is_star = is_star };
}

static expr *column_expr(builder *b, slice from, slice name, sql_pos at)
{
    expr *e = ARENA_NEW(b->arena, expr);

    *e = (expr){ .kind = EXPR_COLUMN, .height = 1, .at = at };
    e->column.source = (identifier){ from, true, at };
    e->column.name = (identifier){ name, true, at };
    return e;
}

/* ---- names ---- */

static bool scope_has(const scope *s, slice name)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (slice_equal(s->columns[i].name, name)) return true;
    }
    return false;
}

slice generated_name(builder *b, const scope *s, uint32_t *next)
{
    for (;;) {
        slice name = arena_printf(b->arena, "KSQL_COL_%u", (*next)++);
        if (!scope_has(s, name)) return name;
    }
}

static bool list_has(const select_list *l, slice name)
{
    for (uint32_t i = 0; i < l->count; i++) {
        if (slice_equal(l->items[i].name, name)) return true;
    }
    return false;
}

/* a->b is B, or B_1, B_2 ... where that is taken. */
static slice field_name(list_maker *m, slice field)
{
    slice name = field;

    for (uint32_t n = 1; scope_has(&m->r->scope, name) || list_has(&m->list, name); n++) {
        name = arena_printf(m->b->arena, "%.*s_%u", SLICE_ARG(field), n);
    }
    return name;
}

/* Of a join: does more than one source have a column so named? */
static bool is_clashing(const scope *s, slice name)
{
    uint32_t found = 0;

    for (uint32_t i = 0; i < s->count; i++) found += slice_equal(s->columns[i].name, name);
    return found > 1;
}

static slice joined_name(builder *b, slice from, slice name)
{
    return arena_printf(b->arena, "%.*s_%.*s", SLICE_ARG(from), SLICE_ARG(name));
}

/* The source of a column reference, given or found; absent: not known. */
static slice source_of(const scope *s, const expr *e)
{
    if (identifier_present(&e->column.source)) return e->column.source.name;
    for (uint32_t i = 0; i < s->count; i++) {
        if (slice_equal(s->columns[i].name, e->column.name.name)) return s->columns[i].source;
    }
    return NO_SLICE;
}

static weir_rc check_alias(builder *b, const select_item *item)
{
    if (b->use != USE_PERSISTENT || !is_reserved_name(item->alias.name)) return WEIR_OK;
    return weir_fail(b->err, WEIR_SEMANTIC, item->alias.at, "%.*s is a reserved name; choose another alias",
                     SLICE_ARG(item->alias.name));
}

static weir_rc name_of_item(list_maker *m, const select_item *item, slice *name)
{
    const expr *e = item->value;
    const scope *s = &m->r->scope;

    if (identifier_present(&item->alias)) {
        WEIR_TRY(check_alias(m->b, item));
        *name = item->alias.name;
    } else if (e->kind == EXPR_COLUMN) {
        *name = e->column.name.name;
        if (m->b->use == USE_PERSISTENT && is_reserved_name(*name) && !scope_has(s, *name)) {
            return weir_fail(m->b->err, WEIR_SEMANTIC, item->at,
                             "%.*s is a reserved name; give it an alias, as in %.*s AS ...", SLICE_ARG(*name),
                             SLICE_ARG(*name));
        }
        slice from = source_of(s, e);
        if (m->r->is_join && is_clashing(s, *name) && from.data != NULL) *name = joined_name(m->b, from, *name);
    } else if (e->kind == EXPR_FIELD) {
        *name = field_name(m, e->field.name.name);
    } else {
        generated_column *made = ARENA_NEW(m->b->arena, generated_column);
        *name = generated_name(m->b, s, &m->next_generated);
        *made = (generated_column){ m->b->generated, *name, e };
        m->b->generated = made;
    }
    return WEIR_OK;
}

/* ---- stars ---- */

static void add_scope_column(list_maker *m, const scope_column *c, sql_pos at)
{
    slice from = c->source.data == NULL ? NO_SLICE : c->source;
    slice name = m->r->is_join && from.data != NULL ? joined_name(m->b, from, c->name) : c->name;

    add_entry(m, column_expr(m->b, from, c->name, at), name, at, true);
}

/* Queries whose rows a person sees show the window's bounds behind the key. */
static void add_window_bounds(list_maker *m, sql_pos at)
{
    static const char *const names[] = { "WINDOWSTART", "WINDOWEND" };

    if (m->b->use == USE_PERSISTENT || !m->r->scope.is_windowed || m->r->is_join) return;
    for (size_t i = 0; i < 2; i++) {
        add_entry(m, column_expr(m->b, NO_SLICE, slice_of(names[i]), at), slice_of(names[i]), at, true);
    }
}

static void add_columns(list_maker *m, slice from, uint32_t first, uint32_t end, sql_pos at)
{
    for (uint32_t i = first; i < end; i++) {
        const scope_column *c = &m->r->scope.columns[i];
        if (c->is_hidden || (from.data != NULL && !slice_equal(c->source, from))) continue;
        add_scope_column(m, c, at);
    }
}

/* SELECT * of a join with PARTITION BY: of each source the values, the records' pseudo columns, then the former key. */
static void add_partitioned_star(list_maker *m, sql_pos at)
{
    const scope *s = &m->r->scope;

    for (uint32_t i = 0; i < s->source_count; i++) {
        for (uint32_t pass = 0; pass < 3; pass++) {
            for (uint32_t k = 0; k < s->count; k++) {
                const scope_column *c = &s->columns[k];
                uint32_t wanted = c->is_key ? 2 : is_reserved_name(c->name) ? 1 : 0;
                if (wanted == pass && c->column != UINT32_MAX && slice_equal(c->source, s->sources[i])) add_scope_column(m, c, at);
            }
        }
    }
}

/* from: absent for all sources. After PARTITION BY, the columns of the former key come last. */
static void add_star(list_maker *m, slice from, sql_pos at)
{
    uint32_t count = m->r->scope.count;
    uint32_t keys = m->r->is_join ? 0 : m->b->steps[m->r->step].schema.key_count;

    if (m->is_partitioned && m->r->is_join && from.data == NULL) {
        add_partitioned_star(m, at);
        return;
    }
    if (m->is_partitioned) {
        add_columns(m, from, keys, count, at);
        add_columns(m, from, 0, keys, at);
        return;
    }
    add_columns(m, from, 0, keys, at);
    add_window_bounds(m, at);
    add_columns(m, from, keys, count, at);
}

static weir_rc add_source_star(list_maker *m, const select_item *item)
{
    const scope *s = &m->r->scope;
    nearest n = nearest_to(item->source.name);

    for (uint32_t i = 0; i < s->source_count; i++) {
        nearest_offer(&n, s->sources[i]);
        if (!slice_equal(s->sources[i], item->source.name)) continue;
        add_star(m, item->source.name, item->at);
        return WEIR_OK;
    }
    return weir_fail(m->b->err, WEIR_SEMANTIC, item->source.at, "%.*s is no stream, table or alias of this query%s",
                     SLICE_ARG(item->source.name), nearest_or_all(&n));
}

static weir_rc add_struct_star(list_maker *m, const select_item *item)
{
    binder over = binder_over(m->b, &m->r->scope, "SELECT");
    bound *base;

    WEIR_TRY(bind_expr(&over, item->value, &base));
    if (base->type->kind != TYPE_STRUCT) {
        slice found = type_text(m->b->arena, base->type);
        return weir_fail(m->b->err, WEIR_SEMANTIC, item->at, "->* lists the fields of a STRUCT, this is %.*s",
                         SLICE_ARG(found));
    }
    for (uint32_t i = 0; i < base->type->field_count; i++) {
        expr *e = ARENA_NEW(m->b->arena, expr);
        *e = (expr){ .kind = EXPR_FIELD, .height = item->value->height + 1, .at = item->at };
        e->field.base = item->value;
        e->field.name = (identifier){ base->type->fields[i].name, true, item->at };
        add_entry(m, e, field_name(m, base->type->fields[i].name), item->at, true);
    }
    return WEIR_OK;
}

weir_rc expand_select(builder *b, const select_query *q, const rel *r, select_list *out)
{
    list_maker m = { .b = b, .r = r, .is_partitioned = q->has_partition_by };

    for (uint32_t i = 0; i < q->item_count; i++) {
        const select_item *item = &q->items[i];
        slice name;
        switch (item->kind) {
        case SELECT_ALL: add_star(&m, NO_SLICE, item->at); break;
        case SELECT_SOURCE_ALL: WEIR_TRY(add_source_star(&m, item)); break;
        case SELECT_STRUCT_ALL: WEIR_TRY(add_struct_star(&m, item)); break;
        case SELECT_EXPR:
            WEIR_TRY(name_of_item(&m, item, &name));
            add_entry(&m, item->value, name, item->at, false);
            break;
        }
    }
    *out = m.list;
    return WEIR_OK;
}

bool is_known_type(const type *t)
{
    switch (t->kind) {
    case TYPE_NULL:
    case TYPE_LAMBDA:
    case TYPE_INTERVAL_UNIT: return false;
    case TYPE_ARRAY: return is_known_type(t->element);
    case TYPE_MAP: return is_known_type(t->key) && is_known_type(t->element);
    case TYPE_STRUCT:
        for (uint32_t i = 0; i < t->field_count; i++) {
            if (!is_known_type(t->fields[i].type)) return false;
        }
        return true;
    default: return true;
    }
}

weir_rc check_entry_type(builder *b, const select_entry *entry)
{
    if (is_known_type(entry->bound->type)) return WEIR_OK;
    return weir_fail(b->err, WEIR_SEMANTIC, entry->at, "the type of %.*s is not known; write CAST(NULL AS ...)",
                     SLICE_ARG(entry->name));
}

weir_rc check_value_names(builder *b, const select_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const select_entry *entry = &list->items[i];
        for (uint32_t k = 0; k < i; k++) {
            if (!slice_equal(list->items[k].name, entry->name)) continue;
            return weir_fail(b->err, WEIR_SEMANTIC, entry->at,
                             "two columns of the result are named %.*s; give one of them another alias",
                             SLICE_ARG(entry->name));
        }
        WEIR_TRY(check_entry_type(b, entry));
    }
    return WEIR_OK;
}
