/* pow.h - proof of work and difficulty: which bits are due, and is a hash good enough.
 * Pure: sees past headers only through a struct pow_view. Thread: any. */
#ifndef COIN_CONSENSUS_POW_H
#define COIN_CONSENSUS_POW_H

#include "coin/chain/chain.h"

struct pow_point { /* what difficulty needs of a header */
    int32_t height;
    uint32_t time_s, bits;
};
/* A branch of headers that ends at tip_height. `at` answers for any height the algorithm may ask:
 * from tip_height down to tip_height - pow_window(chain), never below 0. */
struct pow_view {
    const void *ctx;
    struct pow_point (*at)(const void *ctx, int32_t height);
    int32_t tip_height;
};

/* How many headers before the tip `pow_bits_due` may look at. */
int32_t pow_window(const struct chain *chain);
/* The compact target due for the block after view's tip; time_s: its own time (testnet's 20-minute rule).*/
uint32_t pow_bits_due(const struct chain *chain, const struct pow_view *view, uint32_t time_s);
/* The target that its hash must meet: bits decoded, then relief (lwma) for the time since the parent. */
struct u256 pow_target(const struct chain *chain, uint32_t bits, uint32_t time_s, uint32_t parent_time_s);
/* FAIL_INVALID "high-hash" (also for negative, zero, overflowing targets and above the limit). */
bool pow_check(const struct chain *chain, const struct block_id *id, uint32_t bits, uint32_t time_s,
    uint32_t parent_time_s, struct fail *why) MUST_USE;
/* Work that a block adds: of the relieved target. */
struct u256 pow_work(const struct chain *chain, uint32_t bits, uint32_t time_s, uint32_t parent_time_s);
/* Can a header with new_bits follow, `spacing_blocks` later, one with old_bits? Bounds low-work spam
 * without an index: false only when no honest chain could do so. */
bool pow_permitted(const struct chain *chain, int32_t height, uint32_t old_bits, uint32_t new_bits);
/* Difficulty as RPC shows it: target of 0x1d00ffff over the target of bits. */
double pow_difficulty(uint32_t bits);

#endif
