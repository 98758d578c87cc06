/* shell/options.c - the options all commands share. */
#include "shell/options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "shell/command.h"
#include "shell/interrupt.h"
#include "shell/report.h"

enum { OPTION_DATA = 256, OPTION_KAFKA, OPTION_SERVICE, OPTION_THREADS, OPTION_SET, OPTION_REGISTRY, OPTION_SERVER, OPTION_SERVER_CA,
       OPTION_QUOTA };

const char COMMON_OPTIONS_HELP[] =
    "Common options:\n"
    "      --data DIR          data directory (default: ./weir-data)\n"
    "      --quota SIZE        what the embedded log may take there (bytes, or with K, M, G or T); at its limit\n"
    "                          appends fail, and queries wait until there is room\n"
    "      --kafka BROKERS     topics on Kafka, host:port[,...]; without it: the embedded log\n"
    "  -X KEY=VALUE            a property of the Kafka client (librdkafka's names)\n"
    "      --schema-registry URL  where AVRO, JSON_SR and PROTOBUF keep their schemas; without it, on the\n"
    "                          embedded log: there; -X schema.registry.basic.auth.user.info=USER:PASSWORD\n"
    "      --service ID        names this service's groups and internal topics (default: weir)\n"
    "      --server URL        shell and query: statements go to the weir server there, http[s]://[USER:PASSWORD@]HOST[:PORT];\n"
    "                          WEIR_TOKEN in the environment: a bearer token for it\n"
    "      --server-ca FILE    certificates of those that may vouch for the server (PEM)\n"
    "      --threads N         worker threads\n"
    "  -D NAME=VALUE           what ${NAME} stands for in statements\n"
    "      --set KEY=VALUE     as SET 'KEY'='VALUE'\n"
    "  -h, --help              this text\n"
    "  -V, --version           the version\n";

static const struct option COMMON[] = {
    { "data", required_argument, NULL, OPTION_DATA },
    { "kafka", required_argument, NULL, OPTION_KAFKA },
    { "quota", required_argument, NULL, OPTION_QUOTA },
    { "schema-registry", required_argument, NULL, OPTION_REGISTRY },
    { "service", required_argument, NULL, OPTION_SERVICE },
    { "server", required_argument, NULL, OPTION_SERVER },
    { "server-ca", required_argument, NULL, OPTION_SERVER_CA },
    { "threads", required_argument, NULL, OPTION_THREADS },
    { "set", required_argument, NULL, OPTION_SET },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'V' },
};
enum { COMMON_COUNT = sizeof COMMON / sizeof COMMON[0], OWN_MAX = 32 };

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

/* "500M" */
static bool parse_size(const char *given, uint64_t *bytes)
{
    static const char UNITS[] = "KMGT";
    char *end;

    errno = 0;
    unsigned long long number = strtoull(given, &end, 10);
    if (errno != 0 || end == given || given[0] == '-' || number == 0) return false;
    const char *unit = *end == '\0' ? NULL : strchr(UNITS, *end & ~0x20);
    uint32_t shift = unit == NULL ? 0 : 10 * (uint32_t)(unit - UNITS + 1);
    if ((*end != '\0' && (unit == NULL || end[1] != '\0')) || number > UINT64_MAX >> shift) return false;
    *bytes = (uint64_t)number << shift;
    return true;
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
        case OPTION_QUOTA:
            if (!parse_size(optarg, &o->engine.quota_bytes)) {
                usage_error(argv, "--quota takes a size such as 500M, not '%s'", optarg);
                return OPTION_NEXT_USAGE;
            }
            break;
        case OPTION_SERVER: o->server.url = slice_of(optarg); break;
        case OPTION_SERVER_CA: o->server.ca_file = slice_of(optarg); break;
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
    if (o->server.url.data != NULL) {
        fputs("weir: --server goes with shell and query only\n", stderr);
        return false;
    }
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

void print_address(FILE *to, slice url)
{
    const char *end = url.data + url.len, *scheme = memmem(url.data, url.len, "://", 3);
    const char *host = scheme == NULL ? url.data : scheme + 3, *at = memchr(host, '@', (size_t)(end - host));

    fprintf(to, "%.*s", (int)(host - url.data), url.data);
    if (at != NULL) host = at + 1;
    fprintf(to, "%.*s", (int)(end - host), host);
}

bool options_open_door(options *o, opened *out)
{
    const char *token = getenv("WEIR_TOKEN");
    weir_error err;

    *out = (opened){ 0 };
    if (o->server.url.data == NULL) {
        if (!options_open(o, &out->engine, &out->session)) return false;
        out->door = door_local(out->engine, out->session);
        return true;
    }
    if (token != NULL) o->server.token = slice_of(token);
    o->server.settings = o->settings.items;
    o->server.setting_count = o->settings.count;
    o->server.defines = o->defines.items;
    o->server.define_count = o->defines.count;
    o->server.is_interrupted = interrupt_seen;
    if (door_remote(&out->door, &o->server, &err) == WEIR_OK) return true;
    report_error(NULL, NO_SLICE, 1, &err);
    return false;
}

void opened_close(opened *place)
{
    door_close(place->door);
    weir_session_close(place->session);
    weir_close(place->engine);
}
