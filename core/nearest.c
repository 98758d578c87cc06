/* core/nearest.c - see nearest.h. */
#include "core/nearest.h"

#include <ctype.h>
#include <stdio.h>

#define NAME_BYTES_MAX 63

#define BEGINNING_BYTES_MIN 3

/* As many edits are too many: a third may be wrong, and something of it must be right. */
static uint32_t edits_too_many(slice wanted)
{
    uint32_t most = (uint32_t)((wanted.len + 1) / 3 + 1);

    return wanted.len < most ? (uint32_t)wanted.len : most;
}

nearest nearest_to(slice wanted)
{
    return (nearest){ .wanted = wanted, .distance = edits_too_many(wanted) };
}

/* SUBSTR of SUBSTRING. */
static bool is_beginning(slice wanted, slice name)
{
    return wanted.len >= BEGINNING_BYTES_MIN && wanted.len < name.len &&
           slice_equal_nocase(wanted, (slice){ name.data, wanted.len });
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
    if (n->offered < NEAREST_LISTED_MAX) n->first[n->offered] = name;
    n->offered++;
    if (n->wanted.len > NAME_BYTES_MAX || name.len > NAME_BYTES_MAX || name.len == 0) return;
    uint32_t distance = edits(n->wanted, name), just_near = edits_too_many(n->wanted) - 1;
    if (distance > just_near && is_beginning(n->wanted, name)) distance = just_near;
    if (distance >= n->distance) return;
    n->distance = distance;
    n->best = name;
}

void nearest_offer_other(nearest *n, const char *elsewhere, const char *here)
{
    if (!slice_equal_nocase(n->wanted, slice_of(elsewhere))) return;
    n->distance = 0;
    n->best = slice_of(here);
}

const char *nearest_hint(const nearest *n)
{
    static _Thread_local char hint[128];

    if (n->best.data == NULL) return "";
    snprintf(hint, sizeof hint, "; did you mean %.*s?", SLICE_ARG(n->best));
    return hint;
}

const char *nearest_or_all(const nearest *n)
{
    static _Thread_local char all[NEAREST_LISTED_MAX * (NAME_BYTES_MAX + 2) + 32];
    uint32_t listed = n->offered < NEAREST_LISTED_MAX ? n->offered : NEAREST_LISTED_MAX;
    size_t at = 0;

    if (n->best.data != NULL || n->offered == 0) return nearest_hint(n);
    for (uint32_t i = 0; i < listed; i++) {
        slice name = n->first[i];
        if (name.len > NAME_BYTES_MAX) name = SLICE("...");
        at += (size_t)snprintf(all + at, sizeof all - at, "%s%.*s", i == 0 ? n->offered == 1 ? "; there is " : "; there are " : ", ",
                               SLICE_ARG(name));
    }
    snprintf(all + at, sizeof all - at, "%s", n->offered > listed ? " ..." : "");
    return all;
}
