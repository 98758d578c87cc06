/* executor/store_reader.c - see store_reader.h. Partition after partition: all entries, or only those of the keys asked for;
 * of windows by start, each key is looked for in each window there is, skipping from one to the next. */
#include "executor/store_reader.h"

#include "core/hash.h"
#include "executor/agg_list.h"
#include "executor/key.h"
#include "executor/row_store.h"

#include <stdlib.h>

#define SNAPSHOT_MS_MAX 5000
#define RESUMED_KEY_BYTES_MAX 256 /* longer ones need not be in order (state_lmdb.h): their scan keeps its snapshot */

typedef struct found_row {
    slice key; /* without window; in the batch arena */
    int64_t start_ms, end_ms;
    char *group;
    slice packed; /* of a TABLE */
} found_row;

struct store_reader {
    const step *of;
    const lookup *lookup;
    column key_column;    /* of a reader that looks up one key after another */
    arena *key_arena;
    bool has_looked_again;
    slice range_from, range_to; /* of the key; absent: open */
    bool closed_only, is_windowed, is_session;
    task *task;
    storage *storage;
    slice name;           /* of the state */
    snapshot *snapshot;   /* NULL: let go of, in the midst of a scan */
    bool may_renew;
    int64_t opened_ms;
    text last_key;        /* of the scan; in partition held_at when there is no snapshot */
    int32_t held_at;
    const int32_t *partitions;
    uint32_t partition_count, partition_at;
    uint32_t partition_first; /* of a lone key: where it most likely is */
    state_cursor *cursor; /* of a scan under way */
    slice *keys;          /* asked for; NULL: scan */
    uint32_t key_at;
    agg_list aggs;
    found_row *rows;
    uint32_t row_count, row_room;
};

static int32_t partition_of(const store_reader *r)
{
    return r->partitions[(r->partition_first + r->partition_at) % r->partition_count];
}

/* A bare text is what the Kafka format writes, so that its hash tells where a producer would have put it. */
static void guess_partition(store_reader *r)
{
    bool is_lone = r->keys != NULL && r->lookup->key_count == 1 && r->keys[0].data != NULL && r->partition_count > 1;

    r->partition_first = is_lone ? (uint32_t)partition_for_key(r->keys[0], (int32_t)r->partition_count) : 0;
}

static bool is_aggregate(const store_reader *r)
{
    return r->of->kind == STEP_AGGREGATE;
}

static void encode_lookup_keys(store_reader *r)
{
    uint32_t width = r->of->schema.key_count;
    arena *a = r->task->plan_arena;
    column *columns = ARENA_ARRAY(a, column, width);

    r->keys = ARENA_ARRAY(a, slice, r->lookup->key_count + 1);
    for (uint32_t i = 0; i < width; i++) columns[i] = column_new(a, r->of->schema.columns[i].type, r->lookup->key_count + 1);
    for (uint32_t k = 0; k < r->lookup->key_count; k++) {
        for (uint32_t i = 0; i < width; i++) column_set(&columns[i], k, &r->lookup->key_values[k * width + i]);
    }
    keys_encode(columns, width, (row_set){ NULL, r->lookup->key_count }, r->lookup->key_count + 1, a, r->keys);
}

/* Key bytes sort as keys do, and a lone key with a zero byte behind it is the next one there can be. */
static slice encode_end(const store_reader *r, const value *v, bool is_behind)
{
    arena *a = r->task->plan_arena;
    column c = column_new(a, r->of->schema.columns[0].type, 1);
    slice key;

    if (v == NULL) return NO_SLICE;
    column_set(&c, 0, v);
    keys_encode(&c, 1, (row_set){ NULL, 1 }, 1, a, &key);
    if (!is_behind) return key;
    char *longer = arena_zero(a, key.len + 1);
    memcpy(longer, key.data, key.len);
    return (slice){ longer, key.len + 1 };
}

static weir_rc open_snapshot(store_reader *r, weir_error *err)
{
    r->opened_ms = clock_monotonic_ms(r->task->shared->clock);
    WEIR_TRY(snapshot_open(&r->snapshot, r->storage, r->name, err));
    return snapshot_partitions(r->snapshot, &r->partitions, &r->partition_count, err);
}

static weir_rc open_scan(store_reader *r, weir_error *err);

