/* tests/unit/check_parser.c - trees, positions, error texts, variables, and SQL printed back. */
#include "parser/parse.h"
#include "parser/parser.h"
#include "tests/unit/run_tests.h"

#include <check.h>
#include <stdlib.h>

static arena *memory;
static weir_error error;

static void set_up(void) { memory = arena_new(0); }
static void tear_down(void) { arena_free(memory); }

static statement *parsed(const char *sql)
{
    statement *s = NULL;
    weir_rc rc = parse_statement(memory, slice_of(sql), &s, &error);

    ck_assert_msg(rc == WEIR_OK, "%s\n%u:%u %s", sql, error.at.line, error.at.column, error.message);
    ck_assert_ptr_nonnull(s);
    return s;
}

static expr *parsed_expr(const char *sql)
{
    expr *e = NULL;
    weir_rc rc = parse_expression(memory, slice_of(sql), &e, &error);

    ck_assert_msg(rc == WEIR_OK, "%s\n%u:%u %s", sql, error.at.line, error.at.column, error.message);
    return e;
}

static char *printed(const statement *s)
{
    text t = TEXT_EMPTY;

    print_statement(&t, s);
    char *copy = (char *)arena_c_string(memory, text_slice(&t));
    text_free(&t);
    return copy;
}

static char *printed_expr(const expr *e)
{
    text t = TEXT_EMPTY;

    print_expr(&t, e);
    char *copy = (char *)arena_c_string(memory, text_slice(&t));
    text_free(&t);
    return copy;
}

#define ck_slice(actual, expected)                                                                       \
    ck_assert_msg(slice_is((actual), (expected)), "\"%.*s\", not \"%s\"", SLICE_ARG(actual), (expected))

#define ck_at(position, line_, column_)                                                                      \
    ck_assert_msg((position).line == (line_) && (position).column == (column_), "%u:%u, not %d:%d", (position).line, \
                  (position).column, (line_), (column_))

/* ---- what is printed parses to what printed it ---- */

typedef struct pair {
    const char *sql;
    const char *canonical; /* NULL: the same */
} pair;

