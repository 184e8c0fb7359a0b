/* Proves that the pool takes what Bitcoin takes and refuses the rest with Bitcoin's words: checks, families
 * in flight, clusters, priorities, replacement, the memory limit. After each step a validator walks all of
 * the pool. */
#include "mempool_rig.h"
#include "unit.h"

/* ---- accepting and refusing ---- */
struct refusal {
    const char *name;
    struct spend spend; /* from[] is filled in: coin 0 */
    const char *code;
    enum fail_kind kind;
};

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
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
