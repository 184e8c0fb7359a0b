/* The indexes of transactions: each by its id (-txindex), and each by the outputs it spends (-txospenderindex).
 *   't' | txid                 -> place    txindex; all but genesis' own
 *   'o' | txid | varint index  -> place    txospenderindex
 *   place: varint file | varint position of the block | varint offset in it | varint size
 * A row may point to what is not there any more (a block fetched again after power was lost lies elsewhere until
 * it is indexed again): whoever reads checks that the bytes are the transaction that was asked for. Of a block
 * that has left the chain the first index keeps its rows, as Bitcoin's does; the second drops them. */
#include <string.h>

#include "codec.h"
#include "indexer.h"
#include "state.h"

#define PLACE_SIZE_MAX_B 40
#define SPENDER_KEY_MAX_B (1 + 32 + 5)

struct tx_place {
    uint32_t file, block_pos_b, offset_b, size_b;
};

static void put_place(struct buf *out, const struct stored_block *b, const struct tx *tx)
{
    put_varint(out, b->file);
    put_varint(out, b->data_pos_b);
    put_varint(out, (uint64_t)(tx->raw.data - b->block->raw.data));
    put_varint(out, tx->size_b);
}

static bool rd_place(struct tx_place *out, struct span row)
{
    struct reader r;
    struct fail ignored;
    uint64_t v[4];
    rd_init(&r, row);
    for (int i = 0; i < 4; i++)
        v[i] = rd_varint(&r);
    if (!rd_done(&r, "place", &ignored) || v[0] >= BLOCKFILES_MAX || v[1] > UINT32_MAX || v[2] > BLOCK_SIZE_MAX_B ||
        v[3] > BLOCK_SIZE_MAX_B)
        return false;
    *out = (struct tx_place){(uint32_t)v[0], (uint32_t)v[1], (uint32_t)v[2], (uint32_t)v[3]};
    return true;
}

static size_t spender_key(uint8_t out[SPENDER_KEY_MAX_B], const struct outpoint *outpoint)
{
    size_t size_b = coin_key(out, outpoint);
    out[0] = 'o';
    return size_b;
}

/* ---- building ---- */
static bool connect_txs(struct indexer_step *step, const struct stored_block *b, struct fail *why)
{
    struct buf row;
    uint8_t key[1 + 32] = {'t'};
    if (b->index->prev == NULL)
        return true;
    buf_init(&row, PLACE_SIZE_MAX_B);
    for (uint32_t t = 0; t < b->block->tx_count; t++) {
        row.size_b = 0;
        put_place(&row, b, &b->block->txs[t]);
        memcpy(key + 1, b->block->txs[t].txid.b, 32);
        kv_batch_put(&step->batch, span_of(key, sizeof key), buf_span(&row));
    }
    bool ok = buf_ok(&row, "index of transactions", why);
    buf_clear(&row);
    return ok;
}

static bool connect_spenders(struct indexer_step *step, const struct stored_block *b, struct fail *why)
{
    struct buf row;
    uint8_t key[SPENDER_KEY_MAX_B];
    buf_init(&row, PLACE_SIZE_MAX_B);
    for (uint32_t t = 1; t < b->block->tx_count; t++) {
        const struct tx *tx = &b->block->txs[t];
        row.size_b = 0;
        put_place(&row, b, tx);
        for (uint32_t i = 0; i < tx->in_count; i++)
            kv_batch_put(&step->batch, span_of(key, spender_key(key, &tx->in[i].prevout)), buf_span(&row));
    }
    bool ok = buf_ok(&row, "index of spenders", why);
    buf_clear(&row);
    return ok;
}

static bool disconnect_spenders(struct indexer_step *step, const struct stored_block *b, struct fail *why)
{
    uint8_t key[SPENDER_KEY_MAX_B];
    (void)why;
    for (uint32_t t = 1; t < b->block->tx_count; t++)
        for (uint32_t i = 0; i < b->block->txs[t].in_count; i++)
            kv_batch_delete(
                &step->batch, span_of(key, spender_key(key, &b->block->txs[t].in[i].prevout)));
    return true;
}

