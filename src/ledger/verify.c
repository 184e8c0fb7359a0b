/* The last blocks checked again (verifychain, -checkblocks, -checklevel), as Bitcoin does it, from the tip down:
 *   0 the block can be read   1 it is a valid block by itself   2 its undo data can be read
 *   3 the coins are what it left: it is disconnected, in memory   4 then all are connected again, by every rule
 * Nothing is changed: levels 3 and 4 work on coins of their own above a snapshot of the flushed chainstate. */
#include <string.h>

#include "replay.h"
#include "state.h"

struct verify { /* one run, on a worker or before the loop runs */
    struct ledger *ledger;
    struct kv_iter *snapshot; /* NULL: levels up to 2 */
    int32_t level;
    struct stored_block *blocks; /* from the tip down */
    uint32_t count;
    bool cut; /* older ones were asked for and are pruned */
    bool complete; /* result: everything that was asked for was looked at */
    const _Atomic bool *abort;
    _Atomic uint32_t *progress; /* 0..65535 */
    struct fail why;
};

struct verify_call { /* of ledger_verify_chain */
    struct coins_scan scan; /* first: flushes, and brings the snapshot */
    struct ledger_verify *asked;
    struct verify verify;
};

static bool list_blocks(struct verify *verify, struct block_index *tip, int32_t count, struct fail *why);
static bool verify_run(struct verify *verify, struct fail *why);
static bool look_at(struct verify *verify, struct replay *replay, struct stored_block *b, bool *undone, struct fail *why);
static bool connect_again(struct verify *verify, struct replay *replay, uint32_t undone, struct fail *why);
static bool read_snapshot(void *ctx, struct span key, struct buf *value, bool *found, struct fail *why);
static void on_snapshot(struct coins_scan *scan);
static bool walk(struct coins_scan *scan, struct kv_iter *snapshot, struct fail *why);
static void on_done(struct coins_scan *scan, const struct fail *why);

/* ---- a run ---- */
static bool list_blocks(struct verify *verify, struct block_index *tip, int32_t count, struct fail *why)
{
    struct block_index *at = tip;
    if (count <= 0 || count > tip->height)
        count = tip->height;
    verify->blocks = mem_try_array((uint32_t)count + 1, sizeof *verify->blocks);
    if (verify->blocks == NULL)
        return fail_oom(why, "blocks to verify");
    for (int32_t i = 0; i < count && !verify->cut; i++, at = at->prev) {
        verify->cut = !stored_block_find(&verify->blocks[verify->count], at, NEED_UNDO);
        verify->count += !verify->cut;
    }
    return true;
}

static bool verify_run(struct verify *verify, struct fail *why)
{
    struct replay replay;
    bool ok = true, undoing = verify->level >= 3;
    uint32_t undone = 0;
    replay_init(&replay, verify->ledger, read_snapshot, verify);
    verify->complete = !verify->cut;
    for (uint32_t i = 0; i < verify->count && ok && !*verify->abort; i++) {
        struct stored_block *b = &verify->blocks[i];
        /* What does not fit into the cache any more is looked at, but not undone. */
        if (undoing && coins_size_b(&replay.coins) > verify->ledger->options.dbcache_b)
            undoing = verify->complete = false;
        ok = look_at(verify, &replay, b, &undoing, why);
        undone += undoing && ok;
        stored_block_clear(b);
        *verify->progress = (uint32_t)((uint64_t)(i + 1) * 65535 / verify->count / (verify->level >= 4 ? 2 : 1));
    }
    if (ok && verify->level >= 4)
        ok = connect_again(verify, &replay, undone, why);
    replay_clear(&replay);
    verify->complete = verify->complete && !*verify->abort;
    return ok;
}

static bool look_at(
    struct verify *verify, struct replay *replay, struct stored_block *b, bool *undone, struct fail *why)
{
    struct fail broken;
    if (!stored_block_read(b, &verify->ledger->files, verify->level >= 2 ? NEED_UNDO : NEED_BLOCK, why))
        return false;
    if (verify->level >= 1 && !check_block(verify->ledger->chain, b->block, &broken))
        return fail_set(why, FAIL_LOCAL, "damaged", "block %d in %s is not valid (%s); start with -reindex",
            (int)b->index->height, verify->ledger->blocks_dir, broken.code);
    return !*undone || replay_disconnect(replay, b, why);
}

