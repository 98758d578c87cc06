/* shell/cmd_server.c - weir server: this process becomes the engine and answers requests until a signal. */
#include "shell/closing.h"
#include "shell/command.h"
#include "shell/interrupt.h"
#include "shell/report.h"
#include "shell/statements.h"
#include "server/server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

enum { OPTION_LISTEN = OPTION_OWN, OPTION_INSECURE, OPTION_QUERIES, OPTION_CONNECTIONS, OPTION_STREAMS, OPTION_BODY, OPTION_READY,
       OPTION_TLS_CERT, OPTION_TLS_KEY, OPTION_AUTH, OPTION_HASH, OPTION_LOG, OPTION_LOG_REQUESTS, OPTION_TIME, OPTION_REQUEST };

typedef struct serve_plan {
    server_options server;
    const char *queries;
    const char *hash_for;
    bool announces_ready;
} serve_plan;

static void on_signal(void *argument, int number)
{
    if (number == SIGHUP) server_reload(argument);
    else server_stop(argument);
}

/* "127.0.0.1:8088", "[::1]:8088" */
static bool parse_listen(const char *given, server_options *out)
{
    const char *colon = strrchr(given, ':');
    int64_t port;

    if (colon == NULL || colon == given || !parse_number(colon + 1, 0, 65535, &port)) return false;
    out->host = (slice){ given, (size_t)(colon - given) };
    if (given[0] == '[' && colon[-1] == ']') out->host = (slice){ given + 1, (size_t)(colon - given) - 2 };
    out->port = (uint16_t)port;
    return out->host.len > 0;
}

/* False: wrong usage, reported. */
static bool take_option(serve_plan *plan, int found, char **argv)
{
    int64_t number;

    switch (found) {
    case OPTION_LISTEN:
        if (parse_listen(optarg, &plan->server)) return true;
        usage_error(argv, "--listen takes ADDRESS:PORT, not '%s'", optarg);
        return false;
    case OPTION_INSECURE: plan->server.is_insecure = true; return true;
    case OPTION_QUERIES:
        plan->queries = optarg;
        plan->server.is_headless = true;
        return true;
    case OPTION_READY: plan->announces_ready = true; return true;
    case OPTION_TLS_CERT: plan->server.tls_certificate = slice_of(optarg); return true;
    case OPTION_TLS_KEY: plan->server.tls_key = slice_of(optarg); return true;
    case OPTION_AUTH: plan->server.auth_file = slice_of(optarg); return true;
    case OPTION_HASH: plan->hash_for = optarg; return true;
    case OPTION_LOG_REQUESTS: plan->server.logs_requests = true; return true;
    case OPTION_LOG:
        if (strcmp(optarg, "text") == 0) plan->server.log = LOG_TEXT;
        else if (strcmp(optarg, "json") == 0) plan->server.log = LOG_JSON;
        else if (strcmp(optarg, "none") == 0) plan->server.log = LOG_NONE;
        else return usage_error(argv, "--log-format takes text, json or none, not '%s'", optarg), false;
        return true;
    default: break;
    }
    if (!parse_number(optarg, 1, UINT32_MAX, &number)) {
        usage_error(argv, "a limit is a whole number from 1 on, not '%s'", optarg);
        return false;
    }
    if (found == OPTION_REQUEST) plan->server.request_ms_max = (uint32_t)number;
    if (found == OPTION_TIME) plan->server.statement_ms_max = number;
    if (found == OPTION_CONNECTIONS) plan->server.connections_max = (uint32_t)number;
    if (found == OPTION_STREAMS) plan->server.queries_max = (uint32_t)number;
    if (found == OPTION_BODY) plan->server.body_bytes_max = (uint32_t)number;
    return true;
}

/* The first line of standard input; at a terminal it is not shown. */
static bool read_secret(text *into)
{
    struct termios before, silent;
    bool is_terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
    char *line = NULL;
    size_t room = 0;

    if (is_terminal) {
        fputs("Secret: ", stderr);
        silent = before;
        silent.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(STDIN_FILENO, TCSANOW, &silent);
    }
    ssize_t len = getline(&line, &room, stdin);
    if (is_terminal) {
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
        fputc('\n', stderr);
    }
    if (len > 0 && line[len - 1] == '\n') len--;
    if (len > 0) text_add(into, (slice){ line, (size_t)len });
    free(line);
    return len > 0;
}

