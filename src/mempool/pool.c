/* The pool's state and how it changes: tables by txid, wtxid and spent outpoint, clusters, the memory limit
 * with its rolling minimum fee, priorities, and the queue of what happened.
 * Entries leave in two steps: pool_detach takes them out of the tables and marks their clusters, and
 * pool_settle builds each marked cluster anew, once, however many left it: a block takes out thousands.
 * One that comes, with those it replaces, is a struct pool_change: worked out first, then made at once.
 * Memory is counted truly: entries with their transactions, clusters, and the tables' slots. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "coin/base/log.h"
#include "internal.h"

#define ROLLING_STEP_S 10 /* the decay is stored this often */

static void pool_unlink(
    struct mempool *pool, struct mempool_entry *entry, enum mempool_reason reason, bool is_told);
static void cluster_install(struct mempool *pool, struct mempool_cluster *cluster);
static void cluster_uninstall(struct mempool *pool, struct mempool_cluster *cluster);
static void cluster_mark(struct mempool *pool, struct mempool_cluster *cluster);
static bool tables_put(struct mempool *pool, struct mempool_entry *entry);
static void tables_remove(struct mempool *pool, struct mempool_entry *entry);
static double rolling_now(const struct mempool *pool);
static void rolling_store(struct mempool *pool);
static void table_clear_empty(struct table *table);

struct mempool *mempool_new(const struct env *env, const struct chain *chain, struct ledger *ledger,
    const struct mempool_options *options)
{
    struct mempool *pool = mem_new(sizeof *pool);
    uint64_t seed[2];
    pool->env = env;
    pool->chain = chain;
    pool->ledger = ledger;
    pool->options = *options;
    if (pool->options.cluster_count_max == 0 || pool->options.cluster_count_max > CLUSTER_COUNT_MAX)
        pool->options.cluster_count_max = CLUSTER_COUNT_MAX;
    if (pool->options.cluster_size_max_vb == 0)
        pool->options.cluster_size_max_vb = CLUSTER_SIZE_MAX_VB;
    env_random(env, seed, sizeof seed);
    table_init(&pool->by_txid, sizeof(struct txid), sizeof(struct mempool_entry *),
        POOL_ENTRIES_MAX, seed);
    table_init(&pool->by_wtxid, sizeof(struct wtxid), sizeof(struct mempool_entry *),
        POOL_ENTRIES_MAX, seed);
    table_init(&pool->spent, sizeof(struct outpoint), sizeof(struct mempool_entry *),
        POOL_SPENT_MAX, seed);
    table_init(&pool->deltas, sizeof(struct txid), sizeof(int64_t), DELTAS_MAX, seed);
    table_init(&pool->in_flight, sizeof(struct txid), sizeof(uint32_t), CANDIDATES_MAX, seed);
    pool->heaps[HEAP_BEST].kind = HEAP_BEST;
    pool->heaps[HEAP_WORST].kind = HEAP_WORST;
    pool->rolling_time_s = env_wall_s(env);
    return pool;
}

/* No job of the pool may be running: the node drains its workers first. */
void mempool_free(struct mempool *pool)
{
    struct mempool_effect effect;
    if (pool == NULL)
        return;
    candidates_free(pool);
    reoffers_free(pool);
    load_free(pool);
    while (pool->count > 0)
        pool_unlink(pool, pool->entries[0], MEMPOOL_EVICTED, true);
    while (pool->heaps[HEAP_BEST].count > 0)
        cluster_uninstall(pool, pool->heaps[HEAP_BEST].items[0]);
    while (mempool_next_effect(pool, &effect))
        tx_unref(effect.tx);
    table_clear(&pool->by_txid);
    table_clear(&pool->by_wtxid);
    table_clear(&pool->spent);
    table_clear(&pool->deltas);
    table_clear(&pool->in_flight);
    mem_free(pool->entries);
    mem_free(pool->heaps[HEAP_BEST].items);
    mem_free(pool->heaps[HEAP_WORST].items);
    mem_free(pool);
}

