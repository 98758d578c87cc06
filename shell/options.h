/* shell/options.h - the options all commands share, and getopt_long around them.
 * Ownership: texts are those of argv; the lists belong to the options and are freed by options_free(). */
#ifndef WEIR_SHELL_OPTIONS_H
#define WEIR_SHELL_OPTIONS_H

#include <getopt.h>

#include <stdio.h>

#include "shell/door.h"

typedef struct setting_list {
    weir_setting *items;
    uint32_t count;
} setting_list;

typedef struct options {
    weir_options engine;       /* what weir_open() takes; client_properties is filled in by options_open() */
    setting_list client;       /* -X */
    setting_list defines;      /* -D */
    setting_list settings;     /* --set */
    remote_options server;     /* url absent: none; its lists are filled in by options_open_door() */
    bool wants_help, wants_version;
} options;

#define OPTION_NEXT_USAGE '?'   /* wrong usage, already reported: return EXIT_USAGE */
#define OPTION_NEXT_HELP 'h'    /* --help was given: return EXIT_OK, main.c prints it */
#define OPTION_OWN 1000         /* a command's own long options count from here */

/* The next option that is the command's own, after taking the common ones. -1: none is left, operands are at optind.
 * own: a getopt_long table ended by a zero row, or NULL. stops: the first operand ends the options. */
int options_next(options *o, int argc, char **argv, const struct option *own, bool stops);
void options_free(options *o);

/* "weir run: <message>" and where help is; returns EXIT_USAGE. */
int usage_error(char **argv, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A whole number between low and high, or false. */
bool parse_number(const char *digits, int64_t low, int64_t high, int64_t *out);

/* Opens the engine as the options say, and a session with its settings and definitions. Reports what fails. */
bool options_open(options *o, weir **w, weir_session **s);

/* Where statements go. */
typedef struct opened {
    weir *engine;           /* NULL, as the session: a server is spoken to */
    weir_session *session;
    door *door;
} opened;

/* As options_open(), or a door to the server that --server names. */
bool options_open_door(options *o, opened *out);
void opened_close(opened *place);
/* A URL without the password in it. */
void print_address(FILE *to, slice url);

extern const char COMMON_OPTIONS_HELP[];

#endif
