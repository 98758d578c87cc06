/* executor/worker_input.c - what a worker's client fetches goes to the tasks of its partition: records, and the news that a
 * partition has come to its present end. */
#include "executor/worker.h"

#include "executor/merge.h"

static weir_rc push_records(task *t, const fetch *f, weir_error *err)
{
    for (uint32_t i = 0; i < t->input_count; i++) {
        task_input *input = &t->inputs[i];
        if (input->source != f->source) continue;
        input->is_waiting = false;
        if (merge_takes(t->merge, input)) {
            WEIR_TRY(merge_add(t->merge, input, f, err));
        } else {
            WEIR_TRY(task_push(t, input, f, err));
            input->position = f->next_offset;
        }
    }
    return WEIR_OK;
}

/* A topic that feeds both sides of a join: each record passes one, then the other, before the next. */
static weir_rc push_one_by_one(task *t, const fetch *f, weir_error *err)
{
    for (uint32_t r = 0; r < f->rows; r++) {
        fetch one = *f;
        one.rows = 1;
        one.key += r;
        one.value += r;
        one.timestamp_ms += r;
        one.offset += r;
        if (one.headers != NULL) one.headers += r;
        if (r + 1 < f->rows) one.next_offset = f->offset[r + 1];
        WEIR_TRY(push_records(t, &one, err));
    }
    return WEIR_OK;
}

static uint32_t inputs_from(const task *t, uint32_t source)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < t->input_count; i++) count += t->inputs[i].source == source;
    return count;
}

weir_rc worker_take_records(worker *w, const fetch *f, weir_error *err)
{
    for (uint32_t i = 0; i < w->task_count; i++) {
        task *t = w->tasks[i];
        uint32_t inputs = t->partition == f->partition ? inputs_from(t, f->source) : 0;
        if (inputs > 0) WEIR_TRY(inputs > 1 && f->rows > 1 ? push_one_by_one(t, f, err) : push_records(t, f, err));
    }
    return WEIR_OK;
}

/* ---- ends ---- */

static weir_rc end_input(task *t, task_input *input, int64_t end_offset, weir_error *err)
{
    input->is_waiting = false;
    if (merge_takes(t->merge, input)) {
        merge_end(t->merge, input, t->partition, end_offset);
        return WEIR_OK;
    }
    if (end_offset > input->position) input->position = end_offset;
    if (input->next_offset >= 0 && end_offset > input->next_offset) input->next_offset = end_offset;
    return task_idle(t, input, err);
}

/* The end of a topic that another query fills from a backlog is none: were its partition left out, the others would run
 * ahead and make late what is still to come. */
static bool is_filling(const query *q, const task_input *input)
{
    return q->env.topic_catches_up(q->env.self, q->entry.id, q->sources[input->source].topic);
}

/* Whether an end that was met may be none. That of the first time nobody fills the topic may have been met before the last was
 * written; of those that follow none was. */
static bool is_doubtful(const query *q, task_input *input)
{
    bool was_filled = input->is_filled;

    if (q->env.is_deterministic || q->source_is_internal[input->source]) return false;
    input->is_filled = !is_filling(q, input);
    return !(was_filled && input->is_filled);
}

static weir_rc end_inputs(const query *q, task *t, const fetch *f, weir_error *err)
{
    for (uint32_t i = 0; i < t->input_count; i++) {
        task_input *input = &t->inputs[i];
        if (input->source != f->source) continue;
        input->end_offset = f->next_offset;
        input->is_waiting = is_doubtful(q, input);
        if (!input->is_waiting) WEIR_TRY(end_input(t, input, f->next_offset, err));
    }
    return WEIR_OK;
}

weir_rc worker_take_end(worker *w, const fetch *f, weir_error *err)
{
    for (uint32_t i = 0; i < w->task_count; i++) {
        if (w->tasks[i]->partition == f->partition) WEIR_TRY(end_inputs(w->query, w->tasks[i], f, err));
    }
    return WEIR_OK;
}

weir_rc worker_end_waiting(worker *w, bool *any, weir_error *err)
{
    const query *q = w->query;
    int64_t begin, end;

    *any = false;
    for (uint32_t i = 0; i < w->task_count; i++) {
        task *t = w->tasks[i];
        for (uint32_t k = 0; k < t->input_count; k++) {
            task_input *input = &t->inputs[k];
            if (!input->is_waiting) continue;
            *any = true;
            input->is_filled = !is_filling(q, input);
            if (!input->is_filled) continue;
            WEIR_TRY(topic_offsets(q->env.storage, q->sources[input->source].topic, t->partition, &begin, &end, err));
            if (end <= input->end_offset) {
                WEIR_TRY(end_input(t, input, input->end_offset, err));
            } else {
                input->is_waiting = false; /* more came meanwhile, and will have its own end */
            }
        }
    }
    return WEIR_OK;
}
