/* storage/formats/format.c - the table of formats, and what is alike for all of them. */
#include "storage/formats/frame.h"

static const format_class *const FORMATS[] = {
    &format_json, &format_delimited, &format_kafka, &format_none, &format_avro, &format_json_sr, &format_protobuf,
    &format_protobuf_nosr,
};

static const format_class *class_of(slice name)
{
    for (size_t i = 0; i < sizeof FORMATS / sizeof *FORMATS; i++) {
        if (slice_equal_nocase(name, slice_of(FORMATS[i]->name))) return FORMATS[i];
    }
    return NULL;
}

uint32_t format_traits_of(slice name, bool *found)
{
    const format_class *class = class_of(name);

    *found = class != NULL;
    return class == NULL ? 0 : class->traits;
}

weir_rc format_check(const format_spec *spec, const schema_column *columns, uint32_t count, weir_error *err)
{
    const format_class *class = class_of(spec->name);

    if (class == NULL) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE,
                         "unknown format %.*s; there are AVRO, DELIMITED, JSON, JSON_SR, KAFKA, NONE, PROTOBUF and "
                         "PROTOBUF_NOSR",
                         SLICE_ARG(spec->name));
    }
    if (spec->is_unwrapped && !(class->traits & FORMAT_UNWRAPS)) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "format %s cannot leave a single column unwrapped", class->name);
    }
    if (spec->is_unwrapped && count != 1) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "only a single column can stand unwrapped; there are %u", count);
    }
    if (spec->delimiter.data != NULL && class != &format_delimited) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "format %s has no delimiter; DELIMITED has", class->name);
    }
    return class->check == NULL ? WEIR_OK : class->check(spec, columns, count, err);
}

static const schema_column *copy_columns(arena *a, const schema_column *columns, uint32_t count)
{
    schema whole = { columns, 0, count };
    return schema_copy(a, &whole).columns;
}

weir_rc format_open(format **out, const format_spec *spec, const schema_column *columns, uint32_t count,
                    const bool *wanted, arena *a, weir_error *err)
{
    WEIR_TRY(format_check(spec, columns, count, err));
    const format_class *class = class_of(spec->name);
    if (class->decode == NULL) {
        return weir_fail(err, WEIR_UNSUPPORTED, NOWHERE, "format %s is not there yet", class->name);
    }

    format *f = arena_zero(a, class->bytes);
    uint32_t *index = ARENA_ARRAY(a, uint32_t, count);
    bool *is_wanted = ARENA_ARRAY(a, bool, count);
    f->class = class;
    f->spec = *spec;
    f->spec.name = slice_of(class->name);
    f->spec.delimiter = arena_copy(a, spec->delimiter);
    f->spec.subject = arena_copy(a, spec->subject);
    f->spec.schema_name = arena_copy(a, spec->schema_name);
    f->columns = copy_columns(a, columns, count);
    f->count = count;
    for (uint32_t i = 0; i < count; i++) {
        is_wanted[i] = wanted == NULL || wanted[i];
        if (is_wanted[i]) index[f->wanted_count++] = i;
    }
    f->wanted = index;
    f->is_wanted = is_wanted;
    weir_rc rc = class->open == NULL ? WEIR_OK : class->open(f, a, err);
    if (rc != WEIR_OK) {
        format_close(f);
        return rc;
    }
    *out = f;
    return WEIR_OK;
}

void format_close(format *f)
{
    if (f != NULL && f->class->close != NULL) f->class->close(f);
}

weir_rc format_columns(const format_spec *spec, arena *a, const schema_column **columns, uint32_t *count, weir_error *err)
{
    const format_class *class = class_of(spec->name);

    if (class != NULL && class->columns != NULL) return class->columns(spec, a, columns, count, err);
    return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "format %.*s has no schemas that tell the columns", SLICE_ARG(spec->name));
}

weir_rc format_start_writing(format *f, arena *a, weir_error *err)
{
    return f->class->start_writing == NULL ? WEIR_OK : f->class->start_writing(f, a, err);
}

