/* tree.h - making and walking the tree of headers (coin/ledger/index.h). Private to the ledger. */
#ifndef COIN_LEDGER_TREE_H
#define COIN_LEDGER_TREE_H

#include "coin/base/mem.h"
#include "coin/base/table.h"
#include "coin/ledger/index.h"

struct tree {
    struct table by_id; /* struct block_id -> struct block_index * */
    struct arena arena;
};
#define TREE_HEADERS_MAX                                                                           \
    (1u << 27) /* 130 bytes each on disk: far beyond any chain's proof of work */

void tree_init(struct tree *tree, const uint64_t seed[2]);
void tree_clear(struct tree *tree);
struct block_index *tree_find(const struct tree *tree, const struct block_id *id);
/* A new entry under prev (NULL: genesis), with height, skip and work; NULL: no memory. */
struct block_index *tree_add(struct tree *tree, const struct chain *chain,
    const struct header *header, const struct block_id *id, struct block_index *prev);
/* The next of the subtree under root (root first), parents before children; NULL: the end. skip: do not
 * go below `at`. No recursion, no memory. */
struct block_index *tree_next(const struct block_index *root, struct block_index *at, bool skip);

#endif
