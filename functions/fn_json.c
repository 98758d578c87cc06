/* functions/fn_json.c - JSON in a text. A document is checked whole, as far as its first value goes; what stands behind that
 * is not looked at, as in ksqlDB. Where a result is JSON it has no white space; numbers keep their digits (1.10). */
#include "core/hash.h"
#include "core/json.h"
#include "core/json_read.h"
#include "functions/calendar.h"
#include "functions/family.h"

#include <pthread.h>
#include <stdlib.h>

#define FAMILY "json"
#define INDEX_BYTES_KEPT ((size_t)1 << 20)

#define ROW(name) static bool name(const call *c, eval_context *x, const value *args, value *out)

/* ---- documents ---- */

/* What a thread needs to read one. */
typedef struct json_reader {
    json_index *index;
    text scratch;
} json_reader;

static _Thread_local json_reader *this_thread;
static pthread_key_t reader_key; /* for its end only */
static pthread_once_t reader_once = PTHREAD_ONCE_INIT;

static void reader_free(void *self)
{
    json_reader *r = self;

    json_index_free(r->index);
    text_free(&r->scratch);
    free(r);
}

static void make_key(void)
{
    if (pthread_key_create(&reader_key, reader_free) != 0) abort();
}

static json_reader *reader_of_thread(void)
{
    if (this_thread == NULL) {
        pthread_once(&reader_once, make_key);
        json_reader *r = calloc(1, sizeof *r);
        if (r == NULL || (r->index = json_index_new()) == NULL) abort();
        pthread_setspecific(reader_key, r);
        this_thread = r;
    }
    json_index_trim(this_thread->index, INDEX_BYTES_KEPT);
    return this_thread;
}

static bool is_blank(slice s)
{
    size_t i = 0;

    while (i < s.len && json_is_blank(s.data[i])) i++;
    return i == s.len;
}

/* Good until the thread opens the next. False: it is no JSON, doc->reason says why. */
static bool open_document(json_doc *doc, arena *a, slice from)
{
    json_reader *r = reader_of_thread();
    uint32_t i = 0;

    *doc = (json_doc){ .arena = a, .scratch = &r->scratch };
    return json_doc_open(doc, r->index, from) && json_validate(doc, &i);
}

#define FAIL_JSON(x, doc) FAIL_ROW(x, "%s", (doc).reason)

static slice take_scratch(json_doc *doc)
{
    return arena_copy(doc->arena, text_slice(doc->scratch));
}

/* The value at *i as JSON. */
static bool as_json(json_doc *doc, uint32_t *i, slice *out)
{
    text_clear(doc->scratch);
    if (!json_print(doc, doc->scratch, i)) return false;
    *out = take_scratch(doc);
    return true;
}

/* A string as what it says, all else as JSON. */
static bool as_text(json_doc *doc, uint32_t *i, slice *out)
{
    return json_char(doc, *i) == '"' ? json_read_string(doc, i, &type_string, out) : as_json(doc, i, out);
}

/* ---- an object's members ---- */

typedef struct member {
    slice name;
    uint32_t at; /* its value's place in the document */
    slice raw;   /* its value's bytes there */
} member;

typedef struct members {
    member *items;
    uint32_t count;
    uint32_t *table; /* open addressing by name: 1-based */
    uint32_t mask;
} members;

static members members_for(arena *a, uint32_t most)
{
    members m = { .mask = 7 };

    while (m.mask < 2 * most) m.mask = m.mask * 2 + 1;
    m.items = ARENA_ARRAY(a, member, most);
    m.table = ARENA_ZEROS(a, uint32_t, m.mask + 1);
    return m;
}

/* A name that comes again keeps its first place and gets the last value. */
static void put_member(members *m, member new)
{
    uint32_t place = (uint32_t)hash_bytes(new.name) & m->mask;

    while (m->table[place] != 0 && !slice_equal(m->items[m->table[place] - 1].name, new.name)) place = (place + 1) & m->mask;
    if (m->table[place] == 0) m->table[place] = ++m->count;
    m->items[m->table[place] - 1] = new;
}

