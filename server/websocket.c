/* server/websocket.c - GET /ws/query: a query whose rows come as messages of a WebSocket (RFC 6455). The request stands in the
 * URL, as {"ksql": ...} in its parameter "request"; what the client sends afterwards is read past, save pings and its close. */
#include "server/inside.h"

#include <endian.h>
#include <openssl/evp.h>
#include <stdlib.h>

enum { OP_CONTINUATION = 0, OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10, FINAL = 0x80, MASKED = 0x80 };
enum { CONTROL_BYTES_MAX = 125, CLOSE_MS = 2000 };
enum { CODE_DONE = 1000, CODE_GOING_AWAY = 1001, CODE_PROTOCOL = 1002, CODE_BAD_REQUEST = 1003, CODE_POLICY = 1008, CODE_FAILED = 1011,
       CODE_LATER = 1013 };

static const weir_clock WALL = { 0 };

struct websocket {
    uint8_t head[14];         /* of the frame under way: two bytes, length, mask */
    uint32_t head_len;
    uint64_t left;            /* of its payload */
    uint8_t control[CONTROL_BYTES_MAX];
    uint32_t control_len;
    bool in_message;          /* a fragment came, its last is awaited */
    bool has_closed;          /* ours is sent */
    int64_t closed_ms;
};

/* ---- the request ---- */

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* The parameter's value, %XX and + undone. False: it is not there. */
static bool read_parameter(slice query, slice name, text *into)
{
    if (query.len == 0) return false;
    const char *at = query.data, *end = query.data + query.len;

    while (at < end) {
        const char *and = memchr(at, '&', (size_t)(end - at));
        slice one = { at, (size_t)((and == NULL ? end : and) - at) };
        at = and == NULL ? end : and + 1;
        if (one.len <= name.len || memcmp(one.data, name.data, name.len) != 0 || one.data[name.len] != '=') continue;
        for (size_t i = name.len + 1; i < one.len; i++) {
            bool is_code = one.data[i] == '%' && i + 2 < one.len && hex(one.data[i + 1]) >= 0 && hex(one.data[i + 2]) >= 0;
            text_add_char(into, is_code ? (char)(hex(one.data[i + 1]) * 16 + hex(one.data[i + 2])) : one.data[i] == '+' ? ' ' : one.data[i]);
            if (is_code) i += 2;
        }
        return true;
    }
    return false;
}

void handle_web_socket(exchange *x)
{
    slice key = exchange_header(x, HEADER_WEBSOCKET_KEY), version = exchange_header(x, HEADER_WEBSOCKET_VERSION);

    if (!slice_equal_nocase(exchange_header(x, HEADER_UPGRADE), SLICE("websocket")) || key.len == 0 || x->is_http2) {
        exchange_set_header(x, "upgrade", x->is_http2 ? NO_SLICE : SLICE("websocket"));
        exchange_fail(x, x->is_http2 ? 400 : 426, x->is_http2 ? 40000 : 42600,
                      "this is for WebSockets, by the handshake of HTTP/1.1; other queries go to /query-stream");
    } else if (!slice_is(version, "13")) {
        exchange_set_header(x, "sec-websocket-version", SLICE("13"));
        exchange_fail(x, 426, 42600, "the WebSocket's version is 13 here");
    } else {
        x->is_websocket = true;
        text_clear(&x->body);
        if (read_parameter(x->path_query, SLICE("request"), &x->body)) handle_query_socket(x);
        else exchange_fail(x, 400, 40000, "the URL has no parameter \"request\" with {\"ksql\": ...}");
    }
}

/* ---- what is sent ---- */

static void send_frame(connection *c, int op, slice payload)
{
    uint8_t head[10] = { (uint8_t)(FINAL | op) };
    size_t len = 2;

    if (payload.len < 126) {
        head[1] = (uint8_t)payload.len;
    } else if (payload.len <= UINT16_MAX) {
        head[1] = 126;
        uint16_t size = htobe16((uint16_t)payload.len);
        memcpy(head + 2, &size, sizeof size);
        len = 4;
    } else {
        head[1] = 127;
        uint64_t size = htobe64(payload.len);
        memcpy(head + 2, &size, sizeof size);
        len = 10;
    }
    text_add(&c->out, (slice){ (const char *)head, len });
    text_add(&c->out, payload);
}

static void send_close(connection *c, uint16_t code, slice reason)
{
    char payload[CONTROL_BYTES_MAX];
    uint16_t sent = htobe16(code);

    if (c->websocket->has_closed) return;
    if (reason.len > sizeof payload - 2) reason.len = sizeof payload - 2;
    memcpy(payload, &sent, sizeof sent);
    memcpy(payload + 2, reason.data, reason.len);
    send_frame(c, OP_CLOSE, (slice){ payload, reason.len + 2 });
    c->websocket->has_closed = true;
    c->websocket->closed_ms = clock_monotonic_ms(&WALL);
}

static void end_exchange(connection *c)
{
    exchange *x = c->current;

    if (x == NULL) return;
    log_request(x);
    c->current = NULL;
    x->connection = NULL;
    exchange_go(x);
    exchange_drop(x);
}

