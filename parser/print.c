/* parser/print.c - trees back to SQL, on one line, in a form that parses to the same tree: parentheses only where the tree
 * needs them, names in backquotes only where they would not read back as themselves. */
#include "parser/parse.h"

#include <assert.h>
#include <inttypes.h>

/* ---- names, texts, durations ---- */

static bool reads_back(slice name)
{
    static const char *const UNSAFE[] = { /* words that tokens.c decides by their neighbours, and those that open things */
        "ARRAY", "CHANGES", "COLUMN", "EMIT", "ESCAPE", "FINAL", "GRACE", "IF", "MAP", "ORDER", "OVER", "PARTITION",
        "STRUCT", "UNION", "SESSION", "TABLES",
    };
    const keyword *known = keyword_find(name);

    if (name.len == 0 || (name.data[0] >= '0' && name.data[0] <= '9')) return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (c == '@' && i > 0))) return false;
    }
    if (known == NULL) return true;
    if (known->reserved == KEYWORD_RESERVED) return false;
    for (size_t i = 0; i < sizeof UNSAFE / sizeof UNSAFE[0]; i++)
        if (slice_is(name, UNSAFE[i])) return false;
    return true;
}

static void add_quoted(text *t, slice value, char quote)
{
    const char *end = value.data + value.len;
    const char *from = value.data;

    text_add_char(t, quote);
    while (from < end) {
        const char *inner = memchr(from, quote, (size_t)(end - from));
        const char *until = inner == NULL ? end : inner + 1;
        text_add(t, (slice){ from, (size_t)(until - from) });
        if (inner != NULL) text_add_char(t, quote);
        from = until;
    }
    text_add_char(t, quote);
}

void print_identifier(text *t, slice name)
{
    if (reads_back(name)) {
        text_add(t, name);
    } else {
        add_quoted(t, name, '`');
    }
}

void print_string(text *t, slice value) { add_quoted(t, value, '\''); }

void print_duration(text *t, int64_t ms)
{
    static const char *const LETTERS[] = { "ms", "s", "m", "h", "d" };
    time_unit unit = UNIT_DAYS;

    assert(ms >= 0);
    if (ms == 0) unit = UNIT_SECONDS;
    while (ms % time_unit_ms(unit) != 0) unit--;
    text_printf(t, "%" PRId64 "%s", ms / time_unit_ms(unit), LETTERS[unit]);
}

/* As ksqlDB writes them: 10 SECONDS. */
static void print_amount(text *t, int64_t ms)
{
    time_unit unit = UNIT_DAYS;

    if (ms == 0) unit = UNIT_SECONDS;
    while (ms % time_unit_ms(unit) != 0) unit--;
    text_printf(t, "%" PRId64 " %s", ms / time_unit_ms(unit), time_unit_name(unit));
}

static void print_names(text *t, const identifier *names, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) text_add_c(t, ", ");
        print_identifier(t, names[i].name);
    }
}

/* ---- types ---- */

void print_type_name(text *t, const type_name *printed)
{
    switch (printed->kind) {
    case TYPE_NAME_PLAIN:
        print_identifier(t, printed->name.name);
        for (uint32_t i = 0; i < printed->parameter_count; i++) {
            text_add_c(t, i == 0 ? "(" : ", ");
            if (printed->parameters[i] == TYPE_PARAMETER_STRING) {
                text_add_c(t, "STRING");
            } else {
                text_printf(t, "%" PRId64, printed->parameters[i]);
            }
        }
        if (printed->parameter_count > 0) text_add_char(t, ')');
        break;
    case TYPE_NAME_ARRAY:
        text_add_c(t, "ARRAY<");
        print_type_name(t, printed->element);
        text_add_char(t, '>');
        break;
    case TYPE_NAME_MAP:
        text_add_c(t, "MAP<");
        print_type_name(t, printed->key);
        text_add_c(t, ", ");
        print_type_name(t, printed->element);
        text_add_char(t, '>');
        break;
    case TYPE_NAME_STRUCT:
        text_add_c(t, "STRUCT<");
        for (uint32_t i = 0; i < printed->field_count; i++) {
            if (i > 0) text_add_c(t, ", ");
            print_identifier(t, printed->fields[i].name.name);
            text_add_char(t, ' ');
            print_type_name(t, printed->fields[i].type);
        }
        text_add_c(t, printed->field_count == 0 ? " >" : ">");
        break;
    }
}

/* ---- expressions ---- */

