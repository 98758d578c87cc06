/* executor/bad_log.c - see bad_log.h. The records' fields are the columns of processing_log_source(). */
#include "executor/bad_log.h"

#include "core/json.h"

#include <stdio.h>
#include <stdlib.h>

#define LINES_PER_FLUSH_MAX 1000
#define SHOWN_BYTES_MAX 4096

struct bad_log {
    slice query_id;
    uint32_t sink;
    const weir_clock *clock;
    text lines;          /* JSON values, one after another */
    size_t *ends;
    uint32_t count, room;
    uint64_t unwritten;  /* beyond what one flush may write */
    uint64_t counts[BAD_LATE + 1];
    char last[BAD_LAST_BYTES];
};

static const char *const KIND_NAMES[] = { [BAD_RECORD] = "record", [BAD_EXPRESSION] = "expression", [BAD_OUTPUT] = "output",
                                          [BAD_LATE] = "late" };

bad_log *bad_log_new(slice query_id, uint32_t sink, const weir_clock *clock)
{
    bad_log *l = calloc(1, sizeof *l);

    if (l == NULL) abort();
    l->query_id = query_id;
    l->sink = sink;
    l->clock = clock;
    return l;
}

void bad_log_free(bad_log *l)
{
    if (l == NULL) return;
    text_free(&l->lines);
    free(l->ends);
    free(l);
}

static void add_base64_field(text *out, const char *name, slice bytes)
{
    text_printf(out, ",\"%s\":", name);
    if (bytes.data == NULL) {
        text_add_c(out, "null");
        return;
    }
    if (bytes.len > SHOWN_BYTES_MAX) bytes.len = SHOWN_BYTES_MAX;
    const value v = { .str = bytes };
    print_json_value(out, &type_bytes, &v);
}

void bad_log_add(bad_log *l, task *t, bad_kind kind, const int64_t *row_offset, uint32_t row, const char *reason)
{
    const fetch *from = t->current;
    uint32_t record = 0;
    bool has_record = task_find_record(t, row_offset, row, &record);
    int used = 0;

    l->counts[kind]++;
    if (has_record) {
        used = snprintf(l->last, sizeof l->last, "topic %.*s, partition %d, offset %lld: ", SLICE_ARG(t->current_topic),
                        from->partition, (long long)from->offset[record]);
        if (used >= (int)sizeof l->last) used = sizeof l->last - 1;
    }
    snprintf(l->last + used, sizeof l->last - (size_t)used, "%s", reason);
    if (l->sink == UINT32_MAX) return;
    if (l->count == LINES_PER_FLUSH_MAX) {
        l->unwritten++;
        return;
    }
    text *out = &l->lines;
    text_printf(out, "{\"LOGGED_MS\":%lld,\"QUERY_ID\":", (long long)clock_now_ms(l->clock));
    print_json_string(out, l->query_id);
    text_printf(out, ",\"KIND\":\"%s\",\"REASON\":", KIND_NAMES[kind]);
    print_json_string(out, slice_of(reason));
    if (has_record) {
        text_add_c(out, ",\"RECORD_TOPIC\":");
        print_json_string(out, t->current_topic);
        text_printf(out, ",\"RECORD_PARTITION\":%d,\"RECORD_OFFSET\":%lld", from->partition, (long long)from->offset[record]);
        add_base64_field(out, "RECORD_KEY", from->key[record]);
        add_base64_field(out, "RECORD_VALUE", from->value[record]);
    }
    text_add_char(out, '}');
    if (l->count == l->room) {
        l->room = l->room == 0 ? 16 : l->room * 2;
        l->ends = realloc(l->ends, l->room * sizeof *l->ends);
        if (l->ends == NULL) abort();
    }
    l->ends[l->count++] = out->len;
}

