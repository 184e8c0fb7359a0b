/* sha3.h - SHA3-256 (FIPS 202), for the checksum in Tor v3 names only. Thread: any (pure). */
#ifndef COIN_P2P_SHA3_H
#define COIN_P2P_SHA3_H

#include <stddef.h>
#include <stdint.h>

/* size_b: at most 135, one block; longer input is cut there (names need 48). */
void sha3_256_short(uint8_t out[32], const uint8_t *data, size_t size_b);

#endif
