/* Proves pruning inside the ledger: what goes and what is kept, by itself and when told, what somebody still
 * needs, branches that lose a block, and that a restart finds it all as it was left. */
#include "ledger_rig.h"
#include "unit.h"

#define FULL_KEEP (UINT64_C(1) << 40)

static void begin(struct rig *rig, uint64_t seed, uint64_t target_b)
{
    rig_prepare(rig, seed);
    rig->options.fastprune = true; /* files of 64 KiB */
    rig->options.prune_target_b = target_b;
    rig_open(rig);
}

static void reopen(struct rig *rig, uint64_t target_b)
{
    rig_stop(rig);
    rig->options.prune_target_b = target_b;
    rig_open(rig);
    settle(rig);
}

static void on_done(void *ctx, const struct fail *why)
{
    struct fail *out = ctx;
    *out = *why;
    out->rpc_code = 1; /* it was called */
}

static struct fail prune(struct rig *rig, int32_t height)
{
    struct fail why = {.kind = FAIL_NONE};
    world_run_us(rig->world, 10000000); /* the files are written behind the chain */
    drain(rig);
    ledger_prune(rig->ledger, height, (struct ledger_done){on_done, &why});
    for (int i = 0; i < 1000 && why.rpc_code == 0; i++) {
        settle(rig);
        world_run_us(rig->world, 1000000);
        drain(rig);
    }
    ck_assert_int_eq(why.rpc_code, 1);
    return why;
}

static void expect_kept_from(struct rig *rig, int32_t height)
{
    int32_t kept = ledger_prune_height(rig->ledger);
    ck_assert_int_eq(kept, height);
    for (int32_t h = 0; h <= ledger_tip(rig->ledger)->height; h++) {
        const struct block_index *index = ledger_at(rig->ledger, h);
        bool here = (index->status & BLOCK_HAVE_DATA) != 0;
        if (h >= kept)
            ck_assert(here);
        else if (!here)
            ck_assert((index->status & (BLOCK_PRUNED | BLOCK_HAVE_UNDO)) == BLOCK_PRUNED);
        ck_assert_uint_gt(index->chain_tx_count, 0);
        ck_assert_uint_gt(index->tx_count, 0);
    }
}

START_TEST(nothing_goes_unasked)
{
    struct rig rig;
    begin(&rig, 11, PRUNE_MANUAL);
    struct block *tip = extend(&rig, rig.chain->genesis, 700);
    expect_tip(&rig, tip);
    expect_kept_from(&rig, 0);
    reopen(&rig, FULL_KEEP); /* far below the target */
    tip = extend(&rig, tip, 5);
    expect_kept_from(&rig, 0);
    rig_clear(&rig);
}
END_TEST

START_TEST(goes_by_itself_but_for_the_last_288)
{
    struct rig rig;
    begin(&rig, 12, 1); /* always over the target */
    struct block *tip = extend(&rig, rig.chain->genesis, 1500);
    world_run_us(rig.world, 10000000);
    drain(&rig);
    int32_t kept = ledger_prune_height(rig.ledger);
    ck_assert_int_gt(kept, 300); /* blocks come in any order: a file may hold a late one */
    ck_assert_int_le(kept, 1500 - PRUNE_KEEP_BLOCKS + 1);
    expect_kept_from(&rig, kept);
    expect_coins(&rig);
    uint64_t disk_b = ledger_stats(rig.ledger).disk_b;
    reopen(&rig, 1);
    expect_tip(&rig, tip);
    expect_kept_from(&rig, ledger_prune_height(rig.ledger));
    ck_assert_int_ge(ledger_prune_height(rig.ledger), kept);
    ck_assert_uint_le(ledger_stats(rig.ledger).disk_b, disk_b + (64u << 10));
    rig_clear(&rig);
}
END_TEST

