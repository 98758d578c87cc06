/* storage/kafka_state.c - tasks' state: an LMDB environment each, behind a changelog topic that is the truth.
 *
 * <dir>/tasks/<query>~<sub-topology>/<partition>/ is an environment. It is never synced while it is used (the changelog has
 * it all), so it is good only within the run of the kernel that wrote it: <partition>.boot beside it names that run, from
 * before the first write to a clean, synced close. One of another run means wipe and restore. */
#include "storage/kafka.h"

#include "core/bytes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STATE_FORMAT 2 /* 2: a run's blocks may be close */
#define STATE_MAP_BYTES ((uint64_t)64 << 30)
#define REPLAY_ROWS 10000
#define REPLAY_STALL_MS 90000  /* without progress: a dead owner's transaction should have timed out by then */
#define BEHIND_MS_MAX 43200000 /* after that the changelog may have forgotten deletions (delete.retention.ms: a day) */
#define PATH_BYTES 4096
#define FILE_BYTES (PATH_BYTES + 512) /* of one in such a path */

static const char *const DATABASES[] = { "meta", "state", NULL }; /* KAFKA_DB_META, KAFKA_DB_STATE */

/* ---- paths and markers ---- */

/* As a file name: '/' is '~', what is neither letter, digit nor one of _.- is %XX. */
static void escape(text *t, slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.data[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                        c == '-' || (c == '.' && i > 0);
        if (c == '/') {
            text_add_char(t, '~');
        } else if (is_plain) {
            text_add_char(t, (char)c);
        } else {
            text_printf(t, "%%%02X", c);
        }
    }
}

void kafka_state_path(text *t, const kafka_storage *s, slice name)
{
    text_add(t, s->base.dir);
    text_add_c(t, "/tasks/");
    escape(t, name);
}

static bool boot_id(char id[64])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t bytes = fd < 0 ? -1 : read(fd, id, 63);

    if (fd >= 0) close(fd);
    if (bytes <= 0) return false;
    id[bytes] = '\0';
    id[strcspn(id, "\n")] = '\0';
    return true;
}

typedef enum marker { MARKER_NONE, MARKER_THIS_RUN, MARKER_OTHER_RUN } marker;

static marker read_marker(const char *path)
{
    char file[FILE_BYTES], found[64] = "", now[64] = "";

    snprintf(file, sizeof file, "%s.boot", path);
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return MARKER_NONE;
    ssize_t bytes = read(fd, found, sizeof found - 1);
    close(fd);
    if (bytes < 0) bytes = 0;
    found[bytes] = '\0';
    return boot_id(now) && strcmp(found, now) == 0 ? MARKER_THIS_RUN : MARKER_OTHER_RUN;
}

static int sync_directory_of(const char *path)
{
    char dir[FILE_BYTES];

    snprintf(dir, sizeof dir, "%s", path);
    char *end = strrchr(dir, '/');
    if (end != NULL) *end = '\0';
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno;
    int code = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return code;
}

static int write_marker(const char *path)
{
    char file[FILE_BYTES], now[64] = "";
    int code = 0;

    snprintf(file, sizeof file, "%s.boot", path);
    if (!boot_id(now)) snprintf(now, sizeof now, "unknown"); /* equals none: wiped at the next start */
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return errno;
    if (write(fd, now, strlen(now)) != (ssize_t)strlen(now) || fsync(fd) != 0) code = errno;
    close(fd);
    return code == 0 ? sync_directory_of(file) : code;
}

static void remove_marker(const char *path)
{
    char file[FILE_BYTES];

    snprintf(file, sizeof file, "%s.boot", path);
    unlink(file);
}

static void wipe(const char *path)
{
    char file[FILE_BYTES];

    snprintf(file, sizeof file, "%s/data.mdb", path);
    unlink(file);
    snprintf(file, sizeof file, "%s/lock.mdb", path);
    unlink(file);
    rmdir(path);
    remove_marker(path);
}

/* ---- meta: what an environment says of itself ---- */

static int put_meta(const kafka_task *t, MDB_txn *txn)
{
    const weir_clock wall = { 0 };
    char record[32];
    MDB_val key = { 8, "position" }, data = { sizeof record, record };

    put_u64(record, (uint64_t)t->changelog_offset);
    put_u64(record + 8, (uint64_t)clock_now_ms(&wall));
    put_u64(record + 16, (uint64_t)t->size.entries);
    put_u64(record + 24, (uint64_t)t->size.bytes);
    return mdb_put(txn, t->env->dbi[KAFKA_DB_META], &key, &data, 0);
}