/* How tightly a node holds together; as in the grammar. */
typedef enum level {
    LEVEL_OR,
    LEVEL_AND,
    LEVEL_NOT,
    LEVEL_PREDICATE,
    LEVEL_CONCAT,
    LEVEL_ADD,
    LEVEL_MULTIPLY,
    LEVEL_SIGN,
    LEVEL_AT,
    LEVEL_PRIMARY
} level;

#define LEVEL_VALUE LEVEL_CONCAT

static level level_of(const expr *e)
{
    switch (e->kind) {
    case EXPR_OR:           return LEVEL_OR;
    case EXPR_AND:          return LEVEL_AND;
    case EXPR_NOT:          return LEVEL_NOT;
    case EXPR_EQUAL: case EXPR_NOT_EQUAL: case EXPR_LESS: case EXPR_LESS_EQUAL: case EXPR_GREATER: case EXPR_GREATER_EQUAL:
    case EXPR_IS_DISTINCT: case EXPR_IS_NOT_DISTINCT: case EXPR_BETWEEN: case EXPR_IN: case EXPR_LIKE: case EXPR_IS_NULL:
        return LEVEL_PREDICATE;
    case EXPR_CONCAT:       return LEVEL_CONCAT;
    case EXPR_ADD:
    case EXPR_SUBTRACT:     return LEVEL_ADD;
    case EXPR_MULTIPLY:
    case EXPR_DIVIDE:
    case EXPR_MODULO:       return LEVEL_MULTIPLY;
    case EXPR_NEGATE:
    case EXPR_PLUS:         return LEVEL_SIGN;
    case EXPR_AT_TIME_ZONE: return LEVEL_AT;
    default:                return LEVEL_PRIMARY;
    }
}

static void print_at(text *t, const expr *e, level least)
{
    bool parentheses = level_of(e) < least;

    if (parentheses) text_add_char(t, '(');
    print_expr(t, e);
    if (parentheses) text_add_char(t, ')');
}

static void print_list(text *t, expr_list list)
{
    for (uint32_t i = 0; i < list.count; i++) {
        if (i > 0) text_add_c(t, ", ");
        print_expr(t, list.items[i]);
    }
}

/* Of GROUP BY and PARTITION BY, where conditions stand in parentheses. */
static void print_values_list(text *t, expr_list list)
{
    for (uint32_t i = 0; i < list.count; i++) {
        if (i > 0) text_add_c(t, ", ");
        print_at(t, list.items[i], LEVEL_VALUE);
    }
}

static void print_order(text *t, order_list list)
{
    for (uint32_t i = 0; i < list.count; i++) {
        const order_item *item = &list.items[i];
        text_add_c(t, i == 0 ? "ORDER BY " : ", ");
        print_expr(t, item->by);
        if (item->descending) text_add_c(t, " DESC");
        if (item->has_nulls) text_add_c(t, item->nulls_first ? " NULLS FIRST" : " NULLS LAST");
    }
}

static void print_binary(text *t, const expr *e, const char *sign)
{
    level own = level_of(e);

    print_at(t, e->binary.left, own == LEVEL_PREDICATE ? LEVEL_VALUE : own);
    text_printf(t, " %s ", sign);
    print_at(t, e->binary.right, own + 1);
}

static void print_chain(text *t, const expr *e, const char *word)
{
    for (uint32_t i = 0; i < e->list.count; i++) {
        if (i > 0) text_printf(t, " %s ", word);
        print_at(t, e->list.items[i], level_of(e) + 1);
    }
}

/* -5 is a literal and -- a comment: a number or another sign behind a minus stands in parentheses. */
static void print_negated(text *t, const expr *operand)
{
    bool apart = operand->kind == EXPR_INTEGER || operand->kind == EXPR_BIGINT || operand->kind == EXPR_DECIMAL ||
                 operand->kind == EXPR_DOUBLE || operand->kind == EXPR_NEGATE;

    text_add_char(t, '-');
    print_at(t, operand, apart ? LEVEL_PRIMARY + 1 : LEVEL_SIGN);
}

static void print_signed(text *t, const char *sign, const expr *operand, level own)
{
    text_add_c(t, sign);
    print_at(t, operand, own);
}

static void print_call(text *t, const expr *e)
{
    print_identifier(t, e->call.name.name);
    text_add_c(t, e->call.star ? "(*" : e->call.distinct ? "(DISTINCT " : "(");
    print_list(t, e->call.args);
    text_add_char(t, ')');
    if (e->call.over != NULL) {
        const over_clause *over = e->call.over;
        text_add_c(t, " OVER (");
        if (over->partition_by.count > 0) {
            text_add_c(t, "PARTITION BY ");
            print_list(t, over->partition_by);
            if (over->order_by.count > 0) text_add_char(t, ' ');
        }
        print_order(t, over->order_by);
        text_add_char(t, ')');
    }
}

