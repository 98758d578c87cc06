/* tests/fuzz/fuzz_avro.c - any bytes as an Avro record, or as an Avro or JSON schema; the first byte chooses. */
#include "tests/fuzz/schema_rows.h"

/* As others write them: no nulls, other orders, what no column wants. */
static const char *const SCHEMAS[] = {
    "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"skipped\",\"type\":[\"null\",{\"type\":\"map\",\"values\":[\"string\",\"float\","
    "{\"type\":\"array\",\"items\":\"bytes\"}]}]},{\"name\":\"n\",\"type\":\"int\"},{\"name\":\"a\",\"type\":{\"type\":\"enum\",\"name\":\"e\","
    "\"symbols\":[\"X\",\"Y\"]}},{\"name\":\"k\",\"type\":{\"type\":\"map\",\"values\":{\"type\":\"record\",\"name\":\"s\",\"fields\":"
    "[{\"name\":\"y\",\"type\":\"string\"},{\"name\":\"x\",\"type\":{\"type\":\"array\",\"items\":\"float\"}}]}}}]}",
    "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"A\",\"type\":\"double\"},{\"name\":\"E\",\"type\":{\"type\":\"fixed\",\"name\":\"x\","
    "\"size\":20,\"logicalType\":\"decimal\",\"precision\":30,\"scale\":2}},{\"name\":\"next\",\"type\":[\"null\",\"r\"]}]}",
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    registry *r = registry_open_local(NULL);
    format_spec spec = { .name = SLICE("AVRO"), .registry = r, .subject = SLICE("s") };
    slice rest = { (const char *)data + 1, size - 1 };
    const schema_column *columns;
    arena *a = arena_new(0);
    weir_error err;
    uint32_t count;

    if (data[0] % 4 < 2) {
        spec.name = data[0] % 4 == 0 ? spec.name : SLICE("JSON_SR");
        registry_put(r, spec.subject, &(schema_text){ .language = data[0] % 4 == 0 ? SCHEMA_AVRO : SCHEMA_JSON, .text = rest }, 0);
        (void)!format_columns(&spec, a, &columns, &count, &err);
    } else {
        for (int i = 0; i < 2; i++) registry_put(r, SLICE("o"), &(schema_text){ .language = SCHEMA_AVRO, .text = slice_of(SCHEMAS[i]) }, i + 2);
        if (format_register(&spec, COLUMNS, COUNT, false, &err) != WEIR_OK) abort();
        char *framed = arena_zero(a, rest.len + 5);
        framed[4] = (char)(data[0] / 4 % 4 == 0 ? 4 : data[0] / 4 % 4 + 1); /* the columns' own has the next id: 4 */
        if (rest.len > 0) memcpy(framed + 5, rest.data, rest.len);
        there_and_back(&spec, (slice){ framed, rest.len + 5 });
    }
    arena_free(a);
    registry_close(r);
    return 0;
}
