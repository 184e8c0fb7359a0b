/* SHA-256 with the processor's own instructions (SHA-NI). One instruction does two rounds but its result is
 * late, so wherever there are many messages two are worked on in turn.
 * The instructions hold the state as the words (f, e, b, a) and (h, g, d, c), lowest first. */

#include "sha256_lanes.h"

#if defined(__SHA__) && defined(__SSE4_1__)

#include <immintrin.h>

#include "sha256_rounds.h"

#define WIDTH 2

struct stream {
    __m128i abef, cdgh;
    __m128i w[4]; /* sixteen words of the schedule */
};

ALWAYS_INLINE __m128i load_4(const void *p)
{
    return _mm_loadu_si128((const __m128i *)p);
}

ALWAYS_INLINE void set_state(struct stream *s, const uint32_t state[8])
{
    __m128i low = _mm_shuffle_epi32(load_4(state), 0xb1), high = _mm_shuffle_epi32(load_4(state + 4), 0x1b);
    s->abef = _mm_alignr_epi8(low, high, 8);
    s->cdgh = _mm_blend_epi16(high, low, 0xf0);
}

ALWAYS_INLINE void get_state(__m128i out[2], __m128i abef, __m128i cdgh)
{
    __m128i low = _mm_shuffle_epi32(abef, 0x1b), high = _mm_shuffle_epi32(cdgh, 0xb1);
    out[0] = _mm_blend_epi16(low, high, 0xf0);
    out[1] = _mm_alignr_epi8(high, low, 8);
}

ALWAYS_INLINE __m128i swap_4(__m128i x)
{
    return _mm_shuffle_epi8(x, _mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12));
}

ALWAYS_INLINE void two_rounds(struct stream *s, __m128i kw) /* its lower two words; abef and cdgh trade places */
{
    __m128i next = _mm_sha256rnds2_epu32(s->cdgh, s->abef, kw);
    s->cdgh = s->abef;
    s->abef = next;
}

/* The words that round q * 4 + 12 and the three behind it need, from those before. */
ALWAYS_INLINE void schedule(struct stream *s, int q)
{
    __m128i *w = s->w;
    if (q >= 3 && q < 15) {
        __m128i middle = _mm_alignr_epi8(w[q & 3], w[(q + 3) & 3], 4);
        w[(q + 1) & 3] = _mm_sha256msg2_epu32(_mm_add_epi32(w[(q + 1) & 3], middle), w[q & 3]);
    }
    if (q >= 1 && q < 13)
        w[(q + 3) & 3] = _mm_sha256msg1_epu32(w[(q + 3) & 3], w[q & 3]);
}

ALWAYS_INLINE void four_rounds(struct stream *s, int q)
{
    __m128i kw = _mm_add_epi32(s->w[q & 3], load_4(sha256_k + 4 * q));
    two_rounds(s, kw);
    schedule(s, q);
    two_rounds(s, _mm_shuffle_epi32(kw, 0x0e));
}

ALWAYS_INLINE void compress_one(struct stream *s)
{
    __m128i abef = s->abef, cdgh = s->cdgh;
    four_rounds(s, 0), four_rounds(s, 1), four_rounds(s, 2), four_rounds(s, 3);
    four_rounds(s, 4), four_rounds(s, 5), four_rounds(s, 6), four_rounds(s, 7);
    four_rounds(s, 8), four_rounds(s, 9), four_rounds(s, 10), four_rounds(s, 11);
    four_rounds(s, 12), four_rounds(s, 13), four_rounds(s, 14), four_rounds(s, 15);
    s->abef = _mm_add_epi32(s->abef, abef);
    s->cdgh = _mm_add_epi32(s->cdgh, cdgh);
}

#define BOTH(q) four_rounds(a, q), four_rounds(b, q)

