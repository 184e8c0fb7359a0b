/* real.h - the real world for tests and measurements that must not be simulated: real threads, real files,
 * LevelDB, real clocks; a loop that waits for the pool. The folder is temporary and goes at the end.
 * Owner: the test. Thread: the one that made it is the loop. */
#ifndef COIN_SIM_REAL_H
#define COIN_SIM_REAL_H

#include <pthread.h>

#include "coin/base/env.h"
#include "disk.h"

struct real {
    struct env env; /* ctx is this struct */
    struct pool *pool;
    struct sim_random random; /* seeded: what is random about a test is the threads */
    char folder[64];
    pthread_mutex_t lock;
    pthread_cond_t woken;
    bool wake;
};
/* threads 0: one per processor. Ends the process loudly when it fails. */
void real_open(struct real *real, uint32_t threads);
void real_close(struct real *real); /* nothing may be in flight */
uint32_t real_processors(void);
double real_now_s(void); /* steady */
/* Hands out results until is_done(ctx) holds, asked after each round; false: limit_s passed. */
bool real_run_until(struct real *real, bool (*is_done)(void *ctx), void *ctx, double limit_s);
void real_step(struct real *real); /* waits a moment for results and hands them out */

#endif