static const pair STATEMENTS[] = {
    { "select * from s", "SELECT * FROM S" },
    { "SELECT A AS B, C AS D, S.*, V->*, S.V->* FROM S AS T EMIT CHANGES LIMIT 3", NULL },
    { "SELECT a b FROM s t", "SELECT A AS B FROM S AS T" },
    { "SELECT `a`, \"B c\", `x``y` FROM `s`", "SELECT `a`, `B c`, `x``y` FROM `s`" },
    { "SELECT `A` FROM `SELECT`", "SELECT A FROM `SELECT`" },
    { "SELECT DISTINCT A FROM S WHERE A > 1 AND B < 2 OR NOT C = 3", NULL },
    { "SELECT A, COUNT(*) AS N FROM S WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY A", NULL },
    { "SELECT A FROM S WINDOW w TUMBLING (SIZE 60 SECOND, RETENTION 2 DAYS, GRACE PERIOD 0 SECONDS) GROUP BY A",
      "SELECT A FROM S WINDOW TUMBLING (SIZE 1 MINUTES, RETENTION 2 DAYS, GRACE PERIOD 0 SECONDS) GROUP BY A" },
    { "SELECT A FROM S WINDOW HOPPING (SIZE 30 SECONDS, ADVANCE BY 1500 MILLISECONDS, GRACE PERIOD 1 HOURS) GROUP BY A",
      NULL },
    { "SELECT A FROM S WINDOW SESSION (30 MINUTES, RETENTION 1 DAYS) WHERE B GROUP BY A HAVING COUNT(*) > 1 EMIT FINAL", NULL },
    { "SELECT IP, COUNT(*) AS N FROM S GROUP BY IP, TUMBLING(10s)", NULL },
    { "SELECT a FROM s GROUP BY HOPPING(10000ms, 2s) GRACE 5s, a", "SELECT A FROM S GROUP BY HOPPING(10s, 2s, GRACE 5s), A" },
    { "SELECT a FROM s GROUP BY (a, b), SESSION(30s, GRACE PERIOD 1 MINUTE)",
      "SELECT A FROM S GROUP BY A, B, SESSION(30s, GRACE 1m)" },
    { "SELECT A FROM S GROUP BY ()", NULL },
    { "SELECT A FROM S GROUP BY (A)", "SELECT A FROM S GROUP BY A" },
    { "SELECT A FROM S GROUP BY (A = 1), A + 1", NULL },
    { "SELECT A FROM S PARTITION BY A, B", NULL },
    { "SELECT A FROM S PARTITION BY (A, B)", "SELECT A FROM S PARTITION BY A, B" },
    { "SELECT A FROM S PARTITION BY ()", NULL },
    { "SELECT A FROM S ORDER BY A DESC NULLS LAST, B ASC, C NULLS FIRST LIMIT 5",
      "SELECT A FROM S ORDER BY A DESC NULLS LAST, B, C NULLS FIRST LIMIT 5" },
    { "SELECT A FROM S JOIN T WITHIN 1 HOUR GRACE PERIOD 5 SECONDS ON S.A = T.A",
      "SELECT A FROM S INNER JOIN T WITHIN 1 HOURS GRACE PERIOD 5 SECONDS ON S.A = T.A" },
    { "SELECT A FROM S X LEFT OUTER JOIN T Y WITHIN (1 SECOND, 2m) ON X.A = Y.A FULL JOIN U ON X.A = U.A RIGHT JOIN V ON TRUE",
      "SELECT A FROM S AS X LEFT JOIN T AS Y WITHIN (1 SECONDS, 2 MINUTES) ON X.A = Y.A FULL JOIN U ON X.A = U.A "
      "RIGHT JOIN V ON TRUE" },
    { "SELECT A FROM (SELECT A, B FROM S WHERE B > 1) AS D WHERE A < 2", NULL },
    { "WITH C AS (SELECT A FROM S), D AS (SELECT B FROM C) SELECT * FROM D", NULL },
    { "SELECT A FROM S UNION ALL SELECT B FROM T UNION ALL SELECT C FROM U ORDER BY A EMIT CHANGES LIMIT 1", NULL },
    { "SELECT ROW_NUMBER() OVER (PARTITION BY A, B ORDER BY C DESC) AS N, SUM(X) OVER () FROM S", NULL },
    { "SELECT emit, order, partition, escape, if, over, union, changes, final, array, map, struct, grace FROM s",
      "SELECT `EMIT`, `ORDER`, `PARTITION`, `ESCAPE`, `IF`, `OVER`, `UNION`, `CHANGES`, `FINAL`, `ARRAY`, `MAP`, `STRUCT`, "
      "`GRACE` FROM S" },
    { "SELECT KEY, ID, TIME, DATE, TIMESTAMP, TYPE, SOURCE, SCHEMA, HOUR, DAY, SET, FIRST, ZONE FROM S", NULL },

    { "CREATE STREAM S (A INT KEY, B STRING) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON', PARTITIONS = 4)", NULL },
    { "create or replace source table if not exists t (id varchar primary key, h array<struct<key string, value bytes>> headers, "
      "t bytes header('tid')) with (kafka_topic='t')",
      "CREATE OR REPLACE SOURCE TABLE IF NOT EXISTS T (ID VARCHAR PRIMARY KEY, H ARRAY<STRUCT<KEY STRING, VALUE BYTES>> "
      "HEADERS, T BYTES HEADER('tid')) WITH (KAFKA_TOPIC = 't')" },
    { "CREATE STREAM S (A INT ARRAY, B MAP<STRING, ARRAY<ARRAY<DECIMAL(4, 2)>>>, C STRUCT<>, D VARCHAR(STRING), E MY_TYPE)",
      "CREATE STREAM S (A ARRAY<INT>, B MAP<STRING, ARRAY<ARRAY<DECIMAL(4, 2)>>>, C STRUCT< >, D VARCHAR(STRING), E MY_TYPE)" },
    { "CREATE STREAM S WITH ('value.Format' = 'x', A = -1, B = 1.50, C = TRUE, D = NULL, E = 10s) AS SELECT * FROM T", NULL },
    { "CREATE TABLE T AS SELECT A FROM S GROUP BY A EMIT CHANGES", NULL },
    { "INSERT INTO S SELECT * FROM T", NULL },
    { "INSERT INTO S WITH (QUERY_ID = 'q') SELECT * FROM T PARTITION BY A", NULL },
    { "INSERT INTO S WITH C AS (SELECT A FROM T) SELECT * FROM C", NULL },
    { "INSERT INTO S VALUES (1, -2, 'it''s', NULL, ARRAY[1, 2], MAP('a' := 1), STRUCT(F := 1, `g` := 2), 1 + 2)", NULL },
    { "INSERT INTO map (struct, array) VALUES (1)", "INSERT INTO `MAP` (`STRUCT`, `ARRAY`) VALUES (1)" },
    { "DROP STREAM S", NULL },
    { "DROP TABLE IF EXISTS T DELETE TOPIC", NULL },
    { "DROP TYPE IF EXISTS T", NULL },
    { "DROP CONNECTOR C", NULL },
    { "ALTER STREAM s ADD a INT, ADD COLUMN b STRING", "ALTER STREAM S ADD COLUMN A INT, ADD COLUMN B STRING" },
    { "ALTER SYSTEM 'a' = 'b'", NULL },
    { "CREATE TYPE IF NOT EXISTS A AS STRUCT<X INT, Y DOUBLE>", NULL },
    { "CREATE SINK CONNECTOR IF NOT EXISTS C WITH ('connector.class' = 'x', 'tasks.max' = 1)", NULL },
    { "CREATE SOURCE CONNECTOR C WITH ('a' = 'b')", NULL },
    { "LIST STREAMS EXTENDED", "SHOW STREAMS EXTENDED" },
    { "SHOW TABLES", NULL },
    { "SHOW ALL TOPICS EXTENDED", NULL },
    { "SHOW QUERIES EXTENDED", NULL },
    { "SHOW FUNCTIONS", NULL },
    { "SHOW PROPERTIES", NULL },
    { "SHOW TYPES", NULL },
    { "SHOW VARIABLES", NULL },
    { "SHOW CONNECTORS", NULL },
    { "SHOW SOURCE CONNECTORS", NULL },
    { "SHOW SINK CONNECTORS", NULL },
    { "SHOW CONNECTOR PLUGINS", NULL },
    { "DESCRIBE S EXTENDED", NULL },
    { "DESCRIBE EXTENDED S", "DESCRIBE S EXTENDED" },
    { "DESCRIBE STREAMS", NULL },
    { "DESCRIBE TABLES EXTENDED", NULL },
    { "DESCRIBE FUNCTION UCASE", NULL },
    { "DESCRIBE FUNCTION", NULL },
    { "DESCRIBE CONNECTOR C", NULL },
    { "PRINT my_Topic FROM BEGINNING INTERVAL 2 LIMIT 3", "PRINT 'my_Topic' FROM BEGINNING INTERVAL 2 LIMIT 3" },
    { "PRINT 'a-b' SAMPLE 5", "PRINT 'a-b' INTERVAL 5" },
    { "EXPLAIN SELECT * FROM S", NULL },
    { "EXPLAIN ANALYZE CREATE TABLE T AS SELECT A FROM S", NULL },
    { "EXPLAIN CSAS_S_1", NULL },
    { "EXPLAIN ANALYZE Q", NULL },
    { "EXPLAIN SHOW", NULL },
    { "EXPLAIN ANALYZE", NULL },
    { "TERMINATE CTAS_T_0", NULL },
    { "TERMINATE ALL", NULL },
    { "PAUSE ALL", NULL },
    { "RESUME Q", NULL },
    { "SET 'auto.offset.reset' = 'earliest'", NULL },
    { "SET trace = 'executor'", "SET 'trace' = 'executor'" },
    { "UNSET 'a'", NULL },
    { "DEFINE name = 'a''b'", NULL },
    { "UNDEFINE name", NULL },
    { "RUN SCRIPT '/a/b.sql'", NULL },
    { "ASSERT TOPIC 'a' WITH (PARTITIONS = 1) TIMEOUT 3 SECONDS", NULL },
    { "ASSERT NOT EXISTS TOPIC 'a'", NULL },
    { "ASSERT SCHEMA SUBJECT 'a-value' ID 3 TIMEOUT 1 MINUTES", NULL },
    { "ASSERT NOT EXISTS SCHEMA ID 3", NULL },
    { "ASSERT STREAM S (A INT KEY) WITH (KAFKA_TOPIC = 's')", NULL },
    { "ASSERT TABLE T", NULL },
    { "ASSERT VALUES S (ROWTIME, A) VALUES (1, 2)", NULL },
    { "ASSERT NULL VALUES T (A) KEY (1)", NULL },
};

