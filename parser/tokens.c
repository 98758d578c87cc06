/* parser/tokens.c - tokens for the grammar: words that are keywords only beside certain others are decided here, by a look
 * at the token before and the one after, so that they stay usable as names and the grammar stays free of conflicts. */
#include "grammar.h"
#include "parser/parse.h"

static sql_pos position_of(parse_context *c, const char *at)
{
    const source_text *s = &c->source;
    size_t offset = (size_t)(at - s->text.data);

    while (c->piece + 1 < s->piece_count && s->pieces[c->piece + 1].begin <= offset) c->piece++;
    const piece *p = &s->pieces[c->piece];
    walk_to(&c->walk, s->typed, p->variable ? p->typed : p->typed + (offset - p->begin));
    return c->walk.at;
}

static token peek(const parse_context *c)
{
    lexer ahead = c->lexer;
    token next;

    lexer_next(&ahead, &next);
    return next;
}

static bool is_name(int kind)
{
    const keyword *k = kind == TK_NAME || kind == TK_QUOTED_NAME ? NULL : keyword_of_token(kind);
    return kind == TK_NAME || kind == TK_QUOTED_NAME || (k != NULL && k->reserved == KEYWORD_WORD);
}

/* Behind an opening parenthesis: does `a, b) =>` follow? Stops at the first token that does not fit, so that all these looks
 * together pass the text once. */
static bool opens_lambda(const parse_context *c)
{
    lexer ahead = c->lexer;
    token next;

    do {
        lexer_next(&ahead, &next);
        if (!is_name(next.kind)) return false;
        lexer_next(&ahead, &next);
    } while (next.kind == TK_COMMA);
    if (next.kind != TK_RP) return false;
    lexer_next(&ahead, &next);
    return next.kind == TK_FAT_ARROW;
}

/* Behind PRIMARY: does KEY ( follow? Elsewhere that lists the columns of a key. */
static bool opens_table_key(const parse_context *c)
{
    lexer ahead = c->lexer;
    token next;

    lexer_next(&ahead, &next);
    if (next.kind != TK_KEY) return false;
    lexer_next(&ahead, &next);
    return next.kind == TK_LP;
}

/* Could the token end an expression? Then a minus behind it subtracts; else it is a sign. */
static bool ends_expression(int kind)
{
    switch (kind) {
    case TK_INTEGER: case TK_DECIMAL: case TK_DOUBLE: case TK_DURATION: case TK_STRING:
    case TK_RP: case TK_RB: case TK_END: case TK_NULL: case TK_TRUE: case TK_FALSE:
        return true;
    default:
        return is_name(kind);
    }
}

/* Has a query been read up to where a clause could begin? Then an EMIT that is left alone was not meant for another name of its
 * source. What names a stream or a type by a word alone is shorter, and ALTER ADD COLUMN is no query. */
static bool ends_query_part(const parse_context *c)
{
    return c->token_count > 3 && c->first_kind != TK_ALTER && ends_expression(c->previous.kind);
}

static bool is_number(int kind) { return kind == TK_INTEGER || kind == TK_DECIMAL || kind == TK_DOUBLE; }

/* The kind a context word has here, TK_NAME included; every other kind stays as it is. */
static int decide(const parse_context *c, int kind)
{
    int before = c->previous.kind;

    switch (kind) {
    case TK_ORDER:     return peek(c).kind == TK_BY ? kind : TK_NAME;
    case TK_PARTITION: return peek(c).kind == TK_BY ? kind : TK_NAME;
    case TK_UNION:     return peek(c).kind == TK_ALL ? kind : TK_NAME;
    case TK_ESCAPE:    return peek(c).kind == TK_STRING ? kind : TK_NAME;
    case TK_OVER:      return before == TK_RP && peek(c).kind == TK_LP ? kind : TK_NAME;
    case TK_EMIT: {
        int next = peek(c).kind;
        if (next == TK_CHANGES || next == TK_FINAL) return before != TK_AS ? kind : TK_NAME;
        return (next == TOKEN_END || next == TK_LIMIT) && ends_query_part(c) ? kind : TK_NAME;
    }
    case TK_CHANGES:
    case TK_FINAL:
        return before == TK_EMIT ? kind : TK_NAME;
    case TK_COLUMN:
        return before == TK_ADD && c->first_kind == TK_ALTER ? kind : TK_NAME;
    case TK_IF: {
        int next = peek(c).kind;
        bool place = before == TK_STREAM || before == TK_TABLE || before == TK_TYPE || before == TK_CONNECTOR;
        return place && (next == TK_NOT || next == TK_EXISTS) ? kind : TK_NAME;
    }
    case TK_ARRAY:
        if (before == TK_DOT || before == TK_ARROW) return TK_NAME;
        return peek(c).kind == TK_LB ? TK_ARRAY_LITERAL : kind;
    case TK_MAP:
    case TK_STRUCT:
        switch (before) {
        case TK_DOT: case TK_ARROW: case TK_INTO: case TK_STREAM: case TK_TABLE: case TK_EXISTS: case TK_VALUES:
            return TK_NAME;
        default:
            if (peek(c).kind != TK_LP) return kind;
            return kind == TK_MAP ? TK_MAP_LITERAL : TK_STRUCT_LITERAL;
        }
    case TK_PRIMARY:
        return before == TK_COMMA && opens_table_key(c) ? TK_TABLE_KEY : kind;
    case TK_LP:
        return opens_lambda(c) ? TK_LAMBDA_LP : kind;
    default:
        return kind;
    }
}

/* A character that begins an operator of another dialect; a NUL ends the text. */
static const char *meant_by(const char *at)
{
    switch (*at) {
    case '&': return "; AND joins conditions";
    case '!': return "; not equal is written <> or !=";
    case '\\': return "; what begins with a backslash is for the interactive shell";
    case '#': return "; a comment begins with --";
    case '?':
    case '$': return "; a variable is written ${name}, and DEFINE gives it a value";
    case ':': return at[1] != ':' ? "" : "; CAST(value AS type) brings a value to another type";
    case '~': return "; LIKE compares with a pattern, REGEXP_EXTRACT with a regular expression";
    default: return "";
    }
}

bool tokens_next(parse_context *c, token *out)
{
    lexer_next(&c->lexer, out);
    out->at = position_of(c, out->text.data);
    if (out->kind == TOKEN_BAD) {
        if (strcmp(out->problem, "unexpected character") == 0) {
            parse_fail(c, WEIR_SYNTAX, out->at, "unexpected character '%.*s'%s", SLICE_ARG(out->text), meant_by(out->text.data));
        } else {
            parse_fail(c, WEIR_SYNTAX, out->at, "%s", out->problem);
        }
        return false;
    }
    out->kind = decide(c, out->kind);
    if (out->kind == TK_MINUS && !ends_expression(c->previous.kind)) {
        token number = peek(c);
        if (is_number(number.kind)) {
            sql_pos at = out->at;
            lexer_next(&c->lexer, out);
            out->at = at;
            out->negative = true;
        }
    }
    if (out->kind != TOKEN_END) {
        if (c->token_count == 0) c->first_kind = out->kind;
        if (c->token_count < 3) c->statement_begin[c->token_count] = out->text.data;
        c->token_count++;
        c->last_end = out->text.data + out->text.len;
    }
    return true;
}
