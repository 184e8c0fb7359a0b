/* Proves the indexes against the test's own blocks: what they answer of every block and transaction, through
 * reorganisations, restarts and power cuts, and beside pruning. */
#include "coin/ledger/filter.h"
#include "coin/ledger/indexes.h"
#include "coin/ledger/set_hash.h"
#include "ledger_rig.h"
#include "unit.h"

#define ALL_INDEXES ((1u << INDEX_KINDS) - 1)
#define FOLLOWING_INDEXES (1u << INDEX_FILTER | 1u << INDEX_STATS)

static void begin(struct rig *rig, uint64_t seed, uint32_t indexes)
{
    rig_prepare(rig, seed);
    rig->options.indexes = indexes;
    rig_open(rig);
}

static bool have_caught_up(void *ctx)
{
    struct rig *rig = ctx;
    drain(rig);
    for (int k = 0; k < INDEX_KINDS; k++) {
        struct index_state state = ledger_index_state(rig->ledger, (enum ledger_index)k);
        if (state.enabled && state.best_height != ledger_tip(rig->ledger)->height)
            return false;
    }
    return ledger_is_settled(rig->ledger);
}

static void catch_up(struct rig *rig)
{
    ck_assert(world_run_until(rig->world, have_caught_up, rig, SETTLE_LIMIT_US));
}

/* A block that spends the coinbase of `from` and pays two outputs. */
static struct block *spending(struct rig *rig, const struct block *prev, const struct block *from)
{
    struct tx *tx = spend_of(from, 1000, 2);
    struct block *block = build_full(rig, prev, height_of(rig, prev) + 1, &tx, 1, 1000, 0);
    tx_unref(tx);
    offer(rig, block, NULL);
    return block;
}

static struct block *run_of(struct rig *rig, struct block *prev, uint32_t count)
{
    struct block *last[4] = {NULL, NULL, NULL, prev};
    for (uint32_t i = 0; i < count; i++) {
        struct block *from = last[0];
        struct block *block;
        if (from != NULL && from != rig->chain->genesis)
            block = spending(rig, last[3], from);
        else
            offer(rig, block = build(rig, last[3]), NULL);
        memmove(last, last + 1, 3 * sizeof *last);
        last[3] = block;
    }
    settle(rig);
    return last[3];
}

/* ---- asking ---- */
struct answer {
    bool done;
    struct fail why;
};
static struct answer answered;

static void on_answer(struct index_query *query, const struct fail *why)
{
    (void)query;
    answered.done = true;
    answered.why = *why;
}

static bool is_answered(void *ctx)
{
    drain(ctx);
    return answered.done;
}

static void ask(struct rig *rig, struct index_query *query, enum ledger_index kind)
{
    answered.done = false;
    query->kind = kind;
    query->done = on_answer;
    ck_assert(ledger_ask_index(rig->ledger, query));
    ck_assert(world_run_until(rig->world, is_answered, rig, SETTLE_LIMIT_US));
    ck_assert_msg(answered.why.kind == FAIL_NONE, "%s", answered.why.detail);
}

static void expect_tx(struct rig *rig, const struct tx *tx, const struct block *block)
{
    struct tx_query query = {.txid = tx->txid};
    ask(rig, &query.query, INDEX_TX);
    ck_assert(query.result.found == (block != NULL));
    if (block != NULL) {
        ck_assert(span_equal(query.result.tx->raw, tx->raw));
        ck_assert(block_id_equal(&query.result.block, &block->id));
    }
    tx_unref(query.result.tx);
}

static void expect_spender(struct rig *rig, const struct outpoint *outpoint, const struct tx *spender)
{
    struct tx_found result;
    struct spender_query query = {.outpoints = outpoint, .count = 1, .results = &result};
    ask(rig, &query.query, INDEX_SPENDER);
    ck_assert(result.found == (spender != NULL));
    if (spender != NULL)
        ck_assert(txid_equal(&result.tx->txid, &spender->txid));
    tx_unref(result.tx);
}

struct filters {
    struct filter_query query;
    uint32_t seen, missed, limit;
    uint8_t header[32];
    const struct span *element;
};

static bool each_filter(struct filter_query *query, uint32_t i, struct span filter, const uint8_t header[32])
{
    struct filters *filters = (struct filters *)query;
    struct fail why;
    uint8_t id[32];
    bool match = false;
    ck_assert_uint_gt(filter.size_b, 0);
    block_filter_id(id, filter);
    block_filter_header(filters->header, id, filters->header);
    ck_assert_int_eq(memcmp(filters->header, header, 32), 0);
    ck_assert(block_filter_matches_any(filter, &query->blocks[i]->id, filters->element, 1, &match, &why));
    filters->missed += !match;
    return ++filters->seen < filters->limit;
}

