/* world.h - several nodes in one process over virtual time: the simulated struct env.
 * One heap of events orders everything that happens; the same seed gives the same run. Jobs run between
 * events with seeded delays, never from inside submit. The network is somebody else's: struct world_net.
 * Owner: the test. Thread: one. */
#ifndef COIN_SIM_WORLD_H
#define COIN_SIM_WORLD_H

#include "coin/base/env.h"
#include "disk.h"

struct world;
struct world_node;

/* What env's network functions do, filled by the network simulation; a NULL function does nothing. */
struct world_net {
    void *ctx;
    void (*dial)(void *ctx, struct world_node *from, uint64_t conn_id, const struct net_addr *to);
    void (*send)(
        void *ctx, struct world_node *from, uint64_t conn_id, struct buf *bytes); /* takes */
    void (*close)(void *ctx, struct world_node *from, uint64_t conn_id, bool flush);
    void (*pause)(void *ctx, struct world_node *from, uint64_t conn_id, bool paused);
    void (*resolve)(
        void *ctx, struct world_node *from, uint64_t token, const char *name, uint16_t port);
    void (*beacon)(void *ctx, struct world_node *from, struct span datagram);
    void (*again)(void *ctx, struct world_node *from);
};

struct world_node {
    struct env env; /* env.ctx is this node */
    struct world *world;
    struct sim_disk *disk; /* its own; outlives crashes */
    uint32_t id; /* index in the world, from 0 */
    int64_t clock_skew_ms; /* added to the world's wall clock */
    uint64_t life; /* rises with world_node_forget: events of earlier lives do nothing */
    uint32_t jobs; /* submitted and not done */
    struct sim_random random;
    void *user; /* the test's: its struct node, ledger, ... */
};

struct world *world_new(uint64_t seed, int64_t wall_start_ms);
void world_free(struct world *world); /* with its nodes' disks */
struct world_node *world_add_node(struct world *world);
struct world_node *world_node_at(struct world *world, uint32_t id); /* NULL: no such */
uint32_t world_node_count(const struct world *world);
void world_set_net(struct world *world, const struct world_net *net);

int64_t world_now_us(const struct world *world);
int64_t world_wall_ms(const struct world *world);
struct sim_random *world_random(struct world *world);
/* Jobs wait up to run_us before they run and up to done_us before their result is heard, each drawn from
 * the seed; JOB_MINE waits mine_us exactly. Defaults: 200, 100, 0. */
void world_set_delays(struct world *world, int64_t run_us, int64_t done_us, int64_t mine_us);
/* Results of this lane's jobs that run from now on are heard so much later. */
void world_hold_back(struct world *world, enum job_lane lane, int64_t extra_us);
/* After each job's result was heard by its node. */
void world_on_done(struct world *world, void (*fn)(struct world_node *node));

/* fn(ctx, arg) at now + delay_us. node: NULL, or the event dies with the node's present life. */
void world_at(struct world *world, struct world_node *node, int64_t delay_us,
    void (*fn)(void *ctx, uint64_t arg), void *ctx, uint64_t arg);
bool world_step(struct world *world); /* one event; false: nothing is left */
void world_run_us(struct world *world, int64_t duration_us); /* the clock ends exactly there */
/* Until is_done(ctx) holds, asked after every event; false: nothing left, or limit_us passed. */
bool world_run_until(struct world *world, bool (*is_done)(void *ctx), void *ctx, int64_t limit_us);
uint64_t world_events(const struct world *world); /* handled so far: the fingerprint of a run */

/* Runs all jobs of the node and what they submit, now, in order, without advancing the clock. With a
 * dead disk (sim_disk_die) this is how a killed node's memory comes home before its structs are freed. */
void world_node_drain(struct world_node *node);
/* Drops the node's pending events but not its jobs: call world_node_drain first. */
void world_node_forget(struct world_node *node);

#endif
