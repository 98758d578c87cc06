/* functions/function.c - the table of all functions: reading signatures, choosing an overload, running a call.
 * Signatures are text in the rows; they are parsed once a process, on first use, into the small patterns below. */
#include "functions/family.h"

#include "core/nearest.h"
#include "core/reason.h"
#include "core/utf8.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const function_family *const FAMILIES[] = {
    &arithmetic_family, &compare_family, &like_family,  &subscript_family, &text_family,     &math_family,
    &regex_family,      &null_family,    &time_family,  &array_family,     &map_family,      &lambda_family,
    &bytes_family,      &url_family,     &json_family,  &count_family,     &sum_family,      &minmax_family,
    &offset_family,     &collect_family, &top_family,   &stat_family,      &distinct_family,
};

/* ---- signatures ---- */

typedef enum pattern_kind {
    PATTERN_TYPE,     /* this type exactly, or what casts to it */
    PATTERN_DECIMAL,  /* a decimal of any precision */
    PATTERN_ANY,      /* anything, taken as it is */
    PATTERN_VARIABLE, /* the same type wherever the letter stands */
    PATTERN_ARRAY,
    PATTERN_MAP,
    PATTERN_STRUCT, /* in results only */
    PATTERN_LAMBDA
} pattern_kind;

typedef struct pattern pattern;
struct pattern {
    pattern_kind kind;
    uint8_t variable;       /* 0 .. 25 */
    bool is_decimal;        /* of a variable: "DECIMAL(T)", the decimal that holds all it stands for */
    const type *type;       /* PATTERN_TYPE */
    const pattern *element; /* ARRAY's, MAP's value, LAMBDA's result */
    const pattern *key;
    const pattern *const *items; /* LAMBDA's parameters, STRUCT's fields */
    const slice *names;          /* STRUCT's */
    uint32_t item_count;
};

#define ITEMS_MAX 8
#define NOT_VARIADIC UINT32_MAX

typedef struct signature {
    const function *fn;
    const pattern **params;
    uint32_t count;
    uint32_t variadic; /* the parameter that repeats, zero or more times */
    bool is_pairs;     /* "(K, V)...": all parameters repeat together, once or more */
    uint32_t generics; /* parameters with a type variable or ANY: between equals, fewer win */
    const pattern *result;
} signature;

static struct {
    pthread_once_t once;
    arena *arena; /* for the life of the process */
    signature *signatures; /* sorted by name, rows of one name in the order of the table */
    const function **rows; /* beside them */
    uint32_t count;
} table = { .once = PTHREAD_ONCE_INIT };

typedef struct signature_reader {
    arena *arena;
    const char *at;
} signature_reader;

static void skip_spaces(signature_reader *r)
{
    while (*r->at == ' ') r->at++;
}

static bool take(signature_reader *r, const char *token)
{
    size_t length = strlen(token);

    skip_spaces(r);
    if (strncmp(r->at, token, length) != 0) return false;
    r->at += length;
    return true;
}

static slice take_word(signature_reader *r)
{
    skip_spaces(r);
    const char *start = r->at;
    while ((*r->at >= 'A' && *r->at <= 'Z') || *r->at == '_') r->at++;
    return (slice){ start, (size_t)(r->at - start) };
}

static const type type_interval_unit = { .kind = TYPE_INTERVAL_UNIT };

static const type *scalar_named(slice word)
{
    static const struct {
        const char *name;
        const type *type;
    } scalars[] = {
        { "BOOLEAN", &type_boolean }, { "INTEGER", &type_integer },     { "BIGINT", &type_bigint },
        { "DOUBLE", &type_double },   { "STRING", &type_string },       { "BYTES", &type_bytes },
        { "DATE", &type_date },       { "TIME", &type_time },           { "TIMESTAMP", &type_timestamp },
        { "INTERVALUNIT", &type_interval_unit },
    };

    for (size_t i = 0; i < sizeof scalars / sizeof scalars[0]; i++) {
        if (slice_is(word, scalars[i].name)) return scalars[i].type;
    }
    return NULL;
}

static const pattern *read_pattern(signature_reader *r);

