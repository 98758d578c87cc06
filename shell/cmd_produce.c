/* shell/cmd_produce.c - weir produce: lines into a topic. Input is taken in large pieces and appended a piece at a time:
 * a file goes at the speed of the log, a slow pipe line by line as it comes. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "shell/command.h"
#include "shell/interrupt.h"
#include "shell/report.h"

enum { OPTION_SEPARATOR = OPTION_OWN, OPTION_PARTITIONS, OPTION_TIMESTAMP, OPTION_NULL };
enum { PIECE_BYTES = 1 << 20, BATCH_RECORDS = 16384, LINE_BYTES_MAX = 256 << 20 };

typedef struct producer {
    weir *w;
    slice topic, separator; /* separator absent: no keys */
    slice null;             /* a value that reads so is null; absent: none is */
    int32_t partitions;
    int64_t timestamp_ms;   /* -1: now */
    weir_record *records;
    uint32_t count;
    uint64_t appended;      /* lines that are in the topic */
    char *buffer;           /* what was read and not yet produced; grows for a longer line */
    size_t len, room;
} producer;

static weir_rc produce_records(producer *p, weir_error *err)
{
    weir_rc rc = p->count == 0 ? WEIR_OK : weir_produce(p->w, p->topic, p->partitions, p->records, p->count, err);

    if (rc == WEIR_OK) p->appended += p->count;
    p->count = 0;
    return rc;
}

static weir_rc add_line(producer *p, slice line, int64_t now_ms, weir_error *err)
{
    weir_record *record = &p->records[p->count++];
    const char *found = p->separator.data == NULL || line.len == 0 ? NULL :
        memmem(line.data, line.len, p->separator.data, p->separator.len);

    *record = (weir_record){ .value = line, .timestamp_ms = now_ms, .partition = -1 };
    if (found != NULL) {
        size_t key_bytes = (size_t)(found - line.data);
        record->key = (slice){ line.data, key_bytes };
        record->value = (slice){ found + p->separator.len, line.len - key_bytes - p->separator.len };
    }
    if (p->null.data != NULL && slice_equal(record->value, p->null)) record->value = NO_SLICE;
    return p->count == BATCH_RECORDS ? produce_records(p, err) : WEIR_OK;
}

/* Produces all whole lines of the buffer (at the end of input the last one without its line feed too). */
static weir_rc produce_lines(producer *p, bool is_end, weir_error *err)
{
    weir_clock wall = { 0 };
    int64_t now_ms = p->timestamp_ms >= 0 ? p->timestamp_ms : clock_now_ms(&wall);
    char *at = p->buffer, *end = p->buffer + p->len;

    while (at < end) {
        char *stop = memchr(at, '\n', (size_t)(end - at));
        slice line;
        if (stop == NULL && !is_end) break;
        line = (slice){ at, (size_t)((stop == NULL ? end : stop) - at) };
        if (line.len > 0 && line.data[line.len - 1] == '\r') line.len--;
        WEIR_TRY(add_line(p, line, now_ms, err));
        at = stop == NULL ? end : stop + 1;
    }
    WEIR_TRY(produce_records(p, err)); /* records point into the buffer */
    p->len = (size_t)(end - at);
    memmove(p->buffer, at, p->len);
    return WEIR_OK;
}

/* Reads until the buffer is full or nothing more is there at once. */
static weir_rc read_piece(producer *p, int file, bool *is_end, weir_error *err)
{
    struct pollfd more = { .fd = file, .events = POLLIN };

    if (p->len == p->room) { /* one line fills it all */
        if (p->room >= LINE_BYTES_MAX)
            return weir_fail(err, WEIR_RUNTIME, NOWHERE, "a line of more than %d MiB", LINE_BYTES_MAX >> 20);
        p->room *= 2;
        p->buffer = realloc(p->buffer, p->room);
        if (p->buffer == NULL) return weir_fail(err, WEIR_NOMEM, NOWHERE, "no memory for a line of %zu bytes", p->room);
    }
    do {
        ssize_t got = interrupt_read(file, p->buffer + p->len, p->room - p->len);
        if (got < 0 && errno != EINTR)
            return weir_fail(err, WEIR_RUNTIME, NOWHERE, "cannot read the input: %s", strerror(errno));
        *is_end = got == 0;
        if (got <= 0) return WEIR_OK; /* a signal does not make a whole line of half a one */
        p->len += (size_t)got;
    } while (p->len < p->room && poll(&more, 1, 0) == 1);
    return WEIR_OK;
}

