/* executor/command_log.c - the catalog is the fold of a command log, a topic on either storage. Each command names the
 * version of the catalog it was planned against; it counts only if the fold stands at that version when it comes to it.
 * So any process may append, all who fold agree on which commands count, and a sender learns it by reading its own. */
#include "executor/weir.h"

#include <stdio.h>
#include <stdlib.h>

/* A command's record: its version in digits, a line break, the command's text. */
static bool split_record(slice record, uint64_t *version, slice *body)
{
    size_t at = 0;

    *version = 0;
    for (; at < record.len && record.data[at] >= '0' && record.data[at] <= '9'; at++) {
        *version = *version * 10 + (uint64_t)(record.data[at] - '0');
    }
    if (at == 0 || at >= record.len || record.data[at] != '\n') return false;
    *body = (slice){ record.data + at + 1, record.len - at - 1 };
    return true;
}

static weir_rc apply_record(weir *w, slice record, weir_error *err)
{
    uint64_t version;
    slice body;
    command what;

    if (!split_record(record, &version, &body)) {
        return weir_fail(err, WEIR_STORAGE, NOWHERE, "the command log (topic %.*s) holds a record that is no command at offset %lld",
                         SLICE_ARG(w->command_topic), (long long)w->folded_to);
    }
    if (version != catalog_version(w->catalog)) return WEIR_OK; /* it came second */
    arena *a = arena_new(0);
    weir_rc rc = command_parse(body, a, &what, err);
    if (rc == WEIR_OK) {
        rc = catalog_apply(w->catalog, &what, err);
        if (what.plan != NULL) plan_release(what.plan);
    }
    arena_free(a);
    return rc;
}

static weir_rc fold(weir *w, int64_t end, weir_error *err)
{
    const client_source source = { .topic = w->command_topic, .start = START_EARLIEST };
    const client_spec spec = { .name = SLICE("commands"), .is_transient = true, .sources = &source, .source_count = 1,
                               .instances = 1 };
    client *c;
    weir_rc rc;

    WEIR_TRY(client_open(&c, w->storage, &spec, err));
    const fetch *events;
    uint32_t count;
    rc = client_poll(c, 100, 1, &events, &count, err); /* the assignment */
    if (rc == WEIR_OK) rc = client_seek(c, 0, 0, w->folded_to, err);
    while (rc == WEIR_OK && w->folded_to < end) {
        rc = client_poll(c, 100, BATCH_ROWS_MAX, &events, &count, err);
        for (uint32_t i = 0; rc == WEIR_OK && i < count; i++) {
            for (uint32_t r = 0; events[i].kind == FETCH_RECORDS && rc == WEIR_OK && r < events[i].rows; r++) {
                rc = apply_record(w, events[i].value[r], err);
            }
            bool moves = events[i].kind == FETCH_RECORDS || events[i].kind == FETCH_END;
            if (rc == WEIR_OK && moves && events[i].next_offset > w->folded_to) w->folded_to = events[i].next_offset;
        }
    }
    client_close(c);
    return rc;
}

weir_rc catalog_refresh(weir *w, weir_error *err)
{
    topic_info info;
    bool found;
    int64_t begin, end;

    WEIR_TRY(topic_find(w->storage, w->command_topic, &info, &found, err));
    if (!found) return WEIR_OK;
    WEIR_TRY(topic_offsets(w->storage, w->command_topic, 0, &begin, &end, err));
    if (end <= w->folded_to) return WEIR_OK;
    WEIR_TRY(fold(w, end, err));
    return w->is_engine ? sync_queries(w, err) : WEIR_OK;
}

static weir_rc need_command_topic(weir *w, weir_error *err)
{
    const topic_spec spec = { .name = w->command_topic, .partitions = 1, .replicas = 1, .retention_ms = -1,
                              .retention_bytes = -1, .is_internal = true };
    topic_info info;
    bool found;

    WEIR_TRY(topic_find(w->storage, w->command_topic, &info, &found, err));
    return found ? WEIR_OK : topic_create(w->storage, &spec, err);
}

weir_rc command_append(weir *w, const command *what, uint64_t version, bool *accepted, weir_error *err)
{
    text body = TEXT_EMPTY;
    int64_t offset;

    *accepted = false;
    WEIR_TRY(need_command_topic(w, err));
    text_printf(&body, "%llu\n", (unsigned long long)version);
    command_print(&body, what);
    const record one = { .key = NO_SLICE, .value = text_slice(&body), .timestamp_ms = clock_now_ms(&w->clock) };
    weir_rc rc = topic_append(w->storage, w->command_topic, &one, NULL, 1, &offset, err);
    text_free(&body);
    if (rc != WEIR_OK) return rc;
    WEIR_TRY(catalog_refresh(w, err));
    *accepted = catalog_version(w->catalog) > version && w->folded_to > offset;
    return WEIR_OK;
}

/* ---- running queries ---- */

