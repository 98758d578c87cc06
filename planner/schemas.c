/* planner/schemas.c - schemas in a registry, as statements meet them: columns nobody declared, and ids somebody names. */
#include "planner/build.h"

#include <ctype.h>

static const char *side_word(bool is_key)
{
    return is_key ? "KEY" : "VALUE";
}

static uint32_t traits_of(slice format)
{
    bool found;
    return format_traits_of(format, &found);
}

/* MY_TABLE: io.confluent.ksql.avro_schemas.MyTableKey */
static slice key_record_name(slice owner, arena *a)
{
    char *camel = ARENA_ARRAY(a, char, owner.len + 1);
    size_t len = 0;
    bool is_first = true;

    for (size_t i = 0; i < owner.len; i++) {
        unsigned char c = (unsigned char)owner.data[i];
        if (c == '_') {
            is_first = true;
            continue;
        }
        camel[len++] = (char)(is_first ? toupper(c) : tolower(c));
        is_first = false;
    }
    return arena_printf(a, "io.confluent.ksql.avro_schemas.%.*sKey", (int)len, camel);
}

weir_rc settle_schema(const planner_env *env, const with_values *with, slice owner, slice topic, arena *a, format_spec *spec,
                      sql_pos at, weir_error *err)
{
    const schema_options *o = spec->is_key ? &with->key_schema : &with->value_schema;
    uint32_t traits = traits_of(spec->name);
    const char *side = side_word(spec->is_key);

    if (o->id > 0 && !(traits & FORMAT_SCHEMAS)) {
        return weir_fail(err, WEIR_SEMANTIC, o->id_at,
                         "%s_SCHEMA_ID is for formats with a schema registry (AVRO, JSON_SR, PROTOBUF); %.*s has none", side,
                         SLICE_ARG(spec->name));
    }
    if (o->name.data != NULL && !(traits & FORMAT_SCHEMAS)) {
        return weir_fail(err, WEIR_SEMANTIC, o->name_at,
                         "%s_SCHEMA_FULL_NAME is for formats with a schema registry (AVRO, JSON_SR, PROTOBUF); %.*s has none", side,
                         SLICE_ARG(spec->name));
    }
    if (o->nulls >= 0 && !(traits & FORMAT_NULLS)) {
        return weir_fail(err, WEIR_SEMANTIC, o->nulls_at, "%s_PROTOBUF_NULLABLE_REPRESENTATION is for PROTOBUF; the format is %.*s",
                         side, SLICE_ARG(spec->name));
    }
    if (o->nulls >= 0) spec->nulls = (format_nulls)o->nulls;
    if (!(traits & FORMAT_SCHEMAS)) return WEIR_OK;
    if (env->registry == NULL) {
        return weir_fail(err, WEIR_SEMANTIC, at,
                         "format %.*s keeps its schemas in a schema registry: give its address with --schema-registry",
                         SLICE_ARG(spec->name));
    }
    spec->registry = env->registry;
    spec->subject = arena_printf(a, "%.*s-%s", SLICE_ARG(topic), spec->is_key ? "key" : "value");
    spec->schema_id = o->id;
    spec->schema_name = arena_copy(a, o->name);
    if (spec->is_key && spec->schema_name.data == NULL && slice_is(spec->name, "AVRO")) spec->schema_name = key_record_name(owner, a);
    return WEIR_OK;
}

/* ---- inference ---- */

static bool is_header(const schema_column *c)
{
    return c->is_headers || c->header_key.data != NULL;
}

typedef struct side_columns {
    const schema_column *items;
    uint32_t count;
} side_columns;

