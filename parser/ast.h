/* parser/ast.h - the tree a statement becomes.
 * Ownership: everything here lies in the arena given to the parser, texts included; nothing is freed alone.
 * Every node says where it was typed (`at`): before ${variables} were put in. The tree is what was written, not what it
 * means: names are not looked up and types not known; that is the planner's part.
 * Names: an unquoted name is kept in upper case, a quoted one ("a" or `a`) as typed. An absent name has name.data == NULL.
 * Depth: trees are bounded (TREE_HEIGHT_MAX), so walking them recursively is safe. AND, OR and UNION ALL chains are flat
 * lists and may be as long as memory allows. */
#ifndef WEIR_PARSER_AST_H
#define WEIR_PARSER_AST_H

#include "core/error.h"
#include "core/schema.h"
#include "core/slice.h"

/* No expression, type or relation is higher than this; deeper ones are a syntax error. */
#define TREE_HEIGHT_MAX 1000

typedef struct expr expr;
typedef struct type_name type_name;
typedef struct select_query select_query;
typedef struct relation relation;
typedef struct statement statement;

typedef struct identifier {
    slice name;
    bool quoted;
    sql_pos at;
} identifier;

static inline bool identifier_present(const identifier *i) { return i->name.data != NULL; }

typedef enum time_unit {
    UNIT_MILLISECONDS,
    UNIT_SECONDS,
    UNIT_MINUTES,
    UNIT_HOURS,
    UNIT_DAYS
} time_unit;

/* ---- types ---- */

typedef enum type_name_kind {
    TYPE_NAME_PLAIN, /* INT, DECIMAL(4, 2), or the name of a custom type */
    TYPE_NAME_ARRAY,
    TYPE_NAME_MAP,
    TYPE_NAME_STRUCT
} type_name_kind;

typedef struct type_name_field {
    identifier name;
    type_name *type;
} type_name_field;

/* VARCHAR(STRING), an old spelling of VARCHAR: this stands for the word. */
#define TYPE_PARAMETER_STRING INT64_MIN

struct type_name {
    type_name_kind kind;
    uint32_t height;
    sql_pos at;
    identifier name;     /* PLAIN */
    int64_t *parameters; /* PLAIN: DECIMAL(4, 2) has two; mind TYPE_PARAMETER_STRING */
    uint32_t parameter_count;
    type_name *key;     /* MAP */
    type_name *element; /* ARRAY: of the elements; MAP: of the values */
    type_name_field *fields; /* STRUCT; may be none */
    uint32_t field_count;
};

/* ---- expressions ---- */

typedef enum expr_kind {
    EXPR_NULL,
    EXPR_BOOLEAN,      /* boolean */
    EXPR_INTEGER,      /* integer: fits 32 bits */
    EXPR_BIGINT,       /* integer: does not */
    EXPR_DECIMAL,      /* string: the literal as typed, with its sign: -1.50 */
    EXPR_DOUBLE,       /* number: a literal with an exponent; string: as typed */
    EXPR_STRING,       /* string: its value */
    EXPR_DURATION,     /* duration_ms: 500ms 10s 5m 2h 7d */
    EXPR_TYPED_STRING, /* typed_string: DATE '2021-05-01' */
    EXPR_UNIT,         /* unit: a time unit as a function's argument; the plural words and MILLISECOND (DAY, HOUR, MINUTE,
                        * SECOND may name columns and parse as such; a binder that expects a unit may take them) */
    EXPR_COLUMN,       /* column */
    EXPR_FIELD,        /* field: base->name */
    EXPR_SUBSCRIPT,    /* subscript: base[index] */
    EXPR_CALL,         /* call */
    EXPR_LAMBDA,       /* lambda: only as an argument of a call */
    EXPR_NEGATE,       /* operand: -x (a sign before a number belongs to the literal instead) */
    EXPR_PLUS,         /* operand: +x */
    EXPR_NOT,          /* operand */
    EXPR_ADD,          /* binary, as all down to MODULO */
    EXPR_SUBTRACT,
    EXPR_MULTIPLY,
    EXPR_DIVIDE,
    EXPR_MODULO,
    EXPR_CONCAT, /* binary: a || b */
    EXPR_EQUAL,  /* binary, as all down to IS_NOT_DISTINCT */
    EXPR_NOT_EQUAL,
    EXPR_LESS,
    EXPR_LESS_EQUAL,
    EXPR_GREATER,
    EXPR_GREATER_EQUAL,
    EXPR_IS_DISTINCT,
    EXPR_IS_NOT_DISTINCT,
    EXPR_AND, /* list: two or more, left to right */
    EXPR_OR,  /* list: two or more, left to right */
    EXPR_BETWEEN,
    EXPR_IN,
    EXPR_LIKE,
    EXPR_IS_NULL, /* is_null */
    EXPR_CASE,    /* switch_case */
    EXPR_CAST,
    EXPR_ARRAY,       /* list: ARRAY[a, b]; may be empty */
    EXPR_MAP,         /* map: MAP(k := v, ...); may be empty */
    EXPR_STRUCT,      /* structure: STRUCT(a := x, ...); may be empty */
    EXPR_AT_TIME_ZONE /* at_time_zone */
} expr_kind;

