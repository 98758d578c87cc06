/* functions/fn_array.c - arrays. Equality of elements is that of values: null equals null here, unlike in comparisons. */
#include "functions/family.h"

#include <stdlib.h>

#define FAMILY "array"
#define ELEMENTS_MAX 1000000 /* what a function may make of one row */

#define ROW(name) static bool name(const call *c, eval_context *x, const value *args, value *out)

static value make_list(value *items, uint32_t count)
{
    return (value){ .list = { items, count } };
}

static const type *element_of(const call *c)
{
    return c->arg_types[0]->element;
}

static bool contains(const type *t, const value *items, uint32_t count, const value *v)
{
    for (uint32_t i = 0; i < count; i++) {
        if (value_equal(t, &items[i], v)) return true;
    }
    return false;
}

ROW(array_length)
{
    (void)c, (void)x;
    *out = (value){ .i32 = (int32_t)args[0].list.count };
    return true;
}

ROW(array_contains)
{
    (void)x;
    if (args[0].is_null) {
        *out = (value){ .boolean = false };
        return true;
    }
    *out = (value){ .boolean = contains(element_of(c), args[0].list.items, args[0].list.count, &args[1]) };
    return true;
}

/* Null where one of them is null, but that one null argument leaves the other. */
ROW(array_concat)
{
    (void)c;
    if (args[0].is_null || args[1].is_null) {
        *out = args[0].is_null ? args[1] : args[0];
        return true;
    }
    uint32_t a = args[0].list.count, b = args[1].list.count;
    value *items = ARENA_ARRAY(x->arena, value, a + b);
    memcpy(items, args[0].list.items, a * sizeof *items);
    memcpy(items + a, args[1].list.items, b * sizeof *items);
    *out = make_list(items, a + b);
    return true;
}

/* Adds those of `from` that are not there yet, and are, or are not, in `other` (NULL: no matter). */
static void add_distinct(const type *t, value_list *to, const value_list *from, const value_list *other, bool is_in)
{
    for (uint32_t i = 0; i < from->count; i++) {
        const value *v = &from->items[i];
        if (other != NULL && contains(t, other->items, other->count, v) != is_in) continue;
        if (!contains(t, to->items, to->count, v)) to->items[to->count++] = *v;
    }
}

#define SET_FUNCTION(name, rest)                                                                         \
    ROW(name)                                                                                            \
    {                                                                                                    \
        const type *t = element_of(c);                                                                   \
        uint32_t most = args[0].list.count + (c->arg_count > 1 ? args[1].list.count : 0);                \
        value_list set = { ARENA_ARRAY(x->arena, value, most), 0 };                                      \
        rest;                                                                                            \
        *out = (value){ .list = set };                                                                   \
        return true;                                                                                     \
    }

SET_FUNCTION(array_distinct, add_distinct(t, &set, &args[0].list, NULL, false))
SET_FUNCTION(array_except, add_distinct(t, &set, &args[0].list, &args[1].list, false))
SET_FUNCTION(array_intersect, add_distinct(t, &set, &args[0].list, &args[1].list, true))
SET_FUNCTION(array_union, (add_distinct(t, &set, &args[0].list, NULL, false),
                           add_distinct(t, &set, &args[1].list, NULL, false)))

ROW(array_remove)
{
    value *items = ARENA_ARRAY(x->arena, value, args[0].list.count);
    uint32_t count = 0;

    if (args[0].is_null) return true;
    for (uint32_t i = 0; i < args[0].list.count; i++) {
        if (!value_equal(element_of(c), &args[0].list.items[i], &args[1])) items[count++] = args[0].list.items[i];
    }
    *out = make_list(items, count);
    return true;
}

static bool extreme(const call *c, const value *args, value *out, int sign)
{
    for (uint32_t i = 0; i < args[0].list.count; i++) {
        const value *v = &args[0].list.items[i];
        if (!v->is_null && (out->is_null || value_compare(element_of(c), v, out) * sign > 0)) *out = *v;
    }
    return true;
}

ROW(array_max)
{
    (void)x;
    return extreme(c, args, out, 1);
}

ROW(array_min)
{
    (void)x;
    return extreme(c, args, out, -1);
}

