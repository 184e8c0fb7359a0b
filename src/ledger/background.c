/* A snapshot's coins were taken on trust in the chain file. This connects every block up to the snapshot's by the
 * usual rules (replay.c), on the chainstate that was there before, and compares: the same coins, or the node stops
 * and goes on without the snapshot. Blocks come from the files as they arrive; their undo data is written on the
 * way, so that afterwards nothing tells this node from one that never had a snapshot.
 *
 * One thing happens at a time:
 *   step (worker: connect some blocks) -> undo (writer: append their undo data) -> ... -> flush (the ledger's, then
 *   ours: the tip in our store never refers to what is not durable) -> ... -> hash (worker) -> verdict (writer) */
#include "background.h"

#include <inttypes.h>
#include <string.h>

#include "coin/base/log.h"
#include "codec.h"
#include "coin/ledger/set_hash.h"
#include "replay.h"
#include "state.h"

#define STEP_BLOCKS_MAX 64
#define STEP_SIZE_MAX_B (8u << 20)
#define COINS_SHARE 4 /* of -dbcache */
#define COINS_MIN_B ((size_t)4 << 20)
#define FLUSH_EVERY_US (INT64_C(600) * 1000000)
#define LOG_EVERY_US (INT64_C(30) * 1000000)
#define UNDO_MAX_SIZE_B ((size_t)BLOCK_SIZE_MAX_B * 64)
#define BATCH_MAX_SIZE_B ((size_t)1 << 30)

struct background_step {
    struct job job;
    struct background *background;
    uint32_t count;
    struct stored_block blocks[STEP_BLOCKS_MAX];
    bool scripts[STEP_BLOCKS_MAX];
    struct buf undo[STEP_BLOCKS_MAX];
    uint32_t undo_pos_b[STEP_BLOCKS_MAX];
    struct fail why;
};
struct background_job { /* flush, hash, verdict */
    struct job job;
    struct background *background;
    struct block_id tip;
    uint8_t hash[32];
    enum snapshot_stage stage;
    struct fail why;
};

struct background {
    struct ledger *ledger;
    const struct chain_snapshot *expected;
    struct block_index *base, *tip, *flushed;
    struct kv *kv;
    struct replay replay; /* a step's, while one runs */
    bool busy;
    int64_t flushed_us, logged_us;
};

static bool read_row(void *ctx, struct span key, struct buf *value, bool *found, struct fail *why);
static bool flush_is_due(const struct background *bg);
static void step_begin(struct background *bg);
static void step_run(struct job *job);
static void step_done(struct job *job);
static void undo_run(struct job *job);
static void undo_done(struct job *job);
static void step_free(struct background_step *step);
static void tell(struct background *bg);
static struct background_job *job_new(struct background *bg, void (*run)(struct job *), void (*done)(struct job *));
static void flush_begin(struct background *bg);
static void on_flushed(void *ctx, const struct fail *why);
static void flush_run(struct job *job);
static void flush_done(struct job *job);
static void hash_run(struct job *job);
static void hash_done(struct job *job);
static void verdict(struct background *bg, enum snapshot_stage stage, const struct fail *why);
static void verdict_run(struct job *job);
static void verdict_done(struct job *job);

struct background *background_new(struct ledger *ledger, const struct chain_snapshot *expected,
    struct block_index *base, struct kv *kv, struct block_index *tip)
{
    struct background *bg = mem_new(sizeof *bg);
    bg->ledger = ledger;
    bg->expected = expected;
    bg->base = base;
    bg->kv = kv;
    bg->tip = bg->flushed = tip;
    bg->flushed_us = bg->logged_us = env_steady_us(ledger->env);
    replay_init(&bg->replay, ledger, read_row, kv);
    ledger->history_from = tip->height + 1;
    return bg;
}

void background_free(struct background *bg)
{
    if (bg == NULL)
        return;
    replay_clear(&bg->replay);
    kv_close(bg->kv);
    mem_free(bg);
}

struct block_index *background_tip(const struct background *bg)
{
    return bg->tip;
}

struct block_index *background_base(const struct background *bg)
{
    return bg->base;
}

