/* Proves recovery point by point: a scripted run of a node is repeated once for every disk operation of it (write,
 * sync, truncate, rename, removal, creation, batch), and ends there: killed, or with the unsynced writes lost or
 * torn, or by an error. Then the node must start, hold exactly the coins of a valid tip, lose nothing that a
 * finished flush held, and go on to the end; every third one is killed again while it recovers.
 *     sim_recover [--all]     all: every point of the long scripts too, not only a spread of them */
#include <stdio.h>
#include <string.h>

#include "coin/base/mem.h"
#include "coin/ledger/indexes.h"
#include "crash.h"

#define STEPS_MAX 64
#define POINTS_LONG 50 /* of a long script, unless all are wanted */

enum step_kind { STEP_OFFER, STEP_FLUSH, STEP_SETTLE, STEP_TICKS, STEP_RESTART };
struct step {
    enum step_kind kind;
    uint32_t place; /* of the block whose branch is offered; seconds */
};
struct script {
    const char *name;
    bool is_long;
    struct step steps[STEPS_MAX];
    uint32_t count, best;
};
struct tally {
    uint32_t crashes, again, errors, opening;
};

static void add(struct script *script, enum step_kind kind, uint32_t place)
{
    script->steps[script->count++] = (struct step){kind, place};
}

static uint32_t grow(struct crash_run *run, uint32_t from, uint32_t count)
{
    while (count-- > 0)
        from = crash_make_block(run, from, false);
    return from;
}

/* ---- scripts ---- */
static void short_script(struct crash_run *run, struct script *script)
{
    uint32_t at = grow(run, 0, 6);
    add(script, STEP_OFFER, at);
    add(script, STEP_FLUSH, 0);
    add(script, STEP_SETTLE, 0);
    uint32_t side = grow(run, at, 3);
    add(script, STEP_OFFER, side);
    add(script, STEP_SETTLE, 0);
    at = grow(run, at, 4); /* a reorganisation three deep, flushed in its middle or not */
    add(script, STEP_OFFER, at);
    add(script, STEP_FLUSH, 0);
    add(script, STEP_OFFER, crash_make_block(run, crash_make_block(run, at, true), false));
    at = grow(run, at, 3);
    add(script, STEP_OFFER, at);
    add(script, STEP_TICKS, 6); /* files are synced by themselves */
    add(script, STEP_RESTART, 0);
    at = grow(run, at, 3);
    add(script, STEP_OFFER, at);
    add(script, STEP_SETTLE, 0);
    add(script, STEP_FLUSH, 0);
    add(script, STEP_SETTLE, 0);
    script->best = at;
}

static void long_script(struct crash_run *run, struct script *script)
{
    uint32_t at = grow(run, 0, 330);
    add(script, STEP_OFFER, at);
    add(script, STEP_SETTLE, 0);
    for (int i = 0; i < 5; i++) {
        at = grow(run, at, 90);
        add(script, STEP_OFFER, at);
        add(script, STEP_TICKS, 3);
        add(script, STEP_FLUSH, 0);
        add(script, STEP_SETTLE, 0);
    }
    add(script, STEP_RESTART, 0);
    add(script, STEP_OFFER, grow(run, at, 2));
    at = grow(run, at, 3);
    add(script, STEP_OFFER, at);
    add(script, STEP_FLUSH, 0);
    add(script, STEP_SETTLE, 0);
    script->best = at;
}

/* ---- a life ---- */
static bool is_settled(void *ctx)
{
    struct crash_run *run = ctx;
    crash_take_effects(run);
    return crash_is_down(run) || ledger_is_settled(run->ledger);
}

/* false: the disk died, or failed, on the way. */
static bool play(struct crash_run *run, const struct script *script)
{
    if (!crash_open(run))
        return false;
    ledger_start(run->ledger);
    for (uint32_t i = 0; i < script->count && !crash_is_down(run); i++) {
        const struct step *step = &script->steps[i];
        switch (step->kind) {
        case STEP_OFFER:
            crash_offer_branch(run, step->place);
            break;
        case STEP_FLUSH:
            crash_flush(run);
            break;
        case STEP_SETTLE:
            crash_demand(run, world_run_until(run->world, is_settled, run, CRASH_SETTLE_US), "it never settles");
            break;
        case STEP_TICKS:
            for (uint32_t s = 0; s < step->place && !crash_is_down(run); s++) {
                world_run_us(run->world, 1000000);
                crash_take_effects(run);
                ledger_on_tick(run->ledger);
            }
            break;
        case STEP_RESTART:
            crash_close(run);
            if (crash_is_down(run) || !crash_open(run))
                return false;
            ledger_start(run->ledger);
            break;
        }
    }
    if (crash_is_down(run))
        return false;
    crash_close(run);
    return !crash_is_down(run);
}

static void end_life(struct crash_run *run, enum sim_loss files, enum sim_loss stores)
{
    crash_wreck(run);
    sim_disk_restart_as(run->node->disk, files, stores);
}

