/* planner/nearest.c - see nearest.h. */
#include "planner/nearest.h"

#include <ctype.h>
#include <stdio.h>

#define NAME_BYTES_MAX 63

nearest nearest_to(slice wanted)
{
    uint32_t least = (uint32_t)((wanted.len + 1) / 3 + 1); /* a third of it may be wrong */

    if (wanted.len < least) least = (uint32_t)wanted.len; /* something of it must be right */
    return (nearest){ wanted, NO_SLICE, least };
}

/* Insertions, deletions, replacements, and neighbours swapped, each counted as one. */
static uint32_t edits(slice a, slice b)
{
    uint32_t rows[3][NAME_BYTES_MAX + 1];
    uint32_t *before = rows[0], *above = rows[1], *row = rows[2];

    for (uint32_t j = 0; j <= b.len; j++) above[j] = j;
    for (uint32_t i = 1; i <= a.len; i++) {
        row[0] = i;
        for (uint32_t j = 1; j <= b.len; j++) {
            int x = toupper((unsigned char)a.data[i - 1]), y = toupper((unsigned char)b.data[j - 1]);
            uint32_t least = above[j - 1] + (x != y);
            if (above[j] + 1 < least) least = above[j] + 1;
            if (row[j - 1] + 1 < least) least = row[j - 1] + 1;
            if (i > 1 && j > 1 && x == toupper((unsigned char)b.data[j - 2]) &&
                y == toupper((unsigned char)a.data[i - 2]) && before[j - 2] + 1 < least) {
                least = before[j - 2] + 1;
            }
            row[j] = least;
        }
        uint32_t *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[b.len];
}

void nearest_offer(nearest *n, slice name)
{
    if (n->wanted.len > NAME_BYTES_MAX || name.len > NAME_BYTES_MAX || name.len == 0) return;
    uint32_t distance = edits(n->wanted, name);
    if (distance >= n->distance) return;
    n->distance = distance;
    n->best = name;
}

const char *nearest_hint(const nearest *n)
{
    static _Thread_local char hint[128];

    if (n->best.data == NULL) return "";
    snprintf(hint, sizeof hint, "; did you mean %.*s?", SLICE_ARG(n->best));
    return hint;
}
