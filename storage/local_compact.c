/* storage/local_compact.c - compaction of topics whose cleanup policy says so: of each key the newest record stays, with its
 * offset and in its order; those that it replaced go. As Kafka's log cleaner does it, a pass over one partition
 *   maps      the keys of what came since the last pass, each to its newest offset, until the map is full or only the newest
 *             block is left, which is never touched: positions and ends stand on it;
 *   rewrites  the blocks from the partition's beginning up to there without the rows that the map has newer ones of; small
 *             neighbours are joined;
 *   notes     how far it came: before that offset no key is there twice.
 * Each call of local_compact() is one step of that: it reads some MiB in a read transaction and packs what stays, then replaces
 * blocks in one write transaction, which is right by itself: whatever is interrupted has lost nothing, and is done again.
 *
 * A deletion's record (a key without content) goes by a pass that begins a day after it was first passed over as the newest of its
 * key, so that readers who are behind learn of it. Time of day counts, not the records' own: a topic of last year's data would lose
 * them at once. By then nothing older of its key is left that could come back. Records without key stay. */
#include "storage/local.h"

#include "core/bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <xxhash.h>

#define DIRTY_BYTES_MIN ((uint64_t)64 << 20) /* fewer new bytes are not worth a pass */
#define KEYS_MAX ((uint64_t)640 << 10)       /* in the map; with those of one block more it has 24 MiB */
#define STEP_BYTES ((uint64_t)8 << 20)       /* read in one step */
#define WRITE_BYTES ((uint64_t)2 << 20)      /* written in one step, and a block */
#define STEP_BLOCKS_MAX 2048                 /* replaced in one step */
#define SMALL_BYTES (BLOCK_BYTES / 2)        /* a block of less is joined with its neighbours */
#define TOMBSTONE_MS ((int64_t)24 * 60 * 60 * 1000)
#define CHUNK_ROWS 128
#define CLEANED_BYTES 40

/* What is known of a partition since its last pass. */
typedef struct cleaned {
    int64_t to;     /* each key is there once before this offset */
    uint64_t bytes; /* that the blocks before it had */
    int64_t aged_to;              /* deletions before this offset were passed a day before the last pass began, or longer */
    int64_t passed_to, passed_ms; /* those before this one by then */
} cleaned;

typedef struct seen_key {
    XXH128_hash_t hash;
    int64_t after; /* the newest offset, plus 1; 0: a free slot */
} seen_key;

/* Keys by 128 bits of hash from a seed of the pass's own: that two share them is less likely than that the disk errs. */
typedef struct key_map {
    seen_key *slots;
    uint64_t room, count; /* room: a power of two, or 0 */
    uint64_t seed;
} key_map;

typedef struct compaction {
    enum { SEARCHING, MAPPING, REWRITING } phase;
    local_topic topic; /* at first, no name; then also where the search goes on */
    int32_t partition;
    cleaned was;
    int64_t begun_ms;
    int64_t tombstones_to; /* those before this offset go */
    int64_t at;            /* the next to be mapped or rewritten */
    int64_t to;            /* what is before this offset is mapped */
    uint64_t bytes;        /* of the blocks before `at`, as they are now */
    uint64_t step_bytes;   /* to be read in a step: fewer while others take away what is being rewritten */
    key_map map;
    text stored, body; /* a block, packed and unpacked */
    block_builder builder;
} compaction;

/* ---- the map ---- */

/* The key's slot, or the free one where it belongs; the map has room. */
static seen_key *find_slot(const key_map *m, XXH128_hash_t hash)
{
    uint64_t at = hash.low64 & (m->room - 1);

    while (m->slots[at].after != 0 && !XXH128_isEqual(m->slots[at].hash, hash)) at = (at + 1) & (m->room - 1);
    return &m->slots[at];
}

static bool map_grow(key_map *m)
{
    key_map more = { .room = m->room == 0 ? 1024 : 2 * m->room, .count = m->count, .seed = m->seed };

    more.slots = calloc(more.room, sizeof *more.slots);
    if (more.slots == NULL) return false;
    for (uint64_t i = 0; i < m->room; i++) {
        if (m->slots[i].after != 0) *find_slot(&more, m->slots[i].hash) = m->slots[i];
    }
    free(m->slots);
    *m = more;
    return true;
}

