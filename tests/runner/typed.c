/* tests/runner/typed.c - see typed.h. */
#include "tests/runner/typed.h"

#include "core/bytes.h"
#include "core/json.h"
#include "core/number.h"
#include "storage/registry.h"

/* The columns a record of the side has. schema_id 0: those of the subject's latest schema. */
static bool columns_of(const side *s, int32_t schema_id, arena *a, format_spec *spec, const schema_column **columns,
                       uint32_t *count)
{
    const registered_schema *latest;
    weir_error err;
    bool found;

    *spec = s->spec;
    *columns = s->columns;
    *count = s->count;
    if (!(format_traits_of(spec->name, &found) & FORMAT_SCHEMAS)) return true;
    if (schema_id == 0) {
        if (registry_version(spec->registry, spec->subject, 0, &latest, &err) != WEIR_OK || latest == NULL) return false;
        schema_id = latest->id;
    }
    spec->schema_id = schema_id;
    return format_columns(spec, a, columns, count, &err) == WEIR_OK;
}

/* ---- JSON to values ---- */

static const node *member_nocase(const node *of, slice name)
{
    const node *found = NULL;

    for (uint32_t i = 0; of->kind == NODE_OBJECT && i < of->count; i++) {
        if (slice_equal(of->names[i], name)) return &of->items[i];
        if (found == NULL && slice_equal_nocase(of->names[i], name)) found = &of->items[i];
    }
    return found;
}

static bool node_value(const node *n, const type *t, arena *a, value *out);

static bool bytes_value(slice encoded, arena *a, value *out)
{
    char *decoded = arena_alloc(a, base64_decoded_max(encoded.len));
    size_t len;

    if (!base64_decode(encoded, decoded, &len)) return false;
    out->str = (slice){ decoded, len };
    return true;
}

static bool list_value(const node *n, const type *t, arena *a, value *out)
{
    bool is_map = t->kind == TYPE_MAP;
    value *items = ARENA_ARRAY(a, value, n->count), *keys = ARENA_ARRAY(a, value, n->count);

    if (n->kind != (is_map ? NODE_OBJECT : NODE_ARRAY)) return false;
    for (uint32_t i = 0; i < n->count; i++) {
        const node name = { .kind = NODE_STRING, .string = is_map ? n->names[i] : NO_SLICE };
        if (is_map && !node_value(&name, t->key, a, &keys[i])) return false;
        if (!node_value(&n->items[i], t->element, a, &items[i])) return false;
    }
    if (is_map) out->map = (value_map){ keys, items, n->count };
    else out->list = (value_list){ items, n->count };
    return true;
}

static bool struct_value(const node *n, const type *t, arena *a, value *out)
{
    value *fields = ARENA_ARRAY(a, value, t->field_count);

    if (n->kind != NODE_OBJECT) return false;
    for (uint32_t i = 0; i < t->field_count; i++) {
        if (!node_value(member_nocase(n, t->fields[i].name), t->fields[i].type, a, &fields[i])) return false;
    }
    out->list = (value_list){ fields, t->field_count };
    return true;
}

/* n NULL: a member that is not there. */
static bool node_value(const node *n, const type *t, arena *a, value *out)
{
    slice said = node_text(n);

    *out = (value){ .is_null = said.data == NULL };
    if (out->is_null) return true;
    switch (t->kind) {
    case TYPE_BOOLEAN: out->boolean = slice_is(said, "true"); return out->boolean || slice_is(said, "false");
    case TYPE_INTEGER:
    case TYPE_DATE:
    case TYPE_TIME: return parse_i32(said, &out->i32) == NUMBER_FITS;
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP: return parse_i64(said, &out->i64) == NUMBER_FITS;
    case TYPE_DOUBLE: return parse_double(said, &out->f64);
    case TYPE_DECIMAL: return parse_decimal(said, t->precision, t->scale, ROUND_NEVER, &out->dec) == NUMBER_FITS;
    case TYPE_STRING: out->str = said; return true;
    case TYPE_BYTES: return bytes_value(said, a, out);
    case TYPE_ARRAY:
    case TYPE_MAP: return list_value(n, t, a, out);
    case TYPE_STRUCT: return struct_value(n, t, a, out);
    default: return false;
    }
}

