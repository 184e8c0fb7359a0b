/* SHA-256, portable. */

#include "coin/crypto/sha256.h"

#include <string.h>

#include "coin/crypto/hash.h"

static const uint32_t k[64] = {0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
    0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152,
    0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138,
    0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70,
    0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5,
    0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa,
    0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
    0x1f83d9ab, 0x5be0cd19};

static uint32_t rotate(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

static void transform(uint32_t state[8], const uint8_t *data, size_t blocks)
{
    uint32_t w[64];
    for (; blocks > 0; blocks--, data += 64) {
        for (int i = 0; i < 16; i++)
            w[i] = get_u32be(data + 4 * i);
        for (int i = 16; i < 64; i++) {
            uint32_t a = w[i - 15], b = w[i - 2];
            w[i] = w[i - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + w[i - 7] +
                   (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
        }
        uint32_t s[8];
        memcpy(s, state, sizeof s);
        for (int i = 0; i < 64; i++) {
            uint32_t t1 = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25)) +
                          ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
            uint32_t t2 = (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)) +
                          ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
            memmove(s + 1, s, 7 * sizeof *s);
            s[4] += t1;
            s[0] = t1 + t2;
        }
        for (int i = 0; i < 8; i++)
            state[i] += s[i];
    }
}

bool sha256_init(const char *only, struct fail *why)
{
    (void)only, (void)why;
    return true;
}

const char *sha256_name(void)
{
    return "portable";
}

void sha256_begin(struct sha256 *s)
{
    memcpy(s->state, initial, sizeof initial);
    s->size_b = 0;
}

void sha256_add(struct sha256 *s, const void *data, size_t size_b)
{
    const uint8_t *p = data;
    size_t held = s->size_b % 64;
    s->size_b += size_b;
    if (held > 0 && held + size_b >= 64) {
        memcpy(s->block + held, p, 64 - held);
        transform(s->state, s->block, 1);
        p += 64 - held;
        size_b -= 64 - held;
        held = 0;
    }
    if (size_b >= 64) {
        transform(s->state, p, size_b / 64);
        p += size_b / 64 * 64;
        size_b %= 64;
    }
    if (size_b > 0)
        memcpy(s->block + held, p, size_b);
}

void sha256_end(struct sha256 *s, uint8_t out[32])
{
    uint64_t bits = s->size_b * 8;
    uint8_t pad[72] = {0x80}, length[8];
    size_t held = s->size_b % 64;
    put_u32be(length, (uint32_t)(bits >> 32));
    put_u32be(length + 4, (uint32_t)bits);
    sha256_add(s, pad, (held < 56 ? 56 : 120) - held);
    sha256_add(s, length, 8);
    for (int i = 0; i < 8; i++)
        put_u32be(out + 4 * i, s->state[i]);
}

void sha256(uint8_t out[32], const void *data, size_t size_b)
{
    struct sha256 s;
    sha256_begin(&s);
    sha256_add(&s, data, size_b);
    sha256_end(&s, out);
}

void sha256d(uint8_t out[32], const void *data, size_t size_b)
{
    sha256(out, data, size_b);
    sha256(out, out, 32);
}

void sha256d_end(struct sha256 *s, uint8_t out[32])
{
    sha256_end(s, out);
    sha256(out, out, 32);
}

void sha256_tagged_begin(struct sha256 *s, const char *tag)
{
    uint8_t hash[32];
    sha256(hash, tag, strlen(tag));
    sha256_begin(s);
    sha256_add(s, hash, 32);
    sha256_add(s, hash, 32);
}

void sha256d_64(uint8_t *out, const uint8_t *in, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sha256d(out + 32 * i, in + 64 * i, 64);
}

static bool meets(const uint8_t hash[32], const uint8_t target_le[32])
{
    for (int i = 31; i >= 0; i--) {
        if (hash[i] != target_le[i])
            return hash[i] < target_le[i];
    }
    return true;
}

bool sha256d_grind(uint32_t *nonce, const uint8_t header80[80], uint32_t first, uint32_t count,
    const uint8_t target_le[32])
{
    uint8_t header[80], hash[32];
    memcpy(header, header80, sizeof header);
    for (uint32_t i = 0; i < count; i++) {
        put_u32le(header + 76, first + i);
        sha256d(hash, header, sizeof header);
        if (meets(hash, target_le)) {
            *nonce = first + i;
            return true;
        }
    }
    return false;
}

uint32_t sha256d_grind_bare(const uint8_t header80[80], uint32_t first, uint32_t count)
{
    uint8_t header[80], hash[32];
    uint32_t sum = 0;
    memcpy(header, header80, sizeof header);
    for (uint32_t i = 0; i < count; i++) {
        put_u32le(header + 76, first + i);
        sha256d(hash, header, sizeof header);
        sum += hash[31];
    }
    return sum;
}
