/* storage/formats/avro_schema.c - see avro_schema.h. */
#include "storage/formats/avro_schema.h"

#include "core/json.h"
#include "core/json_tree.h"
#include "core/number.h"

#define DEPTH_MAX 100
#define TYPES_MAX 10000
#define CONNECT_NAMESPACE "io.confluent.connect.avro"

static const char *const KIND_NAMES[] = {
    [AVRO_NULL] = "null",   [AVRO_BOOLEAN] = "boolean", [AVRO_INT] = "int",     [AVRO_LONG] = "long",
    [AVRO_FLOAT] = "float", [AVRO_DOUBLE] = "double",   [AVRO_BYTES] = "bytes", [AVRO_STRING] = "string",
    [AVRO_FIXED] = "fixed", [AVRO_ENUM] = "enum",       [AVRO_ARRAY] = "array", [AVRO_MAP] = "map",
    [AVRO_RECORD] = "record", [AVRO_UNION] = "union",
};

/* ---- parsing ---- */

typedef struct named {
    slice name;
    const avro_schema *schema;
    struct named *next;
} named;

typedef struct parsing {
    arena *arena;
    weir_error *err;
    named *names;
    uint32_t depth;
} parsing;

static weir_rc parse_node(parsing *p, const node *from, slice space, const avro_schema **out);

static weir_rc fail_schema(parsing *p, const char *why, slice what)
{
    return weir_fail(p->err, WEIR_SEMANTIC, NOWHERE, "the Avro schema is wrong: %s%s%.*s", why, what.len > 0 ? " " : "",
                     (int)(what.len > 100 ? 100 : what.len), what.data == NULL ? "" : what.data);
}

static slice full_name(parsing *p, slice name, slice space)
{
    if (space.len == 0 || memchr(name.data, '.', name.len) != NULL) return name;
    return arena_printf(p->arena, "%.*s.%.*s", SLICE_ARG(space), SLICE_ARG(name));
}

/* "a.b.C": a.b */
static slice space_of(slice name)
{
    const char *dot = name.len == 0 ? NULL : memrchr(name.data, '.', name.len);
    return dot == NULL ? NO_SLICE : (slice){ name.data, (size_t)(dot - name.data) };
}

static bool primitive_of(slice name, avro_kind *kind)
{
    for (int k = AVRO_NULL; k <= AVRO_STRING; k++) {
        if (!slice_is(name, KIND_NAMES[k])) continue;
        *kind = (avro_kind)k;
        return true;
    }
    return false;
}

static weir_rc parse_name(parsing *p, slice name, slice space, const avro_schema **out)
{
    avro_kind kind;

    if (primitive_of(name, &kind)) {
        avro_schema *s = ARENA_NEW(p->arena, avro_schema);
        *s = (avro_schema){ .kind = kind, .null_branch = -1 };
        *out = s;
        return WEIR_OK;
    }
    for (int whole = 0; whole < 2; whole++) { /* in this namespace, then in none */
        slice wanted = whole ? name : full_name(p, name, space);
        for (const named *n = p->names; n != NULL; n = n->next) {
            if (!slice_equal(n->name, wanted)) continue;
            *out = n->schema;
            return WEIR_OK;
        }
    }
    return fail_schema(p, "there is no type", name);
}

