/* executor/feed_parts.h - feeds inside, for feed*.c only.
 *
 * A feed's thread alone runs its client and its views' tasks. Lists, pages and cursors are behind the feed's lock; a page's rows are
 * not: they do not change. The lock of all feeds is taken before that of one. */
#ifndef WEIR_EXECUTOR_FEED_PARTS_H
#define WEIR_EXECUTOR_FEED_PARTS_H

#include "executor/bad_log.h"
#include "executor/feed.h"

#include <pthread.h>
#include <stdatomic.h>

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
    workspace *space;
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

/* ---- feed_plan.c ---- */

/* The plan of the view that a push query reads through, as text in the arena: alike for all that can share one. */
slice feed_view_text(const plan *of, arena *a);

/* ---- feed_view.c ---- */

/* key: feed_view_text(). partitions: of the topic. */
weir_rc view_open(view **out, feed *f, slice key, int32_t partitions, weir_error *err) WEIR_CHECKED;
void view_close(view *v); /* NULL is fine */
/* The feed's thread, without the lock: records become pages for the cursors, as many as there is room for at a time. What fails
 * is told to them. */
void view_read(view *v, const fetch *events, uint32_t count);

/* With the feed's lock held, as the next three: pages that all have taken go. */
void view_drop_read(view *v);
void cursor_give_back(feed_cursor *c); /* the page it has taken */
void cursor_skip_all(feed_cursor *c);  /* what it has not taken */
void cursor_wake(feed_cursor *c);      /* if it sleeps */

#endif