/* All filters of the active chain are there, hang together, and know the script that every block pays. */
static void expect_filters(struct rig *rig)
{
    struct block_index *blocks[KNOWN_MAX];
    const uint8_t op_true = OP_1;
    struct span element = span_of(&op_true, 1);
    struct filters filters = {.limit = UINT32_MAX, .element = &element};
    int32_t height = ledger_tip(rig->ledger)->height;
    for (int32_t h = 0; h <= height; h++)
        blocks[h] = ledger_at(rig->ledger, h);
    filters.query.blocks = blocks;
    filters.query.count = (uint32_t)height + 1;
    filters.query.each = each_filter;
    ask(rig, &filters.query.query, INDEX_FILTER);
    ck_assert_uint_eq(filters.seen, (uint32_t)height + 1);
    ck_assert_uint_le(filters.missed, 1); /* genesis pays another one */
    memset(filters.header, 0, 32);
    filters.seen = 0;
    filters.limit = 2;
    ask(rig, &filters.query.query, INDEX_FILTER);
    ck_assert_uint_eq(filters.seen, 2);
}

struct counted {
    struct coins_scan scan;
    struct set_hash hash;
    bool done;
};

static bool count_coin(struct coins_scan *scan, const struct outpoint *outpoint, const struct coin *coin)
{
    struct fail why;
    ck_assert(set_hash_add(&((struct counted *)scan)->hash, outpoint, coin, &why));
    return true;
}

static void on_counted(struct coins_scan *scan, const struct fail *why)
{
    ck_assert_int_eq(why->kind, FAIL_NONE);
    ((struct counted *)scan)->done = true;
}

static bool is_counted(void *ctx)
{
    return ((struct counted *)ctx)->done;
}

/* The index's hash of the set is that of all coins at the tip; at every height nothing of what was ever made is
 * missing in the sums. */
static void expect_stats(struct rig *rig)
{
    struct counted counted = {.scan = {.each = count_coin, .done = on_counted}};
    struct stats_query query = {.found = false};
    struct model model;
    struct fail why;
    uint8_t hash[32];
    int64_t made_sat = 0, total_sat = 0;
    int32_t height = ledger_tip(rig->ledger)->height;
    for (int32_t h = 0; h <= height; h++) {
        query.block = ledger_at(rig->ledger, h);
        ask(rig, &query.query, INDEX_STATS);
        ck_assert(query.found);
        const struct coin_stats *s = &query.result;
        made_sat += chain_subsidy_sat(rig->chain, h);
        ck_assert_int_eq(s->total_sat + s->unspendable_sat, made_sat);
        total_sat += (int64_t)(s->created_sat + s->coinbase_sat - s->spent_sat);
        ck_assert_int_eq(s->total_sat, total_sat);
    }
    model_make(rig, &model);
    ck_assert_uint_eq(query.result.coins, model.count);
    ck_assert_uint_eq(query.result.bogosize_b, (uint64_t)model.count * (COIN_BOGOSIZE_B + 1));
    mem_free(model.coins);
    set_hash_init(&counted.hash, SET_HASH_MUHASH);
    ck_assert(ledger_scan_coins(rig->ledger, &counted.scan));
    ck_assert(world_run_until(rig->world, is_counted, &counted, SETTLE_LIMIT_US));
    ck_assert(set_hash_end(&counted.hash, hash, &why));
    ck_assert_int_eq(memcmp(hash, query.result.muhash, 32), 0);
    set_hash_clear(&counted.hash);
}

static void expect_branch(struct rig *rig, const struct block *tip)
{
    for (const struct block_index *at = ledger_tip(rig->ledger); at->prev != NULL; at = at->prev)
        for (uint32_t i = 0; i < rig->count; i++) {
            const struct block *block = rig->blocks[i];
            if (!block_id_equal(&block->id, &at->id))
                continue;
            for (uint32_t t = 0; t < block->tx_count; t++) {
                expect_tx(rig, &block->txs[t], block);
                for (uint32_t n = 0; t > 0 && n < block->txs[t].in_count; n++)
                    expect_spender(rig, &block->txs[t].in[n].prevout, &block->txs[t]);
            }
        }
    struct outpoint unspent = coinbase_of(tip);
    expect_spender(rig, &unspent, NULL);
    expect_filters(rig);
    expect_stats(rig);
}

