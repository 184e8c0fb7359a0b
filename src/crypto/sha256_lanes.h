/* sha256_lanes.h - what one instruction set does for SHA-256. Each has a file of its own, compiled with its
 * own flags; sha256_choose.c picks those that this processor has and that pass their self-test. */
#ifndef COIN_SRC_CRYPTO_SHA256_LANES_H
#define COIN_SRC_CRYPTO_SHA256_LANES_H

#include "coin/base/bytes.h"

/* A header's second block has four words of its own, and only the last, the nonce, changes while mining:
 * all that does not hang on it is worked out once. Words 16 and on: FIPS 180-4, 6.2.2. */
struct sha256_grind {
    uint32_t mid[8];    /* the state after the header's first 64 bytes */
    uint32_t tail[3];   /* words 0 to 2 of the second block */
    uint32_t after2[8]; /* the state after the rounds 0 and 1 */
    uint32_t after4[8]; /* ... after round 3 if the nonce word were 0; [0] and [4] still lack the nonce word */
    uint32_t w16, w17, w18, w19, w31; /* of 18, 19 and 31 the part without the nonce */
    uint32_t top;       /* the target's highest 32 bits: hashes above are no candidates */
};

/* Lanes work on `width` messages at once; groups: how many times that. */
struct sha256_lane {
    const char *name;
    uint32_t width; /* 0: this build has no such instructions */
    /* One stream; NULL: not made for that. */
    void (*blocks)(uint32_t state[8], const uint8_t *data, size_t count);
    void (*double_64)(uint8_t *out, const uint8_t *in, size_t groups);
    /* The offset from `first` of the first candidate, or groups * width. */
    size_t (*grind)(const struct sha256_grind *g, uint32_t first, size_t groups);
    /* Two whole compressions a nonce; returns the sum of the last words. */
    uint32_t (*bare)(const struct sha256_grind *g, uint32_t first, size_t groups);
};

extern const struct sha256_lane sha256_lane_portable, sha256_lane_shani, sha256_lane_avx2, sha256_lane_avx512;

#define SHA256_WIDE_MAX 3
struct sha256_choice {
    const char *name;
    const struct sha256_lane *stream, *grind;
    const struct sha256_lane *wide[SHA256_WIDE_MAX]; /* for double_64, in this order; NULL ends */
};

bool sha256_choose(struct sha256_choice *out, const char *only, struct fail *why) MUST_USE;
void sha256_grind_prepare(struct sha256_grind *g, const uint8_t header80[80], uint32_t top);

#endif
