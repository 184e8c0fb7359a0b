/* A snapshot of the coins taken into use (loadtxoutset): read into a store of its own and held against the hash in
 * the chain file, which is trusted as the program is; then, at a moment without any work in flight, it becomes the
 * chainstate, and the one that was there goes on as the background's (background.c).
 *
 *   chainstate_snapshot/   beside chainstate/, until the next start after its history was verified
 *   "Msnapshot" in blocks/index   u8 stage | id of its block
 * Order on disk: first the store, whole and synced, then the row that says it counts. A folder without a row is what
 * a crash has left, and is removed. */
#include <string.h>

#include "background.h"
#include "codec.h"
#include "coin/base/log.h"
#include "snapshot_file.h"
#include "state.h"

#define SNAPSHOT_KEY "Msnapshot"
#define BATCH_B ((size_t)4 << 20)
#define FORGIVE_MAX_B ((size_t)1 << 28)
#define BACKGROUND_WRITE_BUFFER_B ((size_t)4 << 20)

struct snapshot_load { /* one ledger_load_coins */
    struct job job;
    struct ledger *ledger;
    struct ledger_load *asked;
    struct snapshot_reader reader;
    char store_path[PATH_SIZE_B];
    struct kv *kv;
    struct block_index *base;
    const struct chain_snapshot *expected;
    bool waits, flushing, flushed, marking; /* for the moment to switch */
    struct fail why;
};

static void open_run(struct job *job);
static void open_done(struct job *job);
static bool check_base(struct snapshot_load *load, struct fail *why);
static void fill_run(struct job *job);
static bool fill_store(struct snapshot_load *load, struct fail *why);
static bool check_coin(const struct snapshot_load *load, const struct coin *coin, struct fail *why);
static void fill_done(struct job *job);
static void load_end(struct snapshot_load *load, const struct fail *why);
static void clean_run(struct job *job);
static void clean_done(struct job *job);
static void on_flushed(void *ctx, const struct fail *why);
static void mark_run(struct job *job);
static void mark_done(struct job *job);
static void switch_over(struct snapshot_load *load);
static bool read_row(struct ledger *ledger, enum snapshot_stage *stage, struct block_id *base, struct fail *why);
static bool drop_row(struct ledger *ledger, struct fail *why);
static bool forgive(struct ledger *ledger, struct fail *why);
static const struct chain_snapshot *find_expected(const struct ledger *ledger, const struct block_id *base);

/* ---- loading ---- */
void ledger_load_coins(struct ledger *ledger, struct ledger_load *asked)
{
    struct fail why;
    if (ledger->load != NULL || ledger->background != NULL || ledger->stopping || ledger->fatal ||
        ledger->import != NULL) {
        fail_request(&why, -32603, "Can't activate a snapshot-based chainstate more than once, while block files are "
            "read, or when stopping");
        ledger_done_later(ledger, (struct ledger_done){asked->done, asked}, &why);
        ledger_pump(ledger);
        return;
    }
    struct snapshot_load *load = mem_new(sizeof *load);
    load->ledger = ledger;
    load->asked = asked;
    load->job = (struct job){.run = open_run, .done = open_done, .lane = JOB_SLOW};
    ledger->load = load;
    ledger_submit(ledger, &load->job);
}

static void open_run(struct job *job) /* worker */
{
    struct snapshot_load *load = (struct snapshot_load *)job;
    if (snapshot_reader_open(&load->reader, load->ledger->env->disk, load->asked->path,
            load->ledger->chain->magic, &load->why))
        fail_clear(&load->why);
}

static void open_done(struct job *job)
{
    struct snapshot_load *load = (struct snapshot_load *)job;
    struct ledger *ledger = load->ledger;
    struct fail why = load->why;
    ledger_job_back(ledger);
    if (why.kind == FAIL_NONE &&
        path_join(load->store_path, ledger->dir, SNAPSHOT_FOLDER, &why) && check_base(load, &why)) {
        load->job = (struct job){.run = fill_run, .done = fill_done, .lane = JOB_SLOW};
        ledger_submit(ledger, &load->job);
    } else {
        load_end(load, &why);
    }
    ledger_pump(ledger);
}

