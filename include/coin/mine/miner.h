/* miner.h - the CPU miner: jobs on the mining lane grind a header; a new tip or a better template stops
 * them at once through an atomic epoch. Owner: the node. Thread: loop. */
#ifndef COIN_MINE_MINER_H
#define COIN_MINE_MINER_H

#include "coin/mine/template.h"

struct miner;
struct miner *miner_new(const struct env *env, const struct chain *chain, struct ledger *ledger,
    struct mempool *pool, const struct template_options *options);
void miner_free(struct miner *miner); /* after its jobs have finished: miner_stop, then drain */
/* payout: output script; threads: how many jobs at once. */
bool miner_start(struct miner *miner, uint32_t threads, struct span payout, struct fail *why) MUST_USE;
void miner_stop(struct miner *miner);
bool miner_is_running(const struct miner *miner);
uint32_t miner_threads(const struct miner *miner);
double miner_hash_rate(const struct miner *miner); /* hashes per second, over the last ten seconds */
void miner_on_ledger(struct miner *miner, const struct ledger_effect *effect); /* new tip: new work */
void miner_on_tick(struct miner *miner); /* newer template, newer time */

/* Mines one block now for RPC generate*: grinds in jobs with up to tries_max hashes, offers it to the
 * ledger, then done. txs NULL: from the pool; else exactly these. submit false: only build and return. */
struct generate_request { /* embedded by the asker */
    struct span payout;        /* output script; must live until done */
    bool exact;                /* these transactions (borrowed until the call returns) instead of the pool */
    struct tx **txs;
    uint32_t tx_count;
    bool submit;
    void (*done)(struct generate_request *request, struct block *block /* NULL: tries ran out */, const struct fail *why);
    uint64_t tries_left;       /* hashes; what is left of them when done is called */
};
/* FAIL_REQUEST / FAIL_NO_ROOM. done is called later, once, not from inside. */
bool miner_generate(struct miner *miner, struct generate_request *request, struct fail *why) MUST_USE;
const struct template_options *miner_options(const struct miner *miner);

#endif
