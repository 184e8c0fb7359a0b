/* ledger.h - the chain: headers, blocks, coins, and the way from one tip to the next.
 *
 * Owner: the node. Thread: loop; whatever waits is a job (struct env). Blocks go the way
 *     admit (loop) -> decode + context-free checks (job) -> store (job) -> fetch coins (job)
 *     -> spend and create in the overlay (loop) -> scripts (jobs) -> commit (loop)
 * and only committed state is visible here. Nothing calls up: what happened is appended to a queue of
 * effects that the node drains after every call and every job.
 *
 * Crash rule: chainstate and its tip marker change in one atomic batch, after the blocks, undo data and
 * index entries it refers to are durable. So at restart the tip is valid, and what came after it is
 * connected again from the block files. */
#ifndef COIN_LEDGER_LEDGER_H
#define COIN_LEDGER_LEDGER_H

#include "coin/base/env.h"
#include "coin/base/file.h"
#include "coin/ledger/index.h"
#include "coin/primitives/coin.h"

#define PRUNE_MANUAL UINT64_MAX
#define PRUNE_KEEP_BLOCKS 288 /* below the tip: for reorganisations and for limited peers (BIP159) */

enum ledger_index { INDEX_TX, INDEX_SPENDER, INDEX_FILTER, INDEX_STATS, INDEX_KINDS }; /* see indexes.h */

struct ledger;
struct ledger_options {
    const char *dir;        /* the chain's folder: blocks/, chainstate/, indexes/ lie there */
    const char *blocks_dir; /* NULL: dir/blocks */
    size_t dbcache_b;
    uint32_t workers;       /* how many script checks may run at once (-par): sizes the batches */
    bool xor_blocks;        /* -blocksxor, counts for a new folder only */
    bool fastprune;         /* tiny block files (tests) */
    bool has_assumed_valid; /* override the chain file's */
    struct block_id assumed_valid;
    const struct u256 *minimum_chain_work; /* NULL: the chain file's */
    int64_t tip_age_max_s;  /* initial download ends when the tip is younger (86,400) */
    int32_t check_blocks;   /* how many blocks to verify at start; 0: none (-checkblocks, where 0 means all) */
    int32_t check_level;    /* how thoroughly: see struct ledger_verify */
    int32_t stop_at_height; /* 0: never; nothing above it is connected */
    bool reindex;            /* forget index and chainstate, read the block files again */
    bool reindex_chainstate; /* forget the chainstate only */
    uint64_t prune_target_b; /* 0: keep all blocks; PRUNE_MANUAL: delete when told; else so much may stay */
    uint32_t indexes;        /* bits 1 << enum ledger_index */
    const char *const *load_files; /* blocks are taken from these too; ends with NULL */
};

/* May wait (before the loop runs). FAIL_LOCAL / FAIL_REQUEST with the sentence for the user: damaged,
 * other rules, newer schema, and what to do. Connecting what is on disk but not in the chainstate goes on
 * afterwards, as ordinary jobs (ledger_start). */
struct ledger *ledger_open(const struct env *env, const struct chain *chain,
    const struct ledger_options *options, struct fail *why);
void ledger_start(struct ledger *ledger);
/* No new work is begun; done(ctx) once nothing is in flight and all is flushed and synced. */
void ledger_stop(struct ledger *ledger, void (*done)(void *ctx), void *ctx);
void ledger_free(struct ledger *ledger); /* after stop; may wait */
void ledger_on_tick(struct ledger *ledger); /* once a second: timed flush, free space */

/* ---- looking (loop, no waiting) ---- */
struct block_index *ledger_tip(const struct ledger *ledger);         /* never NULL */
struct block_index *ledger_best_header(const struct ledger *ledger); /* most work, not known invalid */
struct block_index *ledger_genesis(const struct ledger *ledger);
struct block_index *ledger_find(const struct ledger *ledger, const struct block_id *id);
struct block_index *ledger_at(const struct ledger *ledger, int32_t height); /* on the active chain */
bool ledger_is_active(const struct ledger *ledger, const struct block_index *index);
/* Rises by one with every connect and disconnect: "is what I computed still about this tip?" */
uint64_t ledger_tip_sequence(const struct ledger *ledger);
bool ledger_is_initial_download(const struct ledger *ledger); /* latches to false */
/* The node hears of nobody with a better chain: a ledger that is settled at its best header, with the
 * chain's minimum work, then counts as synced whatever its tip's age (the first node of a network is a
 * legitimate one). Otherwise nothing happens. */
