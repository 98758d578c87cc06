/* tests/unit/check_plan.c - the planner: plans as EXPLAIN shows them, errors with their places, stored text, the catalog. */
#include "parser/parser.h"
#include "planner/planner.h"
#include "tests/unit/run_tests.h"

#include <check.h>
#include <stdlib.h>

/* ---- a planner at work on a catalog of its own ---- */

typedef struct fixture {
    catalog *catalog;
    arena *arena;
    planner_env env;
    planned planned;
    weir_error err;
    text shown;
    const char *setting, *setting_value;
} fixture;

static fixture f;

static weir_rc topic_partitions(void *self, slice topic, int32_t *partitions, int32_t *replicas, weir_error *err)
{
    (void)self;
    (void)err;
    *partitions = slice_is(topic, "there") ? 4 : 0;
    *replicas = 1;
    return WEIR_OK;
}

static slice setting(void *self, const char *name)
{
    (void)self;
    return f.setting != NULL && strcmp(f.setting, name) == 0 ? slice_of(f.setting_value) : NO_SLICE;
}

static void setup(void)
{
    f = (fixture){ .catalog = catalog_new(), .arena = arena_new(0) };
    f.env = (planner_env){ .catalog = f.catalog, .topic_partitions = topic_partitions, .setting = setting, .now_ms = 77 };
}

static void teardown(void)
{
    text_free(&f.shown);
    catalog_free(f.catalog);
    arena_free(f.arena);
}

static const plan *planned_plan(void)
{
    if (f.planned.kind == PLANNED_QUERY) return &f.planned.plan;
    return f.planned.kind == PLANNED_COMMAND ? f.planned.command.plan : NULL;
}

/* The stored form reads back to a plan that prints the same. */
static void check_text(const plan *p)
{
    text once = TEXT_EMPTY, twice = TEXT_EMPTY;
    arena *a = arena_new(0);
    weir_error err = { 0 };
    plan read;

    plan_print(&once, p);
    ck_assert_msg(plan_parse(text_slice(&once), a, &read, &err) == WEIR_OK, "%s\n%s", err.message, once.data);
    plan_print(&twice, &read);
    ck_assert_str_eq(twice.data, once.data);
    plan_release(&read);
    arena_free(a);
    text_free(&once);
    text_free(&twice);
}

static weir_rc plan_one(const char *sql)
{
    statement *s;

    ck_assert_msg(parse_statement(f.arena, slice_of(sql), &s, &f.err) == WEIR_OK, "%s: %s", sql, f.err.message);
    memset(&f.err, 0, sizeof f.err);
    return plan_statement(&f.env, s, f.arena, &f.planned, &f.err);
}

/* Plans a statement, checks its stored form, and carries it out. */
static void run(const char *sql)
{
    ck_assert_msg(plan_one(sql) == WEIR_OK, "%s: %u:%u %s", sql, f.err.at.line, f.err.at.column, f.err.message);
    const plan *p = planned_plan();
    if (p != NULL && p->mode != PLAN_SNAPSHOT) check_text(p);
    if (f.planned.kind == PLANNED_COMMAND) {
        ck_assert_msg(catalog_apply(f.catalog, &f.planned.command, &f.err) == WEIR_OK, "%s", f.err.message);
    }
    if (p != NULL) plan_release(p);
}

static void expect_plan(const char *sql, const char *expected)
{
    ck_assert_msg(plan_one(sql) == WEIR_OK, "%s: %u:%u %s", sql, f.err.at.line, f.err.at.column, f.err.message);
    const plan *p = planned_plan();
    ck_assert_ptr_nonnull(p);
    if (p->mode != PLAN_SNAPSHOT) check_text(p);
    text_clear(&f.shown);
    plan_explain(&f.shown, p);
    ck_assert_str_eq(f.shown.data, expected);
    plan_release(p);
}

static void expect_error(const char *sql, weir_rc rc, uint32_t line, uint32_t column, const char *message)
{
    weir_rc found = plan_one(sql);

    ck_assert_msg(found == rc, "%s: %s (%s)", sql, weir_rc_name(found), f.err.message);
    ck_assert_str_eq(f.err.message, message);
    ck_assert_msg(f.err.at.line == line && f.err.at.column == column, "%s: at %u:%u", sql, f.err.at.line, f.err.at.column);
}

static void semantic(const char *sql, uint32_t column, const char *message)
{
    expect_error(sql, WEIR_SEMANTIC, 1, column, message);
}

static slice source_columns(const char *name)
{
    const source *s = catalog_source(f.catalog, slice_of(name));

    ck_assert_ptr_nonnull(s);
    text_clear(&f.shown);
    schema_print(&f.shown, &s->schema, s->is_table);
    return text_slice(&f.shown);
}

static void expect_columns(const char *name, const char *expected)
{
    (void)source_columns(name);
    ck_assert_str_eq(f.shown.data, expected);
}

static void make_sources(void)
{
    run("CREATE STREAM access (ip STRING KEY, line STRING, n INT, price BIGINT, addr STRUCT<town STRING, no INT>, tags ARRAY<STRING>) "
        "WITH (kafka_topic='there', value_format='JSON')");
    run("CREATE TABLE users (id INT PRIMARY KEY, name STRING, age INT) WITH (kafka_topic='users', value_format='JSON')");
}

/* ---- plans ---- */

