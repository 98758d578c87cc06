/* tests/runner/codec.h - records as the cases write them to bytes, and bytes back to what is printed, a format at a time.
 * A new format is one row in codec.c's table. */
#ifndef WEIR_TESTS_RUNNER_CODEC_H
#define WEIR_TESTS_RUNNER_CODEC_H

#include "planner/catalog.h"
#include "core/json_tree.h"

/* The key or the value of the records of a topic. */
typedef struct side {
    bool is_key;
    format_spec spec;
    const schema_column *columns;
    uint32_t count;
    window_kind windowed; /* of keys */
    int64_t window_size_ms;
} side;

/* Both sides of a source's topic, in the arena. */
void sides_of(const source *s, arena *a, side *key, side *value);

/* The bytes of a value as a case gives it; absent: none. False: there is no codec for the format yet. */
bool side_encode(const side *s, const node *from, arena *a, slice *out);
/* Adds the bytes as JSON; for keys without the window behind them. */
void side_print(const side *s, slice bytes, arena *a, text *out);

void print_base64(text *out, slice bytes);

#endif
