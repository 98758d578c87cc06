/* parser/grammar.y - the language, for lemon. A superset of ksqlDB's.
 * There are no conflicts and there must be none: lemon fails on them. Words that are keywords only beside certain others
 * (EMIT CHANGES, ORDER BY, PARTITION BY, IF NOT EXISTS ...) are told from names in tokens.c before they come here.
 * Actions make nodes (build.h); errors are noted in the context and stop the token loop at the end of this file. */
%name Grammar
%token_prefix TK_
%token_type { token }
%extra_context { parse_context *c }
%stack_size 0
%stack_overflow { parse_fail(c, WEIR_NOMEM, NOWHERE, "no memory to parse the statement"); }

%include {
#include "parser/build.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#define YYNOERRORRECOVERY 1
}

%left OR.
%left AND.
%right NOT.
%left CONCAT.
%left PLUS MINUS.
%left STAR SLASH PERCENT.
%right SIGN.
%left AT.

/* Which part is wanted: the first token says. */
%start_symbol start
start ::= START_STATEMENT statement(S). { c->statement = S; }
start ::= START_QUERY query(Q). { c->query = Q; }
start ::= START_EXPRESSION expr(E). { c->expr = E; }
start ::= START_TYPE type(T). { c->type = T; }
start ::= START_COLUMNS. { c->columns = (column_def_list){ NULL, 0 }; }
start ::= START_COLUMNS column_defs(L). { c->columns = L; }

/* ---- names ---- */

%type identifier { identifier }
identifier(A) ::= NAME(T). { A = build_name(c, T); }
identifier(A) ::= QUOTED_NAME(T). { A = build_quoted_name(c, T); }
identifier(A) ::= word_name(T). { A = build_name(c, T); }

/* Keywords that may be names. (One rule each: in a|b|c lemon sees conflicts with the uses of a alone.) */
%type word_name { token }
word_name(A) ::= ADD(T). { A = T; }
word_name(A) ::= ALTER(T). { A = T; }
word_name(A) ::= ANALYZE(T). { A = T; }
word_name(A) ::= ARRAY(T). { A = T; }
word_name(A) ::= ASC(T). { A = T; }
word_name(A) ::= ASSERT(T). { A = T; }
word_name(A) ::= DAY(T). { A = T; }
word_name(A) ::= DEFINE(T). { A = T; }
word_name(A) ::= DESC(T). { A = T; }
word_name(A) ::= EXPLAIN(T). { A = T; }
word_name(A) ::= FIRST(T). { A = T; }
word_name(A) ::= FUNCTION(T). { A = T; }
word_name(A) ::= FUNCTIONS(T). { A = T; }
word_name(A) ::= GRACE(T). { A = T; }
word_name(A) ::= HEADER(T). { A = T; }
word_name(A) ::= HEADERS(T). { A = T; }
word_name(A) ::= HOUR(T). { A = T; }
word_name(A) ::= ID_WORD(T). { A = T; }
word_name(A) ::= INTERVAL(T). { A = T; }
word_name(A) ::= KEY(T). { A = T; }
word_name(A) ::= LAST(T). { A = T; }
word_name(A) ::= MAP(T). { A = T; }
word_name(A) ::= MINUTE(T). { A = T; }
word_name(A) ::= NULLS(T). { A = T; }
word_name(A) ::= PAUSE(T). { A = T; }
word_name(A) ::= PERIOD(T). { A = T; }
word_name(A) ::= PLUGINS(T). { A = T; }
word_name(A) ::= PRIMARY(T). { A = T; }
word_name(A) ::= REPLACE(T). { A = T; }
word_name(A) ::= RESUME(T). { A = T; }
word_name(A) ::= SCHEMA(T). { A = T; }
word_name(A) ::= SECOND(T). { A = T; }
word_name(A) ::= SESSION(T). { A = T; }
word_name(A) ::= SET(T). { A = T; }
word_name(A) ::= SHOW(T). { A = T; }
word_name(A) ::= SINK(T). { A = T; }
word_name(A) ::= SOURCE(T). { A = T; }
word_name(A) ::= STRUCT(T). { A = T; }
word_name(A) ::= SUBJECT(T). { A = T; }
word_name(A) ::= SYSTEM(T). { A = T; }
word_name(A) ::= TABLES(T). { A = T; }
word_name(A) ::= TIME(T). { A = T; }
word_name(A) ::= TIMEOUT(T). { A = T; }
word_name(A) ::= TYPE(T). { A = T; }
word_name(A) ::= TYPES(T). { A = T; }
word_name(A) ::= UNDEFINE(T). { A = T; }
word_name(A) ::= VARIABLES(T). { A = T; }
word_name(A) ::= ZONE(T). { A = T; }

%type names { identifier_list }
names(A) ::= identifier(I). { A = (identifier_list){ NULL, 0 }; LIST_ADD(c, A.items, A.count, I); }
names(A) ::= names(A) COMMA identifier(I). { LIST_ADD(c, A.items, A.count, I); }

/* A name whose case is kept, or a string: topics, subjects. */
%type resource { name_value }
resource(A) ::= NAME(T). { A = (name_value){ T.text, T.at, false }; }
resource(A) ::= word_name(T). { A = (name_value){ T.text, T.at, false }; }
resource(A) ::= QUOTED_NAME(T). { A = (name_value){ build_quoted_name(c, T).name, T.at, true }; }
resource(A) ::= STRING(T). { A = (name_value){ build_string(c, T), T.at, true }; }

/* ---- durations ---- */

%type unit { time_unit }
unit(A) ::= plural_unit(U). { A = U; }
unit(A) ::= SECOND. { A = UNIT_SECONDS; }
unit(A) ::= MINUTE. { A = UNIT_MINUTES; }
unit(A) ::= HOUR. { A = UNIT_HOURS; }
unit(A) ::= DAY. { A = UNIT_DAYS; }

%type plural_unit { time_unit }
plural_unit(A) ::= MILLISECOND|MILLISECONDS. { A = UNIT_MILLISECONDS; }
plural_unit(A) ::= SECONDS. { A = UNIT_SECONDS; }
plural_unit(A) ::= MINUTES. { A = UNIT_MINUTES; }
plural_unit(A) ::= HOURS. { A = UNIT_HOURS; }
plural_unit(A) ::= DAYS. { A = UNIT_DAYS; }

%type duration { int64_t }
duration(A) ::= INTEGER(N) unit(U). { A = build_amount(c, N, U); }
duration(A) ::= DURATION(D). { A = build_duration(c, D); }

%type grace { int64_t }
grace(A) ::= GRACE PERIOD duration(D). { A = D; }
grace(A) ::= GRACE duration(D). { A = D; }

/* ---- types ---- */

