/* storage/lmdb_env.c - see lmdb_env.h. */
#include "storage/lmdb_env.h"

#include "core/bytes.h"
#include "core/clock.h"
#include "core/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define READERS_MAX 4096 /* the first opener fixes the table for all processes */
#define READER_CHECK_EVERY_MS 5000
#define MAPPED_BYTES_MAX ((int64_t)2 << 20) /* resident pages of all maps */
#define TOUCHES_MAX 8 /* of the map, each of which may take some hundred KiB, before a look at how much it is */
#define OWN_PAGES_BYTES_MIN 2048 /* LMDB puts two entries at least into a page of 4 KiB; what is larger has pages of its own */
#define ALONE_MS 2000 /* how long others' transactions are waited for */

/* One for each environment this process has open, in a list: a second open of a directory finds the first. */
typedef struct lmdb_sharing {
    lmdb_env env; /* first: what callers hold */
    struct lmdb_sharing *next;
    dev_t device;
    ino_t inode;
    uint32_t users;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    lmdb_options options;
    ino_t file;       /* of its data */
    uint32_t active;  /* transactions open now; the map may be changed only when there is none */
    bool is_changing; /* the map, or the whole environment: nobody else may begin */
    atomic_bool is_lost; /* it is not opened again: what it holds is not what was last committed, as far as we know */
    lmdb_reader *resting;
    int64_t readers_checked_ms;
    _Atomic uint32_t touches;
    char *_Atomic map; /* where the file is mapped; NULL: not known */
    size_t map_bytes;  /* set before it */
} lmdb_sharing;

static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static lmdb_sharing *open_envs;
static _Atomic int64_t other_bytes; /* resident pages of files when those of all maps are forgotten: code and libraries, as last seen */

/* ---- errors ---- */

/* LMDB says EIO of a short write, which a full disk gives before it gives ENOSPC; a failing disk says it as well. */
static bool has_room(const char *dir)
{
    struct statvfs s;

    return statvfs(dir, &s) == 0 && (uint64_t)s.f_bavail * s.f_frsize >= (uint64_t)1 << 20;
}

weir_rc lmdb_fail_at(const char *dir, int code, const char *doing, weir_error *err)
{
    switch (code == EIO && !has_room(dir) ? ENOSPC : code) {
    case EIO:
        return weir_fail_act(err, WEIR_STORAGE, WEIR_ACT_RETRY,
                             "cannot %s: the file system of %s did not take it (%s): it is full for this user, or the disk "
                             "fails; nothing of it was written. Free disk space there and it goes on",
                             doing, dir, strerror(code));
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return weir_fail_act(err, WEIR_STORAGE, WEIR_ACT_RETRY,
                             "cannot %s: no room on the file system of %s (%s); nothing of it was written. Free disk "
                             "space there and it goes on",
                             doing, dir, strerror(code == EIO ? ENOSPC : code));
    case MDB_MAP_FULL:
        return weir_fail_act(err, WEIR_STORAGE, WEIR_ACT_RETRY,
                             "cannot %s: %s has reached the largest size it can have; drop topics or queries", doing,
                             dir);
    case MDB_READERS_FULL:
        return weir_fail_act(err, WEIR_STORAGE, WEIR_ACT_RETRY,
                             "cannot %s: %s has %d readers at once, the most there can be; end some", doing, dir,
                             READERS_MAX);
    case MDB_MAP_RESIZED:
        return weir_fail_act(err, WEIR_STORAGE, WEIR_ACT_RETRY,
                             "cannot %s: %s was grown by another process while read here; try again", doing, dir);
    case MDB_PANIC:
        return weir_fail(err, WEIR_STORAGE, NOWHERE,
                         "cannot %s: an earlier write to %s failed, and it is not certain how much of it is there; end this process "
                         "and start again, what was committed is safe",
                         doing, dir);
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
        return weir_fail(err, WEIR_STORAGE, NOWHERE, "cannot %s: the files in %s are damaged; restore a copy of them",
                         doing, dir);
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
        return weir_fail(err, WEIR_STORAGE, NOWHERE,
                         "cannot %s: what is in %s was not written by weir, or is damaged; give another directory",
                         doing, dir);
    case EACCES:
    case EPERM:
    case EROFS:
        return weir_fail(err, WEIR_STORAGE, NOWHERE,
                         "cannot %s: %s (%s); make it writable for this user, or give another directory", doing, dir,
                         strerror(code));
    case ENOMEM: return weir_fail(err, WEIR_NOMEM, NOWHERE, "cannot %s: no memory (%s)", doing, dir);
    }
    return weir_fail(err, WEIR_STORAGE, NOWHERE, "cannot %s: %s: %s", doing, dir, mdb_strerror(code));
}

