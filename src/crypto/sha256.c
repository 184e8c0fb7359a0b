/* SHA-256: streams, pairs of hashes and mining. The rounds are done by the instructions that
 * sha256_choose.c picked; this file cuts the work to their widths and does what is left over. */

#include "coin/crypto/sha256.h"

#include <string.h>

#include "sha256_lanes.h"

/* The plain code serves until sha256_init, which runs before there is a second thread. */
static struct sha256_choice chosen = { .name = "portable", .stream = &sha256_lane_portable,
    .grind = &sha256_lane_portable, .wide = { &sha256_lane_portable } };

bool sha256_init(const char *only, struct fail *why)
{
    struct sha256_choice choice;
    if (!sha256_choose(&choice, only, why))
        return false;
    chosen = choice;
    return true;
}

const char *sha256_name(void)
{
    return chosen.name;
}

void sha256_begin(struct sha256 *s)
{
    static const uint32_t initial[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
        0x1f83d9ab, 0x5be0cd19 };
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
        chosen.stream->blocks(s->state, s->block, 1);
        p += 64 - held;
        size_b -= 64 - held;
        held = 0;
    }
    if (size_b >= 64) {
        chosen.stream->blocks(s->state, p, size_b / 64);
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
    for (size_t i = 0; i < SHA256_WIDE_MAX && chosen.wide[i] != NULL; i++) {
        size_t groups = count / chosen.wide[i]->width, done = groups * chosen.wide[i]->width;
        if (groups == 0)
            continue;
        chosen.wide[i]->double_64(out, in, groups);
        in += 64 * done;
        out += 32 * done;
        count -= done;
    }
    for (; count > 0; count--, in += 64, out += 32)
        sha256d(out, in, 64);
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
    struct sha256_grind g;
    const size_t width = chosen.grind->width;
    memcpy(header, header80, sizeof header);
    sha256_grind_prepare(&g, header80, get_u32le(target_le + 28));
    for (size_t at = 0; at < count;) {
        size_t groups = (count - at + width - 1) / width; /* the last may look beyond the end */
        at += chosen.grind->grind(&g, first + (uint32_t)at, groups);
        if (at >= count)
            break;
        put_u32le(header + 76, first + (uint32_t)at);
        sha256d(hash, header, sizeof header);
        if (meets(hash, target_le)) {
            *nonce = first + (uint32_t)at;
            return true;
        }
        at++; /* above the target in its lower words */
    }
    return false;
}

uint32_t sha256d_grind_bare(const uint8_t header80[80], uint32_t first, uint32_t count)
{
    struct sha256_grind g;
    const uint32_t groups = count / chosen.grind->width, done = groups * chosen.grind->width;
    sha256_grind_prepare(&g, header80, 0);
    return chosen.grind->bare(&g, first, groups) + sha256_lane_portable.bare(&g, first + done, count - done);
}
