/* server/queries.c - POST /query, /query-stream and /close-query: a SELECT (or PRINT) whose rows leave as they come.
 * A query is a job: each turn takes what is there, and stops while the client has not read what it was sent. */
#include "server/inside.h"

#include "core/json.h"
#include "core/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/random.h>

enum { BATCHES_A_TURN = 8 };

typedef enum reply_form {
    FORM_ROWS,      /* /query: [{"header":...},  {"row":...},  {"finalMessage":...}] */
    FORM_DELIMITED, /* /query-stream: {"queryId":...}, then an array a line */
    FORM_ARRAY,     /* the same as one JSON array */
    FORM_MESSAGES,  /* /ws/query: the columns, then {"row":...} each */
    FORM_LINES      /* PRINT */
} reply_form;

typedef struct streamed_query {
    job job;
    exchange *exchange;
    struct streamed_query *next; /* of the server's, for /close-query */
    char id[64];
    reply_form form;
    request_body body;
    weir_session *session;
    weir_script *script;
    weir_result *result;
    bool is_push, is_counted, has_started;
    bool is_kept;        /* the result is the look-ups' now */
    bool holds;          /* each line waits for the next: the last one goes with the end */
    bool has_held;
    text line, held;
    work limited;        /* unless it is a push query */
    bool sleeps;         /* the result wakes the job when it has rows */
    const batch *rows;   /* being sent; lent by the result until it is asked for more */
    uint32_t row_at;     /* of their live ones */
    atomic_bool is_closed; /* by /close-query */
} streamed_query;

/* It is no longer to be found, and counts no more: before its reply ends, so that a client that has read it knows. */
static void forget(streamed_query *q)
{
    server *s = q->exchange->server;

    pthread_mutex_lock(&s->queries_lock);
    for (streamed_query **at = &s->queries; *at != NULL; at = &(*at)->next) {
        if (*at != q) continue;
        *at = q->next;
        break;
    }
    pthread_mutex_unlock(&s->queries_lock);
    if (q->is_counted) atomic_fetch_sub(&s->query_count, 1);
    q->is_counted = false;
}

static void query_close(job *self)
{
    streamed_query *q = (streamed_query *)self;

    forget(q);
    pthread_mutex_lock(&q->exchange->lock);
    q->exchange->job = NULL;
    pthread_mutex_unlock(&q->exchange->lock);
    work_end(q->exchange->server, &q->limited);
    if (!q->is_kept) weir_result_close(q->result);
    weir_script_close(q->script);
    weir_session_close(q->session);
    body_free(&q->body);
    text_free(&q->line);
    text_free(&q->held);
    exchange_drop(q->exchange);
    free(q);
}

/* ---- what is sent ---- */

/* Another follows. */
static void send_now(streamed_query *q, text *line)
{
    if (q->form == FORM_ROWS) text_add_c(line, ",\n");
    exchange_line(q->exchange, text_slice(line));
    text_clear(line);
}

/* A line, or an object of FORM_ROWS without what separates it from the next. */
static void send_text(streamed_query *q, text *line)
{
    if (q->has_held) send_now(q, &q->held);
    q->has_held = q->holds;
    if (!q->holds) {
        send_now(q, line);
        return;
    }
    text free_one = q->held;
    q->held = *line;
    *line = free_one;
    text_clear(line);
}

/* What is held goes out with the end; closing: what the reply ends with. */
static void send_last(streamed_query *q, const char *closing)
{
    if (!q->has_held) text_clear(&q->held);
    text_add_c(&q->held, closing);
    exchange_end(q->exchange, text_slice(&q->held));
    q->has_held = false;
}