weir_rc lmdb_fail(const lmdb_env *e, int code, const char *doing, weir_error *err)
{
    if (code == MDB_PANIC && e->sharing->options.is_temporary) {
        return weir_fail(err, WEIR_STORAGE, NOWHERE, "cannot %s: an earlier write to temporary files in %s failed; run the query again",
                         doing, e->dir);
    }
    if (code == MDB_PANIC && !atomic_load(&e->sharing->is_lost)) {
        return weir_fail_act(err, WEIR_STORAGE, WEIR_ACT_RETRY,
                             "cannot %s: an earlier write to %s failed; it is opened again once all that reads it has ended, or, if that "
                             "fails too, when its file system is well. Nothing of this was written; it goes on by itself",
                             doing, e->dir);
    }
    return lmdb_fail_at(e->dir, code, doing, err);
}

/* ---- opening ---- */

/* In the transaction given. Stops at a format that is too new: nothing else may be known about such a one. */
static int open_each(MDB_txn *txn, lmdb_env *e, const lmdb_options *options, bool creating, uint32_t *format)
{
    MDB_val key = { 6, "format" }, data;
    unsigned flags = creating ? MDB_CREATE : 0;
    char number[4];
    int code = mdb_dbi_open(txn, options->databases[0], flags, &e->dbi[0]);

    if (code == 0 && creating) {
        put_u32(number, options->format);
        data = (MDB_val){ 4, number };
        code = mdb_put(txn, e->dbi[0], &key, &data, 0);
    }
    if (code == 0) code = mdb_get(txn, e->dbi[0], &key, &data);
    if (code != 0) return code;
    *format = data.mv_size == 4 ? get_u32(data.mv_data) : UINT32_MAX;
    for (int i = 1; options->databases[i] != NULL && code == 0 && *format <= options->format; i++) {
        code = mdb_dbi_open(txn, options->databases[i], flags, &e->dbi[i]);
    }
    return code;
}

static int open_databases(lmdb_env *e, const lmdb_options *options, bool creating, uint32_t *format)
{
    MDB_txn *txn;
    int code = mdb_txn_begin(e->env, NULL, creating ? 0 : MDB_RDONLY, &txn);

    if (code != 0) return code;
    code = open_each(txn, e, options, creating, format);
    if (code == 0) return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return code == MDB_NOTFOUND ? MDB_INVALID : code;
}

/* LMDB writes its table of readers through a mapping: on a full disk a page that is not there yet would end the process. So all
 * of them are asked for before. */
static int reserve_reader_table(const char *dir)
{
    enum { READER_BYTES = 64, HEAD_BYTES = 4096 };
    char path[4096 + 16];

    snprintf(path, sizeof path, "%s/lock.mdb", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) return errno;
    int code = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, READERS_MAX * READER_BYTES + HEAD_BYTES) == 0 ? 0 : errno;
    close(fd);
    return code == EOPNOTSUPP || code == ENOSYS ? 0 : code;
}

