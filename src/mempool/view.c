/* Looking at the pool: entries, coins, relatives, chunks, and the walk from the best chunk to the worst.
 * The walk needs no sorting beforehand: below each cluster in the heap lie only worse ones, so a frontier
 * that begins at the root and grows with what was taken always holds the next chunk. k chunks cost
 * O(k log k), however many clusters there are. */
#include <string.h>

#include "internal.h"

struct frontier_item {
    struct mempool_cluster *cluster;
    uint32_t chunk;
};
struct mempool_walk {
    const struct mempool *pool;
    struct frontier_item *items; /* a heap, best first */
    uint32_t count, capacity;
    struct frontier_item pending; /* behind what was returned last; cluster NULL: none */
};

static bool frontier_push(
    struct mempool_walk *walk, struct mempool_cluster *cluster, uint32_t chunk);
static struct frontier_item frontier_pop(struct mempool_walk *walk);
static bool item_before(const struct frontier_item *a, const struct frontier_item *b);
static void chunk_show(
    struct mempool_chunk *out, const struct mempool_cluster *cluster, uint32_t index);

const struct mempool_entry *mempool_find(const struct mempool *pool, const struct txid *id)
{
    return pool_find(pool, id);
}

const struct mempool_entry *mempool_find_wtxid(const struct mempool *pool, const struct wtxid *id)
{
    struct mempool_entry **found = table_find(&pool->by_wtxid, id);
    return found != NULL ? *found : NULL;
}

const struct mempool_entry *mempool_spender(
    const struct mempool *pool, const struct outpoint *prevout)
{
    return pool_spender(pool, prevout);
}

bool mempool_coin(const struct mempool *pool, const struct outpoint *prevout, struct coin *out)
{
    const struct mempool_entry *entry = pool_find(pool, &prevout->txid);
    if (entry == NULL || prevout->index >= entry->tx->out_count)
        return false;
    const struct tx_out *from = &entry->tx->out[prevout->index];
    *out = (struct coin){
        .value_sat = from->value_sat, .height = MEMPOOL_HEIGHT, .script = from->script};
    return true;
}

const struct mempool_entry *mempool_next(const struct mempool *pool, uint32_t *cursor)
{
    return *cursor < pool->count ? pool->entries[(*cursor)++] : NULL;
}

uint64_t mempool_sequence(const struct mempool *pool)
{
    return pool->sequence;
}

struct mempool_stats mempool_stats(const struct mempool *pool)
{
    int64_t min_fee = pool_min_fee_sat_kvb(pool), min_relay = pool->options.min_relay_sat_kvb;
    return (struct mempool_stats){.count = pool->count,
        .vsize_vb = pool->vsize_vb,
        .usage_b = pool_usage_b(pool),
        .limit_b = pool->options.limit_b,
        .total_fee_sat = pool->total_fee_sat,
        .min_fee_sat_kvb = min_fee > min_relay ? min_fee : min_relay};
}

const struct mempool_options *mempool_options_of(const struct mempool *pool)
{
    return &pool->options;
}

uint32_t mempool_relatives(const struct mempool *pool, const struct mempool_entry *entry,
    bool descendants, const struct mempool_entry *out[CLUSTER_COUNT_MAX])
{
    (void)pool;
    const struct cluster_tx *self = &entry->cluster->txs[entry->cluster_index];
    uint64_t set = (descendants ? self->descendants : self->ancestors) &
                   ~(UINT64_C(1) << entry->cluster_index);
    uint32_t count = 0;
    for (uint32_t i = 0; i < entry->cluster->count; i++) /* in a minable order */
        if ((set >> entry->cluster->order[i] & 1) != 0)
            out[count++] = entry->cluster->txs[entry->cluster->order[i]].entry;
    return count;
}

