/* Proves what must hold for whatever input: what is written reads back to the same bytes, nothing shorter or longer
 * does, no count has a second spelling; difficulty and targets keep their order and bounds. Inputs are random, their
 * seed is fixed; a failure names the round. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/p2p/messages.h"
#include "../sim/disk.h"
#include "../sim/maker.h"
#include "coin/base/json.h"
#include "coin/consensus/pow.h"
#include "coin/crypto/hash.h"
#include "coin/crypto/secp.h"
#include "coin/script/address.h"
#include "coin/script/script.h"
#include "unit.h"

#define ROUNDS 300
#define ROOM_B 100000

static struct sim_random chance = { .state = 20090103 };

static uint64_t below(uint64_t limit)
{
    return sim_random_below(&chance, limit);
}

static void random_fill(uint8_t *out, size_t size_b)
{
    for (size_t i = 0; i < size_b; i++)
        out[i] = (uint8_t)below(256);
}

static struct chain *load(const char *name)
{
    struct fail why;
    struct chain *chain = chain_load(name, &why);
    ck_assert_msg(chain != NULL, "%s", why.detail);
    return chain;
}

/* ---- transactions and blocks ---- */

static struct tx *random_tx(void)
{
    struct tx_draft draft;
    struct tx *tx = NULL;
    struct fail why;
    uint8_t bytes[600];
    tx_draft_init(&draft);
    draft.version = (uint32_t)below(UINT32_MAX);
    draft.lock_time = (uint32_t)below(UINT32_MAX);
    uint32_t inputs = 1 + (uint32_t)below(4), outputs = 1 + (uint32_t)below(4);
    bool witness = below(2) == 1;
    for (uint32_t i = 0; i < inputs; i++) {
        struct outpoint from = { .index = (uint32_t)below(5) };
        random_fill(from.txid.b, 32);
        random_fill(bytes, sizeof bytes);
        ck_assert_ptr_nonnull(tx_draft_add_in(&draft, &from, (uint32_t)below(UINT32_MAX)));
        ck_assert(tx_draft_set_script_sig(&draft, i, span_of(bytes, below(300))));
        struct span items[3] = { span_of(bytes, below(600)), span_of(bytes + 7, below(90)), span_of(bytes, 0) };
        if (witness)
            ck_assert(tx_draft_set_witness(&draft, i, items, i == 0 ? 1 : (uint32_t)below(4)));
    }
    for (uint32_t i = 0; i < outputs; i++)
        ck_assert_ptr_nonnull(tx_draft_add_out(&draft, (int64_t)below(UINT64_MAX / 2), span_of(bytes, below(300))));
    ck_assert_msg(tx_draft_finish(&tx, &draft, &why), "%s", why.detail);
    tx_draft_clear(&draft);
    return tx;
}

static bool tx_reads(struct span bytes)
{
    struct tx *tx = NULL;
    struct fail why;
    bool ok = tx_decode(&tx, bytes, &why);
    tx_unref(tx);
    return ok;
}

START_TEST(transactions)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct tx *tx = random_tx(), *again = NULL;
        struct tx_draft draft;
        struct fail why;
        struct buf out, longer;
        buf_init(&out, ROOM_B);
        buf_init(&longer, ROOM_B);
        ck_assert(tx_decode(&again, tx->raw, &why));
        tx_draft_init(&draft);
        ck_assert(tx_draft_from_tx(&draft, again));
        tx_draft_encode(&out, &draft, true);
        ck_assert_msg(span_equal(buf_span(&out), tx->raw), "round %d", round);
        for (size_t cut_b = 0; cut_b < tx->raw.size_b; cut_b += 1 + below(9))
            ck_assert_msg(!tx_reads(span_of(tx->raw.data, cut_b)), "round %d cut to %zu", round, cut_b);
        buf_put(&longer, tx->raw.data, tx->raw.size_b);
        buf_put_u8(&longer, 0);
        ck_assert_msg(!tx_reads(buf_span(&longer)), "round %d, a byte more", round);
        tx_draft_clear(&draft);
        buf_clear(&out);
        buf_clear(&longer);
        tx_unref(again);
        tx_unref(tx);
    }
}
END_TEST

