/* storage/formats/protobuf.c - PROTOBUF: the frame, where in the schema's file the message stands, then the message; and
 * PROTOBUF_NOSR: the message alone, of the declared columns.
 * A schema's message and the columns are linked once: each field knows where its value goes, and what nobody wants is passed
 * over by its wire type. Of a field given twice the last counts; those without presence are their default where absent. */
#include "storage/formats/frame.h"
#include "storage/formats/items.h"
#include "storage/formats/proto_schema.h"

#include "core/date.h"
#include "core/number.h"
#include "core/utf8.h"

#include <stdio.h>

#define DEPTH_MAX 100
#define IMPORTS_MAX 64
#define NEAR_NUMBERS 128 /* fields with smaller numbers are found without a search */

/* A message, as far as a STRUCT of the reader wants it, or a STRUCT as far as a message takes it. */
typedef struct link link;

struct link {
    const proto_message *message;
    const type *type;    /* STRUCT */
    int32_t *place;      /* of each field of the message: its place in the STRUCT, or -1 */
    link **within;       /* of fields that are messages with fields: their own */
    int16_t near[NEAR_NUMBERS]; /* by number: 1 + the field, or 0 */
};

typedef struct read_plan {
    frame_plan base;
    proto_file file;
    link **roots;        /* by message; made when first met */
    const char **unfit;  /* by message: why the columns are not to be had of it */
} read_plan;

typedef struct protobuf_format {
    format base;
    arena *arena;
    const type *type;    /* the columns as a STRUCT, unwanted ones too */
    frame_plan *plans;   /* read_plans */
    bool has_registry;
    link *writer;
    char frame[FRAME_BYTES + 64];
    size_t frame_bytes;
    text out;
} protobuf_format;

/* ---- setting up ---- */

static bool has_frame(const format_spec *spec)
{
    return !slice_equal_nocase(spec->name, SLICE("PROTOBUF_NOSR"));
}

static weir_rc protobuf_check(const format_spec *spec, const schema_column *columns, uint32_t count, weir_error *err)
{
    text ignored = TEXT_EMPTY;

    weir_rc rc = proto_print(&ignored, columns, count, NO_SLICE, (proto_nulls)spec->nulls, err);
    text_free(&ignored);
    return rc;
}

static weir_rc protobuf_open(format *self, arena *a, weir_error *err)
{
    protobuf_format *f = (protobuf_format *)self;
    type_field *fields = ARENA_ARRAY(a, type_field, self->count);

    f->has_registry = has_frame(&self->spec);
    if (f->has_registry) WEIR_TRY(need_registry(&self->spec, err));
    for (uint32_t i = 0; i < self->count; i++) fields[i] = (type_field){ self->columns[i].name, self->columns[i].type };
    f->type = type_struct(a, fields, self->count);
    f->arena = arena_new(0);
    return WEIR_OK;
}

static void protobuf_close(format *self)
{
    protobuf_format *f = (protobuf_format *)self;

    arena_free(f->arena);
    text_free(&f->out);
}

/* ---- schemas ---- */

typedef struct imports {
    proto_import items[IMPORTS_MAX];
    uint32_t count;
    uint32_t depth;
} imports;

/* What the schema refers to, each behind what it refers to itself. */
static weir_rc fetch_imports(registry *r, const schema_text *of, imports *out, weir_error *err)
{
    const registered_schema *there;

    if (++out->depth > DEPTH_MAX) return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "the Protobuf schema's references go round in circles");
    for (uint32_t i = 0; i < of->reference_count; i++) {
        const schema_reference *ref = &of->references[i];
        bool is_there = false;
        for (uint32_t k = 0; k < out->count; k++) is_there |= slice_equal(out->items[k].name, ref->name);
        if (is_there) continue;
        WEIR_TRY(registry_version(r, ref->subject, ref->version, &there, err));
        if (there == NULL) {
            return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "the Protobuf schema refers to %.*s, subject %.*s, which the registry has not",
                             SLICE_ARG(ref->name), SLICE_ARG(ref->subject));
        }
        WEIR_TRY(fetch_imports(r, &there->schema, out, err));
        if (out->count == IMPORTS_MAX) return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "the Protobuf schema has more than %d imports", IMPORTS_MAX);
        out->items[out->count++] = (proto_import){ ref->name, there->schema.text };
    }
    out->depth--;
    return WEIR_OK;
}

static weir_rc parse_schema(registry *r, const schema_text *schema, arena *a, proto_file *out, weir_error *err)
{
    imports needed = { .count = 0 };

    if (r != NULL) WEIR_TRY(fetch_imports(r, schema, &needed, err));
    return proto_parse(schema->text, needed.items, needed.count, a, out, err);
}

static weir_rc find_message(const format_spec *spec, const proto_file *file, const proto_message **out, weir_error *err)
{
    *out = proto_find(file, spec->schema_name);
    if (*out != NULL) return WEIR_OK;
    return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "the Protobuf schema has no message%s%.*s",
                     spec->schema_name.data == NULL ? "" : " ", (int)spec->schema_name.len,
                     spec->schema_name.data == NULL ? "" : spec->schema_name.data);
}

static weir_rc protobuf_columns(const format_spec *spec, arena *a, const schema_column **columns, uint32_t *count, weir_error *err)
{
    const registered_schema *found;
    const proto_message *m;
    const type *t;
    proto_file file;

    WEIR_TRY(frame_schema(spec, SCHEMA_PROTOBUF, &found, err));
    WEIR_TRY(parse_schema(spec->registry, &found->schema, a, &file, err));
    WEIR_TRY(find_message(spec, &file, &m, err));
    WEIR_TRY(proto_type(m, spec->schema_id <= 0, a, &t, err));
    return frame_columns_of(spec, found->id, t, a, columns, count, err);
}

