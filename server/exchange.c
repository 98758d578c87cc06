/* server/exchange.c - see exchange.h. */
#include "server/exchange.h"

#include "core/json.h"
#include "server/inside.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

exchange *exchange_new(server *s)
{
    exchange *x = calloc(1, sizeof *x);

    if (x == NULL) abort();
    x->server = s;
    atomic_init(&x->holders, 1);
    pthread_mutex_init(&x->lock, NULL);
    return x;
}

void exchange_hold(exchange *x)
{
    atomic_fetch_add(&x->holders, 1);
}

void exchange_drop(exchange *x)
{
    if (x == NULL || atomic_fetch_sub(&x->holders, 1) > 1) return;
    while (x->first != NULL) {
        line *next = x->first->next;
        free(x->first);
        x->first = next;
    }
    text_free(&x->method);
    text_free(&x->path);
    text_free(&x->accept);
    text_free(&x->body);
    text_free(&x->location);
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
    x->queued_bytes += more.len;
}

void exchange_reply(exchange *x, int status, const char *content_type, slice body)
{
    pthread_mutex_lock(&x->lock);
    x->status = status;
    x->content_type = content_type;
    x->has_started = x->has_ended = x->is_whole = true;
    if (body.len > 0) add_line(x, body);
    pthread_mutex_unlock(&x->lock);
    server_note_news(x);
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

void exchange_end(exchange *x)
{
    pthread_mutex_lock(&x->lock);
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

bool exchange_is_full(exchange *x)
{
    pthread_mutex_lock(&x->lock);
    bool is_full = x->queued_bytes >= LINES_BYTES_MAX;
    pthread_mutex_unlock(&x->lock);
    return is_full;
}

bool exchange_take_line(exchange *x, text *into, bool *ended)
{
    pthread_mutex_lock(&x->lock);
    const char *end = x->body.len == 0 ? NULL : memchr(x->body.data, '\n', x->body.len);
    size_t taken = end != NULL ? (size_t)(end - x->body.data) + 1 : x->body_ended ? x->body.len : 0;
    bool found = taken > 0;
    text_clear(into);
    *ended = x->body_ended && !found;
    if (found) {
        text_add(into, (slice){ x->body.data, taken });
        memmove(x->body.data, x->body.data + taken, x->body.len - taken);
        x->body.len -= taken;
        x->body_taken += taken;
    }
    pthread_mutex_unlock(&x->lock);
    if (found) server_note_news(x);
    return found;
}

void exchange_note_sent(exchange *x, size_t bytes)
{
    bool was_full = x->queued_bytes >= LINES_BYTES_MAX / 2;

    x->queued_bytes -= bytes;
    if (was_full && x->queued_bytes < LINES_BYTES_MAX / 2 && x->job != NULL) pool_wake(x->job);
}

line *exchange_next_line(exchange *x, bool *ended)
{
    pthread_mutex_lock(&x->lock);
    line *l = x->first;
    if (l != NULL) {
        x->first = l->next;
        if (x->first == NULL) x->last = NULL;
        exchange_note_sent(x, l->len);
    }
    *ended = x->first == NULL && x->has_ended;
    pthread_mutex_unlock(&x->lock);
    return l;
}

void exchange_give_body(exchange *x, slice more)
{
    pthread_mutex_lock(&x->lock);
    text_add(&x->body, more);
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
