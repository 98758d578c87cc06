/* storage/registry_backend.h - what stands behind registry.h: the cache, and the calls a server answers. */
#ifndef WEIR_STORAGE_REGISTRY_BACKEND_H
#define WEIR_STORAGE_REGISTRY_BACKEND_H

#include "storage/registry.h"

#include <pthread.h>

/* A version of a subject; for servers, what is known of it by its id. */
typedef struct registry_entry {
    slice subject; /* absent: known by id alone */
    registered_schema schema;
    struct registry_entry *next;
} registry_entry;

struct registry {
    pthread_mutex_t lock;
    arena *arena;             /* of all that is lent */
    registry_entry *entries;  /* newest first */
    int32_t last_id;
    registry_journal journal;
    bool has_journal;
    struct registry_http *http; /* NULL: a local one */
};

registry *registry_new(void); /* an empty one, local */
/* Copies the schema in, as the newest entry; the lock is held. */
const registered_schema *registry_keep(registry *r, slice subject, const registered_schema *what);
/* The same language, text and references. */
bool schema_text_equal(const schema_text *x, const schema_text *y);

/* Of a server; the lock is held. They answer into the arena. */
weir_rc http_by_id(struct registry_http *h, int32_t id, arena *a, registered_schema *out, bool *found, weir_error *err);
weir_rc http_version(struct registry_http *h, slice subject, int32_t version, arena *a, registered_schema *out, bool *found,
                     weir_error *err);
weir_rc http_register(struct registry_http *h, slice subject, const schema_text *what, int32_t *id, weir_error *err);
weir_rc http_delete(struct registry_http *h, slice subject, weir_error *err);
void http_close(struct registry_http *h);

#endif
