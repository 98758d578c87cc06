/* parser/build.h - what the grammar's actions call to make nodes. They never fail: an error is noted in the context, the node
 * is made all the same, and the token loop stops. */
#ifndef WEIR_PARSER_BUILD_H
#define WEIR_PARSER_BUILD_H

#include "parser/parse.h"

/* Appends to a counted array in the arena: items has room up to the next power of two, from 4 on. */
void *list_room(arena *a, void *items, uint32_t count, size_t item_bytes);
#define LIST_ADD(context, items_, count_, item_)                                            \
    do {                                                                                    \
        (items_) = list_room((context)->arena, (items_), (count_), sizeof *(items_));       \
        (items_)[(count_)++] = (item_);                                                     \
    } while (0)

/* CREATE [OR REPLACE] ... up to its name */
typedef struct create_head {
    token first;
    source_kind kind;
    bool or_replace;
    bool read_only;
    bool if_not_exists;
    identifier name;
} create_head;

typedef struct within_clause {
    bool present;
    sql_pos at;
    int64_t before_ms;
    int64_t after_ms;
    int64_t grace_ms;
} within_clause;

/* GROUP BY while it is read: the window is told from the expressions at once. */
typedef struct group_list {
    sql_pos at;
    bool present;
    expr_list list;
    window_clause *window;
} group_list;

typedef struct name_value {
    slice text;
    sql_pos at;
    bool quoted;
} name_value;

typedef struct join_word {
    join_type type;
    sql_pos at;
} join_word;

typedef struct condition {
    expr *value; /* NULL: none */
    sql_pos at;
} condition;

typedef struct order_clause {
    sql_pos at;
    order_list list;
} order_clause;

typedef struct emit_word {
    emit_kind kind;
    sql_pos at;
} emit_word;

typedef struct limit_word {
    int64_t count; /* -1: none */
    sql_pos at;
} limit_word;

identifier build_name(parse_context *c, token t);        /* unquoted: in upper case */
identifier build_quoted_name(parse_context *c, token t);
slice build_string(parse_context *c, token t); /* without its quotes, doubled ones undone */
int64_t build_integer(parse_context *c, token t);
int64_t build_count(parse_context *c, token t, const char *of); /* not negative */
int64_t build_duration(parse_context *c, token t);              /* 10s */
int64_t build_amount(parse_context *c, token t, time_unit unit); /* 10 SECONDS */

expr *build_literal(parse_context *c, token t);
expr *build_simple(parse_context *c, expr_kind kind, sql_pos at);
expr *build_unary(parse_context *c, expr_kind kind, sql_pos at, expr *operand);
expr *build_binary(parse_context *c, expr_kind kind, expr *left, expr *right);
expr *build_chain(parse_context *c, expr_kind kind, expr *left, expr *right); /* AND, OR */
expr *build_call(parse_context *c, identifier name, expr_list args);
expr *build_grace(parse_context *c, sql_pos at, int64_t ms); /* GRACE 5s as an argument */
expr *build_unit(parse_context *c, sql_pos at, time_unit unit);
expr *build_lambda(parse_context *c, sql_pos at, identifier_list parameters, expr *body);
void build_above(parse_context *c, expr *e, const expr *child); /* e is higher than child */
void build_above_all(parse_context *c, expr *e, expr_list children);

type_name *build_type(parse_context *c, type_name_kind kind, sql_pos at);
int64_t build_named_parameter(parse_context *c, token t); /* VARCHAR(STRING) */
void build_type_above(parse_context *c, type_name *made, const type_name *child);

relation *build_relation(parse_context *c, relation_kind kind, sql_pos at);
relation *build_join(parse_context *c, join_type how, sql_pos at, relation *left, relation *right, within_clause within,
                     expr *on);

/* An item of GROUP BY: TUMBLING(...), HOPPING(...) and SESSION(...) become the window. */
void build_group_item(parse_context *c, group_list *group, expr *item, int64_t grace_ms);

void build_group_by(parse_context *c, select_query *q, group_list group); /* behind the WINDOW clause */
expr_list build_tuple(parse_context *c, expr *first, expr_list rest);
window_clause *build_window(window_clause *options, window_kind kind, sql_pos at, int64_t size_ms, int64_t advance_ms);
void build_query_tail(select_query *q, order_clause order, emit_word emit, limit_word limit);

statement *build_statement(parse_context *c, statement_kind kind, token first);
statement *build_create(parse_context *c, create_head head, column_def_list columns, property_list with, select_query *q);
statement *build_values(parse_context *c, statement_kind kind, token first, identifier target, identifier_list columns,
                        expr_list values);
statement *build_show(parse_context *c, token first, show_what what, bool all, bool extended);
statement *build_control(parse_context *c, token first, identifier query_id); /* absent: ALL */
statement *build_setting(parse_context *c, statement_kind kind, token first, token name, const token *value);
slice build_upper(parse_context *c, slice from);

#endif
