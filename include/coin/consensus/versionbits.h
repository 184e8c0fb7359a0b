/* versionbits.h - BIP9 as of today: soft forks that blocks signal for in their version, with threshold,
 * timeout and minimum activation height. Pure: one step of one deployment; the walk over periods and its
 * cache are ledger/deployments.h. Thread: any. */
#ifndef COIN_CONSENSUS_VERSIONBITS_H
#define COIN_CONSENSUS_VERSIONBITS_H

#include "coin/chain/chain.h"

#define VERSION_BITS_TOP 0x20000000u      /* the upper three bits of a version that signals */
#define VERSION_BITS_TOP_MASK 0xe0000000u

enum bip9_state {
    BIP9_DEFINED,   /* not yet begun */
    BIP9_STARTED,   /* miners signal */
    BIP9_LOCKED_IN, /* enough did: the rule will count */
    BIP9_ACTIVE,    /* final */
    BIP9_FAILED     /* final: the timeout came first */
};
const char *bip9_state_name(enum bip9_state state); /* "locked_in", as in getdeploymentinfo */

/* A period of d->period blocks that has ended, as the state of the next one depends on it. */
struct bip9_period {
    int32_t end_height;         /* of its last block */
    int64_t median_time_past_s; /* of its last block */
    int32_t signals;            /* blocks in it that signalled; counts in BIP9_STARTED only */
};
/* The state that follows. Not for deployments that are always or never active (bip9_is_fixed). */
enum bip9_state bip9_next(const struct chain_deployment *d, enum bip9_state state,
    const struct bip9_period *ended);
/* Always or never active: *state is what it is from the first block on. */
bool bip9_is_fixed(const struct chain_deployment *d, enum bip9_state *state);
bool bip9_signals(const struct chain_deployment *d, int32_t version);

#endif
