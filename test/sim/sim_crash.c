/* Proves the crash rule: whatever instant a node is killed at, with its unsynced writes lost or torn or
 * kept, it starts again at a valid tip with exactly that tip's coins, nothing that a finished flush held is
 * gone, and it goes on to the end. Everything follows from the seed: the same one gives the same run.
 *     sim_crash [FIRST_SEED [SEEDS]] */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coin/base/log.h"
#include "coin/base/mem.h"
#include "coin/base/table.h"
#include "coin/ledger/ledger.h"
#include "coin/script/script.h"
#include "maker.h"
#include "world.h"

#define START_MS (INT64_C(1700000000) * 1000)
#define SETTLE_LIMIT_US (INT64_C(600) * 1000000)
#define SEEDS 20
#define SEEDS_TWICE 2
#define CRASHES 40 /* per seed */
#define BLOCKS_MAX 4000
#define TXS_MAX 8
#define COINS_MAX (1u << 20)
#define OPS_MAX 80 /* disk operations that a life lasts at most */

struct made { /* a block of the test's */
    struct block *block;
    uint32_t prev; /* its parent's place */
    int32_t height;
    bool bad; /* it breaks a rule, or stands on one that does */
};

struct crash_run {
    uint64_t seed;
    struct sim_random random;
    struct world *world;
    struct world_node *node;
    struct chain *chain;
    struct ledger *ledger;
    struct ledger_options options;
    struct made made[BLOCKS_MAX];
    uint32_t made_count, salt;
    uint32_t head; /* the branch being grown */
    int32_t durable_height; /* of the best tip that a finished flush held */
    bool fatal, stopped;
    uint32_t lives, crashes, power_cuts, open_crashes, stop_crashes, errors, scans, reorganised, settled_lives;
    uint64_t digest;
};

struct flush_note { /* what a flush will have made durable */
    struct crash_run *run;
    int32_t height;
};

struct model_coin {
    int64_t value_sat;
    int32_t height;
    bool is_coinbase;
};

struct scan {
    struct coins_scan scan;
    struct crash_run *run;
    struct table *model;
    uint32_t seen, wrong;
    bool done, made;
    struct fail why;
};

