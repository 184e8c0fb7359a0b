/* Proves snapshots of the coins: written and read back, taken into use, their history verified beside the chain,
 * through restarts and power cuts, and every way in which a file or the history can be wrong. */
#include "coin/ledger/indexes.h"
#include "ledger_rig.h"
#include "unit.h"

#define DUMP_PATH "snapshot.dat"
#define BASE 60
#define LENGTH 90

/* ---- two nodes: one that has the chain and dumps, one that loads ---- */
struct pair {
    struct rig giver, taker;
    struct block *blocks[LENGTH + 1]; /* by height */
    uint8_t hash[32];
    uint64_t coins;
};

struct waiting {
    bool done;
    struct fail why;
};
struct dumped {
    struct ledger_dump dump;
    struct waiting w;
};
struct loaded {
    struct ledger_load load;
    struct waiting w;
};

static bool is_done(void *ctx)
{
    return ((struct waiting *)ctx)->done;
}

static void on_dumped(struct ledger_dump *dump, const struct fail *why)
{
    struct dumped *d = (struct dumped *)dump;
    d->w.done = true;
    d->w.why = *why;
}

static void on_loaded(void *ctx, const struct fail *why)
{
    struct loaded *l = ctx;
    l->w.done = true;
    l->w.why = *why;
}

static struct fail dump(struct rig *rig, struct block_index *base, struct dumped *d)
{
    memset(d, 0, sizeof *d);
    snprintf(d->dump.path, sizeof d->dump.path, DUMP_PATH);
    d->dump.base = base;
    d->dump.done = on_dumped;
    ck_assert(ledger_dump_coins(rig->ledger, &d->dump));
    ck_assert(world_run_until(rig->world, is_done, &d->w, SETTLE_LIMIT_US));
    drain(rig);
    return d->w.why;
}

static struct fail load(struct rig *rig, struct loaded *l)
{
    memset(l, 0, sizeof *l);
    snprintf(l->load.path, sizeof l->load.path, DUMP_PATH);
    l->load.done = on_loaded;
    ledger_load_coins(rig->ledger, &l->load);
    for (int i = 0; i < 100000 && !l->w.done; i++) {
        drain(rig);
        ck_assert(world_step(rig->world));
    }
    ck_assert(l->w.done);
    drain(rig);
    return l->w.why;
}

static void copy_file(struct rig *from, struct rig *to, int64_t flip_at, int64_t cut_b)
{
    const struct disk *in = sim_disk_ops(from->node->disk), *out = sim_disk_ops(to->node->disk);
    struct fail why;
    struct buf bytes;
    buf_init(&bytes, 1u << 20);
    ck_assert(file_read_all(in, DUMP_PATH, &bytes, &why));
    if (flip_at >= 0)
        bytes.data[flip_at] ^= 1;
    bytes.size_b -= (size_t)cut_b;
    ck_assert(file_replace(out, DUMP_PATH, buf_span(&bytes), &why));
    buf_clear(&bytes);
}

static void feed_headers(struct pair *p, int32_t to)
{
    struct header headers[LENGTH];
    struct fail why;
    uint32_t accepted = 0;
    for (int32_t h = 1; h <= to; h++)
        headers[h - 1] = p->blocks[h]->header;
    ck_assert(ledger_accept_headers(p->taker.ledger, headers, (uint32_t)to, NULL, &accepted, &why));
    ck_assert_uint_eq(accepted, (uint32_t)to);
    drain(&p->taker);
}

