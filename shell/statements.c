/* shell/statements.c - statements of a text, executed one after the other. */
#include "shell/statements.h"

#include "shell/interrupt.h"
#include "shell/report.h"

static weir_rc print_answer(const statements *s, const answer *a, weir_error *err)
{
    if (a->warning.data != NULL) fprintf(stderr, "weir: warning: %.*s\n", SLICE_ARG(a->warning));
    if (s->messages == NULL && a->kind == WEIR_RESULT_MESSAGE) return WEIR_OK;
    return output_answer(s->rows == NULL ? stdout : s->rows, s->messages, s->door, a, s->form, err);
}

weir_rc statements_run(const statements *s, slice sql)
{
    weir_error err = { 0 };
    weir_rc rc = door_begin(s->door, sql, s->resumes, s->form == OUTPUT_JSON ? WEIR_PRINT_JSON : WEIR_PRINT_TEXT, &err);

    while (rc == WEIR_OK) {
        const answer *a;
        if (interrupt_seen()) { /* before there was anything to cancel */
            rc = WEIR_CANCELLED;
            break;
        }
        if ((rc = door_next(s->door, &a, &err)) != WEIR_OK || a == NULL) break;
        rc = print_answer(s, a, &err);
    }
    if (rc != WEIR_OK && rc != WEIR_CANCELLED) {
        fflush(stdout);
        report_error(s->file, sql, s->first_line, &err);
        if (s->errors != NULL) fprintf(s->errors, "%s: %s\n", weir_rc_name(err.rc), err.message);
    }
    door_end(s->door);
    return rc;
}