static bool map_note(key_map *m, slice key, int64_t offset)
{
    if (m->count >= m->room / 4 * 3 && !map_grow(m)) return false;
    XXH128_hash_t hash = XXH3_128bits_withSeed(key.data, key.len, m->seed);
    seen_key *slot = find_slot(m, hash);
    m->count += slot->after == 0;
    *slot = (seen_key){ hash, offset + 1 };
    return true;
}

static bool is_replaced(const key_map *m, slice key, int64_t offset)
{
    return m->room > 0 && find_slot(m, XXH3_128bits_withSeed(key.data, key.len, m->seed))->after > offset + 1;
}

/* ---- what is noted of a partition ---- */

static int get_cleaned(local_storage *s, MDB_txn *txn, uint32_t topic, int32_t partition, cleaned *out)
{
    char bytes[CLEANED_KEY_BYTES];
    MDB_val key = { sizeof bytes, bytes }, data;

    *out = (cleaned){ 0 };
    cleaned_key(bytes, topic, partition);
    int code = mdb_get(txn, s->env->dbi[DB_OFFSETS], &key, &data);
    if (code != 0) return code == MDB_NOTFOUND ? 0 : code;
    if (data.mv_size != CLEANED_BYTES) return MDB_CORRUPTED;
    const char *at = data.mv_data;
    *out = (cleaned){ (int64_t)get_u64(at), get_u64(at + 8), (int64_t)get_u64(at + 16), (int64_t)get_u64(at + 24),
                      (int64_t)get_u64(at + 32) };
    return 0;
}

/* The end of a pass. *argument: the compaction. */
static int note_cleaned(local_storage *s, MDB_txn *txn, void *argument)
{
    const compaction *c = argument;
    char bytes[CLEANED_KEY_BYTES], numbers[CLEANED_BYTES];
    MDB_val key = { sizeof bytes, bytes }, data = { sizeof numbers, numbers };
    cleaned now = c->was;
    partition_ends ends;
    int code = local_get_ends(s, txn, c->topic.id, c->partition, &ends);

    if (code != 0) return code == MDB_NOTFOUND ? 0 : code; /* the topic was deleted */
    now.to = c->to;
    now.bytes = c->bytes;
    if (c->begun_ms - now.passed_ms >= TOMBSTONE_MS) { /* until then, those passed since wait for the next turn */
        now.aged_to = now.passed_to;
        now.passed_to = c->to;
        now.passed_ms = clock_now_ms(s->options.clock);
    }
    cleaned_key(bytes, c->topic.id, c->partition);
    put_u64(numbers, (uint64_t)now.to);
    put_u64(numbers + 8, now.bytes);
    put_u64(numbers + 16, (uint64_t)now.aged_to);
    put_u64(numbers + 24, (uint64_t)now.passed_to);
    put_u64(numbers + 32, (uint64_t)now.passed_ms);
    return mdb_put(txn, s->env->dbi[DB_OFFSETS], &key, &data, 0);
}

/* ---- what is to be done ---- */

/* Is there as much new as is worth rewriting what is old? */
static int look_at(local_storage *s, MDB_txn *txn, compaction *c, bool *is_due)
{
    uint64_t least = s->options.compact_bytes_min > 0 ? s->options.compact_bytes_min : DIRTY_BYTES_MIN;
    partition_ends ends;
    int code = local_get_ends(s, txn, c->topic.id, c->partition, &ends);

    if (code == 0) code = get_cleaned(s, txn, c->topic.id, c->partition, &c->was);
    if (code != 0) return code;
    uint64_t clean = c->was.to > ends.begin ? c->was.bytes : 0; /* retention may have taken it */
    *is_due = ends.bytes >= clean + least && ends.bytes - clean > clean;
    c->at = c->was.to > ends.begin ? c->was.to : ends.begin;
    return 0;
}

