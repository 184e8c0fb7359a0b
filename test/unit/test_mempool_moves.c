/* Proves that the pool stays consistent and minable on the tip whatever comes: blocks, reorganisations, a tip
 * that moves while it judges, files that are damaged, disks and memory that fail, and all at once. */
#include "mempool_rig.h"
#include "unit.h"

/* ---- the chain moves ---- */
struct finished {
    uint32_t calls;
    struct fail why;
};

static void on_finished(void *ctx, const struct fail *why)
{
    struct finished *finished = ctx;
    finished->calls++;
    finished->why = *why;
}

START_TEST(blocks_confirm_and_conflict)
{
    struct rig rig;
    rig_init(&rig, 13);
    struct tx *a = pay(&rig, fund(&rig, 0), COIN_VALUE, FEE, 2),
              *b = pay(&rig, out_of(a, 0), NET / 2, FEE, 1);
    struct tx *c = pay(&rig, out_of(b, 0), NET / 2 - FEE, FEE, 1),
              *d = pay(&rig, out_of(a, 1), NET / 2, FEE, 1);
    struct tx *x = pay(&rig, fund(&rig, 1), COIN_VALUE, FEE, 1),
              *y = pay(&rig, out_of(x, 0), NET, FEE, 1);
    struct tx *rival = pay(&rig, fund(&rig, 1), COIN_VALUE, 1, 1);
    struct tx *all[] = {a, b, c, d, x, y};
    for (uint32_t i = 0; i < 6; i++)
        expect(&rig, all[i], NULL);
    struct tx *mined[] = {a, b, rival};
    mine(&rig, mined, 3, 2 * FEE + 1);
    check_pool(&rig);
    ck_assert_uint_eq(rig.removed[MEMPOOL_CONFIRMED], 2);
    ck_assert_uint_eq(rig.removed[MEMPOOL_CONFLICT], 2);
    ck_assert_uint_eq(rig.pool->count, 2); /* c and d, no longer relatives */
    ck_assert_ptr_ne(
        mempool_find(rig.pool, &c->txid)->cluster, mempool_find(rig.pool, &d->txid)->cluster);
    for (uint32_t i = 0; i < 6; i++)
        tx_unref(all[i]);
    tx_unref(rival);
    rig_clear(&rig);
}
END_TEST