/* The most address space that can be had, up to what is asked for: limits and sanitizers may forbid much. */
static int open_mapped(MDB_env **out, const char *dir, const lmdb_options *options)
{
    int code = options->is_read_only ? 0 : reserve_reader_table(dir);

    if (code != 0) return code;
    for (uint64_t map = options->map_bytes; map >= (uint64_t)1 << 28; map /= 4) {
        MDB_env *env;
        if ((code = mdb_env_create(&env)) != 0) return code;
        mdb_env_set_mapsize(env, map);
        mdb_env_set_maxreaders(env, READERS_MAX);
        mdb_env_set_maxdbs(env, LMDB_DATABASES_MAX);
        code = mdb_env_open(env, dir, MDB_NOTLS | options->flags | (options->is_read_only ? MDB_RDONLY : 0), 0666);
        if (code == 0) {
            *out = env;
            return 0;
        }
        mdb_env_close(env);
        if (code != ENOMEM && code != EINVAL) break;
    }
    return code;
}

static void unlink_env(const char *dir)
{
    char path[4096 + 16];

    snprintf(path, sizeof path, "%s/data.mdb", dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/lock.mdb", dir);
    unlink(path);
    rmdir(dir);
}

static int sync_directory(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) return errno;
    int code = fsync(fd) == 0 || errno == EINVAL || errno == EROFS ? 0 : errno;
    close(fd);
    return code;
}

static int sync_parent(const char *dir)
{
    char parent[4096];

    snprintf(parent, sizeof parent, "%s", dir);
    char *end = strrchr(parent, '/');
    if (end == NULL) return sync_directory(".");
    end[end == parent] = '\0';
    return sync_directory(parent);
}

/* Makes a whole environment beside dir, then moves it there. Another process that does the same at once may be first. */
static int create(const char *dir, const lmdb_options *options)
{
    char temporary[4096], path[4096 + 16];
    lmdb_env e = { .dir = (char *)dir };
    uint32_t format;

    if (snprintf(temporary, sizeof temporary, "%s.new.XXXXXX", dir) >= (int)sizeof temporary - 16) return ENAMETOOLONG;
    if (mkdtemp(temporary) == NULL || chmod(temporary, 0777 & ~022) != 0) return errno;
    int code = open_mapped(&e.env, temporary, options);
    if (code == 0) {
        code = open_databases(&e, options, true, &format);
        if (code == 0) code = mdb_env_sync(e.env, 1); /* whatever is synced later */
        mdb_env_close(e.env);
    }
    if (code == 0) {
        snprintf(path, sizeof path, "%s/lock.mdb", temporary);
        unlink(path); /* each opener makes its own */
        code = sync_directory(temporary);
    }
    if (code == 0 && rename(temporary, dir) == 0) return sync_parent(dir);
    if (code == 0 && errno != EEXIST && errno != ENOTEMPTY) code = errno;
    unlink_env(temporary);
    return code;
}

static weir_rc check_format(const char *dir, uint32_t format, const lmdb_options *options, weir_error *err)
{
    if (format <= options->format) return WEIR_OK;
    return weir_fail(err, WEIR_STORAGE, NOWHERE,
                     "data directory %s was written by a newer weir (format %u; this one knows formats up to %u): use "
                     "that weir or a later one",
                     dir, format, options->format);
}

/* The inode of a directory's data; 0: there is none. */
static ino_t file_of(const char *dir)
{
    char path[4096 + 16];
    struct stat entry;

    if (snprintf(path, sizeof path, "%s/data.mdb", dir) >= (int)sizeof path) return 0;
    return stat(path, &entry) == 0 ? entry.st_ino : 0;
}

static weir_rc open_directory(lmdb_sharing *s, const lmdb_options *options, weir_error *err)
{
    struct stat entry;
    uint32_t format = 0;
    const char *dir = s->env.dir;
    int code = 0;

    if (file_of(dir) == 0) {
        if (options->is_read_only) {
            return weir_fail(err, WEIR_STORAGE, NOWHERE,
                             "there is no weir data in %s; check the directory, or let weir make it by writing first",
                             dir);
        }
        code = create(dir, options);
        if (code == 0 && file_of(dir) == 0) code = ENOTEMPTY; /* there is something else of that name */
        if (code != 0) return lmdb_fail_at(dir, code, "make a data directory", err);
    }
    if ((code = open_mapped(&s->env.env, dir, options)) == 0) code = open_databases(&s->env, options, false, &format);
    if (code == 0 && stat(dir, &entry) != 0) code = errno;
    if (code != 0) return lmdb_fail_at(dir, code, "open the data directory", err);
    s->device = entry.st_dev;
    s->inode = entry.st_ino;
    s->file = file_of(dir);
    return check_format(dir, format, options, err);
}

