/* server/body.c - what a request's JSON body says: {"ksql"|"sql", "streamsProperties"|"properties", "sessionVariables",
 * "target", "queryId", and the shell's own}; other members are ignored. */
#include "server/inside.h"

#include <stdlib.h>

typedef struct reading {
    json_doc doc;
    json_index *index;
    text scratch;
    uint32_t i;
} reading;

static bool no_json(reading *r, const char *why)
{
    return json_fail_at(&r->doc, r->i, why);
}

static bool read_string(reading *r, slice *out)
{
    if (json_char(&r->doc, r->i) != '"') return no_json(r, "a string is expected");
    return json_read_string(&r->doc, &r->i, &type_string, out);
}

/* A string, number or literal as text; null: absent. */
static bool read_scalar(reading *r, slice *out)
{
    char first = json_char(&r->doc, r->i);

    if (first == '"') return json_read_string(&r->doc, &r->i, &type_string, out);
    *out = json_is_null(&r->doc, r->i) ? NO_SLICE : json_token(&r->doc, r->i);
    if (first == '{' || first == '[') return no_json(r, "a string, a number, true, false or null is expected");
    return json_skip(&r->doc, &r->i);
}

static bool read_number(reading *r, int64_t *out)
{
    if (json_char(&r->doc, r->i) == '"') return no_json(r, "a number is expected");
    return json_read_i64(&r->doc, &r->i, &type_bigint, out);
}

/* Calls take for each member of the object at r->i; its value stands at r->i then. */
static bool read_object(reading *r, bool (*take)(reading *r, slice name, void *into), void *into)
{
    if (json_char(&r->doc, r->i) != '{') return no_json(r, "an object is expected");
    r->i++;
    while (json_char(&r->doc, r->i) != '}') {
        slice name;
        if (!read_string(r, &name)) return false;
        if (json_char(&r->doc, r->i) != ':') return no_json(r, "':' is expected");
        r->i++;
        if (!take(r, name, into)) return false;
        if (json_char(&r->doc, r->i) == ',') {
            r->i++;
            if (json_char(&r->doc, r->i) != '"') return no_json(r, "a member is expected");
        } else if (json_char(&r->doc, r->i) != '}') {
            return no_json(r, "',' or '}' is expected");
        }
    }
    r->i++;
    return true;
}

typedef struct pairs {
    pair *items;
    uint32_t count, room;
} pairs;

static bool take_pair(reading *r, slice name, void *into)
{
    pairs *all = into;
    slice given;

    if (name.len == 0) return no_json(r, "this belongs to a name that is empty");
    if (!read_scalar(r, &given)) return false;
    if (all->count == all->room) {
        pair *larger = ARENA_ARRAY(r->doc.arena, pair, all->room * 2 + 8);
        if (all->count > 0) memcpy(larger, all->items, all->count * sizeof *larger);
        all->items = larger;
        all->room = all->room * 2 + 8;
    }
    all->items[all->count++] = (pair){ name, given };
    return true;
}

static bool read_pairs(reading *r, pair **items, uint32_t *count)
{
    pairs all = { 0 };

    if (json_is_null(&r->doc, r->i)) return json_skip(&r->doc, &r->i);
    if (!read_object(r, take_pair, &all)) return false;
    *items = all.items;
    *count = all.count;
    return true;
}

static bool read_strings(reading *r, slice **items, uint32_t *count)
{
    uint32_t room = 0;

    if (json_is_null(&r->doc, r->i)) return json_skip(&r->doc, &r->i);
    if (json_char(&r->doc, r->i) != '[') return no_json(r, "an array is expected");
    r->i++;
    while (json_char(&r->doc, r->i) != ']') {
        if (*count == room) {
            slice *larger = ARENA_ARRAY(r->doc.arena, slice, room * 2 + 8);
            if (*count > 0) memcpy(larger, *items, *count * sizeof *larger);
            *items = larger;
            room = room * 2 + 8;
        }
        if (!read_string(r, &(*items)[(*count)++])) return false;
        if (json_char(&r->doc, r->i) == ',') {
            r->i++;
            if (json_char(&r->doc, r->i) != '"') return no_json(r, "a string is expected");
        } else if (json_char(&r->doc, r->i) != ']') {
            return no_json(r, "',' or ']' is expected");
        }
    }
    r->i++;
    return true;
}

