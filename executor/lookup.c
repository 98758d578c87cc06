/* executor/lookup.c - key look-ups that are asked again and again: the query that answered one is kept, plan, operators and
 * snapshot, and answers statements that differ from its own in the key alone. */
#include "executor/weir.h"

#include "core/number.h"

#include <stdlib.h>

struct weir_lookup {
    weir_result *result;
    slice before, after; /* the statement round the key's literal */
    text sql;
};

/* The place as an offset; -1: beyond the text. Columns count code points, so the line's beginning has to be plain. */
static int64_t offset_of(slice sql, sql_pos at)
{
    size_t i = 0;

    for (uint32_t line = 1; line < at.line; i++) {
        if (i == sql.len) return -1;
        line += sql.data[i] == '\n';
    }
    for (uint32_t column = 1; column < at.column; column++, i++) {
        if (i == sql.len || (unsigned char)sql.data[i] >= 0x80) return -1;
    }
    return i < sql.len ? (int64_t)i : -1;
}

/* The literal that the text begins with: a string without quotes in it, or digits. 0: there is none. */
static size_t literal_length(slice from)
{
    size_t len = 0;

    if (from.len > 0 && from.data[0] == '\'') {
        const char *end = memchr(from.data + 1, '\'', from.len - 1);
        return end == NULL ? 0 : (size_t)(end - from.data) + 1;
    }
    if (from.len > 0 && from.data[0] == '-') len++;
    while (len < from.len && from.data[len] >= '0' && from.data[len] <= '9') len++;
    return len;
}

static bool read_literal(slice text_of_it, const type *t, value *out)
{
    *out = NULL_VALUE;
    out->is_null = false;
    switch (t->kind) {
    case TYPE_STRING:
        if (text_of_it.len < 2 || text_of_it.data[0] != '\'') return false;
        out->str = (slice){ text_of_it.data + 1, text_of_it.len - 2 };
        return true;
    case TYPE_INTEGER: return parse_i32(text_of_it, &out->i32) == NUMBER_FITS;
    case TYPE_BIGINT: return parse_i64(text_of_it, &out->i64) == NUMBER_FITS;
    default: return false;
    }
}

static const step *snapshot_of(const weir_result *r)
{
    return &r->plan->steps[0];
}

static bool is_pure(const weir_result *r)
{
    const plan *p = r->plan;

    if (p == NULL || r->transient == NULL || !r->has_ended || p->mode != PLAN_SNAPSHOT || !snapshot_of(r)->snapshot.lookup.is_exact) {
        return false;
    }
    return transient_passes_rows_on(p);
}

weir_lookup *weir_lookup_keep(weir_result *r, slice sql)
{
    if (r == NULL || !is_pure(r)) return NULL;
    const lookup *l = &snapshot_of(r)->snapshot.lookup;
    const type *t = snapshot_of(r)->schema.columns[0].type;
    int64_t at = offset_of(sql, l->literal_at);
    value v;
    if (at < 0) return NULL;
    size_t len = literal_length((slice){ sql.data + at, sql.len - (size_t)at });
    if (!read_literal((slice){ sql.data + at, len }, t, &v) || !value_equal(t, &v, &l->key_values[0])) return NULL;
    if (!transient_rest(r->transient)) return NULL;
    weir_lookup *made = calloc(1, sizeof *made);
    if (made == NULL) abort();
    text_add(&made->sql, sql);
    made->before = (slice){ made->sql.data, (size_t)at };
    made->after = (slice){ made->sql.data + at + len, sql.len - (size_t)at - len };
    made->result = r;
    return made;
}

bool weir_lookup_takes(const weir_lookup *l, slice sql, value *key)
{
    if (sql.len <= l->before.len + l->after.len || memcmp(sql.data, l->before.data, l->before.len) != 0 ||
        memcmp(sql.data + sql.len - l->after.len, l->after.data, l->after.len) != 0) {
        return false;
    }
    slice middle = { sql.data + l->before.len, sql.len - l->before.len - l->after.len };
    return literal_length(middle) == middle.len && read_literal(middle, snapshot_of(l->result)->schema.columns[0].type, key);
}

bool weir_lookup_is_current(const weir_lookup *l, weir *w)
{
    return l->result->catalog_version == catalog_version(w->catalog);
}

weir_rc weir_lookup_run(weir_lookup *l, const value *key, const batch **rows, weir_error *err)
{
    weir_rc rc = transient_look_up(l->result->transient, key, rows, err);

    if (rc == WEIR_OK && !transient_rest(l->result->transient)) {
        return weir_fail(err, WEIR_INTERNAL, NOWHERE, "a kept look-up cannot be used again");
    }
    return rc;
}

const weir_result *weir_lookup_result(const weir_lookup *l)
{
    return l->result;
}

void weir_lookup_free(weir_lookup *l)
{
    if (l == NULL) return;
    weir_result_close(l->result);
    text_free(&l->sql);
    free(l);
}