/* ---- chunks ---- */
void mempool_chunk_of(const struct mempool *pool, const struct mempool_entry *entry,
    int64_t *fee_sat, uint64_t *vsize_vb)
{
    (void)pool;
    uint32_t index = cluster_chunk_index(entry->cluster, entry->cluster_index);
    const struct cluster_chunk *chunk = &entry->cluster->chunks[index];
    *fee_sat = chunk->fee_sat;
    *vsize_vb = (chunk->size_wu + WITNESS_SCALE - 1) / WITNESS_SCALE;
}

bool mempool_cluster_chunk(
    const struct mempool_entry *entry, uint32_t index, struct mempool_chunk *out)
{
    if (index >= entry->cluster->chunk_count)
        return false;
    chunk_show(out, entry->cluster, index);
    return true;
}

static void chunk_show(
    struct mempool_chunk *out, const struct mempool_cluster *cluster, uint32_t index)
{
    const struct cluster_chunk *chunk = &cluster->chunks[index];
    out->count = chunk->count;
    out->fee_sat = chunk->fee_sat;
    out->weight_wu = chunk->size_wu;
    out->vsize_vb = (chunk->size_wu + WITNESS_SCALE - 1) / WITNESS_SCALE;
    for (uint32_t i = 0; i < chunk->count; i++)
        out->entries[i] = cluster->txs[cluster->order[chunk->first + i]].entry;
}

/* ---- the walk ---- */
struct mempool_walk *mempool_walk_new(const struct mempool *pool)
{
    struct mempool_walk *walk = mem_new(sizeof *walk);
    walk->pool = pool;
    if (pool->heaps[HEAP_BEST].count > 0 &&
        !frontier_push(walk, pool->heaps[HEAP_BEST].items[0], 0))
        walk->count = 0; /* no memory: an empty walk */
    return walk;
}

bool mempool_walk_next(struct mempool_walk *walk, struct mempool_chunk *out)
{
    const struct cluster_heap *heap = &walk->pool->heaps[HEAP_BEST];
    if (walk->pending.cluster != NULL &&
        !frontier_push(walk, walk->pending.cluster, walk->pending.chunk))
        return false;
    walk->pending.cluster = NULL;
    if (walk->count == 0)
        return false;
    struct frontier_item item = frontier_pop(walk);
    uint32_t child = 2 * item.cluster->slot[HEAP_BEST] + 1;
    for (uint32_t i = child; item.chunk == 0 && i < child + 2 && i < heap->count; i++)
        if (!frontier_push(walk, heap->items[i], 0))
            return false;
    if (item.chunk + 1 < item.cluster->chunk_count)
        walk->pending = (struct frontier_item){item.cluster, item.chunk + 1};
    chunk_show(out, item.cluster, item.chunk);
    return true;
}

void mempool_walk_skip(struct mempool_walk *walk)
{
    walk->pending.cluster = NULL;
}

void mempool_walk_free(struct mempool_walk *walk)
{
    if (walk == NULL)
        return;
    mem_free(walk->items);
    mem_free(walk);
}

static bool frontier_push(
    struct mempool_walk *walk, struct mempool_cluster *cluster, uint32_t chunk)
{
    if (!mem_try_grow(
            &walk->items, &walk->capacity, walk->count + 1, POOL_ENTRIES_MAX, sizeof *walk->items))
        return false;
    struct frontier_item item = {cluster, chunk};
    uint32_t at = walk->count++;
    while (at > 0 && item_before(&item, &walk->items[(at - 1) / 2])) {
        walk->items[at] = walk->items[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    walk->items[at] = item;
    return true;
}

static struct frontier_item frontier_pop(struct mempool_walk *walk)
{
    struct frontier_item top = walk->items[0], moved = walk->items[--walk->count];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= walk->count)
            break;
        if (child + 1 < walk->count && item_before(&walk->items[child + 1], &walk->items[child]))
            child++;
        if (!item_before(&walk->items[child], &moved))
            break;
        walk->items[at] = walk->items[child];
        at = child;
    }
    walk->items[at] = moved;
    return top;
}

static bool item_before(const struct frontier_item *a, const struct frontier_item *b)
{
    return chunk_precedes(HEAP_BEST, a->cluster, a->chunk, b->cluster, b->chunk);
}
