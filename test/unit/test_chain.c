/* Proves that every chain that ships loads with the genesis block and the rules that it is known for (a
 * pinned hash), and that a file with an unknown, missing, repeated, mistyped or impossible key is refused
 * in words that name the key. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coin/base/mem.h"
#include "coin/chain/chain.h"
#include "coin/chain/embedded.h"
#include "coin/chain/genesis.h"
#include "unit.h"

#define FILE_MAX_B 65536

static const struct {
    const char *name, *rpc_name, *genesis, *rules;
} shipped[] = {
    { "coin", "coin", "0000089c9babd2bc6473362331f371ee6ba5397acb9b9f68c1cddcd467fa99ea", "7288ec371ad9b344c5c7efe09d84c9009dc614c4a2a67ba11a056b333acb4182" },
    { "cointest", "cointest", "00000ad4cf21cd277c4927a243ffef2de220242c21420841b3fd9cc1cedf1f1d", "9b78ef4b0b4b53a5e4279c80b13bb3169be875805f06f8ab8a88b322dd025c1e" },
    { "regtest", "regtest", "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206", "4be44e4a832e8531d87d7f9f1f0b8f63f007b0b8886ec973501b9fcf1937e779" },
    { "bitcoin", "main", "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f", "b475ecc86d4a9183a57f915a6f9168e65b7c0e2e84c877ba37701d45ddec1782" },
    { "testnet4", "testnet4", "00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043", "50744bbeae997ef65d56300f3a2d939517d2103b23e259fe35da223302d801cc" },
    { "signet", "signet", "00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6", "bd926652b5f3eec34fa32b93f29139aa8da4a8edfb04d4e3bc64ce510587c675" },
};
#define SHIPPED (int)(sizeof shipped / sizeof *shipped)

static struct chain *load(const char *name)
{
    struct fail why;
    struct chain *chain = chain_load(name, &why);
    ck_assert_msg(chain != NULL, "%s: %s", name, why.detail);
    return chain;
}

START_TEST(every_chain_loads)
{
    struct chain *chain = load(shipped[_i].name);
    char rules[65];
    hex_encode(rules, chain->rules_hash, sizeof chain->rules_hash);
    ck_assert_str_eq(chain->name, shipped[_i].name);
    ck_assert_str_eq(chain->rpc_name, shipped[_i].rpc_name);
    ck_assert_str_eq(hash_show(chain->genesis->id.b), shipped[_i].genesis);
    /* Changing this pin means: every datadir of this chain is refused, or the chain has split. */
    ck_assert_msg(strcmp(rules, shipped[_i].rules) == 0, "%s: the rules hash is %s", shipped[_i].name, rules);
    chain_free(chain);
}
END_TEST

START_TEST(nothing_else_ships)
{
    int count = 0;
    for (const struct embedded_chain *e = embedded_chains; e->name != NULL; e++)
        count++;
    ck_assert_int_eq(count, SHIPPED);
}
END_TEST

START_TEST(facts_of_coin)
{
    struct chain *chain = load("coin");
    ck_assert_int_eq(chain->spacing_s, 60);
    ck_assert_int_eq(chain->future_limit_s, 300);
    ck_assert_uint_eq(chain->block_weight_max_wu, 1000000);
    ck_assert_uint_eq(chain->block_sigop_cost_max, 20000);
    ck_assert_uint_eq(chain->pow_limit_bits, 0x1e0fffff);
    ck_assert_int_eq(chain->difficulty.kind, DIFFICULTY_LWMA);
    ck_assert_uint_eq(chain->difficulty.window, 90);
    ck_assert_uint_eq(chain->difficulty.relief_spacings, 20);
    ck_assert_uint_eq(chain->p2p_port, 28777);
    ck_assert_uint_eq(chain->rpc_port, 28776);
    ck_assert_int_eq(memcmp(chain->magic, "\xfa\xc0\x1d\xc0", 4), 0);
    ck_assert_str_eq(chain->hrp, "coin");
    ck_assert_str_eq(chain->message_prefix, "Coin Signed Message:\n");
    ck_assert_int_eq(chain_scaled_s(chain, 20), 1200);
    for (int i = 0; i < BURIED_COUNT; i++)
        ck_assert_int_eq(chain->buried[i], 1);
    /* All that will ever be paid, and that it is never over the bound. */
    int64_t total = 0;
    for (int64_t era = 0; era < 70; era++)
        total += chain_subsidy_sat(chain, (int32_t)(era * chain->halving_interval)) * chain->halving_interval;
    ck_assert_int_eq(total, INT64_C(8399999972700000));
    ck_assert_int_eq(chain->max_money_sat, INT64_C(8400000000000000));
    ck_assert_int_eq(chain_subsidy_sat(chain, 2099999), 20 * COIN_SAT);
    ck_assert_int_eq(chain_subsidy_sat(chain, 2100000), 10 * COIN_SAT);
    struct span script = chain->genesis->txs[0].in[0].script_sig;
    const char message[] = "every peer a client, every peer a server";
    ck_assert_uint_gt(script.size_b, strlen(message));
    ck_assert_int_eq(memcmp(script.data + script.size_b - strlen(message), message, strlen(message)), 0);
    chain_free(chain);
}
END_TEST

