/* Proves muhash.h: the hash of a set is Bitcoin's, whatever the order of adding and removing; numbers at and
 * beyond the modulus are reduced; what is stored comes back, and nothing that was never stored. The expected
 * hashes are of test/reference/muhash.py, which computes with Python's integers. */
#include <check.h>
#include <string.h>

#include "../sim/disk.h"
#include "coin/crypto/muhash.h"
#include "coin/crypto/sha256.h"
#include "unit.h"

#define HEX_SIZE_B 65
#define EMPTY "dd5ad2a105c2d29495f577245c357409002329b9f4d6182c0af3dc2f462555c8"
#define BELOW 1103717 /* p = 2^3072 - this */

/* The hash as people write it, reversed; or why there is none. */
static const char *end(const struct muhash *m)
{
    static char text[FAIL_CODE_SIZE_B];
    uint8_t hash[32], reversed[32];
    struct fail why;
    if (!muhash_end(m, hash, &why)) {
        memcpy(text, why.code, sizeof text);
        return text;
    }
    for (size_t i = 0; i < 32; i++)
        reversed[i] = hash[31 - i];
    hex_encode(text, reversed, sizeof reversed);
    return text;
}

static struct span small(uint8_t i) /* 32 bytes, the first is i */
{
    static uint8_t bytes[32];
    bytes[0] = i;
    return span_of(bytes, sizeof bytes);
}

START_TEST(known_sets)
{
    struct muhash m;
    muhash_init(&m);
    ck_assert_str_eq(end(&m), EMPTY);

    muhash_add(&m, small(0)); /* the reference node's own case */
    muhash_add(&m, small(1));
    muhash_remove(&m, small(2));
    ck_assert_str_eq(end(&m), "10d312b100cbd32ada024a6646e40d3482fcff103668d2625f10002a607d5863");

    muhash_init(&m);
    for (uint8_t i = 0; i < 100; i++)
        muhash_add(&m, small(i));
    ck_assert_str_eq(end(&m), "231d3cf2a30d98e052a8501da890bd7bf50d36f59d0dab30c11fa79e45222209");

    muhash_init(&m);
    muhash_remove(&m, small(7));
    ck_assert_str_eq(end(&m), "99d1f8879c6e9f01b84ae3d09efb42613d656bd7a80ba9ff297e4a3eafbb6bf7");
}
END_TEST

START_TEST(elements_of_every_length)
{
    struct muhash m;
    uint8_t bytes[300];
    muhash_init(&m);
    for (size_t size_b = 0; size_b < sizeof bytes; size_b++) {
        for (size_t j = 0; j < size_b; j++)
            bytes[j] = (uint8_t)(size_b * 7 + j);
        muhash_add(&m, span_of(bytes, size_b));
    }
    ck_assert_str_eq(end(&m), "d3a8e547d5364ce6b321defdca65f56f57275a3204f078014cb78d25e038b278");
}
END_TEST

/* Every order of four events, and every cut of them into two hashes that are combined, gives one answer. */
START_TEST(order_does_not_matter)
{
    static const struct { bool remove; uint8_t element; } events[4] = {{false, 3}, {true, 5}, {false, 4}, {true, 6}};
    const char *expected = "6d754a4a0bff7cfee2d86bb6ba3ec0153e60c725946ec920eb5b397cd43c2382";
    for (unsigned order = 0; order < 256; order++) {
        unsigned place[4] = {order & 3, order >> 2 & 3, order >> 4 & 3, order >> 6 & 3}, seen = 0;
        for (unsigned i = 0; i < 4; i++)
            seen |= 1u << place[i];
        if (seen != 15)
            continue;
        for (unsigned cut = 0; cut <= 4; cut++) {
            struct muhash halves[2];
            muhash_init(&halves[0]);
            muhash_init(&halves[1]);
            for (unsigned i = 0; i < 4; i++) {
                struct muhash *m = &halves[i >= cut];
                if (events[place[i]].remove)
                    muhash_remove(m, small(events[place[i]].element));
                else
                    muhash_add(m, small(events[place[i]].element));
            }
            muhash_combine(&halves[0], &halves[1]);
            ck_assert_str_eq(end(&halves[0]), expected);
        }
    }
}
END_TEST

