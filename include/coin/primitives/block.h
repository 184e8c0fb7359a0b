/* block.h - headers and blocks. A block keeps the bytes it came in; its transactions lie in one arena and
 * point into those bytes. Immutable, reference-counted (atomic). Thread: any (pure). */
#ifndef COIN_PRIMITIVES_BLOCK_H
#define COIN_PRIMITIVES_BLOCK_H

#include "coin/primitives/tx.h"

#define HEADER_SIZE_B 80
/* Nothing bigger is ever read, whatever a chain file says: 4 M weight units is Bitcoin's. */
#define BLOCK_SIZE_MAX_B 4000000

struct header {
    int32_t version;
    struct block_id prev;
    uint8_t merkle_root[32];
    uint32_t time_s; /* seconds since 1970 */
    uint32_t bits;   /* compact target */
    uint32_t nonce;
};

struct block {
    struct header header;
    struct block_id id;
    uint32_t tx_count;
    struct tx *txs; /* array in the arena; tx_ref on one keeps the whole block */
    uint32_t size_b, stripped_size_b;
    struct buf raw; /* with witness */
    /* private: */
    _Atomic uint32_t refs;
    struct arena arena;
};

void header_decode(struct header *out, const uint8_t bytes[HEADER_SIZE_B]);
void header_encode(uint8_t out[HEADER_SIZE_B], const struct header *h);
struct block_id header_id(const struct header *h);
bool rd_header(struct reader *r, struct header *out);

/* Takes raw's bytes in any case (raw is left empty). FAIL_PROTOCOL "block-decode" / FAIL_NO_ROOM.
 * All txids, wtxids and the id are computed. */
bool block_decode(struct block **out, struct buf *raw, struct fail *why) MUST_USE;
struct block *block_ref(struct block *block);
void block_unref(struct block *block); /* NULL is accepted */
uint32_t block_weight_wu(const struct block *block); /* 3 * stripped + total */
/* Root over txids; *mutated as merkle_root. */
void block_merkle_root(uint8_t out[32], const struct block *block, bool *mutated);
/* Root over wtxids with the coinbase's as zero (BIP141). */
void block_witness_root(uint8_t out[32], const struct block *block);
/* Index of the coinbase output that commits to witnesses (the last match), or -1. */
int32_t block_commitment_index(const struct block *block);

#endif
