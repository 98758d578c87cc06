/* shell/style.h - whether a file is a terminal one may write colours and cursor movements to. */
#ifndef WEIR_SHELL_STYLE_H
#define WEIR_SHELL_STYLE_H

#include <stdbool.h>
#include <stdio.h>

#define STYLE_ERROR "\033[1;31m"
#define STYLE_DIM "\033[2m"
#define STYLE_END "\033[0m"
#define STYLE_CLEAR_LINE "\r\033[K"

bool style_moves(FILE *file);  /* a terminal that understands escape sequences */
bool style_colours(FILE *file); /* such a one, and NO_COLOR is not set */
/* The sequence where colours are wanted, else an empty text. */
const char *style_of(FILE *file, const char *sequence);

#endif
