/* functions/agg_top.c - TOPK and TOPKDISTINCT: the k greatest values, the greatest first; TOPK with further columns gives
 * them along, as a struct. Equal values stand in the order they came. */
#include "functions/bag.h"

#include <stdio.h>

#define FAMILY "aggregate"
#define TOP_MAX 100000

/* k, in c->state. */
static weir_rc prepare_top(call *c, arena *a, weir_error *err)
{
    const value *k = call_constant(c, c->arg_count - 1);
    uint32_t *most = ARENA_NEW(a, uint32_t);

    if (k == NULL || k->is_null || k->i32 < 1 || k->i32 > TOP_MAX) {
        return weir_fail(err, WEIR_SEMANTIC, err->at, "%s: its last argument must be a literal from 1 to %d", c->fn->name,
                         TOP_MAX);
    }
    *most = (uint32_t)k->i32;
    c->state = most;
    return WEIR_OK;
}

/* What goes before the further columns in a record: the sort value's length. */
static slice sort_part(const call *c, slice bytes)
{
    if (c->arg_count == 2) return bytes;
    uint32_t length;
    memcpy(&length, bytes.data, 4);
    return (slice){ bytes.data + 4, length };
}

static slice record(const call *c, arena *a, const column *args, uint32_t r)
{
    slice sort = kept_bytes(a, &args[0], r);

    if (c->arg_count == 2) return sort;
    text packed = TEXT_EMPTY;
    uint32_t length = (uint32_t)sort.len;
    text_add(&packed, (slice){ (const char *)&length, 4 });
    text_add(&packed, sort);
    for (uint32_t i = 1; i + 1 < c->arg_count; i++) {
        value v = column_get(&args[i], r);
        value_encode(&packed, args[i].type, &v);
    }
    return text_keep(&packed, a);
}

/* The record goes before the first that is less; with too many, the last goes. */
static void top_add(const call *c, agg_context *x, bag *acc, slice bytes, bool distinct)
{
    const type *t = c->arg_types[0];
    arena *a = x->eval->arena;
    uint32_t most = *(const uint32_t *)c->state;
    value v = kept_borrow(a, t, sort_part(c, bytes));
    bag_item item = BAG_START, last = BAG_START;
    uint32_t at = acc->len;
    bool placed = false;

    while (bag_next(acc, &item)) {
        if (!placed) {
            value other = kept_borrow(a, t, sort_part(c, item.bytes));
            int order = value_compare(t, &v, &other);
            if (order == 0 && distinct) return;
            if (order > 0) {
                at = item.at;
                placed = true;
            }
        }
        last = item;
    }
    if (acc->count >= most) {
        if (!placed) return;
        bag_remove(acc, &last);
    }
    if (!bag_insert(x->slab, acc, at, 0, bytes)) agg_stop(x, acc, "what %s keeps for a key passes 256 MiB", c->fn->name);
}

static value show_record(const call *c, arena *a, slice bytes)
{
    if (c->arg_count == 2) return kept_value(a, c->arg_types[0], bytes);
    bytes = arena_copy(a, bytes);
    slice sort = sort_part(c, bytes);
    value *fields = ARENA_ARRAY(a, value, c->arg_count - 1);
    reader_bytes in = read_from((slice){ sort.data + sort.len, bytes.len - 4 - sort.len });
    fields[0] = kept_borrow(a, c->arg_types[0], sort);
    for (uint32_t i = 1; i + 1 < c->arg_count; i++) {
        if (!value_decode(&in, c->arg_types[i], a, &fields[i])) fields[i] = NULL_VALUE;
    }
    return (value){ .list = { fields, c->arg_count - 1 } };
}

static void top_show(const call *c, agg_context *x, const bag *acc, column *out, uint32_t r)
{
    arena *a = x->eval->arena;
    value *items = ARENA_ARRAY(a, value, acc->count);
    bag_item item = BAG_START;

    for (uint32_t i = 0; bag_next(acc, &item); i++) items[i] = show_record(c, a, item.bytes);
    out->null[r] = 0;
    out->nested[r] = (value){ .list = { items, acc->count } };
}

