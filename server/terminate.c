/* server/terminate.c - POST /ksql/terminate: the service ends. Queries are terminated, streams, tables and types dropped, topics
 * deleted where {"deleteTopicList": [...]} names them or has a pattern for them, and the server stops. */
#include "server/inside.h"

#include "core/json.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

typedef struct source {
    slice name, topic;
    bool is_table, is_dropped;
} source;

typedef struct ending {
    exchange *exchange;
    weir_session *session;
    arena *arena;
    source *sources;
    uint32_t count, room;
    pcre2_code **patterns;
    uint32_t pattern_count;
} ending;

/* Executes one statement; take is given its rows. */
static weir_rc execute(ending *e, slice sql, void (*take)(ending *e, const batch *rows, bool is_table), bool is_table, weir_error *err)
{
    weir_script *script = weir_script_open(e->session, sql);
    weir_result *r = NULL;
    weir_rc rc = weir_script_next(script, &r, err);

    while (rc == WEIR_OK && take != NULL && !weir_result_ended(r)) {
        const batch *rows;
        rc = weir_result_next(r, -1, &rows, err);
        if (rc == WEIR_OK && rows != NULL) take(e, rows, is_table);
    }
    weir_result_close(r);
    weir_script_close(script);
    return rc;
}

static void take_sources(ending *e, const batch *rows, bool is_table)
{
    EACH_ROW(r, rows->live)
    {
        if (e->count == e->room) {
            source *larger = ARENA_ARRAY(e->arena, source, e->room * 2 + 16);
            if (e->count > 0) memcpy(larger, e->sources, e->count * sizeof *larger);
            e->sources = larger;
            e->room = e->room * 2 + 16;
        }
        e->sources[e->count++] = (source){ arena_copy(e->arena, rows->columns[0].str[r]), arena_copy(e->arena, rows->columns[1].str[r]),
                                           is_table, false };
    }
}

/* False: answered. */
static bool compile(ending *e, const request_body *body)
{
    e->patterns = ARENA_ARRAY(e->arena, pcre2_code *, body->topic_count + 1);
    for (; e->pattern_count < body->topic_count; e->pattern_count++) {
        slice one = body->topics[e->pattern_count];
        int code;
        size_t at;
        PCRE2_UCHAR why[120];
        e->patterns[e->pattern_count] = pcre2_compile((PCRE2_SPTR)one.data, one.len, PCRE2_ANCHORED | PCRE2_ENDANCHORED, &code, &at, NULL);
        if (e->patterns[e->pattern_count] != NULL) continue;
        pcre2_get_error_message(code, why, sizeof why);
        exchange_fail(e->exchange, 400, 40000, "'%.*s' in deleteTopicList is neither a topic nor a pattern: %s", SLICE_ARG(one), (char *)why);
        return false;
    }
    return true;
}

static bool is_to_be_deleted(const ending *e, const request_body *body, slice topic)
{
    pcre2_match_data *matched = pcre2_match_data_create(1, NULL);
    bool found = false;

    for (uint32_t i = 0; i < e->pattern_count && !found; i++) {
        found = slice_equal(body->topics[i], topic) ||
                pcre2_match(e->patterns[i], (PCRE2_SPTR)topic.data, topic.len, 0, 0, matched, NULL) >= 0;
    }
    pcre2_match_data_free(matched);
    return found;
}

/* What another is made from goes after it: rounds, as long as one helps. */
static weir_rc drop_sources(ending *e, const request_body *body, weir_error *err)
{
    uint32_t left = e->count;
    bool helps = true;
    weir_rc rc = WEIR_OK;
    text sql = TEXT_EMPTY;

    while (left > 0 && helps) {
        helps = false;
        for (uint32_t i = e->count; i-- > 0;) {
            source *one = &e->sources[i];
            if (one->is_dropped) continue;
            text_clear(&sql);
            text_printf(&sql, "DROP %s ", one->is_table ? "TABLE" : "STREAM");
            print_quoted_name(&sql, one->name);
            text_add_c(&sql, is_to_be_deleted(e, body, one->topic) ? " DELETE TOPIC;" : ";");
            weir_rc one_rc = execute(e, text_slice(&sql), NULL, false, err);
            if (one_rc == WEIR_OK) {
                one->is_dropped = helps = true;
                left--;
            } else {
                rc = one_rc;
            }
        }
    }
    text_free(&sql);
    return left == 0 ? WEIR_OK : rc;
}

static weir_rc end_service(ending *e, const request_body *body, weir_error *err)
{
    WEIR_TRY(execute(e, SLICE("SHOW STREAMS;"), take_sources, false, err));
    WEIR_TRY(execute(e, SLICE("SHOW TABLES;"), take_sources, true, err));
    WEIR_TRY(execute(e, SLICE("TERMINATE ALL;"), NULL, false, err));
    return drop_sources(e, body, err);
}

static void run_terminate(exchange *x)
{
    ending e = { .exchange = x, .arena = arena_new(0) };
    request_body body = { 0 };
    weir_error err = { 0 };
    bool is_empty = x->body.len == 0;

    if (x->server->options.is_headless) {
        int status = explain_refusal(x, WEIR_ALLOW_CHANGES, &err);
        exchange_fail(x, status, 40300, "%s", err.message);
    } else if ((is_empty || body_read(x, text_slice(&x->body), &body)) && compile(&e, &body)) {
        if (weir_session_open(&e.session, x->server->weir) != WEIR_OK) abort();
        if (end_service(&e, &body, &err) != WEIR_OK) {
            exchange_fail(x, error_status(err.rc), error_code(err.rc), "%s", err.message);
        } else {
            exchange_reply(x, 200, MEDIA_KSQL,
                           SLICE("[{\"@type\":\"currentStatus\",\"statementText\":\"TERMINATE CLUSTER;\",\"commandId\":\"terminate/CLUSTER/execute\","
                                 "\"commandStatus\":{\"status\":\"SUCCESS\",\"message\":\"All is dropped; the server stops.\",\"queryId\":null},"
                                 "\"commandSequenceNumber\":-1,\"warnings\":[]}]"));
            server_log(x->server, "terminated", NULL);
            server_stop(x->server);
        }
    }
    weir_session_close(e.session);
    for (uint32_t i = 0; i < e.pattern_count; i++) pcre2_code_free(e.patterns[i]);
    if (body.arena != NULL) body_free(&body);
    arena_free(e.arena);
}

void handle_terminate(exchange *x)
{
    run_in_worker(x, run_terminate);
}