#define SCHEMA_WORDS_BYTES 32

/* "schema 5"; 0: the one that the columns make. */
static const char *schema_words(int32_t id, char *words)
{
    if (id > 0) snprintf(words, SCHEMA_WORDS_BYTES, "schema %d", id);
    else snprintf(words, SCHEMA_WORDS_BYTES, "the columns' schema");
    return words;
}

/* ---- linking ---- */

typedef struct linking {
    arena *arena;
    const bool *is_wanted; /* at the top, by place; NULL: all */
    char *reason;
    int32_t schema_id;
    uint32_t depth;
} linking;

static bool is_signed_32(proto_kind k)
{
    return k == PROTO_INT32 || k == PROTO_SINT32 || k == PROTO_SFIXED32;
}

static bool is_whole(proto_kind k)
{
    switch (k) {
    case PROTO_INT64:
    case PROTO_UINT64:
    case PROTO_INT32:
    case PROTO_FIXED64:
    case PROTO_FIXED32:
    case PROTO_UINT32:
    case PROTO_SFIXED32:
    case PROTO_SFIXED64:
    case PROTO_SINT32:
    case PROTO_SINT64: return true;
    default: return false;
    }
}

static bool item_fits(const proto_field *f, const type *t)
{
    proto_known known = f->kind == PROTO_MESSAGE ? f->message->known : KNOWN_NONE;

    if (known == KNOWN_WRAPPER) return item_fits(&f->message->fields[0], t);
    switch (t->kind) {
    case TYPE_BOOLEAN: return f->kind == PROTO_BOOL;
    case TYPE_INTEGER: return is_signed_32(f->kind);
    case TYPE_BIGINT: return is_whole(f->kind);
    case TYPE_DOUBLE: return f->kind == PROTO_DOUBLE || f->kind == PROTO_FLOAT;
    case TYPE_STRING: return f->kind == PROTO_STRING || f->kind == PROTO_ENUM;
    case TYPE_BYTES: return f->kind == PROTO_BYTES;
    case TYPE_DECIMAL: return known == KNOWN_DECIMAL;
    case TYPE_DATE: return known == KNOWN_DATE;
    case TYPE_TIME: return known == KNOWN_TIME;
    case TYPE_TIMESTAMP: return known == KNOWN_TIMESTAMP;
    case TYPE_STRUCT: return f->kind == PROTO_MESSAGE && known == KNOWN_NONE;
    default: return false;
    }
}

static bool fits(const proto_field *f, const type *t)
{
    if (t->kind == TYPE_MAP) {
        return f->is_map && item_fits(&f->message->fields[0], t->key) && item_fits(&f->message->fields[1], t->element);
    }
    if (t->kind == TYPE_ARRAY) return f->is_repeated && !f->is_map && item_fits(f, t->element);
    return !f->is_repeated && item_fits(f, t);
}

static link *make_link(linking *l, const proto_message *m, const type *t);

/* The type of what a message field holds, one of them: a STRUCT, or of an entry a STRUCT of key and value. */
static link *link_within(linking *l, const proto_field *f, const type *t)
{
    if (f->kind != PROTO_MESSAGE) return NULL;
    if (t->kind == TYPE_MAP) {
        const type_field entry[] = { { SLICE("key"), t->key }, { SLICE("value"), t->element } };
        return make_link(l, f->message, type_struct(l->arena, entry, 2));
    }
    if (t->kind == TYPE_ARRAY) t = t->element;
    return t->kind == TYPE_STRUCT ? make_link(l, f->message, t) : NULL;
}

/* NULL: they do not go together; the reason says why. */
static link *make_link(linking *l, const proto_message *m, const type *t)
{
    link *made = ARENA_NEW(l->arena, link);
    bool is_top = l->depth++ == 0;

    *made = (link){ .message = m, .type = t, .place = ARENA_ARRAY(l->arena, int32_t, m->count),
                    .within = ARENA_ZEROS(l->arena, link *, m->count) };
    for (uint32_t i = 0; i < m->count; i++) {
        const proto_field *f = &m->fields[i];
        int32_t at = type_find_field(t, f->name);
        if (at >= 0 && is_top && l->is_wanted != NULL && !l->is_wanted[at]) at = -1;
        made->place[i] = at;
        if (f->number < NEAR_NUMBERS && i < INT16_MAX) made->near[f->number] = (int16_t)(i + 1);
        if (at < 0) continue;
        const type *wanted = t->fields[at].type;
        if (!fits(f, wanted)) {
            text shown = TEXT_EMPTY;
            type_print(&shown, wanted);
            char schema[SCHEMA_WORDS_BYTES];
            const proto_field *entry = f->is_map ? f->message->fields : NULL;
            snprintf(l->reason, REASON_BYTES, "%.100s expected, %s has %s%s%s%s%s", shown.data, schema_words(l->schema_id, schema),
                     f->is_map ? "map<" : f->is_repeated ? "repeated " : "", proto_kind_name(f->is_map ? entry[0].kind : f->kind),
                     f->is_map ? ", " : "", f->is_map ? proto_kind_name(entry[1].kind) : "", f->is_map ? ">" : "");
            text_free(&shown);
            reason_in_field(l->reason, t->fields[at].name);
            return NULL;
        }
        made->within[i] = link_within(l, f, wanted);
        bool is_nested = f->kind == PROTO_MESSAGE && (f->is_map || f->message->known == KNOWN_NONE);
        if (is_nested && made->within[i] == NULL) {
            reason_in_field(l->reason, t->fields[at].name);
            return NULL;
        }
    }
    l->depth--;
    return made;
}

