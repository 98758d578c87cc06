/* tests/runner/rest.c - see rest.h. The engine's clock stands still and its queries advance only here, as in run.c; the
 * server has its own threads, and a push query that waits for input is a request under way in another one. */
#include "tests/runner/rest.h"

#include "core/json.h"
#include "server/server.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>

#define ANSWER_MS 8000 /* how long a query may take that should end by itself */

typedef struct conversation {
    run *run;
    server *server;
    pthread_t loop;
    CURL *curl;
    struct curl_slist *headers;
} conversation;

/* One request and its answer. */
typedef struct request {
    conversation *with;
    const char *path;
    text body, answer;
    long status;
    pthread_mutex_t lock;
    pthread_cond_t news;
    bool has_begun, has_ended; /* of the answer */
    const char *failure;       /* of the transport */
} request;

/* ---- HTTP ---- */

static void note_begun(request *q, bool has_ended)
{
    pthread_mutex_lock(&q->lock);
    q->has_begun = true;
    q->has_ended = has_ended;
    pthread_cond_signal(&q->news);
    pthread_mutex_unlock(&q->lock);
}

static size_t take_answer(char *bytes, size_t size, size_t count, void *self)
{
    request *q = self;

    text_add(&q->answer, (slice){ bytes, size * count });
    note_begun(q, false);
    return size * count;
}

static void *perform(void *self)
{
    request *q = self;
    CURL *curl = q->with->curl;
    char url[64];

    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", server_port(q->with->server), q->path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)q->body.len);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, q->body.data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, q);
    CURLcode code = curl_easy_perform(curl);
    if (code != CURLE_OK) q->failure = curl_easy_strerror(code);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &q->status);
    note_begun(q, true);
    return NULL;
}

static void request_open(request *q, conversation *c, const char *path, slice sql)
{
    const node *properties = node_member(c->run->data, "properties");
    uint32_t count = 0;

    *q = (request){ .with = c, .path = path };
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->news, NULL);
    text_add_c(&q->body, "{\"ksql\": ");
    print_json_string(&q->body, sql);
    text_add_c(&q->body, ", \"streamsProperties\": {");
    for (uint32_t i = 0; properties != NULL && i < properties->count; i++) {
        if (!weir_knows_setting(properties->names[i])) continue; /* it tunes Kafka Streams, or the judge */
        if (count++ > 0) text_add_c(&q->body, ", ");
        print_json_string(&q->body, properties->names[i]);
        text_printf(&q->body, ": %.*s", SLICE_ARG(properties->items[i].raw));
    }
    text_add_c(&q->body, "}}");
}

static void request_close(request *q)
{
    text_free(&q->body);
    text_free(&q->answer);
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->news);
}

/* ---- answers ---- */

static weir_rc rc_named(slice name)
{
    for (weir_rc rc = WEIR_SYNTAX; rc <= WEIR_CANCELLED; rc++) {
        if (slice_is(name, weir_rc_name(rc))) return rc;
    }
    return WEIR_INTERNAL;
}

/* An error as the server says it: {"message": "line 1:8: unknown ...", "errorClass": ...}. Its lines begin at first_line. */
static void fail_as_said(run *r, const node *said, int64_t statement, uint32_t first_line)
{
    slice class = node_member_text(said, "errorClass"), message = node_member_text(said, "message");
    weir_rc rc = class.data != NULL ? rc_named(class) : slice_is(node_member_text(said, "@type"), "generic_error") ? WEIR_SEMANTIC
                                                                                                                   : WEIR_INTERNAL;
    sql_pos at = NOWHERE;
    weir_error err;
    int told = 0;

    if (message.data == NULL) message = said->raw;
    message = arena_copy(r->arena, message); /* ends with a zero */
    if (sscanf(message.data, "line %u:%u: %n", &at.line, &at.column, &told) == 2 && told > 0) {
        message = (slice){ message.data + told, message.len - (size_t)told };
        at.line += first_line - 1;
    }
    if (statement < 0) statement = run_statement_at(r, at.line);
    rc = weir_fail(&err, rc, at, "%.*s", SLICE_ARG(message));
    run_fail(r, &err, rc == WEIR_OK ? -1 : statement);
}

static void fail_plainly(run *r, int64_t statement, const char *what, slice detail)
{
    weir_error err;
    weir_rc rc = weir_fail(&err, WEIR_INTERNAL, NOWHERE, "%s: %.*s", what, SLICE_ARG(detail));

    run_fail(r, &err, rc == WEIR_OK ? -1 : statement);
}

/* False: what came is no answer, or an error, which the run has failed with. */
static bool read_answer(request *q, int64_t statement, uint32_t first_line, node *out)
{
    run *r = q->with->run;
    size_t at = 0;

    if (q->failure != NULL) {
        fail_plainly(r, statement, "the request failed", slice_of(q->failure));
        return false;
    }
    slice all = arena_copy(r->arena, text_slice(&q->answer));
    if (!node_parse(all, r->arena, out, &at)) {
        fail_plainly(r, statement, "the answer is no JSON", all);
        return false;
    }
    if (q->status == 200) return true;
    fail_as_said(r, out, statement, first_line);
    return false;
}

static void add_raw(text *out, slice json)
{
    for (size_t i = 0; i < json.len; i++) {
        if (json.data[i] != '\n') text_add_char(out, json.data[i]); /* between tokens only: in texts they are escaped */
    }
}

static void add_response(run *r, const char *kind, slice json)
{
    text *out = &r->responses;

    if (out->len > 0) text_add_c(out, ", ");
    text_printf(out, "{\"%s\": ", kind);
    add_raw(out, json);
    text_add_char(out, '}');
}

