/* core/json_tree.h - JSON as a tree that keeps what was written: each node knows its own source text, so a number is
 * its digits and a value can be passed on as it stands. Strict. All memory is the arena's, or the text's. */
#ifndef WEIR_CORE_JSON_TREE_H
#define WEIR_CORE_JSON_TREE_H

#include "core/text.h"

typedef enum node_kind { NODE_NULL, NODE_BOOLEAN, NODE_NUMBER, NODE_STRING, NODE_ARRAY, NODE_OBJECT } node_kind;

typedef struct node node;

struct node {
    node_kind kind;
    slice raw;    /* its source text, without white space around */
    slice string; /* STRING: what it says, escapes undone */
    slice *names; /* OBJECT: of the items */
    node *items;  /* ARRAY, OBJECT */
    uint32_t count;
};

/* The whole text is one value. False: it is no JSON; *at: the byte where that shows. */
bool node_parse(slice from, arena *a, node *out, size_t *at);

/* A member of an object; NULL where there is none, or it is null, or the object is NULL or none. */
const node *node_member(const node *of, const char *name);
/* What a string says, the source text of anything else; absent for NULL and null. */
slice node_text(const node *n);
slice node_member_text(const node *of, const char *name);
int64_t node_member_i64(const node *of, const char *name, int64_t otherwise);

#endif
