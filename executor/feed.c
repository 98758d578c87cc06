/* executor/feed.c - see feed.h. A feed's thread alone runs its client and its views' tasks. Lists, pages and cursors are behind the
 * feed's lock; a page's rows are not: they do not change. A lock of all feeds is taken before that of one. */
#include "executor/feed.h"

#include "core/thread.h"
#include "executor/bad_log.h"
#include "executor/task.h"
#include "planner/bound.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { PAGE_ROWS_MAX = 256, POLL_MS = 500, LINGER_MS = 1000, LOOK_MS = 20, TOPIC_LOOK_MS = 2000, TOPIC_MISSED_MAX = 2 };
#define PAGE_BYTES_MAX ((size_t)16 << 10)         /* or one row */
#define WAITING_ROWS_MAX 65536                    /* of a view, until the feed waits */
#define WAITING_BYTES_MAX ((size_t)16 << 20)
#define ALL_WAITING_BYTES_MAX ((size_t)64 << 20)  /* of all views of all feeds */
#define HOLD_MS_MAX 2000 /* how long a cursor whose reader takes nothing may make the feed wait, until it has caught up again */

/* Some rows of a partition, as the view's step emits them. */
typedef struct page {
    struct page *next;
    arena *arena;
    batch *rows;
    uint32_t waiting; /* cursors that have not taken it */
    uint32_t taken;   /* cursors that have it now */
    size_t bytes;
} page;

/* One way of reading the topic's records. */
typedef struct view {
    struct view *next;
    struct feed *feed;
    arena *arena;
    slice key;           /* the plan as text */
    plan plan;           /* SOURCE, RESULT; with former rows: SOURCE, PROJECT, TABLE, RESULT */
    uint32_t column_count; /* that cursors get: what PROJECT adds stands behind them */
    bool has_old;
    task_shared shared;
    task *task;
    storage *scratch;    /* of the table's rows */
    client *scratch_client;
    bad_log *log;
    page *first, *last;  /* that some cursor waits to take */
    uint64_t published;  /* rows, since it began */
    uint32_t waiting_rows;
    size_t waiting_bytes; /* of pages not freed yet */
    feed_cursor *cursors;
    weir_error error;    /* of decoding; rc WEIR_OK: none */
} view;

typedef struct feed {
    struct feed *next;   /* in the list of those at work, or of those that are over */
    feeds *all;
    slice topic;
    arena *arena;
    client *client;      /* closed by the thread, at its end: that may take long when a broker or a topic has gone */
    pthread_t thread;
    atomic_bool has_ended; /* the thread has nothing more to do */
    pthread_mutex_t lock;
    pthread_cond_t room; /* for the thread: a page was taken, or it is to end */
    view *views;         /* new ones come in front; the thread alone takes them out */
    uint32_t cursor_count;
    int64_t empty_since_ms;
    int64_t looked_ms;   /* Kafka: when it was last asked whether the topic is there */
    uint32_t missed;     /* how often in a row it was not: one broker may know less than another */
    bool is_closing;
    weir_error error;    /* of reading */
} feed;

struct feeds {
    storage *storage;
    struct registry *registry;
    weir_clock clock;
    pthread_mutex_t lock;
    feed *first, *over;  /* over: their threads have left the list, and are to be joined */
    atomic_size_t waiting_bytes;
};

struct feed_cursor {
    feed_cursor *next, *previous;
    view *view;
    page *at, *taken;
    uint64_t rows_taken; /* of the view's: where it stands */
    int64_t *start;      /* per partition: what stands before was there before it joined */
    int32_t partitions;
    bool is_asleep, is_held, is_cut;
    uint64_t rows_behind; /* when it was cut */
    int64_t hold_ms_left;
    void (*wake)(void *self);
    void *self;
};

/* ---- plans ---- */