START_TEST(reorganisation)
{
    struct rig rig;
    rig_init(&rig, 14);
    struct block *fork = rig.tip;
    /* confirmed in two blocks: a, then b that spends it; pool: c on b, d on a, e alone, s on the coinbase */
    struct tx *a = pay(&rig, fund(&rig, 0), COIN_VALUE, FEE, 2),
              *b = pay(&rig, out_of(a, 0), NET / 2, FEE, 1);
    struct tx *c = pay(&rig, out_of(b, 0), NET / 2 - FEE, FEE, 1),
              *d = pay(&rig, out_of(a, 1), NET / 2, FEE, 1);
    struct tx *e = pay(&rig, fund(&rig, 1), COIN_VALUE, FEE, 1);
    struct tx *rival = pay(&rig, fund(&rig, 2), COIN_VALUE, FEE, 2),
              *lost = pay(&rig, fund(&rig, 2), COIN_VALUE, FEE, 1);
    struct spend locked = {.from = {fund(&rig, 3)},
        .count = 1,
        .value_sat = NET,
        .is_nonfinal = true,
        .lock_time = FUNDS + 1};
    struct spend relative = {.from = {fund(&rig, 4)},
        .count = 1,
        .value_sat = NET,
        .is_nonfinal = true,
        .sequence = FUNDS - 4 + 1};
    struct tx *by_height = make(&rig, &locked), *by_age = make(&rig, &relative);
    struct tx *unripe = pay(&rig, fund(&rig, FUNDS - MATURITY + 1), COIN_VALUE, FEE, 1);
    struct tx *one[] = {a, lost};
    mine(&rig, one, 2, 2 * FEE);
    mine(&rig, &b, 1, FEE);
    struct tx *waiting[] = {c, d, e, by_height, by_age, unripe};
    for (uint32_t i = 0; i < 6; i++)
        expect(&rig, waiting[i], NULL);
    int64_t time_s = mempool_find(rig.pool, &c->txid)->time_s;
    world_run_us(rig.world, 5000000);
    /* a longer branch with a rival of what was confirmed; then back to a height where locks are open again */
    rig.tip = build(&rig, fork, &rival, 1, FEE);
    offer_block(&rig, rig.tip);
    settle(&rig);
    ck_assert_uint_eq(rig.pool->count, 6);
    for (uint32_t i = 0; i < 2; i++) {
        rig.tip = build(&rig, rig.tip, NULL, 0, 0);
        offer_block(&rig, rig.tip);
    }
    settle(&rig);
    check_pool(&rig);
    ck_assert_ptr_nonnull(
        mempool_find(rig.pool, &a->txid)); /* unconfirmed again, and its family with it */
    ck_assert_ptr_nonnull(mempool_find(rig.pool, &b->txid));
    ck_assert_ptr_nonnull(mempool_find(rig.pool, &c->txid));
    ck_assert_ptr_nonnull(mempool_find(rig.pool, &d->txid));
    ck_assert_ptr_nonnull(mempool_find(rig.pool, &e->txid));
    ck_assert_ptr_null(mempool_find(rig.pool, &lost->txid));
    ck_assert_int_eq(mempool_find(rig.pool, &c->txid)->time_s, time_s);
    ck_assert_uint_eq(rig.removed[MEMPOOL_REORG], 2); /* c and d, for a moment */
    ck_assert_uint_eq(rig.pool->count, 8);
    struct tx *all[] = {a, b, c, d, e, rival, lost, by_height, by_age, unripe};
    /* the chain gets shorter: locks close, the coinbase is unripe, what was confirmed stays the same */
    struct finished finished = {0};
    struct ledger_done done = {on_finished, &finished};
    ledger_invalidate(rig.ledger, ledger_at(rig.ledger, FUNDS + 1), done);
    settle(&rig);
    ck_assert_int_eq(
        ledger_tip(rig.ledger)->height, FUNDS + 2); /* the old branch has most work now */
    check_pool(&rig);
    ck_assert_ptr_null(mempool_find(rig.pool, &a->txid));
    ck_assert_ptr_nonnull(mempool_find(rig.pool, &c->txid));
    ck_assert_ptr_null(mempool_find(rig.pool, &rival->txid));
    ledger_invalidate(rig.ledger, ledger_at(rig.ledger, FUNDS + 1), done);
    settle(&rig);
    ck_assert_int_eq(ledger_tip(rig.ledger)->height, FUNDS);
    check_pool(&rig);
    ck_assert_ptr_null(mempool_find(rig.pool, &by_height->txid));
    ck_assert_ptr_null(mempool_find(rig.pool, &by_age->txid));
    ck_assert_ptr_null(mempool_find(rig.pool, &unripe->txid));
    ck_assert_ptr_nonnull(mempool_find(rig.pool, &a->txid));
    ck_assert_ptr_nonnull(mempool_find(rig.pool, &d->txid));
    for (uint32_t i = 0; i < sizeof all / sizeof all[0]; i++)
        tx_unref(all[i]);
    rig_clear(&rig);
}
END_TEST

/* Candidates that are being judged while the tip moves: none is lost, none is judged by the old tip. */
START_TEST(tip_moves_while_judging)
{
    struct rig rig;
    struct verdict verdicts[40];
    struct tx *txs[40], *rivals[40];
    rig_init(&rig, 15 + (uint64_t)_i);
    for (uint32_t i = 0; i < 40; i++) {
        txs[i] = pay(&rig, fund(&rig, i), COIN_VALUE, FEE, 1);
        rivals[i] = pay(&rig, fund(&rig, i), COIN_VALUE, FEE, 2);
    }
    rig.tip = build(&rig, rig.tip, rivals, 20, 20 * FEE);
    offer_block(&rig, rig.tip);
    for (uint32_t i = 0; i < 40; i++) {
        offer(&rig, txs[i], 0, &verdicts[i]);
        for (int k = 0; k < _i * 3; k++) {
            world_step(rig.world);
            drain(&rig);
        }
    }
    settle(&rig);
    check_pool(&rig);
    ck_assert_uint_eq(rig.pool->count, 20);
    for (uint32_t i = 0; i < 40; i++) {
        ck_assert_uint_eq(verdicts[i].calls, 1);
        if (i >= 20)
            ck_assert_int_eq(verdicts[i].why.kind, FAIL_NONE);
        tx_unref(txs[i]);
        tx_unref(rivals[i]);
    }
    rig_clear(&rig);
}
END_TEST

