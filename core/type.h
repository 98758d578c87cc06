/* core/type.h - the SQL types. A type is immutable; scalars are static, the others live in the arena of whoever made them. */
#ifndef WEIR_CORE_TYPE_H
#define WEIR_CORE_TYPE_H

#include "core/text.h"

typedef enum type_kind {
    TYPE_NULL, /* the type of a bare NULL: fits everywhere */
    TYPE_BOOLEAN,
    TYPE_INTEGER,
    TYPE_BIGINT,
    TYPE_DECIMAL,
    TYPE_DOUBLE,
    TYPE_STRING,
    TYPE_BYTES,
    TYPE_DATE,      /* days since 1970 */
    TYPE_TIME,      /* milliseconds of the day */
    TYPE_TIMESTAMP, /* milliseconds since 1970, UTC */
    TYPE_ARRAY,
    TYPE_MAP,
    TYPE_STRUCT,
    TYPE_LAMBDA,   /* of an argument only */
    TYPE_INTERVAL_UNIT /* of an argument only: DAYS in DATEADD(DAYS, 1, d); its value is a string */
} type_kind;

typedef struct type type;

#define DECIMAL_PRECISION_MAX 255     /* digits a type may say */
#define DECIMAL_DIGITS_MAX 38         /* digits a value has, and so places of a type */
#define DECIMAL_PRECISION_DEFAULT 64  /* where a schema does not say: that of Kafka Connect */

typedef struct type_field {
    slice name;
    const type *type;
} type_field;

struct type {
    type_kind kind;
    uint8_t precision, scale; /* DECIMAL: 1..255, 0..precision and at most 38; a value has 38 digits, whatever the type says */
    const type *key;          /* MAP's */
    const type *element;      /* ARRAY's; MAP's value */
    const type_field *fields; /* STRUCT's */
    uint32_t field_count;
};

extern const type type_null, type_boolean, type_integer, type_bigint, type_double, type_string, type_bytes, type_date,
    type_time, type_timestamp;

const type *type_decimal(arena *a, uint32_t precision, uint32_t scale);
const type *type_array(arena *a, const type *element);
const type *type_map(arena *a, const type *key, const type *value);
const type *type_struct(arena *a, const type_field *fields, uint32_t count); /* copies the fields and their names */
const type *type_copy(arena *a, const type *t);

bool type_equal(const type *a, const type *b);
static inline bool type_is_number(const type *t) { return t->kind >= TYPE_INTEGER && t->kind <= TYPE_DOUBLE; }
static inline bool type_is_nested(const type *t) { return t->kind >= TYPE_ARRAY && t->kind <= TYPE_STRUCT; }

/* The place of the field of that name in a STRUCT: as written, else ignoring case; -1: there is none. */
int32_t type_find_field(const type *t, slice name);

/* As users read it: "BIGINT", "DECIMAL(4, 2)", "ARRAY<STRING>", "STRUCT<`A` INTEGER, `B` STRING>". */
void type_print(text *out, const type *t);
slice type_text(arena *a, const type *t);

/* Adds a name in back quotes, with those inside doubled. */
void print_quoted_name(text *out, slice name);

#endif