static void read_logical(const node *from, avro_schema *s)
{
    slice word = node_member_text(from, "logicalType"), connect = node_member_text(from, "connect.name");
    int64_t precision = node_member_i64(from, "precision", 0), scale = node_member_i64(from, "scale", 0);

    if (word.data == NULL) word = connect.data == NULL ? SLICE("") : connect;
    bool is_bytes = s->kind == AVRO_BYTES || s->kind == AVRO_FIXED;
    if (is_bytes && (slice_is(word, "decimal") || slice_is(word, "org.apache.kafka.connect.data.Decimal"))) {
        if (precision == 0) precision = node_member_i64(node_member(from, "connect.parameters"), "connect.decimal.precision",
                                                        DECIMAL_PRECISION_DEFAULT);
        if (precision > DECIMAL_PRECISION_MAX) precision = DECIMAL_PRECISION_MAX;
        if (precision < 1 || scale < 0 || scale > precision || scale > DECIMAL_DIGITS_MAX) return; /* as the specification says: the bytes stand for themselves */
        s->logical = LOGICAL_DECIMAL;
        s->precision = (uint8_t)precision;
        s->scale = (uint8_t)scale;
    } else if (s->kind == AVRO_INT && (slice_is(word, "date") || slice_is(word, "org.apache.kafka.connect.data.Date"))) {
        s->logical = LOGICAL_DATE;
    } else if (s->kind == AVRO_INT && (slice_is(word, "time-millis") || slice_is(word, "org.apache.kafka.connect.data.Time"))) {
        s->logical = LOGICAL_TIME_MILLIS;
    } else if (s->kind == AVRO_LONG &&
               (slice_is(word, "timestamp-millis") || slice_is(word, "org.apache.kafka.connect.data.Timestamp"))) {
        s->logical = LOGICAL_TIMESTAMP_MILLIS;
    }
}

static weir_rc parse_union(parsing *p, const node *from, slice space, const avro_schema **out)
{
    avro_schema *s = ARENA_NEW(p->arena, avro_schema);

    *s = (avro_schema){ .kind = AVRO_UNION, .count = from->count, .null_branch = -1 };
    s->branches = ARENA_ARRAY(p->arena, const avro_schema *, from->count);
    if (from->count == 0) return fail_schema(p, "a union of nothing", NO_SLICE);
    for (uint32_t i = 0; i < from->count; i++) {
        WEIR_TRY(parse_node(p, &from->items[i], space, &s->branches[i]));
        if (s->branches[i]->kind == AVRO_UNION) return fail_schema(p, "a union in a union", NO_SLICE);
        if (s->branches[i]->kind == AVRO_NULL && from->count == 2) s->null_branch = (int32_t)i;
    }
    if (s->null_branch >= 0 && s->branches[1 - s->null_branch]->kind == AVRO_NULL) s->null_branch = -1;
    *out = s;
    return WEIR_OK;
}

static weir_rc parse_fields(parsing *p, const node *from, slice space, avro_schema *s)
{
    const node *list = node_member(from, "fields");

    if (list == NULL || list->kind != NODE_ARRAY) return fail_schema(p, "no fields in record", s->name);
    avro_field *fields = ARENA_ZEROS(p->arena, avro_field, list->count);
    s->fields = fields; /* a record may hold itself */
    for (uint32_t i = 0; i < list->count; i++) {
        const node *f = &list->items[i], *t = node_member(f, "type");
        fields[i].name = node_member_text(f, "name");
        if (fields[i].name.len == 0 || t == NULL) return fail_schema(p, "a field without name or type in record", s->name);
        WEIR_TRY(parse_node(p, t, space, &fields[i].schema));
        for (uint32_t k = 0; k < f->count; k++) { /* a default of null counts */
            if (slice_is(f->names[k], "default")) fields[i].default_value = &f->items[k];
        }
        s->count = i + 1;
    }
    s->is_map_entry = slice_is(node_member_text(from, "connect.internal.type"), "MapEntry") ||
                      slice_is(s->name, CONNECT_NAMESPACE ".MapEntry");
    s->is_map_entry = s->is_map_entry && s->count == 2 && slice_is(fields[0].name, "key") && slice_is(fields[1].name, "value");
    return WEIR_OK;
}