/* ---- reading ---- */

typedef struct proto_in {
    arena *arena;
    uint32_t depth;
    int32_t schema_id;
    char reason[REASON_BYTES];
} proto_in;

static bool read_message(proto_in *in, const link *l, slice bytes, value *out);

static bool fail_bytes(proto_in *in)
{
    char schema[SCHEMA_WORDS_BYTES];

    snprintf(in->reason, REASON_BYTES, "the bytes are no Protobuf message of %s: they end too early, or hold what it does not allow",
             schema_words(in->schema_id, schema));
    return false;
}

static bool fail_in_field(proto_in *in, slice name)
{
    reason_in_field(in->reason, name);
    return false;
}

static bool fail_in_item(proto_in *in, uint32_t index)
{
    reason_in_item(in->reason, index);
    return false;
}

/* Another type of field stands in the record than its schema says. */
static bool fail_wire(proto_in *in, const proto_field *f, uint32_t wire)
{
    char schema[SCHEMA_WORDS_BYTES];

    snprintf(in->reason, REASON_BYTES, "%s expected by %s, here is a field of wire type %u", proto_kind_name(f->kind),
             schema_words(in->schema_id, schema), wire);
    return false;
}

static uint64_t read_little(reader_bytes *r, size_t bytes)
{
    return bytes == 4 ? __builtin_bswap32(read_u32(r)) : __builtin_bswap64(read_u64(r));
}

static bool skip_field(reader_bytes *r, uint32_t wire)
{
    switch (wire) {
    case 0: read_varint(r); break;
    case 1: read_bytes(r, 8); break;
    case 2: read_slice(r); break;
    case 5: read_bytes(r, 4); break;
    default: r->bad = true; /* groups are of the past */
    }
    return !r->bad;
}

static uint32_t wire_of(proto_kind k)
{
    switch (k) {
    case PROTO_DOUBLE:
    case PROTO_FIXED64:
    case PROTO_SFIXED64: return 1;
    case PROTO_FLOAT:
    case PROTO_FIXED32:
    case PROTO_SFIXED32: return 5;
    case PROTO_STRING:
    case PROTO_BYTES:
    case PROTO_MESSAGE: return 2;
    default: return 0;
    }
}

static void read_enum(proto_in *in, const proto_field *f, int32_t number, value *out)
{
    for (uint32_t i = 0; i < f->symbol_count; i++) {
        if (f->symbols[i].number != number) continue;
        out->str = f->symbols[i].name;
        return;
    }
    out->str = arena_printf(in->arena, "UNKNOWN_ENUM_VALUE_%.*s_%d", SLICE_ARG(f->name), number);
}

static void read_number(proto_in *in, const proto_field *f, reader_bytes *r, const type *t, value *out)
{
    uint64_t bits;
    float narrow;
    uint32_t low;
    int64_t number;

    switch (f->kind) {
    case PROTO_DOUBLE: bits = read_little(r, 8); memcpy(&out->f64, &bits, 8); return;
    case PROTO_FLOAT:
        low = (uint32_t)read_little(r, 4);
        memcpy(&narrow, &low, 4);
        out->f64 = narrow;
        return;
    case PROTO_BOOL: out->boolean = read_varint(r) != 0; return;
    case PROTO_ENUM: read_enum(in, f, (int32_t)read_varint(r), out); return;
    case PROTO_INT32: number = (int32_t)read_varint(r); break;
    case PROTO_UINT32: number = (uint32_t)read_varint(r); break;
    case PROTO_SINT32:
    case PROTO_SINT64: number = read_zigzag(r); break;
    case PROTO_FIXED32: number = (uint32_t)read_little(r, 4); break;
    case PROTO_SFIXED32: number = (int32_t)read_little(r, 4); break;
    case PROTO_FIXED64:
    case PROTO_SFIXED64: number = (int64_t)read_little(r, 8); break;
    default: number = (int64_t)read_varint(r); break;
    }
    if (t->kind == TYPE_INTEGER) out->i32 = (int32_t)number;
    else out->i64 = number;
}

/* The numbers of a message that stands for one value, by field number; absent: 0. */
static bool read_numbers(proto_in *in, slice bytes, int64_t *numbers, uint32_t count, slice *blob)
{
    reader_bytes r = read_from(bytes);

    memset(numbers, 0, sizeof *numbers * (count + 1));
    if (blob != NULL) *blob = SLICE("");
    while (r.at < r.end && !r.bad) {
        uint64_t tag = read_varint(&r);
        if ((tag & 7) == 0 && tag >> 3 <= count) numbers[tag >> 3] = (int64_t)read_varint(&r);
        else if (blob != NULL && tag == (1 << 3 | 2)) *blob = read_slice(&r);
        else skip_field(&r, tag & 7);
    }
    return !r.bad || fail_bytes(in);
}