weir_rc store_reader_open(store_reader **out, storage *s, const step *snapshot_step, bool closed_only, task *t, weir_error *err)
{
    store_reader *r = ARENA_NEW(t->plan_arena, store_reader);
    const step *of = snapshot_step->snapshot.of;

    r->of = of;
    r->lookup = &snapshot_step->snapshot.lookup;
    r->closed_only = closed_only;
    r->task = t;
    r->is_session = of->kind == STEP_AGGREGATE && of->aggregate.window.kind == WINDOW_SESSION;
    r->is_windowed = of->windowed != WINDOW_NONE;
    if (of->kind == STEP_AGGREGATE) agg_list_open(&r->aggs, t, of, of->wants_old, t->plan_arena);
    if (r->lookup->key_values != NULL) encode_lookup_keys(r);
    r->range_from = encode_end(r, r->lookup->key_min, r->lookup->key_min_excluded);
    r->range_to = encode_end(r, r->lookup->key_max, !r->lookup->key_max_excluded);
    r->storage = s;
    r->name = arena_printf(t->plan_arena, "%.*s/%u", SLICE_ARG(snapshot_step->snapshot.state_name), snapshot_step->snapshot.subtopology);
    *out = r;
    return open_snapshot(r, err);
}

void store_reader_may_renew(store_reader *r)
{
    r->may_renew = r->keys == NULL;
}

void store_reader_hold(store_reader *r)
{
    bool is_old = clock_monotonic_ms(r->task->shared->clock) - r->opened_ms >= SNAPSHOT_MS_MAX;

    if (!r->may_renew || !is_old || r->snapshot == NULL || r->partition_at == r->partition_count) return;
    if (r->cursor == NULL) text_clear(&r->last_key);
    else if (r->last_key.len == 0 || r->last_key.len > RESUMED_KEY_BYTES_MAX) return;
    r->held_at = partition_of(r);
    state_cursor_close(r->cursor);
    r->cursor = NULL;
    snapshot_close(r->snapshot);
    r->snapshot = NULL;
}

/* Behind the last key that was read before. */
static weir_rc go_on(store_reader *r, weir_error *err)
{
    WEIR_TRY(open_snapshot(r, err));
    for (r->partition_at = 0; r->partition_at < r->partition_count && r->partitions[r->partition_at] != r->held_at;) r->partition_at++;
    if (r->partition_at == r->partition_count) {
        return weir_fail(err, WEIR_RUNTIME, NOWHERE, "what was being read has gone: the table was dropped, or its partition %d is read and "
                         "written by another process now; run the query again", (int)r->held_at);
    }
    if (r->last_key.len == 0) return WEIR_OK;
    WEIR_TRY(open_scan(r, err));
    text_add_char(&r->last_key, '\0');
    return state_cursor_seek(r->cursor, text_slice(&r->last_key), err);
}

bool store_reader_rest(store_reader *r)
{
    if (!snapshot_pause(r->snapshot)) return false;
    if (r->key_arena == NULL) {
        r->key_arena = arena_new(256);
        r->key_column = column_new(r->task->plan_arena, r->of->schema.columns[0].type, 1);
    }
    return true;
}

weir_rc store_reader_look_up(store_reader *r, const value *key, weir_error *err)
{
    arena_reset(r->key_arena);
    column_set(&r->key_column, 0, key);
    keys_encode(&r->key_column, 1, (row_set){ NULL, 1 }, 1, r->key_arena, r->keys);
    r->key_at = 0;
    r->partition_at = 0;
    r->has_looked_again = false;
    guess_partition(r);
    return snapshot_resume(r->snapshot, err);
}

void store_reader_close(store_reader *r)
{
    if (r == NULL) return;
    arena_free(r->key_arena);
    text_free(&r->last_key);
    state_cursor_close(r->cursor);
    snapshot_close(r->snapshot);
    free(r->rows);
}

/* ---- one entry ---- */

static found_row *add_row(store_reader *r)
{
    if (r->row_count == r->row_room) {
        r->row_room = r->row_room == 0 ? 256 : r->row_room * 2;
        r->rows = realloc(r->rows, r->row_room * sizeof *r->rows);
        if (r->rows == NULL) abort();
    }
    return &r->rows[r->row_count++];
}

static bool read_group(store_reader *r, reader_bytes *in, found_row *row)
{
    row->group = slab_alloc(r->task->memory, r->aggs.bytes);
    memset(row->group, 0, r->aggs.bytes);
    if (group_decode(&r->aggs, in, row->group)) return true;
    slab_free(r->task->memory, row->group, r->aggs.bytes);
    return false;
}

