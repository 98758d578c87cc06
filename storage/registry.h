/* storage/registry.h - a schema registry: schemas by id, and the versions of subjects. Behind one face stand a server,
 * spoken to by its REST API, and a registry of this process, for embedded use and tests.
 * What is lent lives as long as the registry: a schema of an id never changes. All threads may use one.
 * Errors of class broker with act RETRY: the server is down, slow, or not well; the call may be made again. */
#ifndef WEIR_STORAGE_REGISTRY_H
#define WEIR_STORAGE_REGISTRY_H

#include "core/arena.h"
#include "core/error.h"

typedef struct registry registry;

typedef enum schema_language { SCHEMA_AVRO, SCHEMA_JSON, SCHEMA_PROTOBUF } schema_language;

/* What an import in one schema stands for. */
typedef struct schema_reference {
    slice name;
    slice subject;
    int32_t version;
} schema_reference;

typedef struct schema_text {
    schema_language language;
    slice text;
    const schema_reference *references;
    uint32_t reference_count;
} schema_text;

typedef struct registered_schema {
    int32_t id;
    int32_t version; /* of the subject it was asked of; 0 where it was asked by id */
    schema_text schema;
} registered_schema;

/* What the registry of a process tells the one who keeps it. */
typedef struct registry_journal {
    /* To be kept, before anyone sees it; sets the id. */
    weir_rc (*append)(void *self, slice subject, const schema_text *what, int32_t *id, weir_error *err);
    /* To be kept likewise: the subject is deleted. */
    weir_rc (*append_end)(void *self, slice subject, weir_error *err);
    /* Adds what others have appended since, with registry_put() and registry_end(). Called before each look that might find
     * nothing. */
    weir_rc (*refresh)(void *self, registry *into, weir_error *err);
    void *self;
} registry_journal;

typedef struct registry_http_options {
    slice url;          /* http://host:8081, with a base path if the server has one */
    slice user_info;    /* "user:password"; absent: none */
    slice bearer_token;
    slice ca_file, certificate_file, key_file, key_password;
    int64_t timeout_ms; /* of one request; 0: 10 s */
    uint32_t attempts;  /* 0: 5, with pauses that double from 100 ms */
} registry_http_options;

weir_rc registry_open_http(registry **out, const registry_http_options *options, weir_error *err) WEIR_CHECKED;
/* journal: copied; NULL: the schemas are gone at close. */
registry *registry_open_local(const registry_journal *journal);
void registry_close(registry *r); /* NULL is fine */

/* *out NULL: there is none. */
weir_rc registry_by_id(registry *r, int32_t id, const registered_schema **out, weir_error *err) WEIR_CHECKED;
/* version 0: the latest. */
weir_rc registry_version(registry *r, slice subject, int32_t version, const registered_schema **out,
                         weir_error *err) WEIR_CHECKED;
/* The id of the schema under the subject, which it gets if it has it not. A server may find it incompatible with the
 * versions before: a semantic error. */
weir_rc registry_register(registry *r, slice subject, const schema_text *what, int32_t *id, weir_error *err) WEIR_CHECKED;
/* The subject and its versions are no more, if there were any; by its id a schema is still found, as what was written with it
 * may still be read. */
weir_rc registry_delete(registry *r, slice subject, weir_error *err) WEIR_CHECKED;
/* Local registries: this schema, under this id, as the subject's next version. id 0: the next free. Returns the id. For
 * the journal's refresh(), and before others use the registry. */
int32_t registry_put(registry *r, slice subject, const schema_text *what, int32_t id);
/* For the journal's refresh() too: the subject is deleted. */
void registry_end(registry *r, slice subject);

#endif
