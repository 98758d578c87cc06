/* planner/lines.h - plans and commands as text: a line a field, "name value", values escaped so that they hold no newline.
 * A reader expects the fields in the order they were written, and says which line does not fit. */
#ifndef WEIR_PLANNER_LINES_H
#define WEIR_PLANNER_LINES_H

#include "core/error.h"
#include "core/schema.h"
#include "storage/formats/format.h"

/* Each adds a line. Absent texts are a name alone; present ones follow an '='. line_format() adds several, as the format has it. */
void line_text(text *out, const char *name, slice value);
void line_number(text *out, const char *name, int64_t number);
void line_schema(text *out, const char *name, const schema *s);
void line_type(text *out, const char *name, const type *t);
void line_format(text *out, const char *name, const format_spec *f);

typedef struct line_reader {
    slice rest;
    uint32_t line;
    arena *arena;
    weir_error *err;
    const char *what; /* "plan": for messages */
    struct held_call **held; /* what the expressions read so far hold, see bind.h */
} line_reader;

/* Has the next line that name? For lines that are not always there. */
bool next_is(const line_reader *r, const char *name);
/* Each takes the next line, which must have that name, and puts what it says into the arena. Class storage: it has another
 * name, or says nothing of the kind. */
weir_rc read_text(line_reader *r, const char *name, slice *value) WEIR_CHECKED;
weir_rc read_number_line(line_reader *r, const char *name, int64_t least, int64_t most, int64_t *number) WEIR_CHECKED;
weir_rc read_flag(line_reader *r, const char *name, bool *flag) WEIR_CHECKED;
weir_rc read_schema(line_reader *r, const char *name, schema *s) WEIR_CHECKED;
weir_rc read_type(line_reader *r, const char *name, const type **t) WEIR_CHECKED; /* NULL where absent */
weir_rc read_format_line(line_reader *r, const char *name, format_spec *f) WEIR_CHECKED;
/* "a stored plan cannot be read: line 7 <why>". */
weir_rc fail_line(line_reader *r, const char *why) WEIR_CHECKED;

#endif
