/* storage/formats/json.c - JSON: an object with a member for each column, or a lone value.
 * Reading: the index of a record's structure is made first (json_index.h), then its fields are walked once, whatever the
 * number of columns. A field is recognised by its position: the token that stood there in the last record, compared as
 * bytes; only one that differs is looked up. Names match as written, then the field's in upper case, as ksqlDB does it. Of
 * duplicates the last wins, so the walk goes to the end, though stopping at the last wanted field would save a tenth. What
 * no column wants is passed over by its brackets alone: a field that no query reads cannot make a record bad.
 * Writing: the names stand ready with their punctuation; a row is one pass over the columns. */
#include "storage/formats/format_class.h"

#include "core/hash.h"
#include "core/json.h"
#include "core/json_read.h"
#include "core/json_write.h"

#include <stdio.h>

#define GUESSES 64
#define GUESS_BYTES 48
#define NO_COLUMN UINT32_MAX
#define PREFIX_STEP 16
#define INDEX_BYTES_KEPT ((size_t)1 << 20)

/* What the field at one position was last time. */
typedef struct guess {
    char token[GUESS_BYTES + 8]; /* the name as it stood, quotes, escapes and blanks behind it; read eight bytes at a time */
    uint32_t token_bytes;        /* 0: none yet */
    uint32_t exact;              /* the wanted column of that very name, or NO_COLUMN */
    uint32_t folded;             /* that of the name in upper case */
} guess;

typedef struct json_format {
    format base;
    json_index *index;
    text scratch;
    guess *guesses;         /* [GUESSES] */
    uint32_t *names;        /* open addressing by name: 1-based wanted columns */
    uint32_t names_mask;
    size_t longest_name;
    uint64_t record;        /* counts records */
    uint64_t *exact_record; /* by column: the record whose field of that very name was read */
    slice *prefixes;        /* {"A": and ,"B":, each with PREFIX_STEP bytes of room behind */
    size_t fixed_bytes_max; /* of a row: prefixes, braces, scalars */
} json_format;

/* --- setting up --- */

static weir_rc check_type(const type *t, slice column, weir_error *err)
{
    switch (t->kind) {
    case TYPE_ARRAY: return check_type(t->element, column, err);
    case TYPE_MAP:
        if (t->key->kind != TYPE_STRING) {
            text shown = TEXT_EMPTY;
            type_print(&shown, t);
            weir_rc rc = weir_fail(err, WEIR_SEMANTIC, NOWHERE,
                                   "JSON has maps with STRING keys only, and column `%.*s` holds %s; let its keys be STRING", SLICE_ARG(column),
                                   shown.data);
            text_free(&shown);
            return rc;
        }
        return check_type(t->element, column, err);
    case TYPE_STRUCT:
        for (uint32_t i = 0; i < t->field_count; i++) WEIR_TRY(check_type(t->fields[i].type, column, err));
        return WEIR_OK;
    default: return WEIR_OK;
    }
}

static weir_rc json_check(const format_spec *spec, const schema_column *columns, uint32_t count, weir_error *err)
{
    (void)spec;
    for (uint32_t i = 0; i < count; i++) WEIR_TRY(check_type(columns[i].type, columns[i].name, err));
    return WEIR_OK;
}

static uint32_t *name_place(const json_format *f, slice name)
{
    uint32_t at = (uint32_t)hash_bytes(name) & f->names_mask;

    while (f->names[at] != 0 && !slice_equal(f->base.columns[f->names[at] - 1].name, name)) at = (at + 1) & f->names_mask;
    return &f->names[at];
}

