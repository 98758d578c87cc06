/* storage/local_commit.c - the one way records, state and positions are written: threads that submit at the same time
 * share a write transaction. The first becomes the leader and takes what waits; those that come meanwhile wait for the
 * next. One fsync then serves many tasks, and nobody computes while the transaction is open. */
#include "storage/local.h"

#include "core/bytes.h"

#include <errno.h>
#include <stdlib.h>

#define DROP_BLOCKS_MAX 256 /* of one partition in one commit, by retention */

/* ---- runs of blocks ---- */

/* Packs what the builder has. Compressed even where it is read once and deleted soon: writing the pages costs more than LZ4
 * does (1.05 us a record of 190 bytes against 0.64). */
void block_run_pack(block_run *r)
{
    if (r->builder.rows == 0) return;
    packed_block *b = calloc(1, sizeof *b);
    if (b == NULL) abort(); /* as all small allocations */
    b->rows = r->builder.rows;
    b->body_checksum = block_pack(&r->builder, true, &b->bytes);
    if (r->blocks == NULL) {
        r->blocks = b;
    } else {
        r->last->next = b;
    }
    r->last = b;
}

void block_run_add(block_run *r, slice key, slice content, int64_t timestamp_ms, const header_list *headers)
{
    block_add(&r->builder, key, content, timestamp_ms, headers);
    if (block_is_full(&r->builder)) block_run_pack(r);
}

void block_run_clear(block_run *r)
{
    block_builder_clear(&r->builder);
    for (packed_block *b = r->blocks, *next; b != NULL; b = next) {
        next = b->next;
        text_free(&b->bytes);
        free(b);
    }
    r->blocks = r->last = NULL;
}

void block_run_free(block_run *r)
{
    block_run_clear(r);
    block_builder_free(&r->builder);
}

/* ---- retention ---- */

/* Deletes whole blocks from the partition's beginning: while they are too old or too many, or lie before `passed`. The
 * newest block stays unless it was passed. */