START_TEST(a_stream_of_a_stream)
{
    make_sources();
    expect_plan("CREATE STREAM big AS SELECT ip, n * 2 AS twice, UCASE(line) FROM access WHERE price > 10 AND n IN (1, 2)",
                "persistent query CSAS_BIG_2, 1 sub-topology\n"
                "sub-topology 0\n"
                "  Sink BIG: topic BIG (4), key KAFKA, value JSON (`IP` STRING KEY, `TWICE` INTEGER, `KSQL_COL_0` STRING)\n"
                "    Project IP, (`N` * 2) AS TWICE, UCASE(`LINE`) AS KSQL_COL_0\n"
                "      Filter ((`PRICE` > CAST(10 AS BIGINT)) AND ((`N` = 1) OR (`N` = 2)))\n"
                "        Source ACCESS: topic there, key KAFKA, value JSON, decodes IP, LINE, N, PRICE\n");
}
END_TEST

START_TEST(group_by_the_record_key_needs_no_exchange)
{
    make_sources();
    expect_plan("CREATE TABLE hits AS SELECT ip, COUNT(*) AS cnt, SUM(price) AS total FROM access GROUP BY ip",
                "persistent query CTAS_HITS_2, 1 sub-topology\n"
                "sub-topology 0\n"
                "  Sink HITS: topic HITS (4), key KAFKA, value JSON (`IP` STRING PRIMARY KEY, `CNT` BIGINT, `TOTAL` BIGINT)\n"
                "    Project IP, `AGGREGATE_0` AS CNT, `AGGREGATE_1` AS TOTAL\n"
                "      Aggregate by IP: COUNT(*), SUM(`PRICE`) [store 500]\n"
                "        Project IP, PRICE\n"
                "          Source ACCESS: topic there, key KAFKA, value JSON, decodes IP, PRICE\n");
}
END_TEST

START_TEST(group_by_an_expression_in_windows)
{
    make_sources();
    expect_plan("CREATE TABLE hits AS SELECT REGEXP_EXTRACT('IP: ([0-9.]+)', line, 1) AS key, WINDOWSTART AS ws, COUNT(*) AS cnt, "
                "MAX(ROWTIME) AS last FROM access GROUP BY REGEXP_EXTRACT('IP: ([0-9.]+)', line, 1), TUMBLING(10s)",
                "persistent query CTAS_HITS_2, 2 sub-topologies, latency of 1 epoch for exchange\n"
                "sub-topology 0\n"
                "  Exchange by KEY over 4 partitions\n"
                "    Project REGEXP_EXTRACT('IP: ([0-9.]+)', `LINE`, 1) AS KEY\n"
                "      Source ACCESS: topic there, key KAFKA, value JSON, decodes LINE\n"
                "sub-topology 1\n"
                "  Sink HITS: topic HITS (4), key KAFKA, value JSON (`KEY` STRING PRIMARY KEY, `WS` BIGINT, `CNT` BIGINT, "
                "`LAST` BIGINT)\n"
                "    Project KEY, WINDOWSTART AS WS, `AGGREGATE_0` AS CNT, `AGGREGATE_1` AS LAST\n"
                "      Aggregate by KEY, TUMBLING(10s): COUNT(*), MAX(ROWTIME) [store 500]\n"
                "        Rows of exchange 400\n");
}
END_TEST

START_TEST(both_window_syntaxes_are_one)
{
    const char *head = "CREATE TABLE h AS SELECT n, COUNT(*) AS c FROM access ";
    static const char *const pairs[][2] = {
        { "WINDOW HOPPING (SIZE 10 SECONDS, ADVANCE BY 2 SECONDS) GROUP BY n", "GROUP BY n, HOPPING(10s, 2s)" },
        { "WINDOW SESSION (30 SECONDS, GRACE PERIOD 5 SECONDS) GROUP BY n", "GROUP BY n, SESSION(30s, GRACE 5s)" },
        { "WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY n", "GROUP BY n, TUMBLING(1m)" },
    };

    make_sources();
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        text before = TEXT_EMPTY;
        for (size_t k = 0; k < 2; k++) {
            slice sql = arena_printf(f.arena, "%s%s", head, pairs[i][k]);
            ck_assert_msg(plan_one(arena_c_string(f.arena, sql)) == WEIR_OK, "%s", f.err.message);
            text_clear(&f.shown);
            plan_explain(&f.shown, planned_plan());
            if (k == 0) text_add(&before, text_slice(&f.shown));
            else ck_assert_str_eq(f.shown.data, before.data);
        }
        text_free(&before);
    }
}
END_TEST

START_TEST(having_filters_with_former_rows)
{
    make_sources();
    expect_plan("CREATE TABLE busy AS SELECT n, COUNT(*) AS c FROM access GROUP BY n HAVING COUNT(*) > 2 AND SUM(price) > 5",
                "persistent query CTAS_BUSY_2, 2 sub-topologies, latency of 1 epoch for exchange\n"
                "sub-topology 0\n"
                "  Exchange by N over 4 partitions\n"
                "    Project N, PRICE\n"
                "      Source ACCESS: topic there, key KAFKA, value JSON, decodes N, PRICE\n"
                "sub-topology 1\n"
                "  Sink BUSY: topic BUSY (4), key KAFKA, value JSON (`N` INTEGER PRIMARY KEY, `C` BIGINT)\n"
                "    Project N, `AGGREGATE_0` AS C\n"
                "      Filter ((`AGGREGATE_0` > CAST(2 AS BIGINT)) AND (`AGGREGATE_1` > CAST(5 AS BIGINT)))\n"
                "        Aggregate by N: COUNT(*), SUM(`PRICE`) [store 500] +old\n"
                "          Rows of exchange 400\n");
}
END_TEST

