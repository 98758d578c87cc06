/* core/version.h - see version.c. */
#ifndef WEIR_CORE_VERSION_H
#define WEIR_CORE_VERSION_H

const char *weir_version(void);

#endif
