/* shell/output.h - an answer, printed to its end. */
#ifndef WEIR_SHELL_OUTPUT_H
#define WEIR_SHELL_OUTPUT_H

#include <stdio.h>

#include "shell/door.h"

typedef enum output_form { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_CSV } output_form;

/* False: there is no form of that name. */
bool output_form_of(const char *name, output_form *out);

/* Prints rows as they come. messages: where what is no row goes ("Stream S created."). A reader that has closed its end
 * of the pipe ends the result with WEIR_CANCELLED. */
weir_rc output_answer(FILE *rows, FILE *messages, door *d, const answer *a, output_form form, weir_error *err) WEIR_CHECKED;

#endif