void mempool_on_tick(struct mempool *pool)
{
    pool_expire(pool, EXPIRY_SLICE);
    if (env_wall_s(pool->env) > pool->rolling_time_s + ROLLING_STEP_S)
        rolling_store(pool);
    pool_retry_backlog(pool);
    candidates_retry(pool);
    candidates_pump(pool);
}

/* ---- finding ---- */
struct mempool_entry *pool_find(const struct mempool *pool, const struct txid *id)
{
    struct mempool_entry **found = table_find(&pool->by_txid, id);
    return found != NULL ? *found : NULL;
}

struct mempool_entry *pool_spender(const struct mempool *pool, const struct outpoint *prevout)
{
    struct mempool_entry **found = table_find(&pool->spent, prevout);
    return found != NULL ? *found : NULL;
}

uint32_t pool_members(
    const struct mempool_entry *entry, uint64_t set, struct mempool_entry *out[CLUSTER_COUNT_MAX])
{
    uint32_t count = 0;
    for (uint64_t left = set & ~entry->cluster->gone; left != 0; left &= left - 1)
        out[count++] = entry->cluster->txs[bits_first(left)].entry;
    return count;
}

/* ---- leaving ---- */
void pool_detach(struct mempool *pool, struct mempool_entry *entry, enum mempool_reason reason)
{
    struct mempool_cluster *cluster = entry->cluster;
    cluster->gone |= UINT64_C(1) << entry->cluster_index;
    cluster->txs[entry->cluster_index].entry = NULL;
    cluster_mark(pool, cluster);
    pool_unlink(pool, entry, reason, true);
}

void pool_undo(struct mempool *pool, struct mempool_entry *entry)
{
    struct mempool_cluster *cluster = entry->cluster;
    cluster->gone |= UINT64_C(1) << entry->cluster_index;
    cluster->txs[entry->cluster_index].entry = NULL;
    cluster_mark(pool, cluster);
    if (entry->sequence == pool->sequence)
        pool->sequence--;
    pool_unlink(pool, entry, MEMPOOL_EVICTED, false);
    pool_settle(pool);
}

void pool_detach_descendants(
    struct mempool *pool, struct mempool_entry *entry, enum mempool_reason reason)
{
    struct mempool_entry *members[CLUSTER_COUNT_MAX];
    uint64_t set = entry->cluster->txs[entry->cluster_index].descendants;
    uint32_t count = pool_members(entry, set, members);
    for (uint32_t i = 0; i < count; i++)
        pool_detach(pool, members[i], reason);
}

void pool_settle(struct mempool *pool)
{
    while (pool->dirty != NULL) {
        struct mempool_cluster *cluster = pool->dirty, *parts = NULL;
        pool->dirty = cluster->next;
        cluster_split(&parts, cluster, cluster_all(cluster) & ~cluster->gone);
        cluster_uninstall(pool, cluster);
        while (parts != NULL) {
            struct mempool_cluster *next = parts->next;
            cluster_install(pool, parts);
            parts = next;
        }
    }
    if (pool->count == 0) { /* so that an empty pool weighs nothing */
        table_clear_empty(&pool->by_txid);
        table_clear_empty(&pool->by_wtxid);
        table_clear_empty(&pool->spent);
    }
}

bool mempool_remove(struct mempool *pool, const struct txid *id)
{
    struct mempool_entry *entry = pool_find(pool, id);
    if (entry == NULL)
        return false;
    pool_detach_descendants(pool, entry, MEMPOOL_CONFLICT);
    pool_settle(pool);
    return true;
}

