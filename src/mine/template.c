/* The best block that could follow the tip. Chunks come from the mempool from the best feerate down; one
 * that does not fit is skipped with the rest of its cluster, since what follows there spends it. After
 * CHUNKS_FAILED_MAX misses in a row with a nearly full block the search ends. */

#include "coin/mine/template.h"

#include <string.h>

#include "coin/base/mem.h"
#include "coin/consensus/check.h"
#include "coin/crypto/hash.h"
#include "coin/crypto/sha256.h"
#include "coin/ledger/deployments.h"

#define CHUNKS_FAILED_MAX 1000
#define NEARLY_FULL_WU 4000
#define TEMPLATE_TXS_MAX 100000 /* a block of 4 MB holds fewer than 67,000 of the smallest */
#define WITNESS_RESERVED_B 32

static struct pow_view view_of(struct index_view *holder, const struct block_index *tip)
{
    index_view_init(holder, tip);
    return holder->view;
}

void template_set_time(struct block_template *t, const struct chain *chain, int64_t now_s)
{
    struct index_view holder;
    struct pow_view view = view_of(&holder, t->prev);
    t->time_s = now_s > t->time_min_s ? now_s : t->time_min_s;
    t->bits = pow_bits_due(chain, &view, (uint32_t)t->time_s);
}

struct u256 template_target(const struct block_template *t, const struct chain *chain, int64_t time_s)
{
    return pow_target(chain, t->bits, (uint32_t)time_s, t->prev->time_s);
}

static bool fits(const struct block_template *t, const struct chain *chain, const struct template_options *options,
    uint64_t weight_wu, int64_t sigop_cost)
{
    return t->weight_wu + weight_wu < options->weight_max_wu &&
           t->sigop_cost + sigop_cost < chain->block_sigop_cost_max;
}

static bool chunk_fits(const struct block_template *t, const struct chain *chain,
    const struct template_options *options, const struct mempool_chunk *chunk)
{
    uint64_t weight_wu = 0;
    int64_t sigop_cost = 0;
    for (uint32_t i = 0; i < chunk->count; i++) {
        weight_wu += chunk->entries[i]->weight_wu;
        sigop_cost += chunk->entries[i]->sigop_cost;
        if (!tx_is_final(chunk->entries[i]->tx, t->height, t->median_time_past_s)) /* BIP113 */
            return false;
    }
    return fits(t, chain, options, weight_wu, sigop_cost) && t->count + chunk->count <= TEMPLATE_TXS_MAX;
}

static bool add_chunk(struct block_template *t, uint32_t *capacity, const struct mempool_chunk *chunk)
{
    if (!mem_try_grow(&t->txs, capacity, t->count + chunk->count, TEMPLATE_TXS_MAX, sizeof *t->txs))
        return false;
    for (uint32_t i = 0; i < chunk->count; i++) {
        const struct mempool_entry *entry = chunk->entries[i];
        t->txs[t->count++] = (struct template_tx){tx_ref(entry->tx), entry->fee_sat, entry->sigop_cost};
        t->weight_wu += entry->weight_wu;
        t->sigop_cost += entry->sigop_cost;
        t->fees_sat += entry->fee_sat;
    }
    return true;
}

static bool add_best(struct block_template *t, const struct chain *chain, struct mempool *pool,
    const struct template_options *options)
{
    struct mempool_chunk chunk;
    uint32_t capacity = 0, failed = 0;
    bool ok = true;
    struct mempool_walk *walk = mempool_walk_new(pool);
    while (ok && mempool_walk_next(walk, &chunk)) {
        if (chunk.fee_sat < fee_of(options->min_fee_sat_kvb, chunk.vsize_vb))
            break; /* what follows pays less */
        if (chunk_fits(t, chain, options, &chunk)) {
            ok = add_chunk(t, &capacity, &chunk);
            failed = 0;
            continue;
        }
        mempool_walk_skip(walk);
        if (++failed > CHUNKS_FAILED_MAX && t->weight_wu + NEARLY_FULL_WU > options->weight_max_wu)
            break;
    }
    mempool_walk_free(walk);
    return ok;
}

static int64_t time_min_s(const struct chain *chain, const struct block_index *tip)
{
    struct index_view holder;
    struct header_context ctx = { .view = view_of(&holder, tip), .parent_time_s = tip->time_s };
    int64_t above_median_s = index_median_time_past_s(tip) + 1;
    int64_t period_s = header_period_time_min_s(chain, &ctx, true);
    return period_s > above_median_s ? period_s : above_median_s;
}

struct block_template *template_new(const struct chain *chain, struct ledger *ledger, struct mempool *pool,
    const struct template_options *options, int64_t now_s, struct fail *why)
{
    struct block_index *tip = ledger_tip(ledger);
    struct block_template *t = mem_new(sizeof *t);
    t->prev = tip;
    t->height = tip->height + 1;
    t->version = options->has_version ? options->version : ledger_block_version(ledger, tip);
    t->median_time_past_s = index_median_time_past_s(tip);
    t->time_min_s = time_min_s(chain, tip);
    template_set_time(t, chain, now_s);
    t->weight_wu = options->reserved_wu;
    t->sigop_cost = options->reserved_sigops;
    t->tip_sequence = ledger_tip_sequence(ledger);
    if (pool != NULL) {
        t->pool_sequence = mempool_sequence(pool);
        if (!add_best(t, chain, pool, options)) {
            template_free(t);
            fail_oom(why, "a block template");
            return NULL;
        }
    }
    t->reward_sat = chain_subsidy_sat(chain, t->height) + t->fees_sat;
    return t;
}

