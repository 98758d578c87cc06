/* core/reason.c - see reason.h. */
#include "core/reason.h"

#include "core/utf8.h"

#include <stdio.h>

#define STEP_BYTES 64

/* A path begins with a field in back quotes, an item or a key in brackets; all else is the reason itself. */
static bool begins_with_field(const char *reason) { return reason[0] == '`'; }
static bool begins_with_item(const char *reason) { return reason[0] == '['; }

static void put_before(char *reason, const char *step, const char *between)
{
    char whole[2 * REASON_BYTES];
    size_t end = (size_t)snprintf(whole, sizeof whole, "%s%s%s", step, between, reason);

    slice shown = utf8_beginning((slice){ whole, end < sizeof whole ? end : sizeof whole - 1 }, REASON_BYTES - 1);
    memcpy(reason, whole, shown.len);
    reason[shown.len] = '\0';
}

static void put_step(char *reason, const char *step)
{
    put_before(reason, step, begins_with_field(reason) ? "->" : begins_with_item(reason) ? "" : ": ");
}

void reason_in_field(char *reason, slice name)
{
    char step[STEP_BYTES];
    slice shown = utf8_beginning(name, STEP_BYTES - 24);

    snprintf(step, sizeof step, "`%.*s%s`", SLICE_ARG(shown), shown.len < name.len ? "..." : "");
    put_step(reason, step);
}

void reason_in_item(char *reason, uint32_t index)
{
    char step[STEP_BYTES];

    snprintf(step, sizeof step, "[%llu]", (unsigned long long)index + 1);
    put_step(reason, step);
}

void reason_in_key(char *reason, slice key)
{
    char step[STEP_BYTES];
    slice shown = utf8_beginning(key, STEP_BYTES - 24);

    snprintf(step, sizeof step, "['%.*s%s']", SLICE_ARG(shown), shown.len < key.len ? "..." : "");
    put_step(reason, step);
}

void reason_begin(char *reason, const char *words)
{
    put_before(reason, words, "");
}

void reason_in_column(char *reason, slice column)
{
    reason_in_field(reason, column);
    reason_begin(reason, "column ");
}