static void demand(struct crash_run *run, bool holds, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void demand(struct crash_run *run, bool holds, const char *format, ...)
{
    if (holds)
        return;
    va_list args;
    va_start(args, format);
    fprintf(stderr, "seed %llu, life %u: ", (unsigned long long)run->seed, run->lives);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    exit(1);
}

static bool chance(struct crash_run *run, uint64_t one_in)
{
    return sim_random_below(&run->random, one_in) == 0;
}

/* ---- blocks ---- */
static uint32_t place_of(struct crash_run *run, const struct block_id *id)
{
    for (uint32_t i = run->made_count; i-- > 0;)
        if (block_id_equal(&run->made[i].block->id, id))
            return i;
    return UINT32_MAX;
}

/* The coins of the branch that ends in `place`, by replaying it. */
static void model_make(struct crash_run *run, uint32_t place, struct table *coins)
{
    static const uint64_t key[2] = {1, 2};
    uint32_t *branch = mem_try_array(BLOCKS_MAX, sizeof *branch);
    uint32_t length = 0;
    for (uint32_t at = place; at != 0; at = run->made[at].prev)
        branch[length++] = at;
    table_init(coins, sizeof(struct outpoint), sizeof(struct model_coin), COINS_MAX, key);
    while (length > 0) {
        const struct made *made = &run->made[branch[--length]];
        for (uint32_t t = 0; t < made->block->tx_count; t++) {
            const struct tx *tx = &made->block->txs[t];
            for (uint32_t i = 0; t > 0 && i < tx->in_count; i++)
                demand(run, table_remove(coins, &tx->in[i].prevout), "the test spends no coin");
            for (uint32_t i = 0; i < tx->out_count; i++) {
                struct outpoint outpoint = {tx->txid, i};
                if (script_is_unspendable(tx->out[i].script))
                    continue;
                struct model_coin *coin = table_put(coins, &outpoint, NULL);
                *coin = (struct model_coin){tx->out[i].value_sat, made->height, t == 0};
            }
        }
    }
    mem_free(branch);
}

static uint32_t random_txs(struct crash_run *run, uint32_t prev, struct tx *txs[TXS_MAX])
{
    struct table coins;
    model_make(run, prev, &coins);
    int32_t height = run->made[prev].height + 1;
    uint32_t count = 0, cursor = 0, most = (uint32_t)sim_random_below(&run->random, TXS_MAX + 1);
    const void *key;
    void *value;
    uint64_t one_in = 1 + coins.count / 8;
    while (count < most && table_next(&coins, &cursor, &key, &value)) {
        const struct model_coin *coin = value;
        if ((coin->is_coinbase && height - coin->height < run->chain->coinbase_maturity) ||
            coin->value_sat < 10 || !chance(run, one_in))
            continue;
        struct outpoint from;
        memcpy(&from, key, sizeof from);
        txs[count++] = maker_spend(
            &from, 1, coin->value_sat, 1 + (uint32_t)sim_random_below(&run->random, 3));
        if (count < most && chance(run, 2)) { /* and one within the block */
            struct outpoint inner = {txs[count - 1]->txid, 0};
            txs[count] = maker_spend(&inner, 1, txs[count - 1]->out[0].value_sat, 1);
            count++;
        }
    }
    table_clear(&coins);
    return count;
}

static uint32_t make_block(struct crash_run *run, uint32_t prev, bool bad)
{
    struct tx *txs[TXS_MAX];
    const struct made *parent = &run->made[prev];
    uint32_t count = parent->bad ? 0 : random_txs(run, prev, txs);
    struct maker_block spec = {.prev = parent->block->id,
        .height = parent->height + 1,
        .time_s = parent->block->header.time_s + 1,
        .bits = parent->block->header.bits,
        .txs = txs,
        .tx_count = count,
        .extra_sat = bad ? 1 : 0,
        .salt = ++run->salt};
    demand(run, run->made_count < BLOCKS_MAX, "the test made too many blocks");
    struct made *made = &run->made[run->made_count];
    made->block = maker_build(run->chain, &spec);
    made->prev = prev;
    made->height = parent->height + 1;
    made->bad = bad || parent->bad;
    for (uint32_t i = 0; i < count; i++)
        tx_unref(txs[i]);
    return run->made_count++;
}

static uint32_t best_made(const struct crash_run *run)
{
    uint32_t best = 0;
    for (uint32_t i = 0; i < run->made_count; i++)
        if (!run->made[i].bad && run->made[i].height > run->made[best].height)
            best = i;
    return best;
}

/* ---- the node ---- */
static void take_effects(struct crash_run *run)
{
    struct ledger_effect effect;
    while (run->ledger != NULL && ledger_next_effect(run->ledger, &effect)) {
        if (effect.kind == LEDGER_INVALID) {
            uint32_t place = place_of(run, &effect.index->id);
            demand(run, place != UINT32_MAX && run->made[place].bad, "a good block was called %s: %s",
                effect.why.code, effect.why.detail);
        }
        run->reorganised += effect.kind == LEDGER_DISCONNECTED;
        run->fatal = run->fatal || effect.kind == LEDGER_FATAL;
        demand(run,
            effect.kind != LEDGER_FATAL || sim_disk_is_dead(run->node->disk) ||
                strstr(effect.why.detail, "simulated") != NULL,
            "fatal on a disk that works: %s", effect.why.detail);
        block_unref(effect.block);
    }
}

static bool is_down(const struct crash_run *run)
{
    return run->fatal || sim_disk_is_dead(run->node->disk);
}

static bool is_settled(void *ctx)
{
    struct crash_run *run = ctx;
    take_effects(run);
    return is_down(run) || ledger_is_settled(run->ledger);
}

static void on_stopped(void *ctx)
{
    ((struct crash_run *)ctx)->stopped = true;
}

static bool is_stopped(void *ctx)
{
    take_effects(ctx);
    return ((struct crash_run *)ctx)->stopped;
}

static void on_verdict(
    void *ctx, enum block_outcome outcome, struct block_index *index, const struct fail *why)
{
    struct crash_run *run = ctx;
    (void)why;
    if (outcome != BLOCK_OUTCOME_CONNECTED)
        return;
    uint32_t place = place_of(run, &index->id);
    demand(run, place != UINT32_MAX && !run->made[place].bad, "a bad block was connected");
}

static void on_flushed(void *ctx, const struct fail *why)
{
    struct flush_note *note = ctx;
    if (why->kind == FAIL_NONE && note->height > note->run->durable_height)
        note->run->durable_height = note->height;
    mem_free(note);
}

static void step(struct crash_run *run, uint32_t most)
{
    for (uint64_t n = sim_random_below(&run->random, most); n > 0 && !is_down(run); n--) {
        world_step(run->world);
        take_effects(run);
    }
}

/* Gives the ledger what it lacks of a branch, oldest first, as a peer would. */
static void offer_branch(struct crash_run *run, uint32_t place)
{
    uint32_t lacking[BLOCKS_MAX], count = 0;
    for (uint32_t at = place; at != 0; at = run->made[at].prev) {
        const struct block_index *index = ledger_find(run->ledger, &run->made[at].block->id);
        if (index == NULL || (index->status & BLOCK_HAVE_DATA) == 0)
            lacking[count++] = at;
    }
    while (count > 0 && !is_down(run)) {
        struct buf raw;
        maker_raw(&raw, run->made[lacking[count - 1]].block);
        if (ledger_offer_block(run->ledger, &raw, true, (struct block_verdict){on_verdict, run}))
            count--;
        else
            step(run, 4);
        buf_clear(&raw);
        take_effects(run);
        if (chance(run, 4))
            step(run, 12);
    }
}

/* ---- checks ---- */
static bool scan_each(
    struct coins_scan *base, const struct outpoint *outpoint, const struct coin *coin)
{
    struct scan *scan = (struct scan *)base;
    struct crash_run *run = scan->run;
    if (!scan->made) { /* jobs run between the loop's steps here: one thread */
        uint32_t place = place_of(run, &base->tip->id);
        demand(run, place != UINT32_MAX && !run->made[place].bad, "the tip is no valid block");
        model_make(run, place, scan->model);
        scan->made = true;
    }
    const struct model_coin *m = table_find(scan->model, outpoint);
    scan->seen++;
    scan->wrong += m == NULL || m->value_sat != coin->value_sat || m->height != coin->height ||
                   m->is_coinbase != coin->is_coinbase || coin->script.size_b != 1 ||
                   coin->script.data[0] != OP_1;
    return true;
}

static void scan_done(struct coins_scan *base, const struct fail *why)
{
    struct scan *scan = (struct scan *)base;
    scan->done = true;
    scan->why = *why;
}

static bool scan_is_done(void *ctx)
{
    struct scan *scan = ctx;
    take_effects(scan->run);
    return scan->done;
}

/* started: false: the very tip that was loaded, before the node does anything else. */
static void check_coins(struct crash_run *run, bool started)
{
    struct table model = {0};
    struct scan scan = {
        .scan = {.each = scan_each, .done = scan_done}, .run = run, .model = &model};
    struct block_index *loaded = ledger_tip(run->ledger);
    if (!ledger_scan_coins(run->ledger, &scan.scan))
        return;
    if (!started)
        ledger_start(run->ledger);
    demand(run, world_run_until(run->world, scan_is_done, &scan, SETTLE_LIMIT_US),
        "a scan never ends");
    if (scan.why.kind == FAIL_NONE) {
        demand(run, started || scan.scan.tip == loaded, "the tip moved on before it was looked at");
        demand(run, scan.made || scan.scan.tip->height == 0, "no coins at height %d",
            (int)scan.scan.tip->height);
        demand(run, scan.wrong == 0 && (!scan.made || scan.seen == model.count),
            "height %d: %u coins, %u of them wrong, should be %u", (int)scan.scan.tip->height,
            scan.seen, scan.wrong, scan.made ? model.count : 0);
        run->scans++;
    } else {
        demand(run, is_down(run), "a scan failed: %s", scan.why.detail);
    }
    if (scan.made)
        table_clear(&model);
}

static void check_settled(struct crash_run *run)
{
    demand(run, world_run_until(run->world, is_settled, run, SETTLE_LIMIT_US),
        "the node never settles");
    if (is_down(run))
        return;
    run->settled_lives++;
    const struct block_index *tip = ledger_tip(run->ledger);
    uint32_t place = place_of(run, &tip->id);
    demand(run, place != UINT32_MAX && !run->made[place].bad, "the tip is no valid block");
    demand(run, tip->height >= run->durable_height, "height %d, but %d was flushed",
        (int)tip->height, (int)run->durable_height);
    run->digest = run->digest * 31 + tip->id.b[0] + (uint64_t)tip->height;
}

/* ---- a life ---- */
static bool open_node(struct crash_run *run)
{
    struct fail why;
    run->fatal = false;
    run->lives++;
    run->ledger = ledger_open(&run->node->env, run->chain, &run->options, &why);
    demand(run, run->ledger != NULL || sim_disk_is_dead(run->node->disk), "it does not open: %s %s",
        why.code, why.detail);
    return run->ledger != NULL;
}

static void close_node(struct crash_run *run)
{
    run->stopped = false;
    ledger_stop(run->ledger, on_stopped, run);
    demand(run, world_run_until(run->world, is_stopped, run, SETTLE_LIMIT_US), "it never stops");
    ledger_free(run->ledger);
    run->ledger = NULL;
}

/* The process is gone at once: what the stop would still write reaches no disk. */
static void kill_node(struct crash_run *run)
{
    run->crashes++;
    sim_disk_die(run->node->disk);
    if (run->ledger != NULL)
        close_node(run);
    world_node_drain(run->node);
    world_node_forget(run->node);
    bool power_cut = !chance(run, 4);
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
        for (uint32_t i = 0; i < back + (chance(run, 3) ? 0 : 1); i++)
            at = make_block(run, at, false);
        offer_branch(run, at);
        run->head = best_made(run);
    } else if (what == 1) { /* a better branch with a bad block in it */
        uint32_t at = run->made[run->head].prev;
        for (int i = 0; i < 4; i++)
            at = make_block(run, at, i == 1);
        offer_branch(run, at);
    } else if (what <= 4) {
        struct flush_note *note = mem_new(sizeof *note);
        note->run = run;
        note->height = ledger_tip(run->ledger)->height;
        ledger_flush(run->ledger, (struct ledger_done){on_flushed, note});
    } else if (what == 5) {
        world_run_us(run->world, (int64_t)sim_random_below(&run->random, 20) * 1000000);
        take_effects(run);
        ledger_on_tick(run->ledger);
    } else {
        run->head = make_block(run, run->head, false);
        offer_branch(run, run->head);
    }
    step(run, 60);
}