static void read_items(signature_reader *r, pattern *p, const char *closing, bool named)
{
    const pattern **items = ARENA_ARRAY(r->arena, const pattern *, ITEMS_MAX);
    slice *names = named ? ARENA_ARRAY(r->arena, slice, ITEMS_MAX) : NULL;

    while (!take(r, closing)) {
        if (p->item_count > 0 && !take(r, ",")) abort();
        if (named) names[p->item_count] = take_word(r);
        items[p->item_count++] = read_pattern(r);
    }
    p->items = items;
    p->names = names;
}

/* The rows are ours: text that does not parse is a bug, and every test that touches the table finds it. */
static const pattern *read_pattern(signature_reader *r)
{
    pattern *p = ARENA_NEW(r->arena, pattern);
    slice word = take_word(r);
    const type *scalar = scalar_named(word);

    if (scalar != NULL) {
        *p = (pattern){ .kind = PATTERN_TYPE, .type = scalar };
    } else if (slice_is(word, "DECIMAL") && take(r, "(")) {
        slice variable = take_word(r);
        *p = (pattern){ .kind = PATTERN_VARIABLE, .is_decimal = true, .variable = (uint8_t)(variable.data[0] - 'A') };
        if (!take(r, ")")) abort();
    } else if (slice_is(word, "DECIMAL")) {
        p->kind = PATTERN_DECIMAL;
    } else if (slice_is(word, "ANY")) {
        p->kind = PATTERN_ANY;
    } else if (word.len == 1) {
        *p = (pattern){ .kind = PATTERN_VARIABLE, .variable = (uint8_t)(word.data[0] - 'A') };
    } else if (slice_is(word, "ARRAY") && take(r, "<")) {
        p->kind = PATTERN_ARRAY;
        p->element = read_pattern(r);
        if (!take(r, ">")) abort();
    } else if (slice_is(word, "MAP") && take(r, "<")) {
        p->kind = PATTERN_MAP;
        p->key = read_pattern(r);
        if (!take(r, ",")) abort();
        p->element = read_pattern(r);
        if (!take(r, ">")) abort();
    } else if (slice_is(word, "STRUCT") && take(r, "<")) {
        p->kind = PATTERN_STRUCT;
        read_items(r, p, ">", true);
    } else if (slice_is(word, "LAMBDA") && take(r, "(")) {
        p->kind = PATTERN_LAMBDA;
        read_items(r, p, ")", false);
        if (!take(r, "->")) abort();
        p->element = read_pattern(r);
    } else {
        fprintf(stderr, "weir: bad signature at \"%s\"\n", r->at);
        abort();
    }
    return p;
}

static bool is_generic(const pattern *p)
{
    if (p == NULL) return false;
    if ((p->kind == PATTERN_VARIABLE && !p->is_decimal) || p->kind == PATTERN_ANY) return true;
    return is_generic(p->element) || is_generic(p->key);
}

static signature read_signature(arena *a, const function *fn)
{
    signature s = { .fn = fn, .variadic = NOT_VARIADIC };
    signature_reader r = { a, fn->params };

    s.params = ARENA_ARRAY(a, const pattern *, 16);
    s.is_pairs = take(&r, "(");
    skip_spaces(&r);
    while (*r.at != '\0' && !(s.is_pairs && take(&r, ")..."))) {
        if (s.count > 0 && !take(&r, ",")) abort();
        s.params[s.count] = read_pattern(&r);
        s.generics += is_generic(s.params[s.count]);
        if (take(&r, "...")) s.variadic = s.count;
        s.count++;
        skip_spaces(&r);
    }
    if (fn->result != NULL) {
        r.at = fn->result;
        s.result = read_pattern(&r);
    }
    return s;
}

static int order_of_rows(const void *a, const void *b)
{
    const signature *x = a, *y = b;
    int order = strcmp(x->fn->name, y->fn->name);

    if (order != 0) return order;
    return (x->generics > y->generics) - (x->generics < y->generics);
}