/* Goes on at the compaction's topic and partition. */
static int search(local_storage *s, MDB_txn *txn, compaction *c, bool *found)
{
    char bytes[1 + sizeof c->topic.name] = { 't' };
    size_t len = strlen(c->topic.name);
    MDB_val key = { 1 + len, bytes }, data;
    MDB_cursor *cursor;
    int code = mdb_cursor_open(txn, s->env->dbi[DB_META], &cursor);

    *found = false;
    if (code != 0) return code;
    memcpy(bytes + 1, c->topic.name, len);
    code = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
    while (code == 0 && *(char *)key.mv_data == 't') {
        slice name = { (char *)key.mv_data + 1, key.mv_size - 1 };
        if (!slice_equal(name, slice_of(c->topic.name))) c->partition = 0;
        code = local_find_topic(s, txn, name, &c->topic);
        for (; code == 0 && c->topic.is_compacted && c->partition < c->topic.partitions; c->partition++) {
            code = look_at(s, txn, c, found);
            if (code != 0 || *found) break;
        }
        if (code != 0 || *found) break;
        code = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? 0 : code;
}

static void end_pass(compaction *c)
{
    free(c->map.slots);
    c->map = (key_map){ 0 };
    text_free(&c->stored);
    text_free(&c->body);
    block_builder_free(&c->builder);
    c->builder = (block_builder){ 0 };
    c->phase = SEARCHING;
}

void local_compact_close(local_storage *s)
{
    if (s->compaction == NULL) return;
    end_pass(s->compaction);
    free(s->compaction);
    s->compaction = NULL;
}

static uint64_t step_bytes_max(const local_storage *s)
{
    return s->options.compact_step_bytes > 0 ? s->options.compact_step_bytes : STEP_BYTES;
}

static int begin_pass(local_storage *s, compaction *c, bool *found)
{
    MDB_txn *txn;
    int code = lmdb_begin_read(s->env, &txn);

    if (code != 0) return code;
    code = search(s, txn, c, found);
    lmdb_abort(s->env, txn);
    if (code != 0 || !*found) return code;
    c->phase = MAPPING;
    c->to = c->at;
    c->step_bytes = step_bytes_max(s);
    c->begun_ms = clock_now_ms(s->options.clock);
    c->tombstones_to = c->begun_ms - c->was.passed_ms >= TOMBSTONE_MS ? c->was.passed_to : c->was.aged_to;
    if (getrandom(&c->map.seed, sizeof c->map.seed, 0) < 0) c->map.seed = (uint64_t)clock_monotonic_ns();
    return 0;
}

/* ---- reading blocks ---- */

/* Block by block, in a read transaction of one step. */
typedef struct walk {
    MDB_txn *txn;
    MDB_cursor *cursor;
    partition_ends ends;
    uint64_t bytes_left; /* to be read in this step */
    int64_t last;        /* of the block stood at: the offset it is stored by */
    size_t bytes, body_bytes;
    block_reader rows;
} walk;

/* MDB_NOTFOUND: the topic was deleted. */
static int walk_begin(local_storage *s, const compaction *c, walk *w)
{
    *w = (walk){ .bytes_left = c->step_bytes };
    int code = lmdb_begin_read(s->env, &w->txn);
    if (code != 0) return code;
    code = local_get_ends(s, w->txn, c->topic.id, c->partition, &w->ends);
    return code != 0 ? code : mdb_cursor_open(w->txn, s->env->dbi[DB_LOG], &w->cursor);
}

static void walk_end(local_storage *s, walk *w)
{
    if (w->cursor != NULL) mdb_cursor_close(w->cursor);
    lmdb_abort(s->env, w->txn);
}

/* The next block, if all of it lies before that offset; else MDB_NOTFOUND. */
static int walk_next(local_storage *s, compaction *c, walk *w, int64_t before)
{
    char bytes[LOG_KEY_BYTES];
    MDB_val key = { sizeof bytes, bytes }, data;
    block_info info;
    slice stored;

    log_key(bytes, c->topic.id, c->partition, c->at);
    int code = mdb_cursor_get(w->cursor, &key, &data, MDB_SET_RANGE);
    if (code != 0) return code;
    if (key.mv_size != LOG_KEY_BYTES || memcmp(key.mv_data, bytes, 8) != 0) return MDB_NOTFOUND;
    w->last = (int64_t)get_u64((char *)key.mv_data + 8);
    if (w->last >= before) return MDB_NOTFOUND;
    if ((code = lmdb_fetch(s->env, data, &c->stored, &stored)) != 0) return code;
    if (!block_peek(stored, &info)) return MDB_CORRUPTED;
    text_clear(&c->body);
    text_reserve(&c->body, info.body_bytes + BLOCK_TAIL_BYTES);
    if (!block_open(&w->rows, stored, c->body.data)) return MDB_CORRUPTED;
    w->bytes = data.mv_size;
    w->body_bytes = info.body_bytes;
    w->bytes_left -= w->bytes < w->bytes_left ? w->bytes : w->bytes_left;
    c->at = w->last + 1;
    return 0;
}

typedef struct chunk {
    uint32_t rows;
    slice key[CHUNK_ROWS], content[CHUNK_ROWS];
    int64_t ms[CHUNK_ROWS], offset[CHUNK_ROWS];
    header_list headers[CHUNK_ROWS]; /* where the block has any */
} chunk;

static bool next_chunk(block_reader *r, chunk *k, arena *a)
{
    arena_reset(a);
    k->rows = r->rows_left < CHUNK_ROWS ? r->rows_left : CHUNK_ROWS;
    return block_take(r, k->rows, k->key, k->content, k->ms, k->offset, k->headers, a);
}

/* ---- mapping ---- */

static int map_block(compaction *c, block_reader *r, arena *a)
{
    chunk k;

    while (r->rows_left > 0) {
        if (!next_chunk(r, &k, a)) return MDB_CORRUPTED;
        for (uint32_t i = 0; i < k.rows; i++) {
            if (k.key[i].data != NULL && !map_note(&c->map, k.key[i], k.offset[i])) return ENOMEM;
        }
    }
    return 0;
}

static int map_step(local_storage *s, compaction *c)
{
    uint64_t keys_max = s->options.compact_keys_max > 0 ? s->options.compact_keys_max : KEYS_MAX;
    arena *a = arena_new(0);
    walk w;
    int code = walk_begin(s, c, &w);

    while (code == 0 && w.bytes_left > 0) {
        code = c->map.count < keys_max ? walk_next(s, c, &w, w.ends.end - 1) : MDB_NOTFOUND;
        if (code == 0) code = map_block(c, &w.rows, a);
        if (code == 0) c->to = c->at;
    }
    if (code == MDB_NOTFOUND) { /* at the end, or the topic was deleted: then there is nothing to rewrite either */
        code = 0;
        c->phase = REWRITING;
        c->at = w.ends.begin;
        c->bytes = 0;
    }
    walk_end(s, &w);
    arena_free(a);
    return code;
}

/* ---- rewriting ---- */

typedef struct old_block {
    int64_t last;
    size_t bytes;
} old_block;

typedef struct new_block {
    struct new_block *next;
    text bytes;
    int64_t first, last;
    bool is_small;
} new_block;

/* What one write transaction replaces: groups of neighbours, between which others stay as they are. */
typedef struct rewrite {
    compaction *c;
    old_block old[STEP_BLOCKS_MAX];
    uint32_t old_count;
    new_block *new, **new_end, *newest;
    uint64_t old_bytes, new_bytes;
    uint32_t group_blocks; /* the last of the old ones, whose rows are in the builder */
    bool group_shrinks;
    bool is_stale; /* something of it is not there any more */
} rewrite;

static void pack_rows(rewrite *w)
{
    block_builder *b = &w->c->builder;

    if (b->rows == 0) return;
    new_block *n = calloc(1, sizeof *n);
    if (n == NULL) abort(); /* as all small allocations */
    n->first = b->first_offset;
    n->last = b->next_offset - 1;
    n->is_small = b->bytes.len < SMALL_BYTES;
    uint64_t body_checksum = block_pack(b, true, &n->bytes);
    block_place(&n->bytes, body_checksum, n->first);
    *w->new_end = w->newest = n;
    w->new_end = &n->next;
    w->new_bytes += n->bytes.len;
    w->c->bytes += n->bytes.len;
}

static void end_group(rewrite *w)
{
    if (w->group_blocks == 1 && !w->group_shrinks) { /* small, but alone */
        size_t bytes = w->old[--w->old_count].bytes;
        w->old_bytes -= bytes;
        w->c->bytes += bytes;
        block_builder_clear(&w->c->builder);
    } else {
        pack_rows(w);
    }
    w->group_blocks = 0;
    w->group_shrinks = false;
}

static bool stays(const compaction *c, const chunk *k, uint32_t i)
{
    if (k->key[i].data == NULL) return true;
    if (k->content[i].data == NULL && k->offset[i] < c->tombstones_to) return false;
    return !is_replaced(&c->map, k->key[i], k->offset[i]);
}

static int look_for_gone(const compaction *c, block_reader rows, arena *a, bool *shrinks)
{
    chunk k;

    *shrinks = false;
    while (rows.rows_left > 0 && !*shrinks) {
        if (!next_chunk(&rows, &k, a)) return MDB_CORRUPTED;
        for (uint32_t i = 0; i < k.rows && !*shrinks; i++) *shrinks = !stays(c, &k, i);
    }
    return 0;
}

static int take_block(rewrite *w, const walk *from, arena *a)
{
    compaction *c = w->c;
    block_reader rows = from->rows;
    bool shrinks;
    chunk k;
    int code = look_for_gone(c, rows, a, &shrinks);

    if (code != 0) return code;
    if (!shrinks && from->body_bytes >= SMALL_BYTES) {
        end_group(w);
        c->bytes += from->bytes;
        return 0;
    }
    w->old[w->old_count++] = (old_block){ from->last, from->bytes };
    w->old_bytes += from->bytes;
    w->group_blocks++;
    w->group_shrinks = w->group_shrinks || shrinks;
    while (rows.rows_left > 0) {
        if (!next_chunk(&rows, &k, a)) return MDB_CORRUPTED;
        for (uint32_t i = 0; i < k.rows; i++) {
            if (!stays(c, &k, i)) continue;
            block_add_at(&c->builder, k.offset[i], k.key[i], k.content[i], k.ms[i], rows.has_headers ? &k.headers[i] : NULL);
            if (block_is_full(&c->builder)) pack_rows(w);
        }
    }
    return 0;
}

/* Reads and packs. *done: it came to the end of what is mapped, or the topic was deleted. */
static int prepare(local_storage *s, rewrite *w, bool *done)
{
    compaction *c = w->c;
    arena *a = arena_new(0);
    walk from;
    int code = walk_begin(s, c, &from);

    while (code == 0 && from.bytes_left > 0 && w->old_count < STEP_BLOCKS_MAX && w->new_bytes < WRITE_BYTES) {
        code = walk_next(s, c, &from, c->to);
        if (code == 0) code = take_block(w, &from, a);
    }
    *done = code == MDB_NOTFOUND;
    walk_end(s, &from);
    arena_free(a);
    if (code != 0 && !*done) return code;
    const new_block *before = w->newest;
    end_group(w);
    if (!*done && w->newest != before && w->newest->is_small) { /* it is taken once more, with what follows */
        c->at = w->newest->first;
        c->bytes -= w->newest->bytes.len;
    }
    return 0;
}

static int remove_old(MDB_cursor *cursor, const rewrite *w)
{
    char bytes[LOG_KEY_BYTES];
    int code = 0;

    for (uint32_t i = 0; i < w->old_count && code == 0; i++) {
        MDB_val key = { sizeof bytes, bytes }, data;
        log_key(bytes, w->c->topic.id, w->c->partition, w->old[i].last);
        code = mdb_cursor_get(cursor, &key, &data, MDB_SET_KEY);
        if (code == 0 && data.mv_size != w->old[i].bytes) code = MDB_NOTFOUND;
        if (code == 0) code = mdb_cursor_del(cursor, 0);
    }
    return code;
}

static int put_new(local_storage *s, MDB_txn *txn, const rewrite *w)
{
    char bytes[LOG_KEY_BYTES];
    int code = 0;

    for (const new_block *n = w->new; n != NULL && code == 0; n = n->next) {
        MDB_val key = { sizeof bytes, bytes }, data = { n->bytes.len, n->bytes.data };
        log_key(bytes, w->c->topic.id, w->c->partition, n->last);
        if (s->options.fault != NULL) code = s->options.fault(s->options.fault_self, "block");
        if (code == 0) code = mdb_put(txn, s->env->dbi[DB_LOG], &key, &data, MDB_NOOVERWRITE);
    }
    return code;
}

static int replace_blocks(local_storage *s, MDB_txn *txn, void *argument)
{
    rewrite *w = argument;
    partition_ends ends;
    MDB_cursor *cursor;
    int code = local_get_ends(s, txn, w->c->topic.id, w->c->partition, &ends);

    if (code == 0 && (code = mdb_cursor_open(txn, s->env->dbi[DB_LOG], &cursor)) == 0) {
        code = remove_old(cursor, w);
        mdb_cursor_close(cursor);
    }
    w->is_stale = code == MDB_NOTFOUND; /* by retention, or with its topic */
    if (code == 0) code = put_new(s, txn, w);
    if (code == 0) code = lmdb_raise_format(s->env, txn); /* 1 knows no gaps */
    if (code != 0) return code;
    ends.bytes = ends.bytes + w->new_bytes > w->old_bytes ? ends.bytes + w->new_bytes - w->old_bytes : 0;
    return local_put_ends(s, txn, w->c->topic.id, w->c->partition, &ends);
}

static void rewrite_free(rewrite *w)
{
    for (new_block *n = w->new, *next; n != NULL; n = next) {
        next = n->next;
        text_free(&n->bytes);
        free(n);
    }
    free(w);
}

/* *done: nothing was left to be written. */
static weir_rc rewrite_step(local_storage *s, compaction *c, bool *done, weir_error *err)
{
    rewrite *w = calloc(1, sizeof *w);
    int64_t at = c->at;
    uint64_t bytes = c->bytes;
    weir_rc rc = WEIR_OK;

    if (w == NULL) return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory to compact %s", c->topic.name);
    w->c = c;
    w->new_end = &w->new;
    int code = prepare(s, w, done);
    if (code != 0) {
        rc = lmdb_fail(s->env, code, "compact a topic", err);
    } else if (w->old_count > 0) {
        *done = false;
        rc = local_update(s, "compact a topic", replace_blocks, w, err);
    }
    if (w->is_stale) { /* the next step finds what there is instead, if anything */
        c->at = at;
        c->bytes = bytes;
        c->step_bytes = c->step_bytes / 4 + 1;
        rc = WEIR_OK;
    } else if (c->step_bytes < step_bytes_max(s)) {
        c->step_bytes *= 2;
    }
    rewrite_free(w);
    return rc;
}

/* ---- a step ---- */

static weir_rc take_step(local_storage *s, compaction *c, bool *more, weir_error *err)
{
    bool found = true, done = false;
    int code = 0;

    if (c->phase == SEARCHING) {
        code = begin_pass(s, c, &found);
        *more = found;
    } else if (c->phase == MAPPING) {
        code = map_step(s, c);
    } else if (c->to > c->was.to) {
        WEIR_TRY(rewrite_step(s, c, &done, err));
        if (done) WEIR_TRY(local_update(s, "compact a topic", note_cleaned, c, err));
        if (done) end_pass(c); /* and looks again whether more is to be done here */
    } else {
        end_pass(c); /* the newest block alone is new */
        c->partition++;
    }
    return code == 0 ? WEIR_OK : lmdb_fail(s->env, code, "compact a topic", err);
}

weir_rc local_compact(storage *base, bool *more, weir_error *err)
{
    local_storage *s = local_of(base);

    *more = false;
    if (s->env->is_read_only) return WEIR_OK;
    if (s->compaction == NULL) s->compaction = calloc(1, sizeof *s->compaction);
    compaction *c = s->compaction;
    if (c == NULL) return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory to compact topics");
    *more = true;
    weir_rc rc = take_step(s, c, more, err);
    if (rc != WEIR_OK) { /* the others have their turn before this one is tried again */
        end_pass(c);
        c->partition++;
    } else if (!*more) {
        local_compact_close(s);
    }
    lmdb_forget_pages();
    return rc;
}
