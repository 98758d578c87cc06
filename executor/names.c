/* executor/names.c - what could be typed next: words of the language and names of what there is. */
#include "executor/weir.h"

#include <ctype.h>
#include <stdlib.h>

typedef struct name_list {
    arena *arena;
    slice prefix, statement;
    weir_name *items;
    uint32_t count, room;
} name_list;

/* Words that are no keywords: types, properties of WITH, columns every row has. */
static const char *const TYPES[] = { "BIGINT", "BOOLEAN", "BYTES", "DATE", "DECIMAL", "DOUBLE", "INT", "INTEGER", "STRING",
                                     "TIMESTAMP", "VARCHAR", NULL };
static const char *const PROPERTIES[] = { "FORMAT", "KAFKA_TOPIC", "KEY_FORMAT", "PARTITIONS", "REPLICAS", "RETENTION_MS",
                                          "TIMESTAMP_FORMAT", "VALUE_FORMAT", "WINDOW_SIZE", "WINDOW_TYPE", NULL };
static const char *const PSEUDO_COLUMNS[] = { "ROWOFFSET", "ROWPARTITION", "ROWTIME", "WINDOWEND", "WINDOWSTART", NULL };

static void add_name(name_list *l, slice name, weir_name_kind kind, bool is_identifier)
{
    text typed = TEXT_EMPTY;

    if (name.len < l->prefix.len || strncasecmp(name.data, l->prefix.data, l->prefix.len) != 0) return;
    if (l->count == l->room) {
        weir_name *larger = ARENA_ARRAY(l->arena, weir_name, l->room == 0 ? 64 : l->room * 2);
        if (l->count > 0) memcpy(larger, l->items, sizeof *larger * l->count);
        l->items = larger;
        l->room = l->room == 0 ? 64 : l->room * 2;
    }
    if (is_identifier) print_identifier(&typed, name);
    else text_add(&typed, name);
    l->items[l->count++] = (weir_name){ text_keep(&typed, l->arena), kind };
}

static void add_words(name_list *l, const char *const *words, weir_name_kind kind)
{
    for (uint32_t i = 0; words[i] != NULL; i++) add_name(l, slice_of(words[i]), kind, false);
}

static bool is_in_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || ((unsigned char)c & 0x80) != 0;
}

/* Whether the name stands in the statement, as a word. */
static bool is_named(slice statement, slice name)
{
    for (size_t at = 0; at + name.len <= statement.len; at++) {
        if (at > 0 && is_in_word(statement.data[at - 1])) continue;
        if (at + name.len < statement.len && is_in_word(statement.data[at + name.len])) continue;
        if (strncasecmp(statement.data + at, name.data, name.len) == 0) return true;
    }
    return false;
}

static void add_columns(name_list *l, const source *const *all, uint32_t count)
{
    bool any = false;

    for (uint32_t i = 0; i < count && !any; i++) any = is_named(l->statement, all[i]->name);
    for (uint32_t i = 0; i < count; i++) {
        if (any && !is_named(l->statement, all[i]->name)) continue;
        for (uint32_t k = 0; k < all[i]->schema.count; k++) {
            add_name(l, all[i]->schema.columns[k].name, WEIR_NAME_COLUMN, true);
        }
    }
    add_words(l, PSEUDO_COLUMNS, WEIR_NAME_COLUMN);
}

static void add_functions(name_list *l)
{
    uint32_t count;
    const function *const *all = function_list(&count);

    for (uint32_t i = 0; i < count; i++) {
        if (!all[i]->is_hidden) add_name(l, slice_of(all[i]->name), WEIR_NAME_FUNCTION, false);
    }
}

static void add_settings(name_list *l)
{
    for (uint32_t i = 0; i < setting_count(); i++) {
        const char *name, *value, *meaning;
        setting_at(i, &name, &value, &meaning);
        add_name(l, slice_of(name), WEIR_NAME_SETTING, false);
    }
}

static void add_from_catalog(name_list *l, weir *w, uint32_t kinds)
{
    weir_error err;
    uint32_t count;

    pthread_mutex_lock(&w->lock);
    (void)!catalog_refresh(w, &err); /* what is known already will do */
    const source *const *sources = catalog_sources(w->catalog, &count);
    for (uint32_t i = 0; (kinds & WEIR_NAME_SOURCE) && i < count; i++) add_name(l, sources[i]->name, WEIR_NAME_SOURCE, true);
    if (kinds & WEIR_NAME_COLUMN) add_columns(l, sources, count);
    const query_entry *const *queries = catalog_queries(w->catalog, &count);
    for (uint32_t i = 0; (kinds & WEIR_NAME_QUERY) && i < count; i++) add_name(l, queries[i]->id, WEIR_NAME_QUERY, true);
    pthread_mutex_unlock(&w->lock);
}

static int by_name(const void *x, const void *y)
{
    const weir_name *a = x, *b = y;
    int order = slice_compare(a->name, b->name);

    return order != 0 ? order : (int)a->kind - (int)b->kind;
}

void weir_names(weir *w, uint32_t kinds, slice prefix, slice statement, arena *a, weir_name **out, uint32_t *count)
{
    name_list l = { .arena = a, .prefix = prefix, .statement = statement };
    const char *word;

    for (uint32_t i = 0; (kinds & WEIR_NAME_KEYWORD) && (word = parser_keyword(i)) != NULL; i++) {
        add_name(&l, slice_of(word), WEIR_NAME_KEYWORD, false);
    }
    if (kinds & WEIR_NAME_KEYWORD) {
        add_words(&l, TYPES, WEIR_NAME_KEYWORD);
        add_words(&l, PROPERTIES, WEIR_NAME_KEYWORD);
    }
    if (kinds & WEIR_NAME_FUNCTION) add_functions(&l);
    if (kinds & WEIR_NAME_SETTING) add_settings(&l);
    if (kinds & (WEIR_NAME_SOURCE | WEIR_NAME_COLUMN | WEIR_NAME_QUERY)) add_from_catalog(&l, w, kinds);
    if (l.count > 1) qsort(l.items, l.count, sizeof *l.items, by_name);
    *out = l.items;
    *count = 0;
    for (uint32_t i = 0; i < l.count; i++) {
        if (*count > 0 && slice_equal(l.items[*count - 1].name, l.items[i].name)) continue;
        l.items[(*count)++] = l.items[i];
    }
}