void ledger_leave_initial_download(struct ledger *ledger);
double ledger_progress(const struct ledger *ledger);          /* 0..1, verification progress */
/* All headers, in no order: start with *cursor = 0, NULL ends. */
struct block_index *ledger_next(const struct ledger *ledger, uint32_t *cursor);
struct ledger_stats {
    uint64_t coins_cached, cache_b, cache_limit_b, disk_b, prune_target_b;
    uint64_t store_cache_b; /* of the chainstate's store */
    uint64_t background_cache_b, background_store_cache_b; /* of a background verification; limits too */
    uint32_t headers, blocks_in_flight;
    uint64_t flushes, coins_read;
};
struct ledger_stats ledger_stats(const struct ledger *ledger);
/* Blocks being read from files (-reindex, -loadblock). */
struct ledger_import {
    bool is_running, is_reindex;
    uint64_t blocks;        /* taken since the start */
    uint64_t done_b, all_b; /* of the files; done: an earlier run's share included */
    double rate_b_s;
    int64_t left_s;
};
struct ledger_import ledger_import(const struct ledger *ledger);
/* Our own files are read again: until then no offered block is taken, since it may lie in them. */
bool ledger_is_reindexing(const struct ledger *ledger);
/* The deepest block of the active chain that a locator names (ids from high to low); genesis at least. */
struct block_index *ledger_find_fork(const struct ledger *ledger, const struct block_id *locator, uint32_t count);
/* Fills ids from `from` backwards, ever sparser; at most 64. Returns how many. */
#define LOCATOR_MAX 101
uint32_t ledger_locator(const struct ledger *ledger, const struct block_index *from, struct block_id ids[LOCATOR_MAX]);

/* ---- headers ---- */
/* One after the other; *last: the index of the last accepted (may be NULL), *accepted how many are now
 * known. Stops at the first failure: TOO_EARLY "prev-blk-not-found" or "time-too-new", INVALID, ... */
bool ledger_accept_headers(struct ledger *ledger, const struct header *headers, uint32_t count,
    struct block_index **last, uint32_t *accepted, struct fail *why) MUST_USE;

/* ---- blocks ---- */
enum block_outcome {
    BLOCK_OUTCOME_CONNECTED, /* it is, or was for a moment, in the active chain */
    BLOCK_OUTCOME_STORED,    /* valid so far; its branch has not the most work or lacks a block */
    BLOCK_OUTCOME_DUPLICATE, /* we had it already (whatever it was: see index->status) */
    BLOCK_OUTCOME_REFUSED    /* why says it */
};
struct block_verdict { /* called once, on the loop, never from inside ledger_offer_block, and after all
                          effects of the block were taken (from inside ledger_next_effect, perhaps) */
    void (*fn)(void *ctx, enum block_outcome outcome, struct block_index *index, const struct fail *why);
    void *ctx;
};
/* Takes raw (left empty). false: no room in the pipeline now; raw is untouched, try again after the next
 * effect. requested: we asked for it, or our user gave it: stored even if its branch is behind. */
bool ledger_offer_block(struct ledger *ledger, struct buf *raw, bool requested, struct block_verdict verdict) MUST_USE;
/* As ledger_offer_block for a block already built (the miner's, a reconstructed compact block). */
bool ledger_offer_built(struct ledger *ledger, struct block *block, struct block_verdict verdict) MUST_USE;
/* Checks a block on top of the tip, all rules but proof of work, without keeping it (proposals,
 * generateblock). verdict: CONNECTED = would connect. */
