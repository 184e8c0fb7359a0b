/* Proves that the ledger survives what goes wrong around it: reads that outlast flushes, disks that fail or
 * fill, damage, a lack of memory, a stop at any moment; and that what it left behind is enough to go on. */
#include "ledger_rig.h"
#include "unit.h"

/* ---- histories ---- */
static void on_flushed(void *ctx, const struct fail *why)
{
    (void)ctx;
    ck_assert_int_eq(why->kind, FAIL_NONE);
}

/* Some transactions that the branch of the tip allows: mature coins, some chained within the block. */
static uint32_t random_txs(
    struct rig *rig, struct sim_random *random, struct tx **txs, uint32_t most)
{
    struct model model;
    model_make(rig, &model);
    int32_t height = ledger_tip(rig->ledger)->height + 1;
    uint32_t count = 0;
    for (uint32_t i = 0; i < model.count && count < most; i++) {
        const struct model_coin *coin = &model.coins[i];
        if ((coin->is_coinbase && height - coin->height < rig->chain->coinbase_maturity) ||
            sim_random_below(random, 3) != 0 || coin->value_sat < 10)
            continue;
        txs[count++] = maker_spend(
            &coin->outpoint, 1, coin->value_sat, 1 + (uint32_t)sim_random_below(random, 3));
        if (count < most && sim_random_below(random, 2) == 0) {
            struct outpoint inner = {txs[count - 1]->txid, 0};
            txs[count] = maker_spend(&inner, 1, txs[count - 1]->out[0].value_sat, 1);
            count++;
        }
    }
    mem_free(model.coins);
    return count;
}

/* Random growth, reorganisations, flushes at any moment, look-ups under way meanwhile, restarts. Reads may
 * take much longer than flushes: a coin spent in the meantime must not come back. */
START_TEST(random_histories)
{
    struct rig rig;
    uint64_t seed = 100 + (uint64_t)_i;
    rig_init(&rig, seed);
    world_set_delays(rig.world, 5000, 5000, 0);
    struct sim_random random = {seed};
    struct block *tip = extend(&rig, rig.chain->genesis, 4);
    for (int step = 0; step < 60; step++) {
        struct tx *txs[12];
        uint32_t count = random_txs(&rig, &random, txs, 12);
        struct block *next = build_full(&rig, tip, height_of(&rig, tip) + 1, txs, count, 0, 0);
        uint64_t what = sim_random_below(&random, 10);
        struct ask ask = {.request = {.count = 0}};
        struct coin coin;
        bool found = false;
        struct outpoint about = count > 0 ? txs[0]->in[0].prevout : coinbase_of(tip);
        bool asked = what < 6;
        if (what >= 4)
            ledger_flush(rig.ledger, (struct ledger_done){on_flushed, NULL});
        if (asked) { /* before the block that spends it, answered after or before: about its own tip */
            ask.request = (struct coins_request){
                .outpoints = &about, .count = 1, .coins = &coin, .found = &found, .done = ask_done};
            enum coins_answer answer = ledger_coins(rig.ledger, &ask.request);
            ck_assert_int_ne(answer, COINS_REFUSED);
            ask.done = answer == COINS_READY;
        }
        offer(&rig, next, NULL);
        if (what % 3 == 0)
            ledger_flush(rig.ledger, (struct ledger_done){on_flushed, NULL});
        settle(&rig);
        if (asked) {
            ck_assert(world_run_until(rig.world, ask_is_done, &ask, SETTLE_LIMIT_US));
            ck_assert_int_eq(ask.why.kind, FAIL_NONE);
            arena_clear(&ask.request.arena);
        }
        for (uint32_t i = 0; i < count; i++)
            tx_unref(txs[i]);
        expect_tip(&rig, next);
        tip = next;
        ck_assert(count == 0 || !has_coin(&rig, &next->txs[1].in[0].prevout));
        if (what == 7) { /* another branch from some blocks below, one longer */
            uint32_t depth = 1 + (uint32_t)sim_random_below(&random, 3);
            struct block *at = tip;
            for (uint32_t i = 0; i < depth; i++)
                for (uint32_t k = 0; k < rig.count; k++)
                    if (block_id_equal(&rig.blocks[k]->id, &at->header.prev)) {
                        at = rig.blocks[k];
                        break;
                    }
            tip = extend(&rig, at, depth + 1);
            expect_tip(&rig, tip);
        }
        if (what == 8) {
            rig_stop(&rig);
            rig_open(&rig);
            settle(&rig);
            expect_tip(&rig, tip);
        }
        if (step % 10 == 9)
            expect_coins(&rig);
    }
    expect_coins(&rig);
    rig_clear(&rig);
}
END_TEST

