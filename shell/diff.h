/* shell/diff.h - what differs between two lists of lines. */
#ifndef WEIR_SHELL_DIFF_H
#define WEIR_SHELL_DIFF_H

#include "core/text.h"

/* Adds the lines of both: "  " before common ones, "- " before those only expected, "+ " before those only there. */
void diff_add(text *out, const slice *expected, uint32_t expected_count, const slice *actual, uint32_t actual_count);

#endif