%type type { type_name * }
type(A) ::= identifier(I). {
    A = build_type(c, TYPE_NAME_PLAIN, I.at);
    A->name = I;
}
type(A) ::= identifier(I) LP type_parameters(P) RP. {
    A = build_type(c, TYPE_NAME_PLAIN, I.at);
    A->name = I;
    A->parameters = P->parameters;
    A->parameter_count = P->parameter_count;
}
type(A) ::= type(T) ARRAY. {
    A = build_type(c, TYPE_NAME_ARRAY, T->at);
    A->element = T;
    build_type_above(c, A, T);
}
type(A) ::= ARRAY(W) LT type(T) GT. {
    A = build_type(c, TYPE_NAME_ARRAY, W.at);
    A->element = T;
    build_type_above(c, A, T);
}
type(A) ::= MAP(W) LT type(K) COMMA type(V) GT. {
    A = build_type(c, TYPE_NAME_MAP, W.at);
    A->key = K;
    A->element = V;
    build_type_above(c, A, K);
    build_type_above(c, A, V);
}
type(A) ::= STRUCT(W) LT type_fields(F) GT. {
    A = F;
    A->at = W.at;
}
type(A) ::= STRUCT(W) LT GT. { A = build_type(c, TYPE_NAME_STRUCT, W.at); }
type(A) ::= STRUCT(W) NE. { A = build_type(c, TYPE_NAME_STRUCT, W.at); }

%type type_fields { type_name * }
type_fields(A) ::= identifier(I) type(T). {
    A = build_type(c, TYPE_NAME_STRUCT, I.at);
    LIST_ADD(c, A->fields, A->field_count, ((type_name_field){ I, T }));
    build_type_above(c, A, T);
}
type_fields(A) ::= type_fields(A) COMMA identifier(I) type(T). {
    LIST_ADD(c, A->fields, A->field_count, ((type_name_field){ I, T }));
    build_type_above(c, A, T);
}

%type type_parameters { type_name * }
type_parameters(A) ::= type_parameter(P). {
    A = build_type(c, TYPE_NAME_PLAIN, NOWHERE);
    LIST_ADD(c, A->parameters, A->parameter_count, P);
}
type_parameters(A) ::= type_parameters(A) COMMA type_parameter(P). {
    LIST_ADD(c, A->parameters, A->parameter_count, P);
}

%type type_parameter { int64_t }
type_parameter(A) ::= INTEGER(N). { A = build_integer(c, N); }
type_parameter(A) ::= NAME(T). { A = build_named_parameter(c, T); }

/* ---- expressions: conditions over values over primaries ---- */

%type expr { expr * }
expr(A) ::= expr(L) OR expr(R). { A = build_chain(c, EXPR_OR, L, R); }
expr(A) ::= expr(L) AND expr(R). { A = build_chain(c, EXPR_AND, L, R); }
expr(A) ::= NOT(T) expr(E). { A = build_unary(c, EXPR_NOT, T.at, E); }
expr(A) ::= predicate(E). { A = E; }

%type negated { bool }
negated(A) ::= . { A = false; }
negated(A) ::= NOT. { A = true; }

%type predicate { expr * }
predicate(A) ::= value(E). { A = E; }
predicate(A) ::= value(L) compare(O) value(R). { A = build_binary(c, O, L, R); }
predicate(A) ::= value(L) IS NOT DISTINCT FROM value(R). { A = build_binary(c, EXPR_IS_NOT_DISTINCT, L, R); }
predicate(A) ::= value(L) IS DISTINCT FROM value(R). { A = build_binary(c, EXPR_IS_DISTINCT, L, R); }
predicate(A) ::= value(E) IS negated(N) NULL. {
    A = build_simple(c, EXPR_IS_NULL, E->at);
    A->is_null.value = E;
    A->is_null.negated = N;
    build_above(c, A, E);
}
predicate(A) ::= value(E) negated(N) BETWEEN value(L) AND value(H). {
    A = build_simple(c, EXPR_BETWEEN, E->at);
    A->between.value = E;
    A->between.low = L;
    A->between.high = H;
    A->between.negated = N;
    build_above(c, A, E);
    build_above(c, A, L);
    build_above(c, A, H);
}
predicate(A) ::= value(E) negated(N) IN LP exprs(L) RP. {
    A = build_simple(c, EXPR_IN, E->at);
    A->in.value = E;
    A->in.list = L;
    A->in.negated = N;
    build_above(c, A, E);
    build_above_all(c, A, L);
}
predicate(A) ::= value(E) negated(N) LIKE value(P) escape(X). {
    A = build_simple(c, EXPR_LIKE, E->at);
    A->like.value = E;
    A->like.pattern = P;
    A->like.escape = X;
    A->like.negated = N;
    build_above(c, A, E);
    build_above(c, A, P);
}

%type escape { slice }
escape(A) ::= . { A = NO_SLICE; }
escape(A) ::= ESCAPE STRING(T). { A = build_string(c, T); }

%type compare { expr_kind }
compare(A) ::= EQ. { A = EXPR_EQUAL; }
compare(A) ::= NE. { A = EXPR_NOT_EQUAL; }
compare(A) ::= LT. { A = EXPR_LESS; }
compare(A) ::= LE. { A = EXPR_LESS_EQUAL; }
compare(A) ::= GT. { A = EXPR_GREATER; }
compare(A) ::= GE. { A = EXPR_GREATER_EQUAL; }

%type value { expr * }
value(A) ::= primary(E). { A = E; }
value(A) ::= value(E) AT TIME ZONE STRING(T). {
    A = build_simple(c, EXPR_AT_TIME_ZONE, E->at);
    A->at_time_zone.value = E;
    A->at_time_zone.zone = build_string(c, T);
    build_above(c, A, E);
}
value(A) ::= MINUS(T) value(E). [SIGN] { A = build_unary(c, EXPR_NEGATE, T.at, E); }
value(A) ::= PLUS(T) value(E). [SIGN] { A = build_unary(c, EXPR_PLUS, T.at, E); }
value(A) ::= value(L) STAR value(R). { A = build_binary(c, EXPR_MULTIPLY, L, R); }
value(A) ::= value(L) SLASH value(R). { A = build_binary(c, EXPR_DIVIDE, L, R); }
value(A) ::= value(L) PERCENT value(R). { A = build_binary(c, EXPR_MODULO, L, R); }
value(A) ::= value(L) PLUS value(R). { A = build_binary(c, EXPR_ADD, L, R); }
value(A) ::= value(L) MINUS value(R). { A = build_binary(c, EXPR_SUBTRACT, L, R); }
value(A) ::= value(L) CONCAT value(R). { A = build_binary(c, EXPR_CONCAT, L, R); }

