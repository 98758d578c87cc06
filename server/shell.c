/* server/shell.c - POST /v1/shell and /v1/names: weir's own shell over the network. A text of statements, executed one after the
 * other; what each answers is lines of JSON, cells as text, so that a terminal shows the same near and far. */
#include "server/inside.h"

#include "core/json.h"
#include "core/utf8.h"

#include <stdlib.h>

enum { TURNS = 8, ROWS_BYTES = 32 << 10, PROGRESS_EVERY_MS = 250 };

static const weir_clock WALL = { 0 };

typedef struct shell_job {
    job job;
    exchange *exchange;
    request_body body;
    weir_session *session;
    weir_script *script;
    weir_result *result; /* of the statement that stands; NULL: between statements */
    work limited;        /* that statement, unless it goes on for ever */
    weir_print how;
    int64_t progress_ms; /* when it was last told of */
    text left_out;       /* as last told */
    text line;
} shell_job;

static void shell_close(job *self)
{
    shell_job *s = (shell_job *)self;

    pthread_mutex_lock(&s->exchange->lock);
    s->exchange->job = NULL;
    pthread_mutex_unlock(&s->exchange->lock);
    work_end(s->exchange->server, &s->limited);
    weir_result_close(s->result);
    weir_script_close(s->script);
    weir_session_close(s->session);
    body_free(&s->body);
    text_free(&s->line);
    text_free(&s->left_out);
    exchange_drop(s->exchange);
    free(s);
}

static void send_line(shell_job *s)
{
    text_add_c(&s->line, "}\n");
    exchange_line(s->exchange, text_slice(&s->line));
    text_clear(&s->line);
}

static job_turn send_done(shell_job *s, const weir_error *err)
{
    if (err != NULL) {
        atomic_fetch_add(&s->exchange->server->failures, 1);
        text_printf(&s->line, "{\"error\":{\"class\":\"%s\",\"line\":%u,\"column\":%u,\"message\":", weir_rc_name(err->rc),
                    err->at.line, err->at.column);
        print_json_string(&s->line, slice_of(err->message));
        text_add_char(&s->line, '}');
    } else {
        text_add_c(&s->line, "{\"done\":true");
    }
    text_add_c(&s->line, "}\n");
    exchange_end(s->exchange, text_slice(&s->line));
    return JOB_DONE;
}

/* What SET and DEFINE did before, in earlier requests. */
static weir_rc restore_session(shell_job *s, weir_error *err)
{
    weir_script *script = weir_script_open(s->session, s->body.session);
    weir_result *r = NULL;
    weir_rc rc;

    do {
        if ((rc = weir_script_next(script, &r, err)) != WEIR_OK || r == NULL) break;
        weir_result_close(r);
        if (!weir_script_changed_session(script)) {
            rc = weir_fail(err, WEIR_SEMANTIC, NOWHERE, "\"session\" holds SET, UNSET, DEFINE and UNDEFINE, no other statements");
        }
    } while (rc == WEIR_OK);
    weir_script_close(script);
    return rc;
}

/* False: answered, and done. */
static bool begin(shell_job *s)
{
    exchange *x = s->exchange;
    weir_error err = { 0 };

    if (!body_read(x, text_slice(&x->body), &s->body)) return false;
    if (s->body.sql.data == NULL || utf8_fault(s->body.sql) >= 0 || utf8_fault(s->body.session) >= 0) {
        exchange_fail(x, 400, 40000, s->body.sql.data == NULL ? "the body has no member \"ksql\" with the statements"
                                                              : "the statements are not UTF-8");
        return false;
    }
    s->how = slice_is(s->body.print, "json") ? WEIR_PRINT_JSON : WEIR_PRINT_TEXT;
    if ((s->session = body_session(x, &s->body, false)) == NULL) return false;
    if (s->body.session.data != NULL && restore_session(s, &err) != WEIR_OK) {
        exchange_fail(x, 400, 40000, "%s", err.message);
        return false;
    }
    s->script = weir_script_open(s->session, s->body.sql);
    weir_script_allows(s->script, exchange_allows(x));
    exchange_start(x, 200, MEDIA_DELIMITED);
    return true;
}

static void add_warning(shell_job *s)
{
    slice warning = weir_result_warning(s->result);

    if (warning.data == NULL) return;
    text_add_c(&s->line, ",\"warning\":");
    print_json_string(&s->line, warning);
}

