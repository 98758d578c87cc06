/* storage/formats/avro.c - AVRO: the frame, then a record of the schema it names, or a lone value. Read in avro_read.c, written
 * in avro_write.c. */
#include "storage/formats/avro_format.h"

static weir_rc avro_check(const format_spec *spec, const schema_column *columns, uint32_t count, weir_error *err)
{
    text ignored = TEXT_EMPTY;

    weir_rc rc = spec->schema_id > 0 ? WEIR_OK : avro_print(&ignored, columns, count, spec->is_unwrapped, SLICE(AVRO_DEFAULT_NAME), err);
    text_free(&ignored);
    return rc;
}

static weir_rc avro_open(format *self, arena *a, weir_error *err)
{
    (void)a;
    WEIR_TRY(need_registry(&self->spec, err));
    ((avro_format *)self)->arena = arena_new(0);
    return WEIR_OK;
}

static void avro_close(format *self)
{
    avro_format *f = (avro_format *)self;

    arena_free(f->arena);
    text_free(&f->out);
}

static weir_rc avro_columns(const format_spec *spec, arena *a, const schema_column **columns, uint32_t *count, weir_error *err)
{
    const registered_schema *found;
    const avro_schema *root;
    const type *t;

    WEIR_TRY(frame_schema(spec, SCHEMA_AVRO, &found, err));
    WEIR_TRY(avro_parse(found->schema.text, a, &root, err));
    WEIR_TRY(avro_type(root, spec->schema_id <= 0, a, &t, err));
    if (spec->is_unwrapped) {
        frame_lone_column(spec, t, a, columns, count);
        return WEIR_OK;
    }
    return frame_columns_of(spec, found->id, avro_not_null(root)->kind == AVRO_RECORD ? t : &type_null, a, columns, count, err);
}

const format_class format_avro = {
    .name = "AVRO",
    .traits = FORMAT_KEY | FORMAT_VALUE | FORMAT_WRAPS | FORMAT_UNWRAPS | FORMAT_SCHEMAS,
    .bytes = sizeof(avro_format),
    .check = avro_check,
    .open = avro_open,
    .decode = avro_decode,
    .encode = avro_encode,
    .start_writing = avro_start_writing,
    .columns = avro_columns,
    .close = avro_close,
};