static weir_rc json_open(format *self, arena *a, weir_error *err)
{
    json_format *f = (json_format *)self;
    text prefix = TEXT_EMPTY;
    uint32_t places = 8;

    if ((f->index = json_index_new()) == NULL) return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory to open format JSON");
    while (places < 2 * self->wanted_count) places *= 2;
    f->names = ARENA_ZEROS(a, uint32_t, places);
    f->names_mask = places - 1;
    for (uint32_t w = 0; w < self->wanted_count; w++) {
        slice name = self->columns[self->wanted[w]].name;
        *name_place(f, name) = self->wanted[w] + 1;
        if (name.len > f->longest_name) f->longest_name = name.len;
    }
    f->guesses = ARENA_ZEROS(a, guess, GUESSES);
    f->exact_record = ARENA_ZEROS(a, uint64_t, self->count);

    f->prefixes = ARENA_ARRAY(a, slice, self->count);
    f->fixed_bytes_max = 2;
    for (uint32_t i = 0; i < self->count; i++) {
        text_clear(&prefix);
        text_add_char(&prefix, i == 0 ? '{' : ',');
        print_json_string(&prefix, self->columns[i].name);
        text_add_char(&prefix, ':');
        char *padded = ARENA_ZEROS(a, char, prefix.len + PREFIX_STEP);
        memcpy(padded, prefix.data, prefix.len);
        f->prefixes[i] = (slice){ padded, prefix.len };
        f->fixed_bytes_max += prefix.len + JSON_SCALAR_MAX;
    }
    text_free(&prefix);
    return WEIR_OK;
}

static void json_close(format *self)
{
    json_format *f = (json_format *)self;

    json_index_free(f->index);
    text_free(&f->scratch);
}

/* --- reading --- */

static inline bool store(json_doc *doc, uint32_t *i, column *c, uint32_t r)
{
    const type *t = c->type;

    if (json_is_null(doc, *i)) {
        c->null[r] = 1;
        ++*i;
        return true;
    }
    c->null[r] = 0;
    switch (t->kind) {
    case TYPE_STRING: return json_read_string(doc, i, t, &c->str[r]);
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP: return json_read_i64(doc, i, t, &c->i64[r]);
    case TYPE_INTEGER:
    case TYPE_DATE:
    case TYPE_TIME: return json_read_i32(doc, i, t, &c->i32[r]);
    case TYPE_DOUBLE: return json_read_f64(doc, i, t, &c->f64[r]);
    case TYPE_BOOLEAN: return json_read_boolean(doc, i, t, &c->boolean[r]);
    case TYPE_DECIMAL: return json_read_decimal(doc, i, t, &c->dec[r]);
    case TYPE_BYTES: return json_read_bytes(doc, i, t, &c->str[r]);
    case TYPE_ARRAY:
    case TYPE_MAP:
    case TYPE_STRUCT: return json_read_value(doc, i, t, &c->nested[r]);
    default: c->null[r] = 1; return json_skip(doc, i);
    }
}

/* Eight bytes at a time: guess and record are both followed by readable bytes. */
static inline bool is_as_guessed(const guess *g, const char *token, uint32_t token_bytes)
{
    uint64_t a, b;
    uint32_t at = 0;

    if (g->token_bytes != token_bytes) return false;
    for (; at + 8 <= token_bytes; at += 8) {
        memcpy(&a, token + at, 8);
        memcpy(&b, g->token + at, 8);
        if (a != b) return false;
    }
    memcpy(&a, token + at, 8);
    memcpy(&b, g->token + at, 8);
    uint32_t rest = token_bytes - at;
    return rest == 0 || ((a ^ b) << (64 - 8 * rest)) == 0;
}

static bool look_up(const json_format *f, json_doc *doc, uint32_t i, guess *g)
{
    slice name;
    char upper[256];

    g->exact = g->folded = NO_COLUMN;
    if (!json_unescape(doc, i, json_raw_string(doc, i), &name)) return false;
    if (name.len > f->longest_name) return true;
    uint32_t exact = *name_place(f, name);
    if (exact != 0) g->exact = exact - 1;
    if (name.len > sizeof upper) return true;
    for (size_t k = 0; k < name.len; k++) {
        char c = name.data[k];
        upper[k] = c >= 'a' && c <= 'z' ? (char)(c - 0x20) : c;
    }
    uint32_t folded = *name_place(f, (slice){ upper, name.len });
    if (folded != 0 && folded != exact) g->folded = folded - 1;
    return true;
}

/* The columns of the field named at i, the n-th of its record; NULL: no JSON. */
static inline const guess *recognise(json_format *f, json_doc *doc, uint32_t i, uint32_t n, guess *stranger)
{
    guess *g = n < GUESSES ? &f->guesses[n] : stranger;
    const char *token = doc->bytes + doc->at[i];
    uint32_t token_bytes = doc->at[i + 1] - doc->at[i];

    if (g != stranger && is_as_guessed(g, token, token_bytes)) return g;
    if (token_bytes > GUESS_BYTES) g = stranger;
    g->token_bytes = 0; /* with none, it is nobody's guess */
    if (!look_up(f, doc, i, g)) return NULL;
    if (g != stranger) {
        memcpy(g->token, token, token_bytes);
        g->token_bytes = token_bytes;
    }
    return g;
}