START_TEST(statement_prints_and_parses_back)
{
    const pair *p = &STATEMENTS[_i];
    char *canonical = printed(parsed(p->sql));

    ck_assert_str_eq(canonical, p->canonical == NULL ? p->sql : p->canonical);
    ck_assert_str_eq(printed(parsed(canonical)), canonical);
}
END_TEST

static const pair EXPRESSIONS[] = {
    { "1", NULL },
    { "-2147483648", NULL },
    { "-9223372036854775808", NULL },
    { "1.50", NULL },
    { ".5", NULL },
    { "1e3", NULL },
    { "TRUE", NULL },
    { "'it''s'", NULL },
    { "500ms", NULL },
    { "90s", NULL },
    { "120s", "2m" },
    { "DATE '2021-05-01'", NULL },
    { "A + B * C - D", NULL },
    { "(A + B) * (C - D)", NULL },
    { "A - (B - C)", NULL },
    { "(A - B) - C", "A - B - C" },
    { "A || B + C", NULL },
    { "(A || B) + C", NULL },
    { "a-5", "A - 5" },
    { "a - -5", "A - -5" },
    { "- 5", "-5" },
    { "-(5)", NULL },
    { "-(-a)", "-(-A)" },
    { "-A * +B", NULL },
    { "-(A + B)", NULL },
    { "A AND B OR C AND NOT D", NULL },
    { "(A OR B) AND C", NULL },
    { "A OR B OR C", NULL },
    { "A OR (B OR C)", NULL },
    { "NOT A = B", NULL },
    { "(NOT A) = B", NULL },
    { "(A = B) = C", NULL },
    { "A != B", "A <> B" },
    { "A BETWEEN 1 AND 2 AND B NOT BETWEEN X + 1 AND Y", NULL },
    { "A IN (1, 2 = 3) AND B NOT IN ('x')", NULL },
    { "A LIKE 'a!%' ESCAPE '!' OR B NOT LIKE 'b%'", NULL },
    { "A IS NULL AND B IS NOT NULL", NULL },
    { "A IS DISTINCT FROM B OR C IS NOT DISTINCT FROM D", NULL },
    { "CASE WHEN A = 1 THEN 'x' WHEN B THEN 'y' ELSE 'z' END", NULL },
    { "CASE A WHEN 1 THEN 2 END", NULL },
    { "CAST(A + 1 AS DECIMAL(4, 2))", NULL },
    { "ARRAY[1, A, B + 1][2]", NULL },
    { "ARRAY[]", NULL },
    { "MAP()", NULL },
    { "MAP('a' := 1, B := C OR D)['a']", NULL },
    { "STRUCT(A := 1, `b` := 2)->A", NULL },
    { "S.A->B->`c`[1]->D", NULL },
    { "(A + B)[1]", NULL },
    { "COUNT(*)", NULL },
    { "COUNT(DISTINCT A, B)", NULL },
    { "REPLACE(A, 'x', 'y')", NULL },
    { "IF(A, B, C)", "`IF`(A, B, C)" },
    { "TIMESTAMPADD(milliseconds, 1, A)", "TIMESTAMPADD(MILLISECONDS, 1, A)" },
    { "DATEADD(DAYS, 1, D)", NULL },
    { "DATEADD(DAY, 1, D)", NULL },
    { "TRANSFORM(A, X => X + 1)", NULL },
    { "TRANSFORM(M, (K, V) => UCASE(K), (K, V) => V OR FALSE)", NULL },
    { "REDUCE(A, (1 + 2), (S, X) => S + X)", "REDUCE(A, 1 + 2, (S, X) => S + X)" },
    { "A AT TIME ZONE 'UTC'", NULL },
    { "-A AT TIME ZONE 'UTC' + B", NULL },
    { "a -- not this\n + /* nor ** this */ b", "A + B" },
};

