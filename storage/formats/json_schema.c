/* storage/formats/json_schema.c - see json_schema.h. */
#include "storage/formats/json_schema.h"

#include "core/json.h"
#include "core/json_tree.h"
#include "core/number.h"

#define DEPTH_MAX 100
#define TYPES_MAX 10000
#define CONNECT_DATA "org.apache.kafka.connect.data."

/* ---- as types ---- */

typedef struct reading {
    const node *whole;
    bool upper;
    arena *arena;
    weir_error *err;
    uint32_t depth, made;
    bool is_endless; /* it holds itself, or is too large */
} reading;

static weir_rc type_of(reading *r, const node *from, const type **out);

static weir_rc fail_schema(reading *r, const char *why, slice what)
{
    return weir_fail(r->err, WEIR_SEMANTIC, NOWHERE, "the JSON schema has no columns: %s%s%.*s", why, what.len > 0 ? " " : "",
                     (int)(what.len > 100 ? 100 : what.len), what.data == NULL ? "" : what.data);
}

static slice cased(reading *r, slice name)
{
    char *copy = ARENA_ARRAY(r->arena, char, name.len + 1);

    for (size_t i = 0; i < name.len; i++) {
        copy[i] = r->upper && name.data[i] >= 'a' && name.data[i] <= 'z' ? (char)(name.data[i] - 0x20) : name.data[i];
    }
    return (slice){ copy, name.len };
}

/* "#/definitions/Address": within this document. */
static const node *resolve(reading *r, slice reference)
{
    const node *at = r->whole;

    if (reference.len == 0 || reference.data[0] != '#') return NULL;
    reference = (slice){ reference.data + 1, reference.len - 1 };
    while (at != NULL && reference.len > 0 && reference.data[0] == '/') {
        reference = (slice){ reference.data + 1, reference.len - 1 };
        const char *slash = memchr(reference.data, '/', reference.len);
        slice step = { reference.data, slash == NULL ? reference.len : (size_t)(slash - reference.data) };
        at = node_member(at, arena_c_string(r->arena, step));
        reference = (slice){ step.data + step.len, reference.len - step.len };
    }
    return reference.len == 0 ? at : NULL;
}

/* The one alternative that is not null; NULL: there are others. */
static const node *not_null(const node *list)
{
    const node *found = NULL;

    for (uint32_t i = 0; i < list->count; i++) {
        if (slice_is(node_member_text(&list->items[i], "type"), "null")) continue;
        if (found != NULL) return NULL;
        found = &list->items[i];
    }
    return found;
}

/* "string", or ["null", "string"] */
static slice type_word(const node *from)
{
    const node *t = node_member(from, "type");

    if (t == NULL || t->kind != NODE_ARRAY) return node_text(t);
    slice found = NO_SLICE;
    for (uint32_t i = 0; i < t->count; i++) {
        if (slice_is(node_text(&t->items[i]), "null")) continue;
        if (found.data != NULL) return SLICE("several types");
        found = node_text(&t->items[i]);
    }
    return found;
}

static weir_rc decimal_type(reading *r, const node *from, const type **out)
{
    const node *parameters = node_member(from, "connect.parameters");
    int64_t scale, precision = DECIMAL_PRECISION_DEFAULT;
    slice typed = node_member_text(parameters, "scale"), wide = node_member_text(parameters, "connect.decimal.precision");

    if (typed.data == NULL || parse_i64(typed, &scale) != NUMBER_FITS) scale = 0;
    if (wide.data != NULL && parse_i64(wide, &precision) != NUMBER_FITS) precision = DECIMAL_PRECISION_DEFAULT;
    if (precision > DECIMAL_PRECISION_MAX) precision = DECIMAL_PRECISION_MAX;
    if (precision < 1 || scale < 0 || scale > precision || scale > DECIMAL_DIGITS_MAX) return fail_schema(r, "a decimal whose scale is out of bounds", NO_SLICE);
    *out = type_decimal(r->arena, (uint32_t)precision, (uint32_t)scale);
    return WEIR_OK;
}

static weir_rc number_type(reading *r, const node *from, bool is_whole, const type **out)
{
    slice connect = node_member_text(from, "connect.type"), title = node_member_text(from, "title");

    if (connect.data == NULL) connect = SLICE("");
    if (title.data == NULL) title = SLICE("");
    if (slice_is(title, CONNECT_DATA "Decimal") || slice_is(connect, "bytes")) return decimal_type(r, from, out);
    if (slice_is(title, CONNECT_DATA "Date")) *out = &type_date;
    else if (slice_is(title, CONNECT_DATA "Time")) *out = &type_time;
    else if (slice_is(title, CONNECT_DATA "Timestamp")) *out = &type_timestamp;
    else if (!is_whole) *out = &type_double;
    else if (slice_is(connect, "int8") || slice_is(connect, "int16") || slice_is(connect, "int32")) *out = &type_integer;
    else *out = &type_bigint;
    return WEIR_OK;
}

