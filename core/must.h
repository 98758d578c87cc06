/* core/must.h - for small pieces of memory that nothing goes on without: where there are none left, the process says so and ends. */
#ifndef WEIR_CORE_MUST_H
#define WEIR_CORE_MUST_H

#include <stdio.h>
#include <stdlib.h>

/* What was just allocated. */
static inline void *must(void *memory)
{
    if (memory == NULL) {
        fputs("weir: out of memory\n", stderr);
        abort();
    }
    return memory;
}

#endif
