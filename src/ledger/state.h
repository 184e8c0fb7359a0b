/* state.h - the ledger from inside: what its files share. Private to the ledger.
 * Owner: the ledger. Thread: loop, except where a job's run is named. Pointers to block_index are borrowed
 * from the tree, which outlives all else.
 *
 * How the parts hang together. Every entry from outside and every job's result changes state and then
 * calls ledger_pump, the only place that begins new work:
 *
 *   admit.c     offered block -> job: decode, check -> known block (index, in memory, store job)
 *   activate.c  candidates -> goal -> pipeline of struct connecting, or one disconnect at a time
 *   connect.c   connecting: LOADING -> LOADED -> FETCHING -> FETCHED -> CHECKING -> CHECKED -> commit
 *   flush.c     quiet point -> freeze coins -> barrier -> write -> retire
 *
 * Applied but uncommitted blocks change the live coins in place; each keeps the coins it spent, which is
 * its journal, its undo data and what the script checks read. A failure walks the journals back. */
#ifndef COIN_LEDGER_STATE_H
#define COIN_LEDGER_STATE_H

#include "blockfiles.h"
#include "codec.h"
#include "coin/consensus/check.h"
#include "coin/ledger/kv.h"
#include "coin/ledger/ledger.h"
#include "background.h"
#include "coins.h"
#include "indexer.h"
#include "stored.h"
#include "tree.h"

#define INTAKE_MAX 256 /* offered blocks without a verdict */
#define INTAKE_MAX_B (12u << 20) /* and their bytes */
#define HELD_MAX_B (12u << 20) /* blocks kept in memory until they are connected */
#define PIPELINE_MAX 32 /* blocks between load and commit */
#define PIPELINE_MAX_B (8u << 20) /* and their bytes */
#define UNDO_MAX_B (12u << 20) /* of committed blocks whose undo data is not written yet */
#define FUTURE_HEADERS_MAX 64 /* headers ahead of our clock, tried again */
#define READS_MAX 256 /* blocks being read for others */
#define SCANS_MAX 8
#define TESTS_MAX 16
#define MANUAL_MAX 64
#define DIRTY_ROWS_FLUSH 50000 /* so many changed headers are written without waiting for the clock */
#define UNREQUESTED_AHEAD_MAX 288 /* blocks above the tip that nobody asked for (Bitcoin) */
#define SEQUENCE_FIRST (1u << 31) /* preciousblock counts down from here */
#define FETCH_CHUNK 256 /* coins read by one job */
#define FLUSH_INTERVAL_US (INT64_C(600) * 1000000)
#define SYNC_INTERVAL_US (INT64_C(5) * 1000000)
#define SPACE_INTERVAL_US (INT64_C(10) * 1000000)
#define FREE_SPACE_MIN_B (UINT64_C(50) << 20)
#define REORG_ALERT_DEPTH 6
#define CHUNK_CHECKS_MIN 16 /* fewer script checks than this wake one worker only */
#define CHUNK_CHECKS_MAX 128
#define DBCACHE_MIN_B (4u << 20)
#define VERDICTS_MAX 100000 /* per half of the verdict cache; 40 bytes each */
#define SCHEMA_VERSION 1u
#define SNAPSHOT_FOLDER "chainstate_snapshot"

struct held_block { /* a block with data that is kept in memory */
    struct block_index *index;
    struct block *block;
    struct held_block *next, *prev;
    bool stored; /* it is in its file as well */
};

struct block_place { /* in our files */
    uint32_t file, pos_b;
};

struct intake { /* one offered block, from the offer to its verdict */
    struct job job;
    struct ledger *ledger;
    struct intake *next;
    struct buf raw;
    struct block *block;
    struct block_index *index;
    struct block_context context;
    size_t size_b;
    bool requested, bounced, connected;
    bool stored; /* it comes from our own files, where it lies in */
    struct block_place place;
    enum block_outcome outcome;
    struct fail why; /* kind FAIL_NONE: good so far */
    struct block_verdict verdict;
};

enum connect_stage {
    CONNECT_LOADING,
    CONNECT_LOADED,
    CONNECT_FETCHING,
    CONNECT_FETCHED,
    CONNECT_CHECKING,
    CONNECT_CHECKED
};

struct connecting;
struct fetch_chunk { /* a job: some coins from the store */
    struct job job;
    struct fetch *fetch;
    uint32_t first, count;
    struct arena arena; /* scripts of found coins */
    struct fail why;
};
struct fetch { /* coins read from the store on behalf of a block or a request */
    struct ledger *ledger;
    struct outpoint *outpoints; /* unknown to the cache when it began */
    struct coin *coins;
    bool *found;
    uint32_t count, pending;
    struct fetch_chunk *chunks;
    uint32_t chunk_count;
    uint64_t generation;
    struct fail why;
    void (*done)(struct fetch *fetch);
    void *ctx;
};

