/* bench/bench_storage.c - what the embedded log costs: producing, committing, reading back, state.
 * Usage: bench_storage [records, default 2000000] [directory, default a new one under /var/tmp, removed at the end] */
#include "storage/storage.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static weir_error err;
static const weir_clock wall = { 0 };

static void must(weir_rc rc)
{
    if (rc == WEIR_OK) return;
    fprintf(stderr, "%s\n", err.message);
    exit(1);
}

static double cpu_s(void)
{
    struct rusage used;

    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static long rss_kb(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    long kb = 0;

    while (file != NULL && fgets(line, sizeof line, file) != NULL) sscanf(line, "VmRSS: %ld", &kb);
    if (file != NULL) fclose(file);
    return kb;
}

typedef struct watch {
    double wall_s, cpu;
} watch;

static watch watch_start(void) { return (watch){ (double)clock_monotonic_ns() / 1e9, cpu_s() }; }

static void watch_show(watch w, const char *what, double count)
{
    double seconds = (double)clock_monotonic_ns() / 1e9 - w.wall_s, cpu = cpu_s() - w.cpu;

    printf("%-44s %10.0f/s  %8.3f us CPU each  RSS %ld MiB\n", what, count / seconds, cpu / count * 1e6, rss_kb() / 1024);
}

static client *open_client(storage *s, const char *name, const char *from, const char *to)
{
    client_source source = { slice_of(from), START_EARLIEST, false };
    slice sink = slice_of(to);
    client_spec spec = { .name = slice_of(name), .is_transient = name == NULL, .sources = &source,
                         .source_count = from != NULL, .sinks = &sink, .sink_count = to != NULL, .instances = 1 };
    client *c;

    must(client_open(&c, s, &spec, &err));
    return c;
}

enum { BATCH = 4096 };

static void produce(storage *s, const char *topic, uint64_t records, const char *what)
{
    static char bytes[BATCH][256];
    static slice key[BATCH], content[BATCH];
    static int64_t ms[BATCH];
    client *c = open_client(s, topic, NULL, topic);
    uint64_t random = 1;
    watch w = watch_start();

    for (uint64_t at = 0; at < records; at += BATCH) {
        for (int i = 0; i < BATCH; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            int len = snprintf(bytes[i], sizeof bytes[i],
                               "{\"id\":%llu,\"ip\":\"10.%u.%u.%u\",\"user\":\"user-%u\",\"path\":\"/shop/item/%u\",\"status\":200,"
                               "\"bytes\":%u,\"agent\":\"Mozilla/5.0 (X11; Linux x86_64)\",\"referrer\":\"https://example.org/%u\"}",
                               (unsigned long long)(at + (unsigned)i), (unsigned)(random >> 20) & 255,
                               (unsigned)(random >> 28) & 255, (unsigned)(random >> 36) & 255, (unsigned)(random >> 40) % 10000,
                               (unsigned)(random >> 44) % 5000, (unsigned)(random >> 30) % 100000, (unsigned)(random >> 50) % 1000);
            content[i] = (slice){ bytes[i], (size_t)len };
            key[i] = (slice){ bytes[i] + 6, 4 };
            ms[i] = (int64_t)(at + (uint64_t)i) / 3;
        }
        output out = { .rows = BATCH, .key = key, .value = content, .timestamp_ms = ms };
        must(client_produce(c, &out, &err));
        if (at / BATCH % 16 == 15) must(client_commit(c, NULL, 0, NULL, 0, &err));
    }
    must(client_commit(c, NULL, 0, NULL, 0, &err));
    watch_show(w, what, (double)records);
    client_close(c);
}

static void read_back(storage *s, const char *topic, uint32_t rows_max, const char *what)
{
    client *c = open_client(s, NULL, topic, NULL);
    const fetch *e;
    uint32_t count;
    uint64_t rows = 0, bytes = 0;
    watch w = watch_start();

    for (int ends = 0; ends < 4;) {
        must(client_poll(c, 0, rows_max, &e, &count, &err));
        for (uint32_t i = 0; i < count; i++) {
            rows += e[i].rows;
            ends += e[i].kind == FETCH_END;
            for (uint32_t j = 0; j < e[i].rows; j++) bytes += e[i].value[j].len;
        }
    }
    watch_show(w, what, (double)rows);
    printf("    %.0f bytes a value, %.0f MB in all\n", (double)bytes / (double)rows, (double)bytes / 1e6);
    client_close(c);
}

static void commit_state(storage *s, uint32_t keys, uint32_t rounds, const char *what)
{
    client *c = open_client(s, "state", NULL, NULL);
    state_spec spec = { .name = SLICE("state/0"), .partitions = 1 };
    task_state *t;
    state_change *changes = calloc(keys, sizeof *changes);
    char (*key)[16] = calloc(keys, sizeof *key);

    must(task_state_open(&t, c, &spec, &err));
    watch w = watch_start();
    for (uint32_t round = 0; round < rounds; round++) {
        for (uint32_t i = 0; i < keys; i++) {
            snprintf(key[i], sizeof key[i], "%08u", i * 7 + round % 7);
            changes[i] = (state_change){ 0, { key[i], 8 }, SLICE("an accumulator of about 40 bytes, or so..") };
        }
        epoch e = { t, changes, keys };
        must(client_commit(c, &e, 1, NULL, 0, &err));
    }
    watch_show(w, what, (double)keys * rounds);
    task_state_close(t);
    client_close(c);
    free(changes);
    free(key);
}

static void append_singly(storage *s, uint32_t count, const char *what)
{
    record r = { .value = SLICE("one record") };
    watch w = watch_start();

    for (uint32_t i = 0; i < count; i++) must(topic_append(s, SLICE("single"), &r, NULL, 1, NULL, &err));
    watch_show(w, what, (double)count);
}

int main(int argc, char **argv)
{
    uint64_t records = argc > 1 ? strtoull(argv[1], NULL, 10) : 2000000;
    char made[] = "/var/tmp/bench_storage.XXXXXX", command[300];
    const char *dir = argc > 2 ? argv[2] : mkdtemp(made);
    local_options options = { .durability = DURABLE_FULL, .clock = &wall };
    storage *s;

    if (dir == NULL) return 1;
    must(storage_open_local(&s, slice_of(dir), &options, &err));
    topic_spec topics[] = { { .name = SLICE("log"), .partitions = 4 },
                            { .name = SLICE("passing"), .partitions = 4, .is_internal = true },
                            { .name = SLICE("single"), .partitions = 1 } };
    for (int i = 0; i < 3; i++) must(topic_create(s, &topics[i], &err));
    produce(s, "log", records, "produce (with making the records)");
    produce(s, "passing", records, "produce, internal topic");
    read_back(s, "log", BATCH, "read");
    read_back(s, "passing", BATCH, "read, internal topic");
    read_back(s, "log", 64, "read, 64 rows a poll");
    commit_state(s, 1000, 50, "state, 1,000 changes a commit");
    commit_state(s, 100000, 5, "state, 100,000 changes a commit");
    append_singly(s, 500, "append, one record a commit");
    storage_close(s);
    snprintf(command, sizeof command, "du -sm %s; rm -rf '%s'", dir, dir);
    return argc > 2 || system(command) == 0 ? 0 : 1;
}