/* Sorts by halves, so that equal elements keep their order; nulls go to the end in either direction. */
static void merge_sort(const type *t, value *items, value *scratch, uint32_t count, int sign)
{
    if (count < 2) return;
    uint32_t half = count / 2, i = 0, k = half, to = 0;
    merge_sort(t, items, scratch, half, sign);
    merge_sort(t, items + half, scratch, count - half, sign);
    while (i < half && k < count) {
        bool takes_second = items[i].is_null ? !items[k].is_null
                                             : !items[k].is_null && value_compare(t, &items[i], &items[k]) * sign > 0;
        scratch[to++] = takes_second ? items[k++] : items[i++];
    }
    while (i < half) scratch[to++] = items[i++];
    while (k < count) scratch[to++] = items[k++];
    memcpy(items, scratch, count * sizeof *items);
}

ROW(array_sort)
{
    uint32_t count = args[0].list.count;
    int sign = 1;

    if (c->arg_count > 1) {
        slice order = args[1].str;
        bool is_down = slice_equal_nocase(order, SLICE("DESC")) || slice_equal_nocase(order, SLICE("DESCENDING"));
        if (!is_down && !slice_equal_nocase(order, SLICE("ASC")) && !slice_equal_nocase(order, SLICE("ASCENDING"))) {
            return true; /* null */
        }
        if (is_down) sign = -1;
    }
    value *items = ARENA_ARRAY(x->arena, value, count), *scratch = ARENA_ARRAY(x->arena, value, count);
    memcpy(items, args[0].list.items, count * sizeof *items);
    merge_sort(element_of(c), items, scratch, count, sign);
    *out = make_list(items, count);
    return true;
}

/* Elements as CAST prints them, nulls as null; a null delimiter is none. */
ROW(array_join)
{
    slice delimiter = c->arg_count < 2 ? SLICE(",") : args[1].is_null ? SLICE("") : args[1].str;
    text joined = TEXT_EMPTY;
    bool done = true;

    if (args[0].is_null) return true;
    for (uint32_t i = 0; i < args[0].list.count && done; i++) {
        const value *v = &args[0].list.items[i];
        value printed;
        const char *reason;
        if (i > 0) text_add(&joined, delimiter);
        if (v->is_null) text_add_c(&joined, "null");
        else if ((done = cast_value(x->arena, element_of(c), &type_string, v, &printed, &reason))) text_add(&joined, printed.str);
    }
    if (done) *out = (value){ .str = arena_copy(x->arena, text_slice(&joined)) };
    text_free(&joined);
    return done || FAIL_ROW(x, "ARRAY_JOIN cannot print these elements");
}

static const type *join_type(arena *a, const type *const *args, uint32_t count, weir_error *err)
{
    (void)a, (void)count;
    if (args[0]->kind == TYPE_ARRAY && !type_is_nested(args[0]->element)) return &type_string;
    weir_fail(err, WEIR_SEMANTIC, err->at, "ARRAY_JOIN takes arrays of primitive types");
    return NULL;
}

/* Both ends belong to it and count from 1; a null end is open. */
ROW(slice_of_array)
{
    int64_t count = args[0].list.count;
    int64_t from = args[1].is_null ? 1 : args[1].i32, to = args[2].is_null ? count : args[2].i32;

    (void)c, (void)x;
    if (args[0].is_null) return true;
    if (from < 1 || from > to + 1) return true; /* null */
    if (to > count) to = count;
    if (from > to) *out = make_list(args[0].list.items, 0);
    else *out = make_list(args[0].list.items + (from - 1), (uint32_t)(to - from + 1));
    return true;
}

static bool series(eval_context *x, int64_t from, int64_t to, int64_t step, bool is_wide, value *out)
{
    if (step == 0) return FAIL_ROW(x, "GENERATE_SERIES needs a step other than 0");
    if ((step > 0 && from > to) || (step < 0 && from < to)) {
        return FAIL_ROW(x, "GENERATE_SERIES needs a step towards its end");
    }
    __int128 count = ((__int128)to - from) / step + 1;
    if (count > ELEMENTS_MAX) return FAIL_ROW(x, "GENERATE_SERIES would make more than %d elements", ELEMENTS_MAX);
    value *items = ARENA_ZEROS(x->arena, value, (uint32_t)count);
    for (uint32_t i = 0; i < (uint32_t)count; i++) {
        if (is_wide) items[i].i64 = from + (int64_t)i * step;
        else items[i].i32 = (int32_t)(from + (int64_t)i * step);
    }
    *out = make_list(items, (uint32_t)count);
    return true;
}

