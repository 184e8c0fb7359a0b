/* Proves orphans.h: children are found by their parent, once each; a peer's share is bounded by count and by
 * weight and its oldest goes first; a flood from one drowns itself, not others; age, blocks and leaving peers take
 * away what they should and nothing else. */
#include <check.h>
#include <string.h>

#include "../../src/p2p/orphans.h"
#include "../sim/maker.h"
#include "unit.h"

static struct orphans o;

static void setup(void)
{
    static const uint64_t seed[2] = { 3, 4 };
    orphans_init(&o, seed);
}

static void teardown(void)
{
    orphans_clear(&o);
}

/* Spends `inputs` outputs of the parent with this number. */
static struct tx *child_of(uint32_t parent, uint32_t inputs, uint32_t outputs)
{
    struct outpoint from[4];
    for (uint32_t i = 0; i < inputs; i++) {
        memset(&from[i], 0, sizeof from[i]);
        memcpy(from[i].txid.b, &parent, sizeof parent);
        from[i].index = i;
    }
    return maker_spend(from, inputs, 1000000, outputs);
}

static bool add(struct tx *tx, int64_t peer, int64_t now_us)
{
    bool added = orphans_add(&o, tx, peer, now_us);
    tx_unref(tx);
    return added;
}

START_TEST(children_are_found)
{
    uint32_t found[8];
    struct tx *twice = child_of(7, 3, 1);
    ck_assert(orphans_add(&o, twice, 1, 0));
    ck_assert(!orphans_add(&o, twice, 2, 0)); /* known */
    ck_assert(orphans_has(&o, &twice->wtxid));
    ck_assert(add(child_of(7, 1, 2), 1, 0));
    ck_assert(add(child_of(8, 1, 1), 2, 0));
    struct txid parent = { { 7 } }, other = { { 9 } };
    ck_assert_uint_eq(orphans_children(&o, &parent, found, 8), 2); /* three links, two children */
    ck_assert_uint_eq(orphans_children(&o, &parent, found, 1), 1);
    ck_assert_uint_eq(orphans_children(&o, &other, found, 8), 0);
    orphans_remove_wtxid(&o, &twice->wtxid);
    ck_assert(!orphans_has(&o, &twice->wtxid));
    ck_assert_uint_eq(orphans_children(&o, &parent, found, 8), 1);
    orphans_remove(&o, found[0]);
    ck_assert_uint_eq(orphans_children(&o, &parent, found, 8), 0);
    ck_assert_uint_eq(o.count, 1);
    tx_unref(twice);
}
END_TEST

START_TEST(shares_by_count)
{
    struct tx *first = child_of(1, 1, 1), *second = child_of(2, 1, 1);
    ck_assert(orphans_add(&o, first, 5, 0) && orphans_add(&o, second, 5, 0));
    ck_assert(add(child_of(5000, 1, 1), 6, 0));
    for (uint32_t i = 2; i < ORPHANS_PER_PEER_MAX; i++)
        ck_assert(add(child_of(i + 1, 1, 1), 5, 0));
    ck_assert_uint_eq(o.count, ORPHANS_PER_PEER_MAX + 1);
    ck_assert(add(child_of(4000, 1, 1), 5, 0)); /* one more: its own oldest goes */
    ck_assert_uint_eq(o.count, ORPHANS_PER_PEER_MAX + 1);
    ck_assert(!orphans_has(&o, &first->wtxid) && orphans_has(&o, &second->wtxid));
    orphans_forget_peer(&o, 5);
    ck_assert_uint_eq(o.count, 1);
    tx_unref(first);
    tx_unref(second);
}
END_TEST

START_TEST(shares_by_weight)
{
    struct tx *large = child_of(1, 1, 3000), *next = child_of(2, 1, 3000), *too_large = child_of(3, 1, 12000);
    ck_assert_uint_gt(tx_weight_wu(too_large), ORPHAN_WEIGHT_PER_PEER_WU);
    ck_assert(!orphans_add(&o, too_large, 1, 0));
    uint32_t fit = ORPHAN_WEIGHT_PER_PEER_WU / tx_weight_wu(large);
    ck_assert(orphans_add(&o, large, 1, 0) && orphans_add(&o, next, 1, 0));
    for (uint32_t i = 2; i < fit; i++)
        ck_assert(add(child_of(i + 10, 1, 3000), 1, 0));
    ck_assert_uint_eq(o.count, fit);
    ck_assert(add(child_of(99, 1, 3000), 1, 0));
    ck_assert_uint_eq(o.count, fit);
    ck_assert(!orphans_has(&o, &large->wtxid) && orphans_has(&o, &next->wtxid));
    tx_unref(large);
    tx_unref(next);
    tx_unref(too_large);
}
END_TEST

/* Full: who holds the most gives way, whoever comes. */
START_TEST(a_flood_drowns_itself)
{
    struct tx *small = child_of(77777, 1, 1);
    ck_assert(orphans_add(&o, small, 1000, 0)); /* the oldest of all, from a modest peer */
    for (uint32_t i = 1; i < ORPHANS_MAX; i++)
        ck_assert(add(child_of(i, 1, 2), (int64_t)(i / (ORPHANS_PER_PEER_MAX - 1)), 0));
    ck_assert_uint_eq(o.count, ORPHANS_MAX);
    for (uint32_t i = 0; i < 50; i++)
        ck_assert(add(child_of(20000 + i, 1, 1), 2000 + (int64_t)i, 0));
    ck_assert_uint_eq(o.count, ORPHANS_MAX);
    ck_assert(orphans_has(&o, &small->wtxid));
    tx_unref(small);
}
END_TEST

START_TEST(age)
{
    ck_assert(add(child_of(1, 1, 1), 1, 0));
    ck_assert(add(child_of(2, 1, 1), 1, 1000));
    orphans_expire(&o, ORPHAN_AGE_MAX_US);
    ck_assert_uint_eq(o.count, 2);
    orphans_expire(&o, ORPHAN_AGE_MAX_US + 1);
    ck_assert_uint_eq(o.count, 1);
    orphans_expire(&o, ORPHAN_AGE_MAX_US + 1001);
    ck_assert_uint_eq(o.count, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("orphans");
    TCase *tc = tcase_create("orphans");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, children_are_found);
    tcase_add_test(tc, shares_by_count);
    tcase_add_test(tc, shares_by_weight);
    tcase_add_test(tc, a_flood_drowns_itself);
    tcase_add_test(tc, age);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
