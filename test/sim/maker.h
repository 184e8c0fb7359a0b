/* maker.h - blocks and transactions for tests: valid on a chain whose proof of work is a few tries
 * (regtest), paying to OP_TRUE so that anybody may spend. Owner: the test. Thread: one. */
#ifndef COIN_SIM_MAKER_H
#define COIN_SIM_MAKER_H

#include "coin/chain/chain.h"
#include "coin/primitives/block.h"

struct maker_block { /* what to build */
    struct block_id prev;
    int32_t height;
    uint32_t time_s, bits;
    struct tx *const *txs; /* without the coinbase */
    uint32_t tx_count;
    int64_t fees_sat; /* of txs: the coinbase takes them */
    int64_t extra_sat; /* more than allowed, for blocks that must fail */
    uint32_t salt; /* makes coinbases of equal heights differ */
    struct span script; /* of the coinbase's output; empty: OP_TRUE */
    bool no_commitment; /* leave the witness commitment out */
};
/* Never NULL; a failure ends the process loudly: a test without its blocks proves nothing. */
struct block *maker_build(const struct chain *chain, const struct maker_block *spec);
/* Spends the given OP_TRUE outputs to `outputs` OP_TRUE outputs that share value_sat. */
struct tx *maker_spend(
    const struct outpoint *from, uint32_t from_count, int64_t value_sat, uint32_t outputs);
/* A copy of the block's bytes, for ledger_offer_block. */
void maker_raw(struct buf *out, const struct block *block);

#endif
