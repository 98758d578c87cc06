/* functions/aggregate.h - what the aggregates share: loops over groups, and tails that hold one value of any type.
 * Private to functions/. */
#ifndef WEIR_FUNCTIONS_AGGREGATE_H
#define WEIR_FUNCTIONS_AGGREGATE_H

#include "functions/family.h"

/* One loop over the rows with `acc` the row's accumulator, and `each` done where the argument is not null; a second one
 * that writes `show` after every row, skipped ones included. */
#define AGG_LOOP(name, acc_type, each, show)                                                                     \
    static void name(const call *c, agg_context *x, char *const *groups, uint32_t offset, const column *args,    \
                     row_set rows, column *running)                                                              \
    {                                                                                                            \
        (void)c, (void)x;                                                                                        \
        if (running == NULL) {                                                                                   \
            EACH_ROW(r, rows)                                                                                    \
            {                                                                                                    \
                acc_type *acc = (acc_type *)(groups[r] + offset);                                                \
                if (!args[0].null[r]) {                                                                          \
                    each;                                                                                        \
                }                                                                                                \
            }                                                                                                    \
            return;                                                                                              \
        }                                                                                                        \
        column *out = running;                                                                                   \
        EACH_ROW(r, rows)                                                                                        \
        {                                                                                                        \
            acc_type *acc = (acc_type *)(groups[r] + offset);                                                    \
            if (!args[0].null[r]) {                                                                              \
                each;                                                                                            \
            }                                                                                                    \
            show;                                                                                                \
        }                                                                                                        \
    }

/* Before what may stop: which row it is about. */
#define STOPPABLE(each) (x->row = r, each)

/* result: `show` for every row. */
#define AGG_RESULT(name, acc_type, show)                                                                         \
    static void name(const call *c, agg_context *x, char *const *groups, uint32_t offset, row_set rows,          \
                     column *out)                                                                                \
    {                                                                                                            \
        (void)c, (void)x;                                                                                        \
        EACH_ROW(r, rows)                                                                                        \
        {                                                                                                        \
            const acc_type *acc = (const acc_type *)(groups[r] + offset);                                        \
            show;                                                                                                \
        }                                                                                                        \
    }

#define AGG_MERGE(name, acc_type, each)                                                                          \
    static void name(const call *c, agg_context *x, void *into_, const void *from_)                              \
    {                                                                                                            \
        acc_type *into = into_;                                                                                  \
        const acc_type *from = from_;                                                                            \
        (void)c, (void)x;                                                                                        \
        each;                                                                                                    \
    }

/* Bytes of one value kept in the slab; data == NULL: none. */
typedef struct tail {
    char *data;
    uint32_t len;
    uint32_t held;
} tail;

void tail_set(slab *s, tail *t, slice bytes);
void tail_drop(slab *s, tail *t);
static inline slice tail_slice(const tail *t) { return (slice){ t->data, t->len }; }
void tail_encode(const tail *t, text *out);
bool tail_decode(slab *s, reader_bytes *in, tail *t);

#endif
