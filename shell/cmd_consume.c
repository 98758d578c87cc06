/* shell/cmd_consume.c - weir consume: records of a topic to standard output. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "shell/command.h"
#include "shell/interrupt.h"
#include "shell/json.h"
#include "shell/report.h"

enum { OPTION_BEGINNING = OPTION_OWN, OPTION_UNTIL_END, OPTION_OUTPUT, OPTION_SEPARATOR };
enum { POLL_MS = 200 }; /* how late a signal may be noticed */

typedef struct consumer {
    slice topic, separator;
    bool from_beginning, until_end, is_json;
} consumer;

static void add_json_record(text *line, const weir_record *record)
{
    text_add_c(line, "{\"key\":");
    json_add_bytes(line, record->key);
    text_add_c(line, ",\"value\":");
    json_add_bytes(line, record->value);
    text_printf(line, ",\"timestamp\":%" PRId64 ",\"partition\":%" PRId32 ",\"offset\":%" PRId64 ",\"headers\":[",
                record->timestamp_ms, record->partition, record->offset);
    for (uint32_t i = 0; i < record->headers.count; i++) {
        text_add_c(line, i == 0 ? "{\"key\":" : ",{\"key\":");
        json_add_bytes(line, record->headers.items[i].key);
        text_add_c(line, ",\"value\":");
        json_add_bytes(line, record->headers.items[i].value);
        text_add_char(line, '}');
    }
    text_add_c(line, "]}\n");
}

static void add_raw_record(text *line, const consumer *c, const weir_record *record)
{
    if (c->separator.data != NULL) {
        text_add(line, record->key);
        text_add(line, c->separator);
    }
    text_add(line, record->value);
    text_add_char(line, '\n');
}

static weir_rc consume_records(const consumer *c, weir_reader *reader, weir_error *err)
{
    text lines = TEXT_EMPTY;
    bool ended = false;
    weir_rc rc = WEIR_OK;

    while (!ended && !interrupt_seen()) {
        const weir_record *records;
        uint32_t count = 0;
        if ((rc = weir_reader_next(reader, POLL_MS, &records, &count, &ended, err)) != WEIR_OK) break;
        text_clear(&lines);
        for (uint32_t i = 0; i < count; i++) {
            if (c->is_json) add_json_record(&lines, &records[i]);
            else add_raw_record(&lines, c, &records[i]);
        }
        if (count == 0) continue;
        errno = 0;
        fwrite(lines.data, 1, lines.len, stdout);
        if (fflush(stdout) == 0) continue;
        if (errno != EPIPE) rc = weir_fail(err, WEIR_RUNTIME, NOWHERE, "cannot write: %s", strerror(errno));
        break; /* the reader has gone: nothing more to do */
    }
    text_free(&lines);
    return rc;
}

static int consume_with(options *o, const consumer *c)
{
    weir *w;
    weir_session *session;
    weir_reader *reader = NULL;
    weir_error err;
    weir_rc rc;

    if (!options_open(o, &w, &session)) return EXIT_FAILED;
    interrupt_install(NULL, NULL, true);
    rc = weir_reader_open(&reader, w, c->topic, c->from_beginning, c->until_end, &err);
    if (rc == WEIR_OK) rc = consume_records(c, reader, &err);
    if (rc != WEIR_OK) report_error(NULL, NO_SLICE, 1, &err);
    weir_reader_close(reader);
    weir_session_close(session);
    weir_close(w);
    return rc == WEIR_OK ? EXIT_OK : EXIT_FAILED;
}

int cmd_consume(options *o, int argc, char **argv)
{
    static const struct option OWN[] = {
        { "from-beginning", no_argument, NULL, OPTION_BEGINNING },
        { "until-end", no_argument, NULL, OPTION_UNTIL_END },
        { "output", required_argument, NULL, OPTION_OUTPUT },
        { "key-separator", required_argument, NULL, OPTION_SEPARATOR },
        { 0 },
    };
    consumer c = { 0 };
    int found;

    while ((found = options_next(o, argc, argv, OWN, false)) != -1) {
        switch (found) {
        case OPTION_NEXT_USAGE: return EXIT_USAGE;
        case OPTION_NEXT_HELP: return EXIT_OK;
        case OPTION_BEGINNING: c.from_beginning = true; break;
        case OPTION_UNTIL_END: c.until_end = true; break;
        case OPTION_SEPARATOR: c.separator = slice_of(optarg); break;
        default:
            c.is_json = strcmp(optarg, "json") == 0;
            if (!c.is_json && strcmp(optarg, "raw") != 0)
                return usage_error(argv, "--output takes json or raw, not '%s'", optarg);
        }
    }
    if (argc - optind != 1) return usage_error(argv, argc == optind ? "which topic?" : "one topic at a time");
    c.topic = slice_of(argv[optind]);
    return consume_with(o, &c);
}
