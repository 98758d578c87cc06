/* storage/registry.c - the registry's face, its cache, and the registry of a process. See registry.h.
 * A server's schemas are cached by id and, once registered, by subject and text; which version is a subject's latest is
 * asked anew each time, since others may add one. */
#include "storage/registry_backend.h"

#include <stdlib.h>

registry *registry_new(void)
{
    arena *a = arena_new(0);
    registry *r = ARENA_NEW(a, registry);

    r->arena = a;
    pthread_mutex_init(&r->lock, NULL);
    return r;
}

registry *registry_open_local(const registry_journal *journal)
{
    registry *r = registry_new();

    if (journal != NULL) {
        r->journal = *journal;
        r->has_journal = true;
    }
    return r;
}

void registry_close(registry *r)
{
    if (r == NULL) return;
    http_close(r->http);
    pthread_mutex_destroy(&r->lock);
    arena_free(r->arena);
}

bool schema_text_equal(const schema_text *x, const schema_text *y)
{
    if (x->language != y->language || !slice_equal(x->text, y->text)) return false;
    if (x->reference_count != y->reference_count) return false;
    for (uint32_t i = 0; i < x->reference_count; i++) {
        if (!slice_equal(x->references[i].name, y->references[i].name)) return false;
        if (!slice_equal(x->references[i].subject, y->references[i].subject)) return false;
        if (x->references[i].version != y->references[i].version) return false;
    }
    return true;
}

const registered_schema *registry_keep(registry *r, slice subject, const registered_schema *what)
{
    registry_entry *e = ARENA_NEW(r->arena, registry_entry);
    const schema_text *from = &what->schema;
    schema_reference *references = ARENA_ARRAY(r->arena, schema_reference, from->reference_count);

    for (uint32_t i = 0; i < from->reference_count; i++) {
        references[i] = (schema_reference){ arena_copy(r->arena, from->references[i].name),
                                            arena_copy(r->arena, from->references[i].subject), from->references[i].version };
    }
    e->subject = arena_copy(r->arena, subject);
    e->schema = *what;
    e->schema.schema.text = arena_copy(r->arena, from->text);
    e->schema.schema.references = references;
    e->next = r->entries;
    r->entries = e;
    if (what->id > r->last_id) r->last_id = what->id;
    return &e->schema;
}

static const registered_schema *find_id(const registry *r, int32_t id)
{
    for (const registry_entry *e = r->entries; e != NULL; e = e->next) {
        if (e->schema.id == id) return &e->schema;
    }
    return NULL;
}

static const registered_schema *find_text(const registry *r, slice subject, const schema_text *what)
{
    for (const registry_entry *e = r->entries; e != NULL; e = e->next) {
        if (subject.data != NULL && !(e->subject.data != NULL && slice_equal(e->subject, subject))) continue;
        if (schema_text_equal(&e->schema.schema, what)) return &e->schema;
    }
    return NULL;
}

/* ---- the registry of a process ---- */

/* version 0: the latest, which is the first met. */
static const registered_schema *find_version(const registry *r, slice subject, int32_t version)
{
    for (const registry_entry *e = r->entries; e != NULL; e = e->next) {
        if (e->subject.data == NULL || !slice_equal(e->subject, subject)) continue;
        if (version == 0 || e->schema.version == version) return &e->schema;
    }
    return NULL;
}

static int32_t put(registry *r, slice subject, const schema_text *what, int32_t id)
{
    const registered_schema *latest = find_version(r, subject, 0), *same = find_text(r, NO_SLICE, what);
    registered_schema made = { .id = id, .version = latest == NULL ? 1 : latest->version + 1, .schema = *what };

    if (made.id == 0) made.id = same != NULL ? same->id : r->last_id + 1;
    registry_keep(r, subject, &made);
    return made.id;
}

int32_t registry_put(registry *r, slice subject, const schema_text *what, int32_t id)
{
    return put(r, subject, what, id);
}

