/* core/error.c - filling the one error type without allocating. */
#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void set_message(weir_error *err, const char *format, va_list arguments)
{
    int written = vsnprintf(err->message, sizeof err->message, format, arguments);

    if (written >= (int)sizeof err->message) { /* cut: not inside a UTF-8 character */
        size_t end = sizeof err->message - 1;
        while (end > 0 && ((unsigned char)err->message[end - 1] & 0xC0) == 0x80) end--;
        if (end > 0 && (unsigned char)err->message[end - 1] >= 0xC0) end--;
        err->message[end] = '\0';
    }
}

weir_rc weir_fail(weir_error *err, weir_rc rc, sql_pos at, const char *format, ...)
{
    va_list arguments;

    err->rc = rc;
    err->at = at;
    err->act = WEIR_ACT_STOP;
    va_start(arguments, format);
    set_message(err, format, arguments);
    va_end(arguments);
    return rc;
}

weir_rc weir_fail_act(weir_error *err, weir_rc rc, weir_act act, const char *format, ...)
{
    va_list arguments;

    err->rc = rc;
    err->at = NOWHERE;
    err->act = act;
    va_start(arguments, format);
    set_message(err, format, arguments);
    va_end(arguments);
    return rc;
}

const char *weir_rc_name(weir_rc rc)
{
    switch (rc) {
    case WEIR_OK: return "ok";
    case WEIR_SYNTAX: return "syntax";
    case WEIR_SEMANTIC: return "semantic";
    case WEIR_UNSUPPORTED: return "unsupported";
    case WEIR_RUNTIME: return "runtime";
    case WEIR_STORAGE: return "storage";
    case WEIR_BROKER: return "broker";
    case WEIR_NOMEM: return "memory";
    case WEIR_INTERNAL: return "internal";
    case WEIR_CANCELLED: return "cancelled";
    }
    return "internal";
}
