/* executor/op_join_foreign.c - the right table's half of a foreign-key join, where its rows are: keeps for each foreign key
 * the left rows that have it, and answers a change of either side with joined rows by the left key. An answer carries the
 * left row's version, so that one that was overtaken by a later change of the left row can be told.
 *
 * The left rows of a foreign key are one entry of state, by left key: a foreign key of very many rows rewrites its list
 * whenever one of them changes. */
#include "core/must.h"
#include "executor/key.h"
#include "executor/op_join.h"

#include <stdlib.h>

typedef struct subscription {
    char *key; /* the left key, then the left's columns packed: in the slab */
    uint32_t key_len, len;
    int64_t version, event_ms;
} subscription;

typedef struct subscriber_list { /* the payload */
    subscription *items;         /* in the slab; by left key */
    uint32_t count, room;
} __attribute__((aligned(16))) subscriber_list;

typedef struct answer {
    slice key, left, right; /* left absent: a deletion; right absent: nulls */
    int64_t event_ms, version;
    bool is_last; /* the left row is gone: no older version of it will be answered from here */
} answer;

typedef struct foreign_op {
    op base;
    const schema *left;      /* the subscriptions' */
    const join_side *right;
    join_side sides[2];
    uint32_t key_count;      /* of the left table */
    uint32_t value_count;    /* of the left's columns that are carried along */
    state_table *subscribers;
    row_store rows;
    answer *answers;
    uint32_t answer_count, answer_room;
    text scratch;
} foreign_op;

/* ---- the payload ---- */

static slab *memory_of(const foreign_op *f)
{
    return f->base.task->memory;
}

static slice left_key(const subscription *s)
{
    return (slice){ s->key, s->key_len };
}

static slice left_row(const subscription *s)
{
    return (slice){ s->key + s->key_len, s->len };
}

static void drop_subscription(foreign_op *f, subscription *s)
{
    slab_free(memory_of(f), s->key, (size_t)s->key_len + s->len);
}

/* Where the key is, or would be. */
static uint32_t find_place(const subscriber_list *l, slice key, bool *found)
{
    uint32_t low = 0, high = l->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (slice_compare(left_key(&l->items[middle]), key) < 0) low = middle + 1;
        else high = middle;
    }
    *found = low < l->count && slice_equal(left_key(&l->items[low]), key);
    return low;
}

static void put_subscription(foreign_op *f, subscriber_list *l, slice key, slice row, int64_t version, int64_t event_ms)
{
    bool found;
    uint32_t at = find_place(l, key, &found);
    subscription s = { slab_alloc(memory_of(f), key.len + row.len), (uint32_t)key.len, (uint32_t)row.len, version, event_ms };

    if (key.len > 0) memcpy(s.key, key.data, key.len);
    if (row.len > 0) memcpy(s.key + key.len, row.data, row.len);
    if (found) {
        drop_subscription(f, &l->items[at]);
        l->items[at] = s;
        return;
    }
    if (l->count == l->room) {
        uint32_t room = l->room == 0 ? 1 : l->room * 2;
        subscription *items = slab_alloc(memory_of(f), room * sizeof *items);
        if (l->count > 0) memcpy(items, l->items, l->count * sizeof *items);
        slab_free(memory_of(f), l->items, l->room * sizeof *l->items);
        l->items = items;
        l->room = room;
    }
    memmove(l->items + at + 1, l->items + at, (l->count - at) * sizeof *l->items);
    l->items[at] = s;
    l->count++;
}

static void list_encode(void *self, const void *payload, text *out)
{
    const subscriber_list *l = payload;

    (void)self;
    text_add_varint(out, l->count);
    for (uint32_t i = 0; i < l->count; i++) {
        const subscription *s = &l->items[i];
        text_add_u64(out, (uint64_t)s->version);
        text_add_u64(out, (uint64_t)s->event_ms);
        text_add_varint(out, s->key_len);
        text_add(out, left_key(s));
        text_add_varint(out, s->len);
        text_add(out, left_row(s));
    }
}

static void list_drop(void *self, void *payload)
{
    foreign_op *f = self;
    subscriber_list *l = payload;

    for (uint32_t i = 0; i < l->count; i++) drop_subscription(f, &l->items[i]);
    slab_free(memory_of(f), l->items, l->room * sizeof *l->items);
    *l = (subscriber_list){ 0 };
}

static bool list_decode(void *self, reader_bytes *in, void *payload)
{
    uint64_t count = read_varint(in);

    for (uint64_t i = 0; i < count && !in->bad; i++) {
        int64_t version = (int64_t)read_u64(in), event_ms = (int64_t)read_u64(in);
        slice key = read_slice(in), row = read_slice(in);
        if (!in->bad) put_subscription(self, payload, key, row, version, event_ms);
    }
    if (in->bad) list_drop(self, payload);
    return !in->bad;
}

/* ---- life ---- */

