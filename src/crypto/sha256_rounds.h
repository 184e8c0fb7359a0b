/* sha256_rounds.h - the rounds of SHA-256 in terms of a vector of 32-bit words, V, so that one text serves
 * every width: the including file defines V and its operations first; without them V is one plain word.
 * Sixteen rounds at a time are written out, or no compiler keeps the words of the schedule in
 * registers; where more than that is, each costs: a processor keeps only some thousand instructions decoded. */
#ifndef COIN_SRC_CRYPTO_SHA256_ROUNDS_H
#define COIN_SRC_CRYPTO_SHA256_ROUNDS_H

#include "sha256_lanes.h"

#ifndef V
#define V uint32_t
#define V_LANES 1
#define V_SET1(x) ((uint32_t)(x))
#define V_INDEX 0u
#define V_ADD(x, y) ((x) + (y))
#define V_ROTR(x, n) ((x) >> (n) | (x) << (32 - (n)))
#define V_SHR(x, n) ((x) >> (n))
#define V_XOR3(x, y, z) ((x) ^ (y) ^ (z))
#define V_CH(x, y, z) ((z) ^ ((x) & ((y) ^ (z))))
#define V_MAJ(x, y, z) (((x) & (y)) | ((z) & ((x) | (y))))
#define V_BSWAP(x) __builtin_bswap32(x)
#define V_NOT_ABOVE(x, y) ((uint32_t)((x) <= (y)))   /* bit i: lane i */
#define V_STORE(to, x) (*(to) = (x))
#endif

#ifdef __clang__ /* gcc keeps loops at -O2 unasked */
#define KEEP_LOOP _Pragma("clang loop unroll(disable)")
#else
#define KEEP_LOOP
#endif

#define ALWAYS_INLINE static inline __attribute__((always_inline))

#define END_BIT 0x80000000u /* the first word of padding */
#define HEADER_BITS 640u
#define HASH_BITS 256u

static const uint32_t sha256_start[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
    0x1f83d9ab, 0x5be0cd19 };

static const uint32_t sha256_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

/* The same plus the schedule of the block that ends a message of 64 bytes: it is always the same. */
static const uint32_t sha256_k_end_64[64] = {
    0xc28a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf374,
    0x649b69c1, 0xf0fe4786, 0x0fe1edc6, 0x240cf254, 0x4fe9346f, 0x6cc984be, 0x61b9411e, 0x16f988fa,
    0xf2c65152, 0xa88e5a6d, 0xb019fc65, 0xb9d99ec7, 0x9a1231c3, 0xe70eeaa0, 0xfdb1232b, 0xc7353eb0,
    0x3069bad5, 0xcb976d5f, 0x5a0f118f, 0xdc1eeefd, 0x0a35b689, 0xde0b7a04, 0x58f4ca9d, 0xe15d5b16,
    0x007f3e86, 0x37088980, 0xa507ea32, 0x6fab9537, 0x17406110, 0x0d8cd6f1, 0xcdaa3b6d, 0xc0bbbe37,
    0x83613bda, 0xdb48a363, 0x0b02e931, 0x6fd15ca7, 0x521afaca, 0x31338431, 0x6ed41a95, 0x6d437890,
    0xc39c91f2, 0x9eccabbd, 0xb5c9a0e6, 0x532fb63c, 0xd2c741c6, 0x07237ea3, 0xa4954b68, 0x4c191d76,
};

/* Round 0 of the hash of a hash begins from constants: what it adds to word 0 for the new a and e. */
#define SECOND_A 0xfc08884du
#define SECOND_E 0x98c7e2a2u

ALWAYS_INLINE V big_sigma0(V x)
{
    return V_XOR3(V_ROTR(x, 2), V_ROTR(x, 13), V_ROTR(x, 22));
}

ALWAYS_INLINE V big_sigma1(V x)
{
    return V_XOR3(V_ROTR(x, 6), V_ROTR(x, 11), V_ROTR(x, 25));
}

ALWAYS_INLINE V small_sigma0(V x)
{
    return V_XOR3(V_ROTR(x, 7), V_ROTR(x, 18), V_SHR(x, 3));
}

ALWAYS_INLINE V small_sigma1(V x)
{
    return V_XOR3(V_ROTR(x, 17), V_ROTR(x, 19), V_SHR(x, 10));
}

/* Word i of the schedule, i > 15, from the sixteen before it. */
ALWAYS_INLINE V next_word(V w[16], int i)
{
    w[i & 15] = V_ADD(V_ADD(w[i & 15], small_sigma0(w[(i + 1) & 15])),
        V_ADD(w[(i + 9) & 15], small_sigma1(w[(i + 14) & 15])));
    return w[i & 15];
}

