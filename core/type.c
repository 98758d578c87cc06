/* core/type.c - see type.h. */
#include "core/type.h"

const type type_null = { .kind = TYPE_NULL };
const type type_boolean = { .kind = TYPE_BOOLEAN };
const type type_integer = { .kind = TYPE_INTEGER };
const type type_bigint = { .kind = TYPE_BIGINT };
const type type_double = { .kind = TYPE_DOUBLE };
const type type_string = { .kind = TYPE_STRING };
const type type_bytes = { .kind = TYPE_BYTES };
const type type_date = { .kind = TYPE_DATE };
const type type_time = { .kind = TYPE_TIME };
const type type_timestamp = { .kind = TYPE_TIMESTAMP };

const type *type_decimal(arena *a, uint32_t precision, uint32_t scale)
{
    type *t = ARENA_NEW(a, type);

    *t = (type){ .kind = TYPE_DECIMAL, .precision = (uint8_t)precision, .scale = (uint8_t)scale };
    return t;
}

const type *type_array(arena *a, const type *element)
{
    type *t = ARENA_NEW(a, type);

    *t = (type){ .kind = TYPE_ARRAY, .element = element };
    return t;
}

const type *type_map(arena *a, const type *key, const type *value)
{
    type *t = ARENA_NEW(a, type);

    *t = (type){ .kind = TYPE_MAP, .key = key, .element = value };
    return t;
}

const type *type_struct(arena *a, const type_field *fields, uint32_t count)
{
    type *t = ARENA_NEW(a, type);
    type_field *copy = ARENA_ARRAY(a, type_field, count);

    for (uint32_t i = 0; i < count; i++) copy[i] = (type_field){ arena_copy(a, fields[i].name), fields[i].type };
    *t = (type){ .kind = TYPE_STRUCT, .fields = copy, .field_count = count };
    return t;
}

const type *type_copy(arena *a, const type *t)
{
    type *copy = ARENA_NEW(a, type);

    *copy = *t;
    if (t->key != NULL) copy->key = type_copy(a, t->key);
    if (t->element != NULL) copy->element = type_copy(a, t->element);
    if (t->kind == TYPE_STRUCT) {
        type_field *fields = ARENA_ARRAY(a, type_field, t->field_count);
        for (uint32_t i = 0; i < t->field_count; i++) {
            fields[i] = (type_field){ arena_copy(a, t->fields[i].name), type_copy(a, t->fields[i].type) };
        }
        copy->fields = fields;
    }
    return copy;
}

bool type_equal(const type *a, const type *b)
{
    if (a == b) return true;
    if (a->kind != b->kind) return false;
    switch (a->kind) {
    case TYPE_DECIMAL: return a->precision == b->precision && a->scale == b->scale;
    case TYPE_ARRAY: return type_equal(a->element, b->element);
    case TYPE_MAP: return type_equal(a->key, b->key) && type_equal(a->element, b->element);
    case TYPE_STRUCT:
        if (a->field_count != b->field_count) return false;
        for (uint32_t i = 0; i < a->field_count; i++) {
            if (!slice_equal(a->fields[i].name, b->fields[i].name)) return false;
            if (!type_equal(a->fields[i].type, b->fields[i].type)) return false;
        }
        return true;
    default: return true;
    }
}

void print_quoted_name(text *out, slice name)
{
    text_add_char(out, '`');
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] == '`') text_add_char(out, '`');
        text_add_char(out, name.data[i]);
    }
    text_add_char(out, '`');
}

int32_t type_find_field(const type *t, slice name)
{
    int32_t found = -1;

    for (uint32_t i = 0; i < t->field_count; i++) {
        if (slice_equal(t->fields[i].name, name)) return (int32_t)i;
        if (found < 0 && slice_equal_nocase(t->fields[i].name, name)) found = (int32_t)i;
    }
    return found;
}

void type_print(text *out, const type *t)
{
    static const char *const names[] = {
        [TYPE_NULL] = "NULL",   [TYPE_BOOLEAN] = "BOOLEAN", [TYPE_INTEGER] = "INTEGER", [TYPE_BIGINT] = "BIGINT",
        [TYPE_DOUBLE] = "DOUBLE", [TYPE_STRING] = "STRING", [TYPE_BYTES] = "BYTES",     [TYPE_DATE] = "DATE",
        [TYPE_TIME] = "TIME",   [TYPE_TIMESTAMP] = "TIMESTAMP", [TYPE_LAMBDA] = "LAMBDA",
        [TYPE_INTERVAL_UNIT] = "INTERVALUNIT",
    };

    switch (t->kind) {
    case TYPE_DECIMAL: text_printf(out, "DECIMAL(%u, %u)", t->precision, t->scale); break;
    case TYPE_ARRAY:
        text_add_c(out, "ARRAY<");
        type_print(out, t->element);
        text_add_char(out, '>');
        break;
    case TYPE_MAP:
        text_add_c(out, "MAP<");
        type_print(out, t->key);
        text_add_c(out, ", ");
        type_print(out, t->element);
        text_add_char(out, '>');
        break;
    case TYPE_STRUCT:
        text_add_c(out, "STRUCT<");
        for (uint32_t i = 0; i < t->field_count; i++) {
            if (i > 0) text_add_c(out, ", ");
            print_quoted_name(out, t->fields[i].name);
            text_add_char(out, ' ');
            type_print(out, t->fields[i].type);
        }
        text_add_char(out, '>');
        break;
    default: text_add_c(out, names[t->kind]);
    }
}

slice type_text(arena *a, const type *t)
{
    text out = TEXT_EMPTY;

    type_print(&out, t);
    return text_keep(&out, a);
}
