/* ledger_rig.h - what the tests of the ledger share: one node's ledger in a simulated world, blocks made for
 * it, and a naive model that replays its branch. Owner: the test. Thread: one. */
#ifndef COIN_UNIT_LEDGER_RIG_H
#define COIN_UNIT_LEDGER_RIG_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../sim/maker.h"
#include "../sim/world.h"
#include "coin/base/mem.h"
#include "coin/consensus/check.h"
#include "coin/ledger/ledger.h"
#include "coin/script/interpreter.h"
#include "coin/script/script.h"

#define SETTLE_LIMIT_US (INT64_C(3600) * 1000000)
#define START_MS (INT64_C(1700000000) * 1000)
#define KNOWN_MAX 4000

struct rig { /* one node's ledger in a world, and every block the test made */
    struct world *world;
    struct world_node *node;
    struct chain *chain;
    struct ledger *ledger;
    struct ledger_options options;
    struct block *blocks[KNOWN_MAX];
    int32_t heights[KNOWN_MAX];
    uint32_t count, salt;
    uint32_t connected, disconnected, tips, invalid, fatal, seen, idle;
    char fatal_text[400], invalid_code[FAIL_CODE_SIZE_B];
    struct block_index *invalid_index;
    bool stopped;
};
struct verdict {
    uint32_t calls;
    enum block_outcome outcome;
    struct block_index *index;
    struct fail why;
};

static inline void drain(struct rig *rig)
{
    struct ledger_effect effect;
    while (rig->ledger != NULL && ledger_next_effect(rig->ledger, &effect)) {
        rig->connected += effect.kind == LEDGER_CONNECTED;
        rig->disconnected += effect.kind == LEDGER_DISCONNECTED;
        rig->tips += effect.kind == LEDGER_TIP;
        if (effect.kind == LEDGER_INVALID) {
            rig->invalid++;
            rig->invalid_index = effect.index;
            snprintf(rig->invalid_code, sizeof rig->invalid_code, "%s", effect.why.code);
        }
        rig->seen += effect.kind == LEDGER_BLOCK_SEEN;
        rig->idle += effect.kind == LEDGER_IDLE;
        if (effect.kind == LEDGER_FATAL) {
            rig->fatal++;
            snprintf(rig->fatal_text, sizeof rig->fatal_text, "%s", effect.why.detail);
        }
        block_unref(effect.block);
    }
}

static inline void rig_open(struct rig *rig)
{
    struct fail why;
    rig->ledger = ledger_open(&rig->node->env, rig->chain, &rig->options, &why);
    ck_assert_msg(rig->ledger != NULL, "%s", why.detail);
    ledger_start(rig->ledger);
}

static inline void rig_prepare(struct rig *rig, uint64_t seed)
{
    struct fail why;
    memset(rig, 0, sizeof *rig);
    rig->world = world_new(seed, START_MS);
    rig->node = world_add_node(rig->world);
    rig->chain = chain_load("regtest", &why);
    ck_assert_msg(rig->chain != NULL, "%s", why.detail);
    rig->chain->coinbase_maturity = 2;
    rig->options = (struct ledger_options){.dir = "data",
        .dbcache_b = 8u << 20,
        .workers = 2,
        .xor_blocks = true,
        .fastprune = true,
        .tip_age_max_s = 86400,
        .check_blocks = 6,
        .check_level = 3};
}

static inline void rig_init(struct rig *rig, uint64_t seed)
{
    rig_prepare(rig, seed);
    rig_open(rig);
}

static inline bool is_settled(void *ctx)
{
    struct rig *rig = ctx;
    drain(rig);
    return ledger_is_settled(rig->ledger) || rig->fatal > 0;
}

static inline void settle(struct rig *rig)
{
    ck_assert(world_run_until(rig->world, is_settled, rig, SETTLE_LIMIT_US));
}

static inline void on_stopped(void *ctx)
{
    ((struct rig *)ctx)->stopped = true;
}

static inline bool is_stopped(void *ctx)
{
    drain(ctx);
    return ((struct rig *)ctx)->stopped;
}

static inline void rig_stop(struct rig *rig)
{
    rig->stopped = false;
    ledger_stop(rig->ledger, on_stopped, rig);
    ck_assert(world_run_until(rig->world, is_stopped, rig, SETTLE_LIMIT_US));
    drain(rig);
    ledger_free(rig->ledger);
    rig->ledger = NULL;
}

