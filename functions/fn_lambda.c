/* functions/fn_lambda.c - TRANSFORM, FILTER, REDUCE: functions that apply a lambda to the elements of an array or map. */
#include "functions/family.h"
#include "functions/map_order.h"

#define FAMILY "lambda"

#define ROW(name) static bool name(const call *c, eval_context *x, const value *args, value *out)

/* False: the body failed, and with it the call. */
static bool apply(const lambda *l, eval_context *x, const value *params, value *out)
{
    bool was_inside = x->in_lambda, had_failed = x->lambda_failed;
    uint32_t row = x->row;

    x->in_lambda = true;
    x->lambda_failed = false;
    *out = NULL_VALUE;
    bool done = l->apply(l, x, params, out) && !x->lambda_failed;
    if (x->lambda_failed && !was_inside) eval_fail(x, row, "arithmetic on a null inside a lambda");
    x->in_lambda = was_inside;
    x->lambda_failed = had_failed || (was_inside && !done);
    x->row = row;
    return done;
}

ROW(transform_array)
{
    uint32_t count = args[0].list.count;
    value *items = ARENA_ARRAY(x->arena, value, count);

    for (uint32_t i = 0; i < count; i++) {
        if (!apply(c->lambdas[1], x, &args[0].list.items[i], &items[i])) return false;
    }
    *out = (value){ .list = { items, count } };
    return true;
}

ROW(transform_map)
{
    uint32_t count = args[0].map.count;
    value_map map = { ARENA_ARRAY(x->arena, value, count), ARENA_ARRAY(x->arena, value, count), 0 };

    for (uint32_t i = 0; i < count; i++) {
        value entry[2] = { args[0].map.keys[i], args[0].map.values[i] };
        value *key = &map.keys[i];
        if (!apply(c->lambdas[1], x, entry, key) || !apply(c->lambdas[2], x, entry, &map.values[i])) return false;
        for (uint32_t k = 0; k < i; k++) {
            if (value_equal(c->result->key, &map.keys[k], key)) return FAIL_ROW(x, "TRANSFORM makes one key of two");
        }
        map.count++;
    }
    *out = (value){ .map = map };
    return true;
}

ROW(filter_array)
{
    value *items = ARENA_ARRAY(x->arena, value, args[0].list.count);
    uint32_t count = 0;

    for (uint32_t i = 0; i < args[0].list.count; i++) {
        value keeps;
        if (!apply(c->lambdas[1], x, &args[0].list.items[i], &keeps)) return false;
        if (keeps.is_null) return FAIL_ROW(x, "a FILTER's lambda gave null");
        if (keeps.boolean) items[count++] = args[0].list.items[i];
    }
    *out = (value){ .list = { items, count } };
    return true;
}

ROW(filter_map)
{
    uint32_t count = args[0].map.count;
    value_map map = { ARENA_ARRAY(x->arena, value, count), ARENA_ARRAY(x->arena, value, count), 0 };

    for (uint32_t i = 0; i < count; i++) {
        value entry[2] = { args[0].map.keys[i], args[0].map.values[i] }, keeps;
        if (!apply(c->lambdas[1], x, entry, &keeps)) return false;
        if (keeps.is_null) return FAIL_ROW(x, "a FILTER's lambda gave null");
        if (!keeps.boolean) continue;
        map.keys[map.count] = entry[0];
        map.values[map.count++] = entry[1];
    }
    *out = (value){ .map = map };
    return true;
}

/* A null state gives null; a null collection gives the state. */
ROW(reduce_array)
{
    value state[2] = { args[1], NULL_VALUE };

    for (uint32_t i = 0; !state[0].is_null && !args[0].is_null && i < args[0].list.count; i++) {
        value next;
        state[1] = args[0].list.items[i];
        if (!apply(c->lambdas[2], x, state, &next)) return false;
        state[0] = next;
    }
    *out = state[0];
    return true;
}

ROW(reduce_map)
{
    value state[3] = { args[1], NULL_VALUE, NULL_VALUE };

    if (args[0].is_null) {
        *out = state[0];
        return true;
    }
    value_map map = map_ordered(x->arena, c->arg_types[0], &args[0].map);
    for (uint32_t i = 0; !state[0].is_null && i < map.count; i++) {
        value next;
        state[1] = map.keys[i];
        state[2] = map.values[i];
        if (!apply(c->lambdas[2], x, state, &next)) return false;
        state[0] = next;
    }
    *out = state[0];
    return true;
}

static const function ROWS[] = {
    SCALAR("TRANSFORM", "ARRAY<T>, LAMBDA(T) -> U", "ARRAY<U>", NULL_IN_OUT, transform_array,
           "A collection with each element, or each key and value, replaced by what a lambda makes of it.",
           .example = "TRANSFORM(ARRAY[1, 2], x => x + 1)"),
    SCALAR("TRANSFORM", "MAP<K, V>, LAMBDA(K, V) -> L, LAMBDA(K, V) -> W", "MAP<L, W>", NULL_IN_OUT, transform_map,
           "A collection with each element, or each key and value, replaced by what a lambda makes of it.",
           .example = "TRANSFORM(MAP('a' := 1), (k, v) => UCASE(k), (k, v) => v + 1)"),
    SCALAR("FILTER", "ARRAY<T>, LAMBDA(T) -> BOOLEAN", "ARRAY<T>", NULL_IN_OUT, filter_array,
           "The elements, or entries, for which a lambda is true.", .example = "FILTER(ARRAY[1, 2, 3], x => x > 1)"),
    SCALAR("FILTER", "MAP<K, V>, LAMBDA(K, V) -> BOOLEAN", "MAP<K, V>", NULL_IN_OUT, filter_map,
           "The elements, or entries, for which a lambda is true.",
           .example = "FILTER(MAP('a' := 1, 'b' := 2), (k, v) => v > 1)"),
    SCALAR("REDUCE", "ARRAY<T>, S, LAMBDA(S, T) -> S", "S", NULL_SEEN, reduce_array,
           "What a lambda makes of a state and each element in turn.",
           .example = "REDUCE(ARRAY[1, 2, 3], 0, (s, x) => s + x)"),
    SCALAR("REDUCE", "MAP<K, V>, S, LAMBDA(S, K, V) -> S", "S", NULL_SEEN, reduce_map,
           "What a lambda makes of a state and each entry in turn.",
           .example = "REDUCE(MAP('a' := 1, 'b' := 2), 0, (s, k, v) => s + v)"),
};
const function_family lambda_family = FAMILY_ROWS(ROWS);