START_TEST(final_results)
{
    make_sources();
    expect_plan("CREATE TABLE fin AS SELECT ip, COUNT(*) AS c FROM access GROUP BY ip, TUMBLING(10s) EMIT FINAL",
                "persistent query CTAS_FIN_2, 1 sub-topology\n"
                "sub-topology 0\n"
                "  Sink FIN: topic FIN (4), key KAFKA, value JSON (`IP` STRING PRIMARY KEY, `C` BIGINT)\n"
                "    Project IP, `AGGREGATE_0` AS C\n"
                "      Final: one row a window, once it is closed [store 800]\n"
                "        Aggregate by IP, TUMBLING(10s): COUNT(*) [store 500]\n"
                "          Project IP\n"
                "            Source ACCESS: topic there, key KAFKA, value JSON, decodes IP\n");
}
END_TEST

START_TEST(a_table_is_grouped_with_former_rows)
{
    make_sources();
    expect_plan("CREATE TABLE ages AS SELECT age, COUNT(*) AS c FROM users WHERE id > 3 GROUP BY age",
                "persistent query CTAS_AGES_2, 2 sub-topologies, latency of 1 epoch for exchange\n"
                "sub-topology 0\n"
                "  Exchange by AGE over 1 partition +old\n"
                "    Project AGE +old\n"
                "      Filter (`ID` > 3) +old\n"
                "        Table by ID [store 600] +old\n"
                "          Source USERS: topic users, key KAFKA, value JSON, decodes ID, NAME, AGE\n"
                "sub-topology 1\n"
                "  Sink AGES: topic AGES (1), key KAFKA, value JSON (`AGE` INTEGER PRIMARY KEY, `C` BIGINT)\n"
                "    Project AGE, `AGGREGATE_0` AS C\n"
                "      Aggregate by AGE: COUNT(*) [store 500]\n"
                "        Rows of exchange 400\n");
}
END_TEST

START_TEST(partition_by_writes_under_another_key)
{
    make_sources();
    run("CREATE STREAM towns AS SELECT * FROM access PARTITION BY addr->town");
    expect_columns("TOWNS", "`TOWN` STRING KEY, `LINE` STRING, `N` INTEGER, `PRICE` BIGINT, "
                            "`ADDR` STRUCT<`TOWN` STRING, `NO` INTEGER>, `TAGS` ARRAY<STRING>, `IP` STRING");
    run("CREATE STREAM lens AS SELECT n AS k, ip, LEN(line) FROM access PARTITION BY n");
    expect_columns("LENS", "`K` INTEGER KEY, `IP` STRING, `KSQL_COL_0` INTEGER");
    run("CREATE STREAM bare AS SELECT n, ip FROM access PARTITION BY NULL");
    expect_columns("BARE", "`N` INTEGER, `IP` STRING");
}
END_TEST

START_TEST(keys_are_named_as_selected)
{
    make_sources();
    run("CREATE TABLE t WITH (key_format='JSON') AS SELECT addr->town, n, 2 * n + n, COUNT(*), 2 * n FROM access "
        "GROUP BY n, addr->town, 2 * n");
    expect_columns("T", "`N` INTEGER PRIMARY KEY, `TOWN` STRING PRIMARY KEY, `KSQL_COL_2` INTEGER PRIMARY KEY, "
                        "`KSQL_COL_0` INTEGER, `KSQL_COL_1` BIGINT");
}
END_TEST

START_TEST(a_pull_query_looks_up_its_key)
{
    make_sources();
    run("CREATE TABLE hits AS SELECT ip, COUNT(*) AS cnt FROM access GROUP BY ip, TUMBLING(10s)");
    expect_plan("SELECT * FROM hits WHERE ip = 'a' AND windowstart >= 5000 AND windowend < 30000 ORDER BY windowstart DESC LIMIT 5",
                "snapshot query, 1 sub-topology\n"
                "sub-topology 0\n"
                "  Result (`IP` STRING KEY, `WINDOWSTART` BIGINT KEY, `WINDOWEND` BIGINT KEY, `CNT` BIGINT)\n"
                "    Project IP, WINDOWSTART AS WINDOWSTART, WINDOWEND AS WINDOWEND, CNT\n"
                "      Limit 5\n"
                "        Sort by WINDOWSTART DESC\n"
                "          Filter ((`IP` = 'a') AND (WINDOWSTART >= CAST(5000 AS BIGINT)) AND "
                "(WINDOWEND < CAST(30000 AS BIGINT)))\n"
                "            Project IP, `AGGREGATE_0` AS CNT\n"
                "              Snapshot of CTAS_HITS_2, step 500: look-up of 1 key, windows from 5000, windows to 19999\n");
}
END_TEST

START_TEST(lookups_need_every_key_column)
{
    make_sources();
    run("CREATE TABLE two WITH (key_format='JSON') AS SELECT ip, n, COUNT(*) AS c FROM access GROUP BY ip, n");
    run("SELECT * FROM two WHERE ip IN ('a', 'b', 'a') AND n IN (1, 2)");
    ck_assert_uint_eq(f.planned.plan.steps[0].snapshot.lookup.key_count, 4);
    run("SELECT * FROM two WHERE ip = 'a'");
    ck_assert_ptr_null(f.planned.plan.steps[0].snapshot.lookup.key_values);
    run("SELECT * FROM two WHERE ip = 'a' AND (n = 1 OR c = 3)");
    ck_assert_ptr_null(f.planned.plan.steps[0].snapshot.lookup.key_values);
}
END_TEST

