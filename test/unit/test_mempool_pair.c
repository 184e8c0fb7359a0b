/* Proves that a parent which pays too little comes in with the child that pays for both, or not at all: in one step that nobody
 * sees half done, with each one's own refusal, whatever the chain, the pool or the memory do meanwhile. */
#include "mempool_rig.h"
#include "unit.h"

struct pair {
    struct tx *parent, *child;
    struct verdict of_parent, of_child;
};

static bool begin(struct rig *rig, struct pair *p)
{
    memset(&p->of_parent, 0, sizeof p->of_parent);
    memset(&p->of_child, 0, sizeof p->of_child);
    bool taken = mempool_offer_pair(rig->pool, p->parent, (struct tx_verdict){on_verdict, &p->of_parent}, p->child,
        (struct tx_verdict){on_verdict, &p->of_child});
    ck_assert_uint_eq(p->of_parent.calls + p->of_child.calls, 0);
    return taken;
}

static void expect_verdict(const struct rig *rig, const struct tx *tx, const struct verdict *verdict, const char *code)
{
    ck_assert_uint_eq(verdict->calls, 1);
    ck_assert_msg(code == NULL ? verdict->why.kind == FAIL_NONE : strcmp(verdict->why.code, code) == 0, "%s, not %s: %s",
        verdict->why.code, code != NULL ? code : "accepted", verdict->why.detail);
    ck_assert_int_eq(verdict->has_entry, code == NULL || strcmp(code, "txn-already-in-mempool") == 0);
    ck_assert_int_eq(mempool_find(rig->pool, &tx->txid) != NULL, verdict->has_entry);
}

/* Code NULL: accepted. */
static void expect_pair(struct rig *rig, struct pair *p, const char *parent_code, const char *child_code)
{
    ck_assert(begin(rig, p));
    settle(rig);
    check_pool(rig);
    expect_verdict(rig, p->parent, &p->of_parent, parent_code);
    expect_verdict(rig, p->child, &p->of_child, child_code);
    ck_assert(mempool_is_idle(rig->pool));
}

static struct pair make_pair(const struct rig *rig, uint32_t coin, int64_t parent_fee_sat, int64_t child_fee_sat)
{
    struct pair p = {.parent = pay(rig, fund(rig, coin), COIN_VALUE, parent_fee_sat, 2)};
    p.child = pay(rig, out_of(p.parent, 0), (COIN_VALUE - parent_fee_sat) / 2, child_fee_sat, 1);
    return p;
}

static void forget(struct pair *p)
{
    tx_unref(p->parent);
    tx_unref(p->child);
}

static const struct {
    int64_t parent_fee_sat, child_fee_sat;
    const char *parent_code, *child_code;
} fees[] = {
    {0, FEE, NULL, NULL},
    {1, FEE, NULL, NULL},
    {FEE, FEE, NULL, NULL},
    {0, 5, "min relay fee not met", "min relay fee not met"},
    {0, 15, "min relay fee not met", "min relay fee not met"}, /* enough for itself only */
    {FEE, 0, NULL, "min relay fee not met"},
};

START_TEST(feerates)
{
    struct rig rig;
    rig_init(&rig, 31);
    struct pair p = make_pair(&rig, 0, fees[_i].parent_fee_sat, fees[_i].child_fee_sat);
    uint32_t added = rig.added;
    expect_pair(&rig, &p, fees[_i].parent_code, fees[_i].child_code);
    ck_assert_uint_eq(rig.added - added, (fees[_i].parent_code == NULL ? 1u : 0) + (fees[_i].child_code == NULL ? 1u : 0));
    if (fees[_i].parent_code == NULL && fees[_i].child_code == NULL) {
        const struct mempool_entry *parent = mempool_find(rig.pool, &p.parent->txid), *child = mempool_find(rig.pool, &p.child->txid);
        ck_assert_uint_eq(parent->sequence + 1, child->sequence);
        ck_assert_uint_eq(child->sequence, mempool_sequence(rig.pool));
        expect_pair(&rig, &p, "txn-already-in-mempool", "txn-already-in-mempool");
    }
    forget(&p);
    rig_clear(&rig);
}
END_TEST

/* A minimum for both together, moved by what the user adds. */
START_TEST(deltas)
{
    struct rig rig;
    rig_init(&rig, 32);
    struct pair p = make_pair(&rig, 0, 0, 15);
    ck_assert(mempool_prioritise(rig.pool, &p.parent->txid, 1)); /* of little use */
    expect_pair(&rig, &p, "min relay fee not met", "min relay fee not met");
    ck_assert(mempool_prioritise(rig.pool, &p.child->txid, FEE));
    expect_pair(&rig, &p, NULL, NULL);
    forget(&p);
    rig_clear(&rig);
}
END_TEST

