/* parser/ast.c - names of things in the tree, for messages. */
#include "parser/ast.h"

#include <assert.h>

const char *source_kind_name(source_kind kind) { return kind == SOURCE_STREAM ? "STREAM" : "TABLE"; }

const char *statement_kind_name(statement_kind kind)
{
    switch (kind) {
    case STATEMENT_QUERY:            return "SELECT";
    case STATEMENT_CREATE_SOURCE:    return "CREATE STREAM or TABLE";
    case STATEMENT_CREATE_AS:        return "CREATE STREAM or TABLE AS SELECT";
    case STATEMENT_INSERT_QUERY:     return "INSERT INTO ... SELECT";
    case STATEMENT_INSERT_VALUES:    return "INSERT INTO ... VALUES";
    case STATEMENT_DROP_SOURCE:      return "DROP STREAM or TABLE";
    case STATEMENT_ALTER_SOURCE:     return "ALTER STREAM or TABLE";
    case STATEMENT_CREATE_TYPE:      return "CREATE TYPE";
    case STATEMENT_DROP_TYPE:        return "DROP TYPE";
    case STATEMENT_CREATE_CONNECTOR: return "CREATE CONNECTOR";
    case STATEMENT_DROP_CONNECTOR:   return "DROP CONNECTOR";
    case STATEMENT_SHOW:             return "SHOW";
    case STATEMENT_DESCRIBE:         return "DESCRIBE";
    case STATEMENT_PRINT:            return "PRINT";
    case STATEMENT_EXPLAIN:          return "EXPLAIN";
    case STATEMENT_TERMINATE:        return "TERMINATE";
    case STATEMENT_PAUSE:            return "PAUSE";
    case STATEMENT_RESUME:           return "RESUME";
    case STATEMENT_SET:              return "SET";
    case STATEMENT_UNSET:            return "UNSET";
    case STATEMENT_ALTER_SYSTEM:     return "ALTER SYSTEM";
    case STATEMENT_DEFINE:           return "DEFINE";
    case STATEMENT_UNDEFINE:         return "UNDEFINE";
    case STATEMENT_ASSERT_TOPIC:     return "ASSERT TOPIC";
    case STATEMENT_ASSERT_SCHEMA:    return "ASSERT SCHEMA";
    case STATEMENT_ASSERT_SOURCE:    return "ASSERT STREAM or TABLE";
    case STATEMENT_ASSERT_VALUES:    return "ASSERT VALUES";
    case STATEMENT_ASSERT_TOMBSTONE: return "ASSERT NULL VALUES";
    case STATEMENT_RUN_SCRIPT:       return "RUN SCRIPT";
    }
    assert(0 && "no such statement");
    return "";
}

const char *time_unit_name(time_unit unit)
{
    static const char *const NAMES[] = { "MILLISECONDS", "SECONDS", "MINUTES", "HOURS", "DAYS" };
    assert(unit <= UNIT_DAYS);
    return NAMES[unit];
}

int64_t time_unit_ms(time_unit unit)
{
    static const int64_t MS[] = { 1, 1000, 60 * 1000, 60 * 60 * 1000, 24 * 60 * 60 * 1000 };
    assert(unit <= UNIT_DAYS);
    return MS[unit];
}
