/* ellswift.h - curve points whose 64 bytes look like noise (ElligatorSwift, as BIP324 has it), and the
 * shared secret between two who sent such bytes. Debian's libsecp256k1 has no ellswift module, so the field
 * arithmetic is OpenSSL's; it sees public data only. About half a millisecond per handshake.
 * Thread: any (pure) after secp_init. */
#ifndef COIN_CRYPTO_ELLSWIFT_H
#define COIN_CRYPTO_ELLSWIFT_H

#include "coin/base/env.h"

#define ELLSWIFT_SIZE_B 64

/* A random encoding of the key's public point. false: key is not valid, or out of memory. */
bool ellswift_create(uint8_t encoded[ELLSWIFT_SIZE_B], const uint8_t key[32], const struct env *env) MUST_USE;
/* The X coordinate that 64 bytes stand for: any bytes stand for one (XSwiftEC). false: out of memory. */
bool ellswift_decode(uint8_t x[32], const uint8_t encoded[ELLSWIFT_SIZE_B]) MUST_USE;
/* XSwiftECInv: the second half t for a first half u and an x; which (0..7) selects one of the solutions.
 * false: there is no such one. */
bool ellswift_invert(uint8_t t[32], const uint8_t x[32], const uint8_t u[32], unsigned which) MUST_USE;
/* BIP324's v2_ecdh: the secret between our key (whose encoding is ours) and their encoding. */
bool ellswift_secret(uint8_t secret[32], const uint8_t key[32], const uint8_t ours[ELLSWIFT_SIZE_B],
    const uint8_t theirs[ELLSWIFT_SIZE_B], bool initiating) MUST_USE;

#endif