static weir_rc array_type(reading *r, const node *from, const type **out)
{
    const node *items = node_member(from, "items"), *entry = items;
    const type *key, *element;

    if (items == NULL || items->kind != NODE_OBJECT) return fail_schema(r, "an array of no one type of items", NO_SLICE);
    if (slice_is(node_member_text(from, "connect.type"), "map")) {
        entry = node_member(items, "properties");
        if (node_member(entry, "key") == NULL || node_member(entry, "value") == NULL) {
            return fail_schema(r, "a map without key and value", NO_SLICE);
        }
        WEIR_TRY(type_of(r, node_member(entry, "key"), &key));
        WEIR_TRY(type_of(r, node_member(entry, "value"), &element));
        *out = type_map(r->arena, key, element);
        return WEIR_OK;
    }
    WEIR_TRY(type_of(r, items, &element));
    *out = type_array(r->arena, element);
    return WEIR_OK;
}

static weir_rc object_type(reading *r, const node *from, const type **out)
{
    const node *properties = node_member(from, "properties"), *more = node_member(from, "additionalProperties");
    const type *element;
    uint32_t count = properties == NULL ? 0 : properties->count;

    if (slice_is(node_member_text(from, "connect.type"), "map") || (count == 0 && more != NULL && more->kind == NODE_OBJECT)) {
        if (more == NULL || more->kind != NODE_OBJECT) return fail_schema(r, "a map whose values have no type", NO_SLICE);
        WEIR_TRY(type_of(r, more, &element));
        *out = type_map(r->arena, &type_string, element);
        return WEIR_OK;
    }
    if (count == 0) return fail_schema(r, "an object without properties", NO_SLICE);
    type_field *fields = ARENA_ARRAY(r->arena, type_field, count);
    int64_t *place = ARENA_ARRAY(r->arena, int64_t, count);
    uint32_t made_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const node *p = &properties->items[i];
        type_field made = { .name = cased(r, properties->names[i]) };
        int64_t index = node_member_i64(p, "connect.index", i);
        weir_rc rc = type_of(r, p, &made.type);
        if (rc != WEIR_OK && r->is_endless) return rc;
        if (rc != WEIR_OK) continue; /* SQL has no such type: the others are columns */
        uint32_t at = made_count++;
        for (; at > 0 && place[at - 1] > index; at--) { /* few, and mostly in order */
            fields[at] = fields[at - 1];
            place[at] = place[at - 1];
        }
        fields[at] = made;
        place[at] = index;
    }
    if (made_count == 0) return fail_schema(r, "an object without properties that have a type in SQL", NO_SLICE);
    *out = type_struct(r->arena, fields, made_count);
    return WEIR_OK;
}

static weir_rc plain_type(reading *r, const node *from, const type **out)
{
    static const char *const lists[] = { "oneOf", "anyOf" };
    slice word = type_word(from), reference = node_member_text(from, "$ref");

    for (int i = 0; i < 2; i++) {
        const node *list = node_member(from, lists[i]);
        if (list == NULL || list->kind != NODE_ARRAY) continue;
        const node *one = not_null(list);
        return one != NULL ? type_of(r, one, out) : fail_schema(r, "one of several types in", slice_of(lists[i]));
    }
    if (reference.data != NULL) {
        const node *there = resolve(r, reference);
        return there != NULL ? type_of(r, there, out) : fail_schema(r, "nothing stands at", reference);
    }
    if (word.data == NULL && node_member(from, "properties") != NULL) word = SLICE("object");
    if (word.data == NULL && node_member(from, "enum") != NULL) word = SLICE("string");
    if (word.data == NULL) return fail_schema(r, "there is no type in", from->raw);
    if (slice_is(word, "boolean")) *out = &type_boolean;
    else if (slice_is(word, "integer")) return number_type(r, from, true, out);
    else if (slice_is(word, "number")) return number_type(r, from, false, out);
    else if (slice_is(word, "string")) *out = slice_is(node_member_text(from, "connect.type"), "bytes") ? &type_bytes : &type_string;
    else if (slice_is(word, "array")) return array_type(r, from, out);
    else if (slice_is(word, "object")) return object_type(r, from, out);
    else return fail_schema(r, "no column is of type", word);
    return WEIR_OK;
}