/* The giver's chain: coinbases spent three blocks later into two coins each. */
static void begin(struct pair *p, uint64_t seed)
{
    struct dumped d;
    memset(p, 0, sizeof *p);
    rig_init(&p->giver, seed);
    p->blocks[0] = p->giver.chain->genesis;
    for (int32_t h = 1; h <= LENGTH; h++) {
        struct tx *tx = h > 4 ? spend_of(p->blocks[h - 4], 700, 2) : NULL;
        p->blocks[h] = build_full(&p->giver, p->blocks[h - 1], h, &tx, h > 4, h > 4 ? 700 : 0, 0);
        tx_unref(tx);
        offer(&p->giver, p->blocks[h], NULL);
        if (h == BASE) {
            settle(&p->giver);
            ck_assert_int_eq(dump(&p->giver, NULL, &d).kind, FAIL_NONE);
            ck_assert_int_eq(d.dump.base->height, BASE);
            memcpy(p->hash, d.dump.hash, 32);
            p->coins = d.dump.coins;
        }
    }
    settle(&p->giver);
    expect_tip(&p->giver, p->blocks[LENGTH]);
    rig_prepare(&p->taker, seed + 1000);
    p->taker.options.check_level = 4;
    struct chain_snapshot *s = &p->taker.chain->snapshots[0];
    p->taker.chain->snapshot_count = 1;
    s->height = BASE;
    s->block = p->blocks[BASE]->id;
    memcpy(s->hash_serialized, p->hash, 32);
    s->chain_tx_count = 1 + BASE + (BASE - 4);
    /* the taker's model replays the same blocks */
    for (int32_t h = 1; h <= LENGTH; h++) {
        p->taker.heights[p->taker.count] = h;
        p->taker.blocks[p->taker.count++] = block_ref(p->blocks[h]);
    }
    rig_open(&p->taker);
}

static void end(struct pair *p)
{
    rig_clear(&p->taker);
    rig_clear(&p->giver);
}

static void feed(struct pair *p, int32_t from, int32_t to)
{
    for (int32_t h = from; h <= to; h++)
        offer(&p->taker, p->blocks[h], NULL);
    settle(&p->taker);
}

static bool is_verified(void *ctx)
{
    struct rig *rig = ctx;
    drain(rig);
    return ledger_background_tip(rig->ledger) == NULL || rig->fatal > 0;
}

static void verify_history(struct pair *p)
{
    ck_assert(world_run_until(p->taker.world, is_verified, &p->taker, SETTLE_LIMIT_US));
}

static void power_cut(struct rig *rig)
{
    sim_disk_die(rig->node->disk);
    world_node_drain(rig->node);
    drain(rig);
    world_node_drain(rig->node);
    ledger_free(rig->ledger);
    rig->ledger = NULL;
    world_node_forget(rig->node);
    sim_disk_restart(rig->node->disk, true);
    rig->fatal = 0;
}

/* Nothing tells it from a node that never had a snapshot. */
static void expect_whole(struct pair *p, int32_t height)
{
    struct rig *rig = &p->taker;
    ck_assert_ptr_null(ledger_background_tip(rig->ledger));
    expect_tip(rig, p->blocks[height]);
    expect_coins(rig);
    uint64_t txs = 1;
    for (int32_t h = 1; h <= height; h++) {
        const struct block_index *index = ledger_at(rig->ledger, h);
        txs += p->blocks[h]->tx_count;
        ck_assert_uint_eq(index->chain_tx_count, txs);
        ck_assert_uint_eq(index->status & (BLOCK_HAVE_DATA | BLOCK_HAVE_UNDO), BLOCK_HAVE_DATA | BLOCK_HAVE_UNDO);
    }
}

/* ---- tests ---- */
START_TEST(a_rollback_gives_the_same_file)
{
    struct pair p;
    struct dumped d;
    struct fail why;
    struct buf first, second;
    begin(&p, 41);
    const struct disk *disk = sim_disk_ops(p.giver.node->disk);
    buf_init(&first, 1u << 20);
    buf_init(&second, 1u << 20);
    ck_assert(file_read_all(disk, DUMP_PATH, &first, &why));
    ck_assert(disk->remove(disk->ctx, DUMP_PATH, &why));
    ck_assert_int_eq(dump(&p.giver, ledger_at(p.giver.ledger, BASE), &d).kind, FAIL_NONE);
    ck_assert(file_read_all(disk, DUMP_PATH, &second, &why));
    ck_assert(span_equal(buf_span(&first), buf_span(&second)));
    ck_assert_int_eq(memcmp(d.dump.hash, p.hash, 32), 0);
    ck_assert_uint_eq(d.dump.coins, p.coins);
    ck_assert(!disk->exists(disk->ctx, DUMP_PATH ".incomplete"));
    /* the head, byte by byte */
    static const uint8_t head[] = {'u', 't', 'x', 'o', 0xff, 2, 0};
    ck_assert_int_eq(memcmp(first.data, head, sizeof head), 0);
    ck_assert_int_eq(memcmp(first.data + 7, p.giver.chain->magic, 4), 0);
    ck_assert_int_eq(memcmp(first.data + 11, p.blocks[BASE]->id.b, 32), 0);
    ck_assert_uint_eq(get_u64le(first.data + 43), p.coins);
    buf_clear(&first);
    buf_clear(&second);
    expect_tip(&p.giver, p.blocks[LENGTH]); /* nothing was rolled back but in memory */
    expect_coins(&p.giver);
    end(&p);
}
END_TEST

