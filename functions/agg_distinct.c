/* functions/agg_distinct.c - COUNT_DISTINCT: exact up to 1,024 distinct values of a group, as a list of their hashes; beyond,
 * a HyperLogLog of 4,096 registers, whose standard error is 1.6 %. */
#include "core/hash.h"
#include "functions/bag.h"

#include <math.h>

#define FAMILY "aggregate"
#define EXACT_MAX 1024
#define REGISTER_BITS 12
#define REGISTERS (1u << REGISTER_BITS)

typedef struct distinct {
    void *tail;       /* hashes in order, or registers */
    uint32_t count;   /* hashes */
    uint32_t held;    /* bytes of tail; 0: none */
    uint8_t is_sketch;
    int64_t estimate; /* of a sketch, while is_fresh */
    uint8_t is_fresh;
} distinct;

static void raise_register(distinct *d, uint64_t hash)
{
    uint8_t *registers = d->tail;
    uint32_t index = (uint32_t)(hash >> (64 - REGISTER_BITS));
    uint64_t rest = hash << REGISTER_BITS | ((uint64_t)1 << (REGISTER_BITS - 1));
    uint8_t rank = (uint8_t)(__builtin_clzll(rest) + 1);

    if (rank > registers[index]) {
        registers[index] = rank;
        d->is_fresh = 0;
    }
}

static void become_sketch(slab *s, distinct *d)
{
    uint64_t *hashes = d->tail;
    uint32_t count = d->count, held = d->held;

    d->held = (uint32_t)slab_usable(REGISTERS);
    d->tail = slab_alloc(s, d->held);
    memset(d->tail, 0, REGISTERS);
    d->is_sketch = 1;
    d->is_fresh = 0;
    for (uint32_t i = 0; i < count; i++) raise_register(d, hashes[i]);
    slab_free(s, hashes, held);
    d->count = 0;
}

static void add_hash(slab *s, distinct *d, uint64_t hash)
{
    if (d->is_sketch) {
        raise_register(d, hash);
        return;
    }
    uint64_t *hashes = d->tail;
    uint32_t low = 0, high = d->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (hashes[middle] < hash) low = middle + 1;
        else high = middle;
    }
    if (low < d->count && hashes[low] == hash) return;
    if (d->count == EXACT_MAX) {
        become_sketch(s, d);
        raise_register(d, hash);
        return;
    }
    if ((d->count + 1) * sizeof *hashes > d->held) {
        uint32_t held = (uint32_t)slab_usable((d->count * 2 + 4) * sizeof *hashes);
        uint64_t *grown = slab_alloc(s, held);
        if (d->count > 0) memcpy(grown, hashes, d->count * sizeof *hashes);
        slab_free(s, hashes, d->held);
        d->tail = hashes = grown;
        d->held = held;
    }
    memmove(hashes + low + 1, hashes + low, (d->count - low) * sizeof *hashes);
    hashes[low] = hash;
    d->count++;
}

/* The harmonic mean of the registers; where many are still empty, counting those is more exact. */
static int64_t estimate(const distinct *d)
{
    const uint8_t *registers = d->tail;
    double sum = 0, m = REGISTERS;
    uint32_t empty = 0;

    for (uint32_t i = 0; i < REGISTERS; i++) {
        sum += ldexp(1, -registers[i]);
        empty += registers[i] == 0;
    }
    double raw = 0.7213 / (1 + 1.079 / m) * m * m / sum;
    if (raw <= 2.5 * m && empty > 0) raw = m * log(m / empty);
    return (int64_t)(raw + 0.5);
}

static int64_t distinct_count(distinct *d)
{
    if (!d->is_sketch) return d->count;
    if (!d->is_fresh) {
        d->estimate = estimate(d);
        d->is_fresh = 1;
    }
    return d->estimate;
}

AGG_LOOP(distinct_step, distinct, add_hash(x->slab, acc, hash_bytes(kept_equal_bytes(x->eval->arena, &args[0], r))),
         out->i64[r] = distinct_count(acc))

static void distinct_result(const call *c, agg_context *x, char *const *groups, uint32_t offset, row_set rows, column *out)
{
    (void)c, (void)x;
    EACH_ROW(r, rows) out->i64[r] = distinct_count((distinct *)(groups[r] + offset));
}

static void distinct_merge(const call *c, agg_context *x, void *into_, const void *from_)
{
    distinct *into = into_;
    const distinct *from = from_;

    (void)c;
    if (!from->is_sketch) {
        for (uint32_t i = 0; i < from->count; i++) add_hash(x->slab, into, ((const uint64_t *)from->tail)[i]);
        return;
    }
    if (!into->is_sketch) become_sketch(x->slab, into);
    uint8_t *registers = into->tail;
    for (uint32_t i = 0; i < REGISTERS; i++) {
        uint8_t other = ((const uint8_t *)from->tail)[i];
        if (other > registers[i]) registers[i] = other;
    }
    into->is_fresh = 0;
}

static void distinct_encode(const call *c, const void *acc, text *out)
{
    const distinct *d = acc;

    (void)c;
    text_add_char(out, (char)d->is_sketch);
    if (d->is_sketch) {
        text_add(out, (slice){ d->tail, REGISTERS });
        return;
    }
    text_add_varint(out, d->count);
    for (uint32_t i = 0; i < d->count; i++) text_add_u64(out, ((const uint64_t *)d->tail)[i]);
}

static bool distinct_decode(const call *c, slab *s, struct reader_bytes *in, void *acc)
{
    distinct *d = acc;

    (void)c;
    *d = (distinct){ 0 };
    if (read_u8(in) != 0) {
        const char *registers = read_bytes(in, REGISTERS);
        if (registers == NULL) return false;
        become_sketch(s, d);
        memcpy(d->tail, registers, REGISTERS);
        return true;
    }
    uint64_t count = read_varint(in);
    if (count > EXACT_MAX) in->bad = true;
    for (uint64_t i = 0; i < count && !in->bad; i++) {
        uint64_t hash = read_u64(in);
        if (!in->bad) add_hash(s, d, hash);
    }
    if (in->bad) {
        slab_free(s, d->tail, d->held);
        *d = (distinct){ 0 };
    }
    return !in->bad;
}

static void distinct_drop(const call *c, slab *s, void *acc)
{
    distinct *d = acc;

    (void)c;
    slab_free(s, d->tail, d->held);
    *d = (distinct){ 0 };
}

static uint32_t distinct_tail_bytes(const call *c, const void *acc)
{
    (void)c;
    return ((const distinct *)acc)->held;
}

static const aggregate count_distinct = { .bytes = sizeof(distinct), .step = distinct_step, .merge = distinct_merge,
                                          .result = distinct_result, .encode = distinct_encode,
                                          .decode = distinct_decode, .drop = distinct_drop,
                                          .tail_bytes = distinct_tail_bytes };

static const function ROWS[] = {
    AGGREGATE("COUNT_DISTINCT", "ANY", "BIGINT", NULL_SKIP, count_distinct,
              "Number of distinct non-null values: exact up to 1,024, beyond with a standard error of 1.6 %.",
              .example = "COUNT_DISTINCT(usr)", .has_nested_state = true),
};
const function_family distinct_family = FAMILY_ROWS(ROWS);
