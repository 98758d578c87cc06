/* executor/agg_list.c - see agg_list.h. */
#include "executor/agg_list.h"

#include "core/json.h"
#include "core/packed.h"
#include "core/utf8.h"

#include <stdlib.h>

static uint32_t accumulator_bytes(const call *c)
{
    const aggregate *agg = c->fn->agg;
    uint32_t bytes = agg->bytes_of != NULL ? agg->bytes_of(c) : agg->bytes;

    return (bytes + 15) & ~15u;
}

/* Without tails: it is what it is in memory. */
static bool is_plain(const call *c)
{
    return c->fn->agg->encode == NULL;
}

/* The results as last emitted, packed, in the slab. */
typedef struct last_results {
    char *bytes; /* NULL: none */
    uint32_t len;
} last_results;

static last_results *last_of(const agg_list *l, const group *g)
{
    return (last_results *)((char *)g + l->last_offset);
}

static void place_accumulators(agg_list *l, bool plain)
{
    for (uint32_t i = 0; i < l->count; i++) {
        if (is_plain(l->calls[i].call) != plain) continue;
        l->offsets[i] = l->bytes;
        l->bytes += accumulator_bytes(l->calls[i].call);
    }
}

void agg_list_open(agg_list *l, task *t, const step *s, bool keeps_last, arena *a)
{
    *l = (agg_list){ .task = t, .calls = s->aggregate.calls, .count = s->aggregate.call_count, .bytes = sizeof(group),
                     .out = &s->schema, .key_count = s->schema.key_count, .keeps_last = keeps_last,
                     .context = { .eval = &t->eval.context, .slab = t->memory } };
    l->offsets = ARENA_ARRAY(a, uint32_t, l->count);
    place_accumulators(l, true);
    l->plain_words = (l->bytes - (uint32_t)sizeof(group)) / 8;
    place_accumulators(l, false);
    l->last_offset = l->bytes;
    if (keeps_last) l->bytes += sizeof(last_results);
}

column **agg_list_args(agg_list *l, task *t, const batch *in, row_set rows)
{
    column **args = ARENA_ARRAY(in->arena, column *, l->count);

    for (uint32_t i = 0; i < l->count; i++) {
        uint32_t count = l->calls[i].call->arg_count;
        args[i] = ARENA_ARRAY(in->arena, column, count);
        for (uint32_t k = 0; k < count; k++) eval_column(&t->eval, l->calls[i].args[k], in, rows, &args[i][k]);
    }
    return args;
}

/* Behind each call: notes which one it was, while its group is there. */
static bool has_stopped(agg_list *l, uint32_t index, uint32_t row)
{
    if (!l->context.stop) return false;
    if (l->context.stopped != NULL) {
        l->stopped_call = index;
        l->stopped_row = row;
        l->stopped_ms = ((const group *)((const char *)l->context.stopped - l->offsets[index]))->event_ms;
        l->context.stopped = NULL;
    }
    return true;
}

static bool has_stopped_at(agg_list *l, uint32_t index, const agg_input *from)
{
    uint32_t place = l->context.stopped_row;

    return has_stopped(l, index, l->context.stopped == NULL || from->source == NULL ? place : from->source[place]);
}

#define SHOWN_KEY_BYTES_MAX 100

/* The row's key, as its group has it, and its record where it comes straight from one. */
static void print_row(text *out, const agg_list *l, const batch *in, uint32_t row)
{
    const fetch *records = l->task->current;
    text shown = TEXT_EMPTY;
    uint32_t record;

    for (uint32_t k = 0; k < l->key_count; k++) {
        value v = column_get(&in->columns[k], row);
        text_clear(&shown);
        print_json_value(&shown, in->columns[k].type, &v);
        slice some = utf8_beginning(text_slice(&shown), SHOWN_KEY_BYTES_MAX);
        text_printf(out, "%s`%.*s` = %.*s%s", k == 0 ? " for " : ", ", SLICE_ARG(l->out->columns[k].name), SLICE_ARG(some),
                    some.len < shown.len ? "..." : "");
    }
    text_free(&shown);
    if (task_find_record(l->task, in->row_offset, row, &record)) {
        text_printf(out, " at topic %.*s, partition %d, offset %lld", SLICE_ARG(l->task->current_topic), records->partition,
                    (long long)records->offset[record]);
    }
}

