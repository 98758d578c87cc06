/* executor/op_sort.c - ORDER BY and LIMIT, of queries that end and run in one task: a sort keeps all rows until the flush, and
 * gives them on in order, those that compare equal as they came. Of a table's changes only each key's last row counts. */
#include "executor/key.h"
#include "executor/task.h"

#include <stdlib.h>

typedef struct kept_row {
    int64_t event_ms, window_start, window_end;
    slice key;       /* of a table: with the window */
    uint8_t kind;
    bool is_replaced;
    value *values;   /* the columns, then what it is sorted by */
} kept_row;

typedef struct sort_op {
    op base;
    arena *memory;
    kept_row **rows;
    uint32_t count, room;
    bool is_windowed;
} sort_op;

static bool is_of_table(const op *self)
{
    return self->task->shared->plan->steps[self->step->inputs[0]].is_table;
}

static weir_rc sort_open(op *self, weir_error *err)
{
    (void)err;
    ((sort_op *)self)->memory = arena_new(0);
    return WEIR_OK;
}

static slice key_of(const batch *in, slice key, uint32_t r, arena *a)
{
    text whole = TEXT_EMPTY;

    if (in->window_start != NULL) {
        text_add_u64(&whole, (uint64_t)in->window_start[r]);
        text_add_u64(&whole, (uint64_t)in->window_end[r]);
    }
    text_add(&whole, key);
    return text_keep(&whole, a);
}

static weir_rc sort_batch(op *self, batch *in, weir_error *err)
{
    sort_op *s = (sort_op *)self;
    uint32_t columns = in->column_count, by_count = self->step->sort.key_count;
    column *by = ARENA_ARRAY(in->arena, column, by_count);
    slice *keys = ARENA_ZEROS(in->arena, slice, in->rows);

    (void)err;
    s->is_windowed = in->window_start != NULL;
    for (uint32_t k = 0; k < by_count; k++) eval_column(&self->task->eval, self->step->sort.keys[k].by, in, in->live, &by[k]);
    if (is_of_table(self)) keys_encode(in->columns, self->step->schema.key_count, in->live, in->rows, in->arena, keys);
    EACH_ROW (r, in->live) {
        kept_row *row = ARENA_NEW(s->memory, kept_row);
        *row = (kept_row){ .event_ms = in->event_ms[r], .kind = in->kind[r],
                           .values = ARENA_ARRAY(s->memory, value, columns + by_count) };
        if (s->is_windowed) {
            row->window_start = in->window_start[r];
            row->window_end = in->window_end[r];
        }
        if (is_of_table(self)) row->key = key_of(in, keys[r], r, s->memory);
        for (uint32_t i = 0; i < columns + by_count; i++) {
            const column *from = i < columns ? &in->columns[i] : &by[i - columns];
            value v = from->null == NULL ? NULL_VALUE : column_get(from, r); /* a column that nobody reads is not there */
            row->values[i] = value_copy(s->memory, from->type, &v);
        }
        if (s->count == s->room) {
            s->room = s->room == 0 ? 256 : s->room * 2;
            s->rows = realloc(s->rows, s->room * sizeof *s->rows);
            if (s->rows == NULL) abort();
        }
        s->rows[s->count++] = row;
    }
    return WEIR_OK;
}

static int by_sort_keys(const sort_op *s, const kept_row *a, const kept_row *b)
{
    const step *st = s->base.step;

    for (uint32_t k = 0; k < st->sort.key_count; k++) {
        const sort_key *key = &st->sort.keys[k];
        const value *x = &a->values[st->schema.count + k], *y = &b->values[st->schema.count + k];
        if (x->is_null || y->is_null) {
            if (x->is_null && y->is_null) continue;
            return x->is_null == key->nulls_first ? -1 : 1;
        }
        int order = value_compare(key->by->type, x, y);
        if (order != 0) return key->is_descending ? -order : order;
    }
    return 0;
}

static int by_table_key(const sort_op *s, const kept_row *a, const kept_row *b)
{
    (void)s;
    return slice_compare(a->key, b->key);
}

typedef int (*row_order)(const sort_op *s, const kept_row *a, const kept_row *b);

