/* storage/local_client.c - a worker's connection to the embedded log: which partitions it reads and how far, what it is
 * about to write. Reading copies (unpacks) a block once, through a read transaction that lasts only for that; the rows of a
 * block are handed out over as many polls as the caller's rows_max takes. */
#include "storage/local.h"

#include "core/bytes.h"
#include "core/hash.h"
#include "core/thread.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define POLL_BYTES_MAX ((size_t)2 << 20) /* unpacked in one poll; a block more than that is taken on its own */
#define ROWS_A_BLOCK_WEIGH 4 /* so many times their bytes: a record of a repartition topic is many rows, of few columns */
#define SMALL_BODY_BYTES ((size_t)32 << 10)
#define BODY_STEP_BYTES ((size_t)64 << 10) /* sizes are multiples, so that one body can take another's place */
#define SPARE_BODY_BYTES ((size_t)4 << 20) /* a larger one is not kept for reuse */
#define SPARE_BODIES_MAX 16
#define LOOK_MS_MIN 2 /* how often a waiting client looks for what other processes committed */
#define LOOK_MS_MAX 20

/* Memory an unpacked block lies in. */
typedef struct block_body {
    struct block_body *next;
    size_t held_bytes;
    char bytes[];
} block_body;

/* One partition of one source that this client reads. */
typedef struct part {
    uint32_t source;
    int32_t partition;
    const local_topic *topic;
    int64_t position;  /* the next to be fetched */
    int64_t committed; /* where an abort goes back to */
    int64_t end;       /* as of the commit looked at last */
    bool is_paused;
    bool end_is_told;
    bool is_open; /* block stands in a block, at position or before it */
    block_reader block;
    block_body *body; /* of the open block; NULL: in the arena */
} part;

typedef struct sink {
    local_topic topic;
    block_run *runs; /* one a partition */
    uint64_t spread; /* records without key go round */
} sink;

typedef struct local_client {
    client base;
    local_storage *storage;
    bool is_transient;
    uint32_t id, instance, instances;
    local_topic *topics; /* of the sources */
    uint32_t source_count;
    uint32_t *first_part; /* of each source, in parts; its partitions follow in order */
    start_at *start;
    part *parts;
    uint32_t part_count;
    uint32_t turn; /* the part that is asked first */
    int32_t *partitions;
    uint32_t partition_count;
    bool is_assigned, is_woken; /* is_woken: under the storage's lock */
    sink *sinks;
    uint32_t sink_count;
    block_run **touched; /* runs of the open epoch */
    uint32_t touched_count, touched_room;
    place *places;
    uint32_t places_room;
    arena *lent; /* what the last poll lent */
    fetch *events;
    block_body *spare, *retired; /* retired: lent until the next poll */
    uint32_t spare_count;
    size_t unpacked_bytes; /* in this poll */
    text fetched;          /* a packed block */
    lmdb_reader polling;   /* rests between polls */
    MDB_cursor *poll_cursor;
    uint64_t seen_commit;
    lmdb_reader reading;   /* of state */
} local_client;

static local_client *client_of(client *c) { return (local_client *)c; }

local_storage *local_client_storage(client *c) { return client_of(c)->storage; }

/* ---- opening and closing ---- */

static int put_client_id(local_storage *s, MDB_txn *txn, void *argument)
{
    slice *name_and_id = argument;
    MDB_val data;
    char number[4];
    uint32_t id;
    int code = local_get_name(s, txn, 'q', name_and_id[0], &data);

    if (code == MDB_NOTFOUND && (code = local_next_id(s, txn, &id)) == 0) {
        put_u32(number, id);
        code = local_put_name(s, txn, 'q', name_and_id[0], (slice){ number, 4 });
        memcpy((char *)name_and_id[1].data, number, 4);
    } else if (code == 0) {
        memcpy((char *)name_and_id[1].data, data.mv_data, 4);
    }
    return code;
}

