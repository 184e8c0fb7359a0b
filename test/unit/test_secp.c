/* Proves the curve's wrapper: RFC 6979 signatures against published answers, the lax DER of old blocks form
 * by form, Schnorr with and without the BIP341 tweak, every kind of invalid key, and the arithmetic of
 * keys against values worked out with unbounded integers. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "coin/crypto/secp.h"
#include "coin/crypto/sha256.h"
#include "unit.h"

#define ORDER "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
#define ORDER_LESS_1 "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140"
#define G_X "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
#define G_Y "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"
#define G_MINUS_Y "b7c52588d95c3b9aa25b0403f1eef75702e84bb7597aabe663b82f6f04ef2777"
#define G3_X "f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9"
#define FIELD "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f"
#define ZERO "0000000000000000000000000000000000000000000000000000000000000000"
#define OFF_CURVE "0000000000000000000000000000000000000000000000000000000000000005"

static struct span hex(uint8_t *room, const char *text)
{
    size_t size_b = strlen(text) / 2;
    ck_assert_msg(hex_decode(room, size_b, span_text(text)), "%s", text);
    return span_of(room, size_b);
}

static void same(const uint8_t *got, size_t size_b, const char *want)
{
    char text[2 * 80 + 1];
    ck_assert_uint_eq(size_b * 2, strlen(want));
    hex_encode(text, got, size_b);
    ck_assert_str_eq(text, want);
}

static void small(uint8_t key[32], uint8_t n)
{
    memset(key, 0, 32);
    key[31] = n;
}

static void start(void)
{
    uint8_t blinding[32];
    struct fail why;
    memset(blinding, 7, sizeof blinding);
    ck_assert_msg(secp_init(blinding, &why), "%s", why.detail);
    blinding[0] = 8;
    ck_assert(secp_init(blinding, &why)); /* again is fine */
}

/* ---- ECDSA ---- */

static const struct { const char *key, *text, *plain, *low_r; } signatures[] = {
    { "0000000000000000000000000000000000000000000000000000000000000001", "Satoshi Nakamoto",
        "3045022100934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d802202442ce9d2b91606410"
        "8014783e923ec36b49743e2ffa1c4496f01a512aafd9e5",
        "304402203311d51d1326e30774b2fb1fbfd5e199ebccb43be1db2ce41051eb2d75e4b68f022044d2ea67486df31a2423"
        "63de1f835d583620fea148ee422c8c80b904b53f5ac3" },
    { "0000000000000000000000000000000000000000000000000000000000000001", "All those moments will be lost in time, like tears in rain. Time to die...",
        "30450221008600dbd41e348fe5c9465ab92d23e3db8b98b873beecd930736488696438cb6b0220547fe64427496db33b"
        "f66019dacbf0039c04199abb0122918601db38a72cfc21",
        "304402202e9eea935380ad0b1d37f6960b306a247459ba46b42c86c09984b71211b5a600022066f530491b89105a942c"
        "8883f6e595f2c347cbd2a1a8ba7dfc2edd1fb437dbb6" },
    { "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140", "Satoshi Nakamoto",
        "3045022100fd567d121db66e382991534ada77a6bd3106f0a1098c231e47993447cd6af2d002206b39cd0eb1bc8603e1"
        "59ef5c20a5c8ad685a45b06ce9bebed3f153d10d93bed5",
        "304402203ff13e76253fc99e1485b3d9ffaf2cc02400bb42bdebbd89233bcf5db5ec3d32022008daff56621febad24d5"
        "c974dbcd578ea21423d0089cb5220c6aa3f87d21aecd" },
    { "f8b8af8ce3c7cca5e300d33939540c10d45ce001b8f252bfbc57ba0342904181", "Alan Turing",
        "304402207063ae83e7f62bbb171798131b4a0564b956930092b33b07b395615d9ec7e15c022058dfcc1e00a35e1572f3"
        "66ffe34ba0fc47db1e7189759b9fb233c5b05ab388ea",
        "304402207063ae83e7f62bbb171798131b4a0564b956930092b33b07b395615d9ec7e15c022058dfcc1e00a35e1572f3"
        "66ffe34ba0fc47db1e7189759b9fb233c5b05ab388ea" },
};

