/* core/version.c - the release, in one place for every door. */
#include "core/version.h"

const char *weir_version(void)
{
    return "0.1.0";
}
