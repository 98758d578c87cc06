/* executor/change_list.h - what an epoch changes in a task's state, gathered as it is sealed, and put in the order it is written. */
#ifndef WEIR_EXECUTOR_CHANGE_LIST_H
#define WEIR_EXECUTOR_CHANGE_LIST_H

#include "storage/storage.h"

typedef struct change_list {
    state_change *items; /* their bytes are others' */
    uint32_t count, room;
} change_list;

/* Room for so many more, and a few that others add. */
void change_list_reserve(change_list *list, uint32_t more);
void change_list_add(change_list *list, state_change change);
void change_list_sort(change_list *list); /* by store, then by key */
void change_list_free(change_list *list);

#endif
