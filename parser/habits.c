/* parser/habits.c - what people write who come from another dialect, or from another clause, and what is written here.
 * A row is told by the word that was met and by the place, which is told by what could have stood there instead. */
#include "grammar.h"
#include "parser/parse.h"

#define ANY NULL              /* whatever was met */
#define AT_END (-1)           /* nothing but the end could have stood there */
#define PROPERTY (-2)         /* the name of one in WITH */
#define WRITTEN_DURATION (-3) /* a duration, where no expression may stand */
#define SOURCE (-4)           /* behind the name of one in FROM */
#define NAME (-5)             /* a name or a type, and no expression */
#define BEGINS_CLAUSE (-6)    /* behind FROM, or at the end; or the word before stood there, and was taken for a source's other name */
#define STATEMENT TK_DROP     /* stands for the beginning of a statement, where alone it can stand */
#define CLAUSE TK_LIMIT       /* stands for a place behind FROM, where another clause of the query could begin */

typedef struct row {
    const char *found; /* as typed; "": the end of the statement */
    int could;         /* the place */
    const char *behind; /* as typed, the word or sign before; NULL: any */
    int first;         /* how the statement begins; 0: however */
    habit says;
} row;

#define CONSTRUCT(advice) { advice, true }
#define PLACE(advice) { advice, false }

#define NO_VIEW CONSTRUCT("there are no views; what keeps itself up to date is CREATE STREAM ... AS SELECT or CREATE TABLE ... AS SELECT")
#define NO_INDEX CONSTRUCT("there are no indexes: a table is kept by its key, and CREATE TABLE ... AS SELECT keeps it by another")
#define NO_TRANSACTION CONSTRUCT("there are no transactions to open or close: each statement counts by itself")
#define NO_DATABASE CONSTRUCT("there is one catalog of streams and tables, and no databases in it")
#define NO_ACCOUNT CONSTRUCT("accounts are not made by statements; the server reads them from its file of accounts")
#define NO_FUNCTION CONSTRUCT("functions are built in; SHOW FUNCTIONS lists them")
#define NO_UPSERT CONSTRUCT("rows are written by INSERT INTO ... VALUES; in a table it takes the place of the row with that key")
#define ONE_QUERY CONSTRUCT("a query cannot stand within an expression; JOIN brings its source in")
#define NO_UNION CONSTRUCT("there is no UNION; INSERT INTO one stream from each SELECT brings their rows together")
#define FIRST_ROWS PLACE("so many rows at most are asked for by LIMIT, at the end")
#define NO_CONSTRAINT PLACE("a column has a name, a type and at most KEY, PRIMARY KEY, HEADERS or HEADER('name'): no constraints, no defaults")
#define NO_EXCEPT CONSTRUCT("there is no EXCEPT; a LEFT JOIN, WHERE the right side's key IS NULL, leaves what only the left one has")
#define NO_SORT_BY CONSTRUCT("there is no SORT BY, CLUSTER BY or DISTRIBUTE BY: PARTITION BY places rows by a key; ORDER BY sorts, where a query ends")
#define NO_STAR_BUT CONSTRUCT("* is all columns; where some are not wanted, name the others")
#define SAYS_ON PLACE("a join says what is equal: ON a.id = b.id")
#define BY_REGEXP PLACE("REGEXP_EXTRACT('pattern', name) IS NOT NULL tells whether there is a match")
#define BY_ITSELF PLACE("a BOOLEAN is a condition by itself: WHERE flag, WHERE NOT flag")
#define ALL_COLUMNS PLACE("INSERT INTO ... SELECT takes no list of columns: the SELECT list has all those of the target, in its order")

