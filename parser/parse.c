/* parser/parse.c - the ways in: scripts statement by statement, and parts on their own. */
#include "grammar.h"
#include "parser/parse.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void parse_fail(parse_context *c, weir_rc rc, sql_pos at, const char *format, ...)
{
    char message[WEIR_MESSAGE_BYTES];
    va_list args;

    if (c->rc != WEIR_OK) return;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    c->rc = weir_fail(c->err, rc, at, "%s", message);
}

/* ---- where statements end ---- */

typedef struct stretch {
    size_t begin; /* of the first token */
    size_t end;   /* the semicolon, or the end of the text */
    bool terminated;
} stretch;

static bool find_stretch(slice sql, size_t from, stretch *out)
{
    bool found = false;
    size_t i = from;

    *out = (stretch){ .begin = sql.len, .end = sql.len };
    while (i < sql.len) {
        char c = sql.data[i];
        char next = i + 1 < sql.len ? sql.data[i + 1] : '\0';

        if (c == '-' && next == '-') {
            while (i < sql.len && sql.data[i] != '\n' && sql.data[i] != '\r') i++;
            continue;
        }
        if (c == '/' && next == '*') {
            const char *close = comment_close(sql.data + i, sql.data + sql.len);
            if (close == NULL) {
                if (!found) out->begin = i; /* the lexer says what is wrong */
                return true;
            }
            i = (size_t)(close - sql.data);
            continue;
        }
        if (c == ' ' || (c >= '\t' && c <= '\r')) {
            i++;
            continue;
        }
        if (c == '\xEF' && i + 2 < sql.len && memcmp(sql.data + i, "\xEF\xBB\xBF", 3) == 0) { /* byte order mark */
            i += 3;
            continue;
        }
        if (c == ';') {
            if (found) {
                out->end = i;
                out->terminated = true;
                return true;
            }
            i++; /* an empty statement */
            continue;
        }
        if (!found) out->begin = i;
        found = true;
        if (c == '\'' || c == '"' || c == '`') {
            const char *close = memchr(sql.data + i + 1, c, sql.len - i - 1);
            if (close == NULL) return true;
            i = (size_t)(close - sql.data);
        }
        i++;
    }
    return found;
}

bool parse_is_complete(slice sql)
{
    stretch s;
    size_t from = 0;

    while (find_stretch(sql, from, &s)) {
        if (!s.terminated) return false;
        from = s.end + 1;
    }
    return true;
}

/* ---- one stretch of text ---- */

static weir_rc run(parse_context *c, arena *a, slice typed, size_t begin, size_t end, sql_pos at, const variables *vars,
                   int start, weir_error *err)
{
    *c = (parse_context){ .arena = a, .err = err, .walk = { begin, at }, .previous = { .kind = start } };
    WEIR_TRY(substitute(a, typed, begin, end, at, vars, &c->source, err));
    c->lexer = (lexer){ c->source.text.data, c->source.text.data + c->source.text.len };
    grammar_run(c, start);
    if (c->rc == WEIR_OK && c->statement != NULL) {
        statement *s = c->statement;
        s->text = (slice){ c->statement_begin[0], (size_t)(c->last_end - c->statement_begin[0]) };
        if (s->kind == STATEMENT_EXPLAIN && s->explain.inner != NULL) {
            const char *inner = c->statement_begin[s->explain.analyze ? 2 : 1];
            s->explain.inner->text = (slice){ inner, (size_t)(c->last_end - inner) };
        }
    }
    return c->rc;
}

#define TYPED_BEGIN ((sql_pos){ 1, 1 })

weir_rc parse_statement(arena *a, slice sql, statement **out, weir_error *err)
{
    parse_context c;
    stretch s;

    *out = NULL;
    if (find_stretch(sql, 0, &s) && s.terminated) {
        stretch more;
        if (!find_stretch(sql, s.end + 1, &more)) sql.len = s.end;
    }
    WEIR_TRY(run(&c, a, sql, 0, sql.len, TYPED_BEGIN, NULL, TK_START_STATEMENT, err));
    *out = c.statement;
    return WEIR_OK;
}

