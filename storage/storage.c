/* storage/storage.c - the face of both backends: each public function goes to the storage's class. What they share is
 * here: the data directory and its engine lock. */
#include "storage/backend.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the data directory ---- */

/* As mkdir -p. */
static int make_directories(char *path)
{
    for (char *at = path + 1;; at++) {
        if (*at != '/' && *at != '\0') continue;
        char was = *at;
        *at = '\0';
        int code = mkdir(path, 0777) == 0 || errno == EEXIST ? 0 : errno;
        *at = was;
        if (was == '\0' || (code != 0 && code != EROFS && code != EACCES)) return code; /* above: may just exist */
    }
}

static weir_rc make_data_directory(char *dir, weir_error *err)
{
    struct stat entry;
    int code = 0;

    if (stat(dir, &entry) != 0) code = make_directories(dir);
    if (code == 0 && stat(dir, &entry) == 0 && !S_ISDIR(entry.st_mode)) code = ENOTDIR;
    if (code == 0) return WEIR_OK;
    return weir_fail(err, WEIR_STORAGE, NOWHERE, "cannot make data directory %s: %s; give another one with --data", dir,
                     strerror(code));
}

bool storage_is_state_of(slice state_name, slice query, char sign)
{
    if (state_name.len < query.len + 2 || memcmp(state_name.data, query.data, query.len) != 0) return false;
    if (state_name.data[query.len] != sign) return false;
    for (size_t i = query.len + 1; i < state_name.len; i++) {
        if (state_name.data[i] < '0' || state_name.data[i] > '9') return false;
    }
    return true;
}

weir_rc storage_init(storage *s, const storage_class *class, slice dir, slice internal_prefix, weir_error *err)
{
    char *copy = strndup(dir.data == NULL ? "" : dir.data, dir.len);
    char *prefix = strndup(internal_prefix.data == NULL ? "" : internal_prefix.data, internal_prefix.len);

    *s = (storage){ .class = class,
                    .engine_lock = -1,
                    .dir = { copy, dir.len },
                    .internal_prefix = { prefix, internal_prefix.len } };
    if (copy == NULL || prefix == NULL) {
        storage_clear(s);
        return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory to open a storage");
    }
    weir_rc rc = dir.len == 0 ? WEIR_OK : make_data_directory(copy, err);
    if (rc != WEIR_OK) storage_clear(s);
    return rc;
}

void storage_clear(storage *s)
{
    if (s->engine_lock >= 0) close(s->engine_lock);
    free((char *)s->dir.data);
    free((char *)s->internal_prefix.data);
    s->engine_lock = -1;
    s->dir = s->internal_prefix = NO_SLICE;
}

void storage_close(storage *s)
{
    if (s == NULL) return;
    s->class->close(s);
    storage_clear(s); /* the engine lock last: whoever takes it finds everything closed */
    free(s);
}

bool storage_is_cut_off(const storage *s)
{
    return atomic_load(&s->is_cut_off);
}

slice storage_directory(const storage *s)
{
    return s->dir.len == 0 ? NO_SLICE : s->dir;
}

/* ---- the engine lock ---- */

static int64_t read_owner(int fd)
{
    char number[32];
    ssize_t bytes = pread(fd, number, sizeof number - 1, 0);

    if (bytes <= 0) return 0;
    number[bytes] = '\0';
    return strtoll(number, NULL, 10);
}

static int write_owner(int fd)
{
    char number[32];
    int length = snprintf(number, sizeof number, "%lld\n", (long long)getpid());

    if (ftruncate(fd, 0) != 0) return errno;
    return pwrite(fd, number, (size_t)length, 0) == length ? 0 : errno;
}

/* An OFD lock: unlike a POSIX one it does not fall when another part of the process opens and closes the file, and
 * unlike a pid file it is gone with its holder, however that ended. */
