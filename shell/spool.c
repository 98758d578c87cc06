/* shell/spool.c - see spool.h. */
#include "shell/spool.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

static ssize_t write_both(void *self, const char *bytes, size_t count)
{
    spool *s = self;

    fwrite(bytes, 1, count, s->file);
    if (fwrite(bytes, 1, count, stdout) < count || fflush(stdout) != 0) return 0;
    return (ssize_t)count;
}

void spool_close(spool *s)
{
    if (s->file == NULL) return;
    fclose(s->both);
    if (fclose(s->file) != 0) fprintf(stderr, "weir: the spool is not whole: %s\n", strerror(errno));
    s->file = s->both = NULL;
}

static void open_spool(spool *s, slice name)
{
    text path = TEXT_EMPTY;

    text_add(&path, name);
    text_add_char(&path, '\0');
    s->file = fopen(path.data, "w");
    if (s->file == NULL) {
        printf("Cannot write %s: %s\n", path.data, strerror(errno));
    } else {
        s->both = fopencookie(s, "w", (cookie_io_functions_t){ .write = write_both });
        if (s->both == NULL) abort();
        printf("Session will be spooled to %s\n", path.data);
    }
    text_free(&path);
}

/* What stands behind the word SPOOL, without its quotes; absent: this is no such line. */
static slice operand_of(slice line)
{
    static const size_t word = sizeof "SPOOL" - 1;

    if (line.len <= word || !slice_equal_nocase((slice){ line.data, word }, SLICE("SPOOL"))) return NO_SLICE;
    if (!isspace((unsigned char)line.data[word]) && line.data[word] != '\'') return NO_SLICE;
    line = (slice){ line.data + word, line.len - word };
    while (line.len > 0 && isspace((unsigned char)line.data[0])) line = (slice){ line.data + 1, line.len - 1 };
    bool is_quoted = line.len >= 2 && line.data[0] == '\'' && line.data[line.len - 1] == '\'';
    return is_quoted ? (slice){ line.data + 1, line.len - 2 } : line;
}

bool spool_command(spool *s, slice line)
{
    slice operand = operand_of(line);

    if (operand.data == NULL || operand.len == 0) return false;
    if (!slice_equal_nocase(operand, SLICE("OFF"))) {
        if (s->file != NULL) puts("There is a spool already; SPOOL OFF ends it.");
        else open_spool(s, operand);
    } else if (s->file == NULL) {
        puts("There is no spool.");
    } else {
        spool_close(s);
        puts("The spool is closed.");
    }
    return true;
}

weir_rc spool_run(spool *s, statements *run, slice sql)
{
    weir_rc rc;

    if (s->file == NULL) return statements_run(run, sql);
    fprintf(s->file, "weir> %.*s%s", SLICE_ARG(sql), sql.len > 0 && sql.data[sql.len - 1] == '\n' ? "" : "\n");
    run->rows = run->messages = s->both;
    run->errors = s->file;
    rc = statements_run(run, sql);
    run->rows = run->errors = NULL;
    run->messages = stdout;
    fflush(s->file);
    return rc;
}