static bool check_base(struct snapshot_load *load, struct fail *why)
{
    struct ledger *ledger = load->ledger;
    const struct block_id *id = &load->reader.base;
    load->expected = find_expected(ledger, id);
    if (load->expected == NULL)
        return fail_request(why, -32603, "assumeutxo block hash in snapshot metadata not recognized (hash: %s). The "
            "chain file lists %u snapshots", hash_show(id->b), (unsigned)ledger->chain->snapshot_count);
    struct block_index *base = load->base = load->asked->base = tree_find(&ledger->tree, id);
    if (base == NULL)
        return fail_request(why, -32603, "The base block header (%s) must appear in the headers chain. Make sure all "
            "headers are syncing, and call loadtxoutset again", hash_show(id->b));
    if (index_is_failed(base))
        return fail_request(why, -32603, "The base block header (%s) is part of an invalid chain", hash_show(id->b));
    if (index_ancestor(ledger->best_header, base->height) != base)
        return fail_request(why, -32603, "A forked headers-chain with more work than the chain with the snapshot base "
            "block header exists. Please proceed to sync without AssumeUtxo.");
    if (u256_compare(&base->chain_work, &ledger->tip->chain_work) <= 0)
        return fail_request(why, -32603, "Work does not exceed active chainstate.");
    if (index_ancestor(base, ledger->tip->height) != ledger->tip)
        return fail_request(why, -32603, "The active chain has to be below the snapshot's block; let it sync further");
    return true;
}

static void fill_run(struct job *job) /* worker */
{
    struct snapshot_load *load = (struct snapshot_load *)job;
    struct ledger *ledger = load->ledger; /* what never changes of it */
    struct kv_options options = {.cache_b = BACKGROUND_STORE_CACHE_B, .write_buffer_b = BACKGROUND_WRITE_BUFFER_B};
    if (!ledger_remove_folder(ledger, load->store_path, &load->why))
        return;
    load->kv = ledger->env->kv_open(ledger->env->ctx, load->store_path, &options, &load->why);
    if (load->kv != NULL && fill_store(load, &load->why))
        fail_clear(&load->why);
}

static bool fill_store(struct snapshot_load *load, struct fail *why)
{
    struct kv_batch batch;
    struct set_hash hash;
    struct outpoint outpoint;
    struct coin coin;
    struct span row;
    uint8_t key[COIN_KEY_MAX_B], got[32];
    bool ok = true, more = true;
    kv_batch_init(&batch, 4 * BATCH_B);
    set_hash_init(&hash, SET_HASH_SERIALIZED);
    while (ok && more) {
        ok = snapshot_reader_next(&load->reader, &outpoint, &coin, &row, &more, why);
        if (ok && more) {
            ok = check_coin(load, &coin, why) && set_hash_add(&hash, &outpoint, &coin, why);
            kv_batch_put(&batch, span_of(key, coin_key(key, &outpoint)), row);
        }
        if (ok && (batch.ops.size_b > BATCH_B || !more)) {
            if (!more)
                tip_row_put(&batch, &load->base->id);
            ok = kv_write(load->kv, &batch, !more, why);
            kv_batch_reset(&batch);
        }
        if (ok && load->ledger->stop_asked)
            ok = fail_request(why, -1, "Shutting down");
    }
    if (ok && set_hash_end(&hash, got, why) && memcmp(got, load->expected->hash_serialized, 32) != 0)
        ok = fail_request(why, -32603, "Bad snapshot content hash: expected %s, got %s",
            hash_show(load->expected->hash_serialized), hash_show(got));
    set_hash_clear(&hash);
    kv_batch_clear(&batch);
    return ok;
}

