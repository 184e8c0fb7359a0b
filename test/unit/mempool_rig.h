/* mempool_rig.h - what the tests of the pool share: a ledger and a pool in a simulated world, transactions
 * that spend the rig's coins, and a validator that walks all of the pool. Owner: the test. Thread: one. */
#ifndef COIN_UNIT_MEMPOOL_RIG_H
#define COIN_UNIT_MEMPOOL_RIG_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/mempool/internal.h"
#include "../sim/maker.h"
#include "../sim/world.h"
#include "coin/crypto/sha256.h"
#include "coin/script/script.h"

#define SETTLE_LIMIT_US (INT64_C(3600) * 1000000)
#define START_MS (INT64_C(1700000000) * 1000)
#define BLOCKS_MAX 1000
#define FUNDS 120 /* blocks mined before a test begins: coins 0.. are theirs */
#define MATURITY 10
#define COIN_VALUE (50 * COIN_SAT)
#define FEE 10000
#define NET (COIN_VALUE - FEE)
#define SPEND_MAX 130
#define POOL_FILE "mempool.dat"

struct rig {
    struct world *world;
    struct world_node *node;
    struct chain *chain;
    struct ledger *ledger;
    struct mempool *pool;
    struct mempool_options options;
    struct block *blocks[BLOCKS_MAX]; /* all made; the first FUNDS are the base of every branch */
    int32_t heights[BLOCKS_MAX];
    uint32_t count, salt;
    struct block *tip; /* of the branch that the test works on */
    struct table told; /* txids that the effects say are in the pool */
    uint32_t added, removed[MEMPOOL_REPLACED + 1];
    uint8_t script[34]; /* P2WSH of OP_TRUE */
    bool stopped;
};
struct verdict {
    uint32_t calls;
    bool has_entry;
    int64_t fee_sat;
    uint32_t vsize_vb;
    struct fail why;
};
static const uint8_t op_true = OP_1;

/* ---- the rig ---- */
static inline void drain(struct rig *rig)
{
    struct ledger_effect effect;
    struct mempool_effect moved;
    while (ledger_next_effect(rig->ledger, &effect)) {
        ck_assert_int_ne(effect.kind, LEDGER_FATAL);
        if (rig->pool != NULL)
            mempool_on_ledger(rig->pool, &effect);
        block_unref(effect.block);
    }
    while (rig->pool != NULL && mempool_next_effect(rig->pool, &moved)) {
        bool existed;
        if (moved.kind == MEMPOOL_ADDED) {
            ck_assert_ptr_nonnull(table_put(&rig->told, &moved.tx->txid, &existed));
            ck_assert(!existed);
            rig->added++;
        } else {
            table_remove(&rig->told, &moved.tx->txid);
            rig->removed[moved.reason]++;
        }
        tx_unref(moved.tx);
    }
}

static inline bool is_settled(void *ctx)
{
    struct rig *rig = ctx;
    drain(rig);
    return ledger_is_settled(rig->ledger) &&
           (rig->pool == NULL || (mempool_is_idle(rig->pool) && mempool_is_loaded(rig->pool)));
}

static inline void settle(struct rig *rig)
{
    ck_assert(world_run_until(rig->world, is_settled, rig, SETTLE_LIMIT_US));
}

static inline void on_block(
    void *ctx, enum block_outcome outcome, struct block_index *index, const struct fail *why)
{
    (void)index;
    ck_assert_msg(outcome != BLOCK_OUTCOME_REFUSED, "%s: %s", why->code, why->detail);
    *(uint32_t *)ctx += 1;
}

static inline int32_t height_of(const struct rig *rig, const struct block *block)
{
    for (uint32_t i = 0; i < rig->count; i++)
        if (rig->blocks[i] == block)
            return rig->heights[i];
    return 0;
}

static inline struct block *build(struct rig *rig, const struct block *prev, struct tx *const *txs,
    uint32_t count, int64_t fees_sat)
{
    struct maker_block spec = {.prev = prev->id,
        .height = height_of(rig, prev) + 1,
        .time_s = prev->header.time_s + 60,
        .bits = prev->header.bits,
        .txs = txs,
        .tx_count = count,
        .fees_sat = fees_sat,
        .salt = ++rig->salt,
        .script = span_of(rig->script, sizeof rig->script)};
    struct block *block = maker_build(rig->chain, &spec);
    ck_assert_uint_lt(rig->count, BLOCKS_MAX);
    rig->heights[rig->count] = spec.height;
    rig->blocks[rig->count++] = block;
    return block;
}

