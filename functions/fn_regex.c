/* functions/fn_regex.c - regular expressions, by PCRE2 with its JIT, set up to read Java's patterns: line ends as Java has
 * them, \w and \d ASCII. A constant pattern is compiled once a call and shared by all threads, a varying one is kept per
 * thread while it stays the same. Matching is bounded: a pattern that explodes fails its row and nothing else. */
#include "functions/family.h"
#include "functions/java_regex.h"
#include "core/utf8.h"

#include <pthread.h>
#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define FAMILY "regex"
#define MATCH_LIMIT 2000000
#define JIT_STACK_BYTES_MAX ((size_t)1 << 20)

typedef struct regex {
    const pcre2_code *code;
    uint32_t groups;
    bool matches_empty; /* the empty text, as a whole */
} regex;

/* ---- what a thread needs to match ---- */

typedef struct matcher {
    pcre2_match_data *data;
    uint32_t pairs;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
    pcre2_code *recent; /* the last varying pattern */
    regex recent_regex;
    char *recent_text;
    size_t recent_len;
} matcher;

static _Thread_local matcher *this_thread;
static pthread_key_t matcher_key; /* for its end only */
static pthread_once_t matcher_once = PTHREAD_ONCE_INIT;

static void matcher_free(void *self)
{
    matcher *m = self;

    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->context);
    pcre2_jit_stack_free(m->stack);
    pcre2_code_free(m->recent);
    free(m->recent_text);
    free(m);
}

static void make_key(void)
{
    if (pthread_key_create(&matcher_key, matcher_free) != 0) abort();
}

/* This thread's matcher, with room for the groups of a pattern. */
static matcher *matcher_for(uint32_t groups)
{
    matcher *m = this_thread;
    if (m == NULL) {
        pthread_once(&matcher_once, make_key);
        m = calloc(1, sizeof *m);
        if (m == NULL || (m->context = pcre2_match_context_create(NULL)) == NULL) abort();
        pcre2_set_match_limit(m->context, MATCH_LIMIT);
        m->stack = pcre2_jit_stack_create(32 << 10, JIT_STACK_BYTES_MAX, NULL);
        pcre2_jit_stack_assign(m->context, NULL, m->stack);
        pthread_setspecific(matcher_key, m);
        this_thread = m;
    }
    if (m->pairs < groups + 1) {
        pcre2_match_data_free(m->data);
        m->pairs = groups + 1 < 16 ? 16 : groups + 1;
        m->data = pcre2_match_data_create(m->pairs, NULL);
        if (m->data == NULL) abort();
    }
    return m;
}

/* ---- patterns ---- */

static pcre2_code *compile_plain(slice pattern, int *error, size_t *at)
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);

    if (context == NULL) abort();
    pcre2_set_newline(context, PCRE2_NEWLINE_ANY);
    pcre2_set_bsr(context, PCRE2_BSR_UNICODE);
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern.data, pattern.len, PCRE2_UTF | PCRE2_MATCH_INVALID_UTF, error,
                                     at, context);
    pcre2_compile_context_free(context);
    return code;
}

static pcre2_code *compile(slice pattern, int *error, size_t *at)
{
    text ours = TEXT_EMPTY;

    java_regex_print(&ours, pattern);
    pcre2_code *code = compile_plain(text_slice(&ours), error, at);
    if (code == NULL && !slice_equal(text_slice(&ours), pattern)) { /* where it is wrong as it was written */
        int of_plain;
        size_t at_plain;
        pcre2_code *plain = compile_plain(pattern, &of_plain, &at_plain);
        if (plain == NULL) *error = of_plain, *at = at_plain;
        else *at = 0;
        pcre2_code_free(plain);
    }
    text_free(&ours);
    if (code != NULL) pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* without it, it is only slower */
    return code;
}

static regex describe(const pcre2_code *code)
{
    regex re = { .code = code };

    pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &re.groups);
    matcher *m = matcher_for(re.groups);
    re.matches_empty = pcre2_match(code, (PCRE2_SPTR)"", 0, 0, 0, m->data, m->context) > 0;
    return re;
}

