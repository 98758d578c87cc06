/* storage/formats/proto_schema.h - Protobuf schemas as a tree of messages: parsed by libprotobuf, behind a face for C; made
 * from columns as .proto text; and as columns. */
#ifndef WEIR_STORAGE_FORMATS_PROTO_SCHEMA_H
#define WEIR_STORAGE_FORMATS_PROTO_SCHEMA_H

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "core/arena.h"
#include "core/error.h"

/* The numbers are those of a descriptor's field types. */
typedef enum proto_kind {
    PROTO_DOUBLE = 1,
    PROTO_FLOAT,
    PROTO_INT64,
    PROTO_UINT64,
    PROTO_INT32,
    PROTO_FIXED64,
    PROTO_FIXED32,
    PROTO_BOOL,
    PROTO_STRING,
    PROTO_GROUP,
    PROTO_MESSAGE,
    PROTO_BYTES,
    PROTO_UINT32,
    PROTO_ENUM,
    PROTO_SFIXED32,
    PROTO_SFIXED64,
    PROTO_SINT32,
    PROTO_SINT64
} proto_kind;

/* "int32": as .proto files have it. */
const char *proto_kind_name(proto_kind kind);

/* Messages that stand for one value. */
typedef enum proto_known {
    KNOWN_NONE,
    KNOWN_TIMESTAMP,
    KNOWN_DATE,
    KNOWN_TIME,
    KNOWN_DECIMAL,
    KNOWN_WRAPPER /* of its one field */
} proto_known;

typedef struct proto_symbol {
    slice name;
    int32_t number;
} proto_symbol;

typedef struct proto_message proto_message;

typedef struct proto_field {
    slice name;
    uint32_t number;
    proto_kind kind;
    bool is_repeated;
    bool is_packed;
    bool is_map;              /* repeated, of a message with the fields key and value */
    bool has_presence;        /* absent is null, not a default */
    uint8_t precision, scale; /* of a Decimal, as its options say; precision 0: they do not */
    const proto_message *message;
    const proto_symbol *symbols; /* ENUM */
    uint32_t symbol_count;
} proto_field;

struct proto_message {
    slice name; /* with its package and what it stands in */
    proto_known known;
    const proto_field *fields;
    uint32_t count;
    const int32_t *path; /* its place in the file: a message's index, then that of one within it ... */
    uint32_t path_count;
};

typedef struct proto_file {
    const proto_message *const *messages; /* all, those within others behind them; the first is the file's first */
    uint32_t count;
} proto_file;

typedef struct proto_import {
    slice name; /* as the import statement has it */
    slice text;
} proto_import;

/* Semantic error: the text is not right, or something imported is missing. imports: those it needs beside Google's and
 * Confluent's own, in an order in which each stands behind what it imports. */
weir_rc proto_parse(slice schema, const proto_import *imports, uint32_t import_count, arena *a, proto_file *out,
                    weir_error *err) WEIR_CHECKED;

#ifdef __cplusplus
}
#else

#include "core/schema.h"

typedef enum proto_nulls { PROTO_NULLS_PLAIN, PROTO_NULLS_OPTIONAL, PROTO_NULLS_WRAPPER } proto_nulls;

/* NULL: there is none. name absent: the first. */
const proto_message *proto_find(const proto_file *f, slice name);
const proto_message *proto_at(const proto_file *f, const int32_t *path, uint32_t count);
/* The message as a STRUCT. upper: names in upper case. Semantic error: it holds itself. */
weir_rc proto_type(const proto_message *m, bool upper, arena *a, const type **out, weir_error *err) WEIR_CHECKED;
/* A message of these columns, as .proto text. name absent: ConnectDefault1. Semantic error: what Protobuf cannot have. */
weir_rc proto_print(text *out, const schema_column *columns, uint32_t count, slice name, proto_nulls nulls,
                    weir_error *err) WEIR_CHECKED;

#endif
#endif
