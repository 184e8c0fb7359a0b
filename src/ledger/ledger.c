/* The ledger's life and everything that only looks: opening, stopping, the tick, tips, locators,
 * statistics, effects, and the way jobs go out and come back. What changes the chain is in activate.c. */
#include "coin/ledger/ledger.h"

#include <stdio.h>
#include <string.h>

#include "coin/base/log.h"
#include "state.h"

#define EFFECTS_MAX                                                                                \
    (1u << 20) /* the node drains after every event; this only bounds a node that does not */
#define ACTIVE_MAX (1u << 27)
#define INDEX_CACHE_B (2u << 20)
#define INDEX_WRITE_BUFFER_B (1u << 20)
#define COINS_CACHE_MIN_B (2u << 20)
#define COINS_CACHE_MAX_B (64u << 20)
#define COINS_WRITE_BUFFER_B (4u << 20)

static bool set_options(
    struct ledger *ledger, const struct ledger_options *options, struct fail *why);
static bool open_stores(struct ledger *ledger, uint64_t *reindex_from, struct fail *why);
static void finish_stop(struct ledger *ledger);
static bool take_effect(struct ledger *ledger, struct ledger_effect *out);

struct ledger *ledger_open(const struct env *env, const struct chain *chain,
    const struct ledger_options *options, struct fail *why)
{
    struct ledger *ledger = mem_new(sizeof *ledger);
    uint64_t seeds[6];
    ledger->env = env;
    ledger->chain = chain;
    env_random(env, seeds, sizeof seeds);
    tree_init(&ledger->tree, seeds);
    env_random(env, seeds, sizeof seeds);
    coins_init(&ledger->coins, seeds);
    env_random(env, seeds, sizeof seeds);
    for (int i = 0; i < 2; i++)
        table_init(&ledger->verdicts[i], sizeof(struct wtxid), 0, VERDICTS_MAX, seeds);
    deployments_init(ledger, seeds);
    ledger->initial_download = true;
    ledger->keep_from = ledger->verify_from = INT32_MAX;
    ledger->next_sequence = SEQUENCE_FIRST + 1;
    ledger->precious_sequence = SEQUENCE_FIRST - 1;
    uint64_t reindex_from = 0;
    if (!set_options(ledger, options, why) || !open_stores(ledger, &reindex_from, why) ||
        !ledger_load(ledger, why) || !indexes_open(ledger, why) ||
        !import_open(ledger, options->load_files, reindex_from, why)) {
        ledger_free(ledger);
        return NULL;
    }
    int64_t now_us = env_steady_us(env);
    ledger->flushed_us = ledger->synced_us = ledger->space_us = now_us;
    ledger->flushed_tip = ledger->told_tip = ledger->tip;
    ledger_update_initial_download(ledger);
    return ledger;
}

static bool set_options(
    struct ledger *ledger, const struct ledger_options *options, struct fail *why)
{
    ledger->options = *options;
    ledger->options.workers = options->workers > 0 ? options->workers : 1;
    if (ledger->options.dbcache_b < DBCACHE_MIN_B)
        ledger->options.dbcache_b = DBCACHE_MIN_B;
    ledger->minimum_chain_work = options->minimum_chain_work != NULL
                                     ? *options->minimum_chain_work
                                     : ledger->chain->minimum_chain_work;
    ledger->assumed_valid =
        options->has_assumed_valid ? options->assumed_valid : ledger->chain->assumed_valid;
    if (strlen(options->dir) >= PATH_SIZE_B)
        return fail_set(why, FAIL_REQUEST, "path", "the path of the data folder is too long");
    memcpy(ledger->dir, options->dir, strlen(options->dir) + 1);
    if (options->blocks_dir == NULL)
        return path_join(ledger->blocks_dir, ledger->dir, "blocks", why);
    if (strlen(options->blocks_dir) >= PATH_SIZE_B)
        return fail_set(why, FAIL_REQUEST, "path", "the path of the blocks folder is too long");
    memcpy(ledger->blocks_dir, options->blocks_dir, strlen(options->blocks_dir) + 1);
    return true;
}

