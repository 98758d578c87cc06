/* storage/formats/avro_schema.h - Avro schemas: as a tree, from JSON, from columns, and as columns.
 * The names and metadata are those that Kafka Connect's converter gives ksqlDB's schemas, so that what one writes the other
 * infers the same columns from. */
#ifndef WEIR_STORAGE_FORMATS_AVRO_SCHEMA_H
#define WEIR_STORAGE_FORMATS_AVRO_SCHEMA_H

#include "core/error.h"
#include "core/schema.h"

typedef enum avro_kind {
    AVRO_NULL,
    AVRO_BOOLEAN,
    AVRO_INT,
    AVRO_LONG,
    AVRO_FLOAT,
    AVRO_DOUBLE,
    AVRO_BYTES,
    AVRO_STRING,
    AVRO_FIXED,
    AVRO_ENUM,
    AVRO_ARRAY,
    AVRO_MAP,
    AVRO_RECORD,
    AVRO_UNION
} avro_kind;

typedef enum avro_logical {
    LOGICAL_NONE,
    LOGICAL_DECIMAL,
    LOGICAL_DATE,
    LOGICAL_TIME_MILLIS,
    LOGICAL_TIMESTAMP_MILLIS
} avro_logical;

typedef struct avro_schema avro_schema;
struct node;

typedef struct avro_field {
    slice name;
    const avro_schema *schema;
    const struct node *default_value; /* as written; NULL: there is none */
} avro_field;

struct avro_schema {
    avro_kind kind;
    avro_logical logical;
    uint8_t precision, scale;      /* DECIMAL */
    slice name;                    /* RECORD, ENUM, FIXED: with its namespace */
    uint32_t bytes;                /* FIXED */
    const slice *symbols;          /* ENUM */
    const avro_field *fields;      /* RECORD */
    const avro_schema *items;      /* ARRAY; MAP's values */
    const avro_schema **branches;  /* UNION */
    uint32_t count;                /* of symbols, fields, branches */
    int32_t null_branch;           /* UNION of null and one other: which is null; else -1 */
    bool is_map_entry;             /* RECORD of key and value whose array is a map */
};

/* Semantic errors say what is wrong with the schema. The tree lends from the text and the arena. */
weir_rc avro_parse(slice json, arena *a, const avro_schema **out, weir_error *err) WEIR_CHECKED;

/* The other branch of a union with null, else the schema itself. */
static inline const avro_schema *avro_not_null(const avro_schema *s)
{
    return s->kind == AVRO_UNION && s->null_branch >= 0 ? s->branches[1 - s->null_branch] : s;
}

/* Is the ARRAY a map's entries? */
static inline bool avro_is_map(const avro_schema *s)
{
    if (s->kind != AVRO_ARRAY) return false;
    const avro_schema *entry = avro_not_null(s->items);
    return entry->kind == AVRO_RECORD && entry->is_map_entry;
}

/* The SQL type of what the schema holds. upper: fields' names in upper case. Semantic error: there is none (a schema that
 * holds itself, a union of nothing). */
weir_rc avro_type(const avro_schema *s, bool upper, arena *a, const type **out, weir_error *err) WEIR_CHECKED;
/* A union's branch as a field of the STRUCT that stands for it: its name, in the arena. */
slice avro_branch_name(const avro_schema *branch, bool upper, arena *a);

/* The schema's text for a record of these columns, named so; or, unwrapped, for the lone column. Semantic error: a name
 * Avro cannot have. */
weir_rc avro_print(text *out, const schema_column *columns, uint32_t count, bool is_unwrapped, slice full_name,
                   weir_error *err) WEIR_CHECKED;

#endif