weir_rc parse_query(arena *a, slice sql, select_query **out, weir_error *err)
{
    parse_context c;

    *out = NULL;
    WEIR_TRY(run(&c, a, sql, 0, sql.len, TYPED_BEGIN, NULL, TK_START_QUERY, err));
    *out = c.query;
    return WEIR_OK;
}

weir_rc parse_expression(arena *a, slice sql, expr **out, weir_error *err)
{
    parse_context c;

    *out = NULL;
    WEIR_TRY(run(&c, a, sql, 0, sql.len, TYPED_BEGIN, NULL, TK_START_EXPRESSION, err));
    *out = c.expr;
    return WEIR_OK;
}

weir_rc parse_type(arena *a, slice sql, type_name **out, weir_error *err)
{
    parse_context c;

    *out = NULL;
    WEIR_TRY(run(&c, a, sql, 0, sql.len, TYPED_BEGIN, NULL, TK_START_TYPE, err));
    *out = c.type;
    return WEIR_OK;
}

weir_rc parse_columns(arena *a, slice sql, column_def_list *out, weir_error *err)
{
    parse_context c;

    *out = (column_def_list){ NULL, 0 };
    WEIR_TRY(run(&c, a, sql, 0, sql.len, TYPED_BEGIN, NULL, TK_START_COLUMNS, err));
    *out = c.columns;
    return WEIR_OK;
}

/* ---- scripts ---- */

struct parser {
    slice sql;
    size_t next;
    text_walk walk;
};

parser *parser_open(slice sql)
{
    parser *p = calloc(1, sizeof *p);

    if (p == NULL) {
        fputs("weir: out of memory\n", stderr);
        abort();
    }
    p->sql = sql;
    p->walk.at = TYPED_BEGIN;
    return p;
}

void parser_close(parser *p) { free(p); }

weir_rc parser_next(parser *p, arena *a, const variables *vars, statement **out, weir_error *err)
{
    parse_context c;
    stretch s;

    *out = NULL;
    if (!find_stretch(p->sql, p->next, &s)) {
        p->next = p->sql.len;
        return WEIR_OK;
    }
    p->next = s.terminated ? s.end + 1 : s.end;
    walk_to(&p->walk, p->sql, s.begin);
    WEIR_TRY(run(&c, a, p->sql, s.begin, s.end, p->walk.at, vars, TK_START_STATEMENT, err));
    *out = c.statement;
    return WEIR_OK;
}

weir_rc parse_script(arena *a, slice sql, const variables *vars, statements *out, weir_error *err)
{
    parser *p = parser_open(sql);
    variables *now = NULL;
    uint32_t held = 0;
    weir_rc rc;

    *out = (statements){ NULL, 0 };
    if (vars != NULL) {
        now = variables_new();
        for (uint32_t i = 0; i < variables_count(vars); i++) {
            slice name, value;
            variables_at(vars, i, &name, &value);
            variables_set(now, name, value);
        }
    }
    for (;;) {
        statement *s;
        if ((rc = parser_next(p, a, now, &s, err)) != WEIR_OK || s == NULL) break;
        if (out->count == held) {
            held = held == 0 ? 8 : held * 2;
            statement **more = ARENA_ARRAY(a, statement *, held);
            if (out->count > 0) memcpy(more, out->items, sizeof(statement *) * out->count);
            out->items = more;
        }
        out->items[out->count++] = s;
        if (now != NULL && s->kind == STATEMENT_DEFINE) variables_set(now, s->setting.name, s->setting.value);
        if (now != NULL && s->kind == STATEMENT_UNDEFINE) variables_unset(now, s->setting.name);
    }
    variables_free(now);
    parser_close(p);
    return rc;
}