START_TEST(facts_of_bitcoin)
{
    struct chain *chain = load("main");
    ck_assert_str_eq(chain->name, "bitcoin");
    ck_assert(chain->is_bitcoin);
    ck_assert_uint_eq(chain->pow_limit_bits, 0x1d00ffff);
    int64_t total = 0;
    for (int64_t era = 0; era < 70; era++)
        total += chain_subsidy_sat(chain, (int32_t)(era * 210000 % INT32_MAX)) * (era < 64 ? 210000 : 0);
    ck_assert_int_eq(total, INT64_C(2099999997690000));
    ck_assert_int_eq(chain_subsidy_sat(chain, 210000 * 64), 0); /* no shift by 64 */
    ck_assert_uint_eq(chain->exception_count, 2);
    ck_assert_uint_eq(chain->exceptions[0].flags, 0);
    ck_assert_uint_eq(chain->exceptions[1].flags, 1u | 1u << 11);
    chain_free(chain);
}
END_TEST

/* regtest's file with `from` replaced by `to` once; the caller frees the buf. */
static struct buf edited(const char *from, const char *to)
{
    const struct embedded_chain *e = embedded_chains;
    while (strcmp(e->name, "regtest") != 0)
        e++;
    struct buf text;
    buf_init(&text, FILE_MAX_B);
    const uint8_t *at = memmem(e->text, e->size_b, from, strlen(from));
    ck_assert_msg(at != NULL, "%s is not in regtest.json", from);
    buf_put(&text, e->text, (size_t)(at - e->text));
    buf_put_text(&text, to);
    buf_put(&text, at + strlen(from), e->size_b - (size_t)(at - e->text) - strlen(from));
    return text;
}