/* ---- tests ---- */
START_TEST(they_know_the_chain)
{
    struct rig rig;
    struct txid nobody = {{1}};
    begin(&rig, 21, ALL_INDEXES);
    struct block *tip = run_of(&rig, rig.chain->genesis, 40);
    catch_up(&rig);
    expect_branch(&rig, tip);
    expect_tx(&rig, &rig.chain->genesis->txs[0], NULL);
    struct tx_query query = {.txid = nobody};
    ask(&rig, &query.query, INDEX_TX);
    ck_assert(!query.result.found);
    for (int k = 0; k < INDEX_KINDS; k++)
        ck_assert(ledger_index_state(rig.ledger, (enum ledger_index)k).synced);
    rig_clear(&rig);
}
END_TEST

START_TEST(they_follow_a_reorganisation)
{
    struct rig rig;
    begin(&rig, 22, ALL_INDEXES);
    struct block *fork = run_of(&rig, rig.chain->genesis, 30);
    struct block *left = run_of(&rig, fork, 12);
    catch_up(&rig);
    struct tx *dead = tx_ref(&left->txs[1]);
    struct outpoint outpoint = dead->in[0].prevout;
    expect_spender(&rig, &outpoint, dead);
    struct block *tip = fork;
    for (int i = 0; i < 100; i++) /* more than one step, and every coin of the old branch gone */
        offer(&rig, tip = build(&rig, tip), NULL);
    settle(&rig);
    expect_tip(&rig, tip);
    expect_spender(&rig, &outpoint, NULL); /* waits until the index has caught up */
    catch_up(&rig);
    expect_branch(&rig, tip);
    expect_tx(&rig, dead, left); /* as Bitcoin: found, and its block says that it is dead */
    tx_unref(dead);
    rig_clear(&rig);
}
END_TEST

START_TEST(one_that_comes_later_reads_all)
{
    struct rig rig;
    begin(&rig, 23, 0);
    struct block *tip = run_of(&rig, rig.chain->genesis, 200);
    struct tx_query query = {.query = {.kind = INDEX_TX, .done = on_answer}};
    ck_assert(!ledger_ask_index(rig.ledger, &query.query));
    ck_assert(!ledger_index_state(rig.ledger, INDEX_TX).enabled);
    rig_stop(&rig);
    rig.options.indexes = ALL_INDEXES;
    rig_open(&rig);
    ck_assert(!ledger_index_state(rig.ledger, INDEX_TX).synced);
    catch_up(&rig);
    expect_branch(&rig, tip);
    rig_stop(&rig); /* and one that was off for a while, over a reorganisation */
    rig.options.indexes = 0;
    rig_open(&rig);
    tip = ledger_tip(rig.ledger)->height > 0 ? rig.blocks[149] : NULL;
    tip = run_of(&rig, tip, 60);
    expect_tip(&rig, tip);
    rig_stop(&rig);
    rig.options.indexes = ALL_INDEXES;
    rig_open(&rig);
    catch_up(&rig);
    expect_branch(&rig, tip);
    rig_clear(&rig);
}
END_TEST

START_TEST(a_clean_stop_leaves_nothing_to_do)
{
    struct rig rig;
    begin(&rig, 24, ALL_INDEXES);
    run_of(&rig, rig.chain->genesis, 90);
    catch_up(&rig);
    rig_stop(&rig);
    rig_open(&rig);
    for (int k = 0; k < INDEX_KINDS; k++) {
        struct index_state state = ledger_index_state(rig.ledger, (enum ledger_index)k);
        ck_assert(state.synced);
        ck_assert_int_eq(state.best_height, 90);
    }
    rig_clear(&rig);
}
END_TEST

static void on_flushed(void *ctx, const struct fail *why)
{
    (void)ctx;
    ck_assert_int_eq(why->kind, FAIL_NONE);
}

static void power_cut(struct rig *rig)
{
    sim_disk_die(rig->node->disk);
    world_node_drain(rig->node);
    drain(rig);
    world_node_drain(rig->node);
    ledger_free(rig->ledger);
    rig->ledger = NULL;
    world_node_forget(rig->node);
    sim_disk_restart(rig->node->disk, true);
    rig->fatal = 0;
}

