/* mempool.h - transactions we would mine, waiting for a block.
 * Owner: the node. Thread: loop. Bounded: options.limit_b (memory, counted truly); the cheapest chunks go
 * first when it is full. Transactions form clusters (connected by spending) of at most CLUSTER_COUNT_MAX
 * and CLUSTER_SIZE_MAX_VB; each cluster keeps a linearisation in chunks of falling feerate, and mining,
 * eviction and replacement go by those. */
#ifndef COIN_MEMPOOL_MEMPOOL_H
#define COIN_MEMPOOL_MEMPOOL_H

#include "coin/consensus/check.h"
#include "coin/ledger/ledger.h"

#define CLUSTER_COUNT_MAX 64
#define CLUSTER_SIZE_MAX_VB 101000

struct mempool;
struct mempool_options {
    size_t limit_b;              /* -maxmempool */
    int64_t expiry_s;            /* -mempoolexpiry */
    int64_t min_relay_sat_kvb;   /* -minrelaytxfee: 100 */
    int64_t incremental_sat_kvb; /* 100 */
    int64_t dust_relay_sat_kvb;  /* 3000 */
    uint32_t datacarrier_size_b; /* 100,000; 0: none */
    bool permit_bare_multisig;
    bool require_standard;
    uint32_t bytes_per_sigop;    /* 20 */
    uint32_t cluster_count_max, cluster_size_max_vb;
};
struct mempool *mempool_new(const struct env *env, const struct chain *chain, struct ledger *ledger,
    const struct mempool_options *options);
void mempool_free(struct mempool *pool);

struct mempool_cluster;
struct mempool_entry { /* read-only outside */
    struct tx *tx;
    int64_t fee_sat, modified_fee_sat; /* with prioritisetransaction's delta */
    int64_t time_s;                    /* entered, seconds since 1970 */
    int32_t height;                    /* of the tip when it entered */
    uint32_t vsize_vb;                 /* sigop-adjusted */
    uint32_t weight_wu;
    int64_t sigop_cost;
    uint64_t sequence;                 /* of the pool, at entry */
    struct mempool_cluster *cluster;
    uint32_t cluster_index;            /* its bit in the cluster */
    bool replaceable;                  /* BIP125 signal, for RPC only: replacement is always allowed */
    bool unbroadcast;
    uint32_t adjusted_wu;              /* max(weight, sigop cost * bytes_per_sigop): what chunks are sized by */
    /* private to the pool: */
    struct sequence_lock lock;         /* BIP68: must stay passed when the chain moves back */
    int32_t coinbase_height;           /* of the youngest coinbase it spends; -1: none */
    uint32_t slot;                     /* its place among all entries */
    size_t usage_b;
    bool leaving;                      /* marked for removal within one call */
};

struct tx_verdict { /* called once, on the loop, never from inside the offering call */
    void (*fn)(void *ctx, struct tx *tx, const struct mempool_entry *entry, const struct fail *why);
    void *ctx; /* entry: set when accepted (or already there), valid during the call; why->kind FAIL_NONE: accepted */
};
/* Starts judging tx. tx is borrowed; the pool takes its own reference. The failure is INVALID, POLICY,
 * NO_ROOM, MUTATED (its witness was stripped: never remember the id), or TOO_EARLY
 * "bad-txns-inputs-missingorspent" (the caller may keep it as an orphan; testmempoolaccept calls it
 * "missing-inputs"). A parent that is being judged itself is waited for. Until accepted the pool is exactly
 * as it was. MEMPOOL_TEST_ONLY: entry is a passing one with fee and size, cluster NULL.
 * false: no room for another candidate now. Verdicts outstanding at mempool_free are never called. */
enum { MEMPOOL_TEST_ONLY = 1u, MEMPOOL_BYPASS_LIMITS = 2u };
bool mempool_offer(struct mempool *pool, struct tx *tx, unsigned flags, int64_t max_feerate_sat_kvb,
    struct tx_verdict verdict) MUST_USE;
/* A parent that pays too little by itself and a child that pays for both (CPFP), judged together when the parent falls short of
 * nothing but the minimum feerate: both come in, or neither does, with the parent's refusal and the child's own. A parent that is
 * good alone comes in alone, and the child is judged after it. Each verdict is called once, the parent's not always first. The parent may
 * replace nothing; the child's other parents must be in the pool or the chain. */
bool mempool_offer_pair(struct mempool *pool, struct tx *parent, struct tx_verdict parent_verdict, struct tx *child,
    struct tx_verdict child_verdict) MUST_USE;
/* A refusal for the minimum feerate, which a child may make good. */
bool mempool_is_too_cheap(const struct fail *why);
bool mempool_is_idle(const struct mempool *pool); /* nothing is being judged */

/* ---- the chain moves (called by the node with the ledger's effects, in order) ---- */
void mempool_on_ledger(struct mempool *pool, const struct ledger_effect *effect);
void mempool_on_tick(struct mempool *pool); /* expiry */

