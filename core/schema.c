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

/* A column of x that y has not. */
static const schema_column *first_without(const schema *x, const schema *y)
{
    for (uint32_t i = 0; i < x->count; i++) {
        if (schema_find(y, x->columns[i].name) < 0) return &x->columns[i];
    }
    return NULL;
}

bool schema_print_difference(text *out, const schema *wanted, const schema *found)
{
    const schema_column *missing = first_without(wanted, found), *more = first_without(found, wanted);

    if (missing != NULL || more != NULL) {
        text_printf(out, "column %.*s is %s", SLICE_ARG((missing != NULL ? missing : more)->name),
                    missing != NULL ? "missing" : "too many");
        return true;
    }
    for (uint32_t i = 0; i < wanted->count; i++) {
        const schema_column *c = &wanted->columns[i];
        uint32_t at = (uint32_t)schema_find(found, c->name);
        const schema_column *there = &found->columns[at];
        bool is_key = i < wanted->key_count;
        if (is_key != (at < found->key_count)) {
            text_printf(out, "column %.*s must be a %s column", SLICE_ARG(c->name), is_key ? "key" : "value");
        } else if (at != i) {
            text_printf(out, "column %.*s stands elsewhere", SLICE_ARG(c->name));
        } else if (!type_equal(there->type, c->type)) {
            text_printf(out, "column %.*s is ", SLICE_ARG(c->name));
            type_print(out, there->type);
            text_add_c(out, ", not ");
            type_print(out, c->type);
        } else if (c->is_headers != there->is_headers || !slice_equal(c->header_key, there->header_key)) {
            text_printf(out, "column %.*s holds other headers, or none", SLICE_ARG(c->name));
        } else {
            continue;
        }
        return true;
    }
    return false;
}
