/* Proves the other hashes, MACs, key stretching and the sealed box against published answers, that an
 * altered box never opens, and the merkle root with its mark of CVE-2012-2459. */
#include <check.h>
#include <string.h>

#include "coin/crypto/hash.h"
#include "coin/crypto/sha256.h"
#include "unit.h"

#define LONG_SIZE_B 1000000 /* FIPS 180: a million times "a" */

static void same(const uint8_t *got, size_t size_b, const char *want)
{
    char text[2 * 64 + 1];
    hex_encode(text, got, size_b);
    ck_assert_str_eq(text, want);
}

static struct span hex(uint8_t *room, const char *text)
{
    size_t size_b = strlen(text) / 2;
    ck_assert(hex_decode(room, size_b, span_text(text)));
    return span_of(room, size_b);
}

static void start(void)
{
    struct fail why;
    ck_assert_msg(hash_init(&why), "%s", why.detail);
    ck_assert(hash_init(&why)); /* again is fine */
}

static const struct { const char *text, *ripemd160, *sha1, *sha512; } digests[] = {
    { "", "9c1185a5c5e9fc54612808977ee8f548b2258d31", "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
        "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e" },
    { "abc", "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc", "a9993e364706816aba3e25717850c26c9cd0d89d",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" },
    { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "12a053384a9c0c88e405a06c27dcf49ada62eb2b", "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
        "204a8fc6dda82f0a0ced7beb8e08a41657c16ef468b228a8279be331a703c335"
        "96fd15c13b1b07f9aa1d3bea57789ca031ad85c7a71dd70354ec631238ca3445" },
    { NULL, "52783243c1697bdbe16d37f97f68f08325dc1528", "34aa973cd4c4daa4f61eeb2bdbad27316534016f",
        "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973eb"
        "de0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b" },
};

START_TEST(digest)
{
    static uint8_t big[LONG_SIZE_B];
    struct span in = span_of(big, sizeof big);
    uint8_t out[64], inner[32], outer[20];
    memset(big, 'a', sizeof big);
    if (digests[_i].text != NULL)
        in = span_text(digests[_i].text);
    ripemd160(out, in.data, in.size_b);
    same(out, 20, digests[_i].ripemd160);
    sha1(out, in.data, in.size_b);
    same(out, 20, digests[_i].sha1);
    sha512(out, in.data, in.size_b);
    same(out, 64, digests[_i].sha512);
    hash160(out, in.data, in.size_b);
    sha256(inner, in.data, in.size_b);
    ripemd160(outer, inner, sizeof inner);
    ck_assert_mem_eq(out, outer, sizeof outer);
}
END_TEST

START_TEST(hash160_of_a_key) /* the hash of the compressed generator */
{
    uint8_t room[33], out[20];
    struct span key = hex(room, "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798");
    hash160(out, key.data, key.size_b);
    same(out, 20, "751e76e8199196d454941c45d1b3a323f1433bd6");
}
END_TEST

static const struct { uint8_t key_byte; size_t key_size_b; const char *key, *text, *mac256, *mac512; } macs[] = {
    { 0x0b, 20, NULL, "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
        "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854" },
    { 0, 4, "Jefe", "what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
        "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737" },
    { 0xaa, 131, NULL, "Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
        "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598" },
    { 0, 0, NULL, "", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad",
        "b936cee86c9f87aa5d3c6f2e84cb5a4239a5fe50480a6ec66b70ab5b1f4ac673"
        "0c6c515421b327ec1d69402e53dfb49ad7381eb067b338fd7b0cb22247225d47" },
};

START_TEST(mac) /* RFC 4231 cases 1, 2 and 6; the empty key and text */
{
    uint8_t room[131], out[64];
    memset(room, macs[_i].key_byte, sizeof room);
    struct span key = macs[_i].key != NULL ? span_text(macs[_i].key) : span_of(room, macs[_i].key_size_b);
    hmac_sha256(out, key, span_text(macs[_i].text));
    same(out, 32, macs[_i].mac256);
    hmac_sha512(out, key, span_text(macs[_i].text));
    same(out, 64, macs[_i].mac512);
    if (key.size_b == 0) {
        hmac_sha512(out, span_of(NULL, 0), span_of(NULL, 0));
        same(out, 64, macs[_i].mac512);
    }
}
END_TEST

START_TEST(stretching)
{
    static const struct { const char *password, *salt; uint32_t iterations; const char *want; } rows[] = {
        { "password", "salt", 1,
            "867f70cf1ade02cff3752599a3a53dc4af34c7a669815ae5d513554e1c8cf252"
            "c02d470a285a0501bad999bfe943c08f050235d7d68b1da55e63f73b60a57fce" },
        { "password", "salt", 2,
            "e1d9c16aa681708a45f5c7c4e215ceb66e011a2e9f0040713f18aefdb866d53c"
            "f76cab2868a39b9f7840edce4fef5a82be67335c77a6068e04112754f27ccf4e" },
        { "passwordPASSWORDpassword", "saltSALTsaltSALTsaltSALTsaltSALTsalt", 2048,
            "dc812265058ab7b20964ea5bc01588a796d70d91" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t out[64];
        struct fail why;
        size_t size_b = strlen(rows[i].want) / 2;
        ck_assert(pbkdf2_sha512(out, size_b, span_text(rows[i].password), span_text(rows[i].salt),
            rows[i].iterations, &why));
        same(out, size_b, rows[i].want);
    }
}
END_TEST

START_TEST(scrypt) /* RFC 7914, section 12 */
{
    uint8_t out[64];
    struct fail why;
    ck_assert(scrypt_key(out, sizeof out, span_text(""), span_text(""), 16, 1, 1, &why));
    same(out, sizeof out,
        "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"
        "fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906");
    ck_assert(scrypt_key(out, sizeof out, span_text("password"), span_text("NaCl"), 1024, 8, 16, &why));
    same(out, sizeof out,
        "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
        "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640");
    ck_assert(!scrypt_key(out, sizeof out, span_text("x"), span_text("y"), 1000, 8, 1, &why)); /* no power of 2 */
    ck_assert_int_eq(why.kind, FAIL_LOCAL);
}
END_TEST

static const struct { const char *key, *nonce, *extra, *plain, *sealed; } boxes[] = {
    /* the GCM specification's test cases 13, 14 and 16 */
    { "0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "", "",
        "530f8afbc74536b9a963b4f1c4cb738b" },
    { "0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "",
        "00000000000000000000000000000000",
        "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919" },
    { "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
        "feedfacedeadbeeffeedfacedeadbeefabaddad2",
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b" },
};

START_TEST(sealed_box)
{
    uint8_t key[32], nonce[12], room[5][128];
    struct fail why;
    hex(key, boxes[_i].key);
    hex(nonce, boxes[_i].nonce);
    struct span extra = hex(room[0], boxes[_i].extra), plain = hex(room[1], boxes[_i].plain),
                want = hex(room[2], boxes[_i].sealed);
    ck_assert_uint_eq(want.size_b, plain.size_b + 16);
    ck_assert(aead_seal(room[3], key, nonce, plain, extra, &why));
    ck_assert_mem_eq(room[3], want.data, want.size_b);
    struct span sealed = span_of(room[3], want.size_b);
    ck_assert(aead_open(room[4], key, nonce, sealed, extra, &why));
    ck_assert_mem_eq(room[4], plain.data, plain.size_b);
    for (size_t i = 0; i < sealed.size_b * 8; i++) { /* each single bit counts */
        room[3][i / 8] ^= (uint8_t)(1u << i % 8);
        fail_clear(&why);
        ck_assert(!aead_open(room[4], key, nonce, sealed, extra, &why));
        ck_assert_int_eq(why.kind, FAIL_INVALID);
        ck_assert_str_eq(why.code, "bad-tag");
        room[3][i / 8] ^= (uint8_t)(1u << i % 8);
    }
    for (size_t i = 0; i < sealed.size_b; i++)
        ck_assert(!aead_open(room[4], key, nonce, span_of(room[3], i), extra, &why));
    ck_assert(!aead_open(room[4], key, nonce, sealed, span_text("other"), &why));
    key[31] ^= 1;
    ck_assert(!aead_open(room[4], key, nonce, sealed, extra, &why));
    key[31] ^= 1;
    nonce[0] ^= 1;
    ck_assert(!aead_open(room[4], key, nonce, sealed, extra, &why));
}
END_TEST

START_TEST(random_differs)
{
    uint8_t a[1000] = { 0 }, b[1000] = { 0 };
    size_t zeroes = 0;
    random_bytes(a, sizeof a);
    random_bytes(b, sizeof b - 1);
    ck_assert_int_ne(memcmp(a, b, sizeof a), 0);
    ck_assert_uint_eq(b[sizeof b - 1], 0); /* not a byte beyond */
    for (size_t i = 0; i < sizeof a; i++)
        zeroes += a[i] == 0;
    ck_assert_uint_lt(zeroes, 40); /* 4 expected; 40 has chance 1e-26 */
}
END_TEST

/* ---- merkle ---- */

#define LEAVES_MAX 128

static void leaf(uint8_t out[32], size_t i)
{
    uint8_t byte = (uint8_t)i;
    sha256(out, &byte, 1);
}

static const struct { size_t count; const char *root; } roots[] = {
    { 0, "0000000000000000000000000000000000000000000000000000000000000000" },
    { 1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d" },
    { 2, "f0a886c2f0065f43c82d12b561b45f1a963917248c538474aaad05440a48df3c" },
    { 3, "50fde71c451737ad83c79d791dfda614eeed7e4440971b7a92691919a06ba52b" },
    { 4, "ff16b8c29d7ae7f1cef42ea09a4a6066f2c053ddc46beecf9846a7096414fd08" },
    { 5, "f570734e3e3e401dad09b8f51499dfb2f631c803b88487ef65b88baa069430d0" },
    { 6, "2fc7361900074fd777159ba03f739d29dc05796a0cc3de814db2dd1c91246334" },
    { 7, "df8cda881072fe6533296d6370b24ed0ffcfbb5037b88b069ae003bf200ac698" },
    { 9, "e10a46e7409e49fb2981560da9db10feb5e6398a5b0bd52c5e0642bec2b24f20" },
    { 16, "c90734ee968b2d47f6c5938f943ac4af2158b45bb11e9cd830fdd48c242783b7" },
    { 33, "6871084b9bd0bf285bbc08c0e8a3707510b63aa65501fee13e928b3075c8fb1e" },
    { 100, "82943abb786b9245b042c5238a7ac325b9383e2de9184bfca8adf57581f43b85" },
};

START_TEST(merkle)
{
    uint8_t hashes[LEAVES_MAX * 32], out[32];
    for (size_t i = 0; i < roots[_i].count; i++)
        leaf(hashes + 32 * i, i);
    bool mutated = true;
    merkle_root(out, hashes, roots[_i].count, &mutated);
    same(out, 32, roots[_i].root);
    ck_assert(!mutated);
}
END_TEST

/* The leaves that an attacker may repeat at the end without changing the root (CVE-2012-2459). */
static const struct { size_t count, repeated; } mutations[] = {
    { 1, 1 }, { 3, 1 }, { 5, 1 }, { 6, 2 }, { 7, 1 }, { 10, 2 }, { 12, 4 }, { 9, 1 }, { 33, 1 }, { 100, 4 },
};

START_TEST(merkle_mutation_is_seen)
{
    uint8_t hashes[LEAVES_MAX * 32], honest[32], forged[32];
    size_t count = mutations[_i].count, repeated = mutations[_i].repeated;
    for (size_t i = 0; i < count; i++)
        leaf(hashes + 32 * i, i);
    bool mutated = true;
    merkle_root(honest, hashes, count, &mutated);
    ck_assert(!mutated);
    for (size_t i = 0; i < count; i++)
        leaf(hashes + 32 * i, i);
    for (size_t i = 0; i < repeated; i++)
        leaf(hashes + 32 * (count + i), count - repeated + i);
    merkle_root(forged, hashes, count + repeated, &mutated);
    ck_assert_int_eq(memcmp(honest, forged, 32) == 0, count > 1);
    ck_assert(mutated);
    for (size_t i = 0; i < count + repeated; i++) /* the flag is optional */
        leaf(hashes + 32 * i, i < count ? i : i - repeated);
    merkle_root(honest, hashes, count + repeated, NULL);
    ck_assert_mem_eq(honest, forged, 32);
}
END_TEST

START_TEST(merkle_equal_cousins_are_no_mutation) /* equal leaves that are not hashed together */
{
    uint8_t hashes[4 * 32], out[32];
    for (size_t i = 0; i < 4; i++)
        leaf(hashes + 32 * i, i == 2 ? 1 : i);
    bool mutated = true;
    merkle_root(out, hashes, 4, &mutated);
    ck_assert(!mutated);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hash");
    TCase *tc = tcase_create("hash");
    tcase_add_checked_fixture(tc, start, NULL);
    tcase_add_loop_test(tc, digest, 0, (int)(sizeof digests / sizeof *digests));
    tcase_add_test(tc, hash160_of_a_key);
    tcase_add_loop_test(tc, mac, 0, (int)(sizeof macs / sizeof *macs));
    tcase_add_test(tc, stretching);
    tcase_add_test(tc, scrypt);
    tcase_add_loop_test(tc, sealed_box, 0, (int)(sizeof boxes / sizeof *boxes));
    tcase_add_test(tc, random_differs);
    tcase_add_loop_test(tc, merkle, 0, (int)(sizeof roots / sizeof *roots));
    tcase_add_loop_test(tc, merkle_mutation_is_seen, 0, (int)(sizeof mutations / sizeof *mutations));
    tcase_add_test(tc, merkle_equal_cousins_are_no_mutation);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