static void print_lambda(text *t, const expr *e)
{
    bool parentheses = e->lambda.parameter_count != 1;

    if (parentheses) text_add_char(t, '(');
    print_names(t, e->lambda.parameters, e->lambda.parameter_count);
    text_add_c(t, parentheses ? ") => " : " => ");
    print_expr(t, e->lambda.body);
}

static void print_case(text *t, const expr *e)
{
    text_add_c(t, "CASE");
    if (e->switch_case.value != NULL) {
        text_add_char(t, ' ');
        print_at(t, e->switch_case.value, LEVEL_VALUE);
    }
    for (uint32_t i = 0; i < e->switch_case.branch_count; i++) {
        text_add_c(t, " WHEN ");
        print_expr(t, e->switch_case.branches[i].when);
        text_add_c(t, " THEN ");
        print_expr(t, e->switch_case.branches[i].then);
    }
    if (e->switch_case.otherwise != NULL) {
        text_add_c(t, " ELSE ");
        print_expr(t, e->switch_case.otherwise);
    }
    text_add_c(t, " END");
}

static void print_map(text *t, const expr *e)
{
    text_add_c(t, "MAP(");
    for (uint32_t i = 0; i < e->map.count; i++) {
        if (i > 0) text_add_c(t, ", ");
        print_expr(t, e->map.entries[i].key);
        text_add_c(t, " := ");
        print_expr(t, e->map.entries[i].value);
    }
    text_add_char(t, ')');
}

static void print_struct(text *t, const expr *e)
{
    text_add_c(t, "STRUCT(");
    for (uint32_t i = 0; i < e->structure.count; i++) {
        if (i > 0) text_add_c(t, ", ");
        print_identifier(t, e->structure.entries[i].name.name);
        text_add_c(t, " := ");
        print_expr(t, e->structure.entries[i].value);
    }
    text_add_char(t, ')');
}

static void print_literal(text *t, const expr *e)
{
    switch (e->kind) {
    case EXPR_BOOLEAN:  text_add_c(t, e->boolean ? "TRUE" : "FALSE"); break;
    case EXPR_INTEGER:
    case EXPR_BIGINT:   text_printf(t, "%" PRId64, e->integer); break;
    case EXPR_DECIMAL:
    case EXPR_DOUBLE:   text_add(t, e->string); break;
    case EXPR_STRING:   print_string(t, e->string); break;
    case EXPR_DURATION: print_duration(t, e->duration_ms); break;
    case EXPR_UNIT:     text_add_c(t, time_unit_name(e->unit)); break;
    case EXPR_TYPED_STRING:
        print_identifier(t, e->typed_string.type.name);
        text_add_char(t, ' ');
        print_string(t, e->typed_string.string);
        break;
    default: text_add_c(t, "NULL");
    }
}

/* A column, or a part of a value. */
static void print_reference(text *t, const expr *e)
{
    if (e->kind == EXPR_FIELD) {
        print_at(t, e->field.base, LEVEL_PRIMARY);
        text_add_c(t, "->");
        print_identifier(t, e->field.name.name);
    } else if (e->kind == EXPR_SUBSCRIPT) {
        print_at(t, e->subscript.base, LEVEL_PRIMARY);
        text_add_char(t, '[');
        print_at(t, e->subscript.index, LEVEL_VALUE);
        text_add_char(t, ']');
    } else {
        if (identifier_present(&e->column.source)) {
            print_identifier(t, e->column.source.name);
            text_add_char(t, '.');
        }
        print_identifier(t, e->column.name.name);
    }
}

static void print_between(text *t, const expr *e)
{
    print_at(t, e->between.value, LEVEL_VALUE);
    text_add_c(t, e->between.negated ? " NOT BETWEEN " : " BETWEEN ");
    print_at(t, e->between.low, LEVEL_VALUE);
    text_add_c(t, " AND ");
    print_at(t, e->between.high, LEVEL_VALUE);
}

static void print_in(text *t, const expr *e)
{
    print_at(t, e->in.value, LEVEL_VALUE);
    text_add_c(t, e->in.negated ? " NOT IN (" : " IN (");
    print_list(t, e->in.list);
    text_add_char(t, ')');
}