START_TEST(after_a_power_cut_they_are_whole)
{
    for (uint64_t seed = 0; seed < 12; seed++) {
        struct rig rig;
        begin(&rig, 100 + seed, ALL_INDEXES);
        struct block *tip = run_of(&rig, rig.chain->genesis, 40);
        struct block *left = run_of(&rig, tip, 5 + (uint32_t)seed);
        world_run_us(rig.world, (int64_t)seed * 400);
        drain(&rig);
        if (seed % 3 == 0) { /* one branch is durable, the other one is not */
            ledger_flush(rig.ledger, (struct ledger_done){on_flushed, &rig});
            settle(&rig);
            world_run_us(rig.world, 2000000);
        }
        if (seed % 2 == 0)
            tip = run_of(&rig, tip, 20);
        else
            tip = left;
        world_run_us(rig.world, (int64_t)(seed % 5) * 300);
        power_cut(&rig);
        rig_open(&rig);
        settle(&rig);
        for (uint32_t i = 0; i < rig.count; i++) /* what was lost comes again, and elsewhere in the files */
            offer(&rig, rig.blocks[(i * 7 + 3) % rig.count], NULL);
        settle(&rig);
        for (uint32_t i = 0; i < rig.count; i++)
            offer(&rig, rig.blocks[i], NULL);
        settle(&rig);
        expect_tip(&rig, tip);
        catch_up(&rig);
        expect_branch(&rig, tip);
        rig_clear(&rig);
    }
}
END_TEST

START_TEST(pruning_waits_for_them)
{
    struct rig rig;
    struct fail why;
    rig_prepare(&rig, 25);
    rig.options.indexes = ALL_INDEXES;
    rig.options.prune_target_b = 1;
    ck_assert_ptr_null(ledger_open(&rig.node->env, rig.chain, &rig.options, &why));
    ck_assert_ptr_nonnull(strstr(why.detail, "Prune mode is incompatible with -txindex"));
    rig.options.indexes = FOLLOWING_INDEXES;
    rig_open(&rig);
    extend(&rig, rig.chain->genesis, 1500);
    world_run_us(rig.world, 10000000);
    catch_up(&rig);
    world_run_us(rig.world, 10000000);
    drain(&rig);
    ck_assert_int_gt(ledger_prune_height(rig.ledger), 300);
    expect_filters(&rig);
    expect_stats(&rig);
    rig_stop(&rig);
    rig.options.indexes = 0; /* further on without them, then they lack something for good */
    rig_open(&rig);
    struct block *tip = rig.blocks[rig.count - 1];
    extend(&rig, tip, 1500);
    world_run_us(rig.world, 10000000);
    drain(&rig);
    ck_assert_int_gt(ledger_prune_height(rig.ledger), 1600);
    rig_stop(&rig);
    rig.options.indexes = 1u << INDEX_STATS;
    ck_assert_ptr_null(ledger_open(&rig.node->env, rig.chain, &rig.options, &why));
    ck_assert_ptr_nonnull(strstr(why.detail, "goes beyond pruned data"));
    rig_clear(&rig);
}
END_TEST

START_TEST(too_many_questions_are_refused)
{
    struct rig rig;
    static struct tx_query queries[INDEX_QUERIES_MAX + 1];
    begin(&rig, 26, ALL_INDEXES);
    run_of(&rig, rig.chain->genesis, 10);
    catch_up(&rig);
    for (int i = 0; i <= INDEX_QUERIES_MAX; i++) {
        queries[i].query.kind = INDEX_TX;
        queries[i].query.done = on_answer;
        ck_assert(ledger_ask_index(rig.ledger, &queries[i].query) == (i < INDEX_QUERIES_MAX));
    }
    rig_stop(&rig); /* every one of them is answered before */
    rig_clear(&rig);
}
END_TEST

START_TEST(a_damaged_block_is_named)
{
    struct rig rig;
    begin(&rig, 27, 0);
    rig.options.fastprune = true;
    run_of(&rig, rig.chain->genesis, 60);
    world_run_us(rig.world, 10000000);
    drain(&rig);
    const struct block_index *index = ledger_at(rig.ledger, 30);
    char path[64];
    snprintf(path, sizeof path, "data/blocks/blk%05u.dat", (unsigned)index->file);
    uint64_t at_b = index->data_pos_b + 90;
    rig_stop(&rig);
    ck_assert(sim_disk_damage(rig.node->disk, path, at_b));
    rig.options.indexes = 1u << INDEX_TX;
    rig_open(&rig);
    world_run_us(rig.world, 10000000);
    drain(&rig);
    ck_assert_uint_eq(rig.fatal, 1);
    ck_assert_ptr_nonnull(strstr(rig.fatal_text, "block 30"));
    rig_clear(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("indexes");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, they_know_the_chain);
    tcase_add_test(tests, they_follow_a_reorganisation);
    tcase_add_test(tests, one_that_comes_later_reads_all);
    tcase_add_test(tests, a_clean_stop_leaves_nothing_to_do);
    tcase_add_test(tests, after_a_power_cut_they_are_whole);
    tcase_add_test(tests, pruning_waits_for_them);
    tcase_add_test(tests, too_many_questions_are_refused);
    tcase_add_test(tests, a_damaged_block_is_named);
    suite_add_tcase(suite, tests);
    return unit_run(suite);
}
