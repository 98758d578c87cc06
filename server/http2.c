/* server/http2.c - HTTP/2 of a connection, by nghttp2. Each line of a reply is one DATA frame: clients that take a frame for
 * a line depend on it. Where the window is too small for a line that fits a frame, it waits for the window; only a line that is
 * larger than a frame goes in several. Frames that ask for nothing are counted: a client that sends little else is sent away. */
#include "server/inside.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>

enum { STREAMS_MAX = 100, FRAME_BYTES = 16384, WINDOW_BYTES = 1 << 20, SEND_MS = 60000 };
enum { IDLE_FRAMES_MAX = 1000, IDLE_FRAMES_MS = 10000 };

static const weir_clock WALL = { 0 };

static exchange *stream_exchange(connection *c, int32_t stream)
{
    return nghttp2_session_get_stream_user_data(c->http2, stream);
}

/* ---- reading ---- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *self)
{
    connection *c = self;

    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    exchange *x = exchange_new(c->server);
    x->connection = c;
    x->is_http2 = true;
    x->stream = frame->hd.stream_id;
    x->next_stream = c->first_stream;
    if (x->next_stream != NULL) x->next_stream->previous_stream = x;
    c->first_stream = x;
    c->streams++;
    nghttp2_session_set_stream_user_data(session, x->stream, x);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                     const uint8_t *given, size_t given_len, uint8_t flags, void *self)
{
    exchange *x = stream_exchange(self, frame->hd.stream_id);
    slice key = { (const char *)name, name_len }, header = { (const char *)given, given_len };

    (void)session;
    (void)flags;
    if (x == NULL || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    x->header_bytes += name_len + given_len + 32;
    if (x->header_bytes > HEADER_BYTES_MAX) return 0; /* read past; answered when all have come */
    if (slice_is(key, ":path")) text_add(&x->path, header);
    else if (slice_is(key, ":method")) text_add(&x->method, header);
    else exchange_take_header(x, key, header);
    return 0;
}

static void dispatch(connection *c, exchange *x)
{
    if (x->is_dispatched) return;
    x->is_dispatched = true;
    atomic_fetch_add(&c->server->requests, 1);
    route_dispatch(x);
}

static void refuse(connection *c, exchange *x, int status, const char *why)
{
    x->is_dispatched = x->discards_body = true;
    atomic_fetch_add(&c->server->failures, 1);
    exchange_fail(x, status, status == 503 ? 50302 : status * 100, "%s", why);
}

/* What costs its sender next to nothing, and asks for nothing: more than so many in a while is an attack. */
static bool is_flood(connection *c, const nghttp2_frame *frame)
{
    int64_t now_ms;
    bool is_idle = frame->hd.type == NGHTTP2_PING || frame->hd.type == NGHTTP2_SETTINGS || frame->hd.type == NGHTTP2_PRIORITY ||
                   frame->hd.type == NGHTTP2_RST_STREAM ||
                   (frame->hd.type == NGHTTP2_DATA && frame->hd.length == 0 && !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM));

    if (!is_idle || ++c->idle_frames < IDLE_FRAMES_MAX) return false;
    now_ms = clock_monotonic_ms(&WALL);
    bool is_fast = now_ms - c->idle_frames_ms < IDLE_FRAMES_MS;
    c->idle_frames = 0;
    c->idle_frames_ms = now_ms;
    return is_fast;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *self)
{
    connection *c = self;
    bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

    if (is_flood(c, frame)) {
        nghttp2_session_terminate_session(session, NGHTTP2_ENHANCE_YOUR_CALM);
        return 0;
    }
    if (frame->hd.type == NGHTTP2_WINDOW_UPDATE || frame->hd.type == NGHTTP2_SETTINGS) c->wants_news = true;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    exchange *x = stream_exchange(c, frame->hd.stream_id);
    if (x == NULL) return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        x->is_head = slice_is(text_slice(&x->method), "HEAD");
        x->route = route_find(x);
        x->discards_body = admit_is_hopeless(x);
        if (x->header_bytes > HEADER_BYTES_MAX) {
            refuse(c, x, 431, "the headers are larger than this server takes");
            return 0;
        }
        if (x->route != NULL && x->route->streams_body) dispatch(c, x);
    }
    if (!ends) return 0;
    if (x->route != NULL && x->route->streams_body && x->is_dispatched) exchange_end_body(x);
    else dispatch(c, x);
    (void)session;
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data, size_t len, void *self)
{
    connection *c = self;
    exchange *x = stream_exchange(c, stream);

    (void)flags;
    nghttp2_session_consume_connection(session, len);
    if (x == NULL) return 0;
    bool is_streamed = x->route != NULL && x->route->streams_body;
    if (!is_streamed || x->discards_body) nghttp2_session_consume_stream(session, stream, len); /* else as lines are taken */
    if (x->discards_body) return 0;
    int status = connection_takes_body(c, x, len);
    if (status == 0) {
        exchange_give_body(x, (slice){ (const char *)data, len });
    } else if (x->is_dispatched) {
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_ENHANCE_YOUR_CALM) == 0 ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
    } else {
        refuse(c, x, status, status == 413 ? "the body is larger than this server takes" : "the server holds as many requests as it can");
    }
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t code, void *self)
{
    connection *c = self;
    exchange *x = stream_exchange(c, stream);

    (void)session;
    (void)code;
    if (x == NULL) return 0;
    nghttp2_session_set_stream_user_data(c->http2, stream, NULL);
    log_request(x);
    exchange_go(x);
    x->connection = NULL;
    if (x->previous_stream != NULL) x->previous_stream->next_stream = x->next_stream;
    else c->first_stream = x->next_stream;
    if (x->next_stream != NULL) x->next_stream->previous_stream = x->previous_stream;
    exchange_drop(x);
    c->streams--;
    c->since_ms = clock_monotonic_ms(&WALL);
    return 0;
}