typedef struct expr_list {
    expr **items;
    uint32_t count;
} expr_list;

typedef struct order_item {
    expr *by;
    bool descending;
    bool has_nulls; /* NULLS FIRST or NULLS LAST was written */
    bool nulls_first;
} order_item;

typedef struct order_list {
    order_item *items;
    uint32_t count;
} order_list;

/* OVER (PARTITION BY ... ORDER BY ...) */
typedef struct over_clause {
    sql_pos at;
    expr_list partition_by;
    order_list order_by;
} over_clause;

typedef struct case_branch {
    expr *when;
    expr *then;
} case_branch;

typedef struct map_entry {
    expr *key;
    expr *value;
} map_entry;

typedef struct struct_entry {
    identifier name;
    expr *value;
} struct_entry;

struct expr {
    expr_kind kind;
    uint32_t height; /* 1: no operands */
    sql_pos at;
    union {
        bool boolean;
        int64_t integer;
        struct {
            slice string;
            double number;
        };
        int64_t duration_ms;
        time_unit unit;
        expr *operand;
        expr_list list;
        struct {
            identifier type; /* DATE, TIME, TIMESTAMP; the binder refuses others */
            slice string;
        } typed_string;
        struct {
            identifier source; /* absent when the name stands alone */
            identifier name;
        } column;
        struct {
            expr *base;
            identifier name;
        } field;
        struct {
            expr *base;
            expr *index;
        } subscript;
        struct {
            identifier name;
            expr_list args;
            bool star;         /* COUNT(*): no args */
            bool distinct;     /* COUNT(DISTINCT x) */
            over_clause *over; /* NULL: none */
        } call;
        struct {
            identifier *parameters;
            uint32_t parameter_count;
            expr *body;
        } lambda;
        struct {
            expr *left;
            expr *right;
        } binary;
        struct {
            expr *value;
            expr *low;
            expr *high;
            bool negated;
        } between;
        struct {
            expr *value;
            expr_list list;
            bool negated;
        } in;
        struct {
            expr *value;
            expr *pattern;
            slice escape; /* absent: none was given */
            bool negated;
        } like;
        struct {
            expr *value;
            bool negated; /* IS NOT NULL */
        } is_null;
        struct {
            expr *value; /* NULL: CASE WHEN condition ...; else CASE value WHEN ... */
            case_branch *branches;
            uint32_t branch_count;
            expr *otherwise; /* NULL: no ELSE */
        } switch_case;
        struct {
            expr *value;
            type_name *type;
        } cast;
        struct {
            map_entry *entries;
            uint32_t count;
        } map;
        struct {
            struct_entry *entries;
            uint32_t count;
        } structure;
        struct {
            expr *value;
            slice zone;
        } at_time_zone;
    };
};

/* ---- queries ---- */

typedef enum select_item_kind {
    SELECT_EXPR,
    SELECT_ALL,        /* * */
    SELECT_SOURCE_ALL, /* source.* */
    SELECT_STRUCT_ALL  /* expr->* */
} select_item_kind;

typedef struct select_item {
    select_item_kind kind;
    sql_pos at;
    expr *value;       /* EXPR; STRUCT_ALL: the struct */
    identifier source; /* SOURCE_ALL */
    identifier alias;  /* EXPR: may be absent */
} select_item;

typedef enum relation_kind {
    RELATION_SOURCE, /* a stream, table, or name of a WITH clause */
    RELATION_QUERY,  /* (SELECT ...) */
    RELATION_JOIN
} relation_kind;

typedef enum join_type {
    INNER_JOIN,
    LEFT_JOIN,
    RIGHT_JOIN,
    FULL_JOIN
} join_type;

/* Durations that may be left out are -1 then. */
#define NO_DURATION ((int64_t)-1)

