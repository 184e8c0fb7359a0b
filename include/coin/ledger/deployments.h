/* deployments.h - which soft forks the blocks of a branch have signalled for, and what a miner signals.
 * Owner: the ledger. Thread: loop. States are cached per period, at most DEPLOYMENT_STATES_MAX of them. */
#ifndef COIN_LEDGER_DEPLOYMENTS_H
#define COIN_LEDGER_DEPLOYMENTS_H

#include "coin/consensus/versionbits.h"
#include "coin/ledger/ledger.h"

#define DEPLOYMENT_STATES_MAX 65536 /* 40 bytes each; Bitcoin has 500 periods by 2026 */

/* Of the block that follows prev (NULL: of genesis). which: row of chain->deployments. */
enum bip9_state ledger_deployment_state(struct ledger *ledger, uint32_t which, const struct block_index *prev);
/* The first block that has this block's state; 0 for DEFINED and for the always and never active. */
int32_t ledger_deployment_since(struct ledger *ledger, uint32_t which, const struct block_index *prev);

struct deployment_count { /* of the period that a block lies in, up to this block */
    int32_t elapsed, signals; /* blocks */
    bool possible;            /* the threshold can still be met in this period */
};
struct deployment_count ledger_deployment_count(const struct ledger *ledger, uint32_t which,
    const struct block_index *index);

/* The version of a block on prev: signals for all that is started or locked in. */
int32_t ledger_block_version(struct ledger *ledger, const struct block_index *prev);

#endif
