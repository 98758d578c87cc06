/* server/http1.c - HTTP/1.1 of a connection, by http-parser: requests one after the other, replies whole or in chunks. */
#include "server/inside.h"

#include <stdio.h>
#include <stdlib.h>

static const weir_clock WALL = { 0 };

static const char *reason_of(int status)
{
    switch (status) {
#define STATUS(number, name, words) case number: return #words;
        HTTP_STATUS_MAP(STATUS)
#undef STATUS
    default: return "";
    }
}

/* ---- reading ---- */

void http1_refuse(connection *c, int status, const char *why)
{
    exchange *x = c->current;

    if (c->is_bad) return;
    c->is_bad = true;
    c->keeps_alive = false;
    if (x == NULL) x = c->current = exchange_new(c->server);
    x->connection = c;
    if (x->is_dispatched && x->has_started) {
        c->is_dead = true;
        return;
    }
    x->is_dispatched = true;
    atomic_fetch_add(&c->server->failures, 1);
    exchange_fail(x, status, status == 503 ? 50302 : status * 100, "%s", why);
}

static int on_begin(http_parser *p)
{
    connection *c = p->data;

    c->current = exchange_new(c->server);
    c->current->connection = c;
    c->since_ms = c->current->began_ms;
    return 0;
}

static int on_url(http_parser *p, const char *at, size_t len)
{
    connection *c = p->data;

    text_add(&c->current->path, (slice){ at, len });
    return c->current->path.len > HEADER_BYTES_MAX ? 1 : 0;
}

static void end_header(connection *c)
{
    slice name = text_slice(&c->header_name), given = text_slice(&c->header_value);

    exchange_take_header(c->current, name, given);
    if (slice_equal_nocase(name, SLICE("expect")) && slice_equal_nocase(given, SLICE("100-continue"))) c->awaits_continue = true;
    text_clear(&c->header_name);
    text_clear(&c->header_value);
    c->in_header_value = false;
}

/* The parser lets pass what proxies before the server may understand otherwise. */
static bool is_token(const char *at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char b = (unsigned char)at[i];
        bool is_word = (b >= '0' && b <= '9') || ((b | 32) >= 'a' && (b | 32) <= 'z');
        if (!is_word && (b == 0 || strchr("!#$%&'*+-.^_`|~", b) == NULL)) return false;
    }
    return true;
}

static bool is_header_text(const char *at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char b = (unsigned char)at[i];
        if ((b < ' ' && b != '\t') || b == 0x7f) return false;
    }
    return true;
}

static int on_header_field(http_parser *p, const char *at, size_t len)
{
    connection *c = p->data;

    if (c->in_header_value) end_header(c);
    if (!is_token(at, len)) return 1;
    text_add(&c->header_name, (slice){ at, len });
    return 0;
}

static int on_header_value(http_parser *p, const char *at, size_t len)
{
    connection *c = p->data;

    if (!is_header_text(at, len)) return 1;
    c->in_header_value = true; /* the value has begun: a name that follows is the next header's */
    text_add(&c->header_value, (slice){ at, len });
    return 0;
}

static void dispatch(connection *c)
{
    exchange *x = c->current;

    x->is_dispatched = true;
    atomic_fetch_add(&c->server->requests, 1);
    route_dispatch(x);
}