static weir_rc parse_symbols(parsing *p, const node *from, avro_schema *s)
{
    const node *list = node_member(from, "symbols");

    if (list == NULL || list->kind != NODE_ARRAY) return fail_schema(p, "no symbols in enum", s->name);
    slice *symbols = ARENA_ARRAY(p->arena, slice, list->count);
    for (uint32_t i = 0; i < list->count; i++) symbols[i] = node_text(&list->items[i]);
    s->symbols = symbols;
    s->count = list->count;
    return WEIR_OK;
}

static weir_rc parse_named(parsing *p, const node *from, avro_kind kind, slice space, const avro_schema **out)
{
    slice name = node_member_text(from, "name"), own = node_member_text(from, "namespace");
    avro_schema *s = ARENA_NEW(p->arena, avro_schema);
    named *n = ARENA_NEW(p->arena, named);

    if (name.len == 0) return fail_schema(p, "no name for a", slice_of(KIND_NAMES[kind]));
    *s = (avro_schema){ .kind = kind, .null_branch = -1, .name = full_name(p, name, own.data != NULL ? own : space) };
    *n = (named){ s->name, s, p->names };
    p->names = n;
    *out = s;
    if (kind == AVRO_RECORD) return parse_fields(p, from, space_of(s->name), s);
    if (kind == AVRO_ENUM) return parse_symbols(p, from, s);
    int64_t bytes = node_member_i64(from, "size", -1);
    if (bytes < 0 || bytes > INT32_MAX) return fail_schema(p, "no size of fixed", s->name);
    s->bytes = (uint32_t)bytes;
    read_logical(from, s);
    return WEIR_OK;
}

static weir_rc parse_items(parsing *p, const node *from, avro_kind kind, slice space, const avro_schema **out)
{
    const node *items = node_member(from, kind == AVRO_ARRAY ? "items" : "values");
    avro_schema *s = ARENA_NEW(p->arena, avro_schema);

    if (items == NULL) return fail_schema(p, "no type of what is in it in", slice_of(KIND_NAMES[kind]));
    *s = (avro_schema){ .kind = kind, .null_branch = -1 };
    *out = s;
    return parse_node(p, items, space, &s->items);
}

static weir_rc parse_object(parsing *p, const node *from, slice space, const avro_schema **out)
{
    const node *t = node_member(from, "type");

    if (t == NULL) return fail_schema(p, "no type in", from->raw);
    if (t->kind != NODE_STRING) return parse_node(p, t, space, out); /* {"type": {...}} */
    slice word = t->string;
    if (slice_is(word, "record") || slice_is(word, "error")) return parse_named(p, from, AVRO_RECORD, space, out);
    if (slice_is(word, "enum")) return parse_named(p, from, AVRO_ENUM, space, out);
    if (slice_is(word, "fixed")) return parse_named(p, from, AVRO_FIXED, space, out);
    if (slice_is(word, "array")) return parse_items(p, from, AVRO_ARRAY, space, out);
    if (slice_is(word, "map")) return parse_items(p, from, AVRO_MAP, space, out);
    avro_kind kind;
    if (!primitive_of(word, &kind)) return parse_name(p, word, space, out);
    avro_schema *s = ARENA_NEW(p->arena, avro_schema);
    *s = (avro_schema){ .kind = kind, .null_branch = -1 };
    read_logical(from, s);
    *out = s;
    return WEIR_OK;
}

static weir_rc parse_node(parsing *p, const node *from, slice space, const avro_schema **out)
{
    weir_rc rc;

    if (++p->depth > DEPTH_MAX) return fail_schema(p, "it is nested too deep", NO_SLICE);
    switch (from->kind) {
    case NODE_STRING: rc = parse_name(p, from->string, space, out); break;
    case NODE_ARRAY: rc = parse_union(p, from, space, out); break;
    case NODE_OBJECT: rc = parse_object(p, from, space, out); break;
    default: rc = fail_schema(p, "no type is", from->raw); break;
    }
    p->depth--;
    return rc;
}