static weir_rc find_client_id(local_storage *s, slice name, uint32_t *id, weir_error *err)
{
    char number[4];
    slice name_and_id[2] = { name, { number, 4 } };
    MDB_val data;
    MDB_txn *txn;

    if (name.len == 0 || name.len > 500) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "a query's name has from 1 to 500 bytes, not %zu", name.len);
    }
    int code = lmdb_begin_read(s->env, &txn);
    if (code != 0) return lmdb_fail(s->env, code, "open a client", err);
    code = local_get_name(s, txn, 'q', name, &data);
    if (code == 0) *id = get_u32(data.mv_data);
    lmdb_abort(s->env, txn);
    if (code == 0) return WEIR_OK;
    if (code != MDB_NOTFOUND) return lmdb_fail(s->env, code, "open a client", err);
    WEIR_TRY(local_update(s, "open a client", put_client_id, name_and_id, err));
    *id = get_u32(number);
    return WEIR_OK;
}

static weir_rc open_sources(local_client *c, const client_spec *spec, weir_error *err)
{
    int32_t most = 0;

    for (uint32_t i = 0; i < spec->source_count; i++) {
        WEIR_TRY(local_topic_or_fail(c->storage, spec->sources[i].topic, &c->topics[i], err));
        c->start[i] = spec->sources[i].start;
        if (c->topics[i].partitions > most) most = c->topics[i].partitions;
        c->part_count += ((uint32_t)c->topics[i].partitions + c->instances - 1 - c->instance) / c->instances;
    }
    c->partition_count = ((uint32_t)most + c->instances - 1 - c->instance) / c->instances;
    c->parts = calloc((size_t)c->part_count + 1, sizeof *c->parts);
    c->partitions = calloc((size_t)c->partition_count + 1, sizeof *c->partitions);
    c->events = calloc(2 * (size_t)c->part_count + 1, sizeof *c->events);
    if (c->parts == NULL || c->partitions == NULL || c->events == NULL) {
        return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory to read %u partitions", c->part_count);
    }
    for (uint32_t i = 0; i < c->partition_count; i++) c->partitions[i] = (int32_t)(c->instance + i * c->instances);
    for (uint32_t i = 0, at = 0; i < spec->source_count; i++) {
        c->first_part[i] = at;
        for (int32_t p = (int32_t)c->instance; p < c->topics[i].partitions; p += (int32_t)c->instances) {
            c->parts[at++] = (part){ .source = i, .partition = p, .topic = &c->topics[i] };
        }
    }
    return WEIR_OK;
}

static weir_rc open_sinks(local_client *c, const client_spec *spec, weir_error *err)
{
    for (uint32_t i = 0; i < spec->sink_count; i++) {
        sink *k = &c->sinks[i];
        WEIR_TRY(local_topic_or_fail(c->storage, spec->sinks[i], &k->topic, err));
        WEIR_TRY(local_topic_written(c->storage, &k->topic, &k->spread, err));
        k->runs = calloc((size_t)k->topic.partitions, sizeof *k->runs);
        if (k->runs == NULL) return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory to write to %s", k->topic.name);
        for (int32_t p = 0; p < k->topic.partitions; p++) {
            k->runs[p].topic = &k->topic;
            k->runs[p].partition = p;
        }
        c->touched_room += (uint32_t)k->topic.partitions;
    }
    c->touched = calloc((size_t)c->touched_room + 1, sizeof *c->touched);
    return c->touched != NULL ? WEIR_OK : weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory to write");
}

weir_rc local_client_open(client **out, storage *base, const client_spec *spec, weir_error *err)
{
    local_client *c = calloc(1, sizeof *c);

    if (c == NULL) return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory to open a client");
    c->base.class = &local_storage_class;
    c->storage = local_of(base);
    c->is_transient = spec->is_transient;
    c->instances = spec->is_transient || spec->instances == 0 ? 1 : spec->instances;
    c->instance = spec->is_transient ? 0 : spec->instance;
    assert(c->instance < c->instances);
    c->source_count = spec->source_count;
    c->sink_count = spec->sink_count;
    c->topics = calloc((size_t)spec->source_count + 1, sizeof *c->topics);
    c->first_part = calloc((size_t)spec->source_count + 1, sizeof *c->first_part);
    c->start = calloc((size_t)spec->source_count + 1, sizeof *c->start);
    c->sinks = calloc((size_t)spec->sink_count + 1, sizeof *c->sinks);
    c->lent = arena_new(0);
    weir_rc rc = WEIR_OK;
    if (c->topics == NULL || c->first_part == NULL || c->start == NULL || c->sinks == NULL) {
        rc = weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory to open a client");
    }
    if (rc == WEIR_OK && !spec->is_transient) rc = find_client_id(c->storage, spec->name, &c->id, err);
    if (rc == WEIR_OK) rc = open_sources(c, spec, err);
    if (rc == WEIR_OK) rc = open_sinks(c, spec, err);
    if (rc != WEIR_OK) {
        local_client_close(&c->base);
        return rc;
    }
    *out = &c->base;
    return WEIR_OK;
}

