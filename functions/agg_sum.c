/* functions/agg_sum.c - SUM and AVG. Integer sums wrap as Java's do; a DECIMAL sum that outgrows its type stops the query,
 * since no later row could mend it. */
#include "core/number.h"
#include "functions/aggregate.h"

#define FAMILY "aggregate"

typedef struct sum_i32 {
    int32_t sum;
} sum_i32;
typedef struct sum_i64 {
    int64_t sum;
} sum_i64;
typedef struct sum_f64 {
    double sum;
} sum_f64;
typedef struct sum_dec {
    decimal sum;
} sum_dec;

#define WRAP_ADD(type_, a, b) (type_)((u##type_)(a) + (u##type_)(b))
#define WRAP_SUB(type_, a, b) (type_)((u##type_)(a) - (u##type_)(b))

AGG_LOOP(sum_i32_step, sum_i32, acc->sum = WRAP_ADD(int32_t, acc->sum, args[0].i32[r]), out->i32[r] = acc->sum)
AGG_LOOP(sum_i32_undo, sum_i32, acc->sum = WRAP_SUB(int32_t, acc->sum, args[0].i32[r]), out->i32[r] = acc->sum)
AGG_MERGE(sum_i32_merge, sum_i32, into->sum = WRAP_ADD(int32_t, into->sum, from->sum))
AGG_RESULT(sum_i32_result, sum_i32, out->i32[r] = acc->sum)

AGG_LOOP(sum_i64_step, sum_i64, acc->sum = WRAP_ADD(int64_t, acc->sum, args[0].i64[r]), out->i64[r] = acc->sum)
AGG_LOOP(sum_i64_undo, sum_i64, acc->sum = WRAP_SUB(int64_t, acc->sum, args[0].i64[r]), out->i64[r] = acc->sum)
AGG_MERGE(sum_i64_merge, sum_i64, into->sum = WRAP_ADD(int64_t, into->sum, from->sum))
AGG_RESULT(sum_i64_result, sum_i64, out->i64[r] = acc->sum)

AGG_LOOP(sum_f64_step, sum_f64, acc->sum += args[0].f64[r], out->f64[r] = acc->sum)
AGG_LOOP(sum_f64_undo, sum_f64, acc->sum -= args[0].f64[r], out->f64[r] = acc->sum)
AGG_MERGE(sum_f64_merge, sum_f64, into->sum += from->sum)
AGG_RESULT(sum_f64_result, sum_f64, out->f64[r] = acc->sum)

static void stop_decimal(const call *c, agg_context *x, const decimal *sum, decimal more)
{
    text shown = TEXT_EMPTY;

    print_decimal(&shown, *sum, c->result->scale);
    text_add_c(&shown, more < 0 ? " - " : " + ");
    print_decimal(&shown, more < 0 ? -more : more, c->result->scale);
    agg_stop(x, sum, "%s does not fit DECIMAL(%u, %u); CAST() its argument to more digits", shown.data, c->result->precision,
             c->result->scale);
    text_free(&shown);
}

static void add_decimal(const call *c, agg_context *x, decimal *sum, decimal more)
{
    decimal next = *sum + more; /* both below 10^38: no overflow of 127 bits */

    if (decimal_fits(next, c->result->precision)) *sum = next;
    else stop_decimal(c, x, sum, more);
}

AGG_LOOP(sum_dec_step, sum_dec, STOPPABLE(add_decimal(c, x, &acc->sum, args[0].dec[r])), out->dec[r] = acc->sum)
AGG_LOOP(sum_dec_undo, sum_dec, STOPPABLE(add_decimal(c, x, &acc->sum, -args[0].dec[r])), out->dec[r] = acc->sum)
AGG_MERGE(sum_dec_merge, sum_dec, add_decimal(c, x, &into->sum, from->sum))
AGG_RESULT(sum_dec_result, sum_dec, out->dec[r] = acc->sum)

static const type *same_type(arena *a, const type *const *args, uint32_t count, weir_error *err)
{
    (void)a, (void)count, (void)err;
    return args[0];
}

/* The mean of integers divides an exact sum; of no values it is 0. */
typedef struct avg_int {
    __int128 sum;
    int64_t count;
} avg_int;
typedef struct avg_f64 {
    double sum;
    int64_t count;
} avg_f64;

#define MEAN(acc) ((acc)->count == 0 ? 0.0 : (double)(acc)->sum / (double)(acc)->count)

