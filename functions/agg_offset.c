/* functions/agg_offset.c - LATEST_BY_OFFSET and EARLIEST_BY_OFFSET, of one value or of the last or first N. Every value kept
 * has the number of its row in processing order, by which merged sessions are put in order. */
#include "functions/bag.h"

#include <stdatomic.h>

#define FAMILY "aggregate"

/* Rows are numbered across the process; state read back moves the count on, so that later rows stay later. */
static atomic_uint_fast64_t next_number = 1;

static uint64_t take_numbers(uint32_t count)
{
    return atomic_fetch_add_explicit(&next_number, count, memory_order_relaxed);
}

static void numbers_seen(uint64_t number)
{
    uint_fast64_t now = atomic_load_explicit(&next_number, memory_order_relaxed);

    while (now <= number && !atomic_compare_exchange_weak_explicit(&next_number, &now, number + 1, memory_order_relaxed,
                                                                   memory_order_relaxed)) {
    }
}

/* What the constants say; in c->state. */
typedef struct offset_options {
    uint32_t most; /* values kept */
    bool ignores_nulls;
} offset_options;

static weir_rc prepare_offset(call *c, arena *a, weir_error *err)
{
    offset_options *o = ARENA_NEW(a, offset_options);

    *o = (offset_options){ .most = 1, .ignores_nulls = true };
    for (uint32_t i = 1; i < c->arg_count; i++) {
        const value *v = call_constant(c, i);
        if (v == NULL || v->is_null) {
            return weir_fail(err, WEIR_SEMANTIC, err->at, "%s: argument %u must be a literal, as all but the first", c->fn->name, i + 1);
        }
        if (c->arg_types[i]->kind == TYPE_BOOLEAN) {
            o->ignores_nulls = v->boolean;
        } else if (v->i32 < 1) {
            return weir_fail(err, WEIR_SEMANTIC, err->at, "%s: the number of values must be 1 or greater", c->fn->name);
        } else {
            o->most = (uint32_t)v->i32;
        }
    }
    c->state = o;
    return WEIR_OK;
}

/* ---- one value ---- */

typedef enum held { HELD_NOTHING, HELD_NULL, HELD_FIXED, HELD_TAIL } held;

/* How a value of the type is held that is no null: a number in place, all else in the slab. */
static held held_as(const type *t)
{
    return type_is_nested(t) || t->kind == TYPE_STRING || t->kind == TYPE_BYTES ? HELD_TAIL : HELD_FIXED;
}

typedef struct one_value {
    union {
        char fixed[16];
        tail tail;
    };
    uint64_t number;
    uint8_t held;
} one_value;

static void one_show(const call *c, agg_context *x, const one_value *acc, column *out, uint32_t r)
{
    const type *t = c->arg_types[0];

    out->null[r] = acc->held < HELD_FIXED;
    if (acc->held == HELD_FIXED) {
        size_t bytes = column_element_bytes(t);
        memcpy((char *)out->any + r * bytes, acc->fixed, bytes);
    } else if (acc->held == HELD_TAIL) {
        value v = kept_value(x->eval->arena, t, tail_slice(&acc->tail));
        column_set(out, r, &v);
    }
}

static void one_set_null(slab *s, one_value *acc)
{
    if (acc->held == HELD_TAIL) tail_drop(s, &acc->tail);
    acc->held = HELD_NULL;
}

/* One loop for each size of number, one for what has a tail; is_latest and size are known where it is expanded. */
#define ONE_LOOP(is_latest, store)                                                               \
    EACH_ROW(r, rows)                                                                            \
    {                                                                                            \
        one_value *acc = (one_value *)(groups[r] + offset);                                      \
        if (!(args[0].null[r] && ignores_nulls) && (is_latest || acc->held == HELD_NOTHING)) {   \
            acc->number = number;                                                                \
            if (args[0].null[r]) {                                                               \
                one_set_null(x->slab, acc);                                                      \
            } else {                                                                             \
                store;                                                                           \
            }                                                                                    \
        }                                                                                        \
        number++;                                                                                \
        if (running != NULL) one_show(c, x, acc, running, r);                                    \
    }
#define STORE_FIXED(size) (memcpy(acc->fixed, (const char *)args[0].any + r * (size), size), acc->held = HELD_FIXED)
#define STORE_TAIL                                                                     \
    if (acc->held != HELD_TAIL) acc->tail = (tail){ 0 };                               \
    acc->held = HELD_TAIL;                                                             \
    tail_set(x->slab, &acc->tail, kept_bytes(x->eval->arena, &args[0], r))

