/* background.h - the history below a loaded snapshot, verified beside the running chain. Private to the ledger.
 * Owner: the ledger. Thread: loop. */
#ifndef COIN_LEDGER_BACKGROUND_H
#define COIN_LEDGER_BACKGROUND_H

#include "coin/ledger/kv.h"
#include "coin/ledger/ledger.h"

struct background;
/* kv: the chainstate that has seen every block up to tip; taken over. base is tip's descendant, or tip. */
struct background *background_new(struct ledger *ledger, const struct chain_snapshot *expected,
    struct block_index *base, struct kv *kv, struct block_index *tip);
void background_free(struct background *background); /* closes the store; NULL is accepted */
void background_advance(struct ledger *ledger);
struct block_index *background_tip(const struct background *background);
struct block_index *background_base(const struct background *background);
/* May this block be the chain's tip, while what lies below the base cannot be undone? */
bool background_admits(const struct background *background, struct block_index *index);
/* The lowest height that it has not connected yet. */
uint64_t background_tx_count(const struct background *background); /* of the chain up to the base */
#define BACKGROUND_STORE_CACHE_B ((size_t)4 << 20)
size_t background_cache_limit_b(const struct background *background); /* of its coins in memory */
int32_t background_keep_from(const struct background *background);

/* snapshot.c: what the index store says of a snapshot in use. */
enum snapshot_stage { SNAPSHOT_IN_USE, SNAPSHOT_VALIDATED, SNAPSHOT_REFUSED, SNAPSHOT_NONE };
void snapshot_row_put(struct kv_batch *batch, enum snapshot_stage stage, const struct block_id *base);
/* Before the chainstate is opened: finishes what the last run left to do, and says which folder holds the coins. */
bool snapshot_at_start(struct ledger *ledger, char *coins_path, struct fail *why) MUST_USE;
/* After the headers are loaded: opens the background's store. */
bool snapshot_resume(struct ledger *ledger, struct fail *why) MUST_USE;
void snapshot_advance(struct ledger *ledger);

#endif