/* A temporary one lives in an unlinked directory: nobody else can find it, and it is gone with the process. */
static weir_rc open_temporary(lmdb_sharing *s, const lmdb_options *options, weir_error *err)
{
    uint32_t format;
    char dir[4096];

    if (snprintf(dir, sizeof dir, "%s/weir.XXXXXX", s->env.dir) >= (int)sizeof dir - 16 || mkdtemp(dir) == NULL) {
        return lmdb_fail_at(s->env.dir, errno, "make a temporary directory", err);
    }
    int code = open_mapped(&s->env.env, dir, options);
    if (code == 0) code = open_databases(&s->env, options, true, &format);
    unlink_env(dir);
    return code == 0 ? WEIR_OK : lmdb_fail_at(s->env.dir, code, "make temporary state", err);
}

static void sharing_free(lmdb_sharing *s)
{
    if (s->env.env != NULL) mdb_env_close(s->env.env);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->idle);
    free(s->env.dir);
    free(s);
}

static lmdb_sharing *find_open(const char *dir)
{
    struct stat entry;

    if (stat(dir, &entry) != 0) return NULL;
    for (lmdb_sharing *s = open_envs; s != NULL; s = s->next) {
        if (s->device == entry.st_dev && s->inode == entry.st_ino) return s;
    }
    return NULL;
}

static weir_rc open_locked(lmdb_env **out, slice dir, const lmdb_options *options, weir_error *err)
{
    lmdb_sharing *s = calloc(1, sizeof *s), *open;

    if (s == NULL || (s->env.dir = strndup(dir.data, dir.len)) == NULL) {
        free(s);
        return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory to open %.*s", SLICE_ARG(dir));
    }
    if (!options->is_temporary && (open = find_open(s->env.dir)) != NULL) {
        free(s->env.dir);
        free(s);
        if (open->env.is_read_only && !options->is_read_only) {
            return weir_fail(err, WEIR_STORAGE, NOWHERE, "%.*s is open in this process already, and only for reading",
                             SLICE_ARG(dir));
        }
        open->users++;
        *out = &open->env;
        return WEIR_OK;
    }
    pthread_mutex_init(&s->lock, NULL);
    thread_cond_init(&s->idle);
    s->users = 1;
    s->options = *options;
    s->env.is_read_only = options->is_read_only;
    s->env.sharing = s;
    weir_rc rc = options->is_temporary ? open_temporary(s, options, err) : open_directory(s, options, err);
    if (rc != WEIR_OK) {
        sharing_free(s);
        return rc;
    }
    s->next = open_envs;
    open_envs = s;
    *out = &s->env;
    lmdb_check_readers(&s->env);
    return WEIR_OK;
}

weir_rc lmdb_env_open(lmdb_env **out, slice dir, const lmdb_options *options, weir_error *err)
{
    pthread_mutex_lock(&open_lock);
    weir_rc rc = open_locked(out, dir, options, err);
    pthread_mutex_unlock(&open_lock);
    return rc;
}

void lmdb_env_close(lmdb_env *e)
{
    if (e == NULL) return;
    pthread_mutex_lock(&open_lock);
    lmdb_sharing *s = e->sharing;
    if (--s->users == 0) {
        lmdb_sharing **at = &open_envs;
        while (*at != s) at = &(*at)->next;
        *at = s->next;
        sharing_free(s);
    }
    pthread_mutex_unlock(&open_lock);
}