AGG_LOOP(top_step, bag, STOPPABLE(top_add(c, x, acc, record(c, x->eval->arena, args, r), false)), top_show(c, x, acc, out, r))
AGG_LOOP(top_distinct_step, bag, STOPPABLE(top_add(c, x, acc, record(c, x->eval->arena, args, r), true)),
         top_show(c, x, acc, out, r))
AGG_MERGE(top_merge, bag, for (bag_item item = BAG_START; bag_next(from, &item);) top_add(c, x, into, item.bytes, false))
AGG_MERGE(top_distinct_merge, bag,
          for (bag_item item = BAG_START; bag_next(from, &item);) top_add(c, x, into, item.bytes, true))
AGG_RESULT(top_result, bag, top_show(c, x, acc, out, r))

/* A record must hold at least what top_add reads of it. */
static bool top_decode(const call *c, slab *s, struct reader_bytes *in, void *acc)
{
    bag_item item = BAG_START;
    size_t fixed = type_is_nested(c->arg_types[0]) ? 0 : column_element_bytes(c->arg_types[0]);
    bool is_text = c->arg_types[0]->kind == TYPE_STRING || c->arg_types[0]->kind == TYPE_BYTES;
    bool fits = bag_agg_decode(c, s, in, acc);

    while (fits && bag_next(acc, &item)) {
        slice sort = item.bytes;
        if (c->arg_count > 2) {
            fits = item.bytes.data != NULL && item.bytes.len >= 4;
            if (fits) sort = sort_part(c, item.bytes);
            fits = fits && sort.len <= item.bytes.len - 4;
        }
        fits = fits && sort.data != NULL && (is_text || sort.len == fixed);
    }
    if (!fits) bag_drop(s, acc);
    return fits;
}

#define TOP(name)                                                                                                 \
    static const aggregate name = { .bytes = sizeof(bag), .step = name##_step, .merge = name##_merge,             \
                                    .result = top_result, .encode = bag_agg_encode, .decode = top_decode,         \
                                    .drop = bag_agg_drop, .tail_bytes = bag_agg_tail_bytes };
TOP(top)
TOP(top_distinct)

static bool has_order(const type *t, const char *name, weir_error *err)
{
    if (!type_is_nested(t) && t->kind != TYPE_NULL) return true;
    weir_fail(err, WEIR_SEMANTIC, err->at, "%s needs values that have an order", name);
    return false;
}

static const type *topk_type(arena *a, const type *const *args, uint32_t count, weir_error *err)
{
    type_field *fields = ARENA_ARRAY(a, type_field, count);

    if (!has_order(args[0], "TOPK", err)) return NULL;
    if (count == 2) return type_array(a, args[0]);
    fields[0] = (type_field){ SLICE("sort_col"), args[0] };
    for (uint32_t i = 1; i + 1 < count; i++) fields[i] = (type_field){ arena_printf(a, "col%u", i - 1), args[i] };
    return type_array(a, type_struct(a, fields, count - 1));
}

static const type *topkdistinct_type(arena *a, const type *const *args, uint32_t count, weir_error *err)
{
    (void)count;
    return has_order(args[0], "TOPKDISTINCT", err) ? type_array(a, args[0]) : NULL;
}

static const function ROWS[] = {
    AGGREGATE("TOPK", "ANY, ANY..., INTEGER", NULL, NULL_SKIP, top,
              "The k greatest values, the greatest first; with further columns, structs of them.", .prepare = prepare_top,
              .resolve = topk_type,
              .shown_result = "ARRAY<ANY>", .example = "TOPK(price, 3)", .has_nested_state = true),
    AGGREGATE("TOPKDISTINCT", "ANY, INTEGER", NULL, NULL_SKIP, top_distinct,
              "The k greatest distinct values, the greatest first.", .prepare = prepare_top, .resolve = topkdistinct_type, .shown_result = "ARRAY<ANY>",
              .example = "TOPKDISTINCT(price, 3)", .has_nested_state = true),
};
const function_family top_family = FAMILY_ROWS(ROWS);