static void live(struct crash_run *run)
{
    bool careful = chance(run, 2); /* looks at its coins before anything can go wrong */
    uint64_t last = 1 + sim_random_below(&run->random, chance(run, 3) ? 6 : OPS_MAX);
    bool error = chance(run, 10);
    if (!careful)
        sim_disk_die_at(run->node->disk, last);
    if (!open_node(run)) {
        run->open_crashes++;
        kill_node(run);
        return;
    }
    if (careful) {
        check_coins(run, false);
        if (error)
            sim_disk_fail_at(run->node->disk, last);
        else
            sim_disk_die_at(run->node->disk, last);
    } else {
        ledger_start(run->ledger);
    }
    take_effects(run);
    if (chance(run, 2))
        check_settled(run);
    while (!is_down(run) && !chance(run, 40)) {
        act(run);
        if (!is_down(run) && chance(run, 12))
            check_settled(run);
        if (!is_down(run) && chance(run, 12))
            check_coins(run, true);
    }
    if (error && careful && !sim_disk_is_dead(run->node->disk)) { /* an orderly end after an error */
        run->errors++;
        close_node(run);
        world_node_forget(run->node);
        sim_disk_restart(run->node->disk, false);
        return;
    }
    if (!is_down(run) && chance(run, 2)) { /* in the middle of an orderly stop, or right after it */
        sim_disk_die_at(run->node->disk, 1 + sim_random_below(&run->random, 8));
        close_node(run);
        run->stop_crashes += sim_disk_is_dead(run->node->disk);
    }
    kill_node(run);
}