/* The input count of a transaction without witness, in each of the longer spellings of 1. */
START_TEST(counts_have_one_spelling)
{
    static const struct { uint8_t bytes[9]; size_t size_b; } spellings[] = {
        { { 0xfd, 1, 0 }, 3 }, { { 0xfe, 1, 0, 0, 0 }, 5 }, { { 0xff, 1, 0, 0, 0, 0, 0, 0, 0 }, 9 },
    };
    struct outpoint from = { .index = 1 };
    struct tx *tx = maker_spend(&from, 1, 1000, 1);
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        struct buf odd;
        buf_init(&odd, ROOM_B);
        buf_put(&odd, tx->raw.data, 4);
        buf_put(&odd, spellings[i].bytes, spellings[i].size_b);
        buf_put(&odd, tx->raw.data + 5, tx->raw.size_b - 5);
        ck_assert(!tx_reads(buf_span(&odd)));
        buf_clear(&odd);
    }
    tx_unref(tx);
    static const uint64_t edges[] = { 0, 252, 253, 0xffff, 0x10000, 0xffffffff, UINT64_C(0x100000000), UINT64_MAX };
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        uint8_t bytes[9];
        struct buf out = { .data = bytes, .capacity_b = sizeof bytes, .limit_b = sizeof bytes };
        struct reader r;
        buf_put_count(&out, edges[i]);
        rd_init(&r, buf_span(&out));
        ck_assert(rd_compact(&r, UINT64_MAX) == edges[i] && !r.failed && rd_left(&r) == 0);
        for (size_t cut_b = 0; cut_b < out.size_b; cut_b++) {
            rd_init(&r, span_of(bytes, cut_b));
            rd_compact(&r, UINT64_MAX);
            ck_assert(r.failed);
        }
        rd_init(&r, buf_span(&out));
        if (edges[i] > 0)
            rd_compact(&r, edges[i] - 1);
        ck_assert(edges[i] == 0 || r.failed); /* beyond the limit */
    }
    static const uint8_t padded[][9] = { { 0xfd, 0xfc, 0 }, { 0xfe, 0xff, 0xff, 0, 0 },
        { 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0 } };
    for (size_t i = 0; i < sizeof padded / sizeof *padded; i++) {
        struct reader r;
        rd_init(&r, span_of(padded[i], sizeof padded[i]));
        rd_compact(&r, UINT64_MAX);
        ck_assert(r.failed);
    }
}
END_TEST

static bool block_reads(struct span bytes)
{
    struct block *block = NULL;
    struct buf raw;
    struct fail why;
    buf_init(&raw, BLOCK_SIZE_MAX_B);
    buf_put(&raw, bytes.data, bytes.size_b);
    bool ok = block_decode(&block, &raw, &why);
    buf_clear(&raw);
    block_unref(block);
    return ok;
}

START_TEST(blocks_and_headers)
{
    struct chain *chain = load("regtest");
    for (int round = 0; round < 20; round++) {
        struct tx *txs[3] = { random_tx(), random_tx(), random_tx() };
        struct maker_block spec = { .prev = chain->genesis->id, .height = 1 + round, .time_s = 1296688603,
            .bits = chain->genesis->header.bits, .txs = txs, .tx_count = (uint32_t)below(4), .salt = (uint32_t)round };
        struct block *block = maker_build(chain, &spec);
        struct buf longer;
        ck_assert(block_reads(buf_span(&block->raw)));
        for (size_t cut_b = 0; cut_b < block->raw.size_b; cut_b += 1 + below(11))
            ck_assert_msg(!block_reads(span_of(block->raw.data, cut_b)), "round %d cut to %zu", round, cut_b);
        buf_init(&longer, ROOM_B);
        buf_put(&longer, block->raw.data, block->raw.size_b);
        buf_put_u8(&longer, 0);
        ck_assert(!block_reads(buf_span(&longer)));
        uint8_t bytes[HEADER_SIZE_B];
        struct header header;
        random_fill(bytes, sizeof bytes);
        header_decode(&header, bytes);
        uint8_t again[HEADER_SIZE_B];
        header_encode(again, &header);
        ck_assert_mem_eq(bytes, again, sizeof bytes);
        buf_clear(&longer);
        block_unref(block);
        for (int i = 0; i < 3; i++)
            tx_unref(txs[i]);
    }
    chain_free(chain);
}
END_TEST

