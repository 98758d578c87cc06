/* core/error.h - the one error type: class, place, what to do, message.
 * Every fallible function returns a weir_rc and takes a weir_error * last, which it fills when the result is not WEIR_OK.
 * err is never NULL. Reporting an error allocates nothing. */
#ifndef WEIR_CORE_ERROR_H
#define WEIR_CORE_ERROR_H

#include <stdint.h>

typedef enum weir_rc {
    WEIR_OK,
    WEIR_SYNTAX,      /* the text is not in the language */
    WEIR_SEMANTIC,    /* it is, but names or types do not fit */
    WEIR_UNSUPPORTED, /* it is right, and weir does not do it yet: the message names the construct */
    WEIR_RUNTIME,     /* a query cannot go on */
    WEIR_STORAGE,     /* disk, LMDB, data directory */
    WEIR_BROKER,      /* Kafka, network */
    WEIR_NOMEM,
    WEIR_INTERNAL,    /* a bug of ours */
    WEIR_CANCELLED    /* the caller asked to stop */
} weir_rc;

/* A place in the statement text as typed; lines and columns count from 1; {0, 0} is "not about the text". */
typedef struct sql_pos {
    uint32_t line;
    uint32_t column;
} sql_pos;

#define NOWHERE ((sql_pos){ 0, 0 })

/* What a caller that meets the error should do. */
typedef enum weir_act {
    WEIR_ACT_STOP,  /* stop the statement or query */
    WEIR_ACT_RETRY, /* the same call may succeed later: back off and try again */
    WEIR_ACT_ABORT  /* abandon the epoch and compute it again */
} weir_act;

#define WEIR_MESSAGE_BYTES 1024

typedef struct weir_error {
    weir_rc rc;
    sql_pos at;
    weir_act act;
    char message[WEIR_MESSAGE_BYTES]; /* fixed: reporting NOMEM must not allocate; cut at a character's edge */
} weir_error;

#define WEIR_CHECKED __attribute__((warn_unused_result))

/* Fills *err and returns rc, so that a failing function can `return weir_fail(...)`. act is WEIR_ACT_STOP. */
weir_rc weir_fail(weir_error *err, weir_rc rc, sql_pos at, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* As weir_fail, with the advice to the caller. */
weir_rc weir_fail_act(weir_error *err, weir_rc rc, weir_act act, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* "syntax", "semantic" ...: the class as users read it. */
const char *weir_rc_name(weir_rc rc);

/* Returns early with the error of a call that failed: for the plain case where nothing needs undoing. */
#define WEIR_TRY(call)                         \
    do {                                       \
        weir_rc try_rc_ = (call);              \
        if (try_rc_ != WEIR_OK) return try_rc_; \
    } while (0)

#endif
