/* storage/formats/frame.h - what formats with a schema registry have in common: the five bytes before each record, a zero
 * and the id of the schema it was written with. */
#ifndef WEIR_STORAGE_FORMATS_FRAME_H
#define WEIR_STORAGE_FORMATS_FRAME_H

#include "core/bytes.h"
#include "storage/formats/format_class.h"
#include "storage/registry.h"

#define FRAME_BYTES 5

static inline bool frame_read(slice bytes, int32_t *id, slice *body)
{
    if (bytes.len < FRAME_BYTES || bytes.data[0] != 0) return false;
    *id = (int32_t)get_u32(bytes.data + 1);
    *body = (slice){ bytes.data + FRAME_BYTES, bytes.len - FRAME_BYTES };
    return true;
}

static inline void frame_write(char *at, int32_t id)
{
    at[0] = 0;
    put_u32(at + 1, (uint32_t)id);
}

/* Why no frame stands before them. */
void frame_reason(char *reason, slice bytes);

/* Semantic error without one. */
weir_rc need_registry(const format_spec *spec, weir_error *err) WEIR_CHECKED;
/* The schema that spec speaks of: of its id, else the subject's latest. Semantic error: there is none, or it is of another
 * language. */
weir_rc frame_schema(const format_spec *spec, schema_language language, const registered_schema **out,
                     weir_error *err) WEIR_CHECKED;
/* The schema of a record. False: the row is bad, reason says why; or, with f->has_failed, the registry did not answer. */
bool frame_schema_of_record(format *f, int32_t id, schema_language language, const registered_schema **out, char *reason);
/* What a reader has made of a schema; stands first in a struct of its own. Lists begin with the one last used. */
typedef struct frame_plan {
    int32_t id;
    const char *reason; /* why its records cannot be read; NULL: they can */
    struct frame_plan *next;
} frame_plan;

/* The plan of that schema, which comes to the front; NULL: it was not met yet. */
static inline frame_plan *frame_find_plan(frame_plan **first, int32_t id)
{
    for (frame_plan **at = first; *at != NULL; at = &(*at)->next) {
        frame_plan *found = *at;
        if (found->id != id) continue;
        *at = found->next;
        found->next = *first;
        return *first = found;
    }
    return NULL;
}

/* Puts the schema under the spec's subject. */
weir_rc frame_register(const format_spec *spec, schema_language language, slice schema, int32_t *id, weir_error *err) WEIR_CHECKED;
/* The one column of a schema that is no record: ROWKEY or ROWVAL. */
void frame_lone_column(const format_spec *spec, const type *t, arena *a, const schema_column **columns, uint32_t *count);
/* The fields of a schema that is a record, as columns. Semantic error: it is none. */
weir_rc frame_columns_of(const format_spec *spec, int32_t id, const type *t, arena *a, const schema_column **columns,
                         uint32_t *count, weir_error *err) WEIR_CHECKED;
/* The wanted column, or any, of that name: as written, else ignoring case; or -1. */
int32_t frame_find_column(const format *f, slice name);

#endif
