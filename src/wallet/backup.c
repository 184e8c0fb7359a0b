/* A copy of a wallet's file, made by the wallet's own writer between two of its writes, so that it holds a state
 * that the wallet really had. */

#include <stdio.h>

#include "internal.h"

struct backup_job {
    struct job job;
    struct wallet *wallet;
    struct store *store;
    char path[PATH_SIZE_B];
    bool ok;
    struct fail why;
    struct ledger_done done;
};

static void run(struct job *job);
static void done(struct job *job);

void wallet_backup(struct wallet *wallet, const char *path, struct ledger_done finished)
{
    struct fail why;
    struct backup_job *backup = mem_new(sizeof *backup);
    backup->job = (struct job){.run = run, .done = done, .lane = JOB_WRITE, .serial = &wallet->writer};
    backup->wallet = wallet;
    backup->store = wallet->store;
    backup->done = finished;
    snprintf(backup->path, sizeof backup->path, "%s", path);
    if (env_submit(wallet->all->env, &backup->job)) {
        wallet->jobs++;
        return;
    }
    mem_free(backup);
    fail_set(&why, FAIL_NO_ROOM, "busy", "Too much waits for the disk: try again");
    finished.fn(finished.ctx, &why);
}

void wallet_mark_backed_up(struct wallet *wallet)
{
    if (wallet->backed_up)
        return;
    wallet->backed_up = true;
    image_put_backed_up(&wallet->batch);
    wallet_write(wallet, NULL, NULL);
}

static void run(struct job *job)
{
    struct backup_job *backup = (struct backup_job *)job;
    backup->ok = store_backup(backup->store, backup->path, &backup->why);
}

static void done(struct job *job)
{
    struct backup_job *backup = (struct backup_job *)job;
    struct wallet *wallet = backup->wallet;
    wallet->jobs--;
    if (backup->ok) {
        fail_clear(&backup->why);
        wallet_mark_backed_up(wallet);
    }
    backup->done.fn(backup->done.ctx, &backup->why);
    mem_free(backup);
    wallets_check_unload(wallet);
}
