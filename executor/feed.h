/* executor/feed.h - one reader of a topic for all push queries that begin at its present end, however many there are.
 * A feed polls its topic from a thread of its own. For each way of reading the records (formats, columns that are wanted, former
 * rows or not) they are decoded once; the rows go into pages, which nobody changes any more and which are let go when all have
 * read them. Each query has a cursor, and takes page after page in its own time.
 *
 * What waits to be read is bounded, for each way of reading and for all feeds together. Where the bound is reached, the feed waits
 * for the slowest. A query that makes others wait because its own reader takes nothing (feed_hold()) may do so for a while; then it
 * is cut: feed_next() says how far it had fallen behind.
 *
 * Threads: any may join; a cursor belongs to one at a time. */
#ifndef WEIR_EXECUTOR_FEED_H
#define WEIR_EXECUTOR_FEED_H

#include "planner/plan.h"
#include "storage/storage.h"

typedef struct feeds feeds;
typedef struct feed_cursor feed_cursor;

/* The storage, registry (NULL: none) and clock are the engine's, and outlive it. */
feeds *feeds_new(storage *s, struct registry *registry, const weir_clock *clock);
void feeds_free(feeds *all); /* NULL is fine; no cursor is left */

/* The step of a push query whose rows a feed can give: its lone source, or the table right above that; NULL: it needs readers of
 * its own. */
const step *feed_step_of(const plan *p);

/* From here on nothing of the topic is missed, and nothing comes that stood there before. partitions: of the topic.
 * wake() is called, from another thread and with locks held, once after each feed_next() that found nothing, when there is
 * something, an error too. */
weir_rc feed_join(feed_cursor **out, feeds *all, const plan *p, int32_t partitions, void (*wake)(void *self), void *self,
                  weir_error *err) WEIR_CHECKED;
void feed_leave(feed_cursor *c); /* NULL is fine */
/* The next rows, of one partition, as the step of the plan emits them; *rows NULL: there are none yet. The batch is the caller's,
 * in the arena; what its columns point to is lent until the next call. */
weir_rc feed_next(feed_cursor *c, arena *a, batch **rows, weir_error *err) WEIR_CHECKED;
/* The cursor's own reader takes nothing more, until the next feed_next(): what was lent is given back. Fails as that would;
 * wake() is called when it is cut. */
weir_rc feed_hold(feed_cursor *c, weir_error *err) WEIR_CHECKED;

#endif