/* ---- mempool.dat ---- */
static bool is_finished(void *ctx)
{
    return ((struct finished *)ctx)->calls > 0;
}

static struct finished save(struct rig *rig)
{
    struct finished finished = {0};
    mempool_save(rig->pool, POOL_FILE, (struct ledger_done){on_finished, &finished});
    ck_assert_uint_eq(finished.calls, 0);
    ck_assert(world_run_until(rig->world, is_finished, &finished, SETTLE_LIMIT_US));
    return finished;
}

static struct finished load(struct rig *rig, const char *path)
{
    struct finished finished = {0};
    mempool_load(rig->pool, path, (struct ledger_done){on_finished, &finished});
    ck_assert(!mempool_is_loaded(rig->pool));
    ck_assert_uint_eq(finished.calls, 0);
    settle(rig);
    ck_assert_uint_eq(finished.calls, 1);
    check_pool(rig);
    return finished;
}

static void reopen(struct rig *rig)
{
    world_node_drain(rig->node);
    pool_close(rig);
    pool_open(rig);
}

static void write_file(struct rig *rig, const char *path, struct span bytes)
{
    struct fail why;
    ck_assert(file_replace(rig->node->env.disk, path, bytes, &why));
}

START_TEST(file_round_trip)
{
    struct rig rig;
    struct tx *txs[200];
    rig_init(&rig, 20);
    ck_assert_str_eq(load(&rig, POOL_FILE).why.code, "mempool-file-missing");
    ck_assert_int_eq(save(&rig).why.kind, FAIL_NONE); /* empty */
    ck_assert_int_eq(load(&rig, POOL_FILE).why.kind, FAIL_NONE);
    int64_t value_sat = COIN_VALUE;
    for (uint32_t i = 0; i < 200; i++) {
        value_sat = i % 20 == 0 ? COIN_VALUE : value_sat - FEE;
        txs[i] =
            pay(&rig, i % 20 == 0 ? fund(&rig, i / 20) : out_of(txs[i - 1], 0), value_sat, FEE, 1);
        struct verdict verdict;
        offer(&rig, txs[i], 0, &verdict);
        settle(&rig);
        ck_assert_int_eq(verdict.why.kind, FAIL_NONE);
    }
    struct txid stranger = {{9}};
    ck_assert(mempool_prioritise(rig.pool, &txs[5]->txid, 777));
    ck_assert(mempool_prioritise(rig.pool, &stranger, -42));
    mempool_set_unbroadcast(rig.pool, &txs[6]->txid, true);
    int64_t time_s = mempool_find(rig.pool, &txs[0]->txid)->time_s;
    ck_assert_int_eq(save(&rig).why.kind, FAIL_NONE);
    world_run_us(rig.world, 100 * INT64_C(1000000));
    reopen(&rig);
    ck_assert_int_eq(load(&rig, POOL_FILE).why.kind, FAIL_NONE);
    ck_assert_uint_eq(rig.pool->count, 200);
    ck_assert_int_eq(mempool_find(rig.pool, &txs[0]->txid)->time_s, time_s);
    ck_assert_int_eq(mempool_find(rig.pool, &txs[5]->txid)->modified_fee_sat, FEE + 777);
    ck_assert(mempool_find(rig.pool, &txs[6]->txid)->unbroadcast);
    ck_assert(!mempool_find(rig.pool, &txs[7]->txid)->unbroadcast);
    ck_assert_int_eq(pool_delta_sat(rig.pool, &stranger), -42);
    /* once more into the same pool: nothing doubles */
    ck_assert_int_eq(load(&rig, POOL_FILE).why.kind, FAIL_NONE);
    ck_assert_int_eq(mempool_find(rig.pool, &txs[5]->txid)->modified_fee_sat, FEE + 777);
    /* what has expired by now stays away */
    reopen(&rig);
    world_run_us(rig.world, rig.options.expiry_s * 1000000);
    ck_assert_int_eq(load(&rig, POOL_FILE).why.kind, FAIL_NONE);
    ck_assert_uint_eq(rig.pool->count, 0);
    for (uint32_t i = 0; i < 200; i++)
        tx_unref(txs[i]);
    rig_clear(&rig);
}
END_TEST

