/* shell/door_remote.c - the door to a server: a text of statements is one POST to /v1/shell, answered by lines of JSON as the
 * statements are executed (docs/rest-api.md). The server keeps nothing between two texts: what SET and DEFINE have changed is
 * sent along each time, as the statements that did it. Hanging up cancels what runs. */
#include <curl/curl.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/json.h"
#include "core/json_tree.h"
#include "shell/door.h"

enum { WAIT_MS = 100, CONNECT_MS = 10000, NAMES_MS = 2000 };

typedef struct remote_door {
    door base;
    const remote_options *options;
    arena *fixed;       /* what libcurl is lent */
    arena *columns;     /* of the answer */
    arena *line;        /* of the line last read */
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers;
    text received;      /* of the reply; what lies before `taken` has been read */
    size_t taken;
    text url, body;
    text session;       /* the statements that have changed it */
    bool is_under_way;  /* the transfer */
    bool has_finished;  /* the server has said that all is done */
    CURLcode outcome;
    weir_progress progress;
    bool has_progress;
    text left_out;
} remote_door;

static const weir_clock WALL = { 0 };

static size_t take_reply(char *bytes, size_t size, size_t count, void *self)
{
    text_add(&((remote_door *)self)->received, (slice){ bytes, size * count });
    return size * count;
}

/* ---- one request ---- */

static void hang_up(remote_door *d)
{
    if (d->is_under_way) curl_multi_remove_handle(d->multi, d->easy);
    d->is_under_way = false;
}

static slice base_url(const remote_door *d)
{
    slice url = d->options->url;

    while (url.len > 0 && url.data[url.len - 1] == '/') url.len--;
    return url;
}

/* Sends d->body, or asks without one. */
static void request(remote_door *d, const char *path, bool has_body)
{
    hang_up(d);
    text_clear(&d->url);
    text_add(&d->url, base_url(d));
    text_add_c(&d->url, path);
    text_clear(&d->received);
    d->taken = 0;
    d->outcome = CURLE_OK;
    curl_easy_setopt(d->easy, CURLOPT_URL, d->url.data);
    if (has_body) {
        curl_easy_setopt(d->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(d->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)d->body.len);
        curl_easy_setopt(d->easy, CURLOPT_POSTFIELDS, d->body.data);
    } else {
        curl_easy_setopt(d->easy, CURLOPT_HTTPGET, 1L);
    }
    curl_multi_add_handle(d->multi, d->easy);
    d->is_under_way = true;
}

/* Moves the transfer on, waiting at most so long for it. */
static void advance(remote_door *d, int wait_ms)
{
    int running, left;
    CURLMsg *note;

    curl_multi_perform(d->multi, &running);
    while ((note = curl_multi_info_read(d->multi, &left)) != NULL) {
        if (note->msg != CURLMSG_DONE) continue;
        d->outcome = note->data.result;
        hang_up(d);
        return;
    }
    if (d->is_under_way && wait_ms > 0) curl_multi_poll(d->multi, NULL, 0, wait_ms, NULL);
}

static weir_rc wait_for_end(remote_door *d, int64_t until_ms)
{
    while (d->is_under_way && clock_monotonic_ms(&WALL) < until_ms) {
        if (d->options->is_interrupted()) return WEIR_CANCELLED;
        advance(d, WAIT_MS);
    }
    return WEIR_OK;
}

/* ---- what it says ---- */

