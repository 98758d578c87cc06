/* executor/schema_log.c - the registry's client as the options say; and on the embedded log, where no server is named, a
 * registry of weir's own, kept in an internal topic: a record a schema, JSON as a server's API has it, or a subject that was
 * deleted. A schema's id is its offset plus one, so that processes which append at the same time never give one id to two
 * schemas. */
#include "executor/weir.h"

#include "core/json.h"
#include "core/json_tree.h"
#include "storage/registry.h"

#define PROPERTY_PREFIX "schema.registry."
#define SCHEMA_TOPIC "weir-schemas"

bool is_registry_property(slice name)
{
    size_t len = sizeof PROPERTY_PREFIX - 1;
    return name.len > len && memcmp(name.data, PROPERTY_PREFIX, len) == 0;
}

/* ---- a server ---- */

static weir_rc open_server(weir *w, weir_error *err)
{
    registry_http_options options = { .url = w->options.schema_registry_url };
    const struct {
        const char *name;
        slice *value;
    } known[] = {
        { "basic.auth.user.info", &options.user_info },
        { "bearer.auth.token", &options.bearer_token },
        { "ssl.ca.location", &options.ca_file },
        { "ssl.certificate.location", &options.certificate_file },
        { "ssl.key.location", &options.key_file },
        { "ssl.key.password", &options.key_password },
    };

    for (uint32_t i = 0; i < w->options.client_property_count; i++) {
        const weir_setting *p = &w->options.client_properties[i];
        if (!is_registry_property(p->name)) continue;
        slice rest = { p->name.data + sizeof PROPERTY_PREFIX - 1, p->name.len - (sizeof PROPERTY_PREFIX - 1) };
        size_t k = 0;
        while (k < sizeof known / sizeof *known && !slice_is(rest, known[k].name)) k++;
        if (k == sizeof known / sizeof *known) {
            return weir_fail(err, WEIR_SEMANTIC, NOWHERE,
                             "unknown property %.*s; there are " PROPERTY_PREFIX "basic.auth.user.info, bearer.auth.token, "
                             "ssl.ca.location, ssl.certificate.location, ssl.key.location and ssl.key.password",
                             SLICE_ARG(p->name));
        }
        *known[k].value = arena_copy(w->arena, p->value);
    }
    return registry_open_http(&w->registry, &options, err);
}

/* ---- the topic ---- */

typedef struct schema_log {
    weir *weir;
    slice topic;
    int64_t folded_to;
} schema_log;

static const char *const LANGUAGES[] = { [SCHEMA_AVRO] = "AVRO", [SCHEMA_JSON] = "JSON", [SCHEMA_PROTOBUF] = "PROTOBUF" };

static weir_rc fold_record(schema_log *l, registry *into, slice record, int64_t offset, weir_error *err)
{
    arena *a = arena_new(0);
    node whole;
    size_t at;
    weir_rc rc = WEIR_OK;
    schema_text made = { .language = SCHEMA_AVRO };

    bool is_good = node_parse(record, a, &whole, &at);
    slice subject = is_good ? node_member_text(&whole, "subject") : NO_SLICE;
    made.text = is_good ? node_member_text(&whole, "schema") : NO_SLICE;
    if (subject.data != NULL && node_member(&whole, "deleted") != NULL) {
        registry_end(into, subject);
    } else if (subject.data == NULL || made.text.data == NULL) {
        rc = weir_fail(err, WEIR_STORAGE, NOWHERE, "topic %.*s holds a record that is no schema at offset %lld",
                       SLICE_ARG(l->topic), (long long)offset);
    } else {
        slice language = node_member_text(&whole, "schemaType");
        for (int i = SCHEMA_AVRO; i <= SCHEMA_PROTOBUF; i++) {
            if (language.data != NULL && slice_is(language, LANGUAGES[i])) made.language = (schema_language)i;
        }
        registry_put(into, subject, &made, (int32_t)(offset + 1));
    }
    arena_free(a);
    return rc;
}