static inline void offer_block(struct rig *rig, const struct block *block)
{
    static uint32_t heard;
    struct buf raw;
    maker_raw(&raw, block);
    while (!ledger_offer_block(rig->ledger, &raw, true, (struct block_verdict){on_block, &heard})) {
        ck_assert(world_step(rig->world));
        drain(rig);
    }
    buf_clear(&raw);
}

/* Mines the transactions on the test's tip. */
static inline void mine(struct rig *rig, struct tx *const *txs, uint32_t count, int64_t fees_sat)
{
    rig->tip = build(rig, rig->tip, txs, count, fees_sat);
    offer_block(rig, rig->tip);
    settle(rig);
}

static inline void pool_open(struct rig *rig)
{
    uint64_t seed[2] = {1, 2};
    table_init(&rig->told, sizeof(struct txid), 1, 1u << 20, seed);
    rig->pool = mempool_new(&rig->node->env, rig->chain, rig->ledger, &rig->options);
}

static inline void pool_close(struct rig *rig)
{
    mempool_free(rig->pool);
    rig->pool = NULL;
    table_clear(&rig->told);
}

static inline void rig_init(struct rig *rig, uint64_t seed)
{
    struct fail why;
    struct ledger_options options = {.dir = "data",
        .dbcache_b = 8u << 20,
        .workers = 2,
        .fastprune = true,
        .tip_age_max_s = 86400,
        .check_blocks = 6,
        .check_level = 3};
    memset(rig, 0, sizeof *rig);
    rig->world = world_new(seed, START_MS);
    rig->node = world_add_node(rig->world);
    rig->chain = chain_load("regtest", &why);
    ck_assert_msg(rig->chain != NULL, "%s", why.detail);
    rig->chain->coinbase_maturity = MATURITY;
    rig->script[0] = OP_0;
    rig->script[1] = 32;
    sha256(rig->script + 2, &op_true, 1);
    rig->options = (struct mempool_options){.limit_b = 50u << 20,
        .expiry_s = 336 * 3600,
        .min_relay_sat_kvb = 100,
        .incremental_sat_kvb = 100,
        .dust_relay_sat_kvb = 3000,
        .datacarrier_size_b = 100000,
        .permit_bare_multisig = true,
        .require_standard = true,
        .bytes_per_sigop = 20};
    rig->ledger = ledger_open(&rig->node->env, rig->chain, &options, &why);
    ck_assert_msg(rig->ledger != NULL, "%s", why.detail);
    ledger_start(rig->ledger);
    pool_open(rig);
    rig->tip = rig->chain->genesis;
    for (uint32_t i = 0; i < FUNDS; i++) {
        rig->tip = build(rig, rig->tip, NULL, 0, 0);
        offer_block(rig, rig->tip);
    }
    settle(rig);
    world_node_drain(rig->node); /* blocks still on their way to the disk */
    drain(rig);
}

static inline void on_stopped(void *ctx)
{
    ((struct rig *)ctx)->stopped = true;
}

static inline bool is_stopped(void *ctx)
{
    drain(ctx);
    return ((struct rig *)ctx)->stopped;
}

static inline void rig_clear(struct rig *rig)
{
    ledger_stop(rig->ledger, on_stopped, rig);
    ck_assert(world_run_until(rig->world, is_stopped, rig, SETTLE_LIMIT_US));
    world_node_drain(rig->node);
    drain(rig);
    pool_close(rig);
    ledger_free(rig->ledger);
    for (uint32_t i = 0; i < rig->count; i++)
        block_unref(rig->blocks[i]);
    world_free(rig->world);
    chain_free(rig->chain);
}

/* The coinbase output of the i-th block. */
static inline struct outpoint fund(const struct rig *rig, uint32_t i)
{
    return (struct outpoint){rig->blocks[i]->txs[0].txid, 0};
}

