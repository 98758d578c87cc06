/* server/server.c - the listener and the loop. */
#include "server/inside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, TICK_MS = 1000, STOP_MS = 3000, CANCEL_MS = 2000, JOBS_MAX = 4096, BACKLOG = 4096 };
enum { PROBE_AFTER_S = 60, PROBE_EVERY_S = 15, PROBES = 4, REQUEST_MS = 30000, STATEMENT_MS_MAX = 300000 };
enum { WORKERS = 4, CONNECTIONS_MAX = 4096, QUERIES_MAX = 1024, BODY_BYTES_MAX = 4 << 20 };

static const weir_clock WALL = { 0 };

void server_note_news(exchange *x)
{
    server *s = x->server;
    const uint64_t one = 1;

    pthread_mutex_lock(&s->news_lock);
    bool is_new = !x->is_news, was_empty = s->news_first == NULL;
    if (is_new) {
        x->is_news = true;
        x->next_news = NULL;
        exchange_hold(x);
        if (s->news_last == NULL) s->news_first = x;
        else s->news_last->next_news = x;
        s->news_last = x;
    }
    pthread_mutex_unlock(&s->news_lock);
    if (is_new && was_empty && write(s->wake, &one, sizeof one) < 0) return; /* it is full of news then */
}

static void take_news(server *s)
{
    uint64_t count;

    if (read(s->wake, &count, sizeof count) < 0 && errno != EAGAIN) return;
    for (;;) {
        pthread_mutex_lock(&s->news_lock);
        exchange *x = s->news_first;
        if (x != NULL) {
            s->news_first = x->next_news;
            if (s->news_first == NULL) s->news_last = NULL;
            x->is_news = false;
        }
        pthread_mutex_unlock(&s->news_lock);
        if (x == NULL) return;
        connection *c = x->connection;
        if (c != NULL) {
            connection_news(c, x);
            if (c->is_dead) connection_free(c);
        }
        exchange_drop(x);
    }
}

/* ---- the address ---- */

static bool parse_address(slice host, uint16_t port, struct sockaddr_storage *out, socklen_t *len, bool *is_loopback)
{
    char name[64];
    struct sockaddr_in *four = (struct sockaddr_in *)out;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;

    memset(out, 0, sizeof *out);
    if (host.len >= sizeof name) return false;
    snprintf(name, sizeof name, "%.*s", SLICE_ARG(host));
    if (strcmp(name, "localhost") == 0) strcpy(name, "127.0.0.1");
    if (inet_pton(AF_INET, name, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        *len = sizeof *four;
        *is_loopback = (ntohl(four->sin_addr.s_addr) >> 24) == 127;
        return true;
    }
    if (inet_pton(AF_INET6, name, &six->sin6_addr) != 1) return false;
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
    *len = sizeof *six;
    *is_loopback = IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
    return true;
}

static weir_rc open_listener(server *s, weir_error *err)
{
    struct sockaddr_storage address;
    socklen_t len;
    const int on = 1;

    if (!parse_address(s->options.host, s->options.port, &address, &len, &s->is_loopback)) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "'%.*s' is no address to listen on: give an IPv4 or IPv6 address",
                         SLICE_ARG(s->options.host));
    }
    if (!s->is_loopback && !s->options.is_insecure && s->tls == NULL) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "%.*s can be reached from other machines: give --tls-cert and --tls-key (and "
                         "--auth-file), listen on 127.0.0.1, or say --insecure", SLICE_ARG(s->options.host));
    }
    s->listener = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->listener >= 0) setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (s->listener < 0 || bind(s->listener, (struct sockaddr *)&address, len) != 0 || listen(s->listener, BACKLOG) != 0 ||
        getsockname(s->listener, (struct sockaddr *)&address, &len) != 0) {
        return weir_fail(err, WEIR_RUNTIME, NOWHERE, "cannot listen on %.*s:%u: %s", SLICE_ARG(s->options.host), s->options.port,
                         strerror(errno));
    }
    s->port = ntohs(address.ss_family == AF_INET ? ((struct sockaddr_in *)&address)->sin_port
                                                 : ((struct sockaddr_in6 *)&address)->sin6_port);
    return WEIR_OK;
}

static uint32_t or_default(uint32_t given, uint32_t otherwise)
{
    return given == 0 ? otherwise : given;
}

/* A descriptor a connection: as many as this process may have. */
static void raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return;
}

static weir_rc load_files(server *s, struct ssl_ctx_st **tls, auth **accounts, weir_error *err)
{
    const server_options *o = &s->options;

    *tls = NULL;
    *accounts = NULL;
    if ((o->tls_certificate.data == NULL) != (o->tls_key.data == NULL)) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "a certificate needs its key: --tls-cert and --tls-key go together");
    }
    if (o->tls_certificate.data != NULL) WEIR_TRY(tls_load(tls, o->tls_certificate, o->tls_key, err));
    if (o->auth_file.data == NULL || auth_load(accounts, o->auth_file, err) == WEIR_OK) return WEIR_OK;
    tls_unload(*tls);
    *tls = NULL;
    return err->rc;
}