static bool read_decimal(proto_in *in, slice bytes, const proto_field *f, const type *t, value *out)
{
    int64_t n[4];
    slice unscaled;
    char digits[DECIMAL_TEXT_MAX + 8];

    if (!read_numbers(in, bytes, n, 3, &unscaled)) return false;
    if (!decimal_from_bytes(unscaled, &out->dec)) return fail_bytes(in);
    int64_t scale = (int32_t)n[3];
    if (scale == 0 && n[2] == 0 && f->precision > 0) scale = f->scale;
    if (scale < 0 || scale > DECIMAL_DIGITS_MAX) return fail_bytes(in);
    char *end = write_decimal(digits, out->dec, (uint32_t)scale);
    if (parse_decimal((slice){ digits, (size_t)(end - digits) }, t->precision, t->scale, ROUND_HALF_UP, &out->dec) == NUMBER_FITS) {
        return true;
    }
    snprintf(in->reason, REASON_BYTES, "%.*s does not fit DECIMAL(%u, %u)", (int)(end - digits), digits, t->precision, t->scale);
    return false;
}

static bool read_known(proto_in *in, const proto_field *f, slice bytes, const type *t, value *out);

static bool read_item(proto_in *in, const proto_field *f, const link *within, reader_bytes *r, const type *t, value *out)
{
    out->is_null = false;
    if (wire_of(f->kind) != 2) {
        read_number(in, f, r, t, out);
        return !r->bad || fail_bytes(in);
    }
    slice bytes = read_slice(r);
    if (r->bad) return fail_bytes(in);
    if (f->kind == PROTO_MESSAGE) {
        return f->message->known == KNOWN_NONE ? read_message(in, within, bytes, out) : read_known(in, f, bytes, t, out);
    }
    out->str = bytes;
    if (f->kind == PROTO_BYTES || utf8_fault(bytes) < 0) return true;
    snprintf(in->reason, REASON_BYTES, "STRING expected, here is no UTF-8 at byte %lld of it", (long long)utf8_fault(bytes));
    return false;
}

/* What a field without presence is where it is absent. */
static void default_of(proto_in *in, const proto_field *f, value *out)
{
    memset(out, 0, sizeof *out);
    if (f->is_repeated) return;
    if (f->kind == PROTO_ENUM) read_enum(in, f, f->symbol_count > 0 ? f->symbols[0].number : 0, out);
    if (f->kind == PROTO_STRING || f->kind == PROTO_BYTES) out->str = SLICE("");
}

static bool read_wrapper(proto_in *in, const proto_field *f, slice bytes, const type *t, value *out)
{
    const proto_field *one = &f->message->fields[0];
    reader_bytes r = read_from(bytes);

    default_of(in, one, out);
    while (r.at < r.end && !r.bad) {
        uint64_t tag = read_varint(&r);
        if (tag == (one->number << 3 | wire_of(one->kind))) {
            if (!read_item(in, one, NULL, &r, t, out)) return false;
        } else {
            skip_field(&r, tag & 7);
        }
    }
    return !r.bad || fail_bytes(in);
}

static bool read_known(proto_in *in, const proto_field *f, slice bytes, const type *t, value *out)
{
    int64_t n[5];

    switch (f->message->known) {
    case KNOWN_TIMESTAMP:
        if (!read_numbers(in, bytes, n, 2, NULL)) return false;
        if (__builtin_mul_overflow(n[1], 1000, &out->i64) || __builtin_add_overflow(out->i64, n[2] / 1000000, &out->i64)) return fail_bytes(in);
        return true;
    case KNOWN_DATE:
        if (!read_numbers(in, bytes, n, 3, NULL)) return false;
        if (n[1] == 0 && n[2] == 0 && n[3] == 0) { /* no date at all: what a null in a list was written as */
            out->is_null = true;
            return true;
        }
        if (n[1] < 1 || n[1] > 9999 || n[2] < 1 || n[2] > 12 || n[3] < 1 || n[3] > 31) return fail_bytes(in);
        out->i32 = (int32_t)days_of((civil_date){ (int32_t)n[1], (uint32_t)n[2], (uint32_t)n[3] });
        return true;
    case KNOWN_TIME:
        if (!read_numbers(in, bytes, n, 4, NULL)) return false;
        if (n[1] < 0 || n[1] > 24 || n[2] < 0 || n[2] > 59 || n[3] < 0 || n[3] > 60) return fail_bytes(in);
        out->i32 = (int32_t)(((n[1] * 60 + n[2]) * 60 + n[3]) * 1000 + n[4] / 1000000);
        return true;
    case KNOWN_DECIMAL: return read_decimal(in, bytes, f, t, out);
    default: return read_wrapper(in, f, bytes, t, out);
    }
}

static bool fail_items(proto_in *in)
{
    snprintf(in->reason, REASON_BYTES, "an array or map of more than %d items", ITEMS_MAX);
    return false;
}

/* One occurrence of a repeated field: an item, an entry, or, packed, any number of items. */
static bool read_repeated(proto_in *in, const proto_field *f, const link *within, reader_bytes *r, uint32_t wire, const type *t,
                          items *list)
{
    value item;

    if (f->is_map) {
        slice bytes = read_slice(r);
        if (wire != 2) return fail_wire(in, f, wire);
        if (r->bad) return fail_bytes(in);
        if (!read_message(in, within, bytes, &item)) return fail_in_item(in, list->count);
        if (!items_make_room(list, in->arena, true)) return fail_items(in);
        items_put(list, t->key, &item.list.items[0], &item.list.items[1]);
        return true;
    }
    if (wire == 2 && wire_of(f->kind) != 2) { /* packed */
        slice bytes = read_slice(r);
        if (r->bad) return fail_bytes(in);
        reader_bytes inner = read_from(bytes);
        while (inner.at < inner.end) {
            if (!items_make_room(list, in->arena, false)) return fail_items(in);
            if (!read_item(in, f, NULL, &inner, t->element, &list->values[list->count])) return fail_in_item(in, list->count);
            list->count++;
        }
        return true;
    }
    if (wire != wire_of(f->kind)) return fail_wire(in, f, wire);
    if (!items_make_room(list, in->arena, false)) return fail_items(in);
    if (!read_item(in, f, within, r, t->element, &list->values[list->count])) return fail_in_item(in, list->count);
    list->count++;
    return true;
}

