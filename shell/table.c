/* shell/table.c - rows of text in aligned columns. */
#include "shell/table.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

enum { PAGE_ROWS = 500, COLUMN_WIDTH_MIN = 6, COLUMN_WIDTH_READABLE = 20 };

typedef struct heading {
    slice name;
    uint32_t width; /* as printed so far, and of the page being gathered */
    bool is_right_aligned;
} heading;

struct table {
    FILE *to;
    uint32_t columns, width;
    heading *headings;
    arena *names;
    arena *page; /* the cells of the rows held back */
    slice *cells;
    uint32_t cell_count, cell_room;
    bool has_printed_header, is_vertical;
    uint64_t rows_printed;
    text line;
};

uint32_t terminal_width(FILE *file)
{
    struct winsize size;

    if (!isatty(fileno(file)) || ioctl(fileno(file), TIOCGWINSZ, &size) != 0) return 0;
    return size.ws_col;
}

/* The character at *at and its width on the screen; what is no UTF-8 counts as one column a byte. */
static uint32_t next_character(slice s, size_t *at)
{
    unsigned char first = (unsigned char)s.data[*at];
    size_t length = first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    uint32_t c = first < 0x80 ? first : first & (0xFFu >> (length + 1));
    int width;

    if (*at + length > s.len) length = 1;
    for (size_t i = 1; i < length; i++) c = c << 6 | ((unsigned char)s.data[*at + i] & 63);
    *at += length;
    if (length == 1) return 1;
    width = wcwidth((wchar_t)c);
    return width < 0 ? 1 : (uint32_t)width;
}

static uint32_t text_width(slice s)
{
    uint32_t width = 0;

    for (size_t at = 0; at < s.len;) width += next_character(s, &at);
    return width;
}

table *table_new(FILE *to, uint32_t columns, uint32_t width)
{
    table *t = calloc(1, sizeof *t);

    if (t == NULL) abort();
    t->to = to;
    t->columns = columns;
    t->width = width;
    t->names = arena_new(0);
    t->page = arena_new(0);
    t->headings = ARENA_ZEROS(t->names, heading, columns);
    return t;
}

void table_free(table *t)
{
    if (t == NULL) return;
    arena_free(t->names);
    arena_free(t->page);
    text_free(&t->line);
    free(t->cells);
    free(t);
}

void table_header(table *t, uint32_t column, slice name, bool is_right_aligned)
{
    t->headings[column] = (heading){ arena_copy(t->names, name), text_width(name), is_right_aligned };
}

/* A control character would break the table: shown as an escape. */
static slice cell_copy(arena *a, slice cell)
{
    text shown = TEXT_EMPTY;
    slice copy;
    bool is_plain = true;

    for (size_t i = 0; i < cell.len && is_plain; i++) is_plain = (unsigned char)cell.data[i] >= 0x20;
    if (is_plain) return arena_copy(a, cell);
    for (size_t i = 0; i < cell.len; i++) {
        unsigned char c = (unsigned char)cell.data[i];
        if (c == '\n') text_add_c(&shown, "\\n");
        else if (c == '\t') text_add_c(&shown, "\\t");
        else if (c == '\r') text_add_c(&shown, "\\r");
        else if (c < 0x20) text_printf(&shown, "\\x%02x", c);
        else text_add_char(&shown, (char)c);
    }
    copy = text_keep(&shown, a);
    return copy;
}

void table_cell(table *t, slice cell)
{
    heading *h = &t->headings[t->cell_count % t->columns];
    uint32_t width;

    if (t->cell_count == t->cell_room) {
        t->cell_room = t->cell_room == 0 ? t->columns * 64 : t->cell_room * 2;
        t->cells = realloc(t->cells, sizeof *t->cells * t->cell_room);
        if (t->cells == NULL) abort();
    }
    t->cells[t->cell_count] = cell_copy(t->page, cell);
    width = text_width(t->cells[t->cell_count]);
    if (width > h->width) h->width = width;
    if (++t->cell_count == t->columns * PAGE_ROWS) table_flush(t);
}