struct check_batch { /* a job: script checks of a run of inputs */
    struct job job;
    struct connecting *connecting;
    uint32_t tx_first, in_first, tx_end,
        in_end; /* from (tx_first, in_first) up to before (tx_end, in_end) */
    int64_t sigop_cost;
    struct fail why;
    uint32_t failed_tx;
};

struct connecting { /* one block on its way into the chain */
    struct job job; /* load, then (after the commit) writing the undo data */
    struct ledger *ledger;
    struct connecting *next;
    struct block_index *index;
    struct block *block;
    struct coins *coins; /* the ledger's; a replay's own */
    enum connect_stage stage;
    uint32_t jobs; /* in flight that refer to this struct */
    bool abandoned; /* out of the pipeline; freed when the last job is back */
    bool applied; /* the live coins contain it */
    bool scripts; /* checked, not assumed valid */
    struct fail why;
    struct arena arena;
    struct fetch fetch;
    bool fetched_once;
    struct coin *spent; /* for all inputs but the coinbase's, in order */
    uint32_t *first_spent; /* by transaction: index into spent */
    uint32_t spent_count, txs_done; /* how far it was applied */
    uint8_t *skip_scripts; /* by transaction: its verdict is known */
    uint32_t flags;
    int64_t fees_sat, sigop_cost;
    struct check_batch *batches;
    uint32_t batch_count;
    uint32_t undo_file, undo_pos_b, undo_size_b;
    /* a test only: */
    struct intake *test;
    struct block_index as_index;
};

struct disconnecting {
    struct job job;
    struct ledger *ledger;
    struct stored_block at;
    struct fail why;
};

enum manual_kind { MANUAL_INVALIDATE, MANUAL_RECONSIDER, MANUAL_PRECIOUS };
struct manual {
    struct manual *next;
    enum manual_kind kind;
    struct block_index *index;
    struct ledger_done done;
    bool begun;
    struct fail why;
};

struct done_item {
    struct done_item *next;
    struct ledger_done done;
    struct fail why;
};

enum flush_stage { FLUSH_NONE, FLUSH_BARRIER, FLUSH_WRITING };

struct coins_wait { /* one ledger_coins request that could not be answered at once */
    struct coins_wait *next;
    struct coins_request *request;
    struct fetch fetch;
    struct arena arena;
    bool reading, read;
};

struct file_use { /* of a block file, by the entries that lie in it */
    uint32_t blocks;
    int32_t low, high; /* heights */
    uint64_t size_b;
};

struct ledger {
    const struct env *env;
    const struct chain *chain;
    struct ledger_options options; /* its pointers are not used after opening */
    char dir[PATH_SIZE_B], blocks_dir[PATH_SIZE_B];
    struct u256 minimum_chain_work;
    struct block_id assumed_valid; /* zero: none */

    struct kv *index_kv, *coins_kv;
    struct blockfiles files;
    struct job_serial writer;
    struct job *backlog_first, *backlog_last; /* jobs that the pool had no room for */
    uint32_t jobs; /* submitted and not done, backlog included */

    struct tree tree;
    struct block_index *genesis, *tip, *best_header;
    struct block_index **active; /* by height */
    uint32_t active_capacity;
    uint64_t tip_sequence;
    uint32_t next_sequence, precious_sequence;
    struct block_index **candidates;
    uint32_t candidate_count, candidate_capacity;
    struct header future[FUTURE_HEADERS_MAX];
    uint32_t future_count;

    struct coins coins;
    struct held_block *held_first, *held_last;
    size_t held_b;

    struct intake *waiting; /* checked, verdict depends on the activation */
    uint32_t intake_count;
    size_t intake_b;
    size_t unstored_b; /* of blocks on their way to a file */
    bool intake_refused;
    struct intake *tests_first, *tests_last;
    uint32_t test_count;
    struct connecting *test; /* the one being tested */

    struct connecting *first, *last; /* the pipeline, lowest first */
    uint32_t pipeline_count, applied_count;
    size_t pipeline_b;
    struct disconnecting *disconnect;
    uint32_t undo_jobs; /* undo data on its way to a file */
    size_t undo_b; /* and the bytes of its blocks */
    struct block_index *told_tip; /* of the last LEDGER_TIP */
    struct block_index *reorg_from; /* the tip before a run of disconnects, or NULL */
    struct manual *manual_first, *manual_last;
    uint32_t manual_count;