/* The members of a header, between the query's id and what follows it. */
static void print_column_lists(text *out, const schema *s)
{
    text_add_c(out, "\"columnNames\":[");
    for (uint32_t i = 0; i < s->count; i++) {
        if (i > 0) text_add_char(out, ',');
        print_json_string(out, s->columns[i].name);
    }
    text_add_c(out, "],\"columnTypes\":[");
    for (uint32_t i = 0; i < s->count; i++) {
        text type = TEXT_EMPTY;
        if (i > 0) text_add_char(out, ',');
        type_print(&type, s->columns[i].type);
        print_json_string(out, text_slice(&type));
        text_free(&type);
    }
    text_add_char(out, ']');
}

void print_query_head(text *out, const weir_result *r, bool is_rows)
{
    if (is_rows) {
        text columns = TEXT_EMPTY;
        weir_result_print_schema(r, &columns);
        text_add_c(out, "\",\"schema\":");
        print_json_string(out, text_slice(&columns));
        text_add_c(out, "}}");
        text_free(&columns);
    } else {
        text_add_c(out, "\",");
        print_column_lists(out, weir_result_schema(r));
        text_add_c(out, "}\n");
    }
}

static void send_header(streamed_query *q)
{
    text *out = &q->line;

    text_clear(out);
    q->has_started = true;
    if (q->form == FORM_LINES) {
        exchange_start(q->exchange, 200, "text/plain; charset=utf-8");
        return;
    }
    if (q->form == FORM_MESSAGES) {
        exchange_start(q->exchange, 200, MEDIA_JSON);
        weir_result_print_fields(q->result, out);
        send_text(q, out);
        return;
    }
    exchange_start(q->exchange, 200, q->form == FORM_ROWS ? MEDIA_KSQL : q->form == FORM_ARRAY ? MEDIA_JSON : MEDIA_DELIMITED);
    if (q->form == FORM_ROWS) {
        text_printf(out, "[{\"header\":{\"queryId\":\"%s", q->id);
        print_query_head(out, q->result, true);
        send_text(q, out);
        return;
    }
    text_printf(out, "%s{\"queryId\":\"%s", q->form == FORM_ARRAY ? "[" : "", q->id);
    print_query_head(out, q->result, false);
    if (q->form == FORM_ARRAY) out->len--; /* the line's end */
    send_text(q, out);
}

void print_query_row(text *out, const batch *rows, uint32_t row)
{
    text_add_char(out, '[');
    for (uint32_t i = 0; i < rows->column_count; i++) {
        value v = column_get(&rows->columns[i], row);
        if (i > 0) text_add_char(out, ',');
        weir_print_value(out, rows->columns[i].type, &v, WEIR_PRINT_JSON);
    }
    text_add_char(out, ']');
}

static void send_row(streamed_query *q, const batch *rows, uint32_t r)
{
    bool is_deletion = q->is_push && rows->kind[r] == ROW_TOMBSTONE;

    text_clear(&q->line);
    switch (q->form) {
    case FORM_ROWS:
    case FORM_MESSAGES:
        text_add_c(&q->line, "{\"row\":{\"columns\":");
        print_query_row(&q->line, rows, r);
        text_add_c(&q->line, is_deletion ? ",\"tombstone\":true}}" : "}}");
        break;
    case FORM_DELIMITED:
        if (is_deletion) return; /* an array cannot say so */
        print_query_row(&q->line, rows, r);
        text_add_char(&q->line, '\n');
        break;
    case FORM_ARRAY:
        if (is_deletion) return;
        text_add_c(&q->line, ",\n");
        print_query_row(&q->line, rows, r);
        break;
    case FORM_LINES:
        text_add(&q->line, rows->columns[0].str[r]);
        text_add_char(&q->line, '\n');
        break;
    }
    send_text(q, &q->line);
}

/* As many as there is room for; false: some are left. */
static bool send_rows(streamed_query *q)
{
    const batch *rows = q->rows;
    uint32_t from = q->row_at;

    while (q->row_at < rows->live.count && !exchange_is_full(q->exchange)) {
        send_row(q, rows, rows->live.index == NULL ? q->row_at : rows->live.index[q->row_at]);
        q->row_at++;
    }
    atomic_fetch_add(&q->exchange->server->rows_sent, q->row_at - from);
    if (q->row_at < rows->live.count) return false;
    q->rows = NULL;
    return true;
}

