/* storage/formats/none.c - NONE: nothing is there, and nothing is written. */
#include "storage/formats/format_class.h"

static weir_rc none_check(const format_spec *spec, const schema_column *columns, uint32_t count, weir_error *err)
{
    if (count == 0) return WEIR_OK;
    return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "format NONE is for a %s without columns; here is `%.*s`",
                     spec->is_key ? "key" : "value", SLICE_ARG(columns[0].name));
}

static row_set none_decode(format *self, const slice *bytes, row_set rows, arena *a, column *columns,
                           const row_report *report)
{
    (void)self, (void)bytes, (void)a, (void)columns, (void)report;
    return rows;
}

static row_set none_encode(format *self, const column *columns, row_set rows, arena *a, slice *out,
                           const row_report *report)
{
    (void)self, (void)columns, (void)a, (void)report;
    EACH_ROW(r, rows) out[r] = NO_SLICE;
    return rows;
}

const format_class format_none = {
    .name = "NONE",
    .traits = FORMAT_KEY | FORMAT_VALUE,
    .bytes = sizeof(format),
    .check = none_check,
    .decode = none_decode,
    .encode = none_encode,
};