weir_rc bad_log_flush(bad_log *l, client *c, int32_t partition, weir_error *err)
{
    if (l->unwritten > 0 && l->count == LINES_PER_FLUSH_MAX) {
        text_printf(&l->lines, "{\"LOGGED_MS\":%lld,\"QUERY_ID\":", (long long)clock_now_ms(l->clock));
        print_json_string(&l->lines, l->query_id);
        text_printf(&l->lines, ",\"KIND\":\"summary\",\"REASON\":\"%llu more were not written\"}", (unsigned long long)l->unwritten);
        l->unwritten = 0;
        size_t *grown = realloc(l->ends, (l->count + 1) * sizeof *grown);
        if (grown == NULL) abort();
        l->ends = grown;
        l->room = l->count + 1;
        l->ends[l->count++] = l->lines.len;
    }
    size_t from = 0;
    for (uint32_t i = 0; i < l->count; i++) {
        slice key = NO_SLICE, line = { l->lines.data + from, l->ends[i] - from };
        int64_t now_ms = clock_now_ms(l->clock);
        const output out = { .sink = l->sink, .rows = 1, .key = &key, .value = &line, .timestamp_ms = &now_ms,
                             .partition = &partition };
        WEIR_TRY(client_produce(c, &out, err));
        from = l->ends[i];
    }
    l->count = 0;
    text_clear(&l->lines);
    return WEIR_OK;
}

void bad_log_forget(bad_log *l)
{
    l->count = 0;
    l->unwritten = 0;
    text_clear(&l->lines);
}

const char *bad_log_last(const bad_log *l)
{
    return l->last;
}

void bad_log_tell(const bad_log *l, text *out)
{
    static const struct {
        const char *one, *many;
    } SAID[] = {
        [BAD_RECORD] = { "record could not be read and was left out", "records could not be read and were left out" },
        [BAD_EXPRESSION] = { "expression failed", "expressions failed" },
        [BAD_OUTPUT] = { "row could not be written", "rows could not be written" },
        [BAD_LATE] = { "row came too late for its window and was left out", "rows came too late for their window and were left out" },
    };
    bool any = false;

    for (int kind = BAD_RECORD; kind <= BAD_LATE; kind++) {
        uint64_t count = l->counts[kind];
        if (count == 0) continue;
        text_printf(out, "%s%llu %s", any ? ", " : "", (unsigned long long)count, count == 1 ? SAID[kind].one : SAID[kind].many);
        any = true;
    }
    if (any) text_printf(out, "; the last: %s", l->last);
}

void processing_log_source(source *out, slice topic, arena *a)
{
    static const char *const numbers[] = { "LOGGED_MS", "RECORD_OFFSET" };
    static const char *const texts[] = { "QUERY_ID", "KIND", "REASON", "RECORD_TOPIC" };
    static const char *const bytes[] = { "RECORD_KEY", "RECORD_VALUE" };
    schema_column *columns = ARENA_ZEROS(a, schema_column, 9);
    uint32_t count = 0;

    for (int i = 0; i < 2; i++) columns[count++] = (schema_column){ .name = slice_of(numbers[i]), .type = &type_bigint };
    for (int i = 0; i < 4; i++) columns[count++] = (schema_column){ .name = slice_of(texts[i]), .type = &type_string };
    for (int i = 0; i < 2; i++) columns[count++] = (schema_column){ .name = slice_of(bytes[i]), .type = &type_bytes };
    columns[count++] = (schema_column){ .name = SLICE("RECORD_PARTITION"), .type = &type_integer };
    *out = (source){ .name = SLICE("WEIR_PROCESSING_LOG"), .is_source = true, .schema = { columns, 0, count }, .topic = topic,
                     .partitions = 1, .replicas = 1, .retention_ms = -1, .timestamp_column = -1,
                     .key = { .name = SLICE("KAFKA"), .is_key = true }, .value = { .name = SLICE("JSON") },
                     .sql = SLICE("-- rows that could not be used; made by weir itself") };
}