static bool check_coin(const struct snapshot_load *load, const struct coin *coin, struct fail *why)
{
    if (coin->height > load->base->height)
        return fail_request(why, -32603, "Bad snapshot data after deserializing %llu coins",
            (unsigned long long)load->reader.taken);
    return amount_in_range(coin->value_sat, load->ledger->chain->max_money_sat) ||
           fail_request(why, -32603, "Bad snapshot data after deserializing %llu coins - bad tx out value",
               (unsigned long long)load->reader.taken);
}

static void fill_done(struct job *job)
{
    struct snapshot_load *load = (struct snapshot_load *)job;
    struct ledger *ledger = load->ledger;
    struct fail why = load->why;
    ledger_job_back(ledger);
    load->asked->coins = load->reader.taken;
    if (why.kind != FAIL_NONE) {
        load_end(load, &why);
    } else {
        load->waits = true;
        ledger->switching = true; /* nothing new begins */
    }
    ledger_pump(ledger);
}

/* ---- giving up ---- */
static void load_end(struct snapshot_load *load, const struct fail *why)
{
    struct ledger *ledger = load->ledger;
    load->why = *why;
    ledger->switching = false;
    load->waits = false;
    load->job = (struct job){.run = clean_run, .done = clean_done, .lane = JOB_SLOW};
    ledger_submit(ledger, &load->job);
}

static void clean_run(struct job *job) /* worker */
{
    struct snapshot_load *load = (struct snapshot_load *)job;
    struct fail ignored; /* what stays is removed at the next start */
    snapshot_reader_close(&load->reader);
    if (load->why.kind == FAIL_NONE)
        return;
    bool made = load->kv != NULL;
    kv_close(load->kv);
    if (made)
        (void)!ledger_remove_folder(load->ledger, load->store_path, &ignored);
}

static void clean_done(struct job *job)
{
    struct snapshot_load *load = (struct snapshot_load *)job;
    struct ledger *ledger = load->ledger;
    ledger_job_back(ledger);
    ledger->load = NULL;
    ledger_done_later(ledger, (struct ledger_done){load->asked->done, load->asked}, &load->why);
    mem_free(load);
    intake_tell_room(ledger);
    ledger_pump(ledger);
}

/* ---- the switch ---- */
void snapshot_advance(struct ledger *ledger)
{
    struct snapshot_load *load = ledger->load;
    struct fail why;
    if (load == NULL || !load->waits || load->flushing || load->marking)
        return;
    if (ledger->stopping || ledger->fatal) {
        fail_request(&why, -1, "Shutting down");
        load_end(load, &why);
        return;
    }
    pipeline_drop_idle(ledger);
    if (ledger->jobs > 0 || ledger->first != NULL || ledger->disconnect != NULL || ledger->flush_stage != FLUSH_NONE)
        return;
    if (!load->flushed || ledger->tip != ledger->flushed_tip || ledger->coins.live.dirty > 0) {
        load->flushing = true; /* headers too: the store's tip is one of them */
        ledger_flush(ledger, (struct ledger_done){on_flushed, load});
        return;
    }
    if (!check_base(load, &why)) { /* the chain went on meanwhile */
        load_end(load, &why);
        return;
    }
    load->marking = true;
    load->job = (struct job){.run = mark_run, .done = mark_done, .lane = JOB_WRITE, .serial = &ledger->writer};
    ledger_submit(ledger, &load->job);
}

static void on_flushed(void *ctx, const struct fail *why)
{
    struct snapshot_load *load = ctx;
    (void)why; /* a failure has made the ledger fatal */
    load->flushing = false;
    load->flushed = true;
    load->ledger->pump_again = true;
}