START_TEST(expression_prints_and_parses_back)
{
    const pair *p = &EXPRESSIONS[_i];
    char *canonical = printed_expr(parsed_expr(p->sql));

    ck_assert_str_eq(canonical, p->canonical == NULL ? p->sql : p->canonical);
    ck_assert_str_eq(printed_expr(parsed_expr(canonical)), canonical);
}
END_TEST

/* Every @ stands for a word that is not reserved. */
static const char *const NAME_PLACES[] = {
    "SELECT @ FROM s",
    "SELECT @, @ FROM s",
    "SELECT a @, b AS @ FROM s",
    "SELECT @ @ FROM @ @ EMIT CHANGES",
    "SELECT x.@, x->@, @.y, @->y, @.*, @->*, x->@[1], @.@->@ FROM s",
    "SELECT @ + 1, -@, @ - 1, (@), f(@), f(@, @ => @ + 1), f(x, (@, y) => @) FROM s",
    "SELECT CASE @ WHEN @ THEN @ ELSE @ END, CAST(@ AS @), STRUCT(@ := @), MAP(@ := @), ARRAY[@, @] FROM s",
    "SELECT * FROM @ JOIN @ ON @ = @",
    "SELECT * FROM a AS @ JOIN b @ WITHIN 1 SECOND ON @.x = @.y",
    "SELECT * FROM s @ GROUP BY @, @ PARTITION BY @, @ HAVING @ ORDER BY @, @ DESC EMIT FINAL LIMIT 1",
    "SELECT * FROM s WHERE @ AND @ = @ AND @ IS NULL AND @ IN (@, @) AND @ BETWEEN @ AND @ AND @ LIKE @ OR NOT @",
    "SELECT * FROM s UNION ALL SELECT @ FROM @ UNION ALL SELECT 1 FROM s",
    "WITH @ AS (SELECT 1 FROM s) SELECT * FROM @",
    "CREATE STREAM @ (@ INT KEY, @ STRUCT<@ INT, b @>, c ARRAY<@>, d @ HEADERS) WITH (@ = 1)",
    "CREATE TABLE IF NOT EXISTS @ AS SELECT @ FROM @",
    "INSERT INTO @ SELECT @ FROM @",
    "INSERT INTO @ (@, @) VALUES (@, 1)",
    "DROP STREAM @",
    "DROP TABLE IF EXISTS @ DELETE TOPIC",
    "ALTER STREAM @ ADD a INT, ADD COLUMN @ INT",
    "CREATE TYPE @ AS @",
    "DESCRIBE @ EXTENDED",
    "DESCRIBE FUNCTION @",
    "PRINT @ LIMIT 1",
    "EXPLAIN @",
    "TERMINATE @",
    "DEFINE @ = 'x'",
    "ASSERT TOPIC @ TIMEOUT 1 SECOND",
    "ASSERT SCHEMA SUBJECT @ ID 1",
    "ASSERT NULL VALUES @ (@) KEY (1)",
};

START_TEST(unreserved_words_are_names_everywhere)
{
    for (uint32_t i = 0; i < keyword_count(); i++) {
        const keyword *word = keyword_at(i);
        text sql = TEXT_EMPTY;
        if (word->reserved == KEYWORD_RESERVED) continue;
        for (const char *c = NAME_PLACES[_i]; *c != '\0'; c++) {
            if (*c == '@') {
                text_add_c(&sql, word->word);
            } else {
                text_add_char(&sql, *c);
            }
        }
        char *canonical = printed(parsed(sql.data));
        ck_assert_str_eq(printed(parsed(canonical)), canonical);
        text_free(&sql);
    }
}
END_TEST

/* ---- trees and positions ---- */

START_TEST(literals_have_the_types_of_ksqldb)
{
    ck_assert_int_eq(parsed_expr("2147483647")->kind, EXPR_INTEGER);
    ck_assert_int_eq(parsed_expr("2147483648")->kind, EXPR_BIGINT);
    ck_assert_int_eq(parsed_expr("-2147483648")->kind, EXPR_INTEGER);
    ck_assert_int_eq(parsed_expr("-9223372036854775808")->integer, INT64_MIN);
    ck_assert_int_eq(parsed_expr("1.")->kind, EXPR_DECIMAL);
    ck_slice(parsed_expr("- 1.50")->string, "-1.50");
    ck_assert_int_eq(parsed_expr("1e3")->kind, EXPR_DOUBLE);
    ck_assert_double_eq(parsed_expr("-.5E-1")->number, -0.05);
    ck_assert_int_eq(parsed_expr("7d")->duration_ms, 7 * 24 * 3600 * 1000LL);
    ck_assert_int_eq(parsed_expr("500MS")->duration_ms, 500);
    ck_slice(parsed_expr("'a''''b'")->string, "a''b");
    ck_slice(parsed_expr("''")->string, "");
}
END_TEST

START_TEST(chains_are_flat)
{
    expr *e = parsed_expr("a AND b AND c AND d AND e AND f");

    ck_assert_int_eq(e->kind, EXPR_AND);
    ck_assert_uint_eq(e->list.count, 6);
    ck_assert_uint_eq(e->height, 2);
    ck_slice(e->list.items[5]->column.name.name, "F");
}
END_TEST

