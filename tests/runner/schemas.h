/* tests/runner/schemas.h - the schemas that a case brings, into the engine's registry. */
#ifndef WEIR_TESTS_RUNNER_SCHEMAS_H
#define WEIR_TESTS_RUNNER_SCHEMAS_H

#include "storage/registry.h"
#include "tests/runner/codec.h"

/* What the reference gives ids to before the first schema of a topic: those of so many declared sides. */
void register_topics(registry *r, const node *topics, uint32_t declared, arena *a);

/* Adds the subject's latest schema: as it is, or, of Protobuf, as a string. False: there is none. */
bool print_schema_of(text *out, const format_spec *spec);

#endif