const step *feed_step_of(const plan *p)
{
    const step *source = NULL, *reader = NULL;

    if (p->mode != PLAN_PUSH || !p->latest) return NULL;
    for (uint32_t i = 0; i < p->step_count; i++) {
        const step *s = &p->steps[i];
        if (s->kind == STEP_SNAPSHOT || (s->kind == STEP_SOURCE && source != NULL)) return NULL;
        if (s->kind == STEP_SOURCE) source = s;
        for (uint32_t k = 0; k < s->input_count; k++) {
            if (p->steps[s->inputs[k]].kind != STEP_SOURCE) continue;
            if (reader != NULL) return NULL;
            reader = s;
        }
    }
    if (source == NULL || reader == NULL) return NULL;
    return reader->kind == STEP_TABLE && !reader->table.is_versioned ? reader : source;
}

/* With a table's rows goes where each came from: of a former row a cursor must know whether it was there before it joined. */
static void add_project(plan *p, arena *a, const step *source)
{
    step *s = &p->steps[p->step_count++];
    uint32_t count = source->schema.count;
    schema_column *columns = ARENA_ZEROS(a, schema_column, count + 2);
    bound **exprs = ARENA_ARRAY(a, bound *, count + 2);

    memcpy(columns, source->schema.columns, sizeof *columns * count);
    for (uint32_t i = 0; i < count; i++) exprs[i] = bound_column(a, i, columns[i].type, NOWHERE);
    columns[count] = (schema_column){ .name = SLICE("ROWPARTITION"), .type = &type_integer };
    columns[count + 1] = (schema_column){ .name = SLICE("ROWOFFSET"), .type = &type_bigint };
    exprs[count] = bound_new(a, BOUND_ROWPARTITION, &type_integer, NOWHERE, 0);
    exprs[count + 1] = bound_new(a, BOUND_ROWOFFSET, &type_bigint, NOWHERE, 0);
    *s = *source;
    s->kind = STEP_PROJECT;
    s->id = 2;
    s->input_count = 1;
    s->inputs[0] = 0;
    s->schema = (schema){ columns, source->schema.key_count, count + 2 };
    s->project.exprs = exprs;
    s->project.rekeys = false;
    s->project.kept = NULL;
}

static void add_on_top(plan *p, step_kind kind)
{
    step *s = &p->steps[p->step_count++];
    const step *below = s - 1;

    *s = *below;
    s->kind = kind;
    s->id = p->step_count;
    s->input_count = 1;
    s->inputs[0] = p->step_count - 2;
    if (kind == STEP_TABLE) s->table.is_versioned = false;
}

static slice view_text(const plan *of, arena *a)
{
    const step *top = feed_step_of(of);
    const step *source = top->kind == STEP_TABLE ? &of->steps[top->inputs[0]] : top;
    plan p = { .mode = PLAN_PUSH, .latest = true, .stop_on_bad_record = of->stop_on_bad_record, .subtopology_count = 1,
               .steps = ARENA_ZEROS(a, step, 4) };
    text printed = TEXT_EMPTY;

    p.steps[p.step_count++] = *source;
    p.steps[0].id = 1;
    p.steps[0].subtopology = 0;
    if (top->kind == STEP_TABLE && top->wants_old) {
        add_project(&p, a, &p.steps[0]);
        add_on_top(&p, STEP_TABLE);
        p.steps[2].wants_old = true;
        p.steps[2].layout = top->layout;
    }
    add_on_top(&p, STEP_RESULT);
    plan_print(&printed, &p);
    slice lasting = arena_copy(a, text_slice(&printed));
    text_free(&printed);
    return lasting;
}

/* ---- pages; with the lock held ---- */

static void free_page(view *v, page *p)
{
    v->waiting_bytes -= p->bytes;
    atomic_fetch_sub(&v->feed->all->waiting_bytes, p->bytes);
    arena_free(p->arena); /* the page stands in it */
}

/* Those that all have taken go. All have taken a page only once all have taken those before it. */
static void drop_read(view *v)
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