static inline void rig_clear(struct rig *rig)
{
    if (rig->ledger != NULL)
        rig_stop(rig);
    for (uint32_t i = 0; i < rig->count; i++)
        block_unref(rig->blocks[i]);
    world_free(rig->world);
    chain_free(rig->chain);
}

static inline void on_verdict(
    void *ctx, enum block_outcome outcome, struct block_index *index, const struct fail *why)
{
    struct verdict *verdict = ctx;
    verdict->calls++;
    verdict->outcome = outcome;
    verdict->index = index;
    verdict->why = *why;
}

/* The block is the rig's. */
static inline struct block *build_full(struct rig *rig, const struct block *prev, int32_t height,
    struct tx *const *txs, uint32_t tx_count, int64_t fees_sat, int64_t extra_sat)
{
    struct maker_block spec = {.prev = prev->id,
        .height = height,
        .time_s = prev->header.time_s + 1,
        .bits = prev->header.bits,
        .txs = txs,
        .tx_count = tx_count,
        .fees_sat = fees_sat,
        .extra_sat = extra_sat,
        .salt = ++rig->salt};
    struct block *block = maker_build(rig->chain, &spec);
    ck_assert_uint_lt(rig->count, KNOWN_MAX);
    rig->heights[rig->count] = height;
    rig->blocks[rig->count++] = block;
    return block;
}

static inline int32_t height_of(struct rig *rig, const struct block *block)
{
    for (uint32_t i = 0; i < rig->count; i++)
        if (rig->blocks[i] == block)
            return rig->heights[i];
    return 0;
}

static inline struct block *build(struct rig *rig, const struct block *prev)
{
    return build_full(rig, prev, height_of(rig, prev) + 1, NULL, 0, 0, 0);
}

static inline void offer(struct rig *rig, const struct block *block, struct verdict *verdict)
{
    static struct verdict unheard;
    struct block_verdict call = {on_verdict, verdict != NULL ? verdict : &unheard};
    struct buf raw;
    if (verdict != NULL)
        memset(verdict, 0, sizeof *verdict);
    maker_raw(&raw, block);
    while (!ledger_offer_block(rig->ledger, &raw, true, call)) {
        drain(rig); /* verdicts follow the effects */
        ck_assert(world_step(rig->world) || ledger_is_settled(rig->ledger));
    }
    buf_clear(&raw);
}

static inline struct verdict offer_and_settle(struct rig *rig, const struct block *block)
{
    struct verdict verdict;
    offer(rig, block, &verdict);
    ck_assert_uint_eq(verdict.calls, 0); /* never from inside the offer */
    settle(rig);
    ck_assert_uint_eq(verdict.calls, 1);
    return verdict;
}

static inline struct block *extend(struct rig *rig, struct block *prev, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        prev = build(rig, prev);
        offer(rig, prev, NULL);
    }
    settle(rig);
    return prev;
}

static inline void expect_tip(struct rig *rig, const struct block *block)
{
    struct block_index *tip = ledger_tip(rig->ledger);
    ck_assert_msg(block_id_equal(&tip->id, &block->id), "tip is at height %d, expected %d",
        (int)tip->height, (int)height_of(rig, block));
}

/* ---- the model ---- */
struct model_coin {
    struct outpoint outpoint;
    int64_t value_sat;
    int32_t height;
    bool is_coinbase;
};
struct model {
    struct model_coin *coins;
    uint32_t count, capacity;
};

static inline void model_remove(struct model *model, const struct outpoint *outpoint)
{
    for (uint32_t i = 0; i < model->count; i++)
        if (outpoint_equal(&model->coins[i].outpoint, outpoint)) {
            model->coins[i] = model->coins[--model->count];
            return;
        }
    ck_abort_msg("the model lacks a spent coin");
}

