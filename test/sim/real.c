/* An env over the pool, disk_posix and LevelDB. The loop sleeps on a condition that workers signal; what it
 * lacks of a node's loop is everything that has to do with sockets. */
#include "real.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "coin/crypto/hash.h"
#include "coin/crypto/secp.h"
#include "coin/crypto/sha256.h"

static void wake(void *ctx)
{
    struct real *real = ctx;
    pthread_mutex_lock(&real->lock);
    real->wake = true;
    pthread_cond_signal(&real->woken);
    pthread_mutex_unlock(&real->lock);
}

static int64_t wall_ms(void *ctx)
{
    (void)ctx;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t steady_us(void *ctx)
{
    (void)ctx;
    return (int64_t)(real_now_s() * 1e6);
}

static void fill_random(void *ctx, void *out, size_t size_b)
{
    struct real *real = ctx;
    uint8_t *at = out;
    for (size_t i = 0; i < size_b; i++)
        at[i] = (uint8_t)sim_random_next(&real->random);
}

static bool submit(void *ctx, struct job *job)
{
    return pool_submit(((struct real *)ctx)->pool, job);
}

static void give_up(const char *what)
{
    fprintf(stderr, "real: %s\n", what);
    exit(2);
}

void real_open(struct real *real, uint32_t threads)
{
    static const uint8_t blinding[32] = {1};
    struct fail why;
    memset(real, 0, sizeof *real);
    if (!sha256_init(NULL, &why) || !hash_init(&why) || !secp_init(blinding, &why))
        give_up(why.detail);
    pthread_mutex_init(&real->lock, NULL);
    pthread_cond_init(&real->woken, NULL);
    snprintf(real->folder, sizeof real->folder, "/tmp/coin-real-XXXXXX");
    if (mkdtemp(real->folder) == NULL)
        give_up("no temporary folder");
    real->random.state = 1;
    real->pool = pool_new(threads > 0 ? threads : real_processors(), 0, wake, real);
    if (real->pool == NULL)
        give_up("no threads");
    real->env = (struct env){
        .ctx = real,
        .wall_ms = wall_ms,
        .steady_us = steady_us,
        .random = fill_random,
        .submit = submit,
        .disk = &disk_posix,
        .kv_open = kv_leveldb_open,
    };
}

void real_close(struct real *real)
{
    char command[96];
    pool_free(real->pool);
    pthread_cond_destroy(&real->woken);
    pthread_mutex_destroy(&real->lock);
    snprintf(command, sizeof command, "rm -rf '%s'", real->folder);
    if (system(command) != 0)
        give_up("the temporary folder stays");
}

uint32_t real_processors(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (uint32_t)count : 1;
}

double real_now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void real_step(struct real *real)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 10000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&real->lock);
    while (!real->wake)
        if (pthread_cond_timedwait(&real->woken, &real->lock, &until) != 0)
            break;
    real->wake = false;
    pthread_mutex_unlock(&real->lock);
    pool_collect(real->pool, 256);
}

bool real_run_until(struct real *real, bool (*is_done)(void *ctx), void *ctx, double limit_s)
{
    double end_s = real_now_s() + limit_s;
    while (!is_done(ctx)) {
        if (real_now_s() > end_s)
            return false;
        real_step(real);
    }
    return true;
}