/* ---- transactions ---- */

static void link_resting(lmdb_sharing *s, lmdb_reader *r)
{
    r->next = s->resting;
    r->at = &s->resting;
    if (r->next != NULL) r->next->at = &r->next;
    s->resting = r;
}

static void unlink_resting(lmdb_reader *r)
{
    *r->at = r->next;
    if (r->next != NULL) r->next->at = r->at;
}

/* With the reader that is about to begin; NULL: none. */
static void enter(lmdb_sharing *s, lmdb_reader *r)
{
    pthread_mutex_lock(&s->lock);
    while (s->is_changing) pthread_cond_wait(&s->idle, &s->lock);
    s->active++;
    if (r != NULL && r->txn != NULL) unlink_resting(r);
    pthread_mutex_unlock(&s->lock);
}

static void leave(lmdb_sharing *s, lmdb_reader *r)
{
    pthread_mutex_lock(&s->lock);
    if (r != NULL && r->txn != NULL) link_resting(s, r);
    if (--s->active == 0) pthread_cond_broadcast(&s->idle);
    pthread_mutex_unlock(&s->lock);
}

/* Another process (a weir with a larger map) has written beyond our map: take its size over. */
static bool adopt_map(lmdb_sharing *s)
{
    s->map = NULL;
    return mdb_env_set_mapsize(s->env.env, 0) == 0;
}

/* After a failed write LMDB begins no transaction any more. What it had committed is in the file, where others may have gone on:
 * it only has to be opened again. */
static bool reopen(lmdb_sharing *s)
{
    uint32_t format;

    if (atomic_load(&s->is_lost) || s->options.is_temporary) return false;
    if (file_of(s->env.dir) != s->file) return false; /* gone, or another one */
    while (s->resting != NULL) {
        lmdb_reader *r = s->resting;
        unlink_resting(r);
        mdb_txn_abort(r->txn);
        r->txn = NULL;
    }
    if (s->env.env != NULL) mdb_env_close(s->env.env);
    s->env.env = NULL;
    s->map = NULL;
    if (open_mapped(&s->env.env, s->env.dir, &s->options) != 0) return false;
    if (open_databases(&s->env, &s->options, false, &format) == 0) return true;
    mdb_env_close(s->env.env);
    s->env.env = NULL;
    return false;
}

/* Does what can be done only while no transaction of ours is open. The caller has left. It may itself hold a reader, so we wait
 * only for a while. */
static bool change_alone(lmdb_sharing *s, bool (*change)(lmdb_sharing *s))
{
    const struct timespec until = thread_deadline(ALONE_MS);
    bool changed = false;

    pthread_mutex_lock(&s->lock);
    while (s->is_changing) pthread_cond_wait(&s->idle, &s->lock);
    s->is_changing = true;
    while (s->active > 0 && pthread_cond_timedwait(&s->idle, &s->lock, &until) == 0) continue;
    if (s->active == 0) changed = change(s);
    s->is_changing = false;
    pthread_cond_broadcast(&s->idle);
    pthread_mutex_unlock(&s->lock);
    return changed;
}

/* Whether a transaction that could not begin may now. */
static bool mend(lmdb_sharing *s, int code)
{
    return (code == MDB_MAP_RESIZED && change_alone(s, adopt_map)) || (code == MDB_PANIC && change_alone(s, reopen));
}

static int begin(lmdb_env *e, unsigned flags, MDB_txn **txn)
{
    for (;;) {
        enter(e->sharing, NULL);
        int code = e->env == NULL ? MDB_PANIC : mdb_txn_begin(e->env, NULL, flags, txn);
        if (code == 0) return 0;
        leave(e->sharing, NULL);
        if (!mend(e->sharing, code)) return code;
    }
}

int lmdb_begin_read(lmdb_env *e, MDB_txn **txn)
{
    return begin(e, MDB_RDONLY, txn);
}

int lmdb_begin_write(lmdb_env *e, MDB_txn **txn)
{
    return begin(e, 0, txn);
}

