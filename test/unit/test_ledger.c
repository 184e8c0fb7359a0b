/* Proves that the ledger follows the branch with most work and keeps exactly its coins: connecting,
 * reorganising, refusing, overriding, restarting, against a naive model that replays the branch. */
#include "ledger_rig.h"
#include "unit.h"

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

/* BIP68 with the coin of block 1, in block 5; a version is unsigned: 0xffffffff is a high one. */
static const struct { uint32_t version, sequence; bool connects; } relative_locks[] = {
    { 2, 4, true }, { 2, 5, false }, { 1, 5, true }, { 0xffffffffu, 4, true }, { 0xffffffffu, 5, false },
    { 2, SEQUENCE_LOCKTIME_DISABLE | 5, true }, { 2, SEQUENCE_LOCKTIME_TYPE, true },
    { 2, SEQUENCE_LOCKTIME_TYPE | 1, false }, { 0x80000000u, SEQUENCE_LOCKTIME_TYPE | 1, false },
};

START_TEST(relative_lock_times)
{
    struct rig rig;
    rig_init(&rig, 15);
    struct block *first = extend(&rig, rig.chain->genesis, 1), *base = extend(&rig, first, 3);
    for (size_t i = 0; i < sizeof relative_locks / sizeof *relative_locks; i++) {
        static const uint8_t op_true[] = {OP_1};
        struct outpoint from = coinbase_of(first);
        struct tx_draft draft;
        struct tx *tx = NULL;
        struct fail why;
        tx_draft_init(&draft);
        draft.version = relative_locks[i].version;
        ck_assert_ptr_nonnull(tx_draft_add_in(&draft, &from, relative_locks[i].sequence));
        ck_assert_ptr_nonnull(tx_draft_add_out(&draft, 1, span_of(op_true, 1)));
        ck_assert(tx_draft_finish(&tx, &draft, &why));
        tx_draft_clear(&draft);
        struct block *block = build_full(&rig, base, 5, &tx, 1, 0, 0);
        struct verdict v = offer_and_settle(&rig, block);
        if (relative_locks[i].connects) {
            ck_assert_msg(v.outcome == BLOCK_OUTCOME_CONNECTED, "row %zu: %s", i, v.why.code);
            manual(&rig, ledger_invalidate, block);
            expect_tip(&rig, base);
        } else {
            ck_assert_str_eq(v.why.code, "bad-txns-nonfinal");
        }
        tx_unref(tx);
    }
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

/* All offered at once, decoded in any order: a parent being decoded is not a parent that is missing. */
START_TEST(parents_in_flight)
{
    struct rig rig;
    rig_init(&rig, 27 + (uint64_t)_i);
    struct verdict verdicts[40];
    struct block *prev = rig.chain->genesis;
    for (int i = 0; i < 40; i++) {
        prev = build(&rig, prev);
        offer(&rig, prev, &verdicts[i]);
    }
    settle(&rig);
    for (int i = 0; i < 40; i++) {
        ck_assert_uint_eq(verdicts[i].calls, 1);
        ck_assert_int_eq(verdicts[i].outcome, BLOCK_OUTCOME_CONNECTED);
    }
    rig_clear(&rig);
}
END_TEST

/* Equal work stays behind, and its sender hears so at once. */
START_TEST(equal_work)
{
    struct rig rig;
    rig_init(&rig, 31);
    struct block *fork = extend(&rig, rig.chain->genesis, 3);
    struct block *first = extend(&rig, fork, 1);
    struct verdict v = offer_and_settle(&rig, build(&rig, fork));
    ck_assert_int_eq(v.outcome, BLOCK_OUTCOME_STORED);
    expect_tip(&rig, first);
    rig_clear(&rig);
}
END_TEST

START_TEST(overrides_at_depth)
{
    struct rig rig;
    rig_init(&rig, 32);
    struct block *low = extend(&rig, rig.chain->genesis, 8);
    struct block *tip = extend(&rig, low, 150);
    rig.tips = 0;
    manual(&rig, ledger_invalidate, low);
    ck_assert_int_eq(ledger_tip(rig.ledger)->height, 7);
    ck_assert_uint_eq(rig.tips, 1);
    expect_coins(&rig);
    rig_stop(&rig);
    rig_open(&rig);
    settle(&rig);
    ck_assert_int_eq(ledger_tip(rig.ledger)->height, 7);
    manual(&rig, ledger_reconsider, low);
    expect_tip(&rig, tip);
    expect_coins(&rig);
    struct verdict done[80];
    memset(done, 0, sizeof done);
    struct verdict slow = {0};
    ledger_invalidate(rig.ledger, ledger_find(rig.ledger, &low->id),
        (struct ledger_done){on_manual, &slow});
    for (int i = 0; i < 80; i++) /* more than may wait */
        ledger_precious(rig.ledger, ledger_tip(rig.ledger), (struct ledger_done){on_manual, &done[i]});
    settle(&rig);
    uint32_t refused = 0;
    for (int i = 0; i < 80; i++) {
        ck_assert_uint_eq(done[i].calls, 1);
        refused += done[i].why.kind == FAIL_NO_ROOM;
    }
    ck_assert_uint_ge(refused, 1);
    ck_assert_uint_le(refused, 79);
    rig_clear(&rig);
}
END_TEST

START_TEST(stops_at_a_height)
{
    struct rig rig;
    rig_init(&rig, 33);
    rig_stop(&rig);
    rig.options.stop_at_height = 6;
    rig_open(&rig);
    struct block *at = extend(&rig, rig.chain->genesis, 6);
    extend(&rig, at, 9);
    expect_tip(&rig, at);
    rig_clear(&rig);
}
END_TEST

/* Scripts below an assumed-valid block under two weeks of work are not run, the coins' rules are. */
START_TEST(assumed_valid)
{
    static const uint8_t never[] = {OP_0};
    struct rig rig;
    rig_init(&rig, 34);
    struct maker_block spec = {.prev = rig.chain->genesis->id,
        .height = 1,
        .time_s = rig.chain->genesis->header.time_s + 1,
        .bits = rig.chain->genesis->header.bits,
        .script = {never, 1}};
    struct block *locked = maker_build(rig.chain, &spec);
    rig.heights[rig.count] = 1;
    rig.blocks[rig.count++] = locked;
    offer(&rig, locked, NULL);
    struct block *at = extend(&rig, locked, 3);
    struct outpoint from = coinbase_of(locked);
    struct tx *thief = maker_spend(&from, 1, 100, 1);
    struct block *bad = build_full(&rig, at, 5, &thief, 1, 0, 0);
    struct block *top = bad;
    struct header headers[2100];
    uint32_t count = 0, accepted;
    headers[count++] = bad->header;
    for (int i = 0; i < (_i == 2 ? 100 : 2050); i++) {
        top = build(&rig, top);
        headers[count++] = top->header;
    }
    rig_stop(&rig);
    rig.options.has_assumed_valid = _i != 1; /* 1: none; 2: too little work above */
    rig.options.assumed_valid = rig.blocks[rig.count - 50]->id;
    rig_open(&rig);
    struct fail why;
    ck_assert_msg(ledger_accept_headers(rig.ledger, headers, count, NULL, &accepted, &why), "%s %s",
        why.code, why.detail);
    struct verdict v = offer_and_settle(&rig, bad);
    ck_assert_int_eq(v.outcome, _i == 0 ? BLOCK_OUTCOME_CONNECTED : BLOCK_OUTCOME_REFUSED);
    tx_unref(thief);
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
    tcase_add_loop_test(tc, parents_in_flight, 0, 4);
    tcase_add_test(tc, equal_work);
    tcase_add_test(tc, overrides_at_depth);
    tcase_add_test(tc, stops_at_a_height);
    tcase_add_loop_test(tc, assumed_valid, 0, 3);
    tcase_add_test(tc, refusals);
    tcase_add_test(tc, failing_scripts);
    tcase_add_test(tc, relative_lock_times);
    tcase_add_test(tc, mutated_blocks_are_not_remembered);
    tcase_add_test(tc, headers_from_the_future_wait);
    tcase_add_test(tc, unrequested_blocks);
    tcase_add_test(tc, bounded_intake);
    tcase_add_test(tc, reads_blocks_and_undo);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
