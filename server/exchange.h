/* server/exchange.h - a request and its reply: what the loop and the workers share.
 * The loop fills the request in and hands it to a route once it is complete (or, where the route streams its body, once the
 * headers are). A worker replies with exchange_reply() or with exchange_start(), lines and exchange_end(); the loop sends.
 * Threads: the request's members do not change while a worker has it; the rest is behind the functions, which any thread
 * may call. Ownership: counted; connection, job and the list of news hold one each. */
#ifndef WEIR_SERVER_EXCHANGE_H
#define WEIR_SERVER_EXCHANGE_H

#include "core/json_read.h"
#include "server/auth.h"
#include "server/server.h"

#include <pthread.h>
#include <stdatomic.h>

#define LINES_BYTES_MAX ((size_t)64 << 10) /* what waits to be made ready for the socket; more is not made until there is room */
#define LINES_BYTES_LEAST ((size_t)8 << 10) /* the same, once all replies together have as much as they may */
#define QUEUED_BYTES_MAX ((size_t)64 << 20) /* of all replies: lines, and what is made ready for sockets */
#define LINE_BYTES 48                       /* what a line costs beside its text */

typedef struct connection connection;
typedef struct route route;

typedef struct line {
    struct line *next;
    size_t len, sent;
    char data[];
} line;

/* Headers that are kept, the first of each name. */
typedef enum header_name {
    HEADER_AUTHORIZATION, HEADER_HOST, HEADER_ORIGIN, HEADER_UPGRADE, HEADER_WEBSOCKET_KEY, HEADER_WEBSOCKET_VERSION, HEADER_COUNT
} header_name;

typedef struct exchange {
    server *server;
    connection *connection; /* the loop's; NULL: it has gone */
    const route *route;
    /* the request */
    text method, path, accept, body;
    slice path_query;       /* what stood behind the path's '?', as it was sent; in the path's text */
    text kept;
    struct { uint32_t at, len; bool is_there; } headers[HEADER_COUNT]; /* in kept */
    bool is_http2, is_head;
    bool is_websocket;      /* lines become messages */
    int32_t stream;         /* HTTP/2 */
    auth_role role;
    /* the reply, behind the lock */
    pthread_mutex_t lock;
    int status;
    const char *content_type;
    const char *extra_name; /* one more header; NULL: none */
    text extra;
    bool has_started, has_ended, is_whole;
    line *first, *last;
    size_t queued_bytes;    /* what the lines cost */
    bool wants_room;        /* the job has found it full */
    bool body_ended;        /* of a streamed body */
    size_t body_taken;      /* bytes taken since the loop last asked */
    bool is_news;           /* in the server's list */
    struct exchange *next_news;
    struct job *job;        /* that waits for the body or room */
    atomic_int holders;
    atomic_bool is_push;    /* goes on for ever: a client that has closed its side does not read it */
    atomic_bool is_gone;    /* nobody is there to read the reply */
    /* whom the Authorization header names: a worker finds out */
    auth *auth;
    atomic_int verdict;     /* auth_verdict */
    struct exchange *next_verify;
    /* the loop's own */
    bool is_dispatched, is_head_sent, is_deferred, is_verifying;
    bool discards_body;     /* it is refused already */
    size_t header_bytes, body_bytes; /* body_bytes: counted in the server's */
    int64_t began_ms, since_ms; /* since_ms: when it last came on */
    struct exchange *next_stream, *previous_stream; /* HTTP/2: the connection's */
} exchange;

exchange *exchange_new(server *s);
/* Notes the header if it is one that is kept; name in any case. */
void exchange_take_header(exchange *x, slice name, slice given);
slice exchange_header(const exchange *x, header_name name); /* absent: not sent */
void exchange_hold(exchange *x);
void exchange_drop(exchange *x); /* NULL is fine */

/* ---- the worker's side ---- */

void exchange_reply(exchange *x, int status, const char *content_type, slice body);
/* The same from the loop, before it looks at the connection again. */
void exchange_reply_here(exchange *x, int status, const char *content_type, slice body);
void exchange_start(exchange *x, int status, const char *content_type);
void exchange_line(exchange *x, slice more); /* copied; one chunk or DATA frame */
/* last: a line to go with the end, so that no empty frame follows it, which some clients take for a line; or absent. */
void exchange_end(exchange *x, slice last);
/* Of a reply under way that turned out otherwise: for WebSockets, whose close tells. */
void exchange_set_status(exchange *x, int status);
/* One more header of the reply, before it starts. */
void exchange_set_header(exchange *x, const char *name, slice given);
/* {"@type":"generic_error","error_code":code,"message":...} */
void exchange_fail(exchange *x, int status, int code, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Wait: the reader is slower. The job is woken when there is room. */
bool exchange_is_full(exchange *x);
static inline bool exchange_is_gone(exchange *x) { return atomic_load(&x->is_gone); }
/* The next lines of a streamed body into `into`, at most so many. False: none is there; *ended: none will come. */
bool exchange_take_lines(exchange *x, uint32_t lines_max, text *into, bool *ended);

/* ---- the loop's side ---- */

/* Nobody is there to read the reply: its job is woken, to end. */
void exchange_go(exchange *x);
/* With the lock held: so many bytes of lines have left the queue, and so many lines; the job that waits for room is woken. */
void exchange_note_sent(exchange *x, size_t bytes, size_t lines);
line *exchange_next_line(exchange *x, bool *ended); /* taken out; the caller frees it */
void exchange_give_body(exchange *x, slice more);
void exchange_end_body(exchange *x);

#define MEDIA_KSQL "application/vnd.ksql.v1+json"
#define MEDIA_JSON "application/json"
#define MEDIA_DELIMITED "application/vnd.ksqlapi.delimited.v1"

#endif