bool background_admits(const struct background *bg, struct block_index *index)
{
    return index_ancestor(index, bg->base->height) == bg->base;
}

uint64_t background_tx_count(const struct background *bg)
{
    return bg->expected->chain_tx_count;
}

int32_t background_keep_from(const struct background *bg)
{
    return bg->tip->height + 1;
}

static bool read_row(void *ctx, struct span key, struct buf *value, bool *found, struct fail *why)
{
    return kv_get(ctx, key, value, found, why);
}

/* ---- what next ---- */
void background_advance(struct ledger *ledger)
{
    struct background *bg = ledger->background;
    while (bg != NULL && ledger->history_from <= bg->base->height &&
           (ledger->active[ledger->history_from]->status & BLOCK_HAVE_DATA) != 0)
        ledger->history_from++;
    if (bg == NULL || bg->busy || ledger->fatal || ledger->switching)
        return;
    if (flush_is_due(bg))
        flush_begin(bg);
    else if (ledger->stopping)
        return;
    else if (bg->tip != bg->base)
        step_begin(bg);
    else {
        bg->busy = true;
        ledger_submit(ledger, &job_new(bg, hash_run, hash_done)->job);
    }
}

size_t background_cache_limit_b(const struct background *bg)
{
    size_t limit_b = bg->ledger->options.dbcache_b / COINS_SHARE;
    return limit_b > COINS_MIN_B ? limit_b : COINS_MIN_B;
}

static bool flush_is_due(const struct background *bg)
{
    if (bg->tip == bg->flushed)
        return false;
    return bg->tip == bg->base || bg->ledger->stopping ||
           coins_size_b(&bg->replay.coins) > background_cache_limit_b(bg) ||
           env_steady_us(bg->ledger->env) - bg->flushed_us > FLUSH_EVERY_US;
}

/* ---- a step ---- */
static void step_begin(struct background *bg)
{
    struct ledger *ledger = bg->ledger;
    uint32_t size_b = 0;
    struct stored_block next;
    if (!stored_block_find(&next, ledger->active[bg->tip->height + 1], NEED_BLOCK))
        return; /* it is still to come */
    struct background_step *step = mem_new(sizeof *step);
    step->job = (struct job){.run = step_run, .done = step_done, .lane = JOB_SLOW};
    step->background = bg;
    for (int32_t h = bg->tip->height + 1; h <= bg->base->height && step->count < STEP_BLOCKS_MAX; h++) {
        struct stored_block *b = &step->blocks[step->count];
        if (size_b > STEP_SIZE_MAX_B || !stored_block_find(b, ledger->active[h], NEED_BLOCK))
            break;
        step->scripts[step->count] = !ledger_assumes_valid(ledger, b->index);
        buf_init(&step->undo[step->count], UNDO_MAX_SIZE_B);
        size_b += b->data_size_b;
        step->count++;
    }
    bg->busy = true;
    ledger_submit(ledger, &step->job);
}

static void step_run(struct job *job) /* worker */
{
    struct background_step *step = (struct background_step *)job;
    struct background *bg = step->background;
    for (uint32_t i = 0; i < step->count; i++) {
        struct stored_block *b = &step->blocks[i];
        struct buf *undo = b->has_undo ? NULL : &step->undo[i];
        bool ok = stored_block_read(b, &bg->ledger->files, NEED_BLOCK, &step->why) &&
                  replay_connect(&bg->replay, b, step->scripts[i], undo, &step->why) &&
                  (undo == NULL || buf_ok(undo, "undo data", &step->why));
        stored_block_clear(b);
        if (!ok)
            return;
    }
    fail_clear(&step->why);
}

static void step_done(struct job *job)
{
    struct background_step *step = (struct background_step *)job;
    struct background *bg = step->background;
    struct ledger *ledger = bg->ledger;
    ledger_job_back(ledger);
    if (step->why.kind == FAIL_NONE) {
        step->job = (struct job){
            .run = undo_run, .done = undo_done, .lane = JOB_WRITE, .serial = &ledger->writer};
        ledger_submit(ledger, &step->job);
    } else {
        struct fail why = step->why;
        step_free(step);
        if (why.kind == FAIL_LOCAL || why.kind == FAIL_NO_ROOM)
            ledger_die(ledger, &why);
        else
            verdict(bg, SNAPSHOT_REFUSED, &why);
    }
    ledger_pump(ledger);
}