/* A random walk over a set: after it, what is left hashes as if only that had been added. */
START_TEST(what_is_removed_is_gone)
{
    struct sim_random chance = {.state = 77};
    struct muhash walked, fresh;
    uint32_t held[40] = {0};
    muhash_init(&walked);
    muhash_init(&fresh);
    for (int i = 0; i < 2000; i++) {
        uint8_t which = (uint8_t)sim_random_below(&chance, 40);
        if (held[which] > 0 && sim_random_below(&chance, 2) == 0) {
            muhash_remove(&walked, small(which));
            held[which]--;
        } else {
            muhash_add(&walked, small(which));
            held[which]++;
        }
    }
    uint32_t left = 0;
    for (uint8_t i = 0; i < 40; i++) {
        for (uint32_t n = 0; n < held[i]; n++, left++)
            muhash_add(&fresh, small(i));
    }
    ck_assert_uint_gt(left, 0);
    char expected[HEX_SIZE_B];
    memcpy(expected, end(&fresh), sizeof expected);
    ck_assert_str_eq(end(&walked), expected);
    for (uint8_t i = 0; i < 40; i++) {
        for (uint32_t n = 0; n < held[i]; n++)
            muhash_remove(&walked, small(i));
    }
    ck_assert_str_eq(end(&walked), EMPTY);
}
END_TEST

static void set_top(uint8_t number[MUHASH_NUMBER_SIZE_B], uint32_t below) /* 2^3072 - below */
{
    memset(number, 0xff, MUHASH_NUMBER_SIZE_B);
    put_u32le(number, 0u - below);
}

/* Numbers that no stored hash has, but that an element may be: the products of each are reduced. */
START_TEST(numbers_beyond_the_modulus)
{
    struct muhash m, other;
    muhash_init(&m);
    muhash_init(&other);
    set_top(m.numerator, 1);
    set_top(other.numerator, 1);
    muhash_combine(&m, &other);
    ck_assert_str_eq(end(&m), "63d6ded6092e0a4bd5e3b9266f967b538725271abda636bf850ce50230302417");

    muhash_init(&m);
    set_top(m.denominator, 1);
    ck_assert_str_eq(end(&m), "9058cfce853f34ef7abf42100ced7491136b9112bd90d59f6df11ea882156188");
    set_top(m.numerator, 1);
    ck_assert_str_eq(end(&m), EMPTY);

    muhash_init(&m);
    set_top(m.numerator, BELOW - 1); /* p + 1, reduced by end alone */
    ck_assert_str_eq(end(&m), EMPTY);
    set_top(m.numerator, BELOW + 1); /* p - 1 stays */
    ck_assert_str_eq(end(&m), "ea0d20601bd891cfeacf4e9558064771f7cc5a03e9705350fe7c3d1329f3a8e5");
    muhash_combine(&m, &m); /* and is its own inverse */
    ck_assert_str_eq(end(&m), EMPTY);

    muhash_init(&m);
    set_top(m.numerator, 1);
    muhash_add(&m, small(0));
    ck_assert_str_eq(end(&m), "2425b7d949455220301d47f3d41ef8ba8a0e106e4312a36986ea488780bf030f");

    muhash_init(&m);
    memset(m.numerator, 0, sizeof m.numerator);
    m.numerator[1536 / 8] = 1; /* squared, it is 2^3072: the first number that folds */
    muhash_combine(&m, &m);
    ck_assert_uint_eq(get_u32le(m.numerator), BELOW);
    ck_assert_str_eq(end(&m), "45c7223a49e4243a07127205934616ec79ebf407385f1f82b4407b7812919fd2");

    muhash_init(&m);
    m.numerator[0] = 2;
    m.denominator[0] = 3;
    ck_assert_str_eq(end(&m), "c4b5c108a15e2e9f6b6c51faecb0789badcf28ad27b52c624c69fc88d8dcc6f1");
}
END_TEST