%type literal { expr * }
literal(A) ::= NULL(T). { A = build_literal(c, T); }
literal(A) ::= TRUE(T). { A = build_literal(c, T); }
literal(A) ::= FALSE(T). { A = build_literal(c, T); }
literal(A) ::= INTEGER(T). { A = build_literal(c, T); }
literal(A) ::= DECIMAL(T). { A = build_literal(c, T); }
literal(A) ::= DOUBLE(T). { A = build_literal(c, T); }
literal(A) ::= STRING(T). { A = build_literal(c, T); }
literal(A) ::= DURATION(T). { A = build_literal(c, T); }

%type primary { expr * }
primary(A) ::= literal(E). { A = E; }
primary(A) ::= LP expr(E) RP. { A = E; }
primary(A) ::= call(E). { A = E; }
primary(A) ::= identifier(I). {
    A = build_simple(c, EXPR_COLUMN, I.at);
    A->column.name = I;
}
primary(A) ::= identifier(S) DOT identifier(I). {
    A = build_simple(c, EXPR_COLUMN, S.at);
    A->column.source = S;
    A->column.name = I;
}
primary(A) ::= identifier(I) STRING(T). {
    A = build_simple(c, EXPR_TYPED_STRING, I.at);
    A->typed_string.type = I;
    A->typed_string.string = build_string(c, T);
}
primary(A) ::= primary(B) ARROW identifier(I). {
    A = build_simple(c, EXPR_FIELD, B->at);
    A->field.base = B;
    A->field.name = I;
    build_above(c, A, B);
}
primary(A) ::= primary(B) LB value(X) RB. {
    A = build_simple(c, EXPR_SUBSCRIPT, B->at);
    A->subscript.base = B;
    A->subscript.index = X;
    build_above(c, A, B);
    build_above(c, A, X);
}
primary(A) ::= CASE(T) case_branches(L) case_else(E) END. {
    A = L;
    A->at = T.at;
    A->switch_case.otherwise = E;
    build_above(c, A, E);
}
primary(A) ::= CASE(T) value(V) case_branches(L) case_else(E) END. {
    A = L;
    A->at = T.at;
    A->switch_case.value = V;
    A->switch_case.otherwise = E;
    build_above(c, A, V);
    build_above(c, A, E);
}
primary(A) ::= CAST(T) LP expr(E) AS type(Y) RP. {
    A = build_simple(c, EXPR_CAST, T.at);
    A->cast.value = E;
    A->cast.type = Y;
    build_above(c, A, E);
}
primary(A) ::= ARRAY_LITERAL(T) LB RB. { A = build_simple(c, EXPR_ARRAY, T.at); }
primary(A) ::= ARRAY_LITERAL(T) LB exprs(L) RB. {
    A = build_simple(c, EXPR_ARRAY, T.at);
    A->list = L;
    build_above_all(c, A, L);
}
primary(A) ::= MAP_LITERAL(T) LP RP. { A = build_simple(c, EXPR_MAP, T.at); }
primary(A) ::= MAP_LITERAL(T) LP map_entries(L) RP. {
    A = L;
    A->at = T.at;
}
primary(A) ::= STRUCT_LITERAL(T) LP RP. { A = build_simple(c, EXPR_STRUCT, T.at); }
primary(A) ::= STRUCT_LITERAL(T) LP struct_entries(L) RP. {
    A = L;
    A->at = T.at;
}

%type case_branches { expr * }
case_branches(A) ::= WHEN(T) expr(W) THEN expr(R). {
    A = build_simple(c, EXPR_CASE, T.at);
    LIST_ADD(c, A->switch_case.branches, A->switch_case.branch_count, ((case_branch){ W, R }));
    build_above(c, A, W);
    build_above(c, A, R);
}
case_branches(A) ::= case_branches(A) WHEN expr(W) THEN expr(R). {
    LIST_ADD(c, A->switch_case.branches, A->switch_case.branch_count, ((case_branch){ W, R }));
    build_above(c, A, W);
    build_above(c, A, R);
}

%type case_else { expr * }
case_else(A) ::= . { A = NULL; }
case_else(A) ::= ELSE expr(E). { A = E; }

%type map_entries { expr * }
map_entries(A) ::= expr(K) ASSIGN expr(V). {
    A = build_simple(c, EXPR_MAP, K->at);
    LIST_ADD(c, A->map.entries, A->map.count, ((map_entry){ K, V }));
    build_above(c, A, K);
    build_above(c, A, V);
}
map_entries(A) ::= map_entries(A) COMMA expr(K) ASSIGN expr(V). {
    LIST_ADD(c, A->map.entries, A->map.count, ((map_entry){ K, V }));
    build_above(c, A, K);
    build_above(c, A, V);
}

%type struct_entries { expr * }
struct_entries(A) ::= identifier(I) ASSIGN expr(V). {
    A = build_simple(c, EXPR_STRUCT, I.at);
    LIST_ADD(c, A->structure.entries, A->structure.count, ((struct_entry){ I, V }));
    build_above(c, A, V);
}
struct_entries(A) ::= struct_entries(A) COMMA identifier(I) ASSIGN expr(V). {
    LIST_ADD(c, A->structure.entries, A->structure.count, ((struct_entry){ I, V }));
    build_above(c, A, V);
}

%type exprs { expr_list }
exprs(A) ::= expr(E). { A = (expr_list){ NULL, 0 }; LIST_ADD(c, A.items, A.count, E); }
exprs(A) ::= exprs(A) COMMA expr(E). { LIST_ADD(c, A.items, A.count, E); }

/* ---- calls ---- */

%type call { expr * }
call(A) ::= plain_call(E). { A = E; }
call(A) ::= plain_call(E) OVER(T) LP over_partition(P) order_by(O) RP. {
    A = E;
    A->call.over = ARENA_NEW(c->arena, over_clause);
    A->call.over->at = T.at;
    A->call.over->partition_by = P;
    A->call.over->order_by = O.list;
    build_above_all(c, A, P);
    for (uint32_t i = 0; i < O.list.count; i++) build_above(c, A, O.list.items[i].by);
}

%type over_partition { expr_list }
over_partition(A) ::= . { A = (expr_list){ NULL, 0 }; }
over_partition(A) ::= PARTITION BY exprs(L). { A = L; }

%type call_name { identifier }
call_name(A) ::= identifier(I). { A = I; }
call_name(A) ::= TUMBLING|HOPPING(T). { A = build_name(c, T); }

%type plain_call { expr * }
plain_call(A) ::= call_name(I) LP RP. { A = build_call(c, I, (expr_list){ NULL, 0 }); }
plain_call(A) ::= call_name(I) LP args(L) RP. { A = build_call(c, I, L); }
plain_call(A) ::= call_name(I) LP DISTINCT args(L) RP. {
    A = build_call(c, I, L);
    A->call.distinct = true;
}
plain_call(A) ::= call_name(I) LP STAR RP. {
    A = build_call(c, I, (expr_list){ NULL, 0 });
    A->call.star = true;
}