query *find_query(weir *w, slice id)
{
    for (uint32_t i = 0; i < w->query_count; i++) {
        if (slice_equal(query_id(w->queries[i]), id)) return w->queries[i];
    }
    return NULL;
}

/* Whether query `from` reads, through any number of other queries, what `sink` gets. */
static bool depends_on(weir *w, const query *from, slice sink, uint32_t depth)
{
    const plan *p = query_plan(from);

    for (uint32_t i = 0; i < p->step_count && depth < 32; i++) {
        if (p->steps[i].kind != STEP_SOURCE) continue;
        if (slice_equal(p->steps[i].source.topic, sink)) return true;
        for (uint32_t k = 0; k < w->query_count; k++) {
            const plan *other = query_plan(w->queries[k]);
            if (w->queries[k] == from) continue;
            if (slice_equal(other->steps[other->step_count - 1].sink.topic, p->steps[i].source.topic) &&
                depends_on(w, w->queries[k], sink, depth + 1)) return true;
        }
    }
    return false;
}

static slice sink_topic(const plan *p)
{
    return p->steps[p->step_count - 1].sink.topic;
}

/* Whether another query here that writes the topic, and does not itself wait for the reader, is not done with that. */
static bool is_being_written(weir *w, slice reader, slice topic, bool (*is_done)(const query *q))
{
    bool grows = false;

    pthread_rwlock_rdlock(&w->queries_lock); /* workers ask, while the list may change */
    const query *asking = find_query(w, reader);
    for (uint32_t i = 0; i < w->query_count && !grows; i++) {
        const query *q = w->queries[i];
        if (q == asking || is_done(q) || !slice_equal(sink_topic(query_plan(q)), topic)) continue;
        bool is_cycle = asking != NULL && depends_on(w, q, sink_topic(query_plan(asking)), 0);
        grows = !is_cycle;
    }
    pthread_rwlock_unlock(&w->queries_lock);
    return grows;
}

static bool topic_grows(void *self, slice reader, slice topic)
{
    return is_being_written(self, reader, topic, query_has_ended);
}

static bool topic_catches_up(void *self, slice reader, slice topic)
{
    return is_being_written(self, reader, topic, query_has_caught_up);
}

static query_env env_of(weir *w)
{
    return (query_env){ .notice = w->options.notice, .notice_self = w->options.notice_self, .storage = w->storage,
                        .registry = w->registry, .clock = &w->clock, .threads = w->options.threads,
                        .batch_rows = w->options.batch_rows, .state_budget_bytes = (size_t)16 << 20, .commit_interval_ms = 100,
                        .is_deterministic = w->options.is_deterministic, .until_end = w->until_end,
                        .single_partition = w->options.single_partition, .log_topic = w->log_topic, .topic_grows = topic_grows,
                        .topic_catches_up = topic_catches_up, .self = w };
}

static weir_rc stop_query(weir *w, uint32_t index, bool forget, weir_error *err)
{
    query *q = w->queries[index];
    arena *a = arena_new(0);
    slice id = arena_copy(a, query_id(q));

    pthread_rwlock_wrlock(&w->queries_lock);
    memmove(w->queries + index, w->queries + index + 1, (w->query_count - index - 1) * sizeof *w->queries);
    w->query_count--;
    pthread_rwlock_unlock(&w->queries_lock);
    query_stop(q);
    weir_rc rc = forget ? storage_drop_query(w->storage, id, err) : WEIR_OK;
    arena_free(a);
    return rc;
}

static bool same_plan(const plan *a, const plan *b)
{
    return slice_equal(a->sql, b->sql);
}

weir_rc sync_queries(weir *w, weir_error *err)
{
    uint32_t count;
    const query_entry *const *wanted = catalog_queries(w->catalog, &count);
    const query_env env = env_of(w);

    if (w->defers_queries) return WEIR_OK;
    for (uint32_t i = w->query_count; i-- > 0;) {
        const query_entry *entry = catalog_query(w->catalog, query_id(w->queries[i]));
        if (entry == NULL || !same_plan(&entry->plan, query_plan(w->queries[i]))) {
            WEIR_TRY(stop_query(w, i, entry == NULL, err));
        } else {
            query_hold(w->queries[i], entry->status == QUERY_PAUSED);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        if (find_query(w, wanted[i]->id) != NULL) continue;
        query *q;
        WEIR_TRY(query_start(&q, &env, wanted[i], err));
        pthread_rwlock_wrlock(&w->queries_lock);
        if (w->query_count == w->query_room) {
            w->query_room = w->query_room == 0 ? 8 : w->query_room * 2;
            w->queries = realloc(w->queries, w->query_room * sizeof *w->queries);
            if (w->queries == NULL) abort();
        }
        memmove(w->queries + i + 1, w->queries + i, (w->query_count - i) * sizeof *w->queries); /* all before it are there */
        w->queries[i] = q;
        w->query_count++;
        pthread_rwlock_unlock(&w->queries_lock);
    }
    return WEIR_OK;
}
