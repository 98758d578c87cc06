/* shell/statements.h - statements of a text, executed one after the other, their results printed. */
#ifndef WEIR_SHELL_STATEMENTS_H
#define WEIR_SHELL_STATEMENTS_H

#include "shell/output.h"

typedef struct statements {
    door *door;
    const char *file;    /* as errors name it; NULL: typed */
    uint32_t first_line; /* what the first line of the text is called */
    bool resumes;        /* statements that equal stored ones continue them */
    output_form form;
    FILE *messages;      /* NULL: they are not shown */
    FILE *rows;          /* NULL: stdout */
    FILE *errors;        /* where they are told beside stderr; NULL: nowhere */
} statements;

/* Executes the text; the first error is reported and ends it. WEIR_CANCELLED is not reported. */
weir_rc statements_run(const statements *s, slice sql);

#endif
