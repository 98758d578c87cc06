/* functions/family.h - what the family files share: the macros that write a row of the table, the list of families, and
 * small helpers for bodies. Private to functions/. */
#ifndef WEIR_FUNCTIONS_FAMILY_H
#define WEIR_FUNCTIONS_FAMILY_H

#include "core/bytes.h"
#include "functions/decimal.h"
#include "functions/function.h"

typedef struct function_family {
    const function *rows;
    uint32_t count;
} function_family;

#define FAMILY_ROWS(array) { array, sizeof(array) / sizeof((array)[0]) }

/* A row: name, arguments, result, null rule, body, a sentence; then any further fields (.example = ..., .prepare = ...).
 * FAMILY is defined by the file. KERNEL has a body over columns, SCALAR one called per row. */
#define KERNEL(name_, params_, result_, nulls_, body_, sentence_, ...)                                      \
    { .name = name_, .kind = FUNCTION_SCALAR, .params = params_, .result = result_, .nulls = nulls_,        \
      .kernel = body_, .family = FAMILY, .description = sentence_, __VA_ARGS__ }
#define SCALAR(name_, params_, result_, nulls_, body_, sentence_, ...)                                      \
    { .name = name_, .kind = FUNCTION_SCALAR, .params = params_, .result = result_, .nulls = nulls_,        \
      .row = body_, .family = FAMILY, .description = sentence_, __VA_ARGS__ }
#define AGGREGATE(name_, params_, result_, nulls_, body_, sentence_, ...)                                   \
    { .name = name_, .kind = FUNCTION_AGGREGATE, .params = params_, .result = result_, .nulls = nulls_,     \
      .agg = &(body_), .family = FAMILY, .description = sentence_, __VA_ARGS__ }
#define TABLE_FUNCTION(name_, params_, result_, nulls_, body_, sentence_, ...)                              \
    { .name = name_, .kind = FUNCTION_TABLE, .params = params_, .result = result_, .nulls = nulls_,         \
      .row = body_, .family = FAMILY, .description = sentence_, __VA_ARGS__ }
/* An operator: found by its name like a function, shown to nobody. */
#define OPERATOR(name_, params_, result_, nulls_, body_, ...)                                               \
    { .name = name_, .kind = FUNCTION_SCALAR, .params = params_, .result = result_, .nulls = nulls_,        \
      .kernel = body_, .family = "operator", .description = "", .is_hidden = true, __VA_ARGS__ }

/* Each file of rows exports one of these; function.c lists them. */
extern const function_family arithmetic_family, compare_family, like_family, subscript_family;
extern const function_family text_family, math_family, regex_family, null_family, time_family, array_family,
    map_family, lambda_family, bytes_family, url_family, json_family;
extern const function_family count_family, sum_family, minmax_family, offset_family, collect_family, top_family, stat_family,
    distinct_family;

/* Reports the failure of the row a row body works on; `return fail_row(x, ...)`. */
#define FAIL_ROW(x, ...) (eval_fail((x), (x)->row, __VA_ARGS__), false)

/* A literal argument, or NULL where the argument is not one. */
static inline const value *call_constant(const call *c, uint32_t argument)
{
    return argument < c->arg_count && c->constants != NULL ? c->constants[argument] : NULL;
}


#endif