START_TEST(names_know_their_case_and_quotes)
{
    select_query *q = parsed("SELECT Ab, \"Ab\", t.`c` x FROM s")->query;

    ck_slice(q->items[0].value->column.name.name, "AB");
    ck_assert(!q->items[0].value->column.name.quoted);
    ck_slice(q->items[1].value->column.name.name, "Ab");
    ck_assert(q->items[1].value->column.name.quoted);
    ck_slice(q->items[2].value->column.source.name, "T");
    ck_slice(q->items[2].alias.name, "X");
    ck_assert(!identifier_present(&q->items[0].alias));
}
END_TEST

START_TEST(every_node_says_where_it_is)
{
    statement *s = parsed("  CREATE TABLE t AS\n  SELECT 'é', a + b AS c,\n\tcount(*)\nFROM s JOIN u ON x = y\nWHERE z\nGROUP BY k");
    select_query *q = s->create.query;

    ck_at(s->at, 1, 3);
    ck_at(s->create.name.at, 1, 16);
    ck_at(q->at, 2, 3);
    ck_at(q->items[1].value->at, 2, 15);
    ck_at(q->items[1].value->binary.right->at, 2, 19);
    ck_at(q->items[1].alias.at, 2, 24);
    ck_at(q->items[2].at, 3, 2);
    ck_at(q->from->at, 4, 8);
    ck_at(q->from->join.right->at, 4, 13);
    ck_at(q->where_at, 5, 1);
    ck_at(q->group_by_at, 6, 1);
    ck_slice(s->text, "CREATE TABLE t AS\n  SELECT 'é', a + b AS c,\n\tcount(*)\nFROM s JOIN u ON x = y\nWHERE z\nGROUP BY k");
}
END_TEST

START_TEST(windows_become_one_thing)
{
    select_query *q = parsed("SELECT a FROM s GROUP BY a, b, HOPPING(10s, 2s, GRACE 500ms)")->query;

    ck_assert_int_eq(q->window->kind, WINDOW_HOPPING);
    ck_assert(q->window->in_group_by);
    ck_assert_uint_eq(q->window->group_by_index, 2);
    ck_assert_uint_eq(q->group_by.count, 2);
    ck_assert_int_eq(q->window->size_ms, 10000);
    ck_assert_int_eq(q->window->advance_ms, 2000);
    ck_assert_int_eq(q->window->grace_ms, 500);
    ck_assert_int_eq(q->window->retention_ms, NO_DURATION);

    q = parsed("SELECT a FROM s WINDOW SESSION (30 SECONDS) GROUP BY a, \"SESSION\"(b)")->query;
    ck_assert_int_eq(q->window->kind, WINDOW_SESSION);
    ck_assert_int_eq(q->window->size_ms, 30000);
    ck_assert_uint_eq(q->group_by.count, 2);
}
END_TEST

START_TEST(explained_statement_has_its_own_text)
{
    statement *s = parsed("EXPLAIN  ANALYZE SELECT a FROM b ;");

    ck_assert(s->explain.analyze);
    ck_slice(s->text, "EXPLAIN  ANALYZE SELECT a FROM b");
    ck_slice(s->explain.inner->text, "SELECT a FROM b");
    ck_at(s->explain.inner->at, 1, 18);
}
END_TEST

START_TEST(properties_keep_how_they_were_typed)
{
    statement *s = parsed("CREATE STREAM s WITH (kafka_Topic='x', 'Max.Tasks'=-1)");

    ck_slice(s->create.with.items[0].name, "KAFKA_TOPIC");
    ck_slice(s->create.with.items[0].typed, "kafka_Topic");
    ck_slice(s->create.with.items[1].name, "MAX.TASKS");
    ck_slice(s->create.with.items[1].typed, "Max.Tasks");
    ck_assert_int_eq(s->create.with.items[1].value->integer, -1);
    ck_at(s->create.with.items[1].at, 1, 40);
}
END_TEST

START_TEST(types_and_columns_parse_alone)
{
    type_name *t;
    column_def_list columns;

    ck_assert_int_eq(parse_type(memory, SLICE("MAP<STRING, ARRAY<STRUCT<a INT>>>"), &t, &error), WEIR_OK);
    ck_assert_int_eq(t->kind, TYPE_NAME_MAP);
    ck_slice(t->element->element->fields[0].name.name, "A");
    ck_assert_int_eq(parse_columns(memory, SLICE("`K` INTEGER KEY, V DOUBLE"), &columns, &error), WEIR_OK);
    ck_assert_uint_eq(columns.count, 2);
    ck_assert_int_eq(columns.items[0].role, COLUMN_KEY);
    ck_assert_int_eq(parse_columns(memory, SLICE(""), &columns, &error), WEIR_OK);
    ck_assert_uint_eq(columns.count, 0);
    ck_assert_int_eq(parse_type(memory, SLICE("INT INT"), &t, &error), WEIR_SYNTAX);
}
END_TEST

/* ---- errors ---- */

typedef struct failure {
    const char *sql;
    int line;
    int column;
    const char *message;
} failure;

