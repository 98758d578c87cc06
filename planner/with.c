/* planner/with.c - the properties of WITH (...): one row each in a table, and what they come to together. */
#include "planner/build.h"

#include "core/nearest.h"
#include "core/utf8.h"

#include <ctype.h>

/* ---- reading values ---- */

typedef struct with_reader {
    with_values *out;
    arena *arena;
    weir_error *err;
    const with_property *p;
} with_reader;

static weir_rc fail_value(with_reader *r, const char *wants)
{
    slice given = expr_text(r->arena, r->p->value);

    return weir_fail(r->err, WEIR_SEMANTIC, r->p->value->at, "%.*s %s, not %.*s", SLICE_ARG(r->p->name), wants, SLICE_ARG(given));
}

static weir_rc fail_plain(with_reader *r, const char *what)
{
    return weir_fail(r->err, WEIR_SEMANTIC, r->p->value->at, "%.*s %s", SLICE_ARG(r->p->name), what);
}

static weir_rc read_string(with_reader *r, slice *out)
{
    const expr *e = r->p->value;

    if (e->kind == EXPR_STRING) {
        *out = e->string;
        return WEIR_OK;
    }
    if (e->kind == EXPR_COLUMN && !identifier_present(&e->column.source)) { /* a bare word */
        *out = e->column.name.name;
        return WEIR_OK;
    }
    return fail_value(r, "is a text in quotes");
}

static bool digits_of(slice in, int64_t *number)
{
    *number = 0;
    if (in.len == 0 || in.len > 18) return false;
    for (size_t i = 0; i < in.len; i++) {
        if (in.data[i] < '0' || in.data[i] > '9') return false;
        *number = *number * 10 + (in.data[i] - '0');
    }
    return true;
}

static weir_rc read_number(with_reader *r, int64_t least, int64_t most, int64_t *out)
{
    const expr *e = r->p->value;
    bool is_number = e->kind == EXPR_INTEGER || e->kind == EXPR_BIGINT;

    if (is_number) *out = e->integer;
    if (!is_number && e->kind == EXPR_DURATION) {
        *out = e->duration_ms;
        is_number = true;
    }
    if (!is_number && !(e->kind == EXPR_STRING && digits_of(e->string, out))) return fail_value(r, "is a whole number");
    if (*out >= least && *out <= most) return WEIR_OK;
    return weir_fail(r->err, WEIR_SEMANTIC, e->at, "%.*s must be at least %lld and at most %lld", SLICE_ARG(r->p->name),
                     (long long)least, (long long)most);
}

static weir_rc read_boolean(with_reader *r, int *out)
{
    const expr *e = r->p->value;
    slice word = e->kind == EXPR_STRING ? e->string : e->kind == EXPR_COLUMN ? e->column.name.name : NO_SLICE;

    if (e->kind == EXPR_BOOLEAN) *out = e->boolean;
    else if (word.data != NULL && slice_equal_nocase(word, SLICE("true"))) *out = 1;
    else if (word.data != NULL && slice_equal_nocase(word, SLICE("false"))) *out = 0;
    else return fail_value(r, "is TRUE or FALSE");
    return WEIR_OK;
}

/* '30 SECONDS', or a duration as weir writes it: 30s. */
static bool duration_of(slice in, int64_t *ms)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = { { "MS", 1 }, { "MILLISECOND", 1 }, { "MILLISECONDS", 1 }, { "S", 1000 }, { "SECOND", 1000 },
                  { "SECONDS", 1000 }, { "M", 60000 }, { "MINUTE", 60000 }, { "MINUTES", 60000 }, { "H", 3600000 },
                  { "HOUR", 3600000 }, { "HOURS", 3600000 }, { "D", 86400000 }, { "DAY", 86400000 }, { "DAYS", 86400000 } };
    size_t at = 0;
    int64_t number;

    while (at < in.len && isspace((unsigned char)in.data[at])) at++;
    size_t from = at;
    while (at < in.len && isdigit((unsigned char)in.data[at])) at++;
    if (!digits_of((slice){ in.data + from, at - from }, &number)) return false;
    while (at < in.len && isspace((unsigned char)in.data[at])) at++;
    size_t end = in.len;
    while (end > at && isspace((unsigned char)in.data[end - 1])) end--;
    slice unit = { in.data + at, end - at };
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (!slice_equal_nocase(unit, slice_of(units[i].name))) continue;
        return !__builtin_mul_overflow(number, units[i].ms, ms);
    }
    return false;
}

