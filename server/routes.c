/* server/routes.c - which request goes where, and the small answers that need no engine. */
#include "server/inside.h"

#include "core/json.h"
#include "core/utf8.h"
#include "core/version.h"

#include <stdio.h>
#include <stdlib.h>

static const weir_clock WALL = { 0 };

static void reply_text(exchange *x, int status, text *body)
{
    exchange_reply(x, status, MEDIA_KSQL, text_slice(body));
    text_free(body);
}

static slice service_of(const exchange *x)
{
    slice service = x->server->options.service;
    return service.data == NULL ? SLICE("weir") : service;
}

static void handle_info(exchange *x)
{
    text body = TEXT_EMPTY;

    text_add_c(&body, "{\"KsqlServerInfo\":{\"version\":");
    print_json_string(&body, slice_of(weir_version()));
    text_add_c(&body, ",\"kafkaClusterId\":");
    print_json_string(&body, service_of(x));
    text_add_c(&body, ",\"ksqlServiceId\":");
    print_json_string(&body, service_of(x));
    text_add_c(&body, ",\"serverStatus\":\"RUNNING\"}}");
    reply_text(x, 200, &body);
}

static void handle_root(exchange *x)
{
    exchange_set_header(x, "location", SLICE("/info"));
    exchange_reply(x, 307, MEDIA_KSQL, SLICE(""));
}

static void handle_health(exchange *x)
{
    exchange_reply(x, 200, MEDIA_KSQL,
                   SLICE("{\"isHealthy\":true,\"details\":{\"metastore\":{\"isHealthy\":true},\"kafka\":{\"isHealthy\":true},"
                         "\"commandRunner\":{\"isHealthy\":true}},\"serverState\":\"READY\"}"));
}

static void handle_alive(exchange *x)
{
    exchange_reply(x, 200, MEDIA_JSON, SLICE("{}"));
}

static void print_scope(exchange *x, text *body)
{
    text_add_c(body, "{\"scope\":{\"path\":[],\"clusters\":{\"kafka-cluster\":");
    print_json_string(body, service_of(x));
    text_add_c(body, ",\"ksql-cluster\":");
    print_json_string(body, service_of(x));
    text_add_c(body, "}},\"id\":\"\"}");
}

static void handle_metadata(exchange *x)
{
    text body = TEXT_EMPTY;

    text_add_c(&body, "{\"version\":");
    print_json_string(&body, slice_of(weir_version()));
    text_add_c(&body, ",\"clusterId\":");
    print_scope(x, &body);
    text_add_char(&body, '}');
    reply_text(x, 200, &body);
}

static void handle_metadata_id(exchange *x)
{
    text body = TEXT_EMPTY;

    print_scope(x, &body);
    reply_text(x, 200, &body);
}

static void handle_cluster(exchange *x)
{
    text body = TEXT_EMPTY;
    slice host = x->server->options.host;

    text_printf(&body, "{\"clusterStatus\":{\"%.*s:%u\":{\"hostAlive\":true,\"lastStatusUpdateMs\":%lld,"
                "\"activeStandbyPerQuery\":{},\"hostStoreLags\":{\"stateStoreLags\":{},\"updateTimeMs\":0}}}}",
                SLICE_ARG(host), x->server->port, (long long)clock_now_ms(&WALL));
    reply_text(x, 200, &body);
}

static void handle_is_valid_property(exchange *x)
{
    static const char path[] = "/is_valid_property/";
    slice all = text_slice(&x->path), name = { all.data + sizeof path - 1, all.len - (sizeof path - 1) };

    if (weir_knows_setting(name)) exchange_reply(x, 200, MEDIA_KSQL, SLICE("true"));
    else exchange_fail(x, 400, 40000, "unknown setting '%.*s'; SHOW PROPERTIES lists them", SLICE_ARG(name));
}

