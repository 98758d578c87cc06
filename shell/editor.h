/* shell/editor.h - typing statements at a terminal: libedit with statements of several lines, history across uses, and
 * completion. */
#ifndef WEIR_SHELL_EDITOR_H
#define WEIR_SHELL_EDITOR_H

#include "shell/door.h"

typedef struct editor editor;

typedef enum editor_got { EDITOR_TYPED, EDITOR_ABANDONED, EDITOR_END } editor_got;

/* Completion asks the door for names. is_whole: whether Enter ends what was typed, or begins another line of it. */
editor *editor_open(door *d, bool (*is_whole)(slice typed));
/* TYPED: *typed, lent until the next call. ABANDONED: Ctrl-C. END: Ctrl-D. */
editor_got editor_read(editor *e, slice *typed);
void editor_remember(editor *e, slice statement); /* in the history, and its file */
void editor_close(editor *e);

#endif
