/* What the crash simulations share: blocks of the test's own, a model of the coins that each branch must leave, one
 * node over them, and the checks that hold after any crash. The model is a replay of the branch by nothing but
 * "spend the inputs, add the outputs", so it shares no code with the ledger. A run that breaks a promise ends the
 * program with a line that names it. */
#include "crash.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coin/base/mem.h"
#include "coin/base/table.h"
#include "coin/script/script.h"
#include "maker.h"

#define START_MS (INT64_C(1700000000) * 1000)
#define TXS_MAX 8
#define COINS_MAX (1u << 20)

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

static void on_flushed(void *ctx, const struct fail *why);

struct crash_run *crash_new(uint64_t seed)
{
    struct fail why;
    struct crash_run *run = mem_new(sizeof *run);
    run->seed = seed;
    snprintf(run->name, sizeof run->name, "seed %llu", (unsigned long long)seed);
    run->chain = chain_load("regtest", &why);
    crash_demand(run, run->chain != NULL, "%s", why.detail);
    run->chain->coinbase_maturity = 2;
    run->options = (struct ledger_options){.dir = "data",
        .dbcache_b = 4u << 20,
        .workers = 2,
        .xor_blocks = seed % 2 == 0,
        .fastprune = true,
        .tip_age_max_s = 86400,
        .check_blocks = 6,
        .check_level = 3};
    run->made[0] = (struct made){.block = run->chain->genesis};
    run->made_count = 1;
    crash_begin(run);
    return run;
}

void crash_begin(struct crash_run *run)
{
    world_free(run->world);
    run->random.state = run->seed * UINT64_C(0x9e3779b97f4a7c15);
    run->world = world_new(run->seed, START_MS);
    run->node = world_add_node(run->world);
    run->durable_height = 0;
    world_set_delays(
        run->world, 1 + (int64_t)(run->seed % 3) * 2000, 1 + (int64_t)(run->seed % 5) * 500, 0);
}

void crash_free(struct crash_run *run)
{
    for (uint32_t i = 1; i < run->made_count; i++)
        block_unref(run->made[i].block);
    world_free(run->world);
    chain_free(run->chain);
    mem_free(run);
}

void crash_demand(struct crash_run *run, bool holds, const char *format, ...)
{
    if (holds)
        return;
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s, life %u: ", run->name, run->lives);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    exit(1);
}

bool crash_chance(struct crash_run *run, uint64_t one_in)
{
    return sim_random_below(&run->random, one_in) == 0;
}

/* ---- blocks ---- */
uint32_t crash_place(struct crash_run *run, const struct block_id *id)
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
    uint32_t *branch = mem_try_array(CRASH_BLOCKS_MAX, sizeof *branch);
    uint32_t length = 0;
    for (uint32_t at = place; at != 0; at = run->made[at].prev)
        branch[length++] = at;
    table_init(coins, sizeof(struct outpoint), sizeof(struct model_coin), COINS_MAX, key);
    while (length > 0) {
        const struct made *made = &run->made[branch[--length]];
        for (uint32_t t = 0; t < made->block->tx_count; t++) {
            const struct tx *tx = &made->block->txs[t];
            for (uint32_t i = 0; t > 0 && i < tx->in_count; i++)
                crash_demand(run, table_remove(coins, &tx->in[i].prevout), "the test spends no coin");
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
            coin->value_sat < 10 || !crash_chance(run, one_in))
            continue;
        struct outpoint from;
        memcpy(&from, key, sizeof from);
        txs[count++] = maker_spend(
            &from, 1, coin->value_sat, 1 + (uint32_t)sim_random_below(&run->random, 3));
        if (count < most && crash_chance(run, 2)) { /* and one within the block */
            struct outpoint inner = {txs[count - 1]->txid, 0};
            txs[count] = maker_spend(&inner, 1, txs[count - 1]->out[0].value_sat, 1);
            count++;
        }
    }
    table_clear(&coins);
    return count;
}