%type args { expr_list }
args(A) ::= arg(E). { A = (expr_list){ NULL, 0 }; LIST_ADD(c, A.items, A.count, E); }
args(A) ::= args(A) COMMA arg(E). { LIST_ADD(c, A.items, A.count, E); }

%type arg { expr * }
arg(A) ::= expr(E). { A = E; }
arg(A) ::= lambda(E). { A = E; }
arg(A) ::= unit_word(E). { A = E; }
arg(A) ::= INTEGER(N) unit(U). {
    A = build_simple(c, EXPR_DURATION, N.at);
    A->duration_ms = build_amount(c, N, U);
}
arg(A) ::= GRACE(T) duration(D). { A = build_grace(c, T.at, D); }
arg(A) ::= GRACE(T) PERIOD duration(D). { A = build_grace(c, T.at, D); }

%type unit_word { expr * }
unit_word(A) ::= MILLISECOND|MILLISECONDS(T). { A = build_unit(c, T.at, UNIT_MILLISECONDS); }
unit_word(A) ::= SECONDS(T). { A = build_unit(c, T.at, UNIT_SECONDS); }
unit_word(A) ::= MINUTES(T). { A = build_unit(c, T.at, UNIT_MINUTES); }
unit_word(A) ::= HOURS(T). { A = build_unit(c, T.at, UNIT_HOURS); }
unit_word(A) ::= DAYS(T). { A = build_unit(c, T.at, UNIT_DAYS); }

%type lambda { expr * }
lambda(A) ::= identifier(I) FAT_ARROW expr(E). {
    identifier_list names = { NULL, 0 };
    LIST_ADD(c, names.items, names.count, I);
    A = build_lambda(c, I.at, names, E);
}
lambda(A) ::= LAMBDA_LP(T) names(L) RP FAT_ARROW expr(E). { A = build_lambda(c, T.at, L, E); }

/* ---- queries ---- */

%type query { select_query * }
query(A) ::= selects(Q) order_by(O) emit(E) limit(L). {
    A = Q;
    build_query_tail(A, O, E, L);
}
query(A) ::= WITH(T) common_tables(W) selects(Q) order_by(O) emit(E) limit(L). {
    A = Q;
    A->at = T.at;
    A->common_tables = W->common_tables;
    A->common_table_count = W->common_table_count;
    build_query_tail(A, O, E, L);
}

%type common_tables { select_query * }
common_tables(A) ::= identifier(I) AS LP query(Q) RP. {
    A = ARENA_NEW(c->arena, select_query);
    LIST_ADD(c, A->common_tables, A->common_table_count, ((common_table){ I, Q }));
}
common_tables(A) ::= common_tables(A) COMMA identifier(I) AS LP query(Q) RP. {
    LIST_ADD(c, A->common_tables, A->common_table_count, ((common_table){ I, Q }));
}

%type selects { select_query * }
selects(A) ::= select(Q). { A = Q; }
selects(A) ::= selects(A) UNION ALL select(Q). { LIST_ADD(c, A->union_all, A->union_count, Q); }

%type select { select_query * }
select(A) ::= SELECT(T) distinct(D) select_items(I) FROM relation(F) window(W) where(C) group_by(G) partition_by(P) having(H). {
    A = I;
    A->at = T.at;
    A->limit = -1;
    A->distinct = D;
    A->from = F;
    A->window = W;
    A->where = C.value;
    A->where_at = C.at;
    build_group_by(c, A, G);
    A->has_partition_by = P.present;
    A->partition_by = P.list;
    A->partition_by_at = P.at;
    A->having = H.value;
    A->having_at = H.at;
}

%type distinct { bool }
distinct(A) ::= . { A = false; }
distinct(A) ::= DISTINCT. { A = true; }

%type select_items { select_query * }
select_items(A) ::= select_item(I). {
    A = ARENA_NEW(c->arena, select_query);
    LIST_ADD(c, A->items, A->item_count, I);
}
select_items(A) ::= select_items(A) COMMA select_item(I). { LIST_ADD(c, A->items, A->item_count, I); }

%type select_item { select_item }
select_item(A) ::= expr(E). { A = (select_item){ .kind = SELECT_EXPR, .at = E->at, .value = E }; }
select_item(A) ::= expr(E) identifier(I). { A = (select_item){ .kind = SELECT_EXPR, .at = E->at, .value = E, .alias = I }; }
select_item(A) ::= expr(E) AS identifier(I). { A = (select_item){ .kind = SELECT_EXPR, .at = E->at, .value = E, .alias = I }; }
select_item(A) ::= primary(B) ARROW STAR. { A = (select_item){ .kind = SELECT_STRUCT_ALL, .at = B->at, .value = B }; }
select_item(A) ::= identifier(S) DOT STAR. { A = (select_item){ .kind = SELECT_SOURCE_ALL, .at = S.at, .source = S }; }
select_item(A) ::= STAR(T). { A = (select_item){ .kind = SELECT_ALL, .at = T.at }; }

%type relation { relation * }
relation(A) ::= aliased_relation(R). { A = R; }
relation(A) ::= relation(L) join_type(T) aliased_relation(R) within(W) ON expr(E). {
    A = build_join(c, T.type, T.at, L, R, W, E);
}

relation(A) ::= relation(A) COMMA(T) aliased_relation. {
    parse_fail(c, WEIR_SYNTAX, T.at, "sources are joined with JOIN ... ON, not with a comma");
}

%type join_type { join_word }
join_type(A) ::= JOIN(T). { A = (join_word){ INNER_JOIN, T.at }; }
join_type(A) ::= INNER(T) JOIN. { A = (join_word){ INNER_JOIN, T.at }; }
join_type(A) ::= LEFT(T) outer JOIN. { A = (join_word){ LEFT_JOIN, T.at }; }
join_type(A) ::= RIGHT(T) outer JOIN. { A = (join_word){ RIGHT_JOIN, T.at }; }
join_type(A) ::= FULL(T) outer JOIN. { A = (join_word){ FULL_JOIN, T.at }; }
join_type(A) ::= OUTER(T) JOIN. { A = (join_word){ FULL_JOIN, T.at }; }

outer ::= .
outer ::= OUTER.

%type aliased_relation { relation * }
aliased_relation(A) ::= bare_relation(R). { A = R; }
aliased_relation(A) ::= bare_relation(R) identifier(I). { A = R; A->alias = I; }
aliased_relation(A) ::= bare_relation(R) AS identifier(I). { A = R; A->alias = I; }

%type bare_relation { relation * }
bare_relation(A) ::= identifier(I). {
    A = build_relation(c, RELATION_SOURCE, I.at);
    A->source = I;
}
bare_relation(A) ::= plain_call(E). {
    A = build_relation(c, RELATION_SOURCE, E->at);
    parse_fail(c, WEIR_SYNTAX, E->at, "%.*s(...) cannot be read from: FROM takes a stream or a table, and functions stand in the SELECT list",
               SLICE_ARG(E->call.name.name));
}
bare_relation(A) ::= LP(T) query(Q) RP. {
    A = build_relation(c, RELATION_QUERY, T.at);
    A->query = Q;
}

