/* planner/bound_text.c - bound expressions and literals as SQL that binds to the same thing again.
 * Where a literal's own spelling would have another type, a CAST stands round it; binding folds it back. */
#include "planner/bound.h"

#include <stdio.h>

#include "core/date.h"
#include "parser/parser.h"
#include "storage/formats/format.h"

static void print_cast_open(text *out)
{
    text_add_c(out, "CAST(");
}

static void print_cast_close(text *out, const type *t)
{
    text_add_c(out, " AS ");
    type_print(out, t);
    text_add_char(out, ')');
}

static void print_as(text *out, const type *t, void (*inner)(text *out, const type *t, const value *v), const value *v)
{
    print_cast_open(out);
    inner(out, t, v);
    print_cast_close(out, t);
}

static void print_integer(text *out, const type *t, const value *v)
{
    text_printf(out, "%lld", t->kind == TYPE_BIGINT ? (long long)v->i64 : (long long)v->i32);
}

static void print_double_text(text *out, const type *t, const value *v)
{
    char digits[40];

    (void)t;
    if (v->f64 != v->f64) {
        text_add_c(out, "'NaN'");
    } else if (v->f64 > 1.7976931348623157e308 || v->f64 < -1.7976931348623157e308) {
        text_add_c(out, v->f64 < 0 ? "'-Infinity'" : "'Infinity'");
    } else {
        snprintf(digits, sizeof digits, "%.17g", v->f64);
        text_printf(out, "'%s'", digits);
    }
}

static void print_decimal_text(text *out, const type *t, const value *v)
{
    text_add_char(out, '\'');
    print_decimal(out, v->dec, t->scale);
    text_add_char(out, '\'');
}

static void print_date_part(text *out, int64_t days)
{
    civil_date date = date_of(days);

    text_printf(out, "%s%04d-%02u-%02u", date.year > 9999 ? "+" : "", date.year, date.month, date.day);
}

static void print_time_part(text *out, int64_t ms)
{
    text_printf(out, "%02lld:%02lld:%02lld", (long long)(ms / 3600000), (long long)(ms / 60000 % 60),
                (long long)(ms / 1000 % 60));
    if (ms % 1000 != 0) text_printf(out, ".%03lld", (long long)(ms % 1000));
}

static void print_time_literal(text *out, const type *t, const value *v)
{
    text_add_char(out, '\'');
    if (t->kind == TYPE_DATE) {
        print_date_part(out, v->i32);
    } else if (t->kind == TYPE_TIME) {
        print_time_part(out, v->i32);
    } else {
        int64_t ms = floor_rest(v->i64, MS_PER_DAY);
        print_date_part(out, floor_divide(v->i64, MS_PER_DAY));
        text_printf(out, "T%02lld:%02lld:%02lld.%03lld", (long long)(ms / 3600000), (long long)(ms / 60000 % 60),
                    (long long)(ms / 1000 % 60), (long long)(ms % 1000));
    }
    text_add_char(out, '\'');
}

static void print_bytes_literal(text *out, const value *v)
{
    text_add_c(out, "TO_BYTES('");
    for (size_t i = 0; i < v->str.len; i++) text_printf(out, "%02X", (unsigned char)v->str.data[i]);
    text_add_c(out, "', 'hex')");
}

static void print_list(text *out, const type *t, const value *v)
{
    text_add_c(out, "ARRAY[");
    for (uint32_t i = 0; i < v->list.count; i++) {
        if (i > 0) text_add_c(out, ", ");
        literal_print(out, t->element, &v->list.items[i]);
    }
    text_add_char(out, ']');
}

static void print_map(text *out, const type *t, const value *v)
{
    text_add_c(out, "MAP(");
    for (uint32_t i = 0; i < v->map.count; i++) {
        if (i > 0) text_add_c(out, ", ");
        literal_print(out, t->key, &v->map.keys[i]);
        text_add_c(out, " := ");
        literal_print(out, t->element, &v->map.values[i]);
    }
    text_add_char(out, ')');
}

static void print_struct(text *out, const type *t, const value *v)
{
    text_add_c(out, "STRUCT(");
    for (uint32_t i = 0; i < t->field_count; i++) {
        if (i > 0) text_add_c(out, ", ");
        print_quoted_name(out, t->fields[i].name);
        text_add_c(out, " := ");
        literal_print(out, t->fields[i].type, &v->list.items[i]);
    }
    text_add_char(out, ')');
}

