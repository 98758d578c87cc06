/* shell/statements.c - statements of a text, executed one after the other. */
#include "shell/statements.h"

#include "shell/report.h"

static weir_rc print_result(const statements *s, weir_result *r, weir_error *err)
{
    if (s->messages == NULL && weir_result_kind_of(r) == WEIR_RESULT_MESSAGE) return WEIR_OK;
    return output_result(stdout, s->messages, r, s->form, err);
}

weir_rc statements_run(const statements *s, slice sql)
{
    weir_script *script = weir_script_open(s->session, sql);
    weir_error err = { 0 };
    weir_rc rc;

    if (script == NULL) {
        rc = weir_fail(&err, WEIR_NOMEM, NOWHERE, "no memory for a script");
    } else {
        weir_result *r = NULL;
        weir_script_resumes(script, s->resumes);
        do {
            if ((rc = weir_script_next(script, &r, &err)) != WEIR_OK || r == NULL) break;
            rc = print_result(s, r, &err);
            weir_result_close(r);
        } while (rc == WEIR_OK);
    }
    if (rc != WEIR_OK && rc != WEIR_CANCELLED) {
        fflush(stdout);
        report_error(s->file, sql, s->first_line, &err);
    }
    weir_script_close(script);
    return rc;
}
