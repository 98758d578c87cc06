/* shell/door.c - the two kinds of doors behind one face. */
#include "shell/door.h"

weir_rc door_begin(door *d, slice sql, bool resumes, weir_print how, weir_error *err)
{
    d->has_answer = false;
    return d->class->begin(d, sql, resumes, how, err);
}

weir_rc door_next(door *d, const answer **out, weir_error *err)
{
    d->has_answer = false;
    d->answer = (answer){ 0 };
    *out = NULL;
    WEIR_TRY(d->class->next(d, err));
    if (d->has_answer) *out = &d->answer;
    return WEIR_OK;
}

weir_rc door_rows(door *d, int timeout_ms, const answer_rows **out, weir_error *err)
{
    bool found = false;

    *out = NULL;
    WEIR_TRY(d->class->rows(d, timeout_ms, &found, err));
    if (found) *out = &d->rows;
    return WEIR_OK;
}

bool door_progress(door *d, weir_progress *out)
{
    return d->class->progress(d, out);
}

slice door_left_out(door *d)
{
    return d->class->left_out(d);
}

void door_end(door *d)
{
    d->class->end(d);
    d->has_answer = false;
}

void door_names(door *d, uint32_t kinds, slice prefix, slice statement, arena *a, weir_name **out, uint32_t *count)
{
    d->class->names(d, kinds, prefix, statement, a, out, count);
}

void door_close(door *d)
{
    if (d != NULL) d->class->close(d);
}