slice typed_encode(const side *s, const node *from, arena *a)
{
    const schema_column *columns;
    uint32_t count;
    format_spec spec;
    format *f;
    weir_error err;
    slice out = NO_SLICE;

    if (!columns_of(s, 0, a, &spec, &columns, &count)) return node_text(from);
    column *all = ARENA_ARRAY(a, column, count);
    for (uint32_t i = 0; i < count; i++) {
        value v;
        const node *n = spec.is_unwrapped ? from : member_nocase(from, columns[i].name);
        if (!node_value(n, columns[i].type, a, &v)) return node_text(from);
        all[i] = column_new(a, columns[i].type, 1);
        column_set(&all[i], 0, &v);
    }
    if (format_open(&f, &spec, columns, count, NULL, a, &err) != WEIR_OK) return node_text(from);
    row_set written = { NULL, 0 };
    if (format_start_writing(f, a, &err) == WEIR_OK) written = format_encode(f, all, (row_set){ NULL, 1 }, a, &out, NULL);
    format_close(f);
    return written.count == 1 ? out : node_text(from);
}

/* ---- values to JSON ---- */

static void print_value(text *out, const type *t, const value *v)
{
    bool is_finite;

    if (v->is_null) {
        text_add_c(out, "null");
        return;
    }
    switch (t->kind) {
    case TYPE_DOUBLE:
        is_finite = v->f64 - v->f64 == 0;
        if (!is_finite) text_add_char(out, '"');
        print_double(out, v->f64);
        if (!is_finite) text_add_char(out, '"');
        return;
    case TYPE_DECIMAL:
        text_add_c(out, "{\"$decimal\": \"");
        print_decimal(out, v->dec, t->scale);
        text_add_c(out, "\"}");
        return;
    case TYPE_BYTES:
        text_add_c(out, "{\"$bytes\": ");
        print_base64(out, v->str);
        text_add_char(out, '}');
        return;
    case TYPE_ARRAY:
        text_add_char(out, '[');
        for (uint32_t i = 0; i < v->list.count; i++) {
            if (i > 0) text_add_c(out, ", ");
            print_value(out, t->element, &v->list.items[i]);
        }
        text_add_char(out, ']');
        return;
    case TYPE_MAP:
        text_add_char(out, '{');
        for (uint32_t i = 0; i < v->map.count; i++) {
            if (i > 0) text_add_c(out, ", ");
            bool is_text = t->key->kind == TYPE_STRING;
            if (!is_text) text_add_char(out, '"');
            print_json_value(out, t->key, &v->map.keys[i]);
            if (!is_text) text_add_char(out, '"');
            text_add_c(out, ": ");
            print_value(out, t->element, &v->map.values[i]);
        }
        text_add_char(out, '}');
        return;
    case TYPE_STRUCT:
        text_add_char(out, '{');
        for (uint32_t i = 0; i < v->list.count; i++) {
            if (i > 0) text_add_c(out, ", ");
            print_json_string(out, t->fields[i].name);
            text_add_c(out, ": ");
            print_value(out, t->fields[i].type, &v->list.items[i]);
        }
        text_add_char(out, '}');
        return;
    default: print_json_value(out, t, v);
    }
}

bool typed_print(const side *s, slice bytes, arena *a, text *out)
{
    const schema_column *columns;
    uint32_t count;
    format_spec spec;
    format *f;
    weir_error err;
    bool found;
    int32_t id = 0;

    if (format_traits_of(s->spec.name, &found) & FORMAT_SCHEMAS) {
        if (bytes.len < 5) return false;
        id = (int32_t)get_u32(bytes.data + 1);
    }
    if (!columns_of(s, id, a, &spec, &columns, &count)) return false;
    if (format_open(&f, &spec, columns, count, NULL, a, &err) != WEIR_OK) return false;
    char *padded = arena_zero(a, bytes.len + 64);
    memcpy(padded, bytes.data, bytes.len);
    bytes.data = padded;
    column *all = ARENA_ARRAY(a, column, count);
    for (uint32_t i = 0; i < count; i++) all[i] = column_new(a, columns[i].type, 1);
    row_set read = format_decode(f, &bytes, (row_set){ NULL, 1 }, a, all, NULL);
    format_close(f);
    if (read.count == 0) return false;
    if (!spec.is_unwrapped) text_add_char(out, '{');
    for (uint32_t i = 0; i < count; i++) {
        value v = column_get(&all[i], 0);
        if (i > 0) text_add_c(out, ", ");
        if (!spec.is_unwrapped) {
            print_json_string(out, columns[i].name);
            text_add_c(out, ": ");
        }
        print_value(out, columns[i].type, &v);
    }
    if (!spec.is_unwrapped) text_add_char(out, '}');
    return true;
}
