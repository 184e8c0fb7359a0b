/* Proves consensus/check.h where no vector reaches: each rule a hair on both sides of its limit, its reject
 * string, and the kind of the fault (broken for ever, a bad copy, or too early). */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../sim/maker.h"
#include "coin/consensus/check.h"
#include "coin/script/script.h"
#include "unit.h"

static struct chain *load(const char *name)
{
    struct fail why;
    struct chain *chain = chain_load(name, &why);
    ck_assert_msg(chain != NULL, "%s", why.detail);
    return chain;
}

static struct tx *finish(struct tx_draft *draft)
{
    struct tx *tx = NULL;
    struct fail why;
    ck_assert_msg(tx_draft_finish(&tx, draft, &why), "%s", why.detail);
    tx_draft_clear(draft);
    return tx;
}

/* ---- transactions ---- */

/* inputs: distinct ones; twice: the last repeats the first. outputs: values. */
static struct tx *simple_tx(uint32_t inputs, bool twice, const int64_t *values, uint32_t outputs)
{
    struct tx_draft draft;
    static const uint8_t op_true[] = { OP_1 };
    tx_draft_init(&draft);
    for (uint32_t i = 0; i < inputs; i++) {
        struct outpoint from = { .txid = { { 7 } }, .index = twice && i == inputs - 1 ? 0 : i };
        ck_assert_ptr_nonnull(tx_draft_add_in(&draft, &from, SEQUENCE_FINAL));
    }
    for (uint32_t i = 0; i < outputs; i++)
        ck_assert_ptr_nonnull(tx_draft_add_out(&draft, values[i], span_of(op_true, 1)));
    return finish(&draft);
}

#define MONEY INT64_C(2100000000000000)
static const struct { uint32_t inputs; bool twice; uint32_t outputs; int64_t values[3]; const char *code; } bare[] = {
    { 1, false, 1, { 0 }, NULL },
    { 1, false, 1, { MONEY }, NULL },
    { 1, false, 1, { MONEY + 1 }, "bad-txns-vout-toolarge" },
    { 1, false, 1, { -1 }, "bad-txns-vout-negative" },
    { 1, false, 2, { MONEY - 1, 1 }, NULL },
    { 1, false, 2, { MONEY, 1 }, "bad-txns-txouttotal-toolarge" },
    { 1, false, 3, { MONEY / 2, MONEY / 2, 1 }, "bad-txns-txouttotal-toolarge" },
    { 2, true, 1, { 1 }, "bad-txns-inputs-duplicate" },
    { 16, true, 1, { 1 }, "bad-txns-inputs-duplicate" }, /* the last that is compared by pairs */
    { 17, true, 1, { 1 }, "bad-txns-inputs-duplicate" }, /* the first that is sorted */
    { 17, false, 1, { 1 }, NULL },
    { 150, true, 1, { 1 }, "bad-txns-inputs-duplicate" },
};

START_TEST(transactions_alone)
{
    struct chain *chain = load("bitcoin");
    struct fail why = { 0 };
    struct tx *tx = simple_tx(bare[_i].inputs, bare[_i].twice, bare[_i].values, bare[_i].outputs);
    bool ok = check_tx(chain, tx, &why);
    ck_assert_msg(ok == (bare[_i].code == NULL), "row %d: %s", _i, why.code);
    if (!ok) {
        ck_assert_str_eq(why.code, bare[_i].code);
        ck_assert_int_eq(why.kind, FAIL_INVALID);
    }
    tx_unref(tx);
    chain_free(chain);
}
END_TEST

static const struct { int64_t in_sat, out_sat; int32_t coin_height; bool coinbase; const char *code; } spends[] = {
    { 10, 9, 1, false, NULL },
    { 10, 10, 1, false, NULL },
    { 10, 11, 1, false, "bad-txns-in-belowout" },
    { 10, 1, 100, true, NULL }, /* height 200: a hundred blocks later */
    { 10, 1, 101, true, "bad-txns-premature-spend-of-coinbase" },
    { 10, 1, 101, false, NULL },
    { MONEY, 1, 1, false, NULL },
    { MONEY + 1, 1, 1, false, "bad-txns-inputvalues-outofrange" },
};

