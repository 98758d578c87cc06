/* executor/agg_list.h - the aggregates of one GROUP BY, side by side in a group's memory. */
#ifndef WEIR_EXECUTOR_AGG_LIST_H
#define WEIR_EXECUTOR_AGG_LIST_H

#include "executor/task.h"

/* What each group begins with; accumulators follow, and where someone wants the former row what the results were. */
typedef struct group {
    int64_t event_ms; /* the greatest of the rows in it */
    bool is_emitted;  /* the row was given on: by an earlier epoch, or in this one */
    bool is_final;    /* EMIT FINAL: it was given on as the window closed */
} __attribute__((aligned(16))) group;

/* Whose rows are stepped: for what is said of the one at which an aggregate could not go on. */
typedef struct agg_input {
    const batch *in;
    const uint32_t *source; /* the row of each place; NULL: the place is the row */
} agg_input;

typedef struct agg_list {
    const task *task;
    const agg_call *calls;
    uint32_t count;
    uint32_t *offsets;   /* of each accumulator, from the group's beginning */
    uint32_t bytes;      /* of a group with all of them */
    uint32_t plain_words; /* of the accumulators without tails, which come first and are stored side by side, packed */
    const schema *out;   /* the step's: the results are its value columns */
    uint32_t key_count;
    bool keeps_last;
    uint32_t last_offset; /* of the results as last emitted, where they are kept */
    agg_context context;
    /* Once the context says stop: */
    uint32_t stopped_call; /* which could not go on */
    uint32_t stopped_row;  /* at which row of the input */
    int64_t stopped_ms;    /* the time of the latest record of its group */
} agg_list;

void agg_list_open(agg_list *l, task *t, const step *s, bool keeps_last, arena *a);

/* The arguments of all calls, evaluated once for a batch: args[i] are call i's columns. */
column **agg_list_args(agg_list *l, task *t, const batch *in, row_set rows);
/* Steps (or takes back) the rows into their groups; running: NULL, or the value columns of the result, of which row r gets
 * the results right after it. Fails with class runtime when an aggregate cannot go on, and where the step after agg_list_merge()
 * finds that it could not. */
weir_rc agg_list_step(agg_list *l, const agg_input *from, char *const *groups, column **args, row_set rows, column *running,
                      weir_error *err);
weir_rc agg_list_undo(agg_list *l, const agg_input *from, char *const *groups, column **args, row_set rows, column *running,
                      weir_error *err);
/* Fills the value columns with the groups' results. */
void agg_list_results(agg_list *l, char *const *groups, row_set rows, column *out);
/* row: of the input, which brings the two groups together. */
void agg_list_merge(agg_list *l, char *into, const char *from, uint32_t row);

/* A group as a payload of a state table. */
payload_class group_class(agg_list *l);
/* Its functions, whose self is the list. */
void group_init(void *list, void *payload);
void group_encode(void *list, const void *payload, text *out);
bool group_decode(void *list, reader_bytes *in, void *payload);
void group_drop(void *list, void *payload);

/* The results as last emitted are row r's. */
void group_remember(agg_list *l, group *g, const column *results, uint32_t row);
/* Packed, and lent until the next are remembered; absent: there are none, or none are kept. */
slice group_last(const agg_list *l, const group *g);
void group_forget_last(agg_list *l, group *g);
/* Unpacks them into row r; false: there are none. */
bool group_recall(agg_list *l, slice last, column *results, uint32_t row, arena *a);

#endif
