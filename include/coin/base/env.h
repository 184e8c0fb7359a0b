/* env.h - the world as the core sees it. Core code has no clock, socket, thread, file or random source of
 * its own: all come through this struct. net/ and ledger/ fill it for real; test/sim fills it with
 * virtual time, a seeded generator, a lossy network, inline jobs and disks that lose unsynced writes.
 *
 * Thread: loop, except files and kv stores, whose operations run inside jobs (see file.h, ledger/kv.h). */
#ifndef COIN_BASE_ENV_H
#define COIN_BASE_ENV_H

#include "coin/base/bytes.h"
#include "coin/base/file.h"
#include "coin/base/job.h"

struct kv;
struct kv_options;
struct net_addr;

struct env {
    void *ctx;
    int64_t (*wall_ms)(void *ctx);   /* wall clock, ms since 1970; may jump; setmocktime moves it */
    int64_t (*steady_us)(void *ctx); /* for intervals; never jumps; setmocktime moves it forward too */
    void (*random)(void *ctx, void *out, size_t size_b);
    bool (*submit)(void *ctx, struct job *job);
    const struct disk *disk; /* files; never NULL */
    /* Opens or creates a key-value store at a path (a folder). NULL on failure. */
    struct kv *(*kv_open)(void *ctx, const char *path, const struct kv_options *options, struct fail *why);

    /* Connections: numbers that the core chooses (dial) or is given (accept); never reused. */
    void (*dial)(void *ctx, uint64_t conn_id, const struct net_addr *to);
    /* Takes the bytes (buf is left empty). Never fails: a dead connection is reported as closed later. */
    void (*send)(void *ctx, uint64_t conn_id, struct buf *bytes);
    /* No event about this connection follows. flush: send what is queued first (bounded wait). */
    void (*close)(void *ctx, uint64_t conn_id, bool flush);
    /* Stops or resumes reading from a connection: back-pressure of a full inbox. */
    void (*pause)(void *ctx, uint64_t conn_id, bool paused);
    /* Starts a DNS look-up; answers come as node_on_resolved(token, addresses). */
    void (*resolve)(void *ctx, uint64_t token, const char *name, uint16_t port);
    /* Sends one LAN beacon datagram; no-op when discovery is off. */
    void (*beacon)(void *ctx, struct span datagram);
    /* Asks for one more turn of node_on_tick as soon as other events were served. */
    void (*again)(void *ctx);
};

int64_t env_wall_s(const struct env *env);
int64_t env_wall_ms(const struct env *env);
int64_t env_steady_us(const struct env *env);
void env_random(const struct env *env, void *out, size_t size_b);
uint64_t env_random_u64(const struct env *env);
uint64_t env_random_below(const struct env *env, uint64_t limit); /* uniform in [0, limit), limit > 0 */
bool env_submit(const struct env *env, struct job *job) MUST_USE;

#endif
