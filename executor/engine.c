/* executor/engine.c - opening and closing an engine, running its persistent queries. */
#include "executor/weir.h"

#include "core/thread.h"
#include "executor/bad_log.h"
#include "executor/feed.h"
#include "storage/registry.h"

#include <stdlib.h>
#include <unistd.h>

#define WATCH_LOCAL_MS 20  /* how often the command log is looked at for what other processes appended */
#define COMPACT_MS 15000   /* how often topics are looked at for what can be compacted; a step with each look at the log, then */
#define PUBLISH_LOCAL_MS 1000 /* how often other processes are told the numbers of queries */
#define PUBLISH_KAFKA_MS 5000 /* there lags are questions to the broker */
#define WATCH_KAFKA_MS 250
#define ATTEND_MS 500

static void copy_options(weir *w, const weir_options *from)
{
    weir_options *o = &w->options;
    arena *a = w->arena;

    *o = *from;
    o->data_dir = from->data_dir.data == NULL ? SLICE("./weir-data") : arena_copy(a, from->data_dir);
    o->service = from->service.data == NULL ? SLICE("weir") : arena_copy(a, from->service);
    o->kafka_brokers = arena_copy(a, from->kafka_brokers);
    o->schema_registry_url = arena_copy(a, from->schema_registry_url);
    if (o->batch_rows == 0 || o->batch_rows > BATCH_ROWS_MAX) o->batch_rows = BATCH_ROWS_MAX;
    if (o->threads == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        o->threads = cores < 1 ? 1 : (uint32_t)cores;
    }
}

static weir_rc open_storage(weir *w, weir_error *err)
{
    const weir_options *o = &w->options;

    if (o->kafka_brokers.data == NULL) {
        const local_options local = { .durability = o->is_temporary ? DURABLE_NONE : DURABLE_FULL, .is_temporary = o->is_temporary,
                                      .is_read_only = o->is_read_only, .quota_bytes = o->quota_bytes, .clock = &w->clock };
        return storage_open_local(&w->storage, o->data_dir, &local, err);
    }
    property *properties = ARENA_ARRAY(w->arena, property, o->client_property_count);
    uint32_t count = 0;
    for (uint32_t i = 0; i < o->client_property_count; i++) {
        if (is_registry_property(o->client_properties[i].name)) continue;
        properties[count++] = (property){ arena_copy(w->arena, o->client_properties[i].name),
                                    arena_copy(w->arena, o->client_properties[i].value) };
    }
    const kafka_options kafka = { .brokers = o->kafka_brokers, .service = o->service, .properties = properties,
                                  .property_count = count, .clock = &w->clock };
    return storage_open_kafka(&w->storage, o->data_dir, &kafka, err);
}

/* What every catalog begins with. */
static weir_rc add_processing_log(weir *w, weir_error *err)
{
    source log;
    const command what = { .kind = COMMAND_CREATE_SOURCE, .name = SLICE("WEIR_PROCESSING_LOG"), .source = &log };

    processing_log_source(&log, w->log_topic, w->arena);
    return catalog_apply(w->catalog, &what, err);
}

weir_rc weir_open(weir **out, const weir_options *options, weir_error *err)
{
    arena *a = arena_new(0);
    weir *w = ARENA_NEW(a, weir);

    w->arena = a;
    copy_options(w, options);
    w->clock = w->options.is_deterministic ? options->clock : (weir_clock){ .is_virtual = false };
    if (w->options.is_deterministic) w->clock.is_virtual = true;
    w->catalog = catalog_new();
    pthread_mutex_init(&w->lock, NULL);
    pthread_rwlock_init(&w->queries_lock, NULL);
    weir_rc rc = open_storage(w, err);
    if (rc == WEIR_OK) {
        slice prefix = storage_internal_prefix(w->storage);
        w->command_topic = arena_printf(a, "%.*sweir-commands", SLICE_ARG(prefix));
        w->log_topic = arena_printf(a, "%.*s" PROCESSING_LOG_TOPIC, SLICE_ARG(prefix));
        rc = add_processing_log(w, err);
        if (rc == WEIR_OK) rc = open_registry(w, err);
        catalog_use_registry(w->catalog, w->registry);
        if (rc == WEIR_OK) rc = catalog_refresh(w, err);
        w->feeds = feeds_new(w->storage, w->registry, &w->clock);
    }
    if (rc != WEIR_OK) {
        weir_close(w);
        return rc;
    }
    *out = w;
    return WEIR_OK;
}

