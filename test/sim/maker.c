/* Builds blocks from the outside in: coinbase with BIP34 height and witness commitment, merkle root, nonce.
 * It uses the codecs only, none of the rules it helps to test. */
#include "maker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coin/base/mem.h"
#include "coin/consensus/check.h"
#include "coin/crypto/hash.h"
#include "coin/crypto/sha256.h"
#include "coin/script/script.h"

#define COMMITMENT_SIZE_B 38

static void must(bool ok, const char *what, const struct fail *why);
static struct tx *coinbase(const struct chain *chain, const struct maker_block *spec);
static void commitment(uint8_t out[COMMITMENT_SIZE_B], const struct maker_block *spec);

static const uint8_t op_true = OP_1;

struct block *maker_build(const struct chain *chain, const struct maker_block *spec)
{
    struct tx *first = coinbase(chain, spec);
    struct fail why = {0};
    uint8_t *ids = mem_try_array(spec->tx_count + 1u, 32);
    must(ids != NULL, "memory", &why);
    memcpy(ids, first->txid.b, 32);
    for (uint32_t i = 0; i < spec->tx_count; i++)
        memcpy(ids + 32 * (size_t)(i + 1), spec->txs[i]->txid.b, 32);
    struct header header = {
        .version = 0x20000000, .prev = spec->prev, .time_s = spec->time_s, .bits = spec->bits};
    merkle_root(header.merkle_root, ids, spec->tx_count + 1, NULL);
    mem_free(ids);
    struct block_id id;
    do {
        header.nonce++;
        id = header_id(&header);
    } while (!pow_check(chain, &id, header.bits, header.time_s, header.time_s, &why));
    uint8_t head[HEADER_SIZE_B];
    struct buf raw;
    buf_init(&raw, BLOCK_SIZE_MAX_B);
    header_encode(head, &header);
    buf_put(&raw, head, sizeof head);
    buf_put_count(&raw, spec->tx_count + 1u);
    buf_put(&raw, first->raw.data, first->raw.size_b);
    for (uint32_t i = 0; i < spec->tx_count; i++)
        buf_put(&raw, spec->txs[i]->raw.data, spec->txs[i]->raw.size_b);
    struct block *block = NULL;
    must(buf_ok(&raw, "block", &why) && block_decode(&block, &raw, &why), "block", &why);
    tx_unref(first);
    return block;
}

static struct tx *coinbase(const struct chain *chain, const struct maker_block *spec)
{
    static const struct outpoint nothing = {.index = UINT32_MAX};
    struct tx_draft draft;
    struct fail why = {0};
    struct tx *tx = NULL;
    tx_draft_init(&draft);
    must(tx_draft_add_in(&draft, &nothing, SEQUENCE_FINAL) != NULL, "input", &why);
    struct buf script;
    buf_init(&script, 100);
    bip34_put_height(&script, spec->height);
    buf_put_u8(&script, 4);
    buf_put_u32le(&script, spec->salt);
    must(tx_draft_set_script_sig(&draft, 0, buf_span(&script)), "script", &why);
    buf_clear(&script);
    struct span to = spec->script.size_b > 0 ? spec->script : span_of(&op_true, 1);
    int64_t value_sat = chain_subsidy_sat(chain, spec->height) + spec->fees_sat + spec->extra_sat;
    must(tx_draft_add_out(&draft, value_sat, to) != NULL, "output", &why);
    if (!spec->no_commitment) {
        static const uint8_t reserved[32];
        struct span item = span_of(reserved, sizeof reserved);
        uint8_t out[COMMITMENT_SIZE_B];
        must(tx_draft_set_witness(&draft, 0, &item, 1), "witness", &why);
        commitment(out, spec);
        must(tx_draft_add_out(&draft, 0, span_of(out, sizeof out)) != NULL, "output", &why);
    }
    must(tx_draft_finish(&tx, &draft, &why), "coinbase", &why);
    tx_draft_clear(&draft);
    return tx;
}

/* BIP141: the coinbase's own wtxid counts as zero, so it can hold the root. */
static void commitment(uint8_t out[COMMITMENT_SIZE_B], const struct maker_block *spec)
{
    static const uint8_t head[6] = {OP_RETURN, 36, 0xaa, 0x21, 0xa9, 0xed};
    struct fail why = {0};
    uint8_t *ids = mem_try_array(spec->tx_count + 1u, 32);
    uint8_t both[64] = {0};
    must(ids != NULL, "memory", &why);
    for (uint32_t i = 0; i < spec->tx_count; i++)
        memcpy(ids + 32 * (size_t)(i + 1), spec->txs[i]->wtxid.b, 32);
    merkle_root(both, ids, spec->tx_count + 1, NULL);
    mem_free(ids);
    memcpy(out, head, sizeof head);
    sha256d(out + sizeof head, both, sizeof both);
}

struct tx *maker_spend(
    const struct outpoint *from, uint32_t from_count, int64_t value_sat, uint32_t outputs)
{
    struct tx_draft draft;
    struct fail why = {0};
    struct tx *tx = NULL;
    tx_draft_init(&draft);
    for (uint32_t i = 0; i < from_count; i++)
        must(tx_draft_add_in(&draft, &from[i], SEQUENCE_FINAL) != NULL, "input", &why);
    for (uint32_t i = 0; i < outputs; i++)
        must(tx_draft_add_out(&draft, value_sat / outputs + (i == 0 ? value_sat % outputs : 0),
                 span_of(&op_true, 1)) != NULL,
            "output", &why);
    must(tx_draft_finish(&tx, &draft, &why), "transaction", &why);
    tx_draft_clear(&draft);
    return tx;
}

void maker_raw(struct buf *out, const struct block *block)
{
    buf_init(out, BLOCK_SIZE_MAX_B);
    buf_put(out, block->raw.data, block->raw.size_b);
}

static void must(bool ok, const char *what, const struct fail *why)
{
    if (ok)
        return;
    fprintf(stderr, "maker: %s: %s %s\n", what, why->code, why->detail);
    exit(2);
}