ALWAYS_INLINE void compress_two(struct stream *a, struct stream *b)
{
    __m128i a0 = a->abef, a1 = a->cdgh, b0 = b->abef, b1 = b->cdgh;
    BOTH(0), BOTH(1), BOTH(2), BOTH(3), BOTH(4), BOTH(5), BOTH(6), BOTH(7);
    BOTH(8), BOTH(9), BOTH(10), BOTH(11), BOTH(12), BOTH(13), BOTH(14), BOTH(15);
    a->abef = _mm_add_epi32(a->abef, a0), a->cdgh = _mm_add_epi32(a->cdgh, a1);
    b->abef = _mm_add_epi32(b->abef, b0), b->cdgh = _mm_add_epi32(b->cdgh, b1);
}

ALWAYS_INLINE void load_block(struct stream *s, const uint8_t *data)
{
    for (int i = 0; i < 4; i++)
        s->w[i] = swap_4(load_4(data + 16 * i));
}

static void blocks(uint32_t state[8], const uint8_t *data, size_t count)
{
    struct stream s;
    __m128i out[2];
    set_state(&s, state);
    for (; count > 0; count--, data += 64) {
        load_block(&s, data);
        compress_one(&s);
    }
    get_state(out, s.abef, s.cdgh);
    _mm_storeu_si128((__m128i *)(void *)state, out[0]);
    _mm_storeu_si128((__m128i *)(void *)(state + 4), out[1]);
}

/* The block behind a message of 64 bytes: constants only. */
ALWAYS_INLINE void compress_two_end_64(struct stream *a, struct stream *b)
{
    __m128i a0 = a->abef, a1 = a->cdgh, b0 = b->abef, b1 = b->cdgh;
    for (int q = 0; q < 16; q++) {
        __m128i kw = load_4(sha256_k_end_64 + 4 * q), high = _mm_shuffle_epi32(kw, 0x0e);
        two_rounds(a, kw);
        two_rounds(b, kw);
        two_rounds(a, high);
        two_rounds(b, high);
    }
    a->abef = _mm_add_epi32(a->abef, a0), a->cdgh = _mm_add_epi32(a->cdgh, a1);
    b->abef = _mm_add_epi32(b->abef, b0), b->cdgh = _mm_add_epi32(b->cdgh, b1);
}

ALWAYS_INLINE void take_hash(struct stream *s) /* the state becomes the next message */
{
    get_state(s->w, s->abef, s->cdgh);
    s->w[2] = _mm_setr_epi32((int)END_BIT, 0, 0, 0);
    s->w[3] = _mm_setr_epi32(0, 0, 0, HASH_BITS);
    set_state(s, sha256_start);
}

ALWAYS_INLINE void store_hash(uint8_t *out, const struct stream *s)
{
    __m128i words[2];
    get_state(words, s->abef, s->cdgh);
    _mm_storeu_si128((__m128i *)(void *)out, swap_4(words[0]));
    _mm_storeu_si128((__m128i *)(void *)(out + 16), swap_4(words[1]));
}

static void double_64(uint8_t *out, const uint8_t *in, size_t groups)
{
    for (; groups > 0; groups--, in += WIDTH * 64, out += WIDTH * 32) {
        struct stream a, b;
        set_state(&a, sha256_start);
        b.abef = a.abef, b.cdgh = a.cdgh;
        load_block(&a, in);
        load_block(&b, in + 64);
        compress_two(&a, &b);
        compress_two_end_64(&a, &b);
        take_hash(&a);
        take_hash(&b);
        compress_two(&a, &b);
        store_hash(out, &a);
        store_hash(out + 32, &b);
    }
}

/* ---- mining ---- */

ALWAYS_INLINE void set_header(struct stream *s, const struct sha256_grind *g, uint32_t nonce)
{
    s->w[0] = _mm_setr_epi32((int)g->tail[0], (int)g->tail[1], (int)g->tail[2], (int)__builtin_bswap32(nonce));
    s->w[1] = _mm_setr_epi32((int)END_BIT, 0, 0, 0);
    s->w[2] = _mm_setzero_si128();
    s->w[3] = _mm_setr_epi32(0, 0, 0, HEADER_BITS);
}