weir_rc storage_lock_engine(storage *s, bool *got, int64_t *owner, weir_error *err)
{
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    char path[4096 + 16];
    int code = 0;

    *got = true;
    *owner = (int64_t)getpid();
    if (s->engine_lock >= 0 || s->dir.len == 0) return WEIR_OK; /* held; or a temporary storage, all ours */
    snprintf(path, sizeof path, "%.*s/engine.lock", (int)(s->dir.len < 4096 ? s->dir.len : 4096), s->dir.data);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        code = errno;
    } else if (fcntl(fd, F_OFD_SETLK, &whole) == 0) {
        code = write_owner(fd);
    } else if (errno == EAGAIN || errno == EACCES) {
        *got = false;
        *owner = read_owner(fd);
        close(fd);
        return WEIR_OK;
    } else {
        code = errno;
    }
    if (code == 0) {
        s->engine_lock = fd;
        return WEIR_OK;
    }
    if (fd >= 0) close(fd);
    return weir_fail(err, WEIR_STORAGE, NOWHERE, "cannot lock %s: %s; a query engine must be able to write there", path,
                     strerror(code));
}

int64_t storage_engine_owner(const storage *s)
{
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    char path[4096 + 16];

    if (s->engine_lock >= 0 || s->dir.len == 0) return 0;
    snprintf(path, sizeof path, "%.*s/engine.lock", (int)(s->dir.len < 4096 ? s->dir.len : 4096), s->dir.data);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    int64_t owner = fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK ? read_owner(fd) : 0;
    close(fd);
    return owner;
}

/* ---- to the backend ---- */

bool storage_is_kafka(const storage *s) { return s->class->name[0] == 'k'; }
slice storage_internal_prefix(const storage *s) { return s->internal_prefix; }

weir_rc topic_create(storage *s, const topic_spec *spec, weir_error *err)
{
    return s->class->topic_create(s, spec, err);
}

weir_rc topic_delete(storage *s, slice name, weir_error *err) { return s->class->topic_delete(s, name, err); }

weir_rc topic_find(storage *s, slice name, topic_info *out, bool *found, weir_error *err)
{
    return s->class->topic_find(s, name, out, found, err);
}

weir_rc topic_list(storage *s, arena *a, topic_info **out, uint32_t *count, weir_error *err)
{
    return s->class->topic_list(s, a, out, count, err);
}

weir_rc topic_offsets(storage *s, slice name, int32_t partition, int64_t *begin, int64_t *end, weir_error *err)
{
    return s->class->topic_offsets(s, name, partition, begin, end, err);
}

weir_rc topic_append(storage *s, slice name, const record *records, const int32_t *partition, uint32_t count,
                     int64_t *offsets, weir_error *err)
{
    return count == 0 ? WEIR_OK : s->class->topic_append(s, name, records, partition, count, offsets, err);
}

weir_rc topic_record_bytes_max(storage *s, slice name, uint64_t *bytes, weir_error *err)
{
    return s->class->topic_record_bytes_max(s, name, bytes, err);
}

weir_rc storage_compact(storage *s, bool *more, weir_error *err)
{
    *more = false;
    return s->class->compact == NULL ? WEIR_OK : s->class->compact(s, more, err);
}

weir_rc storage_drop_query(storage *s, slice query, weir_error *err) { return s->class->drop_query(s, query, err); }

weir_rc storage_tidy(storage *s, const slice *queries, uint32_t count, bool *is_left, weir_error *err)
{
    return s->class->tidy(s, queries, count, is_left, err);
}

void storage_waits(storage *s, const char *doing, weir_error *err) { s->class->waits(s, doing, err); }

weir_rc client_open(client **out, storage *s, const client_spec *spec, weir_error *err)
{
    return s->class->client_open(out, s, spec, err);
}

void client_close(client *c)
{
    if (c != NULL) c->class->client_close(c);
}

