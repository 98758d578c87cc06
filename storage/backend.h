/* storage/backend.h - what a storage must be able to do; storage.c forwards each public function to it.
 * A backend's own structs begin with these, so that a storage * can be a local_storage *. */
#ifndef WEIR_STORAGE_BACKEND_H
#define WEIR_STORAGE_BACKEND_H

#include "storage/storage.h"

#include <stdatomic.h>

typedef struct storage_class {
    const char *name;
    void (*close)(storage *s); /* ends and frees what storage_init() did not make; not s itself, which storage_close() frees */
    weir_rc (*topic_create)(storage *s, const topic_spec *spec, weir_error *err);
    weir_rc (*topic_delete)(storage *s, slice name, weir_error *err);
    weir_rc (*topic_find)(storage *s, slice name, topic_info *out, bool *found, weir_error *err);
    weir_rc (*topic_list)(storage *s, arena *a, topic_info **out, uint32_t *count, weir_error *err);
    weir_rc (*topic_offsets)(storage *s, slice name, int32_t partition, int64_t *begin, int64_t *end, weir_error *err);
    weir_rc (*topic_append)(storage *s, slice name, const record *records, const int32_t *partition, uint32_t count,
                            int64_t *offsets, weir_error *err);
    weir_rc (*topic_record_bytes_max)(storage *s, slice name, uint64_t *bytes, weir_error *err);
    weir_rc (*compact)(storage *s, bool *more, weir_error *err); /* NULL: not this side's business */
    void (*waits)(storage *s, const char *doing, weir_error *err);
    weir_rc (*drop_query)(storage *s, slice query, weir_error *err);
    weir_rc (*tidy)(storage *s, const slice *queries, uint32_t count, bool *is_left, weir_error *err);
    weir_rc (*client_open)(client **out, storage *s, const client_spec *spec, weir_error *err);
    void (*client_close)(client *c);
    weir_rc (*client_poll)(client *c, int timeout_ms, uint32_t rows_max, const fetch **events, uint32_t *count,
                           weir_error *err);
    void (*client_wake)(client *c);
    weir_rc (*client_pause)(client *c, uint32_t source, int32_t partition, bool paused, weir_error *err);
    weir_rc (*client_seek)(client *c, uint32_t source, int32_t partition, int64_t offset, weir_error *err);
    weir_rc (*client_position)(client *c, uint32_t source, int32_t partition, int64_t *next_offset, weir_error *err);
    weir_rc (*client_produce)(client *c, const output *out, weir_error *err);
    weir_rc (*client_commit)(client *c, const epoch *epochs, uint32_t epoch_count, const position *positions,
                             uint32_t position_count, weir_error *err);
    weir_rc (*client_abort)(client *c, weir_error *err);
    weir_rc (*client_settle)(client *c, weir_error *err); /* NULL: a commit is readable at once */
    weir_rc (*task_state_open)(task_state **out, client *c, const state_spec *spec, weir_error *err);
    void (*task_state_close)(task_state *t);
    weir_rc (*task_state_get)(task_state *t, uint16_t store, slice key, slice *value, bool *found, weir_error *err);
    weir_rc (*task_state_get_all)(task_state *t, uint16_t store, const slice *keys, const uint64_t *hashes, uint32_t count,
                                  arena *memory, slice *values, weir_error *err);
    weir_rc (*task_state_size)(task_state *t, uint64_t *bytes, uint64_t *entries, weir_error *err);
    weir_rc (*task_state_scan)(task_state *t, uint16_t store, slice from, slice to, state_cursor **out, weir_error *err);
    weir_rc (*snapshot_open)(snapshot **out, storage *s, slice state_name, weir_error *err);
    void (*snapshot_close)(snapshot *snap);
    weir_rc (*snapshot_partitions)(snapshot *snap, const int32_t **partitions, uint32_t *count, weir_error *err);
    weir_rc (*snapshot_get)(snapshot *snap, int32_t partition, uint16_t store, slice key, slice *value, bool *found,
                            weir_error *err);
    weir_rc (*snapshot_scan)(snapshot *snap, int32_t partition, uint16_t store, slice from, slice to,
                             state_cursor **out, weir_error *err);
    void (*snapshot_pause)(snapshot *snap);                         /* NULL: snapshots are opened anew each time */
    weir_rc (*snapshot_resume)(snapshot *snap, weir_error *err);
} storage_class;

struct storage {
    const storage_class *class;
    int engine_lock; /* file descriptor, -1 when not held */
    slice dir;       /* the data directory, with a NUL behind it */
    slice internal_prefix;
    atomic_bool is_cut_off; /* see storage_is_cut_off() */
};

struct client {
    const storage_class *class;
    size_t waiting_bytes; /* see client_waiting_bytes(); kept by backends that hold outputs until the commit */
};

struct task_state {
    const storage_class *class;
};

struct snapshot {
    const storage_class *class;
};

/* For a backend's open: fills the common part and makes the data directory (dir.len == 0: there is none). The strings are
 * freed by storage_close(), after the backend's own close; storage_clear() is for an open that failed. */
weir_rc storage_init(storage *s, const storage_class *class, slice dir, slice internal_prefix,
                     weir_error *err) WEIR_CHECKED;
void storage_clear(storage *s);

/* Is it the name of one of the query's states: the query's own, the sign, and the number of a sub-topology? An id may begin as
 * another one does, with any signs behind that. */
bool storage_is_state_of(slice state_name, slice query, char sign);

/* state_cursor is one implementation for both (storage/state_cursor.c): state is LMDB in both. */

extern const storage_class local_storage_class;
extern const storage_class kafka_storage_class;

#endif