static long status_of(remote_door *d)
{
    long status = 0;

    curl_easy_getinfo(d->easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static weir_rc fail_unreached(remote_door *d, weir_error *err)
{
    slice url = base_url(d), host = url;
    const char *at = memchr(url.data, '@', url.len);

    if (at != NULL) host = (slice){ at + 1, (size_t)(url.data + url.len - at - 1) }; /* a password is not shown */
    return weir_fail(err, WEIR_BROKER, NOWHERE, "the server at %.*s cannot be reached: %s", SLICE_ARG(host),
                     d->outcome == CURLE_OK ? "it does not answer" : curl_easy_strerror(d->outcome));
}

/* A reply that is no stream of answers: {"error_code":40100,"message":"..."}, or something that is no weir. */
static weir_rc fail_refused(remote_door *d, weir_error *err)
{
    long status = status_of(d);
    node whole;
    size_t at;
    slice said = NO_SLICE;

    arena_reset(d->line);
    if (node_parse(text_slice(&d->received), d->line, &whole, &at)) said = node_member_text(&whole, "message");
    if (status == 401) {
        return weir_fail(err, WEIR_BROKER, NOWHERE, "the server wants to know who asks: --server http://USER:PASSWORD@HOST:PORT, or "
                         "a token in WEIR_TOKEN");
    }
    if (said.data == NULL) {
        return weir_fail(err, WEIR_BROKER, NOWHERE, "the server answers with status %ld: is it a weir server?", status);
    }
    return weir_fail(err, status < 500 ? WEIR_SEMANTIC : WEIR_RUNTIME, NOWHERE, "%.*s", SLICE_ARG(said));
}

static weir_rc rc_named(slice name)
{
    for (weir_rc rc = WEIR_SYNTAX; rc <= WEIR_INTERNAL; rc++) {
        if (slice_is(name, weir_rc_name(rc))) return rc;
    }
    return WEIR_INTERNAL;
}

static weir_rc fail_as_told(const node *what, weir_error *err)
{
    sql_pos place = { (uint32_t)node_member_i64(what, "line", 0), (uint32_t)node_member_i64(what, "column", 0) };
    return weir_fail(err, rc_named(node_member_text(what, "class")), place, "%.*s", SLICE_ARG(node_member_text(what, "message")));
}

/* The next line as a tree in the line's arena. *found false: none came in time, or all has been read. */
static weir_rc read_line(remote_door *d, int timeout_ms, node *out, bool *found, weir_error *err)
{
    int64_t until_ms = timeout_ms < 0 ? INT64_MAX : clock_monotonic_ms(&WALL) + timeout_ms;
    const char *end;
    size_t at;

    *found = false;
    for (;;) {
        const char *from = d->received.data + d->taken;
        end = d->received.len == d->taken ? NULL : memchr(from, '\n', d->received.len - d->taken);
        if (end != NULL && status_of(d) == 200) break;
        if (d->options->is_interrupted()) return weir_fail(err, WEIR_CANCELLED, NOWHERE, "interrupted");
        if (!d->is_under_way) {
            if (d->outcome == CURLE_OK && status_of(d) != 200) return fail_refused(d, err);
            if (d->has_finished) return WEIR_OK;
            if (d->outcome != CURLE_OK && status_of(d) == 0) return fail_unreached(d, err);
            return weir_fail(err, WEIR_BROKER, NOWHERE, "the connection to the server was lost");
        }
        int64_t left_ms = until_ms - clock_monotonic_ms(&WALL);
        if (left_ms <= 0) return WEIR_OK;
        if (end == NULL && d->taken > 0) { /* what was read makes room */
            memmove(d->received.data, from, d->received.len - d->taken);
            d->received.len -= d->taken;
            d->taken = 0;
        }
        advance(d, left_ms < WAIT_MS ? (int)left_ms : WAIT_MS);
    }
    slice line = { d->received.data + d->taken, (size_t)(end - d->received.data) - d->taken };
    d->taken += line.len + 1;
    arena_reset(d->line);
    if (!node_parse(line, d->line, out, &at)) return weir_fail(err, WEIR_BROKER, NOWHERE, "the server's answer is not understood");
    if (node_member(out, "error") != NULL) return fail_as_told(node_member(out, "error"), err);
    if (node_member(out, "done") != NULL) d->has_finished = true;
    if (node_member(out, "session") != NULL) {
        text_add(&d->session, node_member_text(out, "session"));
        text_add_char(&d->session, '\n');
    }
    *found = true;
    return WEIR_OK;
}

/* ---- the door ---- */

static void add_pairs(text *body, const char *name, const weir_setting *pairs, uint32_t count)
{
    text_printf(body, ",\"%s\":{", name);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) text_add_char(body, ',');
        print_json_string(body, pairs[i].name);
        text_add_char(body, ':');
        print_json_string(body, pairs[i].value);
    }
    text_add_char(body, '}');
}

static weir_rc remote_begin(door *self, slice sql, bool resumes, weir_print how, weir_error *err)
{
    remote_door *d = (remote_door *)self;

    if (resumes) return weir_fail(err, WEIR_UNSUPPORTED, NOWHERE, "a script that continues stored queries runs beside its engine");
    text_clear(&d->body);
    text_add_c(&d->body, "{\"ksql\":");
    print_json_string(&d->body, sql);
    text_add_c(&d->body, ",\"session\":");
    print_json_string(&d->body, text_slice(&d->session));
    text_printf(&d->body, ",\"print\":\"%s\"", how == WEIR_PRINT_JSON ? "json" : "text");
    add_pairs(&d->body, "streamsProperties", d->options->settings, d->options->setting_count);
    add_pairs(&d->body, "sessionVariables", d->options->defines, d->options->define_count);
    text_add_char(&d->body, '}');
    d->has_finished = false;
    request(d, "/v1/shell", true);
    return WEIR_OK;
}

