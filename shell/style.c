/* shell/style.c - see style.h. NO_COLOR: https://no-color.org, any value but an empty one counts. */
#include "shell/style.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool style_moves(FILE *file)
{
    const char *terminal = getenv("TERM");

    return isatty(fileno(file)) && terminal != NULL && strcmp(terminal, "dumb") != 0;
}

bool style_colours(FILE *file)
{
    const char *unwanted = getenv("NO_COLOR");

    return (unwanted == NULL || unwanted[0] == '\0') && style_moves(file);
}

const char *style_of(FILE *file, const char *sequence)
{
    return style_colours(file) ? sequence : "";
}