static weir_rc read_duration(with_reader *r, int64_t *out)
{
    const expr *e = r->p->value;

    if (e->kind == EXPR_DURATION) *out = e->duration_ms;
    else if (e->kind != EXPR_STRING || !duration_of(e->string, out)) return fail_value(r, "is a duration, such as '30 SECONDS'");
    if (*out <= 0) return fail_value(r, "must be more than 0");
    return WEIR_OK;
}

/* A column: in upper case unless in back quotes, as unquoted names are. */
static weir_rc read_column_name(with_reader *r, slice *out)
{
    slice typed;

    if (r->p->value->kind == EXPR_COLUMN) return read_string(r, out);
    WEIR_TRY(read_string(r, &typed));
    if (typed.len >= 2 && typed.data[0] == '`' && typed.data[typed.len - 1] == '`') {
        *out = (slice){ typed.data + 1, typed.len - 2 };
        return WEIR_OK;
    }
    char *upper = ARENA_ARRAY(r->arena, char, typed.len + 1);
    for (size_t i = 0; i < typed.len; i++) upper[i] = (char)toupper((unsigned char)typed.data[i]);
    *out = (slice){ upper, typed.len };
    return WEIR_OK;
}

/* ---- the properties ---- */

static weir_rc read_topic(with_reader *r)
{
    r->out->topic_at = r->p->value->at;
    WEIR_TRY(read_string(r, &r->out->topic));
    return r->out->topic.len > 0 ? WEIR_OK : fail_plain(r, "must not be empty");
}

static weir_rc read_key_format(with_reader *r)
{
    r->out->key_format_at = r->p->value->at;
    return read_string(r, &r->out->key_format);
}

static weir_rc read_value_format(with_reader *r)
{
    r->out->value_format_at = r->p->value->at;
    return read_string(r, &r->out->value_format);
}

static weir_rc read_format(with_reader *r)
{
    if (r->out->key_format.data != NULL || r->out->value_format.data != NULL) {
        return weir_fail(r->err, WEIR_SEMANTIC, r->p->at, "FORMAT sets both formats: give either it, or KEY_FORMAT and VALUE_FORMAT");
    }
    WEIR_TRY(read_key_format(r));
    return read_value_format(r);
}

static weir_rc read_partitions(with_reader *r)
{
    int64_t number;

    r->out->partitions_at = r->p->value->at;
    WEIR_TRY(read_number(r, 1, 100000, &number));
    r->out->partitions = (int32_t)number;
    return WEIR_OK;
}

static weir_rc read_replicas(with_reader *r)
{
    int64_t number;

    WEIR_TRY(read_number(r, 1, 1000, &number));
    r->out->replicas = (int32_t)number;
    return WEIR_OK;
}

static weir_rc read_retention(with_reader *r)
{
    r->out->retention_at = r->p->value->at;
    return read_number(r, 1, INT64_MAX, &r->out->retention_ms);
}

static weir_rc read_timestamp(with_reader *r)
{
    r->out->timestamp_at = r->p->value->at;
    return read_column_name(r, &r->out->timestamp);
}

static weir_rc read_timestamp_format(with_reader *r)
{
    r->out->timestamp_format_at = r->p->value->at;
    return read_string(r, &r->out->timestamp_format);
}

static weir_rc read_window_type(with_reader *r)
{
    slice word;

    r->out->windowed_at = r->p->value->at;
    WEIR_TRY(read_string(r, &word));
    if (slice_equal_nocase(word, SLICE("TUMBLING"))) r->out->windowed = WINDOW_TUMBLING;
    else if (slice_equal_nocase(word, SLICE("HOPPING"))) r->out->windowed = WINDOW_HOPPING;
    else if (slice_equal_nocase(word, SLICE("SESSION"))) r->out->windowed = WINDOW_SESSION;
    else return fail_value(r, "is TUMBLING, HOPPING or SESSION");
    return WEIR_OK;
}

