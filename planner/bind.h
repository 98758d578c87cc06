/* planner/bind.h - from the tree's expressions to bound ones: names become columns, every node gets its type, casts are
 * made explicit, constants are folded. All results live in the binder's arena. */
#ifndef WEIR_PLANNER_BIND_H
#define WEIR_PLANNER_BIND_H

#include "parser/ast.h"
#include "planner/bound.h"
#include "planner/catalog.h"

typedef struct scope_column {
    slice source; /* the alias of the stream or table it comes from; absent: none */
    slice name;
    uint32_t column; /* of the batch */
    const type *type;
    bool is_hidden; /* reached by name, left out of SELECT * */
    bool is_key;    /* of a join's source: a column of its key */
} scope_column;

/* The names an expression may use. */
typedef struct scope {
    const scope_column *columns;
    uint32_t count;
    const slice *sources; /* aliases, for qualified names and SELECT x.* */
    uint32_t source_count;
    bool has_row;     /* ROWTIME, ROWPARTITION, ROWOFFSET are the row's own */
    bool is_windowed; /* WINDOWSTART and WINDOWEND too */
} scope;

/* The scope of a step's columns, all from one source (which may be absent). */
scope scope_of(arena *a, const schema *s, slice alias, bool is_windowed);

/* Calls that hold more than arena memory: what is not in the finished plan is given back (see release_unused()). */
typedef struct held_call held_call;
struct held_call {
    held_call *next;
    call *call;
};

typedef struct binder binder;
struct binder {
    arena *arena;
    const catalog *catalog; /* custom types; NULL: none */
    scope scope;
    const char *clause;     /* "WHERE": for messages */
    const select_query *query; /* whose SELECT list may give names, for messages; NULL: none */
    weir_error *err;
    /* Sees every node first and may bind it itself (*out set): grouping, aggregates, table functions. */
    weir_rc (*intercept)(binder *b, const expr *e, bound **out);
    void *intercept_self;
    bool refuses_window_bounds; /* WINDOWSTART, WINDOWEND are for the SELECT list only */
    bool is_stored;             /* the text of a stored plan: names in quotes are columns, bare ones pseudo columns */
    bool allows_aggregates;     /* an aggregate is bound as a plain call: stored plans */
    bool allows_table_functions;
    held_call **held; /* NULL: nobody asks */
    bool folds_volatile; /* INSERT VALUES: NOW() is a value too */
    const struct lambda_frame *frames; /* parameters of the lambdas around, innermost first */
    const struct lambda_frame *hidden; /* those of lambdas around what is computed before them: aggregates, table functions */
};

weir_rc bind_expr(binder *b, const expr *e, bound **out) WEIR_CHECKED;
/* Must be BOOLEAN; the clause is in the message. */
weir_rc bind_condition(binder *b, const expr *e, bound **out) WEIR_CHECKED;

/* A call of a named function or operator over bound arguments (casts put in, folded). lambdas: as the tree has them,
 * or NULL. at: for errors. */
weir_rc bind_call(binder *b, slice name, bound **args, expr *const *lambdas, uint32_t count, sql_pos at,
                  bound **out) WEIR_CHECKED;
/* Brings an expression to a type; explicit as CAST does it, else by implicit casts only. */
weir_rc bind_cast(binder *b, bound *of, const type *to, bool is_explicit, sql_pos at, bound **out) WEIR_CHECKED;
/* Brings all to one type, as IN, CASE and constructors need it: literals give way. For messages: what, "CASE", and the
 * items as typed (NULL: nothing was). */
weir_rc bind_common(binder *b, const expr *const *typed, bound **items, uint32_t count, const char *what, const type **common) WEIR_CHECKED;
/* Brings a literal, or what was bound of one, to the type of what it is compared with or stored in; a text must read as
 * that type, and one for a BOOLEAN spell it. False: it is no literal, or none that could. */
weir_rc bind_literal_as(binder *b, bound *of, const type *to, bool *done, bound **out) WEIR_CHECKED;

/* The index into b->scope.columns; -1 and an error otherwise. */
int32_t find_column(binder *b, const identifier *from, const identifier *name);
/* What a pseudo column's name stands for; false: it is none. */
bool pseudo_column_of(slice name, bound_kind *kind);
bool is_reserved_name(slice name);
/* INTEGER, DECIMAL, ARRAY and the like: in upper case. */
bool is_builtin_type(slice name);

/* Do both say the same once names are resolved? Volatile functions never do. */
bool expr_same(binder *b, const expr *x, const expr *y);
/* Sees an expression and all in it (not the bodies of lambdas), parents first; stops descending where see() says false. */
void expr_walk(const expr *e, bool (*see)(void *self, const expr *e), void *self);
/* Is e a call of a function of this kind? */
bool expr_is_call_of(const expr *e, function_kind kind);
/* The first call of an aggregate function in e; NULL: there is none. */
const expr *expr_aggregate(const expr *e);
/* An expression as typed, for messages; in the arena. */
slice expr_text(arena *a, const expr *e);
/* The same with its type, "AGE (INTEGER)"; cut short where it is long. NULL: of nothing typed, the type alone. */
slice operand_text(arena *a, const expr *e, const type *t);
/* "CASE mixes NAME (STRING) and 1 (INTEGER)", at the second. */
weir_rc fail_mixed(binder *b, const char *what, const expr *x, const bound *one, const expr *y, const bound *other);
/* DATE '2021-05-01' or a text that a time is compared with: milliseconds since 1970, parts left out being the first. */
bool parse_partial_timestamp(slice in, int64_t *ms);

#endif