uint32_t crash_make_block(struct crash_run *run, uint32_t prev, bool bad)
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
    crash_demand(run, run->made_count < CRASH_BLOCKS_MAX, "the test made too many blocks");
    struct made *made = &run->made[run->made_count];
    made->block = maker_build(run->chain, &spec);
    made->prev = prev;
    made->height = parent->height + 1;
    made->bad = bad || parent->bad;
    for (uint32_t i = 0; i < count; i++)
        tx_unref(txs[i]);
    return run->made_count++;
}

uint32_t crash_best(const struct crash_run *run)
{
    uint32_t best = 0;
    for (uint32_t i = 0; i < run->made_count; i++)
        if (!run->made[i].bad && run->made[i].height > run->made[best].height)
            best = i;
    return best;
}

/* ---- the node ---- */
void crash_take_effects(struct crash_run *run)
{
    struct ledger_effect effect;
    while (run->ledger != NULL && ledger_next_effect(run->ledger, &effect)) {
        if (effect.kind == LEDGER_INVALID) {
            uint32_t place = crash_place(run, &effect.index->id);
            crash_demand(run, place != UINT32_MAX && run->made[place].bad, "a good block was called %s: %s",
                effect.why.code, effect.why.detail);
        }
        run->reorganised += effect.kind == LEDGER_DISCONNECTED;
        run->fatal = run->fatal || effect.kind == LEDGER_FATAL;
        crash_demand(run,
            effect.kind != LEDGER_FATAL || sim_disk_is_dead(run->node->disk) ||
                strstr(effect.why.detail, "simulated") != NULL,
            "fatal on a disk that works: %s", effect.why.detail);
        block_unref(effect.block);
    }
}

bool crash_is_down(const struct crash_run *run)
{
    return run->fatal || sim_disk_is_dead(run->node->disk);
}

static bool is_settled(void *ctx)
{
    struct crash_run *run = ctx;
    crash_take_effects(run);
    return crash_is_down(run) || ledger_is_settled(run->ledger);
}

static void on_stopped(void *ctx)
{
    ((struct crash_run *)ctx)->stopped = true;
}

static bool is_stopped(void *ctx)
{
    crash_take_effects(ctx);
    return ((struct crash_run *)ctx)->stopped;
}

static void on_verdict(
    void *ctx, enum block_outcome outcome, struct block_index *index, const struct fail *why)
{
    struct crash_run *run = ctx;
    (void)why;
    if (outcome != BLOCK_OUTCOME_CONNECTED)
        return;
    uint32_t place = crash_place(run, &index->id);
    crash_demand(run, place != UINT32_MAX && !run->made[place].bad, "a bad block was connected");
}

void crash_flush(struct crash_run *run)
{
    struct flush_note *note = mem_new(sizeof *note);
    note->run = run;
    note->height = ledger_tip(run->ledger)->height;
    ledger_flush(run->ledger, (struct ledger_done){on_flushed, note});
}

static void on_flushed(void *ctx, const struct fail *why)
{
    struct flush_note *note = ctx;
    if (why->kind == FAIL_NONE && note->height > note->run->durable_height)
        note->run->durable_height = note->height;
    mem_free(note);
}

void crash_step(struct crash_run *run, uint32_t most)
{
    for (uint64_t n = sim_random_below(&run->random, most); n > 0 && !crash_is_down(run); n--) {
        world_step(run->world);
        crash_take_effects(run);
    }
}

void crash_offer_branch(struct crash_run *run, uint32_t place)
{
    uint32_t lacking[CRASH_BLOCKS_MAX], count = 0;
    for (uint32_t at = place; at != 0; at = run->made[at].prev) {
        const struct block_index *index = ledger_find(run->ledger, &run->made[at].block->id);
        if (index == NULL || (index->status & BLOCK_HAVE_DATA) == 0)
            lacking[count++] = at;
    }
    while (count > 0 && !crash_is_down(run)) {
        struct buf raw;
        maker_raw(&raw, run->made[lacking[count - 1]].block);
        if (ledger_offer_block(run->ledger, &raw, true, (struct block_verdict){on_verdict, run}))
            count--;
        else
            crash_step(run, 4);
        buf_clear(&raw);
        crash_take_effects(run);
        if (crash_chance(run, 4))
            crash_step(run, 12);
    }
}

