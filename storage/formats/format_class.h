/* storage/formats/format_class.h - what a format is made of, for the files that are one; others see format.h.
 * A new format is a file with a const format_class in it, and that class's name in the table of format.c. */
#ifndef WEIR_STORAGE_FORMATS_FORMAT_CLASS_H
#define WEIR_STORAGE_FORMATS_FORMAT_CLASS_H

#include "core/reason.h"
#include "storage/formats/format.h"

typedef struct format_class {
    const char *name;
    uint32_t traits;
    size_t bytes; /* of its struct, which begins with a format */
    /* Each may be NULL: nothing to check, to set up, to close; no decode: not written yet. */
    weir_rc (*check)(const format_spec *spec, const schema_column *columns, uint32_t count, weir_error *err);
    weir_rc (*open)(format *self, arena *a, weir_error *err); /* the base is filled, what follows it cleared */
    row_set (*decode)(format *self, const slice *bytes, row_set rows, arena *a, column *columns, const row_report *report);
    row_set (*encode)(format *self, const column *columns, row_set rows, arena *a, slice *out, const row_report *report);
    /* For formats with a registry, see format.h. */
    weir_rc (*start_writing)(format *self, arena *a, weir_error *err);
    weir_rc (*columns)(const format_spec *spec, arena *a, const schema_column **columns, uint32_t *count, weir_error *err);
    void (*close)(format *self); /* called once after open, also where that failed */
} format_class;

struct format {
    const format_class *class;
    format_spec spec;
    const schema_column *columns;
    uint32_t count;
    const uint32_t *wanted; /* the indexes of the columns to decode, rising */
    uint32_t wanted_count;
    const bool *is_wanted;  /* by column */
    bool has_failed;        /* while decoding, for no fault of the record: see format_failure() */
    weir_error failure;
};

extern const format_class format_json, format_delimited, format_kafka, format_none, format_avro, format_json_sr, format_protobuf,
    format_protobuf_nosr;

/* The rows that came through so far. While none is lost it is the input's own set, and nothing is written. */
typedef struct survivors {
    row_set in;
    uint32_t *index;
    uint32_t count;
} survivors;

static inline void row_survives(survivors *s, uint32_t row)
{
    if (s->index != NULL) s->index[s->count] = row;
    s->count++;
}

/* Reports the row and leaves it out. */
void row_is_lost(survivors *s, arena *a, uint32_t row, const char *reason, const row_report *report);

static inline row_set survivors_rows(const survivors *s)
{
    return s->index == NULL ? s->in : (row_set){ s->index, s->count };
}

#endif