/* Those of the object that the document is. */
static bool put_members(json_doc *doc, members *m)
{
    uint32_t i = 1;

    for (bool is_end = json_char(doc, 1) == '}'; !is_end;) {
        member new;
        if (!json_read_name(doc, &i, &new.name)) return false;
        new.at = i;
        if (!json_skip(doc, &i)) return false;
        new.raw = (slice){ doc->bytes + doc->at[new.at], doc->at[i] - doc->at[new.at] };
        put_member(m, new);
        if (!json_next_item(doc, &i, '}', &is_end)) return false;
    }
    return true;
}

static bool read_members(json_doc *doc, members *m)
{
    *m = members_for(doc->arena, doc->count / 3 + 1);
    return put_members(doc, m);
}

/* ---- EXTRACTJSONFIELD ---- */

typedef struct json_path {
    slice *steps; /* names of members, or indexes of items */
    uint32_t count;
} json_path;

/* "name", 'name' or \-escaped "na\"me", from the opening quote on; behind the closing one ] must follow. */
static const char *read_quoted_step(const char *at, const char *end, arena *a, slice *step)
{
    char *to = arena_alloc(a, (size_t)(end - at)), *begin = to;
    char quote = *at++;

    for (; at < end && *at != quote; at++) {
        if (*at == '\\' && ++at == end) return NULL;
        *to++ = *at;
    }
    if (end - at < 2 || at[1] != ']') return NULL;
    *step = (slice){ begin, (size_t)(to - begin) };
    return at + 2;
}

/* $, then any of .name, [0], ["name"], ['name']. */
static bool read_path(slice from, arena *a, json_path *out)
{
    const char *at = from.data, *end = from.data + from.len;

    out->count = 0;
    if (at == end || *at++ != '$') return false;
    out->steps = ARENA_ARRAY(a, slice, from.len);
    while (at < end) {
        char kind = *at++;
        const char *begin = at;
        if (kind == '[' && at < end && (*at == '"' || *at == '\'')) {
            if ((at = read_quoted_step(at, end, a, &out->steps[out->count++])) == NULL) return false;
            continue;
        }
        if (kind != '.' && kind != '[') return false;
        while (at < end && (kind == '[' ? *at != ']' : *at != '.' && *at != '[')) at++;
        if (at == begin || (kind == '[' && at == end)) return false;
        out->steps[out->count++] = (slice){ begin, (size_t)(at - begin) };
        at += kind == '[';
    }
    return true;
}

/* A path that is none fails the rows, not the statement. */
static weir_rc prepare_path(call *c, arena *a, weir_error *err)
{
    const value *path = call_constant(c, 1);

    (void)err;
    if (path == NULL || path->is_null) return WEIR_OK;
    json_path *p = ARENA_NEW(a, json_path);
    if (read_path(path->str, a, p)) c->state = p;
    return WEIR_OK;
}

/* To the item of that index: false if there is none. */
static bool find_item(json_doc *doc, uint32_t *i, slice step)
{
    int32_t index;
    bool is_end = json_char(doc, *i + 1) == ']';

    if (parse_i32(step, &index) != NUMBER_FITS || index < 0) return false;
    for (++*i; !is_end; index--) {
        if (index == 0) return true;
        if (!json_skip(doc, i) || !json_next_item(doc, i, ']', &is_end)) return false;
    }
    return false;
}

/* To the value of the last member of that name. */
static bool find_member(json_doc *doc, uint32_t *i, slice step)
{
    bool is_found = false, is_end = json_char(doc, *i + 1) == '}';

    for (uint32_t at = *i + 1; !is_end;) {
        slice name;
        if (!json_read_name(doc, &at, &name)) return false;
        if (slice_equal(name, step)) {
            *i = at;
            is_found = true;
        }
        if (!json_skip(doc, &at) || !json_next_item(doc, &at, '}', &is_end)) return false;
    }
    return is_found;
}

ROW(extract_field)
{
    const json_path *path = c->state;
    json_path varying;
    json_doc doc;
    uint32_t i = 0;

    if (path == NULL) {
        if (!read_path(args[1].str, x->arena, &varying)) {
            return FAIL_ROW(x, "'%.*s' is no path into JSON; one reads $.name[0][\"name\"]", SLICE_ARG(args[1].str));
        }
        path = &varying;
    }
    if (is_blank(args[0].str)) return true; /* null */
    if (!open_document(&doc, x->arena, args[0].str)) return FAIL_JSON(x, doc);
    for (uint32_t s = 0; s < path->count; s++) {
        char open = json_char(&doc, i);
        bool is_found = open == '[' ? find_item(&doc, &i, path->steps[s]) : open == '{' && find_member(&doc, &i, path->steps[s]);
        if (!is_found) return true;
    }
    out->is_null = false;
    return as_text(&doc, &i, &out->str) || FAIL_JSON(x, doc);
}

