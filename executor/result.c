/* executor/result.c - what a statement gives back: a message, a listing, or the rows of a query. */
#include "executor/weir.h"

#include "core/json.h"
#include "core/number.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static weir_result *result_new(arena *a, weir_result_kind kind, const char *entity)
{
    weir_result *r = ARENA_NEW(a, weir_result);

    *r = (weir_result){ .kind = kind, .entity = entity, .arena = a };
    return r;
}

weir_result *result_message(const char *entity, const char *format, ...)
{
    weir_result *r = result_new(arena_new(0), WEIR_RESULT_MESSAGE, entity);
    text message = TEXT_EMPTY;
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    text_reserve(&message, (size_t)length);
    va_start(arguments, format);
    vsnprintf(message.data, (size_t)length + 1, format, arguments);
    va_end(arguments);
    r->message = arena_copy(r->arena, (slice){ message.data, (size_t)length });
    text_free(&message);
    r->has_ended = true;
    return r;
}

#define LISTING_ROWS_FIRST 64

weir_result *result_listing(const char *entity, const char *const *columns, uint32_t count)
{
    arena *a = arena_new(0);
    weir_result *r = result_new(a, WEIR_RESULT_ROWS, entity);
    schema_column *all = ARENA_ZEROS(a, schema_column, count);

    for (uint32_t i = 0; i < count; i++) all[i] = (schema_column){ .name = arena_copy(a, slice_of(columns[i])), .type = &type_string };
    r->schema = (schema){ all, 0, count };
    r->rows = batch_new(a, &r->schema, LISTING_ROWS_FIRST, false);
    r->rows->rows = LISTING_ROWS_FIRST;
    r->rows->live.count = 0;
    return r;
}

void result_row(weir_result *r, const slice *cells)
{
    uint32_t at = r->rows->live.count;

    if (at == r->rows->rows) {
        batch *larger = batch_new(r->arena, &r->schema, at * 2, false);
        for (uint32_t i = 0; i < r->schema.count; i++) {
            for (uint32_t k = 0; k < at; k++) column_copy_row(&larger->columns[i], k, &r->rows->columns[i], k);
        }
        larger->live.count = at;
        r->rows = larger;
    }
    for (uint32_t i = 0; i < r->schema.count; i++) {
        const value v = { .str = arena_copy(r->arena, cells[i]), .is_null = cells[i].data == NULL };
        column_set(&r->rows->columns[i], at, &v);
    }
    r->rows->live.count++;
}

weir_result *result_query(arena *a, plan *p, transient *t, const weir_session *s)
{
    weir_result *r = result_new(a, p->mode == PLAN_PUSH ? WEIR_RESULT_CHANGES : WEIR_RESULT_ROWS, "query");

    r->plan = p;
    r->transient = t;
    r->session = s;
    r->schema = p->steps[p->step_count - 1].schema;
    return r;
}

weir_result_kind weir_result_kind_of(const weir_result *r)
{
    return r->kind;
}

slice weir_result_message(const weir_result *r)
{
    return r->message;
}

slice weir_result_warning(const weir_result *r)
{
    return r->warning;
}

const char *weir_result_entity(const weir_result *r)
{
    return r->entity;
}

slice weir_result_members(const weir_result *r)
{
    return r->members;
}

bool weir_result_is_snapshot(const weir_result *r)
{
    return r->plan != NULL && r->plan->mode != PLAN_PUSH && r->plan->steps[r->plan->step_count - 1].result.of_table;
}

bool weir_result_follows_query(const weir_result *r)
{
    const plan *p = r->plan;

    if (p == NULL || p->mode != PLAN_PUSH || !p->latest || !p->steps[p->step_count - 1].result.of_query) return false;
    for (uint32_t i = 0; i < p->step_count; i++) {
        switch (p->steps[i].kind) {
        case STEP_SOURCE:
        case STEP_TABLE:
        case STEP_FILTER:
        case STEP_PROJECT:
        case STEP_LIMIT:
        case STEP_RESULT: break;
        default: return false;
        }
    }
    return true;
}

void weir_result_print_schema(const weir_result *r, text *out)
{
    const bool *is_key = r->plan == NULL ? NULL : r->plan->steps[r->plan->step_count - 1].result.is_key;

    for (uint32_t i = 0; i < r->schema.count; i++) {
        if (i > 0) text_add_c(out, ", ");
        print_quoted_name(out, r->schema.columns[i].name);
        text_add_char(out, ' ');
        type_print(out, r->schema.columns[i].type);
        if (is_key != NULL && is_key[i]) text_add_c(out, " KEY");
    }
}

const schema *weir_result_schema(const weir_result *r)
{
    return &r->schema;
}