static weir_rc fail_stopped(const agg_list *l, const batch *in, weir_error *err)
{
    const value stopped = { .i64 = l->stopped_ms };
    const char *ignored;
    value time = { .str = NO_SLICE };
    text row = TEXT_EMPTY;

    (void)cast_value(l->context.eval->arena, &type_timestamp, &type_string, &stopped, &time, &ignored);
    print_row(&row, l, in, l->stopped_row);
    weir_rc rc = weir_fail(err, WEIR_RUNTIME, NOWHERE, "%.*s cannot go on%.*s: %s; the latest record of its group is of %.*s",
                           SLICE_ARG(l->calls[l->stopped_call].sql), SLICE_ARG(text_slice(&row)), l->context.reason,
                           SLICE_ARG(time.str));
    text_free(&row);
    return rc;
}

weir_rc agg_list_step(agg_list *l, const agg_input *from, char *const *groups, column **args, row_set rows, column *running,
                      weir_error *err)
{
    for (uint32_t i = 0; i < l->count; i++) {
        const call *c = l->calls[i].call;
        c->fn->agg->step(c, &l->context, groups, l->offsets[i], args[i], rows, running == NULL ? NULL : &running[i]);
        if (has_stopped_at(l, i, from)) return fail_stopped(l, from->in, err);
    }
    return WEIR_OK;
}

weir_rc agg_list_undo(agg_list *l, const agg_input *from, char *const *groups, column **args, row_set rows, column *running,
                      weir_error *err)
{
    for (uint32_t i = 0; i < l->count; i++) {
        const call *c = l->calls[i].call;
        c->fn->agg->undo(c, &l->context, groups, l->offsets[i], args[i], rows, running == NULL ? NULL : &running[i]);
        if (has_stopped_at(l, i, from)) return fail_stopped(l, from->in, err);
    }
    return WEIR_OK;
}

void agg_list_results(agg_list *l, char *const *groups, row_set rows, column *out)
{
    for (uint32_t i = 0; i < l->count; i++) {
        const call *c = l->calls[i].call;
        c->fn->agg->result(c, &l->context, groups, l->offsets[i], rows, &out[i]);
    }
}

void agg_list_merge(agg_list *l, char *into, const char *from, uint32_t row)
{
    group *to = (group *)into;
    const group *other = (const group *)from;

    if (other->event_ms > to->event_ms) to->event_ms = other->event_ms;
    for (uint32_t i = 0; i < l->count; i++) {
        const call *c = l->calls[i].call;
        c->fn->agg->merge(c, &l->context, into + l->offsets[i], from + l->offsets[i]);
        (void)has_stopped(l, i, row);
    }
}

/* ---- as payload ---- */

payload_class group_class(agg_list *l)
{
    bool has_tails = l->keeps_last || sizeof(group) + 8 * (size_t)l->plain_words < l->bytes;

    return (payload_class){ l, l->bytes, group_init, group_encode, group_decode, has_tails ? group_drop : NULL };
}

void group_init(void *list, void *payload)
{
    agg_list *l = list;

    ((group *)payload)->event_ms = INT64_MIN;
    for (uint32_t i = 0; i < l->count; i++) {
        const call *c = l->calls[i].call;
        if (c->fn->agg->init != NULL) c->fn->agg->init(c, (char *)payload + l->offsets[i]);
    }
}

enum { GROUP_EMITTED = 1, GROUP_FINAL = 2, GROUP_LAST = 4 };

