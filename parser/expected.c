/* parser/expected.c - words a syntax error: what was met, what could have stood there, and a guess at what was meant.
 * Which tokens could is asked of the grammar one by one; what many of them mean together is said in one word. */
#include "grammar.h"
#include "parser/parse.h"

#include <stdio.h>

#define TOKEN_KINDS (TK_SEMICOLON + 1) /* the grammar names the semicolon last */
#define SHOWN_BYTES_MAX 60
#define NAMED_MAX 6                      /* more alternatives than this help nobody */

typedef struct sign {
    int token;
    const char *name;
} sign;

static const sign SIGNS[] = {
    { TOKEN_END, "end of statement" }, { TK_LP, "'('" }, { TK_RP, "')'" }, { TK_LB, "'['" }, { TK_RB, "']'" },
    { TK_COMMA, "','" }, { TK_DOT, "'.'" }, { TK_EQ, "'='" }, { TK_ASSIGN, "':='" }, { TK_LT, "'<'" }, { TK_GT, "'>'" },
    { TK_FAT_ARROW, "'=>'" }, { TK_ARROW, "'->'" }, { TK_STAR, "'*'" }, { TK_STRING, "a string" },
    { TK_INTEGER, "a whole number" }, { TK_DURATION, "a duration" },
};

static const int OPERATORS[] = {
    TK_OR, TK_AND, TK_PLUS, TK_MINUS, TK_STAR, TK_SLASH, TK_PERCENT, TK_CONCAT, TK_EQ, TK_NE, TK_LT, TK_LE, TK_GT, TK_GE,
    TK_IS, TK_BETWEEN, TK_IN, TK_LIKE, TK_AT, TK_LB, TK_ARROW, TK_OVER, TK_ESCAPE,
};

static const int STATEMENTS[] = {
    TK_SELECT, TK_WITH, TK_CREATE, TK_INSERT, TK_DROP, TK_ALTER, TK_SHOW, TK_LIST, TK_DESCRIBE, TK_PRINT, TK_EXPLAIN,
    TK_TERMINATE, TK_PAUSE, TK_RESUME, TK_SET, TK_UNSET, TK_DEFINE, TK_UNDEFINE, TK_ASSERT, TK_RUN,
};

static const int LITERALS[] = {
    TK_NULL, TK_TRUE, TK_FALSE, TK_INTEGER, TK_DECIMAL, TK_DOUBLE, TK_STRING, TK_DURATION,
};

static const int EXPRESSIONS[] = {
    TK_NOT, TK_CASE, TK_CAST, TK_LP, TK_LAMBDA_LP, TK_PLUS, TK_MINUS, TK_ARRAY_LITERAL, TK_MAP_LITERAL, TK_STRUCT_LITERAL,
    TK_TUMBLING, TK_HOPPING,
};

static const int UNITS[] = {
    TK_MILLISECOND, TK_MILLISECONDS, TK_SECOND, TK_SECONDS, TK_MINUTE, TK_MINUTES, TK_HOUR, TK_HOURS, TK_DAY, TK_DAYS,
};

static const int CLAUSES[] = {
    TK_JOIN, TK_INNER, TK_LEFT, TK_RIGHT, TK_FULL, TK_OUTER, TK_WINDOW, TK_WHERE, TK_GROUP, TK_HAVING, TK_PARTITION, TK_ORDER, TK_EMIT,
    TK_LIMIT, TK_UNION, TOKEN_END,
};

typedef struct expectation {
    bool could[TOKEN_KINDS];
    bool type_fits;
    const char *words[NAMED_MAX + 4]; /* as listed */
    int count;
    bool more;
} expectation;

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void drop(expectation *x, const int *kinds, size_t count)
{
    for (size_t i = 0; i < count; i++) x->could[kinds[i]] = false;
}

static void say(expectation *x, const char *word)
{
    if (x->count < NAMED_MAX) {
        x->words[x->count++] = word;
    } else {
        x->more = true;
    }
}

static void drop_words(expectation *x)
{
    for (uint32_t i = 0; i < keyword_count(); i++)
        if (keyword_at(i)->reserved == KEYWORD_WORD) x->could[keyword_at(i)->token] = false;
    x->could[TK_NAME] = x->could[TK_QUOTED_NAME] = false;
}