static void build_table(void)
{
    arena *a = table.arena = arena_new(64 << 10);
    uint32_t count = 0;

    for (size_t f = 0; f < sizeof FAMILIES / sizeof FAMILIES[0]; f++) count += FAMILIES[f]->count;
    table.signatures = ARENA_ARRAY(a, signature, count);
    table.rows = ARENA_ARRAY(a, const function *, count);
    for (size_t f = 0; f < sizeof FAMILIES / sizeof FAMILIES[0]; f++) {
        for (uint32_t i = 0; i < FAMILIES[f]->count; i++) {
            signature s = read_signature(a, &FAMILIES[f]->rows[i]);
            uint32_t at = table.count++;
            /* rows that compare equal keep the order of their file */
            for (; at > 0 && order_of_rows(&table.signatures[at - 1], &s) > 0; at--) {
                table.signatures[at] = table.signatures[at - 1];
            }
            table.signatures[at] = s;
        }
    }
    for (uint32_t i = 0; i < table.count; i++) table.rows[i] = table.signatures[i].fn;
}

static void open_table(void)
{
    pthread_once(&table.once, build_table);
}

const function *const *function_list(uint32_t *count)
{
    open_table();
    *count = table.count;
    return table.rows;
}

/* "DECIMAL(T)" is for us, and INTERVALUNIT a word users never write. */
static void print_types(text *out, const char *types)
{
    static const struct {
        const char *ours, *shown;
    } words[] = { { "DECIMAL(T)", "DECIMAL" }, { "INTERVALUNIT", "UNIT" } };

    while (*types != '\0') {
        size_t w = 0;
        while (w < 2 && strncmp(types, words[w].ours, strlen(words[w].ours)) != 0) w++;
        if (w < 2) {
            text_add_c(out, words[w].shown);
            types += strlen(words[w].ours);
        } else {
            text_add_char(out, *types++);
        }
    }
}

static void print_call(text *out, const function *fn)
{
    text_printf(out, "%s(", fn->name);
    print_types(out, strcmp(fn->name, "COUNT") == 0 && fn->params[0] == '\0' ? "*" : fn->params);
    text_add_char(out, ')');
}

void function_print(text *out, const function *fn)
{
    print_call(out, fn);
    text_add_c(out, " -> ");
    print_types(out, fn->result != NULL ? fn->result : fn->shown_result != NULL ? fn->shown_result : "DECIMAL");
}

/* Names in the table are in upper case, and sorted by their bytes. */
static int compare_name(slice name, const char *row)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char x = (unsigned char)name.data[i], y = (unsigned char)row[i];
        if (x >= 'a' && x <= 'z') x -= 'a' - 'A';
        if (x != y) return (x > y) - (x < y);
    }
    return row[name.len] == '\0' ? 0 : -1;
}

/* The rows of that name: [*first, *end). */
static bool find_rows(slice name, uint32_t *first, uint32_t *end)
{
    uint32_t low = 0, high;

    open_table();
    high = table.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare_name(name, table.rows[middle]->name) > 0) low = middle + 1;
        else high = middle;
    }
    *first = *end = low;
    while (*end < table.count && compare_name(name, table.rows[*end]->name) == 0) (*end)++;
    return *end > *first;
}

bool function_exists(slice name, function_kind *kind)
{
    uint32_t first, end;

    if (!find_rows(name, &first, &end) || table.rows[first]->is_hidden) return false;
    if (kind != NULL) *kind = table.rows[first]->kind;
    return true;
}

bool function_takes_unit(slice name, uint32_t arg)
{
    uint32_t first, end;

    if (!find_rows(name, &first, &end) || arg >= table.signatures[first].count) return false;
    const pattern *p = table.signatures[first].params[arg];
    return p->kind == PATTERN_TYPE && p->type->kind == TYPE_INTERVAL_UNIT;
}

/* ---- which overload ---- */

#define NO_MATCH (-1)
#define VARIABLES 26

/* INTEGER -> BIGINT -> DECIMAL -> DOUBLE, one each step. */
static int numeric_distance(type_kind from, type_kind to)
{
    static const int8_t rank[] = { [TYPE_INTEGER] = 1, [TYPE_BIGINT] = 2, [TYPE_DECIMAL] = 3, [TYPE_DOUBLE] = 4 };

    return rank[to] >= rank[from] ? rank[to] - rank[from] : NO_MATCH;
}