static void end(struct crash_run *run)
{
    uint32_t best = best_made(run);
    demand(run, open_node(run), "it does not open at the end");
    ledger_start(run->ledger);
    offer_branch(run, best);
    check_settled(run);
    demand(run, ledger_tip(run->ledger)->height == run->made[best].height,
        "ends at height %d, best is %d", (int)ledger_tip(run->ledger)->height,
        (int)run->made[best].height);
    check_coins(run, true);
    struct block_id tip = ledger_tip(run->ledger)->id;
    close_node(run);
    demand(run, open_node(run), "it does not open after a clean stop");
    demand(run, block_id_equal(&ledger_tip(run->ledger)->id, &tip), "a clean stop lost the tip");
    check_coins(run, false);
    close_node(run);
}

static struct crash_run *run_seed(uint64_t seed)
{
    struct fail why;
    struct crash_run *run = mem_new(sizeof *run);
    run->seed = seed;
    run->random.state = seed * UINT64_C(0x9e3779b97f4a7c15);
    run->world = world_new(seed, START_MS);
    run->node = world_add_node(run->world);
    run->chain = chain_load("regtest", &why);
    demand(run, run->chain != NULL, "%s", why.detail);
    run->chain->coinbase_maturity = 2;
    run->options = (struct ledger_options){.dir = "data",
        .dbcache_b = 4u << 20,
        .workers = 2,
        .xor_blocks = seed % 2 == 0,
        .fastprune = true,
        .tip_age_max_s = 86400,
        .check_blocks = 6,
        .check_level = 3};
    world_set_delays(run->world, 1 + (int64_t)(seed % 3) * 2000, 1 + (int64_t)(seed % 5) * 500, 0);
    run->made[0] = (struct made){.block = run->chain->genesis};
    run->made_count = 1;
    while (run->crashes < CRASHES)
        live(run);
    end(run);
    run->digest += world_events(run->world) * 1000003;
    return run;
}

static void run_free(struct crash_run *run)
{
    for (uint32_t i = 1; i < run->made_count; i++)
        block_unref(run->made[i].block);
    world_free(run->world);
    chain_free(run->chain);
    mem_free(run);
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
        run_free(run);
        if (seed >= first + SEEDS_TWICE)
            continue;
        run = run_seed(seed);
        demand(run, run->digest == digest, "the same seed gave another run");
        run_free(run);
    }
    printf("sim_crash: %u crashes (%u power cuts, %u while opening, %u while stopping), %u disk errors, %u blocks, %u "
           "disconnected, settled %u times, coins compared %u times\n",
        crashes, cuts, opening, stopping, errors, blocks, back, settled, scans);
    return 0;
}
