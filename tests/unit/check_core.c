/* tests/unit/check_core.c - core: arena, text, slab, hash, bytes, the packed form of values, names that are near, reasons. */
#include "core/arena.h"
#include "core/bytes.h"
#include "core/hash.h"
#include "core/nearest.h"
#include "core/packed.h"
#include "core/reason.h"
#include "core/slab.h"
#include "core/utf8.h"
#include "core/value.h"
#include "tests/unit/run_tests.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* ---- arena, text ---- */

START_TEST(an_arena_lends_apart_and_aligned)
{
    arena *a = arena_new(64);
    uint64_t random = 1;
    char *lent[500];
    size_t size[500];

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 500; i++) {
            size[i] = next_random(&random) % (i % 50 == 0 ? 100000 : 100);
            lent[i] = arena_alloc(a, size[i]);
            ck_assert_uint_eq((uintptr_t)lent[i] % 16, 0);
            memset(lent[i], i, size[i]);
        }
        for (int i = 0; i < 500; i++) {
            for (size_t j = 0; j < size[i]; j++) ck_assert_int_eq(lent[i][j], (char)i);
        }
        ck_assert_uint_gt(arena_bytes(a), 100000);
        arena_reset(a);
    }
    char *zeros = arena_zero(a, 1000);
    for (int i = 0; i < 1000; i++) ck_assert_int_eq(zeros[i], 0);
    slice copy = arena_copy(a, SLICE("text"));
    ck_assert(slice_is(copy, "text") && copy.data[4] == '\0');
    ck_assert_ptr_null(arena_copy(a, NO_SLICE).data);
    ck_assert(slice_is(arena_printf(a, "%d-%s", 7, "x"), "7-x"));
    ck_assert_uint_eq(arena_printf(a, "%1000d", 7).len, 1000);
    arena_free(a);
    arena_free(NULL);
}
END_TEST

START_TEST(a_text_grows_and_starts_again)
{
    text t = TEXT_EMPTY;

    ck_assert_uint_eq(text_slice(&t).len, 0);
    text_clear(&t);
    for (int i = 0; i < 10000; i++) text_add_char(&t, (char)('a' + i % 26));
    ck_assert_uint_eq(t.len, 10000);
    ck_assert_int_eq(t.data[10000], '\0');
    ck_assert_int_eq(t.data[9999], (char)('a' + 9999 % 26));
    text_clear(&t);
    text_printf(&t, "%s %d", "n", 5);
    text_add_c(&t, "!");
    ck_assert(slice_is(text_slice(&t), "n 5!"));
    text_free(&t);
    ck_assert_ptr_null(t.data);
}
END_TEST

START_TEST(numbers_in_bytes_come_back_and_sort)
{
    static const uint64_t numbers[] = { 0, 1, 127, 128, 16383, 16384, UINT32_MAX, (uint64_t)1 << 62, UINT64_MAX };
    static const int64_t signed_numbers[] = { INT64_MIN, -5, -1, 0, 1, 5, INT64_MAX };
    text t = TEXT_EMPTY;

    for (int i = 0; i < 9; i++) text_add_varint(&t, numbers[i]);
    text_add_u16(&t, 0x1234);
    text_add_u32(&t, 0x12345678);
    text_add_u64(&t, 0x123456789abcdef0);
    reader_bytes in = read_from(text_slice(&t));
    for (int i = 0; i < 9; i++) ck_assert_uint_eq(read_varint(&in), numbers[i]);
    ck_assert_uint_eq(read_u16(&in), 0x1234);
    ck_assert_uint_eq(read_u32(&in), 0x12345678);
    ck_assert_uint_eq(read_u64(&in), 0x123456789abcdef0);
    ck_assert(!in.bad && in.at == in.end);
    ck_assert_uint_eq(read_u8(&in), 0);
    ck_assert(in.bad);
    char before[8], after[8];
    for (int i = 1; i < 7; i++) {
        put_u64(before, sortable_i64(signed_numbers[i - 1]));
        put_u64(after, sortable_i64(signed_numbers[i]));
        ck_assert_int_lt(memcmp(before, after, 8), 0);
        ck_assert_int_eq(unsortable_i64(get_u64(after)), signed_numbers[i]);
    }
    text_free(&t);
}
END_TEST

