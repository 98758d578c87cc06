/* storage/formats/proto_format.h - what the files of PROTOBUF share: protobuf.c, the links of proto_link.c between a message and
 * the columns, the reader proto_read.c and the writer proto_write.c. */
#ifndef WEIR_STORAGE_FORMATS_PROTO_FORMAT_H
#define WEIR_STORAGE_FORMATS_PROTO_FORMAT_H

#include "storage/formats/frame.h"
#include "storage/formats/proto_schema.h"

#define NEAR_NUMBERS 128 /* fields with smaller numbers are found without a search */
#define PROTO_DEPTH_MAX 100

/* A message, as far as a STRUCT of the reader wants it, or a STRUCT as far as a message takes it. */
typedef struct proto_link proto_link;

struct proto_link {
    const proto_message *message;
    const type *type;    /* STRUCT */
    int32_t *place;      /* of each field of the message: its place in the STRUCT, or -1 */
    proto_link **within; /* of fields that are messages with fields: their own */
    int16_t near[NEAR_NUMBERS]; /* by number: 1 + the field, or 0 */
};

typedef struct protobuf_format {
    format base;
    arena *arena;        /* of what lives as long as the format */
    const type *type;    /* the columns as a STRUCT, unwanted ones too */
    frame_plan *plans;   /* the reader's */
    bool has_registry;
    proto_link *writer;  /* NULL until protobuf_start_writing() */
    char frame[FRAME_BYTES + 64];
    size_t frame_bytes;
    text out;
} protobuf_format;

/* As format_class has them. */
row_set protobuf_decode(format *self, const slice *bytes, row_set rows, arena *a, column *columns, const row_report *report);
row_set protobuf_encode(format *self, const column *columns, row_set rows, arena *a, slice *out, const row_report *report);
weir_rc protobuf_start_writing(format *self, arena *a, weir_error *err) WEIR_CHECKED;

/* ---- schemas (protobuf.c) ---- */

/* A schema's text and what it refers to, fetched from the registry; NULL: it refers to nothing. */
weir_rc proto_parse_registered(registry *r, const schema_text *schema, arena *a, proto_file *out, weir_error *err) WEIR_CHECKED;
/* The message that spec names. Semantic error: there is none. */
weir_rc proto_find_named(const format_spec *spec, const proto_file *file, const proto_message **out, weir_error *err) WEIR_CHECKED;

/* ---- links (proto_link.c) ---- */

/* Lives in the arena. is_wanted: by the STRUCT's fields; NULL: all. schema_id: of whom the reason speaks, as
 * proto_schema_words() has it. NULL: they do not go together, and the reason (REASON_BYTES) says why. */
proto_link *proto_link_new(arena *a, const proto_message *m, const type *t, const bool *is_wanted, int32_t schema_id, char *reason);

#define PROTO_SCHEMA_WORDS_BYTES 32
/* "schema 5"; 0: the one that the columns make. */
const char *proto_schema_words(int32_t id, char *words);

static inline bool proto_is_signed_32(proto_kind k)
{
    return k == PROTO_INT32 || k == PROTO_SINT32 || k == PROTO_SFIXED32;
}

/* How a field of the kind begins: 0 a varint, 1 eight bytes, 2 a length, 5 four bytes. */
static inline uint32_t proto_wire_of(proto_kind k)
{
    switch (k) {
    case PROTO_DOUBLE:
    case PROTO_FIXED64:
    case PROTO_SFIXED64: return 1;
    case PROTO_FLOAT:
    case PROTO_FIXED32:
    case PROTO_SFIXED32: return 5;
    case PROTO_STRING:
    case PROTO_BYTES:
    case PROTO_MESSAGE: return 2;
    default: return 0;
    }
}

#endif
