/* planner/lines.c - see lines.h. */
#include "planner/lines.h"

#include "parser/parser.h"
#include "planner/planner.h"

/* ---- writing ---- */

static void add_escaped(text *out, slice value)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.data[i];
        if (c == '\\') text_add_c(out, "\\\\");
        else if (c == '\n') text_add_c(out, "\\n");
        else if (c == '\r') text_add_c(out, "\\r");
        else text_add_char(out, c);
    }
}

void line_text(text *out, const char *name, slice value)
{
    text_add_c(out, name);
    if (value.data != NULL) {
        text_add_c(out, " =");
        add_escaped(out, value);
    }
    text_add_char(out, '\n');
}

void line_number(text *out, const char *name, int64_t number)
{
    text_printf(out, "%s %lld\n", name, (long long)number);
}

void line_schema(text *out, const char *name, const schema *s)
{
    text columns = TEXT_EMPTY;

    schema_print(&columns, s, false);
    line_text(out, name, text_slice(&columns));
    text_free(&columns);
}

void line_type(text *out, const char *name, const type *t)
{
    text printed = TEXT_EMPTY;

    if (t == NULL) {
        line_text(out, name, NO_SLICE);
        return;
    }
    type_print(&printed, t);
    line_text(out, name, text_slice(&printed));
    text_free(&printed);
}

/* Formats with schemas have lines that others lack. */
static bool has_schema_lines(slice name)
{
    bool found;
    return (format_traits_of(name, &found) & (FORMAT_SCHEMAS | FORMAT_NULLS)) != 0;
}

void line_format(text *out, const char *name, const format_spec *f)
{
    line_text(out, name, f->name);
    line_text(out, "delimiter", f->delimiter);
    line_number(out, "unwrapped", f->is_unwrapped);
    if (!has_schema_lines(f->name)) return;
    line_text(out, "subject", f->subject);
    line_text(out, "schema-name", f->schema_name);
    line_number(out, "schema-id", f->schema_id);
    line_number(out, "nulls", f->nulls);
}

/* ---- reading ---- */

weir_rc fail_line(line_reader *r, const char *why)
{
    return weir_fail(r->err, WEIR_STORAGE, NOWHERE, "a stored %s cannot be read: line %u %s", r->what, r->line, why);
}

static weir_rc fail_name(line_reader *r, const char *name)
{
    return weir_fail(r->err, WEIR_STORAGE, NOWHERE, "a stored %s cannot be read: line %u is not \"%s\"", r->what, r->line, name);
}

/* The next line's part behind its name, without taking the line. */
static bool peek_line(const line_reader *r, const char *name, slice *line, slice *value)
{
    size_t length = strlen(name);
    const char *end = r->rest.len == 0 ? NULL : memchr(r->rest.data, '\n', r->rest.len);

    if (end == NULL) return false;
    *line = (slice){ r->rest.data, (size_t)(end - r->rest.data) };
    if (line->len < length || memcmp(line->data, name, length) != 0) return false;
    if (line->len > length && line->data[length] != ' ') return false;
    *value = line->len > length ? (slice){ line->data + length + 1, line->len - length - 1 } : NO_SLICE;
    return true;
}

bool next_is(const line_reader *r, const char *name)
{
    slice line, value;

    return peek_line(r, name, &line, &value);
}

static weir_rc next_line(line_reader *r, const char *name, slice *value)
{
    slice line;

    r->line++;
    if (!peek_line(r, name, &line, value)) return fail_name(r, name);
    r->rest = (slice){ r->rest.data + line.len + 1, r->rest.len - line.len - 1 };
    return WEIR_OK;
}

weir_rc read_text(line_reader *r, const char *name, slice *value)
{
    slice raw;
    size_t count = 0;

    WEIR_TRY(next_line(r, name, &raw));
    *value = NO_SLICE;
    if (raw.data == NULL) return WEIR_OK;
    if (raw.len == 0 || raw.data[0] != '=') return fail_line(r, "has no '='");
    char *plain = ARENA_ARRAY(r->arena, char, raw.len);
    for (size_t i = 1; i < raw.len; i++) {
        char c = raw.data[i];
        if (c == '\\' && i + 1 < raw.len) {
            c = raw.data[++i];
            c = c == 'n' ? '\n' : c == 'r' ? '\r' : c;
        }
        plain[count++] = c;
    }
    *value = (slice){ plain, count };
    return WEIR_OK;
}