/* A read of a coin is answered long after the coin was spent and the spending flushed. */
START_TEST(late_reads)
{
    struct rig rig;
    rig_init(&rig, 40);
    struct block *one = extend(&rig, rig.chain->genesis, 1);
    struct block *tip = extend(&rig, one, 5);
    expect_coins(&rig); /* flushes: the coin is in the store only */
    struct outpoint about = coinbase_of(one);
    struct coin coin;
    bool found = false;
    struct ask ask = {.request = {.outpoints = &about,
                          .count = 1,
                          .coins = &coin,
                          .found = &found,
                          .done = ask_done}};
    world_hold_back(rig.world, JOB_READ, INT64_C(60) * 1000000);
    ck_assert_int_eq(ledger_coins(rig.ledger, &ask.request), COINS_PENDING);
    world_run_us(rig.world, 1000); /* read, not heard */
    world_hold_back(rig.world, JOB_READ, 0);
    struct tx *tx = spend_of(one, 0, 1);
    tip = build_full(&rig, tip, 7, &tx, 1, 0, 0);
    offer(&rig, tip, NULL);
    settle(&rig);
    expect_tip(&rig, tip);
    expect_coins(&rig);
    ck_assert(!ask.done);
    ck_assert(world_run_until(rig.world, ask_is_done, &ask, SETTLE_LIMIT_US));
    ck_assert(!found);
    arena_clear(&ask.request.arena);
    ck_assert(!has_coin(&rig, &about));
    struct block *thief = build_full(&rig, tip, 8, &tx, 1, 0, 0);
    struct verdict v = offer_and_settle(&rig, thief);
    ck_assert_str_eq(v.why.code, "bad-txns-inputs-missingorspent");
    tx_unref(tx);
    rig_clear(&rig);
}
END_TEST

/* ---- trouble of our own ---- */
struct stop_scan {
    struct coins_scan scan;
    uint32_t done;
};
struct stop_read {
    struct block_read read;
    uint32_t done;
};
struct stop_ask {
    struct coins_request request;
    uint32_t done;
};

static bool stop_scan_each(
    struct coins_scan *scan, const struct outpoint *outpoint, const struct coin *coin)
{
    (void)scan;
    (void)outpoint;
    (void)coin;
    return true;
}

static void stop_scan_done(struct coins_scan *scan, const struct fail *why)
{
    (void)why;
    ((struct stop_scan *)scan)->done++;
}

static void stop_read_done(struct block_read *read, const struct fail *why)
{
    (void)why;
    block_unref(read->block);
    block_undo_free(read->undo);
    buf_clear(&read->raw);
    ((struct stop_read *)read)->done++;
}

static void stop_ask_done(struct coins_request *request, const struct fail *why)
{
    (void)why;
    arena_clear(&request->arena);
    ((struct stop_ask *)request)->done++;
}

static void count_done(void *ctx, const struct fail *why)
{
    (void)why;
    (*(uint32_t *)ctx)++;
}

/* Everything is under way when the stop comes: all is answered exactly once, and what is on disk is good. */
START_TEST(stops_at_any_moment)
{
    for (uint32_t steps = (uint32_t)_i; steps < 240; steps += 6) {
        struct rig rig;
        rig_init(&rig, 41 + steps);
        struct block *one = extend(&rig, rig.chain->genesis, 1);
        struct block *tip = extend(&rig, one, 9), *side = ledger_tip(rig.ledger) != NULL ? tip : NULL;
        struct tx *tx = spend_of(one, 0, 2);
        struct verdict verdicts[14];
        struct stop_scan scan = {.scan = {.each = stop_scan_each, .done = stop_scan_done}};
        struct stop_read read = {.read = {.index = ledger_tip(rig.ledger),
                                     .want_block = true,
                                     .want_undo = true,
                                     .done = stop_read_done}};
        struct outpoint about = coinbase_of(one);
        struct coin coin;
        bool found;
        struct stop_ask ask = {.request = {.outpoints = &about,
                                   .count = 1,
                                   .coins = &coin,
                                   .found = &found,
                                   .done = stop_ask_done}};
        uint32_t flushed = 0, overridden = 0;
        struct block *block = build_full(&rig, tip, 11, &tx, 1, 0, 0);
        struct verdict tested = {0};
        offer(&rig, block, &verdicts[0]);
        bool test_taken =
            ledger_test_block(rig.ledger, block, (struct block_verdict){on_verdict, &tested});
        for (int i = 1; i < 10; i++) {
            block = build(&rig, block);
            offer(&rig, block, &verdicts[i]);
        }
        ledger_flush(rig.ledger, (struct ledger_done){count_done, &flushed});
        ck_assert(ledger_scan_coins(rig.ledger, &scan.scan));
        ck_assert(ledger_read_block(rig.ledger, &read.read));
        bool asked = ledger_coins(rig.ledger, &ask.request) == COINS_PENDING;
        ledger_invalidate(rig.ledger, ledger_find(rig.ledger, &side->id),
            (struct ledger_done){count_done, &overridden});
        for (uint32_t i = 0; i < steps && world_step(rig.world); i++)
            drain(&rig);
        rig_stop(&rig);
        for (int i = 0; i < 10; i++)
            ck_assert_uint_eq(verdicts[i].calls, 1);
        ck_assert_uint_eq(tested.calls, test_taken);
        ck_assert_uint_eq(flushed, 1);
        ck_assert_uint_eq(scan.done, 1);
        ck_assert_uint_eq(read.done, 1);
        ck_assert_uint_eq(ask.done, asked);
        if (!asked)
            arena_clear(&ask.request.arena);
        ck_assert_uint_eq(overridden, 1);
        rig_open(&rig);
        settle(&rig);
        ck_assert_int_ge(ledger_tip(rig.ledger)->height, 9);
        expect_coins(&rig);
        tx_unref(tx);
        rig_clear(&rig);
    }
}
END_TEST