static weir_rc read_window_size(with_reader *r)
{
    r->out->window_size_at = r->p->value->at;
    return read_duration(r, &r->out->window_size_ms);
}

static weir_rc read_delimiter(with_reader *r, slice *out)
{
    WEIR_TRY(read_string(r, out));
    if (slice_equal_nocase(*out, SLICE("SPACE")) || slice_equal_nocase(*out, SLICE("TAB"))) return WEIR_OK;
    if (utf8_count(*out) == 1 && memchr(" \t\"\r\n", out->data[0], 5) == NULL) return WEIR_OK;
    return fail_value(r, "is one character (no quote or line break), or the word SPACE or TAB");
}

static weir_rc read_value_delimiter(with_reader *r)
{
    return read_delimiter(r, &r->out->value_delimiter);
}

static weir_rc read_key_delimiter(with_reader *r)
{
    return read_delimiter(r, &r->out->key_delimiter);
}

static weir_rc read_wrap(with_reader *r)
{
    r->out->wrap_at = r->p->at;
    return read_boolean(r, &r->out->wrap);
}

static weir_rc read_query_id(with_reader *r)
{
    r->out->query_id_at = r->p->value->at;
    return read_string(r, &r->out->query_id);
}

/* Whether the format has schemas is judged once it is known. */
static schema_options *schema_of_side(with_reader *r)
{
    return r->p->name.data[0] == 'K' ? &r->out->key_schema : &r->out->value_schema;
}

static weir_rc read_schema_id(with_reader *r)
{
    schema_options *o = schema_of_side(r);
    int64_t number;

    o->id_at = r->p->value->at;
    WEIR_TRY(read_number(r, 1, INT32_MAX, &number));
    o->id = (int32_t)number;
    return WEIR_OK;
}

static weir_rc read_schema_name(with_reader *r)
{
    schema_options *o = schema_of_side(r);

    if (o->name.data != NULL) return fail_plain(r, "names the schema a second time");
    o->name_at = r->p->value->at;
    WEIR_TRY(read_string(r, &o->name));
    while (o->name.len > 0 && isspace((unsigned char)o->name.data[0])) o->name = (slice){ o->name.data + 1, o->name.len - 1 };
    while (o->name.len > 0 && isspace((unsigned char)o->name.data[o->name.len - 1])) o->name.len--;
    return o->name.len > 0 ? WEIR_OK : fail_plain(r, "must not be empty");
}

static weir_rc read_nulls(with_reader *r)
{
    schema_options *o = schema_of_side(r);
    slice word;

    o->nulls_at = r->p->value->at;
    WEIR_TRY(read_string(r, &word));
    if (slice_equal_nocase(word, SLICE("OPTIONAL"))) o->nulls = NULLS_OPTIONAL;
    else if (slice_equal_nocase(word, SLICE("WRAPPER"))) o->nulls = NULLS_WRAPPER;
    else return fail_value(r, "is OPTIONAL or WRAPPER");
    return WEIR_OK;
}

static weir_rc read_cleanup_policy(with_reader *r)
{
    static const char *const words[] = { "delete", "compact", "compact,delete", "delete,compact", "compact_delete" };
    static const cleanup_policy policies[] = { CLEANUP_DELETE, CLEANUP_COMPACT, CLEANUP_COMPACT_DELETE, CLEANUP_COMPACT_DELETE,
                                               CLEANUP_COMPACT_DELETE };
    slice word;

    WEIR_TRY(read_string(r, &word));
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (!slice_equal_nocase(word, slice_of(words[i]))) continue;
        r->out->cleanup = policies[i];
        return WEIR_OK;
    }
    return fail_value(r, "is 'delete', 'compact' or 'compact,delete'");
}

static weir_rc read_connector(with_reader *r)
{
    return weir_fail(r->err, WEIR_UNSUPPORTED, r->p->at, "SOURCED_BY_CONNECTOR: connectors are not supported; leave it out");
}

