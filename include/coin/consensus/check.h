/* check.h - Bitcoin's rules for transactions, headers and blocks. Pure: no I/O, no clock, no globals; each
 * returns true, or false with kind, Bitcoin's reject string and the numbers. Thread: any. */
#ifndef COIN_CONSENSUS_CHECK_H
#define COIN_CONSENSUS_CHECK_H

#include "coin/chain/chain.h"
#include "coin/consensus/pow.h"
#include "coin/primitives/coin.h"
#include "coin/script/interpreter.h"

#define MEDIAN_TIME_BLOCKS 11
#define LOCKTIME_THRESHOLD 500000000u /* below: a height, from it on: a time (seconds since 1970) */
#define SEQUENCE_LOCKTIME_DISABLE (1u << 31)
#define SEQUENCE_LOCKTIME_TYPE (1u << 22)
#define SEQUENCE_LOCKTIME_MASK 0xffffu
#define SEQUENCE_LOCKTIME_GRANULARITY 9 /* 512 seconds */

#define MERKLE_PAIR_SIZE_B 64 /* two hashes: an inner node of the tree, or a very small transaction */
#define BIP54_SIGOPS_MAX 2500 /* of one transaction, as tx_spending_sigops counts */

/* ---- context-free ---- */
bool check_tx(const struct chain *chain, const struct tx *tx, struct fail *why) MUST_USE;
/* Merkle root and malleation (FAIL_MUTATED), sizes, coinbase place, every tx, legacy sigops. */
bool check_block(const struct chain *chain, const struct block *block, struct fail *why) MUST_USE;

/* ---- contextual ---- */
struct header_context { /* all about the parent */
    struct pow_view view;        /* headers up to the parent */
    uint32_t parent_time_s;
    int64_t median_time_past_s;  /* of the parent and its ten ancestors */
    int64_t now_s;               /* our clock */
};
/* Bits due, time above the median, not too far ahead (FAIL_TOO_EARLY "time-too-new"), BIP94, BIP54, old versions
 * ("bad-version(0x…)"), and proof of work. */
bool check_header(const struct chain *chain, const struct header *h, const struct block_id *id,
    const struct header_context *ctx, struct fail *why) MUST_USE;

struct block_context { /* about the block that is checked */
    int32_t height;
    int64_t median_time_past_s; /* of its parent */
};
/* The earliest time that a difficulty period allows at its first (BIP94, BIP54) and last (BIP54) block; 0: no
 * bound. as_miner: with the stricter bounds that Bitcoin's miners keep everywhere. */
int64_t header_period_time_min_s(const struct chain *chain, const struct header_context *ctx, bool as_miner);
/* Locktimes, BIP34 height, BIP54's coinbase, witness commitment (FAIL_MUTATED where the witness could be a bad copy), weight.*/
bool check_block_context(const struct chain *chain, const struct block *block,
    const struct block_context *ctx, struct fail *why) MUST_USE;
/* BIP325: FAIL_INVALID "bad-signet-blksig". */
bool check_signet(const struct chain *chain, const struct block *block, struct fail *why) MUST_USE;

/* Script flags of a block by height and id (buried deployments, exceptions). */
uint32_t block_script_flags(const struct chain *chain, int32_t height, const struct block_id *id);
/* BIP30 must be checked by look-ups for this block? (known_bip34: the chain's BIP34 block is an ancestor)*/
bool block_needs_bip30(const struct chain *chain, int32_t height, const struct block_id *id, bool known_bip34);
bool buried_active(const struct chain *chain, enum buried which, int32_t height);

/* ---- with coins ---- */
/* Input values, maturity, fee, BIP54's signature operations. spent[i]: the coin of input i (all present). */
bool check_tx_inputs(const struct chain *chain, const struct tx *tx, const struct coin *spent,
    int32_t height, int64_t *fee_sat, struct fail *why) MUST_USE;
/* nLockTime against height and time (the caller passes median time past where BIP113 counts). */
bool tx_is_final(const struct tx *tx, int32_t height, int64_t time_s);
/* BIP68: the height and median time that must be passed; prev_mtp_s[i]: median time past of the block
 * before the one that made coin i (only read where a time lock asks). */
struct sequence_lock { int32_t height; int64_t time_s; }; /* last invalid; -1: none */
struct sequence_lock tx_sequence_lock(const struct tx *tx, const struct coin *spent,
    const int64_t *prev_mtp_s, bool enforce);
/* The rows of input whose relative lock is by time, so that the caller knows which times to look up. */
bool tx_in_needs_mtp(const struct tx *tx, uint32_t i);

/* The bytes that BIP34 wants at the front of the coinbase's script for a height. */
void bip34_put_height(struct buf *out, int32_t height);

#endif
