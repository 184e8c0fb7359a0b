/* The coins of a block written into a snapshot file: those of the flushed tip by a walk over a snapshot of the store,
 * those of an earlier block by disconnecting, in memory, what came after it. What that changed lies sorted beside
 * the store's rows and both are walked together. */
#include <stdlib.h>
#include <string.h>

#include "codec.h"
#include "replay.h"
#include "snapshot_file.h"
#include "state.h"

#define CHANGES_MAX_B ((size_t)1 << 31)

struct dump { /* of ledger_dump_coins */
    struct coins_scan scan; /* first: flushes, and brings the snapshot */
    struct ledger *ledger;
    struct ledger_dump *asked;
    struct kv_iter *snapshot;
    struct stored_block *blocks; /* to be disconnected, from the tip down */
    uint32_t count;
    struct kv_batch changed; /* by the disconnected blocks */
    struct kv_op *changes; /* views into it, sorted by key */
    uint32_t change_count;
    struct fail why;
};

static void on_snapshot(struct coins_scan *scan);
static bool walk(struct coins_scan *scan, struct kv_iter *snapshot, struct fail *why);
static bool roll_back(struct dump *dump, struct fail *why);
static bool read_store(void *ctx, struct span key, struct buf *value, bool *found, struct fail *why);
static bool sort_changes(struct dump *dump, struct fail *why);
static bool write_rows(struct dump *dump, struct snapshot_writer *w, struct fail *why);
static void on_done(struct coins_scan *scan, const struct fail *why);

bool ledger_dump_coins(struct ledger *ledger, struct ledger_dump *asked)
{
    struct dump *dump = mem_new(sizeof *dump);
    dump->ledger = ledger;
    dump->asked = asked;
    dump->scan.begun = on_snapshot;
    dump->scan.walk = walk;
    dump->scan.done = on_done;
    kv_batch_init(&dump->changed, CHANGES_MAX_B);
    asked->scan = &dump->scan;
    if (ledger_scan_coins(ledger, &dump->scan))
        return true;
    mem_free(dump);
    return false;
}

/* Loop: the tip is known, and so is the way back to the block that was asked for. */
static void on_snapshot(struct coins_scan *scan)
{
    struct dump *dump = (struct dump *)scan;
    struct block_index *base = dump->asked->base != NULL ? dump->asked->base : scan->tip;
    dump->asked->base = base;
    if (index_ancestor(scan->tip, base->height) != base) {
        fail_request(&dump->why, -1, "The block has left the active chain meanwhile");
        return;
    }
    uint32_t count = (uint32_t)(scan->tip->height - base->height);
    dump->blocks = mem_try_array((size_t)count + 1, sizeof *dump->blocks);
    if (dump->blocks == NULL) {
        fail_oom(&dump->why, "blocks to roll back");
        return;
    }
    for (struct block_index *at = scan->tip; at != base; at = at->prev)
        if (!stored_block_find(&dump->blocks[dump->count++], at, NEED_UNDO)) {
            fail_request(&dump->why, -1, "Could not roll back to requested height: block %d is not available",
                (int)at->height);
            return;
        }
}

static bool walk(struct coins_scan *scan, struct kv_iter *snapshot, struct fail *why) /* worker */
{
    struct dump *dump = (struct dump *)scan;
    struct ledger_dump *asked = dump->asked;
    struct snapshot_writer w;
    *why = dump->why;
    if (dump->why.kind != FAIL_NONE)
        return false;
    dump->snapshot = snapshot;
    bool ok = snapshot_writer_open(&w, dump->ledger->env->disk, asked->path, why) &&
              (dump->count == 0 || (roll_back(dump, why) && sort_changes(dump, why))) && write_rows(dump, &w, why) &&
              snapshot_writer_end(&w, dump->ledger->chain->magic, &asked->base->id, asked->hash, why);
    asked->coins = w.coins;
    snapshot_writer_close(&w);
    return ok;
}