ROW(series_i32)
{
    int64_t from = args[0].i32, to = args[1].i32;

    return series(x, from, to, c->arg_count > 2 ? args[2].i32 : to >= from ? 1 : -1, false, out);
}

ROW(series_i64)
{
    int64_t from = args[0].i64, to = args[1].i64;

    return series(x, from, to, c->arg_count > 2 ? args[2].i32 : to >= from ? 1 : -1, true, out);
}

/* The n-th of the other arguments, from 1. */
ROW(elt)
{
    (void)x;
    if (args[0].is_null || args[0].i32 < 1 || (uint32_t)args[0].i32 >= c->arg_count) return true;
    *out = args[args[0].i32];
    return true;
}

ROW(field)
{
    (void)x;
    *out = (value){ .i32 = 0 };
    for (uint32_t i = 1; i < c->arg_count && !args[0].is_null; i++) {
        if (args[i].is_null || !slice_equal(args[0].str, args[i].str)) continue;
        out->i32 = (int32_t)i;
        break;
    }
    return true;
}

/* ---- table functions ---- */

ROW(explode)
{
    (void)c, (void)x;
    *out = args[0];
    return true;
}

/* Every combination of keeping an element or putting null for it, the first element changing last; an element that is null
 * already has one form only. */
ROW(cube_explode)
{
    uint32_t count = args[0].list.count, some = 0, made = 0;

    (void)c;
    for (uint32_t i = 0; i < count; i++) some += !args[0].list.items[i].is_null;
    if (some > 16) return FAIL_ROW(x, "CUBE_EXPLODE takes at most 16 elements that are not null");
    value *lists = ARENA_ARRAY(x->arena, value, (size_t)1 << some);
    for (uint32_t bits = 0; bits < (uint32_t)1 << some; bits++) {
        value *items = ARENA_ARRAY(x->arena, value, count);
        uint32_t bit = some;
        for (uint32_t i = 0; i < count; i++) {
            bool has = !args[0].list.items[i].is_null;
            if (has) bit--;
            items[i] = has && (bits >> bit & 1) ? args[0].list.items[i] : NULL_VALUE;
        }
        lists[made++] = make_list(items, count);
    }
    *out = make_list(lists, made);
    return true;
}

