/* server/inside.h - what the parts of the server know of each other. */
#ifndef WEIR_SERVER_INSIDE_H
#define WEIR_SERVER_INSIDE_H

#include "server/exchange.h"
#include "server/pool.h"

#include <http_parser.h>
#include <sys/types.h>

struct nghttp2_session;
struct ssl_st;
struct ssl_ctx_st;

#define OUT_BYTES_MAX ((size_t)256 << 10) /* made ready for a socket that takes no more */
#define OUT_BYTES_LEAST ((size_t)8 << 10) /* the same, once all replies together have as much as they may */
#define HEADER_BYTES_MAX (32u << 10)
#define STREAMED_BODY_BYTES_MAX ((size_t)1 << 20) /* of a streamed body, waiting to be taken */
#define BODIES_MAX 64 /* so many of the largest size, of all requests together */

typedef enum connection_kind { CONNECTION_UNKNOWN, CONNECTION_HTTP1, CONNECTION_HTTP2, CONNECTION_WEBSOCKET } connection_kind;

/* Events that others can cause at will are told of once a second. */
typedef struct log_limit {
    int64_t at_ms;
    uint64_t missed;
} log_limit;

/* A statement under way whose time is limited. */
typedef struct work {
    struct work *next, *previous;
    weir_session *session;
    int64_t deadline_ms;
    atomic_bool is_late;
} work;

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
    size_t out_counted;       /* of what is not sent, in the server's queued_bytes */
    int64_t since_ms;         /* when what it waits for began: the request, the reader's room, the next request */
    bool closes;              /* when all is sent */
    bool is_dead;
    bool is_half_closed;      /* the client sends no more */
    bool is_broken;           /* nothing more can be said over TLS */
    bool lingers;             /* all is sent; what still comes is thrown away, so that the client sees the answer */
    size_t thrown_away;
    struct ssl_st *tls;       /* NULL: plain */
    bool tls_read_wants_room, tls_write_wants_bytes; /* each way may have to wait for the other */
    text authorized;          /* the header whose verdict is known to be authorized_role, of the server's accounts so numbered */
    auth_role authorized_role;
    uint32_t authorized_by;
    bool wants_news;          /* HTTP/2: nghttp2 has something to send */
    http_parser parser;
    exchange *current;        /* HTTP/1.1: the request being read or answered */
    bool keeps_alive, is_chunked, in_header_value, awaits_continue, is_bad;
    text header_name, header_value;
    struct nghttp2_session *http2;
    uint32_t streams;
    exchange *first_stream;
    uint32_t idle_frames;     /* HTTP/2: that asked for nothing */
    int64_t idle_frames_ms;   /* since when */
    struct websocket *websocket;
};

struct server {
    weir *weir;
    server_options options;
    int listener, epoll, wake; /* wake: an eventfd for news and for stopping */
    uint16_t port;
    bool is_loopback;
    pool *pool;
    connection *connections;
    atomic_uint connection_count; /* changed by the loop alone */
    int spare;                 /* a descriptor given up to refuse a connection when there are no more */
    atomic_bool is_stopping, is_reloading;
    struct ssl_ctx_st *tls;   /* NULL: plain */
    auth *auth;               /* the loop's; NULL: none */
    uint32_t auth_number;     /* of those loaded */
    pthread_mutex_t verify_lock;
    exchange *verify_first, *verify_last;
    uint32_t verify_count;
    bool is_verifying;
    pthread_mutex_t work_lock;
    work *works;
    atomic_size_t body_bytes; /* of requests, held in memory */
    atomic_size_t queued_bytes; /* of replies: lines, and what connections have made ready */
    log_limit refused_accounts, refused_connections, refused_handshakes;
    int64_t began_ms, ticked_ms;
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
    struct lookups *lookups;
    atomic_ullong requests, failures, rows_sent, connections_taken, connections_refused, accounts_refused;
};

/* One round of the loop: what has happened, and waits up to timeout_ms for it. */
weir_rc server_turn(server *s, int timeout_ms, weir_error *err) WEIR_CHECKED;
/* The loop is to look at the exchange: lines, its end, or body taken. */
void server_note_news(exchange *x);

/* ---- connections (connection.c, http1.c, http2.c); the loop's ---- */

connection *connection_new(server *s, int fd);
void connection_free(connection *c);
void connection_event(connection *c, uint32_t events);
void connection_news(connection *c, exchange *x); /* something of x changed */
void connection_tick(connection *c, int64_t now_ms); /* closes what takes too long */
void connection_flush(connection *c);
bool connection_has_room(const connection *c); /* for more to be made ready for its socket */
void connection_stop(connection *c); /* takes no more requests */
/* "127.0.0.1"; empty where it is not known. */
void connection_peer(const connection *c, char *out, size_t room);
/* > 0: so many bytes; 0: not now; < 0: the connection has ended. (tls.c) */
ssize_t connection_read(connection *c, char *bytes, size_t room);
ssize_t connection_write(connection *c, const char *bytes, size_t len);
/* 0: there is room for more of a request's body; else the status it is refused with. */
int connection_takes_body(connection *c, exchange *x, size_t more);