struct relation {
    relation_kind kind;
    uint32_t height;
    sql_pos at;       /* JOIN: of the word that opens it (LEFT, JOIN ...) */
    identifier alias; /* SOURCE, QUERY: may be absent */
    union {
        identifier source;
        select_query *query;
        struct {
            join_type type;
            relation *left; /* chains of joins lean left */
            relation *right;
            bool has_within;
            int64_t before_ms; /* WITHIN n: both alike */
            int64_t after_ms;
            int64_t grace_ms; /* or NO_DURATION */
            sql_pos within_at;
            expr *on; /* NULL: was left out (ksqlDB's grammar asks for it, so does weir's; kept for plans) */
        } join;
    };
};

/* WINDOW TUMBLING (...) and GROUP BY ..., TUMBLING(...) both become this. */
typedef struct window_clause {
    window_kind kind;
    sql_pos at;
    bool in_group_by;
    uint32_t group_by_index; /* in_group_by: how many plain expressions stood before it */
    int64_t size_ms;         /* SESSION: the gap */
    int64_t advance_ms;      /* HOPPING; else 0 */
    int64_t retention_ms;    /* or NO_DURATION */
    int64_t grace_ms;        /* or NO_DURATION */
} window_clause;

typedef enum emit_kind {
    EMIT_NONE,
    EMIT_CHANGES,
    EMIT_FINAL
} emit_kind;

/* WITH name AS (query) */
typedef struct common_table {
    identifier name;
    select_query *query;
} common_table;

struct select_query {
    sql_pos at;
    common_table *common_tables; /* WITH; of the outermost only */
    uint32_t common_table_count;
    bool distinct;
    select_item *items;
    uint32_t item_count;
    relation *from;
    window_clause *window; /* NULL: none */
    expr *where;           /* NULL: none */
    bool has_group_by;     /* GROUP BY may hold nothing but a window, or be () */
    expr_list group_by;    /* without the window */
    bool has_partition_by; /* PARTITION BY () is one */
    expr_list partition_by;
    expr *having; /* NULL: none */
    /* SELECT ... UNION ALL SELECT ...: the others in order; what follows (ORDER BY, EMIT, LIMIT) is for all. */
    select_query **union_all;
    uint32_t union_count;
    order_list order_by;
    emit_kind emit;
    sql_pos emit_at;
    int64_t limit; /* -1: none */
    sql_pos window_at, where_at, group_by_at, partition_by_at, having_at, order_by_at, limit_at;
};

/* ---- statements ---- */

typedef enum source_kind {
    SOURCE_STREAM,
    SOURCE_TABLE
} source_kind;

/* One of WITH (...). */
typedef struct with_property {
    slice name;  /* in upper case */
    slice typed; /* as typed, without quotes: connectors tell case apart */
    bool quoted;
    sql_pos at;
    expr *value; /* a literal */
} with_property;

typedef struct property_list {
    with_property *items;
    uint32_t count;
} property_list;

typedef enum column_role {
    COLUMN_VALUE,
    COLUMN_KEY,         /* KEY */
    COLUMN_PRIMARY_KEY, /* PRIMARY KEY */
    COLUMN_HEADERS,     /* HEADERS: all of them */
    COLUMN_HEADER       /* HEADER('name') */
} column_role;

typedef struct column_def {
    identifier name;
    type_name *type;
    column_role role;
    sql_pos role_at;
    slice header; /* HEADER */
} column_def;

typedef struct column_def_list {
    column_def *items;
    uint32_t count;
} column_def_list;

typedef struct identifier_list {
    identifier *items;
    uint32_t count;
} identifier_list;

typedef enum show_what {
    SHOW_STREAMS,
    SHOW_TABLES,
    SHOW_TOPICS,
    SHOW_QUERIES,
    SHOW_FUNCTIONS,
    SHOW_PROPERTIES,
    SHOW_TYPES,
    SHOW_VARIABLES,
    SHOW_CONNECTORS,
    SHOW_SOURCE_CONNECTORS,
    SHOW_SINK_CONNECTORS,
    SHOW_CONNECTOR_PLUGINS
} show_what;

typedef enum describe_what {
    DESCRIBE_SOURCE,
    DESCRIBE_STREAMS,
    DESCRIBE_TABLES,
    DESCRIBE_FUNCTION,
    DESCRIBE_CONNECTOR
} describe_what;