void group_encode(void *list, const void *payload, text *out)
{
    agg_list *l = list;
    const group *g = payload;
    slice last = group_last(l, g);

    text_add_char(out, (char)((g->is_emitted ? GROUP_EMITTED : 0) | (g->is_final ? GROUP_FINAL : 0) |
                              (last.data != NULL ? GROUP_LAST : 0)));
    if (last.data != NULL) {
        text_add_varint(out, last.len);
        text_add(out, last);
    }
    text_add_varint(out, zigzag(g->event_ms));
    text_add_packed(out, g + 1, l->plain_words);
    for (uint32_t i = 0; i < l->count; i++) {
        const call *c = l->calls[i].call;
        if (!is_plain(c)) c->fn->agg->encode(c, (const char *)payload + l->offsets[i], out);
    }
}

static void remember_bytes(agg_list *l, group *g, slice packed)
{
    last_results *last = last_of(l, g);

    if (last->bytes == NULL || slab_usable(last->len) < packed.len || slab_usable(packed.len) < slab_usable(last->len)) {
        slab_free(l->context.slab, last->bytes, last->len);
        last->bytes = slab_alloc(l->context.slab, packed.len);
    }
    memcpy(last->bytes, packed.data, packed.len);
    last->len = (uint32_t)packed.len;
}

slice group_last(const agg_list *l, const group *g)
{
    return l->keeps_last ? (slice){ last_of(l, g)->bytes, last_of(l, g)->len } : NO_SLICE;
}

void group_forget_last(agg_list *l, group *g)
{
    if (!l->keeps_last) return;
    last_results *last = last_of(l, g);
    slab_free(l->context.slab, last->bytes, last->len);
    *last = (last_results){ NULL, 0 };
}

bool group_decode(void *list, reader_bytes *in, void *payload)
{
    agg_list *l = list;
    group *g = payload;
    uint8_t flags = read_u8(in);

    group_init(list, payload);
    g->is_emitted = flags & GROUP_EMITTED;
    g->is_final = flags & GROUP_FINAL;
    if (flags & GROUP_LAST) {
        slice packed = read_slice(in);
        if (!in->bad && packed.len > 0 && l->keeps_last) remember_bytes(l, g, packed);
    }
    g->event_ms = read_zigzag(in);
    read_packed(in, g + 1, l->plain_words);
    for (uint32_t i = 0; i < l->count && !in->bad; i++) {
        const call *c = l->calls[i].call;
        if (!is_plain(c) && !c->fn->agg->decode(c, l->context.slab, in, (char *)payload + l->offsets[i])) in->bad = true;
    }
    if (in->bad) group_drop(list, payload);
    return !in->bad;
}

void group_drop(void *list, void *payload)
{
    agg_list *l = list;

    group_forget_last(l, payload);
    for (uint32_t i = 0; i < l->count; i++) {
        const call *c = l->calls[i].call;
        if (c->fn->agg->drop != NULL) c->fn->agg->drop(c, l->context.slab, (char *)payload + l->offsets[i]);
    }
}

void group_remember(agg_list *l, group *g, const column *results, uint32_t row)
{
    text packed = TEXT_EMPTY;

    for (uint32_t i = 0; i < l->count; i++) {
        value v = column_get(&results[i], row);
        value_encode(&packed, results[i].type, &v);
    }
    if (packed.len == 0) text_add_char(&packed, 0);
    remember_bytes(l, g, text_slice(&packed));
    text_free(&packed);
}

bool group_recall(agg_list *l, slice last, column *results, uint32_t row, arena *a)
{
    if (last.data == NULL) return false;
    slice packed = arena_copy(a, last); /* the values outlive the next remember */
    reader_bytes in = read_from(packed);
    for (uint32_t i = 0; i < l->count; i++) {
        value v;
        if (!value_decode(&in, results[i].type, a, &v)) return false;
        column_set(&results[i], row, &v);
    }
    return true;
}