static void print_like(text *t, const expr *e)
{
    print_at(t, e->like.value, LEVEL_VALUE);
    text_add_c(t, e->like.negated ? " NOT LIKE " : " LIKE ");
    print_at(t, e->like.pattern, LEVEL_VALUE);
    if (e->like.escape.data == NULL) return;
    text_add_c(t, " ESCAPE ");
    print_string(t, e->like.escape);
}

static void print_is_null(text *t, const expr *e)
{
    print_at(t, e->is_null.value, LEVEL_VALUE);
    text_add_c(t, e->is_null.negated ? " IS NOT NULL" : " IS NULL");
}

static void print_cast(text *t, const expr *e)
{
    text_add_c(t, "CAST(");
    print_expr(t, e->cast.value);
    text_add_c(t, " AS ");
    print_type_name(t, e->cast.type);
    text_add_char(t, ')');
}

static void print_array(text *t, const expr *e)
{
    text_add_c(t, "ARRAY[");
    print_list(t, e->list);
    text_add_char(t, ']');
}

static void print_at_time_zone(text *t, const expr *e)
{
    print_at(t, e->at_time_zone.value, LEVEL_AT);
    text_add_c(t, " AT TIME ZONE ");
    print_string(t, e->at_time_zone.zone);
}

void print_expr(text *t, const expr *e)
{
    switch (e->kind) {
    case EXPR_NULL: case EXPR_BOOLEAN: case EXPR_INTEGER: case EXPR_BIGINT: case EXPR_DECIMAL: case EXPR_DOUBLE:
    case EXPR_STRING: case EXPR_DURATION: case EXPR_UNIT:
    case EXPR_TYPED_STRING:    print_literal(t, e); break;
    case EXPR_COLUMN: case EXPR_FIELD:
    case EXPR_SUBSCRIPT:       print_reference(t, e); break;
    case EXPR_CALL:            print_call(t, e); break;
    case EXPR_LAMBDA:          print_lambda(t, e); break;
    case EXPR_NEGATE:          print_negated(t, e->operand); break;
    case EXPR_PLUS:            print_signed(t, "+", e->operand, LEVEL_SIGN); break;
    case EXPR_NOT:             print_signed(t, "NOT ", e->operand, LEVEL_NOT); break;
    case EXPR_ADD:             print_binary(t, e, "+"); break;
    case EXPR_SUBTRACT:        print_binary(t, e, "-"); break;
    case EXPR_MULTIPLY:        print_binary(t, e, "*"); break;
    case EXPR_DIVIDE:          print_binary(t, e, "/"); break;
    case EXPR_MODULO:          print_binary(t, e, "%"); break;
    case EXPR_CONCAT:          print_binary(t, e, "||"); break;
    case EXPR_EQUAL:           print_binary(t, e, "="); break;
    case EXPR_NOT_EQUAL:       print_binary(t, e, "<>"); break;
    case EXPR_LESS:            print_binary(t, e, "<"); break;
    case EXPR_LESS_EQUAL:      print_binary(t, e, "<="); break;
    case EXPR_GREATER:         print_binary(t, e, ">"); break;
    case EXPR_GREATER_EQUAL:   print_binary(t, e, ">="); break;
    case EXPR_IS_DISTINCT:     print_binary(t, e, "IS DISTINCT FROM"); break;
    case EXPR_IS_NOT_DISTINCT: print_binary(t, e, "IS NOT DISTINCT FROM"); break;
    case EXPR_AND:             print_chain(t, e, "AND"); break;
    case EXPR_OR:              print_chain(t, e, "OR"); break;
    case EXPR_BETWEEN:         print_between(t, e); break;
    case EXPR_IN:              print_in(t, e); break;
    case EXPR_LIKE:            print_like(t, e); break;
    case EXPR_IS_NULL:         print_is_null(t, e); break;
    case EXPR_CASE:            print_case(t, e); break;
    case EXPR_CAST:            print_cast(t, e); break;
    case EXPR_ARRAY:           print_array(t, e); break;
    case EXPR_MAP:             print_map(t, e); break;
    case EXPR_STRUCT:          print_struct(t, e); break;
    case EXPR_AT_TIME_ZONE:    print_at_time_zone(t, e); break;
    }
}

/* ---- queries ---- */