/* ---- transactions ---- */
enum witness_kind { WITNESS_GOOD, WITNESS_WRONG, WITNESS_NONE, WITNESS_EXTRA, WITNESS_LARGE };
struct spend { /* zero means the ordinary */
    uint32_t version, lock_time;
    bool is_nonfinal; /* sequences below final */
    uint32_t sequence; /* counts when is_nonfinal */
    struct outpoint from[SPEND_MAX];
    uint32_t count;
    int64_t value_sat; /* of the first output; more: extra_sat each */
    uint32_t extras;
    int64_t extra_sat;
    uint32_t pad_b; /* an OP_RETURN output of about that many bytes */
    enum witness_kind witness;
};

static inline struct tx *make(const struct rig *rig, const struct spend *spend)
{
    struct tx_draft draft;
    struct fail why;
    struct tx *tx = NULL;
    static const uint8_t wrong[1] = {OP_RESERVED}, large[100];
    tx_draft_init(&draft);
    draft.version = spend->version != 0 ? spend->version : 2;
    draft.lock_time = spend->lock_time;
    for (uint32_t i = 0; i < spend->count; i++) {
        struct span items[2] = {span_of(&op_true, 1), span_of(&op_true, 1)};
        uint32_t count = 1;
        ck_assert_ptr_nonnull(tx_draft_add_in(
            &draft, &spend->from[i], spend->is_nonfinal ? spend->sequence : SEQUENCE_FINAL));
        if (spend->witness == WITNESS_WRONG)
            items[0] = span_of(wrong, 1);
        if (spend->witness == WITNESS_EXTRA || spend->witness == WITNESS_LARGE)
            count = 2;
        if (spend->witness == WITNESS_LARGE)
            items[0] = span_of(large, sizeof large);
        if (spend->witness != WITNESS_NONE)
            ck_assert(tx_draft_set_witness(&draft, i, items, count));
    }
    struct span script = span_of(rig->script, sizeof rig->script);
    ck_assert_ptr_nonnull(tx_draft_add_out(&draft, spend->value_sat, script));
    for (uint32_t i = 0; i < spend->extras; i++)
        ck_assert_ptr_nonnull(tx_draft_add_out(&draft, spend->extra_sat, script));
    if (spend->pad_b > 0) {
        struct buf pad;
        buf_init(&pad, spend->pad_b + 10);
        buf_put_u8(&pad, OP_RETURN);
        for (uint32_t i = 0; i < spend->pad_b; i++)
            buf_put_u8(&pad, OP_0);
        ck_assert_ptr_nonnull(tx_draft_add_out(&draft, 0, buf_span(&pad)));
        buf_clear(&pad);
    }
    ck_assert_msg(tx_draft_finish(&tx, &draft, &why), "%s", why.detail);
    tx_draft_clear(&draft);
    return tx;
}

/* One input of value_sat, `outputs` equal outputs. */
static inline struct tx *pay(const struct rig *rig, struct outpoint from, int64_t value_sat,
    int64_t fee_sat, uint32_t outputs)
{
    int64_t each_sat = (value_sat - fee_sat) / outputs;
    struct spend spend = {.from = {from},
        .count = 1,
        .value_sat = value_sat - fee_sat - each_sat * (outputs - 1),
        .extras = outputs - 1,
        .extra_sat = each_sat};
    return make(rig, &spend);
}

static inline struct outpoint out_of(const struct tx *tx, uint32_t index)
{
    return (struct outpoint){tx->txid, index};
}

static inline void on_verdict(
    void *ctx, struct tx *tx, const struct mempool_entry *entry, const struct fail *why)
{
    struct verdict *verdict = ctx;
    (void)tx;
    verdict->calls++;
    verdict->has_entry = entry != NULL;
    verdict->fee_sat = entry != NULL ? entry->fee_sat : 0;
    verdict->vsize_vb = entry != NULL ? entry->vsize_vb : 0;
    verdict->why = *why;
}

static inline void offer(struct rig *rig, struct tx *tx, unsigned flags, struct verdict *verdict)
{
    memset(verdict, 0, sizeof *verdict);
    ck_assert(mempool_offer(rig->pool, tx, flags, 0, (struct tx_verdict){on_verdict, verdict}));
    ck_assert_uint_eq(verdict->calls, 0); /* never from inside the offer */
}

