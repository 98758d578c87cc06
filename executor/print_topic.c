/* executor/print_topic.c - PRINT: keys and values of a topic's records as text. */
#include "executor/weir.h"

#include "core/bytes.h"
#include "core/utf8.h"
#include "storage/formats/frame.h"

/* The type of a lone column in KAFKA format, whose bytes do not tell it. */
static type_kind kafka_type(const format_spec *spec, const schema_column *columns, uint32_t count)
{
    return count == 1 && slice_equal_nocase(spec->name, SLICE("KAFKA")) ? columns[0].type->kind : TYPE_NULL;
}

void topic_hints_take(topic_hints *hints, const catalog *c, slice topic)
{
    uint32_t count;
    const source *const *all = catalog_sources(c, &count);

    *hints = (topic_hints){ .windowed = WINDOW_NONE, .key = TYPE_NULL, .value = TYPE_NULL };
    for (uint32_t i = 0; i < count; i++) {
        const source *s = all[i];
        if (!slice_equal(s->topic, topic)) continue;
        hints->windowed = s->windowed;
        hints->window_size_ms = s->window_size_ms;
        hints->key = kafka_type(&s->key, s->schema.columns, s->schema.key_count);
        hints->value = kafka_type(&s->value, s->schema.columns + s->schema.key_count, s->schema.count - s->schema.key_count);
        return;
    }
}

static bool print_typed(type_kind kind, slice bytes, text *out)
{
    switch (kind) {
    case TYPE_INTEGER:
    case TYPE_DATE:
    case TYPE_TIME:
        if (bytes.len != 4) return false;
        text_printf(out, "%d", (int32_t)get_u32(bytes.data));
        return true;
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP:
        if (bytes.len != 8) return false;
        text_printf(out, "%lld", (long long)get_u64(bytes.data));
        return true;
    case TYPE_DOUBLE: {
        if (bytes.len != 8) return false;
        uint64_t bits = get_u64(bytes.data);
        double number;
        memcpy(&number, &bits, sizeof number);
        print_double(out, number);
        return true;
    }
    default: return false;
    }
}

/* What was written with a schema of the registry: as JSON. */
static bool print_framed(const weir *w, bool is_key, slice bytes, arena *a, text *out)
{
    const registered_schema *with;
    const schema_column *columns;
    uint32_t count;
    int32_t id;
    slice body, shown;
    bad_value ignored;
    weir_error err;

    if (w->registry == NULL || !frame_read(bytes, &id, &body) || id <= 0) return false;
    if (registry_by_id(w->registry, id, &with, &err) != WEIR_OK || with == NULL) return false;
    if (with->schema.language == SCHEMA_JSON) {
        text_add(out, body);
        return true;
    }
    format_spec spec = { .name = with->schema.language == SCHEMA_AVRO ? SLICE("AVRO") : SLICE("PROTOBUF"), .is_key = is_key,
                         .registry = w->registry, .schema_id = id };
    weir_rc rc = format_columns(&spec, a, &columns, &count, &err);
    if (rc != WEIR_OK && with->schema.language == SCHEMA_AVRO) { /* no record: a value that stands alone */
        spec.is_unwrapped = true;
        rc = format_columns(&spec, a, &columns, &count, &err);
    }
    const format_spec json = { .name = SLICE("JSON"), .is_unwrapped = spec.is_unwrapped };
    if (rc != WEIR_OK || record_convert(&spec, &json, columns, count, bytes, a, &shown, &ignored, &err) != WEIR_OK) return false;
    text_add(out, shown);
    return shown.data != NULL;
}

static bool is_text(slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.data[i];
        if (c < ' ' && c != '\t' && c != '\n' && c != '\r') return false;
    }
    return utf8_fault(bytes) < 0;
}

static void print_side(const weir *w, bool is_key, type_kind kind, slice bytes, arena *a, text *out)
{
    if (bytes.data == NULL) text_add_c(out, "<null>");
    else if (print_typed(kind, bytes, out) || print_framed(w, is_key, bytes, a, out)) return;
    else if (is_text(bytes)) text_add(out, bytes);
    else if (print_typed(TYPE_INTEGER, bytes, out) || print_typed(TYPE_BIGINT, bytes, out)) return;
    else {
        text_add_c(out, "0x");
        for (size_t i = 0; i < bytes.len; i++) text_printf(out, "%02x", (unsigned char)bytes.data[i]);
    }
}

void record_print_line(const weir *w, const topic_hints *hints, const weir_record *one, arena *a, text *out)
{
    slice key = one->key;
    int64_t start_ms, end_ms;

    text_printf(out, "rowtime: %lld, key: ", (long long)one->timestamp_ms);
    if (hints->windowed != WINDOW_NONE && key.data != NULL &&
        windowed_key_decode(one->key, hints->windowed, hints->window_size_ms, &key, &start_ms, &end_ms)) {
        text_add_char(out, '[');
        print_side(w, true, hints->key, key, a, out);
        text_printf(out, "@%lld/%lld]", (long long)start_ms, (long long)end_ms);
    } else {
        print_side(w, true, hints->key, key, a, out);
    }
    text_add_c(out, ", value: ");
    print_side(w, false, hints->value, one->value, a, out);
    text_printf(out, ", partition: %d", one->partition);
}
