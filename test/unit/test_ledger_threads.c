/* Proves that the ledger keeps its word over real threads, files and LevelDB: blocks offered all at once,
 * reorganised, flushed, read, asked for and scanned meanwhile, stopped in the middle, opened again. Built
 * with TSAN=1 it proves that nothing but what may be is shared. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "../sim/maker.h"
#include "../sim/real.h"
#include "coin/ledger/ledger.h"
#include "unit.h"

#define LIMIT_S 60.0
#define TRUNK 60
#define BRANCH 20
#define READS 20

struct threads {
    struct real real;
    struct chain *chain;
    struct ledger *ledger;
    struct block *blocks[TRUNK + 2 * BRANCH + 1];
    uint32_t count;
    uint32_t flushes, reads, asks, scanned, verdicts;
    bool stopped, scan_done;
};

static void drain(struct threads *t)
{
    struct ledger_effect effect;
    while (ledger_next_effect(t->ledger, &effect)) {
        ck_assert_msg(effect.kind != LEDGER_FATAL && effect.kind != LEDGER_INVALID, "%s: %s",
            effect.why.code, effect.why.detail);
        block_unref(effect.block);
    }
}

/* Spends the coinbase of two blocks before to three outputs. */
static struct block *build(struct threads *t, const struct block *prev, const struct block *rich,
    int32_t height)
{
    struct tx *tx = NULL;
    if (rich != NULL) {
        struct outpoint from = {rich->txs[0].txid, 0};
        tx = maker_spend(&from, 1, rich->txs[0].out[0].value_sat, 3);
    }
    struct maker_block spec = {.prev = prev->id,
        .height = height,
        .time_s = prev->header.time_s + 1,
        .bits = prev->header.bits,
        .txs = &tx,
        .tx_count = tx != NULL,
        .salt = t->count};
    struct block *block = maker_build(t->chain, &spec);
    tx_unref(tx);
    return t->blocks[t->count++] = block;
}

static void open_ledger(struct threads *t)
{
    struct fail why;
    struct ledger_options options = {.dir = t->real.folder,
        .dbcache_b = 8u << 20,
        .workers = 4,
        .xor_blocks = true,
        .fastprune = true,
        .tip_age_max_s = 86400,
        .check_blocks = 6,
        .check_level = 3};
    t->ledger = ledger_open(&t->real.env, t->chain, &options, &why);
    ck_assert_msg(t->ledger != NULL, "%s", why.detail);
    ledger_start(t->ledger);
}

static void on_verdict(
    void *ctx, enum block_outcome outcome, struct block_index *index, const struct fail *why)
{
    (void)outcome;
    (void)index;
    (void)why;
    ((struct threads *)ctx)->verdicts++;
}

static void offer(struct threads *t, const struct block *block)
{
    struct buf raw;
    maker_raw(&raw, block);
    while (!ledger_offer_block(t->ledger, &raw, true, (struct block_verdict){on_verdict, t})) {
        real_step(&t->real);
        drain(t);
    }
    buf_clear(&raw);
}

static void on_flushed(void *ctx, const struct fail *why)
{
    ck_assert_int_eq(why->kind, FAIL_NONE);
    ((struct threads *)ctx)->flushes++;
}

struct reading {
    struct block_read read;
    struct threads *t;
};

static void on_read(struct block_read *read, const struct fail *why)
{
    struct reading *reading = (struct reading *)read;
    ck_assert_msg(why->kind == FAIL_NONE, "%s", why->detail);
    ck_assert(block_id_equal(&read->block->id, &read->index->id));
    ck_assert(read->index->height <= 3 || read->undo->count == 1);
    block_unref(read->block);
    block_undo_free(read->undo);
    buf_clear(&read->raw);
    reading->t->reads++;
}

struct asking {
    struct coins_request request;
    struct threads *t;
    struct outpoint outpoint;
    struct coin coin;
    bool found;
};

static void on_asked(struct coins_request *request, const struct fail *why)
{
    struct asking *asking = (struct asking *)request;
    ck_assert_int_eq(why->kind, FAIL_NONE);
    arena_clear(&request->arena);
    asking->t->asks++;
}

struct scanning {
    struct coins_scan scan;
    struct threads *t;
};

static bool scan_each(
    struct coins_scan *scan, const struct outpoint *outpoint, const struct coin *coin)
{
    (void)outpoint;
    ck_assert_uint_eq(coin->script.size_b, 1);
    ((struct scanning *)scan)->t->scanned++;
    return true;
}

static void scan_done(struct coins_scan *scan, const struct fail *why)
{
    ck_assert_int_eq(why->kind, FAIL_NONE);
    ((struct scanning *)scan)->t->scan_done = true;
}

static bool is_quiet(void *ctx)
{
    struct threads *t = ctx;
    drain(t);
    return ledger_is_settled(t->ledger) && t->reads == READS && t->asks == READS && t->flushes == 3;
}

static bool is_settled(void *ctx)
{
    drain(ctx);
    return ledger_is_settled(((struct threads *)ctx)->ledger);
}

static bool is_scanned(void *ctx)
{
    drain(ctx);
    return ((struct threads *)ctx)->scan_done;
}

static void on_stopped(void *ctx)
{
    ((struct threads *)ctx)->stopped = true;
}

