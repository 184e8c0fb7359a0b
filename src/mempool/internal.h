/* internal.h - the pool from inside: what its files share. Private to mempool.
 * Owner: the node. Thread: loop, except what says "any (pure)" and the run of a job.
 *
 *   policy.c   what is worth relaying            cluster.c  clusters: order, chunks, heaps of them
 *   pool.c     tables, removal, limit, effects   view.c     looking: relatives, chunks, walks, stats
 *   accept.c   a candidate's way to its verdict  judge.c    what the pool says to a candidate
 *   pair.c     a cheap parent and its child
 *   reorg.c    the chain moves                   file.c     mempool.dat
 *
 * Invariants between calls: every entry's inputs are coins of the tip or outputs of other entries; no
 * outpoint is spent twice; every entry is in exactly one cluster, and clusters are connected. A candidate
 * reserves nothing: what the pool says to it is asked again at the moment of its commit. */
#ifndef COIN_MEMPOOL_INTERNAL_H
#define COIN_MEMPOOL_INTERNAL_H

#include "coin/base/table.h"
#include "coin/mempool/mempool.h"

#define CANDIDATES_MAX 1024             /* transactions being judged */
#define CANDIDATES_MAX_B (32u << 20)    /* and their bytes */
#define CANDIDATE_TRIES_MAX 32          /* restarts because tip or pool moved */
#define FEED_IN_FLIGHT_MAX 64           /* candidates that come from a file or a reorganisation */
#define REOFFER_MAX_B (20u << 20)       /* bytes of disconnected blocks kept for a re-offer (Bitcoin) */
#define POOL_ENTRIES_MAX (1u << 22)     /* far above what any limit_b lets in */
#define POOL_SPENT_MAX (1u << 26)
#define DELTAS_MAX 100000               /* prioritised transactions (guess) */
#define REPLACED_CLUSTERS_MAX 100       /* Bitcoin's MAX_REPLACEMENT_CANDIDATES */
#define CHANGE_CLUSTERS_MAX (REPLACED_CLUSTERS_MAX + CLUSTER_COUNT_MAX)
#define KNOWN_OUTPUTS_MAX 16            /* outputs looked up to tell "already known" from "missing" */
#define EXPIRY_SLICE 4096               /* entries looked at per tick */
#define EXPIRY_SLICE_COMMIT 256         /* and per accepted transaction */
#define ROLLING_HALF_LIFE_S (INT64_C(12) * 60 * 60)
#define WITNESS_SCALE 4
#define TX_SIGOP_COST_MAX 16000         /* a fifth of Bitcoin's block */
#define TRUC_VERSION 3
#define TRUC_SIZE_MAX_VB 10000
#define TRUC_CHILD_SIZE_MAX_VB 1000

/* ---- cluster.c ---- */
struct cluster_tx {
    struct mempool_entry *entry;
    int64_t fee_sat;                         /* modified */
    uint64_t size_wu;                        /* sigop-adjusted */
    uint64_t parents, ancestors, descendants; /* bits; the last two with itself */
};
struct cluster_chunk {
    uint64_t set;
    int64_t fee_sat;
    uint64_t size_wu;
    uint64_t sequence;    /* of the member that came first: breaks ties; set when it is installed */
    uint8_t first, count; /* in order */
};
enum cluster_heap_kind { HEAP_BEST, HEAP_WORST, HEAP_KINDS };
struct mempool_cluster { /* one allocation; immutable but for the marks below */
    uint32_t count, chunk_count;
    uint64_t size_wu;
    struct cluster_tx *txs;
    struct cluster_chunk *chunks;
    uint8_t *order;
    size_t usage_b;
    uint64_t gone;                /* members detached since it was built */
    struct mempool_cluster *next; /* of the list it is in: dirty ones, or parts of a change */
    bool is_dirty;
    uint32_t slot[HEAP_KINDS];
};
/* Sign of fee_a / size_a - fee_b / size_b, exactly. Any (pure). */
int feerate_compare(int64_t fee_a_sat, uint64_t size_a_wu, int64_t fee_b_sat, uint64_t size_b_wu);
/* Room for count members; the maker fills txs[].entry, fee_sat, size_wu and parents, then builds. */
struct mempool_cluster *cluster_new(uint32_t count);
void cluster_build(struct mempool_cluster *cluster);
/* Copies the members of `set` behind the `at` that are filled already; only links within the set stay. */
void cluster_append(struct mempool_cluster *to, uint32_t at, const struct mempool_cluster *from, uint64_t set);
/* Those of `within` that are connected to member `start` through members of `within`. */
uint64_t cluster_component(const struct mempool_cluster *cluster, uint64_t within, uint32_t start);
/* The components of `within`, built, put in front of *list. */
void cluster_split(struct mempool_cluster **list, const struct mempool_cluster *cluster, uint64_t within);
void cluster_free_list(struct mempool_cluster *list);
uint64_t cluster_all(const struct mempool_cluster *cluster);
uint32_t cluster_chunk_index(const struct mempool_cluster *cluster, uint32_t member); /* its chunk */
uint32_t bits_count(uint64_t set);
uint32_t bits_first(uint64_t set);

