/* shell/door_local.c - the door to the engine in this process: its results, cell by cell as text. */
#include <stdlib.h>

#include "shell/door.h"

typedef struct local_door {
    door base;
    weir *engine;
    weir_session *session;
    weir_script *script;
    weir_result *result;
    weir_print how;
    arena *columns; /* of the answer */
    arena *rows;    /* of the rows that are lent */
    text cells;     /* what stands in them, one behind the other */
} local_door;

static weir_rc local_begin(door *self, slice sql, bool resumes, weir_print how, weir_error *err)
{
    local_door *d = (local_door *)self;

    d->how = how;
    d->script = weir_script_open(d->session, sql);
    if (d->script == NULL) return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory for a script");
    weir_script_resumes(d->script, resumes);
    return WEIR_OK;
}

static weir_rc local_next(door *self, weir_error *err)
{
    local_door *d = (local_door *)self;

    weir_result_close(d->result);
    d->result = NULL;
    WEIR_TRY(weir_script_next(d->script, &d->result, err));
    if (d->result == NULL) return WEIR_OK;

    const schema *s = weir_result_schema(d->result);
    bool has_rows = weir_result_kind_of(d->result) != WEIR_RESULT_MESSAGE;
    uint32_t count = has_rows ? s->count : 0;
    arena_reset(d->columns);
    answer_column *columns = ARENA_ARRAY(d->columns, answer_column, count + 1);
    for (uint32_t i = 0; i < count; i++)
        columns[i] = (answer_column){ s->columns[i].name, type_is_number(s->columns[i].type) };
    self->has_answer = true;
    self->answer = (answer){ .kind = weir_result_kind_of(d->result), .columns = columns, .column_count = count,
                             .has_ended = has_rows && weir_result_ended(d->result) };
    if (!has_rows) self->answer.message = weir_result_message(d->result);
    self->answer.warning = weir_result_warning(d->result);
    return WEIR_OK;
}

/* Where the text of cells may still move, a cell is its length; once it stands, each gets its place. */
static void lend_rows(local_door *d, const batch *rows)
{
    uint32_t columns = d->base.answer.column_count, n = 0;
    slice *cells;
    bool *deleted;
    size_t at = 0;

    arena_reset(d->rows);
    text_clear(&d->cells);
    cells = ARENA_ARRAY(d->rows, slice, (size_t)rows->live.count * columns + 1);
    deleted = ARENA_ARRAY(d->rows, bool, rows->live.count + 1);
    EACH_ROW(r, rows->live)
    {
        deleted[n / (columns == 0 ? 1 : columns)] = rows->kind != NULL && rows->kind[r] == ROW_TOMBSTONE;
        for (uint32_t i = 0; i < columns; i++, n++) {
            const column *c = &rows->columns[i];
            size_t before = d->cells.len;
            cells[n] = NO_SLICE;
            if (c->null[r]) continue;
            value v = column_get(c, r);
            weir_print_value(&d->cells, c->type, &v, d->how);
            cells[n] = (slice){ "", d->cells.len - before };
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        if (cells[i].data == NULL) continue;
        cells[i].data = cells[i].len == 0 ? "" : d->cells.data + at;
        at += cells[i].len;
    }
    d->base.rows = (answer_rows){ rows->live.count, cells, deleted };
}

static weir_rc local_rows(door *self, int timeout_ms, bool *found, weir_error *err)
{
    local_door *d = (local_door *)self;
    const batch *rows;

    WEIR_TRY(weir_result_next(d->result, timeout_ms, &rows, err));
    self->answer.has_ended = weir_result_ended(d->result);
    if (rows == NULL) return WEIR_OK;
    lend_rows(d, rows);
    *found = true;
    return WEIR_OK;
}

static bool local_progress(door *self, weir_progress *out)
{
    local_door *d = (local_door *)self;
    return d->result != NULL && weir_result_progress(d->result, out);
}

static slice local_left_out(door *self)
{
    local_door *d = (local_door *)self;
    return d->result == NULL ? NO_SLICE : weir_result_left_out(d->result);
}

static void local_end(door *self)
{
    local_door *d = (local_door *)self;

    weir_result_close(d->result);
    weir_script_close(d->script);
    d->result = NULL;
    d->script = NULL;
}

static void local_names(door *self, uint32_t kinds, slice prefix, slice statement, arena *a, weir_name **out, uint32_t *count)
{
    weir_names(((local_door *)self)->engine, kinds, prefix, statement, a, out, count);
}

static void local_close(door *self)
{
    local_door *d = (local_door *)self;

    local_end(self);
    arena_free(d->columns);
    arena_free(d->rows);
    text_free(&d->cells);
    free(d);
}

door *door_local(weir *w, weir_session *s)
{
    static const door_class LOCAL = { local_begin, local_next, local_rows, local_progress, local_left_out, local_end, local_names,
                                      local_close };
    local_door *d = calloc(1, sizeof *d);

    if (d == NULL) abort();
    *d = (local_door){ .base = { .class = &LOCAL }, .engine = w, .session = s, .columns = arena_new(0), .rows = arena_new(0) };
    return &d->base;
}
