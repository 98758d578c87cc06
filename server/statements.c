/* server/statements.c - POST /ksql: statements one after the other, an entity each; and the status of what they did. */
#include "server/inside.h"

#include "core/json.h"
#include "core/utf8.h"

#include <stdio.h>
#include <stdlib.h>

enum { STATUSES_MAX = 1024 };

/* Of the newest commands of this process. */
typedef struct command_status {
    slice id, status; /* malloc'd: stream/`S`/create; {"status":"SUCCESS",...} */
} command_status;

int error_status(weir_rc rc)
{
    return rc == WEIR_SYNTAX || rc == WEIR_SEMANTIC || rc == WEIR_UNSUPPORTED ? 400 : 500;
}

int error_code(weir_rc rc)
{
    return error_status(rc) == 400 ? 40001 : rc == WEIR_BROKER ? 50002 : 50000;
}

void print_error(text *out, const weir_error *err, int code, slice statement, slice entities)
{
    text message = TEXT_EMPTY;

    if (err->at.line > 0) text_printf(&message, "line %u:%u: ", err->at.line, err->at.column);
    text_add_c(&message, err->message);
    text_printf(out, "{\"@type\":\"%s\",\"error_code\":%d,\"message\":",
                statement.data == NULL ? "generic_error" : "statement_error", code);
    print_json_string(out, text_slice(&message));
    text_printf(out, ",\"errorClass\":\"%s\"", weir_rc_name(err->rc));
    if (statement.data != NULL) {
        text_add_c(out, ",\"statementText\":");
        print_json_string(out, statement);
        text_add_c(out, ",\"entities\":");
        text_add(out, entities.data == NULL ? SLICE("[]") : entities);
    }
    text_add_char(out, '}');
    text_free(&message);
}

/* ---- what commands did ---- */

static slice copy_of(slice from)
{
    char *copy = malloc(from.len + 1);

    if (copy == NULL) abort();
    memcpy(copy, from.data, from.len);
    return (slice){ copy, from.len };
}

static void note_status(server *s, slice members)
{
    static const char begins[] = "\"commandId\":\"", between[] = "\",\"commandStatus\":", ends[] = ",\"commandSequenceNumber\"";
    if (members.len < sizeof begins || memcmp(members.data, begins, sizeof begins - 1) != 0) return;
    const char *id = members.data + sizeof begins - 1, *end = members.data + members.len;
    const char *middle = memmem(id, (size_t)(end - id), between, sizeof between - 1);
    if (middle == NULL) return;
    const char *status = middle + sizeof between - 1;
    const char *close = memmem(status, (size_t)(end - status), ends, sizeof ends - 1);
    if (close == NULL) return;
    pthread_mutex_lock(&s->status_lock);
    if (s->statuses == NULL) s->statuses = calloc(STATUSES_MAX, sizeof *s->statuses);
    if (s->statuses == NULL) abort();
    command_status *at = &s->statuses[s->status_at++ % STATUSES_MAX];
    free((char *)at->id.data);
    free((char *)at->status.data);
    at->id = copy_of((slice){ id, (size_t)(middle - id) });
    at->status = copy_of((slice){ status, (size_t)(close - status) });
    pthread_mutex_unlock(&s->status_lock);
}

void statuses_free(server *s)
{
    for (uint32_t i = 0; s->statuses != NULL && i < STATUSES_MAX; i++) {
        free((char *)s->statuses[i].id.data);
        free((char *)s->statuses[i].status.data);
    }
    free(s->statuses);
}

/* stream/S/create names what stream/`S`/create does. */
static bool same_id(slice stored, slice asked)
{
    size_t i = 0, k = 0;

    while (i < stored.len || k < asked.len) {
        if (i < stored.len && stored.data[i] == '`') i++;
        else if (k < asked.len && asked.data[k] == '`') k++;
        else if (i < stored.len && k < asked.len && stored.data[i] == asked.data[k]) i++, k++;
        else return false;
    }
    return true;
}