START_TEST(queries_that_end)
{
    make_sources();
    expect_plan("SELECT n, COUNT(*) AS c FROM access GROUP BY n ORDER BY c DESC",
                "bounded query, 2 sub-topologies, latency of 1 epoch for exchange\n"
                "sub-topology 0\n"
                "  Exchange by N over 4 partitions\n"
                "    Project N\n"
                "      Source ACCESS: topic there, key KAFKA, value JSON, decodes N\n"
                "sub-topology 1\n"
                "  Result (`N` INTEGER, `C` BIGINT)\n"
                "    Project N, `AGGREGATE_0` AS C\n"
                "      Sort by `AGGREGATE_0` DESC\n"
                "        Aggregate by N: COUNT(*) [store 500]\n"
                "          Rows of exchange 400\n");
    expect_plan("SELECT name FROM users",
                "bounded query, 1 sub-topology\n"
                "sub-topology 0\n"
                "  Result (`NAME` STRING)\n"
                "    Project NAME\n"
                "      Collect\n"
                "        Table by ID [store 600]\n"
                "          Source USERS: topic users, key KAFKA, value JSON, decodes ID, NAME, AGE\n");
}
END_TEST

START_TEST(a_push_query_shows_pseudo_columns)
{
    make_sources();
    expect_plan("SELECT rowtime, ip FROM access EMIT CHANGES LIMIT 2",
                "push query, 1 sub-topology\n"
                "sub-topology 0\n"
                "  Result (`ROWTIME` BIGINT, `IP` STRING)\n"
                "    Project ROWTIME AS ROWTIME, IP\n"
                "      Limit 2\n"
                "        Source ACCESS: topic there, key KAFKA, value JSON, decodes IP\n");
}
END_TEST

START_TEST(streams_are_joined_where_their_keys_meet)
{
    make_sources();
    run("CREATE STREAM orders (oid INT, ip STRING, cost DOUBLE) WITH (kafka_topic='orders', value_format='JSON')");
    expect_plan("CREATE STREAM j AS SELECT a.ip AS ip, a.n, o.cost FROM access a JOIN orders o WITHIN 10 SECONDS ON a.ip = o.ip "
                "WHERE o.cost > a.n",
                "persistent query CSAS_J_3, 2 sub-topologies, latency of 1 epoch for exchange\n"
                "sub-topology 1\n"
                "  Exchange by ROWKEY over 4 partitions, as keys in KAFKA\n"
                "    Project `IP` AS ROWKEY, `COST` AS O_COST\n"
                "      Source ORDERS: topic orders, key NONE, value JSON, decodes IP, COST\n"
                "sub-topology 0\n"
                "  Sink J: topic J (4), key KAFKA, value JSON (`IP` STRING KEY, `N` INTEGER, `COST` DOUBLE)\n"
                "    Project `ROWKEY` AS IP, `A_N` AS N, `O_COST` AS COST\n"
                "      Filter (`O_COST` > CAST(`A_N` AS DOUBLE))\n"
                "        Inner stream-stream join by ROWKEY within (10s, 10s) [store 700]\n"
                "          Project `IP` AS ROWKEY, `N` AS A_N\n"
                "            Source ACCESS: topic there, key KAFKA, value JSON, decodes IP, N\n"
                "          Rows of exchange 400\n");
}
END_TEST

START_TEST(several_joins_lean_left)
{
    make_sources();
    run("CREATE TABLE t2 (id INT PRIMARY KEY, v STRING) WITH (kafka_topic='t2', value_format='JSON')");
    run("CREATE TABLE t3 (id INT PRIMARY KEY, v STRING) WITH (kafka_topic='t3', value_format='JSON')");
    run("CREATE TABLE j AS SELECT u.id, u.name, t2.v, t3.v FROM users u LEFT JOIN t2 ON u.id = t2.id JOIN t3 ON t2.id = t3.id");
    expect_columns("J", "`U_ID` INTEGER PRIMARY KEY, `NAME` STRING, `T2_V` STRING, `T3_V` STRING");
    run("CREATE TABLE f AS SELECT * FROM users u FULL JOIN t2 ON u.id = t2.id");
    expect_columns("F", "`ROWKEY` INTEGER PRIMARY KEY, `U_ID` INTEGER, `U_NAME` STRING, `U_AGE` INTEGER, `T2_ID` INTEGER, "
                        "`T2_V` STRING");
    run("CREATE STREAM s AS SELECT n, t2.v FROM access JOIN t2 ON n + 1 = t2.id WHERE t2.v = 'x'");
}
END_TEST

START_TEST(rules_of_joins)
{
    make_sources();
    run("CREATE STREAM other (ip STRING KEY, n BIGINT) WITH (kafka_topic='other', value_format='JSON')");
    semantic("SELECT * FROM access a JOIN other o WITHIN 1 HOUR ON a.ip = o.ip EMIT CHANGES", 24,
             "A has 4 partitions and O 1: rows of one key would not meet; copy one of them WITH (PARTITIONS = 4)");
    semantic("SELECT * FROM access a JOIN other o ON a.ip = o.ip", 24,
             "A and O are streams, which are joined within a time: add WITHIN, such as WITHIN 1 HOUR");
    semantic("SELECT * FROM access a JOIN other o WITHIN 1 HOUR ON a.n = o.n", 54,
             "in A.N = O.N the types differ, INTEGER and BIGINT; CAST() one of them");
    semantic("SELECT * FROM access a JOIN other o WITHIN 1 HOUR ON a.ip = 'x'", 54,
             "in A.IP = 'x' one side must be of O alone, the other of what stands before it");
    semantic("SELECT * FROM access a JOIN other o WITHIN 1 HOUR ON a.ip = n", 61, "column N is ambiguous; say A.N or O.N");
    semantic("SELECT * FROM access a JOIN users u ON a.n = u.age", 46, "in A.N = U.AGE, U must be met by its primary key ID");
    semantic("SELECT * FROM users u JOIN access a ON a.n = u.id", 23,
             "a stream can be joined with a table, not a table with a stream: begin with A, and join U");
    semantic("SELECT * FROM access a FULL JOIN users u ON a.n = u.id", 24,
             "A is a stream and U a table: they join as INNER or LEFT only, not FULL, since a row of the table starts nothing");
}
END_TEST