static void print_item(text *t, const select_item *item)
{
    switch (item->kind) {
    case SELECT_EXPR:
        print_expr(t, item->value);
        if (identifier_present(&item->alias)) {
            text_add_c(t, " AS ");
            print_identifier(t, item->alias.name);
        }
        break;
    case SELECT_ALL:
        text_add_char(t, '*');
        break;
    case SELECT_SOURCE_ALL:
        print_identifier(t, item->source.name);
        text_add_c(t, ".*");
        break;
    case SELECT_STRUCT_ALL:
        print_at(t, item->value, LEVEL_PRIMARY);
        text_add_c(t, "->*");
        break;
    }
}

static void print_grace(text *t, int64_t grace_ms)
{
    if (grace_ms == NO_DURATION) return;
    text_add_c(t, "GRACE PERIOD ");
    print_amount(t, grace_ms);
}

static void print_relation(text *t, const relation *r)
{
    static const char *const JOINS[] = { " INNER JOIN ", " LEFT JOIN ", " RIGHT JOIN ", " FULL JOIN " };

    switch (r->kind) {
    case RELATION_SOURCE:
        print_identifier(t, r->source.name);
        break;
    case RELATION_QUERY:
        text_add_char(t, '(');
        print_query(t, r->query);
        text_add_char(t, ')');
        break;
    case RELATION_JOIN:
        print_relation(t, r->join.left);
        text_add_c(t, JOINS[r->join.type]);
        print_relation(t, r->join.right);
        if (r->join.has_within) {
            text_add_c(t, " WITHIN ");
            if (r->join.before_ms == r->join.after_ms) {
                print_amount(t, r->join.before_ms);
            } else {
                text_add_char(t, '(');
                print_amount(t, r->join.before_ms);
                text_add_c(t, ", ");
                print_amount(t, r->join.after_ms);
                text_add_char(t, ')');
            }
            if (r->join.grace_ms != NO_DURATION) text_add_char(t, ' ');
            print_grace(t, r->join.grace_ms);
        }
        if (r->join.on != NULL) {
            text_add_c(t, " ON ");
            print_expr(t, r->join.on);
        }
        return;
    }
    if (identifier_present(&r->alias)) {
        text_add_c(t, " AS ");
        print_identifier(t, r->alias.name);
    }
}

static const char *window_word(window_kind kind)
{
    return kind == WINDOW_TUMBLING ? "TUMBLING" : kind == WINDOW_HOPPING ? "HOPPING" : "SESSION";
}

static void print_window(text *t, const window_clause *w)
{
    text_printf(t, " WINDOW %s (", window_word(w->kind));
    if (w->kind != WINDOW_SESSION) text_add_c(t, "SIZE ");
    print_amount(t, w->size_ms);
    if (w->kind == WINDOW_HOPPING) {
        text_add_c(t, ", ADVANCE BY ");
        print_amount(t, w->advance_ms);
    }
    if (w->retention_ms != NO_DURATION) {
        text_add_c(t, ", RETENTION ");
        print_amount(t, w->retention_ms);
    }
    if (w->grace_ms != NO_DURATION) text_add_c(t, ", ");
    print_grace(t, w->grace_ms);
    text_add_char(t, ')');
}

static void print_group_window(text *t, const window_clause *w)
{
    text_printf(t, "%s(", window_word(w->kind));
    print_duration(t, w->size_ms);
    if (w->kind == WINDOW_HOPPING) {
        text_add_c(t, ", ");
        print_duration(t, w->advance_ms);
    }
    if (w->grace_ms != NO_DURATION) {
        text_add_c(t, ", GRACE ");
        print_duration(t, w->grace_ms);
    }
    text_add_char(t, ')');
}

static void print_group_by(text *t, const select_query *q)
{
    const window_clause *w = q->window != NULL && q->window->in_group_by ? q->window : NULL;
    const char *before = " GROUP BY ";

    if (q->group_by.count == 0 && w == NULL) {
        text_add_c(t, " GROUP BY ()");
        return;
    }
    for (uint32_t i = 0; i <= q->group_by.count; i++) {
        if (w != NULL && w->group_by_index == i) {
            text_add_c(t, before);
            print_group_window(t, w);
            before = ", ";
        }
        if (i < q->group_by.count) {
            text_add_c(t, before);
            print_at(t, q->group_by.items[i], LEVEL_VALUE);
            before = ", ";
        }
    }
}

