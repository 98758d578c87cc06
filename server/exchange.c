/* server/exchange.c - see exchange.h. */
#include "server/exchange.h"

#include "core/json.h"
#include "server/inside.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const weir_clock WALL = { 0 };

exchange *exchange_new(server *s)
{
    exchange *x = calloc(1, sizeof *x);

    if (x == NULL) abort();
    x->server = s;
    x->began_ms = x->since_ms = clock_monotonic_ms(&WALL);
    atomic_init(&x->holders, 1);
    pthread_mutex_init(&x->lock, NULL);
    return x;
}

void exchange_take_header(exchange *x, slice name, slice given)
{
    static const slice NAMES[HEADER_COUNT] = {
        [HEADER_AUTHORIZATION] = SLICE("authorization"), [HEADER_HOST] = SLICE("host"), [HEADER_ORIGIN] = SLICE("origin"),
        [HEADER_UPGRADE] = SLICE("upgrade"), [HEADER_WEBSOCKET_KEY] = SLICE("sec-websocket-key"),
        [HEADER_WEBSOCKET_VERSION] = SLICE("sec-websocket-version"),
    };

    if (slice_equal_nocase(name, SLICE("accept"))) {
        if (x->accept.len > 0) text_add_char(&x->accept, ',');
        text_add(&x->accept, given);
        return;
    }
    if (slice_is(name, ":authority")) name = NAMES[HEADER_HOST];
    for (uint32_t i = 0; i < HEADER_COUNT; i++) {
        if (x->headers[i].is_there || !slice_equal_nocase(name, NAMES[i])) continue;
        x->headers[i].at = (uint32_t)x->kept.len;
        x->headers[i].len = (uint32_t)given.len;
        x->headers[i].is_there = true;
        text_add(&x->kept, given);
        return;
    }
}

slice exchange_header(const exchange *x, header_name name)
{
    if (!x->headers[name].is_there) return NO_SLICE;
    return (slice){ x->kept.data == NULL ? "" : x->kept.data + x->headers[name].at, x->headers[name].len };
}

void exchange_set_header(exchange *x, const char *name, slice given)
{
    x->extra_name = given.data == NULL ? NULL : name;
    text_clear(&x->extra);
    text_add(&x->extra, given);
}

void exchange_hold(exchange *x)
{
    atomic_fetch_add(&x->holders, 1);
}

void exchange_drop(exchange *x)
{
    if (x == NULL || atomic_fetch_sub(&x->holders, 1) > 1) return;
    atomic_fetch_sub(&x->server->queued_bytes, x->queued_bytes);
    while (x->first != NULL) {
        line *next = x->first->next;
        free(x->first);
        x->first = next;
    }
    text_free(&x->method);
    text_free(&x->path);
    text_free(&x->accept);
    text_free(&x->body);
    text_free(&x->kept);
    text_free(&x->extra);
    auth_drop(x->auth);
    atomic_fetch_sub(&x->server->body_bytes, x->body_bytes);
    pthread_mutex_destroy(&x->lock);
    free(x);
}

/* With the lock held. */
static void add_line(exchange *x, slice more)
{
    line *l = malloc(sizeof *l + more.len);

    if (l == NULL) abort();
    *l = (line){ .len = more.len };
    memcpy(l->data, more.data, more.len);
    if (x->last == NULL) x->first = l;
    else x->last->next = l;
    x->last = l;
    x->queued_bytes += more.len + LINE_BYTES;
    atomic_fetch_add(&x->server->queued_bytes, more.len + LINE_BYTES);
}

static void set_reply(exchange *x, int status, const char *content_type, slice body)
{
    pthread_mutex_lock(&x->lock);
    x->status = status;
    x->content_type = content_type;
    x->has_started = x->has_ended = x->is_whole = true;
    if (body.len > 0) add_line(x, body);
    pthread_mutex_unlock(&x->lock);
}

void exchange_reply(exchange *x, int status, const char *content_type, slice body)
{
    set_reply(x, status, content_type, body);
    server_note_news(x);
}

void exchange_reply_here(exchange *x, int status, const char *content_type, slice body)
{
    set_reply(x, status, content_type, body);
    if (x->is_http2) server_note_news(x); /* which of its streams there is something of */
}

void exchange_start(exchange *x, int status, const char *content_type)
{
    pthread_mutex_lock(&x->lock);
    x->status = status;
    x->content_type = content_type;
    x->has_started = true;
    pthread_mutex_unlock(&x->lock);
    server_note_news(x);
}