static void undo_run(struct job *job) /* the writer */
{
    struct background_step *step = (struct background_step *)job;
    struct ledger *ledger = step->background->ledger; /* the writer's parts only */
    for (uint32_t i = 0; i < step->count; i++) {
        struct stored_block *b = &step->blocks[i];
        if (!b->has_undo && !blockfiles_append_undo(&ledger->files, b->file, &b->index->prev->id,
                                buf_span(&step->undo[i]), &step->undo_pos_b[i], &step->why))
            return;
    }
    fail_clear(&step->why);
}

static void undo_done(struct job *job)
{
    struct background_step *step = (struct background_step *)job;
    struct background *bg = step->background;
    struct ledger *ledger = bg->ledger;
    ledger_job_back(ledger);
    bg->busy = false;
    if (step->why.kind != FAIL_NONE)
        ledger_die(ledger, &step->why);
    for (uint32_t i = 0; i < step->count && step->why.kind == FAIL_NONE; i++) {
        struct block_index *index = step->blocks[i].index;
        bg->tip = index;
        if (step->blocks[i].has_undo)
            continue;
        index->undo_pos_b = step->undo_pos_b[i];
        index->undo_size_b = (uint32_t)step->undo[i].size_b;
        index->status |= BLOCK_HAVE_UNDO | BLOCK_SCRIPTS_OK;
        prune_note_undo(ledger, index);
        ledger->unsynced = true;
        index_mark_dirty(ledger, index);
    }
    step_free(step);
    tell(bg);
    ledger_pump(ledger);
}

static void step_free(struct background_step *step)
{
    for (uint32_t i = 0; i < step->count; i++)
        buf_clear(&step->undo[i]);
    mem_free(step);
}

static void tell(struct background *bg)
{
    int64_t now_us = env_steady_us(bg->ledger->env);
    if (now_us - bg->logged_us < LOG_EVERY_US)
        return;
    bg->logged_us = now_us;
    log_info("History below the snapshot: verified up to height %d of %d", (int)bg->tip->height, (int)bg->base->height);
}

static struct background_job *job_new(struct background *bg, void (*run)(struct job *), void (*done)(struct job *))
{
    struct background_job *job = mem_new(sizeof *job);
    job->job = (struct job){.run = run, .done = done, .lane = JOB_SLOW};
    job->background = bg;
    return job;
}

/* ---- flush ---- */
static void flush_begin(struct background *bg)
{
    bg->busy = true;
    ledger_flush(bg->ledger, (struct ledger_done){on_flushed, bg});
}

static void on_flushed(void *ctx, const struct fail *why)
{
    struct background *bg = ctx;
    struct ledger *ledger = bg->ledger;
    if (why->kind != FAIL_NONE) {
        bg->busy = false; /* the ledger has said so to all */
        return;
    }
    struct background_job *job = job_new(bg, flush_run, flush_done);
    job->tip = bg->tip->id;
    coins_freeze(&bg->replay.coins);
    ledger_submit(ledger, &job->job);
}

static void flush_run(struct job *base) /* worker */
{
    struct background_job *job = (struct background_job *)base;
    struct background *bg = job->background;
    struct kv_batch batch;
    kv_batch_init(&batch, BATCH_MAX_SIZE_B);
    bool ok = coins_encode(&batch, bg->replay.coins.frozen, &job->why);
    tip_row_put(&batch, &job->tip);
    if (ok && kv_write(bg->kv, &batch, true, &job->why))
        fail_clear(&job->why);
    kv_batch_clear(&batch);
    coins_generation_free(coins_retire(&bg->replay.coins));
}

static void flush_done(struct job *base)
{
    struct background_job *job = (struct background_job *)base;
    struct background *bg = job->background;
    struct ledger *ledger = bg->ledger;
    ledger_job_back(ledger);
    bg->busy = false;
    if (job->why.kind != FAIL_NONE)
        ledger_die(ledger, &job->why);
    bg->flushed = bg->tip;
    bg->flushed_us = env_steady_us(ledger->env);
    mem_free(job);
    ledger_pump(ledger);
}