/* ---- expressions ---- */

START_TEST(expressions_survive_their_text)
{
    static const char *const exprs[] = {
        "CASE WHEN n > 1 THEN 'a' WHEN n IS NULL THEN NULL ELSE line END",
        "CASE n WHEN 1 THEN 1.5 ELSE 2 END",
        "n BETWEEN 1 AND 3 AND NOT (line LIKE 'x!%%' ESCAPE '!')",
        "n NOT IN (1, 2, '3')",
        "addr->town || ' ' || CAST(addr->no AS STRING)",
        "tags[1]",
        "MAP('a' := n, 'b' := 2)['a']",
        "ARRAY[n, 1, NULL]",
        "STRUCT(x := n, `y z` := 'it''s')",
        "CAST('1.25' AS DECIMAL(4, 2)) + 1",
        "-n % 7 - -3",
        "n IS DISTINCT FROM 3",
        "5m + 3",
        "1E10 / 3",
        "CAST(NULL AS ARRAY<INT>)",
        "'line\nbreak \\ and back'",
        "COALESCE(line, 'none')",
        "ROWTIME > '2021-05-01T14:30'",
    };

    make_sources();
    for (size_t i = 0; i < sizeof exprs / sizeof exprs[0]; i++) {
        run(arena_c_string(f.arena, arena_printf(f.arena, "CREATE STREAM x%zu AS SELECT ip, %s AS v FROM access", i, exprs[i])));
    }
}
END_TEST

START_TEST(constants_are_folded)
{
    make_sources();
    expect_plan("SELECT UCASE('a') || 'b' AS x, 2 * 3 + n AS y FROM access",
                "bounded query, 1 sub-topology\n"
                "sub-topology 0\n"
                "  Result (`X` STRING, `Y` INTEGER)\n"
                "    Project 'Ab' AS X, (6 + `N`) AS Y\n"
                "      Source ACCESS: topic there, key KAFKA, value JSON, decodes N\n");
}
END_TEST

/* ---- errors ---- */

START_TEST(errors_name_the_thing_and_the_place)
{
    make_sources();
    semantic("SELECT ipp FROM access", 8, "unknown column IPP in ACCESS; did you mean IP?");
    semantic("SELECT a.ip FROM access x", 8, "A is no stream, table or alias of this query; there is X");
    semantic("SELECT x.nn FROM access x", 10, "unknown column NN in X; did you mean N?");
    semantic("SELECT addr->tow FROM access", 14,
             "no field TOW in STRUCT<`TOWN` STRING, `NO` INTEGER>; did you mean TOWN?");
    semantic("SELECT * FROM acces", 15, "there is no stream or table ACCES; did you mean ACCESS?");
    semantic("SELECT UCAS(line) FROM access", 8, "unknown function UCAS; did you mean UCASE?");
    semantic("SELECT * FROM access WHERE n", 28, "WHERE needs a BOOLEAN, not N (INTEGER); compare it with a value");
    semantic("SELECT * FROM access WHERE SUM(n) > 3", 28, "WHERE cannot use SUM, which is an aggregate function; HAVING can");
    semantic("SELECT CAST(n AS ARRAY<INT>) FROM access", 8, "N (INTEGER) cannot be cast to ARRAY<INTEGER>");
    semantic("SELECT * FROM access WHERE n = NULL", 28, "N = NULL: a comparison with NULL is never true; use IS [NOT] NULL");
    semantic("SELECT * FROM access WHERE windowstart > 3", 28, "there is no WINDOWSTART here: it is known of a source whose key is windowed, and in the SELECT list of a GROUP BY "
             "with a WINDOW");
}
END_TEST