/* {"message":"..."} or {"kind":"rows","columns":[["N",true],...]} */
static bool begins_answer(remote_door *d, const node *line)
{
    static const char *const KINDS[] = { [WEIR_RESULT_ROWS] = "rows", [WEIR_RESULT_CHANGES] = "changes", [WEIR_RESULT_LINES] = "lines" };
    const node *columns = node_member(line, "columns");
    slice kind = node_member_text(line, "kind");
    answer *a = &d->base.answer;

    arena_reset(d->columns);
    d->has_progress = false;
    text_clear(&d->left_out);
    if (node_member(line, "message") != NULL) {
        *a = (answer){ .kind = WEIR_RESULT_MESSAGE, .message = arena_copy(d->columns, node_member_text(line, "message")),
                       .warning = arena_copy(d->columns, node_member_text(line, "warning")) };
        return true;
    }
    if (columns == NULL || columns->kind != NODE_ARRAY) return false;
    answer_column *into = ARENA_ARRAY(d->columns, answer_column, columns->count + 1);
    *a = (answer){ .kind = WEIR_RESULT_ROWS, .columns = into, .column_count = columns->count,
                   .warning = arena_copy(d->columns, node_member_text(line, "warning")) };
    for (weir_result_kind k = WEIR_RESULT_ROWS; k <= WEIR_RESULT_LINES; k++) {
        if (slice_is(kind, KINDS[k])) a->kind = k;
    }
    for (uint32_t i = 0; i < columns->count; i++) {
        const node *c = &columns->items[i];
        if (c->kind != NODE_ARRAY || c->count != 2) return false;
        into[i] = (answer_column){ arena_copy(d->columns, node_text(&c->items[0])), slice_is(c->items[1].raw, "true") };
    }
    return true;
}

static weir_rc remote_next(door *self, weir_error *err)
{
    remote_door *d = (remote_door *)self;
    node line;
    bool found;

    while (!d->has_finished) {
        WEIR_TRY(read_line(d, -1, &line, &found, err));
        if (!found) break;
        self->has_answer = begins_answer(d, &line);
        if (self->has_answer) break;
    }
    return WEIR_OK;
}

/* {"rows":[["a","1"],["b",null]],"deleted":[1]} */
static bool lend_rows(remote_door *d, const node *line)
{
    const node *rows = node_member(line, "rows"), *deleted = node_member(line, "deleted");
    uint32_t columns = d->base.answer.column_count, n = 0;

    if (rows == NULL || rows->kind != NODE_ARRAY) return false;
    slice *cells = ARENA_ARRAY(d->line, slice, (size_t)rows->count * columns + 1);
    bool *is_deletion = ARENA_ZEROS(d->line, bool, rows->count + 1);
    for (uint32_t r = 0; r < rows->count; r++) {
        if (rows->items[r].count != columns) return false;
        for (uint32_t i = 0; i < columns; i++) {
            const node *cell = &rows->items[r].items[i];
            cells[n++] = cell->kind == NODE_STRING ? cell->string : NO_SLICE;
        }
    }
    for (uint32_t i = 0; deleted != NULL && i < deleted->count; i++) {
        uint64_t row = strtoull(deleted->items[i].raw.data, NULL, 10);
        if (row < rows->count) is_deletion[row] = true;
    }
    d->base.rows = (answer_rows){ rows->count, cells, is_deletion };
    return true;
}

static weir_rc remote_rows(door *self, int timeout_ms, bool *found, weir_error *err)
{
    remote_door *d = (remote_door *)self;
    const node *progress;
    node line;
    bool came;

    WEIR_TRY(read_line(d, timeout_ms, &line, &came, err));
    if (!came) return WEIR_OK;
    if ((progress = node_member(&line, "progress")) != NULL) {
        d->has_progress = true;
        d->progress = (weir_progress){ (uint64_t)node_member_i64(progress, "rows", 0), node_member_i64(progress, "left", -1) };
        return WEIR_OK;
    }
    slice left_out = node_member_text(&line, "left_out");
    if (left_out.data != NULL) {
        text_clear(&d->left_out);
        text_add(&d->left_out, left_out);
    }
    self->answer.has_ended = d->has_finished || node_member(&line, "end") != NULL;
    *found = lend_rows(d, &line);
    return WEIR_OK;
}

static bool remote_progress(door *self, weir_progress *out)
{
    remote_door *d = (remote_door *)self;

    *out = d->has_progress ? d->progress : (weir_progress){ 0, -1 };
    return true;
}