%type within { within_clause }
within(A) ::= . { A = (within_clause){ 0 }; }
within(A) ::= WITHIN(T) duration(D) within_grace(G). { A = (within_clause){ true, T.at, D, D, G }; }
within(A) ::= WITHIN(T) LP duration(B) COMMA duration(D) RP within_grace(G). { A = (within_clause){ true, T.at, B, D, G }; }

%type within_grace { int64_t }
within_grace(A) ::= . { A = NO_DURATION; }
within_grace(A) ::= grace(G). { A = G; }

%type window { window_clause * }
window(A) ::= . { A = NULL; }
window(A) ::= WINDOW window_name TUMBLING(T) LP SIZE duration(S) window_options(O) RP. {
    A = build_window(O, WINDOW_TUMBLING, T.at, S, 0);
}
window(A) ::= WINDOW window_name HOPPING(T) LP SIZE duration(S) COMMA ADVANCE BY duration(V) window_options(O) RP. {
    A = build_window(O, WINDOW_HOPPING, T.at, S, V);
}
window(A) ::= WINDOW window_name HOPPING(T) LP SIZE duration RP. {
    A = NULL;
    parse_fail(c, WEIR_SYNTAX, T.at, "HOPPING needs to know how far apart its windows begin: (SIZE 1 HOUR, ADVANCE BY 10 MINUTES); TUMBLING has "
                                     "them side by side");
}
window(A) ::= WINDOW window_name SESSION(T) LP duration(S) window_options(O) RP. {
    A = build_window(O, WINDOW_SESSION, T.at, S, 0);
}

/* Accepted and without meaning, as in ksqlDB. */
window_name ::= .
window_name ::= NAME.

%type window_options { window_clause * }
window_options(A) ::= . {
    A = ARENA_NEW(c->arena, window_clause);
    A->retention_ms = NO_DURATION;
    A->grace_ms = NO_DURATION;
}
window_options(A) ::= window_options(A) COMMA RETENTION(T) duration(D). {
    if (A->retention_ms != NO_DURATION) parse_fail(c, WEIR_SYNTAX, T.at, "RETENTION is given twice");
    A->retention_ms = D;
}
window_options(A) ::= window_options(A) COMMA(T) grace(D). {
    if (A->grace_ms != NO_DURATION) parse_fail(c, WEIR_SYNTAX, T.at, "GRACE is given twice");
    A->grace_ms = D;
}

%type where { condition }
where(A) ::= . { A = (condition){ NULL, NOWHERE }; }
where(A) ::= WHERE(T) expr(E). { A = (condition){ E, T.at }; }

%type having { condition }
having(A) ::= . { A = (condition){ NULL, NOWHERE }; }
having(A) ::= HAVING(T) expr(E). { A = (condition){ E, T.at }; }

/* GROUP BY a, b | (a, b) | () | a, TUMBLING(10s) GRACE 5s. Conditions stand in parentheses, as in ksqlDB. */
%type group_by { group_list }
group_by(A) ::= . { A = (group_list){ 0 }; }
group_by(A) ::= GROUP(T) BY group_items(G). {
    A = G;
    A.at = T.at;
}

%type group_items { group_list }
group_items(A) ::= value(E). {
    A = (group_list){ .present = true };
    build_group_item(c, &A, E, NO_DURATION);
}
group_items(A) ::= value(E) grace(D). {
    A = (group_list){ .present = true };
    build_group_item(c, &A, E, D);
}
group_items(A) ::= tuple(L). {
    A = (group_list){ .present = true };
    for (uint32_t i = 0; i < L.count; i++) build_group_item(c, &A, L.items[i], NO_DURATION);
}
group_items(A) ::= group_items(A) COMMA value(E). { build_group_item(c, &A, E, NO_DURATION); }
group_items(A) ::= group_items(A) COMMA value(E) grace(D). { build_group_item(c, &A, E, D); }
group_items(A) ::= group_items(A) COMMA tuple(L). {
    for (uint32_t i = 0; i < L.count; i++) build_group_item(c, &A, L.items[i], NO_DURATION);
}

/* In parentheses, none or more than one: a single one is an expression. */
%type tuple { expr_list }
tuple(A) ::= LP RP. { A = (expr_list){ NULL, 0 }; }
tuple(A) ::= LP expr(F) COMMA exprs(L) RP. { A = build_tuple(c, F, L); }

%type partition_by { group_list }
partition_by(A) ::= . { A = (group_list){ 0 }; }
partition_by(A) ::= PARTITION(T) BY value_list(L). { A = (group_list){ .at = T.at, .present = true, .list = L }; }
partition_by(A) ::= PARTITION(T) BY tuple(L). { A = (group_list){ .at = T.at, .present = true, .list = L }; }

%type value_list { expr_list }
value_list(A) ::= value(E). { A = (expr_list){ NULL, 0 }; LIST_ADD(c, A.items, A.count, E); }
value_list(A) ::= value_list(A) COMMA value(E). { LIST_ADD(c, A.items, A.count, E); }

%type order_by { order_clause }
order_by(A) ::= . { A = (order_clause){ 0 }; }
order_by(A) ::= ORDER(T) BY order_items(L). { A = (order_clause){ T.at, L }; }

%type order_items { order_list }
order_items(A) ::= order_item(I). { A = (order_list){ NULL, 0 }; LIST_ADD(c, A.items, A.count, I); }
order_items(A) ::= order_items(A) COMMA order_item(I). { LIST_ADD(c, A.items, A.count, I); }

%type order_item { order_item }
order_item(A) ::= expr(E) descending(D). { A = (order_item){ .by = E, .descending = D }; }
order_item(A) ::= expr(E) descending(D) NULLS FIRST. {
    A = (order_item){ .by = E, .descending = D, .has_nulls = true, .nulls_first = true };
}
order_item(A) ::= expr(E) descending(D) NULLS LAST. { A = (order_item){ .by = E, .descending = D, .has_nulls = true }; }

%type descending { bool }
descending(A) ::= . { A = false; }
descending(A) ::= ASC. { A = false; }
descending(A) ::= DESC. { A = true; }

%type emit { emit_word }
emit(A) ::= . { A = (emit_word){ EMIT_NONE, NOWHERE }; }
emit(A) ::= EMIT(T) CHANGES. { A = (emit_word){ EMIT_CHANGES, T.at }; }
emit(A) ::= EMIT(T) FINAL. { A = (emit_word){ EMIT_FINAL, T.at }; }

