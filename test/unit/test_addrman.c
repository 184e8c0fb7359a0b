/* Proves that known addresses are kept in bounded tables, chosen quickly and without favour, and survive their
 * file; and that one source cannot fill them. */
#include <check.h>
#include <string.h>

#include "../../src/p2p/addrman.h"
#include "../sim/world.h"
#include "coin/crypto/hash.h"
#include "coin/crypto/sha256.h"
#include "unit.h"

#define NOW_S INT64_C(1700000000)

struct rig {
    struct world *world;
    const struct env *env;
    struct addrman *am;
};

static void rig_init(struct rig *rig)
{
    struct fail why;
    ck_assert(sha256_init(NULL, &why) && hash_init(&why));
    rig->world = world_new(1, NOW_S * 1000);
    rig->env = &world_add_node(rig->world)->env;
    rig->am = addrman_new(rig->env);
}

static void rig_clear(struct rig *rig)
{
    addrman_free(rig->am);
    world_free(rig->world);
}

static struct net_addr addr_of(uint32_t ip)
{
    struct net_addr a = {.network = NET_IPV4, .size_b = 4, .port = 18444};
    a.bytes[0] = (uint8_t)(ip >> 24), a.bytes[1] = (uint8_t)(ip >> 16), a.bytes[2] = (uint8_t)(ip >> 8),
    a.bytes[3] = (uint8_t)ip;
    return a;
}

static bool add(struct rig *rig, uint32_t ip, uint32_t source_ip)
{
    struct net_addr a = addr_of(ip), source = addr_of(source_ip);
    return addrman_add(rig->am, &a, 9, NOW_S, &source, 0);
}

START_TEST(none)
{
    struct rig rig;
    struct addrman_entry e;
    rig_init(&rig);
    ck_assert(!addrman_select(rig.am, &e, false, 0));
    ck_assert_uint_eq(addrman_count(rig.am, 0, true, true), 0);
    rig_clear(&rig);
}
END_TEST

START_TEST(all_are_chosen)
{
    struct rig rig;
    struct addrman_entry e;
    uint32_t seen[20] = {0};
    rig_init(&rig);
    for (uint32_t i = 0; i < 20; i++)
        ck_assert(add(&rig, (20 + i) << 24 | 0x010203, 0x08080808));
    ck_assert(!add(&rig, 20u << 24 | 0x010203, 0x08080808)); /* known */
    for (uint32_t i = 0; i < 4000; i++) {
        ck_assert(addrman_select(rig.am, &e, false, 0));
        seen[e.addr.bytes[0] - 20]++;
    }
    for (uint32_t i = 0; i < 20; i++)
        ck_assert_msg(seen[i] > 20, "address %u was chosen %u times", i, seen[i]);
    ck_assert(!addrman_select(rig.am, &e, false, NET_TORV3));
    rig_clear(&rig);
}
END_TEST

START_TEST(tried)
{
    struct rig rig;
    struct addrman_entry e;
    rig_init(&rig);
    for (uint32_t i = 0; i < 10; i++)
        add(&rig, (20 + i) << 24 | 0x010203, 0x08080808);
    struct net_addr good = addr_of(25u << 24 | 0x010203);
    ck_assert(addrman_good(rig.am, &good));
    ck_assert_uint_eq(addrman_count(rig.am, 0, false, true), 1);
    ck_assert_uint_eq(addrman_count(rig.am, 0, true, false), 9);
    uint32_t chosen = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        ck_assert(addrman_select(rig.am, &e, false, 0));
        chosen += net_addr_equal(&e.addr, &good);
        ck_assert(addrman_select(rig.am, &e, true, 0));
        ck_assert(!net_addr_equal(&e.addr, &good)); /* feelers look at new ones only */
    }
    ck_assert_uint_gt(chosen, 350); /* tried and new have even chances */
    ck_assert_uint_lt(chosen, 650);
    rig_clear(&rig);
}
END_TEST