START_TEST(transactions_with_coins)
{
    struct chain *chain = load("bitcoin");
    struct fail why = { 0 };
    struct coin coin = { .value_sat = spends[_i].in_sat, .height = spends[_i].coin_height,
        .is_coinbase = spends[_i].coinbase };
    struct tx *tx = simple_tx(1, false, &spends[_i].out_sat, 1);
    int64_t fee_sat = -1;
    bool ok = check_tx_inputs(chain, tx, &coin, 200, &fee_sat, &why);
    ck_assert_msg(ok == (spends[_i].code == NULL), "row %d: %s", _i, why.code);
    if (ok)
        ck_assert_int_eq(fee_sat, spends[_i].in_sat - spends[_i].out_sat);
    else
        ck_assert_str_eq(why.code, spends[_i].code);
    tx_unref(tx);
    chain_free(chain);
}
END_TEST

/* BIP54's count: scriptSig, spent script and P2SH, each accurate; outputs and witnesses are free. */
static struct tx *sigops_tx(struct coin *coins, uint32_t bare_checks, uint32_t redeem_checks)
{
    static uint8_t spent[BIP54_SIGOPS_MAX + 1];
    static uint8_t redeem[520 + 3];
    static const uint8_t p2sh[23] = { 0xa9, 20, [22] = 0x87 };
    struct tx_draft draft;
    const struct outpoint a = { .index = 0 }, b = { .index = 1 };
    tx_draft_init(&draft);
    memset(spent, OP_CHECKSIG, sizeof spent);
    redeem[0] = OP_PUSHDATA2;
    redeem[1] = (uint8_t)redeem_checks;
    redeem[2] = (uint8_t)(redeem_checks >> 8);
    memset(redeem + 3, OP_CHECKSIG, redeem_checks);
    ck_assert_ptr_nonnull(tx_draft_add_in(&draft, &a, 0));
    ck_assert_ptr_nonnull(tx_draft_add_in(&draft, &b, 0));
    ck_assert(tx_draft_set_script_sig(&draft, 1, span_of(redeem, redeem_checks + 3)));
    ck_assert_ptr_nonnull(tx_draft_add_out(&draft, 1, span_of(spent, 100)));
    coins[0] = (struct coin){ .value_sat = 10, .height = 1, .script = span_of(spent, bare_checks) };
    coins[1] = (struct coin){ .value_sat = 10, .height = 1, .script = span_of(p2sh, sizeof p2sh) };
    return finish(&draft);
}

START_TEST(signature_operations_of_bip54)
{
    struct chain *chain = load("bitcoin");
    for (int more = 0; more < 2; more++) {
        struct coin coins[2];
        struct fail why = { 0 };
        int64_t fee_sat;
        struct tx *tx = sigops_tx(coins, BIP54_SIGOPS_MAX - 500 + (uint32_t)more, 500);
        ck_assert_uint_eq(tx_spending_sigops(tx, coins), (uint32_t)(BIP54_SIGOPS_MAX + more));
        chain->bip54 = false;
        ck_assert(check_tx_inputs(chain, tx, coins, 200, &fee_sat, &why));
        chain->bip54 = true;
        ck_assert_int_eq(check_tx_inputs(chain, tx, coins, 200, &fee_sat, &why), more == 0);
        if (more)
            ck_assert_str_eq(why.code, "bad-txns-legacy-sigops");
        tx_unref(tx);
    }
    chain_free(chain);
}
END_TEST

/* ---- locks ---- */

static const struct { uint32_t lock_time, sequence; int32_t height; int64_t time_s; bool final; } locks[] = {
    { 0, 0, 1, 1, true },
    { 100, 0, 100, 0, false }, { 100, 0, 101, 0, true }, { 100, SEQUENCE_FINAL, 100, 0, true },
    { LOCKTIME_THRESHOLD - 1, 0, INT32_MAX, 0, true },
    { LOCKTIME_THRESHOLD, 0, INT32_MAX, LOCKTIME_THRESHOLD, false },
    { LOCKTIME_THRESHOLD, 0, 1, (int64_t)LOCKTIME_THRESHOLD + 1, true },
    { UINT32_MAX, 0, INT32_MAX, UINT32_MAX, false }, { UINT32_MAX, 0, 1, (int64_t)UINT32_MAX + 1, true },
};

