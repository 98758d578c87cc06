/* executor/published.c - what the engine's process tells others of its queries: a file in the data directory, put in its place
 * whole, with the numbers as they stand in memory. Only the process that has the engine lock now is believed. */
#include "executor/weir.h"

#include "core/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PUBLISHED_VERSION (((uint64_t)sizeof(query_numbers) << 32) | 1)

static bool path_of(weir *w, const char *suffix, char *path, size_t room)
{
    slice dir = storage_directory(w->storage);

    if (dir.data == NULL || dir.len + 32 > room) return false;
    snprintf(path, room, "%.*s/statistics%s", SLICE_ARG(dir), suffix);
    return true;
}

/* What is known of a query here, and what its lag is to be asked by. */
typedef struct numbers {
    slice id;
    query_numbers told;
    source_place *places;
    uint32_t place_count;
} numbers;

static void numbers_here(query *q, arena *a, numbers *out)
{
    *out = (numbers){ .id = arena_copy(a, query_id(q)), .told = { .state = query_state_of(q, NULL) } };
    query_stats_of(q, &out->told.stats);
    query_places(q, a, &out->places, &out->place_count);
}

static void ask_lag(weir *w, numbers *of)
{
    weir_error err;
    bool may_ask = of->told.state != QUERY_WAITING && !storage_is_cut_off(w->storage); /* what a query waits for would not answer us either */

    of->told.has_lag = may_ask && places_lag(w->storage, of->places, of->place_count, &of->told.lag_records, &err) == WEIR_OK;
}

static void numbers_of_unsettled(const weir_error *why, query_numbers *out)
{
    *out = (query_numbers){ .state = state_of_unsettled(why) };
    snprintf(out->stats.last_error, sizeof out->stats.last_error, "%.255s", why->message);
}

static void add_numbers(text *out, slice id, const query_numbers *numbers)
{
    text_add_varint(out, id.len);
    text_add(out, id);
    text_add(out, (slice){ (const char *)numbers, sizeof *numbers });
}

void numbers_publish(weir *w)
{
    char path[4096], fresh[4096];
    text out = TEXT_EMPTY;
    arena *a;
    numbers *all;
    uint32_t count;

    if (!path_of(w, "", path, sizeof path) || !path_of(w, ".new", fresh, sizeof fresh)) return;
    a = arena_new(0);
    text_add_u64(&out, PUBLISHED_VERSION);
    text_add_u64(&out, (uint64_t)getpid());
    pthread_rwlock_rdlock(&w->queries_lock);
    count = w->query_count;
    all = ARENA_ARRAY(a, numbers, count);
    for (uint32_t i = 0; i < count; i++) numbers_here(w->queries[i], a, &all[i]);
    pthread_rwlock_unlock(&w->queries_lock);
    for (uint32_t i = 0; i < count; i++) { /* nobody waits with us for the broker's answers */
        ask_lag(w, &all[i]);
        add_numbers(&out, all[i].id, &all[i].told);
    }
    arena_free(a);
    pthread_mutex_lock(&w->lock);
    for (uint32_t i = 0; i < w->unsettled_count; i++) {
        query_numbers one;
        if (w->unsettled[i].is_gone) continue;
        numbers_of_unsettled(&w->unsettled[i].why, &one);
        add_numbers(&out, slice_of(w->unsettled[i].id), &one);
    }
    pthread_mutex_unlock(&w->lock);
    FILE *file = fopen(fresh, "we"); /* a full disk costs others the view, nothing else */
    bool is_written = file != NULL && fwrite(out.data, 1, out.len, file) == out.len;
    if (file != NULL && fclose(file) == 0 && is_written) (void)rename(fresh, path);
    text_free(&out);
}

static bool find_published(slice bytes, uint64_t owner, slice id, query_numbers *out)
{
    reader_bytes in = read_from(bytes);

    if (read_u64(&in) != PUBLISHED_VERSION || read_u64(&in) != owner) return false;
    while (!in.bad && in.at < in.end) {
        slice name = read_slice(&in);
        const char *numbers = read_bytes(&in, sizeof *out);
        if (numbers == NULL || !slice_equal(name, id)) continue;
        memcpy(out, numbers, sizeof *out);
        return true;
    }
    return false;
}

bool numbers_of(weir *w, slice id, query_numbers *out)
{
    query *q = find_query(w, id);
    int64_t owner = q == NULL ? storage_engine_owner(w->storage) : 0;
    const weir_error *why = q == NULL ? why_not_started(w, id) : NULL;
    char path[4096], piece[4096];
    text bytes = TEXT_EMPTY;
    size_t got;

    if (q != NULL) {
        arena *a = arena_new(0);
        numbers here;
        numbers_here(q, a, &here);
        ask_lag(w, &here);
        *out = here.told;
        arena_free(a);
    }
    if (why != NULL) numbers_of_unsettled(why, out);
    if (q != NULL || why != NULL) return true;
    if (owner == 0 || !path_of(w, "", path, sizeof path)) return false;
    FILE *file = fopen(path, "re");
    while (file != NULL && (got = fread(piece, 1, sizeof piece, file)) > 0) text_add(&bytes, (slice){ piece, got });
    if (file != NULL) fclose(file);
    bool found = find_published(text_slice(&bytes), (uint64_t)owner, id, out);
    text_free(&bytes);
    return found;
}
