/* storage/kafka_snapshot.c - what the tasks of a state have committed, for readers: a read transaction on the environment of each
 * partition that is here. */
#include "storage/kafka.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

typedef struct kafka_snapshot {
    snapshot base;
    uint32_t count, max;
    int32_t *partitions;
    lmdb_env **envs;
    MDB_txn **txns;
} kafka_snapshot;

static int by_number(const void *a, const void *b)
{
    int32_t left = *(const int32_t *)a, right = *(const int32_t *)b;

    return (left > right) - (left < right);
}

/* The partitions a state directory has environments of. */
static weir_rc list_partitions(kafka_snapshot *snap, const char *path, weir_error *err)
{
    DIR *dir = opendir(path);
    struct dirent *entry;

    if (dir == NULL) return errno == ENOENT ? WEIR_OK : lmdb_fail_at(path, errno, "read state", err);
    while ((entry = readdir(dir)) != NULL) {
        if (strspn(entry->d_name, "0123456789") != strlen(entry->d_name)) continue;
        if (snap->count == snap->max) {
            uint32_t max = snap->max == 0 ? 16 : snap->max * 2;
            int32_t *more = realloc(snap->partitions, max * sizeof *more);
            if (more == NULL) abort();
            snap->partitions = more;
            snap->max = max;
        }
        snap->partitions[snap->count++] = (int32_t)strtol(entry->d_name, NULL, 10);
    }
    closedir(dir);
    if (snap->count > 0) qsort(snap->partitions, snap->count, sizeof *snap->partitions, by_number);
    return WEIR_OK;
}

static weir_rc open_all(kafka_snapshot *snap, const char *path, weir_error *err)
{
    uint32_t kept = 0;
    text task = TEXT_EMPTY;
    weir_rc rc = WEIR_OK;

    WEIR_TRY(list_partitions(snap, path, err));
    snap->envs = calloc(snap->count + 1, sizeof *snap->envs);
    snap->txns = calloc(snap->count + 1, sizeof *snap->txns);
    if (snap->envs == NULL || snap->txns == NULL) return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory to read state");
    for (uint32_t i = 0; rc == WEIR_OK && i < snap->count; i++) {
        text_clear(&task);
        text_printf(&task, "%s/%d", path, (int)snap->partitions[i]);
        rc = kafka_state_open_to_read(task.data, &snap->envs[kept], &snap->txns[kept], err);
        snap->partitions[kept] = snap->partitions[i];
        if (rc != WEIR_OK || snap->envs[kept] != NULL) kept++; /* also what a failure left half open: closing takes it along */
    }
    text_free(&task);
    snap->count = kept;
    return rc;
}

weir_rc kafka_snapshot_open(snapshot **out, storage *s, slice state_name, weir_error *err)
{
    kafka_snapshot *snap = calloc(1, sizeof *snap);
    text path = TEXT_EMPTY;

    if (snap == NULL) return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory to read state");
    snap->base.class = &kafka_storage_class;
    kafka_state_path(&path, (kafka_storage *)s, state_name);
    weir_rc rc = open_all(snap, path.data, err);
    text_free(&path);
    if (rc != WEIR_OK) {
        kafka_snapshot_close(&snap->base);
        return rc;
    }
    *out = &snap->base;
    return WEIR_OK;
}

void kafka_snapshot_close(snapshot *base)
{
    kafka_snapshot *snap = (kafka_snapshot *)base;

    if (snap == NULL) return;
    for (uint32_t i = 0; i < snap->count && snap->envs != NULL && snap->txns != NULL; i++) {
        lmdb_abort(snap->envs[i], snap->txns[i]);
        lmdb_env_close(snap->envs[i]);
    }
    free(snap->envs);
    free(snap->txns);
    free(snap->partitions);
    free(snap);
}

weir_rc kafka_snapshot_partitions(snapshot *base, const int32_t **partitions, uint32_t *count, weir_error *err)
{
    kafka_snapshot *snap = (kafka_snapshot *)base;

    (void)err;
    *partitions = snap->partitions;
    *count = snap->count;
    return WEIR_OK;
}

static bool find_partition(const kafka_snapshot *snap, int32_t partition, uint32_t *at)
{
    for (*at = 0; *at < snap->count; (*at)++) {
        if (snap->partitions[*at] == partition) return true;
    }
    return false;
}

weir_rc kafka_snapshot_get(snapshot *base, int32_t partition, uint16_t store, slice key, slice *value, bool *found,
                           weir_error *err)
{
    kafka_snapshot *snap = (kafka_snapshot *)base;
    uint32_t at;

    *found = false;
    if (!find_partition(snap, partition, &at)) return WEIR_OK;
    state_space space = { .dbi = snap->envs[at]->dbi[KAFKA_DB_STATE], .env = snap->envs[at] };
    int code = state_lmdb_get(snap->txns[at], &space, store, key, value, found);
    return code == 0 ? WEIR_OK : lmdb_fail(snap->envs[at], code, "read state", err);
}

weir_rc kafka_snapshot_scan(snapshot *base, int32_t partition, uint16_t store, slice from, slice to, state_cursor **out,
                            weir_error *err)
{
    kafka_snapshot *snap = (kafka_snapshot *)base;
    uint32_t at;

    if (!find_partition(snap, partition, &at)) {
        return weir_fail(err, WEIR_STORAGE, NOWHERE, "partition %d has no state here", (int)partition);
    }
    state_space space = { .dbi = snap->envs[at]->dbi[KAFKA_DB_STATE], .env = snap->envs[at] };
    return state_lmdb_scan(out, snap->envs[at], snap->txns[at], &space, store, from, to, NULL, NULL, err);
}