void websocket_open(connection *c)
{
    static const char GUID[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    slice key = exchange_header(c->current, HEADER_WEBSOCKET_KEY);
    unsigned char digest[EVP_MAX_MD_SIZE], coded[64];
    unsigned int len = 0;
    text both = TEXT_EMPTY;

    text_add(&both, key);
    text_add_c(&both, GUID);
    if (EVP_Digest(both.data, both.len, digest, &len, EVP_sha1(), NULL) != 1) abort();
    text_free(&both);
    EVP_EncodeBlock(coded, digest, (int)len);
    text_printf(&c->out, "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: %s\r\n\r\n",
                (const char *)coded);
    c->kind = CONNECTION_WEBSOCKET;
    c->websocket = calloc(1, sizeof *c->websocket);
    if (c->websocket == NULL) abort();
    text rest = c->in;
    c->in = TEXT_EMPTY;
    if (rest.len > 0) websocket_take(c, text_slice(&rest));
    text_free(&rest);
}

static uint16_t code_of(const connection *c, int status)
{
    if (status < 300) return CODE_DONE;
    if (atomic_load(&c->server->is_stopping)) return CODE_GOING_AWAY;
    if (status == 401 || status == 403) return CODE_POLICY;
    return status == 429 || status == 503 ? CODE_LATER : status < 500 ? CODE_BAD_REQUEST : CODE_FAILED;
}

void websocket_fill(connection *c)
{
    exchange *x = c->current;
    bool ended;

    while (x != NULL && connection_has_room(c)) {
        line *l = exchange_next_line(x, &ended);
        if (l == NULL && !ended) return;
        if (l != NULL && l->len > 0) send_frame(c, OP_TEXT, (slice){ l->data, l->len - (l->data[l->len - 1] == '\n') });
        free(l);
        if (!ended) continue;
        pthread_mutex_lock(&x->lock);
        int status = x->status;
        pthread_mutex_unlock(&x->lock);
        send_close(c, code_of(c, status), status < 300 ? SLICE("done") : SLICE("the last message tells what is wrong"));
        end_exchange(c);
        return;
    }
}

/* ---- what is received ---- */

static void fail(connection *c, const char *why)
{
    send_close(c, CODE_PROTOCOL, slice_of(why));
    end_exchange(c);
    c->closes = true;
}

static uint32_t head_bytes(const struct websocket *w)
{
    uint32_t len = w->head[1] & 0x7f;
    return w->head_len < 2 ? 2 : 2u + (len == 126 ? 2 : len == 127 ? 8 : 0) + (w->head[1] & MASKED ? 4u : 0);
}

/* The frame's head is there. False: the connection fails. */
static bool begin_frame(connection *c)
{
    struct websocket *w = c->websocket;
    int op = w->head[0] & 15;
    uint32_t len = w->head[1] & 0x7f;
    bool is_control = op >= OP_CLOSE, is_final = (w->head[0] & FINAL) != 0;
    const char *why = NULL;

    w->left = len;
    if (len == 126) w->left = (uint64_t)w->head[2] << 8 | w->head[3];
    if (len == 127) {
        memcpy(&w->left, w->head + 2, 8);
        w->left = be64toh(w->left);
    }
    w->control_len = 0;
    if (!(w->head[1] & MASKED)) why = "a client masks its frames";
    else if (w->head[0] & 0x70) why = "no extension was agreed on";
    else if ((op > OP_BINARY && op < OP_CLOSE) || op > OP_PONG) why = "a frame of no known kind";
    else if (is_control && (!is_final || w->left > CONTROL_BYTES_MAX)) why = "a control frame is whole, and has 125 bytes at most";
    else if (w->left >> 63 != 0) why = "a frame has no such length";
    else if (!is_control && (op == OP_CONTINUATION) != w->in_message) why = "a fragment out of order";
    if (why != NULL) {
        fail(c, why);
        return false;
    }
    if (!is_control) w->in_message = !is_final;
    return true;
}

static void end_frame(connection *c)
{
    struct websocket *w = c->websocket;
    int op = w->head[0] & 15;

    w->head_len = 0;
    if (op == OP_PING && !w->has_closed) {
        send_frame(c, OP_PONG, (slice){ (const char *)w->control, w->control_len });
    } else if (op == OP_CLOSE) {
        bool has_code = w->control_len >= 2;
        uint16_t code = has_code ? (uint16_t)(w->control[0] << 8 | w->control[1]) : CODE_DONE;
        bool may_stand = (code >= 1000 && code <= 1011 && code != 1004 && code != 1005 && code != 1006) || (code >= 3000 && code < 5000);
        send_close(c, may_stand ? code : CODE_PROTOCOL, SLICE(""));
        end_exchange(c);
        c->closes = true;
    }
}

void websocket_take(connection *c, slice bytes)
{
    struct websocket *w = c->websocket;

    while (bytes.len > 0 && !c->closes) {
        uint32_t wanted = head_bytes(w);
        if (w->head_len < wanted) {
            w->head[w->head_len++] = (uint8_t)bytes.data[0];
            bytes = (slice){ bytes.data + 1, bytes.len - 1 };
            if (w->head_len < head_bytes(w)) continue;
            if (!begin_frame(c)) return;
        } else {
            size_t here = bytes.len < w->left ? bytes.len : (size_t)w->left;
            const uint8_t *mask = w->head + w->head_len - 4;
            bool is_control = (w->head[0] & 15) >= OP_CLOSE;
            for (size_t i = 0; is_control && i < here; i++) {
                w->control[w->control_len] = (uint8_t)bytes.data[i] ^ mask[w->control_len & 3];
                w->control_len++;
            }
            w->left -= here;
            bytes = (slice){ bytes.data + here, bytes.len - here };
        }
        if (w->left == 0) end_frame(c);
    }
}

/* The client is given some time to answer our close. */
void websocket_tick(connection *c, int64_t now_ms)
{
    if (c->websocket->has_closed && now_ms - c->websocket->closed_ms > CLOSE_MS) c->is_dead = true;
}

void websocket_close(connection *c)
{
    free(c->websocket);
    c->websocket = NULL;
}