static void free_bodies(block_body *list)
{
    for (block_body *next; list != NULL; list = next) {
        next = list->next;
        free(list);
    }
}

void local_client_close(client *base)
{
    local_client *c = client_of(base);
    lmdb_env *e = c->storage->env;

    if (c->poll_cursor != NULL) mdb_cursor_close(c->poll_cursor);
    lmdb_reader_end(e, &c->polling);
    lmdb_reader_end(e, &c->reading);
    for (uint32_t i = 0; i < c->part_count; i++) free(c->parts == NULL ? NULL : c->parts[i].body);
    for (uint32_t i = 0; i < c->sink_count && c->sinks != NULL; i++) {
        for (int32_t p = 0; p < c->sinks[i].topic.partitions && c->sinks[i].runs != NULL; p++) {
            block_run_free(&c->sinks[i].runs[p]);
        }
        free(c->sinks[i].runs);
    }
    free_bodies(c->spare);
    free_bodies(c->retired);
    arena_free(c->lent);
    free(c->topics);
    free(c->first_part);
    free(c->start);
    free(c->parts);
    free(c->partitions);
    free(c->events);
    free(c->sinks);
    free(c->touched);
    free(c->places);
    text_free(&c->fetched);
    free(c);
}

static part *find_part(local_client *c, uint32_t source, int32_t partition)
{
    if (source >= c->source_count || partition < 0 || partition >= c->topics[source].partitions ||
        (uint32_t)partition % c->instances != c->instance) {
        return NULL;
    }
    return &c->parts[c->first_part[source] + (uint32_t)partition / c->instances];
}

static weir_rc not_ours(uint32_t source, int32_t partition, weir_error *err)
{
    return weir_fail(err, WEIR_INTERNAL, NOWHERE, "partition %d of source %u is not this client's", (int)partition, source);
}

/* ---- transactions ---- */

static int poll_txn(local_client *c)
{
    if (c->polling.is_live) return 0;
    int code = lmdb_reader_begin(c->storage->env, &c->polling);
    if (code != 0) return code;
    return c->poll_cursor == NULL ? mdb_cursor_open(c->polling.txn, c->storage->env->dbi[DB_LOG], &c->poll_cursor)
                                  : mdb_cursor_renew(c->polling.txn, c->poll_cursor);
}

static void end_poll_txn(local_client *c)
{
    lmdb_reader_rest(c->storage->env, &c->polling);
}

weir_rc local_client_state_txn(client *base, MDB_txn **txn, weir_error *err)
{
    local_client *c = client_of(base);
    int code = lmdb_reader_begin(c->storage->env, &c->reading);

    *txn = c->reading.txn;
    return code == 0 ? WEIR_OK : lmdb_fail(c->storage->env, code, "read state", err);
}

static void end_state_txn(local_client *c)
{
    lmdb_reader_rest(c->storage->env, &c->reading);
}

/* ---- the memory of unpacked blocks ---- */

static void recycle(local_client *c)
{
    arena_reset(c->lent);
    while (c->retired != NULL) {
        block_body *b = c->retired;
        c->retired = b->next;
        if (b->held_bytes > SPARE_BODY_BYTES || c->spare_count == SPARE_BODIES_MAX) {
            free(b);
            continue;
        }
        b->next = c->spare;
        c->spare = b;
        c->spare_count++;
    }
}