START_TEST(absolute_locks)
{
    struct tx_draft draft;
    const struct outpoint from = { .index = 1 };
    tx_draft_init(&draft);
    draft.lock_time = locks[_i].lock_time;
    ck_assert_ptr_nonnull(tx_draft_add_in(&draft, &from, locks[_i].sequence));
    ck_assert_ptr_nonnull(tx_draft_add_out(&draft, 1, span_of(NULL, 0)));
    struct tx *tx = finish(&draft);
    ck_assert_int_eq(tx_is_final(tx, locks[_i].height, locks[_i].time_s), locks[_i].final);
    tx_unref(tx);
}
END_TEST

#define BY_TIME SEQUENCE_LOCKTIME_TYPE
static const struct { uint32_t version, sequence; int32_t height; int64_t time_s; } relative[] = {
    { 2, 0, 99, -1 }, { 2, 1, 100, -1 }, { 2, 0xffff, 100 + 0xffff - 1, -1 }, { 2, 0x10001, 100, -1 },
    { 2, BY_TIME, -1, 4999 }, { 2, BY_TIME | 1, -1, 5000 + 511 }, { 2, BY_TIME | 0xffff, -1, 5000 + 0xffff * 512 - 1 },
    { 2, SEQUENCE_LOCKTIME_DISABLE | 5, -1, -1 }, { 1, 5, -1, -1 }, { 0, 5, -1, -1 },
    { 0xffffffff, 1, 100, -1 }, /* the version is unsigned */
};

START_TEST(relative_locks)
{
    struct tx_draft draft;
    const struct outpoint from = { .index = 1 };
    struct coin coin = { .height = 100 };
    int64_t prev_mtp_s = 5000;
    tx_draft_init(&draft);
    draft.version = relative[_i].version;
    ck_assert_ptr_nonnull(tx_draft_add_in(&draft, &from, relative[_i].sequence));
    ck_assert_ptr_nonnull(tx_draft_add_out(&draft, 1, span_of(NULL, 0)));
    struct tx *tx = finish(&draft);
    struct sequence_lock lock = tx_sequence_lock(tx, &coin, &prev_mtp_s, true);
    ck_assert_int_eq(lock.height, relative[_i].height);
    ck_assert_int_eq(lock.time_s, relative[_i].time_s);
    ck_assert_int_eq(tx_in_needs_mtp(tx, 0), relative[_i].time_s >= 0);
    lock = tx_sequence_lock(tx, &coin, &prev_mtp_s, false);
    ck_assert(lock.height == -1 && lock.time_s == -1);
    tx_unref(tx);
}
END_TEST

/* ---- which rules count ---- */

static const struct { const char *chain; int32_t height; const char *id; uint32_t flags; } flags[] = {
    { "bitcoin", 1, NULL, SCRIPT_VERIFY_P2SH | SCRIPT_VERIFY_WITNESS | SCRIPT_VERIFY_TAPROOT },
    { "bitcoin", 170060, "00000000000002dc756eebf4f49723ed8d30cc28a5f108eb94b1ba88ac4f9c22", 0 },
    { "bitcoin", 363724, NULL, SCRIPT_VERIFY_P2SH | SCRIPT_VERIFY_WITNESS | SCRIPT_VERIFY_TAPROOT },
    { "bitcoin", 363725, NULL,
        SCRIPT_VERIFY_P2SH | SCRIPT_VERIFY_WITNESS | SCRIPT_VERIFY_TAPROOT | SCRIPT_VERIFY_DERSIG },
    { "bitcoin", 388381, NULL,
        SCRIPT_FLAGS_CONSENSUS & ~(uint32_t)(SCRIPT_VERIFY_CHECKSEQUENCEVERIFY | SCRIPT_VERIFY_NULLDUMMY) },
    { "bitcoin", 419328, NULL, SCRIPT_FLAGS_CONSENSUS & ~(uint32_t)SCRIPT_VERIFY_NULLDUMMY },
    { "bitcoin", 481824, NULL, SCRIPT_FLAGS_CONSENSUS },
    { "bitcoin", 692261, "0000000000000000000f14c35b2d841e986ab5441de8c585d5ffe55ea1e395ad",
        SCRIPT_FLAGS_CONSENSUS & ~(uint32_t)SCRIPT_VERIFY_TAPROOT },
    { "coin", 1, NULL, SCRIPT_FLAGS_CONSENSUS },
    { "testnet4", 1, NULL, SCRIPT_FLAGS_CONSENSUS },
    { "signet", 1, NULL, SCRIPT_FLAGS_CONSENSUS },
};