START_TEST(signs)
{
    uint8_t key[32], hash[32], pubkey[33], der[72];
    size_t size_b = 0;
    hex(key, signatures[_i].key);
    sha256(hash, signatures[_i].text, strlen(signatures[_i].text));
    ck_assert(secp_pubkey_create(pubkey, key));
    ck_assert(secp_ecdsa_sign(der, &size_b, key, hash, false));
    same(der, size_b, signatures[_i].plain);
    ck_assert(secp_ecdsa_sign(der, &size_b, key, hash, true));
    same(der, size_b, signatures[_i].low_r);
    ck_assert_uint_le(size_b, 70);
    struct span whole = span_of(pubkey, sizeof pubkey), sig = span_of(der, size_b);
    ck_assert(secp_ecdsa_is_low_s(sig));
    ck_assert(secp_ecdsa_verify(whole, sig, hash));
    hash[5] ^= 1;
    ck_assert(!secp_ecdsa_verify(whole, sig, hash));
    hash[5] ^= 1;
    pubkey[0] ^= 1;
    ck_assert(!secp_ecdsa_verify(whole, sig, hash));
    ck_assert(!secp_ecdsa_verify(span_of(pubkey, 32), sig, hash));
    ck_assert(!secp_ecdsa_verify(span_of(NULL, 0), sig, hash));
    pubkey[0] ^= 1;
    for (size_t bit = 0; bit < 256; bit++) { /* each bit of S */
        der[size_b - 1 - bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert(!secp_ecdsa_verify(whole, sig, hash));
        der[size_b - 1 - bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}
END_TEST

START_TEST(does_not_sign_with_no_key)
{
    uint8_t key[32], hash[32] = { 1 }, sig[72], aux[32] = { 0 };
    size_t size_b;
    static const char *const bad[] = { ZERO, ORDER };
    for (size_t i = 0; i < 2; i++) {
        hex(key, bad[i]);
        ck_assert(!secp_ecdsa_sign(sig, &size_b, key, hash, true));
        ck_assert(!secp_schnorr_sign(sig, key, NULL, hash, aux));
        ck_assert(!secp_sign_compact(sig, key, hash, true));
    }
}
END_TEST

static const struct { const char *name; bool verifies, low_s; const char *der; } forms[] = {
    { "strict", true, true,
        "3045022100934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d802202442ce9d2b91606410"
        "8014783e923ec36b49743e2ffa1c4496f01a512aafd9e5" },
    { "high S", true, false,
        "3046022100934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8022100dbbd3162d46e9f9b"
        "ef7feb87c16dc13b4f6568a87f4e83f728e2443ba586675c" },
    { "negative R", true, true,
        "30440220934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d802202442ce9d2b9160641080"
        "14783e923ec36b49743e2ffa1c4496f01a512aafd9e5" },
    { "padded", true, true,
        "30490223000000934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8022200002442ce9d2b"
        "916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5" },
    { "long form lengths", true, true,
        "30814902812100934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8028200202442ce9d2b"
        "916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5" },
    { "wrong sequence length", true, true,
        "3007022100934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d802202442ce9d2b91606410"
        "8014783e923ec36b49743e2ffa1c4496f01a512aafd9e5" },
    { "trailing bytes", true, true,
        "3045022100934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d802202442ce9d2b91606410"
        "8014783e923ec36b49743e2ffa1c4496f01a512aafd9e5010203" },
    { "eight length bytes", true, true,
        "304502880000000000000020934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d802202442"
        "ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5" },
    { "empty", false, false,
        "" },
    { "one byte", false, false,
        "30" },
    { "no sequence", false, false,
        "3145022100934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d802202442ce9d2b91606410"
        "8014783e923ec36b49743e2ffa1c4496f01a512aafd9e5" },
    { "cut", false, false,
        "3045022100934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d802202442ce9d2b91606410"
        "8014783e923ec36b49743e2ffa1c4496f01a512aafd9" },
    { "no integer", false, false,
        "3045022100934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d803202442ce9d2b91606410"
        "8014783e923ec36b49743e2ffa1c4496f01a512aafd9e5" },
    { "sequence length beyond the end", false, false,
        "30ff022100934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d802202442ce9d2b91606410"
        "8014783e923ec36b49743e2ffa1c4496f01a512aafd9e5" },
    { "integer length of 2^56", false, false,
        "304502880100000000000020934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d802202442"
        "ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5" },
    { "integer length bytes beyond the end", false, false,
        "30020284" },
    { "R of 33 bytes", false, true,
        "3045022101934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d802202442ce9d2b91606410"
        "8014783e923ec36b49743e2ffa1c4496f01a512aafd9e5" },
    { "R is the order", false, true,
        "3045022100fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd036414102202442ce9d2b91606410"
        "8014783e923ec36b49743e2ffa1c4496f01a512aafd9e5" },
    { "zeroes", false, true,
        "3006020100020100" },
};

START_TEST(der_of_old_blocks) /* the key is 1, the text "Satoshi Nakamoto" */
{
    uint8_t key[32], hash[32], pubkey[33], room[100];
    small(key, 1);
    ck_assert(secp_pubkey_create(pubkey, key));
    sha256(hash, "Satoshi Nakamoto", 16);
    struct span der = hex(room, forms[_i].der);
    ck_assert_msg(secp_ecdsa_verify(span_of(pubkey, 33), der, hash) == forms[_i].verifies, "%s", forms[_i].name);
    ck_assert_msg(secp_ecdsa_is_low_s(der) == forms[_i].low_s, "%s", forms[_i].name);
}
END_TEST

START_TEST(der_cut_anywhere) /* no prefix of a signature verifies */
{
    uint8_t key[32], hash[32], pubkey[33], room[100];
    small(key, 1);
    ck_assert(secp_pubkey_create(pubkey, key));
    sha256(hash, "Satoshi Nakamoto", 16);
    struct span der = hex(room, forms[0].der);
    for (size_t i = 0; i < der.size_b; i++)
        ck_assert(!secp_ecdsa_verify(span_of(pubkey, 33), span_of(room, i), hash));
}
END_TEST

/* ---- keys ---- */

static const struct { const char *pubkey; bool valid; } pubkeys[] = {
    { "02" G_X, true }, { "03" G_X, true }, { "04" G_X G_Y, true }, { "04" G_X G_MINUS_Y, true },
    { "06" G_X G_Y, true }, { "07" G_X G_MINUS_Y, true }, /* hybrid: consensus takes it */
    { "07" G_X G_Y, false }, { "06" G_X G_MINUS_Y, false },
    { "", false }, { "02", false }, { "00" G_X, false }, { "01" G_X, false }, { "04" G_X, false },
    { "05" G_X, false }, { "08" G_X, false }, { "02" G_X "00", false }, { "02" G_X G_Y, false },
    { "03" G_X G_Y, false }, { "05" G_X G_Y, false }, { "04" G_X G_Y "00", false }, { "04" G_X G3_X, false },
    { "02" OFF_CURVE, false }, { "03" OFF_CURVE, false }, { "02" FIELD, false }, { "02" ZERO, false },
    { "04" ZERO ZERO, false }, { "02" ORDER, true },
};

START_TEST(pubkey_forms)
{
    uint8_t room[80], out[65];
    struct span pubkey = hex(room, pubkeys[_i].pubkey);
    if (pubkey.size_b == 0)
        pubkey.data = NULL; /* as an empty stack element is */
    ck_assert_msg(secp_pubkey_is_valid(pubkey) == pubkeys[_i].valid, "%s", pubkeys[_i].pubkey);
    ck_assert_int_eq(secp_pubkey_convert(out, 33, pubkey), pubkeys[_i].valid);
    ck_assert_int_eq(secp_pubkey_convert(out, 65, pubkey), pubkeys[_i].valid);
    if (pubkey.size_b == 33) {
        bool x_valid = secp_xonly_is_valid(room + 1);
        ck_assert_int_eq(x_valid, pubkeys[_i].valid || (room[0] != 2 && room[0] != 3));
    }
}
END_TEST

START_TEST(pubkey_converts)
{
    static const struct { const char *from, *to; } rows[] = {
        { "02" G_X, "04" G_X G_Y }, { "03" G_X, "04" G_X G_MINUS_Y }, { "04" G_X G_Y, "02" G_X },
        { "04" G_X G_MINUS_Y, "03" G_X }, { "06" G_X G_Y, "02" G_X }, { "02" G_X, "02" G_X },
        { "07" G_X G_MINUS_Y, "04" G_X G_MINUS_Y },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t room[65], out[65];
        size_t size_b = strlen(rows[i].to) / 2;
        ck_assert(secp_pubkey_convert(out, size_b, hex(room, rows[i].from)));
        same(out, size_b, rows[i].to);
    }
}
END_TEST

START_TEST(private_keys)
{
    static const struct { const char *key; const char *pubkey; } rows[] = {
        { "0000000000000000000000000000000000000000000000000000000000000001", "02" G_X },
        { "0000000000000000000000000000000000000000000000000000000000000003", "02" G3_X },
        { ORDER_LESS_1, "03" G_X }, { ZERO, NULL }, { ORDER, NULL },
        { "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t key[32], out[33];
        hex(key, rows[i].key);
        ck_assert_int_eq(secp_key_is_valid(key), rows[i].pubkey != NULL);
        ck_assert_int_eq(secp_pubkey_create(out, key), rows[i].pubkey != NULL);
        if (rows[i].pubkey != NULL)
            same(out, 33, rows[i].pubkey);
    }
}
END_TEST

START_TEST(adds)
{
    uint8_t key[32], tweak[32], pubkey[33];
    small(key, 5);
    small(tweak, 11);
    ck_assert(secp_pubkey_create(pubkey, key));
    ck_assert(secp_key_add(key, tweak));
    ck_assert_uint_eq(key[31], 16);
    ck_assert(secp_pubkey_add(pubkey, tweak));
    same(pubkey, 33, "03e60fce93b59e9ec53011aabc21c23e97b2a31369b87a5ae9c44ee89e2a6dec0a");
    hex(tweak, ORDER_LESS_1); /* minus one: 15 */
    ck_assert(secp_key_add(key, tweak));
    ck_assert_uint_eq(key[31], 15);
    small(key, 1); /* one minus one is no key and no point */
    ck_assert(secp_pubkey_create(pubkey, key));
    ck_assert(!secp_key_add(key, tweak));
    ck_assert(!secp_pubkey_add(pubkey, tweak));
    hex(tweak, ORDER);
    small(key, 1);
    ck_assert(!secp_key_add(key, tweak));
    hex(pubkey, "02" G_X);
    ck_assert(!secp_pubkey_add(pubkey, tweak));
    hex(pubkey, "02" OFF_CURVE);
    small(tweak, 1);
    ck_assert(!secp_pubkey_add(pubkey, tweak));
}
END_TEST

static const struct { uint8_t tweak; const char *sum; int parity; } xonly_sums[] = { /* x(3G) + tweak */
    { 1, "e493dbf1c10d80f3581e4904930b1404cc6c13900ee0758474fa94abe8c4cd13", 0 },
    { 2, "2f8bde4d1a07209355b4a7250a5c5128e88b84bddc619ab7cba8d569b240efe4", 0 },
    { 4, "5cbdf0646e5db4eaa398f365f2ea7a0e3d419b7e0330e39ce92bddedcac4f9bc", 0 },
    { 5, "2f01e5e15cca351daff3843fb70f3c2f0a1bdd05e5af888a67784ef3e10a2a01", 0 },
    { 9, "d01115d548e7561b15c38f004d734633687cf4419620095bc5b0f47070afe85a", 1 },
};

START_TEST(xonly)
{
    uint8_t x[32], tweak[32], out[32], other[32];
    int parity = 7;
    hex(x, G3_X);
    small(tweak, xonly_sums[_i].tweak);
    ck_assert(secp_xonly_is_valid(x));
    ck_assert(secp_xonly_add(out, &parity, x, tweak));
    same(out, 32, xonly_sums[_i].sum);
    ck_assert_int_eq(parity, xonly_sums[_i].parity);
    ck_assert(secp_tweak_check(out, parity, x, tweak));
    ck_assert(!secp_tweak_check(out, !parity, x, tweak));
    memcpy(other, out, 32);
    other[31] ^= 1;
    ck_assert(!secp_tweak_check(other, parity, x, tweak));
    tweak[0] ^= 1;
    ck_assert(!secp_tweak_check(out, parity, x, tweak));
    hex(tweak, ORDER);
    ck_assert(!secp_xonly_add(out, &parity, x, tweak));
    ck_assert(!secp_tweak_check(out, parity, x, tweak));
    hex(x, OFF_CURVE);
    small(tweak, 1);
    ck_assert(!secp_xonly_is_valid(x));
    ck_assert(!secp_xonly_add(out, &parity, x, tweak));
    ck_assert(!secp_tweak_check(out, parity, x, tweak));
}
END_TEST

/* ---- Schnorr ---- */

START_TEST(schnorr) /* loop: key 1 (even y), 3 (even), order - 1 (odd); with and without a tweak */
{
    static const char *const keys[] = { "0000000000000000000000000000000000000000000000000000000000000001",
        "0000000000000000000000000000000000000000000000000000000000000003", ORDER_LESS_1 };
    uint8_t key[32], pubkey[33], output[32], tweak[32], aux[32], message[32], sig[64], again[64];
    int parity;
    hex(key, keys[_i % 3]);
    memset(tweak, 0x21, 32);
    memset(aux, _i, 32);
    sha256(message, keys[_i % 3], 64);
    ck_assert(secp_pubkey_create(pubkey, key));
    bool tweaked = _i >= 3;
    ck_assert(secp_schnorr_sign(sig, key, tweaked ? tweak : NULL, message, aux));
    memcpy(output, pubkey + 1, 32);
    if (tweaked)
        ck_assert(secp_xonly_add(output, &parity, pubkey + 1, tweak));
    struct span text = span_of(message, 32);
    ck_assert(secp_schnorr_verify(output, sig, text));
    if (tweaked)
        ck_assert(!secp_schnorr_verify(pubkey + 1, sig, text));
    aux[0] ^= 1; /* other randomness: another signature, as good */
    ck_assert(secp_schnorr_sign(again, key, tweaked ? tweak : NULL, message, aux));
    ck_assert(secp_schnorr_verify(output, again, text));
    ck_assert_int_ne(memcmp(sig, again, 64), 0);
    for (size_t bit = 0; bit < 512; bit++) {
        sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert(!secp_schnorr_verify(output, sig, text));
        sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert(!secp_schnorr_verify(output, sig, span_of(message, 31)));
    hex(output, OFF_CURVE);
    ck_assert(!secp_schnorr_verify(output, sig, text));
    hex(tweak, ORDER);
    ck_assert(!secp_schnorr_sign(sig, key, tweak, message, aux));
}
END_TEST

/* ---- compact ---- */

START_TEST(compact)
{
    static const char want[] = "20934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d82442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5"; /* recovery 1, compressed */
    uint8_t key[32], hash[32], sig[65], pubkey[65];
    size_t size_b = 0;
    small(key, 1);
    sha256(hash, "Satoshi Nakamoto", 16);
    ck_assert(secp_sign_compact(sig, key, hash, true));
    same(sig, 65, want);
    ck_assert(secp_recover_compact(pubkey, &size_b, sig, hash));
    same(pubkey, size_b, "02" G_X);
    ck_assert(secp_sign_compact(sig, key, hash, false));
    ck_assert(secp_recover_compact(pubkey, &size_b, sig, hash));
    same(pubkey, size_b, "04" G_X G_Y);
    for (unsigned header = 0; header < 256; header++) { /* the other headers give other keys or none */
        sig[0] = (uint8_t)header;
        bool ok = secp_recover_compact(pubkey, &size_b, sig, hash);
        if (header < 27 || header > 34)
            ck_assert(!ok);
        if (ok && (header - 27) % 4 != (unsigned)(32 - 27) % 4)
            ck_assert_int_ne(memcmp(pubkey + 1, "\x79\xbe\x66\x7e", 4), 0);
    }
    memset(sig + 1, 0, 64);
    sig[0] = 31;
    ck_assert(!secp_recover_compact(pubkey, &size_b, sig, hash));
    hex(sig + 1, ORDER);
    ck_assert(!secp_recover_compact(pubkey, &size_b, sig, hash));
}
END_TEST

START_TEST(bench_counts)
{
    ck_assert_uint_eq(secp_bench_verify(3), 3);
    ck_assert_uint_eq(secp_bench_verify(0), 0);
}
END_TEST

#define ROWS(table) (int)(sizeof(table) / sizeof *(table))

int main(void)
{
    Suite *suite = suite_create("secp");
    TCase *tc = tcase_create("secp");
    tcase_add_checked_fixture(tc, start, NULL);
    tcase_add_loop_test(tc, signs, 0, ROWS(signatures));
    tcase_add_test(tc, does_not_sign_with_no_key);
    tcase_add_loop_test(tc, der_of_old_blocks, 0, ROWS(forms));
    tcase_add_test(tc, der_cut_anywhere);
    tcase_add_loop_test(tc, pubkey_forms, 0, ROWS(pubkeys));
    tcase_add_test(tc, pubkey_converts);
    tcase_add_test(tc, private_keys);
    tcase_add_test(tc, adds);
    tcase_add_loop_test(tc, xonly, 0, ROWS(xonly_sums));
    tcase_add_loop_test(tc, schnorr, 0, 6);
    tcase_add_test(tc, compact);
    tcase_add_test(tc, bench_counts);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