static slice remote_left_out(door *self)
{
    remote_door *d = (remote_door *)self;
    return d->left_out.len == 0 ? NO_SLICE : text_slice(&d->left_out);
}

static void remote_end(door *self)
{
    hang_up((remote_door *)self);
}

static void remote_names(door *self, uint32_t kinds, slice prefix, slice statement, arena *a, weir_name **out, uint32_t *count)
{
    remote_door *d = (remote_door *)self;
    const node *names;
    node whole;
    size_t at;

    *count = 0;
    *out = NULL;
    text_clear(&d->body);
    text_printf(&d->body, "{\"kinds\":%u,\"prefix\":", kinds);
    print_json_string(&d->body, prefix);
    text_add_c(&d->body, ",\"ksql\":");
    print_json_string(&d->body, statement);
    text_add_char(&d->body, '}');
    request(d, "/v1/names", true);
    bool came = wait_for_end(d, clock_monotonic_ms(&WALL) + NAMES_MS) == WEIR_OK && !d->is_under_way && status_of(d) == 200;
    hang_up(d);
    if (!came || !node_parse(text_slice(&d->received), a, &whole, &at)) return;
    if ((names = node_member(&whole, "names")) == NULL || names->kind != NODE_ARRAY) return;
    *out = ARENA_ARRAY(a, weir_name, names->count + 1);
    for (uint32_t i = 0; i < names->count; i++) {
        const node *pair = &names->items[i];
        if (pair->kind != NODE_ARRAY || pair->count != 2) continue;
        (*out)[(*count)++] = (weir_name){ arena_copy(a, node_text(&pair->items[0])),
                                          (weir_name_kind)strtoul(pair->items[1].raw.data, NULL, 10) };
    }
}

static void remote_close(door *self)
{
    remote_door *d = (remote_door *)self;

    hang_up(d);
    curl_easy_cleanup(d->easy);
    curl_multi_cleanup(d->multi);
    curl_slist_free_all(d->headers);
    arena_free(d->fixed);
    arena_free(d->columns);
    arena_free(d->line);
    text_free(&d->received);
    text_free(&d->url);
    text_free(&d->body);
    text_free(&d->session);
    text_free(&d->left_out);
    free(d);
}

static void set_up(remote_door *d)
{
    const remote_options *o = d->options;

    d->headers = curl_slist_append(d->headers, "Content-Type: application/json");
    d->headers = curl_slist_append(d->headers, "Expect:"); /* no round trip before the body */
    curl_easy_setopt(d->easy, CURLOPT_HTTPHEADER, d->headers);
    curl_easy_setopt(d->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(d->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(d->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(d->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(d->easy, CURLOPT_WRITEFUNCTION, take_reply);
    curl_easy_setopt(d->easy, CURLOPT_WRITEDATA, d);
    if (o->ca_file.data != NULL) curl_easy_setopt(d->easy, CURLOPT_CAINFO, arena_c_string(d->fixed, o->ca_file));
    if (o->token.len > 0) {
        curl_easy_setopt(d->easy, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        curl_easy_setopt(d->easy, CURLOPT_XOAUTH2_BEARER, arena_c_string(d->fixed, o->token));
    }
}

weir_rc door_remote(door **out, const remote_options *options, weir_error *err)
{
    static const door_class REMOTE = { remote_begin, remote_next, remote_rows, remote_progress, remote_left_out, remote_end,
                                       remote_names, remote_close };
    slice url = options->url;
    weir_rc rc;

    if (!(url.len > 7 && memcmp(url.data, "http://", 7) == 0) && !(url.len > 8 && memcmp(url.data, "https://", 8) == 0)) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "a server's address is a URL such as http://localhost:8088, not %.*s", SLICE_ARG(url));
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    remote_door *d = calloc(1, sizeof *d);
    if (d == NULL) abort();
    *d = (remote_door){ .base = { .class = &REMOTE }, .options = options, .fixed = arena_new(0), .columns = arena_new(0),
                        .line = arena_new(0), .multi = curl_multi_init(), .easy = curl_easy_init() };
    if (d->multi == NULL || d->easy == NULL) abort();
    set_up(d);
    request(d, "/info", false);
    rc = wait_for_end(d, clock_monotonic_ms(&WALL) + CONNECT_MS);
    if (rc == WEIR_CANCELLED) rc = weir_fail(err, rc, NOWHERE, "interrupted");
    else if (d->is_under_way || d->outcome != CURLE_OK) rc = fail_unreached(d, err);
    else if (status_of(d) != 200) rc = fail_refused(d, err);
    if (rc != WEIR_OK) {
        remote_close(&d->base);
        return rc;
    }
    *out = &d->base;
    return WEIR_OK;
}
