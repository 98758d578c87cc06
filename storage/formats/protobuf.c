/* storage/formats/protobuf.c - PROTOBUF: the frame, where in the schema's file the message stands, then the message; and
 * PROTOBUF_NOSR: the message alone, of the declared columns. Read in proto_read.c, written in proto_write.c. */
#include "storage/formats/proto_format.h"

#define IMPORTS_MAX 64

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

    if (++out->depth > PROTO_DEPTH_MAX) return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "the Protobuf schema's references go round in circles");
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

weir_rc proto_parse_registered(registry *r, const schema_text *schema, arena *a, proto_file *out, weir_error *err)
{
    imports needed = { .count = 0 };

    if (r != NULL) WEIR_TRY(fetch_imports(r, schema, &needed, err));
    return proto_parse(schema->text, needed.items, needed.count, a, out, err);
}

weir_rc proto_find_named(const format_spec *spec, const proto_file *file, const proto_message **out, weir_error *err)
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
    WEIR_TRY(proto_parse_registered(spec->registry, &found->schema, a, &file, err));
    WEIR_TRY(proto_find_named(spec, &file, &m, err));
    WEIR_TRY(proto_type(m, spec->schema_id <= 0, a, &t, err));
    return frame_columns_of(spec, found->id, t, a, columns, count, err);
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
