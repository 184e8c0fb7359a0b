/* Which instructions SHA-256 runs on: those that the processor has and that pass a self-test now, since a
 * node that hashes wrongly follows the wrong chain. The plain code is held against OpenSSL, everything else
 * against the plain code. */

#include "sha256_lanes.h"

#include <openssl/evp.h>
#include <string.h>

#include "sha256_rounds.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

#define TEST_SIZE_MAX_B 200
#define TEST_GROUPS 3
#define TEST_WIDTH_MAX 16
#define TEST_GRINDS 48
#define SHA_NI_BIT (1u << 29) /* cpuid 7, ebx */

static bool has_shani(void);
static bool has_avx2(void);
static bool has_avx512(void);
static bool has_always(void);
static bool passes(const struct sha256_lane *lane);

static const struct row {
    const struct sha256_lane *lane;
    bool (*has)(void);
} rows[] = { /* the fastest at many messages first */
    { &sha256_lane_avx512, has_avx512 }, { &sha256_lane_shani, has_shani }, { &sha256_lane_avx2, has_avx2 },
    { &sha256_lane_portable, has_always },
};
#define ROWS (sizeof rows / sizeof *rows)

static bool usable(const struct row *row)
{
    return row->lane->width > 0 && row->has();
}

static bool choose_only(struct sha256_choice *out, const char *only, struct fail *why)
{
    for (size_t i = 0; i < ROWS; i++) {
        const struct sha256_lane *lane = rows[i].lane;
        if (strcmp(lane->name, only) != 0)
            continue;
        if (!usable(&rows[i]))
            return fail_set(why, FAIL_LOCAL, "sha256-missing", "this processor or build has no %s", only);
        if (!passes(lane))
            return fail_set(why, FAIL_LOCAL, "sha256-self-test", "SHA-256 with %s is wrong here", only);
        const struct sha256_lane *stream = lane->blocks != NULL ? lane : &sha256_lane_portable;
        *out = (struct sha256_choice){ .name = lane->name, .stream = stream, .grind = lane, .wide = { lane } };
        return true;
    }
    return fail_set(why, FAIL_LOCAL, "sha256-unknown", "there is no SHA-256 called %s", only);
}

bool sha256_choose(struct sha256_choice *out, const char *only, struct fail *why)
{
    struct sha256_choice c = { 0 };
    size_t wide = 0;
    if (!passes(&sha256_lane_portable))
        return fail_set(why, FAIL_LOCAL, "sha256-self-test", "SHA-256 disagrees with OpenSSL's: a broken build");
    if (only != NULL)
        return choose_only(out, only, why);
    for (size_t i = 0; i < ROWS; i++) {
        const struct sha256_lane *lane = rows[i].lane;
        if (!usable(&rows[i]) || (lane != &sha256_lane_portable && !passes(lane)))
            continue;
        if (c.stream == NULL && lane->blocks != NULL)
            c.stream = lane;
        /* A wider one after a narrower one never gets anything to do. */
        if (wide < SHA256_WIDE_MAX && (wide == 0 || lane->width < c.wide[wide - 1]->width))
            c.wide[wide++] = lane;
    }
    c.grind = c.wide[0];
    bool two = c.grind == &sha256_lane_avx512 && c.stream == &sha256_lane_shani;
    c.name = two ? "avx512+shani" : c.grind->name;
    *out = c;
    return true;
}

/* ---- what the processor has ---- */

static bool has_always(void)
{
    return true;
}

#if defined(__x86_64__) || defined(__i386__)

static bool has_shani(void)
{
    unsigned a, b, c, d;
    return __builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("ssse3") &&
           __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & SHA_NI_BIT) != 0;
}

static bool has_avx2(void) /* asks the operating system too: does it keep the wide registers? */
{
    return __builtin_cpu_supports("avx2");
}

static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl");
}

#else

static bool has_shani(void)
{
    return false;
}

static bool has_avx2(void)
{
    return false;
}

static bool has_avx512(void)
{
    return false;
}

#endif

/* ---- self-test ---- */

static void fill(uint8_t *out, size_t size_b, uint32_t seed)
{
    for (size_t i = 0; i < size_b; i++) {
        seed = seed * 1664525 + 1013904223;
        out[i] = (uint8_t)(seed >> 24);
    }
}

/* A whole message of at most TEST_SIZE_MAX_B through one lane's stream. */
static void digest(uint8_t out[32], const struct sha256_lane *lane, const uint8_t *data, size_t size_b)
{
    uint8_t padded[TEST_SIZE_MAX_B + 72] = { 0 };
    uint32_t state[8];
    size_t count = (size_b + 9 + 63) / 64;
    memcpy(padded, data, size_b);
    padded[size_b] = 0x80;
    put_u32be(padded + 64 * count - 4, (uint32_t)size_b * 8);
    memcpy(state, sha256_start, sizeof state);
    lane->blocks(state, padded, count);
    for (int i = 0; i < 8; i++)
        put_u32be(out + 4 * i, state[i]);
}

static bool streams(const struct sha256_lane *lane)
{
    uint8_t data[TEST_SIZE_MAX_B], got[32], want[32];
    fill(data, sizeof data, 1);
    for (size_t size_b = 0; size_b <= sizeof data; size_b++) {
        digest(got, lane, data, size_b);
        if (EVP_Digest(data, size_b, want, NULL, EVP_sha256(), NULL) != 1 || memcmp(got, want, 32) != 0)
            return false;
    }
    return true;
}

static void plain_double(uint8_t out[32], const uint8_t *data, size_t size_b)
{
    digest(out, &sha256_lane_portable, data, size_b);
    digest(out, &sha256_lane_portable, out, 32);
}

static bool doubles(const struct sha256_lane *lane)
{
    uint8_t in[TEST_GROUPS * TEST_WIDTH_MAX * 64], want[32];
    fill(in, sizeof in, 2);
    uint8_t out[TEST_GROUPS * TEST_WIDTH_MAX * 32];
    lane->double_64(out, in, TEST_GROUPS);
    for (size_t i = 0; i < TEST_GROUPS * lane->width; i++) {
        plain_double(want, in + 64 * i, 64);
        if (memcmp(out + 32 * i, want, 32) != 0)
            return false;
    }
    return true;
}

/* Targets from "nearly any hash" to "one in 64": first hits, late hits and none come about. */
static bool grinds(const struct sha256_lane *lane)
{
    const size_t count = TEST_GROUPS * lane->width;
    for (uint32_t round = 0; round < TEST_GRINDS; round++) {
        uint8_t header[80], hash[32];
        struct sha256_grind g;
        fill(header, sizeof header, round + 3);
        uint32_t first = round % 2 == 0 ? get_u32le(header + 76) : UINT32_MAX - 3, sum = 0;
        sha256_grind_prepare(&g, header, UINT32_MAX >> round % 7);
        size_t want = count;
        for (size_t i = 0; i < count; i++) {
            put_u32le(header + 76, first + (uint32_t)i);
            plain_double(hash, header, sizeof header);
            sum += get_u32be(hash + 28);
            if (want == count && get_u32le(hash + 28) <= g.top)
                want = i;
        }
        if (lane->grind(&g, first, TEST_GROUPS) != want || lane->bare(&g, first, TEST_GROUPS) != sum)
            return false;
    }
    return true;
}

static bool passes(const struct sha256_lane *lane)
{
    return lane->width <= TEST_WIDTH_MAX && (lane->blocks == NULL || streams(lane)) && doubles(lane) && grinds(lane);
}
