/* template.h - the best block that could follow the tip. Thread: loop. */
#ifndef COIN_MINE_TEMPLATE_H
#define COIN_MINE_TEMPLATE_H

#include "coin/mempool/mempool.h"

struct template_options {
    uint32_t weight_max_wu;     /* -blockmaxweight */
    int64_t min_fee_sat_kvb;    /* -blockmintxfee: 1 */
    uint32_t reserved_wu;       /* -blockreservedweight: header and coinbase */
    uint32_t reserved_sigops;
    bool has_version;           /* -blockversion, for tests */
    int32_t version;
};
struct template_tx {
    struct tx *tx; /* a reference */
    int64_t fee_sat;
    int64_t sigop_cost;
};
struct block_template {
    struct block_index *prev;
    int32_t height;
    int32_t version;
    uint32_t bits;
    int64_t time_s;          /* at least median time past + 1 */
    int64_t time_min_s, median_time_past_s;
    uint32_t count;
    struct template_tx *txs; /* without coinbase, parents before children */
    int64_t fees_sat, reward_sat; /* reward: subsidy + fees */
    uint64_t weight_wu;
    int64_t sigop_cost;
    uint64_t tip_sequence, pool_sequence; /* what it is about */
};
/* pool NULL: without transactions; the caller may append its own to txs (fees count as nothing then). */
struct block_template *template_new(const struct chain *chain, struct ledger *ledger, struct mempool *pool,
    const struct template_options *options, int64_t now_s, struct fail *why);
void template_free(struct block_template *t);
/* Fills header bits and time anew for `now_s` (lwma relief and testnet rules depend on it). */
void template_set_time(struct block_template *t, const struct chain *chain, int64_t now_s);
/* The whole block: coinbase paying script, BIP34 height, extra_nonce, witness commitment; nonce 0. */
bool template_build(struct block **out, const struct block_template *t, const struct chain *chain,
    struct span payout_script, uint64_t extra_nonce, struct fail *why) MUST_USE;
/* Appends the output script that commits to the witnesses (BIP141); false before segwit. */
bool template_commitment(struct buf *out, const struct block_template *t, const struct chain *chain);
/* The target that the block's hash must meet at time_s. */
struct u256 template_target(const struct block_template *t, const struct chain *chain, int64_t time_s);
/* A copy of the block under another header (same merkle root, other time, bits or nonce). */
bool block_with_header(struct block **out, const struct block *block, const uint8_t header80[HEADER_SIZE_B],
    struct fail *why) MUST_USE;

#endif
