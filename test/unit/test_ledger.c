/* Proves that the ledger follows the branch with most work and keeps exactly its coins: connecting,
 * reorganising, refusing, overriding, restarting, against a naive model that replays the branch. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../sim/maker.h"
#include "../sim/world.h"
#include "coin/base/mem.h"
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

static void drain(struct rig *rig)
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

static void rig_open(struct rig *rig)
{
    struct fail why;
    rig->ledger = ledger_open(&rig->node->env, rig->chain, &rig->options, &why);
    ck_assert_msg(rig->ledger != NULL, "%s", why.detail);
    ledger_start(rig->ledger);
}

static void rig_init(struct rig *rig, uint64_t seed)
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
    rig_open(rig);
}

static bool is_settled(void *ctx)
{
    struct rig *rig = ctx;
    drain(rig);
    return ledger_is_settled(rig->ledger) || rig->fatal > 0;
}

static void settle(struct rig *rig)
{
    ck_assert(world_run_until(rig->world, is_settled, rig, SETTLE_LIMIT_US));
}

static void on_stopped(void *ctx)
{
    ((struct rig *)ctx)->stopped = true;
}

static bool is_stopped(void *ctx)
{
    drain(ctx);
    return ((struct rig *)ctx)->stopped;
}

static void rig_stop(struct rig *rig)
{
    rig->stopped = false;
    ledger_stop(rig->ledger, on_stopped, rig);
    ck_assert(world_run_until(rig->world, is_stopped, rig, SETTLE_LIMIT_US));
    drain(rig);
    ledger_free(rig->ledger);
    rig->ledger = NULL;
}

static void rig_clear(struct rig *rig)
{
    if (rig->ledger != NULL)
        rig_stop(rig);
    for (uint32_t i = 0; i < rig->count; i++)
        block_unref(rig->blocks[i]);
    world_free(rig->world);
    chain_free(rig->chain);
}

static void on_verdict(
    void *ctx, enum block_outcome outcome, struct block_index *index, const struct fail *why)
{
    struct verdict *verdict = ctx;
    verdict->calls++;
    verdict->outcome = outcome;
    verdict->index = index;
    verdict->why = *why;
}

/* The block is the rig's. */
static struct block *build_full(struct rig *rig, const struct block *prev, int32_t height,
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

static int32_t height_of(struct rig *rig, const struct block *block)
{
    for (uint32_t i = 0; i < rig->count; i++)
        if (rig->blocks[i] == block)
            return rig->heights[i];
    return 0;
}

static struct block *build(struct rig *rig, const struct block *prev)
{
    return build_full(rig, prev, height_of(rig, prev) + 1, NULL, 0, 0, 0);
}

static void offer(struct rig *rig, const struct block *block, struct verdict *verdict)
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

static struct verdict offer_and_settle(struct rig *rig, const struct block *block)
{
    struct verdict verdict;
    offer(rig, block, &verdict);
    ck_assert_uint_eq(verdict.calls, 0); /* never from inside the offer */
    settle(rig);
    ck_assert_uint_eq(verdict.calls, 1);
    return verdict;
}

static struct block *extend(struct rig *rig, struct block *prev, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        prev = build(rig, prev);
        offer(rig, prev, NULL);
    }
    settle(rig);
    return prev;
}

static void expect_tip(struct rig *rig, const struct block *block)
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

static void model_remove(struct model *model, const struct outpoint *outpoint)
{
    for (uint32_t i = 0; i < model->count; i++)
        if (outpoint_equal(&model->coins[i].outpoint, outpoint)) {
            model->coins[i] = model->coins[--model->count];
            return;
        }
    ck_abort_msg("the model lacks a spent coin");
}

/* Replays the branch that ends in the ledger's tip, from the test's own blocks. */
static void model_make(struct rig *rig, struct model *model)
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