void weir_close(weir *w)
{
    if (w == NULL) return;
    atomic_store(&w->closing, true);
    if (w->has_watcher) pthread_join(w->watcher, NULL);
    if (w->has_attendant) pthread_join(w->attendant, NULL);
    while (w->query_count > 0) { /* out of the list before it goes: the workers of others look there */
        pthread_rwlock_wrlock(&w->queries_lock);
        query *last = w->queries[--w->query_count];
        pthread_rwlock_unlock(&w->queries_lock);
        query_stop(last);
    }
    for (uint32_t i = 0; i < w->unsettled_count; i++) {
        free(w->unsettled[i].id);
        free(w->unsettled[i].state_name);
    }
    free(w->unsettled);
    free(w->queries);
    free(w->declared);
    catalog_free(w->catalog);
    feeds_free(w->feeds);
    registry_close(w->registry);
    storage_close(w->storage);
    pthread_mutex_destroy(&w->lock);
    pthread_rwlock_destroy(&w->queries_lock);
    arena_free(w->arena);
}

/* The processing log is a topic that any query may write, and a stream that any may read. */
static weir_rc need_processing_log(weir *w, weir_error *err)
{
    const topic_spec spec = { .name = w->log_topic, .partitions = 1, .replicas = 1, .is_internal = true };
    topic_info info;
    bool found;

    WEIR_TRY(topic_find(w->storage, w->log_topic, &info, &found, err));
    return found ? WEIR_OK : topic_create(w->storage, &spec, err);
}

/* Whether one that could not be started may still be, as far as is known. */
static bool may_start_later(const weir *w)
{
    for (uint32_t i = 0; i < w->unsettled_count; i++) {
        if (!w->unsettled[i].is_gone && w->unsettled[i].why.act != WEIR_ACT_STOP) return true;
    }
    return false;
}

static void *watch(void *argument)
{
    weir *w = argument;
    int64_t pause_ms = storage_is_kafka(w->storage) ? WATCH_KAFKA_MS : WATCH_LOCAL_MS;
    int64_t publish_ms = storage_is_kafka(w->storage) ? PUBLISH_KAFKA_MS : PUBLISH_LOCAL_MS, told_ms = -publish_ms;
    int64_t compacted_ms = -COMPACT_MS;
    bool compacts = false;
    weir_error err;
    int64_t end;

    while (!atomic_load(&w->closing)) {
        /* The broker's answer may be long in coming: nobody is to wait with us. One that cannot be had now is asked for again; the
         * queries report it as theirs. */
        bool is_there = command_log_end(w, &end, &err) == WEIR_OK;
        pthread_mutex_lock(&w->lock);
        if (is_there && (end > w->folded_to || w->unsettled_count > 0 || !w->is_tidy)) (void)!catalog_refresh(w, &err);
        /* What can never be read again starts no query: each is to learn that. */
        if (!is_there && err.act == WEIR_ACT_STOP && may_start_later(w)) sync_queries(w);
        pthread_mutex_unlock(&w->lock);
        if (clock_monotonic_ms(&w->clock) - told_ms >= publish_ms) {
            numbers_publish(w);
            told_ms = clock_monotonic_ms(&w->clock);
        }
        if (compacts || clock_monotonic_ms(&w->clock) - compacted_ms >= COMPACT_MS) {
            if (storage_compact(w->storage, &compacts, &err) != WEIR_OK) compacts = false; /* once more the next time */
            compacted_ms = clock_monotonic_ms(&w->clock);
        }
        for (int64_t slept = 0; slept < pause_ms && !atomic_load(&w->closing); slept += 10) thread_sleep_ms(10);
    }
    return NULL;
}

static void *attend(void *argument)
{
    weir *w = argument;

    while (!atomic_load(&w->closing)) {
        pthread_rwlock_rdlock(&w->queries_lock);
        for (uint32_t i = 0; i < w->query_count; i++) query_tell_waiting(w->queries[i]);
        pthread_rwlock_unlock(&w->queries_lock);
        thread_sleep_ms(ATTEND_MS);
    }
    return NULL;
}

static weir_rc first_unsettled(weir *w, weir_error *err)
{
    for (uint32_t i = 0; i < w->unsettled_count; i++) {
        if (w->unsettled[i].is_gone) continue;
        *err = w->unsettled[i].why;
        return err->rc;
    }
    return WEIR_OK;
}

weir_rc weir_start(weir *w, int64_t *owner, weir_error *err)
{
    bool got;
    weir_rc rc;

    *owner = 0;
    WEIR_TRY(storage_lock_engine(w->storage, &got, owner, err));
    if (!got) return WEIR_OK;
    *owner = 0;
    WEIR_TRY(need_processing_log(w, err));
    pthread_mutex_lock(&w->lock);
    w->is_engine = true;
    rc = catalog_refresh(w, err);
    if (rc == WEIR_OK && w->options.notice == NULL) rc = first_unsettled(w, err); /* who is not told by and by is told now */
    pthread_mutex_unlock(&w->lock);
    if (rc != WEIR_OK || w->options.is_deterministic) return rc;
    w->has_watcher = thread_start(&w->watcher, watch, w);
    if (w->has_watcher && storage_is_kafka(w->storage)) w->has_attendant = thread_start(&w->attendant, attend, w);
    if (w->has_watcher && (w->has_attendant || !storage_is_kafka(w->storage))) return WEIR_OK;
    return weir_fail(err, WEIR_RUNTIME, NOWHERE, "cannot start a thread to watch the command log");
}