START_TEST(zero_has_no_inverse)
{
    struct muhash m;
    muhash_init(&m);
    m.denominator[0] = 0;
    ck_assert_str_eq(end(&m), "muhash-zero");
    set_top(m.denominator, BELOW); /* p itself */
    ck_assert_str_eq(end(&m), "muhash-zero");
    muhash_init(&m);
    set_top(m.numerator, BELOW);
    ck_assert_str_eq(end(&m), "cadfc510dce87e50e0b00398676d5330c3683a8f07717faf10461c1c72f5a4a1");
}
END_TEST

START_TEST(stored_and_read_back)
{
    struct muhash m, back;
    struct fail why;
    uint8_t bytes[MUHASH_SIZE_B + 1] = {0};
    muhash_init(&m);
    muhash_put(bytes, &m);
    ck_assert_uint_eq(bytes[0], 1);
    ck_assert_uint_eq(bytes[MUHASH_NUMBER_SIZE_B], 1);
    muhash_add(&m, small(3));
    muhash_add(&m, small(4));
    muhash_remove(&m, small(5));
    muhash_put(bytes, &m);
    ck_assert(muhash_get(&back, span_of(bytes, MUHASH_SIZE_B), &why));
    ck_assert_mem_eq(&back, &m, sizeof m);
    muhash_remove(&back, small(6)); /* it goes on as if nothing had been in between */
    ck_assert_str_eq(end(&back), "6d754a4a0bff7cfee2d86bb6ba3ec0153e60c725946ec920eb5b397cd43c2382");

    static const size_t sizes_b[] = {0, 1, MUHASH_NUMBER_SIZE_B, MUHASH_SIZE_B - 1, MUHASH_SIZE_B + 1};
    for (size_t i = 0; i < sizeof sizes_b / sizeof *sizes_b; i++) {
        ck_assert(!muhash_get(&back, span_of(bytes, sizes_b[i]), &why));
        ck_assert_str_eq(why.code, "muhash-decode");
    }
    for (size_t half = 0; half < 2; half++) {
        uint8_t bad[MUHASH_SIZE_B];
        memcpy(bad, bytes, sizeof bad);
        memset(bad + half * MUHASH_NUMBER_SIZE_B, 0, MUHASH_NUMBER_SIZE_B);
        ck_assert(!muhash_get(&back, span_of(bad, sizeof bad), &why));
        set_top(bad + half * MUHASH_NUMBER_SIZE_B, BELOW);
        ck_assert(!muhash_get(&back, span_of(bad, sizeof bad), &why));
        ck_assert_str_eq(why.code, "muhash-decode");
        ck_assert_int_eq(why.kind, FAIL_INVALID);
        set_top(bad + half * MUHASH_NUMBER_SIZE_B, BELOW + 1);
        ck_assert(muhash_get(&back, span_of(bad, sizeof bad), &why));
    }
}
END_TEST

int main(void)
{
    struct fail why;
    if (!sha256_init(NULL, &why))
        return EXIT_FAILURE;
    Suite *suite = suite_create("muhash");
    TCase *tc = tcase_create("muhash");
    tcase_add_test(tc, known_sets);
    tcase_add_test(tc, elements_of_every_length);
    tcase_add_test(tc, order_does_not_matter);
    tcase_add_test(tc, what_is_removed_is_gone);
    tcase_add_test(tc, numbers_beyond_the_modulus);
    tcase_add_test(tc, zero_has_no_inverse);
    tcase_add_test(tc, stored_and_read_back);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