static int get_meta(kafka_task *t, MDB_txn *txn, int64_t *written_ms)
{
    MDB_val key = { 8, "position" }, data;
    int code = mdb_get(txn, t->env->dbi[KAFKA_DB_META], &key, &data);

    if (code == MDB_NOTFOUND) return 0;
    if (code != 0) return code;
    if (data.mv_size != 32) return MDB_CORRUPTED;
    const char *record = data.mv_data;
    t->changelog_offset = (int64_t)get_u64(record);
    *written_ms = (int64_t)get_u64(record + 8);
    t->size.entries = (int64_t)get_u64(record + 16);
    t->size.bytes = (int64_t)get_u64(record + 24);
    return 0;
}

/* The layout is written with the first opening, and compared by every later one. */
static weir_rc check_layout(kafka_task *t, const state_spec *spec, MDB_txn *txn, weir_error *err)
{
    MDB_val key = { 6, "layout" }, data;
    int code = mdb_get(txn, t->env->dbi[KAFKA_DB_META], &key, &data);

    if (code == MDB_NOTFOUND) {
        data = lmdb_val(spec->layout.data != NULL ? spec->layout : SLICE(""));
        code = mdb_put(txn, t->env->dbi[KAFKA_DB_META], &key, &data, 0);
        return code == 0 ? WEIR_OK : lmdb_fail(t->env, code, "write state", err);
    }
    if (code != 0) return lmdb_fail(t->env, code, "read state", err);
    if (slice_equal(lmdb_slice(data), spec->layout)) return WEIR_OK;
    return weir_fail(err, WEIR_STORAGE, NOWHERE,
                     "the state of %.*s was written for another plan of the query (layout %.*s, now %.*s): DROP the query "
                     "and create it again to rebuild it from its sources",
                     SLICE_ARG(spec->name), (int)data.mv_size, (const char *)data.mv_data, SLICE_ARG(spec->layout));
}

static weir_rc forget_all(kafka_task *t, MDB_txn *txn, weir_error *err)
{
    int code = mdb_drop(txn, t->env->dbi[KAFKA_DB_STATE], 0);

    t->changelog_offset = 0;
    t->size = (state_growth){ 0, 0 };
    if (code == 0) code = put_meta(t, txn);
    return code == 0 ? WEIR_OK : lmdb_fail(t->env, code, "clear state", err);
}

/* ---- restore ---- */

static weir_rc changelog_end(kafka_task *t, int64_t *end, weir_error *err)
{
    kafka_client *c = t->client;

    if (c->producer == NULL) return weir_fail_act(err, WEIR_BROKER, WEIR_ACT_RETRY, "not connected to Kafka");
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, t->changelog, t->partition)->offset = RD_KAFKA_OFFSET_END;
    weir_rc rc = kafka_look_up_offsets(c->home, c->producer, list, err); /* it reads uncommitted: the high watermark */
    *end = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    return rc;
}

typedef struct replay {
    rd_kafka_t *consumer;
    rd_kafka_message_t *held[REPLAY_ROWS];
    state_change changes[REPLAY_ROWS];
    uint32_t rows;
    int64_t next; /* the position behind what is held */
} replay;

static weir_rc replay_apply(kafka_task *t, replay *r, weir_error *err)
{
    state_growth growth = { 0, 0 };
    MDB_txn *txn;
    int code;

    for (uint32_t i = 0; i < r->rows; i++) {
        rd_kafka_message_t *m = r->held[i];
        if (m->key_len < 2) {
            return weir_fail(err, WEIR_STORAGE, NOWHERE, "changelog %s has a record that weir did not write, at offset %lld",
                             t->changelog, (long long)m->offset);
        }
        r->changes[i] = (state_change){ .store = get_u16(m->key),
                                        .key = { (char *)m->key + 2, m->key_len - 2 },
                                        .value = { m->payload, m->payload == NULL ? 0 : m->len } };
    }
    if ((code = lmdb_begin_write(t->env, &txn)) != 0) return lmdb_fail(t->env, code, "restore state", err);
    code = state_lmdb_apply(txn, &t->space, r->changes, r->rows, &growth);
    state_growth size = t->size;
    int64_t offset = t->changelog_offset;
    t->size.entries += growth.entries;
    t->size.bytes += growth.bytes;
    t->changelog_offset = r->next;
    if (code == 0) code = put_meta(t, txn);
    if (code == 0) {
        code = lmdb_commit(t->env, txn);
    } else {
        lmdb_abort(t->env, txn);
    }
    if (code != 0) {
        t->size = size;
        t->changelog_offset = offset;
    }
    for (uint32_t i = 0; i < r->rows; i++) rd_kafka_message_destroy(r->held[i]);
    r->rows = 0;
    return code == 0 ? WEIR_OK : lmdb_fail(t->env, code, "restore state", err);
}

