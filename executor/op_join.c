/* executor/op_join.c - see op_join.h. */
#include "executor/op_join.h"

#include "executor/key.h"

void join_sides_of(const op *self, join_side sides[2])
{
    const step *s = self->step;
    uint32_t first = s->schema.key_count;

    for (uint32_t i = 0; i < 2; i++) {
        const step *input = &self->task->shared->plan->steps[s->inputs[i]];
        sides[i] = (join_side){ .step = input, .first = first, .count = input->schema.count - input->schema.key_count };
        first += sides[i].count;
    }
    sides[LEFT_SIDE].is_kept = s->join.kind == JOIN_LEFT || s->join.kind == JOIN_FULL;
    sides[RIGHT_SIDE].is_kept = s->join.kind == JOIN_RIGHT || s->join.kind == JOIN_FULL;
}

slice *join_keys(const op *self, const batch *in)
{
    uint32_t key_count = self->step->schema.key_count;
    slice *keys = ARENA_ARRAY(in->arena, slice, in->rows);

    keys_encode(in->columns, key_count, in->live, in->rows, in->arena, keys);
    EACH_ROW (r, in->live) {
        for (uint32_t k = 0; k < key_count; k++) {
            if (in->columns[k].null[r]) keys[r] = NO_SLICE;
        }
        keys[r] = state_key(in, r, keys[r], self->step->windowed);
    }
    return keys;
}

weir_rc join_pass_watermark(op *self, int32_t upstream, int64_t event_ms, bool is_idle, weir_error *err)
{
    bool is_transparent = self->step->join.form == JOIN_STREAM_TABLE && self->task->watermark_side == LEFT_SIDE;

    return upstream < 0 || is_transparent ? op_pass_watermark(self, upstream, event_ms, is_idle, err) : WEIR_OK;
}