bool ledger_test_block(struct ledger *ledger, struct block *block, struct block_verdict verdict) MUST_USE;
/* Manual overrides; done is called once the ledger has settled. */
struct ledger_done {
    void (*fn)(void *ctx, const struct fail *why); /* why->kind FAIL_NONE: fine */
    void *ctx;
};
void ledger_invalidate(struct ledger *ledger, struct block_index *index, struct ledger_done done);
void ledger_reconsider(struct ledger *ledger, struct block_index *index, struct ledger_done done);
void ledger_precious(struct ledger *ledger, struct block_index *index, struct ledger_done done);
/* Everything dirty becomes durable. */
void ledger_flush(struct ledger *ledger, struct ledger_done done);
/* true: no work in flight, the best chain that we have data for is active. */
bool ledger_is_settled(const struct ledger *ledger);

/* ---- coins ---- */
#define COINS_REQUESTS_MAX 1024
enum coins_answer { COINS_READY, COINS_PENDING, COINS_REFUSED };
/* Embedded by the asker, who fills outpoints, count, coins, found and done; lives until done or READY.
 * Scripts of found coins lie in `arena`, which the asker clears. */
struct coins_request {
    const struct outpoint *outpoints;
    uint32_t count;
    struct coin *coins;
    bool *found;
    void (*done)(struct coins_request *request, const struct fail *why); /* only after PENDING */
    struct arena arena;
    uint64_t tip_sequence; /* the tip that the answer is about */
    /* private to the ledger: */
    void *state;
};
/* READY: all known without the disk, filled now. REFUSED: queue full, nothing happens. */
enum coins_answer ledger_coins(struct ledger *ledger, struct coins_request *request);

/* ---- reading blocks back ---- */
struct block_read { /* embedded by the asker as the first member of its struct */
    struct block_index *index;
    bool want_block, want_undo, want_raw; /* raw: bytes only, no decoding */
    void (*done)(struct block_read *read, const struct fail *why);
    struct block *block;   /* results; the asker unrefs / clears */
    struct buf raw;
    struct block_undo *undo;
    void *state; /* private */
};
/* Undo: for each non-coinbase tx and input, in order, the coin it spent. */
struct block_undo {
    uint32_t count;
    struct coin *coins; /* scripts in arena */
    struct arena arena;
};
void block_undo_free(struct block_undo *undo);
/* The block was connected once: its undo data lies in a file, or is on its way there and reading waits for it. */
bool ledger_keeps_undo(const struct block_index *index);
/* FAIL_REQUEST -1 "Block not available (pruned data)" and the like come through done too.
 * REFUSED (false): queue full. */
bool ledger_read_block(struct ledger *ledger, struct block_read *read) MUST_USE;

/* ---- pruning ---- */
bool ledger_is_pruning(const struct ledger *ledger); /* -prune is on, whether or not anything is gone yet */
/* From this height on every block of the active chain is here; 0: all are. */
int32_t ledger_prune_height(const struct ledger *ledger);
/* Deletes the files whose blocks are all at most so high, as far as the kept ones allow; done when gone. */
void ledger_prune(struct ledger *ledger, int32_t height, struct ledger_done done);
/* Somebody still has to read the blocks from here on (a wallet that is behind). INT32_MAX: nobody has. */
void ledger_keep_from(struct ledger *ledger, int32_t height);

/* ---- scanning all coins ---- */
struct kv_iter;
struct coins_scan { /* embedded by the asker */
    bool (*each)(struct coins_scan *scan, const struct outpoint *outpoint, const struct coin *coin); /* worker */
    void (*done)(struct coins_scan *scan, const struct fail *why);                                    /* loop */
    _Atomic uint32_t progress; /* 0..65535 by the first two key bytes */
    _Atomic bool abort;
    struct block_index *tip;   /* what the scan is about */
    /* Optional: begun is told on the loop when the snapshot has been taken; walk does the worker's part itself. */
    void (*begun)(struct coins_scan *scan);
    bool (*walk)(struct coins_scan *scan, struct kv_iter *snapshot, struct fail *why);
    void *state;               /* private */
};
/* Flushes, then walks a snapshot in a job. Ordered by outpoint. false: queue full. */
bool ledger_scan_coins(struct ledger *ledger, struct coins_scan *scan) MUST_USE;