static const row ROWS[] = {
    /* statements of others */
    { "UPDATE", STATEMENT, NULL, 0, CONSTRUCT("there is no UPDATE: INSERT INTO ... VALUES with the key of a table's row takes that row's "
                                              "place; rows of a stream stay") },
    { "DELETE", STATEMENT, NULL, 0, CONSTRUCT("there is no DELETE: a record with a key and a null value (a tombstone), as weir produce --null "
                                              "writes it, deletes that row of a table; DROP takes away a stream or a table") },
    { "TRUNCATE", STATEMENT, NULL, 0, CONSTRUCT("there is no TRUNCATE: DROP STREAM or DROP TABLE ... DELETE TOPIC takes the rows away too") },
    { "MERGE", STATEMENT, NULL, 0, NO_UPSERT },
    { "UPSERT", STATEMENT, NULL, 0, NO_UPSERT },
    { "REPLACE", STATEMENT, NULL, 0, NO_UPSERT },
    { "BEGIN", STATEMENT, NULL, 0, NO_TRANSACTION },
    { "START", STATEMENT, NULL, 0, NO_TRANSACTION },
    { "COMMIT", STATEMENT, NULL, 0, NO_TRANSACTION },
    { "ROLLBACK", STATEMENT, NULL, 0, NO_TRANSACTION },
    { "USE", STATEMENT, NULL, 0, NO_DATABASE },
    { "GRANT", STATEMENT, NULL, 0, NO_ACCOUNT },
    { "REVOKE", STATEMENT, NULL, 0, NO_ACCOUNT },
    { "COPY", STATEMENT, NULL, 0, CONSTRUCT("files are not read by statements; weir produce writes the lines of one into a topic") },
    { "LOAD", STATEMENT, NULL, 0, CONSTRUCT("files are not read by statements; weir produce writes the lines of one into a topic") },
    { "DESC", STATEMENT, NULL, 0, PLACE("DESCRIBE name tells the columns of a stream or table") },
    { "PRAGMA", STATEMENT, NULL, 0, CONSTRUCT("settings are made by SET 'name' = 'value'; SHOW PROPERTIES lists them") },
    { "VIEW", TK_TYPE, NULL, TK_CREATE, NO_VIEW },
    { "MATERIALIZED", TK_TYPE, NULL, TK_CREATE, NO_VIEW },
    { "VIEW", TK_STREAM, NULL, TK_CREATE, NO_VIEW },
    { "INDEX", TK_TYPE, NULL, TK_CREATE, NO_INDEX },
    { "UNIQUE", TK_TYPE, NULL, TK_CREATE, NO_INDEX },
    { "DATABASE", TK_TYPE, NULL, TK_CREATE, NO_DATABASE },
    { "SCHEMA", TK_TYPE, NULL, TK_CREATE, NO_DATABASE },
    { "USER", TK_TYPE, NULL, TK_CREATE, NO_ACCOUNT },
    { "ROLE", TK_TYPE, NULL, TK_CREATE, NO_ACCOUNT },
    { "FUNCTION", TK_TYPE, NULL, TK_CREATE, NO_FUNCTION },
    { "TOPIC", TK_TYPE, NULL, TK_CREATE, CONSTRUCT("CREATE STREAM or CREATE TABLE makes the topic it names; PARTITIONS says how many it has") },
    { "TEMP", TK_TYPE, NULL, TK_CREATE, CONSTRUCT("nothing is temporary: what is created stays until DROP") },
    { "TEMPORARY", TK_TYPE, NULL, TK_CREATE, CONSTRUCT("nothing is temporary: what is created stays until DROP") },
    { "VIEW", TK_TYPE, NULL, TK_DROP, NO_VIEW },
    { "INDEX", TK_TYPE, NULL, TK_DROP, NO_INDEX },
    { "DATABASE", TK_TYPE, NULL, TK_DROP, NO_DATABASE },
    { "TOPIC", TK_TYPE, NULL, TK_DROP, PLACE("DROP STREAM or DROP TABLE ... DELETE TOPIC takes the topic away as well") },
    { "QUERY", TK_TYPE, NULL, TK_DROP, PLACE("TERMINATE id ends a query; SHOW QUERIES lists them") },
    { ANY, TK_QUERIES, NULL, TK_SHOW, PLACE("SHOW takes STREAMS, TABLES, TOPICS, QUERIES, FUNCTIONS, PROPERTIES, TYPES or "
                                             "VARIABLES; DESCRIBE name tells the columns of one") },
    { ANY, TK_QUERIES, NULL, TK_LIST, PLACE("LIST takes STREAMS, TABLES, TOPICS, QUERIES, FUNCTIONS, PROPERTIES, TYPES or VARIABLES") },
    { "TABLE", TK_STREAMS, NULL, TK_DESCRIBE, PLACE("DESCRIBE takes the name alone") },
    { "STREAM", TK_STREAMS, NULL, TK_DESCRIBE, PLACE("DESCRIBE takes the name alone") },
    { ANY, AT_END, "QUERY", TK_TERMINATE, PLACE("TERMINATE takes the id alone; SHOW QUERIES lists them") },
    { ANY, TK_ADD, NULL, TK_ALTER, PLACE("ALTER adds columns, and that only: ADD COLUMN name type") },

    /* columns and properties */
    { "ARRAY", NAME, NULL, 0, PLACE("the type is written ARRAY<type>") },
    { "MAP", NAME, NULL, 0, PLACE("the type is written MAP<type, type>") },
    { "STRUCT", NAME, NULL, 0, PLACE("the type is written STRUCT<name type, ...>") },
    { "NOT", TK_HEADERS, NULL, 0, NO_CONSTRAINT },
    { "NULL", TK_HEADERS, NULL, 0, NO_CONSTRAINT },
    { "DEFAULT", TK_HEADERS, NULL, 0, NO_CONSTRAINT },
    { "UNIQUE", TK_HEADERS, NULL, 0, NO_CONSTRAINT },
    { "CHECK", TK_HEADERS, NULL, 0, NO_CONSTRAINT },
    { "REFERENCES", TK_HEADERS, NULL, 0, NO_CONSTRAINT },
    { "CONSTRAINT", TK_HEADERS, NULL, 0, NO_CONSTRAINT },
    { "COMMENT", TK_HEADERS, NULL, 0, NO_CONSTRAINT },
    { "COLLATE", TK_HEADERS, NULL, 0, NO_CONSTRAINT },
    { "GENERATED", TK_HEADERS, NULL, 0, NO_CONSTRAINT },
    { "AS", TK_HEADERS, NULL, 0, NO_CONSTRAINT },
    { "METADATA", TK_HEADERS, NULL, 0, PLACE("HEADER('name') reads a header of the record; ROWTIME, ROWPARTITION and ROWOFFSET are there "
                                             "without being declared") },
    { ANY, TK_HEADERS, "FOR", TK_CREATE, CONSTRUCT("there is no WATERMARK FOR; TIMESTAMP = 'column' in WITH says which column is the time, "
                                                   "and a window's GRACE PERIOD how long late rows are waited for") },
    { "(", TK_WITH, NULL, TK_CREATE, PLACE("properties stand behind WITH: WITH (KAFKA_TOPIC = '...', ...)") },
    { "TOPIC", PROPERTY, NULL, TK_CREATE, PLACE("the topic is given by KAFKA_TOPIC = '...'") },

    /* INSERT */
    { "SELECT", TK_VALUES, NULL, TK_INSERT, ALL_COLUMNS },
    { "WITH", TK_VALUES, NULL, TK_INSERT, ALL_COLUMNS },
    { ",", AT_END, ")", TK_INSERT, PLACE("VALUES takes one row; each further one is an INSERT of its own") },
    { ANY, AT_END, ")", TK_INSERT, PLACE("VALUES ends the statement") },

    /* windows and durations */
    { "SIZE", TK_DURATION, "(", 0, PLACE("a session has no size: SESSION (10 SECONDS) tells the gap that ends it") },
    { "ADVANCE", TK_RETENTION, NULL, 0, PLACE("ADVANCE BY is for HOPPING windows") },
    { "ADVANCE", TK_RP, NULL, 0, PLACE("ADVANCE BY is for HOPPING windows, behind a comma: HOPPING (SIZE 1 HOUR, ADVANCE BY 10 MINUTES)") },
    { ANY, WRITTEN_DURATION, NULL, 0, PLACE("a duration is a number and a unit without quotes, as in 10 SECONDS or 10s") },

    /* settings */
    { ".", TK_EQ, NULL, TK_SET, PLACE("the name of a setting stands in single quotes: SET 'auto.offset.reset' = 'earliest'") },
    { "TO", TK_EQ, NULL, TK_SET, PLACE("a setting is made by =: SET 'auto.offset.reset' = 'earliest'") },

    /* clauses out of their order */
    { "WINDOW", CLAUSE, NULL, 0, PLACE("WINDOW stands right behind FROM and its JOINs, before WHERE and GROUP BY") },
    { "WITHIN", CLAUSE, NULL, 0, PLACE("WITHIN stands before ON: JOIN name WITHIN 1 HOUR ON ...") },
    { "WHERE", CLAUSE, NULL, 0, PLACE("there is one WHERE, before GROUP BY; HAVING is for groups") },
    { "GROUP", CLAUSE, NULL, 0, PLACE("GROUP BY stands once, behind WHERE and before HAVING, ORDER BY, EMIT and LIMIT") },
    { "HAVING", CLAUSE, NULL, 0, PLACE("HAVING stands behind GROUP BY and before ORDER BY, EMIT and LIMIT") },
    { "ORDER", CLAUSE, NULL, 0, PLACE("ORDER BY stands before EMIT and LIMIT") },
    { "ORDER", AT_END, NULL, TK_SELECT, PLACE("ORDER BY stands before EMIT and LIMIT") },
    { "EMIT", AT_END, NULL, 0, PLACE("EMIT stands before LIMIT") },
    { "WHERE", AT_END, NULL, TK_SELECT, PLACE("WHERE stands behind FROM, before GROUP BY, EMIT and LIMIT") },
    { ANY, CLAUSE, "ORDER", 0, PLACE("ORDER BY is two words") },
    { ANY, CLAUSE, "PARTITION", 0, PLACE("PARTITION BY is two words") },
    { "WITH", CLAUSE, NULL, TK_CREATE, PLACE("WITH stands before AS: CREATE STREAM name WITH (...) AS SELECT ...") },
    { "WITH", CLAUSE, NULL, TK_SELECT, PLACE("WITH gives properties to what is created; a SELECT has none") },
    { "(", TK_ON, "USING", 0, SAYS_ON },
    { "", TK_WITHIN, NULL, 0, SAYS_ON },
    { "WHERE", TK_WITHIN, NULL, 0, SAYS_ON },
    { "GROUP", TK_WITHIN, NULL, 0, SAYS_ON },
    { "EMIT", TK_WITHIN, NULL, 0, SAYS_ON },
    { "LIMIT", TK_WITHIN, NULL, 0, SAYS_ON },
    { "JOIN", TK_WITHIN, NULL, 0, SAYS_ON },

    /* clauses there are not */
    { "EMIT", BEGINS_CLAUSE, NULL, 0, PLACE("EMIT is followed by CHANGES or FINAL") },
    { "FETCH", BEGINS_CLAUSE, NULL, 0, FIRST_ROWS },
    { "FOR", BEGINS_CLAUSE, NULL, 0, CONSTRUCT("there is no FOR: a query locks nothing, and reads its sources as they are now") },
    { "TABLESAMPLE", BEGINS_CLAUSE, NULL, 0, CONSTRUCT("there is no TABLESAMPLE; WHERE RANDOM() < 0.1 takes about a tenth of the rows") },
    { "QUALIFY", BEGINS_CLAUSE, NULL, 0, CONSTRUCT("there is no QUALIFY, as there are no functions OVER (...); HAVING is for groups") },
    { "LATERAL", BEGINS_CLAUSE, NULL, 0, CONSTRUCT("there is no LATERAL; EXPLODE in the SELECT list makes rows of an array's items") },
    { "PIVOT", BEGINS_CLAUSE, NULL, 0, CONSTRUCT("there is no PIVOT; aggregates of CASE WHEN ... THEN ... END fill a column each") },
    { "UNPIVOT", BEGINS_CLAUSE, NULL, 0, CONSTRUCT("there is no UNPIVOT; EXPLODE(ARRAY[a, b]) makes a row of each column") },
    { "MATCH_RECOGNIZE", BEGINS_CLAUSE, NULL, 0, CONSTRUCT("there is no MATCH_RECOGNIZE, nor another way to look for a sequence of rows") },
    { "INTERSECT", BEGINS_CLAUSE, NULL, 0, CONSTRUCT("there is no INTERSECT; JOIN finds what two sources have in common") },
    { "EXCEPT", BEGINS_CLAUSE, NULL, 0, NO_EXCEPT },
    { "MINUS", BEGINS_CLAUSE, NULL, 0, NO_EXCEPT },
    { "SORT", BEGINS_CLAUSE, NULL, 0, NO_SORT_BY },
    { "CLUSTER", BEGINS_CLAUSE, NULL, 0, NO_SORT_BY },
    { "DISTRIBUTE", BEGINS_CLAUSE, NULL, 0, NO_SORT_BY },
    { "USE", BEGINS_CLAUSE, NULL, 0, CONSTRUCT("there are no indexes, and no hints which to use") },
    { "OFFSET", AT_END, NULL, TK_SELECT, CONSTRUCT("there is no OFFSET; WHERE with the key or the time of the last row seen goes on behind it") },
    { ",", AT_END, NULL, TK_SELECT, CONSTRUCT("LIMIT takes one number; there is no offset") },
    { "SELECT", CLAUSE, "UNION", 0, NO_UNION },
    { "SETS", CLAUSE, "GROUPING", 0, CONSTRUCT("there are no GROUPING SETS: one query groups in one way") },
    { "INTO", TK_FROM, NULL, TK_SELECT, CONSTRUCT("there is no SELECT INTO; CREATE STREAM name AS SELECT ... keeps the result") },
    { "EXCEPT", TK_FROM, "*", 0, NO_STAR_BUT },
    { "EXCLUDE", TK_FROM, "*", 0, NO_STAR_BUT },
    { "ILIKE", TK_LIKE, NULL, 0, PLACE("LIKE tells small letters from capitals; UCASE(name) LIKE 'A%' does not") },
    { "RLIKE", TK_LIKE, NULL, 0, BY_REGEXP },
    { "REGEXP", TK_LIKE, NULL, 0, BY_REGEXP },
    { "SIMILAR", TK_LIKE, NULL, 0, BY_REGEXP },
    { "TRUE", TK_DISTINCT, NULL, 0, BY_ITSELF },
    { "FALSE", TK_DISTINCT, NULL, 0, BY_ITSELF },
    { "[", TK_CASE, NULL, 0, PLACE("an array is written ARRAY[...]") },
    { "SELECT", TK_CASE, "(", 0, ONE_QUERY },
    { "EXISTS", TK_CASE, NULL, 0, ONE_QUERY },
    { "FROM", TK_FAT_ARROW, NULL, 0, PLACE("between the arguments of a function stand commas, and no words") },
    { "AS", TK_FAT_ARROW, NULL, 0, PLACE("AS stands in CAST alone; between the arguments of a function stand commas") },
    { "", TK_FROM, NULL, TK_SELECT, PLACE("SELECT reads a stream or a table: say FROM which") },
    { ANY, TK_FROM, "TOP", TK_SELECT, FIRST_ROWS },
    { "(", TK_FROM, "FILTER", 0, CONSTRUCT("an aggregate has no FILTER; CASE WHEN ... THEN ... END as its argument leaves rows out") },
    { ".", SOURCE, NULL, 0, PLACE("there are no schemas: a stream or a table has a name of one part") },
    { ".", TK_ARROW, NULL, 0, PLACE("a field of a STRUCT is read by ->, as in column->field") },
    { ".", STATEMENT, NULL, 0, PLACE("SHOW STREAMS, SHOW TABLES and DESCRIBE name tell what there is") },
};

