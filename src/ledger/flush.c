/* What makes things durable, and in which order:
 *   1. at a moment without half-way blocks the live coins become the frozen generation (loop)
 *   2. a barrier through the writer: all earlier appends are in the files and their positions known
 *   3. one job: sync the block files; write and sync the index rows; write and sync the coins with the tip
 *      marker, in one atomic batch
 *   4. the frozen generation is retired: what it held is in the store
 * A crash between any two steps leaves a chainstate whose tip the index and the files know. Meanwhile the
 * chain moves on in the new live generation. Block files alone are synced every few seconds, since the
 * next start finds in them what the index does not know yet. */
#include <stdio.h>

#include "coin/base/log.h"
#include "state.h"

#define BATCH_MAX_B ((size_t)1 << 32)
#define DIRTY_MAX_B                                                                                \
    ((size_t)96 << 20) /* of live coins: bounds the atomic batch whatever -dbcache says */

struct barrier_job {
    struct job job;
    struct ledger *ledger;
};
struct write_job {
    struct job job;
    struct ledger *ledger;
    struct kv_batch index_rows;
    const struct coins_generation *coins; /* frozen: immutable while this runs; NULL: none */
    struct block_id tip;
    bool tip_moved;
    struct kv_iter *snapshots[SCANS_MAX];
    uint32_t snapshot_count;
    uint64_t chainstate_size_b;
    struct fail why;
};
struct sync_job {
    struct job job;
    struct ledger *ledger;
    struct fail why;
};
struct space_job {
    struct job job;
    struct ledger *ledger;
    uint64_t free_b;
    const char *dir; /* of the fuller one */
    struct fail why;
};
struct drop_job { /* frees a retired generation, which may take milliseconds */
    struct job job;
    struct ledger *ledger;
    struct coins_generation *generation;
};

static bool flush_is_due(struct ledger *ledger);
static void flush_begin(struct ledger *ledger);
static void barrier_run(struct job *job);
static void barrier_done(struct job *job);
static void flush_abandon(struct ledger *ledger);
static void write_run(struct job *job);
static void write_done(struct job *job);
static bool write_coins(struct write_job *write);
static void drop_run(struct job *job);
static void drop_done(struct job *job);
static void sync_run(struct job *job);
static void sync_done(struct job *job);
static void space_run(struct job *job);
static void space_done(struct job *job);

/* ---- when ---- */
void ledger_flush(struct ledger *ledger, struct ledger_done done)
{
    struct done_item *item = mem_new(sizeof *item);
    item->done = done;
    item->next = ledger->flush_waiting;
    ledger->flush_waiting = item;
    ledger_pump(ledger);
}

static bool flush_is_due(struct ledger *ledger)
{
    if (ledger->flush_waiting != NULL || ledger->scans_waiting_count > 0 || ledger->flush_wanted)
        return true;
    if (ledger->stopping)
        return ledger->flushed_tip != ledger->tip || ledger->unsynced ||
               ledger->coins.live.dirty > 0 || ledger->dirty_count > 0;
    return ledger->coins.live.size_b > ledger->options.dbcache_b / 2 ||
           ledger->coins.live.size_b > DIRTY_MAX_B || ledger->dirty_count > DIRTY_ROWS_FLUSH;
}

bool flush_needs_quiet(const struct ledger *ledger)
{
    /* While one flush writes, the chain goes on unless both generations fill the cache. */
    if (ledger->flush_stage != FLUSH_NONE)
        return coins_size_b(&ledger->coins) > ledger->options.dbcache_b;
    return flush_is_due((struct ledger *)(uintptr_t)ledger);
}

void flush_advance(struct ledger *ledger)
{
    if (ledger->fatal) {
        while (ledger->flush_stage == FLUSH_NONE && ledger->flush_waiting != NULL) {
            struct done_item *item = ledger->flush_waiting;
            ledger->flush_waiting = item->next;
            ledger_done_later(ledger, item->done, &ledger->fatal_why);
            mem_free(item);
        }
        while (ledger->scans_waiting_count > 0) {
            struct coins_scan *scan = ledger->scans_waiting[--ledger->scans_waiting_count];
            scan->done(scan, &ledger->fatal_why);
        }
        return;
    }
    if (ledger->flush_stage == FLUSH_NONE && ledger->applied_count == 0 &&
        ledger->disconnect == NULL && flush_is_due(ledger))
        flush_begin(ledger);
}