#define IN_CREATE (1u << WITH_CREATE)
#define IN_CREATE_AS (1u << WITH_CREATE_AS)
#define IN_INSERT (1u << WITH_INSERT)
#define IN_ASSERT_TOPIC (1u << WITH_ASSERT_TOPIC)

static const struct {
    const char *name;
    uint32_t uses;
    weir_rc (*read)(with_reader *r);
} PROPERTIES[] = {
    { "KAFKA_TOPIC", IN_CREATE | IN_CREATE_AS, read_topic },
    { "FORMAT", IN_CREATE | IN_CREATE_AS, read_format },
    { "KEY_FORMAT", IN_CREATE | IN_CREATE_AS, read_key_format },
    { "VALUE_FORMAT", IN_CREATE | IN_CREATE_AS, read_value_format },
    { "PARTITIONS", IN_CREATE | IN_CREATE_AS | IN_ASSERT_TOPIC, read_partitions },
    { "REPLICAS", IN_CREATE | IN_CREATE_AS | IN_ASSERT_TOPIC, read_replicas },
    { "RETENTION_MS", IN_CREATE | IN_CREATE_AS, read_retention },
    { "CLEANUP_POLICY", IN_CREATE | IN_CREATE_AS, read_cleanup_policy },
    { "SOURCED_BY_CONNECTOR", IN_CREATE, read_connector },
    { "TIMESTAMP", IN_CREATE | IN_CREATE_AS, read_timestamp },
    { "TIMESTAMP_FORMAT", IN_CREATE | IN_CREATE_AS, read_timestamp_format },
    { "WINDOW_TYPE", IN_CREATE, read_window_type },
    { "WINDOW_SIZE", IN_CREATE, read_window_size },
    { "VALUE_DELIMITER", IN_CREATE | IN_CREATE_AS, read_value_delimiter },
    { "KEY_DELIMITER", IN_CREATE | IN_CREATE_AS, read_key_delimiter },
    { "WRAP_SINGLE_VALUE", IN_CREATE | IN_CREATE_AS, read_wrap },
    { "QUERY_ID", IN_INSERT, read_query_id },
    { "KEY_SCHEMA_ID", IN_CREATE | IN_CREATE_AS, read_schema_id },
    { "VALUE_SCHEMA_ID", IN_CREATE | IN_CREATE_AS, read_schema_id },
    { "KEY_SCHEMA_FULL_NAME", IN_CREATE | IN_CREATE_AS, read_schema_name },
    { "VALUE_SCHEMA_FULL_NAME", IN_CREATE | IN_CREATE_AS, read_schema_name },
    { "VALUE_AVRO_SCHEMA_FULL_NAME", IN_CREATE | IN_CREATE_AS, read_schema_name },
    { "KEY_PROTOBUF_NULLABLE_REPRESENTATION", IN_CREATE | IN_CREATE_AS, read_nulls },
    { "VALUE_PROTOBUF_NULLABLE_REPRESENTATION", IN_CREATE | IN_CREATE_AS, read_nulls },
};

static weir_rc read_property(with_reader *r, with_use use)
{
    nearest n = nearest_to(r->p->name);

    for (size_t i = 0; i < sizeof PROPERTIES / sizeof PROPERTIES[0]; i++) {
        bool is_here = (PROPERTIES[i].uses & (1u << use)) != 0;
        if (is_here) nearest_offer(&n, slice_of(PROPERTIES[i].name));
        if (!slice_is(r->p->name, PROPERTIES[i].name)) continue;
        if (is_here) return PROPERTIES[i].read(r);
        return weir_fail(r->err, WEIR_SEMANTIC, r->p->at, "property %.*s cannot be given here; it is for %s", SLICE_ARG(r->p->name),
                         PROPERTIES[i].uses == IN_INSERT   ? "INSERT INTO ... SELECT"
                         : PROPERTIES[i].uses == IN_CREATE ? "CREATE STREAM and CREATE TABLE over a topic, without AS"
                                                           : "CREATE STREAM and CREATE TABLE");
    }
    if (slice_is(r->p->name, "KEY")) { /* as KSQL had it first */
        return weir_fail(r->err, WEIR_SEMANTIC, r->p->at, "the key is told beside its column: name type KEY, of a table PRIMARY KEY");
    }
    return weir_fail(r->err, WEIR_SEMANTIC, r->p->at, "unknown property %.*s%s", SLICE_ARG(r->p->name), nearest_or_all(&n));
}

