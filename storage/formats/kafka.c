/* storage/formats/kafka.c - KAFKA: one column as the Java client's own serializers write it: integers and doubles big-endian,
 * text as UTF-8, bytes as they are. A null is no bytes. A value without columns is ignored when read. */
#include "storage/formats/format_class.h"

#include "core/bytes.h"
#include "core/utf8.h"

#include <stdio.h>

static weir_rc kafka_check(const format_spec *spec, const schema_column *columns, uint32_t count, weir_error *err)
{
    if (count > 1) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE,
                         "format KAFKA holds a single column; the %s has %u: `%.*s`, `%.*s`%s; %s = 'JSON' can hold them",
                         spec->is_key ? "key" : "value", count, SLICE_ARG(columns[0].name), SLICE_ARG(columns[1].name),
                         count > 2 ? " ..." : "", format_property(spec));
    }
    if (count == 0) return WEIR_OK;
    switch (columns[0].type->kind) {
    case TYPE_INTEGER:
    case TYPE_BIGINT:
    case TYPE_DOUBLE:
    case TYPE_STRING:
    case TYPE_BYTES: return WEIR_OK;
    default: {
        text name = TEXT_EMPTY;
        type_print(&name, columns[0].type);
        weir_rc rc = weir_fail(err, WEIR_SEMANTIC, NOWHERE,
                               "format KAFKA has no %s, the type of column `%.*s`; it has INTEGER, BIGINT, DOUBLE, STRING "
                               "and BYTES; %s = 'JSON' can hold it",
                               name.data, SLICE_ARG(columns[0].name), format_property(spec));
        text_free(&name);
        return rc;
    }
    }
}

/* Bytes that a number of the type takes, or 0 where any length is right. */
static size_t bytes_of(const type *t)
{
    return t->kind == TYPE_INTEGER ? 4 : t->kind == TYPE_BIGINT || t->kind == TYPE_DOUBLE ? 8 : 0;
}

static void store(column *c, uint32_t r, slice bytes)
{
    uint64_t bits;

    switch (c->type->kind) {
    case TYPE_INTEGER: c->i32[r] = (int32_t)get_u32(bytes.data); break;
    case TYPE_BIGINT: c->i64[r] = (int64_t)get_u64(bytes.data); break;
    case TYPE_DOUBLE:
        bits = get_u64(bytes.data);
        memcpy(&c->f64[r], &bits, 8);
        break;
    default: c->str[r] = bytes; break;
    }
}

static row_set kafka_decode(format *self, const slice *bytes, row_set rows, arena *a, column *columns,
                            const row_report *report)
{
    survivors alive = { .in = rows };

    if (self->wanted_count == 0) return rows;
    const type *t = self->columns[0].type;
    size_t expected = bytes_of(t);
    EACH_ROW(r, rows) {
        char reason[REASON_BYTES];
        columns[0].null[r] = bytes[r].data == NULL;
        if (bytes[r].data != NULL) {
            int64_t fault = -1;
            if (expected != 0 && bytes[r].len != expected) {
                snprintf(reason, sizeof reason, "%s takes %zu bytes in format KAFKA, not %zu",
                         t->kind == TYPE_INTEGER  ? "INTEGER"
                         : t->kind == TYPE_BIGINT ? "BIGINT"
                                                  : "DOUBLE",
                         expected, bytes[r].len);
                reason_in_column(reason, self->columns[0].name);
                row_is_lost(&alive, a, r, reason, report);
                continue;
            }
            if (t->kind == TYPE_STRING && (fault = utf8_fault(bytes[r])) >= 0) {
                snprintf(reason, sizeof reason, "STRING expected, here is no UTF-8 at byte %lld", (long long)fault);
                reason_in_column(reason, self->columns[0].name);
                row_is_lost(&alive, a, r, reason, report);
                continue;
            }
            store(&columns[0], r, bytes[r]);
        }
        row_survives(&alive, r);
    }
    return survivors_rows(&alive);
}

static row_set kafka_encode(format *self, const column *columns, row_set rows, arena *a, slice *out,
                            const row_report *report)
{
    (void)report;
    if (self->count == 0) {
        EACH_ROW(r, rows) out[r] = NO_SLICE;
        return rows;
    }
    const column *c = &columns[0];
    size_t bytes = bytes_of(c->type);
    char *at = bytes == 0 ? NULL : arena_alloc(a, bytes * rows.count);
    EACH_ROW(r, rows) {
        uint64_t bits;
        if (c->null[r]) {
            out[r] = NO_SLICE;
            continue;
        }
        out[r] = (slice){ at, bytes };
        switch (c->type->kind) {
        case TYPE_INTEGER: put_u32(at, (uint32_t)c->i32[r]); break;
        case TYPE_BIGINT: put_u64(at, (uint64_t)c->i64[r]); break;
        case TYPE_DOUBLE:
            memcpy(&bits, &c->f64[r], 8);
            put_u64(at, bits);
            break;
        default: out[r] = c->str[r]; break; /* lent: it lives as long as the batch */
        }
        if (bytes != 0) at += bytes;
    }
    return rows;
}

const format_class format_kafka = {
    .name = "KAFKA",
    .traits = FORMAT_KEY | FORMAT_VALUE | FORMAT_UNWRAPS,
    .bytes = sizeof(format),
    .check = kafka_check,
    .decode = kafka_decode,
    .encode = kafka_encode,
};