/* kw: the round's constant plus its word. ROUND_E leaves out what only later rounds would need. */
#define ROUND_E(a, b, c, d, e, f, g, h, kw)                                                                    \
    do {                                                                                                       \
        h = V_ADD(V_ADD(h, kw), V_ADD(big_sigma1(e), V_CH(e, f, g)));                                          \
        d = V_ADD(d, h);                                                                                       \
    } while (0)
#define ROUND(a, b, c, d, e, f, g, h, kw)                                                                      \
    do {                                                                                                       \
        ROUND_E(a, b, c, d, e, f, g, h, kw);                                                                   \
        h = V_ADD(h, V_ADD(big_sigma0(a), V_MAJ(a, b, c)));                                                    \
    } while (0)
/* Rounds i to i + 3, i divisible by 8, and those behind them: instead of moving, the names rotate. */
#define ROUNDS_LOW(i, KW)                                                                                      \
    do {                                                                                                       \
        ROUND(a, b, c, d, e, f, g, h, KW((i)));                                                                \
        ROUND(h, a, b, c, d, e, f, g, KW((i) + 1));                                                            \
        ROUND(g, h, a, b, c, d, e, f, KW((i) + 2));                                                            \
        ROUND(f, g, h, a, b, c, d, e, KW((i) + 3));                                                            \
    } while (0)
#define ROUNDS_HIGH(i, KW)                                                                                     \
    do {                                                                                                       \
        ROUND(e, f, g, h, a, b, c, d, KW((i)));                                                                \
        ROUND(d, e, f, g, h, a, b, c, KW((i) + 1));                                                            \
        ROUND(c, d, e, f, g, h, a, b, KW((i) + 2));                                                            \
        ROUND(b, c, d, e, f, g, h, a, KW((i) + 3));                                                            \
    } while (0)
#define ROUNDS_8(i, KW)                                                                                        \
    do {                                                                                                       \
        ROUNDS_LOW((i), KW);                                                                                   \
        ROUNDS_HIGH((i) + 4, KW);                                                                              \
    } while (0)

#define KW_GIVEN(i) V_ADD(w[i], V_SET1(sha256_k[i]))
#define KW_NEXT(i) V_ADD(next_word(w, i), V_SET1(sha256_k[i]))
#define KW_LOOP(i) V_ADD(next_word(w, i), V_SET1(sha256_k[at + (i)]))
#define KW_END_64(i) V_SET1(sha256_k_end_64[at + (i)])

ALWAYS_INLINE void start_state(V s[8])
{
    for (int i = 0; i < 8; i++)
        s[i] = V_SET1(sha256_start[i]);
}

/* One block. Never inlined: there are several callers, and the text is long. */
static __attribute__((noinline, unused)) void compress(V s[8], const V block[16])
{
    V w[16] = { block[0], block[1], block[2], block[3], block[4], block[5], block[6], block[7], block[8], block[9],
        block[10], block[11], block[12], block[13], block[14], block[15] };
    V a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];
    ROUNDS_8(0, KW_GIVEN);
    ROUNDS_8(8, KW_GIVEN);
    KEEP_LOOP
    for (int at = 16; at < 64; at += 16) {
        ROUNDS_8(0, KW_LOOP);
        ROUNDS_8(8, KW_LOOP);
    }
    s[0] = V_ADD(s[0], a), s[1] = V_ADD(s[1], b), s[2] = V_ADD(s[2], c), s[3] = V_ADD(s[3], d);
    s[4] = V_ADD(s[4], e), s[5] = V_ADD(s[5], f), s[6] = V_ADD(s[6], g), s[7] = V_ADD(s[7], h);
}

static __attribute__((noinline, unused)) void compress_end_64(V s[8])
{
    V a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];
    KEEP_LOOP
    for (int at = 0; at < 64; at += 8)
        ROUNDS_8(0, KW_END_64);
    s[0] = V_ADD(s[0], a), s[1] = V_ADD(s[1], b), s[2] = V_ADD(s[2], c), s[3] = V_ADD(s[3], d);
    s[4] = V_ADD(s[4], e), s[5] = V_ADD(s[5], f), s[6] = V_ADD(s[6], g), s[7] = V_ADD(s[7], h);
}

/* The block that a hash makes when it is hashed. */
ALWAYS_INLINE void hash_again(V s[8])
{
    V w[16];
    for (int i = 0; i < 8; i++)
        w[i] = s[i];
    w[8] = V_SET1(END_BIT);
    for (int i = 9; i < 15; i++)
        w[i] = V_SET1(0);
    w[15] = V_SET1(HASH_BITS);
    start_state(s);
    compress(s, w);
}

/* SHA256(SHA256(64 bytes)); w holds them. */
ALWAYS_INLINE void double_64_words(V s[8], V w[16])
{
    start_state(s);
    compress(s, w);
    compress_end_64(s);
    hash_again(s);
}

