/* executor/op_subscribe.c - the left table's half of a foreign-key join: tells the partition of each row's foreign key which
 * rows want the right table's row of that key, and what to do about the joined row. In: the table's key, the foreign key, its
 * other columns. Out: the foreign key; then the table's key, an instruction, the other columns. */
#include "executor/key.h"
#include "executor/op_join.h"

typedef struct message {
    uint32_t row;
    bool of_old;        /* the foreign key is that of the former row */
    int32_t instruction;
} message;

/* As Kafka Streams: where the foreign key changed, the former subscription goes without a word, and the new one always
 * answers, since a joined row may have to go. */
static uint32_t instruct(const op *self, uint32_t r, bool has_old, slice old_key, bool has_new, slice new_key, message *out)
{
    bool is_left = self->step->join.kind == JOIN_LEFT;
    bool was_subscribed = has_old && old_key.data != NULL, is_new = has_new && new_key.data != NULL;
    bool is_same = was_subscribed && is_new && slice_equal(old_key, new_key);
    uint32_t count = 0;

    if (!has_new && has_old && (was_subscribed || is_left)) {
        out[count++] = (message){ r, true, SUBSCRIPTION_DELETE };
    } else if (has_new && !is_new && is_left) {
        if (was_subscribed) out[count++] = (message){ r, true, SUBSCRIPTION_MOVED };
        out[count++] = (message){ r, false, SUBSCRIPTION_ANSWER };
    } else if (has_new && !is_new && was_subscribed) {
        out[count++] = (message){ r, true, SUBSCRIPTION_DELETE };
    } else if (is_new) {
        if (was_subscribed && !is_same) out[count++] = (message){ r, true, SUBSCRIPTION_MOVED };
        bool answers = is_left || (was_subscribed && !is_same);
        out[count++] = (message){ r, false, answers ? SUBSCRIPTION_ANSWER : SUBSCRIPTION_ANSWER_IF_MET };
    }
    return count;
}

static void put_message(const op *self, const batch *in, const message *m, batch *out, uint32_t to)
{
    uint32_t keys = self->task->shared->plan->steps[self->step->inputs[0]].schema.key_count;
    const batch *from = m->of_old ? in->old : in;
    bool has_values = m->instruction == SUBSCRIPTION_ANSWER || m->instruction == SUBSCRIPTION_ANSWER_IF_MET;

    column_copy_row(&out->columns[0], to, &from->columns[keys], m->row);
    for (uint32_t i = 0; i < keys; i++) column_copy_row(&out->columns[1 + i], to, &in->columns[i], m->row);
    out->columns[1 + keys].i32[to] = m->instruction;
    for (uint32_t i = keys + 2; i < out->column_count; i++) {
        if (has_values) column_copy_row(&out->columns[i], to, &in->columns[i - 1], m->row);
        else out->columns[i].null[to] = 1;
    }
    out->event_ms[to] = in->event_ms[m->row];
    out->row_partition[to] = 0;
    out->row_offset[to] = in->row_offset == NULL ? 0 : in->row_offset[m->row];
}

static weir_rc subscribe_batch(op *self, batch *in, weir_error *err)
{
    uint32_t keys = self->task->shared->plan->steps[self->step->inputs[0]].schema.key_count, count = 0;
    arena *a = in->arena;
    slice *new_keys = ARENA_ZEROS(a, slice, in->rows), *old_keys = ARENA_ZEROS(a, slice, in->rows);
    uint32_t *index = ARENA_ARRAY(a, uint32_t, in->live.count), *old_index = ARENA_ARRAY(a, uint32_t, in->live.count);
    uint32_t with_row = 0, with_old = 0;
    message *messages = ARENA_ARRAY(a, message, 2 * (size_t)in->live.count);

    EACH_ROW (r, in->live) {
        index[with_row] = old_index[with_old] = r;
        with_row += in->kind[r] == ROW_NORMAL;
        with_old += in->old->kind[r] == ROW_NORMAL;
    }
    keys_encode(in->columns + keys, 1, (row_set){ index, with_row }, in->rows, a, new_keys);
    keys_encode(in->old->columns + keys, 1, (row_set){ old_index, with_old }, in->rows, a, old_keys);
    EACH_ROW (r, in->live) {
        count += instruct(self, r, in->old->kind[r] == ROW_NORMAL, old_keys[r], in->kind[r] == ROW_NORMAL, new_keys[r],
                          messages + count);
    }
    if (count == 0) return WEIR_OK;
    batch *out = batch_new(a, &self->step->schema, count, false);
    out->upstream = in->upstream;
    out->row_partition = ARENA_ARRAY(a, int32_t, count);
    out->row_offset = ARENA_ARRAY(a, int64_t, count);
    for (uint32_t i = 0; i < count; i++) put_message(self, in, &messages[i], out, i);
    return op_emit(self, out, err);
}

const op_class op_subscribe = { .name = "Subscribe", .batch = subscribe_batch };