weir_rc client_poll(client *c, int timeout_ms, uint32_t rows_max, const fetch **events, uint32_t *count,
                    weir_error *err)
{
    assert(rows_max > 0);
    return c->class->client_poll(c, timeout_ms, rows_max, events, count, err);
}

void client_wake(client *c) { c->class->client_wake(c); }

weir_rc client_pause(client *c, uint32_t source, int32_t partition, bool paused, weir_error *err)
{
    return c->class->client_pause(c, source, partition, paused, err);
}

weir_rc client_seek(client *c, uint32_t source, int32_t partition, int64_t offset, weir_error *err)
{
    return c->class->client_seek(c, source, partition, offset, err);
}

weir_rc client_position(client *c, uint32_t source, int32_t partition, int64_t *next_offset, weir_error *err)
{
    return c->class->client_position(c, source, partition, next_offset, err);
}

weir_rc client_produce(client *c, const output *out, weir_error *err) { return c->class->client_produce(c, out, err); }

size_t client_waiting_bytes(const client *c) { return c->waiting_bytes; }

weir_rc client_commit(client *c, const epoch *epochs, uint32_t epoch_count, const position *positions,
                      uint32_t position_count, weir_error *err)
{
    return c->class->client_commit(c, epochs, epoch_count, positions, position_count, err);
}

weir_rc client_abort(client *c, weir_error *err) { return c->class->client_abort(c, err); }

weir_rc client_settle(client *c, weir_error *err)
{
    return c->class->client_settle == NULL ? WEIR_OK : c->class->client_settle(c, err);
}


weir_rc task_state_open(task_state **out, client *c, const state_spec *spec, weir_error *err)
{
    return c->class->task_state_open(out, c, spec, err);
}

void task_state_close(task_state *t)
{
    if (t != NULL) t->class->task_state_close(t);
}

weir_rc task_state_get(task_state *t, uint16_t store, slice key, slice *content, bool *found, weir_error *err)
{
    return t->class->task_state_get(t, store, key, content, found, err);
}

weir_rc task_state_get_all(task_state *t, uint16_t store, const slice *keys, const uint64_t *hashes, uint32_t count, arena *memory,
                           slice *values, weir_error *err)
{
    return t->class->task_state_get_all(t, store, keys, hashes, count, memory, values, err);
}

weir_rc task_state_size(task_state *t, uint64_t *bytes, uint64_t *entries, weir_error *err)
{
    return t->class->task_state_size(t, bytes, entries, err);
}

weir_rc task_state_scan(task_state *t, uint16_t store, slice from, slice to, state_cursor **out, weir_error *err)
{
    return t->class->task_state_scan(t, store, from, to, out, err);
}

weir_rc snapshot_open(snapshot **out, storage *s, slice state_name, weir_error *err)
{
    return s->class->snapshot_open(out, s, state_name, err);
}

void snapshot_close(snapshot *snap)
{
    if (snap != NULL) snap->class->snapshot_close(snap);
}

bool snapshot_pause(snapshot *snap)
{
    if (snap->class->snapshot_pause == NULL) return false;
    snap->class->snapshot_pause(snap);
    return true;
}

weir_rc snapshot_resume(snapshot *snap, weir_error *err)
{
    return snap->class->snapshot_resume(snap, err);
}

weir_rc snapshot_partitions(snapshot *snap, const int32_t **partitions, uint32_t *count, weir_error *err)
{
    return snap->class->snapshot_partitions(snap, partitions, count, err);
}

weir_rc snapshot_get(snapshot *snap, int32_t partition, uint16_t store, slice key, slice *content, bool *found,
                     weir_error *err)
{
    return snap->class->snapshot_get(snap, partition, store, key, content, found, err);
}

weir_rc snapshot_scan(snapshot *snap, int32_t partition, uint16_t store, slice from, slice to, state_cursor **out,
                      weir_error *err)
{
    return snap->class->snapshot_scan(snap, partition, store, from, to, out, err);
}