static void expect_recovery(struct crash_run *run, const struct script *script)
{
    crash_demand(run, crash_open(run), "it does not open");
    crash_check_coins(run, false);
    crash_check_settled(run);
    crash_offer_branch(run, script->best);
    crash_check_settled(run);
    crash_demand(run, ledger_tip(run->ledger)->height == run->made[script->best].height, "it ends at height %d, not %d",
        (int)ledger_tip(run->ledger)->height, (int)run->made[script->best].height);
    crash_check_coins(run, true);
    struct block_id tip = ledger_tip(run->ledger)->id;
    crash_close(run);
    crash_demand(run, crash_open(run), "it does not open after a clean stop");
    crash_demand(run, block_id_equal(&ledger_tip(run->ledger)->id, &tip), "a clean stop lost the tip");
    crash_close(run);
}

/* ---- points ---- */
static void kill_at(struct crash_run *run, const struct script *script, uint64_t op, enum sim_loss files,
    enum sim_loss stores, struct tally *tally)
{
    static const char *const names[] = {[SIM_KEPT] = "kept", [SIM_LOST] = "lost", [SIM_TORN] = "torn"};
    snprintf(run->name, sizeof run->name, "%s, operation %llu, files %s, stores %s", script->name,
        (unsigned long long)op, names[files], names[stores]);
    crash_begin(run);
    sim_disk_die_at(run->node->disk, op);
    crash_demand(run, !play(run, script), "the disk did not die");
    tally->crashes++;
    tally->opening += run->ledger == NULL;
    end_life(run, files, stores);
    if (op % 3 == 0) { /* once more, while it recovers */
        sim_disk_die_at(run->node->disk, 1 + op / 3 % 9);
        if (crash_open(run)) {
            ledger_start(run->ledger);
            crash_demand(run, world_run_until(run->world, is_settled, run, CRASH_SETTLE_US), "it never settles");
        }
        tally->again++;
        end_life(run, stores, files);
    }
    expect_recovery(run, script);
}

static void fail_at(struct crash_run *run, const struct script *script, uint64_t op, struct tally *tally)
{
    snprintf(run->name, sizeof run->name, "%s, operation %llu fails", script->name, (unsigned long long)op);
    crash_begin(run);
    run->may_fail_to_open = true;
    sim_disk_fail_at(run->node->disk, op);
    bool went_on = play(run, script);
    run->may_fail_to_open = false;
    if (run->ledger != NULL && !went_on)
        crash_close(run);
    world_node_forget(run->node);
    sim_disk_restart(run->node->disk, false);
    tally->errors++;
    expect_recovery(run, script);
}

static void every_point(struct crash_run *run, struct script *script, bool all)
{
    struct tally tally = {0};
    snprintf(run->name, sizeof run->name, "%s, undisturbed", script->name);
    crash_begin(run);
    crash_demand(run, play(run, script), "it does not run");
    uint64_t ops = sim_disk_count(run->node->disk), stride = 1;
    if (script->is_long && !all && ops > POINTS_LONG)
        stride = ops / POINTS_LONG;
    for (uint64_t op = 1; op <= ops; op += stride) {
        kill_at(run, script, op, SIM_TORN, SIM_TORN, &tally);
        if (stride == 1) {
            kill_at(run, script, op, SIM_KEPT, SIM_KEPT, &tally);
            kill_at(run, script, op, SIM_LOST, SIM_LOST, &tally);
            kill_at(run, script, op, SIM_LOST, SIM_KEPT, &tally);
            kill_at(run, script, op, SIM_KEPT, SIM_LOST, &tally);
        }
        fail_at(run, script, op, &tally);
    }
    printf("sim_recover: %s: %llu operations, %u crashes (%u while opening, %u killed again), %u errors, all recovered, "
           "coins compared %u times\n", script->name, (unsigned long long)ops, tally.crashes, tally.opening, tally.again,
        tally.errors, run->scans);
}

static void try_script(const char *name, bool is_long, uint64_t seed, uint32_t indexes, uint64_t prune_b, bool all)
{
    struct script *script = mem_new(sizeof *script);
    struct crash_run *run = crash_new(seed);
    script->name = name;
    script->is_long = is_long;
    run->options.indexes = indexes;
    run->options.prune_target_b = prune_b;
    (is_long ? long_script : short_script)(run, script);
    every_point(run, script, all);
    crash_free(run);
    mem_free(script);
}

int main(int argc, char **argv)
{
    bool all = argc > 1 && strcmp(argv[1], "--all") == 0;
    try_script("chain", false, 1, 0, 0, all);
    try_script("slow disk", false, 14, 0, 0, all);
    try_script("indexes", false, 2, (1u << INDEX_KINDS) - 1, 0, all);
    try_script("pruning", true, 3, 0, 1, all);
    try_script("pruning and indexes", true, 4, 1u << INDEX_STATS | 1u << INDEX_FILTER, 1, all);
    return 0;
}
