/* bench/bench_json.c - what reading and writing a JSON record costs, in nanoseconds. bench_json [ROUNDS] */
#include "storage/formats/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROWS 1000

static double cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static const schema_column BID[] = {
    { .name = { "AUCTION", 7 }, .type = &type_bigint },     { .name = { "BIDDER", 6 }, .type = &type_bigint },
    { .name = { "PRICE", 5 }, .type = &type_bigint },       { .name = { "CHANNEL", 7 }, .type = &type_string },
    { .name = { "URL", 3 }, .type = &type_string },         { .name = { "DATETIME", 8 }, .type = &type_string },
    { .name = { "EXTRA", 5 }, .type = &type_string },
};
#define FIELDS (sizeof BID / sizeof *BID)

static slice make_bid(arena *a, int i)
{
    slice s = arena_printf(a,
                           "{\"auction\":%d,\"bidder\":%d,\"price\":%d,\"channel\":\"Google\","
                           "\"url\":\"https://www.nexmark.com/abc/item.htm?query=1&channel_id=%d\","
                           "\"dateTime\":\"2021-05-01 14:30:%02d.000\",\"extra\":\"%071d\"}",
                           1000 + i % 97, 1001 + i % 13, 100 + i * 7919 % 1000000, 12000 + i, i % 60, i);
    arena_alloc(a, 64); /* what stands behind a record is readable */
    return s;
}

static void bad_row(void *self, uint32_t row, const char *reason)
{
    (void)self;
    fprintf(stderr, "row %u: %s\n", row, reason);
    exit(1);
}

static const row_report REPORT = { bad_row, NULL };

static void must(weir_rc rc, const weir_error *err)
{
    if (rc == WEIR_OK) return;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

static void bench_read(const char *title, const slice *bytes, const bool *wanted, int rounds)
{
    arena *home = arena_new(0), *batch = arena_new(1 << 20);
    format_spec spec = { .name = SLICE("JSON") };
    weir_error err;
    format *f;
    double best = 1e18, total = 0;

    must(format_open(&f, &spec, BID, FIELDS, wanted, home, &err), &err);
    for (int round = 0; round < rounds; round++) {
        column columns[FIELDS];
        arena_reset(batch);
        for (size_t i = 0; i < FIELDS; i++) columns[i] = column_new(batch, BID[i].type, ROWS);
        double before = cpu_ns();
        row_set read = format_decode(f, bytes, (row_set){ NULL, ROWS }, batch, columns, &REPORT);
        double took = (cpu_ns() - before) / ROWS;
        if (read.count != ROWS) exit(1);
        total += took;
        if (took < best) best = took;
    }
    printf("%-40s %7.1f ns a record (best %.1f)\n", title, total / rounds, best);
    format_close(f);
    arena_free(batch);
    arena_free(home);
}

static void bench_write(const slice *bytes, int rounds)
{
    static const schema_column OUT[] = {
        { .name = { "AUCTION", 7 }, .type = &type_bigint }, { .name = { "BIDDER", 6 }, .type = &type_bigint },
        { .name = { "PRICE", 5 }, .type = &type_bigint },   { .name = { "CHANNEL", 7 }, .type = &type_string },
        { .name = { "AVERAGE", 7 }, .type = &type_double }, { .name = { "DATETIME", 8 }, .type = &type_string },
    };
    enum { COUNT = sizeof OUT / sizeof *OUT };
    arena *home = arena_new(0), *batch = arena_new(1 << 20);
    format_spec spec = { .name = SLICE("JSON") };
    weir_error err;
    format *reader, *f;
    column columns[FIELDS];
    slice *out = ARENA_ARRAY(home, slice, ROWS);
    double best = 1e18, total = 0, plain_total = 0;

    must(format_open(&reader, &spec, BID, FIELDS, NULL, home, &err), &err);
    must(format_open(&f, &spec, OUT, COUNT, NULL, home, &err), &err);
    for (size_t i = 0; i < FIELDS; i++) columns[i] = column_new(home, BID[i].type, ROWS);
    format_decode(reader, bytes, (row_set){ NULL, ROWS }, home, columns, &REPORT);
    columns[4] = column_new(home, &type_double, ROWS);
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < ROWS; i++) columns[4].f64[i] = pass == 0 ? i * 1.37 : i;
        for (int round = 0; round < rounds; round++) {
            arena_reset(batch);
            double before = cpu_ns();
            format_encode(f, columns, (row_set){ NULL, ROWS }, batch, out, &REPORT);
            double took = (cpu_ns() - before) / ROWS;
            if (pass == 1) {
                plain_total += took;
                continue;
            }
            total += took;
            if (took < best) best = took;
        }
    }
    printf("%-40s %7.1f ns a record (best %.1f; %.1f where the double is whole)\n", "write 6 columns, one a double",
           total / rounds, best, plain_total / rounds);
    printf("  e.g. %.*s\n", SLICE_ARG(out[7]));
    format_close(f);
    format_close(reader);
    arena_free(batch);
    arena_free(home);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 2000;
    arena *a = arena_new(0);
    slice *bytes = ARENA_ARRAY(a, slice, ROWS);
    size_t total = 0;

    for (int i = 0; i < ROWS; i++) {
        bytes[i] = make_bid(a, i);
        total += bytes[i].len;
    }
    printf("%zu bytes a record\n", total / ROWS);
    bench_read("read 3 of 7 (auction, price, dateTime)", bytes, (bool[FIELDS]){ true, false, true, false, false, true }, rounds);
    bench_read("read 3 of 7 (auction, bidder, price)", bytes, (bool[FIELDS]){ true, true, true }, rounds);
    bench_read("read all 7", bytes, NULL, rounds);
    bench_read("read none", bytes, (bool[FIELDS]){ false }, rounds);
    bench_write(bytes, rounds);
    arena_free(a);
    return 0;
}
