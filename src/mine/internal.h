/* internal.h - what the files of mine/ share. Thread: loop, except grind_run. */
#ifndef COIN_MINE_INTERNAL_H
#define COIN_MINE_INTERNAL_H

#include "coin/mine/miner.h"

/* Hashes between two looks at the stop signal: a few milliseconds of the slowest lane. */
#define GRIND_STEP 16384u

/* One job's share of nonces for one header. */
struct grind {
    struct job job; /* first */
    uint8_t header[HEADER_SIZE_B];
    uint8_t target_le[32];
    uint32_t first;
    uint64_t count;                 /* first + count <= 2^32 */
    const _Atomic uint64_t *epoch;  /* the owner's; when it moves on, the job ends */
    uint64_t begun_epoch;
    /* result: */
    uint64_t hashes;
    bool found; /* the nonce is in header */
};
void grind_prepare(struct grind *grind, const struct block *block, const struct block_template *t,
    const struct chain *chain, const _Atomic uint64_t *epoch);
void grind_run(struct job *job); /* worker */

#define RATE_SECONDS 10
struct worker;
struct miner {
    const struct env *env;
    const struct chain *chain;
    struct ledger *ledger;
    struct mempool *pool;
    struct template_options options;
    _Atomic uint64_t epoch;      /* moves on when the work is stale */
    _Atomic uint64_t halt_epoch; /* moves on at miner_stop */
    bool is_running;
    struct buf payout;

    uint32_t thread_count;
    struct worker *workers;
    struct block_template *template;
    uint64_t template_number;  /* rises with each new one */
    int64_t template_us;       /* steady clock, when it was made */
    uint64_t extra_nonce;      /* the next to give out */
    struct block *found;       /* waits for room in the ledger, or for its verdict */
    bool offered;

    uint64_t hashes;           /* in the current second */
    uint64_t rate[RATE_SECONDS];
    uint32_t rate_at, rate_count;
};

#endif