static void pool_unlink(
    struct mempool *pool, struct mempool_entry *entry, enum mempool_reason reason, bool is_told)
{
    tables_remove(pool, entry);
    struct mempool_entry *last = pool->entries[--pool->count];
    pool->entries[entry->slot] = last;
    last->slot = entry->slot;
    pool->entries_b -= entry->usage_b;
    pool->vsize_vb -= entry->vsize_vb;
    pool->total_fee_sat -= entry->fee_sat;
    if (is_told)
        pool_tell(pool, MEMPOOL_REMOVED, reason, entry, ++pool->sequence);
    entry_free(entry);
}

static void tables_remove(struct mempool *pool, struct mempool_entry *entry)
{
    const struct tx *tx = entry->tx;
    table_remove(&pool->by_txid, &tx->txid);
    table_remove(&pool->by_wtxid, &tx->wtxid);
    for (uint32_t i = 0; i < tx->in_count; i++)
        if (pool_spender(pool, &tx->in[i].prevout) == entry) /* not when its replacement has it */
            table_remove(&pool->spent, &tx->in[i].prevout);
}

static void table_clear_empty(struct table *table)
{
    if (table->count == 0)
        table_clear(table);
}

static void cluster_mark(struct mempool *pool, struct mempool_cluster *cluster)
{
    if (cluster->is_dirty)
        return;
    cluster->is_dirty = true;
    cluster->next = pool->dirty;
    pool->dirty = cluster;
}

/* There is room in the heaps for as many clusters as entries: change_commit reserves it. */
static void cluster_install(struct mempool *pool, struct mempool_cluster *cluster)
{
    cluster->next = NULL;
    for (uint32_t i = 0; i < cluster->count; i++) {
        cluster->txs[i].entry->cluster = cluster;
        cluster->txs[i].entry->cluster_index = i;
    }
    for (uint32_t i = 0; i < cluster->chunk_count; i++) {
        struct cluster_chunk *chunk = &cluster->chunks[i];
        chunk->sequence = UINT64_MAX;
        for (uint64_t left = chunk->set; left != 0; left &= left - 1) {
            uint64_t sequence = cluster->txs[bits_first(left)].entry->sequence;
            chunk->sequence = sequence < chunk->sequence ? sequence : chunk->sequence;
        }
    }
    heap_add(&pool->heaps[HEAP_BEST], cluster);
    heap_add(&pool->heaps[HEAP_WORST], cluster);
    pool->clusters_b += cluster->usage_b;
}

static void cluster_uninstall(struct mempool *pool, struct mempool_cluster *cluster)
{
    heap_remove(&pool->heaps[HEAP_BEST], cluster);
    heap_remove(&pool->heaps[HEAP_WORST], cluster);
    pool->clusters_b -= cluster->usage_b;
    mem_free(cluster);
}

/* ---- a change ---- */
uint32_t change_touch(struct pool_change *change, struct mempool_cluster *cluster)
{
    for (uint32_t i = 0; i < change->old_count; i++)
        if (change->old[i] == cluster)
            return i;
    if (change->old_count == CHANGE_CLUSTERS_MAX)
        return UINT32_MAX;
    change->old[change->old_count] = cluster;
    change->gone[change->old_count] = change->parents[change->old_count] = 0;
    return change->old_count++;
}