void handle_status(exchange *x)
{
    static const char path[] = "/status/";
    server *s = x->server;
    slice all = text_slice(&x->path), asked = { all.data + sizeof path - 1, all.len - (sizeof path - 1) };
    bool lists = all.len < sizeof path, found = false;
    text body = TEXT_EMPTY;

    if (lists) text_add_c(&body, "{\"commandStatuses\":{");
    pthread_mutex_lock(&s->status_lock);
    for (uint32_t n = 0; s->statuses != NULL && n < STATUSES_MAX && n < s->status_at && (lists || !found); n++) {
        const command_status *one = &s->statuses[(s->status_at - 1 - n) % STATUSES_MAX];
        if (lists) {
            text_printf(&body, "%s\"%.*s\":\"SUCCESS\"", n == 0 ? "" : ",", SLICE_ARG(one->id));
        } else if ((found = same_id(one->id, asked))) {
            text_add(&body, one->status);
        }
    }
    pthread_mutex_unlock(&s->status_lock);
    if (lists) text_add_c(&body, "}}");
    if (lists || found) exchange_reply(x, 200, MEDIA_KSQL, text_slice(&body));
    else exchange_fail(x, 404, 40400, "no command of that id has been executed by this server since it started");
    text_free(&body);
}

/* ---- statements ---- */

static void print_entity(text *out, weir_script *script, const weir_result *r)
{
    if (weir_result_members(r).data == NULL) return; /* SET, DEFINE, INSERT VALUES */
    text_printf(out, "%s{\"@type\":\"%s\",\"statementText\":", out->len > 1 ? "," : "", weir_result_entity(r));
    print_json_string(out, weir_script_statement(script));
    text_add_char(out, ',');
    text_add(out, weir_result_members(r));
    text_add_c(out, ",\"warnings\":[");
    if (weir_result_warning(r).data != NULL) {
        text_add_c(out, "{\"message\":");
        print_json_string(out, weir_result_warning(r));
        text_add_char(out, '}');
    }
    text_add_c(out, "]}");
}

static void reply_error(exchange *x, weir_script *script, weir_error *err, slice sql, text *entities)
{
    slice statement = weir_script_statement(script);
    text body = TEXT_EMPTY;
    bool was_refused = weir_script_was_refused(script);
    int status = was_refused ? explain_refusal(x, weir_script_sort(script), err) : error_status(err->rc);
    int code = was_refused ? (status == 400 ? 40002 : 40300) : error_code(err->rc);

    if (statement.data == NULL) statement = sql;
    text_add_char(entities, ']');
    print_error(&body, err, code, statement, text_slice(entities));
    atomic_fetch_add(&x->server->failures, 1);
    exchange_reply(x, status, MEDIA_KSQL, text_slice(&body));
    text_free(&body);
}

static void run_statements(exchange *x, weir_session *session, slice sql)
{
    weir_script *script = weir_script_open(session, sql);
    text entities = TEXT_EMPTY;
    weir_error err = { 0 };
    weir_rc rc;
    work limited;

    work_begin(x->server, &limited, session);
    weir_script_allows(script, exchange_allows(x) & ~(unsigned)WEIR_ALLOW_QUERIES);
    weir_session_describes(session, true);
    weir_session_ends(session, close_query, x->server);
    text_add_char(&entities, '[');
    for (;;) {
        weir_result *r;
        if ((rc = weir_script_next(script, &r, &err)) != WEIR_OK || r == NULL) break;
        print_entity(&entities, script, r);
        note_status(x->server, weir_result_members(r));
        weir_result_close(r);
    }
    work_explain(x->server, &limited, &err);
    work_end(x->server, &limited);
    if (rc == WEIR_OK) {
        text_add_char(&entities, ']');
        exchange_reply(x, 200, MEDIA_KSQL, text_slice(&entities));
    } else {
        reply_error(x, script, &err, sql, &entities);
    }
    text_free(&entities);
    weir_script_close(script);
}

static void run_ksql(exchange *x)
{
    request_body body;

    if (body_read(x, text_slice(&x->body), &body)) {
        if (body.sql.data == NULL) {
            exchange_fail(x, 400, 40000, "the body has no member \"ksql\" with the statements");
        } else if (utf8_fault(body.sql) >= 0) {
            exchange_fail(x, 400, 40000, "the statements are not UTF-8");
        } else {
            weir_session *session = body_session(x, &body, false);
            if (session != NULL) run_statements(x, session, body.sql);
            weir_session_close(session);
        }
    }
    body_free(&body);
}

void handle_ksql(exchange *x)
{
    run_in_worker(x, run_ksql);
}