static int32_t find_number(const link *l, uint64_t number)
{
    if (number < NEAR_NUMBERS) return l->near[number] - 1;
    for (uint32_t i = 0; i < l->message->count; i++) {
        if (l->message->fields[i].number == number) return (int32_t)i;
    }
    return -1;
}

/* What the places hold where the message has nothing for them. Lists for repeated fields are made where there is one. */
static void begin_places(proto_in *in, const link *l, value *places, items **lists)
{
    *lists = NULL;
    for (uint32_t i = 0; i < l->type->field_count; i++) places[i] = NULL_VALUE;
    for (uint32_t i = 0; i < l->message->count; i++) {
        const proto_field *f = &l->message->fields[i];
        if (l->place[i] < 0 || (f->has_presence && !f->is_repeated)) continue;
        default_of(in, f, &places[l->place[i]]);
        if (f->is_repeated && *lists == NULL) *lists = ARENA_ZEROS(in->arena, items, l->message->count);
    }
}

/* Two fields whose names differ in case alone may have one place. */
static void put_lists(const link *l, value *places, const items *lists)
{
    for (uint32_t i = 0; i < l->message->count; i++) {
        const proto_field *f = &l->message->fields[i];
        if (l->place[i] < 0 || !f->is_repeated || lists[i].count == 0) continue;
        value *out = &places[l->place[i]];
        if (f->is_map) out->map = (value_map){ lists[i].keys, lists[i].values, lists[i].count };
        else out->list = (value_list){ lists[i].values, lists[i].count };
    }
}

/* Into the places of the STRUCT, which are there. */
static bool read_fields(proto_in *in, const link *l, slice bytes, value *places)
{
    reader_bytes r = read_from(bytes);
    items *lists;

    begin_places(in, l, places, &lists);
    while (r.at < r.end) {
        uint64_t tag = read_varint(&r);
        uint32_t wire = tag & 7;
        int32_t i = r.bad ? -1 : find_number(l, tag >> 3);
        if (r.bad || tag >> 3 == 0) return fail_bytes(in);
        if (i < 0 || l->place[i] < 0) {
            if (!skip_field(&r, wire)) return fail_bytes(in);
            continue;
        }
        const proto_field *f = &l->message->fields[i];
        const type_field *to = &l->type->fields[l->place[i]];
        bool is_good = f->is_repeated           ? read_repeated(in, f, l->within[i], &r, wire, to->type, &lists[i])
                       : wire != wire_of(f->kind) ? fail_wire(in, f, wire)
                                                  : read_item(in, f, l->within[i], &r, to->type, &places[l->place[i]]);
        if (!is_good) return fail_in_field(in, to->name);
    }
    if (lists != NULL) put_lists(l, places, lists);
    return true;
}

static bool read_message(proto_in *in, const link *l, slice bytes, value *out)
{
    value *places = ARENA_ARRAY(in->arena, value, l->type->field_count);

    if (++in->depth > DEPTH_MAX) return fail_bytes(in);
    bool is_good = read_fields(in, l, bytes, places);
    in->depth--;
    *out = (value){ .list = { places, l->type->field_count } };
    return is_good;
}

/* ---- a schema's plan ---- */

static bool make_plan(protobuf_format *f, int32_t id, char *reason)
{
    const registered_schema *found;
    schema_text own = { .language = SCHEMA_PROTOBUF };
    const schema_text *schema = &own;
    read_plan *p = ARENA_NEW(f->arena, read_plan);
    text made = TEXT_EMPTY;
    char schema_name[SCHEMA_WORDS_BYTES];
    weir_error err;
    weir_rc rc = WEIR_OK;

    if (f->has_registry) {
        if (!frame_schema_of_record(&f->base, id, SCHEMA_PROTOBUF, &found, reason)) return false;
        schema = &found->schema;
    } else {
        rc = proto_print(&made, f->base.columns, f->base.count, NO_SLICE, (proto_nulls)f->base.spec.nulls, &err);
        own.text = text_slice(&made);
    }
    p->base = (frame_plan){ .id = id, .next = f->plans };
    if (rc == WEIR_OK) rc = parse_schema(f->has_registry ? f->base.spec.registry : NULL, schema, f->arena, &p->file, &err);
    text_free(&made);
    if (rc == WEIR_BROKER) { /* an import could not be fetched: no fault of the record */
        f->base.has_failed = true;
        f->base.failure = err;
        return false;
    }
    if (rc != WEIR_OK) p->base.reason = arena_printf(f->arena, "of %s: %s", schema_words(id, schema_name), err.message).data;
    p->roots = ARENA_ZEROS(f->arena, link *, p->file.count);
    p->unfit = ARENA_ZEROS(f->arena, const char *, p->file.count);
    f->plans = &p->base;
    return true;
}