typedef enum statement_kind {
    STATEMENT_QUERY,          /* query */
    STATEMENT_CREATE_SOURCE,  /* create: CREATE STREAM|TABLE name (columns) WITH (...) */
    STATEMENT_CREATE_AS,      /* create: ... AS SELECT */
    STATEMENT_INSERT_QUERY,   /* insert_query */
    STATEMENT_INSERT_VALUES,  /* values */
    STATEMENT_DROP_SOURCE,    /* drop */
    STATEMENT_ALTER_SOURCE,   /* alter */
    STATEMENT_CREATE_TYPE,    /* create_type */
    STATEMENT_DROP_TYPE,      /* drop */
    STATEMENT_CREATE_CONNECTOR, /* create_connector */
    STATEMENT_DROP_CONNECTOR, /* drop */
    STATEMENT_SHOW,           /* show; also LIST */
    STATEMENT_DESCRIBE,       /* describe */
    STATEMENT_PRINT,          /* print */
    STATEMENT_EXPLAIN,        /* explain */
    STATEMENT_TERMINATE,      /* control */
    STATEMENT_PAUSE,          /* control */
    STATEMENT_RESUME,         /* control */
    STATEMENT_SET,            /* setting */
    STATEMENT_UNSET,          /* setting, without a value */
    STATEMENT_ALTER_SYSTEM,   /* setting */
    STATEMENT_DEFINE,         /* setting: name is a variable's */
    STATEMENT_UNDEFINE,       /* setting, without a value */
    STATEMENT_ASSERT_TOPIC,   /* assert_topic */
    STATEMENT_ASSERT_SCHEMA,  /* assert_schema */
    STATEMENT_ASSERT_SOURCE,  /* create: ASSERT STREAM|TABLE name (columns) WITH (...) */
    STATEMENT_ASSERT_VALUES,  /* values */
    STATEMENT_ASSERT_TOMBSTONE, /* values: ASSERT NULL VALUES name (columns) KEY (...) */
    STATEMENT_RUN_SCRIPT      /* script */
} statement_kind;

struct statement {
    statement_kind kind;
    sql_pos at; /* of its first word */
    slice text; /* its source, variables put in, from its first word to its last, without the semicolon */
    union {
        select_query *query;
        struct {
            source_kind kind;
            bool or_replace;
            bool read_only; /* CREATE SOURCE STREAM|TABLE */
            bool if_not_exists;
            identifier name;
            bool has_columns;
            column_def_list columns;
            property_list with;
            select_query *query; /* CREATE_AS */
        } create;
        struct {
            identifier target;
            property_list with;
            select_query *query;
        } insert_query;
        struct {
            identifier target;
            bool has_columns;
            identifier_list columns;
            expr_list values;
        } values;
        struct {
            source_kind kind; /* DROP_SOURCE */
            bool if_exists;
            identifier name;
            bool delete_topic;
        } drop;
        struct {
            source_kind kind;
            identifier name;
            column_def_list columns; /* to add; role is COLUMN_VALUE */
        } alter;
        struct {
            bool if_not_exists;
            identifier name;
            type_name *type;
        } create_type;
        struct {
            bool sink; /* else SOURCE */
            bool if_not_exists;
            identifier name;
            property_list with;
        } create_connector;
        struct {
            show_what what;
            bool all; /* SHOW ALL TOPICS */
            bool extended;
        } show;
        struct {
            describe_what what;
            identifier name; /* SOURCE, FUNCTION, CONNECTOR */
            bool extended;
        } describe;
        struct {
            slice topic; /* an identifier's text as typed, case kept (topics tell case apart), or a string */
            sql_pos topic_at;
            bool from_beginning;
            int64_t interval; /* every nth record; -1: each */
            int64_t limit;    /* -1: none */
        } print;
        struct {
            bool analyze;
            statement *inner; /* NULL: a query's id is given */
            identifier query_id;
        } explain;
        struct {
            bool all;
            identifier query_id;
        } control;
        struct {
            slice name;  /* as typed */
            slice value; /* absent for UNSET and UNDEFINE */
            sql_pos name_at;
            sql_pos value_at;
        } setting;
        struct {
            bool not_exists;
            slice topic; /* as print.topic */
            sql_pos topic_at;
            property_list with;
            int64_t timeout_ms; /* or NO_DURATION */
        } assert_topic;
        struct {
            bool not_exists;
            slice subject; /* absent: not given; as print.topic */
            bool has_id;
            int64_t id;
            int64_t timeout_ms; /* or NO_DURATION */
        } assert_schema;
        struct {
            slice file;
            sql_pos file_at;
        } script;
    };
};

/* ---- names of things, for messages ---- */

const char *source_kind_name(source_kind kind);       /* "STREAM", "TABLE" */
const char *statement_kind_name(statement_kind kind); /* "CREATE STREAM AS SELECT" and the like */
const char *time_unit_name(time_unit unit);           /* "SECONDS" */
int64_t time_unit_ms(time_unit unit);

#endif