%type limit { limit_word }
limit(A) ::= . { A = (limit_word){ -1, NOWHERE }; }
limit(A) ::= LIMIT(T) INTEGER(N). { A = (limit_word){ build_count(c, N, "LIMIT"), T.at }; }

/* ---- statements ---- */

%type statement { statement * }
statement(A) ::= plain_statement(S). { A = S; }
statement(A) ::= EXPLAIN(T) plain_statement(S). {
    A = build_statement(c, STATEMENT_EXPLAIN, T);
    A->explain.inner = S;
}
statement(A) ::= EXPLAIN(T) ANALYZE plain_statement(S). {
    A = build_statement(c, STATEMENT_EXPLAIN, T);
    A->explain.analyze = true;
    A->explain.inner = S;
}
statement(A) ::= EXPLAIN(T) identifier(I). {
    A = build_statement(c, STATEMENT_EXPLAIN, T);
    A->explain.query_id = I;
}
statement(A) ::= EXPLAIN(T) ANALYZE identifier(I). {
    A = build_statement(c, STATEMENT_EXPLAIN, T);
    A->explain.analyze = true;
    A->explain.query_id = I;
}

%type plain_statement { statement * }
plain_statement(A) ::= query(Q). {
    A = ARENA_NEW(c->arena, statement);
    A->kind = STATEMENT_QUERY;
    A->at = Q->at;
    A->query = Q;
}

/* CREATE */
%type source_kind { source_kind }
source_kind(A) ::= STREAM. { A = SOURCE_STREAM; }
source_kind(A) ::= TABLE. { A = SOURCE_TABLE; }

%type create { create_head }
create(A) ::= CREATE(T). { A = (create_head){ .first = T }; }
create(A) ::= CREATE(T) OR REPLACE. { A = (create_head){ .first = T, .or_replace = true }; }

%type if_not_exists { bool }
if_not_exists(A) ::= . { A = false; }
if_not_exists(A) ::= IF NOT EXISTS. { A = true; }

%type create_source { create_head }
create_source(A) ::= create(H) source_kind(K) if_not_exists(N) identifier(I). {
    A = H;
    A.kind = K;
    A.if_not_exists = N;
    A.name = I;
}
create_source(A) ::= create(H) SOURCE source_kind(K) if_not_exists(N) identifier(I). {
    A = H;
    A.kind = K;
    A.read_only = true;
    A.if_not_exists = N;
    A.name = I;
}

plain_statement(A) ::= create_source(H) columns(D) with(W) as_query(Q). { A = build_create(c, H, D, W, Q); }

%type as_query { select_query * }
as_query(A) ::= . { A = NULL; }
as_query(A) ::= AS query(Q). { A = Q; }

%type columns { column_def_list }
columns(A) ::= . { A = (column_def_list){ NULL, 0 }; }
columns(A) ::= LP column_defs(L) RP. { A = L; }

%type column_defs { column_def_list }
column_defs(A) ::= column_def(D). { A = (column_def_list){ NULL, 0 }; LIST_ADD(c, A.items, A.count, D); }
column_defs(A) ::= column_defs(A) COMMA column_def(D). { LIST_ADD(c, A.items, A.count, D); }

%type column_def { column_def }
column_def(A) ::= identifier(I) type(T). { A = (column_def){ .name = I, .type = T }; }
column_def(A) ::= identifier(I) type(T) KEY(W). {
    A = (column_def){ .name = I, .type = T, .role = COLUMN_KEY, .role_at = W.at };
}
column_def(A) ::= identifier(I) type(T) PRIMARY(W) KEY. {
    A = (column_def){ .name = I, .type = T, .role = COLUMN_PRIMARY_KEY, .role_at = W.at };
}
column_def(A) ::= identifier(I) type(T) HEADERS(W). {
    A = (column_def){ .name = I, .type = T, .role = COLUMN_HEADERS, .role_at = W.at };
}
column_def(A) ::= identifier(I) type(T) HEADER(W) LP STRING(S) RP. {
    A = (column_def){ .name = I, .type = T, .role = COLUMN_HEADER, .role_at = W.at, .header = build_string(c, S) };
}

column_def(A) ::= TABLE_KEY(T) KEY LP names RP. {
    A = (column_def){ 0 };
    parse_fail(c, WEIR_SYNTAX, T.at, "the key is told beside each of its columns: name type PRIMARY KEY");
}

%type with { property_list }
with(A) ::= . { A = (property_list){ NULL, 0 }; }
with(A) ::= some_with(L). { A = L; }

%type some_with { property_list }
some_with(A) ::= WITH LP properties(L) RP. { A = L; }

%type properties { property_list }
properties(A) ::= property(P). { A = (property_list){ NULL, 0 }; LIST_ADD(c, A.items, A.count, P); }
properties(A) ::= properties(A) COMMA property(P). { LIST_ADD(c, A.items, A.count, P); }

%type property { with_property }
property(A) ::= resource(N) EQ literal(E). {
    A = (with_property){ .name = build_upper(c, N.text), .typed = N.text, .quoted = N.quoted, .at = N.at, .value = E };
}

plain_statement(A) ::= create(H) TYPE(T) if_not_exists(N) identifier(I) AS type(Y). {
    if (H.or_replace) parse_fail(c, WEIR_SYNTAX, T.at, "OR REPLACE is for streams and tables");
    A = build_statement(c, STATEMENT_CREATE_TYPE, H.first);
    A->create_type.if_not_exists = N;
    A->create_type.name = I;
    A->create_type.type = Y;
}
plain_statement(A) ::= create(H) sink_or_source(K) CONNECTOR(T) if_not_exists(N) identifier(I) some_with(W). {
    if (H.or_replace) parse_fail(c, WEIR_SYNTAX, T.at, "OR REPLACE is for streams and tables");
    A = build_statement(c, STATEMENT_CREATE_CONNECTOR, H.first);
    A->create_connector.sink = K;
    A->create_connector.if_not_exists = N;
    A->create_connector.name = I;
    A->create_connector.with = W;
}

%type sink_or_source { bool }
sink_or_source(A) ::= SINK. { A = true; }
sink_or_source(A) ::= SOURCE. { A = false; }

/* INSERT */
plain_statement(A) ::= INSERT(T) INTO identifier(I) query(Q). {
    A = build_statement(c, STATEMENT_INSERT_QUERY, T);
    A->insert_query.target = I;
    A->insert_query.query = Q;
}
plain_statement(A) ::= INSERT(T) INTO identifier(I) some_with(W) query(Q). {
    A = build_statement(c, STATEMENT_INSERT_QUERY, T);
    A->insert_query.target = I;
    A->insert_query.with = W;
    A->insert_query.query = Q;
}
plain_statement(A) ::= INSERT(T) INTO identifier(I) column_names(N) VALUES values(V). {
    A = build_values(c, STATEMENT_INSERT_VALUES, T, I, N, V);
}