struct cluster_heap { /* the root is the cluster with the best first, or the worst last chunk */
    enum cluster_heap_kind kind;
    struct mempool_cluster **items;
    uint32_t count, capacity;
};
/* Does a chunk come before another? Ties: the one that came first is better. */
bool chunk_precedes(enum cluster_heap_kind kind, const struct mempool_cluster *a, uint32_t chunk_a,
    const struct mempool_cluster *b, uint32_t chunk_b);
bool heap_reserve(struct cluster_heap *heap, uint32_t count) MUST_USE;
void heap_add(struct cluster_heap *heap, struct mempool_cluster *cluster); /* room was reserved */
void heap_remove(struct cluster_heap *heap, struct mempool_cluster *cluster);

struct diagram_chunk {
    int64_t fee_sat;
    uint64_t size_wu;
};
/* Is the feerate diagram of `after` nowhere below that of `before`, and somewhere above? Sorts both. */
bool diagram_improves(struct diagram_chunk *before, uint32_t before_count, struct diagram_chunk *after,
    uint32_t after_count);

/* ---- the pool ---- */
struct effect_item {
    struct effect_item *next;
    struct mempool_effect effect;
};
struct candidate;
struct reoffer_block { /* a disconnected block whose transactions are offered again */
    struct reoffer_block *next;
    struct block *block;
    uint32_t next_tx;
};
struct reoffer_tx { /* an entry that depended on a disconnected block */
    struct reoffer_tx *next;
    struct tx *tx;
    int64_t time_s;
    bool unbroadcast;
};
struct load;

struct mempool {
    const struct env *env;
    const struct chain *chain;
    struct ledger *ledger;
    struct mempool_options options;

    struct table by_txid, by_wtxid; /* to struct mempool_entry * */
    struct table spent;             /* outpoint to the entry that spends it */
    struct table deltas;            /* txid to int64_t */
    struct mempool_entry **entries; /* all, in no order */
    uint32_t count, capacity;
    struct cluster_heap heaps[HEAP_KINDS];
    struct mempool_cluster *dirty; /* have lost members or changed fees: see pool_settle */
    uint32_t cluster_count;
    size_t entries_b, clusters_b;
    uint64_t vsize_vb, sequence;
    int64_t total_fee_sat;

    double rolling_sat_kvb;  /* minimum after evictions, as of rolling_time_s */
    int64_t rolling_time_s;
    bool rolling_decays;     /* a block came since the last eviction */
    uint32_t expiry_cursor;
    struct effect_item *effect_first, *effect_last;

    /* candidates */
    struct candidate *first, *last;             /* all */
    struct candidate *ready_first, *ready_last; /* have a step to take */
    uint32_t candidate_count, waiting_count;
    size_t candidates_b;
    struct table in_flight;                     /* txid to uint32_t: candidates of it */
    struct job *backlog_first, *backlog_last;   /* jobs that the workers had no room for */
    uint32_t jobs;                              /* submitted and not done, backlog included */
    bool pumping;

