/* functions/function.h - every function, operator and cast is one row of one table; this is what a row says, and how a
 * bound call runs. The binder, DESCRIBE FUNCTION, the manual and the tests read the same table.
 *
 * A scalar's body is a kernel over columns where speed matters, or a row function that one adaptor calls per row.
 * A body that fails for a row (overflow, bad cast, out of range) makes the result null there and reports it; nothing a
 * row contains can stop a query, except an aggregate that cannot go on (agg_stop).
 * Bodies allocate only from the context's arena, which lives as long as the batch. */
#ifndef WEIR_FUNCTIONS_FUNCTION_H
#define WEIR_FUNCTIONS_FUNCTION_H

#include "core/batch.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/slab.h"

typedef struct function function;
typedef struct call call;
typedef struct lambda lambda;

/* What a body may use while it works on one batch. */
typedef struct eval_context {
    arena *arena;
    const weir_clock *clock;
    void (*report)(void *self, uint32_t row, const char *reason); /* a row whose expression failed; may be NULL */
    void *report_self;
    const struct batch *batch; /* for lambdas that look at the row's columns; set by the evaluator */
    uint32_t row;              /* the row a row function is being called for */
    bool in_lambda;            /* a lambda's body is being evaluated: there, arithmetic on a null fails the whole call */
    bool lambda_failed;        /* it has */
} eval_context;