#define AVG_KERNELS(suffix, acc_type, field)                                                                       \
    AGG_LOOP(avg_##suffix##_step, acc_type, (acc->sum += args[0].field[r], acc->count++), out->f64[r] = MEAN(acc)) \
    AGG_LOOP(avg_##suffix##_undo, acc_type, (acc->sum -= args[0].field[r], acc->count--), out->f64[r] = MEAN(acc))

AVG_KERNELS(i32, avg_int, i32)
AVG_KERNELS(i64, avg_int, i64)
AVG_KERNELS(f64, avg_f64, f64)
AGG_MERGE(avg_int_merge, avg_int, (into->sum += from->sum, into->count += from->count))
AGG_MERGE(avg_f64_merge, avg_f64, (into->sum += from->sum, into->count += from->count))
AGG_RESULT(avg_int_result, avg_int, out->f64[r] = MEAN(acc))
AGG_RESULT(avg_f64_result, avg_f64, out->f64[r] = MEAN(acc))

/* The elements of an array, nulls left out, into the sum. */
#define LIST_KERNELS(suffix, field, add, subtract)                                                               \
    AGG_LOOP(list_##suffix##_step, sum_##suffix, ADD_ELEMENTS(field, add), out->field[r] = acc->sum)             \
    AGG_LOOP(list_##suffix##_undo, sum_##suffix, ADD_ELEMENTS(field, subtract), out->field[r] = acc->sum)        \
    static const aggregate list_of_##suffix = { .bytes = sizeof(sum_##suffix), .step = list_##suffix##_step,     \
                                                .undo = list_##suffix##_undo, .merge = sum_##suffix##_merge,     \
                                                .result = sum_##suffix##_result };
#define ADD_ELEMENTS(field, add)                                                    \
    const value_list *list = &args[0].nested[r].list;                               \
    for (uint32_t i = 0; i < list->count; i++) {                                    \
        if (!list->items[i].is_null) acc->sum = add(acc->sum, list->items[i].field); \
    }
#define ADD_I32(a, b) WRAP_ADD(int32_t, a, b)
#define SUB_I32(a, b) WRAP_SUB(int32_t, a, b)
#define ADD_I64(a, b) WRAP_ADD(int64_t, a, b)
#define SUB_I64(a, b) WRAP_SUB(int64_t, a, b)
#define ADD_F64(a, b) ((a) + (b))
#define SUB_F64(a, b) ((a) - (b))

LIST_KERNELS(i32, i32, ADD_I32, SUB_I32)
LIST_KERNELS(i64, i64, ADD_I64, SUB_I64)
LIST_KERNELS(f64, f64, ADD_F64, SUB_F64)

#define SUM_OF(suffix)                                                                             \
    static const aggregate sum_of_##suffix = { .bytes = sizeof(sum_##suffix), .step = sum_##suffix##_step, \
                                               .undo = sum_##suffix##_undo, .merge = sum_##suffix##_merge, \
                                               .result = sum_##suffix##_result };
SUM_OF(i32)
SUM_OF(i64)
SUM_OF(f64)
SUM_OF(dec)

static const aggregate avg_of_i32 = { .bytes = sizeof(avg_int), .step = avg_i32_step, .undo = avg_i32_undo,
                                      .merge = avg_int_merge, .result = avg_int_result };
static const aggregate avg_of_i64 = { .bytes = sizeof(avg_int), .step = avg_i64_step, .undo = avg_i64_undo,
                                      .merge = avg_int_merge, .result = avg_int_result };
static const aggregate avg_of_f64 = { .bytes = sizeof(avg_f64), .step = avg_f64_step, .undo = avg_f64_undo,
                                      .merge = avg_f64_merge, .result = avg_f64_result };

static const function ROWS[] = {
    AGGREGATE("SUM", "INTEGER", "INTEGER", NULL_SKIP, sum_of_i32, "Sum of the non-null values.", .example = "SUM(n)"),
    AGGREGATE("SUM", "BIGINT", "BIGINT", NULL_SKIP, sum_of_i64, "Sum of the non-null values."),
    AGGREGATE("SUM", "DECIMAL", NULL, NULL_SKIP, sum_of_dec, "Sum of the non-null values.", .resolve = same_type),
    AGGREGATE("SUM", "DOUBLE", "DOUBLE", NULL_SKIP, sum_of_f64, "Sum of the non-null values."),
    AGGREGATE("SUM_LIST", "ARRAY<INTEGER>", "INTEGER", NULL_SKIP, list_of_i32, "Sum of all elements of the arrays.",
              .example = "SUM_LIST(prices)"),
    AGGREGATE("SUM_LIST", "ARRAY<BIGINT>", "BIGINT", NULL_SKIP, list_of_i64, "Sum of all elements of the arrays."),
    AGGREGATE("SUM_LIST", "ARRAY<DOUBLE>", "DOUBLE", NULL_SKIP, list_of_f64, "Sum of all elements of the arrays."),
    AGGREGATE("AVG", "INTEGER", "DOUBLE", NULL_SKIP, avg_of_i32, "Mean of the non-null values; 0 if there are none.",
              .example = "AVG(price)", .has_nested_state = true),
    AGGREGATE("AVG", "BIGINT", "DOUBLE", NULL_SKIP, avg_of_i64, "Mean of the non-null values; 0 if there are none.",
              .has_nested_state = true),
    AGGREGATE("AVG", "DOUBLE", "DOUBLE", NULL_SKIP, avg_of_f64, "Mean of the non-null values; 0 if there are none.",
              .has_nested_state = true),
};
const function_family sum_family = FAMILY_ROWS(ROWS);
