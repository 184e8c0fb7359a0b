/* The CPU miner. Every thread is one job that grinds a slice of nonces of a header of its own (each has
 * its own extra nonce) for about SLICE_US, then comes back to the loop, where the header gets the new time
 * or a new template. What makes work stale (a new tip, a block found, a stop, a richer template) moves the
 * epoch on, and running slices end within GRIND_STEP hashes. */

#include "coin/mine/miner.h"

#include <inttypes.h>
#include <stdatomic.h>

#include "coin/base/log.h"
#include "coin/base/mem.h"
#include "internal.h"

#define SLICE_US (INT64_C(250) * 1000)
#define SLICE_MIN 4096u
#define SLICE_MAX (UINT64_C(1) << 30)
/* A template is this old before new transactions make another. */
#define TEMPLATE_AGE_US (INT64_C(5) * 1000000)
#define MINE_THREADS_MAX 1024

struct worker {
    struct grind grind; /* first */
    struct miner *miner;
    struct block *block; /* its own coinbase */
    uint64_t template_number;
    uint64_t slice, next_nonce;
    int64_t begun_us;
    bool is_busy;
};

static void work(struct worker *worker);
static void work_all(struct miner *miner);
static void offer(struct miner *miner);

struct miner *miner_new(const struct env *env, const struct chain *chain, struct ledger *ledger,
    struct mempool *pool, const struct template_options *options)
{
    struct miner *miner = mem_new(sizeof *miner);
    miner->env = env;
    miner->chain = chain;
    miner->ledger = ledger;
    miner->pool = pool;
    miner->options = *options;
    miner->extra_nonce = env_random_u64(env);
    buf_init(&miner->payout, 10000);
    return miner;
}

static void drop_workers(struct miner *miner)
{
    for (uint32_t i = 0; i < miner->thread_count; i++)
        block_unref(miner->workers[i].block);
    mem_free(miner->workers);
    miner->workers = NULL;
    miner->thread_count = 0;
}

void miner_free(struct miner *miner)
{
    if (miner == NULL)
        return;
    drop_workers(miner);
    template_free(miner->template);
    block_unref(miner->found);
    buf_clear(&miner->payout);
    mem_free(miner);
}

static bool any_busy(const struct miner *miner)
{
    for (uint32_t i = 0; i < miner->thread_count; i++) {
        if (miner->workers[i].is_busy)
            return true;
    }
    return false;
}

bool miner_start(struct miner *miner, uint32_t threads, struct span payout, struct fail *why)
{
    if (miner->is_running || any_busy(miner))
        return fail_request(why, 0, "the miner runs already");
    if (threads == 0 || threads > MINE_THREADS_MAX)
        return fail_request(why, 0, "the number of mining threads must be from 1 to %d", MINE_THREADS_MAX);
    drop_workers(miner);
    miner->workers = mem_try_array(threads, sizeof *miner->workers);
    if (miner->workers == NULL)
        return fail_oom(why, "mining threads");
    miner->thread_count = threads;
    for (uint32_t i = 0; i < threads; i++)
        miner->workers[i] = (struct worker){.miner = miner, .slice = SLICE_MIN};
    miner->payout.size_b = 0;
    buf_put(&miner->payout, payout.data, payout.size_b);
    miner->is_running = true;
    log_info("Mining with %u threads", threads);
    work_all(miner);
    return true;
}

void miner_stop(struct miner *miner)
{
    miner->is_running = false;
    atomic_fetch_add(&miner->epoch, 1);
    atomic_fetch_add(&miner->halt_epoch, 1);
}

bool miner_is_running(const struct miner *miner)
{
    return miner->is_running;
}

uint32_t miner_threads(const struct miner *miner)
{
    return miner->is_running ? miner->thread_count : 0;
}

const struct template_options *miner_options(const struct miner *miner)
{
    return &miner->options;
}

double miner_hash_rate(const struct miner *miner)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < miner->rate_count; i++)
        sum += miner->rate[i];
    return miner->rate_count == 0 ? 0 : (double)sum / miner->rate_count;
}

void miner_on_ledger(struct miner *miner, const struct ledger_effect *effect)
{
    if (!miner->is_running)
        return;
    if (effect->kind == LEDGER_TIP) {
        atomic_fetch_add(&miner->epoch, 1);
        work_all(miner);
    } else if (effect->kind == LEDGER_IDLE && miner->found != NULL && !miner->offered) {
        offer(miner);
    }
}

/* A template that pays more is worth an interruption; the others wait for the end of their slices. */
static void look_for_better(struct miner *miner)
{
    struct block_template *t = miner->template;
    struct fail why;
    if (t == NULL || env_steady_us(miner->env) - miner->template_us < TEMPLATE_AGE_US ||
        t->pool_sequence == mempool_sequence(miner->pool))
        return;
    struct block_template *fresh = template_new(
        miner->chain, miner->ledger, miner->pool, &miner->options, env_wall_s(miner->env), &why);
    if (fresh == NULL)
        return;
    miner->template_us = env_steady_us(miner->env);
    if (fresh->fees_sat > t->fees_sat)
        atomic_fetch_add(&miner->epoch, 1);
    template_free(t);
    miner->template = fresh;
    miner->template_number++;
}