static weir_rc fold(schema_log *l, registry *into, int64_t end, weir_error *err)
{
    const client_source source = { .topic = l->topic, .start = START_EARLIEST };
    const client_spec spec = { .name = SLICE("schemas"), .is_transient = true, .sources = &source, .source_count = 1,
                               .instances = 1 };
    const fetch *events;
    uint32_t count;
    client *c;

    WEIR_TRY(client_open(&c, l->weir->storage, &spec, err));
    weir_rc rc = client_poll(c, 100, 1, &events, &count, err); /* the assignment */
    if (rc == WEIR_OK) rc = client_seek(c, 0, 0, l->folded_to, err);
    while (rc == WEIR_OK && l->folded_to < end) {
        rc = client_poll(c, 100, BATCH_ROWS_MAX, &events, &count, err);
        for (uint32_t i = 0; rc == WEIR_OK && i < count; i++) {
            for (uint32_t r = 0; events[i].kind == FETCH_RECORDS && rc == WEIR_OK && r < events[i].rows; r++) {
                rc = fold_record(l, into, events[i].value[r], events[i].offset[r], err);
            }
            bool moves = events[i].kind == FETCH_RECORDS || events[i].kind == FETCH_END;
            if (rc == WEIR_OK && moves && events[i].next_offset > l->folded_to) l->folded_to = events[i].next_offset;
        }
    }
    client_close(c);
    return rc;
}

static weir_rc refresh(void *self, registry *into, weir_error *err)
{
    schema_log *l = self;
    topic_info info;
    bool found;
    int64_t begin, end;

    WEIR_TRY(topic_find(l->weir->storage, l->topic, &info, &found, err));
    if (!found) return WEIR_OK;
    WEIR_TRY(topic_offsets(l->weir->storage, l->topic, 0, &begin, &end, err));
    return end <= l->folded_to ? WEIR_OK : fold(l, into, end, err);
}

/* Takes the body. */
static weir_rc append_record(schema_log *l, text *body, int64_t *offset, weir_error *err)
{
    const topic_spec spec = { .name = l->topic, .partitions = 1, .replicas = 1, .retention_ms = -1, .retention_bytes = -1,
                              .is_internal = true };
    topic_info info;
    bool found;
    int32_t partition = 0;

    weir_rc rc = topic_find(l->weir->storage, l->topic, &info, &found, err);
    if (rc == WEIR_OK && !found) rc = topic_create(l->weir->storage, &spec, err);
    const record one = { .value = text_slice(body), .timestamp_ms = clock_now_ms(&l->weir->clock) };
    if (rc == WEIR_OK) rc = topic_append(l->weir->storage, l->topic, &one, &partition, 1, offset, err);
    text_free(body);
    return rc;
}

static weir_rc append(void *self, slice subject, const schema_text *what, int32_t *id, weir_error *err)
{
    int64_t offset = 0;
    text body = TEXT_EMPTY;

    text_add_c(&body, "{\"subject\":");
    print_json_string(&body, subject);
    text_printf(&body, ",\"schemaType\":\"%s\",\"schema\":", LANGUAGES[what->language]);
    print_json_string(&body, what->text);
    text_add_char(&body, '}');
    weir_rc rc = append_record(self, &body, &offset, err);
    *id = (int32_t)(offset + 1);
    return rc;
}

static weir_rc append_end(void *self, slice subject, weir_error *err)
{
    int64_t offset = 0;
    text body = TEXT_EMPTY;

    text_add_c(&body, "{\"subject\":");
    print_json_string(&body, subject);
    text_add_c(&body, ",\"deleted\":true}");
    return append_record(self, &body, &offset, err);
}

weir_rc open_registry(weir *w, weir_error *err)
{
    if (w->options.schema_registry_url.data != NULL) return open_server(w, err);
    if (storage_is_kafka(w->storage)) return WEIR_OK;
    if (w->options.is_temporary) {
        w->registry = registry_open_local(NULL);
        return WEIR_OK;
    }
    schema_log *l = ARENA_NEW(w->arena, schema_log);
    *l = (schema_log){ .weir = w, .topic = SLICE(SCHEMA_TOPIC) };
    const registry_journal journal = { .append = append, .append_end = append_end, .refresh = refresh, .self = l };
    w->registry = registry_open_local(&journal);
    return WEIR_OK;
}
