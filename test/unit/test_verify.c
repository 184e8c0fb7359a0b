/* Proves the verification of the last blocks: it finds each kind of damage at the level that looks for it, tells
 * what it left out, changes nothing, and a damaged folder does not start. */
#include "coin/ledger/kv.h"
#include "ledger_rig.h"
#include "unit.h"

struct verified {
    struct ledger_verify verify;
    bool done;
    struct fail why;
};

static void on_done(struct ledger_verify *verify, const struct fail *why)
{
    struct verified *v = (struct verified *)verify;
    v->done = true;
    v->why = *why;
}

static bool is_done(void *ctx)
{
    return ((struct verified *)ctx)->done;
}

static struct verified verify(struct rig *rig, int32_t level, int32_t count)
{
    static struct verified v;
    v = (struct verified){.verify = {.level = level, .count = count, .done = on_done}};
    ck_assert(ledger_verify_chain(rig->ledger, &v.verify));
    ck_assert(!ledger_verify_chain(rig->ledger, &v.verify)); /* one at a time */
    ck_assert(world_run_until(rig->world, is_done, &v, SETTLE_LIMIT_US));
    drain(rig);
    return v;
}

/* Thirty blocks; from the fifth on each spends an earlier coinbase. */
static void begin(struct rig *rig, uint64_t seed)
{
    rig_prepare(rig, seed);
    rig->options.check_blocks = 0;
    rig_open(rig);
    struct block *tip = rig->chain->genesis;
    for (int i = 0; i < 30; i++) {
        struct tx *tx = i >= 4 ? spend_of(rig->blocks[i - 4], 500, 2) : NULL;
        tip = build_full(rig, tip, i + 1, &tx, i >= 4, i >= 4 ? 500 : 0, 0);
        tx_unref(tx);
        offer(rig, tip, NULL);
    }
    settle(rig);
    world_run_us(rig->world, 10000000);
    drain(rig);
    expect_tip(rig, tip);
}

static void reopen(struct rig *rig)
{
    rig_open(rig);
    settle(rig);
}

/* Flips a bit in the middle of a block or of its undo data. */
static void damage(struct rig *rig, int32_t height, bool undo)
{
    const struct block_index *index = ledger_at(rig->ledger, height);
    char path[64];
    snprintf(path, sizeof path, "data/blocks/%s%05u.dat", undo ? "rev" : "blk", (unsigned)index->file);
    uint64_t at_b = undo ? index->undo_pos_b + index->undo_size_b / 2 : index->data_pos_b + index->data_size_b - 20;
    rig_stop(rig);
    ck_assert(sim_disk_damage(rig->node->disk, path, at_b));
}

/* Makes the store lie about the coin of a block's coinbase. */
static void tamper(struct rig *rig, const struct block *block, bool restore_spent)
{
    struct fail why;
    struct kv_batch batch;
    uint8_t key[1 + 32 + 1] = {'C'};
    uint8_t row[] = {2, 1, 7, 0x51};
    struct kv_options options = {.cache_b = 1 << 20};
    rig_stop(rig);
    memcpy(key + 1, block->txs[0].txid.b, 32);
    struct kv *kv = rig->node->env.kv_open(rig->node->env.ctx, "data/chainstate", &options, &why);
    ck_assert_ptr_nonnull(kv);
    kv_batch_init(&batch, 1000);
    if (restore_spent)
        kv_batch_put(&batch, span_of(key, sizeof key), span_of(row, sizeof row));
    else
        kv_batch_delete(&batch, span_of(key, sizeof key));
    ck_assert(kv_write(kv, &batch, true, &why));
    kv_batch_clear(&batch);
    kv_close(kv);
}