static weir_rc replay_open(kafka_task *t, replay *r, weir_error *err)
{
    kafka_storage *s = t->client->home;
    const char *const settings[] = { "group.id", t->client->group, "enable.auto.commit", "false", "isolation.level",
                                     "read_committed", "enable.partition.eof", "true", NULL };
    const struct rd_kafka_metadata *metadata;

    WEIR_TRY(kafka_handle_new(&r->consumer, s, KAFKA_CONSUMER, settings, &s->handle, NULL, err));
    (void)rd_kafka_poll_set_consumer(r->consumer);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(r->consumer, t->changelog, NULL);
    rd_kafka_resp_err_t code = rd_kafka_metadata(r->consumer, 0, topic, &metadata, KAFKA_RPC_MS);
    rd_kafka_topic_destroy(topic);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_metadata_destroy(metadata);
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(list, t->changelog, t->partition)->offset = t->changelog_offset;
        code = rd_kafka_assign(r->consumer, list);
        rd_kafka_topic_partition_list_destroy(list);
    }
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ? WEIR_OK : kafka_fail(s, code, NULL, "read a changelog", err);
}

/* Takes one record or event; *at_end: everything before `end` is held or applied. */
static weir_rc replay_step(kafka_task *t, replay *r, int64_t end, bool *progressed, weir_error *err)
{
    rd_kafka_message_t *m = rd_kafka_consumer_poll(r->consumer, 100);
    weir_rc rc = WEIR_OK;

    *progressed = false;
    if (m == NULL) return WEIR_OK;
    if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        r->held[r->rows++] = m;
        *progressed = true;
        r->next = m->offset + 1;
        if (r->rows == REPLAY_ROWS || r->next >= end) rc = replay_apply(t, r, err);
        if (rc == WEIR_OK && r->next % 1024 == 0) kafka_wake_fetchers(r->consumer);
        return rc;
    }
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        *progressed = m->offset > r->next;
        if (*progressed) r->next = m->offset;
        rc = replay_apply(t, r, err);
    } else if (!kafka_is_transient_error(m->err)) {
        rc = kafka_fail(t->client->home, m->err, rd_kafka_message_errstr(m), "read a changelog", err);
    }
    rd_kafka_message_destroy(m);
    return rc;
}

