/* server/connection.c - a socket of the loop: bytes in to HTTP/1.1 or HTTP/2, bytes out while it takes them. Which of the two
 * a client speaks shows in its first bytes: HTTP/2 by prior knowledge begins with a fixed preface. */
#include "server/inside.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
enum { PREFACE_BYTES = sizeof PREFACE - 1, READ_BYTES = 64 << 10 };
enum { SEND_MS = 60000, KEPT_MS = 300000, LINGER_MS = 2000, LINGER_BYTES = 16 << 20, OUT_KEPT_BYTES = 32 << 10 };

static const weir_clock WALL = { 0 };

connection *connection_new(server *s, int fd)
{
    connection *c = calloc(1, sizeof *c);
    struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP, .data.ptr = c };

    if (c == NULL) return NULL;
    c->server = s;
    c->fd = fd;
    c->since_ms = clock_monotonic_ms(&WALL);
    c->events = event.events;
    if ((s->tls != NULL && !tls_open(c)) || epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        c->is_broken = true;
        tls_close(c);
        free(c);
        return NULL;
    }
    c->next = s->connections;
    if (c->next != NULL) c->next->previous = c;
    s->connections = c;
    atomic_fetch_add(&s->connection_count, 1);
    return c;
}

void connection_free(connection *c)
{
    server *s = c->server;

    http2_close(c);
    websocket_close(c);
    tls_close(c);
    if (c->current != NULL) {
        log_request(c->current);
        exchange_go(c->current);
        c->current->connection = NULL;
        exchange_drop(c->current);
    }
    if (c->previous != NULL) c->previous->next = c->next;
    else s->connections = c->next;
    if (c->next != NULL) c->next->previous = c->previous;
    atomic_fetch_sub(&s->connection_count, 1);
    atomic_fetch_sub(&s->queued_bytes, c->out_counted);
    close(c->fd);
    text_free(&c->in);
    text_free(&c->out);
    text_free(&c->authorized);
    text_free(&c->header_name);
    text_free(&c->header_value);
    free(c);
}

static void take_bytes(connection *c, slice bytes)
{
    if (c->kind == CONNECTION_UNKNOWN) {
        text_add(&c->in, bytes);
        size_t shorter = c->in.len < PREFACE_BYTES ? c->in.len : PREFACE_BYTES;
        bool is_preface = memcmp(c->in.data, PREFACE, shorter) == 0;
        if (is_preface && c->in.len < PREFACE_BYTES) return;
        text first = c->in;
        c->in = TEXT_EMPTY;
        c->kind = is_preface ? CONNECTION_HTTP2 : CONNECTION_HTTP1;
        if (!is_preface && tls_is_http2(c)) c->is_dead = true;
        else if (!is_preface) http1_open(c);
        else if (!http2_open(c)) c->is_dead = true;
        if (!c->is_dead) take_bytes(c, text_slice(&first));
        text_free(&first);
    } else if (c->kind == CONNECTION_HTTP1) {
        http1_take(c, bytes);
    } else if (c->kind == CONNECTION_HTTP2) {
        http2_take(c, bytes);
    } else {
        websocket_take(c, bytes);
    }
}

/* Bytes that nobody can use yet stay in the socket: that slows the sender. */
static bool wants_input(const connection *c)
{
    if (c->lingers) return true;
    if (c->closes) return false;
    if (c->kind == CONNECTION_HTTP2 || c->kind == CONNECTION_WEBSOCKET) return c->out.len - c->out_sent < OUT_BYTES_MAX * 2;
    if (c->kind == CONNECTION_UNKNOWN || c->current == NULL || !c->current->is_dispatched) return true;
    if (c->current->route == NULL || !c->current->route->streams_body) return false;
    pthread_mutex_lock(&c->current->lock);
    bool wants = !c->current->body_ended && c->current->body.len < STREAMED_BODY_BYTES_MAX;
    pthread_mutex_unlock(&c->current->lock);
    return wants;
}

static void ask_epoll(connection *c)
{
    bool has_output = c->out_sent < c->out.len;
    bool reads = wants_input(c) || (has_output && c->tls_write_wants_bytes);
    bool writes = (has_output && !c->tls_write_wants_bytes) || c->tls_read_wants_room;
    uint32_t wanted = (c->is_half_closed ? 0 : (uint32_t)EPOLLRDHUP) | (reads ? (uint32_t)EPOLLIN : 0) | (writes ? (uint32_t)EPOLLOUT : 0);
    struct epoll_event event = { .events = wanted, .data.ptr = c };

    if (wanted == c->events) return;
    if (epoll_ctl(c->server->epoll, EPOLL_CTL_MOD, c->fd, &event) != 0) c->is_dead = true;
    c->events = wanted;
}

static void fill(connection *c)
{
    if (c->kind == CONNECTION_HTTP1) http1_fill(c);
    else if (c->kind == CONNECTION_HTTP2) http2_fill(c);
    if (c->kind == CONNECTION_WEBSOCKET) websocket_fill(c); /* which it may just have become */
}

/* A socket that is closed while bytes lie in it unread resets the connection, and the answer may be lost on its way. */
static void linger(connection *c)
{
    tls_close(c);
    c->tls = NULL;
    if (c->is_half_closed || shutdown(c->fd, SHUT_WR) != 0) c->is_dead = true;
    c->lingers = true;
    c->since_ms = clock_monotonic_ms(&WALL);
}

