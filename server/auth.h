/* server/auth.h - who may do what. A file has a line for each account, "NAME ROLE HASH": who sends the secret that was hashed,
 * as a password (Basic NAME:SECRET) or in a token (Bearer NAME.SECRET), has the role.
 * Hashing takes tens of milliseconds by design, so a worker does it, once: what was found out about the bytes of a header is kept,
 * behind a keyed digest, in a table of bounded size.
 * Threads: an auth may be used by all; counted, since a reload replaces it under those who still ask. */
#ifndef WEIR_SERVER_AUTH_H
#define WEIR_SERVER_AUTH_H

#include "core/error.h"
#include "core/slice.h"
#include "core/text.h"

typedef struct auth auth;

/* In order: what a lower one may, a higher one may too. */
typedef enum auth_role { ROLE_NONE, ROLE_READ, ROLE_ADMIN } auth_role;

typedef enum auth_verdict { AUTH_UNKNOWN, AUTH_REFUSED, AUTH_GRANTED } auth_verdict;

/* A line that cannot be read is an error with its number. */
weir_rc auth_load(auth **out, slice file, weir_error *err) WEIR_CHECKED;
auth *auth_hold(auth *a);
void auth_drop(auth *a); /* NULL is fine */

/* What is known of an Authorization header without hashing. AUTH_UNKNOWN: auth_verify() tells. */
auth_verdict auth_look_up(auth *a, slice header, auth_role *role);
/* Hashes, and keeps what came of it. */
auth_verdict auth_verify(auth *a, slice header, auth_role *role);

/* "NAME ROLE HASH" with a line feed, as the file has it. given: NAME:ROLE. */
weir_rc auth_make_line(slice given, slice secret, text *out, weir_error *err) WEIR_CHECKED;

#endif
