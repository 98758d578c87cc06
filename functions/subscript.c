/* functions/subscript.c - array[i], map[key], and the constructors ARRAY[...] and MAP(k := v, ...). */
#include "functions/family.h"

/* The first element is 1, the last -1; out of range is null, no failure. */
#define ARRAY_AT(name, field)                                                                           \
    static void name(const call *c, eval_context *x, const column *args, row_set rows, column *out)     \
    {                                                                                                   \
        (void)c, (void)x;                                                                               \
        EACH_ROW(r, rows)                                                                               \
        {                                                                                               \
            const value_list *list = &args[0].nested[r].list;                                           \
            int64_t index = args[1].field[r];                                                           \
            int64_t at = index > 0 ? index - 1 : index < -(int64_t)list->count ? -1 : list->count + index; \
            if (index == 0 || at < 0 || at >= (int64_t)list->count) out->null[r] = 1;                   \
            else column_set(out, r, &list->items[at]);                                                  \
        }                                                                                               \
    }

ARRAY_AT(array_at_i32, i32)
ARRAY_AT(array_at_i64, i64)

static void map_at(const call *c, eval_context *x, const column *args, row_set rows, column *out)
{
    (void)x;
    EACH_ROW(r, rows)
    {
        const value_map *map = &args[0].nested[r].map;
        value key = column_get(&args[1], r);
        uint32_t at = 0;
        while (at < map->count && !value_equal(c->arg_types[1], &map->keys[at], &key)) at++;
        if (at == map->count) out->null[r] = 1;
        else column_set(out, r, &map->values[at]);
    }
}

static void make_array(const call *c, eval_context *x, const column *args, row_set rows, column *out)
{
    EACH_ROW(r, rows)
    {
        value *items = ARENA_ARRAY(x->arena, value, c->arg_count);
        for (uint32_t i = 0; i < c->arg_count; i++) items[i] = column_get(&args[i], r);
        out->nested[r] = (value){ .list = { items, c->arg_count } };
    }
}

/* A later value of the same key replaces the earlier one. */
static void make_map(const call *c, eval_context *x, const column *args, row_set rows, column *out)
{
    uint32_t pairs = c->arg_count / 2;

    EACH_ROW(r, rows)
    {
        value_map map = { ARENA_ARRAY(x->arena, value, pairs), ARENA_ARRAY(x->arena, value, pairs), 0 };
        for (uint32_t i = 0; i < pairs; i++) {
            value key = column_get(&args[2 * i], r);
            uint32_t at = 0;
            while (at < map.count && !value_equal(c->result->key, &map.keys[at], &key)) at++;
            map.keys[at] = key;
            map.values[at] = column_get(&args[2 * i + 1], r);
            if (at == map.count) map.count++;
        }
        out->nested[r] = (value){ .map = map };
    }
}

static const function ROWS[] = {
    OPERATOR("[]", "ARRAY<T>, INTEGER", "T", NULL_IN_OUT, array_at_i32),
    OPERATOR("[]", "ARRAY<T>, BIGINT", "T", NULL_IN_OUT, array_at_i64),
    OPERATOR("[]", "MAP<K, V>, K", "V", NULL_IN_OUT, map_at),
    OPERATOR("ARRAY", "T...", "ARRAY<T>", NULL_SEEN, make_array),
    OPERATOR("MAP", "(K, V)...", "MAP<K, V>", NULL_SEEN, make_map),
};
const function_family subscript_family = FAMILY_ROWS(ROWS);
