/* stored.h - a block read back from our files on a worker, with its undo data. Private to the ledger. */
#ifndef COIN_LEDGER_STORED_H
#define COIN_LEDGER_STORED_H

#include "blockfiles.h"
#include "coin/ledger/ledger.h"

enum stored_need { NEED_NOTHING, NEED_BLOCK, NEED_UNDO /* and the block */ };

struct stored_block {
    struct block_index *index; /* workers use only what never changes of it: id, height, prev */
    uint32_t file, data_pos_b, data_size_b, undo_pos_b, undo_size_b;
    bool has_undo;
    struct block *block; /* as needed; undo: NULL for a block without */
    struct block_undo *undo;
};

/* Where it lies now. false: what is needed is not in the files (yet, or any more). Thread: loop. */
bool stored_block_find(struct stored_block *b, struct block_index *index, enum stored_need need) MUST_USE;
/* Fills block and undo, unless they are there. FAIL_LOCAL "damaged" names the block and the remedy: its bytes
 * are proved by its header, its undo data by their checksum. Thread: any. */
bool stored_block_read(struct stored_block *b, const struct blockfiles *files, enum stored_need need,
    struct fail *why) MUST_USE;
void stored_block_clear(struct stored_block *b);

#endif
