/* storage/registry_http.c - a schema registry's REST API, as Confluent's has it and others speak it too.
 * A request that fails for reasons that may pass (no connection, a timeout, 429, 5xx) is made again after a pause; what the
 * server says of the request itself is final. */
#include "storage/registry_backend.h"

#include "core/json.h"
#include "core/json_tree.h"
#include "core/thread.h"

#include <curl/curl.h>

#define CONTENT_TYPE "application/vnd.schemaregistry.v1+json"
#define ANSWER_BYTES_MAX ((size_t)64 << 20)
#define FIRST_PAUSE_MS 100
#define LONGEST_PAUSE_MS 3000

typedef struct registry_http {
    arena *arena;
    registry_http_options options;
    CURL *curl;
    struct curl_slist *headers;
    slice shown_url; /* the address without a user and password in it: for messages */
    text url, answer;
    long status;
    char reason[CURL_ERROR_SIZE]; /* curl's own words, more than those of its code; may be empty */
} registry_http;

static void start_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t take_answer(char *bytes, size_t size, size_t count, void *self)
{
    registry_http *h = self;

    if (h->answer.len + size * count > ANSWER_BYTES_MAX) return 0;
    text_add(&h->answer, (slice){ bytes, size * count });
    return size * count;
}

static void set_text(registry_http *h, CURLoption option, slice value)
{
    if (value.data != NULL && value.len > 0) curl_easy_setopt(h->curl, option, arena_c_string(h->arena, value));
}

