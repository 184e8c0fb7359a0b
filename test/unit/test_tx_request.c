/* Proves tx_request.h: one peer at a time is asked for a transaction, the next one as soon as it fails, is too late or
 * leaves, preferred ones first; shares are bounded; and under random events nothing is asked twice at once,
 * nothing wanted is forgotten. */
#include <check.h>
#include <string.h>

#include "../../src/p2p/tx_request.h"
#include "../sim/disk.h"
#include "coin/base/mem.h"
#include "unit.h"

static struct tx_requests r;

static void setup(void)
{
    static const uint64_t seed[2] = { 5, 6 };
    tx_requests_init(&r, seed);
}

static void teardown(void)
{
    tx_requests_clear(&r);
}

static struct tx_key key_of(uint32_t n)
{
    struct tx_key key = { .is_wtxid = 1 };
    memcpy(key.hash, &n, sizeof n);
    return key;
}

static uint32_t due(int64_t peer, int64_t now_us)
{
    struct tx_key out[10];
    return tx_requests_due(&r, peer, now_us, out, 10);
}

START_TEST(one_at_a_time)
{
    struct tx_key key = key_of(1), other_kind = key_of(1);
    other_kind.is_wtxid = 0;
    ck_assert(tx_requests_announce(&r, 1, &key, true, 100));
    ck_assert(!tx_requests_announce(&r, 1, &key, true, 100)); /* known from this peer */
    ck_assert(tx_requests_announce(&r, 2, &key, true, 100));
    ck_assert(tx_requests_announce(&r, 3, &key, false, 100));
    ck_assert(tx_requests_announce(&r, 4, &other_kind, false, 100)); /* a txid is another hash */
    ck_assert_uint_eq(due(1, 99), 0); /* not yet */
    ck_assert_uint_eq(due(1, 100), 1);
    ck_assert(tx_requests_was_asked(&r, 1, &key));
    ck_assert_uint_eq(due(3, 100), 0);
    ck_assert_uint_eq(due(2, 100), 0);
    ck_assert_uint_eq(due(4, 100), 1);
    tx_requests_failed(&r, 1, &key); /* notfound: a preferred one is next, though another was parked first */
    ck_assert_uint_eq(due(3, 101), 0);
    ck_assert_uint_eq(due(2, 101), 1);
    ck_assert_uint_eq(tx_requests_in_flight(&r, 2), 1);
    ck_assert_uint_eq(due(2, 101 + TX_REQUEST_MAX_US - 1), 0);
    ck_assert_uint_eq(due(3, 101 + TX_REQUEST_MAX_US - 1), 0);
    ck_assert_uint_eq(due(2, 101 + TX_REQUEST_MAX_US), 0); /* too late: it had its turn */
    ck_assert_uint_eq(tx_requests_in_flight(&r, 2), 0);
    ck_assert_uint_eq(due(3, 101 + TX_REQUEST_MAX_US), 1);
    tx_requests_forget_peer(&r, 3);
    ck_assert(!tx_requests_was_asked(&r, 3, &key));
    ck_assert(tx_requests_announce(&r, 5, &key, false, 0));
    ck_assert_uint_eq(due(5, 200), 1);
    tx_requests_forget(&r, &key); /* it has come */
    ck_assert_uint_eq(tx_requests_of_peer(&r, 5), 0);
    ck_assert_uint_eq(tx_requests_in_flight(&r, 5), 0);
}
END_TEST

START_TEST(shares_are_bounded)
{
    for (uint32_t i = 0; i < TX_ANNOUNCE_MAX; i++) {
        struct tx_key key = key_of(i);
        ck_assert(tx_requests_announce(&r, 1, &key, true, 0));
    }
    struct tx_key more = key_of(TX_ANNOUNCE_MAX);
    ck_assert(!tx_requests_announce(&r, 1, &more, true, 0));
    ck_assert(tx_requests_announce(&r, 2, &more, true, 0)); /* another's share is its own */
    ck_assert_uint_eq(tx_requests_of_peer(&r, 1), TX_ANNOUNCE_MAX);
    tx_requests_forget_peer(&r, 1);
    ck_assert_uint_eq(r.count, 1);
}
END_TEST

