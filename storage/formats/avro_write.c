/* storage/formats/avro_write.c - the writer of AVRO: by the schema made of the columns, or the given one, whose defaults stand in
 * for nulls it does not allow. */
#include "storage/formats/avro_format.h"

#include "core/json_tree.h"
#include "core/number.h"

#include <stdio.h>

typedef struct write_field {
    const avro_field *field;
    int32_t column; /* -1: the default, or null */
} write_field;

weir_rc avro_start_writing(format *self, arena *a, weir_error *err)
{
    avro_format *f = (avro_format *)self;
    const registered_schema *given;
    slice name = self->spec.schema_name.data != NULL ? self->spec.schema_name : SLICE(AVRO_DEFAULT_NAME);
    text made = TEXT_EMPTY;
    weir_rc rc;

    (void)a;
    if (self->spec.schema_id > 0) {
        WEIR_TRY(frame_schema(&self->spec, SCHEMA_AVRO, &given, err));
        f->id = given->id;
        WEIR_TRY(avro_parse(given->schema.text, f->arena, &f->root, err));
    } else {
        rc = avro_print(&made, self->columns, self->count, self->spec.is_unwrapped, name, err);
        if (rc == WEIR_OK) rc = frame_register(&self->spec, SCHEMA_AVRO, text_slice(&made), &f->id, err);
        if (rc == WEIR_OK) rc = avro_parse(arena_copy(f->arena, text_slice(&made)), f->arena, &f->root, err);
        text_free(&made);
        if (rc != WEIR_OK) return rc;
    }
    if (self->spec.is_unwrapped) return WEIR_OK;
    const avro_schema *record = avro_not_null(f->root);
    if (record->kind != AVRO_RECORD) return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "schema %d in the registry is no record", f->id);
    f->fields = ARENA_ARRAY(f->arena, write_field, record->count);
    for (uint32_t i = 0; i < record->count; i++) {
        f->fields[i] = (write_field){ &record->fields[i], frame_find_column(self, record->fields[i].name) };
    }
    return WEIR_OK;
}

typedef struct avro_out {
    text *out;
    char reason[REASON_BYTES];
} avro_out;

static bool write_value(avro_out *o, const avro_schema *s, const type *t, const value *v);

static void write_long(avro_out *o, int64_t n)
{
    text_add_varint(o->out, zigzag(n));
}

static void write_string(avro_out *o, slice s)
{
    write_long(o, (int64_t)s.len);
    text_add(o->out, s);
}

static void put_double(avro_out *o, double number, bool is_float)
{
    char at[8];
    uint64_t bits;
    float narrow = (float)number;
    uint32_t narrow_bits;

    if (is_float) {
        memcpy(&narrow_bits, &narrow, 4);
        put_u32(at, __builtin_bswap32(narrow_bits));
    } else {
        memcpy(&bits, &number, 8);
        put_u64(at, __builtin_bswap64(bits));
    }
    text_add(o->out, (slice){ at, is_float ? 4 : 8 });
}

static bool fail_write(avro_out *o, const char *why)
{
    snprintf(o->reason, REASON_BYTES, "the schema in the registry does not take it: %s", why);
    return false;
}

/* The number of the branch of a union with null that is, or is not, null. */
static void write_branch(avro_out *o, const avro_schema *s, bool is_null)
{
    write_long(o, is_null ? s->null_branch : 1 - s->null_branch);
}

/* ---- defaults ---- */

static bool write_default(avro_out *o, const avro_schema *s, const node *n);

static bool write_default_items(avro_out *o, const avro_schema *s, const node *n)
{
    if (n->count > 0) write_long(o, n->count);
    for (uint32_t i = 0; i < n->count; i++) {
        if (s->kind == AVRO_MAP) write_string(o, n->names[i]);
        if (!write_default(o, s->items, &n->items[i])) return false;
    }
    write_long(o, 0);
    return true;
}

static bool write_default_record(avro_out *o, const avro_schema *s, const node *n)
{
    for (uint32_t i = 0; i < s->count; i++) {
        const node *part = s->fields[i].default_value;
        for (uint32_t k = 0; n->kind == NODE_OBJECT && k < n->count; k++) {
            if (slice_equal(n->names[k], s->fields[i].name)) part = &n->items[k];
        }
        if (part == NULL) return fail_write(o, "a default lacks a field");
        if (!write_default(o, s->fields[i].schema, part)) return false;
    }
    return true;
}

