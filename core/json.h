/* core/json.h - SQL values as JSON text and back: the short way for one value. Whole columns go through json_read.h and
 * json_write.h. Numbers are printed as core/number.h does, BYTES in base64, dates and times as numbers. */
#ifndef WEIR_CORE_JSON_H
#define WEIR_CORE_JSON_H

#include "core/value.h"

/* Quoted, with what JSON asks for escaped; '/' and other than ASCII as they are. */
void print_json_string(text *out, slice string);
/* A value as JSON, as the JSON format writes it. */
void print_json_value(text *out, const type *t, const value *v);
/* One JSON document as a value of the type, coerced as the JSON format does. False: it does not fit; reason says why. */
bool parse_json_value(slice json, const type *t, arena *a, value *out, const char **reason);

#endif