static int drop_blocks(local_storage *s, MDB_txn *txn, const local_topic *t, int32_t partition, partition_ends *ends,
                       int64_t passed)
{
    MDB_cursor *cursor;
    char bytes[LOG_KEY_BYTES];
    MDB_val key = { sizeof bytes, bytes }, data;
    block_info info;
    int64_t old_ms = t->retention_ms > 0 ? clock_now_ms(s->options.clock) - t->retention_ms : INT64_MIN;
    int code = mdb_cursor_open(txn, s->env->dbi[DB_LOG], &cursor);

    if (code != 0) return code;
    log_key(bytes, t->id, partition, ends->begin);
    code = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
    for (int dropped = 0; code == 0 && dropped < DROP_BLOCKS_MAX; dropped++) {
        if (key.mv_size != LOG_KEY_BYTES || memcmp(key.mv_data, bytes, 8) != 0) break;
        if (!block_peek(lmdb_slice(data), &info)) code = MDB_CORRUPTED;
        int64_t next = (int64_t)get_u64((char *)key.mv_data + 8) + 1;
        bool is_too_much = t->retention_bytes > 0 && ends->bytes > (uint64_t)t->retention_bytes;
        bool is_newest = next >= ends->end;
        if (code != 0 || !(next <= passed || (!is_newest && (info.max_ms < old_ms || is_too_much)))) break;
        ends->begin = next;
        ends->bytes -= data.mv_size < ends->bytes ? data.mv_size : ends->bytes;
        if ((code = mdb_cursor_del(cursor, 0)) == 0) code = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
        lmdb_touched(s->env);
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? 0 : code;
}

/* ---- writing one submission ---- */

static int write_run(local_storage *s, MDB_txn *txn, block_run *run)
{
    char bytes[LOG_KEY_BYTES];
    partition_ends ends;
    int code = local_get_ends(s, txn, run->topic->id, run->partition, &ends);

    if (code != 0) return code;
    run->first_offset = ends.end;
    for (packed_block *b = run->blocks; b != NULL; b = b->next) {
        block_place(&b->bytes, b->body_checksum, ends.end);
        ends.end += b->rows;
        ends.bytes += b->bytes.len;
        log_key(bytes, run->topic->id, run->partition, ends.end - 1);
        MDB_val key = { sizeof bytes, bytes }, data = { b->bytes.len, b->bytes.data };
        if (s->options.fault != NULL) code = s->options.fault(s->options.fault_self, "block");
        if (code == 0) code = mdb_put(txn, s->env->dbi[DB_LOG], &key, &data, MDB_NOOVERWRITE);
        if (code != 0) return code;
    }
    if (run->topic->retention_ms > 0 || run->topic->retention_bytes > 0) {
        code = drop_blocks(s, txn, run->topic, run->partition, &ends, 0);
    }
    return code != 0 ? code : local_put_ends(s, txn, run->topic->id, run->partition, &ends);
}

static int write_place(local_storage *s, MDB_txn *txn, uint32_t client_id, const place *p)
{
    char bytes[PLACE_KEY_BYTES], number[8];
    MDB_val key = { sizeof bytes, bytes }, data = { sizeof number, number };
    partition_ends ends;

    bytes[0] = 'p';
    put_u32(bytes + 1, client_id);
    put_u32(bytes + 5, p->topic->id);
    put_u32(bytes + 9, (uint32_t)p->partition);
    put_u64(number, (uint64_t)p->next_offset);
    int code = mdb_put(txn, s->env->dbi[DB_OFFSETS], &key, &data, 0);
    if (code != 0 || !p->topic->is_repartition) return code;
    code = local_get_ends(s, txn, p->topic->id, p->partition, &ends);
    if (code == 0) code = drop_blocks(s, txn, p->topic, p->partition, &ends, p->next_offset);
    if (code == 0) code = local_put_ends(s, txn, p->topic->id, p->partition, &ends);
    return code == MDB_NOTFOUND ? 0 : code; /* the topic was deleted */
}

static int write_submission(local_storage *s, MDB_txn *txn, const submission *sub)
{
    int code = 0;

    for (uint32_t i = 0; i < sub->run_count && code == 0; i++) code = write_run(s, txn, sub->runs[i]);
    for (uint32_t i = 0; i < sub->epoch_count && code == 0; i++) {
        code = local_task_state_apply(s, txn, &sub->epochs[i]);
    }
    for (uint32_t i = 0; i < sub->place_count && code == 0; i++) {
        code = write_place(s, txn, sub->client_id, &sub->places[i]);
    }
    return code;
}

/* ---- what may be written ---- */

/* Pages in use. The file never shrinks, so what is free in it has to be taken off; adding that up takes a walk over the
 * list of free pages, only done when the file leaves no room for `more`. */
static int used_bytes(local_storage *s, uint64_t more, uint64_t *bytes)
{
    MDB_envinfo info;
    MDB_stat stat;
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key, data;
    uint64_t pages_free = 0;
    int code = lmdb_begin_read(s->env, &txn);

    if (code != 0) return code;
    if ((code = mdb_env_info(s->env->env, &info)) == 0) code = mdb_env_stat(s->env->env, &stat);
    *bytes = code == 0 ? (info.me_last_pgno + 1) * (uint64_t)stat.ms_psize : 0;
    if (code != 0 || *bytes + more <= s->options.quota_bytes) {
        lmdb_abort(s->env, txn);
        return code;
    }
    if ((code = mdb_cursor_open(txn, 0, &cursor)) == 0) { /* LMDB's own database 0: transaction -> count, pages */
        while ((code = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) == 0) pages_free += *(size_t *)data.mv_data;
        mdb_cursor_close(cursor);
    }
    lmdb_abort(s->env, txn);
    *bytes -= pages_free * stat.ms_psize;
    return code == MDB_NOTFOUND ? 0 : code;
}

static uint64_t submission_bytes(const submission *sub)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < sub->run_count; i++) {
        for (const packed_block *b = sub->runs[i]->blocks; b != NULL; b = b->next) bytes += b->bytes.len;
    }
    for (uint32_t i = 0; i < sub->epoch_count; i++) {
        for (uint32_t j = 0; j < sub->epochs[i].change_count; j++) bytes += sub->epochs[i].changes[j].value.len;
    }
    return bytes;
}

