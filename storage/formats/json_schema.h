/* storage/formats/json_schema.h - JSON schemas from columns and as columns, with the metadata (connect.*) by which Kafka
 * Connect's converter, and so ksqlDB, tells the types apart that JSON has not. */
#ifndef WEIR_STORAGE_FORMATS_JSON_SCHEMA_H
#define WEIR_STORAGE_FORMATS_JSON_SCHEMA_H

#include "core/error.h"
#include "core/schema.h"

/* The type of what the schema describes. upper: properties' names in upper case. Semantic error: there is none. */
weir_rc json_schema_type(slice json, bool upper, arena *a, const type **out, weir_error *err) WEIR_CHECKED;
/* Of an object with these columns; or, unwrapped, of the lone column. */
void json_schema_print(text *out, const schema_column *columns, uint32_t count, bool is_unwrapped);

#endif
