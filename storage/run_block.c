/* storage/run_block.c - see run_block.h. */
#include "storage/run_block.h"

#include "core/bytes.h"

#define CLOSE ((uint32_t)1 << 31)
#define ERASED ((uint16_t)0x8000) /* in an item's end, or in its key's length */
#define RESTS_DIFFER ((uint16_t)0xFFFF)
#define CLOSE_HEAD_BYTES 8
#define CLOSE_ITEMS_BYTES_MAX ((size_t)0x7FFF) /* what an end can say */

/* ---- one that is there ---- */

static uint32_t end_of(const run_block *b, uint32_t item)
{
    return b->is_close ? get_u16(b->ends + 2 * (size_t)item) & (uint16_t)~ERASED : get_u32(b->ends + 4 * (size_t)item);
}

bool run_block_see(slice bytes, run_block *out)
{
    reader_bytes in = read_from(bytes);
    uint32_t head = read_u32(&in);

    *out = (run_block){ .items = head & ~CLOSE, .is_close = (head & CLOSE) != 0, .rest_len = RESTS_DIFFER, .prefix = SLICE("") };
    if (out->is_close) {
        out->rest_len = read_u16(&in);
        out->prefix.len = read_u16(&in);
    }
    out->ends = read_bytes(&in, (out->is_close ? 2 : 4) * (size_t)out->items);
    const char *prefix = read_bytes(&in, out->prefix.len);
    if (in.bad || out->items == 0) return false;
    if (out->prefix.len > 0) out->prefix.data = prefix;
    out->at = in.at;
    out->len = (size_t)(in.end - in.at);
    return end_of(out, out->items - 1) == out->len;
}

bool run_block_item(const run_block *b, uint32_t item, slice *rest, slice *value)
{
    const uint32_t from = item == 0 ? 0 : end_of(b, item - 1), to = end_of(b, item);
    const char *at = b->at + from;
    size_t rest_len = b->rest_len, left = to - from;
    bool is_erased = b->is_close && (get_u16(b->ends + 2 * (size_t)item) & ERASED) != 0;

    if (to < from || to > b->len) return false;
    if (rest_len == RESTS_DIFFER) {
        if (left < 2) return false;
        rest_len = get_u16(at);
        at += 2;
        left -= 2;
        if (!b->is_close) {
            is_erased = (rest_len & ERASED) != 0;
            rest_len &= (uint16_t)~ERASED;
        }
    }
    if (rest_len > left) return false;
    *rest = (slice){ at, rest_len };
    *value = is_erased ? NO_SLICE : (slice){ at + rest_len, left - rest_len };
    return true;
}

bool run_block_find(const run_block *b, slice key, uint32_t *out)
{
    uint32_t low = 0, high = b->items;
    slice head = { key.data, key.len < b->prefix.len ? key.len : b->prefix.len }, rest, value;
    const int beside = slice_compare(head, b->prefix);

    *out = beside < 0 ? 0 : b->items;
    if (beside != 0) return true;
    key.data += head.len;
    key.len -= head.len;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (!run_block_item(b, middle, &rest, &value)) return false;
        if (slice_compare(rest, key) < 0) low = middle + 1;
        else high = middle;
    }
    *out = low;
    return true;
}

bool run_block_get(const run_block *b, slice key, slice *value, bool *known)
{
    uint32_t item;
    slice rest;

    *known = false;
    if (!run_block_find(b, key, &item)) return false;
    if (item == b->items) return true;
    if (!run_block_item(b, item, &rest, value)) return false;
    *known = key.len == b->prefix.len + rest.len && slice_compare_bytes(key.data, b->prefix.data, b->prefix.len) == 0 &&
             slice_compare_bytes(key.data + b->prefix.len, rest.data, rest.len) == 0;
    return true;
}

/* ---- one that is being made ---- */

/* Of the items of a close one. */
static size_t items_bytes(uint32_t count, size_t key_bytes, size_t value_bytes, size_t prefix_len, bool rests_differ)
{
    return key_bytes - count * prefix_len + value_bytes + (rests_differ ? 2 * (size_t)count : 0);
}