START_TEST(all_together_are_bounded)
{
    uint32_t accepted = 0;
    for (uint32_t peer = 0; peer <= TX_ANNOUNCES_MAX / TX_ANNOUNCE_MAX + 1; peer++) {
        for (uint32_t i = 0; i < TX_ANNOUNCE_MAX; i++) {
            struct tx_key key = key_of(i);
            accepted += tx_requests_announce(&r, peer, &key, false, 0);
        }
    }
    ck_assert_uint_le(accepted, TX_ANNOUNCES_MAX);
    ck_assert_uint_ge(accepted, TX_ANNOUNCES_MAX - 1);
}
END_TEST

/* Random announcements, answers, failures, departures and time. Per hash at most one is asked; and a hash that
 * still has an announcer who is there is asked of somebody in the end. */
#define PEERS 6
#define KEYS 12
START_TEST(random_events)
{
    struct sim_random chance = { .state = 99 };
    bool announced[PEERS][KEYS] = { { false } };
    int64_t now_us = 0;
    for (int event = 0; event < 20000; event++) {
        uint32_t peer = (uint32_t)sim_random_below(&chance, PEERS), k = (uint32_t)sim_random_below(&chance, KEYS);
        struct tx_key key = key_of(k), out[KEYS];
        uint32_t count;
        switch (sim_random_below(&chance, 12)) {
        case 0: /* it came */
            tx_requests_forget(&r, &key);
            for (uint32_t p = 0; p < PEERS; p++)
                announced[p][k] = false;
            break;
        case 1:
            tx_requests_failed(&r, peer, &key);
            announced[peer][k] = false;
            break;
        case 2:
            tx_requests_forget_peer(&r, peer);
            memset(announced[peer], 0, sizeof announced[peer]);
            break;
        case 3:
            now_us += TX_REQUEST_MAX_US / 3;
            break;
        case 4: case 5: case 6: case 7:
            ck_assert_int_eq(tx_requests_announce(&r, peer, &key, peer % 2 == 0,
                now_us + (int64_t)sim_random_below(&chance, 2000000)), !announced[peer][k]);
            announced[peer][k] = true;
            break;
        default:
            now_us += 100000;
            count = tx_requests_due(&r, peer, now_us, out, KEYS);
            for (uint32_t i = 0; i < count; i++)
                ck_assert(tx_requests_was_asked(&r, peer, &out[i]));
            for (uint32_t i = 0; i < KEYS; i++) /* those that were too late have left */
                announced[peer][i] = announced[peer][i] && (tx_requests_of_peer(&r, peer) > 0);
            break;
        }
        for (uint32_t i = 0; i < KEYS; i++) {
            uint32_t asked = 0;
            struct tx_key each = key_of(i);
            for (uint32_t p = 0; p < PEERS; p++)
                asked += tx_requests_was_asked(&r, p, &each);
            ck_assert_msg(asked <= 1, "event %d: hash %u is asked of %u", event, i, asked);
        }
        /* What has left by being late is known to the table alone: ask it by announcing again at leisure. */
        for (uint32_t p = 0; p < PEERS; p++) {
            uint32_t held = 0;
            for (uint32_t i = 0; i < KEYS; i++)
                held += announced[p][i];
            if (held == tx_requests_of_peer(&r, p))
                continue;
            tx_requests_forget_peer(&r, p);
            memset(announced[p], 0, sizeof announced[p]);
        }
    }
    /* In the end everyone left is asked, one after the other, and nothing stays. */
    for (int round = 0; round < PEERS * 4; round++) {
        struct tx_key out[KEYS];
        now_us += TX_REQUEST_MAX_US + 2000000;
        for (uint32_t p = 0; p < PEERS; p++)
            tx_requests_due(&r, p, now_us, out, KEYS);
    }
    ck_assert_uint_eq(r.count, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tx_request");
    TCase *tc = tcase_create("tx_request");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, one_at_a_time);
    tcase_add_test(tc, shares_are_bounded);
    tcase_add_test(tc, all_together_are_bounded);
    tcase_add_test(tc, random_events);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
