/* indexes.h - what can be asked beyond the chain itself: any transaction, who spent an output, block filters
 * (BIP157/158), statistics of the set of coins at any height. Each is off by default, lies in a store of its own
 * under indexes/, is built behind the chain and follows it, through reorganisations too.
 * Owner: the ledger. Thread: loop, except where a worker is named. */
#ifndef COIN_LEDGER_INDEXES_H
#define COIN_LEDGER_INDEXES_H

#include "coin/base/job.h"
#include "coin/ledger/ledger.h"

struct index_state {
    const char *name; /* as getindexinfo tells it */
    bool enabled;
    bool synced;         /* it has reached the tip since the start, and follows it */
    int32_t best_height; /* of what it has read; -1: nothing yet */
};
struct index_state ledger_index_state(const struct ledger *ledger, enum ledger_index kind);

/* ---- questions: embedded by the asker as the first member, alive until done ---- */
#define INDEX_QUERIES_MAX 256
struct index_query {
    struct job job; /* private */
    enum ledger_index kind;
    void (*done)(struct index_query *query, const struct fail *why); /* loop */
    /* private: */
    struct ledger *ledger;
    struct index_query *next;
    struct fail why;
};
/* A synced index answers once it has caught up with the tip, one being built answers of what it has. false:
 * the index is off, or too many wait. */
bool ledger_ask_index(struct ledger *ledger, struct index_query *query) MUST_USE;

struct tx_found {
    bool found;
    struct tx *tx; /* the asker unrefs */
    struct block_id block; /* perhaps of a block that has left the chain since */
};
struct tx_query { /* INDEX_TX. The transaction of genesis is not in the index: its output cannot be spent. */
    struct index_query query;
    struct txid txid;
    struct tx_found result;
};
#define SPENDER_QUERY_MAX 4096
struct spender_query { /* INDEX_SPENDER */
    struct index_query query;
    const struct outpoint *outpoints;
    uint32_t count; /* at most SPENDER_QUERY_MAX */
    struct tx_found *results;
};
struct filter_query { /* INDEX_FILTER */
    struct index_query query;
    struct block_index *const *blocks;
    uint32_t count;
    /* Worker, for each block in order: filter is empty when the index lacks it. false: that is enough. */
    bool (*each)(struct filter_query *query, uint32_t i, struct span filter, const uint8_t header[32]);
};

struct coin_stats { /* amounts in satoshis */
    /* of the set after the block: */
    uint64_t coins, bogosize_b;
    int64_t total_sat, unspendable_sat; /* the latter: all that was ever created and never can be spent */
    uint8_t muhash[32];
    /* of the block: */
    uint64_t spent_sat, created_sat, coinbase_sat; /* created: by all but the coinbase */
    int64_t genesis_sat, bip30_sat, scripts_sat, unclaimed_sat; /* unspendable from the beginning, and why */
};
#define COIN_BOGOSIZE_B 50 /* what a coin is said to take on disk, without its script */
struct stats_query { /* INDEX_STATS */
    struct index_query query;
    struct block_index *block;
    bool found;
    struct coin_stats result;
};

#endif