void exchange_line(exchange *x, slice more)
{
    if (more.len == 0 || exchange_is_gone(x)) return;
    pthread_mutex_lock(&x->lock);
    add_line(x, more);
    pthread_mutex_unlock(&x->lock);
    server_note_news(x);
}

void exchange_set_status(exchange *x, int status)
{
    pthread_mutex_lock(&x->lock);
    x->status = status;
    pthread_mutex_unlock(&x->lock);
}

void exchange_end(exchange *x, slice last)
{
    pthread_mutex_lock(&x->lock);
    if (last.len > 0) add_line(x, last);
    x->has_ended = true;
    pthread_mutex_unlock(&x->lock);
    server_note_news(x);
}

void exchange_fail(exchange *x, int status, int code, const char *format, ...)
{
    char message[WEIR_MESSAGE_BYTES];
    text body = TEXT_EMPTY;
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    text_printf(&body, "{\"@type\":\"generic_error\",\"error_code\":%d,\"message\":", code);
    print_json_string(&body, slice_of(message));
    text_add_c(&body, "}");
    exchange_reply(x, status, MEDIA_KSQL, text_slice(&body));
    text_free(&body);
}

static size_t lines_bytes_max(const server *s)
{
    return atomic_load(&s->queued_bytes) < QUEUED_BYTES_MAX ? LINES_BYTES_MAX : LINES_BYTES_LEAST;
}

bool exchange_is_full(exchange *x)
{
    pthread_mutex_lock(&x->lock);
    bool is_full = x->wants_room = x->queued_bytes >= lines_bytes_max(x->server);
    pthread_mutex_unlock(&x->lock);
    return is_full;
}

void exchange_go(exchange *x)
{
    atomic_store(&x->is_gone, true);
    pthread_mutex_lock(&x->lock);
    if (x->job != NULL) pool_wake(x->job);
    pthread_mutex_unlock(&x->lock);
}

bool exchange_take_lines(exchange *x, uint32_t lines_max, text *into, bool *ended)
{
    size_t taken = 0;

    pthread_mutex_lock(&x->lock);
    for (uint32_t i = 0; i < lines_max && taken < x->body.len; i++) {
        const char *end = memchr(x->body.data + taken, '\n', x->body.len - taken);
        if (end == NULL && !x->body_ended) break;
        taken = end == NULL ? x->body.len : (size_t)(end - x->body.data) + 1;
    }
    bool found = taken > 0;
    text_clear(into);
    *ended = x->body_ended && !found;
    if (found) {
        text_add(into, (slice){ x->body.data, taken });
        memmove(x->body.data, x->body.data + taken, x->body.len - taken);
        x->body.len -= taken;
        x->body_taken += taken;
        x->body_bytes -= taken;
        atomic_fetch_sub(&x->server->body_bytes, taken);
    }
    pthread_mutex_unlock(&x->lock);
    if (found) server_note_news(x);
    return found;
}

void exchange_note_sent(exchange *x, size_t bytes, size_t lines)
{
    size_t cost = bytes + lines * LINE_BYTES;

    x->queued_bytes -= cost;
    atomic_fetch_sub(&x->server->queued_bytes, cost);
    if (!x->wants_room || x->queued_bytes >= lines_bytes_max(x->server) / 2) return;
    x->wants_room = false;
    if (x->job != NULL) pool_wake(x->job);
}

line *exchange_next_line(exchange *x, bool *ended)
{
    pthread_mutex_lock(&x->lock);
    line *l = x->first;
    if (l != NULL) {
        x->first = l->next;
        if (x->first == NULL) x->last = NULL;
        exchange_note_sent(x, l->len, 1);
    }
    *ended = x->first == NULL && x->has_ended;
    pthread_mutex_unlock(&x->lock);
    return l;
}

void exchange_give_body(exchange *x, slice more)
{
    pthread_mutex_lock(&x->lock);
    text_add(&x->body, more);
    x->body_bytes += more.len;
    atomic_fetch_add(&x->server->body_bytes, more.len);
    struct job *job = x->job;
    if (job != NULL) pool_wake(job);
    pthread_mutex_unlock(&x->lock);
}

void exchange_end_body(exchange *x)
{
    pthread_mutex_lock(&x->lock);
    x->body_ended = true;
    struct job *job = x->job;
    if (job != NULL) pool_wake(job);
    pthread_mutex_unlock(&x->lock);
}
