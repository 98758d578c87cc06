/* storage/formats/frame.c - see frame.h. */
#include "storage/formats/frame.h"

#include <stdio.h>

static const char *language_name(schema_language language)
{
    return language == SCHEMA_AVRO ? "Avro" : language == SCHEMA_JSON ? "JSON" : "Protobuf";
}

weir_rc need_registry(const format_spec *spec, weir_error *err)
{
    if (spec->registry != NULL) return WEIR_OK;
    return weir_fail(err, WEIR_SEMANTIC, NOWHERE,
                     "format %.*s keeps its schemas in a schema registry: give its address with --schema-registry",
                     SLICE_ARG(spec->name));
}

weir_rc frame_schema(const format_spec *spec, schema_language language, const registered_schema **out, weir_error *err)
{
    WEIR_TRY(need_registry(spec, err));
    if (spec->schema_id > 0) {
        WEIR_TRY(registry_by_id(spec->registry, spec->schema_id, out, err));
        if (*out == NULL) {
            return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "the schema registry has no schema of id %d", spec->schema_id);
        }
    } else {
        WEIR_TRY(registry_version(spec->registry, spec->subject, 0, out, err));
        if (*out == NULL) {
            return weir_fail(err, WEIR_SEMANTIC, NOWHERE,
                             "the schema registry has no schema of subject %.*s: declare the columns, or register one",
                             SLICE_ARG(spec->subject));
        }
    }
    if ((*out)->schema.language == language) return WEIR_OK;
    return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "schema %d in the registry is a %s schema, and the format is %.*s", (*out)->id,
                     language_name((*out)->schema.language), SLICE_ARG(spec->name));
}

void frame_reason(char *reason, slice bytes)
{
    if (bytes.len < FRAME_BYTES) {
        snprintf(reason, REASON_BYTES, "no schema id stands before the record: its %zu bytes are fewer than the %d of one", bytes.len, FRAME_BYTES);
        return;
    }
    snprintf(reason, REASON_BYTES, "no schema id stands before the record: it begins with the byte 0x%02X, not 0x00, and was not written "
             "with a schema registry", (unsigned char)bytes.data[0]);
}

bool frame_schema_of_record(format *f, int32_t id, schema_language language, const registered_schema **out, char *reason)
{
    *out = NULL;
    if (registry_by_id(f->spec.registry, id, out, &f->failure) != WEIR_OK) {
        f->has_failed = true;
        snprintf(reason, REASON_BYTES, "%.*s", REASON_BYTES - 1, f->failure.message);
        return false;
    }
    if (*out == NULL) {
        snprintf(reason, REASON_BYTES, "the schema registry has no schema of id %d, which the record names", id);
        return false;
    }
    if ((*out)->schema.language == language) return true;
    snprintf(reason, REASON_BYTES, "the record's schema %d is a %s schema, and the format is %.*s", id,
             language_name((*out)->schema.language), SLICE_ARG(f->spec.name));
    return false;
}

weir_rc frame_register(const format_spec *spec, schema_language language, slice schema, int32_t *id, weir_error *err)
{
    const schema_text what = { .language = language, .text = schema };

    WEIR_TRY(need_registry(spec, err));
    return registry_register(spec->registry, spec->subject, &what, id, err);
}

void frame_lone_column(const format_spec *spec, const type *t, arena *a, const schema_column **columns, uint32_t *count)
{
    schema_column *c = ARENA_NEW(a, schema_column);

    c->name = spec->is_key ? SLICE("ROWKEY") : SLICE("ROWVAL");
    c->type = t;
    *columns = c;
    *count = 1;
}

weir_rc frame_columns_of(const format_spec *spec, int32_t id, const type *t, arena *a, const schema_column **columns,
                         uint32_t *count, weir_error *err)
{
    if (t->kind != TYPE_STRUCT) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "schema %d in the registry is no record%s", id,
                         spec->is_key ? "" : "; WRAP_SINGLE_VALUE = FALSE reads a value that stands alone");
    }
    schema_column *all = ARENA_ZEROS(a, schema_column, t->field_count);
    for (uint32_t i = 0; i < t->field_count; i++) all[i] = (schema_column){ .name = t->fields[i].name, .type = t->fields[i].type };
    *columns = all;
    *count = t->field_count;
    return WEIR_OK;
}

int32_t frame_find_column(const format *f, slice name)
{
    int32_t found = -1;

    for (uint32_t i = 0; i < f->count; i++) {
        if (slice_equal(f->columns[i].name, name)) return (int32_t)i;
        if (found < 0 && slice_equal_nocase(f->columns[i].name, name)) found = (int32_t)i;
    }
    return found;
}
