/* The ordered writer. Changes gather in wallet->batch; a write takes them all, with everyone who waits for
 * them, and while it runs the next batch gathers: many small changes share one commit (and one fsync).
 * A failed write breaks the wallet: what was shown since may be lost, so nothing more is promised. */

#include "coin/base/log.h"
#include "internal.h"

#define WAITERS_MAX 65536

struct write_job {
    struct job job;
    struct wallet *wallet;
    struct store *store;
    struct store_batch batch;
    struct waiter *waiters;
    uint32_t waiter_count;
    bool refused; /* an earlier write failed: a later one could pass over what it lost */
    struct fail earlier;
    bool ok;
    struct fail why;
};

static void begin(struct wallet *wallet);
static void run(struct job *job);
static void done(struct job *job);

void wallet_write(struct wallet *wallet, void (*fn)(void *ctx, const struct fail *why), void *ctx)
{
    if (fn != NULL) {
        if (!mem_try_grow(&wallet->waiters, &wallet->waiter_capacity, wallet->waiter_count + 1, WAITERS_MAX,
                sizeof *wallet->waiters)) {
            struct fail why;
            fail_oom(&why, "wallet write");
            fn(ctx, &why);
            return;
        }
        wallet->waiters[wallet->waiter_count++] = (struct waiter){fn, ctx};
    }
    begin(wallet);
}

void wallet_write_retry(struct wallet *wallet)
{
    if (wallet->batch.count > 0 || wallet->waiter_count > 0)
        begin(wallet);
}

bool wallet_write_idle(const struct wallet *wallet)
{
    return wallet->in_flight == NULL && wallet->batch.count == 0 && wallet->waiter_count == 0;
}

static void begin(struct wallet *wallet)
{
    if (wallet->in_flight != NULL)
        return; /* its end begins the next */
    struct write_job *write = mem_new(sizeof *write);
    write->job = (struct job){.run = run, .done = done, .lane = JOB_WRITE, .serial = &wallet->writer};
    write->wallet = wallet;
    write->store = wallet->store;
    write->batch = wallet->batch;
    write->waiters = wallet->waiters;
    write->waiter_count = wallet->waiter_count;
    write->refused = wallet->broken;
    write->earlier = wallet->broken_why;
    if (!env_submit(wallet->all->env, &write->job)) {
        mem_free(write); /* the lane is full: the batch stays, wallets_on_tick tries again */
        return;
    }
    store_batch_init(&wallet->batch);
    wallet->waiters = NULL;
    wallet->waiter_count = wallet->waiter_capacity = 0;
    wallet->in_flight = write;
}

static void run(struct job *job)
{
    struct write_job *write = (struct write_job *)job;
    if (write->refused)
        write->ok = fail_set(&write->why, FAIL_LOCAL, "wallet-broken",
            "an earlier write to the wallet file failed (%s), nothing more is written; start the node again once the disk is well",
            write->earlier.detail);
    else
        write->ok = store_apply(write->store, &write->batch, &write->why);
}

static void done(struct job *job)
{
    struct write_job *write = (struct write_job *)job;
    struct wallet *wallet = write->wallet;
    wallet->in_flight = NULL;
    if (write->ok) {
        fail_clear(&write->why);
    } else {
        if (!wallet->broken)
            wallet->broken_why = write->why;
        wallet->broken = true;
        log_error("Wallet \"%s\": %s", wallet->name, write->why.detail);
    }
    for (uint32_t i = 0; i < write->waiter_count; i++)
        write->waiters[i].fn(write->waiters[i].ctx, &write->why);
    store_batch_clear(&write->batch);
    mem_free(write->waiters);
    mem_free(write);
    wallet_write_retry(wallet);
    wallets_check_unload(wallet);
}