static void set_options(registry_http *h)
{
    const registry_http_options *o = &h->options;

    curl_easy_setopt(h->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h->curl, CURLOPT_ERRORBUFFER, h->reason);
    curl_easy_setopt(h->curl, CURLOPT_TIMEOUT_MS, (long)o->timeout_ms);
    curl_easy_setopt(h->curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(h->curl, CURLOPT_MAXREDIRS, 3L);
    curl_easy_setopt(h->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h->curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h->curl, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(h->curl, CURLOPT_WRITEDATA, h);
    set_text(h, CURLOPT_USERPWD, o->user_info);
    if (o->bearer_token.len > 0) {
        curl_easy_setopt(h->curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        set_text(h, CURLOPT_XOAUTH2_BEARER, o->bearer_token);
    }
    set_text(h, CURLOPT_CAINFO, o->ca_file);
    set_text(h, CURLOPT_SSLCERT, o->certificate_file);
    set_text(h, CURLOPT_SSLKEY, o->key_file);
    set_text(h, CURLOPT_KEYPASSWD, o->key_password);
}

/* http://ann:secret@host is shown as http://host. */
static slice without_user(arena *a, slice url)
{
    const char *begin = (const char *)memmem(url.data, url.len, "://", 3) + 3, *end = url.data + url.len;
    const char *path = memchr(begin, '/', (size_t)(end - begin));
    const char *at = memrchr(begin, '@', (size_t)((path != NULL ? path : end) - begin));

    if (at == NULL) return url;
    return arena_printf(a, "%.*s%.*s", (int)(begin - url.data), url.data, (int)(end - at - 1), at + 1);
}

weir_rc registry_open_http(registry **out, const registry_http_options *options, weir_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    slice url = options->url;

    pthread_once(&once, start_curl);
    if (!(url.len > 7 && memcmp(url.data, "http://", 7) == 0) && !(url.len > 8 && memcmp(url.data, "https://", 8) == 0)) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "the schema registry's address is a URL such as http://localhost:8081, not %.*s",
                         SLICE_ARG(url));
    }
    while (url.data[url.len - 1] == '/') url.len--;
    registry *r = registry_new();
    registry_http *h = ARENA_NEW(r->arena, registry_http);
    h->arena = r->arena;
    h->options = *options;
    h->options.url = arena_copy(r->arena, url);
    h->shown_url = without_user(r->arena, h->options.url);
    if (h->options.timeout_ms <= 0) h->options.timeout_ms = 10000;
    if (h->options.attempts == 0) h->options.attempts = 5;
    h->curl = curl_easy_init();
    h->headers = curl_slist_append(NULL, "Content-Type: " CONTENT_TYPE);
    h->headers = curl_slist_append(h->headers, "Accept: " CONTENT_TYPE ", application/json");
    r->http = h;
    if (h->curl == NULL || h->headers == NULL) {
        registry_close(r);
        return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory for the schema registry's client");
    }
    set_options(h);
    *out = r;
    return WEIR_OK;
}

void http_close(registry_http *h)
{
    if (h == NULL) return;
    curl_slist_free_all(h->headers);
    curl_easy_cleanup(h->curl);
    text_free(&h->url);
    text_free(&h->answer);
}

/* ---- requests ---- */

static bool may_pass(CURLcode code, long status)
{
    return code != CURLE_OK ? code != CURLE_WRITE_ERROR && code != CURLE_URL_MALFORMAT && code != CURLE_PEER_FAILED_VERIFICATION
                            : status == 429 || status >= 500;
}

/* What the server says of the matter: {"error_code": 40401, "message": "..."}. */
static slice message_of(registry_http *h, arena *a)
{
    node whole;
    size_t at;
    slice said = NO_SLICE;

    if (node_parse(text_slice(&h->answer), a, &whole, &at)) said = node_member_text(&whole, "message");
    return said.data != NULL ? said : SLICE("no reason given");
}

/* "/subjects/t-value/versions": what the last request was for. */
static slice asked_for(const registry_http *h)
{
    return (slice){ h->url.data + h->options.url.len, h->url.len - h->options.url.len };
}

static weir_rc fail_unwell(registry_http *h, CURLcode code, weir_error *err)
{
    slice asked = asked_for(h);

    if (code == CURLE_OPERATION_TIMEDOUT) {
        return weir_fail_act(err, WEIR_BROKER, WEIR_ACT_RETRY, "the schema registry at %.*s has not answered %.*s within %lld ms, asked %u "
                             "time%s", SLICE_ARG(h->shown_url), SLICE_ARG(asked), (long long)h->options.timeout_ms, h->options.attempts,
                             h->options.attempts == 1 ? "" : "s");
    }
    if (code == CURLE_WRITE_ERROR) {
        return weir_fail(err, WEIR_BROKER, NOWHERE, "the schema registry at %.*s answers %.*s with more than %zu bytes", SLICE_ARG(h->shown_url),
                         SLICE_ARG(asked), (size_t)ANSWER_BYTES_MAX);
    }
    if (code != CURLE_OK) {
        return weir_fail_act(err, WEIR_BROKER, WEIR_ACT_RETRY, "the schema registry at %.*s cannot be reached: %s",
                             SLICE_ARG(h->shown_url), h->reason[0] != '\0' ? h->reason : curl_easy_strerror(code));
    }
    arena *a = arena_new(0);
    slice said = message_of(h, a);
    weir_fail_act(err, WEIR_BROKER, WEIR_ACT_RETRY, "the schema registry at %.*s answers %.*s with status %ld, asked %u time%s: %.*s",
                  SLICE_ARG(h->shown_url), SLICE_ARG(asked), h->status, h->options.attempts, h->options.attempts == 1 ? "" : "s",
                  SLICE_ARG(said));
    arena_free(a);
    return WEIR_BROKER;
}

/* body: of a POST. The URL stands in h->url; the answer comes to h->answer and h->status. */
static weir_rc request(registry_http *h, const char *method, slice body, weir_error *err)
{
    int64_t wait_ms = FIRST_PAUSE_MS;
    CURLcode code = CURLE_OK;

    for (uint32_t attempt = 0;; attempt++) {
        text_clear(&h->answer);
        curl_easy_setopt(h->curl, CURLOPT_URL, h->url.data);
        curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, h->headers);
        curl_easy_setopt(h->curl, CURLOPT_CUSTOMREQUEST, method);
        if (body.data == NULL) {
            curl_easy_setopt(h->curl, CURLOPT_HTTPGET, 1L);
        } else {
            curl_easy_setopt(h->curl, CURLOPT_POST, 1L);
            curl_easy_setopt(h->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
            curl_easy_setopt(h->curl, CURLOPT_POSTFIELDS, body.data);
        }
        h->reason[0] = '\0';
        code = curl_easy_perform(h->curl);
        h->status = 0;
        curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &h->status);
        if (!may_pass(code, h->status)) break;
        if (attempt + 1 >= h->options.attempts) return fail_unwell(h, code, err);
        thread_sleep_ms(wait_ms);
        wait_ms = wait_ms * 2 > LONGEST_PAUSE_MS ? LONGEST_PAUSE_MS : wait_ms * 2;
    }
    return code == CURLE_OK ? WEIR_OK : fail_unwell(h, code, err);
}

static void begin_url(registry_http *h)
{
    text_clear(&h->url);
    text_add(&h->url, h->options.url);
}