/* ---- packed words ---- */

/* Keys of all short lengths, of few letters, so that many begin alike; exact memory, so that a sanitizer sees one byte too many. */
START_TEST(short_bytes_compare_and_copy_as_long_ones)
{
    uint64_t random = 1;

    for (int round = 0; round < 20000; round++) {
        size_t len[2] = { next_random(&random) % 41, next_random(&random) % 41 };
        char *bytes[2] = { malloc(len[0] + 1), malloc(len[1] + 1) }, *copy = malloc(len[0] + 1);
        size_t alike = next_random(&random) % 41, shorter = len[0] < len[1] ? len[0] : len[1];
        for (int i = 0; i < 2; i++) {
            for (size_t j = 0; j < len[i]; j++) bytes[i][j] = (char)(next_random(&random) % 2 == 0 ? 0x01 : 0xFE);
        }
        if (shorter > 0) memcpy(bytes[1], bytes[0], alike < shorter ? alike : shorter);
        slice a = { bytes[0], len[0] }, b = { bytes[1], len[1] };
        int order = shorter == 0 ? 0 : memcmp(a.data, b.data, shorter);
        if (order == 0) order = (a.len > b.len) - (a.len < b.len);
        ck_assert_int_eq(slice_compare(a, b) < 0, order < 0);
        ck_assert_int_eq(slice_compare(a, b) > 0, order > 0);
        ck_assert_int_eq(slice_equal(a, b), order == 0);
        copy[a.len] = 'x';
        copy_short(copy, a.data, a.len);
        ck_assert(slice_equal((slice){ copy, a.len }, a) && copy[a.len] == 'x');
        free(bytes[0]);
        free(bytes[1]);
        free(copy);
    }
}
END_TEST

START_TEST(packed_words_come_back_and_small_ones_are_short)
{
    const double prices[] = { 0.0, 100.0, -2.5, 0.1 };
    uint64_t words[] = { 0, 1, (uint64_t)-1, 127, 128, (uint64_t)-129, UINT64_MAX >> 1, (uint64_t)INT64_MIN, UINT64_C(0x0123456789ABCDEF),
                         1619877600000, 0, 0, 0, 0, 77 };
    const uint32_t count = sizeof words / sizeof *words;
    uint64_t back[sizeof words / sizeof *words];
    text t = TEXT_EMPTY;

    memcpy(&words[10], prices, sizeof prices);
    text_add_packed(&t, words, count);
    /* forms, then by word: 0, 1, 1, 1 (254), 2 (256), 2, 8, 1 (its high byte), 8, 6, and doubles of 0, 2, 2, 8, then 1 */
    ck_assert_uint_eq(t.len, (count + 1) / 2 + 0 + 1 + 1 + 1 + 2 + 2 + 8 + 1 + 8 + 6 + 0 + 2 + 2 + 8 + 1);
    reader_bytes in = read_from(text_slice(&t));
    read_packed(&in, back, count);
    ck_assert(!in.bad);
    ck_assert_ptr_eq(in.at, in.end);
    ck_assert_mem_eq(back, words, sizeof words);
    for (size_t len = 0; len < t.len; len++) { /* cut short it is refused, wherever that is */
        char *some = malloc(len + 1);
        memcpy(some, t.data, len);
        in = read_from((slice){ some, len });
        read_packed(&in, back, count);
        ck_assert(in.bad);
        free(some);
    }
    text_free(&t);
}
END_TEST

/* ---- slab ---- */