/* Reports the failure of a row; bodies then leave null there. */
void eval_fail(eval_context *x, uint32_t row, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A bound lambda argument: the evaluator fills in apply. */
struct lambda {
    uint32_t param_count;
    const type *const *param_types;
    const type *result;
    bool (*apply)(const lambda *l, eval_context *x, const value *params, value *out); /* false: it failed, reported */
};

/* One call in one query, made by the binder, immutable afterwards (state belongs to prepare()). */
struct call {
    const function *fn;
    const type *result;
    const type *const *arg_types;
    uint32_t arg_count;
    const value *const *constants; /* constants[i]: the argument where it is a literal; else NULL */
    const lambda *const *lambdas;  /* lambdas[i]: where it is a lambda; else NULL */
    void *state;                   /* from prepare(): a compiled pattern, say; read-only while bodies run */
    slice doubt;                   /* likewise: what can be meant, but hardly is; who makes the statement is told. Absent: nothing */
};

/* For each row r of rows: reads args[i] at r, writes out at r (null byte and data). out is allocated, null bytes cleared. */
typedef void (*kernel_body)(const call *c, eval_context *x, const column *args, row_set rows, column *out);
/* One row: false when it failed (after eval_fail(x, x->row, ...)); *out starts as null. Lambda arguments are in
 * c->lambdas, their args[i] is unused. */
typedef bool (*row_body)(const call *c, eval_context *x, const value *args, value *out);
/* A table function: one row in, a list of rows out: *out is an ARRAY of the result type's element; null or empty: none. */

typedef struct aggregate aggregate;

typedef enum function_kind { FUNCTION_SCALAR, FUNCTION_AGGREGATE, FUNCTION_TABLE } function_kind;

typedef enum null_rule {
    NULL_IN_OUT, /* any null argument: the result is null, the body is not called for that row */
    NULL_SEEN,   /* the body sees nulls */
    NULL_SKIP    /* aggregates: a row with a null argument is not stepped */
} null_rule;

/* Parameter types in text: "STRING, BIGINT", type variables "ARRAY<T>, T", a tail "STRING, T..." (zero or more),
 * "LAMBDA(T) -> U", "DECIMAL" (any precision), "ANY". result likewise, or NULL when resolve() gives it. */
struct function {
    const char *name;   /* upper case; operators "+", "=", "[]" ... and "CAST" are rows too, with hidden set */
    function_kind kind;
    const char *params;
    const char *result;
    null_rule nulls;
    kernel_body kernel; /* one of kernel and row for scalars; row for table functions */
    row_body row;
    const aggregate *agg;
    /* The result type where it depends on more than type variables (decimals). NULL result: err is filled. */
    const type *(*resolve)(arena *a, const type *const *args, uint32_t count, weir_error *err);
    const char *shown_result; /* then: what users read it to be; NULL: DECIMAL */
    /* Once a call, after binding: may reject constants (semantic error) and set c->state in the arena; release() undoes
     * what is not arena memory. */
    weir_rc (*prepare)(call *c, arena *a, weir_error *err);
    void (*release)(call *c);
    bool is_hidden;
    bool is_volatile; /* NOW, RANDOM, UUID: never folded to a constant */
    bool has_nested_state; /* an aggregate that ksqlDB keeps as a STRUCT or ARRAY, and so refuses where the value format
                              holds no nested types (DELIMITED) */
    const char *family;      /* "text", "time" ... as the manual groups them */
    const char *description; /* a sentence, for SHOW/DESCRIBE FUNCTION and the manual */
    const char *example;     /* "UCASE('a')" */
};

/* An accumulator: `bytes` fixed bytes in the group's memory, 16-byte aligned, and tails (texts, lists) from the slab.
 * Step, undo and result work on many rows at once: accumulator of row r stands at groups[r] + offset. */
typedef struct agg_context {
    eval_context *eval;
    slab *slab;        /* of the group table: for tails */
    uint32_t row;      /* being stepped; kept up to date by what may stop */
    bool stop;         /* set by agg_stop: the query ends with class runtime */
    const void *stopped; /* the accumulator that could not take a value */
    uint32_t stopped_row;
    char reason[256];
} agg_context;

void agg_stop(agg_context *x, const void *acc, const char *format, ...) __attribute__((format(printf, 3, 4)));

struct aggregate {
    uint32_t bytes;
    uint32_t (*bytes_of)(const call *c); /* instead of bytes, where it depends on the types */
    void (*init)(const call *c, void *acc); /* NULL: zeros */
    /* In row order. Where running is not NULL, the result after each row is written there at that row. */
    void (*step)(const call *c, agg_context *x, char *const *groups, uint32_t offset, const column *args, row_set rows,
                 column *running);
    void (*undo)(const call *c, agg_context *x, char *const *groups, uint32_t offset, const column *args, row_set rows,
                 column *running); /* NULL: it cannot aggregate a table */
    void (*merge)(const call *c, agg_context *x, void *into, const void *from); /* sessions; NULL: not for sessions */
    void (*result)(const call *c, agg_context *x, char *const *groups, uint32_t offset, row_set rows, column *out);
    void (*encode)(const call *c, const void *acc, text *out); /* NULL: the fixed bytes as they are */
    bool (*decode)(const call *c, slab *s, struct reader_bytes *in, void *acc); /* false: bytes do not fit */
    void (*drop)(const call *c, slab *s, void *acc); /* gives tails back; NULL: there are none */
    uint32_t (*tail_bytes)(const call *c, const void *acc); /* memory held in tails, for budgets; NULL: none */
};

/* ---- finding functions ---- */

/* The type of lambda argument `arg` applied to these parameter types: the binder binds the body when asked. */
typedef struct lambda_binder {
    const type *(*result_type)(void *self, uint32_t arg, const type *const *params, uint32_t param_count, weir_error *err);
    void *self;
} lambda_binder;

typedef struct resolved {
    const function *fn;
    const type *const *params; /* what each argument must be cast to first (NULL for lambdas); varargs expanded */
    const type *result;
} resolved;

/* Finds the overload that fits the argument types best: exact, then by implicit casts (INTEGER -> BIGINT -> DECIMAL ->
 * DOUBLE; STRING literals to DATE, TIME, TIMESTAMP as ksqlDB does; NULL to anything). Errors are semantic, name the
 * function, the argument types found and the signatures there are, or the nearest name ("did you mean"). at: the call. */
weir_rc function_resolve(slice name, const type *const *args, uint32_t count, const lambda_binder *lambdas, sql_pos at,
                         arena *a, resolved *out, weir_error *err) WEIR_CHECKED;
bool function_exists(slice name, function_kind *kind);
/* Says that there is none of that name, and which is near. */
weir_rc function_fail_unknown(slice name, sql_pos at, weir_error *err);
/* Is its argument of that index a time unit, a bare word? */
bool function_takes_unit(slice name, uint32_t arg);
/* Is there a unit of that name? Says which there are. */
weir_rc time_unit_check(slice name, sql_pos at, weir_error *err) WEIR_CHECKED;
/* As users read it: "SUBSTRING(STRING, INTEGER) -> STRING". */
void function_print(text *out, const function *fn);
/* All rows, in order of name: for SHOW FUNCTIONS and the manual. */
const function *const *function_list(uint32_t *count);

/* Arithmetic, comparison, ...: function_resolve() with the operator's name: "+" "-" "*" "/" "%" "NEG" "||", "=" "<>" "<"
 * "<=" ">" ">=" "IS DISTINCT FROM" (and its NOT), "NOT", "IS NULL", "IS NOT NULL", "LIKE" (subject, pattern, escape or null),
 * "[]" (array or map subscript), "->" is the evaluator's own, "ARRAY" "MAP" constructors ("MAP": keys and values in turn).
 * A comparison with null is false. STRING against DATE, TIME, TIMESTAMP casts the string. */

/* The function that casts; its result type is `to`. NULL: there is no such cast. is_implicit: only those the language
 * applies by itself (numeric widening, NULL to anything, nested likewise). */
const function *cast_function(const type *from, const type *to, bool is_implicit);
/* Casts one value now: for literals, INSERT VALUES. False: *reason says why. */
bool cast_value(arena *a, const type *from, const type *to, const value *v, value *out, const char **reason);
/* The type both can be brought to by implicit casts, as CASE, COALESCE, IN and array constructors need; NULL: none. */
const type *common_type(arena *a, const type *x, const type *y);

/* ---- running ---- */

/* Runs a scalar's body over rows, applying its null rule and the adaptor for row functions. out is made in x->arena with
 * room for `capacity` rows (the batch's physical rows). */
void call_run(const call *c, eval_context *x, const column *args, row_set rows, uint32_t capacity, column *out);

#endif