static void give_back(feed_cursor *c)
{
    page *p = c->taken;

    c->taken = NULL;
    if (p != NULL && --p->taken == 0 && p->waiting == 0) free_page(c->view, p);
}

static void skip_all(feed_cursor *c)
{
    for (page *p = c->at; p != NULL; p = p->next) p->waiting--;
    c->at = NULL;
    drop_read(c->view);
}

static void wake(feed_cursor *c)
{
    if (!c->is_asleep) return;
    c->is_asleep = false;
    c->wake(c->self);
}

static void cut(feed_cursor *c)
{
    c->is_cut = true;
    c->rows_behind = c->view->published - c->rows_taken;
    skip_all(c);
    c->is_asleep = true; /* whatever it waits for */
    wake(c);
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
        for (feed_cursor *c = v->cursors; c != NULL; c = c->next) wake(c);
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

static void view_close(view *v)
{
    if (v == NULL) return;
    task_close(v->task);
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

static weir_rc view_open(view **out, feed *f, slice key, int32_t partitions, weir_error *err)
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
        v->shared = (task_shared){ .plan = &v->plan, .query_id = SLICE("feed"), .clock = &f->all->clock, .batch_rows = BATCH_ROWS_MAX,
                                   .state_budget_bytes = (size_t)16 << 20, .source_of_step = no_sources, .forced_partition = -1,
                                   .is_transient = true, .source_partitions = partitions, .result = take_rows, .result_self = v };
        rc = open_scratch(v, err);
    }
    if (rc == WEIR_OK) rc = task_open(&v->task, &v->shared, 0, 0, 1, NULL, v->scratch_client, v->log, err);
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

static void read_records(view *v, const fetch *events, uint32_t count)
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
    for (feed_cursor *c = v->cursors; c != NULL; c = c->next) wake(c);
    pthread_mutex_unlock(&v->feed->lock);
}

/* ---- a feed ---- */

static void feed_free(feed *f)
{
    while (f->views != NULL) {
        view *next = f->views->next;
        view_close(f->views);
        f->views = next;
    }
    client_close(f->client);
    pthread_mutex_destroy(&f->lock);
    pthread_cond_destroy(&f->room);
    arena_free(f->arena);
}

static view *first_view(feed *f)
{
    pthread_mutex_lock(&f->lock);
    view *v = f->views;
    pthread_mutex_unlock(&f->lock);
    return v;
}

static void close_left_views(feed *f)
{
    view *left = NULL;

    pthread_mutex_lock(&f->lock);
    for (view **at = &f->views; *at != NULL;) {
        view *v = *at;
        if (v->cursors != NULL) {
            at = &v->next;
            continue;
        }
        *at = v->next;
        v->next = left;
        left = v;
    }
    pthread_mutex_unlock(&f->lock);
    while (left != NULL) {
        view *next = left->next;
        view_close(left);
        left = next;
    }
}

/* With both locks held. */
static void leave_list(feed *f)
{
    feeds *all = f->all;
    feed **at = &all->first;

    while (*at != f) at = &(*at)->next;
    *at = f->next;
    f->next = all->over;
    all->over = f;
}

/* True: nobody has wanted it for a while, or it is to end; nobody can join any more. */
static bool is_over(feed *f)
{
    feeds *all = f->all;

    pthread_mutex_lock(&all->lock);
    pthread_mutex_lock(&f->lock);
    int64_t now_ms = clock_monotonic_ms(&all->clock);
    if (f->cursor_count > 0) f->empty_since_ms = now_ms;
    bool over = f->is_closing || (f->cursor_count == 0 && now_ms - f->empty_since_ms >= LINGER_MS);
    if (over) leave_list(f);
    pthread_mutex_unlock(&f->lock);
    pthread_mutex_unlock(&all->lock);
    return over;
}