/* Merge sort: rows that compare equal keep their order. */
static void stable_sort(const sort_op *s, kept_row **rows, kept_row **spare, uint32_t count, row_order order)
{
    uint32_t half = count / 2, i = 0, k = half, at = 0;

    if (count < 2) return;
    stable_sort(s, rows, spare, half, order);
    stable_sort(s, rows + half, spare, count - half, order);
    while (i < half && k < count) spare[at++] = order(s, rows[k], rows[i]) < 0 ? rows[k++] : rows[i++];
    while (i < half) spare[at++] = rows[i++];
    while (k < count) spare[at++] = rows[k++];
    memcpy(rows, spare, count * sizeof *rows);
}

/* Leaves each key's last row, unless that is a deletion, in order of arrival. */
static void keep_last_rows(sort_op *s, kept_row **spare)
{
    kept_row **by_key = malloc((s->count + 1) * sizeof *by_key);
    uint32_t kept = 0;

    if (by_key == NULL) abort();
    if (s->count > 0) memcpy(by_key, s->rows, s->count * sizeof *by_key);
    stable_sort(s, by_key, spare, s->count, by_table_key);
    for (uint32_t i = 0; i < s->count; i++) {
        bool is_last = i + 1 == s->count || !slice_equal(by_key[i]->key, by_key[i + 1]->key);
        by_key[i]->is_replaced = !is_last || by_key[i]->kind == ROW_TOMBSTONE;
    }
    for (uint32_t i = 0; i < s->count; i++) {
        if (!s->rows[i]->is_replaced) s->rows[kept++] = s->rows[i];
    }
    s->count = kept;
    free(by_key);
}

static weir_rc sort_release(op *self, weir_error *err)
{
    sort_op *s = (sort_op *)self;
    task *t = self->task;
    const schema *schema_out = &self->step->schema;
    kept_row **spare = malloc((s->count + 1) * sizeof *spare);
    weir_rc rc = WEIR_OK;

    if (spare == NULL) abort();
    if (is_of_table(self)) keep_last_rows(s, spare);
    stable_sort(s, s->rows, spare, s->count, by_sort_keys);
    free(spare);
    for (uint32_t from = 0; rc == WEIR_OK && from < s->count; from += BATCH_ROWS_MAX) {
        uint32_t rows = s->count - from < BATCH_ROWS_MAX ? s->count - from : BATCH_ROWS_MAX;
        arena_reset(t->batch_arena);
        batch *out = batch_new(t->batch_arena, schema_out, rows, s->is_windowed);
        for (uint32_t r = 0; r < rows; r++) {
            const kept_row *row = s->rows[from + r];
            for (uint32_t i = 0; i < schema_out->count; i++) column_set(&out->columns[i], r, &row->values[i]);
            out->event_ms[r] = row->event_ms;
            out->kind[r] = row->kind;
            if (s->is_windowed) {
                out->window_start[r] = row->window_start;
                out->window_end[r] = row->window_end;
            }
        }
        rc = op_emit(self, out, err);
    }
    s->count = 0;
    arena_reset(s->memory);
    return rc;
}

static void sort_close(op *self)
{
    sort_op *s = (sort_op *)self;

    arena_free(s->memory);
    free(s->rows);
}

const op_class op_sort = { .name = "Sort", .open = sort_open, .batch = sort_batch, .release = sort_release, .close = sort_close };

/* ---- LIMIT ---- */

typedef struct limit_op {
    op base;
    uint64_t left;
} limit_op;

static weir_rc limit_open(op *self, weir_error *err)
{
    limit_op *l = (limit_op *)self;

    (void)err;
    l->left = self->step->limit.rows;
    self->task->is_limited = l->left == 0;
    return WEIR_OK;
}

static weir_rc limit_batch(op *self, batch *in, weir_error *err)
{
    limit_op *l = (limit_op *)self;

    if (in->live.count > l->left) in->live.count = (uint32_t)l->left;
    l->left -= in->live.count;
    self->task->is_limited = l->left == 0;
    return op_emit(self, in, err);
}

const op_class op_limit = { .name = "Limit", .open = limit_open, .batch = limit_batch };
