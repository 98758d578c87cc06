/* storage/lmdb_env.h - an LMDB environment as weir uses it: opened once a process, created whole or not at all, every
 * transaction begun with care for a map that another process has grown. Private to storage/.
 *
 * A commit whose last write fails leaves LMDB unable to begin any other transaction. The environment is then closed and opened again
 * behind its users' backs, once none of them is in a transaction.
 *
 * Threads: everything here may be called by any thread; a transaction belongs to one thread at a time.
 * Opening a directory that this process has open already gives the same lmdb_env again (LMDB forbids a second one). */
#ifndef WEIR_STORAGE_LMDB_ENV_H
#define WEIR_STORAGE_LMDB_ENV_H

#include "core/error.h"
#include "core/text.h"

#include <lmdb.h>

#define LMDB_DATABASES_MAX 8

typedef struct lmdb_options {
    const char *const *databases; /* names, NULL at the end, as long as the process lives; the first also keeps the
                                     format version, as "format" */
    uint64_t map_bytes;           /* address space, not disk */
    uint32_t format;              /* what this weir writes, and the newest it reads */
    unsigned flags;               /* MDB_NOMETASYNC, MDB_NOSYNC */
    bool is_read_only;
    bool is_temporary;            /* dir is where to make a directory that is unlinked at once */
} lmdb_options;

typedef struct lmdb_env {
    MDB_env *env;
    char *dir; /* for messages */
    MDB_dbi dbi[LMDB_DATABASES_MAX]; /* in the order of the names */
    bool is_read_only;
    struct lmdb_sharing *sharing;
} lmdb_env;

/* dir is the environment's own directory; its parent exists. Made in a directory beside it and renamed, so that an
 * interrupted creation leaves nothing that cannot be opened. */
weir_rc lmdb_env_open(lmdb_env **out, slice dir, const lmdb_options *options, weir_error *err) WEIR_CHECKED;
void lmdb_env_close(lmdb_env *e); /* NULL is fine; the last close of a directory closes it */

/* These give LMDB's codes: 0, MDB_..., errno. A transaction begun here ends here. */
int lmdb_begin_read(lmdb_env *e, MDB_txn **txn);
int lmdb_begin_write(lmdb_env *e, MDB_txn **txn);
int lmdb_commit(lmdb_env *e, MDB_txn *txn);       /* read or write; the transaction is gone in any case */
void lmdb_abort(lmdb_env *e, MDB_txn *txn);       /* NULL is fine */

/* What is about to be written an older weir must not read. */
int lmdb_raise_format(lmdb_env *e, MDB_txn *txn);

/* A read transaction that is used again and again; all zeros at first. It stays where it is until lmdb_reader_end(). */
typedef struct lmdb_reader {
    MDB_txn *txn; /* to read with while it is live */
    bool is_live;
    struct lmdb_reader *next, **at; /* of those that rest */
} lmdb_reader;

int lmdb_reader_begin(lmdb_env *e, lmdb_reader *r);  /* sees the last commit; live already: as it is */
void lmdb_reader_rest(lmdb_env *e, lmdb_reader *r);  /* pins nothing until it begins again */
void lmdb_reader_end(lmdb_env *e, lmdb_reader *r);

/* The number of the last commit, by any process; 0: not known at the moment. */
uint64_t lmdb_last_commit(lmdb_env *e);
int lmdb_sync(lmdb_env *e); /* all that is committed, whatever the flags */
/* Frees the places of readers whose process is gone; at most every few seconds, however often called. */
void lmdb_check_readers(lmdb_env *e);

/* The value's bytes without a touch of the map, which would count as memory of this process, with some hundred KiB around it:
 * a value that has pages of its own is read from the file into the buffer, and lent by it; a smaller one, and one that this
 * write transaction has made, is lent as it stands. Within the transaction that gave the value. LMDB's codes. */
int lmdb_fetch(lmdb_env *e, MDB_val value, text *buffer, slice *out);
/* Where in the file such a value lies for as long as it is there; 0: it shares its page, or that is not known. */
uint64_t lmdb_place(lmdb_env *e, MDB_val value);
/* A committed value by its place. */
int lmdb_fetch_from(lmdb_env *e, uint64_t place, size_t bytes, text *buffer, slice *out);

/* Gives back the pages of all maps when many are in memory; the kernel keeps them in its cache. */
void lmdb_forget_pages(void);
/* A page may have been touched that was not in memory before: now and then that is a reason to forget. */
void lmdb_touched(lmdb_env *e);

/* Turns a code into an error that says where and what to do: "cannot <doing>: ...". What may pass: act RETRY. */
weir_rc lmdb_fail(const lmdb_env *e, int code, const char *doing, weir_error *err);
/* The same before there is an environment. */
weir_rc lmdb_fail_at(const char *dir, int code, const char *doing, weir_error *err);

static inline MDB_val lmdb_val(slice bytes) { return (MDB_val){ bytes.len, (void *)bytes.data }; }
static inline slice lmdb_slice(MDB_val bytes)
{
    return (slice){ bytes.mv_data == NULL ? "" : bytes.mv_data, bytes.mv_size };
}

#endif
