/* parser/parse.h - what the parts of the parser share among themselves; others include parser.h.
 * A statement's text goes: substitute.c (variables put in, pieces remembered) -> lexer.re (tokens) -> tokens.c (words whose
 * meaning depends on their neighbours) -> grammar.y, whose actions call build.h -> tree. expected.c words the errors. */
#ifndef WEIR_PARSER_PARSE_H
#define WEIR_PARSER_PARSE_H

#include "core/arena.h"
#include "parser/ast.h"
#include "parser/parser.h"

typedef struct token {
    int kind; /* TK_..., 0 at the end, TOKEN_BAD */
    bool negative;       /* a number with the minus sign before it */
    const char *problem; /* TOKEN_BAD: what is wrong */
    sql_pos at;
    slice text; /* in the substituted text; without the sign */
} token;

#define TOKEN_END 0
#define TOKEN_BAD (-1)

/* A stretch of the substituted text: either as typed, or all of it standing for the ${name} at `typed`. */
typedef struct piece {
    size_t begin;
    size_t typed;
    bool variable;
} piece;

typedef struct source_text {
    slice typed;   /* the whole text the statement was found in */
    slice text;    /* the statement after substitution; a NUL follows */
    piece *pieces; /* in order; the first begins at 0 */
    uint32_t piece_count;
} source_text;

/* Behind the comment of the second kind that begins there; NULL: it does not end. */
const char *comment_close(const char *open, const char *end);

/* Where a walk over the typed text stands; it only moves forward, so that all positions together cost one pass. */
typedef struct text_walk {
    size_t offset;
    sql_pos at;
} text_walk;

void walk_to(text_walk *walk, slice typed, size_t offset);

typedef struct lexer {
    const char *cursor;
    const char *limit; /* a NUL stands here */
} lexer;

void lexer_next(lexer *l, token *out); /* `at` is not set: positions are for tokens that are used */

typedef struct parse_context {
    arena *arena;
    weir_error *err;
    weir_rc rc; /* of the first error; actions go on harmlessly after it, the token loop stops */
    source_text source;
    lexer lexer;
    uint32_t piece;
    text_walk walk;
    token previous;
    const char *statement_begin[3]; /* where the first tokens begin: a statement within EXPLAIN starts at the 2nd or 3rd */
    int first_kind;
    uint32_t token_count;
    const char *last_end; /* behind the last token before the end */
    uint32_t open_graces; /* GRACE written in a call; GROUP BY takes them out */
    sql_pos grace_at;
    /* the result, by what was asked for */
    statement *statement;
    select_query *query;
    expr *expr;
    type_name *type;
    column_def_list columns;
} parse_context;

/* Notes an error unless one has been noted already. */
void parse_fail(parse_context *c, weir_rc rc, sql_pos at, const char *format, ...) __attribute__((format(printf, 4, 5)));

/* tokens.c: the next token, with words that depend on their neighbours decided. False: an error was noted. */
bool tokens_next(parse_context *c, token *out);

/* grammar.y: feeds tokens to the grammar until the end or an error. start is one of TK_START_... */
void grammar_run(parse_context *c, int start);

/* expected.c: notes the syntax error; accepts(of, kinds, count) says whether these tokens could have stood in its place. */
typedef bool (*token_test)(const void *of, const int *kinds, int count);
void expected_fail(parse_context *c, const token *found, token_test accepts, const void *of);

/* Was the token before taken for another name of a source in FROM? */
bool is_behind_alias(const token *before, const bool *could);

/* habits.c: what was meant, as other dialects or other clauses have it. could: of each kind of token, whether it could have
 * stood there. NULL: nothing is known. */
typedef struct habit {
    const char *advice;
    bool is_unsupported; /* there is no such thing here: the advice says all */
} habit;
const habit *habit_of(const parse_context *c, const token *found, const bool *could);

/* substitute.c: fills source->text and pieces from typed[begin, end). */
weir_rc substitute(arena *a, slice typed, size_t begin, size_t end, sql_pos begin_at, const variables *vars,
                   source_text *out, weir_error *err) WEIR_CHECKED;

/* keywords.c */
typedef enum keyword_class {
    KEYWORD_RESERVED, /* a name only in quotes */
    KEYWORD_WORD      /* may be a name; its neighbours or the grammar tell */
} keyword_class;

typedef struct keyword {
    const char *word;
    int token;
    keyword_class reserved;
} keyword;

const keyword *keyword_find(slice word);   /* case ignored; NULL: none */
const keyword *keyword_of_token(int kind); /* NULL: not a keyword's */
uint32_t keyword_count(void);
const keyword *keyword_at(uint32_t index);

#endif
