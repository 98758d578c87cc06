/* server/lookups.c - key look-ups answered by the loop itself: the query that answered a statement once is kept, and answers
 * the like of it with one read of the state: no worker, no parsing, no planning. What does not match goes the common way. */
#include "server/inside.h"

#include "core/json.h"

#include <stdlib.h>

enum { KEPT_MAX = 64 };

typedef struct kept_lookup {
    weir_lookup *lookup;
    bool is_rows;  /* in the form of /query */
    text head;     /* of a reply, behind the query's id */
} kept_lookup;

struct lookups {
    pthread_mutex_t lock;
    kept_lookup kept[KEPT_MAX];
    uint32_t count, next; /* next: is replaced when there is no room */
    uint64_t number;
    text reply;
};

struct lookups *lookups_new(void)
{
    struct lookups *l = calloc(1, sizeof *l);

    if (l == NULL) abort();
    pthread_mutex_init(&l->lock, NULL);
    return l;
}

static void forget(kept_lookup *k)
{
    weir_lookup_free(k->lookup);
    text_free(&k->head);
    *k = (kept_lookup){ 0 };
}

void lookups_free(struct lookups *l)
{
    if (l == NULL) return;
    for (uint32_t i = 0; i < KEPT_MAX; i++) forget(&l->kept[i]);
    text_free(&l->reply);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

static kept_lookup *find(struct lookups *l, slice sql, bool is_rows, value *key)
{
    for (uint32_t i = 0; i < l->count; i++) {
        kept_lookup *k = &l->kept[i];
        if (k->lookup != NULL && k->is_rows == is_rows && weir_lookup_takes(k->lookup, sql, key)) return k;
    }
    return NULL;
}

bool lookups_keep(server *s, weir_result *r, slice sql, bool is_rows)
{
    struct lookups *l = s->lookups;
    value key;

    pthread_mutex_lock(&l->lock);
    kept_lookup *k = find(l, sql, is_rows, &key);
    bool is_known = k != NULL && weir_lookup_is_current(k->lookup, s->weir);
    weir_lookup *made = is_known ? NULL : weir_lookup_keep(r, sql);
    if (made != NULL) {
        if (k == NULL) {
            k = &l->kept[l->next];
            l->next = (l->next + 1) % KEPT_MAX;
            if (l->count < KEPT_MAX) l->count++;
        }
        forget(k);
        *k = (kept_lookup){ .lookup = made, .is_rows = is_rows };
        print_query_head(&k->head, r, is_rows);
    }
    pthread_mutex_unlock(&l->lock);
    return made != NULL;
}

/* ---- the body, where it is as plain as they mostly are: one member, a string without escapes ---- */

static size_t skip_blank(slice in, size_t at)
{
    while (at < in.len && json_is_blank(in.data[at])) at++;
    return at;
}

static bool take_word(slice in, size_t *at, const char *word)
{
    size_t len = strlen(word), from = skip_blank(in, *at);

    if (in.len - from < len || memcmp(in.data + from, word, len) != 0) return false;
    *at = skip_blank(in, from + len);
    return true;
}

static bool plain_sql(slice body, slice *sql)
{
    size_t at = 0;

    if (!take_word(body, &at, "{")) return false;
    if (!take_word(body, &at, "\"sql\"") && !take_word(body, &at, "\"ksql\"")) return false;
    if (!take_word(body, &at, ":") || at == body.len || body.data[at++] != '"') return false;
    const char *end = memchr(body.data + at, '"', body.len - at);
    if (end == NULL || memchr(body.data + at, '\\', (size_t)(end - body.data) - at) != NULL) return false;
    *sql = (slice){ body.data + at, (size_t)(end - body.data) - at };
    at = (size_t)(end - body.data) + 1;
    if (take_word(body, &at, ",")) {
        if (!take_word(body, &at, "\"streamsProperties\"") && !take_word(body, &at, "\"properties\"")) return false;
        if (!take_word(body, &at, ":") || !take_word(body, &at, "{") || !take_word(body, &at, "}")) return false;
    }
    return take_word(body, &at, "}") && at == body.len;
}

/* ---- answering ---- */

static void print_reply(struct lookups *l, const kept_lookup *k, const batch *rows)
{
    text *out = &l->reply;

    text_clear(out);
    text_add_c(out, k->is_rows ? "[{\"header\":{\"queryId\":\"transient_" : "{\"queryId\":\"transient_");
    print_i64(out, (int64_t)++l->number);
    text_add(out, text_slice(&k->head));
    for (uint32_t i = 0; rows != NULL && i < rows->live.count; i++) {
        uint32_t r = rows->live.index == NULL ? i : rows->live.index[i];
        text_add_c(out, k->is_rows ? ",\n{\"row\":{\"columns\":" : "");
        print_query_row(out, rows, r);
        text_add_c(out, k->is_rows ? "}}" : "\n");
    }
    if (k->is_rows) text_add_c(out, "]\n");
}

bool lookups_answer(exchange *x, bool is_rows)
{
    server *s = x->server;
    struct lookups *l = s->lookups;
    const batch *rows = NULL;
    slice sql;
    value key;
    weir_error err = { 0 };

    if (x->is_http2 || !plain_sql(text_slice(&x->body), &sql)) return false; /* there, each line has a frame of its own */
    pthread_mutex_lock(&l->lock);
    kept_lookup *k = find(l, sql, is_rows, &key);
    bool is_done = k != NULL && weir_lookup_is_current(k->lookup, s->weir) &&
                   weir_lookup_run(k->lookup, &key, &rows, &err) == WEIR_OK;
    if (is_done) {
        if (rows != NULL) atomic_fetch_add(&s->rows_sent, rows->live.count);
        print_reply(l, k, rows);
        exchange_reply_here(x, 200, is_rows ? MEDIA_KSQL : MEDIA_DELIMITED, text_slice(&l->reply));
    } else if (k != NULL) {
        forget(k); /* the common way says what is wrong, and makes it anew */
    }
    pthread_mutex_unlock(&l->lock);
    return is_done;
}