/* After -reindex, and when the index is gone but the files are not, the chainstate goes too: it belongs to
 * a tip that nothing else knows. It goes first, so that a crash in between leaves nothing to misread. */
static bool open_stores(struct ledger *ledger, uint64_t *reindex_from, struct fail *why)
{
    const struct disk *disk = ledger->env->disk;
    char index_path[PATH_SIZE_B], coins_path[PATH_SIZE_B];
    if (!path_join(index_path, ledger->blocks_dir, "index", why) ||
        !path_join(coins_path, ledger->dir, "chainstate", why))
        return false;
    if (!disk->make_dir(disk->ctx, ledger->dir, why) ||
        !disk->make_dir(disk->ctx, ledger->blocks_dir, why))
        return false;
    if ((ledger->options.reindex || ledger->options.reindex_chainstate) &&
        !ledger_remove_folder(ledger, coins_path, why))
        return false;
    if (ledger->options.reindex &&
        (!ledger_remove_folder(ledger, index_path, why) || !indexes_wipe(ledger, why)))
        return false;
    uint8_t key[8] = {0};
    if (ledger->options.xor_blocks)
        env_random(ledger->env, key, sizeof key);
    if (!blockfiles_open(&ledger->files, disk, ledger->blocks_dir, ledger->chain->magic, key,
            ledger->options.fastprune, why))
        return false;
    /* A pruned folder has no beginning that could be built upon. */
    if (ledger->options.reindex && ledger->files.data_end_b[0] == 0 &&
        !blockfiles_remove_all(&ledger->files, why))
        return false;
    struct kv_options index_options = {
        .cache_b = INDEX_CACHE_B, .write_buffer_b = INDEX_WRITE_BUFFER_B};
    ledger->index_kv = ledger->env->kv_open(ledger->env->ctx, index_path, &index_options, why);
    if (ledger->index_kv == NULL)
        return false;
    if (!markers_check(ledger, reindex_from, why) ||
        (ledger->reindexing && !ledger->reindex_marked && !ledger_remove_folder(ledger, coins_path, why)))
        return false;
    ledger->reindex_marked = ledger->reindexing;
    if (!snapshot_at_start(ledger, coins_path, why))
        return false;
    size_t cache_b = ledger->options.dbcache_b / 8;
    cache_b = cache_b < COINS_CACHE_MIN_B   ? COINS_CACHE_MIN_B
              : cache_b > COINS_CACHE_MAX_B ? COINS_CACHE_MAX_B
                                            : cache_b;
    ledger->stats.store_cache_b = cache_b;
    struct kv_options coins_options = {.cache_b = cache_b, .write_buffer_b = COINS_WRITE_BUFFER_B};
    ledger->coins_kv = ledger->env->kv_open(ledger->env->ctx, coins_path, &coins_options, why);
    return ledger->coins_kv != NULL;
}

struct removal {
    const struct disk *disk;
    const char *path;
    struct fail why;
};

static bool remove_entry(void *arg, const char *name)
{
    struct removal *removal = arg;
    char path[PATH_SIZE_B];
    return path_join(path, removal->path, name, &removal->why) &&
           removal->disk->remove(removal->disk->ctx, path, &removal->why);
}

bool ledger_remove_folder(struct ledger *ledger, const char *path, struct fail *why)
{
    struct removal removal = {.disk = ledger->env->disk, .path = path};
    if (!removal.disk->exists(removal.disk->ctx, path))
        return true;
    if (!removal.disk->list(removal.disk->ctx, path, remove_entry, &removal, why))
        return false;
    if (removal.why.kind != FAIL_NONE)
        *why = removal.why;
    return removal.why.kind == FAIL_NONE;
}

