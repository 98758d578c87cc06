/* executor/change_list.c - see change_list.h. Sorted by radix over the first bytes of the keys, least significant first: an epoch
 * of a large state changes tens of thousands of keys, and a comparison of two is two misses of the cache. */
#include "executor/change_list.h"

#include "core/bytes.h"
#include "core/must.h"

#include <stdlib.h>

#define FEW 64 /* changes */
#define DIGITS 10 /* bytes: eight of a key's beginning, two of the store */

static void set_room(change_list *list, uint32_t room)
{
    list->room = room;
    list->items = must(realloc(list->items, room * sizeof *list->items));
}

void change_list_reserve(change_list *list, uint32_t more)
{
    if (list->room - list->count < more) set_room(list, list->count + more + FEW);
}

void change_list_add(change_list *list, state_change change)
{
    if (list->count == list->room) set_room(list, list->room == 0 ? FEW : list->room * 2);
    list->items[list->count++] = change;
}

void change_list_free(change_list *list)
{
    free(list->items);
    *list = (change_list){ 0 };
}

/* ---- order ---- */

typedef struct place { /* of a change: what nearly always tells its order without a look at its key */
    uint64_t head;     /* the key's first bytes, as a number */
    uint32_t change;
    uint16_t store;
} place;

static inline unsigned digit(const place *p, int d)
{
    return (d < 8 ? p->head >> 8 * d : (uint64_t)p->store >> 8 * (d - 8)) & 255;
}

/* Sorts by all digits, in one of the two arrays, which is returned. */
static place *sort_by_digits(place *from, place *to, uint32_t count)
{
    uint32_t starts[DIGITS][256] = { { 0 } };

    for (uint32_t i = 0; i < count; i++) {
        for (int d = 0; d < DIGITS; d++) starts[d][digit(&from[i], d)]++;
    }
    for (int d = 0; d < DIGITS; d++) {
        uint32_t *start = starts[d], sum = 0;
        if (start[digit(&from[0], d)] == count) continue; /* all have the same */
        for (int value = 0; value < 256; value++) {
            uint32_t those = start[value];
            start[value] = sum;
            sum += those;
        }
        for (uint32_t i = 0; i < count; i++) to[start[digit(&from[i], d)]++] = from[i];
        place *sorted = to;
        to = from;
        from = sorted;
    }
    return from;
}

static int by_key(const void *a, const void *b, void *changes)
{
    const state_change *items = changes;

    return slice_compare(items[((const place *)a)->change].key, items[((const place *)b)->change].key);
}

/* Moves each change to its place, round by round: where one was taken from, the next is put. */
static void put_in_order(state_change *items, place *in_order, uint32_t count)
{
    for (uint32_t start = 0; start < count; start++) {
        const state_change first = items[start];
        uint32_t at = start;
        while (in_order[at].change != start) {
            uint32_t from = in_order[at].change;
            in_order[at].change = at; /* done */
            items[at] = items[from];
            at = from;
        }
        in_order[at].change = at;
        items[at] = first;
    }
}

void change_list_sort(change_list *list)
{
    uint32_t count = list->count;

    if (count < 2) return;
    place *places = must(malloc(2 * (size_t)count * sizeof *places));
    for (uint32_t i = 0; i < count; i++) places[i] = (place){ bytes_head(list->items[i].key), i, list->items[i].store };
    place *in_order = sort_by_digits(places, places + count, count);
    for (uint32_t from = 0, to; from < count; from = to) { /* keys that begin alike */
        to = from + 1;
        while (to < count && in_order[to].head == in_order[from].head && in_order[to].store == in_order[from].store) to++;
        if (to - from > 1) qsort_r(in_order + from, to - from, sizeof *in_order, by_key, list->items);
    }
    put_in_order(list->items, in_order, count);
    free(places);
}
