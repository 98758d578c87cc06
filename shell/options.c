/* shell/options.c - the options all commands share. */
#include "shell/options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "shell/command.h"
#include "shell/report.h"

enum { OPTION_DATA = 256, OPTION_KAFKA, OPTION_SERVICE, OPTION_THREADS, OPTION_SET, OPTION_REGISTRY };

const char COMMON_OPTIONS_HELP[] =
    "Common options:\n"
    "      --data DIR          data directory (default: ./weir-data)\n"
    "      --kafka BROKERS     topics on Kafka, host:port[,...]; without it: the embedded log\n"
    "  -X KEY=VALUE            a property of the Kafka client (librdkafka's names)\n"
    "      --schema-registry URL  where AVRO, JSON_SR and PROTOBUF keep their schemas; without it, on the\n"
    "                          embedded log: there; -X schema.registry.basic.auth.user.info=USER:PASSWORD\n"
    "      --service ID        names this service's groups and internal topics (default: weir)\n"
    "      --threads N         worker threads\n"
    "  -D NAME=VALUE           what ${NAME} stands for in statements\n"
    "      --set KEY=VALUE     as SET 'KEY'='VALUE'\n"
    "  -h, --help              this text\n"
    "  -V, --version           the version\n";

static const struct option COMMON[] = {
    { "data", required_argument, NULL, OPTION_DATA },
    { "kafka", required_argument, NULL, OPTION_KAFKA },
    { "schema-registry", required_argument, NULL, OPTION_REGISTRY },
    { "service", required_argument, NULL, OPTION_SERVICE },
    { "threads", required_argument, NULL, OPTION_THREADS },
    { "set", required_argument, NULL, OPTION_SET },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'V' },
};
enum { COMMON_COUNT = sizeof COMMON / sizeof COMMON[0], OWN_MAX = 16 };

int usage_error(char **argv, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "%s: ", argv[0]);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\nTry '%s --help'.\n", argv[0]);
    return EXIT_USAGE;
}

bool parse_number(const char *digits, int64_t low, int64_t high, int64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoll(digits, &end, 10);
    return errno == 0 && end != digits && *end == '\0' && *out >= low && *out <= high;
}

static bool add_setting(setting_list *list, const char *pair)
{
    const char *equals = strchr(pair, '=');

    if (equals == NULL || equals == pair) return false;
    list->items = realloc(list->items, sizeof *list->items * (list->count + 1));
    if (list->items == NULL) abort();
    list->items[list->count++] = (weir_setting){ { pair, (size_t)(equals - pair) }, slice_of(equals + 1) };
    return true;
}

int options_next(options *o, int argc, char **argv, const struct option *own, bool stops)
{
    struct option table[COMMON_COUNT + OWN_MAX + 1] = { 0 };
    char letters[16 + OWN_MAX + 1]; /* the short forms: own ones are those whose value is a letter */
    uint32_t own_count = 0;
    size_t at;
    int64_t number;

    memcpy(table, COMMON, sizeof COMMON);
    at = (size_t)snprintf(letters, sizeof letters, "%sX:D:hV", stops ? "+" : "");
    for (; own != NULL && own[own_count].name != NULL && own_count < OWN_MAX; own_count++) {
        table[COMMON_COUNT + own_count] = own[own_count];
        if (own[own_count].val < 256) letters[at++] = (char)own[own_count].val;
    }
    letters[at] = '\0';

    for (;;) {
        int found = getopt_long(argc, argv, letters, table, NULL);
        switch (found) {
        case OPTION_DATA: o->engine.data_dir = slice_of(optarg); break;
        case OPTION_KAFKA: o->engine.kafka_brokers = slice_of(optarg); break;
        case OPTION_REGISTRY: o->engine.schema_registry_url = slice_of(optarg); break;
        case OPTION_SERVICE: o->engine.service = slice_of(optarg); break;
        case OPTION_THREADS:
            if (!parse_number(optarg, 1, 1024, &number)) {
                usage_error(argv, "--threads takes a number from 1 to 1024, not '%s'", optarg);
                return OPTION_NEXT_USAGE;
            }
            o->engine.threads = (uint32_t)number;
            break;
        case 'X':
        case 'D':
        case OPTION_SET:
            if (!add_setting(found == 'X' ? &o->client : found == 'D' ? &o->defines : &o->settings, optarg)) {
                usage_error(argv, "%s takes NAME=VALUE, not '%s'", found == 'X' ? "-X" : found == 'D' ? "-D" : "--set",
                            optarg);
                return OPTION_NEXT_USAGE;
            }
            break;
        case 'h': o->wants_help = true; return OPTION_NEXT_HELP;
        case 'V': o->wants_version = true; return OPTION_NEXT_HELP;
        case '?':
            fprintf(stderr, "Try '%s --help'.\n", argv[0]);
            return OPTION_NEXT_USAGE;
        default: return found;
        }
    }
}

void options_free(options *o)
{
    free(o->client.items);
    free(o->defines.items);
    free(o->settings.items);
}

bool options_open(options *o, weir **w, weir_session **s)
{
    weir_error err;

    *w = NULL;
    *s = NULL;
    o->engine.client_properties = o->client.items;
    o->engine.client_property_count = o->client.count;
    if (weir_open(w, &o->engine, &err) != WEIR_OK) goto fail;
    if (weir_session_open(s, *w) != WEIR_OK) {
        weir_fail(&err, WEIR_NOMEM, NOWHERE, "no memory for a session");
        goto fail;
    }
    for (uint32_t i = 0; i < o->defines.count; i++)
        weir_session_define(*s, o->defines.items[i].name, o->defines.items[i].value);
    for (uint32_t i = 0; i < o->settings.count; i++) {
        if (weir_session_set(*s, o->settings.items[i].name, o->settings.items[i].value, &err) != WEIR_OK) goto fail;
    }
    return true;
fail:
    report_error(NULL, NO_SLICE, 1, &err);
    weir_session_close(*s);
    weir_close(*w);
    *w = NULL;
    *s = NULL;
    return false;
}