START_TEST(usable_at_once_and_verified_later)
{
    struct pair p;
    struct loaded l;
    int32_t first, last;
    begin(&p, 42);
    feed_headers(&p, LENGTH);
    copy_file(&p.giver, &p.taker, -1, 0);
    ck_assert_msg(load(&p.taker, &l).kind == FAIL_NONE, "%s", l.w.why.detail);
    ck_assert_uint_eq(l.load.coins, p.coins);
    expect_tip(&p.taker, p.blocks[BASE]);
    ck_assert_ptr_eq(ledger_snapshot_base(p.taker.ledger), l.load.base);
    ck_assert(ledger_wants_history(p.taker.ledger, &first, &last));
    ck_assert_int_eq(first, 1);
    ck_assert_int_eq(last, BASE);
    feed(&p, BASE + 1, LENGTH - 5);
    expect_tip(&p.taker, p.blocks[LENGTH - 5]);
    expect_coins(&p.taker);
    ck_assert_int_eq(load(&p.taker, &l).kind, FAIL_REQUEST); /* not a second time */
    for (int32_t h = BASE; h > 0; h -= 2) /* the history comes in any order */
        offer(&p.taker, p.blocks[h], NULL);
    settle(&p.taker);
    ck_assert_int_eq(ledger_background_tip(p.taker.ledger)->height, 0);
    for (int32_t h = 1; h <= BASE; h += 2)
        offer(&p.taker, p.blocks[h], NULL);
    verify_history(&p);
    ck_assert_uint_eq(p.taker.fatal, 0);
    feed(&p, LENGTH - 4, LENGTH);
    expect_whole(&p, LENGTH);
    rig_stop(&p.taker);
    rig_open(&p.taker); /* now the snapshot's store is the chainstate */
    settle(&p.taker);
    ck_assert_ptr_null(ledger_snapshot_base(p.taker.ledger));
    expect_whole(&p, LENGTH);
    const struct disk *disk = sim_disk_ops(p.taker.node->disk);
    ck_assert(!disk->exists(disk->ctx, "data/chainstate_snapshot"));
    struct block *other = extend(&p.taker, p.blocks[BASE - 5], LENGTH - BASE + 10); /* below the base */
    expect_tip(&p.taker, other);
    expect_coins(&p.taker);
    end(&p);
}
END_TEST

START_TEST(on_a_chain_that_had_begun)
{
    struct pair p;
    struct loaded l;
    begin(&p, 43);
    p.taker.options.indexes = (1u << INDEX_KINDS) - 1;
    rig_stop(&p.taker);
    rig_open(&p.taker);
    feed(&p, 1, 20);
    feed_headers(&p, LENGTH);
    copy_file(&p.giver, &p.taker, -1, 0);
    ck_assert_msg(load(&p.taker, &l).kind == FAIL_NONE, "%s", l.w.why.detail);
    feed(&p, BASE + 1, LENGTH);
    expect_coins(&p.taker);
    ck_assert(!ledger_index_state(p.taker.ledger, INDEX_STATS).synced);
    feed(&p, 21, 40);
    world_run_us(p.taker.world, 1000000);
    drain(&p.taker);
    ck_assert_int_eq(ledger_background_tip(p.taker.ledger)->height, 40);
    rig_stop(&p.taker);
    rig_open(&p.taker);
    settle(&p.taker);
    ck_assert_int_eq(ledger_background_tip(p.taker.ledger)->height, 40);
    expect_tip(&p.taker, p.blocks[LENGTH]);
    feed(&p, 41, BASE);
    verify_history(&p);
    expect_whole(&p, LENGTH);
    world_run_us(p.taker.world, 1000000);
    drain(&p.taker);
    for (int k = 0; k < INDEX_KINDS; k++)
        ck_assert_int_eq(ledger_index_state(p.taker.ledger, (enum ledger_index)k).best_height, LENGTH);
    end(&p);
}
END_TEST