weir_rc avro_parse(slice json, arena *a, const avro_schema **out, weir_error *err)
{
    parsing p = { .arena = a, .err = err };
    node *whole = ARENA_NEW(a, node);
    size_t at;

    if (!node_parse(json, a, whole, &at)) {
        avro_kind kind; /* a bare word, as some registries give a primitive */
        if (primitive_of(json, &kind)) return parse_name(&p, json, NO_SLICE, out);
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "the Avro schema is no JSON: byte %zu", at);
    }
    return parse_node(&p, whole, NO_SLICE, out);
}

/* ---- as SQL types ---- */

static slice cased(slice name, bool upper, arena *a)
{
    char *copy = ARENA_ARRAY(a, char, name.len + 1);

    for (size_t i = 0; i < name.len; i++) {
        copy[i] = upper && name.data[i] >= 'a' && name.data[i] <= 'z' ? (char)(name.data[i] - 0x20) : name.data[i];
    }
    return (slice){ copy, name.len };
}

slice avro_branch_name(const avro_schema *branch, bool upper, arena *a)
{
    slice name = branch->name.len > 0 ? branch->name : slice_of(KIND_NAMES[branch->kind]);
    slice space = space_of(name);

    if (space.data != NULL) name = (slice){ name.data + space.len + 1, name.len - space.len - 1 };
    return cased(name, upper, a);
}

/* Named types may be met many times over; so there is a bound on the types made, too. */
typedef struct typing {
    bool upper;
    arena *arena;
    weir_error *err;
    uint32_t depth, made;
} typing;

static weir_rc type_of(typing *t, const avro_schema *s, const type **out);

static weir_rc struct_type(typing *t, const avro_schema *s, const type **out)
{
    type_field *fields = ARENA_ARRAY(t->arena, type_field, s->count);
    uint32_t count = 0;

    for (uint32_t i = 0; i < s->count; i++) {
        const avro_schema *part = s->kind == AVRO_UNION ? s->branches[i] : s->fields[i].schema;
        if (part->kind == AVRO_NULL) continue;
        fields[count].name = s->kind == AVRO_UNION ? avro_branch_name(part, t->upper, t->arena)
                                                   : cased(s->fields[i].name, t->upper, t->arena);
        WEIR_TRY(type_of(t, part, &fields[count].type));
        count++;
    }
    if (count == 0) {
        return weir_fail(t->err, WEIR_SEMANTIC, NOWHERE, "the Avro schema has a %s without fields", KIND_NAMES[s->kind]);
    }
    *out = type_struct(t->arena, fields, count);
    return WEIR_OK;
}

static weir_rc list_type(typing *t, const avro_schema *s, const type **out)
{
    const type *key = &type_string, *items;
    const avro_schema *item = s->items;
    bool has_entries = avro_is_map(s);

    if (has_entries) {
        const avro_schema *entry = avro_not_null(s->items);
        WEIR_TRY(type_of(t, entry->fields[0].schema, &key));
        item = entry->fields[1].schema;
    }
    WEIR_TRY(type_of(t, item, &items));
    *out = has_entries || s->kind == AVRO_MAP ? type_map(t->arena, key, items) : type_array(t->arena, items);
    return WEIR_OK;
}

static weir_rc nested_type(typing *t, const avro_schema *s, const type **out)
{
    if (++t->depth > DEPTH_MAX || ++t->made > TYPES_MAX) {
        return weir_fail(t->err, WEIR_SEMANTIC, NOWHERE, "the Avro schema holds itself, or is too large%s%.*s: no SQL type does; "
                         "declare the columns that are wanted", s->name.len > 0 ? ", in record " : "", SLICE_ARG(s->name));
    }
    weir_rc rc = s->kind == AVRO_ARRAY || s->kind == AVRO_MAP ? list_type(t, s, out) : struct_type(t, s, out);
    t->depth--;
    return rc;
}