/* Takes from the widest column until the row fits. False: what is left of a column cannot be read. */
static bool fit_terminal(table *t)
{
    bool is_readable = true;

    for (;;) {
        uint32_t total = 3 * t->columns - 1, widest = 0;
        for (uint32_t i = 0; i < t->columns; i++) {
            total += t->headings[i].width;
            if (t->headings[i].width > t->headings[widest].width) widest = i;
        }
        if (t->width == 0 || total <= t->width || t->headings[widest].width <= COLUMN_WIDTH_MIN) {
            return is_readable && (t->width == 0 || total <= t->width);
        }
        t->headings[widest].width--;
        if (t->headings[widest].width < COLUMN_WIDTH_READABLE) is_readable = false;
    }
}

/* Adds what of the cell fits into the column, padded, and moves *at behind it. */
static void add_part(text *line, slice cell, size_t *at, const heading *h)
{
    size_t from = *at, to = *at;
    uint32_t width = 0;

    while (to < cell.len) {
        size_t next = to;
        uint32_t more = next_character(cell, &next);
        if (width + more > h->width && to > from) break;
        width += more;
        to = next;
    }
    if (h->is_right_aligned)
        for (uint32_t i = width; i < h->width; i++) text_add_char(line, ' ');
    text_add(line, (slice){ cell.data + from, to - from });
    if (!h->is_right_aligned)
        for (uint32_t i = width; i < h->width; i++) text_add_char(line, ' ');
    *at = to;
}

static void print_line(table *t)
{
    while (t->line.len > 0 && t->line.data[t->line.len - 1] == ' ') t->line.len--;
    text_add_char(&t->line, '\n');
    fwrite(t->line.data, 1, t->line.len, t->to);
    text_clear(&t->line);
}

static void print_row(table *t, const slice *cells, size_t *at)
{
    bool goes_on = true;

    memset(at, 0, sizeof *at * t->columns);
    while (goes_on) {
        goes_on = false;
        for (uint32_t i = 0; i < t->columns; i++) {
            text_add_c(&t->line, i == 0 ? " " : " | ");
            add_part(&t->line, cells[i], &at[i], &t->headings[i]);
            goes_on |= at[i] < cells[i].len;
        }
        print_line(t);
    }
}

static void print_header(table *t, size_t *at)
{
    slice *names = ARENA_ARRAY(t->names, slice, t->columns);

    for (uint32_t i = 0; i < t->columns; i++) names[i] = t->headings[i].name;
    print_row(t, names, at);
    for (uint32_t i = 0; i < t->columns; i++) {
        text_add_c(&t->line, i == 0 ? "-" : "-+-");
        for (uint32_t j = 0; j < t->headings[i].width; j++) text_add_char(&t->line, '-');
    }
    text_add_char(&t->line, '-');
    print_line(t);
    t->has_printed_header = true;
}

/* A row a block: " NAME | cell", its title ruled to the same width. */
static void print_vertically(table *t, const slice *cells)
{
    uint32_t name_width = 0, rule = 0;
    heading rest = { .width = 1 };

    for (uint32_t i = 0; i < t->columns; i++) {
        if (text_width(t->headings[i].name) > name_width) name_width = text_width(t->headings[i].name);
    }
    if (name_width + 4 < t->width) rest.width = t->width - name_width - 4;
    text_printf(&t->line, "-[ row %llu ]", (unsigned long long)++t->rows_printed);
    rule = text_width(text_slice(&t->line));
    for (uint32_t i = rule; i < name_width + 22 && i < t->width; i++) text_add_char(&t->line, '-');
    print_line(t);
    for (uint32_t i = 0; i < t->columns; i++) {
        const heading names = { .width = name_width };
        slice name = t->headings[i].name;
        size_t at = 0;
        do {
            size_t name_at = 0;
            text_add_char(&t->line, ' ');
            add_part(&t->line, name, &name_at, &names);
            name.len = 0; /* once */
            text_add_c(&t->line, " | ");
            add_part(&t->line, cells[i], &at, &rest);
            print_line(t);
        } while (at < cells[i].len);
    }
}

void table_flush(table *t)
{
    size_t *at = ARENA_ARRAY(t->page, size_t, t->columns);

    if (!t->is_vertical) {
        bool fits = fit_terminal(t);
        t->is_vertical = !fits && !t->has_printed_header && t->cell_count > 0;
        if (!t->is_vertical && !t->has_printed_header) print_header(t, at);
    }
    for (uint32_t i = 0; i + t->columns <= t->cell_count; i += t->columns) {
        if (t->is_vertical) print_vertically(t, t->cells + i);
        else print_row(t, t->cells + i, at);
    }
    t->cell_count = 0;
    arena_reset(t->page);
}