START_TEST(rules_of_grouping)
{
    make_sources();
    semantic("CREATE TABLE t AS SELECT ip, n, COUNT(*) FROM access GROUP BY ip", 30,
             "SELECT uses N, which is neither in GROUP BY nor in an aggregate function; group by it too, or take one such as LATEST_BY_OFFSET(N)");
    semantic("CREATE TABLE t AS SELECT COUNT(*) AS c FROM access GROUP BY ip", 61,
             "T needs its key: add the grouping expression IP to the SELECT list");
    semantic("CREATE TABLE t AS SELECT ip, ip AS k, COUNT(*) FROM access GROUP BY ip", 30,
             "the key column IP is selected again as K; AS_VALUE() copies a key into the value");
    semantic("CREATE TABLE t AS SELECT ip FROM access GROUP BY ip", 41,
             "GROUP BY needs an aggregate function, such as COUNT(*), in SELECT or HAVING");
    semantic("CREATE TABLE t AS SELECT COUNT(*) FROM access", 26, "the aggregate function COUNT needs a GROUP BY here");
    semantic("CREATE STREAM t AS SELECT ip, COUNT(*) FROM access GROUP BY ip", 1,
             "this SELECT gives a table: use CREATE TABLE T AS");
    semantic("CREATE TABLE t AS SELECT id, MAX(age) FROM users GROUP BY id", 30,
             "MAX cannot aggregate the table USERS, whose rows change, as it cannot take a row back; COUNT, SUM, AVG and COLLECT_LIST can");
    semantic("CREATE TABLE t AS SELECT ip, COUNT(*) FROM access GROUP BY ip EMIT FINAL", 63,
             "EMIT FINAL gives one result a window: GROUP BY needs a window");
    semantic("CREATE TABLE t AS SELECT ip, COUNT(*) FROM access GROUP BY ip, TUMBLING(10s) HAVING windowstart > 3", 85,
             "WINDOWSTART of a windowed aggregation can be used in the SELECT list only, not in HAVING");
    semantic("CREATE TABLE t AS SELECT ip, n, COUNT(*) FROM access GROUP BY ip, n", 14,
             "format KAFKA holds a single column; the key has 2: `IP`, `N`; KEY_FORMAT = 'JSON' can hold them");
}
END_TEST

START_TEST(rules_of_keys_and_names)
{
    make_sources();
    semantic("CREATE STREAM s AS SELECT line FROM access", 20, "S needs its key: add the key column IP to the SELECT list");
    semantic("CREATE STREAM s AS SELECT ip, n AS x, line AS x FROM access", 39,
             "two columns of the result are named X; give one of them another alias");
    semantic("CREATE STREAM s AS SELECT ip, rowtime FROM access", 31,
             "ROWTIME is a reserved name; give it an alias, as in ROWTIME AS ...");
    semantic("CREATE STREAM s AS SELECT ip, NULL AS x FROM access", 31,
             "the type of X is not known; write CAST(NULL AS ...)");
    semantic("CREATE TABLE t (a INT, b INT) WITH (kafka_topic='t', value_format='JSON')", 14,
             "a table needs a key: add PRIMARY KEY to a column of T");
    semantic("CREATE STREAM s (a INT PRIMARY KEY) WITH (kafka_topic='t', value_format='JSON')", 24,
             "column A: the key of a stream is a KEY, not a PRIMARY KEY");
}
END_TEST

START_TEST(rules_of_with)
{
    semantic("CREATE STREAM s (a INT) WITH (kafka_topc='t', value_format='JSON')", 31,
             "unknown property KAFKA_TOPC; did you mean KAFKA_TOPIC?");
    semantic("CREATE STREAM s (a INT) WITH (kafka_topic='t')", 15, "WITH needs a VALUE_FORMAT, such as VALUE_FORMAT = 'JSON'; SET 'ksql.persistence.default.format.value' = 'JSON' gives one to all");
    semantic("CREATE STREAM s (a INT) WITH (kafka_topic='t', value_format='JSN')", 61, "unknown format JSN; did you mean JSON?");
    semantic("CREATE STREAM s (a INT) WITH (kafka_topic='there', value_format='JSON', partitions=2)", 84,
             "topic there exists and has 4 partitions, not 2: leave PARTITIONS out");
    semantic("CREATE STREAM s (a INT) WITH (kafka_topic='t', value_format='JSON', timestamp='b')", 79,
             "TIMESTAMP names the column B, which there is not; there is A");
    semantic("CREATE STREAM s (k INT KEY, a INT) WITH (kafka_topic='t', value_format='JSON', window_type='TUMBLING')", 92,
             "TUMBLING and HOPPING windows need a WINDOW_SIZE");
}
END_TEST

START_TEST(defaults_of_with)
{
    f.setting = "ksql.persistence.default.format.value";
    f.setting_value = "JSON";
    run("CREATE STREAM s (K INT KEY, a INT) WITH (kafka_topic='there')");
    const source *s = catalog_source(f.catalog, SLICE("S"));
    ck_assert(slice_is(s->value.name, "JSON") && slice_is(s->key.name, "KAFKA"));
    ck_assert_int_eq(s->partitions, 4);
    ck_assert(!f.planned.makes_topic);
    run("CREATE STREAM t AS SELECT * FROM s");
    s = catalog_source(f.catalog, SLICE("T"));
    ck_assert_int_eq(s->partitions, 4);
    ck_assert(slice_is(s->topic, "T") && f.planned.makes_topic);
}
END_TEST

START_TEST(what_is_not_there_yet_says_so)
{
    make_sources();
    expect_error("SELECT DISTINCT n FROM access", WEIR_UNSUPPORTED, 1, 1, "SELECT DISTINCT is not supported yet; GROUP BY gives each value once");
    expect_error("SELECT * FROM (SELECT * FROM access) EMIT CHANGES", WEIR_UNSUPPORTED, 1, 15,
                 "a query in FROM of one that goes on for ever is not supported yet; CREATE STREAM or CREATE TABLE ... AS makes its "
                 "result something to read from");
    semantic("SELECT ROWTIME AT TIME ZONE 'UTC' FROM access", 8, "AT TIME ZONE needs a TIMESTAMP, not ROWTIME (BIGINT); FROM_UNIXTIME() makes one of milliseconds");
}
END_TEST

/* ---- INSERT VALUES ---- */