static int on_headers_complete(http_parser *p)
{
    connection *c = p->data;
    exchange *x = c->current;

    end_header(c);
    if (p->http_major > 1) return -1;
    p->upgrade = 0; /* h2c and WebSocket are not offered: the request is taken as it is */
    c->keeps_alive = http_should_keep_alive(p) != 0;
    c->is_chunked = p->http_major == 1 && p->http_minor >= 1;
    text_add_c(&x->method, http_method_str((enum http_method)p->method));
    x->is_head = p->method == HTTP_HEAD;
    x->route = route_find(x);
    x->discards_body = admit_is_hopeless(x);
    bool has_length = p->content_length != UINT64_MAX;
    if (has_length && p->content_length > c->server->options.body_bytes_max && !(x->route != NULL && x->route->streams_body)) {
        http1_refuse(c, 413, "the body is larger than this server takes");
        return -1;
    }
    if (c->awaits_continue) text_add_c(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
    c->awaits_continue = false;
    if (x->route != NULL && x->route->streams_body) dispatch(c);
    return p->method == HTTP_CONNECT ? 1 : 0;
}

static int on_body(http_parser *p, const char *at, size_t len)
{
    connection *c = p->data;
    exchange *x = c->current;

    if (x->discards_body) return 0;
    int status = connection_takes_body(c, x, len);
    if (status != 0) {
        http1_refuse(c, status, status == 413 ? "the body is larger than this server takes" : "the server holds as many requests as it can");
        return -1;
    }
    exchange_give_body(x, (slice){ at, len });
    return 0;
}

static int on_complete(http_parser *p)
{
    connection *c = p->data;
    exchange *x = c->current;

    if (x->route != NULL && x->route->streams_body) exchange_end_body(x);
    else dispatch(c);
    http_parser_pause(p, 1);
    return 0;
}

static const http_parser_settings SETTINGS = {
    .on_message_begin = on_begin, .on_url = on_url, .on_header_field = on_header_field, .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete, .on_body = on_body, .on_message_complete = on_complete,
};

void http1_open(connection *c)
{
    http_parser_init(&c->parser, HTTP_REQUEST);
    c->parser.data = c;
}

void http1_take(connection *c, slice bytes)
{
    if (c->is_bad) return;
    if (HTTP_PARSER_ERRNO(&c->parser) == HPE_PAUSED) { /* pipelined: its turn comes when the reply is out */
        text_add(&c->in, bytes);
        return;
    }
    size_t read = http_parser_execute(&c->parser, &SETTINGS, bytes.data, bytes.len);
    enum http_errno fault = HTTP_PARSER_ERRNO(&c->parser);
    if (fault == HPE_PAUSED) {
        if (read < bytes.len) text_add(&c->in, (slice){ bytes.data + read, bytes.len - read });
    } else if (fault == HPE_HEADER_OVERFLOW || fault == HPE_CB_url) {
        http1_refuse(c, 431, "the headers are larger than this server takes");
    } else if (fault == HPE_INVALID_METHOD) {
        http1_refuse(c, 400, "the request has no method of HTTP");
    } else if (fault != HPE_OK) {
        http1_refuse(c, 400, "the request is not HTTP/1.1");
    }
}

/* ---- answering ---- */

static void send_head(connection *c, exchange *x, size_t whole_bytes)
{
    text *out = &c->out;

    text_add_c(out, "HTTP/1.1 ");
    print_i64(out, x->status);
    text_add_char(out, ' ');
    text_add_c(out, reason_of(x->status));
    if (x->content_type != NULL) {
        text_add_c(out, "\r\ncontent-type: ");
        text_add_c(out, x->content_type);
    }
    if (x->extra_name != NULL) {
        text_add_c(out, "\r\n");
        text_add_c(out, x->extra_name);
        text_add_c(out, ": ");
        text_add(out, text_slice(&x->extra));
    }
    if (x->is_whole) {
        text_add_c(out, "\r\ncontent-length: ");
        print_i64(out, (int64_t)whole_bytes);
    } else if (c->is_chunked) {
        text_add_c(out, "\r\ntransfer-encoding: chunked");
    } else {
        c->keeps_alive = false;
    }
    text_add_c(out, c->keeps_alive ? "\r\nconnection: keep-alive\r\n\r\n" : "\r\nconnection: close\r\n\r\n");
    x->is_head_sent = true;
}

static void send_line(connection *c, const exchange *x, const line *l)
{
    bool in_chunks = !x->is_whole && c->is_chunked;

    if (x->is_head) return;
    if (in_chunks) text_printf(&c->out, "%zx\r\n", l->len);
    text_add(&c->out, (slice){ l->data, l->len });
    if (in_chunks) text_add_c(&c->out, "\r\n");
}

/* The reply is out: the next request may come, or lies here already. */
static void finish(connection *c)
{
    exchange *x = c->current;

    if (!x->is_whole && c->is_chunked && !x->is_head) text_add_c(&c->out, "0\r\n\r\n");
    if (HTTP_PARSER_ERRNO(&c->parser) != HPE_PAUSED) c->keeps_alive = false; /* its body is not all read */
    log_request(x);
    c->current = NULL;
    x->connection = NULL;
    exchange_go(x);
    exchange_drop(x);
    c->since_ms = clock_monotonic_ms(&WALL);
    if (!c->keeps_alive || atomic_load(&c->server->is_stopping)) {
        c->closes = true;
        return;
    }
    http_parser_pause(&c->parser, 0);
    if (c->in.len == 0) return;
    text rest = c->in;
    c->in = TEXT_EMPTY;
    http1_take(c, text_slice(&rest));
    text_free(&rest);
}

void http1_news(connection *c)
{
    (void)c; /* flushing fills */
}

void http1_fill(connection *c)
{
    while (c->current != NULL && !c->closes && connection_has_room(c)) {
        exchange *x = c->current;
        bool ended;
        pthread_mutex_lock(&x->lock);
        bool has_started = x->has_started;
        size_t whole_bytes = x->first == NULL ? 0 : x->first->len;
        pthread_mutex_unlock(&x->lock);
        if (x->is_websocket) {
            websocket_open(c);
            return;
        }
        if (!has_started) return;
        if (!x->is_head_sent) send_head(c, x, whole_bytes);
        line *l = exchange_next_line(x, &ended);
        if (l != NULL) send_line(c, x, l);
        if (l == NULL && !ended) return;
        free(l);
        if (ended) finish(c);
    }
}
