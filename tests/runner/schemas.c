/* tests/runner/schemas.c - see schemas.h. */
#include "tests/runner/schemas.h"

#include "core/json.h"

#define FIRST_REFERENCE_ID 1000000 /* ids that statements name count the topics' schemas, not what these refer to */

static schema_language language_of(slice format)
{
    if (format.len >= 8 && memcmp(format.data, "PROTOBUF", 8) == 0) return SCHEMA_PROTOBUF;
    return format.len >= 4 && memcmp(format.data, "JSON", 4) == 0 ? SCHEMA_JSON : SCHEMA_AVRO;
}

/* Protobuf stands in a string; a schema of Avro that is one is a type's name. */
static schema_text text_of(const node *schema, slice format)
{
    schema_language language = language_of(format);
    bool is_text = language == SCHEMA_PROTOBUF && schema->kind == NODE_STRING;

    return (schema_text){ .language = language, .text = is_text ? schema->string : schema->raw };
}

static void register_side(registry *r, const node *topic, const char *side, int32_t *next_id, int32_t *next_reference, arena *a)
{
    slice name = node_member_text(topic, "name");
    slice format = node_member_text(topic, arena_printf(a, "%sFormat", side).data);
    const node *schema = node_member(topic, arena_printf(a, "%sSchema", side).data);
    const node *others = node_member(topic, arena_printf(a, "%sSchemaReferences", side).data);
    int32_t id = (int32_t)node_member_i64(topic, arena_printf(a, "%sSchemaId", side).data, 0);
    uint32_t count = others == NULL ? 0 : others->count;
    schema_reference *references = ARENA_ZEROS(a, schema_reference, count);

    if (schema == NULL) return;
    for (uint32_t i = 0; i < count; i++) {
        const node *one = &others->items[i];
        slice own = node_member_text(one, "name");
        const schema_text made = text_of(node_member(one, "schema"), node_member_text(one, "format"));
        const registered_schema *there;
        weir_error err;
        if (registry_version(r, own, 1, &there, &err) == WEIR_OK && there == NULL) registry_put(r, own, &made, (*next_reference)++);
        references[i] = (schema_reference){ own, own, 1 };
    }
    schema_text made = text_of(schema, format);
    made.references = references;
    made.reference_count = count;
    registry_put(r, arena_printf(a, "%.*s-%s", SLICE_ARG(name), side), &made, id > 0 ? id : (*next_id)++);
}

void register_topics(registry *r, const node *topics, uint32_t declared, arena *a)
{
    int32_t next_id = (int32_t)declared + 1, next_reference = FIRST_REFERENCE_ID;

    for (uint32_t i = 0; topics != NULL && i < topics->count; i++) {
        register_side(r, &topics->items[i], "key", &next_id, &next_reference, a);
        register_side(r, &topics->items[i], "value", &next_id, &next_reference, a);
    }
}

bool print_schema_of(text *out, const format_spec *spec)
{
    const registered_schema *latest;
    weir_error err;
    bool found;

    if (!(format_traits_of(spec->name, &found) & FORMAT_SCHEMAS) || spec->registry == NULL) return false;
    if (registry_version(spec->registry, spec->subject, 0, &latest, &err) != WEIR_OK || latest == NULL) return false;
    if (latest->schema.language == SCHEMA_PROTOBUF) print_json_string(out, latest->schema.text);
    else text_add(out, latest->schema.text);
    return true;
}