START_TEST(values_are_brought_to_their_columns)
{
    make_sources();
    run("INSERT INTO users (id, name, age, rowtime) VALUES (7, 'x' || 'y', 3 + 4, 99)");
    ck_assert_int_eq(f.planned.kind, PLANNED_INSERT_VALUES);
    ck_assert_int_eq(f.planned.row[0].i32, 7);
    ck_assert(slice_is(f.planned.row[1].str, "xy"));
    ck_assert_int_eq(f.planned.row[2].i32, 7);
    ck_assert_int_eq(f.planned.timestamp_ms, 99);
    run("INSERT INTO users (id) VALUES (7)");
    ck_assert(f.planned.row[1].is_null && f.planned.row[2].is_null); /* a row of nulls, no deletion */
    ck_assert_int_eq(f.planned.timestamp_ms, 77);
    semantic("INSERT INTO users VALUES (1, 'a')", 13, "USERS has 3 columns, and 2 values are given; to give some, name them: INSERT INTO USERS (ID, ...) VALUES ...");
    semantic("INSERT INTO users (name) VALUES ('a')", 13, "the primary key column ID needs a value");
    semantic("INSERT INTO users (id, nam) VALUES (1, 'a')", 24, "unknown column NAM in USERS; did you mean NAME?");
    semantic("INSERT INTO users (id, age) VALUES (1, 'a')", 40, "column AGE: 'a' is no INTEGER: the text is not a number");
    semantic("INSERT INTO users (id, age) VALUES (1, 99999999999)", 40, "99999999999 does not fit column AGE, which is INTEGER");
    semantic("INSERT INTO users (id, age) VALUES (1, 2.5)", 40, "2.5 does not fit column AGE, which is INTEGER");
    semantic("INSERT INTO users (id, age) VALUES (1, true)", 40, "column AGE is INTEGER, this is BOOLEAN");
    semantic("INSERT INTO users (id, rowoffset) VALUES (1, 2)", 24,
             "ROWOFFSET is the log's to give: of these, ROWTIME alone can be inserted");
}
END_TEST

/* ---- the catalog ---- */

START_TEST(drop_names_those_who_use_it)
{
    make_sources();
    run("CREATE STREAM a AS SELECT * FROM access");
    run("CREATE STREAM b AS SELECT * FROM a");
    run("INSERT INTO b SELECT * FROM a");
    semantic("DROP STREAM access", 13, "ACCESS is used by CSAS_A_2: TERMINATE that first");
    semantic("DROP STREAM a", 13, "A is used by CSAS_B_3, INSERTQUERY_4: TERMINATE them first");
    semantic("DROP STREAM b", 13, "B is written by INSERTQUERY_4: TERMINATE that first");
    semantic("DROP TABLE b", 12, "B is a stream, not a table; say STREAM");
    run("TERMINATE INSERTQUERY_4");
    run("DROP STREAM b");
    ck_assert_ptr_null(catalog_source(f.catalog, SLICE("B")));
    ck_assert_ptr_null(catalog_query(f.catalog, SLICE("CSAS_B_3")));
    run("DROP STREAM IF EXISTS b");
    ck_assert_int_eq(f.planned.kind, PLANNED_NOTHING);
    semantic("DROP STREAM b", 13, "there is no stream B; SHOW STREAMS and SHOW TABLES list those there are");
}
END_TEST

START_TEST(replacing_keeps_state_or_is_refused)
{
    make_sources();
    run("CREATE TABLE t AS SELECT ip, COUNT(*) AS c FROM access GROUP BY ip");
    semantic("CREATE TABLE t AS SELECT ip, COUNT(*) AS c FROM access GROUP BY ip", 14,
             "there is a table T already; CREATE OR REPLACE changes it");
    run("CREATE OR REPLACE TABLE t AS SELECT ip, COUNT(*) AS c FROM access WHERE n > 3 GROUP BY ip");
    ck_assert_ptr_nonnull(catalog_query(f.catalog, SLICE("CTAS_T_2")));
    semantic("CREATE OR REPLACE TABLE t AS SELECT ip, COUNT(*) AS c, SUM(n) AS s FROM access GROUP BY ip", 25,
             "T cannot be replaced by this: its query has kept COUNT(*) by `IP`, and the new one would keep COUNT(*), SUM(`N`) by `IP`; "
             "drop T and create it again to start over");
    semantic("CREATE OR REPLACE TABLE t AS SELECT ip, COUNT(*) AS d FROM access GROUP BY ip", 25,
             "T cannot be replaced by this: column C BIGINT would be missing; keep the columns there are and add new ones behind them, or drop T and create it again");
    run("ALTER STREAM access ADD COLUMN extra STRING");
    ck_assert_uint_eq(catalog_source(f.catalog, SLICE("ACCESS"))->schema.count, 7);
}
END_TEST

START_TEST(types_and_the_count_of_commands)
{
    run("CREATE TYPE address AS STRUCT<town STRING>");
    run("CREATE STREAM s (a address, b ARRAY<address>) WITH (kafka_topic='s', value_format='JSON')");
    expect_columns("S", "`A` STRUCT<`TOWN` STRING>, `B` ARRAY<STRUCT<`TOWN` STRING>>");
    semantic("CREATE STREAM u (a adress) WITH (kafka_topic='s', value_format='JSON')", 20,
             "unknown type ADRESS; did you mean ADDRESS?");
    semantic("CREATE TYPE address AS INT", 13, "there is a type ADDRESS already");
    run("DROP TYPE address");
    ck_assert_ptr_null(catalog_type(f.catalog, SLICE("ADDRESS")));
    ck_assert_uint_eq(catalog_version(f.catalog), 3);
}
END_TEST