/* ---- mining ---- */

/* Words 16 to 31 of a header's second block: words 5 to 14 are zero, so most terms fall away. */
ALWAYS_INLINE V header_word(V w[16], const struct sha256_grind *m, V nonce, int i)
{
    switch (i) {
    case 16: return w[0] = V_SET1(m->w16);
    case 17: return w[1] = V_SET1(m->w17);
    case 18: return w[2] = V_ADD(V_SET1(m->w18), small_sigma0(nonce));
    case 19: return w[3] = V_ADD(V_SET1(m->w19), nonce);
    case 20: return w[4] = V_ADD(V_SET1(END_BIT), small_sigma1(w[2]));
    case 21: return w[5] = small_sigma1(w[3]);
    case 22: return w[6] = V_ADD(V_SET1(HEADER_BITS), small_sigma1(w[4]));
    case 23: return w[7] = V_ADD(w[0], small_sigma1(w[5]));
    case 24: return w[8] = V_ADD(w[1], small_sigma1(w[6]));
    case 30: return w[14] = V_ADD(V_ADD(w[7], small_sigma1(w[12])), V_SET1(0x00a00055)); /* sigma0(640) */
    case 31: return w[15] = V_ADD(V_ADD(w[8], small_sigma1(w[13])), V_SET1(m->w31));
    default: return w[i - 16] = V_ADD(w[i - 23], small_sigma1(w[i - 18])); /* 25 to 29 */
    }
}

/* ... and of the block that holds a hash: words 9 to 14 are zero. */
ALWAYS_INLINE V second_word(V w[16], int i)
{
    V sum = i < 24 ? w[i & 15] : V_SET1(0);
    switch (i) {
    case 16: return w[0] = V_ADD(sum, small_sigma0(w[1]));
    case 17: return w[1] = V_ADD(V_ADD(sum, small_sigma0(w[2])), V_SET1(0x00a00000)); /* sigma1(256) */
    case 18:
    case 19:
    case 20:
    case 21: return w[i & 15] = V_ADD(V_ADD(sum, small_sigma0(w[(i + 1) & 15])), small_sigma1(w[i - 18]));
    case 22: return w[6] = V_ADD(V_ADD(sum, small_sigma0(w[7])), V_ADD(V_SET1(HASH_BITS), small_sigma1(w[4])));
    case 23: return w[7] = V_ADD(V_ADD(sum, V_SET1(0x11002000)), V_ADD(w[0], small_sigma1(w[5])));
    case 24: return w[8] = V_ADD(V_SET1(END_BIT), V_ADD(w[1], small_sigma1(w[6])));
    case 30: return w[14] = V_ADD(V_ADD(w[7], small_sigma1(w[12])), V_SET1(0x00400022)); /* sigma0(256) */
    case 31:
        return w[15] = V_ADD(V_ADD(V_SET1(HASH_BITS), small_sigma0(w[0])), V_ADD(w[8], small_sigma1(w[13])));
    default: return w[i - 16] = V_ADD(w[i - 23], small_sigma1(w[i - 18])); /* 25 to 29 */
    }
}

#define KW_HEADER(i) V_SET1(sha256_k[i] + ((i) == 4 ? END_BIT : (i) == 15 ? HEADER_BITS : 0u))
#define KW_HEADER_NEXT(i) V_ADD(header_word(w, m, nonce, i), V_SET1(sha256_k[i]))
#define KW_SECOND(i) V_SET1(sha256_k[i] + ((i) == 8 ? END_BIT : (i) == 15 ? HASH_BITS : 0u))
#define KW_SECOND_NEXT(i) V_ADD(second_word(w, i), V_SET1(sha256_k[i]))

/* The header's first hash. nonce: the header's last word, big-endian as all of them. */
ALWAYS_INLINE void header_hash(V s[8], const struct sha256_grind *m, V nonce)
{
    V w[16];
    V e = V_ADD(V_SET1(m->after4[0]), nonce), f = V_SET1(m->after4[1]), g = V_SET1(m->after4[2]);
    V h = V_SET1(m->after4[3]), a = V_ADD(V_SET1(m->after4[4]), nonce), b = V_SET1(m->after4[5]);
    V c = V_SET1(m->after4[6]), d = V_SET1(m->after4[7]);
    ROUNDS_HIGH(4, KW_HEADER);
    ROUNDS_8(8, KW_HEADER);
    ROUNDS_8(16, KW_HEADER_NEXT);
    ROUNDS_8(24, KW_HEADER_NEXT);
    KEEP_LOOP
    for (int at = 32; at < 64; at += 16) {
        ROUNDS_8(0, KW_LOOP);
        ROUNDS_8(8, KW_LOOP);
    }
    s[0] = V_ADD(V_SET1(m->mid[0]), a), s[1] = V_ADD(V_SET1(m->mid[1]), b);
    s[2] = V_ADD(V_SET1(m->mid[2]), c), s[3] = V_ADD(V_SET1(m->mid[3]), d);
    s[4] = V_ADD(V_SET1(m->mid[4]), e), s[5] = V_ADD(V_SET1(m->mid[5]), f);
    s[6] = V_ADD(V_SET1(m->mid[6]), g), s[7] = V_ADD(V_SET1(m->mid[7]), h);
}

