/* The index of basic block filters (BIP158) and their chain of headers (BIP157).
 *   'f' | u32be height | id -> header 32 | filter
 * The state is the header of the last block's filter. Rows of dead blocks stay: they are right for ever. */
#include "coin/ledger/filter.h"

#include <string.h>

#include "indexer.h"

#define FILTER_HEADER_SIZE_B 32

static bool connect(struct indexer_step *step, const struct stored_block *b, struct fail *why)
{
    struct buf row;
    uint8_t key[BLOCK_KEY_SIZE_B], id[32], header[FILTER_HEADER_SIZE_B] = {0};
    buf_init(&row, FILTER_HEADER_SIZE_B + FILTER_SIZE_MAX_B);
    buf_put(&row, header, sizeof header);
    bool ok = block_filter_build(&row, b->block, b->undo, why) && buf_ok(&row, "block filter", why);
    if (ok) {
        block_filter_id(id, span_of(row.data + sizeof header, row.size_b - sizeof header));
        block_filter_header(step->state, id, step->state);
        memcpy(row.data, step->state, FILTER_HEADER_SIZE_B);
        block_key(key, 'f', b->index);
        kv_batch_put(&step->batch, span_of(key, sizeof key), buf_span(&row));
    }
    buf_clear(&row);
    return ok;
}

static bool disconnect(struct indexer_step *step, const struct stored_block *b, struct fail *why)
{
    struct buf row;
    uint8_t key[BLOCK_KEY_SIZE_B];
    bool found = false;
    block_key(key, 'f', b->index->prev);
    buf_init(&row, FILTER_HEADER_SIZE_B + FILTER_SIZE_MAX_B);
    bool ok = kv_get(step->kv, span_of(key, sizeof key), &row, &found, why);
    if (ok && (!found || row.size_b <= FILTER_HEADER_SIZE_B))
        ok = index_damaged(why, index_filter_ops.folder);
    if (ok)
        memcpy(step->state, row.data, FILTER_HEADER_SIZE_B);
    buf_clear(&row);
    return ok;
}

static bool answer(struct ledger *ledger, struct kv *kv, struct index_query *base, struct fail *why)
{
    struct filter_query *query = (struct filter_query *)base;
    struct buf row;
    bool ok = true, more = true;
    (void)ledger;
    buf_init(&row, FILTER_HEADER_SIZE_B + FILTER_SIZE_MAX_B);
    for (uint32_t i = 0; i < query->count && ok && more; i++) {
        uint8_t key[BLOCK_KEY_SIZE_B];
        bool found = false;
        block_key(key, 'f', query->blocks[i]);
        row.size_b = 0;
        ok = kv_get(kv, span_of(key, sizeof key), &row, &found, why);
        if (ok && found && row.size_b <= FILTER_HEADER_SIZE_B)
            ok = index_damaged(why, index_filter_ops.folder);
        if (ok && found)
            more = query->each(query, i,
                span_of(row.data + FILTER_HEADER_SIZE_B, row.size_b - FILTER_HEADER_SIZE_B), row.data);
        else if (ok)
            more = query->each(query, i, span_of(NULL, 0), NULL);
    }
    buf_clear(&row);
    return ok;
}

const struct indexer_ops index_filter_ops = {
    .name = "basic block filter index",
    .folder = "blockfilter_basic",
    .connect_needs = NEED_UNDO,
    .disconnect_needs = NEED_NOTHING,
    .state_size_b = FILTER_HEADER_SIZE_B,
    .connect = connect,
    .disconnect = disconnect,
    .answer = answer,
};