#define ONE_STEP(name, is_latest)                                                                                \
    static void name(const call *c, agg_context *x, char *const *groups, uint32_t offset, const column *args,    \
                     row_set rows, column *running)                                                              \
    {                                                                                                            \
        bool ignores_nulls = ((const offset_options *)c->state)->ignores_nulls;                                  \
        uint64_t number = take_numbers(rows.count);                                                              \
        const type *t = c->arg_types[0];                                                                         \
        switch (held_as(t) == HELD_FIXED ? column_element_bytes(t) : 0) {                                        \
        case 1: ONE_LOOP(is_latest, STORE_FIXED(1)) break;                                                       \
        case 4: ONE_LOOP(is_latest, STORE_FIXED(4)) break;                                                       \
        case 8: ONE_LOOP(is_latest, STORE_FIXED(8)) break;                                                       \
        case 16: ONE_LOOP(is_latest, STORE_FIXED(16)) break;                                                     \
        default: ONE_LOOP(is_latest, STORE_TAIL)                                                                 \
        }                                                                                                        \
    }

ONE_STEP(latest_step, true)
ONE_STEP(earliest_step, false)

static void one_copy(agg_context *x, one_value *into, const one_value *from)
{
    if (from->held == HELD_TAIL) {
        if (into->held != HELD_TAIL) into->tail = (tail){ 0 };
        tail_set(x->slab, &into->tail, tail_slice(&from->tail));
    } else {
        if (into->held == HELD_TAIL) tail_drop(x->slab, &into->tail);
        memcpy(into->fixed, from->fixed, sizeof into->fixed);
    }
    into->held = from->held;
    into->number = from->number;
}

AGG_MERGE(latest_merge, one_value,
          if (from->held != HELD_NOTHING && (into->held == HELD_NOTHING || from->number > into->number)) {
              one_copy(x, into, from);
          })
AGG_MERGE(earliest_merge, one_value,
          if (from->held != HELD_NOTHING && (into->held == HELD_NOTHING || from->number < into->number)) {
              one_copy(x, into, from);
          })
AGG_RESULT(one_result, one_value, one_show(c, x, acc, out, r))

static void one_encode(const call *c, const void *acc, text *out)
{
    const one_value *one = acc;

    text_add_char(out, (char)one->held);
    text_add_varint(out, one->number);
    if (one->held == HELD_FIXED) text_add(out, (slice){ one->fixed, column_element_bytes(c->arg_types[0]) });
    if (one->held == HELD_TAIL) tail_encode(&one->tail, out);
}

static bool one_decode(const call *c, slab *s, struct reader_bytes *in, void *acc)
{
    one_value *one = acc;
    const type *t = c->arg_types[0];

    *one = (one_value){ .held = HELD_NOTHING };
    uint8_t is_held = read_u8(in);
    one->number = read_varint(in);
    if (in->bad || (is_held > HELD_NULL && is_held != held_as(t))) return false; /* damaged */
    numbers_seen(one->number);
    if (is_held == HELD_FIXED) {
        const char *fixed = read_bytes(in, column_element_bytes(t));
        if (fixed == NULL) return false;
        memcpy(one->fixed, fixed, column_element_bytes(t));
    }
    if (is_held == HELD_TAIL && (!tail_decode(s, in, &one->tail) || one->tail.data == NULL)) return false;
    one->held = is_held;
    return true;
}

static void one_drop(const call *c, slab *s, void *acc)
{
    one_value *one = acc;

    (void)c;
    if (one->held == HELD_TAIL) tail_drop(s, &one->tail);
    one->held = HELD_NOTHING;
}

static uint32_t one_tail_bytes(const call *c, const void *acc)
{
    const one_value *one = acc;

    (void)c;
    return one->held == HELD_TAIL ? one->tail.held : 0;
}

/* ---- N values ---- */

static void keep_latest(const call *c, agg_context *x, bag *acc, const column *arg, uint32_t r, uint64_t number)
{
    const offset_options *o = c->state;
    bag_item first = BAG_START;

    if (arg->null[r] && o->ignores_nulls) return;
    if (!bag_insert(x->slab, acc, acc->len, number, kept_bytes(x->eval->arena, arg, r))) {
        agg_stop(x, acc, "the values LATEST_BY_OFFSET keeps pass 256 MiB");
    }
    if (acc->count > o->most && bag_next(acc, &first)) bag_remove(acc, &first);
}

static void keep_earliest(const call *c, agg_context *x, bag *acc, const column *arg, uint32_t r, uint64_t number)
{
    const offset_options *o = c->state;

    if (acc->count >= o->most || (arg->null[r] && o->ignores_nulls)) return;
    if (!bag_insert(x->slab, acc, acc->len, number, kept_bytes(x->eval->arena, arg, r))) {
        agg_stop(x, acc, "the values EARLIEST_BY_OFFSET keeps pass 256 MiB");
    }
}