weir_rc format_use_latest(format_spec *spec, schema_column *columns, uint32_t count, arena *a, weir_error *err)
{
    const format_class *class = class_of(spec->name);
    const registered_schema *latest;
    const schema_column *there;
    uint32_t there_count;

    if (class == NULL || !(class->traits & FORMAT_SCHEMAS)) return WEIR_OK;
    WEIR_TRY(need_registry(spec, err));
    WEIR_TRY(registry_version(spec->registry, spec->subject, 0, &latest, err));
    if (latest == NULL) return WEIR_OK;
    spec->schema_id = latest->id;
    WEIR_TRY(format_columns(spec, a, &there, &there_count, err));
    for (uint32_t i = 0; i < count && there_count == count; i++) columns[i].name = there[i].name;
    return WEIR_OK;
}

weir_rc format_register(const format_spec *spec, const schema_column *columns, uint32_t count, bool unless_there,
                        weir_error *err)
{
    const format_class *class = class_of(spec->name);
    const registered_schema *there = NULL;
    format *f;

    if (class == NULL || !(class->traits & FORMAT_SCHEMAS) || count == 0) return WEIR_OK;
    WEIR_TRY(need_registry(spec, err));
    if (unless_there) WEIR_TRY(registry_version(spec->registry, spec->subject, 0, &there, err));
    if (there != NULL) return WEIR_OK;
    arena *a = arena_new(0);
    weir_rc rc = format_open(&f, spec, columns, count, NULL, a, err);
    if (rc == WEIR_OK) {
        rc = format_start_writing(f, a, err);
        format_close(f);
    }
    arena_free(a);
    return rc;
}

weir_rc format_unregister(const format_spec *spec, weir_error *err)
{
    const format_class *class = class_of(spec->name);

    if (class == NULL || !(class->traits & FORMAT_SCHEMAS)) return WEIR_OK;
    WEIR_TRY(need_registry(spec, err));
    return registry_delete(spec->registry, spec->subject, err);
}

weir_rc format_failure(const format *f, weir_error *err)
{
    if (f == NULL || !f->has_failed) return WEIR_OK;
    *err = f->failure;
    return err->rc;
}

row_set format_decode(format *f, const slice *bytes, row_set rows, arena *a, column *columns, const row_report *report)
{
    f->has_failed = false;
    return f->class->decode(f, bytes, rows, a, columns, report);
}

row_set format_encode(format *f, const column *columns, row_set rows, arena *a, slice *out, const row_report *report)
{
    return f->class->encode(f, columns, rows, a, out, report);
}

void row_is_lost(survivors *s, arena *a, uint32_t row, const char *reason, const row_report *report)
{
    if (s->index == NULL) {
        s->index = ARENA_ARRAY(a, uint32_t, s->in.count);
        for (uint32_t i = 0; i < s->count; i++) s->index[i] = s->in.index == NULL ? i : s->in.index[i];
    }
    if (report != NULL) report->bad_row(report->self, row, reason);
}

slice windowed_key_encode(arena *a, slice key, window_kind kind, int64_t start_ms, int64_t end_ms)
{
    char *begin = arena_alloc(a, key.len + 16), *at = begin;

    if (key.len > 0) memcpy(at, key.data, key.len);
    at += key.len;
    if (kind == WINDOW_SESSION) {
        put_u64(at, (uint64_t)end_ms);
        at += 8;
    }
    put_u64(at, (uint64_t)start_ms);
    return (slice){ begin, (size_t)(at + 8 - begin) };
}

bool windowed_key_decode(slice bytes, window_kind kind, int64_t size_ms, slice *key, int64_t *start_ms, int64_t *end_ms)
{
    size_t tail = kind == WINDOW_SESSION ? 16 : 8;

    if (bytes.data == NULL || bytes.len < tail) return false;
    *key = (slice){ bytes.data, bytes.len - tail };
    *start_ms = (int64_t)get_u64(bytes.data + bytes.len - 8);
    if (kind == WINDOW_SESSION) {
        *end_ms = (int64_t)get_u64(bytes.data + bytes.len - 16);
    } else if (__builtin_add_overflow(*start_ms, size_ms, end_ms)) {
        *end_ms = INT64_MAX;
    }
    return true;
}