/* The bytes as Bitcoin's format says, both versions, written by hand. */
START_TEST(file_versions)
{
    struct rig rig;
    rig_init(&rig, 21);
    for (uint32_t version = 1; version <= 2; version++) {
        struct tx *tx = pay(&rig, fund(&rig, version), COIN_VALUE, FEE, 1);
        static const uint8_t key[8] = {1, 2, 3, 4, 5, 6, 7, 8};
        struct buf file;
        buf_init(&file, 10000);
        buf_put_u64le(&file, version);
        if (version == 2) {
            buf_put_u8(&file, 8);
            buf_put(&file, key, 8);
        }
        size_t plain_b = file.size_b;
        buf_put_u64le(&file, 1);
        buf_put(&file, tx->raw.data, tx->raw.size_b);
        buf_put_i64le(&file, START_MS / 1000);
        buf_put_i64le(&file, 5);
        buf_put_count(&file, 1);
        buf_put(&file, rig.tip->id.b, 32);
        buf_put_i64le(&file, 6);
        buf_put_count(&file, 1);
        buf_put(&file, tx->txid.b, 32);
        for (size_t i = plain_b; version == 2 && i < file.size_b; i++)
            file.data[i] ^= key[i % 8];
        write_file(&rig, POOL_FILE, buf_span(&file));
        ck_assert_int_eq(load(&rig, POOL_FILE).why.kind, FAIL_NONE);
        const struct mempool_entry *entry = mempool_find(rig.pool, &tx->txid);
        ck_assert_ptr_nonnull(entry);
        ck_assert_int_eq(entry->time_s, START_MS / 1000);
        ck_assert_int_eq(entry->modified_fee_sat, FEE + 5);
        ck_assert(entry->unbroadcast);
        buf_clear(&file);
        tx_unref(tx);
    }
    rig_clear(&rig);
}
END_TEST

/* Cut at every byte and flipped at every byte: the node lives, and the message names the file. */
START_TEST(file_damage)
{
    struct rig rig;
    struct buf good;
    struct fail why;
    rig_init(&rig, 22);
    struct tx *a = pay(&rig, fund(&rig, 0), COIN_VALUE, FEE, 1),
              *b = pay(&rig, out_of(a, 0), NET, FEE, 1);
    expect(&rig, a, NULL);
    expect(&rig, b, NULL);
    ck_assert(mempool_prioritise(rig.pool, &a->txid, 1));
    mempool_set_unbroadcast(rig.pool, &b->txid, true);
    save(&rig);
    buf_init(&good, 100000);
    ck_assert(file_read_all(rig.node->env.disk, POOL_FILE, &good, &why));
    for (size_t cut = 0; cut < good.size_b; cut++) {
        write_file(&rig, POOL_FILE, span_of(good.data, cut));
        reopen(&rig);
        struct finished finished = load(&rig, POOL_FILE);
        ck_assert_int_eq(finished.why.kind, FAIL_PROTOCOL);
        ck_assert_str_eq(finished.why.code, "mempool-file");
        ck_assert_ptr_nonnull(strstr(finished.why.detail, POOL_FILE));
    }
    for (size_t at = 0; at < good.size_b; at++) {
        good.data[at] ^= 0x41;
        write_file(&rig, POOL_FILE, buf_span(&good));
        reopen(&rig);
        load(&rig, POOL_FILE);
        good.data[at] ^= 0x41;
    }
    ck_assert_uint_gt(rig.added, 0);
    buf_clear(&good);
    tx_unref(a);
    tx_unref(b);
    rig_clear(&rig);
}
END_TEST

/* A save that fails leaves the old file whole. */
START_TEST(file_save_on_a_bad_disk)
{
    struct rig rig;
    rig_init(&rig, 23);
    struct tx *a = pay(&rig, fund(&rig, 0), COIN_VALUE, FEE, 1);
    expect(&rig, a, NULL);
    ck_assert_int_eq(save(&rig).why.kind, FAIL_NONE);
    for (uint64_t n = 1; n <= 5; n++) {
        sim_disk_fail_at(rig.node->disk, n);
        struct finished finished = save(&rig);
        sim_disk_fail_at(rig.node->disk, 0);
        ck_assert_msg(finished.why.kind == FAIL_LOCAL, "operation %u: %s %s", (unsigned)n,
            finished.why.code, finished.why.detail);
        reopen(&rig);
        ck_assert_int_eq(load(&rig, POOL_FILE).why.kind, FAIL_NONE);
        ck_assert_uint_eq(rig.pool->count, 1);
    }
    tx_unref(a);
    rig_clear(&rig);
}
END_TEST