static weir_rc type_of(reading *r, const node *from, const type **out)
{
    if (from->kind != NODE_OBJECT) return fail_schema(r, "no schema is", from->raw);
    if (++r->depth > DEPTH_MAX || ++r->made > TYPES_MAX) {
        r->is_endless = true;
        return fail_schema(r, "it holds itself, or is too large; declare the columns that are wanted", NO_SLICE);
    }
    weir_rc rc = plain_type(r, from, out);
    r->depth--;
    return rc;
}

weir_rc json_schema_type(slice json, bool upper, arena *a, const type **out, weir_error *err)
{
    node *whole = ARENA_NEW(a, node);
    size_t at;
    reading r = { .whole = whole, .upper = upper, .arena = a, .err = err };

    if (!node_parse(json, a, whole, &at)) return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "the JSON schema is no JSON: byte %zu", at);
    return type_of(&r, whole, out);
}

/* ---- printing ---- */

static void print_members(text *out, const type *t);

/* index < 0: of no property. */
static void print_nullable(text *out, const type *t, int64_t index)
{
    text_add_char(out, '{');
    if (index >= 0) text_printf(out, "\"connect.index\":%lld,", (long long)index);
    text_add_c(out, "\"oneOf\":[{\"type\":\"null\"},{");
    print_members(out, t);
    text_add_c(out, "}]}");
}

static void print_logical(text *out, const char *name, const char *type, const char *connect)
{
    text_printf(out, "\"type\":\"%s\",\"title\":\"" CONNECT_DATA "%s\",\"connect.version\":1,\"connect.type\":\"%s\"", type, name,
                connect);
}

static void print_members(text *out, const type *t)
{
    switch (t->kind) {
    case TYPE_BOOLEAN: text_add_c(out, "\"type\":\"boolean\""); break;
    case TYPE_INTEGER: text_add_c(out, "\"type\":\"integer\",\"connect.type\":\"int32\""); break;
    case TYPE_BIGINT: text_add_c(out, "\"type\":\"integer\",\"connect.type\":\"int64\""); break;
    case TYPE_DOUBLE: text_add_c(out, "\"type\":\"number\",\"connect.type\":\"float64\""); break;
    case TYPE_BYTES: text_add_c(out, "\"type\":\"string\",\"connect.type\":\"bytes\""); break;
    case TYPE_DATE: print_logical(out, "Date", "integer", "int32"); break;
    case TYPE_TIME: print_logical(out, "Time", "integer", "int32"); break;
    case TYPE_TIMESTAMP: print_logical(out, "Timestamp", "integer", "int64"); break;
    case TYPE_DECIMAL:
        print_logical(out, "Decimal", "number", "bytes");
        text_printf(out, ",\"connect.parameters\":{\"scale\":\"%u\",\"connect.decimal.precision\":\"%u\"}", t->scale, t->precision);
        break;
    case TYPE_ARRAY:
        text_add_c(out, "\"type\":\"array\",\"items\":");
        print_nullable(out, t->element, -1);
        break;
    case TYPE_MAP:
        text_add_c(out, "\"type\":\"object\",\"connect.type\":\"map\",\"additionalProperties\":");
        print_nullable(out, t->element, -1);
        break;
    case TYPE_STRUCT:
        text_add_c(out, "\"type\":\"object\",\"properties\":{");
        for (uint32_t i = 0; i < t->field_count; i++) {
            if (i > 0) text_add_char(out, ',');
            print_json_string(out, t->fields[i].name);
            text_add_char(out, ':');
            print_nullable(out, t->fields[i].type, i);
        }
        text_add_char(out, '}');
        break;
    default: text_add_c(out, "\"type\":\"string\""); break;
    }
}

void json_schema_print(text *out, const schema_column *columns, uint32_t count, bool is_unwrapped)
{
    if (is_unwrapped) {
        text_add_c(out, "{\"oneOf\":[{\"type\":\"null\"},{");
        print_members(out, columns[0].type);
        text_add_c(out, "}]}");
        return;
    }
    arena *a = arena_new(0);
    type_field *fields = ARENA_ARRAY(a, type_field, count);
    for (uint32_t i = 0; i < count; i++) fields[i] = (type_field){ columns[i].name, columns[i].type };
    text_add_char(out, '{');
    print_members(out, type_struct(a, fields, count));
    text_add_char(out, '}');
    arena_free(a);
}
