/* shell/command.h - the commands of the command line: one file each, one row each in main.c's table. */
#ifndef WEIR_SHELL_COMMAND_H
#define WEIR_SHELL_COMMAND_H

#include "shell/options.h"

/* What every command ends with, as GNU tools do. */
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

typedef struct command {
    const char *name;
    const char *arguments; /* as the usage line shows them */
    const char *summary;   /* one line, without a full stop */
    const char *help;      /* its own options and what to know, for --help; NULL: the common options are all */
    int (*run)(options *o, int argc, char **argv); /* argv[0] is "weir NAME" */
} command;

int cmd_shell(options *o, int argc, char **argv);
int cmd_run(options *o, int argc, char **argv);
int cmd_query(options *o, int argc, char **argv);
int cmd_produce(options *o, int argc, char **argv);
int cmd_consume(options *o, int argc, char **argv);
int cmd_server(options *o, int argc, char **argv);
int cmd_test(options *o, int argc, char **argv);

#endif
