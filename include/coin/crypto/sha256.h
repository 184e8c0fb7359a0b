/* sha256.h - SHA-256 (FIPS 180-4), the hash of everything here. The fastest implementation for this
 * processor is chosen once by sha256_init, which also tests it against OpenSSL.
 * Thread: any (pure) after sha256_init. */
#ifndef COIN_CRYPTO_SHA256_H
#define COIN_CRYPTO_SHA256_H

#include "coin/base/bytes.h"

struct sha256 {
    uint32_t state[8];
    uint64_t size_b;
    uint8_t block[64];
};

/* Chooses among the instruction sets that the processor has and that pass their self-test; FAIL_LOCAL when
 * the portable code itself fails its own against OpenSSL. `only` forces one by name ("portable", "shani",
 * "avx2", "avx512") for tests: FAIL_LOCAL, code "sha256-missing" where there is none, "sha256-self-test" when
 * it is wrong. A failure changes nothing. Until called, the portable code serves. Thread: before others. */
bool sha256_init(const char *only, struct fail *why) MUST_USE;
const char *sha256_name(void); /* "avx512+shani": pairs and mining, streams */

void sha256_begin(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t size_b);
void sha256_end(struct sha256 *s, uint8_t out[32]);
void sha256(uint8_t out[32], const void *data, size_t size_b);
void sha256d(uint8_t out[32], const void *data, size_t size_b); /* twice: ids, checksums */
void sha256d_end(struct sha256 *s, uint8_t out[32]);
/* BIP340: SHA256(SHA256(tag) || SHA256(tag) || ...); begin only, end with sha256_end. */
void sha256_tagged_begin(struct sha256 *s, const char *tag);

/* count pairs of 32-byte hashes -> count double hashes, many lanes at once; out may be in. */
void sha256d_64(uint8_t *out, const uint8_t *in, size_t count);

/* Mining: hashes header80 with nonces first, first+1, ... count of them, and stops at the first whose
 * double SHA-256 as a little-endian number is <= target (32 bytes, little-endian). Midstate, constant
 * rounds and the early reject on the last word are inside. Returns true and the nonce, or false. */
bool sha256d_grind(uint32_t *nonce, const uint8_t header80[80], uint32_t first, uint32_t count,
    const uint8_t target_le[32]);
/* The yardstick for measuring: the same lanes doing two whole compressions a nonce from the midstate, with
 * none of the above. Returns the sum of the last words (big-endian) of all hashes. */
uint32_t sha256d_grind_bare(const uint8_t header80[80], uint32_t first, uint32_t count);

#endif
