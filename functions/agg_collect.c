/* functions/agg_collect.c - COLLECT_LIST, COLLECT_SET, HISTOGRAM, ATTR: what keeps all it has seen. */
#include "functions/bag.h"

#define FAMILY "aggregate"
#define HISTOGRAM_VALUES_MAX 1000

#define TOO_BIG(x, c, acc) agg_stop(x, acc, "what %s keeps for a key passes 256 MiB", (c)->fn->name)

/* As AGG_LOOP, but null values are worked on too. */
#define BAG_LOOP(name, kept, each, show)                                                                         \
    static void name(const call *c, agg_context *x, char *const *groups, uint32_t offset, const column *args,    \
                     row_set rows, column *running)                                                              \
    {                                                                                                            \
        EACH_ROW(r, rows)                                                                                        \
        {                                                                                                        \
            bag *acc = (bag *)(groups[r] + offset);                                                              \
            STOPPABLE(each(c, x, acc, kept(x->eval->arena, &args[0], r)));                                       \
            if (running != NULL) show(c, x, acc, running, r);                                                    \
        }                                                                                                        \
    }

/* ---- lists and sets ---- */

static weir_rc prepare_limit(call *c, arena *a, weir_error *err)
{
    const value *limit = call_constant(c, 1);

    if (limit == NULL || limit->is_null || limit->i32 < 0) {
        return weir_fail(err, WEIR_SEMANTIC, err->at, "%s: its limit must be a literal, 0 or more", c->fn->name);
    }
    c->state = ARENA_NEW(a, uint32_t);
    *(uint32_t *)c->state = (uint32_t)limit->i32;
    return WEIR_OK;
}

static void list_show(const call *c, agg_context *x, const bag *acc, column *out, uint32_t r)
{
    out->null[r] = 0;
    out->nested[r] = bag_list(x->eval->arena, c->result->element, acc);
}

/* At most as many as the limit says, the first ones. */
static void list_add(const call *c, agg_context *x, bag *acc, slice bytes)
{
    if (c->state != NULL && acc->count >= *(const uint32_t *)c->state) return;
    if (!bag_insert(x->slab, acc, acc->len, 0, bytes)) TOO_BIG(x, c, acc);
}

/* The last of the equal ones goes. */
static void list_take(const call *c, agg_context *x, bag *acc, slice bytes)
{
    bag_item item = BAG_START, last = BAG_START;
    bool found = false;

    (void)c, (void)x;
    while (bag_next(acc, &item)) {
        bool is_equal = (item.bytes.data == NULL) == (bytes.data == NULL) &&
                        (bytes.data == NULL || slice_equal(item.bytes, bytes));
        if (is_equal) last = item;
        found |= is_equal;
    }
    if (found) bag_remove(acc, &last);
}

static void set_add(const call *c, agg_context *x, bag *acc, slice bytes)
{
    bag_item item;

    if (!bag_find(x->slab, acc, bytes, &item)) list_add(c, x, acc, bytes);
}

BAG_LOOP(list_step, kept_bytes, list_add, list_show)
BAG_LOOP(list_undo, kept_bytes, list_take, list_show)
BAG_LOOP(set_step, kept_equal_bytes, set_add, list_show)
AGG_RESULT(list_result, bag, list_show(c, x, acc, out, r))
AGG_MERGE(list_merge, bag, for (bag_item item = BAG_START; bag_next(from, &item);) list_add(c, x, into, item.bytes))
AGG_MERGE(set_merge, bag, for (bag_item item = BAG_START; bag_next(from, &item);) set_add(c, x, into, item.bytes))

static const aggregate collect_list = { BAG_AGGREGATE, .step = list_step, .undo = list_undo, .merge = list_merge,
                                        .result = list_result };
static const aggregate collect_set = { BAG_AGGREGATE, .step = set_step, .merge = set_merge, .result = list_result };

/* ---- counted values ---- */

/* More or fewer of a value; none left: it goes. False: there is no room for another. */
static bool count_change(slab *s, bag *acc, slice bytes, int64_t by, uint32_t most)
{
    bag_item item;

    if (bag_find(s, acc, bytes, &item)) {
        int64_t count;
        if (__builtin_add_overflow((int64_t)item.number, by, &count)) count = INT64_MAX; /* damaged state */
        if (count > 0) bag_set_number(acc, &item, (uint64_t)count);
        else bag_remove(acc, &item);
        return true;
    }
    if (by <= 0 || acc->count >= most) return true;
    return bag_insert(s, acc, acc->len, (uint64_t)by, bytes);
}

