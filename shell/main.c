/* shell/main.c - the weir command: finds the command's row in the table and hands over. */
#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/version.h"
#include "shell/command.h"

static const command COMMANDS[] = {
    { "shell", "", "interactive SQL; reads statements from a pipe too", 
      "Statements end with ';' and may span lines. Ctrl-C ends the running query or drops the line typed so far, Ctrl-D\n"
      "leaves. \\? shows help. History is kept in ~/.weir_history. With --server URL statements go to a weir server.\n", cmd_shell },
    { "run", "FILE...", "run scripts headless; persistent queries go on until SIGINT or SIGTERM",
      "Statements that equal those already stored continue them. '-' is standard input.\n\n"
      "Options:\n"
      "      --until-end         end when all input there is now has been processed\n"
      "      --announce-ready    print a line READY when about to read the first record\n"
      "      --output FORM       how a SELECT in a script prints its rows: table, json or csv\n"
      "  -q, --quiet             no messages of statements on standard error\n", cmd_run },
    { "query", "'SQL'", "run a statement, print its result",
      "A SELECT without EMIT answers as of now and ends. Works beside a running engine.\n\n"
      "Options:\n"
      "      --output FORM       table (default), json (an object a line) or csv\n", cmd_query },
    { "produce", "TOPIC [FILE]", "lines of a file or standard input into a topic",
      "Makes the topic where it does not exist. What is acknowledged is durable.\n\n"
      "Options:\n"
      "      --key-separator S   what stands before the first S of a line is the key (a line without S has no key)\n"
      "      --null S            a value that reads S is a null: it deletes the key's row of a table\n"
      "      --partitions N      partitions of a topic made now\n"
      "      --timestamp MS      the time of all records, in milliseconds since 1970 (default: now)\n", cmd_produce },
    { "consume", "TOPIC", "records of a topic to standard output",
      "Options:\n"
      "      --from-beginning    start with the oldest record, not with the next to come\n"
      "      --until-end         end at what is there now\n"
      "      --output FORM       raw: the value and a line feed (default); json: an object a line with key, value,\n"
      "                          timestamp, partition, offset and headers; bytes that are not UTF-8 as {\"$base64\":\"...\"}\n"
      "      --key-separator S   raw: the key and S before the value\n", cmd_consume },
    { "server", "", "ksqlDB's REST API over HTTP; persistent queries run until SIGINT or SIGTERM",
      "HTTP/1.1 and HTTP/2 on one port. See docs/rest-api.md. SIGHUP reads the files of TLS and accounts again.\n\n"
      "Options:\n"
      "      --listen ADDRESS:PORT  where (default: 127.0.0.1:8088); port 0: any free one\n"
      "      --tls-cert FILE, --tls-key FILE\n"
      "                          TLS with this certificate (and its chain) and key, in PEM\n"
      "      --auth-file FILE    accounts, a line each; without it everyone may do everything\n"
      "      --hash-secret NAME:ROLE  print the account's line for that file and end; the role is read or admin, the\n"
      "                          secret the first line of standard input\n"
      "      --insecure          listen on other addresses than loopback too, without TLS\n"
      "      --queries FILE      run this fixed script: statements that equal stored ones continue them, and none that\n"
      "                          change streams, tables or queries are taken over HTTP\n"
      "      --log-format FORM   events on standard error: text (default), json or none\n"
      "      --log-requests      each request is an event\n"
      "      --max-request-time MS  within which a request is to have come (default: 30000)\n"
      "      --max-statement-time MS  statements and pull queries that take longer are ended (default: 300000)\n"
      "      --max-connections N, --max-queries N, --max-body BYTES\n"
      "                          limits (default: 4096, 1024, 4194304)\n"
      "      --announce-ready    print a line LISTENING ADDRESS:PORT once requests are taken\n", cmd_server },
    { "test", "FILE...", "run scenario files",
      "Each scenario runs with batches of 1, 2, 7 and 4096 rows and must give the same with all. See tests/README.md.\n\n"
      "Options:\n"
      "      --batch-rows N      only with batches of N rows\n"
      "  -v, --verbose           name each scenario\n", cmd_test },
};
enum { COMMAND_COUNT = sizeof COMMANDS / sizeof COMMANDS[0] };

static void print_overview(void)
{
    puts("Usage: weir [OPTION...] [COMMAND [ARGUMENT...]]\n"
         "Continuous SQL over streams and tables, on Kafka or on a log of its own.\n"
         "\nCommands:");
    for (uint32_t i = 0; i < COMMAND_COUNT; i++) {
        char call[64];
        snprintf(call, sizeof call, "%s %s", COMMANDS[i].name, COMMANDS[i].arguments);
        printf("  %-22s  %s\n", call, COMMANDS[i].summary);
    }
    printf("\n%s\nWithout a command: shell. 'weir COMMAND --help' tells more.\n", COMMON_OPTIONS_HELP);
}

static void print_help(const command *c)
{
    printf("Usage: weir %s [OPTION...] %s\n%c%s.\n\n", c->name, c->arguments, toupper((unsigned char)c->summary[0]),
           c->summary + 1);
    if (c->help != NULL) printf("%s\n", c->help);
    fputs(COMMON_OPTIONS_HELP, stdout);
}

static const command *find_command(const char *name)
{
    for (uint32_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(COMMANDS[i].name, name) == 0) return &COMMANDS[i];
    return NULL;
}

/* Output that did not reach its file is a failure, except where the reader of a pipe has simply gone. */
static int finish_output(int status)
{
    bool had_failed = ferror(stdout) != 0;

    errno = 0;
    if (fflush(stdout) != 0 && errno != EPIPE && !had_failed && status == EXIT_OK) {
        perror("weir: standard output");
        return EXIT_FAILED;
    }
    return status;
}

/* glibc raises the size from which it maps memory to that of the largest piece that was ever freed, and keeps what an epoch
 * needed for the next: 10 to 15 MiB of a job's memory. With fixed bounds it costs no time that could be measured. */
static void keep_little_memory(void)
{
    mallopt(M_MMAP_THRESHOLD, 2 << 20);
    mallopt(M_TRIM_THRESHOLD, 4 << 20);
    mallopt(M_ARENA_MAX, 1);
}

int main(int argc, char **argv)
{
    options o = { 0 };
    const command *c = find_command("shell");
    char title[32] = "weir", *no_arguments[] = { title, NULL };
    char **arguments = no_arguments;
    int count = 1, status;

    keep_little_memory();
    setlocale(LC_CTYPE, "");
    if (MB_CUR_MAX == 1) setlocale(LC_CTYPE, "C.UTF-8");
    signal(SIGPIPE, SIG_IGN); /* writing into a closed pipe or connection is an error like others */

    argv[0] = title;
    switch (options_next(&o, argc, argv, NULL, true)) {
    case OPTION_NEXT_USAGE: return EXIT_USAGE;
    case OPTION_NEXT_HELP:
        if (o.wants_version) printf("weir %s\n", weir_version());
        else print_overview();
        options_free(&o);
        return finish_output(EXIT_OK);
    default: break;
    }
    if (optind < argc) {
        c = find_command(argv[optind]);
        if (c == NULL) return usage_error(argv, "there is no command '%s'", argv[optind]);
        arguments = argv + optind;
        count = argc - optind;
        snprintf(title, sizeof title, "weir %s", c->name);
        arguments[0] = title;
    }
    optind = 0; /* getopt starts anew on the command's own arguments */
    status = c->run(&o, count, arguments);
    if (o.wants_version) printf("weir %s\n", weir_version());
    else if (o.wants_help) print_help(c);
    options_free(&o);
    return finish_output(status);
}