void flush_tick(struct ledger *ledger)
{
    int64_t now_us = env_steady_us(ledger->env);
    if (ledger->stopping || ledger->fatal)
        return;
    if (now_us - ledger->flushed_us >= FLUSH_INTERVAL_US &&
        (ledger->tip != ledger->flushed_tip || ledger->dirty_count > 0))
        ledger->flush_wanted = true;
    if (ledger->unsynced && !ledger->syncing && now_us - ledger->synced_us >= SYNC_INTERVAL_US) {
        struct sync_job *sync = mem_new(sizeof *sync);
        sync->job = (struct job){
            .run = sync_run, .done = sync_done, .lane = JOB_WRITE, .serial = &ledger->writer};
        sync->ledger = ledger;
        ledger->syncing = true;
        ledger->unsynced = false;
        ledger_submit(ledger, &sync->job);
    }
    if (!ledger->checking_space && now_us - ledger->space_us >= SPACE_INTERVAL_US) {
        struct space_job *space = mem_new(sizeof *space);
        space->job = (struct job){.run = space_run, .done = space_done, .lane = JOB_READ};
        space->ledger = ledger;
        ledger->checking_space = true;
        ledger_submit(ledger, &space->job);
    }
}

/* ---- the flush ---- */
static void flush_begin(struct ledger *ledger)
{
    ledger->flush_stage = FLUSH_BARRIER;
    ledger->flush_wanted = false;
    ledger->flush_running = ledger->flush_waiting;
    ledger->flush_waiting = NULL;
    ledger->scans_flushing_count = ledger->scans_waiting_count;
    for (uint32_t i = 0; i < ledger->scans_waiting_count; i++) {
        ledger->scans_flushing[i] = ledger->scans_waiting[i];
        ledger->scans_flushing[i]->tip = ledger->tip;
    }
    ledger->scans_waiting_count = 0;
    if (ledger->coins.live.count > 0)
        coins_freeze(&ledger->coins);
    ledger->flushing_tip = ledger->tip;
    struct barrier_job *barrier = mem_new(sizeof *barrier);
    barrier->job = (struct job){
        .run = barrier_run, .done = barrier_done, .lane = JOB_WRITE, .serial = &ledger->writer};
    barrier->ledger = ledger;
    ledger_submit(ledger, &barrier->job);
}

static void barrier_run(struct job *job)
{
    (void)job;
}

static void barrier_done(struct job *job)
{
    struct ledger *ledger = ((struct barrier_job *)job)->ledger;
    mem_free(job);
    ledger_job_back(ledger);
    if (ledger->fatal) { /* an append before the barrier failed: the tip must not promise its block */
        flush_abandon(ledger);
        ledger_pump(ledger);
        return;
    }
    struct write_job *write = mem_new(sizeof *write);
    write->job = (struct job){
        .run = write_run, .done = write_done, .lane = JOB_WRITE, .serial = &ledger->writer};
    write->ledger = ledger;
    write->coins = ledger->coins.frozen;
    write->tip = ledger->flushing_tip->id;
    write->tip_moved = ledger->flushing_tip != ledger->flushed_tip;
    write->snapshot_count = ledger->scans_flushing_count;
    kv_batch_init(&write->index_rows, BATCH_MAX_B);
    for (uint32_t i = 0; i < ledger->dirty_count; i++) {
        ledger->dirty[i]->is_dirty = false;
        index_row_put(&write->index_rows, ledger->dirty[i]);
    }
    ledger->dirty_count = 0;
    if (ledger->reindexing)
        reindex_row_put(&write->index_rows, import_place_done(ledger->import));
    else if (ledger->reindex_marked)
        reindex_row_delete(&write->index_rows);
    ledger->reindex_marked = ledger->reindexing;
    ledger->unsynced = false;
    ledger->flush_stage = FLUSH_WRITING;
    ledger_submit(ledger, &write->job);
    ledger_pump(ledger);
}

static void flush_abandon(struct ledger *ledger)
{
    ledger->flush_stage = FLUSH_NONE;
    for (uint32_t i = 0; i < ledger->scans_flushing_count; i++)
        ledger->scans_waiting[ledger->scans_waiting_count++] = ledger->scans_flushing[i];
    ledger->scans_flushing_count = 0;
    while (ledger->flush_running != NULL) {
        struct done_item *item = ledger->flush_running;
        ledger->flush_running = item->next;
        ledger_done_later(ledger, item->done, &ledger->fatal_why);
        mem_free(item);
    }
}

static void write_run(struct job *job)
{
    struct write_job *write = (struct write_job *)job;
    struct ledger *ledger = write->ledger; /* the writer's parts and the stores only */
    if (blockfiles_sync(&ledger->files, &write->why) &&
        (write->index_rows.count == 0 ||
            kv_write(ledger->index_kv, &write->index_rows, true, &write->why)) &&
        write_coins(write))
        fail_clear(&write->why);
    for (uint32_t i = 0; i < write->snapshot_count && write->why.kind == FAIL_NONE; i++)
        write->snapshots[i] = ledger->coins_kv->ops->iterate(ledger->coins_kv, span_text("C"));
    write->chainstate_size_b = ledger->coins_kv->ops->size_b(ledger->coins_kv);
}