START_TEST(through_power_cuts)
{
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct pair p;
        struct loaded l;
        begin(&p, 200 + seed);
        feed(&p, 1, 10);
        feed_headers(&p, LENGTH);
        copy_file(&p.giver, &p.taker, -1, 0);
        const struct disk *disk = sim_disk_ops(p.taker.node->disk);
        struct fail why;
        ck_assert(disk->sync_dir(disk->ctx, "", &why));
        memset(&l, 0, sizeof l);
        snprintf(l.load.path, sizeof l.load.path, DUMP_PATH);
        l.load.done = on_loaded;
        ledger_load_coins(p.taker.ledger, &l.load);
        for (uint64_t i = 0; i < seed * 3; i++) {
            drain(&p.taker);
            if (!world_step(p.taker.world))
                break;
        }
        power_cut(&p.taker);
        rig_open(&p.taker);
        settle(&p.taker);
        if (ledger_background_tip(p.taker.ledger) == NULL) { /* it was too early: once more */
            feed_headers(&p, LENGTH);
            ck_assert_msg(load(&p.taker, &l).kind == FAIL_NONE, "%s", l.w.why.detail);
        }
        feed(&p, BASE + 1, LENGTH);
        feed(&p, 1, BASE - 10 + (int32_t)seed % 15);
        world_run_us(p.taker.world, (int64_t)seed * 150);
        drain(&p.taker);
        if (seed % 3 == 0)
            rig_stop(&p.taker);
        else
            power_cut(&p.taker);
        rig_open(&p.taker);
        settle(&p.taker);
        feed_headers(&p, LENGTH);
        feed(&p, BASE + 1, LENGTH);
        feed(&p, 1, BASE);
        verify_history(&p);
        ck_assert_msg(p.taker.fatal == 0, "%s", p.taker.fatal_text);
        world_run_us(p.taker.world, (int64_t)seed * 100);
        drain(&p.taker);
        power_cut(&p.taker);
        rig_open(&p.taker);
        settle(&p.taker);
        feed_headers(&p, LENGTH);
        feed(&p, BASE + 1, LENGTH);
        feed(&p, 1, BASE);
        if (ledger_background_tip(p.taker.ledger) != NULL)
            verify_history(&p);
        expect_whole(&p, LENGTH);
        end(&p);
    }
}
END_TEST

static void expect_refused(struct pair *p, const char *words)
{
    struct loaded l;
    ck_assert_int_eq(load(&p->taker, &l).kind, FAIL_REQUEST);
    ck_assert_msg(strstr(l.w.why.detail, words) != NULL, "%s", l.w.why.detail);
    ck_assert_ptr_null(ledger_background_tip(p->taker.ledger));
    const struct disk *disk = sim_disk_ops(p->taker.node->disk);
    ck_assert(!disk->exists(disk->ctx, "data/chainstate_snapshot"));
}

START_TEST(wrong_files_are_refused)
{
    struct pair p;
    struct fail why;
    struct buf bytes;
    begin(&p, 44);
    expect_refused(&p, "Couldn't open file");
    copy_file(&p.giver, &p.taker, -1, 0);
    expect_refused(&p, "must appear in the headers chain");
    feed_headers(&p, LENGTH);
    copy_file(&p.giver, &p.taker, 2, 0);
    expect_refused(&p, "Invalid UTXO set snapshot magic bytes");
    copy_file(&p.giver, &p.taker, 5, 0);
    expect_refused(&p, "Version of snapshot 3 does not match");
    copy_file(&p.giver, &p.taker, 8, 0);
    expect_refused(&p, "unrecognized network");
    copy_file(&p.giver, &p.taker, 20, 0);
    expect_refused(&p, "not recognized");
    copy_file(&p.giver, &p.taker, 43, 0);
    expect_refused(&p, "snapshot");
    const struct disk *disk = sim_disk_ops(p.giver.node->disk);
    buf_init(&bytes, 1u << 20);
    ck_assert(file_read_all(disk, DUMP_PATH, &bytes, &why));
    int64_t size_b = (int64_t)bytes.size_b;
    buf_clear(&bytes);
    for (int64_t cut_b = 1; cut_b < size_b; cut_b += 37) { /* cut anywhere */
        copy_file(&p.giver, &p.taker, -1, cut_b);
        expect_refused(&p, size_b - cut_b < 51 ? "too short" : "snapshot");
    }
    for (int64_t at = 51; at < size_b; at += 13) { /* any byte wrong: its coins are not those */
        copy_file(&p.giver, &p.taker, at, 0);
        expect_refused(&p, "napshot");
    }
    feed(&p, 1, LENGTH); /* and the node goes on as if nothing had been */
    copy_file(&p.giver, &p.taker, -1, 0);
    expect_refused(&p, "Work does not exceed active chainstate");
    expect_whole(&p, LENGTH);
    end(&p);
}
END_TEST

