/* storage/formats/proto_write.c - the writer of PROTOBUF: by the message made of the columns, or the given one. */
#include "storage/formats/proto_format.h"

#include "core/date.h"
#include "core/number.h"

#include <stdio.h>

static void write_zigzag(text *out, int64_t n)
{
    text_add_varint(out, zigzag(n));
}

weir_rc protobuf_start_writing(format *self, arena *a, weir_error *err)
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
    if (rc == WEIR_OK) rc = proto_parse_registered(f->has_registry ? self->spec.registry : NULL, schema, f->arena, &file, err);
    text_free(&made);
    if (rc != WEIR_OK) return rc;
    WEIR_TRY(proto_find_named(&self->spec, &file, &m, err));
    if ((f->writer = proto_link_new(f->arena, m, f->type, NULL, 0, reason)) == NULL) {
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

static bool write_fields(text *out, const proto_link *l, const value *places, char *reason);

/* ---- single values ---- */

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
    if (proto_is_signed_32(f->kind) && (number < INT32_MIN || number > INT32_MAX)) {
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

/* ---- messages ---- */

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
        write_tag(out, one, proto_wire_of(one->kind));
        return write_scalar(out, one, t, v, reason);
    }
}

/* With its tag. A null in a list is what stands for it in Protobuf: the default. */
static bool write_item(text *out, const proto_field *f, const proto_link *within, const type *t, const value *v, char *reason)
{
    value zero = { 0 };

    zero.str = SLICE("");
    write_tag(out, f, proto_wire_of(f->kind));
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

static bool write_map(text *out, const proto_field *f, const proto_link *within, const value *v, char *reason)
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

static bool write_list(text *out, const proto_field *f, const proto_link *within, const type *t, const value *v, char *reason)
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

static bool write_fields(text *out, const proto_link *l, const value *places, char *reason)
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

row_set protobuf_encode(format *self, const column *columns, row_set rows, arena *a, slice *out, const row_report *report)
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
