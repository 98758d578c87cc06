/* functions/agg_count.c - COUNT(*) and COUNT(x). */
#include "functions/aggregate.h"

#define FAMILY "aggregate"

#define COUNT_LOOP(name, change)                                                                                 \
    static void name(const call *c, agg_context *x, char *const *groups, uint32_t offset, const column *args,    \
                     row_set rows, column *running)                                                              \
    {                                                                                                            \
        (void)c, (void)x, (void)args;                                                                            \
        if (running == NULL) {                                                                                   \
            EACH_ROW(r, rows) *(int64_t *)(groups[r] + offset) += (change);                                      \
            return;                                                                                              \
        }                                                                                                        \
        EACH_ROW(r, rows) running->i64[r] = *(int64_t *)(groups[r] + offset) += (change);                        \
    }

COUNT_LOOP(count_rows_step, 1)
COUNT_LOOP(count_rows_undo, -1)
COUNT_LOOP(count_values_step, !args[0].null[r])
COUNT_LOOP(count_values_undo, -(int64_t)!args[0].null[r])

static void count_merge(const call *c, agg_context *x, void *into, const void *from)
{
    (void)c, (void)x;
    *(int64_t *)into += *(const int64_t *)from;
}

static void count_result(const call *c, agg_context *x, char *const *groups, uint32_t offset, row_set rows, column *out)
{
    (void)c, (void)x;
    EACH_ROW(r, rows) out->i64[r] = *(const int64_t *)(groups[r] + offset);
}

static const aggregate count_rows = { .bytes = 8, .step = count_rows_step, .undo = count_rows_undo,
                                      .merge = count_merge, .result = count_result };
static const aggregate count_values = { .bytes = 8, .step = count_values_step, .undo = count_values_undo,
                                        .merge = count_merge, .result = count_result };

static const function ROWS[] = {
    AGGREGATE("COUNT", "", "BIGINT", NULL_SEEN, count_rows, "Number of rows.", .example = "COUNT(*)"),
    AGGREGATE("COUNT", "ANY", "BIGINT", NULL_SKIP, count_values, "Number of rows where the argument is not null.",
              .example = "COUNT(url)"),
};
const function_family count_family = FAMILY_ROWS(ROWS);
