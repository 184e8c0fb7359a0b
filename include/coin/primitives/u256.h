/* u256.h - 256-bit unsigned numbers: targets and chain work. Thread: any (pure). */
#ifndef COIN_PRIMITIVES_U256_H
#define COIN_PRIMITIVES_U256_H

#include "coin/base/bytes.h"

struct u256 { uint64_t w[4]; }; /* w[0] least significant */

struct u256 u256_from_u64(uint64_t v);
struct u256 u256_from_le(const uint8_t bytes[32]);
void u256_to_le(uint8_t bytes[32], const struct u256 *v);
int u256_compare(const struct u256 *a, const struct u256 *b);
bool u256_is_zero(const struct u256 *v);
struct u256 u256_add(const struct u256 *a, const struct u256 *b); /* wraps */
struct u256 u256_sub(const struct u256 *a, const struct u256 *b); /* wraps */
struct u256 u256_not(const struct u256 *a);
struct u256 u256_shift_left(const struct u256 *a, uint32_t bits);
struct u256 u256_shift_right(const struct u256 *a, uint32_t bits);
struct u256 u256_mul_u64(const struct u256 *a, uint64_t b, bool *overflow); /* overflow may be NULL */
struct u256 u256_div(const struct u256 *a, const struct u256 *b);           /* b > 0; rounds down */
struct u256 u256_div_u64(const struct u256 *a, uint64_t b);
uint32_t u256_bits(const struct u256 *v); /* position of the highest set bit + 1; 0 for zero */
double u256_to_double(const struct u256 *v);
void u256_to_hex(char out[65], const struct u256 *v); /* most significant first */
bool u256_from_hex(struct u256 *out, struct span hex) MUST_USE; /* 1 to 64 digits */

/* nBits, with Bitcoin's sign and overflow quirks. */
struct u256 compact_decode(uint32_t bits, bool *negative, bool *overflow); /* flags may be NULL */
uint32_t compact_encode(const struct u256 *v);
/* Expected hashes for a target: floor(2^256 / (target + 1)). */
struct u256 work_of_target(const struct u256 *target);

#endif