/* Replays the branch that ends in the ledger's tip, from the test's own blocks. */
static inline void model_make(struct rig *rig, struct model *model)
{
    const struct block *branch[KNOWN_MAX];
    uint32_t length = 0;
    for (struct block_index *at = ledger_tip(rig->ledger); at->prev != NULL; at = at->prev) {
        const struct block *found = NULL;
        for (uint32_t i = 0; i < rig->count && found == NULL; i++)
            if (block_id_equal(&rig->blocks[i]->id, &at->id))
                found = rig->blocks[i];
        ck_assert_ptr_nonnull(found);
        branch[length++] = found;
    }
    memset(model, 0, sizeof *model);
    for (int32_t height = 1; length > 0; height++) {
        const struct block *block = branch[--length];
        for (uint32_t t = 0; t < block->tx_count; t++) {
            const struct tx *tx = &block->txs[t];
            for (uint32_t i = 0; t > 0 && i < tx->in_count; i++)
                model_remove(model, &tx->in[i].prevout);
            for (uint32_t i = 0; i < tx->out_count; i++) {
                if (script_is_unspendable(tx->out[i].script))
                    continue;
                ck_assert(mem_try_grow(&model->coins, &model->capacity, model->count + 1, 1u << 20,
                    sizeof *model->coins));
                model->coins[model->count++] =
                    (struct model_coin){{tx->txid, i}, tx->out[i].value_sat, height, t == 0};
            }
        }
    }
}

struct scan {
    struct coins_scan scan;
    const struct model *model;
    uint32_t seen, wrong;
    bool done;
    struct fail why;
};

static inline bool scan_each(
    struct coins_scan *base, const struct outpoint *outpoint, const struct coin *coin)
{
    struct scan *scan = (struct scan *)base;
    scan->seen++;
    bool right = false;
    for (uint32_t i = 0; i < scan->model->count && !right; i++) {
        const struct model_coin *m = &scan->model->coins[i];
        right = outpoint_equal(&m->outpoint, outpoint) && m->value_sat == coin->value_sat &&
                m->height == coin->height && m->is_coinbase == coin->is_coinbase &&
                coin->script.size_b == 1 && coin->script.data[0] == OP_1;
    }
    scan->wrong += !right;
    return true;
}

static inline void scan_done(struct coins_scan *base, const struct fail *why)
{
    struct scan *scan = (struct scan *)base;
    scan->done = true;
    scan->why = *why;
}

static inline bool scan_is_done(void *ctx)
{
    return ((struct scan *)ctx)->done;
}

/* The store, after a flush, holds the model's coins, all and no others. */
static inline void expect_coins(struct rig *rig)
{
    struct model model;
    model_make(rig, &model);
    struct scan scan = {.scan = {.each = scan_each, .done = scan_done}, .model = &model};
    ck_assert(ledger_scan_coins(rig->ledger, &scan.scan));
    ck_assert(world_run_until(rig->world, scan_is_done, &scan, SETTLE_LIMIT_US));
    ck_assert_msg(scan.why.kind == FAIL_NONE, "%s %s", scan.why.code, scan.why.detail);
    ck_assert_ptr_eq(scan.scan.tip, ledger_tip(rig->ledger));
    ck_assert_uint_eq(scan.wrong, 0);
    ck_assert_uint_eq(scan.seen, model.count);
    mem_free(model.coins);
}

/* ---- asking for coins ---- */
struct ask {
    struct coins_request request;
    bool done;
    struct fail why;
};

static inline void ask_done(struct coins_request *request, const struct fail *why)
{
    struct ask *ask = (struct ask *)request;
    ask->done = true;
    ask->why = *why;
}

static inline bool ask_is_done(void *ctx)
{
    return ((struct ask *)ctx)->done;
}

static inline bool has_coin(struct rig *rig, const struct outpoint *outpoint)
{
    struct coin coin;
    bool found = false;
    struct ask ask = {
        .request = {
            .outpoints = outpoint, .count = 1, .coins = &coin, .found = &found, .done = ask_done}};
    enum coins_answer answer = ledger_coins(rig->ledger, &ask.request);
    ck_assert_int_ne(answer, COINS_REFUSED);
    if (answer == COINS_PENDING) {
        ck_assert(!ask.done);
        ck_assert(world_run_until(rig->world, ask_is_done, &ask, SETTLE_LIMIT_US));
        ck_assert_int_eq(ask.why.kind, FAIL_NONE);
    }
    ck_assert_uint_eq(ask.request.tip_sequence, ledger_tip_sequence(rig->ledger));
    arena_clear(&ask.request.arena);
    return found;
}

static inline struct outpoint coinbase_of(const struct block *block)
{
    return (struct outpoint){block->txs[0].txid, 0};
}

static inline struct tx *spend_of(const struct block *block, int64_t fee_sat, uint32_t outputs)
{
    struct outpoint from = coinbase_of(block);
    return maker_spend(&from, 1, block->txs[0].out[0].value_sat - fee_sat, outputs);
}

#endif