static void refuse(submission *sub, weir_rc rc)
{
    sub->is_refused = true;
    sub->rc = rc;
}

static void check_quota(local_storage *s, submission *list)
{
    uint64_t used = 0, more = 0, quota = s->options.quota_bytes;

    for (submission *sub = list; sub != NULL; sub = sub->next) more += submission_bytes(sub);
    int code = used_bytes(s, more, &used);
    for (submission *sub = list; sub != NULL; sub = sub->next) {
        more = submission_bytes(sub);
        if (code != 0) {
            refuse(sub, lmdb_fail(s->env, code, "look how full the data directory is", sub->err));
        } else if (more > 0 && used + more > quota) {
            refuse(sub, weir_fail_act(sub->err, WEIR_STORAGE, WEIR_ACT_RETRY,
                                      "data directory %.*s has reached its quota (%llu of %llu bytes are used); drop "
                                      "topics or queries, shorten a topic's retention, or raise the quota",
                                      SLICE_ARG(s->base.dir), (unsigned long long)used, (unsigned long long)quota));
        }
    }
}

/* A topic deleted meanwhile ends its writers, and nobody else. */
static int check_topics(local_storage *s, MDB_txn *txn, submission *sub)
{
    partition_ends ends;

    for (uint32_t i = 0; i < sub->run_count; i++) {
        const local_topic *t = sub->runs[i]->topic;
        int code = local_get_ends(s, txn, t->id, sub->runs[i]->partition, &ends);
        if (code == MDB_NOTFOUND) {
            refuse(sub, weir_fail(sub->err, WEIR_STORAGE, NOWHERE, "topic %s was deleted while it was written to",
                                  t->name));
            return 0;
        }
        if (code != 0) return code;
    }
    return 0;
}

/* ---- the shared commit ---- */

static int write_all(local_storage *s, submission *list)
{
    MDB_txn *txn;
    int code = s->env->is_read_only ? EROFS : lmdb_begin_write(s->env, &txn);

    if (code != 0) return code;
    for (submission *sub = list; sub != NULL && code == 0; sub = sub->next) {
        if (!sub->is_refused) code = check_topics(s, txn, sub);
        if (code == 0 && !sub->is_refused) code = write_submission(s, txn, sub);
    }
    if (code == 0 && s->options.fault != NULL) code = s->options.fault(s->options.fault_self, "commit");
    if (code == 0) return lmdb_commit(s->env, txn);
    lmdb_abort(s->env, txn);
    return code;
}

static void commit_list(local_storage *s, submission *list)
{
    if (s->options.quota_bytes > 0) check_quota(s, list);
    int code = write_all(s, list);
    for (submission *sub = list; code != 0 && sub != NULL; sub = sub->next) {
        if (!sub->is_refused) sub->rc = lmdb_fail(s->env, code, "commit", sub->err);
    }
    lmdb_check_readers(s->env);
    lmdb_forget_pages();
}

weir_rc local_submit(local_storage *s, submission *sub, weir_error *err)
{
    sub->next = NULL;
    sub->is_done = sub->is_refused = false;
    sub->rc = WEIR_OK;
    sub->err = err;
    pthread_mutex_lock(&s->lock);
    *s->waiting_end = sub;
    s->waiting_end = &sub->next;
    while (!sub->is_done && s->has_leader) pthread_cond_wait(&s->done, &s->lock);
    if (!sub->is_done) {
        submission *list = s->waiting;
        s->waiting = NULL;
        s->waiting_end = &s->waiting;
        s->has_leader = true;
        pthread_mutex_unlock(&s->lock);
        commit_list(s, list);
        pthread_mutex_lock(&s->lock);
        s->has_leader = false;
        for (submission *each = list, *next; each != NULL; each = next) {
            next = each->next; /* each is gone once its thread sees that it is done */
            each->is_done = true;
        }
        pthread_cond_broadcast(&s->done);
        pthread_cond_broadcast(&s->news);
    }
    pthread_mutex_unlock(&s->lock);
    return sub->rc;
}