/* ---- answering ---- */

/* Whether a line of that many bytes goes into one frame as soon as the peer has read what it was sent. */
static bool can_wait_for(nghttp2_session *session, size_t len)
{
    return len <= FRAME_BYTES && nghttp2_session_get_remote_settings(session, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE) >= 2 * FRAME_BYTES;
}

static ssize_t read_data(nghttp2_session *session, int32_t stream, uint8_t *to, size_t room, uint32_t *flags,
                         nghttp2_data_source *source, void *self)
{
    exchange *x = source->ptr;

    (void)stream;
    (void)self;
    pthread_mutex_lock(&x->lock);
    line *l = x->first;
    size_t len = 0;
    bool waits = false;
    if (l != NULL) {
        len = l->len - l->sent;
        waits = len > room && l->sent == 0 && can_wait_for(session, len);
        if (len > room) len = room;
    }
    if (l != NULL && !waits) {
        memcpy(to, l->data + l->sent, len);
        l->sent += len;
        exchange_note_sent(x, len, l->sent == l->len ? 1 : 0);
        if (l->sent == l->len) {
            x->first = l->next;
            if (x->first == NULL) x->last = NULL;
            free(l);
        }
    }
    bool has_ended = x->first == NULL && x->has_ended;
    x->is_deferred = waits || (l == NULL && !has_ended);
    pthread_mutex_unlock(&x->lock);
    x->since_ms = clock_monotonic_ms(&WALL);
    if (has_ended) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return x->is_deferred ? NGHTTP2_ERR_DEFERRED : (ssize_t)len;
}

static nghttp2_nv header_of(const char *name, slice given)
{
    return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)given.data, strlen(name), given.len, NGHTTP2_NV_FLAG_NONE };
}

static void submit(connection *c, exchange *x)
{
    char status[8], length[24];
    nghttp2_nv headers[4];
    size_t count = 0;
    const nghttp2_data_provider data = { .source.ptr = x, .read_callback = read_data };

    snprintf(status, sizeof status, "%d", x->status);
    headers[count++] = header_of(":status", slice_of(status));
    if (x->content_type != NULL) headers[count++] = header_of("content-type", slice_of(x->content_type));
    if (x->extra_name != NULL) headers[count++] = header_of(x->extra_name, text_slice(&x->extra));
    if (x->is_whole) {
        snprintf(length, sizeof length, "%zu", x->first == NULL ? 0 : x->first->len);
        headers[count++] = header_of("content-length", slice_of(length));
    }
    x->is_head_sent = true;
    bool has_body = !x->is_head && !(x->is_whole && x->first == NULL);
    if (nghttp2_submit_response(c->http2, x->stream, headers, count, has_body ? &data : NULL) != 0) c->is_dead = true;
}

