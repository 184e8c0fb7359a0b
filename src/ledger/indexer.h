/* indexer.h - what the indexes share: each is a table of functions over a store, and a state that goes from
 * block to block. Private to the ledger. The functions run on workers, one at a time per index for connect and
 * disconnect, and beside them for answer.
 *
 * On disk, every index: 'B' -> u8 layout | id of the last block | state after it. It is written in the batch of
 * that block's rows, or later, and only for a block that the flushed chain contains: so after a crash the index
 * stands at a block of the chain, and what came later is indexed again, to the same rows. */
#ifndef COIN_LEDGER_INDEXER_H
#define COIN_LEDGER_INDEXER_H

#include "coin/ledger/indexes.h"
#include "coin/ledger/kv.h"
#include "stored.h"

#define INDEXER_STATE_MAX_B 1024
#define INDEXER_BATCH_MAX_B ((size_t)64 << 20)

struct indexer_step {
    const struct chain *chain;
    struct kv *kv;
    struct kv_batch batch;
    uint8_t state[INDEXER_STATE_MAX_B];
};
struct indexer_ops {
    const char *name, *folder;
    enum stored_need connect_needs, disconnect_needs;
    bool bars_pruning; /* its rows point into the block files for ever */
    size_t state_size_b;
    void (*state_init)(uint8_t *state); /* before genesis; NULL: zeroes */
    bool (*connect)(struct indexer_step *step, const struct stored_block *block, struct fail *why);
    /* NULL: what a block that has left the chain leaves behind does no harm. */
    bool (*disconnect)(struct indexer_step *step, const struct stored_block *block, struct fail *why);
    bool (*answer)(struct ledger *ledger, struct kv *kv, struct index_query *query, struct fail *why);
};
extern const struct indexer_ops index_tx_ops, index_spender_ops, index_filter_ops, index_stats_ops;

/* 'f' or 's' | u32be height | id: rows by block. */
#define BLOCK_KEY_SIZE_B 37
void block_key(uint8_t out[BLOCK_KEY_SIZE_B], uint8_t kind, const struct block_index *index);
bool index_damaged(struct fail *why, const char *name);

struct indexer;
bool indexes_open(struct ledger *ledger, struct fail *why) MUST_USE;
bool indexes_wipe(struct ledger *ledger, struct fail *why) MUST_USE; /* all, those that are off too */
void indexes_advance(struct ledger *ledger);
void indexes_drop_queries(struct ledger *ledger); /* none is answered any more but those under way */
void indexes_free(struct ledger *ledger);
void indexes_tip_jumped(struct ledger *ledger); /* over blocks that are still to come */
/* The lowest block of the active chain that an index still has to read; INT32_MAX: none. */
int32_t indexes_keep_from(const struct ledger *ledger);
/* One has read that block, but does not know it durably before the next flush. */
bool indexes_want_flush(const struct ledger *ledger, int32_t height);

#endif
