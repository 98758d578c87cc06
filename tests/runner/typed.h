/* tests/runner/typed.h - records of the formats with schemas, as the cases write and print them. The bytes are made and read
 * by the formats themselves; here is only the JSON beside. */
#ifndef WEIR_TESTS_RUNNER_TYPED_H
#define WEIR_TESTS_RUNNER_TYPED_H

#include "tests/runner/codec.h"

/* By the latest schema of the subject, or the declared columns where the format has none. What does not fit becomes its text,
 * which no decoder takes for a record. */
slice typed_encode(const side *s, const node *from, arena *a);
bool typed_print(const side *s, slice bytes, arena *a, text *out);

#endif