static void fail(feed *f, const weir_error *err)
{
    pthread_mutex_lock(&f->all->lock);
    pthread_mutex_lock(&f->lock);
    leave_list(f);
    f->error = *err;
    for (view *v = f->views; v != NULL; v = v->next) {
        for (feed_cursor *c = v->cursors; c != NULL; c = c->next) wake(c);
    }
    pthread_mutex_unlock(&f->lock);
    pthread_mutex_unlock(&f->all->lock);
}

/* A consumer is not told that its topic was deleted; the embedded log's client is. A broker that does not answer says nothing. */
static weir_rc look_for_topic(feed *f, weir_error *err)
{
    storage *s = f->all->storage;
    int64_t now_ms = clock_monotonic_ms(&f->all->clock);
    weir_error ignored;
    topic_info info;
    bool found;

    if (!storage_is_kafka(s) || now_ms - f->looked_ms < TOPIC_LOOK_MS) return WEIR_OK;
    f->looked_ms = now_ms;
    if (topic_find(s, f->topic, &info, &found, &ignored) != WEIR_OK) return WEIR_OK;
    f->missed = found ? 0 : f->missed + 1;
    if (f->missed < TOPIC_MISSED_MAX) return WEIR_OK;
    return weir_fail(err, WEIR_STORAGE, NOWHERE, "topic %.*s was deleted while it was read", SLICE_ARG(f->topic));
}

static void *run(void *argument)
{
    feed *f = argument;
    const fetch *events;
    uint32_t count;
    weir_error err = { 0 };

    while (!is_over(f)) {
        if (client_poll(f->client, POLL_MS, BATCH_ROWS_MAX, &events, &count, &err) != WEIR_OK || look_for_topic(f, &err) != WEIR_OK) {
            fail(f, &err);
            break;
        }
        for (view *v = first_view(f); v != NULL; v = v->next) read_records(v, events, count);
        close_left_views(f);
    }
    client_close(f->client);
    f->client = NULL;
    atomic_store(&f->has_ended, true);
    return NULL;
}

/* The first poll is the one that finds out where the topic ends. */
static weir_rc feed_open(feed **out, feeds *all, slice topic, weir_error *err)
{
    arena *a = arena_new(1024);
    feed *f = ARENA_NEW(a, feed);
    const fetch *events;
    uint32_t count;

    f->arena = a;
    f->all = all;
    f->topic = arena_copy(a, topic);
    f->empty_since_ms = f->looked_ms = clock_monotonic_ms(&all->clock);
    pthread_mutex_init(&f->lock, NULL);
    thread_cond_init(&f->room);
    const client_source from = { f->topic, START_LATEST, true };
    const client_spec spec = { .name = SLICE("feed"), .is_transient = true, .sources = &from, .source_count = 1, .instances = 1 };
    weir_rc rc = client_open(&f->client, all->storage, &spec, err);
    if (rc == WEIR_OK) rc = client_poll(f->client, 0, 1, &events, &count, err);
    if (rc == WEIR_OK && !thread_start(&f->thread, run, f)) rc = weir_fail(err, WEIR_RUNTIME, NOWHERE, "cannot start a thread to read a topic");
    if (rc != WEIR_OK) {
        feed_free(f);
        return rc;
    }
    *out = f;
    return WEIR_OK;
}

/* ---- all feeds ---- */

feeds *feeds_new(storage *s, struct registry *registry, const weir_clock *clock)
{
    feeds *all = calloc(1, sizeof *all);

    if (all == NULL) abort();
    all->storage = s;
    all->registry = registry;
    all->clock = *clock;
    pthread_mutex_init(&all->lock, NULL);
    return all;
}

/* Nobody joins them any more, so that none who has left comes back. */
static bool is_left(feed *f)
{
    pthread_mutex_lock(&f->lock);
    bool left = f->cursor_count == 0;
    pthread_mutex_unlock(&f->lock);
    return left;
}

/* With the lock held. */
static void free_those_over(feeds *all, bool waits)
{
    for (feed **at = &all->over; *at != NULL;) {
        feed *f = *at;
        if (!is_left(f) || (!waits && !atomic_load(&f->has_ended))) {
            at = &f->next;
            continue;
        }
        *at = f->next;
        pthread_join(f->thread, NULL);
        feed_free(f);
    }
}

