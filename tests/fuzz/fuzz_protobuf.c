/* tests/fuzz/fuzz_protobuf.c - any bytes as a Protobuf message, or, seldom, as .proto text; the first byte chooses. */
#include "tests/fuzz/schema_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    slice rest = { (const char *)data + 1, size - 1 };
    format_spec spec = { .name = SLICE("PROTOBUF_NOSR"), .nulls = (format_nulls)(data[0] % 3) };

    if (data[0] < 0xF0) {
        there_and_back(&spec, rest);
        return 0;
    }
    registry *r = registry_open_local(NULL);
    arena *a = arena_new(0);
    const schema_column *columns;
    weir_error err;
    uint32_t count;
    spec = (format_spec){ .name = SLICE("PROTOBUF"), .registry = r, .subject = SLICE("s") };
    registry_put(r, spec.subject, &(schema_text){ .language = SCHEMA_PROTOBUF, .text = rest }, 0);
    (void)!format_columns(&spec, a, &columns, &count, &err);
    arena_free(a);
    registry_close(r);
    return 0;
}
