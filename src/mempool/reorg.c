/* The chain moves. A connected block takes out what it confirms and what it makes impossible. A
 * disconnected one is kept, to be offered again when the run of moves has ended (LEDGER_TIP); entries that
 * spend its outputs leave at once, with their descendants, and are offered again behind it, so at every
 * instant all entries can be mined on the tip. After a disconnect the rest is asked whether it is still
 * final and mature.
 * What waits to be offered again: blocks, oldest first, at most REOFFER_MAX_B (the highest are dropped
 * first: they depend on the others); then the entries that left, parents first. Entries that left for a
 * lower block cannot depend on those that left for a higher one, so each group goes in front. */
#include <stdlib.h>
#include <string.h>

#include "coin/base/log.h"
#include "internal.h"

struct leaving { /* entries that go, to be sorted by arrival */
    struct mempool_entry **entries;
    uint32_t count, capacity;
};

static void connected(struct mempool *pool, const struct block *block);
static void disconnected(struct mempool *pool, struct block *block);
static void keep_block(struct mempool *pool, struct block *block);
static void leaving_add(struct mempool *pool, struct leaving *leaving, struct mempool_entry *entry);
static void leaving_reoffer(struct mempool *pool, const struct leaving *leaving);
static int compare_arrival(const void *a, const void *b);
static void drop_unready(struct mempool *pool);
static bool feed_block(struct mempool *pool);
static bool feed_tx(struct mempool *pool);
static void reoffered(
    void *ctx, struct tx *tx, const struct mempool_entry *entry, const struct fail *why);

void mempool_on_ledger(struct mempool *pool, const struct ledger_effect *effect)
{
    switch (effect->kind) {
    case LEDGER_CONNECTED:
        connected(pool, effect->block);
        break;
    case LEDGER_DISCONNECTED:
        pool->moving = pool->reorganised = true;
        disconnected(pool, effect->block);
        break;
    case LEDGER_TIP:
        if (pool->reorganised)
            drop_unready(pool);
        pool->moving = pool->reorganised = false;
        candidates_pump(pool);
        break;
    case LEDGER_HEADER:
    case LEDGER_BLOCK_SEEN:
    case LEDGER_INVALID:
    case LEDGER_IDLE:
    case LEDGER_FATAL:
        break;
    }
}

static void connected(struct mempool *pool, const struct block *block)
{
    pool_block_came(pool);
    for (uint32_t t = 1; t < block->tx_count; t++) {
        const struct tx *tx = &block->txs[t];
        struct mempool_entry *entry = pool_find(pool, &tx->txid);
        pool_delta_clear(pool, &tx->txid);
        if (entry != NULL) {
            pool_detach(pool, entry, MEMPOOL_CONFIRMED);
            continue;
        }
        for (uint32_t i = 0; i < tx->in_count; i++) {
            struct mempool_entry *spender = pool_spender(pool, &tx->in[i].prevout);
            if (spender != NULL)
                pool_detach_descendants(pool, spender, MEMPOOL_CONFLICT);
        }
    }
    pool_settle(pool);
}

static void disconnected(struct mempool *pool, struct block *block)
{
    struct leaving leaving = {0};
    for (uint32_t t = 0; t < block->tx_count && pool->count > 0; t++)
        for (uint32_t i = 0; i < block->txs[t].out_count; i++) {
            struct outpoint outpoint = {block->txs[t].txid, i};
            struct mempool_entry *spender = pool_spender(pool, &outpoint);
            if (spender != NULL && !spender->leaving)
                leaving_add(pool, &leaving, spender);
        }
    if (leaving.count > 1)
        qsort(leaving.entries, leaving.count, sizeof(struct mempool_entry *), compare_arrival);
    leaving_reoffer(pool, &leaving);
    for (uint32_t i = 0; i < leaving.count; i++)
        pool_detach(pool, leaving.entries[i], MEMPOOL_REORG);
    mem_free(leaving.entries);
    pool_settle(pool);
    keep_block(pool, block);
}

/* With its descendants. Without memory they leave now and are not offered again. */
static void leaving_add(struct mempool *pool, struct leaving *leaving, struct mempool_entry *entry)
{
    struct mempool_entry *members[CLUSTER_COUNT_MAX];
    uint64_t set = entry->cluster->txs[entry->cluster_index].descendants;
    uint32_t count = pool_members(entry, set, members);
    bool room = mem_try_grow(&leaving->entries, &leaving->capacity, leaving->count + count,
        POOL_ENTRIES_MAX, sizeof(struct mempool_entry *));
    for (uint32_t i = 0; i < count; i++) {
        if (members[i]->leaving)
            continue;
        if (room) {
            members[i]->leaving = true;
            leaving->entries[leaving->count++] = members[i];
        } else {
            pool_detach(pool, members[i], MEMPOOL_REORG);
        }
    }
}

