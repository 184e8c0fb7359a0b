/* ids.h - the hashes that name things, each a type of its own: mixing them does not compile. Bytes stay
 * in wire order; only the hex functions reverse. Thread: any (pure). */
#ifndef COIN_PRIMITIVES_IDS_H
#define COIN_PRIMITIVES_IDS_H

#include "coin/base/bytes.h"

struct txid { uint8_t b[32]; };     /* double SHA-256 of the transaction without witness */
struct wtxid { uint8_t b[32]; };    /* of the whole transaction (BIP141) */
struct block_id { uint8_t b[32]; }; /* of the 80-byte header */

struct outpoint { /* key of a coin; 36 bytes, no padding */
    struct txid txid;
    uint32_t index;
};

#define ID_HEX_SIZE_B 65
bool txid_equal(const struct txid *a, const struct txid *b);
bool wtxid_equal(const struct wtxid *a, const struct wtxid *b);
bool block_id_equal(const struct block_id *a, const struct block_id *b);
bool block_id_is_zero(const struct block_id *id);
bool outpoint_equal(const struct outpoint *a, const struct outpoint *b);
bool outpoint_is_null(const struct outpoint *o); /* a coinbase's prevout */

/* Reversed hex, as people and RPC write ids. */
void hash_to_hex(char out[ID_HEX_SIZE_B], const uint8_t hash[32]);
bool hash_from_hex(uint8_t out[32], struct span hex) MUST_USE;
/* Short form for logs: a static ring of 8 buffers per thread. */
const char *hash_show(const uint8_t hash[32]);

#endif