/* Those of the records that PRINT ... INTERVAL n takes: the first of each n. */
static uint32_t sample(weir_result *r, uint32_t count, uint32_t *chosen)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < count && kept < r->lines_left; i++) {
        if (r->print_seen++ % r->print_interval == 0) chosen[kept++] = i;
    }
    return kept;
}

/* PRINT: one line a record, as a row of one column. */
static weir_rc next_lines(weir_result *r, int timeout_ms, const batch **rows, weir_error *err)
{
    const weir_record *records;
    uint32_t count = 0;
    bool ended = false;
    int64_t waited_ms = 0;

    while (count == 0 && !ended && r->lines_left > 0) {
        if (atomic_load(&r->session->cancelled)) return weir_fail(err, WEIR_CANCELLED, NOWHERE, "cancelled");
        if (timeout_ms >= 0 && waited_ms > timeout_ms) return WEIR_OK;
        WEIR_TRY(weir_reader_next(r->reader, 50, &records, &count, &ended, err));
        waited_ms += 50;
    }
    if (r->rows != NULL) arena_reset(r->rows->arena);
    arena *a = r->rows != NULL ? r->rows->arena : arena_new(0);
    uint32_t *chosen = ARENA_ARRAY(a, uint32_t, count + 1);
    count = sample(r, count, chosen);
    r->lines_left -= count;
    r->has_ended = ended || r->lines_left == 0;
    batch *out = batch_new(a, &r->schema, count, false);
    for (uint32_t i = 0; i < count; i++) {
        const weir_record *one = &records[chosen[i]];
        text_clear(&r->line);
        record_print_line(r->session->weir, &r->hints, one, a, &r->line);
        const value v = { .str = arena_copy(a, text_slice(&r->line)) };
        column_set(&out->columns[0], i, &v);
    }
    r->rows = out;
    if (count > 0) *rows = out;
    return WEIR_OK;
}

weir_rc weir_result_next(weir_result *r, int timeout_ms, const batch **rows, weir_error *err)
{
    *rows = NULL;
    if (r->has_ended) return WEIR_OK;
    if (r->reader != NULL) return next_lines(r, timeout_ms, rows, err);
    if (r->transient != NULL) {
        WEIR_TRY(transient_next(r->transient, timeout_ms, rows, err));
        r->has_ended = *rows == NULL && transient_ended(r->transient);
        return WEIR_OK;
    }
    if (r->rows != NULL && r->rows->live.count > 0) *rows = r->rows;
    r->has_ended = true;
    return WEIR_OK;
}

bool weir_result_sleeps(weir_result *r, void (*wake)(void *self), void *self)
{
    return r->transient != NULL && transient_sleeps(r->transient, wake, self);
}

weir_rc weir_result_hold(weir_result *r, weir_error *err)
{
    return r->transient == NULL ? WEIR_OK : transient_hold(r->transient, err);
}

bool weir_result_ended(const weir_result *r)
{
    return r->has_ended || (r->transient != NULL && transient_ended(r->transient));
}

bool weir_result_progress(const weir_result *r, weir_progress *out)
{
    if (r->transient == NULL) return false;
    transient_progress(r->transient, &out->rows, &out->rows_left);
    return true;
}

slice weir_result_left_out(weir_result *r)
{
    if (r->transient == NULL) return NO_SLICE;
    text_clear(&r->line);
    transient_left_out(r->transient, &r->line);
    return r->line.len == 0 ? NO_SLICE : text_slice(&r->line);
}

void weir_result_close(weir_result *r)
{
    if (r == NULL) return;
    transient_close(r->transient);
    if (r->plan != NULL) plan_release(r->plan);
    catalog_query_drop(r->keeper);
    if (r->reader != NULL && r->rows != NULL) arena_free(r->rows->arena);
    weir_reader_close(r->reader);
    text_free(&r->line);
    arena_free(r->arena);
}

/* Of a value that is not null. What has no cast to text is printed as JSON. */
static void print_as_text(text *out, const type *t, const value *v)
{
    arena *a = arena_new(0);
    value as_text;
    const char *reason;

    if (cast_value(a, t, &type_string, v, &as_text, &reason) && !as_text.is_null) text_add(out, as_text.str);
    else print_json_value(out, t, v);
    arena_free(a);
}

void weir_print_value(text *out, const type *t, const value *v, weir_print how)
{
    if (how == WEIR_PRINT_JSON) {
        print_json_value(out, t, v);
    } else if (v->is_null) {
        text_add_c(out, "null");
    } else if (t->kind == TYPE_STRING) {
        text_add(out, v->str);
    } else if (t->kind == TYPE_BYTES) {
        text_reserve(out, base64_encoded_bytes(v->str.len) + 1);
        out->len = (size_t)(base64_encode(out->data + out->len, v->str) - out->data);
        out->data[out->len] = '\0';
    } else {
        print_as_text(out, t, v);
    }
}