/* Connections that are there keep the TLS they began with; accounts hold for the next request. */
static void reload(server *s)
{
    struct ssl_ctx_st *tls;
    auth *accounts;
    weir_error err;

    if (load_files(s, &tls, &accounts, &err) != WEIR_OK) {
        server_log(s, "reload_failed", "error", err.message, NULL);
        return;
    }
    tls_unload(s->tls);
    auth_drop(s->auth);
    s->tls = tls;
    s->auth = accounts;
    s->auth_number++;
    server_log(s, "reloaded", "tls", tls == NULL ? "no" : "yes", "accounts", accounts == NULL ? "no" : "yes", NULL);
}

weir_rc server_open(server **out, weir *w, const server_options *options, weir_error *err)
{
    server *s = calloc(1, sizeof *s);
    weir_rc rc;

    if (s == NULL) return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory for a server");
    s->weir = w;
    s->options = *options;
    s->options.workers = or_default(options->workers, WORKERS);
    s->options.connections_max = or_default(options->connections_max, CONNECTIONS_MAX);
    s->options.queries_max = or_default(options->queries_max, QUERIES_MAX);
    s->options.body_bytes_max = or_default(options->body_bytes_max, BODY_BYTES_MAX);
    s->options.request_ms_max = or_default(options->request_ms_max, REQUEST_MS);
    if (s->options.statement_ms_max == 0) s->options.statement_ms_max = STATEMENT_MS_MAX;
    s->listener = s->epoll = s->wake = s->spare = -1;
    s->auth_number = 1;
    s->began_ms = clock_now_ms(&WALL);
    pthread_mutex_init(&s->news_lock, NULL);
    pthread_mutex_init(&s->queries_lock, NULL);
    pthread_mutex_init(&s->status_lock, NULL);
    pthread_mutex_init(&s->verify_lock, NULL);
    pthread_mutex_init(&s->work_lock, NULL);
    raise_descriptors();
    http_parser_set_max_header_size(HEADER_BYTES_MAX);
    if ((rc = load_files(s, &s->tls, &s->auth, err)) != WEIR_OK || (rc = open_listener(s, err)) != WEIR_OK) goto fail;
    s->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    s->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct epoll_event listens = { .events = EPOLLIN, .data.ptr = &s->listener }, wakes = { .events = EPOLLIN, .data.ptr = &s->wake };
    if (s->epoll < 0 || s->wake < 0 || epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->listener, &listens) != 0 ||
        epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->wake, &wakes) != 0) {
        rc = weir_fail(err, WEIR_RUNTIME, NOWHERE, "cannot wait for connections: %s", strerror(errno));
        goto fail;
    }
    s->lookups = lookups_new();
    s->pool = pool_open(s->options.workers, JOBS_MAX);
    if (s->pool == NULL) {
        rc = weir_fail(err, WEIR_RUNTIME, NOWHERE, "cannot start worker threads");
        goto fail;
    }
    *out = s;
    return WEIR_OK;
fail:
    server_close(s);
    return rc;
}

uint16_t server_port(const server *s)
{
    return s->port;
}

void server_stop(server *s)
{
    const uint64_t one = 1;

    atomic_store(&s->is_stopping, true);
    if (write(s->wake, &one, sizeof one) < 0) return; /* the tick will see it */
}

weir_rc server_account_line(slice account, slice secret, text *out, weir_error *err)
{
    return auth_make_line(account, secret, out, err);
}

void server_reload(server *s)
{
    const uint64_t one = 1;

    atomic_store(&s->is_reloading, true);
    if (write(s->wake, &one, sizeof one) < 0) return;
}

void server_close(server *s)
{
    if (s == NULL) return;
    pool_close(s->pool);
    while (s->connections != NULL) connection_free(s->connections);
    while (s->news_first != NULL) {
        exchange *next = s->news_first->next_news;
        exchange_drop(s->news_first);
        s->news_first = next;
    }
    while (s->verify_first != NULL) {
        exchange *next = s->verify_first->next_verify;
        exchange_drop(s->verify_first);
        s->verify_first = next;
    }
    tls_unload(s->tls);
    auth_drop(s->auth);
    if (s->spare >= 0) close(s->spare);
    lookups_free(s->lookups);
    if (s->listener >= 0) close(s->listener);
    if (s->epoll >= 0) close(s->epoll);
    if (s->wake >= 0) close(s->wake);
    statuses_free(s);
    pthread_mutex_destroy(&s->news_lock);
    pthread_mutex_destroy(&s->queries_lock);
    pthread_mutex_destroy(&s->status_lock);
    pthread_mutex_destroy(&s->verify_lock);
    pthread_mutex_destroy(&s->work_lock);
    free(s);
}

/* ---- the loop ---- */