void weir_interrupt(weir *w)
{
    atomic_store(&w->interrupted, true);
}

void weir_run_until_end(weir *w)
{
    w->until_end = w->defers_queries = true;
}

weir_rc weir_wait_for(weir *w, weir_wait what, weir_error *err)
{
    pthread_mutex_lock(&w->lock);
    if (w->defers_queries) {
        w->defers_queries = false;
        sync_queries(w);
    }
    pthread_mutex_unlock(&w->lock);
    for (;;) {
        bool all = true;
        weir_error first = { .rc = WEIR_OK };
        pthread_mutex_lock(&w->lock);
        for (uint32_t i = 0; i < w->query_count; i++) {
            weir_error why;
            query_state state = query_state_of(w->queries[i], &why);
            bool is_over = state == QUERY_ENDED || state == QUERY_FAILED;
            if (state == QUERY_FAILED && first.rc == WEIR_OK) first = why;
            all = all && (what == WEIR_WAIT_READY ? state != QUERY_STARTING : is_over);
        }
        for (uint32_t i = 0; i < w->unsettled_count; i++) {
            const unsettled *u = &w->unsettled[i];
            if (u->is_gone) continue;
            if (u->why.act != WEIR_ACT_STOP) all = false;
            else if (first.rc == WEIR_OK) first = u->why;
        }
        pthread_mutex_unlock(&w->lock);
        bool is_interrupted = atomic_load(&w->interrupted);
        if (first.rc != WEIR_OK && what == WEIR_WAIT_END && (all || is_interrupted)) {
            *err = first;
            return first.rc;
        }
        if (all) return WEIR_OK;
        if (is_interrupted) return weir_fail(err, WEIR_CANCELLED, NOWHERE, "interrupted");
        thread_sleep_ms(1);
    }
}

weir_rc weir_settle(weir *w, weir_error *err)
{
    weir_rc rc = WEIR_OK;

    pthread_mutex_lock(&w->lock);
    for (uint32_t i = 0; rc == WEIR_OK && i < w->query_count; i++) {
        bool progressed = true;
        while (rc == WEIR_OK && progressed) rc = query_advance(w->queries[i], &progressed, err);
    }
    pthread_mutex_unlock(&w->lock);
    return rc;
}

void weir_advance(weir *w, int64_t by_ms)
{
    w->clock.now_ms += by_ms;
}

weir_rc weir_query_stats_list(weir *w, arena *a, weir_query_stats **out, uint32_t *count)
{
    static const char *const names[] = { "STARTING", "RUNNING", "PAUSED", "ENDED", "ERROR", "WAITING" };
    source_place **places;
    uint32_t *place_count, query_count;

    pthread_mutex_lock(&w->lock);
    *out = ARENA_ZEROS(a, weir_query_stats, w->query_count + w->unsettled_count + 1);
    *count = query_count = w->query_count;
    places = ARENA_ARRAY(a, source_place *, query_count);
    place_count = ARENA_ARRAY(a, uint32_t, query_count);
    for (uint32_t i = 0; i < query_count; i++) {
        query_stats stats;
        query_stats_of(w->queries[i], &stats);
        query_state state = query_state_of(w->queries[i], NULL);
        query_places(w->queries[i], a, &places[i], &place_count[i]);
        (*out)[i] = (weir_query_stats){ .id = arena_copy(a, query_id(w->queries[i])),
                                        .state = names[state], .rows_in = stats.counts.rows_in,
                                        .rows_out = stats.counts.rows_out, .bad_rows = stats.counts.bad_rows,
                                        .late_rows = stats.counts.late_rows, .epochs = stats.epochs,
                                        .lag_rows = state == QUERY_WAITING ? -1 : 0,
                                        .last_error = arena_copy(a, slice_of(stats.last_error)) };
    }
    for (uint32_t i = 0; i < w->unsettled_count; i++) {
        const unsettled *u = &w->unsettled[i];
        if (u->is_gone) continue;
        (*out)[(*count)++] = (weir_query_stats){ .id = arena_copy(a, slice_of(u->id)), .state = names[state_of_unsettled(&u->why)],
                                                 .lag_rows = -1, .last_error = arena_copy(a, slice_of(u->why.message)) };
    }
    pthread_mutex_unlock(&w->lock);
    /* Nobody waits with us for the broker's answers; by now the queries may be gone. */
    for (uint32_t i = 0; i < query_count; i++) {
        weir_error err;
        int64_t *lag = &(*out)[i].lag_rows;
        if (*lag < 0 || storage_is_cut_off(w->storage) || places_lag(w->storage, places[i], place_count[i], lag, &err) != WEIR_OK) *lag = -1;
    }
    return WEIR_OK;
}
