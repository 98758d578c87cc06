/* executor/task.h - a task: one sub-topology at work on one partition. A state machine that its driver advances: push a
 * fetch, flush, seal, commit; time and input come only from outside, so that the same task runs under worker threads and
 * under the deterministic driver. */
#ifndef WEIR_EXECUTOR_TASK_H
#define WEIR_EXECUTOR_TASK_H

#include "executor/block.h"
#include "executor/eval.h"
#include "executor/event_time.h"
#include "executor/op.h"
#include "executor/workspace.h"

/* Where rows that cannot be used are told to. The log is per client: it writes to the processing-log topic and counts. */
typedef struct bad_log bad_log;

typedef enum bad_kind { BAD_RECORD, BAD_EXPRESSION, BAD_OUTPUT, BAD_LATE } bad_kind;

/* What all tasks of one run of a query share; immutable while it runs. */
typedef struct task_shared {
    const plan *plan;
    slice state_name;         /* of the query's states, without the number of the sub-topology */
    const weir_clock *clock;
    uint32_t batch_rows;
    size_t state_budget_bytes; /* of one task */
    bool every_change;
    const uint32_t *source_of_step; /* per step: index among the client's sources; UINT32_MAX: none */
    const uint32_t *sink_of_step;   /* per step: index among the client's sinks */
    const int32_t *sink_partitions; /* per client sink */
    const uint64_t *sink_record_bytes_max;
    const int32_t *upstreams;       /* per step that is an exchange: partitions of the sub-topology that feeds it */
    int32_t forced_partition;       /* tests: every record goes there; -1: as usual */
    bool is_transient;              /* one task runs all sub-topologies over all partitions; exchanges pass through */
    int32_t source_partitions;      /* transient: of the source with the most */
    const step *fed;                /* transient: its rows come from a feed, and what is below it does not run; NULL: none */
    void (*result)(void *self, batch *rows); /* RESULT: takes the rows; transient queries */
    void *result_self;
} task_shared;

typedef struct task_input {
    uint32_t source;     /* of the client */
    const step *step;    /* SOURCE or EXCHANGE */
    struct decoder *decoder;
    op *entry;           /* who gets its rows */
    bool is_mixed;       /* EXCHANGE, itself behind one */
    event_time *from;    /* EXCHANGE, in a persistent task: what its upstreams have told; part of the task's state */
    uint8_t side;
    int64_t next_offset; /* consumed so far; -1: nothing since the commit */
    int64_t position;    /* the same, since assignment */
    uint64_t rows;       /* that it gave to the operators */
    int64_t busy_ns;     /* decoding */
    bool is_idle;        /* at its end, as far as told downstream */
    bool is_waiting;     /* at end_offset, its end, but a query that writes there is still catching up, or just was */
    bool is_filled;      /* none was when it was last asked */
    int64_t end_offset;
} task_input;

typedef struct task_counts {
    uint64_t rows_in, rows_out, bad_rows, late_rows;
} task_counts;

struct task {
    const task_shared *shared;
    uint32_t subtopology;
    int32_t partition;
    client *client;      /* whose epoch it is part of */
    client *state_client; /* through which state is kept: the same, but of a temporary storage where transient */
    task_state *state;   /* NULL: no stateful step in it */
    slab *memory;        /* for all its tables; beside those of the others in the workspace */
    arena *plan_arena;   /* operators, decoders: until the task is closed */
    arena *batch_arena;  /* the workspace's; reset before each batch */
    arena *epoch_arena;  /* likewise: what was sealed; reset after the commit */
    evaluator eval;
    slice computed;       /* the column that an operator is about to compute, for what the log says of its failures; absent: none */
    bool judges;          /* it judges a condition */
    task_input *inputs;
    uint32_t input_count;
    op **ops;            /* from the sources down */
    uint32_t op_count;
    struct merge *merge; /* of several inputs: brings them into order; NULL: rows are taken as they come */
    change_list changes;
    bad_log *log;
    task_counts counts;
    task *const *const *readers; /* per step that is an exchange: the tasks that take its blocks from memory, by partition;
                                    NULL, as for all where this is: through the topic */
    int64_t inner_ns;    /* of the operator call being timed: what calls within it took */
    const fetch *current; /* being pushed, for reports */
    slice current_topic;
    uint8_t watermark_side; /* of the operator that a watermark is being told to: which of its inputs it is about */
    bool has_caught_up;  /* all its inputs have been at their ends once */
    bool is_dirty;       /* something came in since the commit */
    bool is_limited;     /* transient: a LIMIT is reached */
    bool is_ending;      /* until_end: its inputs have reached their targets, as of the last look */
    bool is_done;        /* and those downstream have been told, and all of it is committed */
};