void feeds_free(feeds *all)
{
    if (all == NULL) return;
    pthread_mutex_lock(&all->lock);
    for (feed *f = all->first; f != NULL; f = f->next) {
        pthread_mutex_lock(&f->lock);
        f->is_closing = true;
        pthread_cond_signal(&f->room);
        pthread_mutex_unlock(&f->lock);
        client_wake(f->client);
    }
    while (all->first != NULL) {
        pthread_mutex_unlock(&all->lock);
        thread_sleep_ms(1);
        pthread_mutex_lock(&all->lock);
    }
    free_those_over(all, true);
    pthread_mutex_unlock(&all->lock);
    pthread_mutex_destroy(&all->lock);
    free(all);
}

/* With the lock held: one cannot end before the caller has let go of it. */
static weir_rc find_feed(feeds *all, slice topic, feed **out, weir_error *err)
{
    feed *f = all->first;

    free_those_over(all, false);
    while (f != NULL && !slice_equal(f->topic, topic)) f = f->next;
    if (f == NULL) {
        WEIR_TRY(feed_open(&f, all, topic, err));
        f->next = all->first;
        all->first = f;
    }
    *out = f;
    return WEIR_OK;
}

static weir_rc find_view(feed *f, slice key, int32_t partitions, view **out, weir_error *err)
{
    view *v = f->views;

    while (v != NULL && (v->error.rc != WEIR_OK || !slice_equal(v->key, key))) v = v->next;
    if (v == NULL) {
        WEIR_TRY(view_open(&v, f, key, partitions, err));
        v->next = f->views;
        f->views = v;
    }
    *out = v;
    return WEIR_OK;
}

/* ---- a cursor ---- */

static weir_rc attach(feed_cursor *c, feeds *all, slice topic, slice key, weir_error *err)
{
    feed *f;
    weir_rc rc;

    pthread_mutex_lock(&all->lock);
    if ((rc = find_feed(all, topic, &f, err)) == WEIR_OK) {
        pthread_mutex_lock(&f->lock);
        if ((rc = find_view(f, key, c->partitions, &c->view, err)) == WEIR_OK) {
            c->next = c->view->cursors;
            if (c->next != NULL) c->next->previous = c;
            c->view->cursors = c;
            c->rows_taken = c->view->published;
            f->cursor_count++;
        }
        pthread_mutex_unlock(&f->lock);
    }
    pthread_mutex_unlock(&all->lock);
    return rc;
}

/* Where the topic ends is asked once the cursor stands in the list, so that nothing falls between. */
weir_rc feed_join(feed_cursor **out, feeds *all, const plan *p, int32_t partitions, void (*wake_up)(void *self), void *self,
                  weir_error *err)
{
    arena *a = arena_new(1024);
    slice topic = p->steps[0].source.topic, key = view_text(p, a);
    feed_cursor *c = calloc(1, sizeof *c);

    if (c == NULL) abort();
    *c = (feed_cursor){ .partitions = partitions, .start = calloc((size_t)partitions, sizeof *c->start), .wake = wake_up, .self = self,
                        .hold_ms_left = HOLD_MS_MAX };
    if (c->start == NULL) abort();
    weir_rc rc = attach(c, all, topic, key, err);
    for (int32_t i = 0; i < c->partitions && rc == WEIR_OK; i++) {
        int64_t begin;
        rc = topic_offsets(all->storage, topic, i, &begin, &c->start[i], err);
    }
    arena_free(a);
    if (rc != WEIR_OK) {
        feed_leave(c);
        return rc;
    }
    *out = c;
    return WEIR_OK;
}

