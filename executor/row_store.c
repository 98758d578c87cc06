/* executor/row_store.c - see row_store.h. */
#include "executor/row_store.h"

#include "executor/key.h"

typedef struct kept_row { /* the payload: packed, in the slab */
    char *bytes;
    uint32_t len;
} __attribute__((aligned(16))) kept_row;

static void row_encode(void *self, const void *payload, text *out)
{
    const kept_row *row = payload;

    (void)self;
    text_add(out, (slice){ row->bytes, row->len });
}

static void keep(slab *memory, kept_row *row, slice bytes)
{
    if (row->bytes == NULL || slab_usable(row->len) != slab_usable(bytes.len)) {
        slab_free(memory, row->bytes, row->len);
        row->bytes = slab_alloc(memory, bytes.len);
    }
    memcpy(row->bytes, bytes.data, bytes.len);
    row->len = (uint32_t)bytes.len;
}

static bool row_decode(void *self, reader_bytes *in, void *payload)
{
    keep(((row_store *)self)->memory, payload, (slice){ in->at, (size_t)(in->end - in->at) });
    in->at = in->end;
    return true;
}

static void row_drop(void *self, void *payload)
{
    kept_row *row = payload;

    slab_free(((row_store *)self)->memory, row->bytes, row->len);
    row->bytes = NULL;
}

weir_rc row_store_open(row_store *s, const task *t, uint16_t store, const schema *schema, weir_error *err)
{
    const payload_class class = { s, sizeof(kept_row), NULL, row_encode, row_decode, row_drop };

    s->memory = t->memory;
    s->schema = schema;
    s->table = state_table_new(t->state, store, &class, t->memory, t->shared->state_budget_bytes);
    return state_table_open(s->table, err);
}

void row_store_close(row_store *s)
{
    state_table_free(s->table);
    text_free(&s->scratch);
}

weir_rc row_store_find(row_store *s, slice key, slice *packed, weir_error *err)
{
    entry *e;

    *packed = NO_SLICE;
    WEIR_TRY(state_table_find(s->table, key, false, &e, err));
    if (e == NULL) return WEIR_OK;
    const kept_row *row = entry_payload(e);
    *packed = (slice){ row->bytes, row->len };
    return WEIR_OK;
}

weir_rc row_store_write(row_store *s, slice key, const batch *in, uint32_t r, weir_error *err)
{
    bool is_delete = in->kind[r] == ROW_TOMBSTONE;
    entry *e;

    WEIR_TRY(state_table_find(s->table, key, !is_delete, &e, err));
    if (is_delete) {
        if (e != NULL) state_table_delete(s->table, e);
        return WEIR_OK;
    }
    text_clear(&s->scratch);
    row_pack(&s->scratch, in, r, s->schema);
    keep(s->memory, entry_payload(e), text_slice(&s->scratch));
    state_table_touch(s->table, e);
    return WEIR_OK;
}

weir_rc row_store_forget(row_store *s, weir_error *err)
{
    state_table_forget(s->table);
    return state_table_open(s->table, err);
}

/* ---- packed rows ---- */

void row_pack(text *out, const batch *in, uint32_t r, const schema *s)
{
    text_add_u64(out, (uint64_t)in->event_ms[r]);
    text_add_u64(out, in->window_end == NULL ? 0 : (uint64_t)in->window_end[r]);
    for (uint32_t i = s->key_count; i < s->count; i++) {
        value v = in->columns[i].null == NULL ? NULL_VALUE : column_get(&in->columns[i], r);
        value_encode(out, s->columns[i].type, &v);
    }
}

bool row_unpack(slice packed, const schema *s, column *values, uint32_t r, arena *a, int64_t *event_ms, int64_t *window_end)
{
    reader_bytes in = read_from(packed);

    *event_ms = (int64_t)read_u64(&in);
    *window_end = (int64_t)read_u64(&in);
    for (uint32_t i = s->key_count; i < s->count; i++) {
        value v;
        if (!value_decode(&in, s->columns[i].type, a, &v)) return false;
        column_set(&values[i - s->key_count], r, &v);
    }
    return !in.bad;
}

int64_t row_event_ms(slice packed)
{
    return (int64_t)get_u64(packed.data);
}

bool row_unpack_copy(slice packed, const schema *s, batch *out, uint32_t r)
{
    int64_t window_end;

    if (!row_unpack(arena_copy(out->arena, packed), s, out->columns + s->key_count, r, out->arena, &out->event_ms[r], &window_end)) {
        return false;
    }
    if (out->window_end != NULL) out->window_end[r] = window_end;
    return true;
}

slice state_key(const batch *in, uint32_t r, slice key, window_kind windowed)
{
    size_t bounds = windowed == WINDOW_SESSION ? 16 : 8;

    if (key.data == NULL || in->window_start == NULL || windowed == WINDOW_NONE) return key;
    char *bytes = arena_alloc(in->arena, key.len + bounds);
    put_window_start(bytes, in->window_start[r]);
    if (windowed == WINDOW_SESSION) put_window_start(bytes + 8, in->window_end[r]);
    if (key.len > 0) memcpy(bytes + bounds, key.data, key.len);
    return (slice){ bytes, key.len + bounds };
}