/* ---- checks ---- */
static bool scan_each(
    struct coins_scan *base, const struct outpoint *outpoint, const struct coin *coin)
{
    struct scan *scan = (struct scan *)base;
    struct crash_run *run = scan->run;
    if (!scan->made) { /* jobs run between the loop's steps here: one thread */
        uint32_t place = crash_place(run, &base->tip->id);
        crash_demand(run, place != UINT32_MAX && !run->made[place].bad, "the tip is no valid block");
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
    crash_take_effects(scan->run);
    return scan->done;
}

void crash_check_coins(struct crash_run *run, bool started)
{
    struct table model = {0};
    struct scan scan = {
        .scan = {.each = scan_each, .done = scan_done}, .run = run, .model = &model};
    struct block_index *loaded = ledger_tip(run->ledger);
    if (!ledger_scan_coins(run->ledger, &scan.scan))
        return;
    if (!started)
        ledger_start(run->ledger);
    crash_demand(run, world_run_until(run->world, scan_is_done, &scan, CRASH_SETTLE_US),
        "a scan never ends");
    if (scan.why.kind == FAIL_NONE) {
        crash_demand(run, started || scan.scan.tip == loaded, "the tip moved on before it was looked at");
        crash_demand(run, scan.made || scan.scan.tip->height == 0, "no coins at height %d",
            (int)scan.scan.tip->height);
        crash_demand(run, scan.wrong == 0 && (!scan.made || scan.seen == model.count),
            "height %d: %u coins, %u of them wrong, should be %u", (int)scan.scan.tip->height,
            scan.seen, scan.wrong, scan.made ? model.count : 0);
        run->scans++;
    } else {
        crash_demand(run, crash_is_down(run), "a scan failed: %s", scan.why.detail);
    }
    if (scan.made)
        table_clear(&model);
}

void crash_check_settled(struct crash_run *run)
{
    crash_demand(run, world_run_until(run->world, is_settled, run, CRASH_SETTLE_US),
        "the node never settles");
    if (crash_is_down(run))
        return;
    run->settled_lives++;
    const struct block_index *tip = ledger_tip(run->ledger);
    uint32_t place = crash_place(run, &tip->id);
    crash_demand(run, place != UINT32_MAX && !run->made[place].bad, "the tip is no valid block");
    crash_demand(run, tip->height >= run->durable_height, "height %d, but %d was flushed",
        (int)tip->height, (int)run->durable_height);
    run->digest = run->digest * 31 + tip->id.b[0] + (uint64_t)tip->height;
}

/* ---- a life ---- */
bool crash_open(struct crash_run *run)
{
    struct fail why;
    run->fatal = false;
    run->lives++;
    run->ledger = ledger_open(&run->node->env, run->chain, &run->options, &why);
    crash_demand(run,
        run->ledger != NULL || sim_disk_is_dead(run->node->disk) ||
            (run->may_fail_to_open && strstr(why.detail, "simulated") != NULL),
        "it does not open: %s %s", why.code, why.detail);
    return run->ledger != NULL;
}

void crash_close(struct crash_run *run)
{
    run->stopped = false;
    ledger_stop(run->ledger, on_stopped, run);
    crash_demand(run, world_run_until(run->world, is_stopped, run, CRASH_SETTLE_US), "it never stops");
    ledger_free(run->ledger);
    run->ledger = NULL;
}

void crash_wreck(struct crash_run *run)
{
    sim_disk_die(run->node->disk);
    if (run->ledger != NULL)
        crash_close(run);
    world_node_drain(run->node);
    world_node_forget(run->node);
}