static void send_message(shell_job *s)
{
    text_add_c(&s->line, "{\"message\":");
    print_json_string(&s->line, weir_result_message(s->result));
    add_warning(s);
    if (weir_script_changed_session(s->script)) {
        text_add_c(&s->line, ",\"session\":");
        print_json_string(&s->line, weir_script_statement(s->script));
    }
    send_line(s);
    weir_result_close(s->result);
    s->result = NULL;
}

static void send_header(shell_job *s)
{
    static const char *const KINDS[] = { [WEIR_RESULT_ROWS] = "rows", [WEIR_RESULT_CHANGES] = "changes", [WEIR_RESULT_LINES] = "lines" };
    weir_result_kind kind = weir_result_kind_of(s->result);
    const schema *columns = weir_result_schema(s->result);

    atomic_store(&s->exchange->is_push, kind != WEIR_RESULT_ROWS);
    text_clear(&s->left_out);
    text_printf(&s->line, "{\"kind\":\"%s\",\"columns\":[", KINDS[kind]);
    for (uint32_t i = 0; i < columns->count; i++) {
        if (i > 0) text_add_char(&s->line, ',');
        text_add_char(&s->line, '[');
        print_json_string(&s->line, columns->columns[i].name);
        text_add_c(&s->line, type_is_number(columns->columns[i].type) ? ",true]" : ",false]");
    }
    text_add_char(&s->line, ']');
    add_warning(s);
    send_line(s);
    s->progress_ms = clock_monotonic_ms(&WALL);
}

static void print_cells(shell_job *s, const batch *rows, uint32_t row, text *cell)
{
    text_add_char(&s->line, '[');
    for (uint32_t i = 0; i < rows->column_count; i++) {
        value v = column_get(&rows->columns[i], row);
        if (i > 0) text_add_char(&s->line, ',');
        if (rows->columns[i].null[row]) {
            text_add_c(&s->line, "null");
            continue;
        }
        text_clear(cell);
        weir_print_value(cell, rows->columns[i].type, &v, s->how);
        print_json_string(&s->line, text_slice(cell));
    }
    text_add_char(&s->line, ']');
}

static void end_rows(shell_job *s, text *deleted)
{
    if (deleted->len > 0) text_printf(&s->line, "],\"deleted\":[%s", deleted->data);
    text_add_char(&s->line, ']');
    text_clear(deleted);
    send_line(s);
}

/* In lines of a bounded size. */
static void send_rows(shell_job *s, const batch *rows)
{
    text cell = TEXT_EMPTY, deleted = TEXT_EMPTY;
    uint32_t in_line = 0;

    atomic_fetch_add(&s->exchange->server->rows_sent, rows->live.count);
    EACH_ROW(r, rows->live)
    {
        if (in_line > 0 && s->line.len > ROWS_BYTES) {
            end_rows(s, &deleted);
            in_line = 0;
        }
        text_add_c(&s->line, in_line == 0 ? "{\"rows\":[" : ",");
        print_cells(s, rows, r, &cell);
        if (rows->kind != NULL && rows->kind[r] == ROW_TOMBSTONE) text_printf(&deleted, deleted.len > 0 ? ",%u" : "%u", in_line);
        in_line++;
    }
    if (in_line > 0) end_rows(s, &deleted);
    text_free(&cell);
    text_free(&deleted);
}

static void send_progress(shell_job *s)
{
    int64_t now_ms = clock_monotonic_ms(&WALL);
    weir_progress at;

    if (now_ms - s->progress_ms < PROGRESS_EVERY_MS || !weir_result_progress(s->result, &at)) return;
    s->progress_ms = now_ms;
    text_printf(&s->line, "{\"progress\":{\"rows\":%llu,\"left\":%lld}", (unsigned long long)at.rows, (long long)at.rows_left);
    send_line(s);
}

/* What the query could not use, where that is news. False: it is not. */
static bool add_left_out(shell_job *s)
{
    slice now = weir_result_left_out(s->result);

    if (now.data == NULL || slice_equal(now, text_slice(&s->left_out))) return false;
    text_clear(&s->left_out);
    text_add(&s->left_out, now);
    text_add_c(&s->line, s->line.len == 0 ? "{" : ",");
    text_add_c(&s->line, "\"left_out\":");
    print_json_string(&s->line, now);
    return true;
}