/* ---- the validator ---- */
struct ask {
    struct coins_request request;
    bool done;
};

static inline void ask_done(struct coins_request *request, const struct fail *why)
{
    ck_assert_int_eq(why->kind, FAIL_NONE);
    ((struct ask *)request)->done = true;
}

static inline bool ask_is_done(void *ctx)
{
    return ((struct ask *)ctx)->done;
}

static inline bool is_coin(struct rig *rig, const struct outpoint *outpoint)
{
    struct coin coin;
    bool found = false;
    struct ask ask = {
        .request = {
            .outpoints = outpoint, .count = 1, .coins = &coin, .found = &found, .done = ask_done}};
    enum coins_answer answer = ledger_coins(rig->ledger, &ask.request);
    ck_assert_int_ne(answer, COINS_REFUSED);
    if (answer == COINS_PENDING)
        ck_assert(world_run_until(rig->world, ask_is_done, &ask, SETTLE_LIMIT_US));
    arena_clear(&ask.request.arena);
    return found;
}

static inline void check_clusters(const struct mempool *pool)
{
    size_t clusters_b = 0;
    uint32_t members = 0;
    ck_assert_uint_eq(pool->heaps[HEAP_BEST].count, pool->heaps[HEAP_WORST].count);
    for (uint32_t n = 0; n < pool->heaps[HEAP_BEST].count; n++) {
        const struct mempool_cluster *cluster = pool->heaps[HEAP_BEST].items[n];
        clusters_b += cluster->usage_b;
        members += cluster->count;
        ck_assert_uint_eq(cluster->gone, 0);
        ck_assert_uint_eq(
            cluster_component(cluster, cluster_all(cluster), 0), cluster_all(cluster));
        for (uint32_t i = 0; i < cluster->count; i++) {
            const struct mempool_entry *entry = cluster->txs[i].entry;
            uint64_t parents = 0;
            ck_assert_ptr_eq(entry->cluster, cluster);
            ck_assert_uint_eq(entry->cluster_index, i);
            ck_assert_int_eq(cluster->txs[i].fee_sat, entry->modified_fee_sat);
            for (uint32_t k = 0; k < entry->tx->in_count; k++) {
                const struct mempool_entry *parent =
                    pool_find(pool, &entry->tx->in[k].prevout.txid);
                if (parent != NULL) {
                    ck_assert_ptr_eq(parent->cluster, cluster);
                    ck_assert_uint_lt(
                        parent->sequence, entry->sequence); /* the order of mempool.dat */
                    parents |= UINT64_C(1) << parent->cluster_index;
                }
            }
            ck_assert_uint_eq(cluster->txs[i].parents, parents);
        }
    }
    ck_assert_uint_eq(clusters_b, pool->clusters_b);
    ck_assert_uint_eq(members, pool->count);
}

static inline void check_walk(struct mempool *pool)
{
    struct mempool_walk *walk = mempool_walk_new(pool);
    struct mempool_chunk chunk, before = {.count = 0};
    uint32_t seen = 0;
    while (mempool_walk_next(walk, &chunk)) {
        int64_t fee_sat = 0;
        uint64_t weight_wu = 0;
        ck_assert(before.count == 0 || feerate_compare(before.fee_sat, before.weight_wu,
                                           chunk.fee_sat, chunk.weight_wu) >= 0);
        for (uint32_t i = 0; i < chunk.count; i++) {
            struct mempool_entry *entry = pool->entries[chunk.entries[i]->slot];
            ck_assert_ptr_eq(entry, chunk.entries[i]);
            ck_assert(!entry->leaving);
            entry->leaving = true; /* "seen" */
            seen++;
            fee_sat += entry->modified_fee_sat;
            weight_wu += entry->adjusted_wu;
            for (uint32_t k = 0; k < entry->tx->in_count; k++) {
                const struct mempool_entry *parent =
                    pool_find(pool, &entry->tx->in[k].prevout.txid);
                ck_assert(parent == NULL || parent->leaving); /* minable */
            }
        }
        ck_assert_int_eq(chunk.fee_sat, fee_sat);
        ck_assert_uint_eq(chunk.weight_wu, weight_wu);
        before = chunk;
    }
    mempool_walk_free(walk);
    ck_assert_uint_eq(seen, pool->count);
    for (uint32_t i = 0; i < pool->count; i++)
        pool->entries[i]->leaving = false;
}