static void histogram_add(const call *c, agg_context *x, bag *acc, slice bytes)
{
    if (bytes.data != NULL && !count_change(x->slab, acc, bytes, 1, HISTOGRAM_VALUES_MAX)) TOO_BIG(x, c, acc);
}

static void histogram_take(const call *c, agg_context *x, bag *acc, slice bytes)
{
    (void)c;
    if (bytes.data != NULL) count_change(x->slab, acc, bytes, -1, HISTOGRAM_VALUES_MAX);
}

static void histogram_show(const call *c, agg_context *x, const bag *acc, column *out, uint32_t r)
{
    arena *a = x->eval->arena;
    value_map map = { ARENA_ARRAY(a, value, acc->count), ARENA_ARRAY(a, value, acc->count), 0 };

    for (bag_item item = BAG_START; bag_next(acc, &item); map.count++) {
        map.keys[map.count] = kept_value(a, c->arg_types[0], item.bytes);
        map.values[map.count] = (value){ .i64 = (int64_t)item.number };
    }
    out->null[r] = 0;
    out->nested[r] = (value){ .map = map };
}

BAG_LOOP(histogram_step, kept_bytes, histogram_add, histogram_show)
BAG_LOOP(histogram_undo, kept_bytes, histogram_take, histogram_show)
AGG_RESULT(histogram_result, bag, histogram_show(c, x, acc, out, r))
AGG_MERGE(histogram_merge, bag, for (bag_item item = BAG_START; bag_next(from, &item);) {
    if (!count_change(x->slab, into, item.bytes, (int64_t)item.number, HISTOGRAM_VALUES_MAX)) TOO_BIG(x, c, into);
})
static const aggregate histogram = { BAG_AGGREGATE, .step = histogram_step, .undo = histogram_undo,
                                     .merge = histogram_merge, .result = histogram_result };

static void attr_add(const call *c, agg_context *x, bag *acc, slice bytes)
{
    if (!count_change(x->slab, acc, bytes, 1, UINT32_MAX)) TOO_BIG(x, c, acc);
}

static void attr_take(const call *c, agg_context *x, bag *acc, slice bytes)
{
    (void)c;
    count_change(x->slab, acc, bytes, -1, UINT32_MAX);
}

static void attr_show(const call *c, agg_context *x, const bag *acc, column *out, uint32_t r)
{
    bag_item item = BAG_START;
    value v = NULL_VALUE;

    if (acc->count == 1 && bag_next(acc, &item)) v = kept_value(x->eval->arena, c->arg_types[0], item.bytes);
    column_set(out, r, &v);
}

BAG_LOOP(attr_step, kept_equal_bytes, attr_add, attr_show)
BAG_LOOP(attr_undo, kept_equal_bytes, attr_take, attr_show)
AGG_RESULT(attr_result, bag, attr_show(c, x, acc, out, r))
AGG_MERGE(attr_merge, bag, for (bag_item item = BAG_START; bag_next(from, &item);) {
    if (!count_change(x->slab, into, item.bytes, (int64_t)item.number, UINT32_MAX)) TOO_BIG(x, c, into);
})
static const aggregate attr = { BAG_AGGREGATE, .step = attr_step, .undo = attr_undo, .merge = attr_merge,
                                .result = attr_result };

static const function ROWS[] = {
    AGGREGATE("COLLECT_LIST", "T", "ARRAY<T>", NULL_SEEN, collect_list, "All values, nulls too, in the order they came.",
              .example = "COLLECT_LIST(url)"),
    AGGREGATE("COLLECT_LIST", "T, INTEGER", "ARRAY<T>", NULL_SEEN, collect_list, "The first values, so many at most.",
              .prepare = prepare_limit, .example = "COLLECT_LIST(url, 10)"),
    AGGREGATE("COLLECT_SET", "T", "ARRAY<T>", NULL_SEEN, collect_set, "The distinct values, in the order they first came.",
              .example = "COLLECT_SET(url)"),
    AGGREGATE("COLLECT_SET", "T, INTEGER", "ARRAY<T>", NULL_SEEN, collect_set,
              "The first distinct values, so many at most.", .prepare = prepare_limit, .example = "COLLECT_SET(url, 10)"),
    AGGREGATE("HISTOGRAM", "STRING", "MAP<STRING, BIGINT>", NULL_SKIP, histogram,
              "How often each value came, for the first 1000 distinct ones.", .example = "HISTOGRAM(country)"),
    AGGREGATE("ATTR", "T", "T", NULL_SEEN, attr, "The value where all rows have the same, else null.",
              .example = "ATTR(site)", .has_nested_state = true),
};
const function_family collect_family = FAMILY_ROWS(ROWS);