START_TEST(script_flags_by_height)
{
    struct chain *chain = load(flags[_i].chain);
    struct block_id id = { { 1 } };
    if (flags[_i].id != NULL)
        ck_assert(hash_from_hex(id.b, span_text(flags[_i].id)));
    ck_assert_uint_eq(block_script_flags(chain, flags[_i].height, &id), flags[_i].flags);
    chain_free(chain);
}
END_TEST

static const struct { const char *chain; int32_t height; const char *id; bool known, needs; } duplicates[] = {
    { "bitcoin", 91842, "00000000000a4d0a398161ffc163c503763b1f4360639393e0e4c8e300e0caec", false, false },
    { "bitcoin", 91880, "00000000000743f190a18c5577a3c2d2a1f610ae9601ac046a38084ccb7cd721", false, false },
    { "bitcoin", 91842, NULL, false, true }, /* another block of that height */
    { "bitcoin", 227930, NULL, false, true }, { "bitcoin", 227932, NULL, true, false },
    { "bitcoin", 227932, NULL, false, true }, /* a branch without the known BIP34 block */
    { "bitcoin", 1983701, NULL, true, false }, { "bitcoin", 1983702, NULL, true, true },
    { "coin", 1, NULL, false, false }, { "coin", 1983702, NULL, false, false },
};

START_TEST(bip30_lookups)
{
    struct chain *chain = load(duplicates[_i].chain);
    struct block_id id = { { 1 } };
    if (duplicates[_i].id != NULL)
        ck_assert(hash_from_hex(id.b, span_text(duplicates[_i].id)));
    ck_assert_int_eq(block_needs_bip30(chain, duplicates[_i].height, &id, duplicates[_i].known),
        duplicates[_i].needs);
    chain->bip54 = true;
    ck_assert(!block_needs_bip30(chain, duplicates[_i].height, &id, duplicates[_i].known));
    chain_free(chain);
}
END_TEST

static const struct { int32_t height; uint8_t size_b, bytes[5]; } heights[] = {
    { 1, 1, { OP_1 } }, { 16, 1, { OP_16 } }, { 17, 2, { 1, 17 } }, { 127, 2, { 1, 127 } }, { 128, 3, { 2, 128, 0 } },
    { 255, 3, { 2, 255, 0 } }, { 256, 3, { 2, 0, 1 } }, { 32767, 3, { 2, 255, 127 } },
    { 32768, 4, { 3, 0, 128, 0 } }, { 8388608, 5, { 4, 0, 0, 128, 0 } },
};

START_TEST(heights_in_coinbases)
{
    uint8_t bytes[16];
    struct buf out = { .data = bytes, .capacity_b = sizeof bytes, .limit_b = sizeof bytes };
    bip34_put_height(&out, heights[_i].height);
    ck_assert_uint_eq(out.size_b, heights[_i].size_b);
    ck_assert_mem_eq(bytes, heights[_i].bytes, heights[_i].size_b);
}
END_TEST

/* ---- times of a difficulty period ---- */