static void describe_error(int error, char *out, size_t bytes)
{
    if (pcre2_get_error_message(error, (PCRE2_UCHAR *)out, bytes) < 0) strncpy(out, "it is malformed", bytes - 1);
}

static weir_rc prepare_pattern(call *c, arena *a, uint32_t argument, weir_error *err)
{
    const value *pattern = call_constant(c, argument);
    int error;
    size_t at;

    if (pattern == NULL || pattern->is_null) return WEIR_OK;
    pcre2_code *code = compile(pattern->str, &error, &at);
    if (code == NULL) {
        char reason[128] = "";
        describe_error(error, reason, sizeof reason);
        return weir_fail(err, WEIR_SEMANTIC, err->at, "%s: the regular expression '%.*s' is wrong at character %zu: %s",
                         c->fn->name, SLICE_ARG(pattern->str), at + 1, reason);
    }
    regex *re = ARENA_NEW(a, regex);
    *re = describe(code);
    c->state = re;
    return WEIR_OK;
}

static weir_rc prepare_first(call *c, arena *a, weir_error *err)
{
    return prepare_pattern(c, a, 0, err);
}

static weir_rc prepare_second(call *c, arena *a, weir_error *err)
{
    return prepare_pattern(c, a, 1, err);
}

static void release_pattern(call *c)
{
    regex *re = c->state;

    if (re != NULL) pcre2_code_free((pcre2_code *)(uintptr_t)re->code);
    c->state = NULL;
}

/* The call's pattern, or this row's. False: it is wrong, reported. */
static bool pattern_of(const call *c, eval_context *x, uint32_t row, slice pattern, regex *out)
{
    if (c->state != NULL) {
        *out = *(const regex *)c->state;
        return true;
    }
    matcher *m = matcher_for(0);
    if (m->recent == NULL || !slice_equal((slice){ m->recent_text, m->recent_len }, pattern)) {
        int error;
        size_t at;
        pcre2_code_free(m->recent);
        free(m->recent_text);
        m->recent_text = NULL;
        m->recent = compile(pattern, &error, &at);
        if (m->recent == NULL) {
            char reason[128] = "";
            describe_error(error, reason, sizeof reason);
            eval_fail(x, row, "wrong regular expression: %s", reason);
            return false;
        }
        m->recent_text = malloc(pattern.len + 1);
        if (m->recent_text == NULL) abort();
        memcpy(m->recent_text, pattern.data, pattern.len);
        m->recent_len = pattern.len;
        m->recent_regex = describe(m->recent);
    }
    *out = m->recent_regex;
    return true;
}

/* 1: found, its bounds in *groups; 0: not; -1: given up, reported. */
static int find(const regex *re, matcher *m, eval_context *x, uint32_t row, slice in, size_t from, size_t **groups)
{
    int rc = pcre2_match(re->code, (PCRE2_SPTR)in.data, in.len, from, 0, m->data, m->context);

    *groups = pcre2_get_ovector_pointer(m->data);
    if (rc > 0) {
        for (uint32_t i = (uint32_t)rc; i <= re->groups; i++) (*groups)[2 * i] = PCRE2_UNSET;
        return 1;
    }
    if (rc == PCRE2_ERROR_NOMATCH) return 0;
    eval_fail(x, row, "the regular expression takes too long on this text");
    return -1;
}

static slice group_text(slice in, const size_t *groups, uint32_t group)
{
    if (groups[2 * group] == PCRE2_UNSET) return NO_SLICE;
    size_t start = groups[2 * group], end = groups[2 * group + 1];
    return (slice){ in.data + start, end > start ? end - start : 0 };
}

/* Where the next search begins: behind the match, and one character further after an empty one. len + 1: at the end. */
static size_t search_after(slice in, const size_t *groups)
{
    if (groups[1] > groups[0]) return groups[1];
    if (groups[1] >= in.len) return in.len + 1;
    return (size_t)(utf8_next(in.data + groups[1], in.data + in.len) - in.data);
}

/* ---- the functions ---- */