/* ---- verdict ---- */
static void hash_run(struct job *base) /* worker */
{
    struct background_job *job = (struct background_job *)base;
    struct background *bg = job->background;
    const struct kv_ops *ops = bg->kv->ops;
    struct kv_iter *it = ops->iterate(bg->kv, span_text("C"));
    struct set_hash hash;
    struct arena arena;
    struct span key, row;
    struct fail ignored;
    bool ok = true;
    set_hash_init(&hash, SET_HASH_SERIALIZED);
    arena_init(&arena, 0);
    while (ok && !bg->ledger->stop_asked && ops->iter_get(it, &key, &row) && key.data[0] == 'C') {
        struct outpoint outpoint;
        struct coin coin;
        arena_clear(&arena);
        ok = coin_key_parse(&outpoint, key) && coin_unpack(&coin, row, &arena, &job->why) &&
             set_hash_add(&hash, &outpoint, &coin, &job->why);
        ops->iter_next(it);
    }
    ok = ok && set_hash_end(&hash, job->hash, &job->why);
    ok = ops->iter_close(it, ok ? &job->why : &ignored) && ok;
    if (ok)
        fail_clear(&job->why);
    arena_clear(&arena);
    set_hash_clear(&hash);
}

static void hash_done(struct job *base)
{
    struct background_job *job = (struct background_job *)base;
    struct background *bg = job->background;
    struct ledger *ledger = bg->ledger;
    struct fail why = job->why;
    bool same = memcmp(job->hash, bg->expected->hash_serialized, 32) == 0;
    ledger_job_back(ledger);
    mem_free(job);
    bg->busy = false;
    if (why.kind != FAIL_NONE) {
        ledger_die(ledger, &why);
    } else if (!ledger->stopping) {
        if (!same)
            fail_set(&why, FAIL_INVALID, "snapshot-hash", "its coins are not those that the blocks leave");
        verdict(bg, same ? SNAPSHOT_VALIDATED : SNAPSHOT_REFUSED, &why);
    }
    ledger_pump(ledger);
}

static void verdict(struct background *bg, enum snapshot_stage stage, const struct fail *why)
{
    struct background_job *job = job_new(bg, verdict_run, verdict_done);
    job->job.lane = JOB_WRITE;
    job->job.serial = &bg->ledger->writer;
    job->stage = stage;
    if (stage == SNAPSHOT_REFUSED)
        log_error("The snapshot of block %d is refused: %s (%s)", (int)bg->base->height, why->detail, why->code);
    bg->busy = true;
    ledger_submit(bg->ledger, &job->job);
}

static void verdict_run(struct job *base) /* the writer */
{
    struct background_job *job = (struct background_job *)base;
    struct background *bg = job->background;
    struct kv_batch batch;
    kv_batch_init(&batch, 1000);
    snapshot_row_put(&batch, job->stage, &bg->base->id);
    if (kv_write(bg->ledger->index_kv, &batch, true, &job->why))
        fail_clear(&job->why);
    kv_batch_clear(&batch);
    if (job->why.kind == FAIL_NONE && job->stage == SNAPSHOT_VALIDATED) {
        kv_close(bg->kv);
        bg->kv = NULL;
    }
}

static void verdict_done(struct job *base)
{
    struct background_job *job = (struct background_job *)base;
    struct background *bg = job->background;
    struct ledger *ledger = bg->ledger;
    struct fail why = job->why;
    enum snapshot_stage stage = job->stage;
    ledger_job_back(ledger);
    mem_free(job);
    if (why.kind != FAIL_NONE) {
        ledger_die(ledger, &why);
    } else if (stage == SNAPSHOT_REFUSED) {
        fail_set(&why, FAIL_LOCAL, "snapshot",
            "the snapshot of block %d does not agree with the chain; start again, and the node goes on without it",
            (int)bg->base->height);
        ledger_die(ledger, &why);
    } else {
        log_info("History below the snapshot: verified, the snapshot's coins are right");
        ledger->background = NULL;
        background_free(bg);
        candidates_rebuild(ledger); /* any branch may be the chain again */
    }
    ledger_pump(ledger);
}