static weir_rc type_of(typing *t, const avro_schema *s, const type **out)
{
    s = avro_not_null(s);
    switch (s->kind) {
    case AVRO_BOOLEAN: *out = &type_boolean; return WEIR_OK;
    case AVRO_INT:
        *out = s->logical == LOGICAL_DATE ? &type_date : s->logical == LOGICAL_TIME_MILLIS ? &type_time : &type_integer;
        return WEIR_OK;
    case AVRO_LONG: *out = s->logical == LOGICAL_TIMESTAMP_MILLIS ? &type_timestamp : &type_bigint; return WEIR_OK;
    case AVRO_FLOAT:
    case AVRO_DOUBLE: *out = &type_double; return WEIR_OK;
    case AVRO_BYTES:
    case AVRO_FIXED:
        *out = s->logical == LOGICAL_DECIMAL ? type_decimal(t->arena, s->precision, s->scale) : &type_bytes;
        return WEIR_OK;
    case AVRO_STRING:
    case AVRO_ENUM: *out = &type_string; return WEIR_OK;
    case AVRO_ARRAY:
    case AVRO_MAP:
    case AVRO_RECORD:
    case AVRO_UNION: return nested_type(t, s, out);
    case AVRO_NULL: break;
    }
    return weir_fail(t->err, WEIR_SEMANTIC, NOWHERE, "the Avro schema has what is always null, for which there is no SQL type");
}

weir_rc avro_type(const avro_schema *s, bool upper, arena *a, const type **out, weir_error *err)
{
    typing t = { .upper = upper, .arena = a, .err = err };

    return type_of(&t, s, out);
}

/* ---- printing ---- */

typedef struct printing {
    text *out;
    text path; /* the full name of what is being printed, which nested records extend */
    uint32_t inside; /* so many records, whose namespace holds for those within */
    weir_error *err;
} printing;

static weir_rc print_type(printing *p, const type *t, bool nullable);

/* "name":"Last","namespace":"all.before" */
static void print_name(printing *p)
{
    slice full = text_slice(&p->path), space = space_of(full);
    slice last = space.data == NULL ? full : (slice){ full.data + space.len + 1, full.len - space.len - 1 };

    text_add_c(p->out, "\"name\":");
    print_json_string(p->out, last);
    if (space.len == 0 || p->inside > 0) return;
    text_add_c(p->out, ",\"namespace\":");
    print_json_string(p->out, space);
}

static void print_connect(printing *p, const char *member, slice name)
{
    text_printf(p->out, ",\"%s\":", member);
    print_json_string(p->out, name);
}

static weir_rc print_within(printing *p, slice name, const type *t)
{
    size_t before = p->path.len;

    p->inside++;
    text_add_char(&p->path, '_');
    text_add(&p->path, name);
    weir_rc rc = print_type(p, t, true);
    p->inside--;
    p->path.len = before;
    p->path.data[before] = '\0';
    return rc;
}

static weir_rc print_field(printing *p, slice name, const type *t, slice path)
{
    if (!slice_is_identifier(name)) {
        return weir_fail(p->err, WEIR_SEMANTIC, NOWHERE,
                         "format AVRO has no field named `%.*s`: letters, digits and _ make a name there", SLICE_ARG(name));
    }
    text_add_c(p->out, "{\"name\":");
    print_json_string(p->out, name);
    text_add_c(p->out, ",\"type\":");
    WEIR_TRY(print_within(p, path, t));
    text_add_c(p->out, ",\"default\":null}");
    return WEIR_OK;
}

static weir_rc print_struct(printing *p, const type *t)
{
    text_add_c(p->out, "{\"type\":\"record\",");
    print_name(p);
    text_add_c(p->out, ",\"fields\":[");
    for (uint32_t i = 0; i < t->field_count; i++) {
        if (i > 0) text_add_char(p->out, ',');
        WEIR_TRY(print_field(p, t->fields[i].name, t->fields[i].type, t->fields[i].name));
    }
    text_add_char(p->out, ']');
    print_connect(p, "connect.name", text_slice(&p->path));
    text_add_char(p->out, '}');
    return WEIR_OK;
}