static block_body *take_body(local_client *c, size_t bytes)
{
    for (block_body **at = &c->spare; *at != NULL; at = &(*at)->next) {
        if ((*at)->held_bytes < bytes) continue;
        block_body *b = *at;
        *at = b->next;
        c->spare_count--;
        return b;
    }
    size_t held = (bytes + BODY_STEP_BYTES - 1) / BODY_STEP_BYTES * BODY_STEP_BYTES;
    block_body *b = malloc(sizeof *b + held);
    if (b != NULL) b->held_bytes = held;
    return b;
}

/* Its rows stay lent until the next poll. */
static void close_block(local_client *c, part *p)
{
    if (p->is_open && p->body != NULL) {
        p->body->next = c->retired;
        c->retired = p->body;
    }
    p->body = NULL;
    p->is_open = false;
}

/* ---- reading ---- */

static weir_rc damaged(const part *p, weir_error *err)
{
    return weir_fail(err, WEIR_STORAGE, NOWHERE,
                     "the block of topic %s, partition %d, that holds offset %lld is damaged; seek behind it, or restore "
                     "a copy of the data directory",
                     p->topic->name, (int)p->partition, (long long)p->position);
}

/* Unpacks the block at the part's position, or the next one. Leaves is_open false when there is none. rows_wanted: a small
 * block that will be read to its end in this poll may lie in the poll's arena. */
static weir_rc load_block(local_client *c, part *p, uint32_t rows_wanted, weir_error *err)
{
    char bytes[LOG_KEY_BYTES];
    MDB_val key = { sizeof bytes, bytes }, data;
    block_info info;
    int code = poll_txn(c);

    if (code != 0) return lmdb_fail(c->storage->env, code, "read a topic", err);
    log_key(bytes, p->topic->id, p->partition, p->position);
    code = mdb_cursor_get(c->poll_cursor, &key, &data, MDB_SET_RANGE);
    if (code == MDB_NOTFOUND ||
        (code == 0 && (key.mv_size != LOG_KEY_BYTES || memcmp(key.mv_data, bytes, 8) != 0))) {
        return WEIR_OK;
    }
    if (code != 0) return lmdb_fail(c->storage->env, code, "read a topic", err);
    slice stored;
    if ((code = lmdb_fetch(c->storage->env, data, &c->fetched, &stored)) != 0) {
        return lmdb_fail(c->storage->env, code, "read a topic", err);
    }
    if (!block_peek(stored, &info)) return damaged(p, err);

    size_t need = info.body_bytes + BLOCK_TAIL_BYTES;
    bool is_passed_at_once = need <= SMALL_BODY_BYTES && info.rows <= rows_wanted;
    p->body = is_passed_at_once ? NULL : take_body(c, need);
    if (p->body == NULL && !is_passed_at_once) {
        return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory to read a block of %zu bytes of %s", need, p->topic->name);
    }
    p->is_open = true;
    c->unpacked_bytes += p->topic->is_repartition ? need * ROWS_A_BLOCK_WEIGH : need;
    bool good = block_open(&p->block, stored, is_passed_at_once ? arena_alloc(c->lent, need) : p->body->bytes);
    if (!good || !block_seek(&p->block, p->position)) {
        close_block(c, p);
        return damaged(p, err);
    }
    if (p->block.next_offset > p->position) p->position = p->block.next_offset; /* what was there is gone */
    return WEIR_OK;
}

/* Room for the rows of one event, and how many are in it. */
typedef struct rows {
    slice *key, *content;
    int64_t *ms, *offset;
    header_list *headers;
    uint32_t count, room;
} rows;

static rows rows_new(arena *a, uint32_t room)
{
    return (rows){ .key = ARENA_ARRAY(a, slice, room),
                   .content = ARENA_ARRAY(a, slice, room),
                   .ms = ARENA_ARRAY(a, int64_t, room),
                   .offset = ARENA_ARRAY(a, int64_t, room),
                   .room = room };
}

