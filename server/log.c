/* server/log.c - what happens to the server, an event a line on standard error, for people or as JSON. Secrets, statements and
 * rows are never among the fields. */
#include "server/inside.h"

#include "core/json.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const weir_clock WALL = { 0 };

static bool is_plain(const char *word)
{
    if (*word == '\0') return false;
    for (; *word != '\0'; word++) {
        if (*word <= ' ' || *word == '"' || *word == '=' || *word == 0x7f) return false;
    }
    return true;
}

static void add_field(text *line, log_format format, const char *name, const char *word)
{
    if (format == LOG_JSON) {
        text_printf(line, ",\"%s\":", name);
        print_json_string(line, slice_of(word));
        return;
    }
    text_printf(line, " %s=", name);
    if (is_plain(word)) text_add_c(line, word);
    else print_json_string(line, slice_of(word));
}

void server_log(server *s, const char *event, ...)
{
    log_format format = s->options.log;
    int64_t now_ms = clock_now_ms(&WALL);
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm parts;
    char at[32];
    text line = TEXT_EMPTY;
    va_list fields;

    if (format == LOG_NONE) return;
    gmtime_r(&seconds, &parts);
    strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%S", &parts);
    text_printf(&line, format == LOG_JSON ? "{\"time\":\"%s.%03dZ\",\"event\":\"%s\"" : "%s.%03dZ %s", at, (int)(now_ms % 1000), event);
    va_start(fields, event);
    for (const char *name; (name = va_arg(fields, const char *)) != NULL;) {
        const char *word = va_arg(fields, const char *);
        if (word != NULL) add_field(&line, format, name, word);
    }
    va_end(fields);
    text_add_c(&line, format == LOG_JSON ? "}\n" : "\n");
    /* One write a line: threads do not tear each other's. */
    if (write(STDERR_FILENO, line.data, line.len) < 0) { /* nobody is left to tell */
    }
    text_free(&line);
}

/* Whether an event of a sort that others can cause at will is told of: one a second, with how many were not. */
bool log_is_due(server *s, log_limit *limit, char *missed, size_t room)
{
    int64_t now_ms = clock_monotonic_ms(&WALL);
    uint64_t count = limit->missed;

    (void)s;
    if (limit->at_ms != 0 && now_ms - limit->at_ms < 1000) {
        limit->missed++;
        return false;
    }
    *limit = (log_limit){ .at_ms = now_ms };
    snprintf(missed, room, "%llu", (unsigned long long)count);
    return true;
}

void log_request(exchange *x)
{
    char peer[64], status[16], took[24];
    slice path = text_slice(&x->path);

    if (!x->server->options.logs_requests) return;
    connection_peer(x->connection, peer, sizeof peer);
    snprintf(status, sizeof status, "%d", x->status);
    snprintf(took, sizeof took, "%lld", (long long)(clock_monotonic_ms(&WALL) - x->began_ms));
    text method = TEXT_EMPTY, shown = TEXT_EMPTY;
    text_add(&method, text_slice(&x->method));
    for (size_t i = 0; i < path.len && i < 200; i++) text_add_char(&shown, path.data[i] < ' ' || path.data[i] > '~' ? '?' : path.data[i]);
    server_log(x->server, "request", "peer", peer, "method", method.data == NULL ? "" : method.data, "path", shown.data == NULL ? "" : shown.data,
               "status", x->is_head_sent || x->is_websocket ? status : "gone", "ms", took, NULL);
    text_free(&method);
    text_free(&shown);
}

void connection_peer(const connection *c, char *out, size_t room)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    char host[INET6_ADDRSTRLEN] = "?";

    out[0] = '\0';
    if (c == NULL || getpeername(c->fd, (struct sockaddr *)&address, &len) != 0) return;
    if (address.ss_family == AF_INET) inet_ntop(AF_INET, &((struct sockaddr_in *)&address)->sin_addr, host, sizeof host);
    if (address.ss_family == AF_INET6) inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&address)->sin6_addr, host, sizeof host);
    snprintf(out, room, "%s", host);
}
