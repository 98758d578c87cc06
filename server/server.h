/* server/server.h - ksqlDB's REST API over an engine: HTTP/1.1 and HTTP/2 on one port, plain (by prior knowledge) or over TLS.
 *
 * One thread runs an epoll loop and owns all connections; a bounded pool of workers runs statements and advances queries.
 * They meet in exchanges (exchange.h): a worker adds lines, the loop sends each as a chunk or DATA frame of its own. */
#ifndef WEIR_SERVER_SERVER_H
#define WEIR_SERVER_SERVER_H

#include "executor/engine.h"

typedef struct server server;

typedef enum log_format { LOG_NONE, LOG_TEXT, LOG_JSON } log_format;

typedef struct server_options {
    slice host;               /* an IPv4 or IPv6 address, or "localhost" */
    uint16_t port;            /* 0: any free one; server_port() tells */
    bool is_insecure;         /* other addresses than loopback are taken, without TLS */
    slice tls_certificate, tls_key; /* PEM files; absent: plain */
    slice auth_file;          /* accounts (auth.h); absent: everyone may do everything */
    bool is_headless;         /* queries are those of a script: statements that change streams, tables or queries are refused */
    log_format log;           /* events, on standard error */
    bool logs_requests;
    slice service;
    const weir_setting *settings, *defines; /* of each request, before its own */
    uint32_t setting_count, define_count;
    uint32_t workers;         /* 0: 4 */
    uint32_t connections_max; /* each: 0: a default */
    uint32_t queries_max;
    uint32_t body_bytes_max;
    uint32_t request_ms_max;  /* within which a request is to have come */
    int64_t statement_ms_max; /* statements and pull queries that take longer are ended; -1: none is */
} server_options;

/* Listens; serves nothing until server_run(). The options' texts live as long as the server. */
weir_rc server_open(server **out, weir *w, const server_options *options, weir_error *err) WEIR_CHECKED;
uint16_t server_port(const server *s);
/* Serves until server_stop(); then streaming replies are ended with a message, and connections closed. */
weir_rc server_run(server *s, weir_error *err) WEIR_CHECKED;
void server_stop(server *s); /* async-signal-safe */
/* Reads the files of TLS and accounts again; where one cannot be used, those read before stay. Async-signal-safe. */
void server_reload(server *s);
void server_close(server *s); /* NULL is fine */

/* The line of a file of accounts for NAME:ROLE and its secret, which it hashes. */
weir_rc server_account_line(slice account, slice secret, text *out, weir_error *err) WEIR_CHECKED;

#endif
