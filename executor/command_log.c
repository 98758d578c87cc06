/* executor/command_log.c - the catalog is the fold of a command log, a topic on either storage. Each command names the
 * version of the catalog it was planned against; it counts only if the fold stands at that version when it comes to it.
 * So any process may append, all who fold agree on which commands count, and a sender learns it by reading its own. */
#include "executor/weir.h"

#include <stdio.h>
#include <stdlib.h>

#define SETTLE_AGAIN_MS 1000 /* between tries to start what could not be started */
#define TOLD_AGAIN_MS 10000

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
        command_release(&what);
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

weir_rc command_log_end(weir *w, int64_t *end, weir_error *err)
{
    topic_info info;
    bool found;
    int64_t begin;

    *end = 0;
    WEIR_TRY(topic_find(w->storage, w->command_topic, &info, &found, err));
    return found ? topic_offsets(w->storage, w->command_topic, 0, &begin, end, err) : WEIR_OK;
}

static weir_rc fold_what_came(weir *w, weir_error *err)
{
    int64_t end;

    WEIR_TRY(command_log_end(w, &end, err));
    return end <= w->folded_to ? WEIR_OK : fold(w, end, err);
}

weir_rc catalog_refresh(weir *w, weir_error *err)
{
    weir_rc rc = fold_what_came(w, err);
    bool has_more = w->unsettled_count > 0 || !w->is_tidy;
    bool is_due = has_more && clock_monotonic_ms(&w->clock) - w->settled_ms >= SETTLE_AGAIN_MS;

    if (rc == WEIR_BROKER) return rc; /* it has been waited for long enough */
    /* A fold that failed half way has moved the catalog as well. */
    if (w->is_engine && (is_due || w->synced_version != catalog_version(w->catalog))) sync_queries(w);
    return rc;
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
    const weir_error *why = *accepted && what->plan != NULL ? why_not_started(w, what->plan->query_id) : NULL;
    if (why == NULL || why->act != WEIR_ACT_STOP) return WEIR_OK;
    *err = *why;
    return err->rc;
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

/* ---- queries that could not be started, or dropped ---- */

static unsettled *find_unsettled(const weir *w, slice state_name)
{
    for (uint32_t i = 0; i < w->unsettled_count; i++) {
        if (slice_is(state_name, w->unsettled[i].state_name)) return &w->unsettled[i];
    }
    return NULL;
}

const weir_error *why_not_started(const weir *w, slice id)
{
    for (uint32_t i = 0; i < w->unsettled_count; i++) {
        if (slice_is(id, w->unsettled[i].id) && !w->unsettled[i].is_gone) return &w->unsettled[i].why;
    }
    return NULL;
}

static char *copy_name(slice name)
{
    char *copy = strndup(name.data, name.len);

    if (copy == NULL) abort();
    return copy;
}

static void note_unsettled(weir *w, slice id, slice state_name, bool is_gone, const weir_error *why)
{
    unsettled *u = find_unsettled(w, state_name);
    int64_t now_ms = clock_monotonic_ms(&w->clock);
    bool is_news = u == NULL;

    if (is_news) {
        w->unsettled = realloc(w->unsettled, (w->unsettled_count + 1) * sizeof *w->unsettled);
        if (w->unsettled == NULL) abort();
        u = &w->unsettled[w->unsettled_count++];
        *u = (unsettled){ .id = copy_name(id), .state_name = copy_name(state_name) };
    }
    u->why = *why;
    u->is_gone = is_gone;
    if (!is_news && now_ms - u->told_ms < TOLD_AGAIN_MS) return;
    u->told_ms = now_ms;
    if (w->options.notice != NULL) w->options.notice(w->options.notice_self, id, why);
}

static void forget_unsettled(weir *w, unsettled *u, bool goes_on)
{
    if (goes_on && w->options.notice != NULL) w->options.notice(w->options.notice_self, slice_of(u->id), NULL);
    free(u->id);
    free(u->state_name);
    *u = w->unsettled[--w->unsettled_count];
}

static void drop_state(weir *w, slice id, slice state_name)
{
    weir_error err;

    if (storage_drop_query(w->storage, state_name, &err) != WEIR_OK) note_unsettled(w, id, state_name, true, &err);
}

/* What is left of those that are gone; who is gone before it could be started is none of ours any more. */
static void settle_gone(weir *w)
{
    weir_error err;

    for (uint32_t i = w->unsettled_count; i-- > 0;) {
        unsettled *u = &w->unsettled[i];
        slice state_name = slice_of(u->state_name);
        if (catalog_uses_state(w->catalog, state_name)) continue;
        if (storage_drop_query(w->storage, state_name, &err) == WEIR_OK) forget_unsettled(w, u, false);
        else note_unsettled(w, slice_of(u->id), state_name, true, &err);
    }
}

/* A query that was dropped while no engine ran, or as one was ending, has left its state. */
static void settle_dropped(weir *w)
{
    arena *a = arena_new(0);
    uint32_t count, gone = 0;
    const dropped_query *dropped = catalog_dropped_queries(w->catalog, &count);
    slice *names = ARENA_ARRAY(a, slice, count + 1);
    const dropped_query **of = ARENA_ARRAY(a, const dropped_query *, count + 1);
    bool *is_left = ARENA_ZEROS(a, bool, count + 1);
    weir_error err;

    for (uint32_t i = 0; i < count; i++) {
        if (catalog_uses_state(w->catalog, dropped[i].state_name)) continue;
        of[gone] = &dropped[i];
        names[gone++] = dropped[i].state_name;
    }
    w->is_tidy = storage_tidy(w->storage, names, gone, is_left, &err) == WEIR_OK; /* else it is tried again */
    for (uint32_t i = 0; w->is_tidy && i < gone; i++) {
        if (is_left[i]) drop_state(w, of[i]->id, names[i]);
    }
    arena_free(a);
}

/* ---- running those of the catalog ---- */

static void stop_query(weir *w, uint32_t index, bool forget)
{
    query *q = w->queries[index];
    arena *a = arena_new(0);
    slice id = arena_copy(a, query_id(q)), state_name = arena_copy(a, plan_state_name(query_plan(q)));

    pthread_rwlock_wrlock(&w->queries_lock);
    memmove(w->queries + index, w->queries + index + 1, (w->query_count - index - 1) * sizeof *w->queries);
    w->query_count--;
    pthread_rwlock_unlock(&w->queries_lock);
    query_stop(q);
    if (forget) drop_state(w, id, state_name);
    arena_free(a);
}

static bool same_plan(const plan *a, const plan *b)
{
    return slice_equal(a->sql, b->sql);
}

static void start_query(weir *w, const query_entry *entry, uint32_t index)
{
    const query_env env = env_of(w);
    weir_error err;
    query *q;

    if (query_start(&q, &env, entry, &err) != WEIR_OK) {
        note_unsettled(w, entry->id, plan_state_name(&entry->plan), false, &err);
        return;
    }
    pthread_rwlock_wrlock(&w->queries_lock);
    if (w->query_count == w->query_room) {
        w->query_room = w->query_room == 0 ? 8 : w->query_room * 2;
        w->queries = realloc(w->queries, w->query_room * sizeof *w->queries);
        if (w->queries == NULL) abort();
    }
    memmove(w->queries + index + 1, w->queries + index, (w->query_count - index) * sizeof *w->queries);
    w->queries[index] = q;
    w->query_count++;
    pthread_rwlock_unlock(&w->queries_lock);
    unsettled *u = find_unsettled(w, plan_state_name(&entry->plan));
    if (u != NULL) forget_unsettled(w, u, true);
}

void sync_queries(weir *w)
{
    uint32_t count, running = 0;
    const query_entry *const *wanted = catalog_queries(w->catalog, &count);

    if (w->defers_queries) return;
    for (uint32_t i = w->query_count; i-- > 0;) {
        const plan *runs = query_plan(w->queries[i]);
        const query_entry *entry = catalog_query(w->catalog, query_id(w->queries[i]));
        bool is_gone = entry == NULL || !slice_equal(plan_state_name(&entry->plan), plan_state_name(runs)); /* its id may be used again */
        if (is_gone || !same_plan(&entry->plan, runs)) {
            stop_query(w, i, is_gone);
        } else {
            query_hold(w->queries[i], entry->status == QUERY_PAUSED);
        }
    }
    settle_gone(w);
    if (!w->is_tidy) settle_dropped(w);
    for (uint32_t i = 0; i < count; i++) {
        if (find_query(w, wanted[i]->id) == NULL) start_query(w, wanted[i], running);
        running += find_query(w, wanted[i]->id) != NULL; /* in order of creation */
    }
    w->synced_version = catalog_version(w->catalog);
    w->settled_ms = clock_monotonic_ms(&w->clock);
}
