/* muhash.h - MuHash3072, the hash of a set: the order of adding does not matter, what was added can be
 * removed again, and the hashes of two sets combine into that of both. Equal to Bitcoin's, which names the
 * set of unspent outputs with it. Thread: any (pure). */
#ifndef COIN_CRYPTO_MUHASH_H
#define COIN_CRYPTO_MUHASH_H

#include "coin/base/bytes.h"

#define MUHASH_NUMBER_SIZE_B 384 /* 3072 bits */
#define MUHASH_SIZE_B (2 * MUHASH_NUMBER_SIZE_B)

/* Plain values: copied, stored, sent between threads. Two numbers modulo 2^3072 - 1103717, little-endian: the
 * product of all that was added and of all that was removed. */
struct muhash {
    uint8_t numerator[MUHASH_NUMBER_SIZE_B], denominator[MUHASH_NUMBER_SIZE_B];
};

void muhash_init(struct muhash *m); /* the empty set */
void muhash_add(struct muhash *m, struct span element);
void muhash_remove(struct muhash *m, struct span element); /* before or after it was added */
void muhash_combine(struct muhash *into, const struct muhash *other);
/* The set's 32 bytes; m stays as it is and may go on. With removed elements this inverts a number, which takes
 * a quarter of a millisecond: a job's work; else it takes microseconds. FAIL_INVALID "muhash-zero" when a number is no product of elements;
 * FAIL_NO_ROOM when memory ran out. */
bool muhash_end(const struct muhash *m, uint8_t out[32], struct fail *why) MUST_USE;

/* As it is kept on disk: numerator, denominator. get: FAIL_INVALID "muhash-decode" for any other size and for
 * numbers that are zero or not below the modulus, which put never writes. */
void muhash_put(uint8_t out[MUHASH_SIZE_B], const struct muhash *m);
bool muhash_get(struct muhash *out, struct span bytes, struct fail *why) MUST_USE;

#endif