static const failure FAILURES[] = {
    { "SELECT * FORM x", 1, 10, "unexpected 'FORM'; expected FROM or ','; did you mean FROM?" },
    { "SELECT a FORM x", 1, 15, "unexpected 'x'; expected FROM or ','; did you mean FROM instead of FORM?" },
    { "SELCT 1", 1, 1, "unexpected 'SELCT'; expected a statement; did you mean SELECT?" },
    { "SELECT a, FROM b", 1, 11, "unexpected 'FROM'; expected '*' or an expression; leave out the comma before it" },
    { "SELECT a FROM b\nWHERE", 2, 6, "unexpected end of statement; expected an expression" },
    { "SELECT a FROM b EMIT CHANGE", 1, 22, "unexpected 'CHANGE'; EMIT is followed by CHANGES or FINAL" },
    { "CREATE STREM x", 1, 8, "unexpected 'STREM'; expected OR, SINK, SOURCE, STREAM, TABLE or TYPE; did you mean STREAM?" },
    { "SELECT size FROM b", 1, 8,
      "unexpected 'size'; expected DISTINCT, '*' or an expression; SIZE is a reserved word, as a name it is written `SIZE`" },
    { "SELECT a FROM b JOIN c WITHIN 5 ON a = b", 1, 33,
      "unexpected 'ON'; expected a time unit: MILLISECONDS, SECONDS, MINUTES, HOURS, DAYS" },
    { "SELECT CAST(a AS NULL) FROM b", 1, 18, "unexpected 'NULL'; expected a type such as STRING" },
    { "CREATE STREAM s (a, b INT)", 1, 19, "unexpected ','; expected a type such as STRING" },
    { "CREATE STREAM s (a STRUCT<b>)", 1, 28, "unexpected '>'; expected a type such as STRING" },
    { "SHOW TABLE", 1, 6, "unexpected 'TABLE'; SHOW takes STREAMS, TABLES, TOPICS, QUERIES, FUNCTIONS, PROPERTIES, TYPES or "
                        "VARIABLES; DESCRIBE name tells the columns of one" },
    { "SELECT a FROM b WHERE c = 'it's'", 1, 31,
      "unexpected 's'; expected an operator or a clause such as GROUP BY or LIMIT; a quote within a text is written twice, 'it''s'" },
    { "INSERT INTO x VALUES (1, 2", 1, 27, "unexpected end of statement; expected ')', ',' or an operator" },
    { "DROP STREAM IF EXIST x", 1, 16, "unexpected 'EXIST'; expected EXISTS or NOT EXISTS" },
    { "SELECT 'abc FROM b", 1, 8, "string is not closed" },
    { "SELECT \"abc FROM b", 1, 8, "quoted name is not closed" },
    { "SELECT a /* b", 1, 10, "comment is not closed" },
    { "SELECT a # b", 1, 10, "unexpected character '#'; a comment begins with --" },
    { "SELECT 'a\xFF' FROM b", 1, 8, "text is not valid UTF-8" },
    { "SELECT `` FROM b", 1, 8, "a name cannot be empty" },
    { "SELECT 9223372036854775808 FROM b", 1, 8, "number 9223372036854775808 does not fit BIGINT" },
    { "SELECT 1e999 FROM b", 1, 8, "number 1e999 does not fit DOUBLE" },
    { "SELECT a FROM b LIMIT -1", 1, 23, "LIMIT takes a number that is not negative" },
    { "SELECT a FROM b GROUP BY TUMBLING(5)", 1, 26,
      "a window in GROUP BY is written TUMBLING(10s, GRACE 5s), GRACE being optional" },
    { "SELECT a FROM b GROUP BY TUMBLING(5s), SESSION(5s)", 1, 40, "a query has one window, here is a second" },
    { "SELECT a FROM b WINDOW TUMBLING (SIZE 5s) GROUP BY SESSION(5s)", 1, 52, "a query has one window, here is a second" },
    { "SELECT ucase(GRACE 5s) FROM b", 1, 14, "GRACE belongs to a window: TUMBLING, HOPPING or SESSION in GROUP BY" },
    { "SELECT TUMBLING(1s, GRACE 5s) FROM b", 1, 21, "GRACE belongs to a window: TUMBLING, HOPPING or SESSION in GROUP BY" },
    { "SELECT a FROM b GROUP BY TUMBLING(5s, GRACE 1s) GRACE 2s", 1, 26, "GRACE is given twice" },
    { "CREATE STREAM s (a INT) AS SELECT a FROM b", 1, 18, "columns are not declared where AS SELECT gives them" },
    { "CREATE TABLE t (a INT, PRIMARY KEY (a))", 1, 24, "the key is told beside each of its columns: name type PRIMARY KEY" },
    { "CREATE OR REPLACE TYPE t AS INT", 1, 19, "OR REPLACE is for streams and tables" },
    { "SELECT a FROM b WINDOW TUMBLING (SIZE 999999999999999 DAYS) GROUP BY a", 1, 39, "duration is too long" },
};

START_TEST(errors_say_what_and_where)
{
    const failure *f = &FAILURES[_i];
    statement *s;

    ck_assert_int_eq(parse_statement(memory, slice_of(f->sql), &s, &error), WEIR_SYNTAX);
    ck_assert_str_eq(error.message, f->message);
    ck_at(error.at, (uint32_t)f->line, (uint32_t)f->column);
    ck_assert_int_eq(error.rc, WEIR_SYNTAX);
    ck_assert_ptr_null(s);
}
END_TEST

/* before, then `repeated` many times, between, then `closing` as often, after */
static weir_rc parse_repeated(const char *before, const char *repeated, const char *between, const char *closing,
                              const char *after, int times)
{
    text t = TEXT_EMPTY;
    statement *s;

    text_add_c(&t, before);
    for (int i = 0; i < times; i++) text_add_c(&t, repeated);
    text_add_c(&t, between);
    for (int i = 0; i < times; i++) text_add_c(&t, closing);
    text_add_c(&t, after);
    weir_rc rc = parse_statement(memory, text_slice(&t), &s, &error);
    if (rc == WEIR_OK) {
        text once = TEXT_EMPTY, twice = TEXT_EMPTY;
        print_statement(&once, s);
        ck_assert_int_eq(parse_statement(memory, text_slice(&once), &s, &error), WEIR_OK);
        print_statement(&twice, s);
        ck_assert(slice_equal(text_slice(&once), text_slice(&twice)));
        text_free(&once);
        text_free(&twice);
    }
    text_free(&t);
    return rc;
}

