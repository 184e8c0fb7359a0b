/* Proves that the pool takes what Bitcoin takes and refuses the rest with Bitcoin's words; that it is at
 * every moment consistent (a validator walks all of it after each step) and minable on the tip, whatever
 * comes: replacements, evictions, blocks, reorganisations, files that are damaged, memory that fails. */
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
static void drain(struct rig *rig)
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

static bool is_settled(void *ctx)
{
    struct rig *rig = ctx;
    drain(rig);
    return ledger_is_settled(rig->ledger) &&
           (rig->pool == NULL || (mempool_is_idle(rig->pool) && mempool_is_loaded(rig->pool)));
}

static void settle(struct rig *rig)
{
    ck_assert(world_run_until(rig->world, is_settled, rig, SETTLE_LIMIT_US));
}

static void on_block(
    void *ctx, enum block_outcome outcome, struct block_index *index, const struct fail *why)
{
    (void)index;
    ck_assert_msg(outcome != BLOCK_OUTCOME_REFUSED, "%s: %s", why->code, why->detail);
    *(uint32_t *)ctx += 1;
}

static int32_t height_of(const struct rig *rig, const struct block *block)
{
    for (uint32_t i = 0; i < rig->count; i++)
        if (rig->blocks[i] == block)
            return rig->heights[i];
    return 0;
}