START_TEST(a_slab_keeps_pieces_apart)
{
    enum { PIECES = 2000, STEPS = 100000 };
    slab *s = slab_new(NULL);
    unsigned char *piece[PIECES] = { NULL };
    size_t size[PIECES] = { 0 }, lent = 0;
    uint64_t random = 7;

    for (int step = 0; step < STEPS; step++) {
        uint32_t i = (uint32_t)next_random(&random) % PIECES;
        if (piece[i] != NULL) {
            unsigned char want = (unsigned char)(i * 7 + size[i]);
            for (size_t j = 0; j < size[i]; j += size[i] > 100 ? 97 : 1) ck_assert_uint_eq(piece[i][j], want);
            if (size[i] > 0) ck_assert_uint_eq(piece[i][size[i] - 1], want);
            slab_free(s, piece[i], size[i]);
            lent -= slab_usable(size[i]);
            piece[i] = NULL;
            continue;
        }
        size[i] = (size_t)1 << next_random(&random) % (step % 100 == 0 ? 18 : 9);
        size[i] += next_random(&random) % size[i];
        piece[i] = slab_alloc(s, size[i]);
        lent += slab_usable(size[i]);
        ck_assert_uint_eq((uintptr_t)piece[i] % 16, 0);
        ck_assert_uint_ge(slab_usable(size[i]), size[i]);
        memset(piece[i], (int)(i * 7 + size[i]), size[i]);
        ck_assert_uint_eq(slab_bytes_lent(s), lent);
    }
    slab_free(s, NULL, 5);
    slab_drop(s);
    slab_drop(NULL);
}
END_TEST

START_TEST(a_slab_says_what_a_piece_may_hold)
{
    for (size_t bytes = 1; bytes <= 70000; bytes++) {
        size_t usable = slab_usable(bytes);
        ck_assert_uint_ge(usable, bytes);
        ck_assert_uint_eq(slab_usable(usable), usable); /* giving back with either size is the same */
        if (bytes > 64) ck_assert_uint_le(usable, bytes * 3 / 2);
    }
}
END_TEST

/* ---- hash ---- */

static int32_t partition_by_kafka(int32_t hash, int32_t partitions)
{
    return (hash & 0x7fffffff) % partitions;
}