START_TEST(the_log_folds_to_the_same_catalog)
{
    static const char *const script[] = {
        "CREATE STREAM access (ip STRING KEY, h ARRAY<STRUCT<key STRING, value BYTES>> HEADERS, ts BIGINT) "
        "WITH (kafka_topic='there', value_format='DELIMITED', value_delimiter='|', timestamp='ts', retention_ms=1000)",
        "CREATE TABLE t AS SELECT ip, COUNT(*) AS c FROM access GROUP BY ip, TUMBLING(10s)",
        "CREATE TYPE x AS STRUCT<a INT>",
        "CREATE STREAM copy AS SELECT ip, ts FROM access",
        "INSERT INTO copy SELECT ip, ts FROM access",
        "PAUSE CTAS_T_1",
        "DROP TYPE x",
    };
    catalog *folded = catalog_new();
    text printed = TEXT_EMPTY, again = TEXT_EMPTY;

    for (size_t i = 0; i < sizeof script / sizeof script[0]; i++) {
        command read;
        ck_assert_msg(plan_one(script[i]) == WEIR_OK, "%s", f.err.message);
        text_clear(&printed);
        text_clear(&again);
        command_print(&printed, &f.planned.command);
        ck_assert_msg(command_parse(text_slice(&printed), f.arena, &read, &f.err) == WEIR_OK, "%s", f.err.message);
        command_print(&again, &read);
        ck_assert_str_eq(again.data, printed.data);
        ck_assert(catalog_apply(folded, &read, &f.err) == WEIR_OK);
        ck_assert(catalog_apply(f.catalog, &f.planned.command, &f.err) == WEIR_OK);
    }
    uint32_t count, queries;
    const source *const *sources = catalog_sources(folded, &count);
    ck_assert_uint_eq(count, 3);
    ck_assert_int_eq(sources[0]->retention_ms, 1000);
    ck_assert_int_eq(sources[0]->timestamp_column, 2);
    ck_assert(sources[0]->schema.columns[1].is_headers && slice_is(sources[0]->value.delimiter, "|"));
    ck_assert_int_eq(sources[1]->windowed, WINDOW_TUMBLING);
    (void)catalog_queries(folded, &queries);
    ck_assert_uint_eq(queries, 3);
    ck_assert_int_eq(catalog_query(folded, SLICE("ctas_t_1"))->status, QUERY_PAUSED);
    ck_assert_uint_eq(catalog_version(folded), catalog_version(f.catalog));
    text_free(&printed);
    text_free(&again);
    catalog_free(folded);
}
END_TEST

START_TEST(damaged_text_is_an_error)
{
    text printed = TEXT_EMPTY;
    weir_error err;

    make_sources();
    ck_assert(plan_one("CREATE TABLE t AS SELECT n, COUNT(*) AS c, TOPK(price, 3) AS top FROM access WHERE line LIKE 'a%' "
                       "GROUP BY n, TUMBLING(10s) HAVING COUNT(*) > 1") == WEIR_OK);
    command_print(&printed, &f.planned.command);
    for (size_t i = 0; i < printed.len; i += 3) {
        arena *a = arena_new(0);
        command read;
        char was = printed.data[i];
        printed.data[i] = was == '\n' ? ' ' : (char)(was ^ 5);
        if (command_parse(text_slice(&printed), a, &read, &err) == WEIR_OK) command_release(&read);
        printed.data[i] = was;
        if (command_parse((slice){ printed.data, i }, a, &read, &err) == WEIR_OK) command_release(&read);
        arena_free(a);
    }
    text_free(&printed);
}
END_TEST

static void add_tests(TCase *all)
{
    tcase_add_test(all, a_stream_of_a_stream);
    tcase_add_test(all, group_by_the_record_key_needs_no_exchange);
    tcase_add_test(all, group_by_an_expression_in_windows);
    tcase_add_test(all, both_window_syntaxes_are_one);
    tcase_add_test(all, having_filters_with_former_rows);
    tcase_add_test(all, final_results);
    tcase_add_test(all, a_table_is_grouped_with_former_rows);
    tcase_add_test(all, partition_by_writes_under_another_key);
    tcase_add_test(all, keys_are_named_as_selected);
    tcase_add_test(all, a_pull_query_looks_up_its_key);
    tcase_add_test(all, lookups_need_every_key_column);
    tcase_add_test(all, queries_that_end);
    tcase_add_test(all, a_push_query_shows_pseudo_columns);
    tcase_add_test(all, streams_are_joined_where_their_keys_meet);
    tcase_add_test(all, several_joins_lean_left);
    tcase_add_test(all, rules_of_joins);
    tcase_add_test(all, expressions_survive_their_text);
    tcase_add_test(all, constants_are_folded);
    tcase_add_test(all, errors_name_the_thing_and_the_place);
    tcase_add_test(all, rules_of_grouping);
    tcase_add_test(all, rules_of_keys_and_names);
    tcase_add_test(all, rules_of_with);
    tcase_add_test(all, defaults_of_with);
    tcase_add_test(all, what_is_not_there_yet_says_so);
    tcase_add_test(all, values_are_brought_to_their_columns);
    tcase_add_test(all, drop_names_those_who_use_it);
    tcase_add_test(all, replacing_keeps_state_or_is_refused);
    tcase_add_test(all, types_and_the_count_of_commands);
    tcase_add_test(all, the_log_folds_to_the_same_catalog);
    tcase_add_test(all, damaged_text_is_an_error);
}

int main(void)
{
    return run_tests("plan", add_tests, setup, teardown);
}
