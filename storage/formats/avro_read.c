/* storage/formats/avro_read.c - the reader of AVRO. A schema met for the first time becomes a list of its fields, each with the
 * column it fills or none; a row is one pass over that list, straight from the bytes into the columns. What no column wants is
 * passed over. Names match as written, else ignoring case; types are brought together as ksqlDB does it. */
#include "storage/formats/avro_format.h"
#include "storage/formats/items.h"

#include "core/number.h"
#include "core/utf8.h"

#include <stdio.h>

#define DEPTH_MAX 200

typedef struct read_field {
    const avro_schema *schema;
    int32_t column; /* -1: nobody wants it */
} read_field;

typedef struct read_plan {
    frame_plan base;
    const avro_schema *root;
    read_field *fields; /* of the record; wrapped only */
    uint32_t count;
} read_plan;

typedef struct avro_in {
    reader_bytes r;
    const char *begin; /* of what the schema describes */
    int32_t schema_id;
    arena *arena;
    uint32_t depth;
    char reason[REASON_BYTES];
} avro_in;

static bool read_value(avro_in *in, const avro_schema *s, const type *t, value *out);

static inline int64_t read_long(avro_in *in) { return read_zigzag(&in->r); }

static inline slice read_string(avro_in *in)
{
    int64_t len = read_long(in);

    if (len < 0 || len > in->r.end - in->r.at) in->r.bad = true;
    const char *at = in->r.bad ? NULL : read_bytes(&in->r, (size_t)len);
    return at == NULL ? SLICE("") : (slice){ at, (size_t)len };
}

/* The numbers of Avro stand in the other byte order than bytes.h reads. */
static inline double read_double(avro_in *in)
{
    uint64_t bits = __builtin_bswap64(read_u64(&in->r));
    double number;

    memcpy(&number, &bits, 8);
    return number;
}

static inline double read_float(avro_in *in)
{
    uint32_t bits = __builtin_bswap32(read_u32(&in->r));
    float number;

    memcpy(&number, &bits, 4);
    return number;
}

/* ---- why a record is bad ---- */

static bool fail_bytes(avro_in *in)
{
    snprintf(in->reason, REASON_BYTES, "the bytes are not of schema %d: by byte %zu of %zu they end too early, or hold what it does not allow",
             in->schema_id, (size_t)(in->r.at - in->begin), (size_t)(in->r.end - in->begin));
    return false;
}

static bool fail_type(avro_in *in, const avro_schema *s, const type *t)
{
    static const char *const names[] = { "null", "boolean", "int", "long", "float", "double", "bytes", "string", "fixed",
                                         "enum", "array", "map", "record", "union" };
    text wanted = TEXT_EMPTY;

    type_print(&wanted, t);
    snprintf(in->reason, REASON_BYTES, "%.100s expected, schema %d has %s", wanted.data, in->schema_id, names[s->kind]);
    text_free(&wanted);
    return false;
}

static bool fail_items(avro_in *in)
{
    snprintf(in->reason, REASON_BYTES, "an array or map of more than %d items", ITEMS_MAX);
    return false;
}

static bool out_of_bounds(avro_in *in, int64_t number, const type *t)
{
    text wanted = TEXT_EMPTY;

    type_print(&wanted, t);
    snprintf(in->reason, REASON_BYTES, "%lld does not fit %.100s", (long long)number, wanted.data);
    text_free(&wanted);
    return false;
}

static bool fail_in_field(avro_in *in, slice name)
{
    reason_in_field(in->reason, name);
    return false;
}

static bool fail_in_item(avro_in *in, uint32_t index)
{
    reason_in_item(in->reason, index);
    return false;
}

static bool fail_in_column(avro_in *in, slice name)
{
    reason_in_column(in->reason, name);
    return false;
}

/* ---- what nobody wants ---- */

static const avro_schema *read_branch(avro_in *in, const avro_schema *s, int64_t *branch)
{
    *branch = read_long(in);
    if (in->r.bad || *branch < 0 || *branch >= s->count) {
        in->r.bad = true;
        return NULL;
    }
    return s->branches[*branch];
}

static bool skip(avro_in *in, const avro_schema *s);