    enum flush_stage flush_stage;
    bool flush_wanted;
    struct done_item *flush_waiting, *flush_running;
    struct coins_scan *scans_waiting[SCANS_MAX], *scans_flushing[SCANS_MAX],
        *scans_running[SCANS_MAX];
    uint32_t scans_waiting_count, scans_flushing_count,
        scans_running_count; /* together at most SCANS_MAX */
    int64_t flushed_us, synced_us, space_us;
    bool unsynced, checking_space, syncing;
    struct block_index *flushed_tip, *flushing_tip;
    struct block_index **dirty; /* entries whose rows are behind */
    uint32_t dirty_count, dirty_capacity;
    bool low_space; /* LEDGER_FATAL was said; no new blocks, but the stop flushes */
    uint64_t chainstate_size_b;

    struct coins_wait *coins_first, *coins_last;
    struct coins_wait *answers_first, *answers_last; /* answered, done not called yet */
    uint32_t coins_count, read_count;

    struct done_item *done_first, *done_last; /* to be called by the pump */
    struct intake *verdict_first, *verdict_last;

    struct ledger_effect *effects;
    uint32_t effect_first, effect_count, effect_capacity;

    struct table
        verdicts[2]; /* wtxids: new ones go into the first; when it is full the second is dropped */
    struct table deployment_states; /* deployments.c */
    struct ledger_stats stats;
    bool initial_download, started, stopping, stopped, fatal, pumping, pump_again;
    struct fail fatal_why;
    struct file_use *file_uses; /* by number */
    uint32_t file_use_count, file_use_capacity;
    uint64_t file_use_b;
    int32_t prune_height, keep_from, prune_asked_height;
    int32_t verify_from; /* blocks from here on are being verified; INT32_MAX: none */
    bool pruning, prune_asked;
    struct ledger_done prune_done;
    int32_t prune_tried_height; /* up to this height, with so much stored, nothing could go */
    uint64_t prune_tried_b;
    struct background *background; /* of the snapshot in use; NULL: none, or its history is verified */
    struct snapshot_load *load; /* one being loaded */
    bool switching; /* to it: nothing new begins */
    bool snapshot_in_use, snapshot_refused; /* at start */
    struct block_id snapshot_id;
    struct block_index *snapshot_base;
    int32_t history_from; /* no block of the active chain below it is missing */
    _Atomic bool stop_asked; /* for workers */
    struct indexes *indexes; /* indexes.c; NULL: all are off */
    struct import *import; /* import.c; NULL: no file is being read */
    bool reindexing, reindex_marked; /* the latter: the index store says so */
    uint64_t disk_b; /* of the block files, as the writer last said */
    void (*stop_fn)(void *ctx);
    void *stop_ctx;
};

/* ledger.c */
void ledger_submit(struct ledger *ledger, struct job *job);
void ledger_job_back(struct ledger *ledger); /* first line of every done */
void ledger_backlog_submit(struct ledger *ledger);
void ledger_effect_add(struct ledger *ledger, enum ledger_effect_kind kind,
    struct block_index *index, struct block *block, const struct fail *why);
void ledger_die(struct ledger *ledger, const struct fail *why); /* LEDGER_FATAL, once */
void ledger_done_later(struct ledger *ledger, struct ledger_done done, const struct fail *why);
void ledger_try_stop(struct ledger *ledger);
bool ledger_set_active(struct ledger *ledger, struct block_index *index, struct fail *why) MUST_USE;
void ledger_update_initial_download(struct ledger *ledger);
/* The files of a folder that has no folders in it, if there is one. */
bool ledger_remove_folder(struct ledger *ledger, const char *path, struct fail *why) MUST_USE;

/* deployments.c */
void deployments_init(struct ledger *ledger, const uint64_t seed[2]);

/* load.c */
/* What the index store says of itself; a new one is marked, and says whether our files are read again. */
bool markers_check(struct ledger *ledger, uint64_t *reindex_from, struct fail *why) MUST_USE;
bool ledger_load(struct ledger *ledger, struct fail *why) MUST_USE;
/* The stored row of an entry. */
void index_row_put(struct kv_batch *batch, const struct block_index *index);
void reindex_row_put(struct kv_batch *batch, uint64_t place);
void reindex_row_delete(struct kv_batch *batch);
void tip_row_put(struct kv_batch *batch, const struct block_id *tip);

/* headers.c */
bool header_admit(struct ledger *ledger, const struct header *header, const struct block_id *id,
    struct block_index **out, struct fail *why) MUST_USE;
void headers_consider(struct ledger *ledger, struct block_index *index);
void headers_rebuild_best(struct ledger *ledger);
void headers_retry_future(struct ledger *ledger);

/* admit.c */
/* As ledger_offer_block, from a file; place: of our own, where it lies already. */
bool ledger_offer_stored(struct ledger *ledger, struct buf *raw, const struct block_place *place,
    struct block_verdict verdict) MUST_USE;
/* The block's data is good: kept in memory, stored (place NULL), linked. */
void block_arrived(struct ledger *ledger, struct block_index *index, struct block *block,
    const struct block_place *place);
