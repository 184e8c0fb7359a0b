/* The miner's loop, one thread, against the bare hash loop that it cannot beat: what the steps, the look at
 * the stop signal and the target cost. Medians of alternating runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../src/mine/internal.h"
#include "coin/crypto/sha256.h"

#define ROUNDS 9
#define HASHES (UINT64_C(1) << 21)

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

int main(void)
{
    struct fail why;
    _Atomic uint64_t epoch = 0;
    struct grind grind = {.epoch = &epoch};
    double bare_s[ROUNDS], miner_s[ROUNDS];
    uint32_t sum = 0;
    if (!sha256_init(NULL, &why)) {
        fprintf(stderr, "%s\n", why.detail);
        return 1;
    }
    memset(grind.header, 0x5a, sizeof grind.header);
    for (int i = 0; i < ROUNDS; i++) {
        double start_s = now_s();
        sum += sha256d_grind_bare(grind.header, 0, (uint32_t)HASHES);
        bare_s[i] = now_s() - start_s;
        grind.count = HASHES; /* the target is zero: no nonce meets it */
        grind.hashes = 0;
        start_s = now_s();
        grind_run(&grind.job);
        miner_s[i] = now_s() - start_s;
        if (grind.found || grind.hashes != HASHES)
            return 1;
    }
    qsort(bare_s, ROUNDS, sizeof *bare_s, by_value);
    qsort(miner_s, ROUNDS, sizeof *miner_s, by_value);
    printf("mine: %.2f MH/s per thread (%s), %.3f of the bare loop's %.2f MH/s%s\n",
        (double)HASHES / miner_s[ROUNDS / 2] / 1e6, sha256_name(), bare_s[ROUNDS / 2] / miner_s[ROUNDS / 2],
        (double)HASHES / bare_s[ROUNDS / 2] / 1e6, sum == 1 ? " " : "");
    return 0;
}
