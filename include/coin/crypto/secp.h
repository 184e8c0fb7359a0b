/* secp.h - every curve operation: libsecp256k1 behind plain functions. Keys are 32 bytes; public keys
 * are their serialisations (33 or 65 bytes, x-only 32).
 * Thread: any (pure); secp_init first. Secrets are wiped by their maker. */
#ifndef COIN_CRYPTO_SECP_H
#define COIN_CRYPTO_SECP_H

#include "coin/base/bytes.h"

bool secp_init(const uint8_t blinding[32], struct fail *why) MUST_USE; /* contexts; blinding: random */

/* ---- verify ---- */
/* signature: DER as old blocks allow it (lax parser), without the hash type byte; normalised to low S
 * before checking, since consensus ignores S. */
bool secp_ecdsa_verify(struct span pubkey, struct span der, const uint8_t hash[32]);
bool secp_ecdsa_is_low_s(struct span der); /* false when it does not parse */
bool secp_schnorr_verify(const uint8_t xonly[32], const uint8_t sig[64], struct span message);
bool secp_pubkey_is_valid(struct span pubkey); /* parses: on the curve */
bool secp_xonly_is_valid(const uint8_t xonly[32]);
/* BIP341: is output == internal + H_TapTweak-like tweak, with this parity? */
bool secp_tweak_check(const uint8_t output_xonly[32], int parity, const uint8_t internal_xonly[32],
    const uint8_t tweak[32]);

/* ---- keys ---- */
bool secp_key_is_valid(const uint8_t key[32]);
bool secp_pubkey_create(uint8_t out[33], const uint8_t key[32]) MUST_USE;
/* any form -> compressed or uncompressed; out_size 33 or 65 */
bool secp_pubkey_convert(uint8_t *out, size_t out_size_b, struct span pubkey) MUST_USE;
bool secp_key_add(uint8_t key[32], const uint8_t tweak[32]) MUST_USE;       /* key + tweak mod n */
bool secp_pubkey_add(uint8_t pubkey[33], const uint8_t tweak[32]) MUST_USE; /* P + tweak*G */
/* xonly + tweak*G; *parity of the result */
bool secp_xonly_add(uint8_t out[32], int *parity, const uint8_t xonly[32], const uint8_t tweak[32]) MUST_USE;

/* X of key * P, unhashed: BIP324 hashes more than that. */
bool secp_ecdh_x(uint8_t x[32], struct span pubkey, const uint8_t key[32]) MUST_USE;

/* ---- sign ---- */
/* DER, low S, and (grind) low R as Bitcoin's wallet makes them; *size_b <= 72. */
bool secp_ecdsa_sign(uint8_t der[72], size_t *size_b, const uint8_t key[32], const uint8_t hash[32],
    bool grind) MUST_USE;
/* tweak NULL: sign with key as it is; else BIP341 key path: key negated for parity, plus tweak. */
bool secp_schnorr_sign(uint8_t sig[64], const uint8_t key[32], const uint8_t *tweak,
    const uint8_t message[32], const uint8_t aux[32]) MUST_USE;
/* 65-byte compact recoverable signature (header 27+recid+4*compressed) and its inverse: signed messages */
bool secp_sign_compact(uint8_t sig[65], const uint8_t key[32], const uint8_t hash[32], bool compressed) MUST_USE;
bool secp_recover_compact(uint8_t pubkey[65], size_t *size_b, const uint8_t sig[65],
    const uint8_t hash[32]) MUST_USE;
/* The bare library for measuring: verifies one valid signature count times. */
uint32_t secp_bench_verify(uint32_t count);

#endif