#define ALLOCATIONS 176 /* about as many as this history makes */
/* Whichever allocation fails: no crash, no wrong coin; the node stops or refuses, and is whole afterwards. */
START_TEST(out_of_memory)
{
    for (uint32_t nth = 1 + (uint32_t)_i; nth <= ALLOCATIONS; nth += 8) {
        struct rig rig;
        char folder[] = "/tmp/coin-test-ledger-XXXXXX", command[80];
        ck_assert_ptr_nonnull(mkdtemp(folder));
        rig_prepare(&rig, 42);
        /* A real disk: the simulated one lives in the memory that fails. */
        rig.node->env.disk = &disk_posix;
        rig.node->env.kv_open = kv_leveldb_open;
        rig.options.dir = folder;
        rig_open(&rig);
        struct block *one = extend(&rig, rig.chain->genesis, 1);
        struct block *fork = extend(&rig, one, 5), *tip = extend(&rig, fork, 2);
        struct tx *tx = spend_of(one, 0, 200);
        struct block *branch[6];
        branch[0] = build_full(&rig, fork, 7, &tx, 1, 0, 0);
        struct buf raw[6];
        maker_raw(&raw[0], branch[0]);
        for (int i = 1; i < 6; i++) {
            branch[i] = build(&rig, branch[i - 1]);
            maker_raw(&raw[i], branch[i]);
        }
        static struct verdict unheard;
        world_run_us(rig.world, 1000000); /* all is in its file */
        mem_fail_nth(nth);
        for (int i = 0; i < 6 && rig.fatal == 0; i++) {
            if (!ledger_offer_block(
                    rig.ledger, &raw[i], true, (struct block_verdict){on_verdict, &unheard}))
                break;
            for (int k = 0; k < 12 && world_step(rig.world); k++)
                drain(&rig);
        }
        ledger_flush(rig.ledger, (struct ledger_done){NULL, NULL});
        settle(&rig);
        mem_fail_nth(0);
        rig_stop(&rig);
        for (int i = 0; i < 6; i++)
            buf_clear(&raw[i]);
        rig.fatal = 0;
        rig_open(&rig);
        settle(&rig);
        ck_assert_int_ge(ledger_tip(rig.ledger)->height, 6);
        expect_coins(&rig);
        offer(&rig, tip, NULL);
        for (int i = 0; i < 6; i++)
            offer(&rig, branch[i], NULL);
        settle(&rig);
        expect_tip(&rig, branch[5]);
        expect_coins(&rig);
        tx_unref(tx);
        rig_clear(&rig);
        snprintf(command, sizeof command, "rm -rf '%s'", folder);
        ck_assert_int_eq(system(command), 0);
    }
}
END_TEST

START_TEST(a_failing_disk_stops_the_node)
{
    struct rig rig;
    rig_init(&rig, 20);
    struct block *tip = extend(&rig, rig.chain->genesis, 5);
    world_run_us(rig.world, 1000000); /* connected is not yet written */
    sim_disk_fail_at(rig.node->disk, 1);
    offer(&rig, build(&rig, tip), NULL);
    while (rig.fatal == 0) {
        ck_assert(world_step(rig.world));
        drain(&rig);
    }
    ck_assert_ptr_nonnull(strstr(rig.fatal_text, "Input/output error"));
    rig_stop(&rig);
    rig.fatal = 0;
    rig_open(&rig); /* what was there before is there again */
    settle(&rig);
    ck_assert_int_ge(ledger_tip(rig.ledger)->height, 5);
    expect_coins(&rig);
    rig_clear(&rig);
}
END_TEST

