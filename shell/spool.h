/* shell/spool.h - SPOOL 'file'; and SPOOL OFF;: what is typed and what is answered goes to a file as well. */
#ifndef WEIR_SHELL_SPOOL_H
#define WEIR_SHELL_SPOOL_H

#include <stdio.h>

#include "shell/statements.h"

typedef struct spool {
    FILE *file; /* NULL: there is none now */
    FILE *both; /* stdout and the file */
} spool;

/* False: the line is none of these two. Else it is done, or told why not. */
bool spool_command(spool *s, slice line);
/* Executes statements as statements_run() does, and writes them and their answers to the file where there is one. */
weir_rc spool_run(spool *s, statements *run, slice sql) WEIR_CHECKED;
void spool_close(spool *s);

#endif
