/* shell/cmd_run.c - weir run: scripts headless. This process becomes the engine; its persistent queries go on until a
 * signal, or with --until-end until all input that was there has been processed. */
#include "shell/closing.h"
#include "shell/command.h"
#include "shell/interrupt.h"
#include "shell/report.h"
#include "shell/statements.h"

enum { OPTION_UNTIL_END = OPTION_OWN, OPTION_READY, OPTION_OUTPUT };

typedef struct run_plan {
    options *options;
    bool until_end, announces_ready;
    output_form form;
    FILE *messages;
    char **files;
    int file_count;
} run_plan;

static bool has_queries(weir *w)
{
    arena *a = arena_new(0);
    weir_query_stats *stats;
    uint32_t count = 0;
    bool has = weir_query_stats_list(w, a, &stats, &count) != WEIR_OK || count > 0;

    arena_free(a);
    return has;
}

static weir_rc run_files(const run_plan *run, door *d)
{
    weir_rc rc = WEIR_OK;

    for (int i = 0; i < run->file_count && rc == WEIR_OK; i++) {
        text sql = TEXT_EMPTY;
        statements s = { .door = d, .file = run->files[i], .first_line = 1, .resumes = true,
                         .form = run->form, .messages = run->messages };
        rc = read_file(run->files[i], &sql) ? statements_run(&s, text_slice(&sql)) : WEIR_RUNTIME;
        text_free(&sql);
    }
    return rc;
}

static void announce_ready(void)
{
    weir_clock wall = { 0 };

    printf("READY %lld\n", (long long)clock_now_ms(&wall));
    fflush(stdout);
}

/* From the statements to the end of the queries. */
static weir_rc run_queries(const run_plan *run, weir *w, door *d)
{
    weir_error err = { 0 };
    int64_t owner = 0;
    weir_rc rc;

    if (run->until_end) weir_run_until_end(w);
    if ((rc = weir_start(w, &owner, &err)) != WEIR_OK) goto fail;
    if (owner != 0) {
        slice dir = run->options->engine.data_dir;
        rc = weir_fail(&err, WEIR_STORAGE, NOWHERE,
                       "process %lld already runs the queries of %.*s: stop it first, or give it statements with "
                       "weir query", (long long)owner, dir.data == NULL ? 11 : (int)dir.len,
                       dir.data == NULL ? "./weir-data" : dir.data);
        goto fail;
    }
    if ((rc = run_files(run, d)) != WEIR_OK) return rc; /* reported */
    if ((rc = weir_wait_for(w, WEIR_WAIT_READY, &err)) != WEIR_OK) goto fail;
    if (run->announces_ready) announce_ready();
    if (has_queries(w) && (rc = weir_wait_for(w, WEIR_WAIT_END, &err)) != WEIR_OK) goto fail;
    return WEIR_OK;
fail:
    if (rc != WEIR_CANCELLED) report_error(NULL, NO_SLICE, 1, &err);
    return rc;
}

int cmd_run(options *o, int argc, char **argv)
{
    static const struct option OWN[] = {
        { "until-end", no_argument, NULL, OPTION_UNTIL_END },
        { "announce-ready", no_argument, NULL, OPTION_READY },
        { "output", required_argument, NULL, OPTION_OUTPUT },
        { "quiet", no_argument, NULL, 'q' },
        { 0 },
    };
    run_plan run = { .options = o, .messages = stderr };
    weir *w;
    weir_session *session;
    door *d;
    weir_rc rc;
    int found;

    while ((found = options_next(o, argc, argv, OWN, false)) != -1) {
        switch (found) {
        case OPTION_NEXT_USAGE: return EXIT_USAGE;
        case OPTION_NEXT_HELP: return EXIT_OK;
        case OPTION_UNTIL_END: run.until_end = true; break;
        case OPTION_READY: run.announces_ready = true; break;
        case 'q': run.messages = NULL; break;
        default:
            if (!output_form_of(optarg, &run.form))
                return usage_error(argv, "--output takes table, json or csv, not '%s'", optarg);
        }
    }
    run.files = argv + optind;
    run.file_count = argc - optind;
    if (run.file_count == 0) return usage_error(argv, "which script?");
    o->engine.notice = report_notice;
    if (!options_open(o, &w, &session)) return EXIT_FAILED;
    interrupt_install(w, session, true);
    d = door_local(w, session);
    rc = run_queries(&run, w, d);
    interrupt_release();
    closing_begin(o);
    door_close(d);
    weir_session_close(session);
    weir_close(w);
    closing_end();
    return rc == WEIR_OK || rc == WEIR_CANCELLED ? EXIT_OK : EXIT_FAILED;
}