static weir_rc take_rows(local_client *c, part *p, rows *r, weir_error *err)
{
    while (r->count < r->room && p->position < p->end) {
        if (!p->is_open) {
            if (r->count > 0 && c->unpacked_bytes > POLL_BYTES_MAX) break;
            WEIR_TRY(load_block(c, p, r->room - r->count, err));
            if (!p->is_open) {
                p->position = p->end; /* all of it is gone */
                break;
            }
        }
        uint32_t some = r->room - r->count < p->block.rows_left ? r->room - r->count : p->block.rows_left;
        uint32_t at = r->count;
        if (p->block.has_headers && r->headers == NULL) r->headers = ARENA_ZEROS(c->lent, header_list, r->room);
        if (!block_take(&p->block, some, r->key + at, r->content + at, r->ms + at, r->offset + at,
                        r->headers == NULL ? NULL : r->headers + at, c->lent)) {
            close_block(c, p);
            return damaged(p, err);
        }
        r->count += some;
        p->position = p->block.next_offset;
        if (p->block.rows_left == 0) close_block(c, p);
    }
    return WEIR_OK;
}

/* What one partition has, as events. */
static weir_rc fetch_part(local_client *c, part *p, uint32_t *rows_left, uint32_t *count, weir_error *err)
{
    fetch common = { .source = p->source, .partition = p->partition };

    if (p->is_paused) return WEIR_OK;
    if (p->position < p->end && *rows_left > 0) {
        uint64_t there = (uint64_t)(p->end - p->position);
        rows r = rows_new(c->lent, there < *rows_left ? (uint32_t)there : *rows_left);
        WEIR_TRY(take_rows(c, p, &r, err));
        *rows_left -= r.count;
        if (r.count > 0) {
            fetch *e = &c->events[(*count)++];
            *e = common;
            e->kind = FETCH_RECORDS;
            e->rows = r.count;
            e->key = r.key;
            e->value = r.content;
            e->timestamp_ms = r.ms;
            e->offset = r.offset;
            e->headers = r.headers;
            e->next_offset = p->position;
            p->end_is_told = false;
        }
    }
    if (p->position >= p->end && !p->end_is_told) {
        fetch *e = &c->events[(*count)++];
        *e = common;
        e->kind = FETCH_END;
        e->next_offset = p->position;
        p->end_is_told = true;
    }
    return WEIR_OK;
}

static weir_rc refresh_ends(local_client *c, weir_error *err)
{
    uint64_t commit = lmdb_last_commit(c->storage->env);
    partition_ends ends;

    if (commit == c->seen_commit) return WEIR_OK;
    int code = poll_txn(c);
    for (uint32_t i = 0; i < c->part_count && code == 0; i++) {
        part *p = &c->parts[i];
        code = local_get_ends(c->storage, c->polling.txn, p->topic->id, p->partition, &ends);
        if (code == MDB_NOTFOUND) {
            return weir_fail(err, WEIR_STORAGE, NOWHERE, "topic %s was deleted while it was read", p->topic->name);
        }
        if (code == 0) p->end = ends.end;
    }
    if (code != 0) return lmdb_fail(c->storage->env, code, "read a topic's offsets", err);
    c->seen_commit = mdb_txn_id(c->polling.txn);
    return WEIR_OK;
}

static weir_rc fetch_all(local_client *c, uint32_t rows_max, uint32_t *count, weir_error *err)
{
    uint32_t rows_left = rows_max, turn = c->turn;

    WEIR_TRY(refresh_ends(c, err));
    for (uint32_t i = 0; i < c->part_count; i++) {
        uint32_t at = (turn + i) % c->part_count, before = rows_left;
        bool is_full = c->unpacked_bytes > POLL_BYTES_MAX && !c->parts[at].is_open;
        uint32_t none = 0;
        WEIR_TRY(fetch_part(c, &c->parts[at], is_full ? &none : &rows_left, count, err));
        if (rows_left < before) c->turn = (at + 1) % c->part_count;
    }
    return WEIR_OK;
}

