/* tests/fuzz/fuzz_http2.c - any bytes behind HTTP/2's preface, in pieces of any size. The first byte says how large these are; from
 * 128 on, it also says that lengths of frames are made to fit what there is, so that more of them are frames. */
#include "serving.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void fit_lengths(char *at, size_t left)
{
    while (left >= 9) {
        size_t len = (size_t)(uint8_t)at[0] << 16 | (size_t)(uint8_t)at[1] << 8 | (uint8_t)at[2];
        if (len > left - 9) len = left - 9;
        at[0] = (char)(len >> 16);
        at[1] = (char)(len >> 8);
        at[2] = (char)len;
        at += 9 + len;
        left -= 9 + len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    text all = TEXT_EMPTY;

    if (bytes < 2 || bytes > 65536) return 0;
    text_add(&all, slice_of(preface));
    text_add(&all, (slice){ (const char *)data + 1, bytes - 1 });
    if (data[0] & 128) fit_lengths(all.data + sizeof preface - 1, bytes - 1);
    size_t small = data[0] & 127;
    serve_bytes(all.data, all.len, small == 0 ? all.len : small * small);
    text_free(&all);
    return 0;
}