bool connection_has_room(const connection *c)
{
    size_t most = atomic_load(&c->server->queued_bytes) < QUEUED_BYTES_MAX ? OUT_BYTES_MAX : OUT_BYTES_LEAST;

    return c->out.len - c->out_sent < most;
}

static void count_output(connection *c)
{
    size_t now = c->out.len - c->out_sent;

    if (now > c->out_counted) atomic_fetch_add(&c->server->queued_bytes, now - c->out_counted);
    else atomic_fetch_sub(&c->server->queued_bytes, c->out_counted - now);
    c->out_counted = now;
}

void connection_flush(connection *c)
{
    while (!c->is_dead) {
        fill(c);
        if (c->out_sent == c->out.len) break;
        ssize_t sent = connection_write(c, c->out.data + c->out_sent, c->out.len - c->out_sent);
        if (sent < 0) c->is_dead = true;
        if (sent <= 0) break;
        c->out_sent += (size_t)sent;
        c->since_ms = clock_monotonic_ms(&WALL);
        if (c->out_sent == c->out.len) {
            text_clear(&c->out);
            c->out_sent = 0;
            if (c->out.held_bytes > OUT_KEPT_BYTES) text_free(&c->out);
        } else if (c->out_sent > OUT_BYTES_MAX / 2) {
            memmove(c->out.data, c->out.data + c->out_sent, c->out.len - c->out_sent);
            c->out.len -= c->out_sent;
            c->out_sent = 0;
        }
    }
    count_output(c);
    if (c->closes && c->out_sent == c->out.len && !c->is_dead && !c->lingers) linger(c);
    if (c->is_half_closed && c->current != NULL && atomic_load(&c->current->is_push)) c->is_dead = true;
    if (!c->is_dead) ask_epoll(c);
}

static void receive(connection *c)
{
    char bytes[READ_BYTES];
    ssize_t got = connection_read(c, bytes, sizeof bytes);

    if (got < 0) {
        c->is_dead = true;
    } else if (c->lingers) {
        c->thrown_away += (size_t)got;
        if (c->thrown_away > LINGER_BYTES) c->is_dead = true;
    } else if (got > 0) {
        take_bytes(c, (slice){ bytes, (size_t)got });
    }
}

void connection_event(connection *c, uint32_t events)
{
    bool is_answering = c->kind == CONNECTION_HTTP1 && c->current != NULL && c->current->is_dispatched;

    if (events & (EPOLLERR | EPOLLHUP)) c->is_dead = true;
    if (!c->is_dead && ((events & EPOLLIN) || ((events & EPOLLOUT) && c->tls_read_wants_room))) receive(c);
    /* A client that has closed its side still gets the answer it waits for, unless that goes on for ever. */
    if (!c->is_dead && (events & EPOLLRDHUP) && !(events & EPOLLIN)) {
        c->is_half_closed = true;
        c->keeps_alive = false;
        if (!is_answering) c->is_dead = true;
    }
    if (!c->is_dead) connection_flush(c);
}

int connection_takes_body(connection *c, exchange *x, size_t more)
{
    server *s = c->server;
    bool is_streamed = x->route != NULL && x->route->streams_body;

    if (!is_streamed && x->body.len + more > s->options.body_bytes_max) return 413;
    if (atomic_load(&s->body_bytes) + more > (size_t)s->options.body_bytes_max * BODIES_MAX) return 503;
    return 0;
}

void connection_stop(connection *c)
{
    if (c->kind == CONNECTION_HTTP2) http2_stop(c);
    else if (c->kind == CONNECTION_HTTP1 && c->current == NULL) c->closes = true;
    connection_flush(c);
}

void connection_news(connection *c, exchange *x)
{
    if (x->is_verifying && atomic_load(&x->verdict) != AUTH_UNKNOWN) admit_verified(x);
    if (c->kind == CONNECTION_HTTP2) http2_news(c, x);
    else http1_news(c);
    if (!c->is_dead) connection_flush(c);
}

void connection_tick(connection *c, int64_t now_ms)
{
    int64_t waited_ms = now_ms - c->since_ms;
    bool is_answering = c->streams > 0 || (c->current != NULL && c->current->is_dispatched);

    if (c->kind == CONNECTION_HTTP2) http2_tick(c, now_ms);
    if (c->kind == CONNECTION_WEBSOCKET) websocket_tick(c, now_ms);
    if (c->is_dead) return;
    if (c->lingers) {
        if (waited_ms > LINGER_MS) c->is_dead = true;
        return;
    }
    if (c->out_sent < c->out.len) {
        if (waited_ms > SEND_MS) c->is_dead = true; /* it reads nothing */
    } else if (!is_answering) {
        bool is_reading = c->kind == CONNECTION_UNKNOWN || c->current != NULL;
        if (waited_ms <= (is_reading ? c->server->options.request_ms_max : KEPT_MS)) return;
        if (c->kind == CONNECTION_HTTP1 && c->current != NULL) http1_refuse(c, 408, "the request did not come within the time it has");
        else c->is_dead = true;
        connection_flush(c);
    }
}
