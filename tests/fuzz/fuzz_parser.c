/* tests/fuzz/fuzz_parser.c - any text at all: the parser neither crashes nor hangs, and what it takes, printed, it takes again
 * and prints alike. */
#include "parser/parser.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void fail(const char *what, const text *first, const char *more)
{
    fprintf(stderr, "%s\n%s\n%s\n", what, first->data, more);
    abort();
}

static void print_and_parse_again(arena *a, const statement *s)
{
    text first = TEXT_EMPTY;
    text second = TEXT_EMPTY;
    statement *again;
    weir_error err;

    print_statement(&first, s);
    if (parse_statement(a, text_slice(&first), &again, &err) != WEIR_OK) fail("does not parse again", &first, err.message);
    print_statement(&second, again);
    if (!slice_equal(text_slice(&first), text_slice(&second))) fail("prints otherwise", &first, second.data);
    text_free(&first);
    text_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    slice sql = { (const char *)data, bytes };
    arena *a = arena_new(0);
    variables *vars = variables_new();
    parser *p = parser_open(sql);
    statement *s = NULL;
    weir_error err;
    size_t errors = 0;
    bool failed;

    variables_set(vars, SLICE("x"), SLICE("a'b"));
    parse_is_complete(sql);
    do {
        failed = parser_next(p, a, vars, &s, &err) != WEIR_OK;
        if (failed && errors++ > bytes) abort(); /* it does not get on */
        if (s != NULL) print_and_parse_again(a, s);
    } while (s != NULL || failed);
    parser_close(p);
    variables_free(vars);
    arena_free(a);
    return 0;
}
