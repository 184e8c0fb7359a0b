/* Proves BIP32 against its published chains, that public and private derivation meet, that no hardened
 * child comes from a public key, and that text which is no key (BIP32's fifth test vector) is refused. */
#include <check.h>
#include <string.h>

#include "coin/crypto/base58.h"
#include "coin/crypto/hash.h"
#include "coin/crypto/hdkey.h"
#include "coin/crypto/secp.h"
#include "unit.h"

static const uint8_t xpub[4] = { 0x04, 0x88, 0xb2, 0x1e }, xprv[4] = { 0x04, 0x88, 0xad, 0xe4 };
static const uint8_t other[4] = { 0x04, 0x35, 0x87, 0xcf };

#define SEED_1 "000102030405060708090a0b0c0d0e0f"
#define MASTER_1                                                                                               \
    "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi"
#define MASTER_1_PUBLIC                                                                                        \
    "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8"

static void start(void)
{
    static const uint8_t blinding[32] = { 9 };
    struct fail why;
    ck_assert(hash_init(&why) && secp_init(blinding, &why));
}

static struct hdkey master(const char *seed_hex)
{
    struct hdkey key;
    struct fail why;
    uint8_t seed[64];
    size_t size_b = strlen(seed_hex) / 2;
    ck_assert(hex_decode(seed, size_b, span_text(seed_hex)));
    ck_assert_msg(hdkey_from_seed(&key, span_of(seed, size_b), &why), "%s", why.detail);
    return key;
}

static void text_is(const struct hdkey *key, const char *want)
{
    char text[HD_TEXT_SIZE_B];
    hdkey_to_text(text, key, key->is_private ? xprv : xpub);
    ck_assert_str_eq(text, want);
}

static const struct { uint32_t index; const char *private_text, *public_text; } chain_1[] = {
    { HD_HARDENED,
        "xprv9uHRZZhk6KAJC1avXpDAp4MDc3sQKNxDiPvvkX8Br5ngLNv1TxvUxt4cV1rGL5hj6KCesnDYUhd7oWgT11eZG7XnxHrnYeSvkzY7d2bhkJ7",
        "xpub68Gmy5EdvgibQVfPdqkBBCHxA5htiqg55crXYuXoQRKfDBFA1WEjWgP6LHhwBZeNK1VTsfTFUHCdrfp1bgwQ9xv5ski8PX9rL2dZXvgGDnw" },
    { 1,
        "xprv9wTYmMFdV23N2TdNG573QoEsfRrWKQgWeibmLntzniatZvR9BmLnvSxqu53Kw1UmYPxLgboyZQaXwTCg8MSY3H2EU4pWcQDnRnrVA1xe8fs",
        "xpub6ASuArnXKPbfEwhqN6e3mwBcDTgzisQN1wXN9BJcM47sSikHjJf3UFHKkNAWbWMiGj7Wf5uMash7SyYq527Hqck2AxYysAA7xmALppuCkwQ" },
    { HD_HARDENED + 2,
        "xprv9z4pot5VBttmtdRTWfWQmoH1taj2axGVzFqSb8C9xaxKymcFzXBDptWmT7FwuEzG3ryjH4ktypQSAewRiNMjANTtpgP4mLTj34bhnZX7UiM",
        "xpub6D4BDPcP2GT577Vvch3R8wDkScZWzQzMMUm3PWbmWvVJrZwQY4VUNgqFJPMM3No2dFDFGTsxxpG5uJh7n7epu4trkrX7x7DogT5Uv6fcLW5" },
    { 2,
        "xprvA2JDeKCSNNZky6uBCviVfJSKyQ1mDYahRjijr5idH2WwLsEd4Hsb2Tyh8RfQMuPh7f7RtyzTtdrbdqqsunu5Mm3wDvUAKRHSC34sJ7in334",
        "xpub6FHa3pjLCk84BayeJxFW2SP4XRrFd1JYnxeLeU8EqN3vDfZmbqBqaGJAyiLjTAwm6ZLRQUMv1ZACTj37sR62cfN7fe5JnJ7dh8zL4fiyLHV" },
};