static void expect_found(struct rig *rig, int32_t from_level, const char *words)
{
    for (int32_t level = 0; level <= 4; level++) {
        struct verified v = verify(rig, level, 0);
        if (level < from_level) {
            ck_assert_msg(v.why.kind == FAIL_NONE, "level %d: %s", (int)level, v.why.detail);
            continue;
        }
        ck_assert_int_eq(v.why.kind, FAIL_LOCAL);
        ck_assert_msg(strstr(v.why.detail, words) != NULL, "%s", v.why.detail);
    }
    rig_stop(rig);
    struct fail why;
    rig->options.check_blocks = 30;
    rig->options.check_level = from_level;
    ck_assert_ptr_null(ledger_open(&rig->node->env, rig->chain, &rig->options, &why));
    ck_assert_msg(strstr(why.detail, words) != NULL, "%s", why.detail);
    ck_assert_ptr_nonnull(strstr(why.detail, "start with -reindex"));
    if (from_level > 0) {
        rig->options.check_level = from_level - 1;
        rig_open(rig);
    }
    rig_clear(rig);
}

START_TEST(all_is_well)
{
    struct rig rig;
    begin(&rig, 31);
    for (int32_t level = 0; level <= 4; level++)
        for (int32_t count = 0; count < 40; count += 13) {
            struct verified v = verify(&rig, level, count);
            ck_assert_msg(v.why.kind == FAIL_NONE, "%s", v.why.detail);
            ck_assert(v.verify.complete);
        }
    expect_coins(&rig);
    extend(&rig, rig.blocks[rig.count - 1], 3);
    expect_coins(&rig);
    rig_clear(&rig);
}
END_TEST

START_TEST(a_damaged_block)
{
    struct rig rig;
    begin(&rig, 32);
    damage(&rig, 20, false);
    reopen(&rig);
    expect_found(&rig, 0, "block 20");
}
END_TEST

START_TEST(damaged_undo_data)
{
    struct rig rig;
    begin(&rig, 33);
    damage(&rig, 20, true);
    reopen(&rig);
    expect_found(&rig, 2, "block 20");
}
END_TEST

START_TEST(a_coin_is_missing)
{
    struct rig rig;
    begin(&rig, 34);
    tamper(&rig, rig.blocks[28], false);
    reopen(&rig);
    expect_found(&rig, 3, "block 29");
}
END_TEST

START_TEST(a_spent_coin_is_there)
{
    struct rig rig;
    begin(&rig, 35);
    tamper(&rig, rig.blocks[10], true);
    reopen(&rig);
    expect_found(&rig, 3, "block 15");
}
END_TEST

START_TEST(a_block_breaks_a_rule)
{
    struct rig rig;
    begin(&rig, 38);
    rig.chain->subsidy_sat /= 2; /* as if it had been accepted in error */
    expect_found(&rig, 4, "bad-cb-amount");
}
END_TEST

START_TEST(what_does_not_fit_is_told)
{
    struct rig rig;
    begin(&rig, 36);
    rig_stop(&rig);
    rig.options.prune_target_b = 1;
    rig.options.fastprune = true;
    reopen(&rig);
    extend(&rig, rig.blocks[rig.count - 1], 1500);
    world_run_us(rig.world, 10000000);
    drain(&rig);
    ck_assert_int_gt(ledger_prune_height(rig.ledger), 0);
    ck_assert(verify(&rig, 4, 200).verify.complete);
    struct verified v = verify(&rig, 4, 0);
    ck_assert_int_eq(v.why.kind, FAIL_NONE);
    ck_assert(!v.verify.complete);
    rig_clear(&rig);
}
END_TEST

START_TEST(a_stop_ends_it)
{
    struct rig rig;
    static struct verified v;
    begin(&rig, 37);
    v = (struct verified){.verify = {.level = 4, .done = on_done}};
    ck_assert(ledger_verify_chain(rig.ledger, &v.verify));
    rig_stop(&rig);
    ck_assert(v.done);
    ck_assert(!v.verify.complete || v.why.kind == FAIL_NONE);
    rig_clear(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verify");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, all_is_well);
    tcase_add_test(tests, a_damaged_block);
    tcase_add_test(tests, damaged_undo_data);
    tcase_add_test(tests, a_coin_is_missing);
    tcase_add_test(tests, a_spent_coin_is_there);
    tcase_add_test(tests, a_block_breaks_a_rule);
    tcase_add_test(tests, what_does_not_fit_is_told);
    tcase_add_test(tests, a_stop_ends_it);
    suite_add_tcase(suite, tests);
    return unit_run(suite);
}