static const struct { const char *from, *to, *says; } refused[] = {
    { "\"ticker\"", "\"tikcer\"", "\"tikcer\" is unknown" },
    { "\"ticker\": \"rBTC\",", "", "\"ticker\" is missing" },
    { "\"ticker\": \"rBTC\",", "\"ticker\": \"a\", \"ticker\": \"b\",", "ticker" },
    { "\"ticker\": \"rBTC\"", "\"ticker\": 5", "ticker" },
    { "\"ticker\": \"rBTC\"", "\"ticker\": \"\"", "ticker" },
    { "\"ticker\": \"rBTC\"", "\"ticker\": \"sixteen letters!\"", "ticker" },
    { "\"name\": \"regtest\"", "\"name\": \"../etc\"", "name" },
    { "\"magic\": \"fabfb5da\"", "\"magic\": \"fabfb5\"", "magic" },
    { "\"magic\": \"fabfb5da\"", "\"magic\": \"fabfb5dz\"", "magic" },
    { "\"p2p_port\": 18444", "\"p2p_port\": 65536", "p2p_port" },
    { "\"p2p_port\": 18444", "\"p2p_port\": \"18444\"", "p2p_port" },
    { "\"p2p_port\": 18444", "\"p2p_port\": 1.5", "p2p_port" },
    { "\"p2p_port\": 18444", "\"p2p_port\": -1", "p2p_port" },
    { "\"bitcoin\": true", "\"bitcoin\": 1", "bitcoin" },
    { "\"hrp\": \"bcrt\"", "\"hrp\": \"BCRT\"", "hrp" },
    { "\"base58_p2sh\": 196", "\"base58_p2sh\": 111", "base58_p2sh" },
    { "\"nonce\": 2", "\"nonce\": 3", "genesis.id" },
    { "\"id\": \"0f9188f1", "\"id\": \"1f9188f1", "genesis.id" },
    { "\"time\": 1296688602", "\"time\": 4294967296", "genesis.time" },
    { "\"bits\": \"207fffff\"", "\"bits\": \"207fffffff\"", "genesis.bits" },
    { "\"version\": 1,", "\"version\": 1, \"verison\": 1,", "genesis.verison" },
    { "\"version\": 1,", "", "genesis.version" },
    { "\"pow_limit\": \"7fff", "\"pow_limit\": \"ffff", "pow_limit" },
    { "\"pow_limit\": \"7fff", "\"pow_limit\": \"000f", "genesis.bits" },
    { "\"algorithm\": \"none\"", "\"algorithm\": \"some\"", "difficulty.algorithm" },
    { "\"algorithm\": \"none\"", "\"algorithm\": \"none\", \"window\": 90", "difficulty.window" },
    { "\"algorithm\": \"none\"", "\"algorithm\": \"lwma\"", "difficulty.window" },
    { "\"algorithm\": \"none\"", "\"algorithm\": \"lwma\", \"window\": 10001, \"relief_spacings\": 0", "difficulty.window" },
    { "\"algorithm\": \"none\"", "\"window\": 90", "difficulty.algorithm" },
    { "\"spacing_s\": 600", "\"spacing_s\": 0", "spacing_s" },
    { "\"halving_interval\": 150", "\"halving_interval\": 0", "halving_interval" },
    { "\"max_money_sat\": 2100000000000000", "\"max_money_sat\": 4999999999", "max_money_sat" },
    { "\"max_money_sat\": 2100000000000000", "\"max_money_sat\": 9007199254740992", "max_money_sat" },
    { "\"block_weight_max_wu\": 4000000", "\"block_weight_max_wu\": 4000001", "block_weight_max_wu" },
    { "\"segwit_height\": 0", "\"segwit_height\": \"later\"", "segwit_height" },
    { "\"segwit_height\": 0", "\"segwit_height\": -1", "segwit_height" },
    { "\"deployments\": [", "\"deployments\": [5, ", "deployments[0]" },
    { "\"threshold\": 108", "\"threshold\": 145", "testdummy" },
    { "\"bit\": 28", "\"bit\": 29", "deployments[0].bit" },
    { "\"deployments\": [", "\"exceptions\": [{\"id\": \"00\", \"flags\": []}], \"deployments\": [", "exceptions[0].id" },
    { "\"deployments\": [", "\"exceptions\": [{\"flags\": [\"P2SG\"]}], \"deployments\": [", "exceptions[0].flags" },
    { "\"deployments\": [", "\"seeds\": [\"\"], \"deployments\": [", "seeds" },
    { "\"deployments\": [", "\"seeds\": {}, \"deployments\": [", "seeds" },
    { "\"deployments\": [", "\"bip30_exceptions\": [\"1\"], \"deployments\": [", "bip30_exceptions" },
    { "\"deployments\": [", "\"signet_challenge\": \"51\", \"deployments\": [", "magic" },
    { "{", "[{", "" },
    { "{", "", "" },
};

START_TEST(bad_files_are_refused)
{
    struct buf text = edited(refused[_i].from, refused[_i].to);
    struct fail why;
    struct chain *chain = chain_parse(buf_span(&text), &why);
    ck_assert_msg(chain == NULL, "%s was accepted", refused[_i].to);
    ck_assert_int_eq(why.kind, FAIL_REQUEST);
    ck_assert_msg(strstr(why.detail, refused[_i].says) != NULL, "%s -> %s", refused[_i].to, why.detail);
    buf_clear(&text);
}
END_TEST