weir_rc read_number_line(line_reader *r, const char *name, int64_t least, int64_t most, int64_t *number)
{
    slice raw;
    size_t i = 0;
    bool is_negative;
    uint64_t magnitude = 0;

    WEIR_TRY(next_line(r, name, &raw));
    is_negative = raw.len > 0 && raw.data[0] == '-';
    i += is_negative;
    if (i == raw.len || raw.len - i > 19) return fail_line(r, "has no number");
    for (; i < raw.len; i++) {
        if (raw.data[i] < '0' || raw.data[i] > '9') return fail_line(r, "has no number");
        magnitude = magnitude * 10 + (uint64_t)(raw.data[i] - '0');
    }
    if (magnitude > (uint64_t)INT64_MAX + is_negative) return fail_line(r, "has a number out of range");
    *number = is_negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return *number < least || *number > most ? fail_line(r, "has a number out of range") : WEIR_OK;
}

weir_rc read_flag(line_reader *r, const char *name, bool *flag)
{
    int64_t number;

    WEIR_TRY(read_number_line(r, name, 0, 1, &number));
    *flag = number == 1;
    return WEIR_OK;
}

static weir_rc read_columns(line_reader *r, const column_def_list *list, schema *s)
{
    schema_column *columns = ARENA_ZEROS(r->arena, schema_column, list->count);
    uint32_t keys = 0;

    for (uint32_t i = 0; i < list->count; i++) {
        const column_def *c = &list->items[i];
        columns[i].name = c->name.name;
        columns[i].is_headers = c->role == COLUMN_HEADERS;
        if (c->role == COLUMN_HEADER) columns[i].header_key = c->header;
        WEIR_TRY(bind_type(c->type, NULL, r->arena, &columns[i].type, r->err));
        if (c->role != COLUMN_KEY) continue;
        if (keys != i) return fail_line(r, "has a key column behind others");
        keys++;
    }
    *s = (schema){ columns, keys, list->count };
    return WEIR_OK;
}

weir_rc read_schema(line_reader *r, const char *name, schema *s)
{
    column_def_list list = { NULL, 0 };
    slice printed;

    WEIR_TRY(read_text(r, name, &printed));
    if (printed.data == NULL) return fail_line(r, "has no columns");
    if (printed.len > 0) WEIR_TRY(parse_columns(r->arena, printed, &list, r->err));
    return read_columns(r, &list, s);
}

weir_rc read_type(line_reader *r, const char *name, const type **t)
{
    slice printed;
    type_name *tree;

    *t = NULL;
    WEIR_TRY(read_text(r, name, &printed));
    if (printed.data == NULL) return WEIR_OK;
    WEIR_TRY(parse_type(r->arena, printed, &tree, r->err));
    return bind_type(tree, NULL, r->arena, t, r->err);
}

weir_rc read_format_line(line_reader *r, const char *name, format_spec *f)
{
    WEIR_TRY(read_text(r, name, &f->name));
    WEIR_TRY(read_text(r, "delimiter", &f->delimiter));
    WEIR_TRY(read_flag(r, "unwrapped", &f->is_unwrapped));
    if (!has_schema_lines(f->name)) return WEIR_OK;
    int64_t id, nulls;
    WEIR_TRY(read_text(r, "subject", &f->subject));
    WEIR_TRY(read_text(r, "schema-name", &f->schema_name));
    WEIR_TRY(read_number_line(r, "schema-id", 0, INT32_MAX, &id));
    WEIR_TRY(read_number_line(r, "nulls", NULLS_DEFAULT, NULLS_WRAPPER, &nulls));
    f->schema_id = (int32_t)id;
    f->nulls = (format_nulls)nulls;
    return WEIR_OK;
}