/* ---- the others ---- */

ROW(is_json)
{
    json_doc doc;

    (void)c;
    *out = (value){ .boolean = !args[0].is_null && open_document(&doc, x->arena, args[0].str) };
    return true;
}

ROW(array_length)
{
    json_doc doc;
    uint32_t i = 1;
    int32_t length = 0;

    (void)c;
    if (is_blank(args[0].str)) return true;
    if (!open_document(&doc, x->arena, args[0].str)) return FAIL_JSON(x, doc);
    if (json_char(&doc, 0) != '[') return true;
    for (bool is_end = json_char(&doc, 1) == ']'; !is_end; length++) {
        if (!json_skip(&doc, &i) || !json_next_item(&doc, &i, ']', &is_end)) return FAIL_JSON(x, doc);
    }
    *out = (value){ .i32 = length };
    return true;
}

/* Is the item at i the value? Whole numbers are equal to whole ones only, others to others, as they are written. */
static bool is_item(json_doc *doc, uint32_t i, const type *t, const value *v)
{
    slice token = json_token(doc, i), string;
    bool is_number = token.data[0] == '-' || (token.data[0] >= '0' && token.data[0] <= '9');
    bool is_whole = is_number && memchr(token.data, '.', token.len) == NULL && memchr(token.data, 'e', token.len) == NULL &&
                    memchr(token.data, 'E', token.len) == NULL;
    int64_t whole;
    double fraction;
    decimal exact;

    if (v->is_null || t->kind == TYPE_NULL) return json_is_null(doc, i);
    switch (t->kind) {
    case TYPE_BOOLEAN: return slice_is(token, v->boolean ? "true" : "false");
    case TYPE_INTEGER: return is_whole && parse_i64(token, &whole) == NUMBER_FITS && whole == v->i32;
    case TYPE_BIGINT: return is_whole && parse_i64(token, &whole) == NUMBER_FITS && whole == v->i64;
    case TYPE_DOUBLE: return is_number && !is_whole && parse_double(token, &fraction) && fraction == v->f64;
    case TYPE_DECIMAL:
        return is_number && parse_decimal(token, t->precision, t->scale, ROUND_NEVER, &exact) == NUMBER_FITS && exact == v->dec;
    case TYPE_STRING:
        return token.data[0] == '"' && json_unescape(doc, i, json_raw_string(doc, i), &string) && slice_equal(string, v->str);
    default: return false;
    }
}

ROW(array_contains)
{
    json_doc doc;
    uint32_t i = 1;

    if (args[0].is_null) return true;
    *out = (value){ .boolean = false };
    if (!open_document(&doc, x->arena, args[0].str) || json_char(&doc, 0) != '[') return true;
    for (bool is_end = json_char(&doc, 1) == ']'; !is_end && !out->boolean;) {
        out->boolean = is_item(&doc, i, c->arg_types[1], &args[1]);
        if (!json_skip(&doc, &i) || !json_next_item(&doc, &i, ']', &is_end)) return FAIL_JSON(x, doc);
    }
    return true;
}

ROW(items)
{
    json_doc doc;
    uint32_t i = 1, count = 0;

    (void)c;
    if (!open_document(&doc, x->arena, args[0].str)) return FAIL_JSON(x, doc);
    if (json_char(&doc, 0) != '[') return FAIL_ROW(x, "a JSON array expected, here is another value");
    value *list = ARENA_ARRAY(x->arena, value, doc.count / 2 + 1);
    for (bool is_end = json_char(&doc, 1) == ']'; !is_end; count++) {
        list[count].is_null = false;
        if (!as_json(&doc, &i, &list[count].str) || !json_next_item(&doc, &i, ']', &is_end)) return FAIL_JSON(x, doc);
    }
    *out = (value){ .list = { list, count } };
    return true;
}