static struct pow_point every_ten_minutes(const void *ctx, int32_t height)
{
    (void)ctx;
    return (struct pow_point){ .height = height, .time_s = 1000000 + 600 * (uint32_t)height, .bits = 0x1d00ffff };
}

START_TEST(period_times)
{
    struct chain *chain = load("bitcoin"), *coin = load("coin");
    for (int32_t tip = 4029; tip <= 4032; tip++) {
        struct header_context ctx = { .view = { .at = every_ten_minutes, .tip_height = tip },
            .parent_time_s = every_ten_minutes(NULL, tip).time_s };
        bool first = (tip + 1) % 2016 == 0, last = (tip + 1) % 2016 == 2015;
        int64_t first_s = every_ten_minutes(NULL, 2016).time_s;
        chain->bip54 = chain->difficulty.bip94 = false;
        ck_assert_int_eq(header_period_time_min_s(chain, &ctx, false), 0);
        ck_assert_int_eq(header_period_time_min_s(chain, &ctx, true),
            first ? ctx.parent_time_s - 600 : last ? first_s : 0);
        chain->bip54 = true;
        ck_assert_int_eq(header_period_time_min_s(chain, &ctx, false),
            first ? ctx.parent_time_s - 7200 : last ? first_s : 0);
        chain->difficulty.bip94 = true; /* the stricter one counts */
        ck_assert_int_eq(header_period_time_min_s(chain, &ctx, false),
            first ? ctx.parent_time_s - 600 : last ? first_s : 0);
        coin->bip54 = true; /* a sliding window has no first and no last block */
        ck_assert_int_eq(header_period_time_min_s(coin, &ctx, true), 0);
    }
    chain_free(chain);
    chain_free(coin);
}
END_TEST

/* ---- blocks: faults of this copy, and faults of the block ---- */

static struct block *block_of(const struct chain *chain, uint32_t spends_count)
{
    struct tx *txs[4];
    for (uint32_t i = 0; i < spends_count; i++) {
        struct outpoint from = { .txid = { { (uint8_t)(i + 1) } } };
        txs[i] = maker_spend(&from, 1, 1000, 1);
    }
    struct maker_block spec = { .prev = chain->genesis->id, .height = 1, .time_s = chain->genesis->header.time_s + 1,
        .bits = chain->genesis->header.bits, .txs = txs, .tx_count = spends_count };
    struct block *block = maker_build(chain, &spec);
    for (uint32_t i = 0; i < spends_count; i++)
        tx_unref(txs[i]);
    return block;
}

START_TEST(repeated_transactions_are_a_bad_copy)
{
    struct chain *chain = load("regtest");
    struct block *block = block_of(chain, 2), *copy = NULL; /* three leaves: the last is paired with itself */
    struct fail why = { 0 };
    struct buf raw;
    ck_assert_msg(check_block(chain, block, &why), "%s", why.detail);
    buf_init(&raw, BLOCK_SIZE_MAX_B);
    buf_put(&raw, block->raw.data, block->raw.size_b);
    raw.data[HEADER_SIZE_B]++; /* one transaction more */
    buf_put(&raw, block->txs[2].raw.data, block->txs[2].raw.size_b);
    ck_assert(block_decode(&copy, &raw, &why));
    ck_assert(block_id_equal(&copy->id, &block->id));
    ck_assert(!check_block(chain, copy, &why));
    ck_assert_str_eq(why.code, "bad-txns-duplicate"); /* CVE-2012-2459 */
    ck_assert_int_eq(why.kind, FAIL_MUTATED);
    block_unref(copy);
    block_unref(block);
    chain_free(chain);
}
END_TEST

