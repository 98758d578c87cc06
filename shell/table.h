/* shell/table.h - rows of text in aligned columns.
 * Rows are held back until a page of them is known, so that the columns fit what stands in them; a page that is printed
 * can no longer change, so columns only grow from page to page. A cell too wide for the terminal goes on in the next
 * line of its row: nothing is cut off. Where the first page would leave columns too narrow to read, rows are printed
 * vertically, a line a cell. */
#ifndef WEIR_SHELL_TABLE_H
#define WEIR_SHELL_TABLE_H

#include <stdio.h>

#include "core/text.h"

typedef struct table table;

/* width 0: as wide as it needs to be. */
table *table_new(FILE *to, uint32_t columns, uint32_t width);
void table_header(table *t, uint32_t column, slice name, bool is_right_aligned);
/* Cells of the current row, from left to right; the row ends with the last. Copied. */
void table_cell(table *t, slice cell);
void table_flush(table *t); /* prints the rows held back, the header before the first */
void table_free(table *t);  /* without printing; NULL is fine */

/* Columns of the terminal that the file is, 0: it is none. */
uint32_t terminal_width(FILE *file);

#endif
