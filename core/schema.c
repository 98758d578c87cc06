/* core/schema.c - see schema.h. */
#include "core/schema.h"

int32_t schema_find(const schema *s, slice name)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (slice_equal(s->columns[i].name, name)) return (int32_t)i;
    }
    return -1;
}

bool schema_equal(const schema *a, const schema *b)
{
    if (a->count != b->count || a->key_count != b->key_count) return false;
    for (uint32_t i = 0; i < a->count; i++) {
        if (!slice_equal(a->columns[i].name, b->columns[i].name)) return false;
        if (!type_equal(a->columns[i].type, b->columns[i].type)) return false;
    }
    return true;
}

schema schema_copy(arena *a, const schema *s)
{
    schema_column *columns = ARENA_ARRAY(a, schema_column, s->count);

    for (uint32_t i = 0; i < s->count; i++) {
        columns[i] = s->columns[i];
        columns[i].name = arena_copy(a, s->columns[i].name);
        columns[i].type = type_copy(a, s->columns[i].type);
        columns[i].header_key = arena_copy(a, s->columns[i].header_key);
    }
    return (schema){ columns, s->key_count, s->count };
}

void schema_print(text *out, const schema *s, bool is_table)
{
    for (uint32_t i = 0; i < s->count; i++) {
        const schema_column *c = &s->columns[i];
        if (i > 0) text_add_c(out, ", ");
        print_quoted_name(out, c->name);
        text_add_char(out, ' ');
        type_print(out, c->type);
        if (i < s->key_count) text_add_c(out, is_table ? " PRIMARY KEY" : " KEY");
        if (c->header_key.data != NULL) {
            text_printf(out, " HEADER('%.*s')", SLICE_ARG(c->header_key));
        } else if (c->is_headers) {
            text_add_c(out, " HEADERS");
        }
    }
}
