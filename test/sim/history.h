/* history.h - chains for measurements, made before the clock starts: nearly empty blocks; blocks that spend and
 * create many coins without signatures; signed ones. Always the same for the same sizes. Owner: the test. */
#ifndef COIN_SIM_HISTORY_H
#define COIN_SIM_HISTORY_H

#include "coin/chain/chain.h"

#define HISTORY_TXS 2000 /* per block, at most; each has one input */

struct history {
    struct block **blocks; /* in order, from height 1 on; references */
    uint32_t count, capacity;
    uint32_t plain; /* of them at the beginning that only mature a coinbase and fan it out */
    uint64_t inputs; /* but the coinbases' */
};
struct history history_small(const struct chain *chain, uint32_t blocks);
/* Every transaction spends one coin and makes two, all to OP_TRUE, so that half of all are spent. */
struct history history_coins(const struct chain *chain, uint32_t blocks, uint32_t txs);
/* As many ECDSA (P2WPKH) as Schnorr (P2TR, key path) spends. */
struct history history_signed(const struct chain *chain, uint32_t blocks, uint32_t txs);
void history_free(struct history *history);

#endif