/* What decides validity changes the hash; what does not, does not. */
static const struct { const char *from, *to; bool changes; } hashed[] = {
    { "\"p2p_port\": 18444", "\"p2p_port\": 18445", false },
    { "\"ticker\": \"rBTC\"", "\"ticker\": \"XYZ\"", false },
    { "\"magic\": \"fabfb5da\"", "\"magic\": \"00000001\"", false },
    { "\"require_standard\": true", "\"require_standard\": false", false },
    { "\"deployments\": [", "\"seeds\": [\"seed.example\"], \"deployments\": [", false },
    { "\"deployments\": [", "\"assumed_valid\": \"0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206\", \"deployments\": [", false },
    { "\"halving_interval\": 150", "\"halving_interval\": 151", true },
    { "\"coinbase_maturity\": 100", "\"coinbase_maturity\": 101", true },
    { "\"spacing_s\": 600", "\"spacing_s\": 601", true },
    { "\"subsidy_sat\": 5000000000", "\"subsidy_sat\": 5000000001", true },
    { "\"max_money_sat\": 2100000000000000", "\"max_money_sat\": 2100000000000001", true },
    { "\"block_weight_max_wu\": 4000000", "\"block_weight_max_wu\": 3999999", true },
    { "\"block_sigop_cost_max\": 80000", "\"block_sigop_cost_max\": 79999", true },
    { "\"bip16_height\": 0", "\"bip16_height\": 1", true },
    { "\"bip34_height\": 1", "\"bip34_height\": \"never\"", true },
    { "\"bip65_height\": 1", "\"bip65_height\": 2", true },
    { "\"bip66_height\": 1", "\"bip66_height\": 2", true },
    { "\"csv_height\": 1", "\"csv_height\": 2", true },
    { "\"segwit_height\": 0", "\"segwit_height\": 2", true },
    { "\"taproot_height\": 0", "\"taproot_height\": 2", true },
    { "\"algorithm\": \"none\"", "\"algorithm\": \"lwma\", \"window\": 90, \"relief_spacings\": 20", true },
    { "\"algorithm\": \"none\"", "\"algorithm\": \"bitcoin\", \"window\": 144, \"bip94\": true", true },
    { "\"algorithm\": \"none\"", "\"algorithm\": \"asert\", \"half_life_s\": 1, \"anchor_height\": 0, \"anchor_bits\": \"207fffff\", \"anchor_parent_time\": 5", true },
    { "ffffffff\",\n    \"difficulty\"", "fffffffe\",\n    \"difficulty\"", true },
    { "\"period\": 144", "\"period\": 145", true },
    { "\"start\": 0", "\"start\": \"always\"", true },
    { "\"deployments\": [", "\"bip54\": true, \"deployments\": [", true },
    { "\"deployments\": [", "\"exceptions\": [{\"id\": \"0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206\", \"flags\": [\"P2SH\"]}], \"deployments\": [", true },
    { "\"deployments\": [", "\"bip34_id\": \"0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206\", \"deployments\": [", true },
};

START_TEST(rules_hash_covers_the_rules)
{
    struct chain *plain = load("regtest");
    struct buf text = edited(hashed[_i].from, hashed[_i].to);
    struct fail why;
    struct chain *chain = chain_parse(buf_span(&text), &why);
    ck_assert_msg(chain != NULL, "%s: %s", hashed[_i].to, why.detail);
    bool differs = memcmp(plain->rules_hash, chain->rules_hash, 32) != 0;
    ck_assert_msg(differs == hashed[_i].changes, "%s", hashed[_i].to);
    chain_free(chain);
    chain_free(plain);
    buf_clear(&text);
}
END_TEST