/* As written in a schema. */
static bool write_default(avro_out *o, const avro_schema *s, const node *n)
{
    int64_t whole;
    double fraction;

    switch (s->kind) {
    case AVRO_NULL: return true;
    case AVRO_BOOLEAN: text_add_char(o->out, slice_is(n->raw, "true")); return true;
    case AVRO_INT:
    case AVRO_LONG:
        if (parse_i64(n->raw, &whole) != NUMBER_FITS) return fail_write(o, "a default is no number");
        write_long(o, whole);
        return true;
    case AVRO_FLOAT:
    case AVRO_DOUBLE:
        if (!parse_double(n->raw, &fraction)) return fail_write(o, "a default is no number");
        put_double(o, fraction, s->kind == AVRO_FLOAT);
        return true;
    case AVRO_STRING:
    case AVRO_BYTES: write_string(o, node_text(n)); return true;
    case AVRO_FIXED:
        if (node_text(n).len != s->bytes) return fail_write(o, "a default has not its length");
        text_add(o->out, node_text(n));
        return true;
    case AVRO_ENUM:
        for (uint32_t i = 0; i < s->count; i++) {
            if (!slice_equal(s->symbols[i], node_text(n))) continue;
            write_long(o, i);
            return true;
        }
        return fail_write(o, "a default is none of its symbols");
    case AVRO_UNION: /* a default is of the first branch, where it is not null */
        if (s->null_branch >= 0) {
            write_branch(o, s, n->kind == NODE_NULL);
            return n->kind == NODE_NULL || write_default(o, avro_not_null(s), n);
        }
        write_long(o, 0);
        return write_default(o, s->branches[0], n);
    case AVRO_ARRAY:
    case AVRO_MAP: return write_default_items(o, s, n);
    case AVRO_RECORD: return write_default_record(o, s, n);
    }
    return false;
}

/* ---- values ---- */

/* v NULL: there is no such column or field. */
static bool write_field_value(avro_out *o, const avro_field *f, const type *t, const value *v)
{
    if (v != NULL && !v->is_null) return write_value(o, f->schema, t, v);
    if (f->default_value != NULL && (v == NULL || f->schema->kind != AVRO_UNION || f->schema->null_branch < 0)) {
        return write_default(o, f->schema, f->default_value);
    }
    const value none = NULL_VALUE;
    if (write_value(o, f->schema, &type_null, &none)) return true;
    snprintf(o->reason, REASON_BYTES, "the schema in the registry takes no null for field %.*s, and has no default for it",
             SLICE_ARG(f->name));
    return false;
}

static bool write_record(avro_out *o, const avro_schema *s, const type *t, const value *v)
{
    if (t->kind != TYPE_STRUCT) return fail_write(o, "it wants a record");
    for (uint32_t i = 0; i < s->count; i++) {
        int32_t at = type_find_field(t, s->fields[i].name);
        if (!write_field_value(o, &s->fields[i], at < 0 ? &type_null : t->fields[at].type, at < 0 ? NULL : &v->list.items[at])) {
            return false;
        }
    }
    return true;
}

static bool write_items(avro_out *o, const avro_schema *s, const type *t, const value *v)
{
    bool is_map = t->kind == TYPE_MAP;
    uint32_t count = is_map ? v->map.count : v->list.count;

    if (is_map ? s->kind != AVRO_MAP && !avro_is_map(s) : t->kind != TYPE_ARRAY || s->kind != AVRO_ARRAY) {
        return fail_write(o, "it wants another type");
    }
    if (count > 0) write_long(o, count);
    for (uint32_t i = 0; i < count; i++) {
        if (!is_map) {
            if (!write_value(o, s->items, t->element, &v->list.items[i])) return false;
            continue;
        }
        if (s->kind == AVRO_MAP) {
            if (t->key->kind != TYPE_STRING) return fail_write(o, "its maps have strings for keys");
            write_string(o, v->map.keys[i].str);
            if (!write_value(o, s->items, t->element, &v->map.values[i])) return false;
            continue;
        }
        if (s->items->kind == AVRO_UNION) write_branch(o, s->items, false);
        const avro_schema *entry = avro_not_null(s->items);
        if (!write_field_value(o, &entry->fields[0], t->key, &v->map.keys[i])) return false;
        if (!write_field_value(o, &entry->fields[1], t->element, &v->map.values[i])) return false;
    }
    write_long(o, 0);
    return true;
}

static bool write_decimal_bytes(avro_out *o, const avro_schema *s, const type *t, decimal number)
{
    char digits[DECIMAL_TEXT_MAX + 8], bytes[DECIMAL_BYTES_MAX];

    if (s->scale != t->scale) {
        char *end = write_decimal(digits, number, t->scale);
        if (parse_decimal((slice){ digits, (size_t)(end - digits) }, s->precision, s->scale, ROUND_NEVER, &number) != NUMBER_FITS) {
            return fail_write(o, "a decimal of another scale");
        }
    }
    slice held = decimal_to_bytes(bytes, number);
    if (s->kind == AVRO_BYTES) {
        write_string(o, held);
        return true;
    }
    if (held.len > s->bytes) return fail_write(o, "a decimal of fewer bytes");
    for (size_t i = held.len; i < s->bytes; i++) text_add_char(o->out, number < 0 ? (char)0xFF : 0);
    text_add(o->out, held);
    return true;
}

static bool write_blob(avro_out *o, const avro_schema *s, const type *t, const value *v)
{
    if (t->kind == TYPE_DECIMAL && s->logical == LOGICAL_DECIMAL) return write_decimal_bytes(o, s, t, v->dec);
    if (t->kind != TYPE_BYTES) return fail_write(o, "it wants bytes");
    if (s->kind == AVRO_BYTES) {
        write_string(o, v->str);
        return true;
    }
    if (v->str.len != s->bytes) return fail_write(o, "bytes of another length");
    text_add(o->out, v->str);
    return true;
}