/* Keywords first, since they tell most; then signs; then the groups. */
static void list(expectation *x)
{
    bool statements_fit = x->could[TK_CREATE] && x->could[TK_DROP];
    bool expression_fits = x->could[TK_CASE];
    bool operator_fits = x->could[TK_PLUS] && x->could[TK_SLASH];
    bool unit_fits = x->could[TK_SECONDS] && x->could[TK_HOUR];
    bool literal_fits = x->could[TK_NULL] && x->could[TK_DECIMAL] && !expression_fits;
    bool name_fits = x->could[TK_QUOTED_NAME] && !expression_fits;

    const char *clause = !x->could[TK_LIMIT] ? NULL
                       : x->could[TK_WHERE]  ? "a clause such as WHERE or LIMIT"
                       : x->could[TK_GROUP]  ? "a clause such as GROUP BY or LIMIT"
                       : x->could[TK_HAVING] ? "a clause such as HAVING or LIMIT"
                                             : "a clause such as EMIT CHANGES or LIMIT";

    if (x->could[TK_JOIN]) x->could[TK_COMMA] = false; /* only to say that it joins nothing */
    if (clause != NULL) drop(x, CLAUSES, COUNT_OF(CLAUSES));
    if (statements_fit) drop(x, STATEMENTS, COUNT_OF(STATEMENTS));
    if (expression_fits) drop(x, EXPRESSIONS, COUNT_OF(EXPRESSIONS));
    if (expression_fits || literal_fits) drop(x, LITERALS, COUNT_OF(LITERALS));
    if (expression_fits || unit_fits) drop(x, UNITS, COUNT_OF(UNITS));
    bool and_is_wanted = x->could[TK_AND] && !x->could[TK_OR]; /* BETWEEN 1 */
    if (operator_fits) {
        drop(x, OPERATORS, COUNT_OF(OPERATORS));
        x->could[TK_AND] = and_is_wanted;
        x->could[TK_NOT] = x->could[TK_LP] = x->could[TK_DOT] = x->could[TK_STRING] = false;
    }
    if (x->could[TK_QUOTED_NAME]) {
        drop_words(x);
        x->could[TK_TUMBLING] = x->could[TK_HOPPING] = false; /* names of functions there */
    }
    for (uint32_t i = 0; i < keyword_count(); i++)
        if (x->could[keyword_at(i)->token]) say(x, keyword_at(i)->word);
    for (size_t i = 0; i < COUNT_OF(SIGNS); i++)
        if (x->could[SIGNS[i].token]) say(x, SIGNS[i].name);
    if (statements_fit) say(x, "a statement");
    if (expression_fits) say(x, "an expression");
    if (literal_fits) say(x, "a literal");
    if (unit_fits && !expression_fits) say(x, "a time unit: MILLISECONDS, SECONDS, MINUTES, HOURS, DAYS");
    if (name_fits) say(x, x->type_fits ? "a type such as STRING" : "a name");
    if (operator_fits) say(x, "an operator");
    if (clause != NULL) say(x, clause);
}

static char upper(char c) { return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c; }

/* One letter changed, added, left out, or two neighbours swapped. */
static bool nearly(slice typed, const char *word)
{
    size_t length = strlen(word);
    size_t same = 0;

    if (typed.len < 3 || length < 3 || typed.len > length + 1 || length > typed.len + 1) return false;
    while (same < typed.len && same < length && upper(typed.data[same]) == word[same]) same++;
    slice rest = { typed.data + same, typed.len - same };
    slice want = { word + same, length - same };
    if (typed.len > length) return slice_equal_nocase((slice){ rest.data + 1, rest.len - 1 }, want);
    if (typed.len < length) return slice_equal_nocase(rest, (slice){ want.data + 1, want.len - 1 });
    if (rest.len == 0) return false;
    if (slice_equal_nocase((slice){ rest.data + 1, rest.len - 1 }, (slice){ want.data + 1, want.len - 1 })) return true;
    return rest.len > 1 && upper(rest.data[0]) == want.data[1] && upper(rest.data[1]) == want.data[0] &&
           slice_equal_nocase((slice){ rest.data + 2, rest.len - 2 }, (slice){ want.data + 2, want.len - 2 });
}

static const char *meant(const expectation *x, slice typed)
{
    for (uint32_t i = 0; i < keyword_count(); i++) {
        const keyword *k = keyword_at(i);
        bool is_any_name = k->reserved == KEYWORD_WORD && x->could[TK_QUOTED_NAME];
        if (x->could[k->token] && !is_any_name && nearly(typed, k->word)) return k->word;
    }
    return NULL;
}

/* Reserved words that people do not mean as names. */
static bool opens_clause(int kind)
{
    switch (kind) {
    case TK_AND: case TK_AS: case TK_BY: case TK_FROM: case TK_GROUP: case TK_HAVING: case TK_JOIN: case TK_NOT: case TK_ON:
    case TK_OR: case TK_SELECT: case TK_WHERE: case TK_WITH: case TK_WITHIN: case TK_NULL:
        return true;
    default:
        return false;
    }
}

/* A list that ends with a comma. */
static bool ends_list(int kind)
{
    return kind == TK_RP || kind == TK_RB || kind == TK_GT || kind == TK_FROM || kind == TOKEN_END;
}

static bool begins_statement(int kind)
{
    for (size_t i = 0; i < COUNT_OF(STATEMENTS); i++)
        if (STATEMENTS[i] == kind && kind != TK_WITH) return true;
    return false;
}