static void regexp_extract(const call *c, eval_context *x, const column *args, row_set rows, column *out)
{
    EACH_ROW(r, rows)
    {
        regex re;
        size_t *groups;
        int64_t group = c->arg_count > 2 ? args[2].i32[r] : 0;
        slice in = args[1].str[r];
        out->null[r] = 1;
        if (!pattern_of(c, x, r, args[0].str[r], &re)) continue;
        if (group < 0 || group > re.groups) continue;
        if (find(&re, matcher_for(re.groups), x, r, in, 0, &groups) != 1) continue;
        out->str[r] = group_text(in, groups, (uint32_t)group);
        out->null[r] = out->str[r].data == NULL;
    }
}

/* A list that grows in the arena. */
typedef struct growing_list {
    value *items;
    uint32_t count, room;
} growing_list;

static value *list_push(arena *a, growing_list *list)
{
    if (list->count == list->room) {
        list->room = list->room == 0 ? 8 : list->room * 2;
        value *more = ARENA_ARRAY(a, value, list->room);
        if (list->count > 0) memcpy(more, list->items, list->count * sizeof *more);
        list->items = more;
    }
    list->items[list->count] = NULL_VALUE;
    return &list->items[list->count++];
}

static void push_text(arena *a, growing_list *list, slice text)
{
    value *item = list_push(a, list);

    if (text.data != NULL) *item = (value){ .str = text };
}

static bool regexp_extract_all(const call *c, eval_context *x, const value *args, value *out)
{
    regex re;
    slice in = args[1].str;
    int64_t group = c->arg_count > 2 ? args[2].i32 : 0;
    growing_list found = { 0 };
    size_t *groups;
    int rc = 0;

    if (!pattern_of(c, x, x->row, args[0].str, &re)) return false;
    if (group < 0 || group > re.groups) return true;
    matcher *m = matcher_for(re.groups);
    for (size_t from = 0; from <= in.len && (rc = find(&re, m, x, x->row, in, from, &groups)) == 1;) {
        push_text(x->arena, &found, group_text(in, groups, (uint32_t)group));
        from = search_after(in, groups);
    }
    if (rc < 0) return false;
    *out = (value){ .list = { found.items, found.count } };
    return true;
}

/* Java's replacement text: $1 a group, \$ a dollar sign. False: it names what is not there. */
static bool add_replacement(text *to, slice with, const regex *re, slice in, const size_t *groups)
{
    for (size_t i = 0; i < with.len; i++) {
        if (with.data[i] == '\\') {
            if (++i == with.len) return false;
            text_add_char(to, with.data[i]);
        } else if (with.data[i] == '$') {
            uint32_t group = 0;
            if (i + 1 < with.len && with.data[i + 1] == '{') {
                size_t start = i + 2, end = start;
                while (end < with.len && with.data[end] != '}') end++;
                if (end == with.len || end - start > 32) return false;
                char name[33] = "";
                memcpy(name, with.data + start, end - start);
                int number = pcre2_substring_number_from_name(re->code, (PCRE2_SPTR)name);
                if (number < 0) return false;
                group = (uint32_t)number;
                i = end;
            } else {
                if (i + 1 == with.len || with.data[i + 1] < '0' || with.data[i + 1] > '9') return false;
                group = (uint32_t)(with.data[++i] - '0');
                if (group > re->groups) return false;
                while (i + 1 < with.len && with.data[i + 1] >= '0' && with.data[i + 1] <= '9' &&
                       group * 10 + (uint32_t)(with.data[i + 1] - '0') <= re->groups) {
                    group = group * 10 + (uint32_t)(with.data[++i] - '0');
                }
            }
            slice part = group_text(in, groups, group);
            if (part.data != NULL) text_add(to, part);
        } else {
            text_add_char(to, with.data[i]);
        }
    }
    return true;
}

static bool regexp_replace(const call *c, eval_context *x, const value *args, value *out)
{
    regex re;
    slice in = args[0].str, with = args[2].str;
    text to = TEXT_EMPTY;
    size_t copied = 0, *groups;
    int rc = 0;
    bool is_right = true;

    if (!pattern_of(c, x, x->row, args[1].str, &re)) return false;
    matcher *m = matcher_for(re.groups);
    for (size_t from = 0; from <= in.len && (rc = find(&re, m, x, x->row, in, from, &groups)) == 1;) {
        text_add(&to, (slice){ in.data + copied, groups[0] - copied });
        copied = groups[1];
        if (!(is_right = add_replacement(&to, with, &re, in, groups))) break;
        from = search_after(in, groups);
    }
    if (rc >= 0 && is_right) {
        text_add(&to, (slice){ in.data + copied, in.len - copied });
        *out = (value){ .str = arena_copy(x->arena, text_slice(&to)) };
    }
    text_free(&to);
    return is_right ? rc >= 0 : FAIL_ROW(x, "the replacement text names a group that the pattern has not");
}