/* SELECT ... HAVING: what UNION ALL joins. */
static void print_select(text *t, const select_query *q)
{
    text_add_c(t, q->distinct ? "SELECT DISTINCT " : "SELECT ");
    for (uint32_t i = 0; i < q->item_count; i++) {
        if (i > 0) text_add_c(t, ", ");
        print_item(t, &q->items[i]);
    }
    text_add_c(t, " FROM ");
    print_relation(t, q->from);
    if (q->window != NULL && !q->window->in_group_by) print_window(t, q->window);
    if (q->where != NULL) {
        text_add_c(t, " WHERE ");
        print_expr(t, q->where);
    }
    if (q->has_group_by) print_group_by(t, q);
    if (q->has_partition_by) {
        text_add_c(t, " PARTITION BY ");
        if (q->partition_by.count == 0) text_add_c(t, "()");
        print_values_list(t, q->partition_by);
    }
    if (q->having != NULL) {
        text_add_c(t, " HAVING ");
        print_expr(t, q->having);
    }
}

void print_query(text *t, const select_query *q)
{
    for (uint32_t i = 0; i < q->common_table_count; i++) {
        text_add_c(t, i == 0 ? "WITH " : ", ");
        print_identifier(t, q->common_tables[i].name.name);
        text_add_c(t, " AS (");
        print_query(t, q->common_tables[i].query);
        text_add_char(t, ')');
    }
    if (q->common_table_count > 0) text_add_char(t, ' ');
    print_select(t, q);
    for (uint32_t i = 0; i < q->union_count; i++) {
        text_add_c(t, " UNION ALL ");
        print_select(t, q->union_all[i]);
    }
    if (q->order_by.count > 0) text_add_char(t, ' ');
    print_order(t, q->order_by);
    if (q->emit == EMIT_CHANGES) text_add_c(t, " EMIT CHANGES");
    if (q->emit == EMIT_FINAL) text_add_c(t, " EMIT FINAL");
    if (q->limit >= 0) text_printf(t, " LIMIT %" PRId64, q->limit);
}

/* ---- statements ---- */

void print_columns(text *t, const column_def_list *columns)
{
    for (uint32_t i = 0; i < columns->count; i++) {
        const column_def *column = &columns->items[i];
        if (i > 0) text_add_c(t, ", ");
        print_identifier(t, column->name.name);
        text_add_char(t, ' ');
        print_type_name(t, column->type);
        switch (column->role) {
        case COLUMN_VALUE:       break;
        case COLUMN_KEY:         text_add_c(t, " KEY"); break;
        case COLUMN_PRIMARY_KEY: text_add_c(t, " PRIMARY KEY"); break;
        case COLUMN_HEADERS:     text_add_c(t, " HEADERS"); break;
        case COLUMN_HEADER:
            text_add_c(t, " HEADER(");
            print_string(t, column->header);
            text_add_char(t, ')');
            break;
        }
    }
}

static void print_with(text *t, const property_list *with)
{
    for (uint32_t i = 0; i < with->count; i++) {
        const with_property *p = &with->items[i];
        text_add_c(t, i == 0 ? " WITH (" : ", ");
        if (p->quoted || !reads_back(p->name)) {
            print_string(t, p->quoted ? p->typed : p->name);
        } else {
            text_add(t, p->name);
        }
        text_add_c(t, " = ");
        print_expr(t, p->value);
    }
    if (with->count > 0) text_add_char(t, ')');
}

static void print_create(text *t, const statement *s)
{
    if (s->kind == STATEMENT_ASSERT_SOURCE) {
        text_add_c(t, "ASSERT ");
    } else {
        text_add_c(t, s->create.or_replace ? "CREATE OR REPLACE " : "CREATE ");
    }
    if (s->create.read_only) text_add_c(t, "SOURCE ");
    text_add_c(t, source_kind_name(s->create.kind));
    text_add_c(t, s->create.if_not_exists ? " IF NOT EXISTS " : " ");
    print_identifier(t, s->create.name.name);
    if (s->create.has_columns) {
        text_add_c(t, " (");
        print_columns(t, &s->create.columns);
        text_add_char(t, ')');
    }
    print_with(t, &s->create.with);
    if (s->create.query != NULL) {
        text_add_c(t, " AS ");
        print_query(t, s->create.query);
    }
}

static void print_values(text *t, const statement *s)
{
    text_add_c(t, s->kind == STATEMENT_INSERT_VALUES   ? "INSERT INTO "
                  : s->kind == STATEMENT_ASSERT_VALUES ? "ASSERT VALUES "
                                                       : "ASSERT NULL VALUES ");
    print_identifier(t, s->values.target.name);
    if (s->values.has_columns) {
        text_add_c(t, " (");
        print_names(t, s->values.columns.items, s->values.columns.count);
        text_add_char(t, ')');
    }
    text_add_c(t, s->kind == STATEMENT_ASSERT_TOMBSTONE ? " KEY (" : " VALUES (");
    print_list(t, s->values.values);
    text_add_char(t, ')');
}

