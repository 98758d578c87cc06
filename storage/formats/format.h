/* storage/formats/format.h - bytes of a record's key or value to columns, and back.
 * A format is opened once for the key or the value of a source or sink, and works on whole batches. It belongs to one
 * thread; open one per task. Only wanted columns are decoded.
 * A row that cannot be read or written is no error of the query: it is reported, and left out of the result. */
#ifndef WEIR_STORAGE_FORMATS_FORMAT_H
#define WEIR_STORAGE_FORMATS_FORMAT_H

#include "core/batch.h"
#include "core/error.h"
#include "core/number.h"
#include "core/schema.h"

typedef struct format format;

typedef enum format_nulls {
    NULLS_DEFAULT, /* PROTOBUF: a null reads back as 0, "" or false */
    NULLS_OPTIONAL,
    NULLS_WRAPPER
} format_nulls;

typedef struct format_spec {
    slice name;      /* "JSON", "DELIMITED", "KAFKA", "NONE" ...; any case */
    bool is_key;
    slice delimiter; /* DELIMITED: one character, or SPACE or TAB; absent: a comma */
    bool is_unwrapped; /* a single column stands alone, without an object round it; for formats that can do both */
    /* Formats whose schemas are kept in a registry: */
    struct registry *registry; /* NULL: there is none; of the process, never stored */
    slice subject;         /* "<topic>-value" */
    slice schema_name;     /* AVRO: the record's full name; PROTOBUF: the message's; absent: the default */
    int32_t schema_id;     /* rows are written with this schema; 0: with one made of the columns */
    format_nulls nulls;    /* PROTOBUF */
} format_spec;

/* The property of a statement that names the format. */
static inline const char *format_property(const format_spec *spec)
{
    return spec->is_key ? "KEY_FORMAT" : "VALUE_FORMAT";
}

typedef struct row_report {
    void (*bad_row)(void *self, uint32_t row, const char *reason);
    void *self;
} row_report;

typedef enum format_traits {
    FORMAT_WRAPS = 1,   /* can wrap a single column */
    FORMAT_UNWRAPS = 2, /* can leave it bare */
    FORMAT_KEY = 4,     /* fit for keys */
    FORMAT_VALUE = 8,
    FORMAT_SCHEMAS = 16, /* schemas are kept in a registry, and tell the columns */
    FORMAT_NULLS = 32,   /* there is a choice of how nulls are written */
} format_traits;

/* Unknown names: *found is false. */
uint32_t format_traits_of(slice name, bool *found);
/* Semantic error when the format cannot hold these columns (KAFKA with two, DELIMITED with a map ...): names the column. */
weir_rc format_check(const format_spec *spec, const schema_column *columns, uint32_t count, weir_error *err) WEIR_CHECKED;

/* wanted[i]: column i is to be decoded; NULL: all. The spec and columns are copied into the arena, where the format lives
 * too; format_close() frees what else it holds. */
weir_rc format_open(format **out, const format_spec *spec, const schema_column *columns, uint32_t count,
                    const bool *wanted, arena *a, weir_error *err) WEIR_CHECKED;
void format_close(format *f); /* NULL is fine */

/* The columns that the registry's schema has: of the spec's schema_id with names as they are, else the subject's latest with
 * names in upper case. For formats with FORMAT_SCHEMAS. */
weir_rc format_columns(const format_spec *spec, arena *a, const schema_column **columns, uint32_t *count,
                       weir_error *err) WEIR_CHECKED;
/* To be called once before format_encode(): formats with a registry put their schema there. */
weir_rc format_start_writing(format *f, arena *a, weir_error *err) WEIR_CHECKED;
/* For rows that are to be written as others write them: spec becomes that of the subject's latest schema, if it has one, and
 * the columns take its names, by place. Formats without schemas: nothing changes. */
weir_rc format_use_latest(format_spec *spec, schema_column *columns, uint32_t count, arena *a, weir_error *err) WEIR_CHECKED;
/* The schema of the columns goes to the registry; with unless_there only where the subject has none. */
weir_rc format_register(const format_spec *spec, const schema_column *columns, uint32_t count, bool unless_there,
                        weir_error *err) WEIR_CHECKED;

/* The subject's schemas are deleted in the registry: its topic is no more. Formats without schemas: nothing happens. */
weir_rc format_unregister(const format_spec *spec, weir_error *err) WEIR_CHECKED;

/* Reads bytes[r] of each row into columns[i], which are allocated, for the wanted i. Absent bytes give nulls. Strings may be
 * lent from the bytes or stand in the arena. Returns the rows that could be read. Each bytes[r] is followed by 64
 * readable bytes. */
row_set format_decode(format *f, const slice *bytes, row_set rows, arena *a, column *columns, const row_report *report);
/* What kept the last format_decode() from reading rows it could not judge (a registry that did not answer): its result must
 * not be used then. */
weir_rc format_failure(const format *f, weir_error *err) WEIR_CHECKED;
/* Writes the columns of each row into out[r], in the arena; rows with out of range values are reported and left out. */
row_set format_encode(format *f, const column *columns, row_set rows, arena *a, slice *out, const row_report *report);

/* Windowed keys, as Kafka Streams writes them: the key's bytes, then the start (time windows) or end and start (sessions),
 * 8 bytes big-endian each. */
slice windowed_key_encode(arena *a, slice key, window_kind kind, int64_t start_ms, int64_t end_ms);
/* size_ms: of time windows, whose end it makes. False: the bytes are too few. The key is lent from them. */
bool windowed_key_decode(slice bytes, window_kind kind, int64_t size_ms, slice *key, int64_t *start_ms, int64_t *end_ms);

#endif
