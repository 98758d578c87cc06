/* executor/feed_view.c - one way of reading a feed's topic: records go through a task, and its rows into pages, which cursors take.
 * What waits to be taken is bounded. */
#include "executor/feed_parts.h"

#include "core/thread.h"

enum { PAGE_ROWS_MAX = 256, LOOK_MS = 20 };
#define PAGE_BYTES_MAX ((size_t)16 << 10)         /* or one row */
#define WAITING_ROWS_MAX 65536                    /* of a view, until the feed waits */
#define WAITING_BYTES_MAX ((size_t)16 << 20)
#define ALL_WAITING_BYTES_MAX ((size_t)64 << 20)  /* of all views of all feeds */

/* ---- pages; with the lock held ---- */

static void free_page(view *v, page *p)
{
    v->waiting_bytes -= p->bytes;
    atomic_fetch_sub(&v->feed->all->waiting_bytes, p->bytes);
    arena_free(p->arena); /* the page stands in it */
}

/* Those that all have taken go. All have taken a page only once all have taken those before it. */
void view_drop_read(view *v)
{
    while (v->first != NULL && v->first->waiting == 0) {
        page *p = v->first;
        v->first = p->next;
        if (v->first == NULL) v->last = NULL;
        v->waiting_rows -= p->rows->rows;
        p->next = NULL;
        if (p->taken == 0) free_page(v, p);
    }
    pthread_cond_signal(&v->feed->room);
}

void cursor_give_back(feed_cursor *c)
{
    page *p = c->taken;

    c->taken = NULL;
    if (p != NULL && --p->taken == 0 && p->waiting == 0) free_page(c->view, p);
}

void cursor_skip_all(feed_cursor *c)
{
    for (page *p = c->at; p != NULL; p = p->next) p->waiting--;
    c->at = NULL;
    view_drop_read(c->view);
}

void cursor_wake(feed_cursor *c)
{
    if (!c->is_asleep) return;
    c->is_asleep = false;
    c->wake(c->self);
}

static void cut(feed_cursor *c)
{
    c->is_cut = true;
    c->rows_behind = c->view->published - c->rows_taken;
    cursor_skip_all(c);
    c->is_asleep = true; /* whatever it waits for */
    cursor_wake(c);
}

static bool is_full(const view *v)
{
    return v->first != NULL && (v->waiting_rows >= WAITING_ROWS_MAX || v->waiting_bytes >= WAITING_BYTES_MAX ||
                                atomic_load(&v->feed->all->waiting_bytes) >= ALL_WAITING_BYTES_MAX);
}

/* All that are behind and take nothing pay for the time that the feed has waited; whom it waits for is cut when nothing is left. */
static void charge(view *v, int64_t ms)
{
    const page *first = v->first;

    for (feed_cursor *c = v->cursors; c != NULL; c = c->next) {
        if (!c->is_held || c->at == NULL) continue;
        c->hold_ms_left -= ms;
        if (c->hold_ms_left <= 0 && c->at == first) cut(c);
    }
}

static void wait_for_room(view *v)
{
    feed *f = v->feed;
    int64_t since_ms = clock_monotonic_ms(&f->all->clock);

    while (is_full(v) && !f->is_closing) {
        const struct timespec until = thread_deadline(LOOK_MS);
        pthread_cond_timedwait(&f->room, &f->lock, &until);
        int64_t now_ms = clock_monotonic_ms(&f->all->clock);
        if (now_ms > since_ms) charge(v, now_ms - since_ms);
        since_ms = now_ms;
    }
}

static void publish(view *v, page *p)
{
    feed *f = v->feed;

    pthread_mutex_lock(&f->lock);
    wait_for_room(v);
    v->published += p->rows->rows;
    v->waiting_bytes += p->bytes;
    atomic_fetch_add(&f->all->waiting_bytes, p->bytes);
    for (feed_cursor *c = v->cursors; c != NULL; c = c->next) {
        if (c->is_cut) continue;
        p->waiting++;
        if (c->at == NULL) c->at = p;
    }
    if (p->waiting == 0) {
        free_page(v, p);
    } else {
        if (v->last == NULL) v->first = p;
        else v->last->next = p;
        v->last = p;
        v->waiting_rows += p->rows->rows;
        for (feed_cursor *c = v->cursors; c != NULL; c = c->next) cursor_wake(c);
    }
    pthread_mutex_unlock(&f->lock);
}

/* ---- rows to pages ---- */

static bool is_header(const schema_column *c)
{
    return c->is_headers || c->header_key.data != NULL;
}

/* Of a row without a value only key and headers are defined. */
static void copy_row(arena *a, const schema *s, batch *out, uint32_t at, const batch *in, uint32_t r)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (in->columns[i].null == NULL) continue; /* nobody wants it */
        bool is_known = in->kind[r] != ROW_TOMBSTONE || i < s->key_count || is_header(&s->columns[i]);
        value v = is_known ? column_get(&in->columns[i], r) : NULL_VALUE;
        v = value_copy(a, in->columns[i].type, &v);
        column_set(&out->columns[i], at, &v);
    }
    out->kind[at] = in->kind[r];
    out->event_ms[at] = in->event_ms[r];
    if (in->window_start != NULL) {
        out->window_start[at] = in->window_start[r];
        out->window_end[at] = in->window_end[r];
    }
}

static batch *room_for(arena *a, const schema *s, const batch *like, uint32_t rows)
{
    batch *b = batch_new(a, s, rows, like->window_start != NULL);

    for (uint32_t i = 0; i < s->count; i++) {
        if (like->columns[i].null == NULL) b->columns[i] = like->columns[i];
    }
    if (like->row_partition != NULL) b->row_partition = ARENA_ARRAY(a, int32_t, rows);
    if (like->row_offset != NULL) b->row_offset = ARENA_ARRAY(a, int64_t, rows);
    b->upstream = like->upstream;
    return b;
}

