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

/* A coin as the hashes of a set of coins take it (hash_serialized_3, muhash): outpoint, 2 * height + coinbase
 * (4 bytes), amount (8 bytes), the script with its length. */
void coin_encode_for_hash(struct buf *out, const struct outpoint *outpoint, const struct coin *coin);

#endif
