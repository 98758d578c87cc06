/* server/server.c - the listener and the loop. */
#include "server/inside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, TICK_MS = 1000, STOP_MS = 3000, JOBS_MAX = 4096, BACKLOG = 512 };
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
    bool is_loopback;
    const int on = 1;

    if (!parse_address(s->options.host, s->options.port, &address, &len, &is_loopback)) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "'%.*s' is no address to listen on: give an IPv4 or IPv6 address",
                         SLICE_ARG(s->options.host));
    }
    if (!is_loopback && !s->options.is_insecure) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "%.*s can be reached from other machines, and neither encryption nor "
                         "passwords are there: listen on 127.0.0.1, or give --insecure", SLICE_ARG(s->options.host));
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
    s->listener = s->epoll = s->wake = -1;
    s->began_ms = clock_now_ms(&WALL);
    pthread_mutex_init(&s->news_lock, NULL);
    pthread_mutex_init(&s->queries_lock, NULL);
    pthread_mutex_init(&s->status_lock, NULL);
    http_parser_set_max_header_size(HEADER_BYTES_MAX);
    if ((rc = open_listener(s, err)) != WEIR_OK) goto fail;
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    s->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct epoll_event listens = { .events = EPOLLIN, .data.ptr = &s->listener }, wakes = { .events = EPOLLIN, .data.ptr = &s->wake };
    if (s->epoll < 0 || s->wake < 0 || epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->listener, &listens) != 0 ||
        epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->wake, &wakes) != 0) {
        rc = weir_fail(err, WEIR_RUNTIME, NOWHERE, "cannot wait for connections: %s", strerror(errno));
        goto fail;
    }
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
    if (s->listener >= 0) close(s->listener);
    if (s->epoll >= 0) close(s->epoll);
    if (s->wake >= 0) close(s->wake);
    statuses_free(s);
    pthread_mutex_destroy(&s->news_lock);
    pthread_mutex_destroy(&s->queries_lock);
    pthread_mutex_destroy(&s->status_lock);
    free(s);
}

/* ---- the loop ---- */

static void refuse_connection(int fd)
{
    static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 92\r\n"
                               "connection: close\r\n\r\n"
                               "{\"@type\":\"generic_error\",\"error_code\":50302,\"message\":\"the server has too many connections\"}";

    if (send(fd, busy, sizeof busy - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) { /* it has gone, then */
    }
    close(fd);
}

static void accept_all(server *s)
{
    const int on = 1;

    for (;;) {
        int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && errno == EINTR) continue;
        if (fd < 0) return; /* none, or no descriptors: later */
        atomic_fetch_add(&s->connections_taken, 1);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (s->connection_count >= s->options.connections_max) refuse_connection(fd);
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
}

/* True: all that was to be said has been sent. */
static bool is_quiet(const server *s)
{
    for (const connection *c = s->connections; c != NULL; c = c->next) {
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

weir_rc server_run(server *s, weir_error *err)
{
    struct epoll_event events[EVENTS];
    int64_t ticked_ms = clock_monotonic_ms(&WALL), stopped_ms = 0;

    for (;;) {
        int count = epoll_wait(s->epoll, events, EVENTS, stopped_ms != 0 ? 20 : TICK_MS);
        if (count < 0 && errno != EINTR) return weir_fail(err, WEIR_RUNTIME, NOWHERE, "epoll: %s", strerror(errno));
        connection *dead[EVENTS];
        int dead_count = 0;
        for (int i = 0; i < count; i++) handle_event(s, &events[i], dead, &dead_count);
        for (int i = 0; i < dead_count; i++) connection_free(dead[i]);
        take_news(s);
        int64_t now_ms = clock_monotonic_ms(&WALL);
        if (now_ms - ticked_ms >= TICK_MS) {
            tick(s);
            ticked_ms = now_ms;
        }
        if (!atomic_load(&s->is_stopping)) continue;
        if (stopped_ms == 0) {
            stopped_ms = now_ms;
            epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->listener, NULL);
        }
        if (is_quiet(s) || now_ms - stopped_ms > STOP_MS) return WEIR_OK;
    }
}