/* One side: its declared columns, else those of the schema. */
static weir_rc infer_side(const planner_env *env, const with_values *with, slice owner, slice topic, arena *a, bool is_key,
                          sql_pos at, side_columns *columns, weir_error *err)
{
    format_spec spec = { .is_key = is_key, .name = is_key ? key_format_name(env, with, a) : value_format_name(env, with, a) };
    const schema_options *o = is_key ? &with->key_schema : &with->value_schema;
    uint32_t traits = traits_of(spec.name);

    if (columns->count > 0 && o->id > 0) {
        return weir_fail(err, WEIR_SEMANTIC, o->id_at, "%s_SCHEMA_ID gives the columns of the %s: they cannot be declared as well; leave one of the two out",
                         side_word(is_key), is_key ? "key" : "value");
    }
    if (columns->count > 0) return WEIR_OK;
    WEIR_TRY(settle_schema(env, with, owner, topic, a, &spec, at, err));
    if (!(traits & FORMAT_SCHEMAS)) return WEIR_OK;
    spec.is_unwrapped = is_key ? (traits & FORMAT_UNWRAPS) != 0 : with->wrap == 0 && (traits & FORMAT_UNWRAPS) != 0;
    err->at = NOWHERE;
    weir_rc rc = format_columns(&spec, a, &columns->items, &columns->count, err);
    if (rc != WEIR_OK) err->at = o->id > 0 ? o->id_at : at;
    return rc;
}

static weir_rc check_names(const schema *s, sql_pos at, weir_error *err)
{
    for (uint32_t i = 0; i < s->count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (!slice_equal(s->columns[i].name, s->columns[k].name)) continue;
            return weir_fail(err, WEIR_SEMANTIC, at, "two columns are named %.*s, which the registry's schemas give: declare the columns",
                             SLICE_ARG(s->columns[i].name));
        }
    }
    return WEIR_OK;
}

weir_rc infer_columns(const planner_env *env, const with_values *with, slice owner, slice topic, arena *a, schema *columns,
                      sql_pos at, weir_error *err)
{
    const schema declared = *columns;
    schema_column *values = ARENA_ZEROS(a, schema_column, declared.count);
    side_columns key = { declared.columns, declared.key_count }, value = { values, 0 };
    uint32_t count = 0;

    for (uint32_t i = declared.key_count; i < declared.count; i++) {
        if (!is_header(&declared.columns[i])) values[value.count++] = declared.columns[i];
    }
    bool has_values = value.count > 0;
    WEIR_TRY(infer_side(env, with, owner, topic, a, true, at, &key, err));
    WEIR_TRY(infer_side(env, with, owner, topic, a, false, at, &value, err));
    if (key.count == declared.key_count && (has_values || value.count == 0)) return WEIR_OK;
    schema_column *all = ARENA_ZEROS(a, schema_column, key.count + value.count + declared.count);
    for (uint32_t i = 0; i < key.count; i++) all[count++] = key.items[i];
    for (uint32_t i = 0; !has_values && i < value.count; i++) all[count++] = value.items[i];
    for (uint32_t i = declared.key_count; i < declared.count; i++) all[count++] = declared.columns[i];
    *columns = (schema){ all, key.count, count };
    builder b = { .arena = a, .env = env, .err = err };
    for (uint32_t i = 0; i < key.count; i++) WEIR_TRY(check_key_type(&b, all[i].type, all[i].name, at));
    return check_names(columns, at, err);
}

/* ---- schemas named in CREATE ... AS ---- */

static void print_columns(text *out, const schema_column *columns, uint32_t count)
{
    const schema whole = { columns, 0, count };

    schema_print(out, &whole, false);
}

weir_rc check_against_schema(const format_spec *spec, const schema_column *columns, uint32_t count, sql_pos at, arena *a,
                             weir_error *err)
{
    const schema_column *there;
    uint32_t there_count, i;

    err->at = NOWHERE;
    weir_rc rc = format_columns(spec, a, &there, &there_count, err);
    if (rc != WEIR_OK) {
        err->at = at;
        return rc;
    }
    for (i = 0; i < count && i < there_count; i++) {
        if (!spec->is_unwrapped && !slice_equal(columns[i].name, there[i].name)) break;
        if (!type_equal(columns[i].type, there[i].type)) break;
    }
    if (i == count) return WEIR_OK;
    text shown = TEXT_EMPTY;
    text_printf(&shown, "the columns of the %s are not those of schema %d, by name, type and order: from `%.*s` on, ",
                spec->is_key ? "key" : "value", spec->schema_id, SLICE_ARG(columns[i].name));
    print_columns(&shown, columns + i, count - i);
    text_add_c(&shown, "; the schema has ");
    print_columns(&shown, there, there_count);
    rc = weir_fail(err, WEIR_SEMANTIC, at, "%.*s", SLICE_ARG(text_slice(&shown)));
    text_free(&shown);
    return rc;
}