/* A table's row must have a key. */
static row_set rows_of_table(const view *v, const batch *in)
{
    uint32_t keys = v->plan.steps[0].schema.key_count, count = 0;

    if (!v->plan.steps[0].is_table || keys == 0) return in->live;
    uint32_t *index = ARENA_ARRAY(in->arena, uint32_t, in->live.count);
    EACH_ROW (r, in->live) {
        bool has_key = false;
        for (uint32_t i = 0; i < keys; i++) has_key |= !in->columns[i].null[r];
        index[count] = r;
        count += has_key;
    }
    return (row_set){ index, count };
}

static void take_rows(void *self, batch *in)
{
    view *v = self;
    const schema *s = &v->plan.steps[v->plan.step_count - 1].schema;
    row_set live = rows_of_table(v, in);
    uint32_t taken = 0;

    while (taken < live.count) {
        uint32_t most = live.count - taken < PAGE_ROWS_MAX ? live.count - taken : PAGE_ROWS_MAX, at = 0;
        arena *a = arena_new(1024);
        page *p = ARENA_NEW(a, page);
        batch *out = room_for(a, s, in, most), *old = in->old == NULL ? NULL : room_for(a, s, in->old, most);
        size_t empty_bytes = arena_bytes(a);
        while (at < most && arena_bytes(a) - empty_bytes < PAGE_BYTES_MAX) {
            uint32_t r = live.index == NULL ? taken : live.index[taken];
            copy_row(a, s, out, at, in, r);
            out->row_partition[at] = in->row_partition[r];
            out->row_offset[at] = in->row_offset[r];
            if (old != NULL) copy_row(a, s, old, at, in->old, r);
            taken++;
            at++;
        }
        out->rows = out->live.count = at;
        if (old != NULL) old->rows = old->live.count = at;
        out->old = old;
        *p = (page){ .arena = a, .rows = out, .bytes = arena_bytes(a) };
        publish(v, p);
    }
}

/* ---- views ---- */

void view_close(view *v)
{
    if (v == NULL) return;
    task_close(v->task);
    workspace_free(v->space);
    client_close(v->scratch_client);
    storage_close(v->scratch);
    bad_log_free(v->log);
    plan_release(&v->plan);
    arena_free(v->arena);
}

static weir_rc open_scratch(view *v, weir_error *err)
{
    const local_options options = { .durability = DURABLE_NONE, .is_temporary = true, .clock = &v->feed->all->clock };
    const client_spec spec = { .name = SLICE("feed"), .instances = 1 };

    if (!v->has_old) return WEIR_OK;
    WEIR_TRY(storage_open_local(&v->scratch, SLICE(""), &options, err));
    return client_open(&v->scratch_client, v->scratch, &spec, err);
}

weir_rc view_open(view **out, feed *f, slice key, int32_t partitions, weir_error *err)
{
    static const uint32_t no_sources[4];
    arena *a = arena_new(0);
    view *v = ARENA_NEW(a, view);

    v->arena = a;
    v->feed = f;
    v->key = arena_copy(a, key);
    weir_rc rc = plan_parse(v->key, a, &v->plan, err);
    if (rc == WEIR_OK) {
        plan_use_registry(&v->plan, f->all->registry);
        plan_prepare(&v->plan);
        v->has_old = v->plan.step_count > 2;
        v->column_count = v->plan.steps[0].schema.count;
        v->log = bad_log_new(SLICE("feed"), UINT32_MAX, &f->all->clock);
        v->shared = (task_shared){ .plan = &v->plan, .state_name = SLICE("feed"), .clock = &f->all->clock, .batch_rows = BATCH_ROWS_MAX,
                                   .state_budget_bytes = (size_t)16 << 20, .source_of_step = no_sources, .forced_partition = -1,
                                   .is_transient = true, .source_partitions = partitions, .result = take_rows, .result_self = v };
        rc = open_scratch(v, err);
    }
    v->space = workspace_new(1);
    if (rc == WEIR_OK) rc = task_open(&v->task, &v->shared, 0, 0, 1, v->space, NULL, v->scratch_client, v->log, err);
    if (rc != WEIR_OK) {
        view_close(v);
        return rc;
    }
    *out = v;
    return WEIR_OK;
}

/* What the table has taken in is committed: clean rows can go from memory. */
static weir_rc commit_table(view *v, weir_error *err)
{
    if (!v->has_old || !task_has_work(v->task)) return WEIR_OK;
    WEIR_TRY(task_flush(v->task, err));
    epoch e = task_seal(v->task);
    WEIR_TRY(client_commit(v->scratch_client, &e, 1, NULL, 0, err));
    task_committed(v->task);
    return WEIR_OK;
}

void view_read(view *v, const fetch *events, uint32_t count)
{
    weir_error err = { 0 };
    weir_rc rc = v->error.rc;

    for (uint32_t i = 0; i < count && rc == WEIR_OK; i++) {
        if (events[i].kind == FETCH_RECORDS) rc = task_push(v->task, &v->task->inputs[0], &events[i], &err);
    }
    if (rc == WEIR_OK) rc = commit_table(v, &err);
    if (rc == WEIR_OK || v->error.rc != WEIR_OK) return;
    pthread_mutex_lock(&v->feed->lock);
    v->error = err;
    for (feed_cursor *c = v->cursors; c != NULL; c = c->next) cursor_wake(c);
    pthread_mutex_unlock(&v->feed->lock);
}
