/* functions/fn_map.c - maps. */
#include "functions/family.h"
#include "functions/map_order.h"

#define FAMILY "map"

#define ROW(name) static bool name(const call *c, eval_context *x, const value *args, value *out)

/* The entry with that key; count if there is none. */
static uint32_t find_key(const type *t, const value_map *map, const value *key)
{
    uint32_t at = 0;

    while (at < map->count && !value_equal(t->key, &map->keys[at], key)) at++;
    return at;
}

static void put(const type *t, value_map *map, const value *key, const value *v)
{
    uint32_t at = find_key(t, map, key);

    map->keys[at] = *key;
    map->values[at] = *v;
    if (at == map->count) map->count++;
}

static value_map room_for(arena *a, uint32_t entries)
{
    return (value_map){ ARENA_ARRAY(a, value, entries), ARENA_ARRAY(a, value, entries), 0 };
}

ROW(map_keys)
{
    value_map map = map_ordered(x->arena, c->arg_types[0], &args[0].map);

    *out = (value){ .list = { map.keys, map.count } };
    return true;
}

ROW(map_values)
{
    value_map map = map_ordered(x->arena, c->arg_types[0], &args[0].map);

    *out = (value){ .list = { map.values, map.count } };
    return true;
}

/* The second map's values win; one null argument leaves the other. */
ROW(map_union)
{
    value_map both = room_for(x->arena, (args[0].is_null ? 0 : args[0].map.count) + (args[1].is_null ? 0 : args[1].map.count));

    if (args[0].is_null && args[1].is_null) return true;
    for (int side = 0; side < 2; side++) {
        for (uint32_t i = 0; !args[side].is_null && i < args[side].map.count; i++) {
            put(c->result, &both, &args[side].map.keys[i], &args[side].map.values[i]);
        }
    }
    *out = (value){ .map = both };
    return true;
}

/* The longer list is cut to the shorter. */
ROW(as_map)
{
    uint32_t keys = args[0].list.count, values = args[1].list.count;
    value_map map = room_for(x->arena, keys);

    for (uint32_t i = 0; i < keys && i < values; i++) {
        put(c->result, &map, &args[0].list.items[i], &args[1].list.items[i]);
    }
    *out = (value){ .map = map };
    return true;
}

/* An ARRAY of STRUCT<K, V>; sorted by key if asked for. */
ROW(entries)
{
    value_map ordered = map_ordered(x->arena, c->arg_types[0], &args[0].map), *map = &ordered;
    value *items = ARENA_ARRAY(x->arena, value, map->count);

    for (uint32_t i = 0; i < map->count; i++) {
        value *fields = ARENA_ARRAY(x->arena, value, 2);
        uint32_t at = i;
        fields[0] = map->keys[i];
        fields[1] = map->values[i];
        for (; args[1].boolean && at > 0; at--) {
            if (value_compare(c->arg_types[0]->key, &items[at - 1].list.items[0], &fields[0]) <= 0) break;
            items[at] = items[at - 1];
        }
        items[at] = (value){ .list = { fields, 2 } };
    }
    *out = (value){ .list = { items, map->count } };
    return true;
}

/* 'a:=1/b:=2' by '/' and ':='. A part without the inner delimiter is left out. */
ROW(split_to_map)
{
    slice from = args[0].str, between = args[1].str, inside = args[2].str;
    const char *at = from.data, *end = from.data + from.len;
    uint32_t most = 1;

    if (between.len == 0 || inside.len == 0) return true; /* null */
    for (const char *hit; (hit = memmem(at, (size_t)(end - at), between.data, between.len)) != NULL; most++) {
        at = hit + between.len;
    }
    value_map map = room_for(x->arena, most);
    at = from.data;
    for (bool more = true; more;) {
        const char *hit = memmem(at, (size_t)(end - at), between.data, between.len);
        const char *stop = hit != NULL ? hit : end;
        const char *middle = memmem(at, (size_t)(stop - at), inside.data, inside.len);
        if (middle != NULL) {
            value key = { .str = { at, (size_t)(middle - at) } };
            const char *start = middle + inside.len;
            const char *second = memmem(start, (size_t)(stop - start), inside.data, inside.len);
            value v = { .str = { start, (size_t)((second != NULL ? second : stop) - start) } };
            put(c->result, &map, &key, &v);
        }
        more = hit != NULL;
        at = more ? hit + between.len : end;
    }
    *out = (value){ .map = map };
    return true;
}

static const function ROWS[] = {
    SCALAR("MAP_KEYS", "MAP<K, V>", "ARRAY<K>", NULL_IN_OUT, map_keys, "The keys.", .example = "MAP_KEYS(MAP('a' := 1))"),
    SCALAR("MAP_VALUES", "MAP<K, V>", "ARRAY<V>", NULL_IN_OUT, map_values, "The values.",
           .example = "MAP_VALUES(MAP('a' := 1))"),
    SCALAR("MAP_UNION", "MAP<K, V>, MAP<K, V>", "MAP<K, V>", NULL_SEEN, map_union,
           "The entries of both maps; where both have a key, the second's value.",
           .example = "MAP_UNION(MAP('a' := 1), MAP('b' := 2))"),
    SCALAR("AS_MAP", "ARRAY<K>, ARRAY<V>", "MAP<K, V>", NULL_IN_OUT, as_map, "The map of a list of keys and one of values.",
           .example = "AS_MAP(ARRAY['a', 'b'], ARRAY[1, 2])"),
    SCALAR("ENTRIES", "MAP<K, V>, BOOLEAN", "ARRAY<STRUCT<K K, V V>>", NULL_IN_OUT, entries,
           "The entries as structs of K and V, sorted by key if the second argument is true.",
           .example = "ENTRIES(MAP('a' := 1), true)"),
    SCALAR("SPLIT_TO_MAP", "STRING, STRING, STRING", "MAP<STRING, STRING>", NULL_IN_OUT, split_to_map,
           "The map a text states, by a delimiter between entries and one inside them.",
           .example = "SPLIT_TO_MAP('a=1&b=2', '&', '=')"),
};
const function_family map_family = FAMILY_ROWS(ROWS);