START_TEST(what_is_needed_stays)
{
    struct rig rig;
    begin(&rig, 13, PRUNE_MANUAL);
    extend(&rig, rig.chain->genesis, 1200);
    ledger_keep_from(rig.ledger, 1);
    ck_assert_int_eq(prune(&rig, 800).kind, FAIL_NONE);
    expect_kept_from(&rig, 0);
    ledger_keep_from(rig.ledger, 700);
    ck_assert_int_eq(prune(&rig, 800).kind, FAIL_NONE);
    ck_assert_int_gt(ledger_prune_height(rig.ledger), 0);
    ck_assert_int_le(ledger_prune_height(rig.ledger), 700);
    ledger_keep_from(rig.ledger, INT32_MAX);
    ck_assert_int_eq(prune(&rig, 1200).kind, FAIL_NONE); /* more than may go */
    ck_assert_int_gt(ledger_prune_height(rig.ledger), 0);
    ck_assert_int_le(ledger_prune_height(rig.ledger), 1200 - PRUNE_KEEP_BLOCKS + 1);
    reopen(&rig, PRUNE_MANUAL);
    expect_kept_from(&rig, ledger_prune_height(rig.ledger));
    rig_clear(&rig);
}
END_TEST

START_TEST(a_branch_without_its_root_waits_for_it)
{
    struct rig rig;
    begin(&rig, 14, PRUNE_MANUAL);
    struct block *fork = extend(&rig, rig.chain->genesis, 5);
    struct block *side = extend(&rig, fork, 3); /* becomes the chain, then is left */
    struct block *tip = extend(&rig, fork, 1100);
    expect_tip(&rig, tip);
    ck_assert_int_eq(prune(&rig, 800).kind, FAIL_NONE);
    struct block_index *stale = ledger_find(rig.ledger, &side->id);
    ck_assert_ptr_nonnull(stale);
    ck_assert_int_eq((int)(stale->status & (BLOCK_HAVE_DATA | BLOCK_PRUNED)), BLOCK_PRUNED);
    ck_assert_uint_eq(stale->chain_tx_count, 0);
    struct block *more = extend(&rig, tip, 10);
    expect_tip(&rig, more);
    reopen(&rig, PRUNE_MANUAL);
    expect_tip(&rig, more);
    ck_assert_uint_eq(ledger_find(rig.ledger, &side->id)->chain_tx_count, 0);
    ck_assert_uint_eq(rig.fatal, 0);
    rig_clear(&rig);
}
END_TEST

START_TEST(without_the_option_it_does_not_start)
{
    struct rig rig;
    struct fail why;
    begin(&rig, 15, PRUNE_MANUAL);
    extend(&rig, rig.chain->genesis, 1100);
    ck_assert_int_eq(prune(&rig, 800).kind, FAIL_NONE);
    rig_stop(&rig);
    rig.options.prune_target_b = 0;
    ck_assert_ptr_null(ledger_open(&rig.node->env, rig.chain, &rig.options, &why));
    ck_assert_int_eq(why.kind, FAIL_REQUEST);
    ck_assert_ptr_nonnull(strstr(why.detail, "unpruned mode"));
    rig_clear(&rig);
}
END_TEST

START_TEST(not_in_prune_mode)
{
    struct rig rig;
    begin(&rig, 16, 0);
    extend(&rig, rig.chain->genesis, 400);
    ck_assert_int_eq(prune(&rig, 100).kind, FAIL_REQUEST);
    expect_kept_from(&rig, 0);
    rig_clear(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("prune");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, nothing_goes_unasked);
    tcase_add_test(tests, goes_by_itself_but_for_the_last_288);
    tcase_add_test(tests, what_is_needed_stays);
    tcase_add_test(tests, a_branch_without_its_root_waits_for_it);
    tcase_add_test(tests, without_the_option_it_does_not_start);
    tcase_add_test(tests, not_in_prune_mode);
    suite_add_tcase(suite, tests);
    return unit_run(suite);
}