bool change_build(
    struct pool_change *change, const struct mempool *pool, struct mempool_entry *entry)
{
    uint64_t joining[CHANGE_CLUSTERS_MAX], size_wu = entry->adjusted_wu;
    uint32_t count = 1;
    for (uint32_t i = 0; i < change->old_count; i++) {
        const struct mempool_cluster *old = change->old[i];
        uint64_t stays = cluster_all(old) & ~change->gone[i];
        joining[i] = 0;
        for (uint64_t left = change->parents[i]; left != 0; left &= ~joining[i])
            joining[i] |= cluster_component(old, stays, bits_first(left));
        count += bits_count(joining[i]);
        for (uint64_t left = joining[i]; left != 0; left &= left - 1)
            size_wu += old->txs[bits_first(left)].size_wu;
    }
    if (count > pool->options.cluster_count_max ||
        size_wu > (uint64_t)pool->options.cluster_size_max_vb * WITNESS_SCALE)
        return false;
    struct mempool_cluster *joined = cluster_new(count);
    struct cluster_tx *self = &joined->txs[count - 1];
    *self = (struct cluster_tx){
        .entry = entry, .fee_sat = entry->modified_fee_sat, .size_wu = entry->adjusted_wu};
    uint32_t at = 0;
    for (uint32_t i = 0; i < change->old_count; i++) {
        cluster_append(joined, at, change->old[i], joining[i]);
        for (uint64_t left = joining[i]; left != 0; left &= left - 1, at++)
            if ((change->parents[i] >> bits_first(left) & 1) != 0)
                self->parents |= UINT64_C(1) << at;
        cluster_split(&change->rest, change->old[i],
            cluster_all(change->old[i]) & ~change->gone[i] & ~joining[i]);
    }
    cluster_build(joined);
    change->joined = joined;
    return true;
}

void change_clear(struct pool_change *change)
{
    mem_free(change->joined);
    cluster_free_list(change->rest);
    memset(change, 0, sizeof *change);
}

bool change_commit(struct pool_change *change, struct mempool *pool, struct mempool_entry *entry)
{
    if (!mem_try_grow(&pool->entries, &pool->capacity, pool->count + 1, POOL_ENTRIES_MAX,
            sizeof(struct mempool_entry *)) ||
        !heap_reserve(&pool->heaps[HEAP_BEST], pool->count + 1) ||
        !heap_reserve(&pool->heaps[HEAP_WORST], pool->count + 1) || !tables_put(pool, entry))
        return false;
    for (uint32_t i = 0; i < change->old_count; i++) {
        for (uint64_t left = change->gone[i]; left != 0; left &= left - 1)
            pool_unlink(pool, change->old[i]->txs[bits_first(left)].entry, MEMPOOL_REPLACED, true);
        cluster_uninstall(pool, change->old[i]);
    }
    entry->sequence = ++pool->sequence;
    entry->slot = pool->count;
    pool->entries[pool->count++] = entry;
    pool->entries_b += entry->usage_b;
    pool->vsize_vb += entry->vsize_vb;
    pool->total_fee_sat += entry->fee_sat;
    cluster_install(pool, change->joined);
    while (change->rest != NULL) {
        struct mempool_cluster *next = change->rest->next;
        cluster_install(pool, change->rest);
        change->rest = next;
    }
    memset(change, 0, sizeof *change);
    return true;
}

/* First what is new to the tables, which can fail; then what its victims hold, which cannot. */
static bool tables_put(struct mempool *pool, struct mempool_entry *entry)
{
    const struct tx *tx = entry->tx;
    bool existed, ok = true;
    struct mempool_entry **slot = table_put(&pool->by_txid, &tx->txid, NULL);
    if (slot != NULL)
        *slot = entry;
    else
        ok = false;
    if (ok && (slot = table_put(&pool->by_wtxid, &tx->wtxid, NULL)) != NULL)
        *slot = entry;
    else
        ok = false;
    for (uint32_t i = 0; ok && i < tx->in_count; i++) {
        slot = table_put(&pool->spent, &tx->in[i].prevout, &existed);
        if (slot != NULL && !existed)
            *slot = entry;
        ok = slot != NULL;
    }
    if (!ok) {
        tables_remove(pool, entry);
        return false;
    }
    for (uint32_t i = 0; i < tx->in_count; i++)
        *(struct mempool_entry **)table_find(&pool->spent, &tx->in[i].prevout) = entry;
    return true;
}

/* ---- limit ---- */
size_t pool_usage_b(const struct mempool *pool)
{
    return pool->entries_b + pool->clusters_b + table_size_b(&pool->by_txid) +
           table_size_b(&pool->by_wtxid) + table_size_b(&pool->spent) +
           table_size_b(&pool->deltas) +
           (pool->capacity + pool->heaps[HEAP_BEST].capacity + pool->heaps[HEAP_WORST].capacity) *
               sizeof(void *);
}