/* A value did not fit its column: is it overruled by a later field of the record? i is behind the value. */
static bool is_given_again(const json_format *f, json_doc *doc, uint32_t i, uint32_t wanted)
{
    while (json_char(doc, i) == ',') {
        guess later;
        i++;
        if (json_char(doc, i) != '"' || json_char(doc, i + 1) != ':' || !look_up(f, doc, i, &later)) return false;
        if (later.exact == wanted || (later.folded == wanted && f->exact_record[wanted] != f->record)) return true;
        i += 2;
        if (!json_skip(doc, &i)) return false;
    }
    return false;
}

static bool name_column(const json_format *f, json_doc *doc, uint32_t column)
{
    if (!doc->is_malformed) reason_in_column(doc->reason, f->base.columns[column].name);
    return false;
}

/* Reads the value at *i into a column; *i then stands behind it. */
static inline bool read_column(json_format *f, json_doc *doc, uint32_t *i, uint32_t column_index, column *columns, uint32_t r)
{
    uint32_t from = *i;

    if (store(doc, i, &columns[column_index], r)) return true;
    if (doc->is_malformed) return false;
    *i = from;
    char why[REASON_BYTES];
    memcpy(why, doc->reason, sizeof why);
    if (json_skip(doc, i) && is_given_again(f, doc, *i, column_index)) {
        columns[column_index].null[r] = 1; /* what stands there is no value */
        return true;
    }
    if (!doc->is_malformed) memcpy(doc->reason, why, sizeof why);
    return name_column(f, doc, column_index);
}

static bool read_object(json_format *f, json_doc *doc, column *columns, uint32_t r)
{
    uint32_t i = 1;
    guess stranger;

    if (json_char(doc, 0) != '{') {
        if (!json_is_null(doc, 0)) return json_fail_object(doc, 0);
        if (doc->count == 1) return true; /* null: so are all columns */
        return json_fail_at(doc, 1, "there is more behind the value");
    }
    f->record++;
    if (json_char(doc, 1) == '}') {
        i = 2;
    } else {
        for (uint32_t n = 0;; n++) {
            if (json_char(doc, i) != '"') return json_fail_at(doc, i, "a field's name is missing");
            if (json_char(doc, i + 1) != ':') return json_fail_at(doc, i + 1, "':' is missing");
            const guess *g = recognise(f, doc, i, n, &stranger);
            if (g == NULL) return false;
            i += 2;
            if ((g->exact & g->folded) == NO_COLUMN) {
                if (!json_skip(doc, &i)) return false;
            } else {
                uint32_t from = i;
                bool is_read = false;
                if (g->exact != NO_COLUMN) {
                    f->exact_record[g->exact] = f->record;
                    if (!read_column(f, doc, &i, g->exact, columns, r)) return false;
                    is_read = true;
                }
                if (g->folded != NO_COLUMN && f->exact_record[g->folded] != f->record) {
                    i = from;
                    if (!read_column(f, doc, &i, g->folded, columns, r)) return false;
                    is_read = true;
                }
                if (!is_read && !json_skip(doc, &i)) return false;
            }
            char next = json_char(doc, i++);
            if (next == '}') break;
            if (next != ',') return json_fail_at(doc, i - 1, "',' or '}' is missing");
        }
    }
    return i == doc->count || json_fail_at(doc, i, "there is more behind the object");
}

static bool read_lone(json_format *f, json_doc *doc, column *columns, uint32_t r)
{
    uint32_t i = 0;

    if (f->base.wanted_count == 0) {
        if (!json_skip(doc, &i)) return false;
    } else if (!store(doc, &i, &columns[0], r)) {
        return name_column(f, doc, 0);
    }
    return i == doc->count || json_fail_at(doc, i, "there is more behind the value");
}

