/* executor/records.c - topics beside SQL: producing and reading records, and records as text by a source's formats. */
#include "executor/weir.h"

#include "core/json.h"
#include "core/json_read.h"

#include <stdio.h>
#include <stdlib.h>

void note_bad_value(void *why, uint32_t row, const char *reason)
{
    (void)row;
    snprintf(((bad_value *)why)->reason, sizeof ((bad_value *)why)->reason, "%s", reason);
}

weir_rc weir_produce(weir *w, slice topic, int32_t partitions, weir_record *records, uint32_t count, weir_error *err)
{
    topic_info info;
    bool found;

    WEIR_TRY(topic_find(w->storage, topic, &info, &found, err));
    if (!found) {
        const topic_spec spec = { .name = topic, .partitions = partitions > 0 ? partitions : 1, .replicas = 1 };
        WEIR_TRY(topic_create(w->storage, &spec, err));
    }
    record *all = calloc(count + 1, sizeof *all);
    int32_t *to = calloc(count + 1, sizeof *to);
    int64_t *offsets = calloc(count + 1, sizeof *offsets);
    if (all == NULL || to == NULL || offsets == NULL) abort();
    for (uint32_t i = 0; i < count; i++) {
        all[i] = (record){ records[i].key, records[i].value, records[i].timestamp_ms, records[i].headers };
        to[i] = records[i].partition;
    }
    weir_rc rc = topic_append(w->storage, topic, all, to, count, offsets, err);
    for (uint32_t i = 0; rc == WEIR_OK && i < count; i++) records[i].offset = offsets[i];
    free(all);
    free(to);
    free(offsets);
    return rc;
}

/* ---- rows by column names ---- */

/* A name as typed: upper case, or exactly what stands in back quotes. */
static slice folded_name(arena *a, slice name)
{
    if (name.len >= 2 && name.data[0] == '`' && name.data[name.len - 1] == '`') return (slice){ name.data + 1, name.len - 2 };
    char *upper = arena_text_begin(a, name.len);
    for (size_t i = 0; i < name.len; i++) upper[i] = (char)(name.data[i] >= 'a' && name.data[i] <= 'z' ? name.data[i] - 32 : name.data[i]);
    return arena_text_end(a, upper, upper + name.len);
}

/* The row's values are lent from the document, or in its arena. */
static weir_rc insert_member(const source *into, value *values, int64_t *timestamp_ms, json_doc *doc, uint32_t *i, slice name,
                             weir_error *err)
{
    const type *t = &type_bigint;
    value given = NULL_VALUE;
    int32_t at = schema_find(&into->schema, name);

    if (at >= 0) t = into->schema.columns[at].type;
    if (at < 0 && !slice_is(name, "ROWTIME")) {
        return catalog_fail_column(into, name, NOWHERE, err);
    }
    if (!json_read_value(doc, i, t, &given)) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "column %.*s: %s", SLICE_ARG(name), doc->reason);
    }
    if (at >= 0) values[at] = given;
    else if (!given.is_null) *timestamp_ms = given.i64;
    return WEIR_OK;
}

static weir_rc read_object(const source *into, value *values, int64_t *timestamp_ms, json_doc *doc, weir_error *err)
{
    uint32_t i = 0;

    if (json_char(doc, i++) != '{') return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "a row is a JSON object, by column names");
    while (json_char(doc, i) != '}') {
        slice name;
        if (json_char(doc, i) != '"' || !json_unescape(doc, i, json_raw_string(doc, i), &name) || json_char(doc, i + 1) != ':') {
            return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "the row is no JSON object");
        }
        i += 2;
        WEIR_TRY(insert_member(into, values, timestamp_ms, doc, &i, folded_name(doc->arena, name), err));
        if (json_char(doc, i) == ',' && json_char(doc, i + 1) == '"') i++;
        else if (json_char(doc, i) != '}') return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "the row is no JSON object");
    }
    if (i + 1 != doc->count) return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "something follows the row's object");
    return WEIR_OK;
}