static bool is_number_kind(type_kind kind)
{
    return kind >= TYPE_INTEGER && kind <= TYPE_DOUBLE;
}

static int cast_cost(const type *from, const type *to)
{
    if (type_equal(from, to) || from->kind == TYPE_NULL) return 0;
    if (is_number_kind(from->kind) && is_number_kind(to->kind)) return numeric_distance(from->kind, to->kind);
    if (from->kind == TYPE_STRING && (to->kind == TYPE_DATE || to->kind == TYPE_TIME || to->kind == TYPE_TIMESTAMP)) {
        return 8;
    }
    return NO_MATCH;
}

/* The decimal a number of another type becomes. */
static const type *as_decimal(arena *a, const type *t)
{
    if (t->kind == TYPE_INTEGER) return type_decimal(a, 10, 0);
    if (t->kind == TYPE_BIGINT) return type_decimal(a, 19, 0);
    return t;
}

/* What binding one call against one signature found out. */
typedef struct binding {
    arena *arena;
    const type *bound[VARIABLES];
} binding;

static int match(binding *b, const pattern *p, const type *arg)
{
    if (p->kind == PATTERN_LAMBDA) return arg->kind == TYPE_LAMBDA ? 0 : NO_MATCH;
    if (arg->kind == TYPE_LAMBDA) return NO_MATCH;
    if (arg->kind == TYPE_INTERVAL_UNIT && !(p->kind == PATTERN_TYPE && p->type->kind == TYPE_INTERVAL_UNIT)) {
        return NO_MATCH;
    }
    if (arg->kind == TYPE_NULL) return 0;
    switch (p->kind) {
    case PATTERN_TYPE: return cast_cost(arg, p->type);
    case PATTERN_ANY: return 0;
    case PATTERN_DECIMAL: return is_number_kind(arg->kind) ? numeric_distance(arg->kind, TYPE_DECIMAL) : NO_MATCH;
    case PATTERN_VARIABLE: {
        const type **bound = &b->bound[p->variable];
        int distance = 0;
        if (p->is_decimal) {
            distance = is_number_kind(arg->kind) ? numeric_distance(arg->kind, TYPE_DECIMAL) : NO_MATCH;
            if (distance == NO_MATCH) return NO_MATCH;
            arg = as_decimal(b->arena, arg);
        }
        if (*bound == NULL || type_equal(*bound, arg)) {
            *bound = arg;
            return distance;
        }
        const type *common = common_type(b->arena, *bound, arg);
        if (common == NULL) return NO_MATCH;
        *bound = common;
        return p->is_decimal ? distance : 1;
    }
    case PATTERN_ARRAY: return arg->kind == TYPE_ARRAY ? match(b, p->element, arg->element) : NO_MATCH;
    case PATTERN_MAP: {
        int key, element;
        if (arg->kind != TYPE_MAP || (key = match(b, p->key, arg->key)) == NO_MATCH) return NO_MATCH;
        if ((element = match(b, p->element, arg->element)) == NO_MATCH) return NO_MATCH;
        return key + element;
    }
    default: return NO_MATCH;
    }
}

/* The type a pattern stands for, given what its variables are bound to; like: the argument it takes, or NULL. */
static const type *substitute(binding *b, const pattern *p, const type *like)
{
    switch (p->kind) {
    case PATTERN_TYPE: return p->type;
    case PATTERN_ANY: return like != NULL ? like : &type_null;
    case PATTERN_DECIMAL:
        if (like == NULL || like->kind == TYPE_NULL) return type_decimal(b->arena, 1, 0);
        return as_decimal(b->arena, like);
    case PATTERN_VARIABLE: return b->bound[p->variable] != NULL ? b->bound[p->variable] : &type_null;
    case PATTERN_ARRAY: {
        const type *element = substitute(b, p->element, like != NULL && like->kind == TYPE_ARRAY ? like->element : NULL);
        return like != NULL && like->element == element ? like : type_array(b->arena, element);
    }
    case PATTERN_MAP: {
        bool is_map = like != NULL && like->kind == TYPE_MAP;
        const type *key = substitute(b, p->key, is_map ? like->key : NULL);
        const type *element = substitute(b, p->element, is_map ? like->element : NULL);
        return is_map && like->key == key && like->element == element ? like : type_map(b->arena, key, element);
    }
    case PATTERN_STRUCT: {
        type_field fields[ITEMS_MAX];
        for (uint32_t i = 0; i < p->item_count; i++) {
            fields[i] = (type_field){ p->names[i], substitute(b, p->items[i], NULL) };
        }
        return type_struct(b->arena, fields, p->item_count);
    }
    case PATTERN_LAMBDA: return NULL;
    }
    return NULL;
}