/* The last word of the hash of the hash w: it is the e of round 60, so the rest is never worked out. */
ALWAYS_INLINE V second_hash_last(V w[16])
{
    V h = V_ADD(w[0], V_SET1(SECOND_A)), d = V_ADD(w[0], V_SET1(SECOND_E));
    V a = V_SET1(sha256_start[0]), b = V_SET1(sha256_start[1]), c = V_SET1(sha256_start[2]);
    V e = V_SET1(sha256_start[4]), f = V_SET1(sha256_start[5]), g = V_SET1(sha256_start[6]);
    ROUND(h, a, b, c, d, e, f, g, KW_GIVEN(1));
    ROUND(g, h, a, b, c, d, e, f, KW_GIVEN(2));
    ROUND(f, g, h, a, b, c, d, e, KW_GIVEN(3));
    ROUNDS_HIGH(4, KW_GIVEN);
    ROUNDS_8(8, KW_SECOND);
    ROUNDS_8(16, KW_SECOND_NEXT);
    ROUNDS_8(24, KW_SECOND_NEXT);
    KEEP_LOOP
    for (int at = 32;; at += 16) {
        ROUNDS_8(0, KW_LOOP);
        ROUND(a, b, c, d, e, f, g, h, KW_LOOP(8));
        if (at == 48)
            break;
        ROUND(h, a, b, c, d, e, f, g, KW_LOOP(9));
        ROUND(g, h, a, b, c, d, e, f, KW_LOOP(10));
        ROUND(f, g, h, a, b, c, d, e, KW_LOOP(11));
        ROUNDS_HIGH(12, KW_LOOP);
    }
    ROUND_E(h, a, b, c, d, e, f, g, KW_NEXT(57));
    ROUND_E(g, h, a, b, c, d, e, f, KW_NEXT(58));
    ROUND_E(f, g, h, a, b, c, d, e, KW_NEXT(59));
    ROUND_E(e, f, g, h, a, b, c, d, KW_NEXT(60));
    return V_ADD(h, V_SET1(sha256_start[7]));
}

/* The same word without any of these savings. */
ALWAYS_INLINE V bare_last(const struct sha256_grind *m, V nonce)
{
    V s[8], w[16] = { V_SET1(m->tail[0]), V_SET1(m->tail[1]), V_SET1(m->tail[2]), V_BSWAP(nonce), V_SET1(END_BIT) };
    for (int i = 5; i < 15; i++)
        w[i] = V_SET1(0);
    w[15] = V_SET1(HEADER_BITS);
    for (int i = 0; i < 8; i++)
        s[i] = V_SET1(m->mid[i]);
    compress(s, w);
    hash_again(s);
    return s[7];
}

/* What struct sha256_lane promises of grind and bare. */
ALWAYS_INLINE size_t grind_groups(const struct sha256_grind *m, uint32_t first, size_t groups)
{
    V top = V_SET1(m->top), nonce = V_ADD(V_SET1(first), V_INDEX);
    for (size_t i = 0; i < groups; i++) {
        V w[16];
        header_hash(w, m, V_BSWAP(nonce));
        V last = second_hash_last(w); /* the macros may name their operands twice */
        last = V_BSWAP(last);
        uint32_t hits = (uint32_t)V_NOT_ABOVE(last, top);
        if (hits != 0)
            return i * V_LANES + (size_t)__builtin_ctz(hits);
        nonce = V_ADD(nonce, V_SET1(V_LANES));
    }
    return groups * V_LANES;
}

ALWAYS_INLINE uint32_t bare_groups(const struct sha256_grind *m, uint32_t first, size_t groups)
{
    V sum = V_SET1(0), nonce = V_ADD(V_SET1(first), V_INDEX);
    for (size_t i = 0; i < groups; i++) {
        sum = V_ADD(sum, bare_last(m, nonce));
        nonce = V_ADD(nonce, V_SET1(V_LANES));
    }
    uint32_t parts[V_LANES], total = 0;
    V_STORE(parts, sum);
    for (int i = 0; i < V_LANES; i++)
        total += parts[i];
    return total;
}

#endif
