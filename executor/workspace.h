/* executor/workspace.h - memory that the tasks of one thread use in turn, so that each does not keep as much as the largest of its
 * batches and epochs needed. */
#ifndef WEIR_EXECUTOR_WORKSPACE_H
#define WEIR_EXECUTOR_WORKSPACE_H

#include "core/arena.h"
#include "core/slab.h"

typedef struct workspace {
    slab *pieces;          /* beside which the tasks' own are */
    arena *epoch_arena;    /* what was sealed of all tasks, until it is durable */
    arena **batch_arenas;  /* per sub-topology: in the middle of a batch of one, rows may be handed over to one that follows */
    uint32_t subtopologies;
} workspace;

workspace *workspace_new(uint32_t subtopologies);
void workspace_free(workspace *s); /* after its tasks were closed; NULL is fine */

#endif