static bool takes_count(const signature *s, uint32_t count)
{
    if (s->is_pairs) return count > 0 && count % s->count == 0;
    return s->variadic == NOT_VARIADIC ? count == s->count : count + 1 >= s->count;
}

/* The parameter that argument i of count goes to. */
static const pattern *param_of(const signature *s, uint32_t i, uint32_t count)
{
    if (s->is_pairs) return s->params[i % s->count];
    if (s->variadic == NOT_VARIADIC || i < s->variadic) return s->params[i];
    uint32_t behind = s->count - 1 - s->variadic; /* parameters after the one that repeats */
    return i < count - behind ? s->params[s->variadic] : s->params[s->count - (count - i)];
}

/* *misfit: where there is no match, the first argument that does not fit; `count`: so many are not taken. */
static int match_all(binding *b, const signature *s, const type *const *args, uint32_t count, uint32_t *misfit)
{
    int cost = 0;

    *misfit = count;
    memset(b->bound, 0, sizeof b->bound);
    if (!takes_count(s, count)) return NO_MATCH;
    for (uint32_t i = 0; i < count; i++) {
        int more = match(b, param_of(s, i, count), args[i]);
        if (more == NO_MATCH) {
            *misfit = i;
            return NO_MATCH;
        }
        cost += more;
    }
    return cost;
}

/* Between rows that fit equally well: fixed arguments before a tail, more parameters, fewer generic ones. */
static bool is_better(const signature *s, const signature *than)
{
    bool fixed = s->variadic == NOT_VARIADIC, than_fixed = than->variadic == NOT_VARIADIC;

    if (fixed != than_fixed) return fixed;
    if (s->count != than->count) return s->count > than->count;
    return s->generics < than->generics;
}

/* Operators take the row that needs the least widening. Functions are chosen as ksqlDB does: a row that fits without casts,
 * else the one that fits with them; where several are left, the call is ambiguous, and *other is one of them. Where none fits,
 * *misfit is the argument that those fail at which take the most before it; `count`: none takes so many. */
static const signature *choose(binding *b, uint32_t first, uint32_t end, const type *const *args, uint32_t count,
                               const signature **other, uint32_t *misfit)
{
    const signature *best = NULL;
    int best_cost = 0;

    *other = NULL;
    *misfit = count;
    for (uint32_t i = first; i < end; i++) {
        const signature *s = &table.signatures[i];
        uint32_t fails_at;
        int cost = match_all(b, s, args, count, &fails_at);
        if (cost == NO_MATCH) {
            if (fails_at < count && (*misfit == count || fails_at > *misfit)) *misfit = fails_at;
            continue;
        }
        if (!s->fn->is_hidden) cost = cost > 0;
        if (best == NULL || cost < best_cost || (cost == best_cost && is_better(s, best))) {
            best = s;
            best_cost = cost;
            *other = NULL;
        } else if (cost == best_cost && !s->fn->is_hidden && !is_better(best, s)) {
            *other = s;
        }
    }
    return best;
}

/* ---- messages ---- */

#define LISTED_BYTES_MAX 190

static void print_argument_types(text *out, const type *const *args, uint32_t count)
{
    text_add_char(out, '(');
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) text_add_c(out, ", ");
        type_print(out, args[i]);
    }
    text_add_char(out, ')');
}

