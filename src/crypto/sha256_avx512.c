/* SHA-256 of sixteen messages at once with AVX-512: it rotates, and joins three operands, in one step. */

#include "sha256_lanes.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)

#include <immintrin.h>

#define V __m512i
#define V_LANES 16
#define V_SET1(x) _mm512_set1_epi32((int)(x))
#define V_INDEX _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
#define V_ADD(x, y) _mm512_add_epi32(x, y)
#define V_SHR(x, n) _mm512_srli_epi32(x, n)
#define V_ROTR(x, n) _mm512_ror_epi32(x, n)
#define V_XOR3(x, y, z) _mm512_ternarylogic_epi32(x, y, z, 0x96)
#define V_CH(x, y, z) _mm512_ternarylogic_epi32(x, y, z, 0xca)
#define V_MAJ(x, y, z) _mm512_ternarylogic_epi32(x, y, z, 0xe8)
#define V_BSWAP(x)                                                                                             \
    _mm512_shuffle_epi8(x,                                                                                     \
        _mm512_broadcast_i32x4(_mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12)))
#define V_NOT_ABOVE(x, y) _mm512_cmple_epu32_mask(x, y)
#define V_STORE(to, x) _mm512_storeu_si512(to, x)

#include "sha256_rounds.h"

static __m128i load_128(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

static void store_128(uint8_t *p, __m128i x)
{
    _mm_storeu_si128((__m128i *)(void *)p, x);
}

/* Four vectors with a row of four words per 128 bits: turned within those. */
static void turn(V x[4])
{
    V a = _mm512_unpacklo_epi32(x[0], x[1]), b = _mm512_unpackhi_epi32(x[0], x[1]);
    V c = _mm512_unpacklo_epi32(x[2], x[3]), d = _mm512_unpackhi_epi32(x[2], x[3]);
    x[0] = _mm512_unpacklo_epi64(a, c);
    x[1] = _mm512_unpackhi_epi64(a, c);
    x[2] = _mm512_unpacklo_epi64(b, d);
    x[3] = _mm512_unpackhi_epi64(b, d);
}

static void load_words(V w[16], const uint8_t *in) /* lane 4 * j + i: message 4 * j + i */
{
    for (int quarter = 0; quarter < 4; quarter++) {
        for (int i = 0; i < 4; i++) {
            const uint8_t *p = in + 64 * i + 16 * quarter;
            V row = _mm512_castsi128_si512(load_128(p));
            row = _mm512_inserti32x4(row, load_128(p + 256), 1);
            row = _mm512_inserti32x4(row, load_128(p + 512), 2);
            row = _mm512_inserti32x4(row, load_128(p + 768), 3);
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
            store_128(p, _mm512_castsi512_si128(row));
            store_128(p + 128, _mm512_extracti32x4_epi32(row, 1));
            store_128(p + 256, _mm512_extracti32x4_epi32(row, 2));
            store_128(p + 384, _mm512_extracti32x4_epi32(row, 3));
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

const struct sha256_lane sha256_lane_avx512 = {
    .name = "avx512", .width = V_LANES, .double_64 = double_64, .grind = grind, .bare = bare
};

#else

const struct sha256_lane sha256_lane_avx512 = { .name = "avx512" };

#endif