void literal_print(text *out, const type *t, const value *v)
{
    if (v->is_null) {
        if (t->kind == TYPE_NULL) {
            text_add_c(out, "NULL");
            return;
        }
        text_add_c(out, "CAST(NULL");
        print_cast_close(out, t);
        return;
    }
    switch (t->kind) {
    case TYPE_BOOLEAN: text_add_c(out, v->boolean ? "TRUE" : "FALSE"); break;
    case TYPE_INTEGER: print_integer(out, t, v); break;
    case TYPE_BIGINT:
        if (v->i64 >= INT32_MIN && v->i64 <= INT32_MAX) print_as(out, t, print_integer, v);
        else print_integer(out, t, v);
        break;
    case TYPE_DOUBLE: print_as(out, t, print_double_text, v); break;
    case TYPE_DECIMAL: print_as(out, t, print_decimal_text, v); break;
    case TYPE_STRING: print_string(out, v->str); break;
    case TYPE_BYTES: print_bytes_literal(out, v); break;
    case TYPE_DATE:
    case TYPE_TIME:
    case TYPE_TIMESTAMP: print_as(out, t, print_time_literal, v); break;
    case TYPE_ARRAY:
        if (v->list.count == 0) {
            text_add_c(out, "ARRAY[]");
            break;
        }
        print_list(out, t, v);
        break;
    case TYPE_MAP: print_map(out, t, v); break;
    case TYPE_STRUCT: print_struct(out, t, v); break;
    case TYPE_INTERVAL_UNIT: text_add(out, v->str); break;
    default: text_add_c(out, "NULL"); break;
    }
}

/* ---- expressions ---- */

typedef struct printer {
    text *out;
    const schema *over;
} printer;

static void print_node(const printer *p, const bound *b);

static void print_args(const printer *p, const bound *b, const char *between)
{
    for (uint32_t i = 0; i < b->arg_count; i++) {
        if (i > 0) text_add_c(p->out, between);
        print_node(p, b->args[i]);
    }
}

static void print_lambda(const printer *p, const bound_lambda *l)
{
    text_add_char(p->out, '(');
    for (uint32_t i = 0; i < l->base.param_count; i++) {
        text_printf(p->out, i == 0 ? "P%u" : ", P%u", l->first_param + i);
    }
    text_add_c(p->out, ") => ");
    print_node(p, l->body);
}

static bool is_infix(const char *name)
{
    static const char *const names[] = { "+", "-", "*", "/", "%", "||", "=", "<>", "<", "<=", ">", ">=",
                                         "IS DISTINCT FROM", "IS NOT DISTINCT FROM" };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0) return true;
    }
    return false;
}

static void print_infix(const printer *p, const bound *b, const char *name)
{
    text_add_char(p->out, '(');
    print_node(p, b->args[0]);
    text_printf(p->out, " %s ", name);
    print_node(p, b->args[1]);
    text_add_char(p->out, ')');
}

static void print_like(const printer *p, const bound *b)
{
    text_add_char(p->out, '(');
    print_node(p, b->args[0]);
    text_add_c(p->out, " LIKE ");
    print_node(p, b->args[1]);
    if (b->args[2]->kind == BOUND_LITERAL && !b->args[2]->literal.is_null) {
        text_add_c(p->out, " ESCAPE ");
        print_node(p, b->args[2]);
    }
    text_add_char(p->out, ')');
}

static void print_map_maker(const printer *p, const bound *b)
{
    text_add_c(p->out, "MAP(");
    for (uint32_t i = 0; i + 1 < b->arg_count; i += 2) {
        if (i > 0) text_add_c(p->out, ", ");
        print_node(p, b->args[i]);
        text_add_c(p->out, " := ");
        print_node(p, b->args[i + 1]);
    }
    text_add_char(p->out, ')');
}