void ledger_start(struct ledger *ledger)
{
    ledger->started = true;
    ledger_pump(ledger);
}

void ledger_stop(struct ledger *ledger, void (*done)(void *ctx), void *ctx)
{
    ledger->stopping = true;
    ledger->stop_asked = true;
    ledger->stop_fn = done;
    ledger->stop_ctx = ctx;
    scans_abort(ledger);
    coins_requests_drop(ledger);
    indexes_drop_queries(ledger);
    ledger_pump(ledger);
}

/* From the pump, once nothing is in flight and the last flush is over. */
void ledger_try_stop(struct ledger *ledger)
{
    if (ledger->stopping && !ledger->stopped && ledger->jobs == 0 &&
        ledger->flush_stage == FLUSH_NONE && ledger->verdict_first == NULL &&
        ledger->done_first == NULL && (ledger->fatal || ledger->flush_waiting == NULL))
        finish_stop(ledger);
}

static void finish_stop(struct ledger *ledger)
{
    ledger->stopped = true;
    if (ledger->stop_fn != NULL)
        ledger->stop_fn(ledger->stop_ctx);
}

void ledger_free(struct ledger *ledger)
{
    if (ledger == NULL)
        return;
    while (ledger->first != NULL) {
        struct connecting *c = ledger->first;
        ledger->first = c->next;
        connecting_free(c);
    }
    while (ledger->held_first != NULL)
        held_release(ledger, ledger->held_first->index);
    struct ledger_effect effect;
    while (take_effect(ledger, &effect))
        block_unref(effect.block);
    import_free(ledger->import);
    indexes_free(ledger);
    background_free(ledger->background);
    blockfiles_close(&ledger->files);
    kv_close(ledger->coins_kv);
    kv_close(ledger->index_kv);
    coins_clear(&ledger->coins);
    tree_clear(&ledger->tree);
    table_clear(&ledger->verdicts[0]);
    table_clear(&ledger->verdicts[1]);
    table_clear(&ledger->deployment_states);
    mem_free(ledger->file_uses);
    mem_free(ledger->active);
    mem_free(ledger->dirty);
    mem_free(ledger->candidates);
    mem_free(ledger->effects);
    mem_free(ledger);
}

void ledger_on_tick(struct ledger *ledger)
{
    headers_retry_future(ledger);
    ledger_update_initial_download(ledger);
    flush_tick(ledger);
    import_tick(ledger);
    ledger_pump(ledger);
}

/* ---- looking ---- */
struct block_index *ledger_tip(const struct ledger *ledger)
{
    return ledger->tip;
}

struct block_index *ledger_best_header(const struct ledger *ledger)
{
    return ledger->best_header;
}

struct block_index *ledger_genesis(const struct ledger *ledger)
{
    return ledger->genesis;
}

struct block_index *ledger_find(const struct ledger *ledger, const struct block_id *id)
{
    return tree_find(&ledger->tree, id);
}

struct block_index *ledger_at(const struct ledger *ledger, int32_t height)
{
    return height < 0 || height > ledger->tip->height ? NULL : ledger->active[height];
}

bool ledger_is_active(const struct ledger *ledger, const struct block_index *index)
{
    return index != NULL && ledger_at(ledger, index->height) == index;
}

uint64_t ledger_tip_sequence(const struct ledger *ledger)
{
    return ledger->tip_sequence;
}

bool ledger_is_initial_download(const struct ledger *ledger)
{
    return ledger->initial_download;
}

void ledger_update_initial_download(struct ledger *ledger)
{
    if (!ledger->initial_download ||
        u256_compare(&ledger->tip->chain_work, &ledger->minimum_chain_work) < 0)
        return;
    if (ledger->tip->time_s < env_wall_s(ledger->env) - ledger->options.tip_age_max_s)
        return;
    ledger->initial_download = false;
    log_info("Leaving initial download at height %d", (int)ledger->tip->height);
}

