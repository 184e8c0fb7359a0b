/* The tree of headers. Each entry points to its parent, and by `skip` to an ancestor chosen so that any
 * height below is reached in about 2 * log2(n) steps. Children are lists, so that marking what stands on
 * a bad block walks only that subtree.
 * Invariant: an entry's parent was there before it; height, work and skip never change. */
#include "coin/ledger/index.h"

#include <string.h>

#include "coin/consensus/check.h"
#include "tree.h"

static int32_t skip_height(int32_t height);
static int32_t clear_lowest_bit(int32_t n);
static struct pow_point view_at(const void *ctx, int32_t height);

struct block_index *index_ancestor(struct block_index *from, int32_t height)
{
    if (from == NULL || height < 0 || height > from->height)
        return NULL;
    struct block_index *at = from;
    while (at->height > height) {
        int32_t skip = skip_height(at->height);
        int32_t skip_before = skip_height(at->height - 1);
        /* Take the long step unless one step back first would allow a much better one. */
        bool jump = at->skip != NULL &&
                    (skip == height ||
                        (skip > height && !(skip_before < skip - 2 && skip_before >= height)));
        at = jump ? at->skip : at->prev;
    }
    return at;
}

const struct block_index *index_fork(const struct block_index *a, const struct block_index *b)
{
    /* The casts only find; nothing is written. */
    if (a->height > b->height)
        a = index_ancestor((struct block_index *)(uintptr_t)a, b->height);
    else
        b = index_ancestor((struct block_index *)(uintptr_t)b, a->height);
    while (a != b) {
        if (a->skip != NULL && a->skip != b->skip) { /* equal heights skip to equal heights */
            a = a->skip;
            b = b->skip;
        } else {
            a = a->prev;
            b = b->prev;
        }
    }
    return a;
}

int64_t index_median_time_past_s(const struct block_index *index)
{
    uint32_t times[MEDIAN_TIME_BLOCKS];
    uint32_t count = 0;
    for (; index != NULL && count < MEDIAN_TIME_BLOCKS; index = index->prev) {
        uint32_t i = count++;
        for (; i > 0 && times[i - 1] > index->time_s; i--)
            times[i] = times[i - 1];
        times[i] = index->time_s;
    }
    return count == 0 ? 0 : times[count / 2];
}

struct header index_header(const struct block_index *index)
{
    struct header header = {.version = index->version,
        .time_s = index->time_s,
        .bits = index->bits,
        .nonce = index->nonce};
    if (index->prev != NULL)
        header.prev = index->prev->id;
    memcpy(header.merkle_root, index->merkle_root, sizeof header.merkle_root);
    return header;
}

void index_view_init(struct index_view *view, const struct block_index *tip)
{
    view->tip = tip;
    view->near_count = 0;
    view->view = (struct pow_view){.ctx = view, .at = view_at, .tip_height = tip->height};
}

static struct pow_point view_at(const void *ctx, int32_t height)
{
    /* ctx is the struct index_view itself, which its maker holds as non-const. */
    struct index_view *view = (struct index_view *)(uintptr_t)ctx;
    int32_t back = view->tip->height - height;
    const struct block_index *at;
    if (back >= 0 && back <= INDEX_VIEW_NEAR) {
        while (view->near_count <= (uint32_t)back) {
            const struct block_index *next =
                view->near_count == 0 ? view->tip : view->near[view->near_count - 1]->prev;
            view->near[view->near_count++] = next;
        }
        at = view->near[back];
    } else {
        at = index_ancestor((struct block_index *)(uintptr_t)view->tip, height);
    }
    if (at == NULL) /* out of the promised range: genesis stands in */
        at = index_ancestor((struct block_index *)(uintptr_t)view->tip, 0);
    return (struct pow_point){.height = at->height, .time_s = at->time_s, .bits = at->bits};
}

/* ---- the tree ---- */
void tree_init(struct tree *tree, const uint64_t seed[2])
{
    table_init(&tree->by_id, sizeof(struct block_id), sizeof(struct block_index *),
        TREE_HEADERS_MAX, seed);
    arena_init(&tree->arena, 0);
}

void tree_clear(struct tree *tree)
{
    table_clear(&tree->by_id);
    arena_clear(&tree->arena);
}

struct block_index *tree_find(const struct tree *tree, const struct block_id *id)
{
    struct block_index **slot = table_find(&tree->by_id, id);
    return slot != NULL ? *slot : NULL;
}

struct block_index *tree_add(struct tree *tree, const struct chain *chain,
    const struct header *header, const struct block_id *id, struct block_index *prev)
{
    struct block_index *entry = arena_new(&tree->arena, sizeof *entry);
    struct block_index **slot = entry != NULL ? table_put(&tree->by_id, id, NULL) : NULL;
    if (slot == NULL)
        return NULL;
    *slot = entry;
    entry->id = *id;
    entry->prev = prev;
    entry->version = header->version;
    memcpy(entry->merkle_root, header->merkle_root, sizeof entry->merkle_root);
    entry->time_s = header->time_s;
    entry->bits = header->bits;
    entry->nonce = header->nonce;
    uint32_t parent_time_s = prev != NULL ? prev->time_s : header->time_s;
    entry->chain_work = pow_work(chain, header->bits, header->time_s, parent_time_s);
    if (prev != NULL) {
        entry->height = prev->height + 1;
        entry->skip = index_ancestor(prev, skip_height(entry->height));
        entry->chain_work = u256_add(&prev->chain_work, &entry->chain_work);
        entry->sibling = prev->child;
        prev->child = entry;
    }
    return entry;
}

struct block_index *tree_next(const struct block_index *root, struct block_index *at, bool skip)
{
    if (!skip && at->child != NULL)
        return at->child;
    while (at != root) {
        if (at->sibling != NULL)
            return at->sibling;
        at = at->prev;
    }
    return NULL;
}

/* Clearing low bits of the height gives steps of every size: even heights far back, odd ones near. */
static int32_t skip_height(int32_t height)
{
    if (height < 2)
        return 0;
    return (height & 1) != 0 ? clear_lowest_bit(clear_lowest_bit(height - 1)) + 1
                             : clear_lowest_bit(height);
}

static int32_t clear_lowest_bit(int32_t n)
{
    return n & (n - 1);
}
