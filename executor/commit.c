/* executor/commit.c - see commit.h. */
#include "executor/commit.h"

#include <stdlib.h>

/* Those that hand over before those that take. */
static weir_rc each_task(task *const *tasks, uint32_t count, weir_rc (*function)(task *t, weir_error *err), weir_error *err)
{
    uint32_t last = 0;

    for (uint32_t i = 0; i < count; i++) last = tasks[i]->subtopology > last ? tasks[i]->subtopology : last;
    for (uint32_t s = 0; s <= last; s++) {
        for (uint32_t i = 0; i < count; i++) {
            if (tasks[i]->subtopology == s && task_has_work(tasks[i])) WEIR_TRY(function(tasks[i], err));
        }
    }
    return WEIR_OK;
}

weir_rc release_tasks(task *const *tasks, uint32_t count, weir_error *err)
{
    return each_task(tasks, count, task_release, err);
}

weir_rc commit_tasks(client *c, task *const *tasks, uint32_t count, bad_log *log, weir_error *err)
{
    uint32_t input_count = 0, epoch_count = 0, position_count = 0;

    for (uint32_t i = 0; i < count; i++) input_count += tasks[i]->input_count;
    WEIR_TRY(each_task(tasks, count, task_flush, err));
    WEIR_TRY(bad_log_flush(log, c, 0, err));

    epoch *epochs = calloc(count + 1, sizeof *epochs);
    position *positions = calloc(input_count + 1, sizeof *positions);
    if (epochs == NULL || positions == NULL) {
        free(epochs);
        free(positions);
        return weir_fail_act(err, WEIR_NOMEM, WEIR_ACT_ABORT, "no memory to commit %u tasks", count);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!task_has_work(tasks[i])) continue;
        epochs[epoch_count++] = task_seal(tasks[i]);
        for (uint32_t k = 0; k < tasks[i]->input_count; k++) {
            const task_input *input = &tasks[i]->inputs[k];
            if (input->next_offset < 0) continue;
            positions[position_count++] = (position){ input->source, tasks[i]->partition, input->next_offset };
        }
    }
    weir_rc rc = client_commit(c, epochs, epoch_count, positions, position_count, err);
    for (uint32_t i = 0; rc == WEIR_OK && i < count; i++) {
        if (task_has_work(tasks[i])) task_committed(tasks[i]);
    }
    free(epochs);
    free(positions);
    return rc;
}