/* The next statement, up to its first answer. */
static weir_rc execute(shell_job *s, bool *is_end, weir_error *err)
{
    server *on = s->exchange->server;

    work_begin(on, &s->limited, s->session);
    weir_rc rc = weir_script_next(s->script, &s->result, err);
    if (rc != WEIR_OK && weir_script_was_refused(s->script)) explain_refusal(s->exchange, weir_script_sort(s->script), err);
    work_explain(on, &s->limited, err);
    if (rc != WEIR_OK || s->result == NULL || weir_result_kind_of(s->result) != WEIR_RESULT_ROWS) work_end(on, &s->limited);
    WEIR_TRY(rc);
    *is_end = s->result == NULL;
    if (*is_end) return WEIR_OK;
    if (weir_result_kind_of(s->result) == WEIR_RESULT_MESSAGE) send_message(s);
    else send_header(s);
    return WEIR_OK;
}

/* Rows there are now. *is_waiting: there are none, until something happens. */
static weir_rc advance(shell_job *s, bool *is_waiting, weir_error *err)
{
    const batch *rows;

    if (weir_result_ended(s->result)) {
        text_add_c(&s->line, "{\"end\":true");
        (void)add_left_out(s);
        send_line(s);
        work_end(s->exchange->server, &s->limited);
        weir_result_close(s->result);
        s->result = NULL;
        return WEIR_OK;
    }
    weir_rc rc = weir_result_next(s->result, 0, &rows, err);
    if (rc != WEIR_OK) work_explain(s->exchange->server, &s->limited, err);
    WEIR_TRY(rc);
    if (rows != NULL) send_rows(s, rows);
    else if (weir_result_kind_of(s->result) == WEIR_RESULT_ROWS) send_progress(s);
    else *is_waiting = !weir_result_ended(s->result);
    if (*is_waiting && add_left_out(s)) send_line(s);
    return WEIR_OK;
}

static job_turn shell_step(job *self)
{
    shell_job *s = (shell_job *)self;
    exchange *x = s->exchange;
    weir_error err = { 0 };
    weir_rc rc = WEIR_OK;
    bool is_end = false, is_waiting = false;

    if (exchange_is_gone(x)) return JOB_DONE;
    if (s->script == NULL && !begin(s)) return JOB_DONE;
    for (uint32_t i = 0; i < TURNS && rc == WEIR_OK && !is_end && !is_waiting; i++) {
        if (exchange_is_gone(x)) return JOB_DONE;
        if (exchange_is_full(x)) return JOB_IDLE;
        if (atomic_load(&x->server->is_stopping)) rc = weir_fail(&err, WEIR_CANCELLED, NOWHERE, "the server is stopping");
        else rc = s->result == NULL ? execute(s, &is_end, &err) : advance(s, &is_waiting, &err);
    }
    if (rc != WEIR_OK) return send_done(s, &err);
    if (is_end) return send_done(s, NULL);
    return is_waiting ? JOB_IDLE : JOB_AGAIN;
}

void handle_shell(exchange *x)
{
    shell_job *s = calloc(1, sizeof *s);

    if (s == NULL) abort();
    s->job = (job){ .step = shell_step, .close = shell_close };
    s->exchange = x;
    exchange_hold(x);
    pthread_mutex_lock(&x->lock);
    bool fits = pool_add(x->server->pool, &s->job);
    if (fits) x->job = &s->job;
    pthread_mutex_unlock(&x->lock);
    if (fits) return;
    exchange_fail(x, 429, 42900, "the server has too much to do: try again later");
    shell_close(&s->job);
}

static void run_names(exchange *x)
{
    request_body body;
    text reply = TEXT_EMPTY;
    weir_name *names;
    uint32_t count;

    if (body_read(x, text_slice(&x->body), &body)) {
        weir_names(x->server->weir, (uint32_t)body.kinds, body.prefix, body.sql, body.arena, &names, &count);
        text_add_c(&reply, "{\"names\":[");
        for (uint32_t i = 0; i < count; i++) {
            text_add_c(&reply, i > 0 ? ",[" : "[");
            print_json_string(&reply, names[i].name);
            text_printf(&reply, ",%u]", (unsigned)names[i].kind);
        }
        text_add_c(&reply, "]}");
        exchange_reply(x, 200, MEDIA_JSON, text_slice(&reply));
    }
    text_free(&reply);
    body_free(&body);
}

void handle_names(exchange *x)
{
    run_in_worker(x, run_names);
}
