/* bench_hash.c - how much each instruction set gains over the plain code, how near the miner comes to the bare
 * compression loop, and how fast merkle roots are. Everything is a ratio of two rates measured in turn (A B A
 * B, the best of each), since other work on the machine slows both alike. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "coin/base/mem.h"
#include "coin/crypto/hash.h"
#include "coin/crypto/sha256.h"

#define ROUNDS 7
#define STREAM_SIZE_B (1u << 20)
#define PAIRS 4096u
#define LEAVES 4000u
#define NONCES (1u << 18)

static const char *const names[] = { "portable", "shani", "avx2", "avx512", NULL };
#define NAMES (sizeof names / sizeof *names)

static uint8_t *memory; /* STREAM_SIZE_B, more than any of the others needs */
static uint8_t header[80];
static volatile uint32_t sink;

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- one piece of work each; the answer is how many units it did ---- */

static double stream(void) /* bytes */
{
    uint8_t out[32];
    sha256(out, memory, STREAM_SIZE_B);
    sink = out[0];
    return STREAM_SIZE_B;
}

static double pairs(void)
{
    sha256d_64(memory + PAIRS * 64, memory, PAIRS);
    return PAIRS;
}

static double grind(void) /* nonces */
{
    static const uint8_t never[32];
    uint32_t nonce;
    sink = sha256d_grind(&nonce, header, sink, NONCES, never);
    return NONCES;
}

static double bare(void)
{
    sink = sha256d_grind_bare(header, sink, NONCES);
    return NONCES;
}

static double merkle(void) /* leaves; copied first, for the root is worked out in place */
{
    uint8_t root[32];
    bool mutated;
    memcpy(memory + LEAVES * 32, memory, LEAVES * 32);
    merkle_root(root, memory + LEAVES * 32, LEAVES, &mutated);
    sink = root[0];
    return LEAVES;
}

static double merkle_one_by_one(void) /* the same tree without pairs */
{
    uint8_t *h = memory + LEAVES * 32;
    memcpy(h, memory, LEAVES * 32);
    for (size_t count = LEAVES; count > 1; count = (count + 1) / 2) {
        if (count % 2 == 1)
            memcpy(h + 32 * count, h + 32 * (count - 1), 32);
        for (size_t i = 0; i < (count + 1) / 2; i++)
            sha256d(h + 32 * i, h + 64 * i, 64);
    }
    sink = h[0];
    return LEAVES;
}

static bool use(const char *name)
{
    struct fail why;
    return sha256_init(name, &why);
}

static double rate_once(double (*work)(void))
{
    double from = now_s();
    double units = work();
    return units / (now_s() - from);
}

/* The best of each of two, measured in turn. */
static void rates(double best[2], const char *name_a, double (*a)(void), const char *name_b, double (*b)(void))
{
    best[0] = best[1] = 0;
    for (int i = 0; i < ROUNDS; i++) {
        double got[2];
        if (!use(name_a))
            return;
        got[0] = rate_once(a);
        if (!use(name_b))
            return;
        got[1] = rate_once(b);
        for (int j = 0; j < 2; j++)
            best[j] = got[j] > best[j] ? got[j] : best[j];
    }
}

static void show(const char *what, const char *name, const double best[2], double scale, const char *unit)
{
    printf("%-34s %-13s %6.2f x   (%.1f / %.1f %s)\n", what, name, best[0] / best[1], best[0] / scale, best[1] / scale,
        unit);
}

int main(void)
{
    struct fail why;
    double best[2];
    bool fast_enough = true;
    memory = mem_new(STREAM_SIZE_B);
    if (!hash_init(&why)) {
        fprintf(stderr, "%s\n", why.detail);
        return 1;
    }
    for (uint32_t i = 0; i < STREAM_SIZE_B; i++)
        memory[i] = (uint8_t)(i * 2654435761u >> 13);
    memcpy(header, memory, sizeof header);
    for (size_t i = 0; i < NAMES; i++) {
        if (!use(names[i])) {
            printf("SKIPPED: no %s here\n", names[i]);
            continue;
        }
        const char *name = sha256_name();
        rates(best, names[i], stream, "portable", stream);
        show("stream / portable", name, best, 1e6, "MB/s");
        rates(best, names[i], pairs, "portable", pairs);
        show("pairs of hashes / portable", name, best, 1e6, "M/s");
        rates(best, names[i], grind, "portable", grind);
        show("mining / portable", name, best, 1e6, "MH/s");
        rates(best, names[i], grind, names[i], bare);
        show("mining / bare compression loop", name, best, 1e6, "MH/s");
        if (names[i] == NULL) /* what a miner gets */
            fast_enough = best[0] >= 0.9 * best[1];
        rates(best, names[i], merkle, names[i], merkle_one_by_one);
        show("merkle root / pair by pair", name, best, 1e6, "M leaves/s");
    }
    mem_free(memory);
    if (!fast_enough)
        printf("the miner is below 90 %% of the bare loop\n");
    return fast_enough ? 0 : 1;
}