void ledger_leave_initial_download(struct ledger *ledger)
{
    if (!ledger->initial_download || !ledger_is_settled(ledger) ||
        ledger->tip != ledger->best_header ||
        u256_compare(&ledger->tip->chain_work, &ledger->minimum_chain_work) < 0)
        return;
    ledger->initial_download = false;
    log_info("Nobody knows a better chain: leaving initial download at height %d",
        (int)ledger->tip->height);
}

double ledger_progress(const struct ledger *ledger)
{
    const struct block_index *tip = ledger->tip;
    if (!ledger->initial_download && tip == ledger->best_header)
        return 1.0;
    /* What is left: headers that are known, then as many as the time since the last of them would bring. */
    int64_t age_s = env_wall_s(ledger->env) - (int64_t)ledger->best_header->time_s;
    double unseen = age_s > 0 ? (double)age_s / (double)ledger->chain->spacing_s : 0.0;
    double left = (double)(ledger->best_header->height - tip->height) + unseen;
    double all = (double)tip->height + left;
    return all <= 0.0 ? 1.0 : (double)tip->height / all;
}

struct block_index *ledger_next(const struct ledger *ledger, uint32_t *cursor)
{
    const void *key;
    void *value;
    if (!table_next(&ledger->tree.by_id, cursor, &key, &value))
        return NULL;
    return *(struct block_index **)value;
}

struct block_index *ledger_snapshot_base(const struct ledger *ledger)
{
    return ledger->snapshot_base;
}

struct block_index *ledger_background_tip(const struct ledger *ledger)
{
    return ledger->background != NULL ? background_tip(ledger->background) : NULL;
}

bool ledger_wants_history(const struct ledger *ledger, int32_t *first, int32_t *last)
{
    if (ledger->background == NULL)
        return false;
    *first = ledger->history_from;
    *last = background_base(ledger->background)->height;
    return *first <= *last;
}

struct ledger_stats ledger_stats(const struct ledger *ledger)
{
    struct ledger_stats stats = ledger->stats;
    stats.coins_cached = coins_count(&ledger->coins);
    stats.cache_b = coins_size_b(&ledger->coins);
    stats.prune_target_b = ledger->options.prune_target_b;
    stats.cache_limit_b = ledger->options.dbcache_b;
    if (ledger->background != NULL) {
        stats.background_cache_b = background_cache_limit_b(ledger->background);
        stats.background_store_cache_b = BACKGROUND_STORE_CACHE_B;
    }
    stats.headers = ledger->tree.by_id.count;
    stats.blocks_in_flight = ledger->intake_count;
    stats.disk_b = ledger->disk_b + ledger->chainstate_size_b;
    return stats;
}

struct block_index *ledger_find_fork(
    const struct ledger *ledger, const struct block_id *locator, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct block_index *index = tree_find(&ledger->tree, &locator[i]);
        if (index == NULL)
            continue;
        if (ledger_is_active(ledger, index))
            return index;
        if (index_ancestor(index, ledger->tip->height) == ledger->tip)
            return ledger->tip; /* beyond our tip on our own branch */
    }
    return ledger->genesis;
}

uint32_t ledger_locator(
    const struct ledger *ledger, const struct block_index *from, struct block_id ids[LOCATOR_MAX])
{
    uint32_t count = 0;
    int32_t step = 1;
    struct block_index *at = tree_find(&ledger->tree, &from->id);
    while (at != NULL && count < LOCATOR_MAX) {
        ids[count++] = at->id;
        if (at->height == 0)
            break;
        int32_t height = at->height > step ? at->height - step : 0;
        at = ledger_is_active(ledger, at) ? ledger_at(ledger, height) : index_ancestor(at, height);
        if (count > 10) /* ten dense ones, then ever sparser */
            step *= 2;
    }
    return count;
}

