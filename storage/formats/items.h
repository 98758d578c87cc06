/* storage/formats/items.h - the items of an array, or the entries of a map, gathered as they come: for formats that do not
 * say before how many there are. */
#ifndef WEIR_STORAGE_FORMATS_ITEMS_H
#define WEIR_STORAGE_FORMATS_ITEMS_H

#include "core/value.h"

#define ITEMS_MAX 8000000 /* in one array or map */

/* Cleared, it is an empty list. What it points to lies in the arena. */
typedef struct items {
    value *keys; /* of a map */
    value *values;
    uint32_t count, room;
} items;

bool items_grow(items *list, arena *a, bool has_keys);

/* Room for one more, at values[count] (and keys[count]). False: there are ITEMS_MAX. */
static inline bool items_make_room(items *list, arena *a, bool has_keys)
{
    return list->count < list->room || items_grow(list, a, has_keys);
}

/* Puts an entry of a map where there is room. A later entry of a key takes the place of the one before, as long as there are
 * few enough to look. */
void items_put(items *list, const type *key_type, const value *key, const value *v);

#endif