static weir_rc check_target(const source *into, weir_error *err)
{
    if (into->is_source) return catalog_fail_read_only(into, NOWHERE, err);
    if (into->windowed != WINDOW_NONE) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "%.*s has windowed keys: no rows can be inserted", SLICE_ARG(into->name));
    }
    return WEIR_OK;
}

static weir_rc check_insertable(const source *into, const value *values, weir_error *err)
{
    for (uint32_t i = 0; i < into->schema.count; i++) {
        const schema_column *c = &into->schema.columns[i];
        if ((c->is_headers || c->header_key.data != NULL) && !values[i].is_null) {
            return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "column %.*s holds headers: it cannot be written", SLICE_ARG(c->name));
        }
        if (into->is_table && i < into->schema.key_count && values[i].is_null) {
            return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "%.*s is a table: its key %.*s must be given", SLICE_ARG(into->name),
                             SLICE_ARG(c->name));
        }
    }
    return WEIR_OK;
}

/* Lock held. */
static weir_rc find_target(weir *w, slice name, const source **into, weir_error *err)
{
    WEIR_TRY(catalog_refresh(w, err));
    *into = catalog_source(w->catalog, name);
    if (*into == NULL) return catalog_fail_source(w->catalog, "stream or table", name, NOWHERE, err);
    return check_target(*into, err);
}

weir_rc weir_can_insert(weir *w, slice target, weir_error *err)
{
    arena *a = arena_new(0);
    const source *into;

    pthread_mutex_lock(&w->lock);
    weir_rc rc = find_target(w, folded_name(a, target), &into, err);
    pthread_mutex_unlock(&w->lock);
    arena_free(a);
    return rc;
}

static weir_rc read_row(const source *into, slice object, json_doc *doc, json_index *index, insertion *row)
{
    value *values = ARENA_ARRAY(doc->arena, value, into->schema.count);

    row->row = values;
    for (uint32_t i = 0; i < into->schema.count; i++) values[i] = NULL_VALUE;
    if (!json_doc_open(doc, index, object)) return weir_fail(&row->err, WEIR_SEMANTIC, NOWHERE, "the row is no JSON: %s", doc->reason);
    WEIR_TRY(read_object(into, values, &row->timestamp_ms, doc, &row->err));
    return check_insertable(into, values, &row->err);
}

static void read_rows(const source *into, const slice *objects, insertion *rows, uint32_t count, arena *a)
{
    json_index *index = json_index_new();
    text scratch = TEXT_EMPTY;

    if (index == NULL) abort();
    for (uint32_t i = 0; i < count; i++) {
        json_doc doc = { .arena = a, .scratch = &scratch };
        (void)!read_row(into, objects[i], &doc, index, &rows[i]);
    }
    text_free(&scratch);
    json_index_free(index);
}

void weir_insert_json(weir *w, slice target, const slice *objects, uint32_t count, weir_error *errors)
{
    arena *a = arena_new(0);
    insertion *rows = ARENA_ZEROS(a, insertion, count);
    record *made = ARENA_ZEROS(a, record, count);
    const source *into;
    weir_error err;
    slice topic = NO_SLICE;

    for (uint32_t i = 0; i < count; i++) rows[i].timestamp_ms = clock_now_ms(&w->clock);
    pthread_mutex_lock(&w->lock);
    if (find_target(w, folded_name(a, target), &into, &err) == WEIR_OK) {
        topic = arena_copy(a, into->topic);
        read_rows(into, objects, rows, count, a);
        insert_encode(into, rows, count, made, a);
    }
    pthread_mutex_unlock(&w->lock); /* what waits for a disk or a broker holds nobody up */
    if (topic.data != NULL) insert_append(w, topic, rows, made, count, a);
    for (uint32_t i = 0; i < count; i++) errors[i] = topic.data != NULL ? rows[i].err : err;
    arena_free(a);
}

struct weir_reader {
    client *client;
    slice topic;
    int64_t *target, *position; /* until_end: per partition */
    int32_t partitions;
    bool until_end;
    weir_record *records;
    uint32_t room;
};