bool ledger_set_active(struct ledger *ledger, struct block_index *index, struct fail *why)
{
    if (!mem_try_grow(&ledger->active, &ledger->active_capacity, (uint32_t)index->height + 1,
            ACTIVE_MAX, sizeof *ledger->active))
        return fail_oom(why, "active chain");
    ledger->active[index->height] = index;
    return true;
}

/* ---- effects ---- */
void ledger_effect_add(struct ledger *ledger, enum ledger_effect_kind kind,
    struct block_index *index, struct block *block, const struct fail *why)
{
    if (ledger->effect_first > 0 && ledger->effect_first == ledger->effect_count)
        ledger->effect_first = ledger->effect_count = 0;
    if (!mem_try_grow(&ledger->effects, &ledger->effect_capacity, ledger->effect_count + 1,
            EFFECTS_MAX, sizeof *ledger->effects)) {
        /* Nobody drains, or no memory: going on would lose what mempool and wallets must hear. The last
         * effect makes room for the one that says so. */
        if (ledger->fatal || ledger->effect_first == ledger->effect_count)
            return;
        ledger->fatal = true;
        fail_oom(&ledger->fatal_why, "what the ledger has to tell");
        struct ledger_effect *last = &ledger->effects[ledger->effect_count - 1];
        block_unref(last->block);
        *last = (struct ledger_effect){.kind = LEDGER_FATAL, .why = ledger->fatal_why};
        return;
    }
    struct ledger_effect *effect = &ledger->effects[ledger->effect_count++];
    memset(effect, 0, sizeof *effect);
    effect->kind = kind;
    effect->index = index;
    effect->block = block != NULL ? block_ref(block) : NULL;
    if (why != NULL)
        effect->why = *why;
}

static bool take_effect(struct ledger *ledger, struct ledger_effect *out)
{
    if (ledger->effect_first == ledger->effect_count)
        return false;
    *out = ledger->effects[ledger->effect_first++];
    return true;
}

bool ledger_next_effect(struct ledger *ledger, struct ledger_effect *out)
{
    if (take_effect(ledger, out))
        return true;
    if (ledger->verdict_first == NULL && ledger->done_first == NULL)
        return false;
    ledger_pump(ledger); /* all effects are handed on: verdicts may be told */
    return take_effect(ledger, out);
}

void ledger_die(struct ledger *ledger, const struct fail *why)
{
    if (ledger->fatal)
        return;
    ledger->fatal = true;
    ledger->fatal_why = *why;
    ledger_effect_add(ledger, LEDGER_FATAL, NULL, NULL, why);
}

void ledger_done_later(struct ledger *ledger, struct ledger_done done, const struct fail *why)
{
    struct done_item *item = mem_new(sizeof *item);
    item->done = done;
    if (why != NULL)
        item->why = *why;
    if (ledger->done_last != NULL)
        ledger->done_last->next = item;
    else
        ledger->done_first = item;
    ledger->done_last = item;
}

/* ---- jobs ---- */
void ledger_submit(struct ledger *ledger, struct job *job)
{
    ledger->jobs++;
    job->next = NULL;
    if (ledger->backlog_first == NULL && env_submit(ledger->env, job))
        return;
    if (ledger->backlog_last != NULL)
        ledger->backlog_last->next = job;
    else
        ledger->backlog_first = job;
    ledger->backlog_last = job;
}

void ledger_job_back(struct ledger *ledger)
{
    ledger->jobs--;
    ledger_backlog_submit(ledger);
}

/* In order, so that jobs of the writer stay in theirs. */
void ledger_backlog_submit(struct ledger *ledger)
{
    while (ledger->backlog_first != NULL) {
        struct job *job = ledger->backlog_first;
        struct job *next = job->next;
        if (!env_submit(ledger->env, job))
            return;
        ledger->backlog_first = next;
        if (next == NULL)
            ledger->backlog_last = NULL;
    }
}