/* ---- looking ---- */
const struct mempool_entry *mempool_find(const struct mempool *pool, const struct txid *id);
const struct mempool_entry *mempool_find_wtxid(const struct mempool *pool, const struct wtxid *id);
const struct mempool_entry *mempool_spender(const struct mempool *pool, const struct outpoint *prevout);
/* An unconfirmed output; script is a view into the transaction. */
bool mempool_coin(const struct mempool *pool, const struct outpoint *prevout, struct coin *out);
const struct mempool_entry *mempool_next(const struct mempool *pool, uint32_t *cursor);
uint64_t mempool_sequence(const struct mempool *pool);
struct mempool_stats {
    uint32_t count;
    uint64_t vsize_vb, usage_b, limit_b;
    int64_t total_fee_sat;
    int64_t min_fee_sat_kvb; /* rolling minimum, at least min relay */
};
struct mempool_stats mempool_stats(const struct mempool *pool);
const struct mempool_options *mempool_options_of(const struct mempool *pool);
/* The chunk with which an entry would be mined. */
void mempool_chunk_of(const struct mempool *pool, const struct mempool_entry *entry, int64_t *fee_sat, uint64_t *vsize_vb);
/* Ancestors or descendants in the pool (not itself); returns how many, at most CLUSTER_COUNT_MAX. */
uint32_t mempool_relatives(const struct mempool *pool, const struct mempool_entry *entry, bool descendants,
    const struct mempool_entry *out[CLUSTER_COUNT_MAX]);
/* Chunks from best to worst feerate: start with *cursor = 0. Fills entries in a minable order. */
struct mempool_chunk {
    const struct mempool_entry *entries[CLUSTER_COUNT_MAX];
    uint32_t count;
    int64_t fee_sat;
    uint64_t vsize_vb, weight_wu; /* sigop-adjusted */
};
/* Chunk number `index` of the cluster that entry is in; false past the last. */
bool mempool_cluster_chunk(const struct mempool_entry *entry, uint32_t index, struct mempool_chunk *out);
struct mempool_walk; /* a snapshot-free walk: valid until the pool changes (mempool_sequence tells) */
struct mempool_walk *mempool_walk_new(const struct mempool *pool);
bool mempool_walk_next(struct mempool_walk *walk, struct mempool_chunk *out);
/* The chunk just returned did not fit: skip the rest of its cluster. */
void mempool_walk_skip(struct mempool_walk *walk);
void mempool_walk_free(struct mempool_walk *walk);

/* Adds to the delta that counts for the id, in the pool or not yet; false: too many deltas. */
bool mempool_prioritise(struct mempool *pool, const struct txid *id, int64_t fee_delta_sat);
/* All deltas: start with *cursor = 0, false ends. */
bool mempool_next_delta(const struct mempool *pool, uint32_t *cursor, struct txid *id, int64_t *fee_delta_sat);
/* Our own transaction that no peer has asked for yet (true), or one has (false). */
void mempool_set_unbroadcast(struct mempool *pool, const struct txid *id, bool unbroadcast);
bool mempool_remove(struct mempool *pool, const struct txid *id); /* with its descendants; for tests and wallet abandon */

/* mempool.dat in Bitcoin's format: load offers all it holds, one after the other; save runs as a job.
 * done is never called from inside. Load: FAIL_REQUEST "mempool-file-missing", or FAIL_PROTOCOL
 * "mempool-file" for a damaged file; what came before the damage has been offered. */
bool mempool_is_loaded(const struct mempool *pool); /* mempool_load is over, or was never asked for */
void mempool_load(struct mempool *pool, const char *path, struct ledger_done done);
void mempool_save(struct mempool *pool, const char *path, struct ledger_done done);

/* ---- policy, pure (for RPC and wallet) ---- */
bool policy_is_dust(const struct tx_out *out, int64_t dust_relay_sat_kvb);
int64_t policy_dust_sat(struct span script, int64_t dust_relay_sat_kvb);
bool policy_check_standard(const struct mempool_options *options, const struct tx *tx, struct fail *why) MUST_USE;
int64_t fee_of(int64_t sat_kvb, uint64_t vsize_vb); /* rounded up */

/* ---- effects ---- */
enum mempool_effect_kind { MEMPOOL_ADDED, MEMPOOL_REMOVED };
enum mempool_reason { MEMPOOL_EXPIRED, MEMPOOL_EVICTED, MEMPOOL_REORG, MEMPOOL_CONFIRMED, MEMPOOL_CONFLICT, MEMPOOL_REPLACED };
struct mempool_effect {
    enum mempool_effect_kind kind;
    enum mempool_reason reason; /* of MEMPOOL_REMOVED */
    struct tx *tx;              /* a reference that the taker unrefs */
    int64_t fee_sat;
    uint64_t sequence;
    uint32_t vsize_vb;
};
bool mempool_next_effect(struct mempool *pool, struct mempool_effect *out);

#endif