static bool skip_items(avro_in *in, const avro_schema *s)
{
    for (uint64_t total = 0;;) {
        int64_t count = read_long(in);
        if (in->r.bad) return fail_bytes(in);
        if (count == 0) return true;
        if (count < 0) { /* the block's bytes follow: one step over it */
            int64_t bytes = read_long(in);
            if (bytes < 0 || bytes > in->r.end - in->r.at) in->r.bad = true;
            if (in->r.bad || read_bytes(&in->r, (size_t)bytes) == NULL) return fail_bytes(in);
            continue;
        }
        if ((total += (uint64_t)count) > ITEMS_MAX) return fail_items(in);
        for (int64_t i = 0; i < count; i++) {
            if (s->kind == AVRO_MAP) read_string(in);
            if (!skip(in, s->items)) return false;
        }
    }
}

static bool skip_nested(avro_in *in, const avro_schema *s)
{
    int64_t branch;
    bool is_good = true;

    if (++in->depth > DEPTH_MAX) return fail_bytes(in);
    if (s->kind == AVRO_UNION) {
        const avro_schema *part = read_branch(in, s, &branch);
        is_good = part == NULL ? fail_bytes(in) : skip(in, part);
    } else if (s->kind == AVRO_RECORD) {
        for (uint32_t i = 0; is_good && i < s->count; i++) is_good = skip(in, s->fields[i].schema);
    } else {
        is_good = skip_items(in, s);
    }
    in->depth--;
    return is_good;
}

static bool skip(avro_in *in, const avro_schema *s)
{
    switch (s->kind) {
    case AVRO_NULL: break;
    case AVRO_BOOLEAN: read_bytes(&in->r, 1); break;
    case AVRO_INT:
    case AVRO_LONG:
    case AVRO_ENUM: read_varint(&in->r); break;
    case AVRO_FLOAT: read_bytes(&in->r, 4); break;
    case AVRO_DOUBLE: read_bytes(&in->r, 8); break;
    case AVRO_BYTES:
    case AVRO_STRING: read_string(in); break;
    case AVRO_FIXED: read_bytes(&in->r, s->bytes); break;
    default: return skip_nested(in, s);
    }
    return !in->r.bad || fail_bytes(in);
}

/* ---- values ---- */

static slice lend_text(avro_in *in, const text *made)
{
    return arena_copy(in->arena, (slice){ made->data, made->len });
}

static bool read_number(avro_in *in, const avro_schema *s, const type *t, value *out)
{
    int64_t number = read_long(in);

    if (in->r.bad) return fail_bytes(in);
    bool is_int = number >= INT32_MIN && number <= INT32_MAX;
    if (s->kind == AVRO_INT && !is_int) return fail_bytes(in);
    switch (t->kind) {
    case TYPE_INTEGER:
    case TYPE_DATE:
    case TYPE_TIME:
        if (s->kind == AVRO_LONG && t->kind == TYPE_INTEGER) return fail_type(in, s, t);
        if (!is_int) return out_of_bounds(in, number, t);
        out->i32 = (int32_t)number;
        return true;
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP: out->i64 = number; return true;
    case TYPE_STRING: {
        text made = TEXT_EMPTY;
        print_i64(&made, number);
        out->str = lend_text(in, &made);
        text_free(&made);
        return true;
    }
    default: return fail_type(in, s, t);
    }
}

static bool read_fraction(avro_in *in, const avro_schema *s, const type *t, value *out)
{
    double number = s->kind == AVRO_FLOAT ? read_float(in) : read_double(in);

    if (in->r.bad) return fail_bytes(in);
    if (t->kind == TYPE_DOUBLE) {
        out->f64 = number;
        return true;
    }
    if (t->kind != TYPE_STRING) return fail_type(in, s, t);
    text made = TEXT_EMPTY;
    print_double(&made, number);
    out->str = lend_text(in, &made);
    text_free(&made);
    return true;
}

static bool has_digits(decimal number, uint32_t precision)
{
    unsigned __int128 bound = 1;

    for (uint32_t i = 0; i < precision && i < DECIMAL_DIGITS_MAX; i++) bound *= 10;
    return (number < 0 ? 0 - (unsigned __int128)number : (unsigned __int128)number) < bound;
}

