/* disk.h - a disk and its key-value stores in memory, for tests: it counts operations, can fail or die at
 * any of them, and at a power cut loses or tears what was not synced.
 *
 * Model: a write survives a power cut for certain only after sync of its file; until then each write is
 * whole, cut at a random byte, or gone. Names (create, rename, remove) survive for certain after sync_dir,
 * which makes all earlier name changes durable; of the others a random number of the first ones survive. A
 * key-value batch survives whole or not at all; of the batches after the last synced one a random number
 * of the first ones survive.
 * Owner: the test. Thread: one. All handles and stores must be closed before a power cut. */
#ifndef COIN_SIM_DISK_H
#define COIN_SIM_DISK_H

#include "coin/base/file.h"
#include "coin/ledger/kv.h"

/* A small seeded generator (splitmix64): the same seed, the same run. */
struct sim_random {
    uint64_t state;
};
uint64_t sim_random_next(struct sim_random *random);
uint64_t sim_random_below(struct sim_random *random, uint64_t limit); /* limit > 0 */

struct sim_disk;
struct sim_disk *sim_disk_new(uint64_t seed);
void sim_disk_free(struct sim_disk *sim);
const struct disk *sim_disk_ops(struct sim_disk *sim);
/* Fits env.kv_open, with the sim_disk as ctx. */
struct kv *sim_kv_open(
    void *sim_disk, const char *path, const struct kv_options *options, struct fail *why);

/* Writes, truncates, syncs, renames, removals, creations and batches so far. */
uint64_t sim_disk_count(const struct sim_disk *sim);
/* The nth such operation from now (1: the next) fails once, having done nothing. 0: none. */
void sim_disk_fail_at(struct sim_disk *sim, uint64_t nth);
/* The nth operation from now is cut short, and all after it fail, reads as well: the process has been
 * killed there. sim_disk_restart brings the disk back. 0: none. */
void sim_disk_die_at(struct sim_disk *sim, uint64_t nth);
void sim_disk_die(struct sim_disk *sim); /* now */
bool sim_disk_is_dead(const struct sim_disk *sim);
/* After a death (or any time when all is closed). power_cut: unsynced data is lost or torn; otherwise only
 * the process died and what it wrote stays. */
void sim_disk_restart(struct sim_disk *sim, bool power_cut);
/* As a power cut that treats all that was not synced alike, files and names one way, stores another. */
enum sim_loss { SIM_KEPT, SIM_TORN, SIM_LOST }; /* torn: as by chance, some of it, some by half */
void sim_disk_restart_as(struct sim_disk *sim, enum sim_loss files, enum sim_loss stores);
/* Empties the closed stores whose paths begin so: what removing their files does to real ones. */
void sim_disk_forget_stores(struct sim_disk *sim, const char *prefix);
void sim_disk_set_free_space(struct sim_disk *sim, uint64_t free_b);
/* Flips a bit of a file's byte; false: no such byte. */
bool sim_disk_damage(struct sim_disk *sim, const char *path, uint64_t offset_b);

#endif
