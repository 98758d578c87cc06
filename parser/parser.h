/* parser/parser.h - SQL text in, trees (ast.h) out.
 * Ownership: trees and their texts lie in the arena given; the SQL is only borrowed while a call (or an open parser) reads it.
 * Errors: the first one, with line and column as typed, the offending word and what was expected instead.
 * Threads: no state is shared; parsers on several threads do not meet. */
#ifndef WEIR_PARSER_PARSER_H
#define WEIR_PARSER_PARSER_H

#include "core/arena.h"
#include "core/text.h"
#include "parser/ast.h"

/* ---- ${variables}: names (case ignored) and the texts that stand for them ---- */

typedef struct variables variables;

variables *variables_new(void);
void variables_free(variables *v); /* NULL is fine */
void variables_set(variables *v, slice name, slice value); /* copies both */
bool variables_unset(variables *v, slice name);            /* false: there was none */
bool variables_get(const variables *v, slice name, slice *value); /* lent until it is set or unset */
/* For the end of a message about a name that is not defined: "; did you mean day?", or what defines it. Lent as
 * nearest_hint() lends. */
const char *variables_hint(const variables *v, slice name);
uint32_t variables_count(const variables *v);
void variables_at(const variables *v, uint32_t index, slice *name, slice *value); /* in the order defined; lent */

/* ---- scripts, statement by statement ---- */

/* An iterator, since executing a statement (DEFINE) may change how the next one reads. */
typedef struct parser parser;

parser *parser_open(slice sql); /* sql is borrowed until parser_close() */

/* The next statement, or NULL behind the last. The variables are those of now: NULL turns substitution off. After an
 * error the statement that has it has been passed: the call after that goes on behind its semicolon.
 * The last statement may go without a semicolon. */
weir_rc parser_next(parser *p, arena *a, const variables *vars, statement **out, weir_error *err) WEIR_CHECKED;
void parser_close(parser *p); /* NULL is fine */

typedef struct statements {
    statement **items;
    uint32_t count;
} statements;

/* A whole script whose DEFINE and UNDEFINE statements change a copy of vars while it is read (vars itself stays). */
weir_rc parse_script(arena *a, slice sql, const variables *vars, statements *out, weir_error *err) WEIR_CHECKED;

/* For prompts: does what was typed so far end with a semicolon outside of quotes and comments (or hold nothing at all)? */
bool parse_is_complete(slice sql);

/* The words of the language, in order; NULL: there are no more. */
const char *parser_keyword(uint32_t index);

/* ---- parts, as stored plans keep them: no variables in these ---- */

weir_rc parse_statement(arena *a, slice sql, statement **out, weir_error *err) WEIR_CHECKED; /* exactly one */
weir_rc parse_query(arena *a, slice sql, select_query **out, weir_error *err) WEIR_CHECKED;
weir_rc parse_expression(arena *a, slice sql, expr **out, weir_error *err) WEIR_CHECKED;
weir_rc parse_type(arena *a, slice sql, type_name **out, weir_error *err) WEIR_CHECKED;
/* `K` INTEGER KEY, `V` STRUCT<...>, as between the parentheses of CREATE; may be empty. */
weir_rc parse_columns(arena *a, slice sql, column_def_list *out, weir_error *err) WEIR_CHECKED;

/* ---- back to text: canonical SQL that parses to the same tree ---- */

void print_identifier(text *t, slice name); /* in backquotes unless it reads back as itself without them */
void print_string(text *t, slice value);    /* in quotes, those inside doubled */
void print_duration(text *t, int64_t ms);   /* 10s: the largest unit that is exact */
void print_expr(text *t, const expr *e);
void print_type_name(text *t, const type_name *printed);
void print_query(text *t, const select_query *query); /* on one line */
void print_columns(text *t, const column_def_list *columns);
void print_statement(text *t, const statement *s); /* without a semicolon */

#endif
