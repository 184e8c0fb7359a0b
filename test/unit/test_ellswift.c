/* Proves ElligatorSwift: every encoding that is made decodes to its key, looks different each time, and two
 * ends come to one secret; any 64 bytes are a key. BIP324's own numbers: test/vectors/vec_bip324.c. */
#include <check.h>
#include <string.h>

#include "../sim/world.h"
#include "coin/crypto/ellswift.h"
#include "coin/crypto/secp.h"
#include "unit.h"

static struct world *world;
static const struct env *env;

static void setup(void)
{
    static const uint8_t blinding[32] = {1};
    struct fail why;
    ck_assert(secp_init(blinding, &why));
    world = world_new(5, 0);
    env = &world_add_node(world)->env;
}

static void teardown(void)
{
    world_free(world);
}

START_TEST(encodings_decode)
{
    uint8_t seen[50][ELLSWIFT_SIZE_B], key[32], pubkey[33], x[32];
    env_random(env, key, sizeof key);
    ck_assert(secp_pubkey_create(pubkey, key));
    for (unsigned i = 0; i < 50; i++) {
        ck_assert(ellswift_create(seen[i], key, env) && ellswift_decode(x, seen[i]));
        ck_assert(memcmp(x, pubkey + 1, sizeof x) == 0);
        for (unsigned k = 0; k < i; k++)
            ck_assert(memcmp(seen[i], seen[k], sizeof seen[i]) != 0);
    }
}
END_TEST

START_TEST(one_secret)
{
    for (unsigned i = 0; i < 10; i++) {
        uint8_t a[32], b[32], of_a[64], of_b[64], one[32], other[32];
        env_random(env, a, sizeof a);
        env_random(env, b, sizeof b);
        ck_assert(ellswift_create(of_a, a, env) && ellswift_create(of_b, b, env));
        ck_assert(ellswift_secret(one, a, of_a, of_b, true) && ellswift_secret(other, b, of_b, of_a, false));
        ck_assert(memcmp(one, other, sizeof one) == 0);
        ck_assert(ellswift_secret(other, b, of_b, of_a, true)); /* who began counts */
        ck_assert(memcmp(one, other, sizeof one) != 0);
        of_b[40] ^= 1;
        ck_assert(ellswift_secret(other, a, of_a, of_b, true));
        ck_assert(memcmp(one, other, sizeof one) != 0);
    }
}
END_TEST

START_TEST(any_bytes_are_a_key)
{
    uint8_t bytes[ELLSWIFT_SIZE_B], point[33] = {2};
    for (unsigned i = 0; i < 200; i++) {
        env_random(env, bytes, sizeof bytes);
        if (i < 8) { /* zeroes and numbers beyond the field in either half */
            memset(bytes, i & 1 ? 0 : 0xff, 32);
            memset(bytes + 32, i & 2 ? 0 : i & 4 ? 0xff : 1, 32);
        }
        ck_assert(ellswift_decode(point + 1, bytes));
        ck_assert(secp_pubkey_is_valid(span_of(point, sizeof point)));
    }
}
END_TEST

START_TEST(no_key_no_encoding)
{
    uint8_t zero[32] = {0}, out[ELLSWIFT_SIZE_B];
    ck_assert(!ellswift_create(out, zero, env));
    ck_assert(!ellswift_secret(out, zero, out, out, true));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ellswift");
    TCase *tc = tcase_create("ellswift");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, encodings_decode);
    tcase_add_test(tc, one_secret);
    tcase_add_test(tc, any_bytes_are_a_key);
    tcase_add_test(tc, no_key_no_encoding);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