static bool is_at_end(const bool *could)
{
    for (int kind = 1; kind < TK_SEMICOLON; kind++)
        if (could[kind]) return false;
    return could[TOKEN_END];
}

static bool is_place(int place, const bool *could)
{
    switch (place) {
    case AT_END: return is_at_end(could);
    case PROPERTY: return could[TK_STRING] && could[TK_QUOTED_NAME] && !could[TK_CASE];
    case WRITTEN_DURATION: return could[TK_DURATION] && !could[TK_NULL];
    case SOURCE: return could[TK_JOIN] && !could[TK_PLUS];
    case NAME: return could[TK_QUOTED_NAME] && !could[TK_CASE];
    default: {
        const keyword *k = keyword_of_token(place);
        bool is_name_too = k != NULL && k->reserved == KEYWORD_WORD && could[TK_QUOTED_NAME];
        return could[place] && !is_name_too;
    }
    }
}

static bool begins_clause(const parse_context *c, const token *found, const bool *could, slice word)
{
    if (slice_equal_nocase(found->text, word)) return could[TK_LIMIT] || is_at_end(could);
    return slice_equal_nocase(c->previous.text, word) && is_behind_alias(&c->previous, could);
}

const habit *habit_of(const parse_context *c, const token *found, const bool *could)
{
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        const row *r = &ROWS[i];
        if (r->first != 0 && r->first != c->first_kind) continue;
        if (r->could == BEGINS_CLAUSE) {
            if (begins_clause(c, found, could, slice_of(r->found))) return &r->says;
            continue;
        }
        if (r->found != ANY && !slice_equal_nocase(found->text, slice_of(r->found))) continue;
        if (r->behind != NULL && !slice_equal_nocase(c->previous.text, slice_of(r->behind))) continue;
        if (is_place(r->could, could)) return &r->says;
    }
    return NULL;
}