START_TEST(refusals)
{
    struct rig rig;
    rig_init(&rig, 33);
    /* a bad child takes the parent with it; the pool is as it was */
    struct pair p = make_pair(&rig, 0, 0, FEE);
    struct tx *good = p.child;
    struct spend spend = {.from = {out_of(p.parent, 0)}, .count = 1, .value_sat = COIN_VALUE / 2 - FEE, .witness = WITNESS_WRONG};
    p.child = make(&rig, &spend);
    uint64_t sequence = mempool_sequence(rig.pool);
    expect_pair(&rig, &p, "min relay fee not met", "mempool-script-verify-flag-failed (Witness program hash mismatch)");
    tx_unref(p.child);
    spend = (struct spend){.from = {out_of(p.parent, 7)}, .count = 1, .value_sat = 1000};
    p.child = make(&rig, &spend); /* of an output that is not there */
    expect_pair(&rig, &p, "min relay fee not met", "bad-txns-inputs-missingorspent");
    tx_unref(p.child);
    spend = (struct spend){.version = 3, .from = {out_of(p.parent, 0)}, .count = 1, .value_sat = COIN_VALUE / 2 - FEE};
    p.child = make(&rig, &spend); /* refused at the very end, when the parent was in for a moment */
    expect_pair(&rig, &p, "min relay fee not met", "TRUC-violation");
    tx_unref(p.child);
    ck_assert_uint_eq(mempool_sequence(rig.pool), sequence);
    p.child = good;
    expect_pair(&rig, &p, NULL, NULL);
    forget(&p);
    /* a bad parent: its child is an orphan */
    spend = (struct spend){.from = {fund(&rig, 1)}, .count = 1, .value_sat = COIN_VALUE, .witness = WITNESS_WRONG};
    p.parent = make(&rig, &spend);
    p.child = pay(&rig, out_of(p.parent, 0), COIN_VALUE, FEE, 1);
    expect_pair(&rig, &p, "mempool-script-verify-flag-failed (Witness program hash mismatch)", "bad-txns-inputs-missingorspent");
    forget(&p);
    /* a cheap parent may not replace anything, nor stand for a child that is none of its own */
    p = make_pair(&rig, 2, 0, FEE);
    struct tx *rival = pay(&rig, fund(&rig, 2), COIN_VALUE, 1000, 1);
    expect(&rig, rival, NULL);
    expect_pair(&rig, &p, "insufficient fee", "bad-txns-inputs-missingorspent");
    tx_unref(rival);
    forget(&p);
    p = (struct pair){pay(&rig, fund(&rig, 3), COIN_VALUE, 0, 1), pay(&rig, fund(&rig, 4), COIN_VALUE, FEE, 1), {0}, {0}};
    expect_pair(&rig, &p, "min relay fee not met", NULL);
    forget(&p);
    rig_clear(&rig);
}
END_TEST

/* Dust without fee, swept by the child that pays (ephemeral dust's purpose). */
START_TEST(dust)
{
    struct rig rig;
    rig_init(&rig, 34);
    struct spend dusty = {.version = 3, .from = {fund(&rig, 0)}, .count = 1, .value_sat = COIN_VALUE - 100, .extras = 1, .extra_sat = 100};
    struct pair p = {.parent = make(&rig, &dusty)};
    struct spend sweep = {.version = 3, .from = {out_of(p.parent, 0)}, .count = 1, .value_sat = COIN_VALUE - 5000};
    p.child = make(&rig, &sweep);
    expect_pair(&rig, &p, "min relay fee not met", "missing-ephemeral-spends");
    tx_unref(p.child);
    sweep.from[sweep.count++] = out_of(p.parent, 1);
    p.child = make(&rig, &sweep);
    expect_pair(&rig, &p, NULL, NULL);
    forget(&p);
    rig_clear(&rig);
}
END_TEST