void http2_news(connection *c, exchange *x)
{
    pthread_mutex_lock(&x->lock);
    bool has_started = x->has_started, is_deferred = x->is_deferred && (x->first != NULL || x->has_ended);
    size_t taken = x->body_taken;
    x->body_taken = 0;
    pthread_mutex_unlock(&x->lock);
    if (taken > 0) nghttp2_session_consume_stream(c->http2, x->stream, taken);
    if (has_started && !x->is_head_sent) submit(c, x);
    else if (is_deferred) nghttp2_session_resume_data(c->http2, x->stream);
    if (is_deferred) x->since_ms = clock_monotonic_ms(&WALL);
}

/* Streams that wait for a window try again. */
static void resume_all(connection *c)
{
    c->wants_news = false;
    for (exchange *x = c->first_stream; x != NULL; x = x->next_stream) {
        if (x->is_deferred) nghttp2_session_resume_data(c->http2, x->stream);
    }
}

void http2_fill(connection *c)
{
    if (c->wants_news) resume_all(c);
    while (connection_has_room(c)) {
        const uint8_t *bytes;
        ssize_t len = nghttp2_session_mem_send(c->http2, &bytes);
        if (len < 0) c->is_dead = true;
        if (len <= 0) break;
        text_add(&c->out, (slice){ (const char *)bytes, (size_t)len });
    }
    if (!nghttp2_session_want_read(c->http2) && !nghttp2_session_want_write(c->http2)) c->closes = true;
}

bool http2_open(connection *c)
{
    nghttp2_session_callbacks *calls;
    nghttp2_option *option;
    const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, STREAMS_MAX },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEADER_BYTES_MAX },
    };

    if (nghttp2_session_callbacks_new(&calls) != 0) return false;
    nghttp2_session_callbacks_set_on_begin_headers_callback(calls, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(calls, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(calls, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(calls, on_stream_close);
    bool is_open = nghttp2_option_new(&option) == 0;
    if (is_open) {
        nghttp2_option_set_no_auto_window_update(option, 1);
        nghttp2_option_set_max_outbound_ack(option, 100);
        is_open = nghttp2_session_server_new2(&c->http2, calls, c, option) == 0;
        nghttp2_option_del(option);
    }
    nghttp2_session_callbacks_del(calls);
    if (!is_open) return false;
    c->idle_frames_ms = clock_monotonic_ms(&WALL);
    return nghttp2_submit_settings(c->http2, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings) == 0 &&
           nghttp2_session_set_local_window_size(c->http2, NGHTTP2_FLAG_NONE, 0, WINDOW_BYTES) == 0;
}

void http2_take(connection *c, slice bytes)
{
    if (nghttp2_session_mem_recv(c->http2, (const uint8_t *)bytes.data, bytes.len) < 0) c->is_dead = true;
}

void http2_close(connection *c)
{
    if (c->http2 == NULL) return;
    while (c->first_stream != NULL) on_stream_close(c->http2, c->first_stream->stream, 0, c);
    nghttp2_session_del(c->http2);
    c->http2 = NULL;
}

/* Streams that are there are answered; the client opens no more. */
void http2_stop(connection *c)
{
    if (nghttp2_submit_goaway(c->http2, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(c->http2), NGHTTP2_NO_ERROR, NULL, 0) != 0) {
        c->is_dead = true;
    }
}

void http2_tick(connection *c, int64_t now_ms)
{
    for (exchange *x = c->first_stream; x != NULL; x = x->next_stream) {
        pthread_mutex_lock(&x->lock);
        bool has_lines = x->first != NULL;
        pthread_mutex_unlock(&x->lock);
        int64_t waited_ms = now_ms - x->since_ms;
        if (!x->is_dispatched && now_ms - x->began_ms > c->server->options.request_ms_max) {
            refuse(c, x, 408, "the request did not come within the time it has");
        } else if (x->is_head_sent && has_lines && waited_ms > SEND_MS) { /* its window stays shut */
            nghttp2_submit_rst_stream(c->http2, NGHTTP2_FLAG_NONE, x->stream, NGHTTP2_CANCEL);
            c->wants_news = true;
        }
    }
    if (c->wants_news) connection_flush(c);
}
