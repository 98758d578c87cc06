/* storage/formats/proto_schema.c - see proto_schema.h. */
#include "storage/formats/proto_schema.h"

#include "core/number.h"

#include <stdio.h>

#define DEPTH_MAX 100
#define TYPES_MAX 10000

const proto_message *proto_find(const proto_file *f, slice name)
{
    if (name.data == NULL) return f->count > 0 ? f->messages[0] : NULL;
    for (uint32_t i = 0; i < f->count; i++) {
        if (slice_equal(f->messages[i]->name, name)) return f->messages[i];
    }
    return NULL;
}

const proto_message *proto_at(const proto_file *f, const int32_t *path, uint32_t count)
{
    for (uint32_t i = 0; i < f->count; i++) {
        const proto_message *m = f->messages[i];
        if (m->path_count == count && memcmp(m->path, path, count * sizeof *path) == 0) return m;
    }
    return NULL;
}

const char *proto_kind_name(proto_kind kind)
{
    static const char *const names[] = {
        [PROTO_DOUBLE] = "double",     [PROTO_FLOAT] = "float",     [PROTO_INT64] = "int64",       [PROTO_UINT64] = "uint64",
        [PROTO_INT32] = "int32",       [PROTO_FIXED64] = "fixed64", [PROTO_FIXED32] = "fixed32",   [PROTO_BOOL] = "bool",
        [PROTO_STRING] = "string",     [PROTO_GROUP] = "group",     [PROTO_MESSAGE] = "message",   [PROTO_BYTES] = "bytes",
        [PROTO_UINT32] = "uint32",     [PROTO_ENUM] = "enum",       [PROTO_SFIXED32] = "sfixed32", [PROTO_SFIXED64] = "sfixed64",
        [PROTO_SINT32] = "sint32",     [PROTO_SINT64] = "sint64",
    };

    return names[kind];
}

/* ---- as types ---- */

typedef struct typing {
    bool upper;
    arena *arena;
    weir_error *err;
    uint32_t depth, made;
} typing;

static weir_rc message_type(typing *t, const proto_message *m, const type **out);

static slice cased(typing *t, slice name)
{
    char *copy = ARENA_ARRAY(t->arena, char, name.len + 1);

    for (size_t i = 0; i < name.len; i++) {
        copy[i] = t->upper && name.data[i] >= 'a' && name.data[i] <= 'z' ? (char)(name.data[i] - 0x20) : name.data[i];
    }
    return (slice){ copy, name.len };
}

/* Of one item, where it is repeated. */
static weir_rc item_type(typing *t, const proto_field *f, const type **out)
{
    switch (f->kind) {
    case PROTO_INT32:
    case PROTO_SINT32:
    case PROTO_SFIXED32: *out = &type_integer; return WEIR_OK;
    case PROTO_INT64:
    case PROTO_UINT64:
    case PROTO_FIXED64:
    case PROTO_FIXED32:
    case PROTO_UINT32:
    case PROTO_SFIXED64:
    case PROTO_SINT64: *out = &type_bigint; return WEIR_OK;
    case PROTO_DOUBLE:
    case PROTO_FLOAT: *out = &type_double; return WEIR_OK;
    case PROTO_BOOL: *out = &type_boolean; return WEIR_OK;
    case PROTO_STRING:
    case PROTO_ENUM: *out = &type_string; return WEIR_OK;
    case PROTO_BYTES: *out = &type_bytes; return WEIR_OK;
    default: break;
    }
    switch (f->message->known) {
    case KNOWN_TIMESTAMP: *out = &type_timestamp; return WEIR_OK;
    case KNOWN_DATE: *out = &type_date; return WEIR_OK;
    case KNOWN_TIME: *out = &type_time; return WEIR_OK;
    case KNOWN_WRAPPER: return item_type(t, &f->message->fields[0], out);
    case KNOWN_DECIMAL: {
        bool is_given = f->precision > 0 && f->scale <= f->precision && f->scale <= DECIMAL_DIGITS_MAX;
        *out = type_decimal(t->arena, is_given ? f->precision : DECIMAL_PRECISION_DEFAULT, is_given ? f->scale : 0);
        return WEIR_OK;
    }
    case KNOWN_NONE: break;
    }
    return message_type(t, f->message, out);
}

static weir_rc field_type(typing *t, const proto_field *f, const type **out)
{
    const type *key, *item;

    if (f->is_map) {
        WEIR_TRY(item_type(t, &f->message->fields[0], &key));
        WEIR_TRY(item_type(t, &f->message->fields[1], &item));
        *out = type_map(t->arena, key, item);
        return WEIR_OK;
    }
    WEIR_TRY(item_type(t, f, &item));
    *out = f->is_repeated ? type_array(t->arena, item) : item;
    return WEIR_OK;
}