/* null and -1 mean none. */
static bool read_sequence(reading *r, uint64_t *out)
{
    int64_t number = -1;

    if (json_is_null(&r->doc, r->i)) return json_skip(&r->doc, &r->i);
    if (!read_number(r, &number)) return false;
    *out = number < 0 ? 0 : (uint64_t)number + 1;
    return true;
}

static bool take_member(reading *r, slice name, void *into)
{
    request_body *b = into;

    if (slice_is(name, "ksql") || slice_is(name, "sql")) return read_string(r, &b->sql);
    if (slice_is(name, "target")) return read_string(r, &b->target);
    if (slice_is(name, "queryId")) return read_string(r, &b->query_id);
    if (slice_is(name, "session")) return read_string(r, &b->session);
    if (slice_is(name, "print")) return read_string(r, &b->print);
    if (slice_is(name, "prefix")) return read_string(r, &b->prefix);
    if (slice_is(name, "kinds")) return read_number(r, &b->kinds);
    if (slice_is(name, "deleteTopicList")) return read_strings(r, &b->topics, &b->topic_count);
    if (slice_is(name, "commandSequenceNumber")) return read_sequence(r, &b->after_command);
    if (slice_is(name, "streamsProperties") || slice_is(name, "properties")) return read_pairs(r, &b->properties, &b->property_count);
    if (slice_is(name, "sessionVariables")) return read_pairs(r, &b->variables, &b->variable_count);
    return json_skip(&r->doc, &r->i);
}

bool body_read(exchange *x, slice json, request_body *out)
{
    reading r = { .index = json_index_new() };

    *out = (request_body){ .arena = arena_new(0) };
    if (r.index == NULL) abort();
    r.doc.arena = out->arena;
    r.doc.scratch = &r.scratch;
    bool ok = json_doc_open(&r.doc, r.index, json) && read_object(&r, take_member, out) &&
              (r.i == r.doc.count || no_json(&r, "there is more behind the object"));
    if (!ok) exchange_fail(x, 400, 40000, "the body is not the JSON object this takes: %s", r.doc.reason);
    /* Texts may lie in the document, which the exchange keeps. */
    text_free(&r.scratch);
    json_index_free(r.index);
    return ok;
}

void body_free(request_body *b)
{
    arena_free(b->arena);
    b->arena = NULL;
}

/* False: answered. */
static bool is_up_to(exchange *x, const request_body *b)
{
    weir_error err = { 0 };
    bool has_executed = true;

    if (b->after_command == 0) return true;
    weir_rc rc = weir_has_executed(x->server->weir, b->after_command - 1, &has_executed, &err);
    if (rc != WEIR_OK) exchange_fail(x, error_status(rc), error_code(rc), "%s", err.message);
    else if (!has_executed) exchange_fail(x, 503, 50301, "command %llu has not been executed here: try again, or ask the server that gave that number",
                                          (unsigned long long)(b->after_command - 1));
    return rc == WEIR_OK && has_executed;
}

weir_session *body_session(exchange *x, const request_body *b, bool reads_latest)
{
    const server_options *o = &x->server->options;
    weir_session *s;
    weir_error err = { 0 };

    if (!is_up_to(x, b)) return NULL;
    if (weir_session_open(&s, x->server->weir) != WEIR_OK) {
        exchange_fail(x, 500, 50000, "no memory for a session");
        return NULL;
    }
    weir_session_is_remote(s);
    weir_rc rc = reads_latest ? weir_session_set(s, SLICE("auto.offset.reset"), SLICE("latest"), &err) : WEIR_OK;
    for (uint32_t i = 0; i < o->define_count; i++) weir_session_define(s, o->defines[i].name, o->defines[i].value);
    for (uint32_t i = 0; i < b->variable_count; i++) weir_session_define(s, b->variables[i].name, b->variables[i].value);
    for (uint32_t i = 0; rc == WEIR_OK && i < o->setting_count; i++) {
        rc = weir_session_set(s, o->settings[i].name, o->settings[i].value, &err);
    }
    for (uint32_t i = 0; rc == WEIR_OK && i < b->property_count; i++) {
        rc = weir_session_set(s, b->properties[i].name, b->properties[i].value, &err);
    }
    if (rc == WEIR_OK) return s;
    weir_session_close(s);
    exchange_fail(x, 400, 40000, "%s", err.message);
    return NULL;
}
