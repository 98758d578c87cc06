/* functions/agg_stat.c - spread and correlation, in one pass. */
#include "functions/aggregate.h"

#include <math.h>

#define FAMILY "aggregate"

/* Youngs and Cramer: the sum of squared distances from the mean, brought up to date with each value. */
typedef struct spread {
    double sum;
    double squares;
    int64_t count;
} spread;

static inline void spread_add(spread *acc, double v)
{
    acc->count++;
    acc->sum += v;
    if (acc->count < 2) return;
    double n = (double)acc->count, distance = v * n - acc->sum;
    acc->squares += distance * distance / (n * (n - 1));
}

static inline void spread_take(spread *acc, double v)
{
    double n = (double)acc->count, distance = v * (n + 1) - (acc->sum + v);

    acc->count--;
    acc->sum -= v;
    if (acc->count > 0) acc->squares -= distance * distance / (n * (n - 1));
}

static void spread_join(spread *into, const spread *from)
{
    if (into->count > 0 && from->count > 0) {
        double n = (double)into->count, m = (double)from->count, distance = into->sum / n - from->sum / m;
        into->squares += n * m * distance * distance / (n + m);
    }
    into->squares += from->squares;
    into->sum += from->sum;
    into->count += from->count;
}

static inline double variance(const spread *acc)
{
    return acc->count < 2 ? 0 : acc->squares / (double)(acc->count - 1);
}

AGG_LOOP(variance_step, spread, spread_add(acc, args[0].f64[r]), out->f64[r] = variance(acc))
AGG_LOOP(variance_undo, spread, spread_take(acc, args[0].f64[r]), out->f64[r] = variance(acc))
AGG_RESULT(variance_result, spread, out->f64[r] = variance(acc))
AGG_LOOP(deviation_step, spread, spread_add(acc, args[0].f64[r]), out->f64[r] = sqrt(variance(acc)))
AGG_LOOP(deviation_undo, spread, spread_take(acc, args[0].f64[r]), out->f64[r] = sqrt(variance(acc)))
AGG_RESULT(deviation_result, spread, out->f64[r] = sqrt(variance(acc)))
AGG_MERGE(spread_merge, spread, spread_join(into, from))

static const aggregate sample_variance = { .bytes = sizeof(spread), .step = variance_step, .undo = variance_undo,
                                           .merge = spread_merge, .result = variance_result };
static const aggregate sample_deviation = { .bytes = sizeof(spread), .step = deviation_step, .undo = deviation_undo,
                                            .merge = spread_merge, .result = deviation_result };

/* ---- correlation ---- */

typedef struct pairs {
    double x, y, xx, yy, xy;
    int64_t count;
} pairs;

static inline void pairs_add(pairs *acc, double x, double y, int sign)
{
    acc->x += sign * x;
    acc->y += sign * y;
    acc->xx += sign * (x * x);
    acc->yy += sign * (y * y);
    acc->xy += sign * (x * y);
    acc->count += sign;
}

static inline double pearson(const pairs *acc)
{
    double n = (double)acc->count;
    double spread_x = n * acc->xx - acc->x * acc->x, spread_y = n * acc->yy - acc->y * acc->y;

    return (n * acc->xy - acc->x * acc->y) / sqrt(spread_x * spread_y);
}

AGG_LOOP(correlation_step, pairs, if (!args[1].null[r]) pairs_add(acc, args[0].f64[r], args[1].f64[r], 1),
         out->f64[r] = pearson(acc))
AGG_LOOP(correlation_undo, pairs, if (!args[1].null[r]) pairs_add(acc, args[0].f64[r], args[1].f64[r], -1),
         out->f64[r] = pearson(acc))
AGG_RESULT(correlation_result, pairs, out->f64[r] = pearson(acc))
AGG_MERGE(correlation_merge, pairs,
          (into->x += from->x, into->y += from->y, into->xx += from->xx, into->yy += from->yy, into->xy += from->xy,
           into->count += from->count))

static const aggregate correlation = { .bytes = sizeof(pairs), .step = correlation_step, .undo = correlation_undo,
                                       .merge = correlation_merge, .result = correlation_result };

static const function ROWS[] = {
    AGGREGATE("STDDEV_SAMPLE", "DOUBLE", "DOUBLE", NULL_SKIP, sample_deviation,
              "Sample standard deviation; 0 of fewer than two values.", .example = "STDDEV_SAMPLE(price)",
              .has_nested_state = true),
    AGGREGATE("STDDEV_SAMP", "DOUBLE", "DOUBLE", NULL_SKIP, sample_variance,
              "Sample variance, under the name ksqlDB gives it; STDDEV_SAMPLE is its root.",
              .example = "STDDEV_SAMP(price)", .has_nested_state = true),
    AGGREGATE("CORRELATION", "DOUBLE, DOUBLE", "DOUBLE", NULL_SKIP, correlation,
              "Pearson's correlation of two columns, over the rows where neither is null.",
              .example = "CORRELATION(height, weight)", .has_nested_state = true),
};
const function_family stat_family = FAMILY_ROWS(ROWS);