static inline void check_pool(struct rig *rig)
{
    struct mempool *pool = rig->pool;
    uint64_t vsize_vb = 0;
    int64_t fee_sat = 0;
    size_t entries_b = 0;
    uint32_t inputs = 0;
    int32_t height = ledger_tip(rig->ledger)->height;
    drain(rig);
    ck_assert_ptr_null(pool->dirty);
    ck_assert_uint_eq(pool->by_txid.count, pool->count);
    ck_assert_uint_eq(pool->by_wtxid.count, pool->count);
    ck_assert_uint_eq(rig->told.count, pool->count); /* effects tell all */
    for (uint32_t i = 0; i < pool->count; i++) {
        const struct mempool_entry *entry = pool->entries[i];
        ck_assert_uint_eq(entry->slot, i);
        ck_assert(!entry->leaving);
        ck_assert_ptr_eq(mempool_find(pool, &entry->tx->txid), entry);
        ck_assert_ptr_eq(mempool_find_wtxid(pool, &entry->tx->wtxid), entry);
        ck_assert_ptr_nonnull(table_find(&rig->told, &entry->tx->txid));
        ck_assert_ptr_null(entry->tx->block); /* keeps no block alive */
        ck_assert(
            tx_is_final(entry->tx, height + 1, index_median_time_past_s(ledger_tip(rig->ledger))));
        for (uint32_t k = 0; k < entry->tx->in_count; k++) {
            const struct outpoint *prevout = &entry->tx->in[k].prevout;
            struct coin coin;
            ck_assert_ptr_eq(mempool_spender(pool, prevout), entry);
            ck_assert(mempool_coin(pool, prevout, &coin) || is_coin(rig, prevout));
        }
        vsize_vb += entry->vsize_vb;
        fee_sat += entry->fee_sat;
        entries_b += entry->usage_b;
        inputs += entry->tx->in_count;
    }
    ck_assert_uint_eq(pool->spent.count, inputs);
    ck_assert_uint_eq(pool->vsize_vb, vsize_vb);
    ck_assert_int_eq(pool->total_fee_sat, fee_sat);
    ck_assert_uint_eq(pool->entries_b, entries_b);
    ck_assert_uint_le(pool_usage_b(pool), pool->options.limit_b);
    check_clusters(pool);
    check_walk(pool);
}

/* Offers, waits, checks all; code NULL: accepted. The caller's reference is dropped when drop is set. */
static inline struct verdict expect_flags(
    struct rig *rig, struct tx *tx, unsigned flags, const char *code)
{
    struct verdict verdict;
    offer(rig, tx, flags, &verdict);
    settle(rig);
    ck_assert_uint_eq(verdict.calls, 1);
    if (code == NULL) {
        ck_assert_msg(
            verdict.why.kind == FAIL_NONE, "%s: %s", verdict.why.code, verdict.why.detail);
        ck_assert(verdict.has_entry);
    } else {
        ck_assert_msg(verdict.why.kind != FAIL_NONE, "accepted, not refused as %s", code);
        ck_assert_str_eq(verdict.why.code, code);
    }
    bool inside = mempool_find_wtxid(rig->pool, &tx->wtxid) != NULL;
    ck_assert_int_eq(inside, (code == NULL && (flags & MEMPOOL_TEST_ONLY) == 0) ||
                                 (code != NULL && strcmp(code, "txn-already-in-mempool") == 0));
    check_pool(rig);
    return verdict;
}

static inline struct verdict expect(struct rig *rig, struct tx *tx, const char *code)
{
    return expect_flags(rig, tx, 0, code);
}

static inline void expect_gone(struct rig *rig, struct tx *tx, const char *code)
{
    expect(rig, tx, code);
    tx_unref(tx);
}

static inline void turn_clock(struct rig *rig, int64_t seconds)
{
    world_run_us(rig->world, seconds * 1000000);
    mempool_on_tick(rig->pool);
    settle(rig);
}

#define ROWS(table) (int)(sizeof(table) / sizeof(table)[0])

#endif