weir_rc read_with(const property_list *list, with_use use, arena *a, with_values *out, weir_error *err)
{
    *out = (with_values){ .partitions = -1, .replicas = -1, .retention_ms = -1, .window_size_ms = -1, .wrap = -1, .cleanup = -1,
                          .key_schema.nulls = -1, .value_schema.nulls = -1 };
    with_reader r = { out, a, err, NULL };

    for (uint32_t pass = 0; pass < 2; pass++) { /* FORMAT last: it must meet the other two */
        for (uint32_t i = 0; i < list->count; i++) {
            r.p = &list->items[i];
            if (slice_is(r.p->name, "FORMAT") != (pass == 1)) continue;
            for (uint32_t k = 0; k < i; k++) {
                if (!slice_equal(list->items[k].name, r.p->name)) continue;
                return weir_fail(err, WEIR_SEMANTIC, r.p->at, "property %.*s is given twice", SLICE_ARG(r.p->name));
            }
            WEIR_TRY(read_property(&r, use));
        }
    }
    if (out->timestamp_format.data != NULL && out->timestamp.data == NULL) {
        return weir_fail(err, WEIR_SEMANTIC, out->timestamp_format_at, "TIMESTAMP_FORMAT needs TIMESTAMP, the column it is the format of");
    }
    bool is_timed = out->windowed == WINDOW_TUMBLING || out->windowed == WINDOW_HOPPING;
    if (is_timed && out->window_size_ms < 0) {
        return weir_fail(err, WEIR_SEMANTIC, out->windowed_at, "TUMBLING and HOPPING windows need a WINDOW_SIZE");
    }
    if (!is_timed && out->window_size_ms >= 0) {
        return weir_fail(err, WEIR_SEMANTIC, out->window_size_at, out->windowed == WINDOW_SESSION
                         ? "SESSION windows have no WINDOW_SIZE: leave it out" : "WINDOW_SIZE needs a WINDOW_TYPE");
    }
    return WEIR_OK;
}

/* ---- formats ---- */

static slice upper_case(arena *a, slice name)
{
    char *upper = ARENA_ARRAY(a, char, name.len + 1);

    for (size_t i = 0; i < name.len; i++) upper[i] = (char)toupper((unsigned char)name.data[i]);
    return (slice){ upper, name.len };
}

static weir_rc traits_of(slice name, uint32_t *traits, sql_pos at, weir_error *err)
{
    bool found;

    *traits = format_traits_of(name, &found);
    if (found) return WEIR_OK;
    nearest n = nearest_to(name);
    static const char *const names[] = { "AVRO", "DELIMITED", "JSON", "JSON_SR", "KAFKA", "NONE", "PROTOBUF", "PROTOBUF_NOSR" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) nearest_offer(&n, slice_of(names[i]));
    return weir_fail(err, WEIR_SEMANTIC, at, "unknown format %.*s%s", SLICE_ARG(name), nearest_or_all(&n));
}

/* Can it hold the columns, and can it be opened? */
static weir_rc try_format(const format_spec *spec, const schema_column *columns, uint32_t count, arena *a, weir_error *err)
{
    format *f;

    WEIR_TRY(format_check(spec, columns, count, err));
    WEIR_TRY(format_open(&f, spec, columns, count, NULL, a, err));
    format_close(f);
    return WEIR_OK;
}

static weir_rc check_format(const format_spec *spec, const schema_column *columns, uint32_t count, arena *a, sql_pos at,
                            weir_error *err)
{
    if (slice_is(spec->name, "NONE") && count > 0) {
        return weir_fail(err, WEIR_SEMANTIC, at, "format NONE holds nothing, and there is the %s column %.*s; %s = 'KAFKA' or 'JSON' can hold it",
                         spec->is_key ? "key" : "value", SLICE_ARG(columns[0].name), format_property(spec));
    }
    err->at = NOWHERE;
    weir_rc rc = count == 0 ? WEIR_OK : try_format(spec, columns, count, a, err);
    if (rc != WEIR_OK && err->at.line == 0) err->at = at;
    return rc;
}