static void mark_run(struct job *job) /* the writer */
{
    struct snapshot_load *load = (struct snapshot_load *)job;
    struct kv_batch batch;
    kv_batch_init(&batch, 1000);
    snapshot_row_put(&batch, SNAPSHOT_IN_USE, &load->base->id);
    if (kv_write(load->ledger->index_kv, &batch, true, &load->why))
        fail_clear(&load->why);
    kv_batch_clear(&batch);
}

static void mark_done(struct job *job)
{
    struct snapshot_load *load = (struct snapshot_load *)job;
    struct ledger *ledger = load->ledger;
    ledger_job_back(ledger);
    load->marking = false;
    if (load->why.kind != FAIL_NONE) {
        ledger_die(ledger, &load->why);
        load_end(load, &ledger->fatal_why);
    } else {
        switch_over(load);
    }
    ledger_pump(ledger);
}

static void switch_over(struct snapshot_load *load)
{
    struct ledger *ledger = load->ledger;
    struct block_index *base = load->base;
    struct fail why;
    static const struct fail none = {.kind = FAIL_NONE};
    for (struct block_index *at = base; at != ledger->tip; at = at->prev)
        if (!ledger_set_active(ledger, at, &why)) {
            ledger_die(ledger, &why); /* the row stands: the next start goes on from it */
            load_end(load, &why);
            return;
        }
    ledger->background = background_new(ledger, load->expected, base, ledger->coins_kv, ledger->tip);
    ledger->coins_kv = load->kv;
    ledger->snapshot_base = base;
    coins_forget(&ledger->coins);
    if (base->chain_tx_count == 0)
        base->chain_tx_count = load->expected->chain_tx_count;
    ledger->tip = ledger->flushed_tip = ledger->told_tip = base;
    ledger->tip_sequence++;
    indexes_tip_jumped(ledger);
    candidates_rebuild(ledger);
    ledger_update_initial_download(ledger);
    log_info("Snapshot of block %d is in use: %llu coins. The history below it is verified in the background.",
        (int)base->height, (unsigned long long)load->asked->coins);
    ledger_effect_add(ledger, LEDGER_TIP, base, NULL, NULL);
    load_end(load, &none);
}

/* ---- rows, and the start ---- */
void snapshot_row_put(struct kv_batch *batch, enum snapshot_stage stage, const struct block_id *base)
{
    uint8_t value[1 + 32] = {(uint8_t)stage};
    memcpy(value + 1, base->b, 32);
    kv_batch_put(batch, span_text(SNAPSHOT_KEY), span_of(value, sizeof value));
}

static bool read_row(struct ledger *ledger, enum snapshot_stage *stage, struct block_id *base, struct fail *why)
{
    struct buf value;
    bool found = false;
    *stage = SNAPSHOT_NONE;
    buf_init(&value, 64);
    bool ok = kv_get(ledger->index_kv, span_text(SNAPSHOT_KEY), &value, &found, why);
    if (ok && found && value.size_b == 33 && value.data[0] < SNAPSHOT_NONE) {
        *stage = (enum snapshot_stage)value.data[0];
        memcpy(base->b, value.data + 1, 32);
    }
    buf_clear(&value);
    return ok;
}

static bool drop_row(struct ledger *ledger, struct fail *why)
{
    struct kv_batch batch;
    kv_batch_init(&batch, 1000);
    kv_batch_delete(&batch, span_text(SNAPSHOT_KEY));
    bool ok = kv_write(ledger->index_kv, &batch, true, why);
    kv_batch_clear(&batch);
    return ok;
}

static const struct chain_snapshot *find_expected(const struct ledger *ledger, const struct block_id *base)
{
    for (uint32_t i = 0; i < ledger->chain->snapshot_count; i++)
        if (block_id_equal(&ledger->chain->snapshots[i].block, base))
            return &ledger->chain->snapshots[i];
    return NULL;
}