START_TEST(files_and_names)
{
    struct fail why;
    ck_assert_ptr_null(chain_load("nonesuch", &why));
    ck_assert_int_eq(why.kind, FAIL_REQUEST);
    ck_assert_ptr_nonnull(strstr(why.detail, "nonesuch"));
    ck_assert_ptr_null(chain_load("/nonexistent/chain.json", &why));
    ck_assert_int_eq(why.kind, FAIL_REQUEST);
    ck_assert_ptr_nonnull(strstr(why.detail, "/nonexistent/chain.json"));

    char path[] = "/tmp/coin-test-chain-XXXXXX.json";
    int fd = mkstemps(path, 5);
    ck_assert_int_ge(fd, 0);
    struct buf text = edited("\"name\": \"regtest\"", "\"name\": \"my-chain_2\"");
    ck_assert_int_eq(write(fd, text.data, text.size_b), (ssize_t)text.size_b);
    close(fd);
    struct chain *chain = load(path);
    ck_assert_str_eq(chain->name, "my-chain_2");
    ck_assert_str_eq(chain->rpc_name, "my-chain_2");
    chain_free(chain);
    buf_clear(&text);
    unlink(path);
    chain_free(NULL);
}
END_TEST

static const struct { const char *text; bool ok; enum buried which; int32_t height; } heights[] = {
    { "segwit@432", true, BURIED_SEGWIT, 432 }, { "bip34@2", true, BURIED_BIP34, 2 },
    { "dersig@102", true, BURIED_BIP66, 102 }, { "cltv@0", true, BURIED_BIP65, 0 },
    { "csv@2147483646", true, BURIED_CSV, 2147483646 },
    { "segwit", false, 0, 0 }, { "segwit@", false, 0, 0 }, { "segwit@-1", false, 0, 0 },
    { "segwit@2147483647", false, 0, 0 }, { "segwit@x", false, 0, 0 }, { "taproot@1", false, 0, 0 },
    { "@5", false, 0, 0 }, { "segwi@5", false, 0, 0 }, { "segwit@5@6", false, 0, 0 },
};

START_TEST(activation_heights)
{
    struct chain *chain = load("regtest");
    struct fail why;
    bool ok = chain_set_activation_height(chain, heights[_i].text, &why);
    ck_assert_msg(ok == heights[_i].ok, "%s", heights[_i].text);
    if (ok) {
        ck_assert_int_eq(chain->buried[heights[_i].which], heights[_i].height);
    } else {
        ck_assert_int_eq(why.kind, FAIL_REQUEST);
        ck_assert_ptr_nonnull(strstr(why.detail, "-testactivationheight=name@height"));
    }
    chain_free(chain);
}
END_TEST

static const struct { const char *text; bool ok; int64_t start, timeout; int32_t height; } deployments[] = {
    { "testdummy:0:999999999999", true, 0, 999999999999, 0 },
    { "testdummy:5:6:7", true, 5, 6, 7 },
    { "testdummy:-1:9223372036854775807:0", true, BIP9_ALWAYS_ACTIVE, INT64_MAX, 0 },
    { "testdummy:-2:0", true, BIP9_NEVER_ACTIVE, 0, 0 },
    { "testdummy:-3:0", false, 0, 0, 0 }, { "testdummy:1", false, 0, 0, 0 }, { "testdummy", false, 0, 0, 0 },
    { "testdummy:a:b", false, 0, 0, 0 }, { "testdummy:1:2:-1", false, 0, 0, 0 },
    { "testdummy:1:2:3:4", false, 0, 0, 0 }, { "nonesuch:1:2", false, 0, 0, 0 }, { "", false, 0, 0, 0 },
};

START_TEST(version_bits)
{
    struct chain *chain = load("regtest");
    struct fail why;
    bool ok = chain_set_deployment(chain, deployments[_i].text, &why);
    ck_assert_msg(ok == deployments[_i].ok, "%s", deployments[_i].text);
    if (ok) {
        ck_assert_int_eq(chain->deployments[0].start_time_s, deployments[_i].start);
        ck_assert_int_eq(chain->deployments[0].timeout_s, deployments[_i].timeout);
        ck_assert_int_eq(chain->deployments[0].min_activation_height, deployments[_i].height);
    }
    chain_free(chain);
}
END_TEST