void template_free(struct block_template *t)
{
    if (t == NULL)
        return;
    for (uint32_t i = 0; i < t->count; i++)
        tx_unref(t->txs[i].tx);
    mem_free(t->txs);
    mem_free(t);
}

/* ---- the whole block ---- */

/* BIP141: the root over wtxids, the coinbase's counting as zero, hashed with the reserved value. */
static bool witness_commitment(uint8_t out[32], const struct block_template *t)
{
    uint8_t both[64] = {0};
    size_t count = (size_t)t->count + 1;
    uint8_t *hashes = mem_try_array(count, 32);
    if (hashes == NULL)
        return false;
    for (uint32_t i = 0; i < t->count; i++)
        memcpy(hashes + 32 * ((size_t)i + 1), t->txs[i].tx->wtxid.b, 32);
    merkle_root(both, hashes, count, NULL);
    sha256d(out, both, sizeof both);
    mem_free(hashes);
    return true;
}

bool template_commitment(struct buf *out, const struct block_template *t, const struct chain *chain)
{
    static const uint8_t prefix[6] = {0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed};
    uint8_t commitment[32];
    if (!buried_active(chain, BURIED_SEGWIT, t->height) || !witness_commitment(commitment, t))
        return false;
    buf_put(out, prefix, sizeof prefix);
    buf_put(out, commitment, sizeof commitment);
    return true;
}

/* Lock time and sequence as BIP54 will want them; the extra nonce is a push of eight bytes. */
static bool make_coinbase(struct tx **out, const struct block_template *t, const struct chain *chain,
    struct span payout_script, uint64_t extra_nonce, struct fail *why)
{
    static const uint8_t reserved[WITNESS_RESERVED_B];
    struct outpoint null = {.index = UINT32_MAX};
    struct span witness = span_of(reserved, sizeof reserved);
    struct tx_draft draft;
    struct buf script, commitment;
    bool segwit = buried_active(chain, BURIED_SEGWIT, t->height);
    tx_draft_init(&draft);
    buf_init(&script, 100);
    buf_init(&commitment, 64);
    bip34_put_height(&script, t->height);
    buf_put_u8(&script, 8);
    buf_put_u64le(&script, extra_nonce);
    draft.version = 2;
    draft.lock_time = (uint32_t)t->height - 1;
    bool ok = tx_draft_add_in(&draft, &null, SEQUENCE_FINAL - 1) != NULL &&
              tx_draft_set_script_sig(&draft, 0, buf_span(&script)) &&
              tx_draft_add_out(&draft, t->reward_sat, payout_script) != NULL;
    if (ok && segwit)
        ok = template_commitment(&commitment, t, chain) &&
             tx_draft_add_out(&draft, 0, buf_span(&commitment)) != NULL &&
             tx_draft_set_witness(&draft, 0, &witness, 1);
    ok = ok ? tx_draft_finish(out, &draft, why) : fail_oom(why, "the coinbase transaction");
    buf_clear(&script);
    buf_clear(&commitment);
    tx_draft_clear(&draft);
    return ok;
}

static bool txids_root(uint8_t out[32], const struct block_template *t, const struct tx *coinbase)
{
    size_t count = (size_t)t->count + 1;
    uint8_t *hashes = mem_try_array(count, 32);
    if (hashes == NULL)
        return false;
    memcpy(hashes, coinbase->txid.b, 32);
    for (uint32_t i = 0; i < t->count; i++)
        memcpy(hashes + 32 * ((size_t)i + 1), t->txs[i].tx->txid.b, 32);
    merkle_root(out, hashes, count, NULL);
    mem_free(hashes);
    return true;
}

bool template_build(struct block **out, const struct block_template *t, const struct chain *chain,
    struct span payout_script, uint64_t extra_nonce, struct fail *why)
{
    uint8_t bytes[HEADER_SIZE_B];
    struct tx *coinbase;
    struct buf raw;
    struct header header = {
        .version = t->version,
        .prev = t->prev->id,
        .time_s = (uint32_t)t->time_s,
        .bits = t->bits,
    };
    if (!make_coinbase(&coinbase, t, chain, payout_script, extra_nonce, why))
        return false;
    if (!txids_root(header.merkle_root, t, coinbase)) {
        tx_unref(coinbase);
        return fail_oom(why, "a block template");
    }
    header_encode(bytes, &header);
    buf_init(&raw, BLOCK_SIZE_MAX_B);
    buf_put(&raw, bytes, sizeof bytes);
    buf_put_count(&raw, (uint64_t)t->count + 1);
    buf_put(&raw, coinbase->raw.data, coinbase->raw.size_b);
    for (uint32_t i = 0; i < t->count; i++)
        buf_put(&raw, t->txs[i].tx->raw.data, t->txs[i].tx->raw.size_b);
    tx_unref(coinbase);
    bool ok = buf_ok(&raw, "block", why) && block_decode(out, &raw, why);
    buf_clear(&raw);
    return ok;
}

bool block_with_header(struct block **out, const struct block *block, const uint8_t header80[HEADER_SIZE_B],
    struct fail *why)
{
    struct buf raw;
    buf_init(&raw, BLOCK_SIZE_MAX_B);
    buf_put(&raw, block->raw.data, block->raw.size_b);
    if (!raw.failed)
        memcpy(raw.data, header80, HEADER_SIZE_B);
    bool ok = buf_ok(&raw, "block", why) && block_decode(out, &raw, why);
    buf_clear(&raw);
    return ok;
}