/* A pattern that matches the empty text divides all characters; else empty parts are kept, at the ends too. */
static bool regexp_split(const call *c, eval_context *x, const value *args, value *out)
{
    regex re;
    slice in = args[0].str;
    growing_list parts = { 0 };
    size_t start = 0, *groups;
    int rc = 0;

    if (!pattern_of(c, x, x->row, args[1].str, &re)) return false;
    matcher *m = matcher_for(re.groups);
    for (size_t from = 0; from <= in.len && (rc = find(&re, m, x, x->row, in, from, &groups)) == 1;) {
        from = search_after(in, groups);
        if (groups[1] == groups[0] && (groups[0] == 0 || groups[0] >= in.len)) continue;
        if (re.matches_empty && groups[0] == 0 && groups[1] == 0) continue;
        push_text(x->arena, &parts, (slice){ in.data + start, groups[0] - start });
        start = groups[1];
    }
    if (rc < 0) return false;
    push_text(x->arena, &parts, (slice){ in.data + start, in.len - start });
    if (re.matches_empty) { /* Java drops the empty parts at the end here, and only here */
        while (parts.count > 1 && parts.items[parts.count - 1].str.len == 0) parts.count--;
    }
    *out = (value){ .list = { parts.items, parts.count } };
    return true;
}

#define PATTERN_FIRST .prepare = prepare_first, .release = release_pattern
#define PATTERN_SECOND .prepare = prepare_second, .release = release_pattern

static const function ROWS[] = {
    KERNEL("REGEXP_EXTRACT", "STRING, STRING", "STRING", NULL_IN_OUT, regexp_extract,
           "The first part that matches a pattern, or a group of that match.", PATTERN_FIRST,
           .example = "REGEXP_EXTRACT('User: (\\w+)', 'IP: ::1, User: Alice')"),
    KERNEL("REGEXP_EXTRACT", "STRING, STRING, INTEGER", "STRING", NULL_IN_OUT, regexp_extract,
           "The first part that matches a pattern, or a group of that match.", PATTERN_FIRST,
           .example = "REGEXP_EXTRACT('User: (\\w+)', 'IP: ::1, User: Alice', 1)"),
    SCALAR("REGEXP_EXTRACT_ALL", "STRING, STRING", "ARRAY<STRING>", NULL_IN_OUT, regexp_extract_all,
           "All parts that match a pattern, or a group of each match.", PATTERN_FIRST,
           .example = "REGEXP_EXTRACT_ALL('\\d+', 'a1b22')"),
    SCALAR("REGEXP_EXTRACT_ALL", "STRING, STRING, INTEGER", "ARRAY<STRING>", NULL_IN_OUT, regexp_extract_all,
           "All parts that match a pattern, or a group of each match.", PATTERN_FIRST,
           .example = "REGEXP_EXTRACT_ALL('(\\w)(\\d+)', 'a1 b22', 2)"),
    SCALAR("REGEXP_REPLACE", "STRING, STRING, STRING", "STRING", NULL_IN_OUT, regexp_replace,
           "Text with every match of a pattern replaced; $1 in the replacement is the match's first group.",
           PATTERN_SECOND, .example = "REGEXP_REPLACE('2021-05-01', '(\\d+)-(\\d+)', '$2/$1')"),
    SCALAR("REGEXP_SPLIT_TO_ARRAY", "STRING, STRING", "ARRAY<STRING>", NULL_IN_OUT, regexp_split,
           "The parts between the matches of a pattern.", PATTERN_SECOND,
           .example = "REGEXP_SPLIT_TO_ARRAY('a1b22c', '\\d+')"),
};
const function_family regex_family = FAMILY_ROWS(ROWS);