/* Opens state (restoring it where need be) and operators. Both clients may be NULL where nothing is written or kept.
 * partitions: of the sub-topology. The workspace is that of the thread, and outlives the task. */
weir_rc task_open(task **out, const task_shared *shared, uint32_t subtopology, int32_t partition, int32_t partitions,
                  workspace *space, client *c, client *state_client, bad_log *log, weir_error *err) WEIR_CHECKED;
void task_close(task *t); /* NULL is fine */
/* The task's input that a client's source feeds, or NULL. */
task_input *task_input_of(task *t, uint32_t source);

/* Before rows of a block are entered: how far their upstream had come with each. */
void task_place_rows(const task_input *input, batch *rows);
/* What a block says of its upstream, once its rows have been entered. */
weir_rc task_mark(task *t, task_input *input, const block_mark *mark, weir_error *err) WEIR_CHECKED;
/* The error of class storage that a record of a repartition topic is no block. */
/* Which of the records being read a row came from, by the offset that its batch has for it. False: none, or that is not known. */
bool task_find_record(const task *t, const int64_t *row_offset, uint32_t row, uint32_t *record);
weir_rc task_fail_block(const task *t, int32_t partition, int64_t offset, weir_error *err) WEIR_CHECKED;
/* Rows that come from elsewhere than a record: a snapshot's. */
weir_rc task_enter(task *t, task_input *input, batch *rows, weir_error *err) WEIR_CHECKED;
/* Records of the input's source, all of one partition: decoded, and pushed through the operators. */
weir_rc task_push(task *t, task_input *input, const fetch *records, weir_error *err) WEIR_CHECKED;
/* A block of an exchange goes to its reader in memory, as if it had come through the topic, whose end the reader is at. */
weir_rc task_hand_over(task *from, task *to, const step *exchange, slice block, weir_error *err) WEIR_CHECKED;
/* The input has reached its present end: tells those downstream not to wait for this partition. */
weir_rc task_idle(task *t, task_input *input, weir_error *err) WEIR_CHECKED;
/* Emits what is held back for coalescing, in the middle of an epoch. */
weir_rc task_release(task *t, weir_error *err) WEIR_CHECKED;
/* The end of an epoch: emits what is held back, closes what is over. */
weir_rc task_flush(task *t, weir_error *err) WEIR_CHECKED;
/* The task's part of a commit, after task_flush(); lent until task_committed(). */
epoch task_seal(task *t);
bool task_has_work(const task *t); /* something to commit */
void task_committed(task *t); /* what was sealed is durable */
/* After an abort: all since the last commit is dropped, and state read again from there. The inputs' positions are the driver's
 * to set. */
weir_rc task_forget(task *t, weir_error *err) WEIR_CHECKED;
size_t task_dirty_bytes(const task *t); /* about what a commit would have to write of its state */
size_t task_state_bytes(const task *t); /* of its state in memory */
/* Adds what each step has done here; by index in the plan. */
void task_add_stats(const task *t, op_stats *by_step);

/* Makes a plan's expressions fit to run; once, before its first task. plan_release() undoes it. */
void plan_prepare(plan *p);

/* A batch with room for rows, all live, in the task's batch arena: columns of the schema, times, kinds. */
batch *batch_new(arena *a, const schema *s, uint32_t rows, bool is_windowed);
/* The same rows with other columns. */
batch *batch_with_columns(const batch *in, column *columns, uint32_t count);

/* ---- for operators ---- */

/* A row came after its window had closed. Counted, and told to the log. */
void task_report_late(op *self, const batch *in, uint32_t row, int64_t start_ms, int64_t end_ms, int64_t closed_to_ms);
/* Partitions of the sub-topology behind the exchange that feeds this operator; 1: there is none. */
uint32_t task_upstreams(const op *self);
/* The same of a step of the plan, by its index: behind the exchange that it is, or is fed by. */
uint32_t task_upstreams_of(const task *t, uint32_t step);
/* What is known of the upstreams behind the exchange that feeds the operator; NULL: there is none. */
const event_time *task_time_behind(const op *self);
/* Those of the rows that have a value: tombstones left out. The indexes stand in the batch's arena. */
row_set rows_with_value(const batch *in, row_set rows);
/* The live rows that can be grouped: with a value, and no null in the key. In the batch's arena, too. */
row_set rows_with_whole_key(const batch *in, uint32_t key_count);

#endif
