/* core/json_tree.c - see json_tree.h. */
#include "core/json_tree.h"

#include "core/json_index.h"
#include "core/number.h"

#define DEPTH_MAX 200

typedef struct reading {
    arena *arena;
    const char *at, *end;
    uint32_t depth;
} reading;

static bool read_node(reading *r, node *out);

static void skip_blanks(reading *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t')) r->at++;
}

static bool take(reading *r, char c)
{
    skip_blanks(r);
    if (r->at == r->end || *r->at != c) return false;
    r->at++;
    return true;
}

/* ---- strings ---- */

static char *put_utf8(char *to, uint32_t code)
{
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xC0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        *to++ = (char)(0xE0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3F));
        *to++ = (char)(0x80 | (code & 0x3F));
    } else {
        *to++ = (char)(0xF0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 0x3F));
        *to++ = (char)(0x80 | (code >> 6 & 0x3F));
        *to++ = (char)(0x80 | (code & 0x3F));
    }
    return to;
}

static bool read_hex(reading *r, uint32_t *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        char c = r->at < r->end ? *r->at : '\0';
        if (c >= '0' && c <= '9') *code = *code << 4 | (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f') *code = *code << 4 | (uint32_t)(c - 'a' + 10);
        else if (c >= 'A' && c <= 'F') *code = *code << 4 | (uint32_t)(c - 'A' + 10);
        else return false;
    }
    return true;
}

/* Behind the backslash. Text of half a pair of surrogates becomes a question mark, as Java's encoder has it. */
static bool read_escape(reading *r, char **to)
{
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    uint32_t code, second;

    if (r->at == r->end) return false;
    char c = *r->at++;
    const char *found = strchr(from, c);
    if (found != NULL && c != '\0') {
        *(*to)++ = into[found - from];
        return true;
    }
    if (c != 'u' || !read_hex(r, &code)) return false;
    if (code >= 0xD800 && code < 0xDC00 && r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u') {
        const char *before = r->at;
        r->at += 2;
        if (!read_hex(r, &second)) return false;
        if (second >= 0xDC00 && second < 0xE000) {
            code = 0x10000 + ((code - 0xD800) << 10) + (second - 0xDC00);
        } else {
            r->at = before;
        }
    }
    *to = put_utf8(*to, code >= 0xD800 && code < 0xE000 ? '?' : code);
    return true;
}

static bool read_string(reading *r, slice *out)
{
    const char *close = r->at;

    while (close < r->end && *close != '"') close += *close == '\\' ? 2 : 1;
    if (close >= r->end) return false;
    char *begin = arena_alloc(r->arena, (size_t)(close - r->at) + 1), *to = begin;
    while (*r->at != '"') {
        char c = *r->at++;
        if ((unsigned char)c < 0x20) return false;
        if (c != '\\') *to++ = c;
        else if (!read_escape(r, &to)) return false;
    }
    r->at++;
    *out = (slice){ begin, (size_t)(to - begin) };
    return true;
}

/* ---- numbers and words ---- */

static bool take_digits(reading *r)
{
    const char *from = r->at;

    while (r->at < r->end && *r->at >= '0' && *r->at <= '9') r->at++;
    return r->at > from;
}

static bool read_number(reading *r)
{
    if (r->at < r->end && *r->at == '-') r->at++;
    const char *from = r->at;
    if (!take_digits(r) || (*from == '0' && r->at > from + 1)) return false;
    if (r->at < r->end && *r->at == '.') {
        r->at++;
        if (!take_digits(r)) return false;
    }
    if (r->at < r->end && (*r->at == 'e' || *r->at == 'E')) {
        r->at++;
        if (r->at < r->end && (*r->at == '+' || *r->at == '-')) r->at++;
        if (!take_digits(r)) return false;
    }
    return true;
}

static bool read_word(reading *r, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0) return false;
    r->at += len;
    return true;
}

/* ---- arrays and objects ---- */

static void make_room(reading *r, node *of, uint32_t *room)
{
    if (of->count < *room) return;
    *room = *room == 0 ? 4 : *room * 2;
    node *items = ARENA_ARRAY(r->arena, node, *room);
    if (of->count > 0) memcpy(items, of->items, of->count * sizeof *items);
    of->items = items;
    if (of->kind != NODE_OBJECT) return;
    slice *names = ARENA_ARRAY(r->arena, slice, *room);
    if (of->count > 0) memcpy(names, of->names, of->count * sizeof *names);
    of->names = names;
}

static bool read_items(reading *r, node *out, char close)
{
    uint32_t room = 0;

    r->at++;
    if (take(r, close)) return true;
    do {
        make_room(r, out, &room);
        if (out->kind == NODE_OBJECT) {
            if (!take(r, '"') || !read_string(r, &out->names[out->count]) || !take(r, ':')) return false;
        }
        if (!read_node(r, &out->items[out->count])) return false;
        out->count++;
    } while (take(r, ','));
    return take(r, close);
}

static bool read_kind(reading *r, node *out)
{
    switch (*r->at) {
    case '{': out->kind = NODE_OBJECT; return read_items(r, out, '}');
    case '[': out->kind = NODE_ARRAY; return read_items(r, out, ']');
    case '"': out->kind = NODE_STRING; r->at++; return read_string(r, &out->string);
    case 't': out->kind = NODE_BOOLEAN; return read_word(r, "true");
    case 'f': out->kind = NODE_BOOLEAN; return read_word(r, "false");
    case 'n': out->kind = NODE_NULL; return read_word(r, "null");
    default: out->kind = NODE_NUMBER; return read_number(r);
    }
}

static bool read_node(reading *r, node *out)
{
    *out = (node){ .kind = NODE_NULL };
    skip_blanks(r);
    if (r->at == r->end || ++r->depth > DEPTH_MAX) return false;
    const char *from = r->at;
    bool is_good = read_kind(r, out);
    out->raw = (slice){ from, (size_t)(r->at - from) };
    r->depth--;
    return is_good;
}

bool node_parse(slice from, arena *a, node *out, size_t *at)
{
    reading r = { .arena = a, .at = from.data, .end = from.data + from.len };

    bool is_good = json_utf8_valid(from.data, from.len) && read_node(&r, out);
    if (is_good) skip_blanks(&r);
    *at = (size_t)(r.at - from.data);
    return is_good && r.at == r.end;
}

/* ---- looking at it ---- */

const node *node_member(const node *of, const char *name)
{
    for (uint32_t i = 0; of != NULL && of->kind == NODE_OBJECT && i < of->count; i++) {
        if (slice_is(of->names[i], name)) return of->items[i].kind == NODE_NULL ? NULL : &of->items[i];
    }
    return NULL;
}

slice node_text(const node *n)
{
    if (n == NULL || n->kind == NODE_NULL) return NO_SLICE;
    return n->kind == NODE_STRING ? n->string : n->raw;
}

slice node_member_text(const node *of, const char *name)
{
    return node_text(node_member(of, name));
}

int64_t node_member_i64(const node *of, const char *name, int64_t otherwise)
{
    int64_t number;
    const node *n = node_member(of, name);

    return n != NULL && parse_i64(n->raw, &number) == NUMBER_FITS ? number : otherwise;
}
