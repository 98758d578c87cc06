/* shell/diff.c - the longest common subsequence of lines, and around it what differs. */
#include "shell/diff.h"

#include <stdlib.h>

enum { CELLS_MAX = 16 << 20, CONTEXT = 3 };

/* Which lines are common: keep[i] is 1 + the actual line that expected line i meets, 0 for none. */
static void find_common(const slice *expected, uint32_t n, const slice *actual, uint32_t m, uint32_t *keep)
{
    size_t width = (size_t)m + 1;
    uint32_t *length;

    if ((size_t)n * m > CELLS_MAX || (length = calloc((size_t)(n + 1) * width, sizeof *length)) == NULL) {
        for (uint32_t i = 0; i < n && i < m && slice_equal(expected[i], actual[i]); i++) keep[i] = i + 1;
        return;
    }
    for (uint32_t i = n; i-- > 0;) {
        for (uint32_t j = m; j-- > 0;) {
            uint32_t down = length[(i + 1) * width + j], right = length[i * width + j + 1];
            length[i * width + j] = slice_equal(expected[i], actual[j]) ? length[(i + 1) * width + j + 1] + 1
                                    : down > right                      ? down
                                                                        : right;
        }
    }
    for (uint32_t i = 0, j = 0; i < n && j < m;) {
        if (slice_equal(expected[i], actual[j])) keep[i++] = ++j;
        else if (length[(i + 1) * width + j] >= length[i * width + j + 1]) i++;
        else j++;
    }
    free(length);
}

static void add_line(text *out, char sign, slice line)
{
    text_printf(out, "  %c %.*s\n", sign, SLICE_ARG(line));
}

void diff_add(text *out, const slice *expected, uint32_t expected_count, const slice *actual, uint32_t actual_count)
{
    uint32_t *keep = calloc((size_t)expected_count + 1, sizeof *keep), j = 0, quiet = 0;

    if (keep == NULL) abort();
    find_common(expected, expected_count, actual, actual_count, keep);
    for (uint32_t i = 0; i <= expected_count; i++) {
        uint32_t upto = i == expected_count ? actual_count : keep[i] > 0 ? keep[i] - 1 : j;
        for (; j < upto; j++, quiet = 0) add_line(out, '+', actual[j]);
        if (i == expected_count) break;
        if (keep[i] == 0) {
            add_line(out, '-', expected[i]);
            quiet = 0;
            continue;
        }
        j++;
        if (expected_count < 20 || quiet++ < CONTEXT) add_line(out, ' ', expected[i]);
        else if (quiet == CONTEXT + 1) text_add_c(out, "    ...\n");
    }
    free(keep);
}
