/* server/inserts.c - POST /inserts-stream: a line that names the target, then a row a line, each acknowledged once it is
 * durable. Rows are taken and acknowledged while the request is still being sent: those that have come by then in one commit, so that
 * more come together the longer commits take, and a lone one waits for nothing. */
#include "server/inside.h"

#include "core/json.h"

#include <stdlib.h>

enum { ROWS_A_COMMIT = 1024 };

typedef struct insert_job {
    job job;
    exchange *exchange;
    text lines, target;
    uint64_t sequence;
    bool has_target, is_array;
} insert_job;

static void insert_close(job *self)
{
    insert_job *j = (insert_job *)self;

    pthread_mutex_lock(&j->exchange->lock);
    j->exchange->job = NULL;
    pthread_mutex_unlock(&j->exchange->lock);
    exchange_drop(j->exchange);
    text_free(&j->lines);
    text_free(&j->target);
    free(j);
}

static bool is_blank(slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!json_is_blank(s.data[i])) return false;
    }
    return true;
}

/* The first line. False: answered, and done. */
static bool take_target(insert_job *j, slice line)
{
    exchange *x = j->exchange;
    request_body body;
    weir_error err;
    bool ok = body_read(x, line, &body);

    if (ok && body.target.data == NULL) {
        exchange_fail(x, 400, 40000, "the first line has no member \"target\" that names a stream or table");
        ok = false;
    }
    if (ok && weir_can_insert(x->server->weir, body.target, &err) != WEIR_OK) {
        exchange_fail(x, error_status(err.rc), error_code(err.rc), "%s", err.message);
        ok = false;
    }
    if (ok) {
        text_add(&j->target, body.target);
        j->has_target = true;
        exchange_start(x, 200, j->is_array ? MEDIA_JSON : MEDIA_DELIMITED);
        if (j->is_array) exchange_line(x, SLICE("["));
    }
    body_free(&body);
    return ok;
}

static void acknowledge(insert_job *j, const weir_error *err)
{
    text ack = TEXT_EMPTY;

    if (j->is_array && j->sequence > 0) text_add_c(&ack, ",");
    if (err->rc == WEIR_OK) {
        text_printf(&ack, "{\"status\":\"ok\",\"seq\":%llu}", (unsigned long long)j->sequence);
    } else {
        text_printf(&ack, "{\"status\":\"error\",\"seq\":%llu,\"error_code\":%d,\"message\":", (unsigned long long)j->sequence,
                    error_status(err->rc) == 400 ? 40000 : 50000);
        print_json_string(&ack, slice_of(err->message));
        text_add_char(&ack, '}');
    }
    j->sequence++;
    text_add_char(&ack, '\n');
    exchange_line(j->exchange, text_slice(&ack));
    text_free(&ack);
}

static void insert_rows(insert_job *j, const slice *rows, uint32_t count)
{
    weir_error *errors = calloc(count + 1, sizeof *errors);

    if (errors == NULL) abort();
    weir_insert_json(j->exchange->server->weir, text_slice(&j->target), rows, count, errors);
    for (uint32_t i = 0; i < count; i++) acknowledge(j, &errors[i]);
    free(errors);
}

/* False: answered, and done. */
static bool take_lines(insert_job *j)
{
    slice rows[ROWS_A_COMMIT];
    uint32_t count = 0;

    for (const char *at = j->lines.data, *end = at + j->lines.len; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        slice line = { at, stop == NULL ? (size_t)(end - at) : (size_t)(stop - at) };
        at += line.len + 1;
        if (is_blank(line)) continue;
        if (j->has_target) rows[count++] = line;
        else if (!take_target(j, line)) return false;
    }
    if (count > 0) insert_rows(j, rows, count);
    return true;
}

static job_turn finish(insert_job *j)
{
    exchange *x = j->exchange;

    if (!j->has_target) {
        exchange_fail(x, 400, 40000, "the body is empty: its first line names the target");
    } else {
        exchange_end(x, j->is_array ? SLICE("]") : NO_SLICE);
    }
    return JOB_DONE;
}

/* What is buffered is all that may be: a line that does not end in it is too long. */
static bool is_body_full(exchange *x)
{
    pthread_mutex_lock(&x->lock);
    bool is = x->body.len >= STREAMED_BODY_BYTES_MAX;
    pthread_mutex_unlock(&x->lock);
    return is;
}

static job_turn insert_step(job *self)
{
    insert_job *j = (insert_job *)self;
    exchange *x = j->exchange;
    bool ended;

    if (exchange_is_gone(x)) return JOB_DONE;
    if (exchange_is_full(x)) return JOB_IDLE;
    bool was_full = is_body_full(x); /* asked before the look: what comes behind it may end the line */
    if (exchange_take_lines(x, ROWS_A_COMMIT, &j->lines, &ended)) return take_lines(j) ? JOB_AGAIN : JOB_DONE;
    if (ended || atomic_load(&x->server->is_stopping)) return finish(j);
    if (!was_full) return JOB_IDLE;
    if (j->has_target) return finish(j);
    exchange_fail(x, 413, 41300, "a line is longer than this server takes");
    return JOB_DONE;
}

void handle_inserts(exchange *x)
{
    insert_job *j = calloc(1, sizeof *j);
    slice accept = text_slice(&x->accept);

    if (j == NULL) abort();
    j->job = (job){ .step = insert_step, .close = insert_close };
    j->exchange = x;
    j->is_array = memmem(accept.data, accept.len, MEDIA_JSON, sizeof MEDIA_JSON - 1) != NULL;
    exchange_hold(x);
    pthread_mutex_lock(&x->lock);
    bool fits = pool_add(x->server->pool, &j->job);
    if (fits) x->job = &j->job;
    pthread_mutex_unlock(&x->lock);
    if (fits) return;
    exchange_fail(x, 429, 42900, "the server has too much to do: try again later");
    insert_close(&j->job);
}
