/* functions/map_order.h - the order in which a map's entries are gone over where one can see it (MAP_KEYS, REDUCE ...).
 * Maps with STRING keys go by the buckets of a Java HashMap of just their size, since that is the order ksqlDB shows for
 * what it has read; others as their entries came. Private to functions/. */
#ifndef WEIR_FUNCTIONS_MAP_ORDER_H
#define WEIR_FUNCTIONS_MAP_ORDER_H

#include "core/value.h"

/* The map itself, or a copy in that order. */
value_map map_ordered(arena *a, const type *t, const value_map *map);

#endif