void intake_finish(struct ledger *ledger, struct intake *intake, enum block_outcome outcome,
    const struct fail *why);
void intakes_settle(struct ledger *ledger); /* verdicts that can be given now */
void intakes_failed(struct ledger *ledger, struct block_index *index, const struct fail *why);
void intakes_connected(struct ledger *ledger, struct block_index *index);
void held_release(struct ledger *ledger, struct block_index *index);
void intake_tell_room(struct ledger *ledger); /* to whom an offer was refused */
void tests_advance(struct ledger *ledger);
bool tests_need_quiet(const struct ledger *ledger);
void tests_drop(struct ledger *ledger);

/* activate.c */
void ledger_pump(struct ledger *ledger);
void index_link(struct ledger *ledger, struct block_index *index);
/* A block of its branch is gone: it and what stands on it cannot be connected any more. */
void index_unlink(struct ledger *ledger, struct block_index *index);
void candidate_add(struct ledger *ledger, struct block_index *index);
void candidates_rebuild(struct ledger *ledger);
bool ledger_assumes_valid(const struct ledger *ledger, const struct block_index *index);
bool index_is_failed(const struct block_index *index);
void index_mark_dirty(struct ledger *ledger, struct block_index *index);
void index_mark_failed(struct ledger *ledger, struct block_index *index, const struct fail *why);
bool activation_is_settled(const struct ledger *ledger);
void pipeline_drop_idle(struct ledger *ledger); /* those not applied yet */
struct block_index *pipeline_end(const struct ledger *ledger); /* its last block, or the tip */

/* connect.c */
struct connecting *connecting_new(struct ledger *ledger, struct block_index *index);
void connecting_free(struct connecting *c);
void connecting_abandon(struct ledger *ledger, struct connecting *c);
void connecting_fetch(struct ledger *ledger, struct connecting *c);
bool connecting_apply(
    struct ledger *ledger, struct connecting *c); /* false: c->why, or refetching */
bool connecting_unapply(struct connecting *c, struct fail *why) MUST_USE;
void connecting_check(struct ledger *ledger, struct connecting *c);
void connecting_conclude(struct connecting *c); /* c->why from the batches */
/* The same steps for a replay, which has coins of its own; these two and check_here may run on a worker. */
bool connecting_unknown(struct ledger *ledger, struct connecting *c) MUST_USE;
bool connecting_spend(struct ledger *ledger, struct connecting *c) MUST_USE;
void connecting_check_here(struct connecting *c);

/* coins_read.c */
/* Reads fetch->outpoints in jobs; found ones have been learnt by the cache when done is called, unless the
 * generation has changed meanwhile. Arrays and chunks come from arena. */
bool fetch_begin(struct fetch *fetch, struct ledger *ledger, struct arena *arena,
    void (*done)(struct fetch *fetch), void *ctx) MUST_USE;
void fetch_clear(struct fetch *fetch);
void coins_requests_advance(struct ledger *ledger);
void coins_requests_deliver(struct ledger *ledger);
bool coins_requests_need_quiet(const struct ledger *ledger);
void coins_requests_drop(struct ledger *ledger);

/* flush.c */
void flush_advance(struct ledger *ledger);
bool flush_needs_quiet(
    const struct ledger *ledger); /* no block may be applied until it has begun */
void flush_tick(struct ledger *ledger);

/* scans.c */
void scans_begin(struct ledger *ledger, struct kv_iter *const *snapshots, const struct fail *why);
void scans_abort(struct ledger *ledger);

/* verify.c */
bool verify_at_start(struct ledger *ledger, struct fail *why) MUST_USE;

/* prune.c */
bool prune_load(struct ledger *ledger, struct fail *why) MUST_USE;
bool prune_note_block(struct ledger *ledger, const struct block_index *index) MUST_USE;
void prune_note_undo(struct ledger *ledger, const struct block_index *index);
void prune_advance(struct ledger *ledger);

/* loaded and told by load.c: the block that a store of coins belongs to; genesis when it is new */
bool ledger_read_tip(struct ledger *ledger, struct kv *kv, struct block_index **tip, struct fail *why) MUST_USE;

/* import.c */
struct import;
/* What is to be read: our files from a place on when reindexing, and load_files (ends with NULL). */
bool import_open(struct ledger *ledger, const char *const *load_files, uint64_t from_place,
    struct fail *why) MUST_USE;
void import_free(struct import *import); /* NULL is accepted */
void import_advance(struct ledger *ledger);
void import_tick(struct ledger *ledger);
uint64_t import_place_done(const struct import *import);

/* manual.c */
void manual_advance(struct ledger *ledger);
bool manual_needs_quiet(const struct ledger *ledger);
void manual_drop(struct ledger *ledger);

#endif
