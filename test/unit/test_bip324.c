/* Proves the packet cipher: what one end seals the other opens, in any pieces and in place, over several changes
 * of keys; anything changed is noticed. BIP324's own packets: test/vectors/vec_bip324.c. */
#include <check.h>
#include <string.h>

#include "coin/crypto/bip324.h"
#include "coin/crypto/hash.h"
#include "unit.h"

static struct bip324_keys caller, called;

static void setup(void)
{
    static const uint8_t magic[4] = {1, 2, 3, 4}, secret[32] = {9};
    struct fail why;
    ck_assert(hash_init(&why));
    ck_assert(bip324_keys_init(&caller, secret, magic, true, &why));
    ck_assert(bip324_keys_init(&called, secret, magic, false, &why));
}

static void teardown(void)
{
    bip324_keys_clear(&caller);
    bip324_keys_clear(&called);
    ck_assert(caller.send.packet == NULL);
    bip324_keys_clear(&called); /* of zeroes */
}

START_TEST(both_sides_know)
{
    ck_assert(memcmp(caller.session_id, called.session_id, 32) == 0);
    ck_assert(memcmp(caller.send_terminator, called.receive_terminator, 16) == 0);
    ck_assert(memcmp(caller.receive_terminator, called.send_terminator, 16) == 0);
    ck_assert(memcmp(caller.send_terminator, caller.receive_terminator, 16) != 0);
}
END_TEST

START_TEST(there_and_back)
{
    uint8_t seen[16] = {0};
    for (uint32_t i = 0; i < 3 * BIP324_REKEY_PACKETS + 5; i++) {
        uint8_t plain[300], wire[300], length[3], tag[16];
        size_t size_b = i % sizeof plain;
        struct span extra = span_of(plain, i % 7);
        memset(plain, (int)i, sizeof plain);
        bip324_put_length(&caller.send, length, i * 24001 % BIP324_CONTENT_MAX_B);
        ck_assert_uint_eq(bip324_get_length(&called.receive, length), i * 24001 % BIP324_CONTENT_MAX_B);
        bip324_begin(&caller.send, extra);
        bip324_crypt(&caller.send, wire, plain, size_b);
        bip324_end_send(&caller.send, tag);
        ck_assert(memcmp(tag, seen, sizeof tag) != 0);
        memcpy(seen, tag, sizeof tag);
        bip324_begin(&called.receive, extra);
        for (size_t at = 0; at < size_b; at += 1 + i % 90) /* in place */
            bip324_crypt(&called.receive, wire + at, wire + at, size_b - at < 1 + i % 90 ? size_b - at : 1 + i % 90);
        ck_assert(bip324_end_receive(&called.receive, tag));
        ck_assert(memcmp(wire, plain, size_b) == 0);
    }
}
END_TEST

START_TEST(changes_are_noticed)
{
    for (int i = 0; i < 3; i++) {
        uint8_t wire[5] = {1, 2, 3}, tag[16], extra[2] = {0};
        bip324_begin(&caller.send, span_of(extra, sizeof extra));
        bip324_crypt(&caller.send, wire, wire, sizeof wire);
        bip324_end_send(&caller.send, tag);
        wire[4] ^= i == 0;
        tag[15] ^= i == 1;
        extra[0] ^= i == 2;
        bip324_begin(&called.receive, span_of(extra, sizeof extra));
        bip324_crypt(&called.receive, wire, wire, sizeof wire);
        ck_assert(!bip324_end_receive(&called.receive, tag));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bip324");
    TCase *tc = tcase_create("bip324");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, both_sides_know);
    tcase_add_test(tc, there_and_back);
    tcase_add_test(tc, changes_are_noticed);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