/* As many as a message has room for. */
static void print_calls(text *out, uint32_t first, uint32_t end)
{
    text call = TEXT_EMPTY;
    uint32_t i;

    for (i = first; i < end; i++) {
        text_clear(&call);
        print_call(&call, table.rows[i]);
        if (i > first && out->len + call.len > LISTED_BYTES_MAX) break;
        if (i > first) text_add_c(out, ", ");
        text_add(out, text_slice(&call));
    }
    if (i < end) text_printf(out, " and others: DESCRIBE FUNCTION %s", table.rows[first]->name);
    text_free(&call);
}

static weir_rc fail_no_overload(uint32_t first, uint32_t end, const type *const *args, uint32_t count, uint32_t misfit,
                                sql_pos at, weir_error *err)
{
    const function *fn = table.rows[first];
    text message = TEXT_EMPTY;

    if (fn->is_hidden) {
        text_printf(&message, "operator %s cannot be applied to ", fn->name);
        for (uint32_t i = 0; i < count; i++) {
            if (i > 0) text_add_c(&message, " and ");
            type_print(&message, args[i]);
        }
        text_add_c(&message, "; CAST() brings them to one type");
    } else {
        text_printf(&message, "%s does not accept ", fn->name);
        print_argument_types(&message, args, count);
        if (misfit == count) {
            text_printf(&message, ": it does not take %u argument%s", count, count == 1 ? "" : "s");
        } else if (count > 1) {
            text_printf(&message, ": argument %u does not fit", misfit + 1);
        }
        text_add_c(&message, "; there is ");
        print_calls(&message, first, end);
    }
    weir_rc rc = weir_fail(err, WEIR_SEMANTIC, at, "%s", message.data);
    text_free(&message);
    return rc;
}

static weir_rc fail_ambiguous(const signature *s, const signature *other, const type *const *args, uint32_t count,
                              sql_pos at, weir_error *err)
{
    text message = TEXT_EMPTY;

    text_add_c(&message, s->fn->name);
    print_argument_types(&message, args, count);
    text_add_c(&message, " is ambiguous: it could be ");
    print_call(&message, s->fn);
    text_add_c(&message, " or ");
    print_call(&message, other->fn);
    weir_rc rc = weir_fail(err, WEIR_SEMANTIC, at, "%s; CAST() the arguments", message.data);
    text_free(&message);
    return rc;
}

/* What other dialects call them. */
static const struct {
    const char *elsewhere, *here;
} OTHER_NAMES[] = {
    { "UPPER", "UCASE" },
    { "LOWER", "LCASE" },
    { "LENGTH", "LEN" },
    { "CHAR_LENGTH", "LEN" },
    { "STRPOS", "INSTR" },
    { "POSITION", "INSTR" },
    { "CHARINDEX", "INSTR" },
    { "SPLIT_PART", "SPLIT" },
    { "STRING_SPLIT", "SPLIT" },
    { "REGEXP_MATCHES", "REGEXP_EXTRACT" },
    { "REGEXP_SUBSTR", "REGEXP_EXTRACT" },
    { "JSON_EXTRACT", "EXTRACTJSONFIELD" },
    { "JSON_VALUE", "EXTRACTJSONFIELD" },
    { "TO_JSON", "TO_JSON_STRING" },
    { "NOW", "UNIX_TIMESTAMP" },
    { "CURRENT_TIMESTAMP", "UNIX_TIMESTAMP" },
    { "TO_TIMESTAMP", "PARSE_TIMESTAMP" },
    { "TO_DATE", "PARSE_DATE" },
    { "TO_CHAR", "FORMAT_TIMESTAMP" },
    { "DATE_FORMAT", "FORMAT_TIMESTAMP" },
    { "STRFTIME", "FORMAT_TIMESTAMP" },
    { "IF", "CASE WHEN" },
    { "IIF", "CASE WHEN" },
    { "NVL", "IFNULL" },
    { "ISNULL", "IFNULL" },
    { "POW", "POWER" },
    { "CEILING", "CEIL" },
    { "GEN_RANDOM_UUID", "UUID" },
    { "ARRAY", "ARRAY[...]" },
    { "CARDINALITY", "ARRAY_LENGTH" },
    { "ARRAY_TO_STRING", "ARRAY_JOIN" },
    { "UNNEST", "EXPLODE" },
    { "ARRAY_AGG", "COLLECT_LIST" },
    { "STRING_AGG", "COLLECT_LIST" },
    { "GROUP_CONCAT", "COLLECT_LIST" },
    { "FIRST_VALUE", "EARLIEST_BY_OFFSET" },
    { "FIRST", "EARLIEST_BY_OFFSET" },
    { "LAST_VALUE", "LATEST_BY_OFFSET" },
    { "LAST", "LATEST_BY_OFFSET" },
    { "STDDEV", "STDDEV_SAMP" },
    { "MEAN", "AVG" },
};