static weir_rc foreign_open(op *self, weir_error *err)
{
    foreign_op *f = (foreign_op *)self;
    task *t = self->task;
    const payload_class class = { f, sizeof(subscriber_list), NULL, list_encode, list_decode, list_drop };

    join_sides_of(self, f->sides);
    f->left = &f->sides[LEFT_SIDE].step->schema;
    f->right = &f->sides[RIGHT_SIDE];
    f->key_count = self->step->schema.key_count;
    f->value_count = f->left->count - f->key_count - 2;
    f->subscribers = state_table_new(t->state, (uint16_t)self->step->id, &class, t->memory, t->shared->state_budget_bytes);
    WEIR_TRY(state_table_open(f->subscribers, err));
    return row_store_open(&f->rows, t, RIGHT_STORE(self->step->id), &f->right->step->schema, err);
}

/* ---- answers ---- */

static void add_answer(foreign_op *f, answer x)
{
    if (f->answer_count == f->answer_room) {
        f->answer_room = f->answer_room == 0 ? 256 : f->answer_room * 2;
        f->answers = must(realloc(f->answers, f->answer_room * sizeof *f->answers));
    }
    f->answers[f->answer_count++] = x;
}

/* The joined row, or that there is none. right: the row met, absent for none. */
static void answer_with(foreign_op *f, arena *a, slice key, slice left, int64_t event_ms, int64_t version, slice right)
{
    bool is_there = right.data != NULL || f->sides[LEFT_SIDE].is_kept;

    if (right.data != NULL && row_event_ms(right) > event_ms) event_ms = row_event_ms(right);
    add_answer(f, (answer){ arena_copy(a, key), is_there ? arena_copy(a, left) : NO_SLICE, right, event_ms, version, false });
}

static bool put_answer(foreign_op *f, const answer *x, batch *out, uint32_t to)
{
    column *values = out->columns + f->key_count, *right = values + f->value_count;
    int64_t ignored;

    key_decode(x->key, out->columns, f->key_count, to, out->arena);
    out->event_ms[to] = x->event_ms;
    out->row_partition[to] = x->is_last ? ANSWER_LAST : 0;
    out->row_offset[to] = x->version;
    out->kind[to] = x->left.data == NULL ? ROW_TOMBSTONE : ROW_NORMAL;
    reader_bytes in = read_from(x->left.data == NULL ? SLICE("") : x->left);
    for (uint32_t i = 0; i < f->value_count; i++) {
        value v = NULL_VALUE;
        if (x->left.data != NULL && !value_decode(&in, values[i].type, out->arena, &v)) return false;
        column_set(&values[i], to, &v);
    }
    for (uint32_t i = 0; i < f->right->count; i++) right[i].null[to] = 1;
    if (x->left.data == NULL || x->right.data == NULL) return true;
    for (uint32_t i = 0; i < f->right->count; i++) right[i].null[to] = 0;
    return row_unpack(x->right, &f->right->step->schema, right, to, out->arena, &ignored, &ignored);
}

static weir_rc give_on(foreign_op *f, arena *a, weir_error *err)
{
    uint32_t rows = f->answer_count;

    if (rows == 0) return WEIR_OK;
    batch *out = batch_new(a, &f->base.step->schema, rows, false);
    out->row_partition = ARENA_ARRAY(a, int32_t, rows);
    out->row_offset = ARENA_ARRAY(a, int64_t, rows);
    for (uint32_t i = 0; i < rows; i++) {
        if (put_answer(f, &f->answers[i], out, i)) continue;
        return weir_fail(err, WEIR_STORAGE, NOWHERE, "stored rows of step %u cannot be read: they were written by another version "
                         "or are damaged; drop the query and create it again to rebuild them", f->base.step->id);
    }
    f->answer_count = 0;
    return op_emit(&f->base, out, err);
}

/* ---- the left side ---- */

static slice pack_left(foreign_op *f, const batch *in, uint32_t r)
{
    text_clear(&f->scratch);
    for (uint32_t i = f->key_count + 2; i < f->left->count; i++) {
        value v = column_get(&in->columns[i], r);
        value_encode(&f->scratch, f->left->columns[i].type, &v);
    }
    return text_slice(&f->scratch);
}

static weir_rc unsubscribe(foreign_op *f, slice foreign, slice key, weir_error *err)
{
    entry *e;
    bool found;

    WEIR_TRY(state_table_find(f->subscribers, foreign, false, &e, err));
    if (e == NULL) return WEIR_OK;
    subscriber_list *l = entry_payload(e);
    uint32_t at = find_place(l, key, &found);
    if (!found) return WEIR_OK;
    drop_subscription(f, &l->items[at]);
    memmove(l->items + at, l->items + at + 1, (l->count - at - 1) * sizeof *l->items);
    l->count--;
    if (l->count == 0) {
        state_table_delete(f->subscribers, e);
    } else {
        state_table_touch(f->subscribers, e);
    }
    return WEIR_OK;
}