#define ck_too_deep(rc)                                                                     \
    do {                                                                                    \
        ck_assert_int_eq((rc), WEIR_SYNTAX);                                                \
        ck_assert_str_eq(error.message, "nested too deeply: more than 1000 levels");        \
    } while (0)

START_TEST(depth_is_bounded)
{
    ck_assert_int_eq(parse_repeated("SELECT ", "(", "1", ")", " FROM s", 900), WEIR_OK);
    ck_assert_int_eq(parse_repeated("SELECT ", "f(a, ", "1", ")", " FROM s", 900), WEIR_OK);
    ck_assert_int_eq(parse_repeated("SELECT ", "CASE WHEN a THEN ", "1", " END", " FROM s", 900), WEIR_OK);
    ck_assert_int_eq(parse_repeated("SELECT * FROM ", "(SELECT * FROM ", "s", ")", "", 900), WEIR_OK);
    ck_assert_int_eq(parse_repeated("SELECT 1", "", "", " + 1", " FROM s", 900), WEIR_OK);
    ck_too_deep(parse_repeated("SELECT ", "(", "1", ")", " FROM s", 100000));
    ck_too_deep(parse_repeated("SELECT ", "(", "", "", "", 100000));
    ck_too_deep(parse_repeated("SELECT ", "f(", "1", ")", " FROM s", 100000));
    ck_too_deep(parse_repeated("SELECT ", "NOT ", "1", "", " FROM s", 100000));
    ck_too_deep(parse_repeated("SELECT ", "- ", "1", "", " FROM s", 100000));
    ck_too_deep(parse_repeated("SELECT 1", "", "", " + 1", " FROM s", 100000));
    ck_too_deep(parse_repeated("SELECT a", "", "", "->b", " FROM s", 100000));
    ck_too_deep(parse_repeated("SELECT CAST(a AS INT", "", "", " ARRAY", ") FROM s", 100000));
    ck_too_deep(parse_repeated("SELECT a FROM s", "", "", " JOIN t ON a = b", "", 100000));
    ck_too_deep(parse_repeated("SELECT * FROM ", "(SELECT * FROM ", "s", ")", "", 100000));
}
END_TEST

START_TEST(length_is_not)
{
    ck_assert_int_eq(parse_repeated("SELECT a FROM s WHERE a = 0", "", "", " OR a = 1", "", 100000), WEIR_OK);
    ck_assert_int_eq(parse_repeated("SELECT a FROM s", "", "", " UNION ALL SELECT a FROM t", "", 20000), WEIR_OK);
    ck_assert_int_eq(parse_repeated("SELECT a", "", "", ", a", " FROM s", 100000), WEIR_OK);
    ck_assert_int_eq(parse_repeated("SELECT '", "", "", "''x", "' FROM s", 1000000), WEIR_OK);
}
END_TEST

/* ---- scripts and variables ---- */

START_TEST(script_is_split_outside_of_quotes_and_comments)
{
    static const char SQL[] = "SELECT ';' FROM a; -- b;\n;; /* c; */ SELECT `;` FROM \"d;\" ;\n\nSHOW TABLES";
    statements all;

    ck_assert_int_eq(parse_script(memory, slice_of(SQL), NULL, &all, &error), WEIR_OK);
    ck_assert_uint_eq(all.count, 3);
    ck_slice(all.items[0]->text, "SELECT ';' FROM a");
    ck_slice(all.items[1]->text, "SELECT `;` FROM \"d;\"");
    ck_at(all.items[1]->at, 2, 13);
    ck_at(all.items[2]->at, 4, 1);
    ck_assert_int_eq(parse_script(memory, SLICE(" -- nothing\n ; "), NULL, &all, &error), WEIR_OK);
    ck_assert_uint_eq(all.count, 0);
    ck_assert_int_eq(parse_script(memory, NO_SLICE, NULL, &all, &error), WEIR_OK);
    ck_assert_uint_eq(all.count, 0);
}
END_TEST

START_TEST(parser_goes_on_behind_an_error)
{
    parser *p = parser_open(SLICE("SELECT a FROM b;\nSELECT a b c;\nSHOW TABLES;"));
    statement *s;

    ck_assert_int_eq(parser_next(p, memory, NULL, &s, &error), WEIR_OK);
    ck_assert_int_eq(s->kind, STATEMENT_QUERY);
    ck_assert_int_eq(parser_next(p, memory, NULL, &s, &error), WEIR_SYNTAX);
    ck_assert_ptr_null(s);
    ck_at(error.at, 2, 12);
    ck_assert_int_eq(parser_next(p, memory, NULL, &s, &error), WEIR_OK);
    ck_assert_int_eq(s->kind, STATEMENT_SHOW);
    ck_assert_int_eq(parser_next(p, memory, NULL, &s, &error), WEIR_OK);
    ck_assert_ptr_null(s);
    parser_close(p);
}
END_TEST

START_TEST(completeness)
{
    ck_assert(parse_is_complete(SLICE("SELECT 1;")));
    ck_assert(parse_is_complete(SLICE("SELECT 1; -- and more\n")));
    ck_assert(parse_is_complete(SLICE("")));
    ck_assert(parse_is_complete(SLICE(" -- a\n")));
    ck_assert(!parse_is_complete(SLICE("SELECT 1")));
    ck_assert(!parse_is_complete(SLICE("SELECT 1; SELECT")));
    ck_assert(!parse_is_complete(SLICE("SELECT ';")));
    ck_assert(!parse_is_complete(SLICE("SELECT 1 -- ;")));
    ck_assert(!parse_is_complete(SLICE("SELECT 1 /* ;")));
    ck_assert(!parse_is_complete(SLICE("SELECT \"a;")));
}
END_TEST