static weir_rc produce_file(producer *p, int file, weir_error *err)
{
    bool is_end = false;

    while (!is_end && !interrupt_seen()) {
        WEIR_TRY(read_piece(p, file, &is_end, err));
        WEIR_TRY(produce_lines(p, is_end, err));
    }
    return WEIR_OK;
}

static int produce_with(options *o, producer *p, int file)
{
    weir_session *session;
    weir_error err;
    weir_rc rc;

    if (!options_open(o, &p->w, &session)) return EXIT_FAILED;
    interrupt_install(NULL, NULL, true);
    p->room = PIECE_BYTES;
    p->buffer = malloc(p->room);
    p->records = malloc(sizeof *p->records * BATCH_RECORDS);
    rc = p->buffer == NULL || p->records == NULL ? weir_fail(&err, WEIR_NOMEM, NOWHERE, "no memory for a buffer")
                                                 : produce_file(p, file, &err);
    if (rc != WEIR_OK) {
        report_error(NULL, NO_SLICE, 1, &err);
        fprintf(stderr, "weir: the first %" PRIu64 " lines are in the topic\n", p->appended);
    }
    free(p->buffer);
    free(p->records);
    weir_session_close(session);
    weir_close(p->w);
    return rc == WEIR_OK ? EXIT_OK : EXIT_FAILED;
}

int cmd_produce(options *o, int argc, char **argv)
{
    static const struct option OWN[] = {
        { "key-separator", required_argument, NULL, OPTION_SEPARATOR },
        { "null", required_argument, NULL, OPTION_NULL },
        { "partitions", required_argument, NULL, OPTION_PARTITIONS },
        { "timestamp", required_argument, NULL, OPTION_TIMESTAMP },
        { 0 },
    };
    producer p = { .timestamp_ms = -1 };
    int64_t number;
    int found, file = STDIN_FILENO, status;

    while ((found = options_next(o, argc, argv, OWN, false)) != -1) {
        switch (found) {
        case OPTION_NEXT_USAGE: return EXIT_USAGE;
        case OPTION_NEXT_HELP: return EXIT_OK;
        case OPTION_SEPARATOR:
            p.separator = slice_of(optarg);
            if (p.separator.len == 0) return usage_error(argv, "--key-separator takes at least a character");
            break;
        case OPTION_NULL: p.null = slice_of(optarg); break;
        case OPTION_TIMESTAMP:
            if (!parse_number(optarg, 0, INT64_MAX, &p.timestamp_ms))
                return usage_error(argv, "--timestamp takes milliseconds since 1970, not '%s'", optarg);
            break;
        default:
            if (!parse_number(optarg, 1, 1000000, &number))
                return usage_error(argv, "--partitions takes a number from 1 to 1000000, not '%s'", optarg);
            p.partitions = (int32_t)number;
        }
    }
    if (argc == optind) return usage_error(argv, "into which topic?");
    if (argc - optind > 2) return usage_error(argv, "one topic and one file, not '%s' as well", argv[optind + 2]);
    p.topic = slice_of(argv[optind]);
    if (argc - optind == 2 && strcmp(argv[optind + 1], "-") != 0) {
        file = open(argv[optind + 1], O_RDONLY | O_CLOEXEC);
        if (file < 0) {
            fprintf(stderr, "weir: cannot open %s: %s\n", argv[optind + 1], strerror(errno));
            return EXIT_FAILED;
        }
    }
    status = produce_with(o, &p, file);
    if (file != STDIN_FILENO) close(file);
    return status;
}
