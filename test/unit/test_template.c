/* Proves that a block template is the best valid block there is: by feerate, within weight and sigops, parents
 * first, with the right reward, coinbase and witness commitment; the ledger itself is the judge. */
#include "mempool_rig.h"

#include "coin/mine/template.h"
#include "unit.h"

static const struct template_options roomy = {
    .weight_max_wu = 4000000, .min_fee_sat_kvb = 1, .reserved_wu = 8000, .reserved_sigops = 400};

struct judged {
    bool done;
    enum block_outcome outcome;
    struct fail why;
};

static void on_judged(void *ctx, enum block_outcome outcome, struct block_index *index, const struct fail *why)
{
    struct judged *judged = ctx;
    (void)index;
    judged->done = true;
    judged->outcome = outcome;
    judged->why = *why;
}

static struct block_template *make_template(struct rig *rig, const struct template_options *options)
{
    struct fail why;
    struct block_template *t =
        template_new(rig->chain, rig->ledger, rig->pool, options, env_wall_s(&rig->node->env), &why);
    ck_assert_msg(t != NULL, "%s", why.detail);
    return t;
}

static struct block *build_one(struct rig *rig, const struct block_template *t, uint64_t extra_nonce)
{
    struct fail why;
    struct block *block;
    ck_assert_msg(template_build(&block, t, rig->chain, span_of(&op_true, 1), extra_nonce, &why), "%s", why.detail);
    return block;
}

/* The ledger's word on the block, all rules but proof of work. */
static void expect_valid(struct rig *rig, const struct block_template *t)
{
    struct judged judged = {.done = false};
    struct block *block = build_one(rig, t, 7);
    ck_assert(ledger_test_block(rig->ledger, block, (struct block_verdict){on_judged, &judged}));
    for (int i = 0; i < 100000 && !judged.done; i++) {
        world_step(rig->world);
        drain(rig);
    }
    ck_assert_msg(judged.outcome == BLOCK_OUTCOME_CONNECTED, "%s", judged.why.code);
    block_unref(block);
}

static struct tx *put(struct rig *rig, struct outpoint from, int64_t value_sat, int64_t fee_sat)
{
    struct verdict verdict;
    struct tx *tx = pay(rig, from, value_sat, fee_sat, 1);
    offer(rig, tx, 0, &verdict);
    settle(rig);
    ck_assert_msg(verdict.why.kind == FAIL_NONE, "%s", verdict.why.code);
    return tx;
}

START_TEST(empty)
{
    struct rig rig;
    rig_init(&rig, 1);
    struct block_template *t = make_template(&rig, &roomy);
    ck_assert_uint_eq(t->count, 0);
    ck_assert_int_eq(t->height, FUNDS + 1);
    ck_assert_int_eq(t->reward_sat, chain_subsidy_sat(rig.chain, t->height));
    ck_assert_int_ge(t->time_s, t->time_min_s);
    expect_valid(&rig, t);
    template_free(t);
    rig_clear(&rig);
}
END_TEST

START_TEST(best_first_and_rewarded)
{
    struct rig rig;
    rig_init(&rig, 2);
    struct tx *low = put(&rig, fund(&rig, 0), COIN_VALUE, 1000);
    struct tx *high = put(&rig, fund(&rig, 1), COIN_VALUE, 9000);
    struct tx *parent = put(&rig, fund(&rig, 2), COIN_VALUE, 500);
    struct tx *child = put(&rig, out_of(parent, 0), COIN_VALUE - 500, 20000); /* pays for its parent */
    struct tx *expected[] = {parent, child, high, low};
    struct block_template *t = make_template(&rig, &roomy);
    ck_assert_uint_eq(t->count, 4);
    for (uint32_t i = 0; i < 4; i++)
        ck_assert_msg(txid_equal(&t->txs[i].tx->txid, &expected[i]->txid), "place %u", i);
    ck_assert_int_eq(t->fees_sat, 1000 + 9000 + 500 + 20000);
    ck_assert_int_eq(t->reward_sat, chain_subsidy_sat(rig.chain, t->height) + t->fees_sat);
    expect_valid(&rig, t);
    template_free(t);
    for (uint32_t i = 0; i < 4; i++)
        tx_unref(expected[i]);
    rig_clear(&rig);
}
END_TEST

START_TEST(within_the_weight)
{
    struct rig rig;
    rig_init(&rig, 3);
    uint32_t each_wu = 0;
    for (uint32_t i = 0; i < 20; i++) {
        struct tx *tx = put(&rig, fund(&rig, i), COIN_VALUE, 1000 + (int64_t)i * 100);
        each_wu = tx_weight_wu(tx);
        tx_unref(tx);
    }
    struct template_options tight = roomy;
    tight.weight_max_wu = tight.reserved_wu + 5 * each_wu + each_wu / 2;
    struct block_template *t = make_template(&rig, &tight);
    ck_assert_uint_eq(t->count, 5);
    ck_assert_uint_le(t->weight_wu, tight.weight_max_wu);
    ck_assert_int_eq(t->fees_sat, 2900 + 2800 + 2700 + 2600 + 2500); /* the five that pay most */
    expect_valid(&rig, t);
    template_free(t);
    struct template_options dear = roomy;
    dear.min_fee_sat_kvb = 1000000;
    t = make_template(&rig, &dear);
    ck_assert_uint_eq(t->count, 0);
    template_free(t);
    rig_clear(&rig);
}
END_TEST

START_TEST(coinbase)
{
    struct rig rig;
    rig_init(&rig, 4);
    struct block_template *t = make_template(&rig, &roomy);
    struct block *a = build_one(&rig, t, 1), *b = build_one(&rig, t, 2), *moved;
    struct fail why;
    uint8_t header[HEADER_SIZE_B];
    ck_assert(!txid_equal(&a->txs[0].txid, &b->txs[0].txid)); /* the extra nonce */
    ck_assert(tx_is_coinbase(&a->txs[0]));
    ck_assert_int_ge(block_commitment_index(a), 0);
    ck_assert_uint_eq(a->txs[0].lock_time, (uint32_t)t->height - 1); /* BIP54 */
    ck_assert_uint_ne(a->txs[0].in[0].sequence, SEQUENCE_FINAL);
    ck_assert_uint_eq(a->txs[0].in[0].witness_count, 1);
    header_encode(header, &a->header);
    put_u32le(header + HEADER_SIZE_B - 4, 1234);
    ck_assert(block_with_header(&moved, a, header, &why));
    ck_assert_uint_eq(moved->header.nonce, 1234);
    ck_assert(txid_equal(&moved->txs[0].txid, &a->txs[0].txid));
    ck_assert(!block_id_equal(&moved->id, &a->id));
    block_unref(a);
    block_unref(b);
    block_unref(moved);
    template_free(t);
    rig_clear(&rig);
}
END_TEST

START_TEST(time_is_legal)
{
    struct rig rig;
    rig_init(&rig, 5);
    struct block_template *t = make_template(&rig, &roomy);
    template_set_time(t, rig.chain, 0); /* a clock far behind */
    ck_assert_int_eq(t->time_s, t->time_min_s);
    ck_assert_int_eq(t->time_min_s, index_median_time_past_s(ledger_tip(rig.ledger)) + 1);
    expect_valid(&rig, t);
    template_free(t);
    rig_clear(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("template");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, empty);
    tcase_add_test(tests, best_first_and_rewarded);
    tcase_add_test(tests, within_the_weight);
    tcase_add_test(tests, coinbase);
    tcase_add_test(tests, time_is_legal);
    suite_add_tcase(suite, tests);
    return unit_run(suite);
}