static const function ROWS[] = {
    SCALAR("ARRAY_LENGTH", "ARRAY<T>", "INTEGER", NULL_IN_OUT, array_length, "Number of elements.",
           .example = "ARRAY_LENGTH(ARRAY[1, 2])"),
    SCALAR("ARRAY_CONTAINS", "ARRAY<T>, T", "BOOLEAN", NULL_SEEN, array_contains, "Whether a value is among the elements.",
           .example = "ARRAY_CONTAINS(ARRAY[1, 2], 2)"),
    SCALAR("ARRAY_CONCAT", "ARRAY<T>, ARRAY<T>", "ARRAY<T>", NULL_SEEN, array_concat, "Both arrays in a row.",
           .example = "ARRAY_CONCAT(ARRAY[1, 2], ARRAY[3])"),
    SCALAR("ARRAY_DISTINCT", "ARRAY<T>", "ARRAY<T>", NULL_IN_OUT, array_distinct,
           "The distinct elements, in the order they first stand.", .example = "ARRAY_DISTINCT(ARRAY[1, 2, 1])"),
    SCALAR("ARRAY_EXCEPT", "ARRAY<T>, ARRAY<T>", "ARRAY<T>", NULL_IN_OUT, array_except,
           "The distinct elements of the first array that are not in the second.",
           .example = "ARRAY_EXCEPT(ARRAY[1, 2, 3], ARRAY[2])"),
    SCALAR("ARRAY_INTERSECT", "ARRAY<T>, ARRAY<T>", "ARRAY<T>", NULL_IN_OUT, array_intersect,
           "The distinct elements of the first array that are in the second too.",
           .example = "ARRAY_INTERSECT(ARRAY[1, 2, 3], ARRAY[3, 2])"),
    SCALAR("ARRAY_UNION", "ARRAY<T>, ARRAY<T>", "ARRAY<T>", NULL_IN_OUT, array_union,
           "The distinct elements of both arrays.", .example = "ARRAY_UNION(ARRAY[1, 2], ARRAY[2, 3])"),
    SCALAR("ARRAY_REMOVE", "ARRAY<T>, T", "ARRAY<T>", NULL_SEEN, array_remove, "The elements that differ from a value.",
           .example = "ARRAY_REMOVE(ARRAY[1, 2, 1], 1)"),
    SCALAR("ARRAY_MAX", "ARRAY<T>", "T", NULL_IN_OUT, array_max, "The greatest element that is not null.",
           .example = "ARRAY_MAX(ARRAY[1, 3, 2])"),
    SCALAR("ARRAY_MIN", "ARRAY<T>", "T", NULL_IN_OUT, array_min, "The least element that is not null.",
           .example = "ARRAY_MIN(ARRAY[1, 3, 2])"),
    SCALAR("ARRAY_SORT", "ARRAY<T>", "ARRAY<T>", NULL_IN_OUT, array_sort, "The elements in order, ASC or DESC; nulls last.",
           .example = "ARRAY_SORT(ARRAY[3, 1, 2])"),
    SCALAR("ARRAY_SORT", "ARRAY<T>, STRING", "ARRAY<T>", NULL_IN_OUT, array_sort,
           "The elements in order, ASC or DESC; nulls last.", .example = "ARRAY_SORT(ARRAY[3, 1, 2], 'DESC')"),
    SCALAR("ARRAY_JOIN", "ARRAY<T>", NULL, NULL_SEEN, array_join, "The elements as one text, with a delimiter between them.",
           .resolve = join_type, .shown_result = "STRING", .example = "ARRAY_JOIN(ARRAY[1, 2], '-')"),
    SCALAR("ARRAY_JOIN", "ARRAY<T>, STRING", NULL, NULL_SEEN, array_join,
           "The elements as one text, with a delimiter between them.", .resolve = join_type,
           .shown_result = "STRING"),
    SCALAR("SLICE", "ARRAY<T>, INTEGER, INTEGER", "ARRAY<T>", NULL_SEEN, slice_of_array,
           "The elements from one position to another, both included, from 1.", .example = "SLICE(ARRAY[1, 2, 3], 2, 3)"),
    SCALAR("GENERATE_SERIES", "INTEGER, INTEGER", "ARRAY<INTEGER>", NULL_IN_OUT, series_i32,
           "The numbers from one to another, both included, with a step.", .example = "GENERATE_SERIES(1, 5)"),
    SCALAR("GENERATE_SERIES", "INTEGER, INTEGER, INTEGER", "ARRAY<INTEGER>", NULL_IN_OUT, series_i32,
           "The numbers from one to another, both included, with a step.", .example = "GENERATE_SERIES(1, 9, 2)"),
    SCALAR("GENERATE_SERIES", "BIGINT, BIGINT", "ARRAY<BIGINT>", NULL_IN_OUT, series_i64,
           "The numbers from one to another, both included, with a step."),
    SCALAR("GENERATE_SERIES", "BIGINT, BIGINT, INTEGER", "ARRAY<BIGINT>", NULL_IN_OUT, series_i64,
           "The numbers from one to another, both included, with a step."),
    SCALAR("ELT", "INTEGER, STRING...", "STRING", NULL_SEEN, elt, "The n-th of the further arguments.",
           .example = "ELT(2, 'a', 'b')"),
    SCALAR("FIELD", "STRING, STRING...", "INTEGER", NULL_SEEN, field,
           "The position of the first argument among the further ones, 0 if it is not there.",
           .example = "FIELD('b', 'a', 'b')"),
    TABLE_FUNCTION("EXPLODE", "ARRAY<T>", "T", NULL_IN_OUT, explode, "A row for each element.",
                   .example = "EXPLODE(ARRAY[1, 2])"),
    TABLE_FUNCTION("CUBE_EXPLODE", "ARRAY<T>", "ARRAY<T>", NULL_IN_OUT, cube_explode,
                   "A row for each way to put nulls for some of the elements.", .example = "CUBE_EXPLODE(ARRAY['a', 'b'])"),
};
const function_family array_family = FAMILY_ROWS(ROWS);
