/* check_block.c - what is true of a block by itself: its transactions are those of its header, its coinbase
 * stands first and alone, it is small enough.
 *
 * Kinds matter here. A block travels as header and transactions, and only the header is proven; when the
 * transactions are not those the header commits to, this copy is bad and the block may be good
 * (FAIL_MUTATED): to remember its hash as invalid would let anyone cut us off the chain (CVE-2012-2459). */
#include <inttypes.h>
#include <string.h>

#include "coin/consensus/check.h"
#include "coin/primitives/tx.h"

#define WITNESS_SCALE 4     /* BIP141 */

static bool check_merkle(const struct block *block, struct fail *why);
static bool check_coinbase_place(const struct block *block, struct fail *why);

bool check_block(const struct chain *chain, const struct block *block, struct fail *why)
{
    if (!check_merkle(block, why))
        return false;
    if (block->tx_count == 0 || (uint64_t)block->tx_count * WITNESS_SCALE > chain->block_weight_max_wu ||
        (uint64_t)block->stripped_size_b * WITNESS_SCALE > chain->block_weight_max_wu)
        return fail_set(why, FAIL_INVALID, "bad-blk-length", "%" PRIu32 " transactions, %" PRIu32
            " bytes without witness", block->tx_count, block->stripped_size_b);
    if (!check_coinbase_place(block, why))
        return false;

    uint64_t sigops = 0;
    for (uint32_t i = 0; i < block->tx_count; i++) {
        if (!check_tx(chain, &block->txs[i], why))
            return fail_prefix(why, "transaction %" PRIu32 " (%s): ", i, hash_show(block->txs[i].txid.b));
        sigops += tx_legacy_sigops(&block->txs[i]);
    }
    if (sigops * WITNESS_SCALE > chain->block_sigop_cost_max)
        return fail_set(why, FAIL_INVALID, "bad-blk-sigops", "%" PRIu64 " signature operations", sigops);
    return true;
}

static bool check_merkle(const struct block *block, struct fail *why)
{
    uint8_t root[32];
    bool mutated = false;
    block_merkle_root(root, block, &mutated);
    if (memcmp(root, block->header.merkle_root, sizeof root) != 0)
        return fail_set(why, FAIL_MUTATED, "bad-txnmrklroot", "hashMerkleRoot mismatch");
    if (mutated)
        return fail_set(why, FAIL_MUTATED, "bad-txns-duplicate", "duplicate transaction");
    return true;
}

static bool check_coinbase_place(const struct block *block, struct fail *why)
{
    if (!tx_is_coinbase(&block->txs[0])) {
        /* Inner nodes of the tree, passed off as transactions of 64 bytes, have the right root too
         * (CVE-2017-12842); with a true coinbase in front that is out of reach. */
        for (uint32_t i = 0; i < block->tx_count; i++) {
            if (block->txs[i].stripped_size_b == MERKLE_PAIR_SIZE_B)
                return fail_set(why, FAIL_MUTATED, "bad-cb-missing", "first tx is not coinbase, and one "
                    "has the size of an inner node");
        }
        return fail_set(why, FAIL_INVALID, "bad-cb-missing", "first tx is not coinbase");
    }
    for (uint32_t i = 1; i < block->tx_count; i++) {
        if (tx_is_coinbase(&block->txs[i]))
            return fail_set(why, FAIL_INVALID, "bad-cb-multiple", "more than one coinbase");
    }
    return true;
}
