/* genesis.h - the first block of a chain, built from the few words that a chain file says about it.
 * Thread: any (pure). */
#ifndef COIN_CHAIN_GENESIS_H
#define COIN_CHAIN_GENESIS_H

#include "coin/primitives/block.h"

/* The coinbase's script must stay within 100 bytes: 7 of Bitcoin's prefix, 2 of push, the message. */
#define GENESIS_MESSAGE_MAX_B 91
#define GENESIS_SCRIPT_MAX_B 10000

struct genesis_recipe {
    int32_t version;
    uint32_t time_s, bits, nonce;
    struct span message;
    int64_t reward_sat;
    struct span script; /* of the one output; never spendable, as in Bitcoin */
};

/* As Bitcoin's genesis blocks are made. Says nothing about proof of work: see coin-genesis, which looks
 * for the nonce. FAIL_REQUEST for a message or script that is too long. */
bool genesis_build(struct block **out, const struct genesis_recipe *recipe, struct fail *why) MUST_USE;

#endif
