/* Proves that recovery words come back as the entropy they stand for, and that a slip of the pen is named. */
#include <check.h>
#include <string.h>

#include "coin/crypto/hash.h"
#include "coin/crypto/sha256.h"
#include "coin/wallet/bip39.h"
#include "unit.h"

#define ABANDON11 "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon"

static void setup(void)
{
    struct fail why;
    ck_assert(sha256_init(NULL, &why) && hash_init(&why));
}

START_TEST(there_and_back)
{
    static const uint32_t counts[] = {12, 15, 18, 21, 24};
    for (uint32_t c = 0; c < 5; c++) {
        size_t size_b = 16 + 4 * c, got_b;
        for (uint32_t n = 0; n < 50; n++) {
            uint8_t entropy[BIP39_ENTROPY_MAX_B], back[BIP39_ENTROPY_MAX_B];
            char words[BIP39_TEXT_SIZE_B];
            struct fail why;
            uint32_t blanks = 0;
            for (size_t i = 0; i < size_b; i++)
                entropy[i] = (uint8_t)(n * 37 + i * 101 + n * i);
            ck_assert(bip39_words_from_entropy(words, span_of(entropy, size_b)));
            for (const char *at = words; *at != 0; at++)
                blanks += *at == ' ';
            ck_assert_uint_eq(blanks + 1, counts[c]);
            ck_assert_msg(bip39_entropy_from_words(back, &got_b, span_text(words), &why), "%s", why.detail);
            ck_assert_uint_eq(got_b, size_b);
            ck_assert_mem_eq(back, entropy, size_b);
        }
    }
}
END_TEST

START_TEST(known_seed)
{
    static const char expected[] = "c55257c360c07c72029aebc1b53c05ed0362ada38ead3e3e9efa3708e5349553"
                                   "1f09a6987599d18264c1e1c92f2cf141630c7a3c4ab7c81b2f001698e7463b04";
    uint8_t seed[BIP39_SEED_SIZE_B], other[BIP39_SEED_SIZE_B];
    char hex[2 * BIP39_SEED_SIZE_B + 1];
    struct fail why;
    ck_assert(bip39_seed(seed, span_text(ABANDON11 " about"), span_text("TREZOR"), &why));
    hex_encode(hex, seed, sizeof seed);
    ck_assert_str_eq(hex, expected);
    ck_assert(bip39_seed(other, span_text(ABANDON11 " about"), span_text(""), &why));
    ck_assert_mem_ne(seed, other, sizeof seed);
}
END_TEST

START_TEST(blanks_do_not_matter)
{
    uint8_t entropy[BIP39_ENTROPY_MAX_B];
    size_t size_b;
    struct fail why;
    ck_assert(bip39_entropy_from_words(entropy, &size_b, span_text("  " ABANDON11 "\n\tabout "), &why));
    ck_assert_uint_eq(size_b, 16);
}
END_TEST

static const struct { const char *words, *said; } refused[] = {
    {"", "words"},
    {"abandon", "words"},
    {ABANDON11, "words"},
    {ABANDON11 " abandon", "checksum"},
    {ABANDON11 " abuot", "abuot"},
    {ABANDON11 " About", "About"},
    {ABANDON11 " about about", "words"},
};

START_TEST(refusals)
{
    uint8_t entropy[BIP39_ENTROPY_MAX_B];
    size_t size_b;
    struct fail why;
    ck_assert_msg(!bip39_entropy_from_words(entropy, &size_b, span_text(refused[_i].words), &why), "%s", refused[_i].words);
    ck_assert_int_eq(why.kind, FAIL_REQUEST);
    ck_assert_msg(strstr(why.detail, refused[_i].said) != NULL, "%s", why.detail);
}
END_TEST

START_TEST(odd_entropy)
{
    uint8_t entropy[40] = {0};
    char words[BIP39_TEXT_SIZE_B];
    static const size_t sizes[] = {0, 4, 12, 15, 17, 33, 36, 40};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        ck_assert(!bip39_words_from_entropy(words, span_of(entropy, sizes[i])));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bip39");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, there_and_back);
    tcase_add_test(tests, known_seed);
    tcase_add_test(tests, blanks_do_not_matter);
    tcase_add_loop_test(tests, refusals, 0, (int)(sizeof refused / sizeof *refused));
    tcase_add_test(tests, odd_entropy);
    suite_add_tcase(suite, tests);
    return unit_run(suite);
}