static void add_entities(run *r, const node *list)
{
    for (uint32_t i = 0; list != NULL && list->kind == NODE_ARRAY && i < list->count; i++) {
        add_response(r, "admin", list->items[i].raw);
    }
}

/* ---- statements ---- */

static bool is_query(slice sql)
{
    static const char select[] = "SELECT ";
    return sql.len >= sizeof select - 1 && memcmp(sql.data, select, sizeof select - 1) == 0;
}

static uint32_t count_admin(const node *list)
{
    uint32_t count = 0;

    while (list != NULL && count < list->count && !is_query(node_text(&list->items[count]))) count++;
    return count;
}

/* The statement an error speaks of, where it tells no place: the last of that text. */
static int64_t statement_saying(const run *r, slice text_of_it)
{
    const node *list = node_member(r->data, "statements");
    int64_t found = -1;

    for (uint32_t i = 0; text_of_it.len > 0 && i < list->count; i++) {
        slice sql = node_text(&list->items[i]);
        if (memmem(sql.data, sql.len, text_of_it.data, text_of_it.len) != NULL) found = i;
    }
    return found;
}

static void run_admin(conversation *c)
{
    run *r = c->run;
    request q;
    node answer;

    if (r->sql.len == 0) return;
    request_open(&q, c, "/ksql", r->sql);
    perform(&q);
    if (read_answer(&q, -1, 1, &answer)) {
        add_entities(r, &answer);
    } else if (q.failure == NULL && answer.kind == NODE_OBJECT) {
        add_entities(r, node_member(&answer, "entities"));
        if (r->failed_statement < 0) r->failed_statement = statement_saying(r, node_member_text(&answer, "statementText"));
    }
    request_close(&q);
    if (!r->has_failed) run_note_sources(r);
}

/* ---- queries ---- */

static void note_rows(run *r, const char *kind, const node *answer, int64_t statement)
{
    add_response(r, kind, answer->raw);
    for (uint32_t i = 0; answer->kind == NODE_ARRAY && i < answer->count; i++) {
        const node *said = node_member(&answer->items[i], "errorMessage");
        if (said != NULL) fail_as_said(r, said, statement, r->first_line[statement]);
    }
}

static void wait_begun(request *q)
{
    pthread_mutex_lock(&q->lock);
    while (!q->has_begun) pthread_cond_wait(&q->news, &q->lock);
    pthread_mutex_unlock(&q->lock);
}

/* A push query that is there before its input: once its answer has begun it is subscribed. */
static void perform_with_input(request *q)
{
    run *r = q->with->run;
    pthread_t thread;

    if (pthread_create(&thread, NULL, perform, q) != 0) {
        q->failure = "no thread for it";
        return;
    }
    wait_begun(q);
    run_feed(r);
    run_queries(r);
    pthread_join(thread, NULL);
}

static void run_select(conversation *c, uint32_t statement, bool feeds)
{
    run *r = c->run;
    request q;
    node answer;

    request_open(&q, c, "/query", node_text(&node_member(r->data, "statements")->items[statement]));
    if (feeds) perform_with_input(&q);
    else perform(&q);
    if (read_answer(&q, statement, r->first_line[statement], &answer)) note_rows(r, "query", &answer, statement);
    request_close(&q);
}

/* ---- the whole ---- */

static void *serve(void *self)
{
    weir_error err;

    if (server_run(self, &err) != WEIR_OK) fprintf(stderr, "case_runner: %s\n", err.message);
    return NULL;
}

static bool open_server(conversation *c)
{
    static const weir_setting settings[] = { { SLICE("emit"), SLICE("every-change") },
                                             { SLICE("auto.offset.reset"), SLICE("earliest") },
                                             { SLICE("pull.dialect"), SLICE("ksqldb") } };
    const server_options options = { .host = SLICE("127.0.0.1"), .service = SLICE("weir"), .settings = settings,
                                     .setting_count = sizeof settings / sizeof *settings, .workers = 2 };
    weir_error err;

    if (server_open(&c->server, c->run->weir, &options, &err) != WEIR_OK) {
        run_fail(c->run, &err, -1);
        return false;
    }
    if (pthread_create(&c->loop, NULL, serve, c->server) != 0) {
        server_close(c->server);
        fail_plainly(c->run, -1, "no thread for the server", SLICE(""));
        return false;
    }
    c->curl = curl_easy_init();
    c->headers = curl_slist_append(NULL, "Content-Type: application/vnd.ksql.v1+json");
    curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, (long)ANSWER_MS);
    curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->headers);
    curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, take_answer);
    return true;
}

static void close_server(conversation *c)
{
    curl_slist_free_all(c->headers);
    curl_easy_cleanup(c->curl);
    server_stop(c->server);
    pthread_join(c->loop, NULL);
    server_close(c->server);
}

static void run_queries_of_case(conversation *c, uint32_t first)
{
    run *r = c->run;
    const node *list = node_member(r->data, "statements");
    slice waits = node_member_text(node_member(r->data, "inputConditions"), "waitForActivePushQuery");
    bool feeds = slice_is(waits, "true");

    if (!feeds && !r->has_failed) run_feed(r);
    run_queries(r); /* a query that begins at the latest offset has to stand there before its input comes */
    for (uint32_t i = first; !r->has_failed && i < list->count; i++) {
        run_select(c, i, feeds);
        feeds = false;
    }
}

run *run_rest_case(const node *data)
{
    uint32_t admin = count_admin(node_member(data, "statements"));
    run *r = run_open(data, admin, true);
    conversation c = { .run = r };

    if (r->has_failed || !open_server(&c)) return r;
    run_admin(&c);
    run_queries_of_case(&c, admin);
    close_server(&c);
    return r;
}