static bool read_decimal(avro_in *in, const avro_schema *s, slice bytes, const type *t, value *out)
{
    decimal number;
    char digits[DECIMAL_TEXT_MAX + 8];

    if (!decimal_from_bytes(bytes, &number)) {
        snprintf(in->reason, REASON_BYTES, "DECIMAL(%u, %u) expected, here is one of more than %d digits", t->precision, t->scale,
                 DECIMAL_DIGITS_MAX);
        return false;
    }
    if (s->scale != t->scale || !has_digits(number, t->precision)) { /* by its text: seldom, and rounded as everywhere */
        char *end = write_decimal(digits, number, s->scale);
        if (parse_decimal((slice){ digits, (size_t)(end - digits) }, t->precision, t->scale, ROUND_HALF_UP, &number) != NUMBER_FITS) {
            snprintf(in->reason, REASON_BYTES, "%.*s does not fit DECIMAL(%u, %u)", (int)(end - digits), digits, t->precision,
                     t->scale);
            return false;
        }
    }
    out->dec = number;
    return true;
}

static bool read_blob(avro_in *in, const avro_schema *s, const type *t, value *out)
{
    slice bytes = SLICE("");

    if (s->kind == AVRO_FIXED) bytes = (slice){ read_bytes(&in->r, s->bytes), s->bytes };
    else bytes = read_string(in);
    if (in->r.bad) return fail_bytes(in);
    if (s->logical == LOGICAL_DECIMAL && t->kind == TYPE_DECIMAL) return read_decimal(in, s, bytes, t, out);
    if (t->kind != TYPE_BYTES) return fail_type(in, s, t);
    out->str = bytes;
    return true;
}

static bool read_text(avro_in *in, const avro_schema *s, const type *t, value *out)
{
    if (s->kind == AVRO_ENUM) {
        int64_t symbol = read_long(in);
        if (in->r.bad || symbol < 0 || symbol >= s->count) return fail_bytes(in);
        out->str = s->symbols[symbol];
    } else {
        out->str = read_string(in);
        if (in->r.bad) return fail_bytes(in);
        if (utf8_fault(out->str) >= 0) {
            snprintf(in->reason, REASON_BYTES, "STRING expected, here is no UTF-8 at byte %lld of it", (long long)utf8_fault(out->str));
            return false;
        }
    }
    return t->kind == TYPE_STRING || fail_type(in, s, t);
}

static bool read_entry(avro_in *in, const avro_schema *s, const type *t, value *key, value *v)
{
    int64_t branch;

    if (s->kind == AVRO_MAP) {
        *key = (value){ .str = read_string(in) };
        if (in->r.bad) return fail_bytes(in);
        if (utf8_fault(key->str) >= 0) return fail_bytes(in);
        return (t->key->kind == TYPE_STRING || fail_type(in, s, t)) && read_value(in, s->items, t->element, v);
    }
    const avro_schema *entry = s->items;
    if (entry->kind == AVRO_UNION) entry = read_branch(in, entry, &branch);
    if (entry == NULL || entry->kind != AVRO_RECORD || entry->count != 2) return fail_bytes(in);
    return read_value(in, entry->fields[0].schema, t->key, key) && read_value(in, entry->fields[1].schema, t->element, v);
}

/* Blocks of counted items, a count of 0 at the end. */
static bool read_items(avro_in *in, const avro_schema *s, const type *t, value *out)
{
    bool is_map = t->kind == TYPE_MAP;
    items list = { 0 };
    value key, v;

    if (is_map ? s->kind != AVRO_MAP && !avro_is_map(s) : t->kind != TYPE_ARRAY || s->kind != AVRO_ARRAY) return fail_type(in, s, t);
    for (;;) {
        int64_t count = read_long(in);
        if (count < 0) {
            read_long(in); /* the block's bytes */
            count = count == INT64_MIN ? INT64_MAX : -count;
        }
        if (in->r.bad) return fail_bytes(in);
        if (count == 0) break;
        for (int64_t i = 0; i < count; i++) {
            if (!items_make_room(&list, in->arena, is_map)) return fail_items(in);
            if (!is_map) {
                if (!read_value(in, s->items, t->element, &list.values[list.count])) return fail_in_item(in, list.count);
                list.count++;
                continue;
            }
            if (!read_entry(in, s, t, &key, &v)) return fail_in_item(in, list.count);
            if (!key.is_null) items_put(&list, t->key, &key, &v);
        }
    }
    if (is_map) out->map = (value_map){ list.keys, list.values, list.count };
    else out->list = (value_list){ list.values, list.count };
    return true;
}