static weir_rc take_message(foreign_op *f, const batch *in, uint32_t r, slice foreign, slice key, weir_error *err)
{
    int32_t instruction = in->columns[1 + f->key_count].i32[r];
    int64_t event_ms = in->event_ms[r], version = in->row_offset == NULL ? 0 : in->row_offset[r];
    slice met = NO_SLICE;

    if (foreign.data != NULL) WEIR_TRY(row_store_find(&f->rows, foreign, &met, err));
    if (instruction == SUBSCRIPTION_MOVED || instruction == SUBSCRIPTION_DELETE) {
        if (foreign.data != NULL) WEIR_TRY(unsubscribe(f, foreign, key, err));
        if (instruction == SUBSCRIPTION_DELETE) add_answer(f, (answer){ key, NO_SLICE, NO_SLICE, event_ms, version, true });
        return WEIR_OK;
    }
    slice left = pack_left(f, in, r);
    if (foreign.data != NULL) {
        entry *e;
        WEIR_TRY(state_table_find(f->subscribers, foreign, true, &e, err));
        put_subscription(f, entry_payload(e), key, left, version, event_ms);
        state_table_touch(f->subscribers, e);
    }
    if (met.data != NULL || instruction == SUBSCRIPTION_ANSWER) answer_with(f, in->arena, key, left, event_ms, version, met);
    return WEIR_OK;
}

static weir_rc left_batch(foreign_op *f, const batch *in, weir_error *err)
{
    slice *foreign = ARENA_ZEROS(in->arena, slice, in->rows), *keys = ARENA_ZEROS(in->arena, slice, in->rows);

    keys_encode(in->columns, 1, in->live, in->rows, in->arena, foreign);
    keys_encode(in->columns + 1, f->key_count, in->live, in->rows, in->arena, keys);
    EACH_ROW (r, in->live) WEIR_TRY(take_message(f, in, r, foreign[r], keys[r], err));
    return WEIR_OK;
}

/* ---- the right side: every left row that has the key is joined anew ---- */

static weir_rc right_batch(foreign_op *f, const batch *in, weir_error *err)
{
    slice *keys = ARENA_ZEROS(in->arena, slice, in->rows);

    keys_encode(in->columns, 1, in->live, in->rows, in->arena, keys);
    EACH_ROW (r, in->live) {
        slice packed;
        entry *e;
        if (keys[r].data == NULL) continue;
        WEIR_TRY(row_store_write(&f->rows, keys[r], in, r, err));
        WEIR_TRY(row_store_find(&f->rows, keys[r], &packed, err));
        WEIR_TRY(state_table_find(f->subscribers, keys[r], false, &e, err));
        const subscriber_list *l = e == NULL ? NULL : entry_payload(e);
        packed = arena_copy(in->arena, packed); /* the next row may write it again */
        for (uint32_t i = 0; l != NULL && i < l->count; i++) {
            const subscription *s = &l->items[i];
            int64_t event_ms = s->event_ms > in->event_ms[r] ? s->event_ms : in->event_ms[r];
            answer_with(f, in->arena, left_key(s), left_row(s), event_ms, s->version, packed);
        }
    }
    return WEIR_OK;
}

static weir_rc foreign_batch(op *self, batch *in, weir_error *err)
{
    foreign_op *f = (foreign_op *)self;

    f->answer_count = 0;
    WEIR_TRY(in->side == LEFT_SIDE ? left_batch(f, in, err) : right_batch(f, in, err));
    return give_on(f, in->arena, err);
}

static void foreign_seal(op *self, arena *a, change_list *changes)
{
    state_table_seal(((foreign_op *)self)->subscribers, a, changes);
    state_table_seal(((foreign_op *)self)->rows.table, a, changes);
}

static void foreign_committed(op *self)
{
    state_table_committed(((foreign_op *)self)->subscribers);
    state_table_committed(((foreign_op *)self)->rows.table);
}

static weir_rc foreign_forget(op *self, weir_error *err)
{
    foreign_op *f = (foreign_op *)self;

    state_table_forget(f->subscribers);
    WEIR_TRY(state_table_open(f->subscribers, err));
    return row_store_forget(&f->rows, err);
}

static size_t foreign_dirty_bytes(const op *self)
{
    const foreign_op *f = (const foreign_op *)self;

    return state_table_dirty_bytes(f->subscribers) + state_table_dirty_bytes(f->rows.table);
}

static size_t foreign_state_bytes(const op *self)
{
    return state_table_bytes(((const foreign_op *)self)->subscribers);
}

static void foreign_close(op *self)
{
    foreign_op *f = (foreign_op *)self;

    state_table_free(f->subscribers);
    row_store_close(&f->rows);
    free(f->answers);
    text_free(&f->scratch);
}

const op_class op_join_foreign = { .name = "ForeignKeyJoin", .open = foreign_open, .batch = foreign_batch,
                                   .watermark = join_pass_watermark, .seal = foreign_seal, .committed = foreign_committed,
                                   .forget = foreign_forget, .dirty_bytes = foreign_dirty_bytes,
                                   .state_bytes = foreign_state_bytes, .close = foreign_close };