START_TEST(a_full_disk_stops_the_node)
{
    struct rig rig;
    rig_init(&rig, 21);
    struct block *tip = extend(&rig, rig.chain->genesis, 5);
    sim_disk_set_free_space(rig.node->disk, 40u << 20);
    world_run_us(rig.world, INT64_C(11) * 1000000);
    ledger_on_tick(rig.ledger);
    world_run_us(rig.world, INT64_C(11) * 1000000);
    drain(&rig);
    ck_assert_uint_eq(rig.fatal, 1);
    ck_assert_ptr_nonnull(strstr(rig.fatal_text, "free some space"));
    struct buf raw;
    maker_raw(&raw, build(&rig, tip));
    ck_assert(!ledger_offer_block(rig.ledger, &raw, true, (struct block_verdict){NULL, NULL}));
    buf_clear(&raw);
    rig_stop(&rig);
    sim_disk_set_free_space(rig.node->disk, 1u << 30);
    rig_open(&rig);
    expect_tip(&rig, tip); /* the stop has flushed */
    rig_clear(&rig);
}
END_TEST

START_TEST(other_rules_are_refused)
{
    struct rig rig;
    rig_init(&rig, 22);
    extend(&rig, rig.chain->genesis, 2);
    rig_stop(&rig);
    rig.chain->rules_hash[0] ^= 1;
    struct fail why;
    ck_assert_ptr_null(ledger_open(&rig.node->env, rig.chain, &rig.options, &why));
    ck_assert_ptr_nonnull(strstr(why.detail, "other rules"));
    ck_assert_ptr_nonnull(strstr(why.detail, "-datadir"));
    rig.chain->rules_hash[0] ^= 1;
    rig_clear(&rig);
}
END_TEST

START_TEST(damage_is_named)
{
    struct rig rig;
    rig_init(&rig, 23);
    extend(&rig, rig.chain->genesis, 8);
    struct block_index *tip = ledger_tip(rig.ledger);
    world_run_us(rig.world, 1000000);
    char path[64];
    snprintf(path, sizeof path, "data/blocks/blk%05u.dat", (unsigned)tip->file);
    uint32_t pos_b = tip->data_pos_b;
    rig_stop(&rig);
    ck_assert(sim_disk_damage(rig.node->disk, path, pos_b + 100));
    struct fail why;
    ck_assert_ptr_null(ledger_open(&rig.node->env, rig.chain, &rig.options, &why));
    ck_assert_int_eq(why.kind, FAIL_LOCAL);
    ck_assert_ptr_nonnull(strstr(why.detail, "data/blocks"));
    ck_assert_ptr_nonnull(strstr(why.detail, "-reindex"));
    ck_assert(sim_disk_damage(rig.node->disk, path, pos_b + 100)); /* back */
    rig_open(&rig);
    rig_clear(&rig);
}
END_TEST

/* What the folder blocks/ holds is enough to build everything again. */
START_TEST(reindex)
{
    struct rig rig;
    rig_init(&rig, 24);
    struct block *fork = extend(&rig, rig.chain->genesis, 300); /* several files of 64 KiB */
    struct block *tip = extend(&rig, fork, 3);
    extend(&rig, fork, 2);
    rig_stop(&rig);
    if (_i == 0)
        rig.options.reindex_chainstate = true;
    else
        rig.options.reindex = true;
    sim_disk_forget_stores(rig.node->disk, _i == 0 ? "data/chainstate" : "data");
    rig_open(&rig);
    ck_assert_int_eq(ledger_tip(rig.ledger)->height, 0);
    settle(&rig);
    expect_tip(&rig, tip);
    expect_coins(&rig);
    rig_clear(&rig);
}
END_TEST