weir_rc weir_reader_open(weir_reader **out, weir *w, slice topic, bool from_beginning, bool until_end, weir_error *err)
{
    topic_info info;
    bool found;

    WEIR_TRY(topic_find(w->storage, topic, &info, &found, err));
    if (!found) return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "there is no topic %.*s", SLICE_ARG(topic));
    weir_reader *r = calloc(1, sizeof *r);
    if (r == NULL) return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory to read %.*s", SLICE_ARG(topic));
    r->until_end = until_end;
    r->partitions = info.partitions;
    r->target = calloc((size_t)info.partitions, sizeof *r->target);
    r->position = calloc((size_t)info.partitions, sizeof *r->position);
    if (r->target == NULL || r->position == NULL) abort();
    weir_rc rc = WEIR_OK;
    for (int32_t p = 0; rc == WEIR_OK && until_end && p < info.partitions; p++) {
        rc = topic_offsets(w->storage, topic, p, &r->position[p], &r->target[p], err);
        if (!from_beginning) r->position[p] = r->target[p];
    }
    const client_source from = { .topic = topic, .start = from_beginning ? START_EARLIEST : START_LATEST, .wants_headers = true };
    const client_spec spec = { .name = SLICE("reader"), .is_transient = true, .sources = &from, .source_count = 1, .instances = 1 };
    if (rc == WEIR_OK) rc = client_open(&r->client, w->storage, &spec, err);
    if (rc != WEIR_OK) {
        weir_reader_close(r);
        return rc;
    }
    *out = r;
    return WEIR_OK;
}

static bool at_end(const weir_reader *r)
{
    for (int32_t p = 0; p < r->partitions; p++) {
        if (r->position[p] < r->target[p]) return false;
    }
    return r->until_end;
}

static void take(weir_reader *r, const fetch *f, uint32_t *count)
{
    if (*count + f->rows > r->room) {
        r->room = (*count + f->rows) * 2;
        r->records = realloc(r->records, r->room * sizeof *r->records);
        if (r->records == NULL) abort();
    }
    for (uint32_t i = 0; i < f->rows; i++) {
        if (r->until_end && f->offset[i] >= r->target[f->partition]) break;
        r->records[(*count)++] = (weir_record){ .key = f->key[i], .value = f->value[i], .timestamp_ms = f->timestamp_ms[i],
                                                .partition = f->partition, .offset = f->offset[i],
                                                .headers = f->headers == NULL ? (header_list){ 0 } : f->headers[i] };
    }
}

weir_rc weir_reader_next(weir_reader *r, int timeout_ms, const weir_record **records, uint32_t *count, bool *ended, weir_error *err)
{
    const fetch *events;
    uint32_t event_count;

    *count = 0;
    *records = NULL;
    *ended = at_end(r);
    if (*ended) return WEIR_OK;
    WEIR_TRY(client_poll(r->client, timeout_ms < 0 ? 1000 : timeout_ms, BATCH_ROWS_MAX, &events, &event_count, err));
    for (uint32_t i = 0; i < event_count; i++) {
        const fetch *f = &events[i];
        if (f->kind == FETCH_RECORDS) take(r, f, count);
        if (f->kind != FETCH_RECORDS && f->kind != FETCH_END) continue;
        if (f->next_offset > r->position[f->partition]) r->position[f->partition] = f->next_offset;
    }
    *records = r->records;
    *ended = at_end(r);
    return WEIR_OK;
}

void weir_reader_close(weir_reader *r)
{
    if (r == NULL) return;
    client_close(r->client);
    free(r->target);
    free(r->position);
    free(r->records);
    free(r);
}

/* ---- as text ---- */

static weir_rc find_source(weir *w, slice name, const source **out, weir_error *err)
{
    *out = catalog_source(w->catalog, name);
    if (*out != NULL) return WEIR_OK;
    return catalog_fail_source(w->catalog, "stream or table", name, NOWHERE, err);
}

/* Formats whose bytes nobody types: their rows are JSON as text. */
static bool is_binary(const format_spec *spec)
{
    bool found;
    return (format_traits_of(spec->name, &found) & (FORMAT_SCHEMAS | FORMAT_NULLS)) != 0;
}