/* ---- messages: what any row of the table reads, it writes back, and no shorter payload gives the same ---- */

START_TEST(messages)
{
    for (int round = 0; round < ROUNDS * 10; round++) {
        const struct message_rule *rule = &message_rules[below(MSG_COUNT)];
        uint8_t bytes[400];
        union message m;
        struct arena arena;
        struct reader r;
        struct fail why;
        struct buf first, second;
        if (rule->decode == NULL || rule->encode == NULL)
            continue;
        random_fill(bytes, sizeof bytes);
        for (size_t i = 0; i < 40; i++)
            bytes[below(sizeof bytes)] = (uint8_t)below(4); /* counts that fit are rare in noise */
        arena_init(&arena, 0);
        buf_init(&first, ROOM_B);
        buf_init(&second, ROOM_B);
        memset(&m, 0, sizeof m);
        rd_init(&r, span_of(bytes, below(sizeof bytes)));
        if (rule->decode(&m, &r, &arena, &why)) {
            rule->encode(&first, &m);
            memset(&m, 0, sizeof m);
            rd_init(&r, buf_span(&first));
            ck_assert_msg(rule->decode(&m, &r, &arena, &why), "%s: %s", rule->command, why.detail);
            rule->encode(&second, &m);
            ck_assert_msg(span_equal(buf_span(&first), buf_span(&second)), "%s, round %d", rule->command, round);
        }
        buf_clear(&first);
        buf_clear(&second);
        arena_clear(&arena);
    }
}
END_TEST

/* ---- scripts, addresses, keys, amounts ---- */

START_TEST(pushes_read_back)
{
    uint8_t bytes[70000];
    random_fill(bytes, sizeof bytes);
    static const size_t sizes[] = { 0, 1, 2, 75, 76, 255, 256, 520, 65535, 65536 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct buf script;
        struct reader r;
        struct span push;
        uint8_t op;
        buf_init(&script, ROOM_B);
        script_put_data(&script, span_of(bytes, sizes[i]));
        rd_init(&r, buf_span(&script));
        ck_assert(script_next(&r, &op, &push) && rd_left(&r) == 0);
        ck_assert(span_equal(push, span_of(bytes, sizes[i])));
        ck_assert(sizes[i] == 1 || script_push_is_minimal(op, push));
        for (size_t cut_b = 1; cut_b < script.size_b; cut_b += 1 + below(script.size_b)) {
            rd_init(&r, span_of(script.data, cut_b));
            ck_assert(!script_next(&r, &op, &push) && r.failed);
        }
        buf_clear(&script);
    }
}
END_TEST

