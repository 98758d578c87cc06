/* storage/formats/proto_read.c - the reader of PROTOBUF. What nobody wants is passed over by its wire type. Of a field given twice
 * the last counts; those without presence are their default where absent. */
#include "storage/formats/items.h"
#include "storage/formats/proto_format.h"

#include "core/date.h"
#include "core/number.h"
#include "core/utf8.h"

#include <stdio.h>

typedef struct read_plan {
    frame_plan base;
    proto_file file;
    proto_link **roots;  /* by message; made when first met */
    const char **unfit;  /* by message: why the columns are not to be had of it */
} read_plan;

typedef struct proto_in {
    arena *arena;
    uint32_t depth;
    int32_t schema_id;
    char reason[REASON_BYTES];
} proto_in;

static bool read_message(proto_in *in, const proto_link *l, slice bytes, value *out);

/* ---- why a record is bad ---- */

static bool fail_bytes(proto_in *in)
{
    char schema[PROTO_SCHEMA_WORDS_BYTES];

    snprintf(in->reason, REASON_BYTES, "the bytes are no Protobuf message of %s: they end too early, or hold what it does not allow",
             proto_schema_words(in->schema_id, schema));
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

static bool fail_items(proto_in *in)
{
    snprintf(in->reason, REASON_BYTES, "an array or map of more than %d items", ITEMS_MAX);
    return false;
}

/* Another type of field stands in the record than its schema says. */
static bool fail_wire(proto_in *in, const proto_field *f, uint32_t wire)
{
    char schema[PROTO_SCHEMA_WORDS_BYTES];

    snprintf(in->reason, REASON_BYTES, "%s expected by %s, here is a field of wire type %u", proto_kind_name(f->kind),
             proto_schema_words(in->schema_id, schema), wire);
    return false;
}

/* ---- single values ---- */

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

/* ---- messages that stand for one value ---- */

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

static bool read_item(proto_in *in, const proto_field *f, const proto_link *within, reader_bytes *r, const type *t, value *out)
{
    out->is_null = false;
    if (proto_wire_of(f->kind) != 2) {
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
        if (tag == (one->number << 3 | proto_wire_of(one->kind))) {
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

/* ---- messages ---- */

/* One occurrence of a repeated field: an item, an entry, or, packed, any number of items. */
static bool read_repeated(proto_in *in, const proto_field *f, const proto_link *within, reader_bytes *r, uint32_t wire, const type *t,
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
    if (wire == 2 && proto_wire_of(f->kind) != 2) { /* packed */
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
    if (wire != proto_wire_of(f->kind)) return fail_wire(in, f, wire);
    if (!items_make_room(list, in->arena, false)) return fail_items(in);
    if (!read_item(in, f, within, r, t->element, &list->values[list->count])) return fail_in_item(in, list->count);
    list->count++;
    return true;
}

static int32_t find_number(const proto_link *l, uint64_t number)
{
    if (number < NEAR_NUMBERS) return l->near[number] - 1;
    for (uint32_t i = 0; i < l->message->count; i++) {
        if (l->message->fields[i].number == number) return (int32_t)i;
    }
    return -1;
}

/* What the places hold where the message has nothing for them. Lists for repeated fields are made where there is one. */
static void begin_places(proto_in *in, const proto_link *l, value *places, items **lists)
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
static void put_lists(const proto_link *l, value *places, const items *lists)
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
static bool read_fields(proto_in *in, const proto_link *l, slice bytes, value *places)
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
                       : wire != proto_wire_of(f->kind) ? fail_wire(in, f, wire)
                                                  : read_item(in, f, l->within[i], &r, to->type, &places[l->place[i]]);
        if (!is_good) return fail_in_field(in, to->name);
    }
    if (lists != NULL) put_lists(l, places, lists);
    return true;
}

static bool read_message(proto_in *in, const proto_link *l, slice bytes, value *out)
{
    value *places = ARENA_ARRAY(in->arena, value, l->type->field_count);

    if (++in->depth > PROTO_DEPTH_MAX) return fail_bytes(in);
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
    char schema_name[PROTO_SCHEMA_WORDS_BYTES];
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
    if (rc == WEIR_OK) rc = proto_parse_registered(f->has_registry ? f->base.spec.registry : NULL, schema, f->arena, &p->file, &err);
    text_free(&made);
    if (rc == WEIR_BROKER) { /* an import could not be fetched: no fault of the record */
        f->base.has_failed = true;
        f->base.failure = err;
        return false;
    }
    if (rc != WEIR_OK) p->base.reason = arena_printf(f->arena, "of %s: %s", proto_schema_words(id, schema_name), err.message).data;
    p->roots = ARENA_ZEROS(f->arena, proto_link *, p->file.count);
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

static const proto_link *root_of(protobuf_format *f, read_plan *p, const int32_t *path, uint32_t count, char *reason)
{
    const proto_message *m = proto_at(&p->file, path, count);

    if (m == NULL) {
        snprintf(reason, REASON_BYTES, "the record names a message that its schema %d has not", p->base.id);
        return NULL;
    }
    for (uint32_t i = 0; i < p->file.count; i++) {
        if (p->file.messages[i] != m) continue;
        if (p->roots[i] == NULL && p->unfit[i] == NULL) {
            p->roots[i] = proto_link_new(f->arena, m, f->type, f->base.is_wanted, p->base.id, reason);
            if (p->roots[i] == NULL) p->unfit[i] = arena_c_string(f->arena, slice_of(reason));
        }
        if (p->roots[i] == NULL) snprintf(reason, REASON_BYTES, "%s", p->unfit[i]);
        return p->roots[i];
    }
    return NULL;
}

/* ---- rows ---- */

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
    const proto_link *root = root_of(f, p, path, count, in->reason);
    in->depth = 0;
    if (root != NULL && read_fields(in, root, body, places)) return true;
    if (in->reason[0] == '`') reason_begin(in->reason, "column "); /* the path begins with it */
    return false;
}

row_set protobuf_decode(format *self, const slice *bytes, row_set rows, arena *a, column *columns, const row_report *report)
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