weir_rc function_fail_unknown(slice name, sql_pos at, weir_error *err)
{
    nearest n = nearest_to(name);

    for (uint32_t i = 0; i < table.count; i++) {
        if (!table.rows[i]->is_hidden) nearest_offer(&n, slice_of(table.rows[i]->name));
    }
    for (size_t i = 0; i < sizeof OTHER_NAMES / sizeof OTHER_NAMES[0]; i++) {
        nearest_offer_other(&n, OTHER_NAMES[i].elsewhere, OTHER_NAMES[i].here);
    }
    return weir_fail(err, WEIR_SEMANTIC, at, "unknown function %.*s%s", SLICE_ARG(name),
                     n.best.data != NULL ? nearest_hint(&n) : "; SHOW FUNCTIONS lists those there are");
}

/* ---- resolving ---- */

static weir_rc fail_lambda_type(const signature *s, const type *found, const type *wanted, arena *a, sql_pos at,
                                weir_error *err)
{
    slice found_text = type_text(a, found), wanted_text = type_text(a, wanted);

    return weir_fail(err, WEIR_SEMANTIC, at, "%s: its lambda gives %.*s where %.*s is needed; %s",
                     s->fn->name, SLICE_ARG(found_text), SLICE_ARG(wanted_text),
                     wanted->kind == TYPE_BOOLEAN ? "compare it with a value" : "CAST() brings it there");
}

static const type *ask_lambda(binding *b, const pattern *p, uint32_t arg, const lambda_binder *lambdas, weir_error *err)
{
    const type **params = ARENA_ARRAY(b->arena, const type *, p->item_count);

    for (uint32_t i = 0; i < p->item_count; i++) params[i] = substitute(b, p->items[i], NULL);
    return lambdas->result_type(lambdas->self, arg, params, p->item_count, err);
}

/* Asks the binder for the result type of each lambda, in order, since one may bind variables another uses. */
static weir_rc bind_lambdas(binding *b, const signature *s, uint32_t count, const lambda_binder *lambdas, sql_pos at,
                            weir_error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        const pattern *p = param_of(s, i, count);
        if (p->kind != PATTERN_LAMBDA) continue;
        if (lambdas == NULL) return weir_fail(err, WEIR_INTERNAL, at, "%s: no binder for its lambda", s->fn->name);
        const type *result = ask_lambda(b, p, i, lambdas, err);
        if (result == NULL) return err->rc;
        bool is_state = p->element->kind == PATTERN_VARIABLE && b->bound[p->element->variable] != NULL;
        if (match(b, p->element, result) == NO_MATCH) {
            return fail_lambda_type(s, result, substitute(b, p->element, NULL), b->arena, at, err);
        }
        if (!is_state) continue;
        /* REDUCE(array, 0, (s, x) => s + x) with BIGINT x widens the state: bound once more, it must give that */
        const type *state = b->bound[p->element->variable];
        result = ask_lambda(b, p, i, lambdas, err);
        if (result == NULL) return err->rc;
        if (!type_equal(result, state)) return fail_lambda_type(s, result, state, b->arena, at, err);
    }
    return WEIR_OK;
}