static void print_drop(text *t, const statement *s)
{
    text_add_c(t, "DROP ");
    text_add_c(t, s->kind == STATEMENT_DROP_SOURCE ? source_kind_name(s->drop.kind)
                  : s->kind == STATEMENT_DROP_TYPE ? "TYPE"
                                                   : "CONNECTOR");
    text_add_c(t, s->drop.if_exists ? " IF EXISTS " : " ");
    print_identifier(t, s->drop.name.name);
    if (s->drop.delete_topic) text_add_c(t, " DELETE TOPIC");
}

static void print_alter(text *t, const statement *s)
{
    text_printf(t, "ALTER %s ", source_kind_name(s->alter.kind));
    print_identifier(t, s->alter.name.name);
    for (uint32_t i = 0; i < s->alter.columns.count; i++) {
        column_def_list one = { &s->alter.columns.items[i], 1 };
        text_add_c(t, i == 0 ? " ADD COLUMN " : ", ADD COLUMN ");
        print_columns(t, &one);
    }
}

static void print_show(text *t, const statement *s)
{
    static const char *const WHAT[] = {
        [SHOW_STREAMS] = "STREAMS", [SHOW_TABLES] = "TABLES", [SHOW_TOPICS] = "TOPICS", [SHOW_QUERIES] = "QUERIES",
        [SHOW_FUNCTIONS] = "FUNCTIONS", [SHOW_PROPERTIES] = "PROPERTIES", [SHOW_TYPES] = "TYPES",
        [SHOW_VARIABLES] = "VARIABLES", [SHOW_CONNECTORS] = "CONNECTORS", [SHOW_SOURCE_CONNECTORS] = "SOURCE CONNECTORS",
        [SHOW_SINK_CONNECTORS] = "SINK CONNECTORS", [SHOW_CONNECTOR_PLUGINS] = "CONNECTOR PLUGINS",
    };

    text_printf(t, "SHOW %s%s%s", s->show.all ? "ALL " : "", WHAT[s->show.what], s->show.extended ? " EXTENDED" : "");
}

static void print_describe(text *t, const statement *s)
{
    static const char *const WHAT[] = {
        [DESCRIBE_SOURCE] = "", [DESCRIBE_STREAMS] = "STREAMS", [DESCRIBE_TABLES] = "TABLES",
        [DESCRIBE_FUNCTION] = "FUNCTION ", [DESCRIBE_CONNECTOR] = "CONNECTOR ",
    };

    text_printf(t, "DESCRIBE %s", WHAT[s->describe.what]);
    if (s->describe.what != DESCRIBE_STREAMS && s->describe.what != DESCRIBE_TABLES) {
        print_identifier(t, s->describe.name.name);
    }
    if (s->describe.extended) text_add_c(t, " EXTENDED");
}

static void print_timeout(text *t, int64_t timeout_ms)
{
    if (timeout_ms == NO_DURATION) return;
    text_add_c(t, " TIMEOUT ");
    print_amount(t, timeout_ms);
}

static void print_print(text *t, const statement *s)
{
    text_add_c(t, "PRINT ");
    print_string(t, s->print.topic);
    if (s->print.from_beginning) text_add_c(t, " FROM BEGINNING");
    if (s->print.interval >= 0) text_printf(t, " INTERVAL %" PRId64, s->print.interval);
    if (s->print.limit >= 0) text_printf(t, " LIMIT %" PRId64, s->print.limit);
}

static void print_explain(text *t, const statement *s)
{
    text_add_c(t, s->explain.analyze ? "EXPLAIN ANALYZE " : "EXPLAIN ");
    if (s->explain.inner != NULL) {
        print_statement(t, s->explain.inner);
    } else {
        print_identifier(t, s->explain.query_id.name);
    }
}

static void print_control(text *t, const statement *s, const char *word)
{
    text_printf(t, "%s ", word);
    if (s->control.all) {
        text_add_c(t, "ALL");
    } else {
        print_identifier(t, s->control.query_id.name);
    }
}

static void print_setting(text *t, const statement *s, const char *word, bool variable)
{
    text_printf(t, "%s ", word);
    if (variable) {
        text_add(t, s->setting.name);
    } else {
        print_string(t, s->setting.name);
    }
    if (s->setting.value.data == NULL) return;
    text_add_c(t, " = ");
    print_string(t, s->setting.value);
}

