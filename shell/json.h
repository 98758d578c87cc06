/* shell/json.h - the little JSON that the command line writes and reads itself. */
#ifndef WEIR_SHELL_JSON_H
#define WEIR_SHELL_JSON_H

#include "core/text.h"

/* Adds "text" with its quotes. */
void json_add_string(text *out, slice s);
/* A string where the bytes are UTF-8, else {"$base64":"..."}; null where absent. */
void json_add_bytes(text *out, slice bytes);
bool is_utf8(slice bytes);
/* Adds the JSON without the white space outside of its strings. */
void json_add_compact(text *out, slice json);
/* Adds the text a JSON string stands for. in begins behind the opening quote; returns the bytes read with the closing
 * quote, 0: it does not end or is none. */
size_t json_take_string(text *out, slice in);

#endif
