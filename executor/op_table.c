/* executor/op_table.c - keeps the last row of each key: a table that no other state stands for. It also knows each row's
 * former value. Versioned: answers of a foreign-key join come from several tasks, and one that was overtaken by a later change of
 * the left row is dropped. So the version of a key is kept when its row goes, until every one of those tasks has told that no
 * older answer will come. */
#include "executor/key.h"
#include "executor/op_join.h"
#include "executor/row_store.h"

#define VERSION_STORE(store) ((uint16_t)((store) | 0x4000))

typedef struct table_op {
    op base;
    row_store rows;
    state_table *versions; /* NULL: not versioned */
    uint32_t tasks;        /* that answer */
} table_op;

typedef struct version { /* the payload */
    int64_t number;
    bool is_set;
    uint32_t last_answers; /* how many have told of the row's end */
} __attribute__((aligned(16))) version;

static void version_encode(void *self, const void *payload, text *out)
{
    (void)self;
    text_add_u64(out, (uint64_t)((const version *)payload)->number);
    text_add_varint(out, ((const version *)payload)->last_answers);
}

static bool version_decode(void *self, reader_bytes *in, void *payload)
{
    (void)self;
    ((version *)payload)->number = (int64_t)read_u64(in);
    ((version *)payload)->last_answers = (uint32_t)read_varint(in);
    return !in->bad;
}

static weir_rc table_open(op *self, weir_error *err)
{
    table_op *t = (table_op *)self;
    task *in = self->task;
    const payload_class class = { t, sizeof(version), NULL, version_encode, version_decode, NULL };

    WEIR_TRY(row_store_open(&t->rows, in, (uint16_t)self->step->id, &self->step->schema, err));
    if (!self->step->table.is_versioned) return WEIR_OK;
    t->tasks = in->shared->is_transient ? 1 : task_upstreams(self);
    t->versions = state_table_new(in->state, VERSION_STORE(self->step->id), &class, in->memory, in->shared->state_budget_bytes);
    return state_table_open(t->versions, err);
}

/* Whether a later change of the key has been seen, or its end from another task; else this is the latest. */
static weir_rc is_overtaken(table_op *t, const batch *in, uint32_t r, slice key, bool *overtaken, weir_error *err)
{
    entry *e;

    *overtaken = false;
    if (t->versions == NULL || in->row_offset == NULL) return WEIR_OK;
    WEIR_TRY(state_table_find(t->versions, key, true, &e, err));
    version *latest = entry_payload(e);
    bool is_last = in->row_partition != NULL && in->row_partition[r] == ANSWER_LAST, is_known = e->is_stored || latest->is_set;
    *overtaken = is_known && in->row_offset[r] < latest->number;
    if (*overtaken || (is_known && in->row_offset[r] == latest->number && !is_last)) return WEIR_OK;
    if (!is_known || in->row_offset[r] != latest->number) latest->last_answers = 0;
    *overtaken = is_last && latest->last_answers > 0;
    latest->last_answers += is_last;
    latest->number = in->row_offset[r];
    latest->is_set = true;
    if (latest->last_answers == t->tasks) {
        state_table_delete(t->versions, e);
    } else {
        state_table_touch(t->versions, e);
    }
    return WEIR_OK;
}

static weir_rc table_batch(op *self, batch *in, weir_error *err)
{
    table_op *t = (table_op *)self;
    const schema *s = &self->step->schema;
    arena *a = in->arena;
    slice *keys = ARENA_ARRAY(a, slice, in->rows);
    uint32_t *index = ARENA_ARRAY(a, uint32_t, in->live.count), count = 0;
    batch *old = batch_new(a, s, in->rows, in->window_start != NULL);

    keys_encode(in->columns, s->key_count, in->live, in->rows, a, keys);
    for (uint32_t i = 0; i < s->key_count; i++) old->columns[i] = in->columns[i];
    old->window_start = in->window_start;
    if (in->window_start != NULL) old->window_end = in->window_end;
    EACH_ROW (r, in->live) {
        /* Of sessions the end is in the row: a session that grew was deleted under its former bounds. */
        slice key = state_key(in, r, keys[r], WINDOW_TUMBLING), last;
        bool overtaken;
        if (key.data == NULL) continue; /* a table's row must have a key */
        WEIR_TRY(is_overtaken(t, in, r, key, &overtaken, err));
        if (overtaken) continue;
        WEIR_TRY(row_store_find(&t->rows, key, &last, err));
        old->kind[r] = last.data != NULL && row_unpack_copy(last, s, old, r) ? ROW_NORMAL : ROW_TOMBSTONE;
        WEIR_TRY(row_store_write(&t->rows, key, in, r, err));
        index[count++] = r;
    }
    in->live = (row_set){ index, count };
    in->old = old;
    return op_emit(self, in, err);
}

static void table_seal(op *self, arena *a, change_list *changes)
{
    table_op *t = (table_op *)self;

    state_table_seal(t->rows.table, a, changes);
    if (t->versions != NULL) state_table_seal(t->versions, a, changes);
}

static void table_committed(op *self)
{
    table_op *t = (table_op *)self;

    state_table_committed(t->rows.table);
    if (t->versions != NULL) state_table_committed(t->versions);
}

static weir_rc table_forget(op *self, weir_error *err)
{
    table_op *t = (table_op *)self;

    WEIR_TRY(row_store_forget(&t->rows, err));
    if (t->versions == NULL) return WEIR_OK;
    state_table_forget(t->versions);
    return state_table_open(t->versions, err);
}

static size_t table_dirty_bytes(const op *self)
{
    return state_table_dirty_bytes(((const table_op *)self)->rows.table);
}

static size_t table_state_bytes(const op *self)
{
    return state_table_bytes(((const table_op *)self)->rows.table);
}

static void table_close(op *self)
{
    row_store_close(&((table_op *)self)->rows);
    state_table_free(((table_op *)self)->versions);
}

const op_class op_table = { .name = "Table", .open = table_open, .batch = table_batch, .seal = table_seal,
                            .committed = table_committed, .forget = table_forget, .dirty_bytes = table_dirty_bytes,
                            .state_bytes = table_state_bytes, .close = table_close };