/* The plan of a record's schema; NULL: it cannot be read, the reason says why. */
static read_plan *find_plan(protobuf_format *f, int32_t id, char *reason)
{
    if (frame_find_plan(&f->plans, id) == NULL && !make_plan(f, id, reason)) return NULL;
    if (f->plans->reason == NULL) return (read_plan *)f->plans;
    snprintf(reason, REASON_BYTES, "%s", f->plans->reason);
    return NULL;
}

/* The message's place behind the schema's id: how many indexes, then they, zigzag; a single 0 stands for the first message. */
static bool read_path(reader_bytes *r, int32_t *path, uint32_t *count)
{
    int64_t length = read_zigzag(r);

    *count = length == 0 ? 1 : (uint32_t)length;
    path[0] = 0;
    if (length < 0 || length > 16) return false;
    for (int64_t i = 0; i < length; i++) path[i] = (int32_t)read_zigzag(r);
    return !r->bad;
}

static const link *root_of(protobuf_format *f, read_plan *p, const int32_t *path, uint32_t count, char *reason)
{
    const proto_message *m = proto_at(&p->file, path, count);

    if (m == NULL) {
        snprintf(reason, REASON_BYTES, "the record names a message that its schema %d has not", p->base.id);
        return NULL;
    }
    for (uint32_t i = 0; i < p->file.count; i++) {
        if (p->file.messages[i] != m) continue;
        if (p->roots[i] == NULL && p->unfit[i] == NULL) {
            linking l = { .arena = f->arena, .is_wanted = f->base.is_wanted, .reason = reason, .schema_id = p->base.id };
            p->roots[i] = make_link(&l, m, f->type);
            if (p->roots[i] == NULL) p->unfit[i] = arena_c_string(f->arena, slice_of(reason));
        }
        if (p->roots[i] == NULL) snprintf(reason, REASON_BYTES, "%s", p->unfit[i]);
        return p->roots[i];
    }
    return NULL;
}

static bool read_row(protobuf_format *f, proto_in *in, slice bytes, value *places)
{
    int32_t id = 0, path[16] = { 0 };
    uint32_t count = 1;
    slice body = bytes;

    if (f->has_registry) {
        if (!frame_read(bytes, &id, &body)) {
            frame_reason(in->reason, bytes);
            return false;
        }
        in->schema_id = id;
        reader_bytes r = read_from(body);
        if (!read_path(&r, path, &count)) return fail_bytes(in);
        body = (slice){ r.at, (size_t)(r.end - r.at) };
    }
    read_plan *p = find_plan(f, id, in->reason);
    if (p == NULL) return false;
    const link *root = root_of(f, p, path, count, in->reason);
    in->depth = 0;
    if (root != NULL && read_fields(in, root, body, places)) return true;
    if (in->reason[0] == '`') reason_begin(in->reason, "column "); /* the path begins with it */
    return false;
}

static row_set protobuf_decode(format *self, const slice *bytes, row_set rows, arena *a, column *columns, const row_report *report)
{
    protobuf_format *f = (protobuf_format *)self;
    survivors alive = { .in = rows };
    proto_in in = { .arena = a };
    value *places = ARENA_ARRAY(a, value, self->count);

    EACH_ROW (r, rows) {
        if (bytes[r].data == NULL) {
            for (uint32_t w = 0; w < self->wanted_count; w++) columns[self->wanted[w]].null[r] = 1;
        } else if (read_row(f, &in, bytes[r], places)) {
            for (uint32_t w = 0; w < self->wanted_count; w++) column_set(&columns[self->wanted[w]], r, &places[self->wanted[w]]);
        } else {
            if (self->has_failed) return (row_set){ NULL, 0 };
            row_is_lost(&alive, a, r, in.reason, report);
            continue;
        }
        row_survives(&alive, r);
    }
    return survivors_rows(&alive);
}

/* ---- writing ---- */

static void write_zigzag(text *out, int64_t n)
{
    text_add_varint(out, zigzag(n));
}

static weir_rc protobuf_start_writing(format *self, arena *a, weir_error *err)
{
    protobuf_format *f = (protobuf_format *)self;
    schema_text own = { .language = SCHEMA_PROTOBUF };
    const schema_text *schema = &own;
    const registered_schema *given;
    const proto_message *m;
    char reason[REASON_BYTES] = "";
    text made = TEXT_EMPTY;
    proto_file file = { 0 };
    int32_t id = 0;
    weir_rc rc;

    (void)a;
    if (self->spec.schema_id > 0) {
        WEIR_TRY(frame_schema(&self->spec, SCHEMA_PROTOBUF, &given, err));
        id = given->id;
        schema = &given->schema;
        rc = WEIR_OK;
    } else {
        rc = proto_print(&made, self->columns, self->count, self->spec.schema_name, (proto_nulls)self->spec.nulls, err);
        own.text = text_slice(&made);
        if (rc == WEIR_OK && f->has_registry) rc = frame_register(&self->spec, SCHEMA_PROTOBUF, own.text, &id, err);
    }
    if (rc == WEIR_OK) rc = parse_schema(f->has_registry ? self->spec.registry : NULL, schema, f->arena, &file, err);
    text_free(&made);
    if (rc != WEIR_OK) return rc;
    WEIR_TRY(find_message(&self->spec, &file, &m, err));
    linking l = { .arena = f->arena, .reason = reason };
    if ((f->writer = make_link(&l, m, f->type)) == NULL) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "the columns do not fit the Protobuf message %.*s: %s", SLICE_ARG(m->name), reason);
    }
    if (!f->has_registry) return WEIR_OK;
    text_clear(&f->out);
    frame_write(f->frame, id);
    bool is_first = m->path_count == 1 && m->path[0] == 0;
    write_zigzag(&f->out, is_first ? 0 : m->path_count);
    for (uint32_t i = 0; !is_first && i < m->path_count; i++) write_zigzag(&f->out, m->path[i]);
    if (f->out.len > sizeof f->frame - FRAME_BYTES) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "the Protobuf message %.*s is nested too deep", SLICE_ARG(m->name));
    }
    memcpy(f->frame + FRAME_BYTES, f->out.data, f->out.len);
    f->frame_bytes = FRAME_BYTES + f->out.len;
    return WEIR_OK;
}

