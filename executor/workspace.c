/* executor/workspace.c - see workspace.h. */
#include "executor/workspace.h"

#include "core/must.h"

#define ARENA_BYTES_FIRST ((size_t)1 << 16)

workspace *workspace_new(uint32_t subtopologies)
{
    workspace *s = must(calloc(1, sizeof *s));

    s->pieces = slab_new(NULL);
    s->epoch_arena = arena_new(ARENA_BYTES_FIRST);
    s->batch_arenas = must(calloc(subtopologies, sizeof *s->batch_arenas));
    s->subtopologies = subtopologies;
    for (uint32_t i = 0; i < subtopologies; i++) s->batch_arenas[i] = arena_new(ARENA_BYTES_FIRST);
    return s;
}

void workspace_free(workspace *s)
{
    if (s == NULL) return;
    slab_drop(s->pieces);
    arena_free(s->epoch_arena);
    for (uint32_t i = 0; i < s->subtopologies; i++) arena_free(s->batch_arenas[i]);
    free(s->batch_arenas);
    free(s);
}