static bool read_record(avro_in *in, const avro_schema *s, const type *t, value *out)
{
    if (t->kind != TYPE_STRUCT) return fail_type(in, s, t);
    value *fields = ARENA_ARRAY(in->arena, value, t->field_count);
    for (uint32_t i = 0; i < t->field_count; i++) fields[i] = NULL_VALUE;
    for (uint32_t i = 0; i < s->count; i++) {
        int32_t at = type_find_field(t, s->fields[i].name);
        if (at < 0 ? !skip(in, s->fields[i].schema) : !read_value(in, s->fields[i].schema, t->fields[at].type, &fields[at])) {
            return fail_in_field(in, s->fields[i].name);
        }
    }
    out->list = (value_list){ fields, t->field_count };
    return true;
}

/* Of more than null and one other: a STRUCT with the branch that is there, unless another type is wanted. */
static bool read_union(avro_in *in, const avro_schema *s, const type *t, value *out)
{
    int64_t branch;
    const avro_schema *part = read_branch(in, s, &branch);

    if (part == NULL) return fail_bytes(in);
    if (part->kind == AVRO_NULL) {
        out->is_null = true;
        return true;
    }
    if (s->null_branch >= 0 || t->kind != TYPE_STRUCT) return read_value(in, part, t, out);
    int32_t at = type_find_field(t, avro_branch_name(part, false, in->arena));
    if (at < 0) return part->kind == AVRO_RECORD ? read_value(in, part, t, out) : fail_type(in, part, t);
    value *fields = ARENA_ARRAY(in->arena, value, t->field_count);
    for (uint32_t i = 0; i < t->field_count; i++) fields[i] = NULL_VALUE;
    out->list = (value_list){ fields, t->field_count };
    return read_value(in, part, t->fields[at].type, &fields[at]);
}

static bool read_value(avro_in *in, const avro_schema *s, const type *t, value *out)
{
    bool is_good;

    out->is_null = false;
    switch (s->kind) {
    case AVRO_NULL: out->is_null = true; return true;
    case AVRO_BOOLEAN: {
        uint8_t byte = read_u8(&in->r);
        if (in->r.bad || byte > 1) return fail_bytes(in);
        if (t->kind == TYPE_STRING) out->str = byte ? SLICE("true") : SLICE("false");
        else out->boolean = byte;
        return t->kind == TYPE_STRING || t->kind == TYPE_BOOLEAN || fail_type(in, s, t);
    }
    case AVRO_INT:
    case AVRO_LONG: return read_number(in, s, t, out);
    case AVRO_FLOAT:
    case AVRO_DOUBLE: return read_fraction(in, s, t, out);
    case AVRO_BYTES:
    case AVRO_FIXED: return read_blob(in, s, t, out);
    case AVRO_STRING:
    case AVRO_ENUM: return read_text(in, s, t, out);
    default: break;
    }
    if (++in->depth > DEPTH_MAX) return fail_bytes(in);
    if (s->kind == AVRO_UNION) is_good = read_union(in, s, t, out);
    else if (s->kind == AVRO_RECORD) is_good = read_record(in, s, t, out);
    else is_good = read_items(in, s, t, out);
    in->depth--;
    return is_good;
}

/* A field into its column: what is common goes straight there. */
static inline bool read_column(avro_in *in, const avro_schema *s, column *c, uint32_t r)
{
    value v;

    if (s->kind == AVRO_UNION && s->null_branch >= 0) {
        int64_t branch = read_long(in);
        if (in->r.bad || (uint64_t)branch > 1) return fail_bytes(in);
        if (branch == s->null_branch) {
            c->null[r] = 1;
            return true;
        }
        s = s->branches[branch];
    }
    c->null[r] = 0;
    if (s->kind == AVRO_LONG && (c->type->kind == TYPE_BIGINT || c->type->kind == TYPE_TIMESTAMP)) {
        c->i64[r] = read_long(in);
        return !in->r.bad || fail_bytes(in);
    }
    if (s->kind == AVRO_DOUBLE && c->type->kind == TYPE_DOUBLE) {
        c->f64[r] = read_double(in);
        return !in->r.bad || fail_bytes(in);
    }
    if (!read_value(in, s, c->type, &v)) return false;
    column_set(c, r, &v);
    return true;
}

/* ---- a schema's plan ---- */