static bool write_fields(text *out, const link *l, const value *places, char *reason);

static void write_tag(text *out, const proto_field *f, uint32_t wire)
{
    text_add_varint(out, (uint64_t)f->number << 3 | wire);
}

static void write_little(text *out, uint64_t bits, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) text_add_char(out, (char)(bits >> (8 * i)));
}

/* Puts the length of what stands behind `from` before it. */
static void put_length(text *out, size_t from)
{
    char length[10];
    size_t bytes = 0;
    uint64_t rest = out->len - from;

    do {
        length[bytes++] = (char)(rest >= 0x80 ? (rest & 0x7F) | 0x80 : rest);
        rest >>= 7;
    } while (rest > 0);
    text_reserve(out, bytes);
    memmove(out->data + from + bytes, out->data + from, out->len - from);
    memcpy(out->data + from, length, bytes);
    out->len += bytes;
    out->data[out->len] = '\0';
}

static int64_t whole_of(const type *t, const value *v)
{
    return t->kind == TYPE_INTEGER ? v->i32 : v->i64;
}

static bool write_scalar(text *out, const proto_field *f, const type *t, const value *v, char *reason)
{
    uint64_t bits;
    uint32_t low;
    float narrow;
    int64_t number;

    switch (f->kind) {
    case PROTO_DOUBLE: memcpy(&bits, &v->f64, 8); write_little(out, bits, 8); return true;
    case PROTO_FLOAT:
        narrow = (float)v->f64;
        memcpy(&low, &narrow, 4);
        write_little(out, low, 4);
        return true;
    case PROTO_BOOL: text_add_char(out, v->boolean); return true;
    case PROTO_STRING:
    case PROTO_BYTES:
        text_add_varint(out, v->str.len);
        text_add(out, v->str);
        return true;
    case PROTO_ENUM:
        for (uint32_t i = 0; i < f->symbol_count; i++) {
            if (!slice_equal(f->symbols[i].name, v->str)) continue;
            text_add_varint(out, (uint64_t)(int64_t)f->symbols[i].number);
            return true;
        }
        snprintf(reason, REASON_BYTES, "the text is none of the symbols of enum field %.*s", SLICE_ARG(f->name));
        return false;
    default: break;
    }
    number = whole_of(t, v);
    if ((f->kind == PROTO_UINT32 || f->kind == PROTO_FIXED32) && (number < 0 || number > UINT32_MAX)) {
        snprintf(reason, REASON_BYTES, "%lld does not fit field %.*s", (long long)number, SLICE_ARG(f->name));
        return false;
    }
    if (is_signed_32(f->kind) && (number < INT32_MIN || number > INT32_MAX)) {
        snprintf(reason, REASON_BYTES, "%lld does not fit field %.*s", (long long)number, SLICE_ARG(f->name));
        return false;
    }
    switch (f->kind) {
    case PROTO_SINT32:
    case PROTO_SINT64: write_zigzag(out, number); break;
    case PROTO_FIXED32:
    case PROTO_SFIXED32: write_little(out, (uint64_t)number, 4); break;
    case PROTO_FIXED64:
    case PROTO_SFIXED64: write_little(out, (uint64_t)number, 8); break;
    default: text_add_varint(out, (uint64_t)number); break;
    }
    return true;
}

static void write_number(text *out, uint32_t field, int64_t number)
{
    if (number == 0) return;
    text_add_varint(out, (uint64_t)field << 3);
    text_add_varint(out, (uint64_t)number);
}

static bool is_default(const proto_field *f, const type *t, const value *v)
{
    switch (f->kind) {
    case PROTO_DOUBLE:
    case PROTO_FLOAT: return v->f64 == 0 && !__builtin_signbit(v->f64);
    case PROTO_BOOL: return !v->boolean;
    case PROTO_STRING:
    case PROTO_BYTES: return v->str.len == 0;
    case PROTO_ENUM: return false;
    default: return whole_of(t, v) == 0;
    }
}

static void write_decimal_message(text *out, const type *t, decimal number)
{
    char bytes[DECIMAL_BYTES_MAX];
    slice held = decimal_to_bytes(bytes, number);

    text_add_char(out, 1 << 3 | 2);
    text_add_varint(out, held.len);
    text_add(out, held);
    write_number(out, 2, t->precision);
    write_number(out, 3, t->scale);
}

