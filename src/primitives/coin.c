/* A coin's bytes for the hashes of a set of coins. They are Bitcoin's, so that two programs can compare their sets
 * by 32 bytes. */

#include "coin/primitives/coin.h"

void coin_encode_for_hash(struct buf *out, const struct outpoint *outpoint, const struct coin *coin)
{
    outpoint_encode(out, outpoint);
    buf_put_u32le(out, (uint32_t)coin->height * 2 + coin->is_coinbase);
    buf_put_i64le(out, coin->value_sat);
    buf_put_string(out, coin->script);
}