static bool is_stopped(void *ctx)
{
    drain(ctx);
    return ((struct threads *)ctx)->stopped;
}

static void close_ledger(struct threads *t)
{
    t->stopped = false;
    ledger_stop(t->ledger, on_stopped, t);
    ck_assert(real_run_until(&t->real, is_stopped, t, LIMIT_S));
    ledger_free(t->ledger);
}

/* Each block brings a coin; from the third on one more is split in three. */
static void expect_coins(struct threads *t)
{
    struct scanning scanning = {.scan = {.each = scan_each, .done = scan_done}, .t = t};
    t->scan_done = false;
    t->scanned = 0;
    ck_assert(ledger_scan_coins(t->ledger, &scanning.scan));
    ck_assert(real_run_until(&t->real, is_scanned, t, LIMIT_S));
    uint32_t height = (uint32_t)scanning.scan.tip->height;
    ck_assert_uint_eq(t->scanned, height + (height > 3 ? 2 * (height - 3) : 0));
}

static void setup(struct threads *t)
{
    struct fail why;
    memset(t, 0, sizeof *t);
    real_open(&t->real, 4);
    t->chain = chain_load("regtest", &why);
    ck_assert_msg(t->chain != NULL, "%s", why.detail);
    t->chain->coinbase_maturity = 2;
    const struct block *chain[TRUNK + 1] = {t->chain->genesis};
    for (int32_t h = 1; h <= TRUNK; h++)
        chain[h] = build(t, chain[h - 1], h > 3 ? chain[h - 3] : NULL, h);
    const struct block *side = chain[TRUNK - BRANCH]; /* one block more than the trunk has from here */
    for (int32_t h = TRUNK - BRANCH + 1; h <= TRUNK + 1; h++) {
        const struct block *rich = h - 3 <= TRUNK - BRANCH ? chain[h - 3] : t->blocks[t->count - 3];
        side = build(t, side, rich, h);
    }
    open_ledger(t);
}

START_TEST(everything_at_once)
{
    static struct threads t;
    static struct reading readings[READS];
    static struct asking askings[READS];
    setup(&t);
    uint32_t asked = 0;
    for (uint32_t i = 0; i < t.count; i++) {
        offer(&t, t.blocks[i]);
        real_step(&t.real);
        drain(&t);
        if (i % 20 == 10)
            ledger_on_tick(t.ledger);
        struct block_index *tip = ledger_tip(t.ledger);
        if (asked < READS && tip->height > 3) {
            readings[asked] = (struct reading){.read = {.index = tip,
                                                   .want_block = true,
                                                   .want_undo = true,
                                                   .done = on_read},
                .t = &t};
            ck_assert(ledger_read_block(t.ledger, &readings[asked].read));
            struct asking *asking = &askings[asked++];
            *asking = (struct asking){.t = &t, .outpoint = {t.blocks[0]->txs[0].txid, 0}};
            asking->request = (struct coins_request){.outpoints = &asking->outpoint,
                .count = 1,
                .coins = &asking->coin,
                .found = &asking->found,
                .done = on_asked};
            if (ledger_coins(t.ledger, &asking->request) == COINS_READY)
                on_asked(&asking->request, &(struct fail){0});
        }
        if (i == 15 || i == 45 || i == 70)
            ledger_flush(t.ledger, (struct ledger_done){on_flushed, &t});
    }
    ck_assert_uint_eq(asked, READS);
    ck_assert(real_run_until(&t.real, is_quiet, &t, LIMIT_S));
    ck_assert_uint_eq(t.verdicts, t.count);
    ck_assert_int_eq(ledger_tip(t.ledger)->height, TRUNK + 1);
    expect_coins(&t);
    close_ledger(&t);
    open_ledger(&t);
    ck_assert_int_eq(ledger_tip(t.ledger)->height, TRUNK + 1);
    expect_coins(&t);
    close_ledger(&t);
    for (uint32_t i = 0; i < t.count; i++)
        block_unref(t.blocks[i]);
    chain_free(t.chain);
    real_close(&t.real);
}
END_TEST

START_TEST(stopped_in_the_middle)
{
    static struct threads t;
    setup(&t);
    for (uint32_t i = 0; i < t.count; i++) {
        offer(&t, t.blocks[i]);
        if (i % 25 != 20)
            continue;
        close_ledger(&t);
        ck_assert_uint_eq(t.verdicts, i + 1);
        open_ledger(&t);
        for (uint32_t k = 0; k < i; k++) { /* refused ones once more; others are duplicates */
            t.verdicts -= 1;
            offer(&t, t.blocks[k]);
        }
        t.verdicts -= 1;
        offer(&t, t.blocks[i]);
    }
    ck_assert(real_run_until(&t.real, is_settled, &t, LIMIT_S));
    ck_assert_int_eq(ledger_tip(t.ledger)->height, TRUNK + 1);
    expect_coins(&t);
    close_ledger(&t);
    for (uint32_t i = 0; i < t.count; i++)
        block_unref(t.blocks[i]);
    chain_free(t.chain);
    real_close(&t.real);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ledger_threads");
    TCase *tc = tcase_create("ledger_threads");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, everything_at_once);
    tcase_add_test(tc, stopped_in_the_middle);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
