/* tests/fuzz/fuzz_run_block.c - any bytes as a block of a sorted run. What was read is looked at to the last byte; where its keys are
 * in order, each is found, and a block that is made of them has the same. */
#include "core/arena.h"
#include "storage/run_block.h"

#include <stdlib.h>

enum { ITEMS_MAX = 4096 };

static slice key_of(const run_block *b, slice rest, arena *a)
{
    text key = TEXT_EMPTY;

    text_add(&key, b->prefix);
    text_add(&key, rest);
    slice copy = arena_copy(a, text_slice(&key));
    text_free(&key);
    return copy;
}

static bool same(slice a, slice b)
{
    return slice_equal(a, b) && (a.data == NULL) == (b.data == NULL);
}

/* Through a block that is made of them. */
static void again(const slice *keys, const slice *values, uint32_t count)
{
    run_block_maker made = { 0 };
    run_block b;
    slice value;
    bool known;

    for (uint32_t i = 0; i < count; i++) {
        if (!run_block_add(&made, keys[i], values[i], SIZE_MAX)) abort();
    }
    const size_t len = run_block_bytes(&made);
    char *bytes = malloc(len);
    run_block_write(&made, bytes);
    if (!run_block_see((slice){ bytes, len }, &b) || b.items != count) abort();
    for (uint32_t i = 0; i < count; i++) {
        if (!run_block_get(&b, keys[i], &value, &known) || !known || !same(value, values[i])) abort();
    }
    free(bytes);
    run_block_maker_free(&made);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static slice keys[ITEMS_MAX], values[ITEMS_MAX];
    arena *a = arena_new(0);
    const slice bytes = { (const char *)data, size };
    bool is_in_order = true;
    run_block b;
    uint32_t count = 0;

    if (run_block_see(bytes, &b) && b.items <= ITEMS_MAX) {
        for (; count < b.items; count++) {
            slice rest, value;
            if (!run_block_item(&b, count, &rest, &value)) break;
            keys[count] = key_of(&b, rest, a);
            values[count] = value.data == NULL ? NO_SLICE : arena_copy(a, value);
            is_in_order = is_in_order && (count == 0 || slice_compare(keys[count - 1], keys[count]) < 0);
        }
        for (uint32_t i = 0; i < count; i++) {
            slice value;
            bool known;
            bool is_read = run_block_get(&b, keys[i], &value, &known);
            if (is_in_order && count == b.items && (!is_read || !known || !same(value, values[i]))) abort();
        }
        for (uint32_t i = 0; i < count; i++) is_in_order = is_in_order && keys[i].len < 0x8000; /* as all keys of runs are */
        if (is_in_order && count == b.items) again(keys, values, count);
    }
    arena_free(a);
    return 0;
}