ROW(keys)
{
    json_doc doc;
    members m;

    (void)c;
    if (is_blank(args[0].str)) return true;
    if (!open_document(&doc, x->arena, args[0].str)) return FAIL_JSON(x, doc);
    if (json_char(&doc, 0) != '{') return true;
    if (!read_members(&doc, &m)) return FAIL_JSON(x, doc);
    value *list = ARENA_ARRAY(x->arena, value, m.count);
    for (uint32_t k = 0; k < m.count; k++) list[k] = (value){ .str = m.items[k].name };
    *out = (value){ .list = { list, m.count } };
    return true;
}

ROW(records)
{
    json_doc doc;
    members m;

    (void)c;
    if (is_blank(args[0].str)) return true;
    if (!open_document(&doc, x->arena, args[0].str)) return FAIL_JSON(x, doc);
    if (json_char(&doc, 0) != '{') return true;
    if (!read_members(&doc, &m)) return FAIL_JSON(x, doc);
    value_map map = { ARENA_ARRAY(x->arena, value, m.count), ARENA_ARRAY(x->arena, value, m.count), m.count };
    for (uint32_t k = 0; k < m.count; k++) {
        uint32_t i = m.items[k].at;
        map.keys[k] = (value){ .str = m.items[k].name };
        map.values[k].is_null = false;
        if (!as_text(&doc, &i, &map.values[k].str)) return FAIL_JSON(x, doc);
    }
    *out = (value){ .map = map };
    return true;
}

/* Objects that are JSON without white space become one. */
static bool merge_objects(json_doc *doc, const slice *whole, uint32_t count, text *out)
{
    size_t bytes = 0;

    for (uint32_t d = 0; d < count; d++) bytes += whole[d].len;
    members m = members_for(doc->arena, (uint32_t)(bytes / 5) + 1);
    for (uint32_t d = 0; d < count; d++) {
        if (!open_document(doc, doc->arena, whole[d]) || !put_members(doc, &m)) return false;
    }
    text_clear(out);
    text_add_char(out, '{');
    for (uint32_t k = 0; k < m.count; k++) {
        if (k > 0) text_add_char(out, ',');
        print_json_string(out, m.items[k].name);
        text_add_char(out, ':');
        text_add(out, m.items[k].raw);
    }
    text_add_char(out, '}');
    return true;
}

/* Arrays give their items, all else itself. */
static void join_items(const slice *whole, uint32_t count, text *out)
{
    text_clear(out);
    text_add_char(out, '[');
    for (uint32_t d = 0; d < count; d++) {
        slice s = whole[d];
        if (s.data[0] == '[') s = (slice){ s.data + 1, s.len - 2 };
        if (s.len == 0) continue;
        if (out->len > 1) text_add_char(out, ',');
        text_add(out, s);
    }
    text_add_char(out, ']');
}

ROW(concat)
{
    slice *whole = ARENA_ARRAY(x->arena, slice, c->arg_count);
    bool are_objects = true;
    json_doc doc;

    for (uint32_t d = 0; d < c->arg_count; d++) {
        uint32_t i = 0;
        if (is_blank(args[d].str)) return true;
        if (!open_document(&doc, x->arena, args[d].str) || !as_json(&doc, &i, &whole[d])) return FAIL_JSON(x, doc);
        are_objects &= whole[d].data[0] == '{';
    }
    if (c->arg_count == 0) return true;
    if (!are_objects) join_items(whole, c->arg_count, doc.scratch);
    else if (!merge_objects(&doc, whole, c->arg_count, doc.scratch)) return FAIL_JSON(x, doc);
    *out = (value){ .str = take_scratch(&doc) };
    return true;
}

/* ---- TO_JSON_STRING ---- */

/* A map's key, which JSON has as a string only. */
static void print_key(text *out, const type *t, const value *v);