bool snapshot_at_start(struct ledger *ledger, char *coins_path, struct fail *why)
{
    const struct disk *disk = ledger->env->disk;
    enum snapshot_stage stage;
    char path[PATH_SIZE_B];
    if (!path_join(path, ledger->dir, SNAPSHOT_FOLDER, why) ||
        !read_row(ledger, &stage, &ledger->snapshot_id, why))
        return false;
    bool dropped = ledger->options.reindex_chainstate || ledger->reindexing;
    if (!dropped && stage == SNAPSHOT_IN_USE) {
        ledger->snapshot_in_use = true;
        memcpy(coins_path, path, sizeof path);
        return true;
    }
    if (!dropped && stage == SNAPSHOT_VALIDATED && disk->exists(disk->ctx, path) &&
        (!ledger_remove_folder(ledger, coins_path, why) || !disk->rename(disk->ctx, path, coins_path, why) ||
            !disk->sync_dir(disk->ctx, ledger->dir, why)))
        return false;
    if (!dropped && stage == SNAPSHOT_REFUSED) {
        log_warning("The snapshot that was in use did not agree with the chain; going on without it");
        ledger->snapshot_refused = true;
        return ledger_remove_folder(ledger, path, why);
    }
    return ledger_remove_folder(ledger, path, why) && (stage == SNAPSHOT_NONE || drop_row(ledger, why));
}

/* Blocks that seemed to break a rule on wrong coins get another chance. */
static bool forgive(struct ledger *ledger, struct fail *why)
{
    struct block_index *base = tree_find(&ledger->tree, &ledger->snapshot_id);
    struct kv_batch batch;
    kv_batch_init(&batch, FORGIVE_MAX_B);
    for (struct block_index *at = base; at != NULL; at = tree_next(base, at, false))
        if (index_is_failed(at)) {
            at->status &= ~(uint32_t)(BLOCK_FAILED | BLOCK_FAILED_PARENT);
            index_row_put(&batch, at);
        }
    kv_batch_delete(&batch, span_text(SNAPSHOT_KEY));
    bool ok = kv_write(ledger->index_kv, &batch, true, why);
    kv_batch_clear(&batch);
    return ok;
}

/* After load_tip: the tip is the snapshot's block, or stands on it. */
bool snapshot_resume(struct ledger *ledger, struct fail *why)
{
    struct kv_options options = {.cache_b = BACKGROUND_STORE_CACHE_B, .write_buffer_b = BACKGROUND_WRITE_BUFFER_B};
    char path[PATH_SIZE_B];
    if (ledger->snapshot_refused)
        return forgive(ledger, why);
    if (!ledger->snapshot_in_use)
        return true;
    const struct chain_snapshot *expected = find_expected(ledger, &ledger->snapshot_id);
    if (expected == NULL)
        return fail_request(why, -1, "%s uses a snapshot that the chain file does not list any more; start with "
            "-reindex-chainstate", ledger->dir);
    struct block_index *base = tree_find(&ledger->tree, &ledger->snapshot_id);
    if (base == NULL || index_ancestor(ledger->tip, base->height) != base)
        return fail_set(why, FAIL_LOCAL, "damaged", "%s/" SNAPSHOT_FOLDER " does not fit %s/index; start with -reindex",
            ledger->dir, ledger->blocks_dir);
    if (!path_join(path, ledger->dir, "chainstate", why))
        return false;
    struct kv *kv = ledger->env->kv_open(ledger->env->ctx, path, &options, why);
    struct block_index *tip = NULL;
    if (kv == NULL)
        return false;
    if (!ledger_read_tip(ledger, kv, &tip, why) || index_ancestor(base, tip->height) != tip) {
        kv_close(kv);
        return fail_set(why, FAIL_LOCAL, "damaged", "%s/chainstate does not fit %s/index; start with -reindex",
            ledger->dir, ledger->blocks_dir);
    }
    ledger->background = background_new(ledger, expected, base, kv, tip);
    ledger->snapshot_base = base;
    return true;
}
