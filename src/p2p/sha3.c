/* SHA3-256 (FIPS 202) of one block. Tor v3 names carry a checksum made with it (rend-spec-v3, 6) over 48
 * bytes; nothing else here needs Keccak, so there is no streaming and no second block. */
#include "sha3.h"

#include <string.h>

#define LANES 25
#define ROUNDS 24
#define RATE_B 136u /* 1600 - 2 * 256 bits */
#define DOMAIN_SHA3 0x06u

static uint64_t rotate(uint64_t v, unsigned by)
{
    return by == 0 ? v : v << by | v >> (64 - by);
}

static void keccak(uint64_t s[LANES])
{
    static const uint64_t round_constants[ROUNDS] = {
        0x0000000000000001u, 0x0000000000008082u, 0x800000000000808au, 0x8000000080008000u,
        0x000000000000808bu, 0x0000000080000001u, 0x8000000080008081u, 0x8000000000008009u,
        0x000000000000008au, 0x0000000000000088u, 0x0000000080008009u, 0x000000008000000au,
        0x000000008000808bu, 0x800000000000008bu, 0x8000000000008089u, 0x8000000000008003u,
        0x8000000000008002u, 0x8000000000000080u, 0x000000000000800au, 0x800000008000000au,
        0x8000000080008081u, 0x8000000000008080u, 0x0000000080000001u, 0x8000000080008008u,
    };
    static const uint8_t offsets[LANES] = { /* rho, at x + 5 * y */
        0, 1, 62, 28, 27, 36, 44, 6, 55, 20, 3, 10, 43, 25, 39, 41, 45, 15, 21, 8, 18, 2, 61, 56, 14 };
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t c[5], b[LANES];
        for (unsigned x = 0; x < 5; x++)
            c[x] = s[x] ^ s[x + 5] ^ s[x + 10] ^ s[x + 15] ^ s[x + 20];
        for (unsigned i = 0; i < LANES; i++) /* theta */
            s[i] ^= c[(i % 5 + 4) % 5] ^ rotate(c[(i % 5 + 1) % 5], 1);
        for (unsigned x = 0; x < 5; x++) /* rho, pi */
            for (unsigned y = 0; y < 5; y++)
                b[y + 5 * ((2 * x + 3 * y) % 5)] = rotate(s[x + 5 * y], offsets[x + 5 * y]);
        for (unsigned i = 0; i < LANES; i++) /* chi */
            s[i] = b[i] ^ (~b[i / 5 * 5 + (i + 1) % 5] & b[i / 5 * 5 + (i + 2) % 5]);
        s[0] ^= round_constants[round];
    }
}

void sha3_256_short(uint8_t out[32], const uint8_t *data, size_t size_b)
{
    uint8_t block[RATE_B] = { 0 };
    if (size_b > RATE_B - 1)
        size_b = RATE_B - 1;
    memcpy(block, data, size_b);
    block[size_b] = DOMAIN_SHA3;
    block[RATE_B - 1] |= 0x80;
    uint64_t s[LANES] = { 0 };
    for (unsigned i = 0; i < RATE_B; i++)
        s[i / 8] |= (uint64_t)block[i] << (i % 8 * 8);
    keccak(s);
    for (unsigned i = 0; i < 32; i++)
        out[i] = (uint8_t)(s[i / 8] >> (i % 8 * 8));
}