%type column_names { identifier_list }
column_names(A) ::= . { A = (identifier_list){ NULL, 0 }; }
column_names(A) ::= LP names(L) RP. { A = L; }

%type values { expr_list }
values(A) ::= LP RP. { A = (expr_list){ NULL, 0 }; }
values(A) ::= LP exprs(L) RP. { A = L; }

/* DROP, ALTER */
%type if_exists { bool }
if_exists(A) ::= . { A = false; }
if_exists(A) ::= IF EXISTS. { A = true; }

%type delete_topic { bool }
delete_topic(A) ::= . { A = false; }
delete_topic(A) ::= DELETE TOPIC. { A = true; }

plain_statement(A) ::= DROP(T) source_kind(K) if_exists(E) identifier(I) delete_topic(D). {
    A = build_statement(c, STATEMENT_DROP_SOURCE, T);
    A->drop.kind = K;
    A->drop.if_exists = E;
    A->drop.name = I;
    A->drop.delete_topic = D;
}
plain_statement(A) ::= DROP(T) TYPE if_exists(E) identifier(I). {
    A = build_statement(c, STATEMENT_DROP_TYPE, T);
    A->drop.if_exists = E;
    A->drop.name = I;
}
plain_statement(A) ::= DROP(T) CONNECTOR if_exists(E) identifier(I). {
    A = build_statement(c, STATEMENT_DROP_CONNECTOR, T);
    A->drop.if_exists = E;
    A->drop.name = I;
}
plain_statement(A) ::= ALTER(T) source_kind(K) identifier(I) added_columns(L). {
    A = build_statement(c, STATEMENT_ALTER_SOURCE, T);
    A->alter.kind = K;
    A->alter.name = I;
    A->alter.columns = L;
}
plain_statement(A) ::= ALTER(T) SYSTEM STRING(N) EQ STRING(V). { A = build_setting(c, STATEMENT_ALTER_SYSTEM, T, N, &V); }

%type added_columns { column_def_list }
added_columns(A) ::= added_column(D). { A = (column_def_list){ NULL, 0 }; LIST_ADD(c, A.items, A.count, D); }
added_columns(A) ::= added_columns(A) COMMA added_column(D). { LIST_ADD(c, A.items, A.count, D); }

%type added_column { column_def }
added_column(A) ::= ADD identifier(I) type(T). { A = (column_def){ .name = I, .type = T }; }
added_column(A) ::= ADD COLUMN identifier(I) type(T). { A = (column_def){ .name = I, .type = T }; }

/* SHOW, DESCRIBE, PRINT */
%type show { token }
show(A) ::= SHOW(T). { A = T; }
show(A) ::= LIST(T). { A = T; }

%type extended { bool }
extended(A) ::= . { A = false; }
extended(A) ::= EXTENDED. { A = true; }

plain_statement(A) ::= show(T) STREAMS extended(E). { A = build_show(c, T, SHOW_STREAMS, false, E); }
plain_statement(A) ::= show(T) TABLES extended(E). { A = build_show(c, T, SHOW_TABLES, false, E); }
plain_statement(A) ::= show(T) TOPICS extended(E). { A = build_show(c, T, SHOW_TOPICS, false, E); }
plain_statement(A) ::= show(T) ALL TOPICS extended(E). { A = build_show(c, T, SHOW_TOPICS, true, E); }
plain_statement(A) ::= show(T) QUERIES extended(E). { A = build_show(c, T, SHOW_QUERIES, false, E); }
plain_statement(A) ::= show(T) FUNCTIONS. { A = build_show(c, T, SHOW_FUNCTIONS, false, false); }
plain_statement(A) ::= show(T) PROPERTIES. { A = build_show(c, T, SHOW_PROPERTIES, false, false); }
plain_statement(A) ::= show(T) TYPES. { A = build_show(c, T, SHOW_TYPES, false, false); }
plain_statement(A) ::= show(T) VARIABLES. { A = build_show(c, T, SHOW_VARIABLES, false, false); }
plain_statement(A) ::= show(T) CONNECTORS. { A = build_show(c, T, SHOW_CONNECTORS, false, false); }
plain_statement(A) ::= show(T) SOURCE CONNECTORS. { A = build_show(c, T, SHOW_SOURCE_CONNECTORS, false, false); }
plain_statement(A) ::= show(T) SINK CONNECTORS. { A = build_show(c, T, SHOW_SINK_CONNECTORS, false, false); }
plain_statement(A) ::= show(T) CONNECTOR PLUGINS. { A = build_show(c, T, SHOW_CONNECTOR_PLUGINS, false, false); }

plain_statement(A) ::= DESCRIBE(T) identifier(I) extended(E). {
    A = build_statement(c, STATEMENT_DESCRIBE, T);
    A->describe.what = !I.quoted && slice_is(I.name, "TABLES") ? DESCRIBE_TABLES : DESCRIBE_SOURCE;
    A->describe.name = I;
    A->describe.extended = E;
}
/* As ksqlDB had it first. */
plain_statement(A) ::= DESCRIBE(T) EXTENDED identifier(I). {
    A = build_statement(c, STATEMENT_DESCRIBE, T);
    A->describe.what = DESCRIBE_SOURCE;
    A->describe.name = I;
    A->describe.extended = true;
}
plain_statement(A) ::= DESCRIBE(T) STREAMS extended(E). {
    A = build_statement(c, STATEMENT_DESCRIBE, T);
    A->describe.what = DESCRIBE_STREAMS;
    A->describe.extended = E;
}
plain_statement(A) ::= DESCRIBE(T) FUNCTION identifier(I). {
    A = build_statement(c, STATEMENT_DESCRIBE, T);
    A->describe.what = DESCRIBE_FUNCTION;
    A->describe.name = I;
}
plain_statement(A) ::= DESCRIBE(T) CONNECTOR identifier(I). {
    A = build_statement(c, STATEMENT_DESCRIBE, T);
    A->describe.what = DESCRIBE_CONNECTOR;
    A->describe.name = I;
}
plain_statement(A) ::= PRINT(T) resource(N) from_beginning(F) print_interval(V) limit(L). {
    A = build_statement(c, STATEMENT_PRINT, T);
    A->print.topic = N.text;
    A->print.topic_at = N.at;
    A->print.from_beginning = F;
    A->print.interval = V;
    A->print.limit = L.count;
}

%type from_beginning { bool }
from_beginning(A) ::= . { A = false; }
from_beginning(A) ::= FROM BEGINNING. { A = true; }

%type print_interval { int64_t }
print_interval(A) ::= . { A = -1; }
print_interval(A) ::= INTERVAL|SAMPLE INTEGER(N). { A = build_count(c, N, "INTERVAL"); }