START_TEST(first_chain) /* BIP32, test vector 1: m/0'/1/2'/2 */
{
    struct hdkey key = master(SEED_1), child, watched;
    struct fail why = { 0 };
    ck_assert_uint_eq(key.depth, 0);
    text_is(&key, MASTER_1);
    for (size_t i = 0; i < sizeof chain_1 / sizeof *chain_1; i++) {
        uint8_t print[4];
        ck_assert(hdkey_child(&child, &key, chain_1[i].index, &why));
        text_is(&child, chain_1[i].private_text);
        ck_assert_uint_eq(child.depth, i + 1);
        ck_assert_uint_eq(child.child, chain_1[i].index);
        hdkey_fingerprint(print, &key);
        ck_assert_mem_eq(child.parent_fingerprint, print, 4);
        struct hdkey public_parent = key, public_child = child;
        hdkey_to_public(&public_parent);
        hdkey_to_public(&public_child);
        text_is(&public_child, chain_1[i].public_text);
        if (chain_1[i].index < HD_HARDENED) { /* both ways lead to one key */
            ck_assert(hdkey_child(&watched, &public_parent, chain_1[i].index, &why));
            ck_assert(!watched.is_private);
            text_is(&watched, chain_1[i].public_text);
        } else {
            ck_assert(!hdkey_child(&watched, &public_parent, chain_1[i].index, &why));
            ck_assert_int_eq(why.kind, FAIL_INVALID);
        }
        key = child;
    }
}
END_TEST

START_TEST(leading_zeroes_stay) /* BIP32, test vectors 3 and 4 */
{
    static const struct { const char *seed, *master, *child; } rows[] = {
        { "4b381541583be4423346c643850da4b320e46a87ae3d2a4e6da11eba819cd4acba45d239319ac14f863b8d5ab5a0d0c6"
          "4d2e8a1e7d1457df2e5a3c51c73235be",
            "xprv9s21ZrQH143K25QhxbucbDDuQ4naNntJRi4KUfWT7xo4EKsHt2QJDu7KXp1A3u7Bi1j8ph3EGsZ9Xvz9dGuVrtHHs7pXeTzjuxBrCmmhgC6",
            "xprv9uPDJpEQgRQfDcW7BkF7eTya6RPxXeJCqCJGHuCJ4GiRVLzkTXBAJMu2qaMWPrS7AANYqdq6vcBcBUdJCVVFceUvJFjaPdGZ2y9WACViL4L" },
        { "3ddd5602285899a946114506157c7997e5444528f3003f6134712147db19b678",
            "xprv9s21ZrQH143K48vGoLGRPxgo2JNkJ3J3fqkirQC2zVdk5Dgd5w14S7fRDyHH4dWNHUgkvsvNDCkvAwcSHNAQwhwgNMgZhLtQC63zxwhQmRv",
            "xprv9vB7xEWwNp9kh1wQRfCCQMnZUEG21LpbR9NPCNN1dwhiZkjjeGRnaALmPXCX7SgjFTiCTT6bXes17boXtjq3xLpcDjzEuGLQBM5ohqkao9G" },
    };
    for (size_t i = 0; i < 2; i++) {
        struct hdkey key = master(rows[i].seed), child;
        struct fail why;
        text_is(&key, rows[i].master);
        ck_assert(hdkey_child(&child, &key, HD_HARDENED, &why));
        text_is(&child, rows[i].child);
    }
}
END_TEST

START_TEST(text_and_back)
{
    static const char *const texts[] = { MASTER_1, MASTER_1_PUBLIC };
    for (size_t i = 0; i < 4; i++) {
        const char *text = i < 2 ? texts[i] : i == 2 ? chain_1[3].private_text : chain_1[3].public_text;
        struct hdkey key;
        struct fail why = { 0 };
        ck_assert_msg(hdkey_from_text(&key, span_text(text), xpub, xprv, &why), "%s", why.detail);
        ck_assert_int_eq(key.is_private, i % 2 == 0);
        text_is(&key, text);
        ck_assert(!hdkey_from_text(&key, span_text(text), other, other, &why)); /* another chain's */
        ck_assert_int_eq(why.kind, FAIL_INVALID);
    }
}
END_TEST

START_TEST(no_secret_is_left)
{
    struct hdkey key = master(SEED_1);
    static const uint8_t zero[32];
    struct fail why;
    hdkey_to_public(&key);
    ck_assert(!key.is_private);
    ck_assert_mem_eq(key.key, zero, 32);
    text_is(&key, MASTER_1_PUBLIC);
    ck_assert(!hdkey_from_text(&key, span_of(MASTER_1, sizeof MASTER_1 - 2), xpub, xprv, &why));
    ck_assert_mem_eq(key.key, zero, 32);
    ck_assert_mem_eq(key.chain_code, zero, 32);
}
END_TEST