/* ---- memory ---- */
START_TEST(failing_memory)
{
    struct rig rig;
    rig_init(&rig, 24);
    struct tx *parent = pay(&rig, fund(&rig, 0), COIN_VALUE, FEE, 2);
    expect(&rig, parent, NULL);
    uint32_t refused = 0;
    for (uint32_t n = 1; n < 40; n++) {
        struct tx *tx = pay(
            &rig, out_of(parent, 0), NET / 2, FEE + (int64_t)n * FEE, 1); /* replaces the last */
        struct verdict verdict = {0};
        mem_fail_nth(n);
        bool taken = mempool_offer(rig.pool, tx, 0, 0, (struct tx_verdict){on_verdict, &verdict});
        if (taken)
            settle(&rig);
        mem_fail_nth(0);
        if (taken) {
            ck_assert_uint_eq(verdict.calls, 1);
            ck_assert_msg(verdict.why.kind == FAIL_NONE || verdict.why.kind == FAIL_NO_ROOM, "%s",
                verdict.why.code);
        }
        refused += !taken || verdict.why.kind != FAIL_NONE;
        check_pool(&rig);
        tx_unref(tx);
    }
    ck_assert_uint_gt(refused, 3);
    ck_assert_uint_lt(refused, 39);
    tx_unref(parent);
    rig_clear(&rig);
}
END_TEST

/* ---- everything at once ---- */
struct output { /* that may be spent: by anything, also twice */
    struct outpoint at;
    int64_t value_sat;
};
#define OUTPUTS_MAX 3000
struct storm {
    struct rig rig;
    struct output outputs[OUTPUTS_MAX];
    uint32_t count, accepted, refused;
};

static void storm_remember(struct storm *storm, const struct tx *tx)
{
    for (uint32_t i = 0; i < tx->out_count && storm->count < OUTPUTS_MAX; i++)
        if (tx->out[i].value_sat > 100000)
            storm->outputs[storm->count++] = (struct output){{tx->txid, i}, tx->out[i].value_sat};
}

static void storm_verdict(
    void *ctx, struct tx *tx, const struct mempool_entry *entry, const struct fail *why)
{
    struct storm *storm = ctx;
    storm->accepted += why->kind == FAIL_NONE;
    storm->refused += why->kind != FAIL_NONE;
    if (entry != NULL && why->kind == FAIL_NONE)
        storm_remember(storm, tx);
}

static void storm_offer(struct storm *storm)
{
    struct rig *rig = &storm->rig;
    struct sim_random *random = world_random(rig->world);
    struct spend spend = {.count = 1 + (uint32_t)sim_random_below(random, 3)};
    int64_t value_sat = 0;
    for (uint32_t i = 0; i < spend.count; i++) {
        uint64_t back =
            sim_random_below(random, sim_random_below(random, 4) == 0 ? storm->count : 30);
        const struct output *output = &storm->outputs[storm->count - 1 - back % storm->count];
        spend.from[i] = output->at;
        value_sat += output->value_sat;
        for (uint32_t k = 0; k < i; k++)
            if (outpoint_equal(&spend.from[k], &spend.from[i])) {
                spend.count = i;
                value_sat -= output->value_sat;
                break;
            }
    }
    value_sat -= 10 + (int64_t)sim_random_below(random, 3000);
    spend.extras = (uint32_t)sim_random_below(random, 4);
    spend.extra_sat = value_sat / (spend.extras + 1);
    spend.value_sat = value_sat - spend.extras * spend.extra_sat;
    spend.pad_b =
        sim_random_below(random, 8) == 0 ? 1 + (uint32_t)sim_random_below(random, 2000) : 0;
    struct tx *tx = make(rig, &spend);
    ck_assert(mempool_offer(rig->pool, tx, 0, 0, (struct tx_verdict){storm_verdict, storm}));
    tx_unref(tx);
}