static const route ROUTES[] = {
    { "GET", "/", handle_root, false, ROLE_READ },
    { "GET", "/info", handle_info, false, ROLE_READ },
    { "GET", "/healthcheck", handle_health, false, ROLE_READ },
    { "GET", "/chc/live", handle_alive, false, ROLE_NONE },
    { "GET", "/chc/ready", handle_alive, false, ROLE_NONE },
    { "GET", "/v1/metadata", handle_metadata, false, ROLE_READ },
    { "GET", "/v1/metadata/id", handle_metadata_id, false, ROLE_READ },
    { "GET", "/clusterStatus", handle_cluster, false, ROLE_READ },
    { "GET", "/is_valid_property/", handle_is_valid_property, false, ROLE_READ },
    { "GET", "/status", handle_status, false, ROLE_READ },
    { "GET", "/status/", handle_status, false, ROLE_READ },
    { "GET", "/metrics", handle_metrics, false, ROLE_READ },
    { "GET", "/ws/query", handle_web_socket, false, ROLE_READ },
    { "POST", "/v1/shell", handle_shell, false, ROLE_READ },
    { "POST", "/v1/names", handle_names, false, ROLE_READ },
    { "POST", "/ksql", handle_ksql, false, ROLE_READ },
    { "POST", "/ksql/terminate", handle_terminate, false, ROLE_ADMIN },
    { "POST", "/query", handle_query, false, ROLE_READ },
    { "POST", "/query-stream", handle_query_stream, false, ROLE_READ },
    { "POST", "/close-query", handle_close_query, false, ROLE_READ },
    { "POST", "/inserts-stream", handle_inserts, true, ROLE_ADMIN },
};
enum { ROUTE_COUNT = sizeof ROUTES / sizeof *ROUTES };

static bool fits(const route *r, slice path)
{
    size_t len = strlen(r->path);

    if (r->path[len - 1] == '/' && len > 1) return path.len > len && memcmp(path.data, r->path, len) == 0;
    return slice_is(path, r->path);
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* %XX undone; what stands behind the '?' is told apart. */
static void tidy_path(exchange *x)
{
    text *path = &x->path;
    size_t to = 0;
    const char *mark = path->len == 0 ? NULL : memchr(path->data, '?', path->len);

    if (mark != NULL) {
        x->path_query = (slice){ mark + 1, (size_t)(path->data + path->len - mark) - 1 };
        path->len = (size_t)(mark - path->data);
    }

    for (size_t i = 0; i < path->len; i++, to++) {
        bool is_code = path->data[i] == '%' && i + 2 < path->len && hex(path->data[i + 1]) >= 0 && hex(path->data[i + 2]) >= 0;
        path->data[to] = is_code ? (char)(hex(path->data[i + 1]) * 16 + hex(path->data[i + 2])) : path->data[i];
        if (is_code) i += 2;
    }
    path->len = to;
}

const route *route_find(exchange *x)
{
    slice method = text_slice(&x->method);

    tidy_path(x);
    if (slice_is(method, "HEAD")) method = SLICE("GET");
    for (uint32_t i = 0; i < ROUTE_COUNT; i++) {
        if (fits(&ROUTES[i], text_slice(&x->path)) && slice_is(method, ROUTES[i].method)) return &ROUTES[i];
    }
    return NULL;
}

void route_dispatch(exchange *x)
{
    slice path = text_slice(&x->path);

    if (atomic_load(&x->server->is_stopping)) {
        exchange_fail(x, 503, 50300, "the server is stopping");
        return;
    }
    if (!admit(x)) return;
    if (x->route != NULL) {
        x->route->handle(x);
        return;
    }
    atomic_fetch_add(&x->server->failures, 1);
    for (uint32_t i = 0; i < ROUTE_COUNT; i++) {
        if (!fits(&ROUTES[i], path)) continue;
        exchange_set_header(x, "allow", slice_of(strcmp(ROUTES[i].method, "GET") == 0 ? "GET, HEAD" : ROUTES[i].method));
        exchange_fail(x, 405, 40500, "%.*s takes %s, not %.*s", SLICE_ARG(path), ROUTES[i].method, SLICE_ARG(text_slice(&x->method)));
        return;
    }
    slice shown = utf8_fault(path) < 0 && path.len < 200 ? path : SLICE("that path");
    exchange_fail(x, 404, 40400, "there is nothing at %.*s", SLICE_ARG(shown));
}

/* ---- work that may wait, in a worker ---- */

typedef struct run_job {
    job job;
    exchange *exchange;
    void (*run)(exchange *x);
} run_job;

static job_turn run_step(job *self)
{
    run_job *j = (run_job *)self;

    if (!exchange_is_gone(j->exchange)) j->run(j->exchange);
    return JOB_DONE;
}

static void run_close(job *self)
{
    exchange_drop(((run_job *)self)->exchange);
    free(self);
}

void run_in_worker(exchange *x, void (*run)(exchange *x))
{
    run_job *j = calloc(1, sizeof *j);

    if (j == NULL) abort();
    *j = (run_job){ .job = { .step = run_step, .close = run_close }, .exchange = x, .run = run };
    exchange_hold(x);
    if (pool_add(x->server->pool, &j->job)) return;
    exchange_fail(x, 429, 42900, "the server has too much to do: try again later");
    run_close(&j->job);
}
