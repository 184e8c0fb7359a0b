/* hash.h - the other hashes, MACs, key stretching and ciphers: OpenSSL behind plain functions. Each
 * algorithm is fetched once by hash_init. Thread: any (pure) after hash_init. */
#ifndef COIN_CRYPTO_HASH_H
#define COIN_CRYPTO_HASH_H

#include "coin/base/bytes.h"

bool hash_init(struct fail *why) MUST_USE; /* FAIL_LOCAL names the algorithm that is missing */

void ripemd160(uint8_t out[20], const void *data, size_t size_b);
void hash160(uint8_t out[20], const void *data, size_t size_b); /* RIPEMD160(SHA256(data)) */
void sha1(uint8_t out[20], const void *data, size_t size_b);    /* OP_SHA1 only */
void sha512(uint8_t out[64], const void *data, size_t size_b);
void hmac_sha256(uint8_t out[32], struct span key, struct span data);
void hmac_sha512(uint8_t out[64], struct span key, struct span data);
/* PBKDF2-HMAC-SHA512 (BIP39). */
bool pbkdf2_sha512(uint8_t *out, size_t out_size_b, struct span password, struct span salt,
    uint32_t iterations, struct fail *why) MUST_USE;
/* RFC 7914; memory 128 * n * r bytes. */
bool scrypt_key(uint8_t *out, size_t out_size_b, struct span password, struct span salt, uint64_t n,
    uint32_t r, uint32_t p, struct fail *why) MUST_USE;
/* AES-256-GCM: out has size + 16 bytes (tag last); open fails with FAIL_INVALID "bad-tag". */
bool aead_seal(uint8_t *out, const uint8_t key[32], const uint8_t nonce[12], struct span plain,
    struct span extra, struct fail *why) MUST_USE;
bool aead_open(uint8_t *out, const uint8_t key[32], const uint8_t nonce[12], struct span sealed,
    struct span extra, struct fail *why) MUST_USE;
/* From the operating system's generator; never fails (waits at early boot). Only env uses it directly. */
void random_bytes(void *out, size_t size_b);


/* Merkle root over 32-byte hashes, in place (hashes is scratch afterwards). *mutated (may be NULL): two
 * equal neighbours were hashed together, the malleation of CVE-2012-2459. count 0 gives zeroes. */
void merkle_root(uint8_t out[32], uint8_t *hashes, size_t count, bool *mutated);

#endif