static size_t whole_bytes(uint32_t count, size_t key_bytes, size_t value_bytes, size_t prefix_len, bool rests_differ)
{
    size_t items = items_bytes(count, key_bytes, value_bytes, prefix_len, rests_differ);

    if (items <= CLOSE_ITEMS_BYTES_MAX) return CLOSE_HEAD_BYTES + 2 * (size_t)count + prefix_len + items;
    return 4 + 6 * (size_t)count + key_bytes + value_bytes;
}

/* How much of the prefix the key has as well. */
static size_t common_len(slice prefix, slice key)
{
    const size_t most = prefix.len < key.len ? prefix.len : key.len;
    const uint64_t differing = bytes_head(prefix) ^ bytes_head(key);
    size_t len = differing == 0 ? 8 : (size_t)__builtin_clzll(differing) / 8;

    if (differing == 0) {
        while (len < most && prefix.data[len] == key.data[len]) len++;
    }
    return len < most ? len : most;
}

bool run_block_add(run_block_maker *m, slice key, slice value, size_t bytes_max)
{
    const bool is_first = m->count == 0, rests_differ = !is_first && (m->rests_differ || key.len != m->first_len);
    const size_t prefix_len = is_first ? key.len : common_len(m->prefix, key);
    const size_t key_bytes = m->key_bytes + key.len, value_bytes = m->value_bytes + value.len;

    if (!is_first && whole_bytes(m->count + 1, key_bytes, value_bytes, prefix_len, rests_differ) > bytes_max) return false;
    text_reserve(&m->items, 2 + key.len + value.len);
    char *at = m->items.data + m->items.len;
    put_u16(at, (uint16_t)key.len | (value.data == NULL ? ERASED : 0));
    copy_short(at + 2, key.data, key.len);
    copy_short(at + 2 + key.len, value.data, value.len);
    m->items.len += 2 + key.len + value.len;
    text_add_u32(&m->ends, (uint32_t)m->items.len);
    m->prefix = (slice){ m->items.data + 2, prefix_len };
    if (is_first) m->first_len = (uint16_t)key.len;
    m->rests_differ = rests_differ;
    m->key_bytes = key_bytes;
    m->value_bytes = value_bytes;
    m->count++;
    return true;
}

size_t run_block_bytes(const run_block_maker *m)
{
    return whole_bytes(m->count, m->key_bytes, m->value_bytes, m->prefix.len, m->rests_differ);
}

static void write_close(const run_block_maker *m, char *to)
{
    const slice prefix = m->prefix;
    char *ends = to + CLOSE_HEAD_BYTES, *items = ends + 2 * (size_t)m->count + prefix.len, *at = items;
    uint32_t from = 0;

    put_u32(to, m->count | CLOSE);
    put_u16(to + 4, m->rests_differ ? RESTS_DIFFER : (uint16_t)(m->first_len - prefix.len));
    put_u16(to + 6, (uint16_t)prefix.len);
    copy_short(items - prefix.len, prefix.data, prefix.len);
    for (uint32_t i = 0; i < m->count; i++) {
        const char *item = m->items.data + from;
        const uint32_t end = get_u32(m->ends.data + 4 * (size_t)i);
        const size_t left = end - from - 2 - prefix.len;
        const uint16_t length = get_u16(item);
        if (m->rests_differ) {
            put_u16(at, (uint16_t)((length & (uint16_t)~ERASED) - prefix.len));
            at += 2;
        }
        copy_short(at, item + 2 + prefix.len, left);
        at += left;
        put_u16(ends + 2 * (size_t)i, (uint16_t)(at - items) | (length & ERASED));
        from = end;
    }
}

void run_block_write(run_block_maker *m, char *to)
{
    if (items_bytes(m->count, m->key_bytes, m->value_bytes, m->prefix.len, m->rests_differ) <= CLOSE_ITEMS_BYTES_MAX) {
        write_close(m, to);
    } else {
        put_u32(to, m->count);
        memcpy(to + 4, m->ends.data, m->ends.len);
        memcpy(to + 4 + m->ends.len, m->items.data, m->items.len);
    }
    text_clear(&m->items);
    text_clear(&m->ends);
    *m = (run_block_maker){ .items = m->items, .ends = m->ends };
}

void run_block_maker_free(run_block_maker *m)
{
    text_free(&m->items);
    text_free(&m->ends);
}