/* The assignment never changes: partition p goes to instance p % instances. */
static weir_rc assign(local_client *c, uint32_t *count, weir_error *err)
{
    char bytes[PLACE_KEY_BYTES] = { 'p' };
    MDB_val key = { sizeof bytes, bytes }, data;
    partition_ends ends;
    int code = poll_txn(c);

    for (uint32_t i = 0; i < c->part_count && code == 0; i++) {
        part *p = &c->parts[i];
        put_u32(bytes + 1, c->id);
        put_u32(bytes + 5, p->topic->id);
        put_u32(bytes + 9, (uint32_t)p->partition);
        code = local_get_ends(c->storage, c->polling.txn, p->topic->id, p->partition, &ends);
        if (code != 0) break;
        p->end = ends.end;
        p->committed = c->start[p->source] == START_LATEST ? ends.end : ends.begin;
        if (!c->is_transient) {
            code = mdb_get(c->polling.txn, c->storage->env->dbi[DB_OFFSETS], &key, &data);
            if (code == 0) p->committed = (int64_t)get_u64(data.mv_data);
            if (code == MDB_NOTFOUND) code = 0;
        }
        p->position = p->committed;
    }
    if (code != 0) return lmdb_fail(c->storage->env, code, "read the positions of a query", err);
    c->is_assigned = true;
    c->events[(*count)++] = (fetch){ .kind = FETCH_ASSIGNED,
                                     .partitions = c->partitions,
                                     .partition_count = c->partition_count };
    return WEIR_OK;
}

/* Sleeps until something was committed, here or by another process, or the client is woken (then: true), or it is time. */
static bool wait_for_news(local_client *c, int64_t until_ms)
{
    local_storage *s = c->storage;
    int64_t look_ms = LOOK_MS_MIN;
    bool is_woken;

    pthread_mutex_lock(&s->lock);
    while (!c->is_woken && lmdb_last_commit(s->env) == c->seen_commit) {
        int64_t left_ms = until_ms - clock_monotonic_ms(&s->wall);
        if (left_ms <= 0) break;
        struct timespec until = thread_deadline(look_ms < left_ms ? look_ms : left_ms);
        pthread_cond_timedwait(&s->news, &s->lock, &until);
        look_ms = look_ms * 2 < LOOK_MS_MAX ? look_ms * 2 : LOOK_MS_MAX;
    }
    is_woken = c->is_woken;
    pthread_mutex_unlock(&s->lock);
    if (!is_woken) lmdb_check_readers(s->env);
    return is_woken;
}

weir_rc local_client_poll(client *base, int timeout_ms, uint32_t rows_max, const fetch **events, uint32_t *count,
                          weir_error *err)
{
    local_client *c = client_of(base);
    local_storage *s = c->storage;
    int64_t until_ms = clock_monotonic_ms(&s->wall) + timeout_ms;
    bool may_wait = timeout_ms != 0 && !s->options.clock->is_virtual;
    weir_rc rc;

    *count = 0;
    *events = c->events;
    recycle(c);
    c->unpacked_bytes = 0;
    for (;;) {
        rc = c->is_assigned ? fetch_all(c, rows_max, count, err) : assign(c, count, err);
        end_poll_txn(c);
        if (rc != WEIR_OK || *count > 0 || !may_wait) break;
        if (wait_for_news(c, timeout_ms < 0 ? INT64_MAX : until_ms) ||
            (timeout_ms > 0 && clock_monotonic_ms(&s->wall) >= until_ms)) {
            may_wait = false; /* one last look */
        }
    }
    pthread_mutex_lock(&s->lock);
    c->is_woken = false;
    pthread_mutex_unlock(&s->lock);
    return rc;
}

void local_client_wake(client *base)
{
    local_client *c = client_of(base);

    pthread_mutex_lock(&c->storage->lock);
    c->is_woken = true;
    pthread_cond_broadcast(&c->storage->news);
    pthread_mutex_unlock(&c->storage->lock);
}

weir_rc local_client_pause(client *base, uint32_t source, int32_t partition, bool paused, weir_error *err)
{
    part *p = find_part(client_of(base), source, partition);

    if (p == NULL) return not_ours(source, partition, err);
    p->is_paused = paused;
    return WEIR_OK;
}

weir_rc local_client_seek(client *base, uint32_t source, int32_t partition, int64_t offset, weir_error *err)
{
    part *p = find_part(client_of(base), source, partition);

    if (p == NULL || !client_of(base)->is_assigned) return not_ours(source, partition, err);
    close_block(client_of(base), p);
    p->position = offset < 0 ? 0 : offset;
    p->end_is_told = false;
    return WEIR_OK;
}

weir_rc local_client_position(client *base, uint32_t source, int32_t partition, int64_t *next_offset, weir_error *err)
{
    part *p = find_part(client_of(base), source, partition);

    if (p == NULL || !client_of(base)->is_assigned) return not_ours(source, partition, err);
    *next_offset = p->committed;
    return WEIR_OK;
}