/* Others may ask the like. */
static void keep(streamed_query *q)
{
    server *s = q->exchange->server;
    bool is_plain = !q->is_push && q->body.property_count == 0 && q->body.variable_count == 0 && s->options.define_count == 0;

    if (is_plain && (q->form == FORM_ROWS || q->form == FORM_DELIMITED)) {
        q->is_kept = lookups_keep(s, q->result, q->body.sql, q->form == FORM_ROWS);
    }
}

/* The end of a reply that has begun. message NULL: a pull query over a table has none. */
static job_turn send_end(streamed_query *q, const char *message)
{
    forget(q);
    keep(q);
    text_clear(&q->line);
    q->holds = true;
    if ((q->form == FORM_ROWS || q->form == FORM_MESSAGES) && message != NULL) {
        text_printf(&q->line, "{\"finalMessage\":\"%s\"}", message);
        send_text(q, &q->line);
    }
    send_last(q, q->form == FORM_ROWS ? "]\n" : q->form == FORM_ARRAY ? "]" : "");
    return JOB_DONE;
}

static job_turn send_failure(streamed_query *q, const weir_error *err)
{
    atomic_fetch_add(&q->exchange->server->failures, 1);
    forget(q);
    text_clear(&q->line);
    if (!q->has_started) {
        slice statement = q->script == NULL ? NO_SLICE : weir_script_statement(q->script);
        print_error(&q->line, err, error_code(err->rc), statement.data == NULL ? q->body.sql : statement, NO_SLICE);
        exchange_reply(q->exchange, error_status(err->rc), MEDIA_KSQL, text_slice(&q->line));
        return JOB_DONE;
    }
    if (q->form == FORM_MESSAGES) exchange_set_status(q->exchange, error_status(err->rc));
    q->holds = true;
    if (q->form == FORM_ROWS) text_add_c(&q->line, "{\"errorMessage\":");
    if (q->form == FORM_ARRAY) text_add_c(&q->line, ",\n");
    print_error(&q->line, err, error_code(err->rc), NO_SLICE, NO_SLICE);
    if (q->form == FORM_ROWS) text_add_char(&q->line, '}');
    send_text(q, &q->line);
    send_last(q, q->form == FORM_ROWS ? "]\n" : q->form == FORM_ARRAY ? "]" : "\n");
    return JOB_DONE;
}

/* ---- the query ---- */

static weir_rc open_result(streamed_query *q, weir_error *err)
{
    weir_result *more;

    weir_script_allows(q->script, WEIR_ALLOW_QUERIES);
    weir_rc rc = weir_script_next(q->script, &q->result, err);
    if (rc != WEIR_OK && weir_script_was_refused(q->script)) {
        return weir_fail(err, WEIR_SEMANTIC, err->at, "only SELECT and PRINT are taken here: other statements go to /ksql");
    }
    if (rc != WEIR_OK) return rc;
    if (q->result == NULL) return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "there is no statement");
    weir_script_allows(q->script, WEIR_ALLOW_NONE);
    if (weir_script_next(q->script, &more, err) != WEIR_OK || more != NULL) {
        weir_result_close(more);
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "exactly one statement is taken here");
    }
    return WEIR_OK;
}

static bool count_query(streamed_query *q)
{
    server *s = q->exchange->server;

    if (atomic_fetch_add(&s->query_count, 1) >= s->options.queries_max) {
        atomic_fetch_sub(&s->query_count, 1);
        exchange_fail(q->exchange, 429, 40003, "the server answers %u queries already, which is its limit: try again later",
                      s->options.queries_max);
        return false;
    }
    q->is_counted = true;
    return true;
}