/* Its keys may be null, as any SQL value: so it is an array of entries, not Avro's map. */
static weir_rc print_map(printing *p, const type *t)
{
    text_add_c(p->out, "{\"type\":\"array\",\"items\":{\"type\":\"record\",");
    print_name(p);
    text_add_c(p->out, ",\"fields\":[");
    WEIR_TRY(print_field(p, SLICE("key"), t->key, SLICE("MapKey")));
    text_add_char(p->out, ',');
    WEIR_TRY(print_field(p, SLICE("value"), t->element, SLICE("MapValue")));
    text_add_c(p->out, "],\"connect.internal.type\":\"MapEntry\"}");
    print_connect(p, "connect.name", text_slice(&p->path));
    text_add_char(p->out, '}');
    return WEIR_OK;
}

static void print_logical(printing *p, const char *kind, const char *connect, const char *logical)
{
    text_printf(p->out, "{\"type\":\"%s\",\"connect.version\":1,\"connect.name\":\"org.apache.kafka.connect.data.%s\","
                        "\"logicalType\":\"%s\"}", kind, connect, logical);
}

static weir_rc print_type(printing *p, const type *t, bool nullable)
{
    weir_rc rc = WEIR_OK;

    if (nullable) text_add_c(p->out, "[\"null\",");
    switch (t->kind) {
    case TYPE_BOOLEAN: text_add_c(p->out, "\"boolean\""); break;
    case TYPE_INTEGER: text_add_c(p->out, "\"int\""); break;
    case TYPE_BIGINT: text_add_c(p->out, "\"long\""); break;
    case TYPE_DOUBLE: text_add_c(p->out, "\"double\""); break;
    case TYPE_BYTES: text_add_c(p->out, "\"bytes\""); break;
    case TYPE_DATE: print_logical(p, "int", "Date", "date"); break;
    case TYPE_TIME: print_logical(p, "int", "Time", "time-millis"); break;
    case TYPE_TIMESTAMP: print_logical(p, "long", "Timestamp", "timestamp-millis"); break;
    case TYPE_DECIMAL:
        text_printf(p->out, "{\"type\":\"bytes\",\"scale\":%u,\"precision\":%u,\"connect.version\":1,\"connect.parameters\":"
                            "{\"scale\":\"%u\",\"connect.decimal.precision\":\"%u\"},\"connect.name\":"
                            "\"org.apache.kafka.connect.data.Decimal\",\"logicalType\":\"decimal\"}",
                    t->scale, t->precision, t->scale, t->precision);
        break;
    case TYPE_ARRAY:
        text_add_c(p->out, "{\"type\":\"array\",\"items\":");
        rc = print_type(p, t->element, true);
        text_add_char(p->out, '}');
        break;
    case TYPE_MAP: rc = print_map(p, t); break;
    case TYPE_STRUCT: rc = print_struct(p, t); break;
    default: text_add_c(p->out, "\"string\""); break;
    }
    if (nullable) text_add_char(p->out, ']');
    return rc;
}

weir_rc avro_print(text *out, const schema_column *columns, uint32_t count, bool is_unwrapped, slice full_name_of_all,
                   weir_error *err)
{
    printing p = { .out = out, .err = err };
    arena *a = arena_new(0);
    weir_rc rc;

    text_add(&p.path, full_name_of_all);
    if (is_unwrapped) {
        rc = print_type(&p, columns[0].type, false);
    } else {
        type_field *fields = ARENA_ARRAY(a, type_field, count);
        for (uint32_t i = 0; i < count; i++) fields[i] = (type_field){ columns[i].name, columns[i].type };
        rc = print_struct(&p, type_struct(a, fields, count));
    }
    text_free(&p.path);
    arena_free(a);
    return rc;
}