/* The inside of a message that stands for one value. */
static bool write_known(text *out, const proto_field *f, const type *t, const value *v, char *reason)
{
    civil_date date;
    const proto_field *one = &f->message->fields[0];

    switch (f->message->known) {
    case KNOWN_TIMESTAMP:
        write_number(out, 1, floor_divide(v->i64, MS_PER_SECOND));
        write_number(out, 2, floor_rest(v->i64, MS_PER_SECOND) * 1000000);
        return true;
    case KNOWN_DATE:
        date = date_of(v->i32);
        write_number(out, 1, date.year);
        write_number(out, 2, date.month);
        write_number(out, 3, date.day);
        return true;
    case KNOWN_TIME:
        write_number(out, 1, v->i32 / MS_PER_HOUR);
        write_number(out, 2, v->i32 / MS_PER_MINUTE % 60);
        write_number(out, 3, v->i32 / MS_PER_SECOND % 60);
        write_number(out, 4, (int64_t)(v->i32 % MS_PER_SECOND) * 1000000);
        return true;
    case KNOWN_DECIMAL: write_decimal_message(out, t, v->dec); return true;
    default:
        if (is_default(one, t, v)) return true;
        write_tag(out, one, wire_of(one->kind));
        return write_scalar(out, one, t, v, reason);
    }
}

/* With its tag. A null in a list is what stands for it in Protobuf: the default. */
static bool write_item(text *out, const proto_field *f, const link *within, const type *t, const value *v, char *reason)
{
    value zero = { 0 };

    zero.str = SLICE("");
    write_tag(out, f, wire_of(f->kind));
    if (f->kind != PROTO_MESSAGE) {
        if (v->is_null && f->kind == PROTO_ENUM) {
            text_add_char(out, 0);
            return true;
        }
        if (v->is_null && f->kind != PROTO_STRING && f->kind != PROTO_BYTES) memset(&zero, 0, sizeof zero);
        return write_scalar(out, f, t, v->is_null ? &zero : v, reason);
    }
    size_t from = out->len;
    bool is_good = v->is_null                         ? true
                   : f->message->known == KNOWN_NONE ? write_fields(out, within, v->list.items, reason)
                                                     : write_known(out, f, t, v, reason);
    put_length(out, from);
    return is_good;
}

static bool write_map(text *out, const proto_field *f, const link *within, const value *v, char *reason)
{
    for (uint32_t i = 0; i < v->map.count; i++) {
        const value entry[] = { v->map.keys[i], v->map.values[i] };
        write_tag(out, f, 2);
        size_t from = out->len;
        if (!write_fields(out, within, entry, reason)) return false;
        put_length(out, from);
    }
    return true;
}

static bool write_list(text *out, const proto_field *f, const link *within, const type *t, const value *v, char *reason)
{
    if (!f->is_packed || v->list.count == 0) {
        for (uint32_t i = 0; i < v->list.count; i++) {
            if (!write_item(out, f, within, t->element, &v->list.items[i], reason)) return false;
        }
        return true;
    }
    write_tag(out, f, 2);
    size_t from = out->len;
    for (uint32_t i = 0; i < v->list.count; i++) {
        const value zero = { 0 };
        const value *item = &v->list.items[i];
        if (item->is_null && f->kind == PROTO_ENUM) text_add_char(out, 0);
        else if (!write_scalar(out, f, t->element, item->is_null ? &zero : item, reason)) return false;
    }
    put_length(out, from);
    return true;
}

static bool write_fields(text *out, const link *l, const value *places, char *reason)
{
    for (uint32_t i = 0; i < l->message->count; i++) {
        const proto_field *f = &l->message->fields[i];
        if (l->place[i] < 0 || places[l->place[i]].is_null) continue;
        const value *v = &places[l->place[i]];
        const type *t = l->type->fields[l->place[i]].type;
        bool is_good = true;
        if (f->is_map) is_good = write_map(out, f, l->within[i], v, reason);
        else if (f->is_repeated) is_good = write_list(out, f, l->within[i], t, v, reason);
        else if (f->kind == PROTO_MESSAGE || f->has_presence || !is_default(f, t, v)) is_good = write_item(out, f, l->within[i], t, v, reason);
        if (!is_good) return false;
    }
    return true;
}

static row_set protobuf_encode(format *self, const column *columns, row_set rows, arena *a, slice *out, const row_report *report)
{
    protobuf_format *f = (protobuf_format *)self;
    survivors alive = { .in = rows };
    value *places = ARENA_ARRAY(a, value, self->count);
    char reason[REASON_BYTES] = "the format has not been started for writing";

    EACH_ROW (r, rows) {
        for (uint32_t i = 0; i < self->count; i++) places[i] = column_get(&columns[i], r);
        text_clear(&f->out);
        text_add(&f->out, (slice){ f->frame, f->frame_bytes });
        out[r] = NO_SLICE;
        if (f->writer == NULL || !write_fields(&f->out, f->writer, places, reason)) {
            row_is_lost(&alive, a, r, reason, report);
            continue;
        }
        out[r] = arena_copy(a, text_slice(&f->out));
        row_survives(&alive, r);
    }
    return survivors_rows(&alive);
}

#define PROTOBUF_CLASS(label, more)                                                            \
    {                                                                                          \
        .name = label, .traits = FORMAT_KEY | FORMAT_VALUE | FORMAT_WRAPS | FORMAT_NULLS | (more), \
        .bytes = sizeof(protobuf_format), .check = protobuf_check, .open = protobuf_open,      \
        .decode = protobuf_decode, .encode = protobuf_encode,                                  \
        .start_writing = protobuf_start_writing, .columns = protobuf_columns, .close = protobuf_close, \
    }

const format_class format_protobuf = PROTOBUF_CLASS("PROTOBUF", FORMAT_SCHEMAS);
const format_class format_protobuf_nosr = PROTOBUF_CLASS("PROTOBUF_NOSR", 0);
