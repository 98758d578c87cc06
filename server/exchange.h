/* server/exchange.h - a request and its reply: what the loop and the workers share.
 * The loop fills the request in and hands it to a route once it is complete (or, where the route streams its body, once the
 * headers are). A worker replies with exchange_reply() or with exchange_start(), lines and exchange_end(); the loop sends.
 * Threads: the request's members do not change while a worker has it; the rest is behind the functions, which any thread
 * may call. Ownership: counted; connection, job and the list of news hold one each. */
#ifndef WEIR_SERVER_EXCHANGE_H
#define WEIR_SERVER_EXCHANGE_H

#include "core/json_read.h"
#include "server/server.h"

#include <pthread.h>
#include <stdatomic.h>

#define LINES_BYTES_MAX ((size_t)256 << 10) /* what waits to be sent; more is not made until there is room */

typedef struct connection connection;
typedef struct route route;

typedef struct line {
    struct line *next;
    size_t len, sent;
    char data[];
} line;

typedef struct exchange {
    server *server;
    connection *connection; /* the loop's; NULL: it has gone */
    const route *route;
    /* the request */
    text method, path, accept, body;
    bool is_http2, is_head;
    int32_t stream;         /* HTTP/2 */
    /* the reply, behind the lock */
    pthread_mutex_t lock;
    int status;
    const char *content_type;
    text location;          /* where redirected */
    bool has_started, has_ended, is_whole;
    line *first, *last;
    size_t queued_bytes;
    bool body_ended;        /* of a streamed body */
    size_t body_taken;      /* bytes taken since the loop last asked */
    bool is_news;           /* in the server's list */
    struct exchange *next_news;
    struct job *job;        /* that waits for the body or room */
    atomic_int holders;
    atomic_bool is_push;    /* goes on for ever: a client that has closed its side does not read it */
    atomic_bool is_gone;    /* nobody is there to read the reply */
    /* the loop's own */
    bool is_dispatched, is_head_sent, is_deferred;
    size_t header_bytes;
} exchange;

exchange *exchange_new(server *s);
void exchange_hold(exchange *x);
void exchange_drop(exchange *x); /* NULL is fine */

/* ---- the worker's side ---- */

void exchange_reply(exchange *x, int status, const char *content_type, slice body);
void exchange_start(exchange *x, int status, const char *content_type);
void exchange_line(exchange *x, slice more); /* copied; one chunk or DATA frame */
void exchange_end(exchange *x);
/* {"@type":"generic_error","error_code":code,"message":...} */
void exchange_fail(exchange *x, int status, int code, const char *format, ...) __attribute__((format(printf, 4, 5)));
bool exchange_is_full(exchange *x);  /* wait: the reader is slower */
static inline bool exchange_is_gone(exchange *x) { return atomic_load(&x->is_gone); }
/* The next line of a streamed body into `into`. False: none is there; *ended: none will come. */
bool exchange_take_line(exchange *x, text *into, bool *ended);

/* ---- the loop's side ---- */

/* With the lock held: bytes have left the queue; the job that waits for room is woken. */
void exchange_note_sent(exchange *x, size_t bytes);
line *exchange_next_line(exchange *x, bool *ended); /* taken out; the caller frees it */
void exchange_give_body(exchange *x, slice more);
void exchange_end_body(exchange *x);

#define MEDIA_KSQL "application/vnd.ksql.v1+json"
#define MEDIA_JSON "application/json"
#define MEDIA_DELIMITED "application/vnd.ksqlapi.delimited.v1"

#endif