static bool write_union(avro_out *o, const avro_schema *s, const type *t, const value *v)
{
    if (s->null_branch >= 0) {
        write_branch(o, s, v->is_null);
        return v->is_null || write_value(o, avro_not_null(s), t, v);
    }
    arena *a = arena_new(256);
    bool is_done = false, is_good = false;
    for (uint32_t i = 0; i < s->count && !is_done; i++) {
        const avro_schema *part = s->branches[i];
        int32_t at = -1;
        if (v->is_null ? part->kind != AVRO_NULL : part->kind == AVRO_NULL) continue;
        if (!v->is_null && t->kind == TYPE_STRUCT) at = type_find_field(t, avro_branch_name(part, false, a));
        if (!v->is_null && (at < 0 || v->list.items[at].is_null)) continue;
        write_long(o, i);
        is_good = v->is_null || write_value(o, part, t->fields[at].type, &v->list.items[at]);
        is_done = true;
    }
    arena_free(a);
    return is_done ? is_good : fail_write(o, "no branch of its union is given");
}

static bool write_number(avro_out *o, const avro_schema *s, const type *t, const value *v)
{
    int64_t number;

    switch (t->kind) {
    case TYPE_INTEGER:
    case TYPE_DATE:
    case TYPE_TIME: number = v->i32; break;
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP: number = v->i64; break;
    default: return fail_write(o, "it wants a whole number");
    }
    if (s->kind == AVRO_INT && (number < INT32_MIN || number > INT32_MAX)) return fail_write(o, "the number is too large for an int");
    write_long(o, number);
    return true;
}

static bool write_symbol(avro_out *o, const avro_schema *s, slice symbol)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (!slice_equal(s->symbols[i], symbol)) continue;
        write_long(o, i);
        return true;
    }
    return fail_write(o, "the text is none of its enum's symbols");
}

static bool write_value(avro_out *o, const avro_schema *s, const type *t, const value *v)
{
    if (s->kind == AVRO_UNION) return write_union(o, s, t, v);
    if (v->is_null) return s->kind == AVRO_NULL || fail_write(o, "a null where it has none");
    switch (s->kind) {
    case AVRO_BOOLEAN:
        if (t->kind != TYPE_BOOLEAN) return fail_write(o, "it wants a boolean");
        text_add_char(o->out, v->boolean);
        return true;
    case AVRO_INT:
    case AVRO_LONG: return write_number(o, s, t, v);
    case AVRO_FLOAT:
    case AVRO_DOUBLE:
        if (t->kind != TYPE_DOUBLE) return fail_write(o, "it wants a double");
        put_double(o, v->f64, s->kind == AVRO_FLOAT);
        return true;
    case AVRO_BYTES:
    case AVRO_FIXED: return write_blob(o, s, t, v);
    case AVRO_STRING:
        if (t->kind != TYPE_STRING) return fail_write(o, "it wants a string");
        write_string(o, v->str);
        return true;
    case AVRO_ENUM: return t->kind == TYPE_STRING ? write_symbol(o, s, v->str) : fail_write(o, "it wants a string");
    case AVRO_ARRAY:
    case AVRO_MAP: return write_items(o, s, t, v);
    case AVRO_RECORD: return write_record(o, s, t, v);
    default: return fail_write(o, "it wants null");
    }
}

/* ---- rows ---- */

static bool write_row(avro_format *f, avro_out *o, const column *columns, uint32_t r)
{
    if (f->base.spec.is_unwrapped) {
        value v = column_get(&columns[0], r);
        return write_value(o, f->root, columns[0].type, &v);
    }
    const avro_schema *record = avro_not_null(f->root);
    if (f->root->kind == AVRO_UNION) write_branch(o, f->root, false);
    for (uint32_t i = 0; i < record->count; i++) {
        const write_field *w = &f->fields[i];
        value v = w->column < 0 ? NULL_VALUE : column_get(&columns[w->column], r);
        const type *t = w->column < 0 ? &type_null : columns[w->column].type;
        if (!write_field_value(o, w->field, t, w->column < 0 ? NULL : &v)) return false;
    }
    return true;
}

row_set avro_encode(format *self, const column *columns, row_set rows, arena *a, slice *out, const row_report *report)
{
    avro_format *f = (avro_format *)self;
    survivors alive = { .in = rows };
    avro_out o = { .out = &f->out };
    char frame[FRAME_BYTES];

    frame_write(frame, f->id);
    EACH_ROW (r, rows) {
        out[r] = NO_SLICE;
        if (!self->spec.is_unwrapped || !columns[0].null[r]) {
            text_clear(&f->out);
            text_add(&f->out, (slice){ frame, FRAME_BYTES });
            if (f->root == NULL || !write_row(f, &o, columns, r)) {
                row_is_lost(&alive, a, r, f->root == NULL ? "the format has not been started for writing" : o.reason, report);
                continue;
            }
            out[r] = arena_copy(a, text_slice(&f->out));
        }
        row_survives(&alive, r);
    }
    return survivors_rows(&alive);
}
