/* parser/variables.c - ${variables}: a short list of names and texts; names are told apart ignoring case. */
#include "parser/parser.h"

#include "core/nearest.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct variable {
    text name;
    text value;
} variable;

struct variables {
    variable *items;
    uint32_t count;
    uint32_t held;
};

static variable *find(const variables *v, slice name)
{
    for (uint32_t i = 0; i < v->count; i++)
        if (slice_equal_nocase(text_slice(&v->items[i].name), name)) return &v->items[i];
    return NULL;
}

static void *no_memory_ends(void *memory)
{
    if (memory == NULL) {
        fputs("weir: out of memory\n", stderr);
        abort();
    }
    return memory;
}

variables *variables_new(void)
{
    return no_memory_ends(calloc(1, sizeof(variables)));
}

void variables_free(variables *v)
{
    if (v == NULL) return;
    for (uint32_t i = 0; i < v->count; i++) {
        text_free(&v->items[i].name);
        text_free(&v->items[i].value);
    }
    free(v->items);
    free(v);
}

void variables_set(variables *v, slice name, slice value)
{
    variable *known = find(v, name);

    assert(name.len > 0);
    if (known == NULL) {
        if (v->count == v->held) {
            v->held = v->held == 0 ? 8 : v->held * 2;
            v->items = no_memory_ends(realloc(v->items, v->held * sizeof(variable)));
        }
        known = &v->items[v->count++];
        *known = (variable){ TEXT_EMPTY, TEXT_EMPTY };
        text_add(&known->name, name);
    }
    text fresh = TEXT_EMPTY; /* the new value may be lent from the old one */
    text_add(&fresh, value);
    text_free(&known->value);
    known->value = fresh;
}

bool variables_unset(variables *v, slice name)
{
    variable *known = find(v, name);

    if (known == NULL) return false;
    text_free(&known->name);
    text_free(&known->value);
    memmove(known, known + 1, sizeof(variable) * (size_t)(v->items + v->count - known - 1));
    v->count--;
    return true;
}

bool variables_get(const variables *v, slice name, slice *value)
{
    const variable *known = find(v, name);

    if (known == NULL) return false;
    *value = text_slice(&known->value);
    return true;
}

const char *variables_hint(const variables *v, slice name)
{
    nearest n = nearest_to(name);

    for (uint32_t i = 0; i < v->count; i++) nearest_offer(&n, text_slice(&v->items[i].name));
    return n.best.data != NULL ? nearest_hint(&n) : "; DEFINE gives it a value, SHOW VARIABLES lists those there are";
}

uint32_t variables_count(const variables *v) { return v->count; }

void variables_at(const variables *v, uint32_t index, slice *name, slice *value)
{
    assert(index < v->count);
    *name = text_slice(&v->items[index].name);
    *value = text_slice(&v->items[index].value);
}