static bool scan_each(
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

static void scan_done(struct coins_scan *base, const struct fail *why)
{
    struct scan *scan = (struct scan *)base;
    scan->done = true;
    scan->why = *why;
}

static bool scan_is_done(void *ctx)
{
    return ((struct scan *)ctx)->done;
}

/* The store, after a flush, holds the model's coins, all and no others. */
static void expect_coins(struct rig *rig)
{
    struct model model;
    model_make(rig, &model);
    struct scan scan = {.scan = {.each = scan_each, .done = scan_done}, .model = &model};
    ck_assert(ledger_scan_coins(rig->ledger, &scan.scan));
    ck_assert(world_run_until(rig->world, scan_is_done, &scan, SETTLE_LIMIT_US));
    ck_assert_int_eq(scan.why.kind, FAIL_NONE);
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

static void ask_done(struct coins_request *request, const struct fail *why)
{
    struct ask *ask = (struct ask *)request;
    ask->done = true;
    ask->why = *why;
}

static bool ask_is_done(void *ctx)
{
    return ((struct ask *)ctx)->done;
}

static bool has_coin(struct rig *rig, const struct outpoint *outpoint)
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

static struct outpoint coinbase_of(const struct block *block)
{
    return (struct outpoint){block->txs[0].txid, 0};
}

/* ---- tests ---- */
START_TEST(connects_and_restarts)
{
    struct rig rig;
    rig_init(&rig, 1);
    struct block *tip = extend(&rig, rig.chain->genesis, 120);
    expect_tip(&rig, tip);
    ck_assert_uint_eq(rig.connected, 120);
    ck_assert_uint_eq(rig.disconnected, 0);
    ck_assert_uint_ge(rig.tips, 1);
    struct outpoint mine = coinbase_of(tip);
    ck_assert(has_coin(&rig, &mine));
    mine.index = 7;
    ck_assert(!has_coin(&rig, &mine));
    expect_coins(&rig);
    ck_assert_ptr_eq(ledger_at(rig.ledger, 120), ledger_tip(rig.ledger));
    ck_assert_uint_eq(ledger_tip(rig.ledger)->chain_tx_count, 121);
    rig_stop(&rig);
    rig_open(&rig);
    expect_tip(&rig, tip); /* at once, from what was flushed */
    settle(&rig);
    expect_coins(&rig);
    tip = extend(&rig, tip, 3);
    expect_tip(&rig, tip);
    rig_clear(&rig);
}
END_TEST

START_TEST(reorganises)
{
    static const uint32_t depths[] = {1, 3, 101};
    struct rig rig;
    rig_init(&rig, (uint64_t)_i + 2);
    struct block *fork = extend(&rig, rig.chain->genesis, 10);
    struct block *first = extend(&rig, fork, depths[_i]);
    struct block *other = extend(&rig, fork, depths[_i]);
    expect_tip(&rig, first); /* equal work: the first seen stays */
    ck_assert_uint_eq(rig.disconnected, 0);
    rig.tips = 0;
    other = extend(&rig, other, 1);
    expect_tip(&rig, other);
    ck_assert_uint_eq(rig.disconnected, depths[_i]);
    ck_assert_uint_eq(rig.tips, 1); /* one run, one tip */
    expect_coins(&rig);
    first = extend(&rig, first, 2);
    expect_tip(&rig, first);
    expect_coins(&rig);
    rig_stop(&rig);
    rig_open(&rig);
    settle(&rig);
    expect_tip(&rig, first);
    expect_coins(&rig);
    rig_clear(&rig);
}
END_TEST

START_TEST(blocks_out_of_order)
{
    struct rig rig;
    rig_init(&rig, 9);
    struct block *chain[60];
    struct block *prev = rig.chain->genesis;
    struct header headers[60];
    for (uint32_t i = 0; i < 60; i++) {
        prev = chain[i] = build(&rig, prev);
        headers[i] = prev->header;
    }
    struct verdict orphan = offer_and_settle(&rig, chain[59]);
    ck_assert_int_eq(orphan.outcome, BLOCK_OUTCOME_REFUSED);
    ck_assert_int_eq(orphan.why.kind, FAIL_TOO_EARLY);
    ck_assert_str_eq(orphan.why.code, "prev-blk-not-found");
    struct block_index *last = NULL;
    uint32_t accepted = 0;
    struct fail why;
    ck_assert(ledger_accept_headers(rig.ledger, headers, 60, &last, &accepted, &why));
    ck_assert_uint_eq(accepted, 60);
    ck_assert_int_eq(last->height, 60);
    ck_assert_ptr_eq(ledger_best_header(rig.ledger), last);
    for (uint32_t i = 60; i-- > 0;)
        offer(&rig, chain[i], NULL);
    settle(&rig);
    expect_tip(&rig, chain[59]);
    struct verdict again = offer_and_settle(&rig, chain[30]);
    ck_assert_int_eq(again.outcome, BLOCK_OUTCOME_DUPLICATE);
    expect_coins(&rig);
    rig_clear(&rig);
}
END_TEST

START_TEST(invalid_block_in_a_better_branch)
{
    struct rig rig;
    rig_init(&rig, 11);
    struct block *fork = extend(&rig, rig.chain->genesis, 10);
    struct block *good = extend(&rig, fork, 4);
    struct block *b1 = build(&rig, fork);
    struct block *b2 = build(&rig, b1);
    struct block *bad = build_full(&rig, b2, height_of(&rig, b2) + 1, NULL, 0, 0, 1);
    struct block *b4 = build(&rig, bad);
    struct block *b5 = build(&rig, b4);
    struct block *parts[] = {b1, b2, bad, b4, b5};
    struct verdict verdicts[5];
    for (int i = 0; i < 5; i++)
        offer(&rig, parts[i], &verdicts[i]);
    settle(&rig);
    expect_tip(&rig, good);
    for (int i = 0; i < 5; i++)
        ck_assert_uint_eq(verdicts[i].calls, 1);
    /* Behind the tip when it came, it was stored unjudged; the branch's end made us look. */
    ck_assert_int_eq(verdicts[2].outcome, BLOCK_OUTCOME_STORED);
    ck_assert_str_eq(rig.invalid_code, "bad-cb-amount");
    ck_assert_ptr_eq(rig.invalid_index, ledger_find(rig.ledger, &bad->id));
    ck_assert_int_eq(verdicts[4].outcome, BLOCK_OUTCOME_REFUSED);
    ck_assert_str_eq(verdicts[4].why.code, "bad-prevblk");
    ck_assert_uint_eq(ledger_find(rig.ledger, &bad->id)->status & BLOCK_FAILED, BLOCK_FAILED);
    ck_assert_uint_eq(
        ledger_find(rig.ledger, &b5->id)->status & BLOCK_FAILED_PARENT, BLOCK_FAILED_PARENT);
    ck_assert_uint_eq(
        ledger_find(rig.ledger, &b2->id)->status & (BLOCK_FAILED | BLOCK_FAILED_PARENT), 0);
    ck_assert_uint_ge(rig.invalid, 1);
    ck_assert_int_le(ledger_best_header(rig.ledger)->height, 14);
    expect_coins(&rig);
    struct verdict child = offer_and_settle(&rig, build(&rig, b5));
    ck_assert_int_eq(child.outcome, BLOCK_OUTCOME_REFUSED);
    ck_assert_int_eq(child.why.kind, FAIL_INVALID);
    rig_stop(&rig); /* the mark survives */
    rig_open(&rig);
    settle(&rig);
    expect_tip(&rig, good);
    struct verdict duplicate = offer_and_settle(&rig, bad);
    ck_assert_int_eq(duplicate.outcome, BLOCK_OUTCOME_DUPLICATE);
    ck_assert_str_eq(duplicate.why.code, "duplicate-invalid");
    rig_clear(&rig);
}
END_TEST

static void on_manual(void *ctx, const struct fail *why)
{
    struct verdict *verdict = ctx;
    verdict->calls++;
    verdict->why = *why;
}

static void manual(struct rig *rig,
    void (*call)(struct ledger *, struct block_index *, struct ledger_done),
    const struct block *block)
{
    struct verdict verdict = {0};
    call(rig->ledger, ledger_find(rig->ledger, &block->id),
        (struct ledger_done){on_manual, &verdict});
    settle(rig);
    ck_assert_uint_eq(verdict.calls, 1);
    ck_assert_int_eq(verdict.why.kind, FAIL_NONE);
}

START_TEST(manual_overrides)
{
    struct rig rig;
    rig_init(&rig, 12);
    struct block *fork = extend(&rig, rig.chain->genesis, 5);
    struct block *a1 = extend(&rig, fork, 1), *a = extend(&rig, a1, 7);
    struct block *b = extend(&rig, fork, 8);
    expect_tip(&rig, a);
    manual(&rig, ledger_precious, b);
    expect_tip(&rig, b);
    expect_coins(&rig);
    manual(&rig, ledger_precious, a);
    expect_tip(&rig, a);
    manual(&rig, ledger_invalidate, a1);
    expect_tip(&rig, b);
    expect_coins(&rig);
    b = extend(&rig, b, 1);
    manual(&rig, ledger_reconsider, a);
    expect_tip(&rig, b); /* valid again, but behind */
    a = extend(&rig, a, 2);
    expect_tip(&rig, a);
    expect_coins(&rig);
    manual(&rig, ledger_invalidate, fork);
    ck_assert_int_eq(ledger_tip(rig.ledger)->height, 4);
    manual(&rig, ledger_reconsider, fork);
    expect_tip(&rig, a);
    struct verdict genesis = {0};
    ledger_invalidate(
        rig.ledger, ledger_genesis(rig.ledger), (struct ledger_done){on_manual, &genesis});
    settle(&rig);
    ck_assert_uint_eq(genesis.calls, 1);
    ck_assert_int_eq(genesis.why.kind, FAIL_REQUEST);
    expect_tip(&rig, a);
    rig_clear(&rig);
}
END_TEST

/* ---- rules at the ledger's level ---- */
static struct tx *spend_of(const struct block *block, int64_t fee_sat, uint32_t outputs)
{
    struct outpoint from = coinbase_of(block);
    return maker_spend(&from, 1, block->txs[0].out[0].value_sat - fee_sat, outputs);
}

START_TEST(refusals)
{
    struct rig rig;
    rig_init(&rig, 13);
    struct block *one = extend(&rig, rig.chain->genesis, 1);
    struct block *tip = extend(&rig, one, 9);
    int32_t next = 11;
    struct tx *good = spend_of(one, 1000, 2);
    struct tx *immature = spend_of(tip, 0, 1);
    struct tx *twice = spend_of(one, 5, 1);
    struct outpoint nowhere = {.index = 3};
    struct tx *missing = maker_spend(&nowhere, 1, 5, 1);
    struct tx *generous = spend_of(one, -1, 1);
    struct outpoint child_of = {good->txid, 1};
    struct tx *child = maker_spend(&child_of, 1, good->out[1].value_sat, 1);
    struct {
        struct tx *txs[2];
        uint32_t count;
        int64_t extra_sat;
        const char *code;
    } rows[] = {
        {{immature}, 1, 0, "bad-txns-premature-spend-of-coinbase"},
        {{good, twice}, 2, 0, "bad-txns-inputs-missingorspent"},
        {{missing}, 1, 0, "bad-txns-inputs-missingorspent"},
        {{generous}, 1, 0, "bad-txns-in-belowout"},
        {{child, good}, 2, 0, "bad-txns-inputs-missingorspent"}, /* the child before its parent */
        {{good}, 1, 1001, "bad-cb-amount"},
        {{good, child}, 2, 1000, NULL}, /* exactly subsidy and fee */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct block *block =
            build_full(&rig, tip, next, rows[i].txs, rows[i].count, 0, rows[i].extra_sat);
        struct verdict v = {0};
        ck_assert(ledger_test_block(rig.ledger, block, (struct block_verdict){on_verdict, &v}));
        settle(&rig);
        ck_assert_uint_eq(v.calls, 1); /* the proposal says the same, and leaves nothing behind */
        ck_assert_str_eq(v.why.code, rows[i].code != NULL ? rows[i].code : "");
        ck_assert_int_eq(
            v.outcome, rows[i].code != NULL ? BLOCK_OUTCOME_REFUSED : BLOCK_OUTCOME_CONNECTED);
        expect_tip(&rig, tip);
        ck_assert_ptr_null(ledger_find(rig.ledger, &block->id));
        v = offer_and_settle(&rig, block);
        ck_assert_str_eq(v.why.code, rows[i].code != NULL ? rows[i].code : "");
        ck_assert_int_eq(
            v.outcome, rows[i].code != NULL ? BLOCK_OUTCOME_REFUSED : BLOCK_OUTCOME_CONNECTED);
        expect_coins(&rig);
    }
    struct tx *const made[] = {good, immature, twice, missing, generous, child};
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        tx_unref(made[i]);
    rig_clear(&rig);
}
END_TEST

/* A script that fails is found by a job, after the block and blocks above it were applied. */
START_TEST(failing_scripts)
{
    struct rig rig;
    rig_init(&rig, 14);
    struct block *fork = extend(&rig, rig.chain->genesis, 3);
    static const uint8_t never[] = {OP_0};
    struct maker_block spec = {.prev = fork->id,
        .height = 4,
        .time_s = fork->header.time_s + 1,
        .bits = fork->header.bits,
        .salt = 4000,
        .script = {never, 1}};
    struct block *locked = maker_build(rig.chain, &spec);
    rig.heights[rig.count] = 4;
    rig.blocks[rig.count++] = locked;
    struct verdict v = offer_and_settle(&rig, locked);
    ck_assert_int_eq(v.outcome, BLOCK_OUTCOME_CONNECTED);
    struct block *base = extend(&rig, locked, 2);
    struct outpoint from = coinbase_of(locked);
    struct tx *thief = maker_spend(&from, 1, 100, 1);
    struct block *bad = build_full(&rig, base, 7, &thief, 1, 0, 0);
    struct block *above = build(&rig, bad);
    struct verdict first, second;
    offer(&rig, bad, &first);
    offer(&rig, above, &second);
    settle(&rig);
    ck_assert_str_eq(first.why.code, "block-script-verify-flag-failed (Script evaluated without "
                                     "error but finished with a false/empty top stack element)");
    ck_assert_int_eq(second.outcome, BLOCK_OUTCOME_REFUSED);
    expect_tip(&rig, base);
    ck_assert(has_coin(&rig, &from));
    struct coin spent = {.value_sat = 100, .script = {never, 1}};
    struct script_check check;
    script_check_init(&check, thief, &spent, SCRIPT_VERIFY_P2SH, NULL);
    check.job.run(&check.job);
    ck_assert(!check.ok);
    ck_assert_int_eq(check.error, SCRIPT_ERR_EVAL_FALSE);
    /* A verdict that is known is not asked for again: with it, the same block would pass. */
    ck_assert(!ledger_verdict_known(rig.ledger, &thief->wtxid));
    ledger_verdict_add(rig.ledger, &thief->wtxid);
    ck_assert(ledger_verdict_known(rig.ledger, &thief->wtxid));
    struct block *other = build_full(&rig, base, 7, &thief, 1, 0, 0);
    v = offer_and_settle(&rig, other);
    ck_assert_int_eq(v.outcome, BLOCK_OUTCOME_CONNECTED);
    tx_unref(thief);
    rig_clear(&rig);
}
END_TEST

START_TEST(mutated_blocks_are_not_remembered)
{
    struct rig rig;
    rig_init(&rig, 15);
    struct block *tip = extend(&rig, rig.chain->genesis, 1);
    struct block *before = tip;
    tip = extend(&rig, tip, 5);
    struct tx *tx = spend_of(before, 0, 1);
    struct block *block = build_full(&rig, tip, 7, &tx, 1, 0, 0);
    struct buf raw;
    maker_raw(&raw, block);
    raw.data[raw.size_b - 1] ^=
        1; /* the last transaction's lock time: another txid, so another root */
    struct verdict v = {0};
    ck_assert(ledger_offer_block(rig.ledger, &raw, true, (struct block_verdict){on_verdict, &v}));
    buf_clear(&raw);
    settle(&rig);
    ck_assert_int_eq(v.outcome, BLOCK_OUTCOME_REFUSED);
    ck_assert_int_eq(v.why.kind, FAIL_MUTATED);
    expect_tip(&rig, tip);
    v = offer_and_settle(&rig, block); /* the true one is as welcome as ever */
    ck_assert_int_eq(v.outcome, BLOCK_OUTCOME_CONNECTED);
    maker_raw(&raw, block);
    raw.size_b = 40;
    memset(&v, 0, sizeof v);
    ck_assert(ledger_offer_block(rig.ledger, &raw, true, (struct block_verdict){on_verdict, &v}));
    buf_clear(&raw);
    settle(&rig);
    ck_assert_int_eq(v.why.kind, FAIL_PROTOCOL);
    tx_unref(tx);
    rig_clear(&rig);
}
END_TEST

START_TEST(headers_from_the_future_wait)
{
    struct rig rig;
    rig_init(&rig, 16);
    struct block *tip = extend(&rig, rig.chain->genesis, 2);
    int64_t ahead_s = env_wall_s(&rig.node->env) + rig.chain->future_limit_s + 60;
    struct maker_block spec = {
        .prev = tip->id, .height = 3, .time_s = (uint32_t)ahead_s, .bits = tip->header.bits};
    struct block *early = maker_build(rig.chain, &spec);
    struct header header = early->header;
    uint32_t accepted;
    struct fail why;
    ck_assert(!ledger_accept_headers(rig.ledger, &header, 1, NULL, &accepted, &why));
    ck_assert_int_eq(why.kind, FAIL_TOO_EARLY);
    ck_assert_str_eq(why.code, "time-too-new");
    ledger_on_tick(rig.ledger);
    ck_assert_ptr_null(ledger_find(rig.ledger, &early->id));
    world_run_us(rig.world, INT64_C(61) * 1000000);
    ledger_on_tick(rig.ledger);
    ck_assert_ptr_nonnull(ledger_find(rig.ledger, &early->id));
    block_unref(early);
    rig_clear(&rig);
}
END_TEST

START_TEST(unrequested_blocks)
{
    struct rig rig;
    rig_init(&rig, 17);
    struct block *fork = extend(&rig, rig.chain->genesis, 3);
    struct block *tip = extend(&rig, fork, 3);
    struct block *behind = build(&rig, fork);
    struct buf raw;
    maker_raw(&raw, behind);
    struct verdict v = {0};
    ck_assert(ledger_offer_block(rig.ledger, &raw, false, (struct block_verdict){on_verdict, &v}));
    settle(&rig);
    ck_assert_int_eq(v.outcome, BLOCK_OUTCOME_REFUSED);
    ck_assert_int_eq(v.why.kind, FAIL_POLICY);
    v = offer_and_settle(&rig, behind); /* asked for: kept */
    ck_assert_int_eq(v.outcome, BLOCK_OUTCOME_STORED);
    expect_tip(&rig, tip);
    rig_clear(&rig);
}
END_TEST

/* The pipeline refuses rather than grows, and says when it has room again. */
START_TEST(bounded_intake)
{
    struct rig rig;
    rig_init(&rig, 18);
    struct block *prev = rig.chain->genesis;
    struct block *chain[400];
    for (int i = 0; i < 400; i++)
        prev = chain[i] = build(&rig, prev);
    uint32_t taken = 0;
    static struct verdict unheard;
    bool refused = false;
    while (taken < 400 && !refused) {
        struct buf raw;
        maker_raw(&raw, chain[taken]);
        refused = !ledger_offer_block(
            rig.ledger, &raw, true, (struct block_verdict){on_verdict, &unheard});
        ck_assert_msg(!refused || raw.size_b == chain[taken]->size_b,
            "a refused block must stay the caller's");
        buf_clear(&raw);
        taken += !refused;
    }
    ck_assert(refused);
    settle(&rig);
    ck_assert_uint_ge(rig.idle, 1);
    for (; taken < 400; taken++)
        offer(&rig, chain[taken], NULL);
    settle(&rig);
    expect_tip(&rig, prev);
    rig_clear(&rig);
}
END_TEST

/* ---- reading back ---- */
struct reading {
    struct block_read read;
    bool done;
    struct fail why;
};

static void reading_done(struct block_read *read, const struct fail *why)
{
    struct reading *reading = (struct reading *)read;
    reading->done = true;
    reading->why = *why;
}

static bool reading_is_done(void *ctx)
{
    return ((struct reading *)ctx)->done;
}

START_TEST(reads_blocks_and_undo)
{
    struct rig rig;
    rig_init(&rig, 19);
    struct block *one = extend(&rig, rig.chain->genesis, 1);
    struct block *tip = extend(&rig, one, 4);
    struct tx *tx = spend_of(one, 0, 3);
    struct block *block = build_full(&rig, tip, 6, &tx, 1, 0, 0);
    offer(&rig, block, NULL);
    settle(&rig);
    for (int restart = 0; restart < 2; restart++) {
        struct reading r = {.read = {.index = ledger_find(rig.ledger, &block->id),
                                .want_block = true,
                                .want_undo = true,
                                .want_raw = true,
                                .done = reading_done}};
        ck_assert(ledger_read_block(rig.ledger, &r.read));
        ck_assert(world_run_until(rig.world, reading_is_done, &r, SETTLE_LIMIT_US));
        ck_assert_int_eq(r.why.kind, FAIL_NONE);
        ck_assert(block_id_equal(&r.read.block->id, &block->id));
        ck_assert(span_equal(buf_span(&r.read.raw), buf_span(&block->raw)));
        ck_assert_uint_eq(r.read.undo->count, 1);
        ck_assert_int_eq(r.read.undo->coins[0].value_sat, one->txs[0].out[0].value_sat);
        ck_assert_int_eq(r.read.undo->coins[0].height, 1);
        ck_assert(r.read.undo->coins[0].is_coinbase);
        block_unref(r.read.block);
        block_undo_free(r.read.undo);
        buf_clear(&r.read.raw);
        rig_stop(&rig);
        rig_open(&rig);
    }
    struct header header = build(&rig, block)->header;
    struct block_index *index = NULL;
    uint32_t accepted;
    struct fail why;
    ck_assert(ledger_accept_headers(rig.ledger, &header, 1, &index, &accepted, &why));
    struct reading r = {.read = {.index = index, .want_block = true, .done = reading_done}};
    ck_assert(ledger_read_block(rig.ledger, &r.read));
    ck_assert(world_run_until(rig.world, reading_is_done, &r, SETTLE_LIMIT_US));
    ck_assert_int_eq(r.why.kind, FAIL_REQUEST);
    ck_assert_int_eq(r.why.rpc_code, -1);
    ck_assert_str_eq(r.why.detail, "Block not available (not fully downloaded)");
    tx_unref(tx);
    rig_clear(&rig);
}
END_TEST

/* ---- histories ---- */
static void on_flushed(void *ctx, const struct fail *why)
{
    (void)ctx;
    ck_assert_int_eq(why->kind, FAIL_NONE);
}

/* Some transactions that the branch of the tip allows: mature coins, some chained within the block. */
static uint32_t random_txs(
    struct rig *rig, struct sim_random *random, struct tx **txs, uint32_t most)
{
    struct model model;
    model_make(rig, &model);
    int32_t height = ledger_tip(rig->ledger)->height + 1;
    uint32_t count = 0;
    for (uint32_t i = 0; i < model.count && count < most; i++) {
        const struct model_coin *coin = &model.coins[i];
        if ((coin->is_coinbase && height - coin->height < rig->chain->coinbase_maturity) ||
            sim_random_below(random, 3) != 0 || coin->value_sat < 10)
            continue;
        txs[count++] = maker_spend(
            &coin->outpoint, 1, coin->value_sat, 1 + (uint32_t)sim_random_below(random, 3));
        if (count < most && sim_random_below(random, 2) == 0) {
            struct outpoint inner = {txs[count - 1]->txid, 0};
            txs[count] = maker_spend(&inner, 1, txs[count - 1]->out[0].value_sat, 1);
            count++;
        }
    }
    mem_free(model.coins);
    return count;
}

/* Random growth, reorganisations, flushes at any moment, look-ups under way meanwhile, restarts. Reads may
 * take much longer than flushes: a coin spent in the meantime must not come back. */
START_TEST(random_histories)
{
    struct rig rig;
    uint64_t seed = 100 + (uint64_t)_i;
    rig_init(&rig, seed);
    world_set_delays(rig.world, 5000, 5000, 0);
    struct sim_random random = {seed};
    struct block *tip = extend(&rig, rig.chain->genesis, 4);
    for (int step = 0; step < 60; step++) {
        struct tx *txs[12];
        uint32_t count = random_txs(&rig, &random, txs, 12);
        struct block *next = build_full(&rig, tip, height_of(&rig, tip) + 1, txs, count, 0, 0);
        uint64_t what = sim_random_below(&random, 10);
        struct ask ask = {.request = {.count = 0}};
        struct coin coin;
        bool found = false;
        struct outpoint about = count > 0 ? txs[0]->in[0].prevout : coinbase_of(tip);
        bool asked = what < 6;
        if (what >= 4)
            ledger_flush(rig.ledger, (struct ledger_done){on_flushed, NULL});
        if (asked) { /* before the block that spends it, answered after or before: about its own tip */
            ask.request = (struct coins_request){
                .outpoints = &about, .count = 1, .coins = &coin, .found = &found, .done = ask_done};
            enum coins_answer answer = ledger_coins(rig.ledger, &ask.request);
            ck_assert_int_ne(answer, COINS_REFUSED);
            ask.done = answer == COINS_READY;
        }
        offer(&rig, next, NULL);
        if (what % 3 == 0)
            ledger_flush(rig.ledger, (struct ledger_done){on_flushed, NULL});
        settle(&rig);
        if (asked) {
            ck_assert(world_run_until(rig.world, ask_is_done, &ask, SETTLE_LIMIT_US));
            ck_assert_int_eq(ask.why.kind, FAIL_NONE);
            arena_clear(&ask.request.arena);
        }
        for (uint32_t i = 0; i < count; i++)
            tx_unref(txs[i]);
        expect_tip(&rig, next);
        tip = next;
        ck_assert(count == 0 || !has_coin(&rig, &next->txs[1].in[0].prevout));
        if (what == 7) { /* another branch from some blocks below, one longer */
            uint32_t depth = 1 + (uint32_t)sim_random_below(&random, 3);
            struct block *at = tip;
            for (uint32_t i = 0; i < depth; i++)
                for (uint32_t k = 0; k < rig.count; k++)
                    if (block_id_equal(&rig.blocks[k]->id, &at->header.prev)) {
                        at = rig.blocks[k];
                        break;
                    }
            tip = extend(&rig, at, depth + 1);
            expect_tip(&rig, tip);
        }
        if (what == 8) {
            rig_stop(&rig);
            rig_open(&rig);
            settle(&rig);
            expect_tip(&rig, tip);
        }
        if (step % 10 == 9)
            expect_coins(&rig);
    }
    expect_coins(&rig);
    rig_clear(&rig);
}
END_TEST

/* ---- trouble of our own ---- */
START_TEST(a_failing_disk_stops_the_node)
{
    struct rig rig;
    rig_init(&rig, 20);
    struct block *tip = extend(&rig, rig.chain->genesis, 5);
    world_run_us(rig.world, 1000000); /* connected is not yet written */
    sim_disk_fail_at(rig.node->disk, 1);
    offer(&rig, build(&rig, tip), NULL);
    while (rig.fatal == 0) {
        ck_assert(world_step(rig.world));
        drain(&rig);
    }
    ck_assert_ptr_nonnull(strstr(rig.fatal_text, "Input/output error"));
    rig_stop(&rig);
    rig.fatal = 0;
    rig_open(&rig); /* what was there before is there again */
    settle(&rig);
    ck_assert_int_ge(ledger_tip(rig.ledger)->height, 5);
    expect_coins(&rig);
    rig_clear(&rig);
}
END_TEST

START_TEST(a_full_disk_stops_the_node)
{
    struct rig rig;
    rig_init(&rig, 21);
    struct block *tip = extend(&rig, rig.chain->genesis, 5);
    sim_disk_set_free_space(rig.node->disk, 40u << 20);
    world_run_us(rig.world, INT64_C(11) * 1000000);
    ledger_on_tick(rig.ledger);
    world_run_us(rig.world, INT64_C(11) * 1000000);
    drain(&rig);
    ck_assert_uint_eq(rig.fatal, 1);
    ck_assert_ptr_nonnull(strstr(rig.fatal_text, "free some space"));
    rig_stop(&rig);
    sim_disk_set_free_space(rig.node->disk, 1u << 30);
    rig_open(&rig);
    expect_tip(&rig, tip); /* the stop has flushed */
    rig_clear(&rig);
}
END_TEST

START_TEST(other_rules_are_refused)
{
    struct rig rig;
    rig_init(&rig, 22);
    extend(&rig, rig.chain->genesis, 2);
    rig_stop(&rig);
    rig.chain->rules_hash[0] ^= 1;
    struct fail why;
    ck_assert_ptr_null(ledger_open(&rig.node->env, rig.chain, &rig.options, &why));
    ck_assert_ptr_nonnull(strstr(why.detail, "other rules"));
    ck_assert_ptr_nonnull(strstr(why.detail, "-datadir"));
    rig.chain->rules_hash[0] ^= 1;
    rig_clear(&rig);
}
END_TEST

START_TEST(damage_is_named)
{
    struct rig rig;
    rig_init(&rig, 23);
    extend(&rig, rig.chain->genesis, 8);
    struct block_index *tip = ledger_tip(rig.ledger);
    world_run_us(rig.world, 1000000);
    char path[64];
    snprintf(path, sizeof path, "data/blocks/blk%05u.dat", (unsigned)tip->file);
    uint32_t pos_b = tip->data_pos_b;
    rig_stop(&rig);
    ck_assert(sim_disk_damage(rig.node->disk, path, pos_b + 100));
    struct fail why;
    ck_assert_ptr_null(ledger_open(&rig.node->env, rig.chain, &rig.options, &why));
    ck_assert_int_eq(why.kind, FAIL_LOCAL);
    ck_assert_ptr_nonnull(strstr(why.detail, "data/blocks"));
    ck_assert_ptr_nonnull(strstr(why.detail, "-reindex"));
    ck_assert(sim_disk_damage(rig.node->disk, path, pos_b + 100)); /* back */
    rig_open(&rig);
    rig_clear(&rig);
}
END_TEST

/* What the folder blocks/ holds is enough to build everything again. */
START_TEST(reindex)
{
    struct rig rig;
    rig_init(&rig, 24);
    struct block *fork = extend(&rig, rig.chain->genesis, 300); /* several files of 64 KiB */
    struct block *tip = extend(&rig, fork, 3);
    extend(&rig, fork, 2);
    rig_stop(&rig);
    if (_i == 0)
        rig.options.reindex_chainstate = true;
    else
        rig.options.reindex = true;
    sim_disk_forget_stores(rig.node->disk, _i == 0 ? "data/chainstate" : "data");
    rig_open(&rig);
    ck_assert_int_eq(ledger_tip(rig.ledger)->height, 0);
    settle(&rig);
    expect_tip(&rig, tip);
    expect_coins(&rig);
    rig_clear(&rig);
}
END_TEST

START_TEST(initial_download)
{
    struct rig rig;
    rig_init(&rig, 25);
    struct block *tip = extend(&rig, rig.chain->genesis, 2); /* times of 2011 */
    ck_assert(ledger_is_initial_download(rig.ledger));
    ck_assert(ledger_progress(rig.ledger) < 0.1);
    struct header ahead = build(&rig, tip)->header;
    struct fail why;
    uint32_t accepted;
    if (_i == 0) { /* a header without its block: somebody knows more */
        ck_assert(ledger_accept_headers(rig.ledger, &ahead, 1, NULL, &accepted, &why));
        ledger_leave_initial_download(rig.ledger);
        ck_assert(ledger_is_initial_download(rig.ledger));
        struct maker_block spec = {.prev = tip->id,
            .height = 3,
            .time_s = (uint32_t)env_wall_s(&rig.node->env),
            .bits = tip->header.bits,
            .salt = 77};
        struct block *now = maker_build(rig.chain, &spec);
        rig.heights[rig.count] = 3;
        rig.blocks[rig.count++] = now;
        offer(&rig, now, NULL);
        settle(&rig);
    } else {
        ledger_leave_initial_download(rig.ledger);
    }
    ck_assert(!ledger_is_initial_download(rig.ledger));
    rig_clear(&rig);
}
END_TEST

START_TEST(locators_and_ancestors)
{
    struct rig rig;
    rig_init(&rig, 26);
    struct block *fork = extend(&rig, rig.chain->genesis, 200);
    extend(&rig, fork, 30);
    struct block *side = extend(&rig, fork, 20);
    struct block_index *tip = ledger_tip(rig.ledger), *s = ledger_find(rig.ledger, &side->id);
    struct block_id ids[LOCATOR_MAX];
    uint32_t count = ledger_locator(rig.ledger, s, ids);
    ck_assert(block_id_equal(&ids[0], &side->id));
    ck_assert(block_id_equal(&ids[count - 1], &rig.chain->genesis->id));
    ck_assert_uint_lt(count, 30);
    struct block_index *common = ledger_find_fork(rig.ledger, ids, count);
    ck_assert(common->height <= 200 && common->height >= 190);
    ck_assert_ptr_eq(index_fork(tip, s), ledger_find(rig.ledger, &fork->id));
    for (int32_t h = 0; h <= tip->height; h++)
        ck_assert_ptr_eq(index_ancestor(tip, h), ledger_at(rig.ledger, h));
    ck_assert_ptr_null(index_ancestor(tip, tip->height + 1));
    uint32_t cursor = 0, headers = 0;
    while (ledger_next(rig.ledger, &cursor) != NULL)
        headers++;
    ck_assert_uint_eq(headers, 251);
    rig_clear(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ledger");
    TCase *tc = tcase_create("ledger");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, connects_and_restarts);
    tcase_add_loop_test(tc, reorganises, 0, 3);
    tcase_add_test(tc, blocks_out_of_order);
    tcase_add_test(tc, invalid_block_in_a_better_branch);
    tcase_add_test(tc, manual_overrides);
    tcase_add_test(tc, refusals);
    tcase_add_test(tc, failing_scripts);
    tcase_add_test(tc, mutated_blocks_are_not_remembered);
    tcase_add_test(tc, headers_from_the_future_wait);
    tcase_add_test(tc, unrequested_blocks);
    tcase_add_test(tc, bounded_intake);
    tcase_add_test(tc, reads_blocks_and_undo);
    tcase_add_loop_test(tc, random_histories, 0, 12);
    tcase_add_test(tc, a_failing_disk_stops_the_node);
    tcase_add_test(tc, a_full_disk_stops_the_node);
    tcase_add_test(tc, other_rules_are_refused);
    tcase_add_test(tc, damage_is_named);
    tcase_add_loop_test(tc, reindex, 0, 2);
    tcase_add_loop_test(tc, initial_download, 0, 2);
    tcase_add_test(tc, locators_and_ancestors);
    suite_add_tcase(suite, tc);
    SRunner *sr = srunner_create(suite);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? 0 : 1;
}
