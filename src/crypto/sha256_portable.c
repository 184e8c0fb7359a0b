/* SHA-256 in plain C, one message at a time: what every processor can do, and what the other instruction
 * sets are held against. */

#include "sha256_rounds.h"

#include <string.h>

static uint32_t load_be(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void load_block(uint32_t w[16], const uint8_t *data)
{
    for (int i = 0; i < 16; i++)
        w[i] = load_be(data + 4 * i);
}

static void blocks(uint32_t state[8], const uint8_t *data, size_t count)
{
    for (; count > 0; count--, data += 64) {
        uint32_t w[16];
        load_block(w, data);
        compress(state, w);
    }
}

static void double_64(uint8_t *out, const uint8_t *in, size_t groups)
{
    for (; groups > 0; groups--, in += 64, out += 32) {
        uint32_t s[8], w[16];
        load_block(w, in);
        double_64_words(s, w);
        for (int i = 0; i < 8; i++)
            put_u32be(out + 4 * i, s[i]);
    }
}

/* Not grind_groups: it saves a tenth of the operations, but one word wide it is the fetching of so long a
 * text that takes the time, and both hashes through one text are half as fast again (measured on Zen 5). */
static size_t grind(const struct sha256_grind *g, uint32_t first, size_t groups)
{
    for (size_t i = 0; i < groups; i++) {
        if (__builtin_bswap32(bare_last(g, first + (uint32_t)i)) <= g->top)
            return i;
    }
    return groups;
}

static uint32_t bare(const struct sha256_grind *g, uint32_t first, size_t groups)
{
    return bare_groups(g, first, groups);
}

const struct sha256_lane sha256_lane_portable = {
    .name = "portable", .width = 1, .blocks = blocks, .double_64 = double_64, .grind = grind, .bare = bare
};

/* One round with its names moved, for the few that are done once a header. */
static void plain_round(uint32_t s[8], uint32_t kw)
{
    uint32_t a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];
    ROUND(a, b, c, d, e, f, g, h, kw);
    const uint32_t after[8] = { h, a, b, c, d, e, f, g };
    memcpy(s, after, sizeof after);
}

void sha256_grind_prepare(struct sha256_grind *g, const uint8_t header80[80], uint32_t top)
{
    memcpy(g->mid, sha256_start, sizeof g->mid);
    blocks(g->mid, header80, 1);
    for (int i = 0; i < 3; i++)
        g->tail[i] = load_be(header80 + 64 + 4 * i);
    uint32_t s[8];
    memcpy(s, g->mid, sizeof s);
    plain_round(s, sha256_k[0] + g->tail[0]);
    plain_round(s, sha256_k[1] + g->tail[1]);
    memcpy(g->after2, s, sizeof s);
    plain_round(s, sha256_k[2] + g->tail[2]);
    plain_round(s, sha256_k[3]);
    memcpy(g->after4, s, sizeof s);
    g->w16 = g->tail[0] + small_sigma0(g->tail[1]);
    g->w17 = g->tail[1] + small_sigma0(g->tail[2]) + small_sigma1(HEADER_BITS);
    g->w18 = g->tail[2] + small_sigma1(g->w16);
    g->w19 = small_sigma0(END_BIT) + small_sigma1(g->w17);
    g->w31 = HEADER_BITS + small_sigma0(g->w16);
    g->top = top;
}
