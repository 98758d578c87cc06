/* executor/feed.c - see feed.h: feeds, their threads, and the cursors that queries read with. */
#include "executor/feed_parts.h"

#include "core/thread.h"

#include <stdlib.h>

enum { POLL_MS = 500, LINGER_MS = 1000, TOPIC_LOOK_MS = 2000, TOPIC_MISSED_MAX = 2 };

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
        for (feed_cursor *c = v->cursors; c != NULL; c = c->next) cursor_wake(c);
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
        for (view *v = first_view(f); v != NULL; v = v->next) view_read(v, events, count);
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
    slice topic = p->steps[0].source.topic, key = feed_view_text(p, a);
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
        cursor_give_back(c);
        cursor_skip_all(c);
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
    cursor_give_back(c);
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
        view_drop_read(c->view);
    }
    pthread_mutex_unlock(&f->lock);
    if (p != NULL && rc == WEIR_OK) *rows = open_page(c, p, a);
    return rc;
}

weir_rc feed_hold(feed_cursor *c, weir_error *err)
{
    pthread_mutex_lock(&c->view->feed->lock);
    cursor_give_back(c);
    c->is_held = true;
    weir_rc rc = why_over(c, err);
    pthread_mutex_unlock(&c->view->feed->lock);
    return rc;
}