static bool write_coins(struct write_job *write)
{
    struct kv_batch batch;
    if (write->coins == NULL && !write->tip_moved)
        return true;
    kv_batch_init(&batch, BATCH_MAX_B);
    bool ok = write->coins == NULL || coins_encode(&batch, write->coins, &write->why);
    tip_row_put(&batch, &write->tip);
    ok = ok && kv_write(write->ledger->coins_kv, &batch, true, &write->why);
    kv_batch_clear(&batch);
    return ok;
}

static void write_done(struct job *job)
{
    struct write_job *write = (struct write_job *)job;
    struct ledger *ledger = write->ledger;
    ledger_job_back(ledger);
    ledger->flush_stage = FLUSH_NONE;
    bool ok = write->why.kind == FAIL_NONE;
    if (ok) {
        struct drop_job *drop = mem_new(sizeof *drop);
        drop->job = (struct job){.run = drop_run, .done = drop_done, .lane = JOB_WRITE};
        drop->ledger = ledger;
        drop->generation = coins_retire(&ledger->coins);
        ledger_submit(ledger, &drop->job);
        ledger->flushed_tip = ledger->flushing_tip;
        ledger->flushed_us = ledger->synced_us = env_steady_us(ledger->env);
        ledger->chainstate_size_b = write->chainstate_size_b;
        ledger->stats.flushes++;
    } else {
        ledger_die(ledger, &write->why);
    }
    scans_begin(ledger, write->snapshots, &write->why);
    while (ledger->flush_running != NULL) {
        struct done_item *item = ledger->flush_running;
        ledger->flush_running = item->next;
        ledger_done_later(ledger, item->done, ok ? NULL : &write->why);
        mem_free(item);
    }
    kv_batch_clear(&write->index_rows);
    mem_free(write);
    ledger_pump(ledger);
}

static void drop_run(struct job *job)
{
    coins_generation_free(((struct drop_job *)job)->generation);
}

static void drop_done(struct job *job)
{
    struct ledger *ledger = ((struct drop_job *)job)->ledger;
    mem_free(job);
    ledger_job_back(ledger);
    ledger_pump(ledger);
}

/* ---- sync and space ---- */
static void sync_run(struct job *job)
{
    struct sync_job *sync = (struct sync_job *)job;
    if (blockfiles_sync(&sync->ledger->files, &sync->why))
        fail_clear(&sync->why);
}

static void sync_done(struct job *job)
{
    struct sync_job *sync = (struct sync_job *)job;
    struct ledger *ledger = sync->ledger;
    ledger_job_back(ledger);
    ledger->syncing = false;
    ledger->synced_us = env_steady_us(ledger->env);
    if (sync->why.kind != FAIL_NONE)
        ledger_die(ledger, &sync->why);
    mem_free(sync);
    ledger_pump(ledger);
}

static void space_run(struct job *job)
{
    struct space_job *space = (struct space_job *)job;
    const struct ledger *ledger = space->ledger; /* what never changes of it */
    const struct disk *disk = ledger->env->disk;
    uint64_t coins_free_b = 0; /* the two folders may lie on different disks */
    if (!disk->free_space(disk->ctx, ledger->blocks_dir, &space->free_b, &space->why) ||
        !disk->free_space(disk->ctx, ledger->dir, &coins_free_b, &space->why))
        return;
    space->dir = ledger->blocks_dir;
    if (coins_free_b < space->free_b) {
        space->dir = ledger->dir;
        space->free_b = coins_free_b;
    }
    fail_clear(&space->why);
}

static void space_done(struct job *job)
{
    struct space_job *space = (struct space_job *)job;
    struct ledger *ledger = space->ledger;
    ledger_job_back(ledger);
    ledger->checking_space = false;
    ledger->space_us = env_steady_us(ledger->env);
    struct fail why;
    if (space->why.kind == FAIL_NONE && space->free_b < FREE_SPACE_MIN_B && !ledger->stopping &&
        !ledger->low_space) {
        /* Stopping flushes, which needs some of what is left: that is why the limit is not zero. */
        fail_set(&why, FAIL_LOCAL, "disk-space",
            "only %llu MiB are free at %s; free some space and start again",
            (unsigned long long)(space->free_b >> 20), space->dir);
        ledger_effect_add(ledger, LEDGER_FATAL, NULL, NULL, &why);
        ledger->low_space = true;
    }
    mem_free(space);
    ledger_pump(ledger);
}
