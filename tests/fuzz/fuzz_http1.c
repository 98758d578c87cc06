/* tests/fuzz/fuzz_http1.c - any bytes from a client that does not begin with HTTP/2's preface, in pieces of any size: requests,
 * bodies, WebSockets. The first byte says how large the pieces are. */
#include "serving.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 2 || bytes > 65536) return 0;
    serve_bytes((const char *)data + 1, bytes - 1, data[0] == 0 ? bytes : (size_t)data[0] * data[0]);
    return 0;
}
