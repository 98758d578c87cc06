/* storage/run_guide.c - see run_guide.h. */
#include "storage/run_guide.h"

#include "core/must.h"

#include <stdlib.h>

#define KEYS_A_BED 16 /* 1 look in 1,000 is wrong */
#define KEYS_A_LARGE_BED 21 /* 1 in 250; in the few large runs, which have most of the keys and so of the memory */
#define LARGE_KEYS ((uint64_t)1 << 18)
#define BEDS_MIN 2

static void guide_free(run_guide *g)
{
    free(g->beds);
    free(g->blocks);
    text_free(&g->firsts);
    free(g);
}

void guides_free(run_guides *g)
{
    for (uint32_t i = 0; i < g->count; i++) guide_free(g->items[i]);
    free(g->items);
    *g = (run_guides){ 0 };
}

static uint32_t index_of(const run_guides *g, uint64_t run)
{
    uint32_t i = 0;

    while (i < g->count && g->items[i]->run != run) i++;
    return i;
}

run_guide *guides_find(const run_guides *g, uint64_t run)
{
    uint32_t i = index_of(g, run);

    return i == g->count ? NULL : g->items[i];
}

void guides_drop(run_guides *g, uint64_t run)
{
    uint32_t i = index_of(g, run);

    if (i == g->count) return;
    guide_free(g->items[i]);
    g->items[i] = g->items[--g->count];
    g->changes++;
}

run_guide *guides_make(run_guides *g, uint64_t run, uint64_t keys)
{
    uint64_t beds = keys / (keys < LARGE_KEYS ? KEYS_A_BED : KEYS_A_LARGE_BED) + 1;
    run_guide *made = must(calloc(1, sizeof *made));

    guides_drop(g, run);
    if (g->count == g->room) {
        g->room = g->room == 0 ? 16 : 2 * g->room;
        g->items = must(realloc(g->items, g->room * sizeof *g->items));
    }
    made->run = run;
    made->bed_count = beds < BEDS_MIN ? BEDS_MIN : beds > UINT32_MAX ? UINT32_MAX : (uint32_t)beds;
    made->beds = must(aligned_alloc(sizeof *made->beds, made->bed_count * sizeof *made->beds));
    memset(made->beds, 0, made->bed_count * sizeof *made->beds);
    g->items[g->count++] = made;
    g->changes++;
    return made;
}

/* ---- its keys ---- */

void guide_add_key(run_guide *g, uint64_t hash)
{
    guide_bed *bed = guide_bed_of(g, hash);
    const guide_bed bits = guide_bits_of(hash);

    for (int i = 0; i < 4; i++) bed->words[i] |= bits.words[i];
    g->keys++;
}

bool guide_is_full(const run_guide *g)
{
    return g->keys > (uint64_t)g->bed_count * KEYS_A_BED * 2;
}

void guide_forget_keys(run_guide *g)
{
    memset(g->beds, 0, g->bed_count * sizeof *g->beds);
    g->keys = 0;
}

/* ---- its blocks ---- */

slice guide_first(const run_guide *g, uint32_t block)
{
    uint32_t from = block == 0 ? 0 : g->blocks[block - 1].first_end;

    return (slice){ g->firsts.data + from, g->blocks[block].first_end - from };
}

/* How many blocks begin at or before the place. */
static uint32_t blocks_up_to(const run_guide *g, slice place)
{
    uint32_t low = 0, high = g->block_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (slice_compare(guide_first(g, middle), place) <= 0) low = middle + 1;
        else high = middle;
    }
    return low;
}

void guide_add_block(run_guide *g, slice first)
{
    if (g->block_count == g->block_room) {
        g->block_room = g->block_room == 0 ? 16 : g->block_room + g->block_room / 2;
        g->blocks = must(realloc(g->blocks, g->block_room * sizeof *g->blocks));
    }
    text_add(&g->firsts, first);
    g->blocks[g->block_count++] = (guide_block){ .first_end = (uint32_t)g->firsts.len };
}

void guide_end_blocks(run_guide *g)
{
    text_trim(&g->firsts);
    g->blocks = must(realloc(g->blocks, (g->block_count + 1) * sizeof *g->blocks));
    g->block_room = g->block_count + 1;
}

void guide_cut(run_guide *g, slice place)
{
    g->block_count = blocks_up_to(g, place);
    g->firsts.len = g->block_count == 0 ? 0 : g->blocks[g->block_count - 1].first_end;
    if (g->placed > g->block_count) g->placed = g->block_count;
}

const guide_block *guide_block_of(const run_guide *g, slice place, slice *first)
{
    uint32_t blocks = blocks_up_to(g, place);

    if (blocks == 0) return NULL;
    *first = guide_first(g, blocks - 1);
    return &g->blocks[blocks - 1];
}