static bool connect_again(struct verify *verify, struct replay *replay, uint32_t undone, struct fail *why)
{
    for (uint32_t i = undone; i-- > 0 && !*verify->abort;) {
        struct stored_block *b = &verify->blocks[i];
        struct fail broken;
        bool ok = stored_block_read(b, &verify->ledger->files, NEED_BLOCK, why);
        if (ok && !replay_connect(replay, b, true, NULL, &broken)) {
            *why = broken;
            ok = broken.kind == FAIL_NO_ROOM || broken.kind == FAIL_LOCAL
                     ? false
                     : fail_set(why, FAIL_LOCAL, "damaged",
                           "block %d does not connect to the coins before it (%s); start with -reindex-chainstate",
                           (int)b->index->height, broken.code);
        }
        stored_block_clear(b);
        if (!ok)
            return false;
        *verify->progress = 65535 - (uint32_t)((uint64_t)i * 32767 / undone);
    }
    return true;
}

static bool read_snapshot(void *ctx, struct span key, struct buf *value, bool *found, struct fail *why)
{
    const struct verify *verify = ctx;
    return kv_iter_find(verify->ledger->coins_kv, verify->snapshot, key, value, found, why);
}

/* ---- at start ---- */
bool verify_at_start(struct ledger *ledger, struct fail *why)
{
    static const _Atomic bool never = false;
    _Atomic uint32_t progress = 0;
    struct verify verify = {
        .ledger = ledger, .level = ledger->options.check_level, .abort = &never, .progress = &progress};
    struct fail ignored;
    if (ledger->options.check_blocks <= 0 || ledger->tip->height == 0)
        return true;
    if (!list_blocks(&verify, ledger->tip, ledger->options.check_blocks, why))
        return false;
    verify.snapshot = ledger->coins_kv->ops->iterate(ledger->coins_kv, span_text("C"));
    bool ok = verify_run(&verify, why);
    mem_free(verify.blocks);
    return ledger->coins_kv->ops->iter_close(verify.snapshot, ok ? why : &ignored) && ok;
}

/* ---- on demand ---- */
bool ledger_verify_chain(struct ledger *ledger, struct ledger_verify *asked)
{
    if (ledger->verify_from != INT32_MAX)
        return false;
    struct verify_call *call = mem_new(sizeof *call);
    call->asked = asked;
    asked->complete = false;
    call->verify = (struct verify){
        .ledger = ledger, .level = asked->level, .abort = &call->scan.abort, .progress = &call->scan.progress};
    call->scan.begun = on_snapshot;
    call->scan.walk = walk;
    call->scan.done = on_done;
    asked->scan = &call->scan;
    ledger->verify_from = 0; /* one at a time, and nothing is pruned meanwhile */
    if (ledger_scan_coins(ledger, &call->scan))
        return true;
    ledger->verify_from = INT32_MAX;
    mem_free(call);
    return false;
}

static void on_snapshot(struct coins_scan *scan)
{
    struct verify_call *call = (struct verify_call *)scan;
    if (!list_blocks(&call->verify, scan->tip, call->asked->count, &call->verify.why))
        scan->abort = true;
    else if (call->verify.count > 0)
        call->verify.ledger->verify_from = call->verify.blocks[call->verify.count - 1].index->height;
}

static bool walk(struct coins_scan *scan, struct kv_iter *snapshot, struct fail *why) /* worker */
{
    struct verify_call *call = (struct verify_call *)scan;
    call->verify.snapshot = snapshot;
    if (call->verify.why.kind == FAIL_NONE)
        return verify_run(&call->verify, why);
    *why = call->verify.why;
    return false;
}

static void on_done(struct coins_scan *scan, const struct fail *why)
{
    struct verify_call *call = (struct verify_call *)scan;
    struct ledger_verify *asked = call->asked;
    struct fail told = *why;
    asked->complete = call->verify.complete;
    asked->scan = NULL;
    call->verify.ledger->verify_from = INT32_MAX;
    mem_free(call->verify.blocks);
    mem_free(call);
    asked->done(asked, &told);
}