START_TEST(witnesses_are_of_the_copy)
{
    struct chain *chain = load("regtest");
    struct block *block = block_of(chain, 1);
    struct block_context ctx = { .height = 1, .median_time_past_s = chain->genesis->header.time_s };
    struct fail why = { 0 };
    ck_assert_msg(check_block_context(chain, block, &ctx, &why), "%s", why.detail);
    struct tx *coinbase = &block->txs[0];
    struct span nonce = coinbase->in[0].witness[0], *items = (struct span *)(uintptr_t)coinbase->in[0].witness;
    items[0] = span_of(nonce.data, 31);
    ck_assert(!check_block_context(chain, block, &ctx, &why) && why.kind == FAIL_MUTATED);
    ck_assert_str_eq(why.code, "bad-witness-nonce-size");
    items[0] = span_of(coinbase->txid.b, 32);
    ck_assert(!check_block_context(chain, block, &ctx, &why) && why.kind == FAIL_MUTATED);
    ck_assert_str_eq(why.code, "bad-witness-merkle-match");
    items[0] = nonce;
    chain->buried[BURIED_SEGWIT] = 2;
    ck_assert(!check_block_context(chain, block, &ctx, &why) && why.kind == FAIL_MUTATED);
    ck_assert_str_eq(why.code, "unexpected-witness");
    chain->buried[BURIED_SEGWIT] = 1;
    ctx.height = 2;
    ck_assert(!check_block_context(chain, block, &ctx, &why) && why.kind == FAIL_INVALID);
    ck_assert_str_eq(why.code, "bad-cb-height");
    block_unref(block);
    chain_free(chain);
}
END_TEST

/* A header's time: at the median, above it, at our limit of the future, beyond it. */
START_TEST(header_times)
{
    struct chain *chain = load("regtest");
    uint32_t genesis_s = chain->genesis->header.time_s;
    static const struct { int64_t after_median_s, ahead_s; const char *code; enum fail_kind kind; } rows[] = {
        { 0, 0, "time-too-old", FAIL_INVALID }, { 1, 0, NULL, FAIL_NONE }, { 500, 7200, NULL, FAIL_NONE },
        { 500, 7201, "time-too-new", FAIL_TOO_EARLY },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct header h = { .version = 4, .prev = chain->genesis->id, .bits = chain->genesis->header.bits,
            .time_s = genesis_s + (uint32_t)rows[i].after_median_s };
        struct header_context ctx = { .view = { .at = every_ten_minutes, .tip_height = 0 }, .parent_time_s = genesis_s,
            .median_time_past_s = genesis_s, .now_s = (int64_t)h.time_s - rows[i].ahead_s };
        chain->difficulty.kind = DIFFICULTY_BITCOIN; /* whose bits are then the view's */
        chain->difficulty.window = 2016;
        h.bits = 0x1d00ffff;
        chain->pow_limit = compact_decode(0x1d00ffff, NULL, NULL);
        struct block_id easy = { { 0 } };
        struct fail why = { 0 };
        bool ok = check_header(chain, &h, &easy, &ctx, &why);
        ck_assert_msg(ok == (rows[i].code == NULL), "row %zu: %s", i, why.code);
        if (!ok) {
            ck_assert_str_eq(why.code, rows[i].code);
            ck_assert_int_eq(why.kind, rows[i].kind);
        }
    }
    chain_free(chain);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("check");
    TCase *tc = tcase_create("check");
    tcase_add_loop_test(tc, transactions_alone, 0, (int)(sizeof bare / sizeof *bare));
    tcase_add_loop_test(tc, transactions_with_coins, 0, (int)(sizeof spends / sizeof *spends));
    tcase_add_test(tc, signature_operations_of_bip54);
    tcase_add_loop_test(tc, absolute_locks, 0, (int)(sizeof locks / sizeof *locks));
    tcase_add_loop_test(tc, relative_locks, 0, (int)(sizeof relative / sizeof *relative));
    tcase_add_loop_test(tc, script_flags_by_height, 0, (int)(sizeof flags / sizeof *flags));
    tcase_add_loop_test(tc, bip30_lookups, 0, (int)(sizeof duplicates / sizeof *duplicates));
    tcase_add_loop_test(tc, heights_in_coinbases, 0, (int)(sizeof heights / sizeof *heights));
    tcase_add_test(tc, period_times);
    tcase_add_test(tc, repeated_transactions_are_a_bad_copy);
    tcase_add_test(tc, witnesses_are_of_the_copy);
    tcase_add_test(tc, header_times);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