static void drop_group(store_reader *r, char *group)
{
    group_drop(&r->aggs, group);
    slab_free(r->task->memory, group, r->aggs.bytes);
}

static bool is_wanted(const store_reader *r, const found_row *row)
{
    if (r->is_windowed && (row->start_ms < r->lookup->window_start_min || row->start_ms > r->lookup->window_start_max)) return false;
    return !r->closed_only || ((const group *)row->group)->is_final;
}

static bool read_sessions(store_reader *r, slice key, reader_bytes *in)
{
    for (uint64_t count = read_varint(in); count > 0; count--) {
        found_row row = { .key = key, .start_ms = (int64_t)read_u64(in) };
        row.end_ms = (int64_t)read_u64(in);
        (void)read_u64(in); /* the bounds last emitted */
        (void)read_u64(in);
        if (in->bad || !read_group(r, in, &row)) return false;
        if (is_wanted(r, &row)) {
            *add_row(r) = row;
        } else {
            drop_group(r, row.group);
        }
    }
    return true;
}

static weir_rc read_entry(store_reader *r, slice key, slice bytes, weir_error *err)
{
    arena *a = r->task->batch_arena;
    reader_bytes in = read_from(bytes);
    found_row row = { .key = NO_SLICE };
    bool fits = true;

    if (r->is_windowed && !r->is_session) {
        row.start_ms = get_window_start(key.data);
        row.end_ms = row.start_ms + r->of->window_size_ms;
        key = (slice){ key.data + 8, key.len - 8 };
    }
    row.key = arena_copy(a, key);
    if (r->is_session) {
        fits = read_sessions(r, row.key, &in);
    } else if (is_aggregate(r)) {
        fits = read_group(r, &in, &row);
        if (fits && is_wanted(r, &row)) {
            *add_row(r) = row;
        } else if (fits) {
            drop_group(r, row.group);
        }
    } else {
        row.packed = arena_copy(a, bytes);
        *add_row(r) = row;
    }
    if (fits) return WEIR_OK;
    return weir_fail(err, WEIR_STORAGE, NOWHERE, "stored state of step %u cannot be read: it was written by another version, "
                     "or is damaged", r->of->id);
}

/* ---- finding entries ---- */

static weir_rc open_scan(store_reader *r, weir_error *err)
{
    char from[8], to[8];
    slice low = r->range_from, high = r->range_to;

    if (r->is_windowed && !r->is_session) {
        if (r->lookup->window_start_min != INT64_MIN) {
            put_window_start(from, r->lookup->window_start_min);
            low = (slice){ from, 8 };
        }
        if (r->lookup->window_start_max != INT64_MAX) {
            put_window_start(to, r->lookup->window_start_max + 1);
            high = (slice){ to, 8 };
        }
    }
    return snapshot_scan(r->snapshot, partition_of(r), (uint16_t)r->of->id, low, high, &r->cursor, err);
}

static weir_rc scan_some(store_reader *r, uint32_t rows_max, weir_error *err)
{
    slice key, bytes;
    bool more;

    if (r->cursor == NULL) WEIR_TRY(open_scan(r, err));
    while (r->row_count < rows_max) {
        WEIR_TRY(state_cursor_next(r->cursor, &key, &bytes, &more, err));
        if (!more) {
            state_cursor_close(r->cursor);
            r->cursor = NULL;
            r->partition_at++;
            return WEIR_OK;
        }
        text_clear(&r->last_key);
        text_add(&r->last_key, key);
        WEIR_TRY(read_entry(r, key, bytes, err));
    }
    return WEIR_OK;
}