static void print_call(const printer *p, const bound *b)
{
    const char *name = b->call->fn->name;

    if (strcmp(name, "CAST") == 0) {
        print_cast_open(p->out);
        print_node(p, b->args[0]);
        print_cast_close(p->out, b->type);
    } else if (is_infix(name)) {
        print_infix(p, b, name);
    } else if (strcmp(name, "LIKE") == 0) {
        print_like(p, b);
    } else if (strcmp(name, "[]") == 0) {
        print_node(p, b->args[0]);
        text_add_char(p->out, '[');
        print_node(p, b->args[1]);
        text_add_char(p->out, ']');
    } else if (strcmp(name, "ARRAY") == 0 && b->call->fn->is_hidden) {
        text_add_c(p->out, "ARRAY[");
        print_args(p, b, ", ");
        text_add_char(p->out, ']');
    } else if (strcmp(name, "MAP") == 0 && b->call->fn->is_hidden) {
        print_map_maker(p, b);
    } else if (strcmp(name, "NOT") == 0 || strcmp(name, "NEG") == 0) {
        text_add_c(p->out, name[1] == 'O' ? "(NOT " : "(- ");
        print_node(p, b->args[0]);
        text_add_char(p->out, ')');
    } else if (strcmp(name, "IS NULL") == 0 || strcmp(name, "IS NOT NULL") == 0) {
        text_add_char(p->out, '(');
        print_node(p, b->args[0]);
        text_printf(p->out, " %s)", name);
    } else {
        print_identifier(p->out, slice_of(name));
        text_add_char(p->out, '(');
        for (uint32_t i = 0; i < b->arg_count; i++) {
            if (i > 0) text_add_c(p->out, ", ");
            const lambda *l = b->call->lambdas == NULL ? NULL : b->call->lambdas[i];
            if (l != NULL) print_lambda(p, (const bound_lambda *)l);
            else print_node(p, b->args[i]);
        }
        text_add_char(p->out, ')');
    }
}

static void print_case(const printer *p, const bound *b)
{
    text_add_c(p->out, "CASE");
    for (uint32_t i = 0; i + 1 < b->arg_count; i += 2) {
        text_add_c(p->out, " WHEN ");
        print_node(p, b->args[i]);
        text_add_c(p->out, " THEN ");
        print_node(p, b->args[i + 1]);
    }
    text_add_c(p->out, " ELSE ");
    print_node(p, b->args[b->arg_count - 1]);
    text_add_c(p->out, " END");
}

static void print_struct_maker(const printer *p, const bound *b)
{
    text_add_c(p->out, "STRUCT(");
    for (uint32_t i = 0; i < b->arg_count; i++) {
        if (i > 0) text_add_c(p->out, ", ");
        print_quoted_name(p->out, b->type->fields[i].name);
        text_add_c(p->out, " := ");
        print_node(p, b->args[i]);
    }
    text_add_char(p->out, ')');
}

static void print_node(const printer *p, const bound *b)
{
    switch (b->kind) {
    case BOUND_COLUMN: print_quoted_name(p->out, p->over->columns[b->column].name); break;
    case BOUND_LITERAL: literal_print(p->out, b->type, &b->literal); break;
    case BOUND_CALL: print_call(p, b); break;
    case BOUND_AND:
    case BOUND_OR:
        text_add_char(p->out, '(');
        print_args(p, b, b->kind == BOUND_AND ? " AND " : " OR ");
        text_add_char(p->out, ')');
        break;
    case BOUND_CASE: print_case(p, b); break;
    case BOUND_FIELD:
        print_node(p, b->args[0]);
        text_add_c(p->out, "->");
        print_quoted_name(p->out, b->args[0]->type->fields[b->field].name);
        break;
    case BOUND_STRUCT: print_struct_maker(p, b); break;
    case BOUND_PARAM: text_printf(p->out, "P%u", b->param); break;
    case BOUND_ROWTIME: text_add_c(p->out, "ROWTIME"); break;
    case BOUND_ROWPARTITION: text_add_c(p->out, "ROWPARTITION"); break;
    case BOUND_ROWOFFSET: text_add_c(p->out, "ROWOFFSET"); break;
    case BOUND_WINDOWSTART: text_add_c(p->out, "WINDOWSTART"); break;
    case BOUND_WINDOWEND: text_add_c(p->out, "WINDOWEND"); break;
    }
}

void bound_print(text *out, const bound *b, const schema *over)
{
    print_node(&(printer){ out, over }, b);
}
