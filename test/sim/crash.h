/* crash.h - a node on a dying disk, and what must hold after every crash: shared by the crash simulations.
 * Blocks are made by the test and kept in `made`; checks compare the node with a model that replays them.
 * A check that fails prints run->name and ends the program. Owner: the test. Thread: one. */
#ifndef COIN_SIM_CRASH_H
#define COIN_SIM_CRASH_H

#include "coin/ledger/ledger.h"
#include "world.h"

#define CRASH_SETTLE_US (INT64_C(600) * 1000000)
#define CRASH_BLOCKS_MAX 4000

struct made { /* a block of the test's */
    struct block *block;
    uint32_t prev; /* its parent's place */
    int32_t height;
    bool bad; /* it breaks a rule, or stands on one that does */
};

struct crash_run {
    uint64_t seed;
    char name[96]; /* what is printed when a check fails: enough to repeat it */
    struct sim_random random;
    struct world *world;
    struct world_node *node;
    struct chain *chain;
    struct ledger *ledger;
    struct ledger_options options;
    struct made made[CRASH_BLOCKS_MAX];
    uint32_t made_count, salt;
    uint32_t head; /* the branch being grown */
    int32_t durable_height; /* of the best tip that a finished flush held */
    bool fatal, stopped;
    bool may_fail_to_open; /* the disk is to fail once: that may be at the start */
    uint32_t lives, crashes, power_cuts, open_crashes, stop_crashes, errors, scans, reorganised, settled_lives;
    uint64_t digest;
};

struct crash_run *crash_new(uint64_t seed);
void crash_free(struct crash_run *run);
/* A new world with an empty disk, and the randomness of the beginning; the blocks stay. Between lives. */
void crash_begin(struct crash_run *run);
void crash_demand(struct crash_run *run, bool holds, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool crash_chance(struct crash_run *run, uint64_t one_in);

/* A block with random payments on top of the block at that place; its own place. bad: it takes a satoshi
 * too much. */
uint32_t crash_make_block(struct crash_run *run, uint32_t prev, bool bad);
uint32_t crash_place(struct crash_run *run, const struct block_id *id); /* UINT32_MAX: none of ours */
uint32_t crash_best(const struct crash_run *run); /* the highest good one, the first of them */

bool crash_open(struct crash_run *run); /* false: the disk died meanwhile */
void crash_close(struct crash_run *run); /* an orderly stop */
/* The process is gone at once: what the stop would still write reaches no disk. Then sim_disk_restart. */
void crash_wreck(struct crash_run *run);
void crash_take_effects(struct crash_run *run);
bool crash_is_down(const struct crash_run *run);
void crash_step(struct crash_run *run, uint32_t most); /* a random number of events, fewer than most */
/* Gives the ledger what it lacks of a branch, oldest first, as a peer would. */
void crash_offer_branch(struct crash_run *run, uint32_t place);
void crash_flush(struct crash_run *run); /* when it is done, durable_height knows */

/* All coins against the model. started: false: those of the very tip that was loaded, before the node does
 * anything else. */
void crash_check_coins(struct crash_run *run, bool started);
/* Until nothing is in flight: then the tip is a good block, and not below what was flushed. */
void crash_check_settled(struct crash_run *run);

#endif
