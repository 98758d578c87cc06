/* storage/formats/json_sr.c - JSON_SR: the frame, then JSON. The codec is JSON's; a record tells its columns by their names,
 * so that nothing need be known of the schema it was written with. */
#include "storage/formats/frame.h"
#include "storage/formats/json_schema.h"

typedef struct json_sr_format {
    format base;
    format *json;
    int32_t id;
    bool writes;
} json_sr_format;

static format_spec json_spec(const format_spec *from)
{
    return (format_spec){ .name = SLICE("JSON"), .is_key = from->is_key, .is_unwrapped = from->is_unwrapped };
}

static weir_rc json_sr_check(const format_spec *spec, const schema_column *columns, uint32_t count, weir_error *err)
{
    const format_spec json = json_spec(spec);

    return format_check(&json, columns, count, err);
}

static weir_rc json_sr_open(format *self, arena *a, weir_error *err)
{
    const format_spec json = json_spec(&self->spec);

    WEIR_TRY(need_registry(&self->spec, err));
    return format_open(&((json_sr_format *)self)->json, &json, self->columns, self->count, self->is_wanted, a, err);
}

static void json_sr_close(format *self)
{
    format_close(((json_sr_format *)self)->json);
}

static weir_rc json_sr_columns(const format_spec *spec, arena *a, const schema_column **columns, uint32_t *count, weir_error *err)
{
    const registered_schema *found;
    const type *t;

    WEIR_TRY(frame_schema(spec, SCHEMA_JSON, &found, err));
    WEIR_TRY(json_schema_type(found->schema.text, spec->schema_id <= 0, a, &t, err));
    if (spec->is_unwrapped) {
        frame_lone_column(spec, t, a, columns, count);
        return WEIR_OK;
    }
    return frame_columns_of(spec, found->id, t, a, columns, count, err);
}

static weir_rc json_sr_start_writing(format *self, arena *a, weir_error *err)
{
    json_sr_format *f = (json_sr_format *)self;
    const registered_schema *given;
    text made = TEXT_EMPTY;
    weir_rc rc;

    (void)a;
    if (self->spec.schema_id > 0) {
        rc = frame_schema(&self->spec, SCHEMA_JSON, &given, err);
        if (rc == WEIR_OK) f->id = given->id;
    } else {
        json_schema_print(&made, self->columns, self->count, self->spec.is_unwrapped);
        rc = frame_register(&self->spec, SCHEMA_JSON, text_slice(&made), &f->id, err);
        text_free(&made);
    }
    f->writes = rc == WEIR_OK;
    return rc;
}

static row_set json_sr_decode(format *self, const slice *bytes, row_set rows, arena *a, column *columns, const row_report *report)
{
    survivors alive = { .in = rows };
    uint32_t last = 0;

    EACH_ROW (r, rows) last = r > last ? r : last;
    slice *bodies = ARENA_ARRAY(a, slice, last + 1);
    EACH_ROW (r, rows) {
        int32_t id;
        bodies[r] = NO_SLICE;
        if (bytes[r].data != NULL && !frame_read(bytes[r], &id, &bodies[r])) {
            char reason[REASON_BYTES];
            frame_reason(reason, bytes[r]);
            row_is_lost(&alive, a, r, reason, report);
            continue;
        }
        row_survives(&alive, r);
    }
    return format_decode(((json_sr_format *)self)->json, bodies, survivors_rows(&alive), a, columns, report);
}

static row_set json_sr_encode(format *self, const column *columns, row_set rows, arena *a, slice *out, const row_report *report)
{
    json_sr_format *f = (json_sr_format *)self;
    survivors alive = { .in = rows };

    if (!f->writes) {
        EACH_ROW (r, rows) row_is_lost(&alive, a, r, "the format has not been started for writing", report);
        return survivors_rows(&alive);
    }
    row_set written = format_encode(f->json, columns, rows, a, out, report);
    EACH_ROW (r, written) {
        if (out[r].data == NULL) continue;
        char *framed = arena_alloc(a, FRAME_BYTES + out[r].len);
        frame_write(framed, f->id);
        memcpy(framed + FRAME_BYTES, out[r].data, out[r].len);
        out[r] = (slice){ framed, FRAME_BYTES + out[r].len };
    }
    return written;
}

const format_class format_json_sr = {
    .name = "JSON_SR",
    .traits = FORMAT_KEY | FORMAT_VALUE | FORMAT_WRAPS | FORMAT_UNWRAPS | FORMAT_SCHEMAS,
    .bytes = sizeof(json_sr_format),
    .check = json_sr_check,
    .open = json_sr_open,
    .decode = json_sr_decode,
    .encode = json_sr_encode,
    .start_writing = json_sr_start_writing,
    .columns = json_sr_columns,
    .close = json_sr_close,
};