static struct block *build(struct rig *rig, const struct block *prev, struct tx *const *txs,
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

static void offer_block(struct rig *rig, const struct block *block)
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
static void mine(struct rig *rig, struct tx *const *txs, uint32_t count, int64_t fees_sat)
{
    rig->tip = build(rig, rig->tip, txs, count, fees_sat);
    offer_block(rig, rig->tip);
    settle(rig);
}

static void pool_open(struct rig *rig)
{
    uint64_t seed[2] = {1, 2};
    table_init(&rig->told, sizeof(struct txid), 1, 1u << 20, seed);
    rig->pool = mempool_new(&rig->node->env, rig->chain, rig->ledger, &rig->options);
}

static void pool_close(struct rig *rig)
{
    mempool_free(rig->pool);
    rig->pool = NULL;
    table_clear(&rig->told);
}

static void rig_init(struct rig *rig, uint64_t seed)
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

static void on_stopped(void *ctx)
{
    ((struct rig *)ctx)->stopped = true;
}

static bool is_stopped(void *ctx)
{
    drain(ctx);
    return ((struct rig *)ctx)->stopped;
}

static void rig_clear(struct rig *rig)
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
static struct outpoint fund(const struct rig *rig, uint32_t i)
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

static struct tx *make(const struct rig *rig, const struct spend *spend)
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
static struct tx *pay(const struct rig *rig, struct outpoint from, int64_t value_sat,
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

static struct outpoint out_of(const struct tx *tx, uint32_t index)
{
    return (struct outpoint){tx->txid, index};
}

static void on_verdict(
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

static void offer(struct rig *rig, struct tx *tx, unsigned flags, struct verdict *verdict)
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

static void ask_done(struct coins_request *request, const struct fail *why)
{
    ck_assert_int_eq(why->kind, FAIL_NONE);
    ((struct ask *)request)->done = true;
}

static bool ask_is_done(void *ctx)
{
    return ((struct ask *)ctx)->done;
}

static bool is_coin(struct rig *rig, const struct outpoint *outpoint)
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

static void check_clusters(const struct mempool *pool)
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

static void check_walk(struct mempool *pool)
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

static void check_pool(struct rig *rig)
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
static struct verdict expect_flags(struct rig *rig, struct tx *tx, unsigned flags, const char *code)
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

static struct verdict expect(struct rig *rig, struct tx *tx, const char *code)
{
    return expect_flags(rig, tx, 0, code);
}

static void expect_gone(struct rig *rig, struct tx *tx, const char *code)
{
    expect(rig, tx, code);
    tx_unref(tx);
}

/* ---- accepting and refusing ---- */
struct refusal {
    const char *name;
    struct spend spend; /* from[] is filled in: coin 0 */
    const char *code;
    enum fail_kind kind;
};
#define FEE 10000
#define NET (COIN_VALUE - FEE)

static const struct refusal refusals[] = {
    {"ordinary", {.value_sat = NET}, NULL, FAIL_NONE},
    {"version", {.version = 4, .value_sat = NET}, "version", FAIL_POLICY},
    {"dust without fee only", {.value_sat = NET, .extras = 1, .extra_sat = 329}, "dust",
        FAIL_POLICY},
    {"two dust outputs", {.value_sat = NET - 400, .extras = 2, .extra_sat = 100}, "dust",
        FAIL_POLICY},
    {"fee at the minimum", {.value_sat = COIN_VALUE - 10}, NULL, FAIL_NONE},
    {"fee below it", {.value_sat = COIN_VALUE - 9}, "min relay fee not met", FAIL_POLICY},
    {"creates money", {.value_sat = COIN_VALUE + 1}, "bad-txns-in-belowout", FAIL_INVALID},
    {"too much money", {.value_sat = INT64_MAX}, "bad-txns-vout-toolarge", FAIL_INVALID},
    {"negative", {.value_sat = -1}, "bad-txns-vout-negative", FAIL_INVALID},
    {"final by height", {.is_nonfinal = true, .lock_time = FUNDS, .value_sat = NET}, NULL,
        FAIL_NONE},
    {"not final by height", {.is_nonfinal = true, .lock_time = FUNDS + 1, .value_sat = NET},
        "non-final", FAIL_POLICY},
    {"lock that does not count", {.lock_time = FUNDS + 1, .value_sat = NET}, NULL, FAIL_NONE},
    {"not final by time", {.is_nonfinal = true, .lock_time = 2000000000, .value_sat = NET},
        "non-final", FAIL_POLICY},
    {"old enough", {.is_nonfinal = true, .sequence = FUNDS, .value_sat = NET}, NULL, FAIL_NONE},
    {"not old enough", {.is_nonfinal = true, .sequence = FUNDS + 1, .value_sat = NET},
        "non-BIP68-final", FAIL_POLICY},
    {"not old enough in time",
        {.is_nonfinal = true, .sequence = SEQUENCE_LOCKTIME_TYPE | 14, .value_sat = NET},
        "non-BIP68-final", FAIL_POLICY},
    {"old enough in time",
        {.is_nonfinal = true, .sequence = SEQUENCE_LOCKTIME_TYPE | 3, .value_sat = NET}, NULL,
        FAIL_NONE},
    {"version 1 has no such locks",
        {.version = 1, .is_nonfinal = true, .sequence = 500, .value_sat = NET}, NULL, FAIL_NONE},
    {"wrong witness", {.witness = WITNESS_WRONG, .value_sat = NET},
        "mempool-script-verify-flag-failed (Witness program hash mismatch)", FAIL_POLICY},
    {"no witness", {.witness = WITNESS_NONE, .value_sat = NET},
        "mempool-script-verify-flag-failed (Witness program was passed an empty witness)",
        FAIL_MUTATED},
    {"a witness item too many", {.witness = WITNESS_EXTRA, .value_sat = NET},
        "mempool-script-verify-flag-failed (Stack size must be exactly one after execution)",
        FAIL_POLICY},
    {"a large witness item", {.witness = WITNESS_LARGE, .value_sat = NET},
        "bad-witness-nonstandard", FAIL_POLICY},
    {"too heavy", {.value_sat = NET, .pad_b = 99990}, "tx-size", FAIL_POLICY},
    {"too much data", {.value_sat = NET, .pad_b = 100000}, "tx-size", FAIL_POLICY},
};

START_TEST(refused_and_accepted)
{
    const struct refusal *row = &refusals[_i];
    struct rig rig;
    struct spend spend = row->spend;
    rig_init(&rig, 1);
    spend.from[spend.count++] = fund(&rig, 0);
    struct tx *tx = make(&rig, &spend);
    struct verdict verdict = expect(&rig, tx, row->code);
    ck_assert_msg(verdict.why.kind == row->kind, "%s: kind %d", row->name, verdict.why.kind);
    ck_assert_uint_eq(rig.pool->count, row->code == NULL);
    if (row->code == NULL) {
        expect(&rig, tx, "txn-already-in-mempool");
        ck_assert_int_eq(verdict.fee_sat, COIN_VALUE - row->spend.value_sat);
        ck_assert_uint_eq(verdict.vsize_vb, tx_vsize_b(tx));
    }
    tx_unref(tx);
    rig_clear(&rig);
}
END_TEST

START_TEST(refusals_that_need_a_history)
{
    struct rig rig;
    rig_init(&rig, 2);
    /* a coinbase, and what spends an unripe one: it is ripe for the next block MATURITY above */
    struct tx *coinbase = tx_ref(&rig.blocks[3]->txs[0]);
    expect_gone(&rig, coinbase, "coinbase");
    struct tx *unripe = pay(&rig, fund(&rig, FUNDS - MATURITY + 1), COIN_VALUE, FEE, 1);
    struct verdict v = expect(&rig, unripe, "bad-txns-premature-spend-of-coinbase");
    tx_unref(unripe);
    ck_assert_int_eq(v.why.kind, FAIL_POLICY);
    expect_gone(&rig, pay(&rig, fund(&rig, FUNDS - MATURITY), COIN_VALUE, FEE, 1), NULL);
    /* missing */
    struct outpoint nothing = {.index = 1};
    struct tx *tx = pay(&rig, nothing, COIN_VALUE, FEE, 1);
    v = expect(&rig, tx, "bad-txns-inputs-missingorspent");
    ck_assert_int_eq(v.why.kind, FAIL_TOO_EARLY);
    tx_unref(tx);
    tx = pay(&rig, fund(&rig, 0), COIN_VALUE, FEE, 2);
    expect(&rig, tx, NULL);
    expect_gone(&rig, pay(&rig, out_of(tx, 2), NET / 2, FEE, 1), "bad-txns-inputs-missingorspent");
    /* the same with another witness */
    struct spend spend = {.from = {fund(&rig, 0)},
        .count = 1,
        .value_sat = NET / 2,
        .extras = 1,
        .extra_sat = NET / 2,
        .witness = WITNESS_EXTRA};
    struct tx *other = make(&rig, &spend);
    ck_assert(txid_equal(&other->txid, &tx->txid));
    expect_gone(&rig, other, "txn-same-nonwitness-data-in-mempool");
    /* in the chain */
    mine(&rig, &tx, 1, FEE);
    ck_assert_uint_eq(rig.removed[MEMPOOL_CONFIRMED], 1);
    expect(&rig, tx, "txn-already-known");
    /* a test leaves no trace, but says all */
    struct tx *child = pay(&rig, out_of(tx, 0), NET / 2, FEE, 1);
    uint32_t added = rig.added;
    v = expect_flags(&rig, child, MEMPOOL_TEST_ONLY, NULL);
    ck_assert_int_eq(v.fee_sat, FEE);
    ck_assert_uint_eq(rig.added, added);
    /* the user's own limit */
    struct verdict dear = {0};
    ck_assert(mempool_offer(rig.pool, child, 0, 1000, (struct tx_verdict){on_verdict, &dear}));
    settle(&rig);
    ck_assert_str_eq(dear.why.code, "max-fee-exceeded");
    expect_gone(&rig, child, NULL);
    tx_unref(tx);
    rig_clear(&rig);
}
END_TEST

/* Inputs that only consensus knows, when the chain insists on standard ones. */
START_TEST(nonstandard_inputs)
{
    struct rig rig;
    rig_init(&rig, 3);
    struct maker_block spec = {.prev = rig.tip->id,
        .height = FUNDS + 1,
        .time_s = rig.tip->header.time_s + 1,
        .bits = rig.tip->header.bits,
        .salt = 99}; /* pays OP_TRUE */
    rig.tip = maker_build(rig.chain, &spec);
    rig.heights[rig.count] = spec.height;
    rig.blocks[rig.count++] = rig.tip;
    struct outpoint bare = {rig.tip->txs[0].txid, 0};
    offer_block(&rig, rig.tip);
    settle(&rig);
    for (uint32_t i = 0; i < MATURITY; i++)
        mine(&rig, NULL, 0, 0);
    struct spend spend = {.from = {bare}, .count = 1, .value_sat = NET, .witness = WITNESS_NONE};
    expect_gone(&rig, make(&rig, &spend), "bad-txns-nonstandard-inputs");
    rig.pool->options.require_standard = false;
    expect_gone(&rig, make(&rig, &spend), NULL);
    /* under 65 bytes it is refused even so: it could pass for two hashes of a merkle tree */
    struct outpoint from = fund(&rig, 0);
    struct tx *tx = maker_spend(&from, 1, NET, 1);
    expect_gone(&rig, tx, "tx-size-small");
    rig_clear(&rig);
}
END_TEST

START_TEST(children_wait_for_parents_in_flight)
{
    struct rig rig;
    struct tx *chain[20];
    struct verdict verdicts[20];
    rig_init(&rig, 4);
    int64_t value_sat = COIN_VALUE;
    struct outpoint from = fund(&rig, 0);
    for (uint32_t i = 0; i < 20; i++, value_sat -= FEE) {
        chain[i] = pay(&rig, from, value_sat, FEE, 1);
        from = out_of(chain[i], 0);
    }
    for (uint32_t i = 20; i-- > 0;)
        offer(&rig, chain[i], 0, &verdicts[i]); /* last ones first */
    ck_assert(!mempool_is_idle(rig.pool));
    settle(&rig);
    check_pool(&rig);
    ck_assert_uint_eq(rig.pool->count, 20);
    const struct mempool_entry *relatives[CLUSTER_COUNT_MAX];
    const struct mempool_entry *middle = mempool_find(rig.pool, &chain[7]->txid);
    ck_assert_uint_eq(mempool_relatives(rig.pool, middle, false, relatives), 7);
    ck_assert_ptr_eq(relatives[0]->tx, chain[0]);
    ck_assert_uint_eq(mempool_relatives(rig.pool, middle, true, relatives), 12);
    ck_assert_ptr_eq(relatives[11]->tx, chain[19]);
    ck_assert(mempool_remove(rig.pool, &chain[7]->txid));
    check_pool(&rig);
    ck_assert_uint_eq(rig.pool->count, 7);
    for (uint32_t i = 0; i < 20; i++) {
        ck_assert_uint_eq(verdicts[i].calls, 1);
        ck_assert_int_eq(verdicts[i].why.kind, FAIL_NONE);
    }
    /* a parent that fails lets its child go as missing */
    struct tx *poor = pay(&rig, fund(&rig, 1), COIN_VALUE, 0, 1);
    struct tx *child = pay(&rig, out_of(poor, 0), COIN_VALUE, FEE, 1);
    offer(&rig, poor, 0, &verdicts[0]);
    offer(&rig, child, 0, &verdicts[1]);
    settle(&rig);
    ck_assert_str_eq(verdicts[0].why.code, "min relay fee not met");
    ck_assert_str_eq(verdicts[1].why.code, "bad-txns-inputs-missingorspent");
    tx_unref(poor);
    tx_unref(child);
    for (uint32_t i = 0; i < 20; i++)
        tx_unref(chain[i]);
    rig_clear(&rig);
}
END_TEST

START_TEST(candidates_are_bounded)
{
    struct rig rig;
    static struct verdict verdicts[CANDIDATES_MAX + 1];
    rig_init(&rig, 5);
    struct tx *tx = pay(&rig, fund(&rig, 0), COIN_VALUE, FEE, 1);
    for (uint32_t i = 0; i < CANDIDATES_MAX; i++)
        offer(&rig, tx, 0, &verdicts[i]);
    ck_assert(!mempool_offer(
        rig.pool, tx, 0, 0, (struct tx_verdict){on_verdict, &verdicts[CANDIDATES_MAX]}));
    settle(&rig);
    uint32_t good = 0;
    for (uint32_t i = 0; i < CANDIDATES_MAX; i++) {
        ck_assert_uint_eq(verdicts[i].calls, 1);
        ck_assert(verdicts[i].has_entry);
        good += verdicts[i].why.kind == FAIL_NONE;
    }
    ck_assert_uint_eq(good, 1);
    check_pool(&rig);
    ck_assert(mempool_is_idle(rig.pool));
    tx_unref(tx);
    rig_clear(&rig);
}
END_TEST

/* ---- clusters ---- */
START_TEST(cluster_limits)
{
    struct rig rig;
    rig_init(&rig, 6);
    struct outpoint from = fund(&rig, 0);
    int64_t value_sat = COIN_VALUE;
    for (uint32_t i = 0; i < CLUSTER_COUNT_MAX; i++, value_sat -= FEE) {
        struct tx *tx = pay(&rig, from, value_sat, FEE, 1);
        expect(&rig, tx, NULL);
        from = out_of(tx, 0);
        tx_unref(tx);
    }
    expect_gone(&rig, pay(&rig, from, value_sat, FEE, 1), "too-large-cluster");
    /* two clusters that together are too many */
    struct tx *parents[2];
    for (uint32_t k = 0; k < 2; k++) {
        parents[k] = pay(&rig, fund(&rig, 1 + k), COIN_VALUE, FEE, 40);
        expect(&rig, parents[k], NULL);
        for (uint32_t i = 1; i < 33; i++)
            expect_gone(&rig, pay(&rig, out_of(parents[k], i), NET / 40, FEE, 1), NULL);
    }
    struct spend join = {.from = {out_of(parents[0], 0), out_of(parents[1], 0)},
        .count = 2,
        .value_sat = NET / 20 - FEE};
    expect_gone(&rig, make(&rig, &join), "too-large-cluster");
    /* size */
    struct spend large = {
        .from = {fund(&rig, 3)}, .count = 1, .value_sat = COIN_VALUE - 100000, .pad_b = 90000};
    struct tx *tx = make(&rig, &large);
    expect(&rig, tx, NULL);
    large.from[0] = out_of(tx, 0);
    large.value_sat -= 100000;
    large.pad_b = 11000;
    expect_gone(&rig, make(&rig, &large), "too-large-cluster");
    large.pad_b = 10000;
    expect_gone(&rig, make(&rig, &large), NULL);
    for (uint32_t k = 0; k < 2; k++)
        tx_unref(parents[k]);
    tx_unref(tx);
    rig_clear(&rig);
}
END_TEST

/* A child pays for its parent: one chunk; and priorities move chunks. */
START_TEST(chunks_and_priorities)
{
    struct rig rig;
    struct mempool_chunk chunk;
    rig_init(&rig, 7);
    struct tx *parent = pay(&rig, fund(&rig, 0), COIN_VALUE, 100, 1);
    struct tx *child = pay(&rig, out_of(parent, 0), COIN_VALUE - 100, 20000, 1);
    struct tx *single = pay(&rig, fund(&rig, 1), COIN_VALUE, 9000, 1);
    expect(&rig, parent, NULL);
    expect(&rig, child, NULL);
    expect(&rig, single, NULL);
    struct mempool_walk *walk = mempool_walk_new(rig.pool);
    ck_assert(mempool_walk_next(walk, &chunk));
    ck_assert_uint_eq(chunk.count, 2);
    ck_assert_int_eq(chunk.fee_sat, 20100);
    ck_assert_ptr_eq(chunk.entries[0]->tx, parent);
    mempool_walk_skip(walk);
    ck_assert(mempool_walk_next(walk, &chunk));
    ck_assert_ptr_eq(chunk.entries[0]->tx, single);
    ck_assert(!mempool_walk_next(walk, &chunk));
    mempool_walk_free(walk);
    int64_t fee_sat;
    uint64_t vsize_vb;
    mempool_chunk_of(rig.pool, mempool_find(rig.pool, &parent->txid), &fee_sat, &vsize_vb);
    ck_assert_int_eq(fee_sat, 20100);
    uint64_t sequence = mempool_sequence(rig.pool);
    ck_assert(mempool_prioritise(rig.pool, &child->txid, -20000));
    ck_assert_uint_gt(mempool_sequence(rig.pool), sequence);
    check_pool(&rig);
    mempool_chunk_of(rig.pool, mempool_find(rig.pool, &parent->txid), &fee_sat, &vsize_vb);
    ck_assert_int_eq(fee_sat, 100);
    ck_assert(mempool_cluster_chunk(mempool_find(rig.pool, &child->txid), 1, &chunk));
    ck_assert_int_eq(chunk.fee_sat, 0);
    ck_assert(!mempool_cluster_chunk(mempool_find(rig.pool, &child->txid), 2, &chunk));
    /* deltas add up, can name what is not here, count at its entry, and go with a block */
    struct tx *poor = pay(&rig, fund(&rig, 2), COIN_VALUE, 0, 1);
    ck_assert(mempool_prioritise(rig.pool, &poor->txid, 40));
    ck_assert(mempool_prioritise(rig.pool, &poor->txid, 60));
    expect(&rig, poor, NULL);
    ck_assert_int_eq(mempool_find(rig.pool, &poor->txid)->modified_fee_sat, 100);
    ck_assert_int_eq(mempool_find(rig.pool, &poor->txid)->fee_sat, 0);
    struct txid id;
    int64_t delta_sat, sum_sat = 0;
    for (uint32_t cursor = 0; mempool_next_delta(rig.pool, &cursor, &id, &delta_sat);)
        sum_sat += delta_sat;
    ck_assert_int_eq(sum_sat, 100 - 20000);
    mine(&rig, &poor, 1, 0);
    ck_assert(mempool_prioritise(rig.pool, &child->txid, 20000));
    uint32_t cursor = 0;
    ck_assert(!mempool_next_delta(rig.pool, &cursor, &id, &delta_sat));
    check_pool(&rig);
    tx_unref(parent);
    tx_unref(child);
    tx_unref(single);
    tx_unref(poor);
    rig_clear(&rig);
}
END_TEST

/* ---- replacement ---- */
START_TEST(replacement)
{
    struct rig rig;
    rig_init(&rig, 8);
    struct tx *first = pay(&rig, fund(&rig, 0), COIN_VALUE, 1000, 2);
    struct tx *child = pay(&rig, out_of(first, 0), (COIN_VALUE - 1000) / 2, 2000, 1);
    expect(&rig, first, NULL);
    expect(&rig, child, NULL);
    /* pays less than both; pays the same; pays not enough for its own relay */
    expect_gone(&rig, pay(&rig, fund(&rig, 0), COIN_VALUE, 2999, 1), "insufficient fee");
    expect_gone(&rig, pay(&rig, fund(&rig, 0), COIN_VALUE, 3000, 1), "insufficient fee");
    expect_gone(&rig, pay(&rig, fund(&rig, 0), COIN_VALUE, 3009, 1), "insufficient fee");
    /* pays more, but so large that its feerate is worse than what it drives out */
    struct spend large = {
        .from = {fund(&rig, 0)}, .count = 1, .value_sat = COIN_VALUE - 9000, .pad_b = 50000};
    expect_gone(&rig, make(&rig, &large), "replacement-failed");
    ck_assert_uint_eq(rig.removed[MEMPOOL_REPLACED], 0);
    /* spends what it replaces */
    struct spend self = {
        .from = {fund(&rig, 0), out_of(first, 1)}, .count = 2, .value_sat = COIN_VALUE};
    struct tx *selfish = make(&rig, &self);
    struct verdict v = expect(&rig, selfish, "bad-txns-spends-conflicting-tx");
    tx_unref(selfish);
    ck_assert_int_eq(v.why.kind, FAIL_INVALID);
    /* good: final sequences and an unconfirmed input that the old one had not are no hindrance */
    struct tx *other = pay(&rig, fund(&rig, 1), COIN_VALUE, 1000, 1);
    expect(&rig, other, NULL);
    struct spend both = {.from = {fund(&rig, 0), out_of(other, 0)},
        .count = 2,
        .value_sat = 2 * COIN_VALUE - 1000 - 20000};
    expect_gone(&rig, make(&rig, &both), NULL);
    ck_assert_uint_eq(rig.removed[MEMPOOL_REPLACED], 2);
    ck_assert_uint_eq(rig.pool->count, 2);
    tx_unref(first);
    tx_unref(child);
    tx_unref(other);
    rig_clear(&rig);
}
END_TEST

START_TEST(replacing_too_many_clusters)
{
    struct rig rig;
    rig_init(&rig, 9);
    struct spend all = {.count = REPLACED_CLUSTERS_MAX + 1};
    for (uint32_t i = 0; i < all.count; i++) {
        all.from[i] = fund(&rig, i);
        struct verdict verdict;
        struct tx *tx = pay(&rig, all.from[i], COIN_VALUE, 200, 1);
        offer(&rig, tx, 0, &verdict);
        settle(&rig);
        tx_unref(tx);
    }
    check_pool(&rig);
    ck_assert_uint_eq(rig.pool->count, all.count);
    all.value_sat = all.count * COIN_VALUE - 1000000;
    expect_gone(&rig, make(&rig, &all), "too many potential replacements");
    all.count--;
    all.value_sat = all.count * COIN_VALUE - 1000000;
    expect_gone(&rig, make(&rig, &all), NULL);
    ck_assert_uint_eq(rig.pool->count, 2);
    rig_clear(&rig);
}
END_TEST

/* BIP431, and dust that must be swept. */
START_TEST(truc_and_ephemeral_dust)
{
    struct rig rig;
    rig_init(&rig, 10);
    struct spend spend = {.version = 3,
        .from = {fund(&rig, 0)},
        .count = 1,
        .value_sat = COIN_VALUE / 2,
        .extras = 1,
        .extra_sat = COIN_VALUE / 2 - 1000};
    struct tx *parent = make(&rig, &spend);
    expect(&rig, parent, NULL);
    expect_gone(&rig, pay(&rig, out_of(parent, 0), COIN_VALUE / 2, 1000, 1),
        "TRUC-violation"); /* version 2 child */
    struct spend child = {
        .version = 3, .from = {out_of(parent, 0)}, .count = 1, .value_sat = COIN_VALUE / 2 - 1000};
    child.pad_b = 1000;
    expect_gone(&rig, make(&rig, &child), "TRUC-violation"); /* too large */
    child.pad_b = 0;
    struct tx *first = make(&rig, &child);
    expect(&rig, first, NULL);
    struct spend third = {
        .version = 3, .from = {out_of(first, 0)}, .count = 1, .value_sat = COIN_VALUE / 2 - 3000};
    expect_gone(&rig, make(&rig, &third), "TRUC-violation"); /* a grandchild */
    /* a sibling must outbid the child, then takes its place */
    child.from[0] = out_of(parent, 1);
    child.value_sat = COIN_VALUE / 2 - 1000 - 900;
    expect_gone(&rig, make(&rig, &child), "insufficient fee (including sibling eviction)");
    child.value_sat = COIN_VALUE / 2 - 1000 - 3000;
    expect_gone(&rig, make(&rig, &child), NULL);
    ck_assert_uint_eq(rig.removed[MEMPOOL_REPLACED], 1);
    struct tx *plain = pay(&rig, fund(&rig, 1), COIN_VALUE, 1000, 1);
    expect(&rig, plain, NULL);
    child.from[0] = out_of(plain, 0);
    child.value_sat = COIN_VALUE - 3000;
    expect_gone(&rig, make(&rig, &child), "TRUC-violation"); /* version 3 below version 2 */
    struct spend big = {.version = 3,
        .from = {fund(&rig, 2)},
        .count = 1,
        .value_sat = COIN_VALUE - 10000,
        .pad_b = 10000};
    expect_gone(&rig, make(&rig, &big), "TRUC-violation");
    /* dust: no fee, and spent by who spends from it (a minimum fee of zero lets it in alone) */
    rig.pool->options.min_relay_sat_kvb = 0;
    struct spend dusty = {.from = {fund(&rig, 3)},
        .count = 1,
        .value_sat = COIN_VALUE - 100,
        .extras = 1,
        .extra_sat = 100};
    struct tx *dust = make(&rig, &dusty);
    expect(&rig, dust, NULL);
    struct spend sweep = {.from = {out_of(dust, 0)}, .count = 1, .value_sat = COIN_VALUE - 5000};
    expect_gone(&rig, make(&rig, &sweep), "missing-ephemeral-spends");
    sweep.from[sweep.count++] = out_of(dust, 1);
    expect_gone(&rig, make(&rig, &sweep), NULL);
    tx_unref(parent);
    tx_unref(first);
    tx_unref(plain);
    tx_unref(dust);
    rig_clear(&rig);
}
END_TEST

/* ---- the limit ---- */
static void turn_clock(struct rig *rig, int64_t seconds)
{
    world_run_us(rig->world, seconds * 1000000);
    mempool_on_tick(rig->pool);
    settle(rig);
}

START_TEST(eviction_and_the_rolling_minimum)
{
    struct rig rig;
    rig_init(&rig, 11);
    struct tx *wide = pay(&rig, fund(&rig, 0), COIN_VALUE, 10000, 60);
    mine(&rig, &wide, 1, 10000);
    rig.pool->options.limit_b = 600000;
    int64_t value_sat = (COIN_VALUE - 10000) / 60;
    for (uint32_t i = 0; i < 40; i++) { /* each 20 kB, paying more and more */
        struct spend spend = {.from = {out_of(wide, i)},
            .count = 1,
            .value_sat = value_sat - 20000 - 1000 * (int64_t)i,
            .pad_b = 20000};
        struct verdict verdict;
        struct tx *tx = make(&rig, &spend);
        offer(&rig, tx, 0, &verdict);
        settle(&rig);
        ck_assert_msg(
            verdict.why.kind == FAIL_NONE, "%u: %s %s", i, verdict.why.code, verdict.why.detail);
        check_pool(&rig);
        tx_unref(tx);
    }
    ck_assert_uint_gt(rig.removed[MEMPOOL_EVICTED], 5);
    struct mempool_stats stats = mempool_stats(rig.pool);
    ck_assert_uint_le(stats.usage_b, stats.limit_b);
    ck_assert_int_gt(stats.min_fee_sat_kvb, 1000);
    /* those that stay pay most */
    for (uint32_t i = 0; i < rig.pool->count; i++)
        ck_assert_int_ge(
            rig.pool->entries[i]->fee_sat, 20000 + 1000 * (int64_t)(40 - rig.pool->count));
    struct spend cheap = {
        .from = {out_of(wide, 50)}, .count = 1, .value_sat = value_sat - 20000, .pad_b = 20000};
    struct tx *tx = make(&rig, &cheap);
    expect(&rig, tx, "mempool min fee not met");
    /* what reorganisations bring is not asked for a fee, but finds no room */
    expect_flags(&rig, tx, MEMPOOL_BYPASS_LIMITS, "mempool full");
    /* without a block the minimum stays; after one it halves in 12 hours (or sooner when there is room) */
    turn_clock(&rig, 13 * 3600);
    ck_assert_int_eq(mempool_stats(rig.pool).min_fee_sat_kvb, stats.min_fee_sat_kvb);
    mine(&rig, NULL, 0, 0);
    turn_clock(&rig, 12 * 3600);
    int64_t half = mempool_stats(rig.pool).min_fee_sat_kvb;
    ck_assert_int_ge(half, stats.min_fee_sat_kvb / 2 - 2);
    ck_assert_int_le(half, stats.min_fee_sat_kvb / 2 + 2);
    turn_clock(&rig, 12 * 3600 * 8);
    ck_assert_int_eq(mempool_stats(rig.pool).min_fee_sat_kvb, 100);
    tx_unref(tx);
    tx_unref(wide);
    rig_clear(&rig);
}
END_TEST

START_TEST(expiry)
{
    struct rig rig;
    rig_init(&rig, 12);
    struct tx *old = pay(&rig, fund(&rig, 0), COIN_VALUE, FEE, 1);
    expect(&rig, old, NULL);
    turn_clock(&rig, rig.options.expiry_s - 10);
    struct tx *child = pay(&rig, out_of(old, 0), NET, FEE, 1),
              *young = pay(&rig, fund(&rig, 1), COIN_VALUE, FEE, 1);
    expect(&rig, child, NULL);
    expect(&rig, young, NULL);
    turn_clock(&rig, 20);
    check_pool(&rig);
    ck_assert_uint_eq(rig.removed[MEMPOOL_EXPIRED], 2);
    ck_assert_uint_eq(rig.pool->count, 1);
    ck_assert_uint_eq(mempool_stats(rig.pool).count, 1);
    tx_unref(old);
    tx_unref(child);
    tx_unref(young);
    rig_clear(&rig);
}
END_TEST

/* ---- the chain moves ---- */
struct finished {
    uint32_t calls;
    struct fail why;
};

static void on_finished(void *ctx, const struct fail *why)
{
    struct finished *finished = ctx;
    finished->calls++;
    finished->why = *why;
}

START_TEST(blocks_confirm_and_conflict)
{
    struct rig rig;
    rig_init(&rig, 13);
    struct tx *a = pay(&rig, fund(&rig, 0), COIN_VALUE, FEE, 2),
              *b = pay(&rig, out_of(a, 0), NET / 2, FEE, 1);
    struct tx *c = pay(&rig, out_of(b, 0), NET / 2 - FEE, FEE, 1),
              *d = pay(&rig, out_of(a, 1), NET / 2, FEE, 1);
    struct tx *x = pay(&rig, fund(&rig, 1), COIN_VALUE, FEE, 1),
              *y = pay(&rig, out_of(x, 0), NET, FEE, 1);
    struct tx *rival = pay(&rig, fund(&rig, 1), COIN_VALUE, 1, 1);
    struct tx *all[] = {a, b, c, d, x, y};
    for (uint32_t i = 0; i < 6; i++)
        expect(&rig, all[i], NULL);
    struct tx *mined[] = {a, b, rival};
    mine(&rig, mined, 3, 2 * FEE + 1);
    check_pool(&rig);
    ck_assert_uint_eq(rig.removed[MEMPOOL_CONFIRMED], 2);
    ck_assert_uint_eq(rig.removed[MEMPOOL_CONFLICT], 2);
    ck_assert_uint_eq(rig.pool->count, 2); /* c and d, no longer relatives */
    ck_assert_ptr_ne(
        mempool_find(rig.pool, &c->txid)->cluster, mempool_find(rig.pool, &d->txid)->cluster);
    for (uint32_t i = 0; i < 6; i++)
        tx_unref(all[i]);
    tx_unref(rival);
    rig_clear(&rig);
}
END_TEST

START_TEST(reorganisation)
{
    struct rig rig;
    rig_init(&rig, 14);
    struct block *fork = rig.tip;
    /* confirmed in two blocks: a, then b that spends it; pool: c on b, d on a, e alone, s on the coinbase */
    struct tx *a = pay(&rig, fund(&rig, 0), COIN_VALUE, FEE, 2),
              *b = pay(&rig, out_of(a, 0), NET / 2, FEE, 1);
    struct tx *c = pay(&rig, out_of(b, 0), NET / 2 - FEE, FEE, 1),
              *d = pay(&rig, out_of(a, 1), NET / 2, FEE, 1);
    struct tx *e = pay(&rig, fund(&rig, 1), COIN_VALUE, FEE, 1);
    struct tx *rival = pay(&rig, fund(&rig, 2), COIN_VALUE, FEE, 2),
              *lost = pay(&rig, fund(&rig, 2), COIN_VALUE, FEE, 1);
    struct spend locked = {.from = {fund(&rig, 3)},
        .count = 1,
        .value_sat = NET,
        .is_nonfinal = true,
        .lock_time = FUNDS + 1};
    struct spend relative = {.from = {fund(&rig, 4)},
        .count = 1,
        .value_sat = NET,
        .is_nonfinal = true,
        .sequence = FUNDS - 4 + 1};
    struct tx *by_height = make(&rig, &locked), *by_age = make(&rig, &relative);
    struct tx *unripe = pay(&rig, fund(&rig, FUNDS - MATURITY + 1), COIN_VALUE, FEE, 1);
    struct tx *one[] = {a, lost};
    mine(&rig, one, 2, 2 * FEE);
    mine(&rig, &b, 1, FEE);
    struct tx *waiting[] = {c, d, e, by_height, by_age, unripe};
    for (uint32_t i = 0; i < 6; i++)
        expect(&rig, waiting[i], NULL);
    int64_t time_s = mempool_find(rig.pool, &c->txid)->time_s;
    world_run_us(rig.world, 5000000);
    /* a longer branch with a rival of what was confirmed; then back to a height where locks are open again */
    rig.tip = build(&rig, fork, &rival, 1, FEE);
    offer_block(&rig, rig.tip);
    settle(&rig);
    ck_assert_uint_eq(rig.pool->count, 6);
    for (uint32_t i = 0; i < 2; i++) {
        rig.tip = build(&rig, rig.tip, NULL, 0, 0);
        offer_block(&rig, rig.tip);
    }
    settle(&rig);
    check_pool(&rig);
    ck_assert_ptr_nonnull(
        mempool_find(rig.pool, &a->txid)); /* unconfirmed again, and its family with it */
    ck_assert_ptr_nonnull(mempool_find(rig.pool, &b->txid));
    ck_assert_ptr_nonnull(mempool_find(rig.pool, &c->txid));
    ck_assert_ptr_nonnull(mempool_find(rig.pool, &d->txid));
    ck_assert_ptr_nonnull(mempool_find(rig.pool, &e->txid));
    ck_assert_ptr_null(mempool_find(rig.pool, &lost->txid));
    ck_assert_int_eq(mempool_find(rig.pool, &c->txid)->time_s, time_s);
    ck_assert_uint_eq(rig.removed[MEMPOOL_REORG], 2); /* c and d, for a moment */
    ck_assert_uint_eq(rig.pool->count, 8);
    struct tx *all[] = {a, b, c, d, e, rival, lost, by_height, by_age, unripe};
    /* the chain gets shorter: locks close, the coinbase is unripe, what was confirmed stays the same */
    struct finished finished = {0};
    struct ledger_done done = {on_finished, &finished};
    ledger_invalidate(rig.ledger, ledger_at(rig.ledger, FUNDS + 1), done);
    settle(&rig);
    ck_assert_int_eq(
        ledger_tip(rig.ledger)->height, FUNDS + 2); /* the old branch has most work now */
    check_pool(&rig);
    ck_assert_ptr_null(mempool_find(rig.pool, &a->txid));
    ck_assert_ptr_nonnull(mempool_find(rig.pool, &c->txid));
    ck_assert_ptr_null(mempool_find(rig.pool, &rival->txid));
    ledger_invalidate(rig.ledger, ledger_at(rig.ledger, FUNDS + 1), done);
    settle(&rig);
    ck_assert_int_eq(ledger_tip(rig.ledger)->height, FUNDS);
    check_pool(&rig);
    ck_assert_ptr_null(mempool_find(rig.pool, &by_height->txid));
    ck_assert_ptr_null(mempool_find(rig.pool, &by_age->txid));
    ck_assert_ptr_null(mempool_find(rig.pool, &unripe->txid));
    ck_assert_ptr_nonnull(mempool_find(rig.pool, &a->txid));
    ck_assert_ptr_nonnull(mempool_find(rig.pool, &d->txid));
    for (uint32_t i = 0; i < sizeof all / sizeof all[0]; i++)
        tx_unref(all[i]);
    rig_clear(&rig);
}
END_TEST

/* Candidates that are being judged while the tip moves: none is lost, none is judged by the old tip. */
START_TEST(tip_moves_while_judging)
{
    struct rig rig;
    struct verdict verdicts[40];
    struct tx *txs[40], *rivals[40];
    rig_init(&rig, 15 + (uint64_t)_i);
    for (uint32_t i = 0; i < 40; i++) {
        txs[i] = pay(&rig, fund(&rig, i), COIN_VALUE, FEE, 1);
        rivals[i] = pay(&rig, fund(&rig, i), COIN_VALUE, FEE, 2);
    }
    rig.tip = build(&rig, rig.tip, rivals, 20, 20 * FEE);
    offer_block(&rig, rig.tip);
    for (uint32_t i = 0; i < 40; i++) {
        offer(&rig, txs[i], 0, &verdicts[i]);
        for (int k = 0; k < _i * 3; k++) {
            world_step(rig.world);
            drain(&rig);
        }
    }
    settle(&rig);
    check_pool(&rig);
    ck_assert_uint_eq(rig.pool->count, 20);
    for (uint32_t i = 0; i < 40; i++) {
        ck_assert_uint_eq(verdicts[i].calls, 1);
        if (i >= 20)
            ck_assert_int_eq(verdicts[i].why.kind, FAIL_NONE);
        tx_unref(txs[i]);
        tx_unref(rivals[i]);
    }
    rig_clear(&rig);
}
END_TEST

/* ---- mempool.dat ---- */
static bool is_finished(void *ctx)
{
    return ((struct finished *)ctx)->calls > 0;
}

static struct finished save(struct rig *rig)
{
    struct finished finished = {0};
    mempool_save(rig->pool, POOL_FILE, (struct ledger_done){on_finished, &finished});
    ck_assert_uint_eq(finished.calls, 0);
    ck_assert(world_run_until(rig->world, is_finished, &finished, SETTLE_LIMIT_US));
    return finished;
}

static struct finished load(struct rig *rig, const char *path)
{
    struct finished finished = {0};
    mempool_load(rig->pool, path, (struct ledger_done){on_finished, &finished});
    ck_assert(!mempool_is_loaded(rig->pool));
    ck_assert_uint_eq(finished.calls, 0);
    settle(rig);
    ck_assert_uint_eq(finished.calls, 1);
    check_pool(rig);
    return finished;
}

static void reopen(struct rig *rig)
{
    world_node_drain(rig->node);
    pool_close(rig);
    pool_open(rig);
}

static void write_file(struct rig *rig, const char *path, struct span bytes)
{
    struct fail why;
    ck_assert(file_replace(rig->node->env.disk, path, bytes, &why));
}

START_TEST(file_round_trip)
{
    struct rig rig;
    struct tx *txs[200];
    rig_init(&rig, 20);
    ck_assert_str_eq(load(&rig, POOL_FILE).why.code, "mempool-file-missing");
    ck_assert_int_eq(save(&rig).why.kind, FAIL_NONE); /* empty */
    ck_assert_int_eq(load(&rig, POOL_FILE).why.kind, FAIL_NONE);
    int64_t value_sat = COIN_VALUE;
    for (uint32_t i = 0; i < 200; i++) {
        value_sat = i % 20 == 0 ? COIN_VALUE : value_sat - FEE;
        txs[i] =
            pay(&rig, i % 20 == 0 ? fund(&rig, i / 20) : out_of(txs[i - 1], 0), value_sat, FEE, 1);
        struct verdict verdict;
        offer(&rig, txs[i], 0, &verdict);
        settle(&rig);
        ck_assert_int_eq(verdict.why.kind, FAIL_NONE);
    }
    struct txid stranger = {{9}};
    ck_assert(mempool_prioritise(rig.pool, &txs[5]->txid, 777));
    ck_assert(mempool_prioritise(rig.pool, &stranger, -42));
    mempool_set_unbroadcast(rig.pool, &txs[6]->txid, true);
    int64_t time_s = mempool_find(rig.pool, &txs[0]->txid)->time_s;
    ck_assert_int_eq(save(&rig).why.kind, FAIL_NONE);
    world_run_us(rig.world, 100 * INT64_C(1000000));
    reopen(&rig);
    ck_assert_int_eq(load(&rig, POOL_FILE).why.kind, FAIL_NONE);
    ck_assert_uint_eq(rig.pool->count, 200);
    ck_assert_int_eq(mempool_find(rig.pool, &txs[0]->txid)->time_s, time_s);
    ck_assert_int_eq(mempool_find(rig.pool, &txs[5]->txid)->modified_fee_sat, FEE + 777);
    ck_assert(mempool_find(rig.pool, &txs[6]->txid)->unbroadcast);
    ck_assert(!mempool_find(rig.pool, &txs[7]->txid)->unbroadcast);
    ck_assert_int_eq(pool_delta_sat(rig.pool, &stranger), -42);
    /* once more into the same pool: nothing doubles */
    ck_assert_int_eq(load(&rig, POOL_FILE).why.kind, FAIL_NONE);
    ck_assert_int_eq(mempool_find(rig.pool, &txs[5]->txid)->modified_fee_sat, FEE + 777);
    /* what has expired by now stays away */
    reopen(&rig);
    world_run_us(rig.world, rig.options.expiry_s * 1000000);
    ck_assert_int_eq(load(&rig, POOL_FILE).why.kind, FAIL_NONE);
    ck_assert_uint_eq(rig.pool->count, 0);
    for (uint32_t i = 0; i < 200; i++)
        tx_unref(txs[i]);
    rig_clear(&rig);
}
END_TEST

/* The bytes as Bitcoin's format says, both versions, written by hand. */
START_TEST(file_versions)
{
    struct rig rig;
    rig_init(&rig, 21);
    for (uint32_t version = 1; version <= 2; version++) {
        struct tx *tx = pay(&rig, fund(&rig, version), COIN_VALUE, FEE, 1);
        static const uint8_t key[8] = {1, 2, 3, 4, 5, 6, 7, 8};
        struct buf file;
        buf_init(&file, 10000);
        buf_put_u64le(&file, version);
        if (version == 2) {
            buf_put_u8(&file, 8);
            buf_put(&file, key, 8);
        }
        size_t plain_b = file.size_b;
        buf_put_u64le(&file, 1);
        buf_put(&file, tx->raw.data, tx->raw.size_b);
        buf_put_i64le(&file, START_MS / 1000);
        buf_put_i64le(&file, 5);
        buf_put_count(&file, 1);
        buf_put(&file, rig.tip->id.b, 32);
        buf_put_i64le(&file, 6);
        buf_put_count(&file, 1);
        buf_put(&file, tx->txid.b, 32);
        for (size_t i = plain_b; version == 2 && i < file.size_b; i++)
            file.data[i] ^= key[i % 8];
        write_file(&rig, POOL_FILE, buf_span(&file));
        ck_assert_int_eq(load(&rig, POOL_FILE).why.kind, FAIL_NONE);
        const struct mempool_entry *entry = mempool_find(rig.pool, &tx->txid);
        ck_assert_ptr_nonnull(entry);
        ck_assert_int_eq(entry->time_s, START_MS / 1000);
        ck_assert_int_eq(entry->modified_fee_sat, FEE + 5);
        ck_assert(entry->unbroadcast);
        buf_clear(&file);
        tx_unref(tx);
    }
    rig_clear(&rig);
}
END_TEST

/* Cut at every byte and flipped at every byte: the node lives, and the message names the file. */
START_TEST(file_damage)
{
    struct rig rig;
    struct buf good;
    struct fail why;
    rig_init(&rig, 22);
    struct tx *a = pay(&rig, fund(&rig, 0), COIN_VALUE, FEE, 1),
              *b = pay(&rig, out_of(a, 0), NET, FEE, 1);
    expect(&rig, a, NULL);
    expect(&rig, b, NULL);
    ck_assert(mempool_prioritise(rig.pool, &a->txid, 1));
    mempool_set_unbroadcast(rig.pool, &b->txid, true);
    save(&rig);
    buf_init(&good, 100000);
    ck_assert(file_read_all(rig.node->env.disk, POOL_FILE, &good, &why));
    for (size_t cut = 0; cut < good.size_b; cut++) {
        write_file(&rig, POOL_FILE, span_of(good.data, cut));
        reopen(&rig);
        struct finished finished = load(&rig, POOL_FILE);
        ck_assert_int_eq(finished.why.kind, FAIL_PROTOCOL);
        ck_assert_str_eq(finished.why.code, "mempool-file");
        ck_assert_ptr_nonnull(strstr(finished.why.detail, POOL_FILE));
    }
    for (size_t at = 0; at < good.size_b; at++) {
        good.data[at] ^= 0x41;
        write_file(&rig, POOL_FILE, buf_span(&good));
        reopen(&rig);
        load(&rig, POOL_FILE);
        good.data[at] ^= 0x41;
    }
    ck_assert_uint_gt(rig.added, 0);
    buf_clear(&good);
    tx_unref(a);
    tx_unref(b);
    rig_clear(&rig);
}
END_TEST

/* A save that fails leaves the old file whole. */
START_TEST(file_save_on_a_bad_disk)
{
    struct rig rig;
    rig_init(&rig, 23);
    struct tx *a = pay(&rig, fund(&rig, 0), COIN_VALUE, FEE, 1);
    expect(&rig, a, NULL);
    ck_assert_int_eq(save(&rig).why.kind, FAIL_NONE);
    for (uint64_t n = 1; n <= 5; n++) {
        sim_disk_fail_at(rig.node->disk, n);
        struct finished finished = save(&rig);
        sim_disk_fail_at(rig.node->disk, 0);
        ck_assert_msg(finished.why.kind == FAIL_LOCAL, "operation %u: %s %s", (unsigned)n,
            finished.why.code, finished.why.detail);
        reopen(&rig);
        ck_assert_int_eq(load(&rig, POOL_FILE).why.kind, FAIL_NONE);
        ck_assert_uint_eq(rig.pool->count, 1);
    }
    tx_unref(a);
    rig_clear(&rig);
}
END_TEST

/* ---- memory ---- */
START_TEST(failing_memory)
{
    struct rig rig;
    rig_init(&rig, 24);
    struct tx *parent = pay(&rig, fund(&rig, 0), COIN_VALUE, FEE, 2);
    expect(&rig, parent, NULL);
    uint32_t refused = 0;
    for (uint32_t n = 1; n < 40; n++) {
        struct tx *tx = pay(
            &rig, out_of(parent, 0), NET / 2, FEE + (int64_t)n * FEE, 1); /* replaces the last */
        struct verdict verdict = {0};
        mem_fail_nth(n);
        bool taken = mempool_offer(rig.pool, tx, 0, 0, (struct tx_verdict){on_verdict, &verdict});
        if (taken)
            settle(&rig);
        mem_fail_nth(0);
        if (taken) {
            ck_assert_uint_eq(verdict.calls, 1);
            ck_assert_msg(verdict.why.kind == FAIL_NONE || verdict.why.kind == FAIL_NO_ROOM, "%s",
                verdict.why.code);
        }
        refused += !taken || verdict.why.kind != FAIL_NONE;
        check_pool(&rig);
        tx_unref(tx);
    }
    ck_assert_uint_gt(refused, 3);
    ck_assert_uint_lt(refused, 39);
    tx_unref(parent);
    rig_clear(&rig);
}
END_TEST

/* ---- everything at once ---- */
struct output { /* that may be spent: by anything, also twice */
    struct outpoint at;
    int64_t value_sat;
};
#define OUTPUTS_MAX 3000
struct storm {
    struct rig rig;
    struct output outputs[OUTPUTS_MAX];
    uint32_t count, accepted, refused;
};

static void storm_remember(struct storm *storm, const struct tx *tx)
{
    for (uint32_t i = 0; i < tx->out_count && storm->count < OUTPUTS_MAX; i++)
        if (tx->out[i].value_sat > 100000)
            storm->outputs[storm->count++] = (struct output){{tx->txid, i}, tx->out[i].value_sat};
}

static void storm_verdict(
    void *ctx, struct tx *tx, const struct mempool_entry *entry, const struct fail *why)
{
    struct storm *storm = ctx;
    storm->accepted += why->kind == FAIL_NONE;
    storm->refused += why->kind != FAIL_NONE;
    if (entry != NULL && why->kind == FAIL_NONE)
        storm_remember(storm, tx);
}

static void storm_offer(struct storm *storm)
{
    struct rig *rig = &storm->rig;
    struct sim_random *random = world_random(rig->world);
    struct spend spend = {.count = 1 + (uint32_t)sim_random_below(random, 3)};
    int64_t value_sat = 0;
    for (uint32_t i = 0; i < spend.count; i++) {
        uint64_t back =
            sim_random_below(random, sim_random_below(random, 4) == 0 ? storm->count : 30);
        const struct output *output = &storm->outputs[storm->count - 1 - back % storm->count];
        spend.from[i] = output->at;
        value_sat += output->value_sat;
        for (uint32_t k = 0; k < i; k++)
            if (outpoint_equal(&spend.from[k], &spend.from[i])) {
                spend.count = i;
                value_sat -= output->value_sat;
                break;
            }
    }
    value_sat -= 10 + (int64_t)sim_random_below(random, 3000);
    spend.extras = (uint32_t)sim_random_below(random, 4);
    spend.extra_sat = value_sat / (spend.extras + 1);
    spend.value_sat = value_sat - spend.extras * spend.extra_sat;
    spend.pad_b =
        sim_random_below(random, 8) == 0 ? 1 + (uint32_t)sim_random_below(random, 2000) : 0;
    struct tx *tx = make(rig, &spend);
    ck_assert(mempool_offer(rig->pool, tx, 0, 0, (struct tx_verdict){storm_verdict, storm}));
    tx_unref(tx);
}

/* Mines some of the best chunks, as a miner would. */
static void storm_mine(struct storm *storm)
{
    struct rig *rig = &storm->rig;
    struct tx *txs[200];
    struct mempool_chunk chunk;
    uint32_t count = 0, chunks = (uint32_t)sim_random_below(world_random(rig->world), 12);
    int64_t fees_sat = 0;
    struct mempool_walk *walk = mempool_walk_new(rig->pool);
    while (chunks-- > 0 && mempool_walk_next(walk, &chunk) && count + chunk.count < 200)
        for (uint32_t i = 0; i < chunk.count; i++) {
            txs[count++] = tx_ref(chunk.entries[i]->tx);
            fees_sat += chunk.entries[i]->fee_sat;
        }
    mempool_walk_free(walk);
    mine(rig, txs, count, fees_sat);
    while (count > 0)
        tx_unref(txs[--count]);
}

START_TEST(storms)
{
    static struct storm storm;
    struct rig *rig = &storm.rig;
    memset(&storm, 0, sizeof storm);
    rig_init(rig, 100 + (uint64_t)_i);
    struct sim_random *random = world_random(rig->world);
    if (_i % 2 == 1)
        rig->pool->options.limit_b = 200000; /* evictions all the time */
    rig->chain->coinbase_maturity = MATURITY;
    for (uint32_t i = 0; i < 40; i++)
        storm.outputs[storm.count++] = (struct output){fund(rig, i), COIN_VALUE};
    for (uint32_t round = 0; round < 60; round++) {
        for (uint64_t n = sim_random_below(random, 20); n > 0; n--) {
            storm_offer(&storm);
            for (uint64_t k = sim_random_below(random, 10); k > 0; k--) {
                world_step(rig->world);
                drain(rig);
            }
        }
        switch (sim_random_below(random, 8)) {
        case 0:
        case 1:
            settle(rig);
            storm_mine(&storm);
            break;
        case 2: { /* a branch from a few blocks back overtakes */
            settle(rig);
            uint32_t depth = 1 + (uint32_t)sim_random_below(random, 4);
            struct block_index *at = ledger_tip(rig->ledger);
            for (uint32_t k = 0; k < depth && at->height > FUNDS; k++)
                at = at->prev;
            for (uint32_t k = 0; k < rig->count; k++)
                if (block_id_equal(&rig->blocks[k]->id, &at->id))
                    rig->tip = rig->blocks[k];
            for (uint32_t k = 0; k < depth + 1; k++) {
                rig->tip = build(rig, rig->tip, NULL, 0, 0);
                offer_block(rig, rig->tip);
            }
            break;
        }
        case 3:
            if (rig->pool->count > 0) {
                const struct tx *tx =
                    rig->pool->entries[sim_random_below(random, rig->pool->count)]->tx;
                struct txid id = tx->txid;
                ck_assert(mempool_prioritise(
                    rig->pool, &id, (int64_t)sim_random_below(random, 4000) - 2000));
            }
            break;
        case 4:
            if (rig->pool->count > 0) {
                struct txid id =
                    rig->pool->entries[sim_random_below(random, rig->pool->count)]->tx->txid;
                ck_assert(mempool_remove(rig->pool, &id));
            }
            break;
        case 5:
            turn_clock(rig, 3600);
            break;
        default:
            break;
        }
        settle(rig);
        check_pool(rig);
    }
    ck_assert_uint_gt(storm.accepted, 50);
    ck_assert_uint_gt(storm.refused, 20);
    ck_assert_uint_gt(rig->removed[MEMPOOL_CONFIRMED], 0);
    rig_clear(rig);
}
END_TEST

#define ROWS(table) (int)(sizeof(table) / sizeof(table)[0])

int main(void)
{
    Suite *suite = suite_create("mempool");
    TCase *tc = tcase_create("mempool");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, refused_and_accepted, 0, ROWS(refusals));
    tcase_add_test(tc, refusals_that_need_a_history);
    tcase_add_test(tc, nonstandard_inputs);
    tcase_add_test(tc, children_wait_for_parents_in_flight);
    tcase_add_test(tc, candidates_are_bounded);
    tcase_add_test(tc, cluster_limits);
    tcase_add_test(tc, chunks_and_priorities);
    tcase_add_test(tc, replacement);
    tcase_add_test(tc, replacing_too_many_clusters);
    tcase_add_test(tc, truc_and_ephemeral_dust);
    tcase_add_test(tc, eviction_and_the_rolling_minimum);
    tcase_add_test(tc, expiry);
    tcase_add_test(tc, blocks_confirm_and_conflict);
    tcase_add_test(tc, reorganisation);
    tcase_add_loop_test(tc, tip_moves_while_judging, 0, 4);
    tcase_add_test(tc, file_round_trip);
    tcase_add_test(tc, file_versions);
    tcase_add_test(tc, file_damage);
    tcase_add_test(tc, file_save_on_a_bad_disk);
    tcase_add_test(tc, failing_memory);
    tcase_add_loop_test(tc, storms, 0, 8);
    suite_add_tcase(suite, tc);
    SRunner *sr = srunner_create(suite);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? 0 : 1;
}