static void leaving_reoffer(struct mempool *pool, const struct leaving *leaving)
{
    struct reoffer_tx *first = NULL, *last = NULL;
    for (uint32_t i = 0; i < leaving->count; i++) {
        const struct mempool_entry *entry = leaving->entries[i];
        struct reoffer_tx *item = mem_new(sizeof *item);
        item->tx = tx_ref(entry->tx);
        item->time_s = entry->time_s;
        item->unbroadcast = entry->unbroadcast;
        if (last != NULL)
            last->next = item;
        else
            first = item;
        last = item;
    }
    if (last == NULL)
        return;
    last->next = pool->txs;
    pool->txs = first;
}

static int compare_arrival(const void *a, const void *b)
{
    const struct mempool_entry *x = *(struct mempool_entry *const *)a,
                               *y = *(struct mempool_entry *const *)b;
    return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

static void keep_block(struct mempool *pool, struct block *block)
{
    if (block->tx_count < 2)
        return;
    struct reoffer_block *item = mem_new(sizeof *item);
    item->block = block_ref(block);
    item->next_tx = 1;
    item->next = pool->blocks;
    pool->blocks = item;
    pool->blocks_b += block->size_b;
    while (pool->blocks_b > REOFFER_MAX_B) {
        struct reoffer_block **link = &pool->blocks;
        while ((*link)->next != NULL)
            link = &(*link)->next;
        struct reoffer_block *highest = *link;
        log_debug(LOG_MEMPOOL,
            "transactions of block %s are not offered again: the reorganisation is too large",
            hash_show(highest->block->id.b));
        *link = NULL;
        pool->blocks_b -= highest->block->size_b;
        block_unref(highest->block);
        mem_free(highest);
    }
}

/* A lower tip: locks that had passed may be closed again, coinbases immature. */
static void drop_unready(struct mempool *pool)
{
    const struct block_index *tip = ledger_tip(pool->ledger);
    int64_t median_s = index_median_time_past_s(tip);
    for (uint32_t i = 0; i < pool->count;) {
        struct mempool_entry *entry = pool->entries[i];
        bool mature =
            entry->coinbase_height < 0 ||
            (int64_t)tip->height + 1 - entry->coinbase_height >= pool->chain->coinbase_maturity;
        if (mature && tx_is_final(entry->tx, tip->height + 1, median_s) &&
            lock_is_passed(pool, &entry->lock))
            i++;
        else
            pool_detach_descendants(pool, entry, MEMPOOL_REORG); /* another takes its place */
    }
    pool_settle(pool);
}

/* ---- offering again ---- */
void feed(struct mempool *pool)
{
    while (!pool->moving && pool->feed_in_flight < FEED_IN_FLIGHT_MAX) {
        if (pool->blocks == NULL && pool->txs == NULL)
            break;
        if (!(pool->blocks != NULL ? feed_block(pool) : feed_tx(pool)))
            return;
    }
    if (!pool->moving && pool->load != NULL)
        load_feed(pool);
}

static bool feed_block(struct mempool *pool)
{
    struct reoffer_block *item = pool->blocks;
    struct tx_verdict verdict = {reoffered, pool};
    if (!candidate_offer(pool, &item->block->txs[item->next_tx], MEMPOOL_BYPASS_LIMITS, 0,
            env_wall_s(pool->env), false, true, verdict))
        return false;
    pool->feed_in_flight++;
    if (++item->next_tx == item->block->tx_count) {
        pool->blocks = item->next;
        pool->blocks_b -= item->block->size_b;
        block_unref(item->block);
        mem_free(item);
    }
    return true;
}

static bool feed_tx(struct mempool *pool)
{
    struct reoffer_tx *item = pool->txs;
    struct tx_verdict verdict = {reoffered, pool};
    if (!candidate_offer(pool, item->tx, MEMPOOL_BYPASS_LIMITS, 0, item->time_s, item->unbroadcast,
            true, verdict))
        return false;
    pool->feed_in_flight++;
    pool->txs = item->next;
    tx_unref(item->tx);
    mem_free(item);
    return true;
}

static void reoffered(
    void *ctx, struct tx *tx, const struct mempool_entry *entry, const struct fail *why)
{
    (void)ctx;
    (void)entry;
    if (why->kind != FAIL_NONE)
        log_debug(LOG_MEMPOOL, "%s does not come back after the reorganisation: %s",
            hash_show(tx->txid.b), why->code);
}

void reoffers_free(struct mempool *pool)
{
    while (pool->blocks != NULL) {
        struct reoffer_block *next = pool->blocks->next;
        block_unref(pool->blocks->block);
        mem_free(pool->blocks);
        pool->blocks = next;
    }
    while (pool->txs != NULL) {
        struct reoffer_tx *next = pool->txs->next;
        tx_unref(pool->txs->tx);
        mem_free(pool->txs);
        pool->txs = next;
    }
}
