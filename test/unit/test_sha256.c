/* Proves SHA-256 against FIPS 180-4 and at every length and cut around its block size, and each
 * instruction set that this processor has against the plain code: streams, pairs and mining. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "coin/crypto/sha256.h"
#include "unit.h"

#define LONG_SIZE_B 1000000 /* FIPS 180: a million times "a" */
#define CUTS_MAX 300
#define PAIRS_MAX 100

static const char *const names[] = { "portable", "shani", "avx2", "avx512", NULL };
#define NAMES (int)(sizeof names / sizeof *names)

static void same(const uint8_t *got, const char *want)
{
    char text[65];
    hex_encode(text, got, 32);
    ck_assert_str_eq(text, want);
}

/* false: this processor has not that instruction set. */
static bool choose(const char *name)
{
    struct fail why = { 0 };
    bool ok = sha256_init(name, &why);
    if (!ok) {
        ck_assert_int_eq(why.kind, FAIL_LOCAL);
        ck_assert_msg(name != NULL && strcmp(why.code, "sha256-missing") == 0, "%s", why.detail);
        printf("SKIPPED: %s\n", why.detail);
    }
    return ok;
}

static uint8_t dice(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint8_t)(*state >> 56);
}

static const struct { const char *text, *once; } answers[] = {
    { "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
    { "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
    { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
};

START_TEST(known_answers)
{
    static uint8_t big[LONG_SIZE_B];
    uint8_t out[32];
    struct sha256 s;
    if (!choose(names[_i]))
        return;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        sha256(out, answers[i].text, strlen(answers[i].text));
        same(out, answers[i].once);
    }
    memset(big, 'a', sizeof big);
    sha256(out, big, sizeof big);
    same(out, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    sha256(out, NULL, 0);
    same(out, answers[0].once);
    sha256d(out, "abc", 3);
    same(out, "4f8b42c22dd3729b519ba6f68d2da7cc5b2d606d05daed5ad5128cc03e6c6358");
    sha256_begin(&s);
    sha256_add(&s, "abc", 3);
    sha256d_end(&s, out);
    same(out, "4f8b42c22dd3729b519ba6f68d2da7cc5b2d606d05daed5ad5128cc03e6c6358");
    sha256_tagged_begin(&s, "BIP0340/challenge");
    sha256_add(&s, "abc", 3);
    sha256_end(&s, out);
    same(out, "770a5b7e7c304bbcc3ea107343ff951dd404312ef418db0c3b94e2ebfbb50087");
}
END_TEST

static void pattern(uint8_t out[CUTS_MAX])
{
    for (size_t i = 0; i < CUTS_MAX; i++)
        out[i] = (uint8_t)(i * 7 + 3);
}

START_TEST(every_length) /* the digest of all digests of the first 0 to 299 bytes */
{
    uint8_t bytes[CUTS_MAX], out[32];
    struct sha256 all;
    if (!choose(names[_i]))
        return;
    pattern(bytes);
    sha256_begin(&all);
    for (size_t i = 0; i < CUTS_MAX; i++) {
        sha256(out, bytes, i);
        sha256_add(&all, out, sizeof out);
    }
    sha256_end(&all, out);
    same(out, "7b074096cabb18dd0d1b468a173cb2f97f80e952525bca29542e606fd6d0753a");
}
END_TEST

START_TEST(every_cut) /* a stream in any two or three pieces is the same stream */
{
    uint8_t bytes[CUTS_MAX], want[32], out[32];
    if (!choose(names[_i]))
        return;
    pattern(bytes);
    sha256(want, bytes, CUTS_MAX);
    for (size_t a = 0; a <= CUTS_MAX; a++) {
        for (size_t b = a; b <= CUTS_MAX; b += b == a ? 1 : 13) {
            struct sha256 s;
            sha256_begin(&s);
            sha256_add(&s, bytes, a);
            sha256_add(&s, bytes + a, b - a);
            sha256_add(&s, bytes + b, CUTS_MAX - b);
            sha256_end(&s, out);
            ck_assert_msg(memcmp(out, want, 32) == 0, "cut at %zu and %zu", a, b);
        }
    }
}
END_TEST

START_TEST(pairs_of_hashes)
{
    static uint8_t in[PAIRS_MAX * 64], out[PAIRS_MAX * 32 + 1], want[PAIRS_MAX * 32], place[PAIRS_MAX * 64];
    uint64_t state = 2;
    ck_assert(choose("portable"));
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = dice(&state);
    for (size_t i = 0; i < PAIRS_MAX; i++)
        sha256d(want + 32 * i, in + 64 * i, 64);
    if (!choose(names[_i]))
        return;
    for (size_t count = 0; count <= PAIRS_MAX; count++) {
        memset(out, 0x5a, sizeof out);
        sha256d_64(out, in, count);
        ck_assert_msg(memcmp(out, want, 32 * count) == 0, "%zu pairs", count);
        ck_assert_uint_eq(out[32 * count], 0x5a);
        memcpy(place, in, sizeof in);
        sha256d_64(place, place, count); /* in place, as merkle_root does it */
        ck_assert_msg(memcmp(place, want, 32 * count) == 0, "%zu pairs in place", count);
        ck_assert_msg(memcmp(place + 64 * count, in + 64 * count, sizeof in - 64 * count) == 0,
            "%zu pairs: bytes behind", count);
    }
}
END_TEST

/* ---- mining ---- */

static const char genesis[] = /* Bitcoin's first header: its nonce is 2083236893 */
    "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f"
    "617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c";
#define GENESIS_NONCE 2083236893u

static bool below(const uint8_t hash[32], const uint8_t target_le[32])
{
    for (int i = 31; i >= 0; i--) {
        if (hash[i] != target_le[i])
            return hash[i] < target_le[i];
    }
    return true;
}

/* What sha256d_grind promises, in the plainest words. */
static bool grind_plainly(uint32_t *nonce, const uint8_t header80[80], uint32_t first, uint32_t count,
    const uint8_t target_le[32])
{
    uint8_t header[80], hash[32];
    memcpy(header, header80, 80);
    for (uint32_t i = 0; i < count; i++) {
        put_u32le(header + 76, first + i);
        sha256d(hash, header, 80);
        if (below(hash, target_le)) {
            *nonce = first + i;
            return true;
        }
    }
    return false;
}

START_TEST(grinds_the_genesis)
{
    uint8_t header[80], target[32] = { 0 };
    uint32_t nonce = 0;
    if (!choose(names[_i]))
        return;
    ck_assert(hex_decode(header, 80, span_text(genesis)));
    target[26] = target[27] = 0xff; /* 00000000ffff0000... */
    static const struct { uint32_t first, count; bool found; } rows[] = {
        { GENESIS_NONCE, 1, true }, { GENESIS_NONCE - 1, 1, false }, { GENESIS_NONCE - 1, 2, true },
        { GENESIS_NONCE - 1000, 1000, false }, { GENESIS_NONCE - 1000, 1001, true },
        { GENESIS_NONCE - 77777, 100000, true }, { GENESIS_NONCE + 1, 50000, false },
        { GENESIS_NONCE, 0, false }, { GENESIS_NONCE - 5, UINT32_MAX, true },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        nonce = 0;
        ck_assert_msg(sha256d_grind(&nonce, header, rows[i].first, rows[i].count, target) == rows[i].found,
            "row %zu", i);
        ck_assert_uint_eq(nonce, rows[i].found ? GENESIS_NONCE : 0);
    }
    sha256d(target, header, 80); /* equal is enough, one less is not */
    ck_assert(sha256d_grind(&nonce, header, GENESIS_NONCE - 40, 80, target));
    ck_assert_uint_eq(nonce, GENESIS_NONCE);
    target[0]--;
    ck_assert(!sha256d_grind(&nonce, header, GENESIS_NONCE - 40, 80, target));
}
END_TEST

START_TEST(grinds_as_promised) /* random headers; targets from "any hash" to one in 65,536; all counts */
{
    uint64_t state = 3;
    for (uint32_t round = 0; round < 400; round++) {
        uint8_t header[80], target[32];
        for (size_t i = 0; i < 80; i++)
            header[i] = dice(&state);
        for (size_t i = 0; i < 32; i++)
            target[i] = round == 0 ? 0xff : dice(&state);
        if (round % 4 > 0)
            target[31] = round % 4 == 1 ? 3 : 0;
        if (round % 4 == 3)
            target[30] = 0;
        uint32_t first = round % 5 == 0 ? UINT32_MAX - 7 : get_u32le(header), count = round % 67;
        uint32_t nonce = 1, want = 1;
        ck_assert(choose("portable"));
        bool found = grind_plainly(&want, header, first, count, target);
        if (!choose(names[_i]))
            return;
        ck_assert_msg(sha256d_grind(&nonce, header, first, count, target) == found, "round %u", round);
        ck_assert_msg(nonce == want, "round %u: %u, not %u", round, nonce, want);
    }
}
END_TEST

START_TEST(bare_loops_agree) /* the yardstick hashes too: its sum is the same whatever the instructions */
{
    uint8_t header[80], hash[32];
    uint32_t want = 0;
    if (!choose(names[_i]))
        return;
    ck_assert(hex_decode(header, 80, span_text(genesis)));
    for (uint32_t i = 0; i < 96; i++) {
        put_u32le(header + 76, 4000000000u + i);
        sha256d(hash, header, 80);
        want += get_u32be(hash + 28);
    }
    ck_assert_uint_eq(sha256d_grind_bare(header, 4000000000u, 96), want);
}
END_TEST

START_TEST(names_tell)
{
    struct fail why = { 0 };
    for (int i = 0; i < NAMES - 1; i++) {
        if (choose(names[i]))
            ck_assert_str_eq(sha256_name(), names[i]);
    }
    ck_assert(choose(NULL));
    ck_assert_uint_gt(strlen(sha256_name()), 0);
    char before[64];
    snprintf(before, sizeof before, "%s", sha256_name());
    ck_assert(!sha256_init("abacus", &why));
    ck_assert_int_eq(why.kind, FAIL_LOCAL);
    ck_assert_str_eq(sha256_name(), before); /* a refusal changes nothing */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sha256");
    TCase *tc = tcase_create("sha256");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, known_answers, 0, NAMES);
    tcase_add_loop_test(tc, every_length, 0, NAMES);
    tcase_add_loop_test(tc, every_cut, 0, NAMES);
    tcase_add_loop_test(tc, pairs_of_hashes, 0, NAMES);
    tcase_add_loop_test(tc, grinds_the_genesis, 0, NAMES);
    tcase_add_loop_test(tc, grinds_as_promised, 0, NAMES);
    tcase_add_loop_test(tc, bare_loops_agree, 0, NAMES);
    tcase_add_test(tc, names_tell);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