START_TEST(addresses)
{
    static const char *const chains[] = { "coin", "cointest", "bitcoin", "testnet4", "signet", "regtest" };
    for (size_t c = 0; c < sizeof chains / sizeof *chains; c++) {
        struct chain *chain = load(chains[c]);
        for (int round = 0; round < ROUNDS; round++) {
            uint8_t payload[40], script_bytes[64];
            char text[ADDRESS_SIZE_B];
            struct fail why;
            struct buf script = { .data = script_bytes, .capacity_b = 64, .limit_b = 64 }, again;
            random_fill(payload, sizeof payload);
            switch (round % 5) {
            case 0: script_put_p2pkh(&script, payload); break;
            case 1: script_put_p2sh(&script, payload); break;
            case 2: script_put_witness(&script, 0, span_of(payload, 20)); break;
            case 3: script_put_witness(&script, 0, span_of(payload, 32)); break;
            default: script_put_witness(&script, 1 + (uint32_t)below(16), span_of(payload, 2 + below(39))); break;
            }
            ck_assert(address_from_script(text, chain, buf_span(&script)));
            buf_init(&again, 64);
            ck_assert_msg(address_to_script(&again, chain, span_text(text), &why), "%s: %s", text, why.detail);
            ck_assert(span_equal(buf_span(&again), buf_span(&script)));
            again.size_b = 0;
            size_t at = below(strlen(text)); /* one character changed is always noticed */
            text[at] = text[at] == 'q' ? 'p' : 'q';
            if (text[at] != 0)
                ck_assert_msg(!address_to_script(&again, chain, span_text(text), &why), "%s", text);
            buf_clear(&again);
            uint8_t key[32], key_again[32];
            bool compressed = below(2) == 1, was_compressed;
            random_fill(key, sizeof key);
            ck_assert(wif_encode(text, chain, key, compressed));
            ck_assert(wif_decode(key_again, &was_compressed, chain, span_text(text)));
            ck_assert(memcmp(key, key_again, 32) == 0 && was_compressed == compressed);
        }
        chain_free(chain);
    }
}
END_TEST

START_TEST(amounts)
{
    for (int round = 0; round < ROUNDS * 10; round++) {
        int64_t v = (int64_t)sim_random_next(&chance) >> below(63), again;
        char text[32];
        decimal_print(text, v, 8);
        ck_assert_msg(decimal_parse(&again, span_text(text), 8) && again == v, "%s", text);
    }
}
END_TEST

/* ---- targets and difficulty ---- */

START_TEST(compact_targets)
{
    struct u256 last = u256_from_u64(0);
    for (int round = 0; round < ROUNDS * 10; round++) {
        uint8_t bytes[32] = { 0 };
        random_fill(bytes, below(33));
        struct u256 v = u256_from_le(bytes);
        uint32_t bits = compact_encode(&v);
        bool negative, overflow;
        struct u256 rounded = compact_decode(bits, &negative, &overflow);
        ck_assert(!negative && !overflow);
        ck_assert(u256_compare(&rounded, &v) <= 0);               /* digits are cut, never invented */
        ck_assert_uint_eq(compact_encode(&rounded), bits);        /* one spelling */
        struct u256 last_rounded = compact_decode(compact_encode(&last), NULL, NULL);
        int order = u256_compare(&last, &v), rounded_order = u256_compare(&last_rounded, &rounded);
        ck_assert(rounded_order == 0 || (order < 0) == (rounded_order < 0)); /* order stays */
        last = v;
    }
}
END_TEST

#define HISTORY 3000
struct history {
    struct pow_point points[HISTORY];
};

static struct pow_point history_at(const void *ctx, int32_t height)
{
    return ((const struct history *)ctx)->points[height];
}

/* Bits due never leave the limit, and are never refused by the bound that headers from strangers must keep. With blocks
 * on time a target that is right stays within a hundredth. */
static void grow(struct chain *chain, uint32_t bits, bool on_time)
{
    static struct history h;
    h.points[0] = (struct pow_point){ .time_s = 1700000000, .bits = bits };
    for (int32_t height = 1; height < HISTORY; height++) {
        struct pow_view view = { .ctx = &h, .at = history_at, .tip_height = height - 1 };
        uint32_t step_s = (uint32_t)(on_time ? chain->spacing_s : (int64_t)below((uint64_t)chain->spacing_s * 4));
        uint32_t time_s = h.points[height - 1].time_s + step_s;
        uint32_t due = on_time && height <= pow_window(chain) ? bits : pow_bits_due(chain, &view, time_s);
        struct u256 target = compact_decode(due, NULL, NULL), right = compact_decode(bits, NULL, NULL);
        ck_assert(!u256_is_zero(&target) && u256_compare(&target, &chain->pow_limit) <= 0);
        ck_assert_msg((on_time && height <= pow_window(chain) + 1) ||
            pow_permitted(chain, height, h.points[height - 1].bits, due), "%s at %d", chain->name, height);
        if (on_time) {
            double ratio = u256_to_double(&target) / u256_to_double(&right);
            ck_assert_msg(ratio > 0.99 && ratio < 1.01, "%s at %d: %f", chain->name, height, ratio);
        }
        h.points[height] = (struct pow_point){ .height = height, .time_s = time_s, .bits = due };
    }
}