weir_rc tls_load(struct ssl_ctx_st **out, slice certificate, slice key, weir_error *err) WEIR_CHECKED; /* tls.c */
void tls_unload(struct ssl_ctx_st *t);
bool tls_open(connection *c);
bool tls_is_http2(const connection *c); /* that was agreed on */
void tls_close(connection *c);

void http1_open(connection *c);
void http1_refuse(connection *c, int status, const char *why); /* answers what cannot be taken, and closes */
void http1_take(connection *c, slice bytes);
void http1_news(connection *c);
void http1_fill(connection *c); /* lines into out, while there is room */
bool http2_open(connection *c);
void http2_take(connection *c, slice bytes);
void http2_news(connection *c, exchange *x);
void http2_fill(connection *c);
void http2_close(connection *c);
void http2_stop(connection *c);
void http2_tick(connection *c, int64_t now_ms);
void websocket_open(connection *c); /* of c->current, whose handshake is fine */
void websocket_take(connection *c, slice bytes);
void websocket_fill(connection *c);
void websocket_tick(connection *c, int64_t now_ms);
void websocket_close(connection *c);

/* ---- events (log.c) ---- */

/* Pairs of name and text, a NULL for the last name; a NULL text leaves its pair out. */
void server_log(server *s, const char *event, ...) __attribute__((sentinel));
bool log_is_due(server *s, log_limit *limit, char *missed, size_t room);

/* ---- who may do what (admit.c) ---- */

/* True: the request is let in. False: it is answered, or waits for a worker that looks at its secret. */
bool admit(exchange *x);
/* The headers are complete: whether it will be refused whatever its body says. */
bool admit_is_hopeless(exchange *x);
void admit_verified(exchange *x);
/* What the sender may have executed. */
weir_allow exchange_allows(const exchange *x);
/* Of a statement that was refused: why, in place of what stands in err. Returns the HTTP status. */
int explain_refusal(const exchange *x, weir_allow asked, weir_error *err);

/* ---- time limits (work.c) ---- */

void work_begin(server *s, work *w, weir_session *session);
void work_end(server *s, work *w); /* one that has not begun is fine */
/* Says so in err where the statement was ended for its time. */
void work_explain(server *s, work *w, weir_error *err);
void work_tick(server *s, int64_t now_ms);
void work_cancel_all(server *s);

/* ---- routes (routes.c) ---- */

struct route {
    const char *method, *path; /* a path that ends in '/' takes all below it */
    void (*handle)(exchange *x);
    bool streams_body;
    auth_role needs;
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
void queries_stop(server *s);          /* those that sleep learn that the server is stopping */
bool close_query(void *server, slice id); /* false: none of that id streams; its letters' case is no matter */
void handle_inserts(exchange *x);      /* inserts.c */
void handle_shell(exchange *x);        /* shell.c */
void handle_names(exchange *x);
void handle_metrics(exchange *x);      /* metrics.c */
void handle_web_socket(exchange *x);   /* websocket.c */
void handle_query_socket(exchange *x); /* queries.c: its body is the request */
void handle_terminate(exchange *x);    /* terminate.c */
void statuses_free(server *s);
void log_request(exchange *x); /* its reply is out, or nobody is there to read it */

/* Runs the function in a worker, with the exchange held; 429 where there are too many jobs. */
void run_in_worker(exchange *x, void (*run)(exchange *x));

/* ---- bodies of requests (body.c) ---- */

typedef struct pair {
    slice name, value; /* value absent: null */
} pair;

typedef struct request_body {
    arena *arena;
    slice sql, target, query_id; /* absent: not given */
    slice session, print, prefix; /* of the shell: likewise */
    int64_t kinds;
    pair *properties, *variables;
    uint32_t property_count, variable_count;
    slice *topics;           /* deleteTopicList */
    uint32_t topic_count;
    uint64_t after_command;  /* commandSequenceNumber + 1; 0: not given */
} request_body;

/* False: answered with 400. What is not known is ignored. body_free() in any case. */
bool body_read(exchange *x, slice json, request_body *out);
void body_free(request_body *b);
/* A session with the server's settings, then the request's. NULL: answered with 400. reads_latest: push queries begin with the
 * next row where neither says otherwise, as in ksqlDB. */
weir_session *body_session(exchange *x, const request_body *b, bool reads_latest);

/* ---- key look-ups that the loop answers (lookups.c) ---- */

struct lookups *lookups_new(void);
void lookups_free(struct lookups *l); /* NULL is fine */
/* Answers a query like one that was kept. False: nothing has been done. The loop's. */
bool lookups_answer(exchange *x, bool is_rows);
/* Keeps a result, if it is of that kind, for others like it; true: it is no longer the caller's. */
bool lookups_keep(server *s, weir_result *r, slice sql, bool is_rows);
/* Of replies to queries (queries.c): what stands behind the query's id and its quotation mark up to the first row, and a row. */
void print_query_head(text *out, const weir_result *r, bool is_rows);
void print_query_row(text *out, const batch *rows, uint32_t row);

/* ---- errors of statements ---- */

int error_status(weir_rc rc);
int error_code(weir_rc rc);
void print_error(text *out, const weir_error *err, int code, slice statement, slice entities);

#endif
