/* core/clock.h - the only source of time: the wall clock in production, a virtual one in deterministic tests. */
#ifndef WEIR_CORE_CLOCK_H
#define WEIR_CORE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

typedef struct weir_clock {
    bool is_virtual;
    int64_t now_ms; /* the virtual time; moved by whoever drives the test */
} weir_clock;

int64_t clock_now_ms(const weir_clock *clock); /* since 1970, for values and record timestamps */
int64_t clock_monotonic_ms(const weir_clock *clock); /* for intervals: never steps back */
int64_t clock_monotonic_ns(void);                    /* for measuring only */

#endif
