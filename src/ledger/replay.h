/* replay.h - blocks connected and disconnected one after the other, by the rules and functions of the pipeline,
 * over coins of one's own above any store. Private to the ledger. Owner: a job; thread: a worker, or the loop
 * before it runs. Of the ledger only what never changes is used: chain, tree, files. */
#ifndef COIN_LEDGER_REPLAY_H
#define COIN_LEDGER_REPLAY_H

#include "coins.h"
#include "stored.h"

struct replay {
    struct ledger *ledger;
    struct coins coins; /* above the store */
    /* The store's row of a coin, packed. */
    bool (*read)(void *ctx, struct span key, struct buf *value, bool *found, struct fail *why);
    void *ctx;
};
void replay_init(struct replay *replay, struct ledger *ledger,
    bool (*read)(void *ctx, struct span key, struct buf *value, bool *found, struct fail *why), void *ctx);
void replay_clear(struct replay *replay);
/* All rules but those of headers; scripts too when wanted. undo: its undo data is appended (NULL: not wanted).
 * After a failure the coins are of no use any more. */
bool replay_connect(struct replay *replay, struct stored_block *b, bool scripts, struct buf *undo,
    struct fail *why) MUST_USE;
/* FAIL_LOCAL "damaged" when the coins are not those that the block left. */
bool replay_disconnect(struct replay *replay, const struct stored_block *b, struct fail *why) MUST_USE;

#endif