static void list_show(const call *c, agg_context *x, const bag *acc, column *out, uint32_t r)
{
    out->null[r] = 0;
    out->nested[r] = bag_list(x->eval->arena, c->result->element, acc);
}

#define LIST_STEP(name, keep)                                                                                    \
    static void name(const call *c, agg_context *x, char *const *groups, uint32_t offset, const column *args,    \
                     row_set rows, column *running)                                                              \
    {                                                                                                            \
        uint64_t number = take_numbers(rows.count);                                                              \
        EACH_ROW(r, rows)                                                                                        \
        {                                                                                                        \
            bag *acc = (bag *)(groups[r] + offset);                                                              \
            STOPPABLE(keep(c, x, acc, &args[0], r, number++));                                                   \
            if (running != NULL) list_show(c, x, acc, running, r);                                               \
        }                                                                                                        \
    }

LIST_STEP(latest_list_step, keep_latest)
LIST_STEP(earliest_list_step, keep_earliest)
AGG_RESULT(list_result, bag, list_show(c, x, acc, out, r))

/* Both in order of their numbers, then cut at the end that does not count. */
static void merge_lists(const call *c, agg_context *x, void *into_, const void *from_, bool is_latest)
{
    const offset_options *o = c->state;
    bag *into = into_;
    bag_item theirs = BAG_START;

    while (bag_next(from_, &theirs)) {
        bag_item ours = BAG_START;
        uint32_t at = into->len;
        while (bag_next(into, &ours)) {
            if (ours.number > theirs.number) {
                at = ours.at;
                break;
            }
        }
        if (!bag_insert(x->slab, into, at, theirs.number, theirs.bytes)) {
            agg_stop(x, into, "the values %s keeps pass 256 MiB", c->fn->name);
            return;
        }
    }
    while (into->count > o->most) {
        bag_item out = BAG_START, last = BAG_START;
        while (bag_next(into, &out)) {
            last = out;
            if (is_latest) break;
        }
        bag_remove(into, &last);
    }
}

static void latest_list_merge(const call *c, agg_context *x, void *into, const void *from)
{
    merge_lists(c, x, into, from, true);
}

static void earliest_list_merge(const call *c, agg_context *x, void *into, const void *from)
{
    merge_lists(c, x, into, from, false);
}

static bool list_decode(const call *c, slab *s, struct reader_bytes *in, void *acc)
{
    bag_item item = BAG_START;

    if (!bag_agg_decode(c, s, in, acc)) return false;
    while (bag_next(acc, &item)) numbers_seen(item.number);
    return true;
}

#define ONE(name)                                                                                                \
    static const aggregate name = { .bytes = sizeof(one_value), .step = name##_step, .merge = name##_merge,      \
                                    .result = one_result, .encode = one_encode, .decode = one_decode,            \
                                    .drop = one_drop, .tail_bytes = one_tail_bytes };
#define LIST(name)                                                                                               \
    static const aggregate name = { .bytes = sizeof(bag), .step = name##_step, .merge = name##_merge,            \
                                    .result = list_result, .encode = bag_agg_encode, .decode = list_decode,      \
                                    .drop = bag_agg_drop, .tail_bytes = bag_agg_tail_bytes };
ONE(latest)
ONE(earliest)
LIST(latest_list)
LIST(earliest_list)

#define OFFSET_ROWS(name, one, list, sentence)                                                                 \
    AGGREGATE(name, "T", "T", NULL_SEEN, one, sentence, .prepare = prepare_offset, .example = name "(url)"),    \
        AGGREGATE(name, "T, BOOLEAN", "T", NULL_SEEN, one, sentence, .prepare = prepare_offset,                \
                  .example = name "(url, false)"),                                                             \
        AGGREGATE(name, "T, INTEGER", "ARRAY<T>", NULL_SEEN, list, sentence, .prepare = prepare_offset,        \
                  .example = name "(url, 2)"),                                                                 \
        AGGREGATE(name, "T, INTEGER, BOOLEAN", "ARRAY<T>", NULL_SEEN, list, sentence, .prepare = prepare_offset)

static const function ROWS[] = {
    OFFSET_ROWS("LATEST_BY_OFFSET", latest, latest_list,
                "The value that came last, or the last N as an array; nulls are ignored unless told otherwise."),
    OFFSET_ROWS("EARLIEST_BY_OFFSET", earliest, earliest_list,
                "The value that came first, or the first N as an array; nulls are ignored unless told otherwise."),
};
const function_family offset_family = FAMILY_ROWS(ROWS);