/* Behind a source's other name, as it was taken: a second one cannot follow, and a JOIN could. */
bool is_behind_alias(const token *before, const bool *could)
{
    return before->kind == TK_NAME && could[TK_JOIN] && !could[TK_AS] && !could[TK_PLUS];
}

static void add_hint(text *message, const expectation *could, const token *found, const token *before)
{
    const keyword *reserved = keyword_of_token(found->kind);
    bool is_word = found->kind == TK_NAME || reserved != NULL;
    const char *word = is_word ? meant(could, found->text) : NULL;

    if (word != NULL) {
        text_printf(message, "; did you mean %s?", word);
    } else if (before->kind == TK_NAME && (word = meant(could, before->text)) != NULL) {
        text_printf(message, "; did you mean %s instead of %.*s?", word, SLICE_ARG(before->text));
    } else if (found->kind == TK_EQ && before->kind == TK_EQ) {
        text_add_c(message, "; equal is written =");
    } else if (is_behind_alias(before, could->could)) {
        text_printf(message, "; %.*s before it is taken for another name of the source", SLICE_ARG(before->text));
    } else if (found->kind == TK_NAME && could->could[TK_STRING] && !could->could[TK_NAME] && !could->could[TK_LIMIT]) {
        text_printf(message, "; a text is written in single quotes, '%.*s'", SLICE_ARG(found->text));
    } else if (found->kind == TK_QUOTED_NAME && could->could[TK_STRING] && found->text.len > 2) {
        text_printf(message, "; a text is written in single quotes, '%.*s'", (int)found->text.len - 2, found->text.data + 1);
    } else if (before->kind == TK_STRING && before->text.data + before->text.len == found->text.data && found->kind == TK_NAME) {
        text_add_c(message, "; a quote within a text is written twice, 'it''s'");
    } else if (found->kind == TK_STRING && could->could[TK_QUOTED_NAME] && !could->could[TK_STRING] && found->text.len > 2) {
        text_printf(message, "; a name has no single quotes, %.*s", (int)found->text.len - 2, found->text.data + 1);
    } else if (could->could[TOKEN_END] && begins_statement(found->kind)) {
        text_add_c(message, "; a semicolon stands between statements");
    } else if (before->kind == TK_COMMA && ends_list(found->kind)) {
        text_add_c(message, "; leave out the comma before it");
    } else if (reserved != NULL && reserved->reserved == KEYWORD_RESERVED && !opens_clause(found->kind) &&
               could->could[TK_QUOTED_NAME]) {
        text_printf(message, "; %s is a reserved word, as a name it is written `%s`", reserved->word, reserved->word);
    }
}

static void add_found(text *message, const token *found)
{
    if (found->kind == TOKEN_END) {
        text_add_c(message, "unexpected end of statement");
    } else if (found->text.len > SHOWN_BYTES_MAX) {
        int shown = SHOWN_BYTES_MAX;
        while ((found->text.data[shown] & 0xC0) == 0x80) shown--;
        text_printf(message, "unexpected '%.*s...'", shown, found->text.data);
    } else {
        const char *quote = found->kind == TK_STRING ? "" : "'";
        text_printf(message, "unexpected %s%s%.*s%s", quote, found->negative ? "-" : "", SLICE_ARG(found->text), quote);
    }
}

static void add_expected(text *message, expectation *x, const token *before)
{
    if (before->kind == TK_NAME && slice_equal_nocase(before->text, SLICE("IF"))) { /* hardly meant as a name */
        *x = (expectation){ .words = { "EXISTS", "NOT EXISTS" }, .count = 2 };
    } else {
        list(x);
    }
    for (int i = 0; i < x->count; i++) {
        bool last = i == x->count - 1 && !x->more;
        text_printf(message, "%s%s", i == 0 ? "; expected " : last ? " or " : ", ", x->words[i]);
    }
    if (x->more) text_add_c(message, " ...");
}

void expected_fail(parse_context *c, const token *found, token_test accepts, const void *of)
{
    static const int array_type[] = { TK_ARRAY, TK_LT };
    expectation x = { .type_fits = accepts(of, array_type, 2) };
    text message = TEXT_EMPTY;

    for (int kind = 0; kind < TOKEN_KINDS; kind++) x.could[kind] = accepts(of, &kind, 1);
    const habit *known = habit_of(c, found, x.could);
    if (known != NULL && known->is_unsupported) {
        parse_fail(c, WEIR_UNSUPPORTED, found->at, "%s", known->advice);
        return;
    }
    add_found(&message, found);
    if (known != NULL) {
        text_printf(&message, "; %s", known->advice);
    } else {
        expectation could = x;
        add_expected(&message, &x, &c->previous);
        add_hint(&message, &could, found, &c->previous);
    }
    parse_fail(c, WEIR_SYNTAX, found->at, "%s", message.data);
    text_free(&message);
}
