/* storage/formats/items.c - see items.h. */
#include "storage/formats/items.h"

#define LOOKED_THROUGH_MAX 64

static value *grow(const value *from, uint32_t count, uint32_t room, arena *a)
{
    value *larger = ARENA_ARRAY(a, value, room);

    if (count > 0) memcpy(larger, from, count * sizeof *larger);
    return larger;
}

bool items_grow(items *list, arena *a, bool has_keys)
{
    if (list->room >= ITEMS_MAX) return false;
    list->room = list->room == 0 ? 4 : list->room * 2;
    list->values = grow(list->values, list->count, list->room, a);
    if (has_keys) list->keys = grow(list->keys, list->count, list->room, a);
    return true;
}

void items_put(items *list, const type *key_type, const value *key, const value *v)
{
    for (uint32_t i = 0; list->count <= LOOKED_THROUGH_MAX && i < list->count; i++) {
        if (!value_equal(key_type, &list->keys[i], key)) continue;
        list->values[i] = *v;
        return;
    }
    list->keys[list->count] = *key;
    list->values[list->count++] = *v;
}