/* Evicts worst chunks until the pool fits. What is evicted sets the minimum that newcomers must pay, plus
 * the incremental rate, or the same room would be fought for again and again for free (Bitcoin). */
void pool_trim(struct mempool *pool)
{
    struct cluster_heap *worst = &pool->heaps[HEAP_WORST];
    uint32_t evicted = 0;
    double highest = 0;
    while (worst->count > 0 && pool_usage_b(pool) > pool->options.limit_b) {
        struct mempool_cluster *cluster = worst->items[0];
        struct cluster_chunk chunk = cluster->chunks[cluster->chunk_count - 1];
        double rate = (double)chunk.fee_sat * WITNESS_SCALE * 1000 / (double)chunk.size_wu +
                      (double)pool->options.incremental_sat_kvb;
        highest = rate > highest ? rate : highest;
        evicted += chunk.count;
        for (uint64_t left = chunk.set; left != 0; left &= left - 1)
            pool_detach(pool, cluster->txs[bits_first(left)].entry, MEMPOOL_EVICTED);
        pool_settle(pool);
    }
    if (evicted == 0)
        return;
    if (highest > rolling_now(pool)) {
        pool->rolling_sat_kvb = highest;
        pool->rolling_time_s = env_wall_s(pool->env);
        pool->rolling_decays = false;
    }
    log_debug(LOG_MEMPOOL, "evicted %" PRIu32 " transactions, minimum fee now %" PRId64 " sat/kvB",
        evicted, pool_min_fee_sat_kvb(pool));
}

/* The minimum falls by half in 12 hours, faster when there is much room, and only once a block has shown
 * that it is being mined. */
static double rolling_now(const struct mempool *pool)
{
    double rate = pool->rolling_sat_kvb;
    int64_t past_s = env_wall_s(pool->env) - pool->rolling_time_s;
    if (!pool->rolling_decays || rate <= 0 || past_s <= 0)
        return rate;
    size_t usage_b = pool_usage_b(pool);
    int64_t half_life_s = ROLLING_HALF_LIFE_S;
    if (usage_b < pool->options.limit_b / 4)
        half_life_s /= 4;
    else if (usage_b < pool->options.limit_b / 2)
        half_life_s /= 2;
    rate /= exp2((double)past_s / (double)half_life_s);
    return rate < (double)pool->options.incremental_sat_kvb / 2 ? 0 : rate;
}

static void rolling_store(struct mempool *pool)
{
    pool->rolling_sat_kvb = rolling_now(pool);
    pool->rolling_time_s = env_wall_s(pool->env);
}

int64_t pool_min_fee_sat_kvb(const struct mempool *pool)
{
    double rate = rolling_now(pool);
    if (rate <= 0)
        return 0;
    int64_t rounded = rate < 1e15 ? (int64_t)llround(rate) : INT64_C(1000000000000000);
    return rounded > pool->options.incremental_sat_kvb ? rounded
                                                       : pool->options.incremental_sat_kvb;
}

void pool_block_came(struct mempool *pool)
{
    rolling_store(pool);
    pool->rolling_decays = true;
}

/* Looks at some entries each time, so that no turn of the loop pays for all. */
void pool_expire(struct mempool *pool, uint32_t slice)
{
    int64_t oldest_s = env_wall_s(pool->env) - pool->options.expiry_s;
    if (slice > pool->count)
        slice = pool->count;
    for (uint32_t i = 0; i < slice && pool->count > 0; i++) {
        if (pool->expiry_cursor >= pool->count)
            pool->expiry_cursor = 0;
        struct mempool_entry *entry = pool->entries[pool->expiry_cursor];
        if (entry->time_s < oldest_s)
            pool_detach_descendants(pool, entry, MEMPOOL_EXPIRED); /* another takes its place */
        else
            pool->expiry_cursor++;
    }
    pool_settle(pool);
}