static weir_rc message_type(typing *t, const proto_message *m, const type **out)
{
    type_field *fields = ARENA_ARRAY(t->arena, type_field, m->count);

    if (m->count == 0) {
        return weir_fail(t->err, WEIR_SEMANTIC, NOWHERE, "the Protobuf message %.*s has no fields, and so no columns", SLICE_ARG(m->name));
    }
    if (++t->depth > DEPTH_MAX || ++t->made > TYPES_MAX) {
        return weir_fail(t->err, WEIR_SEMANTIC, NOWHERE, "the Protobuf message %.*s holds itself, or is too large: no SQL type does; "
                         "declare the columns that are wanted",
                         SLICE_ARG(m->name));
    }
    for (uint32_t i = 0; i < m->count; i++) {
        fields[i].name = cased(t, m->fields[i].name);
        WEIR_TRY(field_type(t, &m->fields[i], &fields[i].type));
    }
    t->depth--;
    *out = type_struct(t->arena, fields, m->count);
    return WEIR_OK;
}

weir_rc proto_type(const proto_message *m, bool upper, arena *a, const type **out, weir_error *err)
{
    typing t = { .upper = upper, .arena = a, .err = err };

    return message_type(&t, m, out);
}

/* ---- printing ---- */

typedef enum import { USES_META, USES_DECIMAL, USES_TIMESTAMP, USES_WRAPPERS, USES_DATE, USES_TIME, IMPORTS } import;

typedef struct printing {
    proto_nulls nulls;
    bool uses[IMPORTS];
    uint32_t messages; /* named so far */
    uint32_t depth;
    weir_error *err;
} printing;

static weir_rc fail_column(printing *p, slice name, const char *why)
{
    return weir_fail(p->err, WEIR_SEMANTIC, NOWHERE, "format PROTOBUF cannot hold `%.*s`: %s", SLICE_ARG(name), why);
}

static void indent(text *out, uint32_t depth)
{
    for (uint32_t i = 0; i < depth; i++) text_add_c(out, "  ");
}

static weir_rc print_message(printing *p, text *out, slice name, const type *t);

static const char *scalar_name(const type *t)
{
    switch (t->kind) {
    case TYPE_BOOLEAN: return "bool";
    case TYPE_INTEGER: return "int32";
    case TYPE_BIGINT: return "int64";
    case TYPE_DOUBLE: return "double";
    case TYPE_BYTES: return "bytes";
    case TYPE_STRING: return "string";
    default: return NULL;
    }
}

static const char *wrapper_name(const type *t)
{
    switch (t->kind) {
    case TYPE_BOOLEAN: return "google.protobuf.BoolValue";
    case TYPE_INTEGER: return "google.protobuf.Int32Value";
    case TYPE_BIGINT: return "google.protobuf.Int64Value";
    case TYPE_DOUBLE: return "google.protobuf.DoubleValue";
    case TYPE_BYTES: return "google.protobuf.BytesValue";
    default: return "google.protobuf.StringValue";
    }
}

/* The type's name; messages it needs are printed to inner. */
static weir_rc print_item(printing *p, text *out, text *inner, slice column, const type *t, bool can_be_null)
{
    const char *name = scalar_name(t);

    if (name != NULL) {
        bool is_wrapped = can_be_null && p->nulls == PROTO_NULLS_WRAPPER;
        p->uses[USES_WRAPPERS] |= is_wrapped;
        text_add_c(out, is_wrapped ? wrapper_name(t) : name);
        return WEIR_OK;
    }
    switch (t->kind) {
    case TYPE_TIMESTAMP: p->uses[USES_TIMESTAMP] = true; text_add_c(out, "google.protobuf.Timestamp"); return WEIR_OK;
    case TYPE_DATE: p->uses[USES_DATE] = true; text_add_c(out, "google.type.Date"); return WEIR_OK;
    case TYPE_TIME: p->uses[USES_TIME] = true; text_add_c(out, "google.type.TimeOfDay"); return WEIR_OK;
    case TYPE_DECIMAL: p->uses[USES_DECIMAL] = p->uses[USES_META] = true; text_add_c(out, "confluent.type.Decimal"); return WEIR_OK;
    case TYPE_STRUCT: {
        char made[40];
        snprintf(made, sizeof made, "ConnectDefault%u", ++p->messages);
        text_add_c(out, made);
        text_add_char(inner, '\n');
        return print_message(p, inner, slice_of(made), t);
    }
    default: return fail_column(p, column, "arrays and maps stand in messages only, not in other arrays and maps");
    }
}