/* The format of their text: JSON, or for a lone string key the bare text. */
static format_spec text_spec(const format_spec *of, const schema_column *columns)
{
    bool is_bare = of->is_key && of->is_unwrapped && columns[0].type->kind == TYPE_STRING;
    return (format_spec){ .name = is_bare ? SLICE("KAFKA") : SLICE("JSON"), .is_unwrapped = of->is_unwrapped };
}

weir_rc record_convert(const format_spec *from, const format_spec *to, const schema_column *columns, uint32_t count, slice bytes,
                       arena *a, slice *out, bad_value *why, weir_error *err)
{
    const row_report report = { note_bad_value, why };
    column *all = ARENA_ARRAY(a, column, count);
    char *padded = arena_zero(a, bytes.len + 64);
    format *reader = NULL, *writer = NULL;

    *out = NO_SLICE;
    memcpy(padded, bytes.data, bytes.len);
    bytes.data = padded;
    for (uint32_t i = 0; i < count; i++) all[i] = column_new(a, columns[i].type, 1);
    WEIR_TRY(format_open(&reader, from, columns, count, NULL, a, err));
    row_set one = format_decode(reader, &bytes, (row_set){ NULL, 1 }, a, all, &report);
    weir_rc rc = format_failure(reader, err);
    if (rc == WEIR_OK && one.count == 1) rc = format_open(&writer, to, columns, count, NULL, a, err);
    if (writer != NULL) rc = format_start_writing(writer, a, err);
    if (rc == WEIR_OK && writer != NULL) format_encode(writer, all, one, a, out, &report);
    format_close(reader);
    format_close(writer);
    return rc;
}

/* One side's text as bytes: for JSON and DELIMITED the text itself; for others a value of the lone column, encoded. */
static weir_rc text_to_bytes(const format_spec *spec, const schema_column *columns, uint32_t count, slice from, arena *a,
                             slice *out, weir_error *err)
{
    *out = from;
    if (from.data == NULL || slice_equal_nocase(spec->name, SLICE("DELIMITED"))) return WEIR_OK;
    if (slice_equal_nocase(spec->name, SLICE("NONE"))) {
        *out = NO_SLICE;
        return WEIR_OK;
    }
    if (is_binary(spec) && count > 0) {
        const format_spec shown_as = text_spec(spec, columns);
        bad_value why = { { 0 } };
        WEIR_TRY(record_convert(&shown_as, spec, columns, count, from, a, out, &why, err));
        if (out->data != NULL) return WEIR_OK;
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "%.*s does not fit format %.*s: %s", SLICE_ARG(from), SLICE_ARG(spec->name),
                         why.reason);
    }
    bool is_json = slice_equal_nocase(spec->name, SLICE("JSON"));
    bool is_bare = from.len == 0 || (from.data[0] != '{' && from.data[0] != '[' && from.data[0] != '"');
    if (is_json && !(spec->is_key && count == 1 && columns->type->kind == TYPE_STRING && is_bare)) return WEIR_OK;
    if (count == 0) return WEIR_OK;

    column one = column_new(a, columns->type, 1);
    const value as_text = { .str = from };
    value typed;
    const char *reason = "it is not a value of the column";
    if (!cast_value(a, &type_string, columns->type, &as_text, &typed, &reason)) {
        return weir_fail(err, WEIR_SEMANTIC, NOWHERE, "'%.*s' does not fit the column %.*s: %s", SLICE_ARG(from),
                         SLICE_ARG(columns->name), reason);
    }
    column_set(&one, 0, &typed);
    format *f;
    WEIR_TRY(format_open(&f, spec, columns, 1, NULL, a, err));
    bad_value why = { { 0 } };
    const row_report report = { note_bad_value, &why };
    format_encode(f, &one, (row_set){ NULL, 1 }, a, out, &report);
    format_close(f);
    return WEIR_OK;
}