static bool wrap_setting(const planner_env *env, bool *wraps)
{
    slice set = setting_of(env, "ksql.persistence.wrap.single.values");

    if (set.data == NULL || set.len == 0) return false;
    *wraps = slice_equal_nocase(set, SLICE("true"));
    return true;
}

static weir_rc settle_wrapping(const planner_env *env, const with_values *with, uint32_t value_count,
                               uint32_t traits, format_spec *spec, weir_error *err)
{
    bool wraps = true;

    if (with->wrap >= 0) {
        if (value_count != 1) {
            return weir_fail(err, WEIR_SEMANTIC, with->wrap_at, "WRAP_SINGLE_VALUE is for values of a single column; there are %u: leave it out",
                             value_count);
        }
        if ((traits & (with->wrap ? FORMAT_WRAPS : FORMAT_UNWRAPS)) == 0 || (traits & (FORMAT_WRAPS | FORMAT_UNWRAPS)) == 0) {
            return weir_fail(err, WEIR_SEMANTIC, with->wrap_at, "format %.*s cannot %s a single value, as WRAP_SINGLE_VALUE = %s asks: leave it out",
                             SLICE_ARG(spec->name), with->wrap ? "wrap" : "leave bare", with->wrap ? "TRUE" : "FALSE");
        }
        wraps = with->wrap;
    } else if (value_count == 1 && wrap_setting(env, &wraps)) {
        if ((traits & (wraps ? FORMAT_WRAPS : FORMAT_UNWRAPS)) == 0) wraps = (traits & FORMAT_WRAPS) != 0;
    } else {
        wraps = (traits & FORMAT_WRAPS) != 0 || (traits & FORMAT_UNWRAPS) == 0;
    }
    spec->is_unwrapped = value_count == 1 && !wraps;
    return WEIR_OK;
}

static slice first_present(slice x, slice y, slice z)
{
    return x.data != NULL ? x : y.data != NULL ? y : z;
}

static slice default_key_format(const planner_env *env)
{
    return first_present(setting_of(env, "ksql.persistence.default.format.key"), SLICE("KAFKA"), NO_SLICE);
}

/* Headers are no part of the value. */
static uint32_t value_columns_of(const schema *s, arena *a, const schema_column **out)
{
    schema_column *columns = ARENA_ZEROS(a, schema_column, s->count);
    uint32_t count = 0;

    for (uint32_t i = s->key_count; i < s->count; i++) {
        if (!s->columns[i].is_headers && s->columns[i].header_key.data == NULL) columns[count++] = s->columns[i];
    }
    *out = columns;
    return count;
}

slice key_format_name(const planner_env *env, const with_values *with, arena *a)
{
    return upper_case(a, first_present(with->key_format, default_key_format(env), NO_SLICE));
}

slice value_format_name(const planner_env *env, const with_values *with, arena *a)
{
    return upper_case(a, first_present(with->value_format, setting_of(env, "ksql.persistence.default.format.value"), SLICE("")));
}

