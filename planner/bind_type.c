/* planner/bind_type.c - types as written: their names, parameters, and those made by CREATE TYPE. */
#include "planner/bind.h"
#include "planner/planner.h"

#include "core/nearest.h"

static const struct {
    const char *name;
    const type *type;
} NAMED_TYPES[] = {
    { "BOOLEAN", &type_boolean }, { "INT", &type_integer },   { "INTEGER", &type_integer }, { "BIGINT", &type_bigint },
    { "DOUBLE", &type_double },   { "STRING", &type_string }, { "VARCHAR", &type_string },  { "BYTES", &type_bytes },
    { "DATE", &type_date },       { "TIME", &type_time },     { "TIMESTAMP", &type_timestamp },
};

/* What other dialects call them, and those that are written with what they are made of. */
static const struct {
    const char *elsewhere, *here;
} OTHER_TYPES[] = {
    { "BOOL", "BOOLEAN" },
    { "BIT", "BOOLEAN" },
    { "TINYINT", "INTEGER" },
    { "SMALLINT", "INTEGER" },
    { "INT2", "INTEGER" },
    { "INT4", "INTEGER" },
    { "SERIAL", "INTEGER" },
    { "LONG", "BIGINT" },
    { "INT8", "BIGINT" },
    { "BIGSERIAL", "BIGINT" },
    { "FLOAT", "DOUBLE" },
    { "FLOAT4", "DOUBLE" },
    { "FLOAT8", "DOUBLE" },
    { "REAL", "DOUBLE" },
    { "NUMBER", "DECIMAL(10, 2)" },
    { "TEXT", "STRING" },
    { "CHAR", "STRING" },
    { "CHARACTER", "STRING" },
    { "NVARCHAR", "STRING" },
    { "CLOB", "STRING" },
    { "JSON", "STRING" },
    { "JSONB", "STRING" },
    { "UUID", "STRING" },
    { "BLOB", "BYTES" },
    { "BINARY", "BYTES" },
    { "VARBINARY", "BYTES" },
    { "BYTEA", "BYTES" },
    { "DATETIME", "TIMESTAMP" },
    { "TIMESTAMPTZ", "TIMESTAMP" },
    { "ARRAY", "ARRAY<type>" },
    { "LIST", "ARRAY<type>" },
    { "MAP", "MAP<STRING, type>" },
    { "STRUCT", "STRUCT<name type, ...>" },
    { "ROW", "STRUCT<name type, ...>" },
};

bool is_builtin_type(slice name)
{
    static const char *const others[] = { "DECIMAL", "DEC", "NUMERIC", "ARRAY", "MAP", "STRUCT" };

    for (size_t i = 0; i < sizeof NAMED_TYPES / sizeof NAMED_TYPES[0]; i++) {
        if (slice_is(name, NAMED_TYPES[i].name)) return true;
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (slice_is(name, others[i])) return true;
    }
    return false;
}

static weir_rc bind_decimal_type(const type_name *t, arena *a, const type **out, weir_error *err)
{
    int64_t precision = t->parameter_count > 0 ? t->parameters[0] : 0;
    int64_t scale = t->parameter_count > 1 ? t->parameters[1] : 0;

    if (t->parameter_count == 0 || t->parameter_count > 2) {
        return weir_fail(err, WEIR_SEMANTIC, t->at, "DECIMAL is written with its digits, as in DECIMAL(10, 2)");
    }
    if (precision < 1 || precision > DECIMAL_PRECISION_MAX) {
        return weir_fail(err, WEIR_SEMANTIC, t->at, "DECIMAL has 1 to %d digits, not %lld", DECIMAL_PRECISION_MAX,
                         (long long)precision);
    }
    if (scale < 0 || scale > precision) {
        return weir_fail(err, WEIR_SEMANTIC, t->at, "DECIMAL(%lld, %lld) has more places than digits",
                         (long long)precision, (long long)scale);
    }
    if (scale > DECIMAL_DIGITS_MAX) {
        return weir_fail(err, WEIR_SEMANTIC, t->at, "DECIMAL has at most %d places, not %lld", DECIMAL_DIGITS_MAX, (long long)scale);
    }
    *out = type_decimal(a, (uint32_t)precision, (uint32_t)scale);
    return WEIR_OK;
}