static void name_query(streamed_query *q)
{
    server *s = q->exchange->server;
    uint64_t chance = 0;

    if (getrandom(&chance, sizeof chance, 0) < 0) chance = (uint64_t)clock_monotonic_ns();
    pthread_mutex_lock(&s->queries_lock);
    snprintf(q->id, sizeof q->id, "%s_%llu_%016llx", weir_result_follows_query(q->result) ? "SCALABLE_PUSH_QUERY" : "transient",
             (unsigned long long)++s->query_number, (unsigned long long)chance);
    q->next = s->queries;
    s->queries = q;
    pthread_mutex_unlock(&s->queries_lock);
}

/* Rows of a push query go at once, unless they are its last. */
static void take_rows(streamed_query *q, const batch *rows)
{
    q->holds |= weir_result_ended(q->result);
    q->rows = rows;
    q->row_at = 0;
}

static void wake_query(void *self)
{
    pool_wake(self);
}

/* What was needed to begin. There may be very many that sleep for long. */
static void let_go(streamed_query *q)
{
    weir_script_close(q->script);
    q->script = NULL;
    body_free(&q->body);
    text_free(&q->line);
}

/* False: answered, and done. */
static bool begin(streamed_query *q)
{
    exchange *x = q->exchange;
    weir_error err = { 0 };
    const batch *first = NULL;

    if (!body_read(x, text_slice(&x->body), &q->body)) return false;
    if (q->body.sql.data == NULL) {
        exchange_fail(x, 400, 40000, "the body has no member \"%s\" with the query", q->form == FORM_ROWS ? "ksql" : "sql");
        return false;
    }
    if (utf8_fault(q->body.sql) >= 0) {
        exchange_fail(x, 400, 40000, "the query is not UTF-8");
        return false;
    }
    if (!count_query(q) || (q->session = body_session(x, &q->body, true)) == NULL) return false;
    weir_session_shares_readers(q->session);
    q->script = weir_script_open(q->session, q->body.sql);
    work_begin(x->server, &q->limited, q->session);
    weir_rc rc = open_result(q, &err);
    /* What is wrong with its state shows before the reply begins; and a push query stands at its first position then. */
    if (rc == WEIR_OK) q->sleeps = weir_result_sleeps(q->result, wake_query, &q->job);
    if (rc == WEIR_OK) rc = weir_result_next(q->result, 0, &first, &err);
    if (rc != WEIR_OK) {
        work_explain(x->server, &q->limited, &err);
        send_failure(q, &err);
        return false;
    }
    q->is_push = weir_result_kind_of(q->result) == WEIR_RESULT_CHANGES;
    if (weir_result_kind_of(q->result) == WEIR_RESULT_LINES) q->form = FORM_LINES;
    if (q->is_push || q->form == FORM_LINES) work_end(x->server, &q->limited);
    q->holds = !q->is_push && q->form != FORM_LINES;
    name_query(q);
    atomic_store(&x->is_push, q->is_push || q->form == FORM_LINES);
    send_header(q);
    if (first != NULL) take_rows(q, first);
    if (q->sleeps) let_go(q);
    return true;
}

static job_turn fail_query(streamed_query *q, weir_error *err)
{
    work_explain(q->exchange->server, &q->limited, err);
    return send_failure(q, err);
}

/* Its client is slower than its rows. */
static job_turn wait_for_room(streamed_query *q)
{
    weir_error err = { 0 };

    if (weir_result_hold(q->result, &err) != WEIR_OK) return fail_query(q, &err);
    return q->sleeps ? JOB_ASLEEP : JOB_IDLE; /* its time may run out */
}

static job_turn wait_for_rows(streamed_query *q)
{
    text_free(&q->line);
    if (weir_result_ended(q->result)) return JOB_AGAIN;
    return q->sleeps ? JOB_ASLEEP : JOB_IDLE;
}