static weir_rc replay_until(kafka_task *t, int64_t end, weir_error *err)
{
    replay *r = calloc(1, sizeof *r);
    int64_t stalled_ms = kafka_now_ms();
    bool progressed;
    weir_rc rc;

    if (r == NULL) return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory to restore state");
    r->next = t->changelog_offset;
    rc = replay_open(t, r, err);
    while (rc == WEIR_OK && r->next < end) {
        rc = replay_step(t, r, end, &progressed, err);
        if (progressed) stalled_ms = kafka_now_ms();
        if (rc == WEIR_OK && kafka_now_ms() - stalled_ms > REPLAY_STALL_MS) {
            rc = weir_fail_act(err, WEIR_BROKER, WEIR_ACT_RETRY,
                               "changelog %s, partition %d: cannot read beyond offset %lld: another process's transaction "
                               "is open there",
                               t->changelog, (int)t->partition, (long long)r->next);
        }
    }
    for (uint32_t i = 0; i < r->rows; i++) rd_kafka_message_destroy(r->held[i]);
    if (r->consumer != NULL) rd_kafka_destroy_flags(r->consumer, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    free(r);
    return rc;
}

weir_rc kafka_task_restore(kafka_task *t, weir_error *err)
{
    int64_t end = 0;

    if (t->changelog != NULL) {
        WEIR_TRY(changelog_end(t, &end, err));
        if (t->changelog_offset < end) WEIR_TRY(replay_until(t, end, err));
    }
    t->is_behind = false;
    return WEIR_OK;
}

/* Is what the environment holds a prefix of this changelog, and one whose rest is still whole? Otherwise: from the start. */
static weir_rc check_prefix(kafka_task *t, int64_t written_ms, MDB_txn *txn, weir_error *err)
{
    const weir_clock wall = { 0 };
    int64_t end = 0;

    if (t->changelog == NULL || t->changelog_offset == 0) return WEIR_OK;
    WEIR_TRY(changelog_end(t, &end, err));
    bool is_other = t->changelog_offset > end; /* deleted and made again */
    bool is_old = t->changelog_offset < end && clock_now_ms(&wall) - written_ms > BEHIND_MS_MAX;
    return is_other || is_old ? forget_all(t, txn, err) : WEIR_OK;
}

/* ---- opening ---- */

static weir_rc ensure_changelog(kafka_task *t, const state_spec *spec, weir_error *err)
{
    kafka_storage *s = t->client->home;
    slice name = slice_of(t->changelog);
    int32_t partitions;
    weir_rc rc = kafka_partition_count(s, name, &partitions, err);

    if (rc == WEIR_SEMANTIC) { /* unknown */
        topic_spec topic = { .name = name, .partitions = spec->partitions, .is_compacted = true, .is_internal = true };
        rc = kafka_topic_create(&s->base, &topic, err);
        if (rc == WEIR_OK || rc == WEIR_SEMANTIC) rc = kafka_partition_count(s, name, &partitions, err);
    }
    if (rc != WEIR_OK || partitions == spec->partitions) return rc;
    return weir_fail(err, WEIR_STORAGE, NOWHERE, "changelog %s has %d partitions, and the query %d tasks: DROP the query and "
                     "create it again to rebuild its state",
                     t->changelog, (int)partitions, (int)spec->partitions);
}

static weir_rc make_directories(const kafka_storage *s, const char *path, weir_error *err)
{
    char dir[PATH_BYTES];

    snprintf(dir, sizeof dir, "%.*s/tasks", SLICE_ARG(s->base.dir));
    if (mkdir(dir, 0777) != 0 && errno != EEXIST) return lmdb_fail_at(dir, errno, "make a state directory", err);
    snprintf(dir, sizeof dir, "%s", path);
    if (mkdir(dir, 0777) != 0 && errno != EEXIST) return lmdb_fail_at(dir, errno, "make a state directory", err);
    return WEIR_OK;
}

static lmdb_options state_options(bool is_temporary)
{
    return (lmdb_options){ .databases = DATABASES,
                           .map_bytes = STATE_MAP_BYTES,
                           .format = STATE_FORMAT,
                           .flags = MDB_NOSYNC,
                           .is_temporary = is_temporary };
}

static weir_rc open_env(kafka_task *t, const state_spec *spec, weir_error *err)
{
    kafka_storage *s = t->client->home;
    bool is_temporary = !spec->has_changelog || s->base.dir.len == 0;
    lmdb_options options = state_options(is_temporary);
    text path = TEXT_EMPTY;
    weir_rc rc;

    if (is_temporary) {
        return lmdb_env_open(&t->env, s->base.dir.len > 0 ? s->base.dir : SLICE("/tmp"), &options, err);
    }
    kafka_state_path(&path, s, spec->name);
    rc = make_directories(s, path.data, err);
    text_printf(&path, "/%d", (int)spec->partition);
    t->path = strndup(path.data, path.len);
    text_free(&path);
    if (rc != WEIR_OK) return rc;
    if (t->path == NULL) return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory to open state");
    if (strlen(t->path) > PATH_BYTES - 32) return lmdb_fail_at(t->path, ENAMETOOLONG, "open state", err);
    if (read_marker(t->path) == MARKER_OTHER_RUN) wipe(t->path);
    int code = write_marker(t->path);
    if (code != 0) return lmdb_fail_at(t->path, code, "open state", err);
    return lmdb_env_open(&t->env, slice_of(t->path), &options, err);
}

static weir_rc load(kafka_task *t, const state_spec *spec, weir_error *err)
{
    int64_t written_ms = 0;
    MDB_txn *txn;
    int code = lmdb_begin_write(t->env, &txn);

    if (code != 0) return lmdb_fail(t->env, code, "open state", err);
    weir_rc rc = check_layout(t, spec, txn, err);
    if (rc == WEIR_OK && (code = get_meta(t, txn, &written_ms)) != 0) rc = lmdb_fail(t->env, code, "open state", err);
    if (rc == WEIR_OK) rc = check_prefix(t, written_ms, txn, err);
    if (rc != WEIR_OK) {
        lmdb_abort(t->env, txn);
        return rc;
    }
    code = lmdb_commit(t->env, txn);
    return code == 0 ? WEIR_OK : lmdb_fail(t->env, code, "open state", err);
}

static weir_rc open_task(kafka_task *t, const state_spec *spec, weir_error *err)
{
    kafka_client *c = t->client;

    if (spec->has_changelog && !c->is_transient) {
        text name = TEXT_EMPTY;
        text_printf(&name, "%s-%.*s-changelog", c->home->service, SLICE_ARG(spec->name));
        for (size_t i = 0; i < name.len; i++) {
            if (name.data[i] == '/') name.data[i] = '-';
        }
        t->changelog = arena_c_string(c->memory, text_slice(&name));
        text_free(&name);
        WEIR_TRY(ensure_changelog(t, spec, err));
    }
    WEIR_TRY(open_env(t, spec, err));
    t->space = (state_space){ .dbi = t->env->dbi[KAFKA_DB_STATE], .env = t->env, .memory = &t->memory };
    WEIR_TRY(load(t, spec, err));
    return kafka_task_restore(t, err);
}

weir_rc kafka_task_open(task_state **out, client *c, const state_spec *spec, weir_error *err)
{
    kafka_task *t = calloc(1, sizeof *t);

    if (t == NULL) return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory to open state");
    t->base.class = &kafka_storage_class;
    t->client = (kafka_client *)c;
    t->partition = spec->partition;
    t->next = t->client->tasks;
    t->client->tasks = t;
    weir_rc rc = open_task(t, spec, err);
    if (rc != WEIR_OK) {
        kafka_task_close(&t->base);
        return rc;
    }
    *out = &t->base;
    return WEIR_OK;
}

void kafka_task_close(task_state *base)
{
    kafka_task *t = (kafka_task *)base;
    kafka_task **at = &t->client->tasks;

    while (*at != t) at = &(*at)->next;
    *at = t->next;
    if (t->env != NULL) {
        lmdb_reader_end(t->env, &t->reader);
        if (t->path != NULL && lmdb_sync(t->env) == 0) remove_marker(t->path);
        lmdb_env_close(t->env);
    }
    run_memory_free(&t->memory);
    free(t->path);
    free(t);
}

/* ---- reading and writing ---- */

void kafka_task_end_reading(kafka_task *t)
{
    lmdb_reader_rest(t->env, &t->reader);
}

/* One read transaction serves until the next commit or abort. */
static weir_rc begin_reading(kafka_task *t, weir_error *err)
{
    int code = lmdb_reader_begin(t->env, &t->reader);

    return code == 0 ? WEIR_OK : lmdb_fail(t->env, code, "read state", err);
}

weir_rc kafka_task_get(task_state *base, uint16_t store, slice key, slice *value, bool *found, weir_error *err)
{
    kafka_task *t = (kafka_task *)base;

    WEIR_TRY(begin_reading(t, err));
    int code = state_lmdb_get(t->reader.txn, &t->space, store, key, value, found);
    return code == 0 ? WEIR_OK : lmdb_fail(t->env, code, "read state", err);
}

weir_rc kafka_task_get_all(task_state *base, uint16_t store, const slice *keys, const uint64_t *hashes, uint32_t count, arena *memory,
                           slice *values, weir_error *err)
{
    kafka_task *t = (kafka_task *)base;

    WEIR_TRY(begin_reading(t, err));
    int code = state_lmdb_get_all(t->reader.txn, &t->space, store, keys, hashes, count, memory, values);
    return code == 0 ? WEIR_OK : lmdb_fail(t->env, code, "read state", err);
}

weir_rc kafka_task_scan(task_state *base, uint16_t store, slice from, slice to, state_cursor **out, weir_error *err)
{
    kafka_task *t = (kafka_task *)base;

    WEIR_TRY(begin_reading(t, err));
    return state_lmdb_scan(out, t->env, t->reader.txn, &t->space, store, from, to, NULL, NULL, err);
}

weir_rc kafka_task_size(task_state *base, uint64_t *bytes, uint64_t *entries, weir_error *err)
{
    kafka_task *t = (kafka_task *)base;

    (void)err;
    *bytes = t->size.bytes > 0 ? (uint64_t)t->size.bytes : 0;
    *entries = t->size.entries > 0 ? (uint64_t)t->size.entries : 0;
    return WEIR_OK;
}

static int write_changes(kafka_task *t, const state_change *changes, uint32_t count)
{
    state_growth growth = { 0, 0 };
    MDB_txn *txn;
    int code = lmdb_begin_write(t->env, &txn);

    if (code != 0) return code;
    if ((code = state_lmdb_apply(txn, &t->space, changes, count, &growth)) == 0) {
        t->size.entries += growth.entries;
        t->size.bytes += growth.bytes;
        /* the records, and the marker that ends their transaction */
        if (t->changelog != NULL) t->changelog_offset += (int64_t)count + (t->client->at_least_once ? 0 : 1);
        code = put_meta(t, txn);
    }
    if (code == 0) return lmdb_commit(t->env, txn);
    lmdb_abort(t->env, txn);
    return code;
}

weir_rc kafka_task_commit(kafka_task *t, const state_change *changes, uint32_t count, weir_error *err)
{
    state_growth size = t->size;
    int64_t offset = t->changelog_offset;

    kafka_task_end_reading(t);
    int code = t->is_behind ? EAGAIN : write_changes(t, changes, count); /* never a later epoch without this one */
    if (code == 0) {
        lmdb_forget_pages();
        return WEIR_OK;
    }
    t->size = size;
    t->changelog_offset = offset;
    t->is_behind = true;
    return lmdb_fail(t->env, code, "commit state", err);
}

/* ---- for other readers ---- */

static bool is_readable_state(const char *path)
{
    char file[FILE_BYTES];

    snprintf(file, sizeof file, "%s/data.mdb", path);
    return access(file, R_OK) == 0 && read_marker(path) != MARKER_OTHER_RUN;
}

weir_rc kafka_state_open_to_read(const char *path, lmdb_env **env, MDB_txn **txn, weir_error *err)
{
    lmdb_options options = state_options(false);
    char file[FILE_BYTES];

    if (!is_readable_state(path)) return WEIR_OK;
    snprintf(file, sizeof file, "%s/data.mdb", path);
    /* Where this process may write, it opens to write: the task that owns it may be one of this process, or come to be. */
    options.is_read_only = access(file, W_OK) != 0;
    weir_rc rc = lmdb_env_open(env, slice_of(path), &options, err);
    if (rc != WEIR_OK) return access(file, R_OK) == 0 ? rc : WEIR_OK;
    lmdb_check_readers(*env);
    int code = lmdb_begin_read(*env, txn);
    return code == 0 ? WEIR_OK : lmdb_fail(*env, code, "read state", err);
}

/* ---- dropping a query ---- */

/* Does it end so, behind something else? Takes that off. */
static bool take_end(slice *name, const char *end)
{
    size_t len = strlen(end);

    if (name->len <= len || memcmp(name->data + name->len - len, end, len) != 0) return false;
    name->len -= len;
    return true;
}

/* Behind the query's name stands the number of a sub-topology, or the name of an exchange, which is of small letters, digits and -.
 * An id that goes on behind another's with a - has a _ before its own number. */
bool kafka_topic_is_of(slice topic, slice name)
{
    if (take_end(&topic, "-changelog")) return storage_is_state_of(topic, name, '-');
    if (!take_end(&topic, "-repartition") && !take_end(&topic, "-subscription")) return false;
    if (topic.len < name.len + 2 || memcmp(topic.data, name.data, name.len) != 0 || topic.data[name.len] != '-') return false;
    for (size_t i = name.len + 1; i < topic.len; i++) {
        char c = topic.data[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-') return false;
    }
    return true;
}

static slice name_of(const kafka_storage *s, slice query, arena *a)
{
    return arena_printf(a, "%s-%.*s", s->service, SLICE_ARG(query));
}

static weir_rc drop_topics(kafka_storage *s, slice query, arena *a, weir_error *err)
{
    slice name = name_of(s, query, a);
    topic_info *topics;
    uint32_t count, dropped = 0;

    WEIR_TRY(kafka_topic_list(&s->base, a, &topics, &count, err));
    const char **names = ARENA_ARRAY(a, const char *, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        if (kafka_topic_is_of(topics[i].name, name)) names[dropped++] = arena_c_string(a, topics[i].name);
    }
    return kafka_topics_delete(s, names, dropped, err);
}

/* The group's positions overwritten with a mark that says: none. For a group whose members' sessions have not ended; a
 * transaction may commit positions of any group. */
static weir_rc mark_dropped(kafka_storage *s, const char *group, const rd_kafka_topic_partition_list_t *committed,
                            weir_error *err)
{
    char id[512];
    rd_kafka_t *producer;
    rd_kafka_error_t *error;

    snprintf(id, sizeof id, "%s-drop", group);
    WEIR_TRY(kafka_handle_new(&producer, s, KAFKA_PRODUCER, (const char *const[]){ "transactional.id", id, NULL }, &s->handle,
                              NULL, err));
    rd_kafka_topic_partition_list_t *marked = rd_kafka_topic_partition_list_copy(committed);
    rd_kafka_consumer_group_metadata_t *any = rd_kafka_consumer_group_metadata_new(group);
    for (int i = 0; i < marked->cnt; i++) {
        rd_kafka_topic_partition_t *at = &marked->elems[i];
        if (at->metadata != NULL) rd_kafka_mem_free(NULL, at->metadata);
        at->metadata = rd_kafka_mem_malloc(NULL, sizeof KAFKA_DROPPED);
        memcpy(at->metadata, KAFKA_DROPPED, sizeof KAFKA_DROPPED);
        at->metadata_size = sizeof KAFKA_DROPPED - 1;
    }
    error = rd_kafka_init_transactions(producer, 30000);
    if (error == NULL) error = rd_kafka_begin_transaction(producer);
    if (error == NULL) error = rd_kafka_send_offsets_to_transaction(producer, marked, any, 30000);
    if (error == NULL) error = rd_kafka_commit_transaction(producer, -1);
    weir_rc rc = WEIR_OK;
    if (error != NULL) {
        rc = kafka_fail(s, rd_kafka_error_code(error), rd_kafka_error_string(error), "drop the query's positions", err);
        rd_kafka_error_destroy(error);
    }
    rd_kafka_consumer_group_metadata_destroy(any);
    rd_kafka_topic_partition_list_destroy(marked);
    rd_kafka_destroy(producer);
    return rc;
}

static weir_rc reset_group(kafka_storage *s, rd_kafka_t *rk, const char *group, weir_error *err)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_ListConsumerGroupOffsets_t *asked = rd_kafka_ListConsumerGroupOffsets_new(group, NULL);
    rd_kafka_event_t *event;
    size_t count;

    rd_kafka_ListConsumerGroupOffsets(rk, &asked, 1, NULL, queue);
    weir_rc rc = kafka_admin_wait(s, queue, "drop the query's positions", &event, err);
    if (rc == WEIR_OK) {
        const rd_kafka_group_result_t **results =
            rd_kafka_ListConsumerGroupOffsets_result_groups(rd_kafka_event_ListConsumerGroupOffsets_result(event), &count);
        const rd_kafka_topic_partition_list_t *committed = rd_kafka_group_result_partitions(results[0]);
        if (committed != NULL && committed->cnt > 0) rc = mark_dropped(s, group, committed, err);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_ListConsumerGroupOffsets_destroy(asked);
    rd_kafka_queue_destroy(queue);
    return rc;
}

static weir_rc drop_group(kafka_storage *s, const char *group, weir_error *err)
{
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_event_t *event;
    rd_kafka_t *rk;
    size_t count;

    WEIR_TRY(kafka_shared(s, &rk, err));
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_DeleteGroup_t *asked = rd_kafka_DeleteGroup_new(group);
    rd_kafka_DeleteGroups(rk, &asked, 1, NULL, queue);
    weir_rc rc = kafka_admin_wait(s, queue, "drop the query's positions", &event, err);
    if (rc == WEIR_OK) {
        const rd_kafka_group_result_t **results =
            rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(event), &count);
        const rd_kafka_error_t *error = rd_kafka_group_result_error(results[0]);
        if (error != NULL) code = rd_kafka_error_code(error);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_DeleteGroup_destroy(asked);
    rd_kafka_queue_destroy(queue);
    if (rc != WEIR_OK || code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND) return rc;
    if (code == RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP) return reset_group(s, rk, group, err);
    return kafka_fail(s, code, NULL, "drop the query's positions", err);
}

static void remove_state(const char *path)
{
    DIR *dir = opendir(path);
    char task[PATH_BYTES + 260];
    struct dirent *entry;

    if (dir == NULL) return;
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.') continue;
        snprintf(task, sizeof task, "%s/%s", path, entry->d_name);
        slice name = slice_of(entry->d_name);
        if (take_end(&name, ".boot")) {
            unlink(task);
        } else {
            wipe(task); /* also what an interrupted creation left */
        }
    }
    closedir(dir);
    rmdir(path);
}

/* The directories of a query's states; do_each() gets the path of each. Whether there is one. */
static bool each_state(const kafka_storage *s, slice query, void (*do_each)(const char *path))
{
    text escaped = TEXT_EMPTY, path = TEXT_EMPTY;
    struct dirent *entry;
    bool any = false;

    if (s->base.dir.len == 0) return false;
    escape(&escaped, query);
    text_printf(&path, "%.*s/tasks", SLICE_ARG(s->base.dir));
    DIR *dir = opendir(path.data);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (!storage_is_state_of(slice_of(entry->d_name), text_slice(&escaped), '~')) continue;
        any = true;
        text_clear(&path);
        text_printf(&path, "%.*s/tasks/%s", SLICE_ARG(s->base.dir), entry->d_name);
        if (do_each != NULL) do_each(path.data);
    }
    if (dir != NULL) closedir(dir);
    text_free(&escaped);
    text_free(&path);
    return any;
}