/* Both first hashes; the rounds 0 and 1 are done. start: the state after them, mid: before. */
ALWAYS_INLINE void header_two(struct stream *a, struct stream *b, const struct stream *start, const struct stream *mid)
{
    a->abef = b->abef = start->abef;
    a->cdgh = b->cdgh = start->cdgh;
    two_rounds(a, _mm_shuffle_epi32(_mm_add_epi32(a->w[0], load_4(sha256_k)), 0x0e));
    two_rounds(b, _mm_shuffle_epi32(_mm_add_epi32(b->w[0], load_4(sha256_k)), 0x0e));
    BOTH(1), BOTH(2), BOTH(3), BOTH(4), BOTH(5), BOTH(6), BOTH(7);
    BOTH(8), BOTH(9), BOTH(10), BOTH(11), BOTH(12), BOTH(13), BOTH(14), BOTH(15);
    a->abef = _mm_add_epi32(a->abef, mid->abef), a->cdgh = _mm_add_epi32(a->cdgh, mid->cdgh);
    b->abef = _mm_add_epi32(b->abef, mid->abef), b->cdgh = _mm_add_epi32(b->cdgh, mid->cdgh);
}

ALWAYS_INLINE uint32_t last_word(const struct stream *s) /* of a hash: f after round 61, no feed-forward yet */
{
    return (uint32_t)_mm_cvtsi128_si32(s->abef) + sha256_start[7];
}

/* Both second hashes as far as their last word needs them: the rounds 62 and 63 are left out. */
ALWAYS_INLINE void second_two(struct stream *a, struct stream *b)
{
    take_hash(a);
    take_hash(b);
    BOTH(0), BOTH(1), BOTH(2), BOTH(3), BOTH(4), BOTH(5), BOTH(6), BOTH(7);
    BOTH(8), BOTH(9), BOTH(10), BOTH(11), BOTH(12), BOTH(13), BOTH(14);
    two_rounds(a, _mm_add_epi32(a->w[3], load_4(sha256_k + 60)));
    two_rounds(b, _mm_add_epi32(b->w[3], load_4(sha256_k + 60)));
}

static size_t grind(const struct sha256_grind *g, uint32_t first, size_t groups)
{
    struct stream start, mid, a, b;
    set_state(&start, g->after2);
    set_state(&mid, g->mid);
    for (size_t i = 0; i < groups; i++) {
        uint32_t nonce = first + (uint32_t)(WIDTH * i);
        set_header(&a, g, nonce);
        set_header(&b, g, nonce + 1);
        header_two(&a, &b, &start, &mid);
        second_two(&a, &b);
        if (__builtin_bswap32(last_word(&a)) <= g->top)
            return WIDTH * i;
        if (__builtin_bswap32(last_word(&b)) <= g->top)
            return WIDTH * i + 1;
    }
    return WIDTH * groups;
}

static uint32_t bare(const struct sha256_grind *g, uint32_t first, size_t groups)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < groups; i++) {
        struct stream a, b;
        __m128i words[2];
        set_header(&a, g, first + (uint32_t)(WIDTH * i));
        set_header(&b, g, first + (uint32_t)(WIDTH * i) + 1);
        set_state(&a, g->mid);
        set_state(&b, g->mid);
        compress_two(&a, &b);
        take_hash(&a);
        take_hash(&b);
        compress_two(&a, &b);
        get_state(words, a.abef, a.cdgh);
        sum += (uint32_t)_mm_extract_epi32(words[1], 3);
        get_state(words, b.abef, b.cdgh);
        sum += (uint32_t)_mm_extract_epi32(words[1], 3);
    }
    return sum;
}

const struct sha256_lane sha256_lane_shani = {
    .name = "shani", .width = WIDTH, .blocks = blocks, .double_64 = double_64, .grind = grind, .bare = bare
};

#else

const struct sha256_lane sha256_lane_shani = { .name = "shani" };

#endif