static bool roll_back(struct dump *dump, struct fail *why)
{
    struct replay replay;
    bool ok = true;
    replay_init(&replay, dump->ledger, read_store, dump);
    for (uint32_t i = 0; i < dump->count && ok && !dump->scan.abort; i++) {
        struct stored_block *b = &dump->blocks[i];
        ok = stored_block_read(b, &dump->ledger->files, NEED_UNDO, why) && replay_disconnect(&replay, b, why);
        stored_block_clear(b);
        if (ok && coins_size_b(&replay.coins) > dump->ledger->options.dbcache_b)
            ok = fail_request(why, -7, "Rolling back to height %d needs more memory than -dbcache allows: height %d "
                "was reached; raise it", (int)dump->asked->base->height, (int)b->index->height);
    }
    ok = ok && coins_encode(&dump->changed, &replay.coins.live, why);
    replay_clear(&replay);
    return ok;
}

static bool read_store(void *ctx, struct span key, struct buf *value, bool *found, struct fail *why)
{
    const struct dump *dump = ctx;
    return kv_iter_find(dump->ledger->coins_kv, dump->snapshot, key, value, found, why);
}

static int by_key(const void *a, const void *b)
{
    const struct span x = ((const struct kv_op *)a)->key, y = ((const struct kv_op *)b)->key;
    int order = memcmp(x.data, y.data, x.size_b < y.size_b ? x.size_b : y.size_b);
    return order != 0 ? order : (x.size_b > y.size_b) - (x.size_b < y.size_b);
}

static bool sort_changes(struct dump *dump, struct fail *why)
{
    struct reader r;
    dump->changes = mem_try_array((size_t)dump->changed.count + 1, sizeof *dump->changes);
    if (dump->changes == NULL || !buf_ok(&dump->changed.ops, "changed coins", why))
        return fail_oom(why, "changed coins");
    rd_init(&r, buf_span(&dump->changed.ops));
    while (kv_batch_next(&r, &dump->changes[dump->change_count]))
        dump->change_count++;
    qsort(dump->changes, dump->change_count, sizeof *dump->changes, by_key);
    return true;
}

/* The store's rows and the changes, in one order; where both have a key the change counts. */
static bool write_rows(struct dump *dump, struct snapshot_writer *w, struct fail *why)
{
    const struct kv_ops *ops = dump->ledger->coins_kv->ops;
    uint32_t next = 0;
    ops->iter_seek(dump->snapshot, span_text("C"));
    for (;;) {
        struct kv_op stored = {.is_put = true};
        struct kv_op *change = next < dump->change_count ? &dump->changes[next] : NULL;
        bool has = ops->iter_get(dump->snapshot, &stored.key, &stored.value) && stored.key.data[0] == 'C';
        if (!has && change == NULL)
            return !dump->scan.abort || fail_request(why, -1, "Aborted");
        int order = !has ? 1 : change == NULL ? -1 : by_key(&stored, change);
        struct kv_op row = order < 0 ? stored : *change;
        struct outpoint outpoint;
        if (!coin_key_parse(&outpoint, row.key))
            return fail_set(why, FAIL_LOCAL, "damaged",
                "chainstate/ has a damaged key; start with -reindex-chainstate");
        if (row.is_put && !snapshot_writer_add(w, &outpoint, row.value, why))
            return false;
        if (order <= 0)
            ops->iter_next(dump->snapshot);
        if (order >= 0)
            next++;
        dump->scan.progress = (uint32_t)outpoint.txid.b[0] << 8 | outpoint.txid.b[1];
        if (dump->scan.abort)
            return fail_request(why, -1, "Aborted");
    }
}

static void on_done(struct coins_scan *scan, const struct fail *why)
{
    struct dump *dump = (struct dump *)scan;
    struct ledger_dump *asked = dump->asked;
    struct fail told = *why;
    kv_batch_clear(&dump->changed);
    mem_free(dump->changes);
    mem_free(dump->blocks);
    mem_free(dump);
    asked->scan = NULL;
    asked->done(asked, &told);
}