/* One field of a good key made wrong, checksum right. at: offset in the 78 bytes. */
static const struct { const char *name, *text; size_t at; const char *bytes; } broken[] = {
    { "version of nobody", MASTER_1, 0, "00000000" },
    { "public version, private bytes", MASTER_1, 0, "0488b21e" },
    { "private version, public bytes", MASTER_1_PUBLIC, 0, "0488ade4" },
    { "master with a parent", MASTER_1, 5, "00000001" }, { "master with an index", MASTER_1, 9, "00000001" },
    { "public master with a parent", MASTER_1_PUBLIC, 5, "01000000" },
    { "public master with an index", MASTER_1_PUBLIC, 9, "80000000" },
    { "no zero before the private key", MASTER_1, 45, "04" }, { "one before the private key", MASTER_1, 45, "01" },
    { "private key 0", MASTER_1, 46, "0000000000000000000000000000000000000000000000000000000000000000" },
    { "private key n", MASTER_1, 46, "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141" },
    { "public key prefix 4", MASTER_1_PUBLIC, 45, "04" }, { "public key prefix 1", MASTER_1_PUBLIC, 45, "01" },
    { "public key off the curve", MASTER_1_PUBLIC, 45,
        "020000000000000000000000000000000000000000000000000000000000000005" },
};

START_TEST(broken_text)
{
    struct buf bytes, text;
    struct hdkey key;
    struct fail why = { 0 };
    uint8_t patch[40];
    size_t size_b = strlen(broken[_i].bytes) / 2;
    buf_init(&bytes, 100);
    buf_init(&text, HD_TEXT_SIZE_B);
    ck_assert(base58check_decode(&bytes, span_text(broken[_i].text)));
    ck_assert_uint_eq(bytes.size_b, 78);
    ck_assert(hex_decode(patch, size_b, span_text(broken[_i].bytes)));
    memcpy(bytes.data + broken[_i].at, patch, size_b);
    ck_assert(base58check_encode(&text, buf_span(&bytes)));
    ck_assert_msg(!hdkey_from_text(&key, buf_span(&text), xpub, xprv, &why), "%s", broken[_i].name);
    ck_assert_int_eq(why.kind, FAIL_INVALID);
    buf_clear(&bytes);
    buf_clear(&text);
}
END_TEST

START_TEST(wrong_sizes)
{
    for (size_t size_b = 0; size_b < 100; size_b++) {
        uint8_t raw[100] = { 0x04, 0x88, 0xb2, 0x1e };
        struct buf text;
        struct hdkey key;
        struct fail why;
        raw[45] = 2;
        raw[77] = 1; /* x = 1 is on the curve: with 78 bytes this is a key */
        buf_init(&text, 200);
        ck_assert(base58check_encode(&text, span_of(raw, size_b)));
        ck_assert_int_eq(hdkey_from_text(&key, buf_span(&text), xpub, xprv, &why), size_b == 78);
        buf_clear(&text);
    }
}
END_TEST

START_TEST(depth_ends)
{
    struct hdkey key = master(SEED_1), next;
    struct fail why = { 0 };
    for (int i = 0; i < 255; i++) {
        ck_assert(hdkey_child(&next, &key, 0, &why));
        key = next;
    }
    ck_assert_uint_eq(key.depth, 255);
    ck_assert(!hdkey_child(&next, &key, 0, &why));
    ck_assert_int_eq(why.kind, FAIL_INVALID);
    ck_assert_mem_eq(&next, &key, sizeof key); /* untouched */
    char text[HD_TEXT_SIZE_B];
    struct hdkey back;
    hdkey_to_text(text, &key, xprv);
    ck_assert(hdkey_from_text(&back, span_text(text), xpub, xprv, &why));
    ck_assert_uint_eq(back.depth, 255);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hdkey");
    TCase *tc = tcase_create("hdkey");
    tcase_add_checked_fixture(tc, start, NULL);
    tcase_add_test(tc, first_chain);
    tcase_add_test(tc, leading_zeroes_stay);
    tcase_add_test(tc, text_and_back);
    tcase_add_test(tc, no_secret_is_left);
    tcase_add_loop_test(tc, broken_text, 0, (int)(sizeof broken / sizeof *broken));
    tcase_add_test(tc, wrong_sizes);
    tcase_add_test(tc, depth_ends);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