START_TEST(difficulty)
{
    static const char *const chains[] = { "coin", "bitcoin", "signet", "testnet4" };
    for (size_t c = 0; c < sizeof chains / sizeof *chains; c++) {
        struct chain *chain = load(chains[c]);
        grow(chain, chain->pow_limit_bits, false);
        grow(chain, 0x1b0404cb, true);
        chain->difficulty.kind = DIFFICULTY_ASERT;
        chain->difficulty.half_life_s = 172800;
        chain->difficulty.anchor_height = 0;
        chain->difficulty.anchor_bits = 0x1b0404cb;
        chain->difficulty.anchor_parent_time_s = 1700000000 - chain->spacing_s;
        grow(chain, 0x1b0404cb, true);
        grow(chain, 0x1b0404cb, false);
        chain_free(chain);
    }
}
END_TEST

/* ---- money and trees ---- */

static int64_t sum_of_subsidies(const char *name, int64_t max_sat)
{
    struct chain *chain = load(name);
    int64_t total_sat = 0;
    bool within = true; /* asserted once: each assertion is a message to the runner */
    ck_assert_int_eq(chain->max_money_sat, max_sat);
    for (int32_t height = 1; chain_subsidy_sat(chain, height) > 0; height++) {
        total_sat += chain_subsidy_sat(chain, height);
        within = within && total_sat <= max_sat;
    }
    ck_assert(within);
    total_sat += chain_subsidy_sat(chain, 0) == chain->genesis_reward_sat ? chain->genesis_reward_sat : 0;
    chain_free(chain);
    return total_sat;
}

START_TEST(all_coins_ever)
{
    ck_assert_int_eq(sum_of_subsidies("coin", 84000000 * COIN_SAT), INT64_C(8399999972700000));
    ck_assert_int_eq(sum_of_subsidies("bitcoin", 21000000 * COIN_SAT), INT64_C(2099999997690000));
}
END_TEST

START_TEST(merkle_trees)
{
    static uint8_t leaves[70 * 32], scratch[70 * 32];
    random_fill(leaves, sizeof leaves);
    for (size_t count = 1; count <= 33; count++) {
        uint8_t root[32], other[32];
        bool mutated;
        memcpy(scratch, leaves, count * 32);
        merkle_root(root, scratch, count, &mutated);
        ck_assert_msg(!mutated, "%zu leaves", count);
        /* An odd level repeats its last node: with the repetition written out, the root is the same, and noticed. */
        for (size_t width = 1; width < count; width *= 2) {
            size_t nodes = (count + width - 1) / width;
            if (nodes % 2 == 0 || count % width != 0)
                continue;
            memcpy(scratch, leaves, count * 32);
            memcpy(scratch + count * 32, leaves + (count - width) * 32, width * 32);
            merkle_root(other, scratch, count + width, &mutated);
            ck_assert_msg(mutated && memcmp(root, other, 32) == 0, "%zu leaves, %zu repeated", count, width);
        }
    }
}
END_TEST

int main(void)
{
    static const uint8_t blinding[32] = { 1 };
    struct fail why;
    if (!secp_init(blinding, &why) || !hash_init(&why))
        return EXIT_FAILURE;
    Suite *suite = suite_create("properties");
    TCase *tc = tcase_create("properties");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, transactions);
    tcase_add_test(tc, counts_have_one_spelling);
    tcase_add_test(tc, blocks_and_headers);
    tcase_add_test(tc, messages);
    tcase_add_test(tc, pushes_read_back);
    tcase_add_test(tc, addresses);
    tcase_add_test(tc, amounts);
    tcase_add_test(tc, compact_targets);
    tcase_add_test(tc, difficulty);
    tcase_add_test(tc, all_coins_ever);
    tcase_add_test(tc, merkle_trees);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