START_TEST(variables_are_put_in_and_positions_stay)
{
    static const char SQL[] = "DEFINE t = 'a_long_topic_name';\n"
                              "CREATE STREAM ${t} WITH (kafka_topic='${T}-x', /* ${no} */ n=${n}) + 1;";
    variables *v = variables_new();
    statements all;

    variables_set(v, SLICE("N"), SLICE("3"));
    ck_assert_int_eq(parse_script(memory, slice_of(SQL), v, &all, &error), WEIR_SYNTAX);
    ck_at(error.at, 2, 68);
    ck_assert_str_eq(error.message, "unexpected '+'; expected AS or end of statement");
    ck_assert_uint_eq(variables_count(v), 1);

    ck_assert_int_eq(parse_script(memory, SLICE("DEFINE t = 'tt';CREATE STREAM ${t} WITH (a='$${t}${T}',\n b=${n});"), v, &all,
                                  &error), WEIR_OK);
    statement *s = all.items[1];
    ck_slice(s->create.name.name, "TT");
    ck_at(s->create.name.at, 1, 31);
    ck_slice(s->create.with.items[0].value->string, "${t}tt");
    ck_at(s->create.with.items[0].at, 1, 42);
    ck_at(s->create.with.items[1].at, 2, 2);
    ck_at(s->create.with.items[1].value->at, 2, 4);
    ck_slice(s->text, "CREATE STREAM tt WITH (a='${t}tt',\n b=3)");

    ck_assert_int_eq(parse_script(memory, SLICE("\n SELECT ${who} FROM s"), v, &all, &error), WEIR_SEMANTIC);
    ck_assert_str_eq(error.message, "unknown variable who; DEFINE gives it a value, SHOW VARIABLES lists those there are");
    ck_at(error.at, 2, 9);
    ck_assert_int_eq(parse_script(memory, SLICE("DEFINE a='1'; UNDEFINE A; SELECT ${a} FROM s"), v, &all, &error), WEIR_SEMANTIC);

    ck_assert_int_eq(parse_script(memory, SLICE("SELECT '${who}' FROM s"), NULL, &all, &error), WEIR_OK);
    ck_slice(all.items[0]->query->items[0].value->string, "${who}");
    variables_free(v);
}
END_TEST

START_TEST(semicolon_out_of_a_variable_ends_nothing)
{
    variables *v = variables_new();
    statements all;

    variables_set(v, SLICE("evil"), SLICE("x; DROP STREAM s"));
    ck_assert_int_eq(parse_script(memory, SLICE("SELECT a FROM ${evil}"), v, &all, &error), WEIR_SYNTAX);
    ck_at(error.at, 1, 15);
    variables_free(v);
}
END_TEST

START_TEST(variables_keep_order_and_ignore_case)
{
    variables *v = variables_new();
    slice name, value;

    variables_set(v, SLICE("a"), SLICE("1"));
    variables_set(v, SLICE("B"), SLICE("2"));
    variables_set(v, SLICE("A"), SLICE("3"));
    ck_assert_uint_eq(variables_count(v), 2);
    variables_at(v, 0, &name, &value);
    ck_slice(name, "a");
    ck_slice(value, "3");
    ck_assert(variables_get(v, SLICE("b"), &value));
    ck_assert(variables_unset(v, SLICE("a")));
    ck_assert(!variables_unset(v, SLICE("a")));
    ck_assert(!variables_get(v, SLICE("a"), &value));
    variables_free(v);
}
END_TEST

#define COUNT_OF(array) (int)(sizeof(array) / sizeof((array)[0]))

static void add_tests(TCase *t)
{
    tcase_add_loop_test(t, statement_prints_and_parses_back, 0, COUNT_OF(STATEMENTS));
    tcase_add_loop_test(t, expression_prints_and_parses_back, 0, COUNT_OF(EXPRESSIONS));
    tcase_add_loop_test(t, unreserved_words_are_names_everywhere, 0, COUNT_OF(NAME_PLACES));
    tcase_add_test(t, literals_have_the_types_of_ksqldb);
    tcase_add_test(t, chains_are_flat);
    tcase_add_test(t, names_know_their_case_and_quotes);
    tcase_add_test(t, every_node_says_where_it_is);
    tcase_add_test(t, windows_become_one_thing);
    tcase_add_test(t, explained_statement_has_its_own_text);
    tcase_add_test(t, properties_keep_how_they_were_typed);
    tcase_add_test(t, types_and_columns_parse_alone);
    tcase_add_loop_test(t, errors_say_what_and_where, 0, COUNT_OF(FAILURES));
    tcase_add_test(t, depth_is_bounded);
    tcase_add_test(t, length_is_not);
    tcase_add_test(t, script_is_split_outside_of_quotes_and_comments);
    tcase_add_test(t, parser_goes_on_behind_an_error);
    tcase_add_test(t, completeness);
    tcase_add_test(t, variables_are_put_in_and_positions_stay);
    tcase_add_test(t, semicolon_out_of_a_variable_ends_nothing);
    tcase_add_test(t, variables_keep_order_and_ignore_case);
}

int main(void)
{
    return run_tests("parser", add_tests, set_up, tear_down);
}