void feed_leave(feed_cursor *c)
{
    if (c == NULL) return;
    if (c->view != NULL) {
        feed *f = c->view->feed;
        pthread_mutex_lock(&f->lock);
        give_back(c);
        skip_all(c);
        if (c->previous != NULL) c->previous->next = c->next;
        else c->view->cursors = c->next;
        if (c->next != NULL) c->next->previous = c->previous;
        f->cursor_count--;
        pthread_mutex_unlock(&f->lock);
    }
    free(c->start);
    free(c);
}

static bool is_before(const feed_cursor *c, int32_t partition, int64_t offset)
{
    return partition < c->partitions && offset < c->start[partition];
}

/* A batch of its own, as steps mark rows in theirs; columns and what else they only read are the page's. */
static batch *own_batch(const view *v, const batch *shared, arena *a)
{
    batch *b = ARENA_NEW(a, batch);

    *b = *shared;
    b->arena = a;
    b->column_count = v->column_count;
    b->columns = ARENA_ARRAY(a, column, v->column_count);
    memcpy(b->columns, shared->columns, sizeof *b->columns * v->column_count);
    b->kind = ARENA_ARRAY(a, uint8_t, shared->rows);
    memcpy(b->kind, shared->kind, shared->rows);
    return b;
}

static batch *open_page(const feed_cursor *c, const page *p, arena *a)
{
    const view *v = c->view;
    batch *b = own_batch(v, p->rows, a);
    uint32_t *index = ARENA_ARRAY(a, uint32_t, b->rows), count = 0;

    for (uint32_t r = 0; r < b->rows; r++) {
        index[count] = r;
        count += !is_before(c, b->row_partition[r], b->row_offset[r]);
    }
    if (count < b->rows) b->live = (row_set){ index, count };
    if (b->old == NULL) return b;
    const batch *former = p->rows->old;
    b->old = own_batch(v, former, a);
    for (uint32_t r = 0; r < b->rows; r++) {
        bool is_there = b->old->kind[r] != ROW_TOMBSTONE;
        if (is_there && is_before(c, former->columns[v->column_count].i32[r], former->columns[v->column_count + 1].i64[r])) {
            b->old->kind[r] = ROW_TOMBSTONE;
        }
    }
    return b;
}

static weir_rc why_over(const feed_cursor *c, weir_error *err)
{
    const view *v = c->view;
    const weir_error *why = c->at != NULL ? NULL : v->error.rc != WEIR_OK ? &v->error : v->feed->error.rc != WEIR_OK ? &v->feed->error : NULL;

    if (c->is_cut) {
        return weir_fail(err, WEIR_RUNTIME, NOWHERE,
                         "the query fell %llu records behind topic %.*s, and its client took nothing while others waited for it: read "
                         "faster, or ask for less (WHERE, fewer columns)", (unsigned long long)c->rows_behind, SLICE_ARG(v->feed->topic));
    }
    if (why == NULL) return WEIR_OK;
    *err = *why;
    return why->rc;
}

weir_rc feed_next(feed_cursor *c, arena *a, batch **rows, weir_error *err)
{
    feed *f = c->view->feed;

    *rows = NULL;
    pthread_mutex_lock(&f->lock);
    give_back(c);
    c->is_held = false;
    weir_rc rc = why_over(c, err);
    page *p = c->at;
    c->is_asleep = rc == WEIR_OK && p == NULL;
    if (rc == WEIR_OK && p != NULL) {
        c->taken = p;
        p->taken++;
        p->waiting--;
        c->at = p->next;
        c->rows_taken += p->rows->rows;
        if (c->at == NULL) c->hold_ms_left = HOLD_MS_MAX;
        drop_read(c->view);
    }
    pthread_mutex_unlock(&f->lock);
    if (p != NULL && rc == WEIR_OK) *rows = open_page(c, p, a);
    return rc;
}

weir_rc feed_hold(feed_cursor *c, weir_error *err)
{
    pthread_mutex_lock(&c->view->feed->lock);
    give_back(c);
    c->is_held = true;
    weir_rc rc = why_over(c, err);
    pthread_mutex_unlock(&c->view->feed->lock);
    return rc;
}
