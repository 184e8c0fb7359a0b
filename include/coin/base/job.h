/* job.h - work that may wait or take long, done off the loop.
 * A job is embedded as the first member of the struct that holds its inputs and results. The job itself
 * is its result slot: queues are intrusive, so handing a result back never allocates and never blocks.
 *
 * run:  on a worker; sees only values and immutable references inside its struct; no shared state.
 * done: on the loop, later, never from inside job_submit. It owns the struct again. */
#ifndef COIN_BASE_JOB_H
#define COIN_BASE_JOB_H

#include <stddef.h>
#include <stdint.h>

#include "coin/base/fail.h"

/* Lanes are queues with their own bound; workers take from the first non-empty lane in this order, so a
 * long request never delays a block. A serial lane runs one job at a time, in order: each writer has its
 * own (see job.serial). */
enum job_lane {
    JOB_VERIFY, /* decode, scripts: what a tip waits for */
    JOB_READ,   /* coins, blocks from disk */
    JOB_WRITE,  /* blocks, batches, wallets */
    JOB_SLOW,   /* big answers, key derivation, scans */
    JOB_MINE,   /* proof of work; has its own low-priority threads, never those of the others */
    JOB_LANES
};

struct job_serial;

struct job {
    void (*run)(struct job *job);
    void (*done)(struct job *job);
    enum job_lane lane;
    struct job_serial *serial; /* NULL, or: runs after all earlier jobs of this serial have finished */
    struct job *next;          /* the queue's */
};

/* One ordered writer: jobs of one serial run in the order of submission, never two at once. Lives with
 * its owner, must outlive its jobs. Only the pool touches the fields. */
struct job_serial {
    struct job *first, *last;
    bool running;
};

#define JOB_LANE_MAX 4096 /* jobs waiting per lane; beyond, submit refuses (guess: measure) */

/* ---- the real pool: POSIX threads ---- */
struct pool;
/* threads: workers for all lanes but JOB_MINE; mine_threads may be 0. wake(ctx) is called from a worker
 * whenever the result queue goes from empty to non-empty, and by pool_collect when it leaves results; it
 * must only wake the loop. NULL: the threads could not be started. */
struct pool *pool_new(uint32_t threads, uint32_t mine_threads, void (*wake)(void *ctx), void *ctx);
/* false: the lane is full, or nobody mines; the job is still the caller's. Thread: loop. */
bool pool_submit(struct pool *pool, struct job *job) MUST_USE;
/* Runs `done` of up to max results; returns how many. Thread: loop. */
uint32_t pool_collect(struct pool *pool, uint32_t max);
/* The same for about so long: at least one, none after that time is over. */
uint32_t pool_collect_for(struct pool *pool, int64_t limit_us);
/* Waits until every submitted job has run and been collected. For start-up and shutdown only. */
void pool_drain(struct pool *pool);
uint32_t pool_waiting(const struct pool *pool, enum job_lane lane);
void pool_free(struct pool *pool); /* drains first */

#endif
