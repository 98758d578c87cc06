/* functions/fn_null.c - functions about nulls, and the least and greatest of several arguments. */
#include "functions/family.h"

#define FAMILY "null"

static void coalesce(const call *c, eval_context *x, const column *args, row_set rows, column *out)
{
    (void)x;
    EACH_ROW(r, rows)
    {
        uint32_t i = 0;
        while (i + 1 < c->arg_count && args[i].null[r]) i++;
        column_copy_row(out, r, &args[i], r);
    }
}

static void null_if(const call *c, eval_context *x, const column *args, row_set rows, column *out)
{
    (void)x;
    EACH_ROW(r, rows)
    {
        value a = column_get(&args[0], r), b = column_get(&args[1], r);
        if (!a.is_null && !b.is_null && value_equal(c->arg_types[0], &a, &b)) out->null[r] = 1;
        else column_copy_row(out, r, &args[0], r);
    }
}

/* The extreme of the arguments that are not null. */
static void extreme(const call *c, const column *args, row_set rows, column *out, int sign)
{
    EACH_ROW(r, rows)
    {
        value best = NULL_VALUE;
        uint32_t of = 0;
        for (uint32_t i = 0; i < c->arg_count; i++) {
            value v = column_get(&args[i], r);
            if (v.is_null || (!best.is_null && value_compare(c->result, &v, &best) * sign <= 0)) continue;
            best = v;
            of = i;
        }
        column_copy_row(out, r, &args[of], r);
    }
}

static void greatest(const call *c, eval_context *x, const column *args, row_set rows, column *out)
{
    (void)x;
    extreme(c, args, rows, out, 1);
}

static void least(const call *c, eval_context *x, const column *args, row_set rows, column *out)
{
    (void)x;
    extreme(c, args, rows, out, -1);
}

/* A copy of a key's value, which the planner places among the values. */
static void as_value(const call *c, eval_context *x, const column *args, row_set rows, column *out)
{
    (void)c, (void)x;
    EACH_ROW(r, rows) column_copy_row(out, r, &args[0], r);
}

#define EXTREME_ROW(name, type_, body, sentence, ...) \
    KERNEL(name, type_ ", " type_ "...", type_, NULL_SEEN, body, sentence, __VA_ARGS__)
#define EXTREME_ROWS(name, body, sentence, example_)                                                           \
    EXTREME_ROW(name, "INTEGER", body, sentence, .example = example_), EXTREME_ROW(name, "BIGINT", body, sentence), \
        EXTREME_ROW(name, "DECIMAL(T)", body, sentence), EXTREME_ROW(name, "DOUBLE", body, sentence),          \
        EXTREME_ROW(name, "STRING", body, sentence), EXTREME_ROW(name, "BYTES", body, sentence),               \
        EXTREME_ROW(name, "DATE", body, sentence), EXTREME_ROW(name, "TIME", body, sentence),                  \
        EXTREME_ROW(name, "TIMESTAMP", body, sentence)

static const function ROWS[] = {
    KERNEL("COALESCE", "T, T...", "T", NULL_SEEN, coalesce, "The first argument that is not null.",
           .example = "COALESCE(NULL, 'a', 'b')"),
    KERNEL("IFNULL", "T, T", "T", NULL_SEEN, coalesce, "The first argument, or the second where the first is null.",
           .example = "IFNULL(NULL, 'a')"),
    KERNEL("NULLIF", "T, T", "T", NULL_SEEN, null_if, "Null where both arguments are equal, else the first.",
           .example = "NULLIF('a', 'b')"),
    EXTREME_ROWS("GREATEST", greatest, "The greatest of the arguments that are not null.", "GREATEST(1, 3, 2)"),
    EXTREME_ROWS("LEAST", least, "The least of the arguments that are not null.", "LEAST(1, 3, 2)"),
    KERNEL("AS_VALUE", "T", "T", NULL_SEEN, as_value, "Its argument: copies a key column into the values.",
           .example = "AS_VALUE('a')"),
};
const function_family null_family = FAMILY_ROWS(ROWS);