static weir_rc bind_plain(const type_name *t, const catalog *types, arena *a, const type **out, weir_error *err)
{
    slice name = t->name.name;
    nearest n = nearest_to(name);

    if (!t->name.quoted && (slice_is(name, "DECIMAL") || slice_is(name, "DEC") || slice_is(name, "NUMERIC"))) {
        return bind_decimal_type(t, a, out, err);
    }
    for (size_t i = 0; i < sizeof NAMED_TYPES / sizeof NAMED_TYPES[0]; i++) {
        nearest_offer(&n, slice_of(NAMED_TYPES[i].name));
        if (t->name.quoted || !slice_is(name, NAMED_TYPES[i].name)) continue;
        *out = NAMED_TYPES[i].type;
        return WEIR_OK;
    }
    const type *custom = types == NULL ? NULL : catalog_type(types, name);
    if (custom != NULL) {
        *out = type_copy(a, custom);
        return WEIR_OK;
    }
    uint32_t count = 0;
    const custom_type *const *all = types == NULL ? NULL : catalog_types(types, &count);
    for (uint32_t i = 0; i < count; i++) nearest_offer(&n, all[i]->name);
    for (size_t i = 0; i < sizeof OTHER_TYPES / sizeof OTHER_TYPES[0]; i++) {
        nearest_offer_other(&n, OTHER_TYPES[i].elsewhere, OTHER_TYPES[i].here);
    }
    return weir_fail(err, WEIR_SEMANTIC, t->at, "unknown type %.*s%s", SLICE_ARG(name),
                     n.best.data != NULL ? nearest_hint(&n)
                                         : "; there are BOOLEAN, INTEGER, BIGINT, DOUBLE, DECIMAL(digits, places), STRING, BYTES, DATE, "
                                           "TIME, TIMESTAMP, ARRAY<type>, MAP<type, type>, STRUCT<name type, ...> and those of SHOW TYPES");
}

static weir_rc bind_struct_type(const type_name *t, const catalog *types, arena *a, const type **out, weir_error *err)
{
    type_field *fields = ARENA_ZEROS(a, type_field, t->field_count);

    for (uint32_t i = 0; i < t->field_count; i++) {
        fields[i].name = t->fields[i].name.name;
        for (uint32_t j = 0; j < i; j++) {
            if (!slice_equal(fields[j].name, fields[i].name)) continue;
            return weir_fail(err, WEIR_SEMANTIC, t->fields[i].name.at, "field %.*s stands twice in this STRUCT",
                             SLICE_ARG(fields[i].name));
        }
        WEIR_TRY(bind_type(t->fields[i].type, types, a, &fields[i].type, err));
    }
    *out = type_struct(a, fields, t->field_count);
    return WEIR_OK;
}

weir_rc bind_type(const type_name *t, const catalog *types, arena *a, const type **out, weir_error *err)
{
    const type *key = NULL, *element = NULL;

    switch (t->kind) {
    case TYPE_NAME_PLAIN: return bind_plain(t, types, a, out, err);
    case TYPE_NAME_STRUCT: return bind_struct_type(t, types, a, out, err);
    case TYPE_NAME_ARRAY:
        WEIR_TRY(bind_type(t->element, types, a, &element, err));
        *out = type_array(a, element);
        return WEIR_OK;
    case TYPE_NAME_MAP:
        WEIR_TRY(bind_type(t->key, types, a, &key, err));
        WEIR_TRY(bind_type(t->element, types, a, &element, err));
        *out = type_map(a, key, element);
        return WEIR_OK;
    }
    return weir_fail(err, WEIR_INTERNAL, t->at, "a type of unknown kind");
}