START_TEST(one_source_is_bounded)
{
    struct rig rig;
    rig_init(&rig);
    for (uint32_t i = 0; i < 60000; i++)
        add(&rig, (11 + i % 200) << 24 | (i / 200) << 8 | 1, 0x08080808);
    uint32_t one = addrman_count(rig.am, 0, true, true);
    ck_assert_uint_le(one, 64 * 64); /* buckets that a source group reaches, times their places */
    for (uint32_t s = 0; s < 50; s++) {
        for (uint32_t i = 0; i < 1000; i++)
            add(&rig, (11 + i % 200) << 24 | (i / 200) << 16 | s << 8 | 2, (30 + s) << 24 | 1);
    }
    ck_assert_uint_gt(addrman_count(rig.am, 0, true, true), one);
    ck_assert_uint_le(addrman_count(rig.am, 0, true, true), 1024 * 64);
    struct addrman_entry e;
    for (uint32_t i = 0; i < 1000; i++)
        ck_assert(addrman_select(rig.am, &e, false, 0));
    rig_clear(&rig);
}
END_TEST

START_TEST(file)
{
    struct rig rig, other;
    struct buf bytes;
    struct fail why;
    rig_init(&rig);
    rig_init(&other);
    for (uint32_t i = 0; i < 300; i++)
        add(&rig, (11 + i % 200) << 24 | (i / 200) << 8 | 1, (100 + i % 50) << 24 | 5);
    for (uint32_t i = 0; i < 30; i++) {
        struct net_addr good = addr_of((11 + i) << 24 | 1);
        addrman_good(rig.am, &good);
    }
    buf_init(&bytes, 16u << 20);
    addrman_encode(rig.am, &bytes);
    ck_assert_msg(addrman_decode(other.am, buf_span(&bytes), &why), "%s", why.detail);
    ck_assert_uint_eq(addrman_count(other.am, 0, true, false), addrman_count(rig.am, 0, true, false));
    ck_assert_uint_eq(addrman_count(other.am, 0, false, true), addrman_count(rig.am, 0, false, true));
    struct addrman_entry e;
    ck_assert(addrman_select(other.am, &e, false, 0));
    for (size_t cut = 0; cut < bytes.size_b; cut += 101) {
        struct rig damaged;
        rig_init(&damaged);
        ck_assert(!addrman_decode(damaged.am, span_of(bytes.data, cut), &why));
        ck_assert_uint_eq(addrman_count(damaged.am, 0, true, true), 0);
        rig_clear(&damaged);
    }
    bytes.data[bytes.size_b / 2] ^= 1;
    struct rig flipped;
    rig_init(&flipped);
    ck_assert(!addrman_decode(flipped.am, buf_span(&bytes), &why));
    rig_clear(&flipped);
    buf_clear(&bytes);
    rig_clear(&rig);
    rig_clear(&other);
}
END_TEST

START_TEST(samples)
{
    struct rig rig;
    struct addrman_entry out[100];
    rig_init(&rig);
    for (uint32_t i = 0; i < 100; i++)
        add(&rig, (11 + i) << 24 | 1, (100 + i) << 24 | 5);
    uint32_t all = addrman_count(rig.am, 0, true, true);
    ck_assert_uint_eq(addrman_sample(rig.am, out, 100, 23, 0), all * 23 / 100);
    ck_assert_uint_eq(addrman_sample(rig.am, out, 5, 0, 0), 5);
    uint32_t count = addrman_sample(rig.am, out, 100, 0, 0);
    ck_assert_uint_eq(count, all);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < i; k++)
            ck_assert(!net_addr_equal(&out[i].addr, &out[k].addr));
    }
    rig_clear(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("addrman");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, none);
    tcase_add_test(tests, all_are_chosen);
    tcase_add_test(tests, tried);
    tcase_add_test(tests, one_source_is_bounded);
    tcase_add_test(tests, file);
    tcase_add_test(tests, samples);
    suite_add_tcase(suite, tests);
    return unit_run(suite);
}