static uint64_t last_commit(lmdb_env *e)
{
    MDB_envinfo info;

    return e->env != NULL && mdb_env_info(e->env, &info) == 0 ? info.me_last_txnid : 0;
}

int lmdb_commit(lmdb_env *e, MDB_txn *txn)
{
    lmdb_sharing *s = e->sharing;
    uint64_t number = mdb_txn_id(txn);
    int code = mdb_txn_commit(txn);

    if (code != 0) { /* LMDB takes back what it could not write: unless that failed as well, or another process has been quicker */
        pthread_mutex_lock(&s->lock);
        if (last_commit(e) >= number) atomic_store(&s->is_lost, true);
        pthread_mutex_unlock(&s->lock);
    }
    leave(s, NULL);
    return code;
}

void lmdb_abort(lmdb_env *e, MDB_txn *txn)
{
    if (txn == NULL) return;
    mdb_txn_abort(txn);
    leave(e->sharing, NULL);
}

int lmdb_raise_format(lmdb_env *e, MDB_txn *txn)
{
    MDB_val key = { 6, "format" }, data;
    char number[4];
    int code = mdb_get(txn, e->dbi[0], &key, &data);

    if (code != 0 || (data.mv_size == 4 && get_u32(data.mv_data) >= e->sharing->options.format)) return code;
    put_u32(number, e->sharing->options.format);
    data = (MDB_val){ 4, number };
    return mdb_put(txn, e->dbi[0], &key, &data, 0);
}

int lmdb_reader_begin(lmdb_env *e, lmdb_reader *r)
{
    while (!r->is_live) {
        enter(e->sharing, r);
        int code = e->env == NULL     ? MDB_PANIC
                   : r->txn == NULL ? mdb_txn_begin(e->env, NULL, MDB_RDONLY, &r->txn)
                                    : mdb_txn_renew(r->txn);
        r->is_live = code == 0;
        if (code == 0) return 0;
        leave(e->sharing, r);
        if (!mend(e->sharing, code)) return code;
    }
    return 0;
}

void lmdb_reader_rest(lmdb_env *e, lmdb_reader *r)
{
    if (!r->is_live) return;
    mdb_txn_reset(r->txn);
    r->is_live = false;
    leave(e->sharing, r);
}

void lmdb_reader_end(lmdb_env *e, lmdb_reader *r)
{
    lmdb_reader_rest(e, r);
    pthread_mutex_lock(&e->sharing->lock);
    if (r->txn != NULL) {
        unlink_resting(r);
        mdb_txn_abort(r->txn);
        r->txn = NULL;
    }
    pthread_mutex_unlock(&e->sharing->lock);
}

uint64_t lmdb_last_commit(lmdb_env *e)
{
    pthread_mutex_lock(&e->sharing->lock);
    uint64_t number = last_commit(e);
    pthread_mutex_unlock(&e->sharing->lock);
    return number;
}

int lmdb_sync(lmdb_env *e)
{
    enter(e->sharing, NULL);
    int code = e->env == NULL ? MDB_PANIC : mdb_env_sync(e->env, 1);
    leave(e->sharing, NULL);
    return code;
}

void lmdb_check_readers(lmdb_env *e)
{
    const weir_clock wall = { 0 };
    int64_t now_ms = clock_monotonic_ms(&wall);
    bool is_due;
    int dead;

    pthread_mutex_lock(&e->sharing->lock);
    is_due = e->sharing->readers_checked_ms == 0 || now_ms - e->sharing->readers_checked_ms >= READER_CHECK_EVERY_MS;
    if (is_due) e->sharing->readers_checked_ms = now_ms;
    pthread_mutex_unlock(&e->sharing->lock);
    if (!is_due) return;
    enter(e->sharing, NULL);
    if (e->env != NULL) mdb_reader_check(e->env, &dead);
    leave(e->sharing, NULL);
}

static int statm_fd;

static void open_statm(void)
{
    statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
}