weir_rc weir_feed(weir *w, slice source_name, int64_t timestamp_ms, slice key, slice body, header_list headers, weir_error *err)
{
    const source *s;
    arena *a = arena_new(0);
    record one = { .timestamp_ms = timestamp_ms, .headers = headers };

    weir_rc rc = find_source(w, source_name, &s, err);
    if (rc == WEIR_OK) rc = text_to_bytes(&s->key, s->schema.columns, s->schema.key_count, key, a, &one.key, err);
    if (rc == WEIR_OK) {
        rc = text_to_bytes(&s->value, s->schema.columns + s->schema.key_count, s->schema.count - s->schema.key_count, body, a,
                           &one.value, err);
    }
    if (rc == WEIR_OK) rc = topic_append(w->storage, s->topic, &one, NULL, 1, NULL, err);
    arena_free(a);
    return rc;
}

/* The bytes of one side as text. */
static slice bytes_to_text(const format_spec *spec, const schema_column *columns, uint32_t count, slice bytes, arena *a)
{
    bool is_json = slice_equal_nocase(spec->name, SLICE("JSON"));

    if (bytes.data == NULL) return NO_SLICE;
    if (slice_equal_nocase(spec->name, SLICE("DELIMITED")) || count == 0) return arena_copy(a, bytes);
    if (is_json && !(spec->is_key && count == 1 && columns->type->kind == TYPE_STRING)) return arena_copy(a, bytes);

    weir_error err;
    if (is_binary(spec)) {
        const format_spec shown_as = text_spec(spec, columns);
        bad_value ignored;
        slice shown;
        if (record_convert(spec, &shown_as, columns, count, bytes, a, &shown, &ignored, &err) != WEIR_OK || shown.data == NULL) return bytes;
        return shown;
    }
    char *padded = arena_zero(a, bytes.len + 64);
    memcpy(padded, bytes.data, bytes.len);
    bytes.data = padded;
    format *f;
    if (format_open(&f, spec, columns, count, NULL, a, &err) != WEIR_OK) return arena_copy(a, bytes);
    column *all = ARENA_ARRAY(a, column, count);
    for (uint32_t i = 0; i < count; i++) all[i] = column_new(a, columns[i].type, 1);
    bad_value why = { { 0 } };
    const row_report report = { note_bad_value, &why };
    row_set read = format_decode(f, &bytes, (row_set){ NULL, 1 }, a, all, &report);
    format_close(f);
    if (read.count == 0) return arena_copy(a, bytes);
    value v = column_get(&all[0], 0);
    if (columns->type->kind == TYPE_STRING && !v.is_null) return arena_copy(a, v.str);
    text out = TEXT_EMPTY;
    print_json_value(&out, columns->type, &v);
    return text_keep(&out, a);
}

weir_rc weir_read_source(weir *w, slice source_name, arena *a, weir_row_text **rows, uint32_t *count, weir_error *err)
{
    const source *s;
    weir_reader *r;
    uint32_t room = 64;
    bool ended = false;

    *count = 0;
    *rows = ARENA_ARRAY(a, weir_row_text, room);
    WEIR_TRY(find_source(w, source_name, &s, err));
    WEIR_TRY(weir_reader_open(&r, w, s->topic, true, true, err));
    weir_rc rc = WEIR_OK;
    while (rc == WEIR_OK && !ended) {
        const weir_record *records;
        uint32_t found;
        rc = weir_reader_next(r, 100, &records, &found, &ended, err);
        for (uint32_t i = 0; rc == WEIR_OK && i < found; i++) {
            if (*count == room) {
                weir_row_text *larger = ARENA_ARRAY(a, weir_row_text, room * 2);
                memcpy(larger, *rows, room * sizeof *larger);
                *rows = larger;
                room *= 2;
            }
            weir_row_text *row = &(*rows)[(*count)++];
            slice key = records[i].key;
            *row = (weir_row_text){ .timestamp_ms = records[i].timestamp_ms, .windowed = s->windowed };
            if (s->windowed != WINDOW_NONE && key.data != NULL) {
                windowed_key_decode(records[i].key, s->windowed, s->window_size_ms, &key, &row->window_start_ms, &row->window_end_ms);
            }
            row->key = bytes_to_text(&s->key, s->schema.columns, s->schema.key_count, key, a);
            row->value = bytes_to_text(&s->value, s->schema.columns + s->schema.key_count, s->schema.count - s->schema.key_count,
                                       records[i].value, a);
        }
    }
    weir_reader_close(r);
    return rc;
}
