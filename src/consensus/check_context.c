/* check_context.c - what is true of a block at its height: which rules count there, lock times, the height
 * in the coinbase, the commitment to witnesses, weight. */
#include <inttypes.h>
#include <string.h>

#include "coin/consensus/check.h"
#include "coin/crypto/sha256.h"
#include "coin/primitives/tx.h"
#include "coin/script/script.h"

#define COMMITMENT_HEADER_B 6 /* OP_RETURN, push of 36, aa21a9ed; then the hash */
#define HEIGHT_PUSH_MAX_B 8
/* Bitcoin: coinbases from before BIP34 begin with numbers up from here that look like heights. */
#define BIP34_IMPLIES_BIP30_LIMIT 1983702

static bool check_height(const struct block *block, int32_t height, struct fail *why);
static bool check_bip54_coinbase(const struct tx *coinbase, int32_t height, struct fail *why);
static bool check_witness(const struct block *block, bool segwit, struct fail *why);

bool buried_active(const struct chain *chain, enum buried which, int32_t height)
{
    return height >= chain->buried[which];
}

uint32_t block_script_flags(const struct chain *chain, int32_t height, const struct block_id *id)
{
    /* Bitcoin's chains hold their whole history to the witness rules, since all of it passes but for the
     * exceptions; other chains from the height their file names. */
    bool always = chain->is_bitcoin;
    uint32_t flags = height >= chain->bip16_height ? SCRIPT_VERIFY_P2SH : 0;
    if (buried_active(chain, BURIED_SEGWIT, height) ||
        (always && chain->buried[BURIED_SEGWIT] != INT32_MAX))
        flags |= SCRIPT_VERIFY_WITNESS;
    if (buried_active(chain, BURIED_TAPROOT, height) ||
        (always && chain->buried[BURIED_TAPROOT] != INT32_MAX))
        flags |= SCRIPT_VERIFY_TAPROOT;
    for (uint32_t i = 0; i < chain->exception_count; i++) {
        if (block_id_equal(&chain->exceptions[i].id, id))
            flags = chain->exceptions[i].flags;
    }
    if (buried_active(chain, BURIED_BIP66, height))
        flags |= SCRIPT_VERIFY_DERSIG;
    if (buried_active(chain, BURIED_BIP65, height))
        flags |= SCRIPT_VERIFY_CHECKLOCKTIMEVERIFY;
    if (buried_active(chain, BURIED_CSV, height))
        flags |= SCRIPT_VERIFY_CHECKSEQUENCEVERIFY;
    if (buried_active(chain, BURIED_SEGWIT, height))
        flags |= SCRIPT_VERIFY_NULLDUMMY; /* BIP147 came with segwit */
    return flags;
}

bool block_needs_bip30(const struct chain *chain, int32_t height, const struct block_id *id, bool known_bip34)
{
    /* BIP54, or BIP34 from the first block on: no two coinbases, so no two transactions, are ever alike. */
    if (chain->bip54 || chain->buried[BURIED_BIP34] <= 1)
        return false;
    if (height >= BIP34_IMPLIES_BIP30_LIMIT)
        return true;
    for (size_t i = 0; i < sizeof chain->bip30_exceptions / sizeof chain->bip30_exceptions[0]; i++) {
        if (!block_id_is_zero(id) && block_id_equal(&chain->bip30_exceptions[i], id))
            return false;
    }
    return !known_bip34;
}

bool check_block_context(const struct chain *chain, const struct block *block,
    const struct block_context *ctx, struct fail *why)
{
    /* BIP113: median time, or miners could lie about the clock to collect fees early. */
    int64_t cutoff_s = buried_active(chain, BURIED_CSV, ctx->height) ? ctx->median_time_past_s
                                                                    : (int64_t)block->header.time_s;
    for (uint32_t i = 0; i < block->tx_count; i++) {
        if (!tx_is_final(&block->txs[i], ctx->height, cutoff_s))
            return fail_set(why, FAIL_INVALID, "bad-txns-nonfinal", "non-final transaction %s",
                hash_show(block->txs[i].txid.b));
    }
    if (buried_active(chain, BURIED_BIP34, ctx->height) && !check_height(block, ctx->height, why))
        return false;
    if (chain->bip54 && !check_bip54_coinbase(&block->txs[0], ctx->height, why))
        return false;
    if (!check_witness(block, buried_active(chain, BURIED_SEGWIT, ctx->height), why))
        return false;
    /* After the commitment: a witness that somebody padded must not make the block bad for ever. */
    if (block_weight_wu(block) > chain->block_weight_max_wu)
        return fail_set(why, FAIL_INVALID, "bad-blk-weight", "%" PRIu32 " weight units",
            block_weight_wu(block));
    return true;
}

void bip34_put_height(struct buf *out, int32_t height)
{
    script_put_number(out, height);
}

static bool check_height(const struct block *block, int32_t height, struct fail *why)
{
    uint8_t push[HEIGHT_PUSH_MAX_B];
    struct buf expected = { .data = push, .capacity_b = sizeof push, .limit_b = sizeof push };
    struct span script = block->txs[0].in[0].script_sig;
    bip34_put_height(&expected, height);
    if (script.size_b < expected.size_b || memcmp(script.data, push, expected.size_b) != 0)
        return fail_set(why, FAIL_INVALID, "bad-cb-height",
            "block height mismatch in coinbase: must begin with the push of %" PRId32, height);
    return true;
}

/* So that no coinbase is ever equal to one of another height, and the height is read without a script. */
static bool check_bip54_coinbase(const struct tx *coinbase, int32_t height, struct fail *why)
{
    if (coinbase->lock_time != (uint32_t)height - 1)
        return fail_set(why, FAIL_INVALID, "bad-cb-locktime", "coinbase has lock time %" PRIu32 ", due is %" PRId32,
            coinbase->lock_time, height - 1);
    if (coinbase->in[0].sequence == SEQUENCE_FINAL)
        return fail_set(why, FAIL_INVALID, "bad-cb-sequence", "coinbase's final sequence disables its lock time");
    return true;
}

/* BIP141. Witnesses are outside the header's commitment but for this one, so a bad one is always a bad
 * copy, never a bad block. */
static bool check_witness(const struct block *block, bool segwit, struct fail *why)
{
    int32_t index = segwit ? block_commitment_index(block) : -1;
    if (index < 0) {
        for (uint32_t i = 0; i < block->tx_count; i++) {
            if (block->txs[i].has_witness)
                return fail_set(why, FAIL_MUTATED, "unexpected-witness", "unexpected witness data found");
        }
        return true;
    }
    const struct tx_in *in = &block->txs[0].in[0];
    if (in->witness_count != 1 || in->witness[0].size_b != 32)
        return fail_set(why, FAIL_MUTATED, "bad-witness-nonce-size", "invalid witness reserved value size");
    uint8_t pair[64];
    block_witness_root(pair, block);
    memcpy(pair + 32, in->witness[0].data, 32);
    sha256d(pair, pair, sizeof pair);
    if (memcmp(pair, block->txs[0].out[index].script.data + COMMITMENT_HEADER_B, 32) != 0)
        return fail_set(why, FAIL_MUTATED, "bad-witness-merkle-match", "witness merkle commitment mismatch");
    return true;
}