/* Others that spend from the parent, alone or with it, wait for its verdict and do not wait in a circle. */
START_TEST(relatives_in_flight)
{
    struct rig rig;
    rig_init(&rig, 35 + (uint64_t)_i);
    struct pair p = make_pair(&rig, 0, 0, FEE);
    struct tx *sibling = pay(&rig, out_of(p.parent, 1), COIN_VALUE / 2, FEE, 1);
    struct spend both = {.from = {out_of(p.parent, 0), out_of(sibling, 0)}, .count = 2, .value_sat = COIN_VALUE - 4 * FEE};
    struct verdict of_sibling, of_both;
    struct tx *last = make(&rig, &both);
    if (_i % 2 == 1) { /* the child needs the sibling, which needs the parent */
        tx_unref(p.child);
        p.child = tx_ref(last);
    }
    offer(&rig, sibling, 0, &of_sibling);
    ck_assert(begin(&rig, &p));
    offer(&rig, last, 0, &of_both);
    settle(&rig);
    check_pool(&rig);
    ck_assert(mempool_is_idle(rig.pool));
    ck_assert_uint_eq(p.of_parent.calls + p.of_child.calls + of_sibling.calls + of_both.calls, 4);
    if (_i % 2 == 0) { /* two want the first output */
        ck_assert_int_eq(p.of_parent.why.kind, FAIL_NONE);
        ck_assert(mempool_find(rig.pool, &p.parent->txid) != NULL);
    } else {
        ck_assert_str_eq(p.of_parent.why.code, "min relay fee not met");
        ck_assert_uint_eq(rig.pool->count, 0);
    }
    tx_unref(sibling);
    tx_unref(last);
    forget(&p);
    rig_clear(&rig);
}
END_TEST

START_TEST(tip_moves_meanwhile)
{
    struct rig rig;
    struct pair pairs[20];
    rig_init(&rig, 60 + (uint64_t)_i);
    struct tx *rivals[20];
    for (uint32_t i = 0; i < 20; i++) {
        pairs[i] = make_pair(&rig, i, 0, FEE);
        rivals[i] = pay(&rig, fund(&rig, i), COIN_VALUE, FEE, 3);
    }
    rig.tip = build(&rig, rig.tip, rivals, 10, 10 * FEE);
    offer_block(&rig, rig.tip);
    for (uint32_t i = 0; i < 20; i++) {
        ck_assert(begin(&rig, &pairs[i]));
        for (int k = 0; k < _i * 3; k++) {
            world_step(rig.world);
            drain(&rig);
        }
    }
    settle(&rig);
    check_pool(&rig);
    ck_assert_uint_eq(rig.pool->count, 20);
    for (uint32_t i = 0; i < 20; i++) {
        ck_assert_uint_eq(pairs[i].of_parent.calls, 1);
        ck_assert_uint_eq(pairs[i].of_child.calls, 1);
        if (i >= 10)
            ck_assert_msg(pairs[i].of_child.why.kind == FAIL_NONE, "%s", pairs[i].of_child.why.code);
        forget(&pairs[i]);
        tx_unref(rivals[i]);
    }
    rig_clear(&rig);
}
END_TEST

START_TEST(memory_fails)
{
    struct rig rig;
    rig_init(&rig, 80);
    uint32_t refused = 0, accepted = 0;
    for (uint32_t n = 1; n < 80; n++) {
        struct pair p = make_pair(&rig, n, 0, FEE);
        mem_fail_nth(n);
        bool taken = begin(&rig, &p);
        world_run_us(rig.world, 1000000);
        mem_fail_nth(0);
        turn_clock(&rig, 1); /* what found no room asks again */
        check_pool(&rig);
        ck_assert(mempool_is_idle(rig.pool));
        ck_assert_uint_eq(p.of_parent.calls + p.of_child.calls, taken ? 2 : 0);
        bool in = mempool_find(rig.pool, &p.parent->txid) != NULL;
        ck_assert_int_eq(in, mempool_find(rig.pool, &p.child->txid) != NULL);
        accepted += in;
        refused += !in;
        forget(&p);
    }
    ck_assert_uint_gt(refused, 8);
    ck_assert_uint_gt(accepted, 8);
    rig_clear(&rig);
}
END_TEST

/* Stopped with a parent parked: all memory comes home. */
START_TEST(ended_in_between)
{
    struct rig rig;
    rig_init(&rig, 81);
    struct pair p = make_pair(&rig, 0, 0, FEE);
    ck_assert(begin(&rig, &p));
    for (int k = 0; k < _i; k++)
        world_step(rig.world);
    forget(&p);
    rig_clear(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mempool_pair");
    TCase *tc = tcase_create("pair");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, feerates, 0, ROWS(fees));
    tcase_add_test(tc, deltas);
    tcase_add_test(tc, refusals);
    tcase_add_test(tc, dust);
    tcase_add_loop_test(tc, relatives_in_flight, 0, 8);
    tcase_add_loop_test(tc, tip_moves_meanwhile, 0, 8);
    tcase_add_test(tc, memory_fails);
    tcase_add_loop_test(tc, ended_in_between, 0, 16);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
