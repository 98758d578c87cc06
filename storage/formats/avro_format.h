/* storage/formats/avro_format.h - what the files of AVRO share: avro.c, its reader avro_read.c and its writer avro_write.c. */
#ifndef WEIR_STORAGE_FORMATS_AVRO_FORMAT_H
#define WEIR_STORAGE_FORMATS_AVRO_FORMAT_H

#include "storage/formats/avro_schema.h"
#include "storage/formats/frame.h"

#define AVRO_DEFAULT_NAME "io.confluent.ksql.avro_schemas.KsqlDataSourceSchema"

typedef struct avro_format {
    format base;
    arena *arena;      /* of what lives as long as the format */
    frame_plan *plans; /* the reader's */
    const avro_schema *root; /* written; NULL until avro_start_writing() */
    struct write_field *fields; /* of the written record; wrapped only */
    int32_t id;
    text out;
} avro_format;

/* As format_class has them. */
row_set avro_decode(format *self, const slice *bytes, row_set rows, arena *a, column *columns, const row_report *report);
row_set avro_encode(format *self, const column *columns, row_set rows, arena *a, slice *out, const row_report *report);
weir_rc avro_start_writing(format *self, arena *a, weir_error *err) WEIR_CHECKED;

#endif