static void refuse_connection(server *s, int fd)
{
    char missed[24];

    static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 92\r\n"
                               "connection: close\r\n\r\n"
                               "{\"@type\":\"generic_error\",\"error_code\":50302,\"message\":\"the server has too many connections\"}";

    if (s->tls == NULL && send(fd, busy, sizeof busy - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) { /* it has gone, then */
    }
    shutdown(fd, SHUT_WR);
    close(fd);
    atomic_fetch_add(&s->connections_refused, 1);
    if (log_is_due(s, &s->refused_connections, missed, sizeof missed)) server_log(s, "connection_refused", "why", "too many", "more", missed, NULL);
}

/* Without descriptors a connection would wait in the listener, and epoll tell of it for ever. */
static bool refuse_without_descriptor(server *s)
{
    if (s->spare < 0) return false;
    close(s->spare);
    int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) refuse_connection(s, fd);
    s->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd >= 0;
}

/* A peer that has vanished without a word is found out, though nothing is to be sent to it. */
static void set_up(int fd)
{
    const int on = 1, after = PROBE_AFTER_S, every = PROBE_EVERY_S, probes = PROBES;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &after, sizeof after);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof every);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

static void accept_all(server *s)
{
    for (;;) {
        int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && errno == EINTR) continue;
        if (fd < 0 && (errno == EMFILE || errno == ENFILE) && refuse_without_descriptor(s)) continue;
        if (fd < 0) return;
        atomic_fetch_add(&s->connections_taken, 1);
        set_up(fd);
        if (s->connection_count >= s->options.connections_max) refuse_connection(s, fd);
        else if (connection_new(s, fd) == NULL) close(fd);
    }
}

static void tick(server *s)
{
    int64_t now_ms = clock_monotonic_ms(&WALL);

    for (connection *c = s->connections, *next; c != NULL; c = next) {
        next = c->next;
        connection_tick(c, now_ms);
        if (c->is_dead) connection_free(c);
    }
    work_tick(s, now_ms);
}

static void begin_stop(server *s)
{
    epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->listener, NULL);
    for (connection *c = s->connections, *next; c != NULL; c = next) {
        next = c->next;
        connection_stop(c);
        if (c->is_dead) connection_free(c);
    }
    queries_stop(s);
    server_log(s, "stopping", NULL);
}

/* True: all that was to be said has been sent. */
static bool is_quiet(const server *s)
{
    for (const connection *c = s->connections; c != NULL; c = c->next) {
        if (c->lingers) continue;
        if (c->streams > 0 || (c->current != NULL && c->current->is_dispatched) || c->out_sent < c->out.len) return false;
    }
    return true;
}

static void handle_event(server *s, const struct epoll_event *event, connection **seen, int *seen_count)
{
    if (event->data.ptr == &s->wake) return; /* news are taken once all events have been */
    if (event->data.ptr == &s->listener) {
        accept_all(s);
        return;
    }
    connection *c = event->data.ptr;
    connection_event(c, event->events);
    if (c->is_dead) seen[(*seen_count)++] = c;
}

static void log_listening(server *s)
{
    char port[8];
    text host = TEXT_EMPTY;

    snprintf(port, sizeof port, "%u", s->port);
    text_add(&host, s->options.host);
    server_log(s, "listening", "address", host.data, "port", port, "tls", s->tls == NULL ? "no" : "yes", "accounts",
               s->auth == NULL ? "no" : "yes", NULL);
    text_free(&host);
    if (!s->is_loopback && s->auth == NULL) server_log(s, "open_to_all", "why", "without --auth-file whoever reaches it may do everything", NULL);
}

weir_rc server_turn(server *s, int timeout_ms, weir_error *err)
{
    struct epoll_event events[EVENTS];
    connection *dead[EVENTS];
    int dead_count = 0;

    int count = epoll_wait(s->epoll, events, EVENTS, timeout_ms);
    if (count < 0 && errno != EINTR) return weir_fail(err, WEIR_RUNTIME, NOWHERE, "epoll: %s", strerror(errno));
    for (int i = 0; i < count; i++) handle_event(s, &events[i], dead, &dead_count);
    for (int i = 0; i < dead_count; i++) connection_free(dead[i]);
    take_news(s);
    int64_t now_ms = clock_monotonic_ms(&WALL);
    if (now_ms - s->ticked_ms >= TICK_MS) {
        tick(s);
        s->ticked_ms = now_ms;
    }
    if (atomic_exchange(&s->is_reloading, false)) reload(s);
    return WEIR_OK;
}

weir_rc server_run(server *s, weir_error *err)
{
    int64_t stopped_ms = 0;

    log_listening(s);
    for (;;) {
        WEIR_TRY(server_turn(s, stopped_ms != 0 ? 20 : TICK_MS, err));
        if (!atomic_load(&s->is_stopping)) continue;
        int64_t now_ms = clock_monotonic_ms(&WALL);
        if (stopped_ms == 0) {
            stopped_ms = now_ms;
            begin_stop(s);
        }
        if (now_ms - stopped_ms > CANCEL_MS) work_cancel_all(s);
        if (!is_quiet(s) && now_ms - stopped_ms <= STOP_MS) continue;
        server_log(s, "stopped", NULL);
        return WEIR_OK;
    }
}