/* Queries and settings */
plain_statement(A) ::= TERMINATE(T) control_target(I). { A = build_control(c, T, I); }
plain_statement(A) ::= PAUSE(T) control_target(I). { A = build_control(c, T, I); }
plain_statement(A) ::= RESUME(T) control_target(I). { A = build_control(c, T, I); }

%type control_target { identifier }
control_target(A) ::= ALL. { A = (identifier){ NO_SLICE, false, NOWHERE }; }
control_target(A) ::= identifier(I). { A = I; }

plain_statement(A) ::= SET(T) STRING(N) EQ STRING(V). { A = build_setting(c, STATEMENT_SET, T, N, &V); }
plain_statement(A) ::= SET(T) NAME(N) EQ STRING(V). { A = build_setting(c, STATEMENT_SET, T, N, &V); }
plain_statement(A) ::= UNSET(T) STRING|NAME(N). { A = build_setting(c, STATEMENT_UNSET, T, N, NULL); }
plain_statement(A) ::= DEFINE(T) variable(N) EQ STRING(V). { A = build_setting(c, STATEMENT_DEFINE, T, N, &V); }
plain_statement(A) ::= UNDEFINE(T) variable(N). { A = build_setting(c, STATEMENT_UNDEFINE, T, N, NULL); }

%type variable { token }
variable(A) ::= NAME(T). { A = T; }
variable(A) ::= word_name(T). { A = T; }

plain_statement(A) ::= RUN(T) SCRIPT STRING(F). {
    A = build_statement(c, STATEMENT_RUN_SCRIPT, T);
    A->script.file = build_string(c, F);
    A->script.file_at = F.at;
}

/* ASSERT */
%type assert_not { bool }
assert_not(A) ::= . { A = false; }
assert_not(A) ::= NOT EXISTS. { A = true; }

%type timeout { int64_t }
timeout(A) ::= . { A = NO_DURATION; }
timeout(A) ::= TIMEOUT duration(D). { A = D; }

plain_statement(A) ::= ASSERT(T) assert_not(N) TOPIC resource(R) with(W) timeout(D). {
    A = build_statement(c, STATEMENT_ASSERT_TOPIC, T);
    A->assert_topic.not_exists = N;
    A->assert_topic.topic = R.text;
    A->assert_topic.topic_at = R.at;
    A->assert_topic.with = W;
    A->assert_topic.timeout_ms = D;
}
plain_statement(A) ::= ASSERT(T) assert_not(N) SCHEMA subject(S) schema_id(I) timeout(D). {
    A = build_statement(c, STATEMENT_ASSERT_SCHEMA, T);
    A->assert_schema.not_exists = N;
    A->assert_schema.subject = S.text;
    A->assert_schema.has_id = I >= 0;
    A->assert_schema.id = I;
    A->assert_schema.timeout_ms = D;
}
plain_statement(A) ::= ASSERT(T) source_kind(K) identifier(I) columns(D) with(W). {
    A = build_create(c, (create_head){ .first = T, .kind = K, .name = I }, D, W, NULL);
    A->kind = STATEMENT_ASSERT_SOURCE;
}
plain_statement(A) ::= ASSERT(T) VALUES identifier(I) column_names(N) VALUES values(V). {
    A = build_values(c, STATEMENT_ASSERT_VALUES, T, I, N, V);
}
plain_statement(A) ::= ASSERT(T) NULL VALUES identifier(I) column_names(N) KEY values(V). {
    A = build_values(c, STATEMENT_ASSERT_TOMBSTONE, T, I, N, V);
}

%type subject { name_value }
subject(A) ::= . { A = (name_value){ NO_SLICE, NOWHERE, false }; }
subject(A) ::= SUBJECT resource(R). { A = R; }

%type schema_id { int64_t }
schema_id(A) ::= . { A = -1; }
schema_id(A) ::= ID_WORD INTEGER(N). { A = build_count(c, N, "ID"); }

/* A statement ends with its text; a semicolon in it came out of a variable. */
%token SEMICOLON.

%code {
/* Entries of the parser's stack: what nests in the text nests there, five entries a level at most. */
#define STACK_MAX (5 * TREE_HEIGHT_MAX)
/* Reductions of empty rules in a row, which is all that can grow the overlay below. */
#define OVERLAY_MAX 64
static_assert(YYNTOKEN == TK_SEMICOLON + 1, "expected.c counts on it");

/* Would the parser take these tokens? Tried on an overlay over its stack, which stays as it is: lemon's tables reduce by
 * default before they notice an error, and what could have stood there would be forgotten. */
static bool grammar_accepts(const void *of, const int *kinds, int kind_count)
{
    const yyParser *p = of;
    const yyStackEntry *top = p->yytos;
    YYACTIONTYPE pushed[OVERLAY_MAX];
    int count = 0, taken = 0;

    while (taken < kind_count) {
        YYACTIONTYPE action = yy_find_shift_action((YYCODETYPE)kinds[taken], count > 0 ? pushed[count - 1] : top->stateno);
        if (count == OVERLAY_MAX || action == YY_ACCEPT_ACTION) return true;
        if (action >= YY_MIN_REDUCE) {
            int rule = action - YY_MIN_REDUCE;
            int popped = -yyRuleInfoNRhs[rule];
            int of_overlay = popped < count ? popped : count;
            count -= of_overlay;
            top -= popped - of_overlay;
            YYACTIONTYPE below = count > 0 ? pushed[count - 1] : top->stateno;
            pushed[count++] = yy_find_reduce_action(below, (YYCODETYPE)yyRuleInfoLhs[rule]);
        } else if (action <= YY_MAX_SHIFTREDUCE) {
            bool is_reduced_next = action > YY_MAX_SHIFT;
            pushed[count++] = is_reduced_next ? (YYACTIONTYPE)(action + YY_MIN_REDUCE - YY_MIN_SHIFTREDUCE) : action;
            taken++;
        } else {
            return false;
        }
    }
    return true;
}

void grammar_run(parse_context *c, int start)
{
    yyParser p;
    token t = { .kind = start };

    GrammarInit(&p, c);
    Grammar(&p, start, t);
    while (c->rc == WEIR_OK && tokens_next(c, &t)) {
        if (!grammar_accepts(&p, &t.kind, 1)) {
            expected_fail(c, &t, grammar_accepts, &p);
            break;
        }
        Grammar(&p, t.kind, t);
        if (p.yytos - p.yystack > STACK_MAX) {
            parse_fail(c, WEIR_SYNTAX, t.at, "nested too deeply: more than %d levels", TREE_HEIGHT_MAX);
        }
        c->previous = t;
        if (t.kind == TOKEN_END) break;
    }
    if (c->rc == WEIR_OK && c->open_graces > 0) {
        parse_fail(c, WEIR_SYNTAX, c->grace_at, "GRACE belongs to a window: TUMBLING, HOPPING or SESSION in GROUP BY");
    }
    GrammarFinalize(&p);
}
}