/* The chain file vouches for coins that the blocks do not leave: found out, and left. */
START_TEST(a_lie_is_found_out)
{
    struct pair p;
    struct loaded l;
    struct dumped d;
    begin(&p, 45);
    /* a snapshot of another block's coins, under the name of the base */
    const struct disk *disk = sim_disk_ops(p.giver.node->disk);
    struct fail why;
    struct buf bytes;
    ck_assert(disk->remove(disk->ctx, DUMP_PATH, &why));
    ck_assert_int_eq(dump(&p.giver, ledger_at(p.giver.ledger, BASE - 1), &d).kind, FAIL_NONE);
    buf_init(&bytes, 1u << 20);
    ck_assert(file_read_all(disk, DUMP_PATH, &bytes, &why));
    memcpy(bytes.data + 11, p.blocks[BASE]->id.b, 32);
    ck_assert(file_replace(disk, DUMP_PATH, buf_span(&bytes), &why));
    buf_clear(&bytes);
    memcpy(p.taker.chain->snapshots[0].hash_serialized, d.dump.hash, 32);
    feed_headers(&p, LENGTH);
    copy_file(&p.giver, &p.taker, -1, 0);
    ck_assert_msg(load(&p.taker, &l).kind == FAIL_NONE, "%s", l.w.why.detail);
    expect_tip(&p.taker, p.blocks[BASE]);
    feed(&p, BASE + 1, LENGTH); /* true blocks that seem to break rules on such coins: forgiven later */
    ck_assert_uint_gt(p.taker.invalid, 0);
    feed(&p, 1, BASE);
    verify_history(&p);
    ck_assert_uint_eq(p.taker.fatal, 1);
    ck_assert_ptr_nonnull(strstr(p.taker.fatal_text, "does not agree with the chain"));
    rig_stop(&p.taker);
    p.taker.fatal = 0;
    rig_open(&p.taker);
    settle(&p.taker);
    feed_headers(&p, LENGTH);
    feed(&p, 1, LENGTH);
    expect_whole(&p, LENGTH);
    end(&p);
}
END_TEST

START_TEST(what_cannot_be_undone_meanwhile)
{
    struct pair p;
    struct loaded l;
    begin(&p, 46);
    feed_headers(&p, BASE);
    copy_file(&p.giver, &p.taker, -1, 0);
    ck_assert_int_eq(load(&p.taker, &l).kind, FAIL_NONE);
    feed(&p, 1, 30);
    /* a branch with more work from below the base is not followed before the history is verified */
    struct block *other = p.blocks[30];
    for (int i = 0; i < LENGTH - 30 + 5; i++)
        offer(&p.taker, other = build(&p.taker, other), NULL);
    settle(&p.taker);
    expect_tip(&p.taker, p.blocks[BASE]);
    feed(&p, 31, BASE);
    verify_history(&p);
    settle(&p.taker);
    ck_assert_uint_eq(p.taker.fatal, 0);
    expect_tip(&p.taker, other);
    expect_coins(&p.taker);
    end(&p);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("snapshot");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 240);
    tcase_add_test(tests, a_rollback_gives_the_same_file);
    tcase_add_test(tests, usable_at_once_and_verified_later);
    tcase_add_test(tests, on_a_chain_that_had_begun);
    tcase_add_test(tests, through_power_cuts);
    tcase_add_test(tests, wrong_files_are_refused);
    tcase_add_test(tests, a_lie_is_found_out);
    tcase_add_test(tests, what_cannot_be_undone_meanwhile);
    suite_add_tcase(suite, tests);
    return unit_run(suite);
}