static job_turn query_step(job *self)
{
    streamed_query *q = (streamed_query *)self;
    exchange *x = q->exchange;
    weir_error err = { 0 };

    if (exchange_is_gone(x)) return JOB_DONE;
    if (q->result == NULL && !begin(q)) return JOB_DONE;
    for (uint32_t i = 0; i < BATCHES_A_TURN; i++) {
        const batch *rows;
        if (exchange_is_gone(x)) return JOB_DONE;
        if (atomic_load(&q->is_closed)) return send_end(q, "Query Terminated");
        if (atomic_load(&x->server->is_stopping)) {
            weir_fail(&err, WEIR_CANCELLED, NOWHERE, "the server is stopping");
            return send_failure(q, &err);
        }
        if (q->rows != NULL && !send_rows(q)) return wait_for_room(q);
        if (weir_result_ended(q->result)) {
            return send_end(q, q->is_push ? "Limit Reached" : weir_result_is_snapshot(q->result) ? NULL : "Query Completed");
        }
        if (exchange_is_full(x)) return wait_for_room(q);
        if (weir_result_next(q->result, 0, &rows, &err) != WEIR_OK) return fail_query(q, &err);
        if (rows != NULL) take_rows(q, rows);
        else if (q->is_push || q->form == FORM_LINES) return wait_for_rows(q);
    }
    return JOB_AGAIN;
}

static void start(exchange *x, reply_form form)
{
    streamed_query *q = calloc(1, sizeof *q);

    if (q == NULL) abort();
    q->job = (job){ .step = query_step, .close = query_close };
    q->exchange = x;
    q->form = form;
    exchange_hold(x);
    pthread_mutex_lock(&x->lock);
    bool fits = pool_add(x->server->pool, &q->job);
    if (fits) x->job = &q->job;
    pthread_mutex_unlock(&x->lock);
    if (fits) return;
    exchange_fail(x, 429, 42900, "the server has too much to do: try again later");
    query_close(&q->job);
}

void handle_query(exchange *x)
{
    if (!lookups_answer(x, true)) start(x, FORM_ROWS);
}

void handle_query_socket(exchange *x)
{
    start(x, FORM_MESSAGES);
}

static bool accepts(const exchange *x, const char *media)
{
    slice accept = text_slice(&x->accept);
    return memmem(accept.data, accept.len, media, strlen(media)) != NULL;
}

void handle_query_stream(exchange *x)
{
    bool is_rows = accepts(x, MEDIA_KSQL), is_array = accepts(x, MEDIA_JSON) && !accepts(x, MEDIA_DELIMITED);
    if (!is_array && lookups_answer(x, is_rows)) return;
    start(x, is_rows ? FORM_ROWS : is_array ? FORM_ARRAY : FORM_DELIMITED);
}

void queries_stop(server *s)
{
    pthread_mutex_lock(&s->queries_lock);
    for (streamed_query *q = s->queries; q != NULL; q = q->next) pool_wake(&q->job);
    pthread_mutex_unlock(&s->queries_lock);
}

bool close_query(void *self, slice id)
{
    server *s = self;
    bool found = false;

    pthread_mutex_lock(&s->queries_lock);
    for (streamed_query *q = s->queries; q != NULL && !found; q = q->next) {
        if (id.len != strlen(q->id) || strncasecmp(id.data, q->id, id.len) != 0) continue;
        found = true;
        atomic_store(&q->is_closed, true);
        pool_wake(&q->job);
    }
    pthread_mutex_unlock(&s->queries_lock);
    return found;
}

void handle_close_query(exchange *x)
{
    request_body body;

    if (body_read(x, text_slice(&x->body), &body)) {
        if (body.query_id.data == NULL) exchange_fail(x, 400, 40000, "the body has no member \"queryId\"");
        else if (close_query(x->server, body.query_id)) exchange_reply(x, 200, MEDIA_KSQL, SLICE(""));
        else exchange_fail(x, 400, 40000, "there is no query of that id");
    }
    body_free(&body);
}