/* Prints the account's line for the file of --auth-file. */
static int hash_secret(const char *account)
{
    text secret = TEXT_EMPTY, line = TEXT_EMPTY;
    weir_error err = { 0 };

    weir_rc rc = read_secret(&secret) ? WEIR_OK : weir_fail(&err, WEIR_SEMANTIC, NOWHERE, "the secret is the first line of standard input: there is none");
    if (rc == WEIR_OK) rc = server_account_line(slice_of(account), text_slice(&secret), &line, &err);
    if (rc == WEIR_OK) fwrite(line.data, 1, line.len, stdout);
    else report_error(NULL, NO_SLICE, 1, &err);
    text_free(&secret);
    text_free(&line);
    return rc == WEIR_OK ? EXIT_OK : EXIT_FAILED;
}

static weir_rc run_script(const char *file, weir *w, weir_session *session)
{
    text sql = TEXT_EMPTY;
    door *d = door_local(w, session);
    statements s = { .door = d, .file = file, .first_line = 1, .resumes = true, .messages = stderr };
    weir_rc rc = read_file(file, &sql) ? statements_run(&s, text_slice(&sql)) : WEIR_RUNTIME;

    door_close(d);
    text_free(&sql);
    return rc;
}

static weir_rc serve(serve_plan *plan, const options *o, weir *w, weir_session *session)
{
    weir_error err = { 0 };
    int64_t owner = 0;
    server *s = NULL;
    bool is_reported = false;
    weir_rc rc = weir_start(w, &owner, &err);

    if (rc == WEIR_OK && owner != 0) {
        rc = weir_fail(&err, WEIR_STORAGE, NOWHERE, "process %lld already runs the queries of this data directory: stop it first",
                       (long long)owner);
    }
    if (rc == WEIR_OK && plan->queries != NULL) {
        rc = run_script(plan->queries, w, session);
        is_reported = rc != WEIR_OK;
    }
    if (rc == WEIR_OK) rc = server_open(&s, w, &plan->server, &err);
    if (rc == WEIR_OK) {
        interrupt_install_for(on_signal, s);
        if (plan->announces_ready) {
            printf("LISTENING %.*s:%u\n", SLICE_ARG(plan->server.host), server_port(s));
            fflush(stdout);
        }
        rc = server_run(s, &err);
        interrupt_release();
    }
    closing_begin(o);
    server_close(s);
    if (rc != WEIR_OK && !is_reported) report_error(NULL, NO_SLICE, 1, &err);
    return rc;
}

int cmd_server(options *o, int argc, char **argv)
{
    static const struct option OWN[] = {
        { "listen", required_argument, NULL, OPTION_LISTEN },
        { "insecure", no_argument, NULL, OPTION_INSECURE },
        { "queries", required_argument, NULL, OPTION_QUERIES },
        { "max-connections", required_argument, NULL, OPTION_CONNECTIONS },
        { "max-queries", required_argument, NULL, OPTION_STREAMS },
        { "max-body", required_argument, NULL, OPTION_BODY },
        { "announce-ready", no_argument, NULL, OPTION_READY },
        { "tls-cert", required_argument, NULL, OPTION_TLS_CERT },
        { "tls-key", required_argument, NULL, OPTION_TLS_KEY },
        { "auth-file", required_argument, NULL, OPTION_AUTH },
        { "hash-secret", required_argument, NULL, OPTION_HASH },
        { "log-format", required_argument, NULL, OPTION_LOG },
        { "log-requests", no_argument, NULL, OPTION_LOG_REQUESTS },
        { "max-request-time", required_argument, NULL, OPTION_REQUEST },
        { "max-statement-time", required_argument, NULL, OPTION_TIME },
        { 0 },
    };
    serve_plan plan = { .server = { .host = SLICE("127.0.0.1"), .port = 8088, .log = LOG_TEXT } };
    weir *w;
    weir_session *session;
    int found;

    while ((found = options_next(o, argc, argv, OWN, false)) != -1) {
        if (found == OPTION_NEXT_USAGE) return EXIT_USAGE;
        if (found == OPTION_NEXT_HELP) return EXIT_OK;
        if (!take_option(&plan, found, argv)) return EXIT_USAGE;
    }
    if (optind < argc) return usage_error(argv, "it takes no operands");
    if (plan.hash_for != NULL) return hash_secret(plan.hash_for);
    o->engine.notice = report_notice;
    if (!options_open(o, &w, &session)) return EXIT_FAILED;
    plan.server.service = o->engine.service;
    plan.server.settings = o->settings.items;
    plan.server.setting_count = o->settings.count;
    plan.server.defines = o->defines.items;
    plan.server.define_count = o->defines.count;
    weir_rc rc = serve(&plan, o, w, session);
    weir_session_close(session);
    weir_close(w);
    closing_end();
    return rc == WEIR_OK ? EXIT_OK : EXIT_FAILED;
}