weir_rc function_resolve(slice name, const type *const *args, uint32_t count, const lambda_binder *lambdas, sql_pos at,
                         arena *a, resolved *out, weir_error *err)
{
    binding b = { .arena = a };
    uint32_t first, end, misfit;

    if (!find_rows(name, &first, &end)) return function_fail_unknown(name, at, err);
    const signature *other, *s = choose(&b, first, end, args, count, &other, &misfit);
    if (s == NULL) return fail_no_overload(first, end, args, count, misfit, at, err);
    if (other != NULL) return fail_ambiguous(s, other, args, count, at, err);
    match_all(&b, s, args, count, &misfit);
    WEIR_TRY(bind_lambdas(&b, s, count, lambdas, at, err));

    const type **params = ARENA_ARRAY(a, const type *, count);
    for (uint32_t i = 0; i < count; i++) params[i] = substitute(&b, param_of(s, i, count), args[i]);
    *out = (resolved){ .fn = s->fn, .params = params };
    if (s->fn->resolve != NULL) {
        err->at = at;
        out->result = s->fn->resolve(a, params, count, err);
        if (out->result == NULL) {
            err->at = at;
            return err->rc;
        }
    } else {
        out->result = substitute(&b, s->result, NULL);
    }
    return WEIR_OK;
}

/* ---- running ---- */

void eval_fail(eval_context *x, uint32_t row, const char *format, ...)
{
    char reason[2 * REASON_BYTES];
    va_list arguments;

    if (x->report == NULL) return;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    reason[utf8_beginning(slice_of(reason), REASON_BYTES - 1).len] = '\0';
    x->report(x->report_self, row, reason);
}

void agg_stop(agg_context *x, const void *acc, const char *format, ...)
{
    va_list arguments;

    if (x->stop) return; /* the first reason is the one to tell */
    x->stop = true;
    x->stopped = acc;
    x->stopped_row = x->row;
    va_start(arguments, format);
    vsnprintf(x->reason, sizeof x->reason, format, arguments);
    va_end(arguments);
}

static bool has_null(const column *c, row_set rows)
{
    uint8_t any = 0;

    if (rows.index == NULL) return memchr(c->null, 1, rows.count) != NULL;
    EACH_ROW(r, rows) any |= c->null[r];
    return any != 0;
}

static bool is_arithmetic(const function *fn)
{
    static const char *const names[] = { "+", "-", "*", "/", "%", "NEG" };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (fn->is_hidden && strcmp(fn->name, names[i]) == 0) return true;
    }
    return false;
}

/* Those of rows where no argument is null; the others are marked null in out. */
static row_set rows_without_nulls(const call *c, eval_context *x, const column *args, row_set rows, column *out)
{
    bool any = false;

    for (uint32_t i = 0; i < c->arg_count; i++) {
        if (c->lambdas != NULL && c->lambdas[i] != NULL) continue;
        if (!has_null(&args[i], rows)) continue;
        any = true;
        EACH_ROW(r, rows) out->null[r] |= args[i].null[r];
    }
    if (!any) return rows;
    if (x->in_lambda && is_arithmetic(c->fn)) x->lambda_failed = true;
    uint32_t *index = ARENA_ARRAY(x->arena, uint32_t, rows.count);
    uint32_t count = 0;
    EACH_ROW(r, rows)
    {
        index[count] = r;
        count += out->null[r] == 0;
    }
    return (row_set){ index, count };
}

static void run_rows(const call *c, eval_context *x, const column *args, row_set rows, column *out)
{
    value few[8];
    value *values = c->arg_count <= 8 ? few : ARENA_ARRAY(x->arena, value, c->arg_count);
    uint32_t row_before = x->row;

    EACH_ROW(r, rows)
    {
        value result = NULL_VALUE;
        for (uint32_t i = 0; i < c->arg_count; i++) {
            values[i] = c->lambdas != NULL && c->lambdas[i] != NULL ? NULL_VALUE : column_get(&args[i], r);
        }
        x->row = r;
        if (!c->fn->row(c, x, values, &result)) result.is_null = true;
        column_set(out, r, &result);
    }
    x->row = row_before;
}

void call_run(const call *c, eval_context *x, const column *args, row_set rows, uint32_t capacity, column *out)
{
    *out = column_new(x->arena, c->result, capacity);
    if (c->fn->nulls == NULL_IN_OUT) rows = rows_without_nulls(c, x, args, rows, out);
    if (c->fn->kernel != NULL) c->fn->kernel(c, x, args, rows, out);
    else run_rows(c, x, args, rows, out);
}