static row_set json_decode(format *self, const slice *bytes, row_set rows, arena *a, column *columns,
                           const row_report *report)
{
    json_format *f = (json_format *)self;
    survivors alive = { .in = rows };
    json_doc doc = { .arena = a, .scratch = &f->scratch };

    EACH_ROW(r, rows) {
        for (uint32_t w = 0; w < self->wanted_count; w++) columns[self->wanted[w]].null[r] = 1;
        if (bytes[r].data != NULL) {
            doc.is_malformed = false;
            bool is_read = json_doc_open(&doc, f->index, bytes[r]) &&
                           (self->spec.is_unwrapped ? read_lone(f, &doc, columns, r) : read_object(f, &doc, columns, r));
            if (!is_read) {
                row_is_lost(&alive, a, r, doc.reason, report);
                continue;
            }
        }
        row_survives(&alive, r);
    }
    json_index_trim(f->index, INDEX_BYTES_KEPT);
    return survivors_rows(&alive);
}

/* --- writing --- */

/* Beyond the JSON_SCALAR_MAX that every column has. */
static inline size_t more_bytes_max(const column *c, uint32_t r)
{
    if (c->null[r]) return 0;
    switch (c->type->kind) {
    case TYPE_STRING: return json_string_bytes_max(c->str[r]);
    case TYPE_BYTES: return base64_encoded_bytes(c->str[r].len) + 2;
    case TYPE_ARRAY:
    case TYPE_MAP:
    case TYPE_STRUCT: return json_value_bytes_max(c->type, &c->nested[r]);
    default: return 0;
    }
}

static inline char *write_column(char *at, const column *c, uint32_t r)
{
    if (c->null[r]) {
        memcpy(at, "null", 4);
        return at + 4;
    }
    switch (c->type->kind) {
    case TYPE_INTEGER:
    case TYPE_DATE:
    case TYPE_TIME: return write_i64(at, c->i32[r]);
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP: return write_i64(at, c->i64[r]);
    case TYPE_STRING: return json_write_string(at, c->str[r]);
    case TYPE_DOUBLE: return json_write_f64(at, c->f64[r]);
    case TYPE_BYTES: return json_write_bytes(at, c->str[r]);
    case TYPE_DECIMAL: return write_decimal(at, c->dec[r], c->type->scale);
    case TYPE_ARRAY:
    case TYPE_MAP:
    case TYPE_STRUCT: return json_write_value(at, c->type, &c->nested[r]);
    case TYPE_BOOLEAN: {
        slice word = c->boolean[r] ? SLICE("true") : SLICE("false");
        memcpy(at, word.data, word.len);
        return at + word.len;
    }
    default: memcpy(at, "null", 4); return at + 4;
    }
}

_Static_assert(PREFIX_STEP <= JSON_SCALAR_MAX, "there is room for the scalar that follows");

/* In steps, the last of which may end behind it. */
static inline char *write_prefix(char *at, slice prefix)
{
    for (size_t i = 0; i < prefix.len; i += PREFIX_STEP) memcpy(at + i, prefix.data + i, PREFIX_STEP);
    return at + prefix.len;
}

static row_set json_encode(format *self, const column *columns, row_set rows, arena *a, slice *out,
                           const row_report *report)
{
    const json_format *f = (const json_format *)self;

    (void)report;
    EACH_ROW(r, rows) {
        if (self->spec.is_unwrapped && columns[0].null[r]) {
            out[r] = NO_SLICE;
            continue;
        }
        size_t bytes_max = f->fixed_bytes_max;
        for (uint32_t i = 0; i < self->count; i++) bytes_max += more_bytes_max(&columns[i], r);
        char *begin = arena_text_begin(a, bytes_max), *at = begin;
        if (self->spec.is_unwrapped) {
            at = write_column(at, &columns[0], r);
        } else {
            if (self->count == 0) *at++ = '{';
            for (uint32_t i = 0; i < self->count; i++) {
                at = write_column(write_prefix(at, f->prefixes[i]), &columns[i], r);
            }
            *at++ = '}';
        }
        out[r] = arena_text_end(a, begin, at);
    }
    return rows;
}

const format_class format_json = {
    .name = "JSON",
    .traits = FORMAT_KEY | FORMAT_VALUE | FORMAT_WRAPS | FORMAT_UNWRAPS,
    .bytes = sizeof(json_format),
    .check = json_check,
    .open = json_open,
    .decode = json_decode,
    .encode = json_encode,
    .close = json_close,
};
