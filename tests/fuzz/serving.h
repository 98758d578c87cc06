/* tests/fuzz/serving.h - a server without a network: what is fuzzed comes through a pair of sockets, in the loop of the caller's
 * thread. Its script is fixed, so that no input changes what there is. */
#ifndef WEIR_TESTS_FUZZ_SERVING_H
#define WEIR_TESTS_FUZZ_SERVING_H

#include "server/inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define MUST(call)                                                       \
    do {                                                                 \
        if (!(call)) fprintf(stderr, "%s\n", #call), abort();            \
    } while (0)

static server *the_server;
static weir *the_engine;

/* Not by atexit(): what threads of the server still use may be taken down before that. */
void fuzz_end(void);

void fuzz_end(void)
{
    server_close(the_server);
    weir_close(the_engine);
}

static server *serving(void)
{
    static const char sql[] = "CREATE STREAM s (k STRING KEY, v INT, a ARRAY<MAP<STRING, DOUBLE>>, d DECIMAL(9, 2), b BYTES, t TIMESTAMP, "
                              "o STRUCT<x INT, y STRING>) WITH (kafka_topic='s', value_format='JSON', partitions=1);"
                              "CREATE TABLE t AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;";
    weir_options engine = { .is_temporary = true };
    server_options options = { .host = SLICE("127.0.0.1"), .workers = 1, .is_headless = true, .body_bytes_max = 1 << 16 };
    weir_error err;
    weir_session *session;
    weir_result *r;

    if (the_server != NULL) return the_server;
    MUST(weir_open(&the_engine, &engine, &err) == WEIR_OK && weir_session_open(&session, the_engine) == WEIR_OK);
    weir_script *script = weir_script_open(session, slice_of(sql));
    do {
        MUST(weir_script_next(script, &r, &err) == WEIR_OK);
        weir_result_close(r);
    } while (r != NULL);
    weir_script_close(script);
    weir_session_close(session);
    MUST(server_open(&the_server, the_engine, &options, &err) == WEIR_OK);
    return the_server;
}

static void turn(server *s, int timeout_ms)
{
    weir_error err;

    MUST(server_turn(s, timeout_ms, &err) == WEIR_OK);
}

/* Reads what the server has sent, and throws it away. */
static inline void drain(int fd)
{
    char bytes[4096];

    while (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0) {
    }
}

static inline bool is_answering(const server *s)
{
    for (const connection *c = s->connections; c != NULL; c = c->next) {
        if (c->streams > 0 || (c->current != NULL && c->current->is_dispatched)) return true;
    }
    return false;
}

/* A connection that sends these bytes, `piece` at a time, waits a little for answers, and goes. */
static inline void serve_bytes(const char *bytes, size_t len, size_t piece)
{
    server *s = serving();
    int pair[2];

    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    MUST(connection_new(s, pair[0]) != NULL);
    for (size_t sent = 0; sent < len && s->connection_count > 0;) {
        size_t more = len - sent < piece ? len - sent : piece;
        ssize_t got = send(pair[1], bytes + sent, more, MSG_NOSIGNAL);
        if (got > 0) sent += (size_t)got;
        turn(s, 0);
        drain(pair[1]);
        if (got <= 0 && !is_answering(s)) break;
    }
    for (uint32_t i = 0; i < 20 && is_answering(s); i++) {
        turn(s, 1);
        drain(pair[1]);
    }
    close(pair[1]);
    for (uint32_t i = 0; i < 10000 && s->connection_count > 0; i++) turn(s, 1);
    MUST(s->connection_count == 0);
}

#endif