weir_rc make_formats(const planner_env *env, const with_values *with, const source *inherit, slice owner, slice topic,
                     const schema *columns, arena *a, format_spec *key, format_spec *value, sql_pos at, weir_error *err)
{
    uint32_t key_traits, value_traits;
    const schema_column *values;
    uint32_t value_count = value_columns_of(columns, a, &values);
    bool inherits_none = inherit != NULL && slice_equal_nocase(inherit->key.name, SLICE("NONE"));
    slice from_key = inherit != NULL && !(inherits_none && columns->key_count > 0) ? inherit->key.name : NO_SLICE;
    slice value_name = first_present(with->value_format, inherit != NULL ? inherit->value.name : NO_SLICE,
                                     setting_of(env, "ksql.persistence.default.format.value"));

    if (value_name.data == NULL || value_name.len == 0) {
        return weir_fail(err, WEIR_SEMANTIC, at, "WITH needs a VALUE_FORMAT, such as VALUE_FORMAT = 'JSON'; SET "
                         "'ksql.persistence.default.format.value' = 'JSON' gives one to all");
    }
    *key = (format_spec){ .name = upper_case(a, first_present(with->key_format, from_key, default_key_format(env))), .is_key = true };
    *value = (format_spec){ .name = upper_case(a, value_name) };
    sql_pos key_at = with->key_format.data != NULL ? with->key_format_at : at;
    sql_pos value_at = with->value_format.data != NULL ? with->value_format_at : at;
    WEIR_TRY(traits_of(key->name, &key_traits, key_at, err));
    WEIR_TRY(traits_of(value->name, &value_traits, value_at, err));
    WEIR_TRY(settle_schema(env, with, owner, topic, a, key, key_at, err));
    WEIR_TRY(settle_schema(env, with, owner, topic, a, value, value_at, err));
    bool both = with->key_format.data != NULL && with->value_format.data != NULL &&
                with->key_format_at.line == with->value_format_at.line &&
                with->key_format_at.column == with->value_format_at.column;
    if (inherit != NULL && columns->key_count == 0 && with->key_format.data != NULL && !both && !slice_is(key->name, "NONE")) {
        return weir_fail(err, WEIR_SEMANTIC, key_at, "KEY_FORMAT is given, and the result has no key columns; leave it out, or PARTITION BY a column");
    }
    bool same_key = inherit != NULL && slice_equal_nocase(inherit->key.name, key->name);
    bool same_value = inherit != NULL && slice_equal_nocase(inherit->value.name, value->name);
    key->delimiter = first_present(with->key_delimiter, same_key ? arena_copy(a, inherit->key.delimiter) : NO_SLICE, NO_SLICE);
    value->delimiter = first_present(with->value_delimiter, same_value ? arena_copy(a, inherit->value.delimiter) : NO_SLICE, NO_SLICE);
    if (same_key && with->key_schema.nulls < 0) key->nulls = inherit->key.nulls;
    if (same_value && with->value_schema.nulls < 0) value->nulls = inherit->value.nulls;
    key->is_unwrapped = columns->key_count == 1 && (key_traits & FORMAT_UNWRAPS) != 0;
    WEIR_TRY(settle_wrapping(env, with, value_count, value_traits, value, err));
    if (inherit != NULL && key->schema_id > 0) {
        WEIR_TRY(check_against_schema(key, columns->columns, columns->key_count, with->key_schema.id_at, a, err));
    }
    if (inherit != NULL && value->schema_id > 0) {
        WEIR_TRY(check_against_schema(value, values, value_count, with->value_schema.id_at, a, err));
    }
    WEIR_TRY(check_format(key, columns->columns, columns->key_count, a, key_at, err));
    return check_format(value, values, value_count, a, value_at, err);
}

/* ---- topics ---- */

weir_rc check_topic_name(slice topic, sql_pos at, weir_error *err)
{
    bool fits = topic.len > 0 && topic.len < 250 && !slice_is(topic, ".") && !slice_is(topic, "..");

    for (size_t i = 0; fits && i < topic.len; i++) fits = isalnum((unsigned char)topic.data[i]) || memchr("._-", topic.data[i], 3) != NULL;
    if (fits) return WEIR_OK;
    return weir_fail(err, WEIR_SEMANTIC, at, "%.*s cannot be a topic's name, which has 1 to 249 of the characters a-z A-Z 0-9 . _ -; "
                     "KAFKA_TOPIC names another", SLICE_ARG(topic));
}

weir_rc settle_topic(const planner_env *env, const with_values *with, slice topic, int32_t partitions, int32_t replicas,
                     source *out, bool *makes_topic, weir_error *err)
{
    int32_t found = 0, found_replicas = 0;

    if (env->topic_partitions != NULL) {
        WEIR_TRY(env->topic_partitions(env->self, topic, &found, &found_replicas, err));
    }
    out->topic = topic;
    out->retention_ms = with->retention_ms;
    *makes_topic = found == 0;
    if (found > 0 && with->partitions > 0 && with->partitions != found) {
        return weir_fail(err, WEIR_SEMANTIC, with->partitions_at, "topic %.*s exists and has %d partition%s, not %d: leave PARTITIONS out",
                         SLICE_ARG(topic), found, found == 1 ? "" : "s", with->partitions);
    }
    out->partitions = found > 0 ? found : with->partitions > 0 ? with->partitions : partitions > 0 ? partitions : 1;
    out->replicas = found > 0 ? found_replicas : with->replicas > 0 ? with->replicas : replicas > 0 ? replicas : 1;
    return WEIR_OK;
}