/* As the JSON format has it, but dates and times as text. */
static void print_as_json(text *out, const type *t, const value *v)
{
    char iso[CALENDAR_TEXT_BYTES];

    if (v->is_null) {
        text_add_c(out, "null");
        return;
    }
    switch (t->kind) {
    case TYPE_DATE: print_json_string(out, (slice){ iso, print_date(iso, v->i32) }); break;
    case TYPE_TIME: print_json_string(out, (slice){ iso, print_time(iso, v->i32) }); break;
    case TYPE_TIMESTAMP: print_json_string(out, (slice){ iso, print_timestamp(iso, v->i64) }); break;
    case TYPE_ARRAY:
        text_add_char(out, '[');
        for (uint32_t i = 0; i < v->list.count; i++) {
            if (i > 0) text_add_char(out, ',');
            print_as_json(out, t->element, &v->list.items[i]);
        }
        text_add_char(out, ']');
        break;
    case TYPE_MAP:
        text_add_char(out, '{');
        for (uint32_t i = 0; i < v->map.count; i++) {
            if (i > 0) text_add_char(out, ',');
            print_key(out, t->key, &v->map.keys[i]);
            text_add_char(out, ':');
            print_as_json(out, t->element, &v->map.values[i]);
        }
        text_add_char(out, '}');
        break;
    case TYPE_STRUCT:
        text_add_char(out, '{');
        for (uint32_t i = 0; i < t->field_count; i++) {
            if (i > 0) text_add_char(out, ',');
            print_json_string(out, t->fields[i].name);
            text_add_char(out, ':');
            print_as_json(out, t->fields[i].type, &v->list.items[i]);
        }
        text_add_char(out, '}');
        break;
    default: print_json_value(out, t, v);
    }
}

static void print_key(text *out, const type *t, const value *v)
{
    text key = TEXT_EMPTY;

    print_as_json(&key, t, v);
    if (key.data[0] == '"') text_add(out, text_slice(&key));
    else print_json_string(out, text_slice(&key));
    text_free(&key);
}

ROW(to_json)
{
    text *printed = &reader_of_thread()->scratch;

    text_clear(printed);
    print_as_json(printed, c->arg_types[0], &args[0]);
    *out = (value){ .str = arena_copy(x->arena, text_slice(printed)) };
    return true;
}

static const function ROWS[] = {
    SCALAR("EXTRACTJSONFIELD", "STRING, STRING", "STRING", NULL_IN_OUT, extract_field,
           "The value at a path in a JSON text: a string as what it says, all else as JSON; null where the path leads nowhere.",
           .prepare = prepare_path, .example = "EXTRACTJSONFIELD('{\"log\":{\"app\":\"a\",\"n\":[1,2]}}', '$.log.n[0]')"),
    SCALAR("IS_JSON_STRING", "STRING", "BOOLEAN", NULL_SEEN, is_json, "Does the text begin with a JSON value?",
           .example = "IS_JSON_STRING('[1, 2]')"),
    SCALAR("JSON_ARRAY_CONTAINS", "STRING, T", "BOOLEAN", NULL_SEEN, array_contains,
           "Is the value an item of the JSON array the text states? False where it states none.",
           .example = "JSON_ARRAY_CONTAINS('[1, 2]', 2)"),
    SCALAR("JSON_ARRAY_LENGTH", "STRING", "INTEGER", NULL_IN_OUT, array_length,
           "The number of items of the JSON array the text states; null where it states none.",
           .example = "JSON_ARRAY_LENGTH('[1, [2, 3]]')"),
    SCALAR("JSON_CONCAT", "STRING...", "STRING", NULL_IN_OUT, concat,
           "The JSON values of several texts as one: objects become one object, in which later members win; else an array of "
           "all items, where what is no array is an item.",
           .example = "JSON_CONCAT('{\"a\":1}', '{\"b\":2}')"),
    SCALAR("JSON_ITEMS", "STRING", "ARRAY<STRING>", NULL_IN_OUT, items,
           "The items of the JSON array the text states, each as JSON.", .example = "JSON_ITEMS('[{\"a\": 1}, 2]')"),
    SCALAR("JSON_KEYS", "STRING", "ARRAY<STRING>", NULL_IN_OUT, keys,
           "The names of the members of the JSON object the text states; null where it states none.",
           .example = "JSON_KEYS('{\"a\":1,\"b\":{\"c\":2}}')"),
    SCALAR("JSON_RECORDS", "STRING", "MAP<STRING, STRING>", NULL_IN_OUT, records,
           "The members of the JSON object the text states: strings as what they say, all else as JSON; null where it states "
           "none.",
           .example = "JSON_RECORDS('{\"a\":1,\"b\":{\"c\":2}}')"),
    SCALAR("TO_JSON_STRING", "T", "STRING", NULL_SEEN, to_json,
           "Any value as JSON: dates and times as text, BYTES in base64, null as the text null.",
           .example = "TO_JSON_STRING(ARRAY[1, 2])"),
};
const function_family json_family = FAMILY_ROWS(ROWS);