/* One damaged record costs that block, not those behind it. */
START_TEST(reindex_passes_over_damage)
{
    struct rig rig;
    rig_init(&rig, 43);
    struct block *low = extend(&rig, rig.chain->genesis, 4);
    struct block *hurt = extend(&rig, low, 1);
    struct block *tip = extend(&rig, hurt, 6);
    world_run_us(rig.world, 1000000);
    const struct block_index *index = ledger_find(rig.ledger, &hurt->id);
    uint32_t pos_b = index->data_pos_b, last_b = ledger_tip(rig.ledger)->data_pos_b;
    rig_stop(&rig);
    /* its bytes, the size before it, the magic before that */
    static const int back_b[] = {-100, 4, 8};
    ck_assert(sim_disk_damage(rig.node->disk, "data/blocks/blk00000.dat",
        (uint64_t)((int64_t)pos_b - back_b[_i])));
    sim_disk_forget_stores(rig.node->disk, "data");
    rig.options.reindex = true;
    rig_open(&rig);
    settle(&rig);
    expect_tip(&rig, low);
    rig.options.reindex = false;
    offer(&rig, hurt, NULL);
    settle(&rig);
    world_run_us(rig.world, 1000000);
    ck_assert_uint_gt(ledger_find(rig.ledger, &hurt->id)->data_pos_b, last_b); /* nothing was cut */
    rig_stop(&rig);
    sim_disk_forget_stores(rig.node->disk, "data");
    rig.options.reindex = true;
    rig_open(&rig); /* now that its parent is there as well, what follows the damage counts again */
    settle(&rig);
    expect_tip(&rig, tip);
    expect_coins(&rig);
    rig_clear(&rig);
}
END_TEST

START_TEST(initial_download)
{
    struct rig rig;
    rig_init(&rig, 25);
    struct block *tip = extend(&rig, rig.chain->genesis, 2); /* times of 2011 */
    ck_assert(ledger_is_initial_download(rig.ledger));
    ck_assert(ledger_progress(rig.ledger) < 0.1);
    struct header ahead = build(&rig, tip)->header;
    struct fail why;
    uint32_t accepted;
    if (_i == 0) { /* a header without its block: somebody knows more */
        ck_assert(ledger_accept_headers(rig.ledger, &ahead, 1, NULL, &accepted, &why));
        ledger_leave_initial_download(rig.ledger);
        ck_assert(ledger_is_initial_download(rig.ledger));
        struct maker_block spec = {.prev = tip->id,
            .height = 3,
            .time_s = (uint32_t)env_wall_s(&rig.node->env),
            .bits = tip->header.bits,
            .salt = 77};
        struct block *now = maker_build(rig.chain, &spec);
        rig.heights[rig.count] = 3;
        rig.blocks[rig.count++] = now;
        offer(&rig, now, NULL);
        settle(&rig);
    } else {
        ledger_leave_initial_download(rig.ledger);
    }
    ck_assert(!ledger_is_initial_download(rig.ledger));
    rig_clear(&rig);
}
END_TEST

START_TEST(locators_and_ancestors)
{
    struct rig rig;
    rig_init(&rig, 26);
    struct block *fork = extend(&rig, rig.chain->genesis, 200);
    extend(&rig, fork, 30);
    struct block *side = extend(&rig, fork, 20);
    struct block_index *tip = ledger_tip(rig.ledger), *s = ledger_find(rig.ledger, &side->id);
    struct block_id ids[LOCATOR_MAX];
    uint32_t count = ledger_locator(rig.ledger, s, ids);
    ck_assert(block_id_equal(&ids[0], &side->id));
    ck_assert(block_id_equal(&ids[count - 1], &rig.chain->genesis->id));
    ck_assert_uint_lt(count, 30);
    struct block_index *common = ledger_find_fork(rig.ledger, ids, count);
    ck_assert(common->height <= 200 && common->height >= 190);
    ck_assert_ptr_eq(index_fork(tip, s), ledger_find(rig.ledger, &fork->id));
    for (int32_t h = 0; h <= tip->height; h++)
        ck_assert_ptr_eq(index_ancestor(tip, h), ledger_at(rig.ledger, h));
    ck_assert_ptr_null(index_ancestor(tip, tip->height + 1));
    uint32_t cursor = 0, headers = 0;
    while (ledger_next(rig.ledger, &cursor) != NULL)
        headers++;
    ck_assert_uint_eq(headers, 251);
    rig_clear(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ledger_trouble");
    TCase *tc = tcase_create("ledger");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, random_histories, 0, 12);
    tcase_add_test(tc, late_reads);
    tcase_add_loop_test(tc, stops_at_any_moment, 0, 6);
    tcase_add_loop_test(tc, out_of_memory, 0, 8);
    tcase_add_loop_test(tc, reindex_passes_over_damage, 0, 3);
    tcase_add_test(tc, a_failing_disk_stops_the_node);
    tcase_add_test(tc, a_full_disk_stops_the_node);
    tcase_add_test(tc, other_rules_are_refused);
    tcase_add_test(tc, damage_is_named);
    tcase_add_loop_test(tc, reindex, 0, 2);
    tcase_add_loop_test(tc, initial_download, 0, 2);
    tcase_add_test(tc, locators_and_ancestors);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