static void add_escaped(registry_http *h, slice part)
{
    static const char HEX[] = "0123456789ABCDEF";

    for (size_t i = 0; i < part.len; i++) {
        unsigned char c = (unsigned char)part.data[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~", c) != NULL;
        if (is_plain && c != '\0') {
            text_add_char(&h->url, (char)c);
        } else {
            text_add_char(&h->url, '%');
            text_add_char(&h->url, HEX[c >> 4]);
            text_add_char(&h->url, HEX[c & 15]);
        }
    }
}

/* ---- answers ---- */

static weir_rc fail_answer(registry_http *h, const char *what, weir_error *err)
{
    slice asked = asked_for(h);

    /* A proxy in between, perhaps, that speaks for a server that is away. */
    return weir_fail_act(err, WEIR_BROKER, WEIR_ACT_RETRY, "%.*s answers %.*s as no schema registry does: %s", SLICE_ARG(h->shown_url),
                         SLICE_ARG(asked), what);
}

static weir_rc fail_refused(registry_http *h, arena *a, weir_error *err)
{
    slice said = message_of(h, a), asked = asked_for(h);

    if (h->status == 401) {
        bool has_user = h->options.user_info.data != NULL || h->options.bearer_token.data != NULL;
        return weir_fail(err, WEIR_BROKER, NOWHERE,
                         "the schema registry at %.*s refuses access to %.*s (status 401): %s; schema.registry.basic.auth.user.info gives "
                         "user and password, schema.registry.bearer.auth.token a token", SLICE_ARG(h->shown_url), SLICE_ARG(asked),
                         has_user ? "it does not take the user and password, or the token, that were given" : "no user was given");
    }
    if (h->status == 403) {
        return weir_fail(err, WEIR_BROKER, NOWHERE,
                         "the schema registry at %.*s refuses access to %.*s (status 403): %.*s; the user is known there and lacks the right",
                         SLICE_ARG(h->shown_url), SLICE_ARG(asked), SLICE_ARG(said));
    }
    return weir_fail(err, WEIR_BROKER, NOWHERE, "the schema registry at %.*s answers %.*s with status %ld: %.*s",
                     SLICE_ARG(h->shown_url), SLICE_ARG(asked), h->status, SLICE_ARG(said));
}

static bool language_of(slice name, schema_language *out)
{
    if (name.data == NULL || slice_equal_nocase(name, SLICE("AVRO"))) *out = SCHEMA_AVRO;
    else if (slice_equal_nocase(name, SLICE("JSON"))) *out = SCHEMA_JSON;
    else if (slice_equal_nocase(name, SLICE("PROTOBUF"))) *out = SCHEMA_PROTOBUF;
    else return false;
    return true;
}

static weir_rc read_schema(registry_http *h, arena *a, registered_schema *out, weir_error *err)
{
    node *whole = ARENA_NEW(a, node);
    size_t at;

    /* The tree lends from its text, and the caller from the tree. */
    if (!node_parse(arena_copy(a, text_slice(&h->answer)), a, whole, &at)) return fail_answer(h, "that is no JSON", err);
    *out = (registered_schema){ .version = (int32_t)node_member_i64(whole, "version", 0) };
    out->id = (int32_t)node_member_i64(whole, "id", 0);
    out->schema.text = node_member_text(whole, "schema");
    if (out->schema.text.data == NULL) return fail_answer(h, "there is no schema in it", err);
    if (!language_of(node_member_text(whole, "schemaType"), &out->schema.language)) {
        return fail_answer(h, "the schema is of an unknown type", err);
    }
    const node *references = node_member(whole, "references");
    uint32_t count = references != NULL && references->kind == NODE_ARRAY ? references->count : 0;
    schema_reference *copies = ARENA_ZEROS(a, schema_reference, count);
    for (uint32_t i = 0; i < count; i++) {
        copies[i] = (schema_reference){ node_member_text(&references->items[i], "name"),
                                        node_member_text(&references->items[i], "subject"),
                                        (int32_t)node_member_i64(&references->items[i], "version", 0) };
        if (copies[i].name.data == NULL || copies[i].subject.data == NULL) return fail_answer(h, "a reference lacks its name", err);
    }
    out->schema.references = copies;
    out->schema.reference_count = count;
    return WEIR_OK;
}

/* A registry that has not what is asked for says so with a code; a server of something else has but no such page. */
static bool is_registrys_own(registry_http *h, arena *a)
{
    node whole;
    size_t at;

    return node_parse(text_slice(&h->answer), a, &whole, &at) && node_member_i64(&whole, "error_code", 0) != 0;
}

static weir_rc get_schema(registry_http *h, arena *a, registered_schema *out, bool *found, weir_error *err)
{
    *found = false;
    WEIR_TRY(request(h, "GET", NO_SLICE, err));
    if (h->status == 404 && is_registrys_own(h, a)) return WEIR_OK;
    if (h->status == 404) return fail_answer(h, "status 404 without an error_code; is this its address, path and all?", err);
    if (h->status != 200) return fail_refused(h, a, err);
    *found = true;
    return read_schema(h, a, out, err);
}

weir_rc http_by_id(registry_http *h, int32_t id, arena *a, registered_schema *out, bool *found, weir_error *err)
{
    begin_url(h);
    text_printf(&h->url, "/schemas/ids/%d", id);
    WEIR_TRY(get_schema(h, a, out, found, err));
    out->id = id;
    return WEIR_OK;
}

weir_rc http_version(registry_http *h, slice subject, int32_t version, arena *a, registered_schema *out, bool *found,
                     weir_error *err)
{
    begin_url(h);
    text_add_c(&h->url, "/subjects/");
    add_escaped(h, subject);
    text_add_c(&h->url, "/versions/");
    if (version == 0) text_add_c(&h->url, "latest");
    else text_printf(&h->url, "%d", version);
    WEIR_TRY(get_schema(h, a, out, found, err));
    if (*found && out->id <= 0) return fail_answer(h, "the schema has no id", err);
    return WEIR_OK;
}

/* Some registries look what a text may be, and know a JSON schema that is no object's by its "$schema" alone. */
static void print_schema(text *body, const schema_text *what)
{
    static const char lone[] = "{\"oneOf\":";
    bool is_lone = what->language == SCHEMA_JSON && what->text.len > sizeof lone && memcmp(what->text.data, lone, sizeof lone - 1) == 0;
    text marked = TEXT_EMPTY;

    if (is_lone) {
        text_add_c(&marked, "{\"$schema\":\"http://json-schema.org/draft-07/schema#\",");
        text_add(&marked, (slice){ what->text.data + 1, what->text.len - 1 });
    }
    print_json_string(body, is_lone ? text_slice(&marked) : what->text);
    text_free(&marked);
}

static void print_body(text *body, const schema_text *what)
{
    text_add_c(body, "{\"schema\":");
    print_schema(body, what);
    if (what->language != SCHEMA_AVRO) {
        text_printf(body, ",\"schemaType\":\"%s\"", what->language == SCHEMA_JSON ? "JSON" : "PROTOBUF");
    }
    if (what->reference_count > 0) text_add_c(body, ",\"references\":[");
    for (uint32_t i = 0; i < what->reference_count; i++) {
        text_add_c(body, i == 0 ? "{\"name\":" : ",{\"name\":");
        print_json_string(body, what->references[i].name);
        text_add_c(body, ",\"subject\":");
        print_json_string(body, what->references[i].subject);
        text_printf(body, ",\"version\":%d}", what->references[i].version);
    }
    if (what->reference_count > 0) text_add_char(body, ']');
    text_add_char(body, '}');
}

weir_rc http_register(registry_http *h, slice subject, const schema_text *what, int32_t *id, weir_error *err)
{
    text body = TEXT_EMPTY;
    arena *a = arena_new(0);
    node whole;
    size_t at;

    begin_url(h);
    text_add_c(&h->url, "/subjects/");
    add_escaped(h, subject);
    text_add_c(&h->url, "/versions");
    print_body(&body, what);
    weir_rc rc = request(h, "POST", text_slice(&body), err);
    text_free(&body);
    if (rc == WEIR_OK && (h->status == 409 || h->status == 422)) {
        slice said = message_of(h, a);
        rc = weir_fail(err, WEIR_SEMANTIC, NOWHERE, "the schema registry does not take the schema of %.*s (status %ld): %.*s; %s",
                       SLICE_ARG(subject), h->status, SLICE_ARG(said),
                       h->status == 409 ? "keep to what the subject's earlier schemas allow, change its compatibility, or write to "
                                          "another topic"
                                        : "it takes it for invalid: other names or types of columns, or another format, may do");
    } else if (rc == WEIR_OK && h->status != 200 && h->status != 201) {
        rc = fail_refused(h, a, err);
    } else if (rc == WEIR_OK) {
        *id = 0;
        if (node_parse(text_slice(&h->answer), a, &whole, &at)) *id = (int32_t)node_member_i64(&whole, "id", 0);
        if (*id <= 0) rc = fail_answer(h, "the registered schema has no id", err);
    }
    arena_free(a);
    return rc;
}

weir_rc http_delete(registry_http *h, slice subject, weir_error *err)
{
    begin_url(h);
    text_add_c(&h->url, "/subjects/");
    add_escaped(h, subject);
    WEIR_TRY(request(h, "DELETE", NO_SLICE, err));
    if (h->status == 200 || h->status == 404) return WEIR_OK;
    arena *a = arena_new(0);
    weir_rc rc = fail_refused(h, a, err);
    arena_free(a);
    return rc;
}