START_TEST(only_test_chains_bend)
{
    struct chain *real = load("bitcoin"), *test = load("regtest");
    struct fail why;
    ck_assert(!chain_is_for_tests(real) && chain_is_for_tests(test));
    ck_assert(!chain_set_activation_height(real, "segwit@1", &why) && why.kind == FAIL_REQUEST);
    ck_assert(!chain_set_deployment(real, "testdummy:0:1", &why) && why.kind == FAIL_REQUEST);
    ck_assert(!chain_set_test_rule(real, "bip94", &why) && why.kind == FAIL_REQUEST);
    ck_assert_int_ne(real->buried[BURIED_SEGWIT], 1);
    ck_assert(chain_set_test_rule(real, "addrman", &why)); /* bends no rule */
    ck_assert(!chain_set_test_rule(test, "bip95", &why) && strstr(why.detail, "bip95") != NULL);
    ck_assert(!test->difficulty.bip94);
    ck_assert(chain_set_test_rule(test, "bip94", &why));
    ck_assert(test->difficulty.bip94 && test->difficulty.window == 144);
    chain_free(real);
    chain_free(test);
}
END_TEST

START_TEST(signet_challenges)
{
    struct chain *chain = load("signet"), *plain = load("signet"), *other = load("regtest");
    struct fail why;
    ck_assert_int_eq(memcmp(chain->magic, "\x0a\x03\xcf\x40", 4), 0);
    ck_assert(!chain_set_signet_challenge(chain, "5", &why));
    ck_assert(!chain_set_signet_challenge(chain, "", &why));
    ck_assert(!chain_set_signet_challenge(other, "51", &why));
    ck_assert_int_eq(memcmp(chain->magic, plain->magic, 4), 0);
    ck_assert_msg(chain_set_signet_challenge(chain, "51", &why), "%s", why.detail);
    ck_assert_int_eq(memcmp(chain->magic, "\x54\xd2\x6f\xbd", 4), 0); /* OP_TRUE's */
    ck_assert(memcmp(chain->rules_hash, plain->rules_hash, 32) != 0);
    ck_assert(u256_is_zero(&chain->minimum_chain_work) && block_id_is_zero(&chain->assumed_valid));
    ck_assert_uint_eq(chain->seed_count, 0);
    chain_free(chain);
    chain_free(plain);
    chain_free(other);
}
END_TEST

START_TEST(keys_have_names)
{
    uint32_t count = 0;
    while (chain_key_name(count) != NULL)
        count++;
    ck_assert_uint_gt(count, 40);
    ck_assert_str_eq(chain_key_name(0), "name");
    ck_assert_ptr_null(chain_key_name(count + 5));
}
END_TEST

START_TEST(genesis_limits)
{
    uint8_t big[GENESIS_SCRIPT_MAX_B + 1] = { 0 };
    struct genesis_recipe recipe = { .version = 1, .message = span_of(big, GENESIS_MESSAGE_MAX_B),
        .script = span_of(big, GENESIS_SCRIPT_MAX_B) };
    struct block *block;
    struct fail why;
    ck_assert(genesis_build(&block, &recipe, &why));
    ck_assert_uint_eq(block->txs[0].in[0].script_sig.size_b, 100);
    block_unref(block);
    recipe.message.size_b++;
    ck_assert(!genesis_build(&block, &recipe, &why));
    recipe.message.size_b = 0;
    recipe.script.size_b++;
    ck_assert(!genesis_build(&block, &recipe, &why));
    ck_assert_int_eq(why.kind, FAIL_REQUEST);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("chain");
    TCase *tc = tcase_create("chain");
    tcase_add_loop_test(tc, every_chain_loads, 0, SHIPPED);
    tcase_add_test(tc, nothing_else_ships);
    tcase_add_test(tc, facts_of_coin);
    tcase_add_test(tc, facts_of_bitcoin);
    tcase_add_loop_test(tc, bad_files_are_refused, 0, (int)(sizeof refused / sizeof *refused));
    tcase_add_loop_test(tc, rules_hash_covers_the_rules, 0, (int)(sizeof hashed / sizeof *hashed));
    tcase_add_test(tc, files_and_names);
    tcase_add_loop_test(tc, activation_heights, 0, (int)(sizeof heights / sizeof *heights));
    tcase_add_test(tc, only_test_chains_bend);
    tcase_add_loop_test(tc, version_bits, 0, (int)(sizeof deployments / sizeof *deployments));
    tcase_add_test(tc, signet_challenges);
    tcase_add_test(tc, keys_have_names);
    tcase_add_test(tc, genesis_limits);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