void miner_on_tick(struct miner *miner)
{
    miner->rate[miner->rate_at] = miner->hashes;
    miner->rate_at = (miner->rate_at + 1) % RATE_SECONDS;
    if (miner->rate_count < RATE_SECONDS)
        miner->rate_count++;
    miner->hashes = 0;
    if (!miner->is_running)
        return;
    look_for_better(miner);
    if (miner->found != NULL && !miner->offered)
        offer(miner);
    work_all(miner);
}

static void on_verdict(void *ctx, enum block_outcome outcome, struct block_index *index, const struct fail *why)
{
    struct miner *miner = ctx;
    struct block *block = miner->found;
    miner->found = NULL;
    miner->offered = false;
    if (outcome == BLOCK_OUTCOME_REFUSED)
        log_error("A block of our own was refused: %s (%s)", why->code, why->detail);
    else
        log_info("Mined block %s at height %" PRId32 "%s", hash_show(block->id.b), index->height,
            outcome == BLOCK_OUTCOME_CONNECTED ? "" : ", but another came first");
    block_unref(block);
    if (outcome != BLOCK_OUTCOME_REFUSED) /* else the next tick tries again, so that no error spins */
        work_all(miner);
}

static void offer(struct miner *miner)
{
    miner->offered = ledger_offer_built(miner->ledger, miner->found, (struct block_verdict){on_verdict, miner});
}

static void on_slice(struct job *job)
{
    struct worker *worker = (struct worker *)job;
    struct miner *miner = worker->miner;
    struct grind *grind = &worker->grind;
    struct fail why;
    int64_t took_us = env_steady_us(miner->env) - worker->begun_us;
    worker->is_busy = false;
    worker->next_nonce += grind->hashes;
    miner->hashes += grind->hashes;
    if (took_us > 0 && grind->hashes == grind->count) {
        uint64_t fit = grind->hashes * (uint64_t)SLICE_US / (uint64_t)took_us;
        worker->slice = fit < SLICE_MIN ? SLICE_MIN : fit > SLICE_MAX ? SLICE_MAX : fit;
    }
    if (!miner->is_running)
        return;
    if (grind->found && miner->found == NULL && block_with_header(&miner->found, worker->block, grind->header, &why)) {
        atomic_fetch_add(&miner->epoch, 1);
        offer(miner);
    }
    work(worker);
}

static bool refresh_template(struct miner *miner)
{
    struct fail why;
    if (miner->template != NULL && miner->template->tip_sequence == ledger_tip_sequence(miner->ledger))
        return true;
    template_free(miner->template);
    miner->template = template_new(
        miner->chain, miner->ledger, miner->pool, &miner->options, env_wall_s(miner->env), &why);
    miner->template_us = env_steady_us(miner->env);
    miner->template_number++;
    return miner->template != NULL;
}

/* Gives the thread its next slice; without memory or room it waits for the tick. */
static void work(struct worker *worker)
{
    struct miner *miner = worker->miner;
    struct fail why;
    if (worker->is_busy || !miner->is_running || miner->found != NULL || !refresh_template(miner))
        return;
    struct block_template *t = miner->template;
    int64_t time_before_s = t->time_s;
    template_set_time(t, miner->chain, env_wall_s(miner->env));
    if (worker->block == NULL || worker->template_number != miner->template_number ||
        worker->next_nonce > UINT32_MAX) {
        struct block *block;
        if (!template_build(&block, t, miner->chain, buf_span(&miner->payout), miner->extra_nonce++, &why))
            return;
        block_unref(worker->block);
        worker->block = block;
        worker->template_number = miner->template_number;
        worker->next_nonce = 0;
    } else if (t->time_s != time_before_s) {
        worker->next_nonce = 0; /* another header: its nonces are all new */
    }
    grind_prepare(&worker->grind, worker->block, t, miner->chain, &miner->epoch);
    worker->grind.first = (uint32_t)worker->next_nonce;
    worker->grind.count = (UINT64_C(1) << 32) - worker->next_nonce;
    if (worker->grind.count > worker->slice)
        worker->grind.count = worker->slice;
    worker->grind.job = (struct job){.run = grind_run, .done = on_slice, .lane = JOB_MINE};
    worker->begun_us = env_steady_us(miner->env);
    worker->is_busy = env_submit(miner->env, &worker->grind.job);
}

static void work_all(struct miner *miner)
{
    for (uint32_t i = 0; i < miner->thread_count; i++)
        work(&miner->workers[i]);
}