/* ---- priorities ---- */
int64_t pool_delta_sat(const struct mempool *pool, const struct txid *id)
{
    const int64_t *delta = table_find(&pool->deltas, id);
    return delta != NULL ? *delta : 0;
}

void pool_delta_clear(struct mempool *pool, const struct txid *id)
{
    if (pool->deltas.count > 0)
        table_remove(&pool->deltas, id);
}

bool mempool_prioritise(struct mempool *pool, const struct txid *id, int64_t fee_delta_sat)
{
    int64_t *delta = table_put(&pool->deltas, id, NULL), sum;
    if (delta == NULL)
        return false;
    if (__builtin_add_overflow(*delta, fee_delta_sat, &sum) || sum > pool->chain->max_money_sat ||
        sum < -pool->chain->max_money_sat)
        sum = fee_delta_sat > 0 ? pool->chain->max_money_sat : -pool->chain->max_money_sat;
    *delta = sum;
    struct mempool_entry *entry = pool_find(pool, id);
    if (sum == 0)
        table_remove(&pool->deltas, id);
    if (entry != NULL) {
        entry->modified_fee_sat = entry->fee_sat + sum;
        cluster_mark(pool, entry->cluster);
        pool_settle(pool);
        pool->sequence++; /* walks and templates made before are stale */
    }
    return true;
}

bool mempool_next_delta(
    const struct mempool *pool, uint32_t *cursor, struct txid *id, int64_t *fee_delta_sat)
{
    const void *key;
    void *value;
    if (!table_next(&pool->deltas, cursor, &key, &value))
        return false;
    memcpy(id, key, sizeof *id);
    memcpy(fee_delta_sat, value, sizeof *fee_delta_sat);
    return true;
}

void mempool_set_unbroadcast(struct mempool *pool, const struct txid *id, bool unbroadcast)
{
    struct mempool_entry *entry = pool_find(pool, id);
    if (entry != NULL)
        entry->unbroadcast = unbroadcast;
}

/* ---- effects ---- */
void pool_tell(struct mempool *pool, enum mempool_effect_kind kind, enum mempool_reason reason,
    const struct mempool_entry *entry, uint64_t sequence)
{
    struct effect_item *item = mem_new(sizeof *item);
    item->effect = (struct mempool_effect){.kind = kind,
        .reason = reason,
        .tx = tx_ref(entry->tx),
        .fee_sat = entry->fee_sat,
        .sequence = sequence,
        .vsize_vb = entry->vsize_vb};
    if (pool->effect_last != NULL)
        pool->effect_last->next = item;
    else
        pool->effect_first = item;
    pool->effect_last = item;
}

bool mempool_next_effect(struct mempool *pool, struct mempool_effect *out)
{
    struct effect_item *item = pool->effect_first;
    if (item == NULL)
        return false;
    pool->effect_first = item->next;
    if (item->next == NULL)
        pool->effect_last = NULL;
    *out = item->effect;
    mem_free(item);
    return true;
}

/* ---- jobs ---- */
void pool_run_job(struct mempool *pool, struct job *job)
{
    pool->jobs++;
    job->next = NULL;
    if (pool->backlog_first == NULL && env_submit(pool->env, job))
        return;
    if (pool->backlog_last != NULL)
        pool->backlog_last->next = job;
    else
        pool->backlog_first = job;
    pool->backlog_last = job;
}

void pool_job_back(struct mempool *pool)
{
    pool->jobs--;
    pool_retry_backlog(pool);
}

void pool_retry_backlog(struct mempool *pool)
{
    while (pool->backlog_first != NULL) {
        struct job *job = pool->backlog_first, *next = job->next;
        job->next = NULL;
        if (!env_submit(pool->env, job)) {
            job->next = next;
            return;
        }
        pool->backlog_first = next;
        if (next == NULL)
            pool->backlog_last = NULL;
    }
}