    /* what the pool offers to itself */
    struct reoffer_block *blocks;               /* oldest first */
    struct reoffer_tx *txs;                     /* parents first; after all blocks */
    size_t blocks_b;
    uint32_t feed_in_flight;
    bool moving, reorganised;                   /* between two LEDGER_TIPs; a block was disconnected */
    struct load *load;
    struct job_serial file_serial;              /* one job on mempool.dat at a time */
};

/* ---- policy.c: any (pure) ---- */
#define DUST_OUTPUTS_MAX 1 /* ephemeral dust */
uint32_t policy_dust_count(const struct tx *tx, int64_t dust_relay_sat_kvb);
bool policy_check_inputs(const struct tx *tx, const struct coin *spent, struct fail *why) MUST_USE;
bool policy_check_witness(const struct tx *tx, const struct coin *spent, struct fail *why) MUST_USE;
/* No witness, yet it spends a program that needs one: somebody took it away on the way. */
bool policy_is_stripped(const struct tx *tx, const struct coin *spent);

/* ---- pool.c ---- */
void pool_run_job(struct mempool *pool, struct job *job); /* never refused: waits in the backlog */
void pool_job_back(struct mempool *pool);                /* first line of every done */
void pool_retry_backlog(struct mempool *pool);
size_t pool_usage_b(const struct mempool *pool);
int64_t pool_min_fee_sat_kvb(const struct mempool *pool);
int64_t pool_delta_sat(const struct mempool *pool, const struct txid *id);
void pool_delta_clear(struct mempool *pool, const struct txid *id);
struct mempool_entry *pool_find(const struct mempool *pool, const struct txid *id);
struct mempool_entry *pool_spender(const struct mempool *pool, const struct outpoint *prevout);
uint32_t pool_members(const struct mempool_entry *entry, uint64_t set, struct mempool_entry *out[CLUSTER_COUNT_MAX]);
/* Takes the entry out of all tables and frees it; its cluster is put in order by the next pool_settle. */
void pool_detach(struct mempool *pool, struct mempool_entry *entry, enum mempool_reason reason);
void pool_detach_descendants(struct mempool *pool, struct mempool_entry *entry, enum mempool_reason reason);
void pool_settle(struct mempool *pool);
void pool_trim(struct mempool *pool);
void pool_expire(struct mempool *pool, uint32_t slice);
void pool_block_came(struct mempool *pool);

/* A change worked out before it is made: one entry comes, some go. Bounded like the replacement rules. */
struct pool_change {
    struct mempool_cluster *old[CHANGE_CLUSTERS_MAX];
    uint64_t gone[CHANGE_CLUSTERS_MAX];    /* members that are replaced */
    uint64_t parents[CHANGE_CLUSTERS_MAX]; /* members that the new entry spends */
    uint32_t old_count;
    struct mempool_cluster *joined;        /* the new entry's, it is the last member */
    struct mempool_cluster *rest;          /* what else remains of the old ones */
};
/* Index of the cluster in the change; UINT32_MAX: no room. */
uint32_t change_touch(struct pool_change *change, struct mempool_cluster *cluster);
/* false: the joined cluster would be too large; nothing is kept then. */
bool change_build(struct pool_change *change, const struct mempool *pool, struct mempool_entry *entry) MUST_USE;
void change_clear(struct pool_change *change);
/* Takes the entry and the change's clusters. false: no memory, the pool is as it was and the entry the
 * caller's. No effect is told for the new entry yet, and the limit is not looked at. */
bool change_commit(struct pool_change *change, struct mempool *pool, struct mempool_entry *entry) MUST_USE;
/* Takes out again what change_commit has just put in, and nobody was told of. */
void pool_undo(struct mempool *pool, struct mempool_entry *entry);
void pool_tell(struct mempool *pool, enum mempool_effect_kind kind, enum mempool_reason reason,
    const struct mempool_entry *entry, uint64_t sequence);

/* ---- accept.c ---- */
enum candidate_wait { WAIT_NOTHING, WAIT_JOB, WAIT_COINS, WAIT_COINS_ROOM, WAIT_PARENT,
    WAIT_CHILD /* parked: passed all but the feerate, its outputs count for its child */ };