START_TEST(partitions_are_those_of_kafka)
{
    static const struct {
        const char *key;
        int32_t hash; /* org.apache.kafka.common.utils.Utils.murmur2, from its own test */
    } known[] = { { "21", -973932308 },
                  { "foobar", -790332482 },
                  { "a-little-bit-long-string", -985981536 },
                  { "a-little-bit-longer-string", -1486304829 },
                  { "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971 },
                  { "abc", 479470107 } };

    for (int i = 0; i < 6; i++) {
        for (int32_t partitions = 1; partitions < 1000; partitions += 7) {
            ck_assert_int_eq(partition_for_key(slice_of(known[i].key), partitions),
                             partition_by_kafka(known[i].hash, partitions));
        }
        ck_assert_int_eq(partition_for_key(slice_of(known[i].key), INT32_MAX), (known[i].hash & 0x7fffffff) % INT32_MAX);
    }
}
END_TEST

START_TEST(hashes_differ)
{
    ck_assert_uint_eq(hash_bytes(SLICE("a")), hash_bytes(SLICE("a")));
    ck_assert_uint_ne(hash_bytes(SLICE("a")), hash_bytes(SLICE("b")));
    ck_assert_uint_ne(hash_u64(1, 0), hash_u64(2, 0));
    ck_assert_uint_ne(hash_u64(1, 0), hash_u64(1, 5));
}
END_TEST

/* ---- values ---- */

static const type STRING = { .kind = TYPE_STRING }, BIGINT = { .kind = TYPE_BIGINT }, DOUBLE = { .kind = TYPE_DOUBLE };

static void check_packed(const type *t, const value *v)
{
    text out = TEXT_EMPTY;
    arena *a = arena_new(0);
    value back;

    value_encode(&out, t, v);
    reader_bytes in = read_from(text_slice(&out));
    ck_assert(value_decode(&in, t, a, &back));
    ck_assert(in.at == in.end);
    ck_assert(value_equal(t, v, &back));
    for (size_t cut = 0; cut < out.len; cut++) { /* what is cut off is noticed */
        char *less = malloc(cut + 1);            /* of this very size, for the sanitizer */
        memcpy(less, out.data, cut);
        in = read_from((slice){ less, cut });
        ck_assert(!value_decode(&in, t, a, &back));
        free(less);
    }
    arena_free(a);
    text_free(&out);
}

START_TEST(values_pack_and_unpack)
{
    static const type_kind numbers[] = { TYPE_BOOLEAN, TYPE_INTEGER, TYPE_BIGINT, TYPE_DOUBLE, TYPE_DATE, TYPE_TIME,
                                         TYPE_TIMESTAMP };
    for (int i = 0; i < 7; i++) {
        type t = { .kind = numbers[i] };
        check_packed(&t, &(value){ .i64 = numbers[i] == TYPE_BOOLEAN ? 1 : 0x123456789 });
        check_packed(&t, &(value){ .i64 = 0 });
        check_packed(&t, &NULL_VALUE);
    }
    check_packed(&STRING, &(value){ .str = SLICE("text") });
    check_packed(&STRING, &(value){ .str = SLICE("") });
    check_packed(&DOUBLE, &(value){ .f64 = -0.0 });
    check_packed(&DOUBLE, &(value){ .f64 = __builtin_nan("") });
    type decimal_type = { .kind = TYPE_DECIMAL };
    check_packed(&decimal_type, &(value){ .dec = -((decimal)1 << 100) });

    value items[3] = { { .str = SLICE("a") }, NULL_VALUE, { .str = SLICE("c") } };
    value counts[3] = { { .i64 = 1 }, { .i64 = 2 }, NULL_VALUE };
    value keys[3] = { { .str = SLICE("x") }, { .str = SLICE("y") }, { .str = SLICE("z") } };
    type array = { .kind = TYPE_ARRAY, .element = &STRING };
    type map = { .kind = TYPE_MAP, .key = &STRING, .element = &BIGINT };
    value list = { .list = { items, 3 } }, table = { .map = { keys, counts, 3 } };
    check_packed(&array, &list);
    check_packed(&array, &(value){ .list = { NULL, 0 } });
    check_packed(&map, &table);
    type nested = { .kind = TYPE_ARRAY, .element = &map };
    value tables[2] = { table, NULL_VALUE };
    check_packed(&nested, &(value){ .list = { tables, 2 } });
}
END_TEST

START_TEST(values_are_ordered)
{
    value low = { .f64 = -0.0 }, high = { .f64 = 0.0 }, nan = { .f64 = __builtin_nan("") }, most = { .f64 = 1e308 };

    ck_assert_int_lt(value_compare(&DOUBLE, &low, &high), 0);
    ck_assert_int_gt(value_compare(&DOUBLE, &nan, &most), 0);
    ck_assert_int_eq(value_compare(&DOUBLE, &nan, &nan), 0);
    ck_assert_int_lt(value_compare(&DOUBLE, &NULL_VALUE, &low), 0);
    ck_assert_int_lt(value_compare(&STRING, &(value){ .str = SLICE("a") }, &(value){ .str = SLICE("ab") }), 0);

    value keys[2] = { { .str = SLICE("x") }, { .str = SLICE("y") } }, swapped_keys[2] = { keys[1], keys[0] };
    value numbers[2] = { { .i64 = 1 }, { .i64 = 2 } }, swapped_numbers[2] = { numbers[1], numbers[0] };
    type map = { .kind = TYPE_MAP, .key = &STRING, .element = &BIGINT };
    value one = { .map = { keys, numbers, 2 } }, other = { .map = { swapped_keys, swapped_numbers, 2 } };
    ck_assert(value_equal(&map, &one, &other));
    arena *a = arena_new(0);
    value copy = value_copy(a, &map, &one);
    ck_assert(value_equal(&map, &copy, &one));
    ck_assert_ptr_ne(copy.map.keys[0].str.data, keys[0].str.data);
    copy.map.values[0].i64 = 9;
    ck_assert(!value_equal(&map, &copy, &one));
    arena_free(a);
}
END_TEST

static const char *hint_of(const char *wanted, const char *const *names, bool lists)
{
    nearest n = nearest_to(slice_of(wanted));

    for (; *names != NULL; names++) nearest_offer(&n, slice_of(*names));
    return lists ? nearest_or_all(&n) : nearest_hint(&n);
}

START_TEST(nearest_names)
{
    static const char *const FEW[] = { "URL", "USR", NULL }, *const ONE[] = { "URL", NULL }, *const NONE[] = { NULL };
    static const char *const MANY[] = { "A1", "A2", "A3", "A4", "A5", "A6", "A7", "A8", "A9", NULL };
    static const char *const TEXTS[] = { "SUBSTRING", "INSTR", "TOPK", NULL };

    ck_assert_str_eq(hint_of("urll", FEW, false), "; did you mean URL?");
    ck_assert_str_eq(hint_of("rul", FEW, false), "; did you mean URL?"); /* neighbours swapped */
    ck_assert_str_eq(hint_of("substr", TEXTS, false), "; did you mean SUBSTRING?");
    ck_assert_str_eq(hint_of("nope", TEXTS, false), "");
    ck_assert_str_eq(hint_of("su", TEXTS, false), ""); /* too short to be the beginning of one */
    ck_assert_str_eq(hint_of("", FEW, false), "");
    ck_assert_str_eq(hint_of("nope", FEW, true), "; there are URL, USR");
    ck_assert_str_eq(hint_of("nope", ONE, true), "; there is URL");
    ck_assert_str_eq(hint_of("nope", NONE, true), "");
    ck_assert_str_eq(hint_of("nope", MANY, true), "; there are A1, A2, A3, A4, A5, A6, A7, A8 ...");
    ck_assert_str_eq(hint_of("urll", ONE, true), "; did you mean URL?");
}
END_TEST

START_TEST(reasons_and_their_ways)
{
    char reason[REASON_BYTES] = "INTEGER expected";

    reason_in_item(reason, 1);
    reason_in_field(reason, SLICE("B"));
    reason_in_key(reason, SLICE("k"));
    reason_in_column(reason, SLICE("A"));
    ck_assert_str_eq(reason, "column `A`['k']->`B`[2]: INTEGER expected");
    /* However long the way is, the front of it stays, and no character is cut in two. */
    for (int i = 0; i < 100; i++) reason_in_field(reason, SLICE("\xC3\xA9\xC3\xA9\xC3\xA9"));
    ck_assert_uint_le(strlen(reason), REASON_BYTES - 1);
    ck_assert_uint_ge(strlen(reason), REASON_BYTES - 2);
    ck_assert_int_eq(utf8_fault(slice_of(reason)), -1);
    snprintf(reason, sizeof reason, "why");
    reason_in_field(reason, SLICE("a name of more than the forty bytes of it that are shown"));
    ck_assert_str_eq(reason, "`a name of more than the forty bytes of i...`: why");
}
END_TEST

static void add_tests(TCase *all)
{
    tcase_add_test(all, an_arena_lends_apart_and_aligned);
    tcase_add_test(all, a_text_grows_and_starts_again);
    tcase_add_test(all, numbers_in_bytes_come_back_and_sort);
    tcase_add_test(all, short_bytes_compare_and_copy_as_long_ones);
    tcase_add_test(all, packed_words_come_back_and_small_ones_are_short);
    tcase_add_test(all, a_slab_keeps_pieces_apart);
    tcase_add_test(all, a_slab_says_what_a_piece_may_hold);
    tcase_add_test(all, partitions_are_those_of_kafka);
    tcase_add_test(all, hashes_differ);
    tcase_add_test(all, values_pack_and_unpack);
    tcase_add_test(all, values_are_ordered);
    tcase_add_test(all, nearest_names);
    tcase_add_test(all, reasons_and_their_ways);
}

int main(void)
{
    return run_tests("core", add_tests, NULL, NULL);
}
