/* Proves the crash rule: whatever instant a node is killed at, with its unsynced writes lost or torn or
 * kept, it starts again at a valid tip with exactly that tip's coins, nothing that a finished flush held is
 * gone, and it goes on to the end. Everything follows from the seed: the same one gives the same run.
 *     sim_crash [FIRST_SEED [SEEDS]] */
#include <stdio.h>
#include <stdlib.h>

#include "crash.h"

#define SEEDS 20
#define SEEDS_TWICE 2
#define CRASHES 40 /* per seed */
#define OPS_MAX 80 /* disk operations that a life lasts at most */

static void kill_node(struct crash_run *run)
{
    run->crashes++;
    crash_wreck(run);
    bool power_cut = !crash_chance(run, 4);
    run->power_cuts += power_cut;
    sim_disk_restart(run->node->disk, power_cut);
}

static void act(struct crash_run *run)
{
    uint64_t what = sim_random_below(&run->random, 16);
    if (what == 0) { /* another branch from below, longer by one, or as long */
        uint32_t depth = 1 + (uint32_t)sim_random_below(&run->random, 5), at = run->head, back = 0;
        for (; back < depth && at != 0; back++)
            at = run->made[at].prev;
        for (uint32_t i = 0; i < back + (crash_chance(run, 3) ? 0 : 1); i++)
            at = crash_make_block(run, at, false);
        crash_offer_branch(run, at);
        run->head = crash_best(run);
    } else if (what == 1) { /* a better branch with a bad block in it */
        uint32_t at = run->made[run->head].prev;
        for (int i = 0; i < 4; i++)
            at = crash_make_block(run, at, i == 1);
        crash_offer_branch(run, at);
    } else if (what <= 4) {
        crash_flush(run);
    } else if (what == 5) {
        world_run_us(run->world, (int64_t)sim_random_below(&run->random, 20) * 1000000);
        crash_take_effects(run);
        ledger_on_tick(run->ledger);
    } else {
        run->head = crash_make_block(run, run->head, false);
        crash_offer_branch(run, run->head);
    }
    crash_step(run, 60);
}

static void live(struct crash_run *run)
{
    bool careful = crash_chance(run, 2); /* looks at its coins before anything can go wrong */
    uint64_t last = 1 + sim_random_below(&run->random, crash_chance(run, 3) ? 6 : OPS_MAX);
    bool error = crash_chance(run, 10);
    if (!careful)
        sim_disk_die_at(run->node->disk, last);
    if (!crash_open(run)) {
        run->open_crashes++;
        kill_node(run);
        return;
    }
    if (careful) {
        crash_check_coins(run, false);
        if (error)
            sim_disk_fail_at(run->node->disk, last);
        else
            sim_disk_die_at(run->node->disk, last);
    } else {
        ledger_start(run->ledger);
    }
    crash_take_effects(run);
    if (crash_chance(run, 2))
        crash_check_settled(run);
    while (!crash_is_down(run) && !crash_chance(run, 40)) {
        act(run);
        if (!crash_is_down(run) && crash_chance(run, 12))
            crash_check_settled(run);
        if (!crash_is_down(run) && crash_chance(run, 12))
            crash_check_coins(run, true);
    }
    if (error && careful && !sim_disk_is_dead(run->node->disk)) { /* an orderly end after an error */
        run->errors++;
        crash_close(run);
        world_node_forget(run->node);
        sim_disk_restart(run->node->disk, false);
        return;
    }
    if (!crash_is_down(run) && crash_chance(run, 2)) { /* in the middle of an orderly stop, or right after it */
        sim_disk_die_at(run->node->disk, 1 + sim_random_below(&run->random, 8));
        crash_close(run);
        run->stop_crashes += sim_disk_is_dead(run->node->disk);
    }
    kill_node(run);
}

static void end(struct crash_run *run)
{
    uint32_t best = crash_best(run);
    crash_demand(run, crash_open(run), "it does not open at the end");
    ledger_start(run->ledger);
    crash_offer_branch(run, best);
    crash_check_settled(run);
    crash_demand(run, ledger_tip(run->ledger)->height == run->made[best].height,
        "ends at height %d, best is %d", (int)ledger_tip(run->ledger)->height,
        (int)run->made[best].height);
    crash_check_coins(run, true);
    struct block_id tip = ledger_tip(run->ledger)->id;
    crash_close(run);
    crash_demand(run, crash_open(run), "it does not open after a clean stop");
    crash_demand(run, block_id_equal(&ledger_tip(run->ledger)->id, &tip), "a clean stop lost the tip");
    crash_check_coins(run, false);
    crash_close(run);
}

static struct crash_run *run_seed(uint64_t seed)
{
    struct crash_run *run = crash_new(seed);
    while (run->crashes < CRASHES)
        live(run);
    end(run);
    run->digest += world_events(run->world) * 1000003;
    return run;
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : SEEDS;
    uint32_t crashes = 0, cuts = 0, opening = 0, stopping = 0, errors = 0, scans = 0, blocks = 0, back = 0, settled = 0;
    for (uint64_t seed = first; seed < first + count; seed++) {
        struct crash_run *run = run_seed(seed);
        uint64_t digest = run->digest;
        crashes += run->crashes;
        cuts += run->power_cuts;
        opening += run->open_crashes;
        stopping += run->stop_crashes;
        errors += run->errors;
        scans += run->scans;
        blocks += run->made_count;
        back += run->reorganised;
        settled += run->settled_lives;
        crash_free(run);
        if (seed >= first + SEEDS_TWICE)
            continue;
        run = run_seed(seed);
        crash_demand(run, run->digest == digest, "the same seed gave another run");
        crash_free(run);
    }
    printf("sim_crash: %u crashes (%u power cuts, %u while opening, %u while stopping), %u disk errors, %u blocks, %u "
           "disconnected, settled %u times, coins compared %u times\n",
        crashes, cuts, opening, stopping, errors, blocks, back, settled, scans);
    return 0;
}
