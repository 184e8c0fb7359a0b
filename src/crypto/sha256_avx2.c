/* SHA-256 of eight messages at once with AVX2. */

#include "sha256_lanes.h"

#ifdef __AVX2__

#include <immintrin.h>

#define V __m256i
#define V_LANES 8
#define V_SET1(x) _mm256_set1_epi32((int)(x))
#define V_INDEX _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)
#define V_ADD(x, y) _mm256_add_epi32(x, y)
#define V_XOR(x, y) _mm256_xor_si256(x, y)
#define V_AND(x, y) _mm256_and_si256(x, y)
#define V_OR(x, y) _mm256_or_si256(x, y)
#define V_SHR(x, n) _mm256_srli_epi32(x, n)
#define V_ROTR(x, n) V_OR(_mm256_srli_epi32(x, n), _mm256_slli_epi32(x, 32 - (n)))
#define V_XOR3(x, y, z) V_XOR(V_XOR(x, y), z)
#define V_CH(x, y, z) V_XOR(z, V_AND(x, V_XOR(y, z)))
#define V_MAJ(x, y, z) V_OR(V_AND(x, y), V_AND(z, V_OR(x, y)))
#define V_BSWAP(x)                                                                                             \
    _mm256_shuffle_epi8(x, _mm256_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, 3, 2, 1, 0,  \
                               7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12))
#define V_NOT_ABOVE(x, y)                                                                                      \
    _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_min_epu32(x, y), x)))
#define V_STORE(to, x) _mm256_storeu_si256((__m256i *)(void *)(to), x)

#include "sha256_rounds.h"

static const __m128i *at_128(const uint8_t *p)
{
    return (const __m128i *)(const void *)p;
}

/* Four vectors with a row of four words per 128 bits: turned within those. */
static void turn(V x[4])
{
    V a = _mm256_unpacklo_epi32(x[0], x[1]), b = _mm256_unpackhi_epi32(x[0], x[1]);
    V c = _mm256_unpacklo_epi32(x[2], x[3]), d = _mm256_unpackhi_epi32(x[2], x[3]);
    x[0] = _mm256_unpacklo_epi64(a, c);
    x[1] = _mm256_unpackhi_epi64(a, c);
    x[2] = _mm256_unpacklo_epi64(b, d);
    x[3] = _mm256_unpackhi_epi64(b, d);
}

static void load_words(V w[16], const uint8_t *in) /* lane 4 * j + i: message 4 * j + i */
{
    for (int quarter = 0; quarter < 4; quarter++) {
        for (int i = 0; i < 4; i++) {
            const uint8_t *p = in + 64 * i + 16 * quarter;
            V row = _mm256_castsi128_si256(_mm_loadu_si128(at_128(p)));
            row = _mm256_inserti128_si256(row, _mm_loadu_si128(at_128(p + 256)), 1);
            w[4 * quarter + i] = V_BSWAP(row);
        }
        turn(w + 4 * quarter);
    }
}

static void store_hashes(uint8_t *out, V s[8])
{
    for (int half = 0; half < 2; half++) {
        turn(s + 4 * half);
        for (int i = 0; i < 4; i++) {
            V row = V_BSWAP(s[4 * half + i]);
            uint8_t *p = out + 32 * i + 16 * half;
            _mm_storeu_si128((__m128i *)(void *)p, _mm256_castsi256_si128(row));
            _mm_storeu_si128((__m128i *)(void *)(p + 128), _mm256_extracti128_si256(row, 1));
        }
    }
}

static void double_64(uint8_t *out, const uint8_t *in, size_t groups)
{
    for (; groups > 0; groups--, in += V_LANES * 64, out += V_LANES * 32) {
        V s[8], w[16];
        load_words(w, in);
        double_64_words(s, w);
        store_hashes(out, s);
    }
}

static size_t grind(const struct sha256_grind *g, uint32_t first, size_t groups)
{
    return grind_groups(g, first, groups);
}

static uint32_t bare(const struct sha256_grind *g, uint32_t first, size_t groups)
{
    return bare_groups(g, first, groups);
}

const struct sha256_lane sha256_lane_avx2 = {
    .name = "avx2", .width = V_LANES, .double_64 = double_64, .grind = grind, .bare = bare
};

#else

const struct sha256_lane sha256_lane_avx2 = { .name = "avx2" };

#endif