static void print_options(text *out, const type *t, uint32_t depth)
{
    if (t->kind == TYPE_ARRAY) t = t->element;
    if (t->kind != TYPE_DECIMAL) return;
    text_add_c(out, " [(confluent.field_meta) = {\n");
    indent(out, depth + 1);
    text_printf(out, "params: [\n");
    indent(out, depth + 2);
    text_printf(out, "{ key: \"precision\", value: \"%u\" },\n", t->precision);
    indent(out, depth + 2);
    text_printf(out, "{ key: \"scale\", value: \"%u\" }\n", t->scale);
    indent(out, depth + 1);
    text_add_c(out, "]\n");
    indent(out, depth);
    text_add_c(out, "}]");
}

static weir_rc print_field(printing *p, text *out, text *inner, slice name, const type *t, uint32_t number)
{
    if (!slice_is_identifier(name)) return fail_column(p, name, "letters, digits and _ make a name there");
    indent(out, p->depth);
    if (t->kind == TYPE_MAP) {
        type_kind k = t->key->kind;
        if (k != TYPE_STRING && k != TYPE_INTEGER && k != TYPE_BIGINT && k != TYPE_BOOLEAN) {
            return fail_column(p, name, "keys of maps are STRING, INTEGER, BIGINT or BOOLEAN");
        }
        text_printf(out, "map<%s, ", scalar_name(t->key));
        WEIR_TRY(print_item(p, out, inner, name, t->element, false));
        text_add_char(out, '>');
    } else if (t->kind == TYPE_ARRAY) {
        text_add_c(out, "repeated ");
        WEIR_TRY(print_item(p, out, inner, name, t->element, false));
    } else {
        if (p->nulls == PROTO_NULLS_OPTIONAL) text_add_c(out, "optional ");
        WEIR_TRY(print_item(p, out, inner, name, t, true));
    }
    text_printf(out, " %.*s = %u", SLICE_ARG(name), number);
    print_options(out, t, p->depth);
    text_add_c(out, ";\n");
    return WEIR_OK;
}

static weir_rc print_message(printing *p, text *out, slice name, const type *t)
{
    text inner = TEXT_EMPTY;
    weir_rc rc = WEIR_OK;

    indent(out, p->depth);
    text_printf(out, "message %.*s {\n", SLICE_ARG(name));
    p->depth++;
    for (uint32_t i = 0; rc == WEIR_OK && i < t->field_count; i++) {
        rc = print_field(p, out, &inner, t->fields[i].name, t->fields[i].type, i + 1);
    }
    p->depth--;
    text_add(out, text_slice(&inner));
    indent(out, p->depth);
    text_add_c(out, "}\n");
    text_free(&inner);
    return rc;
}

static void print_imports(text *out, const printing *p)
{
    static const char *const names[] = {
        [USES_META] = "confluent/meta.proto",           [USES_DECIMAL] = "confluent/type/decimal.proto",
        [USES_TIMESTAMP] = "google/protobuf/timestamp.proto", [USES_WRAPPERS] = "google/protobuf/wrappers.proto",
        [USES_DATE] = "google/type/date.proto",         [USES_TIME] = "google/type/timeofday.proto",
    };
    bool any = false;

    for (int i = 0; i < IMPORTS; i++) {
        if (!p->uses[i]) continue;
        text_printf(out, "%simport \"%s\";\n", any ? "" : "\n", names[i]);
        any = true;
    }
}

weir_rc proto_print(text *out, const schema_column *columns, uint32_t count, slice name, proto_nulls nulls, weir_error *err)
{
    printing p = { .nulls = nulls, .messages = 1, .err = err };
    arena *a = arena_new(0);
    type_field *fields = ARENA_ARRAY(a, type_field, count);
    text body = TEXT_EMPTY;
    const char *dot = name.data == NULL ? NULL : memrchr(name.data, '.', name.len);
    slice package = dot == NULL ? NO_SLICE : (slice){ name.data, (size_t)(dot - name.data) };

    if (name.data == NULL) name = SLICE("ConnectDefault1");
    if (dot != NULL) name = (slice){ dot + 1, name.len - package.len - 1 };
    for (uint32_t i = 0; i < count; i++) fields[i] = (type_field){ columns[i].name, columns[i].type };
    weir_rc rc = print_message(&p, &body, name, type_struct(a, fields, count));
    text_add_c(out, "syntax = \"proto3\";\n");
    if (package.data != NULL) text_printf(out, "package %.*s;\n", SLICE_ARG(package));
    print_imports(out, &p);
    text_add_char(out, '\n');
    text_add(out, text_slice(&body));
    text_free(&body);
    arena_free(a);
    return rc;
}