/* ---- answering ---- */
/* Reads what lies at a row's place. What cannot be read there is not found: the row is behind, or the file was
 * damaged, which whoever reads the block itself is told. */
static void read_place(const struct ledger *ledger, struct span row, struct tx_found *out)
{
    struct tx_place place;
    struct buf bytes;
    struct header header;
    struct fail ignored;
    uint8_t head[HEADER_SIZE_B];
    if (!rd_place(&place, row))
        return;
    buf_init(&bytes, BLOCK_SIZE_MAX_B);
    if (blockfiles_read_part(&ledger->files, place.file, place.block_pos_b, HEADER_SIZE_B, &bytes, &ignored)) {
        memcpy(head, bytes.data, sizeof head);
        header_decode(&header, head);
        out->block = header_id(&header);
        bytes.size_b = 0;
        out->found = blockfiles_read_part(&ledger->files, place.file, place.block_pos_b + place.offset_b, place.size_b,
                         &bytes, &ignored) &&
                     tx_decode(&out->tx, buf_span(&bytes), &ignored);
    }
    buf_clear(&bytes);
}

static bool look_up(struct ledger *ledger, struct kv *kv, struct span key, struct tx_found *out, struct fail *why)
{
    struct buf row;
    bool found = false;
    memset(out, 0, sizeof *out);
    buf_init(&row, PLACE_SIZE_MAX_B);
    bool ok = kv_get(kv, key, &row, &found, why);
    if (ok && found)
        read_place(ledger, buf_span(&row), out);
    buf_clear(&row);
    return ok;
}

static void refuse(struct tx_found *found)
{
    tx_unref(found->tx);
    memset(found, 0, sizeof *found);
}

static bool answer_tx(struct ledger *ledger, struct kv *kv, struct index_query *base, struct fail *why)
{
    struct tx_query *query = (struct tx_query *)base;
    uint8_t key[1 + 32] = {'t'};
    memcpy(key + 1, query->txid.b, 32);
    if (!look_up(ledger, kv, span_of(key, sizeof key), &query->result, why))
        return false;
    if (query->result.found && !txid_equal(&query->result.tx->txid, &query->txid))
        refuse(&query->result);
    return true;
}

static bool spends(const struct tx *tx, const struct outpoint *outpoint)
{
    for (uint32_t i = 0; i < tx->in_count; i++)
        if (outpoint_equal(&tx->in[i].prevout, outpoint))
            return true;
    return false;
}

static bool answer_spenders(struct ledger *ledger, struct kv *kv, struct index_query *base, struct fail *why)
{
    struct spender_query *query = (struct spender_query *)base;
    uint8_t key[SPENDER_KEY_MAX_B];
    for (uint32_t i = 0; i < query->count; i++) {
        const struct outpoint *outpoint = &query->outpoints[i];
        struct tx_found *found = &query->results[i];
        if (!look_up(ledger, kv, span_of(key, spender_key(key, outpoint)), found, why)) {
            while (i > 0)
                refuse(&query->results[--i]);
            return false;
        }
        if (found->found && !spends(found->tx, outpoint))
            refuse(found);
    }
    return true;
}

const struct indexer_ops index_tx_ops = {
    .name = "txindex",
    .folder = "txindex",
    .connect_needs = NEED_BLOCK,
    .disconnect_needs = NEED_NOTHING,
    .bars_pruning = true,
    .connect = connect_txs,
    .answer = answer_tx,
};
const struct indexer_ops index_spender_ops = {
    .name = "txospenderindex",
    .folder = "txospenderindex",
    .connect_needs = NEED_BLOCK,
    .disconnect_needs = NEED_BLOCK,
    .bars_pruning = true,
    .connect = connect_spenders,
    .disconnect = disconnect_spenders,
    .answer = answer_spenders,
};