/* Mines some of the best chunks, as a miner would. */
static void storm_mine(struct storm *storm)
{
    struct rig *rig = &storm->rig;
    struct tx *txs[200];
    struct mempool_chunk chunk;
    uint32_t count = 0, chunks = (uint32_t)sim_random_below(world_random(rig->world), 12);
    int64_t fees_sat = 0;
    struct mempool_walk *walk = mempool_walk_new(rig->pool);
    while (chunks-- > 0 && mempool_walk_next(walk, &chunk) && count + chunk.count < 200)
        for (uint32_t i = 0; i < chunk.count; i++) {
            txs[count++] = tx_ref(chunk.entries[i]->tx);
            fees_sat += chunk.entries[i]->fee_sat;
        }
    mempool_walk_free(walk);
    mine(rig, txs, count, fees_sat);
    while (count > 0)
        tx_unref(txs[--count]);
}

START_TEST(storms)
{
    static struct storm storm;
    struct rig *rig = &storm.rig;
    memset(&storm, 0, sizeof storm);
    rig_init(rig, 100 + (uint64_t)_i);
    struct sim_random *random = world_random(rig->world);
    if (_i % 2 == 1)
        rig->pool->options.limit_b = 200000; /* evictions all the time */
    rig->chain->coinbase_maturity = MATURITY;
    for (uint32_t i = 0; i < 40; i++)
        storm.outputs[storm.count++] = (struct output){fund(rig, i), COIN_VALUE};
    for (uint32_t round = 0; round < 60; round++) {
        for (uint64_t n = sim_random_below(random, 20); n > 0; n--) {
            storm_offer(&storm);
            for (uint64_t k = sim_random_below(random, 10); k > 0; k--) {
                world_step(rig->world);
                drain(rig);
            }
        }
        switch (sim_random_below(random, 8)) {
        case 0:
        case 1:
            settle(rig);
            storm_mine(&storm);
            break;
        case 2: { /* a branch from a few blocks back overtakes */
            settle(rig);
            uint32_t depth = 1 + (uint32_t)sim_random_below(random, 4);
            struct block_index *at = ledger_tip(rig->ledger);
            for (uint32_t k = 0; k < depth && at->height > FUNDS; k++)
                at = at->prev;
            for (uint32_t k = 0; k < rig->count; k++)
                if (block_id_equal(&rig->blocks[k]->id, &at->id))
                    rig->tip = rig->blocks[k];
            for (uint32_t k = 0; k < depth + 1; k++) {
                rig->tip = build(rig, rig->tip, NULL, 0, 0);
                offer_block(rig, rig->tip);
            }
            break;
        }
        case 3:
            if (rig->pool->count > 0) {
                const struct tx *tx =
                    rig->pool->entries[sim_random_below(random, rig->pool->count)]->tx;
                struct txid id = tx->txid;
                ck_assert(mempool_prioritise(
                    rig->pool, &id, (int64_t)sim_random_below(random, 4000) - 2000));
            }
            break;
        case 4:
            if (rig->pool->count > 0) {
                struct txid id =
                    rig->pool->entries[sim_random_below(random, rig->pool->count)]->tx->txid;
                ck_assert(mempool_remove(rig->pool, &id));
            }
            break;
        case 5:
            turn_clock(rig, 3600);
            break;
        default:
            break;
        }
        settle(rig);
        check_pool(rig);
    }
    ck_assert_uint_gt(storm.accepted, 50);
    ck_assert_uint_gt(storm.refused, 20);
    ck_assert_uint_gt(rig->removed[MEMPOOL_CONFIRMED], 0);
    rig_clear(rig);
}
END_TEST


int main(void)
{
    Suite *suite = suite_create("mempool_moves");
    TCase *tc = tcase_create("mempool_moves");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, blocks_confirm_and_conflict);
    tcase_add_test(tc, reorganisation);
    tcase_add_loop_test(tc, tip_moves_while_judging, 0, 4);
    tcase_add_test(tc, file_round_trip);
    tcase_add_test(tc, file_versions);
    tcase_add_test(tc, file_damage);
    tcase_add_test(tc, file_save_on_a_bad_disk);
    tcase_add_test(tc, failing_memory);
    tcase_add_loop_test(tc, storms, 0, 8);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