/* Asked so often that the file stays open: a quarter of the time. */
static int64_t mapped_bytes(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    char statm[128] = "";
    long long size, resident, shared = 0;

    pthread_once(&once, open_statm);
    ssize_t bytes = statm_fd < 0 ? -1 : pread(statm_fd, statm, sizeof statm - 1, 0);
    if (bytes <= 0 || sscanf(statm, "%lld %lld %lld", &size, &resident, &shared) != 3) return 0;
    return shared * sysconf(_SC_PAGESIZE);
}

/* LMDB does not tell where it has mapped its file, and the kernel not always under which device stat() knows it. */
static void find_map(lmdb_sharing *s)
{
    unsigned long from, to, mapped;
    char *line = NULL;
    size_t room = 0;
    struct stat file;
    mdb_filehandle_t fd;
    FILE *maps = fopen("/proc/self/maps", "re");

    if (maps == NULL) return;
    if (mdb_env_get_fd(s->env.env, &fd) != 0 || fstat(fd, &file) != 0) file.st_ino = 0;
    while (s->map == NULL && getline(&line, &room, maps) > 0) {
        if (sscanf(line, "%lx-%lx %*s %*s %*s %lu", &from, &to, &mapped) != 3) continue;
        if (mapped != file.st_ino || strstr(line, "/data.mdb") == NULL) continue;
        s->map_bytes = to - from;
        s->map = (char *)from;
    }
    free(line);
    fclose(maps);
}

int lmdb_fetch_from(lmdb_env *e, uint64_t place, size_t bytes, text *buffer, slice *out)
{
    mdb_filehandle_t fd;
    int code = mdb_env_get_fd(e->env, &fd);

    text_clear(buffer);
    text_reserve(buffer, bytes);
    while (code == 0 && buffer->len < bytes) {
        ssize_t got = pread(fd, buffer->data + buffer->len, bytes - buffer->len, (off_t)(place + buffer->len));
        if (got > 0) buffer->len += (size_t)got;
        else if (got == 0) code = MDB_CORRUPTED;
        else if (errno != EINTR) code = errno;
    }
    *out = text_slice(buffer);
    return code;
}

uint64_t lmdb_place(lmdb_env *e, MDB_val value)
{
    lmdb_sharing *s = e->sharing;
    const char *from = value.mv_data, *map = s->map; /* it stays there while transactions are open */

    if (value.mv_size < OWN_PAGES_BYTES_MIN) return 0;
    if (map == NULL) {
        pthread_mutex_lock(&s->lock);
        if (s->map == NULL) find_map(s);
        map = s->map;
        pthread_mutex_unlock(&s->lock);
    }
    return map == NULL || from < map || from >= map + s->map_bytes ? 0 : (uint64_t)(from - map);
}

int lmdb_fetch(lmdb_env *e, MDB_val value, text *buffer, slice *out)
{
    uint64_t place = lmdb_place(e, value);

    *out = lmdb_slice(value);
    lmdb_touched(e); /* to come here */
    return place == 0 ? 0 : lmdb_fetch_from(e, place, value.mv_size, buffer, out);
}

void lmdb_forget_pages(void)
{
    if (mapped_bytes() - other_bytes < MAPPED_BYTES_MAX) return;
    if (pthread_mutex_trylock(&open_lock) != 0) return; /* a write transaction does not wait for an environment being opened */
    for (lmdb_sharing *s = open_envs; s != NULL; s = s->next) {
        pthread_mutex_lock(&s->lock); /* under which alone the map may move */
        if (s->map == NULL && s->env.env != NULL) find_map(s);
        if (s->map != NULL) madvise(s->map, s->map_bytes, MADV_DONTNEED);
        pthread_mutex_unlock(&s->lock);
    }
    other_bytes = mapped_bytes();
    pthread_mutex_unlock(&open_lock);
}

void lmdb_touched(lmdb_env *e)
{
    if (e->sharing->touches++ % TOUCHES_MAX == 0) lmdb_forget_pages();
}
