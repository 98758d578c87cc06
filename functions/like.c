/* functions/like.c - subject LIKE pattern [ESCAPE e]. A constant pattern is taken apart once; most are plain text with a %
 * at an end, and become one memcmp or memmem. */
#include "functions/family.h"

typedef enum like_shape { LIKE_EXACT, LIKE_PREFIX, LIKE_SUFFIX, LIKE_CONTAINS, LIKE_GENERAL } like_shape;

typedef enum like_step { STEP_BYTE, STEP_ONE, STEP_MANY } like_step;

typedef struct like_program {
    like_shape shape;
    slice literal; /* of all shapes but LIKE_GENERAL */
    uint8_t *steps;
    char *bytes; /* of STEP_BYTE */
    uint32_t count;
} like_program;

/* Bytes of the character that begins here. */
static size_t character_bytes(const char *at, const char *end)
{
    const char *next = at + 1;

    while (next < end && ((unsigned char)*next & 0xC0) == 0x80) next++;
    return (size_t)(next - at);
}

/* False: the pattern ends with its escape character. */
static bool compile(arena *a, slice pattern, slice escape, like_program *out)
{
    uint8_t *steps = arena_alloc(a, pattern.len + 1);
    char *bytes = arena_alloc(a, pattern.len + 1);
    uint32_t count = 0, wild_one = 0, wild_many = 0;
    const char *at = pattern.data, *end = pattern.data + pattern.len;

    while (at < end) {
        size_t length = character_bytes(at, end);
        bool is_escaped = escape.len > 0 && length == escape.len && memcmp(at, escape.data, length) == 0;
        if (is_escaped) {
            at += length;
            if (at == end) return false;
            length = character_bytes(at, end);
        } else if (*at == '%' || *at == '_') {
            if (*at == '_') wild_one++;
            else if (count == 0 || steps[count - 1] != STEP_MANY) wild_many++;
            else count--; /* %% is % */
            steps[count++] = *at++ == '_' ? STEP_ONE : STEP_MANY;
            continue;
        }
        for (size_t i = 0; i < length; i++) {
            steps[count] = STEP_BYTE;
            bytes[count++] = *at++;
        }
    }
    *out = (like_program){ .shape = LIKE_GENERAL, .steps = steps, .bytes = bytes, .count = count };
    if (wild_one > 0 || wild_many > 2) return true;
    bool opens = count > 0 && steps[0] == STEP_MANY;
    bool closes = count > 1 && steps[count - 1] == STEP_MANY;
    if (wild_many != (uint32_t)opens + closes) return true;
    out->literal = (slice){ bytes + opens, count - opens - closes };
    out->shape = opens && (closes || count == 1) ? LIKE_CONTAINS : opens ? LIKE_SUFFIX : closes ? LIKE_PREFIX : LIKE_EXACT;
    return true;
}

/* After a mismatch the last % takes one more character, and the rest is tried again. */
static bool matches_general(const like_program *p, slice text)
{
    const char *at = text.data, *end = text.data + text.len, *retry_at = NULL;
    uint32_t step = 0, retry_step = 0;

    for (;;) {
        if (step < p->count && p->steps[step] == STEP_MANY) {
            retry_step = ++step;
            retry_at = at;
        } else if (at == end) {
            if (step == p->count) return true;
            return false;
        } else if (step < p->count && p->steps[step] == STEP_ONE) {
            at += character_bytes(at, end);
            step++;
        } else if (step < p->count && p->bytes[step] == *at) {
            at++;
            step++;
        } else if (retry_at != NULL && retry_at < end) {
            retry_at += character_bytes(retry_at, end);
            at = retry_at;
            step = retry_step;
        } else {
            return false;
        }
    }
}

static inline bool matches(const like_program *p, slice text)
{
    switch (p->shape) {
    case LIKE_EXACT: return slice_equal(text, p->literal);
    case LIKE_PREFIX: return text.len >= p->literal.len && memcmp(text.data, p->literal.data, p->literal.len) == 0;
    case LIKE_SUFFIX:
        return text.len >= p->literal.len &&
               memcmp(text.data + text.len - p->literal.len, p->literal.data, p->literal.len) == 0;
    case LIKE_CONTAINS: return memmem(text.data, text.len, p->literal.data, p->literal.len) != NULL;
    case LIKE_GENERAL: return matches_general(p, text);
    }
    return false;
}

static void like(const call *c, eval_context *x, const column *args, row_set rows, column *out)
{
    const like_program *prepared = c->state;

    EACH_ROW(r, rows)
    {
        if (args[0].null[r] | args[1].null[r]) {
            out->null[r] = 1;
            continue;
        }
        like_program now;
        const like_program *program = prepared;
        if (program == NULL) {
            slice escape = args[2].null[r] || args[2].type->kind == TYPE_NULL ? NO_SLICE : args[2].str[r];
            if (!compile(x->arena, args[1].str[r], escape, &now)) {
                out->null[r] = 1;
                eval_fail(x, r, "a LIKE pattern must not end with its escape character");
                continue;
            }
            program = &now;
        }
        out->boolean[r] = matches(program, args[0].str[r]);
    }
}

static weir_rc prepare_like(call *c, arena *a, weir_error *err)
{
    const value *pattern = call_constant(c, 1), *escape = call_constant(c, 2);

    if (escape != NULL && !escape->is_null &&
        (escape->str.len == 0 ||
         character_bytes(escape->str.data, escape->str.data + escape->str.len) != escape->str.len)) {
        return weir_fail(err, WEIR_SEMANTIC, err->at, "the ESCAPE of LIKE must be one character");
    }
    if (pattern == NULL || pattern->is_null || escape == NULL) return WEIR_OK;
    like_program *program = ARENA_NEW(a, like_program);
    if (!compile(a, pattern->str, escape->is_null ? NO_SLICE : escape->str, program)) {
        return weir_fail(err, WEIR_SEMANTIC, err->at, "a LIKE pattern must not end with its escape character");
    }
    c->state = program;
    return WEIR_OK;
}

static const function ROWS[] = {
    OPERATOR("LIKE", "STRING, STRING, STRING", "BOOLEAN", NULL_SEEN, like, .prepare = prepare_like),
};
const function_family like_family = FAMILY_ROWS(ROWS);
