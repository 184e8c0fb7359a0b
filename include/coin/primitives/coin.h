/* coin.h - an unspent output. Thread: any (pure). */
#ifndef COIN_PRIMITIVES_COIN_H
#define COIN_PRIMITIVES_COIN_H

#include "coin/primitives/tx.h"

struct coin {
    int64_t value_sat;
    int32_t height;     /* of the block that made it; MEMPOOL_HEIGHT while unconfirmed */
    bool is_coinbase;
    struct span script; /* whose memory: see where the coin came from */
};
#define MEMPOOL_HEIGHT 0x7fffffff

#endif
