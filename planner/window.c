/* planner/window.c - window specifications: their text, and the grace and retention that count. */
#include "core/date.h"
#include "parser/parser.h"
#include "planner/plan.h"

void window_spec_print(text *out, const window_spec *w)
{
    static const char *const names[] = { "NONE", "TUMBLING", "HOPPING", "SESSION" };

    text_add_c(out, names[w->kind]);
    if (w->kind == WINDOW_NONE) return;
    text_add_char(out, '(');
    print_duration(out, w->size_ms);
    if (w->kind == WINDOW_HOPPING) {
        text_add_c(out, ", ");
        print_duration(out, w->advance_ms);
    }
    if (w->retention_ms >= 0) {
        text_add_c(out, ", RETENTION ");
        print_duration(out, w->retention_ms);
    }
    if (w->grace_ms >= 0) {
        text_add_c(out, ", GRACE ");
        print_duration(out, w->grace_ms);
    }
    text_add_char(out, ')');
}

int64_t window_grace_ms(const window_spec *w)
{
    if (w->grace_ms >= 0) return w->grace_ms;
    return w->size_ms < MS_PER_DAY ? MS_PER_DAY - w->size_ms : 0;
}

int64_t window_retention_ms(const window_spec *w)
{
    int64_t grace = window_grace_ms(w);
    int64_t least = w->size_ms > INT64_MAX - grace ? INT64_MAX : w->size_ms + grace;

    int64_t wanted = w->retention_ms >= 0 ? w->retention_ms : MS_PER_DAY;
    return wanted > least ? wanted : least;
}
