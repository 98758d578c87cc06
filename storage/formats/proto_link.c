/* storage/formats/proto_link.c - a message and the columns, brought together once: each field knows where its value goes, or that
 * nobody wants it. */
#include "storage/formats/proto_format.h"

#include <stdio.h>

const char *proto_schema_words(int32_t id, char *words)
{
    if (id > 0) snprintf(words, PROTO_SCHEMA_WORDS_BYTES, "schema %d", id);
    else snprintf(words, PROTO_SCHEMA_WORDS_BYTES, "the columns' schema");
    return words;
}

typedef struct linking {
    arena *arena;
    const bool *is_wanted; /* at the top, by place; NULL: all */
    char *reason;
    int32_t schema_id;
    uint32_t depth;
} linking;

static bool is_whole(proto_kind k)
{
    switch (k) {
    case PROTO_INT64:
    case PROTO_UINT64:
    case PROTO_INT32:
    case PROTO_FIXED64:
    case PROTO_FIXED32:
    case PROTO_UINT32:
    case PROTO_SFIXED32:
    case PROTO_SFIXED64:
    case PROTO_SINT32:
    case PROTO_SINT64: return true;
    default: return false;
    }
}

static bool item_fits(const proto_field *f, const type *t)
{
    proto_known known = f->kind == PROTO_MESSAGE ? f->message->known : KNOWN_NONE;

    if (known == KNOWN_WRAPPER) return item_fits(&f->message->fields[0], t);
    switch (t->kind) {
    case TYPE_BOOLEAN: return f->kind == PROTO_BOOL;
    case TYPE_INTEGER: return proto_is_signed_32(f->kind);
    case TYPE_BIGINT: return is_whole(f->kind);
    case TYPE_DOUBLE: return f->kind == PROTO_DOUBLE || f->kind == PROTO_FLOAT;
    case TYPE_STRING: return f->kind == PROTO_STRING || f->kind == PROTO_ENUM;
    case TYPE_BYTES: return f->kind == PROTO_BYTES;
    case TYPE_DECIMAL: return known == KNOWN_DECIMAL;
    case TYPE_DATE: return known == KNOWN_DATE;
    case TYPE_TIME: return known == KNOWN_TIME;
    case TYPE_TIMESTAMP: return known == KNOWN_TIMESTAMP;
    case TYPE_STRUCT: return f->kind == PROTO_MESSAGE && known == KNOWN_NONE;
    default: return false;
    }
}

static bool fits(const proto_field *f, const type *t)
{
    if (t->kind == TYPE_MAP) {
        return f->is_map && item_fits(&f->message->fields[0], t->key) && item_fits(&f->message->fields[1], t->element);
    }
    if (t->kind == TYPE_ARRAY) return f->is_repeated && !f->is_map && item_fits(f, t->element);
    return !f->is_repeated && item_fits(f, t);
}

static proto_link *make_link(linking *l, const proto_message *m, const type *t);

/* The type of what a message field holds, one of them: a STRUCT, or of an entry a STRUCT of key and value. */
static proto_link *link_within(linking *l, const proto_field *f, const type *t)
{
    if (f->kind != PROTO_MESSAGE) return NULL;
    if (t->kind == TYPE_MAP) {
        const type_field entry[] = { { SLICE("key"), t->key }, { SLICE("value"), t->element } };
        return make_link(l, f->message, type_struct(l->arena, entry, 2));
    }
    if (t->kind == TYPE_ARRAY) t = t->element;
    return t->kind == TYPE_STRUCT ? make_link(l, f->message, t) : NULL;
}

/* NULL: they do not go together; the reason says why. */
static proto_link *make_link(linking *l, const proto_message *m, const type *t)
{
    proto_link *made = ARENA_NEW(l->arena, proto_link);
    bool is_top = l->depth++ == 0;

    *made = (proto_link){ .message = m, .type = t, .place = ARENA_ARRAY(l->arena, int32_t, m->count),
                    .within = ARENA_ZEROS(l->arena, proto_link *, m->count) };
    for (uint32_t i = 0; i < m->count; i++) {
        const proto_field *f = &m->fields[i];
        int32_t at = type_find_field(t, f->name);
        if (at >= 0 && is_top && l->is_wanted != NULL && !l->is_wanted[at]) at = -1;
        made->place[i] = at;
        if (f->number < NEAR_NUMBERS && i < INT16_MAX) made->near[f->number] = (int16_t)(i + 1);
        if (at < 0) continue;
        const type *wanted = t->fields[at].type;
        if (!fits(f, wanted)) {
            text shown = TEXT_EMPTY;
            type_print(&shown, wanted);
            char schema[PROTO_SCHEMA_WORDS_BYTES];
            const proto_field *entry = f->is_map ? f->message->fields : NULL;
            snprintf(l->reason, REASON_BYTES, "%.100s expected, %s has %s%s%s%s%s", shown.data, proto_schema_words(l->schema_id, schema),
                     f->is_map ? "map<" : f->is_repeated ? "repeated " : "", proto_kind_name(f->is_map ? entry[0].kind : f->kind),
                     f->is_map ? ", " : "", f->is_map ? proto_kind_name(entry[1].kind) : "", f->is_map ? ">" : "");
            text_free(&shown);
            reason_in_field(l->reason, t->fields[at].name);
            return NULL;
        }
        made->within[i] = link_within(l, f, wanted);
        bool is_nested = f->kind == PROTO_MESSAGE && (f->is_map || f->message->known == KNOWN_NONE);
        if (is_nested && made->within[i] == NULL) {
            reason_in_field(l->reason, t->fields[at].name);
            return NULL;
        }
    }
    l->depth--;
    return made;
}

proto_link *proto_link_new(arena *a, const proto_message *m, const type *t, const bool *is_wanted, int32_t schema_id, char *reason)
{
    linking l = { .arena = a, .is_wanted = is_wanted, .reason = reason, .schema_id = schema_id };

    return make_link(&l, m, t);
}
