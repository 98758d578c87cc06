/* core/json_write.h - SQL values as JSON text: first the most bytes it can take, then no bounds to check. */
#ifndef WEIR_CORE_JSON_WRITE_H
#define WEIR_CORE_JSON_WRITE_H

#include "core/value.h"

#define JSON_SCALAR_MAX 48 /* of any boolean or number, "-Infinity" and null included */

size_t json_string_bytes_max(slice string);
char *json_write_string(char *at, slice string);
char *json_write_f64(char *at, double number); /* what is no number is a string: "NaN" */
char *json_write_bytes(char *at, slice bytes);

size_t json_value_bytes_max(const type *t, const value *v);
char *json_write_value(char *at, const type *t, const value *v);

#endif
