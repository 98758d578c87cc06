/* shell/cmd_query.c - weir query: a statement, its result, and out; beside a running engine too. */
#include "shell/command.h"
#include "shell/interrupt.h"
#include "shell/statements.h"

enum { OPTION_OUTPUT = OPTION_OWN };

int cmd_query(options *o, int argc, char **argv)
{
    static const struct option OWN[] = { { "output", required_argument, NULL, OPTION_OUTPUT }, { 0 } };
    statements s = { .first_line = 1, .messages = stdout };
    opened place;
    weir_rc rc;
    int found;

    while ((found = options_next(o, argc, argv, OWN, false)) != -1) {
        if (found == OPTION_NEXT_USAGE) return EXIT_USAGE;
        if (found == OPTION_NEXT_HELP) return EXIT_OK;
        if (!output_form_of(optarg, &s.form))
            return usage_error(argv, "--output takes table, json or csv, not '%s'", optarg);
    }
    if (argc - optind != 1) return usage_error(argv, argc == optind ? "which statement?" : "give one text, in quotes");
    if (!options_open_door(o, &place)) return EXIT_FAILED;
    s.door = place.door;
    interrupt_install(NULL, place.session, true);
    rc = statements_run(&s, slice_of(argv[optind]));
    interrupt_release();
    opened_close(&place);
    return rc == WEIR_OK || rc == WEIR_CANCELLED ? EXIT_OK : EXIT_FAILED;
}