void registry_end(registry *r, slice subject)
{
    for (registry_entry *e = r->entries; e != NULL; e = e->next) {
        if (e->subject.data != NULL && slice_equal(e->subject, subject)) e->subject = NO_SLICE;
    }
}

static weir_rc refresh(registry *r, weir_error *err)
{
    return r->has_journal ? r->journal.refresh(r->journal.self, r, err) : WEIR_OK;
}

static weir_rc local_register(registry *r, slice subject, const schema_text *what, int32_t *id, weir_error *err)
{
    *id = 0;
    WEIR_TRY(refresh(r, err));
    const registered_schema *there = find_text(r, subject, what);
    if (there != NULL) {
        *id = there->id;
        return WEIR_OK;
    }
    if (!r->has_journal) {
        *id = put(r, subject, what, 0);
        return WEIR_OK;
    }
    WEIR_TRY(r->journal.append(r->journal.self, subject, what, id, err));
    return refresh(r, err);
}

static weir_rc local_delete(registry *r, slice subject, weir_error *err)
{
    WEIR_TRY(refresh(r, err));
    if (find_version(r, subject, 0) == NULL) return WEIR_OK;
    if (r->has_journal) {
        WEIR_TRY(r->journal.append_end(r->journal.self, subject, err));
        return refresh(r, err);
    }
    registry_end(r, subject);
    return WEIR_OK;
}

/* ---- the face ---- */

weir_rc registry_by_id(registry *r, int32_t id, const registered_schema **out, weir_error *err)
{
    registered_schema fetched;
    bool found = false;
    weir_rc rc = WEIR_OK;

    pthread_mutex_lock(&r->lock);
    *out = find_id(r, id);
    if (*out == NULL && r->http != NULL) {
        rc = http_by_id(r->http, id, r->arena, &fetched, &found, err);
        if (rc == WEIR_OK && found) *out = registry_keep(r, NO_SLICE, &fetched);
    } else if (*out == NULL && (rc = refresh(r, err)) == WEIR_OK) {
        *out = find_id(r, id);
    }
    pthread_mutex_unlock(&r->lock);
    return rc;
}

weir_rc registry_version(registry *r, slice subject, int32_t version, const registered_schema **out, weir_error *err)
{
    registered_schema fetched;
    bool found = false;
    weir_rc rc = WEIR_OK;

    *out = NULL;
    pthread_mutex_lock(&r->lock);
    if (r->http == NULL) {
        rc = refresh(r, err);
        if (rc == WEIR_OK) *out = find_version(r, subject, version);
    } else {
        rc = http_version(r->http, subject, version, r->arena, &fetched, &found, err);
        if (rc == WEIR_OK && found) *out = registry_keep(r, subject, &fetched);
    }
    pthread_mutex_unlock(&r->lock);
    return rc;
}

weir_rc registry_register(registry *r, slice subject, const schema_text *what, int32_t *id, weir_error *err)
{
    weir_rc rc;

    pthread_mutex_lock(&r->lock);
    if (r->http == NULL) {
        rc = local_register(r, subject, what, id, err);
    } else {
        const registered_schema *there = find_text(r, subject, what);
        rc = WEIR_OK;
        if (there != NULL) {
            *id = there->id;
        } else if ((rc = http_register(r->http, subject, what, id, err)) == WEIR_OK) {
            const registered_schema made = { .id = *id, .schema = *what };
            registry_keep(r, subject, &made);
        }
    }
    pthread_mutex_unlock(&r->lock);
    return rc;
}

weir_rc registry_delete(registry *r, slice subject, weir_error *err)
{
    weir_rc rc;

    pthread_mutex_lock(&r->lock);
    rc = r->http == NULL ? local_delete(r, subject, err) : http_delete(r->http, subject, err);
    if (rc == WEIR_OK && r->http != NULL) registry_end(r, subject);
    pthread_mutex_unlock(&r->lock);
    return rc;
}