/* One key in every window: seek to the next window there is, then to the key in it. */
static weir_rc find_in_windows(store_reader *r, slice key, weir_error *err)
{
    int64_t at = r->lookup->window_start_min;
    slice there, bytes;
    bool more = true;
    weir_rc rc = WEIR_OK;

    WEIR_TRY(open_scan(r, err));
    while (rc == WEIR_OK && more && at <= r->lookup->window_start_max) {
        char start[8];
        put_window_start(start, at);
        if ((rc = state_cursor_seek(r->cursor, (slice){ start, 8 }, err)) != WEIR_OK) break;
        if ((rc = state_cursor_next(r->cursor, &there, &bytes, &more, err)) != WEIR_OK || !more) break;
        int64_t window = get_window_start(there.data);
        char *whole = arena_alloc(r->task->batch_arena, key.len + 8);
        put_window_start(whole, window);
        memcpy(whole + 8, key.data, key.len);
        if ((rc = state_cursor_seek(r->cursor, (slice){ whole, key.len + 8 }, err)) != WEIR_OK) break;
        if ((rc = state_cursor_next(r->cursor, &there, &bytes, &more, err)) != WEIR_OK || !more) break;
        if (slice_equal(there, (slice){ whole, key.len + 8 })) rc = read_entry(r, there, bytes, err);
        if (window == INT64_MAX) break;
        at = window + 1;
        more = true;
    }
    state_cursor_close(r->cursor);
    r->cursor = NULL;
    return rc;
}

static weir_rc look_up_some(store_reader *r, uint32_t rows_max, weir_error *err)
{
    while (r->row_count < rows_max) {
        if (r->key_at == r->lookup->key_count) {
            r->key_at = 0;
            r->partition_at++;
            return WEIR_OK;
        }
        slice key = r->keys[r->key_at++], bytes;
        bool found;
        if (key.data == NULL) continue;
        if (r->is_windowed && !r->is_session) {
            WEIR_TRY(find_in_windows(r, key, err));
            continue;
        }
        WEIR_TRY(snapshot_get(r->snapshot, partition_of(r), (uint16_t)r->of->id, key, &bytes, &found, err));
        if (found) WEIR_TRY(read_entry(r, key, bytes, err));
    }
    return WEIR_OK;
}

/* ---- rows ---- */

static batch *make_batch(store_reader *r)
{
    arena *a = r->task->batch_arena;
    batch *out = batch_new(a, &r->of->schema, r->row_count, r->is_windowed);
    char **groups = ARENA_ARRAY(a, char *, r->row_count);

    for (uint32_t i = 0; i < r->row_count; i++) {
        const found_row *row = &r->rows[i];
        key_decode(row->key, out->columns, r->of->schema.key_count, i, a);
        if (r->is_windowed) {
            out->window_start[i] = row->start_ms;
            out->window_end[i] = row->end_ms;
        }
        groups[i] = row->group;
        if (is_aggregate(r)) {
            out->event_ms[i] = ((group *)row->group)->event_ms;
        } else {
            int64_t end_ms = row->end_ms;
            row_unpack_copy(row->packed, &r->of->schema, out, i);
            if (r->is_windowed && r->of->window_size_ms > 0) out->window_end[i] = end_ms;
        }
    }
    if (is_aggregate(r)) {
        agg_list_results(&r->aggs, groups, out->live, out->columns + r->of->schema.key_count);
        /* Results may lend texts from the groups: copy them before the groups go. */
        for (uint32_t k = r->of->schema.key_count; k < r->of->schema.count; k++) {
            for (uint32_t i = 0; i < r->row_count; i++) {
                value v = column_get(&out->columns[k], i);
                v = value_copy(a, out->columns[k].type, &v);
                column_set(&out->columns[k], i, &v);
            }
        }
        for (uint32_t i = 0; i < r->row_count; i++) drop_group(r, groups[i]);
    }
    r->row_count = 0;
    return out;
}

/* Of a reader used again: state may have come to partitions that had none. */
static weir_rc find_new_partitions(store_reader *r, weir_error *err)
{
    uint32_t known = r->partition_count;

    if (r->key_arena == NULL || r->has_looked_again) return WEIR_OK;
    r->has_looked_again = true;
    WEIR_TRY(snapshot_partitions(r->snapshot, &r->partitions, &r->partition_count, err));
    if (r->partition_count != known) r->partition_at = 0;
    guess_partition(r);
    return WEIR_OK;
}

weir_rc store_reader_next(store_reader *r, uint32_t rows_max, batch **rows, weir_error *err)
{
    *rows = NULL;
    arena_reset(r->task->batch_arena);
    store_reader_hold(r);
    if (r->snapshot == NULL) WEIR_TRY(go_on(r, err));
    while (r->row_count == 0) {
        if (r->partition_at == r->partition_count) WEIR_TRY(find_new_partitions(r, err));
        if (r->partition_at == r->partition_count) return WEIR_OK;
        WEIR_TRY(r->keys != NULL ? look_up_some(r, rows_max, err) : scan_some(r, rows_max, err));
    }
    *rows = make_batch(r);
    return WEIR_OK;
}