/* ---- verifying ---- */
struct ledger_verify { /* embedded by the asker */
    int32_t level; /* 0 to 4, see verify.c */
    int32_t count; /* of blocks, from the tip down; 0: all */
    /* why: FAIL_LOCAL names what is damaged. */
    void (*done)(struct ledger_verify *verify, const struct fail *why);
    bool complete; /* nothing was left out: for want of memory, because it is pruned, or aborted */
    struct coins_scan *scan; /* while it runs: progress, abort */
};
/* One at a time. false: one is running, or the queue is full. */
bool ledger_verify_chain(struct ledger *ledger, struct ledger_verify *verify) MUST_USE;

/* ---- snapshots of the coins, as files ---- */
struct ledger_dump { /* embedded by the asker */
    char path[PATH_SIZE_B]; /* must not exist; written beside it first */
    struct block_index *base; /* whose coins: of the active chain; NULL: the tip, told when done */
    void (*done)(struct ledger_dump *dump, const struct fail *why);
    uint64_t coins; /* results */
    uint8_t hash[32]; /* hash_serialized_3 */
    struct coins_scan *scan; /* while it runs: progress, abort */
};
/* false: the queue is full. */
bool ledger_dump_coins(struct ledger *ledger, struct ledger_dump *dump) MUST_USE;
struct ledger_load { /* embedded by the asker */
    char path[PATH_SIZE_B];
    void (*done)(void *load, const struct fail *why); /* Bitcoin's words where it is refused */
    uint64_t coins; /* results */
    struct block_index *base;
};
/* The chain goes on from the snapshot's block, which the chain file must list and whose header must be known; the
 * blocks below it are fetched and verified in the background. The mempool must be empty. */
void ledger_load_coins(struct ledger *ledger, struct ledger_load *load);
/* The block of the snapshot that is in use, or was until its history was verified; NULL: none since the start. */
struct block_index *ledger_snapshot_base(const struct ledger *ledger);
/* How far its history is verified; NULL: all of it is. */
struct block_index *ledger_background_tip(const struct ledger *ledger);
/* Blocks of the active chain that are not here but wanted: none is missing below *first. */
bool ledger_wants_history(const struct ledger *ledger, int32_t *first, int32_t *last);

/* ---- effects ---- */
enum ledger_effect_kind {
    LEDGER_HEADER,       /* best header has changed: index */
    LEDGER_BLOCK_SEEN,   /* index, block: header, merkle root and structure are good, it would extend the
                            tip; not connected yet (BIP152 announcements leave now) */
    LEDGER_CONNECTED,    /* index, block */
    LEDGER_DISCONNECTED, /* index, block */
    LEDGER_TIP,          /* a run of connects/disconnects ended: index is the new tip */
    LEDGER_INVALID,      /* index, why: a block was found to break a rule */
    LEDGER_IDLE,         /* room in the pipeline again */
    LEDGER_FATAL         /* why: our disk failed; stop the node */
};
struct ledger_effect {
    enum ledger_effect_kind kind;
    struct block_index *index;
    struct block *block; /* a reference that the taker unrefs, or NULL */
    struct fail why;
};
bool ledger_next_effect(struct ledger *ledger, struct ledger_effect *out); /* false: none is left */

/* ---- script verdicts ---- */
/* wtxids whose scripts passed under the standard flags (which imply the consensus flags of the tip's
 * rules). Salted, bounded; shared by mempool and blocks. */
bool ledger_verdict_known(const struct ledger *ledger, const struct wtxid *id);
void ledger_verdict_add(struct ledger *ledger, const struct wtxid *id);

/* One job that checks all inputs of one transaction; the caller embeds it. */
struct script_check {
    struct job job;             /* submit with env_submit; job.done is the caller's */
    struct tx *tx;              /* a reference for the duration */
    const struct coin *spent;   /* one per input, immutable meanwhile */
    uint32_t flags;
    /* result: */
    bool ok;
    uint32_t failed_input;
    int error; /* enum script_error */
};
void script_check_init(struct script_check *check, struct tx *tx, const struct coin *spent, uint32_t flags,
    void (*done)(struct job *job));

#endif