weir_rc kafka_drop_query(storage *base, slice query, weir_error *err)
{
    kafka_storage *s = (kafka_storage *)base;
    arena *a = arena_new(0);
    weir_rc rc = drop_topics(s, query, a, err);

    if (rc == WEIR_OK) rc = drop_group(s, name_of(s, query, a).data, err);
    if (rc == WEIR_OK) (void)each_state(s, query, remove_state);
    arena_free(a);
    return rc;
}

/* ---- what is left of dropped queries ---- */

static weir_rc find_topics(kafka_storage *s, const slice *queries, uint32_t count, bool *is_left, arena *a, weir_error *err)
{
    topic_info *topics;
    uint32_t topic_count;

    WEIR_TRY(kafka_topic_list(&s->base, a, &topics, &topic_count, err));
    for (uint32_t i = 0; i < count; i++) {
        slice name = name_of(s, queries[i], a);
        for (uint32_t k = 0; k < topic_count && !is_left[i]; k++) is_left[i] = kafka_topic_is_of(topics[k].name, name);
    }
    return WEIR_OK;
}

static weir_rc find_groups(kafka_storage *s, const slice *queries, uint32_t count, bool *is_left, arena *a, weir_error *err)
{
    const struct rd_kafka_group_list *groups;
    rd_kafka_t *rk;

    WEIR_TRY(kafka_shared(s, &rk, err));
    rd_kafka_resp_err_t code = rd_kafka_list_groups(rk, NULL, &groups, KAFKA_RPC_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return kafka_fail(s, code, NULL, "list consumer groups", err);
    for (uint32_t i = 0; i < count; i++) {
        const char *group = name_of(s, queries[i], a).data;
        for (int k = 0; k < groups->group_cnt && !is_left[i]; k++) is_left[i] = strcmp(groups->groups[k].group, group) == 0;
    }
    rd_kafka_group_list_destroy(groups);
    return WEIR_OK;
}

weir_rc kafka_tidy(storage *base, const slice *queries, uint32_t count, bool *is_left, weir_error *err)
{
    kafka_storage *s = (kafka_storage *)base;

    if (count == 0) return WEIR_OK; /* it asks the broker nothing */
    for (uint32_t i = 0; i < count; i++) is_left[i] = each_state(s, queries[i], NULL);
    arena *a = arena_new(0);
    weir_rc rc = find_topics(s, queries, count, is_left, a, err);
    if (rc == WEIR_OK) rc = find_groups(s, queries, count, is_left, a, err);
    arena_free(a);
    return rc;
}