static void print_insert_query(text *t, const statement *s)
{
    text_add_c(t, "INSERT INTO ");
    print_identifier(t, s->insert_query.target.name);
    print_with(t, &s->insert_query.with);
    text_add_char(t, ' ');
    print_query(t, s->insert_query.query);
}

static void print_create_type(text *t, const statement *s)
{
    text_add_c(t, s->create_type.if_not_exists ? "CREATE TYPE IF NOT EXISTS " : "CREATE TYPE ");
    print_identifier(t, s->create_type.name.name);
    text_add_c(t, " AS ");
    print_type_name(t, s->create_type.type);
}

static void print_create_connector(text *t, const statement *s)
{
    text_printf(t, "CREATE %s CONNECTOR %s", s->create_connector.sink ? "SINK" : "SOURCE",
                s->create_connector.if_not_exists ? "IF NOT EXISTS " : "");
    print_identifier(t, s->create_connector.name.name);
    print_with(t, &s->create_connector.with);
}

static void print_assert_topic(text *t, const statement *s)
{
    text_add_c(t, s->assert_topic.not_exists ? "ASSERT NOT EXISTS TOPIC " : "ASSERT TOPIC ");
    print_string(t, s->assert_topic.topic);
    print_with(t, &s->assert_topic.with);
    print_timeout(t, s->assert_topic.timeout_ms);
}

static void print_assert_schema(text *t, const statement *s)
{
    text_add_c(t, s->assert_schema.not_exists ? "ASSERT NOT EXISTS SCHEMA" : "ASSERT SCHEMA");
    if (s->assert_schema.subject.data != NULL) {
        text_add_c(t, " SUBJECT ");
        print_string(t, s->assert_schema.subject);
    }
    if (s->assert_schema.has_id) text_printf(t, " ID %" PRId64, s->assert_schema.id);
    print_timeout(t, s->assert_schema.timeout_ms);
}

static void print_run_script(text *t, const statement *s)
{
    text_add_c(t, "RUN SCRIPT ");
    print_string(t, s->script.file);
}

void print_statement(text *t, const statement *s)
{
    switch (s->kind) {
    case STATEMENT_QUERY:            print_query(t, s->query); break;
    case STATEMENT_CREATE_SOURCE: case STATEMENT_CREATE_AS:
    case STATEMENT_ASSERT_SOURCE:    print_create(t, s); break;
    case STATEMENT_INSERT_QUERY:     print_insert_query(t, s); break;
    case STATEMENT_INSERT_VALUES: case STATEMENT_ASSERT_VALUES:
    case STATEMENT_ASSERT_TOMBSTONE: print_values(t, s); break;
    case STATEMENT_DROP_SOURCE: case STATEMENT_DROP_TYPE:
    case STATEMENT_DROP_CONNECTOR:   print_drop(t, s); break;
    case STATEMENT_ALTER_SOURCE:     print_alter(t, s); break;
    case STATEMENT_CREATE_TYPE:      print_create_type(t, s); break;
    case STATEMENT_CREATE_CONNECTOR: print_create_connector(t, s); break;
    case STATEMENT_SHOW:             print_show(t, s); break;
    case STATEMENT_DESCRIBE:         print_describe(t, s); break;
    case STATEMENT_PRINT:            print_print(t, s); break;
    case STATEMENT_EXPLAIN:          print_explain(t, s); break;
    case STATEMENT_TERMINATE:        print_control(t, s, "TERMINATE"); break;
    case STATEMENT_PAUSE:            print_control(t, s, "PAUSE"); break;
    case STATEMENT_RESUME:           print_control(t, s, "RESUME"); break;
    case STATEMENT_SET:              print_setting(t, s, "SET", false); break;
    case STATEMENT_UNSET:            print_setting(t, s, "UNSET", false); break;
    case STATEMENT_ALTER_SYSTEM:     print_setting(t, s, "ALTER SYSTEM", false); break;
    case STATEMENT_DEFINE:           print_setting(t, s, "DEFINE", true); break;
    case STATEMENT_UNDEFINE:         print_setting(t, s, "UNDEFINE", true); break;
    case STATEMENT_ASSERT_TOPIC:     print_assert_topic(t, s); break;
    case STATEMENT_ASSERT_SCHEMA:    print_assert_schema(t, s); break;
    case STATEMENT_RUN_SCRIPT:       print_run_script(t, s); break;
    }
}