/* ---- writing ---- */

weir_rc local_client_produce(client *base, const output *out, weir_error *err)
{
    local_client *c = client_of(base);

    assert(out->sink < c->sink_count);
    sink *k = &c->sinks[out->sink];
    int32_t partitions = k->topic.partitions;
    for (uint32_t i = 0; i < out->rows; i++) {
        uint64_t bytes = out->key[i].len + out->value[i].len;
        if (bytes > RECORD_BYTES_MAX) return local_too_large(&k->topic, bytes, err);
        int32_t p = out->partition == NULL ? -1 : out->partition[i];
        if (p < 0 && partitions == 1) p = 0;
        if (p < 0) {
            p = out->key[i].data != NULL ? partition_for_key(out->key[i], partitions)
                                         : (int32_t)(k->spread++ % (uint64_t)partitions);
        }
        if (p >= partitions) {
            return weir_fail(err, WEIR_INTERNAL, NOWHERE, "topic %s has no partition %d", k->topic.name, (int)p);
        }
        block_run *run = &k->runs[p];
        if (run->builder.rows == 0 && run->blocks == NULL) c->touched[c->touched_count++] = run;
        base->waiting_bytes += bytes;
        block_run_add(run, out->key[i], out->value[i], out->timestamp_ms[i],
                      out->headers == NULL ? NULL : &out->headers[i]);
    }
    return WEIR_OK;
}

static void drop_outputs(local_client *c)
{
    for (uint32_t i = 0; i < c->touched_count; i++) block_run_clear(c->touched[i]);
    c->touched_count = 0;
    c->base.waiting_bytes = 0;
}

static weir_rc collect_places(local_client *c, const position *positions, uint32_t count, uint32_t *used, weir_error *err)
{
    *used = 0;
    if (count > c->places_room) {
        free(c->places);
        c->places = calloc(count, sizeof *c->places);
        c->places_room = c->places == NULL ? 0 : count;
        if (c->places == NULL) return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory to commit %u positions", count);
    }
    for (uint32_t i = 0; i < count; i++) {
        part *p = find_part(c, positions[i].source, positions[i].partition);
        if (p == NULL) return not_ours(positions[i].source, positions[i].partition, err);
        c->places[(*used)++] = (place){ p->topic, p->partition, positions[i].next_offset };
    }
    return WEIR_OK;
}

weir_rc local_client_commit(client *base, const epoch *epochs, uint32_t epoch_count, const position *positions,
                            uint32_t position_count, weir_error *err)
{
    local_client *c = client_of(base);
    uint32_t places;

    if (c->is_transient) {
        return weir_fail(err, WEIR_INTERNAL, NOWHERE, "a transient client has nothing to commit to");
    }
    WEIR_TRY(collect_places(c, positions, position_count, &places, err));
    for (uint32_t i = 0; i < c->touched_count; i++) block_run_pack(c->touched[i]);
    submission sub = { .runs = c->touched,
                       .run_count = c->touched_count,
                       .epochs = epochs,
                       .epoch_count = epoch_count,
                       .client_id = c->id,
                       .places = c->places,
                       .place_count = places };
    bool has_changes = false;
    for (uint32_t i = 0; i < epoch_count; i++) has_changes = has_changes || epochs[i].change_count > 0;
    if (c->touched_count > 0 || places > 0 || has_changes) WEIR_TRY(local_submit(c->storage, &sub, err));
    drop_outputs(c);
    end_state_txn(c);
    for (uint32_t i = 0; i < position_count; i++) {
        find_part(c, positions[i].source, positions[i].partition)->committed = positions[i].next_offset;
    }
    return WEIR_OK;
}

weir_rc local_client_abort(client *base, weir_error *err)
{
    local_client *c = client_of(base);

    (void)err;
    drop_outputs(c);
    end_state_txn(c);
    for (uint32_t i = 0; i < c->part_count && c->is_assigned; i++) {
        close_block(c, &c->parts[i]);
        c->parts[i].position = c->parts[i].committed;
        c->parts[i].end_is_told = false;
    }
    return WEIR_OK;
}