struct candidate { /* one offered transaction, from the offer to its verdict */
    struct script_check check; /* first: its job serves every stage */
    struct coins_request request;
    struct mempool *pool;
    struct candidate *next, *prev, *next_ready;
    void (*step)(struct candidate *c); /* what to do when it is ready */
    enum candidate_wait wait;
    struct tx *tx;
    unsigned flags;
    int64_t max_feerate_sat_kvb;
    struct tx_verdict verdict;
    int64_t time_s;
    bool unbroadcast, is_fed;
    struct txid awaited; /* the parent being judged */
    uint32_t tries;
    struct arena arena;  /* of one try: what follows */
    struct outpoint *asked;
    uint32_t *asked_for; /* input of each asked outpoint */
    bool *from_pool;     /* by input */
    struct coin *spent;  /* by input */
    uint32_t asked_count;
    uint64_t tip_sequence;
    struct sequence_lock lock;
    int32_t coinbase_height;
    int64_t fee_sat, sigop_cost;
    uint32_t vsize_vb, adjusted_wu;
    struct fail why;
    struct candidate *child, *parent; /* offered as a pair; NULL: alone, or the other one is over */
    bool too_cheap;      /* a parent that passed all but the minimum feerate: short_of says it */
    struct fail short_of;
};
/* A candidate that is not on its way yet; NULL: no room. */
struct candidate *candidate_new(struct mempool *pool, struct tx *tx, unsigned flags, int64_t max_feerate_sat_kvb,
    int64_t time_s, bool unbroadcast, bool is_fed, struct tx_verdict verdict);
void candidate_begin(struct candidate *c);
void candidate_free(struct candidate *c);
void candidate_ready(struct candidate *c, void (*step)(struct candidate *c));
void candidate_finish(struct candidate *c, const struct mempool_entry *entry);
void candidate_await(struct candidate *c, const struct txid *parent);
void step_resolve(struct candidate *c); /* begins, or begins again, with the tip and the pool as they are now */
void step_finish(struct candidate *c);  /* with why */
/* A committed entry behind the trim: told of, or NULL and why. */
const struct mempool_entry *candidate_settle(struct candidate *c, const struct mempool_entry *entry, uint64_t sequence);
void wake_children(struct mempool *pool, const struct txid *id);
/* As mempool_offer, with the time it first came. */
bool candidate_offer(struct mempool *pool, struct tx *tx, unsigned flags, int64_t max_feerate_sat_kvb,
    int64_t time_s, bool unbroadcast, bool is_fed, struct tx_verdict verdict) MUST_USE;
bool candidates_have_room(const struct mempool *pool, size_t size_b);
void candidates_pump(struct mempool *pool);
void candidates_retry(struct mempool *pool); /* those that the ledger had no room for */
void candidates_free(struct mempool *pool);
bool lock_is_passed(const struct mempool *pool, const struct sequence_lock *lock); /* at the next block */

/* ---- pair.c ---- */
bool pair_may_park(const struct candidate *c); /* refused for its feerate only, and a child is there to pay */
void pair_park(struct candidate *c);           /* its scripts are fine: the child goes on */
bool pair_is_parked(const struct candidate *child);
bool pair_coin(const struct candidate *child, const struct outpoint *prevout, struct coin *out); /* an output of the parked parent */
bool pair_pays(struct candidate *child);       /* for both; false: why */
void pair_commit(struct candidate *child);
void pair_unlink(struct candidate *c);         /* the other one goes its own way */

/* ---- judge.c ---- */
enum judgement { JUDGE_PASS, JUDGE_REFUSE, JUDGE_REDO, JUDGE_LATER /* never judge's */ };
/* JUDGE_PASS: *change and *entry (not in the pool) are the caller's. JUDGE_REDO: an input from the pool is
 * gone. JUDGE_REFUSE: c->why. */
enum judgement judge(struct candidate *c, struct pool_change *change, struct mempool_entry **entry);
bool judge_duplicate(struct candidate *c); /* false, c->why: the pool has it */
void entry_free(struct mempool_entry *entry); /* one that is not in the pool; NULL is accepted */

/* ---- reorg.c, file.c: what the pool offers to itself ---- */
void feed(struct mempool *pool);
void reoffers_free(struct mempool *pool);
void load_feed(struct mempool *pool);
void load_free(struct mempool *pool);

#endif
