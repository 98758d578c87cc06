/* functions/java_regex.h - what Java's regular expressions have and PCRE2's have not: classes within classes ([a-z&&[^aeiou]],
 * [a[0-9]]) and some names of properties (\p{Lower}, \p{IsLatin}). Private to functions/. */
#ifndef WEIR_FUNCTIONS_JAVA_REGEX_H
#define WEIR_FUNCTIONS_JAVA_REGEX_H

#include "core/text.h"

/* Adds the pattern as PCRE2 reads it. What does not close is left as it is, for PCRE2 to complain about. */
void java_regex_print(text *out, slice pattern);

#endif
