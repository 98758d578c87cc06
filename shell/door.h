/* shell/door.h - where statements go: the engine in this process, or a server over the network. Either way they are answered by
 * messages, and by rows of cells as text.
 * Ownership: what an answer lends stays until the next call of the same door. Threads: one at a time. */
#ifndef WEIR_SHELL_DOOR_H
#define WEIR_SHELL_DOOR_H

#include "executor/engine.h"

typedef struct answer_column {
    slice name;
    bool is_number;
} answer_column;

/* What one statement answers. */
typedef struct answer {
    weir_result_kind kind;
    slice message; /* of WEIR_RESULT_MESSAGE */
    slice warning; /* absent: none */
    const answer_column *columns;
    uint32_t column_count;
    bool has_ended; /* no more rows come */
} answer;

typedef struct answer_rows {
    uint32_t count;
    const slice *cells;      /* count * column_count; absent: null */
    const bool *is_deletion; /* of a table's row */
} answer_rows;

typedef struct door door;

typedef struct door_class {
    weir_rc (*begin)(door *d, slice sql, bool resumes, weir_print how, weir_error *err);
    weir_rc (*next)(door *d, weir_error *err);
    weir_rc (*rows)(door *d, int timeout_ms, bool *found, weir_error *err);
    bool (*progress)(door *d, weir_progress *out);
    slice (*left_out)(door *d);
    void (*end)(door *d);
    void (*names)(door *d, uint32_t kinds, slice prefix, slice statement, arena *a, weir_name **out, uint32_t *count);
    void (*close)(door *d);
} door_class;

struct door {
    const door_class *class;
    answer answer;    /* of the statement that stands */
    bool has_answer;
    answer_rows rows;
};

/* The engine's session; both are the caller's, and outlive the door. */
door *door_local(weir *w, weir_session *s);

typedef struct remote_options {
    slice url;       /* http[s]://[user:password@]host[:port] */
    slice ca_file;   /* whom to trust; absent: whom the machine trusts */
    slice token;     /* a bearer token; absent: none */
    const weir_setting *settings, *defines; /* of the session */
    uint32_t setting_count, define_count;
    /* Asked while waiting: whether the user wants what runs to end. */
    bool (*is_interrupted)(void);
} remote_options;

/* Asks the server who it is; so a wrong address shows at once. The texts must outlive the door. */
weir_rc door_remote(door **out, const remote_options *options, weir_error *err) WEIR_CHECKED;
void door_close(door *d); /* NULL is fine */

/* A text of statements, to be taken one after the other with door_next(). resumes: see weir_script_resumes(). how: cells are
 * printed. */
weir_rc door_begin(door *d, slice sql, bool resumes, weir_print how, weir_error *err) WEIR_CHECKED;
/* Executes the next statement. *out NULL: there is none. */
weir_rc door_next(door *d, const answer **out, weir_error *err) WEIR_CHECKED;
/* Rows of the answer that stands. *out NULL: none came in time, or it has_ended. timeout_ms -1: as long as it takes. */
weir_rc door_rows(door *d, int timeout_ms, const answer_rows **out, weir_error *err) WEIR_CHECKED;
bool door_progress(door *d, weir_progress *out);
/* What the answer that stands could not use so far, in words. Absent: nothing. */
slice door_left_out(door *d);
void door_end(door *d); /* of the text; what runs is cancelled */
/* As weir_names(). */
void door_names(door *d, uint32_t kinds, slice prefix, slice statement, arena *a, weir_name **out, uint32_t *count);

#endif