cleanup_policy cleanup_of(const with_values *with, const source *made)
{
    if (with->cleanup >= 0) return (cleanup_policy)with->cleanup;
    if (!made->is_table) return CLEANUP_DELETE;
    return made->windowed == WINDOW_NONE ? CLEANUP_COMPACT : CLEANUP_COMPACT_DELETE;
}

weir_rc check_retention(const with_values *with, const source *made, weir_error *err)
{
    if (with->retention_ms < 0 || !made->is_table || made->windowed != WINDOW_NONE) return WEIR_OK;
    return weir_fail(err, WEIR_SEMANTIC, with->retention_at,
                     "RETENTION_MS is for streams and windowed tables: %.*s keeps the last row of each key", SLICE_ARG(made->name));
}

/* ---- event time ---- */

/* A pattern that no text could follow is an error of the statement, not of each record. */
static weir_rc check_time_pattern(slice pattern, sql_pos at, arena *a, weir_error *err)
{
    const type *types[2] = { &type_string, &type_string };
    const value literal = { .str = pattern };
    const value *constants[2] = { NULL, &literal };
    const lambda *lambdas[2] = { NULL, NULL };
    resolved found;

    WEIR_TRY(function_resolve(SLICE("STRINGTOTIMESTAMP"), types, 2, NULL, at, a, &found, err));
    call c = { .fn = found.fn, .result = found.result, .arg_types = types, .arg_count = 2, .constants = constants, .lambdas = lambdas };
    err->at = NOWHERE;
    weir_rc rc = found.fn->prepare == NULL ? WEIR_OK : found.fn->prepare(&c, a, err);
    if (rc == WEIR_OK && found.fn->release != NULL) found.fn->release(&c);
    if (rc != WEIR_OK && err->at.line == 0) err->at = at;
    return rc;
}

weir_rc find_timestamp(const with_values *with, const schema *columns, arena *a, int32_t *column_index, slice *format, weir_error *err)
{
    *column_index = -1;
    *format = with->timestamp_format;
    if (with->timestamp.data == NULL) return WEIR_OK;
    *column_index = schema_find(columns, with->timestamp);
    nearest n = nearest_to(with->timestamp);
    for (uint32_t i = 0; i < columns->count; i++) nearest_offer(&n, columns->columns[i].name);
    if (*column_index < 0) {
        return weir_fail(err, WEIR_SEMANTIC, with->timestamp_at, "TIMESTAMP names the column %.*s, which there is not%s",
                         SLICE_ARG(with->timestamp), nearest_or_all(&n));
    }
    const type *t = columns->columns[*column_index].type;
    bool has_format = with->timestamp_format.data != NULL;
    if (t->kind == TYPE_STRING && has_format) return check_time_pattern(with->timestamp_format, with->timestamp_format_at, a, err);
    if (has_format && (t->kind == TYPE_BIGINT || t->kind == TYPE_TIMESTAMP)) {
        return weir_fail(err, WEIR_SEMANTIC, with->timestamp_format_at,
                         "TIMESTAMP_FORMAT is for a STRING; the TIMESTAMP column %.*s needs none", SLICE_ARG(with->timestamp));
    }
    if (t->kind == TYPE_BIGINT || t->kind == TYPE_TIMESTAMP) return WEIR_OK;
    slice found = type_text(a, t);
    return weir_fail(err, WEIR_SEMANTIC, with->timestamp_at,
                     "TIMESTAMP column %.*s must be a BIGINT, a TIMESTAMP, or a STRING with a TIMESTAMP_FORMAT; it is %.*s%s",
                     SLICE_ARG(with->timestamp), SLICE_ARG(found), t->kind == TYPE_STRING ? " without one" : "");
}
