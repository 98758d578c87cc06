/* parser/substitute.c - puts variables into a statement's text before it is read, everywhere but in comments, and keeps the
 * pieces, so that every place in the result leads back to the place that was typed. $${name} stands for ${name} itself. */
#include "parser/parse.h"

#include <assert.h>

/* A character of several bytes is one column. */
void walk_to(text_walk *walk, slice typed, size_t offset)
{
    assert(offset <= typed.len && walk->offset <= offset);
    for (; walk->offset < offset; walk->offset++) {
        unsigned char byte = (unsigned char)typed.data[walk->offset];
        if (byte == '\n') {
            walk->at.line++;
            walk->at.column = 1;
        } else if ((byte & 0xC0) != 0x80) {
            walk->at.column++;
        }
    }
}

static bool word_begin(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static bool word_char(char c) { return word_begin(c) || (c >= '0' && c <= '9') || c == '@'; }

/* The length of "${name}" at `at`, or 0. */
static size_t reference_length(const char *at, const char *end)
{
    const char *c = at + 2;

    if (end - at < 4 || at[0] != '$' || at[1] != '{' || !word_begin(*c)) return 0;
    while (c < end && word_char(*c)) c++;
    return c < end && *c == '}' ? (size_t)(c + 1 - at) : 0;
}

const char *comment_close(const char *open, const char *end)
{
    for (const char *c = open + 2; end - c >= 2; c++) {
        c = memchr(c, '*', (size_t)(end - c - 1));
        if (c == NULL) return NULL;
        if (c[1] == '/') return c + 2;
    }
    return NULL;
}

static const char *comment_end(const char *at, const char *end)
{
    if (at[0] == '-') {
        while (at < end && *at != '\n' && *at != '\r') at++;
        return at;
    }
    const char *close = comment_close(at, end);
    return close == NULL ? end : close;
}

static void add_piece(arena *a, source_text *out, piece p)
{
    uint32_t count = out->piece_count;

    if (count >= 4 && (count & (count - 1)) == 0) {
        piece *more = ARENA_ARRAY(a, piece, (size_t)count * 2);
        memcpy(more, out->pieces, sizeof(piece) * count);
        out->pieces = more;
    }
    out->pieces[out->piece_count++] = p;
}

weir_rc substitute(arena *a, slice typed, size_t begin, size_t end, sql_pos begin_at, const variables *vars,
                   source_text *out, weir_error *err)
{
    const char *stop = typed.data + end;
    const char *copied = typed.data + begin; /* up to here it is in `result` */
    char quote = 0;
    text result = TEXT_EMPTY;
    weir_rc rc = WEIR_OK;

    *out = (source_text){ .typed = typed, .pieces = ARENA_ARRAY(a, piece, 4) };
    add_piece(a, out, (piece){ 0, begin, false });
    for (const char *c = copied; c < stop && vars != NULL;) {
        if (quote == 0 && c + 1 < stop && ((c[0] == '-' && c[1] == '-') || (c[0] == '/' && c[1] == '*'))) {
            c = comment_end(c, stop);
            continue;
        }
        if (*c == '$' && c + 1 < stop && c[1] == '$' && reference_length(c + 1, stop) > 0) {
            text_add(&result, (slice){ copied, (size_t)(c - copied) });
            copied = c + 1;
            add_piece(a, out, (piece){ result.len, (size_t)(copied - typed.data), false });
            c = copied + 1;
            continue;
        }
        size_t length = *c == '$' ? reference_length(c, stop) : 0;
        if (length > 0) {
            slice name = { c + 2, length - 3 };
            slice value;
            if (!variables_get(vars, name, &value)) {
                text_walk walk = { begin, begin_at };
                walk_to(&walk, typed, (size_t)(c - typed.data));
                rc = weir_fail(err, WEIR_SEMANTIC, walk.at, "unknown variable %.*s%s", SLICE_ARG(name), variables_hint(vars, name));
                goto done;
            }
            text_add(&result, (slice){ copied, (size_t)(c - copied) });
            if (value.len > 0) add_piece(a, out, (piece){ result.len, (size_t)(c - typed.data), true });
            text_add(&result, value);
            c = copied = c + length;
            add_piece(a, out, (piece){ result.len, (size_t)(copied - typed.data), false });
            continue;
        }
        if (quote != 0) {
            if (*c == quote) quote = 0; /* a doubled one closes and opens again */
        } else if (*c == '\'' || *c == '"' || *c == '`') {
            quote = *c;
        }
        c++;
    }
    if (out->piece_count == 1) {
        out->text = arena_copy(a, (slice){ typed.data == NULL ? "" : copied, end - begin });
    } else {
        text_add(&result, (slice){ copied, (size_t)(stop - copied) });
        out->text = arena_copy(a, text_slice(&result));
    }
done:
    text_free(&result);
    return rc;
}
