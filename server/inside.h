/* server/inside.h - what the parts of the server know of each other. */
#ifndef WEIR_SERVER_INSIDE_H
#define WEIR_SERVER_INSIDE_H

#include "server/exchange.h"
#include "server/pool.h"

#include <http_parser.h>

struct nghttp2_session;

#define OUT_BYTES_MAX ((size_t)256 << 10) /* made ready for a socket that takes no more */
#define HEADER_BYTES_MAX (32u << 10)
#define STREAMED_BODY_BYTES_MAX ((size_t)1 << 20) /* of a streamed body, waiting to be taken */

typedef enum connection_kind { CONNECTION_UNKNOWN, CONNECTION_HTTP1, CONNECTION_HTTP2 } connection_kind;

/* The loop's alone. */
struct connection {
    server *server;
    connection *next, *previous;
    int fd;
    connection_kind kind;
    uint32_t events;          /* epoll is asked for these */
    text in;                  /* received, not yet understood: the preface, pipelined requests */
    text out;
    size_t out_sent;
    int64_t since_ms;         /* when what it waits for began: the request, the reader's room, the next request */
    bool closes;              /* when all is sent */
    bool is_dead;
    bool is_half_closed;      /* the client sends no more */
    bool wants_news;          /* HTTP/2: nghttp2 has something to send */
    http_parser parser;
    exchange *current;        /* HTTP/1.1: the request being read or answered */
    bool keeps_alive, is_chunked, reads_header_accept, is_bad;
    text header_name, header_value;
    struct nghttp2_session *http2;
    uint32_t streams;
};

struct server {
    weir *weir;
    server_options options;
    int listener, epoll, wake; /* wake: an eventfd for news and for stopping */
    uint16_t port;
    pool *pool;
    connection *connections;
    uint32_t connection_count;
    atomic_bool is_stopping;
    int64_t began_ms;
    pthread_mutex_t news_lock;
    exchange *news_first, *news_last;
    /* queries that stream, to be found by id */
    pthread_mutex_t queries_lock;
    struct streamed_query *queries;
    uint64_t query_number;
    atomic_uint query_count;
    /* commands done, for /status */
    pthread_mutex_t status_lock;
    struct command_status *statuses;
    uint32_t status_at;
    atomic_ullong requests, failures, rows_sent, connections_taken;
};

/* The loop is to look at the exchange: lines, its end, or body taken. */
void server_note_news(exchange *x);

/* ---- connections (connection.c, http1.c, http2.c); the loop's ---- */

connection *connection_new(server *s, int fd);
void connection_free(connection *c);
void connection_event(connection *c, uint32_t events);
void connection_news(connection *c, exchange *x); /* something of x changed */
void connection_tick(connection *c, int64_t now_ms); /* closes what takes too long */
void connection_flush(connection *c);

void http1_open(connection *c);
void http1_take(connection *c, slice bytes);
void http1_news(connection *c);
void http1_fill(connection *c); /* lines into out, while there is room */
bool http2_open(connection *c);
void http2_take(connection *c, slice bytes);
void http2_news(connection *c, exchange *x);
void http2_fill(connection *c);
void http2_close(connection *c);

/* ---- routes (routes.c) ---- */

struct route {
    const char *method, *path; /* a path that ends in '/' takes all below it */
    void (*handle)(exchange *x);
    bool streams_body;
};

/* The request's headers are complete: finds its route. */
const route *route_find(exchange *x);
/* Has the route answer, or answers 404 and 405 itself. */
void route_dispatch(exchange *x);

void handle_ksql(exchange *x);         /* statements.c */
void handle_status(exchange *x);
void handle_query(exchange *x);        /* queries.c */
void handle_query_stream(exchange *x);
void handle_close_query(exchange *x);
void handle_inserts(exchange *x);      /* inserts.c */
void handle_metrics(exchange *x);      /* metrics.c */
void statuses_free(server *s);

/* Runs the function in a worker, with the exchange held; 429 where there are too many jobs. */
void run_in_worker(exchange *x, void (*run)(exchange *x));

/* ---- bodies of requests (body.c) ---- */

typedef struct pair {
    slice name, value; /* value absent: null */
} pair;

typedef struct request_body {
    arena *arena;
    slice sql, target, query_id; /* absent: not given */
    pair *properties, *variables;
    uint32_t property_count, variable_count;
} request_body;

/* False: answered with 400. What is not known is ignored. body_free() in any case. */
bool body_read(exchange *x, slice json, request_body *out);
void body_free(request_body *b);
/* A session with the server's settings, then the request's. NULL: answered with 400. reads_latest: push queries begin with the
 * next row where neither says otherwise, as in ksqlDB. */
weir_session *body_session(exchange *x, const request_body *b, bool reads_latest);

/* ---- errors of statements ---- */

int error_status(weir_rc rc);
int error_code(weir_rc rc);
void print_error(text *out, const weir_error *err, int code, slice statement, slice entities);

#endif