/* Links the fields of a record to the columns they fill. */
static void link_fields(avro_format *f, read_plan *p)
{
    const avro_schema *record = avro_not_null(p->root);

    if (record->kind != AVRO_RECORD) {
        p->base.reason = arena_printf(f->arena, "a record is expected, and schema %d is none", p->base.id).data;
        return;
    }
    p->fields = ARENA_ARRAY(f->arena, read_field, record->count);
    p->count = record->count;
    for (uint32_t i = 0; i < record->count; i++) {
        int32_t column = frame_find_column(&f->base, record->fields[i].name);
        if (column >= 0 && !f->base.is_wanted[column]) column = -1;
        p->fields[i] = (read_field){ record->fields[i].schema, column };
    }
}

static bool make_plan(avro_format *f, int32_t id, char *reason)
{
    const registered_schema *found;
    read_plan *p = ARENA_NEW(f->arena, read_plan);
    weir_error err;

    if (!frame_schema_of_record(&f->base, id, SCHEMA_AVRO, &found, reason)) return false;
    p->base = (frame_plan){ .id = id, .next = f->plans };
    if (avro_parse(found->schema.text, f->arena, &p->root, &err) != WEIR_OK) {
        p->base.reason = arena_printf(f->arena, "of schema %d: %s", id, err.message).data;
    } else if (!f->base.spec.is_unwrapped) {
        link_fields(f, p);
    }
    f->plans = &p->base;
    return true;
}

/* The plan of a record's schema; NULL: it cannot be read, the reason says why. */
static const read_plan *find_plan(avro_format *f, int32_t id, char *reason)
{
    if (frame_find_plan(&f->plans, id) == NULL && !make_plan(f, id, reason)) return NULL;
    if (f->plans->reason == NULL) return (const read_plan *)f->plans;
    snprintf(reason, REASON_BYTES, "%s", f->plans->reason);
    return NULL;
}

/* ---- rows ---- */

static bool read_lone(avro_format *f, avro_in *in, const read_plan *p, column *c, uint32_t r)
{
    if (f->base.wanted_count > 0 ? read_column(in, p->root, c, r) : skip(in, p->root)) return true;
    return fail_in_column(in, f->base.columns[0].name);
}

static bool read_fields(avro_format *f, avro_in *in, const read_plan *p, column *columns, uint32_t r)
{
    for (uint32_t i = 0; i < p->count; i++) {
        const read_field *field = &p->fields[i];
        if (field->column < 0) {
            if (!skip(in, field->schema)) return fail_in_field(in, avro_not_null(p->root)->fields[i].name);
        } else if (!read_column(in, field->schema, &columns[field->column], r)) {
            return fail_in_column(in, f->base.columns[field->column].name);
        }
    }
    return true;
}

static bool read_row(avro_format *f, avro_in *in, slice bytes, column *columns, uint32_t r)
{
    int32_t id;
    slice body;

    if (!frame_read(bytes, &id, &body)) {
        frame_reason(in->reason, bytes);
        return false;
    }
    const read_plan *p = find_plan(f, id, in->reason);
    if (p == NULL) return false;
    in->r = read_from(body);
    in->begin = body.data;
    in->schema_id = id;
    in->depth = 0;
    if (f->base.spec.is_unwrapped) {
        if (!read_lone(f, in, p, &columns[0], r)) return false;
    } else {
        if (p->root->kind == AVRO_UNION) {
            int64_t branch = read_long(in);
            if (branch == p->root->null_branch) return true;
            if (branch != 1 - p->root->null_branch) return fail_bytes(in);
        }
        if (!read_fields(f, in, p, columns, r)) return false;
    }
    return in->r.at == in->r.end || fail_bytes(in);
}

row_set avro_decode(format *self, const slice *bytes, row_set rows, arena *a, column *columns, const row_report *report)
{
    avro_format *f = (avro_format *)self;
    survivors alive = { .in = rows };
    avro_in in = { .arena = a };

    EACH_ROW (r, rows) {
        for (uint32_t w = 0; w < self->wanted_count; w++) columns[self->wanted[w]].null[r] = 1;
        if (bytes[r].data != NULL && !read_row(f, &in, bytes[r], columns, r)) {
            if (self->has_failed) return (row_set){ NULL, 0 };
            row_is_lost(&alive, a, r, in.reason, report);
            continue;
        }
        row_survives(&alive, r);
    }
    return survivors_rows(&alive);
}
